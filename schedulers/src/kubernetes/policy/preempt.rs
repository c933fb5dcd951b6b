//! Room for what matters more: tasks of lower priority go back to the queue.
//!
//! Candidates, victims and choice are those of [`preemption`](crate::kubernetes::preemption); what only our
//! ledger knows (shares and models of GPUs) is asked beside the filters, and a limit on tasks of a kind is not
//! got round by it. Victims leave at once, so that no node has to be promised: the task is placed on it in the
//! same decision.
//!
//! The queue shows no task whose shape is known to fit nowhere. One of higher priority than others may still
//! make room for itself, so those that wait are kept here, too, alike ones together, and tried again when a
//! node has changed on which they would fit if all less important tasks left it. That test is exact for tasks
//! without rules about others; those with rules are tried in every decision.

use super::Kubernetes;
use super::columns::asks_amounts_alone;
use super::mirror::{Mirror, News};
use super::translate;
use crate::kubernetes::cluster::Budget;
use crate::kubernetes::explain::Status;
use crate::kubernetes::filters::{Prepared, check_with_nominated};
use crate::kubernetes::labels::{Requirement, Selector};
use crate::kubernetes::pod::PodId;
use crate::kubernetes::preemption::{Ways, best, dry_run_among};
use crate::kubernetes::profile::Filter;
use cluster::chance::Chance;
use cluster::company::{Broken, Company};
use cluster::demand::Resource;
use cluster::event::{Change, Ending, Facts};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{Device, Nodes};
use cluster::scheduler::{Ask, Desk, Then};
use cluster::shape::Shape;
use cluster::state::{State, Task};
use cluster::units::Instant;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Tasks for which the same nodes can be cleared; the highest priority comes first.
type Alike = (Reverse<i32>, DefinitionId, Option<GroupId>);

/// Tasks that wait and are more important than some other. What is here follows from the state, or is known
/// not to help.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    lines: BTreeMap<Alike, Line>,
    /// The lowest priority of any task so far.
    lowest: Option<i32>,
    /// Tasks wait that are not here.
    is_stale: bool,
    /// Some task failed to start: nodes may be avoided for a while, which their versions do not tell.
    has_failed: bool,
    /// The version of each node, and of who is there at all, when a decision was last over; none if nobody
    /// waited then.
    seen: Vec<u64>,
    membership: u64,
    /// How many of the mirror's news those versions know of; a scheduler made anew reads all.
    #[serde(skip)]
    heard: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// By age.
    tasks: BTreeSet<(Instant, TaskId)>,
    /// It is to be tried, or was not tried yet.
    is_new: bool,
}

impl Line {
    fn untried() -> Self {
        Self { tasks: BTreeSet::new(), is_new: true }
    }
}

