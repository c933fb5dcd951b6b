//! The node has what is to be reserved.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`ResourceFilter`);
//! `api/genericresource/validate.go` (`HasEnough`). A task that reserves nothing fits a node that is full.

use crate::swarmkit::model::{Node, Spec};

pub(super) fn concerns(spec: &Spec) -> bool {
    let asked = &spec.reservations;
    asked.nano_cpus != 0 || asked.memory_bytes != 0 || !asked.generic.is_empty()
}

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    let (asked, available) = (&spec.reservations, &node.available);
    let has = |(kind, amount): (&String, &i64)| {
        available.generic.get(kind).is_some_and(|available| amount <= available)
    };
    asked.nano_cpus <= available.nano_cpus
        && asked.memory_bytes <= available.memory_bytes
        && asked.generic.iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::Resources;

    /// `nano/bytes`, then kinds as `apple=2`.
    fn amounts(text: &str) -> Resources {
        let mut words = text.split_whitespace();
        let (nano_cpus, memory_bytes) = words.next().unwrap().split_once('/').unwrap();
        let generic = words.map(|it| it.split_once('=').unwrap());
        Resources {
            nano_cpus: nano_cpus.parse().unwrap(),
            memory_bytes: memory_bytes.parse().unwrap(),
            generic: generic.map(|(kind, it)| (kind.to_owned(), it.parse().unwrap())).collect(),
        }
    }

    #[test]
    fn every_amount_must_be_there() {
        for (asked, available, want) in [
            ("1/1", "1/1", true),
            ("2/1", "1/9", false),
            ("1/2", "9/1", false),
            ("0/1", "-5/1", false),
            ("0/0 apple=2", "0/0 apple=2", true),
            ("0/0 apple=2", "0/0 apple=1", false),
            ("0/0 apple=1 pear=1", "0/0 apple=1", false),
            ("0/0 apple=0", "0/0", false),
        ] {
            let spec = Spec { reservations: amounts(asked), ..Spec::default() };
            let node = Node { available: amounts(available), ..Node::default() };
            assert!(concerns(&spec));
            assert_eq!(passes(&spec, &node), want, "{asked} of {available}");
        }
        assert!(!concerns(&Spec::default()));
    }
}
