//! What placement knows of a container instance, and what a task takes of it.
//!
//! Source: Amazon ECS API model (`ContainerInstance`) and Developer Guide, "Task placement". Amounts are those
//! of the cluster's books, in which a task counts from the moment it is placed until it is told to stop; the
//! agent's own books ([`host`](crate::ecs::host)) free them later.

use super::query::moment::Moment;
use super::query::version::Version;
use std::collections::{BTreeMap, BTreeSet};

/// The attribute that holds an instance's zone.
pub const ZONE: &str = "ecs.availability-zone";

/// Whether an attribute may have that name: 1 to 128 of `A-Z a-z 0-9 _ . / \\ -`.
pub fn is_attribute_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(is_name_char)
}

/// Whether the name of an attribute may hold that character.
pub(super) fn is_name_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || "_./\\-".contains(it)
}

/// Where an instance stands in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Being set up.
    Registering,
    /// Could not be set up.
    RegistrationFailed,
    /// Takes tasks.
    #[default]
    Active,
    /// Takes no more; its services' tasks move.
    Draining,
    /// On its way out.
    Deregistering,
    /// Out.
    Inactive,
}

/// Amounts of what is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// In 1/1024 of a core.
    pub cpu_units: u64,
    /// Memory.
    pub memory_mib: u64,
    /// Whole devices.
    pub gpus: u64,
}

/// Host ports with a fixed number. TCP and UDP do not meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP.
    pub tcp: BTreeSet<u16>,
    /// UDP.
    pub udp: BTreeSet<u16>,
}

impl Ports {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.tcp.len() + self.udp.len()
    }

    /// Whether some port is in both.
    pub fn meets(&self, other: &Self) -> bool {
        !self.tcp.is_disjoint(&other.tcp) || !self.udp.is_disjoint(&other.udp)
    }

    fn add(&mut self, other: &Self) {
        self.tcp.extend(&other.tcp);
        self.udp.extend(&other.udp);
    }

    fn remove(&mut self, other: &Self) {
        self.tcp.retain(|it| !other.tcp.contains(it));
        self.udp.retain(|it| !other.udp.contains(it));
    }
}

/// What a task takes of its instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is counted.
    pub amounts: Amounts,
    /// Fixed host ports. Those that the host chooses are not counted, and with an interface of its own a task
    /// has none.
    pub ports: Ports,
    /// Whether it has a network interface of its own (network mode `awsvpc`).
    pub has_interface: bool,
}

/// A container instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name in ECS; failures carry it.
    pub id: String,
    /// The machine's name, if it is one of EC2.
    pub ec2_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Whether its agent is connected.
    pub is_connected: bool,
    /// The version of its agent, if known.
    pub agent_version: Option<Version>,
    /// When it was registered, if known.
    pub registered_at: Option<Moment>,
    /// By name, the zone ([`ZONE`]) among them. A value may be empty.
    pub attributes: BTreeMap<String, String>,
    /// What was registered.
    pub total: Amounts,
    /// What tasks hold of it. May exceed the total, of which nothing is left then.
    pub held: Amounts,
    /// Ports held, the agent's reserved ones among them.
    pub ports: Ports,
    /// How many network interfaces the machine may have, the primary among them; `None` if it does not matter.
    pub interfaces_max: Option<u32>,
    /// How many it has.
    pub interfaces: u32,
    /// Tasks that are not told to stop, by group; no group stands here with 0.
    pub groups: BTreeMap<String, u32>,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            id: String::new(),
            ec2_id: None,
            status: Status::Active,
            is_connected: true,
            agent_version: None,
            registered_at: None,
            attributes: BTreeMap::new(),
            total: Amounts::default(),
            held: Amounts::default(),
            ports: Ports::default(),
            interfaces_max: None,
            interfaces: 1,
            groups: BTreeMap::new(),
        }
    }
}

impl Instance {
    /// What is left of what is counted.
    pub fn left(&self) -> Amounts {
        Amounts {
            cpu_units: self.total.cpu_units.saturating_sub(self.held.cpu_units),
            memory_mib: self.total.memory_mib.saturating_sub(self.held.memory_mib),
            gpus: self.total.gpus.saturating_sub(self.held.gpus),
        }
    }

    /// The value of an attribute; empty if it has the attribute without a value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Its zone.
    pub fn zone(&self) -> Option<&str> {
        self.attribute(ZONE)
    }

    /// Tasks of that group.
    pub fn of_group(&self, group: &str) -> u32 {
        self.groups.get(group).copied().unwrap_or(0)
    }

    /// Tasks of all groups.
    pub fn task_count(&self) -> u64 {
        self.groups.values().map(|&it| u64::from(it)).sum()
    }

    /// Books a task. What does not fit is booked too: whether it fits is the filters' to say.
    pub fn take(&mut self, group: &str, needs: &Needs) {
        self.held.cpu_units += needs.amounts.cpu_units;
        self.held.memory_mib += needs.amounts.memory_mib;
        self.held.gpus += needs.amounts.gpus;
        self.ports.add(&needs.ports);
        self.interfaces += u32::from(needs.has_interface);
        match self.groups.get_mut(group) {
            Some(count) => *count += 1,
            None => drop(self.groups.insert(group.to_owned(), 1)),
        }
    }

    /// Takes back what [`take`](Self::take) booked.
    ///
    /// # Panics
    ///
    /// If no such task was booked.
    pub fn give_back(&mut self, group: &str, needs: &Needs) {
        let less = |held: u64, given: u64| {
            held.checked_sub(given).unwrap_or_else(|| panic!("{}: more given than held", self.id))
        };
        self.held = Amounts {
            cpu_units: less(self.held.cpu_units, needs.amounts.cpu_units),
            memory_mib: less(self.held.memory_mib, needs.amounts.memory_mib),
            gpus: less(self.held.gpus, needs.amounts.gpus),
        };
        let Some(count) = self.groups.get_mut(group) else {
            panic!("{}: has no task of {group}", self.id)
        };
        *count -= 1;
        if *count == 0 {
            self.groups.remove(group);
        }
        self.ports.remove(&needs.ports);
        self.interfaces -= u32::from(needs.has_interface);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_length_and_an_alphabet() {
        for (name, is) in [
            ("ecs.availability-zone", true),
            ("a/b_c\\D9", true),
            ("", false),
            ("a b", false),
            ("rack:1", false),
            ("é", false),
        ] {
            assert_eq!(is_attribute_name(name), is, "{name}");
        }
        assert!(is_attribute_name(&"a".repeat(128)) && !is_attribute_name(&"a".repeat(129)));
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let total = Amounts { cpu_units: 1024, memory_mib: 512, gpus: 2 };
        let mut instance = Instance { total, ..Instance::default() };
        instance.ports.tcp.insert(22);
        let before = instance.clone();
        let needs = Needs {
            amounts: Amounts { cpu_units: 1000, memory_mib: 600, gpus: 1 },
            ports: Ports { tcp: [80].into(), udp: [53].into() },
            has_interface: true,
        };
        instance.take("a", &needs);
        assert_eq!(instance.left(), Amounts { cpu_units: 24, memory_mib: 0, gpus: 1 });
        assert_eq!((instance.ports.count(), instance.interfaces), (3, 2));
        instance.take("a", &Needs::default());
        assert_eq!((instance.of_group("a"), instance.of_group("b")), (2, 0));
        instance.give_back("a", &needs);
        instance.give_back("a", &Needs::default());
        assert_eq!(instance, before);
    }
}
