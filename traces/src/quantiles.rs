//! Exact quantiles of lists that are not kept: one look counts values by magnitude, a second the few that
//! are near a wanted rank.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A distribution by its quantiles, of whole numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// Smallest.
    pub min: u64,
    /// 5 of 100 are not above it.
    pub p5: u64,
    /// 25 of 100 are not above it.
    pub p25: u64,
    /// Half are not above it.
    pub p50: u64,
    /// 75 of 100 are not above it.
    pub p75: u64,
    /// 95 of 100 are not above it.
    pub p95: u64,
    /// 99 of 100 are not above it.
    pub p99: u64,
    /// Largest.
    pub max: u64,
    /// Sum over count.
    pub mean: f64,
}

impl Quantiles {
    /// Nearest-rank quantiles of values that each stand for so many.
    pub(crate) fn of(values: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut sum = 0;
        for (value, count) in values.into_iter().filter(|it| it.1 > 0) {
            *counts.entry(value).or_default() += count;
            sum += u128::from(value) * u128::from(count);
        }
        let count = counts.values().sum();
        Self::by_rank(count, sum, |rank| {
            let mut before = 0;
            let at_rank = |it: &(&u64, &u64)| {
                before += it.1;
                before > rank
            };
            *counts.iter().find(at_rank).expect("ranks are below the count").0
        })
    }

    fn by_rank(count: u64, sum: u128, at: impl Fn(u64) -> u64) -> Option<Self> {
        let percent = |it| at(rank(count, it));
        (count > 0).then(|| Self {
            count,
            min: at(0),
            p5: percent(5),
            p25: percent(25),
            p50: percent(50),
            p75: percent(75),
            p95: percent(95),
            p99: percent(99),
            max: at(count - 1),
            mean: sum as f64 / count as f64,
        })
    }
}

/// The nearest rank, from 0.
fn rank(count: u64, percent: u64) -> u64 {
    (count * percent).div_ceil(100).max(1) - 1
}

/// Bits below the highest one that tell buckets apart: values of one bucket differ by a thousandth.
const MANTISSA_BITS: u32 = 10;

fn bucket(value: u64) -> usize {
    let exponent = (63 - (value | 1).leading_zeros()).saturating_sub(MANTISSA_BITS);
    ((exponent as usize) << MANTISSA_BITS) + (value >> exponent) as usize
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    count: u64,
    least: u64,
    most: u64,
    /// Whether single values matter.
    is_looked_at: bool,
}

/// Quantiles in the making.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    count: u64,
    sum: u128,
    buckets: Vec<Bucket>,
    /// By value, in the buckets that are looked at.
    near: BTreeMap<u64, u64>,
}

impl Spread {
    /// The first look at a value.
    pub(crate) fn add(&mut self, value: u64) {
        let at = bucket(value);
        if at >= self.buckets.len() {
            let empty = Bucket { count: 0, least: u64::MAX, most: 0, is_looked_at: false };
            self.buckets.resize(at + 1, empty);
        }
        let bucket = &mut self.buckets[at];
        bucket.count += 1;
        bucket.least = bucket.least.min(value);
        bucket.most = bucket.most.max(value);
        self.count += 1;
        self.sum += u128::from(value);
    }

    /// Ends the first look. Whether a second is needed.
    pub(crate) fn look_again(&mut self) -> bool {
        if self.count == 0 {
            return false;
        }
        let mut again = false;
        for percent in [5, 25, 50, 75, 95, 99] {
            let (at, _) = self.bucket_of(rank(self.count, percent));
            let bucket = &mut self.buckets[at];
            bucket.is_looked_at = bucket.least < bucket.most;
            again |= bucket.is_looked_at;
        }
        again
    }

    /// The second look at a value.
    pub(crate) fn add_again(&mut self, value: u64) {
        if self.buckets[bucket(value)].is_looked_at {
            *self.near.entry(value).or_default() += 1;
        }
    }

    /// The quantiles, after as many looks as were needed.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let (mut filled, last) = (self.buckets.iter().filter(|it| it.count > 0), self.count);
        let (least, most) = (filled.next()?.least, self.buckets.last()?.most);
        Quantiles::by_rank(self.count, self.sum, |rank| match rank {
            0 => least,
            _ if rank == last - 1 => most,
            _ => self.at(rank),
        })
    }

    fn at(&self, rank: u64) -> u64 {
        let (at, mut before) = self.bucket_of(rank);
        let bucket = &self.buckets[at];
        if !bucket.is_looked_at {
            return bucket.least;
        }
        let near = self.near.range(bucket.least..=bucket.most);
        for (value, count) in near {
            before += count;
            if before > rank {
                return *value;
            }
        }
        unreachable!("a second look sees the values of the first")
    }

    /// The bucket of a rank, and how many values stand before it.
    fn bucket_of(&self, rank: u64) -> (usize, u64) {
        let mut before = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            if before + bucket.count > rank {
                return (at, before);
            }
            before += bucket.count;
        }
        unreachable!("rank {rank} of {}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the book says it.
    fn plain(mut values: Vec<u64>) -> Option<Quantiles> {
        values.sort_unstable();
        let sum = values.iter().map(|it| u128::from(*it)).sum();
        Quantiles::by_rank(values.len() as u64, sum, |it| values[it as usize])
    }

    fn looked(values: &[u64]) -> Option<Quantiles> {
        let mut spread = Spread::default();
        values.iter().for_each(|it| spread.add(*it));
        if spread.look_again() {
            values.iter().for_each(|it| spread.add_again(*it));
        }
        spread.quantiles()
    }

    #[test]
    fn quantiles_take_the_nearest_rank() {
        let it = plain((1..=100).rev().collect()).unwrap();
        assert_eq!((it.min, it.p5, it.p50, it.p99, it.max), (1, 5, 50, 99, 100));
        assert_eq!(it.mean, 50.5);
        assert_eq!(looked(&[]), None);
        assert_eq!(Quantiles::of([(7, 0)]), None);
        assert_eq!(looked(&[7, u64::MAX]).unwrap().max, u64::MAX);
    }

    proptest! {
        #[test]
        fn two_looks_see_what_a_sorted_list_shows(
            values in prop::collection::vec((any::<u64>(), 0u32..64, 1usize..5), 1..300),
        ) {
            let many = |&(value, shift, times): &(u64, u32, usize)| vec![value >> shift; times];
            let list: Vec<u64> = values.iter().flat_map(many).collect();
            let counted = values.iter().map(|it| (it.0 >> it.1, it.2 as u64));
            prop_assert_eq!(looked(&list), plain(list.clone()));
            prop_assert_eq!(Quantiles::of(counted), plain(list));
        }
    }
}
