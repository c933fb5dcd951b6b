//! What is known of one run after it: plain data, written to files and read back.

use crate::column::Column;
use cluster::units::Instant;
use serde::{Deserialize, Serialize};

/// The numbers of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// First event.
    pub start: Instant,
    /// When the run was stopped.
    pub end: Instant,
    /// What the values are.
    pub columns: Vec<Column>,
    /// One per column; `None` where there is nothing to measure, never zero for missing.
    pub values: Vec<Option<f64>>,
    /// Time series.
    pub samples: Samples,
    /// Cumulative distribution of waits.
    pub wait_ecdf: Vec<EcdfPoint>,
    /// Per zone, in the order in which zones were first seen.
    pub zones: Vec<ZoneRow>,
    /// Which groups the zone metrics are about.
    pub grouping: Grouping,
    /// What a reader of the numbers should know.
    pub notes: Vec<String>,
}

impl RunReport {
    /// A report of an instant with nothing but values.
    #[cfg(test)]
    pub(crate) fn of_values(columns: Vec<Column>, values: Vec<Option<f64>>) -> Self {
        Self {
            start: Instant(0),
            end: Instant(0),
            columns,
            values,
            samples: Samples::default(),
            wait_ecdf: Vec::new(),
            zones: Vec::new(),
            grouping: Grouping::None,
            notes: Vec::new(),
        }
    }

    /// The value of the column of that name.
    pub fn value(&self, column: &str) -> Option<f64> {
        let row = self.columns.iter().position(|it| it.name == column)?;
        self.values.get(row).copied().flatten()
    }
}

/// Which groups the zone metrics are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// Services with at least two placed tasks.
    Services,
    /// The run has no service: all groups with at least two placed tasks.
    Groups,
    /// No group ever had two placed tasks.
    None,
}

/// Numbers taken at regular moments of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// What the values are; time is not among them.
    pub columns: Vec<Column>,
    /// In order of time.
    pub rows: Vec<SampleRow>,
}

impl Samples {
    /// The time series of the column of that name, in microseconds since the run's zero.
    pub fn series(&self, column: &str) -> Vec<(u64, Option<f64>)> {
        match self.columns.iter().position(|it| it.name == column) {
            Some(at) => self
                .rows
                .iter()
                .map(|it| (it.time_us, it.values.get(at).copied().flatten()))
                .collect(),
            None => Vec::new(),
        }
    }
}

/// The cluster at one moment, after everything that happened at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// When.
    pub time_us: u64,
    /// One per column.
    pub values: Vec<Option<f64>>,
}

/// A point of a cumulative distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EcdfPoint {
    /// This long or shorter …
    pub value_us: u64,
    /// … is this share.
    pub share: f64,
}

/// One zone over the run, in the order of [`Resource::ALL`](cluster::demand::Resource::ALL).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneRow {
    /// Its name.
    pub zone: String,
    /// Nodes that were not lost, time-weighted.
    pub nodes_mean: f64,
    /// Placed tasks, time-weighted.
    pub tasks_mean: f64,
    /// Share of physical capacity that placed tasks ask for.
    pub allocated_share: [Option<f64>; 4],
    /// Share of physical capacity that running tasks ask for.
    pub utilised_share: [Option<f64>; 4],
}
