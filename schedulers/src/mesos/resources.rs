//! What an agent has, and what is offered of it.
//!
//! Source: Mesos c1b42f79, `common/resources.cpp`. Differs: a reservation is a role and nothing more (no
//! labels, no stack of refinements), what is no scalar is ranges of numbers and never reserved, and there
//! are no disks or volumes that must be taken whole, nor resources shared by several tasks.

use super::quantity::{Kind, Quantities};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers, such as ports, as ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Those numbers; both ends of a range belong to it. Ranges may overlap.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|it| it.0 <= it.1).collect();
        ranges.sort_unstable();
        let mut it: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match it.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => it.push((first, last)),
            }
        }
        Self(it)
    }

    /// The ranges, apart from each other, in order; both ends belong to them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether all numbers of `other` are there.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(first, last)| self.iter().any(|it| it.0 <= first && last <= it.1))
    }

    /// The numbers of both.
    pub fn with(&self, other: &Self) -> Self {
        Self::new(self.iter().chain(other.iter()))
    }

    /// The numbers that are not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for (first, last) in other.iter() {
            left = left
                .into_iter()
                .flat_map(|(from, to)| {
                    let before = (first > from).then(|| (from, to.min(first.saturating_sub(1))));
                    let after = (last < to).then(|| (from.max(last.saturating_add(1)), to));
                    [before, after].into_iter().flatten().collect::<Vec<_>>()
                })
                .collect();
        }
        Self::new(left)
    }
}

/// A bundle of resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Scalars of nobody, that are not taken back.
    pub unreserved: Quantities,
    /// Scalars that the agent may take back at any time.
    pub revocable: Quantities,
    /// Scalars reserved to a role, by its path. No role with nothing.
    pub reserved: BTreeMap<String, Quantities>,
    /// What is no scalar. No kind with nothing.
    pub ranges: BTreeMap<Kind, Ranges>,
}

impl Resources {
    /// Unreserved scalars alone.
    pub fn unreserved(scalars: Quantities) -> Self {
        Self { unreserved: scalars, ..Self::default() }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.unreserved.is_empty()
            && self.revocable.is_empty()
            && self.reserved.is_empty()
            && self.ranges.is_empty()
    }

    /// The sum of all scalars, whoever they are reserved to.
    pub fn scalars(&self) -> Quantities {
        let mut sum = self.reserved_scalars();
        sum.add(&self.unreserved);
        sum.add(&self.revocable);
        sum
    }

    /// The sum of all that is reserved.
    pub fn reserved_scalars(&self) -> Quantities {
        let mut sum = Quantities::NONE;
        self.reserved.values().for_each(|it| sum.add(it));
        sum
    }

    /// Whether `other` can be taken away, kind by kind, reservation by reservation.
    pub fn contains(&self, other: &Self) -> bool {
        self.unreserved.contains(&other.unreserved)
            && self.revocable.contains(&other.revocable)
            && other
                .reserved
                .iter()
                .all(|(role, wanted)| self.reserved.get(role).is_some_and(|it| it.contains(wanted)))
            && other
                .ranges
                .iter()
                .all(|(kind, wanted)| self.ranges.get(kind).is_some_and(|it| it.contains(wanted)))
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.unreserved.add(&other.unreserved);
        self.revocable.add(&other.revocable);
        for (role, more) in &other.reserved {
            self.reserved.entry(role.clone()).or_default().add(more);
        }
        for (kind, more) in &other.ranges {
            let it = self.ranges.entry(*kind).or_default();
            *it = it.with(more);
        }
    }

    /// Takes `other` away, as far as it is there.
    pub fn subtract(&mut self, other: &Self) {
        self.unreserved.subtract(&other.unreserved);
        self.revocable.subtract(&other.revocable);
        for (role, less) in &other.reserved {
            if let Some(it) = self.reserved.get_mut(role) {
                it.subtract(less);
            }
        }
        self.reserved.retain(|_, it| !it.is_empty());
        for (kind, less) in &other.ranges {
            if let Some(it) = self.ranges.get_mut(kind) {
                *it = it.without(less);
            }
        }
        self.ranges.retain(|_, it| *it != Ranges::default());
    }

    /// What a role may have: all but what is reserved to roles that are neither it nor above it.
    pub fn allocatable_to(&self, role: &str) -> Self {
        let mut it = self.clone();
        it.reserved.retain(|owner, _| is_or_is_above(owner, role));
        it
    }
}

fn is_or_is_above(owner: &str, role: &str) -> bool {
    role.strip_prefix(owner).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::quantity::check::some;
    use super::*;

    #[test]
    fn ranges_are_sets_of_numbers() {
        let it = Ranges::new([(10, 20), (5, 7), (8, 9), (30, 30)]);
        assert_eq!(it, Ranges(vec![(5, 20), (30, 30)]));
        assert_eq!(it.count(), 17);
        assert_eq!(it.without(&Ranges::new([(10, 12), (30, 40)])), Ranges(vec![(5, 9), (13, 20)]));
        assert_eq!(it.without(&Ranges::new([(0, 5)])), Ranges(vec![(6, 20), (30, 30)]));
        assert!(it.contains(&Ranges::new([(6, 9), (30, 30)])));
        assert!(!it.contains(&Ranges::new([(20, 21)])));
        assert_eq!(it.without(&it).count(), 0);
    }

    #[test]
    fn reservations_go_to_the_role_and_those_below_it() {
        let mut it = Resources::unreserved(some("1"));
        for owner in ["a", "a/b", "ab"] {
            it.reserved.insert(owner.to_owned(), some("2"));
        }
        for (role, want) in
            [("a", "a"), ("a/b", "a a/b"), ("a/b/c", "a a/b"), ("ab", "ab"), ("b", "")]
        {
            let got = it.allocatable_to(role);
            assert_eq!(got.unreserved, some("1"));
            assert_eq!(got.reserved.into_keys().collect::<Vec<_>>().join(" "), want, "{role}");
        }
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let mut it = Resources::unreserved(some("1 10"));
        let mut more = Resources::unreserved(some("2"));
        more.reserved.insert("a".to_owned(), some("1"));
        more.ranges.insert(Kind::PORTS, Ranges::new([(1, 9)]));
        more.revocable = some("3");
        let before = it.clone();
        it.add(&more);
        assert!(it.contains(&more) && !before.contains(&more));
        assert_eq!(it.scalars(), some("7 10"));
        it.subtract(&more);
        assert_eq!(it, before);
    }
}
