//! The little language of constraints, affinities and whitelists: `key==value`, `key!=value`.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/expr.go` (`parseExprs`, `Match`).
//!
//! * `==` is looked for before `!=`, and the first one splits; so `a!==b` has the key `a!`, an error.
//! * A key has two characters or more: a letter or `_`, then letters, digits, `-`, `_`, `.`.
//! * A value may not be empty. It may begin with one of `=`, `!`, `/`, then a `~`, and goes on with
//!   letters, digits, white space and `:-_.*/()?+[]\^$|`. If it begins with `~` the expression is soft.
//! * A value in slashes is a pattern that may match anywhere. Any other has `*` for any text and must
//!   match as a whole, but **stays a pattern**: `.` is any character, and `a|b` is `^a` or `b$`.
//! * A pattern that cannot be read matches nothing.
//!
//! Differs in that an expression is read, and its pattern compiled, once per request, not per node.

use crate::swarm::pattern::Pattern;
use std::fmt;

/// Whether soft expressions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soft {
    /// Like hard ones: the first pass.
    Kept,
    /// Not at all: the second pass.
    Dropped,
}

/// The expressions of one kind, in order; or none, if one of them cannot be read.
#[derive(Debug, Clone)]
pub struct Expressions(Result<Vec<Expression>, SyntaxError>);

impl Default for Expressions {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

/// Why an expression cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The key is none.
    #[error("Key '{0}' is invalid")]
    Key(String),
    /// The value is none.
    #[error("Value '{0}' is invalid")]
    Value(String),
    /// Neither operator is there.
    #[error("One of operator ==, != is expected")]
    Operator,
}

impl Expressions {
    /// Reads them. What cannot be read is kept as such: the filter then fails for every node.
    pub fn read<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self(texts.into_iter().map(|it| Expression::read(it.as_ref())).collect())
    }

    /// Reads those of one kind (`constraint`, `affinity`, `whitelist`) out of a container's environment,
    /// where they stand as `constraint:key==value`.
    pub fn of_environment<'t>(kind: &str, variables: impl IntoIterator<Item = &'t str>) -> Self {
        let of_kind = |it: &'t str| it.strip_prefix(kind)?.strip_prefix(':');
        Self::read(variables.into_iter().filter_map(of_kind))
    }

    /// All of them, in order.
    ///
    /// # Errors
    ///
    /// The first that cannot be read.
    pub fn all(&self) -> Result<&[Expression], &SyntaxError> {
        self.0.as_deref()
    }

    /// Whether the second pass differs from the first.
    pub fn has_soft(&self) -> bool {
        self.0.as_ref().is_ok_and(|it| it.iter().any(|it| it.is_soft))
    }

    /// Those that count in a pass.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, soft or not.
    pub fn counting(&self, soft: Soft) -> Result<impl Iterator<Item = &Expression>, &SyntaxError> {
        Ok(self.all()?.iter().filter(move |it| soft == Soft::Kept || !it.is_soft))
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Expression {
    /// What is compared, as written.
    pub key: String,
    /// How.
    pub operator: Operator,
    /// With what, without the `~`.
    pub value: String,
    /// Whether it is given up in the second pass.
    pub is_soft: bool,
    matcher: Matcher,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// One of the things compared must match.
    Equal,
    /// None may.
    NotEqual,
}

#[derive(Debug, Clone)]
enum Matcher {
    /// The value itself: it has no character that means something else.
    Exactly,
    Pattern(Pattern),
    Never,
}

impl Expression {
    /// Reads `key==value` or `key!=value`.
    ///
    /// # Errors
    ///
    /// If it is not in that form.
    pub fn read(text: &str) -> Result<Self, SyntaxError> {
        let (key, operator, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), _) => (key, Operator::Equal, value),
            (None, Some((key, value))) => (key, Operator::NotEqual, value),
            (None, None) => return Err(SyntaxError::Operator),
        };
        if !is_key(key) {
            return Err(SyntaxError::Key(key.to_owned()));
        }
        if !is_value(value) {
            return Err(SyntaxError::Value(value.to_owned()));
        }
        let is_soft = value.starts_with('~');
        let value = value.trim_start_matches('~');
        Ok(Self {
            key: key.to_owned(),
            operator,
            value: value.to_owned(),
            is_soft,
            matcher: Matcher::of(value),
        })
    }

    /// Whether a node passes to which these texts belong.
    pub fn matches<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let mut texts = texts.into_iter();
        let is_found = match &self.matcher {
            Matcher::Exactly => texts.any(|it| it == self.value),
            Matcher::Pattern(pattern) => texts.any(|it| pattern.is_in(it)),
            Matcher::Never => false,
        };
        is_found == (self.operator == Operator::Equal)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
        };
        write!(f, "{}{operator}{}", self.key, self.value)
    }
}

impl Matcher {
    fn of(value: &str) -> Self {
        if let Some(rest) = value.strip_prefix('/')
            && value.ends_with('/')
        {
            // A single slash opens and closes itself; the real system breaks on it.
            return rest.strip_suffix('/').map_or(Self::Never, Self::pattern);
        }
        if value.chars().all(|it| it.is_ascii_alphanumeric() || ":-_/".contains(it)) {
            return Self::Exactly;
        }
        Self::pattern(&format!("^{}$", value.replace('*', ".*")))
    }

    fn pattern(text: &str) -> Self {
        Pattern::read(text).map_or(Self::Never, Self::Pattern)
    }
}

