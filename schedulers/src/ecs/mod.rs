//! Amazon ECS: placement strategies in a chain, each of which decides between the nodes that the ones
//! before it left tied.
//!
//! This file is the strategy that simulations use, on the columns of the `cluster` crate. Beside it stands all
//! that ECS decides when it places a task, on instances of its own: [`place`] asks the [`filter`]s (of which
//! `memberOf` speaks the [`query`] language) and then the [`strategy`] chain; [`call`] is RunTask and StartTask;
//! [`size`], [`memory`], [`cgroup`], [`host`] and [`register`] keep the books.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS task placement strategies" and "Service scheduler
//! concepts"; the API's `PlacementStrategy`. In short:
//!
//! * `spread(FIELD)`: the value of the field with the fewest tasks of the task's own set. The set is the
//!   group: the service, or the task group of a standalone task. Tasks count from the moment they are
//!   placed. Fields are `instanceId` (alias `host`) and `attribute:NAME`, of which
//!   `attribute:ecs.availability-zone` is the node's zone.
//! * `binpack(cpu)`, `binpack(memory)`: the least left of that resource alone, as a plain amount.
//! * `random`: a uniform draw, which leaves nothing tied.
//!
//! Differs where the guide is silent, or says what cannot be copied:
//!
//! * Without a chain, zones are balanced first and then nodes. The guide documents this for services only, and
//!   no default for standalone tasks, which is RunTask. `standalone=random` draws for those (all jobs), `same`, the
//!   default here, places them by the chain: the jobs of traces were not written as RunTask without a strategy, and
//!   a draw would say nothing about the strategy that is compared.
//! * Nodes without the attribute are one bucket of their own.
//! * In ECS every task has a group, if only its family's. A task that has none here is balanced against
//!   all tasks of the cluster.
//! * What the chain leaves tied goes to the node that joined first, unless `tie` says otherwise.
//!
//! Cost: one pass over the nodes, and one over the nodes that run tasks of the group; for tasks without a
//! group and an attribute other than the zone, one more over all nodes. A chain without attributes other than the zone
//! that spreads before it packs, such as the default, looks at bits of the nodes instead, and packs those only between
//! which it has to choose.

pub mod call;
pub mod cgroup;
pub mod constraint;
pub mod explain;
pub mod filter;
pub mod group;
pub mod host;
pub mod instance;
pub mod memory;
pub mod place;
pub mod query;
pub mod register;
pub mod size;
pub mod strategy;

use crate::card::{Card, Parameter};
use crate::fitting::{Fitting, Rows, Zones};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::event::TaskKind;
use cluster::ids::{AttributeId, NodeId, ZoneId};
use cluster::nodes::{Nodes, ZONE};
use cluster::scheduler::Ask;
use cluster::state::State;
use std::fmt;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "ecs",
    summary: "Amazon ECS: spread, binpack and random in a chain; by default zones, then nodes",
    source: "Amazon ECS Developer Guide, task placement strategies",
    differs: "jobs are placed by the chain too, unless standalone=random; a task without a group is balanced against \
              all tasks; ties go to the node that joined first",
    cost: "one pass over those that run the group, and over bits of the nodes; over the nodes with attributes",
    parameters: &[
        Parameter {
            name: "strategy",
            values: "up to 5 of spread(attribute:NAME), spread(instanceId), spread(host), \
                     binpack(cpu), binpack(memory), random",
            default: "spread(attribute:ecs.availability-zone),spread(instanceId)",
            summary: "the chain, the most important first",
        },
        Parameter {
            name: "standalone",
            values: "same|random",
            default: "same",
            summary: "how jobs are placed, which RunTask would start: as services are, or by a uniform draw",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "ecs:spread(attribute:ecs.availability-zone),binpack(memory)",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let chain = arguments.list("strategy", strategy::COUNT_MAX, Step::read)?;
    let draws_jobs = arguments.word("standalone", &[("same", false), ("random", true)])?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    // What follows `random` has nothing to decide.
    let (chain, tie) = match chain.iter().position(|it| *it == Step::Random) {
        Some(at) => (&chain[..at], Tie::Random),
        None => (&chain[..], tie),
    };
    // A type per length, so that keys are no longer than they must be.
    match chain {
        [] => arguments.per_task(Ecs::new([], tie, draws_jobs)),
        [a] => arguments.per_task(Ecs::new([a], tie, draws_jobs)),
        [a, b] => arguments.per_task(Ecs::new([a, b], tie, draws_jobs)),
        [a, b, c] => arguments.per_task(Ecs::new([a, b, c], tie, draws_jobs)),
        [a, b, c, d] => arguments.per_task(Ecs::new([a, b, c, d], tie, draws_jobs)),
        [a, b, c, d, e, ..] => arguments.per_task(Ecs::new([a, b, c, d, e], tie, draws_jobs)),
    }
}

/// One strategy of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Fewest tasks of the group in the zone.
    SpreadZone,
    /// Fewest tasks of the group on the node.
    SpreadNode,
    /// Fewest tasks of the group on nodes with the same value of this attribute.
    SpreadAttribute(String),
    /// Least left of this resource.
    Binpack(Resource),
    /// A uniform draw.
    Random,
}

