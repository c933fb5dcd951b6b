//! `hosts.toml`: which Docker hosts there are, where they stand and what they offer.
//!
//! ```toml
//! [reserve]                        # of every host that says nothing else
//! cpu = 0.25                       # cores
//! memory = "256MiB"
//!
//! [[host]]
//! name = "n1"
//! address = "tcp://192.0.2.7:2375" # or "unix:///run/docker.sock"
//! zone = "zone-a"
//! attributes = { disk = "ssd" }
//! reserved_ports = [22]
//! capacity = { cpu = 4, memory = "8GiB", disk = "100GiB", gpus = ["T4"] }
//! reserve = { cpu = 0.5 }
//! taints = ["gpu=yes:NoSchedule"]  # KEY:EFFECT or KEY=VALUE:EFFECT, as Kubernetes writes them
//! images = { "shop/web:1" = "200MiB" } # said to be there, for policies that look for images
//! ```
//!
//! Only name and address are required. What a host's capacity leaves out is what Docker reports; the
//! reserve is then taken off. Docker reports neither disk nor GPUs, so undeclared they are none.

use crate::engine::HostInfo;
use cluster::constraint::{Effect, Image, Taint};
use cluster::demand::{Amounts, Port, Protocol, Resource};
use cluster::nodes::{NO_ZONE, NodeCapacity, NodeSpec, ZONE};
use cluster::units::{Bytes, MilliCpu};
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a Docker host listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A socket on this machine.
    Unix(PathBuf),
    /// Plain TCP: anybody who can reach it owns the host.
    Tcp {
        /// Name or number; IPv6 without brackets.
        host: String,
        /// Usually 2375.
        port: u16,
    },
}

impl Address {
    /// Reads `unix:///path` or `tcp://host:port`. `Err` says what is wrong.
    ///
    /// # Errors
    ///
    /// [`AddressFault`].
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressFault::NoScheme)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(AddressFault::RelativePath),
            "tcp" | "http" => {
                let rest = rest.trim_end_matches('/');
                let (host, port) = rest.rsplit_once(':').ok_or(AddressFault::NoPort)?;
                let port = port.parse().ok().filter(|&it| it > 0).ok_or(AddressFault::NoPort)?;
                let host =
                    host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
                if host.is_empty() {
                    return Err(AddressFault::NoHost);
                }
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            "https" => Err(AddressFault::NotYet("TLS")),
            "ssh" => Err(AddressFault::NotYet("ssh")),
            _ => Err(AddressFault::NoScheme),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressFault {
    /// Neither `unix://` nor `tcp://`.
    #[error("starts with neither unix:// nor tcp://")]
    NoScheme,
    /// The path of a socket must start at the root.
    #[error("the socket's path is not absolute")]
    RelativePath,
    /// No port, or none between 1 and 65535.
    #[error("no port between 1 and 65535")]
    NoPort,
    /// Nothing before the port.
    #[error("no host name")]
    NoHost,
    /// Planned.
    #[error("{0} is not supported yet")]
    NotYet(&'static str),
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub path: String,
    /// Counts from 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Bytes of the text.
    pub span: Range<usize>,
}

impl Place {
    /// The place of a span of bytes in a text, which was read from `path`.
    pub(crate) fn of(text: &str, path: &str, span: Range<usize>) -> Box<Self> {
        let before = &text[..span.start.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        Box::new(Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// Why `hosts.toml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostsError {
    /// Not TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where the reader gave up.
        place: Box<Place>,
        /// Its words.
        reason: String,
    },
    /// A key that means nothing here.
    #[error("{place}: unknown key {key:?} in {table}")]
    UnknownKey {
        /// Where it stands.
        place: Box<Place>,
        /// The key.
        key: String,
        /// In which table.
        table: &'static str,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// All known keys.
        known: &'static [&'static str],
    },
    /// A key that must be there is not.
    #[error("{place}: {table} has no {key:?}")]
    Missing {
        /// Where the table begins.
        place: Box<Place>,
        /// What is missing.
        key: &'static str,
        /// From which table.
        table: &'static str,
    },
    /// A value of the wrong kind, or out of range.
    #[error("{place}: {key} is {found}, not {wanted}")]
    Value {
        /// Where it stands.
        place: Box<Place>,
        /// Its key.
        key: String,
        /// What stands there.
        found: String,
        /// What should.
        wanted: &'static str,
    },
    /// A text that is no address.
    #[error("{place}: address {found:?}: {fault}")]
    Address {
        /// Where it stands.
        place: Box<Place>,
        /// The text.
        found: String,
        /// What is wrong with it.
        fault: AddressFault,
    },
    /// Two hosts share what must be one host's.
    #[error("{place}: {key} {value:?} stands on line {first} already")]
    Twice {
        /// Where the second stands.
        place: Box<Place>,
        /// `name` or `address`.
        key: &'static str,
        /// The value.
        value: String,
        /// Line of the first.
        first: usize,
    },
    /// Known and planned, but not there yet.
    #[error("{place}: {what} is not supported yet")]
    NotYet {
        /// Where it stands.
        place: Box<Place>,
        /// What.
        what: &'static str,
    },
    /// No host at all.
    #[error("{path}: names no host")]
    Empty {
        /// The file.
        path: String,
    },
}

impl HostsError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Syntax { .. } => "see https://toml.io for the syntax".to_owned(),
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("did you mean {nearest:?}?"),
            Self::UnknownKey { known, .. } => format!("known keys: {}", known.join(", ")),
            Self::Missing { key, .. } => format!("add {key} = \"…\""),
            Self::Value { wanted, .. } => format!("write {wanted}"),
            Self::Address { fault: AddressFault::NotYet(_), .. } | Self::NotYet { .. } => {
                "use unix:// or tcp:// on a network that you trust; or forward the host's socket with \
                 ssh -N -L /path.sock:/var/run/docker.sock HOST"
                    .to_owned()
            }
            Self::Address { .. } => {
                "write unix:///run/docker.sock or tcp://192.0.2.7:2375".to_owned()
            }
            Self::Twice { .. } => "give every host a name and an address of its own".to_owned(),
            Self::Empty { .. } => {
                "add a [[host]] with name and address; `bayplan testbed up 3` makes three".to_owned()
            }
        }
    }

    /// Where it is wrong, if that is one place.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::Missing { place, .. }
            | Self::Value { place, .. }
            | Self::Address { place, .. }
            | Self::Twice { place, .. }
            | Self::NotYet { place, .. } => Some(place),
            Self::Empty { .. } => None,
        }
    }
}

