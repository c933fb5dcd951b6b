//! Small worlds in text, for the tests of strategies.

use crate::policy::Policy;
use cluster::demand::{Amounts, Demand, GpuAsk, TaskDefinition};
use cluster::event::{Action, Event, NodeEvent, OnLoss, Report, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::rules::Rules;
use cluster::scheduler::Scheduler;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};

/// A manager that is told things in words. Every step is an instant of its own, and the ledger is
/// counted again after it.
pub(crate) struct World {
    pub(crate) manager: Manager,
    /// Actions of the last step.
    pub(crate) actions: Vec<Action>,
    now: u64,
    definitions: u32,
    tasks: u64,
}

impl World {
    pub(crate) fn new(rules: Rules, scheduler: Box<dyn Scheduler>) -> Self {
        let manager = Manager::new(rules, scheduler);
        Self { manager, actions: Vec::new(), now: 0, definitions: 0, tasks: 0 }
    }

    /// Records one event and decides.
    #[track_caller]
    pub(crate) fn step(&mut self, event: Event) {
        self.now += 1;
        self.actions.clear();
        self.manager.handle(Instant(self.now), event, &mut self.actions);
        self.manager.decide(Instant(self.now), &mut self.actions);
        if let Err(difference) = self.manager.state().audit() {
            panic!("{difference}");
        }
    }

