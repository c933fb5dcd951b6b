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

use crate::rank::{ByFree, Prefers, Room};
use crate::scale::Scale;
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::touched::Mark;

/// No more nodes than this stand in a leaf.
const LEAF: usize = if cfg!(test) { 2 } else { 16 };

/// Nodes are sorted anew when so many times their number have changed.
const SORTED: usize = 2;

/// The tree. No memory: made anew when it is first asked.
#[derive(Debug)]
pub(super) struct Boxes {
    /// Nodes in the order of leaves.
    order: Vec<NodeId>,
    /// What they have free, in the same order; `None` of those that are not ready.
    rooms: Vec<Option<Room>>,
    /// Where each node stands in that order.
    places: Vec<u32>,
    /// Around what the nodes of each box have free: the root is 1, below `it` are `2 * it` and the next. Leaves come last, a power of two.
    extents: Vec<Extent>,
    /// The first row in each box.
    first: Vec<u32>,
    /// How many changes of nodes have been followed.
    followed: usize,
    seen: Option<Mark>,
    scale: Scale,
}

/// In the order of [`Resource::ALL`].
type Amounts = [u64; 4];

/// Between what some nodes have free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    least: Amounts,
    most: Amounts,
    /// The shares of the largest nodes, summed.
    whole: [u64; 2],
}

impl Extent {
    /// Around no node.
    const NONE: Self = Self { least: [u64::MAX; 4], most: [0; 4], whole: [u64::MAX, 0] };

    #[inline]
    fn with(self, other: Self) -> Self {
        Self {
            least: std::array::from_fn(|it| self.least[it].min(other.least[it])),
            most: std::array::from_fn(|it| self.most[it].max(other.most[it])),
            whole: [self.whole[0].min(other.whole[0]), self.whole[1].max(other.whole[1])],
        }
    }

    fn around(all: &[Option<Room>]) -> Self {
        let one = |it: &Room| Self { least: it.free, most: it.free, whole: [it.whole; 2] };
        all.iter().flatten().map(one).fold(Self::NONE, Self::with)
    }

    /// No node within that has enough has a lower key; `None` if none has enough.
    #[inline]
    fn bound<K>(
        &self,
        asked: Room,
        scale: &Scale,
        by: &ByFree<impl Fn(Room) -> K, impl Fn(Room) -> K>,
    ) -> Option<K> {
        let most = Room { free: self.most, whole: self.whole[1] };
        let has_nodes = self.whole[0] <= self.whole[1];
        if !has_nodes || !is_enough(most, asked) {
            return None;
        }
        Some((by.bound)(match by.prefers {
            Prefers::More => most,
            Prefers::Less => {
                let free = std::array::from_fn(|it| asked.free[it].max(self.least[it]));
                Room { free, whole: scale.whole(free).max(self.whole[0]) }
            }
        }))
    }
}

#[inline]
fn is_enough(room: Room, asked: Room) -> bool {
    let [cpu, memory, disk, gpu] = std::array::from_fn(|it| asked.free[it] <= room.free[it]);
    cpu && memory && disk && gpu && asked.whole <= room.whole
}

impl Boxes {
    pub(super) fn new() -> Self {
        Self {
            order: Vec::new(),
            rooms: Vec::new(),
            places: Vec::new(),
            extents: Vec::new(),
            first: Vec::new(),
            followed: 0,
            seen: None,
            scale: Scale::default(),
        }
    }

