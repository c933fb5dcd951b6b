//! A cluster at one moment: nodes as they stand, what runs on them, and who waits.

use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::demand::TaskDefinition;
use cluster::event::{Action, Event, NodeEvent, NodeReport, StopReason, Submission};
use cluster::explain::Explanation;
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::NodeSpec;
use cluster::rules::Rules;
use cluster::units::Instant;
use schedulers::policy::Policy;

/// Everything that one decision depends on but the policy and its seed.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// How the queue and the ledger are run.
    pub rules: Rules,
    /// In joining order.
    pub nodes: Vec<Site>,
    /// In id order.
    pub definitions: Vec<TaskDefinition>,
    /// Services, budgets and the like, before any task.
    pub told: Vec<Event>,
    /// In order of submission.
    pub tasks: Vec<Member>,
}

/// A task of a scene.
#[derive(Debug, Clone)]
pub struct Member {
    /// For people.
    pub name: String,
    /// As it was submitted.
    pub submission: Submission,
    /// Where it runs; none if it waits.
    pub node: Option<NodeId>,
}

/// A node as it stands.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// What it is.
    pub spec: NodeSpec,
    /// What has happened to it since it joined, in order.
    pub since: Vec<Happened>,
}

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// As a trace says it.
    Event(NodeEvent),
    /// As a live world says it.
    Report(NodeReport),
}

/// What a scene comes to.
#[derive(Debug)]
pub struct Decided {
    /// What is said of it.
    pub explanation: Explanation,
    /// Where the task was really placed.
    pub node: Option<NodeId>,
    /// On which GPU devices.
    pub devices: Vec<usize>,
    /// Whether others were evicted in that decision.
    pub evicts: bool,
}

impl Scene {
    /// From what a workload brings, in order. Moments do not count: all of it is there at once.
    pub fn of(
        rules: Rules,
        arrivals: impl IntoIterator<Item = Arrival>,
        name: impl Fn(TaskId) -> String,
    ) -> Self {
        let mut scene = Self { rules, ..Self::default() };
        for Arrival { what, .. } in arrivals {
            match what {
                What::Definition { spec, .. } => scene.definitions.push(spec),
                What::Node { event: NodeEvent::Joined(spec), .. } => {
                    scene.nodes.push(Site { spec: *spec, since: Vec::new() });
                }
                What::Node { node, event } => {
                    scene.nodes[node.row()].since.push(Happened::Event(event));
                }
                What::Told(Event::NodeReported { node, report }) => {
                    scene.nodes[node.row()].since.push(Happened::Report(report));
                }
                What::Told(event) => scene.told.push(event),
                What::Task(TaskArrival { submission, resident, .. }) => {
                    let name = name(submission.task);
                    scene.tasks.push(Member { name, submission, node: resident });
                }
            }
        }
        scene
    }

    /// The tasks that wait, in order of submission.
    pub fn waiting(&self) -> impl Iterator<Item = &Submission> {
        self.tasks.iter().filter(|it| it.node.is_none()).map(|it| &it.submission)
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let row = self.nodes.iter().position(|it| it.spec.name == name)?;
        Some(NodeId(row as u32))
    }

    fn manager(&self, policy: &Policy, seed: u64) -> Manager {
        let mut manager = Manager::new(self.rules, policy.build(seed));
        let mut actions = Vec::new();
        let mut handle = |event| manager.handle(NOW, event, &mut actions);
        for (row, spec) in self.definitions.iter().enumerate() {
            let definition = DefinitionId(row as u32);
            handle(Event::DefinitionPut { definition, spec: spec.clone() });
        }
        for (row, site) in self.nodes.iter().enumerate() {
            let event = NodeEvent::Joined(Box::new(site.spec.clone()));
            handle(Event::Node { node: NodeId(row as u32), event });
        }
        for event in &self.told {
            handle(event.clone());
        }
        // Before nodes are lost: what ran there is gone with them.
        for Member { submission, node, .. } in &self.tasks {
            if let Some(node) = *node {
                handle(Event::TaskAdopted { submission: submission.clone(), node });
            }
        }
        for (row, site) in self.nodes.iter().enumerate() {
            let node = NodeId(row as u32);
            for happened in &site.since {
                handle(match happened.clone() {
                    Happened::Event(event) => Event::Node { node, event },
                    Happened::Report(report) => Event::NodeReported { node, report },
                });
            }
        }
        for submission in self.waiting() {
            handle(Event::TaskSubmitted(submission.clone()));
        }
        manager
    }

    /// What is said of a waiting task, once all that come before it are placed.
    pub fn explain(&self, policy: &Policy, seed: u64, task: TaskId) -> Option<Explanation> {
        let manager = self.manager(policy, seed);
        manager
            .explain_decision(NOW, task, policy.build(seed))
            .expect("a scheduler takes back the memory of one of the same policy")
    }

    /// A task's name.
    pub fn task_name(&self, task: TaskId) -> String {
        let found = self.tasks.iter().find(|it| it.submission.task == task);
        found.map_or_else(|| task.to_string(), |it| it.name.clone())
    }

    /// The same, and what is really decided.
    pub fn decide(&self, policy: &Policy, seed: u64, task: TaskId) -> Option<Decided> {
        let explanation = self.explain(policy, seed, task)?;
        let mut manager = self.manager(policy, seed);
        let mut actions = Vec::new();
        manager.decide(NOW, &mut actions);
        let placed = manager.state().task(task).and_then(|it| it.placement().copied());
        let is_eviction =
            |it: &Action| matches!(it, Action::Stop { reason: StopReason::Evicted, .. });
        Some(Decided {
            explanation,
            evicts: actions.iter().any(is_eviction),
            node: placed.map(|it| it.node),
            devices: placed.map(|it| it.devices.iter().collect()).unwrap_or_default(),
        })
    }
}

/// The one moment of a scene.
const NOW: Instant = Instant::ZERO;
