//! Keeps services at their desired number of tasks, and nodes honest about what fails on them.
//!
//! What needs no choice happens while an event is recorded: missing tasks are made, unhealthy ones
//! stopped. Which of too many tasks go is a choice, and made with the other decisions.

use crate::event::{
    Action, Change, Ending, HoldReason, NodeReport, OnLoss, StartFailure, StopReason, Submission,
    TaskKind,
};
use crate::ids::{GroupId, NodeId, ShapeId, TaskId};
use crate::life::Stage;
use crate::manager::Core;
use crate::nodes::NodeStatus;
use crate::service::{Service, ServiceSpec};
use crate::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Something the manager itself wants to do at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Alarm {
    /// A node that is still out of reach counts as lost.
    Lose(NodeId),
    /// A service may try again.
    Retry(GroupId),
    /// A definition may be tried on a node again.
    Forgive(ShapeId, NodeId),
}

/// What the manager remembers between events to keep services alive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keeper {
    pub(crate) alarms: BTreeSet<(Instant, Alarm)>,
    /// Failed starts in a row, per definition's own shape and node.
    failed: BTreeMap<(ShapeId, NodeId), u32>,
    /// Tasks made so far.
    made: u64,
    /// Services that may have more tasks than they should.
    pub(crate) untidy: BTreeSet<GroupId>,
}

impl Core {
    pub(crate) fn put_service(
        &mut self,
        now: Instant,
        id: GroupId,
        spec: &ServiceSpec,
        actions: &mut Vec<Action>,
    ) {
        assert!(
            spec.definition.row() < self.state.definition_count(),
            "{id}: {} was never put",
            spec.definition
        );
        match self.state.services.get_mut(&id) {
            Some(service) => {
                if service.spec.definition != spec.definition {
                    service.failures = 0;
                    service.until = None;
                }
                service.spec = spec.clone();
            }
            None => {
                self.state.services.insert(id, Service::new(spec.clone()));
            }
        }
        self.changes.push(Change::ServicePut { service: id });
        self.look_over(id);
        // What waits with an earlier definition would be outdated before it ran.
        let outdated: Vec<TaskId> = self.state.services[&id]
            .tasks()
            .filter(|&it| {
                self.state.task(it).is_some_and(|task| {
                    task.definition != spec.definition && Stage::of(task) == Stage::Pending
                })
            })
            .collect();
        for task in outdated {
            self.dismiss_and_replace(now, task, StopReason::Surplus, actions);
        }
        self.top_up(now, id);
    }

    pub(crate) fn delete_service(&mut self, id: GroupId, actions: &mut Vec<Action>) {
        let Some(service) = self.state.services.remove(&id) else { return };
        self.keeper.untidy.remove(&id);
        self.keeper.alarms.retain(|it| it.1 != Alarm::Retry(id));
        self.changes.push(Change::ServiceDeleted { service: id });
        for task in service.tasks.into_iter().chain(service.leaving) {
            self.dismiss(task, StopReason::Surplus, actions);
        }
    }

    /// Makes the tasks that a service lacks, unless its starts fail.
    fn top_up(&mut self, now: Instant, id: GroupId) {
        let Some(service) = self.state.services.get(&id) else { return };
        if service.until.is_some_and(|it| it > now) {
            return;
        }
        let (definition, priority) = (service.spec.definition, service.spec.priority);
        let missing = (service.spec.desired as usize).saturating_sub(service.tasks.len());
        for _ in 0..missing {
            let task = TaskId::replica(self.keeper.made);
            self.keeper.made += 1;
            let submission = Submission {
                task,
                definition,
                group: Some(id),
                kind: TaskKind::Service,
                priority,
                estimate: None,
                on_loss: OnLoss::Restart,
            };
            self.add(now, &submission);
            if let Some(service) = self.state.services.get_mut(&id) {
                service.tasks.insert(task);
            }
            self.enqueue(now, task);
        }
    }

    /// The service that a task was made for and still belongs to.
    fn service_of(&mut self, task: TaskId, group: Option<GroupId>) -> Option<&mut Service> {
        if !task.is_replica() {
            return None;
        }
        self.state.services.get_mut(&group?)
    }

    /// A task is over: its service makes another.
    pub(crate) fn left(
        &mut self,
        now: Instant,
        task: TaskId,
        group: Option<GroupId>,
        never_ran: bool,
    ) {
        let Some(service) = self.service_of(task, group) else { return };
        let counted = service.tasks.remove(&task);
        service.leaving.remove(&task);
        let Some(id) = group else { return };
        // Tasks that were tried together and fail together count as one failure.
        if never_ran && counted && service.until.is_none_or(|it| it <= now) {
            service.failures += 1;
            let failures = service.failures;
            let until = now + service.spec.backoff.delay(failures).max(Span(1));
            service.until = Some(until);
            self.changes.push(Change::ServiceThrottled { service: id, failures, until });
            self.keeper.alarms.insert((until, Alarm::Retry(id)));
        }
        self.look_over(id);
        self.top_up(now, id);
    }

