//! A workload: what a reader or a generator made, ready to be streamed to the simulator.

use crate::card::{self, Card, Units};
use crate::decimal;
use crate::error::{Place, TraceError};
use crate::generate::Likeness;
use crate::limits;
use crate::load;
use crate::stats::TaskStats;
use crate::tasks::{Cursor, Tasks};
pub(crate) use crate::tasks::{TaskRow, Texts};
use crate::zones::Zones;
use cluster::arrival::{Arrival, ArrivalStream, StreamError, TaskArrival, What};
use cluster::constraint::{Budget, Taint};
use cluster::demand::{Demand, Requirement, Resource, TaskDefinition};
use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::names::Names;
use cluster::nodes::{NODE, NodeSpec, Overcommit};
use cluster::units::Instant;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a workload holds besides tasks and its card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) definitions: Vec<TaskDefinition>,
    /// Empty where groups are named by their numbers.
    pub(crate) groups: Vec<String>,
    pub(crate) timeline: Timeline,
    pub(crate) told: Vec<(Instant, Event)>,
    pub(crate) files: Vec<String>,
    pub(crate) residents: Vec<String>,
    pub(crate) horizon: Option<Instant>,
}

/// What happens to nodes, in time order; ids in joining order.
pub(crate) type Timeline = Vec<(Instant, NodeId, NodeEvent)>;

/// A workload: definitions, what happens to nodes, and tasks in arrival order.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What is known about it.
    pub card: Card,
    definitions: Vec<TaskDefinition>,
    groups: Names,
    timeline: Timeline,
    told: Vec<(Instant, Event)>,
    tasks: Tasks,
    files: Vec<String>,
    residents: Names,
    /// Per row of `residents`: the node of that name and when it joins.
    resident_nodes: Vec<Option<(NodeId, Instant)>>,
    horizon: Option<Instant>,
    zones: Option<Zones>,
    oversized: Oversized,
    /// What was counted on tasks in memory, until they change.
    counted: Option<Box<TaskStats>>,
}

/// What to do with tasks that fit no node, not even when all are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Oversized {
    /// Refuse the workload.
    #[default]
    Error,
    /// Leave them out, and count them in the card.
    Drop,
    /// Keep them: they wait for ever, or until they are withdrawn.
    Keep,
}

impl Oversized {
    /// The names in options.
    pub const NAMES: [&'static str; 3] = ["error", "drop", "keep"];

    /// Reads `error`, `drop` or `keep`.
    ///
    /// # Errors
    ///
    /// [`TraceError::Unknown`] for any other word.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        match text {
            "error" => Ok(Self::Error),
            "drop" => Ok(Self::Drop),
            "keep" => Ok(Self::Keep),
            other => Err(TraceError::unknown("way with oversized tasks", other, Self::NAMES)),
        }
    }
}

/// A workload in the making. Readers fill it in any order; [`Draft::finish`] puts it in order.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) card: Card,
    pub(crate) horizon: Option<Instant>,
    pub(crate) tasks: Vec<TaskRow>,
    pub(crate) names: Texts,
    pub(crate) groups: Names,
    pub(crate) residents: Names,
    pub(crate) files: Vec<String>,
    /// What else the manager is told, in time order.
    pub(crate) told: Vec<(Instant, Event)>,
    definitions: Vec<TaskDefinition>,
    by_demand: IdMap<Demand, u32>,
    by_whole: IdMap<TaskDefinition, u32>,
    node_names: Names,
    timeline: Vec<(Instant, u32, NodeEvent)>,
}

impl Draft {
    pub(crate) fn new(card: Card) -> Self {
        Self {
            card,
            horizon: None,
            tasks: Vec::new(),
            names: Texts::default(),
            groups: Names::default(),
            residents: Names::default(),
            files: Vec::new(),
            told: Vec::new(),
            definitions: Vec::new(),
            by_demand: IdMap::default(),
            by_whole: IdMap::default(),
            node_names: Names::default(),
            timeline: Vec::new(),
        }
    }

