//! Which of 64 nodes have enough of every scalar: the innermost loop of a look at all nodes.
//!
//! One bit a node. With AVX2, where the processor has it, four nodes are compared at a time; the other way is its
//! fallback and its test.

/// Rows in a word.
pub(crate) const ROWS: usize = 64;

/// Bit `i` is set if row `i` is ready and has at least what is asked in every column.
///
/// All slices are equally long, and no longer than [`ROWS`].
#[inline]
pub(crate) fn word(ready: &[bool], free: [&[u64]; 3], asked: [u64; 3]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Ok(ready) = ready.try_into()
        && let [Ok(a), Ok(b), Ok(c)] = free.map(TryInto::try_into)
        && std::arch::is_x86_feature_detected!("avx2")
    {
        #[expect(unsafe_code, reason = "the processor was asked whether it has AVX2")]
        return unsafe { avx2::word(ready, [a, b, c], asked) };
    }
    plain(ready, free, asked)
}

fn plain(ready: &[bool], [a, b, c]: [&[u64]; 3], asked: [u64; 3]) -> u64 {
    let rows = ready.iter().zip(a).zip(b).zip(c).enumerate();
    rows.fold(0, |bits, (row, (((&ready, a), b), c))| {
        let fits = ready & (asked[0] <= *a) & (asked[1] <= *b) & (asked[2] <= *c);
        bits | u64::from(fits) << row
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::ROWS;
    use std::arch::x86_64::{
        __m256i, _mm256_castsi256_pd, _mm256_cmpgt_epi64, _mm256_movemask_pd, _mm256_or_si256,
        _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_xor_si256,
    };

    /// See [`word`](super::word).
    #[target_feature(enable = "avx2")]
    pub(super) fn word(ready: &[bool; ROWS], free: [&[u64; ROWS]; 3], asked: [u64; 3]) -> u64 {
        // AVX2 compares as signed: flipping the highest bit of both sides keeps the order.
        let flip = _mm256_set1_epi64x(i64::MIN);
        let asked = asked.map(|it| _mm256_set1_epi64x((it ^ (1 << 63)) as i64));
        let mut short = 0u64;
        for quad in 0..ROWS / 4 {
            let too_few = |it: usize| {
                let column = _mm256_xor_si256(four(free[it], quad), flip);
                _mm256_cmpgt_epi64(asked[it], column)
            };
            let any = _mm256_or_si256(_mm256_or_si256(too_few(0), too_few(1)), too_few(2));
            short |= (_mm256_movemask_pd(_mm256_castsi256_pd(any)) as u64) << (4 * quad);
        }
        !short & bits(ready)
    }

    /// Becomes one load.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn four(column: &[u64; ROWS], quad: usize) -> __m256i {
        let at = |it: usize| column[4 * quad + it] as i64;
        _mm256_set_epi64x(at(3), at(2), at(1), at(0))
    }

    #[inline]
    fn bits(flags: &[bool; ROWS]) -> u64 {
        let (eights, _) = flags.as_chunks::<8>();
        eights.iter().enumerate().fold(0, |bits, (at, eight)| {
            // The product gathers the lowest bit of each byte in the highest byte.
            let bytes = u64::from_le_bytes(eight.map(u8::from));
            bits | (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small numbers, so that they are often equal, and the largest ones.
    fn amount() -> impl Strategy<Value = u64> {
        prop_oneof![0..4u64, u64::MAX - 2..=u64::MAX, (1 << 63) - 1..(1 << 63) + 2u64]
    }

    proptest! {
        #[test]
        fn a_word_says_who_fits(
            rows in prop::collection::vec((any::<bool>(), amount(), amount(), amount()), 0..=ROWS),
            full in any::<bool>(),
            asked in [amount(), amount(), amount()],
        ) {
            let mut rows = rows;
            if full {
                rows.resize(ROWS, (true, 2, 3, 1));
            }
            let ready: Vec<bool> = rows.iter().map(|it| it.0).collect();
            let columns = [0, 1, 2].map(|at| {
                rows.iter().map(|it| [it.1, it.2, it.3][at]).collect::<Vec<u64>>()
            });
            let bits = word(&ready, [&columns[0], &columns[1], &columns[2]], asked);
            for row in 0..ROWS {
                let fits = rows.get(row).is_some_and(|it| {
                    it.0 && it.1 >= asked[0] && it.2 >= asked[1] && it.3 >= asked[2]
                });
                prop_assert_eq!(bits >> row & 1 == 1, fits, "row {}", row);
            }
        }
    }
}
