//! Labels and what selects by them.
//!
//! Source: Kubernetes v1.35, `apimachinery/pkg/labels` and `LabelSelectorAsSelector`. Values are compared
//! as whole texts, case counts. A selector is checked when it is made, as there: a key must be a qualified
//! name and a value a label value, so that one that cannot be parsed is known before any node is looked at.

use cluster::constraint::{self, Test};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Labels of a pod, a node or a namespace.
pub type Labels = BTreeMap<String, String>;

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// The key is there, with one of the values.
    In,
    /// The key is missing, or has none of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is missing.
    DoesNotExist,
    /// The key is there, and its value is an integer above the one given. Node selectors only.
    Gt,
    /// The key is there, and its value is an integer below the one given. Node selectors only.
    Lt,
}

/// Why a selector cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// A key that is no qualified name.
    #[error("key: Invalid value: {0:?}")]
    Key(String),
    /// A value that is no label value.
    #[error("Invalid value: {0:?}")]
    Value(String),
    /// Too few or too many values for the operator.
    #[error("values: Invalid value: {count} values for {operator:?}")]
    Count {
        /// The operator.
        operator: Operator,
        /// How many values it was given.
        count: usize,
    },
    /// A bound of [`Operator::Gt`] or [`Operator::Lt`] that is no integer.
    #[error("values[0]: Invalid value: {0:?} is no integer")]
    Bound(String),
    /// An operator that cannot stand here.
    #[error("{0:?} is not a valid operator here")]
    Operator(Operator),
}

/// A label as a number (FNV-1a). Equal labels have equal marks; different ones may.
pub fn mark(key: &str, value: &str) -> u64 {
    let bytes = key.bytes().chain([0xff]).chain(value.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, it| {
        (hash ^ u64::from(it)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One condition on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    test: Test,
}

impl Requirement {
    /// # Errors
    ///
    /// If the key, a value or their number does not suit the operator.
    pub fn new(
        key: String,
        operator: Operator,
        values: Vec<String>,
    ) -> Result<Self, InvalidSelector> {
        if !is_qualified_name(&key) {
            return Err(InvalidSelector::Key(key));
        }
        let wrong = InvalidSelector::Count { operator, count: values.len() };
        let bound = |values: &[String]| match values {
            [bound] => bound.parse().map_err(|_| InvalidSelector::Bound(bound.clone())),
            _ => Err(wrong.clone()),
        };
        let unlike = values.iter().find(|it| !is_label_value(it)).cloned();
        let test = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => return Err(wrong),
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => return Err(wrong),
            Operator::In => Test::In(values),
            Operator::NotIn => Test::NotIn(values),
            Operator::Exists => Test::Exists,
            Operator::DoesNotExist => Test::Absent,
            Operator::Gt => Test::Above(bound(&values)?),
            Operator::Lt => Test::Below(bound(&values)?),
        };
        if let Some(value) = unlike {
            return Err(InvalidSelector::Value(value));
        }
        Ok(Self { key, test })
    }

    /// The [mark] of the only label that meets it, if there is but one.
    fn mark(&self) -> Option<u64> {
        match &self.test {
            Test::In(values) if values.len() == 1 => Some(mark(&self.key, &values[0])),
            _ => None,
        }
    }

    /// Whether the labels meet it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.test.holds(labels.get(&self.key).map(String::as_str))
    }
}

/// What our tasks ask is taken as valid, whatever its key and values are.
impl From<&constraint::Requirement> for Requirement {
    fn from(it: &constraint::Requirement) -> Self {
        Self { key: it.attribute.clone(), test: it.test.clone() }
    }
}

/// A set of requirements, all of which must be met; or one that nothing meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// `None` for the selector that selects nothing, an absent one in the API.
    requirements: Option<Vec<Requirement>>,
}

impl Selector {
    /// Selects nothing.
    pub const NOTHING: Self = Self { requirements: None };

    /// Selects whatever meets all requirements; without any, everything.
    pub fn all_of(requirements: Vec<Requirement>) -> Self {
        Self { requirements: Some(requirements) }
    }

