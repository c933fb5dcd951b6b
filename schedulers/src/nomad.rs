//! What `nomad-binpack` and `nomad-spread` share: HashiCorp Nomad's way to a node.
//!
//! Source: HashiCorp Nomad's scheduler, its documentation ("Scheduling", "Placement") and its published
//! behaviour in version 1: nodes are shuffled and filtered; of those that fit only a few are scored, two for
//! a batch job and for a service `log2` of the number of nodes, rounded up, at least two. A node's score is
//! the mean of those of its parts that apply:
//!
//! * fit: `20 − 10^cpu − 10^memory` for bin packing, where the exponents are the shares that stay free;
//!   `10^cpu + 10^memory − 2` for spreading; either between 0 and 18, over 18. From Google's BestFit v3.
//! * anti-affinity, if the node runs tasks of the same group: less one more than their number, over the
//!   number that the group wants.
//!
//! Nodes with a score of zero or less do not count as one of the few, up to three of them. The best score
//! wins, the first of equals in shuffled order.
//! Differs in shuffling anew for each task, not once for each evaluation; a group's wanted number is that of
//! its service, else one more than it has; affinities, spread blocks, penalties for former nodes and
//! preemption are not there, nor a share of a node that is reserved.
//!
//! Shares that stay free are rounded down to 2^-32, powers are those of [`fixed`], and scores
//! are rounded down to 2^-60.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Sampling, Tie};
use cluster::chance::Chance;
use cluster::demand::Resource;
use cluster::event::TaskKind;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::cmp::Reverse;

/// The parameters of both.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "nodes",
        values: "few|all",
        default: "few",
        summary: "how many are scored: a few drawn at random, as Nomad does, or all that fit",
    },
    Parameter {
        name: "tie",
        values: "index|rank|random",
        default: "random",
        summary: "what decides between equally good nodes: index is the one that joined first, rank \
                  the one with the lowest rank in the nodes file, random a uniform draw",
    },
];

/// Up to so many low scorers are passed over.
const SKIPPED_MAX: usize = 3;

/// The number one in scores.
const ONE: i128 = 1 << fixed::DIGITS;

/// Which fit is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fit {
    /// A full node.
    Binpack,
    /// An empty one.
    Spread,
}

/// Reads the arguments of a policy.
pub(crate) fn plan(
    arguments: &mut Arguments<'_>,
    card: &'static Card,
    fit: Fit,
) -> Result<Plan, PolicyError> {
    let looks_at_all = arguments.word("nodes", &[("few", false), ("all", true)])?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let limit = usize::MAX;
    arguments.per_task(Nomad { card, fit, looks_at_all, tie, limit, log_ten: fixed::log2(10) })
}

/// Highest score of a few first.
#[derive(Debug, Clone)]
pub(crate) struct Nomad {
    card: &'static Card,
    fit: Fit,
    looks_at_all: bool,
    tie: Tie,
    /// How many nodes are scored for the task at hand.
    limit: usize,
    log_ten: u64,
}

impl Nomad {
    /// How well a task fits where these shares of cpu and memory stay free, from 0 to one.
    fn fit(&self, shares: [u64; 2]) -> i128 {
        let power = |share: u64| {
            if share == fixed::ONE {
                // A node that is all free scores zero, which is looked at.
                return 10 * ONE;
            }
            let exponent = (u128::from(self.log_ten) * u128::from(share)) >> 32;
            fixed::exp2(exponent as u64) as i128
        };
        let total = power(shares[0]) + power(shares[1]);
        let score = match self.fit {
            Fit::Binpack => 20 * ONE - total,
            Fit::Spread => total - 2 * ONE,
        };
        score.clamp(0, 18 * ONE) / 18
    }
}

impl Rank for Nomad {
    type Key = Reverse<i128>;
    type Memory = ();

