//! Placement strategies, one file each, and the policies that name them.
//!
//! A tour. A strategy says which node a task should get by giving every node a key
//! ([`rank::Rank`]); [`per_task::PerTask`] makes of it a scheduler that the manager of the `cluster`
//! crate calls. Users write a [`policy::Policy`], one string such as `best-fit:cpu`, which is parsed
//! once and built once per run and seed. What a strategy says about itself stands on its
//! [`card::Card`]; lists, help, reports and the contract tests are made from [`ALL`].
//!
//! Several strategies share [`scale`] (amounts of different resources as integer shares), [`norm`]
//! (what a node has left, as one number) and [`weights`] (how much each resource counts).
//!
//! The crate does no I/O, asks no clock and draws only from the stream it is given. No floating-point
//! number takes part in a decision, but for those of [`fgd`], whose paper's decisions are theirs (see
//! [`fragments`]), and of systems that use doubles themselves ([`kubernetes`], [`mesos`]), whose order
//! of operations is kept.
//!
//! # To add a strategy: one new file, two lines
//!
//! 1. Write `src/my_rule.rs`: its source, a `CARD`, a `plan` that reads the arguments, and an
//!    implementation of [`rank::Rank`]. [`first_fit`] is a short one to start from.
//! 2. Below, add `pub mod my_rule;` and `Entry { card: &my_rule::CARD, plan: my_rule::plan },`.
//!
//! The new rule then is a policy, stands in every list, and is under the contract tests; the snapshot
//! of all strategies in `tests.rs` shows one row more (`cargo insta accept`, or paste it).

pub mod best_fit;
pub mod card;
#[cfg(test)]
mod check;
#[cfg(test)]
mod constraints_tests;
pub mod dot_product;
pub mod e_pvm;
pub mod ecs;
pub mod failure_spread;
pub mod fgd;
pub mod fgd_best_fit;
pub mod fgd_dot_product;
pub mod fgd_random;
pub mod first_fit;
mod fitting;
pub mod fixed;
pub mod fragments;
pub mod gpu_clustering;
pub mod gpu_packing;
pub mod harmonic;
pub mod kubernetes;
pub mod largest;
pub mod least_stranded;
pub mod marathon;
pub mod mesos;
pub mod move_to_front;
pub mod next_fit;
pub mod nilas;
pub mod nomad;
pub mod nomad_binpack;
pub mod nomad_spread;
pub mod norm;
pub mod norm_greedy;
pub mod parts;
pub mod per_node;
pub mod per_task;
pub mod policy;
pub mod power_of_d;
pub mod random;
pub mod rank;
pub mod round_robin;
pub mod scale;
pub mod static_stability;
pub mod swarm;
pub mod swarmkit;
#[cfg(test)]
mod tests;
pub mod tetris;
pub mod weights;
pub mod worst_fit;

use card::Card;
use policy::{Arguments, Plan, PolicyError};

/// A strategy in the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it says about itself.
    pub card: &'static Card,
    /// Reads the arguments of a policy and says how to build it.
    pub plan: fn(&mut Arguments<'_>) -> Result<Plan, PolicyError>,
}

/// All strategies, in the order in which they are listed.
pub const ALL: &[Entry] = &[
    Entry { card: &random::CARD, plan: random::plan },
    Entry { card: &round_robin::CARD, plan: round_robin::plan },
    Entry { card: &first_fit::CARD, plan: first_fit::plan },
    Entry { card: &next_fit::CARD, plan: next_fit::plan },
    Entry { card: &best_fit::CARD, plan: best_fit::plan },
    Entry { card: &worst_fit::CARD, plan: worst_fit::plan },
    Entry { card: &dot_product::CARD, plan: dot_product::plan },
    Entry { card: &norm_greedy::CARD, plan: norm_greedy::plan },
    Entry { card: &power_of_d::CARD, plan: power_of_d::plan },
    Entry { card: &tetris::CARD, plan: tetris::plan },
    Entry { card: &least_stranded::CARD, plan: least_stranded::plan },
    Entry { card: &e_pvm::CARD, plan: e_pvm::plan },
    Entry { card: &harmonic::CARD, plan: harmonic::plan },
    Entry { card: &move_to_front::CARD, plan: move_to_front::plan },
    Entry { card: &nilas::CARD, plan: nilas::plan },
    Entry { card: &failure_spread::CARD, plan: failure_spread::plan },
    Entry { card: &static_stability::CARD, plan: static_stability::plan },
    Entry { card: &nomad_binpack::CARD, plan: nomad_binpack::plan },
    Entry { card: &nomad_spread::CARD, plan: nomad_spread::plan },
    Entry { card: &ecs::CARD, plan: ecs::plan },
    Entry { card: &kubernetes::policy::CARD, plan: kubernetes::policy::plan },
    Entry { card: &kubernetes::policy::GKE_CARD, plan: kubernetes::policy::plan_gke },
    Entry { card: &fgd::CARD, plan: fgd::plan },
    Entry { card: &gpu_packing::CARD, plan: gpu_packing::plan },
    Entry { card: &gpu_clustering::CARD, plan: gpu_clustering::plan },
    Entry { card: &fgd_best_fit::CARD, plan: fgd_best_fit::plan },
    Entry { card: &fgd_dot_product::CARD, plan: fgd_dot_product::plan },
    Entry { card: &fgd_random::CARD, plan: fgd_random::plan },
    Entry { card: &swarmkit::policy::CARD, plan: swarmkit::policy::plan },
    Entry { card: &swarm::policy::SPREAD, plan: swarm::policy::spread },
    Entry { card: &swarm::policy::BINPACK, plan: swarm::policy::binpack },
    Entry { card: &swarm::policy::RANDOM, plan: swarm::policy::random },
    Entry { card: &mesos::policy::CARD, plan: mesos::policy::plan },
    Entry { card: &marathon::policy::CARD, plan: marathon::policy::plan },
];
