//! Spread constraints that forbid. Source: v1.35, `plugins/podtopologyspread/filtering.go`.

use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::explain::Rejection;
use crate::kubernetes::labels::InvalidSelector;
use crate::kubernetes::node::Node;
use crate::kubernetes::per_shape::PerShape;
use crate::kubernetes::pod::{Pod, Unsatisfiable};
use crate::kubernetes::profile::Profile;
use crate::kubernetes::spread::{Rule, has_all_labels, rules};
use std::collections::BTreeMap;

/// How many pods there are per value of each constraint's label.
#[derive(Debug, Clone)]
pub struct Skew<'a> {
    pod: &'a Pod,
    spreads: Vec<Spread<'a>>,
}

#[derive(Debug, Clone)]
struct Spread<'a> {
    rule: Rule<'a>,
    counts: BTreeMap<&'a str, i64>,
    /// The fewest pods of any value, 0 if there are fewer values than there must be.
    fewest: i64,
}

impl Spread<'_> {
    fn refresh(&mut self) {
        let enough = self.counts.len() >= self.rule.constraint.min_domains.max(1);
        let fewest = self.counts.values().copied().min();
        self.fewest = fewest.filter(|_| enough).unwrap_or(0);
    }
}

impl<'a> Skew<'a> {
    /// Counts; `None` if the pod has no constraint that forbids.
    ///
    /// # Errors
    ///
    /// If a selector cannot be parsed.
    pub fn new(
        profile: &Profile,
        cluster: &'a Cluster,
        pod: &'a Pod,
    ) -> Result<Option<Self>, InvalidSelector> {
        let rules = rules(profile, cluster, pod, Unsatisfiable::DoNotSchedule)?;
        if rules.is_empty() {
            return Ok(None);
        }
        let mut counts = vec![BTreeMap::new(); rules.len()];
        let mut seen: Vec<PerShape<bool>> = rules.iter().map(|_| PerShape::default()).collect();
        let namespace = &pod.spec().namespace;
        for (_, node) in cluster.nodes().filter(|(_, it)| has_all_labels(&rules, it)) {
            for ((rule, counts), seen) in rules.iter().zip(&mut counts).zip(&mut seen) {
                if let Some(value) = rule.value(node)
                    && rule.includes(node, pod)
                {
                    *counts.entry(value).or_default() += rule.count(node, namespace, seen);
                }
            }
        }
        let spreads = rules.into_iter().zip(counts).map(|(rule, counts)| {
            let mut spread = Spread { rule, counts, fewest: 0 };
            spread.refresh();
            spread
        });
        Ok(Some(Self { pod, spreads: spreads.collect() }))
    }

    /// # Errors
    ///
    /// If the node lacks a label, or its value would be too far ahead with the pod.
    pub fn check(&self, node: &Node) -> Result<(), Rejection> {
        for Spread { rule, counts, fewest } in &self.spreads {
            let value = rule.value(node).ok_or(Rejection::SpreadLabel)?;
            let spec = self.pod.spec();
            let own = i64::from(rule.means(spec, &spec.namespace));
            let there = counts.get(value).copied().unwrap_or(0);
            if there + own - fewest > rule.constraint.max_skew {
                return Err(Rejection::Spread);
            }
        }
        Ok(())
    }

    /// Takes a pod of the node as gone (`by` -1) or as there (`by` 1). Unlike in the first count it does not
    /// matter whether it is being deleted.
    pub fn shift(&mut self, node: &'a Node, other: &Pod, by: i64) {
        if !self.spreads.iter().all(|it| it.rule.value(node).is_some()) {
            return;
        }
        for spread in &mut self.spreads {
            if spread.rule.means(other.spec(), &self.pod.spec().namespace)
                && spread.rule.includes(node, self.pod)
                && let Some(value) = spread.rule.value(node)
            {
                *spread.counts.entry(value).or_default() += by;
                spread.refresh();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use serde_json::{Value, json};

    fn spread(max_skew: u32, more: Value) -> Pod {
        let mut constraint = json!({"maxSkew": max_skew, "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "a"}}});
        for (key, value) in more.as_object().unwrap() {
            constraint[key] = value.clone();
        }
        pod(json!({"labels": {"app": "a", "rev": "1"}, "topology_spread": [constraint]}))
    }

    /// Zones with 2, 1 and 0 pods; the last one has a taint, and one node has no zone.
    fn zones() -> Cluster {
        let a = |rev: &str| json!({"labels": {"app": "a", "rev": rev}});
        let taint = json!([{"key": "t", "effect": "NoSchedule"}]);
        cluster(json!([
            {"name": "x", "labels": {"zone": "x"}, "tasks": [a("1"), a("2")]},
            {"name": "y", "labels": {"zone": "y"}, "tasks": [a("1"), {"labels": {"app": "b"}}]},
            {"name": "z", "labels": {"zone": "z"}, "taints": taint},
            {"name": "none"},
        ]))
    }

    fn passes(pod: &Pod) -> String {
        let cluster = zones();
        let profile = Profile::default();
        let skew = Skew::new(&profile, &cluster, pod).unwrap().unwrap();
        let ok = |it: &Node| match skew.check(it) {
            Ok(()) => '+',
            Err(Rejection::SpreadLabel) => '?',
            Err(_) => '-',
        };
        cluster.nodes().map(|(_, it)| ok(it)).collect()
    }

    #[test]
    fn values_must_not_get_too_far_ahead() {
        for (max_skew, more, found) in [
            (1, json!({}), "--+?"),
            (2, json!({}), "-++?"),
            (3, json!({}), "+++?"),
            (1, json!({"nodeTaintsPolicy": "Honor"}), "-++?"),
            (1, json!({"nodeTaintsPolicy": "Honor", "minDomains": 3}), "--+?"),
            (1, json!({"matchLabelKeys": ["rev"]}), "--+?"),
            (2, json!({"matchLabelKeys": ["rev", "missing"]}), "+++?"),
            (1, json!({"labelSelector": {}}), "+++?"),
        ] {
            assert_eq!(passes(&spread(max_skew, more.clone())), found, "{max_skew} {more}");
        }
    }

    #[test]
    fn a_pod_taken_as_gone_counts_no_more() {
        let (cluster, profile, pod) = (zones(), Profile::default(), spread(2, json!({})));
        let mut skew = Skew::new(&profile, &cluster, &pod).unwrap().unwrap();
        let node = cluster.node(0);
        assert!(skew.check(node).is_err());
        skew.shift(node, &node.pods()[0], -1);
        assert!(skew.check(node).is_ok());
        skew.shift(node, &node.pods()[0], 1);
        assert!(skew.check(node).is_err());
    }
}
