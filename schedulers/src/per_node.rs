//! Something worked out per node from the tasks it runs, again only for nodes that changed.

use cluster::ids::NodeId;
use cluster::nodes::Nodes;

/// A column of values, each as old as its node's last change. No memory: it can be made anew from the
/// state at any time.
#[derive(Debug, Clone, Default)]
pub struct PerNode<T> {
    /// [`Nodes::version`] of which each value is, `None` where there is none yet.
    versions: Vec<Option<u64>>,
    values: Vec<T>,
}

impl<T: Default + Clone> PerNode<T> {
    /// Forgets all values: what they were made of besides the node has changed.
    pub fn clear(&mut self) {
        self.versions.clear();
        self.values.clear();
    }

    /// Works out the values of nodes that are new, have changed, or have a value that `lapsed`.
    pub fn refresh(
        &mut self,
        nodes: &Nodes,
        lapsed: impl Fn(&T) -> bool,
        mut value: impl FnMut(NodeId) -> T,
    ) {
        self.versions.resize(nodes.len(), None);
        self.values.resize(nodes.len(), T::default());
        for node in nodes.ids() {
            let (seen, version) = (&mut self.versions[node.row()], Some(nodes.version(node)));
            if *seen != version || lapsed(&self.values[node.row()]) {
                *seen = version;
                self.values[node.row()] = value(node);
            }
        }
    }

    /// All values, in row order.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}
