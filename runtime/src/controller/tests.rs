//! Controllers over hosts that are only played: many random stories, in which everything may be killed at any
//! moment.

use super::brain::{Brain, Outbox};
use crate::agent::{Job, News, Order, TaskDetail};
use crate::control::{Answer, Request};
use crate::controller::requests::Response;
use crate::engine::HostInfo;
use crate::hosts;
use crate::plan::{Plan, PlanDefinition, PlanStep, Wish};
use crate::program::{ContainerProgram, Overrides, Program};
use crate::store::{Header, Store, StoreReader, VERSION};
use cluster::demand::{Amounts, Demand, TaskDefinition};
use cluster::event::{Report, StartFailure};
use cluster::ids::{DefinitionId, TaskId};
use cluster::journal::{Input, Record};
use cluster::manager::Manager;
use cluster::nodes::DeviceSet;
use cluster::rules::Rules;
use cluster::scheduler::{BadMemory, Desk, Scheduler};
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Goes round the nodes; remembers where it was.
struct RoundRobin(u64);

impl Scheduler for RoundRobin {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            let count = nodes.len() as u64;
            let fits = (0..count)
                .map(|it| cluster::ids::NodeId(((self.0 + it) % count) as u32))
                .find(|&node| nodes.fits(shape, node));
            match fits {
                Some(node) => {
                    self.0 = u64::from(node.0) + 1;
                    desk.place(task, node, DeviceSet::NONE);
                }
                None => desk.unfit(task),
            }
        }
    }

    fn memory(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        self.0 = u64::from_le_bytes(memory.try_into().map_err(|_| BadMemory)?);
        Ok(())
    }
}

type Key = (TaskId, u32);

/// One host and its agent, which does one thing at a time.
#[derive(Default)]
struct PlayedHost {
    /// What runs there, with the exit code of what has ended.
    there: BTreeMap<Key, Option<i32>>,
    is_reachable: bool,
    // What follows dies with the controller.
    orders: VecDeque<Order>,
    wanted: BTreeMap<Key, bool>,
    stopping: BTreeSet<Key>,
    told: BTreeSet<Key>,
    epoch: u64,
    has_contact: bool,
    said_so: bool,
}

impl PlayedHost {
    fn spawn(&mut self, wanted: Vec<Job>) {
        let there = std::mem::take(&mut self.there);
        let is_reachable = self.is_reachable;
        *self = Self { there, is_reachable, ..Self::default() };
        self.wanted = wanted.into_iter().map(|it| ((it.task, it.attempt), it.began)).collect();
    }

    fn take_order(&mut self) {
        match self.orders.pop_front() {
            Some(Order::Start(job)) => {
                self.wanted.entry((job.task, job.attempt)).or_insert(job.began);
            }
            Some(Order::Stop { task, attempt }) => drop(self.stopping.insert((task, attempt))),
            Some(Order::Acknowledge { task, attempt }) => {
                self.wanted.remove(&(task, attempt));
                self.there.remove(&(task, attempt));
            }
            Some(Order::Forget { epoch }) => {
                self.wanted.clear();
                self.stopping.clear();
                self.told.clear();
                self.epoch = epoch;
                self.has_contact = false;
            }
            _ => {}
        }
    }

