//! When what runs ends: a radix heap, since nothing ends before the moment that is looked at.

use cluster::units::Instant;

/// Ends in the order of time, each with a number; ends of one moment come in any order.
///
/// Ahuja, Mehlhorn, Orlin, Tarjan, "Faster Algorithms for the Shortest Path Problem", 1990.
#[derive(Debug)]
pub(crate) struct Ends {
    now: u64,
    /// `buckets[i]` holds what differs from `now` in bit `i - 1` and none above; `buckets[0]` what ends now.
    buckets: [Vec<(u64, u32)>; 65],
    /// The earliest end in each bucket.
    earliest: [u64; 65],
    /// Bit `i` is set if `buckets[i]` holds anything.
    filled: u128,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            buckets: std::array::from_fn(|_| Vec::new()),
            earliest: [u64::MAX; 65],
            filled: 0,
        }
    }

    /// Adds an end that is not before any that was taken.
    pub(crate) fn push(&mut self, at: Instant, number: u32) {
        assert!(at.0 >= self.now, "an end at {at} is past {}", Instant(self.now));
        self.file(at.0, number);
    }

    fn file(&mut self, at: u64, number: u32) {
        let bucket = (64 - (at ^ self.now).leading_zeros()) as usize;
        self.buckets[bucket].push((at, number));
        self.earliest[bucket] = self.earliest[bucket].min(at);
        self.filled |= 1 << bucket;
    }

    /// When the next ones end.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.filled != 0).then(|| Instant(self.earliest[self.filled.trailing_zeros() as usize]))
    }

    /// Takes out those that [`Ends::next`] told of.
    pub(crate) fn take(&mut self, mut each: impl FnMut(u32)) {
        let Some(Instant(at)) = self.next() else { return };
        let first = self.filled.trailing_zeros() as usize;
        if first > 0 {
            self.now = at;
            let mut moving = std::mem::take(&mut self.buckets[first]);
            (self.filled, self.earliest[first]) = (self.filled & !(1 << first), u64::MAX);
            for (at, number) in moving.drain(..) {
                self.file(at, number);
            }
            // Nothing is filed back to where it was, so the room can be kept.
            self.buckets[first] = moving;
        }
        (self.filled, self.earliest[0]) = (self.filled & !1, u64::MAX);
        for (_, number) in self.buckets[0].drain(..) {
            each(number);
        }
    }
}

impl Ends {
    /// Takes out all up to a moment, in any order.
    pub(crate) fn take_until(&mut self, at: Instant, mut each: impl FnMut(u32)) {
        let differs = at.0 ^ self.now;
        assert!(at.0 >= self.now, "{at} is past {}", Instant(self.now));
        self.now = at.0;
        let last = (64 - differs.leading_zeros()) as usize;
        loop {
            let bucket = self.filled.trailing_zeros() as usize;
            if bucket > last {
                return;
            }
            (self.filled, self.earliest[bucket]) = (self.filled & !(1 << bucket), u64::MAX);
            let mut some = std::mem::take(&mut self.buckets[bucket]);
            if bucket < last || last == 0 {
                // These differ from what was now only where it has a zero and `at` above them a one.
                some.drain(..).for_each(|it| each(it.1));
                self.buckets[bucket] = some;
                continue;
            }
            for (end, number) in some.drain(..) {
                if end <= at.0 {
                    each(number);
                } else {
                    self.file(end, number);
                }
            }
            // Nothing is filed back to where it was.
            self.buckets[bucket] = some;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::chance::{Chance, Purpose};

    #[test]
    fn ends_come_in_the_order_of_time() {
        let mut chance = Chance::new(1, Purpose::Tasks, 0);
        let mut ends = Ends::new();
        let mut plain: Vec<(u64, u32)> = Vec::new();
        let mut now = 0;
        for number in 0..20_000 {
            let bits = chance.below(40);
            let at = now + chance.below(1 << bits);
            ends.push(Instant(at), number);
            plain.push((at, number));
            if chance.below(3) > 0 {
                let next = plain.iter().map(|it| it.0).min();
                assert_eq!(ends.next(), next.map(Instant));
                now = next.unwrap();
                let mut got = Vec::new();
                ends.take(|it| got.push(it));
                got.sort_unstable();
                let want: Vec<u32> = plain.iter().filter(|it| it.0 == now).map(|it| it.1).collect();
                assert_eq!(got, want);
                plain.retain(|it| it.0 != now);
            }
        }
    }

    #[test]
    fn all_up_to_a_moment_are_taken() {
        let mut chance = Chance::new(2, Purpose::Tasks, 0);
        let mut ends = Ends::new();
        let mut plain: Vec<(u64, u32)> = Vec::new();
        let mut now = 0;
        for number in 0..20_000 {
            for _ in 0..chance.below(4) {
                let bits = chance.below(40);
                let at = now + chance.below(1 << bits);
                ends.push(Instant(at), number);
                plain.push((at, number));
            }
            let bits = chance.below(34);
            now += chance.below(1 << bits);
            let mut got = Vec::new();
            ends.take_until(Instant(now), |it| got.push(it));
            got.sort_unstable();
            let want: Vec<u32> = plain.iter().filter(|it| it.0 <= now).map(|it| it.1).collect();
            assert_eq!(got, want);
            plain.retain(|it| it.0 > now);
            assert_eq!(ends.next(), plain.iter().map(|it| Instant(it.0)).min());
        }
    }
}
