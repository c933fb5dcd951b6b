//! The profile's choice for tasks that ask for CPU, memory and disk alone: scores computed anew for every
//! decision, from columns of numbers in the order of the walk, many nodes at a time.
//!
//! That is cheaper than remembering them where tasks come in many shapes. All is computed in doubles without
//! branches, and exactly as filters and scores have it:
//!
//! - Amounts are whole numbers of at most [`AMOUNT_MAX`], a hundred times as much below 2^53. A quotient
//!   of two such, at most 100, that is below a whole number is so by 2^-46 or more, and doubles stand closer
//!   than that below 128; so the whole part of the rounded quotient is that of the true one.
//! - Shares, and how far they are from each other, take the same steps in the same order.
//!
//! The tests hold the choices against the book.

use super::mirror::Mirror;
use super::sheets::{Found, Wanted, spread_weight};
use crate::kubernetes::natural_log::ln;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::{Filter, Profile, Release, Score, Strategy, Weighted};
use crate::kubernetes::sampling::{enough, next_start};
use crate::kubernetes::scores::MAX;
use cluster::demand::Resource;
use cluster::nodes::Nodes;
use cluster::shape::Shape;

/// The largest amount for which quotients are exact; beyond, sheets decide.
const AMOUNT_MAX: i64 = 1 << 46;
/// What stands for a resource that a node does not offer, so that nothing comes of it: no amount shows beside it.
const ABSENT: f64 = (1u64 << 60) as f64;
/// The total of a node that did not pass.
const OUT: f64 = f64::NEG_INFINITY;
/// How many nodes are looked at before those that passed are counted.
const BLOCK: usize = 64;

/// Whether ledger and filters ask of a node that is ready for free amounts of CPU, memory and disk alone, and a
/// place for one more.
pub(super) fn asks_amounts_alone(
    profile: &Profile,
    nodes: &Nodes,
    pod: &Pod,
    shape: &Shape,
) -> bool {
    let (spec, asked) = (pod.spec(), &pod.shape.requests);
    let amounts = [asked.cpu_milli, asked.memory_bytes, asked.ephemeral_bytes];
    let has = |it| profile.filters.contains(&it);
    let is_known = |it: &Filter| match it {
        Filter::NodeUnschedulable | Filter::NodeAffinity | Filter::NodeResourcesFit => true,
        Filter::NodePorts => spec.host_ports.is_empty(),
        _ => false,
    };
    nodes.is_plain(shape)
        && profile.filters.iter().all(is_known)
        && has(Filter::NodeUnschedulable)
        && has(Filter::NodeResourcesFit)
        && profile.added_affinity.required.is_none()
        && spec.node_selector.is_empty()
        && spec.node_affinity.required.is_none()
        && asked.extended.is_empty()
        && std::iter::zip(amounts, shape.amounts).all(|(a, b)| a as u64 == b)
        && amounts.iter().all(|it| (0..=AMOUNT_MAX).contains(it))
}

/// What a task asks of the columns. Pairs are CPU and memory.
#[derive(Debug, Clone, Copy)]
struct Asks {
    requests: [f64; 3],
    counted: [f64; 2],
    /// By what is requested, and by balance.
    weights: [f64; 2],
    most: bool,
}

impl Asks {
    /// `None` if columns do not say all about the task.
    fn of(profile: &Profile, nodes: &Nodes, wanted: Wanted<'_>) -> Option<Self> {
        let shape = &wanted.pod.shape;
        let most = match profile.strategy {
            Strategy::LeastAllocated => false,
            Strategy::MostAllocated => true,
            Strategy::RequestedToCapacityRatio(_) => return None,
        };
        let counts = |it: &[Weighted]| {
            use crate::kubernetes::resources::Resource::{Cpu, Memory};
            let resources = it.iter().map(|it| (&it.resource, it.weight));
            resources.eq([(&Cpu, 1), (&Memory, 1)])
        };
        let (asked, counted) = (&shape.requests, &shape.counted);
        let amounts = [asked.cpu_milli, asked.memory_bytes, asked.ephemeral_bytes];
        let is_known = asks_amounts_alone(profile, nodes, wanted.pod, wanted.shape)
            && counts(&profile.strategy_resources)
            && counts(&profile.balanced_resources)
            && counted.cpu_milli.max(counted.memory_bytes) <= AMOUNT_MAX;
        if !is_known {
            return None;
        }
        let weight = |score| {
            let found = profile.scores.iter().find(|it| it.0 == score);
            found.map_or(0.0, |it| it.1 as f64)
        };
        let balances = amounts[0] != 0 || amounts[1] != 0 || profile.release == Release::V1_23;
        let by_balance = weight(Score::NodeResourcesBalancedAllocation);
        Some(Self {
            requests: amounts.map(|it| it as f64),
            counted: [counted.cpu_milli, counted.memory_bytes].map(|it| it as f64),
            weights: [weight(Score::NodeResourcesFit), if balances { by_balance } else { 0.0 }],
            most,
        })
    }
}

