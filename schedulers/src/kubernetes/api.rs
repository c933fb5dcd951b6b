//! Pods, nodes and what stands beside them, as they are written in files.
//!
//! Affinity, tolerations, taints, spread constraints and label selectors have the JSON form of the
//! Kubernetes API; the rest is flat, with units in the names. A field that is not known is an error. What is
//! read here is turned into the types that decisions are made on, with selectors parsed once.

use super::cluster::{Budget, Cluster, Service};
use super::labels::{InvalidSelector, Labels, Operator, Requirement, Selector};
use super::node_terms::{self, FieldRequirement, NodeTerm};
use super::pod::{
    Container, HostPort, Inclusion, InitContainer, Pod, PodId, PodShape, PodSpec, PodTerm,
    PodTerms, SpreadConstraint, Unsatisfiable, Within,
};
use super::resources::{Absent, Requests};
use super::taints::{Comparison, Effect, Taint, Toleration};
use super::{node, profile};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names of pods, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// The next id, for a pod of this namespace and name.
    pub fn take(&mut self, namespace: &str, name: &str) -> PodId {
        self.0.push((namespace.to_owned(), name.to_owned()));
        PodId(self.0.len() as u64 - 1)
    }

    /// The name of a pod; empty if it was given none.
    pub fn name(&self, id: PodId) -> &str {
        self.0.get(id.0 as usize).map_or("", |it| &it.1)
    }

    /// The pods of that name in a namespace.
    pub fn find(&self, namespace: &str, name: &str) -> impl Iterator<Item = PodId> {
        let is = move |it: &(String, String)| it.0 == namespace && it.1 == name;
        let found = self.0.iter().enumerate().filter(move |(_, it)| is(it));
        found.map(|(at, _)| PodId(at as u64))
    }
}

/// Amounts; a key that is missing and one of 0 differ.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmountsFile {
    /// Thousandths of a core.
    pub cpu_milli: Option<i64>,
    /// Bytes.
    pub memory_bytes: Option<i64>,
    /// Bytes.
    pub ephemeral_bytes: Option<i64>,
    /// Pods; of nodes only.
    pub pods: Option<i64>,
    /// All others, by name.
    pub extended: BTreeMap<String, i64>,
}

impl From<AmountsFile> for Requests {
    fn from(file: AmountsFile) -> Self {
        Self {
            cpu_milli: file.cpu_milli,
            memory_bytes: file.memory_bytes,
            ephemeral_bytes: file.ephemeral_bytes,
            extended: file.extended,
        }
    }
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerFile {
    /// Its image.
    pub image: String,
    /// What it asks for.
    pub requests: AmountsFile,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<RestartPolicy>,
}

/// When an init container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RestartPolicy {
    /// Whenever it ends: it runs beside the pod's containers.
    Always,
}

impl From<ContainerFile> for Container {
    fn from(file: ContainerFile) -> Self {
        Self { image: file.image, requests: file.requests.into() }
    }
}

/// A port of the node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PortFile {
    /// The port.
    pub host_port: u16,
    /// The address; all if none is given.
    #[serde(default, rename = "hostIP")]
    pub host_ip: String,
    /// `TCP` if none is given.
    #[serde(default)]
    pub protocol: String,
}

impl From<PortFile> for HostPort {
    fn from(file: PortFile) -> Self {
        let or = |text: String, default: &str| {
            if text.is_empty() { default.to_owned() } else { text }
        };
        Self {
            protocol: or(file.protocol, "TCP"),
            address: or(file.host_ip, HostPort::ANY_ADDRESS),
            port: file.host_port,
        }
    }
}

/// A condition of a selector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequirementFile {
    /// The label or field.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    #[serde(default)]
    pub values: Vec<String>,
}

impl RequirementFile {
    fn parse(&self) -> Result<Requirement, InvalidSelector> {
        Requirement::new(self.key.clone(), self.operator, self.values.clone())
    }
}

