//! Move to front: of the nodes in use, the one that was given a task last.
//!
//! Source: S. Kamali, A. López-Ortiz, "Efficient online strategies for renting servers in the cloud",
//! SOFSEM 2015: an any-fit rule for tasks that end, where a bin is paid for while anything runs in it. Bins
//! stand in a list; the first that fits takes the item and moves to the front. A bin that empties is
//! closed.
//! Differs in several resources, and in that bins are nodes: an empty one is taken only when no other fits,
//! in row order, wherever it stood in the list before. Tasks found running do not move their node.
//!
//! Exact. Cost: one pass over the nodes. Remembers a number per node.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "move-to-front",
    summary: "of the nodes in use the one that was given a task last; an empty one if none fits",
    source: "Kamali and López-Ortiz, \"Efficient online strategies for renting servers\", SOFSEM 2015",
    differs: "several resources; an empty node is taken in row order",
    cost: "one pass over the nodes; remembers a number per node",
    parameters: &[Parameter::TIE],
    example: "move-to-front:tie=random",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(MoveToFront { tie, list: List::default() })
}

/// Most recently given a task first.
#[derive(Debug, Clone, Default)]
pub struct MoveToFront {
    tie: Tie,
    list: List,
}

/// The order in which nodes were last given a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Tasks placed so far.
    placed: u64,
    /// Per row which of them was the last there, counted from 1; 0 or no row if there was none.
    last: Vec<u64>,
}

impl Rank for MoveToFront {
    /// Whether it is empty, and which task was its last.
    type Key = (bool, Reverse<u64>);
    type Memory = List;

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn memory(&self) -> List {
        self.list.clone()
    }

    fn recall(&mut self, list: List) {
        self.list = list;
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::Global
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn keys<'a>(
        &'a self,
        _ask: Ask<'a>,
        state: &'a State,
    ) -> impl Fn(NodeId) -> (bool, Reverse<u64>) {
        let (tasks, last) = (state.nodes().task_counts(), &self.list.last);
        move |node| match tasks[node.row()] {
            0 => (true, Reverse(0)),
            _ => (false, Reverse(last.get(node.row()).copied().unwrap_or(0))),
        }
    }

    fn parts(&self, (is_empty, Reverse(last)): (bool, Reverse<u64>)) -> Vec<Part> {
        let used = if is_empty { "empty" } else { "in use" };
        let given = match last {
            0 => "none yet".to_owned(),
            _ => format!("{} placements ago", self.list.placed - last),
        };
        vec![
            Part::lowest("empty", is_empty).said(used),
            Part::highest("its last placement", last).said(given),
        ]
    }

    fn placed(&mut self, node: NodeId) {
        let List { placed, last } = &mut self.list;
        if last.len() <= node.row() {
            last.resize(node.row() + 1, 0);
        }
        *placed += 1;
        last[node.row()] = *placed;
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn stays_with_the_node_it_used_last() {
        check("move-to-front", "4/8 4/8 4/8", "3/0 3/0 1/0 1/0", "n0 n1 n1 n0");
    }

    #[test]
    fn a_node_that_takes_a_task_moves_to_the_front() {
        // After four tasks the list is n0, n2, n1; first fit would go to n0, then to n1.
        let tasks = "3/0 3/0 3/0 1/0 1/0 1/0";
        check("move-to-front", "5/8 5/8 5/8", tasks, "n0 n1 n2 n2 n2 n1");
        check("move-to-front", "9/8 5/8 5/8", "8/0 4/0 4/0 1/0 x2 1/0", "n0 n1 n2 n2 n2");
    }

    #[test]
    fn an_empty_node_is_closed() {
        check("move-to-front", "4/8 4/8", "3/0 3/0 x1 1/0 3/0", "n0 n1 n0 n1");
    }

    #[test]
    fn nodes_are_opened_in_order() {
        check("move-to-front", "4/8~2 4/8~0 4/8~1", "4/0 4/0 4/0", "n0 n1 n2");
        check("move-to-front:tie=rank", "4/8~2 4/8~0 4/8~1", "4/0 4/0 4/0", "n1 n2 n0");
    }
}
