//! Pods, nodes and clusters for tests, from their file form.

use super::api::{ClusterFile, Names, NodeFile, PodFile};
use super::cluster::Cluster;
use super::node::Node;
use super::pod::{Pod, PodId};
use serde_json::{Value, json};

/// A pod, with an id that no pod of [`cluster`] has.
pub fn pod(value: Value) -> Pod {
    let file: PodFile = serde_json::from_value(value).unwrap();
    Pod { id: PodId(u64::MAX), ..file.parse(&mut Names::default()).unwrap() }
}

/// A node without a name in its value.
pub fn node(name: &str, mut value: Value) -> Node {
    value["name"] = json!(name);
    let file: NodeFile = serde_json::from_value(value).unwrap();
    file.parse(&mut Names::default()).unwrap()
}

/// A cluster of these nodes; its pods have ids from 0 on.
pub fn cluster(nodes: Value) -> Cluster {
    let file: ClusterFile = serde_json::from_value(json!({"nodes": nodes})).unwrap();
    file.parse(&mut Names::default()).unwrap()
}