    /// A task with everything at its default, made by the given line.
    pub(crate) fn row(&self, at: Instant, definition: u32, name: u32, line: u64) -> TaskRow {
        TaskRow {
            at,
            lifetime: None,
            withdrawn: None,
            estimate: None,
            definition,
            group: None,
            resident: None,
            priority: 0,
            kind: TaskKind::Job,
            on_loss: OnLoss::Restart,
            name,
            file: (self.files.len() as u32).saturating_sub(1),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }

    /// The definition of tasks that ask for this, a new one if nobody did yet.
    pub(crate) fn definition(&mut self, demand: Demand) -> u32 {
        if let Some(&row) = self.by_demand.get(&demand) {
            return row;
        }
        let row =
            self.put(TaskDefinition::single(self.card.units.describe(&demand), demand.clone()));
        self.by_demand.insert(demand, row);
        row
    }

    /// The row of a definition that says more than what it asks for, a new one if nobody said all of it yet.
    pub(crate) fn intern(&mut self, definition: TaskDefinition) -> u32 {
        if let Some(&row) = self.by_whole.get(&definition) {
            return row;
        }
        let row = self.put(definition.clone());
        self.by_whole.insert(definition, row);
        row
    }

    /// What each definition asks for.
    pub(crate) fn demand_amounts(&self) -> Vec<cluster::demand::Amounts> {
        self.definitions.iter().map(|it| it.demand().amounts).collect()
    }

    /// Adds a definition as it is.
    pub(crate) fn put(&mut self, definition: TaskDefinition) -> u32 {
        self.definitions.push(definition);
        u32::try_from(self.definitions.len() - 1).expect("fewer than 2^32 definitions")
    }

    /// Adds something that happens to the node of that name. Returns its place in the timeline.
    pub(crate) fn node_event(&mut self, at: Instant, name: &str, event: NodeEvent) -> usize {
        let node = self.node_names.intern(name);
        self.timeline.push((at, node, event));
        self.timeline.len() - 1
    }

    /// A node event that was added, to be changed.
    pub(crate) fn node_event_mut(&mut self, place: usize) -> &mut NodeEvent {
        &mut self.timeline[place].2
    }

    /// Takes out every event of the node of that name.
    pub(crate) fn forget_node(&mut self, name: &str) {
        if let Some(node) = self.node_names.get(name) {
            self.timeline.retain(|it| it.1 != node);
        }
    }

    /// Sorts by time, numbers nodes in joining order and definitions in order of first use.
    /// What the card counts is not counted yet: see [`Workload::measure`].
    pub(crate) fn finish(mut self) -> Workload {
        let backwards = self.tasks.windows(2).filter(|pair| pair[1].at < pair[0].at).count() as u64;
        if backwards > 0 {
            self.card.count("tasks earlier than the one before (sorted)", backwards);
            self.tasks.sort_by_key(|it| it.at);
        }
        self.timeline.sort_by_key(|it| it.0);
        let mut ids: Vec<Option<NodeId>> = vec![None; self.node_names.len()];
        let mut joined = 0;
        let timeline = self
            .timeline
            .into_iter()
            .map(|(at, node, event)| {
                let id = ids[node as usize].get_or_insert_with(|| {
                    joined += 1;
                    NodeId(joined - 1)
                });
                (at, *id, event)
            })
            .collect();
        let mut workload = Workload {
            card: self.card,
            definitions: self.definitions,
            groups: self.groups,
            timeline,
            told: self.told,
            tasks: Tasks::Rows { rows: self.tasks, names: self.names },
            files: self.files,
            residents: self.residents,
            resident_nodes: Vec::new(),
            horizon: self.horizon,
            zones: None,
            oversized: Oversized::Error,
            counted: None,
        };
        workload.renumber_definitions();
        workload.resolve_residents();
        workload
    }
}

/// As many kinds of nodes are compared as they stand; more are compared by what is written of them.
const ALIKE_MAX: usize = 16;

/// A task that fits no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    /// Which.
    pub task: TaskId,
    /// Where it stands in the trace.
    pub place: Place,
    /// What it asks for and no node has, in words.
    pub wants: String,
}