/// A label selector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LabelSelectorFile {
    /// Labels that must be there.
    pub match_labels: Labels,
    /// Further conditions.
    pub match_expressions: Vec<RequirementFile>,
}

impl LabelSelectorFile {
    /// Parses it; an absent selector selects nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be parsed.
    pub fn parse(file: Option<&Self>) -> Result<Selector, InvalidSelector> {
        let Some(file) = file else { return Ok(Selector::NOTHING) };
        let equal = |(key, value): (&String, &String)| {
            Requirement::new(key.clone(), Operator::In, vec![value.clone()])
        };
        let mut all: Vec<Requirement> =
            file.match_labels.iter().map(equal).collect::<Result<_, _>>()?;
        for expression in &file.match_expressions {
            if matches!(expression.operator, Operator::Gt | Operator::Lt) {
                return Err(InvalidSelector::Operator(expression.operator));
            }
            all.push(expression.parse()?);
        }
        Ok(Selector::all_of(all))
    }
}

/// A term of a node selector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NodeTermFile {
    /// Conditions on labels.
    pub match_expressions: Vec<RequirementFile>,
    /// Conditions on fields.
    pub match_fields: Vec<RequirementFile>,
}

impl From<&NodeTermFile> for NodeTerm {
    fn from(file: &NodeTermFile) -> Self {
        let field = |it: &RequirementFile| FieldRequirement {
            field: it.key.clone(),
            operator: it.operator,
            values: it.values.clone(),
        };
        Self {
            labels: file.match_expressions.iter().map(RequirementFile::parse).collect(),
            fields: file.match_fields.iter().map(field).collect(),
        }
    }
}

/// A node selector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeSelectorFile {
    /// Terms of which one must be met.
    #[serde(default)]
    pub node_selector_terms: Vec<NodeTermFile>,
}

/// A preferred node term.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferredNodeFile {
    /// What meeting it adds.
    pub weight: i64,
    /// The term.
    #[serde(default)]
    pub preference: NodeTermFile,
}

/// Affinity to nodes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeAffinityFile {
    /// What is required.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelectorFile>,
    /// What is preferred.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Option<Vec<PreferredNodeFile>>,
}

impl From<&NodeAffinityFile> for node_terms::NodeAffinity {
    fn from(file: &NodeAffinityFile) -> Self {
        let required = file.required.as_ref();
        let preferred = file.preferred.as_ref();
        Self {
            required: required.map(|it| it.node_selector_terms.iter().map(Into::into).collect()),
            preferred: preferred
                .map(|all| all.iter().map(|it| (it.weight, (&it.preference).into())).collect()),
        }
    }
}

/// A term about other pods.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PodTermFile {
    /// Which pods.
    pub label_selector: Option<LabelSelectorFile>,
    /// In which namespaces, by name.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// In which namespaces, by label.
    pub namespace_selector: Option<LabelSelectorFile>,
    /// What counts as near.
    #[serde(default)]
    pub topology_key: String,
    /// Labels in which they are like the pod itself.
    #[serde(default)]
    pub match_label_keys: Vec<String>,
    /// Labels in which they differ from it.
    #[serde(default)]
    pub mismatch_label_keys: Vec<String>,
}

impl PodTermFile {
    /// Parses it for a pod of that namespace and labels. Keys of labels become conditions of the selector,
    /// as the API server makes them when a pod is created.
    fn parse(&self, namespace: &str, labels: &Labels) -> Result<PodTerm, InvalidSelector> {
        let mut selector = self.label_selector.clone();
        if let Some(selector) = &mut selector {
            let keys = [
                (&self.match_label_keys, Operator::In),
                (&self.mismatch_label_keys, Operator::NotIn),
            ];
            for (keys, operator) in keys {
                for (key, value) in keys.iter().filter_map(|it| labels.get_key_value(it)) {
                    let values = vec![value.clone()];
                    let requirement = RequirementFile { key: key.clone(), operator, values };
                    selector.match_expressions.push(requirement);
                }
            }
        }
        let own = self.namespaces.is_empty() && self.namespace_selector.is_none();
        let named = if own { vec![namespace.to_owned()] } else { self.namespaces.clone() };
        Ok(PodTerm {
            topology_key: self.topology_key.clone(),
            selector: LabelSelectorFile::parse(selector.as_ref())?,
            namespaces: named.into_iter().collect(),
            namespace_selector: LabelSelectorFile::parse(self.namespace_selector.as_ref())?,
        })
    }
}

