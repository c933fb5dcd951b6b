//! A trace as a plan for real hosts: containers that sleep, or keep the cpu busy, for as long as its tasks
//! ran.
//!
//! The trace's nodes are passed over, because the hosts are the cluster. What it asks for was measured on
//! other machines, so each demand is changed as far as it must be for some host to hold it.

use super::show::{cores, count, size};
use crate::error::Failure;
use cluster::demand::{Amounts, Container, Demand, GpuAsk, TaskDefinition};
use cluster::ids::{DefinitionId, TaskId};
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use runtime::plan::{Plan, PlanDefinition, PlanStep, Wish};
use runtime::program::{ContainerProgram, NetworkMode, Overrides, Program};
use std::collections::BTreeMap;
use traces::Workload;

/// Docker refuses containers with less.
const MEMORY_MIN: Bytes = Bytes::from_mib(6);
/// Docker refuses limits below a hundredth of a core.
const CPU_MIN: MilliCpu = MilliCpu(10);
/// Loops that keep the cpu busy, at most, in one container.
const LOOPS_MAX: u64 = 64;
/// Ten years, which every `sleep` takes.
const LIFETIME_MAX: Span = Span::from_secs(315_360_000);
/// The one container of every task.
const CONTAINER: &str = "main";

/// An exact positive decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    millionths: u64,
}

impl Factor {
    /// Reads `10` or `0.25`.
    ///
    /// # Errors
    ///
    /// If it is none, or zero.
    pub fn parse(option: &str, text: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::new(format!("{option} is {text:?}, which is no factor"))
                .help("write a number above 0 with at most six decimals, such as 10 or 0.25")
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        let fits = whole.len() <= 9 && fraction.len() <= 6 && whole.len() + fraction.len() > 0;
        if !fits || !digits(whole) || !digits(fraction) {
            return Err(bad());
        }
        let millionths: u64 = format!("{whole}{fraction:0<6}").parse().map_err(|_| bad())?;
        if millionths == 0 { Err(bad()) } else { Ok(Self { millionths }) }
    }

    /// Rounded down, so that order is kept.
    fn divide(self, value: u64) -> u64 {
        let exact = u128::from(value) * 1_000_000 / u128::from(self.millionths);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    fn multiply(self, value: u64) -> u64 {
        let exact = u128::from(value) * u128::from(self.millionths) / 1_000_000;
        u64::try_from(exact).unwrap_or(u64::MAX)
    }
}

/// What a host offers when it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Cpu.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// Devices.
    pub gpus: u32,
}

/// How a trace is to be replayed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How many times as fast.
    pub speed: Factor,
    /// What demands are multiplied by.
    pub scale: Factor,
    /// When what is left is withdrawn.
    pub lasts: Option<Span>,
    /// Busy rather than asleep.
    pub busy: bool,
    /// Of all containers.
    pub image: String,
    /// The family of definitions; their number follows.
    pub family: String,
}

/// A trace, ready for a controller.
#[derive(Debug)]
pub struct Replayable {
    /// For the controller.
    pub plan: Plan,
    /// Tasks that it submits.
    pub tasks: u64,
    /// When the last of them is submitted.
    pub last: Span,
    /// What was changed and left out, a line each.
    pub notes: Vec<String>,
}

/// In what tasks had to be changed.
#[derive(Debug, Default)]
struct Changed {
    tasks: u64,
    less_cpu: u64,
    more_cpu: u64,
    less_memory: u64,
    more_memory: u64,
    less_gpus: u64,
    no_disk: u64,
    no_conditions: u64,
}

/// What one demand had to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cut {
    less_cpu: bool,
    more_cpu: bool,
    less_memory: bool,
    more_memory: bool,
    less_gpus: bool,
    no_disk: bool,
    no_conditions: bool,
}

impl Changed {
    fn add(&mut self, cut: Cut) {
        if cut == Cut::default() {
            return;
        }
        self.tasks += 1;
        for (sum, is) in [
            (&mut self.less_cpu, cut.less_cpu),
            (&mut self.more_cpu, cut.more_cpu),
            (&mut self.less_memory, cut.less_memory),
            (&mut self.more_memory, cut.more_memory),
            (&mut self.less_gpus, cut.less_gpus),
            (&mut self.no_disk, cut.no_disk),
            (&mut self.no_conditions, cut.no_conditions),
        ] {
            *sum += u64::from(is);
        }
    }

