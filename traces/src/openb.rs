//! Alibaba's GPU cluster of 2023 (`cluster-trace-gpu-v2023`, "openb"): node lists and pod lists as CSV.
//!
//! Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
//! Gradient Descent", USENIX ATC 2023; github.com/alibaba/clusterdata.
//!
//! | column | unit in the file | here |
//! |---|---|---|
//! | `cpu_milli` | thousandths of a core | [`MilliCpu`] |
//! | `memory_mib` | MiB | [`Bytes`] |
//! | `gpu`, `num_gpu` | devices | devices |
//! | `gpu_milli` | thousandths of each device | [`GpuMilli`]; 1000 where several devices are asked for |
//! | `gpu_spec` | models, separated by a bar; a set, though written with repeats | sorted, once each |
//! | `creation_time`, `deletion_time`, `scheduled_time` | s | µs |
//!
//! A pod arrives at its creation and lives from its scheduling to its deletion. One that was never
//! scheduled waits until its deletion takes it back. The `multigpu` lists have five columns and no
//! times: their pods arrive one per second, as in a static fill.

use crate::decimal::Rounding;
use crate::error::TraceError;
use crate::format::{Format, FormatOption, Found, Request, Role, Sample, plain_name};
use crate::limits;
use crate::text::{Cell, Line, Lines};
use crate::workload::Draft;
use cluster::demand::{Amounts, Demand, GpuAsk};
use cluster::event::NodeEvent;
use cluster::id_map::IdMap;
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu};
use std::path::{Path, PathBuf};

const PODS: &str = "openb_pod_list_";
const NODES: &str = "openb_node_list_";
const POD_COLUMNS: [&str; 11] = [
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];
const NODE_COLUMNS: [&str; 5] = ["sn", "cpu_milli", "memory_mib", "gpu", "model"];

/// The format.
pub const FORMAT: Format = Format {
    name: "openb",
    summary: "Alibaba's GPU cluster of 2023: pods that share GPUs",
    source: "github.com/alibaba/clusterdata, cluster-trace-gpu-v2023 (Weng et al., ATC 2023)",
    options: &[
        FormatOption {
            name: "pods",
            summary: "which pod list of the folder: default, cpu050, gpuspec33, …; `default` unless given",
        },
        FormatOption {
            name: "nodes",
            summary: "which nodes: `gpu` (those with GPUs; unless given), `all`, or `none`",
        },
    ],
    guide: "\
A folder with openb_pod_list_NAME.csv and openb_node_list_{gpu,all}_node.csv, plain or gzip, or one
pod list (the node list is looked for beside it if `nodes=` is given). Pods have the columns
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,
scheduled_time, or the first five of them; nodes have sn,cpu_milli,memory_mib,gpu,model. In true time
the trace is almost empty: use ?fill=static, or ?scale=1/100.",
    recognise,
    uses,
    read,
};

fn recognise(sample: &Sample) -> Option<Role> {
    let header = sample.header();
    if header.starts_with(&POD_COLUMNS[..5]) {
        Some(Role::Tasks)
    } else if header.starts_with(&NODE_COLUMNS[..4]) {
        Some(Role::Nodes)
    } else {
        None
    }
}

fn uses(request: &Request<'_>) -> Result<Vec<PathBuf>, TraceError> {
    let mut paths: Vec<PathBuf> = node_file(request)?.into_iter().collect();
    if !request.nodes_only {
        paths.push(pod_file(request)?.path.clone());
    }
    Ok(paths)
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    if let Some(path) = node_file(request)? {
        read_nodes(&path, draft)?;
    }
    if request.nodes_only {
        return Ok(());
    }
    let pods = pod_file(request)?;
    let others = request.files(Role::Tasks).count() - 1;
    if others > 0 && request.option("pods").is_none() {
        draft
            .card
            .assume(format!("the folder holds {others} more pod lists; pods=default was taken"));
    }
    read_pods(&pods.path, draft)
}

/// What stands between the prefix and `.csv`, without `_node`.
fn variant<'a>(path: &'a Path, prefix: &str) -> Option<&'a str> {
    let middle = plain_name(path).strip_prefix(prefix)?.strip_suffix(".csv")?;
    Some(middle.strip_suffix("_node").unwrap_or(middle))
}

