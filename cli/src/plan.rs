//! From the command line to types: every choice is made here, and every default is explicit.

use crate::app_input;
use crate::args::{Global, World};
use crate::error::{Failure, did_you_mean};
use cluster::demand::Resource;
use cluster::nodes::Overcommit;
use cluster::rules::{QueueOrder, Unfit};
use cluster::units::{Instant, Span};
use schedulers::policy::{Policy, PolicyError};
use sim::faults::{BadFault, FaultPlan, RandomFaults, Scripted, parse_span};
use sim::startup::Startup;
use std::path::PathBuf;
use traces::Workload;
use traces::cluster_source::ClusterSource;
use traces::source::{ReadOptions, Source};
use traces::transform::TimeScale;
use traces::workload::Oversized;
use traces::zones::Zones;

/// The policies that `bayplan compare` runs if none is named.
pub const DEFAULT_POLICIES: [&str; 9] = [
    "ecs",
    "ecs:binpack(memory)",
    "best-fit",
    "worst-fit",
    "first-fit",
    "dot-product",
    "power-of-d",
    "round-robin",
    "random",
];

/// The outage that belongs to the built-in workload: one of its three zones, for half an hour.
pub const BUILTIN_FAULT: &str = "zone-outage:zone-b@12h+30m";

/// Everything about runs but their policies and seeds.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the workload comes from.
    pub source: Source,
    /// App files; if there are any, the workload comes from them and not from the source.
    pub apps: Vec<PathBuf>,
    /// Another cluster than the workload's own.
    pub cluster: Option<Cluster>,
    /// How the workload is read; the seed is set per run.
    pub read: ReadOptions,
    /// Whether arrivals are permuted by the run's seed.
    pub shuffle: bool,
    /// Over-commit factors; `None` takes what the trace's card suggests.
    pub overcommit: Option<Overcommit>,
    /// Queue order.
    pub order: QueueOrder,
    /// What becomes of tasks that fit nowhere.
    pub unfit: Unfit,
    /// Start-up model.
    pub startup: Startup,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// Stop here.
    pub until: Option<Instant>,
    /// Audit the ledger at every step.
    pub check: bool,
    /// Write journals.
    pub record_journal: bool,
    /// Write tasks.csv.
    pub tasks: bool,
    /// Draw figures and write the page.
    pub figures: bool,
    /// Where results go.
    pub out: PathBuf,
    /// Even into a folder that holds other things.
    pub force: bool,
    /// As given, for the manifest: name and text of every option that is not at its default.
    pub options: Vec<(String, String)>,
}

impl Plan {
    /// Whether two seeds see different workloads.
    pub fn workload_depends_on_seed(&self) -> bool {
        self.apps.is_empty() && (self.source.is_builtin() || self.shuffle)
    }

    /// What the workload is called.
    pub fn workload_name(&self) -> String {
        if self.apps.is_empty() {
            return self.source.to_string();
        }
        self.apps.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Where nodes come from, if not from the workload.
#[derive(Debug, Clone)]
pub enum Cluster {
    /// What traces know: a nodes file, or nodes that are all alike.
    Source(ClusterSource),
    /// A `hosts.toml`.
    Hosts(PathBuf),
}

impl Cluster {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.ends_with(".toml") {
            true => Ok(Self::Hosts(text.into())),
            false => Ok(Self::Source(ClusterSource::parse(text)?)),
        }
    }

    /// Replaces a workload's nodes by this cluster's.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file.
    pub fn give_to(&self, workload: &mut Workload) -> Result<(), Failure> {
        match self {
            Self::Source(source) => workload.set_cluster_from(source)?,
            Self::Hosts(path) => workload.set_cluster(app_input::declared(path)?)?,
        }
        Ok(())
    }

    /// The files that are read for it.
    ///
    /// # Errors
    ///
    /// As far as it depends on which files are there.
    pub fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        match self {
            Self::Source(source) => Ok(source.files()?),
            Self::Hosts(path) => Ok(vec![path.clone()]),
        }
    }
}

