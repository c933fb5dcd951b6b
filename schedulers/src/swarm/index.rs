//! The best nodes for a request, found by what is requested on them.
//!
//! A node's weight is the sum of two percentages, so nodes are kept by those: a cell holds the nodes of one class that are
//! alike in the whole percent of their CPU and memory that are requested now. Classes are nodes that offer as much, or nearly
//! if there were too many classes. A request adds the same to all cells of a class, up to what was cut off, so cells of one
//! sum are bounded alike; the search goes through the sums from the best on, over those percentages alone that leave
//! room, and stops at sums that cannot equal the best that was found. Only nodes of the cells that are left are weighed.
//!
//! Source: the grid file of J. Nievergelt, H. Hinterberger, K. C. Sevcik, ACM TODS 9(1), 1984, searched by branch and
//! bound as in N. Roussopoulos, S. Kelley, F. Vincent, "Nearest neighbor queries", SIGMOD 1995.
//!
//! Cost: some cells a class, whatever the shape; a node that changed is put into another cell.

use crate::swarm::model::{Load, Request};
use crate::swarm::strategy::Strategy;
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Most classes there may be.
const CLASSES_MAX: usize = if cfg!(test) { 3 } else { 64 };

/// Whole percentages in cells are cut to this. From 101 on there is no room for anything.
const PERCENT_MAX: i64 = 127;

/// Percentages, from 0 on.
const PERCENTAGES: usize = PERCENT_MAX as usize + 1;

/// What a healthy node's health is worth.
const HEALTH: i64 = 10 * 100;

/// What nodes offer is exact up to here.
const OFFERED_MAX: i64 = 1 << 50;

/// Nodes by class and cell. No memory: made anew when it is first asked.
#[derive(Debug, Default)]
pub(super) struct Index {
    classes: Vec<Class>,
    /// Nodes that no class is for, looked at one by one.
    odd: Vec<u32>,
    /// Per node, where it is.
    places: Vec<Place>,
    /// Rows whose loads changed.
    touched: Vec<u32>,
    /// Whether what is offered is what it was.
    is_made: bool,
    /// [`Nodes::membership`] when it was last up to date.
    membership: u64,
    /// Most bits of what nodes offer that tell classes apart.
    bits: u32,
    /// By those bits.
    class_of: BTreeMap<[i64; 2], u16>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Not ready.
    #[default]
    Out,
    Odd(u32),
    In {
        class: u16,
        cell: Cell,
        containers: u32,
        at: u32,
    },
}

/// Whole percent of CPU and memory requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    cpu: u8,
    memory: u8,
}

/// Nodes of a cell with as many containers.
#[derive(Debug)]
struct Alike {
    containers: u32,
    nodes: Vec<Entry>,
}

/// A node in its cell.
#[derive(Debug, Clone, Copy)]
struct Entry {
    used: [i64; 2],
    row: u32,
}

/// Nodes that offer about as much CPU and memory.
#[derive(Debug)]
struct Class {
    /// Between what their [totals](Load::total_cpus) are.
    totals: [RangeInclusive<i64>; 2],
    /// Between what they offer.
    offered: [RangeInclusive<i64>; 2],
    /// By the sum of both percentages: bit `cpu` is set if that cell has nodes.
    cells: Vec<u128>,
    /// Which of those are not zero.
    sums: [u64; 4],
    /// By sum and CPU: the place of the cell's nodes, plus one.
    slots: Vec<u16>,
    /// Ascending.
    nodes: Vec<Vec<Alike>>,
    /// Empty ones, for their memory.
    spare: Vec<Vec<Entry>>,
}

impl Index {
    /// The load of the node changed.
    pub(super) fn touch(&mut self, row: usize) {
        self.touched.push(row as u32);
    }

    /// What the node offers changed.
    pub(super) fn offer(&mut self) {
        self.is_made = false;
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, loads: &[Load], nodes: &Nodes) {
        if !self.is_made || self.places.len() != loads.len() {
            self.make(loads, nodes);
        } else {
            let touched = std::mem::take(&mut self.touched);
            touched.iter().for_each(|&row| self.set(row, loads, nodes));
            self.touched = touched;
            if self.membership != nodes.membership() {
                for row in 0..loads.len() {
                    if nodes.ready()[row] == (self.places[row] == Place::Out) {
                        self.set(row as u32, loads, nodes);
                    }
                }
            }
        }
        self.touched.clear();
        self.membership = nodes.membership();
    }

