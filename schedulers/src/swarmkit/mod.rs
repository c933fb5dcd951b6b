//! SwarmKit, the scheduler behind `docker service`.
//!
//! Source: swarmkit 3e72cb64 (2026-08), `manager/scheduler/*.go`, `manager/constraint/constraint.go`,
//! `api/genericresource`.
//!
//! A tour. [`model`] is what a decision looks at: nodes with their counts, and what the tasks of one
//! group ask for ([`model::Spec`]). [`filters`] sort nodes out, one file each, as a pipeline that counts
//! what fails ([`pipeline`]). [`order`] says which of two nodes is better: failures, then tasks of the
//! service, then tasks; resources do not matter. [`tree`] splits the nodes by the values of the labels to
//! spread over, and keeps the best of each part. [`group::schedule`] places a whole group of equal
//! tasks, [`group::confirm`] a task of a global service. [`explain::survey`] says of every node
//! what the pipeline and the order think of it. [`policy`] makes a policy of it for simulations and live
//! clusters.
//!
//! A task without a version of its spec is a group of one: call [`group::schedule`] once for each.
//!
//! The real scheduler walks Go maps: nodes while the tree is built, branches in every round. Each walk
//! here asks its caller for an order, so that all its outcomes can be had, and one order gives one
//! outcome. Between the walks it is deterministic, and so is this, down to the steps of the heap.
//!
//! Differs: cluster (CSI) volumes and their filter, the last of the pipeline, do not exist here; amounts
//! of named generic resources are counted only, not told apart. When decisions are made (a tick 50 ms
//! after the last change, 1 s after the first at the latest) and what services do around them is the
//! caller's.

pub mod constraint;
pub mod explain;
pub mod failures;
pub mod filters;
pub mod group;
mod heap;
mod levels;
pub mod model;
pub mod order;
pub mod pipeline;
pub mod policy;
pub mod tree;

#[cfg(test)]
mod tests;
