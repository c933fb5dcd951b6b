//! The hierarchical allocator: its books, and what happens to them.
//!
//! Source: Mesos c1b42f79, `hierarchical.cpp`. What triggers a run: an agent joins or has other resources (that agent);
//! a framework joins or is active again, or wants offers again (all agents); and every allocation interval (all agents).
//! Resources given back, quota and weights do not. Triggers before a run are merged in it.
//!
//! The caller numbers agents, tells what happens with the methods below, and calls [`Allocator::run`] when
//! [`Allocator::is_run_due`] and [`Allocator::advance`] when time has passed.

use super::agents::{Agent, Agents, Candidates};
use super::explain::Recorder;
use super::filter::{Filter, Refusal};
use super::quantity::{Kind, Quantities, thousandths};
use super::quota::{Quota, QuotaError};
use super::resources::Resources;
use super::sorter::{Client, Sorter, Standing};
use cluster::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A node of the cluster, numbered by the caller from 0 on, with few gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId(pub u32);

/// A framework, numbered in the order in which names were first heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameworkId(pub u32);

/// A role, numbered in the order in which paths were first heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoleId(pub u32);

/// Options of the master.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Time between batch runs.
    pub allocation_interval: Span,
    /// An offer holds at least one of these; anything will do if there are none.
    pub min_allocatable: Vec<Quantities>,
    /// Kinds that do not count for shares.
    pub excluded: Vec<Kind>,
    /// Whether agents with GPUs are kept for frameworks that know of GPUs.
    pub filters_gpus: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allocation_interval: Span::from_secs(1),
            min_allocatable: vec![
                Quantities::new([(Kind::CPUS, thousandths(0.01))]),
                Quantities::new([(Kind::MEM, thousandths(32.0))]),
            ],
            excluded: Vec::new(),
            filters_gpus: true,
        }
    }
}

/// What a framework says of itself when it joins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// The roles in which it wants offers.
    pub roles: Vec<Subscribed>,
    /// It is not connected, and gets no offers until it is activated.
    pub is_inactive: bool,
    /// It knows of GPUs (`GPU_RESOURCES`).
    pub uses_gpus: bool,
    /// It takes resources that may be taken back (`REVOCABLE_RESOURCES`).
    pub takes_revocable: bool,
    /// It knows of other regions (`REGION_AWARE`).
    pub knows_regions: bool,
}

/// A role of a framework.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Path of the role.
    pub role: String,
    /// It wants no offers in it for now.
    pub is_suppressed: bool,
    /// Takes the place of [`Options::min_allocatable`], if given.
    pub min_allocatable: Option<Vec<Quantities>>,
    /// Agents that its offer constraints rule out, as worked out by the caller.
    pub excluded_agents: BTreeSet<AgentId>,
}

impl Subscription {
    /// One role, and nothing special.
    pub fn to(role: impl Into<String>) -> Self {
        let role = Subscribed { role: role.into(), ..Subscribed::default() };
        Self { roles: vec![role], ..Self::default() }
    }
}

/// An agent when it joins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Joined {
    /// All it has.
    pub total: Resources,
    /// What is in use there already, by framework and path of the role. Counts for shares only once the framework is
    /// known.
    pub used: Vec<(FrameworkId, String, Resources)>,
    /// It is not in the region of the master.
    pub is_remote: bool,
}

