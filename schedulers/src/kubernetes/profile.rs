//! What can be configured, and what the default profile has.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/apis/config` (`v1/default_plugins.go`, `v1/defaults.go`,
//! `validation`).

use super::labels::{InvalidSelector, Selector};
use super::node_terms::NodeAffinity;
use super::node_tree::{HOSTNAME, ZONE};
use super::pod::{Inclusion, SpreadConstraint, Unsatisfiable, Within};
use super::resources::Resource;

/// The extended resource of GPUs.
pub const GPU: &str = "nvidia.com/gpu";

/// A filter of the default profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Cordoned nodes.
    NodeUnschedulable,
    /// The one node named by the pod.
    NodeName,
    /// Taints that forbid.
    TaintToleration,
    /// Node selector and required node affinity.
    NodeAffinity,
    /// Ports of the node.
    NodePorts,
    /// Room.
    NodeResourcesFit,
    /// Spread constraints that forbid.
    PodTopologySpread,
    /// Required affinity between pods.
    InterPodAffinity,
}

impl Filter {
    /// All, in the order in which they run. Filters about volumes and dynamic resources are left out: our
    /// pods have neither.
    pub const ALL: [Self; 8] = [
        Self::NodeUnschedulable,
        Self::NodeName,
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodePorts,
        Self::NodeResourcesFit,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
    ];

    /// The plugin's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
        }
    }
}

/// A score of the default profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Score {
    /// Fewer taints that only prefer.
    TaintToleration,
    /// Preferred node affinity.
    NodeAffinity,
    /// What is requested, by the [`Strategy`].
    NodeResourcesFit,
    /// Fewer pods like this one in the same place.
    PodTopologySpread,
    /// Preferred affinity between pods.
    InterPodAffinity,
    /// Resources used to the same degree.
    NodeResourcesBalancedAllocation,
    /// Images that are there already.
    ImageLocality,
}

impl Score {
    /// All, with the weights of the default profile.
    pub const DEFAULT_WEIGHTS: [(Self, i64); 7] = [
        (Self::TaintToleration, 3),
        (Self::NodeAffinity, 2),
        (Self::NodeResourcesFit, 1),
        (Self::PodTopologySpread, 2),
        (Self::InterPodAffinity, 2),
        (Self::NodeResourcesBalancedAllocation, 1),
        (Self::ImageLocality, 1),
    ];

    /// The plugin's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
        }
    }
}

/// Which release decides, where releases differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// v1.23: spread scores are truncated, pods that ask for nothing are scored for balance, init
    /// containers' images do not count, the reason names the taint.
    V1_23,
    /// v1.35: spread scores are rounded half away from zero, and so on.
    #[default]
    V1_35,
}

/// A resource with its weight in a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighted {
    /// The resource.
    pub resource: Resource,
    /// Its weight, 1 to 100.
    pub weight: i64,
}

impl Weighted {
    /// CPU and memory, each with weight 1.
    pub fn cpu_and_memory() -> Vec<Self> {
        [Resource::Cpu, Resource::Memory].map(|resource| Self { resource, weight: 1 }).into()
    }
}

/// A point of the function from utilization to score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Percent of what is allocatable, 0 to 100.
    pub utilization: i64,
    /// Score, 0 to 10.
    pub score: i64,
}

/// How `NodeResourcesFit` scores a node by what is requested of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The more is left the better.
    #[default]
    LeastAllocated,
    /// The less is left the better.
    MostAllocated,
    /// A function of the share requested, linear between these points.
    RequestedToCapacityRatio(Vec<Point>),
}

/// Spread constraints of pods that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SpreadDefaults {
    /// Over host names with skew 3 and over zones with skew 5, as scores; nodes need not have the labels.
    #[default]
    System,
    /// These; their selectors are ignored.
    List(Vec<SpreadConstraint>),
}

impl SpreadDefaults {
    /// The constraints, with selectors yet to be filled in.
    pub fn constraints(&self) -> Vec<SpreadConstraint> {
        let soft = |key: &str, max_skew| SpreadConstraint {
            max_skew,
            topology_key: key.to_owned(),
            unsatisfiable: Unsatisfiable::ScheduleAnyway,
            selector: Ok(Selector::NOTHING),
            within: Within::Own,
            min_domains: 1,
            node_affinity: Inclusion::Honor,
            node_taints: Inclusion::Ignore,
        };
        match self {
            Self::System => vec![soft(HOSTNAME, 3), soft(ZONE, 5)],
            Self::List(constraints) => constraints.clone(),
        }
    }
}

