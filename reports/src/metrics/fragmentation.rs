//! Fragmentation: free capacity that the usual mix of tasks cannot use.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::ids::ShapeId;
use cluster::nodes::Nodes;
use cluster::shape::Shape;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(Fragmentation::default()) };

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
struct Fragmentation {
    /// Submissions of each shape so far.
    submitted: Vec<u64>,
    /// Scratch: how many submissions were of the usual shapes that a node cannot take.
    kept_out: Vec<u64>,
}

/// Adds `count` to every row whose node cannot take the shape; rows of nodes that are not ready do not matter.
fn add_where_unfit(rows: &mut [u64], count: u64, shape: &Shape, nodes: &Nodes) {
    if !nodes.is_plain(shape) {
        for node in nodes.ids().filter(|it| !nodes.fits(shape, *it)) {
            rows[node.row()] += count;
        }
        return;
    }
    let [asked_cpu, asked_memory, asked_disk] = shape.amounts;
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.free(it));
    for (((row, &cpu), &memory), &disk) in rows.iter_mut().zip(cpu).zip(memory).zip(disk) {
        let is_short = (cpu < asked_cpu) | (memory < asked_memory) | (disk < asked_disk);
        *row += u64::from(is_short) * count;
    }
}

/// What is free of each resource on a node.
pub(super) fn free_of(nodes: &Nodes, node: cluster::ids::NodeId) -> [u64; 4] {
    let scalar = |it: Resource| nodes.free(it)[node.row()];
    let gpu = nodes.devices(node).iter().map(|it| u64::from(it.free().0)).sum();
    [scalar(Resource::Cpu), scalar(Resource::Memory), scalar(Resource::Disk), gpu]
}

impl Metric for Fragmentation {
    fn observe(&mut self, at: &Moment<'_>, changes: &[Change]) {
        for change in changes {
            if let Change::Queued { task } = change
                && task.attempts == 0
            {
                let row = at.state.shape_of(task.definition).row();
                if self.submitted.len() <= row {
                    self.submitted.resize(row + 1, 0);
                }
                self.submitted[row] += 1;
            }
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let mut usual: Vec<(u64, usize)> = self
            .submitted
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(row, &count)| (count, row))
            .collect();
        // Most often first; the older shape first among equals.
        usual.sort_unstable_by_key(|&(count, row)| (std::cmp::Reverse(count), row));
        usual.truncate(SHAPES_MAX);

        let nodes = at.state.nodes();
        self.kept_out.clear();
        self.kept_out.resize(nodes.len(), 0);
        for &(count, row) in &usual {
            add_where_unfit(&mut self.kept_out, count, at.state.shape(ShapeId(row as u32)), nodes);
        }
        let mut free = [0u128; 4];
        let mut unusable = [0u128; 4];
        for node in nodes.ids().filter(|it| nodes.ready()[it.row()]) {
            let (here, weight) = (free_of(nodes, node), self.kept_out[node.row()]);
            for it in 0..4 {
                free[it] += u128::from(here[it]);
                unusable[it] += u128::from(here[it]) * u128::from(weight);
            }
        }
        let weight: u64 = usual.iter().map(|it| it.0).sum();
        for it in 0..4 {
            let whole = free[it] * u128::from(weight);
            out.push((whole > 0).then(|| unusable[it] as f64 / whole as f64));
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
