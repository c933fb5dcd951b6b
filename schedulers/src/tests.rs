//! What holds for every strategy: the contract as properties over random clusters, agreement with plain
//! reference implementations, and one example for all.

use crate::ALL;
use crate::check::World;
use crate::policy::Policy;
use cluster::chance::{Chance, Purpose};
use cluster::demand::{
    Amounts, Demand, GpuAsk, Port, Protocol, Requirement, Resource, TaskDefinition,
};
use cluster::event::{Action, Event, NodeEvent, OnLoss, Report, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec, NodeStatus};
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::{Ask, Desk, Scheduler};
use cluster::state::State;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every strategy as it is, by its example, and with the parameters that change how it decides.
fn policies() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for entry in ALL {
        all.push(entry.card.name.to_owned());
        all.push(entry.card.example.to_owned());
        for parameter in entry.card.parameters {
            let words = parameter.values.split('|').filter(|it| !it.contains(' '));
            all.extend(words.map(|it| format!("{}:{}={it}", entry.card.name, parameter.name)));
        }
    }
    for more in [
        "ecs:spread(attribute:rack),spread(host),binpack(memory)",
        "ecs:binpack(cpu),random",
        "ecs:spread(instanceId),tie=rank",
        "power-of-d:d=3,load=tasks,tie=rank",
        "power-of-d:d=50,tie=index",
        "power-of-d:d=50,load=tasks,tie=index",
        "worst-fit:cpu,tie=random,open=first",
    ] {
        all.push(more.to_owned());
    }
    let canonical: BTreeSet<String> =
        all.iter().map(|it| it.parse::<Policy>().unwrap().to_string()).collect();
    canonical.into_iter().collect()
}

/// Something that happens to a small cluster. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Join(NodeSpec),
    Submit {
        definition: usize,
        group: Option<u32>,
        kind: TaskKind,
        on_loss: OnLoss,
    },
    Exit(usize),
    Cancel(usize),
    Lose(usize),
    Drain(usize),
    Return(usize),
    Resize(usize, NodeCapacity),
    /// Nothing happens, and no decision is made: what came before is decided together with what
    /// follows.
    Together,
}

/// Cores and GiB, so that shares are exact and often equal.
fn amounts(most_cores: u64) -> impl Strategy<Value = Amounts> {
    (0..=most_cores, 0..=2 * most_cores, 0..=3u64).prop_map(|(cores, memory, disk)| Amounts {
        cpu: MilliCpu::from_cores(cores),
        memory: Bytes::from_gib(memory),
        disk: Bytes::from_gib(8 * disk),
    })
}

fn capacity() -> impl Strategy<Value = NodeCapacity> {
    let gpus = prop_oneof![
        3 => Just(vec![]),
        2 => prop::collection::vec(prop_oneof![Just("a100".to_owned()), Just("t4".to_owned())], 1..4),
    ];
    (amounts(8), gpus).prop_map(|(amounts, gpus)| NodeCapacity { amounts, gpus })
}

fn node() -> impl Strategy<Value = NodeSpec> {
    (capacity(), 0..4u32, prop::option::of(0..5u32), prop::option::of(0..3u32)).prop_map(
        |(capacity, zone, rank, rack)| NodeSpec {
            name: String::new(),
            zone: if zone == 0 { String::new() } else { format!("zone-{zone}") },
            capacity,
            reserved_ports: vec![Port { protocol: Protocol::Tcp, number: 22 }],
            attributes: rack.map(|it| ("rack".to_owned(), it.to_string())).into_iter().collect(),
            rank,
            ..NodeSpec::default()
        },
    )
}

