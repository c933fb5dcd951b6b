//! The engine's own limit of containers, its label `containerslots`, is not reached.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/slots.go`. A label that is no number is no limit.

use super::Rejection;
use crate::swarm::model::Node;

pub(super) fn check(node: &Node) -> Result<(), Rejection<'static>> {
    match node.labels.get("containerslots").and_then(|it| it.parse::<i64>().ok()) {
        Some(slots) if node.containers().len() as i64 >= slots => Err(Rejection::NoSlot { slots }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::model::Container;

    #[test]
    fn containers_are_counted_against_the_label() {
        for (slots, containers, want) in [
            (Some("3"), 2, true),
            (Some("3"), 3, false),
            (Some("3"), 4, false),
            (Some("0"), 0, false),
            (Some("-1"), 0, false),
            (Some("+1"), 0, true),
            (Some("many"), 9, true),
            (Some(" 1"), 9, true),
            (None, 9, true),
        ] {
            let mut node = Node::default();
            node.labels.extend(slots.map(|it| ("containerslots".to_owned(), it.to_owned())));
            (0..containers).for_each(|_| node.add(Container::default()));
            assert_eq!(check(&node).is_ok(), want, "{slots:?} {containers}");
        }
    }
}
