//! The operators of constraints, one file each.
//!
//! Each is given the value that the offered agent has for the field, and the values of the agents on which
//! the app has instances (none where an agent lacks it).

mod cluster;
mod group_by;
mod is;
mod like;
mod max_per;
mod unique;

use super::constraint::ConstraintError;
use std::fmt;

pub(super) use cluster::cluster;
pub use group_by::{Generation as GroupBy, Groups};
pub use is::Wanted;
pub use like::Pattern;
pub(super) use max_per::max_per;
pub(super) use unique::unique;

/// What a constraint demands.
#[derive(Debug, Clone)]
pub enum Operator {
    /// No two instances with the same value.
    Unique,
    /// All instances with this value, or with that of the first one.
    Cluster(Option<String>),
    /// Instances spread evenly over the values.
    GroupBy(Groups),
    /// A value that matches.
    Like(Pattern),
    /// A value that does not match, or none.
    Unlike(Pattern),
    /// At most so many instances with the same value.
    MaxPer(i32),
    /// This value.
    Is(Wanted),
}

impl Operator {
    /// Reads an operator by its name and its value, which is empty if there is none.
    ///
    /// # Errors
    ///
    /// If the operator is unknown, or cannot take that value.
    pub fn read(name: &str, value: &str) -> Result<Self, ConstraintError> {
        Ok(match name {
            "UNIQUE" => Self::Unique,
            "CLUSTER" => Self::Cluster((!value.is_empty()).then(|| value.to_owned())),
            "GROUP_BY" => Self::GroupBy(Groups::read(value)),
            "LIKE" => Self::Like(Pattern::read(value)?),
            "UNLIKE" => Self::Unlike(Pattern::read(value)?),
            "MAX_PER" => Self::MaxPer(
                value.parse().map_err(|_| ConstraintError::Number { found: value.to_owned() })?,
            ),
            "IS" => Self::Is(Wanted::read(value)),
            _ => return Err(ConstraintError::Operator { found: name.to_owned() }),
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unique => write!(f, "UNIQUE"),
            Self::Cluster(None) => write!(f, "CLUSTER"),
            Self::Cluster(Some(value)) => write!(f, "CLUSTER:{value}"),
            Self::GroupBy(it) if it.count == 0 => write!(f, "GROUP_BY"),
            Self::GroupBy(it) => write!(f, "GROUP_BY:{}", it.count),
            Self::Like(pattern) => write!(f, "LIKE:{}", pattern.as_str()),
            Self::Unlike(pattern) => write!(f, "UNLIKE:{}", pattern.as_str()),
            Self::MaxPer(most) => write!(f, "MAX_PER:{most}"),
            Self::Is(wanted) => write!(f, "IS:{}", wanted.as_str()),
        }
    }
}

/// Why a constraint is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason<'a> {
    /// The agent has no such value.
    Missing,
    /// The agent has this value, which is not what is asked for.
    Wrong {
        /// What the agent has.
        found: &'a str,
    },
    /// LIKE or UNLIKE without a pattern, which nothing meets.
    NoPattern,
    /// An instance has that value already.
    Taken {
        /// What the agent has.
        found: &'a str,
    },
    /// So many instances have that value, and more are not allowed now.
    Full {
        /// What the agent has.
        found: &'a str,
        /// Instances with that value.
        count: u32,
    },
    /// GROUP_BY has as many values as it wants, and this would be one more.
    TooManyGroups {
        /// Values that instances have.
        groups: u32,
    },
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "the agent lacks it"),
            Self::Wrong { found } => write!(f, "the agent has {found:?}"),
            Self::NoPattern => write!(f, "there is no pattern"),
            Self::Taken { found } => write!(f, "an instance has {found:?}"),
            Self::Full { found, count } => write!(f, "{count} instances have {found:?}"),
            Self::TooManyGroups { groups } => write!(f, "there are {groups} groups"),
        }
    }
}
