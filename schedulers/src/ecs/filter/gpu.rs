//! Enough GPUs must be left. They are given whole.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Gpu,
    is_for_start: true,
    rejects: |request, instance| instance.left().gpus < request.needs.amounts.gpus,
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn what_is_left_counts() {
        for (total, held, asked, want) in
            [(0, 0, 0, ""), (0, 0, 1, "RESOURCE:GPU"), (4, 2, 2, ""), (4, 3, 2, "RESOURCE:GPU")]
        {
            let (mut request, mut instance) = (Request::default(), Instance::default());
            request.needs.amounts.gpus = asked;
            instance.total.gpus = total;
            instance.held.gpus = held;
            check(&request, &instance, want);
        }
    }
}
