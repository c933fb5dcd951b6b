//! What can happen to a cluster (events), what it asks of the world (actions), and what thereby
//! changed (changes).

use crate::constraint::Budget;
use crate::demand::{Port, Resource, TaskDefinition};
use crate::ids::{DefinitionId, GroupId, NodeId, TaskId};
use crate::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use crate::service::ServiceSpec;
use crate::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that can happen *to* a cluster. Nothing else changes its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A task definition is registered; later submits name it by id.
    DefinitionPut {
        /// The next free definition id.
        definition: DefinitionId,
        /// What its tasks consist of.
        spec: TaskDefinition,
    },
    /// Something happened to a node.
    Node {
        /// Which.
        node: NodeId,
        /// What.
        event: NodeEvent,
    },
    /// Somebody wants a task to run.
    TaskSubmitted(Submission),
    /// A task is found running on a node, without the manager having put it there: the resident
    /// population of a trace, or a container that outlived its controller.
    TaskAdopted {
        /// As if it had been submitted now.
        submission: Submission,
        /// Where it runs. It is booked there whether or not it fits.
        node: NodeId,
    },
    /// Nobody wants the task any longer, whether it waits or runs.
    TaskCancelled {
        /// Which. An unknown or ended task is ignored.
        task: TaskId,
    },
    /// The world reports on a task it was told to start. A report of an earlier attempt is stale and
    /// is ignored.
    TaskReported {
        /// Which task.
        task: TaskId,
        /// The attempt that the start action named.
        attempt: u32,
        /// What is said about it.
        report: Report,
    },
    /// A moment asked for by [`Action::Wake`] has come.
    Timer,
    /// A live world says something of a node.
    NodeReported {
        /// Which.
        node: NodeId,
        /// What.
        report: NodeReport,
    },
    /// A service is created, or changed: scaled, or told to run another definition from now on.
    ServicePut {
        /// The group that its tasks are counted in; never used for anything else.
        service: GroupId,
        /// What it shall be.
        spec: ServiceSpec,
    },
    /// A service is to be gone, with all its tasks. An unknown one is ignored.
    ServiceDeleted {
        /// Which.
        service: GroupId,
    },
    /// A disruption budget is made, or changed.
    BudgetPut(Budget),
}

/// What can happen to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeEvent {
    /// It is new, and ready. Ids are given in joining order.
    Joined(Box<NodeSpec>),
    /// It is out of reach; its tasks are gone.
    Lost,
    /// It is ready again, after having been lost or draining. A lost node returns empty.
    Returned,
    /// It takes nothing new and keeps what it runs, but for tasks of services: those that only start
    /// are stopped, those that run are stopped once others run in their place.
    Draining,
    /// It offers something else than before. What it runs stays.
    Updated(NodeCapacity),
}

/// What a live world says of a node; traces say [`NodeEvent`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeReport {
    /// Contact is lost. It takes nothing new; what it runs is believed to run on. After
    /// [`Rules::lost_after`](crate::rules::Rules::lost_after) it counts as lost. Said again, the time counts
    /// from then: a controller that starts anew gives its nodes all of it to be found again.
    Unreachable,
    /// There is contact again. What it runs was kept, unless it counted as lost meanwhile: then it is
    /// empty. A draining node goes on draining.
    Reachable,
    /// It drains no longer.
    Activated,
    /// Of its host ports, others hold these, sorted: tasks cannot have them. Replaces what was said
    /// before.
    PortsTaken(Vec<Port>),
}

/// A task as it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Never used before.
    pub task: TaskId,
    /// What it consists of; must have been put.
    pub definition: DefinitionId,
    /// What it is counted together with.
    pub group: Option<GroupId>,
    /// Whether its group is a service (kept alive) or a job (ends).
    pub kind: TaskKind,
    /// Higher is more important.
    pub priority: i32,
    /// How long the user says that it will run. Not what it really takes.
    pub estimate: Option<Span>,
    /// What becomes of it when its node is lost.
    pub on_loss: OnLoss,
}

/// Whether a task belongs to something kept alive or to something that ends.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TaskKind {
    /// Runs to its end.
    #[default]
    Job,
    /// Runs until it is told to stop; its group should survive the loss of a zone.
    Service,
}