impl Step {
    fn read(text: &str) -> Option<Self> {
        if text == "random" {
            return Some(Self::Random);
        }
        let (kind, rest) = text.split_once('(')?;
        let field = rest.strip_suffix(')')?.trim();
        match (kind.trim_end(), field) {
            ("binpack", "cpu") => Some(Self::Binpack(Resource::Cpu)),
            ("binpack", "memory") => Some(Self::Binpack(Resource::Memory)),
            ("spread", "instanceId" | "host") => Some(Self::SpreadNode),
            ("spread", field) => {
                let name = field.strip_prefix("attribute:")?;
                match name {
                    instance::ZONE | ZONE => Some(Self::SpreadZone),
                    _ => instance::is_attribute_name(name)
                        .then(|| Self::SpreadAttribute(name.to_owned())),
                }
            }
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpreadZone => write!(f, "spread(attribute:{})", instance::ZONE),
            Self::SpreadNode => f.write_str("spread(instanceId)"),
            Self::SpreadAttribute(name) => write!(f, "spread(attribute:{name})"),
            Self::Binpack(resource) => write!(f, "binpack({resource})"),
            Self::Random => f.write_str("random"),
        }
    }
}

/// Lexicographic by the chain.
#[derive(Debug, Clone)]
pub struct Ecs<const N: usize> {
    chain: [Step; N],
    tie: Tie,
    draws_jobs: bool,
    /// Whether the task at hand is drawn for, whatever the chain says.
    is_drawn: bool,
    /// For the task at hand, tasks of its set per zone, node, and value of each step's attribute.
    in_zones: Vec<u64>,
    on_nodes: Vec<u32>,
    by_value: [ByValue; N],
    /// Whether [`Ecs::find`] knows the chain.
    is_simple: bool,
    fitting: Fitting,
    zones: Zones,
    /// Nodes that run tasks of the set, where it is a group.
    used: Rows,
    /// Nodes that the steps so far leave.
    left: Rows,
}

/// Tasks per value of an attribute.
#[derive(Debug, Clone, Default)]
struct ByValue {
    /// `None` if nobody ever named it.
    attribute: Option<AttributeId>,
    /// In value order; then those of nodes without it.
    counts: Vec<u64>,
}

impl ByValue {
    fn bucket(&self, nodes: &Nodes, node: NodeId) -> usize {
        let value = self.attribute.and_then(|it| nodes.value(node, it));
        value.map_or(self.counts.len() - 1, |it| it.0 as usize)
    }
}