/// Something offered to a framework, which holds it until it gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// To whom.
    pub framework: FrameworkId,
    /// In this role.
    pub role: RoleId,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub resources: Resources,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Framework {
    pub(super) name: String,
    /// Whether it has joined. Names may be heard before.
    pub(super) is_known: bool,
    pub(super) is_active: bool,
    /// Agents joined with something of it before it was known.
    pub(super) holds_before_joining: bool,
    pub(super) info: Subscription,
    pub(super) roles: BTreeMap<RoleId, Membership>,
    pub(super) filters: BTreeMap<(RoleId, AgentId), Vec<Filter>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Membership {
    pub(super) is_suppressed: bool,
    pub(super) min_allocatable: Option<Vec<Quantities>>,
    pub(super) excluded_agents: BTreeSet<AgentId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) path: String,
    pub(super) parent: Option<RoleId>,
    pub(super) quota: Quota,
    /// Reserved to it and to those below it, used or not.
    pub(super) reserved: Quantities,
    /// Unreserved and not revocable, held by it and by those below it.
    pub(super) held_unreserved: Quantities,
    /// Its frameworks, if it has any: in the sorter of roles it is a client then.
    pub(super) members: Option<Members>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Members {
    /// In the sorter of roles.
    pub(super) client: Client,
    pub(super) sorter: Sorter,
    pub(super) clients: BTreeMap<FrameworkId, Client>,
    pub(super) frameworks: BTreeMap<Client, FrameworkId>,
}

/// The books, and the runs over them. A value like any other: it can be cloned, written and read back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Allocator {
    pub(super) options: Options,
    pub(super) agents: Agents,
    pub(super) frameworks: Vec<Framework>,
    /// Numbers of frameworks that were forgotten.
    free_frameworks: Vec<FrameworkId>,
    frameworks_by_name: BTreeMap<String, FrameworkId>,
    pub(super) roles: Vec<Role>,
    roles_by_path: BTreeMap<String, RoleId>,
    pub(super) role_sorter: Sorter,
    pub(super) roles_by_client: BTreeMap<Client, RoleId>,
    /// Held of what is reserved, by all roles.
    pub(super) held_reserved: Quantities,
    /// Whether an agent ever joined with something revocable.
    pub(super) knows_revocable: bool,
    pub(super) candidates: Candidates,
    /// Frameworks that declined something, and before when none of their filters ends.
    filtering: BTreeMap<FrameworkId, Instant>,
    is_run_due: bool,
    next_batch: Instant,
    batches: u64,
}

impl Allocator {
    /// Without agents and frameworks, started at `now`. The first batch run is one interval later.
    ///
    /// # Panics
    ///
    /// If the interval is zero.
    pub fn new(options: Options, now: Instant) -> Self {
        assert!(options.allocation_interval > Span::ZERO, "an allocation interval of zero");
        Self {
            role_sorter: Sorter::new(options.excluded.clone()),
            next_batch: now + options.allocation_interval,
            options,
            agents: Agents::default(),
            frameworks: Vec::new(),
            free_frameworks: Vec::new(),
            frameworks_by_name: BTreeMap::new(),
            roles: Vec::new(),
            roles_by_path: BTreeMap::new(),
            roles_by_client: BTreeMap::new(),
            held_reserved: Quantities::NONE,
            knows_revocable: false,
            candidates: Candidates::default(),
            filtering: BTreeMap::new(),
            is_run_due: false,
            batches: 0,
        }
    }

    /// Number of the framework of that name, which need not have joined. Names break ties between frameworks.
    ///
    /// # Panics
    ///
    /// If there is a slash in it, which would make levels of it.
    pub fn framework(&mut self, name: &str) -> FrameworkId {
        assert!(!name.contains('/'), "{name}: a framework with a slash in its name");
        if let Some(id) = self.frameworks_by_name.get(name) {
            return *id;
        }
        let id = self.free_frameworks.pop().unwrap_or_else(|| {
            self.frameworks.push(Framework::default());
            FrameworkId(u32::try_from(self.frameworks.len() - 1).expect("fewer than 2^32"))
        });
        self.frameworks[id.0 as usize].name = name.to_owned();
        self.frameworks_by_name.insert(name.to_owned(), id);
        id
    }

    /// A framework's name.
    pub fn framework_name(&self, framework: FrameworkId) -> &str {
        &self.frameworks[framework.0 as usize].name
    }

    /// Number of the role with that path.
    pub fn role(&mut self, path: &str) -> RoleId {
        if let Some(id) = self.roles_by_path.get(path) {
            return *id;
        }
        let parent = path.rsplit_once('/').map(|(above, _)| self.role(above));
        let id = RoleId(u32::try_from(self.roles.len()).expect("fewer than 2^32 roles"));
        self.roles.push(Role { path: path.to_owned(), parent, ..Role::default() });
        self.roles_by_path.insert(path.to_owned(), id);
        id
    }

