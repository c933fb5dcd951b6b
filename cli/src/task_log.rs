//! `tasks.csv`: every task of a run in arrival order. Node, placing and start are those of its last attempt;
//! the wait is that for the first.

use cluster::event::{Change, Ending};
use cluster::ids::{NodeId, TaskId};
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::Instant;
use sha2::{Digest, Sha256};
use std::path::Path;
use traces::Workload;

#[derive(Debug, Clone, Copy)]
struct Row {
    arrival: Instant,
    node: Option<NodeId>,
    first_placed: Option<Instant>,
    placed: Option<Instant>,
    started: Option<Instant>,
    ended: Option<Instant>,
    attempts: u32,
    is_adopted: bool,
    outcome: &'static str,
}

/// Remembers where every task went. Memory grows with the number of tasks.
#[derive(Debug, Default)]
pub struct TaskLog(Vec<Option<Row>>);

impl TaskLog {
    fn row(&mut self, task: TaskId, arrival: Instant) -> &mut Row {
        let at = usize::try_from(task.0).expect("more tasks than memory");
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at].get_or_insert(Row {
            arrival,
            node: None,
            first_placed: None,
            placed: None,
            started: None,
            ended: None,
            attempts: 0,
            is_adopted: false,
            outcome: "waiting",
        })
    }

    /// Writes the file and returns the hash over the chosen nodes: SHA-256 of their indices in arrival
    /// order, each followed by a comma; a task without a node is `-`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(
        &self,
        path: &Path,
        workload: &Workload,
        state: &[String],
    ) -> Result<String, csv::Error> {
        let part = path.with_extension("csv.part");
        let mut out = csv::Writer::from_path(&part)?;
        out.write_record([
            "task",
            "name",
            "group",
            "arrival_us",
            "node",
            "node_name",
            "first_placed_us",
            "placed_us",
            "started_us",
            "ended_us",
            "wait_us",
            "attempts",
            "adopted",
            "outcome",
        ])?;
        let mut hash = Sha256::new();
        let time = |it: Option<Instant>| it.map(|it| it.0.to_string()).unwrap_or_default();
        for (at, row) in self.0.iter().enumerate() {
            let Some(row) = row else { continue };
            let task = TaskId(at as u64);
            let arrival = workload.task(task);
            let group = arrival.submission.group.map(|it| workload.group_name(it).to_owned());
            let node = row.node.map(|it| it.0.to_string());
            hash.update(node.as_deref().unwrap_or("-"));
            hash.update(",");
            let wait =
                row.first_placed.filter(|_| !row.is_adopted).map(|it| it.since(row.arrival).0);
            out.write_record([
                at.to_string(),
                workload.name(task),
                group.unwrap_or_default(),
                row.arrival.0.to_string(),
                node.unwrap_or_default(),
                row.node.map(|it| state[it.row()].clone()).unwrap_or_default(),
                time(row.first_placed),
                time(row.placed),
                time(row.started),
                time(row.ended),
                wait.map(|it| it.to_string()).unwrap_or_default(),
                row.attempts.to_string(),
                u8::from(row.is_adopted).to_string(),
                row.outcome.to_owned(),
            ])?;
        }
        out.flush()?;
        drop(out);
        std::fs::rename(&part, path)?;
        Ok(crate::workloads::hex(&hash.finalize()))
    }
}

impl Observer for TaskLog {
    fn advance(&mut self, _: Instant, _: &State) {}

    fn observe(&mut self, now: Instant, changes: &[Change], _: &State) {
        for change in changes {
            match *change {
                Change::Queued { task } => {
                    let row = self.row(task.task, task.submitted);
                    row.outcome = "waiting";
                }
                Change::Placed { task, node } | Change::Adopted { task, node } => {
                    let row = self.row(task.task, task.submitted);
                    row.node = Some(node);
                    row.first_placed.get_or_insert(now);
                    row.placed = Some(now);
                    row.started = task.started;
                    row.attempts = task.attempts;
                    row.is_adopted = task.adopted;
                    row.outcome = "placed";
                }
                Change::Started { task, .. } => {
                    let row = self.row(task.task, task.submitted);
                    row.started = Some(now);
                    row.outcome = "running";
                }
                Change::Interrupted { task, .. } => {
                    self.row(task.task, task.submitted).outcome = "interrupted";
                }
                Change::Ended { task, how, .. } => {
                    let row = self.row(task.task, task.submitted);
                    row.ended = Some(now);
                    row.outcome = match how {
                        Ending::Exited { .. } => "finished",
                        Ending::Cancelled => "cancelled",
                        Ending::Dropped(_) => "dropped",
                        Ending::Lost => "lost",
                        Ending::Evicted => "evicted",
                        Ending::FailedToStart(_) => "failed-to-start",
                        Ending::Stopped(_) => "stopped",
                    };
                }
                Change::NodeReady { .. }
                | Change::NodeDraining { .. }
                | Change::NodeLost { .. }
                | Change::NodeUpdated { .. }
                | Change::NodeUnreachable { .. }
                | Change::Health { .. }
                | Change::ServicePut { .. }
                | Change::ServiceDeleted { .. }
                | Change::ServiceThrottled { .. } => {}
            }
        }
    }
}
