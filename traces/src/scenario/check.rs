//! From what a scenario file says to what the cluster knows, refusing what makes no sense.

use super::model::{self, Decimal, TextOr};
use crate::decimal::{self, NotDecimal, Rounding};
use crate::error::TraceError;
use crate::json::At;
use crate::limits::{self, Limit};
use crate::requirement;
use cluster::constraint::{
    Affinity, Bound, Budget, Constraints, Effect, Image, Pattern, Preference, Requirement, Side,
    Spread, Strength, Taint, Test, Toleration, Who,
};
use cluster::demand::{
    Amounts, Container, Demand, GpuAsk, Port, Protocol, Resource, TaskDefinition,
};
use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
use cluster::units::{Bytes, GpuMilli, MilliCpu};
use std::collections::BTreeMap;

/// One amount under several names, with the unit of each.
type Named<'m> = [(&'static str, &'m Option<Decimal>, u64)];

/// A number times its unit.
pub(super) fn number(
    at: &At<'_>,
    written: &Decimal,
    units: u64,
    rounding: Rounding,
    limit: Limit,
) -> Result<u64, TraceError> {
    match decimal::parse(&written.0, units, rounding) {
        Ok(number) if number <= limit.most => Ok(number),
        Ok(_) | Err(NotDecimal::TooLarge) => Err(at.wrong(limit.wanted)),
        Err(NotDecimal::TooFine) => {
            Err(at.wrong("a number with no more digits than the unit can hold"))
        }
        Err(_) => Err(at.wrong("a number of at least 0")),
    }
}

/// A time in seconds, in microseconds.
pub(super) fn seconds(at: &At<'_>, written: &Decimal) -> Result<u64, TraceError> {
    number(at, written, 1_000_000, Rounding::Exact, limits::TIME)
}

/// An amount under one of its names. `None` if there is none.
fn amount(
    at: &At<'_>,
    names: &Named<'_>,
    rounding: Rounding,
    limit: Limit,
) -> Result<Option<u64>, TraceError> {
    let mut given = names.iter().filter_map(|(name, it, units)| Some((name, it.as_ref()?, units)));
    let Some((name, written, units)) = given.next() else { return Ok(None) };
    if let Some((other, ..)) = given.next() {
        let reason = format!("says again what {name} says");
        return Err(at.key(other).conflict(reason, "one of them"));
    }
    number(&at.key(name), written, *units, rounding, limit).map(Some)
}

fn cpu(at: &At<'_>, names: &Named<'_>) -> Result<Option<u64>, TraceError> {
    // Too fine a share of a core would change which tasks fit; a part of a byte does not.
    amount(at, names, Rounding::Exact, limits::CPU)
}

fn bytes(at: &At<'_>, names: &Named<'_>) -> Result<Option<u64>, TraceError> {
    amount(at, names, Rounding::Nearest, limits::BYTES)
}

/// Fails at the element of a list that is the first to be wrong.
fn each<T, U>(
    at: &At<'_>,
    list: &[T],
    read: impl Fn(&At<'_>, &T) -> Result<U, TraceError>,
) -> Result<Vec<U>, TraceError> {
    list.iter().enumerate().map(|(index, it)| read(&at.element(index), it)).collect()
}

fn texts(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A text that must not be empty.
fn named<'m>(at: &At<'_>, text: &'m str, wanted: &'static str) -> Result<&'m str, TraceError> {
    if text.is_empty() { Err(at.wrong(wanted)) } else { Ok(text) }
}

pub(super) fn node(at: &At<'_>, node: &model::Node) -> Result<NodeSpec, TraceError> {
    named(&at.key("name"), &node.name, "a node's name")?;
    for name in node.labels.keys() {
        if [cluster::nodes::NODE, cluster::nodes::ZONE].contains(&name.as_str()) {
            let reason = "is an attribute that every node has";
            return Err(at.key("labels").key(name).conflict(reason, "\"name\" or \"zone\""));
        }
    }
    if node.gpus.len() > DeviceSet::MAX {
        return Err(at.key("gpus").wrong("at most 64 devices"));
    }
    let milli =
        cpu(at, &[("cpu_milli", &node.cpu_milli, 1), ("cpu_cores", &node.cpu_cores, 1000)])?;
    let memory = bytes(
        at,
        &[
            ("memory_bytes", &node.memory_bytes, 1),
            ("memory_mib", &node.memory_mib, 1 << 20),
            ("memory_gib", &node.memory_gib, 1 << 30),
        ],
    )?;
    let disk = bytes(
        at,
        &[
            ("disk_bytes", &node.disk_bytes, 1),
            ("disk_mib", &node.disk_mib, 1 << 20),
            ("disk_gib", &node.disk_gib, 1 << 30),
        ],
    )?;
    let amounts = [milli, memory, disk].map(Option::unwrap_or_default);
    Ok(NodeSpec {
        name: node.name.clone(),
        zone: node.zone.clone().unwrap_or_default(),
        capacity: NodeCapacity { amounts: Amounts::from_array(amounts), gpus: node.gpus.clone() },
        reserved_ports: ports(&at.key("reserved_ports"), &node.reserved_ports)?,
        attributes: texts(&node.labels),
        rank: node.rank,
        taints: each(&at.key("taints"), &node.taints, taint)?,
        images: each(&at.key("images"), &node.images, image)?,
    })
}

