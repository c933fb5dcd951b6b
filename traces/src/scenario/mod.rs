//! Scenarios: one JSON document with a cluster, what runs on it, what waits, and what is to be placed.
//!
//! A scenario is read by [`Scenario::read`] (a file, perhaps gzip) or [`Scenario::parse`] (a text), both checked in
//! full; what is wrong has a line, a column and a way out. The types of the file, every field with its unit, are in
//! [`model`]; [`schema`] is their JSON Schema.
//!
//! It is used in two ways. As a **situation**: [`Scenario::setup`] are the events that bring a
//! [`Manager`](cluster::manager::Manager) there (nodes join and drain, definitions and budgets are put, running tasks are
//! adopted, waiting ones submitted), and [`Scenario::to_place`] are the tasks that one asks about. As a **trace**:
//! [`Scenario::to_workload`], or `--trace scenario.json`; running tasks are residents, all others arrive when they say.
//! Tasks have the same ids in both, and budgets and definitions are there from the start.
//!
//! ```
//! use traces::scenario::Scenario;
//! let scenario = Scenario::parse("example.json", r#"{
//!     "nodes": [{"name": "a", "zone": "z1", "cpu_cores": 4, "memory_gib": 16, "taints": ["spot:NoSchedule"]}],
//!     "definitions": {"web": {"labels": {"app": "web"}, "containers": [{"cpu_milli": 500, "memory_mib": 256}],
//!         "spread": [{"domain": "zone", "who": ["app=web"]}], "tolerations": ["spot"]}},
//!     "tasks": [{"name": "w1", "definition": "web", "on": "a"}, {"definition": "web", "count": 2}],
//!     "place": {"name": "w9", "definition": "web"}
//! }"#)?;
//! assert_eq!(scenario.setup().count(), 1 + 1 + 1 + 2);
//! let asked = scenario.to_place().next().expect("one task is to be placed");
//! assert_eq!((asked.name.as_str(), asked.place.line), ("w9", 6));
//! assert_eq!(scenario.to_workload().task_count(), 4);
//! # Ok::<(), traces::error::TraceError>(())
//! ```

mod check;
pub mod model;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use check::{port, taint_text, toleration_text};
pub(crate) use write::{budgets as budgets_text, definitions as definitions_text};

use crate::card::Card;
use crate::error::{Place, TraceError};
use crate::format::{Format, Request, Role, Sample};
use crate::json::{At, Document};
use crate::text;
use crate::workload::{Draft, Workload};
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::constraint::Budget;
use cluster::demand::TaskDefinition;
use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::names::Names;
use cluster::nodes::{NodeSpec, NodeStatus};
use cluster::units::{Instant, Span};
use model::TextOr;
use std::collections::BTreeMap;
use std::path::Path;

/// Nodes and tasks of one file, each.
const COUNT_MAX: u64 = 10_000_000;

/// A situation of a cluster, checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file, or what stands for it.
    pub source: String,
    /// Row = [`NodeId`].
    pub nodes: Vec<ScenarioNode>,
    /// Row = [`DefinitionId`]: those of the file by name, then those that stand in tasks.
    pub definitions: Vec<TaskDefinition>,
    /// Names of the groups; row = [`GroupId`].
    pub groups: Names,
    /// Row = [`TaskId`], in order of arrival: at one moment those that run, then those that wait, then those to place.
    pub tasks: Vec<ScenarioTask>,
    /// Disruption budgets, in the order of the file.
    pub budgets: Vec<Budget>,
}

/// A node of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioNode {
    /// What it is.
    pub spec: NodeSpec,
    /// Ready, draining or lost.
    pub status: NodeStatus,
}

/// A task of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioTask {
    /// Unique among tasks.
    pub name: String,
    /// Where it stands in the file; the text of its line is not kept.
    pub place: Place,
    /// When it arrives; [`Instant::ZERO`] if it runs.
    pub at: Instant,
    /// The task; `resident` is the node it runs on.
    pub arrival: TaskArrival,
    /// Whether a place is sought for it.
    pub is_to_place: bool,
}

