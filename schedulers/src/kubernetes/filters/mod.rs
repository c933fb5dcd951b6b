//! Which nodes a pod can have. One file a plugin.
//!
//! What a filter needs to know of the whole cluster is worked out once a pod, in [`Prepared::new`] (the
//! plugins' `PreFilter`); then nodes are asked one by one. For preemption and nominated pods the prepared
//! state can be changed pod by pod, as by the plugins' `AddPod` and `RemovePod`.

pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_resources_fit;
pub mod node_unschedulable;
pub mod pod_topology_spread;
pub mod taint_toleration;

use super::cluster::Cluster;
use super::explain::Rejection;
use super::labels::InvalidSelector;
use super::node::{Node, Used};
use super::pod::Pod;
use super::profile::{Filter, Profile};
use inter_pod_affinity::Surroundings;
use pod_topology_spread::Skew;

/// Why no node has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// All nodes are out for this reason.
    Rejected(Rejection),
    /// The attempt fails: a spread constraint of the pod cannot be parsed.
    Error(InvalidSelector),
}

/// What the filters know before they look at a node.
#[derive(Debug, Clone)]
pub struct Prepared<'a> {
    profile: &'a Profile,
    pod: &'a Pod,
    names: Option<Vec<&'a str>>,
    skew: Option<Skew<'a>>,
    surroundings: Option<Surroundings<'a>>,
}

impl<'a> Prepared<'a> {
    /// Looks at all nodes, as far as the pod makes it necessary.
    ///
    /// # Errors
    ///
    /// If that settles it for all nodes.
    pub fn new(profile: &'a Profile, cluster: &'a Cluster, pod: &'a Pod) -> Result<Self, Refused> {
        let mut prepared = Self { profile, pod, names: None, skew: None, surroundings: None };
        for filter in &profile.filters {
            match filter {
                Filter::NodeAffinity => {
                    prepared.names = node_affinity::names(pod).map_err(Refused::Rejected)?;
                }
                Filter::PodTopologySpread => {
                    prepared.skew = Skew::new(profile, cluster, pod).map_err(Refused::Error)?;
                }
                Filter::InterPodAffinity => {
                    let found = Surroundings::new(cluster, pod);
                    prepared.surroundings = found.map_err(Refused::Rejected)?;
                }
                _ => {}
            }
        }
        Ok(prepared)
    }

    /// Whether the pod's node affinity leaves the node in question, going by its name alone. Nodes that it
    /// does not are never looked at.
    pub fn is_named(&self, node: &Node) -> bool {
        self.names.as_ref().is_none_or(|it| it.binary_search(&node.name.as_str()).is_ok())
    }

    /// Whether it leaves all of them, because it names none.
    pub fn names_all(&self) -> bool {
        self.names.is_none()
    }

    /// Asks the filters in order, up to the first that rejects the node. `used` is what its pods take, which
    /// may differ from [`Node::used`] in a dry run.
    ///
    /// # Errors
    ///
    /// Why it was rejected.
    pub fn check(&self, node: &Node, used: &Used) -> Result<(), Rejection> {
        if !self.is_named(node) {
            return Err(Rejection::NotAmongNames);
        }
        self.profile.filters.iter().try_for_each(|filter| self.ask(*filter, node, used))
    }

    fn ask(&self, filter: Filter, node: &Node, used: &Used) -> Result<(), Rejection> {
        match filter {
            Filter::NodeUnschedulable => node_unschedulable::check(self.pod, node),
            Filter::NodeName => node_name::check(self.pod, node),
            Filter::TaintToleration => taint_toleration::check(self.pod, node),
            Filter::NodeAffinity => node_affinity::check(self.profile, self.pod, node),
            Filter::NodePorts => node_ports::check(self.pod, used),
            Filter::NodeResourcesFit => node_resources_fit::check(self.pod, node, used),
            Filter::PodTopologySpread => self.skew.as_ref().map_or(Ok(()), |it| it.check(node)),
            Filter::InterPodAffinity => {
                self.surroundings.as_ref().map_or(Ok(()), |it| it.check(node))
            }
        }
    }

    /// Takes a pod of the node as gone (`by` -1) or as there (`by` 1).
    pub fn shift(&mut self, node: &'a Node, other: &'a Pod, by: i64) {
        if let Some(skew) = &mut self.skew {
            skew.shift(node, other, by);
        }
        if let Some(surroundings) = &mut self.surroundings {
            surroundings.shift(node, other, by);
        }
    }
}

