//! Zone outage: how much of its services the cluster really lost when a zone went.

use super::{Entry, Metric, Moment, Sampled, none};
use crate::average::share;
use crate::column::{Better, Card, Column, Unit};
use crate::group_zones::Population;
use cluster::event::{Facts, TaskKind};
use cluster::ids::{GroupId, NodeId, ZoneId};
use cluster::nodes::NodeStatus;
use cluster::units::{Instant, Span};
use std::collections::BTreeMap;

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns: none };

const CARD: Card = Card {
    name: "zone-outage",
    title: "Service lost in a zone outage",
    definition: "An outage is a burst of node losses at one instant after which a zone has no node \
        left. For each outage and each service with at least two tasks placed just before it: the \
        share of those tasks that lost their node in the outage. The worst over all outages and \
        services, and the mean over all pairs of outage and service, untouched services included. \
        Empty if no zone went out. A run without services counts all groups instead and says so.",
    source: "Ours; the actual counterpart of zone exposure.",
};

fn columns() -> Vec<Column> {
    vec![
        Column::new(
            "zone_outages",
            Unit::Times,
            Better::Neither,
            "zone outages",
            "Instants at which at least one whole zone was lost.",
        ),
        Column::new(
            "zone_outage_lost_share_mean",
            Unit::Share,
            Better::Lower,
            "mean loss in zone outage",
            "Share of a service's tasks lost in a zone outage, mean over services and outages.",
        ),
        Column::new(
            "zone_outage_lost_share_max",
            Unit::Share,
            Better::Lower,
            "worst loss in zone outage",
            "Largest share of any service's tasks lost in a zone outage.",
        )
        .headline(),
    ]
}

#[derive(Default)]
pub(super) struct ZoneOutage {
    /// The instant that the burst is about.
    at: Instant,
    /// Groups with two or more tasks before the burst, per population.
    groups_before: [u64; 2],
    /// Tasks that each group lost in each zone at this instant, and how many it had before.
    lost: BTreeMap<(ZoneId, GroupId), Loss>,
    /// Zones that lost a node at this instant.
    zones: Vec<ZoneId>,
    outages: u64,
    /// Per population.
    pairs: [u64; 2],
    sum: [f64; 2],
    worst: [Option<f64>; 2],
}

#[derive(Clone, Copy, Default)]
struct Loss {
    is_service: bool,
    tasks: u64,
    before: u64,
}

impl ZoneOutage {
    /// A node is lost: if it is the first of this instant, a burst begins.
    fn begin(&mut self, at: &Moment<'_>) {
        if self.zones.is_empty() || self.at != at.now {
            self.at = at.now;
            self.groups_before = Population::ALL.map(|it| at.groups.tally(it).groups);
        }
    }

    /// The instant is over: judges whether a zone went out, and what that took.
    fn judge(&mut self, at: &Moment<'_>) {
        if self.zones.is_empty() {
            return;
        }
        let totals = at.state.nodes().zone_totals();
        let mut zones = std::mem::take(&mut self.zones);
        zones.sort_unstable();
        zones.dedup();
        zones.retain(|it| totals[it.row()].nodes == 0);
        let lost = std::mem::take(&mut self.lost);
        if zones.is_empty() {
            return;
        }
        self.outages += 1;
        let mut per_group: BTreeMap<GroupId, Loss> = BTreeMap::new();
        for ((zone, group), loss) in lost {
            if zones.binary_search(&zone).is_ok() {
                let sum = per_group.entry(group).or_insert(Loss { tasks: 0, ..loss });
                sum.tasks += loss.tasks;
            }
        }
        for population in Population::ALL {
            let row = population as usize;
            self.pairs[row] += self.groups_before[row];
            if self.groups_before[row] > 0 {
                self.worst[row] = self.worst[row].or(Some(0.0));
            }
            for loss in per_group.values() {
                if population == Population::Services && !loss.is_service {
                    continue;
                }
                let lost = share(loss.tasks.min(loss.before), loss.before).unwrap_or(0.0);
                self.sum[row] += lost;
                self.worst[row] = self.worst[row].map(|it| it.max(lost));
            }
        }
    }
}

impl Metric for ZoneOutage {
    fn interrupted(&mut self, at: &Moment<'_>, task: &Facts, node: NodeId) {
        let nodes = at.state.nodes();
        if nodes.status(node) != NodeStatus::Lost {
            return;
        }
        self.begin(at);
        if let Some(group) = task.group
            && let Some(before) = at.groups.spread(group)
        {
            let loss = self.lost.entry((nodes.zones()[node.row()], group)).or_default();
            loss.is_service = task.kind == TaskKind::Service;
            loss.tasks += 1;
            loss.before = u64::from(before.placed);
        }
    }

    fn node_lost(&mut self, at: &Moment<'_>, node: NodeId) {
        self.begin(at);
        self.zones.push(at.state.nodes().zones()[node.row()]);
    }

    #[inline]
    fn advance(&mut self, at: &Moment<'_>, _: Span) {
        if !self.zones.is_empty() {
            self.judge(at);
        }
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        self.judge(at);
        let row = at.groups.population() as usize;
        let pairs = self.pairs[row];
        out.push(Some(self.outages as f64));
        out.push((pairs > 0).then(|| self.sum[row] / pairs as f64));
        out.push(self.worst[row]);
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn an_outage_takes_the_share_in_its_zone() {
        // g1 loses 2 of 3, g2 none of 2. b alone is not the zone.
        check(
            "rules autostart
             0 node a z1 9/9
             0 node b z1 9/9
             0 node c z2 9/9
             0 submit 1 1/1 g1 service @a
             0 submit 2 1/1 g1 service @b
             0 submit 3 1/1 g1 service @c
             0 submit 4 1/1 g2 service @c
             0 submit 5 1/1 g2 service @c
             10 lose a
             10 lose b
             20 end",
            &[
                ("zone_outages", "1"),
                ("zone_outage_lost_share_mean", "0.3333333333333333"),
                ("zone_outage_lost_share_max", "0.6666666666666666"),
            ],
        );
    }

    #[test]
    fn a_zone_that_keeps_a_node_is_not_out() {
        check(
            "0 node a z1 9/9
             0 node b z1 9/9
             0 submit 1 1/1 g1 service @a
             0 submit 2 1/1 g1 service @a
             10 lose a
             20 end",
            &[
                ("zone_outages", "0"),
                ("zone_outage_lost_share_mean", "-"),
                ("zone_outage_lost_share_max", "-"),
            ],
        );
    }

    #[test]
    fn nodes_lost_one_after_the_other_lose_only_what_is_left() {
        // At 10 s the zone still has b; at 11 s it is out, and takes 1 of the 2 tasks then placed.
        check(
            "0 node a z1 9/9
             0 node b z1 9/9
             0 node c z2 9/9
             0 submit 1 1/1 g1 service @a end-on-loss
             0 submit 2 1/1 g1 service @b
             0 submit 3 1/1 g1 service @c
             10 lose a
             11 lose b
             20 end",
            &[("zone_outages", "1"), ("zone_outage_lost_share_max", "0.5")],
        );
    }
}
