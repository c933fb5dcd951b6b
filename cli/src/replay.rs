//! `bayplan replay`: verify a journal, or ask what other policies would have done.

use crate::args::{Format, Global, Replay};
use crate::error::Failure;
use crate::journal_file::{End, Header, Reader};
use crate::output::{self, Folder, command_line};
use crate::workloads::digest;
use crate::{plan, print};
use cluster::event::Action;
use cluster::journal::Record;
use cluster::manager::Manager;
use cluster::observer::Observer;
use cluster::units::Instant;
use reports::collector::{Collector, CollectorConfig};
use reports::comparison::{Comparison, RunKey};
use reports::manifest::{Manifest, RunFingerprint, RunTiming, Setting, Timings, TraceInfo};
use reports::run_report::RunReport;
use serde::Serialize;
use sim::replay::{Counterfactual, Difference, Verifier};
use sim::world::{Config, run};

/// What verifying found, for `--format json`.
#[derive(Serialize)]
struct Found {
    policy: String,
    records: u64,
    fingerprint: String,
    equal: bool,
}

/// Runs `bayplan replay`.
///
/// # Errors
///
/// Bad input; or the first difference, with exit code 1.
pub fn replay(args: &Replay, global: &Global) -> Result<(), Failure> {
    let mut reader = Reader::open(&args.journal)?;
    let header = reader.header.clone();
    if global.format == Format::Csv && args.policies.is_empty() {
        return Err(Failure::new("a verification has no CSV form").help("use --format json"));
    }
    let verified = verify(&mut reader, &header)?;
    if global.format == Format::Json && args.policies.is_empty() {
        let found = Found {
            policy: header.policy.clone(),
            records: verified.records,
            fingerprint: verified.fingerprint.clone(),
            equal: true,
        };
        return print::json(&found);
    }
    if !global.quiet && global.format == Format::Table {
        print::line(&format!(
            "verified: {} records, every action of {} as recorded, fingerprint {}",
            verified.records, header.policy, verified.fingerprint
        ))?;
        if verified.end.was_stopped {
            print::line(&format!("the run was interrupted at {}", verified.end.at))?;
        }
    }
    if args.policies.is_empty() {
        return Ok(());
    }
    counterfactual(args, global, &header, verified)
}

/// A journal that was fed back without a difference.
struct Verified {
    records: u64,
    fingerprint: String,
    report: RunReport,
    end: End,
}

fn verify(reader: &mut Reader, header: &Header) -> Result<Verified, Failure> {
    let policy = plan::policy(&header.policy)?;
    let manager = Manager::new(header.rules, policy.build(header.seed));
    // As when it was recorded, so that samples are taken at the same moments.
    let config = CollectorConfig { horizon: header.until, ..CollectorConfig::default() };
    let mut collector = Collector::new(config);
    let mut verifier = Verifier::new(manager, &mut collector);
    let mut now = Instant::ZERO;
    while let Some(record) = reader.next()? {
        now = record.at;
        verifier.feed(record).map_err(|it| differs(&it, header))?;
    }
    let fingerprint = verifier.manager().fingerprint();
    let records = verifier.records();
    let end = reader.end().expect("all records were read");
    if end.fingerprint != fingerprint {
        return Err(Failure::new(format!(
            "all {records} records are answered as recorded, but their fingerprint is \
             {fingerprint}, not {}",
            end.fingerprint
        ))
        .help("the journal's end mark is damaged")
        .found());
    }
    let state = verifier.into_state();
    if end.at > now {
        collector.advance(end.at, &state);
    }
    let report = collector.finish(end.at, &state);
    Ok(Verified { records, fingerprint: fingerprint.to_string(), report, end })
}

fn differs(difference: &Difference, header: &Header) -> Failure {
    let Difference { number, recorded, replayed } = difference;
    let show = |actions: &[Action]| {
        let record =
            Record { at: recorded.at, input: recorded.input.clone(), actions: actions.to_vec() };
        record.to_string()
    };
    let (recorded, replayed) = (show(&recorded.actions), show(replayed));
    let version = env!("CARGO_PKG_VERSION");
    let help = if header.version == version {
        "the policy does not decide alike twice, or its code changed since the journal was written"
            .to_owned()
    } else {
        format!("the journal was written by version {}, this is {version}", header.version)
    };
    Failure::new(format!(
        "record {number} is answered otherwise now\n  recorded: {recorded}\n  now:      {replayed}"
    ))
    .help(help)
    .found()
}

fn counterfactual(
    args: &Replay,
    global: &Global,
    header: &Header,
    verified: Verified,
) -> Result<(), Failure> {
    let policies = plan::policies(&args.policies)?;
    let folder = Folder::prepare(&args.out, args.force)?;
    let begin = std::time::Instant::now();
    let mut reader = Reader::open(&args.journal)?;
    let what_if = Counterfactual::collect(std::iter::from_fn(|| reader.next().transpose()))?;
    let recorded = format!("recorded: {}", header.policy);
    let mut names = vec![recorded.clone()];
    let mut runs = vec![(RunKey { policy: recorded, seed: header.seed }, verified.report)];
    let mut fingerprints = vec![fingerprint(&runs[0].0, verified.fingerprint)];
    let mut timings = Vec::new();
    let config = Config {
        rules: header.rules,
        seed: header.seed,
        startup: header.startup,
        known_startups: what_if.startups.clone(),
        until: Some(verified.end.at),
        ..Config::default()
    };
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
        "Counterfactual: submits, cancellations and node events are the journal's; start-up and run \
         times are the journal's for tasks that ran there."
            .to_owned(),
    ];
    if verified.end.was_stopped {
        warnings.push("The recorded run was interrupted; all runs end where it did.".to_owned());
    }
    if what_if.modelled > 0 {
        warnings.push(format!(
            "{} tasks never ran in the journal; they are given the mean run time of their definition.",
            what_if.modelled
        ));
    }
    if what_if.unknown > 0 {
        warnings.push(format!(
            "{} tasks never ran in the journal and nothing is known of their like; they run to the end.",
            what_if.unknown
        ));
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
        inputs: vec![digest(&args.journal)?],
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

fn fingerprint(key: &RunKey, fingerprint: String) -> RunFingerprint {
    RunFingerprint { policy: key.policy.clone(), seed: key.seed, fingerprint }
}
