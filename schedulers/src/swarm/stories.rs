//! Random lives of small clusters, for schedulers that keep a mirror of them.

use cluster::constraint::{
    Affinity, Constraints, Limit, Preference, Requirement, Side, Spread, Strength, Test, Who,
};
use cluster::demand::{Amounts, Demand, Port, Protocol, TaskDefinition};
use cluster::event::{
    Action, Change, Event, NodeEvent, NodeReport, OnLoss, Report, StartFailure, Submission,
    TaskKind,
};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NODE, NodeCapacity, NodeSpec, ZONE};
use cluster::rules::Rules;
use cluster::scheduler::{BadMemory, Desk, Scheduler};
use cluster::state::State;
use cluster::units::Instant;
use proptest::prelude::*;

/// A scheduler that is compared with the state whenever it was told of changes.
pub(crate) struct Checked<S> {
    pub(crate) inner: S,
    pub(crate) compare: fn(&S, &State),
}

impl<S: Scheduler> Scheduler for Checked<S> {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.inner.decide(desk);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.inner.observe(changes, state);
        (self.compare)(&self.inner, state);
    }

    fn wants_every_instant(&self) -> bool {
        self.inner.wants_every_instant()
    }
}

/// A scheduler that is one made anew, with its memory, at every `every`-th decision.
pub(crate) struct Forgetful<S> {
    pub(crate) inner: S,
    pub(crate) anew: fn() -> S,
    pub(crate) every: usize,
    pub(crate) decisions: usize,
}

impl<S: Scheduler> Scheduler for Forgetful<S> {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.decisions += 1;
        if self.decisions.is_multiple_of(self.every) {
            let memory = self.inner.memory();
            self.inner = (self.anew)();
            self.inner.recall(&memory).unwrap();
        }
        self.inner.decide(desk);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.inner.observe(changes, state);
    }

    fn wants_every_instant(&self) -> bool {
        self.inner.wants_every_instant()
    }

    fn memory(&self) -> Vec<u8> {
        self.inner.memory()
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        self.inner.recall(memory)
    }
}

/// What happens, to which node or task, with which number, and whether a decision follows.
pub(crate) type Step = (u8, usize, u64, bool);

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..32u8, any::<usize>(), 0..64u64, any::<bool>()), 1..80)
}

/// A cluster whose tasks have one of four definitions: by cores 1, 0.7, 0, 2; the second needs disk, the
/// third a host port.
pub(crate) struct Story {
    manager: Manager,
    actions: Vec<Action>,
    now: u64,
    tasks: u64,
    definitions: usize,
}

impl Story {
    pub(crate) fn new(scheduler: Box<dyn Scheduler>) -> Self {
        let manager = Manager::new(Rules::default(), scheduler);
        let mut story = Self { manager, actions: Vec::new(), now: 0, tasks: 0, definitions: 4 };
        let amounts = [[1000, 1 << 20, 0], [700, 1 << 31, 1 << 31], [0, 1 << 32, 0], [2000, 0, 0]];
        for (row, amounts) in amounts.into_iter().enumerate() {
            let mut demand = Demand { amounts: Amounts::from_array(amounts), ..Demand::default() };
            if row == 2 {
                demand.ports.push(Port { protocol: Protocol::Tcp, number: 80 });
            }
            story.put(row, demand, Constraints::default());
        }
        story
    }

    fn put(&mut self, row: usize, demand: Demand, constraints: Constraints) {
        let constraints = Box::new(constraints);
        let spec =
            TaskDefinition { constraints, ..TaskDefinition::single(format!("d{row}"), demand) };
        self.handle(Event::DefinitionPut { definition: DefinitionId(row as u32), spec });
    }

    /// With some more definitions, all of which have rules; the last ones only if they may keep others away.
    pub(crate) fn with_rules(scheduler: Box<dyn Scheduler>, keeps_apart: bool) -> Self {
        let mut story = Self::new(scheduler);
        let limit = |max| Limit { domain: NODE.to_owned(), max, who: Who::Group };
        let spread = |is_hard| Spread {
            domain: ZONE.to_owned(),
            skew_max: 1,
            domains_min: 0,
            is_hard,
            who: Who::Group,
        };
        let affinity =
            |side, strength| Affinity { side, strength, domain: NODE.to_owned(), who: Who::Group };
        let zone =
            Requirement { attribute: ZONE.to_owned(), test: Test::In(vec!["z1".to_owned()]) };
        let plain = Constraints::default;
        let mut rules = vec![
            Constraints { limits: vec![limit(1)], ..plain() },
            Constraints { limits: vec![limit(3)], spread: vec![spread(false)], ..plain() },
            Constraints { spread: vec![spread(false)], ..plain() },
            Constraints { spread: vec![spread(true)], ..plain() },
            Constraints { affinity: vec![affinity(Side::Near, Strength::Soft(1))], ..plain() },
            Constraints { affinity: vec![affinity(Side::Apart, Strength::Soft(1))], ..plain() },
            Constraints { prefers: vec![Preference { weight: 1, all: vec![zone] }], ..plain() },
        ];
        if keeps_apart {
            rules.push(Constraints {
                affinity: vec![affinity(Side::Apart, Strength::Hard)],
                ..plain()
            });
            rules.push(Constraints {
                affinity: vec![affinity(Side::Near, Strength::Hard)],
                ..plain()
            });
        }
        for (row, constraints) in (4..).zip(rules) {
            let amounts = Amounts::from_array([500, 1 << 28, 0]);
            story.put(row, Demand { amounts, ..Demand::default() }, constraints);
            story.definitions = row + 1;
        }
        story
    }

