//! Drives a trace against real hosts: by the controller that runs, or by one of its own.

use super::args::Replay;
use super::place::{Place, Talk, strange};
use super::trace_plan::{Factor, Replayable, Room, Wanted, replayable};
use super::up::controller_failure;
use super::{inputs, show};
use crate::args::{Format, Global};
use crate::error::Failure;
use crate::output::quoted;
use crate::progress::Bar;
use crate::runner::STOP;
use crate::workloads::{digest, hex};
use crate::{plan, print};
use cluster::event::{Action, Event, Report};
use cluster::ids::TaskId;
use cluster::journal::{Input, Record};
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use runtime::control::{Answer, NodeState, NodeView, Request, TaskState, TaskView};
use runtime::controller::{self, Notice};
use runtime::store::StoreReader;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant as Moment};
use traces::Workload;
use traces::source::{ReadOptions, Source};
use traces::workload::Oversized;

/// More than hosts can start in hours: a few containers a second each.
const TASKS_MAX: usize = 50_000;
/// How long hosts may take to be reached before the trace begins without them.
const HOSTS_WAIT: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What came of a replay.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Of the trace.
    tasks: u64,
    /// How many of them ended, by how.
    ended: BTreeMap<String, u64>,
    /// Those that were never placed.
    never_placed: Option<u64>,
    /// From submitted to first placed; to the end, for those that never were.
    mean_wait_us: Option<u64>,
    /// From placed to running, over those that ran.
    mean_startup_us: Option<u64>,
    /// From the first arrival to the last end.
    makespan_us: Option<u64>,
}

/// How watching ended.
enum Watched {
    /// All tasks ended.
    All(Vec<TaskView>),
    /// Ctrl-C, after so many of so many had ended.
    Stopped { ended: u64, tasks: u64 },
}

/// Drives a trace.
///
/// # Errors
///
/// If the input is at fault, no host can be reached, or with exit code 130 if Ctrl-C stopped it.
pub fn replay(args: &Replay, place: &Place, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    let speed = Factor::parse("--speed", &args.speed)?;
    let scale = Factor::parse("--scale-demand", &args.scale_demand)?;
    let lasts = args.lasts.as_deref().map(|it| plan::span("--for", it)).transpose()?;
    if lasts == Some(Span::ZERO) {
        return Err(Failure::new("--for is no time at all").help("give a time such as 2m"));
    }
    let source = Source::parse(&args.trace)?;
    let workload = read(&source, args, global)?;
    let digest = identity(&source, args, global)?;
    let family = format!("replay-{}", &digest[..6]);
    let image = args.image.clone();
    let wanted = Wanted { speed, scale, lasts, busy: args.busy, image, family };
    let drive = Drive { workload: &workload, wanted: &wanted, digest: &digest, global };
    match Talk::try_open(place) {
        Some(talk) => by_the_one_that_runs(talk, &drive, args, place),
        None => by_one_of_our_own(&drive, args, place),
    }
}

fn read(source: &Source, args: &Replay, global: &Global) -> Result<Workload, Failure> {
    let options = ReadOptions {
        limit: args.limit,
        // What is too large for its own nodes may fit the hosts, and is clipped if it does not.
        oversized: Oversized::Keep,
        seed: global.seed,
        ..ReadOptions::default()
    };
    let workload = traces::read(source, &options)?;
    if workload.task_count() > TASKS_MAX {
        let tasks = workload.task_count();
        return Err(Failure::new(format!("{source} has {tasks} tasks, too many for real hosts"))
            .help(format!("replay the first ones: --limit N, with N up to {TASKS_MAX}")));
    }
    Ok(workload)
}

/// The same trace replayed in the same way is the same replay, so that it can be gone on with.
fn identity(source: &Source, args: &Replay, global: &Global) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let Replay { trace: _, speed, limit, lasts, scale_demand, busy, image, founding: _ } = args;
    hash.update(format!(
        "{source} {speed} {limit:?} {lasts:?} {scale_demand} {busy} {image} {}",
        global.seed
    ));
    for path in source.files()? {
        hash.update(digest(&path)?.sha256);
    }
    Ok(hex(&hash.finalize()))
}

