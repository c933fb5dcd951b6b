//! What a decision looks at: nodes with their counts, and what tasks ask for.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/nodeinfo.go` (`addTask`, `removeTask`),
//! `api/types.proto`, `api/specs.proto`; generic resources: `api/genericresource` (`HasEnough`, `Claim`).

use crate::swarmkit::constraint::Constraint;
use crate::swarmkit::failures::Failures;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Labels of a node or of its engine.
pub type Labels = BTreeMap<String, String>;

/// A service, as a number given by the caller. Tasks without a service share one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(pub u32);

/// A node.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its host name; empty if not known.
    pub hostname: String,
    /// Its address as the managers see it, v4 if it can be written so: see
    /// [`read_address`](crate::swarmkit::constraint::read_address).
    pub address: Option<IpAddr>,
    /// What it is in the cluster.
    pub role: Role,
    /// What is known of its state.
    pub state: State,
    /// What its operator wants of it.
    pub availability: Availability,
    /// Labels given by the cluster's operator.
    pub labels: Labels,
    /// Labels of the engine.
    pub engine_labels: Labels,
    /// What it runs on, if known.
    pub platform: Option<Platform>,
    /// The plugins of its engine; `None` if it says nothing of an engine, and then none is missed.
    pub plugins: Option<Plugins>,
    /// What is not reserved. Below zero if it was given more than it has.
    pub available: Resources,
    /// Host ports in use.
    pub host_ports: BTreeSet<HostPort>,
    /// Tasks that are meant to run or to complete.
    pub active_tasks: u32,
    /// Those, by service.
    pub active_by_service: BTreeMap<Service, u32>,
    /// Failures of tasks.
    pub failures: Failures,
}

impl Node {
    /// A task is on the node, from PENDING to RUNNING. One that is told to shut down (or to be removed)
    /// is not counted, but holds its resources and ports until it has stopped.
    pub fn add(&mut self, spec: &Spec, is_active: bool) {
        self.available.take(&spec.reservations);
        self.host_ports.extend(spec.host_ports.iter().filter(|it| it.port != 0));
        if is_active {
            self.active_tasks += 1;
            *self.active_by_service.entry(spec.service).or_default() += 1;
        }
    }

    /// A task of the service is told to shut down.
    ///
    /// # Panics
    ///
    /// If none is active.
    pub fn deactivate(&mut self, service: Service) {
        let Some(tasks) = self.active_by_service.get_mut(&service) else {
            panic!("{}: no active task of {service:?}", self.id)
        };
        *tasks -= 1;
        if *tasks == 0 {
            self.active_by_service.remove(&service);
        }
        self.active_tasks -= 1;
    }

    /// A task has left the node; `is_active` if it was never told to.
    ///
    /// # Panics
    ///
    /// If it is active, but none is counted.
    pub fn remove(&mut self, spec: &Spec, is_active: bool) {
        if is_active {
            self.deactivate(spec.service);
        }
        self.available.give_back(&spec.reservations);
        for port in &spec.host_ports {
            self.host_ports.remove(port);
        }
    }

    /// How many active tasks of the service it has.
    pub fn active_of(&self, service: Service) -> u32 {
        self.active_by_service.get(&service).copied().unwrap_or(0)
    }

    /// The value of a label to spread over; a missing one is empty.
    pub fn value(&self, spread: &Spread) -> &str {
        let value = match spread {
            Spread::NodeLabel(name) => self.labels.get(name),
            Spread::EngineLabel(name) => self.engine_labels.get(name),
        };
        value.map_or("", String::as_str)
    }
}

/// What a node is in the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It runs tasks.
    #[default]
    Worker,
    /// It is one of those that manage the cluster, and runs tasks.
    Manager,
}

/// What is known of a node's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Unknown,
    /// It is known to be away.
    Down,
    /// It takes tasks.
    #[default]
    Ready,
    /// It has told that it goes.
    Disconnected,
}

/// What the operator wants of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Availability {
    /// It takes tasks.
    #[default]
    Active,
    /// It keeps what it has.
    Pause,
    /// It is to get rid of what it has.
    Drain,
}

/// An operating system and an architecture. What a task leaves empty may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// `linux`, `windows`.
    pub os: String,
    /// `amd64` or `x86_64`, `arm64` or `aarch64`, …
    pub arch: String,
}

