//! Which pods go when a pod fits nowhere.
//!
//! Source: Kubernetes v1.35, `plugins/defaultpreemption` and `pkg/scheduler/framework/preemption`. Differs
//! in looking at nodes one after the other from an offset that is given, not drawn, and in answering with
//! all nodes that are equally good, of which the real one takes any. Pods that have not started count as
//! started later than all others; of equally important ones the first id counts as the most important.

use super::cluster::{Budget, Cluster};
use super::explain::{Recorder, Rejection, Status};
use super::filters::{Prepared, check_with_nominated};
use super::pod::{Pod, PodId};
use super::profile::Profile;
use std::cmp::Reverse;

/// A node that the pod could have if its victims left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The node's row.
    pub row: usize,
    /// Who would have to go, the most important first; at least one.
    pub victims: Vec<&'a Pod>,
    /// How many of them a disruption budget protects.
    pub violations: usize,
}

/// How many candidates are enough, of so many nodes in question.
pub fn enough(nodes: i64, percent: i64, nodes_min: i64) -> i64 {
    (nodes * percent / 100).max(nodes_min).min(nodes)
}

/// The more important first: higher priority, then earlier start. The real one's order among equals is open.
fn importance(pod: &Pod) -> (Reverse<i32>, i64, PodId) {
    (Reverse(pod.priority), pod.started.unwrap_or(i64::MAX), pod.id)
}

/// Records the rows of nodes that preemption may help with, in the order in which a cycle looked at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InQuestion {
    /// The rows.
    pub rows: Vec<usize>,
}

impl Recorder for InQuestion {
    fn rejected(&mut self, row: usize, why: &Rejection) {
        if why.status() == Status::Unschedulable {
            self.rows.push(row);
        }
    }
}

/// Finds victims on one node after the other until there are enough candidates, one of them without
/// violations. Those without come first.
///
/// `rows` are the nodes in question, of which the one at `offset` is looked at first.
pub fn dry_run<'a>(
    profile: &'a Profile,
    cluster: &'a Cluster,
    pod: &'a Pod,
    rows: &[usize],
    offset: usize,
) -> Vec<Candidate<'a>> {
    let ways = Ways { may_hold: |_| true, holds: |_: usize, _: &[PodId]| true };
    dry_run_among(profile, cluster, pod, rows, offset, ways)
}

/// A filter of the caller's own, which comes after all others.
#[derive(Debug, Clone, Copy)]
pub struct Ways<M, H> {
    /// Not if a row could not take the pod even if all of lower priority had left it.
    pub may_hold: M,
    /// Whether a row could take the pod if these pods had left it.
    pub holds: H,
}

/// The same with a filter of the caller's own.
pub fn dry_run_among<'a>(
    profile: &'a Profile,
    cluster: &'a Cluster,
    pod: &'a Pod,
    rows: &[usize],
    offset: usize,
    ways: Ways<impl Fn(usize) -> bool, impl Fn(usize, &[PodId]) -> bool>,
) -> Vec<Candidate<'a>> {
    let Ok(prepared) = Prepared::new(profile, cluster, pod) else { return Vec::new() };
    let count = rows.len() as i64;
    let wanted = enough(count, profile.preemption_percentage, profile.preemption_nodes_min);
    let (mut clean, mut violating) = (Vec::new(), Vec::new());
    for at in 0..rows.len() {
        let row = rows[(offset + at) % rows.len()];
        if !(ways.may_hold)(row) {
            debug_assert_eq!(victims(&prepared, cluster, pod, row, &ways.holds), None, "row {row}");
            continue;
        }
        let Some(found) = victims(&prepared, cluster, pod, row, &ways.holds) else { continue };
        let kind = if found.violations == 0 { &mut clean } else { &mut violating };
        kind.push(found);
        if !clean.is_empty() && clean.len() + violating.len() >= wanted as usize {
            break;
        }
    }
    clean.append(&mut violating);
    clean
}