/// A preferred term about other pods.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreferredPodFile {
    /// What meeting it adds.
    pub weight: i64,
    /// The term.
    pub pod_affinity_term: PodTermFile,
}

/// Affinity or anti-affinity to other pods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PodTermsFile {
    /// What is required.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Vec<PodTermFile>,
    /// What is preferred.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredPodFile>,
}

impl PodTermsFile {
    fn parse(&self, namespace: &str, labels: &Labels) -> PodTerms {
        let term = |it: &PodTermFile| it.parse(namespace, labels);
        PodTerms {
            required: self.required.iter().map(term).collect(),
            preferred: self
                .preferred
                .iter()
                .map(|it| Ok((it.weight, term(&it.pod_affinity_term)?)))
                .collect(),
        }
    }
}

/// All affinity of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AffinityFile {
    /// To nodes.
    pub node_affinity: Option<NodeAffinityFile>,
    /// To pods.
    pub pod_affinity: Option<PodTermsFile>,
    /// Away from pods.
    pub pod_anti_affinity: Option<PodTermsFile>,
}

/// A taint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TaintFile {
    /// Its name.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
    /// What it does.
    pub effect: Effect,
    /// When it was added; it does not matter for placing.
    pub time_added: Option<String>,
}

/// A toleration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TolerationFile {
    /// The taint's name; empty for any.
    pub key: String,
    /// How the value is compared; empty for equal.
    pub operator: String,
    /// The taint's value.
    pub value: String,
    /// The taint's effect; empty for any.
    pub effect: String,
    /// For how long; it does not matter for placing.
    pub toleration_seconds: Option<i64>,
}

impl TolerationFile {
    fn parse(&self) -> Result<Toleration, UnknownWord> {
        let unknown = |word: &str| UnknownWord(word.to_owned());
        let comparison = match self.operator.as_str() {
            "" | "Equal" => Comparison::Equal,
            "Exists" => Comparison::Exists,
            "Lt" => Comparison::Lt,
            "Gt" => Comparison::Gt,
            other => return Err(unknown(other)),
        };
        let effect = match self.effect.as_str() {
            "" => None,
            "NoSchedule" => Some(Effect::NoSchedule),
            "PreferNoSchedule" => Some(Effect::PreferNoSchedule),
            "NoExecute" => Some(Effect::NoExecute),
            other => return Err(unknown(other)),
        };
        Ok(Toleration { key: self.key.clone(), comparison, value: self.value.clone(), effect })
    }
}

/// A word that is none of those that may stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

/// A spread constraint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SpreadFile {
    /// By how much a value may be ahead.
    pub max_skew: i64,
    /// The node label.
    #[serde(default)]
    pub topology_key: String,
    /// Filter or score.
    pub when_unsatisfiable: Unsatisfiable,
    /// Which pods count.
    pub label_selector: Option<LabelSelectorFile>,
    /// How many values there must be.
    pub min_domains: Option<usize>,
    /// Whether nodes that affinity rules out count.
    pub node_affinity_policy: Option<Inclusion>,
    /// Whether nodes that taints rule out count.
    pub node_taints_policy: Option<Inclusion>,
    /// Labels in which they are like the pod itself.
    #[serde(default)]
    pub match_label_keys: Vec<String>,
}

