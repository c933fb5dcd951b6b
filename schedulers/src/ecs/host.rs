//! The agent's side of the books: what a task takes of its host, and when it may start.
//!
//! Source: agent 1.105.1, `task.go` (`ToHostResources`) and `host_resource_manager.go`. A task counts here
//! until it has stopped, longer than in the cluster's books, so a task that was placed may have to wait.
//! Differs in listing what is short in one order, where the agent iterates over a map; and in giving back
//! ports one by one.

use super::instance::{Amounts, Needs, Ports};
use super::size;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use thiserror::Error;

/// What matters of a container for its host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Units of cpu.
    pub cpu_units: u64,
    /// Where it is killed, in MiB.
    pub limit_mib: u64,
    /// In MiB; 0 if it has none.
    pub reservation_mib: u64,
    /// Host ports and whether they are UDP; 0 for those that the host chooses.
    pub ports: Vec<(u16, bool)>,
    /// Names of devices.
    pub gpus: Vec<String>,
}

/// What matters of a task for its host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Task {
    /// Cores of its own; 0 if it has none.
    pub cores: f64,
    /// MiB of its own; 0 if it has none.
    pub memory_mib: u64,
    /// Whether it has a network interface of its own, whose ports are not the host's.
    pub has_interface: bool,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// What a task takes of its host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNeeds {
    /// Units of cpu.
    pub cpu_units: u64,
    /// Memory.
    pub memory_mib: u64,
    /// Fixed host ports.
    pub ports: Ports,
    /// Names of devices.
    pub gpus: BTreeSet<String>,
}

impl Task {
    /// What it takes: its own amounts if it has any, else those of its containers, each with its reservation
    /// before its limit.
    pub fn host_needs(&self) -> HostNeeds {
        let sum = |of: fn(&Container) -> u64| self.containers.iter().map(of).sum::<u64>();
        let mut needs = HostNeeds {
            cpu_units: match size::units_of_cores(self.cores) {
                0 => sum(|it| it.cpu_units),
                own => own,
            },
            memory_mib: match self.memory_mib {
                0 => {
                    sum(|it| if it.reservation_mib > 0 { it.reservation_mib } else { it.limit_mib })
                }
                own => own,
            },
            ..HostNeeds::default()
        };
        for container in &self.containers {
            needs.gpus.extend(container.gpus.iter().cloned());
            let fixed = container.ports.iter().filter(|it| it.0 > 0 && !self.has_interface);
            for &(port, is_udp) in fixed {
                let ports = if is_udp { &mut needs.ports.udp } else { &mut needs.ports.tcp };
                ports.insert(port);
            }
        }
        needs
    }

    /// What it takes in the cluster's books, where devices are counted.
    pub fn needs(&self) -> Needs {
        let HostNeeds { cpu_units, memory_mib, ports, gpus } = self.host_needs();
        let amounts = Amounts { cpu_units, memory_mib, gpus: gpus.len() as u64 };
        Needs { amounts, ports, has_interface: self.has_interface }
    }
}

/// What a task waits for on its host. Shown as the agent spells it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Units of cpu.
    Cpu,
    /// Memory.
    Memory,
    /// A TCP port.
    PortsTcp,
    /// A UDP port.
    PortsUdp,
    /// A device.
    Gpu,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Memory => "MEMORY",
            Self::PortsTcp => "PORTS_TCP",
            Self::PortsUdp => "PORTS_UDP",
            Self::Gpu => "GPU",
        })
    }
}

/// A task that this host can never start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the host has no device {gpu:?}")]
pub struct UnknownGpu {
    /// As the task names it.
    pub gpu: String,
}

/// What a host has and what its tasks hold of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    cpu_units: u64,
    memory_mib: u64,
    gpus: BTreeSet<String>,
    held: HostNeeds,
    tasks: BTreeMap<String, HostNeeds>,
}

impl Host {
    /// A host without tasks. Reserved ports are held from the start.
    pub fn new(cpu_units: u64, memory_mib: u64, gpus: BTreeSet<String>, reserved: Ports) -> Self {
        let held = HostNeeds { ports: reserved, ..HostNeeds::default() };
        Self { cpu_units, memory_mib, gpus, held, tasks: BTreeMap::new() }
    }

    /// What is held, reserved ports among it.
    pub fn held(&self) -> &HostNeeds {
        &self.held
    }

    /// What the host lacks for a task; nothing if it can start.
    ///
    /// # Errors
    ///
    /// If it asks for a device that the host does not have: such a task fails, it does not wait.
    pub fn lacks(&self, needs: &HostNeeds) -> Result<Vec<Lack>, UnknownGpu> {
        if let Some(gpu) = needs.gpus.iter().find(|it| !self.gpus.contains(*it)) {
            return Err(UnknownGpu { gpu: gpu.clone() });
        }
        let held = &self.held;
        let lacks = [
            (Lack::Cpu, held.cpu_units + needs.cpu_units > self.cpu_units),
            (Lack::Memory, held.memory_mib + needs.memory_mib > self.memory_mib),
            (Lack::PortsTcp, !held.ports.tcp.is_disjoint(&needs.ports.tcp)),
            (Lack::PortsUdp, !held.ports.udp.is_disjoint(&needs.ports.udp)),
            (Lack::Gpu, !held.gpus.is_disjoint(&needs.gpus)),
        ];
        Ok(lacks.into_iter().filter(|it| it.1).map(|it| it.0).collect())
    }

