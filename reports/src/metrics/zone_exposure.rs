//! Zone exposure: how much of a service the loss of one zone would take.

use super::zone_balance::has_zones;
use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};
use crate::group_zones::{ONE, Population, Tally};
use cluster::units::Span;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(ZoneExposure::default()) };

const CARD: Card = Card {
    name: "zone-exposure",
    title: "Zone exposure",
    definition: "Share of a service's placed tasks in its fullest zone: what it would lose if that \
        zone went. Mean over services with at least two placed tasks, weighted by time, and the worst \
        that lasted. It is hypothetical: no zone need fail in the run. The least possible is one over \
        the number of zones, and 1/2 for a service of two tasks. A run without services counts all \
        groups instead and says so. No value on a cluster of one zone.",
    source: "Ours, after the reason that ECS gives for spreading over availability zones.",
};

fn columns() -> Vec<Column> {
    let share = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Share, Better::Lower, title, summary)
    };
    vec![
        share(
            "zone_exposure_share_mean",
            "zone exposure, mean",
            "Share of a service that the loss of its fullest zone would take.",
        )
        .headline(),
        share(
            "zone_exposure_share_max",
            "zone exposure, worst",
            "The most exposed service's share.",
        ),
    ]
}

fn sample_columns() -> Vec<Column> {
    vec![Column::new(
        "zone_exposure_share",
        Unit::Share,
        Better::Lower,
        "zone exposure",
        "Share of a service in its fullest zone, mean over services.",
    )]
}

#[derive(Default)]
struct ZoneExposure {
    over_time: [OverTime; 2],
}

/// Of one population; shares in units of 1/[`ONE`].
#[derive(Default)]
struct OverTime {
    exposure: u128,
    groups: u128,
    last: Option<f64>,
    worst: Option<u64>,
}

fn mean_of(tally: Tally) -> Option<f64> {
    (tally.groups > 0).then(|| tally.exposure as f64 / ONE as f64 / tally.groups as f64)
}

impl Metric for ZoneExposure {
    fn advance(&mut self, at: &Moment<'_>, length: Span) {
        for population in Population::ALL {
            let tally = at.groups.tally(population);
            let it = &mut self.over_time[population as usize];
            it.exposure += tally.exposure * u128::from(length.0);
            it.groups += u128::from(tally.groups) * u128::from(length.0);
            it.last = mean_of(tally);
            for spread in at.groups.settled() {
                if spread.is_service || population == Population::Groups {
                    it.worst = it.worst.max(Some(spread.exposure));
                }
            }
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let tally = at.groups.tally(at.groups.population());
        out.push(mean_of(tally).filter(|_| has_zones(at)));
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let it = &self.over_time[at.groups.population() as usize];
        let mean = match it.groups {
            0 => it.last,
            groups => Some(it.exposure as f64 / ONE as f64 / groups as f64),
        };
        let has_zones = has_zones(at);
        out.push(mean.filter(|_| has_zones));
        out.push(it.worst.map(|it| it as f64 / ONE as f64).filter(|_| has_zones));
    }
}