fn demand() -> impl Strategy<Value = Demand> {
    let gpus = prop_oneof![
        6 => Just(GpuAsk::default()),
        1 => Just(GpuAsk { count: 2, milli: GpuMilli::DEVICE, models: vec![] }),
        2 => (1..4u32).prop_map(|it| GpuAsk { count: 1, milli: GpuMilli(it * 250), models: vec![] }),
        1 => Just(GpuAsk { count: 1, milli: GpuMilli(500), models: vec!["t4".to_owned()] }),
    ];
    let port = prop_oneof![4 => Just(None), 1 => (80..82u16).prop_map(Some)];
    let rack = prop_oneof![8 => Just(None), 1 => Just(Some("1")), 1 => Just(Some(""))];
    (amounts(3), gpus, port, rack).prop_map(|(amounts, gpus, port, rack)| Demand {
        amounts,
        gpus,
        ports: port.map(|number| Port { protocol: Protocol::Tcp, number }).into_iter().collect(),
        requires: rack
            .map(|it| Requirement::one_of("rack", (!it.is_empty()).then(|| it.to_owned())))
            .into_iter()
            .collect(),
        ..Demand::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(TaskKind::Job), Just(TaskKind::Service)];
    let on_loss = prop_oneof![Just(OnLoss::Restart), Just(OnLoss::End)];
    prop_oneof![
        3 => node().prop_map(Step::Join),
        24 => (0..6usize, prop::option::weighted(0.7, 0..3u32), kind, on_loss).prop_map(
            |(definition, group, kind, on_loss)| Step::Submit { definition, group, kind, on_loss }
        ),
        8 => any::<usize>().prop_map(Step::Exit),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => any::<usize>().prop_map(Step::Drain),
        2 => any::<usize>().prop_map(Step::Return),
        1 => (any::<usize>(), capacity()).prop_map(|(node, it)| Step::Resize(node, it)),
        6 => Just(Step::Together),
    ]
}

#[derive(Debug, Clone)]
struct Story {
    nodes: Vec<NodeSpec>,
    demands: Vec<Demand>,
    steps: Vec<Step>,
    seed: u64,
}

fn story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec(node(), 0..9),
        prop::collection::vec(demand(), 6),
        prop::collection::vec(step(), 1..60),
        any::<u64>(),
    )
        .prop_map(|(nodes, demands, steps, seed)| Story { nodes, demands, steps, seed })
}

/// Lives through a story, one event at a time.
struct Life<'a> {
    story: &'a Story,
    manager: Manager,
    actions: Vec<Action>,
    now: u64,
    tasks: u64,
    joined: usize,
    at: usize,
}

impl<'a> Life<'a> {
    fn new(story: &'a Story, rules: Rules, scheduler: Box<dyn Scheduler>) -> Self {
        let manager = Manager::new(rules, scheduler);
        let mut life =
            Self { story, manager, actions: Vec::new(), now: 0, tasks: 0, joined: 0, at: 0 };
        for (row, demand) in story.demands.iter().enumerate() {
            let spec = TaskDefinition::single(format!("d{row}"), demand.clone());
            life.handle(Event::DefinitionPut { definition: DefinitionId(row as u32), spec });
        }
        for spec in &story.nodes {
            life.join(spec);
        }
        life
    }

    fn handle(&mut self, event: Event) {
        self.manager.handle(Instant(self.now), event, &mut self.actions);
    }

