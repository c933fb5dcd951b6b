//! Wait: how long a task is in the queue before it is first placed.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::column::{Better, Card, Column, Unit};
use crate::durations::Durations;
use crate::run_report::EcdfPoint;
use cluster::event::{Ending, Facts};
use cluster::ids::NodeId;
use cluster::units::Instant;
use std::collections::VecDeque;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns: none };

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

/// Tasks that wait for their first placement, counted by the moment since when.
#[derive(Default)]
struct Open {
    /// Oldest first; the first and the last are never zero.
    since: VecDeque<(Instant, u64)>,
    /// How many of them are zero.
    empty: usize,
}

impl Open {
    #[inline]
    fn add(&mut self, since: Instant) {
        match self.since.back_mut() {
            Some((last, count)) if *last == since => *count += 1,
            Some((last, _)) if *last > since => self.add_between(since),
            _ => self.since.push_back((since, 1)),
        }
    }

    #[cold]
    fn add_between(&mut self, since: Instant) {
        match self.since.binary_search_by_key(&since, |it| it.0) {
            Ok(at) => {
                self.empty -= usize::from(self.since[at].1 == 0);
                self.since[at].1 += 1;
            }
            Err(at) => self.since.insert(at, (since, 1)),
        }
    }

    #[inline]
    fn remove(&mut self, since: Instant) {
        // Most often it is the youngest: it was placed as soon as it came.
        if let Some((last, count)) = self.since.back_mut()
            && *last == since
        {
            *count -= 1;
            if *count == 0 {
                self.empty += 1;
                self.trim();
            }
        } else if let Ok(at) = self.since.binary_search_by_key(&since, |it| it.0)
            && self.since[at].1 > 0
        {
            self.since[at].1 -= 1;
            if self.since[at].1 == 0 {
                self.empty += 1;
                self.trim();
            }
        }
    }

    fn trim(&mut self) {
        while self.since.back().is_some_and(|it| it.1 == 0) {
            self.since.pop_back();
            self.empty -= 1;
        }
        while self.since.front().is_some_and(|it| it.1 == 0) {
            self.since.pop_front();
            self.empty -= 1;
        }
        if self.empty > 16 && self.empty > self.since.len() / 2 {
            self.since.retain(|it| it.1 > 0);
            self.empty = 0;
        }
    }
}

#[derive(Default)]
pub(super) struct Wait {
    ended: Durations,
    open: Open,
    ecdf: Vec<EcdfPoint>,
}

impl Metric for Wait {
    #[inline]
    fn queued(&mut self, _: &Moment<'_>, task: &Facts) {
        if task.attempts == 0 {
            self.open.add(task.submitted);
        }
    }

    #[inline]
    fn placed(&mut self, at: &Moment<'_>, task: &Facts, _: NodeId) {
        if task.attempts == 1 {
            self.open.remove(task.submitted);
            self.ended.record(at.now.since(task.submitted));
        }
    }

    #[inline]
    fn ended(&mut self, _: &Moment<'_>, task: &Facts, _: Option<NodeId>, how: Ending) {
        if task.attempts == 0 && matches!(how, Ending::Dropped(_) | Ending::Cancelled) {
            self.open.remove(task.submitted);
        }
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let all = &mut self.ended;
        let mut open = 0;
        for &(since, count) in self.open.since.iter().filter(|it| it.1 > 0) {
            all.record_many(at.now.since(since), count);
            open += count;
        }
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

#[cfg(test)]
mod open_tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn open_waits_are_counted_as_by_a_map(steps in prop::collection::vec((any::<bool>(), 0..12u64), 1..200)) {
            let (mut open, mut map, mut now) = (Open::default(), BTreeMap::<u64, u64>::new(), 0);
            for (is_new, back) in steps {
                if is_new {
                    now += back / 6;
                    open.add(Instant(now));
                    *map.entry(now).or_default() += 1;
                } else {
                    let since = now.saturating_sub(back);
                    open.remove(Instant(since));
                    if let Some(count) = map.get_mut(&since) {
                        *count -= 1;
                        if *count == 0 {
                            map.remove(&since);
                        }
                    }
                }
                let there: Vec<(u64, u64)> =
                    open.since.iter().filter(|it| it.1 > 0).map(|it| (it.0.0, it.1)).collect();
                prop_assert_eq!(there, map.clone().into_iter().collect::<Vec<_>>());
                prop_assert!(open.since.len() <= 2 * map.len() + 33);
            }
        }
    }
}
