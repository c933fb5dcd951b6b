//! Cases of `mesos`.
//!
//! Where Mesos shuffles agents, a case is run in several orders, and must come out right in each.

use cluster::chance::{Chance, Purpose};
use cluster::units::{Instant, Span};
use schedulers::mesos::allocator::{
    AgentId, Allocator, FrameworkId, Joined, Offer, Options, RoleId, Subscribed, Subscription,
};
use schedulers::mesos::filter::Refusal;
use schedulers::mesos::quantity::{Kind, Limits, Quantities, thousandths};
use schedulers::mesos::quota::Quota;
use schedulers::mesos::resources::Resources;
use schedulers::mesos::sorter::Sorter;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Orders in which agents are looked at: as they come, and that many shuffles.
const SHUFFLES: u64 = 24;

type Amounts = BTreeMap<String, f64>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    policy: Policy,
    steps: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    stage: String,
    #[serde(default)]
    config: Config,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Config {
    role_sorter: Option<String>,
    framework_sorter: Option<String>,
    allocation_interval_s: Option<f64>,
    min_allocatable: Option<Vec<Amounts>>,
    #[serde(
        alias = "fairness_exclude_resource_names",
        alias = "fairness_exclude",
        alias = "excluded_resource_names"
    )]
    fair_sharing_excluded_resource_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "op", rename_all = "snake_case")]
enum SorterStep {
    AddAgent {
        agent: String,
        resources: Amounts,
    },
    RemoveAgent {
        agent: String,
    },
    Add {
        client: String,
    },
    Activate {
        client: String,
    },
    Deactivate {
        client: String,
    },
    Remove {
        client: String,
    },
    Allocated {
        client: String,
        #[serde(rename = "agent")]
        _agent: String,
        resources: Amounts,
    },
    Unallocated {
        client: String,
        #[serde(rename = "agent")]
        _agent: String,
        resources: Amounts,
    },
    Update {
        client: String,
        #[serde(rename = "agent")]
        _agent: String,
        old: Amounts,
        new: Amounts,
    },
    UpdateWeight {
        path: String,
        weight: f64,
    },
    Sort {
        expect: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "op", rename_all = "snake_case")]
enum Step {
    AddAgent {
        agent: String,
        resources: Amounts,
        #[serde(default)]
        reserved: BTreeMap<String, Amounts>,
        #[serde(default)]
        used: BTreeMap<String, Used>,
    },
    RemoveAgent {
        agent: String,
    },
    AddFramework {
        framework: String,
        role: String,
        min_allocatable: Option<Vec<Amounts>>,
    },
    UpdateQuota {
        role: String,
        #[serde(default)]
        guarantees: Amounts,
        #[serde(default)]
        limits: Amounts,
    },
    UpdateWeight {
        #[serde(alias = "path")]
        role: String,
        weight: f64,
    },
    Advance {
        seconds: f64,
    },
    Recover {
        framework: String,
        role: Option<String>,
        agent: String,
        resources: Amounts,
        #[serde(default)]
        reserved: BTreeMap<String, Amounts>,
        refuse_seconds: Option<f64>,
    },
    ExpectOffers {
        offers: Vec<Expected>,
    },
    ExpectTotals {
        totals: BTreeMap<String, Amounts>,
    },
    ExpectOneOf {
        options: Vec<Alternative>,
    },
    ExpectCounts {
        counts: BTreeMap<String, usize>,
    },
}

