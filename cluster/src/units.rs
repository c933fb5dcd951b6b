//! Units as types: time, cpu, bytes and GPU share. All are integers; no float enters the ledger.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign};

/// A moment of the run, in microseconds since its start.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(pub u64);

/// A length of time in microseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(pub u64);

impl Instant {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than everything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment that many whole seconds after the start.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// The length from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Seconds as a float, for output only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// That many whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Seconds as a float, for output only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The nearest whole microsecond to `secs`; negative and NaN become zero, too large the longest span.
    pub fn from_secs_f64(secs: f64) -> Self {
        let micros = secs * 1e6;
        if !(0.0..1e15).contains(&micros) {
            return Self(micros.round() as u64);
        }
        // Quicker, and exact where so little stands before the point.
        let whole = micros as i64;
        Self((whole + i64::from(micros - whole as f64 >= 0.5)) as u64)
    }
}

/// A moment plus a length is a moment; it stops at [`Instant::MAX`].
impl Add<Span> for Instant {
    type Output = Instant;
    fn add(self, rhs: Span) -> Instant {
        Instant(self.0.saturating_add(rhs.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, rhs: Span) -> Span {
        Span(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, rhs: Span) {
        *self = *self + rhs;
    }
}

/// Whole units with the largest that leaves no remainder below a thousandth: `90s`, `1.5s`, `250us`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            write!(f, "0s")
        } else if self.0.is_multiple_of(1_000) {
            write!(f, "{}s", self.0 as f64 / 1e6)
        } else {
            write!(f, "{}us", self.0)
        }
    }
}

/// Seconds since the start of the run.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Span(self.0))
    }
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);

            /// What is left after taking `rhs`, or `None` if there is not that much.
            pub const fn checked_sub(self, rhs: Self) -> Option<Self> {
                match self.0.checked_sub(rhs.0) {
                    Some(left) => Some(Self(left)),
                    None => None,
                }
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, rhs: Self) -> Self {
                Self(self.0 + rhs.0)
            }
        }
    };
}

amount! {
    /// Thousandths of one core: `MilliCpu::from_cores(2)` is 2000.
    ///
    /// A trace whose cpu is a share of the largest node is scaled to 10^6 = 1 when it is read;
    /// its card says so.
    MilliCpu
}

amount! {
    /// Bytes of memory or disk.
    Bytes
}

impl MilliCpu {
    /// That many whole cores.
    pub const fn from_cores(cores: u64) -> Self {
        Self(cores * 1000)
    }
}

impl Bytes {
    /// That many mebibytes (2^20 bytes).
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// That many gibibytes (2^30 bytes).
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib << 30)
    }
}

/// Thousandths of one GPU device: a whole device is [`GpuMilli::DEVICE`].
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct GpuMilli(pub u32);

impl GpuMilli {
    /// One whole device.
    pub const DEVICE: Self = Self(1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_in_seconds_where_that_is_exact_to_a_millisecond() {
        for (us, want) in [(0, "0s"), (1_500_000, "1.5s"), (90_000_000, "90s"), (250, "250us")] {
            assert_eq!(Span(us).to_string(), want);
        }
    }

    #[test]
    fn seconds_become_the_nearest_microsecond() {
        let odd =
            [0.5, 0.49999999999999994, 1.5, 2.5, 8_388_607.5, 1e15 + 0.5, 9.1e15, 1.8e19, 1e20];
        let more = (0..200).map(|it| f64::from(it) / 8.0);
        for micros in odd.into_iter().chain(more).chain([f64::INFINITY, -0.5, -3.0]) {
            let want = (micros / 1e6 * 1e6).round() as u64;
            assert_eq!(Span::from_secs_f64(micros / 1e6).0, want, "{micros}");
        }
    }

    #[test]
    fn time_never_wraps() {
        assert_eq!(Instant::MAX + Span(1), Instant::MAX);
        assert_eq!(Instant(3).since(Instant(5)), Span::ZERO);
        assert_eq!(Span::from_secs_f64(-1.0), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
    }
}
