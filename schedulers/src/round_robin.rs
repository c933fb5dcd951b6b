//! Round robin: the first node that fits after the one that was given the last task, cyclically.
//!
//! Source: as old as scheduling; the `RoundRobin` baseline of MARO's VM scheduling and the cyclic order
//! of many dispatchers. Differs from a plain turn in passing over nodes that do not fit, without
//! remembering that they were passed over.
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
    name: "round-robin",
    summary: "the first node that fits after the one that was given the last task, cyclically",
    source: "folklore; baseline of MARO's VM scheduling",
    differs: "nodes that do not fit are passed over",
    cost: "the rows up to the first that fits",
    parameters: &[Parameter::OPEN],
    example: "round-robin",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    arguments.per_task(RoundRobin { cursor: 0 })
}

/// In turn.
#[derive(Debug, Clone, Copy)]
pub struct RoundRobin {
    /// Row after the one chosen last.
    cursor: u32,
}

impl Rank for RoundRobin {
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

    fn sampling(&mut self, _ask: Ask<'_>, nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        // After the last row comes row 0, even if a node joined in between.
        let start = if (self.cursor as usize) < nodes.len() { self.cursor as usize } else { 0 };
        Sampling::First { start }
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) {
        |_| ()
    }

    /// All that fit are alike.
    fn parts(&self, (): ()) -> Vec<Part> {
        Vec::new()
    }

    fn placed(&mut self, node: NodeId) {
        self.cursor = node.0 + 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_turns() {
        check("round-robin", "4/8 4/8 4/8", "1/1 1/1 1/1 1/1", "n0 n1 n2 n0");
    }

    #[test]
    fn passes_over_nodes_that_do_not_fit() {
        check("round-robin", "4/8 1/1 4/8", "1/1 2/2 1/1 1/1 1/1", "n0 n2 n0 n1 n2");
    }

    #[test]
    fn a_task_that_waits_moves_nothing() {
        check("round-robin", "4/8 4/8", "1/1 9/9 1/1", "n0 - n1");
    }
}
