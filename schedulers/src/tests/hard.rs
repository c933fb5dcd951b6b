//! What no strategy may break, counted again from the story: a ledger of its own, and one function for each
//! kind of hard constraint.

use super::Life;
use cluster::constraint::{Affinity, Side, Spread, Strength, Who, all_hold};
use cluster::demand::{Amounts, Demand, Port, TaskDefinition};
use cluster::ids::{GroupId, NodeId, TaskId};
use cluster::nodes::{DeviceSet, NO_ZONE, NodeSpec, NodeStatus, ZONE};
use cluster::units::GpuMilli;

/// A kind of hard constraint: whether a node may be given this task.
struct Hard {
    broken: &'static str,
    allows: fn(&Ledger<'_>, NodeId, Member<'_>) -> bool,
}

/// All kinds. A new one is a line here, and a part of [`definition`](super::definition).
const HARD: &[Hard] = &[
    Hard { broken: "the node is not ready", allows: is_ready },
    Hard { broken: "the node is full", allows: has_room },
    Hard { broken: "the node lacks devices of these models", allows: has_devices },
    Hard { broken: "a port is taken", allows: has_ports },
    Hard { broken: "an attribute is not as required", allows: has_attributes },
    Hard { broken: "a taint is not tolerated", allows: has_no_taint },
    Hard { broken: "no task to be near to is there", allows: is_near },
    Hard { broken: "a task to be apart from is there", allows: is_apart },
    Hard { broken: "a task there wants to be apart from it", allows: others_are_apart },
    Hard { broken: "the domain is too far above the emptiest", allows: is_spread },
    Hard { broken: "the domain has enough of them", allows: is_within_limits },
];

/// A task, as far as others care.
#[derive(Clone, Copy)]
struct Member<'a> {
    task: TaskId,
    spec: &'a TaskDefinition,
    group: Option<GroupId>,
}

/// What runs where.
pub(super) struct Ledger<'a> {
    life: &'a Life<'a>,
    /// By row.
    nodes: Vec<Kept<'a>>,
}

/// A node as far as the story tells.
struct Kept<'a> {
    spec: &'a NodeSpec,
    status: NodeStatus,
    /// Host ports that others hold.
    taken: &'a [Port],
    runs: Vec<(Member<'a>, DeviceSet)>,
}

impl<'a> Ledger<'a> {
    /// As it was before the last decision.
    pub(super) fn before(life: &'a Life<'a>) -> Self {
        let state = life.manager.state();
        let kept = |(row, spec)| {
            let node = NodeId(row as u32);
            let ran = life.placed.iter().filter(|it| it.1 == node);
            let runs = ran.map(|&(id, _, devices)| (member(life, id), devices));
            Kept {
                spec,
                status: state.nodes().status(node),
                taken: state.nodes().taken_ports(node),
                runs: runs.collect(),
            }
        };
        Self { life, nodes: life.joined.iter().enumerate().map(kept).collect() }
    }

    /// Starts one of them, or says what it breaks.
    pub(super) fn start(
        &mut self,
        task: TaskId,
        node: NodeId,
        devices: DeviceSet,
    ) -> Result<(), &'static str> {
        let task = member(self.life, task);
        if let Some(hard) = HARD.iter().find(|it| !(it.allows)(self, node, task)) {
            return Err(hard.broken);
        }
        let (kept, demand) = (&mut self.nodes[node.row()], task.demand());
        let right = devices.iter().all(|it| kept.device_fits(it, demand));
        if !right || devices.count() != u32::from(demand.gpus.count) {
            return Err("these are not the devices it asked for");
        }
        kept.runs.push((task, devices));
        Ok(())
    }

    /// Takes a task off its node. `false` if it was not there.
    pub(super) fn stop(&mut self, task: TaskId, node: NodeId) -> bool {
        let runs = &mut self.nodes[node.row()].runs;
        let before = runs.len();
        runs.retain(|it| it.0.task != task);
        runs.len() < before
    }

    /// A node that would take the task, and would have done so when its turn was, too.
    pub(super) fn would_take(&self, task: TaskId) -> Option<NodeId> {
        let task = member(self.life, task);
        let rules = &task.spec.constraints;
        // Those that were placed after it may have made room by these.
        if rules.spread.iter().any(|it| it.is_hard) || task.hard(Side::Near).next().is_some() {
            return None;
        }
        let mut nodes = (0..self.nodes.len()).map(|row| NodeId(row as u32));
        nodes.find(|&node| HARD.iter().all(|it| (it.allows)(self, node, task)))
    }

    /// Tasks that are meant in the domain of this value.
    fn count(&self, domain: &str, value: &str, is_meant: impl Fn(&Member<'_>) -> bool) -> u32 {
        let there = self.nodes.iter().filter(|it| it.domain(domain) == Some(value));
        there.flat_map(|it| &it.runs).filter(|it| is_meant(&it.0)).count() as u32
    }
}

