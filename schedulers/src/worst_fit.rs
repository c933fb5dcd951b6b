//! Worst fit: the node that has the most left once it runs the task.
//!
//! Source: D. S. Johnson et al., "Worst-case performance bounds for simple one-dimensional packing
//! algorithms", SIAM Journal on Computing 3(4), 1974, for one resource and bins that are opened only
//! when they must be, which is `open=first`. Differs from it in several resources, and in taking empty
//! nodes too unless told otherwise: that spreads load, which is what cluster schedulers use it for. What
//! is left is measured as in [`best_fit`](crate::best_fit).
//!
//! Cost: a search among nodes with about as much free as the best, no division; two passes with `open=first` when no node
//! in use fits.

use crate::card::{Card, Parameter};
use crate::norm::{Measure, Norm};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{ByFree, Locality, Prefers, Rank, Room, Tie};
use cluster::event::Change;
use cluster::explain::Wins;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "worst-fit",
    summary: "the node that has the most left once it runs the task",
    source: "Johnson et al., SIAM J. Comput. 3(4), 1974",
    differs: "empty nodes count too unless `open=first`; several resources, as in best-fit",
    cost: "one pass over the nodes",
    parameters: &[
        Parameter {
            name: "norm",
            values: Norm::VALUES,
            default: "l1",
            summary: "how the shares left become one number: their sum, the sum of their squares, \
                      the largest; or the amount of one resource alone",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "worst-fit:cpu,open=first",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let norm = arguments.word("norm", Norm::WORDS)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(WorstFit { left: Measure::new(norm), tie })
}

/// Most left first.
#[derive(Debug, Clone, Default)]
pub struct WorstFit {
    left: Measure,
    tie: Tie,
}

impl Rank for WorstFit {
    type Key = Reverse<u64>;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.left.observe(changes);
    }

    fn begin(&mut self, _ask: Ask<'_>, state: &State) {
        self.left.refresh(state.nodes());
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u64> {
        let left = self.left.reader(ask, state.nodes());
        move |node| Reverse(left.of(node))
    }

    fn by_free<'a>(
        &'a self,
        ask: Ask<'a>,
        state: &'a State,
    ) -> Option<ByFree<impl Fn(Room) -> Reverse<u64>, impl Fn(Room) -> Reverse<u64>>> {
        let left = self.left.reader(ask, state.nodes());
        let key = move |room| Reverse(left.of_room(room));
        Some(ByFree { prefers: Prefers::More, key, bound: key })
    }

    fn parts(&self, Reverse(left): Reverse<u64>) -> Vec<Part> {
        vec![self.left.part(left, Wins::Highest)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_emptiest_node() {
        check("worst-fit", "4/8 2/4 8/16", "2/4 2/4 2/4 2/4", "n2 n2 n0 n2");
    }

    #[test]
    fn opens_nodes_only_when_it_must() {
        check("worst-fit:open=first", "4/8 4/8 8/16", "2/4 2/4 2/4 2/4 2/4", "n2 n2 n2 n2 n0");
        check("worst-fit:cpu,open=first", "4/8 4/8", "3/1 2/1 1/1 1/1", "n0 n1 n1 n0");
    }

    #[test]
    fn first_node_wins_a_tie() {
        check("worst-fit:cpu", "4/8 4/1", "1/1", "n0");
        check("worst-fit:cpu,tie=rank", "4/8~5 4/1~4", "1/1", "n1");
    }
}
