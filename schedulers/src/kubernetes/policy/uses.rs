//! What nodes and tasks ask of a scheduler, and which filters and scores have a say by that.

use crate::kubernetes::profile::{Filter, Profile, Score};
use cluster::constraint::{Effect, Side, Strength, Who};
use cluster::demand::TaskDefinition;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;

/// What some node or task has asked. Once asked it stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Uses {
    hard_taints: bool,
    soft_taints: bool,
    images: bool,
    ports: bool,
    preferences: bool,
    hard_spread: bool,
    hard_affinity: bool,
    /// Any affinity that scores: hard ones of tasks that run draw others, too.
    affinity: bool,
    /// Rules about a task's own group.
    pub(super) groups: bool,
}

impl Uses {
    pub(super) fn note_node(&mut self, nodes: &Nodes, node: NodeId) {
        for taint in nodes.taints(node) {
            match taint.effect {
                Effect::PreferNoSchedule => self.soft_taints = true,
                Effect::NoSchedule | Effect::NoExecute => self.hard_taints = true,
            }
        }
        self.images |= !nodes.images(node).is_empty();
    }

    pub(super) fn note_definition(&mut self, definition: &TaskDefinition) {
        let rules = &definition.constraints;
        self.ports |= definition.containers.iter().any(|it| !it.demand.ports.is_empty());
        self.preferences |= !rules.prefers.is_empty();
        self.hard_spread |= rules.spread.iter().any(|it| it.is_hard);
        for it in &rules.affinity {
            let is_hard = it.strength == Strength::Hard;
            self.hard_affinity |= is_hard;
            self.affinity |= !is_hard || it.side == Side::Near;
        }
        let mut who =
            rules.affinity.iter().map(|it| &it.who).chain(rules.spread.iter().map(|it| &it.who));
        self.groups |= who.any(|it| *it == Who::Group);
    }

    /// The profile without what says the same of every node. Pods of ours name no node; spread by
    /// the defaults is for services, which may come at any time.
    pub(super) fn with_a_say(self, profile: &Profile) -> Profile {
        let filters = |it: &Filter| match it {
            Filter::NodeUnschedulable | Filter::NodeAffinity | Filter::NodeResourcesFit => true,
            Filter::NodeName => false,
            Filter::TaintToleration => self.hard_taints,
            Filter::NodePorts => self.ports,
            Filter::PodTopologySpread => self.hard_spread,
            Filter::InterPodAffinity => self.hard_affinity,
        };
        let scores = |it: &(Score, i64)| match it.0 {
            Score::NodeResourcesFit
            | Score::PodTopologySpread
            | Score::NodeResourcesBalancedAllocation => true,
            Score::TaintToleration => self.soft_taints,
            Score::NodeAffinity => self.preferences,
            Score::InterPodAffinity => self.affinity,
            Score::ImageLocality => self.images,
        };
        let mut kept = profile.clone();
        kept.filters.retain(filters);
        kept.scores.retain(scores);
        kept
    }
}
