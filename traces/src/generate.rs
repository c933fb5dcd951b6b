//! Generated workloads: a seeded stream from a [`Recipe`], and the built-in recipes.
//!
//! Fits and proportions come from public traces: Weibull gaps and batch sizes from Azure V1 (Cortez et
//! al., SOSP 2017), lives from Philly and Huawei (lognormal of ln seconds about 6.5 to 7.2, 2.1 to
//! 2.3), node outages and machine shapes from Google 2011, sizes as a table of flavours because no
//! real workload has continuous ones.
//!
//! A workload has three parts. *Residents*: services submitted at time 0, which never end, in groups
//! of one flavour. *Batches*: over the span, batches of tasks alike come at times from Weibull gaps
//! under a day curve with a spike on every hour; most are jobs, some are new services. *Outages*, if
//! the recipe has them: nodes that are lost and return.
//!
//! The load is calibrated, not hoped for: the batches are drawn once to find the peak of what they ask
//! for (if each task ran from its arrival), and residents fill each resource up to
//! [`Recipe::peak_load_permille`] of the nodes. Where the batches alone leave too little for residents,
//! all lives are shortened by one factor, which [`Generated::life_scale`] tells.
//!
//! A stream holds what its parameters need (nodes, flavours, minutes of the span), and never a list of
//! tasks; neither does a [`Workload`] of one. The calibration holds one entry per task alive.

use crate::ahead;
use crate::card::Card;
use crate::ends::Ends;
use crate::error::TraceError;
use crate::format::FormatOption;
use crate::source;
use crate::stats::TaskStats;
use crate::tasks::TaskRow;
use crate::workload::{Timeline, Workload};
use crate::zones::zone_name;
use cluster::arrival::{Arrival, ArrivalStream, StreamError, TaskArrival, What};
use cluster::chance::{Chance, Purpose};
use cluster::demand::{Amounts, Demand, GpuAsk, TaskDefinition};
use cluster::event::{NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use rand_distr::{Distribution, Exp, LogNormal, Weibull};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};

/// Everything that a generated workload is made from, but the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// For people.
    pub name: String,
    /// Number of nodes.
    pub nodes: u32,
    /// Availability zones, dealt to nodes in turn; 0 names none.
    pub zones: u16,
    /// Nodes in a rack (label `rack`), within one zone.
    pub nodes_per_rack: u32,
    /// Racks on one power line (label `power`), within one zone.
    pub racks_per_power: u32,
    /// What nodes look like.
    pub node_shapes: Vec<NodeShape>,
    /// Tasks that arrive after the start; residents come on top.
    pub tasks: u64,
    /// Length of the workload in seconds.
    pub span_s: u64,
    /// Peak of what is asked for, in thousandths of what the nodes have.
    pub peak_load_permille: u32,
    /// Least share of the nodes that is left to residents, in thousandths.
    pub residents_permille_min: u32,
    /// Most tasks in a service.
    pub service_size_max: u64,
    /// Shape of the bounded Pareto distribution of service sizes.
    pub service_size_alpha: f64,
    /// What tasks look like.
    pub flavours: Vec<Flavour>,
    /// When batches come.
    pub gaps: Gaps,
    /// How large batches are.
    pub batches: Batches,
    /// How long tasks live.
    pub lives: Lives,
    /// Priority of services.
    pub service_priority: i32,
    /// Priorities of jobs.
    pub job_priorities: Vec<Band>,
    /// A user's estimate is the life times a factor from 1 to this, rounded up to a round time.
    pub estimate_factor_max: f64,
    /// Node outages; none without.
    pub outages: Option<Outages>,
}

/// A kind of node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeShape {
    /// Label `shape` of its nodes.
    pub name: String,
    /// Share of the nodes, relative to the other shapes.
    pub weight: f64,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in MiB.
    #[serde(default)]
    pub disk_mib: u64,
    /// GPU devices.
    #[serde(default)]
    pub gpus: u16,
    /// Their model.
    #[serde(default)]
    pub gpu_model: String,
}

/// A kind of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flavour {
    /// Name of its definition.
    pub name: String,
    /// Share of the batches, relative to the other flavours.
    pub weight: f64,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in MiB.
    #[serde(default)]
    pub disk_mib: u64,
    /// GPU devices; residents never have any.
    #[serde(default)]
    pub gpus: u16,
    /// Share of each device, in thousandths.
    #[serde(default)]
    pub gpu_milli: u32,
}

/// When batches come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaps {
    /// Shape of the Weibull distribution; below 1 is burstier than a Poisson process.
    pub weibull_shape: f64,
    /// How far the rate at 15:00 is above, and that at 03:00 below, the mean; 0 to 1.
    pub day_amplitude: f64,
    /// Factor on the rate in the first minute of every hour.
    pub hour_spike: f64,
}

/// How large batches are, and what they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// Share of batches of one task.
    pub single_share: f64,
    /// Shape of the bounded Pareto distribution of the others, from 2 on.
    pub alpha: f64,
    /// Most tasks in a batch.
    pub max: u64,
    /// Share of batches that are new services.
    pub service_share: f64,
}

/// How long tasks live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lives {
    /// Mean of ln seconds of jobs.
    pub job_mu: f64,
    /// Deviation of ln seconds over all jobs.
    pub job_sigma: f64,
    /// The part of that deviation that tasks of one batch have among themselves.
    pub within_batch_sigma: f64,
    /// Share of batches whose life is drawn from the tail instead.
    pub tail_share: f64,
    /// Shape of the tail, a bounded Pareto distribution.
    pub tail_alpha: f64,
    /// Where the tail begins, in seconds.
    pub tail_min_s: f64,
    /// No job lives longer, in seconds.
    pub job_max_s: f64,
    /// Mean of ln seconds of services that come after the start.
    pub service_mu: f64,
    /// Deviation of ln seconds of those.
    pub service_sigma: f64,
    /// Share of those that are never taken down.
    pub service_endless_share: f64,
}

/// A priority and how many batches have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Higher is more important.
    pub priority: i32,
    /// Relative to the other bands.
    pub weight: f64,
}

/// Node outages, independent of each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outages {
    /// Losses of one node per day of being there.
    pub per_node_day: f64,
    /// Mean of ln seconds until it is back.
    pub repair_mu: f64,
    /// Deviation of ln seconds until it is back.
    pub repair_sigma: f64,
}

