//! What a scenario file says, as it says it: the types that are read, written and described by the JSON Schema.
//!
//! Units stand at the ends of names. Of several names for one amount (`cpu_milli`, `cpu_cores`) only one may be given.
//! Amounts may have decimals and are read exactly; cpu finer than a thousandth of a core and times finer than a
//! microsecond are refused, a part of a byte is rounded to the nearest.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

fn is_default<T: Default + PartialEq>(it: &T) -> bool {
    *it == T::default()
}

/// A cluster with what runs on it, what waits, and what is to be placed.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bayplan scenario")]
pub struct Document {
    /// Where the schema of this file is, for editors. Not used.
    #[serde(rename = "$schema", default, skip_serializing_if = "is_default")]
    pub schema: Option<String>,
    /// For people. Not used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub about: Option<String>,
    /// The nodes, in joining order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nodes: Vec<Node>,
    /// Task definitions by name, for tasks to refer to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub definitions: BTreeMap<String, Definition>,
    /// Tasks that run (with `on`) or wait (without).
    #[serde(default, skip_serializing_if = "is_default")]
    pub tasks: Vec<Task>,
    /// Disruption budgets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budgets: Vec<Budget>,
    /// The task or tasks that a place is sought for, after all others. As a trace, they arrive last of their moment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub place: OneOrMany<Task>,
}

/// A node, or several alike.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique in the cluster. It is the value of the attribute `node`.
    pub name: String,
    /// Availability zone, the value of the attribute `zone`. Without one it is in no zone (`-`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub zone: Option<String>,
    /// Cpu in thousandths of a core.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_milli: Option<Decimal>,
    /// Cpu in cores.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_cores: Option<Decimal>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_bytes: Option<Decimal>,
    /// Memory in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_mib: Option<Decimal>,
    /// Memory in GiB (2^30 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_gib: Option<Decimal>,
    /// Disk in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_bytes: Option<Decimal>,
    /// Disk in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_mib: Option<Decimal>,
    /// Disk in GiB (2^30 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_gib: Option<Decimal>,
    /// The model of each GPU device, at most 64.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gpus: Vec<String>,
    /// Attributes: labels, and further failure domains such as `rack`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Marks that keep tasks away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub taints: Vec<TextOr<Taint>>,
    /// Images that are there already.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: Vec<Image>,
    /// Host ports that tasks may not take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reserved_ports: Vec<Port>,
    /// Place in an order that breaks ties, lowest first; without one, its place in the file.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rank: Option<u32>,
    /// Whether it takes tasks. A node that drains keeps what it runs and takes nothing new.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: Status,
    /// That many nodes alike (1 to 1000000), named `name-0`, `name-1`, ….
    #[serde(default, skip_serializing_if = "is_default")]
    pub count: Option<u32>,
    /// Tasks that run on it; on each of them if `count` says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tasks: Vec<Task>,
}

/// Whether a node takes tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It takes tasks.
    #[default]
    Ready,
    /// It keeps what it runs and takes nothing new.
    Draining,
    /// It is out of reach and runs nothing.
    Lost,
}

/// A taint; as a text, `KEY=VALUE:EFFECT` or `KEY:EFFECT`.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub value: String,
    /// What it does to tasks that do not tolerate it.
    pub effect: Effect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
pub enum Effect {
    /// None is placed there.
    #[default]
    NoSchedule,
    /// Rather not: for policies whose system knows it.
    PreferNoSchedule,
    /// None is placed there; nothing that runs is thrown out, since taints do not change.
    NoExecute,
}

/// A toleration; as a text, `KEY`, `KEY=VALUE`, either with `:EFFECT` behind it, or `*` for every key.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toleration {
    /// Taints of this key; of every key without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: Option<String>,
    /// With this value; with any without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub value: Option<String>,
    /// Of this effect; of every effect without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub effect: Option<Effect>,
}

/// An image on a node.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// All its names, tags and digests.
    pub names: Vec<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size_bytes: Option<Decimal>,
    /// Its size in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub size_mib: Option<Decimal>,
}

/// What a task consists of, and what it asks of its place.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Where its labels are known. Empty is the default one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
    /// What rules and budgets find its tasks by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Its containers, at least one. All of them run on one node.
    pub containers: Vec<Container>,
    /// Tests of attributes of the node that must all pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requires: Vec<TextOr<Test>>,
    /// Lists of tests of attributes of the node, of which one must pass as a whole.
    #[serde(default, skip_serializing_if = "is_default")]
    pub any_of: Vec<Vec<TextOr<Test>>>,
    /// Taints that it does not mind.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerations: Vec<TextOr<Toleration>>,
    /// Nodes it would rather be on: for policies whose system knows preferences.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefers: Vec<Preference>,
    /// Tasks it is to be near to or apart from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub affinity: Vec<Affinity>,
    /// Domains it is to be spread over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spread: Vec<Spread>,
    /// Domains it is not to crowd.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Vec<Limit>,
}

