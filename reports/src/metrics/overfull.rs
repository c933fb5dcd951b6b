//! Overfull nodes: how many nodes hold more than they offer.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use cluster::event::Facts;
use cluster::ids::NodeId;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

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

/// A node can come to hold too much only by a task that is found on it or by offering less: those are looked at.
#[derive(Default)]
pub(super) struct Overfull {
    suspects: Vec<NodeId>,
    /// Whether a node is among them.
    is_suspect: Vec<bool>,
    /// Whether all nodes were looked at once.
    has_looked: bool,
}

impl Overfull {
    fn suspect(&mut self, node: NodeId) {
        if self.is_suspect.len() <= node.row() {
            self.is_suspect.resize(node.row() + 1, false);
        }
        if !std::mem::replace(&mut self.is_suspect[node.row()], true) {
            self.suspects.push(node);
        }
    }
}

impl Metric for Overfull {
    fn adopted(&mut self, _: &Moment<'_>, _: &Facts, node: NodeId) {
        self.suspect(node);
    }

    fn node_updated(&mut self, _: &Moment<'_>, node: NodeId) {
        self.suspect(node);
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let nodes = at.state.nodes();
        if !self.has_looked {
            self.has_looked = true;
            nodes.ids().for_each(|it| self.suspect(it));
        }
        let is_suspect = &mut self.is_suspect;
        self.suspects.retain(|&it| {
            is_suspect[it.row()] = nodes.is_overfull(it);
            is_suspect[it.row()]
        });
        out.push(Some(self.suspects.len() as f64));
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
