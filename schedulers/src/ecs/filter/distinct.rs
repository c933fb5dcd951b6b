//! `distinctInstance`: the instance must run no other task of the group.

use super::{Filter, Reason};
use crate::ecs::constraint::Constraint;

pub(super) const FILTER: Filter = Filter {
    reason: Reason::DistinctInstance,
    is_for_start: false,
    rejects: |request, instance| {
        request.constraints.contains(&Constraint::DistinctInstance)
            && instance.of_group(&request.group) > 0
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::constraint::Constraint;
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn tasks_of_other_groups_do_not_matter() {
        let mut instance = Instance::default();
        instance.groups.insert("family:a".to_owned(), 1);
        let unsatisfied = "DistinctInstance placement constraint unsatisfied";
        for (group, constraints, want) in [
            ("family:a", vec![Constraint::DistinctInstance], unsatisfied),
            ("family:a", vec![], ""),
            ("family:b", vec![Constraint::DistinctInstance], ""),
        ] {
            let group = group.to_owned();
            check(&Request { group, constraints, ..Request::default() }, &instance, want);
        }
    }
}
