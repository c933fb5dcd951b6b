//! Failure spread: the node whose failure domains, from the widest to the node itself, hold the fewest
//! replicas of the task.
//!
//! Source: the goal of losing the fewest replicas when what fails together fails. With one failure at a
//! time, equally likely at each level, that is the sum over domains of the replicas in it beyond what the
//! service can spare; for nested domains it is least when replicas are spread level by level. So do Amazon
//! ECS (`spread` in a chain), Google's Borg and Kubernetes' topology spread constraints.
//! Differs in nesting: a rack is a rack of its zone, whatever it is called elsewhere. A node without the
//! attribute shares its fate with no other node. Up to `spare` replicas in one domain are as good as one. A
//! task without a group has no replicas to be kept apart from.
//!
//! Exact. Cost: one pass over the nodes, and one over those that run tasks of the group.

use crate::card::{Card, Parameter};
use crate::norm::{Measure, Norm};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::event::Change;
use cluster::explain::Wins;
use cluster::ids::{NodeId, ValueId};
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::collections::BTreeMap;
use std::fmt;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "failure-spread",
    summary: "the node whose zone, then rack, then self hold the fewest tasks of the same group",
    source: "least replicas lost to one failure; as in Borg, EuroSys 2015, and ECS's spread chains",
    differs: "domains are nested; a node without the attribute is a domain of its own",
    cost: "one pass over the nodes, and over those that run tasks of the group",
    parameters: &[
        Parameter {
            name: "domains",
            values: "up to 4 of zone, node and names of attributes",
            default: "zone,rack,node",
            summary: "what fails together, from the widest to the narrowest",
        },
        Parameter {
            name: "spare",
            values: "a number from 1 to 1000",
            default: "1",
            summary: "up to so many tasks of a group in one domain are as good as one",
        },
        Parameter {
            name: "then",
            values: "pack|spread|first",
            default: "pack",
            summary: "between nodes whose domains hold as many: pack takes the one that has the least left, \
                      spread the most, first leaves it to the tie rule",
        },
        Parameter::TIE,
    ],
    example: "failure-spread:zone,power,rack,node,then=spread",
};

/// Something that fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Domain {
    Node,
    Attribute(String),
}

impl Domain {
    fn read(text: &str) -> Option<Self> {
        let is_letter = |it: u8| it.is_ascii_alphanumeric() || b"-._/".contains(&it);
        match text {
            "node" => Some(Self::Node),
            _ => text.bytes().all(is_letter).then(|| Self::Attribute(text.to_owned())),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Attribute(name) => f.write_str(name),
        }
    }
}

/// What decides between nodes whose domains are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Then {
    Pack,
    Spread,
    First,
}

/// At most so many domains may be named.
const LEVELS_MAX: usize = 4;

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let domains = arguments.list("domains", LEVELS_MAX, Domain::read)?;
    let spare = arguments.number("spare", 1..=1000)? as u32;
    let words = [("pack", Then::Pack), ("spread", Then::Spread), ("first", Then::First)];
    let then = arguments.word("then", &words)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let levels = domains.into_iter().map(Level::new).collect();
    arguments.per_task(FailureSpread { levels, spare, then, tie, left: Measure::new(Norm::L1) })
}

/// Fewest replicas first, level by level.
#[derive(Debug, Clone)]
pub struct FailureSpread {
    levels: Vec<Level>,
    spare: u32,
    then: Then,
    tie: Tie,
    left: Measure,
}

/// One kind of domain over all nodes.
#[derive(Debug, Clone)]
struct Level {
    domain: Domain,
    /// Which domain a node is in. Attributes of a node never change, so rows are only added.
    of_node: Vec<u32>,
    /// The domain of a value within a domain of the level above.
    known: BTreeMap<(u32, ValueId), u32>,
    /// Tasks of the group in each domain, for the task at hand.
    counts: Vec<u32>,
}

impl Level {
    fn new(domain: Domain) -> Self {
        Self { domain, of_node: Vec::new(), known: BTreeMap::new(), counts: Vec::new() }
    }

    fn clear(&mut self) {
        *self = Self::new(self.domain.clone());
    }

    /// Adds the rows of nodes that joined, each within its domain of the level above.
    fn extend(&mut self, nodes: &Nodes, above: &[u32]) {
        for row in self.of_node.len()..nodes.len() {
            let value = match &self.domain {
                Domain::Node => None,
                Domain::Attribute(name) => {
                    nodes.attribute(name).and_then(|it| nodes.value(NodeId(row as u32), it))
                }
            };
            let next = self.counts.len() as u32;
            let above = above.get(row).copied().unwrap_or(0);
            let id = value.map_or(next, |it| *self.known.entry((above, it)).or_insert(next));
            if id == next {
                self.counts.push(0);
            }
            self.of_node.push(id);
        }
    }
}

