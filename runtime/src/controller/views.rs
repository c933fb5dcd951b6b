//! What people are shown of a controller: names in place of numbers.

use super::brain::{Brain, Slot};
use crate::agent::TaskDetail;
use crate::control::{
    EventView, Explanation, NodeState, NodeView, ServiceView, Status, TaskState, TaskView,
};
use crate::store::{End, StoreError};
use cluster::demand::{Protocol, Resource};
use cluster::event::{Action, Event, NodeEvent, NodeReport, Report};
use cluster::ids::{GroupId, NodeId, TaskId};
use cluster::journal::{Input, Record};
use cluster::nodes::NodeStatus;
use cluster::service::Service;
use cluster::state::Task;
use std::collections::BTreeMap;

impl Brain {
    pub(super) fn status(&self, now_us: u64) -> Status {
        let header = self.header();
        let mut nodes: BTreeMap<NodeState, u32> = BTreeMap::new();
        for it in self.node_views() {
            *nodes.entry(it.state).or_default() += 1;
        }
        let mut tasks: BTreeMap<TaskState, u32> = BTreeMap::new();
        for id in self.manager.live_tasks() {
            if let Some(task) = self.state().task(id) {
                *tasks.entry(task_state(task)).or_default() += 1;
            }
        }
        Status {
            cluster: header.cluster.clone(),
            owner: header.owner.clone(),
            policy: header.policy.clone(),
            seed: header.seed,
            now_us,
            epoch_unix_us: header.epoch_unix_us,
            records: self.records(),
            fingerprint: self.manager.fingerprint().to_string(),
            nodes,
            tasks,
            ended: self.ended,
            agenda: self.agenda.len() as u64,
            next_due_us: self.agenda.first_key_value().map(|it| it.0.0.0),
        }
    }

    pub(super) fn task_views(&self, ended: bool) -> Result<Vec<TaskView>, StoreError> {
        let mut views = Vec::new();
        if ended {
            views.extend(self.store.ends()?.iter().map(|it| self.end_view(&it.1)));
        }
        let live = self.manager.live_tasks().into_iter();
        views.extend(live.filter_map(|it| self.task_view(it)));
        Ok(views)
    }

    pub(super) fn task_view(&self, id: TaskId) -> Option<TaskView> {
        let task = self.state().task(id)?;
        let nodes = self.state().nodes();
        let node = task.placement().map(|it| it.node);
        let zone = node.map(|it| self.zone(it).to_owned());
        let since = match task.placement() {
            Some(it) => it.started.unwrap_or(it.at),
            None => task.queued,
        };
        let detail = self.details.get(&id);
        let (service, group) = self.group_names(id, task.group);
        Some(TaskView {
            task: id.to_string(),
            definition: self.state().definition(task.definition).name.clone(),
            service,
            group,
            node: node.map(|it| nodes.name(it).to_owned()),
            zone,
            state: task_state(task),
            is_healthy: task.placement().and_then(|it| it.is_healthy),
            attempt: task.attempts,
            since_us: since.0,
            ports: detail.map(ports).unwrap_or_default(),
            reason: match self.manager.explain(id) {
                Some(refusal) => refusal.to_string(),
                None => detail.map(|it| it.reason.clone()).unwrap_or_default(),
            },
            exit_codes: detail.map(codes).unwrap_or_default(),
        })
    }

    fn end_view(&self, end: &End) -> TaskView {
        let zone = self.state().nodes().by_name(&end.node).map(|it| self.zone(it).to_owned());
        let (service, group) = self.group_names(end.task, end.group);
        let colon = if end.reason.is_empty() { "" } else { ": " };
        TaskView {
            task: end.task.to_string(),
            definition: self.state().definition(end.definition).name.clone(),
            service,
            group,
            node: (!end.node.is_empty()).then(|| end.node.clone()),
            zone,
            state: TaskState::Ended,
            is_healthy: None,
            attempt: end.attempt,
            since_us: end.at.0,
            ports: Vec::new(),
            reason: format!("{}{colon}{}", end.how, end.reason),
            exit_codes: end
                .exit_codes
                .iter()
                .filter_map(|(name, code)| Some((name.clone(), (*code)?)))
                .collect(),
        }
    }

