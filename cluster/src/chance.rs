//! Randomness as an argument: portable streams, one per purpose and entity.

mod many;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A stream of random numbers that is the same on every machine and for every version of the tool.
///
/// The generator is ChaCha with 8 rounds; its key is `(seed, purpose, entity)`, so that streams of
/// different purposes are independent and a policy that draws more often disturbs no other stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chance(ChaCha8Rng);

/// What a stream is for. The numbers are part of every recorded result: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Arrival times of a generated workload.
    Arrivals = 1,
    /// Sizes, lives and groups of a generated workload.
    Tasks = 2,
    /// Nodes of a generated cluster.
    Nodes = 3,
    /// Choices of a scheduler.
    Scheduler = 4,
    /// Node faults.
    Faults = 5,
    /// Start-up times.
    Startup = 6,
    /// Order of arrivals where a run shuffles them.
    Shuffle = 7,
    /// Resampling in statistics.
    Statistics = 8,
}

impl Chance {
    /// The stream for `(seed, purpose, entity)`; entity is a node, a zone, a task, or 0.
    pub fn new(seed: u64, purpose: Purpose, entity: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&entity.to_le_bytes());
        key[24..].copy_from_slice(b"bayplan\0");
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform over `0..bound`, without bias (Lemire, "Fast Random Integer Generation in an
    /// Interval", 2019).
    ///
    /// # Panics
    ///
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below zero");
        loop {
            if let Some(it) = scaled(self.0.next_u64(), bound) {
                return it;
            }
        }
    }

    /// Uniform over [0, 1), with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts `items` in a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        let mut drawn = [0; 8 * 128];
        let mut last = many::shuffle(&mut self.0, items);
        while last > 0 {
            // Drawn together, which is quicker; each place needs one number at least, so that none is drawn in vain.
            let drawn = &mut drawn[..8 * last.min(128)];
            self.0.fill_bytes(drawn);
            for number in drawn.chunks_exact(8) {
                let number = u64::from_le_bytes(number.try_into().expect("eight bytes"));
                if let Some(other) = scaled(number, last as u64 + 1) {
                    items.swap(last, other as usize);
                    last -= 1;
                }
            }
        }
    }

    /// The generator itself, for distributions.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }
}

/// A random number scaled to `0..bound`; `None` if it has to be drawn again.
#[inline]
fn scaled(number: u64, bound: u64) -> Option<u64> {
    let wide = u128::from(number) * u128::from(bound);
    let low = wide as u64;
    (low >= bound || low >= bound.wrapping_neg() % bound).then_some((wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_draws_one_number_after_the_other() {
        for length in [0usize, 1, 2, 3, 31, 32, 33, 128, 129, 130, 1000] {
            // After an odd number of halves.
            for halves in 0..66 {
                let mut chance = Chance::new(length as u64, Purpose::Shuffle, halves);
                for _ in 0..halves {
                    chance.rng().next_u32();
                }
                let mut one_by_one = chance.clone();
                let mut want: Vec<usize> = (0..length).collect();
                for last in (1..length).rev() {
                    want.swap(last, one_by_one.below(last as u64 + 1) as usize);
                }
                let mut got: Vec<usize> = (0..length).collect();
                chance.shuffle(&mut got);
                assert_eq!((got, chance), (want, one_by_one), "{length} {halves}");
            }
        }
    }

    #[test]
    fn streams_are_pinned() {
        // A change here changes every recorded fingerprint.
        let mut chance = Chance::new(42, Purpose::Scheduler, 0);
        let got: Vec<u64> = (0..4).map(|_| chance.below(1000)).collect();
        let mut again = Chance::new(42, Purpose::Scheduler, 0);
        assert_eq!(got, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        let mut other = Chance::new(42, Purpose::Faults, 0);
        assert_ne!(got, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
        assert_eq!(got, [229, 734, 677, 625]);
    }

    #[test]
    fn below_is_uniform() {
        let mut chance = Chance::new(1, Purpose::Statistics, 0);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[chance.below(7) as usize] += 1;
        }
        // Ten standard errors of a binomial with p = 1/7.
        assert!(seen.iter().all(|&it| it.abs_diff(10_000) < 930), "{seen:?}");
    }
}
