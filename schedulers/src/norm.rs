//! How full a node is once it runs the task, as one number.

use crate::parts::Part;
use crate::rank::Room;
use crate::scale::{Scale, Shares};
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::explain::Wins;
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

    /// What [`Left::of`] gave, by name.
    pub fn part(&self, left: u64, wins: Wins) -> Part {
        let (one, coarse) = (self.scale.one(), self.scale.coarse(self.scale.one()));
        let (name, one) = match self.norm {
            Norm::L1 => ("shares left", one as f64),
            Norm::L2 => ("squares of shares left", (coarse as f64).powi(2)),
            Norm::Linf => ("largest share left", one as f64),
            Norm::One(resource) => {
                let part = Part { wins, ..Part::lowest(format!("{resource} left"), left) };
                return part.amount(resource);
            }
        };
        Part { wins, ..Part::lowest(name, left).over(one) }
    }

    /// What nodes have left once they run the task.
    ///
    /// `l1` and `linf` compare [shares](Scale) of the largest node, over all four resources, those that
    /// the task does not ask for included; `l2` the squares of shares cut to 31 bits; a named resource
    /// its plain amount, for GPUs summed over the devices.
    pub fn reader<'a>(&'a self, ask: Ask<'a>, nodes: &'a Nodes) -> Left<'a> {
        let amounts = ask.shape.totals();
        match self.norm {
            Norm::One(Resource::Gpu) => Left::Gpu { nodes, asked: amounts[Resource::Gpu.row()] },
            Norm::One(resource) => Left::Column {
                resource,
                free: nodes.free(resource),
                asked: amounts[resource.row()],
            },
            norm => {
                let asked = self.scale.asked(ask);
                Left::Shares { norm, free: self.scale.reader(nodes), asked, scale: &self.scale }
            }
        }
    }
}

/// What nodes have left once they run a task; made by [`Measure::reader`].
#[derive(Debug, Clone, Copy)]
pub enum Left<'a> {
    /// Of one resource.
    Column {
        /// Which.
        resource: Resource,
        /// What nodes have free.
        free: &'a [u64],
        /// What the task asks for.
        asked: u64,
    },
    /// Of all devices together.
    Gpu {
        /// The nodes.
        nodes: &'a Nodes,
        /// What the task asks for.
        asked: u64,
    },
    /// Of all resources together.
    Shares {
        /// How they become one number.
        norm: Norm,
        /// What nodes have free.
        free: Shares<'a>,
        /// What the task asks for.
        asked: [u64; 4],
        /// The scale of both.
        scale: &'a Scale,
    },
}

impl Left<'_> {
    /// What a node has left. The task fits it.
    #[inline(always)]
    pub fn of(&self, node: NodeId) -> u64 {
        match self {
            Self::Column { free, asked, .. } => free[node.row()] - asked,
            Self::Gpu { nodes, asked } => nodes.gpu_free(node) - asked,
            Self::Shares { free, .. } => self.of_shares(free.of(node)),
        }
    }

    /// What a node has left that has so much room. Never rises as that falls.
    #[inline(always)]
    pub fn of_room(&self, room: Room) -> u64 {
        match self {
            Self::Column { resource, asked, .. } => room.free[resource.row()] - asked,
            Self::Gpu { asked, .. } => room.free[Resource::Gpu.row()] - asked,
            Self::Shares { norm: Norm::L1, asked: [cpu, memory, disk, gpu], .. } => {
                room.whole - (cpu + memory + disk + gpu)
            }
            Self::Shares { scale, .. } => self.of_shares(scale.shares(room.free)),
        }
    }

    #[inline(always)]
    fn of_shares(&self, free: [u64; 4]) -> u64 {
        match self {
            Self::Column { .. } | Self::Gpu { .. } => unreachable!("they have no shares"),
            Self::Shares { norm, asked, scale, .. } => {
                let left = |it: usize| free[it] - asked[it];
                let square = |it: usize| scale.coarse(left(it)) * scale.coarse(left(it));
                match norm {
                    Norm::L2 => square(0) + square(1) + square(2) + square(3),
                    Norm::Linf => left(0).max(left(1)).max(left(2)).max(left(3)),
                    Norm::L1 | Norm::One(_) => left(0) + left(1) + left(2) + left(3),
                }
            }
        }
    }
}