/// Reads the options of a run.
///
/// # Errors
///
/// The first option that cannot be read.
pub fn plan(world: &World, global: &Global) -> Result<Plan, Failure> {
    let source = Source::parse(&world.trace)?;
    let cluster = world.cluster.as_deref().map(Cluster::parse).transpose()?;
    let until = time("--until", world.until.as_deref())?;
    let read = ReadOptions {
        zones: world.zones.as_deref().map(Zones::parse).transpose()?,
        time_scale: world.time_scale.as_deref().map(TimeScale::parse).transpose()?,
        static_fill: world.static_fill,
        shuffle: None,
        until,
        limit: world.limit,
        oversized: oversized(world)?,
        seed: global.seed,
    };
    let mut options = Vec::new();
    let mut note = |name: &str, value: String| options.push((name.to_owned(), value));
    if let Some(it) = &world.cluster {
        note("cluster", it.clone());
    }
    if let Some(it) = &read.zones {
        note("zones", format!("{it} (synthetic)"));
    }
    if let Some(it) = &world.time_scale {
        note("time-scale", it.clone());
    }
    if world.static_fill {
        note("static-fill", "yes: nothing leaves".into());
    }
    if world.shuffle {
        note("shuffle", "arrivals permuted by the run's seed".into());
    }
    if let Some(it) = &world.until {
        note("until", it.clone());
    }
    if let Some(it) = world.limit {
        note("limit", it.to_string());
    }
    if world.oversized != "error" {
        note("oversized", world.oversized.clone());
    }
    if let Some(it) = &world.overcommit {
        note("overcommit", it.clone());
    }
    note("queue", world.queue.clone());
    note("unfit", world.unfit.clone());
    note("startup", world.startup.clone());
    let scripted = scripted_faults(world, &source)?;
    for it in &scripted {
        note("fault", it.to_string());
    }
    if let Some(it) = &world.random_faults {
        note("random-faults", it.clone());
    }
    Ok(Plan {
        source,
        apps: world.apps.clone(),
        cluster,
        read,
        shuffle: world.shuffle,
        overcommit: world.overcommit.as_deref().map(overcommit).transpose()?,
        order: queue_order(&world.queue)?,
        unfit: unfit(&world.unfit)?,
        startup: startup(&world.startup)?,
        faults: FaultPlan {
            scripted,
            random: world.random_faults.as_deref().map(random_faults).transpose()?,
        },
        until,
        check: world.check,
        record_journal: world.record_journal,
        tasks: world.tasks,
        figures: !world.no_figures,
        out: world.out.clone(),
        force: world.force,
        options,
    })
}

fn oversized(world: &World) -> Result<Oversized, Failure> {
    let oversized = Oversized::parse(&world.oversized)?;
    if oversized == Oversized::Drop && !world.apps.is_empty() {
        return Err(Failure::new("--oversized drop is for traces: an app is run as it is")
            .help("say --oversized keep to let such tasks wait, or give larger nodes"));
    }
    Ok(oversized)
}

fn scripted_faults(world: &World, source: &Source) -> Result<Vec<Scripted>, Failure> {
    let texts: Vec<&str> = world.faults.iter().map(String::as_str).collect();
    let is_default = matches!(source.to_string().as_str(), "builtin:default" | "builtin:hot");
    let texts = match texts[..] {
        // The outage belongs to the built-in workload as it is, not to one that was changed.
        [] if is_default
            && world.apps.is_empty()
            && world.cluster.is_none()
            && world.zones.is_none()
            && world.time_scale.is_none()
            && !world.static_fill =>
        {
            vec![BUILTIN_FAULT]
        }
        ["none"] => Vec::new(),
        _ => texts,
    };
    texts.into_iter().map(|text| text.parse().map_err(|it| bad_fault(text, &it))).collect()
}

