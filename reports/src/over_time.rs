//! What nodes offered and tasks held over the run, zone by zone: exact sums of whole numbers.
//!
//! The sum over time of what all tasks hold is the sum over tasks of what each held times how long. So it is added up
//! when a task leaves its node, and at the end for those that are still there; when time moves on there is
//! nothing to add. A peak is looked for only where something grew.

use crate::average::{Peak, Steps, quotient};
use cluster::event::Facts;
use cluster::id_map::IdMap;
use cluster::ids::{NodeId, TaskId};
use cluster::shape::Shape;
use cluster::state::State;
use cluster::units::{Instant, Span};

/// Share of the cluster's capacity, over time and at most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CapacityShare {
    /// The integral of the part over the integral of capacity.
    pub mean: Option<f64>,
    /// Largest share that lasted.
    pub peak: Option<f64>,
}

/// What one zone was over the run, per resource where there are four.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ZoneShares {
    /// Nodes that were not lost.
    pub nodes_mean: f64,
    /// Placed tasks.
    pub tasks_mean: f64,
    /// What placed tasks asked for.
    pub allocated: [Option<f64>; 4],
    /// What running tasks asked for.
    pub utilised: [Option<f64>; 4],
}

/// Sums over time, so far.
#[derive(Debug, Default)]
pub struct OverTime {
    start: Instant,
    end: Instant,
    zones: Vec<Zone>,
    /// Nodes with at least one task.
    in_use: Steps,
    allocated: [Peak; 4],
    utilised: [Peak; 4],
    /// Of the whole cluster, now.
    capacity: [u64; 4],
    /// [`Nodes::membership`](cluster::nodes::Nodes::membership) that capacities were read at.
    membership: Option<u64>,
    /// Whether a task came or left since time last moved on.
    moved: bool,
    /// Whether anything grew that has a peak.
    grew: bool,
    /// GPU share of tasks that were found with fewer devices than they ask for.
    found_short: IdMap<TaskId, u64>,
}

#[derive(Debug, Default)]
struct Zone {
    /// When its first node joined.
    since: Instant,
    nodes: Steps,
    capacity: [Steps; 4],
    tasks: u128,
    held: [u128; 4],
    /// Of what was held, what tasks held before they ran.
    starting: [u128; 4],
}

impl Zone {
    /// A task of this shape was there until `until`.
    #[inline]
    fn add(&mut self, shape: &Shape, gpu: u64, placed: Instant, started: Instant, until: Instant) {
        let length = until.0 - placed.0;
        self.tasks += u128::from(length);
        for (it, &amount) in shape.amounts.iter().enumerate() {
            if amount > 0 {
                self.held[it] += u128::from(amount) * u128::from(length);
            }
        }
        if gpu > 0 {
            self.held[3] += u128::from(gpu) * u128::from(length);
        }
        if started > placed {
            self.add_starting(shape, gpu, started.0 - placed.0);
        }
    }

    fn add_starting(&mut self, shape: &Shape, gpu: u64, length: u64) {
        let [cpu, memory, disk] = shape.amounts;
        for (sum, amount) in self.starting.iter_mut().zip([cpu, memory, disk, gpu]) {
            *sum += u128::from(amount) * u128::from(length);
        }
    }
}

impl OverTime {
    /// Time counts from here.
    pub(crate) fn begin(&mut self, start: Instant) {
        self.start = start;
    }

    /// The first event of the run.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// A task was given a node.
    #[inline]
    pub(crate) fn placed(&mut self) {
        self.moved = true;
        self.grew = true;
    }

    /// A task runs.
    #[inline]
    pub(crate) fn started(&mut self) {
        self.grew = true;
    }

    /// A task was found on a node.
    pub(crate) fn adopted(&mut self, task: &Facts, state: &State) {
        self.placed();
        let shape = state.shape(state.shape_of(task.definition));
        let place = state.task(task.task).and_then(|it| it.placement());
        if let Some(place) = place.filter(|it| it.devices.count() != u32::from(shape.gpu_count)) {
            let held = u64::from(place.devices.count()) * u64::from(shape.gpu_milli.0);
            self.found_short.insert(task.task, held);
        }
    }

    /// A task is on its node no longer.
    #[inline]
    pub(crate) fn left(&mut self, now: Instant, task: &Facts, node: NodeId, state: &State) {
        self.moved = true;
        let Some(placed) = task.placed else { return };
        let shape = state.shape(state.shape_of(task.definition));
        let gpu = if shape.gpu_count > 0 { self.gpu(task.task, shape) } else { 0 };
        let placed = placed.max(self.start);
        let started = task.started.unwrap_or(now).max(placed);
        // Nothing has lasted yet in a zone that is not known.
        if let Some(zone) = self.zones.get_mut(state.nodes().zones()[node.0 as usize].row()) {
            zone.add(shape, gpu, placed, started, now);
        }
    }

