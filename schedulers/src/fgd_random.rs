//! Random as FGD's authors ran it: a uniform draw of the node, and of the device for a shared GPU.
//!
//! Source: policy `01-Random` of Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
//! Workloads with Fragmentation Gradient Descent", USENIX ATC 2023.
//! Differs in nothing but the numbers drawn: theirs come in an order that threads race for.
//!
//! Cost: one pass over the nodes and two random numbers.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank, Sampling, Tie, best_fit_devices};
use cluster::chance::Chance;
use cluster::ids::NodeId;
use cluster::nodes::{DeviceSet, Nodes};
use cluster::scheduler::Ask;
use cluster::state::State;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "fgd-random",
    summary: "FGD's baseline: a uniform draw of the node, and of the device for a shared GPU",
    source: "Weng et al., FGD, USENIX ATC 2023, policy 01-Random",
    differs: "other random numbers",
    cost: "one pass over the nodes, two random numbers",
    parameters: &[Parameter::OPEN],
    example: "fgd-random",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    arguments.per_task(FgdRandom::default())
}

/// All nodes are alike, and all devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct FgdRandom {
    /// Drawn before the node is known; uniform over 64 bits.
    draw: u64,
}

impl Rank for FgdRandom {
    type Key = ();
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn tie(&self) -> Tie {
        Tie::Random
    }

    fn sampling(&mut self, ask: Ask<'_>, _nodes: &Nodes, chance: &mut Chance) -> Sampling {
        if ask.shape.gpu_count == 1 {
            self.draw = chance.below(u64::MAX);
        }
        Sampling::All
    }

    fn keys<'a>(&'a self, _ask: Ask<'a>, _state: &'a State) -> impl Fn(NodeId) {
        |_| ()
    }

    /// All that fit are alike.
    fn parts(&self, (): ()) -> Vec<Part> {
        Vec::new()
    }

    fn devices(&self, ask: Ask<'_>, node: NodeId, nodes: &Nodes) -> DeviceSet {
        let shape = ask.shape;
        if !crate::fragments::is_share(shape) {
            return best_fit_devices(ask, node, nodes);
        }
        let devices = nodes.devices(node).iter().enumerate();
        let fitting: Vec<usize> = devices
            .filter(|it| crate::fragments::device_fits(shape, it.1))
            .map(|it| it.0)
            .collect();
        // At most 64 devices: the bias of a multiply is below 2^-57.
        let at = (u128::from(self.draw) * fitting.len() as u128) >> 64;
        DeviceSet::from_iter([fitting[at as usize]])
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{World, check, demand};
    use crate::policy::Policy;
    use cluster::ids::{NodeId, TaskId};
    use cluster::nodes::{NodeCapacity, NodeSpec};
    use cluster::rules::Rules;

    #[test]
    fn draws_only_from_nodes_that_fit() {
        check("fgd-random", "1/8 4/1 2/4 8/1", "2/4 2/4", "n2 -");
    }

    #[test]
    fn all_devices_that_fit_are_equally_likely() {
        let policy: Policy = "fgd-random".parse().unwrap();
        let mut world = World::new(Rules::default(), policy.build(5));
        let gpus = vec!["a100".to_owned(); 4];
        world.join(NodeSpec {
            name: "a".to_owned(),
            capacity: NodeCapacity { amounts: demand("64/64").amounts, gpus },
            ..NodeSpec::default()
        });
        // One device is taken whole.
        world.submit(demand("1/1+1"), None);
        let mut seen = [0; 4];
        for task in 1..=3000 {
            world.submit(demand("1/1+0.5"), None).unwrap();
            let devices = world.manager.state().nodes().devices(NodeId(0));
            seen[devices.iter().position(|it| it.held.0 == 500).unwrap()] += 1;
            world.exit(TaskId(task));
        }
        // Five standard errors of a binomial with p = 1/3.
        assert_eq!(seen[0], 0);
        assert!(seen[1..].iter().all(|&it| i32::abs_diff(it, 1000) < 130), "{seen:?}");
    }
}