/// The JSON Schema of scenario files, as pretty JSON. That of `definitions.json` is in it as `Definition`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(model::Document);
    serde_json::to_string_pretty(&schema).expect("a schema is JSON")
}

/// Reads `definitions.json`: definitions by name.
pub(crate) fn read_definitions(path: &Path) -> Result<Vec<TaskDefinition>, TraceError> {
    let (name, text) = (path.display().to_string(), text::read_whole(path)?);
    let document = Document::parse(&name, &text)?;
    let said: BTreeMap<String, model::Definition> = document.read()?;
    let mut building = Building::default();
    building.definitions(&document.root(), &said)?;
    Ok(building.definitions)
}

/// Reads `budgets.json`: a list of budgets.
pub(crate) fn read_budgets(path: &Path) -> Result<Vec<Budget>, TraceError> {
    let (name, text) = (path.display().to_string(), text::read_whole(path)?);
    let document = Document::parse(&name, &text)?;
    let said: Vec<model::Budget> = document.read()?;
    let mut building = Building::default();
    building.budgets(&document.root(), &said)?;
    Ok(building.budgets)
}

impl Scenario {
    /// Reads a file; gzip is told by its content.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it: see [`TraceError`].
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        Self::parse(&path.display().to_string(), &text::read_whole(path)?)
    }

    /// Reads a text; `path` is for places.
    ///
    /// # Errors
    ///
    /// As [`Scenario::read`].
    pub fn parse(path: &str, text: &str) -> Result<Self, TraceError> {
        let document = Document::parse(path, text)?;
        let said: model::Document = document.read()?;
        let mut building = Building::default();
        building.nodes(&document.root().key("nodes"), &said.nodes)?;
        building.definitions(&document.root().key("definitions"), &said.definitions)?;
        building.budgets(&document.root().key("budgets"), &said.budgets)?;
        building.all_tasks(&document.root(), &said)?;
        Ok(building.finish(path))
    }

    /// What is to be told to a manager, at one moment, before it is asked to place the rest: nodes, definitions, budgets,
    /// tasks that run, tasks that wait. Ids are those of this scenario.
    pub fn setup(&self) -> impl Iterator<Item = Event> {
        let put = (0..)
            .map(DefinitionId)
            .zip(&self.definitions)
            .map(|(definition, spec)| Event::DefinitionPut { definition, spec: spec.clone() });
        let tasks = self.tasks.iter().filter(|it| !it.is_to_place).map(|it| {
            let submission = it.arrival.submission.clone();
            match it.arrival.resident {
                Some(node) => Event::TaskAdopted { submission, node },
                None => Event::TaskSubmitted(submission),
            }
        });
        let nodes = self.node_events().map(|(node, event)| Event::Node { node, event });
        nodes.chain(put).chain(self.budgets.iter().cloned().map(Event::BudgetPut)).chain(tasks)
    }

    /// The tasks that run from the beginning, with their nodes.
    pub fn running(&self) -> impl Iterator<Item = (&ScenarioTask, NodeId)> {
        self.tasks.iter().filter_map(|it| Some((it, it.arrival.resident?)))
    }

    /// The tasks that wait.
    pub fn pending(&self) -> impl Iterator<Item = &ScenarioTask> {
        self.tasks.iter().filter(|it| !it.is_to_place && it.arrival.resident.is_none())
    }

    /// The tasks that a place is sought for.
    pub fn to_place(&self) -> impl Iterator<Item = &ScenarioTask> {
        self.tasks.iter().filter(|it| it.is_to_place)
    }

    /// The whole as a stream, in time order: nodes, definitions and budgets at the start, tasks as they arrive.
    pub fn arrivals(&self) -> Vec<Arrival> {
        let at_start = |what| Arrival { at: Instant::ZERO, what };
        let nodes = self.node_events().map(|(node, event)| What::Node { node, event });
        let put = (0..).map(DefinitionId).zip(&self.definitions);
        let put = put.map(|(definition, spec)| What::Definition { definition, spec: spec.clone() });
        let budgets = self.budgets.iter().map(|it| What::Told(Event::BudgetPut(it.clone())));
        let tasks = self.tasks.iter();
        let tasks = tasks.map(|it| Arrival { at: it.at, what: What::Task(it.arrival.clone()) });
        nodes.chain(put).chain(budgets).map(at_start).chain(tasks).collect()
    }

    /// The whole as a workload.
    pub fn to_workload(&self) -> Workload {
        let mut draft = Draft::new(Card::new(self.source.clone(), FORMAT.name));
        self.fill(&mut draft, false);
        let mut workload = draft.finish();
        workload.measure();
        workload
    }

    /// What happens to nodes before anything else.
    fn node_events(&self) -> impl Iterator<Item = (NodeId, NodeEvent)> {
        (0..).map(NodeId).zip(&self.nodes).flat_map(|(node, it)| {
            let then = match it.status {
                NodeStatus::Draining => Some(NodeEvent::Draining),
                NodeStatus::Lost => Some(NodeEvent::Lost),
                _ => None,
            };
            let joined = NodeEvent::Joined(Box::new(it.spec.clone()));
            [Some(joined), then].into_iter().flatten().map(move |event| (node, event))
        })
    }

    fn fill(&self, draft: &mut Draft, nodes_only: bool) {
        for (node, event) in self.node_events() {
            draft.node_event(Instant::ZERO, &self.nodes[node.row()].spec.name, event);
        }
        if nodes_only {
            return;
        }
        draft.files.push(self.source.clone());
        let rows: Vec<u32> = self.definitions.iter().map(|it| draft.put(it.clone())).collect();
        let told = self.budgets.iter().cloned().map(Event::BudgetPut);
        draft.told.extend(told.map(|it| (Instant::ZERO, it)));
        for it in &self.tasks {
            let TaskArrival { submission, lifetime, withdrawn, resident } = &it.arrival;
            let name = draft.names.push(format_args!("{}", it.name));
            let mut row = draft.row(it.at, rows[submission.definition.row()], name, it.place.line);
            row.lifetime = *lifetime;
            row.withdrawn = *withdrawn;
            row.estimate = submission.estimate;
            row.group = submission.group.map(|it| draft.groups.intern(self.groups.text(it.0)));
            row.resident =
                resident.map(|it| draft.residents.intern(&self.nodes[it.row()].spec.name));
            row.priority = submission.priority;
            row.kind = submission.kind;
            row.on_loss = submission.on_loss;
            draft.tasks.push(row);
            draft.card.rows_read += 1;
        }
        let count = |it: usize| it as u64;
        draft.card.set_count(
            "tasks to place (arrive last of their moment)",
            count(self.to_place().count()),
        );
        draft.card.set_count("disruption budgets", count(self.budgets.len()));
    }
}