/// A trace to be driven.
struct Drive<'a> {
    workload: &'a Workload,
    wanted: &'a Wanted,
    digest: &'a str,
    global: &'a Global,
}

impl Drive<'_> {
    /// A line for people.
    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.global.format == Format::Table && !self.global.quiet {
            print::line(line)?;
        }
        Ok(())
    }

    /// Hands the trace to a controller and waits until all of its tasks have ended.
    fn drive(&self, talk: &mut Talk) -> Result<Watched, Failure> {
        let (rooms, missing) = rooms(talk)?;
        missing.iter().try_for_each(|it| self.say(&format!("begun without {it}")))?;
        let Replayable { plan, tasks, last, notes } =
            replayable(self.workload, &rooms, self.wanted);
        let request = Request::Apply { plan, once: Some(self.digest.to_owned()) };
        let applied = match talk.ask(request)? {
            Answer::Applied(it) => it,
            other => return Err(strange(&other)),
        };
        if applied.was_known {
            self.say("this trace was begun before: going on with it")?;
        } else {
            notes.iter().try_for_each(|it| self.say(it))?;
            let when = if last == Span::ZERO {
                "at once".to_owned()
            } else {
                format!("over {}", print::time(last))
            };
            let (tasks, hosts) =
                (show::count(tasks, "task"), show::count(rooms.len() as u64, "host"));
            self.say(&format!("{tasks} {when}, on {hosts}"))?;
        }
        watch(talk, applied.tasks.into_iter().collect(), self.global)
    }
}

