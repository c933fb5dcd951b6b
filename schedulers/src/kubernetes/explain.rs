//! What a decision says about itself.

use super::cluster::Cluster;
use super::labels::InvalidSelector;
use super::node::Node;
use super::profile::{Filter, Release, Score};
use super::taints::Taint;
use std::collections::BTreeMap;

/// How a filter answers for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The node will do.
    Success,
    /// It will not, but might if other pods left.
    Unschedulable,
    /// It will not, whoever leaves.
    UnschedulableAndUnresolvable,
}

impl Status {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Unschedulable => "Unschedulable",
            Self::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
        }
    }
}

/// What a node is short of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shortage {
    /// Places for pods.
    pub pods: bool,
    /// CPU.
    pub cpu: bool,
    /// Memory.
    pub memory: bool,
    /// Local scratch storage.
    pub ephemeral: bool,
    /// Other resources, by name.
    pub extended: Vec<String>,
    /// The pod asks for more of something than the node offers when empty.
    pub hopeless: bool,
}

impl Shortage {
    /// Whether it is short of nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn reasons(&self) -> Vec<String> {
        let named = [
            (self.pods, "Too many pods"),
            (self.cpu, "Insufficient cpu"),
            (self.memory, "Insufficient memory"),
            (self.ephemeral, "Insufficient ephemeral-storage"),
        ];
        let named = named.into_iter().filter(|it| it.0).map(|it| it.1.to_owned());
        named.chain(self.extended.iter().map(|it| format!("Insufficient {it}"))).collect()
    }
}

/// Why a node was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is cordoned.
    Cordoned,
    /// The pod names another node.
    OtherNodeNamed,
    /// It has a taint that is not tolerated: which one of its taints.
    Taint(usize),
    /// It does not meet the affinity that the profile adds.
    AddedAffinity,
    /// It does not meet the pod's node selector or node affinity.
    NodeAffinity,
    /// The pod's node affinity names only nodes of other names.
    NotAmongNames,
    /// The pod's node affinity contradicts itself.
    ContradictoryNames,
    /// A port is taken.
    Ports,
    /// It is short of something.
    Resources(Shortage),
    /// It lacks a label that a spread constraint needs.
    SpreadLabel,
    /// The pod would make the spread too uneven.
    Spread,
    /// The pods that the pod must be near are not near.
    Affinity,
    /// Pods that the pod must be away from are near.
    AntiAffinity,
    /// Pods near must be away from this one.
    RunningAntiAffinity,
    /// A term about other pods cannot be parsed.
    Terms(InvalidSelector),
}

impl Rejection {
    /// The filter that says so.
    pub fn filter(&self) -> Filter {
        match self {
            Self::Cordoned => Filter::NodeUnschedulable,
            Self::OtherNodeNamed => Filter::NodeName,
            Self::Taint(_) => Filter::TaintToleration,
            Self::AddedAffinity
            | Self::NodeAffinity
            | Self::NotAmongNames
            | Self::ContradictoryNames => Filter::NodeAffinity,
            Self::Ports => Filter::NodePorts,
            Self::Resources(_) => Filter::NodeResourcesFit,
            Self::SpreadLabel | Self::Spread => Filter::PodTopologySpread,
            Self::Affinity | Self::AntiAffinity | Self::RunningAntiAffinity | Self::Terms(_) => {
                Filter::InterPodAffinity
            }
        }
    }

    /// Whether preemption may help.
    pub fn status(&self) -> Status {
        match self {
            Self::Ports | Self::Spread | Self::AntiAffinity | Self::RunningAntiAffinity => {
                Status::Unschedulable
            }
            Self::Resources(short) if !short.hopeless => Status::Unschedulable,
            _ => Status::UnschedulableAndUnresolvable,
        }
    }

    /// In the words of the real scheduler, one for each thing that is wrong.
    pub fn reasons(&self, node: &Node, release: Release) -> Vec<String> {
        let text = match self {
            Self::Cordoned => "node(s) were unschedulable",
            Self::OtherNodeNamed => "node(s) didn't match the requested node name",
            Self::Taint(at) => match (release, node.taints.get(*at)) {
                (Release::V1_23, Some(Taint { key, value, .. })) => {
                    let taint = format!("{{{key}: {value}}}");
                    return vec![format!(
                        "node(s) had taint {taint}, that the pod didn't tolerate"
                    )];
                }
                _ => "node(s) had untolerated taint(s)",
            },
            Self::AddedAffinity => "node(s) didn't match scheduler-enforced node affinity",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::NotAmongNames => "node(s) didn't satisfy plugin(s) [NodeAffinity]",
            Self::ContradictoryNames => "pod affinity terms conflict",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::Resources(short) => return short.reasons(),
            Self::SpreadLabel => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::RunningAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Self::Terms(error) => return vec![error.to_string()],
        };
        vec![text.to_owned()]
    }
}