    /// A role's path.
    pub fn role_path(&self, role: RoleId) -> &str {
        &self.roles[role.0 as usize].path
    }

    /// A framework joins.
    ///
    /// # Panics
    ///
    /// If it is there already.
    pub fn add_framework(&mut self, framework: FrameworkId, info: Subscription) {
        let it = &mut self.frameworks[framework.0 as usize];
        assert!(!it.is_known, "{}: has joined already", it.name);
        it.is_known = true;
        it.is_active = !info.is_inactive;
        for subscribed in &info.roles {
            let role = self.role(&subscribed.role);
            let membership = Membership {
                is_suppressed: subscribed.is_suppressed,
                min_allocatable: subscribed.min_allocatable.clone(),
                excluded_agents: subscribed.excluded_agents.clone(),
            };
            self.frameworks[framework.0 as usize].roles.insert(role, membership);
            self.track_member(framework, role);
        }
        let it = &mut self.frameworks[framework.0 as usize];
        it.info = info;
        let is_active = it.is_active;
        let held_before = std::mem::take(&mut it.holds_before_joining);
        let used: Vec<_> = (self.agents.iter().filter(|_| held_before))
            .flat_map(|(_, it)| &it.held)
            .filter(|((owner, _), _)| *owner == framework)
            .map(|((_, role), held)| (*role, held.clone()))
            .collect();
        for (role, held) in used {
            self.track_held(framework, role, &held);
        }
        self.list_member(framework);
        if is_active {
            self.request_all();
        }
    }

    /// A framework leaves. What it holds is free.
    pub fn remove_framework(&mut self, framework: FrameworkId) {
        let holds: Vec<_> = (self.agents.iter())
            .flat_map(|(agent, it)| it.held.iter().map(move |(key, held)| (agent, *key, held)))
            .filter(|(_, key, _)| key.0 == framework)
            .map(|(agent, key, held)| (agent, key.1, held.clone()))
            .collect();
        for (agent, role, held) in holds {
            self.give_back(framework, role, agent, &held);
        }
        let it = &mut self.frameworks[framework.0 as usize];
        let name = std::mem::take(&mut it.name);
        let roles = std::mem::take(it).roles;
        self.frameworks[framework.0 as usize].name = name;
        for role in roles.into_keys() {
            self.untrack_member(framework, role);
        }
    }

    /// A framework that holds nothing leaves, and is not heard of again: its number may be another's from now on.
    pub(super) fn forget_framework(&mut self, framework: FrameworkId) {
        let it = std::mem::take(&mut self.frameworks[framework.0 as usize]);
        self.frameworks_by_name.remove(&it.name);
        for role in it.roles.into_keys() {
            self.untrack_member(framework, role);
        }
        self.free_frameworks.push(framework);
    }

    /// A framework joins that wants no offers yet: no run is due for it.
    pub(super) fn join_silently(&mut self, framework: FrameworkId, info: Subscription) {
        let was_due = self.is_run_due;
        let candidates = std::mem::take(&mut self.candidates);
        self.add_framework(framework, info);
        (self.is_run_due, self.candidates) = (was_due, candidates);
    }

    /// A framework forgets what it declined.
    pub(super) fn forget_filters(&mut self, framework: FrameworkId) {
        self.frameworks[framework.0 as usize].filters.clear();
    }

    /// Who holds something on an agent, and in which role.
    pub(super) fn holders(&self, agent: AgentId) -> Vec<(FrameworkId, RoleId)> {
        self.agents.get(agent).map_or(Vec::new(), |it| it.held.keys().copied().collect())
    }

    /// Whether a framework holds anything in a role, offered or in use.
    pub(super) fn holds_some(&self, framework: FrameworkId, role: RoleId) -> bool {
        let members = self.roles[role.0 as usize].members.as_ref();
        let held = members.and_then(|it| Some(it.sorter.held(*it.clients.get(&framework)?)));
        held.is_some_and(|it| !it.is_empty())
    }

