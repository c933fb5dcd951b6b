//! `bayplan reproduce`: published results of other simulators, number by number.
//!
//! `fgd` is Weng et al., "Beware of Fragmentation" (FGD), USENIX ATC 2023: pods of a trace arrive in a
//! recorded order, each is tried once, none ever leaves. The order is longer than the trace: it repeats
//! pods until they ask for 130 % of the GPUs. For every percent asked for (the load) the allocated share and
//! the fragmented share of what is free are compared with what was published; for the policies that
//! do not draw they must be equal.

mod csv;
mod orders;
mod output;
mod pods;
mod published;
mod verdict;
mod watch;

use crate::args::{Format, Global, ReproduceFgd};
use crate::error::{Failure, did_you_mean, io};
use crate::output::Folder;
use crate::print;
use crate::progress::Bar;
use crate::runner::STOP;
use cluster::arrival::Arrival;
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::Scheduler;
use orders::Order;
use pods::Pods;
use published::Published;
use rayon::prelude::*;
use schedulers::fgd::Fgd;
use schedulers::fragments::Usual;
use schedulers::per_task::{Open, PerTask};
use schedulers::policy::Policy;
use schedulers::rank::Tie;
use serde::Serialize;
use sim::world::{Config, run};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use verdict::Verdict;
use watch::Watch;

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

/// What was found, for `--format json` and `reproduce.json`.
#[derive(Serialize)]
struct Found {
    what: &'static str,
    source: &'static str,
    agrees: bool,
    results: Vec<Verdict>,
}

/// In percent: of all GPUs, and of the free ones.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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
    let mut orders = orders::orders(&args.data.join("fgd_orders"))?;
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
    if verdicts.iter().all(|it| it.agrees.is_none()) {
        let data = args.data.display();
        return Err(Failure::new(format!("{data} publishes nothing of these traces and seeds"))
            .help("its fgd.csv, fgd_per_seed.csv and fgd_dropped_pods.csv name them by trace and seed"));
    }
    let found = Found {
        what: "fgd",
        source: "Weng et al., Beware of Fragmentation (FGD), USENIX ATC 2023",
        agrees: verdicts.iter().all(|it| it.agrees != Some(false)),
        results: verdicts,
    };
    if let (Some(dir), Some(_)) = (&args.out, &folder) {
        output::write(dir, &found)?;
    }
    match global.format {
        Format::Json => print::json(&found)?,
        Format::Table | Format::Csv => output::table(&found, args.out.as_deref())?,
    }
    let misses: Vec<&str> =
        found.results.iter().flat_map(|it| &it.misses).map(String::as_str).collect();
    match misses[..] {
        [] => Ok(()),
        [first, ..] => Err(Failure::new(format!(
            "{} of {} published results were missed, the first: {first}",
            found.results.iter().filter(|it| it.agrees == Some(false)).count(),
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
            Verdict::of(published, name, theirs, ours, runs)
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
    let mut watch = Watch::new(&pods.usual);
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
