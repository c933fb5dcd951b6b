//! Which pods a term about other pods means.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/framework/types.go` (`AffinityTerm.Matches`) and
//! `plugins/interpodaffinity/plugin.go`. Namespaces are found in two ways, as there: for the terms of the pod
//! that is placed, the namespace selector is turned into names first, so that only known namespaces count
//! unless it selects everything; for the terms of running pods it is held against the labels of the new
//! pod's namespace, and a namespace that is not known has none.

use super::cluster::Cluster;
use super::labels::Labels;
use super::pod::{Pod, PodSpec, PodTerm};
use std::collections::{BTreeMap, BTreeSet};

/// Counts or weights by node label: key, then value.
pub type ByPlace<'a> = BTreeMap<(&'a str, &'a str), i64>;

/// A term of the pod that is placed, with its namespaces found.
#[derive(Debug, Clone)]
pub struct OwnTerm<'a> {
    /// The term.
    pub term: &'a PodTerm,
    /// `None` for all namespaces.
    namespaces: Option<BTreeSet<&'a str>>,
}

impl<'a> OwnTerm<'a> {
    /// Finds its namespaces. One pass over all namespaces if it selects them by label.
    pub fn new(term: &'a PodTerm, cluster: &'a Cluster) -> Self {
        let selected = || {
            let all = cluster.namespaces.iter();
            all.filter(|it| term.namespace_selector.matches(it.1)).map(|it| it.0.as_str())
        };
        let named = term.namespaces.iter().map(String::as_str);
        let some = !term.namespace_selector.is_empty();
        Self { term, namespaces: some.then(|| named.chain(selected()).collect()) }
    }

    /// Whether it means the pod.
    pub fn means(&self, pod: &PodSpec) -> bool {
        let here = self.namespaces.as_ref().is_none_or(|it| it.contains(pod.namespace.as_str()));
        here && self.term.selector.matches(&pod.labels)
    }
}

/// Whether there are terms, and all of them mean the pod.
pub fn all_mean(terms: &[OwnTerm<'_>], pod: &PodSpec) -> bool {
    !terms.is_empty() && terms.iter().all(|it| it.means(pod))
}

/// Whether a term of a running pod means the pod, whose namespace has these labels.
pub fn running_means(term: &PodTerm, pod: &Pod, namespace: &Labels) -> bool {
    let spec = pod.spec();
    let here =
        term.namespaces.contains(&spec.namespace) || term.namespace_selector.matches(namespace);
    here && term.selector.matches(&spec.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::labels::{Operator, Requirement, Selector};
    use crate::kubernetes::pod::{PodId, PodShape};
    use std::sync::Arc;

    #[test]
    fn namespaces() {
        let labels = |team: &str| Labels::from([("team".to_owned(), team.to_owned())]);
        let mut cluster = Cluster::default();
        cluster.namespaces.insert("one".to_owned(), labels("a"));
        cluster.namespaces.insert("two".to_owned(), labels("b"));
        let not_b =
            Requirement::new("team".to_owned(), Operator::NotIn, vec!["b".to_owned()]).unwrap();
        let everything = Selector::all_of(Vec::new());
        // Names, selector; then whether a pod in "one", "two", "new" (unknown) is meant.
        for (names, selector, own, running) in [
            (&["two"][..], Selector::NOTHING, [false, true, false], [false, true, false]),
            (&[], everything.clone(), [true; 3], [true; 3]),
            (&[], Selector::all_of(vec![not_b]), [true, false, false], [true, false, true]),
        ] {
            let term = PodTerm {
                topology_key: "zone".to_owned(),
                selector: everything.clone(),
                namespaces: names.iter().map(|&it| it.to_owned()).collect(),
                namespace_selector: selector,
            };
            for (at, namespace) in ["one", "two", "new"].into_iter().enumerate() {
                let spec = PodSpec { namespace: namespace.to_owned(), ..PodSpec::default() };
                let pod = Pod::new(PodId(0), Arc::new(PodShape::new(spec)));
                let own_means = OwnTerm::new(&term, &cluster).means(pod.spec());
                assert_eq!(own_means, own[at], "{term:?} {namespace}");
                let means = running_means(&term, &pod, cluster.namespace(namespace));
                assert_eq!(means, running[at], "{term:?} {namespace}");
            }
        }
    }
}
