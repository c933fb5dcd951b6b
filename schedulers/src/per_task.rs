//! The adapter that makes a scheduler of a [`Rank`]: task by task in queue order, each placed on the
//! node with the lowest key.

mod boxes;
mod explain;
mod index;

use self::boxes::Boxes;
use self::index::{First, PerShape, Shortlist};
use crate::rank::{Locality, Rank, Sampling, Tie};
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::event::Change;
use cluster::explain::{Explanation, Question};
use cluster::ids::NodeId;
use cluster::nodes::{DeviceSet, Nodes};
use cluster::scheduler::{Ask, BadMemory, Desk, Scheduler};
use cluster::state::State;
use std::ops::{ControlFlow, Range};

/// Whether nodes that run something come before empty ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Open {
    /// All nodes alike.
    #[default]
    Any,
    /// An empty node only when no node that already runs a task fits: the any-fit rule of bin
    /// packing, where a bin is opened only when it must be.
    First,
}

impl Open {
    /// As written in policies.
    pub const WORDS: &[(&str, Self)] = &[("any", Self::Any), ("first", Self::First)];
}

/// A scheduler that asks a [`Rank`] about every task.
///
/// Its memory is the rank's own and the random stream.
#[derive(Debug)]
pub struct PerTask<R: Rank> {
    rank: R,
    open: Open,
    chance: Chance,
    scratch: Scratch<R::Key>,
    /// Where the first node stands that takes a shape.
    first: PerShape<First>,
    /// The best nodes for a shape. Empty nodes come last if they are opened last.
    best: PerShape<Shortlist<(bool, R::Key)>>,
    /// For keys that follow from what nodes have free.
    boxes: Boxes,
}

/// Buffers that are kept from task to task, so that a decision allocates nothing.
#[derive(Debug)]
struct Scratch<K> {
    /// Nodes that a sampling shows.
    listed: Vec<NodeId>,
    /// The same with their keys.
    keyed: Vec<(NodeId, K)>,
    /// Nodes with the best key so far, for random ties.
    tied: Vec<NodeId>,
    /// Nodes left to draw from.
    pool: Vec<NodeId>,
}

/// What is to become of one task.
enum Choice {
    Place(NodeId, DeviceSet),
    /// It fits somewhere, but the rank or a rule about other tasks accepts no such node.
    Refused,
    /// The rank alone refused it, and would refuse all of its shape.
    RefusedAlike,
    FitsNowhere,
}

impl<R: Rank> PerTask<R> {
    /// A scheduler that ranks by `rank` and draws from the seed's scheduler stream.
    pub fn new(rank: R, open: Open, seed: u64) -> Self {
        let scratch =
            Scratch { listed: Vec::new(), keyed: Vec::new(), tied: Vec::new(), pool: Vec::new() };
        Self {
            rank,
            open,
            chance: Chance::new(seed, Purpose::Scheduler, 0),
            scratch,
            first: PerShape::new(),
            best: PerShape::new(),
            boxes: Boxes::new(),
        }
    }

