//! Kubernetes v1.35: the decisions of its scheduler's default profile, to the rounding rule.
//!
//! Source: kube-scheduler v1.35.4, `pkg/scheduler`; files are named where their rules stand. What v1.23 did
//! otherwise is an option ([`profile::Release`]).
//!
//! A tour. A [`cluster::Cluster`] holds nodes with their pods; [`cycle::decide`] takes a pod through one
//! scheduling cycle under a [`profile::Profile`]: [`filters`], then [`scores`] of the nodes that passed,
//! brought to 0 to 100, weighted and summed. The answer is the set of all nodes with the best total, and the
//! one of them that the real scheduler's heap yields for a serial walk. What it says about itself goes to an
//! [`explain::Recorder`]; the one that listens to nothing costs nothing. [`preemption`] picks victims where
//! nothing fits, [`queue`] says whose turn it is, [`sampling`] how many nodes are looked at. [`api`] reads
//! pods and nodes from files.
//!
//! Left out, because our pods have no volumes or claims: VolumeRestrictions, NodeVolumeLimits,
//! VolumeBinding, VolumeZone, DynamicResources. Extenders and opportunistic batching are left out too.
//!
//! Arithmetic is the real scheduler's: integers that truncate, and doubles in the same order of operations
//! in the four places where it uses them (balance, spread, affinity between pods, images).
//!
//! [`policy`] makes policies for simulations and live clusters of it.

pub mod api;
pub mod cluster;
pub mod cycle;
#[cfg(test)]
mod examples;
pub mod explain;
pub mod filters;
pub mod labels;
pub mod natural_log;
mod near;
pub mod node;
pub mod node_terms;
pub mod node_tree;
mod per_shape;
pub mod pick;
pub mod pod;
pub mod policy;
pub mod preemption;
pub mod profile;
pub mod queue;
pub mod resources;
pub mod sampling;
pub mod scores;
mod spread;
pub mod taints;
