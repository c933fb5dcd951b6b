//! What a controller is asked, and what it answers.

use super::brain::Brain;
use crate::agent::Order;
use crate::control::{Answer, Applied, NodeVerdict, Request};
use crate::engine::EngineError;
use crate::plan::{Plan, PlanDefinition, Wish};
use crate::program::{Overrides, Program};
use crate::store::StoreError;
use cluster::event::TaskKind;
use cluster::explain::{NodeExplanation, Term, Verdict};
use cluster::ids::{DefinitionId, TaskId};
use cluster::units::Instant;
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// More is a slip of the finger.
const TASKS_MAX: u32 = 10_000;

/// What follows from a request.
pub(super) enum Response {
    /// Said once all is on disk.
    Say(Answer),
    /// An agent is reading; what it says is the answer.
    Reading(Reading),
    /// All is given up; what remains is to remove it from the hosts, and to end.
    Down,
    /// The controller ends.
    End,
}

/// What an agent reads of a container.
pub(super) type Reading = oneshot::Receiver<Result<Option<Vec<u8>>, EngineError>>;

/// Why something cannot be done, and what to do next.
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) help: String,
}

impl From<Refused> for Answer {
    fn from(Refused { what, help }: Refused) -> Self {
        Self::Refused { what, help }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        refused(error.to_string(), error.help())
    }
}

impl Brain {
    pub(super) fn ask(&mut self, now: Instant, request: Request) -> Response {
        let answer = match request {
            Request::Logs { task, container, lines } => match self.logs(&task, container, lines) {
                Ok(reading) => return Response::Reading(reading),
                Err(refused) => Err(refused),
            },
            Request::Down => {
                self.give_up(now);
                return Response::Down;
            }
            Request::End => return Response::End,
            request => self.answer(now, request),
        };
        Response::Say(answer.unwrap_or_else(Answer::from))
    }

    fn answer(&mut self, now: Instant, request: Request) -> Result<Answer, Refused> {
        Ok(match request {
            Request::Status => Answer::Status(self.status(now.0)),
            Request::Apply { plan, once } => self.apply(now, plan, once)?,
            Request::Run { definition, count, group, overrides } => {
                self.run(now, &definition, count, group, &overrides)?
            }
            Request::Scale { service, desired } => self.scale(now, &service, desired)?,
            Request::StopTasks { tasks } => self.stop_tasks(now, &tasks)?,
            Request::DeleteServices { services } => self.delete_services(now, services)?,
            Request::Drain { node, undo } => self.drain(now, node, undo)?,
            Request::Tasks { ended } => Answer::Tasks(self.task_views(ended)?),
            Request::Nodes => Answer::Nodes(self.node_views()),
            Request::Services => Answer::Services(self.service_views()),
            Request::Events { from, limit } => Answer::Events(self.event_views(from, limit)?),
            Request::Explain { task } => self.explain(now, &task)?,
            Request::Logs { .. } | Request::Down | Request::End => {
                unreachable!("not answered at once")
            }
        })
    }

    fn apply(&mut self, now: Instant, plan: Plan, once: Option<String>) -> Result<Answer, Refused> {
        if let Some(known) = once.as_ref().and_then(|it| self.notes.applied.get(it)) {
            return Ok(Answer::Applied(Applied { was_known: true, ..known.clone() }));
        }
        self.check(&plan)?;
        let definitions: Vec<DefinitionId> = plan
            .definitions
            .into_iter()
            .map(|PlanDefinition { spec, program }| self.put_definition(now, spec, program))
            .collect();
        let first = self.notes.next_task;
        let mut tasks = Vec::new();
        let mut later = 0;
        for step in plan.steps {
            let wish = step.wish.renumbered(&definitions, first).expect("it was checked");
            if let Wish::Submit { task, .. } = wish {
                tasks.push(task.to_string());
            }
            if step.at.0 == 0 && later == 0 {
                self.notes.next_task = first + tasks.len() as u64;
                self.fulfil(now, wish);
            } else {
                later += 1;
                self.put_off(now + step.at, wish);
            }
        }
        self.notes.next_task = first + tasks.len() as u64;
        let name = |it: &DefinitionId| self.state().definition(*it).name.clone();
        let definitions = definitions.iter().map(name).collect();
        let applied = Applied { was_known: false, definitions, tasks, later };
        if let Some(digest) = once {
            self.notes.applied.insert(digest, applied.clone());
        }
        Ok(Answer::Applied(applied))
    }

