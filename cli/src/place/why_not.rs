//! The smallest single change after which a task goes to another node.
//!
//! Nothing here knows a policy. A change is tried by deciding the changed scene again; of changes that have a size, the
//! size is doubled until one works, and the gap to the last that did not is halved until it is as small as the
//! [step](Size::step). So what is reported works, and a little less does not; a smaller one may hide where a policy
//! does not want more of what it wants a little of.

use super::scene::{Happened, Member, Scene, Site};
use cluster::constraint::{Order, Requirement, Test, Toleration};
use cluster::demand::{Amounts, GpuAsk, Resource, TaskDefinition};
use cluster::event::{NodeEvent, NodeReport};
use cluster::explain::{Explanation, Outcome, TieRule, Verdict, in_words};
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::nodes::{DeviceSet, ZONE};
use schedulers::policy::Policy;
use serde::Serialize;

/// How it is with the node as things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is the choice.
    Chosen,
    /// It is as good as the choice; the tie rule took another.
    Tied,
    /// It would do, but is not the best.
    Beaten,
    /// It will not do.
    Rejected,
    /// It was not looked at.
    NotLookedAt,
}

/// A change that works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What sort of change.
    pub kind: Kind,
    /// In words.
    pub text: String,
    /// How much, where it has a size: in the resource's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    /// Of which resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<&'static str>,
    /// How near it brings the task.
    pub brings: Reached,
}

/// What can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The node takes tasks again.
    Activated,
    /// Its ports are free.
    PortFreed,
    /// It has an attribute, or no longer has it.
    Attribute,
    /// It has a taint less.
    TaintRemoved,
    /// The task tolerates a taint.
    TaintTolerated,
    /// A task on it is gone.
    TaskRemoved,
    /// More is free there.
    MoreFree,
    /// Less is free there.
    LessFree,
    /// The task asks for less.
    SmallerRequest,
}

/// The answer to "why not there?".
#[derive(Debug, Clone, Serialize)]
pub struct WhyNot {
    /// The node.
    pub node: String,
    /// How it stands.
    pub standing: Standing,
    /// The smallest change of each kind that works, if any does.
    pub changes: Vec<Change>,
}

/// How near a changed scene comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// The node will not do.
    No,
    /// It would do, but another is taken.
    Allowed,
    /// It is one of several from which is drawn.
    Tied,
    /// It is the choice, whatever the seed.
    Chosen,
}

/// Asks what would have to be otherwise for the task to go to `node`.
pub fn why_not(
    scene: &Scene,
    policy: &Policy,
    seed: u64,
    task: TaskId,
    now: &Explanation,
    node: NodeId,
) -> WhyNot {
    let standing = standing(now, node);
    let name = scene.nodes[node.row()].spec.name.clone();
    let mut changes = Vec::new();
    if standing != Standing::Chosen {
        let search = Search { scene, policy, seed, task, node };
        // Less is worth telling only where nothing makes it certain, and where it is more than what is.
        let so_far = match standing {
            Standing::Tied => Reached::Tied,
            Standing::Beaten | Standing::NotLookedAt => Reached::Allowed,
            Standing::Rejected | Standing::Chosen => Reached::No,
        };
        let wanted = [Reached::Chosen, Reached::Tied, Reached::Allowed];
        changes = wanted
            .into_iter()
            .filter(|it| *it > so_far)
            .map(|it| search.all(it))
            .find(|it| !it.is_empty())
            .unwrap_or_default();
    }
    WhyNot { node: name, standing, changes }
}

fn standing(now: &Explanation, node: NodeId) -> Standing {
    if now.outcome.node() == Some(node) {
        return Standing::Chosen;
    }
    if now.tied.iter().any(|it| it.id == node) {
        return Standing::Tied;
    }
    match now.node(node).map(|it| &it.verdict) {
        Some(Verdict::Scored { .. }) => Standing::Beaten,
        Some(Verdict::NotLookedAt(_)) => Standing::NotLookedAt,
        Some(Verdict::Rejected(_)) | None => Standing::Rejected,
    }
}

struct Search<'a> {
    scene: &'a Scene,
    policy: &'a Policy,
    seed: u64,
    task: TaskId,
    node: NodeId,
}

/// A change with a size.
struct Size {
    kind: Kind,
    resource: Resource,
    /// The finest difference that is looked for.
    step: u64,
    /// The most that makes sense.
    most: u64,
}