/// Names of plugins, as `name` or `name:tag`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plugins {
    /// Volume drivers.
    pub volume: Vec<String>,
    /// Network drivers.
    pub network: Vec<String>,
    /// Log drivers. None at all: an old engine that does not say.
    pub log: Vec<String>,
}

/// Amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Generic resources by kind: a number, or how many named ones.
    pub generic: BTreeMap<String, i64>,
}

impl Resources {
    fn take(&mut self, other: &Self) {
        self.change(other, -1);
    }

    fn give_back(&mut self, other: &Self) {
        self.change(other, 1);
    }

    fn change(&mut self, other: &Self, sign: i64) {
        self.nano_cpus += sign * other.nano_cpus;
        self.memory_bytes += sign * other.memory_bytes;
        for (kind, amount) in &other.generic {
            // A kind that the node does not have is not begun by a task.
            if let Some(left) = self.generic.get_mut(kind) {
                *left += sign * amount;
            }
        }
    }
}

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Over what.
    pub protocol: Protocol,
    /// 0 if one is to be chosen, which never clashes.
    pub port: u16,
}

/// Over what a port is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What the tasks of a service ask for, in one version of its spec.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Whose tasks they are.
    pub service: Service,
    /// The version of the spec, 0 if there is none. Failures are remembered by it.
    pub version: u64,
    /// What each holds. Limits are of no interest to the scheduler.
    pub reservations: Resources,
    /// Drivers needed; `local` volumes and drivers without a name need none.
    pub plugins: Plugins,
    /// All must hold. A list that cannot be read counts as none; the API refuses it before.
    pub constraints: Vec<Constraint>,
    /// One of them must be the node's, if there are any.
    pub platforms: Vec<Platform>,
    /// Ports published in host mode.
    pub host_ports: Vec<HostPort>,
    /// At most so many active tasks of the service on a node; 0 for any number.
    pub max_replicas: u64,
    /// Labels to spread over, the first one first.
    pub spread: Vec<Spread>,
}

/// A label to spread over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// Of the node.
    NodeLabel(String),
    /// Of its engine.
    EngineLabel(String),
}

impl Spread {
    /// Reads `node.labels.NAME` or `engine.labels.NAME`. Anything else is no preference: it is passed
    /// over, as in the real system.
    pub fn read(descriptor: &str) -> Option<Self> {
        let node = label(descriptor, "node.labels.").map(Self::NodeLabel);
        node.or_else(|| label(descriptor, "engine.labels.").map(Self::EngineLabel))
    }
}

/// What follows a prefix, whose letters may be large or small; nothing if nothing follows.
pub(super) fn label(text: &str, prefix: &str) -> Option<String> {
    let (head, name) = text.split_at_checked(prefix.len())?;
    (!name.is_empty() && head.eq_ignore_ascii_case(prefix)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_can_be_spread_over() {
        let node = |it: &str| Some(Spread::NodeLabel(it.to_owned()));
        for (descriptor, want) in [
            ("node.labels.az", node("az")),
            ("Node.LABELS.Az", node("Az")),
            ("engine.labels.rack", Some(Spread::EngineLabel("rack".to_owned()))),
            ("node.labels.", None),
            ("node.id", None),
            ("", None),
        ] {
            assert_eq!(Spread::read(descriptor), want, "{descriptor}");
        }
    }

    #[test]
    fn a_task_told_to_stop_holds_what_it_has() {
        let spec = Spec {
            service: Service(7),
            reservations: Resources { nano_cpus: 2, memory_bytes: 3, ..Resources::default() },
            host_ports: vec![
                HostPort { protocol: Protocol::Udp, port: 53 },
                HostPort { protocol: Protocol::Tcp, port: 0 },
            ],
            ..Spec::default()
        };
        let available = Resources { nano_cpus: 9, memory_bytes: 9, ..Resources::default() };
        let mut node = Node { available, ..Node::default() };
        node.add(&spec, true);
        let shown = |it: &Node| {
            (it.active_of(Service(7)), it.active_tasks, it.available.nano_cpus, it.host_ports.len())
        };
        assert_eq!(shown(&node), (1, 1, 7, 1));
        node.deactivate(Service(7));
        assert_eq!(shown(&node), (0, 0, 7, 1));
        node.remove(&spec, false);
        assert_eq!(shown(&node), (0, 0, 9, 0));
    }
}