/// A scenario in the making.
#[derive(Default)]
struct Building {
    nodes: Vec<ScenarioNode>,
    node_names: Names,
    definitions: Vec<TaskDefinition>,
    definition_names: Names,
    budgets: Vec<Budget>,
    groups: Names,
    tasks: Vec<ScenarioTask>,
    task_names: IdMap<String, ()>,
}

/// Which of the lists a task stands in.
#[derive(Clone, Copy)]
enum List {
    Tasks,
    Place,
    /// Under a node, the row of the first of its kind and how many there are.
    OnNodes(NodeId, u32),
}

impl Building {
    fn nodes(&mut self, at: &At<'_>, nodes: &[model::Node]) -> Result<(), TraceError> {
        for (index, it) in nodes.iter().enumerate() {
            let at = at.element(index);
            let spec = check::node(&at, it)?;
            let status = match it.status {
                model::Status::Ready => NodeStatus::Ready,
                model::Status::Draining => NodeStatus::Draining,
                model::Status::Lost => NodeStatus::Lost,
            };
            if it.count == Some(0) || u64::from(it.count.unwrap_or(1)) > COUNT_MAX / 10 {
                return Err(at.key("count").wrong("a number from 1 to 1000000"));
            }
            for number in 0..it.count.unwrap_or(1) {
                let mut spec = spec.clone();
                if it.count.is_some() {
                    spec.name = format!("{}-{number}", it.name);
                }
                if self.node_names.get(&spec.name).is_some() {
                    return Err(at.key("name").repeated("node", &spec.name));
                }
                self.node_names.intern(&spec.name);
                self.nodes.push(ScenarioNode { spec, status });
            }
            if self.nodes.len() as u64 > COUNT_MAX / 10 {
                return Err(at.conflict("is more than 1000000 nodes in all", "fewer nodes"));
            }
        }
        Ok(())
    }

