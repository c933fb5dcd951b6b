//! Required affinity and anti-affinity between pods. Source: v1.35, `plugins/interpodaffinity/filtering.go`.

use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::explain::Rejection;
use crate::kubernetes::labels::Labels;
use crate::kubernetes::near::{ByPlace, OwnTerm, all_mean, running_means};
use crate::kubernetes::node::Node;
use crate::kubernetes::per_shape::PerShape;
use crate::kubernetes::pod::{Pod, PodSpec, PodTerm};

/// What is where, as far as it matters to the pod.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    pod: &'a Pod,
    namespace: &'a Labels,
    affinity: Vec<OwnTerm<'a>>,
    anti_affinity: Vec<OwnTerm<'a>>,
    /// Pods that all affinity terms of the pod mean, once for each term.
    wanted: ByPlace<'a>,
    /// Pods that an anti-affinity term of the pod means.
    shunned: ByPlace<'a>,
    /// Terms of running pods that keep the pod away.
    shunning: ByPlace<'a>,
}

fn count<'a>(places: &mut ByPlace<'a>, node: &'a Node, term: &'a PodTerm, by: i64) {
    let Some(value) = node.labels.get(&term.topology_key) else { return };
    let place = (term.topology_key.as_str(), value.as_str());
    let count = places.entry(place).or_default();
    *count += by;
    if *count == 0 {
        places.remove(&place);
    }
}

impl<'a> Surroundings<'a> {
    /// Looks around; `None` if nothing can reject a node.
    ///
    /// # Errors
    ///
    /// If a term of the pod cannot be parsed, which rejects all nodes.
    pub fn new(cluster: &'a Cluster, pod: &'a Pod) -> Result<Option<Self>, Rejection> {
        pod.shape.check_pod_terms().map_err(Rejection::Terms)?;
        let spec = pod.spec();
        let own = |terms: &'a [PodTerm]| -> Vec<OwnTerm<'a>> {
            terms.iter().map(|it| OwnTerm::new(it, cluster)).collect()
        };
        let mut found = Self {
            pod,
            namespace: cluster.namespace(&spec.namespace),
            affinity: own(spec.affinity.required()),
            anti_affinity: own(spec.anti_affinity.required()),
            wanted: ByPlace::new(),
            shunned: ByPlace::new(),
            shunning: ByPlace::new(),
        };
        let minds = !found.affinity.is_empty() || !found.anti_affinity.is_empty();
        let mut seen = PerShape::default();
        for (_, node) in cluster.nodes() {
            if minds || node.has_required_anti_affinity() {
                for other in node.pods() {
                    if *seen.ask(other, |it| found.is_concerned_by(it)) {
                        found.shift(node, other, 1);
                    }
                }
            }
        }
        Ok((minds || !found.shunning.is_empty()).then_some(found))
    }

    /// Whether a pod changes anything where it is.
    fn is_concerned_by(&self, other: &PodSpec) -> bool {
        let mut theirs = other.anti_affinity.required().iter();
        theirs.any(|it| running_means(it, self.pod, self.namespace))
            || all_mean(&self.affinity, other)
            || self.anti_affinity.iter().any(|it| it.means(other))
    }

    /// Takes a pod of the node as there (`by` 1) or as gone (`by` -1).
    pub fn shift(&mut self, node: &'a Node, other: &'a Pod, by: i64) {
        for term in other.spec().anti_affinity.required() {
            if running_means(term, self.pod, self.namespace) {
                count(&mut self.shunning, node, term, by);
            }
        }
        if all_mean(&self.affinity, other.spec()) {
            for own in &self.affinity {
                count(&mut self.wanted, node, own.term, by);
            }
        }
        for own in self.anti_affinity.iter().filter(|it| it.means(other.spec())) {
            count(&mut self.shunned, node, own.term, by);
        }
    }

