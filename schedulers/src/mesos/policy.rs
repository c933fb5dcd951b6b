//! The policy `mesos-drf`: our nodes as agents of a Mesos master, the owners of tasks as its frameworks.
//!
//! The [`Allocator`] keeps its own books beside our state and runs when Mesos' does: every allocation
//! interval, when a node joins or changes, and when a framework wants offers anew because a task of it has
//! come. In a run every agent goes whole to the framework that is furthest behind; the framework starts
//! what it can use, in queue order, and declines the rest for a while. A task that ends triggers no run:
//! what it leaves is offered at the next interval.
//!
//! Who is a framework, and in which role, is one function, `Setup::key`.
//!
//! [`Nodes::fits`](cluster::nodes::Nodes::fits) stays the law: host ports, shares and models of GPUs and
//! required attributes are its word, and no offer is used against it.
//!
//! Differs: a framework knows when nothing of it fits anywhere, and is passed over until something does, so
//! that no offers go round in vain (in Mesos it would be offered all agents, and decline them). All frameworks
//! know of GPUs. Offers of one run come in the order in which the agents were looked at, where in Mesos they
//! come in that of a hash map. A driver that is late makes one batch run, not all those it missed.
//!
//! Cost: a run looks at every agent, twice. Between runs a decision costs one number a node.

mod explain;

use super::allocator::{
    AgentId, Allocator, FrameworkId, Joined, Offer, Options, RoleId, Subscribed, Subscription,
};
use super::filter::Refusal;
use super::quantity::{Kind, Limits, Quantities, thousandths};
use super::quota::Quota;
use super::resources::Resources;
use super::run::Whole;
use crate::card::{Card, Parameter};
use crate::marathon::policy::{Marathon, add_sites};
use crate::marathon::site::Site;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::best_fit_devices;
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::demand::Resource;
use cluster::event::{Change, TaskKind};
use cluster::explain::{Explanation, Question};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, ShapeId, TaskId};
use cluster::nodes::{NodeStatus, Nodes};
use cluster::scheduler::{Ask, BadMemory, Desk, Scheduler};
use cluster::shape::Shape;
use cluster::state::{State, Task};
use cluster::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

pub(crate) const INTERVAL: Parameter = Parameter {
    name: "interval",
    values: "1ms to 1h",
    default: "1s",
    summary: "time between batch runs of the allocator (allocation_interval)",
};

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "mesos-drf",
    summary: "Apache Mesos: whole agents are offered to the framework with the smallest dominant share, \
              which takes what it can use and declines the rest",
    source: "Mesos c1b42f79, allocator/mesos; Ghodsi et al., Dominant Resource Fairness, NSDI 2011",
    differs: "a framework is the owner of tasks: by default every group, and one for all tasks without a group; \
              one of which nothing fits anywhere gets no offers until something does; frameworks use offers \
              in queue order; all of them know of GPUs; ports and GPU shares are the ledger's word",
    cost: "a look at every agent for each run: one an interval while something waits, and one whenever tasks \
           arrive or a node changes",
    parameters: &[
        Parameter {
            name: "rule",
            values: "up to 64 of weight(ROLE,NUMBER), guarantee(ROLE,cpu=CORES,memory=GIB,disk=GIB,gpu=NUMBER), \
                     limit(ROLE,cpu=CORES,...)",
            default: "none",
            summary: "weights of roles, what is kept for them, and what they may have at most",
        },
        Parameter {
            name: "frameworks",
            values: "group|kind|one",
            default: "group",
            summary: "whose tasks one framework starts: a group's, those of all services or of all jobs, or all",
        },
        Parameter {
            name: "roles",
            values: "namespace|kind|one",
            default: "namespace",
            summary: "the roles of frameworks: the namespace of their tasks (`*` if it has no name), `service` and \
                      `job`, or `*` for all",
        },
        INTERVAL,
        Parameter {
            name: "refuse",
            values: "0s to 8760h",
            default: "5s",
            summary: "for how long what a framework declined is not offered to it again, unless there is more \
                      (refuse_seconds)",
        },
    ],
    example: "mesos-drf:weight(service,3),roles=kind",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let words =
        [("group", Frameworks::Group), ("kind", Frameworks::Kind), ("one", Frameworks::One)];
    let frameworks = arguments.word("frameworks", &words)?;
    let roles = arguments.word(
        "roles",
        &[("namespace", Roles::Namespace), ("kind", Roles::Kind), ("one", Roles::One)],
    )?;
    let rules = arguments.list("rule", 64, |text| Rule::read(text, roles))?;
    let allocation_interval = interval(arguments)?;
    let refuse = arguments.span("refuse", Span::ZERO..=super::filter::REFUSAL_MAX)?;
    let options = Options { allocation_interval, ..Options::default() };
    let way = Way::Queue { refuse };
    let setup = Arc::new(Setup { card: &CARD, options, frameworks, roles, rules, way });
    Ok(Plan::new(move |seed| Box::new(Mesos::new(Arc::clone(&setup), seed))))
}

/// Reads the parameter [`INTERVAL`].
///
/// # Errors
///
/// If it is out of range.
pub(crate) fn interval(arguments: &mut Arguments<'_>) -> Result<Span, PolicyError> {
    arguments.span(INTERVAL.name, Span(1000)..=Span::from_secs(3600))
}

/// Whose tasks one framework starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frameworks {
    Group,
    Kind,
    One,
}

/// Which roles there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    Namespace,
    Kind,
    One,
}

/// A rule about a role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    None,
    Weight { role: String, weight: f64 },
    Guarantee { role: String, amounts: Vec<(Resource, u64)> },
    Limit { role: String, amounts: Vec<(Resource, u64)> },
}