    /// What a task held that leaves its node.
    fn gpu(&mut self, task: TaskId, shape: &Shape) -> u64 {
        self.found_short.remove(&task).unwrap_or(shape.totals()[3])
    }

    /// The state has been so since `now`, and lasts.
    #[inline]
    pub(crate) fn settle(&mut self, now: Instant, state: &State) {
        if self.membership != Some(state.nodes().membership()) {
            self.read_capacities(now, state);
        }
        if self.moved {
            self.moved = false;
            let in_use = state.nodes().zone_totals().iter().map(|it| u64::from(it.nodes_in_use));
            self.in_use.set(now, in_use.sum());
        }
        if self.grew {
            self.grew = false;
            self.look_for_peaks(state);
        }
    }

    fn read_capacities(&mut self, now: Instant, state: &State) {
        let totals = state.nodes().zone_totals();
        self.membership = Some(state.nodes().membership());
        self.moved = true;
        self.grew = true;
        while self.zones.len() < totals.len() {
            self.zones.push(Zone { since: now, ..Zone::default() });
        }
        self.capacity = [0; 4];
        for (zone, now_there) in self.zones.iter_mut().zip(totals) {
            zone.nodes.set(now, u64::from(now_there.nodes));
            for it in 0..4 {
                zone.capacity[it].set(now, now_there.capacity[it]);
                self.capacity[it] += now_there.capacity[it];
            }
        }
    }

    fn look_for_peaks(&mut self, state: &State) {
        let (mut held, mut running) = ([0; 4], [0; 4]);
        for zone in state.nodes().zone_totals() {
            for it in 0..4 {
                held[it] += zone.held[it];
                running[it] += zone.running[it];
            }
        }
        for it in 0..4 {
            self.allocated[it].look(held[it], self.capacity[it]);
            self.utilised[it].look(running[it], self.capacity[it]);
        }
    }

    /// The run is over: adds what tasks hold that are still on their nodes. A run of no length counts as if its
    /// only moment had lasted.
    pub(crate) fn close(&mut self, end: Instant, state: &State) {
        self.end = if end > self.start { end } else { self.start + Span(1) };
        self.in_use.set(self.end, self.in_use.value());
        for zone in &mut self.zones {
            zone.nodes.set(self.end, zone.nodes.value());
            for it in &mut zone.capacity {
                it.set(self.end, it.value());
            }
        }
        let nodes = state.nodes();
        for node in nodes.ids() {
            for &id in state.tasks_on(node) {
                let Some(task) = state.task(id) else { continue };
                let Some(place) = task.placement() else { continue };
                let shape = state.shape(task.shape);
                let gpu = if shape.gpu_count > 0 { self.gpu(id, shape) } else { 0 };
                let placed = place.at.max(self.start);
                let started = place.started.unwrap_or(self.end).max(placed);
                let zone = nodes.zones()[node.row()];
                if let Some(zone) = self.zones.get_mut(zone.row()) {
                    zone.add(shape, gpu, placed, started, self.end);
                }
            }
        }
    }

    /// Nodes with at least one task: mean over time, and most. After the end.
    pub fn nodes_used(&self) -> (f64, f64) {
        let length = self.end.since(self.start).0;
        (quotient(self.in_use.sum(), u128::from(length)).unwrap_or(0.0), self.in_use.peak() as f64)
    }

    /// What placed tasks asked for, per resource. After the end.
    pub fn allocated(&self) -> [CapacityShare; 4] {
        self.shares(&self.allocated, |zone, it| zone.held[it])
    }

    /// What running tasks asked for, per resource. After the end.
    pub fn utilised(&self) -> [CapacityShare; 4] {
        self.shares(&self.utilised, |zone, it| zone.held[it] - zone.starting[it])
    }

    fn shares(&self, peaks: &[Peak; 4], part: fn(&Zone, usize) -> u128) -> [CapacityShare; 4] {
        let share = |it: usize| {
            let parts = self.zones.iter().map(|zone| part(zone, it)).sum();
            let whole = self.zones.iter().map(|zone| zone.capacity[it].sum()).sum();
            CapacityShare { mean: quotient(parts, whole), peak: peaks[it].share() }
        };
        [share(0), share(1), share(2), share(3)]
    }

    /// Each zone that lasted, in zone order. After the end.
    pub fn zones(&self) -> impl Iterator<Item = ZoneShares> {
        self.zones.iter().map(|zone| {
            let length = u128::from(self.end.since(zone.since).0);
            let mean = |sum: u128| quotient(sum, length).unwrap_or(0.0);
            let share = |part: u128, it: usize| quotient(part, zone.capacity[it].sum());
            ZoneShares {
                nodes_mean: mean(zone.nodes.sum()),
                tasks_mean: mean(zone.tasks),
                allocated: [0, 1, 2, 3].map(|it| share(zone.held[it], it)),
                utilised: [0, 1, 2, 3].map(|it| share(zone.held[it] - zone.starting[it], it)),
            }
        })
    }
}