    /// # Errors
    ///
    /// If wanted pods are not near, shunned ones are, or near pods shun this one: looked at in this order.
    pub fn check(&self, node: &Node) -> Result<(), Rejection> {
        if !self.is_near_wanted(node) {
            return Err(Rejection::Affinity);
        }
        let is_there = |places: &ByPlace<'_>, key: &str, value: &str| {
            places.get(&(key, value)).is_some_and(|it| *it > 0)
        };
        let keys = self.anti_affinity.iter().map(|it| &it.term.topology_key);
        let mut places = keys.filter_map(|it| node.labels.get_key_value(it));
        if places.any(|(key, value)| is_there(&self.shunned, key, value)) {
            return Err(Rejection::AntiAffinity);
        }
        if !self.shunning.is_empty()
            && node.labels.iter().any(|(key, value)| is_there(&self.shunning, key, value))
        {
            return Err(Rejection::RunningAntiAffinity);
        }
        Ok(())
    }

    fn is_near_wanted(&self, node: &Node) -> bool {
        let mut near = true;
        for own in &self.affinity {
            let key = own.term.topology_key.as_str();
            let Some(value) = node.labels.get(key) else { return false };
            near &= self.wanted.get(&(key, value.as_str())).is_some_and(|it| *it > 0);
        }
        // The first of a series that wants to be near itself may go anywhere.
        near || (self.wanted.is_empty() && all_mean(&self.affinity, self.pod.spec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use serde_json::{Value, json};

    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

    fn to(app: &str, key: &str) -> Value {
        json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
    }

    fn with(kind: &str, app: &str, terms: Value) -> Value {
        json!({"labels": {"app": app}, "affinity": {kind: {REQUIRED: terms}}})
    }

    fn found(pod: &Pod, nodes: Value) -> Vec<Option<Rejection>> {
        let cluster = cluster(nodes);
        let around = Surroundings::new(&cluster, pod).unwrap();
        let check = |node| around.as_ref().map_or(Ok(()), |it| it.check(node));
        cluster.nodes().map(|(_, it)| check(it).err()).collect()
    }

    #[test]
    fn affinity() {
        let nodes = json!([
            {"name": "x", "labels": {"zone": "x", "host": "1"}, "tasks": [{"labels": {"app": "a"}}]},
            {"name": "y", "labels": {"zone": "x", "host": "2"}},
            {"name": "z", "labels": {"zone": "z"}},
        ]);
        let no = Some(Rejection::Affinity);
        let near = pod(with("podAffinity", "b", json!([to("a", "zone")])));
        assert_eq!(found(&near, nodes.clone()), [None, None, no.clone()]);
        // All terms must mean the same pod, and every label must be there.
        let both = pod(with("podAffinity", "b", json!([to("a", "zone"), to("a", "host")])));
        assert_eq!(found(&both, nodes.clone()), [None, no.clone(), no.clone()]);
        let two = pod(with("podAffinity", "b", json!([to("a", "zone"), to("b", "zone")])));
        assert_eq!(found(&two, nodes.clone()), [no.clone(), no.clone(), no.clone()]);
        // The first of its kind.
        let first = pod(with("podAffinity", "b", json!([to("b", "host")])));
        assert_eq!(found(&first, nodes.clone()), [None, None, no]);
    }

    #[test]
    fn anti_affinity_both_ways() {
        let nodes = json!([
            {"name": "x", "labels": {"zone": "x"}, "tasks": [{"labels": {"app": "a"}}]},
            {"name": "y", "labels": {"zone": "y"}, "tasks":
                [with("podAntiAffinity", "b", json!([to("c", "zone")]))]},
        ]);
        let shuns = pod(with("podAntiAffinity", "c", json!([to("a", "zone")])));
        let expected = [Some(Rejection::AntiAffinity), Some(Rejection::RunningAntiAffinity)];
        assert_eq!(found(&shuns, nodes.clone()), expected);
        assert_eq!(found(&pod(json!({"labels": {"app": "d"}})), nodes), [None, None]);
    }
}
