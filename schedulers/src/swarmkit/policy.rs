//! The policy `swarmkit`: the real scheduler's decisions, made on a mirror of the cluster.
//!
//! A service is a group; a task without one belongs to a service of its definition. Tasks of one service and
//! definition that wait next to each other are placed together, as many as there is room for; tasks with GPUs
//! or host ports, and those without a group, one at a time. What the profile looks at (CPU, memory, and disk
//! as a generic resource) is mirrored; the rest of [`Nodes::fits`](cluster::nodes::Nodes::fits) is told to it as nodes that are down.
//!
//! A soft spread of a task's own group is a placement preference: a level of the spread tree over that attribute.
//! A limit of the group on one node is its maximum of replicas. All other rules about other tasks are told as nodes
//! that are down, to one task at a time.
//!
//! Differs: tasks of a group that others stand between in the queue are placed apart; nodes take no part in it
//! by platforms or plugins, whose place is taken by required attributes; a node that holds more than it has counts as full rather than below zero.
//!
//! Cost: a few passes over the nodes for a task or a group, and as many draws as there are nodes.

mod explain;

use crate::card::Card;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::best_fit_devices;
use crate::swarmkit::failures::WINDOW_US;
use crate::swarmkit::group::schedule;
use crate::swarmkit::model::{Node, Resources, Service, Spec, Spread, State as Known};
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::constraint::{Constraints, Limit, Strength, Who};
use cluster::demand::Resource;
use cluster::event::{Change, Ending, Facts};
use cluster::explain::{Explanation, Question};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::NODE;
use cluster::scheduler::{Ask, BadMemory, Desk, Scheduler};
use cluster::state::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "swarmkit",
    summary: "Docker's SwarmKit: the fewest tasks of the service, then the fewest tasks; five failures \
              keep a node last",
    source: "swarmkit 3e72cb64, manager/scheduler",
    differs: "no platforms or plugins; preferences are soft spreads of the task's own group, and other soft wishes \
              are not seen; a group is placed together only while no other task stands between; what fits is the \
              ledger's word",
    cost: "a few passes over the nodes a task or group, and a draw a node",
    parameters: &[],
    example: "swarmkit",
};

/// Reads the arguments of a policy; there are none.
///
/// # Errors
///
/// Never.
pub fn plan(_arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    Ok(Plan::new(|seed| Box::new(SwarmKit::new(seed))))
}

/// The generic resource that stands for disk.
const DISK: &str = "disk";

/// A failure that counts against a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    node: NodeId,
    group: Option<GroupId>,
    definition: DefinitionId,
}

/// The scheduler. Its memory is the random stream and the failures of the last five minutes.
#[derive(Debug)]
pub struct SwarmKit {
    chance: Chance,
    /// With their moments in microseconds, oldest first.
    failures: Vec<(u64, Failure)>,
    /// Told of since the last decision, which gives them its moment.
    fresh: Vec<Failure>,
    /// `None` until the first decision.
    mirror: Option<Mirror>,
}

impl SwarmKit {
    fn new(seed: u64) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        Self { chance, failures: Vec::new(), fresh: Vec::new(), mirror: None }
    }
}

