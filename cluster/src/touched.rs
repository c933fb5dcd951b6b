//! Which nodes changed last, so that whoever keeps something per node looks again at those alone.

use crate::ids::NodeId;

/// How many changes are remembered. A power of two.
const KEPT: usize = 1 << 14;

/// A moment in the order of changes; see [`Nodes::touched_since`](crate::nodes::Nodes::touched_since).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The last changes, in order. No part of the state: it says how the state came about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    /// The change of number `n` stands at `n % KEPT`.
    ring: Vec<NodeId>,
    count: u64,
    /// Number of the first change after the last that was about all nodes.
    since: u64,
}

impl Touched {
    /// One node changed.
    pub(crate) fn push(&mut self, node: NodeId) {
        if self.ring.len() < KEPT {
            self.ring.resize(KEPT, NodeId(0));
        }
        self.ring[self.count as usize % KEPT] = node;
        self.count += 1;
    }

    /// Something changed that may be about any node.
    pub(crate) fn all(&mut self) {
        self.count += 1;
        self.since = self.count;
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.count)
    }

    pub(crate) fn since(&self, Mark(mark): Mark) -> Option<impl ExactSizeIterator<Item = NodeId>> {
        let is_known = mark >= self.since && mark <= self.count && self.count - mark <= KEPT as u64;
        let count = is_known.then(|| (self.count - mark) as usize)?;
        Some((0..count).map(move |it| self.ring[(mark as usize + it) % KEPT]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(it: &Touched, mark: Mark) -> Option<Vec<u32>> {
        Some(it.since(mark)?.map(|it| it.0).collect())
    }

    #[test]
    fn tells_what_came_after_a_mark() {
        let mut it = Touched::default();
        let first = it.mark();
        assert_eq!(since(&it, first), Some(vec![]));
        it.push(NodeId(3));
        let second = it.mark();
        it.push(NodeId(1));
        assert_eq!(since(&it, first), Some(vec![3, 1]));
        assert_eq!(since(&it, second), Some(vec![1]));
        it.all();
        assert_eq!(since(&it, second), None, "it was about all");
        assert_eq!(since(&it, it.mark()), Some(vec![]));
        assert_eq!(since(&Touched::default(), second), None, "of another life");
    }

    #[test]
    fn forgets_what_is_long_ago() {
        let mut it = Touched::default();
        it.all();
        let mark = it.mark();
        for row in 0..KEPT as u32 {
            it.push(NodeId(row));
        }
        assert_eq!(since(&it, mark), Some((0..KEPT as u32).collect()));
        it.push(NodeId(7));
        assert_eq!(since(&it, mark), None);
    }
}