fn bad_fault(text: &str, error: &BadFault) -> Failure {
    let known = ["node-loss", "zone-outage", "drain"];
    let what = text.split(':').next().unwrap_or(text);
    let meant = did_you_mean(what, known.into_iter());
    Failure::new(error.to_string()).help(format!(
        "{meant}write --fault zone-outage:ZONE@6h+30m, node-loss:NODE@1h or drain:NODE@2h+1h"
    ))
}

/// Reads a policy.
///
/// # Errors
///
/// With a mark under what is wrong.
pub fn policy(text: &str) -> Result<Policy, Failure> {
    text.parse().map_err(|error: PolicyError| {
        Failure::new(error.to_string())
            .help("`bayplan policies` lists them, `bayplan policies NAME` describes one")
            .mark("--policy", text, error.span(), "here")
    })
}

/// Reads several policies and refuses repeats.
///
/// # Errors
///
/// As [`policy`].
pub fn policies(texts: &[String]) -> Result<Vec<Policy>, Failure> {
    let mut policies: Vec<Policy> = Vec::new();
    let defaults = DEFAULT_POLICIES.map(str::to_owned);
    for text in if texts.is_empty() { &defaults } else { texts } {
        let policy = policy(text)?;
        if policies.contains(&policy) {
            return Err(Failure::new(format!("policy {policy} is named twice"))
                .help("name each policy once; --seeds N runs it several times"));
        }
        policies.push(policy);
    }
    Ok(policies)
}

/// Reads a moment, counted from the start of the run.
///
/// # Errors
///
/// If it is none.
pub fn time(option: &str, text: Option<&str>) -> Result<Option<Instant>, Failure> {
    text.map(|text| span(option, text).map(|it| Instant::ZERO + it)).transpose()
}

/// Reads a length of time.
///
/// # Errors
///
/// If it is none.
pub fn span(option: &str, text: &str) -> Result<Span, Failure> {
    parse_span(text).map_err(|_| {
        Failure::new(format!("{option} is {text:?}, which is no time"))
            .help("write a number with us, ms, s, m, h or d, such as 90m")
    })
}

/// `key=value,key=value` with keys from a list.
fn pairs<'a>(
    option: &str,
    text: &'a str,
    known: &[&'static str],
) -> Result<Vec<(&'static str, &'a str)>, Failure> {
    let mut out: Vec<(&'static str, &'a str)> = Vec::new();
    for part in text.split(',').filter(|it| !it.trim().is_empty()) {
        let keys = known.join(", ");
        let Some((key, value)) = part.split_once('=') else {
            return Err(Failure::new(format!("{option}: {part:?} is not key=value"))
                .help(format!("keys are {keys}")));
        };
        let Some(key) = known.iter().find(|it| **it == key.trim()) else {
            let meant = did_you_mean(key.trim(), known.iter().copied());
            return Err(Failure::new(format!("{option} has no key {:?}", key.trim()))
                .help(format!("{meant}keys are {keys}")));
        };
        if out.iter().any(|it| it.0 == *key) {
            return Err(
                Failure::new(format!("{option} names {key} twice")).help("give each key once")
            );
        }
        out.push((key, value.trim()));
    }
    Ok(out)
}

