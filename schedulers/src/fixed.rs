//! Fixed-point arithmetic: shares of a node, logarithms and powers, the same on every machine.
//!
//! Rules that raise to a power cannot be exact. Here their arguments have 32 binary digits after the
//! point and their values 60, by integer arithmetic alone, with the rounding that each function states.

use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;

/// The number one with [32 digits](self).
pub const ONE: u64 = 1 << 32;

/// Digits of [`exp2`] after the point.
pub const DIGITS: u32 = 60;

/// The share that `part` is of `whole`, with 32 digits, rounded down; zero of nothing.
///
/// # Panics
///
/// May panic if the part is 2^32 times the whole, or more.
#[inline]
pub fn share(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        0
    } else if part < ONE {
        (part << 32) / whole
    } else {
        u64::try_from((u128::from(part) << 32) / u128::from(whole))
            .expect("the part is less than 2^32 times the whole")
    }
}

/// What a node has free of a resource, and what it offers; GPUs are summed over its devices.
#[inline]
pub fn free_and_offered(nodes: &Nodes, resource: Resource, node: NodeId) -> (u64, u64) {
    match resource {
        Resource::Gpu => (nodes.gpu_free(node), nodes.gpu_capacity(node)),
        _ => (nodes.free(resource)[node.row()], nodes.allocatable(resource)[node.row()]),
    }
}

/// The binary logarithm, with 32 digits: exact for powers of two, otherwise too low by less than 2^-30.
///
/// # Panics
///
/// If the number is zero.
pub fn log2(number: u64) -> u64 {
    let whole = number.ilog2();
    // From here on in [1, 2), with 63 digits: squaring doubles the logarithm, whose digits come out one
    // by one.
    let mut rest = u128::from(number) << (63 - whole);
    let mut digits = u64::from(whole);
    for _ in 0..32 {
        rest = (rest * rest) >> 63;
        let is_two_or_more = rest >> 64;
        rest >>= is_two_or_more;
        digits = digits << 1 | is_two_or_more as u64;
    }
    digits
}

/// Two to the power of a number with 32 digits, with [60 digits](DIGITS). Too low by less than 2^-50 of
/// its value, and never lower for a larger number.
///
/// # Panics
///
/// If the exponent is 64 or more.
#[inline]
pub fn exp2(exponent: u64) -> u128 {
    let whole = exponent >> 32;
    assert!(whole < 64, "2^{whole} is more than any rule asks for");
    let [high, upper, lower, low] = (exponent as u32).to_be_bytes().map(usize::from);
    let value =
        times(times(POWERS[0][high], POWERS[1][upper]), times(POWERS[2][lower], POWERS[3][low]));
    u128::from(value) << whole
}

/// `POWERS[row][i]` is two to the power of `i / 256^(row + 1)`.
static POWERS: [[u64; 256]; 4] = powers();

const fn times(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> DIGITS) as u64
}

const fn powers() -> [[u64; 256]; 4] {
    let mut powers = [[1 << DIGITS; 256]; 4];
    let mut root = 2 << DIGITS;
    let mut bit = 0;
    while bit < 32 {
        // The root of the root before: 2^(1/2), 2^(1/4), …
        root = ((root as u128) << DIGITS).isqrt() as u64;
        let (row, mask) = (bit / 8, 128 >> (bit % 8));
        let mut entry = 0;
        while entry < 256 {
            if entry & mask != 0 {
                powers[row][entry] = times(powers[row][entry], root);
            }
            entry += 1;
        }
        bit += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!(share(1, 3), ONE / 3);
        assert_eq!(share(3 << 40, 4 << 40), 3 * (ONE / 4));
        assert_eq!(share(7 << 40, 7 << 40), ONE);
        assert_eq!(share(5, 0), 0);
    }

    #[test]
    fn powers_of_two_are_exact() {
        for whole in 0..60 {
            assert_eq!(log2(1 << whole), whole << 32);
            assert_eq!(exp2(whole << 32), 1 << (u64::from(DIGITS) + whole));
        }
    }

    #[test]
    fn known_numbers() {
        // log2 10 = 3.321928094887362…, of which 2^32 parts are 14267572527.04….
        assert_eq!(log2(10), 14_267_572_527);
        // 2^(1/2) = 1.414213562373095048…, of which 2^60 parts are 1630477228166597776.
        assert_eq!(exp2(ONE / 2), 1_630_477_228_166_597_776);
    }

    proptest! {
        #[test]
        fn powers_grow_and_are_right(exponent in 0..(40_u64 << 32)) {
            let (power, next) = (exp2(exponent), exp2(exponent + 1));
            prop_assert!(power < next);
            let want = (exponent as f64 / ONE as f64).exp2();
            let got = power as f64 / 2_f64.powi(60);
            prop_assert!((got / want - 1.0).abs() < 1e-13, "{got} is not {want}");
        }

        #[test]
        fn logarithms_are_right(number in 1..u64::MAX) {
            let (got, want) = (log2(number) as f64 / ONE as f64, (number as f64).log2());
            prop_assert!((got - want).abs() < 2e-9, "{got} is not {want}");
        }
    }
}
