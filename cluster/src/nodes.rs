//! Nodes in columns: one array per property, indexed by [`NodeId`].
//!
//! The ledger keeps, per node and resource, `free + held − over = allocatable`: `held` is what the
//! node's tasks ask for, `allocatable` its capacity times the over-commit factor, and `over` how much
//! a node that was handed more than it has (residents of a trace, a capacity that shrank) is beyond it.

use crate::coarse::{self, Coarse};
use crate::constraint::{Image, Requirement, Taint, Test};
use crate::demand::{Amounts, Port, Resource};
use crate::fitting;
use crate::ids::{AttributeId, ModelId, NodeId, ValueId, ZoneId};
use crate::names::Names;
use crate::shape::{Asked, Shape};
use crate::touched::{Mark, Touched};
use crate::units::GpuMilli;
use serde::{Deserialize, Serialize};

/// Name of the attribute that holds a node's zone.
pub const ZONE: &str = "zone";

/// Name of the attribute that holds a node's own name.
pub const NODE: &str = "node";

/// The zone of nodes that name none.
pub const NO_ZONE: &str = "-";

/// What a node offers, as it was told when it joined or was updated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCapacity {
    /// Cpu, memory and disk.
    pub amounts: Amounts,
    /// The model of each GPU device, each [`GpuMilli::DEVICE`] large.
    pub gpus: Vec<String>,
}

/// A node as it joins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Unique in the cluster.
    pub name: String,
    /// Availability zone; [`NO_ZONE`] where there is none.
    pub zone: String,
    /// What it offers.
    pub capacity: NodeCapacity,
    /// Host ports that tasks may not take, sorted.
    pub reserved_ports: Vec<Port>,
    /// Attributes, labels and further failure domains (rack, power, …), sorted by name.
    pub attributes: Vec<(String, String)>,
    /// Place in an order given from outside, for breaking ties; lowest wins.
    pub rank: Option<u32>,
    /// Marks that keep tasks away.
    pub taints: Vec<Taint>,
    /// Images that are there already. They stay as they are told: what is pulled later is not added.
    pub images: Vec<Image>,
}

impl NodeSpec {
    /// Whether it is the same as another but for its name.
    pub fn differs_in_name_only(&self, other: &Self) -> bool {
        let Self { name: _, zone, capacity, reserved_ports, attributes, rank, taints, images } =
            self;
        *capacity == other.capacity
            && *zone == other.zone
            && *attributes == other.attributes
            && *rank == other.rank
            && *reserved_ports == other.reserved_ports
            && *taints == other.taints
            && *images == other.images
    }

    /// The value of an attribute, as [`Nodes::text`] will say it.
    pub fn value(&self, attribute: &str) -> Option<&str> {
        let own = self.attributes.iter().find(|it| it.0 == attribute).map(|it| it.1.as_str());
        own.or_else(|| match attribute {
            ZONE if self.zone.is_empty() => Some(NO_ZONE),
            ZONE => Some(&self.zone),
            NODE => Some(&self.name),
            _ => None,
        })
    }
}

/// Whether a node may be given tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeStatus {
    /// Takes new tasks.
    Ready,
    /// Keeps what it runs and takes nothing new.
    Draining,
    /// Out of reach; what it ran is gone.
    Lost,
    /// Out of reach for now; what it runs is believed to run on. Takes nothing new.
    Unreachable,
}

/// One GPU device of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its model.
    pub model: ModelId,
    /// [`GpuMilli::DEVICE`], or zero once an update took the device away.
    pub capacity: GpuMilli,
    /// What tasks hold of it.
    pub held: GpuMilli,
}

impl Device {
    /// What is left of it.
    pub fn free(&self) -> GpuMilli {
        GpuMilli(self.capacity.0.saturating_sub(self.held.0))
    }
}

/// Which of a node's devices a task holds: bit `i` is the node's `i`-th device.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DeviceSet(pub u64);

impl DeviceSet {
    /// No device.
    pub const NONE: Self = Self(0);
    /// A node can have this many devices.
    pub const MAX: usize = 64;

    /// Device indices, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let device = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(device)
        })
    }

    /// Number of devices.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<usize> for DeviceSet {
    fn from_iter<I: IntoIterator<Item = usize>>(devices: I) -> Self {
        Self(devices.into_iter().fold(0, |set, it| set | 1 << it))
    }
}

