//! Numbers, figures and one page out of runs.
//!
//! A tour. A [`collector::Collector`] watches a run (it is a cluster
//! [`Observer`](cluster::observer::Observer)) and ends as a [`run_report::RunReport`]. What is measured
//! stands in one list, [`metrics::ALL`]. Several runs make a `Comparison`, which knows what the spread of seeds allows to be said. Tables, exports, figures and the
//! page are made from that alone.
//!
//! The crate prints nothing and asks no clock: the same runs give the same bytes, in whatever order
//! they finished. Wall-clock figures are `Timings`, and live in a file of their own.

pub mod average;
pub mod collector;
pub mod column;
pub mod comparison;
pub mod durations;
pub mod exports;
pub mod figures;
pub mod group_zones;
pub mod manifest;
pub mod metrics;
pub mod number;
pub mod run_report;
#[cfg(test)]
mod scenario;
pub mod table;
pub mod verdict;
pub mod write;
