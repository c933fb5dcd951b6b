//! Demands resolved to ids and numbered: what a scheduler compares with a node.

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
    /// Per attribute the values that will do; an empty list means any value.
    pub requires: Vec<(AttributeId, Vec<ValueId>)>,
    /// Nodes where its like failed to start of late, ascending.
    pub avoids: Vec<NodeId>,
    /// Asks for scalar resources only: no device, port or attribute, and avoids no node.
    pub is_plain: bool,
}

impl Shape {
    /// What [`Shape::is_plain`] keeps.
    pub(crate) fn asks_plainly(&self) -> bool {
        self.gpu_count == 0
            && self.ports.is_empty()
            && self.requires.is_empty()
            && self.avoids.is_empty()
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
