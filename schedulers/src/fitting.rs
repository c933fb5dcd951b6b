//! Which nodes take a shape, kept from task to task as bits.

use cluster::ids::ShapeId;
use cluster::nodes::Nodes;
use cluster::shape::Shape;
use cluster::touched::Mark;

/// Words kept over all shapes.
const WORDS_MAX: usize = 1 << 22;

/// A set of nodes: bit `row % 64` of word `row / 64`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(Vec<u64>);

impl Rows {
    /// Those of so many that are in it.
    #[cfg(test)]
    pub(crate) fn of(nodes: usize, is_in: impl Fn(usize) -> bool) -> Self {
        let word = |at: usize| {
            let rows = at * 64..nodes.min((at + 1) * 64);
            rows.fold(0, |word, row| word | u64::from(is_in(row)) << (row % 64))
        };
        Self((0..nodes.div_ceil(64)).map(word).collect())
    }

    /// Puts a row in, or takes it out.
    pub(crate) fn set(&mut self, row: usize, is_in: bool) {
        let word = &mut self.0[row / 64];
        *word = *word & !(1 << (row % 64)) | u64::from(is_in) << (row % 64);
    }

    /// Makes room for so many nodes.
    pub(crate) fn widen(&mut self, nodes: usize) {
        self.0.resize(nodes.div_ceil(64), 0);
    }

    /// Whether a row is in it.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 == 1
    }

    /// Whether no row is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|it| *it == 0)
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Whether some are in both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Whether some are not in the other, which is as wide.
    pub(crate) fn exceeds(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & !b != 0)
    }

    /// Takes out those of the other.
    pub(crate) fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    /// Takes out those that are not in the other, which is as wide.
    pub(crate) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Takes out all but those with the least of this.
    pub(crate) fn keep_least(&mut self, value: impl Fn(usize) -> u64) {
        let least = self.iter().map(&value).min();
        self.retain(|row| Some(value(row)) == least);
    }

    /// Takes out all others.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        for (at, word) in self.0.iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                if !is_kept(at * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}

/// Which nodes take which shape. No memory: made anew after a restart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fitting {
    /// By shape.
    kept: Vec<Kept>,
    words: usize,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    rows: Rows,
    /// Changes up to then are in it; `None` if it was never made.
    seen: Option<Mark>,
}

impl Fitting {
    /// The nodes that take the shape now.
    pub(crate) fn rows(&mut self, id: ShapeId, shape: &Shape, nodes: &Nodes) -> &Rows {
        let width = nodes.len().div_ceil(64);
        if self.words > WORDS_MAX {
            self.kept.clear();
            self.words = 0;
        }
        if self.kept.len() <= id.row() {
            self.kept.resize_with(id.row() + 1, Kept::default);
        }
        let kept = &mut self.kept[id.row()];
        let changed = kept.seen.and_then(|it| nodes.touched_since(it));
        match changed.filter(|it| it.len() <= nodes.len() / 4) {
            Some(changed) => {
                changed.for_each(|node| kept.rows.set(node.row(), nodes.fits(shape, node)));
            }
            None => {
                self.words += width - kept.rows.0.len().min(width);
                let fitting = nodes.fitting(shape);
                kept.rows = Rows((0..width).map(|it| fitting.word(it)).collect());
            }
        }
        kept.seen = Some(nodes.mark());
        &kept.rows
    }
}

/// The nodes of each zone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zones {
    rows: Vec<Rows>,
    membership: Option<u64>,
}

impl Zones {
    /// By zone.
    pub(crate) fn rows(&mut self, nodes: &Nodes) -> &[Rows] {
        if self.membership != Some(nodes.membership()) {
            self.membership = Some(nodes.membership());
            self.rows.clear();
            self.rows.resize_with(nodes.zone_names().len(), Rows::default);
            self.rows.iter_mut().for_each(|it| it.widen(nodes.len()));
            for (row, zone) in nodes.zones().iter().enumerate() {
                self.rows[zone.row()].set(row, true);
            }
        }
        &self.rows
    }
}
