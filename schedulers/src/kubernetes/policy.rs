//! Kubernetes as a policy: nodes and tasks put in the words of its scheduler, and its choice carried out.
//!
//! A mirror (`mirror.rs`) keeps a [`Cluster`](super::cluster::Cluster) beside the [`State`]: our
//! node is its node at the same row, our task a pod. `translate.rs` says which word stands for which.
//!
//! A node may be taken if [`Nodes::fits`](cluster::nodes::Nodes::fits) says so, which knows shares and
//! models of GPUs and host ports that others hold, if [`Company`] does, which knows limits, and if the
//! profile's filters let it pass. Filters and scores that could say nothing, because nobody uses what
//! they are about, are left out.

mod columns;
mod explain;
mod mirror;
mod options;
mod preempt;
mod sheets;
mod translate;
mod uses;

use self::mirror::Mirror;
use self::preempt::Waiting;
use self::sheets::{Found, Sheets, Wanted};
use super::cycle::{Start, decide_among};
use super::profile::Profile;
use crate::card::{Card, Parameter};
use crate::policy::{Arguments, Plan, PolicyError};
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::event::Change;
use cluster::explain::{Explanation, Question};
use cluster::ids::{NodeId, TaskId};
use cluster::nodes::DeviceSet;
use cluster::scheduler::{Ask, BadMemory, Desk, Scheduler};
use cluster::state::State;

const DIFFERS: &str = "in preempting at once: who is evicted waits again as if it had just come, and the task that it made room for \
    is placed in the same decision, so that no node has to be promised; in walking the nodes one after the other and not with 16 workers; in counting lost \
    nodes, as the real one counts those that are not ready, until they are deleted; in GPU shares and \
    models, which only our ledger knows, and limits, which only our rules know; in labels of any form; in a \
    pattern as a test; in the queue, \
    which is the manager's: `--queue priority` has the order of the real one, and `--unfit \
    retry:first=1s,max=10s,factor=2,tries=0` its back-off, without its whole seconds; else what fits nowhere \
    waits until a node could take it";

/// The page of the default profile.
pub const CARD: Card = Card {
    name: "kubernetes",
    summary: "the best sum of the default profile's scores: most left, resources in balance, tasks of a \
              service apart over zones and nodes; equals drawn",
    source: "Kubernetes v1.35.4, kube-scheduler, default profile",
    differs: DIFFERS,
    cost: "a look at one node after the other until enough of them fit (all up to 100 nodes, then half \
           down to 5 %), by what is remembered of those that have not changed; for a task with rules \
           about others, or where others have such, filters and scores of each, and a pass over all \
           tasks; for one that may preempt, a look at all nodes",
    parameters: &[
        options::STRATEGY,
        options::SHAPE,
        options::WEIGHTS,
        options::RELEASE,
        options::SAMPLING,
        options::MAX_PODS,
        options::PREEMPTION,
    ],
    example: "kubernetes:most-allocated",
};

/// The page of GKE's profiles.
pub const GKE_CARD: Card = Card {
    name: "gke",
    summary: "an approximation of Google Kubernetes Engine: `kubernetes`, or with optimize-utilization \
              the most allocated nodes by CPU, memory and GPUs",
    source: "Google Kubernetes Engine, autoscaling profiles, which say what they aim at but not how",
    differs: "in being a guess: what optimize-utilization configures is not published, nor is there an \
              autoscaler here; else as `kubernetes`",
    cost: "that of `kubernetes`",
    parameters: &[
        Parameter {
            name: "profile",
            values: "balanced|optimize-utilization",
            default: "balanced",
            summary: "the autoscaling profile",
        },
        options::MAX_PODS,
        options::PREEMPTION,
    ],
    example: "gke:optimize-utilization",
};

/// Reads the arguments of `kubernetes`.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let profile = options::profile(arguments)?;
    let percent = arguments.number(options::SAMPLING.name, 0..=100)? as i64;
    plan_profile(arguments, &CARD, Profile { percentage_of_nodes_to_score: percent, ..profile })
}

