//! Best fit as FGD's authors ran it: whole percent of cpu and GPU left over.
//!
//! Source: policy `05-BestFit` of Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
//! Workloads with Fragmentation Gradient Descent", USENIX ATC 2023. The score is 100 less the mean, in
//! percent, of the cpu and of the GPU share that the node has left once it runs the task, both as shares of
//! the cluster's largest node, cut to an integer: nodes that are nearly as good are equal, and the
//! tie decides. Memory does not count.
//! Differs in taking the largest node from the cluster (theirs is written into the code), and in cutting
//! the exact fraction, where theirs is a floating-point number; on their traces both decide alike.
//!
//! Cost: one pass over the nodes, with a division each.

use crate::card::{Card, Parameter};
use crate::largest::Largest;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "fgd-best-fit",
    summary: "FGD's baseline: least cpu and GPU left over, in whole percent of the largest node",
    source: "Weng et al., FGD, USENIX ATC 2023, policy 05-BestFit",
    differs: "the largest node is the cluster's own; exact fractions instead of floating point",
    cost: "one pass over the nodes, a division each",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "fgd-best-fit:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(FgdBestFit::new(tie))
}

/// Highest score first.
#[derive(Debug, Clone)]
pub struct FgdBestFit {
    tie: Tie,
    largest: Largest,
}

impl FgdBestFit {
    /// With this tie.
    pub fn new(tie: Tie) -> Self {
        Self { tie, largest: Largest::default() }
    }
}

impl Rank for FgdBestFit {
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
        self.largest.observe(changes);
    }

    fn begin(&mut self, _ask: Ask<'_>, state: &State) {
        self.largest.refresh(state.nodes());
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u128> {
        let (nodes, largest) = (state.nodes(), self.largest);
        let [cpu, .., gpu] = ask.shape.totals();
        let free_cpu = nodes.free(Resource::Cpu);
        let whole = 2 * largest.cpu * largest.gpu;
        move |node| {
            let cpu_left = largest.cut(free_cpu[node.row()] - cpu);
            let gpu_left = u128::from(nodes.gpu_free(node).saturating_sub(gpu));
            let left = cpu_left * largest.gpu + gpu_left * largest.cpu;
            Reverse(100 * whole.saturating_sub(left) / whole)
        }
    }

    fn parts(&self, Reverse(score): Reverse<u128>) -> Vec<Part> {
        vec![Part::highest("score of cpu and GPU used up", score)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_node_with_least_cpu_and_gpu_left() {
        // Of 8 cores and 4 devices: n0 has 3 and 1 left, n1 1 and 2.
        check("fgd-best-fit", "4/8+2 2/8+3 8/8+4", "1/1+1", "n0");
        check("fgd-best-fit", "4/8 2/8 8/8", "1/1", "n1");
    }

    #[test]
    fn memory_does_not_count() {
        check("fgd-best-fit", "4/64 4/8 8/8", "1/1", "n0");
    }

    #[test]
    fn less_than_a_percent_is_a_tie() {
        // 3.9 and 4 of 100 cores left are 98.05 and 98 percent.
        check("fgd-best-fit", "5/8 4.9/8 100/8", "1/1", "n0");
        check("fgd-best-fit:tie=rank", "5/8~1 4.9/8~0 100/8~2", "1/1", "n1");
        check("fgd-best-fit", "8/8 4.9/8 100/8", "1/1", "n1");
    }
}
