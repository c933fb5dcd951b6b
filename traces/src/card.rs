//! The trace card: everything that is known, counted and assumed about a workload.

use crate::load::{self, Load};
pub use crate::quantiles::Quantiles;
use crate::requirement;
use crate::stats::TaskStats;
use crate::workload::Workload;
use cluster::constraint::Side;
use cluster::demand::{Demand, Resource, TaskDefinition};
use cluster::event::NodeEvent;
use cluster::nodes::{NodeCapacity, NodeSpec, Overcommit};
use cluster::units::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// How many refused rows a card lists one by one.
const REFUSED_LISTED: usize = 20;

/// How many shapes a card lists one by one.
const SHAPES_LISTED: usize = 10;

/// What is known about a workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Card {
    /// The path or built-in name it was read from.
    pub source: String,
    /// The format it was read as.
    pub format: String,
    /// What its numbers count.
    pub units: Units,
    /// Lines that hold data.
    pub rows_read: u64,
    /// Lines that were left out.
    pub refusals: Refusals,
    /// What the reader counted, in the order of the format's description.
    pub counts: Vec<Count>,
    /// What had to be assumed.
    pub assumptions: Vec<String>,
    /// How synthetic zones were made; `None` where the zones are the input's own.
    pub zones: Option<String>,
    /// Over-commit that the input's own placements need, in thousandths of cpu, memory, disk.
    pub suggested_overcommit: Option<[u32; 3]>,
    /// What was measured on tasks and nodes.
    pub measured: Measured,
}

/// What the numbers of a workload count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Units {
    /// Thousandths of a core, and bytes.
    #[default]
    Physical,
    /// Millionths of the largest node's cpu, and of its memory.
    MillionthsOfLargest,
    /// Plain sizes in thousandths, in the cpu column.
    Sizes,
}

impl Units {
    /// An amount for people.
    pub fn amount(self, resource: Resource, amount: u64) -> String {
        match (self, resource) {
            (_, Resource::Gpu) => format!("{} GPUs", thousandths(amount)),
            (Self::Sizes, _) => thousandths(amount),
            (Self::MillionthsOfLargest, _) => format!("{}", amount as f64 / 1e6),
            (Self::Physical, Resource::Cpu) => format!("{} cores", thousandths(amount)),
            (Self::Physical, Resource::Memory | Resource::Disk) => bytes(amount),
        }
    }

    /// A short name for what a task asks for.
    pub(crate) fn describe(self, demand: &Demand) -> String {
        let mut text = format!("cpu {}", self.amount(Resource::Cpu, demand.amounts.cpu.0));
        for (resource, amount) in
            [(Resource::Memory, demand.amounts.memory.0), (Resource::Disk, demand.amounts.disk.0)]
        {
            if amount > 0 {
                let _ = write!(text, ", {resource} {}", self.amount(resource, amount));
            }
        }
        if demand.gpus.count > 0 {
            let _ = write!(text, ", {} x {}/1000 gpu", demand.gpus.count, demand.gpus.milli.0);
            if !demand.gpus.models.is_empty() {
                let _ = write!(text, " of {}", demand.gpus.models.join("|"));
            }
        }
        for port in &demand.ports {
            let _ = write!(text, ", port {}", port.number);
        }
        for ask in &demand.requires {
            let _ = write!(text, ", {}", requirement::print(ask));
        }
        text
    }
}

/// `1500` as `1.5`.
fn thousandths(amount: u64) -> String {
    format!("{}", amount as f64 / 1e3)
}

fn bytes(amount: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if amount >> shift > 0 {
            return format!(
                "{} {unit}",
                (amount as f64 / (1u64 << shift) as f64 * 100.0).round() / 100.0
            );
        }
    }
    format!("{amount} B")
}

/// Something counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// Lines that were left out, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// How many, by reason.
    pub by_reason: BTreeMap<String, u64>,
    /// The first of them.
    pub first: Vec<Refused>,
}

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The file.
    pub path: String,
    /// Counts from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl Refusals {
    /// Counts a line that is left out.
    pub(crate) fn add(&mut self, path: &str, line: u64, reason: &str) {
        *self.by_reason.entry(reason.to_owned()).or_default() += 1;
        if self.first.len() < REFUSED_LISTED {
            self.first.push(Refused { path: path.into(), line, reason: reason.into() });
        }
    }

    /// How many lines were left out.
    pub fn count(&self) -> u64 {
        self.by_reason.values().sum()
    }
}

