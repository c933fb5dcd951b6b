//! The columns of both files: their names, and what both files have.

use crate::blocks::Blocks;
use crate::decimal::Rounding;
use crate::error::{self, TraceError};
use crate::format::Role;
use crate::limits;
use crate::scenario;
use crate::text::{Cell, LINE_BYTES_MAX, Line};
use cluster::demand::{Amounts, Port};
use cluster::nodes::DeviceSet;
use cluster::units::{Bytes, MilliCpu};
use std::path::Path;

/// What a column of `tasks.csv` or `nodes.csv` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
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
    Definition,
    Namespace,
    Labels,
    Tolerations,
    Image,
    CpuLimit(u64),
    MemoryLimit(u64),
    Zone,
    Rank,
    Label(String),
    At(u64),
    Event,
    Taints,
    Images,
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
    ("definition", Column::Definition),
    ("namespace", Column::Namespace),
    ("labels", Column::Labels),
    ("tolerations", Column::Tolerations),
    ("image", Column::Image),
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
    ("taints", Column::Taints),
    ("images", Column::Images),
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
    ("cpu_limit", CPUS, Column::CpuLimit),
    ("mem_limit", SIZES, Column::MemoryLimit),
    ("memory_limit", SIZES, Column::MemoryLimit),
];

const NODE_STEMS: &[Stem] = &[("at", TIMES, Column::At)];

impl Column {
    /// Whether it says a part of what `definitions.json` says in full.
    pub(super) fn is_of_definition(&self) -> bool {
        matches!(
            self,
            Self::Cpu(_)
                | Self::Memory(_)
                | Self::Disk(_)
                | Self::CpuLimit(_)
                | Self::MemoryLimit(_)
                | Self::Gpus
                | Self::GpuMilli
                | Self::GpuModels
                | Self::Ports
                | Self::Requires
                | Self::Namespace
                | Self::Labels
                | Self::Tolerations
                | Self::Image
        )
    }
}

/// All names a column may have.
pub(super) fn known_columns(role: Role) -> Vec<(String, Column)> {
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

/// What is done with the data lines of a file.
pub(super) trait Rows {
    /// The columns of all lines to come, none twice.
    fn columns(&mut self, _columns: &[Column]) {}

    /// A line of plain text without its end. `false` leaves it to [`Rows::row`].
    fn usual(&mut self, _number: u64, _line: &[u8]) -> bool {
        false
    }

    /// A line and its cells, one for each column.
    fn row(
        &mut self,
        line: &Line<'_>,
        columns: &[Column],
        cells: &[Cell<'_>],
    ) -> Result<(), TraceError>;
}

/// Runs over the data lines of a file: header read, columns counted.
pub(super) fn for_each_line(
    path: &Path,
    role: Role,
    needed: (fn(&Column) -> bool, &'static str),
    rows: &mut dyn Rows,
) -> Result<(), TraceError> {
    let mut blocks = Blocks::open(path, Vec::new())?;
    let mut columns: Option<Vec<Column>> = None;
    let mut number = 0;
    while let Some(block) = blocks.next(number)? {
        let mut start = 0;
        while start < block.bytes.len() {
            let (bytes, next) = block.line_at(start);
            start = next;
            number += 1;
            if block.is_plain && columns.is_some() && bytes.len() < LINE_BYTES_MAX as usize {
                let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                if rows.usual(number, bare.strip_suffix(b"\r").unwrap_or(bare)) {
                    continue;
                }
            }
            let line = block.text(number, bytes)?;
            if line.text.trim().is_empty() {
                continue;
            }
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
                    rows.columns(&header);
                    columns = Some(header);
                }
                Some(header) if header.len() != cells.len() => {
                    let place = line.place();
                    let has_open_quote = place.text.matches('"').count() % 2 == 1;
                    let (found, wanted) = (cells.len(), header.len());
                    return Err(TraceError::RowLength { place, found, wanted, has_open_quote });
                }
                Some(header) => rows.row(&line, header, &cells)?,
            }
        }
    }
    match columns {
        Some(_) => Ok(()),
        None => Err(TraceError::Empty { path: path.display().to_string(), wanted: "lines" }),
    }
}

/// What a line says of amounts and devices; both files have these.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) amounts: Amounts,
    pub(super) gpus: u16,
    pub(super) models: Vec<String>,
    pub(super) ports: Vec<Port>,
    pub(super) count: u64,
}

impl Asked {
    /// Takes a column that both files have. Whether it was one.
    pub(super) fn take(
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
        let port = scenario::port(text);
        ports.push(port.ok_or_else(|| line.bad(cell, "port", "ports such as 80/tcp|53/udp"))?);
    }
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}
