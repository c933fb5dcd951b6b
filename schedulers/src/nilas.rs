//! NILAS: a node that will not have to stay longer for this task than for those that it runs.
//!
//! Source: J. Ling et al., "LAVA: Lifetime-aware VM allocation with learned distributions and adaptation to
//! mispredictions", MLSys 2025, whose first step, non-invasive lifetime-aware scheduling, puts one more
//! score before that of packing: how much later than the node's last task the new one is predicted to end,
//! in few levels, so that packing still decides among nodes that are nearly alike. Nodes become empty sooner
//! that way.
//! Differs in the predictor. What may be known is the [estimate](cluster::event::Submission::estimate) of
//! the submission; with `off=1` it is believed, with `off=4` it is replaced by one that is wrong by up to
//! four times either way, the same in every run of that seed. A task without an estimate is predicted to
//! stay for ever. One that outlives its prediction is predicted anew: twice as long, until that is still to
//! come. The levels are ours: 0 if the node stays anyway, 1 up to `step`, and one more for each doubling.
//! The lifetime classes of nodes (LAVA) and migration (LARS) are left out.
//!
//! Exact but for errors drawn, which are rounded down to microseconds. Cost: one pass over the nodes, and
//! one over the tasks of those that changed or had a task outlive its prediction.

use crate::card::{Card, Parameter};
use crate::fixed;
use crate::norm::{Measure, Norm};
use crate::parts::Part;
use crate::per_node::PerNode;
use crate::per_task::{Open, PerTask};
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Tie};
use cluster::chance::{Chance, Purpose};
use cluster::event::Change;
use cluster::explain::Wins;
use cluster::ids::{NodeId, TaskId};
use cluster::scheduler::Ask;
use cluster::state::{State, Task};
use cluster::units::{Instant, Span};

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "nilas",
    summary: "the node that has to stay the least longer for this task, by estimated lifetimes, then the \
              tightest",
    source: "NILAS in Ling et al., \"LAVA: Lifetime-aware VM allocation\", MLSys 2025",
    differs: "estimates that tasks come with, right or wrong by a drawn factor, in place of a learned \
              predictor; a task without one is predicted to stay for ever; our levels",
    cost: "one pass over the nodes, and over the tasks of those that changed",
    parameters: &[
        Parameter {
            name: "packing",
            values: Norm::VALUES,
            default: "l1",
            summary: "what decides within a level: the least left by this norm, as in best-fit",
        },
        Parameter {
            name: "step",
            values: "minutes from 1 to 10080",
            default: "30",
            summary: "up to so much longer is the first level; each further level is twice as wide",
        },
        Parameter {
            name: "off",
            values: "a factor from 1 to 1024",
            default: "1",
            summary: "estimates are wrong by up to this factor either way, evenly by its logarithm, by the \
                      run's seed",
        },
        Parameter::TIE,
        Parameter::OPEN,
    ],
    example: "nilas:off=4",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let left = Measure::new(arguments.word("packing", Norm::WORDS)?);
    let step = Span::from_secs(60 * arguments.number("step", 1..=10_080)?);
    let off = arguments.number("off", 1..=1024)?;
    let tie = arguments.word("tie", Tie::WORDS)?;
    let open = arguments.word("open", Open::WORDS)?;
    Ok(Plan::new(move |seed| {
        let (exits, exit) = (PerNode::default(), Instant::ZERO);
        let rank = Nilas { left: left.clone(), step, off, tie, seed, exits, exit };
        Box::new(PerTask::new(rank, open, seed))
    }))
}

/// Least longer first.
#[derive(Debug, Clone)]
pub struct Nilas {
    left: Measure,
    step: Span,
    off: u64,
    tie: Tie,
    /// By which the errors of estimates are drawn.
    seed: u64,
    /// When nodes are predicted to be empty.
    exits: PerNode<Exits>,
    /// When the task at hand would end.
    exit: Instant,
}

/// Predicted ends of the tasks of a node.
#[derive(Debug, Clone, Copy)]
struct Exits {
    first: Instant,
    last: Instant,
}

impl Default for Exits {
    /// Of a node that runs nothing.
    fn default() -> Self {
        Self { first: Instant::MAX, last: Instant::ZERO }
    }
}

impl Nilas {
    /// How long the task is predicted to run in all, at least a microsecond; `None` for ever.
    fn predicted(&self, id: TaskId, task: &Task) -> Option<u64> {
        let Span(estimate) = task.estimate?;
        if self.off == 1 {
            return Some(estimate.max(1));
        }
        // From one over the factor to the factor, evenly by the logarithm; stream 0 is that of choices.
        let mut chance = Chance::new(self.seed, Purpose::Scheduler, id.0.wrapping_add(1));
        let error = fixed::exp2(chance.below(2 * fixed::log2(self.off) + 1)) >> 20;
        let wrong = (u128::from(estimate) * error / u128::from(self.off)) >> (fixed::DIGITS - 20);
        Some(u64::try_from(wrong).unwrap_or(u64::MAX).max(1))
    }

