//! What shall happen on a live cluster, and when: an app or a trace in the controller's own words.

use crate::app::{App, StepKind};
use crate::program::{Overrides, Program};
use cluster::demand::TaskDefinition;
use cluster::event::TaskKind;
use cluster::ids::{DefinitionId, TaskId};
use cluster::units::Span;
use serde::{Deserialize, Serialize};

/// Definitions, and what shall happen with them.
///
/// Numbers of definitions are rows of [`Plan::definitions`]; numbers of tasks count its submits from zero.
/// A controller that takes a plan gives them numbers of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What tasks consist of and run.
    pub definitions: Vec<PlanDefinition>,
    /// In time order; those of one moment in the order in which they are to be done.
    pub steps: Vec<PlanStep>,
}

/// A task definition of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanDefinition {
    /// For the manager.
    pub spec: TaskDefinition,
    /// For the agents.
    pub program: Program,
}

/// Something wanted at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStep {
    /// After the plan was taken.
    pub at: Span,
    /// What.
    pub wish: Wish,
}

/// What can be wanted of a live cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// A service shall be like this.
    PutService {
        /// Unique among services.
        name: String,
        /// What its tasks run.
        definition: DefinitionId,
        /// How many.
        desired: u32,
        /// Higher is more important.
        priority: i32,
    },
    /// A service shall be gone. Nothing happens if there is none.
    DeleteService {
        /// Which.
        name: String,
    },
    /// A task that runs once.
    Submit {
        /// Its number.
        task: TaskId,
        /// What it runs.
        definition: DefinitionId,
        /// What it is counted with.
        group: Option<String>,
        /// Whether its group is a service or a job.
        kind: TaskKind,
        /// Higher is more important.
        priority: i32,
        /// How long its user says that it will run.
        estimate: Option<Span>,
        /// What it changes of its definition.
        overrides: Option<Overrides>,
    },
    /// Nobody wants a task any longer. Nothing happens if it is over.
    Cancel {
        /// Which.
        task: TaskId,
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

impl Wish {
    /// With other numbers: definitions by `definitions`, tasks counted from `first`.
    ///
    /// # Errors
    ///
    /// The number of a definition that is not there.
    pub(crate) fn renumbered(
        mut self,
        definitions: &[DefinitionId],
        first: u64,
    ) -> Result<Self, DefinitionId> {
        match &mut self {
            Self::PutService { definition, .. } => {
                *definition = *definitions.get(definition.row()).ok_or(*definition)?;
            }
            Self::Submit { task, definition, .. } => {
                *definition = *definitions.get(definition.row()).ok_or(*definition)?;
                task.0 += first;
            }
            Self::Cancel { task } => task.0 += first,
            Self::DeleteService { .. } | Self::Drain { .. } | Self::Activate { .. } => {}
        }
        Ok(self)
    }
}

impl From<&App> for Plan {
    fn from(app: &App) -> Self {
        let definitions = app
            .definitions
            .iter()
            .map(|it| PlanDefinition { spec: it.spec.clone(), program: it.program.clone() })
            .collect();
        let row = |it: usize| DefinitionId(u32::try_from(it).expect("fewer than 2^32 definitions"));
        let mut steps = Vec::new();
        let mut submitted = 0;
        for step in &app.steps {
            let mut wish = |wish| steps.push(PlanStep { at: step.at, wish });
            match &step.what {
                StepKind::PutService { name, definition, desired, priority } => {
                    wish(Wish::PutService {
                        name: name.clone(),
                        definition: row(*definition),
                        desired: *desired,
                        priority: *priority,
                    });
                }
                StepKind::DeleteService { name } => {
                    wish(Wish::DeleteService { name: name.clone() });
                }
                StepKind::RunTasks { definition, count, group, overrides } => {
                    for _ in 0..*count {
                        let changes = *overrides != Overrides::default();
                        wish(Wish::Submit {
                            task: TaskId(submitted),
                            definition: row(*definition),
                            group: group.clone(),
                            kind: TaskKind::Job,
                            priority: 0,
                            estimate: None,
                            overrides: changes.then(|| overrides.clone()),
                        });
                        submitted += 1;
                    }
                }
                StepKind::Drain { node } => wish(Wish::Drain { node: node.clone() }),
                StepKind::Activate { node } => wish(Wish::Activate { node: node.clone() }),
            }
        }
        Self { definitions, steps }
    }
}
