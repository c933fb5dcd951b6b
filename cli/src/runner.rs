//! One run, and many of them over all cores.

use crate::error::Failure;
use crate::explaining::Explaining;
use crate::journal_file::{End, Header, Writer};
use crate::place::document::Document;
use crate::plan::Plan;
use crate::progress::Bar;
use crate::task_log::TaskLog;
use crate::workloads::{Ready, Workloads};
use cluster::arrival::StreamError;
use cluster::event::{Change, NodeEvent};
use cluster::explain::{Explanation, Question};
use cluster::manager::Manager;
use cluster::observer::Observer;
use cluster::rules::Rules;
use cluster::scheduler::{BadMemory, Desk, Scheduler};
use cluster::state::State;
use cluster::units::Instant;
use rayon::prelude::*;
use reports::collector::{Collector, CollectorConfig};
use reports::comparison::RunKey;
use reports::manifest::RunTiming;
use reports::run_report::RunReport;
use schedulers::policy::Policy;
use sim::world::{Config, Flow, Hooks, Outcome, Progress, RunError, run};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What one run left.
#[derive(Debug)]
pub struct Finished {
    /// Policy and seed.
    pub key: RunKey,
    /// Its numbers.
    pub report: RunReport,
    /// Its fingerprint and counts.
    pub outcome: Outcome,
    /// Its wall-clock figures.
    pub timing: RunTiming,
    /// The hash over the chosen nodes, if tasks.csv was asked for.
    pub placements: Option<String>,
    /// Decisions that were asked about.
    pub explained: Option<Document>,
}

/// Where a run's own files go, if any are asked for.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The journal.
    pub journal: Option<PathBuf>,
    /// The task list.
    pub tasks: Option<PathBuf>,
    /// Tasks whose first decision is to be explained.
    pub explain: Vec<String>,
}

/// Set once the user wants to stop.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Measures the time spent in a scheduler.
struct Timed {
    inner: Box<dyn Scheduler>,
    spent_ns: Arc<AtomicU64>,
}

impl Scheduler for Timed {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let begin = std::time::Instant::now();
        self.inner.decide(desk);
        let spent = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.spent_ns.fetch_add(spent, Ordering::Relaxed);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.inner.observe(changes, state);
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.inner.explain(question)
    }

    fn wants_every_instant(&self) -> bool {
        self.inner.wants_every_instant()
    }

    fn makes_room(&self) -> bool {
        self.inner.makes_room()
    }

    fn memory(&self) -> Vec<u8> {
        self.inner.memory()
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        self.inner.recall(memory)
    }
}

/// Everybody who watches a run.
struct Watchers {
    collector: Collector,
    tasks: Option<TaskLog>,
    check: bool,
    /// The first difference that the audit found.
    broken: Option<String>,
    explaining: Option<Rc<RefCell<Explaining>>>,
}

impl Observer for Watchers {
    fn advance(&mut self, to: Instant, state: &State) {
        self.collector.advance(to, state);
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        self.collector.observe(now, changes, state);
        if let Some(tasks) = &mut self.tasks {
            tasks.observe(now, changes, state);
        }
        if let Some(explaining) = &self.explaining {
            explaining.borrow_mut().observe(changes, state);
        }
        if self.check
            && self.broken.is_none()
            && let Err(why) = state.audit()
        {
            self.broken = Some(format!("at {now}: {why}"));
        }
    }
}

/// Keeps the journal, moves the bar, and stops when told to.
struct Keeper<'a> {
    journal: Option<Writer>,
    bar: &'a Bar,
    tasks_seen: u64,
    explaining: Option<Rc<RefCell<Explaining>>>,
}

impl Hooks for Keeper<'_> {
    fn record(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.journal {
            Some(journal) => journal.record(bytes),
            None => Ok(()),
        }
    }

    fn before_decision(&mut self, now: Instant, manager: &Manager) {
        if let Some(explaining) = &self.explaining {
            explaining.borrow_mut().before_decision(now, manager);
        }
    }

    fn progress(&mut self, progress: &Progress) -> Flow {
        self.bar.add(progress.tasks - self.tasks_seen);
        self.tasks_seen = progress.tasks;
        if STOP.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue }
    }
}

