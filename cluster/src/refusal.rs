//! Why a shape fits nowhere, as counts; and why it does not fit one node, test by test.

use crate::company::{Broken, Company};
use crate::constraint::{Requirement, Test};
use crate::demand::{Port, Protocol, Resource};
use crate::event::HoldReason;
use crate::explain::{Rejection, Shortage, in_words};
use crate::fitting;
use crate::ids::NodeId;
use crate::nodes::{NodeStatus, Nodes, device_fits};
use crate::scheduler::Ask;
use crate::shape::Shape;
use crate::state::State;
use crate::units::GpuMilli;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many nodes fail which test. Each node counts once, under the first test it fails, in the order
/// of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Nodes looked at: all that ever joined.
    pub nodes: u32,
    /// Nodes that would take it now.
    pub fitting: u32,
    /// Out of reach.
    pub lost: u32,
    /// Take nothing new.
    pub draining: u32,
    /// Lack a required attribute.
    pub attribute: u32,
    /// Have not enough devices of a right model, however empty.
    pub gpu_model: u32,
    /// A host port is taken or reserved.
    pub port: u32,
    /// Out of reach for now.
    pub unreachable: u32,
    /// Its like failed to start there of late.
    pub failed_there: u32,
    /// Have a taint that it does not tolerate.
    pub tainted: u32,
    /// Short of a resource, in the order of [`Resource::ALL`].
    pub short_of: [u32; 4],
}

impl Refusal {
    /// Counts all nodes.
    pub fn count(nodes: &Nodes, shape: &Shape) -> Self {
        let mut it = Self { nodes: nodes.len() as u32, ..Self::default() };
        match nodes.is_plain(shape) {
            true => it.count_scalars(nodes, shape),
            false => it.count_each(nodes, shape),
        }
        it
    }

    fn count_each(&mut self, nodes: &Nodes, shape: &Shape) {
        for node in nodes.ids() {
            *self.counter(nodes, shape, node) += 1;
        }
    }

    /// The same where only status and scalars can stand in the way.
    fn count_scalars(&mut self, nodes: &Nodes, shape: &Shape) {
        for start in (0..nodes.len()).step_by(fitting::ROWS) {
            let rows = start..nodes.len().min(start + fitting::ROWS);
            let ready = fitting::set(&nodes.ready()[rows.clone()]);
            let mut left = ready;
            for resource in Resource::SCALARS {
                let free = &nodes.free(resource)[rows.clone()];
                let short = left & fitting::below(free, shape.amounts[resource.row()]);
                self.short_of[resource.row()] += short.count_ones();
                left &= !short;
            }
            self.fitting += left.count_ones();
            for row in rows.filter(|it| ready >> (it - start) & 1 == 0) {
                *self.counter(nodes, shape, NodeId(row as u32)) += 1;
            }
        }
    }

    fn counter(&mut self, nodes: &Nodes, shape: &Shape, node: NodeId) -> &mut u32 {
        match nodes.status(node) {
            NodeStatus::Lost => return &mut self.lost,
            NodeStatus::Draining => return &mut self.draining,
            NodeStatus::Unreachable => return &mut self.unreachable,
            NodeStatus::Ready => {}
        }
        if !nodes.attributes_fit(shape, node) {
            return &mut self.attribute;
        }
        if nodes.untolerated(shape, node).is_some() {
            return &mut self.tainted;
        }
        if !nodes.gpu_models_fit(shape, node) {
            return &mut self.gpu_model;
        }
        if !nodes.ports_fit(shape, node) {
            return &mut self.port;
        }
        if shape.avoids.binary_search(&node).is_ok() {
            return &mut self.failed_there;
        }
        for resource in Resource::SCALARS {
            if shape.amounts[resource.row()] > nodes.free(resource)[node.row()] {
                return &mut self.short_of[resource.row()];
            }
        }
        if !nodes.gpus_fit(shape, node) {
            return &mut self.short_of[Resource::Gpu.row()];
        }
        &mut self.fitting
    }

    /// The test that most of the ready nodes fail; the earlier one among equals.
    pub fn reason(&self) -> HoldReason {
        let mut counts =
            vec![(self.attribute, HoldReason::Attribute), (self.gpu_model, HoldReason::GpuModel)];
        counts.push((self.port, HoldReason::PortTaken));
        counts.push((self.failed_there, HoldReason::FailedThere));
        counts.push((self.tainted, HoldReason::Tainted));
        for resource in Resource::ALL {
            counts.push((self.short_of[resource.row()], HoldReason::ShortOf(resource)));
        }
        if self.fitting > 0 {
            return HoldReason::HeldBack;
        }
        let most = counts.iter().map(|it| it.0).max().unwrap_or(0);
        match counts.into_iter().find(|it| it.0 == most) {
            Some((1.., reason)) => reason,
            _ => HoldReason::NoNodes,
        }
    }
}

