//! One decision: filters, then the chain, and all that is said about it.
//!
//! Source: Amazon ECS Developer Guide, "Task placement": instances with enough of everything, of which those
//! that satisfy the constraints, of which the best by the strategies in order. Differs in giving all equally
//! good instances, so that the caller draws (or takes the first) and a test can list them.
//!
//! Cost: one pass over the instances; one over those left for every strategy that has something to decide,
//! and one more over all for a spread.

use super::constraint::Constraint;
use super::explain::{Explanation, Recorder, Silent};
use super::filter::{self, Reason};
use super::instance::{Instance, Needs, Status};
use super::strategy::Strategy;
use std::fmt;

/// What is to be placed, and how. All copies of a request are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The task's group; see [`group`](super::group).
    pub group: String,
    /// What a task takes.
    pub needs: Needs,
    /// Attributes that the definition requires: names, and values if they matter.
    pub required: Vec<(String, Option<String>)>,
    /// The zones of its subnets, if it names some.
    pub zones: Option<Vec<String>>,
    /// Of the definition and of the request; see [`together`](super::constraint::together).
    pub constraints: Vec<Constraint>,
    /// See [`chain`](super::strategy::chain). Empty leaves all candidates equal, as a draw does.
    pub chain: Vec<Strategy>,
}

/// The rows of all equally good instances, in order; none if no instance can have the task.
pub fn best(instances: &[Instance], request: &Request) -> Vec<usize> {
    decide(instances, request, &mut Silent)
}

/// The same decision, and why: what rejected each instance, its scores, and which are equally good.
pub fn explain(instances: &[Instance], request: &Request) -> (Vec<usize>, Explanation) {
    let mut explanation = Explanation::default();
    let best = decide(instances, request, &mut explanation);
    (best, explanation)
}

fn decide<R: Recorder>(instances: &[Instance], request: &Request, recorder: &mut R) -> Vec<usize> {
    let mut candidates = Vec::new();
    for (row, instance) in instances.iter().enumerate() {
        let mut is_candidate = true;
        for reason in filter::reasons(request, instance) {
            is_candidate = false;
            if !R::IS_ON {
                break;
            }
            recorder.rejected(row, reason);
        }
        if is_candidate {
            candidates.push(row);
        }
    }
    if R::IS_ON {
        // All scores of all candidates, those too that an earlier strategy leaves out.
        for strategy in &request.chain {
            if let Some(scores) = strategy.scores(request, instances, &candidates) {
                for (&row, &score) in candidates.iter().zip(&scores) {
                    recorder.scored(row, strategy, score);
                }
            }
        }
    }
    for strategy in &request.chain {
        if candidates.len() < 2 {
            break;
        }
        // What follows a draw has nothing to decide.
        let Some(scores) = strategy.scores(request, instances, &candidates) else { break };
        let lowest = scores.iter().copied().min();
        let mut at = scores.iter();
        candidates.retain(|_| at.next().copied() == lowest);
    }
    if R::IS_ON {
        recorder.equal(&candidates);
    }
    candidates
}

/// Places up to `count` tasks one after another, each seeing those before it, and books them. `pick` chooses
/// between equally good rows (there is at least one); a draw or the first.
///
/// Returns the rows chosen, in order. It ends with the first task that fits nowhere: those after it are like it.
///
/// # Panics
///
/// If `pick` gives a row that is not among those it was given.
pub fn place(
    instances: &mut [Instance],
    request: &Request,
    count: u32,
    mut pick: impl FnMut(&[usize]) -> usize,
) -> Vec<usize> {
    let mut rows = Vec::new();
    while (rows.len() as u64) < u64::from(count) {
        let equal = best(instances, request);
        if equal.is_empty() {
            break;
        }
        let row = pick(&equal);
        assert!(equal.contains(&row), "row {row} was picked, which is not among {equal:?}");
        instances[row].take(&request.group, &request.needs);
        rows.push(row);
    }
    rows
}

/// Why a task can be placed nowhere. Shown as ECS spells it in the reason of a task that failed to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplaceable {
    /// The cluster (or capacity provider) is empty.
    NoInstances,
    /// It is not, but none of its instances is active.
    NoActiveInstances,
    /// This active instance comes closest.
    Closest {
        /// Its row.
        row: usize,
        /// What it lacks, in the order of [`ALL`](filter::ALL); never empty.
        reasons: Vec<Reason>,
    },
}

impl fmt::Display for Unplaceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstances => f.write_str("EMPTY CAPACITY PROVIDER"),
            Self::NoActiveInstances => f.write_str("NO ACTIVE INSTANCES"),
            Self::Closest { reasons, .. } => write!(f, "{}", reasons[0]),
        }
    }
}

