//! The node meets all constraints.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`ConstraintFilter`). The rules stand in
//! [`crate::swarmkit::constraint`].

use crate::swarmkit::model::{Node, Spec};

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    spec.constraints.iter().all(|it| it.is_met_by(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::constraint::read;

    #[test]
    fn all_must_hold() {
        let node = Node { id: "a".to_owned(), hostname: "h".to_owned(), ..Node::default() };
        for (constraints, want) in [
            (vec!["node.id == a", "node.hostname == h"], true),
            (vec!["node.id == a", "node.hostname != h"], false),
            (vec!["node.id != a", "node.hostname == h"], false),
        ] {
            let spec = Spec { constraints: read(&constraints).unwrap(), ..Spec::default() };
            assert_eq!(passes(&spec, &node), want, "{constraints:?}");
        }
    }
}
