//! The scheduler trait, and the desk at which a scheduler sits: what it may see and do.

use crate::event::{Action, Change};
use crate::explain::{Explanation, Question};
use crate::ids::{NodeId, TaskId};
use crate::manager::Core;
use crate::nodes::DeviceSet;
use crate::shape::Shape;
use crate::state::{State, Task};
use crate::units::Instant;
use std::fmt;

/// Decides which task runs where.
///
/// A scheduler is called by the manager, at the end of every instant in which something happened. It
/// sees the whole [`State`] and the queue, and acts through the [`Desk`], whose every call is checked,
/// booked at once and recorded. Most schedulers only rank nodes for one task; they implement the
/// smaller `Rank` of the `schedulers` crate.
///
/// Fits, by example: filter-and-score (take [`Desk::head`], place it or call it
/// [unfit](Desk::unfit)); batch, flow and gang schedulers ([`Desk::pending`], [`Desk::place_gang`]);
/// preemption ([`Desk::evict`]); back-off of the scheduler's own ([`Desk::park`]); tick-based, think-time
/// and offer-based ones ([`Desk::wake`] and [`Desk::hold_back`]); optimistic commits on a copy (compare
/// [`Nodes::version`](crate::nodes::Nodes::version) before placing).
///
/// Implementations do no I/O, ask no clock and no global randomness, and iterate over nothing
/// unordered.
pub trait Scheduler: Send {
    /// Places what it can.
    fn decide(&mut self, desk: &mut Desk<'_>);

    /// Told of every change right after it happened, in order; `state` is the state after the last.
    fn observe(&mut self, _changes: &[Change], _state: &State) {}

    /// What it would do with a pending task if its turn were next, and what it thinks of every node for it.
    ///
    /// Changes nothing that it remembers: what it decides afterwards is what it would have decided without
    /// having been asked.
    fn explain(&mut self, question: Question<'_>) -> Explanation {
        Explanation::of_ledger(&question)
    }

    /// Whether it decides on all that waits at once, so that what comes of a task cannot be told from those before it
    /// alone.
    fn decides_together(&self) -> bool {
        false
    }

    /// Whether it wants to be called at the end of every instant, even when no task could be placed.
    fn wants_every_instant(&self) -> bool {
        false
    }

    /// Whether it may make room for a task that fits nowhere. Then [`Desk::head`] shows it every task that some node came
    /// to fit since it was last tried, though others may have taken that node meanwhile.
    fn makes_room(&self) -> bool {
        false
    }

    /// What it remembers from call to call (cursor, random stream, …), for snapshots. Empty if nothing.
    fn memory(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes back what [`Scheduler::memory`] gave.
    ///
    /// # Errors
    ///
    /// If the bytes are not this scheduler's.
    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        if memory.is_empty() { Ok(()) } else { Err(BadMemory) }
    }
}

/// A snapshot holds another scheduler's memory, or another version's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadMemory;

impl fmt::Display for BadMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the snapshot's memory is not of this scheduler")
    }
}

impl std::error::Error for BadMemory {}

/// What becomes of an evicted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Back to the queue, at its old place, to start from zero.
    Requeue,
    /// It is over.
    Kill,
}

/// A pending task as its scheduler sees it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Which task.
    pub id: TaskId,
    /// The task.
    pub task: &'a Task,
    /// What it asks for.
    pub shape: &'a Shape,
    /// The moment of this decision.
    pub now: Instant,
}

/// Where a scheduler sits: the state and the queue in front of it, and everything it may do.
pub struct Desk<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Instant,
    pub(crate) actions: &'a mut Vec<Action>,
    /// See [`Scheduler::makes_room`].
    pub(crate) makes_room: bool,
}

impl Desk<'_> {
    /// The moment of this decision.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The cluster, all placements of this round included.
    pub fn state(&self) -> &State {
        &self.core.state
    }

    /// The next task in queue order that may fit somewhere, or `None` when this round is over.
    ///
    /// It stays next until it is placed, called unfit, held back (alone or with its like), parked or rejected. Shapes known to
    /// fit nowhere are passed over or dealt with by the rules, without being shown.
    pub fn head(&mut self) -> Option<TaskId> {
        self.core.next_task(self.now, self.makes_room, self.actions)
    }

    /// Whether [`Desk::head`] passes over a pending task because its shape is known to fit nowhere. A scheduler
    /// that can make room looks at such tasks by itself.
    pub fn passes_over(&self, task: TaskId) -> bool {
        self.core.passes_over(task)
    }

    /// Pending tasks that wait for a moment before they are in line again, the earliest moment first.
    pub fn parked(&self) -> Vec<TaskId> {
        self.core.queue.parked().map(|it| it.0).collect()
    }

    /// All pending tasks in queue order, parked ones not, those known to fit nowhere included. Linear in the queue.
    pub fn pending(&self) -> Vec<TaskId> {
        self.core.queue.in_order()
    }

    /// A pending task.
    ///
    /// # Panics
    ///
    /// If the task is unknown.
    pub fn ask(&self, task: TaskId) -> Ask<'_> {
        self.core.ask(task)
    }

    /// Places a pending task on a node, with these GPU devices.
    ///
    /// # Panics
    ///
    /// If the task is not pending or does not fit there: a scheduler that chooses a full node is
    /// broken.
    pub fn place(&mut self, task: TaskId, node: NodeId, devices: DeviceSet) {
        self.core.place(self.now, task, node, devices, self.actions);
    }

    /// Places several pending tasks, all or none. `false` and nothing happened if they do not fit
    /// together.
    pub fn place_gang(&mut self, gang: &[(TaskId, NodeId, DeviceSet)]) -> bool {
        self.core.place_gang(self.now, gang, self.actions)
    }

    /// The task's shape fits no node: the rules say whether it waits, blocks, is dropped or tried
    /// again later.
    ///
    /// # Panics
    ///
    /// If a node would take it: then the right call is [`Desk::hold_back`].
    pub fn unfit(&mut self, task: TaskId) {
        self.core.unfit(self.now, task, self.actions);
    }

    /// Keeps a task back in this round though it may fit; it is tried again in the next.
    pub fn hold_back(&mut self, task: TaskId) {
        self.core.hold_back(task);
    }

    /// Keeps back, in this round, all pending tasks of this one's shape, at the cost of one.
    pub fn hold_back_alike(&mut self, task: TaskId) {
        self.core.hold_back_alike(task);
    }

    /// Keeps a task back until a moment.
    pub fn park(&mut self, task: TaskId, until: Instant) {
        self.core.park(task, until);
    }

    /// Takes a placed task off its node.
    ///
    /// # Panics
    ///
    /// If the task is not placed.
    pub fn evict(&mut self, task: TaskId, then: Then) {
        self.core.evict(self.now, task, then, self.actions);
    }

    /// Drops a pending task for good.
    pub fn reject(&mut self, task: TaskId) {
        self.core.reject(task, crate::event::HoldReason::HeldBack, self.actions);
    }

    /// Asks for another decision at this moment.
    pub fn wake(&mut self, at: Instant) {
        self.core.wake(at);
    }
}
