//! RunTask and StartTask: what is started, and what the answer says of the rest.
//!
//! Source: Amazon ECS API model (`RunTask`, `StartTask`) and Developer Guide, "API failure reasons". An answer
//! holds tasks and failures, either of which may be empty. Differs where nothing is documented: a failure for
//! every active instance, once, with the first of its [reasons](super::filter::ALL), as they are after the
//! last task that was placed.

use super::filter::{self, Reason};
use super::instance::{Instance, Status};
use super::place::{Request, place};
use thiserror::Error;

/// The most tasks that one call starts, and the most instances that StartTask names.
pub const TASKS_MAX: u32 = 10;

/// The most tasks of a cluster that may wait for capacity (the quota was 100 first, then 300).
pub const PROVISIONING_MAX: u32 = 500;

/// A call that is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// InvalidParameterException: no tasks asked for, or too many.
    #[error("{count} tasks asked for, but a call starts 1 to {TASKS_MAX}")]
    Count {
        /// How many.
        count: usize,
    },
    /// InvalidParameterException: RunTask in a cluster without active instances. Seen on the real service.
    #[error("the cluster has no active instances")]
    NoInstances,
    /// Too many tasks would wait for capacity. That it is a LimitExceededException is ours: the guide says only
    /// that the call fails.
    #[error("{waiting} tasks wait for capacity, but at most {PROVISIONING_MAX} may")]
    Provisioning {
        /// How many would.
        waiting: u32,
    },
}

impl CallError {
    /// The exception that carries it.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Count { .. } | Self::NoInstances => "InvalidParameterException",
            Self::Provisioning { .. } => "LimitExceededException",
        }
    }
}

/// What becomes of tasks that fit nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplaced {
    /// They are failures.
    Fail,
    /// They wait in PROVISIONING: the call names a capacity provider with managed scaling.
    Wait {
        /// Tasks of the cluster that wait already.
        waiting: u32,
    },
}

/// One line of an answer's failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The instance, as it was named.
    pub instance: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Where tasks were started, by row, in order.
    pub placed: Vec<usize>,
    /// How many more are accepted and wait in PROVISIONING.
    pub provisioning: u32,
    /// What keeps the others off.
    pub failures: Vec<Failure>,
}

impl Answer {
    /// How many tasks the answer lists.
    pub fn task_count(&self) -> usize {
        self.placed.len() + self.provisioning as usize
    }
}

/// Places `count` tasks, one after another, and books them. `pick` is that of [`place`].
///
/// # Errors
///
/// If the call is refused as a whole; nothing is booked then.
pub fn run_task(
    instances: &mut [Instance],
    request: &Request,
    count: u32,
    unplaced: Unplaced,
    pick: impl FnMut(&[usize]) -> usize,
) -> Result<Answer, CallError> {
    if !(1..=TASKS_MAX).contains(&count) {
        return Err(CallError::Count { count: count as usize });
    }
    let has_active = instances.iter().any(|it| it.status == Status::Active);
    if unplaced == Unplaced::Fail && !has_active {
        return Err(CallError::NoInstances);
    }
    let placed = place(instances, request, count, pick);
    let rest = count - placed.len() as u32;
    if let Unplaced::Wait { waiting } = unplaced
        && rest > 0
        && waiting + rest > PROVISIONING_MAX
    {
        for row in placed {
            instances[row].give_back(&request.group, &request.needs);
        }
        return Err(CallError::Provisioning { waiting: waiting + rest });
    }
    let mut answer = Answer { placed, ..Answer::default() };
    match unplaced {
        Unplaced::Wait { .. } => answer.provisioning = rest,
        Unplaced::Fail if rest > 0 => {
            for instance in instances.iter().filter(|it| it.status == Status::Active) {
                let reason = filter::reasons(request, instance).next();
                let reason = reason.expect("a task that fits somewhere is placed");
                answer.failures.push(Failure { instance: instance.id.clone(), reason });
            }
        }
        Unplaced::Fail => {}
    }
    Ok(answer)
}

