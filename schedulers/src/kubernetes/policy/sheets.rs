//! The profile's choice by what is remembered: one sheet for each kind of task, with what filters and scores
//! said of each node.
//!
//! What they say of a node follows from what the task asks for and from that node, as long as nobody has rules
//! about other tasks, so it stands until the node changes. Spread by the defaults is added in each decision,
//! from counts that the mirror keeps. The choice is that of [`decide_among`](crate::kubernetes::cycle), node by
//! node and draw by draw; the tests hold the two together.

use super::columns::Columns;
use super::mirror::{Mirror, News};
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::filters::Prepared;
use crate::kubernetes::natural_log::ln;
use crate::kubernetes::node_terms::allows;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::{Filter, Profile, Release, Score, SpreadDefaults};
use crate::kubernetes::sampling::{enough, next_start};
use crate::kubernetes::scores::{MAX, balanced_allocation, node_resources_fit};
use cluster::id_map::IdMap;
use cluster::ids::{NodeId, ShapeId};
use cluster::nodes::Nodes;
use cluster::shape::Shape;

/// What is not known yet, what the ledger refuses, and what the profile's filters refuse. All else is the sum of
/// the scores that follow from the node.
const UNKNOWN: i32 = -1;
const REFUSED: i32 = -2;
const FILTERED: i32 = -3;

/// Room for 16 million remarks, a few bytes each; then all sheets are thrown away.
const REMARKS_MAX: usize = 1 << 24;

/// What filters and scores of nodes depend on: the shape, and requests and counted amounts of CPU, memory and
/// disk, since a container may ask for nothing or not say.
type Kind = (ShapeId, [[i64; 3]; 2]);

/// Whether sheets say all that this profile says of a task without rules about others.
pub(super) fn cover(profile: &Profile) -> bool {
    let filters = profile.filters.iter();
    let scores = profile.scores.iter();
    filters.copied().all(|it| {
        !matches!(it, Filter::PodTopologySpread | Filter::InterPodAffinity | Filter::NodeName)
    }) && scores.copied().all(|(it, _)| {
        use Score::{NodeResourcesBalancedAllocation, NodeResourcesFit, PodTopologySpread};
        matches!(it, NodeResourcesFit | NodeResourcesBalancedAllocation | PodTopologySpread)
    }) && profile.spread_defaults == SpreadDefaults::System
}

/// A task whose node is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) pod: &'a Pod,
    pub(super) shape: &'a Shape,
    pub(super) shape_id: ShapeId,
    /// Whom it is spread with, by its place in the mirror.
    pub(super) crowd: Option<u32>,
}

/// What was found, as in a [`Decision`](crate::kubernetes::cycle::Decision).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) best: Vec<usize>,
    pub(super) next_start: usize,
    /// If there is none: whether the ledger would take it somewhere, if that was found out.
    pub(super) fits_somewhere: Option<bool>,
}

#[derive(Debug, Default)]
struct Sheet {
    remarks: Vec<i32>,
    /// What it has heard of the mirror's news.
    heard: u64,
    membership: u64,
}

impl Sheet {
    fn catch_up(&mut self, news: &News, nodes: &Nodes) {
        let all = self.membership != nodes.membership();
        self.membership = nodes.membership();
        match news.since(self.heard).filter(|_| !all) {
            Some(rows) => rows.iter().for_each(|&row| self.remarks[row as usize] = UNKNOWN),
            None => {
                self.remarks.clear();
                self.remarks.resize(nodes.len(), UNKNOWN);
            }
        }
        self.heard = news.count();
    }
}

/// All sheets, and lists that are used again.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    sheets: Vec<Sheet>,
    by_kind: IdMap<Kind, usize>,
    passed: Vec<(u32, i32)>,
    spread: Spread,
    columns: Columns,
}

impl Sheets {
    /// The node for a task without rules about others. `None` if the filters settle it without looking at
    /// nodes.
    pub(super) fn decide(
        &mut self,
        profile: &Profile,
        mirror: &Mirror,
        nodes: &Nodes,
        wanted: Wanted<'_>,
        start: usize,
    ) -> Option<Found> {
        if let Some(found) = self.columns.decide(profile, mirror, nodes, wanted, start) {
            return Some(found);
        }
        let Wanted { pod, shape, crowd, .. } = wanted;
        let cluster = &mirror.cluster;
        let prepared = Prepared::new(profile, cluster, pod).ok().filter(Prepared::names_all)?;
        let sheet = self.sheet(wanted, mirror, nodes);
        let remarks = &mut self.sheets[sheet].remarks;
        self.passed.clear();
        let walk = cluster.walk();
        let (first, then) = walk.split_at(start.checked_rem(walk.len()).unwrap_or(0));
        let count = enough(walk.len() as i64, profile.percentage_of_nodes_to_score) as usize;
        let (mut looked, mut filtered) = (0, false);
        for &row in then.iter().chain(first) {
            if self.passed.len() == count {
                break;
            }
            looked += 1;
            if remarks[row] == UNKNOWN {
                remarks[row] = match nodes.fits(shape, NodeId(row as u32)) {
                    true => remark(profile, cluster, &prepared, pod, row),
                    false => REFUSED,
                };
            }
            match remarks[row] {
                FILTERED => filtered = true,
                REFUSED => {}
                sum => self.passed.push((row as u32, sum)),
            }
        }
        let crowd = crowd.filter(|_| self.passed.len() > 1);
        if let (Some(crowd), Some(weight)) = (crowd, spread_weight(profile)) {
            self.spread.add(profile.release, weight, mirror, crowd, pod, &mut self.passed);
        }
        let top = self.passed.iter().map(|it| it.1).max();
        let best = self.passed.iter().filter(|it| self.passed.len() == 1 || Some(it.1) == top);
        Some(Found {
            best: best.map(|it| it.0 as usize).collect(),
            next_start: next_start(start, looked, walk.len()),
            fits_somewhere: self.passed.is_empty().then_some(filtered),
        })
    }

