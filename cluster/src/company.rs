//! Rules about other tasks: which nodes a task may be given as long as those run what they run.
//!
//! Affinity, anti-affinity, topology spread and limits that are hard bind every policy, as what fits does; but they
//! depend on more than shape and node, so that they are asked beside [`Nodes::fits`], and a task that they keep out of
//! every node is held back, not called unfit.
//!
//! Source: Kubernetes v1.35, plugins `InterPodAffinity` and `PodTopologySpread`, filters. As there, a task counts as
//! near only if it passes all hard affinities at once; the first of its kind may go anywhere; tasks that are there
//! already and want to be apart from this one are heard, too; a spread looks at those nodes only that pass the task's
//! own tests of attributes and are in some domain of each of its spreads, and one over every task (no tests of labels)
//! counts nobody. A node without a zone is in no domain. Differs: nodes that are lost have no domain; and see
//! [`constraint`](crate::constraint).

use crate::constraint::{Affinity, Limit, Side, Spread, Strength, Who, all_hold};
use crate::demand::TaskDefinition;
use crate::ids::{DefinitionId, GroupId, NodeId};
use crate::nodes::{NO_ZONE, NodeStatus, Nodes, ZONE};
use crate::state::{State, Task};
use std::collections::BTreeMap;
use std::fmt;

/// The rules about other tasks that bind one task, with those others counted.
#[derive(Debug)]
pub struct Company<'a> {
    nodes: &'a Nodes,
    rules: Vec<Rule<'a>>,
}

#[derive(Debug)]
enum Rule<'a> {
    Near { domain: &'a str, counts: Counts<'a>, is_first: bool },
    Apart { domain: &'a str, counts: Counts<'a>, is_theirs: bool },
    Spread { it: &'a Spread, counts: Counts<'a>, least: u32, own: u32 },
    Limit { it: &'a Limit, counts: Counts<'a>, own: u32 },
}

/// Which rule keeps a task out of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The node has no such attribute, so that it is in no domain.
    NoDomain {
        /// The attribute.
        domain: String,
    },
    /// None of the tasks it is to be near to is in the domain.
    Near {
        /// The attribute.
        domain: String,
    },
    /// Tasks it is to be apart from are in the domain.
    Apart {
        /// The attribute.
        domain: String,
        /// How many.
        count: u32,
        /// Whether it is they who want it.
        is_theirs: bool,
    },
    /// The domain would be too far above the emptiest.
    Spread {
        /// The attribute.
        domain: String,
        /// Tasks there, this one included.
        count: u32,
        /// Tasks in the emptiest domain.
        least: u32,
        /// How far it may be above.
        skew_max: u32,
    },
    /// The domain has enough of them.
    Limit {
        /// The attribute.
        domain: String,
        /// How many it may have.
        max: u32,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDomain { domain } => write!(f, "it has no {domain}"),
            Self::Near { domain } => write!(f, "no task to be near to in its {domain}"),
            Self::Apart { domain, count, is_theirs: false } => {
                write!(f, "{count} to be apart from in its {domain}")
            }
            Self::Apart { domain, count, is_theirs: true } => {
                write!(f, "{count} that want to be apart from it in its {domain}")
            }
            Self::Spread { domain, count, least, skew_max } => write!(
                f,
                "its {domain} would have {count}, the emptiest has {least}, and {skew_max} is the most \
                 they may differ"
            ),
            Self::Limit { domain, max: 0 } => {
                write!(f, "there are tasks that it keeps away from in its {domain}")
            }
            Self::Limit { domain, max } => write!(f, "its {domain} has the {max} it may have"),
        }
    }
}

/// Tasks per domain.
type Counts<'a> = BTreeMap<&'a str, u32>;

impl<'a> Company<'a> {
    /// The rules that bind a task, with the tasks that are placed now counted; `None` if there are none, which
    /// costs nothing.
    ///
    /// Else the cost is one look at every definition, and one at every node that runs tasks that a rule is about.
    pub fn of(state: &'a State, task: &Task) -> Option<Self> {
        let own = state.definition(task.definition);
        let has_own = own.constraints.has_hard_company();
        if !has_own && state.keeping_apart().is_empty() {
            return None;
        }
        let this = Self { nodes: state.nodes(), rules: Vec::new() };
        let mut rules = Vec::new();
        if has_own {
            this.own_rules(state, task, own, &mut rules);
        }
        this.their_rules(state, task, own, &mut rules);
        (!rules.is_empty()).then_some(Self { rules, ..this })
    }