fn pod_file<'a>(request: &'a Request<'_>) -> Result<&'a Found, TraceError> {
    let lists: Vec<&Found> = request.files(Role::Tasks).collect();
    let named = |name: &str| lists.iter().find(|it| variant(&it.path, PODS) == Some(name)).copied();
    if let Some(name) = request.option("pods") {
        let known = lists.iter().filter_map(|it| variant(&it.path, PODS));
        return named(name).ok_or_else(|| TraceError::unknown("pod list", name, known));
    }
    match (&lists[..], named("default")) {
        ([only], _) => Ok(only),
        ([], _) => Err(TraceError::Empty { path: request.path.into(), wanted: "pod list" }),
        (_, Some(default)) => Ok(default),
        _ => Err(TraceError::Ambiguous {
            path: request.path.into(),
            what: "pod lists",
            choices: lists
                .iter()
                .map(|it| match variant(&it.path, PODS) {
                    Some(name) => format!("openb:{}?pods={name}", request.path),
                    None => format!("openb:{}", it.path.display()),
                })
                .collect(),
        }),
    }
}

fn node_file(request: &Request<'_>) -> Result<Option<PathBuf>, TraceError> {
    let mut lists: Vec<PathBuf> = request.files(Role::Nodes).map(|it| it.path.clone()).collect();
    let wanted = request.option("nodes");
    if wanted == Some("none") {
        return Ok(None);
    }
    if lists.is_empty() && wanted.is_some() {
        lists = beside(request);
    }
    let named = |name: &str| lists.iter().find(|it| variant(it, NODES) == Some(name)).cloned();
    if let Some(name) = wanted {
        let known = lists.iter().filter_map(|it| variant(it, NODES)).chain(["none"]);
        return named(name).map(Some).ok_or_else(|| TraceError::unknown("node list", name, known));
    }
    match &lists[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        _ => named("gpu").map(Some).ok_or_else(|| TraceError::Ambiguous {
            path: request.path.into(),
            what: "node lists",
            choices: lists.iter().map(|it| it.display().to_string()).collect(),
        }),
    }
}

/// Node lists in the folder of a pod list that was given alone.
fn beside(request: &Request<'_>) -> Vec<PathBuf> {
    let folder = Path::new(request.path).parent().unwrap_or(Path::new(""));
    ["gpu", "all"]
        .iter()
        .flat_map(|it| [".csv", ".csv.gz"].map(|end| folder.join(format!("{NODES}{it}_node{end}"))))
        .filter(|it| it.is_file())
        .collect()
}

fn read_nodes(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    let mut lines = Lines::open(path)?;
    let mut names: IdMap<String, ()> = IdMap::default();
    while let Some(line) = lines.next_filled()? {
        let mut cells = Vec::with_capacity(POD_COLUMNS.len());
        line.split_commas(&mut cells);
        if line.number == 1 {
            check_header(&line, &cells, &NODE_COLUMNS)?;
            continue;
        }
        let &[name, cpu, memory, gpus, model] = &cells[..] else {
            return Err(line.columns("openb node list", cells.len(), NODE_COLUMNS.len()));
        };
        if names.insert(name.text.to_owned(), ()).is_some() {
            let (place, name) = (line.place_of(name), name.text.into());
            return Err(TraceError::Repeated { place, what: "node", name });
        }
        let count: u16 = line.small(gpus, "gpu", "a number of devices from 0 to 64")?;
        if usize::from(count) > DeviceSet::MAX {
            return Err(line.bad(gpus, "gpu", "a number of devices from 0 to 64"));
        }
        let amounts = amounts(&line, cpu, memory)?;
        let gpus = vec![model.text.to_owned(); usize::from(count)];
        let node = NodeSpec {
            name: name.text.into(),
            capacity: NodeCapacity { amounts, gpus },
            ..NodeSpec::default()
        };
        draft.node_event(Instant::ZERO, name.text, NodeEvent::Joined(Box::new(node)));
    }
    Ok(())
}

fn amounts(line: &Line<'_>, cpu: Cell<'_>, memory: Cell<'_>) -> Result<Amounts, TraceError> {
    let bytes = line.limited(memory, "memory_mib", 1 << 20, Rounding::Exact, limits::BYTES)?;
    let cpu = line.limited(cpu, "cpu_milli", 1, Rounding::Exact, limits::CPU)?;
    Ok(Amounts { cpu: MilliCpu(cpu), memory: Bytes(bytes), disk: Bytes(0) })
}

fn check_header(line: &Line<'_>, cells: &[Cell<'_>], columns: &[&str]) -> Result<(), TraceError> {
    for (cell, want) in cells.iter().zip(columns) {
        if cell.text != *want {
            return Err(TraceError::UnknownColumn {
                place: line.place_of(*cell),
                found: cell.text.into(),
                nearest: vec![(*want).into()],
            });
        }
    }
    Ok(())
}

