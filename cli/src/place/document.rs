//! Explained decisions as a document for machines.
//!
//! The form is `bayplan-place/1`: names of nodes and tasks, amounts in the units that stand beside them, numbers that
//! JSON readers could lose digits of as texts.

use super::why_not::WhyNot;
use cluster::explain::{
    Criterion, Explanation, Number, Outcome, Rejection, Term, TieRule, Verdict,
};
use cluster::ids::TaskId;
use serde::Serialize;

/// The form's name.
const FORM: &str = "bayplan-place/1";

/// Explained decisions.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    form: &'static str,
    /// What was read.
    pub input: String,
    /// The policy, in its canonical form.
    pub policy: String,
    /// What draws are made by.
    pub seed: u64,
    /// One a task.
    pub decisions: Vec<Decision>,
}

impl Document {
    /// With no decision yet.
    pub fn new(input: String, policy: String, seed: u64) -> Self {
        Self { form: FORM, input, policy, seed, decisions: Vec::new() }
    }
}

/// One explained decision.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// The task's name.
    pub task: String,
    /// When, in microseconds since the start of the run.
    pub at_us: u64,
    /// What became of it.
    pub outcome: &'static str,
    /// Where it is placed.
    pub node: Option<String>,
    /// On which GPU devices of the node.
    pub devices: Vec<usize>,
    /// The equally good nodes.
    pub tied: Vec<String>,
    /// What decides between them.
    pub tie: TieRule,
    /// What keys compare, the most important first.
    pub order: Vec<Criterion>,
    /// Every node.
    pub nodes: Vec<Node>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// Why not on the node that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<WhyNot>,
}

/// What is said of a node.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// The verdict.
    #[serde(flatten)]
    pub said: Said,
}

/// A verdict.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Said {
    /// It would do.
    Scored {
        /// What its key is made of.
        terms: Vec<Term>,
        /// Compared in the order of [`Decision::order`].
        key: Vec<Number>,
    },
    /// It will not do.
    Rejected {
        /// Who says so.
        by: Vec<Rejection>,
    },
    /// Nobody asked.
    NotLookedAt {
        /// Why.
        why: String,
    },
}

/// Who has to leave for the task, if anybody has.
pub fn leaving(outcome: &Outcome, name: impl Fn(TaskId) -> String) -> Option<String> {
    let Outcome::MakesRoom { node, victims, .. } = outcome else { return None };
    let victims: Vec<String> = victims.iter().map(|it| name(*it)).collect();
    Some(format!(
        "{} goes back to the queue, so that there is room on {}",
        victims.join(", "),
        node.name
    ))
}

impl Decision {
    /// Of a task of this name.
    pub fn new(task: String, explanation: Explanation) -> Self {
        let Explanation { at, outcome, tied, tie, order, nodes, notes, .. } = explanation;
        let word = match outcome {
            Outcome::Placed { .. } => "placed",
            Outcome::MakesRoom { .. } => "makes_room",
            Outcome::FitsNowhere => "fits_nowhere",
            Outcome::HeldBack => "held_back",
            Outcome::Unsaid => "unsaid",
        };
        let (node, devices) = match outcome {
            Outcome::Placed { node, devices } | Outcome::MakesRoom { node, devices, .. } => {
                (Some(node.name), devices)
            }
            _ => (None, Vec::new()),
        };
        let nodes = nodes.into_iter().map(|it| Node {
            node: it.node.name,
            said: match it.verdict {
                Verdict::Scored { terms, key } => Said::Scored { terms, key },
                Verdict::Rejected(by) => Said::Rejected { by },
                Verdict::NotLookedAt(why) => Said::NotLookedAt { why },
            },
        });
        Self {
            task,
            at_us: at.0,
            outcome: word,
            node,
            devices,
            tied: tied.into_iter().map(|it| it.name).collect(),
            tie,
            order,
            nodes: nodes.collect(),
            notes,
            why_not: None,
        }
    }
}
