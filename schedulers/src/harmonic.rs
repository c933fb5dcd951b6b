//! Harmonic: nodes are kept for tasks of one class of size each.
//!
//! Source: C. C. Lee, D. T. Lee, "A simple on-line bin-packing algorithm", Journal of the ACM 32(3), 1985.
//! Class `i` holds items larger than `1/(i+1)` and at most `1/i`, the last class all that are smaller; a
//! bin takes items of one class only, so that `i` of them fill a bin of class `i`.
//! Differs in several resources: a task's size is its largest share of the largest node
//! ([`Scale`]), and a node is of the class of the largest task that it runs. Bins end
//! here: an empty node is of no class, and where neither a node of the class nor an empty one fits, the
//! task goes among another class, rather than wait. Within a class it is first fit; the original is next
//! fit, which is the same where tasks do not end before their bin is full.
//!
//! Exact. Cost: one pass over the nodes, and one over the tasks of nodes that changed since.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::per_node::PerNode;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use crate::scale::Scale;
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "harmonic",
    summary: "the first node that runs tasks of the same class of size, else an empty one, else any",
    source: "Lee and Lee, \"A simple on-line bin-packing algorithm\", J. ACM 32(3), 1985",
    differs: "size is the largest share of the largest node; classes mix before a task must wait",
    cost: "one pass over the nodes, and over the tasks of those that changed",
    parameters: &[
        Parameter {
            name: "classes",
            values: "a number from 2 to 64",
            default: "6",
            summary: "into how many classes tasks fall: in class i are those of more than 1/(i+1) and at most \
                      1/i of the largest node, in the last all that are smaller",
        },
        Parameter::TIE,
    ],
    example: "harmonic:classes=12",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let classes = arguments.number("classes", 2..=64)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let (scale, of_node) = (Scale::default(), PerNode::default());
    arguments.per_task(Harmonic { classes, tie, scale, of_node, asked: 0 })
}

/// First fit in each class.
#[derive(Debug, Clone)]
pub struct Harmonic {
    classes: u64,
    tie: Tie,
    scale: Scale,
    /// The class of each node; [`EMPTY`] where it runs nothing.
    of_node: PerNode<u64>,
    /// The class of the task at hand.
    asked: u64,
}

/// No class.
const EMPTY: u64 = 0;

/// How well a node suits a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suits {
    /// It is of that class.
    Same,
    /// It is of none.
    Empty,
    /// It is of another.
    Other,
}

impl Harmonic {
    /// The class of a task, from 1 for the largest.
    fn class(scale: &Scale, ask: Ask<'_>, classes: u64) -> u64 {
        let size = scale.asked(ask).into_iter().max().unwrap_or(0);
        scale.one().checked_div(size).unwrap_or(classes).clamp(1, classes)
    }
}

impl Rank for Harmonic {
    type Key = Suits;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    /// Classes are made anew of whatever state comes next.
    fn recall(&mut self, (): ()) {
        self.of_node.clear();
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.scale.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        let nodes = state.nodes();
        let before = self.scale.clone();
        self.scale.refresh(nodes);
        if self.scale != before {
            self.of_node.clear();
        }
        let (scale, classes) = (&self.scale, self.classes);
        self.asked = Self::class(scale, ask, classes);
        self.of_node.refresh(
            nodes,
            |_| false,
            |node| {
                let asks = state.tasks_on(node).iter().filter_map(|&id| {
                    let task = state.task(id)?;
                    Some(Ask { id, task, shape: state.shape(task.shape), ..ask })
                });
                asks.map(|it| Self::class(scale, it, classes)).min().unwrap_or(EMPTY)
            },
        );
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) -> Suits {
        let (classes, asked) = (self.of_node.values(), self.asked);
        move |node| match classes[node.row()] {
            EMPTY => Suits::Empty,
            class if class == asked => Suits::Same,
            _ => Suits::Other,
        }
    }

    fn parts(&self, suits: Suits) -> Vec<Part> {
        let text = match suits {
            Suits::Same => format!("runs tasks of class {}", self.asked),
            Suits::Empty => "empty".to_owned(),
            Suits::Other => format!("runs larger or smaller tasks than class {}", self.asked),
        };
        vec![Part::lowest("suits the class", suits as u8).said(text)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn a_node_is_kept_for_one_class() {
        // Of a node of 12 cores: 7 is class 1, 6 and 5 are class 2, 4 is class 3, 1 is class 6.
        let nodes = "12/12 12/12 12/12 12/12 12/12";
        check("harmonic", nodes, "7/0 6/0 5/0 4/0 1/0 4/0 1/0", "n0 n1 n1 n2 n3 n2 n3");
        check("harmonic", nodes, "7/0 5/0 1/0 1/0 6/0", "n0 n1 n2 n2 n1");
    }

    #[test]
    fn the_largest_share_is_the_size() {
        check("harmonic", "12/12 12/12 12/12", "1/6 6/1 1/1", "n0 n0 n1");
    }

    #[test]
    fn the_last_class_takes_all_that_are_small() {
        check("harmonic:classes=2", "12/12 12/12", "4/0 1/0 7/0 1/0", "n0 n0 n1 n0");
        check("harmonic:classes=64", "12/12 12/12 12/12", "4/0 1/0 0/0", "n0 n1 n2");
    }

    #[test]
    fn classes_mix_before_a_task_waits() {
        check("harmonic", "12/12 12/12", "7/0 4/0 5/0 1/0", "n0 n1 n0 n1");
    }

    #[test]
    fn an_empty_node_has_no_class_any_more() {
        check("harmonic", "12/12 12/12", "7/0 x0 4/0 7/0", "n0 n0 n1");
    }

    #[test]
    fn a_larger_node_makes_tasks_smaller() {
        // Half of 4 cores is class 2; a third of 12 is class 3.
        check("harmonic", "4/4 4/4", "2/0 2/0 1/0", "n0 n0 n1");
        check("harmonic", "4/4 4/4 12/12", "2/0 4/0 1/0", "n0 n1 n0");
    }
}
