//! ECS app files as a workload: what `bayplan live up --app` runs, for the simulator.

use crate::error::{Failure, did_you_mean, io};
use crate::live_error;
use crate::plan::{Cluster, Plan};
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::constraint::Constraints;
use cluster::event::{Event, NodeEvent, NodeReport, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{NodeSpec, Overcommit};
use cluster::units::{Instant, Span};
use runtime::app::{App, NodeWish, QueryProblem};
use runtime::engine::HostInfo;
use runtime::hosts;
use schedulers::ecs::query::vocabulary;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use traces::Workload;
use traces::card::Card;
use traces::workload::Oversized;

/// What an app brings besides its nodes and its tasks.
#[derive(Debug)]
pub struct AppInput {
    /// Nodes, definitions, tasks, services and wishes, in time order.
    pub arrivals: Vec<Arrival>,
    /// By group id.
    pub groups: Vec<String>,
    /// How long tasks of services run, where the app says so.
    pub service_lifetimes: BTreeMap<GroupId, Span>,
    /// What the simulation leaves out, each with its place.
    pub warnings: Vec<String>,
}

/// Reads the app of a plan and puts it on the plan's cluster. The workload holds its nodes and its tasks;
/// all that it does is in the [`AppInput`].
///
/// A service's tasks run as long as its first definition says.
///
/// # Errors
///
/// Whatever is wrong with the app, at its place; a definition that fits no node; a wish for a node that is
/// not there; something that never ends in a run without an end.
pub fn read(plan: &Plan, overcommit: Overcommit) -> Result<(Workload, AppInput), Failure> {
    let mut texts = Vec::new();
    for path in &plan.apps {
        let text = std::fs::read_to_string(path).map_err(|it| io("read", path, &it))?;
        texts.push((text, path.display().to_string()));
    }
    let files: Vec<(&str, &str)> = texts.iter().map(|it| (&*it.0, &*it.1)).collect();
    let app = App::read_all(&files, &member_of).map_err(|it| live_error::app(&it, &files))?;
    let brought = app.arrivals();
    let mut warnings: Vec<String> = app.warnings.iter().map(ToString::to_string).collect();
    let Some(cluster) = &plan.cluster else {
        return Err(Failure::new("an app brings no nodes of its own").help(
            "give a cluster, such as --cluster uniform:3,cpu=4,mem=16GiB,zones=3, --cluster nodes.csv, or \
             the hosts.toml of a live one",
        ));
    };
    let card = Card {
        source: files.iter().map(|it| it.1).collect::<Vec<_>>().join(", "),
        format: "ecs-app".into(),
        assumptions: vec![
            "tasks run as long as the app's lifetimes say, those of services too; others until they are \
             stopped"
                .into(),
            "nothing is unhealthy, and no start fails".into(),
        ],
        ..Card::default()
    };
    let is_plain = |it: &&Arrival| matches!(it.what, What::Definition { .. } | What::Task(_));
    let tasks: Vec<Arrival> = brought.arrivals.iter().filter(is_plain).cloned().collect();
    let workload = on_cluster(card, tasks, cluster)?;
    let files = Files(files);
    let names: Vec<String> = app.definitions.iter().map(|it| it.spec.name.clone()).collect();
    if plan.read.oversized != Oversized::Keep {
        enforce_fits(plan, &brought.arrivals, &names, overcommit, &files)?;
    }

    let mut service_lifetimes = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for arrival in &brought.arrivals {
        let What::Told(Event::ServicePut { service, spec }) = &arrival.what else { continue };
        let lifetime = app.definitions[spec.definition.row()].lifetime;
        if *seen.entry(*service).or_insert(lifetime) != lifetime {
            warnings.push(format!(
                "service {}: its definitions have several lifetimes; the first is taken for all tasks",
                spec.name
            ));
        }
        if let Some(&Some(lifetime)) = seen.get(service) {
            service_lifetimes.insert(*service, lifetime);
        }
    }
    if plan.until.is_none() {
        refuse_endless(&brought.arrivals, &names, &files)?;
    }

    // Nodes before all else, and wishes last, of what happens at one moment.
    let mut arrivals: Vec<Arrival> = workload
        .node_events()
        .map(|(at, node, event)| Arrival { at, what: What::Node { node, event: event.clone() } })
        .collect();
    arrivals.extend(brought.arrivals);
    for (at, wish) in &brought.wishes {
        arrivals.push(resolve(Instant::ZERO + *at, wish, &workload, &files)?);
    }
    arrivals.sort_by_key(|it| it.at);
    let groups = brought.groups;
    Ok((workload, AppInput { arrivals, groups, service_lifetimes, warnings }))
}

/// Placement constraints of app files speak the language of ECS.
///
/// # Errors
///
/// The first thing that cannot be read, or kept by every policy.
pub fn member_of(expressions: &[&str], group: &str) -> Result<Constraints, QueryProblem> {
    vocabulary::constraints(expressions, group).map_err(|it| QueryProblem {
        expression: it.expression,
        column: it.column,
        why: it.fault.to_string(),
        help: it.fault.help().to_owned(),
    })
}

/// A workload of definitions and tasks with the nodes of a cluster.
fn on_cluster(card: Card, tasks: Vec<Arrival>, cluster: &Cluster) -> Result<Workload, Failure> {
    let mut workload = Workload::from_stream(card, &mut tasks.into_iter())
        .map_err(|it| Failure::new(it.to_string()))?;
    cluster.give_to(&mut workload)?;
    Ok(workload)
}

/// Refuses definitions that are used and fit no node, not even an empty one.
fn enforce_fits(
    plan: &Plan,
    arrivals: &[Arrival],
    names: &[String],
    overcommit: Overcommit,
    files: &Files<'_>,
) -> Result<(), Failure> {
    let Some(cluster) = &plan.cluster else { return Ok(()) };
    let used: BTreeSet<DefinitionId> = arrivals
        .iter()
        .filter_map(|it| match &it.what {
            What::Task(task) => Some(task.submission.definition),
            What::Told(Event::ServicePut { spec, .. }) => Some(spec.definition),
            _ => None,
        })
        .collect();
    let definitions = arrivals.iter().filter(|it| matches!(it.what, What::Definition { .. }));
    let one_each = used.iter().zip(0..).map(|(&definition, id)| Arrival {
        at: Instant::ZERO,
        what: What::Task(TaskArrival {
            submission: Submission {
                task: TaskId(id),
                definition,
                group: None,
                kind: TaskKind::Job,
                priority: 0,
                estimate: None,
                on_loss: OnLoss::Restart,
            },
            lifetime: None,
            withdrawn: None,
            resident: None,
        }),
    });
    let tasks = definitions.cloned().chain(one_each).collect();
    let workload = on_cluster(Card::default(), tasks, cluster)?;
    let Some(found) = workload.check_fits(overcommit).into_iter().next() else { return Ok(()) };
    let definition = used.iter().nth(found.task.0 as usize).expect("one task each");
    let name = &names[definition.row()];
    let failure =
        Failure::new(format!("task definition {name} fits no node: it asks for {}", found.wants))
            .help("give larger nodes, or let its tasks wait with --oversized keep");
    Err(files.mark(failure, "family", family(name)))
}

/// A definition's name without its revision.
fn family(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |it| it.0)
}

