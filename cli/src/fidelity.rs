//! `bayplan fidelity`: how near the simulator comes to what a live cluster did.
//!
//! What came from outside is the journal's: definitions, nodes, submits, cancels, services, contact with
//! nodes, and how long each task ran. Placements are decided anew under the recorded policy; start-up times
//! come from a model, and decisions come as long after what asks for them as half of the recorded ones did.
//! With the journal's own start-up times decisions come when they did: then nothing should differ, but for
//! what is left out.
//! What still ran when it was stopped, or when the recording ended, has no known run time: in the model it
//! runs until it is stopped, or to the end.

use crate::args::{Fidelity as Args, Format, Global};
use crate::error::Failure;
use crate::output::{Folder, MANIFEST, command_line, write_json};
use crate::recording::{Gathered, Gathering, Recording};
use crate::replay::notes;
use crate::{plan, print};
use cluster::units::{Instant, Span};
use reports::collector::{Collector, CollectorConfig};
use reports::column::Unit;
use reports::fidelity::{Fidelity, Pair, Side, Story};
use reports::manifest::{Manifest, RunFingerprint, Setting, TraceInfo};
use reports::number::Scale;
use reports::write::write_file;
use serde::Serialize;
use sim::startup::Startup;
use sim::world::{Config, Outcome, run};
use std::path::Path;

/// Everything that was found, for `--format json` and `fidelity.json`.
#[derive(Serialize)]
struct Found {
    recording: String,
    policy: String,
    seed: u64,
    records: u64,
    decisions: u64,
    end_us: u64,
    fingerprint: String,
    startup: Model,
    /// Half of the recorded decisions came this long, or less, after what asked for them; all of the
    /// model's do, unless its start-ups are the journal's: then its decisions are, too.
    decide_after_us: u64,
    /// Whether every placement and every number is the same.
    exact: bool,
    notes: Vec<String>,
    #[serde(flatten)]
    fidelity: Fidelity,
}

/// The start-up model.
#[derive(Serialize)]
struct Model {
    /// As `simulate --startup` takes it.
    model: String,
    /// Where it comes from.
    origin: Origin,
    /// Recorded starts.
    samples: usize,
    /// Seed of what is drawn.
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    /// Fitted to the recorded starts.
    Fitted,
    /// Each recorded start takes as long as it did; others are drawn from the fitted model.
    Journal,
    /// Given on the command line.
    Given,
}

/// Runs `bayplan fidelity`.
///
/// # Errors
///
/// Bad input; or, with exit code 1, a recording that does not verify. A model that is far off is none.
pub fn fidelity(args: &Args, global: &Global) -> Result<(), Failure> {
    let given = match args.startup.as_deref() {
        None => None,
        Some("journal") => Some(None),
        Some(text) => Some(Some(plan::startup(text)?)),
    };
    let folder = args.out.as_deref().map(|dir| Folder::prepare(dir, args.force)).transpose()?;
    let recording = Recording::open(&args.state)?;
    let mut story = Story::default();
    let mut gathering = Gathering::default();
    let verified = recording.verify(Some(&mut gathering), &mut story)?;
    let gathered = gathering.finish();
    let samples = gathered.what_if.startups.len();
    let fitted = Startup::fit(gathered.what_if.startups.values().copied());
    let (startup, origin) = match given {
        None => (fitted, Origin::Fitted),
        Some(None) => (fitted, Origin::Journal),
        Some(Some(model)) => (model, Origin::Given),
    };
    let model = Model { model: startup.to_string(), origin, samples, seed: global.seed };
    let (outcome, side) = simulate(&recording, verified.end, &gathered, startup, &model)?;
    let mut notes = notes(&gathered.what_if);
    if samples == 0 {
        notes.push(
            "No start was recorded: the model's tasks run as soon as they are placed.".into(),
        );
    }
    let live = Side { report: verified.report, story };
    let fidelity = Fidelity::new(&live, &side);
    let found = Found {
        recording: args.state.display().to_string(),
        policy: recording.header.policy.clone(),
        seed: recording.header.seed,
        records: verified.records,
        decisions: verified.decisions,
        end_us: verified.end.0,
        fingerprint: verified.fingerprint,
        startup: model,
        decide_after_us: gathered.decide_after.0,
        exact: fidelity.is_exact(),
        notes,
        fidelity,
    };
    if let (Some(dir), Some(_)) = (&args.out, folder) {
        write_json(&dir.join(MANIFEST), &manifest(&recording, &found, &outcome)?)?;
        write_json(&dir.join("fidelity.json"), &found)?;
        write_file(&dir.join("fidelity.csv"), csv(&found.fidelity)?.as_bytes())?;
    }
    match global.format {
        Format::Json => print::json(&found),
        Format::Csv => print::text(&csv(&found.fidelity)?),
        Format::Table => table(&found, &recording, args.out.as_deref(), global.quiet),
    }
}

