//! Taints that keep pods away. Source: v1.35, `plugins/tainttoleration`.

use crate::kubernetes::explain::Rejection;
use crate::kubernetes::node::Node;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::taints::untolerated;

/// # Errors
///
/// If the node has a taint of effect `NoSchedule` or `NoExecute` that the pod does not tolerate.
pub fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    untolerated(&node.taints, &pod.spec().tolerations)
        .map_or(Ok(()), |it| Err(Rejection::Taint(it)))
}
