//! The best nodes for a shape, kept from task to task.
//!
//! A key depends on a shape and one node alone. Of every shape that was asked for of late the keys of all nodes are
//! kept in blocks of sixteen, each with its lowest key and how many nodes have it; then blocks of sixteen blocks, and
//! so on. Nodes that changed since the last time are looked at again when the shape is asked for again.
//!
//! Cost: a key and some blocks for every node that changed since; all keys for a shape that was not asked for of late.

use cluster::id_map::IdMap;
use cluster::ids::ShapeId;
use cluster::nodes::Nodes;

/// The key of a node that is out of the question.
pub(super) const OUT: u64 = u64::MAX;

const BLOCK: usize = 16;

/// Keys kept over all shapes, unless that were fewer than four shapes.
const KEYS_MAX: usize = 1 << 21;

/// Changes remembered, at least.
const CHANGES_KEPT: usize = 1 << 15;

/// The best nodes for the shapes of late.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: Vec<Kept>,
    /// By shape, its place among those.
    places: IdMap<ShapeId, usize>,
    /// Rows that changed, in order.
    changes: Vec<u32>,
    /// How many changes there were before those.
    forgotten: usize,
    asked: u64,
}

impl Index {
    /// Something on the node changed that keys may depend on. Joins, losses and updates of nodes need not be told.
    pub(super) fn touch(&mut self, row: usize) {
        if self.changes.len() >= 2 * CHANGES_KEPT {
            self.changes.drain(..CHANGES_KEPT);
            self.forgotten += CHANGES_KEPT;
        }
        self.changes.push(row as u32);
    }

    /// The best for this shape. `key` is a node's by its row, the lowest is best, or [`OUT`].
    pub(super) fn best(
        &mut self,
        shape: ShapeId,
        nodes: &Nodes,
        key: impl Fn(usize) -> u64,
    ) -> &Kept {
        self.asked += 1;
        let place = match self.places.get(&shape) {
            Some(place) => *place,
            None => self.make_place(shape, nodes.len()),
        };
        let kept = &mut self.kept[place];
        let since = kept.seen.checked_sub(self.forgotten).map(|it| &self.changes[it..]);
        match since {
            Some(rows)
                if kept.membership == nodes.membership() && rows.len() <= nodes.len() / 8 =>
            {
                rows.iter().for_each(|row| kept.set(*row as usize, key(*row as usize)));
            }
            _ => {
                kept.membership = nodes.membership();
                kept.fill(nodes.len(), key);
            }
        }
        kept.seen = self.forgotten + self.changes.len();
        kept.asked = self.asked;
        kept
    }

    /// Gives the shape the place of the one that was not asked for the longest, if there are enough.
    fn make_place(&mut self, shape: ShapeId, nodes: usize) -> usize {
        let most = (KEYS_MAX / nodes.max(1)).clamp(4, 256);
        let place = if self.kept.len() < most {
            self.kept.push(Kept::new(shape));
            self.kept.len() - 1
        } else {
            let oldest = (0..self.kept.len()).min_by_key(|it| self.kept[*it].asked);
            let oldest = oldest.expect("there are at least four");
            self.places.remove(&self.kept[oldest].shape);
            oldest
        };
        self.kept[place] = Kept::new(shape);
        self.places.insert(shape, place);
        place
    }
}

/// The keys of all nodes for one shape.
#[derive(Debug)]
pub(super) struct Kept {
    shape: ShapeId,
    /// Changes up to then are in the keys.
    seen: usize,
    /// [`Nodes::membership`] then.
    membership: u64,
    /// When it was last asked for.
    asked: u64,
    keys: Vec<u64>,
    /// Best of each block of keys, then of blocks of those, up to a single one.
    levels: Vec<Vec<Best>>,
}

/// The lowest key, and how many have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Best {
    key: u64,
    count: u32,
}

impl Best {
    fn of(block: impl Iterator<Item = Self>) -> Self {
        block.fold(Self { key: OUT, count: 0 }, |best, it| match it.key.cmp(&best.key) {
            std::cmp::Ordering::Less => it,
            std::cmp::Ordering::Equal => Self { count: best.count + it.count, ..best },
            std::cmp::Ordering::Greater => best,
        })
    }