impl Waiting {
    pub(super) fn observe(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Queued { task } => {
                    let alike = (Reverse(task.priority), task.definition, task.group);
                    self.note(alike, (task.submitted, task.task));
                }
                Change::Adopted { task, .. } => self.lower_to(task.priority),
                Change::Placed { task, .. } => self.forget(task),
                Change::Ended { task, how, .. } => {
                    self.has_failed |= matches!(how, Ending::FailedToStart(_));
                    self.forget(task);
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, alike: Alike, task: (Instant, TaskId)) {
        let priority = alike.0.0;
        self.lower_to(priority);
        if self.lowest.is_some_and(|it| it < priority) {
            // One more of those that were tried will not fare better.
            let line = self.lines.entry(alike).or_insert_with(Line::untried);
            line.tasks.insert(task);
        }
    }

    fn lower_to(&mut self, priority: i32) {
        if self.lowest.is_none_or(|it| priority < it) {
            // Those of the priority that was lowest were not kept.
            self.is_stale |= self.lowest.is_some();
            self.lowest = Some(priority);
        }
    }

    fn forget(&mut self, task: &Facts) {
        let alike = (Reverse(task.priority), task.definition, task.group);
        let Some(line) = self.lines.get_mut(&alike) else { return };
        line.tasks.remove(&(task.submitted, task.task));
        if line.tasks.is_empty() {
            self.lines.remove(&alike);
        }
    }

    /// Notes who is to be tried because of these nodes: also those who are in line themselves now, or for whom
    /// nobody could leave yet, since both may change before their turn comes.
    fn note_changes(&mut self, rows: &[usize], state: &State, mirror: &Mirror) {
        let nodes = state.nodes();
        let all = self.has_failed && self.membership != nodes.membership();
        self.membership = nodes.membership();
        let mut tried = self.lines.iter_mut().filter(|it| !it.1.is_new).peekable();
        if tried.peek().is_none() {
            return;
        }
        // What changed before the last decision was over has been looked at.
        let is_news =
            |row: &usize| self.seen.get(*row) != Some(&nodes.version(NodeId(*row as u32)));
        let changed: Vec<NodeId> =
            rows.iter().filter(|it| is_news(it)).map(|&it| NodeId(it as u32)).collect();
        for (&alike, line) in tried {
            let could_clear = |&it: &NodeId| could_clear(state, mirror, alike, it);
            line.is_new = all || changed.iter().any(could_clear);
        }
    }

    /// Notes, when a decision is over, that all changes so far have been looked at.
    pub(super) fn note_seen(&mut self, nodes: &Nodes, news: &News) {
        self.membership = nodes.membership();
        if self.lines.is_empty() {
            self.seen.clear();
            self.heard = None;
            return;
        }
        match self.heard.and_then(|it| news.since(it)) {
            Some(rows) if self.seen.len() == nodes.len() => {
                for &row in rows {
                    self.seen[row as usize] = nodes.version(NodeId(row));
                }
            }
            _ => {
                self.seen.clear();
                self.seen.extend(nodes.ids().map(|it| nodes.version(it)));
            }
        }
        self.heard = Some(news.count());
    }

    /// Whether some of a task's like were tried, and nothing has changed since that may help them.
    fn knows_not_to_help(&self, task: &Task, state: &State) -> bool {
        let line = self.lines.get(&alike(task));
        line.is_some_and(|it| !it.is_new) && !has_rules(task.definition, state)
    }

    fn tried(&mut self, alike: Alike) {
        if let Some(line) = self.lines.get_mut(&alike) {
            line.is_new = false;
        }
    }

    /// Whether some task that waits matters more than the least important one that is placed.
    pub(super) fn may_help(&self, lowest_placed: Option<i32>) -> bool {
        let highest = self.lines.keys().next().map(|it| it.0.0);
        self.is_stale || highest > lowest_placed && lowest_placed.is_some()
    }
}

fn alike(task: &Task) -> Alike {
    (Reverse(task.priority), task.definition, task.group)
}

/// Which tasks would have to leave which node for a task.
pub(super) struct Room {
    pub(super) node: NodeId,
    pub(super) victims: Vec<TaskId>,
    /// The stream after what was drawn for this.
    chance: Chance,
}

impl Kubernetes {
    /// Makes room for tasks that the queue passes over. `true` if any was placed.
    pub(super) fn place_those_passed_over(&mut self, desk: &mut Desk<'_>) -> bool {
        let mut changed = std::mem::take(&mut self.mirror.changed);
        if !self.preempts {
            return false;
        }
        if self.waiting.is_stale {
            let state = desk.state();
            let pending = desk.pending().into_iter().chain(desk.parked());
            let pending: Vec<(TaskId, &Task)> =
                pending.filter_map(|it| Some((it, state.task(it)?))).collect();
            let priorities = pending.iter().map(|it| it.1.priority);
            let lowest = priorities.chain(self.mirror.lowest_priority()).min();
            let has_failed = self.waiting.has_failed;
            self.waiting = Waiting { lowest, has_failed, ..Waiting::default() };
            for (id, task) in pending {
                self.waiting.note(alike(task), (task.submitted, id));
            }
        }
        if self.waiting.lines.is_empty() {
            return false;
        }
        changed.sort_unstable();
        changed.dedup();
        self.waiting.note_changes(&changed, desk.state(), &self.mirror);
        let (mut tried, mut placed) = (BTreeSet::new(), false);
        while let Some((line, task)) = self.next_to_try(desk, &tried) {
            if self.make_room(task, desk) {
                placed = true;
            } else {
                tried.insert(line);
                self.waiting.tried(line);
            }
        }
        placed
    }