impl Scheduler for SwarmKit {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let now_us = desk.now().0;
        let mirror = self.mirror.get_or_insert_with(|| Mirror::of(desk.state(), &self.failures));
        self.failures.retain(|it| now_us.saturating_sub(it.0) <= WINDOW_US);
        for failure in self.fresh.drain(..) {
            self.failures.push((now_us, failure));
            mirror.record(now_us, failure);
        }
        let mut order = |places: &mut [usize]| self.chance.shuffle(places);
        while let Some(task) = desk.head() {
            let ask = desk.ask(task);
            let room = match mirror.mark(ask, desk.state()) {
                Room::Fits(room) => room,
                Room::Kept => {
                    desk.hold_back(task);
                    continue;
                }
                Room::None => {
                    desk.unfit(task);
                    continue;
                }
            };
            let spec = mirror.spec(ask.task.group, ask.task.definition, desk.state());
            let batch = hold_batch(desk, task, room);
            let placed = mirror.without_debts(|nodes| {
                schedule(nodes, &spec, batch.len(), now_us, &mut order, &mut ()).nodes
            });
            for (&task, row) in batch.iter().zip(placed) {
                let node = NodeId(row as u32);
                let (ask, nodes) = (desk.ask(task), desk.state().nodes());
                if nodes.fits(ask.shape, node) {
                    let devices = best_fit_devices(ask, node, nodes);
                    desk.place(task, node, devices);
                    mirror.seats.insert(task, Seat { row, spec: Arc::clone(&spec) });
                } else {
                    mirror.nodes[row].remove(&spec, true);
                }
            }
            mirror.drop_unused(&spec);
        }
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        for change in changes {
            if let Change::Ended { task, node: Some(node), how } = *change
                && matches!(how, Ending::Exited { code: 1.. | ..=-1 } | Ending::FailedToStart(_))
            {
                let Facts { group, definition, .. } = task;
                self.fresh.push(Failure { node, group, definition });
            }
            if let Some(mirror) = &mut self.mirror {
                mirror.follow(change, state);
            }
        }
    }

    /// Failures are to be known by their moment.
    fn wants_every_instant(&self) -> bool {
        !self.fresh.is_empty()
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn memory(&self) -> Vec<u8> {
        let memory = (CARD.name, &self.chance, &self.failures, &self.fresh);
        postcard::to_stdvec(&memory).expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        type Memory = (String, Chance, Vec<(u64, Failure)>, Vec<Failure>);
        let (name, rest) = postcard::take_from_bytes::<String>(memory).map_err(|_| BadMemory)?;
        if name != CARD.name || rest.is_empty() {
            return Err(BadMemory);
        }
        let ((_, chance, failures, fresh), rest): (Memory, _) =
            postcard::take_from_bytes(memory).map_err(|_| BadMemory)?;
        if !rest.is_empty() {
            return Err(BadMemory);
        }
        *self = Self { chance, failures, fresh, mirror: None };
        Ok(())
    }
}

/// Holds back the head and those of its service and definition that come right after it, as many as there
/// is room for. All of them will be placed, unless the profile rejects what fits.
fn hold_batch(desk: &mut Desk<'_>, head: TaskId, room: usize) -> Vec<TaskId> {
    let ask = desk.ask(head);
    let (group, definition, shape) = (ask.task.group, ask.task.definition, ask.task.shape);
    let is_alone = group.is_none() || ask.shape.gpu_count > 0 || !ask.shape.ports.is_empty();
    desk.hold_back(head);
    let mut batch = vec![head];
    while !is_alone && batch.len() < room {
        let Some(next) = desk.head() else { break };
        let task = desk.ask(next).task;
        if (task.group, task.definition, task.shape) != (group, definition, shape) {
            break;
        }
        desk.hold_back(next);
        batch.push(next);
    }
    batch
}

/// Where a task is.
#[derive(Debug)]
struct Seat {
    row: usize,
    spec: Arc<Spec>,
}

/// The nodes as the profile sees them. Their [`Node::state`] is set before every decision and means nothing
/// after it.
#[derive(Debug, Default)]
struct Mirror {
    /// By [`NodeId::row`].
    nodes: Vec<Node>,
    /// What each offers, tasks or none.
    offered: Vec<Resources>,
    seats: IdMap<TaskId, Seat>,
    /// Of tasks that have a seat.
    specs: IdMap<(Service, u64), Arc<Spec>>,
    /// Attributes that are labels of the nodes, since something is spread over them.
    labels: Vec<String>,
}

/// How much room there is for a task.
enum Room {
    /// For so many of its like.
    Fits(usize),
    /// It fits, but rules about other tasks keep it out.
    Kept,
    /// It fits nowhere.
    None,
}

impl Mirror {
    fn of(state: &State, failures: &[(u64, Failure)]) -> Self {
        let mut mirror = Self::default();
        for node in state.nodes().ids() {
            mirror.offer(node, state);
            for &id in state.tasks_on(node) {
                if let Some(task) = state.task(id) {
                    mirror.seat(id, task.group, task.definition, node, state);
                }
            }
        }
        for &(at_us, failure) in failures {
            mirror.record(at_us, failure);
        }
        mirror
    }

