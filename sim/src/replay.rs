//! Journals, fed back: to verify that the same policy takes the same decisions, and to ask what another
//! policy would have done.

use crate::world::Config;
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::event::{Action, Change, Ending, Event, NodeReport, Report};
use cluster::ids::{DefinitionId, TaskId};
use cluster::journal::{Input, Record};
use cluster::manager::Manager;
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::{Instant, Span};
use std::collections::BTreeMap;

/// A record that the manager answered otherwise than the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Number of the record, from 1.
    pub number: u64,
    /// As the journal has it.
    pub recorded: Record,
    /// What was answered now.
    pub replayed: Vec<Action>,
}

/// Feeds records to a manager and compares its answers, one record at a time.
pub struct Verifier<O> {
    manager: Manager,
    observer: O,
    records: u64,
    now: Instant,
}

impl<O: Observer> Verifier<O> {
    /// A verifier for a journal that begins with an empty cluster.
    pub fn new(manager: Manager, observer: O) -> Self {
        Self { manager, observer, records: 0, now: Instant::ZERO }
    }

    /// Feeds the next record. A difference ends the verification: what follows would differ for that
    /// reason alone.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn feed(&mut self, record: Record) -> Result<(), Box<Difference>> {
        self.records += 1;
        if record.at > self.now {
            self.observer.advance(record.at, self.manager.state());
            self.now = record.at;
        }
        let mut actions = Vec::new();
        match record.input.clone() {
            Input::Event(event) => self.manager.handle(record.at, event, &mut actions),
            Input::Decide => self.manager.decide(record.at, &mut actions),
        }
        if !self.manager.changes().is_empty() {
            self.observer.observe(record.at, self.manager.changes(), self.manager.state());
        }
        if actions == record.actions {
            return Ok(());
        }
        Err(Box::new(Difference { number: self.records, recorded: record, replayed: actions }))
    }

    /// The manager as it stands.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// The manager as it stands, and who watches.
    pub fn parts(&mut self) -> (&Manager, &mut O) {
        (&self.manager, &mut self.observer)
    }

    /// Who watches.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Who watched and the cluster's last state, when there is nothing more to feed.
    pub fn finish(self) -> (O, State) {
        (self.observer, self.manager.into_state())
    }

    /// Number of records fed so far.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// A journal as a workload: what would have come under any policy.
///
/// Kept is what came from outside: definitions, node events, submits, adoptions, cancellations, services,
/// and what was said of nodes (contact, and that one drains no longer). Start-up and run times come from
/// the journal for tasks that ran to their end there; the others are given what
/// [`Counterfactual::modelled`] says.
///
/// Not kept is what followed from where tasks had been placed, because elsewhere it would not have
/// happened: failed starts, health, and host ports that a start found taken. [`LeftOut`] counts them.
/// Tasks that failed to start are started like any other; nothing is unhealthy.
///
/// Replicas are known by their numbers, in the order in which services ask for them. Under another policy
/// the same number may be a task of another service, which is then given this one's times.
#[derive(Debug, Clone, Default)]
pub struct Counterfactual {
    /// The workload, in time order.
    pub arrivals: Vec<Arrival>,
    /// Start-up times of the attempts that started, from the start action to the report. For one that was
    /// reported ended before it was reported started, the time until its end.
    pub startups: BTreeMap<(TaskId, u32), Span>,
    /// What attempts took at least that were still starting when they were stopped, or at the end.
    pub startups_at_least: BTreeMap<(TaskId, u32), Span>,
    /// How long attempts had run, and would have gone on, that lost their node: those after them may have
    /// been shorter.
    pub runs_at_least: BTreeMap<(TaskId, u32), Span>,
    /// Run times of replicas that ended by themselves. Those that were stopped have none: how long they
    /// would have run is not known.
    pub replica_lifetimes: BTreeMap<TaskId, Span>,
    /// Exit codes of tasks that ended by themselves with another one than 0.
    pub exit_codes: BTreeMap<TaskId, i32>,
    /// The journal's last moment.
    pub end: Instant,
    /// Tasks whose run time is not known and was taken from others: the mean over ended tasks of the
    /// same definition. Without such tasks it stays unknown and they run to the end.
    pub modelled: u64,
    /// Tasks whose run time stays unknown.
    pub unknown: u64,
    /// What was not kept.
    pub left_out: LeftOut,
}

/// Reports of a journal that follow from placements, and so say nothing about other placements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Starts that failed.
    pub failed_starts: u64,
    /// Reports of health, good or bad.
    pub health: u64,
    /// Reports of host ports that others hold.
    pub taken_ports: u64,
}

impl Counterfactual {
    /// Puts what the journal knows about single tasks into the options of a run.
    pub fn inform(&self, config: &mut Config) {
        config.known_startups = self.startups.clone();
        config.startups_at_least = self.startups_at_least.clone();
        config.runs_at_least = self.runs_at_least.clone();
        config.replica_lifetimes = self.replica_lifetimes.clone();
        config.exit_codes = self.exit_codes.clone();
    }
}

/// What is known of a submitted or adopted task.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    definition: u32,
    /// Whether any attempt began to run.
    ever_ran: bool,
    ran: Option<Span>,
    was_cancelled: bool,
}

/// Makes a [`Counterfactual`] of a journal while it is fed to a manager: [`Collecting::input`] before each
/// record, and as [`Observer`] of what it changes.
#[derive(Debug, Default)]
pub struct Collecting {
    it: Counterfactual,
    seen: BTreeMap<TaskId, Seen>,
    cancelled: BTreeMap<TaskId, Instant>,
    /// Attempts that start, with the moment they were placed.
    starting: BTreeMap<TaskId, (u32, Instant)>,
}

