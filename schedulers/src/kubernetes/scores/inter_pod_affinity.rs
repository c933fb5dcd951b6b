//! Preferred affinity between pods, both ways. Source: v1.35, `plugins/interpodaffinity/scoring.go`.

use super::{Choice, Column, Normalise};
use crate::kubernetes::labels::InvalidSelector;
use crate::kubernetes::near::{ByPlace, OwnTerm, running_means};
use crate::kubernetes::node::Node;
use crate::kubernetes::per_shape::PerShape;
use crate::kubernetes::pod::{PodSpec, PodTerm, PodTerms};

/// For each place, the weights of the pod's preferences that a pod there meets, and of the preferences and
/// requirements of pods there that this one meets; anti-affinity counts below zero. A node has the sum over
/// the places it is in. Skipped if no weight fell anywhere.
///
/// # Errors
///
/// If a term of the pod cannot be parsed.
pub fn column<'a>(choice: Choice<'a>) -> Result<Option<Column>, InvalidSelector> {
    let (pod, cluster, profile) = (choice.pod, choice.cluster, choice.profile);
    let spec = pod.spec();
    let is_empty = |it: &PodTerms| it.preferred.as_ref().is_ok_and(Vec::is_empty);
    let prefers = !is_empty(&spec.affinity) || !is_empty(&spec.anti_affinity);
    if profile.ignore_preferences_of_running_pods && !prefers {
        return Ok(None);
    }
    pod.shape.check_pod_terms()?;
    let own = |(weight, term), sign: i64| (OwnTerm::new(term, cluster), sign * weight);
    let wanted = spec.affinity.preferred().iter().map(|it| own((it.0, &it.1), 1));
    let shunned = spec.anti_affinity.preferred().iter().map(|it| own((it.0, &it.1), -1));
    let own: Vec<(OwnTerm<'a>, i64)> = wanted.chain(shunned).collect();
    let namespace = cluster.namespace(&spec.namespace);

    // What a pod adds where it is.
    let hard = profile.hard_pod_affinity_weight;
    let said = |theirs: &'a PodSpec| -> Vec<(&'a PodTerm, i64)> {
        let required = theirs.affinity.required().iter().filter(|_| hard > 0);
        let preferred = theirs.affinity.preferred().iter().map(|it| (&it.1, it.0));
        let shunned = theirs.anti_affinity.preferred().iter().map(|it| (&it.1, -it.0));
        let terms = required.map(|it| (it, hard)).chain(preferred).chain(shunned);
        let of_them = terms.filter(|(it, _)| running_means(it, pod, namespace));
        let of_pod = own.iter().filter(|(it, _)| it.means(theirs));
        of_pod.map(|(it, weight)| (it.term, *weight)).chain(of_them).collect()
    };
    let (mut places, mut seen) = (ByPlace::new(), PerShape::default());
    for (_, node) in cluster.nodes().filter(|(_, it)| prefers || it.has_affinity()) {
        for other in node.pods() {
            for (term, weight) in seen.ask(other, said) {
                add(&mut places, node, term, *weight);
            }
        }
    }
    if places.is_empty() {
        return Ok(None);
    }
    let value = |node: &Node| {
        let places_of = node.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        places_of.filter_map(|it| places.get(&it)).sum()
    };
    let values = choice.nodes().map(value).collect();
    Ok(Some(Column { values, normalise: Normalise::Between }))
}

/// A place stays even if its weights come to nothing.
fn add<'a>(places: &mut ByPlace<'a>, node: &'a Node, term: &'a PodTerm, weight: i64) {
    if let Some(value) = node.labels.get(&term.topology_key) {
        *places.entry((&term.topology_key, value)).or_default() += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::profile::Profile;
    use serde_json::{Value, json};

    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

    fn to(app: &str) -> Value {
        json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "zone"})
    }

    fn prefers(kind: &str, own: &str, app: &str, weight: i64) -> Value {
        let term = json!([{"weight": weight, "podAffinityTerm": to(app)}]);
        json!({"labels": {"app": own}, "affinity": {kind: {PREFERRED: term}}})
    }

    fn raw(profile: &Profile, pod_value: Value) -> Option<Vec<i64>> {
        let requires = json!({"labels": {"app": "r"},
            "affinity": {"podAffinity": {REQUIRED: [to("x")]}}});
        let cluster = cluster(json!([
            {"name": "a", "labels": {"zone": "a"}, "tasks": [{"labels": {"app": "a"}}]},
            {"name": "b", "labels": {"zone": "b"},
                "tasks": [prefers("podAntiAffinity", "b", "x", 7), requires]},
            {"name": "c", "tasks": [prefers("podAffinity", "b", "x", 9)]},
        ]));
        let pod = pod(pod_value);
        let choice = Choice { profile, cluster: &cluster, pod: &pod, rows: &[0, 1, 2] };
        column(choice).unwrap().map(|it| it.values)
    }

    #[test]
    fn both_ways() {
        let mut profile = Profile::default();
        let likes = |own| prefers("podAffinity", own, "a", 5);
        assert_eq!(raw(&profile, likes("y")), Some(vec![5, 0, 0]));
        assert_eq!(raw(&profile, likes("x")), Some(vec![5, 1 - 7, 0]));
        assert_eq!(raw(&profile, json!({"labels": {"app": "x"}})), Some(vec![0, -6, 0]));
        assert_eq!(raw(&profile, json!({"labels": {"app": "y"}})), None);
        profile.hard_pod_affinity_weight = 7;
        // Seven for, seven against: nothing is left, but something was said.
        assert_eq!(raw(&profile, json!({"labels": {"app": "x"}})), Some(vec![0, 0, 0]));
        profile.ignore_preferences_of_running_pods = true;
        assert_eq!(raw(&profile, json!({"labels": {"app": "x"}})), None);
    }
}
