//! Why a run offered what it did.
//!
//! A run tells a [`Recorder`] of everything it looks at. That of `()` listens to nothing, and what would be told is
//! then not even made.

use super::allocator::{AgentId, FrameworkId, RoleId};
use super::quantity::Quantities;
use super::resources::Resources;
use super::sorter::Standing;
use cluster::units::Instant;
use std::fmt;

/// The two passes over the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Roles that lack some of what they are guaranteed.
    Guarantees,
    /// All roles.
    Fair,
}

/// What a run tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A pass begins. The agents are equally good: their order is chance.
    Pass {
        /// Which one.
        stage: Stage,
        /// The agents in the order in which they are looked at.
        agents: Vec<AgentId>,
        /// What guarantees still lack, in sum.
        required_headroom: Quantities,
        /// What is free and unreserved, in sum.
        available_headroom: Quantities,
    },
    /// An agent is looked at.
    Agent {
        /// Which one.
        agent: AgentId,
        /// What is left there.
        available: Resources,
        /// How roles stand: dominant share, weight, count, in order.
        roles: Vec<Standing>,
    },
    /// A role is passed over on an agent.
    Role {
        /// Which one.
        role: RoleId,
        /// Why.
        why: RoleSkip,
    },
    /// A role is looked at on an agent.
    Frameworks {
        /// The role.
        role: RoleId,
        /// How its frameworks stand, in order.
        standings: Vec<Standing>,
    },
    /// A framework is passed over on an agent.
    Framework {
        /// In this role.
        role: RoleId,
        /// Which one.
        framework: FrameworkId,
        /// Why.
        why: Skip,
    },
    /// A framework is offered something.
    Offer {
        /// In this role.
        role: RoleId,
        /// Which one.
        framework: FrameworkId,
        /// What.
        resources: Resources,
        /// What the role's own limits kept from it.
        over_limit: Quantities,
        /// What the guarantees of others kept from it.
        held_back: Quantities,
    },
}

/// Why a role is passed over in the pass for guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleSkip {
    /// It is guaranteed nothing.
    NoGuarantee,
    /// It has what it is guaranteed.
    Satisfied,
}

/// Why a framework is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// What is left is less than the least that is worth an offer.
    BelowMinimum,
    /// The framework's offer constraints rule the agent out.
    Excluded,
    /// The agent has GPUs, and the framework does not know of such.
    Gpus,
    /// The agent is in another region, and the framework does not know of such.
    Region,
    /// Nothing here helps towards the role's guarantee.
    NoProgress,
    /// What limits and headroom leave is less than the least that is worth an offer.
    CutBelowMinimum,
    /// The framework declined as much.
    Declined {
        /// When the filter ends, the last if there are several.
        until: Instant,
    },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowMinimum => write!(f, "too little is left"),
            Self::Excluded => write!(f, "offer constraints rule the agent out"),
            Self::Gpus => write!(f, "the agent has GPUs, the framework cannot use them"),
            Self::Region => write!(f, "the agent is in another region"),
            Self::NoProgress => write!(f, "nothing here helps towards the guarantee"),
            Self::CutBelowMinimum => write!(f, "limits and headroom leave too little"),
            Self::Declined { until } => {
                write!(f, "declined, until {} s", until.as_secs_f64())
            }
        }
    }
}

/// Hears what a run does.
pub trait Recorder {
    /// Hears a note, which is made only if somebody listens.
    fn hear(&mut self, note: impl FnOnce() -> Note);

    /// Whether it listens at all. What only explains is left out if not.
    fn listens(&self) -> bool {
        true
    }
}

/// Listens to nothing.
impl Recorder for () {
    fn listens(&self) -> bool {
        false
    }

    fn hear(&mut self, _note: impl FnOnce() -> Note) {}
}

/// Keeps everything.
impl Recorder for Vec<Note> {
    fn hear(&mut self, note: impl FnOnce() -> Note) {
        self.push(note());
    }
}
