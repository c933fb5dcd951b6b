//! Whose turn it is, and what becomes of every agent: a decision taken again, on a copy.
//!
//! What a run gives a task cannot be told from the task alone, so all that waits is decided with it.

use super::{App, Key, Line, Member, Mesos, Way, needs};
use crate::mesos::allocator::{AgentId, FrameworkId};
use crate::mesos::explain::Skip;
use crate::mesos::quantity::Kind;
use crate::mesos::sorter::Standing;
use cluster::event::Action;
use cluster::explain::{Explanation, Outcome, Question, Rejection, TieRule, Verdict};
use cluster::ids::{NodeId, TaskId};
use cluster::refusal::Objections;
use cluster::scheduler::Scheduler;
use std::collections::BTreeMap;

/// What is the same for all nodes.
struct Case<'a> {
    question: &'a Question<'a>,
    /// As things stand when the run begins.
    before: &'a Mesos,
    member: &'a Member,
    /// The task among those that are alike.
    line: &'a Line,
    /// Who was offered what in the run.
    offers: &'a BTreeMap<AgentId, FrameworkId>,
    /// Why there is no run for it, if so.
    no_run: Option<String>,
}

impl Mesos {
    pub(super) fn explained(&self, question: Question<'_>) -> Explanation {
        let Question { ask, now, state, .. } = question;
        let nodes = state.nodes();
        let mut again = self.clone();
        again.heard = Some(Vec::new());
        let actions = question.rehearse(|desk| again.decide(desk));
        let offers: BTreeMap<_, _> = again.heard.take().into_iter().flatten().collect();
        let mut before = self.clone();
        let tokens = before.begin(now, state);
        before.books.allocator.drop_ended_filters(now);

        let mut explanation = Explanation::new(&question, TieRule::Draw);
        let start = actions.iter().find_map(|it| match *it {
            Action::Start { task, node, devices, .. } if task == ask.id => Some((node, devices)),
            _ => None,
        });
        let objections = Objections::new(state, ask);
        explanation.outcome = match start {
            Some((node, devices)) => Outcome::placed(nodes, node, devices),
            None if nodes.ids().any(|it| nodes.fits(ask.shape, it)) => Outcome::HeldBack,
            None => Outcome::FitsNowhere,
        };
        let key = self.setup.key_of(ask.task, state);
        let member = before.books.member(&key).clone();
        let line = self.line_of(&question);
        let no_run = before.no_run(&key, &member, tokens, &question);
        explanation.notes = before.turns(&key, &member);
        explanation.notes.extend(no_run.clone());
        let case = Case {
            question: &question,
            before: &before,
            member: &member,
            line: &line,
            offers: &offers,
            no_run,
        };
        let mut tied = Vec::new();
        for node in nodes.ids() {
            let objections = match start {
                Some((chosen, _)) if chosen == node => Vec::new(),
                _ => Some(objections.to(node))
                    .filter(|it| !it.is_empty())
                    .unwrap_or_else(|| case.objections(node)),
            };
            let verdict = if !objections.is_empty() {
                Verdict::Rejected(objections)
            } else if start.is_some_and(|it| it.0 == node || case.is_offered(node)) {
                tied.push(node);
                Verdict::Scored { terms: Vec::new(), key: Vec::new() }
            } else {
                Verdict::NotLookedAt(case.passed_over(node))
            };
            explanation.say(nodes, node, verdict);
        }
        if start.is_some() {
            let note =
                "agents are looked at in random order, and the first offer with room is used";
            explanation.notes.push(note.to_owned());
        }
        explanation.tie_between(nodes, tied);
        explanation
    }

    /// The task with all that are alike, in queue order.
    fn line_of(&self, question: &Question<'_>) -> Line {
        let Question { ask, state, ahead, behind, .. } = question;
        let like = (ask.task.group, ask.task.definition, ask.task.shape);
        let is_like = |it: &TaskId| {
            let task = state.task(*it).expect("tasks in the queue are known");
            (task.group, task.definition, task.shape) == like
        };
        let all = ahead.iter().chain([&ask.id]).chain(*behind).copied();
        Line {
            app: App { shape: like.2, of: Some((like.0, like.1)) },
            needs: needs(ask.shape),
            is_free: false,
            tasks: (0..).zip(all.filter(is_like)).collect(),
        }
    }

