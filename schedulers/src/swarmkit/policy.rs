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
//! Cost: as many draws as there are nodes for a task or a group, and a pass over columns of them; with a spread, over
//! the nodes themselves.

mod explain;
#[cfg(test)]
mod plain;

use crate::card::Card;
use crate::fitting::{Fitting, Rows};
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::best_fit_devices;
use crate::swarmkit::failures::WINDOW_US;
use crate::swarmkit::group::{Ranked, schedule_ranked};
use crate::swarmkit::levels::Levels;
use crate::swarmkit::model::{Node, Resources, Service, Spec, Spread, State as Known};
use crate::swarmkit::order::Rank;
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
use std::collections::{BTreeSet, VecDeque};
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
    walk: Walk,
}

impl SwarmKit {
    fn new(seed: u64) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        let (failures, fresh) = (Vec::new(), Vec::new());
        Self { chance, failures, fresh, mirror: None, walk: Walk::default() }
    }
}

impl Scheduler for SwarmKit {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let now_us = desk.now().0;
        let Self { chance, failures, fresh, mirror, walk } = self;
        let mirror = mirror.get_or_insert_with(|| Mirror::of(desk.state(), failures));
        let over = |it: &&(u64, Failure)| now_us.saturating_sub(it.0) > WINDOW_US;
        let over = failures.iter().take_while(over).count();
        failures.drain(..over).for_each(|it| mirror.forget(it.1));
        for failure in fresh.drain(..) {
            failures.push((now_us, failure));
            mirror.record(now_us, failure);
        }
        while let Some(task) = desk.head() {
            let ask = desk.ask(task);
            let is_alone = match mirror.mark(ask, desk.state()) {
                Room::Fits { is_alone } => is_alone,
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
            let batch = hold_batch(desk, task, mirror, is_alone);
            let placed = mirror.schedule(&spec, batch.len(), now_us, chance, walk);
            for (&task, row) in batch.iter().zip(placed) {
                let node = NodeId(row as u32);
                let (ask, nodes) = (desk.ask(task), desk.state().nodes());
                if nodes.fits(ask.shape, node) {
                    let devices = best_fit_devices(ask, node, nodes);
                    desk.place(task, node, devices);
                    mirror.seats.insert(task, Seat { row, spec: Arc::clone(&spec) });
                } else {
                    mirror.remove(row, &spec);
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
        *self = Self { chance, failures, fresh, mirror: None, walk: Walk::default() };
        Ok(())
    }
}

/// Holds back the head and those of its service and definition that come right after it, as many as there
/// is room for. All of them will be placed, unless the profile rejects what fits.
fn hold_batch(desk: &mut Desk<'_>, head: TaskId, mirror: &Mirror, is_alone: bool) -> Vec<TaskId> {
    let mut room = mirror.count_room(desk.ask(head), desk.state());
    let ask = desk.ask(head);
    let like = (ask.task.group, ask.task.definition, ask.task.shape);
    desk.hold_back(head);
    let mut batch = vec![head];
    while !is_alone && room.is_for(batch.len() + 1, mirror, desk.state()) {
        let Some(next) = desk.head() else { break };
        let task = desk.ask(next).task;
        if (task.group, task.definition, task.shape) != like {
            break;
        }
        desk.hold_back(next);
        batch.push(next);
    }
    batch
}

/// How much room there is for tasks like one, counted as far as somebody asked.
struct Counted {
    amounts: [u64; 3],
    group: Option<GroupId>,
    replicas_max: u32,
    /// The rows before it are counted.
    row: usize,
    room: usize,
}

impl Counted {
    /// Whether there is room for so many.
    fn is_for(&mut self, tasks: usize, mirror: &Mirror, state: &State) -> bool {
        let nodes = state.nodes();
        while self.room < tasks && self.row < nodes.len() {
            let row = self.row;
            self.row += 1;
            if mirror.fits.has(row) {
                let times = Resource::SCALARS
                    .into_iter()
                    .filter_map(|it| nodes.free(it)[row].checked_div(self.amounts[it.row()]));
                let times = times.min().unwrap_or(u64::MAX) as usize;
                let group = self.group.and_then(|it| state.group(it));
                let there = group.map_or(0, |it| it.on_node(NodeId(row as u32)));
                self.room =
                    self.room.saturating_add(times.min((self.replicas_max - there) as usize));
            }
        }
        self.room >= tasks
    }
}

/// Where a task is.
#[derive(Debug)]
struct Seat {
    row: usize,
    spec: Arc<Spec>,
}

/// Buffers that are kept from decision to decision.
#[derive(Debug, Default)]
struct Walk {
    /// All rows, in the order of this decision.
    order: Vec<u32>,
    /// Those that are as good as any.
    best: Rows,
}

impl Walk {
    fn draw(&mut self, nodes: usize, chance: &mut Chance) {
        self.order.clear();
        self.order.extend(0..nodes as u32);
        chance.shuffle(&mut self.order);
    }

    /// Those of the rows that are in a set.
    fn of(&self, kept: &Rows) -> impl Iterator<Item = usize> {
        self.order.iter().map(|it| *it as usize).filter(|it| kept.has(*it))
    }
}

/// The nodes as the profile sees them.
#[derive(Debug, Default)]
struct Mirror {
    /// By [`NodeId::row`].
    nodes: Vec<Node>,
    /// What each offers, tasks or none.
    offered: Vec<Resources>,
    /// What each is ranked by, as if nothing of a service were there and nothing had failed; but see
    /// [`Mirror::rank_for`].
    ranks: Vec<Rank>,
    /// Nodes by how many tasks they have.
    levels: Levels,
    /// Where the tasks of a service are: rows, ascending, with how many.
    services: IdMap<Service, Vec<(usize, u32)>>,
    /// Where versions of services failed of late, oldest first.
    failed: IdMap<(Service, u64), VecDeque<usize>>,
    /// Rows of nodes that are below zero in something.
    in_debt: BTreeSet<usize>,
    seats: IdMap<TaskId, Seat>,
    /// Of tasks that have a seat.
    specs: IdMap<(Service, u64), Arc<Spec>>,
    /// Attributes that are labels of the nodes, since something is spread over them.
    labels: Vec<String>,
    fitting: Fitting,
    /// Where the task at hand may go.
    fits: Rows,
}

/// Whether there is room for a task.
enum Room {
    /// There is.
    Fits {
        /// Others like it have to wait for what becomes of it.
        is_alone: bool,
    },
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
        let row = failure.node.row();
        self.nodes[row].failures.record(service, version, at_us);
        self.failed.get_or_insert_with((service, version), VecDeque::new).push_back(row);
    }

    /// The oldest failure is too long ago.
    fn forget(&mut self, failure: Failure) {
        let key = service_of(failure.group, failure.definition);
        if let Some(rows) = self.failed.get_mut(&key) {
            rows.pop_front();
            if rows.is_empty() {
                self.failed.remove(&key);
            }
        }
    }

    fn remove(&mut self, row: usize, spec: &Spec) {
        self.nodes[row].remove(spec, true);
        self.ranks[row].tasks -= 1;
        self.levels.set(row, self.ranks[row].tasks);
        let rows = self.services.get_mut(&spec.service).expect("its task was counted");
        let at = rows.binary_search_by_key(&row, |it| it.0).expect("its task was counted here");
        rows[at].1 -= 1;
        if rows[at].1 == 0 {
            rows.remove(at);
            if rows.is_empty() {
                self.services.remove(&spec.service);
            }
        }
        self.note_debt(row);
    }

    /// A task of the service is on the node, which knows it already.
    fn count(&mut self, row: usize, service: Service) {
        self.levels.set(row, self.ranks[row].tasks);
        let rows = self.services.get_or_insert_with(service, Vec::new);
        match rows.binary_search_by_key(&row, |it| it.0) {
            Ok(at) => rows[at].1 += 1,
            Err(at) => rows.insert(at, (row, 1)),
        }
        self.note_debt(row);
    }

    fn note_debt(&mut self, row: usize) {
        if owes(&self.nodes[row]) == [0; 3] {
            self.in_debt.remove(&row);
        } else {
            self.in_debt.insert(row);
        }
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
                    self.remove(row, &spec);
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
            self.ranks.resize(row + 1, Rank::default());
        }
        self.levels.set(row, self.ranks[row].tasks);
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
        self.note_debt(row);
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
        self.ranks[row].tasks += 1;
        self.count(row, spec.service);
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

    /// Finds out where the task may go.
    fn mark(&mut self, ask: Ask<'_>, state: &State) -> Room {
        let Self { fitting, fits, .. } = self;
        fits.clone_from(fitting.rows(ask.task.shape, ask.shape, state.nodes()));
        if fits.is_empty() {
            return Room::None;
        }
        let Ask { task, shape, .. } = ask;
        let is_single = task.group.is_none() || shape.gpu_count > 0 || !shape.ports.is_empty();
        let Some(company) = Company::of(state, ask.task) else {
            return Room::Fits { is_alone: is_single };
        };
        fits.retain(|row| company.allows(NodeId(row as u32)).is_ok());
        if fits.is_empty() {
            return Room::Kept;
        }
        // The first changes what the rules about other tasks say of the second.
        let asked = &state.definition(ask.task.definition).constraints;
        let is_bound = !is_limit_alone(asked) || !state.keeping_apart().is_empty();
        Room::Fits { is_alone: is_single || is_bound }
    }

    /// Nothing is counted yet.
    fn count_room(&self, ask: Ask<'_>, state: &State) -> Counted {
        let asked = &state.definition(ask.task.definition).constraints;
        // The profile minds it itself while it places a group.
        let group = ask.task.group.filter(|_| is_limit_alone(asked));
        let replicas_max = group.and_then(|_| replicas_max(asked)).unwrap_or(u32::MAX);
        Counted { amounts: ask.shape.amounts, group, replicas_max, row: 0, room: 0 }
    }

    /// Places so many tasks where they [may go](Mirror::mark), and counts them.
    fn schedule(
        &mut self,
        spec: &Spec,
        tasks: usize,
        now_us: u64,
        chance: &mut Chance,
        walk: &mut Walk,
    ) -> Vec<usize> {
        walk.draw(self.nodes.len(), chance);
        self.rank_for(spec, now_us);
        let debts = self.forgive();
        let mut order = |places: &mut [usize]| chance.shuffle(places);
        let placed = if spec.spread.is_empty() {
            let least = self.keep_best(spec, &mut walk.best);
            let Self { nodes, ranks, fits, .. } = self;
            let mut run = |rows: &mut dyn Iterator<Item = usize>| {
                let site = Ranked { nodes, ranks, least };
                schedule_ranked(site, rows, spec, tasks, &mut order, &mut ()).nodes
            };
            let one = match tasks {
                1 => run(&mut walk.of(&walk.best).take(1)),
                _ => Vec::new(),
            };
            // For one only if the profile rejects what the ledger takes for fitting.
            if one.is_empty() { run(&mut walk.of(fits)) } else { one }
        } else {
            for (row, node) in self.nodes.iter_mut().enumerate() {
                node.state = if self.fits.has(row) { Known::Ready } else { Known::Down };
            }
            let rows = walk.order.iter().map(|it| *it as usize);
            let Self { nodes, ranks, .. } = self;
            let site = Ranked { nodes, ranks, least: Rank::default() };
            let placed = schedule_ranked(site, rows, spec, tasks, &mut order, &mut ()).nodes;
            self.nodes.iter_mut().for_each(|it| it.state = Known::Ready);
            placed
        };
        self.claim(debts);
        self.unrank(spec);
        for &row in &placed {
            let Rank { failures, of_service, .. } = &mut self.ranks[row];
            (*failures, *of_service) = (0, 0);
            self.count(row, spec.service);
        }
        placed
    }

    /// Finds the best nodes where the task may go, and their rank. The ranks are [made](Self::rank_for).
    fn keep_best(&self, spec: &Spec, best: &mut Rows) -> Rank {
        let Self { ranks, services, failed, levels, fits, .. } = self;
        best.clone_from(fits);
        for &(row, _) in services.get(&spec.service).into_iter().flatten() {
            best.set(row, false);
        }
        for &row in failed.get(&(spec.service, spec.version)).into_iter().flatten() {
            best.set(row, best.has(row) && ranks[row].failures == 0);
        }
        if let Some(tasks) = levels.keep_fewest(best) {
            return Rank { tasks, ..Rank::default() };
        }
        let least = fits.iter().map(|it| ranks[it]).min().unwrap_or_default();
        best.clone_from(fits);
        best.retain(|row| ranks[row] == least);
        least
    }

    /// Makes the ranks those for tasks of this spec.
    fn rank_for(&mut self, spec: &Spec, now_us: u64) {
        let Self { nodes, ranks, services, failed, .. } = self;
        for &(row, tasks) in services.get(&spec.service).into_iter().flatten() {
            ranks[row].of_service = tasks;
        }
        for &row in failed.get(&(spec.service, spec.version)).into_iter().flatten() {
            ranks[row] = Rank::of(&nodes[row], spec, now_us);
        }
    }

    /// Undoes [`Mirror::rank_for`].
    fn unrank(&mut self, spec: &Spec) {
        let Self { ranks, services, failed, .. } = self;
        for &(row, _) in services.get(&spec.service).into_iter().flatten() {
            ranks[row].of_service = 0;
        }
        for &row in failed.get(&(spec.service, spec.version)).into_iter().flatten() {
            ranks[row].failures = 0;
        }
    }

    /// Makes nodes where the task may go owe nothing; says what they owed.
    ///
    /// The profile rejects nodes that are below zero in something that the task does not even ask for; the
    /// ledger takes such tasks.
    fn forgive(&mut self) -> Vec<(usize, [i64; 3])> {
        let mut debts = Vec::new();
        for &row in self.in_debt.iter().filter(|it| self.fits.has(**it)) {
            let owes = owes(&self.nodes[row]);
            debts.push((row, owes));
            change(&mut self.nodes[row].available, owes.map(|it| -it));
        }
        debts
    }

    fn claim(&mut self, debts: Vec<(usize, [i64; 3])>) {
        for (row, owes) in debts {
            change(&mut self.nodes[row].available, owes);
        }
    }
}

/// What a node is below zero, by resource.
fn owes(node: &Node) -> [i64; 3] {
    let Resources { nano_cpus, memory_bytes, generic } = &node.available;
    let disk = generic.get(DISK).copied().unwrap_or(0);
    [*nano_cpus, *memory_bytes, disk].map(|it| it.min(0))
}

fn change(available: &mut Resources, [nano_cpus, memory_bytes, disk]: [i64; 3]) {
    available.nano_cpus += nano_cpus;
    available.memory_bytes += memory_bytes;
    if let Some(it) = available.generic.get_mut(DISK) {
        *it += disk;
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
    use super::plain::Plain;
    use super::*;
    use crate::swarm::stories::{Checked, Forgetful, Story, steps, told};
    use cluster::event::{Report, StartFailure};
    use proptest::prelude::*;

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
            assert_eq!(mirror.ranks, anew.ranks);
            assert_eq!(mirror.in_debt, anew.in_debt);
            assert_eq!(mirror.levels.of, anew.levels.of);
            assert_eq!(mirror.services.len(), anew.services.len());
            assert_eq!(mirror.failed.len(), anew.failed.len());
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

    proptest! {
        #[test]
        fn columns_decide_as_passes_over_the_nodes(
            steps in steps(),
            keeps_apart: bool,
            every in 2..9usize,
        ) {
            let anew = || SwarmKit::new(1);
            let fast = Forgetful { inner: anew(), anew, every, decisions: 0 };
            let plain = Plain(SwarmKit::new(1));
            let nodes = (0..3).map(|it| [4000 + it * 1000, 1 << 33, 1 << 33]);
            prop_assert_eq!(
                told(fast, keeps_apart, nodes.clone(), &steps),
                told(plain, keeps_apart, nodes, &steps)
            );
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
