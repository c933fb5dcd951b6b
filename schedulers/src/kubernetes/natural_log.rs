//! The natural logarithm, the same on every machine.
//!
//! Source: the argument reduction and polynomial of FreeBSD's `e_log.c`, summed in the order in which Go's
//! `math.Log` does it. The standard library's `ln` is the platform's, whose last bit may differ.

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const EVEN: [f64; 3] =
    [3.999_999_999_940_942e-1, 2.222_219_843_214_978_4e-1, 1.531_383_769_920_937_3e-1];
const ODD: [f64; 4] = [
    6.666_666_666_666_735e-1,
    2.857_142_874_366_239e-1,
    1.818_357_216_161_805e-1,
    1.479_819_860_511_658_6e-1,
];

/// The natural logarithm of a count; 0 for 0.
pub fn ln(count: u32) -> f64 {
    if count == 0 {
        return 0.0;
    }
    // count = fraction · 2^exponent with √½ <= fraction < √2.
    let mut exponent = 32 - count.leading_zeros();
    let mut fraction = f64::from(count) / (1u64 << exponent) as f64;
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let f = fraction - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let rest = odd + even;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + rest) + k * LN2_LOW)) - f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_platform_to_the_last_bit_or_so() {
        for count in (1..5000).chain([1 << 20, u32::MAX]) {
            let (mine, theirs) = (ln(count), f64::from(count).ln());
            assert!((mine - theirs).abs() <= 2.0 * f64::EPSILON * theirs, "{count}");
        }
    }
}
