//! Nodes by what they have free, in a grid of cells, so that a search for the best need not look at most of them.
//!
//! A cell holds the nodes that are ready and alike in free cpu and memory; a square of cells is a block. Cells and
//! blocks know between what their nodes have free of every resource, which bounds the key of a strategy that prefers nodes
//! with more free, or with less ([`ByFree`]): what cannot beat the best that was found is passed over.
//!
//! Source: the grid file of J. Nievergelt, H. Hinterberger, K. C. Sevcik, ACM TODS 9(1), 1984, searched by branch and
//! bound as in N. Roussopoulos, S. Kelley, F. Vincent, "Nearest neighbor queries", SIGMOD 1995. Differs in a fixed
//! directory, and in extents that only widen until a cell is empty again.

use crate::rank::{ByFree, Prefers};
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::touched::Mark;

/// Levels of free cpu, and of free memory. A power of two.
const LEVELS: usize = if cfg!(test) { 16 } else { 64 };

/// Cells along one side of a block.
const SIDE: usize = 8;

/// The cell of nodes that are not ready.
const OUT: u16 = u16::MAX;

/// The grid. No memory: made anew when it is first asked.
#[derive(Debug)]
pub(super) struct Grid {
    cells: Vec<Cell>,
    blocks: Vec<Block>,
    /// Per node: its cell, and its place there.
    places: Vec<(u16, u32)>,
    /// Right shifts of free cpu and memory that leave a level.
    shifts: [u32; 2],
    seen: Option<Mark>,
}

#[derive(Debug, Clone, Default)]
struct Cell {
    nodes: Vec<NodeId>,
    extent: Extent,
}

#[derive(Debug, Clone, Default)]
struct Block {
    nodes: usize,
    extent: Extent,
}

/// Between what some nodes have free.
#[derive(Debug, Clone, Copy)]
struct Extent {
    least: [u64; 4],
    most: [u64; 4],
}

impl Default for Extent {
    fn default() -> Self {
        Self { least: [u64::MAX; 4], most: [0; 4] }
    }
}

impl Extent {
    fn widen(&mut self, free: [u64; 4]) {
        for (it, free) in free.into_iter().enumerate() {
            self.least[it] = self.least[it].min(free);
            self.most[it] = self.most[it].max(free);
        }
    }

    /// No node within that has enough has a lower key; `None` if none has enough.
    fn bound<K>(&self, asked: [u64; 4], by: &ByFree<'_, K>) -> Option<K> {
        let has_nodes = self.least[0] <= self.most[0];
        let has_room = has_nodes && (0..4).all(|it| asked[it] <= self.most[it]);
        has_room.then(|| match by.prefers {
            Prefers::More => (by.key)(self.most),
            Prefers::Less => (by.key)(std::array::from_fn(|it| asked[it].max(self.least[it]))),
        })
    }
}

/// What a node has free, in the order of [`Resource::ALL`].
pub(super) fn free(nodes: &Nodes, node: NodeId) -> [u64; 4] {
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.free(it)[node.row()]);
    [cpu, memory, disk, nodes.gpu_free(node)]
}

impl Grid {
    pub(super) fn new() -> Self {
        Self {
            cells: Vec::new(),
            blocks: Vec::new(),
            places: Vec::new(),
            shifts: [0; 2],
            seen: None,
        }
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, nodes: &Nodes) {
        match self.seen.and_then(|it| nodes.touched_since(it)) {
            Some(changed) if changed.len() <= nodes.len() => {
                changed.for_each(|node| self.set(node, nodes));
            }
            _ => self.make(nodes),
        }
        self.seen = Some(nodes.mark());
    }

    fn make(&mut self, nodes: &Nodes) {
        *self = Self::new();
        self.cells.resize(LEVELS * LEVELS, Cell::default());
        self.blocks.resize(LEVELS / SIDE * (LEVELS / SIDE), Block::default());
        self.shifts = [Resource::Cpu, Resource::Memory].map(|resource| {
            let largest = nodes.allocatable(resource).iter().copied().max().unwrap_or(0);
            let bits = u64::BITS - largest.leading_zeros();
            bits.saturating_sub(LEVELS.trailing_zeros())
        });
        self.places.resize(nodes.len(), (OUT, 0));
        nodes.ids().for_each(|node| self.set(node, nodes));
    }

    /// A node has changed.
    fn set(&mut self, node: NodeId, nodes: &Nodes) {
        let free = free(nodes, node);
        // More than there was when the grid was made is on the last level too.
        let level = |it: usize| ((free[it] >> self.shifts[it]) as usize).min(LEVELS - 1);
        let new =
            if nodes.ready()[node.row()] { (level(0) * LEVELS + level(1)) as u16 } else { OUT };
        let (old, place) = self.places[node.row()];
        if old != new && old != OUT {
            self.take_out(old, place);
        }
        if new == OUT {
            self.places[node.row()] = (OUT, 0);
            return;
        }
        let (cell, block) = (&mut self.cells[usize::from(new)], &mut self.blocks[block_of(new)]);
        if old != new {
            self.places[node.row()] = (new, cell.nodes.len() as u32);
            cell.nodes.push(node);
            block.nodes += 1;
        }
        cell.extent.widen(free);
        block.extent.widen(free);
    }

    fn take_out(&mut self, cell: u16, place: u32) {
        let (cell, block) = (&mut self.cells[usize::from(cell)], &mut self.blocks[block_of(cell)]);
        cell.nodes.swap_remove(place as usize);
        match cell.nodes.get(place as usize) {
            Some(moved) => self.places[moved.row()].1 = place,
            None if cell.nodes.is_empty() => cell.extent = Extent::default(),
            None => {}
        }
        block.nodes -= 1;
        if block.nodes == 0 {
            block.extent = Extent::default();
        }
    }

    /// Shows the nodes of one cell after the other, the most promising block first. `visit` says which key is to be beaten or
    /// equalled from then on, if any: what cannot do that is not shown.
    pub(super) fn search<K: Ord + Copy>(
        &self,
        asked: [u64; 4],
        by: &ByFree<'_, K>,
        mut visit: impl FnMut(&[NodeId]) -> Option<K>,
    ) {
        let bounded = |at: usize| Some((self.blocks[at].extent.bound(asked, by)?, at));
        let mut blocks: Vec<(K, usize)> = (0..self.blocks.len()).filter_map(bounded).collect();
        blocks.sort_unstable();
        let mut limit: Option<K> = None;
        for (bound, block) in blocks {
            if limit.is_some_and(|it| bound > it) {
                return;
            }
            for cell in cells_of(block) {
                let cell = &self.cells[cell];
                match cell.extent.bound(asked, by) {
                    Some(bound) if limit.is_none_or(|it| bound <= it) => limit = visit(&cell.nodes),
                    _ => {}
                }
            }
        }
    }
}

fn block_of(cell: u16) -> usize {
    let (cpu, memory) = (usize::from(cell) / LEVELS, usize::from(cell) % LEVELS);
    cpu / SIDE * (LEVELS / SIDE) + memory / SIDE
}

/// The cells of a block.
fn cells_of(block: usize) -> impl Iterator<Item = usize> {
    let (cpu, memory) = (block / (LEVELS / SIDE) * SIDE, block % (LEVELS / SIDE) * SIDE);
    (cpu..cpu + SIDE).flat_map(move |cpu| (memory..memory + SIDE).map(move |it| cpu * LEVELS + it))
}
