//! The cluster in the words of Kubernetes, kept in step with the state.
//!
//! Before a decision the mirror catches up with the nodes whose
//! [version](cluster::nodes::Nodes::version) has risen: the manager changes the state between the last
//! change it told and the decision, so told changes alone would leave the mirror behind.

use super::translate;
use super::uses::Uses;
use crate::kubernetes::cluster::{Cluster, Service};
use crate::kubernetes::node_tree::ZONE;
use crate::kubernetes::pod::{Pod, PodId, PodShape};
use cluster::event::TaskKind;
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{NodeStatus, Nodes};
use cluster::state::{State, Task};
use cluster::touched::Mark;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tasks that are alike to the scheduler, but for their priority.
type Like = (DefinitionId, Option<GroupId>);

/// A shape, and the crowd of its pods.
type Known = (Arc<PodShape>, Option<u32>);

/// Which nodes have changed, one after the other. What is older than the list reaches is forgotten.
#[derive(Debug, Default)]
pub(super) struct News {
    rows: Vec<u32>,
    forgotten: u64,
}

impl News {
    /// How many changes there were.
    pub(super) fn count(&self) -> u64 {
        self.forgotten + self.rows.len() as u64
    }

    /// The rows that changed after so many changes; `None` if that is forgotten.
    pub(super) fn since(&self, heard: u64) -> Option<&[u32]> {
        let from = heard.checked_sub(self.forgotten)?;
        self.rows.get(from as usize..)
    }

    fn note(&mut self, row: usize, nodes: usize) {
        // Whoever missed that much may as well look at all nodes.
        if self.rows.len() > 2 * nodes {
            self.forgotten += self.rows.len() as u64;
            self.rows.clear();
        }
        self.rows.push(row as u32);
    }
}

/// What the pods of a node ask for, by priority: CPU, memory and disk, and how many they are.
#[derive(Debug, Clone, Default)]
struct Held(Vec<(i32, [i64; 3], u32)>);

impl Held {
    fn of(pod: &Pod) -> [i64; 3] {
        let it = &pod.shape.requests;
        [it.cpu_milli, it.memory_bytes, it.ephemeral_bytes]
    }

    fn add(&mut self, pod: &Pod) {
        let at = self.0.iter().position(|it| it.0 == pod.priority).unwrap_or_else(|| {
            self.0.push((pod.priority, [0; 3], 0));
            self.0.len() - 1
        });
        let (_, amounts, count) = &mut self.0[at];
        std::iter::zip(amounts, Self::of(pod)).for_each(|(sum, it)| *sum += it);
        *count += 1;
    }

    fn remove(&mut self, pod: &Pod) {
        let at = self.0.iter().position(|it| it.0 == pod.priority).expect("counted when it came");
        let (_, amounts, count) = &mut self.0[at];
        std::iter::zip(amounts, Self::of(pod)).for_each(|(sum, it)| *sum -= it);
        *count -= 1;
        if *count == 0 {
            self.0.swap_remove(at);
        }
    }

    fn below(&self, priority: i32) -> Option<[i64; 3]> {
        let lower = self.0.iter().filter(|it| it.0 < priority).map(|it| it.1);
        lower.reduce(|sum, it| [0, 1, 2].map(|at| sum[at] + it[at]))
    }
}

/// Pods that a service's tasks are spread with: same group, same namespace. By row, ascending.
type Crowd = Vec<(u32, u32)>;

