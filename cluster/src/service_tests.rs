//! Services, drains, contact with nodes and failed starts: one short story each, and many random ones.

use crate::demand::{Amounts, Demand, Port, Protocol, TaskDefinition};
use crate::event::{
    Action, Change, Event, NodeEvent, NodeReport, OnLoss, Report, StartFailure, Submission,
    TaskKind,
};
use crate::ids::{DefinitionId, GroupId, NodeId, TaskId};
use crate::journal::{Input, Record};
use crate::life::Stage;
use crate::manager::Manager;
use crate::nodes::{NodeCapacity, NodeSpec, NodeStatus};
use crate::rules::{Rules, Unfit};
use crate::scheduler::{Desk, Scheduler};
use crate::service::{Backoff, ServiceSpec};
use crate::units::{Bytes, Instant, MilliCpu, Span};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The node with the fewest tasks that fits, lowest id among equals.
struct FewestTasks;

impl Scheduler for FewestTasks {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            let best = nodes
                .ids()
                .filter(|&node| nodes.fits(shape, node))
                .min_by_key(|it| (nodes.task_counts()[it.row()], *it));
            match best {
                Some(node) => desk.place(task, node, crate::nodes::DeviceSet::NONE),
                None => desk.unfit(task),
            }
        }
    }
}

/// A manager and a world that does what it is told.
struct World {
    manager: Manager,
    now: Instant,
    /// What runs on the nodes, whether or not the manager knows.
    there: BTreeMap<(TaskId, u32), NodeId>,
    wakes: Vec<Instant>,
    tasks: u64,
    log: Vec<String>,
    journal: Vec<(Record, Option<Vec<u8>>)>,
}

const WEB: GroupId = GroupId(0);

impl World {
    /// Nodes of 4 cores in two zones, and definition 0: one core, port 80 for definition 1.
    fn new(nodes: u32) -> Self {
        Self::under(nodes, Rules::default())
    }

    fn under(nodes: u32, rules: Rules) -> Self {
        let mut world = Self {
            manager: Manager::new(rules, Box::new(FewestTasks)),
            now: Instant::ZERO,
            there: BTreeMap::new(),
            wakes: Vec::new(),
            tasks: 0,
            log: Vec::new(),
            journal: Vec::new(),
        };
        for node in 0..nodes {
            let amounts = Amounts {
                cpu: MilliCpu::from_cores(4),
                memory: Bytes::from_gib(8),
                disk: Bytes(0),
            };
            let spec = NodeSpec {
                name: format!("n{node}"),
                zone: ["a", "b"][node as usize % 2].into(),
                capacity: NodeCapacity { amounts, gpus: vec![] },
                ..NodeSpec::default()
            };
            world.node(NodeId(node), NodeEvent::Joined(Box::new(spec)));
        }
        for (definition, ports) in [(0, vec![]), (1, vec![tcp(80)])] {
            let amounts = Amounts { cpu: MilliCpu(1000), ..Amounts::default() };
            let demand = Demand { amounts, ports, ..Demand::default() };
            let spec = TaskDefinition::single("d", demand);
            world.tell(Event::DefinitionPut { definition: DefinitionId(definition), spec });
        }
        world
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.manager.handle(self.now, event, &mut actions);
        self.obey(&actions);
    }

    fn decide(&mut self) {
        let mut actions = Vec::new();
        self.manager.decide(self.now, &mut actions);
        self.obey(&actions);
    }

    fn obey(&mut self, actions: &[Action]) {
        let record = Record::from_bytes(self.manager.last_record()).unwrap();
        let aftermath = (record.input == Input::Decide).then(|| self.manager.aftermath());
        self.journal.push((record, aftermath));
        self.manager.state().audit().unwrap();
        self.manager.core.queue.audit(self.manager.state());
        for action in actions {
            match *action {
                Action::Start { task, node, attempt, .. } => {
                    assert_eq!(self.manager.state().nodes().status(node), NodeStatus::Ready);
                    assert!(
                        self.there.insert((task, attempt), node).is_none(),
                        "{task} started twice"
                    );
                }
                Action::Stop { task, attempt, .. } => {
                    assert!(
                        self.there.remove(&(task, attempt)).is_some(),
                        "{task} stopped unstarted"
                    );
                }
                Action::Wake { at } => {
                    assert!(at >= self.now);
                    self.wakes.push(at);
                }
                Action::Drop { .. } | Action::Hold { .. } => {}
            }
            if !matches!(action, Action::Wake { .. }) {
                self.log.push(action.to_string());
            }
        }
    }

