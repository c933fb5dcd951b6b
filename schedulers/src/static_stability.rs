//! Static stability: no more is placed than the zones that are left can hold when one is lost.
//!
//! Source: B. Weiss, M. Furr, "Static stability using Availability Zones", Amazon Builders' Library: what is
//! needed after a zone is lost must be there before, so that nothing has to be started elsewhere first; with
//! three zones, that is half as much again.
//! Two readings, by amounts:
//!
//! * `survive`: for every zone, all that is held in the cluster fits the nodes of the other zones.
//! * `even`: no zone is fuller than `(zones − 1) / zones` of what it offers, so that in equal zones every
//!   service that is balanced keeps its share by what already runs elsewhere.
//!
//! Tasks that may run go to the zone with the fewest of their group, then to that which is least full of any
//! resource that they ask for, then to the node of it with the least left.
//! Differs in being an admission rule of one cluster: services are not asked how much of them must survive,
//! and jobs count like services. Amounts are added up over nodes, so that what is left may still be in pieces
//! that are too small. Only resources that the task asks for are looked at; a node that is not ready holds
//! but offers nothing. Nothing survives a cluster of one zone, where the rule is void.
//!
//! A task that fits a node but would break the rule waits and is tried again at every decision, once for all
//! tasks that ask for the same.
//!
//! Exact, but for how full zones are, which is rounded down to 2^-32. Cost: one pass over the nodes, at
//! every decision for each kind of task that waits too.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::norm::{Measure, Norm};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::explain::{Rejection, Wins};
use cluster::ids::{NodeId, ZoneId};
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "static-stability",
    summary: "spread over zones, and no more than the other zones can hold when one is lost",
    source: "Weiss and Furr, \"Static stability using Availability Zones\", Amazon Builders' Library",
    differs: "amounts are added up over nodes; jobs count like services; void in a single zone",
    cost: "one pass over the nodes, at every decision for each kind of task that waits, too",
    parameters: &[
        Parameter {
            name: "rule",
            values: "survive|even",
            default: "survive",
            summary: "a task waits that would break it. survive: whichever zone is lost, the others could hold \
                      all that is held; even: no zone is filled above (zones - 1) / zones",
        },
        Parameter::TIE,
    ],
    example: "static-stability:even",
};

/// What keeps a task out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    Survive,
    Even,
}

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let rule = arguments.word("rule", &[("survive", Rule::Survive), ("even", Rule::Even)])?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let (left, zones, membership) = (Measure::new(Norm::L1), Vec::new(), None);
    arguments.per_task(StaticStability { rule, tie, left, zones, membership })
}

/// Zones that stay able to take over from each other.
#[derive(Debug, Clone)]
pub struct StaticStability {
    rule: Rule,
    tie: Tie,
    left: Measure,
    /// As they stand before the task at hand is placed.
    zones: Vec<Zone>,
    /// [`Nodes::membership`] when what zones offer was last counted.
    membership: Option<u64>,
}

/// One zone, for one task.
#[derive(Debug, Clone, Copy, Default)]
struct Zone {
    /// What its ready nodes offer.
    offered: [u64; 4],
    /// What tasks hold in it.
    held: [u64; 4],
    /// It has a ready node.
    is_there: bool,
    /// The task may be placed in it.
    admits: bool,
    /// Tasks of the same group in it.
    replicas: u32,
    /// How full it would be with the task, with 32 digits.
    load: u64,
}

/// Counts what zones offer.
fn offered(nodes: &Nodes) -> Vec<Zone> {
    let mut zones = vec![Zone::default(); nodes.zone_names().len()];
    for node in nodes.ids().filter(|it| nodes.ready()[it.row()]) {
        let zone = &mut zones[nodes.zones()[node.row()].row()];
        zone.is_there = true;
        for resource in Resource::SCALARS {
            zone.offered[resource.row()] += nodes.allocatable(resource)[node.row()];
        }
        zone.offered[Resource::Gpu.row()] += nodes.gpu_capacity(node);
    }
    zones
}

impl StaticStability {
    /// Works out which zones admit a task that asks for this.
    fn admit(&mut self, asked: [u64; 4]) {
        let (mut offered, mut held, mut there) = ([0; 4], [0_u64; 4], 0);
        for zone in &self.zones {
            for row in 0..4 {
                offered[row] += zone.offered[row];
                held[row] += zone.held[row];
            }
            there += u128::from(zone.is_there);
        }
        let rows = || (0..4).filter(|&it| asked[it] > 0);
        let survives = |lost: &Zone| {
            rows().all(|it| held[it].saturating_add(asked[it]) <= offered[it] - lost.offered[it])
        };
        let is_even = |zone: &Zone| {
            rows().all(|it| {
                let full = u128::from(zone.held[it]) + u128::from(asked[it]);
                full * there <= u128::from(zone.offered[it]) * (there - 1)
            })
        };
        let all_survive = self.zones.iter().filter(|it| it.is_there).all(survives);
        for at in 0..self.zones.len() {
            let zone = &self.zones[at];
            let admits = there <= 1
                || match self.rule {
                    Rule::Survive => all_survive,
                    Rule::Even => is_even(zone),
                };
            let load = rows()
                .map(|it| {
                    let full = zone.held[it].saturating_add(asked[it]).min(zone.offered[it]);
                    fixed::share(full, zone.offered[it])
                })
                .max();
            let zone = &mut self.zones[at];
            zone.admits = admits;
            zone.load = load.unwrap_or(0);
        }
    }
}

