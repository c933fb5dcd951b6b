//! From the text a user gives to nodes: `uniform:1000,cpu=64,mem=256GiB`, a node list, `builtin:NAME`.

use crate::decimal::{self, NotDecimal, Rounding};
use crate::error::TraceError;
use crate::format::{FormatOption, Options};
use crate::generate;
use crate::limits::{self, Limit};
use crate::source::{self, PathSource};
use crate::workload::Workload;
use crate::zones::zone_name;
use cluster::demand::Amounts;
use cluster::event::NodeEvent;
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::units::{Bytes, Instant, MilliCpu};
use std::fmt;
use std::path::PathBuf;

/// Where a cluster comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSource {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Uniform(Uniform),
    Builtin { name: &'static str, options: Options },
    Path(PathSource),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Uniform {
    count: u32,
    amounts: Amounts,
    zones: u16,
    gpus: usize,
    gpu_model: String,
}

/// What stands between `uniform:COUNT` and its end.
pub const UNIFORM_OPTIONS: &[FormatOption] = &[
    FormatOption { name: "cpu", summary: "cores per node, such as 64 or 0.5; needed" },
    FormatOption { name: "mem", summary: "memory per node, such as 256GiB; needed" },
    FormatOption { name: "disk", summary: "disk per node, such as 1TiB; none unless given" },
    FormatOption {
        name: "zones",
        summary: "number of zones, dealt in turn; no zones unless given",
    },
    FormatOption { name: "gpus", summary: "GPU devices per node; none unless given" },
    FormatOption { name: "gpu_model", summary: "their model; `GPU` unless given" },
];

/// The text it was parsed from.
impl fmt::Display for ClusterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ClusterSource {
    /// Reads `uniform:COUNT,cpu=…,mem=…`, `builtin:NAME`, `PATH` or `FORMAT:PATH`.
    ///
    /// # Errors
    ///
    /// [`TraceError::Unknown`] and [`TraceError::BadOption`].
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let kind = if let Some(list) = text.strip_prefix("uniform:") {
            Kind::Uniform(Uniform::parse(list)?)
        } else {
            let source = source::split_path(text)?;
            if text.starts_with("builtin:") {
                let name = generate::builtin_name(&source.path)?;
                Kind::Builtin { name, options: source.options }
            } else {
                Kind::Path(source)
            }
        };
        Ok(Self { text: text.into(), kind })
    }

    /// Files that are read for it, for digests. None unless it is a path.
    ///
    /// # Errors
    ///
    /// As [`read_cluster`], as far as it depends on which files are there.
    pub fn files(&self) -> Result<Vec<PathBuf>, TraceError> {
        match &self.kind {
            Kind::Path(source) => source::node_files(source),
            _ => Ok(Vec::new()),
        }
    }
}

/// The nodes of a cluster that are there from the start, in the order of their names' numbers or of the
/// file. What happens to them later is left out: see [`Workload::set_cluster_from`].
///
/// # Errors
///
/// Whatever is wrong with the input: see [`TraceError`].
pub fn read_cluster(source: &ClusterSource) -> Result<Vec<NodeSpec>, TraceError> {
    match &source.kind {
        Kind::Uniform(uniform) => Ok(uniform.nodes()),
        Kind::Builtin { name, options } => generate::nodes(name, options),
        Kind::Path(source) => {
            let workload = source::read_nodes(source)?;
            let nodes: Vec<NodeSpec> = workload
                .node_events()
                .take_while(|it| it.0 == Instant::ZERO)
                .filter_map(|(_, _, event)| match event {
                    NodeEvent::Joined(node) => Some((**node).clone()),
                    _ => None,
                })
                .collect();
            if nodes.is_empty() {
                return Err(TraceError::Empty {
                    path: source.path.clone(),
                    wanted: "nodes at the start",
                });
            }
            Ok(nodes)
        }
    }
}

impl Workload {
    /// As [`Workload::set_cluster`], but with everything that happens to the cluster's nodes later: those
    /// that join, are lost, return, drain or are updated after the start.
    ///
    /// # Errors
    ///
    /// As [`read_cluster`] and [`Workload::set_cluster`].
    pub fn set_cluster_from(&mut self, source: &ClusterSource) -> Result<(), TraceError> {
        match &source.kind {
            Kind::Path(path) => {
                let cluster = source::read_nodes(path)?;
                if !cluster.has_nodes() {
                    let path = path.path.clone();
                    return Err(TraceError::Empty { path, wanted: "nodes" });
                }
                self.set_timeline(cluster.into_timeline())
            }
            _ => self.set_cluster(read_cluster(source)?),
        }
    }
}

