//! Spread constraints of a pod, and what counts towards them.
//!
//! Source: Kubernetes v1.35, `plugins/podtopologyspread/common.go` and `plugins/helper/spread.go`.

use super::cluster::Cluster;
use super::labels::{InvalidSelector, Labels, Selector};
use super::node::Node;
use super::node_terms::allows;
use super::per_shape::PerShape;
use super::pod::{Inclusion, Pod, PodSpec, SpreadConstraint, Unsatisfiable};
use super::profile::Profile;
use super::taints::untolerated;
use std::borrow::Cow;

/// A constraint whose selector is known.
#[derive(Debug, Clone)]
pub struct Rule<'a> {
    /// The constraint.
    pub constraint: Cow<'a, SpreadConstraint>,
    /// Its pods; those of the pod's services if the constraint is a default.
    pub selector: Cow<'a, Selector>,
    /// The mark of a label that all of them have, if there is one: nodes without need no look.
    mark: Option<u64>,
}

/// The pod's constraints of one kind, in order; the profile's if it has none of any kind.
///
/// The profile's count only if some service selects the pod by at least one label.
///
/// # Errors
///
/// If a selector cannot be parsed.
pub fn rules<'a>(
    profile: &Profile,
    cluster: &Cluster,
    pod: &'a Pod,
    kind: Unsatisfiable,
) -> Result<Vec<Rule<'a>>, InvalidSelector> {
    let own = &pod.spec().topology_spread;
    if !own.is_empty() {
        let of_kind = own.iter().filter(|it| it.unsatisfiable == kind);
        return of_kind
            .map(|it| {
                let selector = it.selector.as_ref().map_err(Clone::clone)?;
                let (constraint, selector) = (Cow::Borrowed(it), Cow::Borrowed(selector));
                let mark = selector.mark();
                Ok(Rule { constraint, selector, mark })
            })
            .collect();
    }
    let labels = service_labels(cluster, pod);
    if labels.is_empty() {
        return Ok(Vec::new());
    }
    let selector = Selector::labels(&labels);
    let of_kind = profile.spread_defaults.constraints().into_iter();
    let mark = selector.mark();
    let rule = |it| {
        let (constraint, selector) = (Cow::Owned(it), Cow::Owned(selector.clone()));
        Rule { constraint, selector, mark }
    };
    Ok(of_kind.filter(|it| it.unsatisfiable == kind).map(rule).collect())
}

/// The labels of all services that select the pod, together.
fn service_labels(cluster: &Cluster, pod: &Pod) -> Labels {
    let spec = pod.spec();
    let here = cluster.services.iter().filter(|it| it.namespace == spec.namespace);
    let selectors = here.filter_map(|it| it.selector.as_ref());
    let has =
        |labels: &Labels| labels.iter().all(|(key, value)| spec.labels.get(key) == Some(value));
    selectors
        .filter(|it| has(it))
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Rule<'_> {
    /// The node's value of the label.
    pub fn value<'n>(&self, node: &'n Node) -> Option<&'n str> {
        node.labels.get(&self.constraint.topology_key).map(String::as_str)
    }

    /// Whether the pods of the node count, going by what the pod may use.
    pub fn includes(&self, node: &Node, pod: &Pod) -> bool {
        let spec = pod.spec();
        (self.constraint.node_affinity == Inclusion::Ignore
            || allows(&spec.node_selector, &spec.node_affinity, node))
            && (self.constraint.node_taints == Inclusion::Ignore
                || untolerated(&node.taints, &spec.tolerations).is_none())
    }

    /// Whether it counts such a pod for one of this namespace.
    pub fn means(&self, other: &PodSpec, namespace: &str) -> bool {
        self.constraint.within.counts(&other.namespace, namespace)
            && self.selector.matches(&other.labels)
    }

    /// How many pods of the node count for a pod of this namespace. Pods that are being deleted do not, and
    /// nothing does for a selector that requires nothing. `seen` is this rule's own.
    pub fn count(&self, node: &Node, namespace: &str, seen: &mut PerShape<bool>) -> i64 {
        if self.selector.is_empty() || self.mark.is_some_and(|it| !node.may_have(it)) {
            return 0;
        }
        let is_meant = |it: &PodSpec| self.means(it, namespace);
        let counts = |it: &&Pod| !it.terminating && *seen.ask(it, is_meant);
        node.pods().iter().filter(counts).count() as i64
    }
}

/// Whether the node has the labels of all rules.
pub fn has_all_labels(rules: &[Rule<'_>], node: &Node) -> bool {
    rules.iter().all(|it| it.value(node).is_some())
}
