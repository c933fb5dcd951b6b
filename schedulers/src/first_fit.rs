//! First fit: the first node, in the order in which nodes joined, on which the task fits.
//!
//! Source: D. S. Johnson, A. Demers, J. D. Ullman, M. R. Garey, R. L. Graham, "Worst-case performance
//! bounds for simple one-dimensional packing algorithms", SIAM Journal on Computing 3(4), 1974.
//! Differs in packing several resources at once. With `tie=rank` the order is one given from outside,
//! with `tie=random` there is none left: a uniform draw.
//!
//! Cost: the rows up to the first that fits; all rows unless `tie=index`.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Sampling, Tie};
use cluster::chance::Chance;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "first-fit",
    summary: "the first node on which the task fits",
    source: "Johnson et al., SIAM J. Comput. 3(4), 1974",
    differs: "several resources, all of which must fit",
    cost: "the rows up to the first that fits",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "first-fit:tie=rank",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(FirstFit { tie })
}

/// First in the order that the tie rule names.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstFit {
    /// The order.
    pub tie: Tie,
}

impl Rank for FirstFit {
    type Key = ();
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn sampling(&mut self, _ask: Ask<'_>, _nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        match self.tie {
            Tie::LowestIndex => Sampling::First { start: 0 },
            Tie::Rank | Tie::Random => Sampling::All,
        }
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) {
        |_| ()
    }

    /// All that fit are alike.
    fn parts(&self, (): ()) -> Vec<Part> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_first_with_room() {
        check("first-fit", "1/8 4/1 4/8 8/16", "2/4 2/4 2/4", "n2 n2 n3");
    }

    #[test]
    fn goes_back_to_a_node_that_was_left() {
        check("first-fit", "2/4 2/4", "2/4 2/4 1/1 x0 1/1", "n0 n1 - n0");
    }

    #[test]
    fn follows_the_order_from_outside() {
        check("first-fit:tie=rank", "4/8~2 4/8~0 4/8~1", "3/1 3/1 3/1 1/1", "n1 n2 n0 n1");
    }

    #[test]
    fn opens_nodes_only_when_it_must() {
        check("first-fit:open=first", "1/8 4/8 2/8", "2/1 1/1 1/1 1/1", "n1 n1 n1 n0");
    }
}
