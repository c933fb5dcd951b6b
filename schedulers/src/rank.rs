//! The small trait that almost every strategy implements: order the nodes for one task.

use crate::card::Card;
use crate::parts::Part;
use cluster::chance::Chance;
use cluster::event::Change;
use cluster::explain::Rejection;
use cluster::ids::NodeId;
use cluster::nodes::{DeviceSet, Nodes};
use cluster::scheduler::Ask;
use cluster::state::State;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Orders the nodes for one task. [`PerTask`](crate::per_task::PerTask) makes a scheduler of it.
///
/// For every task in queue order the adapter calls, in this order: [`Rank::begin`],
/// [`Rank::sampling`], [`Rank::keys`], then per node that fits [`Rank::accepts`] and the key, then
/// [`Rank::normalise`] if there is one, [`Rank::devices`] for the node picked,
/// [`Rank::end`], and [`Rank::placed`] once the task is booked. The lowest key wins; equal keys are
/// told apart by [`Rank::tie`].
///
/// Keys are integers, and the arithmetic behind them is exact or rounded in one stated way, so that
/// every machine decides alike. Implementations do no I/O, ask no clock ([`Ask::now`] is the time), and
/// iterate over nothing unordered. How an engine finds the lowest key (a plain scan, a cache per shape, SIMD) is not theirs
/// to know: it may ask for keys more or less often, as [`Rank::locality`] permits.
pub trait Rank: Send {
    /// How good a node is: lower is better.
    type Key: Ord + Copy + Send + 'static;

    /// What it remembers from task to task (a cursor, learned data), for snapshots; `()` if nothing.
    type Memory: Default + Serialize + DeserializeOwned;

    /// Its page in the list.
    fn card(&self) -> &'static Card;

    /// What it remembers now; nothing unless said otherwise. Scratch that [`Rank::begin`] rebuilds is no
    /// memory.
    fn memory(&self) -> Self::Memory {
        Self::Memory::default()
    }

    /// Takes back what [`Rank::memory`] gave.
    fn recall(&mut self, _memory: Self::Memory) {}

    /// On what a key depends, for this task.
    fn locality(&self, ask: Ask<'_>) -> Locality;

    /// What decides between equal keys.
    fn tie(&self) -> Tie {
        Tie::LowestIndex
    }

    /// Told of every change to the cluster, in order, as a scheduler is.
    fn observe(&mut self, _changes: &[Change], _state: &State) {}

    /// Before the nodes are looked at: the place for work that is done once per task, such as
    /// spreading the counts of the task's group over a column of its own.
    fn begin(&mut self, _ask: Ask<'_>, _state: &State) {}

    /// After the node is picked, or none was: undo what [`Rank::begin`] left in scratch columns.
    fn end(&mut self, _ask: Ask<'_>, _state: &State) {}

    /// Which nodes are looked at.
    fn sampling(&mut self, _ask: Ask<'_>, _nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        Sampling::All
    }

    /// Hard constraints beyond [`Nodes::fits`]. Called only for nodes that fit. A task that fits, but
    /// only where this says no, is held back and tried again at the next decision.
    fn accepts(&self, _ask: Ask<'_>, _node: NodeId, _state: &State) -> bool {
        true
    }

    /// Whether [`Rank::accepts`] looks at the task's shape alone and no placement turns its no into a yes:
    /// then what is refused is refused to all of that shape, who are held back together.
    const REFUSES_ALIKE: bool = false;

    /// The keys of the nodes for this task, before it is placed, as a function. What is the same for
    /// all nodes (columns, factors, what the task asks for) is worked out before it is returned; it is
    /// called only for nodes that fit.
    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Self::Key;

    /// The same function of what a node has free, if it depends on nothing else of the node and is monotone in it: then the best
    /// is found without a look at all. [`Rank::keys`] must say the same. Asked only where keys are
    /// [`Locality::NodeLocal`].
    #[expect(clippy::type_complexity, reason = "closures have no names")]
    fn by_free<'a>(
        &'a self,
        _ask: Ask<'a>,
        _state: &'a State,
    ) -> Option<ByFree<impl Fn(Room) -> Self::Key, impl Fn(Room) -> Self::Key>> {
        None::<ByFree<fn(Room) -> Self::Key, fn(Room) -> Self::Key>>
    }

    /// What keys are weighed with at the moment, where they are sums of parts that do not change with a node's like times such
    /// factors: the same for all nodes, and beside the [locality](Rank::locality) that was stated. Asked after
    /// [`Rank::begin`].
    fn factors(&self) -> [u64; 4] {
        [0; 4]
    }

    /// A key that no node has less than now, of those whose key was this one or more when keys were weighed with `old`; `None` if
    /// nothing can be said.
    fn reweighed(&self, _key: Self::Key, _old: [u64; 4]) -> Option<Self::Key> {
        None
    }

    /// The parts of a key by name, in the order in which they are compared: as many for every key of a
    /// task. For explanations; never asked for while deciding.
    fn parts(&self, key: Self::Key) -> Vec<Part>;

    /// Why [`Rank::accepts`] says no, for explanations.
    fn objection(&self, _ask: Ask<'_>, _node: NodeId, _state: &State) -> Rejection {
        Rejection::new(self.card().name, "the strategy does not take it there")
    }

    /// Whether a key after [`Rank::normalise`] is that of a node that counts, for explanations.
    fn is_in_the_running(&self, _key: Self::Key) -> bool {
        true
    }

    /// Whether [`Rank::normalise`] is to be called.
    const NORMALISES: bool = false;

    /// The second pass of two-pass scores: changes keys in the light of all of them. Nodes stand in
    /// the order in which they were looked at, and must stay so.
    fn normalise(
        &mut self,
        _ask: Ask<'_>,
        _candidates: &mut [(NodeId, Self::Key)],
        _state: &State,
    ) {
    }

    /// The node to take, if it is known without being asked for the keys of all: the one that keys and [`Rank::tie`] would
    /// say. Called after [`Rank::begin`] where all nodes are looked at, empty ones or not, and no rule about other tasks
    /// binds.
    fn find(&mut self, _ask: Ask<'_>, _state: &State) -> Option<NodeId> {
        None
    }

    /// Which GPU devices of the node picked the task gets. It fits there, so there are enough.
    fn devices(&self, ask: Ask<'_>, node: NodeId, nodes: &Nodes) -> DeviceSet {
        best_fit_devices(ask, node, nodes)
    }

    /// The task was placed there.
    fn placed(&mut self, _node: NodeId) {}
}

/// A key that follows from what a node has free.
#[derive(Debug, Clone, Copy)]
pub struct ByFree<F, G> {
    /// Which way it goes.
    pub prefers: Prefers,
    /// The key of a node with so much room, which is enough for the task.
    pub key: F,
    /// A key that no node has less than, of those that have enough for the task and no more room than this, or no less, as it
    /// prefers. The key itself will do.
    pub bound: G,
}

/// What a node has free; or what no node of some has more of, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In the order of [`Resource::ALL`](cluster::demand::Resource::ALL), GPUs summed over the devices.
    pub free: [u64; 4],
    /// As shares of the largest nodes, summed, see [`Scale`](crate::scale::Scale). Of several nodes this can say more than the sum of
    /// the shares of what each has at most or at least.
    pub whole: u64,
}

/// Which of two nodes is never worse if one has as much free of everything as the other, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefers {
    /// The one with more: keys never rise with what is free.
    More,
    /// The one with less: keys never fall.
    Less,
}

