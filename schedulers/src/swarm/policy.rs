//! The policies `swarm-spread`, `swarm-binpack` and `swarm-random`: the real strategies, on a mirror of the
//! cluster.
//!
//! Every task is a container. [`Nodes::fits`](cluster::nodes::Nodes::fits) stands for the filters and goes
//! before the strategy, so that a node is never given more than it offers, where the real one fills it to its
//! over-commit and a little more; the over-commit of 5 percent counts in the weights only. Of nodes that are
//! equally good one is drawn.
//!
//! What a task would rather have is Swarm's soft expressions: its node preferences (`constraint:`), to be near to or
//! apart from other tasks on a node (`affinity:`), and with `images=soft` a node that holds its images
//! (`affinity:image==~`). As there, they bind like hard ones at first, all of them whatever they weigh; if that
//! leaves no node with room, none counts.
//!
//! Differs: CPUs are counted in thousandths, since whole ones would make every fraction a core or nothing; of a
//! node's the over-commit is still cut to whole cores. Nothing else is different for whole cores. Disk and GPUs
//! weigh nothing. Nodes that are out of reach, drained or lost are those without health, all others are equally
//! healthy; and a container is gone when it ends, not when it is removed.
//!
//! Cost: a weight for every node that changed since a task of the same shape was placed, or for all nodes if that
//! was long ago; one pass over the nodes for a task with soft expressions or rules about other tasks.

mod explain;
#[cfg(test)]
mod plain;

use crate::card::{Card, Parameter};
use crate::fitting::Fitting;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::best_fit_devices;
use crate::swarm::engine::{overcommit_percent, with_overcommit};
use crate::swarm::explain::Recorder;
use crate::swarm::index::{Best, Index};
use crate::swarm::model::{Load, Request};
use crate::swarm::strategy::Strategy;
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::constraint::{Side, Strength, Who, all_hold};
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::explain::{Explanation, Question};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::nodes::{NODE, Nodes};
use cluster::scheduler::{Ask, BadMemory, Desk, Scheduler};
use cluster::state::State;
use std::fmt;
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
    differs: "no node is filled beyond what it offers; thousandths of CPUs; equal nodes are drawn from; what is \
              soft over other domains than nodes is not seen, nor are spreads",
    cost: "a weight for every node that changed since a task of the shape was placed; one pass over the nodes, and \
           one over their tasks for a task with a soft affinity",
    parameters: &[
        Parameter {
            name: "overcommit",
            values: "a share above -1 and up to 10, such as 0.05",
            default: "0.05",
            summary: "by how much nodes are taken to offer more than they do (swarm.overcommit); in the weights, \
                      while the ledger binds",
        },
        Parameter {
            name: "images",
            values: "any|soft",
            default: "any",
            summary: "`soft` looks for nodes that hold the task's images first",
        },
    ],
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

/// Reads the arguments of `swarm-spread`.
///
/// # Errors
///
/// If a value is none of those on the [card](SPREAD).
pub fn spread(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    plan(arguments, &SPREAD, Strategy::Spread)
}

/// Reads the arguments of `swarm-binpack`.
///
/// # Errors
///
/// If a value is none of those on the [card](BINPACK).
pub fn binpack(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    plan(arguments, &BINPACK, Strategy::Binpack)
}

/// Reads the arguments of `swarm-random`.
///
/// # Errors
///
/// If a value is none of those on the [card](RANDOM).
pub fn random(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    plan(arguments, &RANDOM, Strategy::Random)
}

fn plan(
    arguments: &mut Arguments<'_>,
    card: &'static Card,
    strategy: Strategy,
) -> Result<Plan, PolicyError> {
    let Overcommit(percent) = arguments.list("overcommit", 1, Overcommit::read)?[0];
    let seeks_images = arguments.word("images", &[("any", false), ("soft", true)])?;
    Ok(Plan::new(move |seed| Box::new(Swarm::new(card, strategy, percent, seeks_images, seed))))
}

/// In percent, as the real option is kept.
#[derive(Debug, Clone, Copy)]
struct Overcommit(i64);

impl Overcommit {
    fn read(text: &str) -> Option<Self> {
        let share = text.parse::<f64>().ok().filter(|it| *it > -1.0 && *it <= 10.0)?;
        Some(Self(overcommit_percent(share)))
    }
}

impl fmt::Display for Overcommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 as f64 / 100.0)
    }
}

/// The scheduler. Its memory is the random stream.
#[derive(Debug)]
pub struct Swarm {
    card: &'static Card,
    strategy: Strategy,
    overcommit_percent: i64,
    /// Whether nodes that hold the images are looked for first.
    seeks_images: bool,
    chance: Chance,
    /// `None` until the first decision.
    mirror: Option<Mirror>,
    /// Rows that are left, kept for its memory.
    rows: Vec<usize>,
    /// Rows as bits, likewise.
    words: Vec<u64>,
}

