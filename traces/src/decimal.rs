//! Decimal numbers to scaled integers, exactly: no float on the way.

/// Why a text is no such number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDecimal {
    /// Not a number at all.
    NotANumber,
    /// Below zero.
    Negative,
    /// Finer than the unit can hold, and rounding was not allowed.
    TooFine,
    /// Beyond 2^64 - 1 units.
    TooLarge,
}

/// What to do with what is finer than one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Refuse it.
    Exact,
    /// To the nearest unit, halves up.
    Nearest,
    /// To the unit above.
    Up,
    /// To the unit below.
    Down,
}

/// A decimal as it was written: `digits` times ten to the `exponent`.
struct Parts {
    negative: bool,
    digits: u128,
    exponent: i32,
}

/// `text` times `units`, as a whole number. `12`, `0.5`, `1.144e-05` are numbers.
///
/// # Errors
///
/// See [`NotDecimal`].
pub(crate) fn parse(text: &str, units: u64, rounding: Rounding) -> Result<u64, NotDecimal> {
    let Parts { negative, digits, exponent } = split(text)?;
    if digits == 0 {
        return Ok(0);
    }
    if negative {
        return Err(NotDecimal::Negative);
    }
    let product = digits.checked_mul(u128::from(units)).ok_or(NotDecimal::TooLarge)?;
    let value = if exponent >= 0 {
        10u128
            .checked_pow(exponent.unsigned_abs())
            .and_then(|it| product.checked_mul(it))
            .ok_or(NotDecimal::TooLarge)?
    } else {
        // A divisor beyond 10^38 is larger than any product.
        let divisor = 10u128.checked_pow(exponent.unsigned_abs()).unwrap_or(u128::MAX);
        let (whole, rest) = (product / divisor, product % divisor);
        match rounding {
            _ if rest == 0 => whole,
            Rounding::Exact => return Err(NotDecimal::TooFine),
            Rounding::Nearest => whole + u128::from(rest >= divisor - rest),
            Rounding::Up => whole + 1,
            Rounding::Down => whole,
        }
    };
    u64::try_from(value).map_err(|_| NotDecimal::TooLarge)
}

/// Whether the text is a number below zero, `-1` for one.
pub(crate) fn is_negative(text: &str) -> bool {
    split(text).is_ok_and(|it| it.negative && it.digits > 0)
}

/// Whether the text is a number of any sign.
pub(crate) fn is_number(text: &str) -> bool {
    split(text).is_ok()
}

fn split(text: &str) -> Result<Parts, NotDecimal> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, power) = match rest.find(['e', 'E']) {
        Some(at) => {
            (&rest[..at], rest[at + 1..].parse::<i32>().map_err(|_| NotDecimal::NotANumber)?)
        }
        None => (rest, 0),
    };
    let (mut digits, mut exponent, mut seen, mut point) = (0u128, power, false, false);
    for byte in mantissa.bytes() {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                digits = digits
                    .checked_mul(10)
                    .and_then(|it| it.checked_add(u128::from(byte - b'0')))
                    .ok_or(NotDecimal::TooLarge)?;
                exponent = if point { exponent.saturating_sub(1) } else { exponent };
            }
            b'.' if !point => point = true,
            _ => return Err(NotDecimal::NotANumber),
        }
    }
    if seen { Ok(Parts { negative, digits, exponent }) } else { Err(NotDecimal::NotANumber) }
}

/// The shortest decimal that [`parse`] reads back as `value` units, if a decimal of at most nine
/// places does.
pub(crate) fn print(value: u64, units: u64) -> Option<String> {
    let (whole, rest) = (value / units, value % units);
    if rest == 0 {
        return Some(whole.to_string());
    }
    let mut numerator = u128::from(rest);
    let mut places = String::new();
    for _ in 0..9 {
        numerator *= 10;
        places.push(char::from(b'0' + (numerator / u128::from(units)) as u8));
        numerator %= u128::from(units);
        if numerator == 0 {
            return Some(format!("{whole}.{places}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, units: u64, want: Result<u64, NotDecimal>) {
        assert_eq!(parse(text, units, Rounding::Exact), want, "{text} x {units}");
    }

    #[test]
    fn fractions_are_exact() {
        check("0.5", 1000, Ok(500));
        check("64", 1000, Ok(64_000));
        check("0.5", 1 << 30, Ok(1 << 29));
        check(".25", 1000, Ok(250));
        check("1.", 1000, Ok(1000));
        check("+3", 1, Ok(3));
        check("1.5e3", 1, Ok(1500));
        check("25e-3", 1000, Ok(25));
        check("0.0005", 1000, Err(NotDecimal::TooFine));
        check("-0.0", 1, Ok(0));
    }

    #[test]
    fn what_is_no_number_is_told_apart() {
        for text in ["", ".", "two", "1.2.3", "0x10", "1e", "nan", "inf", " 1", "1_000", "--1"] {
            check(text, 1, Err(NotDecimal::NotANumber));
        }
        check("-1", 1, Err(NotDecimal::Negative));
        check("18446744073709551616", 1, Err(NotDecimal::TooLarge));
        check("18446744073709551615", 1, Ok(u64::MAX));
        check("18446744073709551615", 1000, Err(NotDecimal::TooLarge));
        check("1e30", 1, Err(NotDecimal::TooLarge));
        check("1e2000000000", 1, Err(NotDecimal::TooLarge));
        check("9999999999999999999999999999999999999999", 1, Err(NotDecimal::TooLarge));
    }

    #[test]
    fn rounding_is_as_asked() {
        for (text, nearest, up, down) in
            [("0.0003052", 305, 306, 305), ("0.0000005", 1, 1, 0), ("1e-60", 0, 1, 0)]
        {
            let units = 1_000_000;
            assert_eq!(parse(text, units, Rounding::Nearest), Ok(nearest), "{text}");
            assert_eq!(parse(text, units, Rounding::Up), Ok(up), "{text}");
            assert_eq!(parse(text, units, Rounding::Down), Ok(down), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(value in any::<u64>(), units in prop::sample::select(vec![1, 1000, 1_000_000, 1 << 20, 1 << 30])) {
            if let Some(text) = print(value, units) {
                prop_assert_eq!(parse(&text, units, Rounding::Exact), Ok(value));
            }
        }
    }
}
