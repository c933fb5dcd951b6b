//! How fast Marathon goes: its times and counts, for those who drive it.
//!
//! Source: Marathon 90619da7, defaults of its command line and of app definitions.

use cluster::units::Span;

/// Instances launched from one offer at most.
pub const LAUNCHES_PER_OFFER: u32 = 5;

/// Launches in [`LAUNCH_TOKENS_EVERY`] at most; launches that come up give theirs back.
pub const LAUNCH_TOKENS: u32 = 100;

/// When there are [`LAUNCH_TOKENS`] again.
pub const LAUNCH_TOKENS_EVERY: Span = Span::from_secs(30);

/// For how long what is left of an offer is declined.
pub const DECLINE: Span = Span::from_secs(120);

/// The least time between two calls for declined offers.
pub const REVIVE_EVERY: Span = Span::from_secs(5);

/// The first delay after an instance has failed.
pub const BACKOFF: Span = Span::from_secs(1);

/// The longest delay after an instance has failed.
pub const BACKOFF_MAX: Span = Span::from_secs(300);

/// The delay after the next failure: 1.15 times as long, in whole microseconds.
pub fn next_backoff(delay: Span) -> Span {
    Span((delay.0.saturating_mul(115) / 100).min(BACKOFF_MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_five_minutes() {
        assert_eq!(next_backoff(BACKOFF), Span(1_150_000));
        assert_eq!(next_backoff(Span(1_150_000)), Span(1_322_500));
        assert_eq!(next_backoff(Span::from_secs(299)), BACKOFF_MAX);
        assert_eq!(next_backoff(BACKOFF_MAX), BACKOFF_MAX);
    }
}
