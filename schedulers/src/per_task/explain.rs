//! What a [`Rank`] says of every node: the same steps as a decision, on a copy of its random stream.

use super::{Open, PerTask, Scan, list, pick};
use crate::parts::Part;
use crate::rank::{Rank, Sampling, Tie};
use cluster::company::Company;
use cluster::explain::{Explanation, Number, Outcome, Question, Rejection, TieRule, Verdict};
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::refusal::Objections;

/// A node that was looked at, with its key before and after [`Rank::normalise`].
struct Seen<K> {
    node: NodeId,
    raw: K,
    key: K,
}

impl<R: Rank> PerTask<R> {
    pub(super) fn explained(&mut self, question: Question<'_>) -> Explanation {
        let memory = self.rank.memory();
        self.rank.begin(question.ask, question.state);
        let explanation = self.survey(question);
        self.rank.end(question.ask, question.state);
        self.rank.recall(memory);
        explanation
    }

    fn survey(&mut self, question: Question<'_>) -> Explanation {
        let Question { ask, state, .. } = question;
        let (nodes, rank) = (state.nodes(), &mut self.rank);
        let mut chance = self.chance.clone();
        let sampling = rank.sampling(ask, nodes, &mut chance);
        let tie = rank.tie();
        let scan = |only_open| Scan {
            ask,
            state,
            company: Company::of(state, ask.task),
            only_open,
            refused: false,
        };
        let mut only_open = self.open == Open::First;
        let mut looks = scan(only_open);
        let mut before = chance.clone();
        let mut picked = pick(rank, &mut looks, sampling, tie, &mut chance, &mut self.scratch);
        if picked.is_none() && only_open {
            (only_open, looks.only_open) = (false, false);
            before = chance.clone();
            picked = pick(rank, &mut looks, sampling, tie, &mut chance, &mut self.scratch);
        }

        let (mut listed, mut pool) = (Vec::new(), Vec::new());
        match sampling {
            Sampling::First { .. } => listed.extend(picked),
            _ => list(rank, &mut scan(only_open), sampling, &mut before, &mut listed, &mut pool),
        }
        let seen = keyed(rank, &listed, question);

        let mut explanation = Explanation::new(&question, rule(sampling, tie));
        let objections = Objections::new(state, ask);
        let mut candidates = 0;
        for node in nodes.ids() {
            let failed = objections.to(node);
            let verdict = if !failed.is_empty() {
                Verdict::Rejected(failed)
            } else if only_open && nodes.task_counts()[node.row()] == 0 {
                let reason = "empty, and a node in use has room";
                Verdict::Rejected(vec![Rejection::new("open=first", reason)])
            } else if !rank.accepts(ask, node, state) {
                Verdict::Rejected(vec![rank.objection(ask, node, state)])
            } else {
                candidates += 1;
                let found = seen.iter().find(|it| it.node == node);
                match found.filter(|it| rank.is_in_the_running(it.key)) {
                    Some(seen) => self::scored(rank, seen, sampling, nodes),
                    None => Verdict::NotLookedAt(String::new()),
                }
            };
            explanation.say(nodes, node, verdict);
        }
        let why = not_looked_at(sampling, seen.len(), candidates, picked.map(|it| nodes.name(it)));
        for it in &mut explanation.nodes {
            if let Verdict::NotLookedAt(text) = &mut it.verdict {
                text.clone_from(&why);
            }
        }

        let best = seen.iter().map(|it| it.key).min();
        let tied = seen.iter().filter(|it| Some(it.key) == best).map(|it| it.node);
        explanation.tie_between(nodes, tied);
        if let Some(first) = seen.first() {
            let parts = parts(rank, first.key, first.node, sampling, nodes);
            explanation.order = parts.iter().map(Part::criterion).collect();
        }
        explanation.outcome = match picked {
            Some(node) => Outcome::placed(nodes, node, rank.devices(ask, node, nodes)),
            None if looks.refused => Outcome::HeldBack,
            None => Outcome::FitsNowhere,
        };
        explanation
    }
}

fn keyed<R: Rank>(rank: &mut R, listed: &[NodeId], question: Question<'_>) -> Vec<Seen<R::Key>> {
    let Question { ask, state, .. } = question;
    let keys = rank.keys(ask, state);
    let raw: Vec<(NodeId, R::Key)> = listed.iter().map(|&node| (node, keys(node))).collect();
    drop(keys);
    let mut keyed = raw.clone();
    if R::NORMALISES {
        rank.normalise(ask, &mut keyed, state);
    }
    let pairs = raw.into_iter().zip(keyed);
    pairs.map(|((node, raw), (_, key))| Seen { node, raw, key }).collect()
}

fn rule(sampling: Sampling, tie: Tie) -> TieRule {
    match (sampling, tie) {
        (Sampling::First { .. }, _) => TieRule::FirstFound,
        (_, Tie::LowestIndex) => TieRule::FirstJoined,
        (_, Tie::Rank) => TieRule::LowestRank,
        (_, Tie::Random) => TieRule::Draw,
    }
}

/// Of a key; where the first that fits is taken, keys are not asked for, and what counts is the way to it.
fn parts<R: Rank>(
    rank: &R,
    key: R::Key,
    node: NodeId,
    sampling: Sampling,
    nodes: &Nodes,
) -> Vec<Part> {
    match sampling {
        Sampling::First { start } => {
            let rows = nodes.len();
            let steps = (node.row() + rows - start % rows) % rows;
            vec![Part::lowest("steps from where the walk begins", steps)]
        }
        _ => rank.parts(key),
    }
}

fn scored<R: Rank>(rank: &R, seen: &Seen<R::Key>, sampling: Sampling, nodes: &Nodes) -> Verdict {
    let parts_of = |key| parts(rank, key, seen.node, sampling, nodes);
    let key: Vec<Number> = parts_of(seen.key).iter().map(|it| it.value).collect();
    let mut terms: Vec<_> = parts_of(seen.raw).into_iter().map(Part::term).collect();
    for (term, &value) in terms.iter_mut().zip(&key).filter(|(term, value)| term.raw != **value) {
        term.normalised = Some(value);
    }
    Verdict::Scored { terms, key }
}

fn not_looked_at(sampling: Sampling, seen: usize, of: usize, first: Option<&str>) -> String {
    match sampling {
        Sampling::All => "it would do, but others were looked at before it".to_owned(),
        Sampling::First { .. } => {
            format!("it would do, but {} comes first", first.unwrap_or("another"))
        }
        Sampling::FirstK { .. } => format!("it would do, but {seen} that will do come first"),
        Sampling::Random { .. } => format!("it would do, but {seen} of {of} were drawn without it"),
    }
}
