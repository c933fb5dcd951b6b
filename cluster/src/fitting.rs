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

/// Bit `i` of the first is set if row `i` of the column is at least what is asked; of the second, if it is equal.
#[inline]
pub(crate) fn at_least(column: &[u16; ROWS], asked: u16) -> (u64, u64) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor was asked whether it has AVX2")]
        return unsafe { avx2::at_least(column, asked) };
    }
    at_least_one_by_one(column, asked)
}

/// See [`at_least`].
fn at_least_one_by_one(column: &[u16; ROWS], asked: u16) -> (u64, u64) {
    column.iter().enumerate().fold((0, 0), |(has, equal), (row, &it)| {
        (has | u64::from(it >= asked) << row, equal | u64::from(it == asked) << row)
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::ROWS;
    use std::arch::x86_64::{
        __m256i, _mm256_castsi256_pd, _mm256_cmpeq_epi16, _mm256_cmpgt_epi64, _mm256_max_epu16,
        _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_packs_epi16, _mm256_permute4x64_epi64,
        _mm256_set_epi16, _mm256_set_epi64x, _mm256_set1_epi16, _mm256_set1_epi64x,
        _mm256_xor_si256,
    };

    /// See [`at_least`](super::at_least).
    #[target_feature(enable = "avx2")]
    pub(super) fn at_least(column: &[u16; ROWS], asked: u16) -> (u64, u64) {
        let asked = _mm256_set1_epi16(asked as i16);
        let (mut has, mut equal) = (0u64, 0u64);
        for half in 0..2 {
            let (low, high) = (sixteen(column, 2 * half), sixteen(column, 2 * half + 1));
            let at_least = |it| _mm256_cmpeq_epi16(_mm256_max_epu16(it, asked), it);
            let is_equal = |it| _mm256_cmpeq_epi16(it, asked);
            has |= u64::from(mask(at_least(low), at_least(high))) << (32 * half);
            equal |= u64::from(mask(is_equal(low), is_equal(high))) << (32 * half);
        }
        (has, equal)
    }

    /// One bit a lane of two masks.
    #[target_feature(enable = "avx2")]
    fn mask(low: __m256i, high: __m256i) -> u32 {
        // Packing goes by halves of the registers: the quarters are put in order again.
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
        _mm256_movemask_epi8(bytes) as u32
    }

    /// The rows from `16 × at` on. Becomes one load.
    #[target_feature(enable = "avx2")]
    fn sixteen(column: &[u16; ROWS], at: usize) -> __m256i {
        let it = |lane: usize| column[16 * at + lane] as i16;
        _mm256_set_epi16(
            it(15),
            it(14),
            it(13),
            it(12),
            it(11),
            it(10),
            it(9),
            it(8),
            it(7),
            it(6),
            it(5),
            it(4),
            it(3),
            it(2),
            it(1),
            it(0),
        )
    }

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
        fn bits_say_which_rows_are_enough(
            rows in prop::collection::vec(prop_oneof![0..4u16, u16::MAX - 2..=u16::MAX, 32_766..32_770u16], ROWS),
            asked in prop_oneof![0..4u16, u16::MAX - 2..=u16::MAX, 32_766..32_770u16],
        ) {
            let column: &[u16; ROWS] = rows.as_slice().try_into().expect("as many");
            prop_assert_eq!(at_least(column, asked), at_least_one_by_one(column, asked));
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