    fn join(&mut self, spec: &NodeSpec) {
        let node = NodeId(self.joined as u32);
        let spec = NodeSpec { name: format!("node-{node}"), ..spec.clone() };
        self.joined += 1;
        self.handle(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
    }

    fn at_node(&mut self, row: usize, event: NodeEvent) {
        if self.joined > 0 {
            self.handle(Event::Node { node: NodeId((row % self.joined) as u32), event });
        }
    }

    /// The next step; `false` when the story is over.
    fn step(&mut self) -> bool {
        let Some(step) = self.story.steps.get(self.at) else { return false };
        self.at += 1;
        self.actions.clear();
        match step.clone() {
            Step::Join(spec) => self.join(&spec),
            Step::Submit { definition, group, kind, on_loss } => {
                let task = TaskId(self.tasks);
                self.tasks += 1;
                self.handle(Event::TaskSubmitted(Submission {
                    task,
                    definition: DefinitionId(definition as u32),
                    group: group.map(GroupId),
                    kind,
                    priority: 0,
                    estimate: None,
                    on_loss,
                }));
            }
            Step::Exit(task) if self.tasks > 0 => {
                let task = TaskId(task as u64 % self.tasks);
                let attempt = self.manager.state().task(task).map_or(0, |it| it.attempts);
                let report = Report::Exited { code: 0 };
                self.handle(Event::TaskReported { task, attempt, report });
            }
            Step::Cancel(task) if self.tasks > 0 => {
                self.handle(Event::TaskCancelled { task: TaskId(task as u64 % self.tasks) });
            }
            Step::Exit(_) | Step::Cancel(_) => {}
            Step::Lose(row) => self.at_node(row, NodeEvent::Lost),
            Step::Drain(row) => self.at_node(row, NodeEvent::Draining),
            Step::Return(row) => self.at_node(row, NodeEvent::Returned),
            Step::Resize(row, capacity) => self.at_node(row, NodeEvent::Updated(capacity)),
            Step::Together => {}
        }
        if !matches!(self.story.steps.get(self.at), Some(Step::Together)) {
            self.now += 1;
            self.manager.decide(Instant(self.now), &mut self.actions);
        }
        true
    }

    fn live(mut self) -> Manager {
        while self.step() {}
        self.manager
    }
}

/// What an observer of the state can say of a decision, whatever the strategy.
fn check_contract(policy: &Policy, story: &Story, rules: Rules) -> Result<(), TestCaseError> {
    let mut life = Life::new(story, rules, policy.build(story.seed));
    while life.step() {
        let state = life.manager.state();
        if let Err(difference) = state.audit() {
            return Err(TestCaseError::fail(format!("{policy}: {difference}")));
        }
        for action in &life.actions {
            if let Action::Start { task, node, devices, .. } = action {
                let placement = state.task(*task).and_then(|it| it.placement());
                prop_assert_eq!(placement.map(|it| (it.node, it.devices)), Some((*node, *devices)));
                prop_assert_eq!(state.nodes().status(*node), NodeStatus::Ready, "{}", policy);
            }
        }
        let decided = !matches!(story.steps.get(life.at), Some(Step::Together));
        // One that keeps room on purpose may let tasks wait.
        let places_all = policy.card().name != "static-stability";
        if decided && places_all && rules.unfit == Unfit::WaitAndLetPass {
            for task in (0..life.tasks).map(TaskId) {
                let Some(waiting) = state.task(task).filter(|it| it.placement().is_none()) else {
                    continue;
                };
                let shape = state.shape(waiting.shape);
                let fits = state.nodes().ids().find(|&it| state.nodes().fits(shape, it));
                prop_assert_eq!(fits, None, "{} lets {} wait", policy, task);
            }
        }
    }
    Ok(())
}

const RETRY: Unfit = Unfit::Retry { first: Span(2), max: Span(8), factor_permille: 2000, tries: 4 };

/// A scheduler that is replaced by its own memory at every decision.
struct Forgetful {
    policy: Policy,
    memory: Vec<u8>,
}

impl Scheduler for Forgetful {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        // Another seed: all that counts must come from the memory.
        let mut scheduler = self.policy.build(u64::MAX);
        if !self.memory.is_empty() {
            scheduler.recall(&self.memory).unwrap();
        }
        scheduler.decide(desk);
        self.memory = scheduler.memory();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_strategy_keeps_the_contract(story in story()) {
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            for unfit in [Unfit::WaitAndLetPass, Unfit::WaitAtHead, Unfit::Drop, RETRY] {
                check_contract(&policy, &story, Rules { unfit, ..Rules::default() })?;
            }
        }
    }