impl<'a> Member<'a> {
    fn demand(self) -> &'a Demand {
        &self.spec.containers[0].demand
    }

    /// Hard affinities of one side.
    fn hard(self, side: Side) -> impl Iterator<Item = &'a Affinity> {
        let all = self.spec.constraints.affinity.iter();
        all.filter(move |it| it.strength == Strength::Hard && it.side == side)
    }

    /// Whether a rule of this task is about that one.
    fn means(self, who: &Who, other: &Member<'_>) -> bool {
        match who {
            Who::Group => self.group.is_some() && self.group == other.group,
            Who::Labels { all, .. } => all_hold(all, &other.spec.labels),
        }
    }
}

impl Kept<'_> {
    fn device_fits(&self, device: usize, demand: &Demand) -> bool {
        let users = self.runs.iter().filter(|it| it.1.iter().any(|it| it == device));
        let held: u32 = users.map(|it| it.0.demand().gpus.milli.0).sum();
        let models = &demand.gpus.models;
        self.spec.capacity.gpus.get(device).is_some_and(|model| {
            held + demand.gpus.milli.0 <= GpuMilli::DEVICE.0
                && (models.is_empty() || models.contains(model))
        })
    }

    /// A node without a zone is in none.
    fn domain(&self, name: &str) -> Option<&str> {
        self.spec.value(name).filter(|it| name != ZONE || *it != NO_ZONE)
    }

    /// Its tests of attributes, lists of which one must hold included.
    fn passes(&self, task: Member<'_>) -> bool {
        let any_of = &task.spec.constraints.any_of;
        let all = |it: &[cluster::demand::Requirement]| {
            it.iter().all(|it| it.test.holds(self.spec.value(&it.attribute)))
        };
        all(&task.demand().requires) && (any_of.is_empty() || any_of.iter().any(|it| all(it)))
    }
}

fn member<'a>(life: &Life<'a>, task: TaskId) -> Member<'a> {
    let (definition, group) = life.submitted[task.0 as usize];
    Member { task, spec: &life.story.definitions[definition.row()], group }
}

fn is_ready(ledger: &Ledger<'_>, node: NodeId, _: Member<'_>) -> bool {
    ledger.nodes[node.row()].status == NodeStatus::Ready
}

/// What a task does not ask for may be over.
fn has_room(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let kept = &ledger.nodes[node.row()];
    let parts: [fn(&Amounts) -> u64; 3] = [|it| it.cpu.0, |it| it.memory.0, |it| it.disk.0];
    parts.iter().all(|part| {
        let held: u64 = kept.runs.iter().map(|it| part(&it.0.demand().amounts)).sum();
        let asked = part(&task.demand().amounts);
        asked == 0 || held + asked <= part(&kept.spec.capacity.amounts)
    })
}

fn has_devices(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let kept = &ledger.nodes[node.row()];
    let there = 0..kept.spec.capacity.gpus.len();
    let fitting = there.filter(|it| kept.device_fits(*it, task.demand())).count();
    fitting >= usize::from(task.demand().gpus.count)
}

