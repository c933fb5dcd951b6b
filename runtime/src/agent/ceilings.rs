//! What each container gets of the ceilings of its whole task.
//!
//! ECS makes a control group for the task, puts the task's ceilings on it, and its containers beneath it:
//! each may use what the others leave. The Engine API has nothing of the kind. `CgroupParent` names a
//! group, but no call sets limits on one that is not a container's, and a container's own group cannot
//! hold others under cgroup v2. So this differs where a task has several containers:
//!
//! - **Cpu is split**, by weight, among those that may run at the same time. Together they never get more
//!   than the task's ceiling; but what one leaves the others cannot use. One of little weight, which ECS
//!   would let borrow, gets an eighth of what the heaviest gets.
//! - **Memory is not split.** No container gets more than the task's ceiling, but together they may take
//!   more. Beyond a part of its own the kernel would kill what ECS lets live.
//!
//! A task with one container gets exactly what ECS gives it.

use crate::program::{Condition, Program};
use cluster::units::{Bytes, MilliCpu};

/// Docker's own weight.
const WEIGHT: u32 = 1024;
/// The least cpu that the kernel takes as a ceiling.
const CPU_MIN: MilliCpu = MilliCpu(10);

/// Of one container; the lower of its own and its part of the task's.
pub(super) fn cpu(program: &Program, row: usize) -> Option<MilliCpu> {
    let part = program.cpu_limit.map(|total| {
        let weight = |it: usize| u64::from(program.containers[it].cpu_shares.unwrap_or(WEIGHT));
        let all = 0..program.containers.len();
        let least = (all.clone().map(weight).max().unwrap_or(0) / 8).max(1);
        let weight = |it: usize| weight(it).max(least);
        let same_time =
            all.filter(|&it| !ends_before(program, it, row) && !ends_before(program, row, it));
        let sum: u64 = same_time.map(weight).sum();
        MilliCpu(total.0.saturating_mul(weight(row)) / sum).max(CPU_MIN)
    });
    [program.containers[row].cpu_limit, part].into_iter().flatten().min()
}

/// Of one container; the lower of its own and the task's.
pub(super) fn memory(program: &Program, row: usize) -> Option<Bytes> {
    [program.containers[row].memory_limit, program.memory_limit].into_iter().flatten().min()
}

/// Whether `first` must have ended before `then` starts: it, or one that it depends on, waits for that.
fn ends_before(program: &Program, first: usize, then: usize) -> bool {
    let position = |name: &str| program.containers.iter().position(|it| it.name == name);
    let mut is_seen = vec![false; program.containers.len()];
    let mut open = vec![then];
    while let Some(row) = open.pop() {
        if std::mem::replace(&mut is_seen[row], true) {
            continue;
        }
        for needed in &program.containers[row].depends_on {
            let Some(other) = position(&needed.container) else { continue };
            let is_end = matches!(needed.condition, Condition::Complete | Condition::Success);
            if other == first && is_end {
                return true;
            }
            open.push(other);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{ContainerProgram, Dependency};

    fn program(weights: &[u32], edges: &[(usize, usize, Condition)]) -> Program {
        let name = |it: usize| format!("c{it}");
        let containers = weights.iter().enumerate().map(|(row, &weight)| ContainerProgram {
            name: name(row),
            cpu_shares: Some(weight),
            depends_on: edges
                .iter()
                .filter(|it| it.0 == row)
                .map(|it| Dependency { container: name(it.1), condition: it.2 })
                .collect(),
            ..ContainerProgram::default()
        });
        let (cpu_limit, memory_limit) = (Some(MilliCpu(900)), Some(Bytes::from_mib(64)));
        Program { containers: containers.collect(), cpu_limit, memory_limit, ..Program::default() }
    }

    #[test]
    fn cpu_is_split_by_weight_among_those_that_run_together() {
        use Condition as C;
        for (weights, edges, want) in [
            (&[512][..], &[][..], &[900][..]),
            (&[512, 1024], &[], &[300, 600]),
            (&[800, 2], &[], &[800, 100]),
            (&[9, 9], &[(1, 0, C::Start)], &[450, 450]),
            (&[9, 9], &[(1, 0, C::Success)], &[900, 900]),
            // The middle one waits for the first; the last only for the middle one.
            (&[9, 9, 9], &[(1, 0, C::Complete), (2, 1, C::Start)], &[900, 450, 450]),
            // Two that run together wait for the same one, and a circle ends.
            (&[9, 9, 9], &[(1, 0, C::Success), (2, 0, C::Success)], &[900, 450, 450]),
            (&[9, 9], &[(0, 1, C::Start), (1, 0, C::Start)], &[450, 450]),
        ] {
            let program = program(weights, edges);
            let got: Vec<u64> = (0..weights.len()).map(|it| cpu(&program, it).unwrap().0).collect();
            assert_eq!(got, want, "{weights:?} {edges:?}");
        }
    }

    #[test]
    fn a_containers_own_ceiling_is_kept() {
        let mut it = program(&[9, 9], &[]);
        it.containers[0].cpu_limit = Some(MilliCpu(100));
        it.containers[1].memory_limit = Some(Bytes::from_mib(16));
        assert_eq!([0, 1].map(|row| cpu(&it, row).unwrap()), [MilliCpu(100), MilliCpu(450)]);
        assert_eq!([0, 1].map(|row| memory(&it, row).unwrap()), [64, 16].map(Bytes::from_mib));
        (it.cpu_limit, it.memory_limit) = (None, None);
        assert_eq!((cpu(&it, 1), memory(&it, 0)), (None, None));
    }
}