/// Asks the filters about a node to which pods of at least the same priority may have been promised.
///
/// If there are any, the pod must pass with them there and without: they may come or not. Source: v1.35,
/// `RunFilterPluginsWithNominatedPods`.
///
/// # Errors
///
/// Why it was rejected.
pub fn check_with_nominated<'a>(
    prepared: &Prepared<'a>,
    cluster: &'a Cluster,
    row: usize,
    node: &'a Node,
    used: &Used,
) -> Result<(), Rejection> {
    let pod = prepared.pod;
    let mut promised = cluster
        .nominated
        .iter()
        .filter(|(at, it)| *at == row && it.priority >= pod.priority && it.id != pod.id);
    if let Some((_, first)) = promised.next() {
        let (mut with, mut used) = (prepared.clone(), used.clone());
        for other in std::iter::once(first).chain(promised.map(|it| &it.1)) {
            with.shift(node, other, 1);
            used.add(other);
        }
        with.check(node, &used)?;
    }
    prepared.check(node, used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::pod::PodId;
    use serde_json::{Value, json};

    /// A small generator (Knuth's MMIX constants), so that a seed says all.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }

        fn word(&mut self, words: &[&str]) -> String {
            words[self.below(words.len() as u64) as usize].to_owned()
        }

        fn pod(&mut self) -> Value {
            let mut pod = json!({"labels": {"app": self.word(&["a", "b"])},
                "containers": [{"requests": {"cpu_milli": self.below(400)}}]});
            for kind in ["podAffinity", "podAntiAffinity"] {
                if self.below(3) == 0 {
                    let selector = json!({"matchLabels": {"app": self.word(&["a", "b"])}});
                    let key = self.word(&["zone", "host"]);
                    pod["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"] =
                        json!([{"labelSelector": selector, "topologyKey": key}]);
                }
            }
            if self.below(2) == 0 {
                pod["topology_spread"] = json!([{"maxSkew": 1 + self.below(2),
                    "topologyKey": self.word(&["zone", "host"]), "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": self.word(&["a", "b"])}},
                    "minDomains": 1 + self.below(3), "nodeTaintsPolicy": self.word(&["Honor", "Ignore"])}]);
            }
            pod
        }

        fn node(&mut self, at: usize) -> Value {
            let tasks: Vec<Value> = (0..self.below(4)).map(|_| self.pod()).collect();
            let mut node = json!({"name": format!("n{at}"), "tasks": tasks,
                "labels": {"host": format!("n{at}")}, "allocatable": {"cpu_milli": 1000, "pods": 4}});
            if self.below(5) > 0 {
                node["labels"]["zone"] = json!(self.word(&["x", "y", "z"]));
            }
            if self.below(4) == 0 {
                node["taints"] = json!([{"key": "t", "effect": "NoSchedule"}]);
            }
            node
        }
    }

    /// What the filters say of every node.
    fn answers(prepared: &Prepared<'_>, cluster: &Cluster) -> Vec<Result<(), Rejection>> {
        cluster.nodes().map(|(_, it)| prepared.check(it, it.used())).collect()
    }

    #[test]
    fn a_shifted_state_is_that_of_a_cluster_without_the_pod() {
        let profile = Profile {
            filters: vec![Filter::PodTopologySpread, Filter::InterPodAffinity],
            ..Profile::default()
        };
        let mut changed = 0;
        for seed in 0..400 {
            let mut draw = Draw(seed);
            let nodes: Value = (0..5).map(|at| draw.node(at)).collect();
            let (before, pod) = (cluster(nodes), pod(draw.pod()));
            let Some(row) =
                before.walk().iter().copied().find(|&it| !before.node(it).pods().is_empty())
            else {
                continue;
            };
            let gone: PodId = before.node(row).pods()[0].id;
            let mut after = before.clone();
            after.remove_pod(row, gone);

            let node = before.node(row);
            let mut prepared = Prepared::new(&profile, &before, &pod).unwrap();
            let at_first = answers(&prepared, &before);
            prepared.shift(node, &node.pods()[0], -1);
            let fresh = Prepared::new(&profile, &after, &pod).unwrap();
            assert_eq!(answers(&prepared, &before), answers(&fresh, &after), "seed {seed}");
            changed += usize::from(answers(&fresh, &after) != at_first);
            prepared.shift(node, &node.pods()[0], 1);
            assert_eq!(answers(&prepared, &before), at_first, "seed {seed}");
        }
        assert!(changed > 40, "only {changed} of the cases tell anything");
    }
}