    fn definitions(
        &mut self,
        at: &At<'_>,
        said: &BTreeMap<String, model::Definition>,
    ) -> Result<(), TraceError> {
        for (name, it) in said {
            if name.is_empty() {
                return Err(at.key(name).conflict("is nameless", "a name for every definition"));
            }
            self.definitions.push(check::definition(&at.key(name), name, it)?);
            self.definition_names.intern(name);
        }
        Ok(())
    }

    fn budgets(&mut self, at: &At<'_>, budgets: &[model::Budget]) -> Result<(), TraceError> {
        for (index, it) in budgets.iter().enumerate() {
            let at = at.element(index);
            let budget = check::budget(&at, it)?;
            if self.budgets.iter().any(|it| it.name == budget.name) {
                return Err(at.key("name").repeated("budget", &budget.name));
            }
            self.budgets.push(budget);
        }
        Ok(())
    }

    fn all_tasks(&mut self, root: &At<'_>, said: &model::Document) -> Result<(), TraceError> {
        let mut first = NodeId(0);
        for (index, node) in said.nodes.iter().enumerate() {
            let (at, count) = (root.key("nodes").element(index), node.count.unwrap_or(1));
            self.tasks(&at.key("tasks"), &node.tasks, List::OnNodes(first, count))?;
            first.0 += count;
        }
        self.tasks(&root.key("tasks"), &said.tasks, List::Tasks)?;
        // Those that run come first.
        self.tasks.sort_by_key(|it| it.arrival.resident.is_none());
        self.tasks(&root.key("place"), said.place.as_slice(), List::Place)
    }

    fn tasks(&mut self, at: &At<'_>, tasks: &[model::Task], list: List) -> Result<(), TraceError> {
        tasks.iter().enumerate().try_for_each(|(index, it)| self.task(&at.element(index), it, list))
    }