/// The columns, by place in the walk. Pairs are CPU and memory.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// What it has heard of the mirror's news.
    heard: u64,
    membership: Option<u64>,
    /// The place of each row.
    places: Vec<u32>,
    zones: Vec<u16>,
    /// How many nodes each zone has.
    zone_sizes: Vec<u32>,
    /// What ledger and filters leave; less than nothing of CPU where a node takes nobody.
    free: [Vec<f64>; 3],
    counted: [Vec<f64>; 2],
    requested: [Vec<f64>; 2],
    offered: [Vec<f64>; 2],
    /// One half where the node offers both, else 0.
    half: Vec<f64>,
    /// Some amount is above [`AMOUNT_MAX`].
    has_large: bool,
    /// Of the nodes looked at, in order.
    totals: Vec<f64>,
    spread: Spread,
}

impl Columns {
    /// The choice, as [`Sheets::decide`](super::sheets::Sheets::decide) makes it; `None` if that has to make it.
    pub(super) fn decide(
        &mut self,
        profile: &Profile,
        mirror: &Mirror,
        nodes: &Nodes,
        wanted: Wanted<'_>,
        start: usize,
    ) -> Option<Found> {
        let asks = Asks::of(profile, nodes, wanted)?;
        self.catch_up(asks.most, mirror, nodes);
        let walk = mirror.cluster.walk();
        if self.has_large || walk.is_empty() {
            return None;
        }
        let from = start % walk.len();
        let count = enough(walk.len() as i64, profile.percentage_of_nodes_to_score) as usize;
        let weight = spread_weight(profile).map(|it| it as f64);
        let crowd = wanted.crowd.zip(weight);
        let crowd = crowd.map(|(it, weight)| (mirror.crowd(it), weight));
        let (looked, passed, best) = self.choose(&asks, from, count, profile.release, crowd);
        let row = |at: u32| walk[(from + at as usize) % walk.len()];
        let fits_somewhere = || {
            // None passed, so all were looked at: whatever the ledger allows was filtered.
            let fitting = nodes.fitting(wanted.shape);
            (0..nodes.len().div_ceil(64)).any(|it| fitting.word(it) != 0)
        };
        Some(Found {
            best: best.into_iter().map(row).collect(),
            next_start: next_start(start, looked, walk.len()),
            fits_somewhere: (passed == 0).then(fits_somewhere),
        })
    }

    fn catch_up(&mut self, most: bool, mirror: &Mirror, nodes: &Nodes) {
        let is_same = self.membership == Some(nodes.membership());
        match mirror.news.since(self.heard).filter(|_| is_same) {
            Some(rows) => rows.iter().for_each(|&row| self.set(row as usize, most, mirror, nodes)),
            None => self.make(most, mirror, nodes),
        }
        self.membership = Some(nodes.membership());
        self.heard = mirror.news.count();
    }

    fn make(&mut self, most: bool, mirror: &Mirror, nodes: &Nodes) {
        let walk = mirror.cluster.walk();
        self.has_large = false;
        self.places.clear();
        self.places.resize(walk.len(), 0);
        self.zones.clear();
        self.zone_sizes.clear();
        self.zone_sizes.resize(mirror.zone_count(), 0);
        for (place, &row) in walk.iter().enumerate() {
            self.places[row] = place as u32;
            self.zones.push(mirror.zones[row]);
            self.zone_sizes[usize::from(mirror.zones[row])] += 1;
        }
        let pairs = [&mut self.counted, &mut self.requested, &mut self.offered];
        let columns = pairs.into_iter().flatten().chain(&mut self.free);
        columns.chain([&mut self.half, &mut self.totals]).for_each(|it| it.resize(walk.len(), 0.0));
        walk.iter().for_each(|&row| self.set(row, most, mirror, nodes));
    }

