//! Dot product as FGD's authors ran it: the *smallest* product of what is asked for and what is free.
//!
//! Source: policy `02-DotProd` of Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
//! Workloads with Fragmentation Gradient Descent", USENIX ATC 2023. Cpu and the sum of GPU shares are
//! taken as shares of the largest node; the score is 100 times one less half the dot product, cut to an
//! integer. The papers that proposed the rule (Panigrahy et al.; Tetris) take the largest product: that
//! is [`dot_product`](crate::dot_product).
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
    name: "fgd-dot-product",
    summary: "FGD's baseline: the smallest dot product of what is asked for and what is free",
    source: "Weng et al., FGD, USENIX ATC 2023, policy 02-DotProd",
    differs: "the largest node is the cluster's own; exact fractions instead of floating point",
    cost: "one pass over the nodes, a division each",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "fgd-dot-product:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(FgdDotProduct::new(tie))
}

/// Highest score first.
#[derive(Debug, Clone)]
pub struct FgdDotProduct {
    tie: Tie,
    largest: Largest,
}

impl FgdDotProduct {
    /// With this tie.
    pub fn new(tie: Tie) -> Self {
        Self { tie, largest: Largest::default() }
    }
}

impl Rank for FgdDotProduct {
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
        let (cpu_whole, gpu_whole) = (largest.cpu.pow(2), largest.gpu.pow(2));
        let cpu_factor = largest.cut(cpu) * gpu_whole;
        let gpu_factor = u128::from(gpu) * cpu_whole;
        let whole = 2 * cpu_whole * gpu_whole;
        move |node| {
            let product = largest.cut(free_cpu[node.row()]) * cpu_factor
                + u128::from(nodes.gpu_free(node)) * gpu_factor;
            Reverse(100 * whole.saturating_sub(product) / whole)
        }
    }

    fn parts(&self, Reverse(score): Reverse<u128>) -> Vec<Part> {
        vec![Part::highest("score of the dot product", score)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_node_with_least_of_what_is_asked_for() {
        // Asked for is mostly GPU, then cpu alone.
        check("fgd-dot-product", "8/8+2 2/8+4", "1/1+2", "n0");
        check("fgd-dot-product", "8/8+2 2/8+4", "1/1", "n1");
    }

    #[test]
    fn less_than_a_percent_is_a_tie() {
        // 99.2 and 99.5, then 98.5 and 99.25, then 97 and 98.5.
        check("fgd-dot-product", "16/8 10/8 100/8", "10/1", "n0");
        check("fgd-dot-product", "10/8 5/8 100/8", "5/1", "n0");
        check("fgd-dot-product:tie=rank", "10/8~1 5/8~0 100/8~2", "5/1", "n1");
        check("fgd-dot-product", "60/8 30/8 100/8", "10/1", "n1");
    }
}
