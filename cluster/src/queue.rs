//! Pending tasks, one line per shape, in one total order over all lines.
//!
//! A shape that fits nowhere falls asleep and costs nothing until a node could take it: capacity that
//! grows wakes only shapes that fit the node where it grew. Those nodes are remembered: of many shapes that one node
//! woke, the first may take what is free there, and the others sleep on without having been shown to the scheduler.
//! This is exact, because whether a task [fits](crate::nodes::Nodes::fits) depends on its shape and the node alone.

mod heads;
mod waiting;

use self::heads::Heads;
use self::waiting::Waiting;
use crate::demand::Resource;
use crate::event::HoldReason;
use crate::fitting;
use crate::ids::{NodeId, ShapeId, TaskId};
use crate::nodes::Nodes;
use crate::rules::QueueOrder;
use crate::shape::Shape;
use crate::state::{State, Task};
use crate::units::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A task's place in the order; lower is tried first. The submission number breaks ties, so that no
/// two tasks share a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    primary: u64,
    sequence: u64,
}

impl Place {
    pub(crate) fn of(order: QueueOrder, task: &Task, shape: &Shape) -> Self {
        let total = |resource: Resource| shape.totals()[resource.row()];
        let primary = match order {
            QueueOrder::Fifo => 0,
            // Maps i32::MAX to 0 and i32::MIN to 2^32 - 1.
            QueueOrder::Priority => (i64::from(i32::MAX) - i64::from(task.priority)) as u64,
            QueueOrder::ShortestFirst => task.estimate.map_or(u64::MAX, |it| it.0),
            QueueOrder::LargestFirst(resource) => u64::MAX - total(resource),
            QueueOrder::SmallestFirst(resource) => total(resource),
        };
        Self { primary, sequence: task.sequence }
    }
}

/// Where a shape may fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Openings {
    /// Nobody looked.
    #[default]
    Anywhere,
    /// Nowhere else: it fitted nowhere, and since then only these nodes came to fit it.
    At(Vec<NodeId>),
}

impl Openings {
    /// More are not remembered.
    const MAX: usize = 8;

    /// A node came to fit the shape.
    fn add(&mut self, node: NodeId) {
        match self {
            Self::At(nodes) if nodes.contains(&node) => {}
            Self::At(nodes) if nodes.len() < Self::MAX => nodes.push(node),
            _ => *self = Self::Anywhere,
        }
    }

    fn close(&mut self) {
        match self {
            Self::At(nodes) => nodes.clear(),
            Self::Anywhere => *self = Self::At(Vec::new()),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Line {
    waiting: Waiting,
    is_asleep: bool,
    /// Anywhere, if the line is empty or held: then nobody looks after it.
    openings: Openings,
    unfit: Option<KnownUnfit>,
    /// Kept back for this round, so never at rest.
    #[serde(skip)]
    is_held: bool,
}

impl Line {
    /// The first place, and whether it is asleep; none of a line that is held.
    fn head(&self) -> Option<(Place, bool)> {
        let place = self.waiting.first_place()?;
        (!self.is_held).then_some((place, self.is_asleep))
    }
}

/// What was found when a shape last fitted nowhere.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct KnownUnfit {
    /// [`Nodes::growth`](crate::nodes::Nodes::growth) at that time: as long as nothing grew, the shape
    /// still fits nowhere.
    growth: u64,
    /// [`Nodes::membership`](crate::nodes::Nodes::membership) at that time: once nodes came or went, the
    /// reason may be another.
    membership: u64,
    reason: HoldReason,
}

/// What is known of one shape beyond who waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    shape: ShapeId,
    is_asleep: bool,
    openings: Openings,
    unfit: Option<KnownUnfit>,
}

/// All pending tasks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    lines: Vec<Line>,
    /// First place of every line that is not empty or held, by whether it is asleep.
    awake: Heads,
    asleep: Heads,
    /// Tasks that wait for a moment before they are tried again.
    parked: BTreeSet<(Instant, Place, TaskId)>,
    /// Tasks that the scheduler keeps back for this round.
    aside: BTreeMap<Place, (ShapeId, TaskId)>,
    /// Lines that it keeps back.
    #[serde(skip)]
    held: Vec<ShapeId>,
    /// Columns of what shapes ask for, of as many as anybody looked at.
    #[serde(skip)]
    asks: [Vec<u64>; 3],
}