    /// Takes all that a task needs, or nothing; says what is lacking. A task that holds already holds on.
    ///
    /// # Errors
    ///
    /// As [`lacks`](Self::lacks).
    pub fn take(&mut self, task: &str, needs: &HostNeeds) -> Result<Vec<Lack>, UnknownGpu> {
        if self.tasks.contains_key(task) {
            return Ok(Vec::new());
        }
        let lacks = self.lacks(needs)?;
        if lacks.is_empty() {
            self.held.cpu_units += needs.cpu_units;
            self.held.memory_mib += needs.memory_mib;
            self.held.ports.tcp.extend(&needs.ports.tcp);
            self.held.ports.udp.extend(&needs.ports.udp);
            self.held.gpus.extend(needs.gpus.iter().cloned());
            self.tasks.insert(task.to_owned(), needs.clone());
        }
        Ok(lacks)
    }

    /// The task has stopped: takes back what it held, if it held anything.
    pub fn give_back(&mut self, task: &str) {
        let Some(needs) = self.tasks.remove(task) else { return };
        self.held.cpu_units -= needs.cpu_units;
        self.held.memory_mib -= needs.memory_mib;
        self.held.ports.tcp.retain(|it| !needs.ports.tcp.contains(it));
        self.held.ports.udp.retain(|it| !needs.ports.udp.contains(it));
        self.held.gpus.retain(|it| !needs.gpus.contains(it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn container(cpu_units: u64, limit_mib: u64, reservation_mib: u64) -> Container {
        Container { cpu_units, limit_mib, reservation_mib, ..Container::default() }
    }

    #[test]
    fn a_task_takes_its_own_amounts_or_those_of_its_containers() {
        let containers = vec![container(200, 600, 400), container(300, 600, 0), container(0, 0, 7)];
        let mut task = Task { containers, ..Task::default() };
        let amounts = |task: &Task| (task.host_needs().cpu_units, task.host_needs().memory_mib);
        assert_eq!(amounts(&task), (500, 1007));
        task.cores = 0.25;
        assert_eq!(amounts(&task), (256, 1007));
        task.memory_mib = 512;
        assert_eq!(amounts(&task), (256, 512));
    }

    #[test]
    fn ports_that_the_host_chooses_are_not_taken() {
        let mut task = Task { containers: vec![Container::default(); 2], ..Task::default() };
        task.containers[0].ports = vec![(80, false), (0, false), (53, true)];
        task.containers[1].ports = vec![(443, false), (0, true)];
        task.containers[1].gpus = vec!["gpu1".to_owned()];
        let ports = Ports { tcp: [80, 443].into(), udp: [53].into() };
        assert_eq!(task.needs().ports, ports);
        assert_eq!(task.needs().amounts.gpus, 1);
        task.has_interface = true;
        assert_eq!(task.needs().ports, Ports::default());
        assert!(task.needs().has_interface);
    }

    #[test]
    fn a_task_takes_all_or_nothing() {
        let reserved = Ports { tcp: [22].into(), udp: [1000].into() };
        let mut host = Host::new(2048, 1024, names("gpu1 gpu2"), reserved);
        let fresh = host.clone();
        let needs = |cpu_units, memory_mib, tcp: u16, udp: u16, gpus: &str| HostNeeds {
            cpu_units,
            memory_mib,
            ports: Ports { tcp: [tcp].into(), udp: [udp].into() },
            gpus: names(gpus),
        };
        let take = |host: &mut Host, task: &str, needs: &HostNeeds, want: &str| {
            let before = host.clone();
            let got = match host.take(task, needs) {
                Err(error) => error.to_string(),
                Ok(lacks) => lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(" "),
            };
            assert_eq!(got, want);
            assert!(want.is_empty() || *host == before);
        };
        let first = needs(1024, 512, 80, 80, "gpu1");
        take(&mut host, "a", &first, "");
        take(&mut host, "a", &first, "");
        take(&mut host, "b", &needs(1024, 512, 81, 81, "gpu2"), "");
        take(&mut host, "c", &needs(0, 0, 82, 82, ""), "");
        take(&mut host, "d", &needs(1, 1, 22, 1000, "gpu1"), "CPU MEMORY PORTS_TCP PORTS_UDP GPU");
        take(&mut host, "d", &needs(0, 0, 80, 83, ""), "PORTS_TCP");
        take(&mut host, "d", &needs(9999, 0, 80, 83, "gpu3"), "the host has no device \"gpu3\"");
        for task in ["b", "c", "a", "a", "d"] {
            host.give_back(task);
        }
        assert_eq!(host, fresh);
    }
}
