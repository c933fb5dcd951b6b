//! HashiCorp Nomad with the scheduler algorithm `spread`: the emptiest of a few nodes, and not beside tasks
//! of the same group.
//!
//! Source, differences and rounding: [`nomad`].
//!
//! Cost: a few nodes drawn and scored, two powers each, and one pass to count those that are ready.

use crate::card::Card;
use crate::nomad::{self, Fit};
use crate::policy::{Arguments, Plan, PolicyError};

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "nomad-spread",
    summary: "HashiCorp Nomad: the emptiest of a few nodes, and not beside tasks of the same group",
    source: "HashiCorp Nomad, scheduler algorithm `spread`",
    differs: "shuffled for each task; no affinities, spread blocks, reserved shares or preemption",
    cost: "a few nodes, two powers each",
    parameters: nomad::PARAMETERS,
    example: "nomad-spread:all",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    nomad::plan(arguments, &CARD, Fit::Spread)
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_emptiest_node() {
        check("nomad-spread:all,tie=index", "8/8 4/4 6/6", "1/1 1/1 1/1", "n0 n2 n0");
    }

    #[test]
    fn shares_are_of_the_node_itself() {
        // The third leaves n0 with 3/4, and n1 with 2/8.
        check("nomad-spread:all", "4/4 8/8", "2/2 3/3 1/1", "n1 n1 n0");
    }

    #[test]
    fn shuns_tasks_of_its_group() {
        // Without groups the large node would take both.
        check("nomad-spread:all", "32/32 8/8", "1/1 1/1", "n0 n0");
        check("nomad-spread:all", "32/32 8/8", "1/1:1 1/1:1", "n0 n1");
    }
}