/// A decimal number of thousandths, exact: `1.6` is 1600.
fn permille(option: &str, text: &str) -> Result<u32, Failure> {
    let bad = || {
        Failure::new(format!("{option}: {text:?} is no factor"))
            .help("write a number from 0.001 to 1000 with up to three decimals, such as 1.6")
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 || text.len() > 8 {
        return Err(bad());
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let part: u32 = format!("{fraction:0<3}").parse().map_err(|_| bad())?;
    match whole.checked_mul(1000).and_then(|it| it.checked_add(part)) {
        Some(permille @ 1..=1_000_000) => Ok(permille),
        _ => Err(bad()),
    }
}

/// Reads over-commit factors.
///
/// # Errors
///
/// The first that is none.
pub fn overcommit(text: &str) -> Result<Overcommit, Failure> {
    let mut factors = Overcommit::default();
    for (key, value) in pairs("--overcommit", text, &["cpu", "memory", "disk"])? {
        let resource = Resource::from_name(key).map_or(0, Resource::row);
        factors.0[resource] = permille("--overcommit", value)?;
    }
    Ok(factors)
}

/// Reads who is tried first.
///
/// # Errors
///
/// With the orders that there are.
pub fn queue_order(text: &str) -> Result<QueueOrder, Failure> {
    let (name, resource) = text.split_once(':').unwrap_or((text, "cpu"));
    let by = Resource::from_name(resource);
    match (name, by) {
        ("fifo", _) if !text.contains(':') => Ok(QueueOrder::Fifo),
        ("priority", _) if !text.contains(':') => Ok(QueueOrder::Priority),
        ("shortest-first", _) if !text.contains(':') => Ok(QueueOrder::ShortestFirst),
        ("largest-first", Some(by)) => Ok(QueueOrder::LargestFirst(by)),
        ("smallest-first", Some(by)) => Ok(QueueOrder::SmallestFirst(by)),
        _ => {
            let known = ["fifo", "priority", "shortest-first", "largest-first", "smallest-first"];
            let meant = did_you_mean(name, known.into_iter());
            Err(Failure::new(format!("--queue: {text:?} is no order")).help(format!(
                "{meant}orders are fifo, priority, shortest-first, largest-first[:RESOURCE] and \
                 smallest-first[:RESOURCE], with RESOURCE cpu, memory, disk or gpu"
            )))
        }
    }
}

/// Reads what becomes of tasks that fit nowhere.
///
/// # Errors
///
/// With the ways that there are.
pub fn unfit(text: &str) -> Result<Unfit, Failure> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    match name {
        "wait" if rest.is_empty() => Ok(Unfit::WaitAndLetPass),
        "head" if rest.is_empty() => Ok(Unfit::WaitAtHead),
        "drop" if rest.is_empty() => Ok(Unfit::Drop),
        "retry" => {
            let (mut first, mut max) = (Span::from_secs(1), Span::from_secs(300));
            let (mut factor_permille, mut tries) = (2000, 0);
            for (key, value) in pairs("--unfit", rest, &["first", "max", "factor", "tries"])? {
                match key {
                    "first" => first = span("--unfit retry:first", value)?,
                    "max" => max = span("--unfit retry:max", value)?,
                    "factor" => factor_permille = permille("--unfit retry:factor", value)?,
                    _ => {
                        tries = value.parse().map_err(|_| {
                            Failure::new(format!("--unfit retry:tries is {value:?}"))
                                .help("write a whole number; 0 never gives up")
                        })?;
                    }
                }
            }
            if first < Span(1_000) || max < first {
                return Err(Failure::new(format!("--unfit retry: first={first}, max={max}"))
                    .help("give a first delay of at least 1ms, and a max that is not shorter"));
            }
            Ok(Unfit::Retry { first, max, factor_permille, tries })
        }
        _ => {
            let meant = did_you_mean(name, ["wait", "head", "drop", "retry"].into_iter());
            Err(Failure::new(format!("--unfit: {text:?} is none of what a task can do")).help(
                format!("{meant}it can wait, head, drop, retry[:first=1s,max=5m,factor=2,tries=0]"),
            ))
        }
    }
}

/// A node that fails a million times a day fails more often than anything can react to.
const RATE_MAX: f64 = 1e6;

/// A float that is a rate or a spread: not negative and not absurd.
fn rate(option: &str, text: &str) -> Result<f64, Failure> {
    match text.parse::<f64>() {
        Ok(it) if (0.0..=RATE_MAX).contains(&it) => Ok(it),
        _ => Err(Failure::new(format!("{option} is {text:?}, which is no rate"))
            .help("write a number that is not negative and at most a million, such as 0.0247")),
    }
}

/// Reads a start-up model.
///
/// # Errors
///
/// If it is none.
pub fn startup(text: &str) -> Result<Startup, Failure> {
    match text.split_once(':') {
        Some(("lognormal", rest)) => {
            let (mut median, mut sigma) = (Span::from_secs(2), 0.5);
            for (key, value) in pairs("--startup", rest, &["median", "sigma"])? {
                match key {
                    "median" => median = span("--startup lognormal:median", value)?,
                    _ => sigma = rate("--startup lognormal:sigma", value)?,
                }
            }
            Ok(Startup::LogNormal { median, sigma })
        }
        None => match span("--startup", text)? {
            Span::ZERO => Ok(Startup::None),
            fixed => Ok(Startup::Fixed(fixed)),
        },
        Some(_) => Err(Failure::new(format!("--startup: {text:?} is no model"))
            .help("write 0, a time such as 2s, or lognormal:median=2s,sigma=0.5")),
    }
}

fn random_faults(text: &str) -> Result<RandomFaults, Failure> {
    let mut faults = RandomFaults::default();
    if text == "default" {
        return Ok(faults);
    }
    let keys = ["node", "repair", "sigma", "zone", "zone-repair", "zone-sigma"];
    for (key, value) in pairs("--random-faults", text, &keys)? {
        let option = format!("--random-faults {key}");
        match key {
            "node" => faults.node_losses_per_day = rate(&option, value)?,
            "repair" => faults.node_repair_median = span(&option, value)?,
            "sigma" => faults.node_repair_sigma = rate(&option, value)?,
            "zone" => faults.zone_outages_per_day = rate(&option, value)?,
            "zone-repair" => faults.zone_repair_median = span(&option, value)?,
            _ => faults.zone_repair_sigma = rate(&option, value)?,
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_exact() {
        for (text, want) in [("1.6", Some(1600)), ("1", Some(1000)), (".5", Some(500)), ("0", None)]
        {
            assert_eq!(permille("x", text).ok(), want, "{text}");
        }
        for text in ["1.6005", "-1", "1e3", "x", "1001", "", "99999999999"] {
            assert!(permille("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_become_types() {
        assert_eq!(overcommit("cpu=1.6, memory=1").unwrap(), Overcommit([1600, 1000, 1000]));
        assert_eq!(
            queue_order("largest-first:memory").unwrap(),
            QueueOrder::LargestFirst(Resource::Memory)
        );
        assert_eq!(unfit("drop").unwrap(), Unfit::Drop);
        assert_eq!(
            unfit("retry:tries=3,first=500ms").unwrap(),
            Unfit::Retry {
                first: Span(500_000),
                max: Span::from_secs(300),
                factor_permille: 2000,
                tries: 3
            }
        );
        assert_eq!(startup("0").unwrap(), Startup::None);
        assert_eq!(startup("2s").unwrap(), Startup::Fixed(Span::from_secs(2)));
        assert_eq!(random_faults("node=1").unwrap().node_losses_per_day, 1.0);
    }

    #[test]
    fn bad_options_say_what_was_meant() {
        for (got, want) in [
            (overcommit("cpus=2").unwrap_err(), "did you mean cpu?"),
            (queue_order("fito").unwrap_err(), "did you mean fifo?"),
            (queue_order("fifo:cpu").unwrap_err(), "orders are"),
            (unfit("dorp").unwrap_err(), "did you mean drop?"),
            (unfit("retry:trys=3").unwrap_err(), "did you mean tries?"),
            (startup("normal:mean=2").unwrap_err(), "lognormal"),
            (random_faults("node=-1").unwrap_err(), "not negative"),
        ] {
            let help = got.help.unwrap_or_default();
            assert!(help.contains(want), "{}: {help}", got.what);
        }
    }
}