impl Swarm {
    fn new(
        card: &'static Card,
        strategy: Strategy,
        overcommit_percent: i64,
        seeks_images: bool,
        seed: u64,
    ) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        let (mirror, rows, words) = (None, Vec::new(), Vec::new());
        Self { card, strategy, overcommit_percent, seeks_images, chance, mirror, rows, words }
    }
}

impl Scheduler for Swarm {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let Self { strategy, chance, mirror, rows, words, seeks_images, .. } = self;
        let percent = self.overcommit_percent;
        let mirror = mirror.get_or_insert_with(|| Mirror::of(desk.state(), percent));
        while let Some(task) = desk.head() {
            let (ask, nodes) = (desk.ask(task), desk.state().nodes());
            let request = mirror.request(ask.task.definition, desk.state());
            let company = Company::of(desk.state(), ask.task);
            let soft = Soft::of(ask, *seeks_images, desk.state());
            let known = match (&company, &soft) {
                (None, None) if *strategy == Strategy::Random => {
                    any(nodes.fitting(ask.shape), nodes.len(), words, chance)
                }
                (None, None) => mirror.best(*strategy, ask, &request, nodes, chance),
                _ => None,
            };
            let row = match known {
                Some(row) => row,
                None => {
                    rows.clear();
                    rows.extend(mirror.fitting.rows(ask.task.shape, ask.shape, nodes).iter());
                    if rows.is_empty() {
                        desk.unfit(task);
                        continue;
                    }
                    let is_alone = company.is_none() && soft.is_none();
                    if let Some(company) = company {
                        rows.retain(|row| company.allows(NodeId(*row as u32)).is_ok());
                    }
                    keep_best(*strategy, soft.as_ref(), &request, &mirror.loads, rows, &mut ());
                    match rows[..] {
                        // The strategy takes none, of all that ask for as much.
                        [] if is_alone => {
                            desk.hold_back_alike(task);
                            continue;
                        }
                        // Or rules about other tasks allow none.
                        [] => {
                            desk.hold_back(task);
                            continue;
                        }
                        [only] => only,
                        _ => rows[chance.below(rows.len() as u64) as usize],
                    }
                }
            };
            let node = NodeId(row as u32);
            let devices = best_fit_devices(ask, node, nodes);
            mirror.seat(task, node, &request);
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

/// One of the nodes that fit.
fn any(
    fitting: cluster::nodes::Fitting<'_>,
    nodes: usize,
    words: &mut Vec<u64>,
    chance: &mut Chance,
) -> Option<usize> {
    words.clear();
    words.extend((0..nodes.div_ceil(64)).map(|it| fitting.word(it)));
    let count: u64 = words.iter().map(|it| u64::from(it.count_ones())).sum();
    let mut which = match count {
        0 => return None,
        1 => 0,
        several => chance.below(several) as u32,
    };
    for (at, &word) in words.iter().enumerate() {
        if which < word.count_ones() {
            let rest = (0..which).fold(word, |left, _| left & (left - 1));
            return Some(at * 64 + rest.trailing_zeros() as usize);
        }
        which -= word.count_ones();
    }
    None
}

/// Cuts `rows` down to the best of those that are all that the task wishes, or, if none of them has room, of all.
fn keep_best(
    strategy: Strategy,
    soft: Option<&Soft<'_>>,
    request: &Request,
    nodes: &[Load],
    rows: &mut Vec<usize>,
    recorder: &mut impl Recorder,
) {
    if let Some(soft) = soft {
        let kept = rows.iter().copied().filter(|it| soft.keeps(NodeId(*it as u32)));
        let mut kept: Vec<usize> = kept.collect();
        strategy.keep_best(request, nodes, &mut kept, recorder);
        if !kept.is_empty() {
            *rows = kept;
            return;
        }
    }
    strategy.keep_best(request, nodes, rows, recorder);
}

/// What a task would rather have.
struct Soft<'a> {
    ask: Ask<'a>,
    state: &'a State,
    seeks_images: bool,
}

impl<'a> Soft<'a> {
    /// `None` if it has no wish.
    fn of(ask: Ask<'a>, seeks_images: bool, state: &'a State) -> Option<Self> {
        let wished = &state.definition(ask.task.definition).constraints;
        let is_soft = |it: Strength| matches!(it, Strength::Soft(_));
        let has_any = seeks_images
            || !wished.prefers.is_empty()
            || wished.affinity.iter().any(|it| it.domain == NODE && is_soft(it.strength));
        has_any.then_some(Self { ask, state, seeks_images })
    }

