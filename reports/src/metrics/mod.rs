//! What is measured: one file a metric, and one list.
//!
//! To add one: write `metrics/x.rs` with an `ENTRY` and a type `X` that is a [`Metric`], and add the two lines
//! `mod x;` and `x: X,` below. Every table, export and page follows from the list.
//!
//! A metric sees the run once, as it happens: it says what it does when a task is queued, placed, started, over,
//! and so on. What it does not say costs nothing, since each is called by its own name (mark `#[inline]` what is short). What it keeps may grow with the
//! tasks that are alive and with nodes, groups and shapes, never with tasks that have ended.
//!
//! Sums over time of what nodes offer and tasks hold are kept once for all ([`OverTime`]), and so are groups over
//! zones ([`GroupZones`]). A number per node that is only sampled is best kept per node and looked at again
//! where [`Moment::touched`] says so.

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
use crate::over_time::OverTime;
use crate::run_report::EcdfPoint;
use cluster::event::{Ending, Facts};
use cluster::ids::NodeId;
use cluster::nodes::Totals;
use cluster::state::State;
use cluster::units::{Instant, Span};

/// Lists the metrics and makes one type of them all.
macro_rules! list {
    ($($module:ident: $metric:ident),* $(,)?) => {
        /// All metrics; their columns appear in this order.
        pub const ALL: &[Entry] = &[$($module::ENTRY),*];

        /// One of each, at work.
        #[derive(Default)]
        pub(crate) struct Metrics {
            $($module: $module::$metric,)*
        }

        impl Metrics {
            #[inline]
            pub(crate) fn queued(&mut self, at: &Moment<'_>, task: &Facts) {
                $(self.$module.queued(at, task);)*
            }

            #[inline]
            pub(crate) fn adopted(&mut self, at: &Moment<'_>, task: &Facts, node: NodeId) {
                $(self.$module.adopted(at, task, node);)*
            }

            #[inline]
            pub(crate) fn placed(&mut self, at: &Moment<'_>, task: &Facts, node: NodeId) {
                $(self.$module.placed(at, task, node);)*
            }

            #[inline]
            pub(crate) fn started(&mut self, at: &Moment<'_>, task: &Facts, node: NodeId) {
                $(self.$module.started(at, task, node);)*
            }

            #[inline]
            pub(crate) fn interrupted(&mut self, at: &Moment<'_>, task: &Facts, node: NodeId) {
                $(self.$module.interrupted(at, task, node);)*
            }

            #[inline]
            pub(crate) fn ended(&mut self, at: &Moment<'_>, task: &Facts, node: Option<NodeId>, how: Ending) {
                $(self.$module.ended(at, task, node, how);)*
            }

            #[inline]
            pub(crate) fn node_lost(&mut self, at: &Moment<'_>, node: NodeId) {
                $(self.$module.node_lost(at, node);)*
            }

            #[inline]
            pub(crate) fn node_updated(&mut self, at: &Moment<'_>, node: NodeId) {
                $(self.$module.node_updated(at, node);)*
            }

            #[inline]
            pub(crate) fn advance(&mut self, at: &Moment<'_>, length: Span) {
                $(self.$module.advance(at, length);)*
            }

            /// Appends the samples of each. `ends` says where those of each end.
            pub(crate) fn sample(&mut self, at: &Moment<'_>, ends: &[usize], out: &mut Vec<Option<f64>>) {
                let mut ends = ends.iter();
                $(
                    self.$module.sample(at, out);
                    let name = $module::ENTRY.card.name;
                    assert_eq!(Some(&out.len()), ends.next(), "metric {name}: as many samples as columns");
                )*
            }

            /// Appends the values of each, out of its own columns of `sampled`.
            pub(crate) fn finish(
                &mut self,
                at: &Moment<'_>,
                sampled: &[Sampled],
                ends: &[usize],
                out: &mut Vec<Option<f64>>,
            ) {
                let (mut ends, mut begin, mut columns) = (ends.iter(), 0, 0);
                $(
                    let end = *ends.next().expect("one end each");
                    self.$module.finish(at, &sampled[begin..end], out);
                    begin = end;
                    columns += ($module::ENTRY.columns)().len();
                    let name = $module::ENTRY.card.name;
                    assert_eq!(out.len(), columns, "metric {name}: as many values as columns");
                )*
                assert_eq!(begin, sampled.len(), "every sample column is somebody's");
            }

            pub(crate) fn wait_ecdf(&self) -> Vec<EcdfPoint> {
                let all = [$(self.$module.wait_ecdf()),*];
                all.into_iter().flatten().next().unwrap_or_default()
            }
        }
    };
}

list! {
    wait: Wait,
    start_latency: StartLatency,
    slowdown: Slowdown,
    makespan: Makespan,
    tasks: Tasks,
    allocation: Allocation,
    utilisation: Utilisation,
    fragmentation: Fragmentation,
    stranded: Stranded,
    nodes_used: NodesUsed,
    overfull: Overfull,
    zone_balance: ZoneBalance,
    zone_exposure: ZoneExposure,
    zone_outage: ZoneOutage,
}

/// A metric in the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it is.
    pub card: &'static Card,
    /// One number per run each.
    pub columns: fn() -> Vec<Column>,
    /// One number per sample each.
    pub sample_columns: fn() -> Vec<Column>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// When.
    pub now: Instant,
    /// The cluster. While changes are told, it is that after the last change of the manager's call.
    pub state: &'a State,
    /// What nodes offered and tasks held; complete in `finish`.
    pub over_time: &'a OverTime,
    /// Groups over zones, as of the last time that time moved on; sums are complete in `finish`.
    pub groups: &'a GroupZones,
    /// In `sample`: the nodes whose row changed since the last sample, once each; `None` if any may have.
    pub touched: Option<&'a [NodeId]>,
}

impl Moment<'_> {
    /// Sums over all nodes.
    pub fn totals(&self) -> Totals {
        self.state.nodes().totals()
    }
}

/// One metric, while the run happens. Changes come in the order in which they happened.
pub trait Metric: Send + Default {
    /// A task joined the queue: it is new, or it lost its node.
    #[inline]
    fn queued(&mut self, _at: &Moment<'_>, _task: &Facts) {}

    /// A task was found on a node.
    #[inline]
    fn adopted(&mut self, _at: &Moment<'_>, _task: &Facts, _node: NodeId) {}

    /// A task was given a node.
    #[inline]
    fn placed(&mut self, _at: &Moment<'_>, _task: &Facts, _node: NodeId) {}

    /// A placed task runs.
    #[inline]
    fn started(&mut self, _at: &Moment<'_>, _task: &Facts, _node: NodeId) {}

    /// A task lost its node, which the state then says is lost, or was evicted.
    #[inline]
    fn interrupted(&mut self, _at: &Moment<'_>, _task: &Facts, _node: NodeId) {}

    /// A task is over and forgotten; it was on `node` until now, or until it was interrupted.
    #[inline]
    fn ended(&mut self, _at: &Moment<'_>, _task: &Facts, _node: Option<NodeId>, _how: Ending) {}

    /// A node is gone; its tasks were interrupted before.
    #[inline]
    fn node_lost(&mut self, _at: &Moment<'_>, _node: NodeId) {}

    /// A node offers something else.
    #[inline]
    fn node_updated(&mut self, _at: &Moment<'_>, _node: NodeId) {}

    /// The cluster was as in `at` for `length`, which is more than nothing unless the whole run took
    /// no time: then each metric is shown the last moment once, with a length of zero.
    #[inline]
    fn advance(&mut self, _at: &Moment<'_>, _length: Span) {}

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
