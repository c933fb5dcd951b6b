//! One run: who is offered what is free.
//!
//! Source: Mesos c1b42f79, `hierarchical.cpp`, `__generateOffers`.
//!
//! Two passes over the agents, each in an order of its own. The first serves roles that lack some of what they are
//! guaranteed: an agent that has some of that is offered to them with all else it has, as far as limits and
//! headroom allow. The second serves everybody. In both, roles and then frameworks come in the order of their
//! sorters as it is when an agent is begun.
//!
//! As in the source, within a run what a role below another one gets is charged to the role above only if the
//! lower one has quota itself, which it cannot; the next run counts it.

use super::allocator::{AgentId, Allocator, Framework, FrameworkId, Offer, RoleId};
use super::explain::{Note, Recorder, RoleSkip, Skip, Stage};
use super::quantity::Quantities;
use super::resources::Resources;
use std::collections::BTreeMap;

/// What counts for quota while a run goes on.
struct Headroom {
    /// Of top-level roles with quota.
    consumed: BTreeMap<RoleId, Quantities>,
    /// What guarantees still lack.
    required: Quantities,
    /// What is free, unreserved and not revocable in the whole cluster.
    available: Quantities,
}

/// What an offer would be, and what was kept from it.
struct Draft {
    resources: Resources,
    /// Of it, what counts towards the role's guarantee.
    guaranteed: Quantities,
    /// Of it, other unreserved scalars.
    additional: Quantities,
    over_limit: Quantities,
    held_back: Quantities,
}

impl Allocator {
    /// Offers what is free on the agents that something has happened to since the last run, all of them in a batch
    /// run. Offers are sorted by framework, role and agent, and are held by the frameworks from now on.
    ///
    /// `order` is called before each of the two passes, with the agents in the order of their numbers at first: where
    /// Mesos shuffles them, any order is right.
    pub fn run(
        &mut self,
        mut order: impl FnMut(&mut [AgentId]),
        recorder: &mut impl Recorder,
    ) -> Vec<Offer> {
        let mut agents = self.take_candidates();
        let mut headroom = self.headroom();
        let mut offered = BTreeMap::<(FrameworkId, RoleId, AgentId), Resources>::new();
        for stage in [Stage::Guarantees, Stage::Fair] {
            order(&mut agents);
            recorder.hear(|| Note::Pass {
                stage,
                agents: agents.clone(),
                required_headroom: headroom.required.clone(),
                available_headroom: headroom.available.clone(),
            });
            if stage == Stage::Guarantees && !self.guarantees_something() && !recorder.listens() {
                continue;
            }
            for agent in &agents {
                self.serve_agent(stage, *agent, &mut headroom, recorder, &mut |offer| {
                    let key = (offer.framework, offer.role, offer.agent);
                    offered.entry(key).or_default().add(&offer.resources);
                });
            }
        }
        let offer =
            |((framework, role, agent), resources)| Offer { framework, role, agent, resources };
        offered.into_iter().map(offer).collect()
    }

    fn headroom(&self) -> Headroom {
        let (mut consumed, mut required) = (BTreeMap::new(), Quantities::NONE);
        for (id, role) in (0..).map(RoleId).zip(&self.roles) {
            if role.parent.is_none() && !role.quota.is_default() {
                let mut used = role.reserved.clone();
                used.add(&role.held_unreserved);
                required.add(&role.quota.guarantees.without(&used));
                consumed.insert(id, used);
            }
        }
        let mut available = self.role_sorter.total().without(self.role_sorter.all_allocated());
        let mut reserved = Quantities::NONE;
        for role in self.roles.iter().filter(|it| it.parent.is_none()) {
            reserved.add(&role.reserved);
        }
        available.subtract(&reserved.without(&self.held_reserved));
        for agent in self.agents.values() {
            available.subtract(&agent.available.revocable);
        }
        Headroom { consumed, required, available }
    }

