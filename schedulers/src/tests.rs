//! What holds for every strategy: the contract as properties over random clusters, agreement with plain
//! reference implementations, and one example for all.

mod explained;
mod hard;
mod plain;
mod research;

use crate::ALL;
use crate::check::World;
use crate::policy::Policy;
use cluster::company::Company;
use cluster::constraint::{
    Affinity, Constraints, Effect, Limit, Side, Spread, Strength, Taint, Test, Toleration, Who,
};
use cluster::demand::{
    Amounts, Demand, GpuAsk, Port, Protocol, Requirement, Resource, TaskDefinition,
};
use cluster::event::{
    Action, Change, Event, NodeEvent, NodeReport, OnLoss, Report, StopReason, Submission, TaskKind,
};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::{Ask, Desk, Scheduler};
use cluster::state::State;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use hard::Ledger;
use plain::Plain;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};

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
        "harmonic:classes=2,tie=random",
        "failure-spread:rack,spare=2,then=spread",
        "failure-spread:rack,node,then=first,tie=random",
        "tetris:tie=random,open=first",
        "least-stranded:gpu,disk,of=growth,tie=random",
        "static-stability:even,tie=random",
        "nilas:step=1,off=3,tie=random",
        "e-pvm:base=2,tie=random",
        "nomad-binpack:all,tie=index",
        "nomad-spread:all",
        "mesos-drf:guarantee(service,cpu=4,memory=2),limit(job,cpu=6),roles=kind,interval=7s",
        "marathon:constraint(rack,MAX_PER,2),constraint(@zone,UNLIKE,zone-3),revive=0s",
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
        priority: i32,
        estimate: Option<Span>,
    },
    Exit(usize, i32),
    Cancel(usize),
    Lose(usize),
    Drain(usize),
    Return(usize),
    Resize(usize, NodeCapacity),
    Report(usize, NodeReport),
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
    let taint = |effect| Taint { key: "for".to_owned(), value: "web".to_owned(), effect };
    let taints = prop_oneof![
        8 => Just(vec![]),
        1 => Just(vec![taint(Effect::NoSchedule)]),
        1 => Just(vec![taint(Effect::PreferNoSchedule)]),
        1 => Just(vec![taint(Effect::PreferNoSchedule), taint(Effect::NoExecute)]),
    ];
    let rack = prop::option::of(0..3u32);
    (capacity(), 0..4u32, prop::option::of(0..5u32), rack, taints).prop_map(
        |(capacity, zone, rank, rack, taints)| NodeSpec {
            name: String::new(),
            zone: if zone == 0 { String::new() } else { format!("zone-{zone}") },
            capacity,
            reserved_ports: vec![Port { protocol: Protocol::Tcp, number: 22 }],
            attributes: rack.map(|it| ("rack".to_owned(), it.to_string())).into_iter().collect(),
            rank,
            taints,
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
    let asks = |test| vec![Requirement { attribute: "rack".to_owned(), test }];
    let requires = prop_oneof![
        9 => Just(vec![]),
        1 => Just(asks(Test::In(vec!["1".to_owned()]))),
        1 => Just(asks(Test::NotIn(vec!["1".to_owned()]))),
        1 => Just(asks(Test::Exists)),
        1 => Just(asks(Test::Absent)),
        1 => Just(asks(Test::Above(0))),
    ];
    (amounts(3), gpus, port, requires).prop_map(|(amounts, gpus, port, requires)| Demand {
        amounts,
        gpus,
        ports: port.map(|number| Port { protocol: Protocol::Tcp, number }).into_iter().collect(),
        requires,
        ..Demand::default()
    })
}

/// What a task may ask of its place, mostly nothing.
fn constraints() -> impl Strategy<Value = Constraints> {
    let who = || {
        let app = Requirement::one_of("app", ["a".to_owned()]);
        let labels = Who::Labels { all: vec![app], namespaces: vec![] };
        prop_oneof![Just(Who::Group), Just(labels)]
    };
    let domain = || prop_oneof![Just("node"), Just("zone"), Just("rack")].prop_map(str::to_owned);
    let side = prop_oneof![Just(Side::Near), Just(Side::Apart)];
    let strength = prop_oneof![3 => Just(Strength::Hard), 1 => Just(Strength::Soft(10))];
    let affinity = (side, strength, domain(), who())
        .prop_map(|(side, strength, domain, who)| Affinity { side, strength, domain, who });
    let spread = (domain(), 1..3u32, 1..4u32, any::<bool>(), who()).prop_map(
        |(domain, skew_max, domains_min, is_hard, who)| Spread {
            domain,
            skew_max,
            domains_min,
            is_hard,
            who,
        },
    );
    let limit =
        (domain(), 1..3u32, who()).prop_map(|(domain, max, who)| Limit { domain, max, who });
    let rack = |it: &str| vec![Requirement::one_of("rack", [it.to_owned()])];
    let either = vec![rack("0"), rack("2")];
    let tolerations = vec![Toleration { key: Some("for".to_owned()), ..Toleration::default() }];
    let none = Constraints::default();
    prop_oneof![
        8 => Just(none.clone()),
        2 => Just(Constraints { tolerations, ..none.clone() }),
        1 => Just(Constraints { any_of: either, ..none }),
        1 => prop::collection::vec(affinity, 1..3)
            .prop_map(|it| Constraints { affinity: it, ..Constraints::default() }),
        1 => prop::collection::vec(spread, 1..3)
            .prop_map(|it| Constraints { spread: it, ..Constraints::default() }),
        1 => limit.prop_map(|it| Constraints { limits: vec![it], ..Constraints::default() }),
    ]
}

fn definition() -> impl Strategy<Value = TaskDefinition> {
    let app = prop::option::of(prop_oneof![Just("a"), Just("b")]);
    (demand(), constraints(), app).prop_map(|(demand, constraints, app)| TaskDefinition {
        labels: app.map(|it| ("app".to_owned(), it.to_owned())).into_iter().collect(),
        constraints: Box::new(constraints),
        ..TaskDefinition::single("", demand)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(TaskKind::Job), Just(TaskKind::Service)];
    let on_loss = prop_oneof![Just(OnLoss::Restart), Just(OnLoss::End)];
    let estimate = prop::option::of((0..7200u64).prop_map(Span::from_secs));
    let group = prop::option::weighted(0.7, 0..3u32);
    let submit = (0..6usize, group, kind, on_loss, 0..2, estimate);
    let report = prop_oneof![
        4 => Just(NodeReport::Unreachable),
        4 => Just(NodeReport::Reachable),
        2 => Just(NodeReport::Activated),
        1 => Just(NodeReport::PortsTaken(vec![Port { protocol: Protocol::Tcp, number: 80 }])),
        1 => Just(NodeReport::PortsTaken(vec![])),
    ];
    prop_oneof![
        3 => node().prop_map(Step::Join),
        24 => submit.prop_map(|(definition, group, kind, on_loss, priority, estimate)| {
            Step::Submit { definition, group, kind, on_loss, priority, estimate }
        }),
        8 => (any::<usize>(), 0..2).prop_map(|(task, code)| Step::Exit(task, code)),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => any::<usize>().prop_map(Step::Drain),
        2 => any::<usize>().prop_map(Step::Return),
        1 => (any::<usize>(), capacity()).prop_map(|(node, it)| Step::Resize(node, it)),
        3 => (any::<usize>(), report).prop_map(|(node, it)| Step::Report(node, it)),
        6 => Just(Step::Together),
    ]
}

#[derive(Debug, Clone)]
struct Story {
    nodes: Vec<NodeSpec>,
    definitions: Vec<TaskDefinition>,
    steps: Vec<Step>,
    seed: u64,
}

fn story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec(node(), 0..9),
        prop::collection::vec(definition(), 6),
        prop::collection::vec(step(), 1..60),
        any::<u64>(),
    )
        .prop_map(|(nodes, definitions, steps, seed)| Story {
            nodes,
            definitions,
            steps,
            seed,
        })
}

