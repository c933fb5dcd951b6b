//! The state of the cluster: nodes, definitions, shapes, tasks and groups. Schedulers and observers
//! read it; only the manager writes it.

use crate::alive_map::AliveMap;
use crate::constraint::{Bound, Budget, Side, Strength, all_hold};
use crate::demand::{Demand, Port, TaskDefinition};
use crate::event::{Facts, OnLoss, Submission, TaskKind};
use crate::few::Few;
use crate::id_map::IdMap;
use crate::ids::{DefinitionId, GroupId, NodeId, ShapeId, TaskId, ZoneId};
use crate::nodes::{DeviceSet, Nodes, Overcommit, Totals};
use crate::service::Service;
use crate::shape::Shape;
use crate::units::{GpuMilli, Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task that waits or is placed. Ended tasks are forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[repr(align(64))]
pub struct Task {
    /// What it consists of.
    pub definition: DefinitionId,
    /// What it asks for.
    pub shape: ShapeId,
    /// What it is counted together with.
    pub group: Option<GroupId>,
    /// Service or job.
    pub kind: TaskKind,
    /// Higher is more important.
    pub priority: i32,
    /// How long its user says that it will run.
    pub estimate: Option<Span>,
    /// What becomes of it when its node is lost.
    pub on_loss: OnLoss,
    /// When it was submitted or adopted.
    pub submitted: Instant,
    /// When it last joined the queue.
    pub queued: Instant,
    /// How often it was placed.
    pub attempts: u32,
    /// Failures in a row, for back-off.
    pub(crate) failures: u32,
    /// Until when it is kept out of line, if it is parked.
    pub(crate) parked: Until,
    /// Submission number; the last word in every queue order.
    pub sequence: u64,
    /// Whether it was found rather than placed.
    pub adopted: bool,
    /// Where it stands.
    pub phase: Phase,
}

/// A moment or none, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Instant>", into = "Option<Instant>")]
pub(crate) struct Until(u64);

impl Until {
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) fn get(self) -> Option<Instant> {
        (self != Self::NONE).then_some(Instant(self.0))
    }
}

impl From<Option<Instant>> for Until {
    fn from(until: Option<Instant>) -> Self {
        until.map_or(Self::NONE, |it| Self(it.0))
    }
}

impl From<Until> for Option<Instant> {
    fn from(until: Until) -> Self {
        until.get()
    }
}

/// In a list of no more tasks, looking for one costs less than to tell another where it stands now.
const LIST_SHORT: usize = 128;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In the queue.
    Pending,
    /// On a node, starting or running.
    Placed(Placement),
}

/// A task's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Where.
    pub node: NodeId,
    /// Which GPU devices it holds.
    pub devices: DeviceSet,
    /// Since when.
    pub at: Instant,
    /// Since when it runs.
    pub started: Option<Instant>,
    /// What its health checks last said, if they said anything.
    pub is_healthy: Option<bool>,
    /// Where it came to stand in the node's list of tasks. It may stand elsewhere by now, but then further to the
    /// front than [`LIST_SHORT`].
    slot: u32,
}

impl Task {
    /// Its place, if it has one.
    #[inline]
    pub fn placement(&self) -> Option<&Placement> {
        match &self.phase {
            Phase::Pending => None,
            Phase::Placed(placement) => Some(placement),
        }
    }

    #[inline]
    pub(crate) fn facts(&self, task: TaskId) -> Facts {
        let placement = self.placement();
        Facts {
            task,
            definition: self.definition,
            group: self.group,
            kind: self.kind,
            priority: self.priority,
            submitted: self.submitted,
            queued: self.queued,
            placed: placement.map(|it| it.at),
            started: placement.and_then(|it| it.started),
            attempts: self.attempts,
            adopted: self.adopted,
        }
    }
}

/// Where the tasks of a group are. Kept while at least one is placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    placed: u32,
    on_nodes: Few<(NodeId, u32), 3>,
    in_zones: Few<u32, 4>,
}

impl Group {
    /// Number of placed tasks.
    pub fn placed(&self) -> u32 {
        self.placed
    }

