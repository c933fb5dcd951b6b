//! Google's cluster trace of May 2011 (clusterdata-2011-2, format 2.1): one Borg cell of 12,583
//! machines over 29 days.
//!
//! Source: github.com/google/cluster-data, ClusterData2011_2; Reiss, Wilkes, Hellerstein, "Google
//! cluster-usage traces: format + schema", 2011.
//!
//! | table | columns | used |
//! |---|---|---|
//! | `machine_events` | 6 | time, machine, event, platform, cpu, memory |
//! | `task_events` | 13 | time, job, task index, machine, event, priority, cpu, memory, last flag |
//!
//! Times are microseconds; 0 is "before the trace", 2^63-1 "after it". Cpu and memory are shares of the
//! largest machine's and become millionths, rounded up, so that a task never asks for less than it did.
//! Disk is not used.
//!
//! # What becomes of it
//!
//! * A machine joins at its first ADD, is lost at REMOVE, returns at the next ADD. An ADD without
//!   capacity takes that of the UPDATE that follows. An UPDATE that changes no capacity is no event.
//! * A task is a (job, index). All its runs are one task: it arrives at its first SUBMIT and lives for
//!   the sum of its runs (SCHEDULE to end), so that the traced evictions, failures and kills with their
//!   resubmissions are not done twice. One that runs or waits when the range ends has no known end. One
//!   that ends while it waits is withdrawn at that moment.
//! * A task scheduled at time 0 is resident on its machine; if that machine is unknown it is submitted.
//! * Requests are those of the first row that states them; later changes are counted only. At time 0 the
//!   last row counts: a resident asks for what it was placed with.
//! * The group is the job; priorities from 9 on are services (production), others jobs.

use crate::card::Units;
use crate::columns::Keep;
use crate::decimal::{self, Rounding};
use crate::error::TraceError;
use crate::format::{Format, Request, Role, Sample};
use crate::limits;
use crate::text::{Cell, Line, Lines};
use crate::workload::Draft;
use cluster::demand::{Amounts, Demand};
use cluster::event::{NodeEvent, TaskKind};
use cluster::id_map::IdMap;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use rows::{EVENTS, EVICT, LOST, SCHEDULE, SUBMIT};
pub use rows::{Part, TaskEvent};
use std::path::PathBuf;

mod kept;
mod rows;

/// The largest machine's cpu, and its memory, in our units.
pub const WHOLE: u64 = 1_000_000;

/// Priorities from here on are production, so services.
pub const PRODUCTION: i32 = 9;

/// The time that stands for "after the trace".
const AFTER: u64 = (1 << 63) - 1;

const TASK_COLUMNS: usize = 13;
const MACHINE_COLUMNS: usize = 6;

/// The format.
pub const FORMAT: Format = Format {
    name: "google-2011",
    summary: "Google's cluster of 2011: machine churn, residents, priorities",
    source: "github.com/google/cluster-data, ClusterData2011_2 (Reiss, Wilkes, Hellerstein 2011)",
    options: &[],
    guide: "\
A folder with parts of machine_events (6 columns) and task_events (13 columns), plain or gzip, without
header lines; parts are read in the order of their names. Any number of parts will do, from the first
on. job_events and other tables are not needed. Requests exceed capacity, so an over-commit is
suggested; see the card.",
    recognise,
    uses: |request| request.all(),
    read,
};

fn recognise(sample: &Sample) -> Option<Role> {
    let cells = sample.header();
    let is_whole = |at: usize| cells[at].parse::<u64>().is_ok();
    let is_code = |at: usize, last: u8| matches!(cells[at].parse::<u8>(), Ok(code) if code <= last);
    match cells.len() {
        TASK_COLUMNS if is_whole(0) && is_whole(2) && is_whole(3) && is_code(5, 8) => {
            Some(Role::Tasks)
        }
        MACHINE_COLUMNS if is_whole(0) && is_whole(1) && is_code(2, 2) => Some(Role::Nodes),
        _ => None,
    }
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    draft.card.units = Units::MillionthsOfLargest;
    let parts = |role| request.files(role).map(|it| it.path.clone()).collect::<Vec<PathBuf>>();
    let machines = Machines::read(&parts(Role::Nodes), draft)?;
    if request.nodes_only {
        return Ok(());
    }
    Tasks::read(&parts(Role::Tasks), request.keep, &machines, draft)?;
    for sentence in [
        "cpu and memory are shares of the largest machine's; disk is not used",
        "priorities from 9 on are services (production), all others are jobs",
        "all runs of a task are one task that lives for their sum; traced evictions and failures are \
         not repeated",
        "a blank request is zero unless a later row of the task states one",
        "the restriction to different machines is not honoured",
        "tasks without an end in the range that was read run until its end",
    ] {
        draft.card.assume(sentence);
    }
    Ok(())
}