    /// Notes a service that may have more tasks than it should.
    fn look_over(&mut self, id: GroupId) {
        let Some(service) = self.state.services.get(&id) else { return };
        if !service.leaving.is_empty() || service.tasks.len() > service.spec.desired as usize {
            self.keeper.untidy.insert(id);
        }
    }

    /// A task runs, or its health changed: what was kept until then may go.
    pub(crate) fn well(&mut self, task: TaskId, group: Option<GroupId>) {
        if let Some(service) = self.service_of(task, group) {
            service.failures = 0;
        }
        if let Some(id) = group.filter(|_| task.is_replica()) {
            self.look_over(id);
        }
    }

    /// Ends a task of a service, wherever it stands.
    pub(crate) fn dismiss(&mut self, id: TaskId, reason: StopReason, actions: &mut Vec<Action>) {
        let Some(task) = self.state.task(id) else { return };
        let facts = task.facts(id);
        let node = match Stage::of(task) {
            Stage::Pending => {
                self.dequeue(id);
                actions.push(Action::Drop { task: id, reason: HoldReason::Unwanted });
                None
            }
            _ => Some(self.stop(id, reason, actions)),
        };
        self.state.forget(id);
        self.changes.push(Change::Ended { task: facts, node, how: Ending::Stopped(reason) });
    }

    /// Ends a task of a service that goes on without it.
    pub(crate) fn dismiss_and_replace(
        &mut self,
        now: Instant,
        id: TaskId,
        reason: StopReason,
        actions: &mut Vec<Action>,
    ) {
        let group = self.state.task(id).and_then(|it| it.group);
        self.dismiss(id, reason, actions);
        self.left(now, id, group, false);
    }

    /// A task of a service is unhealthy: another runs in its place.
    pub(crate) fn replace_unhealthy(
        &mut self,
        now: Instant,
        id: TaskId,
        actions: &mut Vec<Action>,
    ) {
        let Some(group) = self.state.task(id).map(|it| it.group) else { return };
        if self.service_of(id, group).is_some() {
            self.dismiss_and_replace(now, id, StopReason::Unhealthy, actions);
        }
    }

    /// Whether a task is on its way out: it is not worth being run again.
    pub(crate) fn is_leaving(&mut self, id: TaskId, group: Option<GroupId>) -> bool {
        self.service_of(id, group).is_some_and(|it| it.leaving.contains(&id))
    }

    /// A node drains: its services' tasks go elsewhere, as in ECS. Those that only start are stopped at
    /// once, those that run when others run in their place. Other tasks are left alone.
    pub(crate) fn drain(&mut self, now: Instant, node: NodeId, actions: &mut Vec<Action>) {
        for (id, group) in self.replicas_on(node) {
            let starts = self.state.task(id).map(Stage::of) == Some(Stage::Starting);
            let Some(service) = self.state.services.get_mut(&group) else { continue };
            if starts {
                self.dismiss_and_replace(now, id, StopReason::Drained, actions);
            } else if service.tasks.remove(&id) {
                service.leaving.insert(id);
                self.keeper.untidy.insert(group);
                self.top_up(now, group);
            }
        }
    }

    /// A node drains no longer: what was to leave it counts again.
    pub(crate) fn undrain(&mut self, node: NodeId) {
        for (id, group) in self.replicas_on(node) {
            if let Some(service) = self.state.services.get_mut(&group)
                && service.leaving.remove(&id)
            {
                service.tasks.insert(id);
                self.keeper.untidy.insert(group);
            }
        }
    }

    /// Tasks of services on a node, ascending.
    fn replicas_on(&self, node: NodeId) -> Vec<(TaskId, GroupId)> {
        let mut found: Vec<(TaskId, GroupId)> = self
            .state
            .tasks_on(node)
            .iter()
            .filter(|it| it.is_replica())
            .filter_map(|&id| Some((id, self.state.task(id)?.group?)))
            .collect();
        found.sort_unstable();
        found
    }

    /// Stops what services have too much of.
    pub(crate) fn tidy(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for group in std::mem::take(&mut self.keeper.untidy) {
            let Some(service) = self.state.services.get(&group) else { continue };
            let desired = service.spec.desired as usize;
            let runs = |it: &&TaskId| {
                matches!(
                    self.state.task(**it).map(Stage::of),
                    Some(Stage::Running | Stage::Healthy)
                )
            };
            let running = service.tasks.iter().filter(runs).count();
            let kept = desired.saturating_sub(running).min(service.leaving.len());
            let surplus = service.tasks.len().saturating_sub(desired);
            let gone: Vec<TaskId> =
                service.leaving.iter().take(service.leaving.len() - kept).copied().collect();
            for id in gone {
                self.dismiss_and_replace(now, id, StopReason::Drained, actions);
            }
            for _ in 0..surplus {
                let Some(id) = self.least_wanted(group) else { break };
                self.dismiss_and_replace(now, id, StopReason::Surplus, actions);
            }
            self.keeper.untidy.remove(&group);
        }
    }

