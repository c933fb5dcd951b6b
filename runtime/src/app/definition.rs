//! Task definitions.

use super::AppDefinition;
use super::error::{AppError, LeftOut};
use super::fields;
use super::json::{Field, Members};
use super::placement::{Asked, Origin};
use crate::program::{
    Condition, ContainerProgram, Dependency, HealthProbe, Mount, NetworkMode, PortMapping, Program,
    VolumeSource,
};
use cluster::demand::{Container, Demand, GpuAsk, Port, Protocol, TaskDefinition};
use cluster::units::{Bytes, GpuMilli, MilliCpu, Span};
use std::collections::BTreeMap;

/// ECS's units in one core.
const UNITS: u64 = 1024;
/// Docker takes no less.
const MEMORY_MIN_MIB: u32 = 6;
/// The most that the kernel takes.
const SHARES_MAX: u32 = 262_144;
const STOP_TIMEOUT: Span = Span::from_secs(30);
const CONTAINERS_MAX: usize = 10;

/// Whole thousandths of a core, rounded down: see the module [`app`](super).
fn milli(units: u64) -> u64 {
    units * 1000 / UNITS
}

/// `number` of `factor` each, if that is a whole number: digits with at most one point.
pub(super) fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{part}");
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let places = 10u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let product = digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(factor)?;
    (product % places == 0).then_some(product / places)
}

/// `text` as a bare number, or as a number of `unit` (any case, a space before it or not).
fn with_unit(text: &str, unit: &str, factor: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(unit) {
        Some(number) => scaled(number.trim_end(), factor),
        None => scaled(&text, 1),
    }
}

struct Read {
    program: ContainerProgram,
    demand: Demand,
    units: u64,
    memory_mib: u64,
}

/// A definition that was written.
pub(super) struct Written<'v> {
    /// Without its constraints.
    pub it: AppDefinition,
    /// Row of the container that carries what is asked for the whole task.
    pub head: usize,
    pub asked: Asked<'v>,
}

/// Reads a definition. `revision` is what it gets if it does not say.
pub(super) fn read<'v>(
    field: &Field<'v>,
    revision: impl Fn(&str) -> u32,
) -> Result<Written<'v>, AppError> {
    let task = field.object(fields::DEFINITION)?;
    let family = task.need("family")?.text()?.to_owned();
    let revision = match task.whole("revision", 1..=u32::MAX)? {
        Some(it) => it,
        None => revision(&family),
    };
    for it in task.list("requiresCompatibilities")? {
        if it.word(&["EC2", "EXTERNAL", "FARGATE", "MANAGED_INSTANCES"])? > 1 {
            it.warn(LeftOut::LaunchType);
        }
    }
    let units = amount(&task, "cpu", "vcpu", UNITS, 128..=196_608, CPU)?;
    let memory = amount(&task, "memory", "gb", 1024, u64::from(MEMORY_MIN_MIB)..=1 << 30, MEMORY)?;
    let network = match task.get("networkMode") {
        None => NetworkMode::Bridge,
        Some(it) => match it.word(&["bridge", "host", "none", "awsvpc"])? {
            0 => NetworkMode::Bridge,
            1 => NetworkMode::Host,
            2 => NetworkMode::None,
            _ => {
                it.warn(LeftOut::AwsVpc);
                NetworkMode::Shared
            }
        },
    };
    let volumes = volumes(&task)?;
    let listed = task.need("containerDefinitions")?;
    let list = listed.list()?;
    if list.is_empty() || list.len() > CONTAINERS_MAX {
        return Err(listed.wrong("a list of 1 to 10 containers"));
    }
    let mut read: Vec<Read> = Vec::new();
    let mut members = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut ports = BTreeMap::new();
    for it in &list {
        let it = it.object(fields::CONTAINER)?;
        let one = container(&it, network, &volumes, memory, &mut ports)?;
        let name = it.need("name")?;
        if let Some(&first) = lines.get(&one.program.name) {
            return Err(name.twice(&one.program.name, first));
        }
        lines.insert(one.program.name.clone(), name.place().line);
        read.push(one);
        members.push(it);
    }
    let Some(head) = read.iter().position(|it| it.program.essential) else {
        return Err(AppError::NoneEssential { place: listed.place() });
    };
    depend(&members, &mut read)?;

    let cpu_total = milli(units.unwrap_or_else(|| read.iter().map(|it| it.units).sum()));
    let memory_total = memory.unwrap_or_else(|| read.iter().map(|it| it.memory_mib).sum());
    let (mut cpu_left, mut memory_left) = (cpu_total, memory_total);
    for (_, it) in read.iter_mut().enumerate().filter(|it| it.0 != head) {
        let (cpu, memory) = (milli(it.units).min(cpu_left), it.memory_mib.min(memory_left));
        cpu_left -= cpu;
        memory_left -= memory;
        it.demand.amounts.cpu = MilliCpu(cpu);
        it.demand.amounts.memory = Bytes::from_mib(memory);
    }
    read[head].demand.amounts.cpu = MilliCpu(cpu_left);
    read[head].demand.amounts.memory = Bytes::from_mib(memory_left);

    let (containers, programs) = read
        .into_iter()
        .map(|it| {
            let (name, image) = (it.program.name.clone(), it.program.image.clone());
            let container = Container { name, demand: it.demand, image, ..Container::default() };
            (container, it.program)
        })
        .unzip();
    let spec = TaskDefinition {
        name: format!("{family}:{revision}"),
        containers,
        ..TaskDefinition::default()
    };
    let program = Program {
        family,
        revision,
        network,
        containers: programs,
        volumes,
        cpu_limit: units.map(|it| MilliCpu(milli(it))),
        memory_limit: memory.map(Bytes::from_mib),
    };
    let asked = Asked::read(&task, Origin::Definition)?;
    Ok(Written { it: AppDefinition { spec, program, lifetime: None }, head, asked })
}