    pub(crate) fn join(&mut self, spec: NodeSpec) {
        let node = NodeId(self.manager.state().nodes().len() as u32);
        self.step(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
    }

    /// Submits a task; `None` as node if it waits.
    pub(crate) fn submit(&mut self, demand: Demand, group: Option<u32>) -> Option<NodeId> {
        let submission = self.submission(demand, group);
        self.step(Event::TaskSubmitted(submission));
        self.node_of(self.last_task())
    }

    /// As [`World::submit`], of a kind.
    pub(crate) fn submit_as(
        &mut self,
        demand: Demand,
        group: Option<u32>,
        kind: TaskKind,
    ) -> Option<NodeId> {
        let submission = Submission { kind, ..self.submission(demand, group) };
        self.step(Event::TaskSubmitted(submission));
        self.node_of(self.last_task())
    }

    /// Of a task with a definition of its own.
    fn submission(&mut self, demand: Demand, group: Option<u32>) -> Submission {
        let definition = DefinitionId(self.definitions);
        let spec = TaskDefinition::single(definition.to_string(), demand);
        self.definitions += 1;
        let put = Event::DefinitionPut { definition, spec };
        self.manager.handle(Instant(self.now), put, &mut self.actions);
        let task = TaskId(self.tasks);
        self.tasks += 1;
        Submission {
            task,
            definition,
            group: group.map(GroupId),
            kind: TaskKind::Job,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        }
    }

    /// Puts a task that asks for nothing on a node.
    pub(crate) fn adopt(&mut self, node: NodeId) {
        let submission = self.submission(Demand::default(), None);
        self.step(Event::TaskAdopted { submission, node });
    }

    pub(crate) fn last_task(&self) -> TaskId {
        TaskId(self.tasks - 1)
    }

    pub(crate) fn node_of(&self, task: TaskId) -> Option<NodeId> {
        Some(self.manager.state().task(task)?.placement()?.node)
    }

    pub(crate) fn exit(&mut self, task: TaskId) {
        let attempt = self.manager.state().task(task).map_or(0, |it| it.attempts);
        self.step(Event::TaskReported { task, attempt, report: Report::Exited { code: 0 } });
    }
}

/// Checks where tasks go, one after the other.
///
/// * `nodes`: `cores/GiB`, then if wanted `+gpus`, `~rank`, `@zone`, `,attribute=value`.
/// * `tasks`: `cores/GiB`, then if wanted `+gpus` (`+0.5` is half a device) and `:group`; or `x2`: task 2
///   ends.
/// * `want`: the node of each task, `-` if it waits.
#[track_caller]
pub(crate) fn check(policy: &str, nodes: &str, tasks: &str, want: &str) {
    assert_eq!(run(policy, nodes, tasks), want, "{policy} with {nodes} and {tasks}");
}

/// Where tasks go; see [`check`].
#[track_caller]
pub(crate) fn run(policy: &str, nodes: &str, tasks: &str) -> String {
    let policy: Policy = policy.parse().unwrap();
    let mut world = World::new(Rules::default(), policy.build(1));
    for (row, text) in nodes.split_whitespace().enumerate() {
        world.join(node(row, text));
    }
    let mut got = Vec::new();
    for text in tasks.split_whitespace() {
        if let Some(task) = text.strip_prefix('x') {
            world.exit(TaskId(task.parse().unwrap()));
            continue;
        }
        let (rest, group) = cut(text, ':');
        got.push(match world.submit(demand(rest), group.map(|it| it.parse().unwrap())) {
            Some(node) => node.to_string(),
            None => "-".to_owned(),
        });
    }
    got.join(" ")
}

/// Checks where tasks go and how long each had waited, when wake-ups are heard.
///
/// * `nodes`: as in [`check`].
/// * `script`: tasks `cores/GiB:group`, with `s` at the end for those of services, where equal words have one
///   definition; `x2`, task 2 ends; `@3.5`, what follows happens at that second. What happens at a time is decided
///   together. The end is at second 1000.
/// * `want`: node and wait of each task, `-` if it was never placed.
#[track_caller]
pub(crate) fn check_in_time(policy: &str, nodes: &str, script: &str, want: &str) {
    let got = run_in_time(policy, nodes, script).join(", ");
    assert_eq!(got, want, "{policy} with {nodes} and {script}");
}

/// As [`check_in_time`], of the waits alone, in order of length.
#[track_caller]
pub(crate) fn check_waits(policy: &str, nodes: &str, script: &str, want: &str) {
    let got = run_in_time(policy, nodes, script);
    let mut waits: Vec<&str> =
        got.iter().map(|it| it.split_once(' ').map_or("-", |it| it.1)).collect();
    waits.sort_by_key(|it| (it.len(), *it));
    assert_eq!(waits.join(" "), want, "{policy} with {nodes} and {script}");
}

#[track_caller]
fn run_in_time(policy: &str, nodes: &str, script: &str) -> Vec<String> {
    let parsed: Policy = policy.parse().unwrap();
    let start = Instant::from_secs(100);
    let mut manager = Manager::new(Rules::default(), parsed.build(1));
    let none = &mut Vec::new();
    for (row, text) in nodes.split_whitespace().enumerate() {
        let event = NodeEvent::Joined(Box::new(node(row, text)));
        manager.handle(start, Event::Node { node: NodeId(row as u32), event }, none);
    }
    let (mut now, mut definitions) = (start, Vec::new());
    let mut placed: Vec<Option<String>> = Vec::new();
    for word in script.split_whitespace().chain(["@1000"]) {
        if let Some(secs) = word.strip_prefix('@') {
            let until = start + Span::from_secs_f64(secs.parse().unwrap());
            let mut woken = 0;
            while now < until {
                manager.decide(now, none);
                for (row, wait) in placed.iter_mut().enumerate() {
                    let placement = manager.state().task(TaskId(row as u64));
                    if let (None, Some((task, it))) =
                        (&wait, placement.and_then(|it| Some((it, it.placement()?))))
                    {
                        *wait = Some(format!("{} {}", it.node, now.since(task.submitted)));
                    }
                }
                now = manager.next_wake().map_or(until, |it| it.min(until));
                manager.handle(now, Event::Timer, none);
                woken += 1;
                assert!(woken < 400, "{policy} with {nodes} and {script}: woken for ever");
            }
        } else if let Some(task) = word.strip_prefix('x') {
            let task = TaskId(task.parse().unwrap());
            let attempt = manager.state().task(task).map_or(0, |it| it.attempts);
            let report = Report::Exited { code: 0 };
            manager.handle(now, Event::TaskReported { task, attempt, report }, none);
        } else {
            let (wants, group) = word.trim_end_matches('s').split_once(':').unwrap();
            let known = definitions.iter().position(|it| *it == word);
            let definition = DefinitionId(known.unwrap_or(definitions.len()) as u32);
            if known.is_none() {
                definitions.push(word);
                let spec = TaskDefinition::single("d", demand(wants));
                manager.handle(now, Event::DefinitionPut { definition, spec }, none);
            }
            let kind = if word.ends_with('s') { TaskKind::Service } else { TaskKind::Job };
            let submission = Submission {
                task: TaskId(placed.len() as u64),
                definition,
                group: Some(GroupId(group.parse().unwrap())),
                kind,
                priority: 0,
                estimate: None,
                on_loss: OnLoss::Restart,
            };
            placed.push(None);
            manager.handle(now, Event::TaskSubmitted(submission), none);
        }
    }
    placed.into_iter().map(|it| it.unwrap_or_else(|| "-".to_owned())).collect()
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

fn amounts(text: &str) -> Amounts {
    let (cores, memory) = text.split_once('/').unwrap();
    Amounts {
        cpu: MilliCpu((cores.parse::<f64>().unwrap() * 1000.0) as u64),
        memory: Bytes::from_gib(memory.parse().unwrap()),
        disk: Bytes(0),
    }
}

fn node(row: usize, text: &str) -> NodeSpec {
    let (rest, attribute) = cut(text, ',');
    let (rest, zone) = cut(rest, '@');
    let (rest, rank) = cut(rest, '~');
    let (rest, gpus) = cut(rest, '+');
    NodeSpec {
        name: format!("node-{row}"),
        zone: zone.unwrap_or_default().to_owned(),
        capacity: NodeCapacity {
            amounts: amounts(rest),
            gpus: vec!["a100".to_owned(); gpus.map_or(0, |it| it.parse().unwrap())],
        },
        attributes: attribute
            .map(|it| it.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        rank: rank.map(|it| it.parse().unwrap()),
        ..NodeSpec::default()
    }
}

pub(crate) fn demand(text: &str) -> Demand {
    let (rest, gpus) = cut(text, '+');
    let milli = gpus.map_or(0, |it| (it.parse::<f64>().unwrap() * 1000.0) as u32);
    let gpus = match milli {
        0 => GpuAsk::default(),
        1..1000 => GpuAsk { count: 1, milli: GpuMilli(milli), models: Vec::new() },
        _ => GpuAsk { count: (milli / 1000) as u16, milli: GpuMilli::DEVICE, models: Vec::new() },
    };
    Demand { amounts: amounts(rest), gpus, ..Demand::default() }
}