fn read_pods(path: &Path, draft: &mut Draft) -> Result<(), TraceError> {
    let mut lines = Lines::open(path)?;
    draft.files.push(path.display().to_string());
    let mut columns = 0;
    let mut second = 0;
    while let Some(line) = lines.next_filled()? {
        let mut cells = Vec::with_capacity(POD_COLUMNS.len());
        line.split_commas(&mut cells);
        if line.number == 1 {
            check_header(&line, &cells, &POD_COLUMNS)?;
            columns = cells.len();
            if columns != 5 && columns != POD_COLUMNS.len() {
                return Err(TraceError::Columns {
                    place: line.place(),
                    format: "openb",
                    found: columns,
                    wanted: "11, or 5".into(),
                });
            }
            continue;
        }
        if cells.len() != columns {
            return Err(line.columns("openb", cells.len(), columns));
        }
        draft.card.rows_read += 1;
        let demand = demand(&line, &cells, draft)?;
        let definition = draft.definition(demand);
        let name = draft.names.push(format_args!("{}", cells[0].text));
        let mut row = draft.row(Instant::from_secs(second), definition, name, line.number);
        second += 1;
        if columns == POD_COLUMNS.len() {
            draft.card.count(&format!("pods of phase {}", cells[7].text), 1);
            draft.card.count(&format!("pods of class {}", cells[6].text), 1);
            let created = moment(&line, cells[8], "creation_time")?;
            let deleted = moment(&line, cells[9], "deletion_time")?;
            row.at =
                created.ok_or_else(|| line.bad(cells[8], "creation_time", "a time in seconds"))?;
            match (moment(&line, cells[10], "scheduled_time")?, deleted) {
                (Some(scheduled), Some(deleted)) if deleted < scheduled => {
                    draft.card.refusals.add(
                        lines.path(),
                        u64::from(row.line),
                        "ends before it starts",
                    );
                    continue;
                }
                (Some(scheduled), Some(deleted)) => {
                    row.lifetime = Some(deleted.since(scheduled));
                    if deleted == scheduled {
                        draft.card.count("pods of zero length", 1);
                    }
                }
                (None, Some(deleted)) => {
                    row.withdrawn = Some(deleted.max(row.at));
                    draft.card.count("pods never scheduled (withdrawn at their deletion)", 1);
                }
                (_, None) => {}
            }
        }
        draft.tasks.push(row);
    }
    if columns == 5 {
        draft.card.assume("the list has no times: pods arrive one per second and never end");
    } else {
        draft.card.assume("a pod's deletion is its end, in every phase (the trace does not say)");
    }
    draft.card.assume("every pod is a job of priority 0; classes of service are counted, not used");
    Ok(())
}

/// A time in seconds; blank is none.
fn moment(line: &Line<'_>, cell: Cell<'_>, field: &str) -> Result<Option<Instant>, TraceError> {
    if cell.text.is_empty() {
        return Ok(None);
    }
    let micros = line.limited(cell, field, 1_000_000, Rounding::Exact, limits::TIME)?;
    Ok(Some(Instant(micros)))
}

fn demand(line: &Line<'_>, cells: &[Cell<'_>], draft: &mut Draft) -> Result<Demand, TraceError> {
    let amounts = amounts(line, cells[1], cells[2])?;
    if amounts.memory.0 == 0 {
        draft.card.count("pods that ask for no memory", 1);
    }
    let wanted = "a number of devices from 0 to 64";
    let count: u16 = line.small(cells[3], "num_gpu", wanted)?;
    if usize::from(count) > DeviceSet::MAX {
        return Err(line.bad(cells[3], "num_gpu", wanted));
    }
    let wanted = "a share from 0 to 1000 thousandths";
    let milli: u32 = line.small(cells[4], "gpu_milli", wanted)?;
    if milli > GpuMilli::DEVICE.0 {
        return Err(line.bad(cells[4], "gpu_milli", wanted));
    }
    let mut models: Vec<String> = match cells.get(5) {
        Some(cell) if count > 0 => {
            cell.text.split('|').filter(|it| !it.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let written = models.len();
    models.sort_unstable();
    models.dedup();
    if models.len() < written {
        draft.card.count("gpu_spec sets written with repeats", 1);
    }
    let milli = match count {
        0 => GpuMilli(0),
        1 => GpuMilli(milli),
        _ => GpuMilli::DEVICE,
    };
    Ok(Demand { amounts, gpus: GpuAsk { count, milli, models }, ..Demand::default() })
}