impl Rank for FailureSpread {
    /// Replicas in the domains of each level, and what is left on the node.
    type Key = ([u32; LEVELS_MAX], u64);
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    /// Domains are made anew of whatever state comes next.
    fn recall(&mut self, (): ()) {
        self.levels.iter_mut().for_each(Level::clear);
    }

    fn locality(&self, ask: Ask<'_>) -> Locality {
        match ask.task.group {
            Some(_) => Locality::GroupLocal,
            None => Locality::NodeLocal,
        }
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.left.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        let nodes = state.nodes();
        self.left.refresh(nodes);
        let group = ask.task.group.and_then(|it| state.group(it));
        let replicas = group.map_or(&[][..], |it| it.on_nodes());
        let mut above: &[u32] = &[];
        for level in &mut self.levels {
            level.extend(nodes, above);
            level.counts.fill(0);
            for &(node, tasks) in replicas {
                level.counts[level.of_node[node.row()] as usize] += tasks;
            }
            above = &level.of_node;
        }
    }

    fn keys<'a>(
        &'a self,
        ask: Ask<'a>,
        state: &'a State,
    ) -> impl Fn(NodeId) -> ([u32; LEVELS_MAX], u64) {
        let left = self.left.reader(ask, state.nodes());
        move |node| {
            let mut replicas = [0; LEVELS_MAX];
            for (key, level) in replicas.iter_mut().zip(&self.levels) {
                let others = level.counts[level.of_node[node.row()] as usize];
                *key = (others + 1).saturating_sub(self.spare);
            }
            let left = match self.then {
                Then::Pack => left.of(node),
                Then::Spread => u64::MAX - left.of(node),
                Then::First => 0,
            };
            (replicas, left)
        }
    }

    fn parts(&self, (replicas, left): ([u32; LEVELS_MAX], u64)) -> Vec<Part> {
        let levels = self.levels.iter().zip(replicas);
        let mut parts: Vec<Part> = levels
            .map(|(level, replicas)| {
                let name = format!("tasks of the group in the {} beyond spare", level.domain);
                Part::lowest(name, replicas)
            })
            .collect();
        match self.then {
            Then::Pack => parts.push(self.left.part(left, Wins::Lowest)),
            Then::Spread => parts.push(self.left.part(u64::MAX - left, Wins::Highest)),
            Then::First => {}
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    const NODES: &str = "8/8@a,rack=1 8/8@a,rack=1 8/8@a,rack=2 8/8@b,rack=1 8/8@b,rack=1";

    #[test]
    fn spreads_over_zones_then_racks_then_nodes() {
        let tasks = "1/1:1 1/1:1 1/1:1 1/1:1 1/1:1";
        check("failure-spread", NODES, tasks, "n0 n3 n2 n4 n1");
        check("failure-spread:node", NODES, "1/1:1 1/1:1 1/1:1", "n0 n1 n2");
        check("failure-spread:rack,node", NODES, "1/1:1 1/1:1 1/1:1", "n0 n2 n1");
    }

    #[test]
    fn a_rack_is_a_rack_of_its_zone() {
        // Rack 1 of zone b has nothing to do with rack 1 of zone a, where the first task runs.
        let nodes = "1/8@a,rack=1 1/8@a,rack=1 8/8@b,rack=1 8/8@b,rack=2";
        check("failure-spread", nodes, "1/1:1 1/1:1 1/1:1", "n0 n2 n3");
        check("failure-spread:rack", nodes, "1/1:1 1/1:1 1/1:1", "n0 n3 n1");
    }

    #[test]
    fn packs_within_a_domain() {
        let nodes = "8/8@a 4/4@a 9/9@b 2/2@b";
        check("failure-spread", nodes, "1/1:1 1/1:1 1/1:2", "n3 n1 n3");
        check("failure-spread:then=spread", nodes, "1/1:1 1/1:1 1/1:2", "n2 n0 n2");
        check("failure-spread:then=first", nodes, "1/1:1 1/1:1 1/1:2", "n0 n2 n0");
    }

    #[test]
    fn a_task_without_a_group_has_no_replicas() {
        check("failure-spread", "8/8@a 8/8@b", "1/1 1/1", "n0 n0");
    }

    #[test]
    fn a_node_without_the_attribute_fails_alone() {
        let nodes = "8/8,rack=1 8/8,rack=1 8/8 8/8";
        check("failure-spread:rack", nodes, "1/1:1 1/1:1 1/1:1 1/1:1", "n0 n2 n3 n0");
    }

    #[test]
    fn spare_replicas_may_share_a_domain() {
        let tasks = "1/1:1 1/1:1 1/1:1 1/1:1 1/1:1";
        check("failure-spread:zone,spare=2", "8/8@a 8/8@b", tasks, "n0 n0 n1 n1 n0");
    }

    #[test]
    fn counts_are_made_anew_for_every_task() {
        check("failure-spread", "8/8@a 8/8@b", "1/1:1 1/1:2 1/1:1 x0 1/1:1", "n0 n0 n1 n0");
    }
}