fn image(at: &At<'_>, image: &model::Image) -> Result<Image, TraceError> {
    if image.names.is_empty() || image.names.iter().any(String::is_empty) {
        return Err(at.key("names").wrong("at least one name"));
    }
    let names = [("size_bytes", &image.size_bytes, 1), ("size_mib", &image.size_mib, 1 << 20)];
    let size = Bytes(bytes(at, &names)?.unwrap_or_default());
    Ok(Image { names: image.names.clone(), size })
}

/// Reads a port such as `80`, `80/tcp` or `53/udp`.
pub(crate) fn port(text: &str) -> Option<Port> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let number = number.parse().ok().filter(|it| *it > 0)?;
    Some(Port { protocol, number })
}

fn ports(at: &At<'_>, list: &[model::Port]) -> Result<Vec<Port>, TraceError> {
    let mut ports: Vec<Port> = Vec::new();
    for (index, it) in list.iter().enumerate() {
        let at = at.element(index);
        let read = match it {
            model::Port::Number(number) => port(&number.to_string()),
            model::Port::Text(text) => port(text),
        };
        let read = read.ok_or_else(|| at.wrong("a port such as 80 or \"53/udp\""))?;
        if ports.contains(&read) {
            return Err(at.conflict("stands there twice", "every port once"));
        }
        ports.push(read);
    }
    ports.sort_unstable();
    Ok(ports)
}

fn effect_of(effect: model::Effect) -> Effect {
    match effect {
        model::Effect::NoSchedule => Effect::NoSchedule,
        model::Effect::PreferNoSchedule => Effect::PreferNoSchedule,
        model::Effect::NoExecute => Effect::NoExecute,
    }
}

fn effect_named(text: &str) -> Option<Effect> {
    let all = [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute];
    all.into_iter().find(|it| it.to_string() == text)
}

/// Reads `KEY=VALUE:EFFECT` or `KEY:EFFECT`.
pub(crate) fn taint_text(text: &str) -> Option<Taint> {
    let (mark, effect) = text.rsplit_once(':')?;
    let (key, value) = mark.split_once('=').unwrap_or((mark, ""));
    let (key, value, effect) = (key.to_owned(), value.to_owned(), effect_named(effect)?);
    (!key.is_empty()).then_some(Taint { key, value, effect })
}

/// Reads `KEY`, `KEY=VALUE`, either with `:EFFECT` behind it, or `*` for every key.
pub(crate) fn toleration_text(text: &str) -> Option<Toleration> {
    let (mark, effect) = match text.rsplit_once(':') {
        Some((mark, effect)) => (mark, Some(effect_named(effect)?)),
        None => (text, None),
    };
    let (key, value) = match mark.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (mark, None),
    };
    let key = match key {
        "" => return None,
        "*" => None,
        key => Some(key.to_owned()),
    };
    Some(Toleration { key, value, effect })
}

fn taint(at: &At<'_>, it: &TextOr<model::Taint>) -> Result<Taint, TraceError> {
    match it {
        TextOr::Text(text) => {
            let wanted =
                "KEY=VALUE:EFFECT with an effect of NoSchedule, PreferNoSchedule, NoExecute";
            taint_text(text).ok_or_else(|| at.wrong(wanted))
        }
        TextOr::Full(it) => {
            let key = named(&at.key("key"), &it.key, "a key")?.to_owned();
            Ok(Taint { key, value: it.value.clone(), effect: effect_of(it.effect) })
        }
    }
}