impl Queue {
    fn line(&mut self, shape: ShapeId) -> &mut Line {
        if self.lines.len() <= shape.row() {
            self.lines.resize_with(shape.row() + 1, Line::default);
        }
        &mut self.lines[shape.row()]
    }

    fn heads(&mut self, is_asleep: bool) -> &mut Heads {
        if is_asleep { &mut self.asleep } else { &mut self.awake }
    }

    /// Changes a line and keeps the sets of heads right.
    fn change<T>(&mut self, shape: ShapeId, change: impl FnOnce(&mut Line) -> T) -> T {
        let line = self.line(shape);
        let old = line.head();
        let out = change(line);
        let new = line.head();
        if old == new {
            return out;
        }
        match (old, new) {
            (Some((old, was_asleep)), Some((new, is_asleep))) if was_asleep == is_asleep => {
                self.heads(is_asleep).replace((old, shape), (new, shape));
            }
            (old, new) => {
                if let Some((place, was_asleep)) = old {
                    self.heads(was_asleep).remove((place, shape));
                }
                if let Some((place, is_asleep)) = new {
                    self.heads(is_asleep).insert((place, shape));
                }
            }
        }
        out
    }

    pub(crate) fn push(&mut self, place: Place, shape: ShapeId, task: TaskId) {
        let line = self.line(shape);
        if line.waiting.first_place().is_some_and(|it| it < place) {
            // Not the first of its line, whatever comes.
            line.waiting.insert(place, task);
        } else {
            self.change(shape, |line| line.waiting.insert(place, task));
        }
    }

    /// Takes a task out of its line, or from aside.
    pub(crate) fn remove(&mut self, place: Place, shape: ShapeId) -> bool {
        self.change(shape, |line| {
            let was_there = line.waiting.remove(place);
            if line.waiting.is_empty() {
                line.is_asleep = false;
                line.openings = Openings::Anywhere;
            }
            was_there
        }) || self.aside.remove(&place).is_some()
    }

    /// The first task of those that may fit.
    pub(crate) fn head(&self) -> Option<(Place, ShapeId, TaskId)> {
        let (_, shape) = self.awake.first()?;
        let (place, task) = self.lines[shape.row()].waiting.first()?;
        Some((place, shape, task))
    }

    /// The first place of those known not to fit.
    pub(crate) fn head_asleep(&self) -> Option<Place> {
        self.asleep.first().map(|it| it.0)
    }

    /// Whether any task may fit.
    pub(crate) fn is_awake(&self) -> bool {
        !self.awake.is_empty()
    }

    /// All tasks in order, sleeping ones included, parked ones not.
    pub(crate) fn in_order(&self) -> Vec<TaskId> {
        let mut all: Vec<(Place, TaskId)> = Vec::new();
        for line in &self.lines {
            all.extend(line.waiting.range(..));
        }
        all.extend(self.aside.iter().map(|(&place, &(_, task))| (place, task)));
        all.sort_unstable();
        all.into_iter().map(|it| it.1).collect()
    }

    /// Notes that a shape fits nowhere.
    pub(crate) fn note_unfit(&mut self, shape: ShapeId, nodes: &Nodes, reason: HoldReason) {
        let (growth, membership) = (nodes.growth(), nodes.membership());
        self.line(shape).unfit = Some(KnownUnfit { growth, membership, reason });
    }

    /// Why the shape fits nowhere, if that was found and neither capacity nor reasons changed since.
    pub(crate) fn known_unfit(&self, shape: ShapeId, nodes: &Nodes) -> Option<HoldReason> {
        let known = self.lines.get(shape.row())?.unfit?;
        let is_current = known.growth == nodes.growth() && known.membership == nodes.membership();
        is_current.then_some(known.reason)
    }

    /// Why a sleeping shape was found to fit nowhere, if nodes neither came nor went since. Capacity may
    /// have grown elsewhere: the shape would be awake if that had helped.
    pub(crate) fn sleep_reason(&self, shape: ShapeId, nodes: &Nodes) -> Option<HoldReason> {
        let known = self.lines.get(shape.row())?.unfit?;
        (known.membership == nodes.membership()).then_some(known.reason)
    }

