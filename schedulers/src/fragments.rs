//! FGD's measure of fragmentation: how much free GPU of a node the usual tasks cannot use.
//!
//! Source: Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
//! Gradient Descent", USENIX ATC 2023, section 4.
//!
//! This is the one place in the crate where floating-point numbers take part in decisions. Shares of
//! shapes are what the original computes, added up in the original's order, because a difference in the
//! last bit of two equally good nodes decides between them. Only additions, multiplications and
//! divisions are used, so that every machine computes the same bits.

use cluster::demand::Resource;
use cluster::ids::{ModelId, NodeId};
use cluster::nodes::{Device, Nodes};
use cluster::shape::Shape;
use cluster::units::{GpuMilli, MilliCpu};
use std::collections::BTreeMap;

/// What the measure looks at of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Cpu.
    pub cpu: MilliCpu,
    /// Share of each device.
    pub gpu_milli: GpuMilli,
    /// Number of devices.
    pub gpu_count: u16,
    /// Models that will do, separated by a bar, as written; empty is any. Sets that are written
    /// differently count as different.
    pub models: String,
}

impl Asked {
    /// Of a shape.
    pub fn of(shape: &Shape) -> Self {
        let gpus = &shape.demand.gpus;
        Self {
            cpu: MilliCpu(shape.amounts[0]),
            gpu_milli: if gpus.count == 0 { GpuMilli(0) } else { gpus.milli },
            gpu_count: gpus.count,
            models: if gpus.count == 0 { String::new() } else { gpus.models.join("|") },
        }
    }
}

/// At least this many percent of all tasks have a usual shape.
const USUAL_PERCENT: u64 = 95;

/// The usual tasks: the most frequent shapes that together make up 95 % of all tasks, with their shares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usual(Vec<(Asked, f64)>);

impl Usual {
    /// Of these tasks and how often each came.
    pub fn of(tasks: impl IntoIterator<Item = (Asked, u64)>) -> Self {
        let mut counts: BTreeMap<Asked, u64> = BTreeMap::new();
        for (asked, count) in tasks {
            *counts.entry(asked).or_default() += count;
        }
        let all: u64 = counts.values().sum();
        let mut shapes: Vec<(u64, Asked)> =
            counts.into_iter().filter(|it| it.1 > 0).map(|(asked, count)| (count, asked)).collect();
        shapes.sort_unstable_by(|a, b| b.cmp(a));
        let mut kept = 0;
        let mut usual = Vec::new();
        for (count, asked) in shapes {
            if u128::from(kept) * 100 >= u128::from(all) * u128::from(USUAL_PERCENT) {
                break;
            }
            kept += count;
            usual.push((asked, count as f64 / all as f64));
        }
        if kept < all {
            let share = kept as f64 / all as f64;
            for it in &mut usual {
                it.1 /= share;
            }
        }
        Self(usual)
    }

    /// Shapes, most frequent first, with their shares.
    pub fn shapes(&self) -> &[(Asked, f64)] {
        &self.0
    }
}

/// The usual tasks with the models of a cluster looked up.
#[derive(Debug, Clone, Default)]
pub struct Fragments(Vec<Row>);

#[derive(Debug, Clone)]
struct Row {
    cpu: u64,
    milli: u32,
    count: usize,
    /// `None` is any.
    models: Option<Vec<ModelId>>,
    share: f64,
}

/// A device of which so much is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its model.
    pub model: ModelId,
    /// Thousandths.
    pub milli: u32,
}

impl Fragments {
    /// For this cluster. Has to be made anew when models join that no node had before.
    pub fn new(usual: &Usual, nodes: &Nodes) -> Self {
        let models = |text: &str| -> Option<Vec<ModelId>> {
            let names = text.split('|').filter(|it| !it.is_empty());
            let known = |it| nodes.model_names().get(it).map(|it| ModelId(it as u16));
            (!text.is_empty()).then(|| names.filter_map(known).collect())
        };
        let row = |(asked, share): &(Asked, f64)| Row {
            cpu: asked.cpu.0,
            milli: asked.gpu_milli.0,
            count: usize::from(asked.gpu_count),
            models: models(&asked.models),
            share: *share,
        };
        Self(usual.0.iter().map(row).collect())
    }