const CPU: &str = "128 to 196608 units of 1/1024 core, or cores such as \"1 vCPU\"";
const MEMORY: &str = "MiB, at least 6, or an amount such as \"1GB\"";

fn amount(
    task: &Members<'_>,
    name: &str,
    unit: &str,
    factor: u64,
    range: std::ops::RangeInclusive<u64>,
    wanted: &str,
) -> Result<Option<u64>, AppError> {
    let Some(field) = task.get(name) else { return Ok(None) };
    let Some(text) = field.written() else { return Err(field.wrong(wanted)) };
    // What describes a task without an amount of its own may show it empty.
    if text.is_empty() {
        return Ok(None);
    }
    let amount = with_unit(text, unit, factor).filter(|it| range.contains(it));
    amount.map(Some).ok_or_else(|| field.wrong(wanted))
}

fn volumes(task: &Members<'_>) -> Result<BTreeMap<String, VolumeSource>, AppError> {
    let mut volumes = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for field in task.list("volumes")? {
        let volume = field.object(fields::VOLUME)?;
        let named = volume.need("name")?;
        let name = named.text()?.to_owned();
        if let Some(first) = lines.insert(name.clone(), named.place().line) {
            return Err(named.twice(&name, first));
        }
        let mut source = VolumeSource::Task;
        if let Some(host) = volume.get("host")
            && let Some(path) = host.object(fields::HOST_VOLUME)?.get("sourcePath")
            && !path.any_text()?.is_empty()
        {
            if !path.text()?.starts_with('/') {
                return Err(path.wrong("an absolute path"));
            }
            source = VolumeSource::HostPath(path.text()?.into());
        }
        if let Some(docker) = volume.get("dockerVolumeConfiguration") {
            let docker = docker.object(fields::DOCKER_VOLUME)?;
            if let Some(driver) = docker.get("driver")
                && driver.text()? != "local"
            {
                return Err(driver.unsupported("leave it out: volumes are Docker's local ones"));
            }
            if let Some(scope) = docker.get("scope")
                && scope.word(&["task", "shared"])? == 1
            {
                source = VolumeSource::Named(name.clone());
                if !docker.flag("autoprovision", false)? {
                    scope.warn(LeftOut::Autoprovision);
                }
            }
        }
        volumes.insert(name, source);
    }
    Ok(volumes)
}