/// Options of the built-in workloads, `builtin:NAME?option=value`.
pub const OPTIONS: &[FormatOption] = &[
    FormatOption { name: "seed", summary: "seed of the workload; the run's seed unless given" },
    FormatOption { name: "nodes", summary: "number of nodes; tasks change in proportion" },
    FormatOption {
        name: "tasks",
        summary: "tasks after the start; the span changes in proportion, so that the rate stays",
    },
    FormatOption { name: "span", summary: "length, such as 12h; tasks stay" },
    FormatOption { name: "zones", summary: "number of zones" },
    FormatOption { name: "load", summary: "peak of what is asked for, such as 0.9 of the nodes" },
];

/// A recipe that comes with the tool.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name in `builtin:NAME`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The recipe.
    pub recipe: fn() -> Recipe,
}

/// All built-in workloads.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "default",
        summary: "1,200 nodes in three zones, services and batches over two days, load up to 87 %",
        recipe: default_recipe,
    },
    Builtin {
        name: "small",
        summary: "100 nodes in three zones, 5,000 tasks over one day",
        recipe: small_recipe,
    },
    Builtin {
        name: "google-2011-like",
        summary: "12,500 nodes of ten shapes with outages, about 1,500 request shapes",
        recipe: google_2011_like_recipe,
    },
];

/// The name of a built-in workload; `hot` is another word for `default`.
///
/// # Errors
///
/// [`TraceError::Unknown`].
pub fn builtin_name(name: &str) -> Result<&'static str, TraceError> {
    let wanted = if name == "hot" { "default" } else { name };
    match BUILTINS.iter().find(|it| it.name == wanted) {
        Some(it) => Ok(it.name),
        None => {
            Err(TraceError::unknown("built-in workload", name, BUILTINS.iter().map(|it| it.name)))
        }
    }
}

/// The recipe of a built-in workload with options applied, and the seed if they name one.
fn builtin(name: &str, options: &[(String, String)]) -> Result<(Recipe, Option<u64>), TraceError> {
    let name = builtin_name(name)?;
    let found = BUILTINS.iter().find(|it| it.name == name).expect("it was found by this name");
    let mut recipe = (found.recipe)();
    let option = |key: &str| options.iter().find(|it| it.0 == key).map(|it| it.1.as_str());
    let number =
        |key: &'static str| option(key).map(|it| source::whole_option(key, it)).transpose();
    if let Some(nodes) = number("nodes")? {
        recipe.tasks = in_proportion(recipe.tasks, nodes, recipe.nodes.into());
        recipe.nodes = u32::try_from(nodes).map_err(|_| wrong("more than 2^32 nodes"))?;
    }
    if let Some(tasks) = number("tasks")? {
        recipe.span_s = in_proportion(recipe.span_s, tasks, recipe.tasks);
        recipe.tasks = tasks;
    }
    if let Some(span) = option("span") {
        recipe.span_s = source::parse_duration_us("span", span)? / 1_000_000;
    }
    if let Some(zones) = number("zones")? {
        recipe.zones = u16::try_from(zones).map_err(|_| wrong("more than 65535 zones"))?;
    }
    if let Some(load) = option("load") {
        let permille = crate::decimal::parse(load, 1000, crate::decimal::Rounding::Nearest);
        let permille = permille.ok().and_then(|it| u32::try_from(it).ok());
        recipe.peak_load_permille = permille.ok_or_else(|| TraceError::BadOption {
            option: "load".into(),
            found: load.into(),
            wanted: "a share of the nodes, such as 0.9",
        })?;
    }
    recipe.check()?;
    Ok((recipe, number("seed")?))
}

fn in_proportion(amount: u64, new: u64, old: u64) -> u64 {
    let exact = u128::from(amount) * u128::from(new) / u128::from(old.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX).max(1)
}

/// A built-in workload.
pub(crate) fn read(
    name: &str,
    options: &[(String, String)],
    seed: u64,
) -> Result<Workload, TraceError> {
    let (recipe, own_seed) = builtin(name, options)?;
    workload(&recipe, own_seed.unwrap_or(seed))
}

/// The nodes of a built-in workload.
pub(crate) fn nodes(name: &str, options: &[(String, String)]) -> Result<Vec<NodeSpec>, TraceError> {
    let (recipe, seed) = builtin(name, options)?;
    let shapes = recipe.shape_of_nodes(seed.unwrap_or(0));
    Ok((0..recipe.nodes).map(|it| recipe.node(it, &shapes)).collect())
}

/// The workload of a recipe. Its tasks are not in memory: they are drawn whenever somebody goes through them.
///
/// # Errors
///
/// [`TraceError::Recipe`].
pub fn workload(recipe: &Recipe, seed: u64) -> Result<Workload, TraceError> {
    let mut stream = Generated::new(recipe.clone(), seed)?;
    let mut timeline = Timeline::new();
    for node in 0..recipe.nodes {
        let spec = recipe.node(node, &stream.shapes);
        timeline.push((Instant::ZERO, NodeId(node), NodeEvent::Joined(Box::new(spec))));
    }
    while let Some((at, node, event)) = stream.next_outage() {
        timeline.push((at, node, event));
    }
    let mut card = Card::new(format!("recipe {}, seed {seed}", recipe.name), "generate");
    card.assume(
        "synthetic: drawn from distributions fitted to public traces, not a record of any cluster",
    );
    if stream.life_scale() < 1.0 {
        card.assume(format!(
            "lives are shortened by a factor of {:.3}, so that residents keep their share",
            stream.life_scale()
        ));
    }
    let (likeness, definitions) = stream.into_likeness();
    let horizon = Instant::from_secs(recipe.span_s);
    let mut workload = Workload::generated(card, definitions, timeline, likeness, horizon);
    workload.measure();
    Ok(workload)
}

fn wrong(reason: impl Into<String>) -> TraceError {
    TraceError::Recipe { reason: reason.into() }
}

impl Recipe {
    /// Reads a recipe from JSON.
    ///
    /// # Errors
    ///
    /// [`TraceError::Recipe`] if it is none, or cannot be followed.
    pub fn from_json(text: &str) -> Result<Self, TraceError> {
        let recipe: Self = serde_json::from_str(text).map_err(|it| wrong(it.to_string()))?;
        recipe.check()?;
        Ok(recipe)
    }

