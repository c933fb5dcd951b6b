//! Filters, one file each. The first that a node fails counts it out.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go`, `pipeline.go` (`defaultFilters`).
//! Differs in having no filter for cluster volumes.

mod constraint;
mod host_port;
mod max_replicas;
mod platform;
mod plugin;
mod ready;
mod resource;

use crate::swarmkit::model::{Node, Spec};

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// The node takes tasks.
    Ready,
    /// It has what is to be reserved.
    Resource,
    /// It has the drivers.
    Plugin,
    /// It meets the constraints.
    Constraint,
    /// It runs one of the platforms.
    Platform,
    /// Its ports are free.
    HostPort,
    /// It has not yet the most replicas allowed.
    MaxReplicas,
}

impl Filter {
    /// In the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Resource,
        Self::Plugin,
        Self::Constraint,
        Self::Platform,
        Self::HostPort,
        Self::MaxReplicas,
    ];

    /// Place in [`Filter::ALL`].
    pub const fn row(self) -> usize {
        self as usize
    }

    /// Whether it concerns such tasks.
    pub fn concerns(self, spec: &Spec) -> bool {
        match self {
            Self::Ready => true,
            Self::Resource => resource::concerns(spec),
            Self::Plugin => plugin::concerns(spec),
            Self::Constraint => !spec.constraints.is_empty(),
            Self::Platform => !spec.platforms.is_empty(),
            Self::HostPort => host_port::concerns(spec),
            Self::MaxReplicas => spec.max_replicas > 0,
        }
    }

    /// Whether a node passes. Only to be asked if it [concerns](Self::concerns) the tasks.
    pub fn passes(self, spec: &Spec, node: &Node) -> bool {
        match self {
            Self::Ready => ready::passes(node),
            Self::Resource => resource::passes(spec, node),
            Self::Plugin => plugin::passes(spec, node),
            Self::Constraint => constraint::passes(spec, node),
            Self::Platform => platform::passes(spec, node),
            Self::HostPort => host_port::passes(spec, node),
            Self::MaxReplicas => max_replicas::passes(spec, node),
        }
    }

    /// What it means that so many nodes failed it, to the letter.
    pub fn explain(self, nodes: u32) -> String {
        let what = match self {
            Self::Ready => {
                let s = if nodes == 1 { "" } else { "s" };
                return format!("{nodes} node{s} not available for new tasks");
            }
            Self::MaxReplicas => return "max replicas per node limit exceed".to_owned(),
            Self::Resource => "insufficient resources",
            Self::Plugin => "missing plugin",
            Self::Constraint => "scheduling constraints not satisfied",
            Self::Platform => "unsupported platform",
            Self::HostPort => "host-mode port already in use",
        };
        let s = if nodes == 1 { "" } else { "s" };
        format!("{what} on {nodes} node{s}")
    }
}