impl Search<'_> {
    fn all(&self, wanted: Reached) -> Vec<Change> {
        let mut changes = Vec::new();
        changes.extend(self.activated(wanted));
        changes.extend(self.ports(wanted));
        changes.extend(self.attributes(wanted));
        changes.extend(self.taints(wanted));
        changes.extend(self.removals(wanted));
        for kind in [Kind::MoreFree, Kind::LessFree, Kind::SmallerRequest] {
            for resource in Resource::ALL {
                changes.extend(self.sized(kind, resource, wanted));
            }
        }
        changes
    }

    fn reached(&self, scene: &Scene) -> Reached {
        let Some(said) = scene.explain(self.policy, self.seed, self.task) else {
            return Reached::No;
        };
        let chosen = match said.outcome {
            // Only the decision itself tells.
            Outcome::Unsaid => {
                scene.decide(self.policy, self.seed, self.task).and_then(|it| it.node)
            }
            ref outcome => outcome.node(),
        };
        let is_chosen = chosen == Some(self.node);
        let is_drawn = said.tie == TieRule::Draw && said.tied.len() > 1;
        let verdict = said.node(self.node).map(|it| &it.verdict);
        if is_chosen && !is_drawn {
            Reached::Chosen
        } else if is_drawn && said.tied.iter().any(|it| it.id == self.node) {
            Reached::Tied
        } else if matches!(verdict, Some(Verdict::Scored { .. } | Verdict::NotLookedAt(_))) {
            Reached::Allowed
        } else {
            Reached::No
        }
    }

    fn change(&self, change: impl FnOnce(&mut Scene)) -> Scene {
        let mut scene = self.scene.clone();
        change(&mut scene);
        scene
    }

    fn name(&self) -> &str {
        &self.scene.nodes[self.node.row()].spec.name
    }

    /// A change without a size, if it works.
    fn single(
        &self,
        kind: Kind,
        text: String,
        wanted: Reached,
        change: impl FnOnce(&mut Scene),
    ) -> Option<Change> {
        let reached = self.reached(&self.change(change));
        (reached >= wanted).then_some(Change {
            kind,
            text,
            amount: None,
            resource: None,
            brings: reached,
        })
    }

    fn activated(&self, wanted: Reached) -> Option<Change> {
        let row = self.node.row();
        let since = &self.scene.nodes[row].since;
        let is_lost = since.contains(&Happened::Event(NodeEvent::Lost));
        let is_state = |it: &Happened| match it {
            Happened::Event(event) => {
                matches!(event, NodeEvent::Lost | NodeEvent::Draining | NodeEvent::Returned)
            }
            Happened::Report(report) => !matches!(report, NodeReport::PortsTaken(_)),
        };
        if !since.iter().any(is_state) {
            return None;
        }
        let text = match is_lost {
            true => format!("{} back, with what ran on it", self.name()),
            false => format!("{} taking tasks again", self.name()),
        };
        self.single(Kind::Activated, text, wanted, |it| {
            it.nodes[row].since.retain(|it| !is_state(it));
        })
    }

    fn ports(&self, wanted: Reached) -> Option<Change> {
        let row = self.node.row();
        let site = &self.scene.nodes[row];
        let is_taken = |it: &Happened| matches!(it, Happened::Report(NodeReport::PortsTaken(_)));
        if site.spec.reserved_ports.is_empty() && !site.since.iter().any(is_taken) {
            return None;
        }
        let text = format!("the reserved and taken host ports of {} free", self.name());
        self.single(Kind::PortFreed, text, wanted, |it| {
            it.nodes[row].spec.reserved_ports.clear();
            it.nodes[row].since.retain(|it| !is_taken(it));
        })
    }

    /// Attributes that the task asks for, one at a time.
    fn attributes(&self, wanted: Reached) -> Option<Change> {
        let row = self.node.row();
        let spec = &self.scene.nodes[row].spec;
        let demand = self.definition().demand();
        let asked = demand.requires.iter().chain(demand.any_of.iter().flatten());
        let failing = asked.filter(|it| !it.test.holds(spec.value(&it.attribute)));
        let mut failing = failing.collect::<Vec<&Requirement>>();
        failing.dedup();
        failing.into_iter().find_map(|asked| {
            let name = asked.attribute.clone();
            let value = value_that_holds(&asked.test)?;
            let text = match &value {
                Some(value) => format!("{name}={value} on {}", self.name()),
                None => format!("no {name} on {}", self.name()),
            };
            self.single(Kind::Attribute, text, wanted, |it| {
                let spec = &mut it.nodes[row].spec;
                spec.attributes.retain(|it| it.0 != name);
                match value {
                    Some(value) if name == ZONE => spec.zone = value,
                    Some(value) => {
                        spec.attributes.push((name, value));
                        spec.attributes.sort_unstable();
                    }
                    None => {}
                }
            })
        })
    }

    fn taints(&self, wanted: Reached) -> Vec<Change> {
        let row = self.node.row();
        let mut changes = Vec::new();
        let taints = &self.scene.nodes[row].spec.taints;
        let removed = taints.iter().enumerate().find_map(|(at, taint)| {
            let text = format!("taint {taint} gone from {}", self.name());
            self.single(Kind::TaintRemoved, text, wanted, |it| {
                it.nodes[row].spec.taints.remove(at);
            })
        });
        changes.extend(removed);
        let tolerated = taints.iter().find_map(|taint| {
            let text = format!("taint {taint} tolerated by the task");
            let toleration = Toleration {
                key: Some(taint.key.clone()),
                value: Some(taint.value.clone()),
                effect: Some(taint.effect),
            };
            self.single(Kind::TaintTolerated, text, wanted, |it| {
                self.redefine(it, |definition| {
                    definition.constraints.tolerations.push(toleration);
                });
            })
        });
        changes.extend(tolerated);
        changes
    }

    /// The smallest task whose end is enough.
    fn removals(&self, wanted: Reached) -> Option<Change> {
        let mut there: Vec<(Amounts, usize)> = Vec::new();
        for (at, it) in self.scene.tasks.iter().enumerate() {
            if it.node == Some(self.node) {
                let demand = self.scene.definitions[it.submission.definition.row()].demand();
                there.push((demand.amounts, at));
            }
        }
        there.sort_unstable();
        let mut tried = Vec::new();
        there.into_iter().find_map(|(_, at)| {
            let Member { name, submission, .. } = &self.scene.tasks[at];
            // Tasks that are alike change the same.
            let like = (submission.definition, submission.group, submission.priority);
            if tried.contains(&like) {
                return None;
            }
            tried.push(like);
            let text = format!("{name} gone from {}", self.name());
            self.single(Kind::TaskRemoved, text, wanted, |it| {
                it.tasks.remove(at);
            })
        })
    }

    fn definition(&self) -> &TaskDefinition {
        &self.scene.definitions[self.definition_id().row()]
    }

    fn definition_id(&self) -> DefinitionId {
        let waiting = self.scene.waiting().find(|it| it.task == self.task);
        waiting.expect("the task that is asked about waits").definition
    }

    /// Gives the task a definition of its own, changed.
    fn redefine(&self, scene: &mut Scene, change: impl FnOnce(&mut TaskDefinition)) {
        let mut definition = self.definition().clone();
        change(&mut definition);
        let id = DefinitionId(scene.definitions.len() as u32);
        scene.definitions.push(definition);
        for it in &mut scene.tasks {
            if it.submission.task == self.task {
                it.submission.definition = id;
            }
        }
    }

    /// The smallest amount that is enough, if there is one.
    fn sized(&self, kind: Kind, resource: Resource, wanted: Reached) -> Option<Change> {
        let size = self.size(kind, resource)?;
        let works = |steps: u64| {
            let amount = (steps * size.step).min(size.most);
            let scene = self.resized(&size, amount)?;
            let reached = self.reached(&scene);
            (reached >= wanted).then_some((amount, reached))
        };
        let most = size.most.div_ceil(size.step);
        let (mut fails, mut good) = (0, None);
        let mut steps = 1;
        while good.is_none() && steps < most.saturating_mul(2) {
            let tried = steps.min(most);
            match works(tried) {
                Some(found) => good = Some((tried, found)),
                None => fails = tried,
            }
            steps = steps.saturating_mul(2);
        }
        let (mut enough, mut found) = good?;
        while enough - fails > 1 {
            let middle = u64::midpoint(fails, enough);
            match works(middle) {
                Some(better) => (enough, found) = (middle, better),
                None => fails = middle,
            }
        }
        let (amount, reached) = found;
        let words = in_words(resource, amount);
        let text = match kind {
            Kind::MoreFree => format!("{} more free {resource} on {}", bare(&words), self.name()),
            Kind::LessFree => format!("{} less free {resource} on {}", bare(&words), self.name()),
            _ => format!("{} less {resource} asked for by the task", bare(&words)),
        };
        Some(Change {
            kind,
            text,
            amount: Some(amount),
            resource: Some(resource.name()),
            brings: reached,
        })
    }

    fn size(&self, kind: Kind, resource: Resource) -> Option<Size> {
        let row = resource.row();
        let gpus = |site: &Site| site.spec.capacity.gpus.len() as u64 * 1000;
        let capacity = |site: &Site| match resource {
            Resource::Gpu => gpus(site),
            _ => site.spec.capacity.amounts.array()[row],
        };
        let demand = self.definition().demand();
        let asked = match resource {
            Resource::Gpu => demand.gpus.total_milli(),
            _ => demand.amounts.array()[row],
        };
        let largest = self.scene.nodes.iter().map(capacity).max().unwrap_or(0);
        let step = match resource {
            Resource::Cpu => 1,
            Resource::Memory | Resource::Disk => 1 << 20,
            // Whole devices come and go; a request shrinks by shares.
            Resource::Gpu if kind == Kind::SmallerRequest && demand.gpus.count == 1 => 1,
            Resource::Gpu => 1000,
        };
        let most = match kind {
            Kind::MoreFree => largest.max(asked).saturating_mul(4),
            Kind::LessFree => capacity(&self.scene.nodes[self.node.row()]),
            _ => asked,
        };
        (most > 0).then_some(Size { kind, resource, step, most })
    }

    fn resized(&self, size: &Size, amount: u64) -> Option<Scene> {
        let (row, resource) = (self.node.row(), size.resource);
        let mut scene = self.scene.clone();
        if size.kind == Kind::SmallerRequest {
            let mut definition = self.definition().clone();
            shrink(&mut definition, resource, amount)?;
            self.redefine(&mut scene, |it| *it = definition);
            return Some(scene);
        }
        let asked = self.definition().demand().gpus;
        let capacity = &mut scene.nodes[row].spec.capacity;
        let is_more = size.kind == Kind::MoreFree;
        if resource == Resource::Gpu {
            let devices = (amount / 1000) as usize;
            if is_more {
                let first = capacity.gpus.first().cloned();
                let model = asked.models.first().cloned().or(first).unwrap_or_default();
                if capacity.gpus.len() + devices > DeviceSet::MAX {
                    return None;
                }
                capacity.gpus.extend(std::iter::repeat_n(model, devices));
            } else {
                let left = capacity.gpus.len().checked_sub(devices)?;
                capacity.gpus.truncate(left);
            }
            return Some(scene);
        }
        let mut amounts = capacity.amounts.array();
        let it = &mut amounts[resource.row()];
        *it = if is_more { it.checked_add(amount)? } else { it.checked_sub(amount)? };
        capacity.amounts = Amounts::from_array(amounts);
        Some(scene)
    }
}

