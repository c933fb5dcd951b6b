//! The policies `swarm-spread`, `swarm-binpack` and `swarm-random`: the real strategies, on a mirror of the
//! cluster.
//!
//! Every task is a container. [`Nodes::fits`](cluster::nodes::Nodes::fits) stands for the filters and goes
//! before the strategy, so that a node is never given more than it offers, where the real one fills it to its
//! over-commit and a little more; the over-commit of 5 percent counts in the weights only. Of nodes that are
//! equally good one is drawn.
//!
//! Differs: CPUs are counted in thousandths, since whole ones would make every fraction a core or nothing; of a
//! node's the over-commit is still cut to whole cores. Nothing else is different for whole cores. Disk and GPUs
//! weigh nothing. All nodes are equally healthy, and a container is gone when it ends, not when it is removed.
//!
//! Cost: one pass over the nodes; when a task ends, one over those on its node.

mod explain;

use crate::card::Card;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::best_fit_devices;
use crate::swarm::engine::{OVERCOMMIT_PERCENT, with_overcommit};
use crate::swarm::model::{Container, Node, Request};
use crate::swarm::strategy::Strategy;
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::explain::{Explanation, Question};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::scheduler::{BadMemory, Desk, Scheduler};
use cluster::state::State;
use std::sync::Arc;

/// The page of `swarm-spread`.
pub const SPREAD: Card = Card {
    name: "swarm-spread",
    summary: "Docker Swarm classic, spread: the node with the least of its CPU and memory requested, in \
              whole percent",
    example: "swarm-spread",
    ..BINPACK
};

/// The page of `swarm-binpack`.
pub const BINPACK: Card = Card {
    name: "swarm-binpack",
    summary: "Docker Swarm classic, binpack: the node with the most of its CPU and memory requested, in \
              whole percent",
    source: "classicswarm 3cc018dc, scheduler/strategy",
    differs: "no node is filled beyond what it offers; thousandths of CPUs; equal nodes are drawn from",
    cost: "one pass over the nodes",
    parameters: &[],
    example: "swarm-binpack",
};

/// The page of `swarm-random`.
pub const RANDOM: Card = Card {
    name: "swarm-random",
    summary: "Docker Swarm classic, random: any node",
    differs: "the real one does not look whether there is room; here it must fit",
    example: "swarm-random",
    ..BINPACK
};

/// Reads the arguments of `swarm-spread`; there are none.
///
/// # Errors
///
/// Never.
pub fn spread(_arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    Ok(Plan::new(|seed| Box::new(Swarm::new(&SPREAD, Strategy::Spread, seed))))
}

/// Reads the arguments of `swarm-binpack`; there are none.
///
/// # Errors
///
/// Never.
pub fn binpack(_arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    Ok(Plan::new(|seed| Box::new(Swarm::new(&BINPACK, Strategy::Binpack, seed))))
}

/// Reads the arguments of `swarm-random`; there are none.
///
/// # Errors
///
/// Never.
pub fn random(_arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    Ok(Plan::new(|seed| Box::new(Swarm::new(&RANDOM, Strategy::Random, seed))))
}

/// The scheduler. Its memory is the random stream.
#[derive(Debug)]
pub struct Swarm {
    card: &'static Card,
    strategy: Strategy,
    chance: Chance,
    /// `None` until the first decision.
    mirror: Option<Mirror>,
    /// Rows that are left, kept for its memory.
    rows: Vec<usize>,
}

impl Swarm {
    fn new(card: &'static Card, strategy: Strategy, seed: u64) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        Self { card, strategy, chance, mirror: None, rows: Vec::new() }
    }
}

impl Scheduler for Swarm {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let Self { strategy, chance, mirror, rows, .. } = self;
        let mirror = mirror.get_or_insert_with(|| Mirror::of(desk.state()));
        while let Some(task) = desk.head() {
            let (ask, nodes) = (desk.ask(task), desk.state().nodes());
            rows.clear();
            rows.extend(nodes.ids().filter(|&it| nodes.fits(ask.shape, it)).map(NodeId::row));
            if rows.is_empty() {
                desk.unfit(task);
                continue;
            }
            if let Some(company) = Company::of(desk.state(), ask.task) {
                rows.retain(|row| company.allows(NodeId(*row as u32)).is_ok());
            }
            let request = mirror.request(ask.task.definition, desk.state());
            strategy.keep_best(&request, &mirror.nodes, rows, &mut ());
            let row = match rows[..] {
                // The strategy takes none, or rules about other tasks allow none.
                [] => {
                    desk.hold_back(task);
                    continue;
                }
                [only] => only,
                _ => rows[chance.below(rows.len() as u64) as usize],
            };
            let node = NodeId(row as u32);
            let devices = best_fit_devices(ask, node, nodes);
            mirror.seat(task, node, request);
            desk.place(task, node, devices);
        }
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        if let Some(mirror) = &mut self.mirror {
            changes.iter().for_each(|it| mirror.follow(it, state));
        }
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn memory(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.card.name, &self.chance))
            .expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        let ((name, chance), rest): ((String, Chance), _) =
            postcard::take_from_bytes(memory).map_err(|_| BadMemory)?;
        if name != self.card.name || !rest.is_empty() {
            return Err(BadMemory);
        }
        self.chance = chance;
        self.mirror = None;
        Ok(())
    }
}

