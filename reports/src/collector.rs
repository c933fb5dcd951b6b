//! The observer that feeds all metrics and takes samples.

use crate::group_zones::{GroupZones, Population};
use crate::metrics::{self, Metrics, Moment, Sampled};
use crate::over_time::OverTime;
use crate::run_report::{Grouping, RunReport, SampleRow, Samples, ZoneRow};
use cluster::event::{Change, Ending};
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::observer::Observer;
use cluster::state::State;
use cluster::touched::Mark;
use cluster::units::{Instant, Span};

/// The typed options of a [`Collector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectorConfig {
    /// When the run will probably end, if that is known: samples are then evenly spaced from the start.
    pub horizon: Option<Instant>,
    /// Most samples to keep. When they are full, every second is thrown away and the interval doubles.
    pub samples_max: usize,
    /// First interval between samples where no horizon is known.
    pub sample_interval: Span,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self { horizon: None, samples_max: 512, sample_interval: Span::from_secs(1) }
    }
}

/// Which nodes changed since the last sample.
#[derive(Default)]
struct Touched {
    mark: Option<Mark>,
    /// Once each.
    nodes: Vec<NodeId>,
    /// Number of the sample that last had the node.
    seen: Vec<u32>,
    samples: u32,
}

impl Touched {
    /// Looks again. `false` if any node may have changed.
    fn look(&mut self, nodes: &Nodes) -> bool {
        self.nodes.clear();
        self.samples += 1;
        self.seen.resize(nodes.len(), 0);
        let touched = self.mark.and_then(|it| nodes.touched_since(it));
        self.mark = Some(nodes.mark());
        let Some(touched) = touched else { return false };
        for node in touched {
            let seen = &mut self.seen[node.row()];
            if *seen != self.samples {
                *seen = self.samples;
                self.nodes.push(node);
            }
        }
        true
    }
}

/// Watches one run and turns it into numbers, in memory that does not grow with its length.
///
/// Time counts from the first change it sees. Hand it every change and every step of time, all with the state of
/// one manager, then [`finish`](Collector::finish) it.
pub struct Collector {
    metrics: Metrics,
    over_time: OverTime,
    groups: GroupZones,
    started: Option<Instant>,
    now: Instant,
    /// Of the next sample; `None` until the first change.
    next_sample: Option<Instant>,
    samples: Vec<SampleRow>,
    sampled: Vec<Sampled>,
    /// Where the sample columns of each metric end.
    sample_ends: Vec<usize>,
    samples_max: usize,
    interval: Span,
    horizon: Option<Instant>,
    touched: Touched,
}

impl Collector {
    /// A collector of all metrics of [`metrics::ALL`].
    pub fn new(config: CollectorConfig) -> Self {
        let mut columns = 0;
        let ends = metrics::ALL.iter().map(|it| {
            columns += (it.sample_columns)().len();
            columns
        });
        let sample_ends: Vec<usize> = ends.collect();
        Self {
            metrics: Metrics::default(),
            over_time: OverTime::default(),
            groups: GroupZones::default(),
            started: None,
            now: Instant::ZERO,
            next_sample: None,
            samples: Vec::new(),
            sampled: vec![Sampled::default(); columns],
            sample_ends,
            samples_max: config.samples_max.max(4),
            interval: Span(config.sample_interval.0.max(1)),
            horizon: config.horizon,
            touched: Touched::default(),
        }
    }

    /// The state lasted for `length`, which may be zero only at the very end.
    #[inline]
    fn hold(&mut self, state: &State, length: Span) {
        self.groups.settle(self.now, state, true);
        self.over_time.settle(self.now, state);
        let Self { metrics, over_time, groups, now, .. } = self;
        metrics.advance(&Moment { now: *now, state, over_time, groups, touched: None }, length);
    }

    /// Takes the samples that are due before `to` (or at it), all of the present state.
    fn sample(&mut self, to: Instant, inclusive: bool, state: &State) {
        let is_due = |at: Instant| at < to || (inclusive && at == to);
        let Some(mut next) = self.next_sample.filter(|&it| is_due(it)) else { return };
        let values = self.sample_values(state);
        while is_due(next) {
            self.push_sample(next, values.clone());
            if self.samples.len() + 1 >= self.samples_max {
                let mut row = 0;
                self.samples.retain(|_| {
                    row += 1;
                    row % 2 == 1
                });
                self.interval = self.interval + self.interval;
                // The next moment of the coarser grid.
                let last = self.samples.last().map_or(next, |it| Instant(it.time_us));
                next = last;
            }
            if next.0.checked_add(self.interval.0).is_none() {
                self.next_sample = None;
                return;
            }
            next = next + self.interval;
        }
        self.next_sample = Some(next);
    }

