//! What nodes have free, in 16 bits a node and resource, for the first look at all of them.
//!
//! An amount is cut to its upper bits, so that the largest node of the cluster just has room for its own. A node that
//! is not ready has nothing at all. Comparing the cut amounts settles nearly every node, and says which of them have to
//! be looked at exactly: those whose cut amount is that of the task, if the task's lost something by the cut.
//!
//! Four times as many such amounts stand in one register as exact ones would. Sources: columns compared by registers as in
//! J. Zhou, K. A. Ross, "Implementing database operations using SIMD instructions", SIGMOD 2002; a scan of approximations
//! before the exact values as in the VA-file of R. Weber, H.-J. Schek, S. Blott, VLDB 1998.

use crate::fitting::{self, ROWS};

/// The largest cut amount; one less than fits, since a ready node stores one more.
const MOST: u64 = u16::MAX as u64 - 1;

/// The columns. Empty where they were not made: see [`Coarse::is_made`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Coarse {
    /// How many bits are cut, per scalar resource.
    cut: [u32; 3],
    /// One more than the cut amount; 0 of nodes that are not ready. Filled up with zeros to whole words.
    columns: [Vec<[u16; ROWS]>; 3],
    rows: usize,
}

/// A task's amounts as they are compared with the columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// One more than the cut amount. Nothing is 0, which every node has.
    amounts: [u16; 3],
    /// Whether equal cut amounts leave it open.
    is_open: [bool; 3],
}

impl Coarse {
    /// Whether the columns stand for so many nodes.
    pub(crate) fn is_made(&self, rows: usize) -> bool {
        self.rows == rows
    }

    /// Makes them anew. `free` is what each node that is ready has free, per resource.
    pub(crate) fn make(
        &mut self,
        rows: usize,
        largest: [u64; 3],
        free: impl Fn(usize, usize) -> Option<u64>,
    ) {
        self.rows = rows;
        for (it, column) in self.columns.iter_mut().enumerate() {
            self.cut[it] = cut(largest[it]);
            column.clear();
            column.resize(rows.div_ceil(ROWS), [0; ROWS]);
            for row in 0..rows {
                column[row / ROWS][row % ROWS] = stored(free(it, row), self.cut[it]);
            }
        }
    }

    /// Whether a node with so much of each has room in the columns as they are.
    pub(crate) fn has_room(&self, largest: [u64; 3]) -> bool {
        (0..3).all(|it| cut(largest[it]) <= self.cut[it])
    }

    /// One more node, of which nothing is known yet.
    pub(crate) fn push(&mut self) {
        for column in &mut self.columns {
            column.resize((self.rows + 1).div_ceil(ROWS), [0; ROWS]);
        }
        self.rows += 1;
    }

    /// What a node has free now; `None` if it is not ready.
    #[inline]
    pub(crate) fn set(&mut self, resource: usize, row: usize, free: Option<u64>) {
        if let Some(word) = self.columns[resource].get_mut(row / ROWS) {
            word[row % ROWS] = stored(free, self.cut[resource]);
        }
    }

    /// A task's amounts; `None` if no node can have as much.
    pub(crate) fn asked(&self, amounts: [u64; 3]) -> Option<Asked> {
        let mut asked = Asked { amounts: [0; 3], is_open: [false; 3] };
        for (it, &amount) in amounts.iter().enumerate().filter(|it| *it.1 > 0) {
            let upper = amount >> self.cut[it];
            if upper > MOST {
                return None;
            }
            asked.amounts[it] = upper as u16 + 1;
            asked.is_open[it] = amount != upper << self.cut[it];
        }
        if asked.amounts == [0; 3] {
            // Whether it is ready.
            asked.amounts[0] = 1;
        }
        Some(asked)
    }

    /// The nodes of a word that may have enough, and which of them are to be looked at.
    #[inline]
    pub(crate) fn compare(&self, asked: &Asked, word: usize) -> (u64, u64) {
        let (mut enough, mut open) = (u64::MAX, 0);
        for (it, column) in self.columns.iter().enumerate() {
            if asked.amounts[it] > 0 {
                let (has, is_equal) = fitting::at_least(&column[word], asked.amounts[it]);
                enough &= has;
                open |= if asked.is_open[it] { is_equal } else { 0 };
            }
        }
        (enough, enough & open)
    }
}

/// The bits to cut off amounts of up to `largest`.
fn cut(largest: u64) -> u32 {
    (0..u64::BITS).find(|&it| largest >> it <= MOST).unwrap_or(u64::BITS)
}

fn stored(free: Option<u64>, cut: u32) -> u16 {
    free.map_or(0, |it| (it >> cut).min(MOST) as u16 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_node_just_has_room() {
        let cases = [
            (0, 0),
            (1, 0),
            (MOST, 0),
            (MOST + 1, 1),
            (2 * MOST + 1, 1),
            (2 * MOST + 2, 2),
            (1 << 40, 25),
            (u64::MAX, 49),
        ];
        for (largest, want) in cases {
            assert_eq!(cut(largest), want, "{largest}");
            assert!(largest >> want <= MOST, "{largest}");
        }
    }

    #[test]
    fn equal_amounts_are_open_where_something_was_cut() {
        let mut coarse = Coarse::default();
        let largest = [MOST, 4 * MOST, 0];
        let free = [[10, 9, 10, 10], [40, 40, 39, 43], [0; 4]];
        coarse.make(5, largest, |it, row| (row < 4).then(|| free[it][row]));
        // What is asked, who may have it, who is to be looked at.
        let cases = [
            ([10, 40, 0], 0b1001, 0),
            ([10, 41, 0], 0b1001, 0b1001),
            ([0, 39, 0], 0b1111, 0b0100),
            ([0, 0, 0], 0b1111, 0),
            ([0, 0, 1], 0, 0),
        ];
        for (amounts, enough, open) in cases {
            let asked = coarse.asked(amounts).expect("as much as the columns know");
            assert_eq!(coarse.compare(&asked, 0), (enough, open), "{amounts:?}");
        }
        assert!(coarse.asked([MOST + 1, 0, 0]).is_none());
    }
}
