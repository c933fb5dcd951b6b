//! A task with an interface of its own (`awsvpc`) needs one that the machine may still have.
//!
//! Source: Developer Guide, "Task networking": the limit is that of the machine's type, of which the primary
//! interface takes one.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Interface,
    is_for_start: true,
    rejects: |request, instance| {
        request.needs.has_interface
            && instance.interfaces_max.is_some_and(|max| instance.interfaces >= max)
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn the_primary_counts() {
        for (max, interfaces, asks, want) in [
            (Some(3), 2, true, ""),
            (Some(3), 3, true, "RESOURCE:ENI"),
            (Some(3), 3, false, ""),
            (Some(1), 1, true, "RESOURCE:ENI"),
            (None, 30, true, ""),
        ] {
            let mut request = Request::default();
            request.needs.has_interface = asks;
            let instance = Instance { interfaces_max: max, interfaces, ..Instance::default() };
            check(&request, &instance, want);
        }
    }
}