    fn set(&mut self, row: usize, most: bool, mirror: &Mirror, nodes: &Nodes) {
        let (node, place) = (mirror.cluster.node(row), self.places[row] as usize);
        let (used, offered) = (node.used(), &node.allocatable);
        let offered = [offered.cpu_milli, offered.memory_bytes, offered.ephemeral_bytes];
        let requested = &used.requested;
        let requested = [requested.cpu_milli, requested.memory_bytes, requested.ephemeral_bytes];
        let counted = [used.counted.cpu_milli, used.counted.memory_bytes];
        let mut amounts = offered.iter().chain(&requested).chain(&counted);
        self.has_large |= amounts.any(|it| *it > AMOUNT_MAX);
        for (it, resource) in Resource::SCALARS.into_iter().enumerate() {
            let free = (offered[it] - requested[it]).max(0) as f64;
            self.free[it][place] = free.min(nodes.free(resource)[row] as f64);
        }
        let is_ready = nodes.ready()[row] && !node.unschedulable;
        if !is_ready || used.pods + 1 > node.pods_max {
            self.free[0][place] = -1.0;
        }
        for it in 0..2 {
            let is_absent = offered[it] == 0;
            let used_up = if most { 0.0 } else { ABSENT };
            self.offered[it][place] = if is_absent { ABSENT } else { offered[it] as f64 };
            self.counted[it][place] = if is_absent { used_up } else { counted[it] as f64 };
            self.requested[it][place] = requested[it] as f64;
        }
        self.half[place] = if offered[0] != 0 && offered[1] != 0 { 0.5 } else { 0.0 };
    }