    fn put(&mut self, definition: u32, desired: u32) {
        self.put_service(WEB, definition, desired);
    }

    fn put_service(&mut self, service: GroupId, definition: u32, desired: u32) {
        let spec = ServiceSpec {
            name: format!("s{}", service.0),
            definition: DefinitionId(definition),
            desired,
            priority: 0,
            backoff: Backoff::default(),
        };
        self.tell(Event::ServicePut { service, spec });
    }

    fn node(&mut self, node: NodeId, event: NodeEvent) {
        self.tell(Event::Node { node, event });
    }

    fn says(&mut self, node: u32, report: NodeReport) {
        self.tell(Event::NodeReported { node: NodeId(node), report });
    }

    fn report(&mut self, task: TaskId, attempt: u32, report: Report) {
        if matches!(report, Report::Exited { .. } | Report::Failed { .. }) {
            self.there.remove(&(task, attempt));
        }
        self.tell(Event::TaskReported { task, attempt, report });
    }

    fn replica(&mut self, number: u64, report: Report) {
        self.report(TaskId::replica(number), 1, report);
    }

    /// Everything placed runs.
    fn all_run(&mut self) {
        for (task, attempt) in self.there.keys().copied().collect::<Vec<_>>() {
            self.report(task, attempt, Report::Started);
        }
    }

