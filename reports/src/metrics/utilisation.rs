//! Utilisation: what running tasks ask for, as a share of what nodes physically have.

use super::{Entry, Metric, Moment, Sampled};
use crate::average::{TimeShare, share};
use crate::column::{Better, Card, Column, Unit};
use cluster::demand::Resource;
use cluster::units::Span;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(Utilisation::default()) };

const CARD: Card = Card {
    name: "utilisation",
    title: "Utilisation",
    definition: "As allocation, but only tasks whose containers run: the difference is capacity that is held by tasks that are still starting. It is the demand of running tasks, not the cpu or memory that they really touch; no trace here holds measured usage.",
    source: "Ours; equal to allocation where start-up takes no time.",
};

fn columns() -> Vec<Column> {
    let mut columns = Vec::new();
    for resource in Resource::ALL {
        let mean = Column::new(
            format!("{resource}_utilised_share"),
            Unit::Share,
            Better::Higher,
            format!("{resource} utilised"),
            format!("Share of the cluster's {resource} that running tasks ask for, over time."),
        );
        columns.push(mean);
        columns.push(Column::new(
            format!("{resource}_utilised_share_peak"),
            Unit::Share,
            Better::Neither,
            format!("peak {resource} utilised"),
            format!("Largest share of the cluster's {resource} that running tasks asked for."),
        ));
    }
    columns
}

fn sample_columns() -> Vec<Column> {
    let column = |resource: Resource| {
        Column::new(
            format!("{resource}_utilised_share"),
            Unit::Share,
            Better::Higher,
            format!("{resource} utilised"),
            format!("Share of the cluster's {resource} that running tasks ask for."),
        )
    };
    Resource::ALL.map(column).to_vec()
}

#[derive(Default)]
struct Utilisation {
    shares: [TimeShare; 4],
}

impl Metric for Utilisation {
    fn advance(&mut self, at: &Moment<'_>, length: Span) {
        for (it, share) in self.shares.iter_mut().enumerate() {
            share.hold(at.totals.running[it], at.totals.capacity[it], length);
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        out.extend((0..4).map(|it| share(at.totals.running[it], at.totals.capacity[it])));
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        for share in &self.shares {
            out.extend([share.mean(), share.peak()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::check;

    #[test]
    fn only_running_tasks_count() {
        check(
            "0 node a z1 4/8
             0 submit 1 2/4
             5 start 1
             10 exit 1 0
             20 end",
            &[
                ("cpu_utilised_share", "0.125"),
                ("cpu_utilised_share_peak", "0.5"),
                ("gpu_utilised_share", "-"),
            ],
        );
    }
}