    fn make(&mut self, loads: &[Load], nodes: &Nodes) {
        *self = Self { is_made: true, ..Self::default() };
        self.places.resize(loads.len(), Place::Out);
        let mut distinct: Vec<[i64; 2]> = loads.iter().map(totals).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for bits in [i64::BITS, 6, 3, 1, 0] {
            let mut alike: Vec<[i64; 2]> =
                distinct.iter().map(|it| it.map(|it| upper(it, bits))).collect();
            alike.sort_unstable();
            alike.dedup();
            self.bits = bits;
            if alike.len() <= CLASSES_MAX {
                self.class_of = alike.into_iter().zip(0..).collect();
                break;
            }
        }
        self.classes.resize_with(self.class_of.len(), Class::new);
        for (row, load) in loads.iter().enumerate() {
            let class = self.class_of[&totals(load).map(|it| upper(it, self.bits))];
            self.classes[usize::from(class)].widen(totals(load), offered(row, nodes));
        }
        (0..loads.len() as u32).for_each(|row| self.set(row, loads, nodes));
    }

    /// Puts a node where it belongs now.
    fn set(&mut self, row: u32, loads: &[Load], nodes: &Nodes) {
        let load = &loads[row as usize];
        let old = self.places[row as usize];
        let (entry, containers) = (Entry { used: used(load), row }, load.containers as u32);
        let held = SCALARS.map(|it| nodes.held(it)[row as usize]);
        // What bounds rely on.
        let is_regular = load.health == 100
            && (0..2).all(|it| {
                offered(row as usize, nodes)[it] < OFFERED_MAX && entry.used[it] as u64 == held[it]
            });
        let new = match nodes.ready()[row as usize] {
            false => Place::Out,
            true if !is_regular => Place::Odd(0),
            true => {
                let [cpu, memory] = std::array::from_fn(|it| {
                    let total = totals(load)[it];
                    if total > 0 {
                        (entry.used[it] * 100 / total).min(PERCENT_MAX) as u8
                    } else {
                        0
                    }
                });
                let class = match old {
                    // What it offers is what it was.
                    Place::In { class, .. } => class,
                    _ => self.class_of[&totals(load).map(|it| upper(it, self.bits))],
                };
                Place::In { class, cell: Cell { cpu, memory }, containers, at: 0 }
            }
        };
        match (old, new) {
            (Place::In { class, cell, containers, at }, _) => {
                if let Some(moved) = self.classes[usize::from(class)].remove(cell, containers, at)
                    && let Place::In { at: place, .. } = &mut self.places[moved as usize]
                {
                    *place = at;
                }
            }
            (Place::Odd(at), _) => {
                self.odd.swap_remove(at as usize);
                if let Some(&moved) = self.odd.get(at as usize) {
                    self.places[moved as usize] = Place::Odd(at);
                }
            }
            (Place::Out, _) => {}
        }
        self.places[row as usize] = match new {
            Place::In { class, cell, .. } => {
                let at = self.classes[usize::from(class)].insert(cell, containers, entry);
                Place::In { class, cell, containers, at }
            }
            Place::Odd(_) => {
                self.odd.push(row);
                Place::Odd(self.odd.len() as u32 - 1)
            }
            Place::Out => Place::Out,
        };
    }

    /// Leaves in `best` all nodes that fit, are equally good and better than all others. `is_plain` if CPU and memory
    /// are all there is to look at.
    pub(super) fn search(
        &self,
        strategy: Strategy,
        request: &Request,
        loads: &[Load],
        is_plain: bool,
        fits: impl Fn(NodeId) -> bool,
        best: &mut Best,
    ) {
        best.begin(strategy);
        for &row in &self.odd {
            best.weigh(request, loads, row, &fits);
        }
        for class in &self.classes {
            class.search(request, loads, is_plain, &fits, best);
        }
    }
}

/// The best nodes so far.
#[derive(Debug, Default)]
pub(super) struct Best {
    strategy: Strategy,
    /// As of [`Strategy::key`].
    key: Option<(i64, i64)>,
    pub(super) rows: Vec<u32>,
}