    /// As JSON, for people to change.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a recipe has no maps with odd keys")
    }

    /// Whether it can be followed.
    fn check(&self) -> Result<(), TraceError> {
        let positive = |it: f64| it.is_finite() && it > 0.0;
        let share = |it: f64| (0.0..=1.0).contains(&it);
        let finite = |it: f64| it.is_finite() && it >= 0.0;
        let flavours_fit = self.flavours.iter().all(|ask| {
            self.node_shapes.iter().any(|has| {
                ask.cpu_milli <= has.cpu_milli
                    && ask.memory_mib <= has.memory_mib
                    && ask.disk_mib <= has.disk_mib
                    && ask.gpus <= has.gpus
            })
        });
        let largest = |it: u64| it > 1 << 40;
        let rules = [
            (self.nodes > 0 && self.nodes <= 10_000_000, "nodes must be from 1 to 10000000"),
            (self.nodes_per_rack > 0, "nodes_per_rack must be above 0"),
            (self.racks_per_power > 0, "racks_per_power must be above 0"),
            (self.tasks > 0, "tasks must be above 0"),
            (
                (60..=10 * 366 * 86_400).contains(&self.span_s),
                "span_s must be from a minute to ten years",
            ),
            (
                (1..=10_000).contains(&self.peak_load_permille),
                "peak_load_permille must be from 1 to 10000",
            ),
            (
                self.residents_permille_min < self.peak_load_permille,
                "residents_permille_min must be below peak_load_permille",
            ),
            (
                !self.node_shapes.is_empty() && !self.flavours.is_empty(),
                "shapes and flavours are needed",
            ),
            (
                self.node_shapes
                    .iter()
                    .all(|it| positive(it.weight) && it.cpu_milli > 0 && it.memory_mib > 0),
                "node shapes need a weight, cpu and memory above 0",
            ),
            (
                self.node_shapes.iter().all(|it| {
                    usize::from(it.gpus) <= DeviceSet::MAX
                        && ![it.cpu_milli, it.memory_mib, it.disk_mib].into_iter().any(largest)
                }),
                "node shapes must be smaller than 2^40 and have at most 64 gpus",
            ),
            (
                self.flavours
                    .iter()
                    .all(|it| positive(it.weight) && it.cpu_milli > 0 && it.memory_mib > 0),
                "flavours need a weight, cpu and memory above 0",
            ),
            (self.flavours.iter().any(|it| it.gpus == 0), "residents need a flavour without gpus"),
            (
                self.flavours.iter().all(|it| it.gpu_milli <= 1000),
                "gpu_milli must be from 0 to 1000",
            ),
            (flavours_fit, "every flavour must fit a node shape"),
            (!self.job_priorities.is_empty(), "job_priorities are needed"),
            (
                self.job_priorities.iter().all(|it| positive(it.weight)),
                "priorities need a weight above 0",
            ),
            (
                self.service_size_max > 0 && positive(self.service_size_alpha),
                "service sizes must be above 0",
            ),
            (positive(self.gaps.weibull_shape), "weibull_shape must be above 0"),
            (share(self.gaps.day_amplitude), "day_amplitude must be from 0 to 1"),
            (positive(self.gaps.hour_spike), "hour_spike must be above 0"),
            (
                share(self.batches.single_share) && share(self.batches.service_share),
                "shares of batches must be from 0 to 1",
            ),
            (
                positive(self.batches.alpha) && self.batches.max > 1,
                "batches need alpha above 0, max above 1",
            ),
            (
                finite(self.lives.job_mu)
                    && finite(self.lives.job_sigma)
                    && finite(self.lives.service_mu)
                    && finite(self.lives.service_sigma),
                "means and deviations of lives must be 0 or above",
            ),
            (
                finite(self.lives.within_batch_sigma)
                    && self.lives.within_batch_sigma <= self.lives.job_sigma,
                "within_batch_sigma must be at most job_sigma",
            ),
            (
                share(self.lives.tail_share) && share(self.lives.service_endless_share),
                "shares of lives must be from 0 to 1",
            ),
            (
                positive(self.lives.tail_alpha)
                    && positive(self.lives.tail_min_s)
                    && self.lives.tail_min_s < self.lives.job_max_s
                    && self.lives.job_max_s < 1e10,
                "the tail needs alpha above 0 and tail_min_s below job_max_s",
            ),
            (
                (1.0..1e6).contains(&self.estimate_factor_max),
                "estimate_factor_max must be 1 or above",
            ),
            (
                self.outages.as_ref().is_none_or(|it| {
                    positive(it.per_node_day) && finite(it.repair_mu) && finite(it.repair_sigma)
                }),
                "outages need a rate above 0",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(wrong(reason)),
            None => Ok(()),
        }
    }

    /// The shape of every node: as many of each as its weight says, in random order.
    fn shape_of_nodes(&self, seed: u64) -> Vec<u16> {
        let total: f64 = self.node_shapes.iter().map(|it| it.weight).sum();
        let mut shapes = Vec::with_capacity(self.nodes as usize);
        let mut weight = 0.0;
        for (row, shape) in self.node_shapes.iter().enumerate() {
            weight += shape.weight;
            let until = (f64::from(self.nodes) * weight / total).round() as usize;
            shapes.resize(until.min(self.nodes as usize), row as u16);
        }
        shapes.resize(self.nodes as usize, self.node_shapes.len() as u16 - 1);
        Chance::new(seed, Purpose::Nodes, 0).shuffle(&mut shapes);
        shapes
    }

    fn node(&self, row: u32, shapes: &[u16]) -> NodeSpec {
        let shape = &self.node_shapes[usize::from(shapes[row as usize])];
        let zones = u32::from(self.zones.max(1));
        let (zone, place) = (row % zones, row / zones);
        let rack = place / self.nodes_per_rack;
        let power = rack / self.racks_per_power;
        let zone = if self.zones == 0 { "all".to_owned() } else { zone_name(zone as usize) };
        NodeSpec {
            name: format!("node-{row:05}"),
            capacity: NodeCapacity {
                amounts: amounts(shape.cpu_milli, shape.memory_mib, shape.disk_mib),
                gpus: vec![shape.gpu_model.clone(); usize::from(shape.gpus)],
            },
            attributes: vec![
                ("power".into(), format!("{zone}-p{power:02}")),
                ("rack".into(), format!("{zone}-r{rack:03}")),
                ("shape".into(), shape.name.clone()),
            ],
            zone: if self.zones == 0 { String::new() } else { zone },
            ..NodeSpec::default()
        }
    }
}

