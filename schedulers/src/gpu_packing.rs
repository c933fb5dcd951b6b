//! GPU packing: shared devices first, then idle devices of nodes in use, then idle nodes.
//!
//! Source: policy `04-GpuPacking` of Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
//! Workloads with Fragmentation Gradient Descent", USENIX ATC 2023; the idea is of MLaaS in the Wild
//! (Q. Weng et al., NSDI 2022). The score of a node is
//!
//! * 100 less a tenth of the percent free on the devices to be used, at least 50, if none of them is idle;
//! * 50 less the number of idle devices to be used, at least 33, if the node is in use otherwise;
//! * 33 less the number of its devices, or that number if it is more, if all its devices are idle.
//!
//! All nodes are equal for a task without GPUs. Devices are taken least free first.
//! Differs in nothing we know of; devices of a wrong model, which their nodes never mix, are passed over.
//!
//! Cost: one pass over the nodes that fit and their devices.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::shape::Shape;
use cluster::state::State;
use cluster::units::GpuMilli;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "gpu-packing",
    summary: "shared GPU devices first, then idle devices of nodes in use, then idle nodes",
    source: "Weng et al., FGD, USENIX ATC 2023, policy 04-GpuPacking",
    differs: "in nothing we know of",
    cost: "one pass over the nodes that fit and their devices",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "gpu-packing:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(GpuPacking { tie })
}

/// Highest score first.
#[derive(Debug, Clone, Copy)]
pub struct GpuPacking {
    /// Between nodes of equal score.
    pub tie: Tie,
}

impl Rank for GpuPacking {
    type Key = Reverse<u32>;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u32> {
        let (shape, nodes) = (ask.shape, state.nodes());
        move |node| Reverse(score(shape, node, nodes))
    }

    fn parts(&self, Reverse(score): Reverse<u32>) -> Vec<Part> {
        vec![Part::highest("score of devices in use", score)]
    }
}

fn score(shape: &Shape, node: NodeId, nodes: &Nodes) -> u32 {
    if shape.gpu_count == 0 {
        return 0;
    }
    let devices = nodes.devices(node);
    let there = devices.iter().filter(|it| it.capacity.0 > 0);
    let count = there.clone().count() as u32;
    if there.clone().all(|it| it.held.0 == 0) {
        return 33u32.saturating_sub(count).max(count);
    }
    let Some(used) = nodes.best_fit_devices(shape, node) else { return 0 };
    let mut idle = 0;
    let mut percent = 0;
    for device in used.iter().map(|it| &devices[it]) {
        idle += u32::from(device.free() == GpuMilli::DEVICE);
        percent += device.free().0 * 100 / GpuMilli::DEVICE.0;
    }
    if idle > 0 {
        50u32.saturating_sub(idle).max(33)
    } else {
        100u32.saturating_sub(percent / 10).max(50)
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn shared_devices_come_first() {
        // The half device of n0 fills up before anything else is touched.
        check("gpu-packing", "8/8+2 8/8+2", "1/1+0.5 1/1+0.5 1/1+0.5", "n0 n0 n0");
        // A tie of two nodes in use: the fuller device wins.
        check("gpu-packing", "8/8+1 8/8+1", "1/1+0.25 1/1+0.8 1/1+0.2", "n0 n1 n1");
    }

    #[test]
    fn nodes_in_use_come_before_idle_ones() {
        check("gpu-packing", "8/8+4 8/8+4", "1/1+1 1/1+2", "n0 n0");
    }

    #[test]
    fn of_idle_nodes_the_smaller_wins() {
        check("gpu-packing", "8/8+4 8/8+2 8/8+8", "1/1+1", "n1");
        // Above 16 devices it turns round, as in the original.
        check("gpu-packing", "8/8+31 8/8+1", "1/1+1", "n1");
        check("gpu-packing", "8/8+40 8/8+1", "1/1+1", "n0");
    }

    #[test]
    fn tasks_without_gpus_go_anywhere() {
        check("gpu-packing", "8/8+4 8/8", "1/1", "n0");
        check("gpu-packing:tie=rank", "8/8~1 8/8+1~0", "1/1", "n1");
    }
}