    /// How much of the GPUs of a node with this much free the usual tasks cannot use on average, in
    /// thousandths of a device.
    ///
    /// To a task without GPUs, that asks for another model, more devices or more cpu than there is,
    /// everything is a fragment; to others the devices on which it does not fit.
    pub fn of(&self, cpu: u64, devices: &[Left]) -> f64 {
        let all: u32 = devices.iter().map(|it| it.milli).sum();
        if all == 0 {
            return 0.0;
        }
        let all = f64::from(all);
        // By reason: both short, devices short, cpu short, no GPU asked for (cpu there or not), no
        // device of a right model.
        let mut by_reason = [0.0f64; 6];
        for row in &self.0 {
            let has_cpu = cpu >= row.cpu;
            let (reason, milli) = if row.milli == 0 {
                (if has_cpu { 3 } else { 4 }, all)
            } else {
                let (mut allowed, mut enough, mut lost) = (false, 0, 0);
                for it in devices {
                    let right = row.models.as_ref().is_none_or(|them| them.contains(&it.model));
                    allowed |= right;
                    if right && it.milli >= row.milli {
                        enough += 1;
                    } else {
                        lost += it.milli;
                    }
                }
                match (allowed, enough >= row.count, has_cpu) {
                    (false, ..) => (5, all),
                    (_, true, true) => (1, f64::from(lost)),
                    (_, true, false) => (2, all),
                    (_, false, true) => (1, all),
                    (_, false, false) => (0, all),
                }
            };
            by_reason[reason] += row.share * milli;
        }
        by_reason.iter().sum()
    }

    /// The amounts of cpu that usual tasks ask for, ascending, each once: [`Fragments::of`] goes by how many of them a
    /// node has enough for.
    pub(crate) fn cpus(&self) -> Vec<u64> {
        let mut cpus: Vec<u64> = self.0.iter().map(|it| it.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }

    /// As [`Fragments::of`], of a node as it is.
    pub fn of_node(&self, node: NodeId, nodes: &Nodes) -> f64 {
        let mut devices = Vec::new();
        devices_left(node, nodes, &mut devices);
        self.of(nodes.free(Resource::Cpu)[node.row()], &devices)
    }
}

/// What is left of each device of a node, also of those that are gone or full.
pub fn devices_left(node: NodeId, nodes: &Nodes, out: &mut Vec<Left>) {
    out.clear();
    let left = |it: &Device| Left { model: it.model, milli: it.free().0 };
    out.extend(nodes.devices(node).iter().map(left));
}

/// Asks for a part of one device.
pub(crate) fn is_share(shape: &Shape) -> bool {
    shape.gpu_count == 1 && shape.gpu_milli < GpuMilli::DEVICE
}

/// Whether the device could be one of those that the task gets.
pub(crate) fn device_fits(shape: &Shape, device: &Device) -> bool {
    device.capacity.0 > 0
        && device.free() >= shape.gpu_milli
        && (shape.gpu_models.is_empty() || shape.gpu_models.contains(&device.model))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cpu: u64, gpu_count: u16, gpu_milli: u32) -> Asked {
        let (cpu, gpu_milli) = (MilliCpu(cpu), GpuMilli(gpu_milli));
        Asked { cpu, gpu_milli, gpu_count, models: String::new() }
    }

    #[test]
    fn the_rare_shapes_are_left_out() {
        let counts = [(asked(1, 1, 500), 60), (asked(2, 1, 1000), 36), (asked(3, 0, 0), 4)];
        let usual = Usual::of(counts);
        let shares: Vec<f64> = usual.shapes().iter().map(|it| it.1).collect();
        assert_eq!(shares, [0.6 / 0.96, 0.36 / 0.96]);
        // Equally frequent: the larger first.
        let usual = Usual::of([(asked(1, 1, 500), 1), (asked(1, 1, 1000), 1)]);
        assert_eq!(usual.shapes()[0].0, asked(1, 1, 1000));
        assert_eq!(Usual::of([]), Usual::default());
    }

    #[track_caller]
    fn fragment(task: Asked, cpu: u64, devices: &[u32], want: f64) {
        let fragments = Fragments::new(&Usual::of([(task, 1)]), &Nodes::default());
        let left = |&milli: &u32| Left { model: ModelId(0), milli };
        let devices: Vec<Left> = devices.iter().map(left).collect();
        assert_eq!(fragments.of(cpu, &devices), want);
    }

    #[test]
    fn what_the_usual_task_cannot_use_is_a_fragment() {
        let half = asked(4, 1, 500);
        fragment(half.clone(), 8, &[1000, 400], 400.0);
        fragment(half.clone(), 8, &[499, 400], 899.0);
        fragment(half.clone(), 3, &[1000, 400], 1400.0);
        fragment(half, 8, &[0, 0], 0.0);
        fragment(asked(1, 2, 1000), 8, &[1000, 300, 1000], 300.0);
        fragment(asked(1, 2, 1000), 8, &[1000, 900], 1900.0);
        fragment(asked(1, 0, 0), 8, &[1000, 900], 1900.0);
        let other = Asked { models: "t4".into(), ..asked(1, 1, 100) };
        fragment(other, 8, &[1000], 1000.0);
    }
}