impl Uniform {
    fn parse(text: &str) -> Result<Self, TraceError> {
        let bad = |option: &str, found: &str, wanted| TraceError::BadOption {
            option: option.into(),
            found: found.into(),
            wanted,
        };
        let mut parts = text.split(',');
        let count = parts.next().unwrap_or_default();
        let count = count
            .parse()
            .ok()
            .filter(|it| (1..=10_000_000).contains(it))
            .ok_or_else(|| bad("uniform", count, "a number of nodes from 1 to 10000000"))?;
        let (mut cpu, mut memory, mut disk) = (None, None, 0);
        let (mut zones, mut gpus, mut gpu_model) = (0, 0, "GPU".to_owned());
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| bad(part, part, "key=value"))?;
            match key {
                "cpu" => cpu = Some(parse_cores(key, value)?),
                "mem" => memory = Some(parse_bytes(key, value)?),
                "disk" => disk = parse_bytes(key, value)?,
                "zones" => {
                    zones = value
                        .parse()
                        .ok()
                        .filter(|&it| it > 0)
                        .ok_or_else(|| bad(key, value, "a number from 1 to 65535"))?;
                }
                "gpus" => {
                    gpus = value
                        .parse()
                        .ok()
                        .filter(|&it| it <= DeviceSet::MAX)
                        .ok_or_else(|| bad(key, value, "a number from 0 to 64"))?;
                }
                "gpu_model" => gpu_model = value.to_owned(),
                other => {
                    let known = UNIFORM_OPTIONS.iter().map(|it| it.name);
                    return Err(TraceError::unknown("option of a uniform cluster", other, known));
                }
            }
        }
        let cpu = cpu.ok_or_else(|| bad("cpu", "nothing", "a number of cores, cpu=64"))?;
        let memory = memory.ok_or_else(|| bad("mem", "nothing", "a size, mem=256GiB"))?;
        let amounts = Amounts { cpu: MilliCpu(cpu), memory: Bytes(memory), disk: Bytes(disk) };
        Ok(Self { count, amounts, zones, gpus, gpu_model })
    }

    fn nodes(&self) -> Vec<NodeSpec> {
        (0..self.count)
            .map(|row| NodeSpec {
                name: format!("node-{row:04}"),
                zone: match self.zones {
                    0 => String::new(),
                    zones => zone_name(row as usize % usize::from(zones)),
                },
                capacity: NodeCapacity {
                    amounts: self.amounts,
                    gpus: vec![self.gpu_model.clone(); self.gpus],
                },
                ..NodeSpec::default()
            })
            .collect()
    }
}

/// Cores as thousandths: `64`, `0.5`.
pub(crate) fn parse_cores(option: &str, found: &str) -> Result<u64, TraceError> {
    let cores = decimal::parse(found, 1000, Rounding::Exact);
    within(limits::CPU, cores, option, found, "a number of cores such as 64 or 0.5")
}

/// Sizes with a unit: `256GiB`, `512MiB`, `1.5TiB`, `64GB`, `1048576` (bytes).
pub(crate) fn parse_bytes(option: &str, found: &str) -> Result<u64, TraceError> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let (number, units) = UNITS
        .iter()
        .find_map(|&(suffix, units)| Some((found.strip_suffix(suffix)?, units)))
        .unwrap_or((found, 1));
    let size = decimal::parse(number, units, Rounding::Nearest);
    within(limits::BYTES, size, option, found, "a size such as 256GiB, 512MiB or 64GB")
}

/// A number that was read, if it is one and not beyond the limit.
pub(crate) fn within(
    limit: Limit,
    number: Result<u64, NotDecimal>,
    option: &str,
    found: &str,
    wanted: &'static str,
) -> Result<u64, TraceError> {
    let wanted = match number {
        Ok(number) if number <= limit.most => return Ok(number),
        Ok(_) | Err(NotDecimal::TooLarge) => limit.wanted,
        Err(_) => wanted,
    };
    Err(TraceError::BadOption { option: option.into(), found: found.into(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<(usize, u64, u64, &str), &str>) {
        let got = ClusterSource::parse(text).and_then(|it| read_cluster(&it));
        match (got, want) {
            (Ok(nodes), Ok((count, cpu, memory, last_zone))) => {
                let last = nodes.last().unwrap();
                let amounts = last.capacity.amounts;
                let got = (nodes.len(), amounts.cpu.0, amounts.memory.0, last.zone.as_str());
                assert_eq!(got, (count, cpu, memory, last_zone));
            }
            (Err(error), Err(want)) => {
                let text = format!("{error}; {}", error.help());
                assert!(text.contains(want), "{text}");
            }
            (got, want) => panic!("{text}: {got:?}, not {want:?}"),
        }
    }

    #[test]
    fn uniform_clusters() {
        check("uniform:1000,cpu=64,mem=256GiB,zones=3", Ok((1000, 64_000, 256 << 30, "zone-a")));
        check(
            "uniform:2,cpu=0.5,mem=512MiB,disk=1TiB,gpus=8,gpu_model=T4",
            Ok((2, 500, 512 << 20, "")),
        );
        check("uniform:0,cpu=1,mem=1GiB", Err("a number of nodes"));
        check("uniform:5,cpu=1", Err("mem=256GiB"));
        check("uniform:5,cpu=1,memory=1GiB", Err("did you mean mem?"));
        check("uniform:5,cpu=1,mem=lots", Err("such as 256GiB"));
        check("uniform:5,cpu=1,mem=1GiB,gpus=65", Err("0 to 64"));
        check("uniform:5,cpu=1,mem=1GiB,zones=0", Err("1 to 65535"));
        check("uniform:5,cpu", Err("key=value"));
        check("no/such/file.csv", Err("check that the path exists"));
    }
}
