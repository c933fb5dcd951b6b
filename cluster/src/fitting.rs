//! Columns of nodes compared 64 rows at a time: the innermost loops of a look at all nodes.
//!
//! One bit a row. With AVX2, where the processor has it, four rows are compared at once; the other way is its fallback
//! and its test.

/// Rows in a word.
pub(crate) const ROWS: usize = 64;

/// Bit `i` is set if row `i` of the column, which has at most [`ROWS`], is below what is asked.
#[inline]
pub(crate) fn below(column: &[u64], asked: u64) -> u64 {
    if asked == 0 {
        return 0;
    }
    #[cfg(target_arch = "x86_64")]
    if let Ok(column) = column.try_into()
        && std::arch::is_x86_feature_detected!("avx2")
    {
        #[expect(unsafe_code, reason = "the processor was asked whether it has AVX2")]
        return unsafe { avx2::below(column, asked) };
    }
    column.iter().enumerate().fold(0, |bits, (row, &it)| bits | u64::from(it < asked) << row)
}

/// Bit `i` is set if flag `i` of at most [`ROWS`] is.
#[inline]
pub(crate) fn set(flags: &[bool]) -> u64 {
    let (eights, rest) = flags.as_chunks::<8>();
    let bits = eights.iter().enumerate().fold(0, |bits, (at, eight)| {
        // The product gathers the lowest bit of each byte in the highest byte.
        let bytes = u64::from_le_bytes(eight.map(u8::from));
        bits | (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at)
    });
    let rest = rest.iter().zip(8 * eights.len()..);
    rest.fold(bits, |bits, (&flag, row)| bits | u64::from(flag) << row)
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::ROWS;
    use std::arch::x86_64::{
        _mm256_castsi256_pd, _mm256_cmpgt_epi64, _mm256_movemask_pd, _mm256_set_epi64x,
        _mm256_set1_epi64x, _mm256_xor_si256,
    };

    /// See [`below`](super::below).
    #[target_feature(enable = "avx2")]
    pub(super) fn below(column: &[u64; ROWS], asked: u64) -> u64 {
        // AVX2 compares as signed: flipping the highest bit of both sides keeps the order.
        let flip = _mm256_set1_epi64x(i64::MIN);
        let asked = _mm256_xor_si256(_mm256_set1_epi64x(asked as i64), flip);
        let mut bits = 0u64;
        for quad in 0..ROWS / 4 {
            let at = |it: usize| column[4 * quad + it] as i64;
            // Becomes one load.
            let four = _mm256_set_epi64x(at(3), at(2), at(1), at(0));
            let is_below = _mm256_cmpgt_epi64(asked, _mm256_xor_si256(four, flip));
            bits |= (_mm256_movemask_pd(_mm256_castsi256_pd(is_below)) as u64) << (4 * quad);
        }
        bits
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

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![Just(ROWS), 0..=ROWS]
    }

    proptest! {
        #[test]
        fn bits_say_which_rows_are_below(
            rows in prop::collection::vec(amount(), ROWS),
            length in length(),
            asked in amount(),
        ) {
            let bits = below(&rows[..length], asked);
            for (row, &it) in rows.iter().enumerate() {
                let want = row < length && it < asked;
                prop_assert_eq!(bits >> row & 1 == 1, want, "row {}", row);
            }
        }

        #[test]
        fn bits_are_flags(flags in prop::collection::vec(any::<bool>(), ROWS), length in length()) {
            let bits = set(&flags[..length]);
            for (row, &flag) in flags.iter().enumerate() {
                prop_assert_eq!(bits >> row & 1 == 1, row < length && flag, "row {}", row);
            }
        }
    }
}
