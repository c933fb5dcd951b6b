//! What a running controller can be asked, and what it answers: one line of JSON each way, over a socket in
//! its state folder.
//!
//! Everything that changes something is answered once it is on disk.

#[cfg(unix)]
mod client;
#[cfg(unix)]
pub(crate) mod server;

#[cfg(unix)]
pub use client::{Client, ClientError};

use crate::plan::Plan;
use crate::program::Overrides;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a controller can be asked. Tasks are named as they are shown, such as `t12` and `r3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How things stand: [`Answer::Status`].
    Status,
    /// Do this: [`Answer::Applied`]. A definition that is known already, revision aside, is not put again;
    /// one whose name is taken gets the next free revision.
    Apply {
        /// What shall happen.
        plan: Plan,
        /// The digest of the files it was read from, if it is to be applied only once in the life of this
        /// cluster.
        once: Option<String>,
    },
    /// Run tasks once: [`Answer::Tasks`].
    Run {
        /// `family:revision`, or `family` for its last revision.
        definition: String,
        /// How many.
        count: u32,
        /// What they are counted with.
        group: Option<String>,
        /// What they change of their definition; a container named "" is the only one.
        overrides: Overrides,
    },
    /// Change the desired number of a service's tasks: [`Answer::Done`].
    Scale {
        /// Which service.
        service: String,
        /// How many tasks it shall have.
        desired: u32,
    },
    /// Stop tasks: [`Answer::Done`]. A service runs others in their place.
    StopTasks {
        /// Which.
        tasks: Vec<String>,
    },
    /// Delete services with their tasks: [`Answer::Done`].
    DeleteServices {
        /// Which.
        services: Vec<String>,
    },
    /// Drain a node, or let it take tasks again: [`Answer::Done`].
    Drain {
        /// Its name.
        node: String,
        /// Let it take tasks again.
        undo: bool,
    },
    /// The tasks: [`Answer::Tasks`].
    Tasks {
        /// Those that ended, too.
        ended: bool,
    },
    /// The nodes: [`Answer::Nodes`].
    Nodes,
    /// The services: [`Answer::Services`].
    Services,
    /// What was recorded: [`Answer::Events`].
    Events {
        /// From this record on, counted from 1; `None` gives the last ones.
        from: Option<u64>,
        /// At most this many.
        limit: u32,
    },
    /// What a container wrote last: [`Answer::Logs`].
    Logs {
        /// Which task.
        task: String,
        /// Which of its containers; the first by name if left out.
        container: Option<String>,
        /// How many lines.
        lines: u32,
    },
    /// Why a task is where it is: [`Answer::Explained`].
    Explain {
        /// Which.
        task: String,
    },
    /// Remove everything of ours from all hosts, and end: [`Answer::Down`].
    Down,
    /// End, and leave tasks running: [`Answer::Done`].
    End,
}

/// What a controller answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done, and on disk.
    Done {
        /// One line for each thing that was done.
        notes: Vec<String>,
    },
    /// See [`Status`].
    Status(Status),
    /// See [`Applied`].
    Applied(Applied),
    /// Tasks, by submission.
    Tasks(Vec<TaskView>),
    /// Nodes, as they joined.
    Nodes(Vec<NodeView>),
    /// Services, by age.
    Services(Vec<ServiceView>),
    /// Records, by number.
    Events(Vec<EventView>),
    /// What a container wrote; bytes that are no text are replaced.
    Logs(String),
    /// See [`Explanation`].
    Explained(Box<Explanation>),
    /// See [`Removed`], by host.
    Down(Vec<Removed>),
    /// It cannot be done.
    Refused {
        /// Why.
        what: String,
        /// What to do next.
        help: String,
    },
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the cluster.
    pub cluster: String,
    /// Label of its containers.
    pub owner: String,
    /// The policy.
    pub policy: String,
    /// Seed of all chance.
    pub seed: u64,
    /// Microseconds since the cluster was made.
    pub now_us: u64,
    /// Moment zero, in microseconds since 1970.
    pub epoch_unix_us: u64,
    /// Records in the journal.
    pub records: u64,
    /// The hash over them.
    pub fingerprint: String,
    /// Nodes by state.
    pub nodes: BTreeMap<NodeState, u32>,
    /// Tasks by state; those that ended are not counted.
    pub tasks: BTreeMap<TaskState, u32>,
    /// Tasks that ended so far.
    pub ended: u64,
    /// What is still to be done of plans.
    pub agenda: u64,
    /// When the next of it is due, in microseconds since the cluster was made.
    pub next_due_us: Option<u64>,
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// It had been applied before, and nothing was done.
    pub was_known: bool,
    /// Names that its definitions got, in its order.
    pub definitions: Vec<String>,
    /// The tasks that it submits, in its order; those that come later, too.
    pub tasks: Vec<String>,
    /// Steps that were put on the agenda.
    pub later: u64,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// In the queue.
    Pending,
    /// Placed, and not running yet.
    Starting,
    /// All its containers run, or ran.
    Running,
    /// It is over.
    Ended,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name, such as `t12` or `r3`.
    pub task: String,
    /// Its definition.
    pub definition: String,
    /// Its service, for tasks that a service made.
    pub service: Option<String>,
    /// What else it is counted with.
    pub group: Option<String>,
    /// Where it runs, or ran last.
    pub node: Option<String>,
    /// That node's zone.
    pub zone: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// What its health checks last said.
    pub is_healthy: Option<bool>,
    /// Counts its starts.
    pub attempt: u32,
    /// Since when it stands there, in microseconds since the cluster was made.
    pub since_us: u64,
    /// Ports of the host and where they lead, such as `32768->80/tcp`.
    pub ports: Vec<String>,
    /// Why it waits, or how and why it ended; empty if there is nothing to say.
    pub reason: String,
    /// Exit codes of containers that ended, by name.
    pub exit_codes: BTreeMap<String, i64>,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It was never reached, so that it has not joined.
    Unknown,
    /// It takes tasks.
    Ready,
    /// It keeps its tasks and takes no new ones.
    Draining,
    /// Out of reach for now.
    Unreachable,
    /// Out of reach for so long that its tasks run elsewhere.
    Lost,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub node: String,
    /// Its zone, once it has joined.
    pub zone: Option<String>,
    /// Where it stands.
    pub state: NodeState,
    /// Where Docker listens; `None` if `hosts.toml` names it no longer.
    pub address: Option<String>,
    /// Its tasks.
    pub tasks: u32,
    /// Cpu that tasks may have, in thousandths of a core.
    pub cpu_milli: u64,
    /// Of which is free.
    pub cpu_milli_free: u64,
    /// Memory that tasks may have, in bytes.
    pub memory_bytes: u64,
    /// Of which is free.
    pub memory_bytes_free: u64,
    /// GPU devices.
    pub gpus: u32,
    /// Docker's version, while it is in reach.
    pub docker: Option<String>,
    /// Why it is out of reach, or what is odd about it; empty if there is nothing to say.
    pub reason: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// What its new tasks run.
    pub definition: String,
    /// How many tasks it shall have.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many start.
    pub starting: u32,
    /// How many wait.
    pub pending: u32,
    /// How many run on draining nodes, until others run in their place.
    pub leaving: u32,
    /// Starts in a row that failed.
    pub failures: u32,
    /// No task is tried before this moment, in microseconds since the cluster was made.
    pub throttled_until_us: Option<u64>,
}

/// A record of the journal, with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its number, from 1.
    pub number: u64,
    /// Microseconds since the cluster was made.
    pub at_us: u64,
    /// What happened.
    pub what: String,
    /// What the manager answered.
    pub actions: Vec<String>,
}

/// Why a task is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How it stands.
    pub task: TaskView,
    /// In a sentence or two.
    pub why: String,
    /// Everything recorded about it.
    pub history: Vec<EventView>,
    /// What its policy says of every node, if it waits.
    #[serde(default)]
    pub nodes: Vec<NodeVerdict>,
}

/// What a policy says of one node for a task that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeVerdict {
    /// Which node.
    pub node: String,
    /// `rejected`, `would do`, or `not looked at`.
    pub verdict: String,
    /// By what and by how much, or what its score is made of.
    pub because: String,
}

/// What was removed from a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Which host.
    pub host: String,
    /// Containers removed.
    pub containers: u64,
    /// Why it is not known that nothing is left; `None` if it was looked at and nothing is.
    pub left: Option<String>,
}
