//! Small CSV files without quotes, their columns found by name.

use super::text;
use crate::error::Failure;
use std::path::{Path, PathBuf};

/// A small CSV file, its columns found by name.
pub(super) struct Csv {
    path: PathBuf,
    pub(super) header: Vec<String>,
    /// With their line numbers.
    pub(super) rows: Vec<(u64, Vec<String>)>,
}

impl Csv {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = text(path)?;
        let cells = |line: &str| line.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
        let mut lines = text.lines().zip(1u64..).filter(|it| !it.0.trim().is_empty());
        let header = lines.next().map(|it| cells(it.0)).unwrap_or_default();
        let rows: Vec<_> = lines.map(|(line, number)| (number, cells(line))).collect();
        if let Some((line, row)) = rows.iter().find(|it| it.1.len() != header.len()) {
            let (path, found, wanted) = (path.display(), row.len(), header.len());
            return Err(Failure::new(format!(
                "{path}:{line}: {found} cells, the header has {wanted}"
            )));
        }
        Ok(Self { path: path.to_owned(), header, rows })
    }

    pub(super) fn text(
        &self,
        (line, row): &(u64, Vec<String>),
        column: &str,
    ) -> Result<String, Failure> {
        let at = self.header.iter().position(|it| it == column);
        at.and_then(|at| row.get(at)).cloned().ok_or_else(|| {
            Failure::new(format!("{}:{line}: there is no column {column}", self.path.display()))
        })
    }

    pub(super) fn number(&self, row: &(u64, Vec<String>), column: &str) -> Result<f64, Failure> {
        let text = self.text(row, column)?;
        text.parse().ok().filter(|it: &f64| it.is_finite()).ok_or_else(|| {
            let (path, line) = (self.path.display(), row.0);
            Failure::new(format!("{path}:{line}: {column} is {text:?}, which is no number"))
        })
    }

    pub(super) fn whole(&self, row: &(u64, Vec<String>), column: &str) -> Result<u64, Failure> {
        let text = self.text(row, column)?;
        text.parse().map_err(|_| {
            let (path, line) = (self.path.display(), row.0);
            Failure::new(format!("{path}:{line}: {column} is {text:?}, which is no whole number"))
        })
    }
}