/// Runs one policy with one seed. Files of a run that was stopped are written only if asked for.
///
/// # Errors
///
/// If the workload, the fault plan or an output file is at fault, or the audit found a difference.
pub fn one(
    plan: &Plan,
    ready: &Ready,
    policy: &Policy,
    seed: u64,
    extras: &Extras,
    keep_stopped: bool,
    bar: &Bar,
) -> Result<Finished, Failure> {
    let rules = Rules {
        order: plan.order,
        unfit: plan.unfit,
        overcommit: ready.overcommit,
        ..Rules::default()
    };
    let until = plan.until.or_else(|| ready.workload.horizon());
    let config = Config {
        rules,
        seed,
        startup: plan.startup,
        faults: plan.faults.clone(),
        until,
        service_lifetimes: ready
            .app
            .as_ref()
            .map_or_else(BTreeMap::new, |it| it.service_lifetimes.clone()),
        ..Config::default()
    };
    let journal = match &extras.journal {
        Some(path) => {
            let header = Header {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                policy: policy.to_string(),
                seed,
                rules,
                startup: plan.startup,
                trace: plan.workload_name(),
                card: ready.workload.card.to_string(),
                synthetic_zones: ready.workload.card.zones.clone(),
                until,
            };
            Some(Writer::create(path, &header)?)
        }
        None => None,
    };
    let explaining = match &extras.explain[..] {
        [] => None,
        names => Some(Rc::new(RefCell::new(Explaining::new(names, ready, policy, seed)?))),
    };
    let spent_ns = Arc::new(AtomicU64::new(0));
    let scheduler = Timed { inner: policy.build(seed), spent_ns: Arc::clone(&spent_ns) };
    let mut watchers = Watchers {
        collector: Collector::new(CollectorConfig { horizon: until, ..CollectorConfig::default() }),
        tasks: extras.tasks.as_ref().map(|_| TaskLog::default()),
        check: plan.check,
        broken: None,
        explaining: explaining.clone(),
    };
    let mut keeper = Keeper { journal, bar, tasks_seen: 0, explaining: explaining.clone() };
    let begin = std::time::Instant::now();
    let mut stream = ready.stream();
    let (outcome, state) =
        run(&config, &mut *stream, Box::new(scheduler), &mut watchers, &mut keeper)
            .map_err(|error| run_failure(error, policy, seed))?;
    let wall_secs = begin.elapsed().as_secs_f64();
    if let Some(why) = watchers.broken {
        return Err(Failure::new(format!("{policy}, seed {seed}: the ledger is wrong {why}"))
            .help("this is a fault of Bayplan: please report it with the command line")
            .found());
    }
    if let Some(journal) = keeper.journal
        && (!outcome.was_stopped || keep_stopped)
    {
        let (fingerprint, at) = (outcome.fingerprint, outcome.end);
        journal.finish(End { fingerprint, at, was_stopped: outcome.was_stopped })?;
    }
    let placements = match (&watchers.tasks, &extras.tasks) {
        _ if outcome.was_stopped && !keep_stopped => None,
        (Some(log), Some(path)) => Some(write_tasks(log, path, ready)?),
        _ => None,
    };
    // The observer and the hooks hold it, too.
    (watchers.explaining, keeper.explaining) = (None, None);
    let explained = explaining.map(|it| {
        let it = Rc::into_inner(it).expect("the run is over and holds it no more");
        it.into_inner().finish(plan.workload_name())
    });
    let explained = explained.transpose()?;
    let deciding_secs = spent_ns.load(Ordering::Relaxed) as f64 / 1e9;
    let placed = outcome.progress.placed;
    let key = RunKey { policy: policy.to_string(), seed };
    let timing = RunTiming {
        policy: key.policy.clone(),
        seed,
        wall_secs,
        deciding_secs,
        events: outcome.records,
        placements: placed,
        placements_per_sec: (deciding_secs > 0.0).then(|| placed as f64 / deciding_secs),
    };
    let report = watchers.collector.finish(outcome.end, &state);
    Ok(Finished { key, report, outcome, timing, placements, explained })
}

fn write_tasks(log: &TaskLog, path: &Path, ready: &Ready) -> Result<String, Failure> {
    let names: Vec<String> = ready
        .workload
        .node_events()
        .filter_map(|(_, _, event)| match event {
            NodeEvent::Joined(spec) => Some(spec.name.clone()),
            _ => None,
        })
        .collect();
    log.write(path, ready, &names).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => crate::error::io("write", path, &error),
        other => Failure::new(format!("cannot write {}: {other:?}", path.display())),
    })
}

fn run_failure(error: RunError, policy: &Policy, seed: u64) -> Failure {
    match error {
        // Ours, handed through the simulator and back.
        RunError::Journal(source) => match source.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(other) => Failure::new(format!("{policy}, seed {seed}: {other}")),
        },
        RunError::Workload(source) => match source.downcast::<traces::error::TraceError>() {
            Ok(error) => (*error).into(),
            Err(other) => Failure::new(format!("{policy}, seed {seed}: {other}")),
        },
        other => Failure::new(other.to_string())
            .help("name a node or zone that has joined by the time of the fault"),
    }
}

/// Runs every policy with every seed, as many at a time as the current pool has threads. Results come
/// in the order of policies, then seeds, whatever finished first.
///
/// Once the user wants to stop, runs under way are given up and no more are begun: what had finished by
/// then is returned. If there is only one run, it is returned as far as it came.
///
/// # Errors
///
/// The first failure in that order.
pub fn all(
    plan: &Plan,
    workloads: &Workloads<'_>,
    policies: &[Policy],
    seeds: &[u64],
    extras: impl Fn(&Policy, u64) -> Extras + Sync,
    bar: &Bar,
) -> Result<Vec<Finished>, Failure> {
    // Seeds outside, so that policies that share a workload run while it is in memory.
    let runs: Vec<(usize, u64)> =
        seeds.iter().flat_map(|&seed| (0..policies.len()).map(move |it| (it, seed))).collect();
    let keep_stopped = runs.len() == 1;
    let mut results: Vec<(usize, u64, Result<Finished, Failure>)> = runs
        .par_iter()
        .with_max_len(1)
        .filter_map(|&(at, seed)| {
            if STOP.load(Ordering::Relaxed) {
                return None;
            }
            let policy = &policies[at];
            let extras = extras(policy, seed);
            let result = workloads
                .get(seed)
                .and_then(|ready| one(plan, &ready, policy, seed, &extras, keep_stopped, bar));
            match &result {
                Ok(run) if run.outcome.was_stopped && !keep_stopped => return None,
                Ok(_) => bar.finished(&format!("{policy}, seed {seed}")),
                // One failure spoils the comparison: no use in running the rest.
                Err(_) => STOP.store(true, Ordering::Relaxed),
            }
            Some((at, seed, result))
        })
        .collect();
    results.sort_by_key(|it| (it.0, it.1));
    results.into_iter().map(|it| it.2).collect()
}