    /// Why the framework is offered nothing now, if that does not depend on agents.
    fn no_run(
        &self,
        key: &Key,
        member: &Member,
        tokens: u32,
        question: &Question<'_>,
    ) -> Option<String> {
        let now = question.now;
        let allocator = &self.books.allocator;
        if let (0, Way::Marathon(it)) = (tokens, &self.setup.way) {
            return Some(format!("no launches are left before {}", it.next_tokens(now)));
        }
        if member.is_suppressed {
            let at = member.revived.map_or(now, |it| it + self.setup.revive_every());
            return Some(format!("{key} calls for offers again at {at}"));
        }
        let next = allocator.next_batch();
        let waits = now < next && !allocator.is_run_due();
        waits.then(|| format!("no offers before {next}, which is the next batch run"))
    }

    /// Who is furthest behind, of the roles and of the frameworks of this one's role.
    fn turns(&mut self, key: &Key, member: &Member) -> Vec<String> {
        let allocator = &mut self.books.allocator;
        let roles = allocator.role_standings();
        let mut notes = Vec::new();
        if roles.len() > 1 {
            let roles: Vec<String> = roles.iter().map(stands).collect();
            notes.push(format!("roles, the one furthest behind first: {}", roles.join(", ")));
        }
        let waits: Vec<FrameworkId> =
            self.books.members.values().filter(|it| it.waiting > 0).map(|it| it.id).collect();
        let names: Vec<&str> = waits.iter().map(|it| allocator.framework_name(*it)).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut standings = allocator.framework_standings(member.role);
        standings.retain(|it| names.contains(&it.path));
        standings.sort_by(|a, b| {
            let share = |it: &Standing| it.dominant / it.weight;
            share(a).total_cmp(&share(b)).then(a.count.cmp(&b.count)).then(a.path.cmp(&b.path))
        });
        const SHOWN: usize = 10;
        let own = key.to_string();
        let place = standings.iter().position(|it| it.path == own);
        let all = standings.len();
        let mut shown: Vec<String> = standings.iter().take(SHOWN).map(stands).collect();
        if let Some(place) = place.filter(|it| *it >= SHOWN) {
            shown.push(format!("… {} as number {} of {all}", stands(&standings[place]), place + 1));
        }
        let role = allocator.role_path(member.role);
        notes.push(format!(
            "frameworks of role {role} with tasks that wait, the one furthest behind first: {}",
            shown.join(", ")
        ));
        notes
    }
}

impl Case<'_> {
    fn is_offered(&self, node: NodeId) -> bool {
        self.offers.get(&AgentId(node.0)) == Some(&self.member.id)
    }

    /// What speaks against an agent on which the task fits.
    fn objections(&self, node: NodeId) -> Vec<Rejection> {
        let allocator = &self.before.books.allocator;
        let (agent, of) = (AgentId(node.0), (self.member.id, self.member.role));
        if !allocator.is_offered(agent) {
            return vec![Rejection::new("allocatable", "too little is left for an offer")];
        }
        if !allocator.has_quota_for(of.1, &self.line.needs) {
            let role = allocator.role_path(of.1);
            let why = format!("quota leaves less than that to role {role}");
            return vec![Rejection::new("quota", why)];
        }
        if let Some(until) = allocator.declined_until(of.0, of.1, agent) {
            return vec![Rejection::new("declined", Skip::Declined { until }.to_string())];
        }
        match &self.before.setup.way {
            Way::Queue { .. } => Vec::new(),
            Way::Marathon(it) => {
                let available = allocator.available(agent).cloned().unwrap_or_default();
                let site = &self.before.sites[node.row()];
                it.rejected(self.line, site, available, &self.before.sites, self.question.state)
            }
        }
    }

    /// Why an agent that would do is not used.
    fn passed_over(&self, node: NodeId) -> String {
        let allocator = &self.before.books.allocator;
        match self.offers.get(&AgentId(node.0)) {
            _ if self.no_run.is_some() => "there are no offers now".to_owned(),
            Some(it) if *it == self.member.id => {
                "what it offers was used for other tasks of the framework".to_owned()
            }
            Some(it) => format!("offered to {}, whose turn it was", allocator.framework_name(*it)),
            None => format!("not offered before {}", allocator.next_batch()),
        }
    }
}

/// `web 12.5 % of cpus`, with the weight if it has one.
fn stands(it: &Standing) -> String {
    let kind = match it.kind {
        Some(Kind::CPUS) => " of cpus",
        Some(Kind::MEM) => " of memory",
        Some(Kind::DISK) => " of disk",
        Some(Kind::GPUS) => " of GPUs",
        Some(_) | None => "",
    };
    let weight = if it.weight == 1.0 { String::new() } else { format!(" / {}", it.weight) };
    format!("{} {:.1} %{kind}{weight}", it.path, it.dominant * 100.0)
}