    /// Whether a task waits in its line.
    pub(crate) fn has(&self, place: Place, shape: ShapeId) -> bool {
        self.lines.get(shape.row()).is_some_and(|it| it.waiting.contains(place))
    }

    /// Whether the shape's line sleeps.
    pub(crate) fn is_asleep(&self, shape: ShapeId) -> bool {
        self.lines.get(shape.row()).is_some_and(|it| it.is_asleep)
    }

    /// Takes out all from this place on, whether or not their shapes sleep, in order.
    pub(crate) fn cut(&mut self, from: Place) -> Vec<(Place, ShapeId, TaskId)> {
        let mut all = Vec::new();
        for shape in 0..self.lines.len() {
            let shape = ShapeId(u32::try_from(shape).expect("fewer than 2^32 shapes"));
            let behind = self.change(shape, |line| {
                let behind = line.waiting.split_off(from);
                if line.waiting.is_empty() {
                    line.openings = Openings::Anywhere;
                }
                behind
            });
            all.extend(behind.into_iter().map(|(place, task)| (place, shape, task)));
        }
        all.sort_unstable();
        all
    }

    /// Tasks behind this place that may fit, in order.
    pub(crate) fn awake_behind(&self, place: Place) -> Vec<TaskId> {
        self.awake_within((Bound::Excluded(place), Bound::Unbounded))
    }

    /// Tasks before this place that may fit, in order.
    pub(crate) fn awake_ahead(&self, place: Place) -> Vec<TaskId> {
        self.awake_within((Bound::Unbounded, Bound::Excluded(place)))
    }

    fn awake_within(&self, places: (Bound<Place>, Bound<Place>)) -> Vec<TaskId> {
        let mut all = Vec::new();
        for line in self.lines.iter().filter(|it| !it.is_asleep && !it.is_held) {
            all.extend(line.waiting.range(places));
        }
        all.sort_unstable();
        all.into_iter().map(|it| it.1).collect()
    }

    /// Puts a line to sleep until a node can take its shape.
    pub(crate) fn sleep(&mut self, shape: ShapeId) {
        self.change(shape, |line| {
            line.is_asleep = true;
            line.openings.close();
        });
    }

    /// Whether a shape fits nowhere as far as is known from the last time that it was tried and from what grew since.
    pub(crate) fn is_closed(&self, shape: ShapeId, state: &State) -> bool {
        match &self.lines[shape.row()].openings {
            Openings::Anywhere => false,
            Openings::At(nodes) => {
                let (asked, all) = (state.shape(shape), state.nodes());
                !nodes.iter().any(|&node| all.fits(asked, node))
            }
        }
    }

    /// A node can take more than before: wakes the shapes that now fit it.
    pub(crate) fn grew(&mut self, node: NodeId, state: &State) {
        if (self.asleep.is_empty() && self.awake.is_empty()) || !state.nodes().ready()[node.row()] {
            return;
        }
        let fits = |shape: ShapeId| state.nodes().fits(state.shape(shape), node);
        for (_, shape) in self.awake.iter() {
            let openings = &mut self.lines[shape.row()].openings;
            if matches!(openings, Openings::At(_)) && fits(shape) {
                openings.add(node);
            }
        }
        for shape in self.asleep_that_fit(node, state) {
            self.change(shape, |line| {
                line.is_asleep = false;
                line.openings.add(node);
            });
        }
    }

    fn asleep_that_fit(&mut self, node: NodeId, state: &State) -> Vec<ShapeId> {
        let (nodes, shapes) = (state.nodes(), state.shape_count());
        let fits = |shape: ShapeId| nodes.fits(state.shape(shape), node);
        if self.asleep.len() < 4 * shapes.div_ceil(fitting::ROWS) {
            return self.asleep.iter().map(|it| it.1).filter(|it| fits(*it)).collect();
        }
        // With so many, it is faster to look at what all shapes ask for, 64 at a time.
        for shape in self.asks[0].len()..shapes {
            let amounts = state.shape(ShapeId(shape as u32)).amounts;
            self.asks.iter_mut().zip(amounts).for_each(|(column, it)| column.push(it));
        }
        let free = Resource::SCALARS.map(|it| nodes.free(it)[node.row()]);
        let mut found = Vec::new();
        for start in (0..shapes).step_by(fitting::ROWS) {
            let end = shapes.min(start + fitting::ROWS);
            let mut bits = u64::MAX >> (fitting::ROWS - (end - start));
            for (column, free) in self.asks.iter().zip(free) {
                // What asks for less than one more fits.
                if let Some(more) = free.checked_add(1)
                    && bits != 0
                {
                    bits &= fitting::below(&column[start..end], more);
                }
            }
            while bits != 0 {
                let shape = ShapeId(start as u32 + bits.trailing_zeros());
                bits &= bits - 1;
                let head = self.lines.get(shape.row()).and_then(Line::head);
                if head.is_some_and(|it| it.1) && fits(shape) {
                    found.push(shape);
                }
            }
        }
        found
    }