/// Takes all pods of lower priority as gone, and puts back as many as possible: first those that a budget
/// protects, then the others, each from the most important on. `None` if that does not make room, or nobody
/// has to go.
pub fn victims<'a>(
    prepared: &Prepared<'a>,
    cluster: &'a Cluster,
    pod: &Pod,
    row: usize,
    holds: &impl Fn(usize, &[PodId]) -> bool,
) -> Option<Candidate<'a>> {
    let node = cluster.node(row);
    let lower = node.pods().iter().filter(|it| it.priority < pod.priority);
    let mut lower: Vec<&'a Pod> = lower.collect();
    if lower.is_empty() {
        return None;
    }
    let (mut prepared, mut used) = (prepared.clone(), node.used().clone());
    for other in &lower {
        prepared.shift(node, other, -1);
        used.remove(other);
    }
    check_with_nominated(&prepared, cluster, row, node, &used).ok()?;
    let mut gone: Vec<PodId> = lower.iter().map(|it| it.id).collect();
    if !holds(row, &gone) {
        return None;
    }
    lower.sort_by_key(|it| importance(it));
    let (protected, others) = by_budget(&lower, &cluster.budgets);
    let mut victims = Vec::new();
    let mut violations = 0;
    for (group, is_protected) in [(protected, true), (others, false)] {
        for other in group {
            prepared.shift(node, other, 1);
            used.add(other);
            gone.retain(|it| *it != other.id);
            if check_with_nominated(&prepared, cluster, row, node, &used).is_err()
                || !holds(row, &gone)
            {
                gone.push(other.id);
                prepared.shift(node, other, -1);
                used.remove(other);
                victims.push(other);
                violations += usize::from(is_protected);
            }
        }
    }
    victims.sort_by_key(|it| importance(it));
    (!victims.is_empty()).then_some(Candidate { row, victims, violations })
}

/// Parts pods into those whose end would be one too many for some budget, and the others. Each pod in turn
/// uses up one of every budget it falls under.
fn by_budget<'a>(pods: &[&'a Pod], budgets: &[Budget]) -> (Vec<&'a Pod>, Vec<&'a Pod>) {
    let mut left: Vec<i64> = budgets.iter().map(|it| it.allowed).collect();
    pods.iter().partition(|pod| {
        let spec = pod.spec();
        let mut is_protected = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            if !spec.labels.is_empty()
                && budget.namespace == spec.namespace
                && !budget.selector.is_empty()
                && budget.selector.matches(&spec.labels)
                && !budget.disrupted.contains(&pod.id)
            {
                *left -= 1;
                is_protected |= *left < 0;
            }
        }
        is_protected
    })
}