    fn sheet(&mut self, wanted: Wanted<'_>, mirror: &Mirror, nodes: &Nodes) -> usize {
        let shape = &wanted.pod.shape;
        let (asks, counts) = (&shape.requests, &shape.counted);
        let kind = (
            wanted.shape_id,
            [asks, counts].map(|it| [it.cpu_milli, it.memory_bytes, it.ephemeral_bytes]),
        );
        if self.sheets.len() * nodes.len() > REMARKS_MAX {
            self.sheets.clear();
            self.by_kind = IdMap::default();
        }
        let next = self.sheets.len();
        let at = *self.by_kind.get_or_insert_with(kind, || next);
        if at == next {
            let heard = mirror.news.count();
            let remarks = vec![UNKNOWN; nodes.len()];
            self.sheets.push(Sheet { remarks, heard, membership: nodes.membership() });
        }
        self.sheets[at].catch_up(&mirror.news, nodes);
        at
    }
}

pub(super) fn spread_weight(profile: &Profile) -> Option<i64> {
    let spread = profile.scores.iter().find(|it| it.0 == Score::PodTopologySpread);
    spread.map(|it| it.1)
}

/// What the profile says of a node that the ledger allows.
fn remark(
    profile: &Profile,
    cluster: &Cluster,
    prepared: &Prepared<'_>,
    pod: &Pod,
    row: usize,
) -> i32 {
    let node = cluster.node(row);
    if prepared.check(node, node.used()).is_err() {
        return FILTERED;
    }
    let value = |score| match score {
        Score::NodeResourcesFit => node_resources_fit::value(profile, node, pod),
        Score::NodeResourcesBalancedAllocation => {
            balanced_allocation::value(profile, node, pod).unwrap_or(0)
        }
        _ => 0,
    };
    let sum: i64 = profile.scores.iter().map(|it| it.1 * value(it.0)).sum();
    i32::try_from(sum).expect("weights are a million at most")
}

/// Spread over hosts and zones by the system's defaults.
#[derive(Debug, Default)]
struct Spread {
    /// By row, how many of the crowd are there; all 0 between decisions.
    here: Vec<u32>,
    zones: Vec<Zone>,
    values: Vec<i64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Zone {
    /// How many of the crowd are in it.
    count: u32,
    /// Whether some node that passed is.
    is_candidate: bool,
    /// What its nodes have that run none of the crowd.
    value: i64,
}

impl Spread {
    /// Adds what [`pod_topology_spread`](crate::kubernetes::scores::pod_topology_spread) says of nodes that
    /// passed.
    fn add(
        &mut self,
        release: Release,
        weight: i64,
        mirror: &Mirror,
        crowd: u32,
        pod: &Pod,
        passed: &mut [(u32, i32)],
    ) {
        let crowd = mirror.crowd(crowd);
        let spec = pod.spec();
        let asks = !spec.node_selector.is_empty() || spec.node_affinity.required.is_some();
        self.here.resize(mirror.zones.len(), 0);
        self.zones.clear();
        self.zones.resize(mirror.zone_count(), Zone::default());
        for &(row, count) in crowd {
            self.here[row as usize] = count;
            let node = || mirror.cluster.node(row as usize);
            if !asks || allows(&spec.node_selector, &spec.node_affinity, node()) {
                self.zones[usize::from(mirror.zones[row as usize])].count += count;
            }
        }
        for &(row, _) in passed.iter() {
            self.zones[usize::from(mirror.zones[row as usize])].is_candidate = true;
        }
        let places = self.zones.iter().filter(|it| it.is_candidate).count();
        let [by_host, by_zone] = [passed.len(), places].map(|it| ln(it as u32 + 2));
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
        for (at, zone) in self.zones.iter_mut().enumerate() {
            zone.value = value(0, at, zone.count);
        }
        self.values.clear();
        let (mut low, mut high) = (i64::MAX, 0);
        for &(row, _) in passed.iter() {
            let (here, at) = (self.here[row as usize], usize::from(mirror.zones[row as usize]));
            let zone = &self.zones[at];
            let value = if here == 0 { zone.value } else { value(here, at, zone.count) };
            (low, high) = (low.min(value), high.max(value));
            self.values.push(value);
        }
        // Mirrored between the lowest and the highest.
        for ((_, sum), value) in passed.iter_mut().zip(&self.values) {
            let mirrored = if high == 0 { MAX } else { MAX * (high + low - value) / high };
            *sum += (weight * mirrored) as i32;
        }
        for &(row, _) in crowd {
            self.here[row as usize] = 0;
        }
    }
}