    /// The next thing that it tells, if it has contact and something to tell.
    fn work(&mut self, fails: bool) -> Option<News> {
        if !self.is_reachable {
            let why = "gone".to_owned();
            self.has_contact = false;
            return std::mem::take(&mut self.said_so).then_some(News::NoContact { why });
        }
        if !self.has_contact {
            let wanted = &self.wanted;
            self.there.retain(|it, _| wanted.contains_key(it));
            self.has_contact = true;
            self.said_so = true;
            let info = HostInfo {
                cpu: MilliCpu::from_cores(4),
                memory: Bytes::from_gib(4),
                ..HostInfo::default()
            };
            return Some(News::Contact { info: Box::new(info), epoch: self.epoch });
        }
        if let Some(key) = self.stopping.pop_first() {
            self.wanted.remove(&key);
            self.there.remove(&key);
            let (task, attempt) = key;
            return Some(News::Stopped { task, attempt, detail: TaskDetail::default() });
        }
        for (&(task, attempt), began) in &mut self.wanted {
            let key = (task, attempt);
            let news = |report| {
                let detail = TaskDetail::default();
                Some(News::Task { task, attempt, report, detail })
            };
            if self.told.contains(&key) {
                continue;
            }
            match (self.there.get(&key), *began) {
                (None, false) if fails => {
                    self.wanted.remove(&key);
                    return news(Report::Failed { why: StartFailure::Other });
                }
                (None, false) => {
                    self.there.insert(key, None);
                    *began = true;
                    return news(Report::Started);
                }
                (Some(None), false) => {
                    *began = true;
                    return news(Report::Started);
                }
                (None, true) => {
                    self.told.insert(key);
                    return news(Report::Exited { code: 137 });
                }
                (Some(&Some(code)), _) => {
                    if !*began {
                        *began = true;
                        return news(Report::Started);
                    }
                    self.told.insert(key);
                    return news(Report::Exited { code });
                }
                (Some(None), true) => {}
            }
        }
        None
    }
}

struct World {
    dir: tempfile::TempDir,
    brain: Option<Brain>,
    hosts: BTreeMap<String, PlayedHost>,
    news: VecDeque<(String, News)>,
    now: Instant,
    submitted: u64,
    /// Starts of which it is on disk that they ran.
    ran: BTreeSet<Key>,
}

fn header() -> Header {
    Header {
        version: VERSION,
        cluster: "c".into(),
        owner: "c-1".into(),
        policy: "round-robin".into(),
        seed: 1,
        rules: Rules::default(),
        epoch_unix_us: 0,
    }
}

fn hosts_text(count: usize) -> String {
    let host = |it| format!("[[host]]\nname = \"h{it}\"\naddress = \"tcp://192.0.2.{it}:2375\"\n");
    (0..count).map(host).collect()
}

fn definition(name: &str, cpu: u64) -> PlanDefinition {
    let amounts = Amounts { cpu: MilliCpu(cpu), ..Amounts::default() };
    let spec = TaskDefinition::single(name, Demand { amounts, ..Demand::default() });
    let container = ContainerProgram { name: name.into(), ..ContainerProgram::default() };
    let containers = vec![container];
    let program = Program { family: name.into(), revision: 1, containers, ..Program::default() };
    PlanDefinition { spec, program }
}

/// One definition, and its task once a second from now on.
fn plan(tasks: u64) -> Plan {
    let submit = |it| PlanStep {
        at: Span::from_secs(it),
        wish: Wish::Submit {
            task: TaskId(it),
            definition: DefinitionId(0),
            group: None,
            kind: cluster::event::TaskKind::Job,
            priority: 0,
            estimate: None,
            overrides: Some(Overrides::default()),
        },
    };
    Plan { definitions: vec![definition("job", 500)], steps: (0..tasks).map(submit).collect() }
}

fn service(desired: u32) -> Plan {
    let wish =
        Wish::PutService { name: "web".into(), definition: DefinitionId(0), desired, priority: 0 };
    let steps = vec![PlanStep { at: Span::ZERO, wish }];
    Plan { definitions: vec![definition("web", 700)], steps }
}