    /// The task that a service gives up first: one that does not run yet, else one of the zone and then of
    /// the node with most of its tasks (as ECS without a strategy); the youngest among equals.
    fn least_wanted(&self, group: GroupId) -> Option<TaskId> {
        let service = self.state.services.get(&group)?;
        let counts = self.state.group(group);
        service.tasks.iter().copied().max_by_key(|&id| {
            let Some(task) = self.state.task(id) else { return (2, 0, 0, id) };
            let Some(placement) = task.placement() else { return (2, 0, 0, id) };
            let zone = self.state.nodes().zones()[placement.node.row()];
            (
                u8::from(placement.started.is_none()),
                counts.map_or(0, |it| it.in_zone(zone)),
                counts.map_or(0, |it| it.on_node(placement.node)),
                id,
            )
        })
    }

    /// What a live world says of a node.
    pub(crate) fn node_reported(&mut self, now: Instant, node: NodeId, report: &NodeReport) {
        assert!(node.row() < self.state.nodes().len(), "{node}: never joined");
        let status = self.state.nodes().status(node);
        match report {
            NodeReport::Unreachable => {
                if status == NodeStatus::Lost {
                    return;
                }
                if status != NodeStatus::Unreachable {
                    self.state.nodes.set_status(node, NodeStatus::Unreachable);
                    self.changes.push(Change::NodeUnreachable { node });
                }
                self.keeper.alarms.retain(|it| it.1 != Alarm::Lose(node));
                let at = now + self.rules.lost_after.0;
                self.keeper.alarms.insert((at, Alarm::Lose(node)));
            }
            NodeReport::Reachable => {
                self.keeper.alarms.retain(|it| it.1 != Alarm::Lose(node));
                if matches!(status, NodeStatus::Unreachable | NodeStatus::Lost) {
                    self.in_service(node);
                }
            }
            NodeReport::Activated => {
                self.state.nodes.set_drained(node, false);
                self.undrain(node);
                if status == NodeStatus::Draining {
                    self.in_service(node);
                }
            }
            NodeReport::PortsTaken(ports) => {
                self.state.nodes.set_taken_ports(node, ports);
                self.changes.push(Change::NodeUpdated { node });
                self.queue.grew(node, &self.state);
            }
        }
    }

    /// A node is in contact: it takes tasks, unless it was told to drain.
    fn in_service(&mut self, node: NodeId) {
        if self.state.nodes().is_drained(node) {
            self.state.nodes.set_status(node, NodeStatus::Draining);
            self.changes.push(Change::NodeDraining { node });
        } else {
            self.state.nodes.set_status(node, NodeStatus::Ready);
            self.changes.push(Change::NodeReady { node });
            self.queue.grew(node, &self.state);
        }
    }

    /// A task failed to start on a node: its definition stays off it for a while. A port that others hold
    /// is told by the node itself.
    pub(crate) fn note_failure(
        &mut self,
        now: Instant,
        id: TaskId,
        node: NodeId,
        why: StartFailure,
    ) {
        let Some(definition) = self.state.task(id).map(|it| it.definition) else { return };
        if why == StartFailure::Port {
            return;
        }
        let shape = self.state.own_shape(definition);
        let failures = self.keeper.failed.entry((shape, node)).or_default();
        *failures += 1;
        let until = now + self.rules.avoid.delay(*failures).max(Span(1));
        self.state.avoid(shape, node, true);
        self.keeper.alarms.retain(|it| it.1 != Alarm::Forgive(shape, node));
        self.keeper.alarms.insert((until, Alarm::Forgive(shape, node)));
    }

    /// A task runs on a node: what its definition failed there before is forgotten.
    pub(crate) fn note_success(&mut self, id: TaskId, node: NodeId) {
        if self.keeper.failed.is_empty() {
            return;
        }
        let Some(shape) = self.state.task(id).map(|it| self.state.shape_of(it.definition)) else {
            return;
        };
        if self.keeper.failed.remove(&(shape, node)).is_some() {
            self.keeper.alarms.retain(|it| it.1 != Alarm::Forgive(shape, node));
            self.forgive(shape, node);
        }
    }

    fn forgive(&mut self, shape: ShapeId, node: NodeId) {
        if self.state.avoid(shape, node, false) {
            self.queue.grew(node, &self.state);
        }
    }

    /// Does what was to be done by now.
    pub(crate) fn ring(&mut self, now: Instant) {
        while let Some(&(at, alarm)) = self.keeper.alarms.first() {
            if at > now {
                return;
            }
            self.keeper.alarms.pop_first();
            match alarm {
                Alarm::Lose(node) => self.lose(now, node),
                Alarm::Retry(group) => {
                    if let Some(service) = self.state.services.get_mut(&group)
                        && service.until.is_some_and(|it| it <= now)
                    {
                        service.until = None;
                    }
                    self.top_up(now, group);
                }
                Alarm::Forgive(shape, node) => self.forgive(shape, node),
            }
        }
    }

    /// Tells the world when to ring next.
    pub(crate) fn set_alarm(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let next = self.keeper.alarms.first().map(|it| it.0);
        self.tell_wake(now, next, actions);
    }
}
