//! The shared model of Bayplan: a cluster as a state machine without I/O.
//!
//! A tour. [`manager::Manager`] is fed [`event::Event`]s and answers with [`event::Action`]s; what
//! thereby changed is told as [`event::Change`]s. It keeps a [`state::State`] ([`nodes::Nodes`] in
//! columns, tasks, groups) and asks a [`scheduler::Scheduler`] where tasks go. Every call is a
//! [`journal::Record`], and the hash over all of them is the run's fingerprint.
//!
//! The crate knows no clock, no randomness but [`chance::Chance`], no file and no strategy. The
//! simulator and the live runtime drive the same manager; the three types where the other crates meet
//! are [`arrival::ArrivalStream`], [`scheduler::Scheduler`] and the journal (as [`journal::Record`]s, or
//! live through an [`observer::Observer`]).
//!
//! ```
//! use cluster::demand::{Amounts, Demand, TaskDefinition};
//! use cluster::event::{Action, Event, NodeEvent, OnLoss, Submission, TaskKind};
//! use cluster::ids::{DefinitionId, NodeId, TaskId};
//! use cluster::manager::Manager;
//! use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
//! use cluster::rules::Rules;
//! use cluster::scheduler::{Desk, Scheduler};
//! use cluster::units::{Bytes, Instant, MilliCpu};
//!
//! /// Puts everything on the first node that has room.
//! struct FirstFit;
//! impl Scheduler for FirstFit {
//!     fn decide(&mut self, desk: &mut Desk<'_>) {
//!         while let Some(task) = desk.head() {
//!             let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
//!             match nodes.ids().find(|&node| nodes.fits(shape, node)) {
//!                 Some(node) => desk.place(task, node, DeviceSet::NONE),
//!                 None => desk.unfit(task),
//!             }
//!         }
//!     }
//! }
//!
//! let mut manager = Manager::new(Rules::default(), Box::new(FirstFit));
//! let mut actions = Vec::new();
//! let amounts = Amounts { cpu: MilliCpu::from_cores(4), memory: Bytes::from_gib(8), disk: Bytes(0) };
//! let node = NodeSpec {
//!     name: "a".into(),
//!     capacity: NodeCapacity { amounts, gpus: vec![] },
//!     ..NodeSpec::default()
//! };
//! let joined = NodeEvent::Joined(Box::new(node));
//! manager.handle(Instant(0), Event::Node { node: NodeId(0), event: joined }, &mut actions);
//! let web = TaskDefinition::single("web", Demand { amounts, ..Demand::default() });
//! let put = Event::DefinitionPut { definition: DefinitionId(0), spec: web };
//! manager.handle(Instant(0), put, &mut actions);
//! let submission = Submission {
//!     task: TaskId(7),
//!     definition: DefinitionId(0),
//!     group: None,
//!     kind: TaskKind::Service,
//!     priority: 0,
//!     estimate: None,
//!     on_loss: OnLoss::Restart,
//! };
//! manager.handle(Instant(1), Event::TaskSubmitted(submission), &mut actions);
//! manager.decide(Instant(1), &mut actions);
//! assert!(matches!(actions[..], [Action::Start { task: TaskId(7), node: NodeId(0), .. }]));
//! ```

pub mod alive_map;
pub mod arrival;
pub mod chance;
mod coarse;
pub mod company;
#[cfg(test)]
mod company_tests;
pub mod constraint;
pub mod demand;
pub mod event;
pub mod explain;
mod few;
mod fitting;
pub mod id_map;
pub mod ids;
pub mod journal;
mod keeper;
pub mod life;
pub mod manager;
pub mod names;
pub mod nodes;
pub mod observer;
mod queue;
pub mod refusal;
pub mod rules;
pub mod scheduler;
pub mod service;
#[cfg(test)]
mod service_tests;
pub mod shape;
pub mod snapshot;
pub mod state;
#[cfg(test)]
mod tests;
pub mod touched;
pub mod units;
