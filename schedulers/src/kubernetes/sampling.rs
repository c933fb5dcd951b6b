//! How many nodes are looked at, and where the walk begins.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/schedule_one.go`.

/// Up to this many nodes all are looked at, and never fewer fitting ones are asked for.
const FEASIBLE_MIN: i64 = 100;
/// The least share that is chosen by the size of the cluster, in percent.
const PERCENT_MIN: i64 = 5;

/// How many fitting nodes are enough, of so many nodes in question; `percent` 0 to go by their number.
pub fn enough(nodes: i64, percent: i64) -> i64 {
    if nodes < FEASIBLE_MIN {
        return nodes;
    }
    let percent = if percent == 0 { (50 - nodes / 125).max(PERCENT_MIN) } else { percent };
    (nodes * percent / 100).max(FEASIBLE_MIN)
}

/// Where the next pod's walk begins: as many nodes further as this one's looked at.
pub fn next_start(start: usize, looked: usize, nodes: usize) -> usize {
    if nodes == 0 { 0 } else { (start + looked) % nodes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many() {
        for (nodes, percent, found) in [
            (0, 0, 0),
            (99, 1, 99),
            (100, 0, 100),
            (1000, 0, 420),
            (5000, 0, 500),
            (10_000, 0, 500),
            (1000, 30, 300),
            (1000, 5, 100),
            (1000, 100, 1000),
        ] {
            assert_eq!(enough(nodes, percent), found, "{nodes} {percent}");
        }
        assert_eq!([next_start(90, 20, 100), next_start(0, 0, 0)], [10, 0]);
    }
}