/// What hosts offer, once they were reached; and those that were not, with the reason.
fn rooms(talk: &mut Talk) -> Result<(Vec<Room>, Vec<String>), Failure> {
    let began = Moment::now();
    loop {
        let nodes = match talk.ask(Request::Nodes)? {
            Answer::Nodes(it) => it,
            other => return Err(strange(&other)),
        };
        let is_there = |it: &NodeView| !matches!(it.state, NodeState::Unknown | NodeState::Lost);
        let (there, missing): (Vec<NodeView>, Vec<NodeView>) =
            nodes.into_iter().partition(is_there);
        let is_late = began.elapsed() >= HOSTS_WAIT || STOP.load(Ordering::Relaxed);
        let missing: Vec<String> =
            missing.iter().map(|it| format!("{}: {}", it.node, it.reason)).collect();
        if is_late && there.is_empty() {
            return Err(Failure::new(format!("no host can be reached: {}", missing.join("; ")))
                .help(
                    "check that the addresses in hosts.toml are right and that Docker runs there",
                ));
        }
        if is_late || missing.is_empty() {
            let room = |it: &NodeView| Room {
                cpu: MilliCpu(it.cpu_milli),
                memory: Bytes(it.memory_bytes),
                gpus: it.gpus,
            };
            return Ok((there.iter().map(room).collect(), missing));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until all of these tasks have ended.
fn watch(talk: &mut Talk, mine: BTreeSet<String>, global: &Global) -> Result<Watched, Failure> {
    let total = mine.len() as u64;
    let bar = Bar::tasks(total, global.quiet);
    let (mut seen, mut next) = (None, Moment::now());
    let mut ended = 0;
    let watched = loop {
        let status = match talk.ask(Request::Status) {
            Ok(Answer::Status(it)) => it,
            Ok(other) => break Err(strange(&other)),
            Err(failure) => break Err(failure),
        };
        if seen != Some(status.records) && Moment::now() >= next {
            seen = Some(status.records);
            let began = Moment::now();
            let mut tasks = match talk.ask(Request::Tasks { ended: true }) {
                Ok(Answer::Tasks(it)) => it,
                Ok(other) => break Err(strange(&other)),
                Err(failure) => break Err(failure),
            };
            // Looking at many tasks must not keep the controller from placing them.
            next = Moment::now() + began.elapsed() * 10;
            tasks.retain(|it| mine.contains(&it.task));
            let of = |state| show::standing(&tasks, state);
            ended = of(TaskState::Ended);
            let (waiting, starting, running) =
                (of(TaskState::Pending), of(TaskState::Starting), of(TaskState::Running));
            bar.reached(
                ended,
                format!("{running} running, {starting} starting, {waiting} waiting"),
            );
            // If the rest of it was given up, nothing more comes.
            let is_over = status.agenda == 0 && ended == tasks.len() as u64;
            if ended >= total || is_over {
                break Ok(Watched::All(tasks));
            }
        }
        std::thread::sleep(LOOK_EVERY);
        if STOP.load(Ordering::Relaxed) {
            break Ok(Watched::Stopped { ended, tasks: total });
        }
    };
    bar.clear();
    match watched {
        Err(_) if STOP.load(Ordering::Relaxed) => Ok(Watched::Stopped { ended, tasks: total }),
        other => other,
    }
}

fn by_the_one_that_runs(
    mut talk: Talk,
    drive: &Drive<'_>,
    args: &Replay,
    place: &Place,
) -> Result<(), Failure> {
    if args.founding.is_any() {
        return Err(Failure::new(format!(
            "a controller is running on {}, with hosts and a policy of its own",
            place.dir.display()
        ))
        .help(
            "leave --hosts, --policy and the like out to drive the trace against it, or name another \
             folder with --state",
        ));
    }
    match drive.drive(&mut talk)? {
        Watched::Stopped { ended, tasks } => Err(Failure::new(format!(
            "interrupted: {ended} of {tasks} tasks had ended; the controller goes on with the others"
        ))
        .help("the same command watches again")
        .interrupted()),
        Watched::All(tasks) => {
            let outcome = outcome(drive.workload, &tasks, None);
            tell(&outcome, drive, place)?;
            let flag = &place.flag;
            drive.say(&format!(
                "waits and start-up times are in the journal: `bayplan live end{flag}`, then \
                 `bayplan fidelity {}`",
                quoted(&place.dir.to_string_lossy())
            ))
        }
    }
}

fn by_one_of_our_own(drive: &Drive<'_>, args: &Replay, place: &Place) -> Result<(), Failure> {
    let setup = inputs::setup(&args.founding, place, drive.global)?;
    let is_over = AtomicBool::new(false);
    let (listens, listening) = channel();
    let (ran, watched) = std::thread::scope(|scope| {
        let is_over = &is_over;
        let watching = scope.spawn(move || {
            // A controller that fails to start never listens.
            let watched = listening
                .recv()
                .is_ok()
                .then(|| Talk::open(place).and_then(|mut talk| drive.drive(&mut talk)));
            is_over.store(true, Ordering::Relaxed);
            watched
        });
        let ran = controller::run(
            setup,
            &inputs::scheduler,
            Vec::new(),
            &|| STOP.load(Ordering::Relaxed) || is_over.load(Ordering::Relaxed),
            &mut |notice| {
                let _ = match notice {
                    Notice::Listening => listens.send(()).map_err(drop),
                    Notice::Warning(it) => drive.say(&format!("warning: {it}")).map_err(drop),
                    _ => Ok(()),
                };
            },
        );
        drop(listens);
        (ran, watching.join())
    });
    ran.map_err(|it| controller_failure(&it, place))?;
    let flag = &place.flag;
    let leaves = |what: String| {
        Failure::new(format!("{what}; the controller has ended, its tasks run on"))
            .help(format!(
                "the same command goes on where it left off, `bayplan live down{flag}` removes everything"
            ))
            .interrupted()
    };
    let watched = watched.map_err(|_| Failure::new("the watcher of the replay failed").found())?;
    match watched {
        Some(Ok(Watched::All(tasks))) => {
            let times = times(place, &tasks)?;
            tell(&outcome(drive.workload, &tasks, Some(times)), drive, place)?;
            let dir = quoted(&place.dir.to_string_lossy());
            drive.say(&format!(
                "`bayplan replay {dir}` verifies its journal, or tells with --policy P what another \
                 policy would have done; `bayplan fidelity {dir}` compares it with the simulator"
            ))
        }
        Some(Ok(Watched::Stopped { ended, tasks })) => {
            Err(leaves(format!("interrupted: {ended} of {tasks} tasks had ended")))
        }
        Some(Err(_)) | None if STOP.load(Ordering::Relaxed) => {
            Err(leaves("interrupted".to_owned()))
        }
        Some(Err(failure)) => Err(failure),
        None => Err(Failure::new("the controller ended before it listened").found()),
    }
}

/// Sums over the journal.
#[derive(Debug, Default)]
struct Times {
    wait_us: Vec<u64>,
    never_placed: u64,
    startup_us: Vec<u64>,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// What the journal says of these tasks.
fn times(place: &Place, tasks: &[TaskView]) -> Result<Times, Failure> {
    let mine: BTreeSet<TaskId> = tasks.iter().filter_map(|it| it.task.parse().ok()).collect();
    let failed = |it| place.store_failure(&it);
    let reader = StoreReader::open(&place.dir).map_err(failed)?;
    let mut times = Times::default();
    let mut submitted = BTreeMap::new();
    let mut placed = BTreeMap::new();
    for it in reader.records(1).map_err(failed)? {
        let it = it.map_err(failed)?;
        let Ok(Record { at, input, actions }) = Record::from_bytes(&it.entry.record) else {
            continue;
        };
        match input {
            Input::Event(Event::TaskSubmitted(it)) if mine.contains(&it.task) => {
                submitted.insert(it.task, at);
                times.first = Some(times.first.map_or(at, |it| it.min(at)));
            }
            Input::Event(Event::TaskReported { task, attempt, report: Report::Started }) => {
                if let Some(before) = placed.remove(&(task, attempt)) {
                    times.startup_us.push(at.since(before).0);
                }
            }
            _ => {}
        }
        for action in actions {
            if let Action::Start { task, attempt, .. } = action
                && mine.contains(&task)
            {
                placed.insert((task, attempt), at);
                // The first start ends the wait of those that start again, too.
                if let Some(before) = submitted.remove(&task) {
                    times.wait_us.push(at.since(before).0);
                }
            }
        }
    }
    for it in tasks {
        let end = Instant(it.since_us);
        times.last = times.last.max(Some(end));
        if let Some(before) = it.task.parse().ok().and_then(|it: TaskId| submitted.remove(&it)) {
            times.wait_us.push(end.since(before).0);
            times.never_placed += 1;
        }
    }
    Ok(times)
}

fn mean(values: &[u64]) -> Option<u64> {
    let sum: u128 = values.iter().map(|it| u128::from(*it)).sum();
    u64::try_from(sum.checked_div(values.len() as u128)?).ok()
}

fn outcome(workload: &Workload, tasks: &[TaskView], times: Option<Times>) -> Outcome {
    let mut ended: BTreeMap<String, u64> = BTreeMap::new();
    for it in tasks {
        let is_fine = it.exit_codes.values().all(|it| *it == 0) && it.reason.starts_with("exited");
        let how = if is_fine { "finished" } else { &*it.reason };
        *ended.entry(how.to_owned()).or_default() += 1;
    }
    let never_placed = times.as_ref().map(|it| it.never_placed);
    let times = times.unwrap_or_default();
    let makespan = times.last.zip(times.first).map(|(last, first)| last.since(first).0);
    Outcome {
        tasks: (tasks.len()).min(workload.task_count()) as u64,
        ended,
        never_placed,
        mean_wait_us: mean(&times.wait_us),
        mean_startup_us: mean(&times.startup_us),
        makespan_us: makespan,
    }
}

fn tell(outcome: &Outcome, drive: &Drive<'_>, place: &Place) -> Result<(), Failure> {
    if drive.global.format == Format::Json {
        return print::json(&serde_json::json!({ "state": place.dir, "outcome": outcome }));
    }
    let mut ended: Vec<(&String, &u64)> = outcome.ended.iter().collect();
    ended.sort_by_key(|it| std::cmp::Reverse(it.1));
    let ended: Vec<String> = ended.iter().map(|(how, count)| format!("{count} {how}")).collect();
    let mut line = format!("{} ended: {}", show::count(outcome.tasks, "task"), ended.join(", "));
    if let Some(count @ 1..) = outcome.never_placed {
        line.push_str(&format!("\nnever placed {count}"));
    }
    for (name, value) in [
        ("mean wait", outcome.mean_wait_us),
        ("mean start-up", outcome.mean_startup_us),
        ("makespan", outcome.makespan_us),
    ] {
        if let Some(us) = value {
            line.push_str(&format!("\n{name} {}", print::time(Span(us))));
        }
    }
    print::line(&line)
}