/// `0.5 GiB`, but `2` of cpu and gpu, whose words follow.
fn bare(words: &str) -> &str {
    words.strip_suffix(" cpu").or_else(|| words.strip_suffix(" gpu")).unwrap_or(words)
}

/// A value that passes, `None` inside if it is to be absent; `None` outside if none is known.
fn value_that_holds(test: &Test) -> Option<Option<String>> {
    match test {
        Test::In(values) => values.first().map(|it| Some(it.clone())),
        Test::NotIn(_) | Test::Absent => Some(None),
        Test::Exists => Some(Some("yes".to_owned())),
        Test::Above(bound) => bound.checked_add(1).map(|it| Some(it.to_string())),
        Test::Below(bound) => bound.checked_sub(1).map(|it| Some(it.to_string())),
        Test::Ordered(Order::GreaterEqual | Order::LessEqual, bound) => Some(Some(bound.clone())),
        Test::Ordered(..) | Test::Matches(_) | Test::Misses(_) => None,
    }
}

/// Takes an amount off what the containers ask for together, from the first one on.
fn shrink(definition: &mut TaskDefinition, resource: Resource, amount: u64) -> Option<()> {
    let mut left = amount;
    for container in &mut definition.containers {
        let demand = &mut container.demand;
        match resource {
            Resource::Gpu if demand.gpus.count == 1 => {
                let taken = left.min(u64::from(demand.gpus.milli.0));
                demand.gpus.milli.0 -= taken as u32;
                if demand.gpus.milli.0 == 0 {
                    demand.gpus = GpuAsk::default();
                }
                left -= taken;
            }
            Resource::Gpu => {
                let each = u64::from(demand.gpus.milli.0).max(1);
                let devices = (left / each).min(u64::from(demand.gpus.count));
                demand.gpus.count -= devices as u16;
                left -= devices * each;
            }
            _ => {
                let mut amounts = demand.amounts.array();
                let taken = left.min(amounts[resource.row()]);
                amounts[resource.row()] -= taken;
                demand.amounts = Amounts::from_array(amounts);
                left -= taken;
            }
        }
    }
    (left == 0).then_some(())
}