fn toleration(at: &At<'_>, it: &TextOr<model::Toleration>) -> Result<Toleration, TraceError> {
    match it {
        TextOr::Text(text) => toleration_text(text)
            .ok_or_else(|| at.wrong("KEY, KEY=VALUE or *, with :EFFECT behind it or without")),
        TextOr::Full(it) => {
            if let Some(key) = &it.key {
                named(&at.key("key"), key, "a key, or none for every key")?;
            }
            let (key, value) = (it.key.clone(), it.value.clone());
            Ok(Toleration { key, value, effect: it.effect.map(effect_of) })
        }
    }
}

fn test(at: &At<'_>, it: &TextOr<model::Test>) -> Result<Requirement, TraceError> {
    let it = match it {
        TextOr::Text(text) => {
            let wanted = "a test such as rack=a|b, ssd, !gpu, zone!=c, cores>4, type~t2.*";
            return requirement::read(text).ok_or_else(|| at.wrong(wanted));
        }
        TextOr::Full(it) => it,
    };
    let mut tests: Vec<(&str, Test)> = Vec::new();
    let list = |name: &str, values: &[String]| {
        let mut values = values.to_vec();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() { Err(at.key(name).wrong("at least one value")) } else { Ok(values) }
    };
    if let Some(values) = &it.is_in {
        tests.push(("in", Test::In(list("in", values)?)));
    }
    if let Some(values) = &it.not_in {
        tests.push(("not_in", Test::NotIn(list("not_in", values)?)));
    }
    for (name, flag, test) in
        [("exists", it.exists, Test::Exists), ("absent", it.absent, Test::Absent)]
    {
        match flag {
            Some(true) => tests.push((name, test)),
            Some(false) => return Err(at.key(name).wrong("true, or the opposite test")),
            None => {}
        }
    }
    tests.extend(it.above.map(|bound| ("above", Test::Above(bound))));
    tests.extend(it.below.map(|bound| ("below", Test::Below(bound))));
    if let Some(text) = &it.matches {
        let pattern = Pattern::read(text);
        let bad = |why| at.key("matches").conflict(why, "a regular expression");
        tests.push(("matches", Test::Matches(pattern.map_err(bad)?)));
    }
    let attribute = named(&at.key("attribute"), &it.attribute, "an attribute's name")?.to_owned();
    let wanted = "one of in, not_in, exists, absent, above, below, matches";
    match tests.len() {
        0 => Err(at.conflict("tests nothing", wanted)),
        1 => Ok(Requirement { attribute, test: tests.remove(0).1 }),
        _ => Err(at.key(tests[1].0).conflict("is a second test", wanted)),
    }
}

fn tests(at: &At<'_>, list: &[TextOr<model::Test>]) -> Result<Vec<Requirement>, TraceError> {
    each(at, list, test)
}

/// A definition; `name` is its own, and its only container's that has none.
pub(super) fn definition(
    at: &At<'_>,
    name: &str,
    it: &model::Definition,
) -> Result<TaskDefinition, TraceError> {
    if it.containers.is_empty() {
        return Err(at.key("containers").wrong("at least one container"));
    }
    let mut containers: Vec<Container> = Vec::new();
    for (index, one) in it.containers.iter().enumerate() {
        let at = at.key("containers").element(index);
        let one = container(&at, name, it.containers.len() == 1, one)?;
        if containers.iter().any(|other| other.name == one.name) {
            return Err(at.key("name").repeated("container", &one.name));
        }
        let of_others = containers.iter().flat_map(|it| &it.demand.ports);
        if let Some(port) = of_others.into_iter().find(|it| one.demand.ports.contains(it)) {
            let reason = format!("has {}, which another container has", port.number);
            return Err(at.key("ports").conflict(reason, "every port once"));
        }
        let gpus = &one.demand.gpus;
        let other = containers.iter().map(|it| &it.demand.gpus).find(|it| it.count > 0);
        if let Some(other) = other.filter(|_| gpus.count > 0)
            && (other.milli != gpus.milli || other.models != gpus.models)
        {
            let reason = "asks for other devices than another container";
            let wanted = "the same gpu_milli and gpu_models for all containers";
            return Err(at.key("gpus").conflict(reason, wanted));
        }
        containers.push(one);
    }
    let devices: u32 = containers.iter().map(|it| u32::from(it.demand.gpus.count)).sum();
    if devices as usize > DeviceSet::MAX {
        return Err(at.key("containers").conflict("ask for more than 64 gpus", "at most 64"));
    }
    for (resource, limit) in [
        (Resource::Cpu, limits::CPU),
        (Resource::Memory, limits::BYTES),
        (Resource::Disk, limits::BYTES),
    ] {
        let asks = containers.iter().map(|it| it.demand.amounts.array()[resource.row()]);
        if asks.map(u128::from).sum::<u128>() > u128::from(limit.most) {
            let reason = format!("ask for too much {resource} together");
            return Err(at.key("containers").conflict(reason, limit.wanted));
        }
    }
    containers[0].demand.requires = tests(&at.key("requires"), &it.requires)?;
    containers[0].demand.requires.sort_unstable();
    containers[0].demand.requires.dedup();
    let any_of = each(&at.key("any_of"), &it.any_of, |at, list| {
        if list.is_empty() {
            return Err(at.wrong("at least one test in each list"));
        }
        tests(at, list)
    })?;
    let constraints = Constraints {
        tolerations: each(&at.key("tolerations"), &it.tolerations, toleration)?,
        any_of,
        prefers: each(&at.key("prefers"), &it.prefers, preference)?,
        affinity: each(&at.key("affinity"), &it.affinity, affinity)?,
        spread: each(&at.key("spread"), &it.spread, spread)?,
        limits: each(&at.key("limits"), &it.limits, limit)?,
    };
    let (namespace, labels) = (it.namespace.clone(), texts(&it.labels));
    Ok(TaskDefinition {
        name: name.to_owned(),
        containers,
        namespace,
        labels,
        constraints: Box::new(constraints),
    })
}

