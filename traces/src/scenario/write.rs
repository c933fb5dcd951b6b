//! From what the cluster knows back to what a file says: `definitions.json` and `budgets.json`.

use super::check;
use super::model::{self, TextOr};
use crate::requirement;
use cluster::constraint::{
    Bound, Budget, Effect, Requirement, Side, Strength, Test, Toleration, Who,
};
use cluster::demand::{Container, Port, Protocol, Resource, TaskDefinition};
use cluster::units::GpuMilli;
use std::collections::BTreeMap;

/// Definitions under names of their own: the names, in the same order, and the text of a file that holds them.
pub(crate) fn definitions(all: &[&TaskDefinition]) -> (Vec<String>, String) {
    let mut said: BTreeMap<String, model::Definition> = BTreeMap::new();
    let mut names = Vec::new();
    for it in all {
        // The name stands in a cell of `tasks.csv`, too, which holds no quotes.
        let clean = it.name.chars().filter(|it| *it != '"' && !it.is_control());
        let clean: String = clean.collect();
        let stem = if clean.is_empty() { "definition" } else { clean.as_str() };
        let numbered = (2..).map(|number| format!("{stem} #{number}"));
        let name = std::iter::once(stem.to_owned())
            .chain(numbered)
            .find(|name| !said.contains_key(name))
            .expect("numbers do not end");
        said.insert(name.clone(), definition(it, &name));
        names.push(name);
    }
    (names, pretty(&said))
}

/// Budgets as the text of a file that holds them.
pub(crate) fn budgets<'b>(all: impl Iterator<Item = &'b Budget>) -> String {
    let all: Vec<model::Budget> = all
        .map(|it| model::Budget {
            name: it.name.clone(),
            namespace: it.namespace.clone(),
            select: tests(&it.select),
            available_min: match it.bound {
                Bound::AvailableMin(count) => Some(count),
                Bound::UnavailableMax(_) => None,
            },
            unavailable_max: match it.bound {
                Bound::UnavailableMax(count) => Some(count),
                Bound::AvailableMin(_) => None,
            },
        })
        .collect();
    pretty(&all)
}

fn pretty(it: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(it).expect("texts and numbers are JSON");
    text.push('\n');
    text
}

/// A definition as it is written under `name`. What its containers ask of the node's attributes is said for the whole;
/// of devices that disagree and ports that repeat it says what the sum over them takes.
fn definition(it: &TaskDefinition, name: &str) -> model::Definition {
    let demand = it.demand();
    let rules = &it.constraints;
    let mut containers: Vec<model::Container> = Vec::new();
    let mut ports: Vec<Port> = Vec::new();
    for (index, one) in it.containers.iter().enumerate() {
        let mut said = container(one);
        let is_taken = |name: &str| containers.iter().any(|it| it.name.as_deref() == Some(name));
        let mut own = one.name.clone();
        while own.is_empty() || is_taken(&own) {
            own = format!("{own}#{index}");
        }
        said.name = (it.containers.len() > 1 || own != name).then_some(own);
        if one.demand.gpus.count > 0 {
            said.gpu_milli = Some(demand.gpus.milli.0).filter(|it| *it != GpuMilli::DEVICE.0);
            said.gpu_models = demand.gpus.models.clone();
        }
        let new = one.demand.ports.iter().filter(|it| !ports.contains(it)).copied();
        let new: Vec<Port> = new.collect();
        said.ports = new.iter().map(port).collect();
        ports.extend(new);
        containers.push(said);
    }
    // The demand has those of containers, too, which only others than readers make.
    let mut tolerations = rules.tolerations.clone();
    tolerations.extend(it.containers.iter().flat_map(|it| it.demand.tolerations.clone()));
    let any_of = rules.any_of.iter().chain(it.containers.iter().flat_map(|it| &it.demand.any_of));
    model::Definition {
        namespace: it.namespace.clone(),
        labels: it.labels.iter().cloned().collect(),
        containers,
        requires: tests(&demand.requires),
        any_of: any_of.map(|it| tests(it)).collect(),
        tolerations: tolerations.iter().map(toleration).collect(),
        prefers: rules
            .prefers
            .iter()
            .map(|it| model::Preference { weight: it.weight, all: tests(&it.all) })
            .collect(),
        affinity: rules
            .affinity
            .iter()
            .map(|it| model::Affinity {
                side: match it.side {
                    Side::Near => model::Side::Near,
                    Side::Apart => model::Side::Apart,
                },
                domain: it.domain.clone(),
                who: who(&it.who),
                weight: match it.strength {
                    Strength::Hard => None,
                    Strength::Soft(weight) => Some(weight),
                },
            })
            .collect(),
        spread: rules
            .spread
            .iter()
            .map(|it| model::Spread {
                domain: it.domain.clone(),
                who: who(&it.who),
                skew_max: Some(it.skew_max),
                domains_min: Some(it.domains_min).filter(|it| *it != 1),
                hard: (!it.is_hard).then_some(false),
            })
            .collect(),
        limits: rules
            .limits
            .iter()
            .map(|it| model::Limit { domain: it.domain.clone(), max: it.max, who: who(&it.who) })
            .collect(),
    }
}

