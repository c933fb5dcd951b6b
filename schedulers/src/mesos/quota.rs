//! Quota: what a role is guaranteed, and what it may have at most.
//!
//! Source: Mesos c1b42f79, `hierarchical.cpp`, `docs/quota.md`. Only top-level roles have quota. What counts is the
//! role's consumption: all that is reserved to it and to roles below it, used or not, and what they hold of
//! unreserved resources.
//!
//! A guarantee is kept as headroom: unreserved resources that no one else is offered, anywhere in the cluster, until
//! the role has them.

use super::quantity::{Limits, Quantities};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a role is guaranteed, and may have at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Kept for the role.
    pub guarantees: Quantities,
    /// Never exceeded by the role.
    pub limits: Limits,
}

impl Quota {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// Why quota is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// For a role below another one.
    #[error("{role}: only top-level roles can have quota")]
    Nested {
        /// Path of the role.
        role: String,
    },
}
