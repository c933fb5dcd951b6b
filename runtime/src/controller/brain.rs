//! A controller without its clock, its sockets and its hosts: what is told goes in, and comes out as orders
//! once it is on disk.
//!
//! Between two calls of [`Brain::settle`] nothing leaves: neither orders to agents nor answers. So whatever
//! the world sees of a controller is in its journal, and one that is killed at any moment is brought back by
//! [`Brain::open`] with nothing lost and nothing said twice that matters.

use super::ControllerError;
use crate::agent::{Job, News, Order, TaskDetail};
use crate::control::EventView;
use crate::engine::HostInfo;
use crate::hosts::Host;
use crate::plan::Wish;
use crate::program::{Overrides, Program};
use crate::store::{Batch, Due, End, Entry, Header, Notes, Snapshot, Store, StoreError};
use cluster::demand::{Resource, TaskDefinition};
use cluster::event::{
    Action, Change, Ending, Event, Facts, NodeEvent, NodeReport, OnLoss, Report, Submission,
};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::journal::Record;
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec, NodeStatus};
use cluster::scheduler::Scheduler;
use cluster::service::{Backoff, ServiceSpec};
use cluster::state::State;
use cluster::units::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 1000;

/// A host of `hosts.toml`, as the controller sees it.
pub(super) struct Slot {
    pub(super) host: Host,
    /// Counts how often all that ran there was given up; see [`Order::Forget`].
    epoch: u64,
    /// Docker's version, while there is contact.
    pub(super) docker: Option<String>,
    /// Why there is no contact, or what is odd.
    pub(super) reason: String,
}

/// What may leave, now that it is on disk.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// By host, in order.
    pub(super) orders: Vec<(String, Order)>,
    /// What was recorded, as far as it is worth a line.
    pub(super) recorded: Vec<EventView>,
    pub(super) warnings: Vec<String>,
}

pub(super) struct Brain {
    pub(super) manager: Manager,
    pub(super) store: Store,
    pub(super) hosts: BTreeMap<String, Slot>,
    pub(super) programs: BTreeMap<DefinitionId, Arc<Program>>,
    pub(super) groups: Vec<String>,
    pub(super) agenda: BTreeMap<Due, Wish>,
    pub(super) notes: Notes,
    /// What agents last said of tasks that are not over.
    pub(super) details: BTreeMap<TaskId, TaskDetail>,
    pub(super) ended: u64,
    overrides: BTreeMap<TaskId, Overrides>,
    /// Ends of tasks that are being stopped, to be completed with what the agent finds.
    stopping: BTreeMap<(TaskId, u32), (u64, End)>,
    written: u64,
    snapshot_at: u64,
    saved_notes: Notes,
    batch: Batch,
    outbox: Outbox,
}

impl Brain {
    /// Brings back what a state folder holds: the last snapshot, and the records after it applied, never
    /// decided again.
    pub(super) fn open(
        store: Store,
        scheduler: Box<dyn Scheduler>,
        hosts: Vec<Host>,
        hosts_text: Option<String>,
    ) -> Result<Self, ControllerError> {
        let (mut manager, from) = match store.snapshot()? {
            Some(Snapshot { number, bytes }) => (Manager::restore(&bytes, scheduler)?, number),
            None => (Manager::new(store.header().rules, scheduler), 0),
        };
        let mut written = 0;
        for it in store.records(1)? {
            let it = it?;
            written = it.number;
            if it.number <= from {
                manager.rehash(&it.entry.record);
            } else {
                let record = Record::from_bytes(&it.entry.record)?;
                manager.apply(&record, it.entry.memory.as_deref())?;
            }
        }
        let programs = store.programs()?.into_iter().map(|(id, it)| (id, Arc::new(it))).collect();
        let saved_notes = store.notes()?;
        let mut notes = saved_notes.clone();
        if let Some(text) = hosts_text {
            notes.hosts = text;
        }
        let slot = |host: Host| {
            let name = host.name.clone();
            (name, Slot { host, epoch: 0, docker: None, reason: "not reached yet".to_owned() })
        };
        Ok(Self {
            groups: store.groups()?,
            agenda: store.agenda()?,
            overrides: store.overrides()?,
            ended: store.ended()?,
            hosts: hosts.into_iter().map(slot).collect(),
            details: BTreeMap::new(),
            stopping: BTreeMap::new(),
            snapshot_at: from,
            batch: Batch::default(),
            outbox: Outbox::default(),
            manager,
            programs,
            notes,
            saved_notes,
            written,
            store,
        })
    }

