//! Who wants to know what happens: metrics, sinks, checkers. Simulator and runtime call it alike.

use crate::event::Change;
use crate::state::State;
use crate::units::Instant;

/// Watches a run. Sees every change right after it happened, and time before it moves on.
pub trait Observer {
    /// Time is about to move from the last call's moment to `to`, with `state` unchanged in between:
    /// the moment for time-weighted sums.
    fn advance(&mut self, to: Instant, state: &State);

    /// These changes happened at `now`, in this order; `state` is the state after the last of them.
    fn observe(&mut self, now: Instant, changes: &[Change], state: &State);
}

/// Watches nothing.
impl Observer for () {
    fn advance(&mut self, _: Instant, _: &State) {}
    fn observe(&mut self, _: Instant, _: &[Change], _: &State) {}
}