impl Best {
    fn begin(&mut self, strategy: Strategy) {
        self.strategy = strategy;
        self.key = None;
        self.rows.clear();
    }

    /// Whether a node may be among the best if its percentages together can be this.
    #[inline]
    fn may_have(&self, percent: i64) -> bool {
        self.key.is_none_or(|it| self.first(percent) <= it.0)
    }

    /// The same of a node with so many containers.
    #[inline]
    fn may_have_with(&self, percent: i64, containers: u32) -> bool {
        let key = (self.first(percent), self.sign() * i64::from(containers));
        self.key.is_none_or(|it| key <= it)
    }

    /// The first part of the key of a healthy node, by its percentages together.
    #[inline]
    fn first(&self, percent: i64) -> i64 {
        self.sign() * percent - HEALTH
    }

    #[inline]
    fn sign(&self) -> i64 {
        if self.strategy == Strategy::Binpack { -1 } else { 1 }
    }

    #[inline]
    fn offer(&mut self, key: (i64, i64), row: u32, fits: impl Fn(NodeId) -> bool) {
        if self.key.is_none_or(|it| key <= it) && fits(NodeId(row)) {
            if self.key != Some(key) {
                self.key = Some(key);
                self.rows.clear();
            }
            self.rows.push(row);
        }
    }

    /// Nodes of a cell of a class that offer the same: each percentage is one of two, so that there are four keys.
    #[inline]
    fn look(
        &mut self,
        [cpu, memory]: [(i64, i64); 2],
        alike: &Alike,
        fits: impl Fn(NodeId) -> bool,
    ) {
        let containers = self.sign() * i64::from(alike.containers);
        let keys = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(more_cpu, more_memory)| {
            let (cpu, memory) = (cpu.0 + more_cpu, memory.0 + more_memory);
            (cpu <= 100 && memory <= 100).then(|| (self.first(cpu + memory), containers))
        });
        let counts = |best: Option<(i64, i64)>| {
            keys.map(|key| key.is_some_and(|it| best.is_none_or(|best| it <= best)))
        };
        let mut may_count = counts(self.key);
        if may_count == [false; 4] {
            return;
        }
        for entry in &alike.nodes {
            let [more_cpu, more_memory] = [entry.used[0] >= cpu.1, entry.used[1] >= memory.1];
            let which = usize::from(more_cpu) + 2 * usize::from(more_memory);
            if may_count[which]
                && let Some(key) = keys[which]
            {
                let before = self.key;
                self.offer(key, entry.row, &fits);
                if self.key != before {
                    may_count = counts(self.key);
                }
            }
        }
    }

    /// A node that has to be weighed.
    fn weigh(
        &mut self,
        request: &Request,
        loads: &[Load],
        row: u32,
        fits: impl Fn(NodeId) -> bool,
    ) {
        if let Ok(weight) = self.strategy.weigh(request, &loads[row as usize]) {
            self.offer(self.strategy.key(weight), row, fits);
        }
    }
}

/// One of CPU and memory, for a request in a class.
#[derive(Debug, Clone, Copy)]
struct Side {
    asked: i64,
    /// The total of all nodes of the class; 0 if they are not alike.
    total: i64,
    /// What the request adds to a whole percentage, at least.
    least: i64,
    /// And at most.
    most: i64,
    /// Higher percentages leave no room.
    limit: i64,
    /// Lower ones do.
    sure: i64,
}

impl Side {
    /// `None` if no node of the class has room.
    fn of(asked: i64, totals: &RangeInclusive<i64>, offered: &RangeInclusive<i64>) -> Option<Self> {
        let (&low, &high) = (totals.start(), totals.end());
        let total = if low == high { low } else { 0 };
        if asked <= 0 {
            let (limit, sure) = (PERCENT_MAX, PERCENT_MAX + 1);
            return Some(Self { asked, total, least: 0, most: 0, limit, sure });
        }
        if asked > high || asked > *offered.end() {
            return None;
        }
        let least = asked * 100 / high;
        let (most, full) = match low {
            ..=0 => (100, 100),
            _ => (asked * 100 / low + 1, (offered.end() - asked) * 100 / low),
        };
        let sure = if total > 0 && offered.start() == offered.end() { full } else { 0 };
        Some(Self { asked, total, least, most, limit: full.min(100 - least), sure })
    }

