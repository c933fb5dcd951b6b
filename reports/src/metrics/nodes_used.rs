//! Nodes used: how many nodes hold at least one task.

use super::{Entry, Metric, Moment, Sampled};
use crate::average::TimeMean;
use crate::column::{Better, Card, Column, Unit};
use cluster::units::Span;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(NodesUsed::default()) };

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
struct NodesUsed {
    used: TimeMean,
}

impl Metric for NodesUsed {
    fn advance(&mut self, at: &Moment<'_>, length: Span) {
        self.used.hold(u64::from(at.totals.nodes_in_use), length);
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        out.push(Some(f64::from(at.totals.nodes_in_use)));
        out.push(Some(f64::from(at.totals.nodes)));
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.extend([Some(self.used.mean()), Some(self.used.peak())]);
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
