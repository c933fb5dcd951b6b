//! FGD, fragmentation gradient descent: the node, and the device, where the task makes least free GPU
//! useless.
//!
//! Source: Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
//! Gradient Descent", USENIX ATC 2023, section 4. Fragmentation is that of [`fragments`]. The score of a
//! node is 100 times the logistic function of how many devices less of it are a fragment with the task
//! than without, cut to an integer, so that most decisions are ties; a task that asks for a part of a
//! device gets the device with the best score, the lowest index among equals.
//! Differs in what the usual tasks are: theirs are counted in the whole trace beforehand, which no
//! scheduler can see. Ours are the tasks placed so far, counted again whenever they have grown by a quarter;
//! nothing is usual before the first. [`Fgd::with_usual`] takes a count from elsewhere
//! (`bayplan reproduce fgd`).
//!
//! Floating-point numbers take part in its decisions: see [`fragments`]. The logistic function itself is
//! not computed, but compared with where it passes each whole percent.
//!
//! Cost: one pass over the nodes; per node that changed since a task of the same kind was placed, once over
//! the usual shapes and devices, times its devices for a part of a device.
//!
//! [`fragments`]: crate::fragments

use crate::card::{Card, Parameter};
use crate::fragments::{Asked, Fragments, Left, Usual, device_fits, devices_left, is_share};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie, best_fit_devices};
use cluster::demand::Resource;
use cluster::id_map::IdMap;
use cluster::ids::{ModelId, NodeId, ShapeId};
use cluster::nodes::{Device, DeviceSet, Nodes};
use cluster::scheduler::Ask;
use cluster::shape::Shape;
use cluster::state::State;
use cluster::touched::Mark;
use cluster::units::GpuMilli;
use std::cmp::Reverse;
use std::sync::{Arc, LazyLock};

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "fgd",
    summary: "where the task makes least free GPU useless to the usual mix of tasks",
    source: "Weng et al., Beware of Fragmentation (FGD), USENIX ATC 2023, section 4",
    differs: "the usual tasks are those placed so far, not the whole trace's; `bayplan reproduce fgd` \
              gives it the latter",
    cost: "one pass over the nodes; the usual shapes times devices for nodes that changed",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "fgd:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(Fgd::new(tie))
}

/// Highest score first.
#[derive(Debug, Clone)]
pub struct Fgd {
    tie: Tie,
    /// The usual tasks, if they are known beforehand.
    given: Option<Arc<Usual>>,
    /// Placements so far, by shape; not counted if the usual tasks are given.
    placed: Vec<u64>,
    /// Those from which the usual tasks were last counted.
    counted: Vec<u64>,
    /// The task at hand.
    shape: ShapeId,
    scores: Scores,
}

impl Fgd {
    /// Counts the usual tasks itself.
    pub fn new(tie: Tie) -> Self {
        Self {
            tie,
            given: None,
            placed: Vec::new(),
            counted: Vec::new(),
            shape: ShapeId(0),
            scores: Scores::default(),
        }
    }

    /// Takes the usual tasks from outside, as the paper does.
    pub fn with_usual(usual: Arc<Usual>, tie: Tie) -> Self {
        Self { given: Some(usual), ..Self::new(tie) }
    }

    /// The usual tasks as now known.
    fn usual(&self, state: &State) -> Usual {
        match &self.given {
            Some(usual) => Usual::clone(usual),
            None => {
                let counts = self.counted.iter().enumerate().filter(|it| *it.1 > 0);
                Usual::of(
                    counts
                        .map(|(row, &count)| (Asked::of(state.shape(ShapeId(row as u32))), count)),
                )
            }
        }
    }
}

impl Rank for Fgd {
    type Key = Reverse<u8>;
    /// Placements by shape, now and when the usual tasks were last counted.
    type Memory = (Vec<u64>, Vec<u64>);

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn memory(&self) -> Self::Memory {
        (self.placed.clone(), self.counted.clone())
    }

