//! The agenda: what is yet to happen, in a written total order.
//!
//! Order: earlier time; at equal times lower [`Rank`]; at equal ranks the one scheduled first. Two runs
//! from one seed therefore see one order, ties included.
//!
//! The queue is a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster Algorithms for the Shortest Path
//! Problem", 1990): a simulator never schedules into the past, so entries need only be sorted as far as
//! the bit in which they differ from the present. Entries of the present moment stand in a small binary
//! heap by rank and sequence, so that an entry of low rank may still be scheduled for the very moment
//! that is being worked on.

use cluster::units::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    at: u64,
    rank: Rank,
    sequence: u64,
    what: T,
}

impl<T> Entry<T> {
    fn order(&self) -> (Rank, u64) {
        (self.rank, self.sequence)
    }
}

/// Compares by rank and sequence only: all of a moment's entries share their time.
#[derive(Debug, Clone, Copy)]
struct Present<T>(Entry<T>);

impl<T> PartialEq for Present<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.order() == other.0.order()
    }
}
impl<T> Eq for Present<T> {}
impl<T> PartialOrd for Present<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Present<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order().cmp(&other.0.order())
    }
}

/// What is yet to happen. `T` is what happens; small, and copied about.
#[derive(Debug, Clone)]
pub struct Agenda<T> {
    /// The moment of the entries in `present`; nothing earlier may be scheduled.
    now: u64,
    present: BinaryHeap<Reverse<Present<T>>>,
    /// `later[i]` holds entries whose highest bit of difference to `now` is bit `i`.
    later: [Vec<Entry<T>>; 64],
    /// Bit `i` is set if `later[i]` holds anything.
    filled: u64,
    /// Time and rank of the next entry, once somebody asked; arrivals ask far more often than they pop.
    soonest: Option<(u64, Rank)>,
    sequence: u64,
    len: usize,
}

impl<T: Copy> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            now: 0,
            present: BinaryHeap::new(),
            later: std::array::from_fn(|_| Vec::new()),
            filled: 0,
            soonest: None,
            sequence: 0,
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
        let entry = Entry { at: at.0, rank, sequence: self.sequence, what };
        self.sequence += 1;
        self.len += 1;
        self.soonest = self.soonest.map(|it| it.min((at.0, rank)));
        self.file(entry);
    }

    fn file(&mut self, entry: Entry<T>) {
        let differs = entry.at ^ self.now;
        if differs == 0 {
            self.present.push(Reverse(Present(entry)));
        } else {
            let bit = 63 - differs.leading_zeros();
            self.later[bit as usize].push(entry);
            self.filled |= 1 << bit;
        }
    }

    /// The time and rank of the next entry.
    pub fn peek(&mut self) -> Option<(Instant, Rank)> {
        if self.soonest.is_none() {
            self.soonest = match self.present.peek() {
                Some(Reverse(Present(entry))) => Some((entry.at, entry.rank)),
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
        if self.present.is_empty() {
            let at = self.peek()?.0;
            self.move_to(at);
        }
        self.soonest = None;
        let Reverse(Present(entry)) = self.present.pop()?;
        self.len -= 1;
        Some((Instant(entry.at), entry.rank, entry.what))
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
        assert!(self.present.is_empty(), "entries are left at {}", Instant(self.now));
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
