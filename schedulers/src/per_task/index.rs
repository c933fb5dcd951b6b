//! What is remembered per shape, so that a decision looks at the nodes that changed and not at all of them.
//!
//! Two kinds, both exact: one bit a node, for strategies that take the first that fits, and a tournament of keys for
//! those that take the best. Bits are made when none of the next rows will do; a tournament only for a shape that comes
//! again while few nodes changed (bursts of identical tasks, and the few shapes of which most tasks are). Either is brought
//! up to date from [`Nodes::touched_since`] when it is asked. What they cost in memory is bounded.
//!
//! Sources: score caching and equivalence classes of A. Verma et al., "Large-scale cluster management at Google with
//! Borg", EuroSys 2015, section 3.4; tournament trees as in D. E. Knuth, "The Art of Computer Programming", volume 3,
//! section 5.4.1.

use super::WORD;
use cluster::ids::{NodeId, ShapeId};
use cluster::nodes::Nodes;
use cluster::touched::Mark;

/// More changed nodes than one in this many: a plain scan costs less than looking at each of them.
const FEW: usize = if cfg!(test) { 1 } else { 16 };

/// How much memory what is remembered may take, in bytes.
const MEMORY_MAX: usize = 128 << 20;

/// What is remembered of shapes, by shape.
#[derive(Debug)]
pub(super) struct PerShape<T> {
    slots: Vec<Slot<T>>,
    /// How many hold something.
    held: usize,
    /// Counts the questions.
    turn: u64,
}

#[derive(Debug)]
struct Slot<T> {
    /// When the shape was last asked for.
    asked: Option<Mark>,
    turn: u64,
    held: Option<T>,
    /// Whether what is held was right when last asked.
    is_right: bool,
}

/// What is known of a shape.
pub(super) enum Known<T> {
    /// This.
    Yes(T),
    /// Nothing, but it was asked for a moment ago, and probably will be again.
    NotYet,
    /// Nothing.
    No,
}

/// Something about every node for one shape.
pub(super) trait Column {
    /// With no node in it.
    fn empty() -> Self;

    /// About how many bytes it takes.
    fn size(rows: usize) -> usize;
}

impl<T: Column> PerShape<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), held: 0, turn: 0 }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// What is known of the shape, brought up to date by `update` for each node that changed; nothing is known if too
    /// many did.
    pub(super) fn ask(
        &mut self,
        shape: ShapeId,
        nodes: &Nodes,
        mut update: impl FnMut(&mut T, NodeId),
    ) -> Known<&T> {
        let (row, rows) = (shape.row(), nodes.len());
        if self.slots.len() <= row {
            let slot = || Slot { asked: None, turn: 0, held: None, is_right: false };
            self.slots.resize_with(row + 1, slot);
        }
        self.turn += 1;
        let slot = &mut self.slots[row];
        slot.turn = self.turn;
        let before = slot.asked.replace(nodes.mark());
        let changed = before.and_then(|it| nodes.touched_since(it));
        let Some(changed) = changed.filter(|it| it.len() <= rows / FEW) else {
            slot.is_right = false;
            return Known::No;
        };
        let (true, Some(held)) = (slot.is_right, &mut slot.held) else {
            return Known::NotYet;
        };
        let mut last = None;
        for node in changed {
            // A node that changed again and again is looked at once.
            if last.replace(node) != Some(node) {
                update(held, node);
            }
        }
        Known::Yes(held)
    }

    /// Makes it known from all nodes. Only right after the question.
    pub(super) fn make(&mut self, shape: ShapeId, rows: usize, make: impl FnOnce(&mut T)) -> &T {
        let most = (MEMORY_MAX / T::size(rows).max(1)).max(1);
        if self.slots[shape.row()].held.is_none() {
            if self.held >= most {
                self.drop_oldest();
            }
            self.held += 1;
        }
        let slot = &mut self.slots[shape.row()];
        slot.is_right = true;
        let held = slot.held.get_or_insert_with(T::empty);
        make(held);
        held
    }

    fn drop_oldest(&mut self) {
        let oldest = self.slots.iter_mut().filter(|it| it.held.is_some()).min_by_key(|it| it.turn);
        if let Some(slot) = oldest {
            (slot.held, slot.is_right) = (None, false);
            self.held -= 1;
        }
    }
}

