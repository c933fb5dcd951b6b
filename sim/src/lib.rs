//! The simulated world: an agenda in a written total order, nodes that fail and return, and a driver
//! that feeds a manager from a workload and turns its actions into later events.
//!
//! A tour. [`world::run`] takes a [`world::Config`], an arrival stream, a scheduler, an observer and
//! hooks, and returns a [`world::Outcome`] with the run's fingerprint. Arrivals never enter the
//! [`agenda::Agenda`]: they are a sorted stream that is merged with it. [`faults`] are scripted or drawn
//! from a stream per node and zone; [`startup`] models the time from being placed to running.
//! [`replay`] feeds journals back.
//!
//! Nothing here knows a strategy by name, asks a clock, or does I/O.

pub mod agenda;
pub mod faults;
pub mod replay;
pub mod startup;
pub mod world;
