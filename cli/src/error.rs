//! Errors as the user sees them: what, where, why, and what to do next.

use miette::{Diagnostic, LabeledSpan, SourceCode};
use std::fmt;
use std::process::ExitCode;
use traces::error::{Place, TraceError};

/// Everything that ends a command early.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub what: String,
    /// What to do next.
    pub help: Option<String>,
    /// The place in the user's text, if there is one.
    label: Option<Box<Label>>,
    /// How to exit.
    kind: Kind,
}

#[derive(Debug)]
struct Label {
    text: miette::NamedSource<String>,
    at: std::ops::Range<usize>,
    says: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The input is at fault.
    BadInput,
    /// A run found a fault or a difference.
    Found,
    /// The user stopped it.
    Interrupted,
}

impl Failure {
    /// Bad input.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None, label: None, kind: Kind::BadInput }
    }

    /// With what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a mark under part of a text that the user wrote.
    pub fn mark(mut self, name: &str, text: &str, at: std::ops::Range<usize>, says: &str) -> Self {
        let end = at.end.min(text.len());
        let at = at.start.min(end)..end;
        let text = miette::NamedSource::new(name, text.to_owned());
        self.label = Some(Box::new(Label { text, at, says: says.to_owned() }));
        self
    }

    /// The run itself found a fault or a difference: exit code 1.
    pub fn found(mut self) -> Self {
        self.kind = Kind::Found;
        self
    }

    /// The user pressed Ctrl-C: exit code 130.
    pub fn interrupted(mut self) -> Self {
        self.kind = Kind::Interrupted;
        self
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::BadInput => 2,
            Kind::Found => 1,
            Kind::Interrupted => 130,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|it| Box::new(it) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.label.as_ref().map(|it| &it.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.label.as_ref()?;
        let span = LabeledSpan::new_with_span(Some(label.says.clone()), label.at.clone());
        Some(Box::new(std::iter::once(span)))
    }
}

/// A line that is longer than this is not shown.
const SHOWN_LINE_MAX: usize = 400;

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let failure = Self::new(error.to_string()).help(error.help());
        match error.span() {
            Some(Place { path, line, column, length, text })
                if *line > 0 && *column > 0 && text.len() <= SHOWN_LINE_MAX =>
            {
                // The label needs only the one line; empty lines before it make its number right.
                let before = usize::try_from(line - 1).unwrap_or(0).min(100_000_000);
                let shown = format!("{}{text}", "\n".repeat(before));
                let start = before + column - 1;
                failure.mark(path, &shown, start..start + (*length).max(1), "here")
            }
            _ => failure,
        }
    }
}

/// A file operation that failed.
pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "check that the path exists",
        std::io::ErrorKind::PermissionDenied => "check that you may read and write there",
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or choose another folder with --out"
        }
        _ => "check the path, the disk and your rights there",
    };
    Failure::new(format!("cannot {what} {}: {error}", path.display())).help(help)
}

/// `did you mean NAME? ` with the known name most like `found`, or nothing if none is like it.
pub fn did_you_mean<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|it| (strsim::jaro_winkler(found, it), it))
        .filter(|it| it.0 > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    nearest.map_or(String::new(), |it| format!("did you mean {}? ", it.1))
}
