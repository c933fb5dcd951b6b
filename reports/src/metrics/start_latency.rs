//! Start latency: from submission to the moment the task runs.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::column::{Better, Card, Column, Unit};
use crate::durations::Durations;
use cluster::event::Facts;
use cluster::ids::NodeId;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns: none };

const CARD: Card = Card {
    name: "start-latency",
    title: "Start latency",
    definition: "Time from submission until all containers of the task run for the first time: wait \
        plus start-up (image pull, container start). Tasks that never ran do not enter, so a policy \
        that leaves tasks waiting looks better here than it is: read it together with wait.",
    source: "Kubernetes' pod startup latency SLI, which however leaves out image pulls; ours keeps \
        whatever the start-up model or the real node takes.",
};

fn columns() -> Vec<Column> {
    let us = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Us, Better::Lower, title, summary)
    };
    vec![
        us("start_latency_us_mean", "mean start latency", "Mean time from submission to running."),
        us(
            "start_latency_us_p50",
            "median start latency",
            "Half of the tasks ran within this time.",
        ),
        us("start_latency_us_p99", "p99 start latency", "99 % of the tasks ran within this time."),
    ]
}

#[derive(Default)]
pub(super) struct StartLatency {
    all: Durations,
}

impl Metric for StartLatency {
    #[inline]
    fn started(&mut self, at: &Moment<'_>, task: &Facts, _: NodeId) {
        if task.attempts == 1 {
            self.all.record(at.now.since(task.submitted));
        }
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.extend([self.all.mean(), self.all.quantile(0.5), self.all.quantile(0.99)]);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn starts_count_from_submission_and_once() {
        // Task 1 runs after 3 s; task 2 never runs; the second start of task 1 is another matter.
        check(
            "0 node a z1 2/4
             0 submit 1 2/4
             0 submit 2 2/4
             3 start 1
             5 lose a
             6 back a
             9 start 1
             20 end",
            &[("start_latency_us_mean", "3000000")],
        );
        check("0 node a z1 2/4\n0 submit 1 2/4\n9 end", &[("start_latency_us_p99", "-")]);
    }
}