impl Workload {
    /// Everything that happens, in order. Within one instant node events come before budgets and those before
    /// tasks, tasks in file order, a definition right before the first task that names it.
    pub fn stream(&self) -> Stream<'_> {
        let mut tasks = self.tasks.iter();
        Stream {
            workload: self,
            next_node: 0,
            next_told: 0,
            next: tasks.next(),
            tasks,
            next_task: 0,
            next_definition: 0,
        }
    }

    /// A workload in memory, with everything `stream` brings. Tasks are named by their numbers.
    ///
    /// # Errors
    ///
    /// Whatever the stream says.
    pub fn from_stream(card: Card, stream: &mut dyn ArrivalStream) -> Result<Self, StreamError> {
        let mut draft = Draft::new(card);
        let mut node_names: Vec<String> = Vec::new();
        while let Some(Arrival { at, what }) = stream.next()? {
            match what {
                What::Definition { spec, .. } => {
                    draft.put(spec);
                }
                What::Node { node, event } => {
                    if let NodeEvent::Joined(spec) = &event {
                        node_names.push(spec.name.clone());
                    }
                    draft.node_event(at, &node_names[node.row()], event);
                }
                What::Task(task) => {
                    let name = draft.names.push(format_args!("{}", task.submission.task));
                    let mut row = draft.row(at, task.submission.definition.0, name, 0);
                    row.lifetime = task.lifetime;
                    row.withdrawn = task.withdrawn;
                    row.estimate = task.submission.estimate;
                    row.priority = task.submission.priority;
                    row.kind = task.submission.kind;
                    row.on_loss = task.submission.on_loss;
                    row.group =
                        task.submission.group.map(|it| draft.groups.intern(&it.to_string()));
                    row.resident =
                        task.resident.map(|it| draft.residents.intern(&node_names[it.row()]));
                    draft.tasks.push(row);
                }
                What::Told(event @ Event::BudgetPut(_)) => draft.told.push((at, event)),
                What::Told(event) => {
                    return Err(format!("no trace can hold this: {event}").into());
                }
            }
        }
        let mut workload = draft.finish();
        workload.measure();
        Ok(workload)
    }

    /// A workload whose tasks are drawn whenever somebody goes through them. Not measured yet.
    pub(crate) fn generated(
        card: Card,
        definitions: Vec<TaskDefinition>,
        timeline: Timeline,
        likeness: Likeness,
        horizon: Instant,
    ) -> Self {
        Self {
            card,
            definitions,
            groups: Names::default(),
            timeline,
            told: Vec::new(),
            tasks: Tasks::Generated(Box::new(likeness)),
            files: Vec::new(),
            residents: Names::default(),
            resident_nodes: Vec::new(),
            horizon: Some(horizon),
            zones: None,
            oversized: Oversized::Error,
            counted: None,
        }
    }

    /// A workload of tasks that are kept elsewhere. Not measured yet.
    pub(crate) fn framed(card: Card, frame: Frame, tasks: Tasks) -> Self {
        let mut workload = Self {
            card,
            definitions: frame.definitions,
            groups: frame.groups.into(),
            timeline: frame.timeline,
            told: frame.told,
            tasks,
            files: frame.files,
            residents: frame.residents.into(),
            resident_nodes: Vec::new(),
            horizon: frame.horizon,
            zones: None,
            oversized: Oversized::Error,
            counted: None,
        };
        workload.resolve_residents();
        workload
    }

    /// What it holds besides tasks and its card.
    pub(crate) fn frame(&self) -> Frame {
        Frame {
            definitions: self.definitions.clone(),
            groups: self.groups.iter().map(str::to_owned).collect(),
            timeline: self.timeline.clone(),
            told: self.told.clone(),
            files: self.files.clone(),
            residents: self.residents.iter().map(str::to_owned).collect(),
            horizon: self.horizon,
        }
    }

    /// Number of tasks.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Whether its tasks are in memory, where they can be changed.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.tasks, Tasks::Rows { .. })
    }

    /// Number of nodes that ever join.
    pub fn node_count(&self) -> usize {
        self.nodes().count()
    }

    /// Whether the workload brings nodes of its own.
    pub fn has_nodes(&self) -> bool {
        !self.timeline.is_empty()
    }

    /// The nodes that ever join, as they join, in id order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeSpec)> {
        self.timeline.iter().filter_map(|(_, node, event)| match event {
            NodeEvent::Joined(spec) => Some((*node, &**spec)),
            _ => None,
        })
    }

    /// All that happens to nodes, in time order.
    pub fn node_events(&self) -> impl Iterator<Item = (Instant, NodeId, &NodeEvent)> {
        self.timeline.iter().map(|(at, node, event)| (*at, *node, event))
    }

    /// Where the range that was read ends: the run stops there unless the user says otherwise.
    /// `None` runs until everything that ends has ended.
    pub fn horizon(&self) -> Option<Instant> {
        self.horizon
    }

    /// What a copy by [`bayplan::write`](crate::bayplan::write) does not hold, each with the option
    /// that gives it back.
    pub fn lost_in_csv(&self) -> Vec<String> {
        let horizon = self.horizon.map(|Instant(us)| {
            let exact = decimal::print(us, 1_000_000).expect("a millionth has six places");
            format!("the horizon of {}: replay with --until {exact}s", card::seconds(us))
        });
        let overcommit = self.card.suggested_overcommit.map(|permille| {
            let factors: Vec<String> = Resource::SCALARS
                .into_iter()
                .zip(permille)
                .filter(|it| it.1 != 1000)
                .map(|(resource, it)| format!("{}={}", resource.name(), f64::from(it) / 1e3))
                .collect();
            format!("the suggested over-commit: replay with --overcommit {}", factors.join(","))
        });
        horizon.into_iter().chain(overcommit).collect()
    }

    /// Disruption budgets, in the order in which they are put.
    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.told.iter().filter_map(|(_, event)| match event {
            Event::BudgetPut(budget) => Some(budget),
            _ => None,
        })
    }

    /// Definitions, in id order.
    pub fn definitions(&self) -> &[TaskDefinition] {
        &self.definitions
    }

    /// The task's name in the trace.
    pub fn name(&self, task: TaskId) -> Cow<'_, str> {
        self.tasks.name(task)
    }

    /// The group's name in the trace.
    pub fn group_name(&self, group: GroupId) -> Cow<'_, str> {
        match self.groups.is_empty() {
            false => Cow::Borrowed(self.groups.text(group.0)),
            true => Cow::Owned(group.to_string()),
        }
    }

    /// Where the task stands in the trace. The text of its line is not kept.
    pub fn place(&self, task: TaskId) -> Place {
        self.place_of(&self.tasks.get(task))
    }

    fn place_of(&self, row: &TaskRow) -> Place {
        let path = self.files.get(row.file as usize).unwrap_or(&self.card.source);
        Place { path: path.clone(), line: u64::from(row.line), ..Place::default() }
    }

    /// One task as the stream brings it. Costs a pass over the tasks before it where they are not in memory: see
    /// [`Workload::arrivals`] for all of them.
    pub fn task(&self, task: TaskId) -> TaskArrival {
        self.arrival(task, &self.tasks.get(task))
    }

    /// When the task arrives, at the same cost.
    pub fn arrives(&self, task: TaskId) -> Instant {
        self.tasks.get(task).at
    }

    /// All tasks with the moments in which they arrive, one after the other.
    pub fn arrivals(&self) -> impl Iterator<Item = (Instant, TaskArrival)> {
        self.tasks.iter().zip(0..).map(|(row, id)| (row.at, self.arrival(TaskId(id), &row)))
    }

    fn arrival(&self, task: TaskId, row: &TaskRow) -> TaskArrival {
        TaskArrival {
            submission: Submission {
                task,
                definition: DefinitionId(row.definition),
                group: row.group.map(GroupId),
                kind: row.kind,
                priority: row.priority,
                estimate: row.estimate,
                on_loss: row.on_loss,
            },
            lifetime: row.lifetime,
            withdrawn: row.withdrawn,
            resident: self.resident_of(row),
        }
    }

    /// Replaces the workload's nodes by these, all there from the start. Tasks that are resident on a
    /// node of a name that the new cluster lacks are submitted instead; the card counts them.
    ///
    /// # Errors
    ///
    /// [`TraceError::NoLabel`] if zones were asked for by a label that a node lacks;
    /// [`TraceError::Repeated`] if two nodes share a name.
    pub fn set_cluster(&mut self, nodes: Vec<NodeSpec>) -> Result<(), TraceError> {
        let mut seen: IdMap<&str, ()> = IdMap::default();
        for node in &nodes {
            if seen.insert(&node.name, ()).is_some() {
                let place = Box::default();
                return Err(TraceError::Repeated { place, what: "node", name: node.name.clone() });
            }
        }
        let joins = nodes
            .into_iter()
            .zip(0..)
            .map(|(spec, row)| (Instant::ZERO, NodeId(row), NodeEvent::Joined(Box::new(spec))))
            .collect();
        self.set_timeline(joins)
    }

    /// Replaces all that happens to nodes.
    pub(crate) fn set_timeline(&mut self, timeline: Timeline) -> Result<(), TraceError> {
        self.timeline = timeline;
        self.check_sums()?;
        self.card.zones = None;
        if let Some(zones) = self.zones.clone() {
            self.apply_zones(&zones)?;
        }
        self.resolve_residents();
        self.measure();
        Ok(())
    }

    /// Refuses nodes whose amounts together, each at its largest, are beyond what sums are made in.
    pub(crate) fn check_sums(&self) -> Result<(), TraceError> {
        let mut largest: Vec<[u64; 4]> = Vec::new();
        for (_, node, event) in &self.timeline {
            match event {
                NodeEvent::Joined(spec) => largest.push(load::node_totals(&spec.capacity)),
                NodeEvent::Updated(capacity) => {
                    let now = load::node_totals(capacity);
                    let most = &mut largest[node.row()];
                    *most = std::array::from_fn(|row| most[row].max(now[row]));
                }
                _ => {}
            }
        }
        for resource in Resource::ALL {
            let sum: u128 = largest.iter().map(|it| u128::from(it[resource.row()])).sum();
            if sum > limits::SUM_MAX {
                return Err(TraceError::ClusterTooLarge { resource, sum });
            }
        }
        Ok(())
    }

    /// The tasks that no node could hold even when empty, in arrival order, judged over all nodes
    /// that ever join and all capacities they ever have, times the over-commit factor.
    pub fn check_fits(&self, overcommit: Overcommit) -> Vec<TooLarge> {
        let nodes = self.node_kinds(overcommit);
        let units = self.card.units;
        let judge = |it: &TaskDefinition| wants_too_much(&it.demand(), &nodes, units);
        let verdicts: Vec<Option<String>> = self.definitions.iter().map(judge).collect();
        if verdicts.iter().all(Option::is_none) {
            return Vec::new();
        }
        self.tasks
            .iter()
            .zip(0..)
            .filter_map(|(row, id)| {
                let wants = verdicts[row.definition as usize].clone()?;
                Some(TooLarge { task: TaskId(id), place: self.place_of(&row), wants })
            })
            .collect()
    }

    /// Does with oversized tasks what [`ReadOptions::oversized`](crate::source::ReadOptions) says, now
    /// that cluster and over-commit factors are known.
    ///
    /// # Errors
    ///
    /// [`TraceError::Oversized`] with the first such task, if they are to be refused.
    pub fn enforce_fits(&mut self, overcommit: Overcommit) -> Result<(), TraceError> {
        let found = self.check_fits(overcommit);
        let (Some(first), count) = (found.first(), found.len() as u64) else { return Ok(()) };
        match self.oversized {
            Oversized::Error => Err(TraceError::Oversized {
                place: Box::new(first.place.clone()),
                task: self.name(first.task).into_owned(),
                wants: first.wants.clone(),
                count,
            }),
            Oversized::Keep => {
                self.card.count("tasks that fit no node (kept)", count);
                Ok(())
            }
            Oversized::Drop => {
                for it in &found {
                    self.card.refusals.add(&it.place.path, it.place.line, "fits no node");
                }
                let mut too_large = found.iter().map(|it| it.task.0).peekable();
                let mut id = 0;
                self.rows_mut().retain(|_| {
                    id += 1;
                    too_large.next_if_eq(&(id - 1)).is_none()
                });
                self.renumber_definitions();
                self.measure();
                Ok(())
            }
        }
    }

    /// Every node with every capacity it ever has, over-commit included.
    fn node_kinds(&self, overcommit: Overcommit) -> Vec<NodeSpec> {
        let mut kinds: Vec<NodeSpec> = Vec::new();
        let mut seen: IdMap<Vec<u8>, ()> = IdMap::default();
        let mut specs: Vec<&NodeSpec> = Vec::new();
        // Nodes that differ in their names alone are one kind, unless somebody asks for a name.
        let demands = self.definitions.iter().map(TaskDefinition::demand);
        let by_name = demands.into_iter().any(|it| {
            let mut asked = it.requires.iter().chain(it.any_of.iter().flatten());
            asked.any(|it| it.attribute == NODE)
        });
        let mut alike: Vec<&NodeSpec> = Vec::new();
        for (_, node, event) in &self.timeline {
            let mut kind = match event {
                NodeEvent::Joined(spec) => {
                    specs.push(spec);
                    if !by_name && alike.iter().any(|it| spec.differs_in_name_only(it)) {
                        continue;
                    }
                    if alike.len() < ALIKE_MAX {
                        alike.push(spec);
                    }
                    (**spec).clone()
                }
                NodeEvent::Updated(capacity) => {
                    NodeSpec { capacity: capacity.clone(), ..specs[node.row()].clone() }
                }
                _ => continue,
            };
            let mut amounts = kind.capacity.amounts.array();
            for (amount, permille) in amounts.iter_mut().zip(overcommit.0) {
                let exact = u128::from(*amount) * u128::from(permille) / 1000;
                *amount = u64::try_from(exact).unwrap_or(u64::MAX);
            }
            kind.capacity.amounts = cluster::demand::Amounts::from_array(amounts);
            if !by_name {
                kind.name.clear();
            }
            let key = format!("{kind:?}").into_bytes();
            if seen.insert(key, ()).is_none() {
                kinds.push(kind);
            }
        }
        kinds
    }

    fn resident_of(&self, row: &TaskRow) -> Option<NodeId> {
        let (node, joins) = self.resident_nodes[row.resident? as usize]?;
        (joins <= row.at).then_some(node)
    }

    /// Finds the nodes that tasks are resident on, and counts the tasks whose node is not there.
    pub(crate) fn resolve_residents(&mut self) {
        let mut joins: IdMap<&str, (NodeId, Instant)> = IdMap::default();
        if !self.residents.is_empty() {
            for (at, node, event) in &self.timeline {
                if let NodeEvent::Joined(spec) = event {
                    joins.insert(&spec.name, (*node, *at));
                }
            }
        }
        self.resident_nodes = self.residents.iter().map(|it| joins.get(&it).copied()).collect();
        let lost = self.residents_by_name().filter(|it| self.resident_of(it).is_none()).count();
        self.card
            .set_count("residents of nodes that are not there (submitted instead)", lost as u64);
    }

    /// Tasks that are on a node of some name when they arrive.
    fn residents_by_name(&self) -> impl Iterator<Item = TaskRow> {
        let end = self.tasks.residents_end();
        let tasks = (!self.residents.is_empty()).then(|| self.tasks.iter().take(end));
        tasks.into_iter().flatten().filter(|it| it.resident.is_some())
    }

    /// Numbers definitions in the order in which tasks first name them, and drops unused ones.
    fn renumber_definitions(&mut self) {
        const UNSEEN: u32 = u32::MAX;
        let mut new_rows = vec![UNSEEN; self.definitions.len()];
        let mut order = Vec::new();
        for task in self.rows_mut() {
            let new = &mut new_rows[task.definition as usize];
            if *new == UNSEEN {
                *new = order.len() as u32;
                order.push(task.definition as usize);
            }
            task.definition = *new;
        }
        self.definitions = order.into_iter().map(|it| self.definitions[it].clone()).collect();
    }

    pub(crate) fn apply_zones(&mut self, zones: &Zones) -> Result<(), TraceError> {
        let mut specs: Vec<&mut NodeSpec> = self
            .timeline
            .iter_mut()
            .filter_map(|(_, _, event)| match event {
                NodeEvent::Joined(spec) => Some(&mut **spec),
                _ => None,
            })
            .collect();
        zones.apply(&mut specs)?;
        self.card.zones = Some(zones.to_string());
        Ok(())
    }

    /// Counts everything that the card counts from tasks and nodes.
    pub(crate) fn measure(&mut self) {
        let mut card = std::mem::take(&mut self.card);
        let demands: Vec<Demand> = self.definitions.iter().map(TaskDefinition::demand).collect();
        let stats = self.stats(&demands);
        card.measure(self, &demands, &stats);
        self.card = card;
        if self.is_in_memory() {
            self.counted = Some(Box::new(stats));
        }
    }

    /// What tasks have in common.
    pub(crate) fn stats(&self, demands: &[Demand]) -> TaskStats {
        match &self.tasks {
            // They do not change.
            Tasks::Generated(it) => it.stats(|| TaskStats::of(&self.tasks, demands, self.horizon)),
            Tasks::Columns(it) => it.stats(),
            Tasks::Rows { .. } => match &self.counted {
                Some(it) => (**it).clone(),
                None => TaskStats::of(&self.tasks, demands, self.horizon),
            },
        }
    }

    /// The same, for a column file.
    pub(crate) fn task_stats(&self) -> TaskStats {
        let demands: Vec<Demand> = self.definitions.iter().map(TaskDefinition::demand).collect();
        self.stats(&demands)
    }

    /// How many groups there are; their numbers are below.
    pub(crate) fn group_numbers(&self) -> u32 {
        match &self.tasks {
            Tasks::Columns(it) => it.groups(),
            _ if !self.groups.is_empty() => self.groups.len() as u32,
            _ => self.tasks.iter().filter_map(|it| it.group).max().map_or(0, |it| it + 1),
        }
    }

    /// Tasks as they stand in the workload, in arrival order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = TaskRow> {
        self.tasks.iter()
    }

    /// The task's name in the trace, unless it is named by its number.
    pub(crate) fn name_in_trace(&self, task: TaskId) -> Option<&str> {
        self.tasks.given_name(task)
    }

    pub(crate) fn zones(&self) -> Option<&Zones> {
        self.zones.as_ref()
    }

    pub(crate) fn set_zones(&mut self, zones: Option<Zones>) {
        self.zones = zones;
    }

    /// Its tasks as rows in memory, whatever they were.
    fn rows_mut(&mut self) -> &mut Vec<TaskRow> {
        self.counted = None;
        if self.groups.is_empty() {
            // They are numbered without gaps.
            for row in self.tasks.iter() {
                // Of a column file some may have none.
                let Some(group) = row.group.map(GroupId) else { continue };
                while group.row() >= self.groups.len() {
                    let group = GroupId(self.groups.len() as u32);
                    self.groups.intern(&group.to_string());
                }
            }
        }
        self.tasks.rows()
    }

    /// Changes tasks and horizon; definitions are renumbered afterwards.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Parts<'_>)) {
        // The horizon, too, is part of what is counted.
        self.rows_mut();
        change(&mut Parts {
            card: &mut self.card,
            tasks: self.tasks.rows(),
            timeline: &mut self.timeline,
            horizon: &mut self.horizon,
        });
        self.renumber_definitions();
        self.resolve_residents();
    }

    pub(crate) fn into_timeline(self) -> Timeline {
        self.timeline
    }

    pub(crate) fn remember(&mut self, zones: Option<Zones>, oversized: Oversized) {
        self.zones = zones.or(self.zones.take());
        self.oversized = oversized;
    }

    pub(crate) fn resident_count(&self) -> u64 {
        self.residents_by_name().filter(|it| self.resident_of(it).is_some()).count() as u64
    }
}