    /// The first task for which it may be worth while, by priority and age.
    fn next_to_try(&self, desk: &Desk<'_>, tried: &BTreeSet<Alike>) -> Option<(Alike, TaskId)> {
        let lowest = self.mirror.lowest_priority()?;
        let state = desk.state();
        let mut found: Option<(Reverse<i32>, Instant, TaskId, Alike)> = None;
        for (&alike, line) in &self.waiting.lines {
            if alike.0.0 <= lowest || found.is_some_and(|it| it.0 < alike.0) {
                break;
            }
            let is_due = line.is_new || has_rules(alike.1, state);
            if !is_due || tried.contains(&alike) {
                continue;
            }
            let mut passed_over = line.tasks.iter().filter(|it| desk.passes_over(it.1));
            if let Some(&(since, task)) = passed_over.next() {
                let this = (alike.0, since, task, alike);
                found = Some(found.map_or(this, |it| it.min(this)));
            }
        }
        found.map(|it| (it.3, it.2))
    }

    /// Sends less important tasks of some node back to the queue, so that the task fits there, and places it.
    pub(super) fn make_room(&mut self, id: TaskId, desk: &mut Desk<'_>) -> bool {
        let (ask, state) = (desk.ask(id), desk.state());
        if self.mirror.changed.is_empty() && self.waiting.knows_not_to_help(ask.task, state) {
            return false;
        }
        let Some(Room { node, victims, chance }) = self.room(ask, state) else { return false };
        self.chance = chance;
        self.has_evicted = true;
        for victim in victims {
            desk.evict(victim, Then::Requeue);
            self.mirror.left(node, desk.state());
            if let Some(task) = desk.state().task(victim) {
                self.waiting.note(alike(task), (task.submitted, victim));
            }
        }
        let (ask, state) = (desk.ask(id), desk.state());
        let company = Company::of(state, ask.task);
        let is_free =
            state.nodes().fits(ask.shape, node) && company.is_none_or(|it| it.allows(node).is_ok());
        let devices = state.nodes().best_fit_devices(ask.shape, node);
        let Some(devices) = devices.filter(|_| is_free) else { return false };
        self.place(id, node, devices, desk);
        true
    }

    /// It was tried and no room found.
    pub(super) fn note_no_room(&mut self, task: &Task) {
        self.waiting.tried(alike(task));
    }

    /// The same with the devices that the task is given then.
    pub(super) fn room_and_devices(
        &mut self,
        ask: Ask<'_>,
        state: &State,
    ) -> Option<(Room, Vec<usize>)> {
        let room = self.room(ask, state)?;
        let gone: Vec<&Task> = room.victims.iter().filter_map(|it| state.task(*it)).collect();
        let mut devices = match ask.shape.gpu_count {
            0 => Vec::new(),
            _ => devices_without(state, ask.shape, room.node, &gone),
        };
        devices.truncate(usize::from(ask.shape.gpu_count));
        devices.sort_unstable();
        Some((room, devices))
    }

