//! Node selector and required node affinity. Source: v1.35, `plugins/nodeaffinity`.

use crate::kubernetes::explain::Rejection;
use crate::kubernetes::node::Node;
use crate::kubernetes::node_terms::allows;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::Profile;

/// The names of the only nodes in question, sorted; `None` for all.
///
/// # Errors
///
/// If there can be none.
pub fn names(pod: &Pod) -> Result<Option<Vec<&str>>, Rejection> {
    match pod.spec().node_affinity.names() {
        Some(names) if names.is_empty() => Err(Rejection::ContradictoryNames),
        names => Ok(names),
    }
}

/// # Errors
///
/// If the node does not meet the affinity that the profile adds, or the pod's own.
pub fn check(profile: &Profile, pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if !profile.added_affinity.allows(node) {
        return Err(Rejection::AddedAffinity);
    }
    let spec = pod.spec();
    if allows(&spec.node_selector, &spec.node_affinity, node) {
        Ok(())
    } else {
        Err(Rejection::NodeAffinity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{node, pod};
    use serde_json::json;

    #[test]
    fn selector_and_terms_must_both_hold() {
        let term = json!([{"matchExpressions": [{"key": "b", "operator": "Exists"}]}]);
        let pod = pod(json!({"node_selector": {"a": "1"}, "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": term}}}}));
        for (labels, passes) in [
            (json!({"a": "1", "b": ""}), true),
            (json!({"a": "1"}), false),
            (json!({"a": "2", "b": ""}), false),
        ] {
            let node = node("n", json!({"labels": labels}));
            assert_eq!(check(&Profile::default(), &pod, &node).is_ok(), passes, "{node:?}");
        }
    }

    #[test]
    fn a_contradiction_is_seen_before_any_node() {
        let name = |name: &str| json!({"key": "metadata.name", "operator": "In", "values": [name]});
        let pod = pod(json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchFields": [name("a"), name("b")]}]}}}}));
        assert_eq!(names(&pod), Err(Rejection::ContradictoryNames));
    }
}