    fn recall(&mut self, (placed, counted): Self::Memory) {
        (self.placed, self.counted) = (placed, counted);
        self.scores.forget();
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        match self.given {
            Some(_) => Locality::NodeLocal,
            None => Locality::Global,
        }
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        let (placed, counted) = (self.placed.iter().sum::<u64>(), self.counted.iter().sum::<u64>());
        if placed > counted + counted / 4 {
            self.counted.clone_from(&self.placed);
            self.scores.forget();
        }
        let models = state.nodes().model_names().len();
        if self.scores.models != Some(models) {
            let fragments = Known::new(Fragments::new(&self.usual(state), state.nodes()));
            self.scores = Scores { fragments, models: Some(models), ..Scores::default() };
        }
        self.shape = ask.task.shape;
        self.scores.refresh(ask.task.shape, ask.shape, state.nodes());
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) -> Reverse<u8> {
        let column = self.scores.current();
        move |node| Reverse(column.map_or(0, |it| it[node.row()].score))
    }

    fn parts(&self, Reverse(score): Reverse<u8>) -> Vec<Part> {
        vec![Part::highest("score of fragments avoided", score)]
    }

    fn devices(&self, ask: Ask<'_>, node: NodeId, nodes: &Nodes) -> DeviceSet {
        match self.scores.current() {
            Some(column) if is_share(ask.shape) => {
                DeviceSet::from_iter([usize::from(column[node.row()].device)])
            }
            _ => best_fit_devices(ask, node, nodes),
        }
    }

    fn placed(&mut self, _node: NodeId) {
        if self.given.is_none() {
            let row = self.shape.row();
            if self.placed.len() <= row {
                self.placed.resize(row + 1, 0);
            }
            self.placed[row] += 1;
        }
    }
}

/// [`Fragments::of`], remembered: nodes are alike when they have enough cpu for the same usual tasks and as much
/// left of devices of one model, in whatever order. Sums over devices are of whole numbers, so the bits are the same.
#[derive(Debug, Clone, Default)]
struct Known {
    fragments: Fragments,
    cpus: Vec<u64>,
    known: IdMap<u128, f64>,
}

/// What is remembered at most; beyond, all is forgotten.
const KNOWN_MAX: usize = 1 << 20;
/// Devices that go into a key, ten bits each.
const DEVICES_MAX: usize = 8;

impl Known {
    fn new(fragments: Fragments) -> Self {
        Self { cpus: fragments.cpus(), fragments, known: IdMap::default() }
    }

    fn of(&mut self, cpu: u64, devices: &[Left]) -> f64 {
        let Some(key) = self.key(cpu, devices) else { return self.fragments.of(cpu, devices) };
        if self.known.len() >= KNOWN_MAX {
            self.known = IdMap::default();
        }
        let fragments = &self.fragments;
        *self.known.get_or_insert_with(key, || fragments.of(cpu, devices))
    }

    fn key(&self, cpu: u64, devices: &[Left]) -> Option<u128> {
        let model = devices.first()?.model;
        if devices.len() > DEVICES_MAX {
            return None;
        }
        let mut left = [0; DEVICES_MAX];
        for (left, it) in left.iter_mut().zip(devices) {
            if it.model != model || it.milli >= 1 << 10 {
                return None;
            }
            *left = it.milli;
        }
        left.sort_unstable();
        let cpu = self.cpus.partition_point(|it| *it <= cpu) as u128;
        // Devices that are full say nothing beside others of their model.
        let key = left
            .iter()
            .fold(cpu << 16 | u128::from(model.0), |key, it| key << 10 | u128::from(*it));
        (cpu < 1 << 32).then_some(key)
    }
}

/// Kinds of tasks whose scores are kept; beyond, all are forgotten.
const KINDS_MAX: usize = 256;
/// No node has this version yet.
const NEVER: u64 = u64::MAX;

/// Scores by kind of task and node, kept until the node changes. Scratch: they can always be computed anew.
#[derive(Debug, Clone, Default)]
struct Scores {
    fragments: Known,
    /// How many GPU models the cluster had when the usual tasks were looked up; `None` before.
    models: Option<usize>,
    /// What is a fragment of each node now, with its version.
    now: Vec<(u64, f64)>,
    kinds: Vec<Kind>,
    columns: Vec<Vec<Scored>>,
    /// When each column was last refreshed.
    marks: Vec<Option<Mark>>,
    /// The column of each shape, where it is known.
    of_shape: Vec<Option<usize>>,
    /// The column of the task at hand.
    at: Option<usize>,
    devices: Vec<Left>,
}

/// What scores depend on of a task: all but memory, ports and the like, on which it depends whether the
/// task fits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    cpu: u64,
    count: u16,
    milli: GpuMilli,
    models: Vec<ModelId>,
}

#[derive(Debug, Clone, Copy)]
struct Scored {
    version: u64,
    score: u8,
    /// For a part of a device.
    device: u8,
}

