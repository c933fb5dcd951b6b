//! What is requested of a node, by one of three strategies.
//!
//! Source: v1.35, `plugins/noderesources/{least_allocated,most_allocated,requested_to_capacity_ratio,
//! resource_allocation}.go` and `plugins/helper/shape_score.go`.

use super::{Choice, Column, MAX, Normalise};
use crate::kubernetes::node::Node;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::{Point, Profile, Strategy, Weighted};
use crate::kubernetes::resources::{Amounts, Resource};

/// What one point of a shape's score counts.
const POINT: i64 = MAX / 10;

/// A resource of a node: what it offers, and what would be asked of it with the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Above 0.
    pub offered: i64,
    /// May be above what is offered.
    pub requested: i64,
}

/// The loads that count, with their weights: resources that the node does not offer are left out, and
/// extended ones that the pod does not ask for.
///
/// `asked` is what the pod counts as; `taken` what the node's pods count as. CPU and memory go by these,
/// everything else by true requests in both.
pub fn loads<'a>(
    resources: &'a [Weighted],
    asked: &'a Amounts,
    node: &'a Node,
    taken: &'a Amounts,
) -> impl Iterator<Item = (Load, i64)> + 'a {
    resources.iter().filter_map(move |it| {
        let asked = asked.get(&it.resource);
        if asked == 0 && matches!(it.resource, Resource::Extended(_)) {
            return None;
        }
        let offered = node.allocatable.get(&it.resource);
        let requested = taken.get(&it.resource) + asked;
        (offered != 0).then_some((Load { offered, requested }, it.weight))
    })
}

/// Absent requests count as defaults here, of the pod and of the pods that are there.
pub fn column(choice: Choice<'_>) -> Column {
    let value = |node: &Node| value(choice.profile, node, choice.pod);
    Column { values: choice.nodes().map(value).collect(), normalise: Normalise::Not }
}

/// The score of one node.
pub fn value(profile: &Profile, node: &Node, pod: &Pod) -> i64 {
    let resources = &profile.strategy_resources;
    let loads = loads(resources, &pod.shape.counted, node, &node.used().counted);
    match &profile.strategy {
        Strategy::LeastAllocated => mean(loads.map(|(it, weight)| (least(it), weight))),
        Strategy::MostAllocated => mean(loads.map(|(it, weight)| (most(it), weight))),
        Strategy::RequestedToCapacityRatio(shape) => ratio(shape, loads),
    }
}

fn least(load: Load) -> i64 {
    if load.requested > load.offered {
        return 0;
    }
    (load.offered - load.requested) * MAX / load.offered
}

fn most(load: Load) -> i64 {
    load.requested.min(load.offered) * MAX / load.offered
}

fn mean(scores: impl Iterator<Item = (i64, i64)>) -> i64 {
    let add = |(sum, weights), (score, weight)| (sum + score * weight, weights + weight);
    let (sum, weights) = scores.fold((0, 0), add);
    if weights == 0 { 0 } else { sum / weights }
}

/// Resources whose score is 0 or less count for nothing, their weight included; the mean is rounded half
/// away from zero.
fn ratio(shape: &[Point], loads: impl Iterator<Item = (Load, i64)>) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for (load, weight) in loads {
        let over = load.requested > load.offered;
        let utilization = if over { 100 } else { load.requested * 100 / load.offered };
        let score =
            broken_linear(shape.iter().map(|it| (it.utilization, it.score * POINT)), utilization);
        if score > 0 {
            sum += score * weight;
            weights += weight;
        }
    }
    if weights == 0 { 0 } else { (sum as f64 / weights as f64).round() as i64 }
}

/// The value at `at` of the function that is linear between points (argument, value) with rising arguments,
/// and constant before the first and beyond the last. Divisions truncate.
pub fn broken_linear(points: impl Iterator<Item = (i64, i64)>, at: i64) -> i64 {
    let mut before: Option<(i64, i64)> = None;
    for (x, y) in points {
        if at <= x {
            return before.map_or(y, |(x0, y0)| y0 + (y - y0) * (at - x0) / (x - x0));
        }
        before = Some((x, y));
    }
    before.map_or(0, |it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::profile::Profile;
    use serde_json::json;

    #[test]
    fn strategies() {
        let load = |requested, offered| Load { offered, requested };
        for (it, least_score, most_score) in
            [(load(0, 7), 100, 0), (load(1, 3), 66, 33), (load(3, 3), 0, 100), (load(4, 3), 0, 100)]
        {
            assert_eq!((least(it), most(it)), (least_score, most_score), "{it:?}");
        }
        let shape =
            [(0, 0), (50, 10), (100, 5)].map(|(utilization, score)| Point { utilization, score });
        for (loads, score) in [
            (vec![(load(1, 4), 1)], 50),
            (vec![(load(9, 4), 1)], 50),
            (vec![(load(1, 2), 3), (load(0, 2), 5)], 100),
            (vec![(load(1, 2), 1), (load(1, 4), 2)], 67),
            (vec![], 0),
        ] {
            assert_eq!(ratio(&shape, loads.clone().into_iter()), score, "{loads:?}");
        }
    }

    #[test]
    fn what_counts() {
        let mut cluster = cluster(json!([{"name": "n",
            "allocatable": {"cpu_milli": 1000, "extended": {"gpu": 4}}}]));
        cluster.add_pod(0, pod(json!({"containers": [{}]})));
        let mut profile = Profile::default();
        let gpu = Weighted { resource: Resource::named("gpu"), weight: 1 };
        profile.strategy_resources.push(gpu);
        // Memory is not offered; the GPU counts for those who ask for one.
        for (requests, score) in [
            (json!({}), 80),
            (json!({"cpu_milli": 0}), 90),
            (json!({"cpu_milli": 0, "extended": {"gpu": 1}}), 82),
        ] {
            let pod = pod(json!({"containers": [{"requests": requests}]}));
            let choice = Choice { profile: &profile, cluster: &cluster, pod: &pod, rows: &[0] };
            assert_eq!(column(choice).values, [score], "{requests}");
        }
    }
}