impl Rule {
    fn read(text: &str, roles: Roles) -> Option<Self> {
        if text == "none" {
            return Some(Self::None);
        }
        let (kind, rest) = text.split_once('(')?;
        let mut words = rest.strip_suffix(')')?.split(',').map(str::trim);
        let role = words.next()?.to_owned();
        let is_known = match roles {
            Roles::One => role == "*",
            Roles::Kind => ["service", "job"].contains(&role.as_str()),
            Roles::Namespace => role.split('/').all(|it| !it.is_empty() && it != "."),
        };
        if !is_known {
            return None;
        }
        if kind.trim_end() == "weight" {
            let weight =
                words.next()?.parse().ok().filter(|it: &f64| it.is_finite() && *it > 0.0)?;
            return words.next().is_none().then_some(Self::Weight { role, weight });
        }
        let mut amounts = Vec::new();
        for word in words {
            let (resource, amount) = word.split_once('=')?;
            let resource = Resource::from_name(resource.trim())?;
            let amount: f64 = amount.trim().trim_end_matches("GiB").parse().ok()?;
            if !(0.0..1e9).contains(&amount)
                || amounts.iter().any(|it: &(Resource, _)| it.0 == resource)
            {
                return None;
            }
            amounts.push((resource, thousandths(amount * unit(resource))));
        }
        match kind.trim_end() {
            // Only roles at the top have quota.
            _ if amounts.is_empty() || role.contains('/') => None,
            "guarantee" => Some(Self::Guarantee { role, amounts }),
            "limit" => Some(Self::Limit { role, amounts }),
            _ => None,
        }
    }
}

/// In a core, a GiB or a device, so many of Mesos' units.
fn unit(resource: Resource) -> f64 {
    match resource {
        Resource::Cpu | Resource::Gpu => 1.0,
        Resource::Memory | Resource::Disk => 1024.0,
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, role, amounts) = match self {
            Self::None => return f.write_str("none"),
            Self::Weight { role, weight } => return write!(f, "weight({role},{weight})"),
            Self::Guarantee { role, amounts } => ("guarantee", role, amounts),
            Self::Limit { role, amounts } => ("limit", role, amounts),
        };
        write!(f, "{name}({role}")?;
        for &(resource, amount) in amounts {
            write!(f, ",{resource}={}", amount as f64 / 1000.0 / unit(resource))?;
        }
        f.write_str(")")
    }
}

/// How frameworks use offers.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// In queue order, everything that fits.
    Queue {
        /// For how long what is left is declined.
        refuse: Span,
    },
    /// As Marathon does.
    Marathon(Marathon),
}

/// What a policy says, once and for all.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) card: &'static Card,
    pub(crate) options: Options,
    pub(crate) frameworks: Frameworks,
    pub(crate) roles: Roles,
    pub(crate) rules: Vec<Rule>,
    pub(crate) way: Way,
}

impl Setup {
    /// The framework of a task.
    fn key(
        &self,
        group: Option<GroupId>,
        kind: TaskKind,
        definition: DefinitionId,
        state: &State,
    ) -> Key {
        let owner = match self.frameworks {
            Frameworks::Group => Owner::Group(group),
            Frameworks::Kind => Owner::Kind(kind),
            Frameworks::One => Owner::All,
        };
        let role = match self.roles {
            Roles::Namespace => RoleKey::Namespace(state.definition(definition).namespace.clone()),
            Roles::Kind => RoleKey::Kind(kind),
            Roles::One => RoleKey::Namespace(String::new()),
        };
        Key { role, owner }
    }

    fn key_of(&self, task: &Task, state: &State) -> Key {
        self.key(task.group, task.kind, task.definition, state)
    }

    /// The least time between two calls of a framework for what it declined.
    fn revive_every(&self) -> Span {
        match &self.way {
            Way::Queue { .. } => Span::ZERO,
            Way::Marathon(it) => it.revive_every,
        }
    }

    fn allocator(&self) -> Allocator {
        let mut allocator = Allocator::new(self.options.clone(), Instant::ZERO);
        let mut quotas = BTreeMap::<&str, [Vec<(Kind, u64)>; 2]>::new();
        for rule in &self.rules {
            let (role, amounts, row) = match rule {
                Rule::None => continue,
                Rule::Weight { role, weight } => {
                    allocator.update_weight(role, *weight);
                    continue;
                }
                Rule::Guarantee { role, amounts } => (role, amounts, 0),
                Rule::Limit { role, amounts } => (role, amounts, 1),
            };
            let amounts = amounts.iter().map(|(resource, it)| (kind_of(*resource), *it));
            quotas.entry(role).or_default()[row].extend(amounts);
        }
        for (role, [guarantees, limits]) in quotas {
            let quota =
                Quota { guarantees: Quantities::new(guarantees), limits: Limits::new(limits) };
            allocator.update_quota(role, quota).expect("roles of ours have no slash");
        }
        allocator
    }
}

fn kind_of(resource: Resource) -> Kind {
    match resource {
        Resource::Cpu => Kind::CPUS,
        Resource::Memory => Kind::MEM,
        Resource::Disk => Kind::DISK,
        Resource::Gpu => Kind::GPUS,
    }
}

/// What makes a framework.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    role: RoleKey,
    owner: Owner,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum RoleKey {
    /// Empty for the default role.
    Namespace(String),
    Kind(TaskKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Owner {
    All,
    Kind(TaskKind),
    /// Tasks without a group have one framework together.
    Group(Option<GroupId>),
}

fn kind_name(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Job => "job",
        TaskKind::Service => "service",
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) if name.is_empty() => f.write_str("*"),
            Self::Namespace(name) => f.write_str(name),
            Self::Kind(kind) => f.write_str(kind_name(*kind)),
        }
    }
}

/// Of the same length for all groups, so that names order as numbers do. Names of frameworks have no slash.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.role.to_string().replace('/', "\u{2215}");
        match self.owner {
            Owner::All => write!(f, "all@{role}"),
            Owner::Kind(kind) => write!(f, "{}@{role}", kind_name(kind)),
            Owner::Group(None) => write!(f, "alone@{role}"),
            Owner::Group(Some(group)) => write!(f, "group-{:010}@{role}", group.0),
        }
    }
}

