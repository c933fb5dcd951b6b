//! What the collector keeps up to date piece by piece, here counted anew at every moment, by the definitions alone;
//! and random runs on which both must agree to the last digit.

use crate::average::share;
use crate::collector::{Collector, CollectorConfig};
use crate::group_zones::ONE;
use crate::run_report::RunReport;
use crate::scenario::drive;
use cluster::demand::Resource;
use cluster::event::{Change, TaskKind};
use cluster::ids::{GroupId, NodeId, ZoneId};
use cluster::nodes::{NodeStatus, Nodes};
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::{Instant, Span};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A number weighted by time.
#[derive(Default, Clone, Copy)]
struct TimeMean {
    sum: u128,
    weight: u128,
    last: u64,
    peak: u64,
}

impl TimeMean {
    fn hold(&mut self, value: u64, length: Span) {
        self.sum += u128::from(value) * u128::from(length.0);
        self.weight += u128::from(length.0);
        self.last = value;
        self.peak = self.peak.max(value);
    }

    fn mean(&self) -> f64 {
        if self.weight == 0 { self.last as f64 } else { self.sum as f64 / self.weight as f64 }
    }
}

/// A share weighted by time and whole.
#[derive(Default, Clone, Copy)]
struct TimeShare {
    part: u128,
    whole: u128,
    last: Option<f64>,
    peak: Option<f64>,
}

impl TimeShare {
    fn hold(&mut self, part: u64, whole: u64, length: Span) {
        self.part += u128::from(part) * u128::from(length.0);
        self.whole += u128::from(whole) * u128::from(length.0);
        self.last = share(part, whole);
        self.peak = self.peak.into_iter().chain(self.last).reduce(f64::max);
    }

    fn mean(&self) -> Option<f64> {
        if self.whole == 0 { self.last } else { Some(self.part as f64 / self.whole as f64) }
    }
}

#[derive(Default, Clone, Copy)]
struct Zone {
    nodes: TimeMean,
    tasks: TimeMean,
    allocated: [TimeShare; 4],
    utilised: [TimeShare; 4],
}

/// Groups of one population, weighted by time.
#[derive(Default)]
struct Groups {
    groups: u128,
    skew: u128,
    exposure: u128,
    last: (Option<f64>, Option<f64>),
    worst: (Option<u32>, Option<u64>),
}

#[derive(Default)]
struct Plain {
    started: Option<Instant>,
    now: Instant,
    zones: Vec<Zone>,
    allocated: [TimeShare; 4],
    utilised: [TimeShare; 4],
    used: TimeMean,
    any_service: bool,
    all: Groups,
    services: Groups,
    submitted: BTreeMap<usize, u64>,
    asked: [bool; 4],
    /// Fragmented, stranded, overfull, from each moment on.
    sampled: Vec<(Instant, Vec<Option<f64>>)>,
}

const GROUPS: u32 = 6;

impl Plain {
    fn hold(&mut self, state: &State, length: Span) {
        let nodes = state.nodes();
        let totals = nodes.totals();
        for it in 0..4 {
            self.allocated[it].hold(totals.held[it], totals.capacity[it], length);
            self.utilised[it].hold(totals.running[it], totals.capacity[it], length);
        }
        self.used.hold(u64::from(totals.nodes_in_use), length);
        self.zones.resize(nodes.zone_totals().len(), Zone::default());
        for (zone, now) in self.zones.iter_mut().zip(nodes.zone_totals()) {
            zone.nodes.hold(u64::from(now.nodes), length);
            zone.tasks.hold(now.tasks, length);
            for it in 0..4 {
                zone.allocated[it].hold(now.held[it], now.capacity[it], length);
                zone.utilised[it].hold(now.running[it], now.capacity[it], length);
            }
        }
        hold_groups(&mut self.all, state, length, false);
        hold_groups(&mut self.services, state, length, true);
        self.sampled.push((self.now, self.sample(state)));
    }