    /// A framework is connected, or not. One that is not gets no offers, keeps what it holds, and forgets what it
    /// declined.
    pub fn set_framework_active(&mut self, framework: FrameworkId, is_active: bool) {
        let it = &mut self.frameworks[framework.0 as usize];
        assert!(it.is_known, "{}: has not joined", it.name);
        it.is_active = is_active;
        if !is_active {
            it.filters.clear();
        }
        self.list_member(framework);
        if is_active {
            self.request_all();
        }
    }

    /// A framework wants no offers in these roles; all its roles if none are given.
    pub fn suppress(&mut self, framework: FrameworkId, roles: &[RoleId]) {
        self.set_suppressed(framework, roles, true);
    }

    /// A framework wants offers in these roles again, all its roles if none are given, and forgets what it declined
    /// there.
    pub fn revive(&mut self, framework: FrameworkId, roles: &[RoleId]) {
        self.set_suppressed(framework, roles, false);
        self.request_all();
    }

    /// Lists a framework or does not, without a word of the framework: nothing is triggered or forgotten.
    pub(super) fn set_listed(&mut self, framework: FrameworkId, is_listed: bool) {
        for membership in self.frameworks[framework.0 as usize].roles.values_mut() {
            membership.is_suppressed = !is_listed;
        }
        self.list_member(framework);
    }

    fn set_suppressed(&mut self, framework: FrameworkId, roles: &[RoleId], is_suppressed: bool) {
        let it = &mut self.frameworks[framework.0 as usize];
        for (role, membership) in &mut it.roles {
            if roles.is_empty() || roles.contains(role) {
                membership.is_suppressed = is_suppressed;
                if !is_suppressed {
                    it.filters.retain(|(of, _), _| of != role);
                }
            }
        }
        self.list_member(framework);
    }

    /// An agent joins.
    ///
    /// # Panics
    ///
    /// If it is there already.
    pub fn add_agent(&mut self, agent: AgentId, joined: Joined) {
        let Joined { total, used, is_remote } = joined;
        self.add_total(&total);
        let (available, held) = (total.clone(), BTreeMap::new());
        self.knows_revocable |= !total.revocable.is_empty();
        self.agents.insert(agent, Agent { total, available, held, is_remote });
        for (framework, role, resources) in used {
            let role = self.role(&role);
            let it = self.agents.get_mut(agent).expect("it was just added");
            it.available.subtract(&resources);
            it.held.entry((framework, role)).or_default().add(&resources);
            match self.frameworks[framework.0 as usize].is_known {
                true => self.track_held(framework, role, &resources),
                false => self.frameworks[framework.0 as usize].holds_before_joining = true,
            }
        }
        self.weigh(agent);
        self.request(agent);
    }

    /// An agent is gone, with all that is held there.
    pub fn remove_agent(&mut self, agent: AgentId) {
        let Some(it) = self.agents.remove(agent) else {
            return;
        };
        for ((framework, role), held) in &it.held {
            if self.frameworks[framework.0 as usize].is_known {
                self.untrack_held(*framework, *role, held);
            }
        }
        self.remove_total(&it.total);
        self.candidates.some.remove(&agent);
        for framework in &mut self.frameworks {
            framework.filters.retain(|(_, of), _| *of != agent);
        }
    }

    /// An agent has other resources than before.
    pub fn update_agent(&mut self, agent: AgentId, total: Resources) {
        let it = self.agents.get_mut(agent).unwrap_or_else(|| panic!("{agent:?}: not there"));
        if it.total == total {
            return;
        }
        it.available = total.clone();
        for held in it.held.values() {
            it.available.subtract(held);
        }
        let old = std::mem::replace(&mut it.total, total.clone());
        self.knows_revocable |= !total.revocable.is_empty();
        self.weigh(agent);
        self.remove_total(&old);
        self.add_total(&total);
        self.request(agent);
    }

    /// An agent is connected, or not. One that is not is not offered.
    pub fn set_agent_active(&mut self, agent: AgentId, is_active: bool) {
        if self.agents.get(agent).is_some() {
            self.agents.set_active(agent, is_active);
            self.weigh(agent);
        }
    }

