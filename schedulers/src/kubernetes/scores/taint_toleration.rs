//! Fewer taints that only prefer are better. Source: v1.35, `plugins/tainttoleration`.

use super::{Choice, Column, Normalise};
use crate::kubernetes::taints::{Effect, Toleration};

/// Taints of effect `PreferNoSchedule` that are not tolerated. Only tolerations of that effect or of any
/// count.
pub fn column(choice: Choice<'_>) -> Column {
    let tolerations = choice.pod.spec().tolerations.iter();
    let soft: Vec<&Toleration> =
        tolerations.filter(|it| it.effect.is_none_or(|effect| !effect.is_hard())).collect();
    let count = |node: &crate::kubernetes::node::Node| {
        let taints = node.taints.iter().filter(|it| it.effect == Effect::PreferNoSchedule);
        taints.filter(|taint| !soft.iter().any(|it| it.tolerates(taint))).count() as i64
    };
    Column { values: choice.nodes().map(count).collect(), normalise: Normalise::RestOfHighest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::examples::{cluster, pod};
    use crate::kubernetes::profile::Profile;
    use serde_json::json;

    #[test]
    fn counts_soft_taints() {
        let soft = |key: &str| json!({"key": key, "effect": "PreferNoSchedule"});
        let cluster = cluster(json!([
            {"name": "a", "taints": [soft("x"), soft("y")]},
            {"name": "b", "taints": [soft("x"), {"key": "y", "effect": "NoSchedule"}]},
            {"name": "c"},
        ]));
        for (effect, raw) in
            [("", [1, 0, 0]), ("PreferNoSchedule", [1, 0, 0]), ("NoSchedule", [2, 1, 0])]
        {
            let toleration = json!({"key": "x", "operator": "Exists", "effect": effect});
            let pod = pod(json!({"tolerations": [toleration]}));
            let (profile, rows) = (&Profile::default(), &[0, 1, 2]);
            let found = column(Choice { profile, cluster: &cluster, pod: &pod, rows });
            assert_eq!(found.values, raw, "{effect:?}");
        }
    }
}
