//! Overfull nodes: how many nodes hold more than they offer.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(Overfull) };

const CARD: Card = Card {
    name: "overfull",
    title: "Overfull nodes",
    definition: "Nodes whose tasks ask for more of some resource or GPU device than the node offers \
        (capacity times the over-commit factor). No policy can place a task so; it comes from tasks \
        found running and from capacity that shrank. Counted at sample instants: time-weighted mean \
        and the most at any sample.",
    source: "Ours; the ledger's \"over\" of the shared model.",
};

fn columns() -> Vec<Column> {
    let nodes = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Nodes, Better::Lower, title, summary)
    };
    vec![
        nodes(
            "nodes_overfull_mean",
            "mean overfull nodes",
            "Nodes that hold more than they offer.",
        ),
        nodes("nodes_overfull_peak", "peak overfull nodes", "Most overfull nodes at any sample."),
    ]
}

fn sample_columns() -> Vec<Column> {
    vec![Column::new(
        "nodes_overfull",
        Unit::Nodes,
        Better::Lower,
        "overfull nodes",
        "Nodes that hold more than they offer.",
    )]
}

struct Overfull;

impl Metric for Overfull {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let nodes = at.state.nodes();
        out.push(Some(nodes.ids().filter(|&it| nodes.is_overfull(it)).count() as f64));
    }

    fn finish(&mut self, _: &Moment<'_>, sampled: &[Sampled], out: &mut Vec<Option<f64>>) {
        out.extend([sampled[0].mean(), sampled[0].peak()]);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn residents_can_be_too_many() {
        check(
            "0 node a z1 2/4
             0 node b z1 2/4
             0 adopt 1 2/4 a
             0 adopt 2 1/1 a
             5 exit 2 0
             20 end",
            &[("nodes_overfull_mean", "0.25"), ("nodes_overfull_peak", "1")],
        );
        check("0 node a z1 2/4\n0 submit 1 2/4\n9 end", &[("nodes_overfull_peak", "0")]);
    }
}
