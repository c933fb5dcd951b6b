//! The parameters of `kubernetes`, and how they are written.

use crate::card::Parameter;
use crate::kubernetes::profile::{Point, Profile, Release, Score, Strategy};
use crate::policy::{Arguments, PolicyError, nearest};

pub(super) const STRATEGY: Parameter = Parameter {
    name: "strategy",
    values: "least-allocated|most-allocated|requested-to-capacity-ratio",
    default: "least-allocated",
    summary: "whether nodes with much left or with little left score more, or by a shape of its own \
              (NodeResourcesFit's scoring strategy)",
};

pub(super) const SHAPE: Parameter = Parameter {
    name: "shape",
    values: "points of UTILIZATION-SCORE joined by bars: percent from 0 to 100, rising, and 0 to 10",
    default: "0-0|100-10",
    summary: "the score of requested-to-capacity-ratio by the share that would be requested, linear between \
              the points",
};

pub(super) const WEIGHTS: Parameter = Parameter {
    name: "weights",
    values: "SCORE-WEIGHT joined by bars, each weight from 0 to 1000000",
    default: "TaintToleration-3|NodeAffinity-2|NodeResourcesFit-1|PodTopologySpread-2|InterPodAffinity-2|\
              NodeResourcesBalancedAllocation-1|ImageLocality-1",
    summary: "what scores count; those that are left out keep their weight, and 0 turns one off",
};

pub(super) const RELEASE: Parameter = Parameter {
    name: "release",
    values: "1.35|1.23",
    default: "1.35",
    summary: "1.23 truncates the score of spread, and scores balance for tasks that ask for nothing",
};

pub(super) const SAMPLING: Parameter = Parameter {
    name: "sampling",
    values: "0 to 100",
    default: "0",
    summary: "how many percent of the nodes that fit are enough to be scored, at least 100 nodes; 0 goes by \
              the size of the cluster, from half of it down to 5 % (percentageOfNodesToScore)",
};

pub(super) const MAX_PODS: Parameter = Parameter {
    name: "max-pods",
    values: "1 to 1000000",
    default: "110",
    summary: "how many tasks a node takes; 110 is the kubelet's default",
};

pub(super) const PREEMPTION: Parameter = Parameter {
    name: "preemption",
    values: "on|off",
    default: "on",
    summary: "whether a task that fits nowhere sends less important ones back to the queue \
              (DefaultPreemption)",
};

/// Reads [`STRATEGY`], [`SHAPE`], [`WEIGHTS`] and [`RELEASE`].
pub(super) fn profile(arguments: &mut Arguments<'_>) -> Result<Profile, PolicyError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Least,
        Most,
        Ratio,
    }
    let kinds = [
        ("least-allocated", Kind::Least),
        ("most-allocated", Kind::Most),
        ("requested-to-capacity-ratio", Kind::Ratio),
    ];
    let kind = arguments.word(STRATEGY.name, &kinds)?;
    let shape = arguments.value(SHAPE.name, read_shape, |it, _| write_shape(it))?;
    if kind != Kind::Ratio && write_shape(&shape) != SHAPE.default {
        return Err(arguments.refusal(SHAPE.name, "of use without requested-to-capacity-ratio"));
    }
    let scores = arguments.value(WEIGHTS.name, read_weights, |it, _| write_weights(it));
    let scores = scores.map_err(|error| match error {
        PolicyError::BadValue { at, policy, parameter, found, wanted, .. } => {
            let nearest =
                unknown_score(&found).map(|it| nearest(it, scores_by_name().map(|it| it.0)));
            let nearest = nearest.unwrap_or_default();
            PolicyError::BadValue { at, policy, parameter, found, wanted, nearest }
        }
        other => other,
    })?;
    let releases = [("1.35", Release::V1_35), ("1.23", Release::V1_23)];
    Ok(Profile {
        strategy: match kind {
            Kind::Least => Strategy::LeastAllocated,
            Kind::Most => Strategy::MostAllocated,
            Kind::Ratio => Strategy::RequestedToCapacityRatio(shape),
        },
        scores: scores.into_iter().filter(|it| it.1 > 0).collect(),
        release: arguments.word(RELEASE.name, &releases)?,
        ..Profile::default()
    })
}

/// Reads [`MAX_PODS`].
pub(super) fn max_pods(arguments: &mut Arguments<'_>) -> Result<i64, PolicyError> {
    Ok(arguments.number(MAX_PODS.name, 1..=1_000_000)? as i64)
}

/// Reads [`PREEMPTION`].
pub(super) fn preemption(arguments: &mut Arguments<'_>) -> Result<bool, PolicyError> {
    arguments.word(PREEMPTION.name, &[("on", true), ("off", false)])
}

fn read_shape(text: &str) -> Option<Vec<Point>> {
    let point = |it: &str| {
        let (utilization, score) = it.split_once('-')?;
        Some(Point { utilization: number(utilization)?, score: number(score)? })
    };
    let shape: Vec<Point> = text.split('|').map(point).collect::<Option<_>>()?;
    let strategy = Strategy::RequestedToCapacityRatio(shape.clone());
    let is_sound = Profile { strategy, ..Profile::default() }.validate().is_ok();
    is_sound.then_some(shape)
}

fn write_shape(shape: &[Point]) -> String {
    let points: Vec<String> =
        shape.iter().map(|it| format!("{}-{}", it.utilization, it.score)).collect();
    points.join("|")
}

/// Not above a million, so that sums of weighted scores stay in range.
fn number(text: &str) -> Option<i64> {
    text.trim().parse::<u32>().ok().filter(|it| *it <= 1_000_000).map(i64::from)
}

fn scores_by_name() -> impl Iterator<Item = (&'static str, Score)> {
    Score::DEFAULT_WEIGHTS.into_iter().map(|(score, _)| (score.name(), score))
}

/// All scores, each with its weight.
fn read_weights(text: &str) -> Option<Vec<(Score, i64)>> {
    let mut all = Score::DEFAULT_WEIGHTS.to_vec();
    let mut given = Vec::new();
    for part in text.split('|') {
        let (name, weight) = part.split_once('-')?;
        let (_, score) = scores_by_name().find(|it| it.0 == name.trim())?;
        if given.contains(&score) {
            return None;
        }
        given.push(score);
        let weight = number(weight)?;
        all.iter_mut().filter(|it| it.0 == score).for_each(|it| it.1 = weight);
    }
    Some(all)
}

fn write_weights(weights: &[(Score, i64)]) -> String {
    let others = weights.iter().filter(|it| !Score::DEFAULT_WEIGHTS.contains(it));
    let others: Vec<String> = others.map(|it| format!("{}-{}", it.0.name(), it.1)).collect();
    if others.is_empty() { WEIGHTS.default.to_owned() } else { others.join("|") }
}

fn unknown_score(text: &str) -> Option<&str> {
    let names = text.split('|').map(|it| it.split('-').next().unwrap_or(it).trim());
    names.into_iter().find(|name| scores_by_name().all(|it| it.0 != *name))
}