/// Counts rows by the name of their event.
fn count_rows(draft: &mut Draft, table: &str, names: &[&str], counts: &[u64]) {
    for (name, &count) in names.iter().zip(counts) {
        draft.card.set_count(&format!("{table} {name}"), count);
    }
}

/// What is known of machines, by name.
#[derive(Default)]
struct Machines {
    states: IdMap<String, Machine>,
}

struct Machine {
    /// Capacity at time 0 and now.
    first: Amounts,
    capacity: Amounts,
    /// The join that still waits for its capacity.
    blank_join: Option<usize>,
    /// A return without capacity, which the next update explains.
    blank_return: bool,
    is_lost: bool,
}

impl Machines {
    fn read(parts: &[PathBuf], draft: &mut Draft) -> Result<Self, TraceError> {
        const NAMES: [&str; 3] = ["ADD", "REMOVE", "UPDATE"];
        let mut machines = Self::default();
        let mut order: Vec<String> = Vec::new();
        let mut counts = [0u64; 3];
        let (mut rows, mut at_zero, mut blank, mut moved, mut last) = (0u64, 0u64, 0u64, 0u64, 0);
        let mut filled = 0u64;
        for path in parts {
            let mut lines = Lines::open(path)?;
            while let Some(line) = lines.next_filled()? {
                let mut cells = Vec::with_capacity(MACHINE_COLUMNS);
                line.split_commas(&mut cells);
                let &[time, name, code, platform, cpu, memory] = &cells[..] else {
                    return Err(line.columns(
                        "google-2011 machine_events",
                        cells.len(),
                        MACHINE_COLUMNS,
                    ));
                };
                rows += 1;
                let at = read_time(&line, time, &mut last)?;
                let event: usize = line.small(code, "event", "an event from 0 to 2")?;
                if event >= NAMES.len() {
                    return Err(line.bad(code, "event", "an event from 0 to 2"));
                }
                counts[event] += 1;
                let capacity = match (cpu.text, memory.text) {
                    ("", "") => None,
                    _ => Some(Amounts {
                        cpu: MilliCpu(share(&line, cpu, "CPUs")?),
                        memory: Bytes(share(&line, memory, "memory")?),
                        disk: Bytes(0),
                    }),
                };
                let key = name.text.to_owned();
                match (event, machines.states.get_mut(&key), capacity) {
                    (0, None, capacity) => {
                        let node = NodeSpec {
                            name: key.clone(),
                            capacity: NodeCapacity {
                                amounts: capacity.unwrap_or_default(),
                                gpus: vec![],
                            },
                            attributes: vec![("platform".into(), platform.text.into())],
                            ..NodeSpec::default()
                        };
                        let joined = NodeEvent::Joined(Box::new(node));
                        let place = draft.node_event(at, &key, joined);
                        at_zero += u64::from(at == Instant::ZERO);
                        blank += u64::from(capacity.is_none());
                        let machine = Machine {
                            first: capacity.unwrap_or_default(),
                            capacity: capacity.unwrap_or_default(),
                            blank_join: capacity.is_none().then_some(place),
                            blank_return: false,
                            is_lost: false,
                        };
                        order.push(key.clone());
                        machines.states.insert(key, machine);
                    }
                    (0, Some(machine), capacity) => {
                        blank += u64::from(capacity.is_none());
                        machine.blank_return = capacity.is_none();
                        if !machine.is_lost {
                            let path = line.path.to_owned();
                            draft.card.refusals.add(
                                &path,
                                line.number,
                                "ADD of a machine that is there",
                            );
                            continue;
                        }
                        machine.is_lost = false;
                        if let Some(capacity) = capacity.filter(|it| *it != machine.capacity) {
                            machine.capacity = capacity;
                            draft.node_event(at, &key, updated(capacity));
                        }
                        draft.node_event(at, &key, NodeEvent::Returned);
                    }
                    (1, Some(machine), _) if !machine.is_lost => {
                        machine.is_lost = true;
                        draft.node_event(at, &key, NodeEvent::Lost);
                    }
                    (2, Some(machine), Some(capacity)) => {
                        if let Some(place) = machine.blank_join.take() {
                            filled += 1;
                            machine.capacity = capacity;
                            machine.first = capacity;
                            if let NodeEvent::Joined(node) = draft.node_event_mut(place) {
                                node.capacity.amounts = capacity;
                            }
                        } else if std::mem::take(&mut machine.blank_return) {
                            filled += 1;
                            if capacity != machine.capacity {
                                machine.capacity = capacity;
                                draft.node_event(at, &key, updated(capacity));
                            }
                        } else if capacity != machine.capacity {
                            moved += 1;
                            machine.capacity = capacity;
                            draft.node_event(at, &key, updated(capacity));
                        }
                    }
                    (2, Some(_), None) => {}
                    _ => {
                        let reason = "REMOVE or UPDATE of a machine that is not there";
                        let path = line.path.to_owned();
                        draft.card.refusals.add(&path, line.number, reason);
                    }
                }
            }
        }
        let mut never_filled = 0;
        for name in &order {
            if machines.states.get(name).is_some_and(|it| it.blank_join.is_some()) {
                draft.forget_node(name);
                machines.states.remove(name);
                never_filled += 1;
            }
        }
        draft.card.set_count("rows of machine_events", rows);
        count_rows(draft, "machine_events", &NAMES, &counts);
        draft.card.set_count("machines", order.len() as u64);
        draft.card.set_count("machines at time 0", at_zero);
        draft.card.set_count("ADDs without capacity", blank);
        draft.card.set_count("UPDATEs that fill in such an ADD", filled);
        draft.card.set_count("UPDATEs that change capacity otherwise", moved);
        draft.card.set_count("machines whose capacity is never told (left out)", never_filled);
        Ok(machines)
    }
}

