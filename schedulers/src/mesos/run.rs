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
use cluster::units::Instant;
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

/// What a framework is asked whether it is offered.
struct Asked<'a> {
    stage: Stage,
    role: RoleId,
    agent: AgentId,
    /// To the role.
    available: &'a Resources,
    /// What the role lacks of its guarantee.
    missing: &'a Quantities,
}

/// A whole agent, offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whole {
    pub(super) framework: FrameworkId,
    pub(super) role: RoleId,
    /// Place of the agent in the order of the run.
    pub(super) rank: u32,
    pub(super) agent: AgentId,
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
        for (_, agent) in self.agents.iter().filter(|_| self.knows_revocable) {
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
            available: self.agents[agent].available.clone(),
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
            if self.agents[agent].available.is_empty() {
                return;
            }
            if stage == Stage::Guarantees && missing.is_empty() {
                recorder.hear(|| Note::Role { role, why: RoleSkip::Satisfied });
                continue;
            }
            let members = self.roles[role.0 as usize].members.as_mut();
            let members = members.expect("roles in the sorter have members");
            members.sorter.sort();
            recorder.hear(|| Note::Frameworks { role, standings: members.sorter.standings() });
            // Those behind the first that is served, in the order of before.
            let mut behind = None::<std::vec::IntoIter<FrameworkId>>;
            loop {
                if stage == Stage::Guarantees && missing.is_empty() {
                    break;
                }
                let of = &self.roles[role.0 as usize];
                let available = self.agents[agent].available.allocatable_to(&of.path);
                if available.is_empty() {
                    break;
                }
                let asked = Asked { stage, role, agent, available: &available, missing: &missing };
                let served = match &mut behind {
                    Some(behind) => self.serve_first(&asked, behind, headroom, recorder),
                    None => {
                        let members = of.members.as_ref().expect("seen before");
                        let mut order = members.sorter.sorted().map(|it| members.frameworks[&it]);
                        let served = self.serve_first(&asked, &mut order, headroom, recorder);
                        let is_all = |it: &(_, Draft)| it.1.resources.contains(&available);
                        let is_over = served.as_ref().is_none_or(is_all);
                        let order = (!is_over).then(|| order.collect());
                        behind = Some(order.unwrap_or_else(Vec::new).into_iter());
                        served
                    }
                };
                let Some((framework, draft)) = served else { break };
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

    /// The first of these that is offered something, and what.
    fn serve_first(
        &self,
        asked: &Asked<'_>,
        frameworks: &mut impl Iterator<Item = FrameworkId>,
        headroom: &Headroom,
        recorder: &mut impl Recorder,
    ) -> Option<(FrameworkId, Draft)> {
        frameworks.find_map(|framework| match self.draft(asked, framework, headroom) {
            Ok(draft) => Some((framework, draft)),
            Err(why) => {
                recorder.hear(|| Note::Framework { role: asked.role, framework, why });
                None
            }
        })
    }

    /// What a framework would be offered of what is available to its role, or why it is not.
    fn draft(
        &self,
        &Asked { stage, role, agent, available, missing }: &Asked<'_>,
        framework: FrameworkId,
        headroom: &Headroom,
    ) -> Result<Draft, Skip> {
        let by = &self.frameworks[framework.0 as usize];
        let on = &self.agents[agent];
        if by.roles.get(&role).is_some_and(|it| it.excluded_agents.contains(&agent)) {
            return Err(Skip::Excluded);
        }
        if !self.is_worth_an_offer(available, by, role) {
            return Err(Skip::BelowMinimum);
        }
        let has_gpus = on.total.scalars().get(super::quantity::Kind::GPUS) > 0;
        if self.options.filters_gpus && has_gpus && !by.info.uses_gpus {
            return Err(Skip::Gpus);
        }
        if on.is_remote && !by.info.knows_regions {
            return Err(Skip::Region);
        }
        let mut available = available.clone();
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

    /// The offers of a [run](Allocator::run) in which nobody has quota, nothing is reserved or revocable, and all
    /// frameworks know of GPUs and other regions: every agent goes whole to the first that has not declined it.
    /// Sorted by framework and order. They are not in the books; what of them is used is to be
    /// [handed out](Allocator::hand_out), the others are to be [counted](Allocator::count_offers).
    ///
    /// `only` is who alone wants offers.
    pub(super) fn run_whole(
        &mut self,
        only: Option<(FrameworkId, RoleId)>,
        mut order: impl FnMut(&mut [AgentId]),
    ) -> Vec<Whole> {
        let mut agents = self.take_candidates();
        order(&mut agents);
        order(&mut agents);
        let agents = (0..).zip(agents).filter(|it| self.agents.is_offered(it.1));
        if let Some((framework, role)) = only {
            let is_next = |it: &(u32, AgentId)| self.is_next(framework, role, it.1);
            let whole = |(rank, agent)| Whole { framework, role, rank, agent };
            return agents.filter(is_next).map(whole).collect();
        }
        let agents: Vec<_> = agents.collect();
        let mut offers = Vec::new();
        let mut sums = BTreeMap::<(FrameworkId, RoleId), (Quantities, u64)>::new();
        for (rank, agent) in agents {
            let Some((framework, role)) = self.next_for(agent) else { continue };
            let scalars = &self.agents[agent].available.unreserved;
            let (sum, times) = sums.entry((framework, role)).or_default();
            sum.add(scalars);
            *times += 1;
            let members = self.roles[role.0 as usize].members.as_mut().expect("it is a member");
            self.role_sorter.allocated(members.client, scalars);
            members.sorter.allocated(members.clients[&framework], scalars);
            offers.push(Whole { framework, role, rank, agent });
        }
        for ((framework, role), (sum, times)) in sums {
            let members = self.roles[role.0 as usize].members.as_mut().expect("it is a member");
            self.role_sorter.forget(members.client, &sum, times);
            members.sorter.forget(members.clients[&framework], &sum, times);
        }
        offers.sort_unstable();
        offers
    }

    /// Who is to be offered an agent that has something.
    fn next_for(&mut self, agent: AgentId) -> Option<(FrameworkId, RoleId)> {
        self.role_sorter.sort();
        for members in self.roles.iter_mut().filter_map(|it| it.members.as_mut()) {
            members.sorter.sort();
        }
        self.role_sorter.sorted().find_map(|client| {
            let role = self.roles_by_client[&client];
            let members = self.roles[role.0 as usize].members.as_ref().expect("it has some");
            let mut frameworks = members.sorter.sorted().map(|it| members.frameworks[&it]);
            Some((frameworks.find(|it| self.is_next(*it, role, agent))?, role))
        })
    }

    /// Whether a framework that comes first is offered this agent, which is worth an offer.
    fn is_next(&self, framework: FrameworkId, role: RoleId, agent: AgentId) -> bool {
        let filters = &self.frameworks[framework.0 as usize].filters;
        let is_stopped = || {
            let of_agent = filters.get(&(role, agent)).map_or(&[][..], |it| it);
            of_agent.iter().any(|it| it.stops(&self.agents[agent].available))
        };
        filters.is_empty() || !is_stopped()
    }

    /// Until when a framework has declined all that is left on an agent.
    pub(super) fn declined_until(
        &self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
    ) -> Option<Instant> {
        let filters = self.frameworks[framework.0 as usize].filters.get(&(role, agent))?;
        let available = &self.agents[agent].available;
        filters.iter().filter(|it| it.stops(available)).map(|it| it.ends()).max()
    }

    /// Whether an agent has enough left to be offered at all.
    pub(super) fn is_offered(&self, agent: AgentId) -> bool {
        self.agents.is_offered(agent)
    }

    /// Notes whether an agent is worth an offer, when anything of it has changed.
    pub(super) fn weigh(&mut self, agent: AgentId) {
        let Resources { unreserved, revocable, reserved, .. } = &self.agents[agent].available;
        let sum = (!revocable.is_empty() || !reserved.is_empty())
            .then(|| self.agents[agent].available.scalars());
        let scalars = sum.as_ref().unwrap_or(unreserved);
        let least = &self.options.min_allocatable;
        let is_worth = !scalars.is_empty()
            && (least.is_empty() || least.iter().any(|it| scalars.contains(it)));
        self.agents.set_offered(agent, is_worth && self.agents.is_active(agent));
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
