//! App files: what shall run, in the words of Amazon ECS.
//!
//! An app file is an object with any of
//!
//! | field | holds |
//! |---|---|
//! | `taskDefinitions` | RegisterTaskDefinition requests |
//! | `services` | CreateService requests |
//! | `tasks` | RunTask requests |
//! | `images` | `{"image", "archive"}`: archives of `docker save`, relative to the file |
//! | `lifetimes` | `{"family": "30s"}`: how long simulated tasks of a family run |
//! | `script` | `{"at": "30s"}` with one of `updateService`, `createService`, `deleteService`, `runTask`, `drain`, `activate` |
//!
//! A bare task definition, and what `aws ecs describe-task-definition` and `describe-services` print, are
//! taken as well. A field that we do not honour is an error where it would change what runs, otherwise a
//! [`Warning`]; what AWS adds when it describes something is passed over. A field that says nothing
//! (null, false, empty) passes.
//!
//! # Where a task may go
//!
//! `placementConstraints` of definitions, services and tasks hold together, whatever the policy: `memberOf` with the
//! cluster query language, and `distinctInstance` (at most one task of the service or task group on a node; not in
//! a definition). A definition that is used under several of them becomes several, each a revision of its own. A
//! `placementStrategy` is a [`Warning`]: the policy decides.
//!
//! # What a task asks for
//!
//! * cpu: the task's, else the sum over its containers, in units of 1/1024 core. In thousandths:
//!   `floor(units * 1000 / 1024)`, rounded once for the whole task. Rounded down, so that tasks which
//!   together fill an ECS instance also fit on a host of as many cores.
//! * memory: the task's, else the sum over its containers of `memoryReservation`, or of `memory` where
//!   nothing is reserved, in MiB.
//! * Fixed host ports, not those that the host chooses. In `host` mode every container port is fixed; in
//!   `awsvpc` mode none is.
//!
//! The manager adds up containers. So each container but the first essential one carries its own amount
//! as long as the task's lasts, in their order, and the first essential one carries what is left.

mod definition;
mod error;
mod fields;
mod json;
mod placement;
mod steps;
#[cfg(test)]
mod tests;

pub use error::{AppError, LeftOut, Warning};
pub use placement::{QueryProblem, ReadMemberOf};

use crate::program::{Overrides, Program};
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::demand::TaskDefinition;
use cluster::event::{Event, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, TaskId};
use cluster::service::{Backoff, ServiceSpec};
use cluster::units::{Instant, Span};
use std::collections::BTreeMap;

/// What shall run, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// In the order of the files; then those that requests made of them with constraints of their own.
    pub definitions: Vec<AppDefinition>,
    /// In time order; those of one moment in the order of the files, services before tasks before the
    /// script.
    pub steps: Vec<Step>,
    /// What was left out.
    pub warnings: Vec<Warning>,
}

/// A task definition, for the manager and for the agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDefinition {
    /// What its tasks ask for. Its name is `family:revision`.
    pub spec: TaskDefinition,
    /// What its tasks run; its containers stand in the same order under the same names.
    pub program: Program,
    /// How long its tasks run in a simulation; `None` until they are stopped.
    pub lifetime: Option<Span>,
}

/// Something that is wanted at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Since the start.
    pub at: Span,
    /// What.
    pub what: StepKind,
}

/// What can be wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// A service shall be like this. Values that an update does not name are carried forward.
    PutService {
        /// Unique among services.
        name: String,
        /// Row in [`App::definitions`].
        definition: usize,
        /// How many tasks.
        desired: u32,
        /// Higher is more important; ECS has none, so it is 0.
        priority: i32,
    },
    /// A service shall be gone.
    DeleteService {
        /// Which.
        name: String,
    },
    /// Tasks that run once.
    RunTasks {
        /// Row in [`App::definitions`].
        definition: usize,
        /// 1 to 10.
        count: u32,
        /// What they are counted with; `family:<family>` where the request names none, as in ECS.
        group: Option<String>,
        /// What they change of their definition.
        overrides: Overrides,
    },
    /// A node shall drain.
    Drain {
        /// Its name.
        node: String,
    },
    /// A node shall take tasks again.
    Activate {
        /// Its name.
        node: String,
    },
}

/// What is wanted of a node. The world that knows its id turns this into an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeWish {
    /// The node of this name shall drain.
    Drain(String),
    /// The node of this name shall take tasks again.
    Activate(String),
}

