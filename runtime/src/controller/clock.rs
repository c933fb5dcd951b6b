//! The time of a live cluster: microseconds since it was made, over restarts of the controller, and never
//! back.

use cluster::units::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, by the wall.
pub(super) fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Runs evenly from the moment it was made, whatever becomes of the wall's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    base: Instant,
    since: std::time::Instant,
}

impl Clock {
    /// A clock for a cluster made at `epoch_unix_us` whose last record is of `last`. If the wall's clock was
    /// set back meanwhile, time goes on from there.
    pub(super) fn new(epoch_unix_us: u64, last: Instant) -> Self {
        let wall = Instant(wall_us().saturating_sub(epoch_unix_us));
        Self { base: wall.max(last), since: std::time::Instant::now() }
    }

    pub(super) fn now(&self) -> Instant {
        let passed = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        Instant(self.base.0.saturating_add(passed))
    }

    /// How long until then; nothing if it has passed.
    pub(super) fn until(&self, at: Instant) -> Duration {
        Duration::from_micros(at.0.saturating_sub(self.now().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_where_the_journal_ended_even_if_the_wall_went_back() {
        let clock = Clock::new(wall_us() + 1_000_000_000, Instant::from_secs(50));
        assert!(clock.now() >= Instant::from_secs(50) && clock.now() < Instant::from_secs(60));
        let clock = Clock::new(wall_us() - 9_000_000, Instant::from_secs(5));
        assert!(clock.now() >= Instant::from_secs(9) && clock.now() < Instant::from_secs(20));
        assert_eq!(clock.until(Instant::ZERO), Duration::ZERO);
    }
}
