//! The nodes, split by the values of the labels to spread over.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/nodeset.go` (`tree`), `decision_tree.go`
//! (`orderedNodes`), `nodeheap.go`.
//!
//! One level a label; a node without it has the empty value, a branch of its own. A branch counts the
//! service's active tasks on **all** nodes below it, also on those that are down, drained or full. A
//! leaf keeps the best nodes that pass the pipeline, as many as there are tasks to place; a node that is
//! no better than the worst kept one is not even sent through the pipeline.

use crate::swarmkit::heap;
use crate::swarmkit::model::{Node, Spec};
use crate::swarmkit::order::Rank;
use crate::swarmkit::pipeline::Pipeline;
use std::collections::BTreeMap;

/// A tree of branches. The first is the root.
#[derive(Debug, Clone)]
pub struct Tree {
    /// In the order in which their first nodes came.
    pub branches: Vec<Branch>,
}

/// A part of the nodes.
#[derive(Debug, Clone, Default)]
pub struct Branch {
    /// How many labels were told apart above it.
    pub depth: usize,
    /// A node of it, which shows the branch's value of the last of them.
    pub first_node: usize,
    /// Active tasks of the service below it when the tree was built; not changed by what is placed, and not counted
    /// in a root without branches.
    pub tasks: u64,
    /// Places of its branches; none in a leaf.
    pub next: Vec<usize>,
    kept: Vec<usize>,
    is_ordered: bool,
}

impl Tree {
    /// Splits the nodes, taken in this order, for so many tasks, of which there is one at least. `ranks` are theirs, by
    /// row; none is better than `least`.
    pub fn build(
        nodes: &[Node],
        ranks: &[Rank],
        order: impl IntoIterator<Item = usize>,
        least: Rank,
        spec: &Spec,
        tasks: usize,
        pipeline: &mut Pipeline<'_>,
    ) -> Self {
        if spec.spread.is_empty() {
            let leaf = Self::leaf(nodes, ranks, order, least, tasks, pipeline);
            return Self { branches: vec![leaf] };
        }
        let key = |row: usize| ranks[row];
        let mut branches = vec![Branch::default()];
        // The place of a branch by the one above and the value.
        let mut places = BTreeMap::<(usize, &str), usize>::new();
        for row in order {
            let node = &nodes[row];
            let of_service = u64::from(ranks[row].of_service);
            let mut at = 0;
            for (depth, spread) in spec.spread.iter().enumerate() {
                branches[at].tasks += of_service;
                let next = *places.entry((at, node.value(spread))).or_insert(branches.len());
                if next == branches.len() {
                    branches[at].next.push(next);
                    branches.push(Branch {
                        depth: depth + 1,
                        first_node: row,
                        ..Branch::default()
                    });
                }
                at = next;
            }
            let leaf = &mut branches[at];
            leaf.tasks += of_service;
            if leaf.kept.len() < tasks {
                if pipeline.process(node) {
                    heap::push(&mut leaf.kept, row, key);
                }
            } else if leaf.kept.first().is_some_and(|&worst| key(row) < key(worst))
                && pipeline.process(node)
            {
                heap::replace_root(&mut leaf.kept, row, key);
            }
        }
        Self { branches }
    }

    /// The root, if there are no labels.
    fn leaf(
        nodes: &[Node],
        ranks: &[Rank],
        order: impl IntoIterator<Item = usize>,
        least: Rank,
        tasks: usize,
        pipeline: &mut Pipeline<'_>,
    ) -> Branch {
        let key = |row: usize| ranks[row];
        let mut kept = Vec::with_capacity(tasks.min(nodes.len()));
        let mut worst = None;
        for row in order {
            if worst.is_some_and(|it| key(row) >= it) || !pipeline.process(&nodes[row]) {
                continue;
            }
            match worst {
                None => heap::push(&mut kept, row, key),
                Some(_) => heap::replace_root(&mut kept, row, key),
            }
            if kept.len() == tasks {
                worst = kept.first().map(|it| key(*it));
                if worst == Some(least) {
                    break;
                }
            }
        }
        Branch { kept, ..Branch::default() }
    }

