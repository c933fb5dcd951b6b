//! State folders of live clusters that never were: a manager, driven by a small world with chances of its
//! own, whose records go into a real store.

use cluster::chance::{Chance, Purpose};
use cluster::demand::{Amounts, Demand, TaskDefinition};
use cluster::event::{
    Action, Event, NodeEvent, NodeReport, OnLoss, Report, StartFailure, Submission, TaskKind,
};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::rules::Rules;
use cluster::service::{Backoff, ServiceSpec};
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use runtime::store::{Batch, Entry, Header, Store, VERSION};
use schedulers::policy::Policy;
use std::collections::BTreeMap;
use std::path::Path;

/// How a live run differs from what the simulator would make of it.
#[derive(Clone, Copy)]
pub(crate) struct Ways {
    pub(crate) seed: u64,
    pub(crate) policy: &'static str,
    /// From an event to the decision on it.
    pub(crate) batching: Span,
    /// How much longer that takes now and then.
    pub(crate) jitter: Span,
    /// What goes wrong.
    pub(crate) trouble: Trouble,
}

/// What goes wrong on the nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// One is out of reach for a moment.
    Little,
    /// One is out of reach until it counts as lost.
    Lost,
    /// As that; starts fail, ports are taken, tasks are unhealthy, or end before they are seen to run.
    All,
}

enum Todo {
    Event(Event),
    Decide,
}

struct World {
    manager: Manager,
    store: Store,
    ways: Ways,
    /// By time, then in the order of making.
    agenda: BTreeMap<(Instant, u64), Todo>,
    made: u64,
    decides_at: Option<Instant>,
}

impl World {
    fn add(&mut self, at: Instant, todo: Todo) {
        self.made += 1;
        // Decisions come last in their instant.
        let rank = if matches!(todo, Todo::Decide) { 1 << 62 } else { 0 };
        self.agenda.insert((at, rank + self.made), todo);
    }

    fn chance(&self, task: TaskId, attempt: u32, from: Span, to: Span) -> Span {
        let entity = task.0 ^ (u64::from(attempt) << 40) ^ from.0;
        let mut chance = Chance::new(self.ways.seed, Purpose::Tasks, entity);
        Span(from.0 + chance.below(to.0 - from.0))
    }

    fn settle(&mut self, now: Instant, actions: Vec<Action>, is_decision: bool) {
        let memory = is_decision.then(|| self.manager.aftermath());
        let record = self.manager.last_record().to_vec();
        let batch = Batch { entries: vec![Entry { record, memory }], ..Batch::default() };
        self.store.append(&batch).unwrap();
        for action in actions {
            match action {
                Action::Start { task, attempt, .. } => {
                    // Starts that take long, and now and then very long.
                    let slow = if task.0.is_multiple_of(5) { 9 } else { 1 };
                    let (from, to) = (Span(1_700_000), Span(2_900_000 * slow));
                    let starts = now + self.chance(task, attempt, from, to);
                    let report =
                        |report| Todo::Event(Event::TaskReported { task, attempt, report });
                    if self.ways.trouble == Trouble::All {
                        match task.0 % 11 {
                            3 => {
                                let why = StartFailure::Port;
                                self.add(starts, report(Report::Failed { why }));
                                continue;
                            }
                            5 => {
                                self.add(starts, report(Report::Exited { code: 127 }));
                                continue;
                            }
                            7 => self.add(starts + Span(2_000_000), report(Report::Unhealthy)),
                            _ => {}
                        }
                    }
                    self.add(starts, report(Report::Started));
                    if !task.is_replica() || task.0.is_multiple_of(3) {
                        let (from, to) = (Span(4_000_000), Span(21_000_000));
                        let ends = starts + self.chance(task, attempt, from, to);
                        let code = i32::from(task.0.is_multiple_of(4)) * 3;
                        self.add(ends, report(Report::Exited { code }));
                    }
                }
                Action::Wake { at } => self.add(at.max(now), Todo::Event(Event::Timer)),
                Action::Stop { .. } | Action::Drop { .. } | Action::Hold { .. } => {}
            }
        }
    }