    /// The service that made a task, or the group it was given.
    fn group_names(&self, id: TaskId, group: Option<GroupId>) -> (Option<String>, Option<String>) {
        let Some(name) = group.map(|it| self.group_name(it)) else { return (None, None) };
        match name.strip_prefix("service:") {
            Some(service) if id.is_replica() => (Some(service.to_owned()), None),
            _ => (None, Some(name.to_owned())),
        }
    }

    fn group_name(&self, group: GroupId) -> &str {
        self.groups.get(group.row()).map_or("?", String::as_str)
    }

    pub(super) fn node_views(&self) -> Vec<NodeView> {
        let nodes = self.state().nodes();
        let known = nodes.ids().map(|it| self.node_view(it));
        let unknown = self.hosts.iter().filter(|it| nodes.by_name(it.0).is_none());
        known.chain(unknown.map(|it| unknown_node(it.1))).collect()
    }

    fn node_view(&self, node: NodeId) -> NodeView {
        let nodes = self.state().nodes();
        let name = nodes.name(node);
        let slot = self.hosts.get(name);
        let of = |resource| nodes.allocatable(resource)[node.row()];
        let free = |resource| nodes.free(resource)[node.row()];
        NodeView {
            node: name.to_owned(),
            zone: Some(self.zone(node).to_owned()),
            state: match nodes.status(node) {
                NodeStatus::Ready => NodeState::Ready,
                NodeStatus::Draining => NodeState::Draining,
                NodeStatus::Unreachable => NodeState::Unreachable,
                NodeStatus::Lost => NodeState::Lost,
            },
            address: slot.map(|it| it.host.address.to_string()),
            tasks: nodes.task_counts()[node.row()],
            cpu_milli: of(Resource::Cpu),
            cpu_milli_free: free(Resource::Cpu),
            memory_bytes: of(Resource::Memory),
            memory_bytes_free: free(Resource::Memory),
            gpus: count(nodes.devices(node).iter().filter(|it| it.capacity.0 > 0).count()),
            docker: slot.and_then(|it| it.docker.clone()),
            reason: match slot {
                Some(it) => it.reason.clone(),
                None => "hosts.toml names it no longer".to_owned(),
            },
        }
    }

    pub(super) fn service_views(&self) -> Vec<ServiceView> {
        self.state().services().map(|(_, it)| self.service_view(it)).collect()
    }

    fn service_view(&self, service: &Service) -> ServiceView {
        let states = service.tasks().filter_map(|it| self.state().task(it)).map(task_state);
        let mut counts: BTreeMap<TaskState, u32> = BTreeMap::new();
        for it in states {
            *counts.entry(it).or_default() += 1;
        }
        let of = |state| counts.get(&state).copied().unwrap_or(0);
        ServiceView {
            service: service.spec.name.clone(),
            definition: self.state().definition(service.spec.definition).name.clone(),
            desired: service.spec.desired,
            running: of(TaskState::Running),
            starting: of(TaskState::Starting),
            pending: of(TaskState::Pending),
            leaving: count(service.leaving().count()),
            failures: service.failures(),
            throttled_until_us: service.throttled_until().map(|it| it.0),
        }
    }

    /// Records from `from` on, or the last ones; bare timers and decisions that decided nothing are left out.
    pub(super) fn event_views(
        &self,
        from: Option<u64>,
        limit: u32,
    ) -> Result<Vec<EventView>, StoreError> {
        let limit = limit as usize;
        if let Some(from) = from {
            let records = self.store.records(from)?;
            return records.filter_map(|it| self.record_view(it).transpose()).take(limit).collect();
        }
        // Backwards in growing steps, until there are enough.
        let last = self.store.count()?;
        let mut window = (limit as u64).max(64);
        loop {
            let first = last.saturating_sub(window) + 1;
            let records = self.store.records(first)?;
            let found: Vec<EventView> = records
                .filter_map(|it| self.record_view(it).transpose())
                .collect::<Result<_, _>>()?;
            if found.len() >= limit || first == 1 {
                let skipped = found.len().saturating_sub(limit);
                return Ok(found.into_iter().skip(skipped).collect());
            }
            window *= 4;
        }
    }

