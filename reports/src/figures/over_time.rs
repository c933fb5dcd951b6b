//! Sample columns over time: one line per policy, the mean over its seeds.

use super::chart::{Axis, Panel};
use super::scene::Scene;
use crate::comparison::{Comparison, Run};

/// Points of a line; finer than a figure can show.
const STEPS: usize = 240;

/// Units of time for an axis, in microseconds, longest first.
const UNITS: [(f64, &str); 6] =
    [(86_400e6, "days"), (3_600e6, "h"), (60e6, "min"), (1e6, "s"), (1e3, "ms"), (1.0, "µs")];

/// Whether any run has a value in the sample column.
pub(super) fn has_values(comparison: &Comparison, column: &str) -> bool {
    comparison
        .runs()
        .iter()
        .any(|run| run.report.samples.series(column).iter().any(|it| it.1.is_some()))
}

/// Draws a sample column that is a share, as a panel of percent over time.
pub(super) fn percent_panel(
    scene: &mut Scene,
    comparison: &Comparison,
    column: &str,
    title: &str,
    (top, height): (f64, f64),
) {
    let starts = comparison.runs().iter().map(|it| it.report.start.0);
    let start = starts.min().unwrap_or(0) as f64;
    let ends = comparison.runs().iter().map(|it| it.report.end.0);
    let end = (ends.max().unwrap_or(0) as f64).max(start + 1.0);
    let (unit, name) =
        UNITS.into_iter().find(|it| (end - start) / it.0 >= 2.0).unwrap_or((1.0, "µs"));
    let x =
        Axis::exact(0.0, (end - start) / unit, 8, format!("time since the first event [{name}]"));

    let lines: Vec<Vec<(f64, Option<f64>)>> = comparison
        .policies()
        .iter()
        .map(|policy| {
            let runs: Vec<&Run> = comparison.runs_of(policy).collect();
            mean_line(&runs, column, start, end)
                .into_iter()
                .map(|(time, value)| ((time - start) / unit, value.map(|it| it * 100.0)))
                .collect()
        })
        .collect();
    let highest = lines.iter().flatten().filter_map(|it| it.1).fold(0.0, f64::max);
    let panel = Panel::wide(top, height, x, Axis::percent(highest, title.to_owned()));
    panel.frame(scene);
    for (policy, line) in lines.iter().enumerate() {
        panel.series(scene, policy, lines.len(), line);
    }
}

/// When a run was over, and its samples.
type Series = (f64, Vec<(u64, Option<f64>)>);

/// The mean over runs at even steps of time. Each sample holds until the next; where a run has no value
/// or is over, the mean has none either.
fn mean_line(runs: &[&Run], column: &str, start: f64, end: f64) -> Vec<(f64, Option<f64>)> {
    let series: Vec<Series> =
        runs.iter().map(|it| (it.report.end.0 as f64, it.report.samples.series(column))).collect();
    (0..=STEPS)
        .map(|step| {
            let time = start + (end - start) * step as f64 / STEPS as f64;
            let mut sum = 0.0;
            for (over, samples) in &series {
                let next = samples.partition_point(|it| it.0 as f64 <= time);
                let held = next.checked_sub(1).and_then(|it| samples[it].1);
                match held.filter(|_| time <= *over) {
                    Some(value) => sum += value,
                    None => return (time, None),
                }
            }
            (time, (!series.is_empty()).then(|| sum / series.len() as f64))
        })
        .collect()
}