/// What transformations may change.
pub(crate) struct Parts<'a> {
    pub(crate) card: &'a mut Card,
    pub(crate) tasks: &'a mut Vec<TaskRow>,
    pub(crate) timeline: &'a mut Timeline,
    pub(crate) horizon: &'a mut Option<Instant>,
}

/// What a demand asks for and no kind of node has, in words; `None` if one has it all.
fn wants_too_much(demand: &Demand, kinds: &[NodeSpec], units: Units) -> Option<String> {
    if kinds.is_empty() || kinds.iter().any(|it| fits_empty(demand, it)) {
        return None;
    }
    let asked = demand.amounts.array();
    for resource in Resource::SCALARS {
        let row = resource.row();
        let largest = kinds.iter().map(|it| it.capacity.amounts.array()[row]).max().unwrap_or(0);
        if asked[row] > largest {
            let (asked, largest) =
                (units.amount(resource, asked[row]), units.amount(resource, largest));
            return Some(format!("{resource} of {asked}, the largest node has {largest}"));
        }
    }
    let devices = kinds.iter().map(|it| matching_devices(demand, it)).max().unwrap_or(0);
    if u64::from(demand.gpus.count) > devices {
        let models = match &demand.gpus.models[..] {
            [] => String::new(),
            models => format!(" of {}", models.join("|")),
        };
        let count = demand.gpus.count;
        return Some(format!("{count} gpu devices{models}, no node has more than {devices}"));
    }
    let has = |ask: &&Requirement| kinds.iter().any(|it| has_attribute(it, ask));
    if let Some(ask) = demand.requires.iter().find(|it| !has(it)) {
        return Some(format!("{ask}, which is true of no node"));
    }
    if !kinds.iter().any(|it| has_any_of(it, demand)) {
        return Some("one of several kinds of node, none of which is there".to_owned());
    }
    if !kinds.iter().any(|it| is_tolerable(it, demand)) {
        return Some("a node without taints, and tolerates none that are there".to_owned());
    }
    Some(format!("{} together, which no single node has", units.describe(demand)))
}

