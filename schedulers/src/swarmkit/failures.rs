//! How often tasks of a service failed on a node of late.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/nodeinfo.go` (`taskFailed`, `countRecentFailures`).
//! Failed and rejected tasks count; those of global services, whose node is given, do not. A new version
//! of the spec starts from nothing.
//! Differs in taking the time as an argument, and in clearing out old entries without a timer.

use crate::swarmkit::model::Service;
use std::collections::BTreeMap;

/// How far back is looked, in microseconds.
pub const WINDOW_US: u64 = 5 * 60 * 1_000_000;

/// From so many on a node is avoided.
pub const AVOIDED_FROM: u32 = 5;

/// Times of failures on one node, in microseconds, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures(BTreeMap<(Service, u64), Vec<u64>>);

impl Failures {
    /// A task of that version of the service failed, or was rejected.
    pub fn record(&mut self, service: Service, version: u64, now_us: u64) {
        let is_over = |at: &u64| now_us.saturating_sub(*at) >= WINDOW_US;
        self.0.retain(|_, times| !times.iter().all(is_over));
        let times = self.0.entry((service, version)).or_default();
        times.drain(..times.iter().take_while(|it| is_over(it)).count());
        times.push(now_us);
    }

    /// How many there were in the window.
    pub fn recent(&self, service: Service, version: u64, now_us: u64) -> u32 {
        let Some(times) = self.0.get(&(service, version)) else { return 0 };
        let is_recent = |at: &&u64| now_us.saturating_sub(**at) <= WINDOW_US;
        times.iter().rev().take_while(is_recent).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_forgotten_after_five_minutes() {
        let mut failures = Failures::default();
        for at in [0, 1, 2] {
            failures.record(Service(1), 1, at);
        }
        let recent = |now| failures.recent(Service(1), 1, now);
        assert_eq!([recent(2), recent(WINDOW_US), recent(WINDOW_US + 1)], [3, 3, 2]);
        assert_eq!(failures.recent(Service(1), 2, 2), 0);
        assert_eq!(failures.recent(Service(2), 1, 2), 0);
        failures.record(Service(1), 1, WINDOW_US + 1);
        assert_eq!(failures.0[&(Service(1), 1)], [2, WINDOW_US + 1]);
        failures.record(Service(2), 1, 3 * WINDOW_US);
        assert_eq!(failures.0.len(), 1);
    }
}
