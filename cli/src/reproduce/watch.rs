//! What is watched during a run: how much is asked for, allocated, and a fragment.

use super::Values;
use cluster::event::{Change, Ending};
use cluster::ids::NodeId;
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::Instant;
use schedulers::fragments::{Fragments, Usual};
use std::sync::Arc;

/// Notes, after every pod, what was asked for so far, what is allocated and what is a fragment.
#[derive(Default)]
pub(super) struct Watch {
    usual: Arc<Usual>,
    fragments: Option<Fragments>,
    /// What is a fragment of each node.
    of_node: Vec<f64>,
    fragmented: f64,
    capacity: u64,
    asked: u64,
    allocated: u64,
    pub(super) dropped: u64,
    /// By percent asked for: how many pods, sum of hundredths of percent allocated and fragmented.
    bins: Vec<(u32, u64, u64)>,
}

impl Observer for Watch {
    fn advance(&mut self, _: Instant, _: &State) {}

    fn observe(&mut self, _: Instant, changes: &[Change], state: &State) {
        for change in changes {
            let (task, placed) = match change {
                Change::Placed { task, node } => (task, Some(*node)),
                Change::Ended { task, how: Ending::Dropped(_), .. } => (task, None),
                _ => continue,
            };
            let [.., gpu] = state.shape(state.shape_of(task.definition)).totals();
            self.step(gpu, placed, state);
        }
    }
}

impl Watch {
    pub(super) fn new(usual: &Arc<Usual>) -> Self {
        Self { usual: Arc::clone(usual), ..Self::default() }
    }

    fn step(&mut self, gpu: u64, placed: Option<NodeId>, state: &State) {
        let nodes = state.nodes();
        let fragments = self.fragments.get_or_insert_with(|| {
            self.capacity = nodes.ids().map(|it| nodes.gpu_capacity(it)).sum();
            let fragments = Fragments::new(&self.usual, nodes);
            self.of_node = nodes.ids().map(|it| fragments.of_node(it, nodes)).collect();
            self.fragmented = self.of_node.iter().sum();
            fragments
        });
        self.asked += gpu;
        match placed {
            None => self.dropped += 1,
            Some(node) => {
                self.allocated += gpu;
                let now = fragments.of_node(node, nodes);
                let before = std::mem::replace(&mut self.of_node[node.row()], now);
                self.fragmented += now - before;
            }
        }
        let capacity = self.capacity.max(1);
        let load = nearest(100 * self.asked, capacity) as usize;
        if self.bins.len() <= load {
            self.bins.resize(load + 1, (0, 0, 0));
        }
        let idle = self.capacity - self.allocated;
        let share = if idle == 0 { 0.0 } else { self.fragmented / idle as f64 };
        let bin = &mut self.bins[load];
        bin.0 += 1;
        bin.1 += nearest(10_000 * self.allocated, capacity);
        bin.2 += (share * 10_000.0).max(0.0).round_ties_even() as u64;
    }

    pub(super) fn curve(&self) -> Vec<Option<Values>> {
        let mean = |load: usize| {
            // An empty bin shows its neighbours.
            let alone = self.bins[load].0 > 0;
            let range = if alone { load..=load } else { load.saturating_sub(1)..=load + 1 };
            let mut sum = (0, 0, 0);
            for bin in range.filter_map(|it| self.bins.get(it)) {
                sum = (sum.0 + bin.0, sum.1 + bin.1, sum.2 + bin.2);
            }
            let count = f64::from(sum.0) * 100.0;
            (sum.0 > 0).then(|| Values {
                allocated: sum.1 as f64 / count,
                fragmented: sum.2 as f64 / count,
            })
        };
        (0..self.bins.len()).map(mean).collect()
    }
}

/// The nearest whole number to a fraction, the even one of two.
fn nearest(numerator: u64, denominator: u64) -> u64 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (2 * rest).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal => whole + whole % 2,
        std::cmp::Ordering::Greater => whole + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_even_in_between() {
        let got: Vec<u64> = (0..=8).map(|it| nearest(it, 4)).collect();
        assert_eq!(got, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn a_bin_is_the_mean_of_its_pods_and_an_empty_one_that_of_its_neighbours() {
        let bins = vec![(2, 3, 5), (0, 0, 0), (1, 6, 10), (0, 0, 0), (0, 0, 0), (1, 9, 9)];
        let curve = Watch { bins, ..Watch::default() }.curve();
        let values = |allocated, fragmented| Some(Values { allocated, fragmented });
        let want = [
            values(0.015, 0.025),
            values(0.03, 0.05),
            values(0.06, 0.1),
            values(0.06, 0.1),
            values(0.09, 0.09),
            values(0.09, 0.09),
        ];
        assert_eq!(curve, want);
        let alone =
            Watch { bins: vec![(1, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0)], ..Watch::default() };
        assert_eq!(alone.curve()[1..], [values(0.01, 0.01), None, None]);
    }
}