/// Sums over a set of nodes (one zone, or all), in the order of [`Resource::ALL`].
/// Lost nodes do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// What the nodes physically have.
    pub capacity: [u64; 4],
    /// What placed tasks ask for, starting ones included.
    pub held: [u64; 4],
    /// What running tasks ask for.
    pub running: [u64; 4],
    /// Nodes that are not lost.
    pub nodes: u32,
    /// Nodes with at least one task.
    pub nodes_in_use: u32,
    /// Tasks placed, starting ones included.
    pub tasks: u64,
}

impl Totals {
    /// Adds another set of nodes.
    pub fn add(&mut self, other: &Self) {
        for row in 0..4 {
            self.capacity[row] += other.capacity[row];
            self.held[row] += other.held[row];
            self.running[row] += other.running[row];
        }
        self.nodes += other.nodes;
        self.nodes_in_use += other.nodes_in_use;
        self.tasks += other.tasks;
    }
}

/// Over-commit factors per scalar resource in thousandths: 1000 offers just what the node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overcommit(pub [u32; 3]);

impl Default for Overcommit {
    fn default() -> Self {
        Self([1000; 3])
    }
}

impl Overcommit {
    fn apply(self, amounts: Amounts) -> [u64; 3] {
        let mut offered = amounts.array();
        for (amount, permille) in offered.iter_mut().zip(self.0) {
            let exact = u128::from(*amount) * u128::from(permille) / 1000;
            *amount = u64::try_from(exact).unwrap_or(u64::MAX);
        }
        offered
    }
}

/// Missing value in an attribute column.
const ABSENT: u32 = u32::MAX;

/// One attribute over all nodes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct AttributeColumn {
    values: Names,
    of_node: Vec<u32>,
}

/// All nodes, in columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Nodes {
    overcommit: Overcommit,
    names: Names,
    status: Vec<NodeStatus>,
    /// Whether the node is [`NodeStatus::Ready`], as the column a scan reads.
    ready: Vec<bool>,
    zone: Vec<ZoneId>,
    zones: Names,
    rank: Vec<u32>,
    capacity: [Vec<u64>; 3],
    allocatable: [Vec<u64>; 3],
    held: [Vec<u64>; 3],
    free: [Vec<u64>; 3],
    devices: Vec<Vec<Device>>,
    models: Names,
    reserved_ports: Vec<Vec<Port>>,
    held_ports: Vec<Vec<Port>>,
    /// Ports that others than our tasks hold, as last reported.
    taken_ports: Vec<Vec<Port>>,
    /// Told to drain; outlives being out of reach.
    drained: Vec<bool>,
    attributes: Vec<AttributeColumn>,
    attribute_names: Names,
    taints: Vec<Vec<Taint>>,
    /// Whether any node has a taint that binds every policy.
    has_hard_taints: bool,
    images: Vec<Vec<Image>>,
    tasks: Vec<u32>,
    version: Vec<u64>,
    totals: Vec<Totals>,
    growth: u64,
    membership: u64,
    #[serde(skip)]
    touched: Touched,
    /// [`Nodes::free`] of ready nodes, for a first look.
    #[serde(skip)]
    coarse: Coarse,
}

/// Which nodes a shape fits, 64 at a time; made by [`Nodes::fitting`].
#[derive(Debug, Clone, Copy)]
pub struct Fitting<'a> {
    nodes: &'a Nodes,
    shape: &'a Shape,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// By the coarse columns.
    Coarse(coarse::Asked),
    /// It asks for more than any node has.
    Nowhere,
    /// One by one: there are no coarse columns.
    Exact,
}

impl Fitting<'_> {
    /// [`Nodes::fits`] of 64 nodes: bit `i` is that of row `64 × word + i`.
    ///
    /// # Panics
    ///
    /// If there are no such rows.
    #[inline]
    pub fn word(&self, word: usize) -> u64 {
        let (nodes, shape) = (self.nodes, self.shape);
        let (mut bits, open) = match &self.way {
            Way::Coarse(asked) => nodes.coarse.compare(asked, word),
            Way::Nowhere => (0, 0),
            Way::Exact => {
                let start = word * fitting::ROWS;
                let ready =
                    fitting::set(&nodes.ready[start..nodes.len().min(start + fitting::ROWS)]);
                (ready, ready)
            }
        };
        let mut left = if nodes.is_plain(shape) { open } else { bits };
        while left != 0 {
            let row = left.trailing_zeros();
            left &= left - 1;
            if !nodes.fits(shape, NodeId((word * fitting::ROWS) as u32 + row)) {
                bits &= !(1 << row);
            }
        }
        debug_assert_eq!(bits, self.plain(word), "word {word}");
        bits
    }

    /// The same, asked node by node.
    fn plain(&self, word: usize) -> u64 {
        let rows = word * fitting::ROWS..self.nodes.len().min((word + 1) * fitting::ROWS);
        let fits = |row| u64::from(self.nodes.fits(self.shape, NodeId(row as u32)));
        rows.fold(0, |bits, row| bits | fits(row) << (row % fitting::ROWS))
    }
}

