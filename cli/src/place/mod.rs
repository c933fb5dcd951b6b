//! `bayplan place`: one decision, explained.

pub mod document;
mod scene;
pub mod show;
mod why_not;

use crate::args::{Format, Global, Place};
use crate::error::{Failure, did_you_mean};
use crate::plan;
use crate::print;
use cluster::explain::{NodeRef, Outcome};
use cluster::rules::Rules;
use document::{Decision, Document};
use scene::{Decided, Scene};
use schedulers::policy::Policy;
use traces::scenario::{Scenario, ScenarioTask, schema};

/// Runs `bayplan place`.
///
/// # Errors
///
/// Bad input, or a decision other than the one explained.
pub fn place(args: &Place, global: &Global) -> Result<(), Failure> {
    if args.schema {
        return print::line(&schema());
    }
    let policy = plan::policy(&args.policy)?;
    let rules = Rules {
        order: plan::queue_order(&args.queue)?,
        overcommit: args.overcommit.as_deref().map_or(Ok(Default::default()), plan::overcommit)?,
        ..Rules::default()
    };
    let Some(path) = &args.scenario else {
        return Err(Failure::new("there is no scenario to place a task in")
            .help("name a scenario file; --schema prints what may stand in it"));
    };
    let scenario = Scenario::read(path)?;
    let asked = asked(&scenario, args.task.as_deref())?;
    let name = |it: cluster::ids::TaskId| scenario.tasks[it.0 as usize].name.clone();
    let scene = Scene::of(rules, scenario.arrivals(), name);
    let input = path.display().to_string();
    let mut document = Document::new(input, policy.to_string(), global.seed);
    for task in asked {
        document.decisions.push(one(&scene, &policy, global.seed, task, args)?);
    }
    show::show(&document, if args.json { Format::Json } else { global.format })
}

/// The tasks that are asked about: the one named, else those to be placed, else the first that waits.
fn asked<'a>(scenario: &'a Scenario, name: Option<&str>) -> Result<Vec<&'a ScenarioTask>, Failure> {
    let waiting = || scenario.tasks.iter().filter(|it| it.arrival.resident.is_none());
    if let Some(name) = name {
        let Some(task) = scenario.tasks.iter().find(|it| it.name == name) else {
            let meant = did_you_mean(name, waiting().map(|it| it.name.as_str()));
            return Err(Failure::new(format!("there is no task {name:?} in {}", scenario.source))
                .help(format!("{meant}--task names one that waits or is to be placed")));
        };
        if task.arrival.resident.is_some() {
            return Err(Failure::new(format!("{name} runs already"))
                .help("--task names one that waits or is to be placed"));
        }
        return Ok(vec![task]);
    }
    let mut asked: Vec<&ScenarioTask> = scenario.to_place().collect();
    if asked.is_empty() {
        asked.extend(waiting().next());
    }
    if asked.is_empty() {
        return Err(Failure::new(format!("{} has no task to place", scenario.source))
            .help("say which under \"place\", such as \"place\": {\"definition\": \"web\"}"));
    }
    Ok(asked)
}

fn one(
    scene: &Scene,
    policy: &Policy,
    seed: u64,
    task: &ScenarioTask,
    args: &Place,
) -> Result<Decision, Failure> {
    let id = task.arrival.submission.task;
    let Some(Decided { mut explanation, node, devices, evicts }) = scene.decide(policy, seed, id)
    else {
        return Err(Failure::new(format!("{} does not wait for a place", task.name)).found());
    };
    explanation.notes.extend(document::leaving(&explanation.outcome, |it| scene.task_name(it)));
    if explanation.outcome == Outcome::Unsaid {
        let note = "the policy does not explain itself: this is what it decides, beside what binds every policy";
        explanation.notes.push(note.to_owned());
        if let Some(id) = node {
            let name = scene.nodes[id.row()].spec.name.clone();
            explanation.outcome = Outcome::Placed { node: NodeRef { id, name }, devices };
        }
    } else if evicts && explanation.outcome.node() != node {
        let name = node.map(|it| scene.nodes[it.row()].spec.name.clone());
        let place = name.map_or("waits".to_owned(), |it| format!("is on {it}"));
        let note = format!("others make room for themselves then: in the end it {place}");
        explanation.notes.push(note);
    } else if explanation.outcome.node() != node {
        let Some(taken) = node.and_then(|it| explanation.tied.iter().find(|tied| tied.id == it))
        else {
            return Err(Failure::new(format!(
                "{policy} decides otherwise about {} than it explains",
                task.name
            ))
            .help("this is a fault of Bayplan: please report it with the scenario")
            .found());
        };
        let note = format!(
            "asked alone it would take this node; placed with others it takes {}",
            taken.name
        );
        explanation.notes.push(note);
        explanation.outcome = Outcome::Placed { node: taken.clone(), devices };
    }
    let why_not = match &args.why_not {
        None => None,
        Some(name) => {
            let Some(node) = scene.node(name) else {
                let known = scene.nodes.iter().map(|it| it.spec.name.as_str());
                let meant = did_you_mean(name, known);
                return Err(Failure::new(format!("--why-not: there is no node {name:?}"))
                    .help(format!("{meant}the scenario's \"nodes\" name them")));
            };
            Some(why_not::why_not(scene, policy, seed, id, &explanation, node))
        }
    };
    let decision = Decision::new(task.name.clone(), explanation);
    Ok(Decision { why_not, ..decision })
}
