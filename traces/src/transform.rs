//! Changes to a workload after it was read: cut it, scale its time, turn it into a fill, shuffle it.

use crate::error::TraceError;
use crate::source::ReadOptions;
use crate::workload::{Parts, Workload};
use cluster::chance::{Chance, Purpose};
use cluster::event::NodeEvent;
use cluster::units::{Instant, Span};
use std::fmt;

/// A factor on arrival times, as an exact fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScale {
    numerator: u64,
    denominator: u64,
}

/// `1/100`
impl fmt::Display for TimeScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl TimeScale {
    /// Reads `0.01`, `1/100` or `2`.
    ///
    /// # Errors
    ///
    /// [`TraceError::BadOption`] for anything else, and for zero.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let bad = || TraceError::BadOption {
            option: "scale".into(),
            found: text.into(),
            wanted: "a positive number such as 0.01 or 1/100",
        };
        const MILLION: u64 = 1_000_000;
        let exact = |it: &str| {
            crate::decimal::parse(it, MILLION, crate::decimal::Rounding::Exact).map_err(|_| bad())
        };
        let (numerator, denominator) = match text.split_once('/') {
            Some((over, under)) => (exact(over)?, exact(under)?),
            None => (exact(text)?, MILLION),
        };
        if numerator == 0 || denominator == 0 {
            return Err(bad());
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        Ok(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// Rounded down to a microsecond, so that order is kept.
    fn apply(self, at: Instant) -> Instant {
        let exact = u128::from(at.0) * u128::from(self.numerator) / u128::from(self.denominator);
        Instant(u64::try_from(exact).unwrap_or(u64::MAX))
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Applies everything that `options` asks for, in this order: cut by time, cut by number, scale time,
/// static fill, shuffle, zones.
pub(crate) fn apply(workload: &mut Workload, options: &ReadOptions) -> Result<(), TraceError> {
    // Tasks that are drawn from a recipe or stand in a column file must be in memory to be changed.
    let changes = options.until.is_some()
        || options.limit.is_some()
        || options.time_scale.is_some()
        || options.static_fill
        || options.shuffle.is_some();
    if changes || workload.is_in_memory() {
        workload.edit(|parts| edit(parts, options));
    }
    if let Some(zones) = &options.zones {
        workload.apply_zones(zones)?;
    }
    workload.remember(options.zones.clone(), options.oversized);
    Ok(())
}

fn edit(parts: &mut Parts<'_>, options: &ReadOptions) {
    if let Some(until) = options.until {
        cut(parts, until);
    }
    if let Some(limit) = options.limit {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let left_out = parts.tasks.len().saturating_sub(limit) as u64;
        parts.tasks.truncate(limit);
        parts.card.set_count("tasks beyond the limit asked for (left out)", left_out);
    }
    if let Some(scale) = options.time_scale {
        scale_time(parts, scale);
    }
    drop_late_node_events(parts);
    if options.static_fill {
        fill(parts);
    }
    if let Some(seed) = options.shuffle {
        shuffle(parts, seed);
    }
}

/// Leaves out what arrives later than `until`; what runs by then runs on.
fn cut(parts: &mut Parts<'_>, until: Instant) {
    let before = parts.tasks.len();
    parts.tasks.retain(|it| it.at <= until);
    let left_out = (before - parts.tasks.len()) as u64;
    parts.card.set_count("tasks later than the time asked for (left out)", left_out);
    *parts.horizon = Some(parts.horizon.map_or(until, |it| it.min(until)));
}

fn scale_time(parts: &mut Parts<'_>, scale: TimeScale) {
    for task in parts.tasks.iter_mut() {
        let patience = task.withdrawn.map(|it| it.since(task.at));
        task.at = scale.apply(task.at);
        task.withdrawn = patience.map(|it| task.at + it);
    }
    for (at, ..) in parts.timeline.iter_mut() {
        *at = scale.apply(*at);
    }
    *parts.horizon = parts.horizon.map(|it| scale.apply(it));
    parts.card.assume(format!(
        "moments (arrivals, node events, horizon) are multiplied by {scale}; lengths (lifetimes, \
         estimates, patience) are kept, so that the load changes"
    ));
}

fn fill(parts: &mut Parts<'_>) {
    // Back to the order of the files: what was sorted by time is in that order no more. Stable, so that
    // tasks of one line, and those of no file, stay as they are.
    parts.tasks.sort_by_key(|it| (it.file, it.line));
    let mut residents = 0;
    for (task, second) in parts.tasks.iter_mut().zip(0..) {
        residents += u64::from(task.resident.is_some());
        task.at = Instant::from_secs(second);
        task.lifetime = None;
        task.withdrawn = None;
        task.resident = None;
    }
    let before = parts.timeline.len();
    parts.timeline.retain(|it| matches!(it.2, NodeEvent::Joined(_)));
    parts.card.set_count(
        "node events ignored by the static fill",
        (before - parts.timeline.len()) as u64,
    );
    parts.card.set_count("residents submitted by the static fill", residents);
    for (at, ..) in parts.timeline.iter_mut() {
        *at = Instant::ZERO;
    }
    *parts.horizon = None;
    parts.card.assume(
        "static fill: tasks arrive in the order of the file, one per second from 0 on, and never end; \
         all nodes are there from the start",
    );
}

/// Permutes which task comes at which of the arrival times.
fn shuffle(parts: &mut Parts<'_>, seed: u64) {
    let times: Vec<Instant> = parts.tasks.iter().map(|it| it.at).collect();
    Chance::new(seed, Purpose::Shuffle, 0).shuffle(parts.tasks);
    for (task, at) in parts.tasks.iter_mut().zip(times) {
        let patience: Option<Span> = task.withdrawn.map(|it| it.since(task.at));
        task.withdrawn = patience.map(|it| at + it);
        task.at = at;
    }
    parts.card.assume(format!("tasks are shuffled over the arrival times by seed {seed}"));
}

fn drop_late_node_events(parts: &mut Parts<'_>) {
    if let Some(horizon) = *parts.horizon {
        let before = parts.timeline.len();
        parts.timeline.retain(|it| it.0 <= horizon);
        let late = (before - parts.timeline.len()) as u64;
        // A column file may have been made of less than all.
        if late > 0 {
            parts.card.count("node events after the horizon (left out)", late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_exact_fractions() {
        for (text, want) in [("0.01", "1/100"), ("2/200", "1/100"), ("2", "2/1"), ("1/0.5", "2/1")]
        {
            assert_eq!(TimeScale::parse(text).unwrap().to_string(), want, "{text}");
        }
        for text in ["", "0", "-1", "1/0", "a/b", "0.0000001"] {
            assert!(TimeScale::parse(text).is_err(), "{text}");
        }
        let third = TimeScale::parse("1/3").unwrap();
        assert_eq!(third.apply(Instant(u64::MAX)), Instant(u64::MAX / 3));
    }
}