    /// A role has this quota from now on.
    ///
    /// # Errors
    ///
    /// If the role is not at the top.
    pub fn update_quota(&mut self, path: &str, quota: Quota) -> Result<(), QuotaError> {
        if path.contains('/') {
            return Err(QuotaError::Nested { role: path.to_owned() });
        }
        let role = self.role(path);
        self.roles[role.0 as usize].quota = quota;
        Ok(())
    }

    /// A role has this weight from now on.
    ///
    /// # Panics
    ///
    /// If it is not above 0.
    pub fn update_weight(&mut self, path: &str, weight: f64) {
        self.role_sorter.set_weight(path, weight);
    }

    /// A framework gives back some of what it holds: it declined it, did not use it, or a task ended. Does nothing if
    /// framework or agent are gone.
    ///
    /// # Panics
    ///
    /// If it does not [hold](Allocator::holds) that.
    pub fn recover(
        &mut self,
        now: Instant,
        (framework, role, agent): (FrameworkId, RoleId, AgentId),
        resources: &Resources,
        refusal: Refusal,
    ) {
        let is_known = self.frameworks[framework.0 as usize].is_known;
        if resources.is_empty() || !is_known || self.agents.get(agent).is_none() {
            return;
        }
        self.give_back(framework, role, agent, resources);
        self.refuse(now, (framework, role, agent), resources, refusal);
    }