    /// Whether a plan can be carried out at all. It may come from anybody who can open the socket.
    fn check(&self, plan: &Plan) -> Result<(), Refused> {
        let broken = |what: String| refused(what, "this is a fault of the program that sent it");
        for (row, it) in plan.definitions.iter().enumerate() {
            let names = it.spec.containers.iter().map(|it| &it.name);
            let programs = it.program.containers.iter();
            let same = names.eq(programs.clone().map(|it| &it.name));
            if it.spec.containers.is_empty() || !same || !programs.clone().any(|it| it.essential) {
                return Err(broken(format!(
                    "definition {row} of the plan does not fit its program"
                )));
            }
        }
        let mut submitted = 0;
        let mut at = cluster::units::Span::ZERO;
        for (row, step) in plan.steps.iter().enumerate() {
            let is_known = |it: &DefinitionId| it.row() < plan.definitions.len();
            let fits = match &step.wish {
                Wish::PutService { definition, name, .. } => {
                    is_known(definition) && !name.is_empty()
                }
                Wish::Submit { task, definition, .. } => {
                    submitted += 1;
                    is_known(definition) && task.0 + 1 == submitted
                }
                Wish::Cancel { task } => task.0 < submitted,
                Wish::DeleteService { .. } => true,
                Wish::Drain { node } | Wish::Activate { node } => {
                    self.find_node(node)?;
                    true
                }
            };
            if !fits || step.at < at {
                return Err(broken(format!("step {row} of the plan makes no sense")));
            }
            at = step.at;
        }
        Ok(())
    }

    fn run(
        &mut self,
        now: Instant,
        definition: &str,
        count: u32,
        group: Option<String>,
        overrides: &Overrides,
    ) -> Result<Answer, Refused> {
        let found = self.programs.iter().filter(|it| {
            self.state().definition(*it.0).name == definition || it.1.family == definition
        });
        let last = found.max_by_key(|it| (it.1.revision, *it.0)).map(|it| (*it.0, it.1.clone()));
        let Some((id, program)) = last else {
            let known = self.programs.keys().map(|it| self.state().definition(*it).name.clone());
            return Err(self.unknown("definition", definition, known.collect()));
        };
        if !(1..=TASKS_MAX).contains(&count) {
            return Err(refused(format!("{count} tasks at once"), "ask for 1 to 10000"));
        }
        let overrides = &for_the_only_container(&program, overrides)?;
        for name in overrides.commands.keys().chain(overrides.env.keys()) {
            if !program.containers.iter().any(|it| it.name == *name) {
                let known = program.containers.iter().map(|it| it.name.clone()).collect();
                return Err(self.unknown("container", name, known));
            }
        }
        let mut tasks = Vec::new();
        for _ in 0..count {
            let task = TaskId(self.notes.next_task);
            self.notes.next_task += 1;
            tasks.push(task);
            let changes = *overrides != Overrides::default();
            self.fulfil(
                now,
                Wish::Submit {
                    task,
                    definition: id,
                    group: Some(group.clone().unwrap_or(format!("family:{}", program.family))),
                    kind: TaskKind::Job,
                    priority: 0,
                    estimate: None,
                    overrides: changes.then(|| overrides.clone()),
                },
            );
        }
        Ok(Answer::Tasks(tasks.into_iter().filter_map(|it| self.task_view(it)).collect()))
    }

    fn scale(&mut self, now: Instant, name: &str, desired: u32) -> Result<Answer, Refused> {
        let Some(spec) = self.service(name).and_then(|it| self.state().service(it)) else {
            return Err(self.unknown("service", name, self.service_names()));
        };
        if desired > TASKS_MAX {
            let what = format!("{desired} tasks of one service");
            return Err(refused(what, "ask for at most 10000"));
        }
        let spec = spec.spec.clone();
        let (before, definition, priority) = (spec.desired, spec.definition, spec.priority);
        let wish = Wish::PutService { name: spec.name, definition, desired, priority };
        self.fulfil(now, wish);
        Ok(done(vec![format!("service {name}: {before} → {desired} tasks")]))
    }

    fn stop_tasks(&mut self, now: Instant, names: &[String]) -> Result<Answer, Refused> {
        let mut ids = BTreeSet::new();
        for name in names {
            ids.insert(self.find_task(name)?);
        }
        let mut notes = Vec::new();
        for task in ids {
            if self.state().task(task).is_some() {
                self.fulfil(now, Wish::Cancel { task });
                notes.push(format!("{task} is stopped"));
            } else {
                notes.push(format!("{task} had ended before"));
            }
        }
        Ok(done(notes))
    }

    fn delete_services(&mut self, now: Instant, names: Vec<String>) -> Result<Answer, Refused> {
        if let Some(name) = names.iter().find(|it| self.service(it).is_none()) {
            return Err(self.unknown("service", name, self.service_names()));
        }
        let mut notes = Vec::new();
        for name in names {
            notes.push(format!("service {name} is deleted, its tasks are stopped"));
            self.fulfil(now, Wish::DeleteService { name });
        }
        Ok(done(notes))
    }

    fn drain(&mut self, now: Instant, node: String, undo: bool) -> Result<Answer, Refused> {
        self.find_node(&node)?;
        if self.state().nodes().by_name(&node).is_none() {
            return Err(refused(
                format!("{node} was never reached, so it has nothing to drain"),
                "wait until `bayplan live nodes` shows it as ready",
            ));
        }
        let note =
            if undo { format!("{node} takes tasks again") } else { format!("{node} drains") };
        self.fulfil(now, if undo { Wish::Activate { node } } else { Wish::Drain { node } });
        Ok(done(vec![note]))
    }