/// The cluster in the words of Kubernetes. Nodes that are lost or take nothing new stay, cordoned, so that
/// all that is here follows from the state, whatever happened before.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) cluster: Cluster,
    pods_max: i64,
    /// The version at which each node was looked at last.
    versions: Vec<u64>,
    held: Vec<Held>,
    /// When it last caught up.
    mark: Option<Mark>,
    pub(super) news: News,
    /// By row, the number of the node's zone; 0 without one.
    pub(super) zones: Vec<u16>,
    zone_names: Vec<String>,
    crowds: Vec<Crowd>,
    crowd_ids: BTreeMap<(String, GroupId), u32>,
    /// By where its shape is.
    crowd_of: IdMap<usize, u32>,
    shapes: IdMap<Like, Known>,
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
            held: Vec::new(),
            mark: None,
            news: News::default(),
            zones: Vec::new(),
            zone_names: Vec::new(),
            crowds: Vec::new(),
            crowd_ids: BTreeMap::new(),
            crowd_of: IdMap::default(),
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

    /// Looks again at the nodes that have changed, and at their tasks.
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
        if known < nodes.len() {
            let new = nodes.ids().skip(known);
            self.cluster.add_nodes(new.map(|it| translate::node(nodes, it, self.pods_max)));
        }
        self.versions.resize(nodes.len(), 0);
        self.held.resize_with(nodes.len(), Held::default);
        for row in known..nodes.len() {
            let zone = self.cluster.node(row).labels.get(ZONE);
            self.zones.push(zone.map_or(0, |it| number(&mut self.zone_names, it)));
        }
        match self.mark.and_then(|it| nodes.touched_since(it)) {
            Some(touched) => touched.for_each(|it| self.look_if_new(it, state)),
            None => nodes.ids().for_each(|it| self.look_if_new(it, state)),
        }
        self.mark = Some(nodes.mark());
    }

    fn look_if_new(&mut self, node: NodeId, state: &State) {
        let version = state.nodes().version(node);
        if self.versions[node.row()] != version {
            self.changed.push(node.row());
            self.look_at(node, state);
        }
    }

    fn look_at(&mut self, node: NodeId, state: &State) {
        let (nodes, row) = (state.nodes(), node.row());
        self.news.note(row, nodes.len());
        let version = nodes.version(node);
        let changes = version - std::mem::replace(&mut self.versions[row], version);
        let (tasks, pods) = (state.tasks_on(node), self.cluster.node(row).pods());
        let has_devices = !nodes.devices(node).is_empty();
        if tasks.len() as u64 + changes == pods.len() as u64 && !has_devices {
            // As many have left as there were changes, so nothing else happened; only devices that are gone
            // may go with them. The two lists mostly have the same order.
            let is_gone = |(at, it): (usize, &Pod)| {
                let id = TaskId(it.id.0);
                let is_there = tasks.get(at) == Some(&id) || tasks.contains(&id);
                (!is_there).then_some(it.id)
            };
            if let (1, Some(id)) = (changes, pods.iter().enumerate().find_map(is_gone)) {
                self.remove(row, id);
            } else {
                let gone: Vec<PodId> = pods.iter().enumerate().filter_map(is_gone).collect();
                gone.into_iter().for_each(|it| self.remove(row, it));
            }
            return;
        }
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
        self.held[row].add(&pod);
        if let Some(crowd) = self.crowd_of(&pod) {
            let row = row as u32;
            match crowd.binary_search_by_key(&row, |it| it.0) {
                Ok(at) => crowd[at].1 += 1,
                Err(at) => crowd.insert(at, (row, 1)),
            }
        }
        self.cluster.add_pod(row, pod);
    }

    fn remove(&mut self, row: usize, id: PodId) {
        let Some(pod) = self.cluster.remove_pod(row, id) else { return };
        self.held[row].remove(&pod);
        if let Some(crowd) = self.crowd_of(&pod) {
            let at = crowd.binary_search_by_key(&(row as u32), |it| it.0);
            let at = at.expect("counted when it came");
            crowd[at].1 -= 1;
            if crowd[at].1 == 0 {
                crowd.remove(at);
            }
        }
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

    /// What pods of lower priority on a node ask for of CPU, memory and disk; `None` if there are none.
    pub(super) fn held_below(&self, row: usize, priority: i32) -> Option<[i64; 3]> {
        self.held[row].below(priority)
    }

    fn crowd_of(&mut self, pod: &Pod) -> Option<&mut Crowd> {
        let crowd = *self.crowd_of.get(&(Arc::as_ptr(&pod.shape) as usize))?;
        self.crowds.get_mut(crowd as usize)
    }

    /// Where the pods of a crowd are, and how many.
    pub(super) fn crowd(&self, crowd: u32) -> &[(u32, u32)] {
        &self.crowds[crowd as usize]
    }

    /// How many zones there are, that of nodes without one included.
    pub(super) fn zone_count(&self) -> usize {
        1 + self.zone_names.len()
    }

    /// Whether some node's zone is called nothing, which is not the same as not having one.
    pub(super) fn has_nameless_zone(&self) -> bool {
        self.zone_names.iter().any(String::is_empty)
    }

    /// The pod of a task; it has started if the task is placed.
    pub(super) fn pod(&mut self, id: TaskId, task: &Task, state: &State) -> Pod {
        self.pod_and_crowd(id, task, state).0
    }

    /// The pod of a task, and whom it is spread with if it is a service's.
    pub(super) fn pod_and_crowd(
        &mut self,
        id: TaskId,
        task: &Task,
        state: &State,
    ) -> (Pod, Option<u32>) {
        let group = if self.uses.groups { task.group } else { service(task) };
        let like = (task.definition, group);
        if !self.shapes.contains(&like) {
            let known = self.learn(task, group, state);
            self.shapes.insert(like, known);
        }
        let (shape, crowd) = self.shapes.get(&like).expect("inserted if it was missing").clone();
        let started = task.placement().map(|it| it.at.0 as i64);
        let pod = Pod { priority: task.priority, started, ..Pod::new(PodId(id.0), shape) };
        (pod, crowd.filter(|_| service(task).is_some()))
    }

    fn learn(&mut self, task: &Task, group: Option<GroupId>, state: &State) -> Known {
        let shape = Arc::new(PodShape::new(translate::spec(task, group, state)));
        let crowd = group.map(|group| {
            let next = self.crowds.len() as u32;
            let namespace = state.definition(task.definition).namespace.clone();
            let crowd = *self.crowd_ids.entry((namespace, group)).or_insert(next);
            if crowd == next {
                self.crowds.push(Crowd::new());
            }
            self.crowd_of.insert(Arc::as_ptr(&shape) as usize, crowd);
            crowd
        });
        (shape, crowd)
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
        self.news.note(node.row(), nodes.len());
        self.versions[node.row()] = nodes.version(node);
    }

    /// Pods of a node have left; devices that were gone but held may have left with them.
    pub(super) fn left(&mut self, node: NodeId, state: &State) {
        self.changed.push(node.row());
        self.look_at(node, state);
    }
}

/// The place of a name in a list, counted from 1; added if it is new.
fn number(names: &mut Vec<String>, name: &str) -> u16 {
    let at = names.iter().position(|it| it == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    u16::try_from(at + 1).expect("fewer than 2^16 zones")
}

/// The group of a service's task. Jobs of Kubernetes have no service, so that nothing spreads their pods.
fn service(task: &Task) -> Option<GroupId> {
    task.group.filter(|_| task.kind == TaskKind::Service)
}