    /// The node to take, found by looking at all that the sampling shows; and whether one that fits was refused.
    fn look(
        &mut self,
        ask: Ask<'_>,
        state: &State,
        company: Option<Company<'_>>,
        sampling: Sampling,
        tie: Tie,
    ) -> (Option<NodeId>, bool) {
        let only_open = self.open == Open::First;
        let mut scan = Scan { ask, state, company, only_open, refused: false };
        let mut once = |scan: &mut Scan<'_>| {
            pick(&mut self.rank, scan, sampling, tie, &mut self.chance, &mut self.scratch)
        };
        let mut picked = once(&mut scan);
        if picked.is_none() && only_open {
            scan.only_open = false;
            picked = once(&mut scan);
        }
        (picked, scan.refused)
    }

    /// The node to take, if that is known without looking at all of them.
    fn known(
        &mut self,
        ask: Ask<'_>,
        state: &State,
        sampling: Sampling,
        tie: Tie,
    ) -> Option<NodeId> {
        let (nodes, shape) = (state.nodes(), ask.shape);
        let is_local = self.rank.locality(ask) == Locality::NodeLocal && !R::NORMALISES;
        let (rank, opens_last) = (&self.rank, self.open == Open::First);
        let accepts = |node| rank.accepts(ask, node, state);
        // Empty nodes come after all in use.
        let is_late = |node: NodeId| opens_last && nodes.task_counts()[node.row()] == 0;
        let (id, rows) = (ask.task.shape, nodes.len());
        let fitting = nodes.fitting(shape);
        let words = |it| fitting.word(it);
        match sampling {
            Sampling::First { start } if is_local && !opens_last => {
                let start = start.checked_rem(rows)?;
                let steps_to =
                    |row: usize| if row < start { row + rows - start } else { row - start };
                let mut first = First { start, steps: 0 };
                let update = |it: &mut First, node: NodeId| {
                    let steps = steps_to(node.row());
                    if steps < it.steps && nodes.fits(shape, node) && accepts(node) {
                        it.steps = steps;
                    }
                };
                if let Some(&mut known) = self.first.ask(id, nodes, update)
                    && known.start == start
                {
                    first = known;
                }
                let found = cyclic(start, first.steps, rows, words).find(|it| accepts(*it));
                first.steps = found.map_or(rows, |it| steps_to(it.row()));
                self.first.put(id, nodes, first);
                found
            }
            Sampling::All if is_local => {
                let keys = rank.keys(ask, state);
                let order =
                    |node: NodeId| if tie == Tie::Rank { nodes.ranks()[node.row()] } else { 0 };
                let rate = |node| accepts(node).then(|| ((is_late(node), keys(node)), order(node)));
                let update = |it: &mut Shortlist<_>, node: NodeId| {
                    it.set(node, nodes.fits(shape, node).then(|| rate(node)).flatten());
                };
                let factors = rank.factors();
                if let Some(list) = self.best.held(id) {
                    let bound = |(is_late, key), old| Some((is_late, rank.reweighed(key, old)?));
                    let rate = |it| nodes.fits(shape, it).then(|| rate(it)).flatten();
                    list.reweigh(factors, rate, bound);
                }
                let list = match self.best.ask(id, nodes, update) {
                    Some(list) if !list.is_used_up() => list,
                    _ => {
                        let mut list = Shortlist::new(factors);
                        match rank.by_free(ask, state) {
                            Some(by) => {
                                self.boxes.refresh(nodes);
                                self.boxes.search(shape.totals(), &by, |node, key| {
                                    if nodes.fits(shape, node) && accepts(node) {
                                        list.offer(((is_late(node), key), order(node), node));
                                    }
                                    let ((is_late, key), order, node) = list.limit()?;
                                    let row = if order == 0 { node.0 } else { u32::MAX };
                                    (!is_late).then_some((key, row))
                                });
                            }
                            None => {
                                for node in cyclic(0, 0, rows, words) {
                                    if let Some((key, order)) = rate(node) {
                                        list.offer((key, order, node));
                                    }
                                }
                            }
                        }
                        self.best.put(id, nodes, list.made())
                    }
                };
                if tie != Tie::Random {
                    return list.first();
                }
                let tied = &mut self.scratch.tied;
                match (list.tied(tied), &tied[..]) {
                    (false, _) | (true, []) => None,
                    (true, &[only]) => Some(only),
                    (true, all) => Some(all[self.chance.below(all.len() as u64) as usize]),
                }
            }
            Sampling::All if !opens_last => self.rank.find(ask, state),
            _ => None,
        }
    }

    fn choose(&mut self, ask: Ask<'_>, state: &State) -> Choice {
        let nodes = state.nodes();
        self.rank.begin(ask, state);
        let sampling = self.rank.sampling(ask, nodes, &mut self.chance);
        let tie = self.rank.tie();
        let company = Company::of(state, ask.task);
        #[cfg(test)]
        let before = self.chance.clone();
        let known = match company {
            None => self.known(ask, state, sampling, tie),
            Some(_) => None,
        };
        #[cfg(test)]
        if known.is_some() {
            let after = std::mem::replace(&mut self.chance, before);
            assert_eq!(self.look(ask, state, None, sampling, tie).0, known, "{}", ask.id);
            assert_eq!(self.chance, after, "{}", ask.id);
        }
        let is_alone = company.is_none();
        let (picked, refused) = match known {
            Some(node) => (Some(node), false),
            None => self.look(ask, state, company, sampling, tie),
        };
        let choice = match picked {
            Some(node) => Choice::Place(node, self.rank.devices(ask, node, nodes)),
            None if refused && R::REFUSES_ALIKE && is_alone => Choice::RefusedAlike,
            None if refused => Choice::Refused,
            None => Choice::FitsNowhere,
        };
        self.rank.end(ask, state);
        choice
    }
}