/// What many tasks or nodes have in common, and their share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShapeShare {
    /// Its name.
    pub shape: String,
    /// How many.
    pub count: u64,
    /// Of all, in percent.
    pub share_percent: f64,
}

/// What is measured on the tasks and nodes of a workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Tasks.
    pub tasks: u64,
    /// Tasks of services.
    pub service_tasks: u64,
    /// Groups that tasks name.
    pub groups: u64,
    /// Distinct definitions.
    pub definitions: u64,
    /// Distinct demands; definitions with one demand are one shape.
    pub shapes: u64,
    /// The most frequent shapes.
    pub top_shapes: Vec<ShapeShare>,
    /// Tasks that are on a node when the workload begins.
    pub residents: u64,
    /// Tasks whose end is not known: they run until they are withdrawn or the run ends.
    pub endless_tasks: u64,
    /// Tasks that their users take back at some time.
    pub withdrawn_tasks: u64,
    /// Tasks with a user's estimate.
    pub estimated_tasks: u64,
    /// Tasks by priority.
    pub priorities: BTreeMap<i32, u64>,
    /// First arrival.
    pub first_arrival_us: Option<u64>,
    /// Last arrival.
    pub last_arrival_us: Option<u64>,
    /// Where the read range ends.
    pub horizon_us: Option<u64>,
    /// Most tasks that arrive in one instant, residents not counted.
    pub burst_max: u64,
    /// Time from one arrival to the next, residents not counted.
    pub gap_us: Option<Quantiles>,
    /// Known lifetimes.
    pub lifetime_us: Option<Quantiles>,
    /// What tasks ask for, per resource that any asks for.
    pub requests: Vec<(Resource, Quantiles)>,
    /// Tasks that say something beyond amounts, by what it is.
    pub rules: BTreeMap<String, u64>,
    /// Nodes that ever join.
    pub nodes: u64,
    /// Nodes per zone.
    pub zone_nodes: BTreeMap<String, u64>,
    /// Nodes with taints.
    pub tainted_nodes: u64,
    /// Nodes with images that are there already.
    pub image_nodes: u64,
    /// Nodes by shape, as they join.
    pub node_shapes: Vec<ShapeShare>,
    /// Node events by kind.
    pub node_events: BTreeMap<String, u64>,
    /// What is asked for at the peak, per resource, if every task ran from its arrival.
    pub load: Vec<Load>,
}

impl Card {
    /// An empty card.
    pub fn new(source: impl Into<String>, format: impl Into<String>) -> Self {
        Self { source: source.into(), format: format.into(), ..Self::default() }
    }

    /// Adds to a count.
    pub(crate) fn count(&mut self, what: &str, count: u64) {
        match self.counts.iter_mut().find(|it| it.what == what) {
            Some(it) => it.count += count,
            None => self.counts.push(Count { what: what.into(), count }),
        }
    }

    /// Sets a count; one that is zero and was never above is not shown.
    pub(crate) fn set_count(&mut self, what: &str, count: u64) {
        match self.counts.iter_mut().find(|it| it.what == what) {
            Some(it) => it.count = count,
            None if count > 0 => self.counts.push(Count { what: what.into(), count }),
            None => {}
        }
    }

    /// A count by its words; zero if it was never counted.
    pub fn counted(&self, what: &str) -> u64 {
        self.counts.iter().find(|it| it.what == what).map_or(0, |it| it.count)
    }

    /// States an assumption, once.
    pub(crate) fn assume(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.assumptions.contains(&sentence) {
            self.assumptions.push(sentence);
        }
    }

    /// The over-commit to run with unless the user says otherwise.
    pub fn overcommit(&self) -> Overcommit {
        self.suggested_overcommit.map_or_else(Overcommit::default, Overcommit)
    }

