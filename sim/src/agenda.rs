//! The agenda: what is yet to happen, in a written total order.
//!
//! Order: earlier time; at equal times lower [`Rank`]; at equal ranks the one scheduled first. Two runs
//! from one seed therefore see one order, ties included.
//!
//! The queue is a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster Algorithms for the Shortest Path
//! Problem", 1990): a simulator never schedules into the past, so entries need only be sorted as far as
//! the bit in which they differ from the present. Entries of one moment always stand in one bucket, in the order
//! in which they were scheduled, and keep it when the bucket is emptied. Those of the present moment stand in one
//! line a rank, so that an entry of low rank may still be scheduled for the very moment that is being worked on.

use cluster::units::Instant;
use std::collections::VecDeque;

/// Order of events that share a moment. What frees capacity comes before what asks for it, so that a
/// task can take the place of one that ends at the moment it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Tasks that end.
    Exit,
    /// Nodes that fail or are drained by the fault plan.
    NodeDown,
    /// Nodes that the fault plan brings back.
    NodeUp,
    /// Tasks that their users take back.
    Withdrawal,
    /// Everything from the arrival stream, in the stream's order. Never in the agenda itself.
    Arrival,
    /// Faults at time zero, once the nodes of that moment have joined.
    FirstFault,
    /// Tasks that begin to run.
    Start,
    /// Wake-ups that the manager asked for.
    Timer,
}

impl Rank {
    const ALL: [Self; 8] = [
        Self::Exit,
        Self::NodeDown,
        Self::NodeUp,
        Self::Withdrawal,
        Self::Arrival,
        Self::FirstFault,
        Self::Start,
        Self::Timer,
    ];
}

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    at: u64,
    rank: Rank,
    what: T,
}

/// What is yet to happen. `T` is what happens; small, and copied about.
#[derive(Debug, Clone)]
pub struct Agenda<T> {
    /// The moment of the entries in `present`; nothing earlier may be scheduled.
    now: u64,
    present: [VecDeque<T>; Rank::ALL.len()],
    /// Bit `i` is set if `present[i]` holds anything.
    ranks: u8,
    /// `later[i]` holds entries whose highest bit of difference to `now` is bit `i`.
    later: [Vec<Entry<T>>; 64],
    /// Bit `i` is set if `later[i]` holds anything.
    filled: u64,
    /// Time and rank of the next entry, once somebody asked; arrivals ask far more often than they pop.
    soonest: Option<(u64, Rank)>,
    len: usize,
}

impl<T: Copy> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            now: 0,
            present: std::array::from_fn(|_| VecDeque::new()),
            ranks: 0,
            later: std::array::from_fn(|_| Vec::new()),
            filled: 0,
            soonest: None,
            len: 0,
        }
    }
}

