//! Averages over time that need no history.

use cluster::units::Span;

/// Time-weighted mean and peak of a whole number. Exact: sums are integers.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeMean {
    sum: u128,
    weight: u128,
    last: u64,
    peak: u64,
}

impl TimeMean {
    /// The number was `value` for `length`.
    pub fn hold(&mut self, value: u64, length: Span) {
        self.sum += u128::from(value) * u128::from(length.0);
        self.weight += u128::from(length.0);
        self.last = value;
        self.peak = self.peak.max(value);
    }

    /// Mean over all time held; the last value if no time passed at all.
    pub fn mean(&self) -> f64 {
        if self.weight == 0 { self.last as f64 } else { self.sum as f64 / self.weight as f64 }
    }

    /// Largest value held.
    pub fn peak(&self) -> f64 {
        self.peak as f64
    }
}

/// Share of one number in another over time: the integral of the part over the integral of the whole,
/// and the largest share at any moment. Exact sums; a whole of zero never counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeShare {
    part: u128,
    whole: u128,
    /// Part and whole of the last moment.
    last: (u64, u64),
    /// Those of the moment with the largest share; a whole of zero before there was any.
    peak: (u64, u64),
}

impl TimeShare {
    /// `part` of `whole` was so for `length`.
    pub fn hold(&mut self, part: u64, whole: u64, length: Span) {
        self.part += u128::from(part) * u128::from(length.0);
        self.whole += u128::from(whole) * u128::from(length.0);
        self.last = (part, whole);
        let (peak_part, peak_whole) = self.peak;
        // Whatever the first share is, it is the largest so far.
        let is_more =
            u128::from(part) * u128::from(peak_whole) > u128::from(peak_part) * u128::from(whole);
        if whole > 0 && (is_more || peak_whole == 0) {
            self.peak = (part, whole);
        }
    }

    /// Share over all time; that of the last moment if no time passed; `None` without a whole.
    pub fn mean(&self) -> Option<f64> {
        if self.whole == 0 {
            share(self.last.0, self.last.1)
        } else {
            Some(self.part as f64 / self.whole as f64)
        }
    }

    /// Largest share at any moment.
    pub fn peak(&self) -> Option<f64> {
        share(self.peak.0, self.peak.1)
    }
}

/// `part ÷ whole`, or `None` where the whole is zero.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_weighted_by_time() {
        let mut mean = TimeMean::default();
        mean.hold(4, Span(1));
        mean.hold(1, Span(3));
        assert_eq!((mean.mean(), mean.peak()), (1.75, 4.0));
    }

    #[test]
    fn without_time_the_last_value_stands() {
        let mut mean = TimeMean::default();
        mean.hold(4, Span(0));
        mean.hold(3, Span(0));
        assert_eq!(mean.mean(), 3.0);
        let mut share = TimeShare::default();
        assert_eq!(share.mean(), None);
        share.hold(1, 4, Span(0));
        assert_eq!(share.mean(), Some(0.25));
    }

    #[test]
    fn a_share_is_of_capacity_time() {
        // Half of 4 for one second, then all of 2 for one second: 4 of 6.
        let mut it = TimeShare::default();
        it.hold(2, 4, Span(1));
        it.hold(2, 2, Span(1));
        it.hold(0, 0, Span(9));
        assert_eq!((it.mean(), it.peak()), (Some(4.0 / 6.0), Some(1.0)));
    }
}
