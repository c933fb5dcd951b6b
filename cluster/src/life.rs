//! The life cycle of a task as a state machine: which reports mean something at which stage.

use crate::event::{Ending, Report};
use crate::state::{Phase, Task};

/// Where a task stands in its life. What comes after its end is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// In the queue.
    Pending,
    /// On a node, not all of its containers run yet.
    Starting,
    /// Running; nothing is known of its health.
    Running,
    /// Running, and its health checks pass.
    Healthy,
    /// Running, and its health checks fail.
    Unhealthy,
}

/// What a report makes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It runs now.
    Begins,
    /// Its health checks say something else than before.
    Turns {
        /// Whether they pass.
        is_healthy: bool,
    },
    /// It is over.
    Ends(Ending),
}

impl Stage {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Starting, Self::Running, Self::Healthy, Self::Unhealthy];

    /// The stage of a task.
    pub fn of(task: &Task) -> Self {
        let Phase::Placed(placement) = &task.phase else { return Self::Pending };
        match (placement.started, placement.is_healthy) {
            (None, _) => Self::Starting,
            (Some(_), None) => Self::Running,
            (Some(_), Some(true)) => Self::Healthy,
            (Some(_), Some(false)) => Self::Unhealthy,
        }
    }

    /// What a report of the attempt under way means; `None` if it is stale or says nothing new.
    pub fn after(self, report: Report) -> Option<Step> {
        match (self, report) {
            (Self::Pending, _) => None,
            (_, Report::Exited { code }) => Some(Step::Ends(Ending::Exited { code })),
            (Self::Starting, Report::Started) => Some(Step::Begins),
            (Self::Starting, Report::Failed { why }) => {
                Some(Step::Ends(Ending::FailedToStart(why)))
            }
            (Self::Running | Self::Unhealthy, Report::Healthy) => {
                Some(Step::Turns { is_healthy: true })
            }
            (Self::Running | Self::Healthy, Report::Unhealthy) => {
                Some(Step::Turns { is_healthy: false })
            }
            // Runs already, has that health already, or says of a start what comes too late or too early.
            (Self::Starting, Report::Healthy | Report::Unhealthy)
            | (_, Report::Started | Report::Failed { .. })
            | (Self::Healthy, Report::Healthy)
            | (Self::Unhealthy, Report::Unhealthy) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StartFailure;

    #[test]
    fn every_report_at_every_stage() {
        let reports = [
            Report::Started,
            Report::Healthy,
            Report::Unhealthy,
            Report::Failed { why: StartFailure::Image },
            Report::Exited { code: 3 },
        ];
        let show = |step: Option<Step>| match step {
            None => "-",
            Some(Step::Begins) => "begins",
            Some(Step::Turns { is_healthy: true }) => "well",
            Some(Step::Turns { is_healthy: false }) => "ill",
            Some(Step::Ends(Ending::Exited { code: 3 })) => "exited",
            Some(Step::Ends(Ending::FailedToStart(StartFailure::Image))) => "failed",
            Some(Step::Ends(_)) => "?",
        };
        let want = [
            ["-", "-", "-", "-", "-"],
            ["begins", "-", "-", "failed", "exited"],
            ["-", "well", "ill", "-", "exited"],
            ["-", "-", "ill", "-", "exited"],
            ["-", "well", "-", "-", "exited"],
        ];
        for (stage, want) in Stage::ALL.into_iter().zip(want) {
            assert_eq!(reports.map(|it| show(stage.after(it))), want, "{stage:?}");
        }
    }
}