/// Ports that some container of the task has already, with the line where it says so.
type Taken = BTreeMap<(&'static str, Protocol, u16), usize>;

fn container(
    it: &Members<'_>,
    network: NetworkMode,
    volumes: &BTreeMap<String, VolumeSource>,
    task_memory: Option<u64>,
    taken: &mut Taken,
) -> Result<Read, AppError> {
    let mib = |name| it.whole(name, MEMORY_MIN_MIB..=1 << 30);
    let (limit, reserved) = (mib("memory")?, mib("memoryReservation")?);
    if let (Some(limit), Some(reserved)) = (limit, reserved)
        && limit <= reserved
    {
        return Err(it.need("memory")?.wrong("more than memoryReservation"));
    }
    if let Some(task) = task_memory {
        for name in ["memory", "memoryReservation"] {
            if mib(name)?.is_some_and(|it| u64::from(it) > task) {
                return Err(it.need(name)?.wrong("at most the memory of the task"));
            }
        }
    } else if limit.is_none() && reserved.is_none() {
        it.need("memory")?;
    }
    let units = it.whole("cpu", 0..=196_608)?.unwrap_or(0);
    let mut demand = Demand::default();
    for field in it.list("resourceRequirements")? {
        let resource = field.object(fields::RESOURCE)?;
        if resource.need("type")?.word(&["GPU", "InferenceAccelerator"])? == 1 {
            return Err(resource.need("type")?.unsupported("ask for GPU"));
        }
        let value = resource.need("value")?;
        let count = value.written().and_then(|it| it.parse::<u16>().ok());
        let count = count.filter(|it| (1..=64).contains(it));
        let count = count.ok_or_else(|| value.wrong("a number of devices from \"1\" to \"64\""))?;
        demand.gpus = GpuAsk { count, milli: GpuMilli::DEVICE, models: Vec::new() };
    }
    let mut program = ContainerProgram {
        name: it.need("name")?.text()?.to_owned(),
        image: it.need("image")?.text()?.to_owned(),
        entry_point: it.texts("entryPoint")?,
        command: it.texts("command")?,
        env: environment(it)?,
        working_dir: it.text("workingDirectory")?,
        user: it.text("user")?,
        essential: it.flag("essential", true)?,
        start_timeout: it.whole("startTimeout", 2..=86_400)?.map(seconds),
        stop_timeout: Some(it.whole("stopTimeout", 0..=86_400)?.map_or(STOP_TIMEOUT, seconds)),
        cpu_shares: Some(units.clamp(2, SHARES_MAX)),
        memory_limit: limit.map(|it| Bytes::from_mib(it.into())),
        memory_reservation: reserved.map(|it| Bytes::from_mib(it.into())),
        health: it.get("healthCheck").map(health).transpose()?.flatten(),
        ..ContainerProgram::default()
    };
    if let Some(labels) = it.get("dockerLabels") {
        for (name, value) in labels.members()? {
            program.labels.insert(name.to_owned(), value.any_text()?.to_owned());
        }
    }
    if let Some(linux) = it.get("linuxParameters") {
        program.init = linux.object(fields::LINUX)?.flag("initProcessEnabled", false)?;
    }
    for field in it.list("mountPoints")? {
        let mount = field.object(fields::MOUNT)?;
        let (volume, path) = (mount.need("sourceVolume")?, mount.need("containerPath")?);
        if !volumes.contains_key(volume.text()?) {
            let known = volumes.keys().cloned().collect();
            return Err(volume.unknown_name("volume", volume.text()?, known));
        }
        if !path.text()?.starts_with('/') {
            return Err(path.wrong("an absolute path"));
        }
        program.mounts.push(Mount {
            volume: volume.text()?.to_owned(),
            path: path.text()?.to_owned(),
            read_only: mount.flag("readOnly", false)?,
        });
    }
    for field in it.list("portMappings")? {
        port(&field, network, taken, &mut program, &mut demand)?;
    }
    demand.ports.sort_unstable();
    let memory_mib = u64::from(reserved.or(limit).unwrap_or(0));
    Ok(Read { program, demand, units: units.into(), memory_mib })
}

fn seconds(it: u32) -> Span {
    Span::from_secs(it.into())
}

/// Names and values; a later one replaces an earlier one of the same name, as Docker does it.
pub(super) fn environment(it: &Members<'_>) -> Result<Vec<(String, String)>, AppError> {
    let mut env: Vec<(String, String)> = Vec::new();
    for field in it.list("environment")? {
        let pair = field.object(fields::PAIR)?;
        let name = pair.need("name")?.text()?.to_owned();
        env.retain(|it| it.0 != name);
        env.push((name, pair.text("value")?.unwrap_or_default()));
    }
    Ok(env)
}

fn port(
    field: &Field<'_>,
    network: NetworkMode,
    taken: &mut Taken,
    program: &mut ContainerProgram,
    demand: &mut Demand,
) -> Result<(), AppError> {
    let mapping = field.object(fields::PORT)?;
    if network == NetworkMode::None {
        return Err(field.unsupported("take the mapping away, or set networkMode to bridge"));
    }
    let range = |name, from| -> Result<Option<u16>, AppError> {
        let port = mapping.whole(name, from..=65_535)?;
        Ok(port.map(|it| u16::try_from(it).expect("the range ends at 65535")))
    };
    mapping.need("containerPort")?;
    let container = range("containerPort", 1)?.expect("it is there");
    let host = range("hostPort", 0)?.filter(|it| *it > 0);
    let protocol = match mapping.get("protocol") {
        Some(it) => [Protocol::Tcp, Protocol::Udp][it.word(&["tcp", "udp"])?],
        None => Protocol::Tcp,
    };
    let is_shared = matches!(network, NetworkMode::Host | NetworkMode::Shared);
    if is_shared && host.is_some_and(|it| it != container) {
        return Err(mapping.need("hostPort")?.wrong("the container's port, in this networkMode"));
    }
    let mut take = |key, number, name| {
        let at = mapping.get(name).unwrap_or(field);
        match taken.insert((key, protocol, number), at.place().line) {
            Some(first) => Err(at.twice(&number.to_string(), first)),
            None => Ok(()),
        }
    };
    if is_shared {
        take("container", container, "containerPort")?;
    }
    let fixed = match network {
        NetworkMode::Bridge => host,
        NetworkMode::Host => Some(container),
        NetworkMode::Shared | NetworkMode::None => None,
    };
    if let Some(number) = fixed {
        if network == NetworkMode::Bridge {
            take("host", number, "hostPort")?;
        }
        demand.ports.push(Port { protocol, number });
    }
    // In the host's own network there is nothing to publish.
    if network != NetworkMode::Host {
        program.ports.push(PortMapping { container, protocol, host: fixed });
    }
    Ok(())
}

fn health(field: &Field<'_>) -> Result<Option<HealthProbe>, AppError> {
    let check = field.object(fields::HEALTH)?;
    let field = check.need("command")?;
    let command = field.texts()?;
    let is_command = match command.first().map(String::as_str) {
        // Docker's way to say that there is no check.
        Some("NONE") if command.len() == 1 => return Ok(None),
        Some("CMD") => command.len() > 1,
        Some("CMD-SHELL") => command.len() == 2,
        _ => false,
    };
    if !is_command {
        return Err(field.wrong("[\"CMD\", \"program\", …] or [\"CMD-SHELL\", \"line\"]"));
    }
    Ok(Some(HealthProbe {
        command,
        interval: seconds(check.whole("interval", 5..=300)?.unwrap_or(30)),
        timeout: seconds(check.whole("timeout", 2..=60)?.unwrap_or(5)),
        retries: check.whole("retries", 1..=10)?.unwrap_or(3),
        start_period: seconds(check.whole("startPeriod", 0..=300)?.unwrap_or(0)),
    }))
}

/// Fills in what containers wait for, once all are known.
fn depend(members: &[Members<'_>], read: &mut [Read]) -> Result<(), AppError> {
    let names: Vec<String> = read.iter().map(|it| it.program.name.clone()).collect();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); read.len()];
    for (row, it) in members.iter().enumerate() {
        for field in it.list("dependsOn")? {
            let dependency = field.object(fields::DEPENDENCY)?;
            let name = dependency.need("containerName")?;
            let Some(other) = names.iter().position(|it| Ok(it.as_str()) == name.text()) else {
                return Err(name.unknown_name("container", name.text()?, names));
            };
            let asked = dependency.need("condition")?;
            let condition =
                [Condition::Start, Condition::Complete, Condition::Success, Condition::Healthy]
                    [asked.word(&["START", "COMPLETE", "SUCCESS", "HEALTHY"])?];
            let target = &read[other].program;
            match condition {
                Condition::Complete | Condition::Success if target.essential => {
                    return Err(asked.wrong(
                        "START or HEALTHY: the other is essential, and the task ends when it does",
                    ));
                }
                Condition::Healthy if target.health.is_none() => {
                    return Err(asked.wrong("START: the other has no healthCheck"));
                }
                _ => {}
            }
            edges[row].push(other);
            let container = names[other].clone();
            read[row].program.depends_on.push(Dependency { container, condition });
        }
    }
    // Take away whoever waits for nobody that is left; what stays is a circle, or waits for one.
    let mut left: Vec<usize> = (0..read.len()).collect();
    loop {
        let before = left.len();
        let now = left.clone();
        left.retain(|&row| edges[row].iter().any(|it| now.contains(it)));
        if left.len() == before {
            break;
        }
    }
    let Some(&start) = left.first() else { return Ok(()) };
    let mut walk = vec![start];
    loop {
        let last = walk[walk.len() - 1];
        let next = edges[last].iter().copied().find(|it| left.contains(it));
        let next = next.expect("whoever is left waits for somebody who is left");
        if let Some(begin) = walk.iter().position(|it| *it == next) {
            let circle = &walk[begin..];
            return Err(AppError::Cycle {
                place: members[circle[0]].whole.place(),
                containers: circle.iter().map(|&it| names[it].clone()).collect(),
            });
        }
        walk.push(next);
    }
}
