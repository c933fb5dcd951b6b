//! Fragmentation: free capacity that the usual mix of tasks cannot use.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use cluster::demand::Resource;
use cluster::event::Facts;
use cluster::ids::{NodeId, ShapeId};
use cluster::nodes::Nodes;
use cluster::shape::Shape;
use std::cmp::Reverse;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

/// Only the shapes submitted most often count, so that a sample's cost is bounded.
const SHAPES_MAX: usize = 32;

const CARD: Card = Card {
    name: "fragmentation",
    title: "Fragmentation",
    definition: "Share of the free capacity that the usual mix of tasks cannot use. For each of the 32 \
        shapes (sets of tasks that ask for the same) submitted most often so far, the free amount of \
        the resource on ready nodes that cannot take one more task of that shape, as a share of all \
        free amount on ready nodes; averaged over shapes by how often each was submitted; averaged \
        over time from samples. It is 1 when everything free is of no use to anyone and has no value \
        while nothing is free or nothing was submitted.",
    source: "Generalises Q. Weng et al., Beware of Fragmentation (FGD), USENIX ATC 2023, \
        from GPUs to every resource. Differs: shapes are weighted by submissions so far, not taken \
        from the whole trace beforehand; a node on which a shape fits counts as wholly usable by it, \
        GPU devices too small for the shape included; tasks without GPU do not make all free GPU a \
        fragment.",
};

fn columns() -> Vec<Column> {
    let column = |resource: Resource| {
        let column = Column::new(
            format!("{resource}_fragmented_share"),
            Unit::Share,
            Better::Lower,
            format!("{resource} fragmented"),
            format!("Share of free {resource} that the usual mix of tasks cannot use, over time."),
        );
        if resource == Resource::Cpu { column.headline() } else { column }
    };
    Resource::ALL.map(column).to_vec()
}

fn sample_columns() -> Vec<Column> {
    let column = |resource: Resource| {
        Column::new(
            format!("{resource}_fragmented_share"),
            Unit::Share,
            Better::Lower,
            format!("{resource} fragmented"),
            format!("Share of free {resource} that the usual mix of tasks cannot use."),
        )
    };
    Resource::ALL.map(column).to_vec()
}

#[derive(Default)]
pub(super) struct Fragmentation {
    /// Submissions of each shape so far.
    submitted: Vec<u64>,
    /// No usual shape of the last sample was submitted less often, nor is any of a later one.
    least: u64,
    grid: Grid,
}

/// The usual shapes at one moment, with how often each was submitted.
type Usual<'a> = [(u64, &'a Shape)];

/// What is free in all, and, per shape and submission, free where it does not fit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unusable {
    free: [u128; 4],
    unusable: [u128; 4],
}

impl Metric for Fragmentation {
    #[inline]
    fn queued(&mut self, at: &Moment<'_>, task: &Facts) {
        if task.attempts == 0 {
            let row = at.state.shape_of(task.definition).row();
            if self.submitted.len() <= row {
                self.submitted.resize(row + 1, 0);
            }
            self.submitted[row] += 1;
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let nodes = at.state.nodes();
        let shape = |row: usize| at.state.shape(ShapeId(row as u32));
        let rows = self.usual();
        let usual: Vec<(u64, &Shape)> =
            rows.iter().map(|&it| (self.submitted[it], shape(it))).collect();
        let weight: u64 = usual.iter().map(|it| it.0).sum();
        let Unusable { free, unusable } = if usual.iter().all(|it| nodes.is_plain(it.1)) {
            if !self.grid.has_lines_of(usual.iter().map(|it| it.1.amounts)) {
                let shapes = self.by_count().into_iter().map(|row| shape(row).amounts);
                self.grid.draw(shapes, SHAPES_MAX);
            }
            self.grid.follow(nodes, at.touched);
            self.grid.sum(&usual)
        } else {
            self.grid.is_filled = false;
            look_at_all(&usual, nodes)
        };
        for it in 0..4 {
            let whole = free[it] * u128::from(weight);
            out.push((whole > 0).then(|| unusable[it] as f64 / whole as f64));
        }
    }

    fn finish(&mut self, _: &Moment<'_>, sampled: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.extend(sampled.iter().map(Sampled::mean));
    }
}

impl Fragmentation {
    /// The shapes submitted most often; the older shape first among equals.
    fn usual(&mut self) -> Vec<usize> {
        let counts = self.submitted.iter().enumerate();
        let mut rows: Vec<usize> =
            counts.filter(|it| *it.1 >= self.least.max(1)).map(|it| it.0).collect();
        if rows.len() > SHAPES_MAX {
            rows.select_nth_unstable_by_key(SHAPES_MAX, |&row| (Reverse(self.submitted[row]), row));
            rows.truncate(SHAPES_MAX);
            self.least = rows.iter().map(|&row| self.submitted[row]).min().unwrap_or(0);
        }
        rows
    }

