//! One-dimensional bin packing through the real manager: nodes are bins, cpu is the one resource, and
//! nothing ever leaves.

use cluster::demand::{Amounts, Demand, Resource, TaskDefinition};
use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::rules::{QueueOrder, Rules};
use cluster::units::{Bytes, Instant, MilliCpu};
use schedulers::policy::Policy;

fn amounts(cpu: u64) -> Amounts {
    Amounts { cpu: MilliCpu(cpu), memory: Bytes(0), disk: Bytes(0) }
}

/// The number of bins that hold something once all items are packed. All items are submitted before the
/// one decision, so that the queue's order is the order of packing.
pub(crate) fn bins_used(policy: &str, order: QueueOrder, capacity: u64, items: &[u64]) -> u32 {
    let policy: Policy = policy.parse().unwrap();
    let rules = Rules { order, ..Rules::default() };
    let mut manager = Manager::new(rules, policy.build(0));
    let mut actions = Vec::new();
    let now = Instant(0);
    for bin in 0..items.len() as u32 {
        let spec = NodeSpec {
            name: bin.to_string(),
            capacity: NodeCapacity { amounts: amounts(capacity), gpus: Vec::new() },
            ..NodeSpec::default()
        };
        let event = NodeEvent::Joined(Box::new(spec));
        manager.handle(now, Event::Node { node: NodeId(bin), event }, &mut actions);
    }
    for (at, &item) in items.iter().enumerate() {
        let demand = Demand { amounts: amounts(item), ..Demand::default() };
        let definition = DefinitionId(at as u32);
        let spec = TaskDefinition::single(at.to_string(), demand);
        manager.handle(now, Event::DefinitionPut { definition, spec }, &mut actions);
        let submission = Submission {
            task: TaskId(at as u64),
            definition,
            group: None,
            kind: TaskKind::Job,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        };
        manager.handle(now, Event::TaskSubmitted(submission), &mut actions);
    }
    manager.decide(now, &mut actions);
    manager.state().audit().unwrap();
    assert_eq!(manager.state().pending_count(), 0, "{policy}: items are left over");
    manager.state().nodes().totals().nodes_in_use
}

/// Johnson et al. 1974: k items of 1/7 + ε, then k of 1/3 + ε, then k of 1/2 + ε. The optimum has k bins;
/// first fit and best fit use k/6 + k/2 + k.
#[test]
fn first_fit_and_best_fit_meet_their_lower_bound_list() {
    let unit = 42_000;
    for k in [6, 60, 300] {
        let mut items = Vec::new();
        for part in [7, 3, 2] {
            items.extend(std::iter::repeat_n(unit / part + 1, k));
        }
        for policy in ["first-fit", "best-fit", "best-fit:cpu"] {
            let bins = bins_used(policy, QueueOrder::Fifo, unit, &items);
            assert_eq!(bins as usize, 5 * k / 3, "{policy} with k = {k}");
        }
        for policy in ["first-fit", "best-fit:cpu"] {
            let order = QueueOrder::LargestFirst(Resource::Cpu);
            let bins = bins_used(policy, order, unit, &items) as usize;
            assert!(bins <= (11 * k + 6) / 9, "{policy}, largest first: {bins} with k = {k}");
        }
    }
}

/// Next fit needs less than twice the optimum, and comes close: pairs of a half and a grain.
#[test]
fn next_fit_wastes_up_to_half() {
    let items: Vec<u64> = (0..400).flat_map(|_| [500, 1]).collect();
    assert_eq!(bins_used("next-fit", QueueOrder::Fifo, 1000, &items), 400);
    assert_eq!(bins_used("first-fit", QueueOrder::Fifo, 1000, &items), 201);
}
