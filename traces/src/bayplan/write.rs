//! Writes a workload in our own format.

use super::nodes::IMAGE_UNITS;
use super::{BUDGETS, DEFINITIONS};
use crate::decimal;
use crate::error::TraceError;
use crate::requirement;
use crate::scenario;
use crate::workload::Workload;
use cluster::constraint::{Image, Requirement, Taint};
use cluster::demand::{Demand, Port, Protocol, Resource, TaskDefinition};
use cluster::event::{NodeEvent, OnLoss, TaskKind};
use cluster::nodes::NodeSpec;
use cluster::units::MilliCpu;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a workload as `nodes.csv` (if it has nodes) and `tasks.csv` into a folder that exists, with
/// `.gz` at the end if `gzip`. What is read back has the same arrivals, but that definitions which ask for no more than
/// columns can say are named by what they ask for.
///
/// Other definitions (several containers, an image, labels, rules) are written to `definitions.json` beside them, and
/// disruption budgets to `budgets.json`.
///
/// Each file is written beside its place as `.NAME.part` and renamed when it is whole, so that what has
/// the final name is never cut. What else of [`COMPANIONS`](super::COMPANIONS) is in the folder would be read with the tasks: look before.
///
/// # Errors
///
/// [`TraceError::Unwritable`] if a file cannot be written.
pub fn write(workload: &Workload, folder: &Path, gzip: bool) -> Result<(), TraceError> {
    if workload.has_nodes() {
        write_file(folder, "nodes.csv", gzip, |out| write_nodes(workload, out))?;
    }
    if workload.budgets().next().is_some() {
        let text = scenario::budgets_text(workload.budgets());
        write_file(folder, BUDGETS, gzip, |out| out.write_all(text.as_bytes()))?;
    }
    let rich: Vec<(usize, &TaskDefinition)> =
        workload.definitions().iter().enumerate().filter(|it| !is_plain(it.1)).collect();
    let mut names: Vec<Option<String>> = vec![None; workload.definitions().len()];
    if !rich.is_empty() {
        let all: Vec<&TaskDefinition> = rich.iter().map(|it| it.1).collect();
        let (given, text) = scenario::definitions_text(&all);
        write_file(folder, DEFINITIONS, gzip, |out| out.write_all(text.as_bytes()))?;
        for ((row, _), name) in rich.iter().zip(given) {
            names[*row] = Some(name);
        }
    }
    write_file(folder, "tasks.csv", gzip, |out| write_tasks(workload, &names, out))
}

/// The names of the files that [`write()`] writes.
pub fn file_names(workload: &Workload, gzip: bool) -> Vec<String> {
    let names = [
        ("nodes.csv", workload.has_nodes()),
        (BUDGETS, workload.budgets().next().is_some()),
        (DEFINITIONS, workload.definitions().iter().any(|it| !is_plain(it))),
        ("tasks.csv", true),
    ];
    let ending = if gzip { ".gz" } else { "" };
    names.into_iter().filter(|it| it.1).map(|it| format!("{}{ending}", it.0)).collect()
}