/// The same input once more, with modelled start-up times.
fn simulate(
    recording: &Recording,
    end: Instant,
    gathered: &Gathered,
    startup: Startup,
    model: &Model,
) -> Result<(Outcome, Side), Failure> {
    let header = &recording.header;
    let policy = plan::policy(&header.policy)?;
    let mut config = Config {
        rules: header.rules,
        seed: model.seed,
        startup,
        until: Some(end),
        decide_after: gathered.decide_after,
        ..Config::default()
    };
    gathered.what_if.inform(&mut config);
    match model.origin {
        Origin::Journal => config.known_decisions = gathered.decided.clone(),
        Origin::Fitted | Origin::Given => {
            config.known_startups.clear();
            config.startups_at_least.clear();
        }
    }
    let collector = CollectorConfig { horizon: header.until, ..CollectorConfig::default() };
    let mut watching = Watching { collector: Collector::new(collector), story: Story::default() };
    let mut stream = gathered.what_if.arrivals.clone().into_iter();
    let scheduler = policy.build(header.seed);
    let (outcome, state) = run(&config, &mut stream, scheduler, &mut watching, &mut ())
        .map_err(|it| Failure::new(it.to_string()))?;
    let report = watching.collector.finish(outcome.end, &state);
    Ok((outcome, Side { report, story: watching.story }))
}

struct Watching {
    collector: Collector,
    story: Story,
}

impl cluster::observer::Observer for Watching {
    fn advance(&mut self, to: Instant, state: &cluster::state::State) {
        self.collector.advance(to, state);
    }

    fn observe(
        &mut self,
        now: Instant,
        changes: &[cluster::event::Change],
        state: &cluster::state::State,
    ) {
        self.collector.observe(now, changes, state);
        self.story.observe(now, changes, state);
    }
}

fn manifest(recording: &Recording, found: &Found, outcome: &Outcome) -> Result<Manifest, Failure> {
    let print =
        |policy: String, seed, fingerprint: String| RunFingerprint { policy, seed, fingerprint };
    let setting = |name: &str, value: String| Setting { name: name.to_owned(), value };
    Ok(Manifest {
        title: "How near the model is".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        command: command_line(),
        trace: TraceInfo {
            name: found.recording.clone(),
            format: "journal".into(),
            card: recording.header.card.clone(),
        },
        inputs: vec![recording.digest()?],
        cluster: "as recorded".into(),
        policies: vec![found.policy.clone()],
        seeds: vec![found.seed],
        options: vec![
            setting("startup", found.startup.model.clone()),
            setting("rules", format!("{:?}", recording.header.rules)),
        ],
        fingerprints: vec![
            print(format!("recorded: {}", found.policy), found.seed, found.fingerprint.clone()),
            print(found.policy.clone(), found.startup.seed, outcome.fingerprint.to_string()),
        ],
        runs_finished: 2,
        runs_planned: 2,
        warnings: found.notes.clone(),
        ..Manifest::default()
    })
}

fn csv(fidelity: &Fidelity) -> Result<String, Failure> {
    let failed = |it: String| Failure::new(format!("cannot make the CSV: {it}"));
    let mut out = csv::Writer::from_writer(Vec::new());
    let cell = |it: Option<f64>| it.map(|it| it.to_string()).unwrap_or_default();
    out.write_record(["metric", "live", "model", "difference", "relative"])
        .map_err(|it| failed(it.to_string()))?;
    for Pair { name, live, model, difference, relative, .. } in &fidelity.metrics {
        let row = [name.clone(), cell(*live), cell(*model), cell(*difference), cell(*relative)];
        out.write_record(row).map_err(|it| failed(it.to_string()))?;
    }
    let bytes = out.into_inner().map_err(|it| failed(it.to_string()))?;
    String::from_utf8(bytes).map_err(|it| failed(it.to_string()))
}

/// Numbers that people see besides the headlines.
const SHOWN: [&str; 9] = [
    "wait_us_p50",
    "start_latency_us_mean",
    "start_latency_us_p99",
    "makespan_us",
    "tasks_placed",
    "interruptions",
    "cpu_utilised_share",
    "memory_utilised_share",
    "nodes_used_mean",
];

/// A table of more nodes than this is for machines.
const NODES_SHOWN_MAX: usize = 16;

