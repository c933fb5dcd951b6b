//! Reading what a plan names: workloads per seed, their cluster and over-commit, the digests of inputs.

use crate::app_input::{self, AppInput};
use crate::error::{Failure, did_you_mean, io};
use crate::plan::Plan;
use cluster::arrival::ArrivalStream;
use cluster::event::NodeEvent;
use cluster::ids::{GroupId, TaskId};
use cluster::nodes::{NO_ZONE, Overcommit};
use reports::manifest::InputFile;
use sha2::{Digest, Sha256};
use sim::faults::Fault;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use traces::Workload;

/// A workload ready to be run.
#[derive(Debug)]
pub struct Ready {
    /// Tasks and nodes.
    pub workload: Workload,
    /// What an app does besides.
    pub app: Option<AppInput>,
    /// What nodes offer beyond what they have.
    pub overcommit: Overcommit,
}

impl Ready {
    /// Everything that happens, in time order.
    pub fn stream(&self) -> Box<dyn ArrivalStream + '_> {
        match &self.app {
            Some(app) => Box::new(app.arrivals.clone().into_iter()),
            None => Box::new(self.workload.stream()),
        }
    }

    /// The name of a group, if the input has one.
    pub fn group_name(&self, group: GroupId) -> Cow<'_, str> {
        match &self.app {
            Some(app) => Cow::Borrowed(&app.groups[group.row()]),
            None => self.workload.group_name(group),
        }
    }

    /// The name of a task in the input; a replica has only its number.
    pub fn task_name(&self, task: TaskId) -> Cow<'_, str> {
        if task.is_replica() { Cow::Owned(task.to_string()) } else { self.workload.name(task) }
    }
}

/// The workloads of a plan: one for all seeds, or one for each, read when first asked for.
pub struct Workloads<'a> {
    plan: &'a Plan,
    /// The last ones read, by seed; few, because policies of one seed run one after the other.
    kept: Mutex<Vec<(u64, Arc<Ready>)>>,
}

/// Workloads kept in memory at most.
const KEPT_MAX: usize = 3;

impl<'a> Workloads<'a> {
    /// Nothing read yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, kept: Mutex::new(Vec::new()) }
    }

    /// The workload that runs with this seed see.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the input.
    pub fn get(&self, seed: u64) -> Result<Arc<Ready>, Failure> {
        let key = if self.plan.workload_depends_on_seed() { seed } else { 0 };
        // Held while reading, so that two workers never read the same workload twice.
        let mut kept = self.kept.lock().expect("no worker panics while it reads a workload");
        if let Some((_, ready)) = kept.iter().find(|it| it.0 == key) {
            return Ok(Arc::clone(ready));
        }
        let ready = Arc::new(read(self.plan, seed)?);
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push((key, Arc::clone(&ready)));
        Ok(ready)
    }
}

fn read(plan: &Plan, seed: u64) -> Result<Ready, Failure> {
    if !plan.apps.is_empty() {
        let overcommit = plan.overcommit.unwrap_or_default();
        let (workload, app) = app_input::read(plan, overcommit)?;
        check_places(plan, &workload)?;
        return Ok(Ready { workload, app: Some(app), overcommit });
    }
    let mut options = plan.read.clone();
    options.seed = seed;
    options.shuffle = plan.shuffle.then_some(seed);
    let mut workload = traces::read(&plan.source, &options)?;
    if let Some(cluster) = &plan.cluster {
        cluster.give_to(&mut workload)?;
    }
    if !workload.has_nodes() {
        return Err(Failure::new(format!("{} has tasks but no nodes", plan.source)).help(
            "give a cluster, such as --cluster uniform:100,cpu=64,mem=256GiB,zones=3 or --cluster \
             nodes.csv",
        ));
    }
    let overcommit = plan.overcommit.unwrap_or_else(|| workload.card.overcommit());
    workload.enforce_fits(overcommit)?;
    if workload.task_count() == 0 {
        return Err(Failure::new(format!("no task of {} is left to run", plan.source))
            .help("give larger nodes, or look at the trace with `bayplan trace inspect`"));
    }
    check_places(plan, &workload)?;
    Ok(Ready { workload, app: None, overcommit })
}

/// Refuses faults at nodes and zones that the cluster never has.
fn check_places(plan: &Plan, workload: &Workload) -> Result<(), Failure> {
    for scripted in &plan.faults.scripted {
        let (kind, name) = match &scripted.fault {
            Fault::NodeLoss { node } | Fault::Drain { node } => ("node", node),
            Fault::ZoneOutage { zone } => ("zone", zone),
        };
        let known: BTreeSet<&str> = workload
            .node_events()
            .filter_map(|(_, _, event)| match event {
                NodeEvent::Joined(spec) if kind == "zone" && spec.zone.is_empty() => Some(NO_ZONE),
                NodeEvent::Joined(spec) if kind == "zone" => Some(spec.zone.as_str()),
                NodeEvent::Joined(spec) => Some(spec.name.as_str()),
                _ => None,
            })
            .collect();
        if known.contains(name.as_str()) {
            continue;
        }
        let meant = did_you_mean(name, known.iter().copied());
        let some: Vec<&str> = known.iter().copied().take(8).collect();
        let more = if known.len() > some.len() { ", …" } else { "" };
        return Err(Failure::new(format!("fault {scripted}: there is no {kind} {name:?}"))
            .help(format!("{meant}there are {}{more}; --zones K makes zones", some.join(", "))));
    }
    Ok(())
}

/// Digests of the files that a plan reads.
///
/// # Errors
///
/// If one cannot be read.
pub fn digests(plan: &Plan) -> Result<Vec<InputFile>, Failure> {
    let mut files = match &plan.apps[..] {
        [] => plan.source.files()?,
        apps => apps.to_vec(),
    };
    if let Some(cluster) = &plan.cluster {
        files.extend(cluster.files()?);
    }
    files.iter().map(|it| digest(it)).collect()
}

/// The digest of one file.
///
/// # Errors
///
/// If it cannot be read.
pub fn digest(path: &Path) -> Result<InputFile, Failure> {
    let failed = |error: std::io::Error| io("read", path, &error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
    Ok(InputFile { path: path.display().to_string(), sha256: hex(&hash.finalize()), bytes })
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
