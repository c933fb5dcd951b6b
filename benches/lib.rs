//! What the benches share: clusters that are partly full.
//!
//! ```text
//! cargo bench -p bayplan-benches                     everything, some minutes
//! cargo bench -p bayplan-benches --bench decision    one decision per strategy and cluster size
//! cargo bench -p bayplan-benches -- --test           each bench once, for ./test
//! ```

use cluster::chance::{Chance, Purpose};
use cluster::demand::{Amounts, Demand, TaskDefinition};
use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::rules::Rules;
use cluster::scheduler::Scheduler;
use cluster::units::{Bytes, Instant, MilliCpu};

/// Cluster sizes to measure: `all`, or only those of up to a thousand nodes when the benches are merely
/// tried out (`-- --test`).
pub fn sizes(all: &[u32]) -> Vec<u32> {
    let is_trial = std::env::args().any(|it| it == "--test");
    all.iter().copied().filter(|&it| !is_trial || it <= 1_000).collect()
}

/// Cores and GiB of the flavours that tasks are drawn from.
pub const FLAVOURS: [(u64, u64); 6] = [(1, 2), (1, 4), (2, 4), (2, 8), (4, 8), (8, 32)];

/// A submission without wishes.
pub fn submission(task: u64, definition: u32, group: u32) -> Submission {
    Submission {
        task: TaskId(task),
        definition: DefinitionId(definition),
        group: Some(GroupId(group)),
        kind: TaskKind::Service,
        priority: 0,
        estimate: None,
        on_loss: OnLoss::Restart,
    }
}

/// A manager of `nodes` nodes in three zones (64 cores, 256 GiB), each filled to between 40 and 95 % of
/// its cores by tasks of `FLAVOURS` in groups of about thirty. Returns the next free task id, too.
pub fn busy_cluster(nodes: u32, scheduler: Box<dyn Scheduler>) -> (Manager, u64) {
    let mut chance = Chance::new(1, Purpose::Nodes, u64::from(nodes));
    let mut manager = Manager::new(Rules::default(), scheduler);
    let mut actions = Vec::new();
    let now = Instant::ZERO;
    for (number, (cores, gib)) in FLAVOURS.into_iter().enumerate() {
        let amounts = Amounts {
            cpu: MilliCpu::from_cores(cores),
            memory: Bytes::from_gib(gib),
            ..Amounts::default()
        };
        let spec = TaskDefinition::single("flavour", Demand { amounts, ..Demand::default() });
        let definition = DefinitionId(number as u32);
        manager.handle(now, Event::DefinitionPut { definition, spec }, &mut actions);
    }
    let mut task = 0;
    let groups = 1 + u64::from(nodes) / 2;
    for number in 0..nodes {
        let amounts = Amounts {
            cpu: MilliCpu::from_cores(64),
            memory: Bytes::from_gib(256),
            ..Amounts::default()
        };
        let spec = NodeSpec {
            name: format!("n{number}"),
            zone: ["a", "b", "c"][number as usize % 3].into(),
            capacity: NodeCapacity { amounts, gpus: vec![] },
            ..NodeSpec::default()
        };
        let event = NodeEvent::Joined(Box::new(spec));
        let node = NodeId(number);
        manager.handle(now, Event::Node { node, event }, &mut actions);
        let (mut left, mut memory) = (64 * (5 + chance.below(56)) / 100, 256);
        left = 64 - left;
        loop {
            let flavour = chance.below(FLAVOURS.len() as u64) as usize;
            let (cores, gib) = FLAVOURS[flavour];
            if cores > left || gib > memory {
                break;
            }
            left -= cores;
            memory -= gib;
            let group = chance.below(groups) as u32;
            let submission = submission(task, flavour as u32, group);
            manager.handle(now, Event::TaskAdopted { submission, node }, &mut actions);
            task += 1;
        }
        actions.clear();
    }
    (manager, task)
}
