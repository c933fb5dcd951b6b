//! Power of d choices: the least loaded of d nodes drawn at random from those on which the task fits.
//!
//! Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE Transactions on
//! Parallel and Distributed Systems 12(10), 2001 (the supermarket model); K. Ousterhout et al., "Sparrow:
//! distributed, low latency scheduling", SOSP 2013, for its use in clusters. Differs in drawing without
//! replacement and only from nodes that fit, because tasks here do not queue at nodes; and in that load is
//! the largest share in use of any resource of the node unless tasks are to be counted. Equally loaded
//! draws are told apart by one more draw.
//!
//! Cost: about d divided by the share of nodes that fit; one pass over the nodes when few do.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Sampling, Tie};
use cluster::chance::Chance;
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "power-of-d",
    summary: "the least loaded of d nodes drawn at random from those on which the task fits",
    source: "Mitzenmacher, IEEE TPDS 12(10), 2001; Ousterhout et al. (Sparrow), SOSP 2013",
    differs: "draws without replacement from nodes that fit; load is the largest share in use",
    cost: "d draws while many nodes fit, one pass when few do",
    parameters: &[
        Parameter {
            name: "d",
            values: "1 to 1000",
            default: "2",
            summary: "how many nodes are drawn",
        },
        Parameter {
            name: "load",
            values: "share|tasks",
            default: "share",
            summary: "what a node's load is: the largest share in use of any of its resources, or \
                      the number of its tasks",
        },
        Parameter { default: "random", ..Parameter::TIE },
        Parameter::OPEN,
    ],
    example: "power-of-d:d=2",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let d = arguments.number("d", 1..=1000)? as usize;
    let load = arguments.word("load", Load::WORDS)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(PowerOfD { d, load, tie })
}

/// What the load of a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// The largest share in use of any of its resources.
    Share,
    /// The number of its tasks.
    Tasks,
}

impl Load {
    const WORDS: &[(&str, Self)] = &[("share", Self::Share), ("tasks", Self::Tasks)];

    /// Shares are in 2^-32, rounded down, of what the node offers of that resource.
    fn of(self, nodes: &Nodes, node: NodeId) -> u64 {
        if self == Self::Tasks {
            return u64::from(nodes.task_counts()[node.row()]);
        }
        let gpu_offered = nodes.gpu_capacity(node);
        let gpu_used = gpu_offered - nodes.gpu_free(node);
        let amounts = Resource::SCALARS
            .map(|it| {
                let offered = nodes.allocatable(it)[node.row()];
                (offered - nodes.free(it)[node.row()], offered)
            })
            .into_iter()
            .chain([(gpu_used, gpu_offered)]);
        let shares = amounts.map(|(used, offered)| {
            (u128::from(used) << 32).checked_div(u128::from(offered)).unwrap_or(0) as u64
        });
        shares.max().unwrap_or(0)
    }
}

/// Least loaded of a few.
#[derive(Debug, Clone, Copy)]
pub struct PowerOfD {
    d: usize,
    load: Load,
    tie: Tie,
}

impl Rank for PowerOfD {
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

    fn sampling(&mut self, _ask: Ask<'_>, _nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        Sampling::Random { d: self.d }
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> u64 {
        |node| self.load.of(state.nodes(), node)
    }

    fn parts(&self, key: u64) -> Vec<Part> {
        vec![match self.load {
            Load::Share => Part::lowest("largest share in use", key).over(fixed::ONE as f64),
            Load::Tasks => Part::lowest("tasks", key),
        }]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{World, check, demand};
    use crate::policy::Policy;
    use cluster::ids::NodeId;
    use cluster::nodes::{NodeCapacity, NodeSpec};
    use cluster::rules::Rules;

    #[test]
    fn draws_only_from_nodes_that_fit() {
        check("power-of-d", "1/8 4/1 2/4 8/1", "2/4 2/4", "n2 -");
    }

    #[test]
    fn with_enough_draws_takes_the_least_loaded() {
        let policy = "power-of-d:d=100,tie=index";
        check(policy, "4/8 8/16 2/4", "1/1 1/1 1/1 1/1 1/1", "n0 n1 n2 n1 n0");
        check("power-of-d:d=100,load=tasks,tie=index", "2/4 8/8", "1/1 1/1 1/1", "n0 n1 n0");
        check(policy, "4/8+1 4/8+1", "1/1+0.5 2/1 1/1", "n0 n1 n0");
    }

    /// Every pair of nodes is drawn equally often, few or many of them fitting: with tasks as load and
    /// node i running i tasks, the lower of the pair wins, so that node i wins with the chance of being
    /// the lowest.
    #[test]
    fn pairs_are_drawn_uniformly() {
        for misfits in [0, 40] {
            let policy: Policy = "power-of-d:load=tasks".parse().unwrap();
            let mut world = World::new(Rules::default(), policy.build(9));
            for row in 0..4 + misfits {
                let amounts = demand(if row < 4 { "9/9" } else { "1/9" }).amounts;
                world.join(NodeSpec {
                    name: row.to_string(),
                    capacity: NodeCapacity { amounts, gpus: vec![] },
                    ..NodeSpec::default()
                });
            }
            for node in 0..4 {
                for _ in 0..node {
                    world.adopt(NodeId(node));
                }
            }
            let mut seen = [0u32; 4];
            for _ in 0..2400 {
                let node = world.submit(demand("2/1"), None).unwrap();
                seen[node.row()] += 1;
                world.exit(world.last_task());
            }
            // Of the 6 pairs, 3, 2, 1 and 0 have node 0, 1, 2, 3 as their lowest.
            assert_eq!(seen[3], 0);
            for (row, want) in [1200, 800, 400].into_iter().enumerate() {
                assert!(seen[row].abs_diff(want) < 125, "{misfits} misfits: {seen:?}");
            }
        }
    }
}
