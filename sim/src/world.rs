//! The simulated world: merges the arrival stream with the agenda, turns actions into later events, and
//! drives the manager.

use crate::agenda::{Agenda, Rank};
use crate::faults::{Fate, Fault, FaultPlan};
use crate::startup::Startup;
use cluster::alive_map::AliveMap;
use cluster::arrival::{Arrival, ArrivalStream, StreamError, TaskArrival, What};
use cluster::event::{Action, Change, Event, Facts, NodeEvent, NodeReport, Report};
use cluster::ids::{GroupId, NodeId, TaskId};
use cluster::journal::Fingerprint;
use cluster::manager::Manager;
use cluster::nodes::NodeStatus;
use cluster::observer::Observer;
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::Scheduler;
use cluster::state::State;
use cluster::units::{Instant, Span};
use std::collections::BTreeMap;
use thiserror::Error;

/// Everything about a run but its workload and its policy.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Queue, unfit tasks, over-commit.
    pub rules: Rules,
    /// Seed of start-up times and random faults.
    pub seed: u64,
    /// How long tasks take to start.
    pub startup: Startup,
    /// Start-up times of single attempts known from elsewhere (a journal); they go before the model.
    pub known_startups: BTreeMap<(TaskId, u32), Span>,
    /// What single attempts take at least, where no more is known: they were still starting when they were
    /// stopped, or when the journal ended.
    pub startups_at_least: BTreeMap<(TaskId, u32), Span>,
    /// How long single attempts run at least, however long their tasks do: they ran so long when they lost
    /// their node.
    pub runs_at_least: BTreeMap<(TaskId, u32), Span>,
    /// How long tasks of services run once started, by service; the others run until they are stopped.
    pub service_lifetimes: BTreeMap<GroupId, Span>,
    /// How long single tasks of services run, known from elsewhere (a journal); they go before the others.
    pub replica_lifetimes: BTreeMap<TaskId, Span>,
    /// What single tasks exit with, known from elsewhere (a journal); the others exit with 0.
    pub exit_codes: BTreeMap<TaskId, i32>,
    /// How long after the first event that asks for one a decision is made, as live controllers gather
    /// events; zero decides at the end of every instant.
    pub decide_after: Span,
    /// Moments of decisions known from elsewhere (a journal): if there are any, decisions are made then and
    /// at no other time.
    pub known_decisions: Vec<Instant>,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// When the run stops. Without it, it goes on until nothing more can happen.
    pub until: Option<Instant>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Simulated time.
    pub now: Instant,
    /// Tasks that have arrived.
    pub tasks: u64,
    /// Tasks that have ended.
    pub ended: u64,
    /// Decisions asked for.
    pub decisions: u64,
    /// Tasks placed, re-placements included, adopted ones not.
    pub placed: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Continue,
    /// No: stop here, in good order.
    Stop,
}

/// Who is asked now and then, and who keeps the journal.
pub trait Hooks {
    /// One journal record, encoded.
    ///
    /// # Errors
    ///
    /// If it cannot be kept; the run stops then.
    fn record(&mut self, _bytes: &[u8]) -> Result<(), StreamError> {
        Ok(())
    }

    /// Called before every decision.
    fn before_decision(&mut self, _now: Instant, _manager: &Manager) {}

    /// Called every thousand calls of the manager.
    fn progress(&mut self, _progress: &Progress) -> Flow {
        Flow::Continue
    }
}

impl Hooks for () {}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The hash over the journal.
    pub fingerprint: Fingerprint,
    /// Number of journal records.
    pub records: u64,
    /// The last moment of the run.
    pub end: Instant,
    /// Counts.
    pub progress: Progress,
    /// Tasks that wait or run at the end.
    pub unfinished: u64,
    /// Whether [`Hooks::progress`] stopped it.
    pub was_stopped: bool,
}