impl<R: Rank> Scheduler for PerTask<R> {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            match self.choose(desk.ask(task), desk.state()) {
                Choice::Place(node, devices) => {
                    desk.place(task, node, devices);
                    self.rank.placed(node);
                }
                Choice::Refused => desk.hold_back(task),
                Choice::RefusedAlike => desk.hold_back_alike(task),
                Choice::FitsNowhere => desk.unfit(task),
            }
        }
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.rank.observe(changes, state);
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn memory(&self) -> Vec<u8> {
        let memory = (self.rank.card().name, self.rank.memory(), &self.chance);
        postcard::to_stdvec(&memory).expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        let ((name, memory, chance), rest): ((String, R::Memory, Chance), _) =
            postcard::take_from_bytes(memory).map_err(|_| BadMemory)?;
        if name != self.rank.card().name || !rest.is_empty() {
            return Err(BadMemory);
        }
        self.rank.recall(memory);
        self.chance = chance;
        self.first.clear();
        self.best.clear();
        self.boxes = Boxes::new();
        Ok(())
    }
}

/// Rows that are compared at once, see [`Nodes::fitting`].
const WORD: usize = u64::BITS as usize;

/// The nodes of these words in row order from `start` on, cyclically, without the first `skipped` rows.
fn cyclic(
    start: usize,
    skipped: usize,
    rows: usize,
    word: impl Fn(usize) -> u64,
) -> impl Iterator<Item = NodeId> {
    let first = start + skipped;
    let parts = [first.min(rows)..rows, first.saturating_sub(rows)..start];
    let mut words = parts.into_iter().flat_map(|part| {
        (part.start / WORD..part.end.div_ceil(WORD)).map(move |at| (at, part.clone()))
    });
    let (mut at, mut left) = (0, 0);
    std::iter::from_fn(move || {
        while left == 0 {
            let part;
            (at, part) = words.next()?;
            left = word(at) & within(at, &part);
        }
        let row = at * WORD + left.trailing_zeros() as usize;
        left &= left - 1;
        Some(NodeId(row as u32))
    })
}

/// The bits of a word that stand for these rows, of which it has some.
fn within(word: usize, rows: &Range<usize>) -> u64 {
    let first = word * WORD;
    let from = u64::MAX << rows.start.saturating_sub(first);
    let to = if rows.end < first + WORD { !(u64::MAX << (rows.end - first)) } else { u64::MAX };
    from & to
}

/// One look over the nodes for one task.
struct Scan<'a> {
    ask: Ask<'a>,
    state: &'a State,
    /// Rules about other tasks.
    company: Option<Company<'a>>,
    /// Nodes without a task are passed over.
    only_open: bool,
    /// The task fits a node that the rank does not accept.
    refused: bool,
}

