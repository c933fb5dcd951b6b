//! Allocation: what placed tasks ask for, as a share of what nodes physically have.

use super::capacity_shares::{self, Words};
use super::{Entry, Metric, Moment, Sampled};
use crate::column::Card;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns: || WORDS.columns(), sample_columns: || WORDS.sample_columns() };

const WORDS: Words = Words { participle: "allocated", who: "placed tasks", is_headline: true };

const CARD: Card = Card {
    name: "allocation",
    title: "Allocation",
    definition: "What placed tasks ask for, starting ones included, as a share of the physical capacity of all nodes that are not lost, integrated over the run: the integral of the amount asked for over the integral of capacity. Over-commit does not enlarge the capacity, so the share can exceed 1. A resource of which the cluster has nothing has no value. It is what was asked for, not measured usage: no trace here holds that for its tasks.",
    source: "Ours. Integrals of integers, so nothing is sampled or rounded.",
};

#[derive(Default)]
pub(super) struct Allocation;

impl Metric for Allocation {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let totals = at.totals();
        capacity_shares::sample(totals.held, totals.capacity, out);
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        capacity_shares::finish(at.over_time.allocated(), out);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{check, run};

    #[test]
    fn shares_are_of_capacity_time_and_starting_tasks_count() {
        // 2 of 8 cores for 10 s, none for 10 s; 4 of 16 GiB likewise.
        check(
            "0 node a z1 4/8
             0 node b z2 4/8
             0 submit 1 2/4
             5 start 1
             10 exit 1 0
             20 end",
            &[
                ("cpu_allocated_share", "0.125"),
                ("cpu_allocated_share_peak", "0.25"),
                ("memory_allocated_share", "0.125"),
                ("disk_allocated_share", "-"),
                ("gpu_allocated_share_peak", "-"),
            ],
        );
    }

    #[test]
    fn lost_capacity_is_not_waited_for() {
        // 4 of 8 cores for 10 s, then 4 of 4 for 10 s: 80 of 120 core seconds.
        let report = run("0 node a z1 4/8
             0 node b z2 4/8
             0 submit 1 4/8 @a
             10 lose b
             20 end");
        assert_eq!(report.value("cpu_allocated_share"), Some(80.0 / 120.0));
        assert_eq!(report.zones[0].allocated_share[0], Some(1.0));
        assert_eq!(report.zones[1].allocated_share[0], Some(0.0));
        assert_eq!(report.zones[1].nodes_mean, 0.5);
    }

    #[test]
    fn a_run_of_no_length_shows_its_last_moment() {
        check(
            "0 node a z1 4/8/4\n0 submit 1 1/2/0.5\n0 end",
            &[("cpu_allocated_share", "0.25"), ("gpu_allocated_share", "0.125")],
        );
    }
}
