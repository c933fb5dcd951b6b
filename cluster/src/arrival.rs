//! The arrival stream: what a workload does to a cluster, in time order. Readers and generators make
//! it, the simulator merges it with its own agenda.

use crate::demand::TaskDefinition;
use crate::event::{Event, NodeEvent, Submission};
use crate::ids::{DefinitionId, NodeId};
use crate::units::{Instant, Span};

/// One thing that a workload does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When. A stream never goes back in time.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What a workload can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Registers a definition; comes before the first task that names it. Ids count up from zero.
    Definition {
        /// The next free id.
        definition: DefinitionId,
        /// What its tasks consist of.
        spec: TaskDefinition,
    },
    /// Changes a node. Ids count up from zero in joining order.
    Node {
        /// Which.
        node: NodeId,
        /// How.
        event: NodeEvent,
    },
    /// Brings a task.
    Task(TaskArrival),
    /// Anything else that the manager is told as it is: services, what a live world said of a node.
    /// Of traces, only scenarios bring any: disruption budgets.
    Told(Event),
}

/// A task of a workload, with what only the world knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskArrival {
    /// What the manager is told.
    pub submission: Submission,
    /// How long it runs once started; `None` runs until it is withdrawn or the run ends.
    pub lifetime: Option<Span>,
    /// When its user takes it back, whether it waits or runs by then.
    pub withdrawn: Option<Instant>,
    /// The node it already runs on when the workload begins. Booked there whether or not it fits.
    pub resident: Option<NodeId>,
}

/// Why a stream ended early; the reader's own error, kept whole for whoever prints it.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// A workload as a stream. Arrivals come in time order, those of one instant in the order in which
/// they are to be applied.
pub trait ArrivalStream {
    /// The next arrival, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Whatever the reader found wrong with its input. The stream is over then.
    fn next(&mut self) -> Result<Option<Arrival>, StreamError>;
}

impl<S: ArrivalStream + ?Sized> ArrivalStream for Box<S> {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        (**self).next()
    }
}

/// Arrivals held in memory, for tests and small workloads.
impl ArrivalStream for std::vec::IntoIter<Arrival> {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        Ok(Iterator::next(self))
    }
}