/// A framework that waits for something or runs something.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Member {
    id: FrameworkId,
    role: RoleId,
    /// Tasks that wait, whether or not they fit anywhere.
    waiting: u32,
    /// It had nothing to start, and has not called for offers since.
    is_suppressed: bool,
    /// When it last called for offers.
    revived: Option<Instant>,
}

/// What is remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Books {
    allocator: Allocator,
    members: BTreeMap<Key, Member>,
    keys: BTreeMap<FrameworkId, Key>,
    /// Tasks that joined the queue since the last decision.
    fresh: Vec<TaskId>,
    /// Frameworks that call for offers as soon as they may.
    reviving: BTreeSet<Key>,
    /// Frameworks that may have nothing more.
    leaving: BTreeSet<Key>,
    /// Tasks started in this stretch of launch tokens, with the attempt, and which stretch that is.
    launched: (u64, Vec<(TaskId, u32)>),
    /// Somebody waits for the next batch run; else it may pass.
    awaits_batch: bool,
    /// Marathon had no launch tokens left.
    is_out_of_tokens: bool,
}

/// The scheduler. Its memory is the random stream and the books.
#[derive(Debug, Clone)]
pub struct Mesos {
    setup: Arc<Setup>,
    chance: Chance,
    books: Books,
    /// The version at which each node was looked at last.
    versions: Vec<Option<u64>>,
    /// Per shape a node that took it when last asked: asked first.
    fitting: IdMap<ShapeId, NodeId>,
    /// Per shape an agent that it could have been offered when last asked.
    offerable: IdMap<ShapeId, NodeId>,
    /// The nodes as Marathon's constraints see them.
    sites: Vec<Site>,
    /// Whether runs without quota are short; else they are the allocator's, for tests.
    is_quick: bool,
    /// Who was offered what, if somebody listens.
    heard: Option<Vec<(AgentId, FrameworkId)>>,
}

/// What a framework has waiting that fits somewhere.
#[derive(Debug)]
pub(crate) struct Wants {
    key: Key,
    role: RoleId,
    pub(crate) lines: Vec<Line>,
    by_app: BTreeMap<App, usize>,
}

/// Tasks that are alike to their framework, in queue order.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) app: App,
    /// What each takes.
    pub(crate) needs: Quantities,
    /// No rules about other tasks concern them: where they fit they may go.
    is_free: bool,
    /// With their places in the queue.
    pub(crate) tasks: VecDeque<(u32, TaskId)>,
}

#[cfg(test)]
impl Wants {
    /// Apps of the first shape, with what an instance takes of cpus and how many wait.
    pub(crate) fn of_apps(apps: &[(u64, u32)]) -> Self {
        let owner = Owner::All;
        let line = |&(cpus, count): &(u64, u32)| Line {
            app: App { shape: ShapeId(0), of: None },
            needs: Quantities::new([(Kind::CPUS, cpus)]),
            is_free: true,
            tasks: (0..count).map(|it| (it, TaskId(it.into()))).collect(),
        };
        Self {
            key: Key { role: RoleKey::Namespace(String::new()), owner },
            role: RoleId(0),
            lines: apps.iter().map(line).collect(),
            by_app: BTreeMap::new(),
        }
    }
}

impl Line {
    /// Whether the first of them fits a node and may stand beside what runs there.
    pub(crate) fn is_allowed(&self, node: NodeId, desk: &Desk<'_>) -> bool {
        let state = desk.state();
        match self.is_free {
            true => state.nodes().fits(state.shape(self.app.shape), node),
            false => is_allowed(desk.ask(self.tasks[0].1), node, state),
        }
    }
}

/// What Marathon calls an app; other frameworks tell tasks apart by shape alone, unless there are rules about other
/// tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct App {
    pub(crate) shape: ShapeId,
    pub(crate) of: Option<(Option<GroupId>, DefinitionId)>,
}

impl Mesos {
    pub(crate) fn new(setup: Arc<Setup>, seed: u64) -> Self {
        let books = Books {
            allocator: setup.allocator(),
            members: BTreeMap::new(),
            keys: BTreeMap::new(),
            fresh: Vec::new(),
            reviving: BTreeSet::new(),
            leaving: BTreeSet::new(),
            launched: (0, Vec::new()),
            awaits_batch: false,
            is_out_of_tokens: false,
        };
        Self {
            setup,
            chance: Chance::new(seed, Purpose::Scheduler, 0),
            books,
            versions: Vec::new(),
            fitting: IdMap::default(),
            offerable: IdMap::default(),
            sites: Vec::new(),
            is_quick: true,
            heard: None,
        }
    }

    /// What comes before any run; says how many launches are left.
    fn begin(&mut self, now: Instant, state: &State) -> u32 {
        self.catch_up(state);
        let mut tokens = u32::MAX;
        if let Way::Marathon(it) = &self.setup.way {
            let Books { launched, .. } = &mut self.books;
            it.count_launches(launched, now, state);
            tokens = it.tokens_left(launched.1.len());
        }
        self.books.revive(&self.setup, now, tokens > 0, state);
        if !self.books.awaits_batch {
            self.books.allocator.skip_batches(Instant(now.0.saturating_sub(1)));
        }
        tokens
    }

    /// Brings the books up to date with the nodes that have changed.
    fn catch_up(&mut self, state: &State) {
        let nodes = state.nodes();
        self.versions.resize(nodes.len(), None);
        for node in nodes.ids() {
            let version = Some(nodes.version(node));
            if self.versions[node.row()] != version {
                self.versions[node.row()] = version;
                self.books.look_at(&self.setup, node, state);
            }
        }
        self.books.dismiss();
        if matches!(self.setup.way, Way::Marathon(_)) {
            add_sites(&mut self.sites, nodes);
        }
    }