impl Scores {
    fn forget(&mut self) {
        *self = Self::default();
    }

    fn current(&self) -> Option<&[Scored]> {
        self.at.map(|it| self.columns[it].as_slice())
    }

    /// Makes the scores of this shape current.
    fn refresh(&mut self, id: ShapeId, shape: &Shape, nodes: &Nodes) {
        let at = self.column(id, shape);
        self.at = Some(at);
        let mut column = std::mem::take(&mut self.columns[at]);
        column.resize(nodes.len(), Scored { version: NEVER, score: 0, device: 0 });
        self.now.resize(nodes.len(), (NEVER, 0.0));
        let touched = self.marks[at].and_then(|it| nodes.touched_since(it));
        let mut look_at = |node: NodeId| {
            let (scored, version) = (&mut column[node.row()], nodes.version(node));
            if scored.version != version {
                *scored = self.score(shape, node, nodes);
                scored.version = version;
            }
        };
        match touched.filter(|it| it.len() < nodes.len()) {
            Some(touched) => touched.for_each(look_at),
            None => nodes.ids().for_each(&mut look_at),
        }
        debug_assert!(nodes.ids().all(|it| column[it.row()].version == nodes.version(it)));
        self.marks[at] = Some(nodes.mark());
        self.columns[at] = column;
    }

    fn column(&mut self, id: ShapeId, shape: &Shape) -> usize {
        if let Some(Some(at)) = self.of_shape.get(id.row()) {
            return *at;
        }
        let kind = Kind {
            cpu: shape.amounts[0],
            count: shape.gpu_count,
            milli: shape.gpu_milli,
            models: shape.gpu_models.clone(),
        };
        let at = match self.kinds.iter().position(|it| *it == kind) {
            Some(at) => at,
            None => {
                if self.kinds.len() == KINDS_MAX {
                    self.kinds.clear();
                    self.columns.clear();
                    self.marks.clear();
                    self.of_shape.clear();
                }
                self.kinds.push(kind);
                self.columns.push(Vec::new());
                self.marks.push(None);
                self.kinds.len() - 1
            }
        };
        if self.of_shape.len() <= id.row() {
            self.of_shape.resize(id.row() + 1, None);
        }
        self.of_shape[id.row()] = Some(at);
        at
    }

    /// The score of a node and the device that gives it; its version is set by the caller. Of no meaning
    /// if the task does not fit.
    fn score(&mut self, shape: &Shape, node: NodeId, nodes: &Nodes) -> Scored {
        let mut scored = Scored { version: NEVER, score: 0, device: 0 };
        let Some(cpu) = nodes.free(Resource::Cpu)[node.row()].checked_sub(shape.amounts[0]) else {
            return scored;
        };
        let now = match self.now[node.row()] {
            (version, now) if version == nodes.version(node) => now,
            _ => {
                devices_left(node, nodes, &mut self.devices);
                let now = self.fragments.of(nodes.free(Resource::Cpu)[node.row()], &self.devices);
                self.now[node.row()] = (nodes.version(node), now);
                now
            }
        };
        let mut devices = std::mem::take(&mut self.devices);
        devices_left(node, nodes, &mut devices);
        let milli = shape.gpu_milli.0;
        if is_share(shape) {
            let mut is_first = true;
            for (index, device) in nodes.devices(node).iter().enumerate() {
                let is_like = |(it, other): (&Left, &Device)| {
                    *it == devices[index] && device_fits(shape, other)
                };
                // Like one before, it is no better.
                if !device_fits(shape, device)
                    || std::iter::zip(&devices[..index], nodes.devices(node)).any(is_like)
                {
                    continue;
                }
                devices[index].milli -= milli;
                let score = percent(now - self.fragments.of(cpu, &devices));
                devices[index].milli += milli;
                if is_first || score > scored.score {
                    (scored.score, scored.device) = (score, index as u8);
                    is_first = false;
                }
            }
        } else if let Some(taken) = nodes.best_fit_devices(shape, node) {
            for index in taken.iter() {
                devices[index].milli -= milli;
            }
            scored.score = percent(now - self.fragments.of(cpu, &devices));
        }
        self.devices = devices;
        scored
    }
}

