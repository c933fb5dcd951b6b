//! Zone balance: how unevenly a service is spread over zones.

use super::{Entry, Metric, Moment, Sampled};
use crate::column::{Better, Card, Column, Unit};

pub(super) const ENTRY: Entry = Entry { card: &CARD, columns, sample_columns };

const CARD: Card = Card {
    name: "zone-balance",
    title: "Zone balance",
    definition: "Skew of a service: tasks in its fullest zone less tasks in its emptiest, over all \
        zones that have a node that is not lost. Mean over services with at least two placed tasks, \
        weighted by time, and the worst that lasted. A run without services counts all groups \
        instead and says so. No value on a cluster of one zone.",
    source: "maxSkew of Kubernetes' pod topology spread constraints; the aim of ECS' \
        spread(attribute:ecs.availability-zone).",
};

fn columns() -> Vec<Column> {
    let tasks = |name: &str, title: &str, summary: &str| {
        Column::new(name, Unit::Tasks, Better::Lower, title, summary)
    };
    vec![
        tasks("zone_skew_tasks_mean", "mean zone skew", "Fullest less emptiest zone of a service."),
        tasks("zone_skew_tasks_max", "worst zone skew", "Largest zone skew of any service."),
    ]
}

fn sample_columns() -> Vec<Column> {
    vec![Column::new(
        "zone_skew_tasks",
        Unit::Tasks,
        Better::Lower,
        "zone skew",
        "Fullest less emptiest zone, mean over services.",
    )]
}

#[derive(Default)]
pub(super) struct ZoneBalance;

/// Whether there is more than one zone to be spread over.
pub(super) fn has_zones(at: &Moment<'_>) -> bool {
    at.state.nodes().zone_names().len() >= 2
}

impl Metric for ZoneBalance {
    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let tally = at.groups.tally(at.groups.population());
        out.push(tally.skew_mean().filter(|_| has_zones(at)));
    }

    fn finish(&mut self, at: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        let (mean, worst) = at.groups.skew();
        let has_zones = has_zones(at);
        out.push(mean.filter(|_| has_zones));
        out.push(worst.map(f64::from).filter(|_| has_zones));
    }
}

#[cfg(test)]
mod tests {
    use crate::run_report::Grouping;
    use crate::scenario::{check, run};

    #[test]
    fn services_are_compared_over_zones() {
        // Skew 2 (3, 1) for 10 s, then 1 (2, 1) for 10 s. The job's group does not count.
        check(
            "rules autostart
             0 node a z1 9/9
             0 node b z2 9/9
             0 submit 1 1/1 g1 service @a
             0 submit 2 1/1 g1 service @a
             0 submit 3 1/1 g1 service @a
             0 submit 4 1/1 g1 service @b
             0 submit 5 1/1 g2 @a
             0 submit 6 1/1 g2 @a
             10 cancel 1
             20 end",
            &[("zone_skew_tasks_mean", "1.5"), ("zone_skew_tasks_max", "2")],
        );
    }

    #[test]
    fn without_services_all_groups_count_and_that_is_said() {
        let report = run("0 node a z1 9/9
             0 node b z2 9/9
             0 submit 1 1/1 g1 @a
             0 submit 2 1/1 g1 @a
             0 submit 3 1/1 g2 @a
             0 submit 4 1/1 g2 @b
             0 submit 5 1/1 g3 @b
             20 end");
        assert_eq!(report.value("zone_skew_tasks_mean"), Some(1.0));
        assert_eq!(report.grouping, Grouping::Groups);
        assert!(report.notes[0].starts_with("The run has no service"), "{:?}", report.notes);
    }

    #[test]
    fn a_lost_zone_is_not_the_emptiest() {
        check(
            "0 node a z1 9/9
             0 node b z2 9/9
             0 node c z3 9/9
             0 lose c
             0 submit 1 1/1 g1 service @a
             0 submit 2 1/1 g1 service @b
             10 back c
             20 end",
            &[("zone_skew_tasks_mean", "0.5"), ("zone_skew_tasks_max", "1")],
        );
    }

    #[test]
    fn one_zone_has_no_balance() {
        let report = run("0 node a z1 9/9
             0 submit 1 1/1 g1 service
             0 submit 2 1/1 g1 service
             20 end");
        assert_eq!(report.value("zone_skew_tasks_max"), None);
        assert!(report.notes[0].contains("one zone only"), "{:?}", report.notes);
    }
}
