//! Names of engines, `a|b|c`.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/whitelist.go`. Neither the key nor the operator
//! matters: `!=` lets pass what `==` does. Names are compared whole, they are no patterns.

use crate::swarm::expression::Expression;
use crate::swarm::model::Node;

pub(super) fn passes(expression: &Expression, node: &Node) -> bool {
    expression.value.split('|').any(|it| it == node.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_names_whatever_the_operator() {
        let node = Node { id: "id1".to_owned(), name: "n1".to_owned(), ..Node::default() };
        for (expression, want) in [
            ("node==n1", true),
            ("node==n0|n1", true),
            ("node!=n1", true),
            ("key==n1", true),
            ("node==id1", false),
            ("node==n*", false),
            ("node==/n1/", false),
            ("node!=n0", false),
        ] {
            let expression = Expression::read(expression).unwrap();
            assert_eq!(passes(&expression, &node), want, "{expression}");
        }
    }
}