    pub(super) fn header(&self) -> &Header {
        self.store.header()
    }

    pub(super) fn state(&self) -> &State {
        self.manager.state()
    }

    /// Records so far, those included that are not on disk yet.
    pub(super) fn records(&self) -> u64 {
        self.written + self.batch.entries.len() as u64
    }

    /// The first thing that a controller says: it has no contact with anybody. What runs is believed to run
    /// on, and each node has all of its time to be found again.
    pub(super) fn begin(&mut self, now: Instant) {
        for node in self.state().nodes().ids() {
            if self.state().nodes().status(node) != NodeStatus::Lost {
                self.tell(now, Event::NodeReported { node, report: NodeReport::Unreachable });
            }
        }
    }

    /// What an agent that is spawned now should find or start.
    pub(super) fn wanted(&self, host: &str) -> Vec<Job> {
        let Some(node) = self.state().nodes().by_name(host) else { return Vec::new() };
        let mut tasks = self.state().tasks_on(node).to_vec();
        tasks.sort_unstable();
        tasks
            .into_iter()
            .filter_map(|id| {
                let task = self.state().task(id)?;
                let began = task.placement()?.started.is_some();
                Some(self.job(id, task.definition, task.attempts, began))
            })
            .collect()
    }

    /// Tells the manager something that happened.
    pub(super) fn tell(&mut self, now: Instant, event: Event) {
        let what = self.event_text(&event);
        let is_timer = matches!(event, Event::Timer);
        let mut actions = Vec::new();
        self.manager.handle(now, event, &mut actions);
        self.took(now, (!is_timer).then_some(what), &actions, None);
    }

    /// What an agent told.
    pub(super) fn news(&mut self, now: Instant, host: &str, news: News) {
        let node = self.state().nodes().by_name(host);
        let Some(slot) = self.hosts.get_mut(host) else { return };
        match news {
            News::Contact { epoch, .. } if epoch != slot.epoch => {}
            News::Contact { info, .. } => self.contact(now, host, node, &info),
            News::NoContact { why } => {
                slot.docker = None;
                slot.reason = why;
                let Some(node) = node else { return };
                let status = self.state().nodes().status(node);
                if matches!(status, NodeStatus::Ready | NodeStatus::Draining) {
                    self.tell(now, Event::NodeReported { node, report: NodeReport::Unreachable });
                }
            }
            News::Task { task, attempt, report, detail } => {
                if self.is_current(task, attempt) {
                    self.details.insert(task, detail);
                }
                self.tell(now, Event::TaskReported { task, attempt, report });
                if matches!(report, Report::Exited { .. }) {
                    let order = Order::Acknowledge { task, attempt };
                    self.outbox.orders.push((host.to_owned(), order));
                }
            }
            News::Stopped { task, attempt, detail } => {
                if let Some((number, mut end)) = self.stopping.remove(&(task, attempt)) {
                    end.exit_codes = exit_codes(&detail);
                    self.batch.ends.push((number, end));
                }
            }
            News::PortsTaken(ports) => {
                if let Some(node) = node {
                    let report = NodeReport::PortsTaken(ports);
                    self.tell(now, Event::NodeReported { node, report });
                }
            }
            News::Warning(text) => self.outbox.warnings.push(format!("{host}: {text}")),
        }
    }

    fn is_current(&self, task: TaskId, attempt: u32) -> bool {
        self.state().task(task).is_some_and(|it| it.attempts == attempt && it.placement().is_some())
    }

    /// A host is in contact, and nothing runs there that should not.
    fn contact(&mut self, now: Instant, host: &str, node: Option<NodeId>, info: &HostInfo) {
        let Some(slot) = self.hosts.get_mut(host) else { return };
        slot.docker = Some(info.version.clone());
        let (spec, warnings) = slot.host.node_spec(info);
        slot.reason = warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        match node {
            None => {
                let count = u32::try_from(self.state().nodes().len());
                let node = NodeId(count.expect("fewer than 2^32 hosts"));
                let event = NodeEvent::Joined(Box::new(spec));
                self.tell(now, Event::Node { node, event });
            }
            Some(node) => {
                if let Some(what) = self.fixed_part_differs(node, &spec) {
                    warnings.push(format!(
                        "{host}: its {what} changed since it joined; the cluster goes on with the old"
                    ));
                }
                if self.capacity(node) != spec.capacity {
                    let event = NodeEvent::Updated(spec.capacity);
                    self.tell(now, Event::Node { node, event });
                }
                self.tell(now, Event::NodeReported { node, report: NodeReport::Reachable });
            }
        }
        self.outbox.warnings.extend(warnings);
    }