    /// Takes what waits and fits somewhere out of the queue for this round.
    fn gather(&mut self, desk: &mut Desk<'_>) -> BTreeMap<FrameworkId, Wants> {
        let mut wants = BTreeMap::<FrameworkId, Wants>::new();
        let mut place = 0;
        while let Some(id) = desk.head() {
            let ask = desk.ask(id);
            let shape = ask.task.shape;
            if !self.fits_somewhere(shape, desk.state()) {
                desk.unfit(id);
                continue;
            }
            let key = self.setup.key_of(ask.task, desk.state());
            let definition = desk.state().definition(ask.task.definition);
            let is_free = !definition.constraints.has_hard_company()
                && desk.state().keeping_apart().is_empty();
            let is_alike = matches!(self.setup.way, Way::Queue { .. }) && is_free;
            let of = (!is_alike).then_some((ask.task.group, ask.task.definition));
            let member = &self.books.members[&key];
            let (role, lines, by_app) = (member.role, Vec::new(), BTreeMap::new());
            let wants =
                wants.entry(member.id).or_insert_with(|| Wants { key, role, lines, by_app });
            let app = App { shape, of };
            let row = *wants.by_app.entry(app).or_insert(wants.lines.len());
            if row == wants.lines.len() {
                let needs = needs(desk.state().shape(shape));
                wants.lines.push(Line { app, needs, is_free, tasks: VecDeque::new() });
            }
            wants.lines[row].tasks.push_back((place, id));
            place += 1;
            desk.hold_back(id);
        }
        wants
    }

    fn fits_somewhere(&mut self, shape: ShapeId, state: &State) -> bool {
        let (nodes, asked) = (state.nodes(), state.shape(shape));
        first_node(nodes, self.fitting.get_or_insert_with(shape, || NodeId(0)), |it| {
            nodes.fits(asked, it)
        })
    }

    /// Whether an agent could be offered on which one of these fits: else there is nothing to wait for
    /// until something else happens.
    fn may_get_an_offer(&mut self, wants: &Wants, state: &State) -> bool {
        let Self { setup, books, offerable, sites, .. } = self;
        let (nodes, allocator) = (state.nodes(), &books.allocator);
        let lines = wants.lines.iter().filter(|it| !it.tasks.is_empty());
        lines.into_iter().any(|line| {
            let shape = state.shape(line.app.shape);
            let is_offered =
                |it: NodeId| allocator.is_offered(AgentId(it.0)) && nodes.fits(shape, it);
            if !allocator.has_quota_for(wants.role, &line.needs) {
                return false;
            }
            let first = state.task(line.tasks[0].1).expect("tasks in the queue are known");
            let company = if line.is_free { None } else { Company::of(state, first) };
            match &setup.way {
                Way::Marathon(it) if it.is_choosy(shape) => {
                    let available = |it: NodeId| {
                        allocator.available(AgentId(it.0)).cloned().unwrap_or_default()
                    };
                    let is_offered = |node| {
                        is_offered(node)
                            && company.as_ref().is_none_or(|it| it.allows(node).is_ok())
                    };
                    it.may_launch(line, sites, state, is_offered, available)
                }
                _ => match company {
                    Some(it) => nodes.ids().any(|node| is_offered(node) && it.allows(node).is_ok()),
                    None => {
                        let hint = offerable.get_or_insert_with(line.app.shape, || NodeId(0));
                        first_node(nodes, hint, is_offered)
                    }
                },
            }
        })
    }

    /// The offers of a run, in the order in which frameworks look at them.
    fn run(&mut self, now: Instant) -> Vec<Offer> {
        let Self { chance, books: Books { allocator, .. }, .. } = self;
        let mut ranks = vec![0; self.versions.len()];
        let order = |agents: &mut [AgentId]| {
            chance.shuffle(agents);
            agents.iter().zip(0..).for_each(|(it, rank)| ranks[it.0 as usize] = rank);
        };
        let mut offers = if allocator.next_batch() <= now {
            allocator.skip_batches(Instant(now.0.saturating_sub(allocator.interval().0)));
            let runs = allocator.advance(now, order, &mut ());
            runs.into_iter().flat_map(|it| it.1).collect()
        } else {
            allocator.drop_ended_filters(now);
            allocator.run(order, &mut ())
        };
        offers.sort_by_key(|it: &Offer| (it.framework, ranks[it.agent.0 as usize]));
        if let Some(heard) = &mut self.heard {
            heard.extend(offers.iter().map(|it| (it.agent, it.framework)));
        }
        offers
    }

    /// A run in which nobody has quota, so that every agent is offered whole, and its answers. Once a framework has
    /// nothing more to start, what it is still offered need only be counted.
    fn run_whole(
        &mut self,
        listed: &[FrameworkId],
        wants: &mut BTreeMap<FrameworkId, Wants>,
        desk: &mut Desk<'_>,
    ) {
        let now = desk.now();
        let Self { chance, books: Books { allocator, .. }, .. } = self;
        let order = |agents: &mut [AgentId]| chance.shuffle(agents);
        let only = match listed {
            [only] => Some((*only, wants[only].role)),
            _ => None,
        };
        let offers = if allocator.next_batch() <= now {
            allocator.skip_batches(Instant(now.0.saturating_sub(allocator.interval().0)));
            allocator.begin_batch();
            let offers = allocator.run_whole(only, order);
            allocator.end_batch();
            allocator.drop_ended_filters(now);
            offers
        } else {
            allocator.drop_ended_filters(now);
            allocator.run_whole(only, order)
        };
        if let Some(heard) = &mut self.heard {
            heard.extend(offers.iter().map(|it| (it.agent, it.framework)));
        }
        for offers in offers.chunk_by(|a, b| a.framework == b.framework) {
            let Whole { framework, role, .. } = offers[0];
            let wants = wants.get_mut(&framework).expect("only who waits is listed");
            let mut given_back = offers.len();
            for Whole { agent, .. } in offers {
                if wants.lines.is_empty() {
                    break;
                }
                let resources = self.books.allocator.available(*agent).cloned().unwrap_or_default();
                let mut offer = Offer { framework, role, agent: *agent, resources };
                let (used, refusal) = self.answer(wants, &offer, desk);
                let mut left = offer.resources;
                left.subtract(&used);
                self.books.allocator.refuse(now, (framework, role, *agent), &left, refusal);
                if !used.is_empty() {
                    given_back -= 1;
                    offer.resources = used;
                    self.books.allocator.hand_out(&offer);
                }
            }
            self.books.allocator.count_offers(framework, role, given_back as u64);
        }
    }

