//! The node has fewer active tasks of the service than are allowed on one.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`MaxReplicasFilter`).

use crate::swarmkit::model::{Node, Spec};

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    u64::from(node.active_of(spec.service)) < spec.max_replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::Service;

    #[test]
    fn only_active_tasks_of_the_service_count() {
        let spec = |service| Spec { service: Service(service), max_replicas: 2, ..Spec::default() };
        let mut node = Node::default();
        for (service, is_active) in [(1, true), (1, false), (2, true), (2, true)] {
            node.add(&spec(service), is_active);
        }
        assert_eq!([1, 2, 3].map(|it| passes(&spec(it), &node)), [true, false, true]);
    }
}
