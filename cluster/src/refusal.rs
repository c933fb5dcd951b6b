//! Why a shape fits nowhere, as counts.

use crate::demand::Resource;
use crate::event::HoldReason;
use crate::ids::NodeId;
use crate::nodes::{NodeStatus, Nodes};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many nodes fail which test. Each node counts once, under the first test it fails, in the order
/// of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Nodes looked at: all that ever joined.
    pub nodes: u32,
    /// Nodes that would take it now.
    pub fitting: u32,
    /// Out of reach.
    pub lost: u32,
    /// Take nothing new.
    pub draining: u32,
    /// Lack a required attribute.
    pub attribute: u32,
    /// Have not enough devices of a right model, however empty.
    pub gpu_model: u32,
    /// A host port is taken or reserved.
    pub port: u32,
    /// Out of reach for now.
    pub unreachable: u32,
    /// Its like failed to start there of late.
    pub failed_there: u32,
    /// Have a taint that it does not tolerate.
    pub tainted: u32,
    /// Short of a resource, in the order of [`Resource::ALL`].
    pub short_of: [u32; 4],
}

impl Refusal {
    /// Counts all nodes.
    pub fn count(nodes: &Nodes, shape: &Shape) -> Self {
        let mut it = Self::default();
        for node in nodes.ids() {
            it.nodes += 1;
            *it.counter(nodes, shape, node) += 1;
        }
        it
    }

    fn counter(&mut self, nodes: &Nodes, shape: &Shape, node: NodeId) -> &mut u32 {
        match nodes.status(node) {
            NodeStatus::Lost => return &mut self.lost,
            NodeStatus::Draining => return &mut self.draining,
            NodeStatus::Unreachable => return &mut self.unreachable,
            NodeStatus::Ready => {}
        }
        if !nodes.attributes_fit(shape, node) {
            return &mut self.attribute;
        }
        if nodes.untolerated(shape, node).is_some() {
            return &mut self.tainted;
        }
        if !nodes.gpu_models_fit(shape, node) {
            return &mut self.gpu_model;
        }
        if !nodes.ports_fit(shape, node) {
            return &mut self.port;
        }
        if shape.avoids.binary_search(&node).is_ok() {
            return &mut self.failed_there;
        }
        for resource in Resource::SCALARS {
            if shape.amounts[resource.row()] > nodes.free(resource)[node.row()] {
                return &mut self.short_of[resource.row()];
            }
        }
        if !nodes.gpus_fit(shape, node) {
            return &mut self.short_of[Resource::Gpu.row()];
        }
        &mut self.fitting
    }

    /// The test that most of the ready nodes fail; the earlier one among equals.
    pub fn reason(&self) -> HoldReason {
        let mut counts =
            vec![(self.attribute, HoldReason::Attribute), (self.gpu_model, HoldReason::GpuModel)];
        counts.push((self.port, HoldReason::PortTaken));
        counts.push((self.failed_there, HoldReason::FailedThere));
        counts.push((self.tainted, HoldReason::Tainted));
        for resource in Resource::ALL {
            counts.push((self.short_of[resource.row()], HoldReason::ShortOf(resource)));
        }
        if self.fitting > 0 {
            return HoldReason::HeldBack;
        }
        let most = counts.iter().map(|it| it.0).max().unwrap_or(0);
        match counts.into_iter().find(|it| it.0 == most) {
            Some((1.., reason)) => reason,
            _ => HoldReason::NoNodes,
        }
    }
}

/// `none of 40 fits: 31 short of memory, 9 draining`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("there is no node");
        }
        if self.fitting > 0 {
            write!(f, "{} of {} fit", self.fitting, self.nodes)?;
        } else {
            write!(f, "none of {} fits", self.nodes)?;
        }
        let mut parts = Vec::new();
        for (count, text) in [
            (self.lost, "lost"),
            (self.draining, "draining"),
            (self.unreachable, "out of reach"),
            (self.attribute, "without a required attribute"),
            (self.gpu_model, "without enough gpus of the model"),
            (self.port, "with a host port taken"),
            (self.failed_there, "where its like failed to start"),
            (self.tainted, "with a taint not tolerated"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        }
        for resource in Resource::ALL {
            let count = self.short_of[resource.row()];
            if count > 0 {
                parts.push(format!("{count} short of {resource}"));
            }
        }
        if parts.is_empty() { Ok(()) } else { write!(f, ": {}", parts.join(", ")) }
    }
}
