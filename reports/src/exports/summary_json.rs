//! `summary.json`: the numbers of every run, statistics per policy, and the verdict.

use super::Entry;
use crate::comparison::{Comparison, MetricRow};
use crate::verdict::Verdict;
use crate::write::{ReportError, to_json};
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry = Entry {
    name: "summary-json",
    file: "summary.json",
    summary: "numbers of every run, statistics per policy, verdict",
    has_figures: false,
    render,
};

#[derive(Serialize)]
struct Summary<'a> {
    version: &'a str,
    trace: &'a str,
    synthetic_zones: &'a Option<String>,
    interrupted: bool,
    policies: &'a [String],
    seeds: &'a [u64],
    verdict: Verdict,
    runs: Vec<RunSummary<'a>>,
    metrics: &'a [MetricRow],
}

#[derive(Serialize)]
struct RunSummary<'a> {
    policy: &'a str,
    seed: u64,
    start_us: u64,
    end_us: u64,
    notes: &'a [String],
    values: BTreeMap<&'a str, Option<f64>>,
}

fn render(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let manifest = comparison.manifest();
    let runs = comparison.runs().iter().map(|run| RunSummary {
        policy: &run.key.policy,
        seed: run.key.seed,
        start_us: run.report.start.0,
        end_us: run.report.end.0,
        notes: &run.report.notes,
        values: run
            .report
            .columns
            .iter()
            .zip(&run.report.values)
            .map(|(column, &value)| (column.name.as_str(), value))
            .collect(),
    });
    let summary = Summary {
        version: &manifest.version,
        trace: &manifest.trace.name,
        synthetic_zones: &manifest.synthetic_zones,
        interrupted: manifest.interrupted,
        policies: comparison.policies(),
        seeds: comparison.seeds(),
        verdict: comparison.verdict(),
        runs: runs.collect(),
        metrics: comparison.metrics(),
    };
    to_json(ENTRY.file, &summary)
}
