//! Why tasks went where they went. Off, it costs nothing: `()` records nothing.

use crate::swarmkit::filters::Filter;
use crate::swarmkit::model::{Node, Spec};
use crate::swarmkit::order::Rank;
use crate::swarmkit::pipeline::Pipeline;
use crate::swarmkit::tree::{Branch, Tree};
use std::collections::BTreeMap;

/// What is to be said of one node, before a group is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first filter that it fails.
    pub rejected_by: Option<Filter>,
    /// Its place in the order.
    pub rank: Rank,
    /// Recent failures of this version of the service, those that are too few to matter too.
    pub failures: u32,
    /// Its values of the labels to spread over.
    pub values: Vec<String>,
}

/// What the pipeline and the order say of every node, by row. Nodes with equal values and ranks
/// that pass are equally good.
pub fn survey(nodes: &[Node], spec: &Spec, now_us: u64) -> Vec<Finding> {
    let pipeline = Pipeline::new(spec);
    let finding = |node: &Node| Finding {
        rejected_by: pipeline.first_failed(node),
        rank: Rank::of(node, spec, now_us),
        failures: node.failures.recent(spec.service, spec.version, now_us),
        values: spec.spread.iter().map(|it| node.value(it).to_owned()).collect(),
    };
    nodes.iter().map(finding).collect()
}

/// The nodes that a single task could get, by row, over all orders in which maps may be walked; empty if
/// there is none. `labels` are the labels to spread over.
///
/// In a leaf those are the best that pass. Of branches, all below what each should have are equally good,
/// however far below; only if none of them has room the others are looked at.
pub fn equally_good(findings: &[Finding], labels: usize) -> Vec<usize> {
    let rows: Vec<usize> = (0..findings.len()).collect();
    let mut good = good_below(findings, &rows, 0, labels, 1);
    good.sort_unstable();
    good
}

fn good_below(
    findings: &[Finding],
    rows: &[usize],
    level: usize,
    labels: usize,
    asked: u64,
) -> Vec<usize> {
    if level == labels {
        let passing = rows.iter().copied().filter(|&row| findings[row].rejected_by.is_none());
        let best = passing.clone().map(|row| findings[row].rank).min();
        return passing.filter(|&row| Some(findings[row].rank) == best).collect();
    }
    let mut by_value = BTreeMap::<&str, (u64, Vec<usize>)>::new();
    for &row in rows {
        let (tasks, below) = by_value.entry(&findings[row].values[level]).or_default();
        *tasks += u64::from(findings[row].rank.of_service);
        below.push(row);
    }
    let mut usable: Vec<(u64, Vec<usize>)> = by_value.into_values().collect();
    while !usable.is_empty() {
        let all = usable.iter().map(|it| it.0).sum::<u64>() + asked;
        let (want, rest) = (all / usable.len() as u64, all % usable.len() as u64);
        let is_short = |tasks| tasks < want || (tasks == want && rest > 0);
        let good: Vec<usize> = usable
            .iter()
            .filter(|it| is_short(it.0))
            .flat_map(|(tasks, below)| {
                let share = want - tasks + u64::from(rest > 0);
                good_below(findings, below, level + 1, labels, share)
            })
            .collect();
        let before = usable.len();
        usable.retain(|it| !is_short(it.0));
        if !good.is_empty() || usable.len() == before {
            return good;
        }
    }
    Vec::new()
}

/// Is told how a group is split.
pub trait Recorder {
    /// A branch of the tree was asked for `asked` tasks and placed `got`.
    fn shared(&mut self, _tree: &Tree, _branch: usize, _asked: i64, _got: i64) {}

    /// A leaf is visited; its nodes, best first.
    fn visited(&mut self, _leaf: usize, _rows: &[usize]) {}
}

impl Recorder for () {}

/// How a group was split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// In the order in which the branches answered, so the inner before the outer.
    pub shares: Vec<Share>,
    /// The nodes of each leaf when it was visited, best first.
    pub visits: Vec<Vec<usize>>,
}

/// What a branch was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many labels are told apart in it.
    pub depth: usize,
    /// A node of it, which shows its values of them.
    pub first_node: usize,
    /// Tasks of the service that it had.
    pub had: u64,
    /// Tasks that it should place.
    pub asked: i64,
    /// Tasks that it placed.
    pub got: i64,
}

impl Recorder for Explanation {
    fn shared(&mut self, tree: &Tree, branch: usize, asked: i64, got: i64) {
        let &Branch { depth, first_node, tasks: had, .. } = &tree.branches[branch];
        self.shares.push(Share { depth, first_node, had, asked, got });
    }

    fn visited(&mut self, _leaf: usize, rows: &[usize]) {
        self.visits.push(rows.to_vec());
    }
}
