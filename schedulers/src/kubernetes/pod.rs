//! Pods: what Kubernetes places. A pod is our task; its containers always share a node.

use super::labels::{InvalidSelector, Labels, Selector, mark};
use super::node_terms::NodeAffinity;
use super::resources::{Absent, Amounts, Requests};
use super::taints::Toleration;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its image; empty if it does not matter.
    pub image: String,
    /// What it asks for.
    pub requests: Requests,
}

/// A container that runs before those of the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitContainer {
    /// The container.
    pub container: Container,
    /// It keeps running beside the pod's containers (restart policy `Always`).
    pub sidecar: bool,
}

/// One condition on the pods around a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTerm {
    /// The node label whose values are the places that count as near.
    pub topology_key: String,
    /// Which pods are meant.
    pub selector: Selector,
    /// In which namespaces, by name. The pod's own if the API names none and has no namespace selector.
    pub namespaces: BTreeSet<String>,
    /// And in which namespaces, by label.
    pub namespace_selector: Selector,
}

/// Affinity or anti-affinity of a pod to other pods. A list with one term that cannot be parsed is invalid
/// as a whole; on a pod that runs already it then counts as empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTerms {
    /// Terms that must all hold.
    pub required: Result<Vec<PodTerm>, InvalidSelector>,
    /// Terms with the weight they have in the score.
    pub preferred: Result<Vec<(i64, PodTerm)>, InvalidSelector>,
}

impl Default for PodTerms {
    fn default() -> Self {
        Self { required: Ok(Vec::new()), preferred: Ok(Vec::new()) }
    }
}

impl PodTerms {
    /// The required terms; none if they cannot be parsed.
    pub fn required(&self) -> &[PodTerm] {
        self.required.as_deref().unwrap_or_default()
    }

    /// The preferred terms; none if they cannot be parsed.
    pub fn preferred(&self) -> &[(i64, PodTerm)] {
        self.preferred.as_deref().unwrap_or_default()
    }

    /// Whether there is any term.
    pub fn is_empty(&self) -> bool {
        self.required().is_empty() && self.preferred().is_empty()
    }
}

/// What a spread constraint does where it cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Unsatisfiable {
    /// It is a filter.
    DoNotSchedule,
    /// It is a score.
    ScheduleAnyway,
}

/// Whether nodes that a pod cannot use count when its spread is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Inclusion {
    /// They do not.
    Honor,
    /// They do.
    Ignore,
}

/// Whose pods a spread constraint counts. The API knows the pod's own namespace only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Within {
    /// Those of the pod's own namespace.
    #[default]
    Own,
    /// Those of these namespaces.
    Named(BTreeSet<String>),
    /// Those of all namespaces.
    All,
}

impl Within {
    /// Whether pods of that namespace count for a pod of `own`.
    pub fn counts(&self, namespace: &str, own: &str) -> bool {
        match self {
            Self::Own => namespace == own,
            Self::Named(names) => names.contains(namespace),
            Self::All => true,
        }
    }
}

/// A rule that pods be spread over the values of a node label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpreadConstraint {
    /// By how many pods a value may be ahead of the one with the fewest.
    pub max_skew: i64,
    /// The node label.
    pub topology_key: String,
    /// Filter or score.
    pub unsatisfiable: Unsatisfiable,
    /// Which pods count, with the labels of `matchLabelKeys`.
    pub selector: Result<Selector, InvalidSelector>,
    /// In which namespaces.
    pub within: Within,
    /// With fewer values than that the fewest is taken as 0.
    pub min_domains: usize,
    /// Whether nodes that the pod's node selector and affinity rule out are left out.
    pub node_affinity: Inclusion,
    /// Whether nodes with taints that the pod does not tolerate are left out.
    pub node_taints: Inclusion,
}

/// A port of the node that a container takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The address, or [`HostPort::ANY_ADDRESS`].
    pub address: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// All addresses of the node.
    pub const ANY_ADDRESS: &str = "0.0.0.0";

    /// Whether the two cannot be had at once.
    pub fn collides(&self, other: &Self) -> bool {
        let any = Self::ANY_ADDRESS;
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || self.address == any || other.address == any)
    }
}

/// What a pod is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// Its namespace; may be empty.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// Its containers. Without any it asks for nothing, and no default counts.
    pub containers: Vec<Container>,
    /// What runs before them, in order.
    pub init_containers: Vec<InitContainer>,
    /// What running it costs beyond its containers.
    pub overhead: Amounts,
    /// CPU and memory of the pod as a whole, which replace the sum over its containers where they are set.
    pub whole: Requests,
    /// The one node it may run on.
    pub node_name: Option<String>,
    /// Labels that its node must have.
    pub node_selector: Labels,
    /// What else it asks of its node.
    pub node_affinity: NodeAffinity,
    /// Pods it wants to be near.
    pub affinity: PodTerms,
    /// Pods it wants to be away from.
    pub anti_affinity: PodTerms,
    /// Taints it does not mind.
    pub tolerations: Vec<Toleration>,
    /// How pods like it are spread.
    pub topology_spread: Vec<SpreadConstraint>,
    /// Ports of the node that it takes.
    pub host_ports: Vec<HostPort>,
}

