//! Enough cpu must be left.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Cpu,
    is_for_start: true,
    rejects: |request, instance| instance.left().cpu_units < request.needs.amounts.cpu_units,
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn what_is_left_counts() {
        for (total, held, asked, want) in [
            (1024, 0, 1024, ""),
            (1024, 1, 1024, "RESOURCE:CPU"),
            (1024, 2000, 0, ""),
            (1024, 2000, 1, "RESOURCE:CPU"),
        ] {
            let (mut request, mut instance) = (Request::default(), Instance::default());
            request.needs.amounts.cpu_units = asked;
            instance.total.cpu_units = total;
            instance.held.cpu_units = held;
            check(&request, &instance, want);
        }
    }
}