/// Whether a text is a key. The same in SwarmKit's constraints.
pub(crate) fn is_key(text: &str) -> bool {
    let mut rest = text.chars();
    let is_next = |it: char| is_letter(it) || it.is_ascii_digit() || "-_.".contains(it);
    rest.next().is_some_and(|it| is_letter(it) || it == '_')
        && !rest.as_str().is_empty()
        && rest.all(is_next)
}

/// Whether a character may stand anywhere in a value. The same in SwarmKit's constraints.
pub(crate) fn is_in_values(it: char) -> bool {
    is_letter(it) || it.is_ascii_digit() || ":-_\t\n\x0C\r .*/()?+[]\\^$|".contains(it)
}

/// Two letters outside ASCII are Latin letters to Go's `(?i)[a-z]`: the long s and the Kelvin sign.
fn is_letter(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '\u{17F}' || it == '\u{212A}'
}

fn is_value(text: &str) -> bool {
    let is_rest = |text: &str| {
        let text = text.strip_prefix('~').unwrap_or(text);
        !text.is_empty() && text.chars().all(is_in_values)
    };
    is_rest(text) || text.strip_prefix(['=', '!', '/']).is_some_and(is_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_key_operator_value() {
        for (text, want) in [
            ("node==a", "node==a"),
            ("node!=a", "node!=a"),
            ("node==~a", "node==a soft"),
            ("Group.x-1_y==a b", "Group.x-1_y==a b"),
            ("_n===a", "_n===a"),
            ("nn==!a", "nn==!a"),
            ("nn!==a", "Key 'nn!' is invalid"),
            ("nn==a!=b", "Value 'a!=b' is invalid"),
            ("nn!=/~a/", "nn!=/~a/"),
            ("nn==/~a/", "nn==/~a/"),
            ("n==a", "Key 'n' is invalid"),
            ("1node==a", "Key '1node' is invalid"),
            ("no de==a", "Key 'no de' is invalid"),
            ("node==", "Value '' is invalid"),
            ("node==~", "Value '~' is invalid"),
            ("node==~~a", "Value '~~a' is invalid"),
            ("node==a~b", "Value 'a~b' is invalid"),
            ("node==a,b", "Value 'a,b' is invalid"),
            ("node=a", "One of operator ==, != is expected"),
            ("node", "One of operator ==, != is expected"),
        ] {
            let got = match Expression::read(text) {
                Ok(it) if it.is_soft => format!("{it} soft"),
                Ok(it) => it.to_string(),
                Err(why) => why.to_string(),
            };
            assert_eq!(got, want, "{text}");
        }
    }

    #[track_caller]
    fn check(expression: &str, texts: &[&str], want: bool) {
        let expression = Expression::read(expression).unwrap();
        assert_eq!(expression.matches(texts.iter().copied()), want, "{expression} {texts:?}");
    }

    #[test]
    fn a_value_is_a_pattern_for_the_whole_text() {
        check("nn==us*", &["us-west"], true);
        check("nn==us*", &["bus-west"], false);
        check("nn==us*", &["eu", "us"], true);
        check("nn==*", &[""], true);
        check("nn==node.", &["node1"], true);
        check("nn==node.", &["node"], false);
        check("nn==a|b", &["ax", "y"], true);
        check("nn==a|b", &["xb"], true);
        check("nn==a|b", &["xa"], false);
        check("nn==aBc", &["abc"], false);
        check("nn==(?i)aBc", &["AbC"], true);
        check("nn==a-b:c/d", &["a-b:c/d"], true);
    }

    #[test]
    fn in_slashes_it_is_a_pattern_for_any_part() {
        check("nn==/ode[12]/", &["node1x"], true);
        check("nn==/ode[12]/", &["node3"], false);
        check(r"nn==/^\d+$/", &["42"], true);
        check("nn==//", &["anything"], true);
    }

    #[test]
    fn not_equal_is_true_if_nothing_matches() {
        check("nn!=a", &["a", "b"], false);
        check("nn!=a", &["b"], true);
        check("nn!=a", &[], true);
        check("nn==a", &[], false);
    }

    #[test]
    fn a_broken_pattern_matches_nothing() {
        check("nn==/a(/", &["a("], false);
        check("nn!=/a(/", &["a("], true);
        check("nn==/", &["/"], false);
        check("nn==[", &["["], false);
    }

    #[test]
    fn one_broken_expression_breaks_the_list() {
        let list = Expressions::read(["aa==b", "x", "y==="]);
        assert_eq!(list.all().unwrap_err(), &SyntaxError::Operator);
        assert!(list.counting(Soft::Dropped).is_err());
    }

    #[test]
    fn soft_ones_count_in_the_first_pass() {
        let of = |soft| {
            let list = Expressions::read(["aa==~b", "cc!=d"]);
            list.counting(soft).unwrap().map(|it| it.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(Soft::Kept), ["aa==b", "cc!=d"]);
        assert_eq!(of(Soft::Dropped), ["cc!=d"]);
    }

    #[test]
    fn the_environment_holds_all_kinds() {
        let environment = ["PATH=/bin", "constraint:aa==b", "affinity:cc==d", "constraint:e==f"];
        let of = |kind| Expressions::of_environment(kind, environment).0.map(|it| it.len());
        assert_eq!(of("affinity"), Ok(1));
        assert_eq!(of("whitelist"), Ok(0));
        assert_eq!(of("constraint"), Err(SyntaxError::Key("e".to_owned())));
    }
}