impl PodSpec {
    /// What it asks for: the larger of the sum over its containers and the most that runs at once before
    /// them, plus overhead. Source: v1.35, `component-helpers/resource.PodRequests`.
    pub fn requests(&self, absent: Absent) -> Amounts {
        let mut running = Amounts::default();
        for container in &self.containers {
            running.add(&container.requests.amounts(absent));
        }
        let (mut sidecars, mut starting) = (Amounts::default(), Amounts::default());
        for init in &self.init_containers {
            let mut now = init.container.requests.amounts(absent);
            if init.sidecar {
                running.add(&now);
                sidecars.add(&now);
                now = sidecars.clone();
            } else {
                now.add(&sidecars);
            }
            starting.raise_to(&now);
        }
        running.raise_to(&starting);
        running.cpu_milli = self.whole.cpu_milli.unwrap_or(running.cpu_milli);
        running.memory_bytes = self.whole.memory_bytes.unwrap_or(running.memory_bytes);
        running.add(&self.overhead);
        running
    }
}

/// A specification with what follows from it, shared by all pods that are alike.
#[derive(Debug, PartialEq, Eq)]
pub struct PodShape {
    /// The specification.
    pub spec: PodSpec,
    /// What it asks for.
    pub requests: Amounts,
    /// The same with the defaults for absent requests, as scores by what is requested count it.
    pub counted: Amounts,
    /// [Marks](super::labels::mark) of its labels.
    pub marks: Vec<u64>,
}

impl PodShape {
    /// Works out what follows.
    pub fn new(spec: PodSpec) -> Self {
        let requests = spec.requests(Absent::Nothing);
        let counted = spec.requests(Absent::Default);
        let marks = spec.labels.iter().map(|(key, value)| mark(key, value)).collect();
        Self { spec, requests, counted, marks }
    }

    /// Why its terms about other pods cannot be parsed, if so.
    ///
    /// # Errors
    ///
    /// What is wrong first.
    pub fn check_pod_terms(&self) -> Result<(), InvalidSelector> {
        let clone = |it: &InvalidSelector| it.clone();
        for terms in [&self.spec.affinity, &self.spec.anti_affinity] {
            terms.required.as_ref().map_err(clone)?;
            terms.preferred.as_ref().map_err(clone)?;
        }
        Ok(())
    }
}

/// The identity of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub u64);

/// A pod, waiting or on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Which one.
    pub id: PodId,
    /// What it is made of.
    pub shape: Arc<PodShape>,
    /// How important it is; more is more.
    pub priority: i32,
    /// When it started, in any unit that is the same for all; `None` if it has not, which counts as later
    /// than all others.
    pub started: Option<i64>,
    /// It is being deleted.
    pub terminating: bool,
}

impl Pod {
    /// A pod of priority 0 that has not started.
    pub fn new(id: PodId, shape: Arc<PodShape>) -> Self {
        Self { id, shape, priority: 0, started: None, terminating: false }
    }

    /// What it is made of.
    pub fn spec(&self) -> &PodSpec {
        &self.shape.spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(cpu_milli: i64) -> Container {
        let requests = Requests { cpu_milli: Some(cpu_milli), ..Requests::default() };
        Container { requests, ..Container::default() }
    }

    fn init(cpu_milli: i64, sidecar: bool) -> InitContainer {
        InitContainer { container: asks(cpu_milli), sidecar }
    }

    #[test]
    fn requests_of_a_pod() {
        for (containers, init_containers, cpu) in [
            (vec![asks(100), asks(200)], vec![], 300),
            (vec![asks(100)], vec![init(500, false), init(200, false)], 500),
            (vec![asks(100)], vec![init(50, true)], 150),
            (vec![asks(100)], vec![init(50, true), init(200, false)], 250),
            (vec![asks(100)], vec![init(200, false), init(50, true)], 200),
            (vec![], vec![], 0),
        ] {
            let spec = PodSpec { containers, init_containers, ..PodSpec::default() };
            assert_eq!(spec.requests(Absent::Nothing).cpu_milli, cpu, "{spec:?}");
        }
    }

    #[test]
    fn overhead_comes_on_top_and_the_whole_replaces_the_sum() {
        let mut spec = PodSpec { containers: vec![asks(100)], ..PodSpec::default() };
        spec.overhead.cpu_milli = 7;
        assert_eq!(spec.requests(Absent::Nothing).cpu_milli, 107);
        spec.whole.cpu_milli = Some(40);
        assert_eq!(spec.requests(Absent::Nothing).cpu_milli, 47);
    }

    #[test]
    fn defaults_count_per_container() {
        let mut spec = PodSpec { containers: vec![asks(0), asks(5)], ..PodSpec::default() };
        assert_eq!(spec.requests(Absent::Default).memory_bytes, 2 * (200 << 20));
        spec.containers.push(Container::default());
        assert_eq!(spec.requests(Absent::Default).cpu_milli, 105);
        spec.containers.clear();
        assert_eq!(spec.requests(Absent::Default), Amounts::default());
    }

    #[test]
    fn ports_collide() {
        let port = |protocol: &str, address: &str, port| HostPort {
            protocol: protocol.to_owned(),
            address: address.to_owned(),
            port,
        };
        let base = port("TCP", "10.0.0.1", 80);
        assert!(base.collides(&base) && base.collides(&port("TCP", "0.0.0.0", 80)));
        assert!(!base.collides(&port("TCP", "10.0.0.2", 80)));
        assert!(!base.collides(&port("UDP", "10.0.0.1", 80)));
        assert!(!base.collides(&port("TCP", "10.0.0.1", 81)));
    }
}
