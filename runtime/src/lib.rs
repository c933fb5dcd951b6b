//! The real world: Docker hosts, driven by the same [`Manager`](cluster::manager::Manager) as the
//! simulation.
//!
//! A tour. [`hosts`] reads `hosts.toml`: which Docker hosts there are and what they offer. [`engine`] is
//! a thin, typed client of one host's Engine API. `testbed` (Linux) raises several real Docker daemons on
//! one machine, breaks them in the ways that real hosts break, and takes them down without a trace.
//!
//! The crate depends on `cluster` alone, never on `schedulers` or `sim`, and holds no placement logic.

pub mod agent;
pub mod app;
pub mod control;
#[cfg(unix)]
pub mod controller;
pub mod engine;
pub mod hosts;
pub mod plan;
pub mod program;
pub mod store;
#[cfg(target_os = "linux")]
pub mod testbed;