    /// Measures tasks and nodes.
    pub(crate) fn measure(&mut self, workload: &Workload, demands: &[Demand], stats: &TaskStats) {
        let uses = &stats.uses;
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        for (definition, count) in workload.definitions().iter().zip(uses) {
            for kind in rule_kinds(definition) {
                *rules.entry(kind.to_owned()).or_default() += count;
            }
        }
        #[expect(clippy::mutable_key_type, reason = "patterns are ordered by what is written")]
        let mut by_shape: BTreeMap<&Demand, u64> = BTreeMap::new();
        for (demand, count) in demands.iter().zip(uses) {
            *by_shape.entry(demand).or_default() += count;
        }
        let shapes = by_shape.len() as u64;
        let micros = |it: Instant| it.0;
        self.measured = Measured {
            tasks: stats.tasks,
            service_tasks: stats.service_tasks,
            groups: stats.groups,
            definitions: demands.len() as u64,
            shapes,
            top_shapes: shares(
                by_shape.iter().map(|(demand, &count)| (self.units.describe(demand), count)),
                SHAPES_LISTED,
            ),
            residents: workload.resident_count(),
            endless_tasks: stats.endless,
            withdrawn_tasks: stats.withdrawn,
            estimated_tasks: stats.estimated,
            first_arrival_us: stats.first.map(micros),
            last_arrival_us: stats.last.map(micros),
            horizon_us: workload.horizon().map(micros),
            burst_max: stats.burst_max,
            gap_us: stats.gap_us,
            lifetime_us: stats.lifetime_us,
            rules,
            requests: requests(stats, demands),
            load: load::peaks(workload, stats, demands),
            priorities: stats.priorities.clone(),
            ..Measured::default()
        };
        self.measure_nodes(workload);
    }

    fn measure_nodes(&mut self, workload: &Workload) {
        let units = self.units;
        let measured = &mut self.measured;
        let (mut zones, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        for (_, node) in workload.nodes() {
            measured.nodes += 1;
            measured.tainted_nodes += u64::from(!node.taints.is_empty());
            measured.image_nodes += u64::from(!node.images.is_empty());
            let zone = if node.zone.is_empty() { cluster::nodes::NO_ZONE } else { &node.zone };
            *zones.entry(zone).or_insert(0) += 1;
            let NodeCapacity { amounts, gpus } = &node.capacity;
            kinds.entry((amounts, gpus.first(), gpus.len())).or_insert((0, node)).0 += 1;
        }
        measured.zone_nodes =
            zones.into_iter().map(|(zone, count)| (zone.to_owned(), count)).collect();
        // Kinds may differ in what is not said.
        let mut shapes: BTreeMap<String, u64> = BTreeMap::new();
        for (count, node) in kinds.into_values() {
            *shapes.entry(describe_node(units, node)).or_default() += count;
        }
        measured.node_shapes = shares(shapes.into_iter(), usize::MAX);
        let mut events: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, event) in workload.node_events() {
            let kind = match event {
                NodeEvent::Joined(_) => "joined",
                NodeEvent::Lost => "lost",
                NodeEvent::Returned => "returned",
                NodeEvent::Draining => "draining",
                NodeEvent::Updated(_) => "updated",
            };
            *events.entry(kind).or_insert(0) += 1;
        }
        measured.node_events =
            events.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    }
}

/// What a definition says beyond amounts and devices.
fn rule_kinds(it: &TaskDefinition) -> impl Iterator<Item = &'static str> {
    let rules = &it.constraints;
    let demand = it.demand();
    let has_side = |side| rules.affinity.iter().any(|it| it.side == side);
    let kinds = [
        ("several containers", it.containers.len() > 1),
        ("image", it.containers.iter().any(|it| !it.image.is_empty())),
        ("labels", !it.labels.is_empty()),
        ("host ports", !demand.ports.is_empty()),
        ("tests of attributes", !demand.requires.is_empty() || !demand.any_of.is_empty()),
        ("tolerations", !demand.tolerations.is_empty()),
        ("preferences", !rules.prefers.is_empty()),
        ("affinity", has_side(Side::Near)),
        ("anti-affinity", has_side(Side::Apart)),
        ("spread", !rules.spread.is_empty()),
        ("limits per domain", !rules.limits.is_empty()),
    ];
    kinds.into_iter().filter(|it| it.1).map(|it| it.0)
}