fn has_ports(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let kept = &ledger.nodes[node.row()];
    task.demand().ports.iter().all(|port| {
        !kept.spec.reserved_ports.contains(port)
            && !kept.taken.contains(port)
            && kept.runs.iter().all(|it| !it.0.demand().ports.contains(port))
    })
}

fn has_attributes(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    ledger.nodes[node.row()].passes(task)
}

fn has_no_taint(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let tolerations = &task.spec.constraints.tolerations;
    let mut taints = ledger.nodes[node.row()].spec.taints.iter().filter(|it| it.effect.is_hard());
    taints.all(|taint| tolerations.iter().any(|it| it.covers(taint)))
}

/// Near are those that all its affinities mean. The first of its kind may go anywhere; those who are in no domain
/// at all do not count.
fn is_near(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let meant = |other: &Member<'_>| task.hard(Side::Near).all(|it| task.means(&it.who, other));
    let in_some_domain =
        |there: &&Kept<'_>| task.hard(Side::Near).any(|it| there.domain(&it.domain).is_some());
    let there = ledger.nodes.iter().filter(in_some_domain);
    let any = there.flat_map(|it| &it.runs).any(|it| meant(&it.0));
    let is_first = !any && meant(&task);
    task.hard(Side::Near).all(|it| {
        let value = ledger.nodes[node.row()].domain(&it.domain);
        value.is_some_and(|value| is_first || ledger.count(&it.domain, value, meant) > 0)
    })
}

fn is_apart(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    task.hard(Side::Apart).all(|it| {
        let value = ledger.nodes[node.row()].domain(&it.domain);
        let count = |value| ledger.count(&it.domain, value, |other| task.means(&it.who, other));
        value.is_none_or(|value| count(value) == 0)
    })
}

fn others_are_apart(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let here = &ledger.nodes[node.row()];
    ledger.nodes.iter().all(|there| {
        let rules = there.runs.iter().flat_map(|(other, _)| {
            other.hard(Side::Apart).filter(|it| other.means(&it.who, &task))
        });
        let is_shared = |it: &Affinity| {
            let value = here.domain(&it.domain);
            value.is_some() && value == there.domain(&it.domain)
        };
        rules.into_iter().all(|it| !is_shared(it))
    })
}

/// On the nodes it could be on at all, compared with their emptiest domain, or with none if there are too few.
fn is_spread(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    let hard: Vec<&Spread> = task.spec.constraints.spread.iter().filter(|it| it.is_hard).collect();
    hard.iter().all(|it| {
        let is_eligible = |there: &&Kept<'_>| {
            there.status != NodeStatus::Lost
                && there.passes(task)
                && hard.iter().all(|it| there.domain(&it.domain).is_some())
        };
        let count = |value: &str| {
            let there = ledger.nodes.iter().filter(is_eligible);
            let there = there.filter(|there| there.domain(&it.domain) == Some(value));
            there.flat_map(|it| &it.runs).filter(|other| task.means(&it.who, &other.0)).count()
                as u32
        };
        let eligible = ledger.nodes.iter().filter(is_eligible);
        let mut domains: Vec<&str> =
            eligible.filter_map(|there| there.domain(&it.domain)).collect();
        domains.sort_unstable();
        domains.dedup();
        let is_enough = domains.len() >= it.domains_min as usize;
        let least = domains.iter().map(|it| count(it)).min().filter(|_| is_enough).unwrap_or(0);
        let Some(value) = ledger.nodes[node.row()].domain(&it.domain) else { return false };
        count(value) + u32::from(task.means(&it.who, &task)) <= least + it.skew_max
    })
}

fn is_within_limits(ledger: &Ledger<'_>, node: NodeId, task: Member<'_>) -> bool {
    task.spec.constraints.limits.iter().all(|it| {
        let Some(value) = ledger.nodes[node.row()].domain(&it.domain) else { return false };
        let count = ledger.count(&it.domain, value, |other| task.means(&it.who, other));
        count + u32::from(task.means(&it.who, &task)) <= it.max
    })
}
