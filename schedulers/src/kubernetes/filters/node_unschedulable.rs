//! Cordoned nodes. Source: v1.35, `plugins/nodeunschedulable`.

use crate::kubernetes::explain::Rejection;
use crate::kubernetes::node::Node;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::taints::{Effect, Taint};

/// The taint that stands for being cordoned.
const KEY: &str = "node.kubernetes.io/unschedulable";

/// A cordoned node takes only pods that tolerate being there.
///
/// # Errors
///
/// If it is cordoned and the pod does not.
pub fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if !node.unschedulable {
        return Ok(());
    }
    let taint = Taint { key: KEY.to_owned(), value: String::new(), effect: Effect::NoSchedule };
    let tolerated = pod.spec().tolerations.iter().any(|it| it.tolerates(&taint));
    if tolerated { Ok(()) } else { Err(Rejection::Cordoned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{node, pod};
    use serde_json::json;

    #[test]
    fn cordoned() {
        let open = Node::named("n");
        let cordoned = node("n", json!({"unschedulable": true}));
        let plain = pod(json!({}));
        let tolerant = pod(json!({"tolerations": [{"key": KEY, "operator": "Exists"}]}));
        let other = pod(json!({"tolerations": [{"key": "x", "operator": "Exists"}]}));
        for (pod, node, passes) in [
            (&plain, &open, true),
            (&plain, &cordoned, false),
            (&tolerant, &cordoned, true),
            (&other, &cordoned, false),
        ] {
            assert_eq!(check(pod, node).is_ok(), passes, "{pod:?} {node:?}");
        }
    }
}
