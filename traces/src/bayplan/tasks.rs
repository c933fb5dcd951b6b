//! Reads `tasks.csv`.

use super::columns::{Asked, Column, Rows, for_each_line};
use super::usual::Usual;
use super::{DEFINITIONS, beside};
use crate::decimal::Rounding;
use crate::error::{self, TraceError};
use crate::format::Role;
use crate::limits;
use crate::requirement;
use crate::scenario;
use crate::text::{Cell, Line};
use crate::workload::Draft;
use cluster::constraint::{Requirement, Toleration};
use cluster::demand::{Demand, GpuAsk, Resource, TaskDefinition};
use cluster::event::{OnLoss, TaskKind};
use cluster::names::Names;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use std::path::Path;

pub(super) fn read_tasks(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    draft.files.push(path.display().to_string());
    let needed: (fn(&Column) -> bool, _) = (
        |it| matches!(it, Column::Arrival(_)),
        "arrival_s (or arrival_ms, arrival_us, submit_s, …)",
    );
    let mut rows = TaskRows { path, usual: None, defined: None, draft };
    for_each_line(path, Role::Tasks, needed, &mut rows)?;
    let repeats = draft.names.repeats();
    draft.card.set_count("tasks of a name that an earlier task has (kept)", repeats);
    Ok(())
}

struct TaskRows<'a> {
    path: &'a Path,
    usual: Option<Usual>,
    /// Read with the first line that may name one.
    defined: Option<Defined>,
    draft: &'a mut Draft,
}

impl Rows for TaskRows<'_> {
    fn columns(&mut self, columns: &[Column]) {
        self.usual = Some(Usual::new(columns));
    }

    fn usual(&mut self, number: u64, line: &[u8]) -> bool {
        let read = self.usual.as_mut().and_then(|it| it.read(number, line, self.draft));
        self.draft.card.rows_read += u64::from(read.is_some());
        read.is_some()
    }

    fn row(
        &mut self,
        line: &Line<'_>,
        columns: &[Column],
        cells: &[Cell<'_>],
    ) -> Result<(), TraceError> {
        self.draft.card.rows_read += 1;
        if self.defined.is_none() && columns.contains(&Column::Definition) {
            self.defined = Some(Defined::read(self.path, self.draft)?);
        }
        read_task(line, columns, cells, self.defined.as_ref(), self.draft)
    }
}

/// The definitions of `definitions.json`.
struct Defined {
    names: Names,
    /// Their rows in the draft.
    rows: Vec<u32>,
}

impl Defined {
    fn read(tasks: &Path, draft: &mut Draft) -> Result<Self, TraceError> {
        let path = beside(tasks, DEFINITIONS).unwrap_or_else(|| tasks.with_file_name(DEFINITIONS));
        let (mut names, mut rows) = (Names::default(), Vec::new());
        for definition in scenario::read_definitions(&path)? {
            names.intern(&definition.name);
            rows.push(draft.intern(definition));
        }
        Ok(Self { names, rows })
    }

    fn row(&self, line: &Line<'_>, cell: Cell<'_>) -> Result<u32, TraceError> {
        let row = self.names.get(cell.text).map(|it| self.rows[it as usize]);
        row.ok_or_else(|| TraceError::UnknownName {
            place: line.place_of(cell),
            field: "definition".into(),
            what: "definition",
            found: cell.text.to_owned(),
            nearest: error::nearest(cell.text, self.names.iter()),
            known: self.names.iter().take(20).map(str::to_owned).collect(),
        })
    }
}

/// What a row says of its definition beyond what it asks for.
#[derive(Default, PartialEq)]
struct More {
    namespace: String,
    labels: Vec<(String, String)>,
    tolerations: Vec<Toleration>,
    image: String,
    zero: Vec<Resource>,
}

impl More {
    fn define(self, demand: Demand, draft: &mut Draft) -> u32 {
        if self == Self::default() {
            return draft.definition(demand);
        }
        let mut definition = TaskDefinition::single(draft.card.units.describe(&demand), demand);
        definition.containers[0].image = self.image;
        definition.containers[0].zero = self.zero;
        definition.namespace = self.namespace;
        definition.labels = self.labels;
        definition.constraints.tolerations = self.tolerations;
        draft.intern(definition)
    }
}

fn read_labels(line: &Line<'_>, cell: Cell<'_>) -> Result<Vec<(String, String)>, TraceError> {
    let wanted = "labels such as app=web;tier=front, each once";
    let mut labels: Vec<(String, String)> = Vec::new();
    for text in cell.text.split(';') {
        let pair = text.split_once('=').filter(|it| !it.0.is_empty());
        let (name, value) = pair.ok_or_else(|| line.bad(cell, "labels", wanted))?;
        if labels.iter().any(|it| it.0 == name) {
            return Err(line.bad(cell, "labels", wanted));
        }
        labels.push((name.to_owned(), value.to_owned()));
    }
    labels.sort_unstable();
    Ok(labels)
}

fn read_tolerations(line: &Line<'_>, cell: Cell<'_>) -> Result<Vec<Toleration>, TraceError> {
    let read: Option<_> = cell.text.split(';').map(scenario::toleration_text).collect();
    read.ok_or_else(|| {
        line.bad(cell, "tolerations", "tolerations such as gpu=yes:NoSchedule;spot, or *")
    })
}

