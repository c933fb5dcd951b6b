//! A shuffle's numbers many at once: sixteen blocks of the stream side by side, one in each lane of a register.
//!
//! Sources: D. J. Bernstein, "ChaCha, a variant of Salsa20", SASC 2008, with 8 rounds; blocks side by side as in M. Goll,
//! S. Gueron, "Vectorization on ChaCha stream cipher", ITNG 2014. With AVX-512, where the processor has it; the other
//! way is its fallback and its test.

use rand_chacha::ChaCha8Rng;

/// Blocks that are worked out side by side.
const BLOCKS: usize = 16;

/// Numbers in a block.
const IN_BLOCK: usize = 8;

/// Remainders below this are left to who looks at them exactly: it is at least one.
const UNSURE: u32 = if cfg!(test) { 1 << 24 } else { 1 };

type Lanes = [u32; BLOCKS];

/// Numbers scaled to their bounds: number `i` of block `j` stands at `[i][j]`.
type Scaled = [Lanes; IN_BLOCK];

/// Which stream it is.
#[derive(Clone, Copy)]
struct Key {
    seed: [u32; 8],
    stream: u64,
}

/// Shuffles from the end, as long as numbers need not be drawn again. Says which is the last item that is not in its
/// place.
pub(super) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) -> usize {
    let mut last = items.len().saturating_sub(1);
    let position = rng.get_word_pos();
    if last < BLOCKS * IN_BLOCK || items.len() > 1 << 30 || position % 2 == 1 {
        return last;
    }
    let seed = rng.get_seed();
    let word = |it: usize| u32::from_le_bytes(std::array::from_fn(|byte| seed[4 * it + byte]));
    let key = Key { seed: std::array::from_fn(word), stream: rng.get_stream() };
    let first = position / 2;
    let mut block = (first / IN_BLOCK as u128) as u64;
    let mut begin = (first % IN_BLOCK as u128) as usize;
    let before = last;
    let mut scaled = Scaled::default();
    while last > 0 && many(&key, block, last + 1 + begin, &mut scaled) {
        if begin == 0 && last >= BLOCKS * IN_BLOCK {
            for lane in 0..BLOCKS {
                for number in &scaled {
                    items.swap(last, number[lane] as usize);
                    last -= 1;
                }
            }
        } else {
            let end = (BLOCKS * IN_BLOCK).min(begin + last);
            for it in begin..end {
                items.swap(last, scaled[it % IN_BLOCK][it / IN_BLOCK] as usize);
                last -= 1;
            }
        }
        block = block.wrapping_add(BLOCKS as u64);
        begin = 0;
    }
    rng.set_word_pos(position + 2 * (before - last) as u128);
    last
}

/// The numbers of these blocks, scaled to bounds of which each is one less than the one before it, down to one. Says no
/// if any may have to be drawn again.
fn many(key: &Key, block: u64, bound: usize, scaled: &mut Scaled) -> bool {
    let bound = bound as u32;
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        #[expect(unsafe_code, reason = "the processor was asked whether it has AVX-512")]
        return unsafe { avx512::many(key, block, bound, scaled) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn compiled_for_avx2(key: &Key, block: u64, bound: u32, scaled: &mut Scaled) -> bool {
            lane_by_lane(key, block, bound, scaled)
        }
        #[expect(unsafe_code, reason = "the processor was asked whether it has AVX2")]
        return unsafe { compiled_for_avx2(key, block, bound, scaled) };
    }
    lane_by_lane(key, block, bound, scaled)
}

/// The first four words of every block.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The words that each quarter of two rounds mixes.
const QUARTERS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// See [`many`].
#[expect(clippy::needless_range_loop, reason = "one lane of several words")]
#[inline(always)]
fn lane_by_lane(key: &Key, block: u64, bound: u32, scaled: &mut Scaled) -> bool {
    let mut begin = [[0; BLOCKS]; 16];
    for (word, it) in begin.iter_mut().zip(CONSTANTS.into_iter().chain(key.seed)) {
        *word = [it; BLOCKS];
    }
    let number = |it: usize| block.wrapping_add(it as u64);
    begin[12] = std::array::from_fn(|it| number(it) as u32);
    begin[13] = std::array::from_fn(|it| (number(it) >> 32) as u32);
    begin[14] = [key.stream as u32; BLOCKS];
    begin[15] = [(key.stream >> 32) as u32; BLOCKS];
    let mut words = begin;
    for _ in 0..4 {
        for quarter in QUARTERS {
            mix(&mut words, quarter);
        }
    }
    let mut is_unsure = false;
    for it in 0..IN_BLOCK {
        for lane in 0..BLOCKS {
            let word = |it: usize| u64::from(words[it][lane].wrapping_add(begin[it][lane]));
            let bound = bound.saturating_sub((lane * IN_BLOCK + it) as u32).max(1);
            let upper = (word(2 * it) * u64::from(bound)) >> 32;
            let product = upper + word(2 * it + 1) * u64::from(bound);
            scaled[it][lane] = (product >> 32) as u32;
            is_unsure |= (product as u32) < UNSURE;
        }
    }
    !is_unsure
}

