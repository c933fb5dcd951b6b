//! Journals, fed back: to verify that the same policy takes the same decisions, and to ask what another
//! policy would have done.

use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::event::{Action, Event, Report};
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
pub struct Verifier<'a> {
    manager: Manager,
    observer: &'a mut dyn Observer,
    records: u64,
    now: Instant,
}

impl<'a> Verifier<'a> {
    /// A verifier for a journal that begins with an empty cluster.
    pub fn new(manager: Manager, observer: &'a mut dyn Observer) -> Self {
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

    /// The cluster's last state, when there is nothing more to feed.
    pub fn into_state(self) -> State {
        self.manager.into_state()
    }

    /// Number of records fed so far.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// A journal as a workload: what would have come under any policy.
///
/// Kept are definitions, node events, submits, adoptions and cancellations. Start-up and run times come
/// from the journal for tasks that ran to their end there; the others are given what
/// [`Counterfactual::modelled`] says.
#[derive(Debug, Clone, Default)]
pub struct Counterfactual {
    /// The workload, in time order.
    pub arrivals: Vec<Arrival>,
    /// Start-up times of the attempts that started.
    pub startups: BTreeMap<(TaskId, u32), Span>,
    /// The journal's last moment.
    pub end: Instant,
    /// Tasks whose run time is not known and was taken from others: the mean over ended tasks of the
    /// same definition. Without such tasks it stays unknown and they run to the end.
    pub modelled: u64,
    /// Tasks whose run time stays unknown.
    pub unknown: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    definition: u32,
    placed: Option<Instant>,
    /// When the attempt under way began to run.
    started: Option<Instant>,
    /// Whether any attempt began to run.
    ever_ran: bool,
    ran: Option<Span>,
    was_cancelled: bool,
}

impl Counterfactual {
    /// Collects the workload of a journal.
    ///
    /// # Errors
    ///
    /// Whatever `records` yields first.
    pub fn collect<E>(records: impl Iterator<Item = Result<Record, E>>) -> Result<Self, E> {
        let mut it = Self::default();
        let mut seen: BTreeMap<TaskId, Seen> = BTreeMap::new();
        let mut cancelled: Vec<(Instant, TaskId)> = Vec::new();
        for record in records {
            let Record { at, input, actions } = record?;
            it.end = at;
            if let Input::Event(event) = input {
                it.event(at, event, &mut seen, &mut cancelled);
            }
            for action in actions {
                if let Action::Start { task, .. } = action {
                    let seen = seen.entry(task).or_default();
                    seen.placed = Some(at);
                    seen.started = None;
                }
            }
        }
        it.fill_in(&seen, &cancelled);
        Ok(it)
    }

    fn event(
        &mut self,
        at: Instant,
        event: Event,
        seen: &mut BTreeMap<TaskId, Seen>,
        cancelled: &mut Vec<(Instant, TaskId)>,
    ) {
        let what = match event {
            Event::DefinitionPut { definition, spec } => What::Definition { definition, spec },
            Event::Node { node, event } => What::Node { node, event },
            Event::TaskSubmitted(submission) => {
                let it = seen.entry(submission.task).or_default();
                it.definition = submission.definition.0;
                let (lifetime, withdrawn, resident) = (None, None, None);
                What::Task(TaskArrival { submission, lifetime, withdrawn, resident })
            }
            Event::TaskAdopted { submission, node } => {
                let it = seen.entry(submission.task).or_default();
                it.definition = submission.definition.0;
                it.started = Some(at);
                it.ever_ran = true;
                let (lifetime, withdrawn, resident) = (None, None, Some(node));
                What::Task(TaskArrival { submission, lifetime, withdrawn, resident })
            }
            Event::TaskCancelled { task } => {
                seen.entry(task).or_default().was_cancelled = true;
                cancelled.push((at, task));
                return;
            }
            Event::TaskReported { task, attempt, report } => {
                let it = seen.entry(task).or_default();
                match report {
                    Report::Started => {
                        if let Some(placed) = it.placed {
                            self.startups.insert((task, attempt), at.since(placed));
                        }
                        it.started = Some(at);
                        it.ever_ran = true;
                    }
                    Report::Exited { .. } => it.ran = it.started.map(|started| at.since(started)),
                    Report::Healthy | Report::Unhealthy | Report::Failed { .. } => {}
                }
                return;
            }
            Event::Timer => return,
            event @ (Event::ServicePut { .. }
            | Event::ServiceDeleted { .. }
            | Event::NodeReported { .. }) => What::Told(event),
        };
        self.arrivals.push(Arrival { at, what });
    }

    fn fill_in(&mut self, seen: &BTreeMap<TaskId, Seen>, cancelled: &[(Instant, TaskId)]) {
        let mut by_definition: BTreeMap<DefinitionId, (u128, u128)> = BTreeMap::new();
        for it in seen.values() {
            if let Some(ran) = it.ran {
                let sum = by_definition.entry(DefinitionId(it.definition)).or_default();
                *sum = (sum.0 + u128::from(ran.0), sum.1 + 1);
            }
        }
        let withdrawn: BTreeMap<TaskId, Instant> =
            cancelled.iter().map(|it| (it.1, it.0)).collect();
        for arrival in &mut self.arrivals {
            let What::Task(task) = &mut arrival.what else { continue };
            let id = task.submission.task;
            let Some(it) = seen.get(&id) else { continue };
            task.withdrawn = withdrawn.get(&id).copied();
            task.lifetime = match (it.ran, by_definition.get(&task.submission.definition)) {
                (Some(ran), _) => Some(ran),
                // Running at the end, interrupted and not run again, or taken back: how long it would
                // have run is more than it did, and no more is known.
                (None, _) if it.ever_ran || it.was_cancelled => None,
                (None, Some(&(sum, count))) => {
                    self.modelled += 1;
                    Some(Span(u64::try_from(sum / count).expect("a mean of u64s is one")))
                }
                (None, None) => {
                    self.unknown += 1;
                    None
                }
            };
        }
    }
}