    /// When the task is predicted to end, which is after now.
    fn exit(&self, id: TaskId, task: &Task, now: Instant) -> Instant {
        let since = task.placement().map_or(now, |it| it.at);
        let Some(mut length) = self.predicted(id, task) else { return Instant::MAX };
        while length <= now.since(since).0 {
            length = length.saturating_mul(2);
        }
        Instant(since.0.saturating_add(length))
    }

    /// The level of being needed that much longer.
    fn level(&self, longer: Span) -> u32 {
        match longer.0.div_ceil(self.step.0) {
            0 => 0,
            steps => 1 + (steps - 1).checked_ilog2().map_or(0, |it| it + 1),
        }
    }
}

impl Rank for Nilas {
    /// The level, and what is left on the node.
    type Key = (u32, u64);
    /// The seed of the errors.
    type Memory = u64;

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn memory(&self) -> u64 {
        self.seed
    }

    fn recall(&mut self, seed: u64) {
        self.seed = seed;
        self.exits.clear();
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::Global
    }

    fn tie(&self) -> Tie {
        self.tie
    }

    fn observe(&mut self, changes: &[Change], _state: &State) {
        self.left.observe(changes);
    }

    fn begin(&mut self, ask: Ask<'_>, state: &State) {
        let nodes = state.nodes();
        self.left.refresh(nodes);
        let tasks = |node| {
            state.tasks_on(node).iter().filter_map(|&id| state.task(id).map(|task| (id, task)))
        };
        let mut exits = std::mem::take(&mut self.exits);
        exits.refresh(
            nodes,
            |it| it.first <= ask.now,
            |node| {
                tasks(node).map(|(id, task)| self.exit(id, task, ask.now)).fold(
                    Exits::default(),
                    |exits, it| Exits { first: exits.first.min(it), last: exits.last.max(it) },
                )
            },
        );
        self.exits = exits;
        self.exit = self.exit(ask.id, ask.task, ask.now);
    }

