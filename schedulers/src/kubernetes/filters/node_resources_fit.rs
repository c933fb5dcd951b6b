//! Room for the pod. Source: v1.35, `plugins/noderesources/fit.go`.

use crate::kubernetes::explain::{Rejection, Shortage};
use crate::kubernetes::node::{Node, Used};
use crate::kubernetes::pod::Pod;

/// What is asked for must be left; what is not asked for does not matter, even on a node that is
/// over-committed.
///
/// # Errors
///
/// With all that the node is short of.
pub fn check(pod: &Pod, node: &Node, used: &Used) -> Result<(), Rejection> {
    let (asked, offered, taken) = (&pod.shape.requests, &node.allocatable, &used.requested);
    let mut short = Shortage { pods: used.pods + 1 > node.pods_max, ..Shortage::default() };
    let mut lacks = |asked: i64, offered: i64, taken: i64| {
        let lacks = asked > 0 && asked > offered - taken;
        short.hopeless |= lacks && asked > offered;
        lacks
    };
    let cpu = lacks(asked.cpu_milli, offered.cpu_milli, taken.cpu_milli);
    let memory = lacks(asked.memory_bytes, offered.memory_bytes, taken.memory_bytes);
    let ephemeral = lacks(asked.ephemeral_bytes, offered.ephemeral_bytes, taken.ephemeral_bytes);
    let mut extended = Vec::new();
    for (name, &asked) in &asked.extended {
        if lacks(asked, offered.extended(name), taken.extended(name)) {
            extended.push(name.clone());
        }
    }
    let short = Shortage { cpu, memory, ephemeral, extended, ..short };
    if short.is_none() { Ok(()) } else { Err(Rejection::Resources(short)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{node, pod};
    use serde_json::{Value, json};

    fn asks(requests: Value) -> Pod {
        pod(json!({"containers": [{"requests": requests}]}))
    }

    #[test]
    fn room() {
        let allocatable = json!({"cpu_milli": 1000, "memory_bytes": 100, "pods": 2,
            "extended": {"gpu": 1}});
        let mut node = node("n", json!({"allocatable": allocatable}));
        node.add_pod(asks(json!({"cpu_milli": 600, "memory_bytes": 200})));
        // More memory is asked of the node already than it has: only those who ask for memory mind.
        for (requests, short, hopeless) in [
            (json!({}), "", false),
            (json!({"cpu_milli": 400}), "", false),
            (json!({"cpu_milli": 401}), "Insufficient cpu", false),
            (json!({"cpu_milli": 1001}), "Insufficient cpu", true),
            (json!({"memory_bytes": 0}), "", false),
            (json!({"memory_bytes": 1}), "Insufficient memory", false),
            (json!({"extended": {"gpu": 1}}), "", false),
            (json!({"extended": {"gpu": 2, "nic": 0}}), "Insufficient gpu", true),
            (json!({"extended": {"nic": 1}}), "Insufficient nic", true),
            (json!({"ephemeral_bytes": 1}), "Insufficient ephemeral-storage", true),
        ] {
            let found = check(&asks(requests.clone()), &node, node.used());
            let said = found.as_ref().err().map_or(String::new(), |it| {
                it.reasons(&node, crate::kubernetes::profile::Release::V1_35).join("; ")
            });
            assert_eq!(said, short, "{requests}");
            let is_hopeless = matches!(&found, Err(Rejection::Resources(it)) if it.hopeless);
            assert_eq!(is_hopeless, hopeless, "{requests}");
        }
    }

    #[test]
    fn places_for_pods() {
        let mut node = node("n", json!({"allocatable": {"pods": 1}}));
        assert_eq!(check(&asks(json!({})), &node, node.used()), Ok(()));
        node.add_pod(asks(json!({})));
        let found = check(&asks(json!({})), &node, node.used());
        let short = Shortage { pods: true, ..Shortage::default() };
        assert_eq!(found, Err(Rejection::Resources(short)));
    }
}
