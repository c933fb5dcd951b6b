//! Cumulative distribution of waits.

use super::Entry;
use super::chart::{Axis, Panel, Sheet, averaged_over};
use super::scene::Scene;
use crate::comparison::{Comparison, Run};
use crate::run_report::EcdfPoint;

pub(super) const ENTRY: Entry =
    Entry { name: "wait", title: "How long tasks wait for their first placement", draw };

const HEIGHT: f64 = 330.0;

/// Points of a line.
const STEPS: usize = 240;

/// Marks of a time axis in microseconds.
const TICKS: [(f64, &str); 16] = [
    (1.0, "1 µs"),
    (10.0, "10 µs"),
    (100.0, "100 µs"),
    (1e3, "1 ms"),
    (1e4, "10 ms"),
    (1e5, "100 ms"),
    (1e6, "1 s"),
    (1e7, "10 s"),
    (60e6, "1 min"),
    (600e6, "10 min"),
    (3_600e6, "1 h"),
    (36_000e6, "10 h"),
    (86_400e6, "1 day"),
    (864_000e6, "10 days"),
    (8_640_000e6, "100 days"),
    (86_400_000e6, "1000 days"),
];

fn draw(comparison: &Comparison) -> Scene {
    let points = || comparison.runs().iter().flat_map(|it| &it.report.wait_ecdf);
    let longest = points().map(|it| it.value_us).max();
    let shortest = points().map(|it| it.value_us).filter(|&it| it > 0).min();
    let note = format!(
        "Left edge: that or less, no wait included. Tasks still waiting at the end enter with the \
         time so far. {}",
        averaged_over(comparison)
    );
    let (Some(shortest), Some(longest)) = (shortest, longest) else {
        let mut sheet = Sheet::new(comparison, ENTRY.title, 60.0, false, &note);
        sheet.nothing(match longest {
            Some(_) => placed_at_once(comparison),
            None => "No task was submitted.",
        });
        return sheet.scene;
    };
    let low = TICKS.iter().rev().map(|it| it.0).find(|&it| it <= shortest as f64).unwrap_or(1.0);
    let high = longest as f64 * 1.05;
    // More than six decades leave no room for the part that matters.
    let low = low.max(high / 1e6);
    let low =
        TICKS.iter().map(|it| it.0).find(|&it| it >= low * 0.999).unwrap_or(low).min(high / 2.0);
    let ticks = TICKS.iter().filter(|it| it.0 >= low && it.0 <= high);
    let x = Axis {
        low,
        high,
        is_log: true,
        ticks: ticks.map(|it| (it.0, it.1.to_owned())).collect(),
        title: "wait from submission to first placement (log scale)".to_owned(),
    };
    let mut sheet = Sheet::new(comparison, ENTRY.title, HEIGHT, true, &note);
    let lines: Vec<Vec<(f64, Option<f64>)>> = comparison
        .policies()
        .iter()
        .map(|policy| mean_line(comparison, policy, low, high))
        .collect();
    // Where most tasks do not wait at all, the upper part is all there is to see.
    let lowest = lines.iter().flatten().filter_map(|it| it.1).fold(100.0, f64::min);
    let from = if lowest >= 40.0 { (lowest / 10.0 - 0.5).floor() * 10.0 } else { 0.0 };
    let start = if from > 0.0 { format!(", axis from {from}") } else { String::new() };
    let y = Axis::linear(from, 100.0, 5, format!("tasks that waited at most this long [%]{start}"));
    let panel = Panel::wide(sheet.top, HEIGHT, x, y);
    panel.frame(&mut sheet.scene);
    for (row, line) in lines.iter().enumerate() {
        panel.series(&mut sheet.scene, row, lines.len(), line);
    }
    sheet.scene
}

/// What can be said where nothing waited: tasks that were never placed may not have entered.
fn placed_at_once(comparison: &Comparison) -> &'static str {
    let is_zero = |run: &Run, column: &str| run.report.value(column) == Some(0.0);
    let all_placed = comparison
        .runs()
        .iter()
        .all(|it| is_zero(it, "tasks_unplaced") && is_zero(it, "tasks_dropped"));
    if all_placed {
        "Under every policy every task was placed the moment it was submitted."
    } else {
        "Under every policy every task that was placed was placed at once; some were never placed."
    }
}

/// The mean over seeds of the share of tasks that waited at most each length, in percent.
fn mean_line(
    comparison: &Comparison,
    policy: &str,
    low: f64,
    high: f64,
) -> Vec<(f64, Option<f64>)> {
    let runs: Vec<&Run> =
        comparison.runs_of(policy).filter(|it| !it.report.wait_ecdf.is_empty()).collect();
    (0..=STEPS)
        .map(|step| {
            let value = low * (high / low).powf(step as f64 / STEPS as f64);
            let sum: f64 = runs.iter().map(|it| share_at(&it.report.wait_ecdf, value)).sum();
            (value, (!runs.is_empty()).then(|| 100.0 * sum / runs.len() as f64))
        })
        .collect()
}

/// Share of waits that are at most `value`.
fn share_at(points: &[EcdfPoint], value: f64) -> f64 {
    let next = points.partition_point(|it| it.value_us as f64 <= value);
    next.checked_sub(1).map_or(0.0, |it| points[it].share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Better, Column, Unit};
    use crate::comparison::RunKey;
    use crate::manifest::Manifest;
    use crate::run_report::RunReport;

    #[test]
    fn placed_at_once_is_said_only_of_tasks_that_were_placed() {
        let said = |unplaced: f64, dropped: f64| {
            let column = |name: &str| Column::new(name, Unit::Tasks, Better::Lower, name, "x");
            let columns = vec![column("tasks_unplaced"), column("tasks_dropped")];
            let mut report = RunReport::of_values(columns, vec![Some(unplaced), Some(dropped)]);
            report.wait_ecdf.push(EcdfPoint { value_us: 0, share: 1.0 });
            let key = RunKey { policy: "a".to_owned(), seed: 1 };
            let scene = draw(&Comparison::new(Manifest::default(), vec![(key, report)]));
            format!("{:?}", scene.marks)
        };
        assert!(said(0.0, 0.0).contains("every task was placed the moment"));
        for (unplaced, dropped) in [(1.0, 0.0), (0.0, 1.0)] {
            let text = said(unplaced, dropped);
            assert!(!text.contains("the moment it was submitted"), "{text}");
            assert!(text.contains("every task that was placed was placed at once"), "{text}");
        }
    }
}
