//! How an engine becomes a node: over-commit, CPU shares, health, labels.
//!
//! Source: classicswarm 3cc018dc, `cluster/engine.go` (`TotalMemory`, `TotalCpus`, `HealthIndicator`,
//! `updateSpecs`, `refreshContainer`), `cluster/swarm/cluster.go` (option `swarm.overcommit`).

use crate::swarm::model::Labels;

/// `swarm.overcommit` if nothing is said, in percent.
pub const OVERCOMMIT_PERCENT: i64 = 5;

/// `--engine-failure-retry` if nothing is said.
pub const FAILURE_RETRY: i64 = 3;

/// The option `swarm.overcommit`, a share above -1, in percent, the rest cut off. Below zero capacity is
/// held back.
pub fn overcommit_percent(option: f64) -> i64 {
    (option * 100.0) as i64
}

/// What may be handed out of `total` (bytes, or whole CPUs). The extra is cut to whole units: 5 percent
/// of fewer than 20 CPUs is nothing.
pub fn with_overcommit(total: i64, percent: i64) -> i64 {
    total + total * percent / 100
}

/// The CPU shares by which an engine with `engine_cpus` is told of a request in whole CPUs.
pub fn shares_of_cpus(cpus: i64, engine_cpus: i64) -> i64 {
    (cpus as f64 * 1024.0 / engine_cpus as f64).ceil() as i64
}

/// The request as read back from the shares of a container on an engine with `engine_cpus`, over-commit
/// left out.
pub fn cpus_of_shares(shares: i64, engine_cpus: i64) -> i64 {
    shares * engine_cpus / 1024
}

/// The health indicator: 100 for an engine in order, less for one whose last calls failed, 0 for one
/// that is not healthy or has failed `retry` times.
pub fn health(healthy: bool, failures: i64, retry: i64) -> i64 {
    if !healthy || failures >= retry { 0 } else { 100 - failures * 100 / retry }
}

/// The labels of an engine: what its user gave it, except `node` and what the engine says of itself.
pub fn labels(
    storage_driver: &str,
    kernel_version: &str,
    operating_system: &str,
    os_type: &str,
    user: impl IntoIterator<Item = (String, String)>,
) -> Labels {
    let mut labels: Labels = [
        ("storagedriver", storage_driver),
        ("kernelversion", kernel_version),
        ("operatingsystem", operating_system),
        ("ostype", os_type),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    for (key, value) in user {
        if key != "node" {
            labels.entry(key).or_insert(value);
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overcommit_is_cut_to_whole_units() {
        for (total, percent, want) in
            [(19, 5, 19), (20, 5, 21), (1000, 5, 1050), (10, -50, 5), (7, -10, 7), (100, 0, 100)]
        {
            assert_eq!(with_overcommit(total, percent), want, "{total} {percent}");
        }
        assert_eq!(overcommit_percent(0.05), OVERCOMMIT_PERCENT);
        assert_eq!(overcommit_percent(-0.999), -99);
    }

    #[test]
    fn requests_survive_the_way_through_shares() {
        for engine in 1..=96 {
            for cpus in 0..=engine {
                assert_eq!(cpus_of_shares(shares_of_cpus(cpus, engine), engine), cpus);
            }
        }
    }

    #[test]
    fn health_falls_by_thirds() {
        let of = |failures| health(true, failures, FAILURE_RETRY);
        assert_eq!([of(0), of(1), of(2), of(3)], [100, 67, 34, 0]);
        assert_eq!(health(false, 0, FAILURE_RETRY), 0);
    }

    #[test]
    fn users_cannot_override_what_the_engine_says() {
        let user = [("node", "x"), ("ostype", "plan9"), ("zone", "a")];
        let user = user.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = labels("overlay2", "6.1", "Debian", "linux", user);
        assert_eq!(labels["ostype"], "linux");
        assert_eq!(labels["zone"], "a");
        assert!(!labels.contains_key("node"));
    }
}
