//! Fewer pods like this one in the same place. Source: v1.35, `plugins/podtopologyspread/scoring.go`.

use super::{Choice, Column, Normalise};
use crate::kubernetes::labels::InvalidSelector;
use crate::kubernetes::natural_log::ln;
use crate::kubernetes::node::Node;
use crate::kubernetes::node_tree::HOSTNAME;
use crate::kubernetes::per_shape::PerShape;
use crate::kubernetes::pod::Unsatisfiable;
use crate::kubernetes::profile::{Release, SpreadDefaults};
use crate::kubernetes::spread::{Rule, has_all_labels, rules};
use std::collections::BTreeMap;

struct Spread<'a> {
    rule: Rule<'a>,
    /// Pods by value, of the values that some candidate has; empty for host names, which are counted node by
    /// node.
    counts: BTreeMap<&'a str, i64>,
    /// How much one pod weighs: more if there are many places.
    weight: f64,
    /// Which shapes count.
    seen: PerShape<bool>,
}

impl Spread<'_> {
    fn is_by_host(&self) -> bool {
        self.rule.constraint.topology_key == HOSTNAME
    }
}

/// The pods of each constraint in the node's place, weighted, summed in the order of constraints, and rounded
/// half away from zero; v1.23 truncates. Skipped without constraints.
///
/// # Errors
///
/// If a selector of the pod cannot be parsed.
pub fn column(choice: Choice<'_>) -> Result<Option<Column>, InvalidSelector> {
    let (pod, profile) = (choice.pod, choice.profile);
    let rules = rules(profile, choice.cluster, pod, Unsatisfiable::ScheduleAnyway)?;
    if rules.is_empty() {
        return Ok(None);
    }
    // Nodes need not have the labels of the system's defaults.
    let needs_all =
        !pod.spec().topology_spread.is_empty() || profile.spread_defaults != SpreadDefaults::System;
    let ignored: Vec<bool> =
        choice.nodes().map(|it| needs_all && !has_all_labels(&rules, it)).collect();
    let mut spreads = spreads(choice, rules, &ignored, needs_all);
    let value = |(node, &ignored): (&Node, &bool)| {
        if ignored {
            return 0;
        }
        let terms = spreads.iter_mut().map(|it| term(it, node, &pod.spec().namespace));
        let sum = terms.fold(0.0, |sum, it| sum + it);
        match profile.release {
            Release::V1_23 => sum as i64,
            Release::V1_35 => sum.round() as i64,
        }
    };
    let values = choice.nodes().zip(&ignored).map(value).collect();
    Ok(Some(Column { values, normalise: Normalise::Mirror { ignored } }))
}

fn term(spread: &mut Spread<'_>, node: &Node, namespace: &str) -> f64 {
    let Some(value) = spread.rule.value(node) else { return 0.0 };
    let count = if spread.is_by_host() {
        spread.rule.count(node, namespace, &mut spread.seen)
    } else {
        spread.counts.get(value).copied().unwrap_or(0)
    };
    count as f64 * spread.weight + (spread.rule.constraint.max_skew - 1) as f64
}

fn spreads<'a>(
    choice: Choice<'a>,
    rules: Vec<Rule<'a>>,
    ignored: &[bool],
    needs_all: bool,
) -> Vec<Spread<'a>> {
    let counted = || choice.nodes().zip(ignored).filter(|it| !it.1).map(|it| it.0);
    let mut spreads: Vec<Spread<'a>> = rules
        .into_iter()
        .map(|rule| {
            let mut spread =
                Spread { rule, counts: BTreeMap::new(), weight: 0.0, seen: PerShape::default() };
            let places = if spread.is_by_host() {
                counted().count()
            } else {
                let key = &spread.rule.constraint.topology_key;
                // A label that is missing is a place of its own.
                let value = |it: &'a Node| it.labels.get(key).map_or("", String::as_str);
                spread.counts = counted().map(|it| (value(it), 0)).collect();
                spread.counts.len()
            };
            spread.weight = ln(places as u32 + 2);
            spread
        })
        .collect();
    let namespace = &choice.pod.spec().namespace;
    for (_, node) in choice.cluster.nodes() {
        if needs_all && !spreads.iter().all(|it| it.rule.value(node).is_some()) {
            continue;
        }
        for spread in spreads.iter_mut().filter(|it| !it.is_by_host()) {
            let value = spread.rule.value(node).unwrap_or("");
            if spread.rule.includes(node, choice.pod)
                && let Some(count) = spread.counts.get_mut(value)
            {
                *count += spread.rule.count(node, namespace, &mut spread.seen);
            }
        }
    }
    spreads
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::profile::Profile;
    use serde_json::{Value, json};

    fn raw(pod_value: Value, nodes: Value, release: Release) -> Option<(Vec<i64>, Vec<bool>)> {
        let (cluster, pod) = (cluster(nodes), pod(pod_value));
        let profile = Profile { release, ..Profile::default() };
        let rows: Vec<usize> = cluster.walk().to_vec();
        let choice = Choice { profile: &profile, cluster: &cluster, pod: &pod, rows: &rows };
        let column = column(choice).unwrap()?;
        let Normalise::Mirror { ignored } = column.normalise else { panic!() };
        Some((column.values, ignored))
    }

    #[test]
    fn rounds_and_ignores() {
        let a = json!({"labels": {"app": "a"}});
        let nodes = json!([
            {"name": "x", "labels": {"zone": "x"}, "tasks": [a]},
            {"name": "y", "labels": {"zone": "y"}, "tasks": [a, a]},
            {"name": "n"},
        ]);
        let constraint = json!({"maxSkew": 3, "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "a"}}});
        let pod = json!({"labels": {"app": "a"}, "topology_spread": [constraint]});
        // Two places: ln 4 = 1.386 a pod, and 2 for the skew.
        let found = raw(pod.clone(), nodes.clone(), Release::V1_35);
        assert_eq!(found, Some((vec![3, 5, 0], vec![false, false, true])));
        let found = raw(pod, nodes.clone(), Release::V1_23);
        assert_eq!(found, Some((vec![3, 4, 0], vec![false, false, true])));
        assert_eq!(raw(json!({"labels": {"app": "a"}}), nodes, Release::V1_35), None);
    }
}