    /// Starts what a framework can use of an offer: how much that is, and what becomes of the rest.
    fn answer(
        &mut self,
        wants: &mut Wants,
        offer: &Offer,
        desk: &mut Desk<'_>,
    ) -> (Resources, Refusal) {
        let node = NodeId(offer.agent.0);
        let setup = Arc::clone(&self.setup);
        let (used, refusal) = match &setup.way {
            Way::Queue { refuse } => {
                (use_in_queue_order(wants, offer, desk), Refusal::For(*refuse))
            }
            Way::Marathon(it) => {
                let launched = &mut self.books.launched.1;
                let tokens = it.tokens_left(launched.len());
                let placed = it.launch(wants, offer, tokens, &self.sites, &mut self.chance, desk);
                let mut used = Quantities::NONE;
                for id in &placed {
                    let ask = desk.ask(*id);
                    used.add(&needs(ask.shape));
                    launched.push((*id, ask.task.attempts));
                }
                let refuse = if placed.is_empty() { it.refuse } else { Span::ZERO };
                (used, Refusal::For(refuse))
            }
        };
        if !used.is_empty() {
            self.versions[node.row()] = Some(desk.state().nodes().version(node));
        }
        // Who has nothing more to start forgets what it declined when it calls for offers again.
        let refusal = if wants.lines.is_empty() { Refusal::None } else { refusal };
        (Resources::unreserved(used), refusal)
    }
}

impl Scheduler for Mesos {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now();
        let tokens = self.begin(now, desk.state());
        if desk.head().is_none() {
            self.books.pass(now);
            return;
        }
        let next = self.books.allocator.next_batch();
        if now < next && !self.books.allocator.is_run_due() {
            self.books.awaits_batch = true;
            desk.wake(next);
            return;
        }
        self.books.awaits_batch = false;
        let mut wants = self.gather(desk);
        let mut listed = Vec::new();
        for (id, wants) in &wants {
            let is_suppressed = self.books.members[&wants.key].is_suppressed;
            if tokens > 0 && !is_suppressed && self.may_get_an_offer(wants, desk.state()) {
                self.books.allocator.set_listed(*id, true);
                listed.push(*id);
            }
        }
        match listed[..] {
            [] => self.books.pass(now),
            _ if self.books.allocator.has_no_quota() && self.is_quick => {
                self.run_whole(&listed, &mut wants, desk);
            }
            _ => {
                for offer in self.run(now) {
                    let wants = wants.get_mut(&offer.framework).expect("only who waits is listed");
                    let (used, refusal) = self.answer(wants, &offer, desk);
                    let mut left = offer.resources;
                    left.subtract(&used);
                    let of = (offer.framework, offer.role, offer.agent);
                    self.books.allocator.recover(now, of, &left, refusal);
                }
            }
        }
        for id in listed {
            self.books.allocator.set_listed(id, false);
        }
        self.conclude(wants, desk);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        for change in changes {
            match *change {
                Change::Queued { task } => {
                    let key = self.setup.key(task.group, task.kind, task.definition, state);
                    self.books.member(&key).waiting += 1;
                    self.books.fresh.push(task.task);
                }
                Change::Placed { task, .. } | Change::Ended { task, node: None, .. } => {
                    let key = self.setup.key(task.group, task.kind, task.definition, state);
                    self.books.waits_no_more(&key);
                }
                _ => {}
            }
        }
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn decides_together(&self) -> bool {
        true
    }

    fn memory(&self) -> Vec<u8> {
        let memory = (self.setup.card.name, &self.chance, &self.books);
        postcard::to_stdvec(&memory).expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        let (name, rest) = postcard::take_from_bytes::<String>(memory).map_err(|_| BadMemory)?;
        if name != self.setup.card.name {
            return Err(BadMemory);
        }
        let ((chance, books), rest): ((Chance, Books), _) =
            postcard::take_from_bytes(rest).map_err(|_| BadMemory)?;
        if !rest.is_empty() {
            return Err(BadMemory);
        }
        (self.chance, self.books) = (chance, books);
        self.versions.clear();
        Ok(())
    }
}

impl Mesos {
    /// After a run: what fits nowhere now sleeps; for the rest there is a next run.
    fn conclude(&mut self, wants: BTreeMap<FrameworkId, Wants>, desk: &mut Desk<'_>) {
        for mut wants in wants.into_values() {
            for line in &mut wants.lines {
                if !self.fits_somewhere(line.app.shape, desk.state()) {
                    line.tasks.drain(..).for_each(|(_, id)| desk.unfit(id));
                }
            }
            if !self.may_get_an_offer(&wants, desk.state()) {
                continue;
            }
            let member = &self.books.members[&wants.key];
            let next = self.books.allocator.next_batch();
            let revive = member.revived.map(|it| it + self.setup.revive_every());
            let at = match &self.setup.way {
                Way::Marathon(it) if it.tokens_left(self.books.launched.1.len()) == 0 => {
                    self.books.is_out_of_tokens = true;
                    it.next_tokens(desk.now())
                }
                _ if self.books.reviving.contains(&wants.key) => {
                    let revive = revive.unwrap_or(next).max(desk.now() + Span(1));
                    if member.is_suppressed { revive } else { revive.min(next) }
                }
                _ => next,
            };
            self.books.awaits_batch |= at == next;
            desk.wake(at);
        }
    }
}