    /// Looks at nodes from a place of the walk on until so many have passed. How many were looked at, how many
    /// passed, and the best of those by where they stand among them all.
    fn choose(
        &mut self,
        asks: &Asks,
        from: usize,
        enough: usize,
        release: Release,
        crowd: Option<(&[(u32, u32)], f64)>,
    ) -> (usize, usize, Vec<u32>) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "the processor was asked whether it has AVX2")]
            return unsafe { self.choose_avx2(asks, from, enough, release, crowd) };
        }
        self.choose_plain(asks, from, enough, release, crowd)
    }

    /// The same, compiled for wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn choose_avx2(
        &mut self,
        asks: &Asks,
        from: usize,
        enough: usize,
        release: Release,
        crowd: Option<(&[(u32, u32)], f64)>,
    ) -> (usize, usize, Vec<u32>) {
        self.choose_plain(asks, from, enough, release, crowd)
    }

    #[inline(always)]
    fn choose_plain(
        &mut self,
        asks: &Asks,
        from: usize,
        enough: usize,
        release: Release,
        crowd: Option<(&[(u32, u32)], f64)>,
    ) -> (usize, usize, Vec<u32>) {
        let (looked, passed) = self.look(asks, from, enough);
        if let Some((crowd, weight)) = crowd.filter(|_| passed > 1) {
            self.spread(release, weight, crowd, from, looked, passed);
        }
        (looked, passed, best(&self.totals[..looked]))
    }

    /// Scores nodes until so many have passed.
    #[inline(always)]
    fn look(&mut self, asks: &Asks, from: usize, enough: usize) -> (usize, usize) {
        let nodes = self.places.len();
        let mut totals = std::mem::take(&mut self.totals);
        let (mut looked, mut passed) = (0, 0);
        while looked < nodes && passed < enough {
            let at = if from + looked < nodes { from + looked } else { from + looked - nodes };
            let length = BLOCK.min(nodes - at).min(nodes - looked);
            passed += self.score(asks, at, &mut totals[looked..looked + length]);
            looked += length;
        }
        // The last that was needed is the last that is looked at.
        while passed > enough || passed == enough && totals[looked - 1] == OUT {
            looked -= 1;
            passed -= usize::from(totals[looked] != OUT);
        }
        self.totals = totals;
        (looked, passed)
    }

    /// The totals of nodes from a place on, without spread. How many of them passed.
    #[inline(always)]
    fn score(&self, asks: &Asks, at: usize, totals: &mut [f64]) -> usize {
        if asks.most {
            self.score_as::<true>(asks, at, totals);
        } else {
            self.score_as::<false>(asks, at, totals);
        }
        if asks.requests[2] > 0.0 {
            let free = &self.free[2][at..at + totals.len()];
            for i in 0..totals.len() {
                totals[i] = if asks.requests[2] <= free[i] { totals[i] } else { OUT };
            }
        }
        let mut passed = 0u64;
        for it in &*totals {
            passed += u64::from(*it != OUT);
        }
        passed as usize
    }

    #[inline(always)]
    fn score_as<const MOST: bool>(&self, asks: &Asks, at: usize, totals: &mut [f64]) {
        let length = totals.len();
        let (free_0, free_1) = (&self.free[0][at..at + length], &self.free[1][at..at + length]);
        let [counted_0, counted_1] = &self.counted;
        let (counted_0, counted_1) = (&counted_0[at..at + length], &counted_1[at..at + length]);
        let [requested_0, requested_1] = &self.requested;
        let (requested_0, requested_1) =
            (&requested_0[at..at + length], &requested_1[at..at + length]);
        let [offered_0, offered_1] = &self.offered;
        let (offered_0, offered_1) = (&offered_0[at..at + length], &offered_1[at..at + length]);
        let half = &self.half[at..at + length];
        let hundred = MAX as f64;
        for i in 0..length {
            let by_request = |counted: f64, asked: f64, offered: f64| {
                let taken = counted + asked;
                let part = match MOST {
                    true => {
                        if taken < offered {
                            taken
                        } else {
                            offered
                        }
                    }
                    false => {
                        let left = offered - taken;
                        if left > 0.0 { left } else { 0.0 }
                    }
                };
                whole(part * hundred / offered)
            };
            let share = |requested: f64, asked: f64, offered: f64| {
                let share = (requested + asked) / offered;
                if share < 1.0 { share } else { 1.0 }
            };
            let cpu = by_request(counted_0[i], asks.counted[0], offered_0[i]);
            let memory = by_request(counted_1[i], asks.counted[1], offered_1[i]);
            let fit = whole((cpu + memory) * (1.0 - half[i]));
            let apart = share(requested_0[i], asks.requests[0], offered_0[i])
                - share(requested_1[i], asks.requests[1], offered_1[i]);
            let balance = whole((1.0 - apart.abs() * half[i]) * hundred);
            let total = fit * asks.weights[0] + balance * asks.weights[1];
            let fits = (asks.requests[0] <= free_0[i]) & (asks.requests[1] <= free_1[i]);
            totals[i] = if fits { total } else { OUT };
        }
    }

    /// Adds what the spread of a crowd says of those that passed, as the sheets' does.
    #[inline(always)]
    fn spread(
        &mut self,
        release: Release,
        weight: f64,
        crowd: &[(u32, u32)],
        from: usize,
        looked: usize,
        passed: usize,
    ) {
        let (nodes, spread) = (self.places.len(), &mut self.spread);
        let totals = &mut self.totals[..looked];
        let place_of = |it: usize| if from + it < nodes { from + it } else { from + it - nodes };
        spread.near.clear();
        spread.zones.clear();
        spread.zones.resize(self.zone_sizes.len(), Zone::default());
        for &(row, count) in crowd {
            let place = self.places[row as usize] as usize;
            let zone = &mut spread.zones[usize::from(self.zones[place])];
            zone.count += count;
            let at = if place < from { place + nodes - from } else { place - from };
            if at < looked && totals[at] != OUT {
                zone.near += 1;
                spread.near.push(Near { at, count, total: totals[at] });
            }
        }
        // Whether a zone has nodes that passed, and some of them none of the crowd, the first few tell.
        let is_open = |it: &Zone, size: u32| it.passed <= it.near && it.passed < size;
        let mut open: usize = std::iter::zip(&spread.zones, &self.zone_sizes)
            .filter(|it| is_open(it.0, *it.1))
            .count();
        for (at, total) in totals.iter().enumerate() {
            if open == 0 {
                break;
            }
            if *total != OUT {
                let zone = usize::from(self.zones[place_of(at)]);
                let size = self.zone_sizes[zone];
                let zone = &mut spread.zones[zone];
                let was_open = is_open(zone, size);
                zone.passed += 1;
                open -= usize::from(was_open && !is_open(zone, size));
            }
        }
        let places = spread.zones.iter().filter(|it| it.passed > 0).count();
        let [by_host, by_zone] = [passed, places].map(|it| ln(it as u32 + 2));
        let value = |here: u32, zone: usize, in_zone: u32| {
            let mut sum = f64::from(here) * by_host + 2.0;
            // A node without a zone has no term for it.
            if zone > 0 {
                sum += f64::from(in_zone) * by_zone + 4.0;
            }
            match release {
                Release::V1_23 => sum as i64,
                Release::V1_35 => sum.round() as i64,
            }
        };
        let (mut low, mut high) = (i64::MAX, 0);
        let mut note = |value: i64| (low, high) = (low.min(value), high.max(value));
        for (at, zone) in spread.zones.iter_mut().enumerate() {
            zone.value = value(0, at, zone.count);
            if zone.passed > zone.near {
                note(zone.value);
            }
        }
        let near_value = |it: &Near, zones: &[Zone]| {
            let zone = usize::from(self.zones[place_of(it.at)]);
            value(it.count, zone, zones[zone].count)
        };
        spread.near.iter().for_each(|it| note(near_value(it, &spread.zones)));
        // Mirrored between the lowest and the highest.
        let score = |value: i64| {
            let mirrored = if high == 0 { MAX } else { MAX * (high + low - value) / high };
            weight * mirrored as f64
        };
        spread.scores.clear();
        spread.scores.extend(spread.zones.iter().map(|it| score(it.value)));
        let (first, then) = totals.split_at_mut(looked.min(nodes - from));
        for (totals, zones) in [(first, &self.zones[from..]), (then, &self.zones[..])] {
            for (total, zone) in totals.iter_mut().zip(zones) {
                *total += spread.scores[usize::from(*zone)];
            }
        }
        for it in &spread.near {
            totals[it.at] = it.total + score(near_value(it, &spread.zones));
        }
    }
}

