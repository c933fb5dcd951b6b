//! The typed options of a manager: in which order tasks wait, and what a task that does not fit does.

use crate::demand::Resource;
use crate::nodes::Overcommit;
use crate::service::Backoff;
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// How a manager runs its queue and its ledger. Part of every journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Who is tried first.
    pub order: QueueOrder,
    /// What becomes of a task that fits nowhere.
    pub unfit: Unfit,
    /// What nodes offer beyond what they have.
    pub overcommit: Overcommit,
    /// How long a node is out of reach before it counts as lost and its tasks are run elsewhere.
    pub lost_after: LostAfter,
    /// How long a node on which a definition failed to start is not tried again for it.
    pub avoid: Backoff,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            order: QueueOrder::default(),
            unfit: Unfit::default(),
            overcommit: Overcommit::default(),
            lost_after: LostAfter::default(),
            avoid: Backoff {
                first: Span::from_secs(60),
                max: Span::from_secs(30 * 60),
                factor_permille: 2000,
            },
        }
    }
}

/// How long a node is out of reach before it counts as lost.
///
/// Amazon ECS publishes no such time; Kubernetes evicts after 300 s, Swarm after its dispatcher's
/// heartbeats of 5 s were missed three times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAfter(pub Span);

impl Default for LostAfter {
    fn default() -> Self {
        Self(Span::from_secs(30))
    }
}

/// Who is tried first. Equals are tried in order of submission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueOrder {
    /// Order of submission. A task that lost its node comes back to its old place.
    #[default]
    Fifo,
    /// Higher priority first.
    Priority,
    /// Shortest [estimate](crate::event::Submission::estimate) first; those without one come last.
    ShortestFirst,
    /// Largest demand first: by one resource, as First-Fit-Decreasing does.
    LargestFirst(Resource),
    /// Smallest demand first, by one resource.
    SmallestFirst(Resource),
}

/// What becomes of a task that fits nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unfit {
    /// It waits, and others that fit are placed meanwhile.
    #[default]
    WaitAndLetPass,
    /// It waits at the head of the line, and everybody behind it waits too.
    WaitAtHead,
    /// It is dropped after one try.
    Drop,
    /// It is tried again after a delay that grows by `factor_permille` with each failure, up to `max`;
    /// dropped after `tries` if that is not zero.
    Retry {
        /// Delay after the first failure.
        first: Span,
        /// Longest delay.
        max: Span,
        /// Growth per failure in thousandths; 2000 doubles.
        factor_permille: u32,
        /// Number of tries before it is dropped; 0 never gives up.
        tries: u32,
    },
}

impl Unfit {
    /// The delay after the `failures`-th failure in a row (counted from 1), for [`Unfit::Retry`].
    pub(crate) fn delay(first: Span, max: Span, factor_permille: u32, failures: u32) -> Span {
        Backoff { first, max, factor_permille }.delay(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_limit() {
        for (failures, want) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (1000, 10)] {
            let delay = Unfit::delay(Span::from_secs(1), Span::from_secs(10), 2000, failures);
            assert_eq!(delay, Span::from_secs(want), "after {failures} failures");
        }
    }
}