/// Starts one task on each instance named, if it can have it, and books it. Strategies and constraints are not
/// asked; resources, agent and attributes are.
///
/// # Errors
///
/// If the call is refused as a whole.
pub fn start_task(
    instances: &mut [Instance],
    request: &Request,
    names: &[&str],
) -> Result<Answer, CallError> {
    if names.is_empty() || names.len() > TASKS_MAX as usize {
        return Err(CallError::Count { count: names.len() });
    }
    let mut answer = Answer::default();
    for name in names {
        let row = instances.iter().position(|it| it.id == *name);
        let reason = match row {
            None => Some(Reason::Missing),
            Some(row) => {
                let asked = filter::ALL.iter().filter(|it| it.is_for_start);
                let mut rejecting = asked.filter(|it| it.rejects(request, &instances[row]));
                rejecting.next().map(|it| it.reason)
            }
        };
        match (row, reason) {
            (Some(row), None) => {
                instances[row].take(&request.group, &request.needs);
                answer.placed.push(row);
            }
            (_, reason) => answer.failures.push(Failure {
                instance: (*name).to_owned(),
                reason: reason.expect("an instance that is not there is missing"),
            }),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::constraint::Constraint;

    /// Instances `i-0`, `i-1`, … with that much memory.
    fn fleet(memory_mib: &[u64]) -> Vec<Instance> {
        let mut fleet = Vec::new();
        for (at, &memory_mib) in memory_mib.iter().enumerate() {
            let mut instance = Instance { id: format!("i-{at}"), ..Instance::default() };
            instance.total.memory_mib = memory_mib;
            fleet.push(instance);
        }
        fleet
    }

    fn request(memory_mib: u64) -> Request {
        let mut request = Request { group: "family:a".to_owned(), ..Request::default() };
        request.needs.amounts.memory_mib = memory_mib;
        request
    }

    fn text(answer: Result<Answer, CallError>) -> String {
        match answer {
            Err(error) => format!("{}: {error}", error.exception()),
            Ok(answer) => {
                let failures = answer.failures.iter();
                let failures: Vec<String> =
                    failures.map(|it| format!("{}={}", it.instance, it.reason)).collect();
                format!("{:?}+{} {}", answer.placed, answer.provisioning, failures.join(" "))
            }
        }
    }

    #[track_caller]
    fn run(instances: &mut [Instance], count: u32, unplaced: Unplaced, want: &str) {
        let got = run_task(instances, &request(100), count, unplaced, |it| it[0]);
        assert_eq!(text(got).trim_end(), want);
    }

    #[test]
    fn what_does_not_fit_fails_on_every_instance() {
        run(&mut fleet(&[250, 100]), 3, Unplaced::Fail, "[0, 0, 1]+0");
        let both = "[0, 1]+0 i-0=RESOURCE:MEMORY i-1=AGENT";
        let mut instances = fleet(&[150, 200]);
        let answer = run_task(&mut instances, &request(100), 2, Unplaced::Fail, |it| it[0]);
        assert_eq!(answer.unwrap().placed, [0, 1]);
        instances[1].is_connected = false;
        run(&mut instances, 1, Unplaced::Fail, &both.replace("[0, 1]", "[]"));
        instances[0].status = Status::Draining;
        run(&mut instances, 1, Unplaced::Fail, "[]+0 i-1=AGENT");
    }

    #[test]
    fn whole_calls_are_refused() {
        let count = |count| {
            format!("InvalidParameterException: {count} tasks asked for, but a call starts 1 to 10")
        };
        run(&mut fleet(&[9000]), 0, Unplaced::Fail, &count(0));
        run(&mut fleet(&[9000]), 10, Unplaced::Fail, "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]+0");
        run(&mut fleet(&[9000]), 11, Unplaced::Fail, &count(11));
        let none = "InvalidParameterException: the cluster has no active instances";
        run(&mut [], 1, Unplaced::Fail, none);
    }

    #[test]
    fn with_managed_scaling_they_wait() {
        let wait = |waiting| Unplaced::Wait { waiting };
        run(&mut fleet(&[100]), 3, wait(0), "[0]+2");
        run(&mut [], 1, wait(0), "[]+1");
        run(&mut fleet(&[100]), 2, wait(499), "[0]+1");
        let full = "LimitExceededException: 501 tasks wait for capacity, but at most 500 may";
        let mut instances = fleet(&[100]);
        run(&mut instances, 3, wait(499), full);
        assert_eq!(instances, fleet(&[100]), "nothing is booked");
        run(&mut instances, 1, wait(500), "[0]+0");
    }

    #[test]
    fn starting_asks_no_constraints() {
        let mut request = request(100);
        request.constraints.push(Constraint::DistinctInstance);
        let mut instances = fleet(&[200, 50, 100]);
        instances[2].status = Status::Inactive;
        let names = ["i-0", "i-9", "i-1", "i-0", "i-2", "i-0"];
        let got = start_task(&mut instances, &request, &names);
        let want = "[0, 0]+0 i-9=MISSING i-1=RESOURCE:MEMORY i-2=INACTIVE i-0=RESOURCE:MEMORY";
        assert_eq!(text(got), want);
        let refused = "InvalidParameterException: 11 tasks asked for, but a call starts 1 to 10";
        assert_eq!(text(start_task(&mut instances, &request, &["i-0"; 11])), refused);
        assert!(start_task(&mut instances, &request, &[]).is_err());
    }
}