    fn task(&mut self, at: &At<'_>, it: &model::Task, list: List) -> Result<(), TraceError> {
        let name = match it.name.as_deref() {
            Some("") => return Err(at.key("name").wrong("a task's name")),
            name => name.unwrap_or(at.field()),
        };
        let definition = self.definition(&at.key("definition"), name, &it.definition)?;
        let nodes = self.nodes_of(at, it, list)?;
        let arrives = match &it.arrival_s {
            Some(time) => Some(Instant(check::seconds(&at.key("arrival_s"), time)?)),
            None => None,
        };
        if !nodes.is_empty() && arrives.is_some() {
            let reason = "is of a task that runs from the beginning";
            return Err(at.key("arrival_s").conflict(reason, "either \"on\" or \"arrival_s\""));
        }
        let at_last = || self.tasks.iter().map(|it| it.at).max().unwrap_or_default();
        let moment = arrives.unwrap_or_else(|| match list {
            List::Place => at_last(),
            _ => Instant::ZERO,
        });
        let time = |name: &str, written: &Option<model::Decimal>| match written {
            Some(written) => check::seconds(&at.key(name), written).map(Some),
            None => Ok(None),
        };
        let withdrawn = time("withdrawn_s", &it.withdrawn_s)?.map(Instant);
        if withdrawn.is_some_and(|it| it < moment) {
            return Err(at.key("withdrawn_s").wrong("a moment after the arrival"));
        }
        let submission = Submission {
            task: TaskId(0),
            definition,
            group: it.group.as_ref().map(|it| GroupId(self.groups.intern(it))),
            kind: match it.kind {
                model::Kind::Job => TaskKind::Job,
                model::Kind::Service => TaskKind::Service,
            },
            priority: it.priority,
            estimate: time("estimate_s", &it.estimate_s)?.map(Span),
            on_loss: match it.on_loss {
                model::OnLoss::Restart => OnLoss::Restart,
                model::OnLoss::End => OnLoss::End,
            },
        };
        let lifetime = time("duration_s", &it.duration_s)?.map(Span);
        let count = u64::from(it.count.unwrap_or(1));
        if count == 0 || count > COUNT_MAX {
            return Err(at.key("count").wrong("a number from 1 to 10000000"));
        }
        let places = nodes.len().max(1) as u64;
        if self.tasks.len() as u64 + count * places > COUNT_MAX {
            return Err(at.conflict("is more than 10000000 tasks in all", "a smaller \"count\""));
        }
        let is_to_place = matches!(list, List::Place);
        let place = Place { text: String::new(), ..*at.place() };
        for row in 0..places as usize {
            let node = nodes.get(row).copied();
            for number in 0..count {
                let mut name = name.to_owned();
                if let (List::OnNodes(_, 2..), Some(node)) = (list, node) {
                    name = format!("{name}@{}", self.nodes[node.row()].spec.name);
                }
                if it.count.is_some() {
                    name = format!("{name}/{number}");
                }
                if self.task_names.insert(name.clone(), ()).is_some() {
                    return Err(at.key("name").repeated("task", &name));
                }
                let submission = submission.clone();
                let arrival = TaskArrival { submission, lifetime, withdrawn, resident: node };
                let place = place.clone();
                self.tasks.push(ScenarioTask { name, place, at: moment, arrival, is_to_place });
            }
        }
        Ok(())
    }

    fn definition(
        &mut self,
        at: &At<'_>,
        task: &str,
        it: &TextOr<model::Definition>,
    ) -> Result<DefinitionId, TraceError> {
        match it {
            TextOr::Text(name) => {
                let known = &self.definition_names;
                let row = self.definition_names.get(name);
                row.map(DefinitionId).ok_or_else(|| at.unknown("definition", name, known))
            }
            TextOr::Full(it) => {
                self.definitions.push(check::definition(at, task, it)?);
                Ok(DefinitionId(self.definitions.len() as u32 - 1))
            }
        }
    }

    /// The nodes that a task runs on.
    fn nodes_of(
        &self,
        at: &At<'_>,
        it: &model::Task,
        list: List,
    ) -> Result<Vec<NodeId>, TraceError> {
        let nodes = match (&it.on, list) {
            (Some(_), List::Place) => {
                let wanted = "it among \"tasks\", or no \"on\"";
                return Err(at.key("on").conflict("is of a task that is to be placed", wanted));
            }
            (Some(_), List::OnNodes(..)) => {
                let reason = "is of a task that stands under its node";
                return Err(at.key("on").conflict(reason, "it among \"tasks\", or no \"on\""));
            }
            (None, List::OnNodes(first, count)) => (first.0..first.0 + count).map(NodeId).collect(),
            (Some(name), List::Tasks) => match self.node_names.get(name) {
                Some(row) => vec![NodeId(row)],
                None => return Err(at.key("on").unknown("node", name, &self.node_names)),
            },
            (None, _) => Vec::new(),
        };
        let is_lost = |it: &&NodeId| self.nodes[it.row()].status == NodeStatus::Lost;
        match nodes.iter().find(is_lost) {
            Some(_) => {
                let wanted = "a node that is ready or draining";
                Err(at.key("on").conflict("is a node that is lost and runs nothing", wanted))
            }
            None => Ok(nodes),
        }
    }

