//! Rules of the model, one table each, through small helpers; the ledger as a property.

use crate::constraint::{Effect, Taint, Toleration};
use crate::demand::{
    Amounts, Demand, GpuAsk, Port, Protocol, Requirement, Resource, TaskDefinition,
};
use crate::event::{Action, Event, HoldReason, NodeEvent, OnLoss, Report, Submission, TaskKind};
use crate::explain::Verdict;
use crate::ids::{DefinitionId, GroupId, NodeId, TaskId};
use crate::journal::{Input, Record};
use crate::manager::Manager;
use crate::nodes::{DeviceSet, NodeCapacity, NodeSpec, Overcommit};
use crate::rules::{Rules, Unfit};
use crate::scheduler::{Desk, Scheduler, Then};
use crate::units::{Bytes, GpuMilli, Instant, MilliCpu};
use proptest::prelude::*;

/// `cores/GiB/disk-GiB/gpus`, as far as written.
fn amounts(text: &str) -> (Amounts, usize) {
    let mut parts = text.split('/').map(|it| it.parse::<u64>().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    let (cpu, memory, disk, gpus) = (next(), next(), next(), next());
    let amounts = Amounts {
        cpu: MilliCpu::from_cores(cpu),
        memory: Bytes::from_gib(memory),
        disk: Bytes::from_gib(disk),
    };
    (amounts, gpus as usize)
}

fn tcp(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

/// A cluster under a scheduler that does what the closure says.
struct Rig {
    manager: Manager,
    now: Instant,
    definitions: u32,
    tasks: u64,
}

struct Scripted<F>(F);

impl<F: FnMut(&mut Desk<'_>) + Send> Scheduler for Scripted<F> {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        (self.0)(desk);
    }
}

impl Rig {
    fn new(rules: Rules, decide: impl FnMut(&mut Desk<'_>) + Send + 'static) -> Self {
        let manager = Manager::new(rules, Box::new(Scripted(decide)));
        Self { manager, now: Instant::ZERO, definitions: 0, tasks: 0 }
    }

    fn idle() -> Self {
        Self::new(Rules::default(), |_| {})
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.manager.handle(self.now, event, &mut actions);
        self.manager.state().audit().unwrap();
        self.manager.core.queue.audit(self.manager.state());
        actions
    }

    fn decide(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.manager.decide(self.now, &mut actions);
        self.manager.state().audit().unwrap();
        self.manager.core.queue.audit(self.manager.state());
        actions
    }

    fn join(&mut self, text: &str, change: impl FnOnce(&mut NodeSpec)) -> NodeId {
        let node = NodeId(self.manager.state().nodes().len() as u32);
        let (amounts, gpus) = amounts(text);
        let mut spec = NodeSpec {
            name: node.to_string(),
            zone: "a".into(),
            capacity: NodeCapacity { amounts, gpus: vec!["T4".into(); gpus] },
            ..NodeSpec::default()
        };
        change(&mut spec);
        self.handle(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
        node
    }

    fn define(&mut self, demand: Demand) -> DefinitionId {
        let definition = DefinitionId(self.definitions);
        self.definitions += 1;
        let spec = TaskDefinition::single("d", demand);
        self.handle(Event::DefinitionPut { definition, spec });
        definition
    }

    fn submission(&mut self, definition: DefinitionId) -> Submission {
        let task = TaskId(self.tasks);
        self.tasks += 1;
        Submission {
            task,
            definition,
            group: Some(GroupId(0)),
            kind: TaskKind::Job,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        }
    }

    fn submit(&mut self, text: &str) -> TaskId {
        let (amounts, gpus) = amounts(text);
        let gpus = GpuAsk { count: gpus as u16, milli: GpuMilli::DEVICE, models: vec![] };
        let definition = self.define(Demand { amounts, gpus, ..Demand::default() });
        let submission = self.submission(definition);
        let task = submission.task;
        self.handle(Event::TaskSubmitted(submission));
        task
    }

    fn adopt(&mut self, text: &str, node: NodeId) -> TaskId {
        let (amounts, _) = amounts(text);
        let definition = self.define(Demand { amounts, ..Demand::default() });
        let submission = self.submission(definition);
        let task = submission.task;
        self.handle(Event::TaskAdopted { submission, node });
        task
    }

    fn node(&mut self, node: NodeId, event: NodeEvent) -> Vec<Action> {
        self.handle(Event::Node { node, event })
    }
}

#[track_caller]
fn refuses(change: impl FnOnce(&mut Demand), want: &str) {
    let mut rig = Rig::idle();
    rig.join("4/16/10/2", |it| {
        it.reserved_ports = vec![tcp(22)];
        it.attributes = vec![("disk".into(), "ssd".into())];
    });
    rig.join("8/8/10/0", |_| {});
    let drained = rig.join("64/64/64/8", |_| {});
    rig.node(drained, NodeEvent::Draining);
    let lost = rig.join("64/64/64/8", |_| {});
    rig.node(lost, NodeEvent::Lost);
    let mut demand = Demand::default();
    change(&mut demand);
    let definition = rig.define(demand);
    let submission = rig.submission(definition);
    rig.handle(Event::TaskSubmitted(submission.clone()));
    assert_eq!(rig.manager.explain(submission.task).unwrap().to_string(), want);
}

/// What a node of four cores, 16 GiB, 10 GiB of disk and two T4, with a port reserved, says.
#[track_caller]
fn rejects(change: impl FnOnce(&mut Demand), want: &[&str]) {
    let mut rig = Rig::idle();
    let node = rig.join("4/16/10/2", |it| {
        it.reserved_ports = vec![tcp(22)];
        it.attributes = vec![("disk".into(), "ssd".into())];
        it.taints =
            vec![Taint { key: "gpu".into(), value: "yes".into(), effect: Effect::NoSchedule }];
    });
    rig.adopt("1/1", node);
    let tolerations = vec![Toleration { key: Some("gpu".into()), ..Toleration::default() }];
    let mut demand = Demand { tolerations, ..Demand::default() };
    change(&mut demand);
    let mut spec = TaskDefinition::single("d", demand.clone());
    spec.constraints.tolerations = demand.tolerations;
    spec.constraints.any_of = demand.any_of;
    let definition = DefinitionId(rig.definitions);
    rig.definitions += 1;
    rig.handle(Event::DefinitionPut { definition, spec });
    let submission = rig.submission(definition);
    rig.handle(Event::TaskSubmitted(submission.clone()));
    let explanation = rig.manager.explain_nodes(rig.now, submission.task).unwrap();
    let got: Vec<String> = match &explanation.nodes[0].verdict {
        Verdict::Rejected(by) => {
            by.iter().map(|it| format!("{}: {}", it.filter, it.reason)).collect()
        }
        _ => Vec::new(),
    };
    assert_eq!(got, want);
}

#[test]
fn a_node_says_every_test_it_fails_and_by_how_much() {
    let gpus = |count, milli, model: &str| GpuAsk {
        count,
        milli: GpuMilli(milli),
        models: if model.is_empty() { vec![] } else { vec![model.to_owned()] },
    };
    let requires = |attribute: &str, values: &[&str]| {
        vec![Requirement::one_of(attribute, values.iter().map(|it| (*it).to_owned()))]
    };
    rejects(|it| it.amounts = amounts("3/15").0, &[]);
    rejects(
        |it| it.amounts = amounts("5/16").0,
        &[
            "cpu: 2 cpu short: wants 5 cpu, 3 cpu free",
            "memory: 1 GiB short: wants 16 GiB, 15 GiB free",
        ],
    );
    rejects(
        |it| it.gpus = gpus(3, 1000, ""),
        &["gpu_model: wants 3 gpu devices; the node has T4, T4"],
    );
    rejects(
        |it| it.gpus = gpus(1, 500, "A100"),
        &["gpu_model: wants 1 gpu device of A100; the node has T4, T4"],
    );
    rejects(|it| it.ports = vec![tcp(22), tcp(80)], &["port: tcp/22 is reserved"]);
    rejects(
        |it| it.requires = requires("disk", &["hdd", "tape"]),
        &["attribute: disk in [hdd, tape]: it is ssd"],
    );
    rejects(|it| it.requires = requires("rack", &[]), &["attribute: it has no rack"]);
    rejects(|it| it.tolerations.clear(), &["taint: gpu=yes:NoSchedule is not tolerated"]);
    rejects(
        |it| it.any_of = vec![requires("disk", &["hdd"]), requires("rack", &["1"])],
        &["attribute: disk in [hdd]: it is ssd; or else rack in [1]: it has none"],
    );
}

#[test]
fn a_refusal_says_how_many_nodes_fail_which_test() {
    let away = "1 lost, 1 draining";
    let requires =
        |attribute: &str, value: &str| vec![Requirement::one_of(attribute, [value.to_owned()])];
    refuses(|_| {}, &format!("2 of 4 fit: {away}"));
    refuses(|it| it.amounts = amounts("5").0, &format!("1 of 4 fit: {away}, 1 short of cpu"));
    refuses(
        |it| it.amounts = amounts("5/16").0,
        &format!("none of 4 fits: {away}, 1 short of cpu, 1 short of memory"),
    );
    refuses(
        |it| it.amounts = amounts("0/0/11").0,
        &format!("none of 4 fits: {away}, 2 short of disk"),
    );
    refuses(
        |it| it.ports = vec![tcp(22)],
        &format!("1 of 4 fit: {away}, 1 with a host port taken"),
    );
    refuses(
        |it| it.requires = requires("disk", "ssd"),
        &format!("1 of 4 fit: {away}, 1 without a required attribute"),
    );
    refuses(
        |it| it.requires = requires("zone", "b"),
        &format!("none of 4 fits: {away}, 2 without a required attribute"),
    );
    let gpus = |count, model: &str| GpuAsk {
        count,
        milli: GpuMilli::DEVICE,
        models: if model.is_empty() { vec![] } else { vec![model.into()] },
    };
    refuses(
        |it| it.gpus = gpus(1, "A10"),
        &format!("none of 4 fits: {away}, 2 without enough gpus of the model"),
    );
    refuses(
        |it| it.gpus = gpus(2, "T4"),
        &format!("1 of 4 fit: {away}, 1 without enough gpus of the model"),
    );
}

#[test]
fn devices_are_the_tightest_that_fit_lowest_first() {
    // Devices 0..4 hold 0, 700, 300, 300 when the task comes.
    for (count, milli, want) in [
        (1, 300, Some(0b0010)),
        (1, 301, Some(0b0100)),
        (1, 701, Some(0b0001)),
        (2, 500, Some(0b1100)),
        (3, 200, Some(0b1110)),
        (4, 300, Some(0b1111)),
        (2, 1000, None),
        (4, 301, None),
    ] {
        let mut rig = Rig::idle();
        let node = rig.join("1/1/0/4", |_| {});
        for (device, held) in [(1, 700), (2, 300), (3, 300)] {
            let gpus = GpuAsk { count: 1, milli: GpuMilli(held), models: vec![] };
            let definition = rig.define(Demand { gpus, ..Demand::default() });
            let submission = rig.submission(definition);
            rig.handle(Event::TaskSubmitted(submission.clone()));
            let core = &mut rig.manager;
            core.place_for_test(submission.task, node, DeviceSet(1 << device));
        }
        let gpus = GpuAsk { count, milli: GpuMilli(milli), models: vec![] };
        let definition = rig.define(Demand { gpus, ..Demand::default() });
        let state = rig.manager.state();
        let shape = state.shape(state.shape_of(definition));
        let got = state.nodes().best_fit_devices(shape, node);
        assert_eq!(got.map(|it| it.0), want, "{count} x {milli}");
        assert_eq!(state.nodes().fits(shape, node), want.is_some(), "{count} x {milli}");
    }
}

#[test]
fn what_residents_hold_beyond_the_offer_is_counted_as_over() {
    let overcommit = Overcommit([1500, 1000, 1000]);
    let rules = Rules { overcommit, ..Rules::default() };
    let mut rig = Rig::new(rules, |_| {});
    let node = rig.join("4/8", |_| {});
    let nodes = |rig: &Rig| {
        let nodes = rig.manager.state().nodes();
        (
            nodes.free(Resource::Cpu)[0],
            nodes.over(NodeId(0), Resource::Cpu),
            nodes.is_overfull(node),
        )
    };
    assert_eq!(nodes(&rig), (6000, 0, false));
    let first = rig.adopt("5/1", node);
    assert_eq!(nodes(&rig), (1000, 0, false));
    rig.adopt("3/1", node);
    assert_eq!(nodes(&rig), (0, 2000, true));
    // The first one ends: what is given back fills the hole before it counts as free.
    let report = Report::Exited { code: 0 };
    rig.handle(Event::TaskReported { task: first, attempt: 1, report });
    assert_eq!(nodes(&rig), (3000, 0, false));
    let (amounts, _) = amounts("1/8");
    rig.node(node, NodeEvent::Updated(NodeCapacity { amounts, gpus: vec![] }));
    assert_eq!(nodes(&rig), (0, 1500, true));
}

#[test]
fn a_gang_is_placed_whole_or_not_at_all() {
    let gang = |desk: &mut Desk<'_>| {
        let pending = desk.pending();
        let want: Vec<_> = pending.iter().map(|&it| (it, NodeId(0), DeviceSet::NONE)).collect();
        desk.place_gang(&want);
    };
    let mut rig = Rig::new(Rules::default(), gang);
    rig.join("4/8", |_| {});
    rig.submit("2/1");
    rig.submit("2/1");
    rig.submit("1/1");
    let held = HoldReason::HeldBack;
    let tasks: Vec<TaskId> = (0..3).map(TaskId).collect();
    let want: Vec<Action> = tasks.iter().map(|&task| Action::Hold { task, reason: held }).collect();
    assert_eq!(rig.decide(), want, "five cores do not fit four");
    rig.handle(Event::TaskCancelled { task: TaskId(2) });
    let started = rig.decide();
    assert!(matches!(started[..], [Action::Start { .. }, Action::Start { .. }]), "{started:?}");
}

#[test]
fn an_evicted_task_comes_back_to_its_old_place() {
    let mut round = 0;
    let decide = move |desk: &mut Desk<'_>| {
        round += 1;
        if round == 2 {
            desk.evict(TaskId(0), Then::Requeue);
            assert_eq!(desk.pending(), [TaskId(0), TaskId(1)]);
            desk.place(TaskId(1), NodeId(0), DeviceSet::NONE);
        }
        while let Some(task) = desk.head() {
            if desk.state().nodes().fits(desk.ask(task).shape, NodeId(0)) {
                desk.place(task, NodeId(0), DeviceSet::NONE);
            } else {
                desk.unfit(task);
            }
        }
    };
    let mut rig = Rig::new(Rules::default(), decide);
    rig.join("4/8", |_| {});
    rig.submit("3/1");
    assert!(matches!(rig.decide()[..], [Action::Start { task: TaskId(0), attempt: 1, .. }]));
    rig.submit("2/1");
    let actions = rig.decide();
    assert!(
        matches!(
            actions[..],
            [
                Action::Stop { task: TaskId(0), attempt: 1, .. },
                Action::Start { task: TaskId(1), .. },
                Action::Hold { task: TaskId(0), reason: HoldReason::ShortOf(Resource::Cpu) },
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn what_is_like_a_task_held_back_waits_with_it_until_the_next_round() {
    let (told, shown) = std::sync::mpsc::channel();
    let mut round = 0;
    let decide = move |desk: &mut Desk<'_>| {
        round += 1;
        while let Some(task) = desk.head() {
            told.send((round, task.0)).unwrap();
            match desk.ask(task).shape.amounts[0] {
                1000 if round < 3 => desk.hold_back_alike(task),
                _ => desk.place(task, NodeId(0), DeviceSet::NONE),
            }
        }
        assert!(round == 3 || desk.pending().contains(&TaskId(2)), "it still waits");
    };
    let mut rig = Rig::new(Rules::default(), decide);
    rig.join("9/9", |_| {});
    for text in ["1/1", "2/1", "1/1", "2/1"] {
        rig.submit(text);
    }
    let (held, told) = (HoldReason::HeldBack, rig.decide());
    let holds = |task| Action::Hold { task: TaskId(task), reason: held };
    assert_eq!(told[2..], [holds(0), holds(2)], "{told:?}");
    rig.handle(Event::TaskCancelled { task: TaskId(0) });
    assert_eq!(rig.decide(), [], "said before");
    assert!(matches!(rig.decide()[..], [Action::Start { task: TaskId(2), .. }]));
    let shown: Vec<(i32, u64)> = shown.try_iter().collect();
    assert_eq!(shown, [(1, 0), (1, 1), (1, 3), (2, 2), (3, 2)]);
    rig.manager.state().audit().unwrap();
}

#[test]
#[should_panic(expected = "t0: the scheduler chose n0, which cannot take it")]
fn a_scheduler_that_chooses_a_full_node_is_broken() {
    let mut rig =
        Rig::new(Rules::default(), |desk| desk.place(TaskId(0), NodeId(0), DeviceSet::NONE));
    rig.join("4/8", |_| {});
    rig.submit("5/1");
    rig.decide();
}

#[test]
#[should_panic(expected = "t0: called unfit, but 1 of 1 fit")]
fn a_scheduler_that_calls_a_fitting_task_unfit_is_broken() {
    let mut rig = Rig::new(Rules::default(), |desk| desk.unfit(TaskId(0)));
    rig.join("4/8", |_| {});
    rig.submit("4/8");
    rig.decide();
}

#[test]
fn stale_reports_are_ignored() {
    let place = |desk: &mut Desk<'_>| {
        while let Some(task) = desk.head() {
            let node = desk.state().nodes().ids().find(|it| desk.state().nodes().ready()[it.row()]);
            match node {
                Some(node) => desk.place(task, node, DeviceSet::NONE),
                None => desk.unfit(task),
            }
        }
    };
    let mut rig = Rig::new(Rules::default(), place);
    let first = rig.join("4/8", |_| {});
    rig.join("4/8", |_| {});
    let task = rig.submit("1/1");
    rig.decide();
    rig.node(first, NodeEvent::Lost);
    rig.decide();
    for (attempt, is_over) in [(1, false), (3, false), (2, true)] {
        let report = Report::Exited { code: 0 };
        rig.handle(Event::TaskReported { task, attempt, report });
        assert_eq!(rig.manager.state().task(task).is_none(), is_over, "attempt {attempt}");
    }
}

#[test]
fn a_hold_is_said_once_per_wait() {
    let decide = |desk: &mut Desk<'_>| {
        while let Some(task) = desk.head() {
            desk.unfit(task);
        }
    };
    let mut rig = Rig::new(Rules::default(), decide);
    let node = rig.join("1/1", |_| {});
    rig.submit("2/1");
    assert_eq!(rig.decide().len(), 1);
    rig.submit("2/1");
    assert_eq!(rig.decide().len(), 1, "only the new one is told");
    assert!(!rig.manager.wants_decision(rig.now), "nothing could fit before something grows");
    let (amounts, _) = amounts("1/4");
    rig.node(node, NodeEvent::Updated(NodeCapacity { amounts, gpus: vec![] }));
    assert!(!rig.manager.wants_decision(rig.now), "it grew, but not enough");
}

#[test]
fn what_does_not_fit_costs_one_look_until_something_grows() {
    let looks = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = std::sync::Arc::clone(&looks);
    let rules = Rules { unfit: Unfit::Drop, ..Rules::default() };
    let decide = move |desk: &mut Desk<'_>| {
        while let Some(task) = desk.head() {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            desk.unfit(task);
        }
    };
    let mut rig = Rig::new(rules, decide);
    rig.join("1/1", |_| {});
    for _ in 0..50 {
        rig.submit("2/1");
    }
    assert_eq!(rig.decide().len(), 50);
    assert_eq!(looks.load(std::sync::atomic::Ordering::Relaxed), 1);
}

/// Nodes filled by one task each; twenty shapes wait of which each node has room for one. Some of the large tasks exit at
/// once: how many tasks the scheduler is then shown, and how many it places.
#[test]
fn of_many_shapes_that_a_departure_wakes_those_are_shown_that_still_fit() {
    let looks = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = std::sync::Arc::clone(&looks);
    let decide = move |desk: &mut Desk<'_>| {
        while let Some(task) = desk.head() {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (state, shape) = (desk.state(), desk.ask(task).shape);
            match state.nodes().ids().find(|&it| state.nodes().fits(shape, it)) {
                Some(node) => desk.place(task, node, DeviceSet::NONE),
                None => desk.unfit(task),
            }
        }
    };
    let mut rig = Rig::new(Rules::default(), decide);
    let nodes = 12;
    let large: Vec<TaskId> = (0..nodes)
        .map(|_| {
            rig.join("4/4/99", |_| {});
            rig.submit("4/4")
        })
        .collect();
    rig.decide();
    looks.store(0, std::sync::atomic::Ordering::Relaxed);
    // All of the cpu; the last one also all of the disk.
    for disk in 80..100 {
        rig.submit(&format!("4/1/{disk}"));
    }
    let mut large = large.into_iter();
    let mut round = |exits: usize| {
        for task in large.by_ref().take(exits) {
            let report = Report::Exited { code: 0 };
            rig.handle(Event::TaskReported { task, attempt: 1, report });
        }
        let placed = rig.decide().iter().filter(|it| matches!(it, Action::Start { .. })).count();
        (looks.swap(0, std::sync::atomic::Ordering::Relaxed), placed)
    };
    assert_eq!(round(0), (20, 0), "all are tried once");
    assert_eq!(round(1), (1, 1));
    assert_eq!(round(2), (2, 2));
    assert_eq!(round(9), (17, 9), "so many nodes are not remembered");
}