fn describe_node(units: Units, node: &NodeSpec) -> String {
    let amounts = node.capacity.amounts;
    let mut text = units.amount(Resource::Cpu, amounts.cpu.0);
    for (resource, amount) in
        [(Resource::Memory, amounts.memory.0), (Resource::Disk, amounts.disk.0)]
    {
        if amount > 0 {
            let _ = write!(text, ", {resource} {}", units.amount(resource, amount));
        }
    }
    let gpus = &node.capacity.gpus;
    if let Some(model) = gpus.first() {
        let _ = write!(text, ", {} x {model}", gpus.len());
    }
    text
}

/// The most frequent first; equals in the order given.
fn shares(counts: impl Iterator<Item = (String, u64)>, listed: usize) -> Vec<ShapeShare> {
    let mut counts: Vec<(String, u64)> = counts.collect();
    let total: u64 = counts.iter().map(|it| it.1).sum();
    counts.sort_by_key(|it| std::cmp::Reverse(it.1));
    counts.truncate(listed);
    let share = |count| 100.0 * count as f64 / total.max(1) as f64;
    counts
        .into_iter()
        .map(|(shape, count)| ShapeShare { shape, count, share_percent: share(count) })
        .collect()
}

fn requests(stats: &TaskStats, demands: &[Demand]) -> Vec<(Resource, Quantiles)> {
    let totals: Vec<[u64; 4]> = demands.iter().map(load::totals).collect();
    Resource::ALL
        .into_iter()
        .filter(|it| totals.iter().any(|total| total[it.row()] > 0))
        .filter_map(|resource| {
            let asks = totals.iter().map(|it| it[resource.row()]);
            Some((resource, Quantiles::of(asks.zip(stats.uses.iter().copied()))?))
        })
        .collect()
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn seconds(us: u64) -> String {
    let secs = us as f64 / 1e6;
    match secs {
        0.0 => "0 s".into(),
        ..1e-3 => format!("{us} us"),
        ..1.0 => format!("{:.3} s", secs),
        ..600.0 => format!("{:.1} s", secs),
        ..7200.0 => format!("{:.1} min", secs / 60.0),
        ..172_800.0 => format!("{:.1} h", secs / 3600.0),
        _ => format!("{:.1} d", secs / 86_400.0),
    }
}

/// An aligned text for people.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line =
            |f: &mut fmt::Formatter<'_>, name: &str, value: &str| writeln!(f, "{name:<14} {value}");
        let it = &self.measured;
        line(f, "source", &self.source)?;
        line(f, "format", &self.format)?;
        line(
            f,
            "units",
            match self.units {
                Units::Physical => "thousandths of a core, bytes",
                Units::MillionthsOfLargest => "millionths of the largest node's cpu and memory",
                Units::Sizes => "sizes in thousandths, as cpu",
            },
        )?;
        let refused = self.refusals.count();
        line(
            f,
            "rows",
            &format!("{} read, {} refused", grouped(self.rows_read), grouped(refused)),
        )?;
        for (reason, count) in &self.refusals.by_reason {
            line(f, "", &format!("{:>12}  {reason}", grouped(*count)))?;
        }
        for refused in &self.refusals.first {
            line(f, "", &format!("{}:{}: {}", refused.path, refused.line, refused.reason))?;
        }
        if refused > self.refusals.first.len() as u64 {
            line(f, "", "…")?;
        }
        line(
            f,
            "tasks",
            &format!(
                "{} ({} of services), {} groups, {} definitions, {} shapes",
                grouped(it.tasks),
                grouped(it.service_tasks),
                grouped(it.groups),
                grouped(it.definitions),
                grouped(it.shapes)
            ),
        )?;
        line(
            f,
            "",
            &format!(
                "{} resident at the start, {} without end, {} withdrawn, {} with estimates",
                grouped(it.residents),
                grouped(it.endless_tasks),
                grouped(it.withdrawn_tasks),
                grouped(it.estimated_tasks)
            ),
        )?;
        if it.priorities.len() > 1 {
            let bands: Vec<String> =
                it.priorities.iter().map(|(p, n)| format!("{p}: {}", grouped(*n))).collect();
            line(f, "priorities", &bands.join(", "))?;
        }
        if let (Some(first), Some(last)) = (it.first_arrival_us, it.last_arrival_us) {
            let end = it.horizon_us.map_or("none".into(), seconds);
            line(
                f,
                "arrivals",
                &format!("{} to {}, horizon {end}", seconds(first), seconds(last)),
            )?;
            line(f, "", &format!("at most {} in one instant", grouped(it.burst_max)))?;
        }
        if let Some(gaps) = &it.gap_us {
            line(f, "gaps", &quantile_text(gaps, seconds))?;
        }
        if let Some(lives) = &it.lifetime_us {
            line(f, "lifetimes", &quantile_text(lives, seconds))?;
        }
        for (resource, quantiles) in &it.requests {
            let text = quantile_text(quantiles, |amount| self.units.amount(*resource, amount));
            line(f, &format!("asks for {resource}"), &text)?;
        }
        for (at, shape) in it.top_shapes.iter().enumerate() {
            line(
                f,
                if at == 0 { "shapes" } else { "" },
                &format!("{:>5.1} %  {}", shape.share_percent, shape.shape),
            )?;
        }
        for (at, (kind, count)) in it.rules.iter().enumerate() {
            let text = format!("{:>7}  with {kind}", grouped(*count));
            line(f, if at == 0 { "rules" } else { "" }, &text)?;
        }
        let with = [(it.tainted_nodes, "taints"), (it.image_nodes, "images")];
        let with = with.iter().filter(|it| it.0 > 0);
        let with: String = with.map(|it| format!(", {} with {}", grouped(it.0), it.1)).collect();
        line(f, "nodes", &format!("{}{with}", grouped(it.nodes)))?;
        for shape in &it.node_shapes {
            line(f, "", &format!("{:>7}  {}", grouped(shape.count), shape.shape))?;
        }
        let zones: Vec<String> =
            it.zone_nodes.iter().map(|(zone, n)| format!("{zone}: {}", grouped(*n))).collect();
        match &self.zones {
            Some(how) => line(f, "zones", &format!("synthetic, {how}; {}", zones.join(", ")))?,
            None => line(f, "zones", &zones.join(", "))?,
        }
        let events: Vec<String> =
            it.node_events.iter().map(|(kind, n)| format!("{} {kind}", grouped(*n))).collect();
        if !events.is_empty() {
            line(f, "node events", &events.join(", "))?;
        }
        for (at, load) in it.load.iter().enumerate() {
            line(f, if at == 0 { "offered load" } else { "" }, &load.text(self.units))?;
        }
        if let Some([cpu, memory, disk]) = self.suggested_overcommit {
            let factor = |permille: u32| f64::from(permille) / 1e3;
            line(
                f,
                "over-commit",
                &format!(
                    "suggested: cpu {}, memory {}, disk {}",
                    factor(cpu),
                    factor(memory),
                    factor(disk)
                ),
            )?;
        }
        for (at, count) in self.counts.iter().enumerate() {
            line(
                f,
                if at == 0 { "counted" } else { "" },
                &format!("{:>12}  {}", grouped(count.count), count.what),
            )?;
        }
        for (at, sentence) in self.assumptions.iter().enumerate() {
            line(f, if at == 0 { "assumed" } else { "" }, sentence)?;
        }
        Ok(())
    }
}

fn quantile_text(it: &Quantiles, show: impl Fn(u64) -> String) -> String {
    format!(
        "p5 {}, p50 {}, p95 {}, p99 {}, max {}",
        show(it.p5),
        show(it.p50),
        show(it.p95),
        show(it.p99),
        show(it.max)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_refusals_are_listed_but_all_are_counted() {
        let mut refusals = Refusals::default();
        for line in 1..=50 {
            refusals.add("t", line, if line % 2 == 0 { "even" } else { "odd" });
        }
        assert_eq!((refusals.first.len(), refusals.count()), (20, 50));
        assert_eq!(refusals.by_reason["odd"], 25);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), want);
        }
    }
}
