//! Replica services: a desired number of tasks of one definition, kept alive.

use crate::ids::{DefinitionId, TaskId};
use crate::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a service shall be.
///
/// The manager makes its tasks itself (see [`TaskId::replica`](crate::ids::TaskId::replica)). A task that
/// ends, turns unhealthy or loses its node is replaced at once; one that never ran is replaced after
/// [`Backoff`], as Amazon ECS throttles starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// For people; unique among services.
    pub name: String,
    /// What its tasks consist of; must have been put. Placed tasks of an earlier definition are kept
    /// until they end.
    pub definition: DefinitionId,
    /// How many tasks there shall be.
    pub desired: u32,
    /// Priority of its tasks; higher is more important.
    pub priority: i32,
    /// How long to wait after tasks that never ran.
    pub backoff: Backoff,
}

/// A delay that grows with each failure in a row.
///
/// ECS waits longer and longer, up to 27 minutes, after tasks that stop without having run, and does not
/// publish the curve; here it is geometric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Span,
    /// Longest delay.
    pub max: Span,
    /// Growth per further failure in thousandths; 2000 doubles.
    pub factor_permille: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Span::from_secs(1), max: Span::from_secs(27 * 60), factor_permille: 2000 }
    }
}

impl Backoff {
    /// The delay after the `failures`-th failure in a row, counted from 1.
    pub fn delay(&self, failures: u32) -> Span {
        let mut delay = u128::from(self.first.0);
        for _ in 1..failures.min(200) {
            delay = delay * u128::from(self.factor_permille) / 1000;
            if delay >= u128::from(self.max.0) {
                return self.max;
            }
        }
        Span(u64::try_from(delay).unwrap_or(u64::MAX).min(self.max.0))
    }
}

/// A service as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it shall be.
    pub spec: ServiceSpec,
    /// Its tasks that count: waiting, starting and running.
    pub(crate) tasks: BTreeSet<TaskId>,
    /// Its tasks that run on draining nodes, until others run in their place.
    pub(crate) leaving: BTreeSet<TaskId>,
    /// Starts in a row that failed.
    pub(crate) failures: u32,
    /// No task is made before this moment.
    pub(crate) until: Option<Instant>,
}

impl Service {
    pub(crate) fn new(spec: ServiceSpec) -> Self {
        let (tasks, leaving) = (BTreeSet::new(), BTreeSet::new());
        Self { spec, tasks, leaving, failures: 0, until: None }
    }

    /// Its tasks that count towards what is desired, ascending.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().copied()
    }

    /// Its tasks that run on draining nodes, until others run in their place, ascending.
    pub fn leaving(&self) -> impl Iterator<Item = TaskId> {
        self.leaving.iter().copied()
    }

    /// Starts in a row that failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The moment before which no further task is tried, if starts failed.
    pub fn throttled_until(&self) -> Option<Instant> {
        self.until
    }
}
