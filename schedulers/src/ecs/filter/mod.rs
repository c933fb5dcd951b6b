//! What keeps a task off an instance, one file each, and the order in which reasons are told.
//!
//! Source: Amazon ECS Developer Guide, "Task placement" (resources, then constraints) and "API failure
//! reasons". Which of several reasons a real answer carries is not documented; ours carries the first of
//! [`ALL`], and can list them all.

mod agent;
mod attribute;
mod cpu;
mod distinct;
mod gpu;
mod interface;
mod location;
mod member_of;
mod memory;
mod ports;
mod status;

use super::instance::Instance;
use super::place::Request;
use std::fmt;

pub use ports::PORTS_MAX;

/// Why an instance does not get a task. Shown as ECS spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Too little cpu left.
    Cpu,
    /// Too little memory left.
    Memory,
    /// A host port is taken, or there would be too many.
    Ports,
    /// Too few GPUs left.
    Gpu,
    /// No network interface left.
    Interface,
    /// Its agent is not connected.
    Agent,
    /// It lacks an attribute that the task definition requires.
    Attribute,
    /// Its zone is none of the zones of the task's subnets.
    Location,
    /// It is not what a `memberOf` selects.
    MemberOf,
    /// It runs a task of the group already.
    DistinctInstance,
    /// It is not active.
    Inactive,
    /// There is no such instance.
    Missing,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "RESOURCE:CPU",
            Self::Memory => "RESOURCE:MEMORY",
            Self::Ports => "RESOURCE:PORTS",
            Self::Gpu => "RESOURCE:GPU",
            Self::Interface => "RESOURCE:ENI",
            Self::Agent => "AGENT",
            Self::Attribute => "ATTRIBUTE",
            Self::Location => "LOCATION",
            Self::MemberOf => "MemberOf placement constraint unsatisfied",
            Self::DistinctInstance => "DistinctInstance placement constraint unsatisfied",
            Self::Inactive => "INACTIVE",
            Self::Missing => "MISSING",
        })
    }
}

/// A filter: whether an instance is out, and the reason to give.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// What is told when it rejects.
    pub reason: Reason,
    /// Whether it applies when the caller names the instance (StartTask).
    pub is_for_start: bool,
    rejects: fn(&Request, &Instance) -> bool,
}

impl Filter {
    /// Whether the instance cannot have the task.
    pub fn rejects(&self, request: &Request, instance: &Instance) -> bool {
        (self.rejects)(request, instance)
    }
}

/// All of them, in the order in which reasons are told.
pub const ALL: &[Filter] = &[
    status::FILTER,
    cpu::FILTER,
    memory::FILTER,
    ports::FILTER,
    gpu::FILTER,
    interface::FILTER,
    agent::FILTER,
    attribute::FILTER,
    location::FILTER,
    member_of::FILTER,
    distinct::FILTER,
];

/// Why the instance cannot have the task: nothing if it can, the first being the one that ECS is asked for.
pub fn reasons(request: &Request, instance: &Instance) -> impl Iterator<Item = Reason> {
    ALL.iter().filter(|it| it.rejects(request, instance)).map(|it| it.reason)
}

#[cfg(test)]
mod check {
    use super::{Instance, Request, reasons};

    /// `want` lists all reasons, as ECS spells them, separated by blanks.
    #[track_caller]
    pub fn check(request: &Request, instance: &Instance, want: &str) {
        let got: Vec<String> = reasons(request, instance).map(|it| it.to_string()).collect();
        assert_eq!(got.join(" "), want);
    }
}

#[cfg(test)]
mod tests {
    use super::check::check;
    use super::*;
    use crate::ecs::instance::Status;

    #[test]
    fn all_reasons_are_told_in_order() {
        let mut request = Request::default();
        let mut instance = Instance::default();
        check(&request, &instance, "");
        request.needs.amounts.cpu_units = 1;
        request.needs.amounts.memory_mib = 1;
        request.needs.amounts.gpus = 1;
        instance.is_connected = false;
        check(&request, &instance, "RESOURCE:CPU RESOURCE:MEMORY RESOURCE:GPU AGENT");
        instance.status = Status::Draining;
        check(&request, &instance, "INACTIVE RESOURCE:CPU RESOURCE:MEMORY RESOURCE:GPU AGENT");
    }
}