    fn record(&mut self, at_us: u64, failure: Failure) {
        let (service, version) = service_of(failure.group, failure.definition);
        self.nodes[failure.node.row()].failures.record(service, version, at_us);
    }

    fn follow(&mut self, change: &Change, state: &State) {
        match *change {
            Change::NodeReady { node } | Change::NodeUpdated { node } => self.offer(node, state),
            // One's own placements have their seats already.
            Change::Placed { task, node } | Change::Adopted { task, node }
                if !self.seats.contains(&task.task) =>
            {
                self.seat(task.task, task.group, task.definition, node, state);
            }
            Change::Interrupted { task, .. } | Change::Ended { task, .. } => {
                if let Some(Seat { row, spec }) = self.seats.remove(&task.task) {
                    self.nodes[row].remove(&spec, true);
                    self.drop_unused(&spec);
                }
            }
            _ => {}
        }
    }

    /// Takes over what a node offers now; a new node has its row made.
    fn offer(&mut self, node: NodeId, state: &State) {
        let row = node.row();
        if row >= self.nodes.len() {
            let disk = || [(DISK.to_owned(), 0)].into();
            self.nodes.resize_with(row + 1, || Node {
                available: Resources { generic: disk(), ..Resources::default() },
                ..Node::default()
            });
            self.offered
                .resize_with(row + 1, || Resources { generic: disk(), ..Resources::default() });
        }
        let offered = resources(Resource::SCALARS.map(|it| state.nodes().allocatable(it)[row]));
        let (before, available) = (&mut self.offered[row], &mut self.nodes[row].available);
        available.nano_cpus += offered.nano_cpus - before.nano_cpus;
        available.memory_bytes += offered.memory_bytes - before.memory_bytes;
        if let Some(disk) = available.generic.get_mut(DISK) {
            *disk += offered.generic[DISK] - before.generic[DISK];
        }
        *before = offered;
        for name in &self.labels {
            label(&mut self.nodes[row], node, name, state);
        }
    }

    fn seat(
        &mut self,
        id: TaskId,
        group: Option<GroupId>,
        definition: DefinitionId,
        node: NodeId,
        state: &State,
    ) {
        let spec = self.spec(group, definition, state);
        let row = node.row();
        self.nodes[row].add(&spec, true);
        self.seats.insert(id, Seat { row, spec });
    }

    fn spec(
        &mut self,
        group: Option<GroupId>,
        definition: DefinitionId,
        state: &State,
    ) -> Arc<Spec> {
        let (service, version) = service_of(group, definition);
        let spec = self.specs.get_or_insert_with((service, version), || {
            let mut reservations = resources(state.shape(state.shape_of(definition)).amounts);
            reservations.generic.retain(|_, it| *it > 0);
            let asked = &state.definition(definition).constraints;
            let soft = asked.spread.iter().filter(|it| !it.is_hard && it.who == Who::Group);
            let spread = soft.map(|it| Spread::NodeLabel(it.domain.clone())).collect();
            let max_replicas = group.and_then(|_| replicas_max(asked)).map_or(0, u64::from);
            Arc::new(Spec {
                service,
                version,
                reservations,
                spread,
                max_replicas,
                ..Spec::default()
            })
        });
        let spec = Arc::clone(spec);
        for it in &spec.spread {
            if let Spread::NodeLabel(name) = it
                && !self.labels.contains(name)
            {
                for (row, node) in self.nodes.iter_mut().enumerate() {
                    label(node, NodeId(row as u32), name, state);
                }
                self.labels.push(name.clone());
            }
        }
        spec
    }

    /// Forgets a spec, held by the caller once, if no task has it.
    fn drop_unused(&mut self, spec: &Arc<Spec>) {
        if Arc::strong_count(spec) == 2 {
            self.specs.remove(&(spec.service, spec.version));
        }
    }

