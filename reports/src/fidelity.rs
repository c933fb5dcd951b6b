//! How near a model comes to what really happened: two runs of one input side by side, metric by metric,
//! placement by placement, and the first place where they part.

use crate::column::Unit;
use crate::durations::Durations;
use crate::run_report::RunReport;
use cluster::event::{Change, Ending};
use cluster::ids::{NodeId, TaskId};
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::{Instant, Span};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to the tasks and nodes of one run, in order. Memory grows with the length of the run.
#[derive(Debug, Default)]
pub struct Story {
    steps: Vec<(Instant, Step)>,
    /// Name and zone, by node id.
    nodes: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Queued { task: TaskId },
    Placed { task: TaskId, attempt: u32, node: NodeId },
    Adopted { task: TaskId, node: NodeId },
    Started { task: TaskId },
    Ended { task: TaskId, how: Ending },
    Node { node: NodeId, is: NodeIs },
}

/// Whether a node takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeIs {
    Ready,
    Draining,
    OutOfReach,
    Lost,
}

impl NodeIs {
    fn words(self) -> &'static str {
        match self {
            Self::Ready => "was ready",
            Self::Draining => "was draining",
            Self::OutOfReach => "was out of reach",
            Self::Lost => "was lost",
        }
    }
}

impl Observer for Story {
    fn advance(&mut self, _: Instant, _: &State) {}

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        let nodes = state.nodes();
        for node in nodes.ids().skip(self.nodes.len()) {
            let zone = nodes.zones()[node.row()];
            let zone = nodes.zone_names().text(zone.0.into()).to_owned();
            self.nodes.push((nodes.name(node).to_owned(), zone));
        }
        for change in changes {
            let step = match *change {
                Change::Queued { task } => Step::Queued { task: task.task },
                Change::Placed { task, node } => {
                    Step::Placed { task: task.task, attempt: task.attempts, node }
                }
                Change::Adopted { task, node } => Step::Adopted { task: task.task, node },
                Change::Started { task, .. } => Step::Started { task: task.task },
                Change::Ended { task, how, .. } => Step::Ended { task: task.task, how },
                Change::NodeReady { node } => Step::Node { node, is: NodeIs::Ready },
                Change::NodeDraining { node } => Step::Node { node, is: NodeIs::Draining },
                Change::NodeUnreachable { node } => Step::Node { node, is: NodeIs::OutOfReach },
                Change::NodeLost { node } => Step::Node { node, is: NodeIs::Lost },
                // An interrupted task is queued again or ends.
                Change::Interrupted { .. }
                | Change::NodeUpdated { .. }
                | Change::Health { .. }
                | Change::ServicePut { .. }
                | Change::ServiceDeleted { .. }
                | Change::ServiceThrottled { .. } => continue,
            };
            self.steps.push((now, step));
        }
    }
}

/// A start of a task on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placement {
    /// Row in [`Story::steps`].
    step: usize,
    at: Instant,
    task: TaskId,
    attempt: u32,
    node: NodeId,
}

impl Placement {
    fn is_like(&self, other: &Self) -> bool {
        (self.task, self.attempt, self.node) == (other.task, other.attempt, other.node)
    }
}

/// What a task does at one moment of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Waits,
    Starts(NodeId),
    Runs(NodeId),
    Over(Instant),
}

impl Doing {
    fn node(self) -> Option<NodeId> {
        match self {
            Self::Starts(node) | Self::Runs(node) => Some(node),
            Self::Waits | Self::Over(_) => None,
        }
    }
}

impl Story {
    fn placements(&self) -> Vec<Placement> {
        let placed = |(step, (at, it)): (usize, &(Instant, Step))| match *it {
            Step::Placed { task, attempt, node } => {
                Some(Placement { step, at: *at, task, attempt, node })
            }
            _ => None,
        };
        self.steps.iter().enumerate().filter_map(placed).collect()
    }

