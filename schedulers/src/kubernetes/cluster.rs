//! All that a decision looks at: nodes with their pods, and what stands beside them.

use super::labels::{Labels, Selector};
use super::node::Node;
use super::node_tree::NodeTree;
use super::pod::{Pod, PodId};
use std::collections::{BTreeMap, BTreeSet};

/// A service: pods with these labels belong together when nothing else says how to spread them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// The labels of its pods; `None` selects none.
    pub selector: Option<Labels>,
}

/// How many pods of an application may be disrupted at a time (`PodDisruptionBudget`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its pods. One that selects nothing, or everything because it requires nothing, protects none.
    pub selector: Selector,
    /// How many more may go now.
    pub allowed: i64,
    /// Pods whose end has been counted already.
    pub disrupted: BTreeSet<PodId>,
}

/// A cluster. Rows of nodes stay as long as the nodes do; a row that is free is used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    rows: Vec<Option<Node>>,
    tree: NodeTree,
    walk: Vec<usize>,
    image_nodes: BTreeMap<String, i64>,
    /// Labels of the namespaces that are known.
    pub namespaces: BTreeMap<String, Labels>,
    /// Services; and, as services with the same labels, whatever else keeps pods alike.
    pub services: Vec<Service>,
    /// Disruption budgets.
    pub budgets: Vec<Budget>,
    /// Pods that wait for the victims of their preemption to leave, with the row they were promised.
    pub nominated: Vec<(usize, Pod)>,
}

impl Cluster {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.walk.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.walk.is_empty()
    }

    /// The rows in the order in which nodes are walked.
    pub fn walk(&self) -> &[usize] {
        &self.walk
    }

    /// Nodes with their rows, in the order in which they are walked.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.walk.iter().map(|&row| (row, self.node(row)))
    }

    /// A node.
    ///
    /// # Panics
    ///
    /// If the row is free.
    pub fn node(&self, row: usize) -> &Node {
        self.rows[row].as_ref().unwrap_or_else(|| panic!("row {row} is free"))
    }

    /// How many nodes have the image.
    pub fn nodes_with_image(&self, image: &str) -> i64 {
        self.image_nodes.get(image).copied().unwrap_or(0)
    }

    /// The labels of a namespace; none if it is not known.
    pub fn namespace(&self, name: &str) -> &Labels {
        const NONE: &Labels = &Labels::new();
        self.namespaces.get(name).unwrap_or(NONE)
    }

    /// A node joins, at the first free row; answers the row.
    pub fn add_node(&mut self, node: Node) -> usize {
        let free = self.rows.iter().position(Option::is_none);
        let row = free.unwrap_or(self.rows.len());
        self.put_node(row, node);
        row
    }

    /// A node joins at a row of the caller's choice.
    ///
    /// # Panics
    ///
    /// If the row is taken.
    pub fn put_node(&mut self, row: usize, node: Node) {
        if row >= self.rows.len() {
            self.rows.resize(row + 1, None);
        }
        assert!(self.rows[row].is_none(), "row {row} is taken");
        self.tree.add(row, &node.labels);
        self.walk = self.tree.list();
        self.count_images(&node, 1);
        self.rows[row] = Some(node);
    }

    /// Many nodes join at once, in order, at new rows; cheaper than one by one.
    pub fn add_nodes(&mut self, nodes: impl IntoIterator<Item = Node>) {
        for node in nodes {
            self.tree.add(self.rows.len(), &node.labels);
            self.count_images(&node, 1);
            self.rows.push(Some(node));
        }
        self.walk = self.tree.list();
    }

    /// A node leaves, with its pods.
    pub fn remove_node(&mut self, row: usize) -> Option<Node> {
        let node = self.rows.get_mut(row)?.take()?;
        self.tree.remove(row, &node.labels);
        self.walk = self.tree.list();
        self.count_images(&node, -1);
        Some(node)
    }

    /// Changes what a node is or offers. For pods that come and go there are [`Cluster::add_pod`] and
    /// [`Cluster::remove_pod`], which cost less.
    ///
    /// # Panics
    ///
    /// If the row is free.
    pub fn update_node(&mut self, row: usize, change: impl FnOnce(&mut Node)) {
        let mut node = self.rows[row].take().unwrap_or_else(|| panic!("row {row} is free"));
        let labels = node.labels.clone();
        self.count_images(&node, -1);
        change(&mut node);
        self.count_images(&node, 1);
        if node.labels != labels {
            self.tree.update(row, &labels, &node.labels);
            self.walk = self.tree.list();
        }
        self.rows[row] = Some(node);
    }

    /// A pod was placed.
    ///
    /// # Panics
    ///
    /// If the row is free.
    pub fn add_pod(&mut self, row: usize, pod: Pod) {
        let node = self.rows[row].as_mut();
        node.unwrap_or_else(|| panic!("{:?}: row {row} is free", pod.id)).add_pod(pod);
    }

    /// A pod has left; `None` if it was not there.
    pub fn remove_pod(&mut self, row: usize, id: PodId) -> Option<Pod> {
        self.rows.get_mut(row)?.as_mut()?.remove_pod(id)
    }

    fn count_images(&mut self, node: &Node, by: i64) {
        for name in node.images.keys() {
            let count = self.image_nodes.entry(name.clone()).or_default();
            *count += by;
            if *count == 0 {
                self.image_nodes.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, image: &str) -> Node {
        let mut node = Node::named(name);
        node.images.insert(image.to_owned(), 1);
        node
    }

    #[test]
    fn rows_are_used_again_and_images_counted() {
        let mut cluster = Cluster::default();
        cluster.add_nodes([node("a", "x"), node("b", "x")]);
        assert_eq!((cluster.len(), cluster.nodes_with_image("x")), (2, 2));
        assert_eq!(cluster.remove_node(0).unwrap().name, "a");
        assert_eq!(cluster.remove_node(0), None);
        assert_eq!((cluster.walk(), cluster.nodes_with_image("x")), (&[1][..], 1));
        assert_eq!(cluster.add_node(node("c", "y")), 0);
        cluster.update_node(1, |it| it.images.clear());
        assert_eq!((cluster.nodes_with_image("x"), cluster.nodes_with_image("y")), (0, 1));
        assert_eq!(cluster.walk(), [1, 0]);
        cluster.put_node(4, node("d", "y"));
        assert_eq!((cluster.walk(), cluster.nodes_with_image("y")), (&[1, 0, 4][..], 2));
    }
}
