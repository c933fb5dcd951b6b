//! One scheduling cycle: from a pod to its node.
//!
//! Source: Kubernetes v1.35, `pkg/scheduler/schedule_one.go`. Differs in walking the nodes one after the
//! other instead of with 16 workers, which makes the real one look at a few more.

use super::cluster::Cluster;
use super::explain::{Recorder, Rejection};
use super::filters::{Prepared, Refused, check_with_nominated};
use super::labels::InvalidSelector;
use super::pick::Ranking;
use super::pod::Pod;
use super::profile::Profile;
use super::sampling::{enough, next_start};
use super::scores::{self, Choice};

/// Where a cycle begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// The place in the walk at which it begins; what [`Decision::next_start`] said the last time.
    pub at: usize,
    /// The row that was promised to the pod when it preempted others.
    pub nominated: Option<usize>,
}

/// What a cycle ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rows with the best total, in the order in which they passed; empty if none passed. Any of them may
    /// be taken in the real system, where the order of nodes is a race.
    pub best: Vec<usize>,
    /// The one of them that is taken when the nodes pass in the order of the walk, as here.
    pub taken: Option<usize>,
    /// The best total; `None` if none passed, or only one, which is taken without being scored.
    pub total: Option<i64>,
    /// How many passed.
    pub passed: usize,
    /// Where the next cycle begins.
    pub next_start: usize,
}

impl Decision {
    fn without_scores(passed: Vec<usize>, next_start: usize) -> Self {
        let (taken, count) = (passed.first().copied(), passed.len());
        Self { best: passed, taken, total: None, passed: count, next_start }
    }
}

/// Finds the node for a pod.
///
/// Cost: one pass over all pods if the pod has spread constraints or terms about others, one over the nodes
/// that run pods with such terms otherwise, and a filter and score of each node looked at.
///
/// # Errors
///
/// If a spread constraint or a preferred term of the pod cannot be parsed: the real scheduler then gives up
/// this attempt.
pub fn decide<R: Recorder>(
    profile: &Profile,
    cluster: &Cluster,
    pod: &Pod,
    start: Start,
    recorder: &mut R,
) -> Result<Decision, InvalidSelector> {
    decide_among(profile, cluster, pod, start, |_| true, recorder)
}

/// The same, where a filter of the caller's own comes before all others: `may` says whether a row may be
/// taken. The recorder is told nothing of those that may not.
///
/// # Errors
///
/// As [`decide`].
pub fn decide_among<R: Recorder>(
    profile: &Profile,
    cluster: &Cluster,
    pod: &Pod,
    start: Start,
    may: impl Fn(usize) -> bool,
    recorder: &mut R,
) -> Result<Decision, InvalidSelector> {
    let prepared = match Prepared::new(profile, cluster, pod) {
        Ok(prepared) => prepared,
        Err(Refused::Error(error)) => return Err(error),
        Err(Refused::Rejected(why)) => {
            cluster.walk().iter().for_each(|&row| recorder.rejected(row, &why));
            return Ok(Decision::without_scores(Vec::new(), start.at));
        }
    };
    let ask = |row: usize, recorder: &mut R| {
        if !may(row) {
            return false;
        }
        let node = cluster.node(row);
        match check_with_nominated(&prepared, cluster, row, node, node.used()) {
            Ok(()) => recorder.passed(row),
            Err(why) => {
                recorder.rejected(row, &why);
                return false;
            }
        }
        true
    };
    if let Some(row) = start.nominated.filter(|row| cluster.walk().contains(row))
        && prepared.is_named(cluster.node(row))
        && ask(row, recorder)
    {
        return Ok(Decision::without_scores(vec![row], start.at));
    }

    let mut named: Vec<usize> = Vec::new();
    let in_question =
        if prepared.names_all() || cluster.nodes().all(|(_, it)| prepared.is_named(it)) {
            cluster.walk()
        } else {
            for (row, node) in cluster.nodes() {
                if prepared.is_named(node) {
                    named.push(row);
                } else {
                    recorder.rejected(row, &Rejection::NotAmongNames);
                }
            }
            &named
        };
    let wanted = enough(in_question.len() as i64, profile.percentage_of_nodes_to_score) as usize;
    let (mut passed, mut looked) = (Vec::new(), 0);
    while looked < in_question.len() && passed.len() < wanted {
        let row = in_question[(start.at + looked) % in_question.len()];
        looked += 1;
        if ask(row, recorder) {
            passed.push(row);
        }
    }
    let next = next_start(start.at, looked, cluster.len());
    if passed.len() <= 1 {
        return Ok(Decision::without_scores(passed, next));
    }

    let choice = Choice { profile, cluster, pod, rows: &passed };
    let totals = totals(choice, recorder)?;
    let ranking = Ranking::new(totals.iter().copied().zip(passed.iter().copied()).collect());
    let best = ranking.top().map(|it| it.0);
    let taken = ranking.top().map(|it| it.1);
    let is_best = |(row, total): (&usize, &i64)| (Some(*total) == best).then_some(*row);
    let all_best = passed.iter().zip(&totals).filter_map(is_best).collect();
    Ok(Decision { best: all_best, taken, total: best, passed: passed.len(), next_start: next })
}