    /// Tasks and nodes as they were before a step.
    fn before(&self, step: usize) -> (BTreeMap<TaskId, Doing>, BTreeMap<NodeId, NodeIs>) {
        let (mut tasks, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for &(at, it) in &self.steps[..step] {
            match it {
                Step::Queued { task } => {
                    tasks.insert(task, Doing::Waits);
                }
                Step::Placed { task, node, .. } => {
                    tasks.insert(task, Doing::Starts(node));
                }
                Step::Adopted { task, node } => {
                    tasks.insert(task, Doing::Runs(node));
                }
                Step::Started { task } => {
                    if let Some(node) = tasks.get(&task).and_then(|it| it.node()) {
                        tasks.insert(task, Doing::Runs(node));
                    }
                }
                Step::Ended { task, .. } => {
                    tasks.insert(task, Doing::Over(at));
                }
                Step::Node { node, is } => {
                    nodes.insert(node, is);
                }
            }
        }
        (tasks, nodes)
    }

    /// When a task ended.
    fn end_of(&self, task: TaskId) -> Option<Instant> {
        self.steps.iter().find_map(|(at, it)| match it {
            Step::Ended { task: other, .. } if *other == task => Some(*at),
            _ => None,
        })
    }

    /// How long the last start of a task took.
    fn startup_of(&self, task: TaskId) -> Option<Span> {
        let (mut placed, mut took) = (None, None);
        for (at, it) in &self.steps {
            match it {
                Step::Placed { task: other, .. } if *other == task => placed = Some(*at),
                Step::Started { task: other } if *other == task => {
                    took = placed.map(|placed| at.since(placed));
                }
                _ => {}
            }
        }
        took
    }

    /// From each start action to its report.
    fn startups(&self) -> Durations {
        let (mut placed, mut all) = (BTreeMap::new(), Durations::default());
        for (at, it) in &self.steps {
            match it {
                Step::Placed { task, .. } => {
                    placed.insert(*task, *at);
                }
                Step::Started { task } => {
                    if let Some(since) = placed.remove(task) {
                        all.record(at.since(since));
                    }
                }
                _ => {}
            }
        }
        all
    }

    fn name(&self, node: NodeId) -> &str {
        self.nodes.get(node.row()).map_or("?", |it| it.0.as_str())
    }
}

/// One run of the two.
#[derive(Debug)]
pub struct Side {
    /// Its numbers.
    pub report: RunReport,
    /// What happened in it.
    pub story: Story,
}

/// Two runs of one input side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fidelity {
    /// All numbers of a report, then start-up times, placements by node and zone, and ends by kind.
    pub metrics: Vec<Pair>,
    /// Where tasks went first.
    pub nodes: SameNode,
    /// Placements up to the first that differs, or all of them.
    pub placements_alike: u64,
    /// Where the two part; `None` if every placement is the same, in the same order.
    pub divergence: Option<Divergence>,
}

/// One number of both runs. A number that a run does not have is `None`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// As in summaries: `wait_us_mean`. Besides those: `startup_us_mean`, `placements`,
    /// `placements_on:NODE`, `placements_in:ZONE`, `ended:HOW`.
    pub name: String,
    /// A few words.
    pub title: String,
    /// In what it counts.
    pub unit: Unit,
    /// Whether it belongs to the few that people look at.
    pub headline: bool,
    /// What happened.
    pub live: Option<f64>,
    /// What the model said.
    pub model: Option<f64>,
    /// Model less live.
    pub difference: Option<f64>,
    /// The difference as a share of live; zero for equals, `None` where live is zero and the model is not.
    pub relative: Option<f64>,
}

impl Pair {
    fn new(name: &str, title: &str, unit: Unit, live: Option<f64>, model: Option<f64>) -> Self {
        let difference = live.zip(model).map(|(live, model)| model - live);
        let relative = match (difference, live) {
            (Some(0.0), _) => Some(0.0),
            (Some(difference), Some(live)) if live != 0.0 => Some(difference / live),
            _ => None,
        };
        let (name, title) = (name.to_owned(), title.to_owned());
        Self { name, title, unit, headline: false, live, model, difference, relative }
    }

    /// Whether both runs have the same number, or neither has one.
    pub fn is_equal(&self) -> bool {
        self.live == self.model
    }
}

