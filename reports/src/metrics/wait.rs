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
        us("wait_us_mean", "wait, mean", "Mean time from submission to first placement.")
            .headline(),
        us("wait_us_p50", "wait, median", "Half of the tasks were placed within this time."),
        us("wait_us_p90", "wait, p90", "90 % of the tasks were placed within this time."),
        us("wait_us_p99", "wait, p99", "99 % of the tasks were placed within this time.")
            .headline(),
        us("wait_us_max", "wait, longest", "Longest time from submission to first placement."),
        Column::new(
            "wait_open_tasks",
            Unit::Tasks,
            Better::Lower,
            "wait, open at the end",
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
