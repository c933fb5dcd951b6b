//! Which word of Kubernetes stands for which of ours.
//!
//! | ours | Kubernetes' |
//! |---|---|
//! | attribute of a node, `zone` and `node` among them | label of that name; none is checked for its form |
//! | a node's zone and name, again | `topology.kubernetes.io/zone`, `kubernetes.io/hostname`, unless the node has such an attribute itself |
//! | whole GPUs | extended resource [`GPU`] |
//! | amount of 0 | no request, unless the container says that it wants none |
//! | `requires` and `any_of` | terms of required node affinity, each of `any_of` with all that is required |
//! | `prefers` | preferred node affinity |
//! | affinity | pod (anti-)affinity, required if hard |
//! | spread | topology spread constraint, `DoNotSchedule` if hard, with the default inclusion policies |
//! | [`Who::Group`] | the label [`GROUP`], in all namespaces |
//! | limits | nothing: [`Company`](cluster::company::Company) keeps them |
//! | a service's group | a `Service` |
//!
//! A node without a zone has no such label.

use crate::kubernetes::labels::{Labels, Requirement, Selector};
use crate::kubernetes::node::Node;
use crate::kubernetes::node_terms::{NodeAffinity, NodeTerm};
use crate::kubernetes::node_tree::{HOSTNAME, ZONE};
use crate::kubernetes::pod::{
    Container, HostPort, Inclusion, PodSpec, PodTerm, PodTerms, SpreadConstraint, Unsatisfiable,
    Within,
};
use crate::kubernetes::profile::GPU;
use crate::kubernetes::resources::{Amounts, Requests};
use crate::kubernetes::scores::image_locality::full_name;
use crate::kubernetes::taints::{Comparison, Effect, Taint, Toleration};
use cluster::constraint::{self, Affinity, Constraints, Side, Spread, Strength, Who};
use cluster::demand::{self, Protocol, Resource};
use cluster::ids::{GroupId, NodeId};
use cluster::nodes::{self, NO_ZONE, NodeStatus, Nodes};
use cluster::state::{State, Task};
use cluster::units::GpuMilli;
use std::collections::BTreeSet;

/// The label that tells groups apart. No label of a task can have this name.
const GROUP: &str = "(group)";

/// The label of a group's pods.
pub(super) fn group_label(group: GroupId) -> Labels {
    Labels::from([(GROUP.to_owned(), group.0.to_string())])
}

/// A node without its pods.
pub(super) fn node(nodes: &Nodes, node: NodeId, pods_max: i64) -> Node {
    let name = nodes.name(node);
    let mut labels = Labels::from([(nodes::NODE.to_owned(), name.to_owned())]);
    for attribute in nodes.attribute_names().iter() {
        if let Some(value) = nodes.text(node, attribute) {
            labels.insert(attribute.to_owned(), value.to_owned());
        }
    }
    labels.entry(HOSTNAME.to_owned()).or_insert_with(|| name.to_owned());
    match labels.get(nodes::ZONE).cloned() {
        Some(zone) if zone != NO_ZONE => {
            labels.entry(ZONE.to_owned()).or_insert(zone);
        }
        _ => {
            labels.remove(nodes::ZONE);
        }
    }
    let mut mirrored = Node::named(name);
    mirrored.labels = labels;
    mirrored.taints = nodes.taints(node).iter().map(taint).collect();
    for image in nodes.images(node) {
        let size = amount(image.size.0);
        mirrored.images.extend(image.names.iter().map(|it| (full_name(it).into_owned(), size)));
    }
    mirrored.allocatable = allocatable(nodes, node);
    mirrored.unschedulable = nodes.status(node) != NodeStatus::Ready;
    mirrored.pods_max = pods_max;
    mirrored
}

/// What a node offers now.
pub(super) fn allocatable(nodes: &Nodes, node: NodeId) -> Amounts {
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| amount(nodes.allocatable(it)[node.row()]));
    // A device that is gone counts for as long as it is held, as the task that holds it does.
    let is_counted = |it: &&nodes::Device| it.capacity.0 > 0 || it.held.0 > 0;
    let gpus = nodes.devices(node).iter().filter(is_counted).count() as i64;
    Amounts {
        cpu_milli: cpu,
        memory_bytes: memory,
        ephemeral_bytes: disk,
        extended: (gpus > 0).then(|| (GPU.to_owned(), gpus)).into_iter().collect(),
    }
}

fn taint(it: &constraint::Taint) -> Taint {
    Taint { key: it.key.clone(), value: it.value.clone(), effect: effect(it.effect) }
}

fn effect(it: constraint::Effect) -> Effect {
    match it {
        constraint::Effect::NoSchedule => Effect::NoSchedule,
        constraint::Effect::PreferNoSchedule => Effect::PreferNoSchedule,
        constraint::Effect::NoExecute => Effect::NoExecute,
    }
}

fn toleration(it: &constraint::Toleration) -> Toleration {
    Toleration {
        key: it.key.clone().unwrap_or_default(),
        comparison: if it.value.is_some() { Comparison::Equal } else { Comparison::Exists },
        value: it.value.clone().unwrap_or_default(),
        effect: it.effect.map(effect),
    }
}