fn container(
    at: &At<'_>,
    definition: &str,
    is_only: bool,
    it: &model::Container,
) -> Result<Container, TraceError> {
    let name = match &it.name {
        Some(name) => named(&at.key("name"), name, "a container's name")?,
        None if is_only => definition,
        None => {
            return Err(TraceError::MissingField {
                place: at.place(),
                field: at.field().to_owned(),
                wanted: "name",
            });
        }
    };
    let cpu_asked =
        cpu(at, &[("cpu_milli", &it.cpu_milli, 1), ("cpu_cores", &it.cpu_cores, 1000)])?;
    let cpu_limit = cpu(
        at,
        &[
            ("cpu_limit_milli", &it.cpu_limit_milli, 1),
            ("cpu_limit_cores", &it.cpu_limit_cores, 1000),
        ],
    )?;
    let memory_asked = bytes(
        at,
        &[
            ("memory_bytes", &it.memory_bytes, 1),
            ("memory_mib", &it.memory_mib, 1 << 20),
            ("memory_gib", &it.memory_gib, 1 << 30),
        ],
    )?;
    let memory_limit = bytes(
        at,
        &[
            ("memory_limit_bytes", &it.memory_limit_bytes, 1),
            ("memory_limit_mib", &it.memory_limit_mib, 1 << 20),
            ("memory_limit_gib", &it.memory_limit_gib, 1 << 30),
        ],
    )?;
    let disk = bytes(
        at,
        &[
            ("disk_bytes", &it.disk_bytes, 1),
            ("disk_mib", &it.disk_mib, 1 << 20),
            ("disk_gib", &it.disk_gib, 1 << 30),
        ],
    )?;
    for (what, asked, limit) in
        [("cpu", cpu_asked, cpu_limit), ("memory", memory_asked, memory_limit)]
    {
        if let (Some(asked), Some(limit)) = (asked, limit)
            && asked > limit
        {
            let reason = format!("asks for more {what} than its limit");
            return Err(at.conflict(reason, "a limit of at least what is asked for"));
        }
    }
    let (cpu, memory) = (cpu_asked.or(cpu_limit), memory_asked.or(memory_limit));
    let gpus = gpus(at, it)?;
    let zeros = [cpu, memory, disk, it.gpus.map(u64::from)];
    let zero = Resource::ALL.into_iter().filter(|it| zeros[it.row()] == Some(0)).collect();
    let amounts = Amounts {
        cpu: MilliCpu(cpu.unwrap_or_default()),
        memory: Bytes(memory.unwrap_or_default()),
        disk: Bytes(disk.unwrap_or_default()),
    };
    let ports = ports(&at.key("ports"), &it.ports)?;
    let demand = Demand { amounts, gpus, ports, ..Demand::default() };
    Ok(Container { name: name.to_owned(), demand, image: it.image.clone(), zero })
}

