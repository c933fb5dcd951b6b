//! What the real scheduler's filters and scores say of every node.

use super::Kubernetes;
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::cycle::{Start, decide_among};
use crate::kubernetes::explain::{self, Rejection as Why};
use crate::kubernetes::filters::{Prepared, check_with_nominated};
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::{Profile, Release, Score};
use cluster::explain::{
    Criterion, Explanation, NodeRef, Number, Outcome, Question, Rejection, Term, TieRule, Verdict,
    Wins,
};
use cluster::ids::NodeId;
use cluster::refusal::Objections;
use std::cell::RefCell;

impl Kubernetes {
    pub(super) fn explained(&mut self, question: Question<'_>) -> Explanation {
        let Question { ask, now, state, .. } = question;
        let nodes = state.nodes();
        self.catch_up(state);
        let pod = Pod { started: Some(now.0 as i64), ..self.mirror.pod(ask.id, ask.task, state) };
        self.mirror.serve(ask.task, state);
        let start = Start { at: self.next_start, nominated: None };
        let objections = Objections::new(state, ask);
        let asked = RefCell::new(vec![false; nodes.len()]);
        let may = |row: usize| {
            asked.borrow_mut()[row] = true;
            objections.to(NodeId(row as u32)).is_empty()
        };
        let (profile, cluster) = (&self.profile, &self.mirror.cluster);
        let mut said = explain::Explanation::default();
        let decision = decide_among(profile, cluster, &pod, start, may, &mut said)
            .expect("pods of ours have no constraints or terms that could be wrong");

        let mut explanation = Explanation::new(&question, TieRule::Draw);
        explanation.order = vec![Criterion { name: "total".to_owned(), wins: Wins::Highest }];
        let prepared = Prepared::new(profile, cluster, &pod).ok();
        for node in nodes.ids() {
            let row = node.row();
            let ledger = objections.to(node);
            let found = said.nodes.get(&row);
            let why = match found {
                Some(found) => found.rejection.clone(),
                None => prepared.as_ref().and_then(|it| objection(it, cluster, row)),
            };
            let verdict = if found.is_none() && !asked.borrow()[row] {
                let passed = decision.passed;
                Verdict::NotLookedAt(format!("{passed} nodes passed before its turn"))
            } else if let Some(why) = why {
                Verdict::Rejected(vec![rejection(&why, cluster, row, profile.release, &ledger)])
            } else if !ledger.is_empty() {
                Verdict::Rejected(ledger)
            } else {
                scored(profile, found)
            };
            explanation.say(nodes, node, verdict);
        }
        explanation.tie_between(nodes, decision.best.iter().map(|&row| NodeId(row as u32)));
        if decision.passed == 1 {
            explanation.notes.push("the only node that passed is taken without scores".to_owned());
        }
        if !said.skipped.is_empty() {
            let names: Vec<&str> = said.skipped.iter().map(|it| it.name()).collect();
            let note = format!("nothing to say about this task: {}", names.join(", "));
            explanation.notes.push(note);
        }
        explanation.outcome = match decision.best[..] {
            [] if nodes.ids().any(|it| nodes.fits(ask.shape, it)) => Outcome::HeldBack,
            [] => Outcome::FitsNowhere,
            ref best => {
                let at = match best.len() {
                    1 => 0,
                    several => self.chance.clone().below(several as u64) as usize,
                };
                let node = NodeId(best[at] as u32);
                let devices = nodes.best_fit_devices(ask.shape, node);
                let devices = devices.expect("a node that fits has the devices");
                Outcome::placed(nodes, node, devices)
            }
        };
        if decision.best.is_empty()
            && let Some((room, devices)) = self.room_and_devices(ask, state)
        {
            explanation.outcome = Outcome::MakesRoom {
                node: NodeRef::of(nodes, room.node),
                devices,
                victims: room.victims,
            };
        }
        explanation
    }
}

/// What the filters say of a node that the ledger had refused before they were asked.
fn objection<'a>(prepared: &Prepared<'a>, cluster: &'a Cluster, row: usize) -> Option<Why> {
    let node = cluster.node(row);
    check_with_nominated(prepared, cluster, row, node, node.used()).err()
}

fn rejection(
    why: &Why,
    cluster: &Cluster,
    row: usize,
    release: Release,
    ledger: &[Rejection],
) -> Rejection {
    let mut reasons = why.reasons(cluster.node(row), release);
    let mut short = Vec::new();
    if matches!(why, Why::Resources(_)) {
        let missing = ledger.iter().filter(|it| !it.short.is_empty());
        for it in missing {
            reasons.push(it.reason.clone());
            short.extend(it.short.iter().cloned());
        }
    }
    Rejection { filter: why.filter().name().to_owned(), reason: reasons.join("; "), short }
}

/// The terms in the order of the profile; none if the node was taken without being compared.
fn scored(profile: &Profile, found: Option<&explain::NodeExplanation>) -> Verdict {
    let Some(found) = found.filter(|it| !it.scores.is_empty()) else {
        return Verdict::Scored { terms: Vec::new(), key: Vec::new() };
    };
    let term = |&(score, weight): &(Score, i64)| {
        let values = found.scores.get(&score)?;
        let number = |it: i64| Some(Number::from(it));
        Some(Term {
            normalised: number(values.normalised),
            weight: number(weight),
            weighted: number(values.weighted),
            ..Term::new(score.name(), values.raw)
        })
    };
    let terms = profile.scores.iter().filter_map(term).collect();
    Verdict::Scored { terms, key: vec![found.total().into()] }
}
