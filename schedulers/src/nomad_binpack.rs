//! HashiCorp Nomad with the scheduler algorithm `binpack`, its default: the fullest of a few nodes, but not
//! beside tasks of the same group.
//!
//! Source, differences and rounding: [`nomad`].
//!
//! Cost: a few nodes drawn and scored, two powers each, and one pass to count those that are ready.

use crate::card::Card;
use crate::nomad::{self, Fit};
use crate::policy::{Arguments, Plan, PolicyError};

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "nomad-binpack",
    summary: "HashiCorp Nomad: the fullest of a few nodes, but not beside tasks of the same group",
    source: "HashiCorp Nomad, scheduler algorithm `binpack`; scores after Google's BestFit v3",
    differs: "shuffled for each task; no affinities, spread blocks, reserved shares or preemption",
    cost: "a few nodes, two powers each",
    parameters: nomad::PARAMETERS,
    example: "nomad-binpack:all",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    nomad::plan(arguments, &CARD, Fit::Binpack)
}

#[cfg(test)]
mod tests {
    use crate::check::{check, run};

    #[test]
    fn takes_the_fullest_node() {
        check("nomad-binpack:all", "8/8 4/4 6/6", "1/1 1/1 3/3 1/1", "n1 n1 n2 n1");
    }

    #[test]
    fn disk_and_devices_do_not_count() {
        check("nomad-binpack:all,tie=index", "4/4+4 4/4", "1/1", "n0");
        check("nomad-binpack:all,tie=index", "4/0 4/4", "1/0", "n0");
    }

    #[test]
    fn shuns_tasks_of_its_group() {
        // Alone the second task would join the first, as the third does, which is of another group.
        check("nomad-binpack:all,tie=index", "8/8 8/8", "1/1:1 1/1:1 1/1:2", "n0 n1 n0");
    }

    #[test]
    fn a_small_cluster_is_seen_whole() {
        check("nomad-binpack", "8/8 4/4", "1/1 1/1", "n1 n1");
    }

    #[test]
    fn few_of_many_are_scored() {
        let nodes = "8/8 8/8 8/8 8/8 8/8 8/8 8/8 8/8 8/8 2/2";
        check("nomad-binpack:all", nodes, "1/1", "n9");
        let got = run("nomad-binpack", nodes, "1/1 1/1 1/1");
        assert!(got != run("nomad-binpack:all", nodes, "1/1 1/1 1/1"), "{got}");
    }
}