impl SpreadFile {
    /// Parses it for a pod with these labels.
    pub fn parse(&self, labels: &Labels) -> SpreadConstraint {
        let keys = self.match_label_keys.iter().filter_map(|it| labels.get_key_value(it));
        let same: Labels = keys.map(|(key, value)| (key.clone(), value.clone())).collect();
        let selector = LabelSelectorFile::parse(self.label_selector.as_ref());
        SpreadConstraint {
            max_skew: self.max_skew,
            topology_key: self.topology_key.clone(),
            unsatisfiable: self.when_unsatisfiable,
            selector: selector.map(|it| if same.is_empty() { it } else { it.and_labels(&same) }),
            within: Within::Own,
            min_domains: self.min_domains.unwrap_or(1),
            node_affinity: self.node_affinity_policy.unwrap_or(Inclusion::Honor),
            node_taints: self.node_taints_policy.unwrap_or(Inclusion::Ignore),
        }
    }
}

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PodFile {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// Its priority.
    pub priority: i32,
    /// When it started, in seconds.
    pub start_time_s: Option<i64>,
    /// It is being deleted.
    pub terminating: bool,
    /// Its containers.
    pub containers: Vec<ContainerFile>,
    /// What runs before them.
    pub init_containers: Vec<ContainerFile>,
    /// What running it costs.
    pub overhead: AmountsFile,
    /// CPU and memory of the pod as a whole.
    pub requests: AmountsFile,
    /// Labels of its node.
    pub node_selector: Labels,
    /// Its one node.
    pub node_name: Option<String>,
    /// Affinity.
    pub affinity: Option<AffinityFile>,
    /// Tolerations.
    pub tolerations: Vec<TolerationFile>,
    /// Spread constraints.
    pub topology_spread: Vec<SpreadFile>,
    /// Ports of the node.
    pub ports: Vec<PortFile>,
    /// The node it is bound to, for a pod that stands beside the nodes.
    pub node: Option<String>,
}

impl PodFile {
    /// Makes the pod.
    ///
    /// # Errors
    ///
    /// If a toleration has an operator or effect that does not exist.
    pub fn parse(self, names: &mut Names) -> Result<Pod, UnknownWord> {
        let affinity = self.affinity.unwrap_or_default();
        let terms = |file: Option<PodTermsFile>| {
            file.unwrap_or_default().parse(&self.namespace, &self.labels)
        };
        let init = |it: ContainerFile| {
            let sidecar = it.restart_policy == Some(RestartPolicy::Always);
            InitContainer { sidecar, container: it.into() }
        };
        let id = names.take(&self.namespace, &self.name);
        let spec = PodSpec {
            node_affinity: affinity.node_affinity.as_ref().map(Into::into).unwrap_or_default(),
            affinity: terms(affinity.pod_affinity),
            anti_affinity: terms(affinity.pod_anti_affinity),
            topology_spread: self.topology_spread.iter().map(|it| it.parse(&self.labels)).collect(),
            tolerations: self
                .tolerations
                .iter()
                .map(TolerationFile::parse)
                .collect::<Result<_, _>>()?,
            namespace: self.namespace,
            labels: self.labels,
            containers: self.containers.into_iter().map(Into::into).collect(),
            init_containers: self.init_containers.into_iter().map(init).collect(),
            overhead: Requests::from(self.overhead).amounts(Absent::Nothing),
            whole: self.requests.into(),
            node_name: self.node_name,
            node_selector: self.node_selector,
            host_ports: self.ports.into_iter().map(Into::into).collect(),
        };
        Ok(Pod {
            priority: self.priority,
            started: self.start_time_s,
            terminating: self.terminating,
            ..Pod::new(id, Arc::new(PodShape::new(spec)))
        })
    }
}

/// An image on a node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// All its names.
    pub names: Vec<String>,
    /// Its size.
    pub size_bytes: i64,
}

/// A node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// What it offers; a key that is missing means 0.
    #[serde(default)]
    pub allocatable: AmountsFile,
    /// Its taints.
    #[serde(default)]
    pub taints: Vec<TaintFile>,
    /// Its images.
    #[serde(default)]
    pub images: Vec<ImageFile>,
    /// It is cordoned.
    #[serde(default)]
    pub unschedulable: bool,
    /// Its pods.
    #[serde(default)]
    pub tasks: Vec<PodFile>,
    /// `false`: it has been filtered out before scores are looked at.
    #[serde(default = "yes")]
    pub candidate: bool,
}