/// The rows of a word's set bits, ascending.
pub(super) fn set_rows(word: usize, bits: u64) -> impl Iterator<Item = usize> {
    let mut left = bits;
    std::iter::from_fn(move || {
        let row = (left != 0).then(|| word * WORD + left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(row)
    })
}

/// One bit a node.
#[derive(Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
    rows: usize,
}

impl Column for Bits {
    fn empty() -> Self {
        Self { words: Vec::new(), rows: 0 }
    }

    fn size(rows: usize) -> usize {
        rows / 8 + 64
    }
}

impl Bits {
    /// Sets all bits anew: those of the words, where the node is accepted.
    pub(super) fn fill(
        &mut self,
        rows: usize,
        word: impl Fn(usize) -> u64,
        accepts: impl Fn(NodeId) -> bool,
    ) {
        self.rows = rows;
        self.words.clear();
        self.words.extend((0..rows.div_ceil(WORD)).map(|at| {
            let bits = word(at);
            let refused = set_rows(at, bits).filter(|it| !accepts(NodeId(*it as u32)));
            bits & !refused.fold(0, |bits, row| bits | 1 << (row % WORD))
        }));
    }

    pub(super) fn set(&mut self, row: usize, is_set: bool) {
        let (word, bit) = (&mut self.words[row / WORD], row % WORD);
        *word = *word & !(1 << bit) | u64::from(is_set) << bit;
    }

    /// The first row that is set, from `start` on, cyclically.
    pub(super) fn first_from(&self, start: usize) -> Option<usize> {
        let start = start.checked_rem(self.rows)?;
        let (word, bit) = (start / WORD, start % WORD);
        let found = |at: usize, bits: u64| at * WORD + bits.trailing_zeros() as usize;
        let rest = self.words[word] & (u64::MAX << bit);
        if rest != 0 {
            return Some(found(word, rest));
        }
        let after = self.words.iter().enumerate().skip(word + 1);
        let before = self.words.iter().enumerate().take(word + 1);
        after.chain(before).find(|it| *it.1 != 0).map(|(at, &bits)| found(at, bits))
    }
}

/// No row.
const NONE: u32 = u32::MAX;

/// The nodes that will do in a tournament, where the lowest key wins.
#[derive(Debug)]
pub(super) struct Tournament<K> {
    /// Key of each row that is in it.
    keys: Vec<K>,
    /// A complete binary tree from index 1 on, the rows below: who wins among those under each.
    winners: Vec<u32>,
    leaves: usize,
}

impl<K> Column for Tournament<K> {
    fn empty() -> Self {
        Self { keys: Vec::new(), winners: Vec::new(), leaves: 0 }
    }

    fn size(rows: usize) -> usize {
        rows * size_of::<K>() + 8 * rows.next_power_of_two()
    }
}

impl<K: Ord + Copy> Tournament<K> {
    /// Starts anew with the rows of these words that have a key. `order` decides between equal keys: the lower wins, then the lower row.
    pub(super) fn fill(
        &mut self,
        rows: usize,
        word: impl Fn(usize) -> u64,
        key: impl Fn(NodeId) -> Option<K>,
        order: impl Fn(usize) -> u32,
    ) {
        self.leaves = rows.next_power_of_two();
        self.keys.clear();
        self.winners.clear();
        self.winners.resize(2 * self.leaves, NONE);
        for row in (0..rows.div_ceil(WORD)).flat_map(|it| set_rows(it, word(it))) {
            if let Some(key) = key(NodeId(row as u32)) {
                // Rows that are not in it have any key.
                self.keys.resize(row + 1, key);
                self.keys[row] = key;
                self.winners[self.leaves + row] = row as u32;
            }
        }
        for at in (1..self.leaves).rev() {
            self.winners[at] = self.better(2 * at, &order);
        }
    }

    /// Changes one row.
    pub(super) fn set(&mut self, row: usize, key: Option<K>, order: impl Fn(usize) -> u32) {
        let leaf = self.leaves + row;
        let was_in = self.winners[leaf] != NONE;
        match key {
            None if !was_in => return,
            Some(key) if was_in && self.keys[row] == key => return,
            Some(key) => {
                if self.keys.len() <= row {
                    self.keys.resize(row + 1, key);
                }
                self.keys[row] = key;
                self.winners[leaf] = row as u32;
            }
            None => self.winners[leaf] = NONE,
        }
        let mut at = leaf / 2;
        while at > 0 {
            let winner = self.better(2 * at, &order);
            if self.winners[at] == winner && winner != row as u32 {
                return;
            }
            self.winners[at] = winner;
            at /= 2;
        }
    }