    fn capacity(&self, node: NodeId) -> NodeCapacity {
        let nodes = self.state().nodes();
        let of = |resource| nodes.capacity(resource)[node.row()];
        // An update keeps the rows of devices that it takes away.
        let devices = nodes.devices(node).iter().filter(|it| it.capacity.0 > 0);
        let gpus =
            devices.map(|it| nodes.model_names().text(it.model.0.into()).to_owned()).collect();
        let amounts = cluster::demand::Amounts {
            cpu: cluster::units::MilliCpu(of(Resource::Cpu)),
            memory: cluster::units::Bytes(of(Resource::Memory)),
            disk: cluster::units::Bytes(of(Resource::Disk)),
        };
        NodeCapacity { amounts, gpus }
    }

    pub(super) fn zone(&self, node: NodeId) -> &str {
        let nodes = self.state().nodes();
        nodes.zone_names().text(nodes.zones()[node.row()].0.into())
    }

    /// What a node cannot change once it has joined.
    fn fixed_part_differs(&self, node: NodeId, spec: &NodeSpec) -> Option<&'static str> {
        let nodes = self.state().nodes();
        if self.zone(node) != spec.zone {
            return Some("zone");
        }
        let has = |(name, value): &(String, String)| {
            nodes
                .attribute(name)
                .and_then(|it| nodes.value(node, it).map(|value| nodes.value_text(it, value)))
                .is_some_and(|it| it == value)
        };
        (!spec.attributes.iter().all(has)).then_some("attributes")
    }

    /// What is due by now: the manager's timer, and the agenda.
    pub(super) fn due(&mut self, now: Instant) {
        if self.manager.next_wake().is_some_and(|it| it <= now) {
            self.tell(now, Event::Timer);
        }
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            let (due, wish) = entry.remove_entry();
            self.batch.agenda.push((due, None));
            self.fulfil(now, wish);
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let agenda = self.agenda.first_key_value().map(|it| it.0.0);
        [self.manager.next_wake(), agenda].into_iter().flatten().min()
    }

    /// Does what is wanted.
    pub(super) fn fulfil(&mut self, now: Instant, wish: Wish) {
        match wish {
            Wish::PutService { name, definition, desired, priority } => {
                let service = self.group(service_group(&name));
                let backoff = Backoff::default();
                let spec = ServiceSpec { name, definition, desired, priority, backoff };
                self.tell(now, Event::ServicePut { service, spec });
            }
            Wish::DeleteService { name } => {
                if let Some(service) = self.service(&name) {
                    self.tell(now, Event::ServiceDeleted { service });
                }
            }
            Wish::Submit { task, definition, group, kind, priority, estimate, overrides } => {
                if let Some(overrides) = overrides {
                    self.batch.overrides.push((task, Some(overrides.clone())));
                    self.overrides.insert(task, overrides);
                }
                let group = group.map(|it| self.group(it));
                let on_loss = OnLoss::Restart;
                self.tell(
                    now,
                    Event::TaskSubmitted(Submission {
                        task,
                        definition,
                        group,
                        kind,
                        priority,
                        estimate,
                        on_loss,
                    }),
                );
            }
            Wish::Cancel { task } => {
                if self.state().task(task).is_some() {
                    self.tell(now, Event::TaskCancelled { task });
                }
            }
            Wish::Drain { node } => match self.state().nodes().by_name(&node) {
                Some(node) => self.tell(now, Event::Node { node, event: NodeEvent::Draining }),
                None => self.outbox.warnings.push(format!("{node} cannot drain: it never joined")),
            },
            Wish::Activate { node } => match self.state().nodes().by_name(&node) {
                Some(node) => {
                    self.tell(now, Event::NodeReported { node, report: NodeReport::Activated });
                }
                None => {
                    self.outbox
                        .warnings
                        .push(format!("{node} cannot be activated: it never joined"));
                }
            },
        }
    }

    /// Gives up the rest of the agenda, all services and all tasks.
    pub(super) fn give_up(&mut self, now: Instant) {
        let dues: Vec<Due> = std::mem::take(&mut self.agenda).into_keys().collect();
        self.batch.agenda.extend(dues.into_iter().map(|it| (it, None)));
        let services: Vec<GroupId> = self.state().services().map(|it| it.0).collect();
        for service in services {
            self.tell(now, Event::ServiceDeleted { service });
        }
        for task in self.manager.live_tasks() {
            self.tell(now, Event::TaskCancelled { task });
        }
    }

    /// The group of that name; a new one if there is none.
    fn group(&mut self, name: String) -> GroupId {
        let known = self.groups.iter().position(|it| *it == name);
        let row = known.unwrap_or(self.groups.len());
        let id = GroupId(u32::try_from(row).expect("fewer than 2^32 groups"));
        if known.is_none() {
            self.batch.groups.push((id, name.clone()));
            self.groups.push(name);
        }
        id
    }

    /// A service by its name.
    pub(super) fn service(&self, name: &str) -> Option<GroupId> {
        self.state().services().find(|it| it.1.spec.name == name).map(|it| it.0)
    }

    /// Registers a definition, or finds it: one that is the same but for its revision is not put again.
    pub(super) fn put_definition(
        &mut self,
        now: Instant,
        mut spec: TaskDefinition,
        mut program: Program,
    ) -> DefinitionId {
        if program.family.is_empty() {
            program.family = spec.name.clone();
        }
        let mut last = 0;
        for (&id, it) in self.programs.iter().rev() {
            if it.family != program.family {
                continue;
            }
            last = last.max(it.revision);
            let known = self.state().definition(id);
            let same = Program { revision: it.revision, ..program.clone() };
            if same == **it
                && (TaskDefinition { name: known.name.clone(), ..spec.clone() }) == *known
            {
                return id;
            }
        }
        let is_taken = |revision| {
            self.programs.values().any(|it| it.family == program.family && it.revision == revision)
        };
        if program.revision == 0 || is_taken(program.revision) {
            program.revision = last + 1;
        }
        spec.name = format!("{}:{}", program.family, program.revision);
        let count = u32::try_from(self.state().definition_count());
        let id = DefinitionId(count.expect("fewer than 2^32 definitions"));
        self.batch.programs.push((id, program.clone()));
        self.programs.insert(id, Arc::new(program));
        self.tell(now, Event::DefinitionPut { definition: id, spec });
        id
    }

    /// Lets the manager decide if it wants to and may, and writes everything to disk. What may leave is
    /// returned.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Nothing may leave then, and the controller must end.
    pub(super) fn settle(&mut self, now: Instant, may_decide: bool) -> Result<Outbox, StoreError> {
        if may_decide && self.manager.wants_decision(now) {
            let mut actions = Vec::new();
            self.manager.decide(now, &mut actions);
            let memory = Some(self.manager.aftermath());
            let what = (!actions.is_empty()).then(|| "decided".to_owned());
            self.took(now, what, &actions, memory);
        }
        let number = self.records();
        if number >= self.snapshot_at + SNAPSHOT_EVERY {
            self.batch.snapshot = Some(Snapshot { number, bytes: self.manager.snapshot() });
            self.snapshot_at = number;
        }
        if self.notes != self.saved_notes {
            self.batch.notes = Some(self.notes.clone());
            self.saved_notes = self.notes.clone();
        }
        if !self.batch.is_empty() {
            self.written = self.store.append(&std::mem::take(&mut self.batch))?;
        }
        Ok(std::mem::take(&mut self.outbox))
    }

    /// Keeps the record of the manager's last call, and turns what it asked for into orders.
    fn took(
        &mut self,
        now: Instant,
        what: Option<String>,
        actions: &[Action],
        memory: Option<Vec<u8>>,
    ) {
        let record = self.manager.last_record().to_vec();
        self.batch.entries.push(Entry { record, memory });
        let number = self.records();
        for change in self.manager.changes().to_vec() {
            match change {
                Change::NodeLost { node } => {
                    let name = self.state().nodes().name(node).to_owned();
                    if let Some(slot) = self.hosts.get_mut(&name) {
                        slot.epoch += 1;
                        let order = Order::Forget { epoch: slot.epoch };
                        self.outbox.orders.push((name.clone(), order));
                    }
                    // It follows from a timer, which says nothing itself.
                    let what = format!("{name} counts as lost");
                    let actions = Vec::new();
                    self.outbox.recorded.push(EventView { number, at_us: now.0, what, actions });
                }
                Change::Interrupted { task, .. } => drop(self.details.remove(&task.task)),
                Change::Ended { task, node, how } => self.ended(number, task, node, how),
                _ => {}
            }
        }
        for action in actions {
            match *action {
                Action::Start { task, node, attempt, .. } => {
                    let Some(definition) = self.state().task(task).map(|it| it.definition) else {
                        continue;
                    };
                    let job = self.job(task, definition, attempt, false);
                    self.order(node, Order::Start(job));
                }
                Action::Stop { task, node, attempt, .. } => {
                    self.order(node, Order::Stop { task, attempt });
                }
                // A hold and a wake-up are for us: people are told, and the manager is asked when it wants to
                // be woken.
                Action::Drop { .. } | Action::Hold { .. } | Action::Wake { .. } => {}
            }
        }
        let actions: Vec<String> = actions.iter().filter_map(|it| self.action_text(it)).collect();
        if let Some(what) = what {
            self.outbox.recorded.push(EventView { number, at_us: now.0, what, actions });
        } else if !actions.is_empty() {
            let what = "a moment came".to_owned();
            self.outbox.recorded.push(EventView { number, at_us: now.0, what, actions });
        }
    }

    /// Puts something on the agenda.
    pub(super) fn put_off(&mut self, at: Instant, wish: Wish) {
        let due = (at, self.notes.next_wish);
        self.notes.next_wish += 1;
        self.batch.agenda.push((due, Some(wish.clone())));
        self.agenda.insert(due, wish);
    }

    pub(super) fn order(&mut self, node: NodeId, order: Order) {
        let name = self.state().nodes().name(node).to_owned();
        self.outbox.orders.push((name, order));
    }

    fn job(&self, task: TaskId, definition: DefinitionId, attempt: u32, began: bool) -> Job {
        let program = self
            .programs
            .get(&definition)
            .unwrap_or_else(|| panic!("{definition}: put, but without a program"));
        let program = match self.overrides.get(&task) {
            Some(overrides) => Arc::new(program.with(overrides)),
            None => program.clone(),
        };
        let definition = self.state().definition(definition).name.clone();
        Job { task, attempt, program, definition, began }
    }

    fn ended(&mut self, number: u64, facts: Facts, node: Option<NodeId>, how: Ending) {
        let detail = self.details.remove(&facts.task).unwrap_or_default();
        let (how, mut reason) = ending_text(how);
        if !detail.reason.is_empty() {
            let gap = if reason.is_empty() { "" } else { ": " };
            reason = format!("{reason}{gap}{}", detail.reason);
        }
        let end = End {
            task: facts.task,
            attempt: facts.attempts,
            definition: facts.definition,
            group: facts.group,
            at: self.manager.now(),
            node: node.map_or(String::new(), |it| self.state().nodes().name(it).to_owned()),
            how: how.to_owned(),
            exit_codes: exit_codes(&detail),
            reason,
        };
        if self.overrides.remove(&facts.task).is_some() {
            self.batch.overrides.push((facts.task, None));
        }
        if how == "stopped" || how == "cancelled" {
            self.stopping.insert((facts.task, facts.attempts), (number, end.clone()));
        }
        self.ended += 1;
        self.batch.ends.push((number, end));
    }
}

/// The group in which a service's tasks are counted; ECS's name for it.
fn service_group(name: &str) -> String {
    format!("service:{name}")
}

fn exit_codes(detail: &TaskDetail) -> BTreeMap<String, Option<i64>> {
    detail.containers.iter().map(|it| (it.name.clone(), it.exit_code.map(i64::from))).collect()
}

/// One word, and a reason if there is one.
fn ending_text(how: Ending) -> (&'static str, String) {
    match how {
        Ending::Exited { code } => ("exited", format!("exit code {code}")),
        Ending::Cancelled => ("cancelled", String::new()),
        Ending::Dropped(reason) => ("dropped", reason.to_string()),
        Ending::Lost => ("lost", "its node was lost".to_owned()),
        Ending::Evicted => ("killed", "in favour of others".to_owned()),
        Ending::FailedToStart(why) => ("failed", why.to_string()),
        Ending::Stopped(reason) => ("stopped", reason.to_string()),
    }
}