impl World {
    fn new(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::create(dir.path(), header()).unwrap());
        let played = || PlayedHost { is_reachable: true, ..PlayedHost::default() };
        let hosts = (0..count).map(|it| (format!("h{it}"), played())).collect();
        let (news, now) = (VecDeque::new(), Instant::ZERO);
        let ran = BTreeSet::new();
        let mut world = Self { dir, brain: None, hosts, news, now, submitted: 0, ran };
        world.start();
        world
    }

    /// `kill -9` and a new controller: what was not on disk is gone, and all that was on its way.
    fn start(&mut self) {
        self.brain = None;
        self.news.clear();
        let store = Store::open(self.dir.path()).unwrap();
        let text = hosts_text(self.hosts.len());
        let hosts = hosts::read(&text, "hosts.toml").unwrap();
        let mut brain = Brain::open(store, Box::new(RoundRobin(0)), hosts, Some(text)).unwrap();
        brain.begin(self.now);
        brain.settle(self.now, true).unwrap();
        for (name, host) in &mut self.hosts {
            host.spawn(brain.wanted(name));
        }
        self.brain = Some(brain);
    }

    fn brain(&mut self) -> &mut Brain {
        self.brain.as_mut().expect("a controller runs")
    }

    fn ask(&mut self, request: Request) -> Answer {
        let now = self.now;
        match self.brain().ask(now, request) {
            Response::Say(answer) => answer,
            _ => panic!("not answered at once"),
        }
    }

    fn settle(&mut self) {
        let now = self.now;
        self.brain().due(now);
        let Outbox { orders, .. } = self.brain().settle(now, true).unwrap();
        for (host, order) in orders {
            self.hosts.get_mut(&host).unwrap().orders.push_back(order);
        }
        let brain = self.brain.as_ref().unwrap();
        self.ran.extend(brain.manager.live_tasks().into_iter().filter_map(|it| {
            let task = brain.state().task(it)?;
            task.placement()?.started.map(|_| (it, task.attempts))
        }));
    }

    fn hear(&mut self) {
        let now = self.now;
        while let Some((host, news)) = self.news.pop_front() {
            self.brain().news(now, &host, news);
        }
    }

    /// One of the things that can happen.
    fn step(&mut self, what: u8, which: u8) {
        let host = format!("h{}", usize::from(which) % self.hosts.len());
        match what {
            0..=2 => {
                let host = self.hosts.get_mut(&host).unwrap();
                host.take_order();
            }
            3..=7 => {
                let played = self.hosts.get_mut(&host).unwrap();
                let before: BTreeSet<Key> = played.there.keys().copied().collect();
                let news = played.work(which > 230);
                for key in played.there.keys().filter(|it| !before.contains(it)) {
                    assert!(!self.ran.contains(key), "{key:?} ran before and is started again");
                }
                self.news.extend(news.map(|it| (host, it)));
            }
            8 => self.hear(),
            9 => self.settle(),
            10 => {
                // Written, but the orders never leave.
                let now = self.now;
                self.brain().due(now);
                self.brain().settle(now, true).unwrap();
                self.start();
            }
            11 => self.start(),
            12 => self.now = self.now + Span::from_secs(u64::from(which) / 8),
            13 => {
                let host = self.hosts.get_mut(&host).unwrap();
                host.is_reachable = !which.is_multiple_of(3);
            }
            14 => {
                // A container ends, or is removed by hand.
                let host = self.hosts.get_mut(&host).unwrap();
                if let Some(mut entry) = host.there.first_entry() {
                    if which.is_multiple_of(2) {
                        entry.insert(Some(i32::from(which)));
                    } else {
                        entry.remove();
                    }
                }
            }
            15 => {
                let request = Request::Apply { plan: service(u32::from(which) % 6), once: None };
                assert!(matches!(self.ask(request), Answer::Applied(_)));
            }
            16 => {
                let tasks = u64::from(which) % 4;
                let request = Request::Apply { plan: plan(tasks), once: None };
                assert!(matches!(self.ask(request), Answer::Applied(_)));
                // Only what is on disk was promised.
                self.settle();
                self.submitted += tasks;
            }
            17 => {
                let (node, undo) = (host, which.is_multiple_of(2));
                self.ask(Request::Drain { node, undo });
            }
            18 => {
                let task = TaskId(u64::from(which) % 8).to_string();
                self.ask(Request::StopTasks { tasks: vec![task] });
            }
            _ => {
                self.ask(Request::Scale { service: "web".into(), desired: u32::from(which) % 5 });
            }
        }
        self.assert_no_doubles();
    }

    /// No task has two containers on hosts that are in contact.
    fn assert_no_doubles(&self) {
        let mut seen: BTreeMap<TaskId, &str> = BTreeMap::new();
        let in_contact = self.hosts.iter().filter(|it| it.1.has_contact && it.1.orders.is_empty());
        for (name, host) in in_contact {
            let running = host.there.iter().filter(|it| it.1.is_none());
            for (&(task, attempt), _) in running.filter(|it| !host.stopping.contains(it.0)) {
                let before = seen.insert(task, name);
                assert_eq!(before, None, "{task} (start {attempt}) runs on {name} as well");
            }
        }
    }

    /// Everything is well, and stays so until nothing happens any more.
    fn heal(&mut self) {
        for host in self.hosts.values_mut() {
            host.is_reachable = true;
        }
        for node in self.hosts.keys().cloned().collect::<Vec<_>>() {
            self.ask(Request::Drain { node, undo: true });
        }
        for _ in 0..60 {
            // Longer than any back-off within a few rounds.
            self.now = self.now + Span::from_secs(200);
            let names: Vec<String> = self.hosts.keys().cloned().collect();
            for name in names {
                let host = self.hosts.get_mut(&name).unwrap();
                while !host.orders.is_empty() {
                    host.take_order();
                }
                // Jobs end, so that there is room for all.
                for (_, exit) in host.there.iter_mut().filter(|it| !it.0.0.is_replica()) {
                    exit.get_or_insert(0);
                }
                while let Some(news) = host.work(false) {
                    self.news.push_back((name.clone(), news));
                }
            }
            self.hear();
            self.settle();
        }
    }

    fn assert_well(&mut self) {
        let brain = self.brain.as_ref().unwrap();
        let mut known: BTreeSet<(String, Key)> = BTreeSet::new();
        for id in brain.manager.live_tasks() {
            let task = brain.state().task(id).unwrap();
            let place = task.placement().unwrap_or_else(|| panic!("{id} still waits"));
            assert!(place.started.is_some(), "{id} still starts");
            let node = brain.state().nodes().name(place.node).to_owned();
            known.insert((node, (id, task.attempts)));
        }
        let there: BTreeSet<(String, Key)> = self
            .hosts
            .iter()
            .flat_map(|(name, host)| host.there.iter().map(move |it| (name.clone(), *it.0)))
            .collect();
        assert_eq!(there, known, "what runs is what the manager knows");
        for (_, service) in brain.state().services() {
            let tasks = service.tasks().count();
            assert_eq!(tasks, service.spec.desired as usize, "{}", service.spec.name);
        }
        let views = brain.task_views(true).unwrap();
        let jobs: BTreeSet<&str> =
            views.iter().map(|it| it.task.as_str()).filter(|it| it.starts_with('t')).collect();
        assert_eq!(jobs.len() as u64, self.submitted, "every job ended or runs: {jobs:?}");
    }

    /// The journal, fed to a new manager, is answered as it was.
    fn assert_replays(&mut self) {
        let fingerprint = self.brain().manager.fingerprint();
        self.brain = None;
        let reader = StoreReader::open(self.dir.path()).unwrap();
        let mut manager = Manager::new(header().rules, Box::new(RoundRobin(0)));
        for it in reader.records(1).unwrap() {
            let it = it.unwrap();
            let Record { at, input, .. } = Record::from_bytes(&it.entry.record).unwrap();
            match input {
                Input::Event(event) => manager.handle(at, event, &mut Vec::new()),
                Input::Decide => manager.decide(at, &mut Vec::new()),
            }
            assert_eq!(manager.last_record(), it.entry.record, "record {}", it.number);
        }
        assert_eq!(manager.fingerprint(), fingerprint);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_whenever_anything_is_killed(
        steps in proptest::collection::vec((0u8..20, any::<u8>()), 20..160),
    ) {
        let mut world = World::new(3);
        for (what, which) in steps {
            world.step(what, which);
        }
        world.heal();
        world.assert_well();
        world.assert_replays();
    }
}