/// Is told of every step of a decision. The one that listens to nothing, `()`, costs nothing.
pub trait Recorder {
    /// A node was rejected.
    fn rejected(&mut self, _row: usize, _why: &Rejection) {}
    /// A node passed all filters.
    fn passed(&mut self, _row: usize) {}
    /// A score has nothing to say about this pod.
    fn skipped(&mut self, _score: Score) {}
    /// The plain values of a score, one for each row.
    fn raw(&mut self, _score: Score, _rows: &[usize], _values: &[i64]) {}
    /// The same after normalisation, 0 to 100, and the weight they are multiplied by.
    fn normalised(&mut self, _score: Score, _rows: &[usize], _values: &[i64], _weight: i64) {}
}

impl Recorder for () {}

/// One score of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Term {
    /// As the plugin computes it.
    pub raw: i64,
    /// Brought to 0 to 100.
    pub normalised: i64,
    /// Times its weight.
    pub weighted: i64,
}

/// What was found out about a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeExplanation {
    /// Why it was rejected, if so.
    pub rejection: Option<Rejection>,
    /// Its scores, if there was anything to choose between.
    pub scores: BTreeMap<Score, Term>,
}

impl NodeExplanation {
    /// Success, or the status of the rejection.
    pub fn status(&self) -> Status {
        self.rejection.as_ref().map_or(Status::Success, Rejection::status)
    }

    /// The sum of its weighted scores.
    pub fn total(&self) -> i64 {
        self.scores.values().map(|it| it.weighted).sum()
    }
}

/// All that was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// By row; nodes that were not looked at are missing.
    pub nodes: BTreeMap<usize, NodeExplanation>,
    /// Scores with nothing to say about this pod.
    pub skipped: Vec<Score>,
}

impl Explanation {
    /// How many nodes were rejected for each reason; a node counts for each thing that is wrong with it.
    pub fn counts(&self, cluster: &Cluster, release: Release) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (&row, node) in &self.nodes {
            let reasons =
                node.rejection.iter().flat_map(|it| it.reasons(cluster.node(row), release));
            reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
        }
        counts
    }
}

impl Recorder for Explanation {
    fn rejected(&mut self, row: usize, why: &Rejection) {
        self.nodes.entry(row).or_default().rejection = Some(why.clone());
    }

    fn passed(&mut self, row: usize) {
        self.nodes.entry(row).or_default();
    }

    fn skipped(&mut self, score: Score) {
        self.skipped.push(score);
    }

    fn raw(&mut self, score: Score, rows: &[usize], values: &[i64]) {
        for (row, &raw) in rows.iter().zip(values) {
            self.nodes.entry(*row).or_default().scores.entry(score).or_default().raw = raw;
        }
    }

    fn normalised(&mut self, score: Score, rows: &[usize], values: &[i64], weight: i64) {
        for (row, &normalised) in rows.iter().zip(values) {
            let scores = &mut self.nodes.entry(*row).or_default().scores;
            let term = scores.entry(score).or_default();
            (term.normalised, term.weighted) = (normalised, normalised * weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_said_in_order() {
        let short = Shortage {
            pods: true,
            memory: true,
            extended: vec!["nvidia.com/gpu".to_owned()],
            ..Shortage::default()
        };
        let rejection = Rejection::Resources(short.clone());
        let reasons = rejection.reasons(&Node::named("n"), Release::V1_35);
        let expected = ["Too many pods", "Insufficient memory", "Insufficient nvidia.com/gpu"];
        assert_eq!(reasons, expected);
        let mut cluster = Cluster::default();
        cluster.add_nodes([Node::named("a"), Node::named("b"), Node::named("c")]);
        let mut said = Explanation::default();
        said.rejected(0, &rejection);
        said.rejected(1, &Rejection::Resources(Shortage { pods: true, ..Shortage::default() }));
        said.passed(2);
        assert_eq!(said.counts(&cluster, Release::V1_35)["Too many pods"], 2);
        assert_eq!(said.counts(&cluster, Release::V1_35).values().sum::<usize>(), 4);
        assert_eq!(rejection.status(), Status::Unschedulable);
        let hopeless = Rejection::Resources(Shortage { hopeless: true, ..short });
        assert_eq!(hopeless.status(), Status::UnschedulableAndUnresolvable);
    }

    #[test]
    fn the_older_release_names_the_taint() {
        let mut node = Node::named("n");
        let (key, value) = ("k".to_owned(), "v".to_owned());
        node.taints =
            vec![Taint { key, value, effect: crate::kubernetes::taints::Effect::NoExecute }];
        let said = |release| Rejection::Taint(0).reasons(&node, release).join("");
        assert_eq!(said(Release::V1_35), "node(s) had untolerated taint(s)");
        assert_eq!(said(Release::V1_23), "node(s) had taint {k: v}, that the pod didn't tolerate");
    }
}