fn fits_empty(demand: &Demand, node: &NodeSpec) -> bool {
    demand.amounts.array().iter().zip(node.capacity.amounts.array()).all(|(ask, has)| *ask <= has)
        && matching_devices(demand, node) >= u64::from(demand.gpus.count)
        && demand.ports.iter().all(|it| !node.reserved_ports.contains(it))
        && demand.requires.iter().all(|ask| has_attribute(node, ask))
        && has_any_of(node, demand)
        && is_tolerable(node, demand)
}

fn has_any_of(node: &NodeSpec, demand: &Demand) -> bool {
    let mut any = demand.any_of.iter();
    demand.any_of.is_empty() || any.any(|all| all.iter().all(|it| has_attribute(node, it)))
}

fn is_tolerable(node: &NodeSpec, demand: &Demand) -> bool {
    let is_tolerated = |taint: &Taint| demand.tolerations.iter().any(|it| it.covers(taint));
    node.taints.iter().all(|it| !it.effect.is_hard() || is_tolerated(it))
}

fn matching_devices(demand: &Demand, node: &NodeSpec) -> u64 {
    let models = &demand.gpus.models;
    node.capacity.gpus.iter().filter(|it| models.is_empty() || models.contains(it)).count() as u64
}

fn has_attribute(node: &NodeSpec, ask: &Requirement) -> bool {
    ask.test.holds(node.value(&ask.attribute))
}