/// Why a run could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The workload's reader failed.
    #[error("the workload ended early")]
    Workload(#[source] StreamError),
    /// The journal could not be kept.
    #[error("the journal could not be written")]
    Journal(#[source] StreamError),
    /// The fault plan names a node or zone that the cluster does not have when the fault comes.
    #[error("fault {fault}: there is no {kind} of that name; there are {there}")]
    NoSuchPlace {
        /// The fault as written.
        fault: String,
        /// `node` or `zone`.
        kind: &'static str,
        /// Some of the names that exist.
        there: String,
    },
}

/// What stands in the agenda.
#[derive(Debug, Clone, Copy)]
enum Todo {
    Exit {
        task: TaskId,
        attempt: u32,
    },
    Started {
        task: TaskId,
        attempt: u32,
    },
    Withdraw {
        task: TaskId,
    },
    Wake,
    /// What was gathered is decided on.
    Decide,
    /// The scripted fault of that number begins or ends.
    Script {
        number: u32,
        begins: bool,
    },
    /// A random fault of a node begins or ends.
    NodeFate {
        node: NodeId,
        begins: bool,
    },
    /// A random outage of a zone begins or ends.
    ZoneFate {
        zone: u32,
        begins: bool,
    },
}

impl Todo {
    fn ends_a_fault(&self) -> bool {
        match self {
            Self::Script { begins, .. }
            | Self::NodeFate { begins, .. }
            | Self::ZoneFate { begins, .. } => !begins,
            Self::Exit { .. }
            | Self::Started { .. }
            | Self::Withdraw { .. }
            | Self::Wake
            | Self::Decide => false,
        }
    }
}

/// What the world knows of a task that is not over.
#[derive(Debug, Clone, Copy)]
struct Life {
    lifetime: Option<Span>,
    /// The attempt that is starting or running.
    attempt: Option<u32>,
    /// Whether that attempt has something ahead of it: its start or its end.
    goes_on: bool,
    /// Whether its user will take it back.
    is_withdrawn: bool,
}

impl Life {
    fn has_future(&self) -> bool {
        self.goes_on || self.is_withdrawn
    }
}

/// Why a node is out of reach or takes nothing new: it is up, or ready, while there is no reason left.
#[derive(Debug, Clone, Copy, Default)]
struct Down {
    by_trace: bool,
    by_faults: u32,
    drained_by_trace: bool,
    drained_by_faults: u32,
}

impl Down {
    fn is_down(self) -> bool {
        self.by_trace || self.by_faults > 0
    }

    fn is_drained(self) -> bool {
        self.drained_by_trace || self.drained_by_faults > 0
    }

    /// What the manager knows the node as.
    fn status(self) -> NodeStatus {
        match (self.is_down(), self.is_drained()) {
            (true, _) => NodeStatus::Lost,
            (false, true) => NodeStatus::Draining,
            (false, false) => NodeStatus::Ready,
        }
    }
}

/// Whether events are being gathered for a decision: see [`Config::decide_after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathers {
    /// Nothing asks for one.
    No,
    /// The decision stands in the agenda.
    Yes,
    /// Its moment is now.
    Due,
}

/// How often [`Hooks::progress`] is called, in calls of the manager.
const PROGRESS_EVERY: u64 = 1024;
/// After this many wake-ups and returns of nodes in a row (or four per node, if that is more) that led to
/// nothing, with no task having anything ahead of it, the run is over: it would go on like that for ever.
const IDLE_MAX: u64 = 1000;

/// Runs a workload under a policy to its end. The cluster's last state comes with the outcome.
///
/// # Errors
///
/// [`RunError`] if the workload, the journal or the fault plan is at fault; what was observed until then
/// stands.
pub fn run(
    config: &Config,
    stream: &mut dyn ArrivalStream,
    scheduler: Box<dyn Scheduler>,
    observer: &mut dyn Observer,
    hooks: &mut dyn Hooks,
) -> Result<(Outcome, State), RunError> {
    let mut world = World {
        config,
        manager: Manager::new(config.rules, scheduler),
        agenda: Agenda::default(),
        lives: AliveMap::default(),
        down: Vec::new(),
        node_fates: BTreeMap::new(),
        zone_fates: Vec::new(),
        zones_out: Vec::new(),
        actions: Vec::new(),
        observer,
        hooks,
        progress: Progress::default(),
        futures: 0,
        wakes: 0,
        scripts: 0,
        returns: 0,
        idle: 0,
        last_effect: Instant::ZERO,
        gathers: Gathers::No,
        is_stopping: false,
    };
    for (number, scripted) in config.faults.scripted.iter().enumerate() {
        let number = u32::try_from(number).expect("fewer than 2^32 scripted faults");
        // What happens at time zero happens to the nodes that join at time zero.
        let is_first = scripted.at == Instant::ZERO;
        let rank = if is_first { Rank::FirstFault } else { Rank::NodeDown };
        world.schedule(scripted.at, rank, Todo::Script { number, begins: true });
    }
    for &at in &config.known_decisions {
        world.schedule(at, Rank::Timer, Todo::Decide);
    }
    world.run(stream)
}

