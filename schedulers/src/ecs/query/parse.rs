//! From text to expression.
//!
//! ```text
//! expr     := conj { ("or" | "||") conj }
//! conj     := unary { ("and" | "&&") unary }
//! unary    := ("not" | "!") unary | "(" expr ")" | test
//! test     := subject operator [ argument ]
//! argument := literal | 'quoted' | "[" item { "," item } "]"
//! ```
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language". Differs where the guide is silent: `and`
//! binds stronger than `or`; a literal ends at a blank, at `&&`, `||` or a parenthesis, in a list also at a comma
//! or bracket; a quoted text has no escapes; a list has one item or more. The guide says that a single test
//! holds no parentheses, but patterns such as `(p[2,3]|g[3,4]).*` are used with the real service: they may.

use super::moment::Moment;
use super::pattern::Pattern;
use super::syntax::{Node, Operator, Order, Subject, Test, TextTest};
use super::version::Version;
use crate::ecs::instance::{is_attribute_name, is_name_char};
use std::fmt;
use thiserror::Error;

/// The longest expression, in characters (API model, `PlacementConstraint.expression`).
pub const LENGTH_MAX: usize = 2000;

/// How deep parentheses and `not` may be nested; ours, so that no text can exhaust the stack.
pub const DEPTH_MAX: u32 = 64;

/// Why a text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {fault}")]
pub struct QueryError {
    /// In characters, the first being 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than [`LENGTH_MAX`].
    #[error("the expression has {length} characters, but at most {LENGTH_MAX} are allowed")]
    TooLong {
        /// In characters.
        length: usize,
    },
    /// Deeper than [`DEPTH_MAX`].
    #[error("parentheses and `not` are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// Something else should stand here.
    #[error("{found} is not {wanted}")]
    Unexpected {
        /// What stands here.
        found: Found,
        /// What should.
        wanted: &'static str,
    },
    /// The guide does not list the operator for this subject.
    #[error("{subject} cannot be compared with {operator}")]
    NotAllowed {
        /// The subject.
        subject: String,
        /// The operator, by its sign.
        operator: Operator,
    },
    /// The argument is not of the subject's type.
    #[error("{found:?} is not {wanted}")]
    Argument {
        /// As written.
        found: String,
        /// The type.
        wanted: &'static str,
    },
    /// The argument is no pattern that we can match.
    #[error("{found:?} is not a pattern: {why}")]
    Pattern {
        /// As written.
        found: String,
        /// What the pattern's reader says.
        why: String,
    },
}