/// A [`Workload`] as a stream.
#[derive(Debug, Clone)]
pub struct Stream<'a> {
    workload: &'a Workload,
    next_node: usize,
    next_told: usize,
    tasks: Cursor<'a>,
    /// The task that comes next, and its number.
    next: Option<TaskRow>,
    next_task: u64,
    next_definition: u32,
}

impl ArrivalStream for Stream<'_> {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        Ok(Iterator::next(self))
    }
}

impl Iterator for Stream<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let workload = self.workload;
        let task = self.next.as_ref();
        let told = workload.told.get(self.next_told);
        if let Some((at, node, event)) = workload.timeline.get(self.next_node)
            && task.is_none_or(|it| *at <= it.at)
            && told.is_none_or(|it| *at <= it.0)
        {
            self.next_node += 1;
            let what = What::Node { node: *node, event: event.clone() };
            return Some(Arrival { at: *at, what });
        }
        if let Some((at, event)) = told.filter(|told| task.is_none_or(|it| told.0 <= it.at)) {
            self.next_told += 1;
            return Some(Arrival { at: *at, what: What::Told(event.clone()) });
        }
        let row = task?;
        if row.definition == self.next_definition {
            let definition = DefinitionId(row.definition);
            self.next_definition += 1;
            let spec = workload.definitions[definition.row()].clone();
            return Some(Arrival { at: row.at, what: What::Definition { definition, spec } });
        }
        let (at, task) = (row.at, workload.arrival(TaskId(self.next_task), row));
        self.next_task += 1;
        self.next = self.tasks.next();
        Some(Arrival { at, what: What::Task(task) })
    }
}
