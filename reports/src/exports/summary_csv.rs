//! `summary.csv`: one row per policy and seed, one column per number.

use super::{Entry, csv_failed, number};
use crate::comparison::Comparison;
use crate::write::ReportError;

pub(super) const ENTRY: Entry = Entry {
    name: "summary-csv",
    file: "summary.csv",
    summary: "one row per policy and seed, all columns",
    has_figures: false,
    render,
};

fn render(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let failed = |it: csv::Error| csv_failed(ENTRY.file, it);
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut head = vec!["policy".to_owned(), "seed".to_owned()];
    head.extend(comparison.metrics().iter().map(|it| it.column.name.clone()));
    csv.write_record(&head).map_err(failed)?;
    for run in comparison.runs() {
        let mut row = vec![run.key.policy.clone(), run.key.seed.to_string()];
        let columns = comparison.metrics().iter().map(|it| &it.column.name);
        row.extend(columns.map(|it| number(run.report.value(it))));
        csv.write_record(&row).map_err(failed)?;
    }
    csv.into_inner().map_err(|it| csv_failed(ENTRY.file, it))
}
