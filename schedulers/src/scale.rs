//! Amounts of different resources on one scale: shares of the largest node, in integers.

use cluster::demand::Resource;
use cluster::event::Change;
use cluster::ids::NodeId;
use cluster::nodes::Nodes;
use cluster::scheduler::Ask;

/// What a whole largest node is worth, per resource, if exact shares need more.
const ONE: u64 = 1 << 61;

/// Makes shares of amounts.
///
/// A share is the amount divided by the most that any node that ever joined offers of that resource,
/// over-commit included (for GPUs: the summed capacity of its devices). All shares of one moment have
/// the same denominator [`Scale::one`]: the least common multiple of the largest capacities where that
/// is at most 2^61, so that shares and their sums are exact; otherwise 2^61, with the weight of each
/// resource rounded down, so that equal amounts still have equal shares. A resource that no node has
/// counts nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    one: u64,
    weights: [u64; 4],
    /// Right shift that leaves 31 bits of a share.
    coarse: u32,
    is_stale: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Self { one: 1, weights: [0; 4], coarse: 0, is_stale: true }
    }
}

impl Scale {
    /// Notes whether the largest capacities may have changed.
    pub fn observe(&mut self, changes: &[Change]) {
        self.is_stale |= changes
            .iter()
            .any(|it| matches!(it, Change::NodeReady { .. } | Change::NodeUpdated { .. }));
    }

    /// Looks up the largest capacities again if they may have changed.
    pub fn refresh(&mut self, nodes: &Nodes) {
        if self.is_stale {
            let mut largest = [0; 4];
            for resource in Resource::SCALARS {
                largest[resource.row()] =
                    nodes.allocatable(resource).iter().copied().max().unwrap_or(0);
            }
            largest[Resource::Gpu.row()] =
                nodes.ids().map(|it| nodes.gpu_capacity(it)).max().unwrap_or(0);
            *self = Self::of(largest);
        }
    }

    /// The scale on which a node with these amounts is one.
    pub fn of(largest: [u64; 4]) -> Self {
        let common = largest
            .into_iter()
            .filter(|&it| it > 0)
            .try_fold(1, |common, it| least_common_multiple(common, it).filter(|&it| it <= ONE));
        let one = common.unwrap_or(ONE);
        let weights = largest.map(|it| one.checked_div(it).unwrap_or(0));
        Self {
            one,
            weights,
            coarse: (64 - one.leading_zeros()).saturating_sub(31),
            is_stale: false,
        }
    }

    /// What a whole largest node is worth; at most 2^61, so that four of them can be added up.
    pub fn one(&self) -> u64 {
        self.one
    }

    /// The share of an amount of a resource; at most [`Scale::one`] for what a node can hold.
    ///
    /// # Panics
    ///
    /// May panic if the amount is more than any node offers.
    #[inline]
    pub fn share(&self, resource: Resource, amount: u64) -> u64 {
        amount * self.weights[resource.row()]
    }

    /// Amounts in the order of [`Resource::ALL`] as shares of the largest node.
    #[inline]
    pub fn shares(&self, amounts: [u64; 4]) -> [u64; 4] {
        std::array::from_fn(|it| amounts[it] * self.weights[it])
    }

    /// The shares of these amounts, summed.
    #[inline]
    pub fn whole(&self, amounts: [u64; 4]) -> u64 {
        let [cpu, memory, disk, gpu] = self.shares(amounts);
        cpu + memory + disk + gpu
    }

    /// A share rounded down to 31 bits, for products.
    #[inline]
    pub fn coarse(&self, share: u64) -> u64 {
        share >> self.coarse
    }

    /// The least share that is not rounded down to nothing.
    pub fn coarse_one(&self) -> u64 {
        1 << self.coarse
    }

    /// Shares of what the task asks for. More than any node offers counts as all of it and more, but
    /// never overflows.
    pub fn asked(&self, ask: Ask<'_>) -> [u64; 4] {
        let mut shares = ask.shape.totals();
        for (share, weight) in shares.iter_mut().zip(self.weights) {
            *share = share.saturating_mul(weight);
        }
        shares
    }

    /// Shares of what nodes have free.
    pub fn reader<'a>(&self, nodes: &'a Nodes) -> Shares<'a> {
        Shares {
            free: Resource::SCALARS.map(|it| nodes.free(it)),
            weights: self.weights,
            has_gpus: self.weights[Resource::Gpu.row()] > 0,
            nodes,
        }
    }
}

/// Shares of what nodes have free, node by node; made by [`Scale::reader`].
#[derive(Debug, Clone, Copy)]
pub struct Shares<'a> {
    free: [&'a [u64]; 3],
    weights: [u64; 4],
    has_gpus: bool,
    nodes: &'a Nodes,
}

impl Shares<'_> {
    /// What this node has free, in the order of [`Resource::ALL`].
    #[inline(always)]
    pub fn of(&self, node: NodeId) -> [u64; 4] {
        let row = node.row();
        let [cpu, memory, disk] = self.free;
        [
            cpu[row] * self.weights[0],
            memory[row] * self.weights[1],
            disk[row] * self.weights[2],
            if self.has_gpus { self.gpus(node) } else { 0 },
        ]
    }

    /// Out of line, to keep the loops small in clusters without GPUs.
    #[inline(never)]
    fn gpus(&self, node: NodeId) -> u64 {
        self.nodes.gpu_free(node) * self.weights[Resource::Gpu.row()]
    }
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_where_a_common_denominator_exists() {
        let scale = Scale::of([48_000, 384 << 30, 0, 8_000]);
        assert_eq!(scale.share(Resource::Cpu, 24_000) * 2, scale.one());
        assert_eq!(scale.share(Resource::Memory, 128 << 30) * 3, scale.one());
        assert_eq!(scale.share(Resource::Disk, 5), 0, "a resource that no node has counts nothing");
        assert_eq!(scale.share(Resource::Gpu, 1_000) * 8, scale.one());
    }

    #[test]
    fn shares_that_cannot_be_exact_stay_in_range_and_in_order() {
        let largest = [999_983, (1 << 44) - 17, (1 << 43) - 57, 7_919];
        let scale = Scale::of(largest);
        assert_eq!(scale.one(), ONE);
        for (resource, amount) in Resource::ALL.into_iter().zip(largest) {
            let whole = scale.share(resource, amount);
            assert!(whole <= ONE && whole > ONE - ONE / (1 << 17), "{resource}: {whole}");
            assert!(scale.share(resource, amount - 1) < whole);
        }
    }

    #[test]
    fn coarse_shares_have_31_bits() {
        for one in [[7, 0, 0, 0], [1 << 40, 64_000, 0, 0], [u64::MAX >> 3, 3, 0, 0]] {
            let scale = Scale::of(one);
            assert!(scale.coarse(scale.one()) < 1 << 31);
        }
        assert_eq!(Scale::of([1000, 0, 0, 0]).coarse(999), 999, "small scales lose nothing");
    }
}
