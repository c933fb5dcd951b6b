//! What of a task's cpu reaches the kernel: a hard ceiling if the task has an amount of its own, else only a
//! weight.
//!
//! Source: Amazon ECS API model (`ContainerDefinition.cpu`); agent 1.105.1, `task_linux.go`. The cap on shares
//! is that of agents from 1.84 on.

/// The smallest share that Linux takes; Docker would make 1024 of none.
pub const SHARES_MIN: u64 = 2;

/// The largest share that Linux takes.
pub const SHARES_MAX: u64 = 262_144;

/// The usual length of a period in which a quota is used up; the agent can be told 8 to 100 ms.
pub const PERIOD_US: u64 = 100_000;

/// The shares that Docker gets for a container of so many units.
pub fn container_shares(units: Option<u64>) -> u64 {
    units.unwrap_or(0).clamp(SHARES_MIN, SHARES_MAX)
}

/// The shares of a task without an amount of its own.
pub fn task_shares(containers: impl IntoIterator<Item = Option<u64>>) -> u64 {
    let units = containers.into_iter().map(|it| it.unwrap_or(0).max(SHARES_MIN));
    units.fold(0, u64::saturating_add).clamp(SHARES_MIN, SHARES_MAX)
}

/// The time on cores that a task of so many cores may use in a period, in µs: the agent's floating-point
/// product, cut off.
pub fn quota_us(cores: f64, period_us: u64) -> u64 {
    (cores * period_us as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_bounds() {
        let got = [None, Some(0), Some(1), Some(2), Some(100), Some(262_144), Some(262_145)]
            .map(container_shares);
        assert_eq!(got, [2, 2, 2, 2, 100, 262_144, 262_144]);
        assert_eq!(task_shares([Some(512), Some(256)]), 768);
        assert_eq!(task_shares([Some(512), None, Some(0), Some(1)]), 518);
        assert_eq!(task_shares([]), 2);
        assert_eq!(task_shares([Some(262_000), Some(262_000)]), 262_144);
    }

    #[test]
    fn a_quota_is_a_part_of_the_period() {
        assert_eq!(quota_us(0.25, PERIOD_US), 25_000);
        assert_eq!(quota_us(2.5, PERIOD_US), 250_000);
        assert_eq!(quota_us(1.0, 8_000), 8_000);
        assert_eq!(quota_us(0.29, PERIOD_US), 28_999, "0.29 times 100000 is just below 29000");
    }
}