    fn sample_values(&mut self, state: &State) -> Vec<Option<f64>> {
        let is_known = self.touched.look(state.nodes());
        let Self { metrics, over_time, groups, now, touched, sample_ends, .. } = self;
        let touched = is_known.then_some(&touched.nodes[..]);
        let mut values = Vec::with_capacity(self.sampled.len());
        let at = Moment { now: *now, state, over_time, groups, touched };
        metrics.sample(&at, sample_ends, &mut values);
        values
    }

    fn push_sample(&mut self, at: Instant, values: Vec<Option<f64>>) {
        for (sampled, &value) in self.sampled.iter_mut().zip(&values) {
            sampled.push(at, value);
        }
        self.samples.push(SampleRow { time_us: at.0, values });
    }

    /// The numbers, if the run ends at `end` in this state.
    pub fn finish(mut self, end: Instant, state: &State) -> RunReport {
        let end = end.max(self.now);
        let start = self.started.unwrap_or(end);
        if self.started.is_none() {
            self.over_time.begin(start);
            self.now = start;
        }
        self.advance(end, state);
        if end == start {
            self.hold(state, Span::ZERO);
        } else {
            self.groups.settle(self.now, state, false);
        }
        self.sample(end, true, state);
        if self.samples.last().is_none_or(|it| it.time_us < end.0) {
            let values = self.sample_values(state);
            self.push_sample(end, values);
        }
        for it in &mut self.sampled {
            it.close(end);
        }
        self.over_time.close(end, state);
        self.groups.close(start, end);
        let Self { metrics, over_time, groups, sampled, sample_ends, .. } = &mut self;
        let mut values = Vec::new();
        let at = Moment { now: end, state, over_time, groups, touched: None };
        metrics.finish(&at, sampled, sample_ends, &mut values);
        let wait_ecdf = metrics.wait_ecdf();
        let names = state.nodes().zone_names().iter();
        let zones = names
            .zip(over_time.zones())
            .map(|(name, it)| ZoneRow {
                zone: name.to_owned(),
                nodes_mean: it.nodes_mean,
                tasks_mean: it.tasks_mean,
                allocated_share: it.allocated,
                utilised_share: it.utilised,
            })
            .collect();
        let (grouping, notes) = self.grouping(state);
        let sample_columns = metrics::ALL.iter().flat_map(|it| (it.sample_columns)()).collect();
        RunReport {
            start,
            end,
            columns: metrics::ALL.iter().flat_map(|it| (it.columns)()).collect(),
            values,
            samples: Samples { columns: sample_columns, rows: self.samples },
            wait_ecdf,
            zones,
            grouping,
            notes,
        }
    }

    fn grouping(&self, state: &State) -> (Grouping, Vec<String>) {
        let mut notes = Vec::new();
        let grouping = match self.groups.population() {
            _ if !self.groups.any_spread() => Grouping::None,
            Population::Services => Grouping::Services,
            Population::Groups => Grouping::Groups,
        };
        if state.nodes().zone_names().len() < 2 {
            notes.push("The cluster has one zone only: zone metrics are empty.".to_owned());
        } else {
            match grouping {
                Grouping::Services => {}
                Grouping::Groups => notes.push(
                    "The run has no service: zone metrics count all groups with two or more placed \
                     tasks."
                        .to_owned(),
                ),
                Grouping::None => notes.push(
                    "No group ever had two placed tasks: zone metrics are empty.".to_owned(),
                ),
            }
        }
        (grouping, notes)
    }
}

impl Observer for Collector {
    fn advance(&mut self, to: Instant, state: &State) {
        if to <= self.now || self.started.is_none() {
            self.now = self.now.max(to);
            return;
        }
        self.hold(state, to.since(self.now));
        if self.next_sample.is_some_and(|it| it < to) {
            self.sample(to, false, state);
        }
        self.now = to;
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        // A driver that skips `advance` still gets its time counted.
        if now > self.now {
            self.advance(now, state);
        }
        if changes.is_empty() {
            return;
        }
        if self.started.is_none() {
            self.begin(now);
        }
        let Self { metrics, over_time, groups, .. } = self;
        let mut concerns_groups = false;
        for change in changes {
            let at = Moment { now, state, over_time, groups, touched: None };
            match change {
                Change::Queued { task } => metrics.queued(&at, task),
                Change::Placed { task, node } => {
                    metrics.placed(&at, task, *node);
                    concerns_groups |= groups.concerns(task);
                    over_time.placed();
                }
                Change::Adopted { task, node } => {
                    metrics.adopted(&at, task, *node);
                    concerns_groups |= groups.concerns(task);
                    over_time.adopted(task, state);
                }
                Change::Started { task, node } => {
                    metrics.started(&at, task, *node);
                    over_time.started();
                }
                Change::Interrupted { task, node } => {
                    metrics.interrupted(&at, task, *node);
                    concerns_groups |= groups.concerns(task);
                    over_time.left(now, task, *node, state);
                }
                Change::Ended { task, node, how } => {
                    metrics.ended(&at, task, *node, *how);
                    // What was interrupted has left already.
                    let was_interrupted = matches!(how, Ending::Lost | Ending::Evicted);
                    if let Some(node) = node.filter(|_| !was_interrupted) {
                        concerns_groups |= groups.concerns(task);
                        over_time.left(now, task, node, state);
                    }
                }
                Change::NodeLost { node } => metrics.node_lost(&at, *node),
                Change::NodeUpdated { node } => metrics.node_updated(&at, *node),
                Change::NodeReady { .. }
                | Change::NodeDraining { .. }
                | Change::NodeUnreachable { .. }
                | Change::Health { .. }
                | Change::ServicePut { .. }
                | Change::ServiceDeleted { .. }
                | Change::ServiceThrottled { .. } => {}
            }
        }
        if concerns_groups {
            self.note_groups(changes);
        }
    }
}