    fn record_view(
        &self,
        it: Result<crate::store::Numbered, StoreError>,
    ) -> Result<Option<EventView>, StoreError> {
        let it = it?;
        let damaged = |it: cluster::journal::BadRecord| StoreError::Damaged {
            dir: self.store.dir().to_owned(),
            what: "the journal",
            reason: it.to_string(),
        };
        let record = Record::from_bytes(&it.entry.record).map_err(damaged)?;
        let actions: Vec<String> =
            record.actions.iter().filter_map(|it| self.action_text(it)).collect();
        let what = match &record.input {
            Input::Event(Event::Timer) | Input::Decide if actions.is_empty() => return Ok(None),
            Input::Event(Event::Timer) => "a moment came".to_owned(),
            Input::Decide => "decided".to_owned(),
            Input::Event(event) => self.event_text(event),
        };
        Ok(Some(EventView { number: it.number, at_us: record.at.0, what, actions }))
    }

    /// Why a task is where it is; `None` if there never was such a task.
    pub(super) fn explanation(&self, id: TaskId) -> Result<Option<Explanation>, StoreError> {
        let mut history = Vec::new();
        for it in self.store.records(1)? {
            let it = it?;
            let Ok(record) = Record::from_bytes(&it.entry.record) else { continue };
            let is_told = matches!(&record.input, Input::Event(event) if concerns(event, id));
            let actions = record.actions.iter().filter(|it| task_of(it) == Some(id));
            let actions: Vec<String> = actions.filter_map(|it| self.action_text(it)).collect();
            if !is_told && actions.is_empty() {
                continue;
            }
            let what = match &record.input {
                Input::Event(Event::Timer) => "a moment came".to_owned(),
                Input::Event(event) => self.event_text(event),
                Input::Decide => "decided".to_owned(),
            };
            history.push(EventView { number: it.number, at_us: record.at.0, what, actions });
        }
        if let Some(task) = self.task_view(id) {
            let why = self.why(id, &task);
            return Ok(Some(Explanation { task, why, history, nodes: Vec::new() }));
        }
        let end = self.store.ends()?.into_iter().rev().find(|it| it.1.task == id);
        Ok(end.map(|(number, end)| {
            let task = self.end_view(&end);
            let why = format!("It ended with record {number}: {}.", task.reason);
            Explanation { task, why, history, nodes: Vec::new() }
        }))
    }

    fn why(&self, id: TaskId, view: &TaskView) -> String {
        if let Some(refusal) = self.manager.explain(id) {
            let demand = self.state().task(id).map(|it| self.state().shape(it.shape));
            let asks = demand.map_or(String::new(), |it| {
                let [cpu, memory, _] = it.amounts().array();
                format!(" It asks for {} and {}.", cores(cpu), mebibytes(memory))
            });
            return format!("It waits: {refusal}.{asks}");
        }
        let Some(node) = &view.node else { return String::new() };
        let policy = &self.header().policy;
        let attempt = match view.attempt {
            1 => String::new(),
            n => format!(" This is its start number {n}."),
        };
        format!("The policy {policy} placed it on {node}.{attempt}")
    }

    /// What happened, with names.
    pub(super) fn event_text(&self, event: &Event) -> String {
        match event {
            Event::Node { node, event: NodeEvent::Joined(spec) } => {
                let [cpu, memory, _] = spec.capacity.amounts.array();
                let _ = node;
                format!(
                    "{} joins in zone {} with {} and {}",
                    spec.name,
                    spec.zone,
                    cores(cpu),
                    mebibytes(memory)
                )
            }
            Event::Node { node, event } => {
                let name = self.state().nodes().name(*node);
                match event {
                    NodeEvent::Joined(_) => unreachable!("dealt with above"),
                    NodeEvent::Lost => format!("{name} is lost"),
                    NodeEvent::Returned => format!("{name} returns"),
                    NodeEvent::Draining => format!("{name} drains"),
                    NodeEvent::Updated(capacity) => {
                        let [cpu, memory, _] = capacity.amounts.array();
                        format!("{name} now offers {} and {}", cores(cpu), mebibytes(memory))
                    }
                }
            }
            Event::NodeReported { node, report } => {
                let name = self.state().nodes().name(*node);
                match report {
                    NodeReport::Unreachable => format!("{name} is out of reach"),
                    NodeReport::Reachable => format!("{name} is in reach"),
                    NodeReport::Activated => format!("{name} takes tasks again"),
                    NodeReport::PortsTaken(ports) if ports.is_empty() => {
                        format!("{name} has all its host ports back")
                    }
                    NodeReport::PortsTaken(ports) => {
                        let ports: Vec<String> =
                            ports.iter().map(|it| it.number.to_string()).collect();
                        format!("{name}: others hold host ports {}", ports.join(", "))
                    }
                }
            }
            Event::ServicePut { spec, .. } => {
                let definition = &self.state().definition(spec.definition).name;
                format!("service {} shall be {} × {definition}", spec.name, spec.desired)
            }
            Event::ServiceDeleted { service } => {
                let name = self.group_name(*service);
                format!("service {} shall be gone", name.strip_prefix("service:").unwrap_or(name))
            }
            Event::BudgetPut(it) => format!("budget {} put", it.name),
            Event::TaskSubmitted(it) => {
                let definition = &self.state().definition(it.definition).name;
                format!("{} submitted: {definition}", it.task)
            }
            Event::DefinitionPut { spec, .. } => format!("definition {} put", spec.name),
            Event::TaskReported { task, attempt, report } => {
                let again =
                    if *attempt > 1 { format!(" (start {attempt})") } else { String::new() };
                match report {
                    Report::Started => format!("{task}{again} runs"),
                    Report::Exited { code } => format!("{task}{again} exited with {code}"),
                    Report::Healthy => format!("{task}{again} is healthy"),
                    Report::Unhealthy => format!("{task}{again} is unhealthy"),
                    Report::Failed { why } => format!("{task}{again} failed to start: {why}"),
                }
            }
            Event::TaskAdopted { .. } | Event::TaskCancelled { .. } | Event::Timer => {
                event.to_string()
            }
        }
    }

