//! How full a node is once it runs the task, as one number.

use crate::scale::Scale;
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;

/// How what is left of several resources becomes one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// The sum of the shares left.
    #[default]
    L1,
    /// The sum of their squares.
    L2,
    /// The largest of them.
    Linf,
    /// The amount left of one resource; the others count nothing.
    One(Resource),
}

impl Norm {
    /// As written in policies.
    pub const WORDS: &[(&str, Self)] = &[
        ("l1", Self::L1),
        ("l2", Self::L2),
        ("linf", Self::Linf),
        ("cpu", Self::One(Resource::Cpu)),
        ("memory", Self::One(Resource::Memory)),
        ("disk", Self::One(Resource::Disk)),
        ("gpu", Self::One(Resource::Gpu)),
    ];

    /// What may be written, for cards.
    pub const VALUES: &str = "l1|l2|linf|cpu|memory|disk|gpu";
}

/// Measures what a node has left.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    norm: Norm,
    scale: Scale,
}

impl Measure {
    /// By this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, scale: Scale::default() }
    }

    /// See [`Scale::observe`].
    pub fn observe(&mut self, changes: &[Change]) {
        self.scale.observe(changes);
    }

    /// See [`Scale::refresh`].
    pub fn refresh(&mut self, nodes: &Nodes) {
        self.scale.refresh(nodes);
    }

    /// What the node has left once it runs the task.
    ///
    /// `l1` and `linf` compare [shares](Scale) of the largest node, over all four resources, those that
    /// the task does not ask for included; `l2` the squares of shares cut to 31 bits; a named resource
    /// its plain amount, for GPUs summed over the devices.
    #[inline]
    pub fn left(&self, ask: Ask<'_>, nodes: &Nodes, node: NodeId) -> u64 {
        match self.norm {
            Norm::One(Resource::Gpu) => nodes.gpu_free(node) - ask.shape.demand.gpus.total_milli(),
            Norm::One(resource) => {
                nodes.free(resource)[node.row()] - ask.shape.amounts[resource.row()]
            }
            // At most 2^62 each, so that four of them just do not overflow; a capacity that shrank
            // since cannot make them larger, since free amounts shrink with it.
            Norm::L1 => {
                self.scale.left(ask, nodes, node).iter().fold(0, |sum, it| sum.saturating_add(*it))
            }
            Norm::L2 => self
                .scale
                .left(ask, nodes, node)
                .iter()
                .fold(0, |sum, &it| sum.saturating_add(self.scale.coarse(it).pow(2))),
            Norm::Linf => self.scale.left(ask, nodes, node).into_iter().fold(0, u64::max),
        }
    }
}
