//! Zone exposure: how much of a service the loss of one zone would take.

use super::zone_balance::has_zones;
use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

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
            "mean zone exposure",
            "Share of a service that the loss of its fullest zone would take.",
        )
        .headline(),
        share(
            "zone_exposure_share_max",
            "worst zone exposure",
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
pub(super) struct ZoneExposure;

impl Metric for ZoneExposure {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let tally = at.groups.tally(at.groups.population());
        out.push(tally.exposure_mean().filter(|_| has_zones(at)));
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let (mean, worst) = at.groups.exposure();
        let has_zones = has_zones(at);
        out.push(mean.filter(|_| has_zones));
        out.push(worst.filter(|_| has_zones));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{check, run};

    #[test]
    fn exposure_is_the_share_in_the_fullest_zone() {
        // (3, 1): 3/4. After 10 s (2, 1): 2/3; at 20 s one task alone is no service to spread.
        let report = run("rules autostart
             0 node a z1 9/9
             0 node b z2 9/9
             0 submit 1 1/1 g1 service @a
             0 submit 2 1/1 g1 service @a
             0 submit 3 1/1 g1 service @a
             0 submit 4 1/1 g1 service @b
             10 cancel 1
             20 cancel 2
             20 cancel 3
             40 end");
        let mean = report.value("zone_exposure_share_mean").unwrap();
        assert!((mean - (0.75 + 2.0 / 3.0) / 2.0).abs() < 1e-9, "{mean}");
        assert_eq!(report.value("zone_exposure_share_max"), Some(0.75));
    }

    #[test]
    fn what_did_not_last_does_not_count() {
        // Both tasks of g1 start in z1, and one moves on at the same instant.
        check(
            "0 node a z1 9/9
             0 node b z2 9/9
             0 adopt 1 1/1 a g1 service
             0 adopt 2 1/1 a g1 service
             0 cancel 2
             0 adopt 3 1/1 b g1 service
             10 end",
            &[("zone_exposure_share_max", "0.5")],
        );
    }
}
