//! Cases of Amazon ECS.
//!
//! Where several instances are equally good, `instance_any_of` must list exactly those that our decision calls
//! equal, and a sequence follows the instances that the case names. Errors are compared by class where the
//! case's text names one of ours, else by their being one.

use super::Verdict;
use schedulers::ecs::call::{self, Unplaced};
use schedulers::ecs::cgroup;
use schedulers::ecs::constraint::{self, Constraint, Origin};
use schedulers::ecs::group;
use schedulers::ecs::host::{self, Host, HostNeeds};
use schedulers::ecs::instance::{Amounts, Instance, Needs, Ports, Status, ZONE};
use schedulers::ecs::memory::{ContainerMemory, Docker};
use schedulers::ecs::place::{self, Request};
use schedulers::ecs::query::Expression;
use schedulers::ecs::query::moment::Moment;
use schedulers::ecs::query::version::Version;
use schedulers::ecs::register;
use schedulers::ecs::size;
use schedulers::ecs::strategy::{self, Strategy};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields of every case; what is in the four parts depends on the kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read so that unknown fields are seen")]
struct Case {
    id: String,
    kind: String,
    title: Option<String>,
    #[serde(default)]
    given: Value,
    #[serde(default)]
    request: Value,
    #[serde(default)]
    events: Value,
    expect: Value,
    source: Value,
}

pub(super) fn run(file: &Value, case: &Value) -> Result<Verdict, String> {
    let case: Case = read(case)?;
    if !case.events.is_null() {
        return Err("events are not known here".to_owned());
    }
    let done = match case.kind.as_str() {
        "place" => run_place(&case),
        "query" => run_query(file, &case),
        "constraint_validate" => run_constraint(&case),
        "failure" => {
            let action = case.request["action"].as_str().unwrap_or("?");
            if !["RunTask", "StartTask"].contains(&action) {
                return Ok(Verdict::Later(format!("failure {action}")));
            }
            run_failure(&case)
        }
        "task_resources" => run_task_resources(&case),
        "host_consume" => run_host_consume(&case),
        "register" => run_register(&case),
        "size_string" => run_size_string(&case),
        "cpu_shares" => run_cpu_shares(&case),
        "cfs_quota" => run_cfs_quota(&case),
        "mem_validate" => run_mem_validate(&case),
        other => Err(format!("unknown kind {other:?}")),
    };
    done.map(|()| Verdict::Pass)
}

/// Reads a part of a case; what is not there is an empty object.
fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let empty = Value::Object(serde_json::Map::new());
    let value = if value.is_null() { &empty } else { value };
    T::deserialize(value).map_err(|it| it.to_string())
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: Option<T>) -> Result<(), String> {
    match want {
        Some(want) if got != want => Err(format!("{what} is {got:?}, not {want:?}")),
        _ => Ok(()),
    }
}

/// Classes of errors that cases name.
const CLASSES: &[&str] = &[
    "invalid expression",
    "invalid parameter",
    "negative memory",
    "InvalidParameterException",
    "LimitExceededException",
];

/// Whether there should be an error, and its class.
fn same_error<E: std::fmt::Display>(
    class: &str,
    error: Option<&E>,
    want: &Value,
) -> Result<(), String> {
    let is_wanted = !matches!(want, Value::Null | Value::Bool(false));
    match (error, want.as_str()) {
        (None, _) if is_wanted => Err(format!("no error, but {want}")),
        (Some(error), _) if !is_wanted => Err(format!("an error: {error}")),
        (Some(error), Some(text)) if CLASSES.contains(&text) && text != class => {
            Err(format!("the error is {class:?} ({error}), not {want}"))
        }
        _ => Ok(()),
    }
}

/// No empty parts where a kind has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A number of devices, or their names.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Gpus {
    Count(u64),
    Names(Vec<String>),
}