/// Reads the arguments of `gke`.
///
/// # Errors
///
/// If a value is none of those on the [card](GKE_CARD).
pub fn plan_gke(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let words = [("balanced", false), ("optimize-utilization", true)];
    let profile = match arguments.word("profile", &words)? {
        false => Profile::default(),
        true => Profile::gke_optimize_utilization(),
    };
    plan_profile(arguments, &GKE_CARD, profile)
}

fn plan_profile(
    arguments: &mut Arguments<'_>,
    card: &'static Card,
    profile: Profile,
) -> Result<Plan, PolicyError> {
    let pods_max = options::max_pods(arguments)?;
    let preempts = options::preemption(arguments)?;
    Ok(Plan::new(move |seed| {
        Box::new(Kubernetes::new(card, profile.clone(), preempts, pods_max, seed))
    }))
}

/// The scheduler. Its memory is where the next walk begins, the random stream, and who waits for room; the mirror
/// follows from the state.
#[derive(Debug)]
pub struct Kubernetes {
    card: &'static Card,
    /// As it was asked for.
    whole: Profile,
    /// What of it has a say.
    profile: Profile,
    /// Whether tasks of higher priority make room for themselves.
    preempts: bool,
    next_start: usize,
    chance: Chance,
    mirror: Mirror,
    sheets: Sheets,
    waiting: Waiting,
    /// The lowest priority of what was placed after the last decision.
    lowest_placed: Option<i32>,
    /// Tasks that were held back in this decision.
    held_back: Vec<TaskId>,
    /// Somebody has left a node since they were.
    has_evicted: bool,
}

impl Kubernetes {
    fn new(card: &'static Card, whole: Profile, preempts: bool, pods_max: i64, seed: u64) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        let mirror = Mirror::new(pods_max);
        let profile = mirror.uses().with_a_say(&whole);
        let waiting = Waiting::default();
        Self {
            card,
            whole,
            profile,
            preempts,
            next_start: 0,
            chance,
            mirror,
            sheets: Sheets::default(),
            waiting,
            lowest_placed: None,
            held_back: Vec::new(),
            has_evicted: false,
        }
    }

    fn catch_up(&mut self, state: &State) {
        let before = self.mirror.uses();
        self.mirror.catch_up(state);
        if self.mirror.uses() != before {
            self.profile = self.mirror.uses().with_a_say(&self.whole);
            self.sheets = Sheets::default();
        }
    }

    /// The node that the profile chooses, if it lets any pass; if not, whether the ledger would take it
    /// somewhere.
    fn choose(&mut self, ask: Ask<'_>, state: &State) -> Result<NodeId, Option<bool>> {
        let found = self.by_sheets(ask, state);
        let found = found.unwrap_or_else(|| self.by_the_book(ask, state));
        self.next_start = found.next_start;
        let row = match found.best[..] {
            [] => return Err(found.fits_somewhere),
            [only] => only,
            ref several => several[self.chance.below(several.len() as u64) as usize],
        };
        Ok(NodeId(row as u32))
    }

    /// The choice by what is remembered; `None` if that does not settle it.
    fn by_sheets(&mut self, ask: Ask<'_>, state: &State) -> Option<Found> {
        let rules = &state.definition(ask.task.definition).constraints;
        let is_alone = rules.spread.is_empty()
            && !rules.has_hard_company()
            && state.keeping_apart().is_empty()
            && !self.mirror.has_nameless_zone();
        if !is_alone || !sheets::cover(&self.profile) {
            return None;
        }
        let (pod, crowd) = self.mirror.pod_and_crowd(ask.id, ask.task, state);
        let Ask { shape, .. } = ask;
        let wanted = Wanted { pod: &pod, shape, shape_id: ask.task.shape, crowd };
        let (mirror, nodes) = (&self.mirror, state.nodes());
        self.sheets.decide(&self.profile, mirror, nodes, wanted, self.next_start)
    }