/// What is kept from tasks: for the daemon, the system, the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Of the host's cpu.
    pub cpu: MilliCpu,
    /// Of the host's memory.
    pub memory: Bytes,
}

/// What a host is said to have; `None` is what Docker reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Cpu.
    pub cpu: Option<MilliCpu>,
    /// Memory.
    pub memory: Option<Bytes>,
    /// Disk; Docker reports none.
    pub disk: Option<Bytes>,
    /// Models of the GPU devices; Docker reports none.
    pub gpus: Vec<String>,
}

/// One Docker host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Unique; the node's name.
    pub name: String,
    /// Unique.
    pub address: Address,
    /// Availability zone, if it is in one.
    pub zone: Option<String>,
    /// For constraints and spreading.
    pub attributes: BTreeMap<String, String>,
    /// What it is said to have.
    pub capacity: Capacity,
    /// What tasks do not get of it.
    pub reserve: Reserve,
    /// TCP ports that tasks may not publish, besides the one that Docker listens on.
    pub reserved_ports: Vec<u16>,
    /// What keeps tasks away that do not tolerate it.
    pub taints: Vec<Taint>,
    /// Images that are said to be there, with their sizes.
    pub images: BTreeMap<String, Bytes>,
}

/// Something odd about a host that does not stop it from being used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostWarning {
    /// More declared than Docker reports.
    #[error("{host}: {declared} {resource} declared, but Docker reports {reported} ({unit})")]
    DeclaredAboveReported {
        /// Which host.
        host: String,
        /// Of what.
        resource: Resource,
        /// In the file.
        declared: u64,
        /// By Docker.
        reported: u64,
        /// Of both numbers.
        unit: &'static str,
    },
    /// Nothing is left after the reserve.
    #[error("{host}: the reserve leaves no {resource}")]
    NothingLeft {
        /// Which host.
        host: String,
        /// Of what.
        resource: Resource,
    },
    /// The daemon's own label says another zone.
    #[error("{host}: zone {declared:?} declared, but the daemon is labelled zone={labelled}")]
    ZoneDisagrees {
        /// Which host.
        host: String,
        /// In the file.
        declared: String,
        /// By the daemon.
        labelled: String,
    },
}

