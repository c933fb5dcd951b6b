//! The one place that prints results.

use crate::args::{Format, Global};
use crate::error::Failure;
use cluster::units::Span;
use comfy_table::{ContentArrangement, Table, presets};
use reports::column::Unit;
use reports::comparison::Comparison;
use reports::exports;
use reports::number::Scale;
use reports::table::{TableStyle, table};
use std::io::{IsTerminal, Write};

/// Writes to standard output. A reader that has gone away ends the command quietly.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn text(text: &str) -> Result<(), Failure> {
    reaches(text).map(drop)
}

/// As [`text`], for commands that print until they are stopped: `false` if nobody reads any longer.
///
/// # Errors
///
/// As [`text`].
pub fn reaches(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("cannot print: {error}"))),
    }
}

/// Writes one line to standard output.
///
/// # Errors
///
/// As [`text`].
pub fn line(line: &str) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// A length of time for people, in a unit that suits it.
pub fn time(span: Span) -> String {
    let us = span.0 as f64;
    Scale::of(Unit::Us, [us]).full(us)
}

/// Writes a warning to standard error, beside the results.
#[expect(clippy::print_stderr, reason = "the one place that prints warnings")]
pub fn note(text: &str) {
    eprintln!("warning: {text}");
}

/// An empty table without lines, for lists; as wide as a terminal usually is.
pub fn columns(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(100).set_header(header);
    table
}

/// Refuses `--format csv` where there is no table of rows to print.
///
/// # Errors
///
/// If it was asked for.
pub fn no_csv(global: &Global) -> Result<(), Failure> {
    match global.format {
        Format::Csv => Err(Failure::new("this has no CSV form").help("use --format json or table")),
        Format::Json | Format::Table => Ok(()),
    }
}

/// Prints a value as JSON.
///
/// # Errors
///
/// As [`text`].
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|it| Failure::new(format!("cannot make JSON: {it}")))?;
    line(&json)
}

/// Prints a comparison as it is asked for.
///
/// # Errors
///
/// As [`text`].
pub fn comparison(comparison: &Comparison, global: &Global, several: bool) -> Result<(), Failure> {
    let export = |name: &str| -> Result<(), Failure> {
        let entry = exports::find(name).expect("the list of exports has this one");
        text(&String::from_utf8_lossy(&(entry.render)(comparison)?))
    };
    match global.format {
        Format::Json => export("summary-json"),
        Format::Csv => export("summary-csv"),
        Format::Table => {
            let terminal = std::io::stdout().is_terminal();
            text(&table(comparison, TableStyle { bold: terminal, ..TableStyle::default() }))?;
            if several {
                let verdict = comparison.verdict();
                line(&format!("\n{}", verdict.sentence))?;
                for sentence in verdict.support {
                    line(&format!("  {sentence}"))?;
                }
            }
            if let Some(zones) = &comparison.manifest().synthetic_zones {
                line(&format!("\nZones are synthetic: {zones}."))?;
            }
            for warning in &comparison.manifest().warnings {
                line(&format!("\n{warning}"))?;
            }
            Ok(())
        }
    }
}