/// Why a task can be placed nowhere; `None` if it can.
///
/// ECS names the closest instance in a service's events, and does not say how it is found. Ours has the fewest
/// reasons, and is the first among equals.
pub fn why_not(instances: &[Instance], request: &Request) -> Option<Unplaceable> {
    let mut closest = None;
    for (row, instance) in instances.iter().enumerate() {
        let reasons: Vec<Reason> = filter::reasons(request, instance).collect();
        if reasons.is_empty() {
            return None;
        }
        let is_closer = |it: &(usize, Vec<Reason>)| reasons.len() < it.1.len();
        if instance.status == Status::Active && closest.as_ref().is_none_or(is_closer) {
            closest = Some((row, reasons));
        }
    }
    Some(match closest {
        Some((row, reasons)) => Unplaceable::Closest { row, reasons },
        None if instances.is_empty() => Unplaceable::NoInstances,
        None => Unplaceable::NoActiveInstances,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::constraint::Origin;
    use crate::ecs::instance::{Amounts, ZONE};
    use crate::ecs::strategy;

    /// Instances of `units/MiB@zone` with tasks of group `service:a` (`*2`), `!` if disconnected.
    fn fleet(text: &str) -> Vec<Instance> {
        let mut fleet = Vec::new();
        for word in text.split_whitespace() {
            let (word, connected) = word.strip_suffix('!').map_or((word, true), |it| (it, false));
            let (word, tasks) = word.split_once('*').unwrap_or((word, "0"));
            let (size, zone) = word.split_once('@').unwrap();
            let (cpu, memory) = size.split_once('/').unwrap();
            let (cpu_units, memory_mib) = (cpu.parse().unwrap(), memory.parse().unwrap());
            let mut instance = Instance {
                id: format!("i-{}", fleet.len()),
                total: Amounts { cpu_units, memory_mib, gpus: 0 },
                is_connected: connected,
                ..Instance::default()
            };
            instance.attributes.insert(ZONE.to_owned(), zone.to_owned());
            for _ in 0..tasks.parse().unwrap() {
                instance.take("service:a", &Needs::default());
            }
            fleet.push(instance);
        }
        fleet
    }

    fn request(chain: &[(&str, &str)], group: &str) -> Request {
        let read = |it: &(&str, &str)| strategy::Strategy::read(it.0, Some(it.1)).unwrap();
        let amounts = Amounts { cpu_units: 100, memory_mib: 100, gpus: 0 };
        Request {
            group: group.to_owned(),
            needs: Needs { amounts, ..Needs::default() },
            chain: strategy::chain(chain.iter().map(read).collect(), group).unwrap(),
            ..Request::default()
        }
    }

    #[track_caller]
    fn check(chain: &[(&str, &str)], instances: &str, want: &[usize]) {
        let (instances, request) = (fleet(instances), request(chain, "service:a"));
        assert_eq!(best(&instances, &request), want);
        assert_eq!(explain(&instances, &request).0, want, "explaining changes nothing");
    }

    const ZONES: (&str, &str) = ("spread", "attribute:ecs.availability-zone");

    #[test]
    fn each_strategy_decides_between_what_is_left() {
        let instances = "900/900@a*2 900/900@b*1 900/500@b 900/300@b!";
        check(&[ZONES], instances, &[1, 2]);
        check(&[ZONES, ("spread", "host")], instances, &[2]);
        check(&[ZONES, ("binpack", "cpu")], instances, &[1, 2]);
        check(&[ZONES, ("binpack", "memory")], instances, &[2]);
        check(&[("binpack", "cpu"), ZONES], instances, &[1, 2]);
        check(&[("binpack", "memory"), ZONES], instances, &[2]);
        check(&[("random", ""), ZONES], instances, &[0, 1, 2]);
        check(&[ZONES, ("random", ""), ("binpack", "memory")], instances, &[1, 2]);
    }

    #[test]
    fn instances_that_cannot_have_it_still_count_for_spreading() {
        check(&[ZONES], "900/900@a 900/900@b 50/900@b*3", &[0]);
    }

    #[test]
    fn defaults_are_those_of_the_group() {
        check(&[], "900/900@a*1 900/900@b*1 900/900@b", &[2]);
        check(&[], "900/900@a*3 900/900@b*1 900/900@b", &[2]);
        let instances = fleet("900/900@a*1 900/900@b");
        assert_eq!(best(&instances, &request(&[], "family:a")), [0, 1]);
    }

    #[test]
    fn copies_see_those_before_them() {
        let mut instances = fleet("900/900@a 900/900@b 150/900@b");
        let rows = place(&mut instances, &request(&[], "service:a"), 5, |it| it[0]);
        assert_eq!(rows, [0, 1, 2, 0, 1]);
        let mut instances = fleet("250/900@a 150/900@b");
        let rows = place(&mut instances, &request(&[], "service:a"), 5, |it| it[it.len() - 1]);
        assert_eq!(rows, [1, 0, 0]);
        assert_eq!(instances[0].left(), Amounts { cpu_units: 50, memory_mib: 700, gpus: 0 });
    }

    #[test]
    fn the_closest_lacks_least() {
        let mut request = request(&[], "service:a");
        let reason = |instances: &[Instance], request: &Request| match why_not(instances, request) {
            Some(Unplaceable::Closest { row, reasons }) => format!("{row} {reasons:?}"),
            other => other.map_or_else(|| "-".to_owned(), |it| it.to_string()),
        };
        let mut instances = fleet("50/50@a 50/500@a 500/50@b");
        assert_eq!(reason(&instances, &request), "1 [Cpu]");
        assert_eq!(reason(&fleet("50/50@a 500/500@a"), &request), "-");
        assert_eq!(reason(&[], &request), "EMPTY CAPACITY PROVIDER");
        let selects = Constraint::read("memberOf", Some("attribute:x exists"), Origin::Request);
        request.constraints.push(selects.unwrap());
        assert_eq!(reason(&instances, &request), "1 [Cpu, MemberOf]");
        instances[1].status = Status::Draining;
        assert_eq!(reason(&instances, &request), "2 [Memory, MemberOf]");
        instances.retain(|it| it.status == Status::Draining);
        assert_eq!(reason(&instances, &request), "NO ACTIVE INSTANCES");
    }

    #[test]
    fn an_explanation_tells_all() {
        let instances = fleet("900/900@a*2 900/900@b*1 50/50@b 900/500@b");
        let (_, explanation) =
            explain(&instances, &request(&[ZONES, ("binpack", "memory")], "service:a"));
        insta::assert_snapshot!(explanation, @"
        2: RESOURCE:CPU, RESOURCE:MEMORY
        spread(attribute:ecs.availability-zone): 0=2 1=1 3=1
        binpack(memory): 0=900 1=900 3=500
        equally good: [3]
        ");
    }
}
