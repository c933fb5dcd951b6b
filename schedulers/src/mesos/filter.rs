//! What a framework declined, and is not offered again for a while.
//!
//! Source: Mesos c1b42f79, `hierarchical.cpp`, `recoverResources` and `RefusedOfferFilter`; MESOS-4302.
//!
//! A filter belongs to a framework, a role and an agent, and stops offers that are contained in what was declined.
//! If the agent has more to give, of any kind, it is offered.
//!
//! It ends when the time asked for and one allocation interval are over, but not before the next batch run
//! has looked at it: one that ends at the very time of that run stops an offer there still. (In the source
//! both are timers, and of timers for the same time the one set first goes first.)

use super::resources::Resources;
use cluster::units::{Instant, Span};
use serde::{Deserialize, Serialize};

/// For how long what is given back is not to be offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Refusal {
    /// It may be offered at once.
    None,
    /// As Mesos does if nothing is said: 5 s.
    #[default]
    Default,
    /// For so long, at most [`REFUSAL_MAX`]. No time at all is as [`Refusal::None`].
    For(Span),
}

/// The longest time.
pub const REFUSAL_MAX: Span = Span::from_secs(365 * 24 * 60 * 60);

/// The time if nothing is said.
pub const REFUSAL_DEFAULT: Span = Span::from_secs(5);

impl Refusal {
    /// The `refuse_seconds` of a call: what is negative, or no number, is as if nothing was said.
    pub fn from_secs(secs: f64) -> Self {
        if secs >= 0.0 { Self::For(Span::from_secs_f64(secs)) } else { Self::Default }
    }

    /// The time, if it is any.
    pub fn span(self) -> Option<Span> {
        match self {
            Self::None | Self::For(Span::ZERO) => None,
            Self::Default => Some(REFUSAL_DEFAULT),
            Self::For(span) => Some(span.min(REFUSAL_MAX)),
        }
    }
}

/// Stops offers to one framework in one role of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    refused: Resources,
    ends: Instant,
    /// Batch runs there had been when it was set.
    runs_before: u64,
}

impl Filter {
    /// A filter set at `now`, after `runs_before` batch runs at intervals of `interval`.
    pub fn new(
        refused: Resources,
        span: Span,
        interval: Span,
        now: Instant,
        runs_before: u64,
    ) -> Self {
        Self { refused, ends: now + span.max(interval), runs_before }
    }

    /// Whether it stops that offer.
    pub fn stops(&self, offer: &Resources) -> bool {
        self.refused.contains(offer)
    }

    /// When it ends.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// Whether it is over when the batch run of that time begins, `runs_before` having been made.
    pub(super) fn is_over_for_batch(&self, at: Instant, runs_before: u64) -> bool {
        self.ends < at || (self.ends == at && self.runs_before < runs_before)
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantity::check::some;
    use super::*;

    #[test]
    fn times_are_read_as_mesos_does() {
        for (secs, want) in [
            (0.0, None),
            (0.5, Some(Span(500_000))),
            (-1.0, Some(REFUSAL_DEFAULT)),
            (f64::NAN, Some(REFUSAL_DEFAULT)),
            (1e12, Some(REFUSAL_MAX)),
        ] {
            assert_eq!(Refusal::from_secs(secs).span(), want, "{secs}");
        }
        assert_eq!(Refusal::None.span(), None);
        assert_eq!(Refusal::default().span(), Some(REFUSAL_DEFAULT));
    }

    #[test]
    fn what_is_contained_is_stopped() {
        let second = Span::from_secs(1);
        let offer = |text| Resources::unreserved(some(text));
        let it = Filter::new(offer("2 1024"), second, second, Instant::ZERO, 0);
        assert!(it.stops(&offer("2 1024")) && it.stops(&offer("1 1024")));
        assert!(!it.stops(&offer("2 1025")) && !it.stops(&offer("1 1 1")));
    }

    #[test]
    fn the_next_batch_run_sees_it() {
        let secs = Span::from_secs;
        // Set at 0, batch runs at 1, 2, …
        for (span, at, runs_before, want) in [
            (secs(0), 1, 0, false),
            (secs(1), 1, 0, false),
            (secs(1), 2, 1, true),
            (secs(2), 1, 0, false),
            (secs(2), 2, 1, true),
        ] {
            let it = Filter::new(Resources::default(), span, secs(1), Instant::ZERO, 0);
            let got = it.is_over_for_batch(Instant::from_secs(at), runs_before);
            assert_eq!(got, want, "{span:?} at {at}");
        }
    }
}
