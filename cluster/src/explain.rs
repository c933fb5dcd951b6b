//! Why a task goes where it goes: what a decision says of every node.
//!
//! Explanations are made on demand, by [`Scheduler::explain`], on a path
//! of their own: decisions that nobody asks about pay nothing for them. They are plain values for people
//! (`text`, `reason`) and machines alike; numbers are exact.

use crate::demand::Resource;
use crate::event::Action;
use crate::ids::{NodeId, TaskId};
use crate::journal::InputRef;
use crate::manager::{Core, Manager};
use crate::nodes::{DeviceSet, Nodes};
use crate::refusal::Objections;
use crate::rules::{Rules, Unfit};
use crate::scheduler::{Ask, Desk, Scheduler};
use crate::snapshot::RestoreError;
use crate::state::{Phase, State, Until};
use crate::units::Instant;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is asked about: a pending task, as if its turn were next.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The task.
    pub ask: Ask<'a>,
    /// When.
    pub now: Instant,
    /// The cluster at that moment.
    pub state: &'a State,
    /// The tasks that would be shown before it, in queue order; only a scheduler that
    /// [decides together](Scheduler::decides_together) minds them, for the others they are placed.
    pub ahead: &'a [TaskId],
    /// The tasks that would be shown after it, in queue order, for schedulers that place several at once.
    pub behind: &'a [TaskId],
}

impl Question<'_> {
    /// Lets a scheduler decide on all that waits, on a copy of the cluster: what it would do.
    pub fn rehearse(&self, decide: impl FnOnce(&mut Desk<'_>)) -> Vec<Action> {
        let mut core = Core::of(Rules::default(), self.state.clone());
        core.now = self.now;
        let in_order = self.ahead.iter().chain([&self.ask.id]).chain(self.behind);
        for (id, turn) in in_order.zip(0..) {
            let task = core.state.task_mut(*id).expect("who is asked about is there");
            (task.sequence, task.parked) = (turn, Until::NONE);
            let (place, shape) = core.place_of(*id);
            core.queue.push(place, shape, *id);
        }
        let mut actions = Vec::new();
        let (core, now) = (&mut core, self.now);
        decide(&mut Desk { core, now, actions: &mut actions, makes_room: false });
        actions
    }
}

/// What a scheduler says about one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which.
    pub task: TaskId,
    /// When.
    pub at: Instant,
    /// What it would do with it.
    pub outcome: Outcome,
    /// The equally good nodes from which the tie rule takes one, in row order; empty if no node will do.
    pub tied: Vec<NodeRef>,
    /// What decides between them.
    pub tie: TieRule,
    /// What [keys](Verdict::Scored) compare, the most important first.
    pub order: Vec<Criterion>,
    /// Every node that ever joined, in row order.
    pub nodes: Vec<NodeExplanation>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// A node by row and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeRef {
    /// Its row.
    pub id: NodeId,
    /// Its name.
    pub name: String,
}

impl NodeRef {
    /// Of a row.
    pub fn of(nodes: &Nodes, id: NodeId) -> Self {
        Self { id, name: nodes.name(id).to_owned() }
    }
}

/// What becomes of the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is placed.
    Placed {
        /// Where.
        node: NodeRef,
        /// On which GPU devices of the node, ascending.
        devices: Vec<usize>,
    },
    /// It is placed where others leave for it.
    MakesRoom {
        /// Where.
        node: NodeRef,
        /// On which GPU devices of the node, ascending.
        devices: Vec<usize>,
        /// Who goes back to the queue, in this order.
        victims: Vec<TaskId>,
    },
    /// No node will do; it waits, or what else the rules say.
    FitsNowhere,
    /// It fits somewhere, but the scheduler lets no such node pass.
    HeldBack,
    /// The scheduler does not say.
    Unsaid,
}

impl Outcome {
    /// Placed there.
    pub fn placed(nodes: &Nodes, node: NodeId, devices: DeviceSet) -> Self {
        Self::Placed { node: NodeRef::of(nodes, node), devices: devices.iter().collect() }
    }