impl Gpus {
    fn count(this: Option<&Self>) -> u64 {
        match this {
            None => 0,
            Some(Self::Count(count)) => *count,
            Some(Self::Names(names)) => names.len() as u64,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct InstanceCase {
    id: String,
    az: Option<String>,
    cpu: Option<u64>,
    mem: Option<u64>,
    #[serde(alias = "gpu")]
    gpus: Option<Gpus>,
    #[serde(default)]
    attributes: BTreeMap<String, Option<String>>,
    status: Option<String>,
    agent_connected: Option<bool>,
    agent_version: Option<String>,
    registered_at: Option<String>,
    ec2_instance_id: Option<String>,
    #[serde(rename = "reserved_tcp", default)]
    reserved_tcp: BTreeSet<u16>,
    #[serde(rename = "reserved_udp", default)]
    reserved_udp: BTreeSet<u16>,
    #[serde(rename = "eni_max")]
    eni_max: Option<u32>,
    #[serde(rename = "eni_used")]
    eni_used: Option<u32>,
    /// In queries, a group for each task.
    #[serde(default)]
    task_groups: Vec<String>,
}

impl InstanceCase {
    fn build(self) -> Result<Instance, String> {
        let mut attributes: BTreeMap<String, String> = BTreeMap::new();
        attributes.extend(self.az.map(|it| (ZONE.to_owned(), it)));
        let named = self.attributes.into_iter();
        attributes.extend(named.map(|(name, value)| (name, value.unwrap_or_default())));
        let status = match self.status.as_deref() {
            None | Some("ACTIVE") => Status::Active,
            Some("REGISTERING") => Status::Registering,
            Some("REGISTRATION_FAILED") => Status::RegistrationFailed,
            Some("DRAINING") => Status::Draining,
            Some("DEREGISTERING") => Status::Deregistering,
            Some("INACTIVE") => Status::Inactive,
            Some(other) => return Err(format!("unknown status {other:?}")),
        };
        let version = |it: String| Version::read(&it).ok_or(format!("no version: {it:?}"));
        let moment = |it: String| Moment::read(&it).ok_or(format!("no date: {it:?}"));
        let mut instance = Instance {
            id: self.id,
            ec2_id: self.ec2_instance_id,
            status,
            is_connected: self.agent_connected.unwrap_or(true),
            agent_version: self.agent_version.map(version).transpose()?,
            registered_at: self.registered_at.map(moment).transpose()?,
            attributes,
            total: Amounts {
                cpu_units: self.cpu.unwrap_or(0),
                memory_mib: self.mem.unwrap_or(0),
                gpus: Gpus::count(self.gpus.as_ref()),
            },
            ports: Ports { tcp: self.reserved_tcp, udp: self.reserved_udp },
            interfaces_max: self.eni_max,
            interfaces: self.eni_used.unwrap_or(1),
            ..Instance::default()
        };
        for group in self.task_groups {
            instance.take(&group, &Needs::default());
        }
        Ok(instance)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RequiredCase {
    Name(String),
    Pair { name: String, value: Option<String> },
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NeedsCase {
    cpu: Option<u64>,
    mem: Option<u64>,
    #[serde(alias = "gpus")]
    gpu: Option<Gpus>,
    #[serde(default)]
    tcp: BTreeSet<u16>,
    #[serde(default)]
    udp: BTreeSet<u16>,
    /// Ports that the host chooses: nothing is taken for them.
    #[serde(rename = "tcp_dynamic", default)]
    _tcp_dynamic: Value,
    #[serde(rename = "udp_dynamic", default)]
    _udp_dynamic: Value,
    network_mode: Option<String>,
    #[serde(default, alias = "requires_attributes", alias = "attributes")]
    requires_attributes: Vec<RequiredCase>,
    #[serde(rename = "subnet_azs")]
    subnet_azs: Option<Vec<String>>,
    /// Constraints of the definition.
    #[serde(default, alias = "placementConstraints")]
    constraints: Vec<ConstraintCase>,
}

impl NeedsCase {
    fn needs(&self) -> Needs {
        let has_interface = self.network_mode.as_deref() == Some("awsvpc");
        let mut ports = Ports { tcp: self.tcp.clone(), udp: self.udp.clone() };
        // Port 0 is one that the host chooses.
        ports.tcp.remove(&0);
        ports.udp.remove(&0);
        Needs {
            amounts: Amounts {
                cpu_units: self.cpu.unwrap_or(0),
                memory_mib: self.mem.unwrap_or(0),
                gpus: Gpus::count(self.gpu.as_ref()),
            },
            ports: if has_interface { Ports::default() } else { ports },
            has_interface,
        }
    }

    fn request(&self, group: String) -> Result<Request, String> {
        let required = self.requires_attributes.iter().map(|it| match it {
            RequiredCase::Name(name) => (name.clone(), None),
            RequiredCase::Pair { name, value } => (name.clone(), value.clone()),
        });
        Ok(Request {
            group,
            needs: self.needs(),
            required: required.collect(),
            zones: self.subnet_azs.clone(),
            ..Request::default()
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RunningCase {
    #[serde(rename = "id")]
    _id: Option<String>,
    instance: String,
    group: Option<String>,
    #[serde(alias = "lastStatus")]
    status: Option<String>,
    desired_status: Option<String>,
    cpu: Option<u64>,
    mem: Option<u64>,
    #[serde(alias = "gpus")]
    gpu: Option<Gpus>,
    #[serde(default)]
    tcp: BTreeSet<u16>,
    #[serde(default)]
    udp: BTreeSet<u16>,
    network_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterCase {
    #[serde(default)]
    instances: Vec<InstanceCase>,
    #[serde(default)]
    tasks: Vec<RunningCase>,
}

impl ClusterCase {
    fn build(self) -> Result<Vec<Instance>, String> {
        // Interfaces that are given as used are those of the tasks, too.
        let counts_interfaces: Vec<bool> =
            self.instances.iter().map(|it| it.eni_used.is_none()).collect();
        let built: Result<Vec<_>, _> =
            self.instances.into_iter().map(InstanceCase::build).collect();
        let mut instances = built?;
        for task in self.tasks {
            // A task counts until it is told to stop.
            let last_wish = task.desired_status.as_deref().or(task.status.as_deref());
            if last_wish == Some("STOPPED") {
                continue;
            }
            let row = instances.iter().position(|it| it.id == task.instance);
            let row = row.ok_or_else(|| format!("a task on unknown {:?}", task.instance))?;
            let needs = NeedsCase {
                cpu: task.cpu,
                mem: task.mem,
                gpu: task.gpu,
                tcp: task.tcp,
                udp: task.udp,
                network_mode: task.network_mode.filter(|_| counts_interfaces[row]),
                ..NeedsCase::default()
            };
            instances[row].take(task.group.as_deref().unwrap_or_default(), &needs.needs());
        }
        Ok(instances)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintCase {
    r#type: String,
    expression: Option<String>,
}

impl ConstraintCase {
    fn build(&self, origin: Origin) -> Result<Constraint, String> {
        Constraint::read(&self.r#type, self.expression.as_deref(), origin)
            .map_err(|it| it.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrategyCase {
    r#type: String,
    field: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceRequest {
    #[serde(default)]
    constraints: Vec<ConstraintCase>,
    count: Option<u32>,
    family: Option<String>,
    group: Option<String>,
    sequence_mem: Option<Vec<u64>>,
    #[serde(default)]
    strategy: Vec<StrategyCase>,
    task: NeedsCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceExpect {
    by_az: Option<BTreeMap<String, u64>>,
    by_instance_multiset: Option<Vec<u64>>,
    group: Option<String>,
    instance_any_of: Option<BTreeSet<String>>,
    new_by_instance: Option<BTreeMap<String, u64>>,
    placed: Option<usize>,
    reason: Option<String>,
    sequence_instances: Option<Vec<String>>,
    unplaced: Option<usize>,
}

fn run_place(case: &Case) -> Result<(), String> {
    let mut instances = read::<ClusterCase>(&case.given)?.build()?;
    let asked: PlaceRequest = read(&case.request)?;
    let want: PlaceExpect = read(&case.expect)?;
    let family = asked.family.as_deref().unwrap_or_default();
    let group = group::of_task(asked.group.as_deref(), family).ok_or("not a group")?;
    same("group", group.clone(), want.group)?;
    let read_all = |list: &[ConstraintCase], origin| -> Result<Vec<_>, String> {
        list.iter().map(|it| it.build(origin)).collect()
    };
    let chain: Result<Vec<_>, _> =
        asked.strategy.iter().map(|it| Strategy::read(&it.r#type, it.field.as_deref())).collect();
    let chain = chain.and_then(|it| strategy::chain(it, &group)).map_err(|it| it.to_string())?;
    let constraints = constraint::together(
        read_all(&asked.task.constraints, Origin::Definition)?,
        read_all(&asked.constraints, Origin::Request)?,
    );
    let mut request = Request {
        chain,
        constraints: constraints.map_err(|it| it.to_string())?,
        ..asked.task.request(group.clone())?
    };

    let by_az = |of: &[u64], instances: &[Instance]| {
        let mut zones = BTreeMap::<String, u64>::new();
        for (count, instance) in of.iter().zip(instances) {
            *zones.entry(instance.zone().unwrap_or_default().to_owned()).or_default() += count;
        }
        zones
    };
    let of_group = |instances: &[Instance]| -> Vec<u64> {
        instances.iter().map(|it| u64::from(it.of_group(&group))).collect()
    };
    let before = of_group(&instances);
    if let Some(any_of) = &want.instance_any_of {
        let equal = place::best(&instances, &request);
        let equal = equal.iter().map(|&it| instances[it].id.clone()).collect();
        same("equally good", &equal, Some(any_of))?;
    }
    let (mut placed, mut unplaced) = (0, 0);
    let named = want.sequence_instances.unwrap_or_default();
    let sizes = asked.sequence_mem.map_or_else(
        || vec![None; asked.count.unwrap_or(1) as usize],
        |it| it.into_iter().map(Some).collect(),
    );
    for (at, memory_mib) in sizes.iter().enumerate() {
        request.needs.amounts.memory_mib =
            memory_mib.or(asked.task.mem).unwrap_or(request.needs.amounts.memory_mib);
        let (equal, explanation) = place::explain(&instances, &request);
        if equal != place::best(&instances, &request) || equal != explanation.equal {
            return Err("explaining changes the decision".to_owned());
        }
        let wanted = named.get(at).map(|name| {
            let row = equal.iter().copied().find(|&it| instances[it].id == *name);
            row.ok_or_else(|| format!("step {at}: {name} is not among {equal:?}"))
        });
        let pick = wanted.transpose()?;
        match place::place(&mut instances, &request, 1, |it| pick.unwrap_or(it[0])).len() {
            0 => unplaced += 1,
            _ => placed += 1,
        }
    }
    same("placed", placed, want.placed)?;
    same("unplaced", unplaced, want.unplaced)?;
    let after = of_group(&instances);
    let new: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    if let Some(want) = want.new_by_instance {
        let ids = instances.iter().map(|it| it.id.clone());
        let got: BTreeMap<String, u64> = ids
            .zip(new.iter().copied())
            .filter(|it| it.1 > 0 || want.contains_key(&it.0))
            .collect();
        same("new by instance", got, Some(want))?;
    }
    // With tasks that ran before, the page leaves open whether these two count them: either will do.
    if let Some(mut want) = want.by_instance_multiset {
        want.sort_unstable();
        let sorted = |mut it: Vec<u64>| {
            it.sort_unstable();
            it
        };
        if sorted(after.clone()) != want && sorted(new.clone()) != want {
            return Err(format!("by instance {after:?}, new {new:?}, not {want:?}"));
        }
    }
    if let Some(want) = want.by_az {
        let fits = |counts: &[u64]| {
            let mut got = by_az(counts, &instances);
            got.retain(|zone, &mut count| count > 0 || want.contains_key(zone));
            got == want
        };
        if !fits(&after) && !fits(&new) {
            return Err(format!("by zone {:?}, not {want:?}", by_az(&after, &instances)));
        }
    }
    if let Some(want) = want.reason {
        let why = place::why_not(&instances, &request).ok_or("the task can be placed")?;
        same("reason", why.to_string(), Some(want))?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryGiven {
    cluster: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryRequest {
    expression: Option<String>,
    expression_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryExpect {
    #[serde(default)]
    error: Value,
    instances: Option<BTreeSet<String>>,
}

fn run_query(file: &Value, case: &Case) -> Result<(), String> {
    let given: QueryGiven = read(&case.given)?;
    let cluster = match given.cluster.as_str() {
        Some("fixture") => &file["fixture"],
        Some(other) => return Err(format!("unknown cluster {other:?}")),
        None => &given.cluster,
    };
    let instances: Vec<InstanceCase> = read(cluster)?;
    let instances: Result<Vec<_>, _> = instances.into_iter().map(InstanceCase::build).collect();
    let asked: QueryRequest = read(&case.request)?;
    let want: QueryExpect = read(&case.expect)?;
    let text = match (asked.expression, asked.expression_length) {
        (Some(text), None) => text,
        (None, Some(length)) => format!("{:length$}", "attribute:stack exists"),
        _ => return Err("either an expression or its length".to_owned()),
    };
    match Expression::read(&text) {
        Err(error) => same_error("invalid expression", Some(&error), &want.error),
        Ok(expression) => {
            same_error("", None::<&String>, &want.error)?;
            let instances = instances?;
            let selected = instances.iter().filter(|it| expression.selects(it));
            same("instances", selected.map(|it| it.id.clone()).collect(), want.instances)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintRequest {
    constraint: ConstraintCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorExpect {
    #[serde(default)]
    error: Value,
}

fn run_constraint(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.given)?;
    let asked: ConstraintRequest = read(&case.request)?;
    let want: ErrorExpect = read(&case.expect)?;
    let got = asked.constraint.build(Origin::Request);
    same_error("invalid parameter", got.err().as_ref(), &want.error)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureRequest {
    action: String,
    capacity_provider: Option<ProviderCase>,
    count: Option<u32>,
    instances: Option<Vec<String>>,
    task: NeedsCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderCase {
    #[serde(default)]
    managed_scaling: bool,
    /// A task that is too large for it waits all the same.
    #[serde(rename = "instance_type", default)]
    _instance_type: Value,
}

#[derive(Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct FailureExpectLine {
    arn: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FailureExpect {
    #[serde(default)]
    error: Value,
    failures: Option<BTreeSet<FailureExpectLine>>,
    last_status: Option<String>,
    tasks: Option<usize>,
}

fn run_failure(case: &Case) -> Result<(), String> {
    let mut instances = read::<ClusterCase>(&case.given)?.build()?;
    let asked: FailureRequest = read(&case.request)?;
    let want: FailureExpect = read(&case.expect)?;
    let mut request = asked.task.request("family:task".to_owned())?;
    let constraints: Result<Vec<_>, _> =
        asked.task.constraints.iter().map(|it| it.build(Origin::Definition)).collect();
    request.constraints = constraints?;
    let answer = if asked.action == "RunTask" {
        let waits = asked.capacity_provider.is_some_and(|it| it.managed_scaling);
        let unplaced = if waits { Unplaced::Wait { waiting: 0 } } else { Unplaced::Fail };
        let count = asked.count.unwrap_or(1);
        call::run_task(&mut instances, &request, count, unplaced, |it| it[0])
    } else {
        let names = asked.instances.unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        call::start_task(&mut instances, &request, &names)
    };
    let answer = match answer {
        Err(error) => return same_error(error.exception(), Some(&error), &want.error),
        Ok(answer) => answer,
    };
    same_error("", None::<&String>, &want.error)?;
    same("tasks", answer.task_count(), want.tasks)?;
    // Whether each unplaced copy repeats its failures is not known, so they are compared as a set.
    let failures = answer
        .failures
        .iter()
        .map(|it| FailureExpectLine { arn: it.instance.clone(), reason: it.reason.to_string() });
    same("failures", failures.collect(), want.failures)?;
    let status = if answer.provisioning > 0 { "PROVISIONING" } else { "PENDING" };
    same("last status", status.to_owned(), want.last_status)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskResourcesGiven {
    task: TaskCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskCase {
    cpu_vcpu: Option<f64>,
    memory: Option<u64>,
    #[serde(rename = "networkMode", alias = "network_mode")]
    network_mode: Option<String>,
    containers: Vec<ContainerCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ContainerCase {
    cpu: Option<u64>,
    memory: Option<u64>,
    memory_reservation: Option<u64>,
    #[serde(default)]
    gpus: Vec<String>,
    #[serde(default, alias = "portMappings")]
    ports: Vec<PortCase>,
    #[serde(default)]
    tcp: Vec<u16>,
    #[serde(default)]
    udp: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PortCase {
    #[serde(alias = "host", alias = "host_port")]
    host_port: Option<u16>,
    #[serde(rename = "containerPort", alias = "container", alias = "container_port")]
    _container_port: Option<u16>,
    /// A range has ports that the host chooses.
    #[serde(rename = "containerPortRange")]
    _container_port_range: Option<String>,
    protocol: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourcesExpect {
    cpu: Option<u64>,
    mem: Option<u64>,
    tcp: Option<BTreeSet<u16>>,
    udp: Option<BTreeSet<u16>>,
    gpus: Option<BTreeSet<String>>,
}

impl ResourcesExpect {
    fn check(self, got: &HostNeeds) -> Result<(), String> {
        same("cpu", got.cpu_units, self.cpu)?;
        same("mem", got.memory_mib, self.mem)?;
        same("tcp", &got.ports.tcp, self.tcp.as_ref())?;
        same("udp", &got.ports.udp, self.udp.as_ref())?;
        same("gpus", &got.gpus, self.gpus.as_ref())
    }
}

fn run_task_resources(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: TaskResourcesGiven = read(&case.given)?;
    let want: ResourcesExpect = read(&case.expect)?;
    let mut containers = Vec::new();
    for it in given.task.containers {
        let mut ports: Vec<(u16, bool)> = Vec::new();
        for port in &it.ports {
            let is_udp = match port.protocol.as_deref() {
                None | Some("tcp") => false,
                Some("udp") => true,
                Some(other) => return Err(format!("unknown protocol {other:?}")),
            };
            ports.push((port.host_port.unwrap_or(0), is_udp));
        }
        ports.extend(it.tcp.iter().map(|&port| (port, false)));
        ports.extend(it.udp.iter().map(|&port| (port, true)));
        containers.push(host::Container {
            cpu_units: it.cpu.unwrap_or(0),
            limit_mib: it.memory.unwrap_or(0),
            reservation_mib: it.memory_reservation.unwrap_or(0),
            ports,
            gpus: it.gpus,
        });
    }
    let task = host::Task {
        cores: given.task.cpu_vcpu.unwrap_or(0.0),
        memory_mib: given.task.memory.unwrap_or(0),
        has_interface: given.task.network_mode.as_deref() == Some("awsvpc"),
        containers,
    };
    want.check(&task.host_needs())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostGiven {
    host: HostCase,
    task: HostTaskCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostCase {
    #[serde(default)]
    cpu: u64,
    #[serde(default)]
    mem: u64,
    #[serde(default)]
    tcp_reserved: BTreeSet<u16>,
    #[serde(default)]
    udp_reserved: BTreeSet<u16>,
    #[serde(default)]
    gpus: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTaskCase {
    #[serde(default)]
    cpu: u64,
    #[serde(default)]
    mem: u64,
    #[serde(default)]
    tcp: BTreeSet<u16>,
    #[serde(default)]
    udp: BTreeSet<u16>,
    #[serde(default)]
    gpus: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostExpect {
    after: Option<ResourcesExpect>,
    consumed: Option<bool>,
    #[serde(default)]
    error: Value,
    failed: Option<BTreeSet<String>>,
}

fn run_host_consume(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let HostGiven { host, task } = read(&case.given)?;
    let want: HostExpect = read(&case.expect)?;
    let reserved = Ports { tcp: host.tcp_reserved, udp: host.udp_reserved };
    let mut host = Host::new(host.cpu, host.mem, host.gpus, reserved);
    let needs = HostNeeds {
        cpu_units: task.cpu,
        memory_mib: task.mem,
        ports: Ports { tcp: task.tcp, udp: task.udp },
        gpus: task.gpus,
    };
    let got = host.take("task", &needs);
    same_error("unknown gpu", got.as_ref().err(), &want.error)?;
    let consumed = got.as_ref().is_ok_and(Vec::is_empty);
    same("consumed", consumed, want.consumed)?;
    let failed = got.unwrap_or_default().iter().map(|it| it.to_string()).collect();
    same("failed", failed, want.failed)?;
    want.after.map_or(Ok(()), |it| it.check(host.held()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterGiven {
    cores: Option<u64>,
    reserved_mib: Option<u64>,
    reserved_ports_config: Option<PortsConfig>,
    total_bytes: Option<u64>,
}

/// A list, or the text of one as an agent's environment has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum PortsConfig {
    List(BTreeSet<u16>),
    Text(String),
    Both {
        #[serde(default)]
        tcp: BTreeSet<u16>,
        #[serde(default)]
        udp: BTreeSet<u16>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterExpect {
    cpu: Option<u64>,
    #[serde(default)]
    error: Value,
    mem: Option<u64>,
    tcp: Option<BTreeSet<u16>>,
    udp: Option<BTreeSet<u16>>,
}

fn run_register(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: RegisterGiven = read(&case.given)?;
    let want: RegisterExpect = read(&case.expect)?;
    let mut ports = Ports::default();
    match given.reserved_ports_config {
        None => {}
        Some(PortsConfig::List(tcp)) => ports.tcp = tcp,
        Some(PortsConfig::Text(text)) => {
            ports.tcp = serde_json::from_str(&text).map_err(|it| it.to_string())?;
        }
        Some(PortsConfig::Both { tcp, udp }) => ports = Ports { tcp, udp },
    }
    let got = register::register(
        given.cores.unwrap_or(0),
        given.total_bytes.unwrap_or(0),
        given.reserved_mib.unwrap_or(0),
        &ports,
    );
    same_error("negative memory", got.as_ref().err(), &want.error)?;
    let Ok(got) = got else { return Ok(()) };
    same("cpu", got.cpu_units, want.cpu)?;
    same("mem", got.memory_mib, want.mem)?;
    same("tcp", got.ports.tcp, want.tcp)?;
    same("udp", got.ports.udp, want.udp)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeGiven {
    text: String,
}

fn run_size_string(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: SizeGiven = read(&case.given)?;
    // `null` stands for a text that is no size; a key that is absent asks for nothing.
    let want: BTreeMap<String, Option<u64>> = read(&case.expect)?;
    for (key, want) in want {
        let got = match key.as_str() {
            "cpu" => size::cpu_units(&given.text),
            "mem" => size::memory_mib(&given.text),
            other => return Err(format!("unknown field {other:?}")),
        };
        same(&key, got, Some(want))?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SharesGiven {
    cpu: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SharesExpect {
    #[serde(rename = "CpuShares")]
    shares: u64,
}

fn run_cpu_shares(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: SharesGiven = read(&case.given)?;
    let want: SharesExpect = read(&case.expect)?;
    same("shares", cgroup::container_shares(given.cpu), Some(want.shares))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaGiven {
    containers_cpu: Option<Vec<Option<u64>>>,
    period_us: Option<u64>,
    vcpu: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaExpect {
    quota_us: Option<u64>,
    shares: Option<u64>,
}

fn run_cfs_quota(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: QuotaGiven = read(&case.given)?;
    let want: QuotaExpect = read(&case.expect)?;
    // A quota if the task has an amount of its own, else shares: never both.
    let (quota, shares) = match given.vcpu.filter(|&it| it > 0.0) {
        Some(cores) => {
            (Some(cgroup::quota_us(cores, given.period_us.unwrap_or(cgroup::PERIOD_US))), None)
        }
        None => (None, Some(cgroup::task_shares(given.containers_cpu.unwrap_or_default()))),
    };
    same("quota", quota, Some(want.quota_us))?;
    same("shares", shares, Some(want.shares))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MemoryGiven {
    docker: Option<Value>,
    memory: Option<u64>,
    memory_reservation: Option<u64>,
    #[serde(rename = "task_memory")]
    task_memory: Option<u64>,
}

fn run_mem_validate(case: &Case) -> Result<(), String> {
    read::<Nothing>(&case.request)?;
    let given: MemoryGiven = read(&case.given)?;
    let want: ErrorExpect = read(&case.expect)?;
    let docker = match &given.docker {
        None => Docker::default(),
        // As a number, 20.10 has lost its zero.
        Some(Value::Number(it)) if it.as_f64() == Some(20.1) => Docker::Modern,
        Some(it) => {
            let version = it.as_str().map_or_else(|| it.to_string(), str::to_owned);
            Docker::read(&version).ok_or_else(|| format!("unknown Docker {it}"))?
        }
    };
    let memory = ContainerMemory { limit: given.memory, reservation: given.memory_reservation };
    let got = memory.check(given.task_memory, docker);
    same_error("invalid memory", got.err().as_ref(), &want.error)
}
