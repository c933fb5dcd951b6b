//! What is remembered per shape, so that a decision looks at the nodes that changed and not at all of them.
//!
//! Two kinds, both exact: where the first node stood, for strategies that take the first that fits, and a short list of
//! the best nodes for those that take the best. Either is brought up to date from [`Nodes::touched_since`] when it
//! is asked, and made anew from all nodes when it says nothing any more: when too many changed, or a list is used up.
//! What they cost in memory is bounded.
//!
//! Sources: score caching and equivalence classes of A. Verma et al., "Large-scale cluster management at Google with
//! Borg", EuroSys 2015, section 3.4; a list of the best that stays right under updates until it runs empty, as in
//! K. Yi, H. Yu, J. Yang, G. Xia, Y. Chen, "Efficient maintenance of materialized top-k views", ICDE 2003.

use cluster::ids::{NodeId, ShapeId};
use cluster::nodes::Nodes;
use cluster::touched::Mark;

/// More changed nodes than one in this many: a look at all costs less than looking at each of them.
const FEW: usize = if cfg!(test) { 1 } else { 16 };

/// How much memory what is remembered may take, in bytes.
const MEMORY_MAX: usize = 64 << 20;

/// What is remembered of shapes, by shape.
#[derive(Debug)]
pub(super) struct PerShape<T> {
    slots: Vec<Slot<T>>,
    /// How many hold something.
    held: usize,
}

#[derive(Debug)]
struct Slot<T> {
    held: Option<T>,
    /// Until when what is held is right.
    seen: Option<Mark>,
}

/// Something about all nodes for one shape.
pub(super) trait Remembered {
    /// About how many bytes it takes.
    const SIZE: usize;
}

impl<T: Remembered> PerShape<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), held: 0 }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// What was known of the shape.
    pub(super) fn held(&mut self, shape: ShapeId) -> Option<&mut T> {
        self.slots.get_mut(shape.row())?.held.as_mut()
    }

    /// What is known of the shape, brought up to date by `update` for each node that changed; nothing is known if too
    /// many did.
    pub(super) fn ask(
        &mut self,
        shape: ShapeId,
        nodes: &Nodes,
        mut update: impl FnMut(&mut T, NodeId),
    ) -> Option<&mut T> {
        let slot = self.slots.get_mut(shape.row())?;
        let changed = nodes.touched_since(slot.seen?)?;
        if changed.len() > nodes.len() / FEW {
            return None;
        }
        let held = slot.held.as_mut()?;
        let mut last = None;
        for node in changed {
            // A node that changed again and again is looked at once.
            if last.replace(node) != Some(node) {
                update(held, node);
            }
        }
        slot.seen = Some(nodes.mark());
        Some(held)
    }

    /// Remembers what was found of all nodes.
    pub(super) fn put(&mut self, shape: ShapeId, nodes: &Nodes, held: T) -> &mut T {
        if self.held * T::SIZE > MEMORY_MAX {
            self.clear();
        }
        if self.slots.len() <= shape.row() {
            self.slots.resize_with(shape.row() + 1, || Slot { held: None, seen: None });
        }
        let slot = &mut self.slots[shape.row()];
        self.held += usize::from(slot.held.is_none());
        slot.seen = Some(nodes.mark());
        slot.held.insert(held)
    }
}

/// Where the first node stands that will do, counted from a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    /// Rows are counted from here, cyclically.
    pub(super) start: usize,
    /// No row before this will do: it is the number of rows if none does.
    pub(super) steps: usize,
}

impl Remembered for First {
    const SIZE: usize = 32;
}

/// A shortlist is as long as this when it is made, and up to twice as long later.
const LENGTH: usize = if cfg!(test) { 3 } else { 16 };

/// A node with what it is compared by: lower is better. Equal keys are told apart by an order, then by row.
pub(super) type Rated<K> = (K, u32, NodeId);

/// What keys are weighed with.
pub(super) type Factors = [u64; 4];

/// The best nodes.
#[derive(Debug)]
pub(super) struct Shortlist<K> {
    /// Ascending.
    best: Vec<Rated<K>>,
    /// All that will do and are not listed are above this; `None` if all are listed.
    limit: Option<Rated<K>>,
    /// The same as it was when it was last known, and what keys were weighed with then.
    known: (Option<Rated<K>>, Factors),
    /// What keys are weighed with now.
    factors: Factors,
    /// Which nodes may be listed.
    listed: Listed,
}

impl<K> Remembered for Shortlist<K> {
    const SIZE: usize = 2 * LENGTH * size_of::<Rated<K>>() + size_of::<Self>();
}

/// A set of rows that says "perhaps" or "no", in 1,024 bits.
#[derive(Debug, Clone, Copy, Default)]
struct Listed([u64; 16]);

impl Listed {
    fn add(&mut self, node: NodeId) {
        self.0[node.row() / 64 % 16] |= 1 << (node.row() % 64);
    }

    fn may_have(&self, node: NodeId) -> bool {
        self.0[node.row() / 64 % 16] >> (node.row() % 64) & 1 == 1
    }
}

impl<K: Ord + Copy> Shortlist<K> {
    /// An empty one, to be told of all nodes that will do.
    pub(super) fn new(factors: Factors) -> Self {
        Self {
            best: Vec::with_capacity(2 * LENGTH),
            limit: None,
            known: (None, factors),
            factors,
            listed: Listed::default(),
        }
    }

