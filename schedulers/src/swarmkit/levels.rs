//! Nodes by how many tasks they have, as bits, so that those with the fewest are found without a look at all.

use crate::fitting::Rows;

/// The last level is of nodes with this many tasks or more.
const LAST: usize = if cfg!(test) { 2 } else { 255 };

/// Nodes by their tasks.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// By number of tasks: the nodes, and how many they are.
    levels: Vec<(Rows, usize)>,
    /// Per node, its level.
    pub(super) of: Vec<Option<usize>>,
}

impl Levels {
    /// A node has so many tasks.
    pub(super) fn set(&mut self, row: usize, tasks: u32) {
        if row >= self.of.len() {
            self.of.resize(row + 1, None);
            self.levels.iter_mut().for_each(|it| it.0.widen(row + 1));
        }
        let level = (tasks as usize).min(LAST);
        while self.levels.len() <= level {
            let mut rows = Rows::default();
            rows.widen(self.of.len());
            self.levels.push((rows, 0));
        }
        match self.of[row].replace(level) {
            Some(old) if old == level => return,
            Some(old) => {
                self.levels[old].0.set(row, false);
                self.levels[old].1 -= 1;
            }
            None => {}
        }
        self.levels[level].0.set(row, true);
        self.levels[level].1 += 1;
    }

    /// Leaves those with the fewest tasks, and says how many they have; `None`, with all left, if there is none or they
    /// have too many to be told apart.
    pub(super) fn keep_fewest(&self, rows: &mut Rows) -> Option<u32> {
        let levels = self.levels.iter().take(LAST);
        let (tasks, (level, _)) =
            levels.enumerate().find(|(_, it)| it.1 > 0 && it.0.meets(rows))?;
        rows.keep(level);
        Some(tasks as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_of_some() {
        let mut levels = Levels::default();
        let tasks = [1, 0, 1, 7, 2];
        for (row, tasks) in tasks.into_iter().enumerate() {
            levels.set(row, 3);
            levels.set(row, tasks);
        }
        for (rows, want, kept) in [
            (&[0, 1, 2][..], Some(0), &[1][..]),
            (&[0, 2, 3, 4], Some(1), &[0, 2]),
            (&[3, 4], None, &[3, 4]),
            (&[], None, &[]),
        ] {
            let mut left = Rows::of(tasks.len(), |row| rows.contains(&row));
            assert_eq!(levels.keep_fewest(&mut left), want, "{rows:?}");
            assert_eq!(left.iter().collect::<Vec<_>>(), kept, "{rows:?}");
        }
    }
}