    fn handle(&mut self, event: Event) {
        self.now += 1;
        self.manager.handle(Instant(self.now), event, &mut self.actions);
    }

    pub(crate) fn decide(&mut self) {
        self.actions.clear();
        self.manager.decide(Instant(self.now), &mut self.actions);
    }

    /// Time passes until the scheduler asked to be woken, if it did.
    pub(crate) fn wait(&mut self) {
        if let Some(at) = self.manager.next_wake() {
            self.now = at.0.max(self.now);
            self.handle(Event::Timer);
            self.decide();
        }
    }

    /// The hash over all that happened.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:?}", self.manager.fingerprint())
    }

    pub(crate) fn join(&mut self, amounts: [u64; 3]) {
        let node = NodeId(self.manager.state().nodes().len() as u32);
        let zone = format!("z{}", node.row() % 3);
        let spec = NodeSpec {
            name: node.to_string(),
            zone,
            capacity: capacity(amounts),
            ..NodeSpec::default()
        };
        self.handle(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
    }

    fn submission(&mut self, definition: u32, group: Option<u32>) -> Submission {
        let task = TaskId(self.tasks);
        self.tasks += 1;
        Submission {
            task,
            definition: DefinitionId(definition),
            group: group.map(GroupId),
            kind: TaskKind::Job,
            priority: 0,
            estimate: None,
            on_loss: if definition == 3 { OnLoss::End } else { OnLoss::Restart },
        }
    }

    pub(crate) fn submit(&mut self, definition: u32, group: Option<u32>) -> TaskId {
        let submission = self.submission(definition, group);
        let task = submission.task;
        self.handle(Event::TaskSubmitted(submission));
        task
    }

    pub(crate) fn report(&mut self, task: TaskId, report: Report) {
        let attempt = self.manager.state().task(task).map_or(0, |it| it.attempts);
        self.handle(Event::TaskReported { task, attempt, report });
    }

    /// All that the manager and its scheduler remember.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.manager.snapshot()
    }

    /// The row of a task's node, if it has one.
    pub(crate) fn row(&self, task: TaskId) -> Option<usize> {
        Some(self.manager.state().task(task)?.placement()?.node.row())
    }

    pub(crate) fn step(&mut self, (kind, which, number, decides): Step) {
        let node = NodeId((which % self.manager.state().nodes().len()) as u32);
        let task = TaskId(which as u64 % self.tasks.max(1));
        let group = (number % 4 > 0).then_some((number % 4) as u32);
        let definition = (which % self.definitions) as u32;
        let offered = [number * 250, number << 28, number << 28];
        let at_node = |event| Event::Node { node, event };
        let says = |report| Event::NodeReported { node, report };
        match kind {
            0 => self.join(offered),
            1 => self.handle(at_node(NodeEvent::Lost)),
            2 => self.handle(at_node(NodeEvent::Returned)),
            3 => self.handle(at_node(NodeEvent::Draining)),
            4 => self.handle(at_node(NodeEvent::Updated(capacity(offered)))),
            5 => self.handle(says(NodeReport::Unreachable)),
            6 => self.handle(says(NodeReport::Reachable)),
            7 => self.handle(says(NodeReport::Activated)),
            8 | 9 => {
                let submission = self.submission(definition, group);
                self.handle(Event::TaskAdopted { submission, node });
            }
            10 => self.handle(Event::TaskCancelled { task }),
            11..14 => self.report(task, Report::Started),
            14..17 => self.report(task, Report::Exited { code: (number % 2) as i32 }),
            17 => self.report(task, Report::Failed { why: StartFailure::Other }),
            _ => {
                self.submit(definition, group);
            }
        }
        if decides {
            self.decide();
            self.manager.state().audit().unwrap();
        }
    }
}

/// All that is remembered after every step, on nodes that offer so much.
pub(crate) fn told(
    scheduler: impl Scheduler + 'static,
    keeps_apart: bool,
    nodes: impl Iterator<Item = [u64; 3]>,
    steps: &[Step],
) -> Vec<Vec<u8>> {
    let mut story = Story::with_rules(Box::new(scheduler), keeps_apart);
    nodes.for_each(|it| story.join(it));
    let after = |it: &Step| {
        story.step(*it);
        story.snapshot()
    };
    steps.iter().map(after).collect()
}

fn capacity(amounts: [u64; 3]) -> NodeCapacity {
    NodeCapacity { amounts: Amounts::from_array(amounts), gpus: Vec::new() }
}
