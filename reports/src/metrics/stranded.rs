//! Stranded capacity: what is free of one resource while another has run out beside it.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use crate::metrics::fragmentation::Free;
use cluster::demand::Resource;
use cluster::event::Facts;
use cluster::ids::{NodeId, ShapeId};
use cluster::nodes::{NodeStatus, Nodes};

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

const CARD: Card = Card {
    name: "stranded",
    title: "Stranded capacity",
    definition: "Per node, the free share of a resource beyond the smallest free share among the \
        node's resources, times what the node offers of it; summed over nodes and divided by what \
        they offer together; averaged over time from samples. A node with 30 % of its cpu free and \
        all of its memory taken strands 30 % of its cpu. Nodes that are lost do not count, and a \
        resource that no task of the run asks for, or that a node does not have, neither strands nor \
        is stranded.",
    source: "After \"stranded resources\" in A. Verma et al., Large-scale cluster management at Google \
        with Borg, EuroSys 2015, section 3.2; the paper gives no formula, this one is ours.",
};

fn columns() -> Vec<Column> {
    let column = |resource: Resource| {
        Column::new(
            format!("{resource}_stranded_share"),
            Unit::Share,
            Better::Lower,
            format!("{resource} stranded"),
            format!("Share of {resource} that is free beside a scarcer resource, over time."),
        )
    };
    Resource::ALL.map(column).to_vec()
}

fn sample_columns() -> Vec<Column> {
    let column = |resource: Resource| {
        Column::new(
            format!("{resource}_stranded_share"),
            Unit::Share,
            Better::Lower,
            format!("{resource} stranded"),
            format!("Share of {resource} that is free beside a scarcer resource."),
        )
    };
    Resource::ALL.map(column).to_vec()
}

#[derive(Default)]
pub(super) struct Stranded {
    /// Shapes of which tasks were seen, and those that came since the last sample.
    seen: Vec<bool>,
    fresh: Vec<ShapeId>,
    /// Whether any task asked for the resource.
    asked: [bool; 4],
    /// What each node strands; nothing if it is lost.
    stranded: Vec<[f64; 4]>,
    /// Bit `i` of word `w` is set if node `64 × w + i` strands anything.
    strands: Vec<u64>,
    /// What each node offers of what is asked for; nothing if it is lost.
    offered: Vec<[u64; 4]>,
    is_lost: Vec<bool>,
    /// Over all nodes.
    offered_all: [u128; 4],
}

impl Stranded {
    #[inline]
    fn see(&mut self, shape: ShapeId) {
        if self.seen.get(shape.row()) != Some(&true) {
            self.see_first(shape);
        }
    }

    #[cold]
    fn see_first(&mut self, shape: ShapeId) {
        self.seen.resize(self.seen.len().max(shape.row() + 1), false);
        self.seen[shape.row()] = true;
        self.fresh.push(shape);
    }

    /// Looks at a node again.
    #[inline]
    fn look(&mut self, nodes: &Nodes, free: &Free<'_>, node: NodeId) {
        let row = node.0 as usize;
        let is_lost = nodes.status(node) == NodeStatus::Lost;
        if is_lost != self.is_lost[row] {
            self.read(nodes, node);
        }
        let (word, bit) = (row / 64, 1 << (row % 64));
        self.strands[word] &= !bit;
        if is_lost {
            self.stranded[row] = [0.0; 4];
            return;
        }
        let (offered, free) = (&self.offered[row], free.on(node));
        let mut shares = [0.0; 4];
        let mut smallest = 1.0;
        for it in 0..4 {
            if offered[it] > 0 {
                shares[it] = free[it] as f64 / offered[it] as f64;
                smallest = f64::min(smallest, shares[it]);
            }
        }
        let stranded = &mut self.stranded[row];
        for it in 0..4 {
            if offered[it] > 0 {
                stranded[it] = (shares[it] - smallest) * offered[it] as f64;
            }
        }
        if *stranded != [0.0; 4] {
            self.strands[word] |= bit;
        }
    }

    /// Reads what a node offers, which changes only as it is lost, returns, or is updated.
    fn read(&mut self, nodes: &Nodes, node: NodeId) {
        let row = node.row();
        let mut offered = [0; 4];
        self.is_lost[row] = nodes.status(node) == NodeStatus::Lost;
        if !self.is_lost[row] {
            for it in Resource::SCALARS.into_iter().filter(|it| self.asked[it.row()]) {
                offered[it.row()] = nodes.allocatable(it)[row];
            }
            if self.asked[3] {
                offered[3] = nodes.gpu_capacity(node);
            }
        }
        let before = std::mem::replace(&mut self.offered[row], offered);
        for it in 0..4 {
            self.offered_all[it] -= u128::from(before[it]);
            self.offered_all[it] += u128::from(offered[it]);
        }
    }
}

impl Metric for Stranded {
    #[inline]
    fn queued(&mut self, at: &Moment<'_>, task: &Facts) {
        self.see(at.state.shape_of(task.definition));
    }

    fn adopted(&mut self, at: &Moment<'_>, task: &Facts, _: NodeId) {
        self.see(at.state.shape_of(task.definition));
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let nodes = at.state.nodes();
        let (before, free) = (self.asked, Free::of(nodes));
        for shape in self.fresh.drain(..) {
            for (asked, amount) in self.asked.iter_mut().zip(at.state.shape(shape).totals()) {
                *asked |= amount > 0;
            }
        }
        match at.touched {
            Some(touched) if before == self.asked => {
                touched.iter().for_each(|&it| self.look(nodes, &free, it));
            }
            _ => {
                self.stranded.clear();
                self.stranded.resize(nodes.len(), [0.0; 4]);
                self.strands.clear();
                self.strands.resize(nodes.len().div_ceil(64), 0);
                self.offered.resize(nodes.len(), [0; 4]);
                self.is_lost.resize(nodes.len(), true);
                for node in nodes.ids() {
                    self.read(nodes, node);
                    self.look(nodes, &free, node);
                }
            }
        }
        // Always in the same order, since sums of floats depend on it; zeros change none.
        let (mut cpu, mut memory, mut disk, mut gpu) = (0.0, 0.0, 0.0, 0.0);
        for (word, &bits) in self.strands.iter().enumerate() {
            let mut left = bits;
            while left != 0 {
                let it = &self.stranded[word * 64 + left.trailing_zeros() as usize];
                left &= left - 1;
                cpu += it[0];
                memory += it[1];
                disk += it[2];
                gpu += it[3];
            }
        }
        let stranded_all = [cpu, memory, disk, gpu];
        for (stranded, offered) in stranded_all.into_iter().zip(self.offered_all) {
            out.push((offered > 0).then(|| stranded / offered as f64));
        }
    }

    fn finish(&mut self, _: &Moment<'_>, sampled: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.extend(sampled.iter().map(Sampled::mean));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn what_is_free_beside_something_scarcer_is_stranded() {
        // On a: half the cpu free, no memory: 2 of 8 cores stranded. b is empty: nothing stranded.
        check(
            "0 node a z1 4/8
             0 node b z1 4/8
             0 submit 1 2/8 @a
             10 end",
            &[
                ("cpu_stranded_share", "0.25"),
                ("memory_stranded_share", "0"),
                ("disk_stranded_share", "-"),
                ("gpu_stranded_share", "-"),
            ],
        );
    }

    #[test]
    fn a_resource_that_nobody_asks_for_is_not_stranded() {
        check(
            "0 node a z1 4/8/2\n0 submit 1 4/4\n9 end",
            &[("gpu_stranded_share", "-"), ("memory_stranded_share", "0.5")],
        );
    }
}
