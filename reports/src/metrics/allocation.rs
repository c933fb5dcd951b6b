//! Allocation: what placed tasks ask for, as a share of what nodes physically have.

use super::{Entry, Metric, Moment, Sampled};
use crate::average::{TimeShare, share};
use crate::column::{Better, Card, Column, Unit};
use cluster::demand::Resource;
use cluster::units::Span;

pub(super) const ENTRY: Entry =
    Entry { card: &CARD, columns, sample_columns, build: || Box::new(Allocation::default()) };

const CARD: Card = Card {
    name: "allocation",
    title: "Allocation",
    definition: "What placed tasks ask for, starting ones included, as a share of the physical capacity of all nodes that are not lost, integrated over the run: the integral of the amount asked for over the integral of capacity. Over-commit does not enlarge the capacity, so the share can exceed 1. A resource of which the cluster has nothing has no value. It is what was asked for, not measured usage: no trace here holds that for its tasks.",
    source: "Ours. Integrals of integers, so nothing is sampled or rounded.",
};

fn columns() -> Vec<Column> {
    let mut columns = Vec::new();
    for resource in Resource::ALL {
        let mean = Column::new(
            format!("{resource}_allocated_share"),
            Unit::Share,
            Better::Higher,
            format!("{resource} allocated"),
            format!("Share of the cluster's {resource} that placed tasks ask for, over time."),
        );
        columns.push(if resource == Resource::Cpu { mean.headline() } else { mean });
        columns.push(Column::new(
            format!("{resource}_allocated_share_peak"),
            Unit::Share,
            Better::Neither,
            format!("peak {resource} allocated"),
            format!("Largest share of the cluster's {resource} that placed tasks asked for."),
        ));
    }
    columns
}

fn sample_columns() -> Vec<Column> {
    let column = |resource: Resource| {
        Column::new(
            format!("{resource}_allocated_share"),
            Unit::Share,
            Better::Higher,
            format!("{resource} allocated"),
            format!("Share of the cluster's {resource} that placed tasks ask for."),
        )
    };
    Resource::ALL.map(column).to_vec()
}

#[derive(Default)]
struct Allocation {
    shares: [TimeShare; 4],
}

impl Metric for Allocation {
    fn advance(&mut self, at: &Moment<'_>, length: Span) {
        for (it, share) in self.shares.iter_mut().enumerate() {
            share.hold(at.totals.held[it], at.totals.capacity[it], length);
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        out.extend((0..4).map(|it| share(at.totals.held[it], at.totals.capacity[it])));
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        for share in &self.shares {
            out.extend([share.mean(), share.peak()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{check, run};

    #[test]
    fn shares_are_of_capacity_time_and_starting_tasks_count() {
        // 2 of 8 cores for 10 s, none for 10 s; 4 of 16 GiB likewise.
        check(
            "0 node a z1 4/8
             0 node b z2 4/8
             0 submit 1 2/4
             5 start 1
             10 exit 1 0
             20 end",
            &[
                ("cpu_allocated_share", "0.125"),
                ("cpu_allocated_share_peak", "0.25"),
                ("memory_allocated_share", "0.125"),
                ("disk_allocated_share", "-"),
                ("gpu_allocated_share_peak", "-"),
            ],
        );
    }

    #[test]
    fn lost_capacity_is_not_waited_for() {
        // 4 of 8 cores for 10 s, then 4 of 4 for 10 s: 80 of 120 core seconds.
        let report = run("0 node a z1 4/8
             0 node b z2 4/8
             0 submit 1 4/8 @a
             10 lose b
             20 end");
        assert_eq!(report.value("cpu_allocated_share"), Some(80.0 / 120.0));
        assert_eq!(report.zones[0].allocated_share[0], Some(1.0));
        assert_eq!(report.zones[1].allocated_share[0], Some(0.0));
        assert_eq!(report.zones[1].nodes_mean, 0.5);
    }

    #[test]
    fn a_run_of_no_length_shows_its_last_moment() {
        check(
            "0 node a z1 4/8/4\n0 submit 1 1/2/0.5\n0 end",
            &[("cpu_allocated_share", "0.25"), ("gpu_allocated_share", "0.125")],
        );
    }
}
