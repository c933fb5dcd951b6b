//! E-PVM: the node where the task raises the price of what is used the least, prices being exponential.
//!
//! Source: Y. Amir, B. Awerbuch, A. Barak, R. S. Borgstrom, A. Keren, "An opportunity cost approach for job
//! assignment in a scalable computing cluster", IEEE Transactions on Parallel and Distributed Systems
//! 11(7), 2000. A node costs the sum over its resources of `n^u`, where `u` is the share of the resource in
//! use and `n` the number of nodes; a task goes where that sum grows least. Borg's first scorer was a
//! variant of it, said to spread load and to leave headroom everywhere.
//! Differs in what a resource is: cpu, memory, disk and GPUs as asked for, in place of measured load; tasks
//! stay where they are; `base` can be fixed.
//!
//! Shares in use are rounded down to 2^-32 and powers are those of [`fixed`].
//!
//! Cost: one pass over the nodes that fit, two divisions and two powers for each resource asked for.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::fmt;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "e-pvm",
    summary: "the node where the task raises the sum of exponential prices of its resources the least",
    source: "Amir et al., \"An opportunity cost approach\", IEEE TPDS 11(7), 2000",
    differs: "amounts asked for in place of measured load; no task is moved",
    cost: "one pass over the nodes, two powers a resource",
    parameters: &[
        Parameter {
            name: "base",
            values: "nodes, or a number from 2 to 65536",
            default: "nodes",
            summary: "the price of a resource is this, to the power of the share in use; `nodes` is \
                      how many nodes there are",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "e-pvm:base=16",
};

/// What is raised to the power of the share in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    /// The number of nodes that are not lost, at least two.
    Nodes,
    /// This number.
    Fixed(u32),
}

impl Base {
    fn read(text: &str) -> Option<Self> {
        match text {
            "nodes" => Some(Self::Nodes),
            _ => text.parse().ok().filter(|it| (2..=1 << 16).contains(it)).map(Self::Fixed),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes => f.write_str("nodes"),
            Self::Fixed(base) => write!(f, "{base}"),
        }
    }
}

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let base = arguments.list("base", 1, Base::read)?[0];
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(EPvm { base, tie })
}

/// Smallest rise of the price first.
#[derive(Debug, Clone, Copy)]
pub struct EPvm {
    base: Base,
    tie: Tie,
}

impl Rank for EPvm {
    type Key = u128;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        match self.base {
            Base::Nodes => Locality::Global,
            Base::Fixed(_) => Locality::NodeLocal,
        }
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    /// A price is at most 2^16 with 60 digits (2^32 in a cluster of that many nodes), so that sums stay
    /// below 2^94. Resources that the task does not ask for keep their price.
    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> u128 {
        let nodes = state.nodes();
        let base = match self.base {
            Base::Nodes => nodes.totals().nodes.max(2),
            Base::Fixed(base) => base,
        };
        let digits = u128::from(fixed::log2(base.into()));
        let price = move |used, offered| {
            let share = u128::from(fixed::share(used, offered));
            fixed::exp2(((digits * share) >> 32) as u64)
        };
        let asked = ask.shape.totals();
        move |node| {
            let mut rise = 0;
            for resource in Resource::ALL {
                let asked = asked[resource.row()];
                if asked > 0 {
                    let (free, offered) = fixed::free_and_offered(nodes, resource, node);
                    let used = offered - free;
                    rise += price(used + asked, offered) - price(used, offered);
                }
            }
            rise
        }
    }

    fn parts(&self, rise: u128) -> Vec<Part> {
        let one = (1u64 << fixed::DIGITS) as f64;
        vec![Part::lowest("rise of the price", rise).over(one)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn spreads_over_equal_nodes() {
        check("e-pvm", "4/8 4/8 4/8", "1/1 1/1 1/1 1/1", "n0 n1 n2 n0");
        check("e-pvm:base=2", "4/8 4/8 4/8", "1/1 1/1 1/1 1/1", "n0 n1 n2 n0");
    }

    #[test]
    fn a_large_node_may_be_fuller() {
        // One core is a quarter of n0 and an eighth of n1: 16^(1/4) - 1 = 1 and, on n1 at one, two, three
        // and four eighths, 0.41, 0.59, 0.83 and 1.17.
        check("e-pvm:base=16", "4/8 8/8", "1/0 1/0 1/0 1/0 1/0", "n1 n1 n1 n0 n1");
    }

    #[test]
    fn prices_are_added_up() {
        // With base 16, n0 costs 4 - 1 = 3 for cpu and 1 for memory, n1 the other way round, n2 1 + 1.
        check("e-pvm:base=16", "2/4 4/2 4/4", "1/1", "n2");
        // What is not asked for has no price.
        check("e-pvm:base=16", "2/16+4 2/1", "1/0", "n0");
    }

    #[test]
    fn a_steeper_price_shuns_what_is_nearly_full() {
        // n0 goes from a half to five eighths of its cpu, n1 from nothing to a quarter.
        let tasks = "4/0 1/0";
        check("e-pvm:base=2", "8/8 4/0", tasks, "n0 n0");
        check("e-pvm:base=256", "8/8 4/0", tasks, "n0 n1");
    }
}
