//! Nodes used: how many nodes hold at least one task.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

const CARD: Card = Card {
    name: "nodes-used",
    title: "Nodes used",
    definition: "Number of nodes with at least one placed task: time-weighted mean over the run, and \
        the most at any moment. Fewer is cheaper where empty nodes can be given back.",
    source: "The number of bins of bin packing; the aim of the ECS strategy binpack.",
};

fn columns() -> Vec<Column> {
    let nodes = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Nodes, Better::Lower, title, summary)
    };
    vec![
        nodes("nodes_used_mean", "mean nodes used", "Nodes with at least one task, over time."),
        nodes("nodes_used_peak", "peak nodes used", "Most nodes with at least one task."),
    ]
}

fn sample_columns() -> Vec<Column> {
    let nodes = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Nodes, Better::Neither, title, summary)
    };
    vec![
        nodes("nodes_used", "nodes used", "Nodes with at least one task."),
        nodes("nodes_up", "nodes", "Nodes that are not lost."),
    ]
}

#[derive(Default)]
pub(super) struct NodesUsed;

impl Metric for NodesUsed {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let totals = at.totals();
        out.push(Some(f64::from(totals.nodes_in_use)));
        out.push(Some(f64::from(totals.nodes)));
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let (mean, peak) = at.over_time.nodes_used();
        out.extend([Some(mean), Some(peak)]);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn a_node_is_used_while_it_holds_a_task() {
        check(
            "rules autostart
             0 node a z1 2/4
             0 node b z1 2/4
             0 submit 1 2/4
             0 submit 2 2/4
             5 exit 1 0
             20 end",
            &[("nodes_used_mean", "1.25"), ("nodes_used_peak", "2")],
        );
    }
}
