//! Bayplan's own format: two CSV files that people write by hand, `tasks.csv` and `nodes.csv`.
//!
//! A `tasks.csv` alone is a workload; its cluster is then given separately. A `nodes.csv` alone is a
//! cluster. Both begin with a line of column names, in any order. Units stand in the names. Numbers
//! may have decimals and are read exactly, without a float: 0.5 cores are 500 thousandths; cpu finer
//! than a thousandth of a core and times finer than a microsecond are refused; a part of a byte is
//! rounded to the nearest. The card counts blank cpu and memory cells, and names that stand there twice.
//!
//! # tasks.csv
//!
//! | column | holds | blank or missing |
//! |---|---|---|
//! | `id` or `name` | the task's name | its line's number |
//! | `arrival_s`, `arrival_ms`, `arrival_us` (or `submit_…`) | when it arrives | needed |
//! | `cpu_cores`, `cpu_milli` | cpu | none |
//! | `mem_gib`, `mem_mib`, `mem_bytes` (or `memory_…`) | memory | none |
//! | `disk_gib`, `disk_mib`, `disk_bytes` | disk | none |
//! | `duration_s`, `…_ms`, `…_us` (or `lifetime_…`) | how long it runs | until it is withdrawn |
//! | `estimate_…` | how long its user says | no estimate |
//! | `withdrawn_…` | the moment at which its user takes it back | never |
//! | `group` | what it is counted together with | no group |
//! | `kind` | `job` or `service` | `job` |
//! | `priority` | a whole number, higher is more important | 0 |
//! | `gpus` | number of GPU devices | 0 |
//! | `gpu_milli` | share of each device, in thousandths | 1000 |
//! | `gpu_models` | models that will do, `T4\|V100` | any |
//! | `ports` | host ports, `80/tcp\|53/udp` | none |
//! | `requires` | tests of attributes, `rack=a\|b;ssd`; see [`requirement`](crate::requirement) | none |
//! | `resident_on` | the node it runs on when the workload begins | it is submitted |
//! | `on_loss` | `restart` or `end`: what happens when its node is lost | `restart` |
//! | `count` | that many tasks alike, named `id/0`, `id/1`, … | 1 |
//!
//! Lines should be in order of arrival; if not, they are sorted, and those of one moment keep the order
//! of the file.
//!
//! # nodes.csv
//!
//! | column | holds | blank or missing |
//! |---|---|---|
//! | `name` (or `id`) | the node's name | needed |
//! | `zone` | availability zone | no zone |
//! | cpu, memory, disk columns as above | what it has | none |
//! | `gpus`, `gpu_model` | devices and their model (several: `T4\|T4\|V100`) | none, `GPU` |
//! | `rank` | place in an order that breaks ties, lowest first | its place in the file |
//! | `reserved_ports` | ports that tasks may not take, `22/tcp` | none |
//! | `label:NAME` | a label or further failure domain, such as `label:rack` | the label is not there |
//! | `count` | that many nodes alike, named `name-0`, `name-1`, … | 1 |
//! | `at_s`, `at_ms`, `at_us` | when something happens to it | 0 |
//! | `event` | `join`, `lost`, `returned`, `draining`, `updated` | `join` |
//!
//! An `updated` line gives the node's new capacity in full.