/// What stands where something else should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The expression is over.
    End,
    /// This text.
    Text(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the expression"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Reads an expression.
///
/// # Errors
///
/// If it does not follow the grammar, is too long, compares a subject in a way that is not allowed, or has an
/// argument that is not of the subject's type.
pub(super) fn parse(text: &str) -> Result<Node, QueryError> {
    let length = text.chars().count();
    if length > LENGTH_MAX {
        return Err(QueryError { column: LENGTH_MAX + 1, fault: Fault::TooLong { length } });
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.any_of()?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected("`and`, `or` or the end"));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    depth: u32,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error_at(&self, at: usize, fault: Fault) -> QueryError {
        QueryError { column: self.text[..at].chars().count() + 1, fault }
    }

    fn unexpected(&self, wanted: &'static str) -> QueryError {
        let word = self.rest().split_whitespace().next();
        let found = word.map_or(Found::End, |it| Found::Text(it.to_owned()));
        self.error_at(self.at, Fault::Unexpected { found, wanted })
    }

    /// Goes past that sign if it is next.
    fn sign(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    /// Goes past that word if it is next and over there.
    fn word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let after = self.rest().strip_prefix(word);
        let is_next = after.is_some_and(|it| !it.starts_with(is_word));
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn any_of(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.all_of()?];
        while self.word("or") || self.sign("||") {
            nodes.push(self.all_of()?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::Or(nodes) })
    }

    fn all_of(&mut self) -> Result<Node, QueryError> {
        let mut nodes = vec![self.unary()?];
        while self.word("and") || self.sign("&&") {
            nodes.push(self.unary()?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::And(nodes) })
    }

    fn unary(&mut self) -> Result<Node, QueryError> {
        self.skip_blanks();
        if self.depth == DEPTH_MAX {
            return Err(self.error_at(self.at, Fault::TooDeep));
        }
        self.depth += 1;
        let node = if self.word("not") || self.sign("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.sign("(") {
            let node = self.any_of()?;
            if !self.sign(")") {
                return Err(self.unexpected("`and`, `or` or `)`"));
            }
            node
        } else {
            Node::Test(self.test()?)
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Test, QueryError> {
        let subject = self.subject()?;
        self.skip_blanks();
        let at = self.at;
        let spelling = Operator::SPELLINGS.iter().find(|(sign, word, _)| {
            // `exists` and `in` are words in both spellings.
            let is_sign = !sign.ends_with(is_word) && self.sign(sign);
            is_sign || self.word(sign) || self.word(word)
        });
        let Some(&(.., operator)) = spelling else { return Err(self.unexpected("an operator")) };
        if !subject.allows(operator) {
            let subject = subject.to_string();
            return Err(self.error_at(at, Fault::NotAllowed { subject, operator }));
        }
        match subject {
            Subject::AgentVersion => {
                let (order, version) = self.ordered(operator, "a version", Version::read)?;
                Ok(Test::Version(order, version))
            }
            Subject::RegisteredAt => {
                let (order, moment) = self.ordered(
                    operator,
                    "a date such as 2018-06-18 or 2018-06-18T22:28:28+00:00",
                    Moment::read,
                )?;
                Ok(Test::Moment(order, moment))
            }
            Subject::RunningTasksCount => {
                let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
                let read = |it: &str| it.parse().ok().filter(|_| is_number(it));
                let (order, count) = self.ordered(operator, "a whole number", read)?;
                Ok(Test::Count(order, count))
            }
            _ => {
                let want = self.text_test(&subject, operator)?;
                Ok(Test::Text { subject, want })
            }
        }
    }

    fn subject(&mut self) -> Result<Subject, QueryError> {
        const PLAIN: &[(&str, Subject)] = &[
            ("agentConnected", Subject::AgentConnected),
            ("agentVersion", Subject::AgentVersion),
            ("ec2InstanceId", Subject::Ec2InstanceId),
            ("registeredAt", Subject::RegisteredAt),
            ("runningTasksCount", Subject::RunningTasksCount),
            ("task:group", Subject::TaskGroup),
        ];
        if let Some((_, subject)) = PLAIN.iter().find(|it| self.word(it.0)) {
            return Ok(subject.clone());
        }
        if !self.sign("attribute:") {
            return Err(self.unexpected(
                "a subject: agentConnected, agentVersion, attribute:NAME, ec2InstanceId, registeredAt, \
                 runningTasksCount or task:group",
            ));
        }
        let rest = self.rest();
        let end = rest.find(|it: char| !is_name_char(it)).unwrap_or(rest.len());
        if !is_attribute_name(&rest[..end]) {
            return Err(
                self.unexpected("an attribute's name of 1 to 128 of A-Z a-z 0-9 _ . / \\ -")
            );
        }
        self.at += end;
        Ok(Subject::Attribute(rest[..end].to_owned()))
    }

    fn ordered<T>(
        &mut self,
        operator: Operator,
        wanted: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<(Order, T), QueryError> {
        let order = Order::of(operator).expect("only these are allowed for ordered subjects");
        let (at, text) = self.value(Ends::AtParentheses)?;
        let found = text.to_owned();
        let value = read(text).ok_or_else(|| self.error_at(at, Fault::Argument { found, wanted }));
        Ok((order, value?))
    }

    fn text_test(&mut self, subject: &Subject, operator: Operator) -> Result<TextTest, QueryError> {
        let order = match operator {
            Operator::Exists => return Ok(TextTest::Exists(true)),
            Operator::NotExists => return Ok(TextTest::Exists(false)),
            Operator::Matches | Operator::NotMatches => {
                let (at, text) = self.value(Ends::WhenClosed)?;
                let found = text.to_owned();
                let pattern = Pattern::read(text)
                    .map_err(|why| self.error_at(at, Fault::Pattern { found, why }))?;
                return Ok(TextTest::Matches(operator == Operator::Matches, pattern));
            }
            Operator::In | Operator::NotIn => {
                if !self.sign("[") {
                    return Err(self.unexpected("a list such as [a, b]"));
                }
                let mut items = Vec::new();
                loop {
                    items.push(self.plain(subject, Ends::InList)?);
                    if self.sign("]") {
                        return Ok(TextTest::OneOf(operator == Operator::In, items));
                    }
                    if !self.sign(",") {
                        return Err(self.unexpected("`,` or `]`"));
                    }
                }
            }
            Operator::Equals | Operator::NotEquals => {
                let value = self.plain(subject, Ends::AtParentheses)?;
                return Ok(TextTest::OneOf(operator == Operator::Equals, vec![value]));
            }
            _ => Order::of(operator).expect("all others are above"),
        };
        Ok(TextTest::Ordered(order, self.value(Ends::AtParentheses)?.1.to_owned()))
    }

    /// A value that is compared as it is.
    fn plain(&mut self, subject: &Subject, ends: Ends) -> Result<String, QueryError> {
        let (at, text) = self.value(ends)?;
        let found = text.to_owned();
        if *subject == Subject::AgentConnected && !["true", "false"].contains(&text) {
            return Err(self.error_at(at, Fault::Argument { found, wanted: "true or false" }));
        }
        Ok(found)
    }

    /// A literal or quoted text, and where it begins.
    fn value(&mut self, ends: Ends) -> Result<(usize, &'t str), QueryError> {
        self.skip_blanks();
        let (start, rest) = (self.at, self.rest());
        if let Some(quoted) = rest.strip_prefix('\'') {
            let Some(end) = quoted.find('\'') else {
                return Err(self.unexpected("a quoted text: its second ' is missing"));
            };
            self.at += end + 2;
            return Ok((start, &quoted[..end]));
        }
        if rest.starts_with('"') {
            return Err(self.unexpected("an argument: texts are quoted with '"));
        }
        let mut open = 0_u32;
        let mut end = rest.len();
        for (at, it) in rest.char_indices() {
            let over = match it {
                '(' | ')' if ends != Ends::WhenClosed => true,
                '(' => {
                    open += 1;
                    false
                }
                ')' if open == 0 => true,
                ')' => {
                    open -= 1;
                    false
                }
                '&' | '|' => rest[at + 1..].starts_with(it),
                ',' | ']' => ends == Ends::InList,
                _ => it.is_whitespace(),
            };
            if over {
                end = at;
                break;
            }
        }
        let text = &rest[..end];
        // A word that joins expressions is no argument; it can be had in quotes.
        if text.is_empty() || ["and", "or"].contains(&text) {
            return Err(self.unexpected("an argument"));
        }
        self.at += end;
        Ok((start, text))
    }
}

/// Where a literal ends, other than at blanks, `&&` and `||`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// At any parenthesis.
    AtParentheses,
    /// There, and at a comma or bracket.
    InList,
    /// At a parenthesis that it did not open: patterns.
    WhenClosed,
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || "_:".contains(it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is written, there is an expression, or an error that points into the text.
        #[test]
        fn every_text_is_read_or_refused(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "attribute:", "x", "task:group", "agentVersion", "registeredAt", "==", "!", "=~", "in", "exists",
                "(", ")", "[", "]", ",", "'", " ", " ", "and", "or", "not", "&&", "|", "\\Q", "\\", "{2}", "*+",
                "1.2", "2018-06-18T", "-", "~~", "é", "\\p{", "}",
            ]), 0..24),
        ) {
            let text = pieces.concat();
            if let Err(error) = parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
            }
        }
    }

    /// The structure, with every group in parentheses.
    fn shape(node: &Node) -> String {
        let join = |nodes: &[Node], sign| {
            let parts: Vec<String> = nodes.iter().map(shape).collect();
            format!("({})", parts.join(sign))
        };
        match node {
            Node::Or(nodes) => join(nodes, " | "),
            Node::And(nodes) => join(nodes, " & "),
            Node::Not(node) => format!("!{}", shape(node)),
            Node::Test(Test::Text { subject, want }) => match want {
                TextTest::Exists(is) => format!("{subject}?{is}"),
                TextTest::OneOf(is, items) => format!("{subject} {is} {}", items.join(",")),
                TextTest::Matches(is, pattern) => format!("{subject} ~{is} {}", pattern.as_str()),
                TextTest::Ordered(order, value) => format!("{subject} {order:?} {value}"),
            },
            Node::Test(Test::Version(order, _)) => format!("version {order:?}"),
            Node::Test(Test::Moment(order, moment)) => format!("moment {order:?} {}", moment.0),
            Node::Test(Test::Count(order, count)) => format!("count {order:?} {count}"),
        }
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(parse(text).map_or_else(|it| it.to_string(), |it| shape(&it)), want, "{text}");
    }

    #[test]
    fn both_spellings_of_every_operator() {
        for (sign, word, operator) in Operator::SPELLINGS {
            let argument = match operator {
                Operator::Exists | Operator::NotExists => "",
                Operator::In | Operator::NotIn => "[a, b]",
                _ => "a",
            };
            let by_sign = parse(&format!("attribute:x {sign} {argument}"));
            let by_word = parse(&format!("attribute:x {word} {argument}"));
            assert_eq!(by_sign, by_word, "{sign} {word}");
            by_sign.unwrap();
        }
    }

    #[test]
    fn blanks_are_needed_between_words_only() {
        check("attribute:x==a&&attribute:y!=b", "(attribute:x true a & attribute:y false b)");
        check(
            "!(task:group==a)||!agentConnected==true",
            "(!task:group true a | !agentConnected true true)",
        );
        check("attribute:x in[a,b]", "attribute:x true a,b");
        check(" not  not(attribute:x exists) ", "!!attribute:x?true");
        check("attribute:x !exists", "attribute:x?false");
        check("attribute:x equals2", "column 13: \"equals2\" is not an operator");
        check(
            "attribute:x == a andattribute:y == b",
            "column 18: \"andattribute:y\" is not `and`, `or` or the end",
        );
    }

    #[test]
    fn and_binds_stronger_than_or() {
        let (a, b, c) = ("attribute:a exists", "attribute:b exists", "attribute:c exists");
        let (x, y, z) = ("attribute:a?true", "attribute:b?true", "attribute:c?true");
        check(&format!("{a} or {b} and {c}"), &format!("({x} | ({y} & {z}))"));
        check(&format!("{a} && {b} || {c}"), &format!("(({x} & {y}) | {z})"));
        check(&format!("({a} or {b}) and {c}"), &format!("(({x} | {y}) & {z})"));
        check(&format!("not {a} and {b}"), &format!("(!{x} & {y})"));
        check(&format!("not ({a} and {b})"), &format!("!({x} & {y})"));
    }

    #[test]
    fn arguments_end_where_they_must() {
        check(
            "(attribute:x =~ (t2|m4).* or task:group == a)",
            "(attribute:x ~true (t2|m4).* | task:group true a)",
        );
        check("attribute:x =~ [tm][24].*", "attribute:x ~true [tm][24].*");
        check("attribute:x == 'two words, and )'", "attribute:x true two words, and )");
        check("attribute:x == ''", "attribute:x true ");
        check("attribute:x in ['a b',c , d]", "attribute:x true a b,c,d");
        check("attribute:a/b.c-d_\\e == us-east-1a", "attribute:a/b.c-d_\\e true us-east-1a");
        check("registeredAt >= 2018-06-18T22:28:28+00:00", "moment GreaterEqual 1529360908000000");
        check("runningTasksCount < 007", "count Less 7");
        check("agentVersion not_equals 1.2", "version NotEqual");
        check("attribute:x == 'and'", "attribute:x true and");
    }

    #[test]
    fn errors_say_where_and_what() {
        let subjects = "a subject: agentConnected, agentVersion, attribute:NAME, ec2InstanceId, registeredAt, \
                        runningTasksCount or task:group";
        let end = "the end of the expression";
        check("", &format!("column 1: {end} is not {subjects}"));
        check("stack == a", &format!("column 1: \"stack\" is not {subjects}"));
        check(
            "attribute: == a",
            "column 11: \"==\" is not an attribute's name of 1 to 128 of A-Z a-z 0-9 _ . / \\ -",
        );
        check("attribute:x", &format!("column 12: {end} is not an operator"));
        check("attribute:x ==", &format!("column 15: {end} is not an argument"));
        check("attribute:x == and attribute:y == b", "column 16: \"and\" is not an argument");
        check("attribute:x exists a", "column 20: \"a\" is not `and`, `or` or the end");
        check("attribute:x in a", "column 16: \"a\" is not a list such as [a, b]");
        check("attribute:x in []", "column 17: \"]\" is not an argument");
        check("attribute:x in [a,]", "column 19: \"]\" is not an argument");
        check("attribute:x in [a b]", "column 19: \"b]\" is not `,` or `]`");
        check(
            "attribute:x == 'a",
            "column 16: \"'a\" is not a quoted text: its second ' is missing",
        );
        check(
            "attribute:x == \"a\"",
            "column 16: \"\\\"a\\\"\" is not an argument: texts are quoted with '",
        );
        check("(attribute:x exists", &format!("column 20: {end} is not `and`, `or` or `)`"));
        check("attribute:x exists)", "column 19: \")\" is not `and`, `or` or the end");
        check("attribute:x == (a)", "column 16: \"(a)\" is not an argument");
        check("attribute:x == a(b)", "column 17: \"(b)\" is not `and`, `or` or the end");
        check("attribute:x = a", "column 13: \"=\" is not an operator");
        check(
            "attribute:é exists",
            "column 11: \"é\" is not an attribute's name of 1 to 128 of A-Z a-z 0-9 _ . / \\ -",
        );
        check("attribute:x == é and", &format!("column 21: {end} is not {subjects}"));
        check(
            "runningTasksCount in [1]",
            "column 19: runningTasksCount cannot be compared with in",
        );
        check("agentVersion =~ 1.*", "column 14: agentVersion cannot be compared with =~");
        check("agentConnected > true", "column 16: agentConnected cannot be compared with >");
        check("task:group < a", "column 12: task:group cannot be compared with <");
        check("ec2InstanceId exists", "column 15: ec2InstanceId cannot be compared with exists");
        check("agentConnected == yes", "column 19: \"yes\" is not true or false");
        check("agentConnected in [true, 1]", "column 26: \"1\" is not true or false");
        check("runningTasksCount == 1.5", "column 22: \"1.5\" is not a whole number");
        check("runningTasksCount == +1", "column 22: \"+1\" is not a whole number");
        check("agentVersion < new", "column 16: \"new\" is not a version");
        check(
            "registeredAt < 2018-02-30",
            "column 16: \"2018-02-30\" is not a date such as 2018-06-18 or 2018-06-18T22:28:28+00:00",
        );
        check(
            "attribute:x =~ a*+",
            "column 16: \"a*+\" is not a pattern: possessive quantifiers are not supported",
        );
    }

    #[test]
    fn long_and_deep_texts_are_refused() {
        let padded = |length: usize| format!("attribute:x exists{}", " ".repeat(length - 18));
        check(&padded(LENGTH_MAX), "attribute:x?true");
        check(
            &padded(LENGTH_MAX + 1),
            "column 2001: the expression has 2001 characters, but at most 2000 are allowed",
        );
        let deep = format!("{}attribute:x exists{}", "(".repeat(500), ")".repeat(500));
        check(&deep, "column 65: parentheses and `not` are nested more than 64 deep");
        check(&"!".repeat(1900), "column 65: parentheses and `not` are nested more than 64 deep");
        let name = "a".repeat(129);
        assert!(parse(&format!("attribute:{name} exists")).is_err());
    }
}
