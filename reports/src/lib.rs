//! Numbers, figures and one page out of runs.
//!
//! A tour. A [`collector::Collector`] watches a run (it is a cluster
//! [`Observer`](cluster::observer::Observer)) and ends as a [`run_report::RunReport`]. What is measured
//! stands in one list, [`metrics::ALL`]. The reports of several runs make a
//! [`comparison::Comparison`], which knows what the spread of seeds allows to be said and says it in a
//! [`verdict::Verdict`]. From it come the [terminal table](table::table), every file of
//! [`exports::ALL`] and every figure of [`figures::ALL`]; [`write::write_all`] fills a run folder.
//!
//! ```
//! use cluster::observer::Observer;
//! use reports::collector::{Collector, CollectorConfig};
//! use reports::comparison::{Comparison, RunKey};
//! use reports::manifest::Manifest;
//! use reports::table::{TableStyle, table};
//! # use cluster::{manager::Manager, rules::Rules, scheduler::{Desk, Scheduler}, units::Instant};
//! # struct Nothing;
//! # impl Scheduler for Nothing { fn decide(&mut self, _: &mut Desk<'_>) {} }
//! # let mut manager = Manager::new(Rules::default(), Box::new(Nothing));
//! let mut collector = Collector::new(CollectorConfig::default());
//! // The driver does this with every step of time and every call of the manager:
//! collector.advance(Instant(5), manager.state());
//! collector.observe(Instant(5), manager.changes(), manager.state());
//!
//! let report = collector.finish(Instant(9), manager.state());
//! let key = RunKey { policy: "ecs".into(), seed: 1 };
//! let comparison = Comparison::new(Manifest::default(), vec![(key, report)]);
//! println!("{}\n{}", comparison.verdict().sentence, table(&comparison, TableStyle::default()));
//! ```
//!
//! The crate prints nothing and asks no clock: the same runs give the same bytes, in whatever order
//! they finished. Wall-clock figures are [`manifest::Timings`], and live in a file of their own.
//!
//! PNG figures embed the typeface Ubuntu Light (Ubuntu Font Licence 1.0) from the crate
//! `epaint_default_fonts`; SVG figures and the page use whatever sans-serif the reader has.

pub mod average;
pub mod collector;
pub mod column;
pub mod comparison;
pub mod durations;
pub mod exports;
pub mod fidelity;
pub mod figures;
pub mod group_zones;
pub mod manifest;
pub mod metrics;
pub mod number;
pub mod over_time;
#[cfg(test)]
mod plain;
pub mod run_report;
#[cfg(test)]
mod scenario;
pub mod table;
pub mod verdict;
pub mod write;