    /// Where it is placed.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Placed { node, .. } | Self::MakesRoom { node, .. } => Some(node.id),
            _ => None,
        }
    }
}

/// What decides between equally good nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieRule {
    /// The node that joined first.
    FirstJoined,
    /// The lowest rank given from outside, then the node that joined first.
    LowestRank,
    /// A draw by the run's seed.
    Draw,
    /// Nothing has to: there is an order over all nodes, and the first that will do is taken.
    FirstFound,
}

impl fmt::Display for TieRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstJoined => "the node that joined first",
            Self::LowestRank => "the lowest rank, then the node that joined first",
            Self::Draw => "a draw by the seed",
            Self::FirstFound => "the first that will do",
        })
    }
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// What it is.
    pub name: String,
    /// Which end is good.
    pub wins: Wins,
}

/// Which end of a number is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wins {
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
}

/// What is said of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeExplanation {
    /// Which.
    pub node: NodeRef,
    /// What.
    pub verdict: Verdict,
}

/// What becomes of a node in a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It will not do: by all filters that say so, or by the first, if the system stops there.
    Rejected(Vec<Rejection>),
    /// It would do, and is this good.
    Scored {
        /// What its key is made of.
        terms: Vec<Term>,
        /// In the order of [`Explanation::order`]; equal keys are equally good. Empty where a node is
        /// taken without being compared.
        key: Vec<Number>,
    },
    /// It was not looked at, for this reason.
    NotLookedAt(String),
}

/// A filter's objection to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The filter, in the words of its system.
    pub filter: String,
    /// In words.
    pub reason: String,
    /// What is missing, where it can be counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short: Vec<Shortage>,
}

impl Rejection {
    /// Without amounts.
    pub fn new(filter: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { filter: filter.into(), reason: reason.into(), short: Vec::new() }
    }
}

/// By how much a node is short of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Of what.
    pub resource: String,
    /// In which unit the numbers are: `cpu_milli`, `bytes`, `gpu_milli`, `devices`.
    pub unit: String,
    /// What the task asks for.
    pub wanted: u64,
    /// What the node has free.
    pub free: u64,
    /// The difference.
    pub short: u64,
}

impl Shortage {
    /// Of a resource.
    pub fn of(resource: Resource, wanted: u64, free: u64) -> Self {
        let unit = match resource {
            Resource::Cpu => "cpu_milli",
            Resource::Memory | Resource::Disk => "bytes",
            Resource::Gpu => "gpu_milli",
        };
        let (resource, unit) = (resource.name().to_owned(), unit.to_owned());
        Self { resource, unit, wanted, free, short: wanted.saturating_sub(free) }
    }
}

/// A part of a node's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What it measures.
    pub name: String,
    /// As it was computed.
    pub raw: Number,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Brought to a common range in the light of all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<Number>,
    /// What it is multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Number>,
    /// What it adds to the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted: Option<Number>,
}

impl Term {
    /// A bare number.
    pub fn new(name: impl Into<String>, raw: impl Into<Number>) -> Self {
        let (name, raw) = (name.into(), raw.into());
        Self { name, raw, text: None, normalised: None, weight: None, weighted: None }
    }
}

/// An exact number. In JSON a number if it has at most 53 bits, otherwise its digits as a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Whole(i128),
    /// Not whole.
    Real(f64),
}

macro_rules! whole {
    ($($type:ty)*) => {
        $(impl From<$type> for Number {
            fn from(it: $type) -> Self {
                Self::Whole(it.into())
            }
        })*
    };
}

whole!(i8 i16 i32 i64 i128 u8 u16 u32 u64 bool);

impl From<usize> for Number {
    fn from(it: usize) -> Self {
        Self::Whole(it as i128)
    }
}

impl From<u128> for Number {
    /// What has 128 bits stops at 127; no key of ours does.
    fn from(it: u128) -> Self {
        Self::Whole(i128::try_from(it).unwrap_or(i128::MAX))
    }
}

