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
