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