impl From<f64> for Number {
    fn from(it: f64) -> Self {
        Self::Real(it)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(it) => write!(f, "{it}"),
            Self::Real(it) => write!(f, "{it}"),
        }
    }
}

/// Beyond, JSON readers that keep numbers as doubles lose digits.
const EXACT: i128 = 1 << 53;

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Whole(it) if (-EXACT..=EXACT).contains(&it) => {
                serializer.serialize_i64(it as i64)
            }
            Self::Whole(it) => serializer.collect_str(&it),
            Self::Real(it) => serializer.serialize_f64(it),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a whole number as text")
            }
            fn visit_i64<E: de::Error>(self, it: i64) -> Result<Number, E> {
                Ok(it.into())
            }
            fn visit_u64<E: de::Error>(self, it: u64) -> Result<Number, E> {
                Ok(it.into())
            }
            fn visit_f64<E: de::Error>(self, it: f64) -> Result<Number, E> {
                Ok(it.into())
            }
            fn visit_str<E: de::Error>(self, it: &str) -> Result<Number, E> {
                it.parse().map(Number::Whole).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Explanation {
    /// One that says nothing of any node yet.
    pub fn new(question: &Question<'_>, tie: TieRule) -> Self {
        Self {
            task: question.ask.id,
            at: question.now,
            outcome: Outcome::Unsaid,
            tied: Vec::new(),
            tie,
            order: Vec::new(),
            nodes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What the ledger alone has to say: where the task does not fit, and why.
    pub fn of_ledger(question: &Question<'_>) -> Self {
        let mut this = Self::new(question, TieRule::FirstFound);
        let nodes = question.state.nodes();
        let objections = Objections::new(question.state, question.ask);
        let mut fits_somewhere = false;
        for node in nodes.ids() {
            let rejections = objections.to(node);
            let fits = rejections.is_empty();
            fits_somewhere |= fits;
            this.say(
                nodes,
                node,
                match fits {
                    true => Verdict::NotLookedAt("it fits; the scheduler says no more".to_owned()),
                    false => Verdict::Rejected(rejections),
                },
            );
        }
        if !fits_somewhere {
            this.outcome = Outcome::FitsNowhere;
        }
        this
    }

    /// Adds what is said of the next node.
    pub fn say(&mut self, nodes: &Nodes, node: NodeId, verdict: Verdict) {
        self.nodes.push(NodeExplanation { node: NodeRef::of(nodes, node), verdict });
    }

    /// Sets the tie set, in row order.
    pub fn tie_between(&mut self, nodes: &Nodes, tied: impl IntoIterator<Item = NodeId>) {
        self.tied = tied.into_iter().map(|it| NodeRef::of(nodes, it)).collect();
        self.tied.sort_unstable();
    }

    /// What is said of a node.
    pub fn node(&self, node: NodeId) -> Option<&NodeExplanation> {
        self.nodes.iter().find(|it| it.node.id == node)
    }
}

impl Manager {
    /// What the scheduler would do with a pending task as things stand, if its turn were next, and what it
    /// thinks of every node for it; `None` if the task is not pending. Changes nothing.
    pub fn explain_nodes(&mut self, now: Instant, task: TaskId) -> Option<Explanation> {
        self.core.state.task(task).filter(|it| it.phase == Phase::Pending)?;
        let (place, _) = self.core.place_of(task);
        let core = &self.core;
        let nodes = core.state.nodes();
        let mut behind = core.queue.awake_behind(place);
        behind.retain(|&it| core.queue.known_unfit(core.place_of(it).1, nodes).is_none());
        let asleep = core.queue.head_asleep().filter(|_| core.rules.unfit == Unfit::WaitAtHead);
        if let Some(asleep) = asleep {
            behind.retain(|&it| core.place_of(it).0 < asleep);
        }
        let ahead = core.queue.awake_ahead(place);
        let (ask, state) = (Ask { now, ..self.core.ask(task) }, &self.core.state);
        let question = Question { ask, now, state, ahead: &ahead, behind: &behind };
        let mut explanation = self.scheduler.explain(question);
        let notes = &mut explanation.notes;
        if self.core.rules.unfit == Unfit::WaitAtHead
            && self.core.queue.head_asleep().is_some_and(|it| it < place)
        {
            notes.push(
                "an earlier task, which fits nowhere, waits at the head of the line".to_owned(),
            );
        }
        match ahead.len() {
            0 => {}
            1 => notes.push("1 other task comes before it".to_owned()),
            others => notes.push(format!("{others} other tasks come before it")),
        }
        if let Some(until) = ask.task.parked.get() {
            notes.push(format!("it is kept out of line until {until}"));
        }
        Some(explanation)
    }

    /// What [`Manager::decide`] would do now with a pending task, explained: all that come before it in the
    /// queue are placed first, on a copy of this manager. `scheduler` is one built as this manager's was.
    /// `None` if the task is not pending, or if what comes before it is the end of it.
    ///
    /// A scheduler that places several tasks at once is asked about this one alone, so that among equally
    /// good nodes the real decision may take another.
    ///
    /// # Errors
    ///
    /// If the scheduler is of another policy.
    pub fn explain_decision(
        &self,
        now: Instant,
        task: TaskId,
        scheduler: Box<dyn Scheduler>,
    ) -> Result<Option<Explanation>, RestoreError> {
        let mut copy = Self::restore(&self.snapshot(), scheduler)?;
        copy.decide_before(now, task);
        Ok(copy.explain_nodes(now, task))
    }

    /// Decides on the tasks that come before this one, and on no other; on none if all are decided together.
    fn decide_before(&mut self, now: Instant, task: TaskId) {
        let core = &mut self.core;
        let mut actions = Vec::new();
        core.begin(now);
        core.resume(now);
        core.tidy(now, &mut actions);
        if core.state.task(task).is_none_or(|it| it.phase != Phase::Pending) {
            return;
        }
        if self.scheduler.decides_together() {
            return;
        }
        let (place, _) = core.place_of(task);
        let behind = core.queue.cut(place);
        let makes_room = self.scheduler.makes_room();
        let core = &mut self.core;
        self.scheduler.decide(&mut Desk { core, now, actions: &mut actions, makes_room });
        for (place, shape, task) in behind {
            self.core.queue.push(place, shape, task);
        }
        self.finish(now, InputRef::Decide, &actions);
    }
}

/// An amount of a resource as people write it: `1.5 cpu`, `0.5 GiB`, `2 gpu`. Exact: the largest unit in which it
/// has at most three digits after the point.
pub fn in_words(resource: Resource, amount: u64) -> String {
    match resource {
        Resource::Cpu => format!("{} cpu", thousandths(amount)),
        Resource::Gpu => format!("{} gpu", thousandths(amount)),
        Resource::Memory | Resource::Disk => {
            let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
            for (unit, bits) in units {
                let shifted = u128::from(amount) * 1000;
                if amount >= 1 << (bits - 4) && shifted.trailing_zeros() >= bits {
                    return format!("{} {unit}", thousandths((shifted >> bits) as u64));
                }
            }
            format!("{amount} bytes")
        }
    }
}

fn thousandths(amount: u64) -> String {
    let text = format!("{}.{:03}", amount / 1000, amount % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_exactly_in_the_largest_unit_that_can() {
        for (resource, amount, want) in [
            (Resource::Cpu, 1500, "1.5 cpu"),
            (Resource::Cpu, 20, "0.02 cpu"),
            (Resource::Gpu, 2000, "2 gpu"),
            (Resource::Memory, 0, "0 bytes"),
            (Resource::Memory, 1 << 29, "0.5 GiB"),
            (Resource::Memory, 3 << 30, "3 GiB"),
            (Resource::Memory, 100 << 20, "100 MiB"),
            (Resource::Memory, (1 << 29) + 1, "536870913 bytes"),
            (Resource::Disk, 3 << 39, "1.5 TiB"),
            (Resource::Disk, 1 << 20, "1 MiB"),
            (Resource::Disk, u64::MAX, "18446744073709551615 bytes"),
        ] {
            assert_eq!(in_words(resource, amount), want);
        }
    }
}
