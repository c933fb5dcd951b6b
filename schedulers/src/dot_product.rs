//! Dot product: the node whose free amounts point most in the direction of what the task asks for.
//!
//! Source: R. Panigrahy, K. Talwar, L. Uyeda, U. Wieder, "Heuristics for vector bin packing", Microsoft
//! Research, 2011: maximise the weighted dot product of the item and what the bin has left, with the
//! average demand as weights. Differs in that items come one by one, so that the item is given and the
//! bin is chosen, and the average is over the tasks known so far; free amounts are shares of the largest
//! node. The baseline of that name in the FGD paper *minimises* a dot product: another rule.
//!
//! Cost: a search among nodes with about as much free as the best, no division.

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
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "dot-product",
    summary: "the node whose free amounts point most in the direction of what the task asks for",
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
    example: "dot-product:equal",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let weights = arguments.word("weights", Weights::WORDS)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let scale = Scale::default();
    arguments.per_task(DotProduct { weights, tie, scale, factors: [0; 4], terms: [0; 4] })
}

/// Largest dot product first.
#[derive(Debug, Clone)]
pub struct DotProduct {
    weights: Weights,
    tie: Tie,
    scale: Scale,
    /// The weights for the task at hand.
    factors: [u64; 4],
    /// The same times what the task asks for.
    terms: [u64; 4],
}

impl DotProduct {
    /// With a node that has such shares free.
    #[inline(always)]
    fn product(&self, free: [u64; 4]) -> Reverse<u128> {
        let product =
            |it: usize| u128::from(self.terms[it]) * u128::from(self.scale.coarse(free[it]));
        Reverse(product(0) + product(1) + product(2) + product(3))
    }
}

impl Rank for DotProduct {
    type Key = Reverse<u128>;
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
        let asked = self.scale.asked(ask);
        for (row, term) in self.terms.iter_mut().enumerate() {
            *term = self.factors[row] * self.scale.coarse(asked[row]);
        }
    }

    /// Factors have at most 51 bits and [coarse shares](Scale::coarse) 31, so that sums stay below 2^84.
    fn keys<'a>(&'a self, _ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u128> {
        let free = self.scale.reader(state.nodes());
        move |node| self.product(free.of(node))
    }

    fn by_free<'a>(
        &'a self,
        _ask: Ask<'a>,
        _state: &'a State,
    ) -> Option<ByFree<impl Fn(Room) -> Self::Key, impl Fn(Room) -> Self::Key>> {
        let mut order = [0, 1, 2, 3];
        order.sort_unstable_by_key(|it| Reverse(self.terms[*it]));
        let key = |room: Room| self.product(self.scale.shares(room.free));
        // No node has more than all its room in what counts most.
        let bound = move |room: Room| {
            let (mut shares, mut left) = (self.scale.shares(room.free), room.whole);
            for it in order {
                let share = shares[it].min(left);
                left -= share;
                let is_cut = share < shares[it];
                // Rounded up to the next coarse share.
                shares[it] = share + u64::from(is_cut) * self.scale.coarse_one();
            }
            self.product(shares)
        };
        Some(ByFree { prefers: Prefers::More, key, bound })
    }

    fn factors(&self) -> [u64; 4] {
        self.factors
    }

    fn reweighed(&self, Reverse(product): Reverse<u128>, old: [u64; 4]) -> Option<Self::Key> {
        let [_, (new, old)] = drift(old, self.factors, |it| self.terms[it] > 0);
        Some(Reverse((product * new).div_ceil(old)))
    }

    fn parts(&self, Reverse(product): Reverse<u128>) -> Vec<Part> {
        vec![Part::highest("weighted dot product of asked and free", product)]
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
            asked in prop::array::uniform4(0u64..1_000),
            old in prop::array::uniform4(1u64..1 << 20),
            new in prop::array::uniform4(1u64..1 << 20),
        ) {
            let (weights, tie, scale) = (Weights::Demand, Tie::default(), Scale::of([1_000; 4]));
            let mut this = DotProduct { weights, tie, scale, factors: old, terms: [0; 4] };
            let mut key = |factors: [u64; 4]| {
                this.factors = factors;
                this.terms = std::array::from_fn(|it| factors[it] * asked[it]);
                (this.product(this.scale.shares(free)), this.clone())
            };
            let (before, _) = key(old);
            let (after, this) = key(new);
            prop_assert!(this.reweighed(before, old).is_some_and(|it| after >= it));
        }
    }

    #[test]
    fn goes_where_the_wanted_resource_is() {
        check("dot-product:equal", "8/4 4/16 8/16", "4/1 1/8", "n2 n1");
        check("dot-product:equal", "8/4 4/16", "4/1 1/8", "n0 n1");
    }

    #[test]
    fn weighs_by_demand() {
        // Memory is asked for four times as much as cpu, so it decides.
        check("dot-product", "8/4 2/8", "1/2", "n1");
        check("dot-product:equal", "8/4 2/8", "1/1", "n0");
    }

    #[test]
    fn first_node_wins_a_tie() {
        check("dot-product", "4/8 4/8", "1/1", "n0");
    }
}
