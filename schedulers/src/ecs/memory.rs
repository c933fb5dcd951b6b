//! Which memory settings of a container are allowed.
//!
//! Source: Amazon ECS Developer Guide, "Task definition parameters", container memory; agent 1.105.1,
//! `task_linux.go`. A size of 0 is none.

use thiserror::Error;

/// What the agent makes of a limit below it. A reservation it leaves as it is.
const RAISED_MIB: u64 = 4;

/// A container's memory in MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerMemory {
    /// Where it is killed.
    pub limit: Option<u64>,
    /// What is taken of the instance for it.
    pub reservation: Option<u64>,
}

/// What Docker takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Docker {
    /// Before 20.10: 4 MiB or more.
    Old,
    /// From 20.10 on: 6 MiB or more.
    #[default]
    Modern,
}

impl Docker {
    /// The least memory that it gives a container.
    pub const fn least_mib(self) -> u64 {
        match self {
            Self::Old => 4,
            Self::Modern => 6,
        }
    }

    /// By its version: two numbers and anything behind, such as `19.03.13-ce`.
    pub fn read(version: &str) -> Option<Self> {
        let mut parts = version.trim_start_matches('v').split('.');
        let major: u32 = parts.next()?.parse().ok()?;
        let digits = |it: &str| it.bytes().take_while(u8::is_ascii_digit).count();
        let minor = parts.next().map_or(Some(0), |it| it[..digits(it)].parse().ok())?;
        Some(if (major, minor) < (20, 10) { Self::Old } else { Self::Modern })
    }
}

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// Neither the container nor its task says how much.
    #[error("neither the container's memory or memoryReservation nor the task's memory is set")]
    Missing,
    /// The limit is not above the reservation.
    #[error("memory of {limit} MiB is not more than memoryReservation of {reservation} MiB")]
    NotAboveReservation {
        /// In MiB.
        limit: u64,
        /// In MiB.
        reservation: u64,
    },
    /// More than the task has.
    #[error("{amount} MiB is more than the task's memory of {task} MiB")]
    MoreThanTask {
        /// In MiB.
        amount: u64,
        /// In MiB.
        task: u64,
    },
    /// Less than Docker takes.
    #[error("{amount} MiB is less than {least} MiB, the least that Docker takes")]
    TooSmall {
        /// In MiB.
        amount: u64,
        /// In MiB.
        least: u64,
    },
}

impl ContainerMemory {
    /// Whether a task with that much memory (if it says) may have such a container.
    ///
    /// # Errors
    ///
    /// If nothing says how much; the limit is not above the reservation; one of them is more than the task
    /// has, or less than Docker takes.
    pub fn check(self, task: Option<u64>, docker: Docker) -> Result<(), MemoryError> {
        let [limit, reservation, task] =
            [self.limit, self.reservation, task].map(|it| it.filter(|&it| it > 0));
        if limit.or(reservation).or(task).is_none() {
            return Err(MemoryError::Missing);
        }
        if let (Some(limit), Some(reservation)) = (limit, reservation)
            && limit <= reservation
        {
            return Err(MemoryError::NotAboveReservation { limit, reservation });
        }
        if let Some(task) = task {
            let largest = limit.max(reservation).unwrap_or(0);
            if largest > task {
                return Err(MemoryError::MoreThanTask { amount: largest, task });
            }
        }
        let least = docker.least_mib();
        for (amount, given) in
            [(limit.map(|it| it.max(RAISED_MIB)), limit), (reservation, reservation)]
        {
            if let (Some(amount), Some(given)) = (amount, given)
                && amount < least
            {
                return Err(MemoryError::TooSmall { amount: given, least });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u64, reservation: u64, task: u64, docker: &str, want: &str) {
        let memory = ContainerMemory { limit: Some(limit), reservation: Some(reservation) };
        let got = memory.check(Some(task), Docker::read(docker).unwrap());
        assert_eq!(got.map_or_else(|it| it.to_string(), |()| "fine".to_owned()), want);
    }

    #[test]
    fn settings_must_agree() {
        let new = "20.10.0";
        check(300, 128, 0, new, "fine");
        check(300, 0, 0, new, "fine");
        check(0, 128, 0, new, "fine");
        check(0, 0, 512, new, "fine");
        let none =
            "neither the container's memory or memoryReservation nor the task's memory is set";
        check(0, 0, 0, new, none);
        assert_eq!(
            ContainerMemory::default().check(None, Docker::default()),
            Err(MemoryError::Missing)
        );
        let above = "memory of 128 MiB is not more than memoryReservation of 128 MiB";
        check(128, 128, 0, new, above);
        check(513, 128, 512, new, "513 MiB is more than the task's memory of 512 MiB");
        check(0, 513, 512, new, "513 MiB is more than the task's memory of 512 MiB");
        check(512, 511, 512, new, "fine");
    }

    #[test]
    fn docker_takes_no_less() {
        let small = "5 MiB is less than 6 MiB, the least that Docker takes";
        check(6, 0, 0, "20.10.0", "fine");
        check(5, 0, 0, "20.10.0", small);
        check(10, 5, 0, "27", small);
        check(5, 0, 0, "19.03.13-ce", "fine");
        check(3, 0, 0, "20.10.0", &small.replace('5', "3"));
        check(3, 0, 0, "18.09-ce", "fine");
        let old = "3 MiB is less than 4 MiB, the least that Docker takes";
        check(0, 3, 0, "18.09-ce", old);
        check(9, 4, 0, "18.09-ce", "fine");
        assert_eq!(Docker::read("20.9"), Some(Docker::Old));
        assert_eq!(Docker::read("docker"), None);
    }
}