    fn serve_agent(
        &mut self,
        stage: Stage,
        agent: AgentId,
        headroom: &mut Headroom,
        recorder: &mut impl Recorder,
        give: &mut impl FnMut(&Offer),
    ) {
        let roles = self.role_sorter.order();
        recorder.hear(|| Note::Agent {
            agent,
            available: self.agents[&agent].available.clone(),
            roles: self.role_sorter.standings(),
        });
        for client in roles {
            let role = self.roles_by_client[&client];
            let mut missing = Quantities::NONE;
            if stage == Stage::Guarantees {
                let guarantees = &self.roles[role.0 as usize].quota.guarantees;
                if guarantees.is_empty() {
                    recorder.hear(|| Note::Role { role, why: RoleSkip::NoGuarantee });
                    continue;
                }
                missing = guarantees.without(&headroom.consumed[&role]);
            }
            if self.agents[&agent].available.is_empty() {
                return;
            }
            if stage == Stage::Guarantees && missing.is_empty() {
                recorder.hear(|| Note::Role { role, why: RoleSkip::Satisfied });
                continue;
            }
            let members = self.roles[role.0 as usize].members.as_mut();
            let members = members.expect("roles in the sorter have members");
            let frameworks: Vec<_> =
                members.sorter.order().into_iter().map(|it| members.frameworks[&it]).collect();
            recorder.hear(|| Note::Frameworks { role, standings: members.sorter.standings() });
            for framework in frameworks {
                if stage == Stage::Guarantees && missing.is_empty() {
                    break;
                }
                let path = &self.roles[role.0 as usize].path;
                let available = self.agents[&agent].available.allocatable_to(path);
                if available.is_empty() {
                    break;
                }
                let draft = match self.draft(
                    stage,
                    (framework, role, agent),
                    available,
                    &missing,
                    headroom,
                ) {
                    Ok(draft) => draft,
                    Err(why) => {
                        recorder.hear(|| Note::Framework { role, framework, why });
                        continue;
                    }
                };
                let Draft { resources, guaranteed, additional, over_limit, held_back } = draft;
                let mut more = guaranteed.clone();
                more.add(&additional);
                missing.subtract(&more);
                if let Some(consumed) = headroom.consumed.get_mut(&role) {
                    consumed.add(&more);
                }
                headroom.required.subtract(&guaranteed);
                headroom.available.subtract(&more);
                let offer = Offer { framework, role, agent, resources };
                self.hand_out(&offer);
                give(&offer);
                recorder.hear(|| {
                    let resources = offer.resources;
                    Note::Offer { role, framework, resources, over_limit, held_back }
                });
            }
        }
    }

    /// What a framework would be offered of what is available to its role, or why it is not.
    fn draft(
        &self,
        stage: Stage,
        (framework, role, agent): (FrameworkId, RoleId, AgentId),
        mut available: Resources,
        missing: &Quantities,
        headroom: &Headroom,
    ) -> Result<Draft, Skip> {
        let by = &self.frameworks[framework.0 as usize];
        let on = &self.agents[&agent];
        if by.roles.get(&role).is_some_and(|it| it.excluded_agents.contains(&agent)) {
            return Err(Skip::Excluded);
        }
        if !self.is_worth_an_offer(&available, by, role) {
            return Err(Skip::BelowMinimum);
        }
        let has_gpus = on.total.scalars().get(super::quantity::Kind::GPUS) > 0;
        if self.options.filters_gpus && has_gpus && !by.info.uses_gpus {
            return Err(Skip::Gpus);
        }
        if on.is_remote && !by.info.knows_regions {
            return Err(Skip::Region);
        }
        if !by.info.takes_revocable {
            available.revocable = Quantities::NONE;
        }

        let unreserved = std::mem::take(&mut available.unreserved);
        let mut resources = available;
        let mut guaranteed = Quantities::NONE;
        if stage == Stage::Guarantees {
            guaranteed = unreserved.least(missing);
            if guaranteed.is_empty() {
                return Err(Skip::NoProgress);
            }
        }
        let wanted = unreserved.without(&guaranteed);
        let limits = &self.roles[role.0 as usize].quota.limits;
        let within_limit = if limits.is_empty() {
            wanted.clone()
        } else {
            let mut used = headroom.consumed.get(&role).cloned().unwrap_or_default();
            used.add(&guaranteed);
            limits.cut(&wanted, &used)
        };
        let additional = if headroom.required.is_empty() {
            within_limit.clone()
        } else {
            within_limit.least(&headroom.available.without(&headroom.required))
        };
        resources.unreserved = guaranteed.clone();
        resources.unreserved.add(&additional);

        if !self.is_worth_an_offer(&resources, by, role) {
            return Err(Skip::CutBelowMinimum);
        }
        let filters = by.filters.get(&(role, agent)).map_or(&[][..], |it| it);
        if let Some(until) =
            filters.iter().filter(|it| it.stops(&resources)).map(|it| it.ends()).max()
        {
            return Err(Skip::Declined { until });
        }
        let over_limit = wanted.without(&within_limit);
        let held_back = within_limit.without(&additional);
        Ok(Draft { resources, guaranteed, additional, over_limit, held_back })
    }

