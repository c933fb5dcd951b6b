//! What the strategy says of every node.

use super::{Mirror, Soft, Swarm, keep_best};
use crate::rank::best_fit_devices;
use crate::swarm::explain::Recorder;
use crate::swarm::strategy::{NoRoom, Strategy, Weight};
use cluster::explain::{
    Criterion, Explanation, Outcome, Question, Rejection, Term, TieRule, Verdict, Wins,
};
use cluster::ids::NodeId;
use cluster::refusal::Objections;
use std::collections::BTreeMap;

/// What the strategy said, by row.
#[derive(Default)]
struct Said(BTreeMap<usize, Verdict>);

impl Recorder for Said {
    fn no_room(&mut self, node: usize, why: NoRoom) {
        let reason = match why {
            NoRoom::TooSmall => "the whole node is smaller than the task".to_owned(),
            NoRoom::Full { cpu_percent, memory_percent } => format!(
                "it would be filled to {cpu_percent} % of its cpu and {memory_percent} % of its memory"
            ),
        };
        self.0.insert(node, Verdict::Rejected(vec![Rejection::new("strategy", reason)]));
    }

    fn weighed(&mut self, node: usize, weight: Weight) {
        let factor = weight.health_factor;
        let health = Term {
            weight: Some(factor.into()),
            weighted: Some((factor * weight.health).into()),
            ..Term::new("health", weight.health)
        };
        let terms = vec![
            Term::new("cpu percent", weight.cpu_percent),
            Term::new("memory percent", weight.memory_percent),
            health,
            Term::new("containers", weight.containers),
        ];
        let key = vec![weight.sum().into(), weight.containers.into()];
        self.0.insert(node, Verdict::Scored { terms, key });
    }

    fn unweighed(&mut self, node: usize) {
        self.0.insert(node, Verdict::Scored { terms: Vec::new(), key: Vec::new() });
    }
}

impl Swarm {
    pub(super) fn explained(&mut self, question: Question<'_>) -> Explanation {
        let Question { ask, state, .. } = question;
        let nodes = state.nodes();
        let percent = self.overcommit_percent;
        let mirror = self.mirror.get_or_insert_with(|| Mirror::of(state, percent));
        let fits_nowhere = !nodes.ids().any(|it| nodes.fits(ask.shape, it));
        let objections = Objections::new(state, ask);
        let mut rows: Vec<usize> =
            nodes.ids().filter(|&it| objections.to(it).is_empty()).map(NodeId::row).collect();
        let request = mirror.request(ask.task.definition, state);
        let mut said = Said::default();
        let soft = Soft::of(ask, self.seeks_images, state);
        keep_best(self.strategy, soft.as_ref(), &request, &mirror.loads, &mut rows, &mut said);

        let mut explanation = Explanation::new(&question, TieRule::Draw);
        let wins = match self.strategy {
            Strategy::Binpack => Wins::Highest,
            Strategy::Spread | Strategy::Random => Wins::Lowest,
        };
        if self.strategy != Strategy::Random {
            let criterion = |name: &str| Criterion { name: name.to_owned(), wins };
            explanation.order = vec![criterion("weight"), criterion("containers")];
        }
        for node in nodes.ids() {
            let verdict = said.0.remove(&node.row());
            let verdict = verdict.unwrap_or_else(|| match objections.to(node) {
                none if none.is_empty() => Verdict::Rejected(vec![Rejection::new(
                    "soft expressions",
                    "it is not all that the task would rather have, and others are",
                )]),
                some => Verdict::Rejected(some),
            });
            explanation.say(nodes, node, verdict);
        }
        explanation.tie_between(nodes, rows.iter().map(|&row| NodeId(row as u32)));
        explanation.outcome = match rows[..] {
            [] if fits_nowhere => Outcome::FitsNowhere,
            [] => Outcome::HeldBack,
            ref rows => {
                let at = match rows.len() {
                    1 => 0,
                    several => self.chance.clone().below(several as u64) as usize,
                };
                let node = NodeId(rows[at] as u32);
                Outcome::placed(nodes, node, best_fit_devices(ask, node, nodes))
            }
        };
        explanation
    }
}