impl Collector {
    /// The first change is seen.
    #[cold]
    fn begin(&mut self, now: Instant) {
        self.started = Some(now);
        self.over_time.begin(now);
        self.now = now;
        self.next_sample = Some(now);
        if let Some(horizon) = self.horizon.filter(|&it| it > now) {
            let rows = (self.samples_max as u64 / 2).max(1);
            self.interval = Span((horizon.since(now).0 / rows).max(1));
        }
    }

    /// After the metrics, which are told of groups as they were when time last moved on.
    fn note_groups(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Placed { task, .. }
            | Change::Adopted { task, .. }
            | Change::Interrupted { task, .. }
            | Change::Ended { task, node: Some(_), .. } = change
            {
                self.groups.note(task);
            }
        }
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("now", &self.now)
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{run, run_with};

    /// A task a second, each running for one second, for a long time.
    fn long_script(secs: u32) -> String {
        let mut script = "rules autostart\n0 node a z1 2/4\n".to_owned();
        for it in 0..secs {
            script += &format!("{it} submit {it} 2/4\n{}.5 exit {it} 0\n", it);
        }
        script + &format!("{secs} end")
    }

    #[test]
    fn samples_thin_out_instead_of_growing() {
        let config = CollectorConfig { samples_max: 16, ..CollectorConfig::default() };
        let report = run_with(&long_script(100), config);
        let times: Vec<u64> = report.samples.rows.iter().map(|it| it.time_us / 1_000_000).collect();
        assert_eq!(times, [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100]);
        // Each sample sees the second's task in its place.
        assert_eq!(report.samples.series("cpu_allocated_share")[1].1, Some(1.0));
        assert_eq!(report.value("cpu_allocated_share"), Some(0.5));
    }

    #[test]
    fn a_known_horizon_spaces_samples_from_the_start() {
        let horizon = Some(Instant::from_secs(100));
        let config = CollectorConfig { samples_max: 16, horizon, ..CollectorConfig::default() };
        let report = run_with(&long_script(100), config);
        let times: Vec<u64> = report.samples.rows.iter().map(|it| it.time_us).collect();
        assert_eq!(times[..3], [0, 12_500_000, 25_000_000]);
        assert_eq!(times.len(), 9);
    }

    #[test]
    fn a_long_silence_costs_no_more_than_a_full_table() {
        let report = run("0 node a z1 2/4\n0 submit 1 2/4\n30000000 end");
        assert!(report.samples.rows.len() <= 512, "{}", report.samples.rows.len());
        assert_eq!(report.samples.rows.last().map(|it| it.time_us), Some(30_000_000_000_000));
    }

    #[test]
    fn time_counts_from_the_first_event() {
        let report = run("50 node a z1 2/4\n50 submit 1 2/4\n60 end");
        assert_eq!((report.start, report.end), (Instant::from_secs(50), Instant::from_secs(60)));
        assert_eq!(report.value("cpu_allocated_share"), Some(1.0));
        assert_eq!(report.samples.rows[0].time_us, 50_000_000);
    }

    #[test]
    fn every_column_has_its_own_name_and_text() {
        let report = run("0 node a z1 2/4\n1 end");
        let mut names: Vec<&str> = report.columns.iter().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for it in report.columns.iter().chain(&report.samples.columns) {
            assert!(!it.title.is_empty() && it.summary.ends_with('.'), "{}", it.name);
        }
        for entry in metrics::ALL {
            assert!(entry.card.definition.ends_with('.') && entry.card.source.ends_with('.'));
        }
    }

    #[test]
    fn the_same_run_gives_the_same_report() {
        assert_eq!(run(&long_script(30)), run(&long_script(30)));
    }
}
