//! What a workload's tasks have in common, in one or two passes over them that keep none.

use crate::ahead;
use crate::ends::Ends;
use crate::load;
use crate::quantiles::{Quantiles, Spread};
use crate::tasks::{TaskRow, Tasks};
use cluster::demand::Demand;
use cluster::event::TaskKind;
use cluster::units::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was counted on tasks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct TaskStats {
    pub(crate) tasks: u64,
    pub(crate) service_tasks: u64,
    /// Distinct groups that they name.
    pub(crate) groups: u64,
    /// Tasks by definition.
    pub(crate) uses: Vec<u64>,
    pub(crate) endless: u64,
    pub(crate) withdrawn: u64,
    pub(crate) estimated: u64,
    pub(crate) priorities: BTreeMap<i32, u64>,
    pub(crate) first: Option<Instant>,
    pub(crate) last: Option<Instant>,
    pub(crate) burst_max: u64,
    pub(crate) gap_us: Option<Quantiles>,
    pub(crate) lifetime_us: Option<Quantiles>,
    pub(crate) offered: Vec<Offered>,
}

/// What tasks ask for of one resource, if each runs from its arrival; in the order of
/// [`Resource::ALL`](cluster::demand::Resource::ALL).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// The most at any time up to the horizon.
    pub(crate) peak: i128,
    /// When that is first so.
    pub(crate) at: Instant,
    /// Time-weighted mean from the first arrival to the horizon.
    pub(crate) mean: f64,
}

impl TaskStats {
    pub(crate) fn of(tasks: &Tasks, demands: &[Demand], horizon: Option<Instant>) -> Self {
        let mut it = Self { uses: vec![0; demands.len()], ..Self::default() };
        let mut groups = Bits::default();
        let mut load = OfferedLoad::new(demands, horizon);
        let (mut gaps, mut lives) = (Spread::default(), Spread::default());
        let (mut burst, mut last) = (0, None);
        let mut same = (0, 0);
        let is_drawn = matches!(tasks, Tasks::Generated(_));
        let drawn = if is_drawn { tasks.len() as u64 } else { 0 };
        ahead::each(drawn, tasks.iter(), |task| {
            it.tasks += 1;
            it.service_tasks += u64::from(task.kind == TaskKind::Service);
            it.uses[task.definition as usize] += 1;
            it.endless += u64::from(task.lifetime.is_none());
            it.withdrawn += u64::from(task.withdrawn.is_some());
            it.estimated += u64::from(task.estimate.is_some());
            // Counted in runs.
            if task.priority != same.0 {
                it.count_priority(std::mem::replace(&mut same, (task.priority, 0)));
            }
            same.1 += 1;
            it.first.get_or_insert(task.at);
            it.last = Some(task.at);
            if let Some(group) = task.group {
                it.groups += u64::from(groups.insert(group));
            }
            if let Some(life) = task.lifetime {
                lives.add(life.0);
            }
            if let Some(gap) = gap(&mut last, task) {
                gaps.add(gap);
                burst = if gap == 0 { burst + 1 } else { 1 };
            } else if task.resident.is_none() {
                burst = 1;
            }
            it.burst_max = it.burst_max.max(burst);
            load.add(task);
        });
        it.count_priority(same);
        it.offered = load.finish();
        if gaps.look_again() | lives.look_again() {
            let mut last = None;
            ahead::each(drawn, tasks.iter(), |task| {
                task.lifetime.into_iter().for_each(|it| lives.add_again(it.0));
                gap(&mut last, task).into_iter().for_each(|it| gaps.add_again(it));
            });
        }
        (it.gap_us, it.lifetime_us) = (gaps.quantiles(), lives.quantiles());
        it
    }

    fn count_priority(&mut self, (priority, count): (i32, u64)) {
        if count > 0 {
            *self.priorities.entry(priority).or_default() += count;
        }
    }
}

/// The time since the arrival before, residents not counted.
fn gap(last: &mut Option<Instant>, task: &TaskRow) -> Option<u64> {
    if task.resident.is_some() {
        return None;
    }
    last.replace(task.at).map(|it| task.at.since(it).0)
}

/// A set of small numbers.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether it was not there yet.
    fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

/// Adds up what tasks ask for over time.
#[derive(Debug)]
struct OfferedLoad {
    asks: Vec<[u64; 4]>,
    /// Rows of resources that nobody asks for are not looked at.
    asked: Vec<usize>,
    /// Ends of what has arrived, with the definition.
    ends: Ends,
    sums: [i128; 4],
    peaks: [(i128, Instant); 4],
    areas: [f64; 4],
    first: Option<Instant>,
    /// Up to when ends are taken out and areas are added up.
    now: Instant,
    horizon: Option<Instant>,
}

impl OfferedLoad {
    fn new(demands: &[Demand], horizon: Option<Instant>) -> Self {
        let asks: Vec<[u64; 4]> = demands.iter().map(load::totals).collect();
        Self {
            asked: (0..4).filter(|row| asks.iter().any(|it| it[*row] > 0)).collect(),
            asks,
            ends: Ends::new(),
            sums: [0; 4],
            peaks: [(0, Instant::ZERO); 4],
            areas: [0.0; 4],
            first: None,
            now: Instant::ZERO,
            horizon,
        }
    }

