//! Mesos: which framework is offered which agent.
//!
//! Source: Mesos c1b42f79 (2024-08), `src/master/allocator/mesos/`: `hierarchical.cpp`, `sorter/drf/sorter.cpp`.
//!
//! A tour. [`quantity::Quantities`] are amounts of scalars, [`resources::Resources`] what an agent has:
//! unreserved, reserved to roles, revocable, and ranges such as ports. The [`sorter::Sorter`] says who is to be
//! served first, by dominant share. The [`allocator::Allocator`] is told what happens to agents, frameworks
//! and quota, and in a [run](allocator::Allocator::run) decides who is offered what; [`explain`] says why.
//!
//! Mesos never ranks agents for a task. It shuffles the agents, and for each of them asks: which role is
//! furthest behind, and which of its frameworks? That one is offered **all that is left** there, unless
//! [quota](quota::Quota) of its own or of others keeps some of it back. What the framework does not want it declines,
//! and is not [asked again](filter) for a while.
//!
//! Time and chance are arguments: runs take the order of agents from a function of the caller, which shuffles them
//! from a seed, or leaves them as they are.
//!
//! Differs: no maintenance and inverse offers, no pause after a master's fail-over until most agents are back, no
//! white list of hosts, no `random` sorter; offer constraints come as the set of agents they rule out; and see
//! [`resources`] for what resources lack.

mod agents;
pub mod allocator;
pub mod explain;
pub mod filter;
pub mod policy;
pub mod quantity;
pub mod quota;
pub mod resources;
mod run;
pub mod sorter;
#[cfg(test)]
mod tests;
