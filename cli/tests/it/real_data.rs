//! Real traces from outside the project, at full length. Debug builds leave out what takes them minutes;
//! `./test` runs this module in release.

use crate::binary::{column, shared, succeed};
use std::path::Path;

#[expect(clippy::print_stdout, reason = "a test says what it skips")]
fn is_slow_build() -> bool {
    let slow = cfg!(debug_assertions);
    if slow {
        println!("skipped: takes minutes in a debug build");
    }
    slow
}

/// The hash over the chosen nodes of a run of best fit by cpu on `count` nodes, 12 digits.
fn decisions(trace: &Path, count: u32, more: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let cluster = format!("uniform:{count},cpu=64,mem=256GiB");
    let mut args = vec![
        "simulate",
        "--trace",
        trace.to_str().unwrap(),
        "--cluster",
        &cluster,
        "--policy",
        "best-fit:cpu",
        "--unfit",
        "head",
        "--tasks",
        "--no-figures",
        "--quiet",
    ];
    args.extend(more);
    succeed(dir.path(), &args);
    let nodes = column(&dir.path().join("bayplan-out/tasks.csv"), "node");
    let text: String = nodes.iter().map(|it| format!("{it},")).collect();
    use sha2::Digest;
    let hash = sha2::Sha256::digest(text.as_bytes());
    hash.iter().take(6).map(|it| format!("{it:02x}")).collect()
}

/// Hashes of two independent implementations, as the workload's own page states them.
#[test]
fn decisions_are_those_of_independent_implementations() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("traces/random-workload");
    let large = folder.join("rw_10000_100k_seed42.csv.gz");
    assert_eq!(decisions(&large, 10_000, &["--limit", "10145"]), "a5f8eaafb5a8");
    if is_slow_build() {
        return;
    }
    let small = folder.join("rw_1000_100k_seed42.csv.gz");
    assert_eq!(decisions(&small, 1_000, &[]), "3aac23f3c49b");
    assert_eq!(decisions(&large, 10_000, &[]), "e15a5ce4008a");
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[test]
fn openb_fills_its_gpu_nodes() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let trace = shared.join("traces/alibaba-gpu-2023-openb");
    let args = [
        "compare",
        "--trace",
        trace.to_str().unwrap(),
        "--static-fill",
        "--unfit",
        "drop",
        "--seeds",
        "2",
        "--shuffle",
        "-p",
        "first-fit",
        "-p",
        "best-fit:gpu",
        "-p",
        "worst-fit",
        "--quiet",
    ];
    succeed(dir.path(), &args);
    let summary = dir.path().join("bayplan-out/summary.csv");
    for (placed, dropped) in
        column(&summary, "tasks_placed").iter().zip(column(&summary, "tasks_dropped"))
    {
        assert_eq!(number(placed) + number(&dropped), 8152.0);
    }
    // 98 % of the cluster's GPUs are asked for; a sensible policy allocates most of that.
    let shares = column(&summary, "gpu_allocated_share_peak");
    assert!(shares.iter().all(|it| (0.85..=0.98).contains(&number(it))), "{shares:?}");
}

#[test]
fn google_2011_runs_with_all_its_churn() {
    let Some(shared) = shared() else { return };
    if is_slow_build() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = shared.join("traces/google-2011");
    let args = [
        "compare",
        "--trace",
        trace.to_str().unwrap(),
        "--zones",
        "3",
        "--seeds",
        "1",
        "-p",
        "first-fit",
        "-p",
        "ecs",
        "--quiet",
    ];
    succeed(dir.path(), &args);
    let summary = dir.path().join("bayplan-out/summary.csv");
    let adopted = column(&summary, "tasks_adopted");
    assert!(adopted.iter().all(|it| number(it) > 130_000.0), "{adopted:?}");
    let manifest = std::fs::read_to_string(dir.path().join("bayplan-out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert!(manifest["synthetic_zones"].is_string(), "made-up zones are marked");
    assert!(manifest["trace"]["card"].as_str().unwrap().contains("450,146"), "all rows are read");
}

#[test]
fn swf_logs_run() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let trace = shared.join("traces/swf/hpc2n-head-slice.swf");
    let args = [
        "simulate",
        "--trace",
        trace.to_str().unwrap(),
        "--policy",
        "first-fit",
        "--unfit",
        "head",
        "--no-figures",
        "--quiet",
    ];
    succeed(dir.path(), &args);
    let wagap = shared.join("traces/swf/wagap-2013-extended-not-18col.swf.gz");
    let answer = crate::binary::bayplan(
        dir.path(),
        &["simulate", "--trace", wagap.to_str().unwrap(), "--policy", "first-fit"],
    );
    assert_eq!(answer.code, 2, "{}", answer.err);
    assert!(answer.err.contains("21") && answer.err.contains("18"), "{}", answer.err);
}