    /// The percentages that a node may have, of those in a cell.
    fn bounds(&self, percent: i64) -> (i64, i64) {
        match self.asked {
            0 => (100, 100),
            _ => (percent + self.least, percent + self.most),
        }
    }

    /// From how much used a node of the cell has one percent more than the least.
    fn step(&self, percent: i64) -> i64 {
        match self.asked {
            0 => i64::MAX,
            // (used + asked) × 100 ≥ percent × total
            asked => ((percent + self.least + 1) * self.total + 99) / 100 - asked,
        }
    }
}

impl Class {
    fn new() -> Self {
        let sums = 2 * PERCENTAGES;
        #[expect(clippy::reversed_empty_ranges, reason = "nothing is in it yet")]
        let empty = i64::MAX..=i64::MIN;
        Self {
            totals: [empty.clone(), empty.clone()],
            offered: [empty.clone(), empty],
            cells: vec![0; sums],
            sums: [0; 4],
            slots: vec![0; sums * PERCENTAGES],
            nodes: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// One more node may come.
    fn widen(&mut self, totals: [i64; 2], offered: [i64; 2]) {
        let wider =
            |range: &RangeInclusive<i64>, it: i64| it.min(*range.start())..=it.max(*range.end());
        for it in 0..2 {
            self.totals[it] = wider(&self.totals[it], totals[it]);
            self.offered[it] = wider(&self.offered[it], offered[it]);
        }
    }

    fn slot(&mut self, cell: Cell) -> &mut u16 {
        &mut self.slots[cell.sum() * PERCENTAGES + usize::from(cell.cpu)]
    }

    /// Says where among those alike the node is.
    fn insert(&mut self, cell: Cell, containers: u32, entry: Entry) -> u32 {
        if *self.slot(cell) == 0 {
            self.nodes.push(Vec::new());
            *self.slot(cell) = self.nodes.len() as u16;
        }
        self.cells[cell.sum()] |= 1 << cell.cpu;
        self.sums[cell.sum() / 64] |= 1 << (cell.sum() % 64);
        let slot = usize::from(*self.slot(cell)) - 1;
        let all = &mut self.nodes[slot];
        let at = all.partition_point(|it| it.containers < containers);
        if all.get(at).is_none_or(|it| it.containers != containers) {
            let nodes = self.spare.pop().unwrap_or_default();
            all.insert(at, Alike { containers, nodes });
        }
        all[at].nodes.push(entry);
        all[at].nodes.len() as u32 - 1
    }

    /// Says which node has the place now.
    fn remove(&mut self, cell: Cell, containers: u32, at: u32) -> Option<u32> {
        let slot = usize::from(*self.slot(cell)) - 1;
        let all = &mut self.nodes[slot];
        let alike = all.partition_point(|it| it.containers < containers);
        let nodes = &mut all[alike].nodes;
        nodes.swap_remove(at as usize);
        if !nodes.is_empty() {
            return nodes.get(at as usize).map(|it| it.row);
        }
        self.spare.push(all.remove(alike).nodes);
        if all.is_empty() {
            let sum = cell.sum();
            self.cells[sum] &= !(1 << cell.cpu);
            if self.cells[sum] == 0 {
                self.sums[sum / 64] &= !(1 << (sum % 64));
            }
        }
        None
    }

    /// Offers all nodes that may be among the best.
    fn search(
        &self,
        request: &Request,
        loads: &[Load],
        is_plain: bool,
        fits: &impl Fn(NodeId) -> bool,
        best: &mut Best,
    ) {
        let ([cpus, memory], [by_cpu, by_memory]) = (&self.totals, &self.offered);
        let Some(cpu) = Side::of(request.cpus, cpus, by_cpu) else { return };
        let Some(memory) = Side::of(request.memory_bytes, memory, by_memory) else { return };
        let is_exact = cpu.total > 0 && memory.total > 0;
        let is_low_best = best.sign() > 0;
        let bound = |(least, most): (i64, i64)| if is_low_best { least } else { most };
        // What is not requested weighs the same on all nodes: then the sum of a cell says nothing.
        let is_ordered = cpu.asked > 0 && memory.asked > 0;
        let added = bound((cpu.least + memory.least, cpu.most + memory.most));
        let mut sums = self.sums;
        while let Some(sum) = take(&mut sums, is_low_best) {
            if is_ordered && !best.may_have(sum + added) {
                return;
            }
            let mut left = self.cells[sum as usize] & within(sum - memory.limit, cpu.limit);
            while left != 0 {
                let at = i64::from(left.trailing_zeros());
                left &= left - 1;
                let (by_cpu, by_memory) = (cpu.bounds(at), memory.bounds(sum - at));
                let percent = bound(by_cpu) + bound(by_memory);
                if !best.may_have(percent) {
                    continue;
                }
                let slot = usize::from(self.slots[sum as usize * PERCENTAGES + at as usize]);
                let parts = [(by_cpu.0, cpu.step(at)), (by_memory.0, memory.step(sum - at))];
                let is_sure = is_plain && at < cpu.sure && sum - at < memory.sure;
                let mut look = |alike: &Alike| {
                    if !best.may_have_with(percent, alike.containers) {
                        return;
                    }
                    match (is_exact, is_sure) {
                        (true, true) => best.look(parts, alike, |_| true),
                        (true, false) => best.look(parts, alike, fits),
                        (false, _) => {
                            alike
                                .nodes
                                .iter()
                                .for_each(|it| best.weigh(request, loads, it.row, fits));
                        }
                    }
                };
                match is_low_best {
                    true => self.nodes[slot - 1].iter().for_each(&mut look),
                    false => self.nodes[slot - 1].iter().rev().for_each(&mut look),
                }
            }
        }
    }
}

impl Cell {
    fn sum(self) -> usize {
        usize::from(self.cpu) + usize::from(self.memory)
    }
}

const SCALARS: [Resource; 2] = [Resource::Cpu, Resource::Memory];

fn totals(load: &Load) -> [i64; 2] {
    [load.total_cpus, load.total_memory_bytes]
}

fn used(load: &Load) -> [i64; 2] {
    [load.used_cpus, load.used_memory_bytes]
}

fn offered(row: usize, nodes: &Nodes) -> [i64; 2] {
    SCALARS.map(|it| nodes.allocatable(it)[row].min(OFFERED_MAX as u64) as i64)
}

/// So many of the upper bits of a number, the others zero.
fn upper(it: i64, bits: u32) -> i64 {
    let cut = (i64::BITS - it.leading_zeros()).saturating_sub(bits);
    it.checked_shr(cut).unwrap_or(0) << cut.min(i64::BITS - 1)
}

/// The bits from `first` to `last`.
fn within(first: i64, last: i64) -> u128 {
    let from = u128::MAX.checked_shl(first.max(0) as u32).unwrap_or(0);
    from & (u128::MAX >> (PERCENT_MAX - last))
}

/// Takes out the lowest or the highest bit.
fn take(bits: &mut [u64; 4], is_lowest: bool) -> Option<i64> {
    let word = match is_lowest {
        true => (0..4).find(|it| bits[*it] != 0)?,
        false => (0..4).rfind(|it| bits[*it] != 0)?,
    };
    let bit = match is_lowest {
        true => bits[word].trailing_zeros(),
        false => 63 - bits[word].leading_zeros(),
    };
    bits[word] &= !(1 << bit);
    Some(word as i64 * 64 + i64::from(bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_from_either_end() {
        let bits = [1 << 3, 0, 1 << 63 | 1, 0];
        for (is_lowest, want) in [(true, [3, 128, 191]), (false, [191, 128, 3])] {
            let mut left = bits;
            let got: Vec<i64> = std::iter::from_fn(|| take(&mut left, is_lowest)).collect();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn upper_bits_stay() {
        for (it, bits, want) in [
            (0b1011_0110, 3, 0b1010_0000),
            (0b1011_0110, 64, 0b1011_0110),
            (5, 0, 0),
            (0, 3, 0),
            (i64::MAX, 1, 1 << 62),
            (i64::MAX, 0, 0),
        ] {
            assert_eq!(upper(it, bits), want, "{it} {bits}");
        }
    }

    #[test]
    fn bits_of_a_range() {
        assert_eq!(within(-5, 2), 0b111);
        assert_eq!(within(2, 4), 0b11100);
        assert_eq!(within(5, 4), 0);
        assert_eq!(within(0, PERCENT_MAX), u128::MAX);
        assert_eq!(within(200, PERCENT_MAX), 0);
    }
}
