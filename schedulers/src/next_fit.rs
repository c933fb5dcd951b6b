//! Next fit: the node that was given the last task for as long as it fits, then onward, cyclically.
//!
//! Source: D. S. Johnson, "Fast algorithms for bin packing", Journal of Computer and System Sciences
//! 8(3), 1974: only the last bin stays open. Differs in that a node left behind is met again after a full
//! turn, when tasks may have left it; with bins enough, as in packing, no turn is ever full.
//!
//! Cost: the rows up to the first that fits.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Sampling};
use cluster::chance::Chance;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "next-fit",
    summary: "the node that was given the last task while it fits, then onward, cyclically",
    source: "Johnson, J. Comput. Syst. Sci. 8(3), 1974",
    differs: "nodes left behind are met again after a full turn",
    cost: "the rows up to the first that fits",
    parameters: &[Parameter::OPEN],
    example: "next-fit",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    arguments.per_task(NextFit { cursor: 0 })
}

/// Only the last node stays open.
#[derive(Debug, Clone, Copy)]
pub struct NextFit {
    /// The row chosen last.
    cursor: u32,
}

impl Rank for NextFit {
    type Key = ();
    type Memory = u32;

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn memory(&self) -> u32 {
        self.cursor
    }

    fn recall(&mut self, cursor: u32) {
        self.cursor = cursor;
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn sampling(&mut self, _ask: Ask<'_>, _nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        Sampling::First { start: self.cursor as usize }
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) {
        |_| ()
    }

    /// All that fit are alike.
    fn parts(&self, (): ()) -> Vec<Part> {
        Vec::new()
    }

    fn placed(&mut self, node: NodeId) {
        self.cursor = node.0;
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn only_the_last_node_stays_open() {
        check("next-fit", "4/8 4/8 4/8", "3/1 2/1 1/1 1/1 1/1", "n0 n1 n1 n1 n2");
    }

    #[test]
    fn starts_over_after_a_full_turn() {
        check("next-fit", "4/8 4/8", "3/1 3/1 1/1 1/1 1/1", "n0 n1 n1 n0 -");
    }
}