    fn sample(&self, state: &State) -> Vec<Option<f64>> {
        let nodes = state.nodes();
        let overfull = nodes.ids().filter(|&it| nodes.is_overfull(it)).count();
        let mut out = self.fragmented(state);
        out.extend(self.stranded(nodes));
        out.push(Some(overfull as f64));
        out
    }

    fn fragmented(&self, state: &State) -> Vec<Option<f64>> {
        let nodes = state.nodes();
        let mut usual: Vec<(Reverse<u64>, usize)> =
            self.submitted.iter().map(|(&row, &count)| (Reverse(count), row)).collect();
        usual.sort_unstable();
        usual.truncate(32);
        let (mut whole, mut unusable) = ([0u128; 4], [0u128; 4]);
        for &(Reverse(count), row) in &usual {
            let shape = state.shape(cluster::ids::ShapeId(row as u32));
            for node in nodes.ids().filter(|&it| nodes.status(it) == NodeStatus::Ready) {
                for (it, free) in free_of(nodes, node).into_iter().enumerate() {
                    whole[it] += u128::from(free) * u128::from(count);
                    if !nodes.fits(shape, node) {
                        unusable[it] += u128::from(free) * u128::from(count);
                    }
                }
            }
        }
        let share = |it: usize| (whole[it] > 0).then(|| unusable[it] as f64 / whole[it] as f64);
        (0..4).map(share).collect()
    }

    fn stranded(&self, nodes: &Nodes) -> Vec<Option<f64>> {
        let (mut offered_all, mut stranded_all) = ([0u128; 4], [0f64; 4]);
        for node in nodes.ids().filter(|&it| nodes.status(it) != NodeStatus::Lost) {
            let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.allocatable(it)[node.row()]);
            let offered = [cpu, memory, disk, nodes.gpu_capacity(node)];
            let free = free_of(nodes, node);
            let counts = |it: &usize| self.asked[*it] && offered[*it] > 0;
            let share = |it: usize| free[it] as f64 / offered[it] as f64;
            let smallest = (0..4).filter(counts).map(share).fold(1.0, f64::min);
            for it in (0..4).filter(counts) {
                offered_all[it] += u128::from(offered[it]);
                stranded_all[it] += (share(it) - smallest) * offered[it] as f64;
            }
        }
        let share = |it: usize| {
            let offered = offered_all[it];
            (offered > 0).then(|| stranded_all[it] / offered as f64)
        };
        (0..4).map(share).collect()
    }

    fn note(&mut self, change: &Change, state: &State) {
        let (Change::Queued { task }
        | Change::Placed { task, .. }
        | Change::Adopted { task, .. }
        | Change::Interrupted { task, .. }
        | Change::Ended { task, .. }) = change
        else {
            return;
        };
        let is_queued = matches!(change, Change::Queued { .. });
        let is_on_node =
            !matches!(change, Change::Queued { .. } | Change::Ended { node: None, .. });
        let shape = state.shape_of(task.definition);
        if is_queued && task.attempts == 0 {
            *self.submitted.entry(shape.row()).or_default() += 1;
        }
        if is_queued || matches!(change, Change::Adopted { .. }) {
            for (asked, amount) in self.asked.iter_mut().zip(state.shape(shape).totals()) {
                *asked |= amount > 0;
            }
        }
        self.any_service |= is_on_node && task.group.is_some() && task.kind == TaskKind::Service;
    }

    fn finish(mut self, end: Instant, state: &State, report: &RunReport) {
        let start = self.started.unwrap_or(end);
        self.advance(end, state);
        if end == start {
            self.hold(state, Span::ZERO);
        }
        self.sampled.push((end, self.sample(state)));
        for (it, resource) in Resource::ALL.into_iter().enumerate() {
            for (of, shares) in [("allocated", &self.allocated), ("utilised", &self.utilised)] {
                let name = format!("{resource}_{of}_share");
                assert_eq!(report.value(&name), shares[it].mean(), "{name}");
                let name = format!("{name}_peak");
                assert_eq!(report.value(&name), shares[it].peak, "{name}");
            }
        }
        assert_eq!(report.value("nodes_used_mean"), Some(self.used.mean()));
        assert_eq!(report.value("nodes_used_peak"), Some(self.used.peak as f64));
        assert_eq!(report.zones.len(), self.zones.len());
        for (row, zone) in report.zones.iter().zip(&self.zones) {
            assert_eq!(row.nodes_mean, zone.nodes.mean(), "{}", row.zone);
            assert_eq!(row.tasks_mean, zone.tasks.mean(), "{}", row.zone);
            assert_eq!(row.allocated_share, zone.allocated.map(|it| it.mean()), "{}", row.zone);
            assert_eq!(row.utilised_share, zone.utilised.map(|it| it.mean()), "{}", row.zone);
        }
        if state.nodes().zone_names().len() >= 2 {
            let it = if self.any_service { &self.services } else { &self.all };
            let mean = |sum: u128, one: u64, last: Option<f64>| match it.groups {
                0 => last,
                groups => Some(sum as f64 / one as f64 / groups as f64),
            };
            let skew = mean(it.skew, 1, it.last.0);
            assert_eq!(report.value("zone_skew_tasks_mean"), skew);
            assert_eq!(report.value("zone_skew_tasks_max"), it.worst.0.map(f64::from));
            let exposure = mean(it.exposure, ONE, it.last.1);
            assert_eq!(report.value("zone_exposure_share_mean"), exposure);
            let worst = it.worst.1.map(|it| it as f64 / ONE as f64);
            assert_eq!(report.value("zone_exposure_share_max"), worst);
        }
        let names = Resource::ALL.iter().map(|it| format!("{it}_fragmented_share"));
        let names = names.chain(Resource::ALL.iter().map(|it| format!("{it}_stranded_share")));
        for (column, name) in names.chain(["nodes_overfull".to_owned()]).enumerate() {
            for (at, value) in report.samples.series(&name) {
                let since = self.sampled.iter().rev().find(|it| it.0.0 <= at).expect("it began");
                assert_eq!(value, since.1[column], "{name} at {at}");
            }
        }
    }
}

