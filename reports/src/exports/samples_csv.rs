//! `samples.csv`: the time series of every run, one row per sample.

use super::{Entry, csv_failed, number};
use crate::comparison::Comparison;
use crate::write::ReportError;

pub(super) const ENTRY: Entry = Entry {
    name: "samples-csv",
    file: "samples.csv",
    summary: "the time series of every run",
    has_figures: false,
    render,
};

fn render(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let failed = |it: csv::Error| csv_failed(ENTRY.file, it);
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut head = vec!["policy".to_owned(), "seed".to_owned(), "time_us".to_owned()];
    if let Some(run) = comparison.runs().first() {
        head.extend(run.report.samples.columns.iter().map(|it| it.name.clone()));
    }
    csv.write_record(&head).map_err(failed)?;
    for run in comparison.runs() {
        for sample in &run.report.samples.rows {
            let mut row =
                vec![run.key.policy.clone(), run.key.seed.to_string(), sample.time_us.to_string()];
            row.extend(sample.values.iter().map(|&it| number(it)));
            csv.write_record(&row).map_err(failed)?;
        }
    }
    csv.into_inner().map_err(|it| csv_failed(ENTRY.file, it))
}