impl Host {
    /// The host as a node, given what Docker reports of it. Daemon labels become attributes unless the
    /// file says otherwise; a label `zone` is the zone if the file names none.
    pub fn node_spec(&self, reported: &HostInfo) -> (NodeSpec, Vec<HostWarning>) {
        let mut warnings = Vec::new();
        let mut offer = |resource, declared: Option<u64>, reported: u64, reserve: u64| {
            let unit = if resource == Resource::Cpu { "thousandths of a core" } else { "bytes" };
            if let Some(declared) = declared
                && declared > reported
            {
                let host = self.name.clone();
                warnings.push(HostWarning::DeclaredAboveReported {
                    host,
                    resource,
                    declared,
                    reported,
                    unit,
                });
            }
            let left = declared.unwrap_or(reported).saturating_sub(reserve);
            if left == 0 {
                warnings.push(HostWarning::NothingLeft { host: self.name.clone(), resource });
            }
            left
        };
        let declared = &self.capacity;
        let cpu =
            offer(Resource::Cpu, declared.cpu.map(|it| it.0), reported.cpu.0, self.reserve.cpu.0);
        let memory = offer(
            Resource::Memory,
            declared.memory.map(|it| it.0),
            reported.memory.0,
            self.reserve.memory.0,
        );
        let labelled = reported.labels.get(ZONE);
        if let (Some(declared), Some(labelled)) = (&self.zone, labelled)
            && declared != labelled
        {
            warnings.push(HostWarning::ZoneDisagrees {
                host: self.name.clone(),
                declared: declared.clone(),
                labelled: labelled.clone(),
            });
        }
        let mut attributes = reported.labels.clone();
        attributes.extend(self.attributes.clone());
        attributes.remove(ZONE);
        let mut ports = self.reserved_ports.clone();
        if let Address::Tcp { port, .. } = self.address {
            ports.push(port);
        }
        ports.sort_unstable();
        ports.dedup();
        let zone = self.zone.as_ref().or(labelled).map_or(NO_ZONE, String::as_str);
        let amounts = Amounts {
            cpu: MilliCpu(cpu),
            memory: Bytes(memory),
            disk: declared.disk.unwrap_or(Bytes(0)),
        };
        let spec = NodeSpec {
            name: self.name.clone(),
            zone: zone.to_owned(),
            capacity: NodeCapacity { amounts, gpus: declared.gpus.clone() },
            reserved_ports: ports
                .into_iter()
                .map(|number| Port { protocol: Protocol::Tcp, number })
                .collect(),
            attributes: attributes.into_iter().collect(),
            taints: self.taints.clone(),
            images: self
                .images
                .iter()
                .map(|(name, &size)| Image { names: vec![name.clone()], size })
                .collect(),
            ..NodeSpec::default()
        };
        (spec, warnings)
    }
}

/// Reads `hosts.toml`. `path` is for messages.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn read(text: &str, path: &str) -> Result<Vec<Host>, HostsError> {
    Reader { text, path }.hosts()
}