fn updated(amounts: Amounts) -> NodeEvent {
    NodeEvent::Updated(NodeCapacity { amounts, gpus: vec![] })
}

/// A share of the largest machine.
fn share(line: &Line<'_>, cell: Cell<'_>, field: &str) -> Result<u64, TraceError> {
    let wanted = "a share from 0 to 1";
    match decimal::parse(cell.text, WHOLE, Rounding::Up) {
        // A little above one would still be a share of a machine that the cell does not have.
        Ok(share) if share <= WHOLE => Ok(share),
        _ => Err(line.bad(cell, field, wanted)),
    }
}

/// A time, which may not go back.
fn read_time(line: &Line<'_>, cell: Cell<'_>, last: &mut u64) -> Result<Instant, TraceError> {
    // The largest number of 63 bits stands for a time after the trace's end.
    const AFTER_THE_END: u64 = i64::MAX as u64;
    let time = line.whole(cell, "time")?;
    if time > limits::TIME.most && time != AFTER_THE_END {
        return Err(line.bad(cell, "time", limits::TIME.wanted));
    }
    if time < *last {
        return Err(TraceError::Backwards {
            place: line.place_of(cell),
            before: format!("{last} us"),
            found: format!("{time} us"),
        });
    }
    *last = time;
    Ok(Instant(time))
}

/// A task between its rows.
struct Life {
    phase: Phase,
    /// Sum of the runs that have ended.
    worked: Span,
    /// Whether a request was stated.
    is_stated: bool,
    /// What the last end was, as its event code.
    ended_by: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waits,
    Runs { since: Instant },
    Ended,
    WithdrawnAt(Instant),
}

/// What is counted over the rows.
#[derive(Default)]
struct Tally {
    rows: u64,
    events: [u64; EVENTS.len()],
    at_zero: [u64; EVENTS.len()],
    blank: u64,
    zero_cpu: u64,
    apart: u64,
    resubmits: [u64; EVENTS.len()],
    unsubmitted: u64,
    strangers: u64,
    after: u64,
    moved_before: u64,
    changed: u64,
}

/// Tasks in the making: the life of each stands in the row of its task in the draft.
#[derive(Default)]
struct Tasks {
    lives: Vec<Life>,
    by_key: IdMap<(u64, u32), u32>,
    tally: Tally,
    /// Definitions by cpu and memory.
    definitions: IdMap<(u64, u64), u32>,
    groups: IdMap<u64, u32>,
}