    #[test]
    fn one_seed_gives_one_journal(story in story()) {
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            let live = || {
                let scheduler = policy.build(story.seed);
                Life::new(&story, Rules::default(), scheduler).live().fingerprint()
            };
            prop_assert_eq!(live(), live(), "{}", policy);
        }
    }

    /// A scheduler made anew from its memory goes on as if nothing had been.
    #[test]
    fn memory_is_all_that_counts(story in story()) {
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            let memory = policy.build(story.seed).memory();
            let forgetful = Box::new(Forgetful { policy: policy.clone(), memory });
            let forgot = Life::new(&story, Rules::default(), forgetful).live();
            let kept = Life::new(&story, Rules::default(), policy.build(story.seed)).live();
            prop_assert_eq!(forgot.fingerprint(), kept.fingerprint(), "{}", policy);
        }
    }

    /// The fast scan and the plain one decide alike.
    #[test]
    fn strategies_agree_with_plain_ones(story in story()) {
        for policy in policies() {
            let Some(plain) = Plain::of(&policy, story.seed) else { continue };
            let fast = policy.parse::<Policy>().unwrap().build(story.seed);
            let mut fast = Life::new(&story, Rules::default(), fast);
            let mut plain = Life::new(&story, Rules::default(), Box::new(plain));
            while fast.step() {
                plain.step();
                prop_assert_eq!(&fast.actions, &plain.actions, "{} at step {}", policy, fast.at);
            }
        }
    }
}

/// Strategies without a plain form, of which the tables beside them say what they decide.
const PINNED: &[&str] = &[
    "e-pvm",
    "failure-spread",
    "harmonic",
    "least-stranded",
    "move-to-front",
    "nilas",
    "nomad-binpack",
    "nomad-spread",
    "static-stability",
    "tetris",
];

#[test]
fn every_strategy_but_sampling_has_a_plain_one() {
    let without: Vec<String> =
        policies().into_iter().filter(|it| Plain::of(it, 0).is_none()).collect();
    // FGD chooses devices, too; what it must decide is published: `bayplan reproduce fgd`.
    let sampling = |it: &String| {
        let name = it.split(':').next().unwrap_or_default();
        ["power-of-d", "fgd", "fgd-random", "kubernetes", "gke", "swarmkit"].contains(&name)
            || PINNED.contains(&name)
    };
    assert!(without.iter().all(sampling), "{without:?}");
}

/// A scheduler that says in the plainest way what a policy means: all nodes that fit, a list of exact
/// fractions for each, sort.
struct Plain {
    score: Score,
    tie: String,
    open_first: bool,
    chance: Chance,
    cursor: usize,
}

/// Numbers to be compared in order, lower is better.
type Score = Box<dyn Fn(&Plain, Ask<'_>, NodeId, &State) -> Vec<i128> + Send>;

impl Scheduler for Plain {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let (ask, state) = (desk.ask(task), desk.state());
            let nodes = state.nodes();
            let mut fitting: Vec<NodeId> =
                nodes.ids().filter(|&it| nodes.fits(ask.shape, it)).collect();
            if self.open_first && fitting.iter().any(|it| !state.tasks_on(*it).is_empty()) {
                fitting.retain(|it| !state.tasks_on(*it).is_empty());
            }
            let score = |it: &NodeId| (self.score)(self, ask, *it, state);
            let best = fitting.iter().map(score).min();
            let mut tied: Vec<NodeId> =
                fitting.into_iter().filter(|it| Some(score(it)) == best).collect();
            match self.tie.as_str() {
                "rank" => tied.sort_by_key(|it| nodes.ranks()[it.row()]),
                "random" if tied.len() > 1 => {
                    let drawn = self.chance.below(tied.len() as u64) as usize;
                    tied.swap(0, drawn);
                }
                _ => {}
            }
            let Some(&node) = tied.first() else {
                desk.unfit(task);
                continue;
            };
            let devices = nodes.best_fit_devices(ask.shape, node).unwrap();
            desk.place(task, node, devices);
            self.cursor = node.row();
        }
    }
}

