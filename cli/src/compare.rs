//! `bayplan compare` and `bayplan simulate`.

use crate::args::{Compare, Format, Global, Simulate};
use crate::error::Failure;
use crate::output::{self, Folder};
use crate::place::show;
use crate::plan::{self, Plan};
use crate::print;
use crate::progress::Bar;
use crate::runner::{self, Extras, Finished};
use crate::workloads::Workloads;
use reports::comparison::Comparison;
use reports::manifest::Timings;
use schedulers::policy::Policy;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Runs `bayplan compare`.
///
/// # Errors
///
/// Bad input, or an interruption.
pub fn compare(args: &Compare, global: &Global) -> Result<(), Failure> {
    let plan = plan::plan(&args.world, global)?;
    let policies = plan::policies(&args.policies)?;
    run(&plan, global, &policies, args.seeds, &[])
}

/// Runs `bayplan simulate`.
///
/// # Errors
///
/// Bad input, or an interruption.
pub fn simulate(args: &Simulate, global: &Global) -> Result<(), Failure> {
    let plan = plan::plan(&args.world, global)?;
    let policies = vec![plan::policy(&args.policy)?];
    run(&plan, global, &policies, 1, &args.explain)
}

fn run(
    plan: &Plan,
    global: &Global,
    policies: &[Policy],
    seed_count: u64,
    explain: &[String],
) -> Result<(), Failure> {
    let begin = std::time::Instant::now();
    let Some(last) = global.seed.checked_add(seed_count - 1) else {
        return Err(Failure::new("--seed and --seeds run past the largest number")
            .help("start from a smaller --seed"));
    };
    let seeds: Vec<u64> = (global.seed..=last).collect();
    let workloads = Workloads::new(plan);
    let spinner = Bar::spinner(&format!("reading {}", plan.workload_name()), global.quiet);
    let first = workloads.get(seeds[0]);
    spinner.clear();
    let first = first?;
    if !global.quiet {
        for warning in first.app.iter().flat_map(|it| &it.warnings) {
            print::note(warning);
        }
    }
    let folder = Folder::prepare(&plan.out, plan.force)?;
    let total = first.workload.task_count() as u64 * policies.len() as u64 * seed_count;
    let bar = Bar::tasks(total, global.quiet);
    let several = policies.len() * seeds.len() > 1;
    let extras = |policy: &Policy, seed: u64| Extras {
        explain: explain.to_vec(),
        ..extras(plan, policy, seed, several)
    };
    let result = runner::all(plan, &workloads, policies, &seeds, extras, &bar);
    bar.clear();
    let mut runs = result?;
    let was_stopped = runner::STOP.load(Ordering::Relaxed);
    if runs.is_empty() {
        return Err(
            Failure::new("stopped before a run had finished; nothing was written").interrupted()
        );
    }
    let manifest = output::manifest(plan, &first, policies, &seeds, &runs)?;
    let timings = Timings {
        wall_secs: begin.elapsed().as_secs_f64(),
        jobs: u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX),
        peak_memory_bytes: output::peak_memory_bytes(),
        runs: runs.iter().map(|it| it.timing.clone()).collect(),
    };
    let placements = runs.iter().filter_map(Finished::placement_line).collect::<Vec<_>>();
    let explained = runs.first_mut().and_then(|it| it.explained.take());
    let reports = runs.into_iter().map(|it| (it.key, it.report)).collect();
    let comparison = Comparison::new(manifest, reports);
    folder.write(&comparison, &timings, plan.figures)?;
    if let Some(document) = &explained {
        output::write_json(&plan.out.join("explain.json"), document)?;
    }
    let wrote = wrote(&plan.out, plan.figures);
    print::comparison(&comparison, global, several)?;
    if let Some(document) = explained.filter(|_| global.format == Format::Table) {
        print::line("")?;
        show::show(&document, Format::Table)?;
    }
    if global.format == Format::Table && !global.quiet {
        for line in placements {
            print::line(&line)?;
        }
        print::line(&format!("\n{wrote}  ({:.1} s)", begin.elapsed().as_secs_f64()))?;
    }
    if was_stopped {
        let manifest = comparison.manifest();
        let what = if several {
            format!(
                "interrupted: {} of {} runs had finished and are written",
                manifest.runs_finished, manifest.runs_planned
            )
        } else {
            "interrupted: what the run had come to is written".to_owned()
        };
        return Err(Failure::new(what).help("the same command begins anew").interrupted());
    }
    Ok(())
}

impl Finished {
    fn placement_line(&self) -> Option<String> {
        let hash = self.placements.as_ref()?;
        Some(format!("placements of {}, seed {}: sha256 {}", self.key.policy, self.key.seed, hash))
    }
}

fn wrote(dir: &Path, figures: bool) -> String {
    let page = if figures { "report.html" } else { "summary.csv" };
    format!("wrote {}", dir.join(page).display())
}

/// Where the extra files of one run go: beside the report if there is only one run.
fn extras(plan: &Plan, policy: &Policy, seed: u64, several: bool) -> Extras {
    let place = |name: &str, ending: &str| {
        if several {
            let safe: String = policy
                .to_string()
                .chars()
                .map(|it| if it.is_ascii_alphanumeric() || "-.".contains(it) { it } else { '_' })
                .collect();
            plan.out.join(format!("{safe}-{seed}.{name}{ending}"))
        } else {
            plan.out.join(format!("{name}{ending}"))
        }
    };
    Extras {
        journal: plan.record_journal.then(|| place("journal", "")),
        tasks: plan.tasks.then(|| place("tasks", ".csv")),
        explain: Vec::new(),
    }
}