/// Lives through a story, one event at a time.
struct Life<'a> {
    story: &'a Story,
    manager: Manager,
    actions: Vec<Action>,
    now: Instant,
    tasks: u64,
    /// What was submitted, by task.
    submitted: Vec<(DefinitionId, Option<GroupId>)>,
    /// Nodes that joined, with what they offer now.
    joined: Vec<NodeSpec>,
    /// Who was placed where before the last decision.
    placed: Vec<(TaskId, NodeId, DeviceSet)>,
    /// How many actions came before it.
    undecided: usize,
    at: usize,
}

/// Between two decisions.
const PAUSE: Span = Span::from_secs(60);

impl<'a> Life<'a> {
    fn new(story: &'a Story, rules: Rules, scheduler: Box<dyn Scheduler>) -> Self {
        let mut life = Self {
            story,
            manager: Manager::new(rules, scheduler),
            actions: Vec::new(),
            now: Instant::ZERO,
            tasks: 0,
            submitted: Vec::new(),
            joined: Vec::new(),
            placed: Vec::new(),
            undecided: 0,
            at: 0,
        };
        for (row, spec) in story.definitions.iter().enumerate() {
            let spec = TaskDefinition { name: format!("d{row}"), ..spec.clone() };
            life.handle(Event::DefinitionPut { definition: DefinitionId(row as u32), spec });
        }
        for spec in &story.nodes {
            life.join(spec);
        }
        life
    }

