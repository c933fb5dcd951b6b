//! Plain reference forms: what policies mean, said as slowly and plainly as can be.
//!
//! Those of the strategies from papers and products are in [`research`](super::research).

use super::research;
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::constraint::{Affinity, Side, Strength, Who, all_hold};
use cluster::demand::Resource;
use cluster::event::TaskKind;
use cluster::ids::{NodeId, TaskId};
use cluster::nodes::{NODE, NodeStatus};
use cluster::scheduler::{Ask, Desk, Scheduler};
use cluster::state::State;
use cluster::units::GpuMilli;
use std::collections::BTreeSet;

/// A scheduler that says in the plainest way what a policy means: all nodes that fit, a list of exact
/// fractions for each, sort.
pub(super) struct Plain {
    score: Score,
    admits: Admits,
    tie: String,
    /// Jobs go anywhere.
    draws_jobs: bool,
    open_first: bool,
    chance: Chance,
    /// Where tasks were placed, in order.
    pub(super) placed: Vec<NodeId>,
    pub(super) seed: u64,
}

/// Numbers to be compared in order, lower is better.
pub(super) type Score = Box<dyn Fn(&Plain, Ask<'_>, NodeId, &State) -> Vec<i128> + Send>;

/// A hard rule beyond fitting.
pub(super) type Admits = Box<dyn Fn(Ask<'_>, NodeId, &State) -> bool + Send>;

/// What stands after the colon of a policy in canonical form.
pub(super) struct Arguments<'a>(Vec<&'a str>);

impl<'a> Arguments<'a> {
    /// The value of a key.
    pub(super) fn after(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|it| it.strip_prefix(key)?.strip_prefix('='))
    }

    pub(super) fn number(&self, key: &str, default: i128) -> i128 {
        self.after(key).map_or(default, |it| it.parse().unwrap())
    }

    /// Values without a key.
    pub(super) fn main(&self) -> Vec<&'a str> {
        self.0.iter().copied().filter(|it| !it.contains('=')).collect()
    }
}

impl Scheduler for Plain {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        // What is refused stays refused to all that ask for the same, until the next decision.
        let mut refused = BTreeSet::new();
        while let Some(task) = desk.head() {
            let (ask, state) = (desk.ask(task), desk.state());
            let (nodes, shape) = (state.nodes(), ask.task.shape);
            let mut fitting: Vec<NodeId> =
                nodes.ids().filter(|&it| nodes.fits(ask.shape, it)).collect();
            let fits_somewhere = !fitting.is_empty();
            let company = Company::of(state, ask.task);
            let in_company = |it: NodeId| company.as_ref().is_none_or(|all| all.allows(it).is_ok());
            fitting.retain(|it| in_company(*it) && (self.admits)(ask, *it, state));
            let is_alone = company.is_none();
            if self.open_first && fitting.iter().any(|it| !state.tasks_on(*it).is_empty()) {
                fitting.retain(|it| !state.tasks_on(*it).is_empty());
            }
            let score = |it: &NodeId| (self.score)(self, ask, *it, state);
            let best = fitting.iter().map(score).min();
            let mut tied: Vec<NodeId> =
                fitting.into_iter().filter(|it| Some(score(it)) == best).collect();
            let is_drawn = self.draws_jobs && ask.task.kind == TaskKind::Job;
            match if is_drawn { "random" } else { &self.tie } {
                "rank" => tied.sort_by_key(|it| nodes.ranks()[it.row()]),
                "random" if tied.len() > 1 => {
                    let drawn = self.chance.below(tied.len() as u64) as usize;
                    tied.swap(0, drawn);
                }
                _ => {}
            }
            let Some(&node) = tied.first() else {
                if fits_somewhere || refused.contains(&shape) {
                    refused.extend(is_alone.then_some(shape));
                    desk.hold_back(task);
                } else {
                    desk.unfit(task);
                }
                continue;
            };
            let devices = nodes.best_fit_devices(ask.shape, node).unwrap();
            desk.place(task, node, devices);
            self.placed.push(node);
        }
    }
}

