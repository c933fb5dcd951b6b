//! A node, with sums over its pods kept up to date.

use super::labels::Labels;
use super::pod::{HostPort, Pod, PodId};
use super::resources::Amounts;
use super::taints::Taint;
use std::collections::BTreeMap;

/// A node and what runs on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What keeps pods away from it.
    pub taints: Vec<Taint>,
    /// It takes no new pods (cordoned).
    pub unschedulable: bool,
    /// What it offers.
    pub allocatable: Amounts,
    /// How many pods it takes.
    pub pods_max: i64,
    /// Images it has, by full name, with their size in bytes.
    pub images: BTreeMap<String, i64>,
    pods: Vec<Pod>,
    used: Used,
    /// How many pods have each label, by its [mark](super::labels::mark).
    marks: BTreeMap<u64, u32>,
    with_affinity: usize,
    with_required_anti_affinity: usize,
}

/// What the pods of a node take together. Kept apart from the node, so that a dry run can change a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// How many pods there are.
    pub pods: i64,
    /// What they ask for.
    pub requested: Amounts,
    /// The same with the defaults for absent requests.
    pub counted: Amounts,
    /// The ports they take.
    pub ports: Vec<HostPort>,
}

impl Used {
    /// A pod more.
    pub fn add(&mut self, pod: &Pod) {
        self.pods += 1;
        self.requested.add(&pod.shape.requests);
        self.counted.add(&pod.shape.counted);
        self.ports.extend(pod.spec().host_ports.iter().cloned());
    }

    /// A pod less.
    pub fn remove(&mut self, pod: &Pod) {
        self.pods -= 1;
        self.requested.subtract(&pod.shape.requests);
        self.counted.subtract(&pod.shape.counted);
        for port in &pod.spec().host_ports {
            if let Some(at) = self.ports.iter().position(|it| it == port) {
                self.ports.swap_remove(at);
            }
        }
    }
}

impl Node {
    /// An empty node that offers nothing.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Its pods, in the order in which they came; a removal moves the last one up.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// What they take.
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// Whether some pod has a term about other pods.
    pub fn has_affinity(&self) -> bool {
        self.with_affinity > 0
    }

    /// Whether some pod must be away from others.
    pub fn has_required_anti_affinity(&self) -> bool {
        self.with_required_anti_affinity > 0
    }

    /// Whether some pod may have the label of this [mark](super::labels::mark). If not, none has it.
    pub fn may_have(&self, mark: u64) -> bool {
        self.marks.contains_key(&mark)
    }

    /// A pod was placed here, whether it fits or not.
    pub fn add_pod(&mut self, pod: Pod) {
        self.used.add(&pod);
        for &mark in &pod.shape.marks {
            *self.marks.entry(mark).or_insert(0) += 1;
        }
        self.with_affinity += usize::from(has_affinity(&pod));
        self.with_required_anti_affinity += usize::from(has_required_anti_affinity(&pod));
        self.pods.push(pod);
    }

    /// A pod has left; `None` if it was not here.
    pub fn remove_pod(&mut self, id: PodId) -> Option<Pod> {
        let at = self.pods.iter().position(|it| it.id == id)?;
        let pod = self.pods.swap_remove(at);
        self.used.remove(&pod);
        for mark in &pod.shape.marks {
            let count = self.marks.get_mut(mark).expect("counted when the pod came");
            *count -= 1;
            if *count == 0 {
                self.marks.remove(mark);
            }
        }
        self.with_affinity -= usize::from(has_affinity(&pod));
        self.with_required_anti_affinity -= usize::from(has_required_anti_affinity(&pod));
        Some(pod)
    }
}

/// Whether the pod has a term about other pods.
pub fn has_affinity(pod: &Pod) -> bool {
    !pod.spec().affinity.is_empty() || !pod.spec().anti_affinity.is_empty()
}

fn has_required_anti_affinity(pod: &Pod) -> bool {
    !pod.spec().anti_affinity.required().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::{Container, PodShape, PodSpec, PodTerm, PodTerms};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn what_comes_and_goes_leaves_nothing() {
        let mut node = Node::named("n");
        let term = PodTerm {
            topology_key: "zone".to_owned(),
            selector: crate::kubernetes::labels::Selector::NOTHING,
            namespaces: BTreeSet::new(),
            namespace_selector: crate::kubernetes::labels::Selector::NOTHING,
        };
        let port = HostPort { protocol: "TCP".to_owned(), address: String::new(), port: 80 };
        let spec = PodSpec {
            containers: vec![Container::default()],
            anti_affinity: PodTerms { required: Ok(vec![term]), ..PodTerms::default() },
            host_ports: vec![port],
            labels: [("app".to_owned(), "a".to_owned())].into(),
            ..PodSpec::default()
        };
        let shape = Arc::new(PodShape::new(spec));
        for id in 0..3 {
            node.add_pod(Pod::new(PodId(id), shape.clone()));
        }
        assert_eq!((node.used().pods, node.used().counted.cpu_milli), (3, 300));
        let mark = crate::kubernetes::labels::mark;
        assert!(node.may_have(mark("app", "a")) && !node.may_have(mark("app", "b")));
        assert!(node.has_affinity() && node.has_required_anti_affinity());
        for id in [1, 0, 2] {
            assert!(node.remove_pod(PodId(id)).is_some());
            assert!(node.remove_pod(PodId(id)).is_none());
        }
        assert_eq!(node, Node::named("n"));
    }
}