fn amounts(cpu_milli: u64, memory_mib: u64, disk_mib: u64) -> Amounts {
    let [memory, disk] = [Bytes::from_mib(memory_mib), Bytes::from_mib(disk_mib)];
    Amounts { cpu: MilliCpu(cpu_milli), memory, disk }
}

impl Flavour {
    fn demand(&self) -> Demand {
        let gpus = match self.gpus {
            0 => GpuAsk::default(),
            count => GpuAsk { count, milli: GpuMilli(self.gpu_milli), models: vec![] },
        };
        let amounts = amounts(self.cpu_milli, self.memory_mib, self.disk_mib);
        Demand { amounts, gpus, ..Demand::default() }
    }

    fn definition(&self) -> TaskDefinition {
        TaskDefinition::single(self.name.clone(), self.demand())
    }

    /// Cpu and memory, the two resources that are calibrated.
    fn calibrated(&self) -> [u64; 2] {
        [self.cpu_milli, self.memory_mib]
    }
}

/// A table of weights to draw from.
#[derive(Debug, Clone)]
struct Weighted {
    cumulative: Vec<f64>,
}

impl Weighted {
    fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let cumulative = weights
            .map(|it| {
                sum += it;
                sum
            })
            .collect();
        Self { cumulative }
    }

    fn draw(&self, chance: &mut Chance) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = chance.unit() * total;
        self.cumulative.partition_point(|&it| it <= at).min(self.cumulative.len() - 1)
    }
}

/// A bounded Pareto distribution, by its inverse.
fn bounded_pareto(chance: &mut Chance, alpha: f64, min: f64, max: f64) -> f64 {
    let ratio = (min / max).powf(alpha);
    let at = chance.unit();
    min * (1.0 - at * (1.0 - ratio)).powf(-1.0 / alpha)
}

fn lognormal(chance: &mut Chance, mu: f64, sigma: f64) -> f64 {
    LogNormal::new(mu, sigma).expect("mu and sigma were checked to be finite").sample(chance.rng())
}

/// When batches come: Weibull gaps, stretched so that they fill the span under its day curve.
#[derive(Debug, Clone)]
struct BatchTimes {
    chance: Chance,
    gaps: Weibull<f64>,
    /// Sum of the gaps so far, and of all.
    elapsed: f64,
    total: f64,
    /// Sum of the rate up to the end of each minute.
    minutes: Vec<f64>,
    span_s: f64,
}

impl BatchTimes {
    fn new(recipe: &Recipe, seed: u64, batches: u64) -> Self {
        let gaps = Weibull::new(1.0, recipe.gaps.weibull_shape)
            .expect("the shape was checked to be above zero");
        let chance = Chance::new(seed, Purpose::Arrivals, 0);
        let mut ahead = chance.clone();
        // One more gap than batches, so that the last comes before the end.
        let total = (0..=batches).map(|_| gaps.sample(ahead.rng())).sum();
        let mut sum = 0.0;
        let minutes = (0..recipe.span_s.div_ceil(60))
            .map(|minute| {
                sum += rate(&recipe.gaps, minute);
                sum
            })
            .collect();
        Self { chance, gaps, elapsed: 0.0, total, minutes, span_s: recipe.span_s as f64 }
    }

    fn next(&mut self) -> Instant {
        self.elapsed += self.gaps.sample(self.chance.rng());
        let all = self.minutes.last().copied().unwrap_or(1.0);
        let target = self.elapsed / self.total * all;
        let minute = self.minutes.partition_point(|&it| it < target).min(self.minutes.len() - 1);
        let before = if minute == 0 { 0.0 } else { self.minutes[minute - 1] };
        let part = (target - before) / (self.minutes[minute] - before);
        let seconds = ((minute as f64 + part) * 60.0).min(self.span_s);
        Instant(Span::from_secs_f64(seconds).0)
    }
}

/// The rate in a minute: straight lines between a low at 03:00 and a high at 15:00, more in the first
/// minute of an hour. The span begins at midnight.
fn rate(gaps: &Gaps, minute: u64) -> f64 {
    let of_day = (minute % 1440) as f64;
    let from_low = (of_day - 180.0).rem_euclid(1440.0);
    let wave = 1.0 - (from_low - 720.0).abs() / 360.0;
    let spike = if minute.is_multiple_of(60) { gaps.hour_spike } else { 1.0 };
    // A rate of zero would leave minutes that cannot be divided.
    (1.0 + gaps.day_amplitude * wave).max(1e-6) * spike
}

/// Tasks alike that come together.
#[derive(Debug, Clone)]
struct Batch {
    at: Instant,
    left: u64,
    flavour: usize,
    kind: TaskKind,
    priority: i32,
    /// Life of the batch in seconds, before what its tasks have for themselves.
    life_s: f64,
    withdrawn: Option<Instant>,
}

/// Batches, one after the other.
#[derive(Debug, Clone)]
struct BatchStream {
    sizes: Chance,
    tasks: Chance,
    times: BatchTimes,
    flavours: Weighted,
    priorities: Weighted,
    left: u64,
    life_scale: f64,
}

impl BatchStream {
    fn new(recipe: &Recipe, seed: u64, life_scale: f64) -> Self {
        let sizes = Chance::new(seed, Purpose::Tasks, 1);
        let mut ahead = sizes.clone();
        let (mut tasks, mut batches) = (0u64, 0);
        while tasks < recipe.tasks {
            tasks += draw_size(recipe, &mut ahead).1;
            batches += 1;
        }
        Self {
            sizes,
            tasks: Chance::new(seed, Purpose::Tasks, 2),
            times: BatchTimes::new(recipe, seed, batches),
            flavours: Weighted::new(recipe.flavours.iter().map(|it| it.weight)),
            priorities: Weighted::new(recipe.job_priorities.iter().map(|it| it.weight)),
            left: recipe.tasks,
            life_scale,
        }
    }