impl Plain {
    /// The plain form of a policy in canonical form, `None` if there is none.
    pub(super) fn of(policy: &str, seed: u64) -> Option<Self> {
        let (name, arguments) = policy.split_once(':').unwrap_or((policy, ""));
        let arguments = Arguments(arguments.split(',').filter(|it| !it.is_empty()).collect());
        let first = arguments.main().first().copied();
        let mut tie = arguments.after("tie").unwrap_or("index").to_owned();
        let score: Score = match name {
            "random" => {
                "random".clone_into(&mut tie);
                Box::new(|_, _, _, _| vec![])
            }
            "first-fit" => Box::new(|_, _, _, _| vec![]),
            "next-fit" => Box::new(|this, _, node, state| {
                let rows = state.nodes().len();
                let last = this.placed.last().map_or(0, |it| it.row());
                vec![((node.row() + rows - last % rows) % rows) as i128]
            }),
            "round-robin" => Box::new(|this, _, node, state| {
                let rows = state.nodes().len();
                // The first row comes first to begin with, and the last node chosen comes last.
                let next = this.placed.last().map_or(0, |it| (it.row() + 1) % rows);
                vec![((node.row() + rows - next) % rows) as i128]
            }),
            "best-fit" | "worst-fit" => {
                let sign = if name == "best-fit" { 1 } else { -1 };
                let norm = first.unwrap_or("l1").to_owned();
                Box::new(move |_, ask, node, state| vec![sign * left(&norm, ask, node, state)])
            }
            "dot-product" | "norm-greedy" => {
                let is_equal = first == Some("equal");
                let is_dot = name == "dot-product";
                Box::new(move |_, ask, node, state| {
                    let one = one(state);
                    let mut sum = 0;
                    for it in Resource::ALL {
                        let asked = share(state, it, ask.shape.totals()[it.row()]);
                        let free = share(state, it, free(state, it, node));
                        let weight = if is_equal { 1 } else { weight(ask, state, it) };
                        let term = if is_dot { asked * free } else { (free - asked).pow(2) };
                        // Both factors are whole multiples of this; see `one`.
                        sum += weight * (term / (one / GRAIN).pow(2));
                    }
                    vec![if is_dot { -sum } else { sum }]
                })
            }
            "ecs" => {
                let mut chain: Vec<String> =
                    arguments.main().into_iter().map(str::to_owned).collect();
                if chain.is_empty() {
                    chain = ["spread(attribute:ecs.availability-zone)", "spread(instanceId)"]
                        .map(str::to_owned)
                        .into();
                }
                if chain.iter().any(|it| it == "random") {
                    "random".clone_into(&mut tie);
                    let at = chain.iter().position(|it| it == "random").unwrap();
                    chain.truncate(at);
                }
                Box::new(move |this, ask, node, state| {
                    let is_drawn = this.draws_jobs && ask.task.kind == TaskKind::Job;
                    let chain = if is_drawn { &[][..] } else { &chain };
                    chain.iter().map(|it| ecs_step(it, ask, node, state)).collect()
                })
            }
            "fgd-best-fit" | "fgd-dot-product" => {
                let is_fit = name == "fgd-best-fit";
                Box::new(move |_, ask, node, state| {
                    let halves = [Resource::Cpu, Resource::Gpu].map(|it| {
                        let (free, asked) = (free(state, it, node), ask.shape.totals()[it.row()]);
                        let asked = i128::from(asked);
                        let whole = largest(state, it).max(1);
                        if is_fit { (free - asked, whole) } else { (free * asked, whole * whole) }
                    });
                    let [(a, b), (c, d)] = halves;
                    vec![-(100 * (2 * b * d - a * d - c * b) / (2 * b * d))]
                })
            }
            "gpu-packing" => Box::new(|_, ask, node, state| vec![-packing(ask, node, state)]),
            "gpu-clustering" => Box::new(|_, ask, node, state| vec![-clustering(ask, node, state)]),
            "swarm-random" => {
                "random".clone_into(&mut tie);
                Box::new(|_, ask, node, state| vec![unmet(ask, node, state)])
            }
            "swarm-spread" | "swarm-binpack" => {
                "random".clone_into(&mut tie);
                let sign = if name == "swarm-spread" { 1 } else { -1 };
                Box::new(move |_, ask, node, state| {
                    let percent = |it: Resource| {
                        let asked = ask.shape.amounts[it.row()];
                        let held = state.nodes().held(it)[node.row()];
                        let offered = state.nodes().capacity(it)[node.row()];
                        // Fewer than 20 cores are offered as they are.
                        let more = if it == Resource::Cpu { 0 } else { offered * 5 / 100 };
                        let all = i128::from((held + asked) * 100);
                        if asked == 0 { 100 } else { all / i128::from(offered + more) }
                    };
                    let sum = percent(Resource::Cpu) + percent(Resource::Memory);
                    let tasks = state.tasks_on(node).len() as i128;
                    vec![unmet(ask, node, state), sign * sum, sign * tasks]
                })
            }
            "power-of-d" if arguments.after("d") == Some("50") => {
                let by_tasks = arguments.after("load") == Some("tasks");
                // Ties are told apart by draws from a stream that the sampling used before.
                arguments.after("tie")?;
                Box::new(move |_, _, node, state| {
                    if by_tasks {
                        return vec![state.tasks_on(node).len() as i128];
                    }
                    let used = |it: Resource| {
                        let offered = offered(state, it, node);
                        let used = offered - free(state, it, node);
                        (used << 32).checked_div(offered).unwrap_or(0)
                    };
                    vec![Resource::ALL.into_iter().map(used).max().unwrap()]
                })
            }
            _ => {
                if name.starts_with("nomad-") && arguments.after("tie").is_none() {
                    "random".clone_into(&mut tie);
                }
                research::score(name, &arguments)?
            }
        };
        let admits: Admits = match name {
            "static-stability" => research::stays_stable(first == Some("even")),
            _ => Box::new(|_, _, _| true),
        };
        let draws_jobs = arguments.after("standalone") == Some("random");
        let open_first = arguments.after("open") == Some("first");
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        Some(Self { score, admits, tie, draws_jobs, open_first, chance, placed: Vec::new(), seed })
    }
}