    fn finish(mut self, path: &str) -> Scenario {
        self.tasks.sort_by_key(|it| it.at);
        for (id, task) in (0..).zip(&mut self.tasks) {
            task.arrival.submission.task = TaskId(id);
        }
        Scenario {
            source: path.to_owned(),
            nodes: self.nodes,
            definitions: self.definitions,
            groups: self.groups,
            tasks: self.tasks,
            budgets: self.budgets,
        }
    }
}

/// The format.
pub const FORMAT: Format = Format {
    name: "scenario",
    summary: "one JSON document: a cluster, what runs on it, what waits, what is to be placed",
    source: "this project",
    options: &[],
    guide: "\
One JSON document. Units stand in the names, only one of several names may be given.

  nodes        [{name (needed), zone, cpu_{cores,milli}, memory_{gib,mib,bytes}, disk_…,
               gpus: [model, …], labels: {}, taints: [KEY=VALUE:EFFECT], images: [{names,
               size_{mib,bytes}}], reserved_ports, rank, status: ready|draining|lost,
               count, tasks: [task, … that run there]}]
  definitions  {NAME: {containers (needed): [{name, image, cpu_…, memory_…, disk_…,
               cpu_limit_…, memory_limit_…, gpus, gpu_milli, gpu_models, ports}],
               namespace, labels: {}, requires: [test], any_of: [[test]],
               tolerations: [KEY, KEY=VALUE, KEY:EFFECT, *],
               prefers: [{weight 1-100, all: [test]}],
               affinity: [{side: near|apart, domain, who, weight (none: hard)}],
               spread: [{domain, who, skew_max 1, domains_min 1, hard true}],
               limits: [{domain, max, who}]}}
  tasks        [{definition (needed: a name, or a definition), name, group,
               kind: job|service, priority, on (the node it runs on), count, arrival_s 0,
               duration_s (none: never ends), estimate_s, withdrawn_s, on_loss: restart|end}]
  budgets      [{name (needed), namespace, select: [test], available_min|unavailable_max}]
  place        the task to place, or a list; it arrives last of its moment

  A test is a text (ssd, !ssd, rack=a|b, rack!=a, cores>4, cores<4, type~t2.*) or
  {attribute, in|not_in|exists|absent|above|below|matches}. A domain is an attribute whose
  values are domains: node, zone, or a label such as rack. `who` is \"group\" (tasks of the
  own group), a list of tests of labels, or {labels: [test], namespaces: []}.

  What is asked for is the limit where nothing else is said; placing goes by what is asked
  for. 0 asks for nothing in so many words, which some policies tell from saying nothing.
  Tasks with `on` are residents, all others arrive at arrival_s.

  {\"nodes\": [{\"name\": \"a\", \"zone\": \"z1\", \"cpu_cores\": 4, \"memory_gib\": 16, \"count\": 3}],
   \"definitions\": {\"web\": {\"labels\": {\"app\": \"web\"},
     \"containers\": [{\"cpu_milli\": 500, \"memory_mib\": 256}],
     \"affinity\": [{\"side\": \"apart\", \"domain\": \"node\", \"who\": [\"app=web\"]}]}},
   \"tasks\": [{\"definition\": \"web\", \"on\": \"a-0\"}],
   \"place\": {\"definition\": \"web\"}}",
    recognise,
    uses: |request| Ok(request.files.iter().map(|it| it.path.clone()).collect()),
    read,
};

/// A scenario is told by the first name in it.
fn recognise(sample: &Sample) -> Option<Role> {
    let text = sample.lines.concat();
    let inner = text.trim_start().strip_prefix('{')?.trim_start().strip_prefix('"')?;
    let first = inner.split('"').next()?;
    let known = ["$schema", "about", "nodes", "definitions", "tasks", "budgets", "place"];
    known.contains(&first).then_some(Role::Tasks)
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    match &request.files[..] {
        [file] => {
            Scenario::read(&file.path)?.fill(draft, request.nodes_only);
            Ok(())
        }
        several => Err(TraceError::Ambiguous {
            path: request.path.into(),
            what: "scenarios",
            choices: several.iter().map(|it| format!("scenario:{}", it.path.display())).collect(),
        }),
    }
}
