//! Decisions of the real systems, as data: every case of every file in the folder that `BAYPLAN_VECTORS` names
//! (default `../shared/vectors`) is run through our profiles.
//!
//! A case is dispatched on its schema, system, stage and kind, never on the name of its file. A field or a
//! kind that is not known is a failure. Kinds that belong to later work stand in [`LATER`], and are listed.

mod ecs;
mod kubernetes;
mod marathon;
mod mesos;
mod swarm;
mod swarmkit;

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Kinds of schema `ecs-vectors/1` that are not covered yet: services' deployments, capacity providers, agents.
const LATER: &[&str] = &[
    "agent_queue",
    "bounds",
    "breaker",
    "bucket",
    "computed_desired",
    "cp_needed",
    "cp_scale_in",
    "cp_split",
    "cp_target",
    "cpr",
    "cpu_contention",
    "daemon",
    "daemon_place",
    "daemon_rollout",
    "daemon_validate",
    "dep_resolvable",
    "dep_resolved",
    "dep_validate",
    "drain",
    "healthy_at",
    "host_loss",
    "limit",
    "policy_merge",
    "protection",
    "rate",
    "rebalance",
    "rebalance_default",
    "restart",
    "rollout",
    "scale_in",
    "shutdown_order",
    "spot",
    "stability",
    "start_throttle",
    "start_timeout",
    "step",
    "step_match",
    "stop_timeout",
    "target",
    "target_multi",
    "task_desired",
    "task_health",
    "task_known",
    "threshold",
    "unhealthy",
];

/// What became of a case.
pub enum Verdict {
    /// As expected.
    Pass,
    /// It belongs to later work; its kind, as listed.
    Later(String),
}

/// Runs one case; `Err` says what differs, or what is not known.
fn run(file: &Value, case: &Value) -> Result<Verdict, String> {
    match text(file, "schema")? {
        "sched-vectors/1" => match text(&case["policy"], "system")? {
            "kubernetes" => kubernetes::run(&bare(case)?),
            "swarm-classic" => swarm::run(&bare(case)?),
            "swarmkit" => swarmkit::run(&bare(case)?),
            "mesos" => mesos::run(&bare(case)?),
            "marathon" => marathon::run(&bare(case)?),
            other => Err(format!("unknown system {other:?}")),
        }
        .map(|()| Verdict::Pass),
        "ecs-vectors/1" => {
            let kind = text(case, "kind")?;
            if LATER.contains(&kind) {
                return Ok(Verdict::Later(kind.to_owned()));
            }
            ecs::run(file, case)
        }
        other => Err(format!("unknown schema {other:?}")),
    }
}

/// A case without the fields that all have, of which the decision is none.
fn bare(case: &Value) -> Result<Value, String> {
    let mut case = case.clone();
    let fields = case.as_object_mut().ok_or("not an object")?;
    for (name, is_right) in [
        ("id", Value::is_string as fn(&Value) -> bool),
        ("version", Value::is_string),
        ("verified", Value::is_array),
        ("source", Value::is_object),
    ] {
        let found = fields.remove(name).ok_or_else(|| format!("no field {name:?}"))?;
        if !is_right(&found) {
            return Err(format!("{name:?} is {found}"));
        }
    }
    fields.remove("notes");
    if let Some(policy) = fields.get_mut("policy").and_then(Value::as_object_mut) {
        policy.remove("system");
    }
    Ok(case)
}

/// A text field.
fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str, String> {
    value[field].as_str().ok_or_else(|| format!("no text {field:?}"))
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let shared = std::env::var_os("BAYPLAN_SHARED").map(|it| PathBuf::from(it).join("vectors"));
    let named = std::env::var_os("BAYPLAN_VECTORS").map(PathBuf::from);
    let dir = named.or(shared).unwrap_or(beside);
    dir.is_dir().then_some(dir)
}

/// `BAYPLAN_VECTORS_ONLY` runs the cases whose system or kind or id holds that text.
#[test]
fn decides_as_the_real_systems_do() {
    let Some(dir) = folder() else {
        println!("skipped: no ../shared/vectors and no BAYPLAN_VECTORS");
        return;
    };
    let only = std::env::var("BAYPLAN_VECTORS_ONLY").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: no vectors", dir.display());
    let (mut misses, mut later) = (Vec::new(), BTreeMap::<String, u32>::new());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (mut passed, mut total) = (0, 0);
        for case in file["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap_or("?");
            let tags = [&case["policy"]["system"], &case["kind"], &file["schema"]]
                .map(|it| it.as_str().unwrap_or(""));
            if !tags.iter().any(|it| it.contains(&only)) && !id.contains(&only) {
                continue;
            }
            match run(&file, case) {
                Ok(Verdict::Pass) => (passed, total) = (passed + 1, total + 1),
                Ok(Verdict::Later(kind)) => *later.entry(kind).or_default() += 1,
                Err(why) => {
                    total += 1;
                    misses.push(format!("{name}: {id}: {why}"));
                }
            }
        }
        println!("{name}: {passed}/{total}");
    }
    for (kind, count) in later {
        println!("not yet covered: {kind} ({count})");
    }
    assert!(misses.is_empty(), "{} misses:\n{}", misses.len(), misses.join("\n"));
}
