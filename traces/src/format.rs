//! What a trace format is to the rest of the crate, and how files are told apart by their content.

use crate::columns::Keep;
use crate::error::TraceError;
use crate::text::{Cell, Line, Lines};
use crate::workload::Draft;
use std::path::{Path, PathBuf};

/// A trace format. Each has one file, which documents, recognises, reads and tests it.
#[derive(Debug)]
pub struct Format {
    /// The name in `FORMAT:PATH`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Who publishes traces in it, or who defined it.
    pub source: &'static str,
    /// Options in `PATH?option=value`, besides [`COMMON_OPTIONS`].
    pub options: &'static [FormatOption],
    /// What its files look like, for `bayplan trace formats NAME`.
    pub guide: &'static str,
    /// Which part of a trace a file is, by its first lines.
    pub(crate) recognise: fn(&Sample) -> Option<Role>,
    /// Which of the files are read, given the options.
    pub(crate) uses: fn(&Request<'_>) -> Result<Vec<PathBuf>, TraceError>,
    /// Reads files into a draft.
    pub(crate) read: fn(&Request<'_>, &mut Draft) -> Result<(), TraceError>,
}

/// An option of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatOption {
    /// Its name.
    pub name: &'static str,
    /// What it does, its values and its default.
    pub summary: &'static str,
}

/// Options that every format takes.
pub const COMMON_OPTIONS: &[FormatOption] = &[
    FormatOption {
        name: "fill",
        summary: "`static`: keep the order of arrivals only, one per second, and let no task end",
    },
    FormatOption { name: "zones", summary: "make that many synthetic zones: K or K:by=LABEL|hash" },
    FormatOption {
        name: "scale",
        summary: "multiply arrival times, such as 0.01 or 1/100; lifetimes stay, so the load changes",
    },
    FormatOption {
        name: "until",
        summary: "leave out what arrives later: seconds, or 90m, 6h, 2d",
    },
    FormatOption { name: "limit", summary: "the first that many tasks only" },
    FormatOption { name: "shuffle", summary: "permute tasks over the arrival times by this seed" },
];

/// The part a file has in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It holds tasks.
    Tasks,
    /// It holds nodes, or what happens to them.
    Nodes,
}

/// A file and its part.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) role: Role,
}

impl Found {
    /// The file's own name, without `.gz`.
    pub(crate) fn name(&self) -> &str {
        plain_name(&self.path)
    }
}

/// A file's own name, without `.gz`.
pub(crate) fn plain_name(path: &Path) -> &str {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    name.strip_suffix(".gz").unwrap_or(name)
}

/// Options as they were given, in order; each name once.
pub(crate) type Options = Vec<(String, String)>;

/// What a format is asked to read.
pub(crate) struct Request<'a> {
    /// The path as the user gave it.
    pub(crate) path: &'a str,
    /// The files of the format there, by name.
    pub(crate) files: Vec<Found>,
    /// Options, checked for unknown names.
    pub(crate) options: &'a [(String, String)],
    /// Whether nodes alone are wanted: no task file needs to be there.
    pub(crate) nodes_only: bool,
    /// Where parts that are read may be kept, and progress is told.
    pub(crate) keep: Option<&'a Keep<'a>>,
}

impl<'a> Request<'a> {
    /// An option's value.
    pub(crate) fn option(&self, name: &str) -> Option<&'a str> {
        self.options.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// The files of one part.
    pub(crate) fn files(&self, role: Role) -> impl Iterator<Item = &Found> {
        self.files.iter().filter(move |it| it.role == role)
    }

    /// The paths of all files that are wanted: for formats that read whatever is there.
    pub(crate) fn all(&self) -> Result<Vec<PathBuf>, TraceError> {
        let wanted = self.files.iter().filter(|it| !self.nodes_only || it.role == Role::Nodes);
        Ok(wanted.map(|it| it.path.clone()).collect())
    }

    /// The one file of a part, or none; several are ambiguous.
    pub(crate) fn single(&self, role: Role, format: &str) -> Result<Option<&Found>, TraceError> {
        let found: Vec<&Found> = self.files(role).collect();
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(TraceError::Ambiguous {
                path: self.path.into(),
                what: match role {
                    Role::Tasks => "task files",
                    Role::Nodes => "node files",
                },
                choices: found.iter().map(|it| format!("{format}:{}", it.path.display())).collect(),
            }),
        }
    }
}

/// How many lines of a file are looked at to tell its format.
const SAMPLE_LINES: usize = 40;

/// The beginning of a file.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Its first lines that are not blank.
    pub(crate) lines: Vec<String>,
}

impl Sample {
    /// Reads the first lines of a file.
    pub(crate) fn of(path: &Path) -> Result<Self, TraceError> {
        let mut lines = Lines::open(path)?.cutting();
        let mut sample = Self { lines: Vec::new() };
        while sample.lines.len() < SAMPLE_LINES {
            match lines.next_filled()? {
                Some(line) => sample.lines.push(line.text.to_owned()),
                None => break,
            }
        }
        Ok(sample)
    }

    /// The fields of the first line, split at commas.
    pub(crate) fn header(&self) -> Vec<&str> {
        let mut cells = Vec::new();
        if let Some(text) = self.lines.first() {
            Line { path: "", number: 1, text }.split_commas(&mut cells);
        }
        cells.into_iter().map(|Cell { text, .. }| text).collect()
    }
}