/// Whether columns of amounts, devices, ports and tests say all of it but its name.
fn is_plain(it: &TaskDefinition) -> bool {
    let [container] = &it.containers[..] else { return false };
    let demand = &container.demand;
    let mut plain = TaskDefinition::single("", demand.clone());
    plain.name.clone_from(&it.name);
    plain.containers[0].name.clone_from(&container.name);
    plain.containers[0].zero.clone_from(&container.zero);
    // A cell holds no quotes, and a list of tests is split at semicolons.
    let is_cell = |it: &Requirement| {
        let text = requirement::print(it);
        !text.contains([';', '"', '\n', '\r']) && requirement::read(&text).as_ref() == Some(it)
    };
    let can_be_zero = [Resource::Cpu, Resource::Memory];
    *it == plain
        && container.zero.iter().all(|it| can_be_zero.contains(it))
        && demand.any_of.is_empty()
        && demand.tolerations.is_empty()
        && demand.requires.iter().all(is_cell)
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

fn image_text(image: &Image) -> String {
    let size = image.size.0;
    let fits = |it: &&(&str, u64)| size.is_multiple_of(it.1);
    let (unit, bytes) = IMAGE_UNITS.iter().find(fits).expect("a byte is a unit");
    format!("{}@{}{unit}", image.names.join(","), size / bytes)
}

/// A label that is there and empty stands in quotes; a blank cell is one that is not there.
fn label_text(value: &str) -> String {
    if value.is_empty() { "\"\"".to_owned() } else { field(value) }
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
    let has_taints = workload.nodes().any(|(_, node)| !node.taints.is_empty());
    let has_images = workload.nodes().any(|(_, node)| !node.images.is_empty());
    if has_taints {
        write!(out, ",taints")?;
    }
    if has_images {
        write!(out, ",images")?;
    }
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
        if has_taints {
            let taints: Vec<String> = node.taints.iter().map(Taint::to_string).collect();
            write!(out, ",{}", field(&taints.join(";")))?;
        }
        if has_images {
            let images: Vec<String> = node.images.iter().map(image_text).collect();
            write!(out, ",{}", field(&images.join("|")))?;
        }
        for label in &labels {
            let value = node.attributes.iter().find(|it| it.0 == *label);
            write!(out, ",{}", value.map(|it| label_text(&it.1)).unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_tasks(
    workload: &Workload,
    names: &[Option<String>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let has_names = names.iter().any(Option::is_some);
    writeln!(
        out,
        "id,arrival_s,cpu_cores,mem_bytes,disk_bytes,duration_s,estimate_s,withdrawn_s,group,kind,\
         priority,gpus,gpu_milli,gpu_models,ports,requires,resident_on,on_loss{}",
        if has_names { ",definition" } else { "" },
    )?;
    let demands: Vec<Demand> = workload.definitions().iter().map(|it| it.demand()).collect();
    let nodes: Vec<&str> = workload.nodes().map(|(_, node)| node.name.as_str()).collect();
    let nothing = Demand::default();
    let optional = |it: Option<u64>| it.map(seconds).unwrap_or_default();
    for (at, task) in workload.arrivals() {
        let submission = &task.submission;
        let row = submission.definition.row();
        write!(out, "{},{},", field(&workload.name(submission.task)), seconds(at.0))?;
        // What a definition of `definitions.json` says, its rows do not say again.
        let plain = names[row].is_none();
        let demand = if plain { &demands[row] } else { &nothing };
        let zero = |it: Resource| workload.definitions()[row].containers[0].zero.contains(&it);
        let cpu = demand.amounts.cpu;
        let says_cpu = plain && (cpu.0 > 0 || zero(Resource::Cpu));
        let memory = demand.amounts.memory.0;
        let says_memory = plain && (memory > 0 || zero(Resource::Memory));
        let only_plain = |text: String| if plain { text } else { String::new() };
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}{}",
            if says_cpu { cores(cpu) } else { String::new() },
            if says_memory { memory.to_string() } else { String::new() },
            only_plain(demand.amounts.disk.0.to_string()),
            optional(task.lifetime.map(|it| it.0)),
            optional(submission.estimate.map(|it| it.0)),
            optional(task.withdrawn.map(|it| it.0)),
            submission.group.map(|it| field(&workload.group_name(it))).unwrap_or_default(),
            match submission.kind {
                TaskKind::Job => "job",
                TaskKind::Service => "service",
            },
            submission.priority,
            only_plain(demand.gpus.count.to_string()),
            only_plain(demand.gpus.milli.0.to_string()),
            field(&demand.gpus.models.join("|")),
            ports_text(&demand.ports),
            field(&requires_text(&demand.requires)),
            task.resident.map(|it| field(nodes[it.row()])).unwrap_or_default(),
            match submission.on_loss {
                OnLoss::Restart => "restart",
                OnLoss::End => "end",
            },
            match &names[row] {
                Some(name) => format!(",{}", field(name)),
                None if has_names => ",".to_owned(),
                None => String::new(),
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
