//! Spread: as many tasks of the group as run where the field has the same value. All instances count, those
//! too that cannot have the task.

use super::Field;
use crate::ecs::instance::Instance;
use std::collections::BTreeMap;

/// Tasks of the group, per candidate.
pub(super) fn scores(
    field: &Field,
    group: &str,
    instances: &[Instance],
    candidates: &[usize],
) -> Vec<u64> {
    let name = match field {
        Field::Instance => {
            let of_group = |&it: &usize| u64::from(instances[it].of_group(group));
            return candidates.iter().map(of_group).collect();
        }
        Field::Attribute(name) => name,
    };
    let mut tasks: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    for instance in instances {
        let count = instance.of_group(group);
        if count > 0 {
            *tasks.entry(instance.attribute(name)).or_default() += u64::from(count);
        }
    }
    let in_bucket = |&it: &usize| tasks.get(&instances[it].attribute(name)).copied().unwrap_or(0);
    candidates.iter().map(in_bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance for each word: its rack (`-` for none) and how many tasks of group `a` it runs.
    #[track_caller]
    fn check(field: &Field, fleet: &str, want: &[u64]) {
        let instances: Vec<Instance> = fleet
            .split_whitespace()
            .map(|it| {
                let (rack, tasks) = it.split_once(':').unwrap();
                let mut instance = Instance::default();
                if rack != "-" {
                    instance.attributes.insert("rack".to_owned(), rack.to_owned());
                }
                instance.groups.insert("a".to_owned(), tasks.parse().unwrap());
                instance.groups.insert("b".to_owned(), 7);
                instance
            })
            .collect();
        let candidates: Vec<usize> = (0..instances.len()).collect();
        assert_eq!(scores(field, "a", &instances, &candidates), want);
        let last = [instances.len() - 1];
        assert_eq!(scores(field, "a", &instances, &last), [want[last[0]]]);
    }

    #[test]
    fn tasks_of_the_group_are_counted_by_value() {
        let rack = Field::Attribute("rack".to_owned());
        check(&rack, "r1:1 r1:2 r2:1", &[3, 3, 1]);
        check(&rack, "r1:1 -:2 -:3 :4", &[1, 5, 5, 4]);
        check(&Field::Instance, "r1:1 r1:2 -:0", &[1, 2, 0]);
    }
}
