//! `table.md`: verdict and headline metrics as Markdown, for issues and pull requests.

use super::Entry;
use crate::comparison::{Comparison, MetricRow, Standing};
use crate::number::Scale;
use crate::write::ReportError;

pub(super) const ENTRY: Entry = Entry {
    name: "table-md",
    file: "table.md",
    summary: "verdict and headline metrics as a Markdown table",
    has_figures: false,
    render,
};

fn render(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let rows: Vec<&MetricRow> = comparison.headlines().collect();
    let mut out = format!("{}\n", escaped(&comparison.verdict().sentence));
    if !rows.is_empty() {
        out += "\n| policy |";
        for row in &rows {
            out += &format!(" {} |", escaped(&Scale::of_row(row).titled(&row.column)));
        }
        out += "\n|:--|";
        out += &"--:|".repeat(rows.len());
        out.push('\n');
        for (at, policy) in comparison.policies().iter().enumerate() {
            out += &format!("| {} |", escaped(policy));
            for row in &rows {
                out += &format!(" {} |", cell(comparison, row, at));
            }
            out.push('\n');
        }
        out +=
            "\n**bold** best mean, *italic* not told apart from it; ± 95 % interval over seeds.\n";
    }
    for warning in comparison.warnings() {
        out += &format!("\n> {}\n", escaped(&warning));
    }
    Ok(out.into_bytes())
}

fn cell(comparison: &Comparison, row: &MetricRow, policy: usize) -> String {
    let scale = Scale::of_row(row);
    let cell = &row.cells[policy];
    let Some(mean) = cell.mean else { return String::new() };
    let value = match cell.standing {
        Standing::Best => format!("**{}**", scale.bare(mean)),
        Standing::Tied => format!("*{}*", scale.bare(mean)),
        Standing::Behind | Standing::Unranked => scale.bare(mean),
    };
    match cell.ci95_half {
        Some(half) if !comparison.is_exact() => format!("{value} ± {}", scale.spread(half)),
        _ => value,
    }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '#' | '~' | '&' => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out
}