    /// Who wins between a left child and its right neighbour.
    fn better(&self, left: usize, order: &impl Fn(usize) -> u32) -> u32 {
        let (a, b) = (self.winners[left], self.winners[left + 1]);
        if b == NONE || a == NONE {
            return a.min(b);
        }
        let (x, y) = (self.keys[a as usize], self.keys[b as usize]);
        let is_right = y < x || y == x && order(b as usize) < order(a as usize);
        if is_right { b } else { a }
    }

    /// Who wins.
    pub(super) fn best(&self) -> Option<usize> {
        // A tree of one leaf has its root there.
        let root = self.winners.get(1).copied().unwrap_or(NONE);
        (root != NONE).then_some(root as usize)
    }

    /// All rows with the key of the winner, ascending.
    pub(super) fn tied(&self, out: &mut Vec<NodeId>) {
        out.clear();
        if let Some(best) = self.best() {
            self.gather(1, self.keys[best], out);
        }
    }

    fn gather(&self, at: usize, key: K, out: &mut Vec<NodeId>) {
        let winner = self.winners[at];
        if winner == NONE || self.keys[winner as usize] != key {
            return;
        }
        if at >= self.leaves {
            out.push(NodeId(winner));
            return;
        }
        self.gather(2 * at, key, out);
        self.gather(2 * at + 1, key, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The tournament against a look at all rows, whatever changes.
        #[test]
        fn a_tournament_is_won_by_the_lowest(
            rows in prop::collection::vec((prop::option::of(0u8..6), 0u32..3), 1..40),
            steps in prop::collection::vec((any::<usize>(), prop::option::of(0u8..6)), 0..60),
            ordered in any::<bool>(),
        ) {
            let (mut keys, orders): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let order = |row: usize| if ordered { orders[row] } else { 0 };
            let mut tournament = Tournament::empty();
            let all = keys.clone();
            tournament.fill(keys.len(), |_| u64::MAX >> (64 - keys.len()), |it| all[it.row()], order);
            for step in 0..=steps.len() {
                let there = (0..keys.len()).filter(|it| keys[*it].is_some());
                let best = there.clone().min_by_key(|&it| (keys[it], order(it), it));
                prop_assert_eq!(tournament.best(), best);
                let mut tied = Vec::new();
                tournament.tied(&mut tied);
                let want: Vec<NodeId> = there
                    .filter(|&it| best.is_some_and(|best| keys[best] == keys[it]))
                    .map(|it| NodeId(it as u32))
                    .collect();
                prop_assert_eq!(tied, want);
                if let Some(&(row, key)) = steps.get(step) {
                    let row = row % keys.len();
                    keys[row] = key;
                    tournament.set(row, key, order);
                }
            }
        }

        #[test]
        fn bits_are_found_from_any_start(
            rows in prop::collection::vec(prop::bool::weighted(0.05), 1..300),
            steps in prop::collection::vec((any::<usize>(), any::<bool>()), 0..20),
        ) {
            let mut rows = rows;
            let mut bits = Bits::empty();
            let word = |it| (it * 64..rows.len().min(it * 64 + 64)).fold(0, |bits, row| bits | 1 << (row % 64));
            bits.fill(rows.len(), word, |it| rows[it.row()]);
            for (at, is_set) in steps {
                let at = at % rows.len();
                rows[at] = is_set;
                bits.set(at, is_set);
                for start in [0, at, at + 1, rows.len() - 1] {
                    let order = (0..rows.len()).map(|it| (start + it) % rows.len());
                    prop_assert_eq!(bits.first_from(start), order.clone().find(|it| rows[*it]));
                }
            }
        }
    }

    #[test]
    fn a_single_row_is_a_tournament() {
        let mut tournament = Tournament::empty();
        tournament.fill(1, |_| 1, |_| Some(4), |_| 0);
        assert_eq!(tournament.best(), Some(0));
        tournament.set(0, None, |_| 0);
        assert_eq!(tournament.best(), None);
    }
}
