//! Made-up runs that look like real ones: a load that rises and falls, policies that differ a little.

use cluster::units::Instant;
use reports::column::Column;
use reports::comparison::{Comparison, RunKey};
use reports::manifest::{InputFile, Manifest, RunFingerprint, Setting, TraceInfo};
use reports::metrics;
use reports::run_report::{EcdfPoint, Grouping, RunReport, SampleRow, Samples, ZoneRow};

/// Nine policies, one of them with a very long name.
pub(crate) const POLICIES: [&str; 9] = [
    "ecs",
    "ecs:spread(attribute:ecs.availability-zone),binpack(memory)",
    "best-fit",
    "worst-fit",
    "power-of-d:d=2",
    "swarm-spread",
    "kubernetes",
    "kubernetes:most-allocated",
    "mesos-drf",
];

/// What the made-up runs have.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) zones: bool,
    pub(crate) gpus: bool,
    /// How much seeds differ; 0 makes them all alike.
    pub(crate) noise: f64,
    /// How much policies differ; 0 makes them all alike.
    pub(crate) contrast: f64,
}

pub(crate) const USUAL: Look = Look { zones: true, gpus: true, noise: 0.03, contrast: 1.0 };

/// A number between -1 and 1 from two others, always the same.
fn wobble(a: u64, b: u64) -> f64 {
    let mixed = (a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
        .wrapping_mul(0x1656_67B1_9E37_79F9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// One run.
pub(crate) fn run(policy: usize, seed: u64, look: Look) -> RunReport {
    let columns: Vec<Column> = metrics::ALL.iter().flat_map(|it| (it.columns)()).collect();
    let sample_columns: Vec<Column> =
        metrics::ALL.iter().flat_map(|it| (it.sample_columns)()).collect();
    let rank = policy as f64 * look.contrast;
    let exists = |name: &str| {
        (look.gpus || !name.starts_with("gpu"))
            && (look.zones || !name.starts_with("zone_") || name == "zone_outages")
            && !name.starts_with("disk")
    };
    let value = |row: usize, column: &Column| -> Option<f64> {
        let noise = 1.0
            + look.noise * wobble(seed, (row * 100 + policy) as u64)
            + look.noise * 3.0 * wobble(seed, row as u64);
        let by = |base: f64, step: f64| base * (1.0 + step * rank) * noise;
        let name = column.name.as_str();
        let value = match name {
            "wait_us_mean" => by(4.2e6, 0.35),
            "wait_us_p50" => by(0.4e6, 0.2),
            "wait_us_p90" => by(9e6, 0.3),
            "wait_us_p99" => by(61e6, 0.4),
            "wait_us_max" => by(300e6, 0.3),
            "tasks_submitted" => 120_000.0,
            "tasks_dropped" | "tasks_unplaced" => by(12.0, 0.5).round(),
            "tasks_unfinished" => by(310.0, 0.05).round(),
            it if it.starts_with("tasks") => by(1000.0, 0.0).round(),
            "interruptions" => by(40.0, 0.0).round(),
            "evictions" | "wait_open_tasks" => 0.0,
            "zone_outages" => 1.0,
            it if it.contains("allocated") || it.contains("utilised") => by(0.78, -0.02),
            it if it.contains("fragmented") => by(0.21, 0.12),
            it if it.contains("stranded") => by(0.06, 0.1),
            it if it.contains("zone_exposure") => by(0.34, 0.07),
            it if it.contains("zone_skew") => by(1.1, 0.3),
            it if it.contains("lost_share") => by(0.36, 0.08),
            it if it.ends_with("_us") || it.contains("_us_") => by(30e6, 0.1),
            _ => by(50.0, 0.02),
        };
        exists(name).then_some(value)
    };
    let values = columns.iter().enumerate().map(|(row, it)| value(row, it)).collect();
    let hours = 30.0;
    let rows = (0..=256u64).map(|step| {
        let day = step as f64 / 256.0;
        let load = 0.55 + 0.35 * (day * std::f64::consts::TAU * 1.25 - 1.2).sin();
        let jitter = look.noise * wobble(seed * 1000 + step / 4, policy as u64);
        let values = sample_columns.iter().map(|it| {
            let name = it.name.as_str();
            let value = match name {
                it if it.contains("fragmented") => (0.1 + 0.02 * rank + 0.4 * load * load) + jitter,
                it if it.contains("stranded") => 0.03 + 0.01 * rank,
                it if it.contains("exposure") => 0.34 + 0.02 * rank + jitter,
                it if it.ends_with("share") => (load - 0.012 * rank + jitter).clamp(0.0, 1.0),
                _ => 100.0 * load,
            };
            exists(name).then_some(value)
        });
        SampleRow { time_us: (day * hours * 3600e6) as u64, values: values.collect() }
    });
    let share = |base: f64| [Some(base), Some(base * 0.9), None, look.gpus.then_some(base)];
    let zones = if look.zones { vec!["zone-a", "zone-b", "zone-c"] } else { vec!["-"] };
    let ecdf = (0..200u64).map(|step| {
        let share = 0.35 + 0.65 * (step as f64 / 199.0);
        let factor = (1.0 + 0.35 * rank) * (1.0 + look.noise * wobble(seed, step / 9));
        let value = (step as f64 / 199.0).powf(1.5) * 14.0 - 6.0;
        let value_us = if step == 0 { 0 } else { (value.exp() * factor * 1e6) as u64 };
        EcdfPoint { value_us, share }
    });
    let mut ecdf: Vec<EcdfPoint> = ecdf.collect();
    ecdf.sort_by_key(|it| it.value_us);
    for (step, it) in ecdf.iter_mut().enumerate() {
        it.share = 0.35 + 0.65 * (step as f64 / 199.0);
    }
    RunReport {
        start: Instant(0),
        end: Instant((hours * 3600e6) as u64),
        columns,
        values,
        samples: Samples { rows: rows.collect(), columns: sample_columns },
        wait_ecdf: ecdf,
        zones: zones
            .into_iter()
            .enumerate()
            .map(|(it, zone)| ZoneRow {
                zone: zone.to_owned(),
                nodes_mean: 40.0,
                tasks_mean: 900.0 + 10.0 * it as f64,
                allocated_share: share(0.7 + 0.02 * it as f64),
                utilised_share: share(0.69 + 0.02 * it as f64),
            })
            .collect(),
        grouping: if look.zones { Grouping::Services } else { Grouping::None },
        notes: if look.zones {
            vec![]
        } else {
            vec!["The cluster has one zone only: zone metrics are empty.".to_owned()]
        },
    }
}

/// A manifest such as the command line writes.
pub(crate) fn manifest(policies: &[&str], seeds: &[u64]) -> Manifest {
    let fingerprints = policies.iter().flat_map(|policy| {
        seeds.iter().map(|&seed| RunFingerprint {
            policy: (*policy).to_owned(),
            seed,
            fingerprint: format!("{:016x}", wobble(seed, policy.len() as u64).to_bits()),
        })
    });
    let runs = (policies.len() * seeds.len()) as u64;
    Manifest {
        title: String::new(),
        version: "0.1.0".to_owned(),
        command: "bayplan compare --trace builtin:day --policy ecs --seeds 3".to_owned(),
        trace: TraceInfo {
            name: "builtin:day".to_owned(),
            format: "builtin".to_owned(),
            card: "A made-up day: 120,000 tasks of 40 shapes, services and jobs.\nArrivals follow \
                   the hours of an office."
                .to_owned(),
        },
        inputs: vec![InputFile {
            path: "day.csv".to_owned(),
            sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            bytes: 48_123,
        }],
        cluster: "120 nodes in 3 zones, 64 cores and 256 GiB each; 20 of them with 4 GPUs"
            .to_owned(),
        policies: policies.iter().map(|it| (*it).to_owned()).collect(),
        seeds: seeds.to_vec(),
        options: vec![
            Setting { name: "overcommit".to_owned(), value: "1.0".to_owned() },
            Setting { name: "zone-outage".to_owned(), value: "at 12 h for 30 min".to_owned() },
        ],
        synthetic_zones: Some("3 zones, nodes dealt out by hash of their name".to_owned()),
        fingerprints: fingerprints.collect(),
        interrupted: false,
        runs_finished: runs,
        runs_planned: runs,
        warnings: vec!["12 records without a size were left out (see the trace card).".to_owned()],
    }
}

/// All policies under all seeds.
pub(crate) fn comparison(policies: &[&str], seeds: &[u64], look: Look) -> Comparison {
    let mut runs = Vec::new();
    for (row, policy) in policies.iter().enumerate() {
        for &seed in seeds {
            let key = RunKey { policy: (*policy).to_owned(), seed };
            runs.push((key, run(row, seed, look)));
        }
    }
    Comparison::new(manifest(policies, seeds), runs)
}
