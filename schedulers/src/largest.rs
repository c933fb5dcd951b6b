//! The most cpu and GPU that any node offers, by which FGD's baselines normalise.

use cluster::demand::Resource;
use cluster::event::Change;
use cluster::nodes::Nodes;

/// Amounts of cpu are cut to this many bits, so that products of four amounts fit 128.
const CPU_BITS: u32 = 38;

/// The largest cpu of any node that ever joined, over-commit included, and the largest GPU sum.
///
/// FGD writes them into its code (128 cores, 8 devices: the largest node of its cluster). Clusters whose
/// largest node has more than 2^38 thousandths of a core lose the low bits of all cpu amounts; up to
/// there everything is exact.
#[derive(Debug, Clone, Copy)]
pub struct Largest {
    /// Thousandths of a core, cut; at least one.
    pub cpu: u128,
    /// Thousandths of a device; at least one.
    pub gpu: u128,
    cut: u32,
    is_stale: bool,
}

impl Default for Largest {
    fn default() -> Self {
        Self { cpu: 1, gpu: 1, cut: 0, is_stale: true }
    }
}

impl Largest {
    /// Notes whether a node may have become larger.
    pub fn observe(&mut self, changes: &[Change]) {
        self.is_stale |= changes
            .iter()
            .any(|it| matches!(it, Change::NodeReady { .. } | Change::NodeUpdated { .. }));
    }

    /// Looks again, if need be.
    pub fn refresh(&mut self, nodes: &Nodes) {
        if self.is_stale {
            let cpu = nodes.allocatable(Resource::Cpu).iter().copied().max().unwrap_or(0);
            let gpu = nodes.ids().map(|it| nodes.gpu_capacity(it)).max().unwrap_or(0);
            self.cut = (64 - cpu.leading_zeros()).saturating_sub(CPU_BITS);
            self.cpu = u128::from(cpu >> self.cut).max(1);
            self.gpu = u128::from(gpu).max(1);
            self.is_stale = false;
        }
    }

    /// An amount of cpu on the same footing as [`Largest::cpu`].
    #[inline]
    pub fn cut(&self, cpu: u64) -> u128 {
        u128::from(cpu >> self.cut)
    }
}
