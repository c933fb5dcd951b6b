//! Tasks: what became of them, in exact counts.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use cluster::event::{Ending, Facts};
use cluster::ids::NodeId;
use cluster::nodes::NodeStatus;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

const CARD: Card = Card {
    name: "tasks",
    title: "Tasks",
    definition: "Every task is submitted or adopted (found running), once. It is finished (exited by \
        itself, whatever its status; failed counts those with a status other than 0), dropped, \
        cancelled, killed (its node was lost or it was evicted, and it was not to run again), or \
        unfinished (waiting or placed when the run ends). Submitted + adopted = finished + dropped + \
        cancelled + killed + unfinished. Placed counts tasks placed at least once, unplaced those \
        that were dropped or still waited at the end without ever having been placed. Interruptions \
        count how often a task lost its node, evictions how often the scheduler took one off its \
        node; one task can be counted several times. Unfinished has no good direction by itself: \
        services are meant to be alive at the end, and dropping a task also makes it not unfinished.",
    source: "Counts; none of them is rounded or sampled.",
};

fn columns() -> Vec<Column> {
    use Better::{Higher, Lower, Neither};
    let count = |name: &str, better, title: &str, summary: &str| {
        let unit = if name.starts_with("tasks") { Unit::Tasks } else { Unit::Times };
        Column::new(name, unit, better, title, summary)
    };
    vec![
        count("tasks_submitted", Neither, "submitted", "Tasks submitted."),
        count("tasks_adopted", Neither, "adopted", "Tasks found running."),
        count("tasks_placed", Higher, "placed", "Tasks placed at least once."),
        count(
            "tasks_unplaced",
            Lower,
            "never placed",
            "Tasks dropped, or waiting at the end, that were never placed.",
        )
        .headline(),
        count("tasks_finished", Higher, "finished", "Tasks that exited by themselves."),
        count(
            "tasks_failed",
            Neither,
            "failed",
            "Finished tasks with an exit status other than 0.",
        ),
        count("tasks_dropped", Lower, "dropped", "Tasks given up because they fitted nowhere.")
            .headline(),
        count("tasks_cancelled", Neither, "cancelled", "Tasks that nobody wanted any longer."),
        count("tasks_killed", Lower, "killed", "Tasks that ended with their node or by eviction."),
        count("tasks_unfinished", Neither, "unfinished", "Tasks waiting or placed at the end.")
            .headline(),
        count("interruptions", Lower, "interruptions", "Times a task lost its node."),
        count("evictions", Lower, "evictions", "Times the scheduler took a task off its node."),
    ]
}

fn sample_columns() -> Vec<Column> {
    let tasks = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Tasks, Better::Neither, title, summary)
    };
    vec![
        tasks("tasks_pending", "pending", "Tasks that wait."),
        tasks("tasks_on_nodes", "on nodes", "Tasks placed, starting ones included."),
    ]
}

#[derive(Default)]
pub(super) struct Tasks {
    submitted: u64,
    adopted: u64,
    placed: u64,
    cancelled_unplaced: u64,
    finished: u64,
    failed: u64,
    dropped: u64,
    cancelled: u64,
    killed: u64,
    interruptions: u64,
    evictions: u64,
}

impl Metric for Tasks {
    #[inline]
    fn queued(&mut self, _: &Moment<'_>, task: &Facts) {
        self.submitted += u64::from(task.attempts == 0);
    }

    fn adopted(&mut self, _: &Moment<'_>, _: &Facts, _: NodeId) {
        self.adopted += 1;
    }

    #[inline]
    fn placed(&mut self, _: &Moment<'_>, task: &Facts, _: NodeId) {
        self.placed += u64::from(task.attempts == 1);
    }

    fn interrupted(&mut self, at: &Moment<'_>, _: &Facts, node: NodeId) {
        if at.state.nodes().status(node) == NodeStatus::Lost {
            self.interruptions += 1;
        } else {
            self.evictions += 1;
        }
    }

    #[inline]
    fn ended(&mut self, _: &Moment<'_>, task: &Facts, _: Option<NodeId>, how: Ending) {
        match how {
            Ending::Exited { code } => {
                self.finished += 1;
                self.failed += u64::from(code != 0);
            }
            // A service that has no more use for a task takes it back, as a user does.
            Ending::Cancelled | Ending::Stopped(_) => {
                self.cancelled += 1;
                self.cancelled_unplaced += u64::from(task.attempts == 0);
            }
            Ending::Dropped(_) => self.dropped += 1,
            Ending::Lost | Ending::Evicted | Ending::FailedToStart(_) => self.killed += 1,
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        out.push(Some(at.state.pending_count() as f64));
        out.push(Some(at.totals().tasks as f64));
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let unplaced = self.submitted - self.placed - self.cancelled_unplaced;
        let unfinished = at.state.task_count() as u64;
        let ended = self.finished + self.dropped + self.cancelled + self.killed;
        assert_eq!(
            self.submitted + self.adopted,
            ended + unfinished,
            "every task is somewhere: {} submitted and {} adopted, {ended} ended and {unfinished} not",
            self.submitted,
            self.adopted
        );
        let counts = [
            self.submitted,
            self.adopted,
            self.placed,
            unplaced,
            self.finished,
            self.failed,
            self.dropped,
            self.cancelled,
            self.killed,
            unfinished,
            self.interruptions,
            self.evictions,
        ];
        out.extend(counts.map(|it| Some(it as f64)));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{check, run};

    #[test]
    fn every_task_is_counted_once() {
        check(
            "rules autostart
             0 node a z1 2/4
             0 node b z1 2/4
             0 adopt 9 1/1 b end-on-loss
             0 submit 1 2/4 @a
             0 submit 2 1/1 @b end-on-loss
             0 submit 3 2/4 @a
             1 submit 4 2/4 @a
             2 lose b
             4 exit 1 3
             6 cancel 4
             8 exit 3 0
             9 submit 5 8/8
             20 end",
            &[
                ("tasks_submitted", "5"),
                ("tasks_adopted", "1"),
                ("tasks_placed", "3"),
                ("tasks_unplaced", "1"),
                ("tasks_finished", "2"),
                ("tasks_failed", "1"),
                ("tasks_dropped", "0"),
                ("tasks_cancelled", "1"),
                ("tasks_killed", "2"),
                ("tasks_unfinished", "1"),
                ("interruptions", "2"),
                ("evictions", "0"),
            ],
        );
    }

    #[test]
    fn dropped_tasks_are_unplaced() {
        check(
            "rules drop
             0 node a z1 2/4
             0 submit 1 2/4
             1 submit 2 2/4
             20 end",
            &[("tasks_dropped", "1"), ("tasks_unplaced", "1"), ("tasks_unfinished", "1")],
        );
    }

    #[test]
    fn samples_show_the_queue() {
        let report = run("0 node a z1 2/4\n0 submit 1 2/4\n0 submit 2 2/4\n2 cancel 1\n3 end");
        let pending: Vec<_> =
            report.samples.series("tasks_pending").into_iter().map(|it| it.1.unwrap()).collect();
        assert_eq!(pending, [1.0, 1.0, 0.0, 0.0]);
    }
}
