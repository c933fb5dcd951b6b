//! How much each resource counts, for rules that add resources up.

use cluster::nodes::Nodes;
use cluster::scheduler::Ask;

/// Where the weights come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Weights {
    /// A resource counts as much as it is in demand: what placed tasks and the one to be placed ask for,
    /// as a share of what the cluster has. That is the average demand of Panigrahy et al., over
    /// the tasks known at the moment, up to a factor that is the same for all resources.
    #[default]
    Demand,
    /// All count the same.
    Equal,
}

/// The weight of a resource of which all that the cluster has is asked for.
const WHOLE: u128 = 1 << 16;
/// No weight is larger, however much more is asked for than is there.
const MOST: u128 = 1 << 20;

impl Weights {
    /// As written in policies.
    pub const WORDS: &[(&str, Self)] = &[("demand", Self::Demand), ("equal", Self::Equal)];

    /// The weights for this task now, in the order of
    /// [`Resource::ALL`](cluster::demand::Resource::ALL); at most 2^20. Shares are rounded up to whole
    /// 2^-16, so that whatever is asked for counts.
    pub fn of(self, ask: Ask<'_>, nodes: &Nodes) -> [u64; 4] {
        match self {
            Self::Equal => [1; 4],
            Self::Demand => {
                let totals = nodes.totals();
                let asked = ask.shape.totals();
                let mut weights = [0; 4];
                for (row, weight) in weights.iter_mut().enumerate() {
                    let demand = u128::from(totals.held[row]) + u128::from(asked[row]);
                    let capacity = u128::from(totals.capacity[row]).max(1);
                    *weight = (demand * WHOLE).div_ceil(capacity).min(MOST) as u64;
                }
                weights
            }
        }
    }
}

/// How weights changed: the least and the largest fraction of new by old, each as numerator and denominator, over the resources that
/// count. None of those may have weighed nothing.
pub fn drift(old: [u64; 4], new: [u64; 4], counts: impl Fn(usize) -> bool) -> [(u128, u128); 2] {
    let ratio = |it: usize| (u128::from(new[it]), u128::from(old[it]));
    let by_size = |a: &(u128, u128), b: &(u128, u128)| (a.0 * b.1).cmp(&(b.0 * a.1));
    let ratios = || (0..4).filter(|it| counts(*it)).map(ratio);
    let (least, most) = (ratios().min_by(by_size), ratios().max_by(by_size));
    [least, most].map(|it| it.unwrap_or((1, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{World, demand};
    use cluster::nodes::{DeviceSet, NodeCapacity, NodeSpec};
    use cluster::rules::Rules;
    use cluster::scheduler::{Desk, Scheduler};
    use std::sync::{Arc, Mutex};

    /// Notes the weights of every task and puts it on the first node, if it fits.
    struct Noting(Arc<Mutex<Vec<[u64; 4]>>>);

    impl Scheduler for Noting {
        fn decide(&mut self, desk: &mut Desk<'_>) {
            while let Some(task) = desk.head() {
                let (ask, nodes) = (desk.ask(task), desk.state().nodes());
                self.0.lock().unwrap().push(Weights::Demand.of(ask, nodes));
                match nodes.ids().find(|&it| nodes.fits(ask.shape, it)) {
                    Some(node) => desk.place(task, node, DeviceSet::NONE),
                    None => desk.unfit(task),
                }
            }
        }
    }

    #[test]
    fn what_is_held_and_asked_for_counts_as_a_share_rounded_up() {
        let noted = Arc::new(Mutex::new(Vec::new()));
        let mut world = World::new(Rules::default(), Box::new(Noting(noted.clone())));
        world.join(NodeSpec {
            name: "a".to_owned(),
            capacity: NodeCapacity { amounts: demand("3/8").amounts, gpus: vec![] },
            ..NodeSpec::default()
        });
        for task in ["1/0", "1/2", "300/0"] {
            world.submit(demand(task), None);
        }
        // A third of 2^16 is 21845.3; a hundred times what there is counts no more than 2^20.
        let want = [[21_846, 0, 0, 0], [43_691, 16_384, 0, 0], [1 << 20, 16_384, 0, 0]];
        assert_eq!(*noted.lock().unwrap(), want);
    }
}
