//! Cases of `swarm-classic`. Nodes are given in several orders; the answer may not depend on it.

use schedulers::swarm::explain::Explanation;
use schedulers::swarm::expression::{Expressions, Soft};
use schedulers::swarm::filters::Filter;
use schedulers::swarm::model::{Binding, Container, Image, Network, Node, Request};
use schedulers::swarm::strategy::Strategy;
use schedulers::swarm::{Failure, Scheduler};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    policy: Policy,
    cluster: Cluster,
    #[serde(default)]
    task: Option<Task>,
    #[serde(default)]
    expect: Option<Expect>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    stage: String,
    #[serde(default)]
    strategy: Option<String>,
    filters: Vec<String>,
    #[serde(default)]
    soft: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    nodes: Vec<Engine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Engine {
    id: String,
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    total_memory_bytes: i64,
    #[serde(default)]
    total_cpus: i64,
    health: i64,
    #[serde(default)]
    images: Vec<EngineImage>,
    #[serde(default)]
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineImage {
    id: String,
    #[serde(default)]
    repo_tags: Vec<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Task {
    id: String,
    name: String,
    labels: BTreeMap<String, String>,
    memory_bytes: i64,
    cpus: i64,
    constraints: Vec<String>,
    affinities: Vec<String>,
    whitelists: Vec<String>,
    ports: Vec<Port>,
    runtime_ports: Vec<Port>,
    network_mode: String,
    exposed_ports: Vec<String>,
    volumes_from: Vec<String>,
    links: Vec<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Port {
    port: String,
    host_ip: String,
    host_port: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    task: Task,
    expect: Expect,
    #[serde(default)]
    apply: String,
    #[serde(default)]
    remove_all_from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
enum Expect {
    None,
    NodeSet { nodes: BTreeSet<String> },
    Feasible { nodes: BTreeSet<String> },
    Unschedulable { reason: Option<String> },
}

impl Task {
    fn request(&self) -> Request {
        Request {
            memory_bytes: self.memory_bytes,
            cpus: self.cpus,
            labels: self.labels.clone(),
            constraints: Expressions::read(&self.constraints),
            affinities: Expressions::read(&self.affinities),
            whitelists: Expressions::read(&self.whitelists),
            ports: bindings(&self.ports),
            network: Network::read(&self.network_mode),
            exposed_ports: self.exposed_ports.clone(),
            volumes_from: self.volumes_from.clone(),
            links: self.links.clone(),
        }
    }

    fn container(&self) -> Container {
        let name = (!self.name.is_empty()).then(|| format!("/{}", self.name));
        Container {
            id: self.id.clone(),
            names: name.into_iter().collect(),
            request: Arc::new(self.request()),
            runtime_ports: bindings(&self.runtime_ports),
        }
    }
}

fn bindings(ports: &[Port]) -> Vec<Binding> {
    let binding = |it: &Port| Binding {
        port: it.port.clone(),
        host_ip: it.host_ip.clone(),
        host_port: it.host_port.clone(),
    };
    ports.iter().map(binding).collect()
}

impl Engine {
    fn node(self) -> Node {
        let image = |it: EngineImage| Image { id: it.id, repo_tags: it.repo_tags };
        let mut node = Node {
            id: self.id,
            name: self.name,
            labels: self.labels,
            total_memory_bytes: self.total_memory_bytes,
            total_cpus: self.total_cpus,
            health: self.health,
            images: self.images.into_iter().map(image).collect(),
            ..Node::default()
        };
        self.tasks.iter().for_each(|it| node.add(it.container()));
        node
    }
}

/// Compares an answer for the nodes in their order with what is expected.
fn compare(
    expect: &Expect,
    nodes: &[Node],
    rows: &[usize],
    result: Result<(), Failure>,
    text: impl Fn(Failure) -> String,
) -> Result<(), String> {
    let got: BTreeSet<String> = rows.iter().map(|&row| nodes[row].id.clone()).collect();
    match (expect, result) {
        (Expect::None, _) => Ok(()),
        (Expect::NodeSet { nodes } | Expect::Feasible { nodes }, Ok(())) if *nodes == got => Ok(()),
        (Expect::Unschedulable { reason }, Err(why)) => match reason {
            Some(reason) if *reason != text(why) => Err(format!("says {:?}", text(why))),
            _ => Ok(()),
        },
        (_, Ok(())) => Err(format!("got {got:?}")),
        (_, Err(why)) => Err(format!("got {:?}", text(why))),
    }
}

pub(super) fn run(case: &Value) -> Result<(), String> {
    let case: Case = serde_json::from_value(case.clone()).map_err(|it| it.to_string())?;
    let filter = |it: &String| Filter::named(it).ok_or_else(|| format!("unknown filter {it:?}"));
    let strategy = match &case.policy.strategy {
        None => Strategy::default(),
        Some(word) => {
            let found = Strategy::WORDS.iter().find(|it| it.0 == word);
            found.ok_or_else(|| format!("unknown strategy {word:?}"))?.1
        }
    };
    let filters = case.policy.filters.iter().map(filter).collect::<Result<_, _>>()?;
    let scheduler = Scheduler { strategy, filters };
    let mut nodes: Vec<Node> = case.cluster.nodes.into_iter().map(Engine::node).collect();
    let orders = nodes.len().clamp(1, 4);
    let mut rows = Vec::new();
    match case.policy.stage.as_str() {
        "filter" => {
            let (Some(task), Some(expect)) = (&case.task, &case.expect) else {
                return Err("no task or no expectation".to_owned());
            };
            let soft = match case.policy.soft {
                Some(false) => Soft::Dropped,
                _ => Soft::Kept,
            };
            let request = task.request();
            for _ in 0..orders {
                let result = scheduler.filter(&request, &nodes, soft, &mut rows, &mut ());
                compare(expect, &nodes, &rows, result, |it| scheduler.text(it, &request))?;
                nodes.rotate_left(1);
            }
            Ok(())
        }
        "sequence" => {
            for (at, step) in case.steps.iter().enumerate() {
                let request = step.task.request();
                if let Some(id) = &step.remove_all_from {
                    find(&mut nodes, id)?.clear();
                }
                if !matches!(step.expect, Expect::None) {
                    for _ in 0..orders {
                        let result = scheduler.decide(&request, &nodes, &mut rows, &mut ());
                        compare(&step.expect, &nodes, &rows, result, |it| {
                            scheduler.text(it, &request)
                        })
                        .map_err(|why| format!("step {at}: {why}"))?;
                        explained(&scheduler, &request, &nodes, &rows, result)?;
                        nodes.rotate_left(1);
                    }
                }
                if !step.apply.is_empty() {
                    find(&mut nodes, &step.apply)?.add(step.task.container());
                }
            }
            Ok(())
        }
        other => Err(format!("unknown stage {other:?}")),
    }
}

/// With explanations on, the same is decided.
fn explained(
    scheduler: &Scheduler,
    request: &Request,
    nodes: &[Node],
    rows: &[usize],
    result: Result<(), Failure>,
) -> Result<(), String> {
    let mut explanation = Explanation::default();
    let mut best = Vec::new();
    let again = scheduler.decide(request, nodes, &mut best, &mut explanation);
    let last = explanation.passes.last().ok_or("nothing is explained")?;
    if again != result || best != rows || last.best != rows || last.failure != result.err() {
        return Err(format!("explained as {last:?}"));
    }
    Ok(())
}

fn find<'n>(nodes: &'n mut [Node], id: &str) -> Result<&'n mut Node, String> {
    nodes.iter_mut().find(|it| it.id == id).ok_or_else(|| format!("no node {id:?}"))
}