    /// The choice by filters and scores of every node.
    fn by_the_book(&mut self, ask: Ask<'_>, state: &State) -> Found {
        let nodes = state.nodes();
        let pod = self.mirror.pod(ask.id, ask.task, state);
        self.mirror.serve(ask.task, state);
        let start = Start { at: self.next_start, nominated: None };
        let company = Company::of(state, ask.task);
        let may = |row| {
            let node = NodeId(row as u32);
            nodes.fits(ask.shape, node) && company.as_ref().is_none_or(|it| it.allows(node).is_ok())
        };
        let decision = decide_among(&self.profile, &self.mirror.cluster, &pod, start, may, &mut ())
            .expect("pods of ours have no constraints or terms that could be wrong");
        Found { best: decision.best, next_start: decision.next_start, fits_somewhere: None }
    }

    fn place(&mut self, id: TaskId, node: NodeId, devices: DeviceSet, desk: &mut Desk<'_>) {
        desk.place(id, node, devices);
        let state = desk.state();
        if let Some(task) = state.task(id) {
            let pod = self.mirror.pod(id, task, state);
            self.mirror.placed(node, pod, state.nodes());
        }
    }

    fn place_or_leave(&mut self, id: TaskId, desk: &mut Desk<'_>) {
        let fits_somewhere = match self.choose(desk.ask(id), desk.state()) {
            Ok(node) => {
                let devices = desk.state().nodes().best_fit_devices(desk.ask(id).shape, node);
                let devices = devices.expect("a node that fits has the devices");
                return self.place(id, node, devices, desk);
            }
            Err(fits_somewhere) => fits_somewhere,
        };
        let before = desk.state().nodes().growth();
        if self.make_room(id, desk) {
            return;
        }
        let (ask, nodes) = (desk.ask(id), desk.state().nodes());
        let shape = ask.shape;
        self.note_no_room(ask.task);
        let known = fits_somewhere.filter(|_| nodes.growth() == before);
        match known.unwrap_or_else(|| nodes.ids().any(|it| nodes.fits(shape, it))) {
            // The profile lets no such node pass.
            true => {
                desk.hold_back(id);
                self.held_back.push(id);
            }
            false => desk.unfit(id),
        }
    }

    /// Tries those again that were held back before somebody left a node. `true` if there were any.
    fn retry_those_held_back(&mut self, desk: &mut Desk<'_>) -> bool {
        if !std::mem::take(&mut self.has_evicted) {
            return false;
        }
        let mut again = std::mem::take(&mut self.held_back);
        again.retain(|&it| desk.state().task(it).is_some_and(|it| it.placement().is_none()));
        for &task in &again {
            self.place_or_leave(task, desk);
        }
        !again.is_empty()
    }
}

impl Scheduler for Kubernetes {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.catch_up(desk.state());
        loop {
            let has_placed = self.place_those_passed_over(desk);
            let mut has_head = false;
            while let Some(task) = desk.head() {
                has_head = true;
                self.place_or_leave(task, desk);
            }
            let has_retried = self.retry_those_held_back(desk);
            if !has_placed && !has_head && !has_retried {
                break;
            }
        }
        self.held_back.clear();
        self.lowest_placed = self.mirror.lowest_priority();
        self.waiting.note_seen(desk.state().nodes(), &self.mirror.news);
    }

    fn observe(&mut self, changes: &[Change], _: &State) {
        if self.preempts {
            self.waiting.observe(changes);
        }
    }

    fn wants_every_instant(&self) -> bool {
        self.preempts && self.waiting.may_help(self.lowest_placed)
    }

    fn makes_room(&self) -> bool {
        self.preempts
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn memory(&self) -> Vec<u8> {
        let memory =
            (self.card.name, self.next_start, &self.chance, &self.waiting, self.lowest_placed);
        postcard::to_stdvec(&memory).expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        type Memory = (String, usize, Chance, Waiting, Option<i32>);
        let ((name, next_start, chance, waiting, lowest_placed), rest): (Memory, _) =
            postcard::take_from_bytes(memory).map_err(|_| BadMemory)?;
        if name != self.card.name || !rest.is_empty() {
            return Err(BadMemory);
        }
        (self.next_start, self.chance) = (next_start, chance);
        (self.waiting, self.lowest_placed) = (waiting, lowest_placed);
        self.mirror = self.mirror.anew();
        self.sheets = Sheets::default();
        self.profile = self.mirror.uses().with_a_say(&self.whole);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
