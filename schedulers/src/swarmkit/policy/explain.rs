//! What the pipeline and the order say of every node.

use super::{Mirror, Room, SwarmKit};
use crate::rank::best_fit_devices;
use crate::swarmkit::explain::{Finding, equally_good, survey};
use crate::swarmkit::failures::WINDOW_US;
use crate::swarmkit::filters::Filter;
use crate::swarmkit::group::schedule;
use crate::swarmkit::model::State as Known;
use cluster::explain::{
    Criterion, Explanation, Outcome, Question, Rejection, Term, TieRule, Verdict, Wins,
};
use cluster::ids::NodeId;
use cluster::nodes::{NodeStatus, Nodes};
use cluster::refusal::Objections;

impl SwarmKit {
    pub(super) fn explained(&mut self, question: Question<'_>) -> Explanation {
        let Question { ask, now, state, .. } = question;
        let (nodes, now_us) = (state.nodes(), now.0);
        let mut failures = self.failures.clone();
        failures.retain(|it| now_us.saturating_sub(it.0) <= WINDOW_US);
        failures.extend(self.fresh.iter().map(|it| (now_us, *it)));
        let mut mirror = Mirror::of(state, &failures);

        let spec = mirror.spec(ask.task.group, ask.task.definition, state);
        for (row, node) in mirror.nodes.iter_mut().enumerate() {
            let is_ready = nodes.status(NodeId(row as u32)) == NodeStatus::Ready;
            node.state = if is_ready { Known::Ready } else { Known::Down };
        }
        // What the filters say by themselves, for nodes that the ledger takes for full.
        let by_itself = survey(&mirror.nodes, &spec, now_us);
        let room = mirror.mark(ask, state);
        for (row, node) in mirror.nodes.iter_mut().enumerate() {
            node.state = if mirror.fits.has(row) { Known::Ready } else { Known::Down };
        }
        let objections = Objections::new(state, ask);
        let batch = match room {
            Room::Fits { is_alone: true } => 1,
            Room::Fits { is_alone: false } => 1 + with_it(&question, &mirror),
            Room::Kept | Room::None => 0,
        };
        let mut chance = self.chance.clone();
        let mut order = |places: &mut [usize]| chance.shuffle(places);
        mirror.forgive();
        let findings = survey(&mirror.nodes, &spec, now_us);
        let placed = schedule(&mut mirror.nodes, &spec, batch, now_us, &mut order, &mut ()).nodes;

        let mut explanation = Explanation::new(&question, TieRule::Draw);
        let criterion = |name: &str| Criterion { name: name.to_owned(), wins: Wins::Lowest };
        explanation.order = NAMES.map(criterion).to_vec();
        for node in nodes.ids() {
            let row = node.row();
            let verdict = match findings[row].rejected_by {
                None => scored(&findings[row]),
                Some(_) => {
                    let ledger = objections.to(node);
                    Verdict::Rejected(said_by(by_itself[row].rejected_by, ledger, nodes, node))
                }
            };
            explanation.say(nodes, node, verdict);
        }
        let tied = equally_good(&findings, spec.spread.len());
        explanation.tie_between(nodes, tied.into_iter().map(|row| NodeId(row as u32)));
        if batch > 1 {
            let note = format!("{batch} tasks of its service are placed together");
            explanation.notes.push(note);
        }
        explanation.outcome = match placed.first() {
            Some(&row) => {
                let node = NodeId(row as u32);
                Outcome::placed(nodes, node, best_fit_devices(ask, node, nodes))
            }
            None if matches!(room, Room::None) => Outcome::FitsNowhere,
            None => Outcome::HeldBack,
        };
        explanation
    }
}

/// What a rank compares, in order.
const NAMES: [&str; 3] = ["failures", "tasks of the service", "tasks"];

/// How many tasks behind it are placed with it; see [`super::hold_batch`].
fn with_it(question: &Question<'_>, mirror: &Mirror) -> usize {
    let Question { ask, state, behind, .. } = question;
    let like = (ask.task.group, ask.task.definition, ask.task.shape);
    let is_like = |id| state.task(id).is_some_and(|it| (it.group, it.definition, it.shape) == like);
    let mut room = mirror.count_room(*ask, state);
    let behind = behind.iter().zip(2..);
    behind.take_while(|it| room.is_for(it.1, mirror, state) && is_like(*it.0)).count()
}

fn scored(finding: &Finding) -> Verdict {
    let rank = finding.rank;
    let values = [rank.failures, rank.of_service, rank.tasks];
    let mut terms: Vec<Term> =
        NAMES.iter().zip(values).map(|(name, value)| Term::new(*name, value)).collect();
    if finding.failures != rank.failures {
        terms[0].text = Some(format!("{}, which are too few to count", finding.failures));
    }
    Verdict::Scored { terms, key: values.map(Into::into).to_vec() }
}

/// The filter that a node fails first, with the amounts of the ledger; the ledger's own if it passes all.
fn said_by(
    filter: Option<Filter>,
    ledger: Vec<Rejection>,
    nodes: &Nodes,
    node: NodeId,
) -> Vec<Rejection> {
    let Some(filter) = filter else { return ledger };
    let short: Vec<_> = match filter {
        Filter::Resource => ledger.iter().flat_map(|it| it.short.iter().cloned()).collect(),
        _ => Vec::new(),
    };
    let relevant = |it: &&Rejection| match filter {
        Filter::Resource => !it.short.is_empty(),
        Filter::Ready => nodes.status(node) != NodeStatus::Ready && it.filter == "status",
        _ => false,
    };
    let reasons: Vec<&str> = ledger.iter().filter(relevant).map(|it| it.reason.as_str()).collect();
    let reason = match reasons[..] {
        [] => filter.explain(1),
        _ => reasons.join("; "),
    };
    vec![Rejection { filter: format!("{filter:?}Filter"), reason, short }]
}