/// Writes what [`read`] reads.
pub fn write(hosts: &[Host]) -> String {
    let mut out = String::new();
    for host in hosts {
        let quoted = |it: &str| toml_string(it);
        let mut line = |key: &str, value: String| {
            let _ = writeln!(out, "{key} = {value}");
        };
        line("[[host]]\nname", quoted(&host.name));
        line("address", quoted(&host.address.to_string()));
        if let Some(zone) = &host.zone {
            line("zone", quoted(zone));
        }
        if !host.attributes.is_empty() {
            let pairs: Vec<String> = host
                .attributes
                .iter()
                .map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)))
                .collect();
            line("attributes", format!("{{ {} }}", pairs.join(", ")));
        }
        if !host.reserved_ports.is_empty() {
            line("reserved_ports", format!("{:?}", host.reserved_ports));
        }
        if !host.taints.is_empty() {
            let taints: Vec<String> =
                host.taints.iter().map(|it| quoted(&it.to_string())).collect();
            line("taints", format!("[{}]", taints.join(", ")));
        }
        if !host.images.is_empty() {
            let images = host.images.iter();
            let images: Vec<String> = images
                .map(|(name, size)| format!("{} = \"{}\"", quoted(name), amount(*size)))
                .collect();
            line("images", format!("{{ {} }}", images.join(", ")));
        }
        let Capacity { cpu, memory, disk, gpus } = &host.capacity;
        let mut parts = Vec::new();
        parts.extend(cpu.map(|it| format!("cpu = {}", cores(it))));
        parts.extend(memory.map(|it| format!("memory = \"{}\"", amount(it))));
        parts.extend(disk.map(|it| format!("disk = \"{}\"", amount(it))));
        if !gpus.is_empty() {
            let models: Vec<String> = gpus.iter().map(|it| quoted(it)).collect();
            parts.push(format!("gpus = [{}]", models.join(", ")));
        }
        if !parts.is_empty() {
            line("capacity", format!("{{ {} }}", parts.join(", ")));
        }
        if host.reserve != Reserve::default() {
            let Reserve { cpu, memory } = host.reserve;
            line("reserve", format!("{{ cpu = {}, memory = \"{}\" }}", cores(cpu), amount(memory)));
        }
        out.push('\n');
    }
    out
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for it in text.chars() {
        match it {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            it if it.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(it));
            }
            it => out.push(it),
        }
    }
    out.push('"');
    out
}

fn cores(cpu: MilliCpu) -> String {
    let (whole, rest) = (cpu.0 / 1000, cpu.0 % 1000);
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
    }
}

const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// In the largest binary unit that leaves no rest.
fn amount(bytes: Bytes) -> String {
    let (unit, size) = UNITS[..4]
        .iter()
        .find(|it| bytes.0 > 0 && bytes.0.is_multiple_of(it.1))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes.0 / size)
}

/// Reads `4GiB`, `512 MB`, `10B`.
fn parse_amount(text: &str) -> Option<Bytes> {
    let (unit, size) = UNITS.iter().find(|it| text.ends_with(it.0))?;
    let number = text.strip_suffix(unit)?.trim_end();
    if number.is_empty() || !number.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(*size).map(Bytes)
}

/// Reads `key:NoSchedule`, `key=value:PreferNoSchedule`.
fn parse_taint(text: &str) -> Option<Taint> {
    let (what, effect) = text.rsplit_once(':')?;
    let effects = [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute];
    let effect = effects.into_iter().find(|it| it.to_string() == effect)?;
    let (key, value) = what.split_once('=').unwrap_or((what, ""));
    let taint = Taint { key: key.to_owned(), value: value.to_owned(), effect };
    (!key.is_empty()).then_some(taint)
}

/// Reads cores to the thousandth, exactly: from the digits, not through a float.
fn parse_cores(text: &str) -> Option<MilliCpu> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(MilliCpu(whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(thousandths)?))
}

const TOP_KEYS: &[&str] = &["host", "reserve"];
const HOST_KEYS: &[&str] = &[
    "name",
    "address",
    "zone",
    "attributes",
    "capacity",
    "reserve",
    "reserved_ports",
    "taints",
    "images",
    "tls",
];
const CAPACITY_KEYS: &[&str] = &["cpu", "memory", "disk", "gpus"];
const RESERVE_KEYS: &[&str] = &["cpu", "memory"];
const AMOUNT: &str = "an amount with its unit, such as \"4GiB\"";
const CORES: &str = "a number of cores to the thousandth, such as 1.5";
const TAINT: &str = "KEY:EFFECT or KEY=VALUE:EFFECT, of which the effect is NoSchedule, PreferNoSchedule \
                     or NoExecute";
const TEXT: &str = "a text in quotes, and not an empty one";

type Value<'t> = Spanned<DeValue<'t>>;

struct Reader<'t> {
    text: &'t str,
    path: &'t str,
}

impl<'t> Reader<'t> {
    fn place(&self, span: Range<usize>) -> Box<Place> {
        Place::of(self.text, self.path, span)
    }