    /// What is known of shapes beyond who waits: asleep or not, and why it fits nowhere.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let lines = self.lines.iter().zip(0..);
        let is_known = |line: &Line| {
            line.is_asleep || line.openings != Openings::Anywhere || line.unfit.is_some()
        };
        lines
            .filter(|(line, _)| is_known(line))
            .map(|(line, shape)| Note {
                shape: ShapeId(shape),
                is_asleep: line.is_asleep,
                openings: line.openings.clone(),
                unfit: line.unfit,
            })
            .collect()
    }

    /// Takes back what [`Queue::notes`] gave.
    pub(crate) fn set_notes(&mut self, notes: &[Note]) {
        for shape in 0..self.lines.len() {
            let shape = ShapeId(u32::try_from(shape).expect("fewer than 2^32 shapes"));
            let note = notes.iter().find(|it| it.shape == shape);
            self.change(shape, |line| {
                line.is_asleep = note.is_some_and(|it| it.is_asleep);
                line.openings = note.map_or(Openings::Anywhere, |it| it.openings.clone());
                line.unfit = note.and_then(|it| it.unfit);
            });
        }
    }

    /// Looks at all nodes whether what is known of openings is true. For tests.
    #[cfg(test)]
    pub(crate) fn audit(&self, state: &State) {
        for (line, shape) in self.lines.iter().zip(0..) {
            let asked = state.shape(ShapeId(shape));
            let fitting = || state.nodes().ids().filter(|&it| state.nodes().fits(asked, it));
            if line.is_asleep && !line.waiting.is_empty() {
                assert_eq!(fitting().next(), None, "s{shape} sleeps, but fits");
            }
            if let Openings::At(nodes) = &line.openings {
                assert!(
                    fitting().all(|it| nodes.contains(&it)),
                    "s{shape} fits not just {nodes:?}"
                );
            }
        }
    }

    /// Parked tasks and until when.
    pub(crate) fn parked(&self) -> impl Iterator<Item = (TaskId, Instant)> {
        self.parked.iter().map(|it| (it.2, it.0))
    }

    pub(crate) fn park(&mut self, until: Instant, place: Place, task: TaskId) {
        self.parked.insert((until, place, task));
    }

    pub(crate) fn unpark(&mut self, until: Instant, place: Place, task: TaskId) -> bool {
        self.parked.remove(&(until, place, task))
    }

    /// The moment at which the next parked task is to be tried again.
    pub(crate) fn next_parked(&self) -> Option<Instant> {
        self.parked.first().map(|it| it.0)
    }

    /// Takes out one parked task whose moment has come.
    pub(crate) fn pop_parked(&mut self, now: Instant) -> Option<TaskId> {
        let &(until, ..) = self.parked.first()?;
        if until > now { None } else { self.parked.pop_first().map(|it| it.2) }
    }

    pub(crate) fn set_aside(&mut self, place: Place, shape: ShapeId, task: TaskId) {
        self.aside.insert(place, (shape, task));
    }

    /// Keeps back all tasks of a shape, those that come later in this round too.
    pub(crate) fn hold(&mut self, shape: ShapeId) {
        self.change(shape, |line| {
            line.is_held = true;
            line.openings = Openings::Anywhere;
        });
        self.held.push(shape);
    }

    /// Puts everything that was set aside back in line, and lets lines go that were held.
    pub(crate) fn restore_aside(&mut self) {
        if self.held.is_empty() && self.aside.is_empty() {
            return;
        }
        for shape in std::mem::take(&mut self.held) {
            self.change(shape, |line| line.is_held = false);
        }
        while let Some((place, (shape, task))) = self.aside.pop_first() {
            self.push(place, shape, task);
        }
    }
}
