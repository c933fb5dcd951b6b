//! Utilisation: what running tasks ask for, as a share of what nodes physically have.

use super::capacity_shares::{self, Words};
use super::{Entry, Metric, Moment, Sampled};
use crate::column::Card;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns: || WORDS.columns(), sample_columns: || WORDS.sample_columns() };

const WORDS: Words = Words { participle: "utilised", who: "running tasks", is_headline: false };

const CARD: Card = Card {
    name: "utilisation",
    title: "Utilisation",
    definition: "As allocation, but only tasks whose containers run: the difference is capacity that is held by tasks that are still starting. It is the demand of running tasks, not the cpu or memory that they really touch; no trace here holds measured usage.",
    source: "Ours; equal to allocation where start-up takes no time.",
};

#[derive(Default)]
pub(super) struct Utilisation;

impl Metric for Utilisation {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let totals = at.totals();
        capacity_shares::sample(totals.running, totals.capacity, out);
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        capacity_shares::finish(at.over_time.utilised(), out);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn only_running_tasks_count() {
        check(
            "0 node a z1 4/8
             0 submit 1 2/4
             5 start 1
             10 exit 1 0
             20 end",
            &[
                ("cpu_utilised_share", "0.125"),
                ("cpu_utilised_share_peak", "0.5"),
                ("gpu_utilised_share", "-"),
            ],
        );
    }
}
