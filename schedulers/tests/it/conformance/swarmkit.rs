//! Cases of `swarmkit`. Maps are walked as Go walks small ones: in the order in which they were filled (nodes by
//! id), from a random place on and around. For many seeds the outcome must be one of those listed.

use cluster::chance::{Chance, Purpose};
use schedulers::swarmkit::constraint::{read, read_address};
use schedulers::swarmkit::explain::{Explanation, equally_good, survey};
use schedulers::swarmkit::failures::Failures;
use schedulers::swarmkit::group::schedule;
use schedulers::swarmkit::model::{
    Availability, HostPort, Node, Platform, Protocol, Resources, Role, Service, Spec, Spread, State,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    policy: Policy,
    cluster: Cluster,
    task: Task,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    stage: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    nodes: Vec<Machine>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Machine {
    id: String,
    state: Word<State>,
    availability: Word<Availability>,
    labels: BTreeMap<String, String>,
    engine_labels: BTreeMap<String, String>,
    hostname: String,
    addr: String,
    role: Word<Role>,
    os: String,
    arch: String,
    nano_cpus: i64,
    memory_bytes: i64,
    generic: BTreeMap<String, i64>,
    recent_failures: BTreeMap<String, u32>,
    tasks: Vec<Resident>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resident {
    service: String,
    #[serde(default = "one")]
    count: usize,
    #[serde(default)]
    state: Word<IsActive>,
    #[serde(default)]
    nano_cpus: i64,
    #[serde(default)]
    memory_bytes: i64,
    #[serde(default)]
    generic: BTreeMap<String, i64>,
    #[serde(default)]
    host_ports: Vec<Port>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    service: String,
    replicas: usize,
    grouped: bool,
    #[serde(default)]
    constraints: Vec<String>,
    #[serde(default)]
    platforms: Vec<Runs>,
    #[serde(default)]
    spread: Vec<String>,
    #[serde(default)]
    reserve_nano_cpus: i64,
    #[serde(default)]
    reserve_memory_bytes: i64,
    #[serde(default)]
    reserve_generic: BTreeMap<String, i64>,
    #[serde(default)]
    host_ports: Vec<Port>,
    #[serde(default)]
    max_replicas_per_node: u64,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Runs {
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    port: u16,
    #[serde(default)]
    protocol: Word<Protocol>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
enum Expect {
    CountsAnyOf {
        outcomes: Vec<Outcome>,
        #[serde(default, rename = "from")]
        _from: Value,
        #[serde(default, rename = "note")]
        _note: Value,
    },
    Unschedulable {
        reason: Option<String>,
    },
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Outcome {
    counts: BTreeMap<String, usize>,
    unassigned: usize,
}

/// A word of the files, as what it stands for.
#[derive(Default, Clone, Copy)]
struct Word<T>(T);

#[derive(Clone, Copy)]
struct IsActive(bool);

impl Default for IsActive {
    fn default() -> Self {
        Self(true)
    }
}

trait Words: Copy + 'static {
    const WORDS: &[(&str, Self)];
}

impl Words for State {
    const WORDS: &[(&str, Self)] =
        &[("ready", Self::Ready), ("down", Self::Down), ("unknown", Self::Unknown)];
}

impl Words for Availability {
    const WORDS: &[(&str, Self)] =
        &[("active", Self::Active), ("pause", Self::Pause), ("drain", Self::Drain)];
}

impl Words for Role {
    const WORDS: &[(&str, Self)] = &[("worker", Self::Worker), ("manager", Self::Manager)];
}

impl Words for Protocol {
    const WORDS: &[(&str, Self)] = &[("tcp", Self::Tcp), ("udp", Self::Udp), ("sctp", Self::Sctp)];
}

impl Words for IsActive {
    const WORDS: &[(&str, Self)] = &[("running", Self(true)), ("shutting_down", Self(false))];
}

impl<'de, T: Words> Deserialize<'de> for Word<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let found = T::WORDS.iter().find(|it| it.0.eq_ignore_ascii_case(&word));
        let unknown = || serde::de::Error::custom(format!("unknown word {word:?}"));
        found.map(|it| Self(it.1)).ok_or_else(unknown)
    }
}

fn one() -> usize {
    1
}

/// Numbers for the names of services.
#[derive(Default)]
struct Services(BTreeMap<String, u32>);

impl Services {
    fn of(&mut self, name: &str) -> Service {
        let next = self.0.len() as u32;
        Service(*self.0.entry(name.to_owned()).or_insert(next))
    }
}

fn ports(list: &[Port]) -> Vec<HostPort> {
    list.iter().map(|it| HostPort { protocol: it.protocol.0, port: it.port }).collect()
}

const VERSION: u64 = 1;

impl Machine {
    fn node(self, services: &mut Services, version: u64) -> Node {
        let is_known = !(self.os.is_empty() && self.arch.is_empty());
        let mut failures = Failures::default();
        for (service, count) in &self.recent_failures {
            (0..*count).for_each(|_| failures.record(services.of(service), version, 0));
        }
        let mut node = Node {
            id: self.id,
            hostname: self.hostname,
            address: read_address(&self.addr),
            role: self.role.0,
            state: self.state.0,
            availability: self.availability.0,
            labels: self.labels,
            engine_labels: self.engine_labels,
            platform: is_known.then_some(Platform { os: self.os, arch: self.arch }),
            available: Resources {
                nano_cpus: self.nano_cpus,
                memory_bytes: self.memory_bytes,
                generic: self.generic,
            },
            failures,
            ..Node::default()
        };
        for task in &self.tasks {
            let spec = Spec {
                service: services.of(&task.service),
                reservations: Resources {
                    nano_cpus: task.nano_cpus,
                    memory_bytes: task.memory_bytes,
                    generic: task.generic.clone(),
                },
                host_ports: ports(&task.host_ports),
                ..Spec::default()
            };
            (0..task.count).for_each(|_| node.add(&spec, task.state.0.0));
        }
        node
    }
}

impl Task {
    fn spec(&self, services: &mut Services, version: u64) -> Spec {
        let platform = |it: &Runs| Platform { os: it.os.clone(), arch: it.arch.clone() };
        Spec {
            service: services.of(&self.service),
            version,
            reservations: Resources {
                nano_cpus: self.reserve_nano_cpus,
                memory_bytes: self.reserve_memory_bytes,
                generic: self.reserve_generic.clone(),
            },
            // A list that cannot be read counts as none.
            constraints: read(&self.constraints).unwrap_or_default(),
            platforms: self.platforms.iter().map(platform).collect(),
            host_ports: ports(&self.host_ports),
            max_replicas: self.max_replicas_per_node,
            spread: self.spread.iter().filter_map(|it| Spread::read(it)).collect(),
            ..Spec::default()
        }
    }
}

/// Seeds tried for every case.
const SEEDS: u64 = 200;

/// Runs the case, and what it says when a task finds no place.
fn outcome(
    nodes: &[Node],
    spec: &Spec,
    task: &Task,
    chance: &mut Chance,
) -> Result<(Outcome, Option<String>), String> {
    let mut nodes = nodes.to_vec();
    let mut order = |it: &mut [usize]| {
        if !it.is_empty() {
            it.rotate_left(chance.below(it.len() as u64) as usize);
        }
    };
    let (groups, size) = if task.grouped { (1, task.replicas) } else { (task.replicas, 1) };
    let mut counts = BTreeMap::new();
    let (mut left, mut reason) = (task.replicas, None);
    for _ in 0..groups {
        let good = equally_good(&survey(&nodes, spec, 0), spec.spread.len());
        let mut explanation = Explanation::default();
        let placed = schedule(&mut nodes, spec, size, 0, &mut order, &mut explanation);
        if size == 1 && placed.nodes.iter().any(|it| !good.contains(it)) {
            return Err(format!("{:?} is not among the equally good {good:?}", placed.nodes));
        }
        left -= placed.nodes.len();
        for row in placed.nodes {
            *counts.entry(nodes[row].id.clone()).or_default() += 1;
        }
        reason = placed.refusal.map(|it| it.to_string()).or(reason);
    }
    Ok((Outcome { counts, unassigned: left }, reason))
}

pub(super) fn run(case: &Value) -> Result<(), String> {
    let case: Case = serde_json::from_value(case.clone()).map_err(|it| it.to_string())?;
    if case.policy.stage != "schedule_group" {
        return Err(format!("unknown stage {:?}", case.policy.stage));
    }
    let mut services = Services::default();
    let version = if case.task.grouped { VERSION } else { 0 };
    let spec = case.task.spec(&mut services, version);
    let machines = case.cluster.nodes.into_iter();
    let mut nodes: Vec<Node> = machines.map(|it| it.node(&mut services, version)).collect();
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    for seed in 0..SEEDS {
        let mut chance = Chance::new(seed, Purpose::Scheduler, 0);
        let (got, reason) = outcome(&nodes, &spec, &case.task, &mut chance)?;
        match &case.expect {
            Expect::CountsAnyOf { outcomes, .. } if !outcomes.contains(&got) => {
                return Err(format!("seed {seed}: {got:?}"));
            }
            Expect::Unschedulable { .. } if got.unassigned != case.task.replicas => {
                return Err(format!("placed {got:?}"));
            }
            Expect::Unschedulable { reason: Some(want) } if reason.as_ref() != Some(want) => {
                return Err(format!("says {reason:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}
