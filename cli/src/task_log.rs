//! `tasks.csv`: every task of a run in arrival order. Node, placing and start are those of its last attempt;
//! the wait is that for the first.

use crate::workloads::Ready;
use cluster::event::{Change, Ending, Facts};
use cluster::ids::{GroupId, NodeId, TaskId};
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::Instant;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, Copy)]
struct Row {
    arrival: Instant,
    group: Option<GroupId>,
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
pub struct TaskLog {
    /// By number.
    tasks: Vec<Option<Row>>,
    /// Tasks that services made.
    replicas: BTreeMap<TaskId, Row>,
}

impl TaskLog {
    fn row(&mut self, task: &Facts) -> &mut Row {
        let new = Row {
            arrival: task.submitted,
            group: task.group,
            node: None,
            first_placed: None,
            placed: None,
            started: None,
            ended: None,
            attempts: 0,
            is_adopted: false,
            outcome: "waiting",
        };
        if task.task.is_replica() {
            return self.replicas.entry(task.task).or_insert(new);
        }
        let at = usize::try_from(task.task.0).expect("more tasks than memory");
        if self.tasks.len() <= at {
            self.tasks.resize(at + 1, None);
        }
        self.tasks[at].get_or_insert(new)
    }

    /// Writes the file and returns the hash over the chosen nodes: SHA-256 of their indices in arrival
    /// order, each followed by a comma; a task without a node is `-`. Tasks of services come last, in the
    /// order of their making.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(
        &self,
        path: &Path,
        ready: &Ready,
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
        let tasks =
            self.tasks.iter().zip(0..).filter_map(|(it, id)| Some((TaskId(id), it.as_ref()?)));
        for (task, row) in tasks.chain(self.replicas.iter().map(|(&task, row)| (task, row))) {
            let group = row.group.map(|it| ready.group_name(it).into_owned());
            let number = if task.is_replica() { task.to_string() } else { task.0.to_string() };
            let node = row.node.map(|it| it.0.to_string());
            hash.update(node.as_deref().unwrap_or("-"));
            hash.update(",");
            let wait =
                row.first_placed.filter(|_| !row.is_adopted).map(|it| it.since(row.arrival).0);
            out.write_record([
                number,
                ready.task_name(task).into_owned(),
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
                    let row = self.row(&task);
                    row.outcome = "waiting";
                }
                Change::Placed { task, node } | Change::Adopted { task, node } => {
                    let row = self.row(&task);
                    row.node = Some(node);
                    row.first_placed.get_or_insert(now);
                    row.placed = Some(now);
                    row.started = task.started;
                    row.attempts = task.attempts;
                    row.is_adopted = task.adopted;
                    row.outcome = "placed";
                }
                Change::Started { task, .. } => {
                    let row = self.row(&task);
                    row.started = Some(now);
                    row.outcome = "running";
                }
                Change::Interrupted { task, .. } => {
                    self.row(&task).outcome = "interrupted";
                }
                Change::Ended { task, how, .. } => {
                    let row = self.row(&task);
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
