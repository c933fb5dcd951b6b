//! What no strategy may break, counted again from the story: a ledger of its own, and one function for each
//! kind of hard constraint.

use super::Life;
use cluster::demand::{Amounts, Demand, Port};
use cluster::ids::{NodeId, TaskId};
use cluster::nodes::{DeviceSet, NodeSpec, NodeStatus};
use cluster::units::GpuMilli;

/// A kind of hard constraint: whether a node may be given one more task that asks for this.
struct Hard {
    name: &'static str,
    allows: fn(&Ledger<'_>, NodeId, &Demand) -> bool,
}

/// All kinds. A new one is a line here, and a part of [`demand`](super::demand).
const HARD: &[Hard] = &[
    Hard { name: "the node is not ready", allows: is_ready },
    Hard { name: "the node is full", allows: has_room },
    Hard { name: "the node lacks devices of these models", allows: has_devices },
    Hard { name: "a port is taken", allows: has_ports },
    Hard { name: "a required attribute is missing", allows: has_attributes },
];

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
    runs: Vec<(&'a Demand, DeviceSet)>,
}

impl<'a> Ledger<'a> {
    /// As it was before these tasks were started.
    pub(super) fn before(life: &'a Life<'a>, starts: &[(TaskId, NodeId, DeviceSet)]) -> Self {
        let state = life.manager.state();
        let kept = |(row, spec)| {
            let node = NodeId(row as u32);
            let ran = state.tasks_on(node).iter().filter(|id| starts.iter().all(|it| it.0 != **id));
            let runs = ran.map(|&id| {
                let devices = state.task(id).and_then(|it| it.placement()).unwrap().devices;
                (demand(life, id), devices)
            });
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
        let demand = demand(self.life, task);
        if let Some(broken) = HARD.iter().find(|it| !(it.allows)(self, node, demand)) {
            return Err(broken.name);
        }
        let kept = &mut self.nodes[node.row()];
        let right = devices.iter().all(|it| kept.device_fits(it, demand));
        if !right || devices.count() != u32::from(demand.gpus.count) {
            return Err("these are not the devices it asked for");
        }
        kept.runs.push((demand, devices));
        Ok(())
    }

    /// A node that would take the task.
    pub(super) fn would_take(&self, task: TaskId) -> Option<NodeId> {
        let demand = demand(self.life, task);
        let mut nodes = (0..self.nodes.len()).map(|row| NodeId(row as u32));
        nodes.find(|&node| HARD.iter().all(|it| (it.allows)(self, node, demand)))
    }
}

impl Kept<'_> {
    fn device_fits(&self, device: usize, demand: &Demand) -> bool {
        let users = self.runs.iter().filter(|it| it.1.iter().any(|it| it == device));
        let held: u32 = users.map(|it| it.0.gpus.milli.0).sum();
        let models = &demand.gpus.models;
        self.spec.capacity.gpus.get(device).is_some_and(|model| {
            held + demand.gpus.milli.0 <= GpuMilli::DEVICE.0
                && (models.is_empty() || models.contains(model))
        })
    }
}

fn demand<'a>(life: &Life<'a>, task: TaskId) -> &'a Demand {
    let task = life.manager.state().task(task).unwrap();
    &life.story.demands[task.definition.0 as usize]
}

fn is_ready(ledger: &Ledger<'_>, node: NodeId, _: &Demand) -> bool {
    ledger.nodes[node.row()].status == NodeStatus::Ready
}

/// What a task does not ask for may be over.
fn has_room(ledger: &Ledger<'_>, node: NodeId, demand: &Demand) -> bool {
    let kept = &ledger.nodes[node.row()];
    let parts: [fn(&Amounts) -> u64; 3] = [|it| it.cpu.0, |it| it.memory.0, |it| it.disk.0];
    parts.iter().all(|part| {
        let held: u64 = kept.runs.iter().map(|it| part(&it.0.amounts)).sum();
        let asked = part(&demand.amounts);
        asked == 0 || held + asked <= part(&kept.spec.capacity.amounts)
    })
}

fn has_devices(ledger: &Ledger<'_>, node: NodeId, demand: &Demand) -> bool {
    let kept = &ledger.nodes[node.row()];
    let there = 0..kept.spec.capacity.gpus.len();
    let fitting = there.filter(|it| kept.device_fits(*it, demand)).count();
    fitting >= usize::from(demand.gpus.count)
}

fn has_ports(ledger: &Ledger<'_>, node: NodeId, demand: &Demand) -> bool {
    let kept = &ledger.nodes[node.row()];
    demand.ports.iter().all(|port| {
        !kept.spec.reserved_ports.contains(port)
            && !kept.taken.contains(port)
            && kept.runs.iter().all(|it| !it.0.ports.contains(port))
    })
}

fn has_attributes(ledger: &Ledger<'_>, node: NodeId, demand: &Demand) -> bool {
    let there = &ledger.nodes[node.row()].spec.attributes;
    demand.requires.iter().all(|it| {
        there.iter().any(|(name, value)| {
            *name == it.attribute && (it.values.is_empty() || it.values.contains(value))
        })
    })
}