    /// Whether the node is all that the task wishes.
    fn keeps(&self, node: NodeId) -> bool {
        let Self { ask, state, .. } = self;
        let nodes = state.nodes();
        let own = state.definition(ask.task.definition);
        let prefers = own.constraints.prefers.iter().flat_map(|it| &it.all);
        let is_preferred =
            prefers.into_iter().all(|it| it.test.holds(nodes.text(node, &it.attribute)));
        let affinity = own.constraints.affinity.iter();
        let mut affinity =
            affinity.filter(|it| it.domain == NODE && matches!(it.strength, Strength::Soft(_)));
        let has = |name: &String| nodes.images(node).iter().any(|it| it.names.contains(name));
        let mut images = own.containers.iter().map(|it| &it.image).filter(|it| !it.is_empty());
        is_preferred
            && affinity.all(|it| self.is_there(&it.who, node) == (it.side == Side::Near))
            && (!self.seeks_images || images.all(has))
    }

    /// Whether one of these tasks is on the node.
    fn is_there(&self, who: &Who, node: NodeId) -> bool {
        let Self { ask, state, .. } = self;
        let own = state.definition(ask.task.definition);
        match who {
            Who::Group => {
                ask.task.group.and_then(|it| state.group(it)).is_some_and(|it| it.on_node(node) > 0)
            }
            Who::Labels { all, namespaces } => {
                let tasks = state.tasks_on(node).iter().filter_map(|it| state.task(*it));
                tasks.map(|it| state.definition(it.definition)).any(|other| {
                    let is_known = match namespaces.is_empty() {
                        true => own.namespace == other.namespace,
                        false => namespaces.contains(&other.namespace),
                    };
                    is_known && all_hold(all, &other.labels)
                })
            }
        }
    }
}

/// The nodes as the strategy sees them.
#[derive(Debug, Default)]
struct Mirror {
    overcommit_percent: i64,
    /// By [`NodeId::row`].
    loads: Vec<Load>,
    /// The row of each placed task.
    seats: IdMap<TaskId, usize>,
    requests: IdMap<DefinitionId, Arc<Request>>,
    index: Index,
    /// Kept for its memory.
    best: Best,
    fitting: Fitting,
}

impl Mirror {
    fn of(state: &State, overcommit_percent: i64) -> Self {
        let mut mirror = Self { overcommit_percent, ..Self::default() };
        for node in state.nodes().ids() {
            mirror.offer(node, state);
            for &id in state.tasks_on(node) {
                if let Some(task) = state.task(id) {
                    let request = mirror.request(task.definition, state);
                    mirror.seat(id, node, &request);
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
                self.seat(task.task, node, &request);
            }
            Change::Interrupted { task, .. } | Change::Ended { task, .. } => {
                if let Some(row) = self.seats.remove(&task.task) {
                    let request = self.request(task.definition, state);
                    let load = &mut self.loads[row];
                    load.used_cpus -= request.cpus;
                    load.used_memory_bytes -= request.memory_bytes;
                    load.containers -= 1;
                    self.index.touch(row);
                }
            }
            _ => {}
        }
    }

    /// Takes over what a node offers now; a new node has its row made.
    fn offer(&mut self, node: NodeId, state: &State) {
        let row = node.row();
        if row >= self.loads.len() {
            self.loads.resize(row + 1, Load { health: 100, ..Load::default() });
        }
        let offered = Resource::SCALARS.map(|it| state.nodes().allocatable(it)[row]);
        let (cpu, memory) = amounts(offered);
        let cores = with_overcommit(cpu / 1000, self.overcommit_percent);
        self.loads[row].total_cpus = cores * 1000 + cpu % 1000;
        self.loads[row].total_memory_bytes = with_overcommit(memory, self.overcommit_percent);
        self.index.offer();
    }

    fn seat(&mut self, task: TaskId, node: NodeId, request: &Request) {
        let load = &mut self.loads[node.row()];
        load.used_cpus += request.cpus;
        load.used_memory_bytes += request.memory_bytes;
        load.containers += 1;
        self.seats.insert(task, node.row());
        self.index.touch(node.row());
    }

    /// One of the nodes that are equally good, if the strategy takes any where the task fits.
    fn best(
        &mut self,
        strategy: Strategy,
        ask: Ask<'_>,
        request: &Request,
        nodes: &Nodes,
        chance: &mut Chance,
    ) -> Option<usize> {
        let Self { loads, index, best, .. } = self;
        index.refresh(loads, nodes);
        let is_plain = nodes.is_plain(ask.shape) && ask.shape.amounts[Resource::Disk.row()] == 0;
        let fits = |it| nodes.fits(ask.shape, it);
        index.search(strategy, request, loads, is_plain, fits, best);
        #[cfg(test)]
        {
            let fit = (0..loads.len()).filter(|it| nodes.fits(ask.shape, NodeId(*it as u32)));
            let mut want: Vec<usize> = fit.collect();
            strategy.keep_best(request, loads, &mut want, &mut ());
            let mut got: Vec<usize> = best.rows.iter().map(|it| *it as usize).collect();
            got.sort_unstable();
            assert_eq!(got, want, "{}", ask.id);
        }
        let which = match best.rows.len() {
            0 => return None,
            1 => 0,
            several => chance.below(several as u64) as usize,
        };
        // In row order.
        Some(*best.rows.select_nth_unstable(which).1 as usize)
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
    use super::plain::Plain;
    use super::*;
    use crate::check::{World, check};
    use crate::policy::Policy;
    use crate::swarm::stories::{Checked, Forgetful, Story, steps, told};
    use cluster::demand::{Amounts, Demand};
    use cluster::nodes::{self, NodeCapacity, NodeSpec};
    use cluster::rules::Rules;
    use cluster::units::MilliCpu;
    use proptest::{prop_assert_eq, proptest};

    fn compare(scheduler: &Swarm, state: &State) {
        if let Some(mirror) = &scheduler.mirror {
            let anew = Mirror::of(state, mirror.overcommit_percent);
            assert_eq!(mirror.loads, anew.loads);
            assert_eq!(mirror.seats.len(), anew.seats.len());
        }
    }

    proptest! {
        #[test]
        fn the_mirror_is_that_of_the_state(steps in steps()) {
            for strategy in [Strategy::Spread, Strategy::Binpack, Strategy::Random] {
                let inner = Swarm::new(&SPREAD, strategy, 5, false, 1);
                let mut story = Story::new(Box::new(Checked { inner, compare }));
                story.join([4000, 1 << 33, 1 << 33]);
                steps.iter().for_each(|it| story.step(*it));
            }
        }
    }

    proptest! {
        #[test]
        fn the_index_decides_as_passes_over_the_nodes(
            steps in steps(),
            keeps_apart in proptest::bool::ANY,
            every in 2..20usize,
        ) {
            let anew: [fn() -> Swarm; 3] = [
                || Swarm::new(&SPREAD, Strategy::Spread, 5, false, 1),
                || Swarm::new(&BINPACK, Strategy::Binpack, -20, false, 1),
                || Swarm::new(&RANDOM, Strategy::Random, 5, false, 1),
            ];
            for anew in anew {
                let fast = Forgetful { inner: anew(), anew, every, decisions: 0 };
                let plain = Plain(anew());
                let nodes = (0..20).map(|it| [4000 + it % 2 * 1000, 1 << 33, 1 << 33]);
                prop_assert_eq!(
                    told(fast, keeps_apart, nodes.clone(), &steps),
                    told(plain, keeps_apart, nodes, &steps)
                );
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
    fn over_commit_changes_the_weights() {
        // Of 20 and 40 cores 1 and 2 are 5 percent; of 21 and 42, 4 and 4.
        check("swarm-spread", "20/10 21/10", "1/1 1/1", "n1 n0");
        check("swarm-binpack:overcommit=0", "10/10 20/10", "5/1 5/1 1/1", "n0 n0 n1");
        check("swarm-spread:overcommit=-0.5", "10/10", "5/5 1/1", "n0 -");
        let written = |text: &str| text.parse::<Policy>().map(|it| it.to_string());
        assert_eq!(written("swarm-spread:overcommit=0.050").unwrap(), "swarm-spread");
        assert_eq!(written("swarm-spread:0.2").unwrap(), "swarm-spread:overcommit=0.2");
        assert!(written("swarm-spread:overcommit=-1").is_err());
    }

    #[test]
    fn what_all_nodes_offer_more_counts_before_it() {
        let overcommit = nodes::Overcommit([2000, 1000, 1000]);
        let rules = Rules { overcommit, ..Rules::default() };
        let cores = |it| Amounts { cpu: MilliCpu::from_cores(it), ..Amounts::default() };
        for policy in ["swarm-spread", "swarm-binpack"] {
            let policy: Policy = policy.parse().unwrap();
            let mut world = World::new(rules, policy.build(1));
            let capacity = NodeCapacity { amounts: cores(10), gpus: vec![] };
            world.join(NodeSpec { name: "a".into(), capacity, ..NodeSpec::default() });
            let mut submit =
                |it| world.submit(Demand { amounts: cores(it), ..Demand::default() }, None);
            assert_eq!(submit(15), Some(NodeId(0)), "{policy}: the node offers 20");
            assert_eq!(submit(6), None, "{policy}");
        }
    }

    #[test]
    fn a_full_node_is_full_without_over_commit() {
        check("swarm-binpack", "40/100", "40/50 1/1 x0 2/2", "n0 - n0");
    }
}