fn container(it: &Container) -> model::Container {
    let [cpu, memory, disk] = it.demand.amounts.array();
    let amount = |amount: u64, resource: Resource| {
        (amount > 0 || it.zero.contains(&resource)).then(|| amount.into())
    };
    let devices = it.demand.gpus.count;
    model::Container {
        image: it.image.clone(),
        cpu_milli: amount(cpu, Resource::Cpu),
        memory_bytes: amount(memory, Resource::Memory),
        disk_bytes: amount(disk, Resource::Disk),
        gpus: (devices > 0 || it.zero.contains(&Resource::Gpu)).then_some(devices),
        ..model::Container::default()
    }
}

fn port(it: &Port) -> model::Port {
    match it.protocol {
        Protocol::Tcp => model::Port::Number(it.number),
        Protocol::Udp => model::Port::Text(format!("{}/udp", it.number)),
    }
}

fn effect(it: Effect) -> model::Effect {
    match it {
        Effect::NoSchedule => model::Effect::NoSchedule,
        Effect::PreferNoSchedule => model::Effect::PreferNoSchedule,
        Effect::NoExecute => model::Effect::NoExecute,
    }
}

fn toleration(it: &Toleration) -> TextOr<model::Toleration> {
    let mut text = it.key.clone().unwrap_or_else(|| "*".to_owned());
    if let Some(value) = &it.value {
        text = format!("{text}={value}");
    }
    if let Some(effect) = it.effect {
        text = format!("{text}:{effect}");
    }
    if check::toleration_text(&text).as_ref() == Some(it) {
        return TextOr::Text(text);
    }
    let (key, value) = (it.key.clone(), it.value.clone());
    TextOr::Full(model::Toleration { key, value, effect: it.effect.map(effect) })
}

fn tests(all: &[Requirement]) -> Vec<TextOr<model::Test>> {
    all.iter().map(test).collect()
}

/// In short where that reads back as the same.
fn test(it: &Requirement) -> TextOr<model::Test> {
    let text = requirement::print(it);
    if requirement::read(&text).as_ref() == Some(it) {
        return TextOr::Text(text);
    }
    let mut full = model::Test { attribute: it.attribute.clone(), ..model::Test::default() };
    match &it.test {
        Test::In(values) => full.is_in = Some(values.clone()),
        Test::NotIn(values) => full.not_in = Some(values.clone()),
        Test::Exists => full.exists = Some(true),
        Test::Absent => full.absent = Some(true),
        Test::Above(bound) => full.above = Some(*bound),
        Test::Below(bound) => full.below = Some(*bound),
        Test::Matches(pattern) => full.matches = Some(pattern.as_str().to_owned()),
        // These have the short form only.
        Test::Misses(_) | Test::Ordered(..) => return TextOr::Text(text),
    }
    TextOr::Full(full)
}

fn who(it: &Who) -> model::Who {
    match it {
        Who::Group => model::Who::Word(model::GroupWord::Group),
        Who::Labels { all, namespaces } if namespaces.is_empty() => model::Who::Labels(tests(all)),
        Who::Labels { all, namespaces } => {
            let (labels, namespaces) = (tests(all), namespaces.clone());
            model::Who::Selector(model::Selector { labels, namespaces })
        }
    }
}