/// What is copied or kept for every task is no larger than it has to be.
#[test]
fn what_comes_often_is_small() {
    assert_eq!(size_of::<Option<crate::state::Task>>(), 128, "two lines of the cache");
    assert!(size_of::<crate::event::Change>() <= 112);
    assert!(size_of::<Event>() <= 120);
    assert!(size_of::<crate::arrival::Arrival>() <= 128);
    assert!(size_of::<Action>() <= 32);
}

#[test]
fn records_round_trip_and_say_what_is_wrong() {
    let record = Record {
        at: Instant(5),
        input: Input::Event(Event::TaskCancelled { task: TaskId(300) }),
        actions: vec![Action::Wake { at: Instant(9) }],
    };
    let bytes = record.to_bytes();
    assert_eq!(Record::from_bytes(&bytes), Ok(record));
    for cut in 0..bytes.len() {
        assert!(Record::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut long = bytes;
    long.push(0);
    let error = Record::from_bytes(&long).unwrap_err().to_string();
    assert_eq!(error, "not a journal record: 1 bytes too many");
}

proptest! {
    /// A journal record is never misread as another one, whatever the bytes.
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        }
    }

    /// Free plus held minus over is what is offered, whatever is taken and given back, and tasks of one
    /// node never touch another.
    #[test]
    fn nothing_is_lost_or_made_up(
        steps in prop::collection::vec((0u32..3, 0u64..6, 0u64..8, any::<bool>()), 1..60)
    ) {
        let mut rig = Rig::idle();
        for text in ["4/8", "8/4", "2/2"] {
            rig.join(text, |_| {});
        }
        let mut placed: Vec<(TaskId, NodeId)> = Vec::new();
        for (node, cpu, memory, ends) in steps {
            let node = NodeId(node);
            let before = *rig.manager.state().nodes().zone_totals().first().unwrap();
            let task = rig.adopt(&format!("{cpu}/{memory}"), node);
            placed.push((task, node));
            let after = *rig.manager.state().nodes().zone_totals().first().unwrap();
            prop_assert_eq!(after.held[0], before.held[0] + cpu * 1000);
            if ends {
                let (task, _) = placed.remove(0);
                rig.handle(Event::TaskCancelled { task });
            }
            prop_assert_eq!(after.tasks - u64::from(ends), placed.len() as u64);
        }
    }
}
