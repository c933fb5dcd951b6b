//! Small schedulers, observers and workloads that the tests share.

use cluster::arrival::{Arrival, ArrivalStream, StreamError, TaskArrival, What};
use cluster::chance::{Chance, Purpose};
use cluster::demand::{Amounts, Demand, GpuAsk, Port, Protocol, TaskDefinition};
use cluster::event::{Change, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::observer::Observer;
use cluster::scheduler::{Desk, Scheduler, Then};
use cluster::state::State;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};

/// Takes the first node that fits.
pub(crate) struct FirstFit;

impl Scheduler for FirstFit {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            match nodes.ids().find(|&it| nodes.fits(shape, it)) {
                Some(node) => {
                    let devices = nodes.best_fit_devices(shape, node).unwrap();
                    desk.place(task, node, devices);
                }
                None => desk.unfit(task),
            }
        }
    }
}

/// Does at random everything that a scheduler is allowed to do.
pub(crate) struct Whimsical(pub(crate) Chance);

impl Scheduler for Whimsical {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        if self.0.below(8) == 0 {
            let at = desk.now() + Span(self.0.below(5_000_000));
            desk.wake(at);
        }
        if self.0.below(6) == 0 {
            let nodes = desk.state().nodes().len() as u64;
            let victim = (nodes > 0)
                .then(|| NodeId(self.0.below(nodes) as u32))
                .and_then(|node| desk.state().tasks_on(node).first().copied());
            if let Some(task) = victim {
                let then = if self.0.below(4) == 0 { Then::Kill } else { Then::Requeue };
                desk.evict(task, then);
            }
        }
        if self.0.below(4) == 0 {
            self.gang(desk);
        }
        let mut patience = 200;
        while let Some(task) = desk.head() {
            patience -= 1;
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            let fitting: Vec<NodeId> = nodes.ids().filter(|&it| nodes.fits(shape, it)).collect();
            if fitting.is_empty() {
                desk.unfit(task);
                continue;
            }
            let node = fitting[self.0.below(fitting.len() as u64) as usize];
            let devices = nodes.best_fit_devices(shape, node).unwrap();
            match self.0.below(20) {
                0 => desk.hold_back(task),
                1 => desk.reject(task),
                2 => desk.park(task, desk.now() + Span(1 + self.0.below(3_000_000))),
                _ if patience < 0 => desk.hold_back(task),
                _ => desk.place(task, node, devices),
            }
        }
    }
}

impl Whimsical {
    /// Tries the first pending tasks as a gang on one node.
    fn gang(&mut self, desk: &mut Desk<'_>) {
        let pending: Vec<TaskId> = desk.pending().into_iter().take(3).collect();
        let nodes = desk.state().nodes();
        if pending.is_empty() || nodes.is_empty() {
            return;
        }
        let node = NodeId(self.0.below(nodes.len() as u64) as u32);
        let gang: Option<Vec<_>> = pending
            .iter()
            .map(|&it| Some((it, node, nodes.best_fit_devices(desk.ask(it).shape, node)?)))
            .collect();
        if let Some(gang) = gang {
            desk.place_gang(&gang);
        }
    }
}

/// Audits the ledger after every step and checks what changes may follow each other.
#[derive(Default)]
pub(crate) struct Checker {
    pub(crate) steps: u64,
    pub(crate) queued: u64,
    pub(crate) placed: u64,
    pub(crate) adopted: u64,
    pub(crate) interrupted: u64,
    pub(crate) ended: u64,
    now: Instant,
}

impl Observer for Checker {
    fn advance(&mut self, to: Instant, _: &State) {
        assert!(to > self.now, "time stands still or goes back at {to}");
        self.now = to;
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        assert_eq!(now, self.now.max(now));
        for change in changes {
            match change {
                Change::Queued { .. } => self.queued += 1,
                Change::Placed { task, node } => {
                    self.placed += 1;
                    assert!(task.queued <= now && task.submitted <= task.queued);
                    // It may have been taken off again within the same call, never put elsewhere.
                    if let Some(place) = state.task(task.task).and_then(|it| it.placement()) {
                        assert!(place.node == *node || task.attempts > 0);
                    }
                }
                Change::Adopted { .. } => self.adopted += 1,
                Change::Interrupted { .. } => self.interrupted += 1,
                Change::Ended { task, .. } => {
                    self.ended += 1;
                    assert!(state.task(task.task).is_none(), "{} ended and is there", task.task);
                }
                _ => {}
            }
        }
        self.steps += 1;
        if let Err(why) = state.audit() {
            panic!("at {now}: {why}");
        }
    }
}

/// A stream made by a closure.
pub(crate) struct Made<F>(pub(crate) F);

impl<F: FnMut() -> Option<Arrival>> ArrivalStream for Made<F> {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        Ok((self.0)())
    }
}