/// `none of 40 fits: 31 short of memory, 9 draining`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("there is no node");
        }
        if self.fitting > 0 {
            write!(f, "{} of {} fit", self.fitting, self.nodes)?;
        } else {
            write!(f, "none of {} fits", self.nodes)?;
        }
        let mut parts = Vec::new();
        for (count, text) in [
            (self.lost, "lost"),
            (self.draining, "draining"),
            (self.unreachable, "out of reach"),
            (self.attribute, "without a required attribute"),
            (self.gpu_model, "without enough gpus of the model"),
            (self.port, "with a host port taken"),
            (self.failed_there, "where its like failed to start"),
            (self.tainted, "with a taint not tolerated"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        }
        for resource in Resource::ALL {
            let count = self.short_of[resource.row()];
            if count > 0 {
                parts.push(format!("{count} short of {resource}"));
            }
        }
        if parts.is_empty() { Ok(()) } else { write!(f, ": {}", parts.join(", ")) }
    }
}

/// What binds every policy, for one task: what fits, and rules about other tasks.
#[derive(Debug)]
pub struct Objections<'a> {
    nodes: &'a Nodes,
    shape: &'a Shape,
    company: Option<Company<'a>>,
}

impl<'a> Objections<'a> {
    /// Those to a task as things stand. Cost: that of [`Company::of`].
    pub fn new(state: &'a State, ask: Ask<'a>) -> Self {
        Self { nodes: state.nodes(), shape: ask.shape, company: Company::of(state, ask.task) }
    }

    /// Every test that the node fails; empty if it may take the task.
    pub fn to(&self, node: NodeId) -> Vec<Rejection> {
        let mut all = rejections(self.nodes, self.shape, node);
        for it in self.company.iter().flat_map(|it| it.broken(node)) {
            let filter = match it {
                Broken::NoDomain { .. } => "domain",
                Broken::Near { .. } => "affinity",
                Broken::Apart { .. } => "anti-affinity",
                Broken::Spread { .. } => "spread",
                Broken::Limit { .. } => "limit",
            };
            all.push(Rejection::new(filter, it.to_string()));
        }
        all
    }
}

/// Every test of [`Nodes::fits`] that the node fails for this shape, in the order in which [`Refusal`] counts;
/// empty if it fits.
fn rejections(nodes: &Nodes, shape: &Shape, node: NodeId) -> Vec<Rejection> {
    let mut all = Vec::new();
    let mut say = |filter: &str, reason: String| all.push(Rejection::new(filter, reason));
    match nodes.status(node) {
        NodeStatus::Ready => {}
        NodeStatus::Lost => say("status", "lost".to_owned()),
        NodeStatus::Draining => say("status", "draining".to_owned()),
        NodeStatus::Unreachable => say("status", "out of reach for now".to_owned()),
    }
    let has = |asked: &Requirement| nodes.text(node, &asked.attribute);
    let failing = |asked: &&Requirement| !asked.test.holds(has(asked));
    for asked in shape.demand.requires.iter().filter(failing) {
        say("attribute", attribute_fails(asked, has(asked)));
    }
    let any_of = &shape.demand.any_of;
    if !any_of.is_empty() && any_of.iter().all(|all| all.iter().any(|it| failing(&it))) {
        let alternative = |all: &Vec<Requirement>| {
            let failing = all.iter().filter(failing);
            failing.map(|it| attribute_fails(it, has(it))).collect::<Vec<_>>().join(" and ")
        };
        let alternatives: Vec<String> = any_of.iter().map(alternative).collect();
        say("attribute", alternatives.join("; or else "));
    }
    if let Some(taint) = nodes.untolerated(shape, node) {
        say("taint", format!("{taint} is not tolerated"));
    }
    if !nodes.gpu_models_fit(shape, node) {
        let there = nodes.devices(node).len();
        let models = shape.demand.gpus.models.join(" or ");
        let of = if models.is_empty() { String::new() } else { format!(" of {models}") };
        let has = match there {
            0 => "the node has none".to_owned(),
            _ => format!("the node has {}", models_of(nodes, node)),
        };
        let devices = if shape.gpu_count == 1 { "device" } else { "devices" };
        say("gpu_model", format!("wants {} gpu {devices}{of}; {has}", shape.gpu_count));
    }
    for port in &shape.ports {
        if let Some(by) = nodes.port_holder(*port, node) {
            say("port", format!("{} is {by}", port_name(*port)));
        }
    }
    if shape.avoids.binary_search(&node).is_ok() {
        say("failed_there", "its like failed to start there of late".to_owned());
    }
    for resource in Resource::SCALARS {
        let (wanted, free) = (shape.amounts[resource.row()], nodes.free(resource)[node.row()]);
        if wanted > free {
            all.push(short_of(resource, wanted, free));
        }
    }
    if nodes.gpu_models_fit(shape, node) && !nodes.gpus_fit(shape, node) {
        let fitting = nodes.devices(node).iter().filter(|it| device_fits(shape, it)).count();
        all.push(short_of_devices(shape, fitting as u64));
    }
    all
}