    /// A node that will do, while the list is made.
    #[inline]
    pub(super) fn offer(&mut self, rated: Rated<K>) {
        if self.limit.is_none_or(|it| rated < it) {
            self.best.push(rated);
            if self.best.len() == 2 * LENGTH {
                let (_, &mut last, _) = self.best.select_nth_unstable(LENGTH - 1);
                self.best.truncate(LENGTH);
                self.limit = Some(last);
            }
        }
    }

    /// While the list is made: what does not beat this need not be offered; `None` as long as everything must.
    pub(super) fn limit(&self) -> Option<Rated<K>> {
        self.limit
    }

    /// All were offered, or need not be.
    pub(super) fn made(mut self) -> Self {
        self.best.sort_unstable();
        self.known = (self.limit, self.factors);
        self.list();
        self
    }

    /// Keys are weighed with this from now on. `rate` says what a node is compared by now; `bound` a key that no node has less
    /// than now whose key was this one or more under those factors, if it knows one.
    pub(super) fn reweigh(
        &mut self,
        factors: Factors,
        mut rate: impl FnMut(NodeId) -> Option<(K, u32)>,
        bound: impl Fn(K, Factors) -> Option<K>,
    ) {
        if self.factors == factors {
            return;
        }
        self.factors = factors;
        if let (Some((key, ..)), old) = self.known {
            let Some(key) = bound(key, old) else {
                self.best.clear();
                self.list();
                return;
            };
            self.limit = Some((key, 0, NodeId(0)));
        }
        self.best.retain_mut(|it| match rate(it.2) {
            Some((key, order)) => {
                *it = (key, order, it.2);
                self.limit.is_none_or(|limit| *it <= limit)
            }
            None => false,
        });
        self.best.sort_unstable();
        self.list();
    }

    fn list(&mut self) {
        self.listed = Listed::default();
        self.best.iter().for_each(|it| self.listed.add(it.2));
    }

    /// A node changed: what it is compared by now, if it will do.
    pub(super) fn set(&mut self, node: NodeId, rated: Option<(K, u32)>) {
        if self.listed.may_have(node) {
            match self.best.iter().position(|it| it.2 == node) {
                Some(at) => {
                    self.best.remove(at);
                }
                None => self.list(),
            }
        }
        let Some((key, order)) = rated else { return };
        let rated = (key, order, node);
        if self.limit.is_some_and(|it| rated > it) {
            return;
        }
        let at = self.best.partition_point(|it| *it < rated);
        self.best.insert(at, rated);
        self.listed.add(node);
        if self.best.len() == 2 * LENGTH {
            self.best.truncate(LENGTH);
            self.limit = self.best.last().copied();
            self.known = (self.limit, self.factors);
        }
    }

    /// Whether the list is used up, and says nothing of those that are not listed.
    pub(super) fn is_used_up(&self) -> bool {
        self.best.is_empty() && self.limit.is_some()
    }

    /// The best of all. Not of a list that is [used up](Self::is_used_up).
    pub(super) fn first(&self) -> Option<NodeId> {
        self.best.first().map(|it| it.2)
    }

    /// All with the best key, ascending by row, if they are all listed.
    pub(super) fn tied(&self, out: &mut Vec<NodeId>) -> bool {
        out.clear();
        let Some(&(key, ..)) = self.best.first() else { return self.limit.is_none() };
        if self.limit.is_some_and(|it| it.0 == key) {
            return false;
        }
        out.extend(self.best.iter().take_while(|it| it.0 == key).map(|it| it.2));
        out.sort_unstable();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A shortlist against a look at all rows, whatever changes, until it is used up.
        #[test]
        fn a_shortlist_knows_the_best(
            rows in prop::collection::vec((prop::option::of(0u8..6), 0u32..3), 1..40),
            steps in prop::collection::vec((any::<usize>(), prop::option::of(0u8..6)), 0..60),
            ordered in any::<bool>(),
        ) {
            let (mut keys, orders): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let order = |row: usize| if ordered { orders[row] } else { 0 };
            let rated = |keys: &[Option<u8>], row: usize| {
                keys[row].map(|key| (key, order(row), NodeId(row as u32)))
            };
            let all = |keys: &[Option<u8>]| -> Vec<Rated<u8>> {
                (0..keys.len()).filter_map(|it| rated(keys, it)).collect()
            };
            let make = |all: Vec<Rated<u8>>| {
                let mut list = Shortlist::new([1; 4]);
                all.into_iter().for_each(|it| list.offer(it));
                list.made()
            };
            let mut list = make(all(&keys));
            for step in 0..=steps.len() {
                if list.is_used_up() {
                    list = make(all(&keys));
                }
                let there = all(&keys);
                let best = there.iter().min().copied();
                prop_assert_eq!(list.first(), best.map(|it| it.2));
                let mut tied = Vec::new();
                if list.tied(&mut tied) {
                    let equal = there.iter().filter(|it| best.is_some_and(|best| best.0 == it.0));
                    prop_assert_eq!(tied, equal.map(|it| it.2).collect::<Vec<_>>());
                }
                if let Some(&(row, key)) = steps.get(step) {
                    let row = row % keys.len();
                    keys[row] = key;
                    list.set(NodeId(row as u32), key.map(|it| (it, order(row))));
                }
            }
        }
    }

    #[test]
    fn a_row_that_only_may_be_listed_is_looked_for_once() {
        let node = |row| (1, 0, NodeId(row));
        let mut list = Shortlist::new([1; 4]);
        [node(5), node(1029)].into_iter().for_each(|it| list.offer(it));
        let mut list = list.made();
        list.set(NodeId(1029), None);
        list.set(NodeId(2053), None);
        assert_eq!(list.best, [node(5)]);
        list.set(NodeId(5), None);
        assert_eq!(list.first(), None);
    }
}
