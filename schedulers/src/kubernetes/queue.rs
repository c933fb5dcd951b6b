//! Whose turn it is, and how long a pod waits after it could not be placed.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/backend/queue` and `plugins/queuesort`. Times are in
//! microseconds.

use std::cmp::Ordering;

/// Back-off ends on whole seconds, and is looked at once a second.
const SECOND_US: u64 = 1_000_000;

/// How often pods that wait for an event are looked at without one.
pub const LEFTOVERS_EVERY_US: u64 = 30 * SECOND_US;

/// After how long without an event such a pod is tried again.
pub const LEFTOVER_AFTER_US: u64 = 300 * SECOND_US;

/// A pod that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its priority.
    pub priority: i32,
    /// When it was last put into the queue.
    pub since_us: u64,
}

/// Higher priority first, then the one that has stood there longer.
pub fn turn(a: Waiting, b: Waiting) -> Ordering {
    b.priority.cmp(&a.priority).then(a.since_us.cmp(&b.since_us))
}

/// Waiting times that double from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// After the first failed attempt.
    pub first_us: u64,
    /// At most.
    pub longest_us: u64,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { first_us: SECOND_US, longest_us: 10 * SECOND_US }
    }
}

impl BackOff {
    /// How long a pod waits after that many failed attempts.
    pub fn duration_us(self, attempts: u32) -> u64 {
        let Some(doublings) = attempts.checked_sub(1) else { return 0 };
        let limit = self.longest_us.checked_shr(doublings).unwrap_or(0);
        if self.first_us > limit { self.longest_us } else { self.first_us << doublings }
    }

    /// When its back-off ends, if its last attempt failed then; `None` if there was no attempt.
    pub fn ends_us(self, failed_us: u64, attempts: u32) -> Option<u64> {
        (attempts > 0).then(|| whole_seconds(failed_us + self.duration_us(attempts)))
    }
}

/// Whether a back-off that ends then is still on.
pub fn is_backing_off(ends_us: Option<u64>, now_us: u64) -> bool {
    ends_us.is_some_and(|it| it >= whole_seconds(now_us))
}

/// The order in which pods leave back-off, and in which they are taken early when nothing else waits: the
/// end of their back-off, then their turn.
pub fn back_off_turn(a: (u64, Waiting), b: (u64, Waiting)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| turn(a.1, b.1))
}

fn whole_seconds(time_us: u64) -> u64 {
    time_us - time_us % SECOND_US
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns() {
        let waiting = |priority, since_us| Waiting { priority, since_us };
        for (a, b, found) in [
            (waiting(1, 9), waiting(0, 1), Ordering::Less),
            (waiting(0, 1), waiting(0, 2), Ordering::Less),
            (waiting(-1, 0), waiting(0, 5), Ordering::Greater),
            (waiting(0, 1), waiting(0, 1), Ordering::Equal),
        ] {
            assert_eq!(turn(a, b), found, "{a:?} {b:?}");
            assert_eq!(back_off_turn((7, a), (7, b)), found);
            assert_eq!(back_off_turn((6, b), (7, a)), Ordering::Less);
        }
    }

    #[test]
    fn back_off() {
        let seconds = |attempts| BackOff::default().duration_us(attempts) / SECOND_US;
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 64, 65, 200].map(seconds),
            [0, 1, 2, 4, 8, 10, 10, 10, 10, 10]
        );
        assert_eq!(BackOff::default().ends_us(1_999_999, 2), Some(3_000_000));
        assert_eq!(BackOff::default().ends_us(1_999_999, 0), None);
        let ends = Some(3_000_000);
        assert!(is_backing_off(ends, 3_999_999) && !is_backing_off(ends, 4_000_000));
        assert!(!is_backing_off(None, 0));
    }
}
