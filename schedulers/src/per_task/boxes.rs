//! Nodes by what they have free, in a tree of boxes, so that a search for the best need not look at most of them.
//!
//! A leaf holds a few nodes that have about as much free; its box, and that of every branch, says between what its nodes have
//! free of each resource. That bounds the key of a strategy that prefers nodes with more free, or with less
//! ([`ByFree`]): boxes are opened in the order of what they promise, until none can beat the best that was found. When a node
//! changes, the boxes above it follow exactly; when many have, nodes are sorted into leaves anew.
//!
//! Sources: the k-d tree of J. L. Bentley, CACM 18(9), 1975, split at medians; bounding boxes that are refitted in place, as in
//! G. van den Bergen, "Efficient collision detection of complex deformable models using AABB trees", JGT 2(4), 1997; the search of G. R.
//! Hjaltason, H. Samet, "Distance browsing in spatial databases", ACM TODS 24(2), 1999.

use crate::rank::{ByFree, Prefers};
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::touched::Mark;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No more nodes than this stand in a leaf.
const LEAF: usize = if cfg!(test) { 2 } else { 16 };

/// The tree. No memory: made anew when it is first asked.
#[derive(Debug)]
pub(super) struct Boxes {
    /// Nodes in the order of leaves.
    order: Vec<NodeId>,
    /// What they have free, in the same order; `None` if they are not ready.
    free: Vec<Option<Amounts>>,
    /// Where each node stands in that order.
    places: Vec<u32>,
    /// Around what the nodes of each box have free: the root is 1, below `it` are `2 * it` and the next. Leaves come last, a power of two.
    extents: Vec<Extent>,
    /// The first row in each box.
    first: Vec<u32>,
    /// How many changes of nodes have been followed.
    followed: usize,
    seen: Option<Mark>,
}

/// In the order of [`Resource::ALL`].
type Amounts = [u64; 4];

/// Between what some nodes have free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    least: Amounts,
    most: Amounts,
}

impl Extent {
    /// Around no node.
    const NONE: Self = Self { least: [u64::MAX; 4], most: [0; 4] };

    #[inline]
    fn with(self, other: Self) -> Self {
        Self {
            least: std::array::from_fn(|it| self.least[it].min(other.least[it])),
            most: std::array::from_fn(|it| self.most[it].max(other.most[it])),
        }
    }

    fn around(all: &[Option<Amounts>]) -> Self {
        let one = |free: &Amounts| Self { least: *free, most: *free };
        all.iter().flatten().map(one).fold(Self::NONE, Self::with)
    }

    /// No node within that has enough has a lower key; `None` if none has enough.
    #[inline]
    fn bound<K>(&self, asked: Amounts, by: &ByFree<'_, K>) -> Option<K> {
        let has_nodes = self.least[0] <= self.most[0];
        let has_room = has_nodes && (0..4).all(|it| asked[it] <= self.most[it]);
        has_room.then(|| match by.prefers {
            Prefers::More => (by.key)(self.most),
            Prefers::Less => (by.key)(std::array::from_fn(|it| asked[it].max(self.least[it]))),
        })
    }
}

/// What a node has free, if it is ready.
fn free(nodes: &Nodes, node: NodeId) -> Option<Amounts> {
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.free(it)[node.row()]);
    nodes.ready()[node.row()].then(|| [cpu, memory, disk, nodes.gpu_free(node)])
}

impl Boxes {
    pub(super) fn new() -> Self {
        Self {
            order: Vec::new(),
            free: Vec::new(),
            places: Vec::new(),
            extents: Vec::new(),
            first: Vec::new(),
            followed: 0,
            seen: None,
        }
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, nodes: &Nodes) {
        let changed = self.seen.and_then(|it| nodes.touched_since(it));
        match changed.filter(|it| self.followed + it.len() <= nodes.len()) {
            Some(changed) => {
                self.followed += changed.len();
                changed.for_each(|node| self.follow(node, nodes));
            }
            None => self.make(nodes),
        }
        self.seen = Some(nodes.mark());
    }

    fn leaves(&self) -> usize {
        self.extents.len() / 2
    }

    /// Where the nodes of these leaves stand.
    fn places_of(&self, leaves: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let before = |leaf| leaf * self.order.len() / self.leaves();
        before(leaves.start)..before(leaves.end)
    }