    fn note(&self, of: u64, rooms: &[Room]) -> Option<String> {
        if self.tasks == 0 {
            return None;
        }
        let most = |of: fn(&Room) -> u64| rooms.iter().map(of).max().unwrap_or(0);
        let mut parts = Vec::new();
        let mut part = |count: u64, what: String| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        let cpu = cores(most(|it| it.cpu.0));
        part(self.less_cpu, format!("clipped to {cpu} cpu, all of the largest host"));
        part(self.more_cpu, format!("raised to {} cpu, Docker's least", cores(CPU_MIN.0)));
        let memory = size(most(|it| it.memory.0));
        part(self.less_memory, format!("clipped to {memory}, all of the largest host"));
        part(self.more_memory, format!("raised to {}, Docker's least", size(MEMORY_MIN.0)));
        part(self.less_gpus, "without the GPUs that no host has".to_owned());
        part(self.no_disk, "without their disk, which they do not fill".to_owned());
        part(self.no_conditions, "without the ports and attributes they require".to_owned());
        let tasks = self.tasks;
        Some(format!(
            "tasks that ask for something else here: {tasks} of {of}; {}",
            parts.join(", ")
        ))
    }
}

/// The demand that comes nearest to what is asked for and that some host can hold.
fn clip(asked: &Demand, scale: Factor, rooms: &[Room]) -> (Demand, Cut) {
    let mut cut = Cut::default();
    let mut cpu = MilliCpu(scale.multiply(asked.amounts.cpu.0));
    // What asks for a little does not ask for nothing.
    if asked.amounts.cpu > MilliCpu::ZERO && cpu < CPU_MIN {
        cpu = CPU_MIN;
        cut.more_cpu = true;
    }
    let mut memory = Bytes(scale.multiply(asked.amounts.memory.0));
    if memory < MEMORY_MIN {
        memory = MEMORY_MIN;
        cut.more_memory = true;
    }
    let devices = rooms.iter().map(|it| it.gpus).max().unwrap_or(0);
    let devices = u16::try_from(devices).unwrap_or(u16::MAX).min(asked.gpus.count);
    cut.less_gpus = devices < asked.gpus.count;
    // The host that leaves most of it, the first of several.
    let share = |has: u64, asks: u64| {
        if asks <= has { 1_000_000 } else { u128::from(has) * 1_000_000 / u128::from(asks) }
    };
    let kept = |it: &&Room| share(it.cpu.0, cpu.0) * share(it.memory.0, memory.0);
    let best = rooms.iter().filter(|it| it.gpus >= u32::from(devices)).rev().max_by_key(kept);
    if let Some(best) = best {
        cut.less_cpu = cpu > best.cpu;
        cut.less_memory = memory > best.memory;
        cpu = cpu.min(best.cpu);
        memory = memory.min(best.memory);
    }
    cut.no_disk = asked.amounts.disk > Bytes::ZERO;
    cut.no_conditions = !asked.ports.is_empty() || !asked.requires.is_empty();
    let gpus = match devices {
        0 => GpuAsk::default(),
        count => GpuAsk { count, milli: asked.gpus.milli, models: Vec::new() },
    };
    let amounts = Amounts { cpu, memory, disk: Bytes::ZERO };
    (Demand { amounts, gpus, ..Demand::default() }, cut)
}

/// Seconds for `sleep`, to a thousandth.
fn seconds(span: Span) -> String {
    let span = span.min(LIFETIME_MAX);
    format!("{}.{:03}", span.0 / 1_000_000, span.0 / 1_000 % 1_000)
}

/// What a container runs: for this long, or until it is stopped.
fn script(wanted: &Wanted, cpu: MilliCpu, lifetime: Option<Span>) -> Vec<String> {
    let loops = cpu.0.div_ceil(1000).clamp(1, LOOPS_MAX);
    let busy = match wanted.busy {
        // What runs beside the shell ends with it: they share a container.
        true => "(while :; do :; done) & ".repeat(usize::try_from(loops).unwrap_or(1)),
        false => String::new(),
    };
    let line = match lifetime {
        Some(span) => format!("{busy}sleep {}", seconds(span)),
        None => format!("{busy}while :; do sleep 3600; done"),
    };
    vec![line]
}