    fn guarantees_something(&self) -> bool {
        self.roles.iter().any(|it| !it.quota.guarantees.is_empty())
    }

    /// Whether nobody has quota.
    pub(super) fn has_no_quota(&self) -> bool {
        self.roles.iter().all(|it| it.quota.is_default())
    }

    /// The agents of a [run](Allocator::run), in the order of its second pass, for one in which a single framework
    /// wants offers and nobody has quota: it is offered every agent on which it [is next](Allocator::is_next), whole.
    pub(super) fn run_for_one(&mut self, mut order: impl FnMut(&mut [AgentId])) -> Vec<AgentId> {
        let mut agents = self.take_candidates();
        order(&mut agents);
        order(&mut agents);
        agents
    }

    /// Whether the only framework that wants offers is offered this agent. It knows of GPUs and other regions, and
    /// nothing is reserved.
    pub(super) fn is_next(&self, framework: FrameworkId, role: RoleId, agent: AgentId) -> bool {
        let filters = self.frameworks[framework.0 as usize].filters.get(&(role, agent));
        let is_stopped = |it: &Vec<super::filter::Filter>| {
            it.iter().any(|it| it.stops(&self.agents[&agent].available))
        };
        self.is_offered(agent) && !filters.is_some_and(is_stopped)
    }

    /// Whether an agent has enough left to be offered at all.
    pub(super) fn is_offered(&self, agent: AgentId) -> bool {
        let Some(agent) = self.agents.get(&agent).filter(|it| it.is_active) else { return false };
        let Resources { unreserved, revocable, reserved, .. } = &agent.available;
        let sum =
            (!revocable.is_empty() || !reserved.is_empty()).then(|| agent.available.scalars());
        let scalars = sum.as_ref().unwrap_or(unreserved);
        let least = &self.options.min_allocatable;
        !scalars.is_empty() && (least.is_empty() || least.iter().any(|it| scalars.contains(it)))
    }

    /// Whether quota leaves room for that much more in a role, if nothing is offered to anybody.
    pub(super) fn has_quota_for(&self, role: RoleId, needs: &Quantities) -> bool {
        if self.has_no_quota() {
            return true;
        }
        let headroom = self.headroom();
        let quota = &self.roles[role.0 as usize].quota;
        let used = headroom.consumed.get(&role).cloned().unwrap_or_default();
        let mut most = headroom.available.without(&headroom.required);
        most.add(&quota.guarantees.without(&used));
        let is_kept = !headroom.required.is_empty() && !most.contains(needs);
        !is_kept && quota.limits.cut(needs, &used) == *needs
    }

    fn is_worth_an_offer(&self, resources: &Resources, by: &Framework, role: RoleId) -> bool {
        let of_role = by.roles.get(&role).and_then(|it| it.min_allocatable.as_ref());
        let least = of_role.unwrap_or(&self.options.min_allocatable);
        if resources.is_empty() {
            return false;
        }
        let scalars = resources.scalars();
        least.is_empty() || least.iter().any(|it| scalars.contains(it))
    }
}