    /// What the manager asked for, with names; nothing for wake-ups, which are not for people.
    pub(super) fn action_text(&self, action: &Action) -> Option<String> {
        let name = |node: NodeId| self.state().nodes().name(node);
        Some(match action {
            Action::Start { task, node, attempt, .. } => {
                let again =
                    if *attempt > 1 { format!(" (start {attempt})") } else { String::new() };
                format!("start {task} on {}{again}", name(*node))
            }
            Action::Stop { task, node, reason, .. } => {
                format!("stop {task} on {} ({reason})", name(*node))
            }
            Action::Drop { .. } | Action::Hold { .. } => action.to_string(),
            Action::Wake { .. } => return None,
        })
    }
}

fn task_state(task: &Task) -> TaskState {
    match task.placement() {
        None => TaskState::Pending,
        Some(it) if it.started.is_none() => TaskState::Starting,
        Some(_) => TaskState::Running,
    }
}

fn unknown_node(slot: &Slot) -> NodeView {
    NodeView {
        node: slot.host.name.clone(),
        zone: slot.host.zone.clone(),
        state: NodeState::Unknown,
        address: Some(slot.host.address.to_string()),
        tasks: 0,
        cpu_milli: 0,
        cpu_milli_free: 0,
        memory_bytes: 0,
        memory_bytes_free: 0,
        gpus: 0,
        docker: None,
        reason: slot.reason.clone(),
    }
}

fn count(it: usize) -> u32 {
    u32::try_from(it).unwrap_or(u32::MAX)
}

fn ports(detail: &TaskDetail) -> Vec<String> {
    let all = detail.containers.iter().flat_map(|it| &it.ports);
    all.map(|it| {
        let protocol = match it.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        format!("{}->{}/{protocol}", it.host, it.container)
    })
    .collect()
}

fn codes(detail: &TaskDetail) -> BTreeMap<String, i64> {
    let all = detail.containers.iter();
    all.filter_map(|it| Some((it.name.clone(), i64::from(it.exit_code?)))).collect()
}

fn concerns(event: &Event, id: TaskId) -> bool {
    match event {
        Event::TaskSubmitted(it) | Event::TaskAdopted { submission: it, .. } => it.task == id,
        Event::TaskCancelled { task } | Event::TaskReported { task, .. } => *task == id,
        _ => false,
    }
}

fn task_of(action: &Action) -> Option<TaskId> {
    match action {
        Action::Start { task, .. }
        | Action::Stop { task, .. }
        | Action::Drop { task, .. }
        | Action::Hold { task, .. } => Some(*task),
        Action::Wake { .. } => None,
    }
}

fn cores(milli: u64) -> String {
    let cores = milli as f64 / 1000.0;
    if milli == 1000 { "1 core".to_owned() } else { format!("{cores} cores") }
}

fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= 1024 * MIB {
        format!("{:.1} GiB", bytes as f64 / (1024 * MIB) as f64)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}
