//! Why a decision was taken. Deciding without asking why costs nothing: the recorder is a type.

use super::filter::Reason;
use super::strategy::Strategy;
use std::fmt;

/// Is told of every step of a decision.
pub(super) trait Recorder {
    /// Whether it listens. If not, steps that only it would need are left out.
    const IS_ON: bool;

    /// The instance in that row cannot have the task. Once for every reason.
    fn rejected(&mut self, row: usize, reason: Reason);

    /// A candidate's score. Once for every strategy that has one, in the order of the chain.
    fn scored(&mut self, row: usize, strategy: &Strategy, score: u64);

    /// The equally good rows.
    fn equal(&mut self, rows: &[usize]);
}

/// Does not listen.
pub(super) struct Silent;

impl Recorder for Silent {
    const IS_ON: bool = false;

    fn rejected(&mut self, _row: usize, _reason: Reason) {}

    fn scored(&mut self, _row: usize, _strategy: &Strategy, _score: u64) {}

    fn equal(&mut self, _rows: &[usize]) {}
}

/// All that was said about a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Instances that cannot have the task, by row, each with all reasons in the order of
    /// [`ALL`](super::filter::ALL).
    pub rejected: Vec<(usize, Vec<Reason>)>,
    /// What each strategy says of each candidate, whether or not an earlier one had left it out.
    pub terms: Vec<Term>,
    /// The equally good rows.
    pub equal: Vec<usize>,
}

/// What a strategy says of the candidates: lower is better. ECS compares these numbers as they are, strategy
/// by strategy; it normalises and weighs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The strategy.
    pub strategy: Strategy,
    /// Its score by row: tasks for `spread`, units or MiB left for `binpack`.
    pub scores: Vec<(usize, u64)>,
}

impl Recorder for Explanation {
    const IS_ON: bool = true;

    fn rejected(&mut self, row: usize, reason: Reason) {
        match self.rejected.last_mut() {
            Some((last, reasons)) if *last == row => reasons.push(reason),
            _ => self.rejected.push((row, vec![reason])),
        }
    }

    fn scored(&mut self, row: usize, strategy: &Strategy, score: u64) {
        // Rows ascend within a strategy, so one that does not begins the next strategy's.
        match self.terms.last_mut() {
            Some(term) if term.scores.last().is_some_and(|it| it.0 < row) => {
                term.scores.push((row, score));
            }
            _ => self.terms.push(Term { strategy: strategy.clone(), scores: vec![(row, score)] }),
        }
    }

    fn equal(&mut self, rows: &[usize]) {
        self.equal = rows.to_vec();
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, reasons) in &self.rejected {
            let reasons: Vec<String> = reasons.iter().map(Reason::to_string).collect();
            writeln!(f, "{row}: {}", reasons.join(", "))?;
        }
        for term in &self.terms {
            let scores: Vec<String> =
                term.scores.iter().map(|(row, score)| format!("{row}={score}")).collect();
            writeln!(f, "{}: {}", term.strategy, scores.join(" "))?;
        }
        write!(f, "equally good: {:?}", self.equal)
    }
}
