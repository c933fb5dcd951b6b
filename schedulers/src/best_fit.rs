//! Best fit: the node that has the least left once it runs the task.
//!
//! Source: D. S. Johnson et al., "Worst-case performance bounds for simple one-dimensional packing
//! algorithms", SIAM Journal on Computing 3(4), 1974, for one resource. For several: the norms of
//! R. Panigrahy, K. Talwar, L. Uyeda, U. Wieder, "Heuristics for vector bin packing", 2011, without
//! weights. A named resource is the `binpack` of Amazon ECS.
//! Differs in taking what is left as a share of the *largest* node of the cluster ([`Scale`]), because
//! nodes differ in size here; GPUs count as one more resource, summed over a node's devices, so that
//! tasks without GPUs stay off nodes that have some.
//!
//! Cost: a search among nodes with about as much free as the best, no division.
//!
//! [`Scale`]: crate::scale::Scale

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

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "best-fit",
    summary: "the node that has the least left once it runs the task",
    source: "Johnson et al., SIAM J. Comput. 3(4), 1974; norms after Panigrahy et al., 2011",
    differs: "several resources; what is left is taken as a share of the largest node",
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
    example: "best-fit:cpu",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let norm = arguments.word("norm", Norm::WORDS)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(BestFit { left: Measure::new(norm), tie })
}

/// Least left first.
#[derive(Debug, Clone, Default)]
pub struct BestFit {
    left: Measure,
    tie: Tie,
}

impl Rank for BestFit {
    type Key = u64;
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

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> u64 {
        let left = self.left.reader(ask, state.nodes());
        move |node| left.of(node)
    }

    fn by_free<'a>(
        &'a self,
        ask: Ask<'a>,
        state: &'a State,
    ) -> Option<ByFree<impl Fn(Room) -> u64, impl Fn(Room) -> u64>> {
        let left = self.left.reader(ask, state.nodes());
        let key = move |room| left.of_room(room);
        Some(ByFree { prefers: Prefers::Less, key, bound: key })
    }

    fn parts(&self, key: u64) -> Vec<Part> {
        vec![self.left.part(key, Wins::Lowest)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_tightest_node() {
        check("best-fit", "4/8 2/4 8/16", "2/4", "n1");
    }

    #[test]
    fn first_node_wins_a_tie() {
        check("best-fit", "4/8 4/8", "1/1", "n0");
        check("best-fit:tie=rank", "4/8~1 4/8~0", "1/1", "n1");
    }

    #[test]
    fn norms_differ() {
        // Left over of 8 cores and 16 GiB, in sixteenths: n0 8+7, n1 2+12, n2 10+2.
        let nodes = "5/8 2/13 6/3 8/16";
        check("best-fit:l1", nodes, "1/1", "n2");
        check("best-fit:l2", nodes, "1/1", "n2");
        check("best-fit:linf", nodes, "1/1", "n0");
        check("best-fit:cpu", nodes, "1/1", "n1");
        check("best-fit:memory", nodes, "1/1", "n2");
        check("best-fit:disk", nodes, "1/1", "n0");
    }

    #[test]
    fn squares_mind_the_worst_resource() {
        // In sixteenths: n0 8+8 (squares 128), n1 14+1 (squares 197).
        check("best-fit:l1", "5/9 8/2 8/16", "1/1", "n1");
        check("best-fit:l2", "5/9 8/2 8/16", "1/1", "n0");
    }

    #[test]
    fn keeps_tasks_without_gpus_off_gpu_nodes() {
        check("best-fit", "4/8+4 6/12", "1/1 1/1+1 4/8", "n1 n0 n1");
        check("best-fit:gpu", "4/8+4 8/16 4/8+2", "1/1 1/1+1 1/1+2 1/1+0.5", "n1 n2 n0 n2");
    }
}