/// A step's count or amount for every node.
#[derive(Debug, Clone, Copy)]
enum Column<'a> {
    Same,
    Zones { counts: &'a [u64], zones: &'a [ZoneId] },
    Tasks(&'a [u32]),
    Values { by_value: &'a ByValue, nodes: &'a Nodes },
    Left { free: &'a [u64], asked: u64 },
}

impl Column<'_> {
    #[inline(always)]
    fn of(&self, node: NodeId) -> u64 {
        match self {
            Self::Same => 0,
            Self::Zones { counts, zones } => counts[zones[node.row()].row()],
            Self::Tasks(tasks) => u64::from(tasks[node.row()]),
            Self::Values { by_value, nodes } => by_value.counts[by_value.bucket(nodes, node)],
            Self::Left { free, asked } => free[node.row()] - asked,
        }
    }
}

impl<const N: usize> Ecs<N> {
    fn new(chain: [&Step; N], tie: Tie, draws_jobs: bool) -> Self {
        Self {
            chain: chain.map(Step::clone),
            tie,
            draws_jobs,
            is_drawn: false,
            in_zones: Vec::new(),
            on_nodes: Vec::new(),
            by_value: std::array::from_fn(|_| ByValue::default()),
            is_simple: is_simple(chain) && tie == Tie::LowestIndex,
            fitting: Fitting::default(),
            zones: Zones::default(),
            used: Rows::default(),
            left: Rows::default(),
        }
    }
}

/// With more zones than this they are no longer looked at one by one.
const ZONES_MAX: usize = 64;

/// Whether all spreads stand before what is packed, the zones first, without other attributes.
fn is_simple<const N: usize>(chain: [&Step; N]) -> bool {
    let place = |it: &Step| match it {
        Step::SpreadZone => Some(0),
        Step::SpreadNode => Some(1),
        Step::Binpack(_) => Some(2),
        Step::SpreadAttribute(_) | Step::Random => None,
    };
    let places: Option<Vec<u8>> = chain.iter().map(|it| place(it)).collect();
    places.is_some_and(|it| it.is_sorted())
}

