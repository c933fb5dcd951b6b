//! The expressions of all `memberOf` constraints must select the instance.

use super::{Filter, Reason};
use crate::ecs::constraint::Constraint;

pub(super) const FILTER: Filter = Filter {
    reason: Reason::MemberOf,
    is_for_start: false,
    rejects: |request, instance| {
        request.constraints.iter().any(
            |it| matches!(it, Constraint::MemberOf(expression) if !expression.selects(instance)),
        )
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::constraint::{Constraint, Origin};
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn all_must_select_it() {
        let mut instance = Instance::default();
        instance.groups.insert("databases".to_owned(), 1);
        let unsatisfied = "MemberOf placement constraint unsatisfied";
        for (expressions, want) in [
            (vec!["task:group == databases"], ""),
            (vec!["task:group == databases", "runningTasksCount < 2"], ""),
            (vec!["task:group == databases", "runningTasksCount < 1"], unsatisfied),
            (vec!["not(task:group == databases)"], unsatisfied),
        ] {
            let read = |it| Constraint::read("memberOf", Some(it), Origin::Request).unwrap();
            let constraints = expressions.into_iter().map(read).collect();
            check(&Request { constraints, ..Request::default() }, &instance, want);
        }
    }
}