    fn of_keys(block: &[u64]) -> Self {
        let key = block.iter().copied().min().unwrap_or(OUT);
        Self { key, count: block.iter().map(|it| u32::from(*it == key)).sum() }
    }
}

impl Kept {
    fn new(shape: ShapeId) -> Self {
        // No membership is that high: the keys are to be filled in.
        let (keys, levels) = (Vec::new(), Vec::new());
        Self { shape, seen: 0, membership: u64::MAX, asked: 0, keys, levels }
    }

    fn fill(&mut self, nodes: usize, key: impl Fn(usize) -> u64) {
        self.keys.clear();
        self.keys.extend((0..nodes).map(key));
        self.levels.clear();
        let mut level: Vec<Best> = self.keys.chunks(BLOCK).map(Best::of_keys).collect();
        while level.len() > 1 {
            let above = level.chunks(BLOCK).map(|it| Best::of(it.iter().copied())).collect();
            self.levels.push(std::mem::replace(&mut level, above));
        }
        self.levels.push(level);
    }

    fn set(&mut self, row: usize, key: u64) {
        if self.keys[row] == key {
            return;
        }
        self.keys[row] = key;
        let block = |at: usize, len: usize| at * BLOCK..len.min((at + 1) * BLOCK);
        let mut at = row / BLOCK;
        let mut best = Best::of_keys(&self.keys[block(at, self.keys.len())]);
        for level in 0..self.levels.len() {
            if self.levels[level][at] == best {
                return;
            }
            self.levels[level][at] = best;
            at /= BLOCK;
            let below = &self.levels[level];
            best = Best::of(below[block(at, below.len())].iter().copied());
        }
    }

    fn top(&self) -> Option<Best> {
        self.levels.last()?.first().copied().filter(|it| it.key != OUT)
    }

    /// How many nodes are equally good, and better than all others.
    pub(super) fn count(&self) -> usize {
        self.top().map_or(0, |it| it.count as usize)
    }

    /// The row of one of those, in row order.
    pub(super) fn row(&self, mut which: usize) -> Option<usize> {
        let key = self.top()?.key;
        let mut at = 0;
        for level in self.levels.iter().rev().skip(1) {
            at *= BLOCK;
            loop {
                let best = level.get(at)?;
                let here = if best.key == key { best.count as usize } else { 0 };
                if which < here {
                    break;
                }
                which -= here;
                at += 1;
            }
        }
        (at * BLOCK..self.keys.len()).filter(|it| self.keys[*it] == key).nth(which)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equally_good_rows_come_in_order(
            mut keys in prop::collection::vec(0..4u64, 0..600),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..5u64), 0..60),
        ) {
            let check = |kept: &Kept, keys: &[u64]| {
                let best = keys.iter().copied().min().filter(|it| *it != OUT);
                let want: Vec<usize> =
                    (0..keys.len()).filter(|it| Some(keys[*it]) == best).collect();
                let got: Vec<usize> = (0..kept.count()).filter_map(|it| kept.row(it)).collect();
                prop_assert_eq!(got, want);
                prop_assert_eq!(kept.row(kept.count()), None);
                Ok(())
            };
            let mut kept = Kept::new(ShapeId(0));
            kept.fill(keys.len(), |it| keys[it]);
            check(&kept, &keys)?;
            for (row, key) in changes {
                if keys.is_empty() {
                    break;
                }
                let row = row.index(keys.len());
                keys[row] = if key == 4 { OUT } else { key };
                kept.set(row, keys[row]);
                check(&kept, &keys)?;
            }
        }
    }

    #[test]
    fn the_shape_not_asked_for_the_longest_makes_room() {
        let (mut index, nodes) = (Index::default(), Nodes::default());
        let most = 256;
        for shape in (0..most).chain([0, most]) {
            index.best(ShapeId(shape), &nodes, |_| OUT);
        }
        assert_eq!(index.kept.len(), most as usize);
        assert!(index.places.contains(&ShapeId(0)) && index.places.contains(&ShapeId(most)));
        assert!(!index.places.contains(&ShapeId(1)));
    }
}
