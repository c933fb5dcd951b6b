//! `bayplan replay`: verify a journal, or ask what other policies would have done.

use crate::args::{Format, Global, Replay};
use crate::error::Failure;
use crate::output::{self, Folder, command_line};
use crate::recording::{Gathered, Gathering, Recording, Verified};
use crate::{plan, print};
use cluster::units::{Instant, Span};
use reports::collector::{Collector, CollectorConfig};
use reports::comparison::{Comparison, RunKey};
use reports::manifest::{Manifest, RunFingerprint, RunTiming, Setting, Timings, TraceInfo};
use serde::Serialize;
use sim::replay::Counterfactual;
use sim::startup::Startup;
use sim::world::{Config, run};

/// What verifying found, for `--format json`.
#[derive(Serialize)]
struct Found {
    policy: String,
    records: u64,
    decisions: u64,
    end_us: u64,
    fingerprint: String,
    equal: bool,
}

/// Runs `bayplan replay`.
///
/// # Errors
///
/// Bad input; or the first difference, with exit code 1.
pub fn replay(args: &Replay, global: &Global) -> Result<(), Failure> {
    if global.format == Format::Csv && args.policies.is_empty() {
        return Err(Failure::new("a verification has no CSV form").help("use --format json"));
    }
    let recording = Recording::open(&args.journal)?;
    let policy = recording.header.policy.clone();
    let mut gathering = Gathering::default();
    let gathers = (!args.policies.is_empty()).then_some(&mut gathering);
    let verified = recording.verify(gathers, &mut ())?;
    let Verified { records, decisions, end, was_stopped, .. } = verified;
    let fingerprint = verified.fingerprint.clone();
    if global.format == Format::Json && args.policies.is_empty() {
        let end_us = end.0;
        let equal = true;
        return print::json(&Found { policy, records, decisions, end_us, fingerprint, equal });
    }
    if !global.quiet && global.format == Format::Table {
        let over = print::time(end.since(Instant::ZERO));
        print::line(&format!(
            "verified: {records} records, {decisions} of them decisions, over {over}: every action of \
             {policy} as recorded, fingerprint {fingerprint}"
        ))?;
        if was_stopped {
            print::line(&format!("the run was interrupted at {end}"))?;
        }
    }
    if args.policies.is_empty() {
        return Ok(());
    }
    counterfactual(args, global, &recording, verified, gathering.finish())
}

fn counterfactual(
    args: &Replay,
    global: &Global,
    recording: &Recording,
    verified: Verified,
    gathered: Gathered,
) -> Result<(), Failure> {
    let header = &recording.header;
    let policies = plan::policies(&args.policies)?;
    let folder = Folder::prepare(&args.out, args.force)?;
    let begin = std::time::Instant::now();
    let Verified { end, was_stopped, .. } = verified;
    let Gathered { what_if, decide_after, .. } = gathered;
    let recorded = format!("recorded: {}", header.policy);
    let mut names = vec![recorded.clone()];
    let mut runs = vec![(RunKey { policy: recorded, seed: header.seed }, verified.report)];
    let mut fingerprints = vec![fingerprint(&runs[0].0, verified.fingerprint)];
    let mut timings = Vec::new();
    // What a live journal does not know is drawn from what it does know.
    let fitted = Startup::fit(what_if.startups.values().copied());
    let startup = if recording.is_live() { fitted } else { header.startup };
    let mut config = Config {
        rules: header.rules,
        seed: header.seed,
        startup,
        until: Some(end),
        decide_after,
        ..Config::default()
    };
    what_if.inform(&mut config);
    for policy in &policies {
        let started = std::time::Instant::now();
        let mut collector =
            Collector::new(CollectorConfig { horizon: header.until, ..CollectorConfig::default() });
        let mut stream = what_if.arrivals.clone().into_iter();
        let scheduler = policy.build(header.seed);
        let (outcome, state) = run(&config, &mut stream, scheduler, &mut collector, &mut ())
            .map_err(|it| Failure::new(it.to_string()))?;
        let key = RunKey { policy: policy.to_string(), seed: header.seed };
        fingerprints.push(fingerprint(&key, outcome.fingerprint.to_string()));
        timings.push(RunTiming {
            policy: key.policy.clone(),
            seed: key.seed,
            wall_secs: started.elapsed().as_secs_f64(),
            deciding_secs: 0.0,
            events: outcome.records,
            placements: outcome.progress.placed,
            placements_per_sec: None,
        });
        names.push(key.policy.clone());
        runs.push((key, collector.finish(outcome.end, &state)));
    }
    let mut warnings = vec![
        "Counterfactual: submits, cancellations, services and node events are the journal's; start-up and \
         run times are the journal's for tasks that ran there."
            .to_owned(),
    ];
    warnings.extend(notes(&what_if));
    if recording.is_live() {
        warnings.push(format!("Start-up times that the journal does not know are {startup}."));
        if decide_after > Span::ZERO {
            warnings.push(format!(
                "Decisions come {} after what asks for them, as half of the recorded ones did.",
                print::time(decide_after)
            ));
        }
    }
    if was_stopped {
        warnings.push("The recorded run was interrupted; all runs end where it did.".to_owned());
    }
    let finished = runs.len() as u64;
    let manifest = Manifest {
        title: "What would have happened".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: command_line(),
        trace: TraceInfo {
            name: args.journal.display().to_string(),
            format: "journal".into(),
            card: format!("recorded from {}\n\n{}", header.trace, header.card),
        },
        inputs: vec![recording.digest()?],
        cluster: "as recorded".into(),
        policies: names,
        seeds: vec![header.seed],
        options: vec![Setting { name: "rules".into(), value: format!("{:?}", header.rules) }],
        synthetic_zones: header.synthetic_zones.clone(),
        fingerprints,
        interrupted: false,
        runs_finished: finished,
        runs_planned: finished,
        warnings,
    };
    let comparison = Comparison::new(manifest, runs);
    let timings = Timings {
        wall_secs: begin.elapsed().as_secs_f64(),
        jobs: 1,
        peak_memory_bytes: output::peak_memory_bytes(),
        runs: timings,
    };
    folder.write(&comparison, &timings, true)?;
    print::comparison(&comparison, global, true)?;
    if global.format == Format::Table && !global.quiet {
        print::line(&format!("\nwrote {}", args.out.join("report.html").display()))?;
    }
    Ok(())
}

/// What was not kept of a journal, and what had to be made up.
pub fn notes(what_if: &Counterfactual) -> Vec<String> {
    let mut notes = Vec::new();
    let left = what_if.left_out;
    for (count, what) in [
        (left.failed_starts, "failed starts"),
        (left.health, "reports of health"),
        (left.taken_ports, "reports of taken host ports"),
    ] {
        if count > 0 {
            notes.push(format!(
                "{count} {what} of the journal are left out: they follow from where tasks were placed."
            ));
        }
    }
    if what_if.modelled > 0 {
        notes.push(format!(
            "{} tasks never ran in the journal; they are given the mean run time of their definition.",
            what_if.modelled
        ));
    }
    if what_if.unknown > 0 {
        notes.push(format!(
            "{} tasks never ran in the journal and nothing is known of their like; they run to the end.",
            what_if.unknown
        ));
    }
    notes
}

fn fingerprint(key: &RunKey, fingerprint: String) -> RunFingerprint {
    RunFingerprint { policy: key.policy.clone(), seed: key.seed, fingerprint }
}