    fn handle(&mut self, event: Event) {
        self.manager.handle(self.now, event, &mut self.actions);
    }

    fn join(&mut self, spec: &NodeSpec) {
        let node = NodeId(self.joined.len() as u32);
        let spec = NodeSpec { name: format!("node-{node}"), ..spec.clone() };
        self.joined.push(spec.clone());
        self.handle(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
    }

    /// One that joined, if there is any.
    fn one_of_all(&self, row: usize) -> Option<NodeId> {
        Some(NodeId(row.checked_rem(self.joined.len())? as u32))
    }

    fn at_node(&mut self, row: usize, event: NodeEvent) {
        if let Some(node) = self.one_of_all(row) {
            self.handle(Event::Node { node, event });
        }
    }

    /// The next step; `false` when the story is over.
    fn step(&mut self) -> bool {
        self.step_with(|_, _| {})
    }

    /// The same, with a look at the manager before it decides.
    fn step_with(&mut self, before: impl FnOnce(&mut Manager, Instant)) -> bool {
        let Some(step) = self.story.steps.get(self.at) else { return false };
        self.at += 1;
        self.actions.clear();
        match step.clone() {
            Step::Join(spec) => self.join(&spec),
            Step::Submit { definition, group, kind, on_loss, priority, estimate } => {
                let task = TaskId(self.tasks);
                self.tasks += 1;
                let (definition, group) = (DefinitionId(definition as u32), group.map(GroupId));
                self.submitted.push((definition, group));
                self.handle(Event::TaskSubmitted(Submission {
                    task,
                    definition,
                    group,
                    kind,
                    priority,
                    estimate,
                    on_loss,
                }));
            }
            Step::Exit(task, code) if self.tasks > 0 => {
                let task = TaskId(task as u64 % self.tasks);
                let attempt = self.manager.state().task(task).map_or(0, |it| it.attempts);
                let report = Report::Exited { code };
                self.handle(Event::TaskReported { task, attempt, report });
            }
            Step::Cancel(task) if self.tasks > 0 => {
                self.handle(Event::TaskCancelled { task: TaskId(task as u64 % self.tasks) });
            }
            Step::Exit(..) | Step::Cancel(_) => {}
            Step::Lose(row) => self.at_node(row, NodeEvent::Lost),
            Step::Drain(row) => self.at_node(row, NodeEvent::Draining),
            Step::Return(row) => self.at_node(row, NodeEvent::Returned),
            Step::Resize(row, capacity) => {
                if let Some(node) = self.one_of_all(row) {
                    self.joined[node.row()].capacity = capacity.clone();
                }
                self.at_node(row, NodeEvent::Updated(capacity));
            }
            Step::Report(row, report) => {
                if let Some(node) = self.one_of_all(row) {
                    self.handle(Event::NodeReported { node, report });
                }
            }
            Step::Together => {}
        }
        if self.has_decided() {
            self.now = self.now + PAUSE;
            before(&mut self.manager, self.now);
            self.note_placed();
            self.manager.decide(self.now, &mut self.actions);
        }
        true
    }

    fn note_placed(&mut self) {
        let state = self.manager.state();
        let place = |id| state.task(id)?.placement().map(|it| (id, it.node, it.devices));
        self.placed = (0..self.tasks).map(TaskId).filter_map(place).collect();
        self.undecided = self.actions.len();
    }

    /// What the last decision did.
    fn decided(&self) -> &[Action] {
        if self.has_decided() { &self.actions[self.undecided..] } else { &[] }
    }

    /// Whether the last step ended with a decision.
    fn has_decided(&self) -> bool {
        !matches!(self.story.steps.get(self.at), Some(Step::Together))
    }

    fn live(mut self) -> Manager {
        while self.step() {}
        self.manager
    }
}

/// Strategies that let a task wait though a node would take it: one keeps room on purpose.
const MAY_LET_WAIT: &[&str] = &["static-stability", "mesos-drf", "marathon"];

/// What an observer of the state can say of a decision, whatever the strategy.
fn check_contract(policy: &Policy, story: &Story, rules: Rules) -> Result<(), TestCaseError> {
    let mut life = Life::new(story, rules, policy.build(story.seed));
    while life.step() {
        let state = life.manager.state();
        if let Err(difference) = state.audit() {
            return Err(TestCaseError::fail(format!("{policy}: {difference}")));
        }
        let mut ledger = Ledger::before(&life);
        let mut started = BTreeMap::new();
        for action in life.decided() {
            match *action {
                Action::Start { task, node, devices, .. } => {
                    if let Err(broken) = ledger.start(task, node, devices) {
                        let text = format!("{policy}: {task} on {node}: {broken}");
                        return Err(TestCaseError::fail(text));
                    }
                    started.insert(task, (node, devices));
                }
                Action::Stop { task, node, reason, .. } => {
                    prop_assert_eq!(reason, StopReason::Evicted, "{}: {}", policy, task);
                    prop_assert!(ledger.stop(task, node), "{}: {} was not there", policy, task);
                    started.remove(&task);
                }
                _ => {}
            }
        }
        for (task, place) in started {
            let placement = state.task(task).and_then(|it| it.placement());
            prop_assert_eq!(placement.map(|it| (it.node, it.devices)), Some(place));
        }
        let places_all = !MAY_LET_WAIT.contains(&policy.card().name);
        if life.has_decided() && places_all && rules.unfit == Unfit::WaitAndLetPass {
            for task in (0..life.tasks).map(TaskId) {
                let waits = state.task(task).is_some_and(|it| it.placement().is_none());
                if waits {
                    let node = ledger.would_take(task);
                    prop_assert_eq!(node, None, "{} lets {} wait", policy, task);
                }
            }
        }
    }
    Ok(())
}

const RETRY: Unfit = Unfit::Retry {
    first: Span::from_secs(120),
    max: Span::from_secs(480),
    factor_permille: 2000,
    tries: 4,
};

/// A scheduler that is replaced by its own memory whenever that could happen.
struct Forgetful {
    policy: Policy,
    inner: Box<dyn Scheduler>,
}

impl Forgetful {
    fn forget(&mut self) {
        // Another seed: all that counts must come from the memory.
        let mut anew = self.policy.build(u64::MAX);
        anew.recall(&self.inner.memory()).unwrap();
        self.inner = anew;
    }
}

impl Scheduler for Forgetful {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.forget();
        self.inner.decide(desk);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.inner.observe(changes, state);
        self.forget();
    }