    /// The nodes of a leaf, best first. On a second visit those that no longer pass are dropped.
    pub fn ordered(
        &mut self,
        leaf: usize,
        nodes: &[Node],
        ranks: &[Rank],
        pipeline: &mut Pipeline<'_>,
    ) -> &[usize] {
        let key = |row: usize| ranks[row];
        let Branch { kept, is_ordered, .. } = &mut self.branches[leaf];
        if *is_ordered {
            let mut at = 0;
            while at < kept.len() {
                // The last takes the place of one that is dropped, and is looked at next.
                if pipeline.process(&nodes[kept[at]]) {
                    at += 1;
                } else {
                    kept.swap_remove(at);
                }
            }
            heap::sort_slice(kept, key);
        } else {
            heap::sort_heap(kept, key);
        }
        *is_ordered = true;
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::{Availability, Spread};
    use crate::swarmkit::tests::{nodes, service};

    /// Nothing is known of the ranks.
    const LEAST: Rank = Rank { failures: 0, of_service: 0, tasks: 0 };

    fn ranks(nodes: &[Node], spec: &Spec) -> Vec<Rank> {
        nodes.iter().map(|it| Rank::of(it, spec, 0)).collect()
    }

    #[test]
    fn a_missing_label_is_a_branch_of_its_own_and_all_tasks_count() {
        let mut nodes = nodes("a=2,az=1 b=1 c=4,az=1 d,az=2,rack=1");
        nodes[2].availability = Availability::Drain;
        let label = |it: &str| Spread::NodeLabel(it.to_owned());
        let spec = Spec { spread: vec![label("az"), label("rack")], ..service() };
        let (ranks, mut pipeline) = (ranks(&nodes, &spec), Pipeline::new(&spec));
        let tree = Tree::build(&nodes, &ranks, [3, 2, 1, 0], LEAST, &spec, 9, &mut pipeline);
        let shown: Vec<String> = tree
            .branches
            .iter()
            .map(|it| format!("{} {}: {} {:?}", it.depth, it.first_node, it.tasks, it.kept))
            .collect();
        assert_eq!(
            shown,
            [
                "0 0: 7 []",
                "1 3: 0 []",
                "2 3: 0 [3]",
                "1 2: 6 []",
                "2 2: 6 [0]",
                "1 1: 1 []",
                "2 1: 1 [1]"
            ]
        );
    }

    #[test]
    fn a_leaf_keeps_no_more_than_there_are_tasks() {
        let nodes = nodes("a=3 b=2 c=1 d=2");
        let spec = service();
        let (ranks, mut pipeline) = (ranks(&nodes, &spec), Pipeline::new(&spec));
        let mut tree = Tree::build(&nodes, &ranks, [0, 1, 2, 3], LEAST, &spec, 2, &mut pipeline);
        assert_eq!(tree.ordered(0, &nodes, &ranks, &mut pipeline), [2, 1]);
    }

    #[test]
    fn nodes_no_better_than_the_kept_ones_are_not_examined() {
        let mut nodes = nodes("a b=1 c");
        nodes[1].availability = Availability::Pause;
        let spec = service();
        let (ranks, mut pipeline) = (ranks(&nodes, &spec), Pipeline::new(&spec));
        Tree::build(&nodes, &ranks, [0, 1], LEAST, &spec, 1, &mut pipeline);
        assert_eq!(pipeline.counts().to_string(), "no suitable node");
        Tree::build(&nodes, &ranks, [1], LEAST, &spec, 1, &mut pipeline);
        assert_ne!(pipeline.counts().to_string(), "no suitable node");
    }

    #[test]
    fn a_second_visit_drops_what_is_full() {
        let mut nodes = nodes("a b c d");
        let spec = Spec { max_replicas: 1, ..service() };
        let (ranks, mut pipeline) = (ranks(&nodes, &spec), Pipeline::new(&spec));
        let mut tree = Tree::build(&nodes, &ranks, [0, 1, 2, 3], LEAST, &spec, 4, &mut pipeline);
        assert_eq!(tree.ordered(0, &nodes, &ranks, &mut pipeline), [1, 2, 3, 0]);
        nodes[1].add(&spec, true);
        assert_eq!(tree.ordered(0, &nodes, &ranks, &mut pipeline), [2, 3, 0]);
    }
}
