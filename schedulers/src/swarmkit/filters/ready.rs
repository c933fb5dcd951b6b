//! The node takes tasks: it is ready, and neither paused nor drained.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`ReadyFilter`).

use crate::swarmkit::model::{Availability, Node, State};

pub(super) fn passes(node: &Node) -> bool {
    node.state == State::Ready && node.availability == Availability::Active
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_and_active() {
        for (state, availability, want) in [
            (State::Ready, Availability::Active, true),
            (State::Ready, Availability::Pause, false),
            (State::Ready, Availability::Drain, false),
            (State::Down, Availability::Active, false),
            (State::Unknown, Availability::Active, false),
            (State::Disconnected, Availability::Active, false),
        ] {
            let node = Node { state, availability, ..Node::default() };
            assert_eq!(passes(&node), want, "{state:?} {availability:?}");
        }
    }
}
