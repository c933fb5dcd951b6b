//! The comparison as a table for a terminal.

use crate::column::Unit;
use crate::comparison::{Comparison, MetricRow, Standing};
use crate::number::Scale;
use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width,
};

/// How a table may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStyle {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether the best may be shown in bold, in addition to its sign. Only for terminals.
    pub bold: bool,
}

impl Default for TableStyle {
    fn default() -> Self {
        Self { width: 100, bold: false }
    }
}

/// Longest line of a policy's name; the rest goes on the next.
const NAME_WIDTH: u16 = 28;

/// The headline metrics of every policy, best of each column marked, with what the signs mean and what
/// the reader must know. Columns that do not fit beside each other follow in a second table.
pub fn table(comparison: &Comparison, style: TableStyle) -> String {
    let rows: Vec<&MetricRow> = comparison.headlines().collect();
    if comparison.policies().is_empty() {
        return "No run finished.\n".to_owned();
    }
    let longest = comparison.policies().iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let name_width = u16::try_from(longest).unwrap_or(u16::MAX).clamp(6, NAME_WIDTH);
    let mut out = String::new();
    let mut start = 0;
    while start < rows.len() {
        let mut end = start;
        let mut used = name_width;
        while end < rows.len() {
            let next = used + 2 + column_width(comparison, rows[end]);
            if end > start && next > style.width {
                break;
            }
            used = next;
            end += 1;
        }
        out += &part(comparison, &rows[start..end], name_width, style);
        out.push('\n');
        start = end;
    }
    for line in legend(comparison, &rows) {
        out += &line;
        out.push('\n');
    }
    out
}

/// What a cell says: value, half interval, sign.
fn cell_text(comparison: &Comparison, row: &MetricRow, policy: usize) -> String {
    let scale = Scale::of_row(row);
    let cell = &row.cells[policy];
    let Some(mean) = cell.mean else { return "-  ".to_owned() };
    let spread = match cell.ci95_half {
        Some(half) if !comparison.is_exact() => format!(" ±{}", scale.spread(half)),
        _ => String::new(),
    };
    // The sign has its own column of text, so that numbers stay aligned.
    let sign = match cell.standing {
        Standing::Best => " *",
        Standing::Tied => " =",
        Standing::Behind | Standing::Unranked => "  ",
    };
    format!("{}{spread}{sign}", scale.bare(mean))
}

fn column_width(comparison: &Comparison, row: &MetricRow) -> u16 {
    let cells = (0..row.cells.len()).map(|it| cell_text(comparison, row, it).chars().count());
    let words = head(row);
    let words = words.lines().map(|it| it.chars().count());
    cells.chain(words).max().unwrap_or(0) as u16
}

/// A heading of short lines, the unit in the last.
fn head(row: &MetricRow) -> String {
    let scale = Scale::of_row(row);
    let mut lines: Vec<String> = vec![String::new()];
    for word in row.column.title.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.len() + word.len() < 12 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if !scale.label().is_empty() {
        lines.push(format!("[{}]", scale.label()));
    }
    // Room for the sign, so that the heading ends where the numbers do.
    lines.iter().map(|it| format!("{it}  ")).collect::<Vec<_>>().join("\n")
}

fn part(
    comparison: &Comparison,
    rows: &[&MetricRow],
    name_width: u16,
    style: TableStyle,
) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    if style.bold {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut heads = vec![Cell::new("policy")];
    heads.extend(rows.iter().map(|it| Cell::new(head(it)).set_alignment(CellAlignment::Right)));
    table.set_header(heads);
    for (it, policy) in comparison.policies().iter().enumerate() {
        let mut cells = vec![Cell::new(broken(policy, usize::from(name_width)))];
        for row in rows {
            let cell =
                Cell::new(cell_text(comparison, row, it)).set_alignment(CellAlignment::Right);
            let is_marked = row.cells[it].standing == Standing::Best;
            cells.push(if style.bold && is_marked {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            });
        }
        table.add_row(cells);
    }
    for (it, column) in table.column_iter_mut().enumerate() {
        column.set_padding(if it == 0 { (0, 0) } else { (2, 0) });
        if it == 0 {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(name_width)));
        }
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A long name in lines, broken after a comma, colon or parenthesis where there is one.
fn broken(name: &str, width: usize) -> String {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = name.chars().collect();
    while rest.len() > width {
        let at = rest[..width]
            .iter()
            .rposition(|it| matches!(it, ',' | ':' | ')' | ';' | ' '))
            .map_or(width, |it| it + 1);
        // What is continued is indented by one, which the next line has to pay for.
        let tail = rest.split_off(at);
        lines.push(rest.iter().collect::<String>());
        rest = std::iter::once(' ').chain(tail).collect();
    }
    lines.push(rest.iter().collect());
    lines.join("\n")
}

fn legend(comparison: &Comparison, rows: &[&MetricRow]) -> Vec<String> {
    let n = comparison.seeds().len();
    let mut lines = Vec::new();
    let any_mark = rows.iter().any(|it| it.best.is_some());
    let any_tie = rows.iter().any(|it| has_tie(it));
    let any_ratio =
        rows.iter().any(|it| it.best.is_some() && matches!(it.column.unit, Unit::Us | Unit::Ratio));
    if any_mark {
        lines.push(match () {
            _ if n == 1 && any_tie => {
                "* best on this one input, = level (< 0.05 %); with one seed the spread is unknown"
                    .to_owned()
            }
            _ if n == 1 => "* best on this one input; with one seed the spread is unknown".to_owned(),
            _ if comparison.is_exact() => {
                "* best, = level (< 0.05 %); exact: input and policy do not depend on the seed".to_owned()
            }
            _ if any_tie => format!(
                "* best mean, = not told apart from it by {n} seeds (paired, 95 %, Holm); ± 95 % interval"
            ),
            _ => format!("* best mean of {n} seeds (paired, 95 %, Holm); ± 95 % interval"),
        });
        if any_ratio && n > 1 && !comparison.is_exact() {
            lines
                .push("  durations and slowdowns as ratios: durations of (1 s + value)".to_owned());
        }
    }
    lines.extend(comparison.warnings().into_iter().map(|it| format!("! {it}")));
    lines
}

fn has_tie(row: &MetricRow) -> bool {
    row.cells.iter().any(|it| it.standing == Standing::Tied)
}
