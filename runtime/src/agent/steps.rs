//! What a task needs next, from what its containers are now. No I/O: an agent that was killed and asks
//! again gets the same answer.

use crate::engine::{Health, HostTime};
use crate::program::{Condition, NetworkMode, Program};
use cluster::event::StartFailure;
use std::time::Duration;

/// What one container of a task is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// It never ran: not there, or created only.
    Waiting,
    /// It runs.
    Running { health: Option<Health>, age: Duration },
    /// It ran and ended; without a moment it vanished.
    Ended { code: i32, at: Option<HostTime> },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Create and start these containers.
    Launch(Vec<usize>),
    /// Nothing, until something happens.
    Wait,
    /// Stop these, as the task is over.
    Stop(Vec<usize>),
    /// All ended; the task's exit status.
    Exit(i32),
    /// It cannot be started.
    Fail(StartFailure, String),
}

/// In [`NetworkMode::Shared`], the container that creates the namespace and publishes all ports: the first
/// essential one without dependencies, else the first without. The others wait until it has started. When
/// it ends and is essential, the task is over anyhow; when not, the others keep the namespace, but what
/// it published is published no longer.
pub(super) fn namespace_owner(program: &Program) -> Option<usize> {
    if program.network != NetworkMode::Shared {
        return None;
    }
    let all = &program.containers;
    let free = |it: usize| all[it].depends_on.is_empty();
    let found = (0..all.len()).find(|&it| free(it) && all[it].essential);
    found.or_else(|| (0..all.len()).find(|&it| free(it)))
}

/// What `row` waits for, the namespace included.
fn needs(program: &Program, row: usize) -> Vec<(Option<usize>, Condition)> {
    let position = |name: &str| program.containers.iter().position(|it| it.name == name);
    let named = program.containers[row].depends_on.iter();
    let mut needs: Vec<_> = named.map(|it| (position(&it.container), it.condition)).collect();
    if let Some(owner) = namespace_owner(program)
        && owner != row
    {
        needs.push((Some(owner), Condition::Start));
    }
    needs
}