pub(crate) fn cores(count: u64) -> Amounts {
    Amounts { cpu: MilliCpu::from_cores(count), ..Amounts::default() }
}

pub(crate) fn node(number: u32, zone: &str, amounts: Amounts, gpus: usize) -> Arrival {
    let spec = NodeSpec {
        name: format!("n{number}"),
        zone: zone.into(),
        capacity: NodeCapacity { amounts, gpus: vec!["T4".into(); gpus] },
        ..NodeSpec::default()
    };
    let event = NodeEvent::Joined(Box::new(spec));
    Arrival { at: Instant::ZERO, what: What::Node { node: NodeId(number), event } }
}

pub(crate) fn definition(number: u32, demand: Demand) -> Arrival {
    let spec = TaskDefinition::single(format!("d{number}"), demand);
    let definition = DefinitionId(number);
    Arrival { at: Instant::ZERO, what: What::Definition { definition, spec } }
}

pub(crate) fn task(id: u64, at: Instant, definition: u32, lifetime: Option<Span>) -> Arrival {
    let submission = Submission {
        task: TaskId(id),
        definition: DefinitionId(definition),
        group: None,
        kind: TaskKind::Job,
        priority: 0,
        estimate: None,
        on_loss: OnLoss::Restart,
    };
    let what = What::Task(TaskArrival { submission, lifetime, withdrawn: None, resident: None });
    Arrival { at, what }
}

/// A random workload: nodes in three zones that come and go, tasks of all kinds.
pub(crate) fn random_workload(seed: u64) -> Vec<Arrival> {
    let mut chance = Chance::new(seed, Purpose::Tasks, 0);
    let mut arrivals = Vec::new();
    let nodes = 3 + chance.below(10) as u32;
    for number in 0..nodes {
        let zone = ["a", "b", "c"][number as usize % 3];
        let amounts = Amounts {
            cpu: MilliCpu(1000 * (1 + chance.below(8))),
            memory: Bytes(1 + chance.below(64)),
            disk: Bytes(chance.below(3) * 100),
        };
        arrivals.push(node(number, zone, amounts, chance.below(4) as usize));
    }
    let shapes = 1 + chance.below(6) as u32;
    for number in 0..shapes {
        let gpus = match chance.below(4) {
            0 => GpuAsk { count: 1, milli: GpuMilli(300), models: vec!["T4".into()] },
            1 => GpuAsk { count: 2, milli: GpuMilli::DEVICE, models: vec![] },
            _ => GpuAsk::default(),
        };
        let ports = if chance.below(4) == 0 {
            vec![Port { protocol: Protocol::Tcp, number: 80 + chance.below(2) as u16 }]
        } else {
            vec![]
        };
        let amounts = Amounts {
            cpu: MilliCpu(chance.below(4000)),
            memory: Bytes(chance.below(20)),
            disk: Bytes(chance.below(2) * 40),
        };
        arrivals.push(definition(number, Demand { amounts, gpus, ports, ..Demand::default() }));
    }
    let mut at = Instant::ZERO;
    let mut lost = vec![false; nodes as usize];
    let mut id = 0;
    for _ in 0..150 {
        // Often nothing passes, so that ties are the normal case.
        at = at + Span(chance.below(3) * chance.below(2_000_000));
        if chance.below(8) == 0 {
            let row = chance.below(u64::from(nodes)) as u32;
            let event = match chance.below(4) {
                0 => NodeEvent::Draining,
                1 => {
                    let amounts = Amounts { cpu: MilliCpu(chance.below(8000)), ..cores(0) };
                    NodeEvent::Updated(NodeCapacity { amounts, gpus: vec![] })
                }
                _ if lost[row as usize] => {
                    lost[row as usize] = false;
                    NodeEvent::Returned
                }
                _ => {
                    lost[row as usize] = true;
                    NodeEvent::Lost
                }
            };
            arrivals.push(Arrival { at, what: What::Node { node: NodeId(row), event } });
            continue;
        }
        let lifetime = (chance.below(10) > 0).then(|| Span(chance.below(20_000_000)));
        let mut arrival = task(id, at, chance.below(u64::from(shapes)) as u32, lifetime);
        if let What::Task(task) = &mut arrival.what {
            task.submission.group = (chance.below(2) == 0).then(|| GroupId(chance.below(4) as u32));
            task.submission.priority = chance.below(3) as i32;
            task.submission.estimate = (chance.below(2) == 0).then(|| Span(chance.below(100)));
            if chance.below(6) == 0 {
                task.submission.on_loss = OnLoss::End;
            }
            if chance.below(8) == 0 {
                task.withdrawn = Some(at + Span(chance.below(10_000_000)));
            }
            if chance.below(10) == 0 {
                task.resident = Some(NodeId(chance.below(u64::from(nodes)) as u32));
            }
        }
        arrivals.push(arrival);
        id += 1;
    }
    arrivals
}
