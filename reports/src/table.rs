//! The comparison as a table for a terminal.

use crate::comparison::Comparison;

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

/// The headline metrics of every policy.
pub fn table(_comparison: &Comparison, _style: TableStyle) -> String {
    String::new()
}
