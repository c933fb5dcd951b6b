//! The pods and nodes of a trace, brought into a recorded order.

use super::orders::Order;
use super::text;
use crate::error::Failure;
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::event::{NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::nodes::NodeSpec;
use cluster::units::Instant;
use schedulers::fragments::{Asked, Usual};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use traces::Workload;
use traces::source::{ReadOptions, Source};

/// The pods of a trace by name, and what of them is usual.
pub(super) struct Pods {
    workload: Workload,
    /// By name.
    tasks: Vec<TaskId>,
    pub(super) usual: Arc<Usual>,
}

impl Pods {
    pub(super) fn read(traces: &Path, name: &str) -> Result<Self, Failure> {
        for list in [&format!("openb_pod_list_{name}.csv"), "openb_node_list_gpu_node.csv"] {
            if ["", ".gz"].iter().all(|end| !traces.join(format!("{list}{end}")).is_file()) {
                return Err(Failure::new(format!("{} has no {list}", traces.display()))
                    .help(format!("the orders of {name} need it, plain or gzip")));
            }
        }
        let source = format!("openb:{}?pods={name}&nodes=gpu", traces.display());
        let workload = traces::read(&Source::parse(&source)?, &ReadOptions::default())?;
        if let Some((reason, count)) = workload.card.refusals.by_reason.iter().next() {
            return Err(Failure::new(format!("{source}: {count} pods were refused: {reason}"))
                .help("the recorded orders number all pods of the original list"));
        }
        let mut tasks: Vec<TaskId> = (0..workload.task_count() as u64).map(TaskId).collect();
        tasks.sort_by_cached_key(|it| workload.name(*it).into_owned());
        let usual = Arc::new(usual(&workload, &tasks)?);
        Ok(Self { workload, tasks, usual })
    }

    pub(super) fn arrivals(&self, order: &Order) -> Result<Vec<Arrival>, Failure> {
        let specs: Vec<(NodeId, &NodeSpec)> = self.workload.nodes().collect();
        let (pods, ranks) = (order.pods(self.tasks.len())?, order.ranks(specs.len())?);
        let mut by_name: Vec<usize> = (0..specs.len()).collect();
        by_name.sort_by_key(|&it| &specs[it].1.name);
        let mut rank_of = vec![0u32; specs.len()];
        for (&row, &rank) in by_name.iter().zip(&ranks) {
            rank_of[row] = rank as u32;
        }
        let mut out = Vec::with_capacity(specs.len() + pods.len());
        let at = Instant::ZERO;
        for (row, (node, spec)) in specs.iter().enumerate() {
            let spec = NodeSpec { rank: Some(rank_of[row]), ..(*spec).clone() };
            let event = NodeEvent::Joined(Box::new(spec));
            out.push(Arrival { at, what: What::Node { node: *node, event } });
        }
        for (row, spec) in self.workload.definitions().iter().enumerate() {
            let definition = DefinitionId(row as u32);
            out.push(Arrival { at, what: What::Definition { definition, spec: spec.clone() } });
        }
        for (number, &pod) in pods.iter().enumerate() {
            let submission = Submission {
                task: TaskId(number as u64),
                definition: self.workload.task(self.tasks[pod]).submission.definition,
                group: None,
                kind: TaskKind::Job,
                priority: 0,
                estimate: None,
                on_loss: OnLoss::Restart,
            };
            let task = TaskArrival { submission, lifetime: None, withdrawn: None, resident: None };
            let at = Instant::from_secs(number as u64 + 1);
            out.push(Arrival { at, what: What::Task(task) });
        }
        Ok(out)
    }
}

/// What is usual among the pods. Sets of models count as different if they are written differently, so
/// the list is read once more as text.
fn usual(workload: &Workload, tasks: &[TaskId]) -> Result<Usual, Failure> {
    let Some(&first) = tasks.first() else { return Ok(Usual::default()) };
    let path = PathBuf::from(workload.place(first).path);
    let text = text(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    let column = lines.first().and_then(|it| it.split(',').position(|it| it == "gpu_spec"));
    Ok(Usual::of(tasks.iter().map(|&task| {
        let row = workload.task(task).submission.definition.0 as usize;
        let demand = workload.definitions()[row].demand();
        let line = usize::try_from(workload.place(task).line).unwrap_or(0).checked_sub(1);
        let written = line.and_then(|it| lines.get(it)?.split(',').nth(column?));
        let models = written.filter(|_| demand.gpus.count > 0).unwrap_or_default().to_owned();
        let (gpu_milli, gpu_count) = (demand.gpus.milli, demand.gpus.count);
        (Asked { cpu: demand.amounts.cpu, gpu_milli, gpu_count, models }, 1)
    })))
}
