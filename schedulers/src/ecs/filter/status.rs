//! The instance must be active. One that drains takes nothing.
//!
//! Source: Developer Guide, "Container instance draining". Nothing names the reason for a named instance that
//! drains; ours says what it says of one that is out.

use super::{Filter, Reason};
use crate::ecs::instance::Status;

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Inactive,
    is_for_start: true,
    rejects: |_, instance| instance.status != Status::Active,
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::{Instance, Status};
    use crate::ecs::place::Request;

    #[test]
    fn only_active_ones_take_tasks() {
        for (status, want) in [
            (Status::Active, ""),
            (Status::Draining, "INACTIVE"),
            (Status::Registering, "INACTIVE"),
            (Status::Deregistering, "INACTIVE"),
            (Status::RegistrationFailed, "INACTIVE"),
            (Status::Inactive, "INACTIVE"),
        ] {
            check(&Request::default(), &Instance { status, ..Instance::default() }, want);
        }
    }
}