    fn own_rules(
        &self,
        state: &'a State,
        task: &Task,
        own: &'a TaskDefinition,
        rules: &mut Vec<Rule<'a>>,
    ) {
        let hard = || own.constraints.affinity.iter().filter(|it| it.strength == Strength::Hard);
        let near: Vec<&Affinity> = hard().filter(|it| it.side == Side::Near).collect();
        let who: Vec<&Who> = near.iter().map(|it| &it.who).collect();
        let wanted: Vec<Counts<'a>> = near
            .iter()
            .map(|it| self.count(state, task, own, &who, &it.domain, |_| true))
            .collect();
        let is_first = who.iter().all(|it| selects(it, own, task.group, own, task.group))
            && wanted.iter().all(Counts::is_empty);
        for (it, counts) in near.into_iter().zip(wanted) {
            rules.push(Rule::Near { domain: &it.domain, counts, is_first });
        }
        for it in hard().filter(|it| it.side == Side::Apart) {
            let counts = self.count(state, task, own, &[&it.who], &it.domain, |_| true);
            rules.push(Rule::Apart { domain: &it.domain, counts, is_theirs: false });
        }
        let spreads: Vec<&Spread> = own.constraints.spread.iter().filter(|it| it.is_hard).collect();
        let counts_there = |node: NodeId| {
            self.nodes.status(node) != NodeStatus::Lost
                && self.nodes.attributes_fit(state.shape(task.shape), node)
                && spreads.iter().all(|it| domain_of(self.nodes, node, &it.domain).is_some())
        };
        for it in &spreads {
            let is_everybody = matches!(&it.who, Who::Labels { all, .. } if all.is_empty());
            let mut counts = self.count(state, task, own, &[&it.who], &it.domain, |node| {
                !is_everybody && counts_there(node)
            });
            let mut eligible = Counts::new();
            for node in self.nodes.ids().filter(|it| counts_there(*it)) {
                if let Some(domain) = domain_of(self.nodes, node, &it.domain) {
                    eligible.insert(domain, counts.get(domain).copied().unwrap_or(0));
                }
            }
            let is_enough = eligible.len() >= it.domains_min as usize;
            let least = if is_enough { eligible.values().copied().min().unwrap_or(0) } else { 0 };
            counts.retain(|domain, _| eligible.contains_key(domain));
            let own = u32::from(selects(&it.who, own, task.group, own, task.group));
            rules.push(Rule::Spread { it, counts, least, own });
        }
        for it in &own.constraints.limits {
            let counts = self.count(state, task, own, &[&it.who], &it.domain, |_| true);
            let own = u32::from(selects(&it.who, own, task.group, own, task.group));
            rules.push(Rule::Limit { it, counts, own });
        }
    }

    /// Of tasks that are there and want to be apart from this one.
    fn their_rules(
        &self,
        state: &'a State,
        task: &Task,
        own: &TaskDefinition,
        rules: &mut Vec<Rule<'a>>,
    ) {
        for &definition in state.keeping_apart() {
            let theirs = state.definition(definition);
            let apart = theirs.constraints.affinity.iter();
            let apart = apart.filter(|it| it.strength == Strength::Hard && it.side == Side::Apart);
            for it in apart {
                let mut counts = Counts::new();
                let placed = state.placed_of(definition).on_nodes();
                for &(node, count) in placed {
                    let meant = match &it.who {
                        Who::Labels { .. } if selects(&it.who, theirs, None, own, task.group) => {
                            count
                        }
                        Who::Labels { .. } => 0,
                        Who::Group => in_group(state, node, definition, task.group),
                    };
                    self.add(&mut counts, &it.domain, node, meant);
                }
                if !counts.is_empty() {
                    rules.push(Rule::Apart { domain: &it.domain, counts, is_theirs: true });
                }
            }
        }
    }