struct World<'a> {
    config: &'a Config,
    manager: Manager,
    agenda: Agenda<Todo>,
    lives: AliveMap<TaskId, Life>,
    down: Vec<Down>,
    node_fates: BTreeMap<NodeId, Fate>,
    zone_fates: Vec<Option<Fate>>,
    /// Number of outages that hold each zone down.
    zones_out: Vec<u32>,
    actions: Vec<Action>,
    observer: &'a mut dyn Observer,
    hooks: &'a mut dyn Hooks,
    progress: Progress,
    /// Tasks that have something ahead of them.
    futures: u64,
    /// Wake-ups in the agenda.
    wakes: u64,
    /// Scripted faults yet to begin.
    scripts: u64,
    /// Ends of faults in the agenda.
    returns: u64,
    /// Wake-ups and ends of faults since a task was last placed or ended.
    idle: u64,
    /// When a task was last placed or ended, or a node changed.
    last_effect: Instant,
    gathers: Gathers,
    /// The hooks said to stop: nothing more is begun.
    is_stopping: bool,
}

impl World<'_> {
    fn run(mut self, stream: &mut dyn ArrivalStream) -> Result<(Outcome, State), RunError> {
        let mut next = stream.next().map_err(RunError::Workload)?;
        let mut now = Instant::ZERO;
        loop {
            let todo = self.agenda.peek();
            let at = match (&next, todo) {
                (Some(arrival), Some((at, _))) => arrival.at.min(at),
                (Some(arrival), None) => arrival.at,
                (None, Some(_)) if self.is_spent(now) => break,
                (None, Some((at, _))) => at,
                (None, None) => break,
            };
            if self.config.until.is_some_and(|until| at > until) {
                break;
            }
            assert!(at >= now, "the workload goes back from {now} to {at}");
            if at > now {
                self.observer.advance(at, self.manager.state());
            }
            now = at;
            self.progress.now = now;
            self.instant(now, stream, &mut next)?;
            if self.is_stopping {
                break;
            }
        }
        let end = match self.config.until {
            Some(until) if !self.is_stopping => until,
            _ => now,
        };
        if end > now {
            self.observer.advance(end, self.manager.state());
        }
        self.progress.now = end;
        self.hooks.progress(&self.progress);
        let outcome = Outcome {
            fingerprint: self.manager.fingerprint(),
            records: self.manager.record_count(),
            end,
            progress: self.progress,
            unfinished: self.manager.state().task_count() as u64,
            was_stopped: self.is_stopping,
        };
        Ok((outcome, self.manager.into_state()))
    }

    /// Whether nothing more can happen to any task, though the agenda is not empty.
    ///
    /// A task has something ahead of it while it starts, runs to an end of its own, or is to be withdrawn;
    /// while it waits and a node may return or the manager will try again; and, even if it runs for ever,
    /// while the script holds faults. Random faults never end: they count up to [`Config::until`], if
    /// there is one, for as long as there is a task that they could hit.
    fn is_spent(&self, now: Instant) -> bool {
        if self.futures > 0 || self.gathers != Gathers::No {
            return false;
        }
        let state = self.manager.state();
        let may_be_hit = self.scripts > 0 || self.config.until.is_some();
        if state.task_count() > 0 && may_be_hit {
            return false;
        }
        let tries_again = match self.config.rules.unfit {
            // Whatever grew last, every task is tried again within the longest delay.
            Unfit::Retry { max, .. } => self.wakes > 0 && now <= self.last_effect + max,
            _ => self.wakes > 0,
        };
        let patience = IDLE_MAX.max(4 * self.down.len() as u64);
        let waits = state.pending_count() > 0 && self.idle < patience;
        !(waits && (tries_again || self.returns > 0))
    }

    /// Changes what is known of a task and keeps count of those that have something ahead of them.
    fn live<T>(&mut self, task: TaskId, change: impl FnOnce(&mut Life) -> T) -> Option<T> {
        let life = self.lives.get_mut(task)?;
        self.futures -= u64::from(life.has_future());
        let out = change(life);
        self.futures += u64::from(life.has_future());
        Some(out)
    }

    /// Everything that happens at one moment, in the agenda's order, with decisions at its end; again as
    /// long as the decisions make something happen at the same moment.
    fn instant(
        &mut self,
        now: Instant,
        stream: &mut dyn ArrivalStream,
        next: &mut Option<Arrival>,
    ) -> Result<(), RunError> {
        while !self.is_stopping {
            while !self.is_stopping {
                let due = self.agenda.peek().filter(|it| it.0 == now).map(|it| it.1);
                let arrives = next.as_ref().is_some_and(|it| it.at == now);
                match due {
                    Some(rank) if !arrives || rank < Rank::Arrival => {
                        if let Some((_, _, todo)) = self.agenda.pop() {
                            self.happen(now, todo)?;
                        }
                    }
                    _ if arrives => {
                        match next {
                            // By far the most, and not worth moving about.
                            Some(Arrival { what: What::Task(task), .. }) => {
                                self.task_arrives(now, task)?;
                            }
                            _ => {
                                if let Some(arrival) = next.take() {
                                    self.arrive(now, arrival.what)?;
                                }
                            }
                        }
                        *next = stream.next().map_err(RunError::Workload)?;
                        if let Some(after) = next {
                            assert!(after.at >= now, "the workload goes back to {}", after.at);
                        }
                    }
                    _ => break,
                }
            }
            // The agenda's clock follows even when only the stream moved.
            self.agenda.move_to(now);
            if self.is_stopping || !self.manager.wants_decision(now) {
                if self.gathers == Gathers::Due {
                    self.gathers = Gathers::No;
                }
                return Ok(());
            }
            let is_known = !self.config.known_decisions.is_empty();
            let is_gathered = is_known || self.config.decide_after > Span::ZERO;
            if is_gathered && self.gathers != Gathers::Due {
                if self.gathers == Gathers::No && !is_known {
                    self.gathers = Gathers::Yes;
                    self.schedule(now + self.config.decide_after, Rank::Timer, Todo::Decide);
                }
                return Ok(());
            }
            self.gathers = Gathers::No;
            self.decide(now)?;
            if self.agenda.peek().is_none_or(|it| it.0 > now) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn arrive(&mut self, now: Instant, what: What) -> Result<(), RunError> {
        match what {
            What::Definition { definition, spec } => {
                self.handle(now, Event::DefinitionPut { definition, spec })
            }
            What::Node { node, event } => self.node_from_trace(now, node, event),
            What::Task(task) => self.task_arrives(now, &task),
            What::Told(Event::NodeReported { node, report: NodeReport::Activated }) => {
                let down = &mut self.down[node.row()];
                down.drained_by_trace = false;
                // A fault that drains it goes on.
                match down.is_drained() {
                    true => Ok(()),
                    false => self
                        .handle(now, Event::NodeReported { node, report: NodeReport::Activated }),
                }
            }
            What::Told(event) => self.handle(now, event),
        }
    }

    fn task_arrives(&mut self, now: Instant, arrival: &TaskArrival) -> Result<(), RunError> {
        let task = arrival.submission.task;
        self.progress.tasks += 1;
        let is_withdrawn = arrival.withdrawn.is_some();
        let life = Life { lifetime: arrival.lifetime, attempt: None, goes_on: false, is_withdrawn };
        assert!(self.lives.insert(task, life).is_some(), "{task}: arrives twice");
        self.futures += u64::from(is_withdrawn);
        if let Some(at) = arrival.withdrawn {
            self.schedule(at.max(now), Rank::Withdrawal, Todo::Withdraw { task });
        }
        let submission = arrival.submission.clone();
        match arrival.resident {
            Some(node) => self.handle(now, Event::TaskAdopted { submission, node }),
            None => self.handle(now, Event::TaskSubmitted(submission)),
        }
    }

    fn node_from_trace(
        &mut self,
        now: Instant,
        node: NodeId,
        event: NodeEvent,
    ) -> Result<(), RunError> {
        match event {
            NodeEvent::Joined(_) => {
                self.handle(now, Event::Node { node, event })?;
                self.down.push(Down::default());
                let zone = self.manager.state().nodes().zones()[node.row()].row();
                self.zone_seen(now, zone);
                if let Some(random) = &self.config.faults.random
                    && let Some(mut fate) = Fate::of_node(random, self.config.seed, node)
                {
                    let at = now + fate.up();
                    self.node_fates.insert(node, fate);
                    self.schedule(at, Rank::NodeDown, Todo::NodeFate { node, begins: true });
                }
                for _ in 0..self.zones_out[zone] {
                    self.fault_takes(now, node)?;
                }
                Ok(())
            }
            NodeEvent::Lost => self.change(now, node, |it| it.by_trace = true),
            NodeEvent::Returned => self.change(now, node, |it| {
                it.by_trace = false;
                it.drained_by_trace = false;
            }),
            NodeEvent::Draining => self.change(now, node, |it| it.drained_by_trace = true),
            NodeEvent::Updated(_) => self.handle(now, Event::Node { node, event }),
        }
    }

    /// Changes why a node is away, and tells the manager what that makes of it. Reasons add up: a node is
    /// back when the last of them is gone, and one that returns while it is to be drained is drained.
    fn change(
        &mut self,
        now: Instant,
        node: NodeId,
        change: impl FnOnce(&mut Down),
    ) -> Result<(), RunError> {
        let down = &mut self.down[node.row()];
        let before = down.status();
        change(down);
        let after = down.status();
        if before == after {
            return Ok(());
        }
        let events: &[NodeEvent] = match (before, after) {
            (_, NodeStatus::Lost) => &[NodeEvent::Lost],
            (NodeStatus::Lost, NodeStatus::Draining) => &[NodeEvent::Returned, NodeEvent::Draining],
            (_, NodeStatus::Draining) => &[NodeEvent::Draining],
            (_, NodeStatus::Ready) => &[NodeEvent::Returned],
            // No reason to be down makes a simulated node that.
            (_, NodeStatus::Unreachable) => &[],
        };
        for event in events {
            self.handle(now, Event::Node { node, event: event.clone() })?;
        }
        Ok(())
    }

    /// Makes room for a zone, and for its random outages.
    fn zone_seen(&mut self, now: Instant, zone: usize) {
        while self.zones_out.len() <= zone {
            let number = self.zones_out.len();
            self.zones_out.push(0);
            let random = self.config.faults.random.as_ref();
            let mut fate = random.and_then(|it| Fate::of_zone(it, self.config.seed, number));
            if let Some(fate) = &mut fate {
                let at = now + fate.up();
                let zone = u32::try_from(number).expect("fewer than 2^32 zones");
                self.schedule(at, Rank::NodeDown, Todo::ZoneFate { zone, begins: true });
            }
            self.zone_fates.push(fate);
        }
    }

    fn schedule(&mut self, at: Instant, rank: Rank, todo: Todo) {
        self.wakes += u64::from(matches!(todo, Todo::Wake));
        self.scripts += u64::from(matches!(todo, Todo::Script { begins: true, .. }));
        self.returns += u64::from(todo.ends_a_fault());
        self.agenda.push(at, rank, todo);
    }

    fn happen(&mut self, now: Instant, todo: Todo) -> Result<(), RunError> {
        self.wakes -= u64::from(matches!(todo, Todo::Wake));
        self.scripts -= u64::from(matches!(todo, Todo::Script { begins: true, .. }));
        self.returns -= u64::from(todo.ends_a_fault());
        self.idle += u64::from(matches!(todo, Todo::Wake) || todo.ends_a_fault());
        match todo {
            Todo::Exit { task, attempt } => {
                if self.lives.get(task).and_then(|it| it.attempt) != Some(attempt) {
                    return Ok(());
                }
                let code = self.config.exit_codes.get(&task).copied().unwrap_or(0);
                let report = Report::Exited { code };
                self.handle(now, Event::TaskReported { task, attempt, report })
            }
            Todo::Started { task, attempt } => {
                if self.lives.get(task).and_then(|it| it.attempt) != Some(attempt) {
                    return Ok(());
                }
                self.runs(now, task, attempt);
                let report = Report::Started;
                self.handle(now, Event::TaskReported { task, attempt, report })
            }
            Todo::Withdraw { task } => {
                if self.lives.contains(task) {
                    self.handle(now, Event::TaskCancelled { task })
                } else {
                    Ok(())
                }
            }
            Todo::Wake => self.handle(now, Event::Timer),
            Todo::Decide => {
                self.gathers = Gathers::Due;
                Ok(())
            }
            Todo::Script { number, begins } => self.script(now, number, begins),
            Todo::NodeFate { node, begins } => {
                let Some(fate) = self.node_fates.get_mut(&node) else { return Ok(()) };
                let (after, rank) =
                    if begins { (fate.down(), Rank::NodeUp) } else { (fate.up(), Rank::NodeDown) };
                self.schedule(now + after, rank, Todo::NodeFate { node, begins: !begins });
                if begins { self.fault_takes(now, node) } else { self.fault_returns(now, node) }
            }
            Todo::ZoneFate { zone, begins } => {
                let Some(fate) = &mut self.zone_fates[zone as usize] else { return Ok(()) };
                let (after, rank) =
                    if begins { (fate.down(), Rank::NodeUp) } else { (fate.up(), Rank::NodeDown) };
                self.schedule(now + after, rank, Todo::ZoneFate { zone, begins: !begins });
                self.zone_outage(now, zone as usize, begins)
            }
        }
    }

    /// An attempt runs from now on: its end is on the agenda, if it has one.
    fn runs(&mut self, now: Instant, task: TaskId, attempt: u32) {
        let lifetime = self.live(task, |life| {
            life.attempt = Some(attempt);
            life.goes_on = life.lifetime.is_some();
            life.lifetime
        });
        if let Some(Some(lifetime)) = lifetime {
            let least = self.config.runs_at_least.get(&(task, attempt)).copied();
            let lifetime = lifetime.max(least.unwrap_or(Span::ZERO));
            self.schedule(now + lifetime, Rank::Exit, Todo::Exit { task, attempt });
        }
    }

    fn script(&mut self, now: Instant, number: u32, begins: bool) -> Result<(), RunError> {
        let config = self.config;
        let scripted = &config.faults.scripted[number as usize];
        if begins && let Some(lasts) = scripted.lasts {
            self.schedule(now + lasts, Rank::NodeUp, Todo::Script { number, begins: false });
        }
        let nodes = self.manager.state().nodes();
        let find = |name: &String| {
            nodes.by_name(name).ok_or_else(|| RunError::NoSuchPlace {
                fault: scripted.to_string(),
                kind: "node",
                there: some(nodes.ids().map(|it| nodes.name(it).to_owned())),
            })
        };
        match &scripted.fault {
            Fault::NodeLoss { node } => {
                let node = find(node)?;
                if begins { self.fault_takes(now, node) } else { self.fault_returns(now, node) }
            }
            Fault::Drain { node } => {
                let node = find(node)?;
                self.change(now, node, |it| match begins {
                    true => it.drained_by_faults += 1,
                    false => it.drained_by_faults -= 1,
                })
            }
            Fault::ZoneOutage { zone } => match nodes.zone_names().get(zone) {
                Some(zone) => self.zone_outage(now, zone as usize, begins),
                None => Err(RunError::NoSuchPlace {
                    fault: scripted.to_string(),
                    kind: "zone",
                    there: some(nodes.zone_names().iter().map(str::to_owned)),
                }),
            },
        }
    }

    fn zone_outage(&mut self, now: Instant, zone: usize, begins: bool) -> Result<(), RunError> {
        if begins {
            self.zones_out[zone] += 1;
        } else {
            self.zones_out[zone] -= 1;
        }
        let zones = self.manager.state().nodes().zones();
        let members: Vec<NodeId> =
            self.manager.state().nodes().ids().filter(|it| zones[it.row()].row() == zone).collect();
        for node in members {
            if begins {
                self.fault_takes(now, node)?;
            } else {
                self.fault_returns(now, node)?;
            }
        }
        Ok(())
    }

    fn fault_takes(&mut self, now: Instant, node: NodeId) -> Result<(), RunError> {
        self.change(now, node, |it| it.by_faults += 1)
    }

    fn fault_returns(&mut self, now: Instant, node: NodeId) -> Result<(), RunError> {
        self.change(now, node, |it| it.by_faults -= 1)
    }

    #[inline]
    fn handle(&mut self, now: Instant, event: Event) -> Result<(), RunError> {
        let mut actions = std::mem::take(&mut self.actions);
        self.manager.handle(now, event, &mut actions);
        self.actions = actions;
        self.settle(now)
    }

    fn decide(&mut self, now: Instant) -> Result<(), RunError> {
        self.progress.decisions += 1;
        self.hooks.before_decision(now, &self.manager);
        let mut actions = std::mem::take(&mut self.actions);
        self.manager.decide(now, &mut actions);
        self.actions = actions;
        self.settle(now)
    }

    /// Follows one change of the last call in what is known of the tasks.
    fn follow(&mut self, now: Instant, change: usize) {
        match self.manager.changes()[change] {
            // The manager made it: no arrival brought it.
            Change::Queued { task: Facts { task, attempts: 0, group, .. } }
                if task.is_replica() =>
            {
                let known = self.config.replica_lifetimes.get(&task);
                let lifetime = known.or_else(|| self.config.service_lifetimes.get(&group?));
                let life = Life {
                    lifetime: lifetime.copied(),
                    attempt: None,
                    goes_on: false,
                    is_withdrawn: false,
                };
                self.lives.insert(task, life);
            }
            Change::Adopted { task: Facts { task, attempts, .. }, .. } => {
                self.runs(now, task, attempts);
            }
            Change::Interrupted { task: Facts { task, .. }, .. } => {
                self.live(task, |life| {
                    life.attempt = None;
                    life.goes_on = false;
                });
            }
            Change::Ended { task: Facts { task, .. }, .. } => {
                if let Some(life) = self.lives.remove(task) {
                    self.futures -= u64::from(life.has_future());
                }
                self.progress.ended += 1;
                self.idle = 0;
                self.last_effect = now;
            }
            Change::Placed { .. } => {
                self.progress.placed += 1;
                self.idle = 0;
                self.last_effect = now;
            }
            Change::NodeReady { .. }
            | Change::NodeDraining { .. }
            | Change::NodeLost { .. }
            | Change::NodeUpdated { .. } => self.last_effect = now,
            Change::NodeUnreachable { .. }
            | Change::ServicePut { .. }
            | Change::ServiceDeleted { .. }
            | Change::ServiceThrottled { .. } => self.last_effect = now,
            Change::Queued { .. } | Change::Started { .. } | Change::Health { .. } => {}
        }
    }

    /// After a call of the manager: keep the record, tell the observer, follow the changes, and do what
    /// the actions ask for.
    fn settle(&mut self, now: Instant) -> Result<(), RunError> {
        self.hooks.record(self.manager.last_record()).map_err(RunError::Journal)?;
        if self.manager.record_count().is_multiple_of(PROGRESS_EVERY)
            && self.hooks.progress(&self.progress) == Flow::Stop
        {
            self.is_stopping = true;
        }
        if !self.manager.changes().is_empty() {
            self.observer.observe(now, self.manager.changes(), self.manager.state());
        }
        for at in 0..self.manager.changes().len() {
            self.follow(now, at);
        }
        let actions = std::mem::take(&mut self.actions);
        for action in &actions {
            match *action {
                Action::Start { task, attempt, .. } => {
                    self.live(task, |life| {
                        life.attempt = Some(attempt);
                        life.goes_on = true;
                    });
                    let known = self.config.known_startups.get(&(task, attempt)).copied();
                    let takes = known.unwrap_or_else(|| {
                        let drawn = self.config.startup.draw(self.config.seed, task, attempt);
                        let least = self.config.startups_at_least.get(&(task, attempt));
                        drawn.max(least.copied().unwrap_or(Span::ZERO))
                    });
                    self.schedule(now + takes, Rank::Start, Todo::Started { task, attempt });
                }
                Action::Wake { at } => self.schedule(at.max(now), Rank::Timer, Todo::Wake),
                // Stopped and dropped tasks were followed as changes; a hold is for people.
                Action::Stop { .. } | Action::Drop { .. } | Action::Hold { .. } => {}
            }
        }
        self.actions = actions;
        self.actions.clear();
        Ok(())
    }
}

/// The first few of many names.
fn some(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.take(6).collect();
    if names.len() == 6 {
        names[5] = "…".to_owned();
    }
    names.join(", ")
}