fn yes() -> bool {
    true
}

impl NodeFile {
    /// Makes the node.
    ///
    /// # Errors
    ///
    /// If one of its pods cannot be read.
    pub fn parse(self, names: &mut Names) -> Result<node::Node, UnknownWord> {
        let mut made = node::Node::named(&self.name);
        made.labels = self.labels;
        made.unschedulable = self.unschedulable;
        made.pods_max = self.allocatable.pods.unwrap_or(0);
        made.allocatable = Requests::from(self.allocatable).amounts(Absent::Nothing);
        let taint = |it: TaintFile| Taint { key: it.key, value: it.value, effect: it.effect };
        made.taints = self.taints.into_iter().map(taint).collect();
        for image in self.images {
            made.images.extend(image.names.into_iter().map(|it| (it, image.size_bytes)));
        }
        for pod in self.tasks {
            made.add_pod(pod.parse(names)?);
        }
        Ok(made)
    }
}

/// A service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFile {
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// The labels of its pods.
    pub selector: Option<Labels>,
}

/// A namespace.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceFile {
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

/// A disruption budget.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetFile {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its pods.
    pub selector: Option<LabelSelectorFile>,
    /// How many more may go now.
    #[serde(default)]
    pub disruptions_allowed: i64,
    /// Pods whose end has been counted, by name.
    #[serde(default)]
    pub disrupted_pods: Vec<String>,
}

/// A cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterFile {
    /// Its nodes, in the order in which they joined.
    pub nodes: Vec<NodeFile>,
    /// Services.
    pub services: Vec<ServiceFile>,
    /// Namespaces.
    pub namespaces: Vec<NamespaceFile>,
    /// Disruption budgets.
    pub pdbs: Vec<BudgetFile>,
    /// Pods bound to nodes that are not known. Nothing looks at them.
    pub unattached_tasks: Vec<PodFile>,
}

impl ClusterFile {
    /// Makes the cluster; rows are places in the list of nodes. A budget with a selector that cannot be
    /// parsed protects nothing.
    ///
    /// # Errors
    ///
    /// If a pod cannot be read.
    pub fn parse(self, names: &mut Names) -> Result<Cluster, UnknownWord> {
        let mut cluster = Cluster::default();
        let nodes: Result<Vec<_>, _> = self.nodes.into_iter().map(|it| it.parse(names)).collect();
        cluster.add_nodes(nodes?);
        let service = |it: ServiceFile| Service { namespace: it.namespace, selector: it.selector };
        cluster.services = self.services.into_iter().map(service).collect();
        cluster.namespaces = self.namespaces.into_iter().map(|it| (it.name, it.labels)).collect();
        for budget in self.pdbs {
            let gone = budget.disrupted_pods.iter();
            let disrupted: BTreeSet<PodId> =
                gone.flat_map(|name| names.find(&budget.namespace, name)).collect();
            let selector = LabelSelectorFile::parse(budget.selector.as_ref());
            cluster.budgets.push(Budget {
                selector: selector.unwrap_or(Selector::NOTHING),
                namespace: budget.namespace,
                allowed: budget.disruptions_allowed,
                disrupted,
            });
        }
        Ok(cluster)
    }
}

/// A resource with its weight.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedFile {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: i64,
}

impl From<&WeightedFile> for profile::Weighted {
    fn from(file: &WeightedFile) -> Self {
        let resource = super::resources::Resource::named(&file.name);
        Self { resource, weight: file.weight }
    }
}

/// A point of the function from utilization to score.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointFile {
    /// Percent.
    pub utilization: i64,
    /// 0 to 10.
    pub score: i64,
}

impl From<&PointFile> for profile::Point {
    fn from(file: &PointFile) -> Self {
        Self { utilization: file.utilization, score: file.score }
    }
}
