//! The order in which nodes are walked: zone after zone in turn.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/backend/cache/node_tree.go`. A zone is a pair of region and
//! zone label, and nodes without both are a zone of their own; zones stand in the order in which they first
//! had a node, nodes in the order in which they joined their zone.

use super::labels::Labels;

/// Label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// Label of a node's region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// Label of a node's host name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// The zone label of old clusters; it goes before [`ZONE`].
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// The region label of old clusters; it goes before [`REGION`].
const OLD_REGION: &str = "failure-domain.beta.kubernetes.io/region";

type Zone = (String, String);

fn zone_of(labels: &Labels) -> Zone {
    let first = |keys: [&str; 2]| keys.iter().find_map(|it| labels.get(*it)).cloned();
    let region = first([OLD_REGION, REGION]).unwrap_or_default();
    (region, first([OLD_ZONE, ZONE]).unwrap_or_default())
}

/// Rows of nodes by zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTree {
    zones: Vec<(Zone, Vec<usize>)>,
}

impl NodeTree {
    /// A node joins, at the end of its zone.
    pub fn add(&mut self, row: usize, labels: &Labels) {
        let zone = zone_of(labels);
        match self.zones.iter_mut().find(|it| it.0 == zone) {
            Some((_, rows)) => rows.push(row),
            None => self.zones.push((zone, vec![row])),
        }
    }

    /// A node leaves; a zone without nodes is forgotten.
    pub fn remove(&mut self, row: usize, labels: &Labels) {
        let zone = zone_of(labels);
        if let Some(at) = self.zones.iter().position(|it| it.0 == zone) {
            self.zones[at].1.retain(|it| *it != row);
            if self.zones[at].1.is_empty() {
                self.zones.remove(at);
            }
        }
    }

    /// A node's labels change; it keeps its place unless its zone is another one.
    pub fn update(&mut self, row: usize, before: &Labels, after: &Labels) {
        if zone_of(before) != zone_of(after) {
            self.remove(row, before);
            self.add(row, after);
        }
    }

    /// All rows, one of each zone in turn.
    pub fn list(&self) -> Vec<usize> {
        let longest = self.zones.iter().map(|it| it.1.len()).max().unwrap_or(0);
        let round = |at| self.zones.iter().filter_map(move |it| it.1.get(at).copied());
        (0..longest).flat_map(round).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(region: &str, zone: &str) -> Labels {
        let all = [(REGION, region), (ZONE, zone)].into_iter().filter(|it| !it.1.is_empty());
        all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn zones_take_turns() {
        let mut tree = NodeTree::default();
        let places = [("r", "a"), ("r", "a"), ("r", "a"), ("", "a"), ("", ""), ("", "")];
        for (row, (region, zone)) in places.into_iter().enumerate() {
            tree.add(row, &labels(region, zone));
        }
        assert_eq!(tree.list(), [0, 3, 4, 1, 5, 2]);
        tree.remove(3, &labels("", "a"));
        tree.remove(0, &labels("r", "a"));
        assert_eq!(tree.list(), [1, 4, 2, 5]);
        // A zone that comes back stands last, and a node that stays in its zone keeps its place.
        tree.add(3, &labels("", "a"));
        tree.update(1, &labels("r", "a"), &labels("r", "a"));
        assert_eq!(tree.list(), [1, 4, 3, 2, 5]);
        tree.update(1, &labels("r", "a"), &labels("", "a"));
        assert_eq!(tree.list(), [2, 4, 3, 5, 1]);
    }

    #[test]
    fn old_labels_go_first() {
        let mut both = labels("r", "new");
        both.insert(OLD_ZONE.to_owned(), "old".to_owned());
        assert_eq!(zone_of(&both), ("r".to_owned(), "old".to_owned()));
    }
}
