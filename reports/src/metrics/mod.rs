//! What is measured: one file a metric, and one list.
//!
//! To add one: write `metrics/x.rs` with an `ENTRY`, and add the two lines `mod x;` and `x::ENTRY`
//! below. Every table, export and page follows from the list.
//!
//! A metric sees the run once, as it happens. What it keeps may grow with the tasks that are alive and
//! with nodes, groups and shapes, never with tasks that have ended.

mod allocation;
mod capacity_shares;
mod fragmentation;
mod makespan;
mod nodes_used;
mod overfull;
mod slowdown;
mod start_latency;
mod stranded;
mod tasks;
mod utilisation;
mod wait;
mod zone_balance;
mod zone_exposure;
mod zone_outage;

use crate::column::{Card, Column};
use crate::group_zones::GroupZones;
use crate::run_report::EcdfPoint;
use cluster::event::Change;
use cluster::nodes::Totals;
use cluster::state::State;
use cluster::units::{Instant, Span};

/// All metrics; their columns appear in this order.
pub const ALL: &[Entry] = &[
    wait::ENTRY,
    start_latency::ENTRY,
    slowdown::ENTRY,
    makespan::ENTRY,
    tasks::ENTRY,
    allocation::ENTRY,
    utilisation::ENTRY,
    fragmentation::ENTRY,
    stranded::ENTRY,
    nodes_used::ENTRY,
    overfull::ENTRY,
    zone_balance::ENTRY,
    zone_exposure::ENTRY,
    zone_outage::ENTRY,
];

/// A metric in the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it is.
    pub card: &'static Card,
    /// One number per run each.
    pub columns: fn() -> Vec<Column>,
    /// One number per sample each.
    pub sample_columns: fn() -> Vec<Column>,
    /// A fresh one.
    pub build: fn() -> Box<dyn Metric>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// When.
    pub now: Instant,
    /// The cluster.
    pub state: &'a State,
    /// Sums over all nodes. Not kept up within an instant: read it in `advance`, `sample`, `finish`.
    pub totals: Totals,
    /// Groups over zones, as of the last time that time moved on.
    pub groups: &'a GroupZones,
}

/// One metric, while the run happens.
pub trait Metric: Send {
    /// The cluster was as in `at` for `length`, which is more than nothing unless the whole run took
    /// no time: then each metric is shown the last moment once, with a length of zero.
    fn advance(&mut self, _at: &Moment<'_>, _length: Span) {}

    /// These changes happened, in this order; the state is that after the last.
    fn observe(&mut self, _at: &Moment<'_>, _changes: &[Change]) {}

    /// Appends one value per sample column.
    fn sample(&mut self, _at: &Moment<'_>, _out: &mut Vec<Option<f64>>) {}

    /// Appends one value per column. `sampled` has this metric's sample columns.
    fn finish(&mut self, at: &Moment<'_>, sampled: &[Sampled], out: &mut Vec<Option<f64>>);

    /// The cumulative distribution of waits, from the one metric that has it.
    fn wait_ecdf(&self) -> Option<Vec<EcdfPoint>> {
        None
    }
}

/// A sample column over the whole run: each sample stands for the time until the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampled {
    sum: f64,
    weight: f64,
    held: Option<(Instant, f64)>,
    peak: Option<f64>,
}

impl Sampled {
    /// A sample was taken; `None` stands for nothing, and nothing is averaged until the next.
    pub fn push(&mut self, now: Instant, value: Option<f64>) {
        self.close(now);
        self.held = value.map(|it| (now, it));
        if let Some(value) = value {
            self.peak = Some(self.peak.map_or(value, |it| it.max(value)));
        }
    }

    /// The run is over.
    pub fn close(&mut self, now: Instant) {
        if let Some((since, value)) = self.held {
            let length = now.since(since).0 as f64;
            self.sum += value * length;
            self.weight += length;
            self.held = Some((now, value));
        }
    }

    /// Time-weighted mean over the moments that have a value.
    pub fn mean(&self) -> Option<f64> {
        if self.weight > 0.0 { Some(self.sum / self.weight) } else { self.held.map(|it| it.1) }
    }

    /// Largest sample.
    pub fn peak(&self) -> Option<f64> {
        self.peak
    }
}

/// No columns.
fn none() -> Vec<Column> {
    Vec::new()
}