impl<const N: usize> Rank for Ecs<N> {
    type Key = [u64; N];
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, ask: Ask<'_>) -> Locality {
        let is_drawn = self.draws_jobs && ask.task.kind == TaskKind::Job;
        if is_drawn || self.chain.iter().all(|it| matches!(it, Step::Binpack(_) | Step::Random)) {
            Locality::NodeLocal
        } else if ask.task.group.is_some() {
            Locality::GroupLocal
        } else {
            Locality::Global
        }
    }

    fn tie(&self) -> Tie {
        if self.is_drawn { Tie::Random } else { self.tie }
    }

    fn recall(&mut self, (): ()) {
        // What was kept was of another state.
        self.fitting = Fitting::default();
        self.zones = Zones::default();
    }

    fn find(&mut self, ask: Ask<'_>, state: &State) -> Option<NodeId> {
        let Self { chain, fitting, zones, used, left, in_zones, on_nodes, .. } = self;
        let nodes = state.nodes();
        if self.is_drawn || !self.is_simple || nodes.zone_names().len() > ZONES_MAX {
            return None;
        }
        left.clone_from(fitting.rows(ask.task.shape, ask.shape, nodes));
        for step in chain {
            match step {
                Step::SpreadZone => {
                    let zones = zones.rows(nodes).iter().zip(in_zones.iter());
                    let fewest = zones.clone().filter(|it| it.0.meets(left)).map(|it| *it.1).min();
                    for (rows, _) in zones.filter(|it| Some(*it.1) != fewest) {
                        left.remove(rows);
                    }
                }
                // The rows that run none of the group are found without looking at each.
                Step::SpreadNode if ask.task.group.is_some() && left.exceeds(used) => {
                    left.remove(used)
                }
                Step::SpreadNode => {
                    let tasks = match ask.task.group {
                        Some(_) => on_nodes.as_slice(),
                        None => nodes.task_counts(),
                    };
                    left.keep_least(|row| u64::from(tasks[row]));
                }
                Step::Binpack(resource) => left.keep_least(|row| nodes.free(*resource)[row]),
                Step::SpreadAttribute(_) | Step::Random => return None,
            }
        }
        left.iter().next().map(|row| NodeId(row as u32))
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        self.is_drawn = self.draws_jobs && ask.task.kind == TaskKind::Job;
        if self.is_drawn {
            return;
        }
        let nodes = state.nodes();
        let group = ask.task.group.map(|it| state.group(it));
        for (step, by_value) in self.chain.iter().zip(&mut self.by_value) {
            match step {
                Step::Binpack(_) | Step::Random => {}
                Step::SpreadZone => {
                    self.in_zones.clear();
                    match group {
                        Some(group) => {
                            self.in_zones.extend((0..nodes.zone_names().len()).map(|it| {
                                group.map_or(0, |group| u64::from(group.in_zone(ZoneId(it as u16))))
                            }))
                        }
                        None => self.in_zones.extend(nodes.zone_totals().iter().map(|it| it.tasks)),
                    }
                }
                Step::SpreadNode => {
                    // Kept all zero between tasks; see `end`.
                    self.on_nodes.resize(nodes.len(), 0);
                    self.used.widen(nodes.len());
                    for &(node, tasks) in group.flatten().map_or(&[][..], |it| it.on_nodes()) {
                        self.on_nodes[node.row()] = tasks;
                        self.used.set(node.row(), true);
                    }
                }
                Step::SpreadAttribute(name) => {
                    by_value.attribute = nodes.attribute(name);
                    let values = by_value.attribute.map_or(0, |it| nodes.value_count(it));
                    by_value.counts.clear();
                    by_value.counts.resize(values + 1, 0);
                    let mut count = |node, tasks: u32| {
                        let bucket = by_value.bucket(nodes, node);
                        by_value.counts[bucket] += u64::from(tasks);
                    };
                    match group {
                        Some(group) => group
                            .map_or(&[][..], |it| it.on_nodes())
                            .iter()
                            .for_each(|&(node, tasks)| count(node, tasks)),
                        None => nodes
                            .ids()
                            .zip(nodes.task_counts())
                            .for_each(|(node, &tasks)| count(node, tasks)),
                    }
                }
            }
        }
    }

    fn end(&mut self, ask: Ask<'_>, state: &State) {
        if !self.is_drawn
            && !self.on_nodes.is_empty()
            && let Some(group) = ask.task.group.and_then(|it| state.group(it))
        {
            for &(node, _) in group.on_nodes() {
                self.on_nodes[node.row()] = 0;
                self.used.set(node.row(), false);
            }
        }
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> [u64; N] {
        let nodes = state.nodes();
        let columns: [Column<'a>; N] = std::array::from_fn(|at| match &self.chain[at] {
            _ if self.is_drawn => Column::Same,
            Step::SpreadZone => Column::Zones { counts: &self.in_zones, zones: nodes.zones() },
            Step::SpreadNode => Column::Tasks(match ask.task.group {
                Some(_) => &self.on_nodes,
                None => nodes.task_counts(),
            }),
            Step::SpreadAttribute(_) => Column::Values { by_value: &self.by_value[at], nodes },
            Step::Binpack(resource) => Column::Left {
                free: nodes.free(*resource),
                asked: ask.shape.amounts[resource.row()],
            },
            Step::Random => unreachable!("cut off when the policy was read"),
        });
        move |node| columns.each_ref().map(|it| it.of(node))
    }

    fn parts(&self, key: [u64; N]) -> Vec<Part> {
        let steps = self.chain.iter().zip(key).filter(|_| !self.is_drawn);
        steps
            .map(|(step, value)| {
                let part = Part::lowest(step.to_string(), value);
                match step {
                    Step::Binpack(resource) => part.amount(*resource),
                    _ if value == 1 => part.said("1 task"),
                    _ => part.said(format!("{value} tasks")),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::instance::{Amounts, Instance, ZONE};
    use super::place::{Request, place};
    use super::strategy;
    use crate::check::{World, check, demand, run};
    use crate::policy::Policy;
    use cluster::event::TaskKind;
    use cluster::nodes::{NodeCapacity, NodeSpec};
    use cluster::rules::Rules;
    use proptest::prelude::*;

    #[test]
    fn by_default_balances_zones_then_nodes() {
        let nodes = "8/8@a 8/8@a 8/8@b 8/8@c";
        check("ecs", nodes, "1/1:1 1/1:1 1/1:1 1/1:1 1/1:1", "n0 n2 n3 n1 n2");
        // Another service is not seen.
        check("ecs", nodes, "1/1:1 1/1:2 1/1:1", "n0 n0 n2");
    }

    #[test]
    fn goes_to_another_zone_when_the_best_has_no_room() {
        check("ecs", "8/8@a 1/1@b", "1/1:1 1/1:1 1/1:1", "n0 n1 n0");
    }

    #[test]
    fn a_task_without_a_group_is_balanced_against_all() {
        check("ecs", "8/8@a 8/8@a 8/8@b", "1/1 1/1:7 1/1 1/1", "n0 n0 n2 n2");
        let by_rack = "ecs:spread(attribute:rack)";
        check(by_rack, "8/8,rack=1 8/8,rack=1 8/8,rack=2", "1/1 1/1 1/1", "n0 n2 n0");
    }

    #[test]
    fn binpack_takes_the_plain_amount_of_one_resource() {
        check("ecs:binpack(cpu)", "4/8 3/8 2/2", "1/1 1/4", "n2 n1");
        check("ecs:binpack(memory)", "4/8 3/2 2/16", "1/1 1/4", "n1 n0");
    }

    #[test]
    fn the_order_of_the_chain_matters() {
        let nodes = "2/4@a 2/4@b 2/2@b";
        let tasks = "1/1:1 1/1:1 1/1:1";
        check("ecs:spread(attribute:zone),binpack(memory)", nodes, tasks, "n2 n0 n2");
        check("ecs:binpack(memory),spread(attribute:zone)", nodes, tasks, "n2 n2 n0");
    }

    #[test]
    fn nodes_without_the_attribute_are_a_bucket() {
        let nodes = "8/8 8/8,rack=1 8/8 8/8,rack=2";
        check("ecs:spread(attribute:rack)", nodes, "1/1:1 1/1:1 1/1:1 1/1:1", "n0 n1 n3 n0");
        check("ecs:spread(attribute:power)", nodes, "1/1:1 1/1:1", "n0 n0");
    }

    #[test]
    fn random_leaves_nothing_to_the_rest_of_the_chain() {
        let with_rest = run("ecs:random,binpack(cpu)", "4/4 8/8 6/6 8/8", "1/1 1/1 1/1 1/1");
        assert_eq!(with_rest, run("random", "4/4 8/8 6/6 8/8", "1/1 1/1 1/1 1/1"));
    }

    #[test]
    fn standalone_tasks_are_drawn_for_if_asked() {
        // Tasks of these checks are jobs.
        let (nodes, tasks) = ("4/4 8/8 6/6 8/8", "1/1:1 1/1:1 1/1 1/1:2");
        assert_eq!(run("ecs:standalone=random", nodes, tasks), run("random", nodes, tasks));
        let binpack = "ecs:binpack(memory),standalone=random";
        assert_eq!(run(binpack, nodes, tasks), run("random", nodes, tasks));
        assert_ne!(run("ecs", nodes, tasks), run("random", nodes, tasks));
    }

    #[test]
    fn services_are_not() {
        let place = |policy: &str, kind| {
            let policy: Policy = policy.parse().unwrap();
            let mut world = World::new(Rules::default(), policy.build(1));
            for row in 0..4 {
                world.join(NodeSpec {
                    name: format!("n{row}"),
                    capacity: NodeCapacity {
                        amounts: demand("8/8").amounts,
                        ..NodeCapacity::default()
                    },
                    ..NodeSpec::default()
                });
            }
            (0..8).map(|_| world.submit_as(demand("1/1"), Some(1), kind)).collect::<Vec<_>>()
        };
        let (random, plain) = ("ecs:standalone=random", "ecs");
        let service = TaskKind::Service;
        assert_eq!(place(random, service), place(plain, service));
        assert_ne!(place(random, TaskKind::Job), place(plain, TaskKind::Job));
    }

    #[test]
    fn scratch_is_clean_between_groups() {
        check("ecs:spread(host)", "8/8 8/8", "1/1:1 1/1:2 1/1:1 1/1:3 x0 1/1:1", "n0 n0 n1 n0 n0");
    }

    /// The chain of a policy as requests write it.
    fn chain(policy: &str) -> Vec<strategy::Strategy> {
        let written = policy.split_once(':').map_or("", |it| it.1);
        let read = |step: &str| {
            let (kind, field) = step.trim_end_matches(')').split_once('(').unwrap_or((step, ""));
            strategy::Strategy::read(kind, Some(field)).unwrap()
        };
        let steps = written.split_terminator(',').map(read).collect();
        strategy::chain(steps, "service:1").unwrap()
    }

    proptest! {
        /// On the columns and on instances of its own, the chain is one rule: the first of the equally good
        /// nodes is the same.
        #[test]
        fn simulations_decide_as_the_profile_does(
            policy in prop::sample::select(vec![
                "ecs",
                "ecs:spread(attribute:ecs.availability-zone)",
                "ecs:spread(host),binpack(memory)",
                "ecs:spread(attribute:rack),binpack(cpu)",
                "ecs:binpack(memory),spread(attribute:rack),spread(instanceId)",
                "ecs:binpack(cpu),binpack(memory)",
            ]),
            nodes in prop::collection::vec((1..8_u64, 1..8_u64, 0..3_usize, 0..3_usize), 1..7),
            tasks in prop::collection::vec((0..3_u64, 0..3_u64, 1..4_u32), 1..16),
        ) {
            let (mut words, mut instances) = (Vec::new(), Vec::new());
            for (row, &(cores, memory, zone, rack)) in nodes.iter().enumerate() {
                let zone = ["a", "b", "c"][zone];
                let rack = ["", "1", "2"][rack];
                let attribute = if rack.is_empty() { String::new() } else { format!(",rack={rack}") };
                words.push(format!("{cores}/{memory}@{zone}{attribute}"));
                let mut instance = Instance { id: row.to_string(), ..Instance::default() };
                instance.total =
                    Amounts { cpu_units: cores * 1024, memory_mib: memory * 1024, gpus: 0 };
                instance.attributes.insert(ZONE.to_owned(), zone.to_owned());
                if !rack.is_empty() {
                    instance.attributes.insert("rack".to_owned(), rack.to_owned());
                }
                instances.push(instance);
            }
            let (mut asked, mut want) = (Vec::new(), Vec::new());
            for &(cores, memory, group) in &tasks {
                asked.push(format!("{cores}/{memory}:{group}"));
                let mut request = Request {
                    group: format!("service:{group}"),
                    chain: chain(policy),
                    ..Request::default()
                };
                request.needs.amounts =
                    Amounts { cpu_units: cores * 1024, memory_mib: memory * 1024, gpus: 0 };
                let rows = place(&mut instances, &request, 1, |equal| equal[0]);
                want.push(rows.first().map_or_else(|| "-".to_owned(), |row| format!("n{row}")));
            }
            let got = run(policy, &words.join(" "), &asked.join(" "));
            prop_assert_eq!(got, want.join(" "));
        }
    }
}