impl Rank for StaticStability {
    /// Tasks of the group in the zone, how full the zone would be, what is left on the node.
    type Key = (u32, u64, u64);
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::Global
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    /// What zones offer is counted anew in whatever state comes next.
    fn recall(&mut self, (): ()) {
        self.membership = None;
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.left.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        let nodes = state.nodes();
        self.left.refresh(nodes);
        if self.membership != Some(nodes.membership()) {
            self.membership = Some(nodes.membership());
            self.zones = offered(nodes);
        }
        for (zone, totals) in self.zones.iter_mut().zip(nodes.zone_totals()) {
            zone.held = totals.held;
        }
        self.admit(ask.shape.totals());
        let group = ask.task.group.and_then(|it| state.group(it));
        for (at, zone) in self.zones.iter_mut().enumerate() {
            zone.replicas = group.map_or(0, |it| it.in_zone(ZoneId(at as u16)));
        }
    }

    /// Zones only become fuller.
    const REFUSES_ALIKE: bool = true;

    fn accepts(&self, _ask: Ask<'_>, node: NodeId, state: &State) -> bool {
        self.zones[state.nodes().zones()[node.row()].row()].admits
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> (u32, u64, u64) {
        let left = self.left.reader(ask, state.nodes());
        let zones = state.nodes().zones();
        move |node| {
            let zone = &self.zones[zones[node.row()].row()];
            (zone.replicas, zone.load, left.of(node))
        }
    }

    fn parts(&self, (replicas, load, left): (u32, u64, u64)) -> Vec<Part> {
        vec![
            Part::lowest("tasks of the group in the zone", replicas),
            Part::lowest("fullest share of the zone", load).over(fixed::ONE as f64),
            self.left.part(left, Wins::Lowest),
        ]
    }

    fn objection(&self, _ask: Ask<'_>, node: NodeId, state: &State) -> Rejection {
        let zone = state.nodes().zones()[node.row()];
        let name = state.nodes().zone_names().text(zone.0.into());
        Rejection::new(
            "static stability",
            match self.rule {
                Rule::Survive => {
                    "without some zone the others could not hold all that would be held".to_owned()
                }
                Rule::Even => format!("zone {name} would be fuller than (zones - 1) / zones"),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn what_is_held_fits_the_zones_that_are_left() {
        // Of 12 cores 8 are left when a zone is lost.
        let tasks = "3/0 3/0 2/0 1/0 0/4";
        check("static-stability", "4/8@a 4/8@b 4/8@c", tasks, "n0 n1 n2 - n0");
    }

    #[test]
    fn the_largest_zone_is_the_one_to_lose() {
        // 8 of 12 cores are in zone a, so that 4 are left without it.
        check("static-stability", "8/8@a 4/8@b", "3/0 1/0 1/0", "n0 n1 -");
        // Half of either zone.
        check("static-stability:even", "8/8@a 4/8@b", "3/0 1/0 1/0 2/0", "n0 n1 n1 -");
    }

    #[test]
    fn no_zone_is_fuller_than_its_part() {
        // Two thirds of 6 cores are 4; in zone c they are taken by one task.
        let tasks = "4/0 4/0 4/0 1/0";
        check("static-stability:even", "6/8@a 6/8@b 6/8@c", tasks, "n0 n1 n2 -");
    }

    #[test]
    fn room_that_comes_back_is_used() {
        check("static-stability", "4/8@a 4/8@b", "2/0 2/0 1/0 x0 1/0 1/0", "n0 n1 - n0 -");
    }

    #[test]
    fn spreads_a_group_over_zones_first() {
        let nodes = "8/8@a 4/4@b 2/2@b 8/8@c";
        check("static-stability", nodes, "1/0:1 1/0:1 1/0:1 1/0:1", "n0 n3 n2 n0");
    }

    #[test]
    fn a_task_without_a_group_goes_to_the_emptiest_zone() {
        check("static-stability", "8/8@a 4/4@b 2/2@b", "1/1 1/1 1/1", "n0 n2 n0");
    }

    #[test]
    fn a_single_zone_has_nothing_to_fall_back_on() {
        check("static-stability", "4/8 4/8", "4/0 4/0 1/0", "n0 n1 -");
        check("static-stability:even", "4/8", "4/0", "n0");
    }

    #[test]
    fn devices_are_kept_free_too() {
        check("static-stability", "8/8+2@a 8/8+2@b", "1/1+1 1/1+1 1/1+1 1/1", "n0 n1 - n0");
    }
}
