//! What tasks ask for: amounts, GPU devices, host ports, attributes; and the definitions that carry it.

use crate::constraint::{Constraints, Toleration};
use crate::units::{Bytes, GpuMilli, MilliCpu};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use crate::constraint::Requirement;

/// A resource by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// [`MilliCpu`].
    Cpu,
    /// [`Bytes`] of memory.
    Memory,
    /// [`Bytes`] of disk.
    Disk,
    /// [`GpuMilli`], summed over a node's devices.
    Gpu,
}

impl Resource {
    /// All of them, in column order.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Disk, Self::Gpu];
    /// Those that are one number per node; GPUs are devices.
    pub const SCALARS: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];

    /// Position in [`Resource::ALL`] and in every array indexed by resource.
    pub const fn row(self) -> usize {
        self as usize
    }

    /// The word used in options, column names and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
        }
    }

    /// The resource of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An amount of each scalar resource.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// Disk.
    pub disk: Bytes,
}

impl Amounts {
    /// As bare numbers in the order of [`Resource::SCALARS`].
    pub const fn array(&self) -> [u64; 3] {
        [self.cpu.0, self.memory.0, self.disk.0]
    }

    /// From bare numbers in the order of [`Resource::SCALARS`].
    pub const fn from_array([cpu, memory, disk]: [u64; 3]) -> Self {
        Self { cpu: MilliCpu(cpu), memory: Bytes(memory), disk: Bytes(disk) }
    }
}

impl std::ops::Add for Amounts {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self {
            cpu: self.cpu + rhs.cpu,
            memory: self.memory + rhs.memory,
            disk: self.disk + rhs.disk,
        }
    }
}

/// Transport protocol of a host port. TCP and UDP ports are separate sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
}

/// A fixed port on the node. Ports that the node may choose itself are not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Which of the two sets.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub number: u16,
}

/// `count` devices with at least `milli` free on each, of one of `models`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GpuAsk {
    /// Number of devices; 0 asks for none.
    pub count: u16,
    /// Share of each device, at most [`GpuMilli::DEVICE`].
    pub milli: GpuMilli,
    /// Models that will do, sorted and without repeats; empty means any.
    pub models: Vec<String>,
}

impl GpuAsk {
    /// Sum over the devices, in thousandths of a device.
    pub fn total_milli(&self) -> u64 {
        u64::from(self.count) * u64::from(self.milli.0)
    }
}

/// Everything a task asks of the one node it runs on: the sum over its containers.
///
/// Two definitions with equal demands have the same [`ShapeId`](crate::ids::ShapeId) and are alike
/// to every scheduler that looks at shape and node only.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Demand {
    /// Cpu, memory and disk.
    pub amounts: Amounts,
    /// GPU devices.
    pub gpus: GpuAsk,
    /// Fixed host ports, sorted and without repeats.
    pub ports: Vec<Port>,
    /// Required attributes, sorted.
    pub requires: Vec<Requirement>,
    /// Lists of which one must hold as a whole; none asks nothing.
    pub any_of: Vec<Vec<Requirement>>,
    /// Taints of nodes that it does not mind, sorted.
    pub tolerations: Vec<Toleration>,
}

/// One container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// Unique within its definition.
    pub name: String,
    /// What this container adds to the task's demand.
    pub demand: Demand,
    /// Its image; empty if nothing is known of it.
    pub image: String,
    /// Resources of which it asks for nothing in so many words. An amount of 0 of any other means that nothing
    /// was said, which Kubernetes scores as 100m of cpu and 200 MiB of memory.
    pub zero: Vec<Resource>,
}

/// What a task consists of. All its containers run on one node, together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// For people; ECS's family and revision.
    pub name: String,
    /// At least one.
    pub containers: Vec<Container>,
    /// Where its name and its labels are known: a namespace of Kubernetes, a role of Mesos. Empty is the default one.
    pub namespace: String,
    /// What rules of other tasks find it by, sorted by name.
    pub labels: Vec<(String, String)>,
    /// What it asks of its place beyond that.
    pub constraints: Box<Constraints>,
}

impl TaskDefinition {
    /// A task of one container, as every trace has.
    pub fn single(name: impl Into<String>, demand: Demand) -> Self {
        let name = name.into();
        let container = Container { name: name.clone(), demand, ..Container::default() };
        Self { containers: vec![container], name, ..Self::default() }
    }

    /// The sum over all containers.
    ///
    /// GPU asks of several containers are added when they agree on share and models; a definition
    /// whose containers disagree takes the first one's share and models. Readers refuse such input.
    pub fn demand(&self) -> Demand {
        let mut sum = Demand::default();
        for Container { demand, .. } in &self.containers {
            sum.amounts = sum.amounts + demand.amounts;
            if sum.gpus.count == 0 {
                sum.gpus = demand.gpus.clone();
            } else {
                sum.gpus.count += demand.gpus.count;
            }
            sum.ports.extend(&demand.ports);
            sum.requires.extend(demand.requires.iter().cloned());
        }
        sum.ports.sort_unstable();
        sum.ports.dedup();
        sum.any_of.extend(self.constraints.any_of.iter().cloned());
        sum.tolerations.extend(self.constraints.tolerations.iter().cloned());
        sum.requires.sort_unstable();
        sum.requires.dedup();
        sum.tolerations.sort_unstable();
        sum.tolerations.dedup();
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_asks_for_the_sum_of_its_containers() {
        let part = |cpu, port| Container {
            name: format!("c{cpu}"),
            demand: Demand {
                amounts: Amounts { cpu: MilliCpu(cpu), memory: Bytes(10), disk: Bytes(0) },
                ports: vec![Port { protocol: Protocol::Tcp, number: port }],
                ..Demand::default()
            },
            ..Container::default()
        };
        let containers = vec![part(250, 443), part(500, 80)];
        let task = TaskDefinition { name: "web".into(), containers, ..TaskDefinition::default() };
        let demand = task.demand();
        assert_eq!(demand.amounts.array(), [750, 20, 0]);
        assert_eq!(demand.ports.iter().map(|it| it.number).collect::<Vec<_>>(), [80, 443]);
    }

    #[test]
    fn resource_names_round_trip() {
        for it in Resource::ALL {
            assert_eq!(Resource::from_name(it.name()), Some(it));
            assert_eq!(Resource::ALL[it.row()], it);
        }
    }
}