/// A configuration of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Which release decides, where releases differ.
    pub release: Release,
    /// The filters, in the order in which they run.
    pub filters: Vec<Filter>,
    /// The scores and their weights. Their order changes nothing but that of explanations.
    pub scores: Vec<(Score, i64)>,
    /// How what is requested is scored.
    pub strategy: Strategy,
    /// The resources of that score.
    pub strategy_resources: Vec<Weighted>,
    /// The resources that are to be in balance.
    pub balanced_resources: Vec<Weighted>,
    /// What a required affinity of a running pod to the new one counts in the score, 0 to 100.
    pub hard_pod_affinity_weight: i64,
    /// Preferences of running pods count only for pods that have some themselves.
    pub ignore_preferences_of_running_pods: bool,
    /// Node affinity that is added to every pod's.
    pub added_affinity: NodeAffinity,
    /// Spread constraints of pods that have none.
    pub spread_defaults: SpreadDefaults,
    /// How many of the nodes that fit are scored, in percent; 0 to follow the size of the cluster.
    pub percentage_of_nodes_to_score: i64,
    /// How many nodes are looked at for preemption, in percent of those in question.
    pub preemption_percentage: i64,
    /// How many nodes at least.
    pub preemption_nodes_min: i64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            release: Release::default(),
            filters: Filter::ALL.to_vec(),
            scores: Score::DEFAULT_WEIGHTS.to_vec(),
            strategy: Strategy::default(),
            strategy_resources: Weighted::cpu_and_memory(),
            balanced_resources: Weighted::cpu_and_memory(),
            hard_pod_affinity_weight: 1,
            ignore_preferences_of_running_pods: false,
            added_affinity: NodeAffinity::default(),
            spread_defaults: SpreadDefaults::default(),
            percentage_of_nodes_to_score: 0,
            preemption_percentage: 10,
            preemption_nodes_min: 100,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct ConfigError {
    /// Where: the path within the arguments of its plugin, such as `scoringStrategy.resources[0].weight`.
    pub field: String,
    /// Why.
    pub why: Fault,
}

/// Why a value of the configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is out of its range.
    #[error("{value} is not from {low} to {high}")]
    Range {
        /// The value.
        value: i64,
        /// The lowest that may be.
        low: i64,
        /// The highest that may be.
        high: i64,
    },
    /// It is missing.
    #[error("must be given")]
    Missing,
    /// It is not above the one before it.
    #[error("{0} is not above the one before it")]
    NotIncreasing(i64),
    /// It stands there twice.
    #[error("stands there twice")]
    Twice,
    /// It cannot be parsed.
    #[error(transparent)]
    Selector(InvalidSelector),
}

struct Faults(Vec<ConfigError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, why: Fault) {
        self.0.push(ConfigError { field: field.into(), why });
    }

    fn range(&mut self, field: impl Into<String>, value: i64, low: i64, high: i64) {
        if !(low..=high).contains(&value) {
            self.add(field, Fault::Range { value, low, high });
        }
    }
}

impl Profile {
    /// An approximation of GKE's `optimize-utilization`: the default profile, with the most allocated nodes
    /// preferred by CPU, memory and GPUs. Google documents the aim, not the configuration; whether balance
    /// and spread defaults are kept is not known, and [`Profile::without`] drops them.
    pub fn gke_optimize_utilization() -> Self {
        let mut strategy_resources = Weighted::cpu_and_memory();
        strategy_resources.push(Weighted { resource: Resource::named(GPU), weight: 1 });
        Self { strategy: Strategy::MostAllocated, strategy_resources, ..Self::default() }
    }

    /// The same without one of the scores.
    pub fn without(mut self, score: Score) -> Self {
        self.scores.retain(|it| it.0 != score);
        self
    }

