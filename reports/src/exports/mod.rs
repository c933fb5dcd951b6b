//! Files made from a comparison: one file of code each, and one list.
//!
//! To add one: write `exports/x.rs` with an `ENTRY`, and add the two lines `mod x;` and `x::ENTRY`.
//! Every metric is in every export; nothing has to be listed twice.

mod report_html;
mod samples_csv;
mod summary_csv;
mod summary_json;
mod table_md;

use crate::comparison::Comparison;
use crate::write::ReportError;

/// All exports, in the order in which they are written.
pub const ALL: &[Entry] = &[
    summary_csv::ENTRY,
    summary_json::ENTRY,
    samples_csv::ENTRY,
    table_md::ENTRY,
    report_html::ENTRY,
];

/// An export in the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// For `--export NAME=PATH`.
    pub name: &'static str,
    /// Its name in a run folder.
    pub file: &'static str,
    /// One line about what it holds.
    pub summary: &'static str,
    /// Whether figures are drawn for it.
    pub has_figures: bool,
    /// Its bytes.
    pub render: fn(&Comparison) -> Result<Vec<u8>, ReportError>,
}

/// The export of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|it| it.name == name)
}

/// An error of the CSV writer as ours.
fn csv_failed(name: &str, why: impl std::fmt::Display) -> ReportError {
    ReportError::Make { name: name.to_owned(), why: why.to_string() }
}

/// Shortest text that reads back as the same number; missing is empty.
fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |it| it.to_string())
}
