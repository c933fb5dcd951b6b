//! `simulate --explain`: the first decision on a task of a run, explained where it falls.

use crate::error::{Failure, did_you_mean};
use crate::place::document::{Decision, Document, leaving};
use crate::workloads::Ready;
use cluster::event::Change;
use cluster::explain::{Explanation, NodeRef, Outcome};
use cluster::ids::{NodeId, TaskId};
use cluster::manager::Manager;
use cluster::state::{Phase, State};
use cluster::units::Instant;
use schedulers::policy::Policy;

/// Watches for the first decision on some tasks.
#[derive(Debug)]
pub struct Explaining {
    policy: Policy,
    seed: u64,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    name: String,
    task: TaskId,
    said: Option<Explanation>,
    /// Where it was really placed first.
    taken: Option<NodeRef>,
}

impl Explaining {
    /// Watches for these tasks, by name or id.
    ///
    /// # Errors
    ///
    /// If there is no such task.
    pub fn new(
        names: &[String],
        ready: &Ready,
        policy: &Policy,
        seed: u64,
    ) -> Result<Self, Failure> {
        let one = |name: &String| {
            let task = find(name, ready)?;
            Ok(Asked { name: name.clone(), task, said: None, taken: None })
        };
        let asked = names.iter().map(one).collect::<Result<_, Failure>>()?;
        Ok(Self { policy: policy.clone(), seed, asked })
    }

    /// Explains what is about to be decided for the first time, on a copy of the manager.
    pub fn before_decision(&mut self, now: Instant, manager: &Manager) {
        for asked in self.asked.iter_mut().filter(|it| it.said.is_none()) {
            let waits =
                manager.state().task(asked.task).is_some_and(|it| it.phase == Phase::Pending);
            if waits {
                let scheduler = self.policy.build(self.seed);
                asked.said = manager
                    .explain_decision(now, asked.task, scheduler)
                    .expect("a scheduler takes back the memory of one of the same policy");
            }
        }
    }

    /// Notes where the tasks are really placed.
    pub fn observe(&mut self, changes: &[Change], state: &State) {
        for change in changes {
            if let Change::Placed { task, node } = *change
                && let Some(asked) = self.asked.iter_mut().find(|it| it.task == task.task)
            {
                asked.taken.get_or_insert_with(|| NodeRef::of(state.nodes(), node));
            }
        }
    }

    /// What was found out. Tasks that never waited for a decision are named.
    ///
    /// # Errors
    ///
    /// If there is one of those.
    pub fn finish(self, input: String) -> Result<Document, Failure> {
        let mut document = Document::new(input, self.policy.to_string(), self.seed);
        for Asked { name, said, taken, .. } in self.asked {
            let Some(mut said) = said else {
                return Err(Failure::new(format!("no decision on {name} was made in this run"))
                    .help("it was there from the beginning, arrives after the end of the run, or never"));
            };
            said.notes.extend(leaving(&said.outcome, |it| it.to_string()));
            let placed_at = said.outcome.node();
            if let Some(taken) = taken
                && let Some(node) = placed_at.filter(|it| *it != taken.id)
            {
                said.notes.push(placed_with_others(&said, node, &taken));
                if let Outcome::Placed { node, .. } | Outcome::MakesRoom { node, .. } =
                    &mut said.outcome
                {
                    *node = taken;
                }
            }
            document.decisions.push(Decision::new(name, said));
        }
        Ok(document)
    }
}

fn placed_with_others(said: &Explanation, node: NodeId, taken: &NodeRef) -> String {
    let alone = said.node(node).map_or("another node", |it| it.node.name.as_str());
    format!("asked alone it would take {alone}; placed with others it took {}", taken.name)
}

fn find(name: &str, ready: &Ready) -> Result<TaskId, Failure> {
    let count = ready.workload.task_count() as u64;
    if let Some(task) = (0..count).map(TaskId).find(|it| ready.task_name(*it) == name) {
        return Ok(task);
    }
    if let Ok(task) = name.parse::<TaskId>()
        && !name.starts_with(|it: char| it.is_ascii_digit())
        && (task.is_replica() && ready.app.is_some() || task.0 < count)
    {
        return Ok(task);
    }
    let names: Vec<_> = (0..count.min(10_000)).map(|it| ready.task_name(TaskId(it))).collect();
    let meant = did_you_mean(name, names.iter().map(|it| &**it));
    Err(Failure::new(format!("--explain: there is no task {name:?} in the workload")).help(
        format!(
            "{meant}name a task of the trace, or its id from t0 to t{}",
            count.saturating_sub(1)
        ),
    ))
}