    fn next(&mut self, recipe: &Recipe) -> Option<Batch> {
        if self.left == 0 {
            return None;
        }
        let (kind, size) = draw_size(recipe, &mut self.sizes);
        let size = size.min(self.left);
        self.left -= size;
        let at = self.times.next();
        let flavour = self.flavours.draw(&mut self.tasks);
        let lives = &recipe.lives;
        let chance = &mut self.tasks;
        let (priority, life_s, withdrawn) = match kind {
            TaskKind::Service => {
                let life_s = lognormal(chance, lives.service_mu, lives.service_sigma);
                let ends = chance.unit() >= lives.service_endless_share;
                let withdrawn = ends.then(|| at + Span::from_secs_f64(life_s * self.life_scale));
                let span = Instant::from_secs(recipe.span_s);
                (recipe.service_priority, 0.0, withdrawn.filter(|&it| it < span))
            }
            TaskKind::Job => {
                let band = self.priorities.draw(chance);
                let sigma =
                    (lives.job_sigma.powi(2) - lives.within_batch_sigma.powi(2)).max(0.0).sqrt();
                let body = lognormal(chance, lives.job_mu, sigma);
                let is_tail = chance.unit() < lives.tail_share;
                let tail =
                    bounded_pareto(chance, lives.tail_alpha, lives.tail_min_s, lives.job_max_s);
                (recipe.job_priorities[band].priority, if is_tail { tail } else { body }, None)
            }
        };
        Some(Batch { at, left: size, flavour, kind, priority, life_s, withdrawn })
    }

    /// Life and estimate of the next task of a batch.
    fn life(&mut self, recipe: &Recipe, batch: &Batch) -> (Option<Span>, Option<Span>) {
        let Some((life, unit)) = self.bare_life(recipe, batch) else { return (None, None) };
        let factor = 1.0 + unit * (recipe.estimate_factor_max - 1.0);
        (Some(life), Some(round_up(life, factor)))
    }

    /// Life of the next task of a batch, if it ends by itself, and what its estimate is made of.
    fn bare_life(&mut self, recipe: &Recipe, batch: &Batch) -> Option<(Span, f64)> {
        if batch.kind == TaskKind::Service {
            return None;
        }
        let own = lognormal(&mut self.tasks, 0.0, recipe.lives.within_batch_sigma);
        let seconds = (batch.life_s * own).min(recipe.lives.job_max_s) * self.life_scale;
        Some((Span::from_secs_f64(seconds).max(Span(1)), self.tasks.unit()))
    }
}

/// Kind and size of the next batch.
fn draw_size(recipe: &Recipe, chance: &mut Chance) -> (TaskKind, u64) {
    let batches = &recipe.batches;
    if chance.unit() < batches.service_share {
        (TaskKind::Service, service_size(recipe, chance))
    } else if chance.unit() < batches.single_share {
        (TaskKind::Job, 1)
    } else {
        let size = bounded_pareto(chance, batches.alpha, 2.0, batches.max as f64);
        (TaskKind::Job, (size as u64).clamp(2, batches.max))
    }
}

fn service_size(recipe: &Recipe, chance: &mut Chance) -> u64 {
    let max = recipe.service_size_max as f64;
    let size = bounded_pareto(chance, recipe.service_size_alpha, 1.0, max + 1.0);
    (size as u64).clamp(1, recipe.service_size_max)
}

/// What users say: the first round time that is at least the life times the factor.
fn round_up(life: Span, factor: f64) -> Span {
    const ROUND_S: [u64; 16] = [
        60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 172_800, 345_600,
        604_800, 1_209_600, 2_592_000,
    ];
    let wanted = Span::from_secs_f64(life.as_secs_f64() * factor).max(life);
    // All are looked at, so that many are at once.
    let shorter = ROUND_S.iter().filter(|&&it| Span::from_secs(it) < wanted).count();
    ROUND_S.get(shorter).map_or(wanted, |&it| Span::from_secs(it))
}

/// What residents may still ask for, and how they are drawn.
#[derive(Debug, Clone)]
struct ResidentStream {
    chance: Chance,
    flavours: Weighted,
    /// Cpu and memory that is still to be filled, and what the nodes have.
    left: [u64; 2],
    capacity: [u64; 2],
}

/// Draws among which one must fit, or the residents are complete.
const RESIDENT_DRAWS: usize = 64;

/// Draws among which one that keeps cpu and memory in balance is looked for.
const BALANCE_DRAWS: usize = 8;

impl ResidentStream {
    /// The next service: flavour and size. Of a few flavours drawn, the first is taken that leans to the
    /// resource of which more is left, so that both fill up together.
    fn next(&mut self, recipe: &Recipe) -> Option<(usize, u64)> {
        let size = service_size(recipe, &mut self.chance);
        let mut fallback = None;
        for draw in 0..RESIDENT_DRAWS {
            if draw >= BALANCE_DRAWS && fallback.is_some() {
                break;
            }
            let flavour = self.flavours.draw(&mut self.chance);
            let ask = recipe.flavours[flavour].calibrated();
            let fit = self.left.iter().zip(ask).map(|(left, ask)| left / ask).min().unwrap_or(0);
            if fit == 0 {
                continue;
            }
            let chosen = (flavour, size.min(fit));
            let share = |of: [u64; 2], it: usize| of[it] as f64 / self.capacity[it] as f64;
            let wants_memory = share(self.left, 1) > share(self.left, 0);
            if wants_memory == (share(ask, 1) > share(ask, 0)) {
                fallback = Some(chosen);
                break;
            }
            fallback = fallback.or(Some(chosen));
        }
        let (flavour, size) = fallback?;
        for (left, ask) in self.left.iter_mut().zip(recipe.flavours[flavour].calibrated()) {
            *left -= ask * size;
        }
        Some((flavour, size))
    }
}

/// A node that will be lost, or will be back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Outage {
    at: Instant,
    node: u32,
    is_loss: bool,
}

/// The tasks of a generated workload, one after the other; each batch is a group of its own, and so is each
/// service.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    recipe: Arc<Recipe>,
    residents: ResidentStream,
    residents_done: bool,
    batches: BatchStream,
    /// The batch that tasks are taken from.
    current: Option<Batch>,
    group: u32,
    /// Per flavour, the definition it became when it was first used.
    definitions: Vec<Option<u32>>,
    definition_count: u32,
}

impl Draws {
    /// When the next task comes.
    fn next_at(&mut self) -> Option<Instant> {
        if self.current.as_ref().is_none_or(|it| it.left == 0) {
            self.current = self.next_batch();
        }
        self.current.as_ref().map(|it| it.at)
    }

    /// Residents first, then batches.
    fn next_batch(&mut self) -> Option<Batch> {
        let batch = if self.residents_done {
            // Not drawn ahead: lives come from the same stream, in the order in which they were
            // calibrated.
            self.batches.next(&self.recipe)
        } else if let Some((flavour, left)) = self.residents.next(&self.recipe) {
            Some(Batch {
                at: Instant::ZERO,
                left,
                flavour,
                kind: TaskKind::Service,
                priority: self.recipe.service_priority,
                life_s: 0.0,
                withdrawn: None,
            })
        } else {
            self.residents_done = true;
            return self.next_batch();
        }?;
        self.group += 1;
        Some(batch)
    }
}