#[expect(clippy::needless_range_loop, reason = "one lane of several words")]
#[inline(always)]
fn mix(words: &mut [Lanes; 16], [a, b, c, d]: [usize; 4]) {
    for (b_turn, d_turn) in [(12, 16), (7, 8)] {
        for it in 0..BLOCKS {
            words[a][it] = words[a][it].wrapping_add(words[b][it]);
        }
        for it in 0..BLOCKS {
            words[d][it] = (words[d][it] ^ words[a][it]).rotate_left(d_turn);
        }
        for it in 0..BLOCKS {
            words[c][it] = words[c][it].wrapping_add(words[d][it]);
        }
        for it in 0..BLOCKS {
            words[b][it] = (words[b][it] ^ words[c][it]).rotate_left(b_turn);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{BLOCKS, CONSTANTS, IN_BLOCK, Key, Lanes, QUARTERS, Scaled, UNSURE};
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_add_epi64, _mm512_cmplt_epu32_mask,
        _mm512_mask_blend_epi32, _mm512_max_epi32, _mm512_mul_epu32, _mm512_rol_epi32,
        _mm512_set_epi32, _mm512_set1_epi32, _mm512_slli_epi64, _mm512_srli_epi64,
        _mm512_sub_epi32, _mm512_xor_si512,
    };

    /// See [`many`](super::many).
    #[target_feature(enable = "avx512f")]
    pub(super) fn many(key: &Key, block: u64, bound: u32, scaled: &mut Scaled) -> bool {
        let number = |it: usize| block.wrapping_add(it as u64);
        let mut begin = [_mm512_set1_epi32(0); 16];
        for (word, it) in begin.iter_mut().zip(CONSTANTS.into_iter().chain(key.seed)) {
            *word = all(it);
        }
        begin[12] = lanes(std::array::from_fn(|it| number(it) as u32));
        begin[13] = lanes(std::array::from_fn(|it| (number(it) >> 32) as u32));
        begin[14] = all(key.stream as u32);
        begin[15] = all((key.stream >> 32) as u32);
        let mut words = begin;
        for _ in 0..4 {
            for quarter in QUARTERS {
                mix(&mut words, quarter);
            }
        }
        let before = lanes(std::array::from_fn(|it| (it * IN_BLOCK) as u32));
        let first = _mm512_sub_epi32(all(bound), before);
        let odd = |it| _mm512_srli_epi64::<32>(it);
        let mut unsure = 0;
        for (it, scaled) in scaled.iter_mut().enumerate() {
            let bounds = _mm512_max_epi32(_mm512_sub_epi32(first, all(it as u32)), all(1));
            let word = |it: usize| _mm512_add_epi32(words[it], begin[it]);
            let (low, high) = (word(2 * it), word(2 * it + 1));
            let product = |low, high, bounds| {
                let upper = odd(_mm512_mul_epu32(low, bounds));
                _mm512_add_epi64(upper, _mm512_mul_epu32(high, bounds))
            };
            // Products are of twice the width: of the lanes of even and of odd number.
            let evens = product(low, high, bounds);
            let odds = product(odd(low), odd(high), odd(bounds));
            *scaled = array(_mm512_mask_blend_epi32(0xaaaa, odd(evens), odds));
            let rests = _mm512_mask_blend_epi32(0xaaaa, evens, _mm512_slli_epi64::<32>(odds));
            unsure |= _mm512_cmplt_epu32_mask(rests, all(UNSURE));
        }
        unsure == 0
    }

    #[target_feature(enable = "avx512f")]
    fn mix(words: &mut [__m512i; 16], [a, b, c, d]: [usize; 4]) {
        words[a] = _mm512_add_epi32(words[a], words[b]);
        words[d] = _mm512_rol_epi32::<16>(_mm512_xor_si512(words[d], words[a]));
        words[c] = _mm512_add_epi32(words[c], words[d]);
        words[b] = _mm512_rol_epi32::<12>(_mm512_xor_si512(words[b], words[c]));
        words[a] = _mm512_add_epi32(words[a], words[b]);
        words[d] = _mm512_rol_epi32::<8>(_mm512_xor_si512(words[d], words[a]));
        words[c] = _mm512_add_epi32(words[c], words[d]);
        words[b] = _mm512_rol_epi32::<7>(_mm512_xor_si512(words[b], words[c]));
    }

    #[target_feature(enable = "avx512f")]
    fn all(it: u32) -> __m512i {
        _mm512_set1_epi32(it as i32)
    }

    /// Becomes one load.
    #[target_feature(enable = "avx512f")]
    fn lanes(lanes: Lanes) -> __m512i {
        let it = |lane: usize| lanes[lane] as i32;
        _mm512_set_epi32(
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

    const _: () = assert!(size_of::<Lanes>() == size_of::<__m512i>() && BLOCKS == 16);

    #[target_feature(enable = "avx512f")]
    fn array(it: __m512i) -> Lanes {
        #[expect(
            unsafe_code,
            reason = "a register is sixteen lanes of 32 bits, the first one first"
        )]
        unsafe {
            std::mem::transmute(it)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn side_by_side_as_lane_by_lane(
            seed in any::<[u32; 8]>(),
            stream in any::<u64>(),
            block in prop_oneof![any::<u64>(), (1u64 << 32) - 20..(1 << 32) + 20, Just(u64::MAX - 3)],
            bound in prop_oneof![1..300usize, 1..1usize << 30],
        ) {
            let key = Key { seed, stream };
            let (mut got, mut want) = (Scaled::default(), Scaled::default());
            let is_sure = many(&key, block, bound, &mut got);
            prop_assert_eq!(is_sure, lane_by_lane(&key, block, bound as u32, &mut want));
            prop_assert_eq!(got, want);
        }
    }
}
