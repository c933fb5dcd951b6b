//! The manager: the one state machine behind every simulated and every live run.
//!
//! It does no I/O and knows no clock. Events come in through [`Manager::handle`]; decisions are made in
//! [`Manager::decide`], which the driver calls after the last event of an instant. Both append what the
//! world should do to a list of actions, and both are journalled.

use crate::company::Company;
use crate::event::{
    Action, Change, Ending, Event, Facts, HoldReason, NodeEvent, OnLoss, Report, StopReason,
};
use crate::ids::{NodeId, ShapeId, TaskId};
use crate::journal::{Fingerprint, InputRef, Recorder};
use crate::keeper::Keeper;
use crate::life::{Stage, Step};
use crate::nodes::{DeviceSet, NodeStatus, device_fits};
use crate::queue::{Place, Queue};
use crate::refusal::Refusal;
use crate::rules::{Rules, Unfit};
use crate::scheduler::{Ask, Desk, Scheduler, Then};
use crate::state::{Phase, State, Until};
use crate::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// State, queue and rules; everything of the manager but the scheduler, which is handed a view of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Core {
    pub(crate) rules: Rules,
    pub(crate) state: State,
    pub(crate) queue: Queue,
    pub(crate) keeper: Keeper,
    #[serde(skip)]
    pub(crate) changes: Vec<Change>,
    /// Tasks that joined the queue since the last decision: if they still wait after it, that is said.
    pub(crate) fresh: Vec<TaskId>,
    /// Moments at which the scheduler asked to be woken.
    pub(crate) wakes: BTreeSet<Instant>,
    /// The earliest wake-up the world knows of.
    pub(crate) told: Option<Instant>,
    sequence: u64,
    pub(crate) now: Instant,
}

/// A cluster's manager with its scheduler.
pub struct Manager {
    pub(crate) core: Core,
    pub(crate) scheduler: Box<dyn Scheduler>,
    pub(crate) recorder: Recorder,
}

impl Manager {
    /// An empty cluster under these rules.
    pub fn new(rules: Rules, scheduler: Box<dyn Scheduler>) -> Self {
        let core = Core::of(rules, State::new(rules.overcommit));
        Self { core, scheduler, recorder: Recorder::new() }
    }

    /// Records one event and appends what the world should do at once, such as a stop. Makes no choice.
    ///
    /// Never fails: what the world can get wrong arrives as an [`Event`].
    ///
    /// # Panics
    ///
    /// If the driver breaks its own rules: time goes back, an id is used twice, a definition or node is
    /// named that was never introduced.
    pub fn handle(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        let first = actions.len();
        self.core.begin(now);
        self.core.apply(now, &event, actions);
        self.core.set_alarm(now, actions);
        self.finish(now, InputRef::Event(&event), &actions[first..]);
    }

    /// Lets the scheduler place what waits, and appends what the world should do.
    pub fn decide(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let first = actions.len();
        self.core.begin(now);
        self.core.resume(now);
        self.core.tidy(now, actions);
        let makes_room = self.scheduler.makes_room();
        self.scheduler.decide(&mut Desk { core: &mut self.core, now, actions, makes_room });
        self.core.conclude(now, actions);
        self.finish(now, InputRef::Decide, &actions[first..]);
    }

    pub(crate) fn finish(&mut self, now: Instant, input: InputRef<'_>, actions: &[Action]) {
        self.recorder.record(now, input, actions);
        if !self.core.changes.is_empty() {
            self.scheduler.observe(&self.core.changes, &self.core.state);
        }
    }

    /// Whether a decision now could change anything. A driver may skip [`Manager::decide`] if not.
    pub fn wants_decision(&self, now: Instant) -> bool {
        let core = &self.core;
        core.queue.is_awake()
            || !core.fresh.is_empty()
            || !core.keeper.untidy.is_empty()
            || core.queue.next_parked().is_some_and(|it| it <= now)
            || core.wakes.first().is_some_and(|&it| it <= now)
            || self.scheduler.wants_every_instant()
    }

    /// The cluster as it stands.
    pub fn state(&self) -> &State {
        &self.core.state
    }

    /// The cluster as it stands, when the manager is done.
    pub fn into_state(self) -> State {
        self.core.state
    }

    /// The options it runs under.
    pub fn rules(&self) -> &Rules {
        &self.core.rules
    }

