//! Stranded capacity: what is free of one resource while another has run out beside it.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use crate::metrics::fragmentation::free_of;
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::nodes::NodeStatus;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(Stranded::default()) };

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
struct Stranded {
    /// Whether any task asked for the resource.
    asked: [bool; 4],
}

impl Metric for Stranded {
    fn observe(&mut self, at: &Moment<'_>, changes: &[Change]) {
        if self.asked == [true; 4] {
            return;
        }
        for change in changes {
            if let Change::Queued { task } | Change::Adopted { task, .. } = change {
                let shape = at.state.shape(at.state.shape_of(task.definition));
                for (asked, amount) in self.asked.iter_mut().zip(shape.totals()) {
                    *asked |= amount > 0;
                }
            }
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let nodes = at.state.nodes();
        let mut offered_all = [0u128; 4];
        let mut stranded_all = [0f64; 4];
        for node in nodes.ids().filter(|&it| nodes.status(it) != NodeStatus::Lost) {
            let scalar = |it: Resource| nodes.allocatable(it)[node.row()];
            let gpu = nodes.devices(node).iter().map(|it| u64::from(it.capacity.0)).sum();
            let offered =
                [scalar(Resource::Cpu), scalar(Resource::Memory), scalar(Resource::Disk), gpu];
            let free = free_of(nodes, node);
            let counts = |it: &usize| self.asked[*it] && offered[*it] > 0;
            let share = |it: usize| free[it] as f64 / offered[it] as f64;
            let smallest = (0..4).filter(counts).map(share).fold(1.0, f64::min);
            for it in (0..4).filter(counts) {
                offered_all[it] += u128::from(offered[it]);
                stranded_all[it] += (share(it) - smallest) * offered[it] as f64;
            }
        }
        for it in 0..4 {
            let offered = offered_all[it];
            out.push((offered > 0).then(|| stranded_all[it] / offered as f64));
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
