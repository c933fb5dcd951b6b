//! Demands resolved to ids and numbered: what a scheduler compares with a node.

use crate::constraint::{Test, Toleration};
use crate::demand::{Amounts, Demand, Port};
use crate::ids::{AttributeId, ModelId, NodeId, ValueId};
use crate::units::GpuMilli;
use serde::{Deserialize, Serialize};

/// A demand whose texts are resolved to ids, ready to be compared with node columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The demand as it was put.
    pub demand: Demand,
    /// Cpu, memory, disk as bare numbers.
    pub amounts: [u64; 3],
    /// Number of GPU devices asked for.
    pub gpu_count: u16,
    /// Share asked of each device.
    pub gpu_milli: GpuMilli,
    /// Models that will do; empty means any.
    pub gpu_models: Vec<ModelId>,
    /// Fixed host ports, sorted.
    pub ports: Vec<Port>,
    /// Attributes that are asked for.
    pub requires: Vec<(AttributeId, Asked)>,
    /// Lists of which one must hold as a whole; none asks nothing.
    pub any_of: Vec<Vec<(AttributeId, Asked)>>,
    /// Nodes where its like failed to start of late, ascending.
    pub avoids: Vec<NodeId>,
    /// Asks for scalar resources only: no device, port or attribute, and avoids no node.
    pub is_plain: bool,
}

/// What is asked of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// Any value.
    Any,
    /// One of these values.
    OneOf(Vec<ValueId>),
    /// What the text of the value is tested for.
    Text(Test),
}

impl Shape {
    /// What [`Shape::is_plain`] keeps.
    pub(crate) fn asks_plainly(&self) -> bool {
        self.gpu_count == 0
            && self.ports.is_empty()
            && self.requires.is_empty()
            && self.any_of.is_empty()
            && self.avoids.is_empty()
    }

    /// Taints that it does not mind.
    pub fn tolerations(&self) -> &[Toleration] {
        &self.demand.tolerations
    }

    /// Cpu, memory and disk.
    pub fn amounts(&self) -> Amounts {
        self.demand.amounts
    }

    /// Cpu, memory, disk and summed GPU share, in the order of [`Resource::ALL`](crate::demand::Resource::ALL).
    pub fn totals(&self) -> [u64; 4] {
        let [cpu, memory, disk] = self.amounts;
        [cpu, memory, disk, u64::from(self.gpu_count) * u64::from(self.gpu_milli.0)]
    }
}
