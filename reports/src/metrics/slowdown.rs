//! Bounded slowdown: how much longer a task took than it ran.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::column::{Better, Card, Column, Unit};
use crate::durations::Durations;
use cluster::event::{Ending, Facts};
use cluster::ids::NodeId;
use cluster::units::Span;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns: none };

const CARD: Card = Card {
    name: "slowdown",
    title: "Bounded slowdown",
    definition: "max(1, response ÷ max(run, 10 s)) of each task that ended by itself, where response \
        is the time from submission to the end and run is the time its last attempt ran. Work lost to \
        an interruption therefore counts as waiting. Unfinished tasks do not enter. The mean is exact \
        to a thousandth per task; p99 is at most 0.1 % too high.",
    source: "D. G. Feitelson and L. Rudolph, Metrics and Benchmarking for Parallel Job Scheduling, \
        JSSPP 1998, with their threshold of 10 s.",
};

/// Runs shorter than this count as this long, so that tiny tasks do not rule the mean.
const RUN_MIN: Span = Span::from_secs(10);

fn columns() -> Vec<Column> {
    let ratio = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Ratio, Better::Lower, title, summary)
    };
    vec![
        ratio("slowdown_mean", "mean slowdown", "Mean bounded slowdown of finished tasks."),
        ratio("slowdown_p99", "p99 slowdown", "99 % of finished tasks have at most this slowdown."),
    ]
}

#[derive(Default)]
pub(super) struct Slowdown {
    /// In thousandths.
    all: Durations,
}

/// Bounded slowdown in thousandths, rounded to the nearest.
#[inline]
fn bounded_slowdown_milli(response: Span, run: Span) -> u64 {
    if response <= run.max(RUN_MIN) {
        return 1000;
    }
    let run = u128::from(run.max(RUN_MIN).0);
    let milli = (u128::from(response.0) * 1000 + run / 2) / run;
    u64::try_from(milli).unwrap_or(u64::MAX).max(1000)
}

impl Metric for Slowdown {
    #[inline]
    fn ended(&mut self, at: &Moment<'_>, task: &Facts, _: Option<NodeId>, how: Ending) {
        if let Ending::Exited { .. } = how
            && let Some(started) = task.started
            && !task.adopted
        {
            let response = at.now.since(task.submitted);
            let milli = bounded_slowdown_milli(response, at.now.since(started));
            self.all.record(Span(milli));
        }
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let ratio = |milli: Option<f64>| milli.map(|it| it / 1000.0);
        out.extend([ratio(self.all.mean()), ratio(self.all.quantile(0.99))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check;

    #[test]
    fn short_runs_are_bounded() {
        for (response, run, want) in
            [(20, 10, 2000), (20, 1, 2000), (5, 1, 1000), (30, 30, 1000), (100, 30, 3333)]
        {
            let got = bounded_slowdown_milli(Span::from_secs(response), Span::from_secs(run));
            assert_eq!(got, want, "{response} s for {run} s");
        }
    }

    #[test]
    fn waits_and_lost_work_slow_a_task_down() {
        // Task 1: 20 s of 20 s. Task 2: waited 20 s, ran 20 s: 2. Task 3 is still there.
        check(
            "rules autostart
             0 node a z1 2/4
             0 submit 1 2/4
             0 submit 2 2/4
             20 exit 1 0
             40 exit 2 1
             40 submit 3 2/4
             60 end",
            &[("slowdown_mean", "1.5")],
        );
        // Lost after 15 s, ran 15 s from 15 s on: 30 s for 15 s.
        check(
            "rules autostart
             0 node a z1 2/4
             0 node b z1 2/4
             0 submit 1 2/4
             15 lose a
             30 exit 1 0
             60 end",
            &[("slowdown_mean", "2")],
        );
        check("0 node a z1 2/4\n9 end", &[("slowdown_mean", "-"), ("slowdown_p99", "-")]);
    }
}