impl Nodes {
    /// No nodes yet; those that join offer their capacity times `overcommit`.
    pub fn new(overcommit: Overcommit) -> Self {
        Self { overcommit, ..Self::default() }
    }

    /// Number of rows: all nodes that ever joined, lost ones included.
    pub fn len(&self) -> usize {
        self.status.len()
    }

    /// Whether no node ever joined.
    pub fn is_empty(&self) -> bool {
        self.status.is_empty()
    }

    /// All rows in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.status.len() as u32).map(NodeId)
    }

    /// The node's name.
    pub fn name(&self, node: NodeId) -> &str {
        self.names.text(node.0)
    }

    /// The node of that name.
    pub fn by_name(&self, name: &str) -> Option<NodeId> {
        self.names.get(name).map(NodeId)
    }

    /// Whether it may be given tasks.
    pub fn status(&self, node: NodeId) -> NodeStatus {
        self.status[node.row()]
    }

    /// Whether it was told to drain, also while it is out of reach.
    pub fn is_drained(&self, node: NodeId) -> bool {
        self.drained[node.row()]
    }

    /// Host ports that others than our tasks hold, sorted.
    pub fn taken_ports(&self, node: NodeId) -> &[Port] {
        &self.taken_ports[node.row()]
    }

    /// Column: node is ready.
    pub fn ready(&self) -> &[bool] {
        &self.ready
    }

    /// Column: zone of each node.
    pub fn zones(&self) -> &[ZoneId] {
        &self.zone
    }

    /// Texts of the zones, in id order.
    pub fn zone_names(&self) -> &Names {
        &self.zones
    }

    /// Column: outside order of each node; its row where none was given.
    pub fn ranks(&self) -> &[u32] {
        &self.rank
    }

    /// Column: free amount of a scalar resource, zero on nodes that are full or beyond.
    ///
    /// # Panics
    ///
    /// If `resource` is [`Resource::Gpu`], which is not a scalar: see [`Nodes::devices`].
    pub fn free(&self, resource: Resource) -> &[u64] {
        &self.free[resource.row()]
    }

    /// Column: what the node offers of a scalar resource, over-commit included. Panics as [`Nodes::free`].
    pub fn allocatable(&self, resource: Resource) -> &[u64] {
        &self.allocatable[resource.row()]
    }

    /// Column: what the node physically has of a scalar resource. Panics as [`Nodes::free`].
    pub fn capacity(&self, resource: Resource) -> &[u64] {
        &self.capacity[resource.row()]
    }

    /// Column: what tasks hold of a scalar resource. Panics as [`Nodes::free`].
    pub fn held(&self, resource: Resource) -> &[u64] {
        &self.held[resource.row()]
    }

    /// How far a node is beyond what it offers of a scalar resource.
    pub fn over(&self, node: NodeId, resource: Resource) -> u64 {
        let row = node.row();
        self.held(resource)[row].saturating_sub(self.allocatable(resource)[row])
    }

    /// Whether the node holds more than it offers of anything.
    pub fn is_overfull(&self, node: NodeId) -> bool {
        Resource::SCALARS.into_iter().any(|it| self.over(node, it) > 0)
            || self.devices(node).iter().any(|it| it.held > it.capacity)
    }

    /// The node's GPU devices.
    pub fn devices(&self, node: NodeId) -> &[Device] {
        &self.devices[node.row()]
    }

    /// Free GPU share summed over the node's devices, in thousandths of a device.
    pub fn gpu_free(&self, node: NodeId) -> u64 {
        self.devices(node).iter().map(|it| u64::from(it.free().0)).sum()
    }

    /// GPU capacity summed over the node's devices, in thousandths of a device.
    pub fn gpu_capacity(&self, node: NodeId) -> u64 {
        self.devices(node).iter().map(|it| u64::from(it.capacity.0)).sum()
    }

    /// Names of the GPU models, in id order.
    pub fn model_names(&self) -> &Names {
        &self.models
    }

    /// Host ports held by tasks, sorted.
    pub fn held_ports(&self, node: NodeId) -> &[Port] {
        &self.held_ports[node.row()]
    }

    /// Column: number of tasks placed on each node.
    pub fn task_counts(&self) -> &[u32] {
        &self.tasks
    }

    /// Rises with every change to the node. A scheduler that decided on a copy compares versions
    /// before it commits, and caches re-score what moved.
    pub fn version(&self, node: NodeId) -> u64 {
        self.version[node.row()]
    }

    /// The present moment, for [`Nodes::touched_since`].
    pub fn mark(&self) -> Mark {
        self.touched.mark()
    }

    /// The nodes whose row changed since a mark of this object's own, in order and as often as they did. `None` if
    /// any may have: the mark is too old, or nodes joined or were updated since, or something else changed that a
    /// node's row does not show. What was worked out from a shape and a node's row alone stands for all
    /// other nodes.
    pub fn touched_since(&self, mark: Mark) -> Option<impl ExactSizeIterator<Item = NodeId>> {
        self.touched.since(mark)
    }

    fn touch(&mut self, node: NodeId) {
        self.version[node.row()] += 1;
        self.touched.push(node);
    }

    /// Rises whenever any node could take something that it could not take before.
    pub fn growth(&self) -> u64 {
        self.growth
    }

    /// Rises whenever a node joins, is lost, drains, returns or is updated.
    pub fn membership(&self) -> u64 {
        self.membership
    }

    /// Sums per zone, in zone order.
    pub fn zone_totals(&self) -> &[Totals] {
        &self.totals
    }

    /// Sums over all nodes.
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for zone in &self.totals {
            sum.add(zone);
        }
        sum
    }

    /// Names of the attributes, in id order.
    pub fn attribute_names(&self) -> &Names {
        &self.attribute_names
    }

    /// The attribute of that name, if a node or a definition ever named it.
    pub fn attribute(&self, name: &str) -> Option<AttributeId> {
        self.attribute_names.get(name).map(|it| AttributeId(it as u16))
    }

    /// A node's value of an attribute.
    pub fn value(&self, node: NodeId, attribute: AttributeId) -> Option<ValueId> {
        let column = &self.attributes[attribute.row()];
        column.of_node.get(node.row()).copied().filter(|&it| it != ABSENT).map(ValueId)
    }

    /// How many values the attribute has taken so far; value ids are below it.
    pub fn value_count(&self, attribute: AttributeId) -> usize {
        self.attributes[attribute.row()].values.len()
    }

    /// The text of an attribute's value.
    pub fn value_text(&self, attribute: AttributeId, value: ValueId) -> &str {
        self.attributes[attribute.row()].values.text(value.0)
    }

    /// The node's taints.
    pub fn taints(&self, node: NodeId) -> &[Taint] {
        &self.taints[node.row()]
    }

    /// Images that the node had when it joined.
    pub fn images(&self, node: NodeId) -> &[Image] {
        &self.images[node.row()]
    }

    /// Whether the scalars of a shape are all there is to look at, on any node.
    pub fn is_plain(&self, shape: &Shape) -> bool {
        shape.is_plain && !self.has_hard_taints
    }

    /// Whether the task shape fits the node now. The rule is exact and the same for all schedulers:
    /// ready, enough of every scalar, enough devices of a right model, ports free, attributes there, no taint
    /// that is not tolerated.
    #[inline]
    pub fn fits(&self, shape: &Shape, node: NodeId) -> bool {
        let row = node.row();
        self.ready[row]
            && shape.amounts[0] <= self.free[0][row]
            && shape.amounts[1] <= self.free[1][row]
            && shape.amounts[2] <= self.free[2][row]
            && (self.is_plain(shape) || self.fits_rest(shape, node))
    }

    /// [`Nodes::fits`] of many nodes at once, for a shape.
    pub fn fitting<'a>(&'a self, shape: &'a Shape) -> Fitting<'a> {
        let way = match self.coarse.asked(shape.amounts) {
            _ if !self.coarse.is_made(self.len()) => Way::Exact,
            Some(asked) => Way::Coarse(asked),
            None => Way::Nowhere,
        };
        Fitting { nodes: self, shape, way }
    }

    /// Makes what is not written with the nodes.
    pub(crate) fn make_coarse(&mut self) {
        let largest = self.largest();
        let (free, ready) = (&self.free, &self.ready);
        self.coarse.make(ready.len(), largest, |it, row| ready[row].then(|| free[it][row]));
    }

    /// The most that any node offers of each scalar.
    fn largest(&self) -> [u64; 3] {
        [0, 1, 2].map(|it| self.allocatable[it].iter().copied().max().unwrap_or(0))
    }

    /// The part of [`Nodes::fits`] beyond scalars.
    fn fits_rest(&self, shape: &Shape, node: NodeId) -> bool {
        self.gpus_fit(shape, node)
            && self.ports_fit(shape, node)
            && self.attributes_fit(shape, node)
            && self.untolerated(shape, node).is_none()
            && shape.avoids.binary_search(&node).is_err()
    }

    /// Whether the shape would fit the node if it were ready and empty.
    pub fn could_fit(&self, shape: &Shape, node: NodeId) -> bool {
        let row = node.row();
        let devices = self.devices(node);
        (0..3).all(|it| shape.amounts[it] <= self.allocatable[it][row])
            && (shape.gpu_count == 0
                || devices
                    .iter()
                    .filter(|it| it.capacity >= shape.gpu_milli && model_fits(shape, it))
                    .count()
                    >= usize::from(shape.gpu_count))
            && shape.ports.iter().all(|it| !self.reserved_ports[row].contains(it))
            && self.attributes_fit(shape, node)
            && self.untolerated(shape, node).is_none()
    }

    pub(crate) fn gpus_fit(&self, shape: &Shape, node: NodeId) -> bool {
        let wanted = usize::from(shape.gpu_count);
        wanted == 0
            || self.devices(node).iter().filter(|it| device_fits(shape, it)).take(wanted).count()
                == wanted
    }

    pub(crate) fn gpu_models_fit(&self, shape: &Shape, node: NodeId) -> bool {
        let there = self.devices(node).iter().filter(|it| model_fits(shape, it)).count();
        there >= usize::from(shape.gpu_count)
    }

    pub(crate) fn ports_fit(&self, shape: &Shape, node: NodeId) -> bool {
        shape.ports.iter().all(|port| {
            self.held_ports[node.row()].binary_search(port).is_err()
                && self.reserved_ports[node.row()].binary_search(port).is_err()
                && self.taken_ports[node.row()].binary_search(port).is_err()
        })
    }

    /// Who holds a host port, if anybody does.
    pub(crate) fn port_holder(&self, port: Port, node: NodeId) -> Option<&'static str> {
        let row = node.row();
        [
            (&self.held_ports[row], "held by a task"),
            (&self.reserved_ports[row], "reserved"),
            (&self.taken_ports[row], "taken by somebody else"),
        ]
        .into_iter()
        .find_map(|(ports, by)| ports.binary_search(&port).is_ok().then_some(by))
    }

    pub(crate) fn attributes_fit(&self, shape: &Shape, node: NodeId) -> bool {
        let holds = |it: &(AttributeId, Asked)| self.passes(node, it);
        shape.requires.iter().all(holds)
            && (shape.any_of.is_empty() || shape.any_of.iter().any(|all| all.iter().all(holds)))
    }

    fn passes(&self, node: NodeId, (attribute, asked): &(AttributeId, Asked)) -> bool {
        let value = self.value(node, *attribute);
        match asked {
            Asked::Any => value.is_some(),
            Asked::OneOf(values) => value.is_some_and(|it| values.contains(&it)),
            Asked::Text(test) => test.holds(value.map(|it| self.value_text(*attribute, it))),
        }
    }

    /// The text of a node's attribute.
    pub fn text(&self, node: NodeId, attribute: &str) -> Option<&str> {
        match self.attribute(attribute) {
            Some(it) => Some(self.value_text(it, self.value(node, it)?)),
            None => (attribute == NODE).then(|| self.name(node)),
        }
    }

    /// The first hard taint of the node that the shape does not tolerate.
    pub fn untolerated(&self, shape: &Shape, node: NodeId) -> Option<&Taint> {
        let is_tolerated = |taint: &Taint| shape.tolerations().iter().any(|it| it.covers(taint));
        self.taints(node).iter().find(|it| it.effect.is_hard() && !is_tolerated(it))
    }

    /// A requirement in ids.
    pub(crate) fn resolve(&mut self, asked: &Requirement) -> (AttributeId, Asked) {
        let attribute = self.intern_attribute(&asked.attribute);
        let asked = match &asked.test {
            Test::Exists => Asked::Any,
            Test::In(values) => {
                Asked::OneOf(values.iter().map(|it| self.intern_value(attribute, it)).collect())
            }
            test => Asked::Text(test.clone()),
        };
        (attribute, asked)
    }

    /// The default device rule: of the devices that fit take those with the least left, lowest index
    /// first among equals (FGD's baselines and the NVIDIA device plug-ins of shared GPUs pick so).
    ///
    /// `None` if the node has not enough fitting devices.
    pub fn best_fit_devices(&self, shape: &Shape, node: NodeId) -> Option<DeviceSet> {
        let wanted = usize::from(shape.gpu_count);
        if wanted == 0 {
            return Some(DeviceSet::NONE);
        }
        let mut fitting: Vec<(GpuMilli, usize)> = self
            .devices(node)
            .iter()
            .enumerate()
            .filter(|(_, it)| device_fits(shape, it))
            .map(|(index, it)| (it.free(), index))
            .collect();
        if fitting.len() < wanted {
            return None;
        }
        fitting.sort_unstable();
        Some(fitting[..wanted].iter().map(|&(_, index)| index).collect())
    }

    /// Adds a node as the next row.
    ///
    /// # Panics
    ///
    /// If `node` is not the next row, the name is taken, or there are more than
    /// [`DeviceSet::MAX`] devices: the driver numbers nodes and checks its input.
    pub(crate) fn join(&mut self, node: NodeId, spec: &NodeSpec) {
        assert_eq!(node.row(), self.len(), "{node}: nodes join in row order");
        assert_eq!(self.names.intern(&spec.name), node.0, "{node}: name {:?} is taken", spec.name);
        let zone = if spec.zone.is_empty() { NO_ZONE } else { &spec.zone };
        let zone_id =
            ZoneId(u16::try_from(self.zones.intern(zone)).expect("fewer than 2^16 zones"));
        self.totals.resize(self.zones.len(), Totals::default());
        self.status.push(NodeStatus::Lost);
        self.ready.push(false);
        self.zone.push(zone_id);
        self.rank.push(spec.rank.unwrap_or(node.0));
        for row in 0..3 {
            self.capacity[row].push(0);
            self.allocatable[row].push(0);
            self.held[row].push(0);
            self.free[row].push(0);
        }
        if self.coarse.is_made(node.row()) {
            self.coarse.push();
        }
        self.devices.push(Vec::new());
        self.reserved_ports.push(sorted(&spec.reserved_ports));
        self.held_ports.push(Vec::new());
        self.taken_ports.push(Vec::new());
        self.drained.push(false);
        self.tasks.push(0);
        self.version.push(0);
        self.taints.push(spec.taints.clone());
        self.has_hard_taints |= spec.taints.iter().any(|it| it.effect.is_hard());
        self.images.push(spec.images.clone());
        self.set_attribute(node, ZONE, zone);
        if self.attribute(NODE).is_some() {
            self.set_attribute(node, NODE, &spec.name);
        }
        for (name, value) in &spec.attributes {
            self.set_attribute(node, name, value);
        }
        self.set_capacity(node, &spec.capacity);
        self.set_status(node, NodeStatus::Ready);
    }

    fn set_attribute(&mut self, node: NodeId, name: &str, value: &str) {
        let attribute = self.intern_attribute(name);
        let column = &mut self.attributes[attribute.row()];
        let value = column.values.intern(value);
        column.of_node.resize(node.row() + 1, ABSENT);
        column.of_node[node.row()] = value;
    }

    /// The attribute of that name, a new one if it was never named.
    pub(crate) fn intern_attribute(&mut self, name: &str) -> AttributeId {
        let row = self.attribute_names.intern(name);
        if row as usize == self.attributes.len() {
            self.attributes.push(AttributeColumn::default());
            if name == NODE {
                // Kept only where somebody asks for it.
                for node in self.ids() {
                    let value = self.names.text(node.0).to_owned();
                    self.set_attribute(node, NODE, &value);
                }
            }
        }
        AttributeId(u16::try_from(row).expect("fewer than 2^16 attributes"))
    }

    pub(crate) fn intern_value(&mut self, attribute: AttributeId, value: &str) -> ValueId {
        ValueId(self.attributes[attribute.row()].values.intern(value))
    }

    pub(crate) fn intern_model(&mut self, model: &str) -> ModelId {
        ModelId(u16::try_from(self.models.intern(model)).expect("fewer than 2^16 GPU models"))
    }

    /// Changes whether a node may be given tasks. A lost node leaves the totals.
    ///
    /// # Panics
    ///
    /// If a node becomes lost that still holds tasks: the caller takes them off first.
    pub(crate) fn set_status(&mut self, node: NodeId, status: NodeStatus) {
        let row = node.row();
        let was_counted = self.status[row] != NodeStatus::Lost;
        let is_counted = status != NodeStatus::Lost;
        assert!(is_counted || self.tasks[row] == 0, "{node}: lost with {} tasks", self.tasks[row]);
        self.status[row] = status;
        self.ready[row] = status == NodeStatus::Ready;
        for it in 0..3 {
            self.refresh_free(it, row);
        }
        self.touch(node);
        self.membership += 1;
        if was_counted != is_counted {
            self.count_capacity(node, is_counted);
        }
        if self.ready[row] {
            self.growth += 1;
        }
    }

    /// Notes whether a node is told to drain.
    pub(crate) fn set_drained(&mut self, node: NodeId, drained: bool) {
        self.drained[node.row()] = drained;
    }

    /// Sets which host ports others hold.
    pub(crate) fn set_taken_ports(&mut self, node: NodeId, ports: &[Port]) {
        self.taken_ports[node.row()] = sorted(ports);
        self.touch(node);
        self.note_membership(true);
    }

    /// Why shapes do not fit may have changed; `grew` if some may fit now that did not.
    pub(crate) fn note_membership(&mut self, grew: bool) {
        self.touched.all();
        self.membership += 1;
        self.growth += u64::from(grew);
    }

    fn count_capacity(&mut self, node: NodeId, add: bool) {
        let row = node.row();
        let gpu = self.gpu_capacity(node);
        let totals = &mut self.totals[self.zone[row].row()];
        let amounts = [self.capacity[0][row], self.capacity[1][row], self.capacity[2][row], gpu];
        for (total, amount) in totals.capacity.iter_mut().zip(amounts) {
            if add {
                *total += amount;
            } else {
                *total -= amount;
            }
        }
        if add {
            totals.nodes += 1;
        } else {
            totals.nodes -= 1;
        }
    }

    /// Sets what the node offers. What tasks hold stays held, so the node may end up overfull.
    ///
    /// # Panics
    ///
    /// If there are more than [`DeviceSet::MAX`] devices.
    pub(crate) fn set_capacity(&mut self, node: NodeId, capacity: &NodeCapacity) {
        let row = node.row();
        assert!(capacity.gpus.len() <= DeviceSet::MAX, "{node}: {} devices", capacity.gpus.len());
        let is_counted = self.status[row] != NodeStatus::Lost;
        if is_counted {
            self.count_capacity(node, false);
        }
        let offered = self.overcommit.apply(capacity.amounts);
        let has_room = self.coarse.has_room(offered);
        for (it, amount) in capacity.amounts.array().into_iter().enumerate() {
            self.capacity[it][row] = amount;
            self.allocatable[it][row] = offered[it];
            self.refresh_free(it, row);
        }
        if !has_room {
            self.make_coarse();
        }
        let models: Vec<ModelId> = capacity.gpus.iter().map(|it| self.intern_model(it)).collect();
        let devices = &mut self.devices[row];
        for (index, &model) in models.iter().enumerate() {
            match devices.get_mut(index) {
                Some(device) => {
                    device.model = model;
                    device.capacity = GpuMilli::DEVICE;
                }
                None => {
                    devices.push(Device { model, capacity: GpuMilli::DEVICE, held: GpuMilli(0) })
                }
            }
        }
        for gone in devices.iter_mut().skip(models.len()) {
            gone.capacity = GpuMilli(0);
        }
        while devices.len() > models.len() && devices.last().is_some_and(|it| it.held.0 == 0) {
            devices.pop();
        }
        if is_counted {
            self.count_capacity(node, true);
        }
        self.touch(node);
        self.touched.all();
        self.membership += 1;
        self.growth += 1;
    }

    fn refresh_free(&mut self, resource: usize, row: usize) {
        let offered = self.allocatable[resource][row];
        let free = offered.saturating_sub(self.held[resource][row]);
        self.free[resource][row] = free;
        self.coarse.set(resource, row, self.ready[row].then_some(free));
    }

    /// Books a task of this shape on the node. May push the node beyond what it offers: whether that
    /// is allowed is the caller's question.
    ///
    /// # Panics
    ///
    /// If a device of the set does not exist.
    pub(crate) fn take(&mut self, node: NodeId, shape: &Shape, devices: DeviceSet) {
        let row = node.row();
        for it in 0..3 {
            self.held[it][row] += shape.amounts[it];
            self.refresh_free(it, row);
        }
        for index in devices.iter() {
            self.devices[row][index].held.0 += shape.gpu_milli.0;
        }
        for port in &shape.ports {
            let ports = &mut self.held_ports[row];
            let at = ports.binary_search(port).unwrap_or_else(|at| at);
            ports.insert(at, *port);
        }
        self.tasks[row] += 1;
        self.touch(node);
        let totals = &mut self.totals[self.zone[row].row()];
        for (held, amount) in totals.held.iter_mut().zip(held_totals(shape, devices)) {
            *held += amount;
        }
        totals.tasks += 1;
        totals.nodes_in_use += u32::from(self.tasks[row] == 1);
    }

    /// Undoes [`Nodes::take`].
    ///
    /// # Panics
    ///
    /// If the node does not hold that much.
    pub(crate) fn give_back(&mut self, node: NodeId, shape: &Shape, devices: DeviceSet) {
        let row = node.row();
        for it in 0..3 {
            self.held[it][row] = self.held[it][row]
                .checked_sub(shape.amounts[it])
                .unwrap_or_else(|| panic!("{node}: gives back more than it holds"));
            self.refresh_free(it, row);
        }
        for index in devices.iter() {
            let held = &mut self.devices[row][index].held;
            held.0 = held
                .0
                .checked_sub(shape.gpu_milli.0)
                .unwrap_or_else(|| panic!("{node}: device {index} gives back more than it holds"));
        }
        for port in &shape.ports {
            let ports = &mut self.held_ports[row];
            let at = ports
                .binary_search(port)
                .unwrap_or_else(|_| panic!("{node}: gives back port {} twice", port.number));
            ports.remove(at);
        }
        self.tasks[row] -= 1;
        self.touch(node);
        let totals = &mut self.totals[self.zone[row].row()];
        for (held, amount) in totals.held.iter_mut().zip(held_totals(shape, devices)) {
            *held -= amount;
        }
        totals.tasks -= 1;
        totals.nodes_in_use -= u32::from(self.tasks[row] == 0);
        if self.ready[row] {
            self.growth += 1;
        }
    }

    /// Takes back a [`Nodes::take`] of the same instant, as if it had never been: capacity did not grow.
    pub(crate) fn undo_take(&mut self, node: NodeId, shape: &Shape, devices: DeviceSet) {
        let growth = self.growth;
        self.give_back(node, shape, devices);
        self.growth = growth;
    }

    /// Counts a task's amounts as running, or no longer so.
    pub(crate) fn count_running(
        &mut self,
        node: NodeId,
        shape: &Shape,
        devices: DeviceSet,
        running: bool,
    ) {
        let totals = &mut self.totals[self.zone[node.row()].row()];
        for (sum, amount) in totals.running.iter_mut().zip(held_totals(shape, devices)) {
            if running {
                *sum += amount;
            } else {
                *sum -= amount;
            }
        }
    }
}

/// What a task of this shape holds, GPU share by the devices it was really given.
fn held_totals(shape: &Shape, devices: DeviceSet) -> [u64; 4] {
    let [cpu, memory, disk] = shape.amounts;
    [cpu, memory, disk, u64::from(devices.count()) * u64::from(shape.gpu_milli.0)]
}

fn model_fits(shape: &Shape, device: &Device) -> bool {
    shape.gpu_models.is_empty() || shape.gpu_models.contains(&device.model)
}

pub(crate) fn device_fits(shape: &Shape, device: &Device) -> bool {
    device.free() >= shape.gpu_milli && device.capacity.0 > 0 && model_fits(shape, device)
}

fn sorted(ports: &[Port]) -> Vec<Port> {
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports
}