impl Plain {
    /// The plain form of a policy in canonical form, `None` if there is none.
    fn of(policy: &str, seed: u64) -> Option<Self> {
        let (name, arguments) = policy.split_once(':').unwrap_or((policy, ""));
        let arguments: Vec<&str> = arguments.split(',').filter(|it| !it.is_empty()).collect();
        let after = |key: &str| arguments.iter().find_map(|it| it.strip_prefix(key));
        let first = arguments.first().filter(|it| !it.contains('=')).copied();
        let mut tie = after("tie=").unwrap_or("index").to_owned();
        let score: Score = match name {
            "random" => {
                "random".clone_into(&mut tie);
                Box::new(|_, _, _, _| vec![])
            }
            "first-fit" => Box::new(|_, _, _, _| vec![]),
            "next-fit" => Box::new(|this, _, node, state| {
                let rows = state.nodes().len();
                vec![((node.row() + rows - this.cursor % rows) % rows) as i128]
            }),
            "round-robin" => Box::new(|this, _, node, state| {
                let rows = state.nodes().len();
                // The cursor starts before the first row, and the last node chosen comes last.
                let cursor = if this.cursor == usize::MAX { 0 } else { this.cursor + 1 };
                let cursor = if cursor < rows { cursor } else { 0 };
                vec![((node.row() + rows - cursor) % rows) as i128]
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
                let mut chain: Vec<String> = arguments
                    .iter()
                    .filter(|it| !it.contains('='))
                    .map(|it| it.to_string())
                    .collect();
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
                Box::new(move |_, ask, node, state| {
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
                Box::new(|_, _, _, _| vec![])
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
                    vec![sign * sum, sign * state.tasks_on(node).len() as i128]
                })
            }
            "power-of-d" if after("d=") == Some("50") => {
                let by_tasks = after("load=") == Some("tasks");
                // Ties are told apart by draws from a stream that the sampling used before.
                after("tie=")?;
                Box::new(move |_, _, node, state| {
                    if by_tasks {
                        return vec![state.tasks_on(node).len() as i128];
                    }
                    let used = |it: Resource| {
                        let offered = i128::from(match it {
                            Resource::Gpu => state.nodes().gpu_capacity(node),
                            _ => state.nodes().allocatable(it)[node.row()],
                        });
                        let used = offered - free(state, it, node);
                        (used << 32).checked_div(offered).unwrap_or(0)
                    };
                    vec![Resource::ALL.into_iter().map(used).max().unwrap()]
                })
            }
            _ => return None,
        };
        let cursor = if name == "round-robin" { usize::MAX } else { 0 };
        let open_first = after("open=") == Some("first");
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        Some(Self { score, tie, open_first, chance, cursor })
    }
}

fn free(state: &State, resource: Resource, node: NodeId) -> i128 {
    match resource {
        Resource::Gpu => state.nodes().devices(node).iter().map(|it| i128::from(it.free().0)).sum(),
        _ => i128::from(state.nodes().free(resource)[node.row()]),
    }
}

fn largest(state: &State, resource: Resource) -> i128 {
    let nodes = state.nodes();
    let offered = |it: NodeId| match resource {
        Resource::Gpu => nodes.gpu_capacity(it),
        _ => nodes.allocatable(resource)[it.row()],
    };
    nodes.ids().map(offered).max().map_or(0, i128::from)
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
fn left(norm: &str, ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
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
    let row = resource.row();
    let held: i128 = state
        .nodes()
        .ids()
        .flat_map(|it| state.tasks_on(it))
        .map(|it| i128::from(state.shape(state.task(*it).unwrap().shape).totals()[row]))
        .sum();
    let demand = held + i128::from(ask.shape.totals()[row]);
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

#[test]
fn one_example_for_all() {
    let nodes = "4/8@a 2/4@a 8/16@b 8/16+2@b 4/16@c";
    let tasks = "2/4:1 1/1:1 1/4:1 1/1+0.5:1 2/2:2 x0 4/2 1/8:2 2/2:1 4/4 1/1 8/8";
    let width = ALL.iter().map(|it| it.card.name.len()).max().unwrap_or(0);
    let got: Vec<String> = Policy::all()
        .map(|it| {
            let run = crate::check::run(&it.to_string(), nodes, tasks);
            format!("{:width$}  {run}", it.to_string())
        })
        .collect();
    insta::assert_snapshot!(got.join("\n"), @r"
    random            n2 n4 n2 n3 n4 n3 n2 n1 n2 n0 -
    round-robin       n0 n1 n2 n3 n4 n0 n2 n3 n2 n3 -
    first-fit         n0 n0 n1 n3 n2 n2 n2 n0 n3 n0 -
    next-fit          n0 n0 n1 n3 n3 n3 n3 n4 n2 n2 -
    best-fit          n1 n0 n0 n3 n0 n4 n2 n1 n2 n2 -
    worst-fit         n3 n3 n3 n3 n2 n3 n2 n4 n0 n3 -
    dot-product       n2 n3 n3 n3 n2 n2 n4 n3 n0 n3 -
    norm-greedy       n1 n0 n0 n3 n0 n4 n2 n1 n2 n2 -
    power-of-d        n2 n4 n1 n3 n0 n2 n4 n0 n3 n4 -
    tetris            n1 n0 n0 n3 n4 n2 n3 n1 n3 n4 -
    least-stranded    n1 n2 n4 n3 n2 n3 n3 n3 n2 n0 -
    e-pvm             n2 n3 n3 n3 n2 n2 n4 n3 n0 n3 -
    harmonic          n0 n1 n0 n3 n3 n2 n2 n0 n4 n1 -
    move-to-front     n0 n0 n1 n3 n3 n3 n3 n0 n2 n2 -
    nilas             n1 n0 n0 n3 n0 n3 n3 n3 n4 n1 n2
    failure-spread    n1 n4 n2 n3 n0 n2 n2 n1 n3 n2 -
    static-stability  n2 n1 n4 - n2 n2 n0 - - n2 -
    nomad-binpack     n4 n1 n0 n3 n0 n4 n3 n2 n3 n1 -
    nomad-spread      n2 n4 n0 n3 n2 n3 n4 n2 n2 n1 -
    ecs               n0 n2 n4 n3 n0 n2 n2 n0 n3 n4 -
    kubernetes        n3 n2 n4 n3 n2 n3 n2 n0 n2 n1 -
    gke               n3 n2 n4 n3 n2 n3 n2 n0 n2 n1 -
    fgd               n0 n0 n1 n3 n2 n2 n2 n0 n3 n0 -
    gpu-packing       n0 n0 n1 n3 n2 n2 n2 n0 n3 n0 -
    gpu-clustering    n0 n0 n1 n3 n2 n2 n2 n0 n3 n0 -
    fgd-best-fit      n1 n0 n0 n3 n0 n4 n2 n1 n2 n2 -
    fgd-dot-product   n1 n0 n0 n3 n0 n4 n3 n1 n3 n3 n2
    fgd-random        n2 n4 n2 n3 n3 n0 n3 n4 n2 n1 -
    swarmkit          n0 n2 n3 n3 n1 n4 n0 n2 n2 n3 -
    swarm-spread      n3 n2 n4 n3 n2 n3 n2 n0 n2 n1 -
    swarm-binpack     n1 n0 n0 n3 n0 n4 n3 n1 n3 n3 n2
    swarm-random      n2 n4 n2 n3 n4 n3 n2 n1 n2 n0 -
    ");
}

#[test]
fn cards_are_complete_and_their_examples_work() {
    for (at, entry) in ALL.iter().enumerate() {
        let card = entry.card;
        let name = card.name;
        assert!(ALL[..at].iter().all(|it| it.card.name != name), "{name} is listed twice");
        assert!(
            name.bytes().all(|it| it == b'-' || it.is_ascii_lowercase() || it.is_ascii_digit())
        );
        for text in [card.summary, card.source, card.differs, card.cost] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{name}: {text:?}");
        }
        let example: Policy = card.example.parse().unwrap();
        assert_eq!(example.card().name, name, "{name}: its example is another policy");
        assert!(
            example.build(0).memory().len() > name.len(),
            "{name}: its memory says whose it is"
        );
        for parameter in card.parameters {
            let default = if parameter.default.contains('(') {
                format!("{name}:{}", parameter.default)
            } else {
                format!("{name}:{}={}", parameter.name, parameter.default)
            };
            assert_eq!(default.parse::<Policy>().unwrap().to_string(), name, "{default}");
        }
    }
}

#[test]
fn another_strategys_memory_is_refused() {
    for policy in Policy::all() {
        for other in Policy::all().filter(|it| *it != policy) {
            assert!(policy.build(1).recall(&other.build(1).memory()).is_err(), "{policy}, {other}");
        }
        let mut memory = policy.build(1).memory();
        policy.build(2).recall(&memory).unwrap();
        memory.push(0);
        assert!(policy.build(2).recall(&memory).is_err(), "{policy}: something is left over");
        assert!(policy.build(2).recall(&[]).is_err(), "{policy}");
    }
}

/// A rank that takes no second task of a group on a node: the hook for hard constraints.
mod refusing {
    use super::*;
    use crate::card::Card;
    use crate::per_task::{Open, PerTask};
    use crate::rank::{Locality, Rank};

    #[derive(Debug)]
    struct Distinct;

    impl Rank for Distinct {
        type Key = u32;
        type Memory = ();

        fn card(&self) -> &'static Card {
            &crate::first_fit::CARD
        }

        fn memory(&self) {}

        fn recall(&mut self, (): ()) {}

        fn locality(&self, _ask: Ask<'_>) -> Locality {
            Locality::GroupLocal
        }

        fn accepts(&self, ask: Ask<'_>, node: NodeId, state: &State) -> bool {
            let group = ask.task.group.and_then(|it| state.group(it));
            group.is_none_or(|it| it.on_node(node) == 0)
        }

        fn keys<'a>(&'a self, _: Ask<'a>, _: &'a State) -> impl Fn(NodeId) -> u32 {
            |node| node.0
        }

        const NORMALISES: bool = true;

        /// Turns the order round: the last candidate wins.
        fn normalise(&mut self, _: Ask<'_>, candidates: &mut [(NodeId, u32)], _: &State) {
            let most = candidates.iter().map(|it| it.1).max().unwrap_or(0);
            for (_, key) in candidates {
                *key = most - *key;
            }
        }
    }

    #[test]
    fn what_is_refused_is_held_back_and_tried_again() {
        let mut world =
            World::new(Rules::default(), Box::new(PerTask::new(Distinct, Open::Any, 0)));
        for _ in 0..2 {
            let row = world.manager.state().nodes().len();
            world.join(NodeSpec {
                name: row.to_string(),
                capacity: NodeCapacity {
                    amounts: Amounts { cpu: MilliCpu(4000), ..Amounts::default() },
                    gpus: vec![],
                },
                ..NodeSpec::default()
            });
        }
        let ask = |cores| Demand {
            amounts: Amounts { cpu: MilliCpu::from_cores(cores), ..Amounts::default() },
            ..Demand::default()
        };
        let mut submit = |group, cores| world.submit(ask(cores), Some(group)).map(|it| it.0);
        assert_eq!(submit(1, 1), Some(1), "normalise turned the order round");
        assert_eq!(submit(1, 1), Some(0));
        assert_eq!(submit(1, 1), None, "both nodes have one");
        assert_eq!(submit(2, 1), Some(1), "others are not in its way");
        assert_eq!(submit(3, 9), None, "this one fits nowhere");
        world.exit(TaskId(0));
        assert_eq!(world.node_of(TaskId(2)), Some(NodeId(1)));
    }
}
