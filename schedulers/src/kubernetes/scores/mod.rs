//! How good the nodes that passed are for a pod. One file a plugin.
//!
//! A score looks at all candidates at once and answers with a plain value for each and the way in which they
//! are brought to 0 to 100; or with nothing, when it has nothing to say about the pod (`Skip` of the plugins'
//! `PreScore`).

pub mod balanced_allocation;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_resources_fit;
pub mod pod_topology_spread;
pub mod taint_toleration;

use super::cluster::Cluster;
use super::labels::InvalidSelector;
use super::node::Node;
use super::pod::Pod;
use super::profile::{Profile, Score};

/// The highest score that a node can have before weights.
pub const MAX: i64 = 100;

/// What a score is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The configuration.
    pub profile: &'a Profile,
    /// All nodes.
    pub cluster: &'a Cluster,
    /// The pod.
    pub pod: &'a Pod,
    /// The rows of the nodes that passed all filters.
    pub rows: &'a [usize],
}

impl<'a> Choice<'a> {
    /// The nodes that passed, in order.
    pub fn nodes(self) -> impl Iterator<Item = &'a Node> {
        self.rows.iter().map(move |&row| self.cluster.node(row))
    }
}

/// How plain values are brought to 0 to 100.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normalise {
    /// They are there already.
    Not,
    /// Share of the highest, truncated.
    ShareOfHighest,
    /// What the share of the highest leaves; all get 100 if the highest is 0.
    RestOfHighest,
    /// Linear from the lowest to the highest, in doubles; all get 0 if they are equal.
    Between,
    /// Mirrored between lowest and highest, as share of the highest; all get 100 if the highest is 0. Nodes
    /// that are ignored do not take part and get 0.
    Mirror {
        /// Which are ignored, by place.
        ignored: Vec<bool>,
    },
}

impl Normalise {
    /// Brings the values to 0 to 100.
    pub fn apply(&self, values: &mut [i64]) {
        match self {
            Self::Not => {}
            Self::ShareOfHighest => share_of_highest(values, MAX, false),
            Self::RestOfHighest => share_of_highest(values, MAX, true),
            Self::Between => between(values),
            Self::Mirror { ignored } => mirror(values, ignored),
        }
    }
}

/// Brings values that are not below 0 to 0 to `top`: shares of the highest, or what these leave if `reverse`.
/// Divisions truncate. Source: v1.35, `plugins/helper/normalize_score.go`.
pub fn share_of_highest(values: &mut [i64], top: i64, reverse: bool) {
    let highest = values.iter().copied().max().unwrap_or(0).max(0);
    for value in values {
        let share = if highest == 0 { *value } else { top * *value / highest };
        *value = match (reverse, highest) {
            (false, _) => share,
            (true, 0) => top,
            (true, _) => top - share,
        };
    }
}

/// Source: v1.35, `plugins/interpodaffinity/scoring.go`.
fn between(values: &mut [i64]) {
    let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else { return };
    for value in values {
        *value = if high > low {
            (MAX as f64 * ((*value - low) as f64 / (high - low) as f64)) as i64
        } else {
            0
        };
    }
}

/// Source: v1.35, `plugins/podtopologyspread/scoring.go`.
fn mirror(values: &mut [i64], ignored: &[bool]) {
    let counted = || values.iter().zip(ignored).filter(|it| !it.1).map(|it| *it.0);
    let low = counted().min().unwrap_or(0);
    let high = counted().max().unwrap_or(0);
    for (value, &ignored) in values.iter_mut().zip(ignored) {
        *value = match (ignored, high) {
            (true, _) => 0,
            (false, 0) => MAX,
            (false, _) => MAX * (high + low - *value) / high,
        };
    }
}

/// The plain values of a score for the candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// One for each row, in order.
    pub values: Vec<i64>,
    /// How they are brought to 0 to 100.
    pub normalise: Normalise,
}

/// Computes one score; `None` if it has nothing to say about the pod.
///
/// # Errors
///
/// If a term of the pod cannot be parsed, which ends the attempt.
pub fn column(score: Score, choice: Choice<'_>) -> Result<Option<Column>, InvalidSelector> {
    Ok(match score {
        Score::TaintToleration => Some(taint_toleration::column(choice)),
        Score::NodeAffinity => node_affinity::column(choice)?,
        Score::NodeResourcesFit => Some(node_resources_fit::column(choice)),
        Score::PodTopologySpread => pod_topology_spread::column(choice)?,
        Score::InterPodAffinity => inter_pod_affinity::column(choice)?,
        Score::NodeResourcesBalancedAllocation => balanced_allocation::column(choice),
        Score::ImageLocality => Some(image_locality::column(choice)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation() {
        use Normalise::*;
        for (how, values, found) in [
            (Not, &[3, 7][..], &[3, 7][..]),
            (ShareOfHighest, &[1, 2, 3], &[33, 66, 100]),
            (ShareOfHighest, &[0, 0], &[0, 0]),
            (RestOfHighest, &[3, 2, 1], &[0, 34, 67]),
            (RestOfHighest, &[0, 0], &[100, 100]),
            (Between, &[-5, 1, 4], &[0, 66, 100]),
            (Between, &[7, 7], &[0, 0]),
            (Mirror { ignored: vec![false; 3] }, &[1, 2, 4], &[100, 75, 25]),
            (Mirror { ignored: vec![false, true, false] }, &[1, 0, 4], &[100, 0, 25]),
            (Mirror { ignored: vec![false, true] }, &[0, 9], &[100, 0]),
        ] {
            let mut scores = values.to_vec();
            how.apply(&mut scores);
            assert_eq!(scores, found, "{how:?} {values:?}");
        }
    }
}