/// Tasks by the node of their first placement. Replicas are known by their number in the order of making.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SameNode {
    /// Placed in both runs.
    pub both: u64,
    /// Of those, on the same node.
    pub same: u64,
    /// `same` as a share of `both`.
    pub share: Option<f64>,
    /// Placed live only.
    pub only_live: u64,
    /// Placed in the model only.
    pub only_model: u64,
}

/// The first placement that differs, in order or in its node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    /// Number of the placement, from 1.
    pub placement: u64,
    /// What came then live; `None` if nothing more was placed.
    pub live: Option<Placed>,
    /// What came then in the model.
    pub model: Option<Placed>,
    /// In one sentence.
    pub what: String,
    /// How the two clusters differed right before it, what matters most first. Empty if they did not: then
    /// what the policy remembers, or the order of events at one moment, must.
    pub causes: Vec<String>,
}

/// A placement, for people and machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// Which task.
    pub task: String,
    /// Which of its attempts.
    pub attempt: u32,
    /// Where.
    pub node: String,
    /// When, since the start of the run.
    pub at_us: u64,
}

/// Seconds, as exact as people can use.
fn secs(us: u64) -> String {
    let secs = us as f64 / 1e6;
    match us {
        0 => "0 s".to_owned(),
        it if it < 100_000 => format!("{:.1} ms", secs * 1e3),
        it if it < 10_000_000 => format!("{secs:.2} s"),
        _ => format!("{secs:.1} s"),
    }
}

fn ending(how: Ending) -> String {
    match how {
        Ending::Exited { code: 0 } => "exited with 0".to_owned(),
        Ending::Exited { .. } => "exited with another code".to_owned(),
        Ending::Cancelled => "cancelled".to_owned(),
        Ending::Dropped(_) => "dropped".to_owned(),
        Ending::Lost => "lost with its node".to_owned(),
        Ending::Evicted => "evicted".to_owned(),
        Ending::FailedToStart(_) => "failed to start".to_owned(),
        Ending::Stopped(reason) => format!("stopped: {reason}"),
    }
}

impl Fidelity {
    /// Compares what happened with what the model said.
    pub fn new(live: &Side, model: &Side) -> Self {
        let (in_live, in_model) = (live.story.placements(), model.story.placements());
        let alike = in_live.iter().zip(&in_model).take_while(|it| it.0.is_like(it.1)).count();
        Self {
            metrics: metrics(live, model, &in_live, &in_model),
            nodes: same_node(&in_live, &in_model),
            placements_alike: alike as u64,
            divergence: divergence(&live.story, &model.story, &in_live, &in_model, alike),
        }
    }

    /// Whether the model said what happened, to the last digit.
    pub fn is_exact(&self) -> bool {
        self.divergence.is_none() && self.metrics.iter().all(Pair::is_equal)
    }
}

fn metrics(live: &Side, model: &Side, in_live: &[Placement], in_model: &[Placement]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = live
        .report
        .columns
        .iter()
        .map(|it| {
            let (left, right) = (live.report.value(&it.name), model.report.value(&it.name));
            Pair { headline: it.headline, ..Pair::new(&it.name, &it.title, it.unit, left, right) }
        })
        .collect();
    let (mut left, mut right) = (live.story.startups(), model.story.startups());
    let mut more = |name: &str, title: &str, unit, left, right| {
        pairs.push(Pair { headline: true, ..Pair::new(name, title, unit, left, right) });
    };
    let us = Unit::Us;
    more("startup_us_mean", "mean start-up", us, left.mean(), right.mean());
    more("startup_us_p50", "median start-up", us, left.quantile(0.5), right.quantile(0.5));
    more("startup_us_p99", "p99 start-up", us, left.quantile(0.99), right.quantile(0.99));
    let mut count = |name: &str, title: &str, left: u64, right: u64| {
        more(name, title, Unit::Times, Some(left as f64), Some(right as f64));
    };
    count("placements", "placements", in_live.len() as u64, in_model.len() as u64);
    let on = |placements: &[Placement], is_there: &dyn Fn(NodeId) -> bool| {
        placements.iter().filter(|it| is_there(it.node)).count() as u64
    };
    let nodes = &live.story.nodes;
    for (row, (name, _)) in nodes.iter().enumerate() {
        let is_there = |node: NodeId| node.row() == row;
        let (left, right) = (on(in_live, &is_there), on(in_model, &is_there));
        count(&format!("placements_on:{name}"), &format!("… on {name}"), left, right);
    }
    let mut seen = BTreeSet::new();
    for (_, zone) in nodes.iter().filter(|it| seen.insert(it.1.clone())) {
        let is_there = |node: NodeId| nodes.get(node.row()).is_some_and(|it| it.1 == *zone);
        let (left, right) = (on(in_live, &is_there), on(in_model, &is_there));
        let zone = if zone.is_empty() { "no zone" } else { zone };
        count(&format!("placements_in:{zone}"), &format!("… in {zone}"), left, right);
    }
    let endings = |story: &Story| {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (_, step) in &story.steps {
            if let Step::Ended { how, .. } = step {
                *all.entry(ending(*how)).or_default() += 1;
            }
        }
        all
    };
    let (left, right) = (endings(&live.story), endings(&model.story));
    let kinds: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for kind in kinds {
        let of = |side: &BTreeMap<String, u64>| side.get(kind).copied().unwrap_or(0);
        count(&format!("ended:{kind}"), &format!("tasks {kind}"), of(&left), of(&right));
    }
    pairs
}

