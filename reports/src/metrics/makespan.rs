//! Makespan: when the last task was over.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::column::{Better, Card, Column, Unit};
use cluster::event::{Ending, Facts};
use cluster::ids::NodeId;
use cluster::units::Instant;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns: none };

const CARD: Card = Card {
    name: "makespan",
    title: "Makespan",
    definition: "Time from the first event of the run to the last end of a task that was on a node. \
        Compares policies only if all of them finish the same tasks.",
    source: "The usual definition of scheduling theory (C_max).",
};

fn columns() -> Vec<Column> {
    vec![Column::new(
        "makespan_us",
        Unit::Us,
        Better::Lower,
        "makespan",
        "Time from the first event to the last end of a task.",
    )]
}

#[derive(Default)]
pub(super) struct Makespan {
    last: Option<Instant>,
}

impl Metric for Makespan {
    #[inline]
    fn ended(&mut self, at: &Moment<'_>, _: &Facts, node: Option<NodeId>, _: Ending) {
        if node.is_some() {
            self.last = Some(at.now);
        }
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.push(self.last.map(|it| it.since(at.over_time.start()).0 as f64));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn the_last_end_counts_from_the_first_event() {
        check(
            "rules autostart
             10 node a z1 2/4
             11 submit 1 2/4
             12 submit 2 2/4
             15 exit 1 0
             20 cancel 2
             90 end",
            &[("makespan_us", "10000000")],
        );
        // Task 2 was never on a node: its end is not work.
        check(
            "rules autostart
             10 node a z1 2/4
             11 submit 1 2/4
             12 submit 2 2/4
             14 cancel 2
             90 end",
            &[("makespan_us", "-")],
        );
    }
}
