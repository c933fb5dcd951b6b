//! The agents of an allocator, in rows of their numbers.

use super::allocator::{AgentId, FrameworkId, RoleId};
use super::resources::Resources;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Agent {
    pub(super) total: Resources,
    pub(super) available: Resources,
    /// Offered or in use.
    pub(super) held: BTreeMap<(FrameworkId, RoleId), Resources>,
    pub(super) is_remote: bool,
}

/// What runs ask of every agent is in columns of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Agents {
    rows: Vec<Option<Agent>>,
    is_active: Vec<bool>,
    /// Active, and worth an offer by itself.
    is_offered: Vec<bool>,
}

impl Agents {
    pub(super) fn get(&self, agent: AgentId) -> Option<&Agent> {
        self.rows.get(agent.0 as usize)?.as_ref()
    }

    /// To be changed; [`Agents::set_offered`] is the caller's business then.
    pub(super) fn get_mut(&mut self, agent: AgentId) -> Option<&mut Agent> {
        self.rows.get_mut(agent.0 as usize)?.as_mut()
    }

    /// Active, and not offered before it is said to be.
    pub(super) fn insert(&mut self, agent: AgentId, it: Agent) {
        let row = agent.0 as usize;
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, || None);
            self.is_active.resize(row + 1, false);
            self.is_offered.resize(row + 1, false);
        }
        assert!(self.rows[row].is_none(), "{agent:?}: has joined already");
        self.rows[row] = Some(it);
        self.is_active[row] = true;
    }

    pub(super) fn remove(&mut self, agent: AgentId) -> Option<Agent> {
        let row = agent.0 as usize;
        let it = self.rows.get_mut(row)?.take()?;
        (self.is_active[row], self.is_offered[row]) = (false, false);
        Some(it)
    }

    /// All agents, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AgentId, &Agent)> {
        let rows = (0..).map(AgentId).zip(&self.rows);
        rows.filter_map(|(id, it)| Some((id, it.as_ref()?)))
    }

    pub(super) fn is_active(&self, agent: AgentId) -> bool {
        self.is_active.get(agent.0 as usize).copied().unwrap_or(false)
    }

    pub(super) fn set_active(&mut self, agent: AgentId, is_active: bool) {
        self.is_active[agent.0 as usize] = is_active;
    }

    pub(super) fn is_offered(&self, agent: AgentId) -> bool {
        self.is_offered.get(agent.0 as usize).copied().unwrap_or(false)
    }

    pub(super) fn set_offered(&mut self, agent: AgentId, is_offered: bool) {
        self.is_offered[agent.0 as usize] = is_offered;
    }
}

impl Index<AgentId> for Agents {
    type Output = Agent;

    fn index(&self, agent: AgentId) -> &Agent {
        self.get(agent).unwrap_or_else(|| panic!("{agent:?}: not there"))
    }
}

/// The agents that the next run looks at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Candidates {
    /// All that are there.
    pub(super) all: bool,
    /// These in any case.
    pub(super) some: BTreeSet<AgentId>,
}

impl Candidates {
    /// Those that are active, ascending.
    pub(super) fn active(&self, agents: &Agents) -> Vec<AgentId> {
        match self.all {
            true => (0..)
                .map(AgentId)
                .take(agents.rows.len())
                .filter(|it| agents.is_active(*it))
                .collect(),
            false => self.some.iter().copied().filter(|it| agents.is_active(*it)).collect(),
        }
    }
}