    fn wrong(&self, key: &str, value: &Value<'_>, wanted: &'static str) -> HostsError {
        let found = match value.get_ref() {
            DeValue::String(it) => format!("{it:?}"),
            DeValue::Integer(it) => it.to_string(),
            DeValue::Float(it) => it.to_string(),
            other => format!("a {}", other.type_str()),
        };
        HostsError::Value { place: self.place(value.span()), key: key.to_owned(), found, wanted }
    }

    fn refuse_unknown(
        &self,
        table: &DeTable<'_>,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Result<(), HostsError> {
        // The first in the file, not in the alphabet.
        let strange = table.iter().map(|it| it.0).filter(|it| !known.contains(&&**it.get_ref()));
        let Some(key) = strange.min_by_key(|it| it.span().start) else { return Ok(()) };
        let nearest = known
            .iter()
            .map(|it| (strsim::osa_distance(it, key.get_ref()), *it))
            .min()
            .filter(|it| it.0 <= 2)
            .map(|it| it.1);
        Err(HostsError::UnknownKey {
            place: self.place(key.span()),
            key: key.get_ref().to_string(),
            table: name,
            nearest,
            known,
        })
    }

    fn table<'v>(&self, key: &str, value: &'v Value<'t>) -> Result<&'v DeTable<'t>, HostsError> {
        value.get_ref().as_table().ok_or_else(|| self.wrong(key, value, "a table"))
    }

    fn string(&self, key: &str, value: &Value<'_>) -> Result<String, HostsError> {
        match value.get_ref().as_str() {
            Some(it) if !it.trim().is_empty() => Ok(it.to_owned()),
            _ => Err(self.wrong(key, value, TEXT)),
        }
    }

    fn cores(&self, value: &Value<'_>) -> Result<MilliCpu, HostsError> {
        let text = match value.get_ref() {
            DeValue::Integer(it) => it.to_string(),
            DeValue::Float(it) => it.to_string(),
            _ => return Err(self.wrong("cpu", value, CORES)),
        };
        parse_cores(&text).ok_or_else(|| self.wrong("cpu", value, CORES))
    }

    fn amount(&self, key: &str, value: &Value<'_>) -> Result<Bytes, HostsError> {
        let amount = value.get_ref().as_str().and_then(parse_amount);
        amount.ok_or_else(|| self.wrong(key, value, AMOUNT))
    }

    fn list<'v>(&self, key: &str, value: &'v Value<'t>) -> Result<&'v [Value<'t>], HostsError> {
        match value.get_ref().as_array() {
            Some(it) => Ok(it),
            None => Err(self.wrong(key, value, "a list in square brackets")),
        }
    }

    fn hosts(&self) -> Result<Vec<Host>, HostsError> {
        let root = DeTable::parse(self.text).map_err(|error| HostsError::Syntax {
            place: self.place(error.span().unwrap_or(0..0)),
            reason: error.message().to_owned(),
        })?;
        let root = root.get_ref();
        self.refuse_unknown(root, "the file", TOP_KEYS)?;
        let reserve = match root.get("reserve") {
            Some(value) => self.reserve(value, Reserve::default())?,
            None => Reserve::default(),
        };
        let mut hosts = Vec::new();
        let mut seen: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
        if let Some(list) = root.get("host") {
            for value in self.list("host", list)? {
                let host = self.host(value, reserve)?;
                for (key, text) in
                    [("name", host.name.clone()), ("address", host.address.to_string())]
                {
                    let place = self.place(self.span_of(value, key));
                    if let Some(&first) = seen.get(&(key, text.clone())) {
                        return Err(HostsError::Twice { place, key, value: text, first });
                    }
                    seen.insert((key, text), place.line);
                }
                hosts.push(host);
            }
        }
        if hosts.is_empty() {
            return Err(HostsError::Empty { path: self.path.to_owned() });
        }
        Ok(hosts)
    }

    fn span_of(&self, table: &Value<'_>, key: &str) -> Range<usize> {
        let value = table.get_ref().as_table().and_then(|it| it.get(key));
        value.map_or_else(|| table.span(), Spanned::span)
    }

    fn host(&self, value: &Value<'t>, reserve: Reserve) -> Result<Host, HostsError> {
        let table = self.table("host", value)?;
        self.refuse_unknown(table, "[[host]]", HOST_KEYS)?;
        let required = |key: &'static str| {
            table.get(key).ok_or_else(|| HostsError::Missing {
                place: self.place(value.span()),
                key,
                table: "[[host]]",
            })
        };
        if table.contains_key("tls") {
            let place = self.place(self.span_of(value, "tls"));
            return Err(HostsError::NotYet { place, what: "TLS with client certificates" });
        }
        let name = self.string("name", required("name")?)?;
        let at = required("address")?;
        let found = self.string("address", at)?;
        let address = Address::parse(&found).map_err(|fault| HostsError::Address {
            place: self.place(at.span()),
            found,
            fault,
        })?;
        let zone = table.get("zone").map(|it| self.string("zone", it)).transpose()?;
        let mut attributes = BTreeMap::new();
        if let Some(value) = table.get("attributes") {
            for (key, value) in self.table("attributes", value)? {
                if &**key.get_ref() == ZONE {
                    return Err(self.wrong(
                        ZONE,
                        value,
                        "an attribute: write zone = \"…\" beside name",
                    ));
                }
                attributes.insert(key.get_ref().to_string(), self.string(key.get_ref(), value)?);
            }
        }
        let mut reserved_ports = Vec::new();
        if let Some(value) = table.get("reserved_ports") {
            for value in self.list("reserved_ports", value)? {
                let number =
                    value.get_ref().as_integer().and_then(|it| it.to_string().parse().ok());
                let number = number.filter(|&it: &u16| it > 0);
                reserved_ports.push(number.ok_or_else(|| {
                    self.wrong("reserved_ports", value, "a port from 1 to 65535")
                })?);
            }
        }
        let capacity = match table.get("capacity") {
            Some(value) => self.capacity(value)?,
            None => Capacity::default(),
        };
        let reserve = match table.get("reserve") {
            Some(value) => self.reserve(value, reserve)?,
            None => reserve,
        };
        let mut taints = Vec::new();
        if let Some(value) = table.get("taints") {
            for value in self.list("taints", value)? {
                let taint = parse_taint(&self.string("taints", value)?);
                taints.push(taint.ok_or_else(|| self.wrong("taints", value, TAINT))?);
            }
        }
        let mut images = BTreeMap::new();
        if let Some(value) = table.get("images") {
            for (key, value) in self.table("images", value)? {
                images.insert(key.get_ref().to_string(), self.amount(key.get_ref(), value)?);
            }
        }
        Ok(Host {
            name,
            address,
            zone,
            attributes,
            capacity,
            reserve,
            reserved_ports,
            taints,
            images,
        })
    }

    fn capacity(&self, value: &Value<'t>) -> Result<Capacity, HostsError> {
        let table = self.table("capacity", value)?;
        self.refuse_unknown(table, "capacity", CAPACITY_KEYS)?;
        let amount = |key| table.get(key).map(|it| self.amount(key, it)).transpose();
        let mut gpus = Vec::new();
        if let Some(value) = table.get("gpus") {
            for value in self.list("gpus", value)? {
                gpus.push(self.string("gpus", value)?);
            }
            if gpus.len() > cluster::nodes::DeviceSet::MAX {
                return Err(self.wrong("gpus", value, "at most 64 devices"));
            }
        }
        let cpu = table.get("cpu").map(|it| self.cores(it)).transpose()?;
        Ok(Capacity { cpu, memory: amount("memory")?, disk: amount("disk")?, gpus })
    }

    fn reserve(&self, value: &Value<'t>, default: Reserve) -> Result<Reserve, HostsError> {
        let table = self.table("reserve", value)?;
        self.refuse_unknown(table, "reserve", RESERVE_KEYS)?;
        let cpu = table.get("cpu").map(|it| self.cores(it)).transpose()?;
        let memory = table.get("memory").map(|it| self.amount("memory", it)).transpose()?;
        Ok(Reserve { cpu: cpu.unwrap_or(default.cpu), memory: memory.unwrap_or(default.memory) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
[reserve]
memory = "256MiB"

[[host]]
name = "n1"
address = "tcp://192.0.2.7:2375"
zone = "zone-a"
attributes = { disk = "ssd" }
reserved_ports = [22]
capacity = { cpu = 1.5, memory = "8GiB", disk = "100GB", gpus = ["T4", "T4"] }
reserve = { cpu = 0.25 }
taints = ["gpu=yes:NoSchedule", "spot:PreferNoSchedule"]
images = { "shop/web:1" = "200MiB" }

[[host]]
name = "n2"
address = "unix:///run/docker.sock"
"#;

    /// `text` is refused with `want`, and the help contains `help`.
    #[track_caller]
    fn check(text: &str, want: &str, help: &str) {
        let error = read(text, "h.toml").unwrap_err();
        assert_eq!(error.to_string(), want);
        assert!(error.help().contains(help), "{}", error.help());
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let hosts = read(FULL, "h.toml").unwrap();
        let [n1, n2] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!(n1.address, Address::Tcp { host: "192.0.2.7".into(), port: 2375 });
        assert_eq!(n1.capacity.cpu, Some(MilliCpu(1500)));
        assert_eq!(n1.capacity.disk, Some(Bytes(100_000_000_000)));
        assert_eq!(n1.capacity.gpus, ["T4", "T4"]);
        assert_eq!(n1.reserve, Reserve { cpu: MilliCpu(250), memory: Bytes::from_mib(256) });
        let taints: Vec<String> = n1.taints.iter().map(ToString::to_string).collect();
        assert_eq!(taints, ["gpu=yes:NoSchedule", "spot:PreferNoSchedule"]);
        let (spec, _) = n1.node_spec(&HostInfo::default());
        assert_eq!(spec.taints, n1.taints);
        let image = Image { names: vec!["shop/web:1".into()], size: Bytes::from_mib(200) };
        assert_eq!(spec.images, [image]);
        assert_eq!(n2.zone, None);
        assert_eq!(n2.reserve.memory, Bytes::from_mib(256), "the file's reserve is every host's");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut hosts = read(FULL, "h.toml").unwrap();
        hosts[1].zone = Some("a \"quoted\"\\ zone\n".into());
        assert_eq!(read(&write(&hosts), "h.toml").unwrap(), hosts);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let host = "[[host]]\nname = \"a\"\naddress = \"unix:///s\"\n";
        check("", "h.toml: names no host", "[[host]]");
        check("[[host]\n", "h.toml:1:8: unclosed array table, expected `]`", "toml.io");
        check(
            &format!("{host}zoen = \"x\"\n"),
            "h.toml:4:1: unknown key \"zoen\" in [[host]]",
            "did you mean \"zone\"?",
        );
        check(
            &format!("{host}colour = 1\n"),
            "h.toml:4:1: unknown key \"colour\" in [[host]]",
            "known keys: name, address",
        );
        check("[[host]]\nname = \"a\"\n", "h.toml:1:1: [[host]] has no \"address\"", "add address");
        check(
            &format!("{host}capacity = {{ cpu = 1.2345 }}\n"),
            "h.toml:4:20: cpu is 1.2345, not a number of cores to the thousandth, such as 1.5",
            "such as 1.5",
        );
        check(
            &format!("{host}capacity = {{ memory = 4 }}\n"),
            "h.toml:4:23: memory is 4, not an amount with its unit, such as \"4GiB\"",
            "4GiB",
        );
        for taint in ["gpu", "gpu:Never", "=x:NoSchedule"] {
            check(
                &format!("{host}taints = [\"{taint}\"]\n"),
                &format!("h.toml:4:11: taints is \"{taint}\", not {TAINT}"),
                "KEY:EFFECT",
            );
        }
        check(
            &format!("{host}images = {{ web = 4 }}\n"),
            "h.toml:4:18: web is 4, not an amount with its unit, such as \"4GiB\"",
            "4GiB",
        );
        check(
            &format!("{host}capacity = {{ mem = \"4GiB\" }}\n"),
            "h.toml:4:14: unknown key \"mem\" in capacity",
            "known keys: cpu, memory",
        );
        check(
            &format!("{host}reserved_ports = [0]\n"),
            "h.toml:4:19: reserved_ports is 0, not a port from 1 to 65535",
            "1 to 65535",
        );
        check(
            &format!("{host}tls = {{ ca = \"x\" }}\n"),
            "h.toml:4:7: TLS with client certificates is not supported yet",
            "ssh -N -L",
        );
        check(
            "[[host]]\nname = \"a\"\naddress = \"host:2375\"\n",
            "h.toml:3:11: address \"host:2375\": starts with neither unix:// nor tcp://",
            "tcp://192.0.2.7:2375",
        );
        check(
            &format!("{host}{host}"),
            "h.toml:5:8: name \"a\" stands on line 2 already",
            "of its own",
        );
    }

    #[test]
    fn addresses_are_read_and_written() {
        for (text, want) in [
            ("unix:///run/docker.sock", Ok("unix:///run/docker.sock")),
            ("tcp://h:2375", Ok("tcp://h:2375")),
            ("http://h:2375/", Ok("tcp://h:2375")),
            ("tcp://[::1]:2375", Ok("tcp://[::1]:2375")),
            ("unix://run", Err(AddressFault::RelativePath)),
            ("tcp://h", Err(AddressFault::NoPort)),
            ("tcp://h:0", Err(AddressFault::NoPort)),
            ("tcp://:1", Err(AddressFault::NoHost)),
            ("https://h:2376", Err(AddressFault::NotYet("TLS"))),
            ("ssh://h", Err(AddressFault::NotYet("ssh"))),
            ("h:2375", Err(AddressFault::NoScheme)),
        ] {
            let got = Address::parse(text).map(|it| it.to_string());
            assert_eq!(got.as_deref(), want.as_ref().map(|it| *it), "{text}");
        }
    }

    #[test]
    fn amounts_and_cores_are_exact() {
        for (text, want) in [
            ("4GiB", Some(4 << 30)),
            ("1 KB", Some(1000)),
            ("7B", Some(7)),
            ("7", None),
            ("GiB", None),
            ("1.5GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_amount(text), want.map(Bytes), "{text}");
        }
        for (text, want) in
            [("2", Some(2000)), ("0.1", Some(100)), ("0.001", Some(1)), ("-1", None), ("1e3", None)]
        {
            assert_eq!(parse_cores(text), want.map(MilliCpu), "{text}");
        }
        assert_eq!(amount(Bytes::from_mib(1536)), "1536MiB");
        assert_eq!(cores(MilliCpu(1250)), "1.25");
    }

    fn reported() -> HostInfo {
        HostInfo {
            cpu: MilliCpu(2000),
            memory: Bytes::from_gib(4),
            labels: BTreeMap::from([
                ("zone".to_owned(), "zone-z".to_owned()),
                ("disk".to_owned(), "hdd".to_owned()),
            ]),
            ..HostInfo::default()
        }
    }

    #[test]
    fn what_is_not_declared_is_what_docker_reports_less_the_reserve() {
        let hosts = read(FULL, "h.toml").unwrap();
        let (node, warnings) = hosts[1].node_spec(&reported());
        let want = Bytes(Bytes::from_gib(4).0 - Bytes::from_mib(256).0);
        assert_eq!(node.capacity.amounts.memory, want);
        assert_eq!(node.capacity.amounts.cpu, MilliCpu(2000));
        assert_eq!((node.zone.as_str(), warnings), ("zone-z", vec![]));
    }

    #[test]
    fn what_is_declared_wins_and_is_compared() {
        let hosts = read(FULL, "h.toml").unwrap();
        let (node, warnings) = hosts[0].node_spec(&reported());
        assert_eq!(node.zone, "zone-a");
        assert_eq!(node.capacity.amounts.cpu, MilliCpu(1250));
        assert_eq!(node.attributes, [("disk".to_owned(), "ssd".to_owned())]);
        let ports: Vec<u16> = node.reserved_ports.iter().map(|it| it.number).collect();
        assert_eq!(ports, [22, 2375], "tasks cannot take the daemon's own port");
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "n1: 8589934592 memory declared, but Docker reports 4294967296 (bytes)",
                "n1: zone \"zone-a\" declared, but the daemon is labelled zone=zone-z",
            ]
        );
    }

    #[test]
    fn a_reserve_that_leaves_nothing_is_said() {
        let mut hosts = read(FULL, "h.toml").unwrap();
        hosts[1].reserve.cpu = MilliCpu(2500);
        let (node, warnings) = hosts[1].node_spec(&reported());
        assert_eq!(node.capacity.amounts.cpu, MilliCpu(0));
        assert_eq!(warnings[0].to_string(), "n2: the reserve leaves no cpu");
    }
}