/// Whether a soft affinity of the task is not met on the node: 1 if so.
fn unmet(ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    let own = state.definition(ask.task.definition);
    let wishes = own.constraints.affinity.iter();
    let mut wishes =
        wishes.filter(|it| matches!(it.strength, Strength::Soft(_)) && it.domain == NODE);
    let is_meant = |it: &Affinity, other: TaskId| {
        let other = state.task(other).unwrap();
        match &it.who {
            Who::Group => ask.task.group.is_some() && ask.task.group == other.group,
            Who::Labels { all, namespaces } => {
                let other = state.definition(other.definition);
                let own = std::slice::from_ref(&own.namespace);
                let namespaces = if namespaces.is_empty() { own } else { namespaces };
                namespaces.contains(&other.namespace) && all_hold(all, &other.labels)
            }
        }
    };
    let is_kept = wishes.all(|it| {
        let is_there = state.tasks_on(node).iter().any(|other| is_meant(it, *other));
        is_there == (it.side == Side::Near)
    });
    i128::from(!is_kept)
}

pub(super) fn free(state: &State, resource: Resource, node: NodeId) -> i128 {
    match resource {
        Resource::Gpu => state.nodes().devices(node).iter().map(|it| i128::from(it.free().0)).sum(),
        _ => i128::from(state.nodes().free(resource)[node.row()]),
    }
}

pub(super) fn largest(state: &State, resource: Resource) -> i128 {
    state.nodes().ids().map(|it| offered(state, resource, it)).max().unwrap_or(0)
}

/// All that tasks on a node hold of a resource.
pub(super) fn held(state: &State, resource: Resource, node: NodeId) -> i128 {
    let shapes = state.tasks_on(node).iter().map(|it| state.shape(state.task(*it).unwrap().shape));
    shapes.map(|it| i128::from(it.totals()[resource.row()])).sum()
}

/// What a node offers of a resource.
pub(super) fn offered(state: &State, resource: Resource, node: NodeId) -> i128 {
    i128::from(match resource {
        Resource::Gpu => state.nodes().gpu_capacity(node),
        _ => state.nodes().allocatable(resource)[node.row()],
    })
}

/// A multiple of the largest capacities of all resources of these stories: cores up to 8 in milli, GiB up
/// to 16, disk up to 24 GiB, GPUs up to 3000.
fn one(_state: &State) -> i128 {
    GRAIN << 30
}

/// Amounts are whole cores, GiB or quarter devices, of at most 8, 16, 24 GiB in eighths and 3: in shares
/// of [`one`] they are multiples of one over this, the least common multiple of 1 to 16 and 1000.
const GRAIN: i128 = 720_720 * 1000;

fn share(state: &State, resource: Resource, amount: impl Into<i128>) -> i128 {
    let largest = largest(state, resource);
    if largest == 0 { 0 } else { amount.into() * one(state) / largest }
}