fn definition(wanted: &Wanted, row: usize, demand: &Demand) -> PlanDefinition {
    let family = format!("{}-{row}", wanted.family);
    let container = ContainerProgram {
        name: CONTAINER.to_owned(),
        image: wanted.image.clone(),
        entry_point: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        command: Some(script(wanted, demand.amounts.cpu, None)),
        stop_timeout: Some(Span::from_secs(1)),
        cpu_limit: Some(demand.amounts.cpu).filter(|it| *it > MilliCpu::ZERO),
        memory_limit: Some(demand.amounts.memory),
        // The first process of a container ignores what it does not handle, so that a shell could only be
        // killed.
        init: true,
        ..ContainerProgram::default()
    };
    let spec = TaskDefinition {
        name: format!("{family}:1"),
        containers: vec![Container {
            name: CONTAINER.to_owned(),
            demand: demand.clone(),
            ..Container::default()
        }],
        ..TaskDefinition::default()
    };
    let program = Program {
        family,
        revision: 1,
        // Nobody talks to them, and they start sooner.
        network: NetworkMode::None,
        containers: vec![container],
        ..Program::default()
    };
    PlanDefinition { spec, program }
}

/// Turns a trace into a plan for hosts that offer this.
pub fn replayable(workload: &Workload, rooms: &[Room], wanted: &Wanted) -> Replayable {
    let mut plan = Plan::default();
    let mut changed = Changed::default();
    #[expect(clippy::mutable_key_type, reason = "patterns are ordered by what is written")]
    let mut rows: BTreeMap<Demand, DefinitionId> = BTreeMap::new();
    let clipped: Vec<(Demand, Cut)> =
        workload.definitions().iter().map(|it| clip(&it.demand(), wanted.scale, rooms)).collect();
    let (mut tasks, mut late, mut residents, mut endless) = (0, 0, 0, 0);
    let mut last = Span::ZERO;
    let scaled = |it: Instant| Span(wanted.speed.divide(it.0));
    for (at, task) in workload.arrivals() {
        let at = scaled(at);
        if wanted.lasts.is_some_and(|it| at > it) {
            late += 1;
            continue;
        }
        let (demand, cut) = &clipped[task.submission.definition.row()];
        changed.add(*cut);
        let definition = *rows.entry(demand.clone()).or_insert_with(|| {
            let row = plan.definitions.len();
            plan.definitions.push(definition(wanted, row, demand));
            DefinitionId(u32::try_from(row).expect("fewer than 2^32 definitions"))
        });
        let lifetime = task.lifetime.map(|it| Span(wanted.speed.divide(it.0)));
        let command = lifetime.map(|it| script(wanted, demand.amounts.cpu, Some(it)));
        let submission = task.submission;
        let task_id = TaskId(tasks);
        plan.steps.push(PlanStep {
            at,
            wish: Wish::Submit {
                task: task_id,
                definition,
                group: submission.group.map(|it| workload.group_name(it).into_owned()),
                kind: submission.kind,
                priority: submission.priority,
                estimate: submission.estimate.map(|it| Span(wanted.speed.divide(it.0))),
                overrides: command.map(|it| Overrides {
                    commands: BTreeMap::from([(CONTAINER.to_owned(), it)]),
                    ..Overrides::default()
                }),
            },
        });
        let withdrawn = task.withdrawn.map(|it| scaled(it).max(at));
        if let Some(at) = [withdrawn, wanted.lasts].into_iter().flatten().min() {
            plan.steps.push(PlanStep { at, wish: Wish::Cancel { task: task_id } });
        } else {
            endless += u64::from(lifetime.is_none());
        }
        tasks += 1;
        last = last.max(at);
        residents += u64::from(task.resident.is_some());
    }
    plan.steps.sort_by_key(|it| it.at);
    let notes = [
        changed.note(tasks, rooms),
        (late > 0).then(|| format!("tasks that arrive after --for: {late}; left out")),
        (residents > 0).then(|| {
            format!(
                "tasks that the trace finds on its nodes: {residents}; submitted like the others"
            )
        }),
        nodes_note(workload),
        (endless > 0).then(|| {
            format!("tasks that never end by themselves: {endless}; --for TIME withdraws them")
        }),
    ];
    Replayable { plan, tasks, last, notes: notes.into_iter().flatten().collect() }
}

