//! Many durations in little memory: exact count, mean and maximum, quantiles to three digits.

use crate::run_report::EcdfPoint;
use cluster::units::Span;
use hdrhistogram::Histogram;

/// Significant decimal digits of a quantile: it is at most 0.1 % above the true one, never below it.
pub const QUANTILE_DIGITS: u8 = 3;

/// A distribution of whole numbers: microseconds, or thousandths of a ratio.
///
/// Quantiles come from an HDR histogram (G. Tene, HdrHistogram) with [`QUANTILE_DIGITS`]; count, mean
/// and maximum are exact. Memory does not depend on how many values were recorded.
#[derive(Debug, Clone)]
pub struct Durations {
    histogram: Histogram<u64>,
    sum: u128,
    max: u64,
    /// The value recorded last, and how often in a row: not in the histogram yet.
    last: u64,
    times: u64,
}

impl Default for Durations {
    fn default() -> Self {
        let histogram = Histogram::new(QUANTILE_DIGITS).expect("3 digits are within 0 to 5");
        Self { histogram, sum: 0, max: 0, last: 0, times: 0 }
    }
}

impl Durations {
    /// Adds one value.
    #[inline]
    pub fn record(&mut self, value: Span) {
        self.record_many(value, 1);
    }

    /// Adds a value several times.
    #[inline]
    pub fn record_many(&mut self, value: Span, times: u64) {
        if value.0 != self.last {
            self.flush();
            self.last = value.0;
        }
        self.times += times;
    }

    /// Values often come in runs of equal ones, of which the histogram sees one.
    fn flush(&mut self) {
        if self.times > 0 {
            self.histogram
                .record_n(self.last, self.times)
                .expect("the histogram grows to hold any 64-bit value");
            self.sum += u128::from(self.last) * u128::from(self.times);
            self.max = self.max.max(self.last);
            self.times = 0;
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.histogram.len() + self.times
    }

    /// Exact mean.
    pub fn mean(&mut self) -> Option<f64> {
        self.flush();
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64)
    }

    /// Exact maximum.
    pub fn max(&mut self) -> Option<f64> {
        self.flush();
        (self.count() > 0).then_some(self.max as f64)
    }

    /// The smallest recorded value that at least this share of all values does not exceed, to
    /// [`QUANTILE_DIGITS`].
    pub fn quantile(&mut self, share: f64) -> Option<f64> {
        self.flush();
        let value = self.histogram.value_at_quantile(share).min(self.max);
        (self.count() > 0).then_some(value as f64)
    }

    /// The cumulative distribution in at most `limit` points, the last at share one.
    pub fn ecdf(&mut self, limit: usize) -> Vec<EcdfPoint> {
        self.flush();
        let total = self.count();
        let mut points: Vec<EcdfPoint> = Vec::new();
        let mut seen = 0u64;
        for step in self.histogram.iter_recorded() {
            seen += step.count_since_last_iteration();
            let value_us = step.value_iterated_to().min(self.max);
            points.push(EcdfPoint { value_us, share: seen as f64 / total as f64 });
        }
        if points.len() <= limit || limit < 2 {
            return points;
        }
        // Evenly in share: where many tasks are, there are many points.
        let mut kept: Vec<EcdfPoint> = Vec::with_capacity(limit);
        let mut at = 0;
        for step in 0..limit {
            let want = points[0].share + (1.0 - points[0].share) * step as f64 / (limit - 1) as f64;
            while at + 1 < points.len() && points[at].share < want {
                at += 1;
            }
            if kept.last().is_none_or(|it| it.value_us < points[at].value_us) {
                kept.push(points[at]);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_max_are_exact_and_quantiles_within_a_thousandth() {
        let mut all = Durations::default();
        for value in 1..=100_000u64 {
            all.record(Span(value * 7));
        }
        assert_eq!(all.mean(), Some(7.0 * 50_000.5));
        assert_eq!(all.max(), Some(700_000.0));
        for share in [0.5, 0.9, 0.99] {
            let (got, exact) = (all.quantile(share).unwrap(), 700_000.0 * share);
            assert!(got >= exact && got <= exact * 1.001, "{share}: {got} for {exact}");
        }
    }

    #[test]
    fn the_longest_span_has_its_place() {
        let mut all = Durations::default();
        all.record(Span(u64::MAX));
        all.record(Span(0));
        assert_eq!(all.max(), Some(u64::MAX as f64));
        assert_eq!(all.quantile(0.5), Some(0.0));
    }

    #[test]
    fn nothing_recorded_is_nothing_known() {
        let mut none = Durations::default();
        assert_eq!((none.mean(), none.max(), none.quantile(0.5)), (None, None, None));
        assert_eq!(none.ecdf(10), []);
    }

    #[test]
    fn the_distribution_ends_at_one_and_never_falls() {
        let mut all = Durations::default();
        all.record_many(Span(0), 50);
        for value in 1..=5_000u64 {
            all.record(Span(value * value));
        }
        let points = all.ecdf(200);
        assert!(points.len() <= 200, "{}", points.len());
        assert_eq!(points[0], EcdfPoint { value_us: 0, share: 50.0 / 5050.0 });
        assert_eq!(points.last().map(|it| it.share), Some(1.0));
        assert!(points.windows(2).all(|it| it[0].share < it[1].share));
    }
}