impl Iterator for Draws {
    type Item = TaskRow;

    fn next(&mut self) -> Option<TaskRow> {
        self.next_at()?;
        let batch = self.current.as_mut()?;
        batch.left -= 1;
        let (lifetime, estimate) = self.batches.life(&self.recipe, batch);
        let definition = *self.definitions[batch.flavour].get_or_insert_with(|| {
            self.definition_count += 1;
            self.definition_count - 1
        });
        Some(TaskRow {
            at: batch.at,
            lifetime,
            withdrawn: batch.withdrawn,
            estimate,
            definition,
            group: Some(self.group - 1),
            resident: None,
            priority: batch.priority,
            kind: batch.kind,
            on_loss: OnLoss::Restart,
            name: 0,
            file: 0,
            line: 0,
        })
    }
}

/// The tasks of a calibrated recipe, to be drawn as often as they are needed.
#[derive(Debug, Clone)]
pub(crate) struct Likeness {
    draws: Draws,
    tasks: usize,
    stats: OnceLock<TaskStats>,
}

impl Likeness {
    pub(crate) fn task_count(&self) -> usize {
        self.tasks
    }

    /// All tasks from the first on.
    pub(crate) fn draws(&self) -> Draws {
        self.draws.clone()
    }

    /// What was counted on them, counted when first asked for.
    pub(crate) fn stats(&self, count: impl FnOnce() -> TaskStats) -> TaskStats {
        self.stats.get_or_init(count).clone()
    }
}

/// A generated workload as a stream.
#[derive(Debug, Clone)]
pub struct Generated {
    recipe: Arc<Recipe>,
    seed: u64,
    shapes: Vec<u16>,
    next_node: u32,
    draws: Draws,
    next_task: u64,
    /// Flavours of batches, in the order in which they are first used.
    used: Vec<usize>,
    definitions_sent: u32,
    outages: BinaryHeap<Reverse<Outage>>,
    outage_chances: Vec<Chance>,
    /// A task that waits for its definition to be sent first.
    held: Option<Arrival>,
}

impl Generated {
    /// Calibrates the recipe for a seed.
    ///
    /// # Errors
    ///
    /// [`TraceError::Recipe`] if it cannot be followed.
    pub fn new(recipe: Recipe, seed: u64) -> Result<Self, TraceError> {
        recipe.check()?;
        let shapes = recipe.shape_of_nodes(seed);
        let mut capacity = [0u64; 2];
        for &row in &shapes {
            let shape = &recipe.node_shapes[usize::from(row)];
            capacity[0] += shape.cpu_milli;
            capacity[1] += shape.memory_mib;
        }
        let Calibrated { life_scale, left, used } = calibrate(&recipe, seed, capacity);
        let residents = ResidentStream {
            chance: Chance::new(seed, Purpose::Tasks, 0),
            flavours: Weighted::new(
                recipe.flavours.iter().map(|it| if it.gpus == 0 { it.weight } else { 0.0 }),
            ),
            left,
            capacity,
        };
        let batches = BatchStream::new(&recipe, seed, life_scale);
        let recipe = Arc::new(recipe);
        let draws = Draws {
            definitions: vec![None; recipe.flavours.len()],
            recipe: Arc::clone(&recipe),
            residents,
            residents_done: false,
            batches,
            current: None,
            group: 0,
            definition_count: 0,
        };
        let mut generated = Self {
            recipe,
            seed,
            shapes,
            next_node: 0,
            draws,
            next_task: 0,
            used,
            definitions_sent: 0,
            outages: BinaryHeap::new(),
            outage_chances: Vec::new(),
            held: None,
        };
        generated.plan_outages();
        Ok(generated)
    }

    /// Its tasks, and their definitions in the order in which they are first used.
    fn into_likeness(self) -> (Likeness, Vec<TaskDefinition>) {
        let recipe = &self.recipe;
        let mut residents = self.draws.residents.clone();
        let (mut order, mut seen) = (Vec::new(), vec![false; recipe.flavours.len()]);
        let mut tasks = recipe.tasks;
        let services = std::iter::from_fn(|| residents.next(recipe));
        let services = services.map(|(flavour, size)| {
            tasks += size;
            flavour
        });
        for flavour in services.chain(self.used.iter().copied()) {
            if !std::mem::replace(&mut seen[flavour], true) {
                order.push(recipe.flavours[flavour].definition());
            }
        }
        let tasks = usize::try_from(tasks).expect("fewer than 2^64 tasks");
        (Likeness { draws: self.draws, tasks, stats: OnceLock::new() }, order)
    }

    /// The factor by which all lives were shortened to leave residents their share; 1 if none.
    pub fn life_scale(&self) -> f64 {
        self.draws.batches.life_scale
    }

    fn plan_outages(&mut self) {
        let Some(outages) = &self.recipe.outages else { return };
        for node in 0..self.recipe.nodes {
            let mut chance = Chance::new(self.seed, Purpose::Nodes, 1 + u64::from(node));
            let at = Instant::ZERO + time_to_loss(outages, &mut chance);
            self.outage_chances.push(chance);
            if at.0 < self.recipe.span_s * 1_000_000 {
                self.outages.push(Reverse(Outage { at, node, is_loss: true }));
            }
        }
    }

    fn next_outage(&mut self) -> Option<(Instant, NodeId, NodeEvent)> {
        let Reverse(Outage { at, node, is_loss }) = self.outages.pop()?;
        let outages = self.recipe.outages.as_ref().expect("only a recipe with outages plans one");
        let chance = &mut self.outage_chances[node as usize];
        let length = if is_loss {
            Span::from_secs_f64(lognormal(chance, outages.repair_mu, outages.repair_sigma))
        } else {
            time_to_loss(outages, chance)
        };
        let then = at + length.max(Span(1));
        if then.0 < self.recipe.span_s * 1_000_000 {
            self.outages.push(Reverse(Outage { at: then, node, is_loss: !is_loss }));
        }
        let event = if is_loss { NodeEvent::Lost } else { NodeEvent::Returned };
        Some((at, NodeId(node), event))
    }

