//! Terms that select nodes, as in a pod's node affinity.
//!
//! Source: Kubernetes v1.35, `component-helpers/scheduling/corev1/nodeaffinity`.

use super::labels::{InvalidSelector, Labels, Operator, Requirement};
use super::node::Node;

/// The one field of a node that terms can name.
const NAME_FIELD: &str = "metadata.name";

/// A condition on a field of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRequirement {
    /// The field; only the node's name is known, all others are empty.
    pub field: String,
    /// [`Operator::In`] or [`Operator::NotIn`].
    pub operator: Operator,
    /// Exactly one value, or the term is invalid.
    pub values: Vec<String>,
}

/// Requirements on a node that must all be met. A term without any is met by no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTerm {
    /// Requirements on labels.
    pub labels: Result<Vec<Requirement>, InvalidSelector>,
    /// Requirements on fields.
    pub fields: Vec<FieldRequirement>,
}

impl NodeTerm {
    /// Whether it requires nothing, which no node meets.
    pub fn is_empty(&self) -> bool {
        self.labels.as_ref().is_ok_and(Vec::is_empty) && self.fields.is_empty()
    }

    /// Whether it can be parsed.
    ///
    /// # Errors
    ///
    /// What is wrong first.
    pub fn check(&self) -> Result<&[Requirement], InvalidSelector> {
        for field in &self.fields {
            match (field.operator, &field.values[..]) {
                (Operator::In | Operator::NotIn, [_]) => {}
                (Operator::In | Operator::NotIn, values) => {
                    let (operator, count) = (field.operator, values.len());
                    return Err(InvalidSelector::Count { operator, count });
                }
                (other, _) => return Err(InvalidSelector::Operator(other)),
            }
        }
        self.labels.as_deref().map_err(Clone::clone)
    }

    /// Whether the node meets it; a term that cannot be parsed is met by none.
    pub fn matches(&self, node: &Node) -> bool {
        let meets_field = |it: &FieldRequirement| {
            let value = if it.field == NAME_FIELD { &node.name } else { "" };
            it.values.iter().any(|wanted| wanted == value) == (it.operator == Operator::In)
        };
        !self.is_empty()
            && self.check().is_ok_and(|all| all.iter().all(|it| it.matches(&node.labels)))
            && self.fields.iter().all(meets_field)
    }

    /// The node names that it allows: those in all its lists of names, or `None` if it has no such list.
    fn names(&self) -> Option<Vec<&str>> {
        let mut lists = self
            .fields
            .iter()
            .filter(|it| it.field == NAME_FIELD && it.operator == Operator::In)
            .map(|it| &it.values);
        let first = lists.next()?;
        let mut names: Vec<&str> = first.iter().map(String::as_str).collect();
        for list in lists {
            names.retain(|name| list.iter().any(|it| it == name));
        }
        Some(names)
    }
}

/// What a pod asks of its node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeAffinity {
    /// Terms of which one must be met; none is met when the list is empty. `None` if nothing is required.
    pub required: Option<Vec<NodeTerm>>,
    /// Terms with the weight they add where they are met. `None` and an empty list differ: with `None` the
    /// score is skipped.
    pub preferred: Option<Vec<(i64, NodeTerm)>>,
}

impl NodeAffinity {
    /// Whether the node meets what is required.
    pub fn allows(&self, node: &Node) -> bool {
        self.required.as_ref().is_none_or(|terms| terms.iter().any(|it| it.matches(node)))
    }

    /// The names of the only nodes that can do, or `None` if names do not tell.
    ///
    /// All terms must name nodes for that. An empty list means that the terms contradict themselves.
    pub fn names(&self) -> Option<Vec<&str>> {
        let terms = self.required.as_ref().filter(|it| !it.is_empty())?;
        let mut names = Vec::new();
        for term in terms {
            names.extend(term.names()?);
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// The weight of all preferred terms that the node meets.
    pub fn preference(&self, node: &Node) -> i64 {
        let terms = self.preferred.iter().flatten();
        terms.filter(|(_, it)| it.matches(node)).map(|(weight, _)| weight).sum()
    }

    /// Whether all preferred terms that count can be parsed.
    ///
    /// # Errors
    ///
    /// What is wrong first.
    pub fn check_preferred(&self) -> Result<(), InvalidSelector> {
        let terms = self.preferred.iter().flatten();
        let mut counted = terms.filter(|(weight, it)| *weight != 0 && !it.is_empty());
        counted.try_for_each(|(_, it)| it.check().map(drop))
    }
}

/// Whether the node has all these labels and meets what is required: the node selector and the required
/// node affinity of a pod.
pub fn allows(selector: &Labels, affinity: &NodeAffinity, node: &Node) -> bool {
    selector.iter().all(|(key, value)| node.labels.get(key) == Some(value)) && affinity.allows(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(operator: Operator, values: &[&str]) -> FieldRequirement {
        let values = values.iter().map(|&it| it.to_owned()).collect();
        FieldRequirement { field: NAME_FIELD.to_owned(), operator, values }
    }

    fn term(fields: Vec<FieldRequirement>) -> NodeTerm {
        NodeTerm { labels: Ok(Vec::new()), fields }
    }

    fn affinity(terms: Vec<NodeTerm>) -> NodeAffinity {
        NodeAffinity { required: Some(terms), preferred: None }
    }

    #[test]
    fn an_empty_list_and_an_empty_term_are_met_by_none() {
        let node = Node::named("n1");
        assert!(NodeAffinity::default().allows(&node));
        assert!(!affinity(Vec::new()).allows(&node));
        assert!(!affinity(vec![term(Vec::new())]).allows(&node));
    }

    #[test]
    fn fields_take_one_value() {
        use Operator::*;
        for (fields, met) in [
            (vec![field(In, &["n1"])], true),
            (vec![field(In, &["n2"])], false),
            (vec![field(NotIn, &["n2"])], true),
            (vec![field(NotIn, &["n1"])], false),
            (vec![field(In, &["n1", "n2"])], false),
            (vec![field(Exists, &[])], false),
        ] {
            assert_eq!(term(fields.clone()).matches(&Node::named("n1")), met, "{fields:?}");
        }
    }

    #[test]
    fn names_are_cut_within_a_term_and_joined_between_terms() {
        use Operator::In;
        let both = affinity(vec![term(vec![field(In, &["b"])]), term(vec![field(In, &["a"])])]);
        assert_eq!(both.names(), Some(vec!["a", "b"]));
        let none = affinity(vec![term(vec![field(In, &["a"]), field(In, &["b"])])]);
        assert_eq!(none.names(), Some(vec![]));
        let open = affinity(vec![term(vec![field(In, &["a"])]), term(Vec::new())]);
        assert_eq!(open.names(), None);
        assert_eq!(affinity(Vec::new()).names(), None);
    }
}