/// A test of an attribute, and what its value is.
fn attribute_fails(asked: &Requirement, has: Option<&str>) -> String {
    match (&asked.test, has) {
        (Test::Exists, _) => format!("it has no {}", asked.attribute),
        (_, None) => format!("{asked}: it has none"),
        (_, Some(has)) => format!("{asked}: it is {has}"),
    }
}

fn models_of(nodes: &Nodes, node: NodeId) -> String {
    let model = |it: &crate::nodes::Device| nodes.model_names().text(it.model.0.into()).to_owned();
    let models: Vec<String> = nodes.devices(node).iter().map(model).collect();
    models.join(", ")
}

fn port_name(port: Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{protocol}/{}", port.number)
}

fn short_of(resource: Resource, wanted: u64, free: u64) -> Rejection {
    let short = Shortage::of(resource, wanted, free);
    let reason = format!(
        "{} short: wants {}, {} free",
        in_words(resource, short.short),
        in_words(resource, wanted),
        in_words(resource, free),
    );
    Rejection { filter: resource.name().to_owned(), reason, short: vec![short] }
}

fn short_of_devices(shape: &Shape, fitting: u64) -> Rejection {
    let wanted = u64::from(shape.gpu_count);
    let each = match shape.gpu_milli {
        GpuMilli::DEVICE => "idle gpu devices".to_owned(),
        GpuMilli(milli) => {
            format!("gpu devices with {} left", in_words(Resource::Gpu, milli.into()))
        }
    };
    let short = Shortage {
        resource: Resource::Gpu.name().to_owned(),
        unit: "devices".to_owned(),
        wanted,
        free: fitting,
        short: wanted.saturating_sub(fitting),
    };
    let reason = format!("wants {wanted} {each}, {fitting} there");
    Rejection { filter: Resource::Gpu.name().to_owned(), reason, short: vec![short] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demand::{Amounts, Demand, TaskDefinition};
    use crate::event::{Event, NodeEvent, NodeReport};
    use crate::ids::DefinitionId;
    use crate::manager::Manager;
    use crate::nodes::{NodeCapacity, NodeSpec};
    use crate::rules::Rules;
    use crate::scheduler::{Desk, Scheduler};
    use crate::units::{Bytes, Instant, MilliCpu};
    use proptest::prelude::*;

    struct Idle;

    impl Scheduler for Idle {
        fn decide(&mut self, _desk: &mut Desk<'_>) {}
    }

    fn amounts() -> impl Strategy<Value = Amounts> {
        let three = (0..3u64, 0..3u64, 0..3u64);
        three.prop_map(|it| Amounts { cpu: MilliCpu(it.0), memory: Bytes(it.1), disk: Bytes(it.2) })
    }

    proptest! {
        /// Sixty-four at a time or one by one: the same counts.
        #[test]
        fn scalars_are_counted_alike(
            nodes in prop::collection::vec((amounts(), 0..6u8), 0..150),
            asked in amounts(),
        ) {
            let mut manager = Manager::new(Rules::default(), Box::new(Idle));
            let mut tell = |event| manager.handle(Instant::ZERO, event, &mut Vec::new());
            let demand = Demand { amounts: asked, ..Demand::default() };
            let spec = TaskDefinition::single("it", demand);
            tell(Event::DefinitionPut { definition: DefinitionId(0), spec });
            for (row, (amounts, status)) in nodes.into_iter().enumerate() {
                let node = NodeId(row as u32);
                let capacity = NodeCapacity { amounts, gpus: vec![] };
                let spec = NodeSpec { name: row.to_string(), capacity, ..NodeSpec::default() };
                tell(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
                match status {
                    0 => tell(Event::Node { node, event: NodeEvent::Lost }),
                    1 => tell(Event::Node { node, event: NodeEvent::Draining }),
                    2 => tell(Event::NodeReported { node, report: NodeReport::Unreachable }),
                    _ => {}
                }
            }
            let state = manager.state();
            let (nodes, shape) = (state.nodes(), state.shape(state.shape_of(DefinitionId(0))));
            let count = |how: fn(&mut Refusal, &Nodes, &Shape)| {
                let mut it = Refusal::default();
                how(&mut it, nodes, shape);
                it
            };
            prop_assert_eq!(count(Refusal::count_scalars), count(Refusal::count_each));
        }
    }
}