impl Scan<'_> {
    /// Calls `visit` for every candidate of these rows, in order, until it breaks.
    #[inline(always)]
    fn rows<R: Rank>(
        &mut self,
        rank: &R,
        rows: Range<usize>,
        mut visit: impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let fitting = self.state.nodes().fitting(self.ask.shape);
        for word in rows.start / WORD..rows.end.div_ceil(WORD) {
            let first = word * WORD;
            let mut left = fitting.word(word) & within(word, &rows);
            while left != 0 {
                let node = NodeId(first as u32 + left.trailing_zeros());
                left &= left - 1;
                if self.is_candidate(rank, node) && visit(node).is_break() {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// All rows from `start` on, cyclically.
    #[inline]
    fn cycle<R: Rank>(
        &mut self,
        rank: &R,
        start: usize,
        mut visit: impl FnMut(NodeId) -> ControlFlow<()>,
    ) {
        let rows = self.state.nodes().len();
        let start = start.checked_rem(rows).unwrap_or(0);
        if self.rows(rank, start..rows, &mut visit).is_continue() {
            let _ = self.rows(rank, 0..start, &mut visit);
        }
    }

    /// The part of being a candidate beyond fitting.
    #[inline]
    fn is_candidate<R: Rank>(&mut self, rank: &R, node: NodeId) -> bool {
        if self.only_open && self.state.nodes().task_counts()[node.row()] == 0 {
            return false;
        }
        let is_kept = self.company.as_ref().is_none_or(|it| it.allows(node).is_ok());
        let accepted = is_kept && rank.accepts(self.ask, node, self.state);
        self.refused |= !accepted;
        accepted
    }
}

/// The node with the lowest key of those that the sampling shows.
fn pick<R: Rank>(
    rank: &mut R,
    scan: &mut Scan<'_>,
    sampling: Sampling,
    tie: Tie,
    chance: &mut Chance,
    scratch: &mut Scratch<R::Key>,
) -> Option<NodeId> {
    let (ask, state) = (scan.ask, scan.state);
    if let Sampling::First { start } = sampling {
        let mut first = None;
        scan.cycle(rank, start, |node| {
            first = Some(node);
            ControlFlow::Break(())
        });
        return first;
    }
    scratch.tied.clear();
    let mut best = Best { tie, nodes: state.nodes(), found: None, tied: &mut scratch.tied };
    let rows = state.nodes().len();
    if sampling == Sampling::All && !R::NORMALISES {
        let keys = rank.keys(ask, state);
        let _ = scan.rows(rank, 0..rows, |node| {
            best.offer(node, keys(node));
            ControlFlow::Continue(())
        });
        drop(keys);
        return best.take(chance);
    }
    list(rank, scan, sampling, chance, &mut scratch.listed, &mut scratch.pool);
    let keys = rank.keys(ask, state);
    scratch.keyed.clear();
    scratch.keyed.extend(scratch.listed.iter().map(|&node| (node, keys(node))));
    drop(keys);
    if R::NORMALISES {
        rank.normalise(ask, &mut scratch.keyed, state);
    }
    for &(node, key) in &scratch.keyed {
        best.offer(node, key);
    }
    best.take(chance)
}

/// Lists the nodes that the sampling shows.
fn list<R: Rank>(
    rank: &R,
    scan: &mut Scan<'_>,
    sampling: Sampling,
    chance: &mut Chance,
    listed: &mut Vec<NodeId>,
    pool: &mut Vec<NodeId>,
) {
    listed.clear();
    let (start, most) = match sampling {
        Sampling::All => (0, usize::MAX),
        Sampling::First { start } => (start, 1),
        Sampling::FirstK { start, k } => (start, k.max(1)),
        Sampling::Random { d } => return draw(rank, scan, d.max(1), chance, listed, pool),
    };
    scan.cycle(rank, start, |node| {
        listed.push(node);
        if listed.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
}

/// Draws `d` different candidates uniformly, all if there are fewer.
///
/// First by drawing rows until enough of them fit, which is quick while many do; after some misses by
/// listing the rest. Either way each set of candidates is equally likely.
fn draw<R: Rank>(
    rank: &R,
    scan: &mut Scan<'_>,
    d: usize,
    chance: &mut Chance,
    drawn: &mut Vec<NodeId>,
    pool: &mut Vec<NodeId>,
) {
    let nodes = scan.state.nodes();
    let rows = nodes.len();
    if rows == 0 {
        return;
    }
    // Few enough to cost less than a pass over a small cluster, enough for one that is half full.
    let tries = (4 * d + 8).min(rows);
    for _ in 0..tries {
        if drawn.len() == d {
            return;
        }
        let node = NodeId(chance.below(rows as u64) as u32);
        if nodes.fits(scan.ask.shape, node)
            && !drawn.contains(&node)
            && scan.is_candidate(rank, node)
        {
            drawn.push(node);
        }
    }
    if drawn.len() == d {
        return;
    }
    pool.clear();
    let _ = scan.rows(rank, 0..rows, |node| {
        if !drawn.contains(&node) {
            pool.push(node);
        }
        ControlFlow::Continue(())
    });
    while drawn.len() < d && !pool.is_empty() {
        let at = chance.below(pool.len() as u64) as usize;
        drawn.push(pool.swap_remove(at));
    }
}

/// The best node so far.
struct Best<'a, K> {
    tie: Tie,
    nodes: &'a Nodes,
    found: Option<(K, NodeId)>,
    tied: &'a mut Vec<NodeId>,
}

impl<K: Ord + Copy> Best<'_, K> {
    #[inline(always)]
    fn offer(&mut self, node: NodeId, key: K) {
        let Some((best_key, best)) = self.found else {
            self.lead(node, key);
            return;
        };
        if key < best_key {
            self.lead(node, key);
        } else if key == best_key {
            self.tie(node, key, best);
        }
    }

    #[inline]
    fn tie(&mut self, node: NodeId, key: K, best: NodeId) {
        match self.tie {
            Tie::LowestIndex if node < best => self.lead(node, key),
            Tie::LowestIndex => {}
            Tie::Rank => {
                let order = |it: NodeId| (self.nodes.ranks()[it.row()], it);
                if order(node) < order(best) {
                    self.lead(node, key);
                }
            }
            Tie::Random => self.tied.push(node),
        }
    }

    #[inline]
    fn lead(&mut self, node: NodeId, key: K) {
        self.found = Some((key, node));
        if self.tie == Tie::Random {
            self.tied.clear();
            self.tied.push(node);
        }
    }

    fn take(self, chance: &mut Chance) -> Option<NodeId> {
        let (_, node) = self.found?;
        match self.tied.len() {
            0 | 1 => Some(node),
            tied => Some(self.tied[chance.below(tied as u64) as usize]),
        }
    }
}
