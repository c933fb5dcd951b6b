//! The instance must be in a zone of the subnets that the task may use, if it names some.

use super::{Filter, Reason};

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Location,
    is_for_start: true,
    rejects: |request, instance| {
        let zones = request.zones.as_ref();
        zones.is_some_and(|zones| !instance.zone().is_some_and(|it| zones.iter().any(|z| z == it)))
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::{Instance, ZONE};
    use crate::ecs::place::Request;

    #[test]
    fn the_zone_must_be_among_them() {
        let mut instance = Instance::default();
        instance.attributes.insert(ZONE.to_owned(), "b".to_owned());
        let zones = |zones: &[&str]| Request {
            zones: Some(zones.iter().map(|it| (*it).to_owned()).collect()),
            ..Request::default()
        };
        check(&Request::default(), &instance, "");
        check(&zones(&["a", "b"]), &instance, "");
        check(&zones(&["a", "c"]), &instance, "LOCATION");
        check(&zones(&["a"]), &Instance::default(), "LOCATION");
    }
}