    /// What a node has free, if it is ready.
    fn room(&self, nodes: &Nodes, node: NodeId) -> Option<Room> {
        let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.free(it)[node.row()]);
        nodes.ready()[node.row()].then(|| {
            let free = [cpu, memory, disk, nodes.gpu_free(node)];
            Room { free, whole: self.scale.whole(free) }
        })
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, nodes: &Nodes) {
        let changed = self.seen.and_then(|it| nodes.touched_since(it));
        match changed.filter(|it| self.followed + it.len() <= SORTED * nodes.len()) {
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
        self.scale = Scale::default();
        self.scale.refresh(nodes);
        let axes = |it: NodeId| {
            let room = self.room(nodes, it).unwrap_or(Room { free: [0; 4], whole: 0 });
            let [cpu, memory, disk, gpu] = self.scale.shares(room.free);
            ([cpu, memory, disk, gpu, room.whole], it)
        };
        let mut all: Vec<([u64; 5], NodeId)> = nodes.ids().map(axes).collect();
        sort(&mut all, leaves);
        self.order.clear();
        self.order.extend(all.iter().map(|it| it.1));
        self.rooms.clear();
        for node in &self.order {
            let room = self.room(nodes, *node);
            self.rooms.push(room);
        }
        self.places.resize(nodes.len(), 0);
        for (place, node) in self.order.iter().enumerate() {
            self.places[node.row()] = place as u32;
        }
        for leaf in 0..leaves {
            let places = self.places_of(leaf..leaf + 1);
            self.extents[leaves + leaf] = Extent::around(&self.rooms[places.clone()]);
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
        let (place, room) = (self.places[node.row()] as usize, self.room(nodes, node));
        if std::mem::replace(&mut self.rooms[place], room) == room {
            return;
        }
        let leaves = self.leaves();
        // The last leaf that begins no later.
        let leaf = ((place + 1) * leaves - 1) / self.order.len();
        debug_assert!(self.places_of(leaf..leaf + 1).contains(&place));
        let mut at = leaves + leaf;
        let mut extent = Extent::around(&self.rooms[self.places_of(leaf..leaf + 1)]);
        while self.extents[at] != extent {
            self.extents[at] = extent;
            if at == 1 {
                return;
            }
            extent = extent.with(self.extents[at ^ 1]);
            at /= 2;
        }
    }

    /// Shows nodes that have enough, with their keys: those of the most promising box first. `visit` says which key is to be
    /// beaten from then on, if any, or equalled by a row not behind that one: what cannot do that is not shown.
    pub(super) fn search<K: Ord + Copy>(
        &self,
        asked: Amounts,
        by: &ByFree<impl Fn(Room) -> K, impl Fn(Room) -> K>,
        mut visit: impl FnMut(NodeId, K) -> Option<(K, u32)>,
    ) {
        // Of what no node has enough, shares might be too large to be summed.
        if (0..4).any(|it| asked[it] > self.extents[1].most[it]) {
            return;
        }
        let asked = Room { free: asked, whole: self.scale.whole(asked) };
        let leaves = self.leaves();
        let mut limit: Option<(K, u32)> = None;
        let promise = |at: usize| {
            Some((self.extents[at].bound(asked, &self.scale, by)?, self.first[at])).zip(Some(at))
        };
        let mut open: Vec<((K, u32), usize)> = promise(1).into_iter().collect();
        while let Some((bound, at)) = open.pop() {
            if limit.is_some_and(|it| bound > it) {
                continue;
            }
            if at < leaves {
                let (mut low, mut high) = (promise(2 * at), promise(2 * at + 1));
                if let (Some(a), Some(b)) = (low, high)
                    && a.0 < b.0
                {
                    (low, high) = (high, low);
                }
                // The more promising one is opened next.
                open.extend(low);
                open.extend(high);
                continue;
            }
            let places = self.places_of(at - leaves..at - leaves + 1);
            for (room, node) in self.rooms[places.clone()].iter().zip(&self.order[places]) {
                let Some(room) = room.filter(|it| is_enough(*it, asked)) else { continue };
                let key = (by.key)(room);
                if limit.is_none_or(|it| (key, node.0) <= it) {
                    limit = visit(*node, key);
                }
            }
        }
    }
}

/// Brings nodes into the order of so many leaves, split where their shares, or the sum of these, differ most.
fn sort(all: &mut [([u64; 5], NodeId)], leaves: usize) {
    if leaves == 1 || all.len() < 2 {
        return;
    }
    let (mut least, mut most) = ([u64::MAX; 5], [0; 5]);
    for (shares, _) in &*all {
        for it in 0..5 {
            least[it] = least[it].min(shares[it]);
            most[it] = most[it].max(shares[it]);
        }
    }
    let axis = (0..5).max_by_key(|it| most[*it] - least[*it]).expect("there are some");
    let middle = all.len() / 2;
    all.select_nth_unstable_by_key(middle, |it| (it.0[axis], it.1));
    let (low, high) = all.split_at_mut(middle);
    sort(low, leaves / 2);
    sort(high, leaves / 2);
}