fn free_of(nodes: &Nodes, node: NodeId) -> [u64; 4] {
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.free(it)[node.row()]);
    [cpu, memory, disk, nodes.gpu_free(node)]
}

/// Even groups are services here.
fn hold_groups(sums: &mut Groups, state: &State, length: Span, services_only: bool) {
    let totals = state.nodes().zone_totals();
    let (mut groups, mut skews, mut exposures) = (0u64, 0u64, 0u128);
    for id in (0..GROUPS).filter(|it| !services_only || it % 2 == 0).map(GroupId) {
        let Some(group) = state.group(id).filter(|it| it.placed() >= 2) else { continue };
        let there = |zone: usize| group.in_zone(ZoneId(zone as u16));
        let fullest = (0..totals.len()).map(there).max().unwrap_or(0);
        let live = (0..totals.len()).filter(|&it| totals[it].nodes > 0);
        let skew = fullest.saturating_sub(live.map(there).min().unwrap_or(u32::MAX));
        let exposure = u64::from(fullest) * ONE / u64::from(group.placed());
        groups += 1;
        skews += u64::from(skew);
        exposures += u128::from(exposure);
        sums.worst = (sums.worst.0.max(Some(skew)), sums.worst.1.max(Some(exposure)));
    }
    sums.groups += u128::from(groups) * u128::from(length.0);
    sums.skew += u128::from(skews) * u128::from(length.0);
    sums.exposure += exposures * u128::from(length.0);
    sums.last = match groups {
        0 => (None, None),
        _ => (share(skews, groups), Some(exposures as f64 / ONE as f64 / groups as f64)),
    };
}

impl Observer for Plain {
    fn advance(&mut self, to: Instant, state: &State) {
        if to > self.now && self.started.is_some() {
            self.hold(state, to.since(self.now));
        }
        self.now = self.now.max(to);
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        if !changes.is_empty() {
            self.started = self.started.or(Some(now));
        }
        for change in changes {
            self.note(change, state);
        }
    }
}

