//! Dates and times of expressions.
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language", subject `registeredAt`: a date and time with
//! an offset, with `Z` or without a zone, or a date alone, which is its midnight. Differs in taking what has
//! no zone as UTC, and a fraction of a second, of which microseconds count.

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// Reads `2018-06-18`, `2018-06-18T22:28:28`, and that with `Z`, `+00:00` or `.25`; `None` if it is none
    /// of these, or no day of the calendar.
    pub fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').map_or((text, None), |it| (it.0, Some(it.1)));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let month_days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        if !(1..=12).contains(&month) || !(1..=month_days[month as usize - 1]).contains(&day) {
            return None;
        }
        let days_before = month_days[..month as usize - 1].iter().sum::<i64>() + day - 1;
        let mut seconds = (days_to(year) + days_before) * 86_400;
        let mut micros = 0;
        if let Some(time) = time {
            let (clock, offset) = split_offset(time)?;
            let (clock, fraction) =
                clock.split_once('.').map_or((clock, None), |it| (it.0, Some(it.1)));
            let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            seconds += hour * 3600 + minute * 60 + second - offset;
            if let Some(fraction) = fraction {
                let is_number = fraction.bytes().all(|it| it.is_ascii_digit());
                if !is_number || !(1..=9).contains(&fraction.len()) {
                    return None;
                }
                micros = format!("{fraction:0<6}")[..6].parse().ok()?;
            }
        }
        Some(Self(seconds * 1_000_000 + micros))
    }
}

/// Days from 1970 to the first of January of that year, which is not negative.
fn days_to(year: i64) -> i64 {
    let leap_days = |year: i64| (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    (year - 1970) * 365 + leap_days(year) - leap_days(1970)
}

/// The clock time, and the seconds that its zone is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let [hours, minutes] = numbers(&time[at + 1..], ':', [2, 2])?;
    if hours > 18 || minutes > 59 {
        return None;
    }
    let ahead = hours * 3600 + minutes * 60;
    Some((&time[..at], if time[at..].starts_with('-') { -ahead } else { ahead }))
}

/// Numbers of exactly so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, length) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == length && part.bytes().all(|it| it.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn moments_are_counted_from_1970() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2018-06-18", 1_529_280_000),
            ("2018-06-18T22:28:28", 1_529_360_908),
            ("2018-06-18T22:28:28Z", 1_529_360_908),
            ("2018-06-18T22:28:28+00:00", 1_529_360_908),
            ("2018-06-19T00:28:28+02:00", 1_529_360_908),
            ("2018-06-18T20:58:28-01:30", 1_529_360_908),
            ("1969-12-31T23:59:59Z", -1),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(Moment::read(text), Some(Moment(seconds * 1_000_000)), "{text}");
        }
        assert_eq!(Moment::read("1970-01-01T00:00:00.25Z"), Some(Moment(250_000)));
        assert_eq!(Moment::read("1970-01-01T00:00:00.1234567+00:00"), Some(Moment(123_456)));
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "2018",
            "2018-6-18",
            "2018-02-30",
            "2100-02-29",
            "2018-13-01",
            "2018-00-01",
            "2018-06-18T",
            "2018-06-18T22:28",
            "2018-06-18T24:00:00",
            "2018-06-18T22:28:28+2",
            "2018-06-18T22:28:28.",
            "2018-06-18 22:28:28",
            "+018-06-18",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
    }
}