fn same_node(in_live: &[Placement], in_model: &[Placement]) -> SameNode {
    let first = |placements: &[Placement]| {
        let mut nodes: BTreeMap<TaskId, NodeId> = BTreeMap::new();
        for it in placements {
            nodes.entry(it.task).or_insert(it.node);
        }
        nodes
    };
    let (live, model) = (first(in_live), first(in_model));
    let both = live.keys().filter(|it| model.contains_key(it)).count() as u64;
    let same = live.iter().filter(|it| model.get(it.0) == Some(it.1)).count() as u64;
    SameNode {
        both,
        same,
        share: (both > 0).then(|| same as f64 / both as f64),
        only_live: live.len() as u64 - both,
        only_model: model.len() as u64 - both,
    }
}

fn divergence(
    live: &Story,
    model: &Story,
    in_live: &[Placement],
    in_model: &[Placement],
    alike: usize,
) -> Option<Divergence> {
    let (left, right) = (in_live.get(alike), in_model.get(alike));
    if left.is_none() && right.is_none() {
        return None;
    }
    let shown = |story: &Story, it: &Placement| Placed {
        task: it.task.to_string(),
        attempt: it.attempt,
        node: story.name(it.node).to_owned(),
        at_us: it.at.0,
    };
    let told = |story: &Story, it: &Placement| {
        let again =
            if it.attempt > 1 { format!(" (attempt {})", it.attempt) } else { String::new() };
        format!("{}{again} on {} at {}", it.task, story.name(it.node), secs(it.at.0))
    };
    let what = match (left, right) {
        (Some(left), Some(right)) if (left.task, left.attempt) == (right.task, right.attempt) => {
            format!(
                "{} went to {} live (at {}) and to {} in the model (at {})",
                left.task,
                live.name(left.node),
                secs(left.at.0),
                model.name(right.node),
                secs(right.at.0)
            )
        }
        (Some(left), Some(right)) => format!(
            "the next to be placed was {} live, and {} in the model",
            told(live, left),
            told(model, right)
        ),
        (Some(left), None) => {
            format!("live placed {}, the model placed nothing more", told(live, left))
        }
        (None, Some(right)) => {
            format!("the model placed {}, live placed nothing more", told(model, right))
        }
        (None, None) => return None,
    };
    let nodes: BTreeSet<NodeId> = [left, right].into_iter().flatten().map(|it| it.node).collect();
    let steps = |story: &Story, it: Option<&Placement>| it.map_or(story.steps.len(), |it| it.step);
    Some(Divergence {
        placement: alike as u64 + 1,
        live: left.map(|it| shown(live, it)),
        model: right.map(|it| shown(model, it)),
        what,
        causes: causes(live, model, steps(live, left), steps(model, right), &nodes),
    })
}

/// How many causes are told.
const CAUSES_MAX: usize = 5;

/// Differences of higher rank are told only where there are none of lower.
const CAUSE_RANK_MAX: u8 = 2;