    fn wants_every_instant(&self) -> bool {
        self.inner.wants_every_instant()
    }

    fn makes_room(&self) -> bool {
        self.inner.makes_room()
    }

    fn memory(&self) -> Vec<u8> {
        self.inner.memory()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

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
            let elsewhere = std::thread::scope(|it| it.spawn(live).join().unwrap());
            prop_assert_eq!(live(), elsewhere, "{}", policy);
        }
    }

    /// A scheduler made anew from its memory goes on as if nothing had been.
    #[test]
    fn memory_is_all_that_counts(story in story()) {
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            let inner = policy.build(story.seed);
            let forgetful = Box::new(Forgetful { policy: policy.clone(), inner });
            let forgot = Life::new(&story, Rules::default(), forgetful).live();
            let kept = Life::new(&story, Rules::default(), policy.build(story.seed)).live();
            prop_assert_eq!(forgot.fingerprint(), kept.fingerprint(), "{}", policy);
            prop_assert_eq!(forgot.snapshot(), kept.snapshot(), "{}", policy);
        }
    }

    /// What waits for offers and may be placed gets some, and nobody is woken when there is nothing to wait for.
    #[test]
    fn offers_come_to_those_who_wait(story in story()) {
        for policy in [
            "mesos-drf",
            "mesos-drf:frameworks=one",
            "mesos-drf:weight(service,3),frameworks=kind,roles=kind",
            "mesos-drf:interval=10ms,refuse=0s",
            "marathon",
            "marathon:refuse=10s,revive=0s",
        ] {
            let scheduler = policy.parse::<Policy>().unwrap().build(story.seed);
            let mut life = Life::new(&story, Rules::default(), scheduler);
            while life.step() {}
            life.manager.decide(life.now, &mut life.actions);
            let mut woken = 0;
            while let Some(at) = life.manager.next_wake() {
                life.now = at.max(life.now);
                life.handle(Event::Timer);
                life.manager.decide(life.now, &mut life.actions);
                woken += 1;
                let next = life.manager.next_wake();
                prop_assert!(next.is_none_or(|it| it > life.now), "{policy}: woken at once");
                prop_assert!(woken < 2000, "{policy}: woken for ever");
            }
            let state = life.manager.state();
            for task in (0..life.tasks).map(TaskId) {
                let Some(waiting) = state.task(task).filter(|it| it.placement().is_none()) else {
                    continue;
                };
                let (nodes, shape) = (state.nodes(), state.shape(waiting.shape));
                let company = Company::of(state, waiting);
                let free = |it, node: NodeId| nodes.free(it)[node.row()];
                let may_be_placed = |it: &NodeId| {
                    nodes.fits(shape, *it)
                        && company.as_ref().is_none_or(|rules| rules.allows(*it).is_ok())
                        // Less is not offered.
                        && (free(Resource::Cpu, *it) >= 10 || free(Resource::Memory, *it) >= 32 << 20)
                };
                let node = nodes.ids().find(may_be_placed);
                prop_assert_eq!(node, None, "{} lets {} starve", policy, task);
            }
        }
    }

    /// A manager brought back from a snapshot goes on as if nothing had been, whatever the moment.
    #[test]
    fn a_snapshot_goes_on_alike(story in story(), moment in any::<Index>()) {
        let moment = moment.index(story.steps.len());
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            let scheduler = || policy.build(story.seed);
            let mut kept = Life::new(&story, Rules::default(), scheduler());
            let mut restored = Life::new(&story, Rules::default(), scheduler());
            while kept.step() {
                if restored.at == moment {
                    let snapshot = restored.manager.snapshot();
                    let anew = policy.build(u64::MAX);
                    restored.manager = Manager::restore(&snapshot, anew).unwrap();
                }
                restored.step();
                prop_assert_eq!(&restored.actions, &kept.actions, "{} at {}", policy, kept.at);
            }
            prop_assert_eq!(restored.manager.snapshot(), kept.manager.snapshot(), "{}", policy);
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

/// Strategies without a plain form. The first three draw nodes; FGD chooses devices, too, and what it must
/// decide is published (`bayplan reproduce fgd`); the others are held against vectors of the real code.
const WITHOUT_PLAIN_FORM: &[&str] = &[
    "power-of-d",
    "nomad-binpack",
    "nomad-spread",
    "fgd",
    "fgd-random",
    "kubernetes",
    "gke",
    "swarmkit",
    "mesos-drf",
    "marathon",
];

#[test]
fn every_strategy_has_a_plain_form_or_a_reason_not_to() {
    let without: BTreeSet<&str> = policies()
        .iter()
        .filter(|it| Plain::of(it, 0).is_none())
        .map(|it| it.parse::<Policy>().unwrap().card().name)
        .collect();
    assert_eq!(without, WITHOUT_PLAIN_FORM.iter().copied().collect());
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
    mesos-drf         n0 n0 n4 n3 n3 n3 n4 n2 n2 n2 -
    marathon          n0 - - - - - - - - - -
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
    use crate::parts::Part;
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

        fn parts(&self, key: u32) -> Vec<Part> {
            vec![Part::lowest("place", key)]
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
