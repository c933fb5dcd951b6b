//! Amounts of scalar resources, by kind.
//!
//! Source: Mesos c1b42f79, `common/values.cpp` (fixed point), `resource_quantities.hpp`. Amounts are fixed point
//! with three decimals, so that adding and taking away never drifts; only shares are floats.

use serde::{Deserialize, Serialize};

/// A kind of resource. The first four are Mesos' own; further ones are numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind(pub u16);

impl Kind {
    /// Cores.
    pub const CPUS: Self = Self(0);
    /// Memory, in MB.
    pub const MEM: Self = Self(1);
    /// Disk, in MB.
    pub const DISK: Self = Self(2);
    /// GPUs, whole ones.
    pub const GPUS: Self = Self(3);
    /// Host ports, which are [ranges](super::resources::Ranges) and no scalar.
    pub const PORTS: Self = Self(4);
    /// The first number that is free for kinds of one's own.
    pub const FIRST_OWN: Self = Self(16);
}

/// An amount as Mesos stores it, in thousandths: the nearest one, halves away from zero. Negative amounts are
/// none.
pub fn thousandths(amount: f64) -> u64 {
    (amount * 1000.0).round() as u64
}

/// An amount in thousandths as a float, by the same two operations as Mesos, in the same order.
pub(super) fn float(thousandths: u64) -> f64 {
    (thousandths / 1000) as f64 + (thousandths % 1000) as f64 / 1000.0
}

/// Amounts in thousandths, by kind. A kind that is not there has the amount 0, and none is there with 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantities(Vec<(Kind, u64)>);

impl Quantities {
    /// Nothing.
    pub const NONE: Self = Self(Vec::new());

    /// The amounts given, in thousandths; those of one kind are added up.
    pub fn new(amounts: impl IntoIterator<Item = (Kind, u64)>) -> Self {
        let mut it = Self::NONE;
        for (kind, amount) in amounts {
            it.set(kind, it.get(kind) + amount);
        }
        it
    }

    /// The amount of a kind, in thousandths.
    pub fn get(&self, kind: Kind) -> u64 {
        match self.0.binary_search_by_key(&kind, |it| it.0) {
            Ok(at) => self.0[at].1,
            Err(_) => 0,
        }
    }

    /// Puts the amount of a kind, in thousandths.
    pub fn set(&mut self, kind: Kind, amount: u64) {
        match self.0.binary_search_by_key(&kind, |it| it.0) {
            Ok(at) if amount == 0 => drop(self.0.remove(at)),
            Ok(at) => self.0[at].1 = amount,
            Err(_) if amount == 0 => {}
            Err(at) => self.0.insert(at, (kind, amount)),
        }
    }

    /// All amounts above 0, in thousandths, in the order of kinds.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.0.iter().copied()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` can be taken away.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(kind, amount)| self.get(kind) >= amount)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        for (kind, amount) in other.iter() {
            self.set(kind, self.get(kind) + amount);
        }
    }

    /// Takes `other` away, never below 0.
    pub fn subtract(&mut self, other: &Self) {
        for (kind, amount) in other.iter() {
            self.set(kind, self.get(kind).saturating_sub(amount));
        }
    }

    /// What is left without `other`, never below 0.
    pub fn without(&self, other: &Self) -> Self {
        let mut it = self.clone();
        it.subtract(other);
        it
    }

    /// Of each kind the lesser amount: none of a kind that only one of both has.
    pub fn least(&self, other: &Self) -> Self {
        Self(
            self.iter()
                .map(|(kind, amount)| (kind, amount.min(other.get(kind))))
                .filter(|it| it.1 > 0)
                .collect(),
        )
    }
}

/// Upper bounds in thousandths, by kind. A kind that is not there has none; 0 is a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits(Vec<(Kind, u64)>);

impl Limits {
    /// The bounds given, in thousandths; the last one of a kind holds.
    pub fn new(bounds: impl IntoIterator<Item = (Kind, u64)>) -> Self {
        let mut it = Vec::new();
        for (kind, bound) in bounds {
            it.retain(|(of, _)| *of != kind);
            it.push((kind, bound));
        }
        it.sort_unstable();
        Self(it)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As much of `more` as may come to what is `used` already.
    pub fn cut(&self, more: &Quantities, used: &Quantities) -> Quantities {
        let mut it = more.clone();
        for (kind, bound) in &self.0 {
            it.set(*kind, it.get(*kind).min(bound.saturating_sub(used.get(*kind))));
        }
        it
    }
}

#[cfg(test)]
pub(crate) mod check {
    use super::*;

    /// `2 1024 0 1` are cpus, memory, disk and GPUs; what is left out is 0.
    pub fn some(text: &str) -> Quantities {
        Quantities::new(
            text.split_whitespace()
                .zip(0..)
                .map(|(it, kind)| (Kind(kind), thousandths(it.parse().unwrap()))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::check::some;
    use super::*;

    #[test]
    fn amounts_have_three_decimals() {
        for (amount, want) in [(0.0, 0), (0.1, 100), (1.0005, 1001), (0.0004, 0), (-1.0, 0)] {
            assert_eq!(thousandths(amount), want, "{amount}");
        }
        assert_eq!(float(150), 0.15);
        assert_eq!(float(2_048_001), 2048.001);
    }

    #[test]
    fn kinds_with_nothing_are_gone() {
        let mut it = some("2 10");
        it.subtract(&some("2 4"));
        assert_eq!(it, some("0 6"));
        assert_eq!(it.iter().count(), 1);
        it.subtract(&some("9 9"));
        assert!(it.is_empty());
    }

    #[test]
    fn limits_bound_only_what_they_name() {
        let limits = Limits::new([(Kind::CPUS, 2000), (Kind::GPUS, 0)]);
        assert_eq!(limits.cut(&some("4 10 0 1"), &some("1.5")), some("0.5 10"));
        assert_eq!(limits.cut(&some("4 10 0 1"), &some("3")), some("0 10"));
        assert_eq!(some("4 10").least(&some("5 3 1")), some("4 3"));
        assert_eq!(some("4 10").least(&some("5")), some("4"));
    }
}