use crate::decimal::{self, Rounding};
use crate::error::{self, TraceError};
use crate::format::{Format, Request, Role, Sample};
use crate::limits;
use crate::requirement;
use crate::text::{Cell, Line, Lines};
use crate::workload::{Draft, Workload};
use cluster::demand::{Amounts, Demand, GpuAsk, Port, Protocol, Requirement};
use cluster::event::{NodeEvent, OnLoss, TaskKind};
use cluster::id_map::IdMap;
use cluster::ids::TaskId;
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The format.
pub const FORMAT: Format = Format {
    name: "bayplan",
    summary: "Bayplan's own: tasks.csv and nodes.csv, made to be written by hand",
    source: "this project",
    options: &[],
    guide: "\
tasks.csv, with or without nodes.csv beside it; units stand in the column names.

  tasks.csv   id|name, arrival_{s,ms,us} (needed; or submit_…), cpu_{cores,milli},
              mem_{gib,mib,bytes} (or memory_…), disk_{gib,mib,bytes}, duration_{s,ms,us} (or
              lifetime_…; blank: never ends), estimate_…, withdrawn_… (a moment), group,
              kind (job|service), priority, gpus, gpu_milli, gpu_models (T4|V100),
              ports (80/tcp|53/udp), requires (rack=a|b;ssd;!gpu;zone!=c;cores>4;type~t2.*),
              resident_on (node),
              on_loss (restart|end), count
  nodes.csv   name (needed), zone, cpu, mem and disk as above, gpus, gpu_model, rank,
              reserved_ports, label:NAME (any number), count, at_{s,ms,us},
              event (join|lost|returned|draining|updated)

  Cpu finer than 0.001 cores and times finer than a microsecond are refused. A blank cpu or
  memory cell is 0, and an id may stand there twice: the card counts both. Rows out of time
  order are sorted and counted.

  id,arrival_s,cpu_cores,mem_gib,duration_s
  web,0,0.5,2,
  batch,1.25,4,8,600",
    recognise,
    uses: |request| request.all(),
    read,
};

/// What a column of `tasks.csv` or `nodes.csv` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Name,
    Arrival(u64),
    Cpu(u64),
    Memory(u64),
    Disk(u64),
    Lifetime(u64),
    Estimate(u64),
    Withdrawn(u64),
    Group,
    Kind,
    Priority,
    Gpus,
    GpuMilli,
    GpuModels,
    Ports,
    Requires,
    ResidentOn,
    OnLoss,
    Count,
    Zone,
    Rank,
    Label(String),
    At(u64),
    Event,
}

const TASK_COLUMNS: &[(&str, Column)] = &[
    ("id", Column::Name),
    ("name", Column::Name),
    ("group", Column::Group),
    ("kind", Column::Kind),
    ("priority", Column::Priority),
    ("gpus", Column::Gpus),
    ("gpu_milli", Column::GpuMilli),
    ("gpu_models", Column::GpuModels),
    ("ports", Column::Ports),
    ("requires", Column::Requires),
    ("resident_on", Column::ResidentOn),
    ("on_loss", Column::OnLoss),
    ("count", Column::Count),
];

const NODE_COLUMNS: &[(&str, Column)] = &[
    ("name", Column::Name),
    ("id", Column::Name),
    ("zone", Column::Zone),
    ("gpus", Column::Gpus),
    ("gpu_model", Column::GpuModels),
    ("rank", Column::Rank),
    ("reserved_ports", Column::Ports),
    ("count", Column::Count),
    ("event", Column::Event),
];