/// Shows one run to two observers.
struct Both<'a>(&'a mut Collector, &'a mut Plain);

impl Observer for Both<'_> {
    fn advance(&mut self, to: Instant, state: &State) {
        self.0.advance(to, state);
        self.1.advance(to, state);
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        self.0.observe(now, changes, state);
        self.1.observe(now, changes, state);
    }
}

const NODES: [&str; 4] = ["4/8", "8/4", "2/4/2", "6/6/1"];
const TASKS: [&str; 12] = [
    "1/1", "1/2", "2/1", "0.5/1", "3/2", "0.5/3", "0.25/1", "4/4", "1.5/2", "0.75/1", "1/1/0.5",
    "1/1/2",
];

/// A line of a script, given what there is so far; `None` if it would make no sense.
fn line(
    (kind, a, b, c): (u8, u8, u8, u8),
    plain_only: bool,
    nodes: &mut usize,
    tasks: &mut usize,
) -> Option<String> {
    let pick = |of: usize| (of > 0).then(|| usize::from(a) % of.max(1));
    let sizes = if plain_only { 10 } else { TASKS.len() };
    let size = TASKS[usize::from(b) % sizes];
    let group = u32::from(c) % (2 * GROUPS);
    let mut words = match group {
        it if it >= GROUPS => String::new(),
        it if it % 2 == 0 && !c.is_multiple_of(5) => format!(" g{it} service"),
        it => format!(" g{}", it | 1),
    };
    if a.is_multiple_of(3) {
        words += " end-on-loss";
    }
    Some(match kind {
        0..=2 if *nodes < 14 => {
            *nodes += 1;
            let of = if plain_only { 2 } else { NODES.len() };
            format!("node n{} z{} {}", *nodes - 1, b % 3, NODES[usize::from(a) % of])
        }
        0..=11 => {
            *tasks += 1;
            format!("submit {} {size}{words}", *tasks - 1)
        }
        12 => {
            let node = pick(*nodes)?;
            *tasks += 1;
            format!("adopt {} {size} n{node}{words}", *tasks - 1)
        }
        13..=15 => format!("start {}", pick(*tasks)?),
        16..=19 => format!("exit {} {}", pick(*tasks)?, b % 2),
        20 => format!("cancel {}", pick(*tasks)?),
        21 => format!("lose n{}", pick(*nodes)?),
        22 => format!("back n{}", pick(*nodes)?),
        23 => format!("drain n{}", pick(*nodes)?),
        _ => format!("update n{} {}", pick(*nodes)?, NODES[usize::from(b) % 2]),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_collector_counts_as_by_the_definitions(
        steps in prop::collection::vec((0..25u8, any::<u8>(), any::<u8>(), any::<u8>(), 0..8u64), 1..120),
        rules in 0..4u8,
        plain_only: bool,
        samples_max in prop::sample::select(vec![4, 16, 512]),
    ) {
        let mut script = String::new();
        if rules & 1 > 0 {
            script += "rules drop\n";
        }
        if rules & 2 > 0 {
            script += "rules autostart\n";
        }
        let (mut nodes, mut tasks, mut tenths) = (0, 0, 0);
        for (kind, a, b, c, later) in steps {
            // Often several things happen at one moment.
            tenths += later.saturating_sub(3);
            if let Some(line) = line((kind, a, b, c), plain_only, &mut nodes, &mut tasks) {
                script += &format!("{}.{} {line}\n", tenths / 10, tenths % 10);
            }
        }
        script += &format!("{} end", tenths / 10 + u64::from(tenths % 10 > 0));
        let config = CollectorConfig { samples_max, ..CollectorConfig::default() };
        let (mut collector, mut plain) = (Collector::new(config), Plain::default());
        let (end, state) = drive(&script, &mut Both(&mut collector, &mut plain));
        let report = collector.finish(end, &state);
        plain.finish(end, &state, &report);
    }
}
