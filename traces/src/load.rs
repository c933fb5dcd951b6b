//! Offered load: what tasks ask for over time if each ran from the moment it arrives.

use crate::card::Units;
use crate::stats::{Offered, TaskStats};
use crate::workload::Workload;
use cluster::demand::{Demand, Resource};
use cluster::event::NodeEvent;
use cluster::nodes::NodeCapacity;
use cluster::units::Instant;
use serde::Serialize;

/// The offered load of one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Which.
    pub resource: Resource,
    /// Most that is asked for at any time up to the horizon.
    pub peak: u64,
    /// When that is first so.
    pub peak_us: u64,
    /// What the nodes have together at that time; zero without nodes.
    pub capacity: u64,
    /// `peak` over `capacity`.
    pub peak_percent: Option<f64>,
    /// Time-weighted mean over the span from the first arrival to the horizon (without one, to the
    /// last arrival).
    pub mean: f64,
}

impl Load {
    pub(crate) fn text(&self, units: Units) -> String {
        let asked = units.amount(self.resource, self.peak);
        let at = self.peak_us as f64 / 1e6;
        match self.peak_percent {
            Some(percent) => format!(
                "{}: at most {asked} of {} ({percent:.1} %) at {at:.0} s",
                self.resource,
                units.amount(self.resource, self.capacity)
            ),
            None => format!("{}: at most {asked} at {at:.0} s", self.resource),
        }
    }
}

/// Cpu, memory, disk and summed GPU share, in the order of [`Resource::ALL`].
pub(crate) fn totals(demand: &Demand) -> [u64; 4] {
    let [cpu, memory, disk] = demand.amounts.array();
    [cpu, memory, disk, demand.gpus.total_milli()]
}

/// What a node adds, in the order of [`Resource::ALL`].
pub(crate) fn node_totals(capacity: &NodeCapacity) -> [u64; 4] {
    let [cpu, memory, disk] = capacity.amounts.array();
    [cpu, memory, disk, capacity.gpus.len() as u64 * 1000]
}

/// The peak and mean of each resource that any task asks for.
pub(crate) fn peaks(workload: &Workload, stats: &TaskStats, demands: &[Demand]) -> Vec<Load> {
    let is_asked = |row: usize| demands.iter().any(|it| totals(it)[row] > 0);
    Resource::ALL
        .into_iter()
        .zip(&stats.offered)
        .filter(|it| is_asked(it.0.row()))
        .map(|(resource, &Offered { peak, at, mean })| {
            let capacity = capacity_at(workload, at)[resource.row()];
            Load {
                resource,
                peak: u64::try_from(peak).unwrap_or(u64::MAX),
                peak_us: at.0,
                capacity,
                peak_percent: (capacity > 0).then(|| 100.0 * peak as f64 / capacity as f64),
                mean,
            }
        })
        .collect()
}

/// What the nodes that are not lost have together at a moment.
fn capacity_at(workload: &Workload, moment: Instant) -> [u64; 4] {
    let mut nodes: Vec<([u64; 4], bool)> = Vec::new();
    for (at, node, event) in workload.node_events() {
        // A node that joins later counts from then on, but ids are given in joining order.
        if at > moment {
            break;
        }
        match event {
            NodeEvent::Joined(spec) => nodes.push((node_totals(&spec.capacity), true)),
            NodeEvent::Lost => nodes[node.row()].1 = false,
            NodeEvent::Returned => nodes[node.row()].1 = true,
            NodeEvent::Draining => {}
            NodeEvent::Updated(capacity) => nodes[node.row()].0 = node_totals(capacity),
        }
    }
    nodes
        .iter()
        .filter(|it| it.1)
        .fold([0; 4], |sum, (amounts, _)| std::array::from_fn(|row| sum[row] + amounts[row]))
}
