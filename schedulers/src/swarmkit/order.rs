//! Which of two nodes is better for a task.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/scheduler.go` (`scheduleTaskGroup`, `nodeLess`).
//! Resources are not looked at: this does not balance load.
//! Differs in being a key that is worked out once per node. Fewer than five failures count for nothing
//! even against a node with five, so they can be taken for none.

use crate::swarmkit::failures::AVOIDED_FROM;
use crate::swarmkit::model::{Node, Spec};

/// Lower is better, field by field. Equal nodes are equally good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Recent failures of this version of the service, none if they are fewer than five.
    pub failures: u32,
    /// Active tasks of the service.
    pub of_service: u32,
    /// Active tasks.
    pub tasks: u32,
}

impl Rank {
    /// Of a node at a moment, in microseconds.
    pub fn of(node: &Node, spec: &Spec, now_us: u64) -> Self {
        let failures = node.failures.recent(spec.service, spec.version, now_us);
        Self {
            failures: if failures < AVOIDED_FROM { 0 } else { failures },
            of_service: node.active_of(spec.service),
            tasks: node.active_tasks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::Service;

    /// Nodes as (failures, active tasks of the service, other active tasks).
    #[track_caller]
    fn check(better: (u32, u32, u32), worse: (u32, u32, u32)) {
        let spec = |service| Spec { service: Service(service), version: 3, ..Spec::default() };
        let rank = |(failures, own, others): (u32, u32, u32)| {
            let mut node = Node::default();
            (0..failures).for_each(|_| node.failures.record(Service(1), 3, 0));
            (0..own).for_each(|_| node.add(&spec(1), true));
            (0..others).for_each(|_| node.add(&spec(2), true));
            Rank::of(&node, &spec(1), 0)
        };
        assert!(rank(better) < rank(worse));
    }

    #[test]
    fn failures_then_tasks_of_the_service_then_tasks() {
        check((0, 0, 9), (0, 1, 0));
        check((0, 1, 1), (0, 1, 2));
        check((0, 9, 9), (5, 0, 0));
        check((4, 9, 9), (5, 0, 0));
        check((4, 0, 0), (0, 1, 0));
        check((5, 3, 0), (6, 0, 0));
        check((6, 0, 0), (6, 1, 0));
    }
}