/// 100 times the logistic function of so many thousandths of a device, cut to an integer.
fn percent(fewer_milli: f64) -> u8 {
    let x = fewer_milli / 1000.0;
    static FROM: LazyLock<[(f64, bool); 101]> = LazyLock::new(|| {
        std::array::from_fn(|percent| match percent {
            // Computed in floating point, the function is one half a little below zero, too.
            50 => (-1.5 * f64::EPSILON, false),
            // It is never computed as one for what a node can have; where it is, 53 bits run out.
            100 => (36.736_800_569_677_1, false),
            it => ((it as f64 / (100 - it) as f64).ln(), true),
        })
    });
    let from = &*FROM;
    let passed = |&percent: &u8| match from[usize::from(percent)] {
        (from, true) => x >= from,
        (from, false) => x > from,
    };
    // The largest that is passed, by halving: what is passed is passed by all below.
    let (mut low, mut high) = (0, 101);
    while high - low > 1 {
        let middle = u8::midpoint(low, high);
        if passed(&middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use cluster::units::MilliCpu;
    use proptest::prelude::*;

    #[test]
    fn the_score_is_the_logistic_function_cut() {
        for step in -16_000..=16_000 {
            let milli = f64::from(step) * 0.5;
            let want = (100.0 / (1.0 + (-milli / 1000.0).exp())) as u8;
            assert_eq!(percent(milli), want, "{milli}");
        }
        assert_eq!([percent(0.0), percent(-2e-13), percent(-4e-13)], [50, 50, 49]);
        assert_eq!([percent(-1e6), percent(1e6)], [0, 100]);
    }

    #[test]
    fn nothing_is_usual_before_the_first_task() {
        check("fgd", "8/8+2 8/8+2", "1/1+0.5", "n0");
        check("fgd:tie=rank", "8/8+2~1 8/8+2~0", "1/1+0.5", "n1");
    }

    #[test]
    fn keeps_devices_whole_for_those_who_want_them_whole() {
        // Whole devices are usual; a half goes where a half is gone.
        check("fgd", "8/8+2 8/8+2", "1/1+1 1/1+1 1/1+0.5 1/1+0.5 1/1+1", "n0 n0 n1 n1 n1");
    }

    #[test]
    fn cpu_that_gpus_need_is_left_to_them() {
        // Without its cpu the device of n0 is of no use; on n1 there is enough for both.
        check("fgd", "2/8+1 8/8+2", "2/1+1 x0 2/1+1 x1 2/1", "n0 n0 n1");
    }

    #[test]
    fn a_fragment_is_used_up_first() {
        // Of what is left over on n0 no half can be made.
        check("fgd", "8/8+1 8/8+1", "1/1+0.6 1/1+0.6 1/1+0.6 1/1+0.4", "n0 n1 - n0");
    }

    fn asked() -> impl Strategy<Value = (Asked, u64)> {
        let models = prop::sample::select(vec!["", "a", "b", "a|b"]);
        (0..5u64, 0..4u16, 1..5u32, models, 1..9u64).prop_map(
            |(cpu, count, milli, models, times)| {
                let (gpu_milli, models) = match count {
                    0 => (0, ""),
                    1 => (250 * milli, models),
                    _ => (1000, models),
                };
                let (gpu_milli, models) = (GpuMilli(gpu_milli), models.to_owned());
                (Asked { cpu: MilliCpu(cpu), gpu_milli, gpu_count: count, models }, times)
            },
        )
    }

    proptest! {
        /// To the last bit, however often and in whatever order devices stand.
        #[test]
        fn what_is_known_is_what_would_be_found(
            usual in prop::collection::vec(asked(), 0..9),
            nodes in prop::collection::vec(
                (0..6u64, prop::collection::vec((0..5u32, 0..9u16), 0..10), any::<bool>()),
                1..40,
            ),
        ) {
            let fragments = Fragments::new(&Usual::of(usual), &Nodes::default());
            let mut known = Known::new(fragments.clone());
            for (cpu, devices, is_mixed) in nodes {
                let left = |&(milli, model): &(u32, u16)| {
                    let model = ModelId(if is_mixed { model / 8 } else { 0 });
                    Left { model, milli: 250 * milli }
                };
                let mut devices: Vec<Left> = devices.iter().map(left).collect();
                for _ in 0..2 {
                    let want = fragments.of(cpu, &devices);
                    prop_assert_eq!(known.of(cpu, &devices).to_bits(), want.to_bits(), "{:?}", devices);
                    devices.reverse();
                }
            }
        }
    }
}