fn gpus(at: &At<'_>, it: &model::Container) -> Result<GpuAsk, TraceError> {
    let count = it.gpus.unwrap_or_default();
    if usize::from(count) > DeviceSet::MAX {
        return Err(at.key("gpus").wrong("a number of devices from 0 to 64"));
    }
    let milli = GpuMilli(it.gpu_milli.unwrap_or(GpuMilli::DEVICE.0));
    if milli > GpuMilli::DEVICE {
        return Err(at.key("gpu_milli").wrong("a share from 0 to 1000 thousandths"));
    }
    if count == 0 {
        let says =
            [("gpu_milli", it.gpu_milli.is_some()), ("gpu_models", !it.gpu_models.is_empty())];
        return match says.into_iter().find(|it| it.1) {
            Some((name, _)) => {
                Err(at.key(name).conflict("is of no device", "\"gpus\" of at least 1 as well"))
            }
            None => Ok(GpuAsk::default()),
        };
    }
    let mut models = it.gpu_models.clone();
    models.sort_unstable();
    models.dedup();
    Ok(GpuAsk { count, milli, models })
}

fn weight(at: &At<'_>, weight: i32) -> Result<i32, TraceError> {
    match weight {
        1..=100 => Ok(weight),
        _ => Err(at.key("weight").wrong("a weight from 1 to 100")),
    }
}

fn preference(at: &At<'_>, it: &model::Preference) -> Result<Preference, TraceError> {
    if it.all.is_empty() {
        return Err(at.key("all").wrong("at least one test"));
    }
    Ok(Preference { weight: weight(at, it.weight)?, all: tests(&at.key("all"), &it.all)? })
}

fn domain(at: &At<'_>, domain: &str) -> Result<String, TraceError> {
    named(&at.key("domain"), domain, "an attribute such as \"node\" or \"zone\"").map(str::to_owned)
}

fn who(at: &At<'_>, it: &model::Who) -> Result<Who, TraceError> {
    match it {
        model::Who::Word(model::GroupWord::Group) => Ok(Who::Group),
        model::Who::Labels(list) => {
            Ok(Who::Labels { all: tests(at, list)?, namespaces: Vec::new() })
        }
        model::Who::Selector(it) => Ok(Who::Labels {
            all: tests(&at.key("labels"), &it.labels)?,
            namespaces: it.namespaces.clone(),
        }),
    }
}

fn affinity(at: &At<'_>, it: &model::Affinity) -> Result<Affinity, TraceError> {
    let side = match it.side {
        model::Side::Near => Side::Near,
        model::Side::Apart => Side::Apart,
    };
    let strength = match it.weight {
        None => Strength::Hard,
        Some(it) => Strength::Soft(weight(at, it)?),
    };
    let (domain, who) = (domain(at, &it.domain)?, who(&at.key("who"), &it.who)?);
    Ok(Affinity { side, strength, domain, who })
}

fn spread(at: &At<'_>, it: &model::Spread) -> Result<Spread, TraceError> {
    let skew_max = it.skew_max.unwrap_or(1);
    if skew_max == 0 {
        return Err(at.key("skew_max").wrong("a whole number of at least 1"));
    }
    let domains_min = it.domains_min.unwrap_or(1);
    let (domain, who) = (domain(at, &it.domain)?, who(&at.key("who"), &it.who)?);
    Ok(Spread { domain, skew_max, domains_min, is_hard: it.hard.unwrap_or(true), who })
}

fn limit(at: &At<'_>, it: &model::Limit) -> Result<cluster::constraint::Limit, TraceError> {
    if it.max == 0 {
        return Err(at.key("max").wrong("a whole number of at least 1"));
    }
    let (domain, who) = (domain(at, &it.domain)?, who(&at.key("who"), &it.who)?);
    Ok(cluster::constraint::Limit { domain, max: it.max, who })
}

pub(super) fn budget(at: &At<'_>, it: &model::Budget) -> Result<Budget, TraceError> {
    let name = named(&at.key("name"), &it.name, "a budget's name")?.to_owned();
    let bound = match (it.available_min, it.unavailable_max) {
        (Some(count), None) => Bound::AvailableMin(count),
        (None, Some(count)) => Bound::UnavailableMax(count),
        (None, None) => {
            return Err(at.conflict("bounds nothing", "\"available_min\" or \"unavailable_max\""));
        }
        _ => {
            let reason = "is a second bound";
            let at = at.key("unavailable_max");
            return Err(at.conflict(reason, "\"available_min\" or \"unavailable_max\""));
        }
    };
    let select = tests(&at.key("select"), &it.select)?;
    Ok(Budget { name, namespace: it.namespace.clone(), select, bound })
}