/// What is left, as a whole number that orders as the exact fraction does.
pub(super) fn left(norm: &str, ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    let left_of = |it: Resource| free(state, it, node) - i128::from(ask.shape.totals()[it.row()]);
    if let Some(resource) = Resource::from_name(norm) {
        return left_of(resource);
    }
    let shares = Resource::ALL.map(|it| share(state, it, left_of(it)));
    match norm {
        "l1" => shares.iter().sum(),
        "l2" => shares.iter().map(|it| (it / (1 << 30)).pow(2)).sum(),
        "linf" => shares.into_iter().max().unwrap(),
        other => panic!("{other} is no norm"),
    }
}

/// The score of `gpu-packing`, case by case.
fn packing(ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    if ask.shape.gpu_count == 0 {
        return 0;
    }
    let devices = state.nodes().devices(node);
    let used = state.nodes().best_fit_devices(ask.shape, node).unwrap();
    let free: Vec<i128> = used.iter().map(|it| i128::from(devices[it].free().0)).collect();
    let idle = free.iter().filter(|it| **it == 1000).count() as i128;
    let percent: i128 = free.iter().map(|it| it / 10).sum();
    let there: Vec<_> = devices.iter().filter(|it| it.capacity.0 > 0).collect();
    let count = there.len() as i128;
    match there.iter().all(|it| it.held.0 == 0) {
        true => (33 - count).max(count),
        false if idle > 0 => (50 - idle).max(33),
        false => (100 - percent / 10).max(50),
    }
}

/// The score of `gpu-clustering`, from the tasks on the node.
fn clustering(ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    let kind = |count: u16, milli: GpuMilli| match (count, milli) {
        (0, _) => None,
        (1, milli) if milli < GpuMilli::DEVICE => Some(0),
        (count, _) => Some(count),
    };
    let Some(own) = kind(ask.shape.gpu_count, ask.shape.gpu_milli) else { return 0 };
    let shapes = state.tasks_on(node).iter().map(|it| state.shape(state.task(*it).unwrap().shape));
    let there: BTreeSet<u16> = shapes.filter_map(|it| kind(it.gpu_count, it.gpu_milli)).collect();
    let company = match (there.contains(&own), there.len()) {
        (true, 1) => 75,
        (true, _) => 50,
        (false, 0) => 25,
        (false, _) => 0,
    };
    let whole = largest(state, Resource::Gpu).max(1);
    company + 25 * (whole - free(state, Resource::Gpu, node)) / whole
}

fn weight(ask: Ask<'_>, state: &State, resource: Resource) -> i128 {
    let held: i128 = state.nodes().ids().map(|it| held(state, resource, it)).sum();
    let demand = held + i128::from(ask.shape.totals()[resource.row()]);
    let there = |it: &NodeId| state.nodes().status(*it) != NodeStatus::Lost;
    let capacity: i128 = state
        .nodes()
        .ids()
        .filter(there)
        .map(|it| match resource {
            Resource::Gpu => i128::from(state.nodes().gpu_capacity(it)),
            _ => i128::from(state.nodes().capacity(resource)[it.row()]),
        })
        .sum();
    let capacity = capacity.max(1);
    ((demand * 65_536 + capacity - 1) / capacity).min(1 << 20)
}

fn ecs_step(step: &str, ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    let nodes = state.nodes();
    let count_where = |same: &dyn Fn(NodeId) -> bool| {
        let tasks = nodes.ids().filter(|&it| same(it)).flat_map(|it| state.tasks_on(it));
        let counts = |it: &&TaskId| {
            ask.task.group.is_none() || state.task(**it).unwrap().group == ask.task.group
        };
        tasks.filter(counts).count() as i128
    };
    let rack = |it: NodeId| nodes.attribute("rack").and_then(|rack| nodes.value(it, rack));
    match step {
        "spread(attribute:ecs.availability-zone)" => {
            count_where(&|it| nodes.zones()[it.row()] == nodes.zones()[node.row()])
        }
        "spread(instanceId)" => count_where(&|it| it == node),
        "spread(attribute:rack)" => count_where(&|it| rack(it) == rack(node)),
        "binpack(cpu)" => left("cpu", ask, node, state),
        "binpack(memory)" => left("memory", ask, node, state),
        other => panic!("{other} has no plain form"),
    }
}
