//! Run folders: writing all files of a comparison, and reading them back.

use crate::comparison::{Comparison, Run, RunKey};
use crate::manifest::Manifest;
use crate::run_report::RunReport;
use crate::{exports, figures};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file from which a folder's report can be made again.
pub const REPORT_JSON: &str = "report.json";

/// Version of [`REPORT_JSON`].
const FORMAT: u32 = 1;

/// Why files could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder could not be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not a Bayplan report: {why}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Where and why, from the decoder.
        why: String,
    },
    /// A file could not be made.
    #[error("cannot make {name}: {why}")]
    Make {
        /// Which file.
        name: String,
        /// Why.
        why: String,
    },
}

impl ReportError {
    /// What to do next.
    pub fn help(&self) -> String {
        let by_kind = |source: &std::io::Error| match source.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "choose a folder that you may write to, with --out".to_owned()
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "free some space, or choose a folder on another disk with --out; files written so \
                 far are whole"
                    .to_owned()
            }
            _ => "choose another folder with --out".to_owned(),
        };
        match self {
            Self::Folder { source, .. } | Self::Write { source, .. } => by_kind(source),
            Self::Read { path, .. } => format!(
                "give the output folder of a finished run; it holds {REPORT_JSON} ({} was tried)",
                path.display()
            ),
            Self::Foreign { .. } => {
                "run the comparison again with this version of Bayplan".to_owned()
            }
            Self::Make { .. } => {
                "this is a fault of Bayplan: please report it together with report.json".to_owned()
            }
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// All files, in the order in which they were written.
    pub files: Vec<PathBuf>,
}

impl Written {
    fn put(&mut self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        let path = dir.join(name);
        write_file(&path, bytes)?;
        self.files.push(path);
        Ok(())
    }

    /// The page to open.
    pub fn page(&self) -> Option<&Path> {
        self.files.iter().find(|it| it.ends_with("report.html")).map(PathBuf::as_path)
    }
}

#[derive(Serialize)]
struct StoredRef<'a> {
    format: u32,
    manifest: &'a Manifest,
    runs: &'a [Run],
}

#[derive(Deserialize)]
struct Stored {
    format: u32,
    manifest: Manifest,
    runs: Vec<Run>,
}

/// Writes every export, every figure and [`REPORT_JSON`] into a folder, which is made if need be.
///
/// Each file is written beside its place and then renamed, so that it is old or new but never half.
///
/// # Errors
///
/// If the folder cannot be made or a file cannot be written; files written before stay.
pub fn write_all(dir: &Path, comparison: &Comparison) -> Result<Written, ReportError> {
    let mut written = write_data(dir, comparison)?;
    for export in exports::ALL.iter().filter(|it| it.has_figures) {
        written.put(dir, export.file, &(export.render)(comparison)?)?;
    }
    for figure in figures::ALL {
        let scene = (figure.draw)(comparison);
        let name = |ending: &str| format!("figures/{}.{ending}", figure.name);
        written.put(dir, &name("svg"), figures::svg::render(&scene).as_bytes())?;
        written.put(dir, &name("png"), &figures::png::render(&scene)?)?;
    }
    Ok(written)
}

/// As [`write_all`], without figures and what shows them.
///
/// # Errors
///
/// As [`write_all`].
pub fn write_data(dir: &Path, comparison: &Comparison) -> Result<Written, ReportError> {
    let mut written = Written::default();
    written.put(dir, REPORT_JSON, &report_json(comparison)?)?;
    for export in exports::ALL.iter().filter(|it| !it.has_figures) {
        written.put(dir, export.file, &(export.render)(comparison)?)?;
    }
    Ok(written)
}

/// Everything from which [`Comparison::load`] makes the same comparison again.
fn report_json(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let stored =
        StoredRef { format: FORMAT, manifest: comparison.manifest(), runs: comparison.runs() };
    // Not for people, and large: no white space.
    let mut bytes = serde_json::to_vec(&stored)
        .map_err(|it| ReportError::Make { name: REPORT_JSON.to_owned(), why: it.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// JSON with a line break at its end.
pub(crate) fn to_json(name: &str, value: &impl Serialize) -> Result<Vec<u8>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|it| ReportError::Make { name: name.to_owned(), why: it.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes one file whole or not at all, with the folders above it.
///
/// # Errors
///
/// [`ReportError::Folder`] or [`ReportError::Write`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .map_err(|source| ReportError::Folder { path: folder.to_owned(), source })?;
    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = folder.join(name);
    let result = (|| {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&part, path)
    })();
    result.map_err(|source| {
        // What could not be finished must not lie about; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&part);
        failed(source)
    })
}

impl Comparison {
    /// Reads the comparison that [`write_all`] left in a folder.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not of this version.
    pub fn load(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join(REPORT_JSON);
        let bytes =
            fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
        let foreign = |why: String| ReportError::Foreign { path: path.clone(), why };
        let stored: Stored =
            serde_json::from_slice(&bytes).map_err(|it| foreign(it.to_string()))?;
        if stored.format != FORMAT {
            return Err(foreign(format!("its format is {}, not {FORMAT}", stored.format)));
        }
        for run in &stored.runs {
            if run.report.columns.len() != run.report.values.len() {
                let RunKey { policy, seed } = &run.key;
                let why = format!("{policy} seed {seed} has not one value per column");
                return Err(foreign(why));
            }
        }
        let runs: Vec<(RunKey, RunReport)> =
            stored.runs.into_iter().map(|it| (it.key, it.report)).collect();
        Ok(Self::new(stored.manifest, runs))
    }
}