    /// All shapes that were submitted, most often first.
    fn by_count(&self) -> Vec<usize> {
        let mut rows: Vec<usize> =
            (0..self.submitted.len()).filter(|&row| self.submitted[row] > 0).collect();
        rows.sort_unstable_by_key(|&row| (Reverse(self.submitted[row]), row));
        rows
    }
}

/// Looks at every node. For shapes that ask for more than amounts.
fn look_at_all(usual: &Usual<'_>, nodes: &Nodes) -> Unusable {
    let (mut sum, free) = (Unusable::default(), Free::of(nodes));
    for node in nodes.ids().filter(|it| nodes.ready()[it.row()]) {
        let kept_out = usual.iter().filter(|(_, shape)| !nodes.fits(shape, node)).map(|it| it.0);
        sum.add(free.on(node).map(u128::from), kept_out.sum());
    }
    sum
}

impl Unusable {
    /// Where `kept_out` submissions cannot go, so much is free.
    fn add(&mut self, free: [u128; 4], kept_out: u64) {
        for (it, free) in free.into_iter().enumerate() {
            self.free[it] += free;
            self.unusable[it] += free * u128::from(kept_out);
        }
    }
}

/// A grid has at most so many cells, unless the usual shapes alone need more.
const CELLS_MAX: usize = 4096;

/// Not in a cell: the node is not ready.
const NOWHERE: u32 = u32::MAX;

/// Ready nodes in cells: between any two nodes of a cell lies no amount that a shape asks for, so that the same
/// shapes fit on them. Kept from sample to sample; only nodes that changed move.
#[derive(Default)]
struct Grid {
    /// Per scalar resource, the amounts that shapes ask for, ascending. A cell has a position between
    /// them in each.
    amounts: [Vec<u64>; 3],
    /// What is free on the nodes of each cell, and in all.
    cells: Vec<[u128; 4]>,
    free: [u128; 4],
    /// The cell of each node, and what was free on it when it was last looked at.
    places: Vec<(u32, [u64; 4])>,
    /// Whether every node has its place.
    is_filled: bool,
    /// Scratch: submissions of the usual shapes that fit in each cell.
    fitting: Vec<u64>,
}

impl Grid {
    /// Whether its lines are at what these shapes ask for.
    fn has_lines_of(&self, mut shapes: impl Iterator<Item = [u64; 3]>) -> bool {
        let has = |(amounts, amount): (&Vec<u64>, u64)| {
            amount == 0 || amounts.binary_search(&amount).is_ok()
        };
        shapes.all(|it| self.amounts.iter().zip(it).all(has))
    }

    /// Draws lines for the first `least` shapes, and for the others as long as there is room.
    fn draw(&mut self, shapes: impl Iterator<Item = [u64; 3]>, least: usize) {
        self.amounts = Default::default();
        for (index, shape) in shapes.enumerate() {
            let mut amounts = self.amounts.clone();
            for (amounts, amount) in amounts.iter_mut().zip(shape) {
                if amount > 0
                    && let Err(at) = amounts.binary_search(&amount)
                {
                    amounts.insert(at, amount);
                }
            }
            let cells: usize = amounts.iter().map(|it| it.len() + 1).product();
            if index >= least && cells > CELLS_MAX {
                break;
            }
            self.amounts = amounts;
        }
        self.is_filled = false;
    }

