//! Binpack: what is left of one resource before the task is there, as a plain amount.

use super::Packed;
use crate::ecs::instance::Instance;

/// Units or MiB left, per candidate.
pub(super) fn scores(packed: Packed, instances: &[Instance], candidates: &[usize]) -> Vec<u64> {
    let left = |&it: &usize| match packed {
        Packed::Cpu => instances[it].left().cpu_units,
        Packed::Memory => instances[it].left().memory_mib,
    };
    candidates.iter().map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::instance::Amounts;

    #[test]
    fn only_the_named_resource_counts() {
        let new = |cpu_units, memory_mib, held_cpu, held_mib| Instance {
            total: Amounts { cpu_units, memory_mib, gpus: 0 },
            held: Amounts { cpu_units: held_cpu, memory_mib: held_mib, gpus: 0 },
            ..Instance::default()
        };
        let instances = [new(4096, 8192, 256, 6192), new(4096, 2048, 512, 548)];
        assert_eq!(scores(Packed::Memory, &instances, &[0, 1]), [2000, 1500]);
        assert_eq!(scores(Packed::Cpu, &instances, &[1]), [3584]);
    }
}