    /// Tells the profile where the task may go.
    fn mark(&mut self, ask: Ask<'_>, state: &State) -> Room {
        let nodes = state.nodes();
        let company = Company::of(state, ask.task);
        let asked = &state.definition(ask.task.definition).constraints;
        // The profile minds it itself while it places a group.
        let group = ask.task.group.filter(|_| is_limit_alone(asked));
        let replicas_max = group.and_then(|_| replicas_max(asked)).unwrap_or(u32::MAX);
        let (mut room, mut is_kept) = (0usize, false);
        for (row, node) in self.nodes.iter_mut().enumerate() {
            let id = NodeId(row as u32);
            let mut fits = nodes.fits(ask.shape, id);
            if fits && company.as_ref().is_some_and(|it| it.allows(id).is_err()) {
                (fits, is_kept) = (false, true);
            }
            node.state = if fits { Known::Ready } else { Known::Down };
            if fits {
                let times = Resource::SCALARS
                    .into_iter()
                    .filter_map(|it| nodes.free(it)[row].checked_div(ask.shape.amounts[it.row()]));
                let there = group.and_then(|it| state.group(it)).map_or(0, |it| it.on_node(id));
                let times = times.min().unwrap_or(u64::MAX) as usize;
                room = room.saturating_add(times.min((replicas_max - there) as usize));
            }
        }
        match room {
            0 if is_kept => Room::Kept,
            0 => Room::None,
            // The first changes what the rules about other tasks say of the second.
            _ if company.is_some() && (group.is_none() || !state.keeping_apart().is_empty()) => {
                Room::Fits(1)
            }
            _ => Room::Fits(room),
        }
    }

    /// Calls `schedule` with nodes that owe nothing.
    ///
    /// The profile rejects nodes that are below zero in something that the task does not even ask for; the
    /// ledger takes such tasks.
    fn without_debts(&mut self, schedule: impl FnOnce(&mut [Node]) -> Vec<usize>) -> Vec<usize> {
        let mut debts = Vec::new();
        for (row, node) in self.nodes.iter_mut().enumerate() {
            let available = &mut node.available;
            let disk = available.generic.get_mut(DISK);
            let owes =
                [available.nano_cpus, available.memory_bytes, disk.as_ref().map_or(0, |it| **it)]
                    .map(|it| it.min(0));
            if node.state == Known::Ready && owes != [0; 3] {
                debts.push((row, owes));
                available.nano_cpus -= owes[0];
                available.memory_bytes -= owes[1];
                if let Some(disk) = disk {
                    *disk -= owes[2];
                }
            }
        }
        let placed = schedule(&mut self.nodes);
        for (row, owes) in debts {
            let available = &mut self.nodes[row].available;
            available.nano_cpus += owes[0];
            available.memory_bytes += owes[1];
            if let Some(disk) = available.generic.get_mut(DISK) {
                *disk += owes[2];
            }
        }
        placed
    }
}

/// The most tasks of its group that it allows on a node.
fn replicas_max(asked: &Constraints) -> Option<u32> {
    let limits = asked.limits.iter().filter(|it| is_of_replicas(it));
    limits.map(|it| it.max).filter(|it| *it > 0).min()
}

fn is_of_replicas(it: &Limit) -> bool {
    it.domain == NODE && it.who == Who::Group
}

/// Whether the task's own rules about other tasks are such limits only.
fn is_limit_alone(asked: &Constraints) -> bool {
    asked.limits.iter().all(is_of_replicas)
        && asked.affinity.iter().all(|it| it.strength != Strength::Hard)
        && asked.spread.iter().all(|it| !it.is_hard)
}

/// Gives a node that attribute as a label; a missing one stays missing.
fn label(node: &mut Node, id: NodeId, name: &str, state: &State) {
    if let Some(value) = state.nodes().text(id, name) {
        node.labels.insert(name.to_owned(), value.to_owned());
    }
}

/// The service of a task, and the version of its spec.
fn service_of(group: Option<GroupId>, definition: DefinitionId) -> (Service, u64) {
    let (id, odd) = group.map_or((definition.0, 1), |it| (it.0, 0));
    let service = id.checked_mul(2).expect("fewer than 2^31 groups and definitions") + odd;
    (Service(service), u64::from(definition.0) + 1)
}

