//! Moments as Docker writes them.

use serde::{Deserialize, Serialize};

/// A moment by a Docker host's clock, in nanoseconds since 1970 (UTC). Hosts' clocks may differ.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct HostTime(pub i64);

impl HostTime {
    /// Reads RFC 3339 as Docker writes it: `2026-11-23T08:04:07.123456789Z`, or with an offset.
    ///
    /// `None` for anything else, and for year 1, by which Docker means "never".
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            part.bytes().all(|it| it.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let separators = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
        if separators.iter().any(|&(at, it)| text.as_bytes().get(at) != Some(&(it as u8))) {
            return None;
        }
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let mut rest = text.get(19..)?;
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 || length > 9 {
                return None;
            }
            nanos = fraction[..length].parse::<i64>().ok()? * 10_i64.pow(9 - length as u32);
            rest = &fraction[length..];
        }
        let offset_s = match rest {
            "Z" => 0,
            _ => {
                let sign = match rest.as_bytes().first()? {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                let (hours, minutes) = rest.get(1..)?.split_once(':')?;
                sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
            }
        };
        let seconds =
            days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
                - offset_s;
        Some(Self(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
    }

    /// Whole microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap
/// day comes last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_times_are_read_to_the_nanosecond() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600_000_000_000)),
            ("2026-11-23T08:04:07.123456789Z", Some(1_795_421_047_123_456_789)),
            ("2026-11-23T08:04:07.5Z", Some(1_795_421_047_500_000_000)),
            ("2026-11-23T10:04:07.5+02:00", Some(1_795_421_047_500_000_000)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-11-23 08:04:07Z", None),
            ("2026-11-23T08:04:07", None),
            ("2026-13-23T08:04:07Z", None),
            ("", None),
        ] {
            assert_eq!(HostTime::parse(text), want.map(HostTime), "{text}");
        }
    }
}
