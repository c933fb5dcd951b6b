//! Least stranded: the node where the least is left that nobody can use, because another resource runs out
//! first.
//!
//! Source: A. Verma, L. Pedrosa, M. Korupolu, D. Oppenheimer, E. Tune, J. Wilkes, "Large-scale cluster
//! management at Google with Borg", EuroSys 2015, section 3.2: of Borg's scorer it is known that it avoids
//! stranding, and that it packs 3 to 5 % better than best fit; its formula is not published. Ours: let `s`
//! be the share that stays free of each resource of the node, once it runs the task; stranded is the sum of
//! what each `s` is above the smallest. Equal nodes are told apart by best fit, the sum of all `s`.
//! Differs from Borg further in leaving out its other preferences (preemptions, packages that are there
//! already, failure domains, the mix of priorities).
//!
//! Shares are of the node's own size, rounded down to 2^-32. A resource that the node has none of does not
//! count.
//!
//! Cost: one pass over the nodes that fit, one or two divisions for each resource that counts.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "least-stranded",
    summary: "the node where the least is left over of one resource beside another that runs out",
    source: "the idea of Borg's scorer: Verma et al., EuroSys 2015, section 3.2",
    differs: "Borg's formula is not published; its other preferences are left out",
    cost: "one pass over the nodes, a division or two a resource",
    parameters: &[
        Parameter {
            name: "resources",
            values: "one to four of cpu, memory, disk and gpu",
            default: "cpu,memory",
            summary: "those that count, one after the other: least-stranded:cpu,memory,gpu",
        },
        Parameter {
            name: "of",
            values: "after|growth",
            default: "after",
            summary: "what is stranded once the task runs, or by how much the task makes it more",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "least-stranded:cpu,memory,gpu,of=growth",
};

/// Which stranded amount is to be small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// That of the node once it runs the task.
    After,
    /// The same, less what is stranded there before.
    Growth,
}

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let counted = arguments.list("resources", 4, Resource::from_name)?;
    let of = arguments.word("of", &[("after", Of::After), ("growth", Of::Growth)])?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let counts = Resource::ALL.map(|it| counted.contains(&it));
    arguments.per_task(LeastStranded { counts, of, tie })
}

/// Least stranded first.
#[derive(Debug, Clone, Copy)]
pub struct LeastStranded {
    /// Per resource.
    counts: [bool; 4],
    of: Of,
    tie: Tie,
}

/// What is stranded of shares, and their sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    shares: u64,
    smallest: Option<u64>,
    count: u64,
}

impl Sum {
    fn add(&mut self, share: u64) {
        self.shares += share;
        self.smallest = Some(self.smallest.map_or(share, |it| it.min(share)));
        self.count += 1;
    }

    fn stranded(self) -> i64 {
        (self.shares - self.count * self.smallest.unwrap_or(0)) as i64
    }
}

impl Rank for LeastStranded {
    /// What is stranded, and what is left at all; shares are at most 2^32.
    type Key = (i64, u64);
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

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> (i64, u64) {
        let nodes = state.nodes();
        let asked = ask.shape.totals();
        move |node| {
            let (mut before, mut after) = (Sum::default(), Sum::default());
            for resource in Resource::ALL.into_iter().filter(|it| self.counts[it.row()]) {
                let (free, offered) = fixed::free_and_offered(nodes, resource, node);
                if offered > 0 {
                    after.add(fixed::share(free - asked[resource.row()], offered));
                    if self.of == Of::Growth {
                        before.add(fixed::share(free, offered));
                    }
                }
            }
            (after.stranded() - before.stranded(), after.shares)
        }
    }

    fn parts(&self, (stranded, left): (i64, u64)) -> Vec<Part> {
        let name = match self.of {
            Of::After => "shares stranded",
            Of::Growth => "more shares stranded",
        };
        let one = fixed::ONE as f64;
        vec![Part::lowest(name, stranded).over(one), Part::lowest("shares left", left).over(one)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn keeps_what_is_left_in_proportion() {
        // Left in eighths of cpu and memory: n0 4 and 6, n1 6 and 6.
        check("least-stranded", "4/8 8/8", "2/2", "n1");
        check("best-fit", "4/8 8/8", "2/2", "n0");
        // A task of much cpu and one of much memory go together.
        check("least-stranded", "8/8 8/8 8/8", "4/1 4/1 1/4", "n0 n1 n0");
    }

    #[test]
    fn equal_nodes_are_told_apart_by_best_fit() {
        check("least-stranded", "8/8 4/4 2/2", "1/1 1/1 1/1", "n2 n2 n1");
    }

    #[test]
    fn growth_does_not_mind_what_was_stranded_before() {
        // n0 has 1/8 of its cpu and 7/8 of its memory left. The task takes 1/8 of both there: no growth.
        // On n1 it takes 1/4 of cpu and 1/2 of memory.
        check("least-stranded", "8/8 4/2", "7/1 1/1", "n0 n1");
        check("least-stranded:of=growth", "8/8 4/2", "7/1 1/1", "n0 n0");
    }

    #[test]
    fn only_named_resources_count() {
        // The GPUs of n0 are stranded by the first task, if anybody looks.
        check("least-stranded", "4/4+4 8/8", "3/3", "n0");
        check("least-stranded:cpu,memory,gpu", "4/4+4 8/8", "3/3", "n1");
        check("least-stranded:cpu", "4/1 3/8", "1/1", "n1");
    }

    #[test]
    fn a_node_without_a_resource_strands_none_of_it() {
        check("least-stranded:cpu,gpu", "8/8+2 8/8", "1/1", "n1");
    }
}