/// How two clusters differ before a step of each: nodes first, then tasks that are over in one of them,
/// those on the nodes in question and the latest first, then tasks that are placed or there in one only,
/// then those that start in one and run in the other.
fn causes(
    live: &Story,
    model: &Story,
    left: usize,
    right: usize,
    nodes: &BTreeSet<NodeId>,
) -> Vec<String> {
    let ((tasks, places), (their_tasks, their_places)) = (live.before(left), model.before(right));
    let mut found: Vec<((u8, u64), String)> = Vec::new();
    for (&node, &is) in &places {
        let their = their_places.get(&node).copied().unwrap_or(is);
        if is != their {
            let (is, their) = (is.words(), their.words());
            let text = format!("{} {is} live and {their} in the model", live.name(node));
            found.push(((0, 0), text));
        }
    }
    let all: BTreeSet<TaskId> = tasks.keys().chain(their_tasks.keys()).copied().collect();
    for task in all {
        let (here, there) = (tasks.get(&task).copied(), their_tasks.get(&task).copied());
        let is_near =
            |it: Option<Doing>| it.and_then(Doing::node).is_some_and(|node| nodes.contains(&node));
        let rank = u8::from(!is_near(here) && !is_near(there));
        let late = |at: Instant| u64::MAX - at.0;
        match (here, there) {
            (Some(Doing::Over(_)), Some(Doing::Over(_))) => {}
            (Some(Doing::Over(at)), other) => {
                found.push((
                    (1 + rank, late(at)),
                    over((live, "live", at), (model, "in the model", other), task),
                ));
            }
            (other, Some(Doing::Over(at))) => {
                found.push((
                    (1 + rank, late(at)),
                    over((model, "in the model", at), (live, "live", other), task),
                ));
            }
            (Some(Doing::Starts(a)), Some(Doing::Runs(b)))
            | (Some(Doing::Runs(a)), Some(Doing::Starts(b)))
                if a == b =>
            {
                let is_live = matches!(here, Some(Doing::Runs(_)));
                let (runs, starts) =
                    if is_live { ("live", "in the model") } else { ("in the model", "live") };
                let text = format!("{task} ran {runs} and was still starting {starts}");
                found.push(((5 + rank, 0), text));
            }
            (a, b) if a == b => {}
            (a, b) => {
                let says = |story: &Story, it: Option<Doing>| match it {
                    None => "was not there yet".to_owned(),
                    Some(Doing::Waits) => "waited".to_owned(),
                    Some(Doing::Over(_)) => "was over".to_owned(),
                    Some(Doing::Starts(node) | Doing::Runs(node)) => {
                        format!("was on {}", story.name(node))
                    }
                };
                let text =
                    format!("{task} {} live and {} in the model", says(live, a), says(model, b));
                found.push(((3 + rank, 0), text));
            }
        }
    }
    found.sort();
    // What is merely placed or there in one of them follows from what is over.
    if found.first().is_some_and(|it| it.0.0 <= CAUSE_RANK_MAX) {
        found.retain(|it| it.0.0 <= CAUSE_RANK_MAX);
    }
    found.truncate(CAUSES_MAX);
    found.into_iter().map(|it| it.1).collect()
}