impl Tasks {
    fn read(
        parts: &[PathBuf],
        keep: Option<&Keep<'_>>,
        machines: &Machines,
        draft: &mut Draft,
    ) -> Result<(), TraceError> {
        let mut tasks = Self::default();
        let mut horizon = Instant::ZERO;
        let mut part = Part::default();
        for (number, path) in parts.iter().enumerate() {
            draft.files.push(path.display().to_string());
            let mut take = |path: &str, row: &TaskEvent<'_>| {
                tasks.tally.rows += 1;
                if row.at.0 >= AFTER {
                    tasks.tally.after += 1;
                } else {
                    horizon = row.at;
                    tasks.apply(row, path, draft);
                }
            };
            match keep {
                Some(keep) => {
                    let was_kept = part.read_or_find(path, keep, &mut take)?;
                    keep.part_done(number + 1, parts.len(), was_kept)?;
                }
                None => part.read(path, &mut take)?,
            }
        }
        draft.card.rows_read += tasks.tally.rows;
        draft.horizon = Some(horizon);
        tasks.close(draft);
        tasks.tally(draft);
        suggest_overcommit(machines, draft);
        Ok(())
    }

    fn apply(&mut self, event: &TaskEvent<'_>, path: &str, draft: &mut Draft) {
        let tally = &mut self.tally;
        let code = usize::from(event.code);
        tally.events[code] += 1;
        tally.at_zero[code] += u64::from(event.at == Instant::ZERO);
        if event.code == SUBMIT {
            tally.blank += u64::from(event.request.is_none());
            tally.zero_cpu += u64::from(event.request.is_some_and(|it| it[0] == 0));
            tally.apart += u64::from(event.apart);
        }
        let known = self.by_key.get(&(event.job, event.index)).copied();
        let id = match (known, event.code) {
            (Some(id), _) => id as usize,
            (None, SUBMIT | SCHEDULE) => {
                tally.unsubmitted += u64::from(event.code == SCHEDULE);
                self.add(event, draft)
            }
            (None, _) => {
                tally.strangers += 1;
                draft.card.refusals.add(path, event.line, "event of a task never submitted");
                return;
            }
        };
        if let Some(request) = event.request {
            let stated = self.definition(request, draft);
            let (life, row) = (&mut self.lives[id], &mut draft.tasks[id]);
            // What a resident holds is what it was placed with, not what it first asked for.
            if !life.is_stated || event.at == Instant::ZERO {
                let moved = life.is_stated && row.definition != stated;
                self.tally.moved_before += u64::from(moved);
                row.definition = stated;
                life.is_stated = true;
            } else {
                self.tally.changed += u64::from(row.definition != stated);
            }
        }
        let life = &mut self.lives[id];
        match (event.code, life.phase) {
            (SUBMIT, Phase::Ended | Phase::WithdrawnAt(_)) => {
                self.tally.resubmits[usize::from(life.ended_by)] += 1;
                life.phase = Phase::Waits;
            }
            (SCHEDULE, Phase::Runs { .. }) => {}
            (SCHEDULE, _) => {
                life.phase = Phase::Runs { since: event.at };
                if event.at == Instant::ZERO {
                    draft.tasks[id].resident = Some(draft.residents.intern(event.machine));
                }
            }
            (EVICT..=LOST, phase) => {
                match phase {
                    Phase::Runs { since } => {
                        life.worked += event.at.since(since);
                        life.phase = Phase::Ended;
                    }
                    Phase::Waits => life.phase = Phase::WithdrawnAt(event.at),
                    Phase::Ended | Phase::WithdrawnAt(_) => return,
                }
                life.ended_by = event.code;
            }
            _ => {}
        }
    }

    fn definition(&mut self, [cpu, memory]: [u64; 2], draft: &mut Draft) -> u32 {
        *self.definitions.get_or_insert_with((cpu, memory), || {
            let amounts = Amounts { cpu: MilliCpu(cpu), memory: Bytes(memory), disk: Bytes(0) };
            draft.definition(Demand { amounts, ..Demand::default() })
        })
    }

    fn add(&mut self, event: &TaskEvent<'_>, draft: &mut Draft) -> usize {
        let definition = self.definition(event.request.unwrap_or_default(), draft);
        let name = draft.names.push(format_args!("{}/{}", event.job, event.index));
        let mut row = draft.row(event.at, definition, name, event.line);
        let group = || draft.groups.intern(&event.job.to_string());
        row.group = Some(*self.groups.get_or_insert_with(event.job, group));
        row.priority = event.priority.into();
        if row.priority >= PRODUCTION {
            row.kind = TaskKind::Service;
        }
        let id = self.lives.len();
        self.lives.push(Life {
            phase: Phase::Waits,
            worked: Span::ZERO,
            is_stated: event.request.is_some(),
            ended_by: 0,
        });
        draft.tasks.push(row);
        self.by_key
            .insert((event.job, event.index), u32::try_from(id).expect("fewer than 2^32 tasks"));
        id
    }

    /// Turns what is known of each task into lifetime and withdrawal.
    fn close(&mut self, draft: &mut Draft) {
        let (mut running, mut waiting, mut withdrawn, mut unstated) = (0, 0, 0, 0);
        for (life, row) in self.lives.iter().zip(&mut draft.tasks) {
            match life.phase {
                Phase::Ended => row.lifetime = Some(life.worked),
                Phase::Runs { .. } => running += 1,
                Phase::Waits => waiting += 1,
                Phase::WithdrawnAt(at) => {
                    row.withdrawn = Some(at);
                    withdrawn += 1;
                }
            }
            unstated += u64::from(!life.is_stated);
        }
        draft.card.set_count("tasks that run when the range ends (no known end)", running);
        draft.card.set_count("tasks that wait when the range ends (no known end)", waiting);
        draft.card.set_count("tasks that end while they wait (withdrawn)", withdrawn);
        draft.card.set_count("tasks whose request is never stated (zero)", unstated);
    }

    fn tally(&self, draft: &mut Draft) {
        let tally = &self.tally;
        let card = &mut draft.card;
        card.set_count("rows of task_events", tally.rows);
        card.set_count("rows of task_events at time 0", tally.at_zero.iter().sum());
        count_rows(draft, "task_events", &EVENTS, &tally.events);
        count_rows(draft, "task_events at time 0:", &EVENTS, &tally.at_zero);
        let card = &mut draft.card;
        for (name, count) in EVENTS.iter().zip(tally.resubmits) {
            card.set_count(&format!("resubmissions after {name} (merged)"), count);
        }
        card.set_count("SUBMITs with blank requests", tally.blank);
        card.set_count("SUBMITs for no cpu", tally.zero_cpu);
        card.set_count("SUBMITs that ask for different machines (not honoured)", tally.apart);
        card.set_count("tasks scheduled without a SUBMIT (arrive then)", tally.unsubmitted);
        card.set_count("events of tasks never submitted", tally.strangers);
        card.set_count(
            "residents placed with another request than submitted (taken)",
            tally.moved_before,
        );
        card.set_count("later rows with another request (ignored)", tally.changed);
        card.set_count("rows after the trace's end (ignored)", tally.after);
        let at_zero = draft.tasks.iter().filter(|it| it.at == Instant::ZERO);
        let unplaced = at_zero.filter(|it| it.resident.is_none()).count() as u64;
        draft.card.set_count("tasks submitted but not placed at time 0", unplaced);
    }
}

