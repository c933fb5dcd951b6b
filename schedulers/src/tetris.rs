//! Tetris: the node whose free amounts point most in the direction of what the task asks for, each taken
//! as a share of that node.
//!
//! Source: R. Grandl, G. Ananthanarayanan, S. Kandula, S. Rao, A. Akella, "Multi-resource packing for
//! cluster schedulers", SIGCOMM 2014: alignment is the dot product of the task's demands and what the
//! machine has free, both normalised by the machine's capacity.
//! Differs in being that part alone. In the paper a machine with free room picks among tasks, by alignment
//! together with shortest remaining work; here the queue's rules pick the task, and the strategy its node.
//! The penalty for reading from afar needs to know where data is, and disk and network rates are no
//! resources here; the fairness and barrier knobs belong to the queue too.
//! [`dot_product`](crate::dot_product) with `equal` weights is the same on shares of the largest node.
//!
//! Both shares are rounded down to 2^-32 before they are multiplied.
//!
//! Cost: one pass over the nodes that fit, two divisions for each resource asked for.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "tetris",
    summary: "the node that aligns best: the dot product of what is asked for and what is free, as \
              shares of the node",
    source: "Grandl et al., \"Multi-resource packing for cluster schedulers\", SIGCOMM 2014",
    differs: "alignment alone; which task is next, fairness and remote reads are left to others",
    cost: "one pass over the nodes, two divisions a resource",
    parameters: &[Parameter::TIE, Parameter::OPEN],
    example: "tetris:open=first",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let tie = arguments.word("tie", Tie::WORDS)?;
    arguments.per_task(Tetris { tie })
}

/// Largest alignment first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tetris {
    tie: Tie,
}

impl Rank for Tetris {
    type Key = Reverse<u128>;
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

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<u128> {
        let nodes = state.nodes();
        let asked = ask.shape.totals();
        move |node| {
            let mut alignment = 0;
            for resource in Resource::ALL {
                let asked = asked[resource.row()];
                if asked > 0 {
                    let (free, offered) = fixed::free_and_offered(nodes, resource, node);
                    let share = |amount| u128::from(fixed::share(amount, offered));
                    alignment += share(asked) * share(free);
                }
            }
            Reverse(alignment)
        }
    }

    fn parts(&self, Reverse(alignment): Reverse<u128>) -> Vec<Part> {
        let one = (fixed::ONE as f64).powi(2);
        vec![Part::highest("alignment of asked and free", alignment).over(one)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn goes_where_the_wanted_resource_is_free() {
        // After the first two tasks n0 has memory left and n1 cpu.
        check("tetris", "8/8 8/8", "6/1 1/6 2/1 1/2", "n0 n1 n1 n0");
    }

    #[test]
    fn shares_are_of_the_node_itself() {
        // One core is a half of n1 and an eighth of n0, both are empty.
        check("tetris", "8/8 2/8", "1/0", "n1");
        check("dot-product:equal", "8/8 2/8", "1/0", "n0");
    }

    #[test]
    fn a_node_in_use_has_less_to_align_with() {
        // 1/4 of n0 by 4/4, then by 3/4; 1/5 of n1 by 5/5: 0.25, then 0.1875 and 0.2.
        check("tetris", "4/8 5/8", "1/0 1/0 1/0", "n0 n1 n0");
        check("tetris:open=first", "4/8 5/8", "1/0 1/0 1/0", "n0 n0 n0");
    }

    #[test]
    fn devices_are_a_resource() {
        check("tetris", "8/8+1 8/8+4", "1/1+1 1/1", "n0 n1");
    }
}