/// The candidates of which any may be chosen, as places in the list: those left by the first of these rules
/// that leaves one, or by all of them. Fewest violations; lowest priority of the most important victim;
/// lowest sum of priorities, each counted from the lowest there can be; fewest victims; latest start of the
/// longest-running of the most important victims.
pub fn best(candidates: &[Candidate<'_>]) -> Vec<usize> {
    const LOWEST: i64 = 1 << 31;
    let top = |it: &Candidate<'_>| it.victims.iter().map(|it| it.priority).max();
    let rules: [&dyn Fn(&Candidate<'_>) -> i64; 5] = [
        &|it| -(it.violations as i64),
        &|it| -top(it).map_or(i64::MIN + 1, i64::from),
        &|it| -it.victims.iter().map(|it| i64::from(it.priority) + LOWEST).sum::<i64>(),
        &|it| -(it.victims.len() as i64),
        &|it| {
            let most_important = it.victims.iter().filter(|pod| Some(pod.priority) == top(it));
            most_important.map(|it| it.started.unwrap_or(i64::MAX)).min().unwrap_or(i64::MIN)
        },
    ];
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    for rule in rules {
        let highest = left.iter().map(|&at| rule(&candidates[at])).max();
        left.retain(|&at| Some(rule(&candidates[at])) == highest);
        if left.len() == 1 {
            break;
        }
    }
    left
}

/// Promises to pods of lower priority on a node that is now another's: they are taken back.
pub fn lower_nominations(cluster: &Cluster, row: usize, priority: i32) -> Vec<PodId> {
    let here = cluster.nominated.iter().filter(|(at, it)| *at == row && it.priority < priority);
    here.map(|(_, it)| it.id).collect()
}

/// Whether a pod that fits nowhere may preempt others: not while a victim of its own is still leaving the node
/// it was promised, unless that node is no longer in question.
///
/// Pods whose policy is never to preempt are not to be asked about.
pub fn may_preempt(
    cluster: &Cluster,
    pod: &Pod,
    nominated: Option<usize>,
    in_question: &InQuestion,
) -> bool {
    let Some(row) = nominated.filter(|row| in_question.rows.contains(row)) else { return true };
    let is_leaving = |it: &Pod| it.terminating && it.priority < pod.priority;
    !cluster.node(row).pods().iter().any(is_leaving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::cycle::{Start, decide};
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::labels::{Labels, Selector};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn asks(cpu_milli: i64, priority: i32, started: Option<i64>) -> Value {
        json!({"namespace": "x", "labels": {"app": "a"}, "priority": priority, "start_time_s": started,
            "containers": [{"requests": {"cpu_milli": cpu_milli}}]})
    }

    fn one_node(tasks: &[Value]) -> Cluster {
        cluster(
            json!([{"name": "n", "allocatable": {"cpu_milli": 1000, "pods": 9}, "tasks": tasks}]),
        )
    }

    /// Ids of victims, and how many are protected.
    fn found(cluster: &Cluster, pod: &Pod) -> Option<(Vec<u64>, usize)> {
        let profile = Profile::default();
        let rows = cluster.walk().to_vec();
        let found = dry_run(&profile, cluster, pod, &rows, 0);
        found.first().map(|it| (it.victims.iter().map(|it| it.id.0).collect(), it.violations))
    }

    #[test]
    fn the_least_important_go() {
        let (old, new) = (Some(1), Some(2));
        for (tasks, cpu_milli, victims) in [
            (vec![asks(400, 1, old), asks(400, 1, new)], 500, Some(vec![1])),
            (vec![asks(400, 0, old), asks(400, 1, new)], 500, Some(vec![0])),
            (vec![asks(400, 1, None), asks(400, 1, new)], 500, Some(vec![0])),
            (vec![asks(400, 1, old), asks(400, 1, new)], 900, Some(vec![0, 1])),
            (vec![asks(400, 9, old), asks(400, 1, new)], 900, None),
            (vec![asks(400, 1, old)], 100, None),
            (vec![asks(400, 1, old)], 2000, None),
        ] {
            let cluster = one_node(&tasks);
            let answer = found(&cluster, &pod(asks(cpu_milli, 5, None)));
            assert_eq!(answer, victims.map(|it| (it, 0)), "{tasks:?} {cpu_milli}");
        }
    }

    #[test]
    fn budgets_protect() {
        let mut cluster = one_node(&[asks(400, 1, Some(1)), asks(400, 1, Some(2))]);
        let labels = Labels::from([("app".to_owned(), "a".to_owned())]);
        let budget = |allowed, disrupted: &[u64]| Budget {
            namespace: "x".to_owned(),
            selector: Selector::labels(&labels),
            allowed,
            disrupted: disrupted.iter().map(|&it| PodId(it)).collect::<BTreeSet<_>>(),
        };
        let pod = pod(asks(500, 5, None));
        for (budgets, expected) in [
            (vec![budget(2, &[])], (vec![1], 0)),
            // The younger one is one too many, and therefore put back first.
            (vec![budget(1, &[])], (vec![0], 0)),
            (vec![budget(0, &[])], (vec![1], 1)),
            (vec![budget(0, &[1])], (vec![1], 0)),
            (
                vec![Budget { selector: Selector::all_of(Vec::new()), ..budget(0, &[]) }],
                (vec![1], 0),
            ),
            (vec![Budget { namespace: "y".to_owned(), ..budget(0, &[]) }], (vec![1], 0)),
        ] {
            cluster.budgets = budgets;
            assert_eq!(found(&cluster, &pod), Some(expected), "{:?}", cluster.budgets);
        }
    }

    #[test]
    fn spread_and_affinity_follow_who_goes() {
        let a = |priority: i32| json!({"labels": {"app": "a"}, "priority": priority});
        let shy = json!({"labels": {"app": "b"}, "priority": 1, "affinity": {"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone",
                "labelSelector": {"matchLabels": {"app": "a"}}}]}}});
        let nodes = |at_x: &[Value], at_y: &[Value]| {
            cluster(json!([
                {"name": "x", "labels": {"zone": "x"}, "allocatable": {"pods": 9}, "tasks": at_x},
                {"name": "y", "labels": {"zone": "y"}, "allocatable": {"pods": 9}, "tasks": at_y},
            ]))
        };
        let pod = pod(json!({"labels": {"app": "a"}, "priority": 5, "topology_spread": [{
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "a"}}}]}));
        let found = |cluster: &Cluster| -> Vec<(usize, Vec<u64>)> {
            let profile = Profile::default();
            let found = dry_run(&profile, cluster, &pod, &[0, 1], 1).into_iter();
            found.map(|it| (it.row, it.victims.iter().map(|it| it.id.0).collect())).collect()
        };
        // One of the two is too many at x once the pod is there.
        assert_eq!(found(&nodes(&[a(1), a(2)], &[a(9)])), [(0, vec![0])]);
        // The shy one keeps pods out of its zone; who is looked at first comes first.
        let both = nodes(&[shy.clone(), a(9)], &[shy, a(9)]);
        assert_eq!(found(&both), [(1, vec![2]), (0, vec![0])]);
    }

    #[test]
    fn the_best_candidate() {
        let pods = |all: &[(i32, Option<i64>)]| -> Vec<Pod> {
            all.iter().map(|&(priority, started)| pod(asks(1, priority, started))).collect()
        };
        for (a, b, best_of) in [
            (vec![(5, Some(1))], vec![(4, Some(1)), (4, Some(1))], vec![1]),
            (vec![(5, Some(1)), (1, None)], vec![(5, Some(1)), (2, None)], vec![0]),
            // Two of the lowest possible priority weigh less than one of the next higher and one more.
            (vec![(5, Some(1))], vec![(5, Some(1)), (i32::MIN, None)], vec![0]),
            (vec![(5, Some(1))], vec![(5, Some(2))], vec![1]),
            (vec![(5, None)], vec![(5, Some(2))], vec![0]),
            (vec![(5, Some(1)), (5, Some(9))], vec![(5, Some(2)), (5, Some(3))], vec![1]),
            (vec![(5, Some(1))], vec![(5, Some(1))], vec![0, 1]),
        ] {
            let (first, second) = (pods(&a), pods(&b));
            let candidate = |row, victims: &'_ [Pod]| (row, victims.to_vec());
            let all = [candidate(0, &first), candidate(1, &second)];
            let mut candidates: Vec<Candidate<'_>> = all
                .iter()
                .map(|(row, it)| Candidate {
                    row: *row,
                    victims: it.iter().collect(),
                    violations: 0,
                })
                .collect();
            assert_eq!(best(&candidates), best_of, "{a:?} {b:?}");
            candidates[best_of[0]].violations = 1;
            assert_ne!(best(&candidates)[0], best_of[0], "violations come first");
        }
    }

    #[test]
    fn only_nodes_that_others_fill_are_in_question() {
        let cluster = cluster(json!([
            {"name": "small", "allocatable": {"cpu_milli": 100, "pods": 9}},
            {"name": "full", "allocatable": {"cpu_milli": 1000, "pods": 9}, "tasks": [asks(900, 0, None)]},
        ]));
        let (profile, pod) = (Profile::default(), pod(asks(500, 5, None)));
        let mut found = InQuestion::default();
        decide(&profile, &cluster, &pod, Start::default(), &mut found).unwrap();
        assert_eq!(found.rows, [1]);
    }

    #[test]
    fn how_many_candidates() {
        for (nodes, found) in [(0, 0), (1, 1), (50, 50), (100, 100), (1000, 100), (5000, 500)] {
            assert_eq!(enough(nodes, 10, 100), found, "{nodes}");
        }
    }

    #[test]
    fn promises() {
        let mut cluster = one_node(&[asks(900, 0, None)]);
        cluster.nominated = vec![(0, pod(asks(1, 3, None)))];
        assert_eq!(lower_nominations(&cluster, 0, 3), []);
        assert_eq!(lower_nominations(&cluster, 0, 4), [PodId(u64::MAX)]);
        let pod = pod(asks(500, 5, None));
        let found = InQuestion { rows: vec![0] };
        assert!(may_preempt(&cluster, &pod, Some(0), &found));
        let leaving = Pod { terminating: true, ..cluster.node(0).pods()[0].clone() };
        cluster.remove_pod(0, leaving.id);
        cluster.add_pod(0, leaving);
        assert!(!may_preempt(&cluster, &pod, Some(0), &found));
        assert!(may_preempt(&cluster, &pod, None, &found));
        assert!(may_preempt(&cluster, &pod, Some(0), &InQuestion::default()));
    }
}