fn nodes_note(workload: &Workload) -> Option<String> {
    let events = workload.node_events().count() as u64;
    (events > 0).then(|| {
        let nodes = workload.node_count();
        let events = count(events, "event");
        format!("nodes of the trace: {nodes} ({events}); passed over, the hosts are the cluster")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use traces::source::{ReadOptions, Source};

    const ROOMS: [Room; 2] = [
        Room { cpu: MilliCpu(2000), memory: Bytes::from_gib(4), gpus: 0 },
        Room { cpu: MilliCpu(1000), memory: Bytes::from_gib(8), gpus: 0 },
    ];

    fn wanted() -> Wanted {
        Wanted {
            speed: Factor::parse("--speed", "1").unwrap(),
            scale: Factor::parse("--scale-demand", "1").unwrap(),
            lasts: None,
            busy: false,
            image: "busybox:latest".to_owned(),
            family: "replay".to_owned(),
        }
    }

    fn workload(tasks: &str) -> Workload {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodes.csv"), "name,cpu_cores,mem_gib\nn1,64,256\n")
            .unwrap();
        std::fs::write(dir.path().join("tasks.csv"), tasks).unwrap();
        let source = Source::parse(&dir.path().to_string_lossy()).unwrap();
        traces::read(&source, &ReadOptions::default()).unwrap()
    }

    fn asks(cpu: u64, memory: Bytes) -> Demand {
        let amounts = Amounts { cpu: MilliCpu(cpu), memory, disk: Bytes::ZERO };
        Demand { amounts, ..Demand::default() }
    }

    #[test]
    fn factors_are_exact() {
        for (text, want) in [
            ("1", Some(1_000_000)),
            ("0.25", Some(250_000)),
            (".5", Some(500_000)),
            ("3600.", Some(3_600_000_000)),
        ] {
            assert_eq!(Factor::parse("x", text).ok().map(|it| it.millionths), want, "{text}");
        }
        for text in ["0", "", ".", "-1", "1e3", "0.0000001", "1.2.3", "12345678901", "x", "∞"] {
            assert!(Factor::parse("x", text).is_err(), "{text}");
        }
        let third = Factor::parse("x", "3").unwrap();
        assert_eq!((third.divide(10), third.multiply(u64::MAX)), (3, u64::MAX));
    }

    #[test]
    fn a_demand_is_clipped_to_the_host_that_leaves_most_of_it() {
        let one = wanted().scale;
        let gib = Bytes::from_gib;
        for (cpu, memory, want_cpu, want_memory) in [
            (500, gib(1), 500, gib(1)),
            (64_000, gib(1), 2000, gib(1)),
            // The second host leaves all of the memory and most of the cpu.
            (1100, gib(8), 1000, gib(8)),
            (64_000, gib(64), 2000, gib(4)),
            (1, Bytes(1), 10, MEMORY_MIN),
            (0, Bytes(0), 0, MEMORY_MIN),
        ] {
            let (got, _) = clip(&asks(cpu, memory), one, &ROOMS);
            assert_eq!(got, asks(want_cpu, want_memory), "{cpu} {memory:?}");
        }
    }

    #[test]
    fn what_hosts_do_not_have_is_not_asked_for() {
        let mut asked = asks(500, Bytes::from_gib(1));
        asked.amounts.disk = Bytes(1);
        asked.gpus =
            GpuAsk { count: 4, milli: cluster::units::GpuMilli(500), models: vec!["T4".into()] };
        let disk = "disk".to_owned();
        asked.requires.push(cluster::demand::Requirement::one_of(disk, []));
        let one = wanted().scale;
        let (got, cut) = clip(&asked, one, &ROOMS);
        assert_eq!(got, asks(500, Bytes::from_gib(1)));
        assert!(cut.no_disk && cut.less_gpus && cut.no_conditions && !cut.less_cpu);
        let with_gpus = [ROOMS[0], Room { gpus: 2, ..ROOMS[1] }];
        let (got, cut) = clip(&asked, one, &with_gpus);
        assert_eq!((got.gpus.count, got.gpus.milli.0, got.gpus.models.len()), (2, 500, 0));
        assert!(cut.less_gpus);
    }

    #[test]
    fn times_are_divided_and_equal_demands_share_a_definition() {
        let workload = workload(
            "id,arrival_s,cpu_cores,mem_gib,duration_s\na,0,1,1,60\nb,10,64,1,5\nc,20,2,1,30\n",
        );
        let wanted = Wanted { speed: Factor::parse("x", "4").unwrap(), ..wanted() };
        let got = replayable(&workload, &ROOMS, &wanted);
        let steps: Vec<(u64, String)> = got
            .plan
            .steps
            .iter()
            .map(|it| match &it.wish {
                Wish::Submit { definition, overrides, task, .. } => {
                    let command = &overrides.as_ref().unwrap().commands[CONTAINER];
                    (it.at.0, format!("{task} {definition} {}", command.join(" ")))
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            steps,
            [
                (0, "t0 d0 sleep 15.000".to_owned()),
                (2_500_000, "t1 d1 sleep 1.250".to_owned()),
                (5_000_000, "t2 d1 sleep 7.500".to_owned()),
            ]
        );
        assert_eq!(got.plan.definitions.len(), 2, "64 cores clipped to 2 are like 2 cores");
        let program = &got.plan.definitions[1].program;
        let container = &program.containers[0];
        assert_eq!(program.family, "replay-1");
        assert_eq!(container.cpu_limit, Some(MilliCpu(2000)), "limits are requests");
        assert_eq!(container.memory_limit, Some(Bytes::from_gib(1)));
        assert!(container.init);
        assert_eq!((got.tasks, got.last), (3, Span::from_secs(5)));
        assert_eq!(
            got.notes,
            [
                "tasks that ask for something else here: 1 of 3; 1 clipped to 2 cpu, all of the largest host",
                "nodes of the trace: 1 (1 event); passed over, the hosts are the cluster",
            ]
        );
    }

    #[test]
    fn what_never_ends_is_withdrawn_when_the_time_is_up() {
        let workload = workload(
            "id,arrival_s,cpu_cores,mem_gib,duration_s\na,0,1,1,\nb,3,1,1,2\nc,50,1,1,2\n",
        );
        let got = replayable(&workload, &ROOMS, &wanted());
        assert_eq!(got.tasks, 3);
        assert!(got.notes.iter().any(|it| it.contains("by themselves: 1;")), "{:?}", got.notes);
        let Wish::Submit { overrides: None, .. } = &got.plan.steps[0].wish else {
            panic!("it runs what its definition says: {:?}", got.plan.steps[0]);
        };
        let wanted = Wanted { lasts: Some(Span::from_secs(10)), ..wanted() };
        let got = replayable(&workload, &ROOMS, &wanted);
        let cancels: Vec<(u64, u64)> = got
            .plan
            .steps
            .iter()
            .filter_map(|it| match it.wish {
                Wish::Cancel { task } => Some((it.at.0, task.0)),
                _ => None,
            })
            .collect();
        assert_eq!(cancels, [(10_000_000, 0), (10_000_000, 1)]);
        assert_eq!(got.tasks, 2);
        assert!(!got.notes.iter().any(|it| it.contains("by themselves")), "{:?}", got.notes);
        assert!(got.notes.iter().any(|it| it.contains("after --for")), "{:?}", got.notes);
    }

    #[test]
    fn the_busy_have_a_loop_for_each_core() {
        let wanted = Wanted { busy: true, ..wanted() };
        let line = |cpu, lifetime| script(&wanted, MilliCpu(cpu), lifetime).concat();
        let short = Some(Span(1_500));
        assert_eq!(line(500, short), "(while :; do :; done) & sleep 0.001");
        assert_eq!(line(1001, None).matches("do :; done) &").count(), 2);
        assert_eq!(line(9_000_000, None).matches("do :; done) &").count(), 64);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_usual_image_is_what_a_testbed_has() {
        use clap::Parser;
        let cli = crate::args::Cli::parse_from(["bayplan", "live", "replay", "t"]);
        let Some(crate::args::Command::Live(live)) = cli.command else { panic!("{cli:?}") };
        let super::super::args::LiveCommand::Replay(args) = live.command else { panic!() };
        assert_eq!(args.image, runtime::testbed::IMAGE);
    }
}
