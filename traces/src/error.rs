//! What can be wrong with a trace: one enum that holds data. The cli adds the text around it.

use cluster::demand::Resource;
use thiserror::Error;

/// A place in a text, with the text, so that a label can be drawn under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it, or as it was found in a folder.
    pub path: String,
    /// Counts from 1; 0 where the place is the file as a whole.
    pub line: u64,
    /// Byte offset of the field within the line, counted from 1; 0 where no field is meant.
    pub column: usize,
    /// Length of the field in bytes.
    pub length: usize,
    /// The whole line.
    pub text: String,
}

/// `path:line:column`, as far as known.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// Why a trace, a cluster or an option cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The operating system refuses.
    #[error("{path}: {reason}")]
    Unreadable {
        /// What was to be read.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The operating system refuses to write.
    #[error("{path} cannot be written: {reason}")]
    Unwritable {
        /// What was to be written; nothing of that name was left half done.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// Compressed data ends early or is damaged.
    #[error("{path}: gzip data is damaged after line {line}: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// The last line that could be read.
        line: u64,
        /// What the decompressor says.
        reason: String,
    },
    /// Bytes that are not text.
    #[error("{place}: not text")]
    NotText {
        /// Where the first such byte stands.
        place: Box<Place>,
    },
    /// There is nothing in it.
    #[error("{path}: holds no {wanted}")]
    Empty {
        /// The file or folder.
        path: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// No known format starts like this file, or the folder has no such file.
    #[error("{path}: not a trace of a known format")]
    NotRecognised {
        /// The file or folder.
        path: String,
        /// What it starts with, or which files it holds.
        found: String,
    },
    /// More than one reading is possible.
    #[error("{path}: several {what} to choose from")]
    Ambiguous {
        /// The file or folder.
        path: String,
        /// What there are several of.
        what: &'static str,
        /// How to say which one is meant.
        choices: Vec<String>,
    },
    /// A name that does not exist.
    #[error("unknown {what} {found:?}")]
    Unknown {
        /// What sort of name.
        what: &'static str,
        /// As it was given.
        found: String,
        /// Known names, nearest first, at most three.
        nearest: Vec<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// An option that cannot be understood.
    #[error("option {option} is {found:?}, which is not {wanted}")]
    BadOption {
        /// Its name.
        option: String,
        /// As it was given.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// A line with too few or too many columns.
    #[error("{place}: {found} columns where {format} has {wanted}")]
    Columns {
        /// Where.
        place: Box<Place>,
        /// The format that was assumed.
        format: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: String,
    },
    /// A row that does not have the fields that its header names.
    #[error("{place}: the row has {found} fields, the header names {wanted}")]
    RowLength {
        /// Where.
        place: Box<Place>,
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
        /// Whether a quote is opened on the line and not closed.
        has_open_quote: bool,
    },
    /// Tasks there were, but none that the options leave.
    #[error("{path}: {option} leaves none of {tasks} tasks")]
    NoneLeft {
        /// What was read.
        path: String,
        /// The options that can do so, as they were given.
        option: String,
        /// How many tasks there were.
        tasks: usize,
    },
    /// A column name that the format does not have.
    #[error("{place}: unknown column {found:?}")]
    UnknownColumn {
        /// Where.
        place: Box<Place>,
        /// As it stands there.
        found: String,
        /// Known names, nearest first, at most three.
        nearest: Vec<String>,
    },
    /// A column that is needed and not there.
    #[error("{place}: no column {wanted}")]
    MissingColumn {
        /// The header line.
        place: Box<Place>,
        /// Names that would do.
        wanted: &'static str,
    },
    /// A field that cannot be understood.
    #[error("{place}: {field} is {found:?}, which is not {wanted}")]
    Field {
        /// Where.
        place: Box<Place>,
        /// The column.
        field: String,
        /// What stands there.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// A text that is no JSON.
    #[error("{place}: {reason}")]
    Json {
        /// Where.
        place: Box<Place>,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of a JSON text that will not do.
    #[error("{place}: {}{reason}", way(field, " "))]
    Value {
        /// Where.
        place: Box<Place>,
        /// The way to it, such as `nodes[2].taints[0]`.
        field: String,
        /// What is wrong with it.
        reason: String,
        /// What would do; empty where the reason says it.
        wanted: String,
    },
    /// A field of a JSON object that is needed and not there.
    #[error("{place}: {}has no {wanted:?}", way(field, " "))]
    MissingField {
        /// Where the object begins.
        place: Box<Place>,
        /// The way to the object; empty for the whole.
        field: String,
        /// The name of the field.
        wanted: &'static str,
    },
    /// A name in a JSON text that nothing has.
    #[error("{place}: {}unknown {what} {found:?}", way(field, ": "))]
    UnknownName {
        /// Where.
        place: Box<Place>,
        /// The way to it.
        field: Box<str>,
        /// What sort of name.
        what: &'static str,
        /// As it stands there.
        found: String,
        /// Known names, nearest first, at most three.
        nearest: Vec<String>,
        /// Known names, the first twenty.
        known: Vec<String>,
    },
    /// Times that go back in a file that is sorted by definition.
    #[error("{place}: time goes back from {before} to {found}")]
    Backwards {
        /// Where.
        place: Box<Place>,
        /// The time of the line before.
        before: String,
        /// The time of this line.
        found: String,
    },
    /// A name that must be unique stands there twice.
    #[error("{place}: {what} {name:?} is there already")]
    Repeated {
        /// Where, the second time.
        place: Box<Place>,
        /// What sort of name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A node event that cannot happen to the node as it is then.
    #[error("{place}: node {node:?} {found}")]
    NodeState {
        /// Where.
        place: Box<Place>,
        /// The node.
        node: String,
        /// What is impossible.
        found: &'static str,
    },
    /// A task that fits no node, not even when all are empty.
    #[error("{place}: task {task} asks for {wants}")]
    Oversized {
        /// Where the task stands.
        place: Box<Place>,
        /// Its name.
        task: String,
        /// What it asks for and no node has, in words.
        wants: String,
        /// How many tasks are like that, this one included.
        count: u64,
    },
    /// More than sums can hold.
    #[error("the nodes have {sum} of {resource} together (in thousandths of a core, or bytes)")]
    ClusterTooLarge {
        /// Of what.
        resource: Resource,
        /// How much, in the smallest unit.
        sum: u128,
    },
    /// Zones are to follow a label that a node lacks.
    #[error("node {node:?} has no label {label:?}")]
    NoLabel {
        /// The first such node.
        node: String,
        /// The label.
        label: String,
        /// Labels that it has.
        known: Vec<String>,
    },
    /// A recipe that cannot be followed.
    #[error("recipe: {reason}")]
    Recipe {
        /// What is wrong with it.
        reason: String,
    },
    /// A column file that cannot be used.
    #[error("{path}: {reason}")]
    ColumnFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The user stopped a conversion.
    #[error("interrupted; {parts} parts of the trace that were read are kept in {folder}")]
    Interrupted {
        /// Where.
        folder: String,
        /// How many.
        parts: usize,
    },
    /// A stream that could not be read to its end.
    #[error("stream: {reason}")]
    Stream {
        /// What it says.
        reason: String,
    },
}

impl TraceError {
    /// Where in a text it is, if it is in one.
    pub fn span(&self) -> Option<&Place> {
        match self {
            Self::NotText { place }
            | Self::Columns { place, .. }
            | Self::RowLength { place, .. }
            | Self::UnknownColumn { place, .. }
            | Self::MissingColumn { place, .. }
            | Self::Field { place, .. }
            | Self::Json { place, .. }
            | Self::Value { place, .. }
            | Self::MissingField { place, .. }
            | Self::UnknownName { place, .. }
            | Self::Backwards { place, .. }
            | Self::Repeated { place, .. }
            | Self::NodeState { place, .. }
            | Self::Oversized { place, .. } => Some(place),
            _ => None,
        }
    }

    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "check that the path exists and may be read; built-in workloads are `builtin:NAME`"
                    .into()
            }
            Self::Unwritable { .. } => {
                "make room on that disk, or choose another folder that you may write to with --out"
                    .into()
            }
            Self::Damaged { .. } => {
                "the file was probably cut while it was copied: fetch it again, or `gzip -t` it"
                    .into()
            }
            Self::NotText { .. } => {
                "traces are text or gzip of text; unpack archives such as .tar or .zip first".into()
            }
            Self::Empty { wanted, .. } => format!("give a file or folder with {wanted}"),
            Self::NotRecognised { found, .. } => format!(
                "found {found}; force a format with FORMAT:PATH, `bayplan trace formats` lists them"
            ),
            Self::Ambiguous { choices, .. } => format!("say which one: {}", choices.join(", ")),
            Self::Unknown { nearest, known, .. } => did_you_mean(nearest, known),
            Self::BadOption { option, wanted, .. } => format!("give {option} as {wanted}"),
            Self::Columns { format, wanted, .. } => format!(
                "{format} lines have {wanted} columns; `bayplan trace formats {format}` describes them"
            ),
            Self::RowLength { has_open_quote: true, .. } => {
                "a quote is opened on this line and not closed".into()
            }
            Self::RowLength { .. } => {
                "give every row as many fields as the header, empty ones included".into()
            }
            Self::NoneLeft { .. } => "give a larger number, or leave the option out".into(),
            Self::UnknownColumn { nearest, .. } => did_you_mean(nearest, &[]),
            Self::MissingColumn { wanted, .. } => {
                format!("add {wanted} to the header line; the unit stands in the name")
            }
            Self::Field { wanted, .. } => format!("write {wanted} there, or take the line out"),
            Self::Json { .. } => {
                "correct the JSON there; it has no comments, and no comma before a closing bracket"
                    .into()
            }
            Self::Value { wanted, .. } if wanted.is_empty() => {
                "`bayplan trace formats scenario` describes the fields".into()
            }
            Self::Value { wanted, .. } => format!("write {wanted}"),
            Self::MissingField { wanted, .. } => format!("add {wanted:?} to that object"),
            Self::UnknownName { what, known, .. } if known.is_empty() => {
                format!("there is no {what} at all")
            }
            Self::UnknownName { nearest, known, .. } => did_you_mean(nearest, known),
            Self::Backwards { .. } => {
                "this format is sorted by time; check that the parts are complete and in order"
                    .into()
            }
            Self::Repeated { what, .. } => format!("give every {what} a name of its own"),
            Self::NodeState { .. } => {
                "a node joins first, is lost or drains after that, and returns from either".into()
            }
            Self::Oversized { count, .. } => format!(
                "{count} such: give larger nodes or an over-commit factor, or say what to do with \
                 `--oversized drop` or `--oversized keep`"
            ),
            Self::ClusterTooLarge { .. } => {
                "give fewer or smaller nodes: together at most 2^63 of each resource".into()
            }
            Self::NoLabel { known, .. } if known.is_empty() => {
                "the nodes have no labels: use `by=hash`".into()
            }
            Self::NoLabel { known, .. } => format!("labels are {}", known.join(", ")),
            Self::Recipe { .. } => {
                "start from a recipe that works: `bayplan trace generate --print-recipe`".into()
            }
            Self::ColumnFile { .. } => {
                "convert the trace again: `bayplan trace convert TRACE --out FILE.bpc`".into()
            }
            Self::Interrupted { parts: 0, .. } => "the same command begins anew".into(),
            Self::Interrupted { .. } => "the same command goes on from there".into(),
            Self::Stream { .. } => "see the message of its source".into(),
        }
    }

    /// An unknown name with its nearest neighbours among `known`.
    pub(crate) fn unknown<'a>(
        what: &'static str,
        found: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        let nearest = nearest(found, known.iter().map(String::as_str));
        Self::Unknown { what, found: found.into(), nearest, known }
    }
}

/// The way to a field with something behind it; nothing for a document as a whole.
fn way(field: &str, glue: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}{glue}") }
}

fn did_you_mean(nearest: &[String], known: &[String]) -> String {
    match (nearest, known) {
        ([], []) => "see `bayplan trace formats`".into(),
        ([], known) => format!("known are {}", known.join(", ")),
        ([first, ..], []) => format!("did you mean {first}? see `bayplan trace formats`"),
        ([first, ..], known) => format!("did you mean {first}? known are {}", known.join(", ")),
    }
}

/// The known names that look most like `found`, best first, at most three.
pub(crate) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|it| (strsim::jaro_winkler(&found.to_lowercase(), &it.to_lowercase()), it))
        .filter(|(likeness, _)| *likeness > 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, it)| it.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name() {
        for (found, want) in [("opneb", "openb"), ("gogle-2011", "google-2011"), ("SWF", "swf")] {
            let names = ["bayplan", "openb", "google-2011", "swf", "orlib"];
            assert_eq!(nearest(found, names.into_iter()).first().map(String::as_str), Some(want));
        }
        assert!(nearest("xyzzy", ["bayplan", "openb"].into_iter()).is_empty());
    }
}
