//! Norm-based greedy: the node that is left closest to full, in the weighted Euclidean sense.
//!
//! Source: R. Panigrahy, K. Talwar, L. Uyeda, U. Wieder, "Heuristics for vector bin packing", Microsoft
//! Research, 2011: minimise the weighted sum of squares of what is left, with the average demand as
//! weights. Differs in that items come one by one, so that the item is given and the bin is chosen, and
//! the average is over the tasks known so far; what is left is a share of the largest node. With
//! `equal` weights it is `best-fit:l2`.
//!
//! Cost: one pass over the nodes, no division, no allocation.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{ByFree, Locality, Prefers, Rank, Room, Tie};
use crate::scale::Scale;
use crate::weights::{Weights, drift};
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "norm-greedy",
    summary: "the node that is left closest to full, by the weighted sum of squares of what is left",
    source: "Panigrahy et al., \"Heuristics for vector bin packing\", 2011",
    differs: "one task at a time; the average demand is that of the tasks known so far",
    cost: "one pass over the nodes",
    parameters: &[
        Parameter {
            name: "weights",
            values: "demand|equal",
            default: "demand",
            summary: "how much each resource counts: as much as it is asked for in the cluster, or \
                      all the same",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "norm-greedy",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let weights = arguments.word("weights", Weights::WORDS)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(NormGreedy { weights, tie, scale: Scale::default(), factors: [0; 4] })
}

/// Smallest weighted sum of squares first.
#[derive(Debug, Clone)]
pub struct NormGreedy {
    weights: Weights,
    tie: Tie,
    scale: Scale,
    /// The weights for the task at hand.
    factors: [u64; 4],
}

impl NormGreedy {
    /// With a node that has such shares free, for a task that asks for such shares.
    #[inline(always)]
    fn squares(&self, free: [u64; 4], asked: [u64; 4]) -> u128 {
        let square = |it: usize| {
            let left = self.scale.coarse(free[it] - asked[it]);
            u128::from(self.factors[it]) * u128::from(left * left)
        };
        square(0) + square(1) + square(2) + square(3)
    }
}

impl Rank for NormGreedy {
    type Key = u128;
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
        self.scale.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        self.scale.refresh(state.nodes());
        self.factors = self.weights.of(ask, state.nodes());
    }

    /// Weights have at most 20 bits and [coarse shares](Scale::coarse) 31, so that sums stay below
    /// 2^84.
    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> u128 {
        let free = self.scale.reader(state.nodes());
        let asked = self.scale.asked(ask);
        move |node| self.squares(free.of(node), asked)
    }

    fn by_free<'a>(
        &'a self,
        ask: Ask<'a>,
        _state: &'a State,
    ) -> Option<ByFree<impl Fn(Room) -> u128, impl Fn(Room) -> u128>> {
        let asked = self.scale.asked(ask);
        let key = move |room: Room| self.squares(self.scale.shares(room.free), asked);
        Some(ByFree { prefers: Prefers::Less, key, bound: key })
    }

    fn factors(&self) -> [u64; 4] {
        self.factors
    }

    fn reweighed(&self, key: u128, old: [u64; 4]) -> Option<u128> {
        let [(new, old), _] = drift(old, self.factors, |it| old[it] > 0);
        Some(key * new / old)
    }

    fn parts(&self, key: u128) -> Vec<Part> {
        vec![Part::lowest("weighted sum of squares left", key)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_known_under_other_weights_bounds_what_is_now(
            free in prop::array::uniform4(0u64..1_000),
            old in prop::array::uniform4(0u64..1 << 20),
            new in prop::array::uniform4(0u64..1 << 20),
        ) {
            let (weights, tie, scale) = (Weights::Demand, Tie::default(), Scale::of([1_000; 4]));
            let mut this = NormGreedy { weights, tie, scale, factors: old };
            let key = |it: &NormGreedy| it.squares(it.scale.shares(free), [0; 4]);
            let before = key(&this);
            this.factors = new;
            prop_assert!(this.reweighed(before, old).is_some_and(|it| key(&this) >= it));
        }
    }

    #[test]
    fn leaves_the_node_closest_to_full() {
        check("norm-greedy", "4/8 2/4 8/16", "2/4 2/4", "n1 n0");
    }

    #[test]
    fn weighs_by_demand() {
        // With equal weights n1 has less left; but nearly all that is asked for is cpu.
        check("norm-greedy:equal", "2/16 4/4 8/16", "2/0", "n1");
        check("norm-greedy", "2/16 4/4 8/16", "2/0", "n0");
    }

    #[test]
    fn first_node_wins_a_tie() {
        check("norm-greedy", "4/8 4/8", "1/1", "n0");
        check("norm-greedy:tie=rank", "4/8~3 4/8~2", "1/1", "n1");
    }
}