    /// Nodes with at least one of its tasks, ascending, with how many.
    pub fn on_nodes(&self) -> &[(NodeId, u32)] {
        &self.on_nodes
    }

    /// How many of its tasks are on a node.
    pub fn on_node(&self, node: NodeId) -> u32 {
        match self.on_nodes.binary_search_by_key(&node, |it| it.0) {
            Ok(at) => self.on_nodes[at].1,
            Err(_) => 0,
        }
    }

    /// How many of its tasks are in a zone.
    pub fn in_zone(&self, zone: ZoneId) -> u32 {
        self.in_zones.get(zone.row()).copied().unwrap_or(0)
    }

    fn add(&mut self, node: NodeId, zone: ZoneId) {
        self.placed += 1;
        match self.on_nodes.binary_search_by_key(&node, |it| it.0) {
            Ok(at) => self.on_nodes[at].1 += 1,
            Err(at) => self.on_nodes.insert(at, (node, 1)),
        }
        while self.in_zones.len() <= zone.row() {
            self.in_zones.insert(self.in_zones.len(), 0);
        }
        self.in_zones[zone.row()] += 1;
    }

    fn remove(&mut self, node: NodeId, zone: ZoneId) {
        let at = self
            .on_nodes
            .binary_search_by_key(&node, |it| it.0)
            .unwrap_or_else(|_| panic!("{node}: a task leaves that its group never counted"));
        self.placed -= 1;
        self.in_zones[zone.row()] -= 1;
        self.on_nodes[at].1 -= 1;
        if self.on_nodes[at].1 == 0 {
            self.on_nodes.remove(at);
        }
    }
}

/// Everything a scheduler may look at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Nodes in columns.
    pub(crate) nodes: Nodes,
    definitions: Vec<(TaskDefinition, ShapeId)>,
    shapes: Vec<Shape>,
    shape_ids: IdMap<Demand, ShapeId>,
    /// Where the tasks of each definition are, once a definition has rules about other tasks.
    by_definition: Option<Vec<Group>>,
    /// Definitions whose tasks want to be apart from others, and bind those by that.
    keeping_apart: Vec<DefinitionId>,
    /// By name.
    pub(crate) budgets: BTreeMap<String, Budget>,
    tasks: AliveMap<TaskId, Task>,
    on_node: Vec<Vec<TaskId>>,
    groups: AliveMap<GroupId, Group>,
    pending: u64,
    pub(crate) services: BTreeMap<GroupId, Service>,
}

impl State {
    pub(crate) fn new(overcommit: Overcommit) -> Self {
        Self { nodes: Nodes::new(overcommit), ..Self::default() }
    }

    /// Nodes in columns.
    #[inline]
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The task, if it waits or is placed.
    #[inline]
    pub fn task(&self, task: TaskId) -> Option<&Task> {
        self.tasks.get(task)
    }

    /// Number of tasks that wait or are placed.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Number of tasks that wait, parked ones included.
    #[inline]
    pub fn pending_count(&self) -> u64 {
        self.pending
    }

    /// Tasks placed on a node, in no particular but always the same order.
    pub fn tasks_on(&self, node: NodeId) -> &[TaskId] {
        self.on_node.get(node.row()).map_or(&[], Vec::as_slice)
    }

    /// The group's counts; `None` while none of its tasks is placed.
    #[inline]
    pub fn group(&self, group: GroupId) -> Option<&Group> {
        self.groups.get(group)
    }

    /// All services, in id order.
    pub fn services(&self) -> impl Iterator<Item = (GroupId, &Service)> {
        self.services.iter().map(|(&id, it)| (id, it))
    }

    /// A service, if there is one.
    pub fn service(&self, service: GroupId) -> Option<&Service> {
        self.services.get(&service)
    }

    /// A definition as it was put.
    pub fn definition(&self, definition: DefinitionId) -> &TaskDefinition {
        &self.definitions[definition.row()].0
    }

    /// Number of definitions put so far.
    pub fn definition_count(&self) -> usize {
        self.definitions.len()
    }

    /// The shape of a definition's tasks.
    #[inline]
    pub fn shape_of(&self, definition: DefinitionId) -> ShapeId {
        self.definitions[definition.row()].1
    }