    fn explain(&mut self, now: Instant, name: &str) -> Result<Answer, Refused> {
        let task = self.find_task(name)?;
        let mut found = self.explanation(task)?.ok_or_else(|| no_task(name))?;
        if let Some(said) = self.manager.explain_nodes(now, task) {
            found.nodes = said.nodes.into_iter().map(verdict).collect();
        }
        Ok(Answer::Explained(Box::new(found)))
    }

    fn logs(
        &mut self,
        name: &str,
        container: Option<String>,
        lines: u32,
    ) -> Result<Reading, Refused> {
        let task = self.find_task(name)?;
        let found = self.state().task(task);
        let Some(found) = found else {
            return Err(refused(
                format!("{name} is over, and its containers are removed"),
                "logs are read while a task runs",
            ));
        };
        let (attempt, definition) = (found.attempts, found.definition);
        let Some(node) = found.placement().map(|it| it.node) else {
            return Err(refused(format!("{name} waits and has written nothing"), "see `explain`"));
        };
        if let Some(container) = &container {
            let program = &self.programs[&definition];
            if !program.containers.iter().any(|it| it.name == *container) {
                let known = program.containers.iter().map(|it| it.name.clone()).collect();
                return Err(self.unknown("container", container, known));
            }
        }
        let (reply, reading) = oneshot::channel();
        self.order(node, Order::Logs { task, attempt, container, lines, reply });
        Ok(reading)
    }

    fn find_task(&self, name: &str) -> Result<TaskId, Refused> {
        let id = name.parse::<TaskId>().map_err(|_| {
            refused(format!("{name:?} is no task"), "tasks are named like t12 or r3: see `ps`")
        })?;
        let is_known = id.is_replica() || id.0 < self.notes.next_task;
        if is_known { Ok(id) } else { Err(no_task(name)) }
    }

    fn find_node(&self, name: &str) -> Result<(), Refused> {
        if self.state().nodes().by_name(name).is_some() || self.hosts.contains_key(name) {
            return Ok(());
        }
        let known = self.node_views().into_iter().map(|it| it.node).collect();
        Err(self.unknown("node", name, known))
    }

    fn service_names(&self) -> Vec<String> {
        self.state().services().map(|it| it.1.spec.name.clone()).collect()
    }

    fn unknown(&self, what: &str, name: &str, known: Vec<String>) -> Refused {
        let near = known
            .iter()
            .map(|it| (strsim::jaro_winkler(name, it), it))
            .filter(|it| it.0 > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let help = match (near, known.is_empty()) {
            (Some((_, near)), _) => format!("did you mean {near}?"),
            (None, true) => format!("there is no {what} yet"),
            (None, false) => format!("known: {}", known.join(", ")),
        };
        refused(format!("there is no {what} {name:?}"), &help)
    }
}

/// Changes that name no container are meant for the only one.
fn for_the_only_container(program: &Program, overrides: &Overrides) -> Result<Overrides, Refused> {
    let mut named = overrides.clone();
    let (command, env) = (named.commands.remove(""), named.env.remove(""));
    if command.is_none() && env.is_none() {
        return Ok(named);
    }
    let [container] = &program.containers[..] else {
        let known: Vec<&str> = program.containers.iter().map(|it| &*it.name).collect();
        let what = format!("{} has several containers", program.family);
        return Err(refused(what, &format!("say which one is meant: {}", known.join(", "))));
    };
    if let Some(command) = command {
        named.commands.entry(container.name.clone()).or_insert(command);
    }
    if let Some(env) = env {
        named.env.entry(container.name.clone()).or_default().extend(env);
    }
    Ok(named)
}

pub(super) fn refused(what: String, help: &str) -> Refused {
    Refused { what, help: help.to_owned() }
}

fn no_task(name: &str) -> Refused {
    refused(format!("there never was a task {name}"), "`bayplan live ps --all` lists them")
}

fn done(notes: Vec<String>) -> Answer {
    Answer::Done { notes }
}

/// What is said of a node, in words.
fn verdict(said: NodeExplanation) -> NodeVerdict {
    let (verdict, because) = match said.verdict {
        Verdict::Rejected(by) => {
            let reasons = by.iter().map(|it| format!("{}: {}", it.filter, it.reason));
            ("rejected", reasons.collect::<Vec<_>>().join("; "))
        }
        Verdict::Scored { terms, .. } => {
            let value = |it: &Term| it.text.clone().unwrap_or_else(|| it.raw.to_string());
            let terms = terms.iter().map(|it| format!("{} {}", it.name, value(it)));
            ("would do", terms.collect::<Vec<_>>().join(", "))
        }
        Verdict::NotLookedAt(why) => ("not looked at", why),
    };
    NodeVerdict { node: said.node.name, verdict: verdict.to_owned(), because }
}
