//! Enough memory must be left.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Memory,
    is_for_start: true,
    rejects: |request, instance| instance.left().memory_mib < request.needs.amounts.memory_mib,
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn what_is_left_counts() {
        for (total, held, asked, want) in
            [(1024, 24, 1000, ""), (1024, 25, 1000, "RESOURCE:MEMORY")]
        {
            let (mut request, mut instance) = (Request::default(), Instance::default());
            request.needs.amounts.memory_mib = asked;
            instance.total.memory_mib = total;
            instance.held.memory_mib = held;
            check(&request, &instance, want);
        }
    }
}
