//! Taints of nodes, and what tolerates them.

use serde::Deserialize;

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    /// They are not placed there.
    NoSchedule,
    /// They are placed elsewhere if possible.
    PreferNoSchedule,
    /// They are not placed there, and those running there are evicted.
    NoExecute,
}

impl Effect {
    /// Whether it keeps pods away for certain.
    pub fn is_hard(self) -> bool {
        self != Self::PreferNoSchedule
    }
}

/// A mark on a node that keeps pods away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Its name.
    pub key: String,
    /// Its value, often empty.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// How a toleration compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Comparison {
    /// The values must be equal; what an absent operator means.
    #[default]
    Equal,
    /// Any value.
    Exists,
    /// Numeric; behind a feature gate that is off in v1.35, where it tolerates nothing.
    Lt,
    /// Numeric; behind a feature gate that is off in v1.35, where it tolerates nothing.
    Gt,
}

/// What a pod tolerates. Source: v1.35, `Toleration.ToleratesTaint`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toleration {
    /// The taint's key; empty for any.
    pub key: String,
    /// How the value is compared.
    pub comparison: Comparison,
    /// The taint's value.
    pub value: String,
    /// The taint's effect; `None` for any.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Whether it tolerates the taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|it| it == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match self.comparison {
                Comparison::Equal => self.value == taint.value,
                Comparison::Exists => true,
                Comparison::Lt | Comparison::Gt => false,
            }
    }
}

/// The first taint that keeps the pod away for certain, as its place in the list.
pub fn untolerated(taints: &[Taint], tolerations: &[Toleration]) -> Option<usize> {
    let keeps_away =
        |it: &Taint| it.effect.is_hard() && !tolerations.iter().any(|by| by.tolerates(it));
    taints.iter().position(keeps_away)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(
        key: &str,
        comparison: Comparison,
        value: &str,
        effect: Option<Effect>,
    ) -> Toleration {
        Toleration { key: key.to_owned(), comparison, value: value.to_owned(), effect }
    }

    #[test]
    fn tolerates() {
        use Comparison::*;
        let taint = |effect| Taint { key: "k".to_owned(), value: "v".to_owned(), effect };
        for (by, tolerated) in [
            (toleration("k", Equal, "v", None), true),
            (toleration("k", Equal, "w", None), false),
            (toleration("k", Exists, "", Some(Effect::NoSchedule)), true),
            (toleration("k", Exists, "", Some(Effect::NoExecute)), false),
            (toleration("", Exists, "", None), true),
            (toleration("other", Exists, "", None), false),
            (toleration("k", Gt, "0", None), false),
        ] {
            assert_eq!(by.tolerates(&taint(Effect::NoSchedule)), tolerated, "{by:?}");
        }
    }

    #[test]
    fn only_hard_taints_keep_away() {
        let taint = |effect| Taint { key: "k".to_owned(), value: String::new(), effect };
        assert_eq!(untolerated(&[taint(Effect::PreferNoSchedule)], &[]), None);
        let taints = [taint(Effect::PreferNoSchedule), taint(Effect::NoExecute)];
        assert_eq!(untolerated(&taints, &[]), Some(1));
        assert_eq!(untolerated(&taints, &[toleration("k", Comparison::Exists, "", None)]), None);
    }
}
