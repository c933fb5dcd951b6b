//! Random: a uniform draw from the nodes on which the task fits.
//!
//! Source: the `random` strategy of Amazon ECS and Docker Swarm, and the baseline of most papers.
//! Differs in nothing we know of.
//!
//! Cost: one pass over the nodes and one random number.

use crate::card::{Card, Parameter};
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "random",
    summary: "a uniform draw from the nodes on which the task fits",
    source: "Amazon ECS and Docker Swarm, strategy `random`",
    differs: "in nothing we know of",
    cost: "one pass over the nodes, one random number",
    parameters: &[Parameter::OPEN],
    example: "random",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    arguments.per_task(Random)
}

/// All nodes are alike.
#[derive(Debug, Clone, Copy)]
pub struct Random;

impl Rank for Random {
    type Key = ();
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn memory(&self) {}

    fn recall(&mut self, (): ()) {}

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        Tie::Random
    }

    fn key(&self, _ask: Ask<'_>, _node: NodeId, _state: &State) {}
}