    /// A shape.
    #[inline]
    pub fn shape(&self, shape: ShapeId) -> &Shape {
        &self.shapes[shape.row()]
    }

    /// Number of different shapes so far.
    pub fn shape_count(&self) -> usize {
        self.shapes.len()
    }

    /// Definitions whose tasks others have to keep away from.
    pub fn keeping_apart(&self) -> &[DefinitionId] {
        &self.keeping_apart
    }

    /// Where the tasks of a definition are.
    ///
    /// # Panics
    ///
    /// If no definition has a hard rule about other tasks: then nobody counts.
    pub fn placed_of(&self, definition: DefinitionId) -> &Group {
        let counts = self.by_definition.as_ref().expect("counted since a definition had rules");
        &counts[definition.row()]
    }

    /// Disruption budgets, by name.
    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.values()
    }

    /// How many tasks of a budget may be taken away now: those that are placed beyond what it keeps. Wanted are as
    /// many as its services desire, and what else of it is placed.
    pub fn disruptions_allowed(&self, budget: &Budget) -> u32 {
        let is_meant = |it: DefinitionId| {
            let spec = self.definition(it);
            spec.namespace == budget.namespace && all_hold(&budget.select, &spec.labels)
        };
        let definitions = (0..self.definitions.len() as u32).map(DefinitionId);
        let placed: u32 =
            definitions.filter(|it| is_meant(*it)).map(|it| self.placed_of(it).placed).sum();
        let services = self.services.iter().filter(|it| is_meant(it.1.spec.definition));
        let missing: u32 = services
            .map(|(id, it)| {
                it.spec.desired.saturating_sub(self.group(*id).map_or(0, |it| it.placed))
            })
            .sum();
        match budget.bound {
            Bound::AvailableMin(least) => placed.saturating_sub(least),
            Bound::UnavailableMax(most) => most.saturating_sub(missing),
        }
    }

    pub(crate) fn put_budget(&mut self, budget: &Budget) {
        if self.by_definition.is_none() {
            self.count_by_definition();
        }
        self.budgets.insert(budget.name.clone(), budget.clone());
    }

    fn count_by_definition(&mut self) {
        let mut counts = vec![Group::default(); self.definitions.len()];
        for (row, tasks) in self.on_node.iter().enumerate() {
            for task in tasks.iter().filter_map(|it| self.tasks.get(*it)) {
                counts[task.definition.row()].add(NodeId(row as u32), self.nodes.zones()[row]);
            }
        }
        self.by_definition = Some(counts);
    }

    /// Registers a definition.
    ///
    /// # Panics
    ///
    /// If `definition` is not the next free id: the driver counts them.
    pub(crate) fn put_definition(&mut self, definition: DefinitionId, spec: TaskDefinition) {
        assert_eq!(definition.row(), self.definitions.len(), "{definition}: not the next id");
        let demand = spec.demand();
        let shape = match self.shape_ids.get(&demand) {
            Some(&shape) => shape,
            None => {
                let shape =
                    ShapeId(u32::try_from(self.shapes.len()).expect("fewer than 2^32 shapes"));
                let resolved = self.resolve(&demand);
                self.shapes.push(resolved);
                self.shape_ids.insert(demand, shape);
                shape
            }
        };
        let constraints = &spec.constraints;
        let mut hard = constraints.affinity.iter().filter(|it| it.strength == Strength::Hard);
        if hard.any(|it| it.side == Side::Apart) {
            self.keeping_apart.push(definition);
        }
        let is_counted = constraints.has_hard_company();
        self.definitions.push((spec, shape));
        match &mut self.by_definition {
            Some(counts) => counts.push(Group::default()),
            None if is_counted => self.count_by_definition(),
            None => {}
        }
    }

    /// The shape of the definition's next tasks, shared with no other definition, so that what is learnt
    /// of it holds for no other.
    pub(crate) fn own_shape(&mut self, definition: DefinitionId) -> ShapeId {
        let (_, shape) = self.definitions[definition.row()];
        let demand = &self.shapes[shape.row()].demand;
        if self.shape_ids.get(demand) != Some(&shape) {
            return shape;
        }
        let own = ShapeId(u32::try_from(self.shapes.len()).expect("fewer than 2^32 shapes"));
        self.shapes.push(self.shapes[shape.row()].clone());
        self.definitions[definition.row()].1 = own;
        own
    }

    /// Keeps a shape off a node, or no longer. `true` if that changed anything.
    pub(crate) fn avoid(&mut self, shape: ShapeId, node: NodeId, avoid: bool) -> bool {
        let shape = &mut self.shapes[shape.row()];
        let changed = match (shape.avoids.binary_search(&node), avoid) {
            (Err(at), true) => {
                shape.avoids.insert(at, node);
                true
            }
            (Ok(at), false) => {
                shape.avoids.remove(at);
                true
            }
            _ => false,
        };
        shape.is_plain = shape.asks_plainly();
        if changed {
            self.nodes.note_membership(!avoid);
        }
        changed
    }

    pub(crate) fn turn(&mut self, id: TaskId, is_healthy: bool) {
        if let Some(Phase::Placed(placement)) = self.tasks.get_mut(id).map(|it| &mut it.phase) {
            placement.is_healthy = Some(is_healthy);
        }
    }

    fn resolve(&mut self, demand: &Demand) -> Shape {
        let gpu_models = demand.gpus.models.iter().map(|it| self.nodes.intern_model(it)).collect();
        let requires = demand.requires.iter().map(|it| self.nodes.resolve(it)).collect();
        let any_of = demand.any_of.iter();
        let any_of =
            any_of.map(|all| all.iter().map(|it| self.nodes.resolve(it)).collect()).collect();
        let mut shape = Shape {
            amounts: demand.amounts.array(),
            gpu_count: demand.gpus.count,
            gpu_milli: demand.gpus.milli,
            gpu_models,
            ports: demand.ports.clone(),
            is_plain: false,
            requires,
            any_of,
            avoids: Vec::new(),
            demand: demand.clone(),
        };
        shape.is_plain = shape.asks_plainly();
        shape
    }

    /// Adds a task, pending.
    ///
    /// # Panics
    ///
    /// If its id is in use or its definition was never put.
    pub(crate) fn add_task(&mut self, now: Instant, submission: &Submission, sequence: u64) {
        let id = submission.task;
        assert!(
            submission.definition.row() < self.definitions.len(),
            "{id}: {} was never put",
            submission.definition
        );
        let task = Task {
            definition: submission.definition,
            shape: self.shape_of(submission.definition),
            group: submission.group,
            kind: submission.kind,
            priority: submission.priority,
            estimate: submission.estimate,
            on_loss: submission.on_loss,
            submitted: now,
            queued: now,
            attempts: 0,
            failures: 0,
            parked: Until::NONE,
            sequence,
            adopted: false,
            phase: Phase::Pending,
        };
        assert!(self.tasks.insert(id, task).is_some(), "{id}: submitted twice");
        self.pending += 1;
    }

    #[inline]
    pub(crate) fn task_mut(&mut self, task: TaskId) -> Option<&mut Task> {
        self.tasks.get_mut(task)
    }

    /// A task and what it asks for.
    ///
    /// # Panics
    ///
    /// If the task is unknown.
    pub(crate) fn task_and_shape_mut(&mut self, id: TaskId) -> (&mut Task, &Shape) {
        let task = self.tasks.get_mut(id).unwrap_or_else(|| panic!("{id}: unknown"));
        let shape = &self.shapes[task.shape.row()];
        (task, shape)
    }

    /// Takes a pending task out for good.
    pub(crate) fn forget(&mut self, id: TaskId) -> Task {
        let task = self.tasks.remove(id).unwrap_or_else(|| panic!("{id}: unknown"));
        assert!(task.phase == Phase::Pending, "{id}: forgotten while placed");
        self.pending -= 1;
        task
    }

    /// Books a pending task on a node, and shows it.
    ///
    /// # Panics
    ///
    /// If the task is unknown or already placed.
    pub(crate) fn place(
        &mut self,
        id: TaskId,
        node: NodeId,
        devices: DeviceSet,
        now: Instant,
    ) -> &mut Task {
        let task = self.tasks.get_mut(id).unwrap_or_else(|| panic!("{id}: placed, but unknown"));
        assert!(task.phase == Phase::Pending, "{id}: placed twice");
        self.on_node.resize_with(self.nodes.len(), Vec::new);
        let list = &mut self.on_node[node.row()];
        task.phase = Phase::Placed(Placement {
            node,
            devices,
            at: now,
            started: None,
            is_healthy: None,
            slot: u32::try_from(list.len()).expect("fewer than 2^32 tasks on a node"),
        });
        task.attempts += 1;
        task.failures = 0;
        list.push(id);
        self.pending -= 1;
        self.nodes.take(node, &self.shapes[task.shape.row()], devices);
        let zone = self.nodes.zones()[node.row()];
        if let Some(group) = task.group {
            self.groups.get_or_insert_with(group, Group::default).add(node, zone);
        }
        if let Some(counts) = &mut self.by_definition {
            counts[task.definition.row()].add(node, zone);
        }
        task
    }

    /// Notes that a placed task runs. `false` if it did already.
    pub(crate) fn start(&mut self, id: TaskId, now: Instant) -> bool {
        let task = self.tasks.get_mut(id).unwrap_or_else(|| panic!("{id}: starts, but unknown"));
        let Phase::Placed(placement) = &mut task.phase else {
            panic!("{id}: starts, but is not placed");
        };
        if placement.started.is_some() {
            return false;
        }
        placement.started = Some(now);
        let (node, devices) = (placement.node, placement.devices);
        self.nodes.count_running(node, &self.shapes[task.shape.row()], devices, true);
        true
    }

    /// Takes a placed task off its node; it is pending again, and its old place is returned.
    ///
    /// # Panics
    ///
    /// If the task is unknown or not placed.
    pub(crate) fn release(&mut self, id: TaskId) -> Placement {
        let task = self.tasks.get_mut(id).unwrap_or_else(|| panic!("{id}: released, but unknown"));
        let Phase::Placed(placement) = task.phase else {
            panic!("{id}: released, but not placed");
        };
        task.phase = Phase::Pending;
        let (shape, group) = (&self.shapes[task.shape.row()], task.group);
        let definition = task.definition;
        let Placement { node, devices, started, slot, .. } = placement;
        if started.is_some() {
            self.nodes.count_running(node, shape, devices, false);
        }
        self.nodes.give_back(node, shape, devices);
        self.pending += 1;
        let list = &mut self.on_node[node.row()];
        let at = match list.get(slot as usize) {
            Some(it) if *it == id => slot as usize,
            _ => list.iter().take(LIST_SHORT).position(|it| *it == id).unwrap_or_else(|| {
                panic!("{id}: placed on {node}, but not on its list");
            }),
        };
        list.swap_remove(at);
        if at >= LIST_SHORT
            && let Some(&moved) = list.get(at)
        {
            match self.tasks.get_mut(moved).map(|it| &mut it.phase) {
                Some(Phase::Placed(it)) => it.slot = at as u32,
                _ => panic!("{moved}: on the list of {node}, but not placed"),
            }
        }
        let zone = self.nodes.zones()[node.row()];
        if let Some(counts) = &mut self.by_definition {
            counts[definition.row()].remove(node, zone);
        }
        if let Some(group) = group {
            let counts = self.groups.get_mut(group).unwrap_or_else(|| panic!("{group}: unknown"));
            counts.remove(node, zone);
            if counts.placed == 0 {
                self.groups.remove(group);
            }
        }
        placement
    }

    /// Counts the ledger again from the tasks alone and compares: free + held − over = allocatable per
    /// node and resource, devices, ports, zone totals, groups. For tests and checked runs; walks
    /// everything.
    ///
    /// # Errors
    ///
    /// The first difference, in words.
    pub fn audit(&self) -> Result<(), String> {
        let mut totals = vec![Totals::default(); self.nodes.zone_names().len()];
        let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
        let mut placed = 0;
        for node in self.nodes.ids() {
            let zone = self.nodes.zones()[node.row()];
            let totals = &mut totals[zone.row()];
            let mut held = [0u64; 3];
            let mut device_held = vec![GpuMilli(0); self.nodes.devices(node).len()];
            let mut ports: Vec<Port> = Vec::new();
            for (slot, &id) in self.tasks_on(node).iter().enumerate() {
                placed += 1;
                let task = self.task(id).ok_or_else(|| format!("{id} on {node} is unknown"))?;
                let place = task.placement().ok_or_else(|| format!("{id} on {node} is pending"))?;
                if place.node != node || (place.slot as usize != slot && slot >= LIST_SHORT) {
                    return Err(format!("{id} is on {} and on the list of {node}", place.node));
                }
                let shape = self.shape(task.shape);
                let gpu = u64::from(place.devices.count()) * u64::from(shape.gpu_milli.0);
                for (it, amount) in shape.amounts.into_iter().chain([gpu]).enumerate() {
                    if it < 3 {
                        held[it] += amount;
                    }
                    totals.held[it] += amount;
                    if place.started.is_some() {
                        totals.running[it] += amount;
                    }
                }
                for index in place.devices.iter() {
                    device_held[index].0 += shape.gpu_milli.0;
                }
                ports.extend(&shape.ports);
                totals.tasks += 1;
                if let Some(group) = task.group {
                    groups.entry(group).or_default().add(node, zone);
                }
            }
            ports.sort_unstable();
            let status = self.nodes.status(node);
            if status != crate::nodes::NodeStatus::Lost {
                totals.nodes += 1;
                for it in 0..3 {
                    totals.capacity[it] +=
                        self.nodes.capacity(crate::demand::Resource::SCALARS[it])[node.row()];
                }
                totals.capacity[3] += self.nodes.gpu_capacity(node);
            }
            totals.nodes_in_use += u32::from(!self.tasks_on(node).is_empty());
            for resource in crate::demand::Resource::SCALARS {
                let row = node.row();
                let free = self.nodes.free(resource)[row];
                let over = self.nodes.over(node, resource);
                let offered = self.nodes.allocatable(resource)[row];
                let counted = held[resource.row()];
                if u128::from(free) + u128::from(counted) != u128::from(offered) + u128::from(over)
                    || (free > 0 && over > 0)
                {
                    return Err(format!(
                        "{node} {resource}: free {free} + held {counted} - over {over} is not {offered}"
                    ));
                }
            }
            for (index, device) in self.nodes.devices(node).iter().enumerate() {
                if device.held != device_held[index] {
                    return Err(format!("{node} device {index} holds {:?}", device.held));
                }
            }
            if ports != self.nodes.held_ports(node) {
                return Err(format!("{node} holds ports that its tasks do not ask for"));
            }
            if self.nodes.task_counts()[node.row()] as usize != self.tasks_on(node).len() {
                return Err(format!("{node} counts tasks that are not there"));
            }
        }
        if totals != self.nodes.zone_totals() {
            return Err(format!("zone totals {:?}, counted {totals:?}", self.nodes.zone_totals()));
        }
        if groups.len() != self.groups.len() {
            return Err(format!("{} groups, counted {}", self.groups.len(), groups.len()));
        }
        for (id, counted) in &groups {
            let known = self.group(*id).ok_or_else(|| format!("{id} is not counted"))?;
            let same_zones = (0..counted.in_zones.len())
                .all(|it| counted.in_zones[it] == known.in_zone(ZoneId(it as u16)));
            if counted.placed != known.placed || counted.on_nodes != known.on_nodes || !same_zones {
                return Err(format!("{id} is {known:?}, counted {counted:?}"));
            }
        }
        if let Some(known) = &self.by_definition {
            let mut again = self.clone();
            again.count_by_definition();
            let counted = again.by_definition.expect("counted above");
            let is_same = |(a, b): (&Group, &Group)| a.on_nodes == b.on_nodes;
            if !known.iter().zip(&counted).all(is_same) {
                return Err(format!("definitions are {known:?}, counted {counted:?}"));
            }
        }
        if placed + self.pending != self.tasks.len() as u64 {
            return Err(format!(
                "{placed} placed and {} pending are not {} tasks",
                self.pending,
                self.tasks.len()
            ));
        }
        Ok(())
    }
}