/// A task that is over in one run and not in the other, with the reason as far as start-ups tell it.
fn over(
    (first, in_first, at): (&Story, &str, Instant),
    (second, in_second, doing): (&Story, &str, Option<Doing>),
    task: TaskId,
) -> String {
    let then = match doing {
        None => "was not there yet".to_owned(),
        Some(Doing::Waits) => "waited".to_owned(),
        Some(Doing::Starts(node)) => format!("was still starting on {}", second.name(node)),
        Some(Doing::Runs(node)) => format!("was still on {}", second.name(node)),
        Some(Doing::Over(_)) => "was over".to_owned(),
    };
    let sooner = match second.end_of(task) {
        Some(end) if end > at => {
            format!(", {} sooner than {in_second}", secs(end.since(at).0))
        }
        Some(end) if end < at => format!(", {} later than {in_second}", secs(at.since(end).0)),
        _ => String::new(),
    };
    let why = match (first.startup_of(task), second.startup_of(task)) {
        (Some(here), Some(there)) if here != there => {
            format!(": its start took {} instead of {}", secs(here.0), secs(there.0))
        }
        _ => String::new(),
    };
    format!("{task} had ended {in_first} (at {}{sooner}) and {then} {in_second}{why}", secs(at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as `(ms, step)`, on nodes n1 and n2.
    fn story(steps: &[(u64, Step)]) -> Story {
        let nodes = ["n1", "n2"].map(|it| (it.to_owned(), "zone-a".to_owned())).to_vec();
        let steps = steps.iter().map(|it| (Instant(it.0 * 1000), it.1)).collect();
        Story { steps, nodes }
    }

    fn queued(task: u64) -> Step {
        Step::Queued { task: TaskId(task) }
    }

    fn placed(task: u64, node: u32) -> Step {
        Step::Placed { task: TaskId(task), attempt: 1, node: NodeId(node) }
    }

    fn started(task: u64) -> Step {
        Step::Started { task: TaskId(task) }
    }

    fn ended(task: u64) -> Step {
        Step::Ended { task: TaskId(task), how: Ending::Exited { code: 0 } }
    }

    fn first(live: &Story, model: &Story) -> Option<Divergence> {
        let (left, right) = (live.placements(), model.placements());
        let alike = left.iter().zip(&right).take_while(|it| it.0.is_like(it.1)).count();
        divergence(live, model, &left, &right, alike)
    }

    #[test]
    fn the_same_placements_at_other_times_are_no_divergence() {
        let live =
            story(&[(0, queued(1)), (0, placed(1, 0)), (900, started(1)), (5_000, ended(1))]);
        let model = story(&[(0, queued(1)), (20, placed(1, 0)), (40, started(1)), (90, ended(1))]);
        assert_eq!(first(&live, &model), None);
    }

    #[test]
    fn another_node_is_told_with_the_task_that_ended_sooner() {
        let live = story(&[
            (0, queued(9)),
            (0, placed(9, 1)),
            (2_500, started(9)),
            (10_000, queued(17)),
            (10_000, placed(17, 0)),
            (11_400, ended(9)),
        ]);
        let model = story(&[
            (0, queued(9)),
            (0, placed(9, 1)),
            (600, started(9)),
            (9_500, ended(9)),
            (10_000, queued(17)),
            (10_000, placed(17, 1)),
        ]);
        let found = first(&live, &model).unwrap();
        assert_eq!(found.placement, 2);
        assert_eq!(
            found.what,
            "t17 went to n1 live (at 10.0 s) and to n2 in the model (at 10.0 s)"
        );
        assert_eq!(
            found.causes,
            [
                "t9 had ended in the model (at 9.50 s, 1.90 s sooner than live) and was still on n2 live: its \
              start took 0.60 s instead of 2.50 s"
            ]
        );
    }

    #[test]
    fn another_order_and_an_end_are_told() {
        let live = story(&[(0, queued(1)), (0, queued(2)), (1, placed(1, 0)), (1, placed(2, 0))]);
        let model = story(&[(0, queued(1)), (0, queued(2)), (1, placed(2, 0))]);
        let found = first(&live, &model).unwrap();
        assert_eq!(
            found.what,
            "the next to be placed was t1 on n1 at 1.0 ms live, and t2 on n1 at 1.0 ms in the model"
        );
        assert!(found.causes.is_empty(), "{:?}", found.causes);
        let short = story(&[(0, queued(1)), (0, queued(2)), (1, placed(1, 0))]);
        let found = first(&live, &short).unwrap();
        assert_eq!(found.what, "live placed t2 on n1 at 1.0 ms, the model placed nothing more");
    }

    #[test]
    fn numbers_are_compared_and_missing_ones_are_not_zero() {
        let pair = |live, model| Pair::new("x", "x", Unit::Us, live, model);
        assert_eq!(pair(Some(4.0), Some(3.0)).relative, Some(-0.25));
        assert_eq!(pair(Some(0.0), Some(0.0)).relative, Some(0.0));
        assert_eq!(pair(Some(0.0), Some(3.0)).relative, None);
        assert_eq!(pair(None, Some(3.0)).difference, None);
        assert!(pair(None, None).is_equal() && !pair(None, Some(0.0)).is_equal());
    }
}