/// The nodes as the strategy sees them.
#[derive(Debug, Default)]
struct Mirror {
    /// By [`NodeId::row`].
    nodes: Vec<Node>,
    /// The row of each placed task.
    seats: IdMap<TaskId, usize>,
    requests: IdMap<DefinitionId, Arc<Request>>,
}

impl Mirror {
    fn of(state: &State) -> Self {
        let mut mirror = Self::default();
        for node in state.nodes().ids() {
            mirror.offer(node, state);
            for &id in state.tasks_on(node) {
                if let Some(task) = state.task(id) {
                    let request = mirror.request(task.definition, state);
                    mirror.seat(id, node, request);
                }
            }
        }
        mirror
    }

    fn follow(&mut self, change: &Change, state: &State) {
        match *change {
            Change::NodeReady { node } | Change::NodeUpdated { node } => self.offer(node, state),
            // One's own placements have their seats already.
            Change::Placed { task, node } | Change::Adopted { task, node }
                if !self.seats.contains(&task.task) =>
            {
                let request = self.request(task.definition, state);
                self.seat(task.task, node, request);
            }
            Change::Interrupted { task, .. } | Change::Ended { task, .. } => {
                if let Some(row) = self.seats.remove(&task.task) {
                    self.nodes[row].remove(&task.task.to_string());
                }
            }
            _ => {}
        }
    }

    /// Takes over what a node offers now; a new node has its row made.
    fn offer(&mut self, node: NodeId, state: &State) {
        let row = node.row();
        if row >= self.nodes.len() {
            self.nodes.resize_with(row + 1, || Node { health: 100, ..Node::default() });
        }
        let capacity = Resource::SCALARS.map(|it| state.nodes().capacity(it)[row]);
        let (cpu, memory) = amounts(capacity);
        let cores = with_overcommit(cpu / 1000, OVERCOMMIT_PERCENT);
        self.nodes[row].total_cpus = cores * 1000 + cpu % 1000;
        self.nodes[row].total_memory_bytes = with_overcommit(memory, OVERCOMMIT_PERCENT);
    }

    fn seat(&mut self, task: TaskId, node: NodeId, request: Arc<Request>) {
        let container = Container { id: task.to_string(), request, ..Container::default() };
        self.nodes[node.row()].add(container);
        self.seats.insert(task, node.row());
    }

    fn request(&mut self, definition: DefinitionId, state: &State) -> Arc<Request> {
        let request = self.requests.get_or_insert_with(definition, || {
            let (cpus, memory_bytes) = amounts(state.shape(state.shape_of(definition)).amounts);
            Arc::new(Request { cpus, memory_bytes, ..Request::default() })
        });
        Arc::clone(request)
    }
}

/// Thousandths of a core and bytes, cut to 2^50, so that percentages of sums stay within bounds.
fn amounts([cpu, memory, _disk]: [u64; 3]) -> (i64, i64) {
    (cpu.min(1 << 50) as i64, memory.min(1 << 50) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::swarm::stories::{Checked, Story, steps};
    use proptest::proptest;

    /// What the strategies look at, row by row.
    fn shown(mirror: &Mirror) -> Vec<String> {
        let node = |it: &Node| {
            let mut ids: Vec<&str> = it.containers().iter().map(|it| it.id.as_str()).collect();
            ids.sort_unstable();
            let total = (it.total_cpus, it.total_memory_bytes, it.health);
            format!("{total:?} {} {} {ids:?}", it.used_cpus(), it.used_memory_bytes())
        };
        mirror.nodes.iter().map(node).collect()
    }

    fn compare(scheduler: &Swarm, state: &State) {
        if let Some(mirror) = &scheduler.mirror {
            let anew = Mirror::of(state);
            assert_eq!(shown(mirror), shown(&anew));
            assert_eq!(mirror.seats.len(), anew.seats.len());
        }
    }

    proptest! {
        #[test]
        fn the_mirror_is_that_of_the_state(steps in steps()) {
            for strategy in [Strategy::Spread, Strategy::Binpack, Strategy::Random] {
                let inner = Swarm::new(&SPREAD, strategy, 1);
                let mut story = Story::new(Box::new(Checked { inner, compare }));
                story.join([4000, 1 << 33, 1 << 33]);
                steps.iter().for_each(|it| story.step(*it));
            }
        }
    }

    #[test]
    fn spread_takes_the_emptiest_and_binpack_the_fullest() {
        let nodes = "10/20 5/20 20/40";
        check("swarm-spread", nodes, "2/4 2/4 2/4 9/0", "n2 n2 n0 n2");
        check("swarm-binpack", nodes, "2/4 2/4 2/4 9/0", "n1 n1 n0 n2");
    }

    #[test]
    fn fractions_of_a_core_weigh_what_they_are() {
        check("swarm-spread", "2/9 1/9", "0.5/0 0.4/0 0.5/0", "n0 n1 n0");
    }

    #[test]
    fn a_full_node_is_full_without_over_commit() {
        check("swarm-binpack", "40/100", "40/50 1/1 x0 2/2", "n0 - n0");
    }
}