/// A container: what it adds to what its task asks for.
///
/// `…_limit_…` is the hard limit (`limits` of Kubernetes, `memory` of ECS); without it, there is none. What is asked for
/// (`requests`, `memoryReservation`) is the limit where nothing else is said, and placing goes by it alone. An amount
/// of 0 asks for nothing in so many words; one that is not there says nothing, which some policies take for a little.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Unique in its definition. The only container may do without; it is called as its definition then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Its image, with tag or digest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image: String,
    /// Cpu asked for, in thousandths of a core.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_milli: Option<Decimal>,
    /// Cpu asked for, in cores.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_cores: Option<Decimal>,
    /// Memory asked for, in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_bytes: Option<Decimal>,
    /// Memory asked for, in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_mib: Option<Decimal>,
    /// Memory asked for, in GiB (2^30 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_gib: Option<Decimal>,
    /// Disk asked for, in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_bytes: Option<Decimal>,
    /// Disk asked for, in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_mib: Option<Decimal>,
    /// Disk asked for, in GiB (2^30 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk_gib: Option<Decimal>,
    /// Hard limit of cpu, in thousandths of a core.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_limit_milli: Option<Decimal>,
    /// Hard limit of cpu, in cores.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpu_limit_cores: Option<Decimal>,
    /// Hard limit of memory, in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_limit_bytes: Option<Decimal>,
    /// Hard limit of memory, in MiB (2^20 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_limit_mib: Option<Decimal>,
    /// Hard limit of memory, in GiB (2^30 bytes).
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_limit_gib: Option<Decimal>,
    /// Number of GPU devices, at most 64.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gpus: Option<u16>,
    /// Share of each device in thousandths, 0 to 1000; 1000 without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gpu_milli: Option<u32>,
    /// Models that will do; any if none is listed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gpu_models: Vec<String>,
    /// Fixed ports on the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ports: Vec<Port>,
}

/// A test of an attribute of a node or of a label of a task. Beside its name stands exactly one of the others.
///
/// As a text: `ssd`, `!ssd`, `rack=a|b`, `rack!=a|b`, `cores>4`, `cores<4`, `type~t2\..*`.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The attribute of the node (`node` is its name, `zone` its zone), or the label of the task.
    pub attribute: String,
    /// It is one of these.
    #[serde(rename = "in", default, skip_serializing_if = "is_default")]
    pub is_in: Option<Vec<String>>,
    /// It is none of these, or is not there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_in: Option<Vec<String>>,
    /// `true`: there is one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exists: Option<bool>,
    /// `true`: there is none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub absent: Option<bool>,
    /// It is a whole number above this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub above: Option<i64>,
    /// It is a whole number below this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub below: Option<i64>,
    /// All of it matches this regular expression.
    #[serde(default, skip_serializing_if = "is_default")]
    pub matches: Option<String>,
}

/// A preference for nodes.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// What it adds on nodes that pass: 1 to 100.
    pub weight: i32,
    /// Tests of attributes that must all pass.
    pub all: Vec<TextOr<Test>>,
}

/// To be in the same domain as other tasks, or in another.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Affinity {
    /// Whether to be where some of them are, or where none is.
    pub side: Side,
    /// The attribute whose values are domains: `node`, `zone`, `rack`, ….
    pub domain: String,
    /// Which tasks.
    pub who: Who,
    /// 1 to 100: what it adds where it is kept. Without one it is hard, and every policy keeps it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Option<i32>,
}

/// Whether tasks are to be together or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where some of them are.
    #[default]
    Near,
    /// Where none of them is.
    Apart,
}

/// The numbers of tasks per domain differ by no more than `skew_max`.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The attribute whose values are domains.
    pub domain: String,
    /// Which tasks are counted.
    pub who: Who,
    /// How far a domain may be above the emptiest, at least 1; 1 without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skew_max: Option<u32>,
    /// With fewer domains than this, the emptiest counts as having none; 1 without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub domains_min: Option<u32>,
    /// Whether every policy keeps it (so without a word), or it only scores.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hard: Option<bool>,
}

