//! Amounts of resources, and what a container asks for.

use std::collections::BTreeMap;

/// What a container without a CPU request counts as when nodes are scored by what is requested, in
/// thousandths of a core (v1.35, `pkg/scheduler/util/pod_resources.go`).
pub const CPU_MILLI_IF_ABSENT: i64 = 100;

/// What a container without a memory request counts as when nodes are scored by what is requested: 200 MiB.
pub const MEMORY_BYTES_IF_ABSENT: i64 = 200 << 20;

/// A resource by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// `cpu`, in thousandths of a core.
    Cpu,
    /// `memory`, in bytes.
    Memory,
    /// `ephemeral-storage`, in bytes.
    Ephemeral,
    /// Any other, in its own unit.
    Extended(String),
}

impl Resource {
    /// By its name in the API.
    pub fn named(name: &str) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "ephemeral-storage" => Self::Ephemeral,
            other => Self::Extended(other.to_owned()),
        }
    }
}

/// An amount of every resource; what is missing is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// Bytes of local scratch storage.
    pub ephemeral_bytes: i64,
    /// All others, by name.
    pub extended: BTreeMap<String, i64>,
}

impl Amounts {
    /// The amount of one resource.
    pub fn get(&self, resource: &Resource) -> i64 {
        match resource {
            Resource::Cpu => self.cpu_milli,
            Resource::Memory => self.memory_bytes,
            Resource::Ephemeral => self.ephemeral_bytes,
            Resource::Extended(name) => self.extended(name),
        }
    }

    /// The amount of one extended resource.
    pub fn extended(&self, name: &str) -> i64 {
        self.extended.get(name).copied().unwrap_or(0)
    }

    /// Adds, resource by resource.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a + b);
    }

    /// Takes away, resource by resource.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |a, b| a - b);
    }

    /// The larger of the two, resource by resource.
    pub fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu_milli = with(self.cpu_milli, other.cpu_milli);
        self.memory_bytes = with(self.memory_bytes, other.memory_bytes);
        self.ephemeral_bytes = with(self.ephemeral_bytes, other.ephemeral_bytes);
        for (name, &amount) in &other.extended {
            let mine = self.extended.entry(name.clone()).or_default();
            *mine = with(*mine, amount);
        }
    }
}

/// What a container asks for. An absent request and a request of nothing are two things: only the absent
/// one is counted as [`CPU_MILLI_IF_ABSENT`] or [`MEMORY_BYTES_IF_ABSENT`] where that default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// Thousandths of a core.
    pub cpu_milli: Option<i64>,
    /// Bytes of memory.
    pub memory_bytes: Option<i64>,
    /// Bytes of local scratch storage.
    pub ephemeral_bytes: Option<i64>,
    /// All others, by name.
    pub extended: BTreeMap<String, i64>,
}

/// What an absent request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Nothing: for filters and balanced allocation.
    Nothing,
    /// The defaults, for scores by what is requested.
    Default,
}

impl Requests {
    /// As amounts.
    pub fn amounts(&self, absent: Absent) -> Amounts {
        let (cpu, memory) = match absent {
            Absent::Nothing => (0, 0),
            Absent::Default => (CPU_MILLI_IF_ABSENT, MEMORY_BYTES_IF_ABSENT),
        };
        Amounts {
            cpu_milli: self.cpu_milli.unwrap_or(cpu),
            memory_bytes: self.memory_bytes.unwrap_or(memory),
            ephemeral_bytes: self.ephemeral_bytes.unwrap_or(0),
            extended: self.extended.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_zero() {
        let zero = Requests { cpu_milli: Some(0), ..Requests::default() };
        let amounts = zero.amounts(Absent::Default);
        assert_eq!((amounts.cpu_milli, amounts.memory_bytes), (0, 209_715_200));
        assert_eq!(zero.amounts(Absent::Nothing), Amounts::default());
    }
}
