//! The agent must be connected, so that nothing waits for it.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Agent,
    is_for_start: true,
    rejects: |_, instance| !instance.is_connected,
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn disconnected_ones_take_nothing() {
        check(&Request::default(), &Instance { is_connected: true, ..Instance::default() }, "");
        let lost = Instance { is_connected: false, ..Instance::default() };
        check(&Request::default(), &lost, "AGENT");
    }
}