/// Texts and paths of the app's files.
struct Files<'a>(Vec<(&'a str, &'a str)>);

impl Files<'_> {
    /// Marks the first place that says `"key": "value"`.
    fn mark(&self, failure: Failure, key: &str, value: &str) -> Failure {
        let (key, value) = (format!("{key:?}"), format!("{value:?}"));
        for (text, path) in &self.0 {
            let is_of_key = |at: usize| {
                let before = text[..at].trim_end().strip_suffix(':');
                before.is_some_and(|it| it.trim_end().ends_with(&key))
            };
            let found = text.match_indices(&value).map(|it| it.0).find(|&at| is_of_key(at));
            if let Some(at) = found {
                return failure.mark(path, text, at..at + value.len(), "here");
            }
        }
        failure
    }
}

/// Refuses what never ends, because the run would not either.
fn refuse_endless(
    arrivals: &[Arrival],
    names: &[String],
    files: &Files<'_>,
) -> Result<(), Failure> {
    let mut alive: BTreeMap<GroupId, &str> = BTreeMap::new();
    for arrival in arrivals {
        match &arrival.what {
            What::Told(Event::ServicePut { service, spec }) if spec.desired > 0 => {
                alive.insert(*service, &spec.name);
            }
            What::Told(Event::ServicePut { service, .. } | Event::ServiceDeleted { service }) => {
                alive.remove(service);
            }
            What::Task(task) if task.lifetime.is_none() => {
                let name = &names[task.submission.definition.row()];
                let family = family(name);
                let failure = Failure::new(format!(
                    "tasks of {name} never end, so the run would not"
                ))
                .help(format!(
                    "say when to stop with --until 10m, or how long they run with \"lifetimes\": \
                         {{\"{family}\": \"30s\"}}"
                ));
                return Err(files.mark(failure, "family", family));
            }
            _ => {}
        }
    }
    let Some((_, name)) = alive.first_key_value() else { return Ok(()) };
    let failure = Failure::new(format!("service {name} never ends, so the run would not"))
        .help("say when to stop with --until 10m, or delete the service in the script");
    Err(files.mark(failure, "serviceName", name))
}