    /// Checks what the real scheduler checks when it reads its configuration.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut faults = Faults(Vec::new());
        for (at, it) in self.strategy_resources.iter().enumerate() {
            faults.range(format!("scoringStrategy.resources[{at}].weight"), it.weight, 1, 100);
        }
        if let Strategy::RequestedToCapacityRatio(shape) = &self.strategy {
            check_shape("scoringStrategy.requestedToCapacityRatio.shape", shape, &mut faults);
        }
        for (at, it) in self.balanced_resources.iter().enumerate() {
            if self.balanced_resources[..at].iter().any(|other| other.resource == it.resource) {
                faults.add(format!("resources[{at}].name"), Fault::Twice);
            }
            faults.range(format!("resources[{at}].weight"), it.weight, 1, 1);
        }
        faults.range("hardPodAffinityWeight", self.hard_pod_affinity_weight, 0, 100);
        self.check_added_affinity(&mut faults);
        self.check_spread_defaults(&mut faults);
        faults.range("percentageOfNodesToScore", self.percentage_of_nodes_to_score, 0, 100);
        let preemption = "minCandidateNodes";
        faults.range(format!("{preemption}Percentage"), self.preemption_percentage, 0, 100);
        faults.range(format!("{preemption}Absolute"), self.preemption_nodes_min, 0, i64::MAX);
        if self.preemption_percentage == 0 && self.preemption_nodes_min == 0 {
            faults.add(format!("{preemption}Percentage"), Fault::Missing);
            faults.add(format!("{preemption}Absolute"), Fault::Missing);
        }
        for (score, weight) in &self.scores {
            faults.range(format!("{}.weight", score.name()), *weight, 1, i64::MAX / 100);
        }
        if faults.0.is_empty() { Ok(()) } else { Err(faults.0) }
    }

    fn check_added_affinity(&self, faults: &mut Faults) {
        let required = self.added_affinity.required.iter().flatten();
        let required = required.filter(|it| !it.is_empty()).find_map(|it| it.check().err());
        let kinds =
            [("required", required), ("preferred", self.added_affinity.check_preferred().err())];
        for (kind, error) in kinds {
            if let Some(error) = error {
                let field = format!("addedAffinity.{kind}DuringSchedulingIgnoredDuringExecution");
                faults.add(field, Fault::Selector(error));
            }
        }
    }

    fn check_spread_defaults(&self, faults: &mut Faults) {
        let SpreadDefaults::List(constraints) = &self.spread_defaults else { return };
        for (at, it) in constraints.iter().enumerate() {
            let field = format!("defaultConstraints[{at}]");
            faults.range(format!("{field}.maxSkew"), it.max_skew, 1, i64::from(i32::MAX));
            if it.topology_key.is_empty() {
                faults.add(format!("{field}.topologyKey"), Fault::Missing);
            }
            let same = |other: &SpreadConstraint| {
                (&other.topology_key, other.unsatisfiable) == (&it.topology_key, it.unsatisfiable)
            };
            if constraints[..at].iter().any(same) {
                faults.add(field, Fault::Twice);
            }
        }
    }
}

fn check_shape(field: &str, shape: &[Point], faults: &mut Faults) {
    if shape.is_empty() {
        faults.add(field, Fault::Missing);
    }
    let falls = shape.windows(2).position(|it| it[0].utilization >= it[1].utilization);
    if let Some(at) = falls {
        let why = Fault::NotIncreasing(shape[at + 1].utilization);
        faults.add(format!("{field}[{}].utilization", at + 1), why);
    }
    for (at, point) in shape.iter().enumerate() {
        faults.range(format!("{field}[{at}].utilization"), point.utilization, 0, 100);
        faults.range(format!("{field}[{at}].score"), point.score, 0, 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(change: impl FnOnce(&mut Profile)) -> Vec<String> {
        let mut profile = Profile::default();
        change(&mut profile);
        profile.validate().err().into_iter().flatten().map(|it| it.field).collect()
    }

    fn ratio(points: &[(i64, i64)]) -> Strategy {
        let point = |&(utilization, score)| Point { utilization, score };
        Strategy::RequestedToCapacityRatio(points.iter().map(point).collect())
    }

    #[test]
    fn the_default_is_sound() {
        assert!(fields(|_| {}).is_empty());
        let gke = Profile::gke_optimize_utilization().without(Score::PodTopologySpread);
        assert_eq!((gke.validate(), gke.scores.len()), (Ok(()), 6));
    }

    #[test]
    fn weights_of_resources() {
        for (weight, sound) in [(-1, false), (0, false), (1, true), (100, true), (101, false)] {
            let found = fields(|it| it.strategy_resources[1].weight = weight);
            assert_eq!(found.is_empty(), sound, "{weight}: {found:?}");
        }
        assert_eq!(fields(|it| it.balanced_resources[0].weight = 2), ["resources[0].weight"]);
        let twice = fields(|it| it.balanced_resources[1].resource = Resource::Cpu);
        assert_eq!(twice, ["resources[1].name"]);
    }

    #[test]
    fn shapes() {
        let base = "scoringStrategy.requestedToCapacityRatio.shape";
        for (points, found) in [
            (&[(0, 0), (100, 10)][..], vec![]),
            (&[], vec![""]),
            (&[(10, 0), (10, 1)], vec!["[1].utilization"]),
            (&[(-1, 0), (101, 1)], vec!["[0].utilization", "[1].utilization"]),
            (&[(0, 11), (1, -1)], vec!["[0].score", "[1].score"]),
        ] {
            let found: Vec<String> = found.iter().map(|it| format!("{base}{it}")).collect();
            assert_eq!(fields(|it| it.strategy = ratio(points)), found, "{points:?}");
        }
    }

    #[test]
    fn affinity_and_spread() {
        assert_eq!(fields(|it| it.hard_pod_affinity_weight = 101), ["hardPodAffinityWeight"]);
        let mut constraints = SpreadDefaults::System.constraints();
        constraints[0].max_skew = 0;
        constraints[1].topology_key = constraints[0].topology_key.clone();
        let found = fields(|it| it.spread_defaults = SpreadDefaults::List(constraints));
        assert_eq!(found, ["defaultConstraints[0].maxSkew", "defaultConstraints[1]"]);
    }
}