    /// The moment of the last call.
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// The earliest moment at which [`Event::Timer`] has something to do, for a driver that looks instead of
    /// keeping every [`Action::Wake`].
    pub fn next_wake(&self) -> Option<Instant> {
        let core = &self.core;
        let alarm = core.keeper.alarms.first().map(|it| it.0);
        let wake = core.wakes.first().copied();
        [core.told, alarm, wake, core.queue.next_parked()].into_iter().flatten().min()
    }

    /// Every task that waits or is placed, ascending. Linear in their number.
    pub fn live_tasks(&self) -> Vec<TaskId> {
        let core = &self.core;
        let parked = core.queue.parked().map(|it| it.0);
        let placed = core.state.nodes.ids().flat_map(|it| core.state.tasks_on(it)).copied();
        let mut all: Vec<TaskId> =
            core.queue.in_order().into_iter().chain(parked).chain(placed).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What the last call changed, in order.
    pub fn changes(&self) -> &[Change] {
        &self.core.changes
    }

    /// The last call's journal record, encoded.
    pub fn last_record(&self) -> &[u8] {
        self.recorder.last()
    }

    /// Number of calls so far.
    pub fn record_count(&self) -> u64 {
        self.recorder.count()
    }

    /// The hash over all records so far.
    pub fn fingerprint(&self) -> Fingerprint {
        self.recorder.fingerprint()
    }

    /// Places without a scheduler, on devices of the test's own choice.
    #[cfg(test)]
    pub(crate) fn place_for_test(&mut self, task: TaskId, node: NodeId, devices: DeviceSet) {
        self.core.place(self.core.now, task, node, devices, &mut Vec::new());
    }

    /// Why a pending task is not placed, in counts over all nodes; `None` if it is not pending.
    pub fn explain(&self, task: TaskId) -> Option<Refusal> {
        let found = self.core.state.task(task)?;
        match found.phase {
            Phase::Pending => {
                Some(Refusal::count(self.core.state.nodes(), self.core.state.shape(found.shape)))
            }
            Phase::Placed(_) => None,
        }
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("rules", &self.core.rules)
            .field("recorder", &self.recorder)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// With an empty queue.
    pub(crate) fn of(rules: Rules, state: State) -> Self {
        Self {
            rules,
            state,
            queue: Queue::default(),
            keeper: Keeper::default(),
            changes: Vec::new(),
            fresh: Vec::new(),
            wakes: BTreeSet::new(),
            told: None,
            sequence: 0,
            now: Instant::ZERO,
        }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        assert!(now >= self.now, "time goes back from {} to {now}", self.now);
        self.now = now;
        self.changes.clear();
    }

    pub(crate) fn apply(&mut self, now: Instant, event: &Event, actions: &mut Vec<Action>) {
        match event {
            Event::DefinitionPut { definition, spec } => {
                self.state.put_definition(*definition, spec.clone());
            }
            Event::Node { node, event } => self.node_changed(now, *node, event, actions),
            Event::TaskSubmitted(submission) => {
                self.add(now, submission);
                self.enqueue(now, submission.task);
            }
            Event::TaskAdopted { submission, node } => {
                let task = submission.task;
                self.add(now, submission);
                if self.state.nodes().status(*node) == NodeStatus::Lost {
                    self.enqueue(now, task);
                } else {
                    self.adopt(now, task, *node);
                }
            }
            Event::TaskCancelled { task } => self.cancel(now, *task, actions),
            Event::TaskReported { task, attempt, report } => {
                self.reported(now, *task, *attempt, *report, actions);
            }
            Event::ServicePut { service, spec } => self.put_service(now, *service, spec, actions),
            Event::ServiceDeleted { service } => self.delete_service(*service, actions),
            Event::BudgetPut(budget) => self.state.put_budget(budget),
            Event::NodeReported { node, report } => self.node_reported(now, *node, report),
            Event::Timer => {
                while self.wakes.first().is_some_and(|&it| it <= now) {
                    self.wakes.pop_first();
                }
                if self.told.is_some_and(|it| it <= now) {
                    self.told = None;
                }
                self.ring(now);
            }
        }
    }

    pub(crate) fn add(&mut self, now: Instant, submission: &crate::event::Submission) {
        self.state.add_task(now, submission, self.sequence);
        self.sequence += 1;
    }

    fn node_changed(
        &mut self,
        now: Instant,
        node: NodeId,
        event: &NodeEvent,
        actions: &mut Vec<Action>,
    ) {
        if let NodeEvent::Joined(spec) = event {
            self.state.nodes.join(node, spec);
            self.changes.push(Change::NodeReady { node });
            self.queue.grew(node, &self.state);
            return;
        }
        assert!(node.row() < self.state.nodes().len(), "{node}: never joined");
        match event {
            NodeEvent::Joined(_) => unreachable!("dealt with above"),
            NodeEvent::Lost => self.lose(now, node),
            NodeEvent::Returned => {
                self.state.nodes.set_drained(node, false);
                self.undrain(node);
                self.state.nodes.set_status(node, NodeStatus::Ready);
                self.changes.push(Change::NodeReady { node });
                self.queue.grew(node, &self.state);
            }
            NodeEvent::Draining => {
                self.state.nodes.set_drained(node, true);
                if self.state.nodes().status(node) == NodeStatus::Ready {
                    self.state.nodes.set_status(node, NodeStatus::Draining);
                    self.changes.push(Change::NodeDraining { node });
                }
                self.drain(now, node, actions);
            }
            NodeEvent::Updated(capacity) => {
                self.state.nodes.set_capacity(node, capacity);
                self.changes.push(Change::NodeUpdated { node });
                self.queue.grew(node, &self.state);
            }
        }
    }

    /// A node is gone, and what it ran with it.
    pub(crate) fn lose(&mut self, now: Instant, node: NodeId) {
        if self.state.nodes().status(node) == NodeStatus::Lost {
            return;
        }
        // In order of id, so that the order does not depend on how tasks came and went.
        let mut tasks = self.state.tasks_on(node).to_vec();
        tasks.sort_unstable();
        // Not ready while its tasks leave: what they free must wake nobody.
        self.state.nodes.set_status(node, NodeStatus::Draining);
        for task in tasks {
            self.interrupt(now, task);
        }
        self.state.nodes.set_status(node, NodeStatus::Lost);
        self.changes.push(Change::NodeLost { node });
    }

    /// A placed task lost its node: it goes back to the queue or ends.
    fn interrupt(&mut self, now: Instant, id: TaskId) {
        let task = self.state.task(id).unwrap_or_else(|| panic!("{id}: interrupted, but unknown"));
        let (facts, mut on_loss) = (task.facts(id), task.on_loss);
        if self.is_leaving(id, facts.group) {
            on_loss = OnLoss::End;
        }
        let node = self.state.release(id).node;
        self.changes.push(Change::Interrupted { task: facts, node });
        match on_loss {
            OnLoss::Restart => self.enqueue(now, id),
            OnLoss::End => {
                self.state.forget(id);
                self.changes.push(Change::Ended {
                    task: facts,
                    node: Some(node),
                    how: Ending::Lost,
                });
                self.left(now, id, facts.group, false);
            }
        }
    }

    pub(crate) fn enqueue(&mut self, now: Instant, id: TaskId) {
        let order = self.rules.order;
        let (task, shape) = self.state.task_and_shape_mut(id);
        task.queued = now;
        let (facts, shape, place) = (task.facts(id), task.shape, Place::of(order, task, shape));
        self.queue.push(place, shape, id);
        self.fresh.push(id);
        self.changes.push(Change::Queued { task: facts });
    }

    pub(crate) fn place_of(&self, id: TaskId) -> (Place, ShapeId) {
        let task = self.state.task(id).unwrap_or_else(|| panic!("{id}: unknown"));
        (Place::of(self.rules.order, task, self.state.shape(task.shape)), task.shape)
    }

    /// Takes a pending task out of wherever it waits.
    pub(crate) fn dequeue(&mut self, id: TaskId) {
        let Ask { task, shape, .. } = self.ask(id);
        let (place, until) = (Place::of(self.rules.order, task, shape), task.parked.get());
        self.take_out(place, task.shape, until, id);
    }

    fn take_out(&mut self, place: Place, shape: ShapeId, until: Option<Instant>, id: TaskId) {
        if self.queue.remove(place, shape) {
            return;
        }
        let was_parked = until.is_some_and(|until| self.queue.unpark(until, place, id));
        assert!(was_parked, "{id}: pending, but in no line");
    }

    fn adopt(&mut self, now: Instant, id: TaskId, node: NodeId) {
        let shape = self.state.shape(self.place_of(id).1);
        let devices = self.state.nodes().best_fit_devices(shape, node).unwrap_or_else(|| {
            let there = self.state.nodes().devices(node).len();
            (0..usize::from(shape.gpu_count).min(there)).collect()
        });
        self.state.place(id, node, devices, now).adopted = true;
        self.state.start(id, now);
        let task = self.state.task(id).unwrap_or_else(|| panic!("{id}: just placed"));
        let facts = task.facts(id);
        self.changes.push(Change::Adopted { task: facts, node });
    }

    fn cancel(&mut self, now: Instant, id: TaskId, actions: &mut Vec<Action>) {
        let Some(task) = self.state.task(id) else { return };
        let facts = task.facts(id);
        let node = match task.phase {
            Phase::Pending => {
                self.dequeue(id);
                None
            }
            Phase::Placed(_) => Some(self.stop(id, StopReason::Cancelled, actions)),
        };
        self.state.forget(id);
        self.changes.push(Change::Ended { task: facts, node, how: Ending::Cancelled });
        self.left(now, id, facts.group, false);
    }

    /// Takes a placed task off its node and tells the world to stop it.
    pub(crate) fn stop(
        &mut self,
        id: TaskId,
        reason: StopReason,
        actions: &mut Vec<Action>,
    ) -> NodeId {
        let node = self.state.release(id).node;
        let attempt = self.state.task(id).map_or(0, |it| it.attempts);
        actions.push(Action::Stop { task: id, node, attempt, reason });
        self.queue.grew(node, &self.state);
        node
    }

    fn reported(
        &mut self,
        now: Instant,
        id: TaskId,
        attempt: u32,
        report: Report,
        actions: &mut Vec<Action>,
    ) {
        let Some(task) = self.state.task(id).filter(|it| it.attempts == attempt) else { return };
        let Some(step) = Stage::of(task).after(report) else { return };
        let Some(node) = task.placement().map(|it| it.node) else { return };
        let (facts, group) = (task.facts(id), task.group);
        match step {
            Step::Begins => {
                self.state.start(id, now);
                let task = Facts { started: Some(now), ..facts };
                self.changes.push(Change::Started { task, node });
                self.note_success(id, node);
                self.well(id, group);
            }
            Step::Turns { is_healthy } => {
                self.state.turn(id, is_healthy);
                self.changes.push(Change::Health { task: facts, node, is_healthy });
                match is_healthy {
                    true => self.well(id, group),
                    false => self.replace_unhealthy(now, id, actions),
                }
            }
            Step::Ends(how) => {
                if let Ending::FailedToStart(why) = how {
                    self.note_failure(now, id, node, why);
                }
                self.state.release(id);
                self.queue.grew(node, &self.state);
                self.state.forget(id);
                self.changes.push(Change::Ended { task: facts, node: Some(node), how });
                self.left(now, id, group, facts.started.is_none());
            }
        }
    }

    /// Before a round of decisions: parked tasks whose moment has come are in line again.
    pub(crate) fn resume(&mut self, now: Instant) {
        while let Some(id) = self.queue.pop_parked(now) {
            let (place, shape) = self.place_of(id);
            if let Some(task) = self.state.task_mut(id) {
                task.parked = Until::NONE;
            }
            self.queue.push(place, shape, id);
        }
    }

    /// After a round of decisions: says who waits and when to be woken.
    fn conclude(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.queue.restore_aside();
        let fresh = std::mem::take(&mut self.fresh);
        for &id in &fresh {
            let Some(task) = self.state.task(id).filter(|it| it.phase == Phase::Pending) else {
                continue;
            };
            let (shape, is_parked) = (task.shape, task.parked.get().is_some());
            let reason = if self.queue.is_asleep(shape) {
                self.sleep_reason(shape)
            } else if is_parked {
                self.queue.known_unfit(shape, self.state.nodes()).unwrap_or(HoldReason::HeldBack)
            } else if self.rules.unfit == Unfit::WaitAtHead && self.queue.head_asleep().is_some() {
                HoldReason::BehindHead
            } else {
                HoldReason::HeldBack
            };
            actions.push(Action::Hold { task: id, reason });
        }
        self.fresh = fresh;
        self.fresh.clear();
        while self.wakes.first().is_some_and(|&it| it <= now) {
            self.wakes.pop_first();
        }
        let alarm = self.keeper.alarms.first().map(|it| it.0);
        let next = [self.queue.next_parked(), self.wakes.first().copied(), alarm];
        let next = next.into_iter().flatten().min();
        self.tell_wake(now, next, actions);
    }

    /// Asks the world to wake the manager, if it does not know of a moment as early.
    pub(crate) fn tell_wake(
        &mut self,
        now: Instant,
        next: Option<Instant>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(at) = next
            && self.told.is_none_or(|told| at < told || told <= now)
        {
            self.told = Some(at);
            actions.push(Action::Wake { at });
        }
    }

    /// Why a sleeping shape fits nowhere; counted again if nodes came or went since it fell asleep.
    fn sleep_reason(&mut self, shape: ShapeId) -> HoldReason {
        let nodes = self.state.nodes();
        self.queue.sleep_reason(shape, nodes).unwrap_or_else(|| {
            let reason = Refusal::count(nodes, self.state.shape(shape)).reason();
            self.queue.note_unfit(shape, nodes, reason);
            reason
        })
    }

    pub(crate) fn ask(&self, id: TaskId) -> Ask<'_> {
        let task = self.state.task(id).unwrap_or_else(|| panic!("{id}: asked for, but unknown"));
        Ask { id, task, shape: self.state.shape(task.shape), now: self.now }
    }

    pub(crate) fn next_task(
        &mut self,
        now: Instant,
        makes_room: bool,
        actions: &mut Vec<Action>,
    ) -> Option<TaskId> {
        loop {
            let (place, shape, id) = self.queue.head()?;
            if self.rules.unfit == Unfit::WaitAtHead
                && self.queue.head_asleep().is_some_and(|it| it < place)
            {
                return None;
            }
            if self.queue.known_unfit(shape, self.state.nodes()).is_some() {
                self.unfit(now, id, actions);
            } else if !makes_room && self.queue.is_closed(shape, &self.state) {
                self.queue.sleep(shape);
            } else {
                return Some(id);
            }
        }
    }

    pub(crate) fn passes_over(&self, id: TaskId) -> bool {
        let waits =
            |it: &&crate::state::Task| it.phase == Phase::Pending && it.parked.get().is_none();
        self.state.task(id).filter(waits).is_some_and(|it| {
            let knows = self.queue.is_asleep(it.shape)
                || self.queue.known_unfit(it.shape, self.state.nodes()).is_some();
            knows && self.queue.has(self.place_of(id).0, it.shape)
        })
    }

    pub(crate) fn place(
        &mut self,
        now: Instant,
        id: TaskId,
        node: NodeId,
        devices: DeviceSet,
        actions: &mut Vec<Action>,
    ) {
        let ask = self.ask(id);
        assert!(
            self.can_take(&ask, node, devices),
            "{id}: the scheduler chose {node}, which cannot take it"
        );
        let place = Place::of(self.rules.order, ask.task, ask.shape);
        let (shape, until) = (ask.task.shape, ask.task.parked.get());
        self.take_out(place, shape, until, id);
        let task = self.state.place(id, node, devices, now);
        task.parked = Until::NONE;
        let (facts, attempt) = (task.facts(id), task.attempts);
        actions.push(Action::Start { task: id, node, attempt, devices });
        self.changes.push(Change::Placed { task: facts, node });
    }

    /// Whether the node can take the task on these devices.
    pub(crate) fn accepts(&self, id: TaskId, node: NodeId, devices: DeviceSet) -> bool {
        self.can_take(&self.ask(id), node, devices)
    }

    fn can_take(&self, ask: &Ask<'_>, node: NodeId, devices: DeviceSet) -> bool {
        let Ask { task, shape, .. } = *ask;
        let there = self.state.nodes().devices(node);
        self.state.nodes().fits(shape, node)
            && devices.count() == u32::from(shape.gpu_count)
            && devices.iter().all(|it| there.get(it).is_some_and(|it| device_fits(shape, it)))
            && Company::of(&self.state, task).is_none_or(|it| it.allows(node).is_ok())
    }

    pub(crate) fn place_gang(
        &mut self,
        now: Instant,
        gang: &[(TaskId, NodeId, DeviceSet)],
        actions: &mut Vec<Action>,
    ) -> bool {
        // Booked one by one on the real ledger, so that members that share a node count each other;
        // taken back if one of them does not fit.
        let mut booked = 0;
        for &(id, node, devices) in gang {
            if !self.accepts(id, node, devices) {
                break;
            }
            let shape = self.place_of(id).1;
            let shape = self.state.shape(shape).clone();
            self.state.nodes.take(node, &shape, devices);
            booked += 1;
        }
        for &(id, node, devices) in &gang[..booked] {
            let shape = self.place_of(id).1;
            let shape = self.state.shape(shape).clone();
            self.state.nodes.undo_take(node, &shape, devices);
        }
        if booked < gang.len() {
            return false;
        }
        for &(id, node, devices) in gang {
            self.place(now, id, node, devices, actions);
        }
        true
    }

    pub(crate) fn unfit(&mut self, now: Instant, id: TaskId, actions: &mut Vec<Action>) {
        let (place, shape) = self.place_of(id);
        let nodes = self.state.nodes();
        let reason = self.queue.known_unfit(shape, nodes).unwrap_or_else(|| {
            let refusal = Refusal::count(nodes, self.state.shape(shape));
            assert_eq!(refusal.fitting, 0, "{id}: called unfit, but {refusal}");
            self.queue.note_unfit(shape, nodes, refusal.reason());
            refusal.reason()
        });
        match self.rules.unfit {
            Unfit::WaitAndLetPass | Unfit::WaitAtHead => self.queue.sleep(shape),
            Unfit::Drop => self.reject(id, reason, actions),
            Unfit::Retry { first, max, factor_permille, tries } => {
                let task = self.state.task_mut(id).unwrap_or_else(|| panic!("{id}: unknown"));
                task.failures += 1;
                let failures = task.failures;
                if tries > 0 && failures >= tries {
                    self.reject(id, reason, actions);
                } else {
                    let delay = Unfit::delay(first, max, factor_permille, failures);
                    // A delay of nothing would try for ever within one instant.
                    self.park_at(place, id, now + delay.max(Span(1)));
                }
            }
        }
    }

    pub(crate) fn hold_back(&mut self, id: TaskId) {
        let (place, shape) = self.place_of(id);
        self.dequeue(id);
        if let Some(task) = self.state.task_mut(id) {
            task.parked = Until::NONE;
        }
        self.queue.set_aside(place, shape, id);
    }

    pub(crate) fn hold_back_alike(&mut self, id: TaskId) {
        let (_, shape) = self.place_of(id);
        self.queue.hold(shape);
    }

    pub(crate) fn park(&mut self, id: TaskId, until: Instant) {
        let (place, _) = self.place_of(id);
        self.park_at(place, id, until);
    }

    pub(crate) fn park_at(&mut self, place: Place, id: TaskId, until: Instant) {
        self.dequeue(id);
        if let Some(task) = self.state.task_mut(id) {
            task.parked = Some(until).into();
        }
        self.queue.park(until, place, id);
    }

    pub(crate) fn reject(&mut self, id: TaskId, reason: HoldReason, actions: &mut Vec<Action>) {
        self.dequeue(id);
        let facts = self.ask(id).task.facts(id);
        self.state.forget(id);
        actions.push(Action::Drop { task: id, reason });
        self.changes.push(Change::Ended { task: facts, node: None, how: Ending::Dropped(reason) });
        self.left(self.now, id, facts.group, true);
    }

    pub(crate) fn evict(
        &mut self,
        now: Instant,
        id: TaskId,
        then: Then,
        actions: &mut Vec<Action>,
    ) {
        let facts = self.ask(id).task.facts(id);
        let reason = match then {
            Then::Requeue => StopReason::Evicted,
            Then::Kill => StopReason::Killed,
        };
        let node = self.stop(id, reason, actions);
        self.changes.push(Change::Interrupted { task: facts, node });
        match then {
            Then::Requeue => self.enqueue(now, id),
            Then::Kill => {
                self.state.forget(id);
                self.changes.push(Change::Ended {
                    task: facts,
                    node: Some(node),
                    how: Ending::Evicted,
                });
                self.left(now, id, facts.group, false);
            }
        }
    }

    pub(crate) fn wake(&mut self, at: Instant) {
        self.wakes.insert(at);
    }
}