impl Collecting {
    /// The next record's input.
    pub fn input(&mut self, at: Instant, input: &Input) {
        self.it.end = at;
        let Input::Event(event) = input else { return };
        let what = match event.clone() {
            Event::DefinitionPut { definition, spec } => What::Definition { definition, spec },
            Event::Node { node, event } => What::Node { node, event },
            Event::TaskSubmitted(submission) => {
                self.seen.entry(submission.task).or_default().definition = submission.definition.0;
                let (lifetime, withdrawn, resident) = (None, None, None);
                What::Task(TaskArrival { submission, lifetime, withdrawn, resident })
            }
            Event::TaskAdopted { submission, node } => {
                let it = self.seen.entry(submission.task).or_default();
                it.definition = submission.definition.0;
                it.ever_ran = true;
                let (lifetime, withdrawn, resident) = (None, None, Some(node));
                What::Task(TaskArrival { submission, lifetime, withdrawn, resident })
            }
            // No arrival brings a replica, so none can say when it is taken back.
            event @ Event::TaskCancelled { task } if task.is_replica() => What::Told(event),
            Event::TaskCancelled { task } => {
                self.seen.entry(task).or_default().was_cancelled = true;
                self.cancelled.entry(task).or_insert(at);
                return;
            }
            Event::TaskReported { report, .. } => {
                match report {
                    Report::Failed { .. } => self.it.left_out.failed_starts += 1,
                    Report::Healthy | Report::Unhealthy => self.it.left_out.health += 1,
                    // What they change is observed.
                    Report::Started | Report::Exited { .. } => {}
                }
                return;
            }
            Event::NodeReported { report: NodeReport::PortsTaken(_), .. } => {
                self.it.left_out.taken_ports += 1;
                return;
            }
            Event::Timer => return,
            event @ (Event::ServicePut { .. }
            | Event::ServiceDeleted { .. }
            | Event::BudgetPut(_)
            | Event::NodeReported { .. }) => What::Told(event),
        };
        self.it.arrivals.push(Arrival { at, what });
    }

    /// An attempt that was starting is over, or the journal is.
    fn cut(&mut self, now: Instant, task: TaskId, (attempt, placed): (u32, Instant)) {
        // It took longer than was seen.
        let least = now.since(placed) + Span(1);
        self.it.startups_at_least.insert((task, attempt), least);
    }

    /// The workload, when all records were seen.
    pub fn finish(mut self) -> Counterfactual {
        for (task, attempt) in std::mem::take(&mut self.starting) {
            self.cut(self.it.end, task, attempt);
        }
        let mut by_definition: BTreeMap<DefinitionId, (u128, u128)> = BTreeMap::new();
        for it in self.seen.values() {
            if let Some(ran) = it.ran {
                let sum = by_definition.entry(DefinitionId(it.definition)).or_default();
                *sum = (sum.0 + u128::from(ran.0), sum.1 + 1);
            }
        }
        for arrival in &mut self.it.arrivals {
            let What::Task(task) = &mut arrival.what else { continue };
            let id = task.submission.task;
            let Some(it) = self.seen.get(&id) else { continue };
            task.withdrawn = self.cancelled.get(&id).copied();
            task.lifetime = match (it.ran, by_definition.get(&task.submission.definition)) {
                (Some(ran), _) => Some(ran),
                // Running at the end, interrupted and not run again, or taken back: how long it would
                // have run is more than it did, and no more is known.
                (None, _) if it.ever_ran || it.was_cancelled => None,
                (None, Some(&(sum, count))) => {
                    self.it.modelled += 1;
                    Some(Span(u64::try_from(sum / count).expect("a mean of u64s is one")))
                }
                (None, None) => {
                    self.it.unknown += 1;
                    None
                }
            };
        }
        self.it
    }
}

impl Observer for Collecting {
    fn advance(&mut self, _: Instant, _: &State) {}

    fn observe(&mut self, now: Instant, changes: &[Change], _: &State) {
        for change in changes {
            match *change {
                Change::Placed { task, .. } => {
                    self.starting.insert(task.task, (task.attempts, now));
                }
                Change::Interrupted { task, .. } => {
                    if let Some(attempt) = self.starting.remove(&task.task) {
                        self.cut(now, task.task, attempt);
                    } else if let Some(started) = task.started {
                        let least = now.since(started) + Span(1);
                        self.it.runs_at_least.insert((task.task, task.attempts), least);
                    }
                }
                Change::Started { task, .. } => {
                    self.starting.remove(&task.task);
                    if let Some(placed) = task.placed {
                        self.it.startups.insert((task.task, task.attempts), now.since(placed));
                    }
                    if let Some(seen) = self.seen.get_mut(&task.task) {
                        seen.ever_ran = true;
                    }
                }
                Change::Ended { task, how: Ending::Exited { code }, .. } => {
                    self.starting.remove(&task.task);
                    let ran = match (task.started, task.placed) {
                        (Some(started), _) => now.since(started),
                        (None, placed) => {
                            let until = placed.map_or(Span::ZERO, |it| now.since(it));
                            self.it.startups.insert((task.task, task.attempts), until);
                            Span::ZERO
                        }
                    };
                    if code != 0 {
                        self.it.exit_codes.insert(task.task, code);
                    }
                    if task.task.is_replica() {
                        self.it.replica_lifetimes.insert(task.task, ran);
                    } else if let Some(seen) = self.seen.get_mut(&task.task) {
                        seen.ran = Some(ran);
                    }
                }
                Change::Ended { task, .. } => {
                    if let Some(attempt) = self.starting.remove(&task.task) {
                        self.cut(now, task.task, attempt);
                    }
                }
                _ => {}
            }
        }
    }
}