    fn run(mut self, until: Instant) {
        while let Some(((at, _), todo)) = self.agenda.pop_first() {
            if at > until {
                break;
            }
            let mut actions = Vec::new();
            match todo {
                Todo::Event(event) => {
                    self.manager.handle(at, event, &mut actions);
                    self.settle(at, actions, false);
                    if self.manager.wants_decision(at) && self.decides_at.is_none() {
                        let jitter = match self.ways.jitter {
                            Span::ZERO => Span::ZERO,
                            Span(us) => Span(at.0 * 7919 % us),
                        };
                        let decides = at + self.ways.batching + jitter;
                        self.decides_at = Some(decides);
                        self.add(decides, Todo::Decide);
                    }
                }
                Todo::Decide => {
                    self.decides_at = None;
                    if !self.manager.wants_decision(at) {
                        continue;
                    }
                    self.manager.decide(at, &mut actions);
                    self.settle(at, actions, true);
                }
            }
        }
    }
}

fn demand(cpu_milli: u64, mib: u64) -> Demand {
    let (cpu, memory) = (MilliCpu(cpu_milli), Bytes::from_mib(mib));
    Demand { amounts: Amounts { cpu, memory, disk: Bytes::ZERO }, ..Demand::default() }
}

/// Makes the state folder of a run of three minutes on four nodes in two zones: a service that is scaled,
/// one task every 900 ms for two minutes, a drain, a loss of contact.
pub(crate) fn make(dir: &Path, ways: Ways) {
    let rules = Rules::default();
    let policy: Policy = ways.policy.parse().unwrap();
    let header = Header {
        version: VERSION,
        cluster: "shop".into(),
        owner: "shop-0badcafe".into(),
        policy: policy.to_string(),
        seed: 7,
        rules,
        epoch_unix_us: 1_700_000_000_000_000,
    };
    let mut world = World {
        manager: Manager::new(rules, policy.build(header.seed)),
        store: Store::create(dir, header).unwrap(),
        ways,
        agenda: BTreeMap::new(),
        made: 0,
        decides_at: None,
    };
    let ms = |it: u64| Instant(it * 1000);
    for (row, zone) in ["zone-a", "zone-a", "zone-b", "zone-b"].into_iter().enumerate() {
        let spec = NodeSpec {
            name: format!("n{}", row + 1),
            zone: zone.into(),
            capacity: NodeCapacity { amounts: demand(4000, 8192).amounts, gpus: Vec::new() },
            ..NodeSpec::default()
        };
        let (node, event) = (NodeId(row as u32), NodeEvent::Joined(Box::new(spec)));
        world.add(ms(0), Todo::Event(Event::Node { node, event }));
    }
    for (row, (name, demand)) in
        [("web:1", demand(700, 900)), ("batch:1", demand(1300, 1500))].into_iter().enumerate()
    {
        let (definition, spec) = (DefinitionId(row as u32), TaskDefinition::single(name, demand));
        world.add(ms(0), Todo::Event(Event::DefinitionPut { definition, spec }));
    }
    for (at, desired) in [(1_003, 3), (61_017, 5), (120_011, 2)] {
        let spec = ServiceSpec {
            name: "web".into(),
            definition: DefinitionId(0),
            desired,
            priority: 0,
            backoff: Backoff::default(),
        };
        world.add(ms(at), Todo::Event(Event::ServicePut { service: GroupId(0), spec }));
    }
    for id in 0..130 {
        let submission = Submission {
            task: TaskId(id),
            definition: DefinitionId(1),
            group: None,
            kind: TaskKind::Job,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        };
        let at = Instant(2_000_003 + id * 900_007);
        world.add(at, Todo::Event(Event::TaskSubmitted(submission)));
        if id % 23 == 22 {
            let task = TaskId(id);
            world.add(at + Span(5_000_021), Todo::Event(Event::TaskCancelled { task }));
        }
    }
    let said = |node, report| Todo::Event(Event::NodeReported { node: NodeId(node), report });
    let (node, event) = (NodeId(1), NodeEvent::Draining);
    world.add(ms(40_001), Todo::Event(Event::Node { node, event }));
    world.add(ms(55_009), said(1, NodeReport::Activated));
    world.add(ms(80_007), said(2, NodeReport::Unreachable));
    let back = if ways.trouble == Trouble::Little { 84_013 } else { 125_013 };
    world.add(ms(back), said(2, NodeReport::Reachable));
    if ways.trouble == Trouble::All {
        world.add(ms(30_019), said(0, NodeReport::PortsTaken(Vec::new())));
    }
    world.run(ms(180_000));
}