impl Books {
    fn member(&mut self, key: &Key) -> &mut Member {
        self.leaving.remove(key);
        let Self { allocator, members, keys, .. } = self;
        if !members.contains_key(key) {
            let id = allocator.framework(&key.to_string());
            let path = key.role.to_string();
            let role = allocator.role(&path);
            let subscribed =
                Subscribed { role: path, is_suppressed: true, ..Subscribed::default() };
            let roles = vec![subscribed];
            let info = Subscription { roles, uses_gpus: true, ..Subscription::default() };
            allocator.join_silently(id, info);
            keys.insert(id, key.clone());
            let member = Member { id, role, waiting: 0, is_suppressed: true, revived: None };
            members.insert(key.clone(), member);
        }
        members.get_mut(key).expect("it was just added")
    }

    fn waits_no_more(&mut self, key: &Key) {
        let Some(member) = self.members.get_mut(key) else { return };
        member.waiting = member.waiting.saturating_sub(1);
        if member.waiting == 0 {
            member.is_suppressed = true;
            self.leaving.insert(key.clone());
        }
    }

    /// Frameworks with new tasks, and those that had to wait with it, call for offers.
    fn revive(&mut self, setup: &Setup, now: Instant, has_tokens: bool, state: &State) {
        for id in std::mem::take(&mut self.fresh) {
            if let Some(task) = state.task(id).filter(|it| it.placement().is_none()) {
                self.reviving.insert(setup.key_of(task, state));
            }
        }
        if has_tokens && std::mem::take(&mut self.is_out_of_tokens) {
            self.reviving
                .extend(self.members.iter().filter(|it| it.1.waiting > 0).map(|it| it.0.clone()));
        }
        let every = setup.revive_every();
        let Self { allocator, members, reviving, .. } = self;
        reviving.retain(|key| {
            let Some(member) = members.get_mut(key).filter(|it| it.waiting > 0) else {
                return false;
            };
            if !has_tokens || member.revived.is_some_and(|it| now < it + every) {
                return true;
            }
            member.revived = Some(now);
            member.is_suppressed = false;
            allocator.forget_filters(member.id);
            allocator.request_all();
            false
        });
    }

    /// Nobody wants an offer now.
    fn pass(&mut self, now: Instant) {
        self.allocator.skip_batches(now);
        self.allocator.forget_triggers();
        self.awaits_batch = false;
    }

    /// Frameworks that neither hold nor want anything leave.
    fn dismiss(&mut self) {
        for key in std::mem::take(&mut self.leaving) {
            let Some(member) = self.members.get(&key) else { continue };
            if member.waiting == 0 && !self.allocator.holds_some(member.id, member.role) {
                self.allocator.forget_framework(member.id);
                self.keys.remove(&member.id);
                self.members.remove(&key);
            }
        }
    }

    fn look_at(&mut self, setup: &Setup, node: NodeId, state: &State) {
        let (nodes, agent) = (state.nodes(), AgentId(node.0));
        let status = nodes.status(node);
        if status == NodeStatus::Lost {
            for (id, _) in self.allocator.holders(agent) {
                self.leaving.insert(self.keys[&id].clone());
            }
            self.allocator.remove_agent(agent);
            return;
        }
        let total = Resources::unreserved(offered(nodes, node));
        match self.allocator.available(agent) {
            None => self.allocator.add_agent(agent, Joined { total, ..Joined::default() }),
            Some(_) => self.allocator.update_agent(agent, total),
        }
        self.allocator.set_agent_active(agent, status == NodeStatus::Ready);

        let mut held = BTreeMap::<(FrameworkId, RoleId), Quantities>::new();
        for task in state.tasks_on(node).iter().filter_map(|it| state.task(*it)) {
            let needs = needs(state.shape(task.shape));
            if !needs.is_empty() {
                let member = self.member(&setup.key_of(task, state));
                held.entry((member.id, member.role)).or_default().add(&needs);
            }
        }
        for (id, role) in self.allocator.holders(agent) {
            let believed = self.allocator.holds(id, role, agent).cloned().unwrap_or_default();
            let held = held.get(&(id, role)).cloned().unwrap_or_default();
            let gone = Resources::unreserved(believed.unreserved.without(&held));
            if !gone.is_empty() {
                // Their time does not matter without a refusal.
                let of = (id, role, agent);
                self.allocator.recover(Instant::ZERO, of, &gone, Refusal::None);
                self.leaving.insert(self.keys[&id].clone());
            }
        }
        for ((framework, role), held) in held {
            let believed = self.allocator.holds(framework, role, agent);
            let more = believed.map_or(held.clone(), |it| held.without(&it.unreserved));
            if !more.is_empty() {
                let resources = Resources::unreserved(more);
                self.allocator.hand_out(&Offer { framework, role, agent, resources });
            }
        }
    }
}

/// Whether any node will do; the hint is asked first, and becomes the one that was found.
fn first_node(nodes: &Nodes, hint: &mut NodeId, will_do: impl Fn(NodeId) -> bool) -> bool {
    if hint.row() < nodes.len() && will_do(*hint) {
        return true;
    }
    let found = nodes.ids().find(|it| will_do(*it));
    *hint = found.unwrap_or(*hint);
    found.is_some()
}