    fn next_arrival(&mut self) -> Option<Arrival> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        if self.next_node < self.recipe.nodes {
            let node = NodeId(self.next_node);
            let spec = self.recipe.node(self.next_node, &self.shapes);
            self.next_node += 1;
            let event = NodeEvent::Joined(Box::new(spec));
            return Some(Arrival { at: Instant::ZERO, what: What::Node { node, event } });
        }
        let next = self.draws.next_at();
        if let Some(Reverse(outage)) = self.outages.peek()
            && next.is_none_or(|it| outage.at <= it)
        {
            let (at, node, event) = self.next_outage()?;
            return Some(Arrival { at, what: What::Node { node, event } });
        }
        let row = self.draws.next()?;
        let submission = Submission {
            task: TaskId(self.next_task),
            definition: DefinitionId(row.definition),
            group: row.group.map(GroupId),
            kind: row.kind,
            priority: row.priority,
            estimate: row.estimate,
            on_loss: row.on_loss,
        };
        self.next_task += 1;
        let TaskRow { at, lifetime, withdrawn, .. } = row;
        let task = TaskArrival { submission, lifetime, withdrawn, resident: None };
        let arrival = Arrival { at, what: What::Task(task) };
        if row.definition < self.definitions_sent {
            return Some(arrival);
        }
        // The first of its flavour: its definition goes before.
        self.definitions_sent += 1;
        let of_flavour = |it: &Option<u32>| *it == Some(row.definition);
        let flavour = self.draws.definitions.iter().position(of_flavour)?;
        let spec = self.recipe.flavours[flavour].definition();
        self.held = Some(arrival);
        let definition = DefinitionId(row.definition);
        Some(Arrival { at, what: What::Definition { definition, spec } })
    }
}

impl ArrivalStream for Generated {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        Ok(self.next_arrival())
    }
}

fn time_to_loss(outages: &Outages, chance: &mut Chance) -> Span {
    let per_second = outages.per_node_day / 86_400.0;
    let gap = Exp::new(per_second).expect("the rate was checked to be above zero");
    Span::from_secs_f64(gap.sample(chance.rng()))
}

/// What the batches of a recipe left to be settled.
struct Calibrated {
    /// The factor on lives that leaves residents their least share.
    life_scale: f64,
    /// Cpu and memory that residents may ask for.
    left: [u64; 2],
    /// Flavours of batches, in the order in which they are first used.
    used: Vec<usize>,
}

fn calibrate(recipe: &Recipe, seed: u64, capacity: [u64; 2]) -> Calibrated {
    let of_capacity =
        |permille: u32| capacity.map(|it| (u128::from(it) * u128::from(permille) / 1000) as u64);
    let target = of_capacity(recipe.peak_load_permille);
    let most = of_capacity(recipe.peak_load_permille - recipe.residents_permille_min);
    let mut batches = BatchStream::new(recipe, seed, 1.0);
    // Peaks fall with lives, though not in proportion: a few steps do.
    let mut steps_left = 20;
    loop {
        let (peak, used) = batch_peak(recipe, batches.clone());
        let excess = peak.iter().zip(most).map(|(peak, most)| *peak as f64 / most as f64);
        let excess = excess.fold(0.0, f64::max);
        let life_scale = batches.life_scale;
        if excess <= 1.0 {
            let left = std::array::from_fn(|it| target[it] - peak[it]);
            return Calibrated { life_scale, left, used };
        }
        if steps_left == 0 {
            let left = std::array::from_fn(|it| target[it].saturating_sub(peak[it]));
            return Calibrated { life_scale, left, used };
        }
        steps_left -= 1;
        batches.life_scale /= (excess * 1.02).min(100.0);
    }
}

/// The most cpu and memory that batches ask for at any time, if every task ran from its arrival, and their flavours
/// in the order in which they are first used.
fn batch_peak(recipe: &Recipe, mut batches: BatchStream) -> ([u64; 2], Vec<usize>) {
    let asks: Vec<[u64; 2]> = recipe.flavours.iter().map(Flavour::calibrated).collect();
    let (mut used, mut seen) = (Vec::new(), vec![false; asks.len()]);
    let mut ends = Ends::new();
    let (mut sum, mut peak) = ([0u64; 2], [0u64; 2]);
    let mut batch: Option<Batch> = None;
    let drawn = std::iter::from_fn(|| {
        let is_over = batch.as_ref().is_none_or(|it| it.left == 0);
        if is_over {
            batch = batches.next(recipe);
        }
        let batch = batch.as_mut()?;
        batch.left -= 1;
        let life = batches.bare_life(recipe, batch);
        let end = life.map(|it| batch.at + it.0).into_iter().chain(batch.withdrawn).min();
        Some((batch.at, batch.flavour, end, is_over))
    });
    ahead::each(recipe.tasks, drawn, |&(at, flavour, end, is_first)| {
        // What ends as it comes is counted until the next batch.
        if is_first {
            ends.take_until(at, |flavour| {
                let ask = asks[flavour as usize];
                sum = std::array::from_fn(|it| sum[it] - ask[it]);
            });
            if !std::mem::replace(&mut seen[flavour], true) {
                used.push(flavour);
            }
        }
        if let Some(end) = end {
            ends.push(end.max(at), flavour as u32);
        }
        let ask = asks[flavour];
        sum = std::array::from_fn(|it| sum[it] + ask[it]);
        // Within a batch the sum only rises.
        peak = std::array::from_fn(|it| peak[it].max(sum[it]));
    });
    (peak, used)
}

/// Weight, cores in thousandths, memory in MiB; the mean asks for 3.75 GiB per core.
const FLAVOURS: [(f64, u64, u64); 14] = [
    (8.0, 250, 512),
    (12.0, 500, 1_024),
    (20.0, 1_000, 2_048),
    (14.0, 1_000, 4_096),
    (12.0, 2_000, 4_096),
    (10.0, 2_000, 8_192),
    (6.0, 4_000, 8_192),
    (7.0, 4_000, 16_384),
    (3.0, 4_000, 32_768),
    (2.0, 8_000, 16_384),
    (3.0, 8_000, 32_768),
    (1.5, 8_000, 65_536),
    (1.0, 16_000, 65_536),
    (0.5, 16_000, 131_072),
];

fn flavour(weight: f64, cpu_milli: u64, memory_mib: u64) -> Flavour {
    let name = format!("{}c-{}g", cpu_milli as f64 / 1e3, memory_mib as f64 / 1024.0);
    Flavour { name, weight, cpu_milli, memory_mib, disk_mib: 0, gpus: 0, gpu_milli: 0 }
}