    fn make(&mut self, nodes: &Nodes) {
        let leaves = nodes.len().div_ceil(LEAF).next_power_of_two();
        self.extents.clear();
        self.extents.resize(2 * leaves, Extent::NONE);
        self.first.clear();
        self.first.resize(2 * leaves, u32::MAX);
        let largest = Resource::SCALARS.map(|it| nodes.allocatable(it).iter().copied().max());
        let gpus = nodes.ids().map(|it| nodes.gpu_capacity(it)).max();
        let [cpu, memory, disk] = largest;
        let largest = [cpu, memory, disk, gpus].map(|it| it.unwrap_or(0).max(1) as f64);
        let mut all: Vec<(Amounts, NodeId)> =
            nodes.ids().map(|it| (free(nodes, it).unwrap_or_default(), it)).collect();
        sort(&mut all, leaves, &largest);
        self.order.clear();
        self.order.extend(all.iter().map(|it| it.1));
        self.free.clear();
        self.free.extend(self.order.iter().map(|it| free(nodes, *it)));
        self.places.resize(nodes.len(), 0);
        for (place, node) in self.order.iter().enumerate() {
            self.places[node.row()] = place as u32;
        }
        for leaf in 0..leaves {
            let places = self.places_of(leaf..leaf + 1);
            self.extents[leaves + leaf] = Extent::around(&self.free[places.clone()]);
            let rows = self.order[places].iter().map(|it| it.0);
            self.first[leaves + leaf] = rows.min().unwrap_or(u32::MAX);
        }
        for at in (1..leaves).rev() {
            self.extents[at] = self.extents[2 * at].with(self.extents[2 * at + 1]);
            self.first[at] = self.first[2 * at].min(self.first[2 * at + 1]);
        }
        self.followed = 0;
    }

    /// A node has changed.
    fn follow(&mut self, node: NodeId, nodes: &Nodes) {
        let (place, free) = (self.places[node.row()] as usize, free(nodes, node));
        if std::mem::replace(&mut self.free[place], free) == free {
            return;
        }
        let leaves = self.leaves();
        // The last leaf that begins no later.
        let leaf = ((place + 1) * leaves - 1) / self.order.len();
        debug_assert!(self.places_of(leaf..leaf + 1).contains(&place));
        let mut at = leaves + leaf;
        let mut extent = Extent::around(&self.free[self.places_of(leaf..leaf + 1)]);
        while self.extents[at] != extent {
            self.extents[at] = extent;
            if at == 1 {
                return;
            }
            extent = extent.with(self.extents[at ^ 1]);
            at /= 2;
        }
    }

    /// Shows the nodes of one leaf after the other, the most promising first, of equally promising ones that with the first
    /// row. `visit` says which key is to be beaten from then on, if any, or equalled by a row not behind that one: what
    /// cannot do that is not shown.
    pub(super) fn search<K: Ord + Copy>(
        &self,
        asked: Amounts,
        by: &ByFree<'_, K>,
        mut visit: impl FnMut(&[NodeId]) -> Option<(K, u32)>,
    ) {
        let leaves = self.leaves();
        let mut limit: Option<(K, u32)> = None;
        let promise = |at: usize| {
            let bound = self.extents[at].bound(asked, by)?;
            Some(((bound, self.first[at]), Reverse(at)))
        };
        let mut open: BinaryHeap<Reverse<_>> = promise(1).map(Reverse).into_iter().collect();
        while let Some(Reverse((bound, Reverse(at)))) = open.pop() {
            if limit.is_some_and(|it| bound > it) {
                return;
            }
            if at >= leaves {
                limit = visit(&self.order[self.places_of(at - leaves..at - leaves + 1)]);
                continue;
            }
            for below in [2 * at, 2 * at + 1] {
                let promise = promise(below);
                let promise = promise.filter(|it| limit.is_none_or(|limit| it.0 <= limit));
                open.extend(promise.map(Reverse));
            }
        }
    }
}

/// Brings nodes into the order of so many leaves, split where they differ most.
fn sort(all: &mut [(Amounts, NodeId)], leaves: usize, largest: &[f64; 4]) {
    if leaves == 1 || all.len() < 2 {
        return;
    }
    let mut extent = Extent::NONE;
    for (free, _) in &*all {
        extent = extent.with(Extent { least: *free, most: *free });
    }
    let spread = |it: usize| (extent.most[it] - extent.least[it]) as f64 / largest[it];
    let axis = (0..4).max_by(|a, b| spread(*a).total_cmp(&spread(*b))).expect("there are four");
    let middle = all.len() / 2;
    all.select_nth_unstable_by_key(middle, |it| (it.0[axis], it.1));
    let (low, high) = all.split_at_mut(middle);
    sort(low, leaves / 2, largest);
    sort(high, leaves / 2, largest);
}