impl<T: Copy> Agenda<T> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is left to happen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry.
    ///
    /// # Panics
    ///
    /// If `at` is earlier than the last entry taken out: nothing happens in the past.
    pub fn push(&mut self, at: Instant, rank: Rank, what: T) {
        assert!(at.0 >= self.now, "scheduled for {at}, which is past {}", Instant(self.now));
        self.len += 1;
        self.soonest = self.soonest.map(|it| it.min((at.0, rank)));
        self.file(Entry { at: at.0, rank, what });
    }

    fn file(&mut self, entry: Entry<T>) {
        let differs = entry.at ^ self.now;
        if differs == 0 {
            self.present[entry.rank as usize].push_back(entry.what);
            self.ranks |= 1 << entry.rank as u8;
        } else {
            let bit = 63 - differs.leading_zeros();
            self.later[bit as usize].push(entry);
            self.filled |= 1 << bit;
        }
    }

    /// The time and rank of the next entry.
    pub fn peek(&mut self) -> Option<(Instant, Rank)> {
        if self.soonest.is_none() {
            self.soonest = match self.first_rank() {
                Some(rank) => Some((self.now, rank)),
                // The lowest filled bucket holds the earliest entries.
                None if self.filled != 0 => self.later[self.filled.trailing_zeros() as usize]
                    .iter()
                    .map(|it| (it.at, it.rank))
                    .min(),
                None => None,
            };
        }
        self.soonest.map(|(at, rank)| (Instant(at), rank))
    }

    /// Takes the next entry out.
    pub fn pop(&mut self) -> Option<(Instant, Rank, T)> {
        if self.ranks == 0 {
            let at = self.peek()?.0;
            self.move_to(at);
        }
        let rank = self.first_rank()?;
        let line = &mut self.present[rank as usize];
        let what = line.pop_front()?;
        if line.is_empty() {
            self.ranks &= !(1 << rank as u8);
        }
        self.soonest = self.first_rank().map(|it| (self.now, it));
        self.len -= 1;
        Some((Instant(self.now), rank, what))
    }

    /// The lowest rank of the present moment's entries.
    fn first_rank(&self) -> Option<Rank> {
        (self.ranks != 0).then(|| Rank::ALL[self.ranks.trailing_zeros() as usize])
    }

    /// Makes `at` the present moment: nothing earlier may be scheduled from now on.
    ///
    /// # Panics
    ///
    /// If an entry stands before `at`.
    pub fn move_to(&mut self, at: Instant) {
        if at.0 <= self.now {
            return;
        }
        assert!(self.ranks == 0, "entries are left at {}", Instant(self.now));
        let highest = 63 - (at.0 ^ self.now).leading_zeros();
        self.now = at.0;
        // Buckets up to the highest bit that changed may now be filed wrongly.
        let affected = if highest == 63 { u64::MAX } else { (1 << (highest + 1)) - 1 };
        let mut moving = self.filled & affected;
        while moving != 0 {
            let bit = moving.trailing_zeros() as usize;
            moving &= moving - 1;
            let mut bucket = std::mem::take(&mut self.later[bit]);
            self.filled &= !(1 << bit);
            for entry in bucket.drain(..) {
                assert!(entry.at >= at.0, "an entry at {} was passed over", Instant(entry.at));
                self.file(entry);
            }
            // Filing never puts an entry back into its old bucket, so the storage can be kept.
            if self.later[bit].is_empty() {
                self.later[bit] = bucket;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn rank(it: u8) -> Rank {
        [Rank::Exit, Rank::NodeDown, Rank::NodeUp, Rank::Withdrawal, Rank::Start, Rank::Timer]
            [usize::from(it) % 6]
    }

    #[test]
    fn ties_go_by_rank_then_by_order_of_scheduling() {
        let mut agenda = Agenda::default();
        agenda.push(Instant(5), Rank::Timer, 'a');
        agenda.push(Instant(5), Rank::Exit, 'b');
        agenda.push(Instant(4), Rank::Timer, 'c');
        agenda.push(Instant(5), Rank::Exit, 'd');
        let order: String = std::iter::from_fn(|| agenda.pop().map(|it| it.2)).collect();
        assert_eq!(order, "cbda");
    }

    #[test]
    fn a_low_rank_may_be_scheduled_for_the_present_moment() {
        let mut agenda = Agenda::default();
        agenda.push(Instant(5), Rank::Start, 'a');
        agenda.push(Instant(5), Rank::Timer, 'c');
        assert_eq!(agenda.pop().map(|it| it.2), Some('a'));
        agenda.push(Instant(5), Rank::Exit, 'b');
        assert_eq!(agenda.pop().map(|it| it.2), Some('b'));
        assert_eq!(agenda.pop().map(|it| it.2), Some('c'));
        assert_eq!(agenda.pop(), None);
    }

    #[test]
    #[should_panic(expected = "is past")]
    fn the_past_is_closed() {
        let mut agenda = Agenda::default();
        agenda.push(Instant(5), Rank::Exit, ());
        agenda.pop();
        agenda.push(Instant(4), Rank::Exit, ());
    }

    proptest! {
        /// The same order as a sorted set, whatever is pushed and popped between.
        #[test]
        fn agrees_with_a_sorted_set(
            steps in prop::collection::vec((0u64..3, 0u64..5_000_000_000, 0u8..6, 0usize..3), 1..300)
        ) {
            let mut agenda = Agenda::default();
            let mut model = BTreeSet::new();
            let mut now = 0;
            for (sequence, (kind, ahead, r, pops)) in steps.into_iter().enumerate() {
                let at = now + match kind { 0 => 0, 1 => ahead % 1000, _ => ahead };
                agenda.push(Instant(at), rank(r), sequence);
                model.insert((at, rank(r), sequence));
                for _ in 0..pops {
                    let want = model.pop_first();
                    prop_assert_eq!(agenda.peek(), want.map(|it| (Instant(it.0), it.1)));
                    prop_assert_eq!(agenda.pop(), want.map(|it| (Instant(it.0), it.1, it.2)));
                    now = want.map_or(now, |it| it.0);
                }
                prop_assert_eq!(agenda.len(), model.len());
            }
        }
    }
}