    fn add(&mut self, task: &TaskRow) {
        if self.first.is_none() {
            (self.first, self.now) = (Some(task.at), task.at);
            self.peaks = [(0, task.at); 4];
            self.horizon = self.horizon.map(|it| it.max(task.at));
        }
        if self.horizon.is_some_and(|it| task.at > it) {
            return;
        }
        self.move_to(task.at);
        let ask = &self.asks[task.definition as usize];
        for &row in &self.asked {
            self.sums[row] += i128::from(ask[row]);
        }
        if let Some(end) = task.ends() {
            self.ends.push(end.max(task.at), task.definition);
        }
    }

    /// Everything before `at` has happened, and what ends then has ended.
    ///
    /// Sums only fall where tasks end and only rise where they begin, and what ends in a moment ends before
    /// anything begins: so they are highest at the end of a moment.
    fn move_to(&mut self, at: Instant) {
        while let Some(next) = self.ends.next().filter(|it| *it <= at) {
            self.step(next);
            let (asks, sums, asked) = (&self.asks, &mut self.sums, &self.asked);
            self.ends.take(|definition| {
                let ask = &asks[definition as usize];
                for &row in asked {
                    sums[row] -= i128::from(ask[row]);
                }
            });
        }
        self.step(at);
    }

    fn step(&mut self, at: Instant) {
        if at == self.now {
            return;
        }
        self.note_peaks();
        let width = at.since(self.now).as_secs_f64();
        for &row in &self.asked {
            let sum = self.sums[row];
            // Almost always, and quicker: either way it is the nearest float.
            let sum = i64::try_from(sum).map_or(sum as f64, |it| it as f64);
            self.areas[row] += sum * width;
        }
        self.now = at;
    }

    fn note_peaks(&mut self) {
        for &row in &self.asked {
            if self.sums[row] > self.peaks[row].0 {
                self.peaks[row] = (self.sums[row], self.now);
            }
        }
    }

    fn finish(mut self) -> Vec<Offered> {
        let Some(first) = self.first else { return Vec::new() };
        // Without a horizon, the last arrival is the end.
        let horizon = self.horizon.unwrap_or(self.now);
        self.move_to(horizon);
        self.note_peaks();
        let length = horizon.since(first).as_secs_f64();
        let mean = |row: usize| match length > 0.0 {
            true => self.areas[row] / length,
            false => self.sums[row] as f64,
        };
        let of = |row: usize| {
            let (peak, at) = self.peaks[row];
            Offered { peak, at, mean: mean(row) }
        };
        (0..4).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Texts;
    use cluster::demand::Amounts;
    use cluster::event::OnLoss;
    use cluster::units::{Bytes, MilliCpu, Span};
    use proptest::prelude::*;

    /// All begins and ends in one sorted list: peak, its time and mean of cpu.
    fn plain(
        tasks: &[TaskRow],
        asks: &[u64],
        horizon: Option<Instant>,
    ) -> Option<(i128, Instant, f64)> {
        let mut steps: Vec<(Instant, bool, u32)> = Vec::new();
        for task in tasks {
            steps.push((task.at, true, task.definition));
            steps.extend(task.ends().map(|it| (it.max(task.at), false, task.definition)));
        }
        steps.sort_unstable();
        let (first, last) = (tasks.first()?.at, tasks.last()?.at);
        let horizon = horizon.unwrap_or(last).max(first);
        let (mut sum, mut peak, mut area, mut before) = (0, (0, first), 0.0, first);
        for (at, begins, definition) in steps.into_iter().filter(|it| it.0 <= horizon) {
            area += sum as f64 * at.since(before).as_secs_f64();
            let ask = i128::from(asks[definition as usize]);
            sum += if begins { ask } else { -ask };
            if sum > peak.0 {
                peak = (sum, at);
            }
            before = at;
        }
        area += sum as f64 * horizon.since(before).as_secs_f64();
        let length = horizon.since(first).as_secs_f64();
        let mean = if length > 0.0 { area / length } else { sum as f64 };
        Some((peak.0, peak.1, mean))
    }

    proptest! {
        #[test]
        fn what_is_offered_is_what_a_sorted_list_of_steps_shows(
            drawn in prop::collection::vec(
                (0u64..60, prop::option::of(0u64..40), prop::option::of(0u64..50), 0u32..3),
                0..60,
            ),
            horizon in prop::option::of(0u64..90),
        ) {
            let mut rows: Vec<TaskRow> = drawn
                .into_iter()
                .map(|(at, life, patience, definition)| TaskRow {
                    at: Instant(at),
                    lifetime: life.map(Span),
                    withdrawn: patience.map(|it| Instant(at + it)),
                    estimate: None,
                    definition,
                    group: Some(definition % 2),
                    resident: None,
                    priority: 0,
                    kind: TaskKind::Job,
                    on_loss: OnLoss::Restart,
                    name: 0,
                    file: 0,
                    line: 0,
                })
                .collect();
            rows.sort_by_key(|it| it.at);
            let asks = [1, 10, 100];
            let demand = |cpu| Demand {
                amounts: Amounts { cpu: MilliCpu(cpu), memory: Bytes(0), disk: Bytes(0) },
                ..Demand::default()
            };
            let horizon = horizon.map(Instant);
            let want = plain(&rows, &asks, horizon);
            let tasks = Tasks::Rows { rows, names: Texts::default() };
            let got = TaskStats::of(&tasks, &asks.map(demand), horizon).offered;
            prop_assert_eq!(got.first().map(|it| (it.peak, it.at, it.mean)), want);
        }
    }
}