    fn keys<'a>(&'a self, ask: Ask<'a>, state: &'a State) -> impl Fn(NodeId) -> (u32, u64) {
        let left = self.left.reader(ask, state.nodes());
        let exits = self.exits.values();
        move |node| {
            let stays_until = exits[node.row()].last.max(ask.now);
            let level = match self.exit {
                Instant::MAX if stays_until < Instant::MAX => u32::MAX,
                exit => self.level(exit.since(stays_until)),
            };
            (level, left.of(node))
        }
    }

    fn parts(&self, (level, left): (u32, u64)) -> Vec<Part> {
        let text = match level {
            0 => "stays anyway".to_owned(),
            u32::MAX => "for ever".to_owned(),
            _ => {
                let widest = self.step.0.saturating_mul(1 << (level - 1).min(63));
                format!("up to {} longer", Span(widest))
            }
        };
        let level = Part::lowest("level of staying longer", level).said(text);
        vec![level, self.left.part(left, Wins::Lowest)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::demand;
    use crate::policy::Policy;
    use cluster::demand::TaskDefinition;
    use cluster::event::{Action, Event, NodeEvent, OnLoss, Report, Submission, TaskKind};
    use cluster::ids::{DefinitionId, NodeId, TaskId};
    use cluster::manager::Manager;
    use cluster::nodes::{NodeCapacity, NodeSpec};
    use cluster::rules::Rules;
    use cluster::units::{Instant, Span};

    /// Where tasks go in the end. `nodes` are `cores/GiB`; `tasks` are `minute:cores/GiB`, then if wanted
    /// `=minutes` as estimate, or `minute:x2,3` for the end of tasks 2 and 3.
    fn run(policy: &str, seed: u64, nodes: &str, tasks: &str) -> String {
        let policy: Policy = policy.parse().unwrap();
        let mut manager = Manager::new(Rules::default(), policy.build(seed));
        let mut actions = Vec::new();
        for (row, amounts) in nodes.split_whitespace().enumerate() {
            let amounts = demand(amounts).amounts;
            let spec = NodeSpec {
                name: row.to_string(),
                capacity: NodeCapacity { amounts, gpus: Vec::new() },
                ..NodeSpec::default()
            };
            let event = NodeEvent::Joined(Box::new(spec));
            let event = Event::Node { node: NodeId(row as u32), event };
            manager.handle(Instant::ZERO, event, &mut actions);
        }
        let mut got: Vec<Option<NodeId>> = Vec::new();
        for text in tasks.split_whitespace() {
            let (minute, text) = text.split_once(':').unwrap();
            let now = Instant::from_secs(60 * minute.parse::<u64>().unwrap());
            if let Some(tasks) = text.strip_prefix('x') {
                for task in tasks.split(',') {
                    let task = TaskId(task.parse().unwrap());
                    let report = Report::Exited { code: 0 };
                    let event = Event::TaskReported { task, attempt: 1, report };
                    manager.handle(now, event, &mut actions);
                }
                manager.decide(now, &mut actions);
                continue;
            }
            let (amounts, minutes) =
                text.split_once('=').map_or((text, None), |(head, tail)| (head, Some(tail)));
            let (task, definition) = (TaskId(got.len() as u64), DefinitionId(got.len() as u32));
            let spec = TaskDefinition::single(text, demand(amounts));
            manager.handle(now, Event::DefinitionPut { definition, spec }, &mut actions);
            let submission = Submission {
                task,
                definition,
                group: None,
                kind: TaskKind::Job,
                priority: 0,
                estimate: minutes.map(|it| Span::from_secs(60 * it.parse::<u64>().unwrap())),
                on_loss: OnLoss::Restart,
            };
            manager.handle(now, Event::TaskSubmitted(submission), &mut actions);
            manager.decide(now, &mut actions);
            got.push(None);
        }
        for action in &actions {
            if let Action::Start { task, node, .. } = action {
                got[task.0 as usize] = Some(*node);
            }
        }
        let text = |it: Option<NodeId>| it.map_or("-".to_owned(), |it| it.to_string());
        got.into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(policy: &str, nodes: &str, tasks: &str, want: &str) {
        assert_eq!(run(policy, 1, nodes, tasks), want, "{policy} with {nodes} and {tasks}");
    }

    #[test]
    fn joins_tasks_that_end_later() {
        // The second task does not fit beside the first. The third ends with neither's node kept longer
        // on n1, though n0 is tighter.
        let tasks = "0:5/0=60 0:4/0=600 0:1/0=300 0:1/0=30";
        check("nilas", "8/8 8/8", tasks, "n0 n1 n1 n0");
        check("best-fit", "8/8 8/8", tasks, "n0 n1 n0 n0");
    }

    #[test]
    fn an_empty_node_would_stay_for_the_whole_task() {
        // Needed 300 minutes longer on n1, which is tighter, and 240 on n0: with steps of 30 minutes that is
        // above and at the level of eight steps, with 40 both are at it.
        check("nilas", "8/8 2/8", "0:5/0=60 0:1/0=300", "n0 n0");
        check("nilas:step=40", "8/8 2/8", "0:5/0=60 0:1/0=300", "n0 n1");
    }

    #[test]
    fn packing_decides_within_a_level() {
        let tasks = "0:2/0=60 0:1/0=60";
        check("nilas:cpu", "2/2 4/1", tasks, "n0 n1");
        // n0 has 5 cores and 1 GiB left, n1 2 and 8.
        let tasks = "0:3/7=60 0:6/0=60 0:1/1=50";
        check("nilas:cpu", "8/8 8/8", tasks, "n0 n1 n1");
        check("nilas:memory", "8/8 8/8", tasks, "n0 n1 n0");
    }

    #[test]
    fn a_task_without_an_estimate_stays_for_ever() {
        let tasks = "0:5/0=60 0:4/0 0:1/0 0:1/0=9999";
        check("nilas", "8/8 8/8", tasks, "n0 n1 n1 n1");
    }

    #[test]
    fn what_outlives_its_prediction_is_predicted_anew() {
        // At 70 minutes the first task is predicted to end at 120, at 130 at 240.
        let nodes = "8/8 8/8";
        check("nilas:step=1", nodes, "0:5/0=60 0:4/0=110 70:1/0=45", "n0 n1 n0");
        check("nilas:step=1", nodes, "0:5/0=60 0:4/0=110 50:1/0=45", "n0 n1 n1");
        check("nilas:step=1", nodes, "0:5/0=60 0:4/0=200 130:1/0=100", "n0 n1 n0");
    }

    #[test]
    fn what_waited_is_judged_by_the_time_of_its_decision() {
        // The last task waits for memory until the two before it end, at 70 minutes: then it would end at 115,
        // before the first task, which is predicted to end at 120, and after the second, at 110.
        let tasks = "0:4/4=60 0:5/4=110 0:1/4=200 0:1/4=200 0:1/4=45 70:x2,3";
        check("nilas:step=1", "8/8 8/8", tasks, "n0 n1 n1 n0 n0");
        // Had it been placed at once, the fuller node would have done.
        check("nilas:step=1", "8/8 8/8", "0:4/4=60 0:5/4=110 0:1/4=45", "n0 n1 n1");
    }

    #[test]
    fn a_node_is_free_again_when_its_last_task_ends() {
        let tasks = "0:5/0=600 0:4/0=60 30:x0 30:1/0=60";
        check("nilas:step=60", "8/8 8/8", tasks, "n0 n1 n1");
        check("nilas:step=60", "8/8 8/8", "0:5/0=600 0:4/0=60 30:1/0=60", "n0 n1 n0");
    }

    #[test]
    fn errors_are_those_of_the_seed() {
        let tasks = "0:5/0=60 0:4/0=600 0:1/0=300 0:1/0=30 0:1/0=90 0:1/0=500";
        let nodes = "8/8 8/8 8/8";
        let runs: Vec<String> = (0..20).map(|it| run("nilas:off=64", it, nodes, tasks)).collect();
        let again: Vec<String> = (0..20).map(|it| run("nilas:off=64", it, nodes, tasks)).collect();
        assert_eq!(runs, again);
        assert!(runs.iter().any(|it| *it != runs[0]), "{runs:?}");
        assert_eq!(run("nilas", 1, nodes, tasks), run("nilas", 2, nodes, tasks));
    }
}
