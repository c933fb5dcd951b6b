//! Resources of a node used to the same degree. Source: v1.35, `plugins/noderesources/balanced_allocation.go`.

use super::node_resources_fit::{Load, loads};
use super::{Choice, Column, MAX, Normalise};
use crate::kubernetes::node::Node;
use crate::kubernetes::pod::Pod;
use crate::kubernetes::profile::{Profile, Release};

/// 100 times one less the standard deviation of the shares requested, truncated. Goes by true requests;
/// weights do not matter. Skipped for a pod that asks for none of the resources, except in v1.23.
pub fn column(choice: Choice<'_>) -> Option<Column> {
    let values = choice.nodes().map(|node| value(choice.profile, node, choice.pod));
    Some(Column { values: values.collect::<Option<_>>()?, normalise: Normalise::Not })
}

/// The score of one node; `None` if it is skipped for the pod.
pub fn value(profile: &Profile, node: &Node, pod: &Pod) -> Option<i64> {
    let (resources, asked) = (&profile.balanced_resources, &pod.shape.requests);
    let asks = resources.iter().any(|it| asked.get(&it.resource) != 0);
    if !asks && profile.release > Release::V1_23 {
        return None;
    }
    let loads = loads(resources, asked, node, &node.used().requested);
    let mut shares = loads.map(|(it, _)| share(it));
    // Most profiles have two resources, which need no list.
    let (a, b, c) = (shares.next(), shares.next(), shares.next());
    let deviation = match (a, b, c) {
        (Some(a), Some(b), Some(c)) => {
            let all: Vec<f64> = [a, b, c].into_iter().chain(shares).collect();
            deviation(&all)
        }
        (Some(a), Some(b), None) => deviation(&[a, b]),
        _ => 0.0,
    };
    Some(((1.0 - deviation) * MAX as f64) as i64)
}

fn share(load: Load) -> f64 {
    (load.requested as f64 / load.offered as f64).min(1.0)
}

fn deviation(shares: &[f64]) -> f64 {
    match shares {
        [] | [_] => 0.0,
        [a, b] => ((a - b) / 2.0).abs(),
        more => {
            let count = more.len() as f64;
            let mean = more.iter().fold(0.0, |sum, it| sum + it) / count;
            let squares = more.iter().fold(0.0, |sum, it| sum + (it - mean) * (it - mean));
            (squares / count).sqrt()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::profile::Profile;
    use serde_json::json;

    #[test]
    fn deviations() {
        for (shares, found) in [
            (&[0.3][..], 0.0),
            (&[], 0.0),
            (&[0.25, 0.75], 0.25),
            (&[0.5, 0.5, 0.5], 0.0),
            (&[0.0, 0.0, 1.0, 1.0], 0.5),
        ] {
            assert_eq!(deviation(shares), found, "{shares:?}");
        }
    }

    #[test]
    fn a_pod_that_asks_for_nothing() {
        let cluster = cluster(json!([{"name": "n",
            "allocatable": {"cpu_milli": 1000, "memory_bytes": 1000}}]));
        let mut profile = Profile::default();
        let mut values = |requests, release| {
            profile.release = release;
            let pod = pod(json!({"containers": [{"requests": requests}]}));
            let choice = Choice { profile: &profile, cluster: &cluster, pod: &pod, rows: &[0] };
            column(choice).map(|it| it.values)
        };
        assert_eq!(values(json!({}), Release::V1_35), None);
        assert_eq!(values(json!({}), Release::V1_23), Some(vec![100]));
        assert_eq!(values(json!({"cpu_milli": 2000}), Release::V1_35), Some(vec![50]));
    }
}