    /// Selects what carries all these labels. They are taken as valid.
    pub fn labels(labels: &Labels) -> Self {
        let equal = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            test: Test::In(vec![value.clone()]),
        };
        Self::all_of(labels.iter().map(equal).collect())
    }

    /// Selects everything because it requires nothing. [`Selector::NOTHING`] is not empty in this sense.
    pub fn is_empty(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// The [mark] of a label that everything it selects has, if there is one.
    pub fn mark(&self) -> Option<u64> {
        self.requirements.as_ref()?.iter().find_map(Requirement::mark)
    }

    /// Whether something with these labels is selected.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.as_ref().is_some_and(|all| all.iter().all(|it| it.matches(labels)))
    }

    /// This selector, and in addition all these labels. What selected nothing then selects by the labels
    /// alone, as `mergeLabelSetWithSelector` of the pod topology spread plugin has it.
    pub fn and_labels(self, labels: &Labels) -> Self {
        let mut merged = Self::labels(labels).requirements.unwrap_or_default();
        merged.extend(self.requirements.unwrap_or_default());
        Self::all_of(merged)
    }
}

/// At most 63 characters; empty, or letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= 63
        && ends.into_iter().all(|it| it.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(it))
}

/// A name, after a lower-case DNS subdomain and a slash if there is a slash.
fn is_qualified_name(text: &str) -> bool {
    let Some((domain, name)) = text.split_once('/') else { return is_name(text) };
    let is_dns_label = |label: &str| {
        let is_plain = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit();
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.into_iter().all(|it| it.is_some_and(is_plain))
            && bytes.iter().all(|it| is_plain(it) || *it == b'-')
    };
    domain.len() <= 253 && domain.split('.').all(is_dns_label) && is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        text.split_whitespace()
            .map(|it| it.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn meets(key: &str, operator: Operator, values: &[&str], of: &str) -> bool {
        let values = values.iter().map(|&it| it.to_owned()).collect();
        Requirement::new(key.to_owned(), operator, values).unwrap().matches(&labels(of))
    }

    #[test]
    fn operators() {
        use Operator::*;
        for (operator, values, of, met) in [
            (In, &["a", "b"][..], "k=b", true),
            (In, &["a"], "k=b", false),
            (In, &["a"], "", false),
            (NotIn, &["a"], "k=b", true),
            (NotIn, &["a"], "k=a", false),
            (NotIn, &["a"], "", true),
            (Exists, &[], "k=", true),
            (Exists, &[], "", false),
            (DoesNotExist, &[], "", true),
            (DoesNotExist, &[], "k=", false),
            (Gt, &["0204"], "k=0206", true),
            (Gt, &["5"], "k=5", false),
            (Gt, &["5"], "k=x", false),
            (Lt, &["5"], "k=-1", true),
            (Lt, &["5"], "", false),
        ] {
            assert_eq!(meets("k", operator, values, of), met, "{operator:?} {values:?} of {of:?}");
        }
    }

    #[test]
    fn what_cannot_be_parsed() {
        use Operator::*;
        for (key, operator, values, valid) in [
            ("topology.kubernetes.io/zone", In, &["z-1"][..], true),
            ("k", In, &[""], true),
            ("k", In, &["{{.bad-value.}}"], false),
            ("k", NotIn, &["a", "-b"], false),
            ("k", In, &[], false),
            ("k", Exists, &["a"], false),
            ("k", Gt, &["a"], false),
            ("k", Gt, &["-5"], false),
            ("k", Gt, &["5"], true),
            ("k", Lt, &["1", "2"], false),
            ("", Exists, &[], false),
            ("Up.per/k", Exists, &[], false),
            ("a/b/c", Exists, &[], false),
            ("a..b/k", Exists, &[], false),
        ] {
            let given = values.iter().map(|&it| it.to_owned()).collect();
            let made = Requirement::new(key.to_owned(), operator, given);
            assert_eq!(made.is_ok(), valid, "{key:?} {operator:?} {values:?}");
        }
        let long = "x".repeat(64);
        assert!(!is_label_value(&long) && is_label_value(&long[1..]));
    }

    #[test]
    fn nothing_is_not_everything() {
        let everything = Selector::all_of(Vec::new());
        assert!(everything.is_empty() && everything.matches(&labels("")));
        assert!(!Selector::NOTHING.is_empty() && !Selector::NOTHING.matches(&labels("")));
        let merged = Selector::NOTHING.and_labels(&labels("rev=1"));
        assert!(merged.matches(&labels("rev=1 app=a")) && !merged.matches(&labels("rev=2")));
    }
}
