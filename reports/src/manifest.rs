//! What a run folder says about how it was made: `manifest.json`, and `timings.json` beside it.

use serde::{Deserialize, Serialize};

/// Everything needed to make the same runs again. The command line writes it as `manifest.json`; the
/// report shows it under "how this was made".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Heading of the report; empty for one made from the trace's name.
    pub title: String,
    /// Version of Bayplan.
    pub version: String,
    /// The exact command line.
    pub command: String,
    /// The workload.
    pub trace: TraceInfo,
    /// The files that were read.
    pub inputs: Vec<InputFile>,
    /// The cluster, in a few words or lines.
    pub cluster: String,
    /// In the order given; tables and figures keep it.
    pub policies: Vec<String>,
    /// Ascending.
    pub seeds: Vec<u64>,
    /// Options that are not in the fields above, defaults included, in a fixed order.
    pub options: Vec<Setting>,
    /// How zones were made up, if the input has none: shown as a warning everywhere.
    pub synthetic_zones: Option<String>,
    /// One per finished run.
    pub fingerprints: Vec<RunFingerprint>,
    /// Whether the command was stopped before all runs were finished.
    pub interrupted: bool,
    /// How many runs finished.
    pub runs_finished: u64,
    /// How many runs were asked for.
    pub runs_planned: u64,
    /// What the reader should know: records left out, values made up, limits hit.
    pub warnings: Vec<String>,
}

/// The workload of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceInfo {
    /// Short name: `builtin:day`, or the file's name without its folders.
    pub name: String,
    /// Name of its format.
    pub format: String,
    /// Its card: what it is, where it comes from, what was changed while reading. Plain text.
    pub card: String,
}

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// As it was given on the command line.
    pub path: String,
    /// Hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

/// An option and its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Without leading dashes.
    pub name: String,
    /// As text.
    pub value: String,
}

/// The hash over all that happened in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFingerprint {
    /// Which policy.
    pub policy: String,
    /// Which seed.
    pub seed: u64,
    /// Hexadecimal. Equal fingerprints mean equal journals.
    pub fingerprint: String,
}

/// Wall-clock figures, for `timings.json`: the only file of a run folder that differs from machine to
/// machine and from time to time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// From start to end of the command.
    pub wall_secs: f64,
    /// Runs that were simulated at the same time.
    pub jobs: u32,
    /// Most memory that the process held at any time, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// In the order of policies, then seeds.
    pub runs: Vec<RunTiming>,
}

/// Wall-clock figures of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTiming {
    /// Which policy.
    pub policy: String,
    /// Which seed.
    pub seed: u64,
    /// From its first to its last event.
    pub wall_secs: f64,
    /// Time spent in the scheduler alone.
    pub deciding_secs: f64,
    /// Events handled.
    pub events: u64,
    /// Placements made.
    pub placements: u64,
    /// Placements ÷ time spent in the scheduler; `None` if that was too short to measure.
    pub placements_per_sec: Option<f64>,
}
