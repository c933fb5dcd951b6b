//! Wait: how long a task is in the queue before it is first placed.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::column::{Better, Card, Column, Unit};
use crate::durations::Durations;
use crate::run_report::EcdfPoint;
use cluster::event::{Change, Ending};
use cluster::units::Instant;
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns: none, build: || Box::new(Wait::default()) };

const CARD: Card = Card {
    name: "wait",
    title: "Wait",
    definition: "Time from submission to the first placement, one value per task. A task that still \
        waits for its first placement when the run ends enters with the time it has waited so far, \
        which is a lower bound; wait_open_tasks counts those. Tasks that were dropped or cancelled \
        before being placed do not enter (they are counted under tasks), nor do tasks found running. \
        Mean and maximum are exact; quantiles are at most 0.1 % above the true value.",
    source: "Waiting time as in D. G. Feitelson, Workload Modeling for Computer Systems Performance \
        Evaluation, 2015; quantiles by HdrHistogram with 3 significant digits.",
};

fn columns() -> Vec<Column> {
    let us = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Us, Better::Lower, title, summary)
    };
    vec![
        us("wait_us_mean", "mean wait", "Mean time from submission to first placement.").headline(),
        us("wait_us_p50", "median wait", "Half of the tasks were placed within this time."),
        us("wait_us_p90", "p90 wait", "90 % of the tasks were placed within this time."),
        us("wait_us_p99", "p99 wait", "99 % of the tasks were placed within this time.").headline(),
        us("wait_us_max", "longest wait", "Longest time from submission to first placement."),
        Column::new(
            "wait_open_tasks",
            Unit::Tasks,
            Better::Lower,
            "open waits",
            "Tasks still waiting for their first placement at the end; their waits are lower bounds.",
        ),
    ]
}

#[derive(Default)]
struct Wait {
    ended: Durations,
    /// How many tasks that were never placed wait since each moment.
    open: BTreeMap<Instant, u64>,
    ecdf: Vec<EcdfPoint>,
}

impl Wait {
    /// A task that had waited since `since` waits no longer.
    fn close(&mut self, since: Instant) {
        if let Some(count) = self.open.get_mut(&since) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&since);
            }
        }
    }
}

impl Metric for Wait {
    fn observe(&mut self, at: &Moment<'_>, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Queued { task } if task.attempts == 0 => {
                    *self.open.entry(task.submitted).or_default() += 1;
                }
                Change::Placed { task, .. } if task.attempts == 1 => {
                    self.close(task.submitted);
                    self.ended.record(at.now.since(task.submitted));
                }
                Change::Ended { task, how: Ending::Dropped(_) | Ending::Cancelled, .. }
                    if task.attempts == 0 =>
                {
                    self.close(task.submitted);
                }
                _ => {}
            }
        }
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let mut all = self.ended.clone();
        for (&since, &count) in &self.open {
            all.record_many(at.now.since(since), count);
        }
        let open: u64 = self.open.values().sum();
        out.extend([
            all.mean(),
            all.quantile(0.5),
            all.quantile(0.9),
            all.quantile(0.99),
            all.max(),
            Some(open as f64),
        ]);
        self.ecdf = all.ecdf(200);
    }

    fn wait_ecdf(&self) -> Option<Vec<EcdfPoint>> {
        Some(self.ecdf.clone())
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{check, run};

    /// One node with room for one task at a time.
    const ONE_AT_A_TIME: &str = "
        rules autostart
        0 node a z1 2/4
        0 submit 1 2/4
        0 submit 2 2/4
        5 submit 3 2/4
        10 exit 1 0
        30 exit 2 0
        40 submit 4 2/4
        60 end";

    #[test]
    fn waits_run_from_submission_to_first_placement() {
        // 0 s, 10 s, 25 s; task 4 has waited 20 s and waits on.
        check(
            ONE_AT_A_TIME,
            &[("wait_us_mean", "13750000"), ("wait_us_max", "25000000"), ("wait_open_tasks", "1")],
        );
        let p50 = run(ONE_AT_A_TIME).value("wait_us_p50").unwrap();
        assert!((10e6..=10.01e6).contains(&p50), "{p50}");
    }

    #[test]
    fn a_second_placement_is_no_second_wait() {
        check(
            "rules autostart
             0 node a z1 2/4
             0 submit 1 2/4
             5 lose a
             9 back a
             20 end",
            &[("wait_us_mean", "0"), ("wait_us_max", "0"), ("wait_open_tasks", "0")],
        );
    }

    #[test]
    fn cancelled_dropped_and_adopted_tasks_have_no_wait() {
        check(
            "rules drop
             0 node a z1 2/4
             0 adopt 1 2/4 a
             1 submit 2 2/4
             9 end",
            &[("wait_us_mean", "-"), ("wait_us_p99", "-"), ("wait_open_tasks", "0")],
        );
        check(
            "0 node a z1 2/4
             0 adopt 1 2/4 a
             1 submit 2 2/4
             4 cancel 2
             9 end",
            &[("wait_us_mean", "-"), ("wait_open_tasks", "0")],
        );
    }

    #[test]
    fn the_distribution_holds_every_wait() {
        let points = run(ONE_AT_A_TIME).wait_ecdf;
        let shares: Vec<f64> = points.iter().map(|it| it.share).collect();
        assert_eq!(shares, [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(points[0].value_us, 0);
    }
}