fn node_shape(name: &str, weight: f64, cores: u64, memory_gib: u64) -> NodeShape {
    NodeShape {
        name: name.into(),
        weight,
        cpu_milli: cores * 1000,
        memory_mib: memory_gib << 10,
        disk_mib: 0,
        gpus: 0,
        gpu_model: String::new(),
    }
}

fn default_recipe() -> Recipe {
    Recipe {
        name: "default".into(),
        nodes: 1_200,
        zones: 3,
        nodes_per_rack: 20,
        racks_per_power: 5,
        node_shapes: vec![
            node_shape("general", 45.0, 64, 256),
            node_shape("compute", 30.0, 64, 128),
            node_shape("memory", 15.0, 64, 512),
            node_shape("small", 10.0, 16, 64),
        ],
        tasks: 110_000,
        span_s: 2 * 86_400,
        peak_load_permille: 870,
        residents_permille_min: 450,
        service_size_max: 60,
        service_size_alpha: 0.9,
        flavours: FLAVOURS
            .iter()
            .map(|&(weight, cpu, memory)| flavour(weight, cpu, memory))
            .collect(),
        gaps: Gaps { weibull_shape: 0.6, day_amplitude: 0.5, hour_spike: 4.0 },
        batches: Batches { single_share: 0.6, alpha: 1.2, max: 400, service_share: 0.03 },
        lives: Lives {
            job_mu: 6.9,
            job_sigma: 2.2,
            within_batch_sigma: 0.5,
            tail_share: 0.03,
            tail_alpha: 1.1,
            tail_min_s: 3_600.0,
            job_max_s: 14.0 * 86_400.0,
            service_mu: 8.98,
            service_sigma: 2.78,
            service_endless_share: 0.4,
        },
        service_priority: 9,
        job_priorities: vec![
            Band { priority: 0, weight: 45.0 },
            Band { priority: 4, weight: 50.0 },
            Band { priority: 9, weight: 5.0 },
        ],
        estimate_factor_max: 4.0,
        outages: None,
    }
}

fn small_recipe() -> Recipe {
    Recipe {
        name: "small".into(),
        nodes: 100,
        tasks: 5_000,
        span_s: 86_400,
        nodes_per_rack: 7,
        racks_per_power: 2,
        service_size_max: 20,
        batches: Batches { max: 60, ..default_recipe().batches },
        ..default_recipe()
    }
}

/// Machines of Google's 2011 cell at time 0: cpu and memory as shares of the largest, and how many.
const GOOGLE_SHAPES: [(f64, f64, f64); 10] = [
    (0.50, 0.4995, 6672.0),
    (0.50, 0.2493, 3835.0),
    (0.50, 0.749, 992.0),
    (1.0, 1.0, 788.0),
    (0.25, 0.2498, 123.0),
    (0.50, 0.1241, 54.0),
    (0.50, 0.03085, 5.0),
    (0.50, 0.9678, 4.0),
    (1.0, 0.5, 3.0),
    (0.50, 0.06158, 1.0),
];

/// The largest machine is taken to have this much.
const GOOGLE_LARGEST: (f64, f64) = (64_000.0, 262_144.0);

fn google_2011_like_recipe() -> Recipe {
    let node_shapes = GOOGLE_SHAPES
        .iter()
        .map(|&(cpu, memory, weight)| NodeShape {
            name: format!("{cpu}-{memory}"),
            weight,
            cpu_milli: (cpu * GOOGLE_LARGEST.0).round() as u64,
            memory_mib: (memory * GOOGLE_LARGEST.1).round() as u64,
            disk_mib: 0,
            gpus: 0,
            gpu_model: String::new(),
        })
        .collect();
    Recipe {
        name: "google-2011-like".into(),
        nodes: 12_500,
        zones: 3,
        nodes_per_rack: 40,
        racks_per_power: 10,
        node_shapes,
        flavours: google_flavours(),
        tasks: 800_000,
        span_s: 86_400,
        residents_permille_min: 550,
        service_size_max: 1_000,
        gaps: Gaps { weibull_shape: 0.4, day_amplitude: 0.3, hour_spike: 2.0 },
        batches: Batches { single_share: 0.63, alpha: 0.7, max: 2_000, service_share: 0.01 },
        lives: Lives { job_mu: 6.2, job_sigma: 1.9, ..default_recipe().lives },
        job_priorities: vec![
            Band { priority: 0, weight: 23.0 },
            Band { priority: 4, weight: 75.0 },
            Band { priority: 9, weight: 2.0 },
        ],
        outages: Some(Outages { per_node_day: 0.0247, repair_mu: 7.26, repair_sigma: 2.21 }),
        ..default_recipe()
    }
}

/// About 1,500 requests: 30 of cpu by 50 of memory, each drawn from the lognormal that its quantiles in
/// the trace fit, with the few values that most requests have made heavier.
fn google_flavours() -> Vec<Flavour> {
    const CPU_STEPS: i32 = 30;
    const MEMORY_STEPS: i32 = 50;
    // Steps in units of the deviation, from -2.2 to 2.4 of it.
    let step = |at: i32, of: i32| -2.2 + 4.6 * f64::from(at) / f64::from(of - 1);
    let density = |it: f64| (-0.5 * it * it).exp();
    let mut flavours = Vec::new();
    for cpu_step in 0..CPU_STEPS {
        let cpu_at = step(cpu_step, CPU_STEPS);
        let cpu = (0.025f64.ln() + 1.08 * cpu_at).exp().min(0.5);
        // Every eighth value is one that users choose by habit.
        let habit = if cpu_step % 8 == 6 { 6.0 } else { 1.0 };
        for memory_step in 0..MEMORY_STEPS {
            let memory_at = step(memory_step, MEMORY_STEPS);
            let memory = (0.0255f64.ln() + 0.83 * memory_at).exp();
            // Whole numbers, so that a recipe reads back from its text as it was.
            let weight = (habit * density(cpu_at) * density(memory_at) * 1e6).round();
            let cpu_milli = (cpu * GOOGLE_LARGEST.0 / 10.0).round().max(1.0) as u64 * 10;
            let memory_mib = (memory * GOOGLE_LARGEST.1).round() as u64;
            flavours.push(flavour(weight, cpu_milli, memory_mib));
        }
    }
    flavours
}
