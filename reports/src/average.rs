//! Averages over time that need no history.

use cluster::units::Instant;

/// A whole number that changes at moments, summed over time. Exact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    value: u64,
    since: Instant,
    sum: u128,
    peak: u64,
}

impl Steps {
    /// From now on it is `value`. Before the first call it is zero.
    #[inline]
    pub fn set(&mut self, now: Instant, value: u64) {
        if self.value > 0 {
            self.sum += u128::from(self.value) * u128::from(now.since(self.since).0);
        }
        self.since = now;
        self.value = value;
        self.peak = self.peak.max(value);
    }

    /// What it is.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Sum over the time until it was last set.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Largest value.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}

/// The largest share of one number in another. A whole of zero never counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peak {
    part: u64,
    /// Zero before there was any.
    whole: u64,
}

impl Peak {
    /// It is `part` of `whole`.
    #[inline]
    pub fn look(&mut self, part: u64, whole: u64) {
        if whole == self.whole {
            self.part = self.part.max(part);
            return;
        }
        // Whatever the first share is, it is the largest so far.
        let is_more =
            u128::from(part) * u128::from(self.whole) > u128::from(self.part) * u128::from(whole);
        if whole > 0 && (is_more || self.whole == 0) {
            *self = Self { part, whole };
        }
    }

    /// Largest share seen.
    pub fn share(&self) -> Option<f64> {
        share(self.part, self.whole)
    }
}

/// `part ÷ whole`, or `None` where the whole is zero.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// `part ÷ whole`, or `None` where the whole is zero.
pub fn quotient(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_summed_until_it_was_last_set() {
        let mut it = Steps::default();
        it.set(Instant(2), 4);
        it.set(Instant(3), 1);
        it.set(Instant(6), 0);
        assert_eq!((it.sum(), it.peak(), it.value()), (4 + 3, 4, 0));
    }

    #[test]
    fn the_largest_share_is_found_whatever_the_whole() {
        let mut it = Peak::default();
        assert_eq!(it.share(), None);
        it.look(0, 0);
        assert_eq!(it.share(), None);
        for (part, whole, want) in
            [(0, 4, 0.0), (1, 4, 0.25), (0, 4, 0.25), (1, 2, 0.5), (1, 3, 0.5)]
        {
            it.look(part, whole);
            assert_eq!(it.share(), Some(want), "{part} of {whole}");
        }
    }
}
