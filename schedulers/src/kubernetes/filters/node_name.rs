//! The one node that a pod names. Source: v1.35, `plugins/nodename`.

use crate::kubernetes::explain::Rejection;
use crate::kubernetes::node::Node;
use crate::kubernetes::pod::Pod;

/// # Errors
///
/// If the pod names another node.
pub fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    let will_do = pod.spec().node_name.as_ref().is_none_or(|it| *it == node.name);
    if will_do { Ok(()) } else { Err(Rejection::OtherNodeNamed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::pod;
    use serde_json::json;

    #[test]
    fn named() {
        for (named, passes) in [(None, true), (Some("a"), true), (Some("b"), false)] {
            let pod = pod(json!({"node_name": named}));
            assert_eq!(check(&pod, &Node::named("a")).is_ok(), passes, "{named:?}");
        }
    }
}
