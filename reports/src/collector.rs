//! The observer that feeds all metrics and takes samples.

use crate::average::{TimeMean, TimeShare};
use crate::group_zones::{GroupZones, Population};
use crate::metrics::{self, Metric, Moment, Sampled};
use crate::run_report::{Grouping, RunReport, SampleRow, Samples, ZoneRow};
use cluster::event::Change;
use cluster::observer::Observer;
use cluster::state::State;
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

/// A metric at work, with its place in the sample rows.
struct Seat {
    entry: &'static metrics::Entry,
    metric: Box<dyn Metric>,
    sample_columns: std::ops::Range<usize>,
}

/// What one zone has been over the run.
#[derive(Debug, Clone, Copy, Default)]
struct ZoneSums {
    nodes: TimeMean,
    tasks: TimeMean,
    allocated: [TimeShare; 4],
    utilised: [TimeShare; 4],
}

/// Watches one run and turns it into numbers, in memory that does not grow with its length.
///
/// Time counts from the first change it sees. Hand it every change and every step of time, then
/// [`finish`](Collector::finish) it.
pub struct Collector {
    seats: Vec<Seat>,
    groups: GroupZones,
    zones: Vec<ZoneSums>,
    started: Option<Instant>,
    now: Instant,
    samples: Vec<SampleRow>,
    sampled: Vec<Sampled>,
    samples_max: usize,
    interval: Span,
    /// Of the next sample; `None` until the first change.
    next_sample: Option<Instant>,
    horizon: Option<Instant>,
}

impl Collector {
    /// A collector of all metrics of [`metrics::ALL`].
    pub fn new(config: CollectorConfig) -> Self {
        let mut seats = Vec::new();
        let mut at = 0;
        for entry in metrics::ALL {
            let end = at + (entry.sample_columns)().len();
            seats.push(Seat { entry, metric: (entry.build)(), sample_columns: at..end });
            at = end;
        }
        Self {
            seats,
            groups: GroupZones::default(),
            zones: Vec::new(),
            started: None,
            now: Instant::ZERO,
            samples: Vec::new(),
            sampled: vec![Sampled::default(); at],
            samples_max: config.samples_max.max(4),
            interval: Span(config.sample_interval.0.max(1)),
            next_sample: None,
            horizon: config.horizon,
        }
    }

    /// The state lasted for `length`, which may be zero only at the very end.
    fn hold(&mut self, state: &State, length: Span) {
        self.groups.settle(state);
        let moment =
            Moment { now: self.now, state, totals: state.nodes().totals(), groups: &self.groups };
        for seat in &mut self.seats {
            seat.metric.advance(&moment, length);
        }
        let totals = state.nodes().zone_totals();
        self.zones.resize(self.zones.len().max(totals.len()), ZoneSums::default());
        for (zone, now) in self.zones.iter_mut().zip(totals) {
            zone.nodes.hold(u64::from(now.nodes), length);
            zone.tasks.hold(now.tasks, length);
            for it in 0..4 {
                zone.allocated[it].hold(now.held[it], now.capacity[it], length);
                zone.utilised[it].hold(now.running[it], now.capacity[it], length);
            }
        }
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
        let moment =
            Moment { now: self.now, state, totals: state.nodes().totals(), groups: &self.groups };
        let mut values = Vec::with_capacity(self.sampled.len());
        for seat in &mut self.seats {
            seat.metric.sample(&moment, &mut values);
            assert_eq!(
                values.len(),
                seat.sample_columns.end,
                "metric {} gives as many samples as it has columns",
                seat.entry.card.name
            );
        }
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
        let start = self.started.unwrap_or(end);
        let end = end.max(self.now);
        self.advance(end, state);
        if end == start {
            self.hold(state, Span::ZERO);
        } else {
            self.groups.settle(state);
        }
        self.sample(end, true, state);
        if self.samples.last().is_none_or(|it| it.time_us < end.0) {
            let values = self.sample_values(state);
            self.push_sample(end, values);
        }
        for it in &mut self.sampled {
            it.close(end);
        }
        let moment =
            Moment { now: end, state, totals: state.nodes().totals(), groups: &self.groups };
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        let (mut sample_columns, mut wait_ecdf) = (Vec::new(), Vec::new());
        for seat in &mut self.seats {
            seat.metric.finish(&moment, &self.sampled[seat.sample_columns.clone()], &mut values);
            columns.extend((seat.entry.columns)());
            assert_eq!(
                values.len(),
                columns.len(),
                "metric {} gives as many values as it has columns",
                seat.entry.card.name
            );
            sample_columns.extend((seat.entry.sample_columns)());
            wait_ecdf = seat.metric.wait_ecdf().unwrap_or(wait_ecdf);
        }
        let names = state.nodes().zone_names().iter();
        let zones = names
            .zip(&self.zones)
            .map(|(name, sums)| ZoneRow {
                zone: name.to_owned(),
                nodes_mean: sums.nodes.mean(),
                tasks_mean: sums.tasks.mean(),
                allocated_share: sums.allocated.map(|it| it.mean()),
                utilised_share: sums.utilised.map(|it| it.mean()),
            })
            .collect();
        let (grouping, notes) = self.grouping(state);
        RunReport {
            start,
            end,
            columns,
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
        self.sample(to, false, state);
        self.now = to;
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        // A driver that skips `advance` still gets its time counted, though from the later state.
        if now > self.now {
            self.advance(now, state);
        }
        if changes.is_empty() {
            return;
        }
        if self.started.is_none() {
            self.started = Some(now);
            self.now = now;
            self.next_sample = Some(now);
            if let Some(horizon) = self.horizon.filter(|&it| it > now) {
                let rows = (self.samples_max as u64 / 2).max(1);
                self.interval = Span((horizon.since(now).0 / rows).max(1));
            }
        }
        let moment = Moment { now, state, totals: Default::default(), groups: &self.groups };
        for seat in &mut self.seats {
            seat.metric.observe(&moment, changes);
        }
        self.groups.note(changes);
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