/// At most so many tasks in one domain, the task itself included.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The attribute whose values are domains.
    pub domain: String,
    /// At least 1.
    pub max: u32,
    /// Which tasks are counted.
    pub who: Who,
}

/// Which other tasks a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Who {
    /// `"group"`: those of the task's own group.
    Word(GroupWord),
    /// Those in the task's own namespace whose labels pass all of these tests; all of them if none is listed.
    Labels(Vec<TextOr<Test>>),
    /// Those in the listed namespaces.
    Selector(Selector),
}

impl Default for Who {
    fn default() -> Self {
        Self::Labels(Vec::new())
    }
}

/// The word that stands for the tasks of the task's own group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupWord {
    /// Those of the task's own group.
    Group,
}

/// Tasks by their labels, in namespaces.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Tests of labels that must all pass; none selects every task.
    #[serde(default)]
    pub labels: Vec<TextOr<Test>>,
    /// In these namespaces; in the task's own if none is listed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespaces: Vec<String>,
}

/// A task, or several alike.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Unique among tasks; without one, where it stands in the file, such as `tasks[3]`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// What it consists of: the name of a definition, or a definition.
    pub definition: TextOr<Definition>,
    /// What it is counted together with; no group without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<String>,
    /// Whether its group ends or is kept alive; `job` without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// Higher is more important; 0 without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// The node it runs on from the beginning. It is booked there whether or not it fits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: Option<String>,
    /// That many tasks alike (1 to 10000000), named `name/0`, `name/1`, ….
    #[serde(default, skip_serializing_if = "is_default")]
    pub count: Option<u32>,
    /// When it arrives, in seconds from the beginning; 0 without one. Not for tasks that run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub arrival_s: Option<Decimal>,
    /// How long it runs, in seconds; without one, until it is withdrawn or the run ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub duration_s: Option<Decimal>,
    /// How long its user says that it runs, in seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub estimate_s: Option<Decimal>,
    /// When its user takes it back, in seconds from the beginning; never without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub withdrawn_s: Option<Decimal>,
    /// What becomes of it when its node is lost; `restart` without one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_loss: OnLoss,
}

/// Whether a task's group ends or is kept alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs to its end.
    #[default]
    Job,
    /// Runs until it is told to stop.
    Service,
}

/// What becomes of a task whose node is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLoss {
    /// Back to the queue.
    #[default]
    Restart,
    /// It ends with its node.
    End,
}

/// How many tasks may be away at a time by somebody's will. Exactly one of the bounds is given.
#[derive(Debug, Clone, Default, PartialEq, DeriveDeserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Unique among budgets.
    pub name: String,
    /// The namespace of its tasks. Empty is the default one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Tests of labels that its tasks pass; none selects all of the namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Vec<TextOr<Test>>,
    /// At least so many tasks stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub available_min: Option<u32>,
    /// At most so many tasks are away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unavailable_max: Option<u32>,
}

/// A number of at least 0, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(pub String);

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse() {
            Ok(number) => serializer.serialize_u64(number),
            Err(_) => serializer.serialize_f64(self.0.parse().unwrap_or_default()),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of at least 0, without quotes")
            }
            // The reader of this crate hands numbers on as they are written.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                Ok(Decimal(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }
        }
        deserializer.deserialize_newtype_struct("Decimal", Written)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

/// A host port: a number (TCP), or a text such as `80/tcp` or `53/udp`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// A TCP port.
    Number(u16),
    /// Number and protocol.
    Text(String),
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Port;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535, or a text such as \"53/udp\"")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
                let wrong = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
                u16::try_from(number).map(Port::Number).map_err(wrong)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
                Ok(Port::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Something in short as a text, or in full.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TextOr<T> {
    /// In short.
    Text(String),
    /// In full.
    Full(T),
}

impl<T> Default for TextOr<T> {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or an object in braces")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Full)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Who;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"group\", a list of tests of labels, or {labels, namespaces}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Who, E> {
                match text {
                    "group" => Ok(Who::Word(GroupWord::Group)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Who, A::Error> {
                let mut tests = Vec::new();
                while let Some(test) = list.next_element()? {
                    tests.push(test);
                }
                Ok(Who::Labels(tests))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Who, A::Error> {
                Selector::deserialize(MapAccessDeserializer::new(map)).map(Who::Selector)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One, or a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Several, or none.
    Many(Vec<T>),
    /// One.
    One(Box<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object in braces, or a list of them")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany::Many(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
                    .map(|it| OneOrMany::One(Box::new(it)))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