/// Amounts, cut to 2^36 thousandths of a core and 2^56 bytes, so that sums stay within bounds.
fn resources([cpu, memory, disk]: [u64; 3]) -> Resources {
    let bytes = |it: u64| it.min(1 << 56) as i64;
    Resources {
        nano_cpus: cpu.min(1 << 36) as i64 * 1_000_000,
        memory_bytes: bytes(memory),
        generic: [(DISK.to_owned(), bytes(disk))].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::stories::{Checked, Story, steps};
    use cluster::event::{Report, StartFailure};
    use proptest::proptest;

    /// What the profile looks at, row by row.
    fn shown(mirror: &Mirror) -> Vec<String> {
        let node = |it: &Node| {
            format!("{:?} {} {:?}", it.available, it.active_tasks, it.active_by_service)
        };
        mirror.nodes.iter().map(node).collect()
    }

    fn compare(scheduler: &SwarmKit, state: &State) {
        if let Some(mirror) = &scheduler.mirror {
            let anew = Mirror::of(state, &scheduler.failures);
            assert_eq!(shown(mirror), shown(&anew));
            assert_eq!(mirror.offered, anew.offered);
            assert_eq!(mirror.seats.len(), anew.seats.len());
            assert_eq!(mirror.specs.len(), anew.specs.len());
        }
    }

    fn story(nodes: usize, cores: u64) -> Story {
        let mut story = Story::new(Box::new(Checked { inner: SwarmKit::new(1), compare }));
        (0..nodes).for_each(|_| story.join([cores * 1000, 1 << 40, 1 << 40]));
        story
    }

    proptest! {
        #[test]
        fn the_mirror_is_that_of_the_state(steps in steps()) {
            let mut story = story(2, 4);
            steps.iter().for_each(|it| story.step(*it));
        }
    }

    #[test]
    fn a_group_that_waits_is_spread_at_once() {
        let mut story = story(3, 8);
        let tasks: Vec<TaskId> = (0..6).map(|_| story.submit(0, Some(1))).collect();
        story.decide();
        let mut rows: Vec<usize> = tasks.iter().map(|&it| story.row(it).unwrap()).collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_group_without_room_for_all_leaves_the_last_ones() {
        let mut story = story(2, 3);
        let others = story.submit(1, Some(2));
        let tasks: Vec<TaskId> = (0..6).map(|_| story.submit(0, Some(1))).collect();
        story.decide();
        assert!(story.row(others).is_some());
        let placed: Vec<bool> = tasks.iter().map(|&it| story.row(it).is_some()).collect();
        assert_eq!(placed, [true, true, true, true, true, false]);
    }

    #[test]
    fn ports_are_the_ledgers() {
        let mut story = story(3, 8);
        let tasks: Vec<TaskId> = (0..4).map(|_| story.submit(2, Some(1))).collect();
        story.decide();
        assert_eq!(tasks.iter().filter(|&&it| story.row(it).is_some()).count(), 3);
    }

    #[test]
    fn five_failures_put_a_node_last() {
        let fail = Report::Failed { why: StartFailure::Other };
        let exit = Report::Exited { code: 1 };
        for (report, failures, want) in [
            (exit, 4, false),
            (exit, 5, true),
            (fail, 5, true),
            (Report::Exited { code: 0 }, 9, false),
        ] {
            let mut story = story(1, 8);
            for _ in 0..failures {
                let task = story.submit(0, Some(1));
                story.decide();
                if report != fail {
                    story.report(task, Report::Started);
                }
                story.report(task, report);
                story.decide();
            }
            story.join([8000, 1 << 40, 1 << 40]);
            // Without failures the emptier node is the better one.
            let other = story.submit(1, None);
            story.decide();
            let row = story.row(other).unwrap();
            let more = (0..2).map(|_| {
                let task = story.submit(0, Some(1));
                story.decide();
                story.row(task).unwrap()
            });
            let is_avoided = more.collect::<Vec<_>>() == [1, 1];
            assert_eq!(is_avoided, want, "{report:?} {failures} {row}");
        }
    }
}