    fn sizes(&self) -> [usize; 3] {
        [0, 1, 2].map(|it| self.amounts[it].len() + 1)
    }

    /// The cell where so much is free.
    #[inline]
    fn cell(&self, free: &[u64; 4]) -> usize {
        let [cpus, memories, disks] = &self.amounts;
        let at = |amounts: &Vec<u64>, free: u64| amounts.partition_point(|&it| it <= free);
        let plane = at(cpus, free[0]) * (memories.len() + 1) + at(memories, free[1]);
        match disks.is_empty() {
            true => plane,
            false => plane * (disks.len() + 1) + at(disks, free[2]),
        }
    }

    /// Looks at a node again.
    #[inline]
    fn look(&mut self, free: &Free<'_>, ready: &[bool], node: NodeId) {
        let row = node.0 as usize;
        let (before, free_before) = self.places[row];
        let is_ready = ready[row];
        let free = if is_ready { free.on(node) } else { [0; 4] };
        let cell = if is_ready { self.cell(&free) as u32 } else { NOWHERE };
        if before != NOWHERE {
            let there = &mut self.cells[before as usize];
            for it in 0..4 {
                if free_before[it] > 0 {
                    there[it] -= u128::from(free_before[it]);
                    self.free[it] -= u128::from(free_before[it]);
                }
            }
        }
        if is_ready {
            let there = &mut self.cells[cell as usize];
            for it in 0..4 {
                if free[it] > 0 {
                    there[it] += u128::from(free[it]);
                    self.free[it] += u128::from(free[it]);
                }
            }
        }
        self.places[row] = (cell, free);
    }

    /// Follows what happened to the nodes.
    fn follow(&mut self, nodes: &Nodes, touched: Option<&[NodeId]>) {
        let (free, ready) = (Free::of(nodes), nodes.ready());
        match touched {
            Some(touched) if self.is_filled => {
                touched.iter().for_each(|&it| self.look(&free, ready, it));
            }
            _ => {
                self.free = [0; 4];
                self.cells.clear();
                self.cells.resize(self.sizes().iter().product(), [0; 4]);
                self.places.clear();
                self.places.resize(nodes.len(), (NOWHERE, [0; 4]));
                nodes.ids().for_each(|it| self.look(&free, ready, it));
                self.is_filled = true;
            }
        }
    }

    fn sum(&mut self, usual: &Usual<'_>) -> Unusable {
        let [_, memory, disk] = self.sizes();
        self.fitting.clear();
        self.fitting.resize(self.cells.len(), 0);
        for (count, shape) in usual {
            let [cpu, memory, disk] = shape.amounts;
            let first = self.cell(&[cpu, memory, disk, 0]);
            self.fitting[first] += count;
        }
        // A shape fits in a cell if it fits one step before it, in any direction.
        add_up(&mut self.fitting, memory * disk);
        self.fitting.chunks_exact_mut(memory * disk).for_each(|it| add_up(it, disk));
        if disk > 1 {
            self.fitting.chunks_exact_mut(disk).for_each(|it| add_up(it, 1));
        }
        let total: u64 = usual.iter().map(|it| it.0).sum();
        let cells = || self.cells.iter().zip(&self.fitting);
        let unusable = |it: usize| match self.free[it] {
            0 => 0,
            _ => cells().map(|(free, fitting)| free[it] * u128::from(total - fitting)).sum(),
        };
        Unusable { free: self.free, unusable: [unusable(0), unusable(1), unusable(2), unusable(3)] }
    }
}

/// Adds to each number that which stands `stride` before it, from the first on.
fn add_up(numbers: &mut [u64], stride: usize) {
    for at in stride..numbers.len() {
        numbers[at] += numbers[at - stride];
    }
}

/// What is free on nodes, as columns.
pub(super) struct Free<'a> {
    nodes: &'a Nodes,
    scalars: [&'a [u64]; 3],
    has_gpus: bool,
}

impl<'a> Free<'a> {
    pub(super) fn of(nodes: &'a Nodes) -> Self {
        let scalars = Resource::SCALARS.map(|it| nodes.free(it));
        Self { nodes, scalars, has_gpus: !nodes.model_names().is_empty() }
    }

