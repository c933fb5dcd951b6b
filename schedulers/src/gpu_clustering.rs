//! GPU clustering: tasks that ask for the same number of GPUs keep together.
//!
//! Source: policy `03-GpuClustering` of Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
//! Workloads with Fragmentation Gradient Descent", USENIX ATC 2023, after Gandiva (W. Xiao et al., OSDI
//! 2018). Kinds are: a share of a device, one device, two, three and so on. The score of a node is 75 if
//! it runs this kind of GPU task and no other, 50 if it runs this kind among others, 25 if it runs none,
//! 0 if it runs others only; and up to 25 more for what is taken of its GPUs, as a share of the largest
//! node's, in whole points. All nodes are equal for a task without GPUs.
//! Differs in taking the largest node from the cluster (theirs, of eight devices, is written into the
//! code).
//!
//! Cost: one pass over the nodes; the tasks of nodes that changed since the last one.

use crate::card::{Card, Parameter};
use crate::fragments::is_share;
use crate::largest::Largest;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::shape::Shape;
use cluster::state::State;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "gpu-clustering",
    summary: "nodes that run tasks which ask for as many GPUs, and no others",
    source: "Weng et al., FGD, USENIX ATC 2023, policy 03-GpuClustering, after Gandiva, OSDI 2018",
    differs: "the largest node is the cluster's own",
    cost: "one pass over the nodes; the tasks of nodes that changed",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "gpu-clustering:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(GpuClustering::new(tie))
}

/// Highest score first.
#[derive(Debug, Clone)]
pub struct GpuClustering {
    tie: Tie,
    largest: Largest,
    /// Kinds of GPU tasks per node, with the node's version at that time; scratch.
    kinds: Vec<(u64, Kinds)>,
}

/// A set of kinds: bit 0 for shares of a device, bit `n` for `n` devices.
type Kinds = u128;

/// No node has this version yet.
const NEVER: u64 = u64::MAX;

impl GpuClustering {
    /// With this tie.
    pub fn new(tie: Tie) -> Self {
        Self { tie, largest: Largest::default(), kinds: Vec::new() }
    }
}

fn kind(shape: &Shape) -> Kinds {
    match shape.gpu_count {
        0 => 0,
        _ if is_share(shape) => 1,
        // More than a node can have run nowhere.
        count => 1 << count.min(127),
    }
}

impl Rank for GpuClustering {
    type Key = Reverse<u64>;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::Global
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.largest.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        if ask.shape.gpu_count == 0 {
            return;
        }
        let nodes = state.nodes();
        self.largest.refresh(nodes);
        self.kinds.resize(nodes.len(), (NEVER, 0));
        for (node, (version, kinds)) in nodes.ids().zip(&mut self.kinds) {
            if *version != nodes.version(node) {
                *version = nodes.version(node);
                *kinds = state
                    .tasks_on(node)
                    .iter()
                    .filter_map(|it| state.task(*it))
                    .fold(0, |kinds, it| kinds | kind(state.shape(it.shape)));
            }
        }
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u64> {
        let (nodes, own) = (state.nodes(), kind(ask.shape));
        let whole = u64::try_from(self.largest.gpu).unwrap_or(u64::MAX);
        move |node| {
            if own == 0 {
                return Reverse(0);
            }
            let taken = 25 * whole.saturating_sub(nodes.gpu_free(node)) / whole;
            let kinds = self.kinds[node.row()].1;
            Reverse(
                taken
                    + match kinds {
                        0 => 25,
                        _ if kinds == own => 75,
                        _ if kinds & own != 0 => 50,
                        _ => 0,
                    },
            )
        }
    }

    fn parts(&self, Reverse(score): Reverse<u64>) -> Vec<Part> {
        vec![Part::highest("score of like tasks", score)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn like_goes_with_like() {
        check(
            "gpu-clustering",
            "8/8+4 8/8+4 8/8+4",
            "1/1+0.5 1/1+1 1/1+2 1/1+0.5 1/1+2 1/1+1",
            "n0 n1 n2 n0 n2 n1",
        );
    }

    #[test]
    fn alone_is_better_than_among_others() {
        // The single devices of n1 are taken, so the fifth task for one goes beside the pair on n0; when
        // one is given back, n1 is the better place.
        check(
            "gpu-clustering",
            "8/8+4 8/8+4",
            "1/1+2 1/1+1 1/1+1 1/1+1 1/1+1 1/1+1 x1 1/1+1",
            "n0 n1 n1 n1 n1 n0 n1",
        );
    }

    #[test]
    fn an_idle_node_is_better_than_another_kind_and_a_small_one_counts_as_taken() {
        check("gpu-clustering", "8/8+4 8/8+4", "1/1+0.5 1/1+1", "n0 n1");
        check("gpu-clustering", "8/8+4 8/8+2", "1/1+1", "n1");
    }

    #[test]
    fn a_kind_that_ended_does_not_count() {
        check("gpu-clustering", "8/8+4 8/8+4", "1/1+0.5 x0 1/1+1", "n0 n0");
    }

    #[test]
    fn tasks_without_gpus_go_anywhere_and_are_no_kind() {
        check("gpu-clustering", "8/8+4 8/8+4", "1/1 1/1+1", "n0 n0");
    }
}
