//! Output folders: made and checked before the long run, filled after it.

use crate::error::{Failure, io};
use crate::plan::Plan;
use crate::runner::Finished;
use crate::workloads::{Ready, digests};
use cluster::demand::Resource;
use cluster::event::NodeEvent;
use cluster::nodes::Overcommit;
use reports::comparison::Comparison;
use reports::manifest::{Manifest, RunFingerprint, Setting, Timings, TraceInfo};
use reports::write::{ReportError, write_all, write_data, write_file};
use schedulers::policy::Policy;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file that marks a folder as ours.
pub const MANIFEST: &str = "manifest.json";

/// A folder that is ready to be written into.
#[derive(Debug)]
pub struct Folder {
    /// Where.
    dir: PathBuf,
    /// Whether an earlier run of ours wrote it.
    was_ours: bool,
    /// What is older than this is of an earlier run.
    since: SystemTime,
}

/// File systems stamp files by a clock that ticks this coarsely, or finer.
const CLOCK_TICK: Duration = Duration::from_millis(20);

impl Folder {
    /// Makes the folder, and refuses one that holds somebody else's things or cannot be written.
    ///
    /// # Errors
    ///
    /// With what to do instead.
    pub fn prepare(dir: &Path, force: bool) -> Result<Self, Failure> {
        let was_ours = dir.join(MANIFEST).exists();
        match std::fs::read_dir(dir) {
            Ok(mut entries) => {
                if !was_ours && !force && entries.next().is_some() {
                    return Err(Failure::new(format!(
                        "{} holds files that Bayplan did not write",
                        dir.display()
                    ))
                    .help("choose another folder with --out, or say --force"));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("use the folder", dir, &error)),
        }
        std::fs::create_dir_all(dir).map_err(|it| io("make the folder", dir, &it))?;
        // Fails now rather than after an hour.
        let probe = dir.join(".bayplan-probe");
        write_file(&probe, b"probe\n")?;
        std::fs::remove_file(&probe).map_err(|it| io("write in", dir, &it))?;
        let now = SystemTime::now();
        let since = now.checked_sub(CLOCK_TICK).unwrap_or(now);
        Ok(Self { dir: dir.to_owned(), was_ours, since })
    }

    /// Writes all files of a comparison, and takes away those of an earlier run of ours that this one did
    /// not write: a folder tells of one run.
    ///
    /// # Errors
    ///
    /// If a file cannot be written; those written before stay.
    pub fn write(
        &self,
        comparison: &Comparison,
        timings: &Timings,
        figures: bool,
    ) -> Result<(), Failure> {
        write_json(&self.dir.join(MANIFEST), comparison.manifest())?;
        write_json(&self.dir.join("timings.json"), timings)?;
        if figures {
            write_all(&self.dir, comparison)?;
        } else {
            write_data(&self.dir, comparison)?;
        }
        if self.was_ours {
            self.remove_old(&self.dir, |name| {
                ["report.html", "explain.json"].contains(&name)
                    || ["tasks.csv", "journal"].iter().any(|it| {
                        name.strip_suffix(it).is_some_and(|it| it.is_empty() || it.ends_with('.'))
                    })
            });
            self.remove_old(&self.dir.join("figures"), |name| {
                name.ends_with(".svg") || name.ends_with(".png")
            });
        }
        Ok(())
    }

    /// Removes the files of that name that are older than this run. One that cannot be removed stays.
    fn remove_old(&self, dir: &Path, is_ours: impl Fn(&str) -> bool) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let is_old = entry
                .metadata()
                .and_then(|it| it.modified())
                .is_ok_and(|modified| modified < self.since);
            if is_old && entry.file_name().to_str().is_some_and(&is_ours) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes `value` as JSON.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|it| Failure::new(format!("cannot make {}: {it}", path.display())))?;
    bytes.push(b'\n');
    Ok(write_file(path, &bytes)?)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::new(error.to_string()).help(error.help())
    }
}

/// What all files of a folder say about how the runs were made.
///
/// # Errors
///
/// If an input cannot be read for its digest.
pub fn manifest(
    plan: &Plan,
    ready: &Ready,
    policies: &[Policy],
    seeds: &[u64],
    runs: &[Finished],
) -> Result<Manifest, Failure> {
    let card = &ready.workload.card;
    let planned = (policies.len() * seeds.len()) as u64;
    let finished = runs.iter().filter(|it| !it.outcome.was_stopped).count() as u64;
    let mut options: Vec<Setting> = plan
        .options
        .iter()
        .map(|(name, value)| Setting { name: name.clone(), value: value.clone() })
        .collect();
    let factors = factors(ready.overcommit);
    let origin = match (plan.overcommit, card.suggested_overcommit) {
        (None, Some(_)) => " (suggested by the trace's card)",
        (None, None) => " (nodes offer what they have)",
        _ => "",
    };
    if plan.overcommit.is_none() {
        let value = format!("{factors}{origin}");
        options.push(Setting { name: "overcommit".into(), value });
    }
    let mut warnings = Vec::new();
    match runs.iter().find(|it| it.outcome.was_stopped) {
        Some(run) => warnings.push(format!(
            "Interrupted at {} of simulated time: the numbers are those of the run until then.",
            run.outcome.end
        )),
        None if finished < planned => warnings.push(format!(
            "Interrupted: {finished} of {planned} runs had finished; only they are reported."
        )),
        None => {}
    }
    if card.refusals.count() > 0 {
        warnings.push(format!(
            "{} rows of the trace were left out; its card says which and why.",
            card.refusals.count()
        ));
    }
    let fingerprints = runs
        .iter()
        .map(|it| RunFingerprint {
            policy: it.key.policy.clone(),
            seed: it.key.seed,
            fingerprint: it.outcome.fingerprint.to_string(),
        })
        .collect();
    Ok(Manifest {
        title: String::new(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: command_line(),
        trace: TraceInfo {
            name: plan.workload_name(),
            format: card.format.clone(),
            card: card.to_string(),
        },
        inputs: digests(plan)?,
        cluster: describe_cluster(ready),
        policies: policies.iter().map(Policy::to_string).collect(),
        seeds: seeds.to_vec(),
        options,
        synthetic_zones: card.zones.clone(),
        fingerprints,
        interrupted: finished < planned,
        runs_finished: finished,
        runs_planned: planned,
        warnings,
    })
}

/// `cpu 1.6, memory 1, disk 1`.
fn factors(overcommit: Overcommit) -> String {
    let parts: Vec<String> = Resource::SCALARS
        .into_iter()
        .map(|it| format!("{it} {}", f64::from(overcommit.0[it.row()]) / 1000.0))
        .collect();
    parts.join(", ")
}

fn describe_cluster(ready: &Ready) -> String {
    let mut zones = std::collections::BTreeSet::new();
    let mut nodes = 0;
    for (_, _, event) in ready.workload.node_events() {
        if let NodeEvent::Joined(spec) = event {
            nodes += 1;
            zones.insert(spec.zone.clone());
        }
    }
    let zones: Vec<String> = zones.into_iter().filter(|it| !it.is_empty()).collect();
    match zones.len() {
        0 => format!("{nodes} nodes, no zones"),
        1..=12 => format!("{nodes} nodes in {} zones ({})", zones.len(), zones.join(", ")),
        count => format!("{nodes} nodes in {count} zones"),
    }
}

/// The command line, quoted as a shell would need it, the program by its name alone.
pub fn command_line() -> String {
    std::iter::once("bayplan".to_owned())
        .chain(std::env::args().skip(1).map(|it| quoted(&it)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as a shell needs it.
pub fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=,@+%".contains(it);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Most memory that this process has held so far, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