/// An app in numbers, the same in a simulation and on real hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// In time order; definitions come first, at zero, numbered by their rows.
    pub arrivals: Vec<Arrival>,
    /// In time order.
    pub wishes: Vec<(Span, NodeWish)>,
    /// By group id: `service:<name>` for services.
    pub groups: Vec<String>,
    /// What single tasks change of their definitions; tasks that change nothing are not here.
    pub overrides: BTreeMap<TaskId, Overrides>,
}

impl App {
    /// Reads one file. `path` is for messages, and archives are sought beside it; `member_of` knows the language
    /// of placement constraints.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn read(text: &str, path: &str, member_of: ReadMemberOf<'_>) -> Result<Self, AppError> {
        Self::read_all(&[(text, path)], member_of)
    }

    /// Reads several files, `(text, path)`, as if they were one: the services of one may run the
    /// definitions of another.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn read_all(files: &[(&str, &str)], member_of: ReadMemberOf<'_>) -> Result<Self, AppError> {
        steps::read(files, member_of)
    }

    /// Puts apps together that were read each for itself. Unlike [`App::read_all`] it cannot see
    /// definitions or services that were named across files, and keeps definitions of one name apart.
    pub fn merge(apps: Vec<Self>) -> Self {
        let mut merged = Self::default();
        for app in apps {
            let first = merged.definitions.len();
            merged.definitions.extend(app.definitions);
            merged.warnings.extend(app.warnings);
            merged.steps.extend(app.steps.into_iter().map(|mut step| {
                match &mut step.what {
                    StepKind::PutService { definition, .. }
                    | StepKind::RunTasks { definition, .. } => *definition += first,
                    _ => {}
                }
                step
            }));
        }
        merged.steps.sort_by_key(|it| it.at);
        merged
    }

    /// The app in numbers: definitions by their rows, groups in the order in which steps first name
    /// them, tasks from 0 in the order of the steps.
    pub fn arrivals(&self) -> Arrivals {
        let mut out = Arrivals::default();
        for (row, definition) in self.definitions.iter().enumerate() {
            let definition_id = definition_id(row);
            let spec = definition.spec.clone();
            out.arrivals.push(Arrival {
                at: Instant::ZERO,
                what: What::Definition { definition: definition_id, spec },
            });
        }
        let group = |groups: &mut Vec<String>, name: String| {
            let row = groups.iter().position(|it| *it == name).unwrap_or_else(|| {
                groups.push(name);
                groups.len() - 1
            });
            GroupId(u32::try_from(row).expect("fewer than 2^32 groups"))
        };
        let mut task = 0;
        for Step { at, what } in &self.steps {
            let when = Instant::ZERO + *at;
            let mut told = |event| out.arrivals.push(Arrival { at: when, what: What::Told(event) });
            match what {
                StepKind::PutService { name, definition, desired, priority } => {
                    let service = group(&mut out.groups, format!("service:{name}"));
                    let spec = ServiceSpec {
                        name: name.clone(),
                        definition: definition_id(*definition),
                        desired: *desired,
                        priority: *priority,
                        backoff: Backoff::default(),
                    };
                    told(Event::ServicePut { service, spec });
                }
                StepKind::DeleteService { name } => {
                    let service = group(&mut out.groups, format!("service:{name}"));
                    told(Event::ServiceDeleted { service });
                }
                StepKind::RunTasks { definition, count, group: name, overrides } => {
                    let group = name.clone().map(|it| group(&mut out.groups, it));
                    for _ in 0..*count {
                        let id = TaskId(task);
                        task += 1;
                        if *overrides != Overrides::default() {
                            out.overrides.insert(id, overrides.clone());
                        }
                        let submission = Submission {
                            task: id,
                            definition: definition_id(*definition),
                            group,
                            kind: TaskKind::Job,
                            priority: 0,
                            estimate: None,
                            on_loss: OnLoss::Restart,
                        };
                        let arrival = TaskArrival {
                            submission,
                            lifetime: self.definitions[*definition].lifetime,
                            withdrawn: None,
                            resident: None,
                        };
                        out.arrivals.push(Arrival { at: when, what: What::Task(arrival) });
                    }
                }
                StepKind::Drain { node } => out.wishes.push((*at, NodeWish::Drain(node.clone()))),
                StepKind::Activate { node } => {
                    out.wishes.push((*at, NodeWish::Activate(node.clone())));
                }
            }
        }
        out
    }
}

fn definition_id(row: usize) -> DefinitionId {
    DefinitionId(u32::try_from(row).expect("fewer than 2^32 definitions"))
}