/// Stems of columns that have a unit, with the column they become.
type Stem = (&'static str, &'static [(&'static str, u64)], fn(u64) -> Column);

/// Units of time, in microseconds.
const TIMES: &[(&str, u64)] = &[("s", 1_000_000), ("ms", 1_000), ("us", 1)];
/// Units of memory and disk, in bytes.
const SIZES: &[(&str, u64)] = &[("gib", 1 << 30), ("mib", 1 << 20), ("bytes", 1)];
/// Units of cpu, in thousandths of a core.
const CPUS: &[(&str, u64)] = &[("cores", 1_000), ("milli", 1)];

const AMOUNT_STEMS: &[Stem] = &[
    ("cpu", CPUS, Column::Cpu),
    ("mem", SIZES, Column::Memory),
    ("memory", SIZES, Column::Memory),
    ("disk", SIZES, Column::Disk),
];

const TASK_STEMS: &[Stem] = &[
    ("arrival", TIMES, Column::Arrival),
    ("submit", TIMES, Column::Arrival),
    ("duration", TIMES, Column::Lifetime),
    ("lifetime", TIMES, Column::Lifetime),
    ("estimate", TIMES, Column::Estimate),
    ("withdrawn", TIMES, Column::Withdrawn),
];

const NODE_STEMS: &[Stem] = &[("at", TIMES, Column::At)];

/// All names a column may have.
fn known_columns(role: Role) -> Vec<(String, Column)> {
    let (plain, stems) = match role {
        Role::Tasks => (TASK_COLUMNS, TASK_STEMS),
        Role::Nodes => (NODE_COLUMNS, NODE_STEMS),
    };
    let with_unit = stems.iter().chain(AMOUNT_STEMS).flat_map(|(stem, units, make)| {
        units.iter().map(move |(unit, scale)| (format!("{stem}_{unit}"), make(*scale)))
    });
    plain
        .iter()
        .map(|(name, column)| ((*name).to_owned(), column.clone()))
        .chain(with_unit)
        .collect()
}

fn recognise(sample: &Sample) -> Option<Role> {
    let header = sample.header();
    let has = |role: Role, wanted: fn(&Column) -> bool| {
        let known = known_columns(role);
        header.iter().any(|it| known.iter().any(|(name, column)| name == it && wanted(column)))
    };
    if has(Role::Tasks, |it| matches!(it, Column::Arrival(_))) {
        return Some(Role::Tasks);
    }
    let has_amounts = has(Role::Nodes, |it| matches!(it, Column::Cpu(_) | Column::Memory(_)));
    // A task list that lacks the arrival column is told so, and not taken for nodes.
    let for_nodes = known_columns(Role::Nodes);
    let for_tasks_only = known_columns(Role::Tasks).into_iter().any(|(name, _)| {
        header.contains(&name.as_str()) && !for_nodes.iter().any(|it| it.0 == name)
    });
    if has_amounts && for_tasks_only {
        return Some(Role::Tasks);
    }
    let names_nodes = has(Role::Nodes, |it| *it == Column::Name);
    (names_nodes && has_amounts).then_some(Role::Nodes)
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    let mut nodes = None;
    if let Some(file) = request.single(Role::Nodes, FORMAT.name)? {
        nodes = Some(file.name().to_owned());
        read_nodes(&file.path, draft)?;
    }
    if request.nodes_only {
        return Ok(());
    }
    let Some(file) = request.single(Role::Tasks, FORMAT.name)? else {
        return Err(TraceError::Empty { path: request.path.into(), wanted: "tasks.csv" });
    };
    read_tasks(&file.path, draft)?;
    if nodes.is_none() && !draft.residents.is_empty() {
        draft.card.assume("resident_on names nodes of the cluster that is given separately");
    }
    Ok(())
}

/// The columns of a header line, in file order.
fn read_header(line: &Line<'_>, cells: &[Cell<'_>], role: Role) -> Result<Vec<Column>, TraceError> {
    let known = known_columns(role);
    let mut columns: Vec<Column> = Vec::new();
    for cell in cells {
        let found = match cell.text.strip_prefix("label:") {
            Some(label) if role == Role::Nodes && !label.is_empty() => {
                Some(Column::Label(label.to_owned()))
            }
            _ => known.iter().find(|it| it.0 == cell.text).map(|it| it.1.clone()),
        };
        let Some(column) = found else {
            return Err(TraceError::UnknownColumn {
                place: line.place_of(*cell),
                found: cell.text.into(),
                nearest: error::nearest(cell.text, known.iter().map(|it| it.0.as_str())),
            });
        };
        let is_repeated = columns.iter().any(|it| match (it, &column) {
            (Column::Label(one), Column::Label(other)) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        });
        if is_repeated {
            let (place, name) = (line.place_of(*cell), cell.text.into());
            return Err(TraceError::Repeated { place, what: "column", name });
        }
        columns.push(column);
    }
    Ok(columns)
}

/// What is done with a data line: its columns and its cells, one of each.
type Visit<'v> = dyn FnMut(&Line<'_>, &[Column], &[Cell<'_>]) -> Result<(), TraceError> + 'v;

/// Runs over the data lines of a file: header read, columns counted.
fn for_each_line(
    path: &Path,
    role: Role,
    needed: (fn(&Column) -> bool, &'static str),
    visit: &mut Visit<'_>,
) -> Result<(), TraceError> {
    let mut lines = Lines::open(path)?;
    let mut columns: Option<Vec<Column>> = None;
    while let Some(line) = lines.next_filled()? {
        let mut cells = Vec::with_capacity(columns.as_ref().map_or(8, Vec::len));
        line.split_commas(&mut cells);
        match &columns {
            None => {
                let header = read_header(&line, &cells, role)?;
                if !header.iter().any(needed.0) {
                    return Err(TraceError::MissingColumn {
                        place: line.place(),
                        wanted: needed.1,
                    });
                }
                columns = Some(header);
            }
            Some(header) if header.len() != cells.len() => {
                let place = line.place();
                let has_open_quote = place.text.matches('"').count() % 2 == 1;
                let (found, wanted) = (cells.len(), header.len());
                return Err(TraceError::RowLength { place, found, wanted, has_open_quote });
            }
            Some(header) => visit(&line, header, &cells)?,
        }
    }
    match columns {
        Some(_) => Ok(()),
        None => Err(TraceError::Empty { path: path.display().to_string(), wanted: "lines" }),
    }
}

/// What a line says of amounts and devices; both files have these.
#[derive(Default)]
struct Asked {
    amounts: Amounts,
    gpus: u16,
    models: Vec<String>,
    ports: Vec<Port>,
    count: u64,
}

impl Asked {
    /// Takes a column that both files have. Whether it was one.
    fn take(
        &mut self,
        line: &Line<'_>,
        column: &Column,
        cell: Cell<'_>,
    ) -> Result<bool, TraceError> {
        match column {
            // Too fine a share of a core would change which tasks fit; a part of a byte does not.
            Column::Cpu(units) => {
                self.amounts.cpu =
                    MilliCpu(line.limited(cell, "cpu", *units, Rounding::Exact, limits::CPU)?);
            }
            Column::Memory(units) => {
                self.amounts.memory = Bytes(line.limited(
                    cell,
                    "memory",
                    *units,
                    Rounding::Nearest,
                    limits::BYTES,
                )?);
            }
            Column::Disk(units) => {
                self.amounts.disk =
                    Bytes(line.limited(cell, "disk", *units, Rounding::Nearest, limits::BYTES)?);
            }
            Column::Gpus => {
                let wanted = "a number of devices from 0 to 64";
                self.gpus = line.small(cell, "gpus", wanted)?;
                if usize::from(self.gpus) > DeviceSet::MAX {
                    return Err(line.bad(cell, "gpus", wanted));
                }
            }
            Column::GpuModels => self.models = cell.text.split('|').map(str::to_owned).collect(),
            Column::Ports => self.ports = read_ports(line, cell)?,
            Column::Count => {
                self.count = line.whole(cell, "count")?;
                if !(1..=10_000_000).contains(&self.count) {
                    return Err(line.bad(cell, "count", "a number from 1 to 10000000"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn read_ports(line: &Line<'_>, cell: Cell<'_>) -> Result<Vec<Port>, TraceError> {
    let mut ports = Vec::new();
    for text in cell.text.split('|') {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            _ => None,
        };
        match (number.parse(), protocol) {
            (Ok(number @ 1..), Some(protocol)) => ports.push(Port { protocol, number }),
            _ => return Err(line.bad(cell, "port", "ports such as 80/tcp|53/udp")),
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

fn read_requires(line: &Line<'_>, cell: Cell<'_>) -> Result<Vec<Requirement>, TraceError> {
    let read = |it| requirement::read(it);
    let requires: Option<Vec<Requirement>> = cell.text.split(';').map(read).collect();
    let mut requires = requires.ok_or_else(|| {
        line.bad(cell, "requires", "tests such as rack=a|b;ssd;!gpu;zone!=c;cores>4;type~t2.*")
    })?;
    requires.sort_unstable();
    Ok(requires)
}

fn read_tasks(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    draft.files.push(path.display().to_string());
    let needed: (fn(&Column) -> bool, _) = (
        |it| matches!(it, Column::Arrival(_)),
        "arrival_s (or arrival_ms, arrival_us, submit_s, …)",
    );
    for_each_line(path, Role::Tasks, needed, &mut |line, columns, cells| {
        draft.card.rows_read += 1;
        read_task(line, columns, cells, draft)
    })?;
    let repeats = draft.names.repeats();
    draft.card.set_count("tasks of a name that an earlier task has (kept)", repeats);
    Ok(())
}

/// Counts a blank cell that is read as 0 where people rarely mean 0.
fn count_blank(column: &Column, draft: &mut Draft) {
    match column {
        Column::Cpu(_) => draft.card.count("blank cpu cells of tasks (read as 0)", 1),
        Column::Memory(_) => draft.card.count("blank memory cells of tasks (read as 0)", 1),
        _ => {}
    }
}

fn read_task(
    line: &Line<'_>,
    columns: &[Column],
    cells: &[Cell<'_>],
    draft: &mut Draft,
) -> Result<(), TraceError> {
    let mut asked = Asked { count: 1, ..Asked::default() };
    let mut row = draft.row(Instant::ZERO, 0, 0, line.number);
    let (mut name, mut share, mut requires) = ("", GpuMilli::DEVICE, Vec::new());
    let mut withdrawn_cell = None;
    for (column, &cell) in columns.iter().zip(cells) {
        if cell.text.is_empty() {
            if matches!(column, Column::Arrival(_)) {
                return Err(line.bad(cell, "arrival", "a time"));
            }
            count_blank(column, draft);
            continue;
        }
        let time = |field: &str, units: u64| {
            line.limited(cell, field, units, Rounding::Exact, limits::TIME)
        };
        match column {
            Column::Name => name = cell.text,
            Column::Arrival(units) => row.at = Instant(time("arrival", *units)?),
            Column::Lifetime(units) => row.lifetime = Some(Span(time("duration", *units)?)),
            Column::Estimate(units) => row.estimate = Some(Span(time("estimate", *units)?)),
            Column::Withdrawn(units) => {
                row.withdrawn = Some(Instant(time("withdrawn", *units)?));
                withdrawn_cell = Some(cell);
            }
            Column::Group => row.group = Some(draft.groups.intern(cell.text)),
            Column::Kind => {
                row.kind = match cell.text {
                    "job" => TaskKind::Job,
                    "service" => TaskKind::Service,
                    _ => return Err(line.bad(cell, "kind", "`job` or `service`")),
                }
            }
            Column::Priority => {
                row.priority = cell.text.parse().map_err(|_| {
                    line.bad(cell, "priority", "a whole number from -2147483648 to 2147483647")
                })?;
            }
            Column::GpuMilli => {
                let wanted = "a share from 0 to 1000 thousandths";
                share = GpuMilli(line.small(cell, "gpu_milli", wanted)?);
                if share > GpuMilli::DEVICE {
                    return Err(line.bad(cell, "gpu_milli", wanted));
                }
            }
            Column::Requires => requires = read_requires(line, cell)?,
            Column::ResidentOn => row.resident = Some(draft.residents.intern(cell.text)),
            Column::OnLoss => {
                row.on_loss = match cell.text {
                    "restart" => OnLoss::Restart,
                    "end" => OnLoss::End,
                    _ => return Err(line.bad(cell, "on_loss", "`restart` or `end`")),
                }
            }
            other => {
                let taken = asked.take(line, other, cell)?;
                assert!(taken, "line {}: column {other:?} is not one of tasks", line.number);
            }
        }
    }
    if let (Some(withdrawn), Some(cell)) = (row.withdrawn, withdrawn_cell)
        && withdrawn < row.at
    {
        return Err(line.bad(cell, "withdrawn", "a moment after the arrival"));
    }
    asked.models.sort_unstable();
    asked.models.dedup();
    let gpus = match asked.gpus {
        0 => GpuAsk::default(),
        count => GpuAsk { count, milli: share, models: asked.models },
    };
    let demand =
        Demand { amounts: asked.amounts, gpus, ports: asked.ports, requires, ..Demand::default() };
    row.definition = draft.definition(demand);
    for number in 0..asked.count {
        row.name = match (name, asked.count) {
            ("", 1) => draft.names.push(format_args!("line {}", line.number)),
            ("", _) => draft.names.push(format_args!("line {}/{number}", line.number)),
            (name, 1) => draft.names.push(format_args!("{name}")),
            (name, _) => draft.names.push(format_args!("{name}/{number}")),
        };
        draft.tasks.push(row.clone());
    }
    Ok(())
}

/// Whether a node is there, for refusing events that cannot be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Ready,
    Draining,
    Lost,
}

fn read_nodes(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    let mut presence: IdMap<String, Presence> = IdMap::default();
    let mut last = Instant::ZERO;
    let needed: (fn(&Column) -> bool, _) = (|it| *it == Column::Name, "name");
    for_each_line(path, Role::Nodes, needed, &mut |line, columns, cells| {
        read_node(line, columns, cells, draft, &mut presence, &mut last)
    })
}

fn read_node(
    line: &Line<'_>,
    columns: &[Column],
    cells: &[Cell<'_>],
    draft: &mut Draft,
    presence: &mut IdMap<String, Presence>,
    last: &mut Instant,
) -> Result<(), TraceError> {
    let mut asked = Asked { count: 1, ..Asked::default() };
    let mut node = NodeSpec::default();
    let (mut at, mut event, mut name_cell, mut at_cell) =
        (Instant::ZERO, "join", cells[0], cells[0]);
    for (column, &cell) in columns.iter().zip(cells) {
        if *column == Column::Name {
            name_cell = cell;
        }
        if cell.text.is_empty() {
            continue;
        }
        match column {
            Column::Name => node.name = cell.text.to_owned(),
            Column::Zone => node.zone = cell.text.to_owned(),
            Column::Label(label) => node.attributes.push((label.clone(), cell.text.to_owned())),
            Column::Rank => {
                node.rank = Some(line.small(cell, "rank", "a whole number below 2^32")?);
            }
            Column::At(units) => {
                at = Instant(line.limited(cell, "at", *units, Rounding::Exact, limits::TIME)?);
                at_cell = cell;
            }
            Column::Event => {
                event = cell.text;
                if !["join", "lost", "returned", "draining", "updated"].contains(&event) {
                    let wanted = "`join`, `lost`, `returned`, `draining` or `updated`";
                    return Err(line.bad(cell, "event", wanted));
                }
            }
            other => {
                let taken = asked.take(line, other, cell)?;
                assert!(taken, "line {}: column {other:?} is not one of nodes", line.number);
            }
        }
    }
    if node.name.is_empty() {
        return Err(line.bad(name_cell, "name", "a node's name"));
    }
    if at < *last {
        return Err(TraceError::Backwards {
            place: line.place_of(at_cell),
            before: last.to_string(),
            found: at.to_string(),
        });
    }
    *last = at;
    node.attributes.sort_unstable();
    node.reserved_ports = asked.ports;
    node.capacity = NodeCapacity {
        amounts: asked.amounts,
        gpus: match (&asked.models[..], asked.gpus) {
            ([], count) => vec!["GPU".to_owned(); usize::from(count)],
            ([one], count) => vec![one.clone(); usize::from(count)],
            (several, count) if several.len() == usize::from(count) => several.to_vec(),
            _ => return Err(line.bad(name_cell, "gpu_model", "one model, or one for each device")),
        },
    };
    for number in 0..asked.count {
        let mut one = node.clone();
        if asked.count > 1 {
            one.name = format!("{}-{number}", node.name);
        }
        let name = one.name.clone();
        let now = presence.get(&name).copied();
        let impossible = |found| {
            let (place, node) = (line.place_of(name_cell), name.clone());
            Err(TraceError::NodeState { place, node, found })
        };
        let (event, then) = match (event, now) {
            ("join", None) => (NodeEvent::Joined(Box::new(one)), Presence::Ready),
            ("join", Some(_)) => {
                let (place, name) = (line.place_of(name_cell), name);
                return Err(TraceError::Repeated { place, what: "node", name });
            }
            (_, None) => return impossible("has not joined before"),
            ("lost", Some(Presence::Lost)) => return impossible("is lost already"),
            ("lost", _) => (NodeEvent::Lost, Presence::Lost),
            ("returned", Some(Presence::Ready)) => {
                return impossible("returns, but was never away");
            }
            ("returned", _) => (NodeEvent::Returned, Presence::Ready),
            ("draining", Some(Presence::Lost)) => return impossible("drains, but is lost"),
            ("draining", _) => (NodeEvent::Draining, Presence::Draining),
            (_, Some(now)) => (NodeEvent::Updated(one.capacity), now),
        };
        presence.insert(name.clone(), then);
        draft.node_event(at, &name, event);
    }
    Ok(())
}

/// Writes a workload as `nodes.csv` (if it has nodes) and `tasks.csv` into a folder that exists, with
/// `.gz` at the end if `gzip`. What is read back has the same arrivals, but that definitions are named
/// by what they ask for.
///
/// A task of several containers is written as their sum.
///
/// Each file is written beside its place as `.NAME.part` and renamed when it is whole, so that what has
/// the final name is never cut.
///
/// # Errors
///
/// [`TraceError::Unwritable`] if a file cannot be written.
pub fn write(workload: &Workload, folder: &Path, gzip: bool) -> Result<(), TraceError> {
    if workload.has_nodes() {
        write_file(folder, "nodes.csv", gzip, |out| write_nodes(workload, out))?;
    }
    write_file(folder, "tasks.csv", gzip, |out| write_tasks(workload, out))
}

fn write_file(
    folder: &Path,
    name: &str,
    gzip: bool,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), TraceError> {
    let name = if gzip { format!("{name}.gz") } else { name.to_owned() };
    let (path, part) = (folder.join(&name), folder.join(format!(".{name}.part")));
    let write = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(&part)?);
        if gzip {
            let mut out = GzEncoder::new(&mut file, Compression::default());
            fill(&mut out)?;
            out.finish()?;
        } else {
            fill(&mut file)?;
        }
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(|error| {
        // What is wrong is known already; that the part is left too would not help anybody.
        let _ = fs::remove_file(&part);
        TraceError::Unwritable { path: path.display().to_string(), reason: error.to_string() }
    })
}

/// A text as a field: in quotes if it holds a comma.
fn field(text: &str) -> String {
    // A quote or a line's end cannot be written; nothing that this crate reads has one.
    let clean: String = text.chars().filter(|it| !matches!(it, '"' | '\n' | '\r')).collect();
    if clean.contains(',') || clean.starts_with(' ') || clean.ends_with(' ') {
        format!("\"{clean}\"")
    } else {
        clean
    }
}

fn seconds(us: u64) -> String {
    decimal::print(us, 1_000_000).expect("a millionth has six places")
}

fn cores(cpu: MilliCpu) -> String {
    decimal::print(cpu.0, 1000).expect("a thousandth has three places")
}

fn ports_text(ports: &[Port]) -> String {
    let texts: Vec<String> = ports
        .iter()
        .map(|it| match it.protocol {
            Protocol::Tcp => format!("{}/tcp", it.number),
            Protocol::Udp => format!("{}/udp", it.number),
        })
        .collect();
    texts.join("|")
}

fn requires_text(requires: &[Requirement]) -> String {
    let texts: Vec<String> = requires.iter().map(requirement::print).collect();
    texts.join(";")
}

fn write_nodes(workload: &Workload, out: &mut dyn Write) -> io::Result<()> {
    let mut labels: Vec<&str> = workload
        .nodes()
        .flat_map(|(_, node)| node.attributes.iter().map(|it| it.0.as_str()))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    write!(
        out,
        "name,zone,cpu_cores,mem_bytes,disk_bytes,gpus,gpu_model,rank,reserved_ports,at_s,event"
    )?;
    for label in &labels {
        write!(out, ",{}", field(&format!("label:{label}")))?;
    }
    writeln!(out)?;
    let names: Vec<&str> = workload.nodes().map(|(_, node)| node.name.as_str()).collect();
    let none = NodeSpec::default();
    for (at, id, event) in workload.node_events() {
        let (kind, node, capacity) = match event {
            NodeEvent::Joined(spec) => ("join", &**spec, &spec.capacity),
            NodeEvent::Lost => ("lost", &none, &none.capacity),
            NodeEvent::Returned => ("returned", &none, &none.capacity),
            NodeEvent::Draining => ("draining", &none, &none.capacity),
            NodeEvent::Updated(capacity) => ("updated", &none, capacity),
        };
        let amounts = capacity.amounts;
        let gpus = &capacity.gpus;
        let models = match gpus.first() {
            Some(first) if gpus.iter().all(|it| it == first) => first.clone(),
            _ => gpus.join("|"),
        };
        write!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{kind}",
            field(names[id.row()]),
            field(&node.zone),
            cores(amounts.cpu),
            amounts.memory.0,
            amounts.disk.0,
            gpus.len(),
            field(&models),
            node.rank.map(|it| it.to_string()).unwrap_or_default(),
            ports_text(&node.reserved_ports),
            seconds(at.0),
        )?;
        for label in &labels {
            let value = node.attributes.iter().find(|it| it.0 == *label);
            write!(out, ",{}", value.map(|it| field(&it.1)).unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_tasks(workload: &Workload, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "id,arrival_s,cpu_cores,mem_bytes,disk_bytes,duration_s,estimate_s,withdrawn_s,group,kind,\
         priority,gpus,gpu_milli,gpu_models,ports,requires,resident_on,on_loss"
    )?;
    let demands: Vec<Demand> = workload.definitions().iter().map(|it| it.demand()).collect();
    let nodes: Vec<&str> = workload.nodes().map(|(_, node)| node.name.as_str()).collect();
    let optional = |it: Option<u64>| it.map(seconds).unwrap_or_default();
    for id in 0..workload.task_count() as u64 {
        let id = TaskId(id);
        let task = workload.task(id);
        let submission = &task.submission;
        let demand = &demands[submission.definition.row()];
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            field(&workload.name(id)),
            seconds(workload.arrives(id).0),
            cores(demand.amounts.cpu),
            demand.amounts.memory.0,
            demand.amounts.disk.0,
            optional(task.lifetime.map(|it| it.0)),
            optional(submission.estimate.map(|it| it.0)),
            optional(task.withdrawn.map(|it| it.0)),
            submission.group.map(|it| field(workload.group_name(it))).unwrap_or_default(),
            match submission.kind {
                TaskKind::Job => "job",
                TaskKind::Service => "service",
            },
            submission.priority,
            demand.gpus.count,
            demand.gpus.milli.0,
            field(&demand.gpus.models.join("|")),
            ports_text(&demand.ports),
            field(&requires_text(&demand.requires)),
            task.resident.map(|it| field(nodes[it.row()])).unwrap_or_default(),
            match submission.on_loss {
                OnLoss::Restart => "restart",
                OnLoss::End => "end",
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_to_its_end_leaves_what_was_there() {
        for gzip in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let name = if gzip { "tasks.csv.gz" } else { "tasks.csv" };
            let path = folder.path().join(name);
            fs::write(&path, "before").unwrap();
            let error = write_file(folder.path(), "tasks.csv", gzip, |out| {
                out.write_all(&[b'x'; 100_000])?;
                Err(io::ErrorKind::StorageFull.into())
            })
            .unwrap_err();
            assert!(matches!(error, TraceError::Unwritable { .. }), "{error:?}");
            assert!(error.help().contains("make room on that disk"), "{}", error.help());
            assert_eq!(fs::read_to_string(&path).unwrap(), "before");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
            write_file(folder.path(), "tasks.csv", gzip, |out| out.write_all(b"after")).unwrap();
            assert_ne!(fs::read(&path).unwrap(), b"before");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
        }
        let nowhere = Path::new("no/such/folder");
        let error = write_file(nowhere, "tasks.csv", false, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