/// A wish for a node, by the number that the cluster gives it.
fn resolve(
    at: Instant,
    wish: &NodeWish,
    workload: &Workload,
    files: &Files<'_>,
) -> Result<Arrival, Failure> {
    let (NodeWish::Drain(name) | NodeWish::Activate(name)) = wish;
    let there: Vec<(&str, NodeId)> = workload
        .node_events()
        .filter(|it| it.0 <= at)
        .filter_map(|(_, node, event)| match event {
            NodeEvent::Joined(spec) => Some((spec.name.as_str(), node)),
            _ => None,
        })
        .collect();
    let Some(&(_, node)) = there.iter().find(|it| it.0 == name) else {
        let meant = did_you_mean(name, there.iter().map(|it| it.0));
        let some: Vec<&str> = there.iter().map(|it| it.0).take(8).collect();
        let more = if there.len() > some.len() { ", …" } else { "" };
        let failure =
            Failure::new(format!("the script names node {name:?}, which is not there at {at}"))
                .help(format!("{meant}there are {}{more}", some.join(", ")));
        return Err(files.mark(failure, "node", name));
    };
    let what = match wish {
        NodeWish::Drain(_) => What::Node { node, event: NodeEvent::Draining },
        NodeWish::Activate(_) => {
            What::Told(Event::NodeReported { node, report: NodeReport::Activated })
        }
    };
    Ok(Arrival { at, what })
}

/// The nodes that a `hosts.toml` declares, without asking Docker.
///
/// # Errors
///
/// Whatever is wrong with the file; a host whose cpu or memory only Docker knows.
pub fn declared(path: &Path) -> Result<Vec<NodeSpec>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|it| io("read", path, &it))?;
    let shown = path.display().to_string();
    let hosts = hosts::read(&text, &shown).map_err(|it| live_error::hosts(&it, &text))?;
    hosts
        .iter()
        .map(|host| {
            let (Some(cpu), Some(memory)) = (host.capacity.cpu, host.capacity.memory) else {
                let missing = if host.capacity.cpu.is_none() { "cpu" } else { "memory" };
                return Err(Failure::new(format!(
                    "{shown}: host {} declares no {missing}, and a simulation does not ask Docker",
                    host.name
                ))
                .help("add capacity = { cpu = 4, memory = \"8GiB\" } to the host"));
            };
            let reported = HostInfo { cpu, memory, ..HostInfo::default() };
            Ok(host.node_spec(&reported).0)
        })
        .collect()
}
