//! Labels of the engine; the key `node` is its id and its name.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/constraint.go`. A label that the engine lacks is
//! empty text, so `x!=y` and `x==*` let it pass.

use crate::swarm::expression::Expression;
use crate::swarm::model::Node;

pub(super) fn passes(expression: &Expression, node: &Node) -> bool {
    match expression.key.as_str() {
        "node" => expression.matches([node.id.as_str(), &node.name]),
        label => expression.matches([node.labels.get(label).map_or("", String::as_str)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_or_the_name() {
        let node = Node {
            id: "id1".to_owned(),
            name: "name1".to_owned(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            ..Node::default()
        };
        for (expression, want) in [
            ("node==id1", true),
            ("node==name1", true),
            ("node!=name1", false),
            ("Node==id1", false),
            ("zone==a", true),
            ("zone!=a", false),
            ("Zone==a", false),
            ("rack==*", true),
            ("rack!=a", true),
            ("rack==a", false),
        ] {
            let expression = Expression::read(expression).unwrap();
            assert_eq!(passes(&expression, &node), want, "{expression}");
        }
    }
}