fn read_task(
    line: &Line<'_>,
    columns: &[Column],
    cells: &[Cell<'_>],
    defined: Option<&Defined>,
    draft: &mut Draft,
) -> Result<(), TraceError> {
    let mut asked = Asked { count: 1, ..Asked::default() };
    let mut row = draft.row(Instant::ZERO, 0, 0, line.number);
    let (mut name, mut share, mut requires) = ("", GpuMilli::DEVICE, Vec::new());
    let mut withdrawn_cell = None;
    let (mut definition, mut own) = (None, None);
    let (mut cpu, mut cpu_limit, mut memory, mut memory_limit) = (None, None, None, None);
    let mut more = More::default();
    for (column, &cell) in columns.iter().zip(cells) {
        if cell.text.is_empty() {
            if matches!(column, Column::Arrival(_)) {
                return Err(line.bad(cell, "arrival", "a time"));
            }
            continue;
        }
        if column.is_of_definition() {
            own.get_or_insert(cell);
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
            Column::Definition => definition = Some(cell),
            Column::Namespace => more.namespace = cell.text.to_owned(),
            Column::Labels => more.labels = read_labels(line, cell)?,
            Column::Tolerations => more.tolerations = read_tolerations(line, cell)?,
            Column::Image => more.image = cell.text.to_owned(),
            Column::CpuLimit(units) => {
                let limit =
                    line.limited(cell, "cpu_limit", *units, Rounding::Exact, limits::CPU)?;
                cpu_limit = Some((limit, cell));
            }
            Column::MemoryLimit(units) => {
                let (rounding, most) = (Rounding::Nearest, limits::BYTES);
                let limit = line.limited(cell, "memory_limit", *units, rounding, most)?;
                memory_limit = Some((limit, cell));
            }
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
                match other {
                    Column::Cpu(_) => cpu = Some(asked.amounts.cpu.0),
                    Column::Memory(_) => memory = Some(asked.amounts.memory.0),
                    _ => {}
                }
            }
        }
    }
    if let (Some(withdrawn), Some(cell)) = (row.withdrawn, withdrawn_cell)
        && withdrawn < row.at
    {
        return Err(line.bad(cell, "withdrawn", "a moment after the arrival"));
    }
    row.definition = match (definition, own) {
        (Some(_), Some(own)) => {
            return Err(line.bad(own, "cell", "nothing there: the definition says it"));
        }
        (Some(cell), None) => defined.expect("read with the first line").row(line, cell)?,
        (None, _) => {
            let over = |asked: Option<u64>, limit: Option<(u64, Cell<'_>)>, wanted| match limit {
                Some((limit, cell)) if asked.is_some_and(|it| it > limit) => {
                    Err(line.bad(cell, "limit", wanted))
                }
                limit => Ok(asked.or(limit.map(|it| it.0))),
            };
            let cpu = over(cpu, cpu_limit, "a limit of at least the cpu asked for")?;
            let memory = over(memory, memory_limit, "a limit of at least the memory asked for")?;
            asked.amounts.cpu = MilliCpu(cpu.unwrap_or_default());
            asked.amounts.memory = Bytes(memory.unwrap_or_default());
            let zeros = [(cpu, Resource::Cpu), (memory, Resource::Memory)];
            more.zero = zeros.iter().filter(|it| it.0 == Some(0)).map(|it| it.1).collect();
            // Where people rarely mean 0.
            if cpu.is_none() && columns.iter().any(|it| matches!(it, Column::Cpu(_))) {
                draft.card.count("blank cpu cells of tasks (read as 0)", 1);
            }
            if memory.is_none() && columns.iter().any(|it| matches!(it, Column::Memory(_))) {
                draft.card.count("blank memory cells of tasks (read as 0)", 1);
            }
            asked.models.sort_unstable();
            asked.models.dedup();
            let gpus = match asked.gpus {
                0 => GpuAsk::default(),
                count => GpuAsk { count, milli: share, models: asked.models },
            };
            let (amounts, ports) = (asked.amounts, asked.ports);
            more.define(Demand { amounts, gpus, ports, requires, ..Demand::default() }, draft)
        }
    };
    for number in 0..asked.count {
        row.name = match (name, asked.count) {
            ("", 1) => draft.names.push(format_args!("line {}", line.number)),
            ("", _) => draft.names.push(format_args!("line {}/{number}", line.number)),
            (name, 1) => draft.names.push(format_args!("{name}")),
            (name, _) => draft.names.push(format_args!("{name}/{number}")),
        };
        draft.tasks.push(row);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use crate::source::{self, ReadOptions, Source};
    use proptest::prelude::*;

    proptest! {
        /// Quotes in the header make every row one of an unusual file.
        #[test]
        fn rows_of_the_usual_kind_are_read_alike(
            cells in prop::collection::vec(prop::collection::vec(prop::sample::select(
                vec!["1", "0.5", "12", "007", ".25", "2.", "", "0", " 3", "4 ", "a", "1e1", "-1", "0.00001"],
            ), 8), 1..6),
            ending in prop::sample::select(vec!["\n", "\r\n", "\n\n"]),
            good in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tasks.csv");
            let source = Source::parse(&path.display().to_string()).unwrap();
            let line = |it: &Vec<&str>| it.iter().map(|it| {
                if good && ["", "a", "-1", "0.00001"].contains(it) { "8" } else { it }
            }).collect::<Vec<_>>().join(",") + ending;
            let lines: String = cells.iter().map(line).collect();
            let read = |first: &str| {
                let rest = "arrival_s,cpu_cores,mem_gib,disk_mib,duration_ms,estimate_s,group";
                std::fs::write(&path, format!("{first},{rest}\n{lines}")).unwrap();
                let read = source::read(&source, &ReadOptions::default());
                format!("{read:?}")
            };
            prop_assert_eq!(read("id"), read("\"id\""));
        }
    }
}
