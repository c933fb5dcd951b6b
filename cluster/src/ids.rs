//! Identities as types. An id is a number; the text behind it is resolved once, at the edge.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub $repr);

        impl $name {
            /// The id as an index into a column.
            #[inline]
            pub const fn row(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    };
}

id! {
    /// Row of a node in every column of [`Nodes`](crate::nodes::Nodes). Rows are never reused.
    NodeId(u32), "n"
}
/// A task, unique in a run and never reused. Traces number tasks in arrival order; those that the
/// manager makes for a service (replicas) have numbers of their own, from [`TaskId::REPLICAS`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

impl TaskId {
    /// The first number of a replica. Nothing that is submitted may have a number from here on.
    pub const REPLICAS: u64 = 1 << 62;

    /// The `number`-th replica made in this run, counted from zero.
    pub const fn replica(number: u64) -> Self {
        Self(Self::REPLICAS + number)
    }

    /// Whether the manager made it for a service.
    pub const fn is_replica(self) -> bool {
        self.0 >= Self::REPLICAS
    }
}

/// `t12` for a submitted task, `r3` for a replica of a service.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(Self::REPLICAS) {
            Some(number) => write!(f, "r{number}"),
            None => write!(f, "t{}", self.0),
        }
    }
}

/// Reads what [`TaskId`] displays; a bare number is a submitted task.
impl std::str::FromStr for TaskId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('r') {
            Some(number) => number.parse::<u32>().map(|it| Self::replica(it.into())),
            None => text.strip_prefix('t').unwrap_or(text).parse().map(Self),
        }
    }
}

id! {
    /// A task definition, numbered in the order in which they are put.
    DefinitionId(u32), "d"
}
id! {
    /// What tasks are counted together for spreading: a service, a job, an ECS task group.
    GroupId(u32), "g"
}
id! {
    /// An availability zone, numbered in the order in which zones are first seen.
    ZoneId(u16), "z"
}
id! {
    /// All definitions that ask for the same things share one shape; see [`Shape`](crate::shape::Shape).
    ShapeId(u32), "s"
}
id! {
    /// A GPU model, numbered in the order in which models are first named.
    ModelId(u16), "m"
}
id! {
    /// An attribute's name; the column of its values over all nodes.
    AttributeId(u16), "a"
}
id! {
    /// A value of one attribute, numbered per attribute in the order of first sight.
    ValueId(u32), "v"
}