    /// Of each resource on one node.
    #[inline]
    pub(super) fn on(&self, node: NodeId) -> [u64; 4] {
        let (row, [cpu, memory, disk]) = (node.0 as usize, self.scalars);
        let gpu = if self.has_gpus { self.nodes.gpu_free(node) } else { 0 };
        [cpu[row], memory[row], disk[row], gpu]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check;
    use proptest::prelude::*;

    #[test]
    fn what_the_usual_task_cannot_use_is_a_fragment() {
        // Two shapes, submitted once each: 3 cores and 1 core. Free are 1 core on a and 4 on b.
        // The first cannot use the core on a: 1/5; the second can use all: (1/5 + 0) / 2.
        check(
            "0 node a z1 4/8
             0 node b z1 4/8
             0 submit 1 3/3 @a
             0 submit 2 1/1 @b
             10 end",
            &[("cpu_fragmented_share", "0.125"), ("gpu_fragmented_share", "-")],
        );
    }

    #[test]
    fn shapes_count_as_often_as_they_came() {
        // Free: 1 on a. Three tasks of 1 core, one of 2: only the latter does not fit.
        check(
            "0 node a z1 6/60
             0 submit 1 1/1
             0 submit 2 1/1
             0 submit 3 1/1
             0 submit 4 2/1
             10 end",
            &[("cpu_fragmented_share", "0.25")],
        );
    }

    proptest! {
        #[test]
        fn the_usual_shapes_are_those_submitted_most_often(
            rounds in prop::collection::vec(prop::collection::vec(0..60usize, 0..90), 1..8),
        ) {
            let mut it = Fragmentation { submitted: vec![0; 60], ..Fragmentation::default() };
            for rows in rounds {
                for row in rows {
                    // Some come much more often than others.
                    it.submitted[row * row / 60] += 1;
                }
                let mut usual = it.usual();
                usual.sort_unstable_by_key(|&row| (Reverse(it.submitted[row]), row));
                let mut all = it.by_count();
                all.truncate(SHAPES_MAX);
                prop_assert_eq!(usual, all);
            }
        }

        #[test]
        fn a_grid_is_drawn_for_the_usual_and_what_else_has_room(
            amounts in prop::collection::vec((1..50u64, 1..200u64, 0..3u64), 33..120),
        ) {
            let shape = |(cpu, memory, disk): &(u64, u64, u64)| [*cpu, *memory, *disk];
            let mut grid = Grid::default();
            grid.draw(amounts.iter().map(shape), SHAPES_MAX);
            for (row, amounts) in amounts.iter().enumerate() {
                let has_lines = grid.has_lines_of([shape(amounts)].into_iter());
                prop_assert!(has_lines || row >= SHAPES_MAX);
            }
            let cells: usize = grid.sizes().iter().product();
            let least = 33 * 33 * 3;
            prop_assert!(cells <= CELLS_MAX.max(least), "{}", cells);
        }
    }

    #[test]
    fn nothing_free_or_nobody_there_has_no_value() {
        check("0 node a z1 4/8\n9 end", &[("cpu_fragmented_share", "-")]);
        check("0 node a z1 4/8\n0 submit 1 4/8\n9 end", &[("cpu_fragmented_share", "-")]);
    }

    #[test]
    fn gpus_too_small_for_the_task_are_no_use() {
        // Half a device is free, whole devices are asked for.
        check(
            "0 node a z1 8/8/1
             0 submit 1 1/1/0.5
             0 submit 2 1/1/1
             10 end",
            &[("gpu_fragmented_share", "0.5")],
        );
    }
}