fn table(
    found: &Found,
    recording: &Recording,
    out: Option<&Path>,
    quiet: bool,
) -> Result<(), Failure> {
    let Found { records, policy, startup, fidelity, .. } = found;
    if !quiet {
        print::line(&format!(
            "{}, under {policy}: {records} records verified, over {}",
            recording.header.trace,
            print::time(Span(found.end_us))
        ))?;
        let of = match startup.samples {
            1 => "1 recorded start".to_owned(),
            count => format!("{count} recorded starts"),
        };
        let Model { model, seed, .. } = startup;
        print::line(&match startup.origin {
            Origin::Fitted => format!("start-up model: {model}, fitted to {of}, seed {seed}"),
            Origin::Journal => format!("start-up times: those of {of}; for others {model}"),
            Origin::Given => format!("start-up model: {model}, seed {seed}; there are {of}"),
        })?;
        print::line(&match found.decide_after_us {
            _ if startup.origin == Origin::Journal => {
                "decisions come when the recorded ones did\n".to_owned()
            }
            0 => "decisions come at once, as half of the recorded ones did\n".to_owned(),
            us => format!(
                "decisions come {} after what asks for them, as half of the recorded ones did\n",
                print::time(Span(us))
            ),
        })?;
    }
    let mut table = print::columns(&["", "live", "model", "difference", "relative"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let is_on_node = |it: &Pair| it.name.starts_with("placements_on:");
    let shows_nodes =
        fidelity.metrics.iter().filter(|it| is_on_node(it)).count() <= NODES_SHOWN_MAX;
    let is_shown = |it: &&Pair| {
        let says = |value: Option<f64>| value.is_some_and(|it| it != 0.0);
        let is_for_people = it.headline || SHOWN.contains(&it.name.as_str());
        is_for_people && (says(it.live) || says(it.model)) && (shows_nodes || !is_on_node(it))
    };
    let shown: Vec<&Pair> = fidelity.metrics.iter().filter(is_shown).collect();
    for it in &shown {
        let scale = |values: &[Option<f64>]| {
            Scale::of(it.unit, values.iter().flatten().copied().filter(|it| *it != 0.0))
        };
        let both = scale(&[it.live, it.model]);
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |it| both.full(it));
        let difference = it.difference.map_or("-".to_owned(), |value| match it.unit {
            // Percent of percent would be another number.
            Unit::Share => format!("{} points", both.bare(value)),
            _ if value == 0.0 => both.full(value),
            _ => scale(&[it.difference]).full(value),
        });
        let signed = |text: String, value: Option<f64>| match value {
            Some(value) if value > 0.0 => format!("+{text}"),
            _ => text,
        };
        let percent = match it.relative.map(|it| it * 100.0) {
            None => "-".to_owned(),
            // What is not zero never looks like zero.
            Some(it) if it != 0.0 && it.abs() < 0.05 => "<0.1 %".to_owned(),
            Some(it) => format!("{it:.1} %"),
        };
        table.add_row([
            it.title.clone(),
            number(it.live),
            number(it.model),
            signed(difference, it.difference),
            signed(percent, it.relative.filter(|it| it.abs() >= 0.0005)),
        ]);
    }
    for line in table.to_string().lines() {
        print::line(line.trim_end())?;
    }
    let differ = |it: &&Pair| !it.is_equal();
    print::line(&format!(
        "\n{} of {} numbers differ; all of them with --format json or --out DIR",
        fidelity.metrics.iter().filter(differ).count(),
        fidelity.metrics.len()
    ))?;
    let nodes = fidelity.nodes;
    if let Some(share) = nodes.share {
        print::line(&format!(
            "{} of {} tasks that were placed in both went to the same node ({}); {} were placed live only, \
             {} in the model only",
            nodes.same,
            nodes.both,
            Scale::of(Unit::Share, [share]).full(share),
            nodes.only_live,
            nodes.only_model
        ))?;
    }
    match &fidelity.divergence {
        None => print::line(&format!(
            "all {} placements are the same, in the same order",
            fidelity.placements_alike
        ))?,
        Some(found) => {
            print::line(&format!(
                "the first {} placements are the same; then {}",
                fidelity.placements_alike, found.what
            ))?;
            for cause in &found.causes {
                print::line(&format!("  {cause}"))?;
            }
            if found.causes.is_empty() {
                print::line(
                    "  right before it both had the same tasks on the same nodes: what the policy \
                     remembers, or the order of events at one moment, differs",
                )?;
            }
        }
    }
    if quiet {
        return Ok(());
    }
    for note in &found.notes {
        print::line(&format!("\n{note}"))?;
    }
    if found.startup.origin == Origin::Fitted && found.startup.samples > 0 {
        let model = &found.startup.model;
        print::line(&format!("\nsimulate --startup {model} starts tasks as these hosts did"))?;
    }
    match out {
        Some(dir) => print::line(&format!("\nwrote {}", dir.join("fidelity.json").display())),
        None => Ok(()),
    }
}