/// What is in use on an agent by one framework: in its only role, or by role.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Used {
    InItsRole(Amounts),
    ByRole(BTreeMap<String, Amounts>),
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Expected {
    framework: String,
    role: Option<String>,
    agent: String,
    resources: Amounts,
    reserved: Option<BTreeMap<String, Amounts>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Alternative {
    One(Expected),
    All(Vec<Expected>),
    Offers(Offers),
    Totals(Totals),
    BareTotals(BTreeMap<String, Amounts>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offers {
    offers: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    totals: BTreeMap<String, Amounts>,
}

pub(super) fn run(case: &Value) -> Result<(), String> {
    let case = Case::deserialize(case).map_err(|it| it.to_string())?;
    let config = &case.policy.config;
    for sorter in [&config.role_sorter, &config.framework_sorter].into_iter().flatten() {
        if sorter != "drf" {
            return Err(format!("unknown sorter {sorter:?}"));
        }
    }
    match case.policy.stage.as_str() {
        "drf_sorter" => sort(config, &read(&case.steps)?),
        "allocator" => {
            let steps = read(&case.steps)?;
            allocate(config, &steps, |_| {})?;
            for seed in 0..SHUFFLES {
                let mut chance = Chance::new(seed, Purpose::Scheduler, 0);
                allocate(config, &steps, |agents| chance.shuffle(agents))
                    .map_err(|why| format!("shuffle {seed}: {why}"))?;
            }
            Ok(())
        }
        other => Err(format!("unknown stage {other:?}")),
    }
}

/// The README does not name the field of these two; they have only one.
const NAMELESS: [(&str, &str); 2] = [("expect_one_of", "options"), ("expect_counts", "counts")];

fn read<S: for<'v> Deserialize<'v>>(steps: &[Value]) -> Result<Vec<S>, String> {
    let step = |(at, it): (usize, &Value)| {
        let mut it = it.clone();
        for (op, name) in NAMELESS {
            if let Value::Object(fields) = &mut it
                && fields.get("op").is_some_and(|it| it == op)
                && fields.len() == 2
            {
                let only = std::mem::take(fields).into_iter().find(|it| it.0 != "op");
                fields.insert("op".to_owned(), op.into());
                fields.extend(only.map(|it| (name.to_owned(), it.1)));
            }
        }
        S::deserialize(&it).map_err(|why| format!("step {at}, {it}: {why}"))
    };
    steps.iter().enumerate().map(step).collect()
}

/// Numbers of kinds, by name.
#[derive(Default)]
struct Kinds(Vec<String>);

impl Kinds {
    fn kind(&mut self, name: &str) -> Kind {
        match name {
            "cpus" => return Kind::CPUS,
            "mem" => return Kind::MEM,
            "disk" => return Kind::DISK,
            "gpus" => return Kind::GPUS,
            _ => {}
        }
        let at = self.0.iter().position(|it| it == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        Kind(Kind::FIRST_OWN.0 + at as u16)
    }

    fn amounts(&mut self, amounts: &Amounts) -> impl Iterator<Item = (Kind, u64)> + use<> {
        let read = |(name, amount): (&String, &f64)| (self.kind(name), thousandths(*amount));
        amounts.iter().map(read).collect::<Vec<_>>().into_iter()
    }

    fn some(&mut self, amounts: &Amounts) -> Quantities {
        Quantities::new(self.amounts(amounts))
    }

    fn resources(&mut self, free: &Amounts, reserved: &BTreeMap<String, Amounts>) -> Resources {
        let reserved = reserved.iter().map(|(role, it)| (role.clone(), self.some(it))).collect();
        Resources { reserved, ..Resources::unreserved(self.some(free)) }
    }
}

fn sort(config: &Config, steps: &[SorterStep]) -> Result<(), String> {
    let mut kinds = Kinds::default();
    let excluded = &config.fair_sharing_excluded_resource_names;
    let mut sorter = Sorter::new(excluded.iter().map(|it| kinds.kind(it)).collect());
    let mut agents = BTreeMap::<&str, Quantities>::new();
    for (at, step) in steps.iter().enumerate() {
        let find = |sorter: &Sorter, path: &str| {
            sorter.find(path).ok_or_else(|| format!("step {at}: no client {path:?}"))
        };
        match step {
            SorterStep::AddAgent { agent, resources } => {
                let total = kinds.some(resources);
                sorter.add_total(&total);
                agents.entry(agent).or_default().add(&total);
            }
            SorterStep::RemoveAgent { agent } => {
                let total = agents.remove(agent.as_str()).ok_or("no such agent")?;
                sorter.remove_total(&total);
            }
            SorterStep::Add { client } => drop(sorter.add(client)),
            SorterStep::Activate { client } => sorter.set_active(find(&sorter, client)?, true),
            SorterStep::Deactivate { client } => sorter.set_active(find(&sorter, client)?, false),
            SorterStep::Remove { client } => sorter.remove(find(&sorter, client)?),
            // Where something is matters not to the order.
            SorterStep::Allocated { client, _agent: _, resources } => {
                sorter.allocated(find(&sorter, client)?, &kinds.some(resources));
            }
            SorterStep::Unallocated { client, _agent: _, resources } => {
                sorter.unallocated(find(&sorter, client)?, &kinds.some(resources));
            }
            SorterStep::Update { client, _agent: _, old, new } => {
                let (old, new) = (kinds.some(old), kinds.some(new));
                sorter.update(find(&sorter, client)?, &old, &new);
            }
            SorterStep::UpdateWeight { path, weight } => sorter.set_weight(path, *weight),
            SorterStep::Sort { expect } => {
                let order = sorter.order();
                let got: Vec<_> = order.iter().map(|it| sorter.path(*it)).collect();
                if got != *expect {
                    return Err(format!("step {at}: order {expect:?} is wanted, got {got:?}"));
                }
            }
        }
    }
    Ok(())
}

/// The allocator with the names of a case.
struct World<F> {
    allocator: Allocator,
    kinds: Kinds,
    agents: Vec<String>,
    /// The only role of each framework.
    roles: BTreeMap<String, String>,
    now: Instant,
    order: F,
    /// Offers since the last expectation.
    offers: Vec<Offer>,
}

fn allocate(
    config: &Config,
    steps: &[Step],
    order: impl FnMut(&mut [AgentId]),
) -> Result<(), String> {
    let mut kinds = Kinds::default();
    let mut options = Options::default();
    if let Some(secs) = config.allocation_interval_s {
        options.allocation_interval = Span::from_secs_f64(secs);
    }
    if let Some(least) = &config.min_allocatable {
        options.min_allocatable = least.iter().map(|it| kinds.some(it)).collect();
    }
    let excluded = &config.fair_sharing_excluded_resource_names;
    options.excluded = excluded.iter().map(|it| kinds.kind(it)).collect();
    let allocator = Allocator::new(options, Instant::ZERO);
    // Frameworks that are named before they join have the role in which they will.
    let roles = steps.iter().filter_map(|it| match it {
        Step::AddFramework { framework, role, .. } => Some((framework.clone(), role.clone())),
        _ => None,
    });
    let mut world = World {
        allocator,
        kinds,
        agents: Vec::new(),
        roles: roles.collect(),
        now: Instant::ZERO,
        order,
        offers: Vec::new(),
    };
    for (at, step) in steps.iter().enumerate() {
        world.step(step).map_err(|why| format!("step {at}: {why}"))?;
    }
    Ok(())
}

impl<F: FnMut(&mut [AgentId])> World<F> {
    fn agent(&mut self, name: &str) -> AgentId {
        let at = self.agents.iter().position(|it| it == name).unwrap_or_else(|| {
            self.agents.push(name.to_owned());
            self.agents.len() - 1
        });
        AgentId(at as u32)
    }

    fn role_of(&self, framework: &str) -> Result<String, String> {
        self.roles.get(framework).cloned().ok_or_else(|| format!("no framework {framework:?}"))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::AddAgent { agent, resources, reserved, used } => {
                let total = self.kinds.resources(resources, reserved);
                let mut joined = Joined { total, ..Joined::default() };
                for (framework, used) in used {
                    let by_role = match used {
                        Used::InItsRole(it) => [(self.role_of(framework)?, it.clone())].into(),
                        Used::ByRole(it) => it.clone(),
                    };
                    let framework = self.allocator.framework(framework);
                    for (role, it) in by_role {
                        let it = self.kinds.resources(&it, &BTreeMap::new());
                        joined.used.push((framework, role, it));
                    }
                }
                let agent = self.agent(agent);
                self.allocator.add_agent(agent, joined);
            }
            Step::RemoveAgent { agent } => {
                let agent = self.agent(agent);
                self.allocator.remove_agent(agent);
            }
            Step::AddFramework { framework, role, min_allocatable } => {
                let framework = self.allocator.framework(framework);
                let min_allocatable = min_allocatable
                    .as_ref()
                    .map(|it| it.iter().map(|it| self.kinds.some(it)).collect());
                let role =
                    Subscribed { role: role.clone(), min_allocatable, ..Subscribed::default() };
                let info = Subscription { roles: vec![role], ..Subscription::default() };
                self.allocator.add_framework(framework, info);
            }
            Step::UpdateQuota { role, guarantees, limits } => {
                let guarantees = self.kinds.some(guarantees);
                let limits = Limits::new(self.kinds.amounts(limits));
                let quota = Quota { guarantees, limits };
                self.allocator.update_quota(role, quota).map_err(|it| it.to_string())?;
            }
            Step::UpdateWeight { role, weight } => self.allocator.update_weight(role, *weight),
            Step::Advance { seconds } => {
                self.now = self.now + Span::from_secs_f64(*seconds);
                let runs = self.allocator.advance(self.now, &mut self.order, &mut ());
                self.offers.extend(runs.into_iter().flat_map(|it| it.1));
            }
            Step::Recover { framework, role, agent, resources, reserved, refuse_seconds } => {
                let role = role.clone().map_or_else(|| self.role_of(framework), Ok)?;
                let (framework, role) =
                    (self.allocator.framework(framework), self.allocator.role(&role));
                let agent = self.agent(agent);
                let held = self.allocator.holds(framework, role, agent).cloned();
                let held = held.ok_or("gives back what it does not hold")?;
                let mut given = self.kinds.resources(resources, reserved);
                // All it holds may be written as one sum.
                if given.scalars() == held.scalars() {
                    given = held.clone();
                }
                if !held.contains(&given) {
                    return Err(format!("holds {held:?}, and gives back {given:?}"));
                }
                let refusal = refuse_seconds.map_or(Refusal::None, Refusal::from_secs);
                self.allocator.recover(self.now, (framework, role, agent), &given, refusal);
            }
            Step::ExpectOffers { offers } => {
                let (want, got) = (self.wanted(offers)?, self.offered(offers));
                self.offers.clear();
                if want != got {
                    return Err(format!("offers {want:?} are wanted, got {got:?}"));
                }
            }
            Step::ExpectTotals { totals } => {
                let (want, got) = (self.wanted_totals(totals), self.offered_totals());
                self.offers.clear();
                if want != got {
                    return Err(format!("totals {want:?} are wanted, got {got:?}"));
                }
            }
            Step::ExpectOneOf { options } => {
                let mut is_met = false;
                for option in options {
                    is_met |= match option {
                        Alternative::One(it) => {
                            let it = std::slice::from_ref(it);
                            self.wanted(it)? == self.offered(it)
                        }
                        Alternative::All(it) | Alternative::Offers(Offers { offers: it }) => {
                            self.wanted(it)? == self.offered(it)
                        }
                        Alternative::Totals(Totals { totals })
                        | Alternative::BareTotals(totals) => {
                            self.wanted_totals(totals) == self.offered_totals()
                        }
                    };
                }
                let got = std::mem::take(&mut self.offers);
                if !is_met {
                    return Err(format!("none of {} alternatives, got {got:?}", options.len()));
                }
            }
            Step::ExpectCounts { counts } => {
                let mut got: BTreeMap<String, usize> =
                    counts.keys().map(|it| (it.clone(), 0)).collect();
                for offer in std::mem::take(&mut self.offers) {
                    *got.entry(self.allocator.framework_name(offer.framework).to_owned())
                        .or_default() += 1;
                }
                if got != *counts {
                    return Err(format!("counts {counts:?} are wanted, got {got:?}"));
                }
            }
        }
        if self.allocator.is_run_due() {
            self.offers.extend(self.allocator.run(&mut self.order, &mut ()));
        }
        Ok(())
    }

    /// Offers as an expectation writes them, whose reservations are told apart if any of it does so.
    fn wanted(
        &mut self,
        offers: &[Expected],
    ) -> Result<BTreeMap<(FrameworkId, RoleId, AgentId), Resources>, String> {
        let mut wanted = BTreeMap::<_, Resources>::new();
        for it in offers {
            let role = it.role.clone().map_or_else(|| self.role_of(&it.framework), Ok)?;
            let (framework, role) =
                (self.allocator.framework(&it.framework), self.allocator.role(&role));
            let key = (framework, role, self.agent(&it.agent));
            let reserved = it.reserved.clone().unwrap_or_default();
            let resources = self.kinds.resources(&it.resources, &reserved);
            wanted.entry(key).or_default().add(&resources);
        }
        Ok(wanted)
    }

    fn offered(&self, as_in: &[Expected]) -> BTreeMap<(FrameworkId, RoleId, AgentId), Resources> {
        let tells_reservations = as_in.iter().any(|it| it.reserved.is_some());
        let mut offered = BTreeMap::<_, Resources>::new();
        for it in &self.offers {
            let sum = || Resources::unreserved(it.resources.scalars());
            let resources = if tells_reservations { it.resources.clone() } else { sum() };
            let key = (it.framework, it.role, it.agent);
            offered.entry(key).or_default().add(&resources);
        }
        offered
    }

    fn wanted_totals(
        &mut self,
        totals: &BTreeMap<String, Amounts>,
    ) -> BTreeMap<FrameworkId, Quantities> {
        let mut wanted = BTreeMap::new();
        for (framework, total) in totals {
            let total = self.kinds.some(total);
            if !total.is_empty() {
                wanted.insert(self.allocator.framework(framework), total);
            }
        }
        wanted
    }

    fn offered_totals(&self) -> BTreeMap<FrameworkId, Quantities> {
        let mut offered = BTreeMap::<_, Quantities>::new();
        for it in &self.offers {
            offered.entry(it.framework).or_default().add(&it.resources.scalars());
        }
        offered
    }
}