    /// Looks for a node from which tasks of lower priority have to leave for the task.
    pub(super) fn room(&mut self, ask: Ask<'_>, state: &State) -> Option<Room> {
        let (id, priority, nodes) = (ask.id, ask.task.priority, state.nodes());
        if !self.preempts || self.mirror.lowest_priority().is_none_or(|it| it >= priority) {
            return None;
        }
        let pod = self.mirror.pod(id, ask.task, state);
        self.mirror.serve(ask.task, state);
        self.mirror.cluster.budgets = budgets(state);
        let (profile, cluster) = (&self.profile, &self.mirror.cluster);
        let prepared = Prepared::new(profile, cluster, &pod).ok()?;
        let company = Company::of(state, ask.task);
        // What does not change by who leaves, or is not Kubernetes'.
        let is_out = |node| {
            let mut broken = company.iter().flat_map(|it| it.broken(node));
            broken.any(|it| matches!(it, Broken::Limit { .. } | Broken::NoDomain { .. }))
        };
        // Nothing else can be wrong with such a node then than that others are there.
        let is_about_others = asks_amounts_alone(profile, nodes, &pod, ask.shape);
        let may_help = |row: usize| {
            let node = NodeId(row as u32);
            let is_in_question = || {
                let there = cluster.node(row);
                check_with_nominated(&prepared, cluster, row, there, there.used())
                    .map_or_else(|why| why.status() == Status::Unschedulable, |()| true)
            };
            debug_assert!(
                !is_about_others
                    || !nodes.ready()[row]
                    || !nodes.could_fit(ask.shape, node)
                    || is_in_question(),
                "row {row}"
            );
            nodes.ready()[row]
                && nodes.could_fit(ask.shape, node)
                && !is_out(node)
                && (is_about_others || is_in_question())
        };
        let walk = cluster.walk();
        let from = self.next_start.checked_rem(walk.len()).unwrap_or(0);
        let in_order = walk[from..].iter().chain(&walk[..from]).copied();
        let rows: Vec<usize> = in_order.filter(|&row| may_help(row)).collect();
        if rows.is_empty() {
            return None;
        }
        // Drawn from the stream only if something comes of it: what waits is tried more than once.
        let mut chance = self.chance.clone();
        let offset = chance.below(rows.len() as u64) as usize;
        let holds = |row: usize, gone: &[PodId]| {
            let gone = gone.iter().map(|it| TaskId(it.0));
            holds(state, ask.shape, NodeId(row as u32), gone)
        };
        let asked = &pod.shape.requests;
        let asked = [asked.cpu_milli, asked.memory_bytes, asked.ephemeral_bytes];
        let counts = profile.filters.contains(&Filter::NodeResourcesFit);
        let may_hold = |row: usize| {
            let Some(lower) = self.mirror.held_below(row, priority) else { return false };
            let node = cluster.node(row);
            let (offered, taken) = (&node.allocatable, &node.used().requested);
            let left = [
                offered.cpu_milli - taken.cpu_milli,
                offered.memory_bytes - taken.memory_bytes,
                offered.ephemeral_bytes - taken.ephemeral_bytes,
            ];
            !counts || (0..3).all(|it| asked[it] <= 0 || asked[it] <= left[it] + lower[it])
        };
        let ways = Ways { may_hold, holds };
        let candidates = dry_run_among(profile, cluster, &pod, &rows, offset, ways);
        let candidate = match best(&candidates)[..] {
            [] => return None,
            [only] => &candidates[only],
            ref several => &candidates[several[chance.below(several.len() as u64) as usize]],
        };
        let node = NodeId(candidate.row as u32);
        let victims = candidate.victims.iter().map(|it| TaskId(it.id.0)).collect();
        Some(Room { node, victims, chance })
    }
}

/// Whether it depends on tasks elsewhere which nodes a task may have.
pub(super) fn has_rules(definition: DefinitionId, state: &State) -> bool {
    !state.keeping_apart().is_empty() || state.definition(definition).constraints.has_hard_company()
}

/// Whether such a task would fit if all less important ones left the node.
fn could_clear(state: &State, mirror: &Mirror, alike: Alike, node: NodeId) -> bool {
    let (nodes, row) = (state.nodes(), node.row());
    let shape = state.shape(state.shape_of(alike.1));
    // Mostly there is not even enough of something.
    let taken = &mirror.cluster.node(row).used().requested;
    let taken = [taken.cpu_milli, taken.memory_bytes, taken.ephemeral_bytes];
    let lower = mirror.held_below(row, alike.0.0).unwrap_or_default();
    let lacks = |it: Resource| {
        let has = nodes.free(it)[row] + lower[it.row()] as u64;
        // The mirror's amounts are the ledger's, but for those that are too large for it.
        taken[it.row()] < translate::AMOUNT_MAX && shape.amounts[it.row()] > has
    };
    let is_short = Resource::SCALARS.into_iter().any(lacks);
    debug_assert!(!is_short || !holds_without(state, shape, alike, node), "{node}");
    !is_short && holds_without(state, shape, alike, node)
}

/// Whether a node would take such a task if all less important ones left it.
fn holds_without(state: &State, shape: &Shape, alike: Alike, node: NodeId) -> bool {
    let nodes = state.nodes();
    let is_lower = |it: &TaskId| state.task(*it).is_some_and(|it| it.priority < alike.0.0);
    nodes.ready()[node.row()]
        && nodes.could_fit(shape, node)
        && holds(state, shape, node, state.tasks_on(node).iter().copied().filter(is_lower))
}

/// Whether the ledger would take a task on a ready node if these tasks left it.
fn holds(state: &State, shape: &Shape, node: NodeId, gone: impl Iterator<Item = TaskId>) -> bool {
    let (nodes, row) = (state.nodes(), node.row());
    let mut held = Resource::SCALARS.map(|it| nodes.held(it)[row]);
    let mut ports = nodes.held_ports(node).to_vec();
    let gone: Vec<&Task> = gone.filter_map(|it| state.task(it)).collect();
    for task in &gone {
        let theirs = state.shape(task.shape);
        held.iter_mut().zip(theirs.amounts).for_each(|(held, it)| *held -= it);
        ports.retain(|it| !theirs.ports.contains(it));
    }
    let has_room = Resource::SCALARS.into_iter().all(|it| {
        let (asked, held) = (shape.amounts[it.row()], held[it.row()]);
        asked <= nodes.allocatable(it)[row].saturating_sub(held)
    });
    let is_taken = |port| ports.contains(port) || nodes.taken_ports(node).contains(port);
    has_room
        && (shape.gpu_count == 0
            || devices_without(state, shape, node, &gone).len() >= usize::from(shape.gpu_count))
        && !shape.ports.iter().any(is_taken)
        && shape.avoids.binary_search(&node).is_err()
}

/// The devices that would do if these tasks left the node, those with the least left first.
fn devices_without(state: &State, shape: &Shape, node: NodeId, gone: &[&Task]) -> Vec<usize> {
    let mut devices = state.nodes().devices(node).to_vec();
    for task in gone {
        for device in task.placement().iter().flat_map(|it| it.devices.iter()) {
            devices[device].held.0 -= state.shape(task.shape).gpu_milli.0;
        }
    }
    let will_do = |it: &&(usize, Device)| {
        let device = &it.1;
        device.free() >= shape.gpu_milli
            && (shape.gpu_models.is_empty() || shape.gpu_models.contains(&device.model))
    };
    let devices: Vec<(usize, Device)> = devices.into_iter().enumerate().collect();
    let mut free: Vec<_> = devices.iter().filter(will_do).map(|it| (it.1.free(), it.0)).collect();
    free.sort_unstable();
    free.into_iter().map(|it| it.1).collect()
}

fn budgets(state: &State) -> Vec<Budget> {
    let budget = |it: &cluster::constraint::Budget| Budget {
        namespace: it.namespace.clone(),
        selector: Selector::all_of(it.select.iter().map(Requirement::from).collect()),
        allowed: i64::from(state.disruptions_allowed(it)),
        disrupted: BTreeSet::new(),
    };
    state.budgets().map(budget).collect()
}