/// On what the key of a node depends, and whether it is [accepted](Rank::accepts). An engine may reuse a key for as long as nothing of it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// The task's shape, the node's row in the columns, the [factors](Rank::factors), and the largest capacities
    /// in the cluster, which change only when a node joins or is updated.
    NodeLocal,
    /// That, and where the tasks of the task's own group are.
    GroupLocal,
    /// Anything.
    Global,
}

/// Which nodes are looked at for one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// All of them.
    All,
    /// The first that fits, from `start` on, cyclically. It wins; no key is asked for.
    First {
        /// Row to begin with; taken modulo the number of rows.
        start: usize,
    },
    /// The first `k` that fit, from `start` on, cyclically. The lowest key among them wins.
    FirstK {
        /// Row to begin with; taken modulo the number of rows.
        start: usize,
        /// How many are enough; at least one.
        k: usize,
    },
    /// `d` different nodes, drawn uniformly from those that fit; all if there are fewer. The lowest
    /// key among them wins.
    Random {
        /// How many are drawn; at least one.
        d: usize,
    },
}

/// What decides between nodes with equal keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tie {
    /// The node that joined first.
    #[default]
    LowestIndex,
    /// The node with the lowest [outside rank](Nodes::ranks), then the one that joined first.
    Rank,
    /// A uniform draw: exactly one random number when two or more nodes are tied, none otherwise.
    Random,
}

impl Tie {
    /// As written in policies.
    pub const WORDS: &[(&str, Self)] =
        &[("index", Self::LowestIndex), ("rank", Self::Rank), ("random", Self::Random)];
}

/// The default device rule: of the devices that fit take those with the least left, lowest index first
/// among equals.
///
/// # Panics
///
/// If the task does not fit the node.
pub fn best_fit_devices(ask: Ask<'_>, node: NodeId, nodes: &Nodes) -> DeviceSet {
    if ask.shape.gpu_count == 0 {
        return DeviceSet::NONE;
    }
    nodes
        .best_fit_devices(ask.shape, node)
        .unwrap_or_else(|| panic!("{}: {node} was picked, but has too few devices", ask.id))
}
