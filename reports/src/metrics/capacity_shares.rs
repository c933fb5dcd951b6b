//! Shares of capacity over time: what [allocation](super::allocation) and
//! [utilisation](super::utilisation) have in common.

use crate::average::share;
use crate::column::{Better, Column, Unit};
use crate::over_time::CapacityShare;
use cluster::demand::Resource;

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

/// Of now: one value per resource.
pub(super) fn sample(part: [u64; 4], capacity: [u64; 4], out: &mut Vec<Option<f64>>) {
    out.extend((0..4).map(|it| share(part[it], capacity[it])));
}

/// Of the run: mean and peak per resource.
pub(super) fn finish(shares: [CapacityShare; 4], out: &mut Vec<Option<f64>>) {
    for CapacityShare { mean, peak } in shares {
        out.extend([mean, peak]);
    }
}