    fn card(&self) -> &'static Card {
        self.card
    }

    /// How few nodes are scored depends on how many are ready, and a service's wanted number may change.
    fn locality(&self, ask: Ask<'_>) -> Locality {
        match ask.task.group {
            None if self.looks_at_all => Locality::NodeLocal,
            _ => Locality::Global,
        }
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn sampling(&mut self, ask: Ask<'_>, nodes: &Nodes, _chance: &mut Chance) -> Sampling {
        if self.looks_at_all {
            return Sampling::All;
        }
        let ready = nodes.ready().iter().filter(|it| **it).count();
        let logarithm = ready.next_power_of_two().ilog2() as usize;
        self.limit = match ask.task.kind {
            TaskKind::Job => 2,
            TaskKind::Service => logarithm.max(2),
        };
        Sampling::Random { d: self.limit + SKIPPED_MAX }
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> Reverse<i128> {
        let nodes = state.nodes();
        let asked = ask.shape.amounts;
        let group = ask.task.group.and_then(|it| state.group(it));
        let service = ask.task.group.and_then(|it| state.service(it));
        let wanted = match (service, group) {
            (Some(service), _) => service.spec.desired.max(1),
            (None, group) => group.map_or(0, |it| it.placed()) + 1,
        };
        move |node| {
            let stays_free = |resource: Resource| {
                let (free, offered) = fixed::free_and_offered(nodes, resource, node);
                fixed::share(free - asked[resource.row()], offered)
            };
            let fit = self.fit([stays_free(Resource::Cpu), stays_free(Resource::Memory)]);
            let others = group.map_or(0, |it| it.on_node(node));
            if others == 0 {
                return Reverse(fit);
            }
            let anti_affinity = (-(i128::from(others) + 1) * ONE).div_euclid(wanted.into());
            Reverse((fit + anti_affinity).div_euclid(2))
        }
    }

    fn parts(&self, Reverse(score): Reverse<i128>) -> Vec<Part> {
        vec![Part::highest("score", score).over(ONE as f64)]
    }

    fn is_in_the_running(&self, Reverse(score): Reverse<i128>) -> bool {
        score != i128::MIN
    }

    const NORMALISES: bool = true;

    /// Puts those out of the running that Nomad would not have come to.
    fn normalise(
        &mut self,
        _ask: Ask<'_>,
        candidates: &mut [(NodeId, Reverse<i128>)],
        _state: &State,
    ) {
        if self.looks_at_all {
            return;
        }
        pass_over(candidates, self.limit);
    }
}

/// Of candidates in shuffled order, keeps the scores of the `limit` that Nomad comes to.
fn pass_over(candidates: &mut [(NodeId, Reverse<i128>)], limit: usize) {
    let (mut seen, mut skipped) = (0, 0);
    let mut low = [0; SKIPPED_MAX];
    for (at, (_, Reverse(score))) in candidates.iter_mut().enumerate() {
        if *score <= 0 && skipped < SKIPPED_MAX {
            low[skipped] = at;
            skipped += 1;
        } else if seen < limit {
            seen += 1;
        } else {
            *score = i128::MIN;
        }
    }
    // Low scorers are come back to if there were too few others.
    for &at in low[..skipped].iter().skip(limit - seen) {
        candidates[at].1.0 = i128::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nomad(fit: Fit) -> Nomad {
        Nomad {
            card: &crate::nomad_binpack::CARD,
            fit,
            looks_at_all: false,
            tie: Tie::Random,
            limit: 2,
            log_ten: fixed::log2(10),
        }
    }

    /// Of 18, in thousandths.
    fn of_18(fit: Fit, shares: [u64; 2]) -> i128 {
        nomad(fit).fit(shares) * 18_000 / ONE
    }

    #[test]
    fn fits_are_those_published() {
        let (none, half, all) = (0, fixed::ONE / 2, fixed::ONE);
        assert_eq!(of_18(Fit::Binpack, [half, half]), 13_675);
        assert_eq!(of_18(Fit::Spread, [half, half]), 4_324, "4.3246, cut off");
        assert_eq!(of_18(Fit::Binpack, [none, none]), 18_000);
        assert_eq!(of_18(Fit::Spread, [none, none]), 0);
        assert_eq!(of_18(Fit::Binpack, [all, all]), 0);
        assert_eq!(of_18(Fit::Spread, [all, all]), 18_000);
        assert_eq!(of_18(Fit::Binpack, [none, half]), 15_837);
    }

    /// Which of these scores, in shuffled order, may win.
    #[track_caller]
    fn check_seen(scores: &[i128], want: &[i128]) {
        let mut candidates: Vec<_> = scores.iter().map(|&it| (NodeId(0), Reverse(it))).collect();
        pass_over(&mut candidates, 2);
        let seen = candidates.into_iter().map(|it| it.1.0).filter(|&it| it > i128::MIN);
        assert_eq!(seen.collect::<Vec<_>>(), want, "{scores:?}");
    }

    #[test]
    fn low_scorers_are_passed_over() {
        check_seen(&[5, 6, 7, 8, 9], &[5, 6]);
        check_seen(&[-1, 5, 0, 7, 8], &[5, 7]);
        check_seen(&[-1, -2, -3, -4, 5], &[-4, 5]);
        check_seen(&[-1, 5, -2], &[-1, 5]);
        check_seen(&[-1, -2, -3], &[-1, -2]);
        check_seen(&[5], &[5]);
        check_seen(&[], &[]);
    }
}