/// Suggests the over-commit, rounded up to a tenth, under which every machine holds its residents.
fn suggest_overcommit(machines: &Machines, draft: &mut Draft) {
    let asks = draft.demand_amounts();
    let mut held = vec![[0u64; 2]; draft.residents.len()];
    for task in &draft.tasks {
        if let Some(resident) = task.resident {
            let [cpu, memory, _] = asks[task.definition as usize].array();
            held[resident as usize][0] += cpu;
            held[resident as usize][1] += memory;
        }
    }
    let mut permille_max = [0u64; 2];
    for (row, name) in draft.residents.iter().enumerate() {
        let Some(machine) = machines.states.get(&name.to_owned()) else { continue };
        let has = [machine.first.cpu.0, machine.first.memory.0];
        for it in 0..2 {
            permille_max[it] =
                permille_max[it].max((held[row][it] * 1000).div_ceil(has[it].max(1)));
        }
    }
    if permille_max == [0; 2] {
        return;
    }
    let tenth_up = |permille: u64| (permille.max(1000).div_ceil(100) * 100).min(100_000) as u32;
    draft.card.suggested_overcommit =
        Some([tenth_up(permille_max[0]), tenth_up(permille_max[1]), 1000]);
    draft.card.assume(format!(
        "residents hold up to {} of a machine's cpu and {} of its memory; the suggested over-commit \
         holds them all",
        permille_max[0] as f64 / 1e3,
        permille_max[1] as f64 / 1e3
    ));
}