/// What spreading a crowd takes.
#[derive(Debug, Default)]
struct Spread {
    zones: Vec<Zone>,
    /// What nodes of a zone get that run none of the crowd.
    scores: Vec<f64>,
    near: Vec<Near>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Zone {
    /// How many of the crowd are in it.
    count: u32,
    /// How many nodes that passed run some of them.
    near: u32,
    /// How many nodes have passed, as far as they were counted.
    passed: u32,
    /// What its nodes have that run none of the crowd.
    value: i64,
}

/// A node that passed and runs some of the crowd.
#[derive(Debug, Clone, Copy)]
struct Near {
    at: usize,
    count: u32,
    /// Without spread.
    total: f64,
}

/// The whole part of a number from 0 to 2^51.
#[inline(always)]
fn whole(it: f64) -> f64 {
    const UNIT: f64 = (1u64 << 52) as f64;
    let nearest = (it + UNIT) - UNIT;
    if nearest > it { nearest - 1.0 } else { nearest }
}

/// Where the highest total stands, of those that passed.
#[inline(always)]
fn best(totals: &[f64]) -> Vec<u32> {
    let mut lanes = [OUT; 8];
    let (eights, rest) = totals.as_chunks::<8>();
    for eight in eights {
        for lane in 0..8 {
            lanes[lane] = if eight[lane] > lanes[lane] { eight[lane] } else { lanes[lane] };
        }
    }
    let mut top = OUT;
    for &it in lanes.iter().chain(rest) {
        top = if it > top { it } else { top };
    }
    let mut best = Vec::new();
    if top == OUT {
        return best;
    }
    for (at, eight) in eights.iter().enumerate() {
        let mut has = false;
        for it in eight {
            has |= *it == top;
        }
        if has {
            best.extend((0..8).filter(|&it| eight[it] == top).map(|it| (8 * at + it) as u32));
        }
    }
    let rest = rest.iter().zip(8 * eights.len()..);
    best.extend(rest.filter(|it| *it.0 == top).map(|it| it.1 as u32));
    best
}