    /// A framework is not to be offered this for a while.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        (framework, role, agent): (FrameworkId, RoleId, AgentId),
        resources: &Resources,
        refusal: Refusal,
    ) {
        if let Some(span) = refusal.span().filter(|_| !resources.is_empty()) {
            let interval = self.options.allocation_interval;
            let filter = Filter::new(resources.clone(), span, interval, now, self.batches);
            let it = &mut self.frameworks[framework.0 as usize];
            let ends = self.filtering.entry(framework).or_insert(filter.ends());
            *ends = filter.ends().min(*ends);
            it.filters.entry((role, agent)).or_default().push(filter);
        }
    }

    /// What a framework was offered or uses in a role on an agent.
    pub fn holds(
        &self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
    ) -> Option<&Resources> {
        self.agents.get(agent)?.held.get(&(framework, role))
    }

    /// What is neither offered nor used on an agent.
    pub fn available(&self, agent: AgentId) -> Option<&Resources> {
        self.agents.get(agent).map(|it| &it.available)
    }

    /// How roles stand.
    pub fn role_standings(&mut self) -> Vec<Standing> {
        self.role_sorter.standings()
    }

    /// How the frameworks of a role stand.
    pub fn framework_standings(&mut self, role: RoleId) -> Vec<Standing> {
        let members = self.roles[role.0 as usize].members.as_mut();
        members.map_or_else(Vec::new, |it| it.sorter.standings())
    }

    /// Whether something has happened that triggers a run.
    pub fn is_run_due(&self) -> bool {
        self.is_run_due
    }

    /// The time between batch runs.
    pub(super) fn interval(&self) -> Span {
        self.options.allocation_interval
    }

    /// When the next batch run is.
    pub fn next_batch(&self) -> Instant {
        self.next_batch
    }

    /// Makes the batch runs up to `now`, that time included, and drops filters that are over. Returns the offers
    /// of each run, with its time. A run that is due is merged into the first batch run.
    ///
    /// `order` and `recorder` are those of [`Allocator::run`].
    pub fn advance(
        &mut self,
        now: Instant,
        mut order: impl FnMut(&mut [AgentId]),
        recorder: &mut impl Recorder,
    ) -> Vec<(Instant, Vec<Offer>)> {
        let mut runs = Vec::new();
        while self.next_batch <= now {
            let at = self.begin_batch();
            runs.push((at, self.run(&mut order, recorder)));
            self.end_batch();
        }
        self.drop_filters(now, |it| it.ends() <= now);
        runs
    }

    /// The next batch run begins; says its time.
    pub(super) fn begin_batch(&mut self) -> Instant {
        let (at, batches) = (self.next_batch, self.batches);
        self.drop_filters(at, |it| it.is_over_for_batch(at, batches));
        self.request_all();
        at
    }

    pub(super) fn end_batch(&mut self) {
        self.batches += 1;
        self.next_batch = self.next_batch + self.options.allocation_interval;
    }

    /// So many offers were made to a framework, and given back at once.
    pub(super) fn count_offers(&mut self, framework: FrameworkId, role: RoleId, times: u64) {
        let members = self.roles[role.0 as usize].members.as_mut().expect("it is a member");
        self.role_sorter.count_more(members.client, times);
        members.sorter.count_more(members.clients[&framework], times);
    }

    /// Lets the batch runs up to a time pass, that time included: nobody wants an offer.
    pub(super) fn skip_batches(&mut self, until: Instant) {
        if self.next_batch <= until {
            let interval = self.options.allocation_interval.0;
            let passed = until.since(self.next_batch).0 / interval;
            let last = self.next_batch + Span(passed * interval);
            let batches = self.batches + passed;
            self.drop_filters(last, |it| it.is_over_for_batch(last, batches));
            self.batches = batches + 1;
            self.next_batch = last + self.options.allocation_interval;
        }
    }

    /// Nobody wants an offer, so that what triggers a run needs none.
    pub(super) fn forget_triggers(&mut self) {
        self.candidates = Candidates::default();
        self.is_run_due = false;
    }

    /// Drops filters that are over; [`Allocator::advance`] does it, too.
    pub(super) fn drop_ended_filters(&mut self, now: Instant) {
        self.drop_filters(now, |it| it.ends() <= now);
    }

    /// Drops filters that are over, none of which ends after that time.
    fn drop_filters(&mut self, by: Instant, is_over: impl Fn(&Filter) -> bool) {
        let Self { filtering, frameworks, .. } = self;
        filtering.retain(|framework, earliest| {
            if *earliest > by {
                return true;
            }
            let mut left = None::<Instant>;
            let filters = &mut frameworks[framework.0 as usize].filters;
            filters.retain(|_, filters| {
                filters.retain(|it| !is_over(it));
                let ends = filters.iter().map(|it| it.ends()).min();
                left = [left, ends].into_iter().flatten().min();
                !filters.is_empty()
            });
            *earliest = left.unwrap_or(*earliest);
            left.is_some()
        });
    }

    /// Begins a run: which agents are looked at.
    pub(super) fn take_candidates(&mut self) -> Vec<AgentId> {
        self.is_run_due = false;
        std::mem::take(&mut self.candidates).active(&self.agents)
    }

    fn request(&mut self, agent: AgentId) {
        self.candidates.some.insert(agent);
        self.is_run_due = true;
    }

    /// A run of all agents is due.
    pub(super) fn request_all(&mut self) {
        self.candidates.all = true;
        self.is_run_due = true;
    }

    fn add_total(&mut self, total: &Resources) {
        for (path, reserved) in &total.reserved {
            let role = self.role(path);
            self.for_role_and_above(role, |it| it.reserved.add(reserved));
        }
        let scalars = total.scalars();
        self.role_sorter.add_total(&scalars);
        for members in self.roles.iter_mut().filter_map(|it| it.members.as_mut()) {
            members.sorter.add_total(&scalars);
        }
    }

    fn remove_total(&mut self, total: &Resources) {
        for (path, reserved) in &total.reserved {
            let role = self.role(path);
            self.for_role_and_above(role, |it| it.reserved.subtract(reserved));
        }
        let scalars = total.scalars();
        self.role_sorter.remove_total(&scalars);
        for members in self.roles.iter_mut().filter_map(|it| it.members.as_mut()) {
            members.sorter.remove_total(&scalars);
        }
    }

    fn for_role_and_above(&mut self, role: RoleId, mut change: impl FnMut(&mut Role)) {
        let mut at = Some(role);
        while let Some(role) = at {
            let it = &mut self.roles[role.0 as usize];
            change(it);
            at = it.parent;
        }
    }

    fn give_back(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        resources: &Resources,
    ) {
        let it = self.agents.get_mut(agent).unwrap_or_else(|| panic!("{agent:?}: not there"));
        let held = it.held.entry((framework, role)).or_default();
        assert!(
            held.contains(resources),
            "{framework:?} holds {held:?} in {role:?} on {agent:?}, not {resources:?}"
        );
        held.subtract(resources);
        if held.is_empty() {
            it.held.remove(&(framework, role));
        }
        // Not more than there is: the agent may have shrunk in the meantime.
        it.available = it.total.clone();
        for held in it.held.values() {
            it.available.subtract(held);
        }
        self.weigh(agent);
        self.untrack_held(framework, role, resources);
    }

    /// Takes something off an agent for a framework.
    pub(super) fn hand_out(&mut self, offer: &Offer) {
        let it = self.agents.get_mut(offer.agent).expect("a run looks at agents that are there");
        it.available.subtract(&offer.resources);
        it.held.entry((offer.framework, offer.role)).or_default().add(&offer.resources);
        self.weigh(offer.agent);
        self.track_held(offer.framework, offer.role, &offer.resources);
    }

    fn track_held(&mut self, framework: FrameworkId, role: RoleId, more: &Resources) {
        self.track_member(framework, role);
        self.for_role_and_above(role, |it| it.held_unreserved.add(&more.unreserved));
        self.held_reserved.add(&more.reserved_scalars());
        let scalars = more.scalars();
        let members = self.roles[role.0 as usize].members.as_mut().expect("it was just tracked");
        self.role_sorter.allocated(members.client, &scalars);
        members.sorter.allocated(members.clients[&framework], &scalars);
    }

    fn untrack_held(&mut self, framework: FrameworkId, role: RoleId, less: &Resources) {
        self.for_role_and_above(role, |it| it.held_unreserved.subtract(&less.unreserved));
        self.held_reserved.subtract(&less.reserved_scalars());
        let scalars = less.scalars();
        let members = self.roles[role.0 as usize].members.as_mut();
        let members = members.expect("who holds something in a role is a member of it");
        self.role_sorter.unallocated(members.client, &scalars);
        members.sorter.unallocated(members.clients[&framework], &scalars);
        let is_subscribed = self.frameworks[framework.0 as usize].roles.contains_key(&role);
        let holds_some = |it: &Agent| it.held.contains_key(&(framework, role));
        if !is_subscribed && !self.agents.iter().any(|it| holds_some(it.1)) {
            self.untrack_member(framework, role);
        }
    }

    fn track_member(&mut self, framework: FrameworkId, role: RoleId) {
        let it = &mut self.roles[role.0 as usize];
        if it.members.is_none() {
            let client = self.role_sorter.add(&it.path);
            self.role_sorter.set_active(client, true);
            self.roles_by_client.insert(client, role);
            let mut sorter = Sorter::new(self.options.excluded.clone());
            sorter.add_total(self.role_sorter.total());
            let (clients, frameworks) = (BTreeMap::new(), BTreeMap::new());
            it.members = Some(Members { client, sorter, clients, frameworks });
        }
        let members = it.members.as_mut().expect("it was just made");
        if !members.clients.contains_key(&framework) {
            let client = members.sorter.add(&self.frameworks[framework.0 as usize].name);
            members.clients.insert(framework, client);
            members.frameworks.insert(client, framework);
        }
    }

    fn untrack_member(&mut self, framework: FrameworkId, role: RoleId) {
        let it = &mut self.roles[role.0 as usize];
        let Some(members) = it.members.as_mut() else {
            return;
        };
        if let Some(client) = members.clients.remove(&framework) {
            members.frameworks.remove(&client);
            members.sorter.remove(client);
        }
        if members.clients.is_empty() {
            self.role_sorter.remove(members.client);
            self.roles_by_client.remove(&members.client);
            it.members = None;
        }
    }

    /// Lists a framework in the sorters of those of its roles in which it wants offers.
    fn list_member(&mut self, framework: FrameworkId) {
        let it = &self.frameworks[framework.0 as usize];
        for (role, membership) in &it.roles {
            if let Some(members) = self.roles[role.0 as usize].members.as_mut() {
                let is_listed = it.is_active && !membership.is_suppressed;
                members.sorter.set_active(members.clients[&framework], is_listed);
            }
        }
    }
}