/// What becomes of a task whose node is lost.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum OnLoss {
    /// Back to the queue, at its old place, to start from zero.
    #[default]
    Restart,
    /// It ends with its node: the trace says that it was not run again.
    End,
}

/// What the world says about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// All its containers run.
    Started,
    /// It left its node by itself, with this exit status.
    Exited {
        /// 0 is success.
        code: i32,
    },
    /// Its health checks pass.
    Healthy,
    /// Its health checks fail.
    Unhealthy,
    /// It could not be started, and nothing of it is left on the node.
    Failed {
        /// What stood in the way.
        why: StartFailure,
    },
}

/// What stood in the way of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StartFailure {
    /// The image is not there and cannot be had.
    Image,
    /// A host port is held by somebody else.
    Port,
    /// The command does not exist, or may not be run.
    Command,
    /// A volume or a directory is missing.
    Volume,
    /// A container that others wait for can no longer become what they wait for.
    Dependency,
    /// It took too long.
    Timeout,
    /// Anything else.
    Other,
}

impl StartFailure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::Port,
        Self::Command,
        Self::Volume,
        Self::Dependency,
        Self::Timeout,
        Self::Other,
    ];
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image not to be had",
            Self::Port => "host port taken",
            Self::Command => "command cannot be run",
            Self::Volume => "volume missing",
            Self::Dependency => "dependency failed",
            Self::Timeout => "took too long",
            Self::Other => "refused by the node",
        })
    }
}

/// Everything the manager may ask of the world. The simulator turns these into later events; the
/// live runtime turns them into Docker calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Start the task's containers on the node. Its fixed host ports are those of its definition.
    Start {
        /// Which task.
        task: TaskId,
        /// Where.
        node: NodeId,
        /// Counts the starts of this task from 1; reports carry it back.
        attempt: u32,
        /// Which GPU devices of the node it gets.
        devices: DeviceSet,
    },
    /// Stop the task's containers on the node; what they hold counts as free from now on.
    Stop {
        /// Which task.
        task: TaskId,
        /// Where.
        node: NodeId,
        /// The attempt to stop.
        attempt: u32,
        /// Why.
        reason: StopReason,
    },
    /// The task will not be placed: it was tried and the rules say to drop it.
    Drop {
        /// Which task.
        task: TaskId,
        /// Why it was not placed.
        reason: HoldReason,
    },
    /// The task waits. Said once per wait.
    Hold {
        /// Which task.
        task: TaskId,
        /// Why it was not placed at once.
        reason: HoldReason,
    },
    /// Send [`Event::Timer`] at this moment.
    Wake {
        /// Never in the past.
        at: Instant,
    },
}

/// Why a task is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StopReason {
    /// It was cancelled.
    Cancelled,
    /// The scheduler took it off its node in favour of others; it waits again.
    Evicted,
    /// The scheduler ended it in favour of others.
    Killed,
    /// Its service has more tasks than it should.
    Surplus,
    /// It is unhealthy; its service runs another in its place.
    Unhealthy,
    /// Its node drains.
    Drained,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::Evicted => "evicted",
            Self::Killed => "killed",
            Self::Surplus => "surplus",
            Self::Unhealthy => "unhealthy",
            Self::Drained => "drained",
        })
    }
}

