//! The cluster in the words of Kubernetes, kept in step with the state.
//!
//! Before a decision the mirror catches up with the nodes whose
//! [version](cluster::nodes::Nodes::version) has risen: the manager changes the state between the last
//! change it told and the decision, so told changes alone would leave the mirror behind.

use super::translate;
use super::uses::Uses;
use crate::kubernetes::cluster::{Cluster, Service};
use crate::kubernetes::pod::{Pod, PodId, PodShape};
use cluster::event::TaskKind;
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{NodeStatus, Nodes};
use cluster::state::{State, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tasks that are alike to the scheduler, but for their priority.
type Like = (DefinitionId, Option<GroupId>);

/// The cluster in the words of Kubernetes. Nodes that are lost or take nothing new stay, cordoned, so that
/// all that is here follows from the state, whatever happened before.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) cluster: Cluster,
    pods_max: i64,
    /// The version at which each node was looked at last.
    versions: Vec<u64>,
    shapes: IdMap<Like, Arc<PodShape>>,
    /// The group of the one service that the cluster lists: that of the task whose turn it is.
    serves: Option<GroupId>,
    uses: Uses,
    /// How many definitions have been looked at.
    definitions: usize,
    /// Rows that were looked at again, since somebody last took the list.
    pub(super) changed: Vec<usize>,
    /// How many pods of each priority there are.
    priorities: BTreeMap<i32, usize>,
}

impl Mirror {
    pub(super) fn new(pods_max: i64) -> Self {
        Self {
            cluster: Cluster::default(),
            pods_max,
            versions: Vec::new(),
            shapes: IdMap::default(),
            serves: None,
            uses: Uses::default(),
            definitions: 0,
            changed: Vec::new(),
            priorities: BTreeMap::new(),
        }
    }

    /// An empty one for the same policy.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.pods_max)
    }

    /// What nodes and tasks have asked so far.
    pub(super) fn uses(&self) -> Uses {
        self.uses
    }

    /// Looks again at the nodes that have changed. Cost: one number a node, and the tasks of those.
    pub(super) fn catch_up(&mut self, state: &State) {
        let (nodes, known) = (state.nodes(), self.versions.len());
        let counted_groups = self.uses.groups;
        for definition in self.definitions..state.definition_count() {
            self.uses.note_definition(state.definition(DefinitionId(definition as u32)));
        }
        self.definitions = state.definition_count();
        if self.uses.groups && !counted_groups && known > 0 {
            // Pods need the label of their group from now on.
            *self = Self { uses: self.uses, definitions: self.definitions, ..self.anew() };
            return self.catch_up(state);
        }
        for node in nodes.ids().skip(known) {
            self.uses.note_node(nodes, node);
        }
        let new = nodes.ids().skip(known);
        self.cluster.add_nodes(new.map(|it| translate::node(nodes, it, self.pods_max)));
        self.versions.resize(nodes.len(), 0);
        for node in nodes.ids() {
            let version = nodes.version(node);
            if self.versions[node.row()] != version {
                self.versions[node.row()] = version;
                self.changed.push(node.row());
                self.look_at(node, state);
            }
        }
    }

    fn look_at(&mut self, node: NodeId, state: &State) {
        let (nodes, row) = (state.nodes(), node.row());
        let unschedulable = nodes.status(node) != NodeStatus::Ready;
        let offers = translate::allocatable(nodes, node);
        let there = self.cluster.node(row);
        if (there.unschedulable, &there.allocatable) != (unschedulable, &offers) {
            self.cluster.update_node(row, |it| {
                it.unschedulable = unschedulable;
                it.allocatable = offers;
            });
        }
        let is_there = |it: &Pod| {
            let placement = state.task(TaskId(it.id.0)).and_then(Task::placement);
            placement.is_some_and(|at| at.node == node && Some(at.at.0 as i64) == it.started)
        };
        let pods = self.cluster.node(row).pods();
        let gone: Vec<PodId> = pods.iter().filter(|it| !is_there(it)).map(|it| it.id).collect();
        for id in gone {
            self.remove(row, id);
        }
        let tasks = state.tasks_on(node);
        if self.cluster.node(row).pods().len() == tasks.len() {
            return;
        }
        let mut known: Vec<PodId> = self.cluster.node(row).pods().iter().map(|it| it.id).collect();
        known.sort_unstable();
        for &id in tasks {
            if known.binary_search(&PodId(id.0)).is_err() {
                let task = state.task(id).expect("tasks on a node are known");
                let pod = self.pod(id, task, state);
                self.add(row, pod);
            }
        }
    }

    fn add(&mut self, row: usize, pod: Pod) {
        *self.priorities.entry(pod.priority).or_default() += 1;
        self.cluster.add_pod(row, pod);
    }

    fn remove(&mut self, row: usize, id: PodId) {
        let Some(pod) = self.cluster.remove_pod(row, id) else { return };
        if let Some(count) = self.priorities.get_mut(&pod.priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&pod.priority);
            }
        }
    }

    /// The lowest priority of the pods that are placed.
    pub(super) fn lowest_priority(&self) -> Option<i32> {
        self.priorities.keys().next().copied()
    }

    /// The pod of a task; it has started if the task is placed.
    pub(super) fn pod(&mut self, id: TaskId, task: &Task, state: &State) -> Pod {
        let group = if self.uses.groups { task.group } else { service(task) };
        let make = || Arc::new(PodShape::new(translate::spec(task, group, state)));
        let shape = self.shapes.get_or_insert_with((task.definition, group), make).clone();
        let started = task.placement().map(|it| it.at.0 as i64);
        Pod { priority: task.priority, started, ..Pod::new(PodId(id.0), shape) }
    }

    /// Lists the task's service, and no other: only services that select the pod play a part.
    pub(super) fn serve(&mut self, task: &Task, state: &State) {
        let group = service(task);
        if self.serves == group && group.is_none() {
            return;
        }
        self.serves = group;
        let service = |it| {
            let namespace = state.definition(task.definition).namespace.clone();
            Service { namespace, selector: Some(translate::group_label(it)) }
        };
        self.cluster.services = group.map(service).into_iter().collect();
    }

    pub(super) fn placed(&mut self, node: NodeId, pod: Pod, nodes: &Nodes) {
        self.add(node.row(), pod);
        self.versions[node.row()] = nodes.version(node);
    }

    /// Pods of a node have left; devices that were gone but held may have left with them.
    pub(super) fn left(&mut self, node: NodeId, state: &State) {
        self.changed.push(node.row());
        self.versions[node.row()] = state.nodes().version(node);
        self.look_at(node, state);
    }
}

/// The group of a service's task. Jobs of Kubernetes have no service, so that nothing spreads their pods.
fn service(task: &Task) -> Option<GroupId> {
    task.group.filter(|_| task.kind == TaskKind::Service)
}