    /// Placed tasks that are meant by all of these, per domain, on those nodes.
    fn count(
        &self,
        state: &'a State,
        task: &Task,
        own: &TaskDefinition,
        who: &[&Who],
        domain: &str,
        on: impl Fn(NodeId) -> bool,
    ) -> Counts<'a> {
        let mut counts = Counts::new();
        let by_labels: Vec<&Who> = who.iter().copied().filter(|it| **it != Who::Group).collect();
        let by_group = by_labels.len() < who.len();
        if by_group && by_labels.is_empty() {
            let group = task.group.and_then(|it| state.group(it));
            let there = group.map_or(&[][..], |it| it.on_nodes()).iter();
            for &(node, count) in there.filter(|it| on(it.0)) {
                self.add(&mut counts, domain, node, count);
            }
            return counts;
        }
        for definition in (0..state.definition_count() as u32).map(DefinitionId) {
            let other = state.definition(definition);
            if by_labels.iter().all(|it| selects(it, own, None, other, None)) {
                let there = state.placed_of(definition).on_nodes().iter();
                for &(node, count) in there.filter(|it| on(it.0)) {
                    let count = match by_group {
                        true => in_group(state, node, definition, task.group),
                        false => count,
                    };
                    self.add(&mut counts, domain, node, count);
                }
            }
        }
        counts
    }

    fn add(&self, counts: &mut Counts<'a>, domain: &str, node: NodeId, count: u32) {
        if let Some(domain) = domain_of(self.nodes, node, domain).filter(|_| count > 0) {
            *counts.entry(domain).or_insert(0) += count;
        }
    }

    /// Whether the task may be given this node.
    ///
    /// # Errors
    ///
    /// The first rule that says no.
    pub fn allows(&self, node: NodeId) -> Result<(), Broken> {
        self.rules.iter().try_for_each(|it| it.allows(self.nodes, node))
    }

    /// All rules that say no to this node.
    pub fn broken(&self, node: NodeId) -> impl Iterator<Item = Broken> {
        self.rules.iter().filter_map(move |it| it.allows(self.nodes, node).err())
    }
}

impl Rule<'_> {
    fn allows(&self, nodes: &Nodes, node: NodeId) -> Result<(), Broken> {
        let (name, counts) = match self {
            Self::Near { domain, counts, .. } | Self::Apart { domain, counts, .. } => {
                (*domain, counts)
            }
            Self::Spread { it, counts, .. } => (it.domain.as_str(), counts),
            Self::Limit { it, counts, .. } => (it.domain.as_str(), counts),
        };
        let domain = || name.to_owned();
        let Some(value) = domain_of(nodes, node, name) else {
            // Where there is no domain, nobody is in it.
            return match self {
                Self::Apart { .. } => Ok(()),
                _ => Err(Broken::NoDomain { domain: domain() }),
            };
        };
        let count = counts.get(value).copied().unwrap_or(0);
        match *self {
            Self::Near { is_first, .. } if count == 0 && !is_first => {
                Err(Broken::Near { domain: domain() })
            }
            Self::Apart { is_theirs, .. } if count > 0 => {
                Err(Broken::Apart { domain: domain(), count, is_theirs })
            }
            Self::Spread { it, least, own, .. } if count + own > least + it.skew_max => {
                let (count, skew_max) = (count + own, it.skew_max);
                Err(Broken::Spread { domain: domain(), count, least, skew_max })
            }
            Self::Limit { it, own, .. } if count + own > it.max => {
                Err(Broken::Limit { domain: domain(), max: it.max })
            }
            _ => Ok(()),
        }
    }
}

/// The domain that a node is in.
fn domain_of<'a>(nodes: &'a Nodes, node: NodeId, domain: &str) -> Option<&'a str> {
    nodes.text(node, domain).filter(|it| domain != ZONE || *it != NO_ZONE)
}

/// Whether a rule of a task of `own` is about a task of `other`.
fn selects(
    who: &Who,
    own: &TaskDefinition,
    own_group: Option<GroupId>,
    other: &TaskDefinition,
    other_group: Option<GroupId>,
) -> bool {
    match who {
        Who::Group => own_group.is_some() && own_group == other_group,
        Who::Labels { all, namespaces } => {
            let is_there = if namespaces.is_empty() {
                own.namespace == other.namespace
            } else {
                namespaces.contains(&other.namespace)
            };
            is_there && all_hold(all, &other.labels)
        }
    }
}

/// Tasks of a definition and a group on a node.
fn in_group(state: &State, node: NodeId, definition: DefinitionId, group: Option<GroupId>) -> u32 {
    let is_meant = |it: &Task| it.definition == definition && it.group == group;
    let tasks = state.tasks_on(node).iter().filter_map(|it| state.task(*it));
    tasks.filter(|it| group.is_some() && is_meant(it)).count() as u32
}
