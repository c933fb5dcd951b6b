//! Filters, one file each. Each gets the nodes that the one before left; none left is a failure.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/filter.go` (`filters`, `ApplyFilters`,
//! `listAllFilters`).

mod affinity;
mod constraint;
mod containerslots;
mod dependency;
mod health;
mod port;
mod whitelist;

use crate::swarm::explain::Recorder;
use crate::swarm::expression::{Expression, Expressions, Soft};
use crate::swarm::model::{Node, Request};
use std::fmt;

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The engine is healthy.
    Health,
    /// No port asked for is taken.
    Port,
    /// The engine's own limit of containers is not reached.
    ContainerSlots,
    /// The containers asked for by name are there.
    Dependency,
    /// Containers, images, labels of containers are there, or not.
    Affinity,
    /// Labels of the engine.
    Constraint,
    /// Names of engines.
    Whitelist,
}

/// Why a filter sorts out a node.
#[derive(Debug, Clone, Copy)]
pub enum Rejection<'t> {
    /// Its health indicator is 0.
    Unhealthy,
    /// A host port asked for is taken.
    PortTaken(&'t str),
    /// An exposed port is exposed by another container in the host's network.
    PortExposed(&'t str),
    /// All slots are taken.
    NoSlot {
        /// Its limit.
        slots: i64,
    },
    /// This container is not there, or the name is not that of one alone.
    Missing(&'t str),
    /// The expression is not met.
    Unmet(&'t Expression),
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhealthy => f.write_str("the engine is not healthy"),
            Self::PortTaken(port) => write!(f, "host port {port} is taken"),
            Self::PortExposed(port) => write!(f, "port {port} is exposed in the host's network"),
            Self::NoSlot { slots } => write!(f, "all {slots} container slots are taken"),
            Self::Missing(name) => write!(f, "container {name} is not there"),
            Self::Unmet(expression) => write!(f, "{expression} is not met"),
        }
    }
}

impl Filter {
    /// In the order in which they are applied when no option is given.
    pub const ALL: [Self; 7] = [
        Self::Health,
        Self::Port,
        Self::ContainerSlots,
        Self::Dependency,
        Self::Affinity,
        Self::Constraint,
        Self::Whitelist,
    ];

    /// As in the option `--filter`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Port => "port",
            Self::ContainerSlots => "containerslots",
            Self::Dependency => "dependency",
            Self::Affinity => "affinity",
            Self::Constraint => "constraint",
            Self::Whitelist => "whitelist",
        }
    }

    /// The filter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Cuts `rows` down to the nodes that pass; false if that is a failure.
    pub(super) fn keep(
        self,
        request: &Request,
        nodes: &[Node],
        soft: Soft,
        rows: &mut Vec<usize>,
        recorder: &mut impl Recorder,
    ) -> bool {
        if self.expressions(request).is_some_and(|it| it.all().is_err()) {
            recorder.unreadable(self);
            return false;
        }
        let had_none = rows.is_empty();
        rows.retain(|&row| {
            let result = self.check(request, &nodes[row], soft);
            if let Err(why) = result {
                recorder.rejected(row, self, why);
            }
            result.is_ok()
        });
        // Without any node a filter fails only if it has something to look for.
        !rows.is_empty() || (had_none && !self.is_needed(request, soft))
    }

    fn expressions(self, request: &Request) -> Option<&Expressions> {
        match self {
            Self::Affinity => Some(&request.affinities),
            Self::Constraint => Some(&request.constraints),
            Self::Whitelist => Some(&request.whitelists),
            Self::Health | Self::Port | Self::ContainerSlots | Self::Dependency => None,
        }
    }

    fn check<'t>(self, request: &'t Request, node: &Node, soft: Soft) -> Result<(), Rejection<'t>> {
        match self {
            Self::Health => health::check(node),
            Self::Port => port::check(request, node),
            Self::ContainerSlots => containerslots::check(node),
            Self::Dependency => dependency::check(request, node),
            Self::Affinity | Self::Constraint | Self::Whitelist => {
                let passes = match self {
                    Self::Affinity => affinity::passes,
                    Self::Constraint => constraint::passes,
                    _ => whitelist::passes,
                };
                let expressions = self.expressions(request).and_then(|it| it.counting(soft).ok());
                match expressions.into_iter().flatten().find(|it| !passes(it, node)) {
                    Some(unmet) => Err(Rejection::Unmet(unmet)),
                    None => Ok(()),
                }
            }
        }
    }

    fn is_needed(self, request: &Request, soft: Soft) -> bool {
        match self {
            Self::Health | Self::ContainerSlots => true,
            Self::Dependency => false,
            Self::Port => !port::conditions(request).is_empty(),
            Self::Affinity | Self::Constraint | Self::Whitelist => {
                let counting = self.expressions(request).and_then(|it| it.counting(soft).ok());
                counting.is_some_and(|mut it| it.next().is_some())
            }
        }
    }

    /// What it looks for, as listed to the client when it or a later one fails.
    pub(super) fn conditions(self, request: &Request) -> Vec<String> {
        let of = |show: fn(&Expression) -> String| {
            let list = self.expressions(request).and_then(|it| it.all().ok());
            list.unwrap_or_default().iter().map(show).collect()
        };
        match self {
            Self::Health => Vec::new(),
            Self::Port => port::conditions(request),
            Self::ContainerSlots => vec!["free slots".to_owned()],
            Self::Dependency => dependency::conditions(request),
            Self::Constraint => of(Expression::to_string),
            Self::Affinity | Self::Whitelist => of(|it| format!("{it} (soft={})", it.is_soft)),
        }
    }
}
