//! `bayplan reproduce`: published results of other simulators, number by number.
//!
//! `fgd` is Weng et al., "Beware of Fragmentation" (FGD), USENIX ATC 2023: pods of a trace arrive in a
//! recorded order, each is tried once, none ever leaves. The order is longer than the trace: it repeats
//! pods until they ask for 130 % of the GPUs. For every percent asked for (the load) the allocated share and
//! the fragmented share of what is free are compared with what was published; for the policies that
//! do not draw they must be equal.

use crate::args::{Format, Global, ReproduceFgd};
use crate::error::{Failure, did_you_mean, io};
use crate::output::{Folder, MANIFEST, command_line, write_json};
use crate::print;
use crate::progress::Bar;
use crate::runner::STOP;
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::event::{Change, Ending, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::nodes::NodeSpec;
use cluster::observer::Observer;
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::Scheduler;
use cluster::state::State;
use cluster::units::Instant;
use rayon::prelude::*;
use reports::figures::over_load::{self, Line, OverLoad};
use reports::figures::{png, svg};
use reports::write::write_file;
use schedulers::fgd::Fgd;
use schedulers::fragments::{Asked, Fragments, Usual};
use schedulers::per_task::{Open, PerTask};
use schedulers::policy::Policy;
use schedulers::rank::Tie;
use serde::Serialize;
use sim::world::{Config, run};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use traces::Workload;
use traces::source::{ReadOptions, Source};

/// The policies of the paper, and what we call them.
const POLICIES: [(&str, &str); 6] = [
    ("01-Random", "fgd-random"),
    ("02-DotProd", "fgd-dot-product:tie=rank"),
    ("03-GpuClustering", "gpu-clustering:tie=rank"),
    ("04-GpuPacking", "gpu-packing:tie=rank"),
    ("05-BestFit", "fgd-best-fit:tie=rank"),
    (FGD, "fgd:tie=rank"),
];

/// The one that knows the whole trace beforehand.
const FGD: &str = "06-FGD";
/// The one that draws.
const RANDOM: &str = "01-Random";

/// What may differ, in points of percent, of the policies that do not draw: the last digit that was
/// published of a mean of rounded values.
const ALLOCATED_OFF_MAX: f64 = 0.01;
const FRAGMENTED_OFF_MAX: f64 = 0.001;
/// Of the means over all seeds of the one that draws.
const RANDOM_ALLOCATED_OFF_MAX: f64 = 0.35;
const RANDOM_FRAGMENTED_OFF_MAX: f64 = 1.5;

/// Numbers are read from decimal text.
const SLACK: f64 = 1e-9;

/// What was found, for `--format json` and `reproduce.json`.
#[derive(Serialize)]
struct Found {
    what: &'static str,
    source: &'static str,
    agrees: bool,
    results: Vec<Verdict>,
}

/// One policy on one trace.
#[derive(Serialize)]
struct Verdict {
    trace: String,
    /// As published.
    policy: &'static str,
    /// Ours.
    ours: &'static str,
    seeds: usize,
    /// Published values that were compared.
    values: usize,
    /// Largest differences.
    allocated_off_max_pp: f64,
    fragmented_off_max_pp: f64,
    /// `None` where no count was published.
    dropped_off_max: Option<u64>,
    /// What may differ.
    allocated_tolerance_pp: f64,
    fragmented_tolerance_pp: f64,
    agrees: bool,
    misses: Vec<String>,
    /// Mean over the seeds, per load, with what was published where it was.
    #[serde(skip)]
    curve: Vec<Point>,
    #[serde(skip)]
    runs: Vec<Done>,
}

#[derive(Clone, Copy)]
struct Point {
    load: usize,
    ours: Values,
    published: Option<Values>,
}

/// In percent: of all GPUs, and of the free ones.
#[derive(Clone, Copy, Default, PartialEq)]
struct Values {
    allocated: f64,
    fragmented: f64,
}

/// One run.
#[derive(Clone)]
struct Done {
    seed: u64,
    /// By percent of GPU asked for; `None` where no pod's arrival is near.
    curve: Vec<Option<Values>>,
    dropped: u64,
    fingerprint: String,
}

/// Runs `bayplan reproduce fgd`.
///
/// # Errors
///
/// Bad input; or, with exit code 1, a published number that was missed.
pub fn fgd(args: &ReproduceFgd, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    let folder = args.out.as_deref().map(|dir| Folder::prepare(dir, args.force)).transpose()?;
    let published = Published::read(&args.data)?;
    let mut orders = orders(&args.data.join("fgd_orders"))?;
    for name in &args.only {
        if !orders.contains_key(name) {
            let known = orders.keys().map(String::as_str);
            let near = did_you_mean(name, known.clone());
            return Err(Failure::new(format!("there are no orders of a trace {name}")).help(
                format!("{near}orders are there of: {}", known.collect::<Vec<_>>().join(", ")),
            ));
        }
    }
    if !args.only.is_empty() {
        orders.retain(|name, _| args.only.contains(name));
    }
    let mut verdicts = Vec::new();
    for (name, seeds) in &orders {
        let most = args.seeds.map_or(usize::MAX, |it| it as usize);
        let seeds: Vec<&Order> = seeds.iter().take(most).collect();
        verdicts.extend(trace(args, global, &published, name, &seeds)?);
    }
    if verdicts.iter().all(|it| it.values == 0) {
        let data = args.data.display();
        return Err(Failure::new(format!("{data} publishes nothing of these traces and seeds"))
            .help("its fgd.csv, fgd_per_seed.csv and fgd_dropped_pods.csv name them by trace and seed"));
    }
    let found = Found {
        what: "fgd",
        source: "Weng et al., Beware of Fragmentation (FGD), USENIX ATC 2023",
        agrees: verdicts.iter().all(|it| it.agrees),
        results: verdicts,
    };
    if let (Some(dir), Some(_)) = (&args.out, &folder) {
        write(dir, &found)?;
    }
    match global.format {
        Format::Json => print::json(&found)?,
        Format::Table | Format::Csv => table(&found, args.out.as_deref())?,
    }
    let misses: Vec<&str> =
        found.results.iter().flat_map(|it| &it.misses).map(String::as_str).collect();
    match misses[..] {
        [] => Ok(()),
        [first, ..] => Err(Failure::new(format!(
            "{} of {} published results were missed, the first: {first}",
            found.results.iter().filter(|it| !it.agrees).count(),
            found.results.len()
        ))
        .help("--format json lists all of them")
        .found()),
    }
}

/// All policies on one trace.
fn trace(
    args: &ReproduceFgd,
    global: &Global,
    published: &Published,
    name: &str,
    seeds: &[&Order],
) -> Result<Vec<Verdict>, Failure> {
    let pods = Pods::read(&args.traces, name)?;
    let plans: Vec<(Arc<Vec<Arrival>>, u64)> = seeds
        .iter()
        .map(|order| Ok((Arc::new(pods.arrivals(order)?), order.seed)))
        .collect::<Result<_, Failure>>()?;
    let runs: Vec<(&'static str, &'static str, usize)> =
        (0..plans.len()).flat_map(|at| POLICIES.map(|(theirs, ours)| (theirs, ours, at))).collect();
    let bar = Bar::spinner(&format!("{name}: {} runs", runs.len()), global.quiet);
    let done: Vec<(&'static str, Done)> = runs
        .par_iter()
        .with_max_len(1)
        .map(|&(theirs, ours, at)| {
            if STOP.load(Ordering::Relaxed) {
                return Err(Failure::new("stopped").interrupted());
            }
            let (arrivals, seed) = &plans[at];
            let done = one(&pods, Vec::clone(arrivals), *seed, theirs, ours)?;
            Ok((theirs, done))
        })
        .collect::<Result<_, Failure>>()?;
    bar.clear();
    Ok(POLICIES
        .into_iter()
        .map(|(theirs, ours)| {
            let runs = done.iter().filter(|it| it.0 == theirs).map(|it| it.1.clone()).collect();
            published.judge(name, theirs, ours, runs)
        })
        .collect())
}

fn scheduler(theirs: &str, ours: &str, seed: u64, usual: &Arc<Usual>) -> Box<dyn Scheduler> {
    if theirs == FGD {
        let rank = Fgd::with_usual(Arc::clone(usual), Tie::Rank);
        return Box::new(PerTask::new(rank, Open::Any, seed));
    }
    let policy: Policy = ours.parse().expect("our own policies parse");
    policy.build(seed)
}

fn one(
    pods: &Pods,
    arrivals: Vec<Arrival>,
    seed: u64,
    theirs: &str,
    ours: &str,
) -> Result<Done, Failure> {
    let rules = Rules { unfit: Unfit::Drop, ..Rules::default() };
    let config = Config { rules, seed, ..Config::default() };
    let mut watch = Watch { usual: Arc::clone(&pods.usual), ..Watch::default() };
    let scheduler = scheduler(theirs, ours, seed, &pods.usual);
    let mut stream = arrivals.into_iter();
    let (outcome, _) = run(&config, &mut stream, scheduler, &mut watch, &mut ())
        .map_err(|it| Failure::new(format!("{ours}, seed {seed}: {it}")))?;
    Ok(Done {
        seed,
        dropped: watch.dropped,
        curve: watch.curve(),
        fingerprint: outcome.fingerprint.to_string(),
    })
}

/// The pods of a trace by name, and what of them is usual.
struct Pods {
    workload: Workload,
    /// By name.
    tasks: Vec<TaskId>,
    usual: Arc<Usual>,
}

impl Pods {
    fn read(traces: &Path, name: &str) -> Result<Self, Failure> {
        let source = format!("openb:{}?pods={name}&nodes=gpu", traces.display());
        let workload = traces::read(&Source::parse(&source)?, &ReadOptions::default())?;
        if let Some((reason, count)) = workload.card.refusals.by_reason.iter().next() {
            return Err(Failure::new(format!("{source}: {count} pods were refused: {reason}"))
                .help("the recorded orders number all pods of the original list"));
        }
        let mut tasks: Vec<TaskId> = (0..workload.task_count() as u64).map(TaskId).collect();
        tasks.sort_by_cached_key(|it| workload.name(*it));
        let usual = Arc::new(usual(&workload, &tasks)?);
        Ok(Self { workload, tasks, usual })
    }

    fn arrivals(&self, order: &Order) -> Result<Vec<Arrival>, Failure> {
        let pods: Vec<usize> = numbers(&order.arrivals, self.tasks.len())?;
        let specs: Vec<(NodeId, &NodeSpec)> = self.workload.nodes().collect();
        let ranks: Vec<usize> = numbers(&order.ranks, specs.len())?;
        if ranks.len() != specs.len() {
            return Err(Failure::new(format!(
                "{} ranks {} nodes, but the trace has {}",
                order.ranks.display(),
                ranks.len(),
                specs.len()
            )));
        }
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

/// A recorded order.
struct Order {
    seed: u64,
    /// Pods by arrival, as places in the list by name.
    arrivals: PathBuf,
    /// The rank of every node, by name.
    ranks: PathBuf,
}

/// The orders in a folder, by trace and seed: `TRACE.SEED.arrivals.txt` with `TRACE.SEED.noderank.txt`,
/// plain or gzip.
fn orders(dir: &Path) -> Result<BTreeMap<String, Vec<Order>>, Failure> {
    let mut found: BTreeMap<String, Vec<Order>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(|it| io("read the folder", dir, &it))? {
        let path = entry.map_err(|it| io("read the folder", dir, &it))?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let end = if name.ends_with(".gz") { ".txt.gz" } else { ".txt" };
        let Some(stem) = name.strip_suffix(&format!(".arrivals{end}")) else { continue };
        let Some((trace, seed)) = stem.rsplit_once('.') else { continue };
        let Ok(seed) = seed.parse() else { continue };
        let ranks = [".txt.gz", ".txt"]
            .map(|end| dir.join(format!("{stem}.noderank{end}")))
            .into_iter()
            .find(|it| it.is_file())
            .ok_or_else(|| {
                Failure::new(format!("{} has no {stem}.noderank.txt beside it", path.display()))
                    .help("an order consists of both files, plain or gzip")
            })?;
        let order = Order { seed, arrivals: path.clone(), ranks };
        found.entry(trace.to_owned()).or_default().push(order);
    }
    if found.is_empty() {
        return Err(Failure::new(format!("{} holds no orders", dir.display()))
            .help("they are named TRACE.SEED.arrivals.txt.gz and TRACE.SEED.noderank.txt.gz"));
    }
    for orders in found.values_mut() {
        orders.sort_by_key(|it| it.seed);
    }
    Ok(found)
}

/// The text of a file, unpacked if it is gzip.
fn text(path: &Path) -> Result<String, Failure> {
    let failed = |it: std::io::Error| io("read", path, &it);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    if path.extension().is_some_and(|it| it == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).map_err(failed)?;
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

/// The numbers of a file, each below `bound`.
fn numbers(path: &Path, bound: usize) -> Result<Vec<usize>, Failure> {
    let text = text(path)?;
    let number = |word: &str| match word.parse() {
        Ok(number) if number < bound => Ok(number),
        _ => Err(Failure::new(format!("{}: {word:?} is no number below {bound}", path.display()))
            .help("the orders belong to another list of pods or nodes")),
    };
    text.split_whitespace().map(number).collect()
}

/// Notes, after every pod, what was asked for so far, what is allocated and what is a fragment.
#[derive(Default)]
struct Watch {
    usual: Arc<Usual>,
    fragments: Option<Fragments>,
    /// What is a fragment of each node.
    of_node: Vec<f64>,
    fragmented: f64,
    capacity: u64,
    asked: u64,
    allocated: u64,
    dropped: u64,
    /// By percent asked for: how many pods, sum of hundredths of percent allocated and fragmented.
    bins: Vec<(u32, u64, u64)>,
}

impl Observer for Watch {
    fn advance(&mut self, _: Instant, _: &State) {}

    fn observe(&mut self, _: Instant, changes: &[Change], state: &State) {
        for change in changes {
            let (task, placed) = match change {
                Change::Placed { task, node } => (task, Some(*node)),
                Change::Ended { task, how: Ending::Dropped(_), .. } => (task, None),
                _ => continue,
            };
            let [.., gpu] = state.shape(state.shape_of(task.definition)).totals();
            self.step(gpu, placed, state);
        }
    }
}

impl Watch {
    fn step(&mut self, gpu: u64, placed: Option<NodeId>, state: &State) {
        let nodes = state.nodes();
        let fragments = self.fragments.get_or_insert_with(|| {
            self.capacity = nodes.ids().map(|it| nodes.gpu_capacity(it)).sum();
            let fragments = Fragments::new(&self.usual, nodes);
            self.of_node = nodes.ids().map(|it| fragments.of_node(it, nodes)).collect();
            self.fragmented = self.of_node.iter().sum();
            fragments
        });
        self.asked += gpu;
        match placed {
            None => self.dropped += 1,
            Some(node) => {
                self.allocated += gpu;
                let now = fragments.of_node(node, nodes);
                let before = std::mem::replace(&mut self.of_node[node.row()], now);
                self.fragmented += now - before;
            }
        }
        let capacity = self.capacity.max(1);
        let load = nearest(100 * self.asked, capacity) as usize;
        if self.bins.len() <= load {
            self.bins.resize(load + 1, (0, 0, 0));
        }
        let idle = self.capacity - self.allocated;
        let share = if idle == 0 { 0.0 } else { self.fragmented / idle as f64 };
        let bin = &mut self.bins[load];
        bin.0 += 1;
        bin.1 += nearest(10_000 * self.allocated, capacity);
        bin.2 += (share * 10_000.0).max(0.0).round_ties_even() as u64;
    }

    fn curve(&self) -> Vec<Option<Values>> {
        let mean = |load: usize| {
            // An empty bin shows its neighbours.
            let alone = self.bins[load].0 > 0;
            let range = if alone { load..=load } else { load.saturating_sub(1)..=load + 1 };
            let mut sum = (0, 0, 0);
            for bin in range.filter_map(|it| self.bins.get(it)) {
                sum = (sum.0 + bin.0, sum.1 + bin.1, sum.2 + bin.2);
            }
            let count = f64::from(sum.0) * 100.0;
            (sum.0 > 0).then(|| Values {
                allocated: sum.1 as f64 / count,
                fragmented: sum.2 as f64 / count,
            })
        };
        (0..self.bins.len()).map(mean).collect()
    }
}

/// The nearest whole number to a fraction, the even one of two.
fn nearest(numerator: u64, denominator: u64) -> u64 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal => whole + whole % 2,
        std::cmp::Ordering::Greater => whole + 1,
    }
}

/// What was published.
struct Published {
    /// By trace, policy and seed: values at loads.
    runs: BTreeMap<(String, String, u64), Vec<(usize, Values)>>,
    /// By trace and policy: number of seeds, then load with means and standard deviations.
    means: BTreeMap<(String, String), Means>,
    /// By trace, policy and seed.
    dropped: BTreeMap<(String, String, u64), u64>,
}

#[derive(Default)]
struct Means {
    seeds: usize,
    loads: Vec<(usize, Values, Values)>,
}

impl Published {
    fn read(dir: &Path) -> Result<Self, Failure> {
        let mut this =
            Self { runs: BTreeMap::new(), means: BTreeMap::new(), dropped: BTreeMap::new() };
        let per_seed = Csv::read(&dir.join("fgd_per_seed.csv"))?;
        let loads: BTreeSet<usize> = per_seed
            .header
            .iter()
            .filter_map(|it| it.strip_prefix("alloc_")?.parse().ok())
            .collect();
        for row in &per_seed.rows {
            let mut values = Vec::new();
            for &load in &loads {
                let allocated = per_seed.number(row, &format!("alloc_{load}"))?;
                let fragmented = per_seed.number(row, &format!("fragratio_{load}"))?;
                values.push((load, Values { allocated, fragmented }));
            }
            let (trace, policy) = (per_seed.text(row, "trace")?, per_seed.text(row, "policy")?);
            let seed = per_seed.number(row, "seed")? as u64;
            this.runs.insert((trace, policy, seed), values);
        }
        let means = Csv::read(&dir.join("fgd.csv"))?;
        for row in &means.rows {
            let key = (means.text(row, "trace")?, means.text(row, "policy")?);
            let values = |end: &str| -> Result<Values, Failure> {
                let allocated = means.number(row, &format!("alloc_pct_{end}"))?;
                let fragmented = means.number(row, &format!("fragratio_pct_{end}"))?;
                Ok(Values { allocated, fragmented })
            };
            let load = means.number(row, "arrived_pct")? as usize;
            let entry = this.means.entry(key).or_default();
            entry.seeds = means.number(row, "n_seeds")? as usize;
            entry.loads.push((load, values("mean")?, values("sd")?));
        }
        let dropped = Csv::read(&dir.join("fgd_dropped_pods.csv"))?;
        for row in &dropped.rows {
            let (trace, policy) = (dropped.text(row, "trace")?, dropped.text(row, "policy")?);
            let seed = dropped.number(row, "seed")? as u64;
            let failed = dropped.number(row, "failed")? as u64;
            this.dropped.insert((trace, policy, seed), failed);
        }
        Ok(this)
    }

    /// Compares runs of one policy on one trace.
    fn judge(
        &self,
        trace: &str,
        theirs: &'static str,
        ours: &'static str,
        runs: Vec<Done>,
    ) -> Verdict {
        let draws = theirs == RANDOM;
        let mut verdict = Verdict {
            trace: trace.to_owned(),
            policy: theirs,
            ours,
            seeds: runs.len(),
            values: 0,
            allocated_off_max_pp: 0.0,
            fragmented_off_max_pp: 0.0,
            dropped_off_max: None,
            allocated_tolerance_pp: ALLOCATED_OFF_MAX,
            fragmented_tolerance_pp: FRAGMENTED_OFF_MAX,
            agrees: true,
            misses: Vec::new(),
            curve: Vec::new(),
            runs,
        };
        let means = self.means.get(&(trace.to_owned(), theirs.to_owned()));
        let runs = std::mem::take(&mut verdict.runs);
        if draws {
            verdict.allocated_tolerance_pp = RANDOM_ALLOCATED_OFF_MAX;
            verdict.fragmented_tolerance_pp = RANDOM_FRAGMENTED_OFF_MAX;
        } else {
            for done in &runs {
                let key = (trace.to_owned(), theirs.to_owned(), done.seed);
                let who = format!("{trace}, {theirs}, seed {}", done.seed);
                for &(load, want) in self.runs.get(&key).into_iter().flatten() {
                    // Published values are rounded to hundredths.
                    let got = done.curve.get(load).copied().flatten().map(|it| Values {
                        allocated: (it.allocated * 100.0).round_ties_even() / 100.0,
                        ..it
                    });
                    let tolerance =
                        Values { allocated: ALLOCATED_OFF_MAX, fragmented: FRAGMENTED_OFF_MAX };
                    verdict.compare(&who, load, got, want, tolerance);
                }
                if let Some(&want) = self.dropped.get(&key) {
                    let off = done.dropped.abs_diff(want);
                    let worst = verdict.dropped_off_max.get_or_insert(0);
                    *worst = off.max(*worst);
                    verdict.values += 1;
                    if off > 0 {
                        let miss =
                            format!("{who}: {} pods dropped, published {want}", done.dropped);
                        verdict.misses.push(miss);
                    }
                }
            }
        }
        let loads = runs.iter().map(|it| it.curve.len()).max().unwrap_or(0);
        for load in 0..loads {
            let there: Vec<Values> =
                runs.iter().filter_map(|it| it.curve.get(load).copied().flatten()).collect();
            if there.len() < runs.len() {
                continue;
            }
            let count = there.len() as f64;
            let mean = Values {
                allocated: there.iter().map(|it| it.allocated).sum::<f64>() / count,
                fragmented: there.iter().map(|it| it.fragmented).sum::<f64>() / count,
            };
            let known = means.and_then(|it| it.loads.iter().find(|it| it.0 == load));
            verdict.curve.push(Point { load, ours: mean, published: known.map(|it| it.1) });
            let (Some(means), Some(&(_, want, sd))) = (means, known) else { continue };
            if !draws && runs.len() != means.seeds {
                continue;
            }
            let tolerance = if draws {
                tolerance_of_draws(sd, runs.len(), means.seeds)
            } else {
                Values { allocated: ALLOCATED_OFF_MAX, fragmented: FRAGMENTED_OFF_MAX }
            };
            verdict.allocated_tolerance_pp =
                verdict.allocated_tolerance_pp.max(tolerance.allocated);
            verdict.fragmented_tolerance_pp =
                verdict.fragmented_tolerance_pp.max(tolerance.fragmented);
            let who = format!("{trace}, {theirs}, mean of {} seeds", runs.len());
            verdict.compare(&who, load, Some(mean), want, tolerance);
        }
        verdict.agrees = verdict.misses.is_empty();
        verdict.runs = runs;
        verdict
    }
}

/// What the mean of so many runs that draw may differ by: the fixed tolerance for as many as were
/// published; for fewer four standard errors of the difference, if that is more.
fn tolerance_of_draws(sd: Values, seeds: usize, published: usize) -> Values {
    let (seeds, published) = (seeds.max(1) as f64, published.max(1) as f64);
    let error = |sd: f64| if seeds < published { 4.0 * sd * (2.0 / seeds).sqrt() } else { 0.0 };
    Values {
        allocated: RANDOM_ALLOCATED_OFF_MAX.max(error(sd.allocated)),
        fragmented: RANDOM_FRAGMENTED_OFF_MAX.max(error(sd.fragmented)),
    }
}

impl Verdict {
    fn compare(
        &mut self,
        who: &str,
        load: usize,
        got: Option<Values>,
        want: Values,
        tolerance: Values,
    ) {
        let Some(got) = got else {
            self.misses.push(format!("{who}: no pod arrives at {load} %"));
            return;
        };
        self.values += 2;
        let allocated = (got.allocated - want.allocated).abs();
        let fragmented = (got.fragmented - want.fragmented).abs();
        self.allocated_off_max_pp = self.allocated_off_max_pp.max(allocated);
        self.fragmented_off_max_pp = self.fragmented_off_max_pp.max(fragmented);
        for (what, off, most, got, want) in [
            ("allocated", allocated, tolerance.allocated, got.allocated, want.allocated),
            ("fragmented", fragmented, tolerance.fragmented, got.fragmented, want.fragmented),
        ] {
            if off > most + SLACK {
                self.misses.push(format!(
                    "{who}: at {load} % {got:.4} % {what}, published {want} % (may differ by {most})"
                ));
            }
        }
    }
}

/// A small CSV file, its columns found by name.
struct Csv {
    path: PathBuf,
    header: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
}

impl Csv {
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = text(path)?;
        let cells = |line: &str| line.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
        let mut lines = text.lines().zip(1u64..).filter(|it| !it.0.trim().is_empty());
        let header = lines.next().map(|it| cells(it.0)).unwrap_or_default();
        let rows = lines.map(|(line, number)| (number, cells(line))).collect();
        Ok(Self { path: path.to_owned(), header, rows })
    }

    fn text(&self, (line, row): &(u64, Vec<String>), column: &str) -> Result<String, Failure> {
        let at = self.header.iter().position(|it| it == column);
        at.and_then(|at| row.get(at)).cloned().ok_or_else(|| {
            Failure::new(format!("{}:{line}: there is no column {column}", self.path.display()))
        })
    }

    fn number(&self, row: &(u64, Vec<String>), column: &str) -> Result<f64, Failure> {
        let text = self.text(row, column)?;
        text.parse().map_err(|_| {
            let (path, line) = (self.path.display(), row.0);
            Failure::new(format!("{path}:{line}: {column} is {text:?}, which is no number"))
        })
    }
}

fn table(found: &Found, out: Option<&Path>) -> Result<(), Failure> {
    print::line(&format!("{}\n", found.source))?;
    let header =
        ["trace", "policy", "ours", "seeds", "values", "allocated", "fragmented", "dropped", ""];
    let mut table = print::columns(&header);
    table.set_width(120);
    for it in &found.results {
        let off = |off: f64, most: f64| match it.policy == RANDOM {
            true => format!("{off:.2} of {most:.2}"),
            false => format!("{off:.4}"),
        };
        table.add_row([
            it.trace.clone(),
            it.policy.to_owned(),
            it.ours.split(':').next().unwrap_or(it.ours).to_owned(),
            it.seeds.to_string(),
            it.values.to_string(),
            off(it.allocated_off_max_pp, it.allocated_tolerance_pp),
            off(it.fragmented_off_max_pp, it.fragmented_tolerance_pp),
            it.dropped_off_max.map_or("-".to_owned(), |it| it.to_string()),
            match it.agrees {
                _ if it.values == 0 => "nothing published",
                true => "agrees",
                false => "MISSED",
            }
            .to_owned(),
        ]);
    }
    print::line(&table.to_string())?;
    let compared = || found.results.iter().filter(|it| it.values > 0);
    let agree = compared().filter(|it| it.agrees).count();
    print::line(&format!(
        "\nLargest differences: points of percent of GPUs allocated, points of the fragmented share of \
         free GPUs, pods dropped.\n{agree} of {} agree with what was published.",
        compared().count()
    ))?;
    if let Some(out) = out {
        print::line(&format!("Figures and all values are in {}.", out.display()))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Manifest {
    version: &'static str,
    command: String,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    trace: String,
    policy: &'static str,
    seed: u64,
    dropped: u64,
    fingerprint: String,
}

fn write(dir: &Path, found: &Found) -> Result<(), Failure> {
    let run = |it: &Verdict, done: &Done| Run {
        trace: it.trace.clone(),
        policy: it.ours,
        seed: done.seed,
        dropped: done.dropped,
        fingerprint: done.fingerprint.clone(),
    };
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION"),
        command: command_line(),
        runs: found
            .results
            .iter()
            .flat_map(|it| it.runs.iter().map(|done| run(it, done)))
            .collect(),
    };
    write_json(&dir.join(MANIFEST), &manifest)?;
    write_json(&dir.join("reproduce.json"), found)?;
    let mut curves = String::from(
        "trace,policy,seed,load_percent,gpu_allocated_percent,gpu_free_fragmented_percent\n",
    );
    for it in &found.results {
        for done in &it.runs {
            for (load, values) in done.curve.iter().enumerate() {
                if let Some(values) = values {
                    curves += &format!(
                        "{},{},{},{load},{:.4},{:.4}\n",
                        it.trace, it.policy, done.seed, values.allocated, values.fragmented
                    );
                }
            }
        }
    }
    write_file(&dir.join("curves.csv"), curves.as_bytes())?;
    let traces: BTreeSet<&str> = found.results.iter().map(|it| it.trace.as_str()).collect();
    for trace in traces {
        let of_trace = || found.results.iter().filter(|it| it.trace == trace);
        let line = |it: &Verdict| {
            let points = |value: fn(&Values) -> f64| {
                let ours = it.curve.iter().map(|it| (it.load as f64, value(&it.ours))).collect();
                let known = it.curve.iter().filter_map(|it| Some((it.load as f64, it.published?)));
                (ours, known.map(|(load, it)| (load, value(&it))).collect())
            };
            let (allocated, allocated_known) = points(|it| it.allocated);
            let (fragmented, fragmented_known) = points(|it| it.fragmented);
            let name = it.ours.split(':').next().unwrap_or(it.ours).to_owned();
            Line { name, panels: [(allocated, allocated_known), (fragmented, fragmented_known)] }
        };
        let seeds = of_trace().map(|it| it.seeds).max().unwrap_or(0);
        let figure = OverLoad {
            title: format!("FGD, USENIX ATC 2023: trace {trace}"),
            load: "GPU asked for so far [% of all]".to_owned(),
            panels: [
                "GPU allocated [% of all]",
                "free GPU of no use to the usual pods [% of free]",
            ]
            .map(str::to_owned),
            note: format!("Lines: mean of {seeds} seeds here. Crosses: as published."),
            lines: of_trace().map(line).collect(),
        };
        let scene = over_load::draw(&figure);
        let path = |end: &str| dir.join("figures").join(format!("fgd-{trace}.{end}"));
        write_file(&path("svg"), svg::render(&scene).as_bytes())?;
        write_file(&path("png"), &png::render(&scene)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_even_in_between() {
        let got: Vec<u64> = (0..=8).map(|it| nearest(it, 4)).collect();
        assert_eq!(got, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn fewer_seeds_may_differ_by_more() {
        let sd = Values { allocated: 0.3, fragmented: 0.1 };
        let all = tolerance_of_draws(sd, 10, 10);
        assert_eq!((all.allocated, all.fragmented), (0.35, 1.5));
        let two = tolerance_of_draws(sd, 2, 10);
        assert_eq!((two.allocated, two.fragmented), (1.2, 1.5));
    }
}
