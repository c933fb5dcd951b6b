//! Random: a uniform draw from the nodes on which the task fits.
//!
//! Source: the `random` strategy of Amazon ECS and Docker Swarm, and the baseline of most papers.
//! Differs in nothing we know of.
//!
//! Cost: one pass over the nodes and one random number.

use crate::card::{Card, Parameter};
use crate::parts::Part;
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

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        Tie::Random
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) {
        |_| ()
    }

    /// All that fit are alike.
    fn parts(&self, (): ()) -> Vec<Part> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{World, check, demand};
    use crate::policy::Policy;
    use cluster::ids::TaskId;
    use cluster::nodes::{NodeCapacity, NodeSpec};
    use cluster::rules::Rules;

    #[test]
    fn draws_only_from_nodes_that_fit() {
        check("random", "1/8 4/1 2/4 8/1", "2/4 2/4", "n2 -");
    }

    #[test]
    fn all_nodes_that_fit_are_equally_likely() {
        let mut seen = [0; 4];
        let mut world = World::new(Rules::default(), "random".parse::<Policy>().unwrap().build(3));
        for cores in [4, 1, 4, 4] {
            world.join(NodeSpec {
                name: format!("{}", world.manager.state().nodes().len()),
                capacity: NodeCapacity {
                    amounts: demand(&format!("{cores}/8")).amounts,
                    gpus: vec![],
                },
                ..NodeSpec::default()
            });
        }
        for task in 0..3000 {
            let node = world.submit(demand("2/1"), None).unwrap();
            seen[node.row()] += 1;
            world.exit(TaskId(task));
        }
        // Five standard errors of a binomial with p = 1/3.
        assert_eq!(seen[1], 0);
        assert!([0, 2, 3].iter().all(|&it| i32::abs_diff(seen[it], 1000) < 130), "{seen:?}");
    }
}