/// Why a task waits or is dropped, as a class. `explain` gives the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HoldReason {
    /// No node is ready.
    NoNodes,
    /// Most nodes that were ready are short of this resource.
    ShortOf(Resource),
    /// On most nodes a host port is taken.
    PortTaken,
    /// Most nodes lack the GPU model.
    GpuModel,
    /// Most nodes lack a required attribute.
    Attribute,
    /// An earlier task waits at the head of the line.
    BehindHead,
    /// It fits somewhere, but the scheduler keeps it back.
    HeldBack,
    /// On most nodes that have room, its like failed to start of late.
    FailedThere,
    /// Its service has no more use for it.
    Unwanted,
    /// Most nodes have a taint that it does not tolerate.
    Tainted,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => f.write_str("no node is ready"),
            Self::ShortOf(resource) => write!(f, "short of {resource}"),
            Self::PortTaken => f.write_str("host port taken"),
            Self::GpuModel => f.write_str("no such gpu model"),
            Self::Attribute => f.write_str("attribute missing"),
            Self::BehindHead => f.write_str("behind the head of the line"),
            Self::HeldBack => f.write_str("held back by the scheduler"),
            Self::FailedThere => f.write_str("its like failed to start there"),
            Self::Unwanted => f.write_str("no more use for it"),
            Self::Tainted => f.write_str("taint not tolerated"),
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// By itself.
    Exited {
        /// 0 is success.
        code: i32,
    },
    /// It was cancelled while it waited or ran.
    Cancelled,
    /// Dropped without having been placed (again).
    Dropped(HoldReason),
    /// Its node was lost and it is not to be run again.
    Lost,
    /// The scheduler killed it.
    Evicted,
    /// It never ran.
    FailedToStart(StartFailure),
    /// The manager stopped it: its service had no more use for it, or it was unhealthy.
    Stopped(StopReason),
}

/// A transition of the cluster's state, told to schedulers and to observers after it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A node joined or came back, or takes tasks again.
    NodeReady {
        /// Which.
        node: NodeId,
    },
    /// A node takes no new tasks.
    NodeDraining {
        /// Which.
        node: NodeId,
    },
    /// A node is gone. The changes of its tasks come before.
    NodeLost {
        /// Which.
        node: NodeId,
    },
    /// A node offers something else.
    NodeUpdated {
        /// Which.
        node: NodeId,
    },
    /// Contact with a node is lost; its tasks are believed to run on.
    NodeUnreachable {
        /// Which.
        node: NodeId,
    },
    /// A task joined the queue: it is new, or it lost its node.
    Queued {
        /// Its history so far.
        task: Facts,
    },
    /// A task was given a node.
    Placed {
        /// Its history so far.
        task: Facts,
        /// Where.
        node: NodeId,
    },
    /// A task was found on a node and booked there.
    Adopted {
        /// Its history so far.
        task: Facts,
        /// Where.
        node: NodeId,
    },
    /// A placed task runs.
    Started {
        /// Its history so far.
        task: Facts,
        /// Where.
        node: NodeId,
    },
    /// A running task's health checks say something else than before.
    Health {
        /// Its history so far.
        task: Facts,
        /// Where.
        node: NodeId,
        /// Whether they pass.
        is_healthy: bool,
    },
    /// A service was created or changed.
    ServicePut {
        /// Which.
        service: GroupId,
    },
    /// A service is gone; its tasks are being stopped.
    ServiceDeleted {
        /// Which.
        service: GroupId,
    },
    /// A service's tasks fail to start: no more are tried before this moment.
    ServiceThrottled {
        /// Which.
        service: GroupId,
        /// Failures in a row.
        failures: u32,
        /// When the next task is tried.
        until: Instant,
    },
    /// A task lost its node, or was evicted, and what it had done is lost. [`Change::Queued`] or
    /// [`Change::Ended`] follows.
    Interrupted {
        /// Its history so far.
        task: Facts,
        /// Where it was.
        node: NodeId,
    },
    /// A task is over and forgotten.
    Ended {
        /// Its whole history.
        task: Facts,
        /// Where it was, if it was placed at that moment.
        node: Option<NodeId>,
        /// How.
        how: Ending,
    },
}

/// What is known of a task at the moment of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Which task.
    pub task: TaskId,
    /// What it consists of.
    pub definition: DefinitionId,
    /// What it is counted together with.
    pub group: Option<GroupId>,
    /// Service or job.
    pub kind: TaskKind,
    /// Higher is more important.
    pub priority: i32,
    /// When it was submitted or adopted.
    pub submitted: Instant,
    /// When it last joined the queue.
    pub queued: Instant,
    /// When it was last placed.
    pub placed: Option<Instant>,
    /// When it last began to run.
    pub started: Option<Instant>,
    /// How often it was placed.
    pub attempts: u32,
    /// Whether it was found rather than placed.
    pub adopted: bool,
}