/// What a task consists of, as a pod of that group.
pub(super) fn spec(task: &Task, group: Option<GroupId>, state: &State) -> PodSpec {
    let (definition, shape) = (state.definition(task.definition), state.shape(task.shape));
    let rules = &definition.constraints;
    let mut labels: Labels = definition.labels.iter().cloned().collect();
    labels.extend(group.map(group_label).into_iter().flatten());
    let mut containers: Vec<Container> = definition.containers.iter().map(container).collect();
    let whole = shape.gpu_count > 0 && shape.gpu_milli == GpuMilli::DEVICE;
    if let Some(first) = containers.first_mut().filter(|_| whole) {
        first.requests.extended.insert(GPU.to_owned(), i64::from(shape.gpu_count));
    }
    let port = |it: &demand::Port| HostPort {
        protocol: match it.protocol {
            Protocol::Tcp => "TCP".to_owned(),
            Protocol::Udp => "UDP".to_owned(),
        },
        address: HostPort::ANY_ADDRESS.to_owned(),
        port: it.number,
    };
    let own = Own { namespace: &definition.namespace, group };
    PodSpec {
        namespace: definition.namespace.clone(),
        labels,
        containers,
        node_affinity: node_affinity(&shape.demand, rules),
        affinity: own.pod_terms(rules, Side::Near),
        anti_affinity: own.pod_terms(rules, Side::Apart),
        tolerations: shape.tolerations().iter().map(toleration).collect(),
        topology_spread: rules.spread.iter().map(|it| own.spread(it)).collect(),
        host_ports: shape.ports.iter().map(port).collect(),
        ..PodSpec::default()
    }
}

fn container(it: &demand::Container) -> Container {
    let asked = |resource: Resource| {
        let asked = it.demand.amounts.array()[resource.row()];
        (asked > 0 || it.zero.contains(&resource)).then(|| amount(asked))
    };
    let requests = Requests {
        cpu_milli: asked(Resource::Cpu),
        memory_bytes: asked(Resource::Memory),
        ephemeral_bytes: asked(Resource::Disk),
        extended: Default::default(),
    };
    Container { image: it.image.clone(), requests }
}

fn node_affinity(demand: &demand::Demand, rules: &Constraints) -> NodeAffinity {
    let term = |all: &mut dyn Iterator<Item = &constraint::Requirement>| NodeTerm {
        labels: Ok(all.map(Requirement::from).collect()),
        fields: Vec::new(),
    };
    let required: Vec<NodeTerm> = match demand.any_of.is_empty() {
        true => vec![term(&mut demand.requires.iter())],
        false => {
            let terms = demand.any_of.iter();
            terms.map(|all| term(&mut demand.requires.iter().chain(all))).collect()
        }
    };
    // To Kubernetes no node meets a term that asks nothing; to us every node does.
    let asks = required.iter().all(|it| !it.is_empty());
    let preferred = rules.prefers.iter().map(|it| (i64::from(it.weight), term(&mut it.all.iter())));
    let preferred: Vec<(i64, NodeTerm)> = preferred.collect();
    NodeAffinity {
        required: asks.then_some(required),
        preferred: (!preferred.is_empty()).then_some(preferred),
    }
}

/// Whose rules are translated.
struct Own<'a> {
    namespace: &'a str,
    group: Option<GroupId>,
}

impl Own<'_> {
    fn pod_terms(&self, rules: &Constraints, side: Side) -> PodTerms {
        let (mut required, mut preferred) = (Vec::new(), Vec::new());
        for it in rules.affinity.iter().filter(|it| it.side == side) {
            match it.strength {
                Strength::Hard => required.push(self.pod_term(it)),
                Strength::Soft(weight) => preferred.push((i64::from(weight), self.pod_term(it))),
            }
        }
        PodTerms { required: Ok(required), preferred: Ok(preferred) }
    }

    fn pod_term(&self, it: &Affinity) -> PodTerm {
        let (namespaces, everywhere) = match self.within(&it.who) {
            Within::Own => (BTreeSet::from([self.namespace.to_owned()]), false),
            Within::Named(names) => (names, false),
            Within::All => (BTreeSet::new(), true),
        };
        PodTerm {
            topology_key: it.domain.clone(),
            selector: self.selector(&it.who),
            namespaces,
            namespace_selector: match everywhere {
                true => Selector::all_of(Vec::new()),
                false => Selector::NOTHING,
            },
        }
    }

    fn spread(&self, it: &Spread) -> SpreadConstraint {
        SpreadConstraint {
            max_skew: i64::from(it.skew_max),
            topology_key: it.domain.clone(),
            unsatisfiable: match it.is_hard {
                true => Unsatisfiable::DoNotSchedule,
                false => Unsatisfiable::ScheduleAnyway,
            },
            selector: Ok(self.selector(&it.who)),
            within: self.within(&it.who),
            min_domains: it.domains_min as usize,
            node_affinity: Inclusion::Honor,
            node_taints: Inclusion::Ignore,
        }
    }

    fn selector(&self, who: &Who) -> Selector {
        match (who, self.group) {
            (Who::Group, Some(group)) => Selector::labels(&group_label(group)),
            (Who::Group, None) => Selector::NOTHING,
            (Who::Labels { all, .. }, _) => {
                Selector::all_of(all.iter().map(Requirement::from).collect())
            }
        }
    }

    fn within(&self, who: &Who) -> Within {
        match who {
            Who::Group => Within::All,
            Who::Labels { namespaces, .. } if namespaces.is_empty() => Within::Own,
            Who::Labels { namespaces, .. } => Within::Named(namespaces.iter().cloned().collect()),
        }
    }
}

/// The largest amount; larger ones are cut to it.
pub(super) const AMOUNT_MAX: i64 = 1 << 52;

/// As a number with a sign that can be multiplied by 100 and summed over the tasks of a node.
fn amount(amount: u64) -> i64 {
    amount.min(AMOUNT_MAX as u64) as i64
}