/// The weighted sum of all scores, one for each row.
fn totals<R: Recorder>(choice: Choice<'_>, recorder: &mut R) -> Result<Vec<i64>, InvalidSelector> {
    let mut totals = vec![0; choice.rows.len()];
    for &(score, weight) in &choice.profile.scores {
        let Some(column) = scores::column(score, choice)? else {
            recorder.skipped(score);
            continue;
        };
        let mut values = column.values;
        recorder.raw(score, choice.rows, &values);
        column.normalise.apply(&mut values);
        recorder.normalised(score, choice.rows, &values, weight);
        totals.iter_mut().zip(&values).for_each(|(total, value)| *total += value * weight);
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::explain::Explanation;
    use crate::kubernetes::profile::Score;
    use serde_json::{Value, json};

    fn uniform(count: usize) -> Cluster {
        let node =
            |at| json!({"name": format!("n{at}"), "allocatable": {"cpu_milli": 1000, "pods": 9}});
        cluster((0..count).map(node).collect())
    }

    fn start(at: usize) -> Start {
        Start { at, nominated: None }
    }

    #[test]
    fn says_why() {
        let (cluster, profile) = (uniform(3), Profile::default());
        let pod = pod(json!({"containers": [{"requests": {"cpu_milli": 500}}]}));
        let mut cluster = cluster;
        cluster.add_pod(0, pod.clone());
        cluster.add_pod(1, pod.clone());
        cluster.add_pod(1, pod.clone());
        let mut said = Explanation::default();
        let decision = decide(&profile, &cluster, &pod, Start::default(), &mut said).unwrap();
        assert_eq!(decision, decide(&profile, &cluster, &pod, Start::default(), &mut ()).unwrap());
        assert_eq!(
            (&decision.best[..], decision.taken, decision.next_start),
            (&[2][..], Some(2), 0)
        );
        assert!(matches!(said.nodes[&1].rejection, Some(Rejection::Resources(_))));
        assert_eq!(said.nodes[&2].total(), decision.total.unwrap());
        let fit = |row| said.nodes[&row].scores[&Score::NodeResourcesFit].weighted;
        assert_eq!((fit(0), fit(2)), (0, 50));
        let silent = [Score::NodeAffinity, Score::PodTopologySpread, Score::InterPodAffinity];
        assert_eq!(said.skipped, silent);
    }

    #[test]
    fn a_large_cluster_is_walked_in_parts() {
        let (cluster, profile, pod) = (uniform(250), Profile::default(), pod(json!({})));
        let mut at = 0;
        let mut starts = Vec::new();
        for _ in 0..3 {
            let decision = decide(&profile, &cluster, &pod, start(at), &mut ()).unwrap();
            assert_eq!((decision.passed, decision.best[0]), (120, at));
            at = decision.next_start;
            starts.push(at);
        }
        assert_eq!(starts, [120, 240, 110]);
    }

    #[test]
    fn the_only_node_is_taken_without_scores_and_none_means_none() {
        let (profile, pod) = (Profile::default(), pod(json!({})));
        let decision = decide(&profile, &uniform(1), &pod, start(0), &mut ()).unwrap();
        assert_eq!((decision.taken, decision.total), (Some(0), None));
        let decision = decide(&profile, &uniform(0), &pod, start(0), &mut ()).unwrap();
        assert_eq!((decision.taken, decision.next_start), (None, 0));
    }

    fn asks(id: u64, cpu_milli: i64, priority: i32) -> Pod {
        let value =
            json!({"priority": priority, "containers": [{"requests": {"cpu_milli": cpu_milli}}]});
        Pod { id: crate::kubernetes::pod::PodId(id), ..pod(value) }
    }

    #[test]
    fn promises_are_kept_to_those_who_matter_as_much() {
        let mut cluster = uniform(2);
        cluster.nominated.push((0, asks(7, 800, 5)));
        let taken = |pod: &Pod, nominated| {
            let start = Start { at: 0, nominated };
            decide(&Profile::default(), &cluster, pod, start, &mut ()).unwrap().taken
        };
        assert_eq!(taken(&asks(8, 800, 5), None), Some(1));
        assert_eq!(taken(&asks(8, 800, 6), None), Some(0));
        // Its own promise does not stand in its way.
        assert_eq!(taken(&asks(7, 800, 5), Some(0)), Some(0));
        assert_eq!(taken(&asks(8, 100, 5), Some(1)), Some(1));
    }

    fn named(names: &[&str]) -> Value {
        let term = |name: &&str| {
            json!({"matchFields":
            [{"key": "metadata.name", "operator": "In", "values": [name]}]})
        };
        let terms: Vec<Value> = names.iter().map(term).collect();
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn names_leave_few_nodes() {
        let (cluster, profile) = (uniform(4), Profile::default());
        let pod = pod(named(&["n3", "n1", "other"]));
        let mut said = Explanation::default();
        let decision = decide(&profile, &cluster, &pod, start(1), &mut said).unwrap();
        assert_eq!((decision.best, decision.next_start), (vec![3, 1], 3));
        assert_eq!(said.nodes[&0].rejection, Some(Rejection::NotAmongNames));
    }
}