/// Starts everything that fits, in queue order; says how much that takes.
fn use_in_queue_order(wants: &mut Wants, offer: &Offer, desk: &mut Desk<'_>) -> Quantities {
    let node = NodeId(offer.agent.0);
    let mut left = offer.resources.unreserved.clone();
    let mut used = Quantities::NONE;
    // What does not fit now will not fit later: there is only less.
    let mut open: Vec<usize> = (0..wants.lines.len()).collect();
    open.retain(|it| {
        let line = &wants.lines[*it];
        let shape = desk.state().shape(line.app.shape);
        desk.state().nodes().fits(shape, node) && left.contains(&line.needs)
    });
    while let Some(&row) = open.iter().min_by_key(|it| wants.lines[**it].tasks[0].0) {
        let line = &mut wants.lines[row];
        if !line.is_allowed(node, desk) || !left.contains(&line.needs) {
            open.retain(|it| *it != row);
            continue;
        }
        place(line.tasks[0].1, node, desk);
        left.subtract(&line.needs);
        used.add(&line.needs);
        line.tasks.pop_front();
        if line.tasks.is_empty() {
            open.retain(|it| *it != row);
        }
    }
    wants.lines.retain(|it| !it.tasks.is_empty());
    used
}

/// Whether a task fits a node and may stand beside what runs there.
pub(crate) fn is_allowed(ask: Ask<'_>, node: NodeId, state: &State) -> bool {
    state.nodes().fits(ask.shape, node)
        && Company::of(state, ask.task).is_none_or(|it| it.allows(node).is_ok())
}

/// Places a task on the devices that fit best.
pub(crate) fn place(id: TaskId, node: NodeId, desk: &mut Desk<'_>) {
    let ask: Ask<'_> = desk.ask(id);
    let devices = best_fit_devices(ask, node, desk.state().nodes());
    desk.place(id, node, devices);
}

/// Amounts that sums of cannot overflow.
const AMOUNT_MAX: u64 = 1 << 44;

/// What a node offers, tasks or none, in Mesos' units, rounded up: so the books have room for what fits.
fn offered(nodes: &Nodes, node: NodeId) -> Quantities {
    let [cpu, memory, disk] = Resource::SCALARS.map(|it| nodes.allocatable(it)[node.row()]);
    let megabytes = |it: u64| (u128::from(it) * 1000).div_ceil(1 << 20) as u64;
    quantities([cpu, megabytes(memory), megabytes(disk), nodes.gpu_capacity(node)])
}

/// What a task takes, in Mesos' units, rounded down.
pub(crate) fn needs(shape: &Shape) -> Quantities {
    let [cpu, memory, disk, gpu] = shape.totals();
    let megabytes = |it: u64| ((u128::from(it) * 1000) >> 20) as u64;
    quantities([cpu, megabytes(memory), megabytes(disk), gpu])
}