enum Met {
    Yes,
    NotYet,
    Never(StartFailure, &'static str),
}

fn met(condition: Condition, view: View, limit: Duration) -> Met {
    match (condition, view) {
        (Condition::Start, View::Running { .. } | View::Ended { .. })
        | (Condition::Complete, View::Ended { .. })
        | (Condition::Success, View::Ended { code: 0, .. })
        | (Condition::Healthy, View::Running { health: Some(Health::Healthy), .. }) => Met::Yes,
        (Condition::Success, View::Ended { .. }) => {
            Met::Never(StartFailure::Dependency, "ended without success")
        }
        (Condition::Healthy, View::Ended { .. }) => {
            Met::Never(StartFailure::Dependency, "ended before it was healthy")
        }
        (Condition::Healthy, View::Running { health: None, .. }) => {
            Met::Never(StartFailure::Dependency, "has no health check")
        }
        (_, View::Running { age, .. }) if age >= limit => {
            Met::Never(StartFailure::Timeout, "took too long")
        }
        (_, View::Waiting | View::Running { .. }) => Met::NotYet,
    }
}

/// The exit status of the task: that of the first essential container that ended.
fn ended(program: &Program, views: &[View]) -> Option<i32> {
    let rows = program.containers.iter().zip(views);
    let ends = |essential: bool| {
        rows.clone()
            .filter_map(|(it, view)| match *view {
                View::Ended { code, at } if it.essential == essential => Some((at, code)),
                _ => None,
            })
            .min_by_key(|it| it.0)
            .map(|it| it.1)
    };
    let all = views.iter().all(|it| matches!(it, View::Ended { .. }));
    ends(true).or_else(|| if all { ends(false) } else { None })
}

/// Of the containers that are alive, those that no other living one depends on. Empty only if none lives.
pub(super) fn stop_now(program: &Program, alive: &[bool]) -> Vec<usize> {
    let living: Vec<usize> = (0..alive.len()).filter(|&it| alive[it]).collect();
    let needed = |row: usize| {
        let others = living.iter().filter(|&&it| it != row);
        others.into_iter().any(|&it| needs(program, it).iter().any(|it| it.0 == Some(row)))
    };
    let leaves: Vec<usize> = living.iter().copied().filter(|&it| !needed(it)).collect();
    // A circle cannot have been started in order; it is stopped all the same.
    if leaves.is_empty() { living } else { leaves }
}

/// What comes next; `limit` is the start time-out of containers that have none.
pub(super) fn next(program: &Program, views: &[View], limit: Duration) -> Step {
    let alive: Vec<bool> = views.iter().map(|it| matches!(it, View::Running { .. })).collect();
    if let Some(code) = ended(program, views) {
        let stop = stop_now(program, &alive);
        return if stop.is_empty() { Step::Exit(code) } else { Step::Stop(stop) };
    }
    let mut launch = Vec::new();
    let mut waiting = false;
    for row in (0..views.len()).filter(|&it| views[it] == View::Waiting) {
        waiting = true;
        let mut ready = true;
        for (other, condition) in needs(program, row) {
            let Some(other) = other else {
                let why = format!("{} depends on no known container", program.containers[row].name);
                return Step::Fail(StartFailure::Dependency, why);
            };
            let it = &program.containers[other];
            let limit = it.start_timeout.map_or(limit, |it| Duration::from_micros(it.0));
            match met(condition, views[other], limit) {
                Met::Yes => {}
                Met::NotYet => ready = false,
                Met::Never(why, reason) => {
                    return Step::Fail(why, format!("container {} {reason}", it.name));
                }
            }
        }
        if ready {
            launch.push(row);
        }
    }
    if !launch.is_empty() {
        Step::Launch(launch)
    } else if waiting && !alive.contains(&true) {
        Step::Fail(StartFailure::Dependency, "containers depend on each other in a circle".into())
    } else {
        Step::Wait
    }
}

/// Whether all containers ran, or run.
pub(super) fn has_begun(views: &[View]) -> bool {
    !views.contains(&View::Waiting)
}

/// The verdict of the essential containers' health checks; `None` while one has none yet, or where
/// there is no check.
pub(super) fn health(program: &Program, views: &[View]) -> Option<bool> {
    let mut verdict = None;
    let mut is_open = false;
    for (container, view) in program.containers.iter().zip(views) {
        let View::Running { health: Some(health), .. } = view else { continue };
        match health {
            _ if !container.essential => {}
            Health::Unhealthy => return Some(false),
            Health::Healthy => verdict = Some(true),
            Health::Starting => is_open = true,
        }
    }
    verdict.filter(|_| !is_open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{ContainerProgram, Dependency};

    const LIMIT: Duration = Duration::from_secs(300);
    const RUNS: View = View::Running { health: None, age: Duration::ZERO };
    const WAITS: View = View::Waiting;

    fn is(health: Health) -> View {
        View::Running { health: Some(health), age: Duration::ZERO }
    }

    fn ended(code: i32, at: i64) -> View {
        View::Ended { code, at: Some(HostTime(at)) }
    }

    /// `b` depends on `a`, which is essential only if said so.
    fn pair(condition: Condition, first_is_essential: bool) -> Program {
        let a = ContainerProgram {
            name: "a".into(),
            essential: first_is_essential,
            ..ContainerProgram::default()
        };
        let depends_on = vec![Dependency { container: "a".into(), condition }];
        let b = ContainerProgram { name: "b".into(), depends_on, ..ContainerProgram::default() };
        Program { containers: vec![a, b], ..Program::default() }
    }

    #[test]
    fn dependencies_order_the_start() {
        use Condition as C;
        let old = View::Running { health: Some(Health::Starting), age: LIMIT };
        let fail = |why| Err(Some(why));
        for (condition, first, want) in [
            (C::Start, WAITS, Ok(vec![0])),
            (C::Start, RUNS, Ok(vec![1])),
            (C::Start, ended(1, 1), Ok(vec![1])),
            (C::Complete, RUNS, Err(None)),
            (C::Complete, ended(1, 1), Ok(vec![1])),
            (C::Success, RUNS, Err(None)),
            (C::Success, ended(0, 1), Ok(vec![1])),
            (C::Success, ended(1, 1), fail(StartFailure::Dependency)),
            (C::Healthy, RUNS, fail(StartFailure::Dependency)),
            (C::Healthy, is(Health::Starting), Err(None)),
            (C::Healthy, is(Health::Unhealthy), Err(None)),
            (C::Healthy, is(Health::Healthy), Ok(vec![1])),
            (C::Healthy, ended(0, 1), fail(StartFailure::Dependency)),
            (C::Healthy, old, fail(StartFailure::Timeout)),
        ] {
            let got = match next(&pair(condition, false), &[first, WAITS], LIMIT) {
                Step::Launch(rows) => Ok(rows),
                Step::Wait => Err(None),
                Step::Fail(why, _) => Err(Some(why)),
                other => panic!("{condition:?} {first:?}: {other:?}"),
            };
            assert_eq!(got, want, "{condition:?} {first:?}");
        }
    }

    #[test]
    fn an_essential_end_ends_the_task_and_another_does_not() {
        for (essential, views, want) in [
            (false, [ended(1, 1), RUNS], Step::Wait),
            (true, [ended(3, 1), RUNS], Step::Stop(vec![1])),
            (true, [RUNS, ended(4, 1)], Step::Stop(vec![0])),
            (true, [RUNS, RUNS], Step::Wait),
            (true, [ended(3, 2), ended(4, 1)], Step::Exit(4)),
            (true, [ended(3, 1), ended(143, 2)], Step::Exit(3)),
            (true, [ended(3, 1), WAITS], Step::Exit(3)),
            (false, [ended(1, 1), ended(0, 2)], Step::Exit(0)),
            (true, [RUNS, View::Ended { code: 137, at: None }], Step::Stop(vec![0])),
        ] {
            let got = next(&pair(Condition::Start, essential), &views, LIMIT);
            assert_eq!(got, want, "essential {essential} {views:?}");
        }
    }

    #[test]
    fn stopping_goes_against_the_dependencies() {
        let program = pair(Condition::Start, true);
        for (alive, want) in [
            ([true, true], vec![1]),
            ([true, false], vec![0]),
            ([false, true], vec![1]),
            ([false, false], vec![]),
        ] {
            assert_eq!(stop_now(&program, &alive), want, "{alive:?}");
        }
    }

    #[test]
    fn a_shared_network_begins_with_its_owner() {
        let mut program = pair(Condition::Complete, false);
        program.containers[1].depends_on.clear();
        assert_eq!(next(&program, &[WAITS, WAITS], LIMIT), Step::Launch(vec![0, 1]));
        program.network = NetworkMode::Shared;
        assert_eq!(namespace_owner(&program), Some(1), "the first that is essential");
        assert_eq!(next(&program, &[WAITS, WAITS], LIMIT), Step::Launch(vec![1]));
        assert_eq!(next(&program, &[WAITS, RUNS], LIMIT), Step::Launch(vec![0]));
        assert_eq!(stop_now(&program, &[true, true]), [0]);
    }

    #[test]
    fn a_circle_and_an_unknown_name_fail() {
        let mut program = pair(Condition::Start, true);
        program.containers[1].depends_on[0].container = "b".into();
        program.containers.remove(0);
        let failed = |program: &Program| match next(program, &[WAITS], LIMIT) {
            Step::Fail(why, _) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(&program), StartFailure::Dependency);
        program.containers[0].depends_on[0].container = "c".into();
        assert_eq!(failed(&program), StartFailure::Dependency);
    }

    #[test]
    fn health_is_that_of_the_essential_ones() {
        let (well, ill, new) = (is(Health::Healthy), is(Health::Unhealthy), is(Health::Starting));
        for (first_is_essential, views, want) in [
            (true, [RUNS, RUNS], None),
            (true, [RUNS, well], Some(true)),
            (true, [new, well], None),
            (true, [new, ill], Some(false)),
            (true, [ill, well], Some(false)),
            (false, [ill, well], Some(true)),
        ] {
            let got = health(&pair(Condition::Start, first_is_essential), &views);
            assert_eq!(got, want, "{views:?}");
        }
    }
}