    /// Time passes, with the wake-ups that were asked for.
    fn wait(&mut self, secs: u64) {
        let end = self.now + Span::from_secs(secs);
        loop {
            self.wakes.sort_unstable();
            self.wakes.retain(|it| *it > self.now);
            let Some(&at) = self.wakes.first().filter(|it| **it <= end) else { break };
            self.now = at;
            self.tell(Event::Timer);
            if self.manager.wants_decision(self.now) {
                self.decide();
            }
        }
        self.now = end;
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    /// One random thing happens.
    fn step(&mut self, what: u32, which: u32, chance: u16) {
        let node = NodeId(which);
        let status = self.manager.state().nodes().status(node);
        let picked = self.there.keys().nth(usize::from(chance) % 7).copied();
        let in_contact = |world: &World, task: (TaskId, u32)| {
            let status = world.manager.state().nodes().status(world.there[&task]);
            matches!(status, NodeStatus::Ready | NodeStatus::Draining)
        };
        match what {
            0 => self.put_service(
                GroupId(which % 3),
                u32::from(chance.is_multiple_of(5)),
                u32::from(chance % 4),
            ),
            1 if chance.is_multiple_of(4) => {
                self.tell(Event::ServiceDeleted { service: GroupId(which % 3) })
            }
            2 => {
                let submission = Submission {
                    task: TaskId(self.tasks),
                    definition: DefinitionId(0),
                    group: Some(GroupId(9)),
                    kind: TaskKind::Job,
                    priority: 0,
                    estimate: None,
                    on_loss: if chance.is_multiple_of(2) { OnLoss::Restart } else { OnLoss::End },
                };
                self.tasks += 1;
                self.tell(Event::TaskSubmitted(submission));
            }
            3 => self.node(node, NodeEvent::Draining),
            4 => self.says(which, NodeReport::Activated),
            5 => self.says(which, NodeReport::Unreachable),
            6 => {
                if status == NodeStatus::Lost {
                    // As an agent does: what is stale goes before the node is back.
                    self.there.retain(|_, it| *it != node);
                }
                self.says(which, NodeReport::Reachable);
            }
            7 => self.wait(u64::from(chance % 40)),
            8..=12 => {
                if let Some((task, attempt)) = picked
                    && in_contact(&*self, (task, attempt))
                {
                    let report = match what {
                        8 | 9 => Report::Started,
                        10 => Report::Exited { code: i32::from(chance % 2) },
                        11 => Report::Unhealthy,
                        _ => Report::Failed { why: StartFailure::ALL[usize::from(chance) % 7] },
                    };
                    let runs = self.manager.state().task(task).map(Stage::of);
                    if !matches!(report, Report::Failed { .. }) || runs == Some(Stage::Starting) {
                        self.report(task, attempt, report);
                    }
                }
            }
            _ => {
                if let Some((task, _)) = picked {
                    self.tell(Event::TaskCancelled { task });
                }
            }
        }
        if !chance.is_multiple_of(3) && self.manager.wants_decision(self.now) {
            self.decide();
        }
    }

    /// What the manager believes to be on nodes.
    fn believed(&self) -> BTreeMap<(TaskId, u32), NodeId> {
        let state = self.manager.state();
        let on = |node| state.tasks_on(node).iter().map(move |&task| (task, node));
        state
            .nodes()
            .ids()
            .flat_map(on)
            .map(|(task, node)| ((task, state.task(task).unwrap().attempts), node))
            .collect()
    }
}

fn tcp(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

#[test]
fn a_service_has_as_many_tasks_as_it_should() {
    let mut world = World::new(2);
    world.put(0, 3);
    world.decide();
    assert_eq!(world.said(), "start r0 on n0, start r1 on n1, start r2 on n0");
    world.all_run();
    world.replica(1, Report::Exited { code: 1 });
    world.decide();
    assert_eq!(world.said(), "start r3 on n1", "what ends is replaced at once");
    world.put(0, 1);
    world.decide();
    assert_eq!(
        world.said(),
        "stop r3 on n1 (surplus), stop r2 on n0 (surplus)",
        "what does not run goes first, then the youngest"
    );
    world.tell(Event::ServiceDeleted { service: WEB });
    assert_eq!(world.said(), "stop r0 on n0 (surplus)");
    assert!(world.there.is_empty() && world.manager.state().task_count() == 0);
}

#[test]
fn scaling_down_takes_from_the_fullest_zone() {
    let mut world = World::new(3);
    world.put(0, 6);
    world.decide();
    world.all_run();
    world.said();
    world.put(0, 3);
    world.decide();
    // Zone a has n0 and n2 with two tasks each, zone b n1 with two.
    assert_eq!(
        world.said(),
        "stop r5 on n2 (surplus), stop r3 on n0 (surplus), stop r4 on n1 (surplus)"
    );
}

#[test]
fn unhealthy_tasks_of_services_are_replaced_and_others_left_alone() {
    let mut world = World::new(2);
    world.put(0, 1);
    let submission = Submission {
        task: TaskId(0),
        definition: DefinitionId(0),
        group: None,
        kind: TaskKind::Job,
        priority: 0,
        estimate: None,
        on_loss: OnLoss::Restart,
    };
    world.tell(Event::TaskSubmitted(submission));
    world.decide();
    world.all_run();
    world.said();
    world.replica(0, Report::Healthy);
    world.replica(0, Report::Unhealthy);
    world.report(TaskId(0), 1, Report::Unhealthy);
    world.decide();
    assert_eq!(world.said(), "stop r0 on n0 (unhealthy), start r1 on n0");
}

#[test]
fn starts_that_fail_are_tried_later_and_elsewhere() {
    let mut world = World::new(2);
    world.put(0, 2);
    world.decide();
    assert_eq!(world.said(), "start r0 on n0, start r1 on n1");
    world.replica(0, Report::Failed { why: StartFailure::Image });
    world.decide();
    assert_eq!(world.said(), "", "not before a second has passed");
    let until = world.manager.state().service(WEB).unwrap().throttled_until();
    assert_eq!(until, Some(world.now + Span::from_secs(1)));
    world.wait(2);
    assert_eq!(
        world.said(),
        "start r2 on n1",
        "not on the node where it failed, though it is empty"
    );
    world.replica(1, Report::Failed { why: StartFailure::Image });
    world.wait(4);
    assert_eq!(world.said(), "hold r3 (its like failed to start there)");
    world.wait(120);
    assert_eq!(world.said(), "start r3 on n0");
    world.all_run();
    assert_eq!(world.manager.state().service(WEB).unwrap().failures(), 0);
}

#[test]
fn a_failure_of_one_definition_does_not_keep_its_twin_away() {
    let mut world = World::new(1);
    let spec = world.manager.state().definition(DefinitionId(0)).clone();
    world.tell(Event::DefinitionPut { definition: DefinitionId(2), spec });
    world.put(0, 1);
    world.decide();
    world.replica(0, Report::Failed { why: StartFailure::Image });
    world.said();
    world.put_service(GroupId(1), 2, 1);
    world.decide();
    assert_eq!(world.said(), "start r1 on n0");
}

#[test]
fn a_port_that_a_stranger_holds_is_not_asked_for() {
    let mut world = World::new(2);
    world.put(1, 1);
    world.decide();
    assert_eq!(world.said(), "start r0 on n0");
    world.says(0, NodeReport::PortsTaken(vec![tcp(80)]));
    world.replica(0, Report::Failed { why: StartFailure::Port });
    world.wait(2);
    assert_eq!(world.said(), "start r1 on n1");
    world.put(1, 2);
    world.decide();
    assert_eq!(world.said(), "hold r2 (host port taken)");
    world.says(0, NodeReport::PortsTaken(vec![]));
    world.decide();
    assert_eq!(world.said(), "start r2 on n0");
}

#[test]
fn a_node_out_of_reach_is_lost_after_a_while_and_not_before() {
    let mut world = World::new(2);
    world.put(0, 2);
    world.decide();
    world.all_run();
    world.said();
    world.says(0, NodeReport::Unreachable);
    world.wait(29);
    world.says(0, NodeReport::Reachable);
    world.wait(60);
    assert_eq!(world.said(), "", "it came back in time");
    world.says(0, NodeReport::Unreachable);
    world.put(0, 3);
    world.decide();
    assert_eq!(world.said(), "start r2 on n1", "nothing new on a node out of reach");
    world.wait(31);
    assert_eq!(world.said(), "start r0 on n1 #2");
    assert_eq!(world.manager.state().nodes().status(NodeId(0)), NodeStatus::Lost);
    world.report(TaskId::replica(0), 1, Report::Exited { code: 0 });
    world.decide();
    assert_eq!(world.said(), "", "what the first attempt says is stale");
}

#[test]
fn a_controller_that_starts_anew_gives_nodes_time_to_be_found() {
    let mut world = World::new(1);
    world.says(0, NodeReport::Unreachable);
    let first = world.manager.next_wake();
    world.now = Instant::from_secs(20);
    world.says(0, NodeReport::Unreachable);
    assert_eq!(first, Some(Instant::from_secs(30)));
    assert_eq!(world.manager.next_wake(), Some(Instant::from_secs(30)), "told once");
    world.now = Instant::from_secs(30);
    world.tell(Event::Timer);
    assert_eq!(world.manager.state().nodes().status(NodeId(0)), NodeStatus::Unreachable);
    assert_eq!(world.manager.next_wake(), Some(Instant::from_secs(50)));
    world.now = Instant::from_secs(50);
    world.tell(Event::Timer);
    assert_eq!(world.manager.state().nodes().status(NodeId(0)), NodeStatus::Lost);
}

#[test]
fn draining_moves_tasks_of_services_and_outlives_lost_contact() {
    let mut world = World::new(2);
    world.put(0, 2);
    world.decide();
    world.replica(0, Report::Started);
    world.said();
    world.node(NodeId(0), NodeEvent::Draining);
    world.node(NodeId(1), NodeEvent::Draining);
    assert_eq!(world.said(), "stop r1 on n1 (drained)", "it did not run yet");
    world.says(1, NodeReport::Activated);
    world.decide();
    assert_eq!(world.said(), "start r2 on n1, start r3 on n1");
    world.replica(2, Report::Started);
    world.decide();
    assert_eq!(world.said(), "", "one of two runs elsewhere: r0 is still of use");
    world.replica(3, Report::Started);
    world.decide();
    assert_eq!(world.said(), "stop r0 on n0 (drained)");
    world.says(0, NodeReport::Unreachable);
    world.says(0, NodeReport::Reachable);
    assert_eq!(world.manager.state().nodes().status(NodeId(0)), NodeStatus::Draining);
    world.says(0, NodeReport::Activated);
    assert_eq!(world.manager.state().nodes().status(NodeId(0)), NodeStatus::Ready);
}

#[test]
fn throttling_is_told_once_for_tasks_that_fail_together() {
    let mut world = World::new(2);
    world.put(0, 4);
    world.decide();
    let mut told = 0;
    for number in 0..4 {
        world.replica(number, Report::Failed { why: StartFailure::Command });
        let throttled = |it: &&Change| matches!(it, Change::ServiceThrottled { .. });
        told += world.manager.changes().iter().filter(throttled).count();
    }
    assert_eq!(told, 1);
    assert_eq!(world.manager.state().service(WEB).unwrap().failures(), 1);
}

proptest! {
    /// Whatever happens: no task runs twice, none is lost, and when all is well again every service has what
    /// it should.
    #[test]
    fn services_recover_from_anything(
        steps in prop::collection::vec((0u32..14, 0u32..4, any::<u16>()), 1..120)
    ) {
        let mut world = World::new(4);
        for (what, which, chance) in steps {
            world.step(what, which, chance);
        }
        // All is well again.
        for node in 0..4 {
            if world.manager.state().nodes().status(NodeId(node)) == NodeStatus::Lost {
                world.there.retain(|_, it| *it != NodeId(node));
            }
            world.says(node, NodeReport::Reachable);
            world.says(node, NodeReport::Activated);
        }
        for _ in 0..6 {
            world.decide();
            world.all_run();
            world.wait(2 * 60 * 60);
        }
        prop_assert_eq!(&world.believed(), &world.there);
        for (id, service) in world.manager.state().services() {
            prop_assert_eq!(service.tasks().count(), service.spec.desired as usize, "{}", id);
            prop_assert_eq!(service.leaving().count(), 0);
            let pending = service.tasks().filter(|it| {
                world.manager.state().task(*it).map(Stage::of) == Some(Stage::Pending)
            });
            // Four nodes have one port 80 each, which three services of at most three may share out.
            if service.spec.definition == DefinitionId(0) && world.manager.state().task_count() <= 16 {
                prop_assert_eq!(pending.count(), 0, "{} waits", id);
            }
        }
    }

    /// A manager that is brought back from a snapshot and the records after it goes on as if nothing had
    /// happened, and has the same fingerprint.
    #[test]
    fn what_is_restored_goes_on_alike(
        steps in prop::collection::vec((0u32..14, 0u32..4, any::<u16>()), 1..60),
        unfit in 0usize..4,
        snapshot_at in 0usize..100,
        crash_at in 0usize..100,
    ) {
        let retry = Unfit::Retry {
            first: Span::from_secs(1), max: Span::from_secs(60), factor_permille: 2000, tries: 5,
        };
        let unfit = [Unfit::WaitAndLetPass, Unfit::WaitAtHead, Unfit::Drop, retry][unfit];
        let rules = Rules { unfit, ..Rules::default() };
        let mut world = World::under(4, rules);
        for (what, which, chance) in steps {
            world.step(what, which, chance);
        }
        let end = world.journal.len();
        let (a, b) = (snapshot_at * end / 100, crash_at * end / 100);
        let (snapshot_at, crash_at) = (a.min(b), a.max(b));
        let mut first = Manager::new(rules, Box::new(FewestTasks));
        let mut actions = Vec::new();
        let redo = |manager: &mut Manager, record: &Record, actions: &mut Vec<Action>| {
            actions.clear();
            match record.input.clone() {
                Input::Event(event) => manager.handle(record.at, event, actions),
                Input::Decide => manager.decide(record.at, actions),
            }
        };
        for (record, _) in &world.journal[..snapshot_at] {
            redo(&mut first, record, &mut actions);
        }
        let bytes = first.snapshot();
        let mut second = Manager::restore(&bytes, Box::new(FewestTasks)).unwrap();
        prop_assert_eq!(second.snapshot(), bytes);
        for (record, _) in &world.journal[..snapshot_at] {
            second.rehash(&record.to_bytes());
        }
        for (record, aftermath) in &world.journal[snapshot_at..crash_at] {
            second.apply(record, aftermath.as_deref()).unwrap();
            second.state().audit().unwrap();
            second.core.queue.audit(second.state());
        }
        for (record, _) in &world.journal[crash_at..] {
            prop_assert!(record.input != Input::Decide || second.wants_decision(record.at));
            redo(&mut second, record, &mut actions);
            prop_assert_eq!(&actions, &record.actions, "{}", record);
        }
        prop_assert_eq!(second.fingerprint(), world.manager.fingerprint());
        prop_assert_eq!(second.snapshot(), world.manager.snapshot());
    }
}
