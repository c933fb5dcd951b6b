//! Shares of capacity over time: what [allocation](super::allocation) and
//! [utilisation](super::utilisation) have in common.

use super::{Metric, Moment, Sampled};
use crate::average::{TimeShare, share};
use crate::column::{Better, Column, Unit};
use cluster::demand::Resource;
use cluster::nodes::Totals;
use cluster::units::Span;

/// The words of one such metric.
pub(super) struct Words {
    /// `allocated`, in column names and titles.
    pub(super) participle: &'static str,
    /// `placed tasks`, whose asks are counted.
    pub(super) who: &'static str,
    /// Whether its cpu column is a headline.
    pub(super) is_headline: bool,
}

impl Words {
    /// Mean and peak per resource.
    pub(super) fn columns(&self) -> Vec<Column> {
        let Self { participle, who, is_headline } = self;
        let mut columns = Vec::new();
        for resource in Resource::ALL {
            let mean = self.column(resource, ", over time");
            let is_headline = *is_headline && resource == Resource::Cpu;
            columns.push(if is_headline { mean.headline() } else { mean });
            columns.push(Column::new(
                format!("{resource}_{participle}_share_peak"),
                Unit::Share,
                Better::Neither,
                format!("peak {resource} {participle}"),
                format!("Largest share of the cluster's {resource} that {who} asked for."),
            ));
        }
        columns
    }

    /// One per resource.
    pub(super) fn sample_columns(&self) -> Vec<Column> {
        Resource::ALL.map(|it| self.column(it, "")).to_vec()
    }

    fn column(&self, resource: Resource, when: &str) -> Column {
        let Self { participle, who, .. } = self;
        Column::new(
            format!("{resource}_{participle}_share"),
            Unit::Share,
            Better::Higher,
            format!("{resource} {participle}"),
            format!("Share of the cluster's {resource} that {who} ask for{when}."),
        )
    }
}

/// Integrates one of the sums of [`Totals`] over that of capacity.
pub(super) struct CapacityShares {
    part: fn(&Totals) -> &[u64; 4],
    shares: [TimeShare; 4],
}

impl CapacityShares {
    pub(super) fn new(part: fn(&Totals) -> &[u64; 4]) -> Self {
        Self { part, shares: Default::default() }
    }
}

impl Metric for CapacityShares {
    fn advance(&mut self, at: &Moment<'_>, length: Span) {
        let part = (self.part)(&at.totals);
        for (it, share) in self.shares.iter_mut().enumerate() {
            share.hold(part[it], at.totals.capacity[it], length);
        }
    }

    fn sample(&mut self, at: &Moment<'_>, out: &mut Vec<Option<f64>>) {
        let part = (self.part)(&at.totals);
        out.extend((0..4).map(|it| share(part[it], at.totals.capacity[it])));
    }

    fn finish(&mut self, _: &Moment<'_>, _: &[Sampled], out: &mut Vec<Option<f64>>) {
        for share in &self.shares {
            out.extend([share.mean(), share.peak()]);
        }
    }
}