fn quantities(amounts: [u64; 4]) -> Quantities {
    let kinds = [Kind::CPUS, Kind::MEM, Kind::DISK, Kind::GPUS];
    Quantities::new(kinds.into_iter().zip(amounts.map(|it| it.min(AMOUNT_MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_in_time as check;
    use crate::policy::Policy;
    use crate::swarm::stories::{Checked, Story, steps};
    use proptest::proptest;

    fn setup(policy: &str) -> Arc<Setup> {
        let policy: Policy = policy.parse().unwrap();
        assert_eq!(policy.card().name, CARD.name);
        let rules = Vec::new();
        let (frameworks, roles) = (Frameworks::Group, Roles::Kind);
        let way = Way::Queue { refuse: Span::from_secs(5) };
        Arc::new(Setup { card: &CARD, options: Options::default(), frameworks, roles, rules, way })
    }

    /// What the books say of agents and of who holds what, without what depends on the past.
    fn shown(books: &Books) -> Vec<String> {
        let mut shown = Vec::new();
        for (id, agent) in books.allocator.agents.iter() {
            let held: BTreeMap<String, _> = agent
                .held
                .iter()
                .map(|((framework, role), held)| {
                    let (name, role) = (
                        books.allocator.framework_name(*framework),
                        books.allocator.role_path(*role),
                    );
                    (format!("{name} as {role}"), held)
                })
                .collect();
            let (total, available) = (&agent.total, &agent.available);
            let is_active = books.allocator.agents.is_active(id);
            shown.push(format!("{id:?} {total:?} {available:?} {is_active} {held:?}"));
        }
        let sorter = &books.allocator.role_sorter;
        shown.push(format!("{:?} of {:?}", sorter.all_allocated(), sorter.total()));
        shown
    }

    /// After a decision the books are those that would be made of the state.
    struct Watched(Mesos);

    impl Scheduler for Watched {
        fn decide(&mut self, desk: &mut Desk<'_>) {
            self.0.decide(desk);
            let mut anew = Mesos::new(Arc::clone(&self.0.setup), 0);
            anew.catch_up(desk.state());
            assert_eq!(shown(&self.0.books), shown(&anew.books));
            let mut waiting = BTreeMap::<Key, u32>::new();
            for id in desk.pending() {
                let task = desk.ask(id).task;
                *waiting.entry(self.0.setup.key_of(task, desk.state())).or_default() += 1;
            }
            for (key, member) in &self.0.books.members {
                // What was just placed is told after the decision.
                let now = waiting.get(key).copied().unwrap_or(0);
                assert!(member.waiting >= now, "{key}");
                let holds = self.0.books.allocator.holds_some(member.id, member.role);
                let is_leaving = self.0.books.leaving.contains(key);
                assert!(member.waiting > 0 || holds || is_leaving, "{key} stays for nothing");
            }
        }

        fn observe(&mut self, changes: &[Change], state: &State) {
            self.0.observe(changes, state);
        }
    }

    fn compare(scheduler: &Watched, state: &State) {
        let waiting: u32 = scheduler.0.books.members.values().map(|it| it.waiting).sum();
        assert_eq!(u64::from(waiting), state.pending_count());
    }

    proptest! {
        #[test]
        fn the_books_are_those_of_the_state(steps in steps()) {
            let inner = Watched(Mesos::new(setup("mesos-drf"), 1));
            let mut story = Story::new(Box::new(Checked { inner, compare }));
            (0..2).for_each(|_| story.join([4000, 1 << 33, 1 << 33]));
            steps.iter().for_each(|it| story.step(*it));
        }
    }

    proptest! {
        /// The short runs decide as those of the allocator, and leave the same standings.
        #[test]
        fn short_runs_are_those_of_the_allocator(steps in steps(), refuse in 0..8u64) {
            let run = |is_quick| {
                let mut setup = (*setup("mesos-drf")).clone();
                setup.way = Way::Queue { refuse: Span::from_secs(refuse) };
                let mut scheduler = Mesos::new(Arc::new(setup), 1);
                scheduler.is_quick = is_quick;
                let compare = |_: &Watched, _: &State| {};
                let mut story = Story::new(Box::new(Checked { inner: Watched(scheduler), compare }));
                (0..3).for_each(|_| story.join([4000, 1 << 33, 1 << 33]));
                for (at, step) in steps.iter().enumerate() {
                    story.step(*step);
                    if at % 3 == 0 {
                        story.wait();
                    }
                }
                story.fingerprint()
            };
            assert_eq!(run(true), run(false));
        }
    }

    #[test]
    fn a_new_task_calls_for_offers_at_once() {
        check("mesos-drf", "4/8", "1/1:1 @0.3 1/1:2 1/1:2", "n0 0s, n0 0s, n0 0s");
    }

    #[test]
    fn what_ended_is_offered_at_the_next_interval() {
        check("mesos-drf", "4/8", "4/8:1 @0.3 4/8:2 @0.7 x0", "n0 0s, n0 0.7s");
        check("mesos-drf:interval=10s", "4/8", "4/8:1 @0.3 4/8:2 @0.7 x0", "n0 0s, n0 9.7s");
    }

    #[test]
    fn an_agent_goes_whole_to_one_framework() {
        // Both fit on it, but the other is offered what is left a second later.
        check("mesos-drf", "4/8", "1/1:1 1/1:2", "n0 0s, n0 1s");
        check("mesos-drf:frameworks=one", "4/8", "1/1:1 1/1:2", "n0 0s, n0 0s");
    }

    #[test]
    fn who_has_least_is_served_first() {
        // The cluster is full, one of each of two groups waits, and the third group leaves.
        for (policy, held, want) in [
            ("mesos-drf", "4/1:1 @0.1 2/1:2 @0.2 2/1:3", "-, n0 1.5s"),
            ("mesos-drf", "2/1:1 @0.1 4/1:2 @0.2 2/1:3", "n0 1.5s, -"),
            // The first has more memory than the second has cores.
            ("mesos-drf", "2/8:1 @0.1 3/1:2 @0.2 3/1:3", "-, n0 1.5s"),
            ("mesos-drf:weight(*,2)", "4/1:1 @0.1 2/1:2 @0.2 2/1:3", "-, n0 1.5s"),
            ("mesos-drf:roles=kind", "4/1:1s @0.1 2/1:2 @0.2 2/1:3", "-, n0 1.5s"),
            (
                "mesos-drf:weight(service,3),roles=kind",
                "4/1:1s @0.1 2/1:2 @0.2 2/1:3",
                "n0 1.5s, -",
            ),
        ] {
            let service = if held.contains('s') { "s" } else { "" };
            let script = format!("{held} @1.5 2/1:1{service} 2/1:2 @2.3 x2");
            check(policy, "8/16", &script, &format!("n0 0s, n0 0s, n0 0s, {want}"));
        }
    }

    #[test]
    fn limits_are_kept() {
        check("mesos-drf:limit(*,cpu=2)", "4/8", "2/1:1 @1.5 1/1:1 @4.2 x0", "n0 0s, n0 3.5s");
        check("mesos-drf:limit(*,cpu=2)", "4/8", "2/1:1 @1.5 0/1:2 1/1:2", "n0 0s, n0 0s, -");
        check("mesos-drf:limit(job,cpu=2),roles=kind", "4/8", "3/1:1 3/1:2s", "-, n0 0s");
    }

    #[test]
    fn guarantees_are_kept_free() {
        let policy = "mesos-drf:guarantee(service,cpu=3),roles=kind";
        check(policy, "4/8", "1/1:1 1/1:1 @7.5 3/1:2s", "n0 0s, -, n0 0s");
        check(policy, "4/8", "2/1:1 @7.5 3/1:2s", "-, n0 0s");
        check(policy, "4/8", "3/1:2s @1.5 1/1:1", "n0 0s, n0 0s");
    }

    #[test]
    fn rules_are_read_and_written() {
        for (text, want) in [
            ("mesos-drf:none", "mesos-drf"),
            ("mesos-drf:weight(*,1.50)", "mesos-drf:weight(*,1.5)"),
            (
                "mesos-drf:guarantee( job , cpu = 4 , memory=16GiB),roles=kind,limit(service,gpu=0)",
                "mesos-drf:guarantee(job,cpu=4,memory=16),limit(service,gpu=0),roles=kind",
            ),
            ("mesos-drf:interval=500ms,refuse=2m", "mesos-drf:interval=0.5s,refuse=120s"),
        ] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), want);
        }
        for text in [
            "mesos-drf:weight(web,2),roles=kind",
            "mesos-drf:weight(web,2),roles=one",
            "mesos-drf:weight(a//b,2)",
            "mesos-drf:limit(a/b,cpu=2)",
            "mesos-drf:weight(*,0)",
            "mesos-drf:weight(*,1,1)",
            "mesos-drf:weight(*)",
            "mesos-drf:limit(*)",
            "mesos-drf:limit(*,cpu=1,cpu=2)",
            "mesos-drf:limit(*,cpu=-1)",
            "mesos-drf:limit(*,ram=1)",
            "mesos-drf:limits(*,cpu=1)",
            "mesos-drf:interval=0s",
            "mesos-drf:interval=1",
            "mesos-drf:refuse=-1s",
        ] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }
}
