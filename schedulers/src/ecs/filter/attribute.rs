//! The instance must have every attribute that the task definition requires (`requiresAttributes`): by name,
//! and with the same value if one is required.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Attribute,
    is_for_start: true,
    rejects: |request, instance| {
        request.required.iter().any(|(name, value)| match (instance.attribute(name), value) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(has), Some(value)) => has != value,
        })
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::Instance;
    use crate::ecs::place::Request;

    #[test]
    fn all_that_is_required_must_be_there() {
        let mut instance = Instance::default();
        instance.attributes.insert("ecs.capability.task-eni".to_owned(), String::new());
        instance.attributes.insert("ecs.os-type".to_owned(), "linux".to_owned());
        for (required, want) in [
            (vec![], ""),
            (vec![("ecs.capability.task-eni", None)], ""),
            (vec![("ecs.os-type", None), ("ecs.os-type", Some("linux"))], ""),
            (vec![("ecs.os-type", None), ("ecs.os-type", Some("windows"))], "ATTRIBUTE"),
            (vec![("ecs.capability.x", None)], "ATTRIBUTE"),
        ] {
            let owned = |(name, value): (&str, Option<&str>)| (name.into(), value.map(Into::into));
            let required = required.into_iter().map(owned).collect();
            check(&Request { required, ..Request::default() }, &instance, want);
        }
    }
}
