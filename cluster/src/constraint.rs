//! What tasks and nodes may say beyond amounts: tests of attributes and labels, taints, rules about other tasks.
//!
//! The words are those of Kubernetes, which has the widest set; other systems' are put in them where a file is
//! read (`memberOf` of ECS, constraints of Swarm and Marathon). What is **hard** binds every policy: node tests and
//! taints through [`Nodes::fits`](crate::nodes::Nodes::fits), rules about other tasks through
//! [`Company`](crate::company::Company). What is **soft** is for policies whose system knows it.
//!
//! Source: Kubernetes v1.35 API, `NodeSelectorRequirement`, `Taint`, `Toleration`, `PodAffinityTerm`,
//! `TopologySpreadConstraint`, `PodDisruptionBudget`. Differs: [`Test::Matches`] is of ECS and Swarm,
//! [`Test::Misses`] and [`Test::Ordered`] of ECS;
//! [`Limit`] is of Marathon (`MAX_PER`), SwarmKit (`MaxReplicas`) and ECS (`distinctInstance`); [`Who::Group`] counts
//! the tasks of one's own service or job without labels.

use crate::units::Bytes;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// What is asked of a value: an attribute of a node, or a label of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Test {
    /// There is one, and it is among these, sorted and without repeats.
    In(Vec<String>),
    /// There is none, or it is not among these, sorted and without repeats.
    NotIn(Vec<String>),
    /// There is one.
    Exists,
    /// There is none.
    Absent,
    /// It is a whole number above this one.
    Above(i64),
    /// It is a whole number below this one.
    Below(i64),
    /// All of it matches this pattern.
    Matches(Pattern),
    /// There is one, and not all of it matches this pattern.
    Misses(Pattern),
    /// There is one, and it stands in this order to that: as numbers if both are, else as texts; see [`compare`].
    Ordered(Order, String),
}

/// A comparison of ordered values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
}

impl Order {
    /// Whether values that compare like this satisfy it.
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
        }
    }

    /// The sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        }
    }
}

/// Compares values as numbers if both are (of at most 20 digits before and 9 after the point), else as texts.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (decimal(a), decimal(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// A number in thousand-millionths; exact.
fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |it| (-1, it));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.len() > 20 || part.len() > 9 {
        return None;
    }
    let (whole, part) = (whole.parse::<i128>().ok()?, format!("{part:0<9}").parse::<i128>().ok()?);
    Some(sign * (whole * 1_000_000_000 + part))
}

impl Test {
    /// Whether the value passes; `None` is a value that is not there.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|it| it.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|it| values.iter().any(|one| one == it)),
            Self::NotIn(values) => value.is_none_or(|it| values.iter().all(|one| one != it)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Above(bound) => number().is_some_and(|it| it > *bound),
            Self::Below(bound) => number().is_some_and(|it| it < *bound),
            Self::Matches(pattern) => value.is_some_and(|it| pattern.matches(it)),
            Self::Misses(pattern) => value.is_some_and(|it| !pattern.matches(it)),
            Self::Ordered(order, bound) => value.is_some_and(|it| order.holds(compare(it, bound))),
        }
    }

    /// [`Test::In`] of these values, put in order; [`Test::Exists`] if there are none.
    pub fn one_of(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() { Self::Exists } else { Self::In(values) }
    }
}

/// A regular expression over a whole value. Equal, ordered and stored as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    written: String,
    whole: Regex,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// If it is no regular expression; says why in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        let why = |error: regex::Error| {
            // The last line says what is wrong; those before it draw the pattern.
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        Regex::new(text).map_err(why)?;
        let whole = Regex::new(&format!("\\A(?:{text})\\z")).map_err(why)?;
        Ok(Self { written: text.to_owned(), whole })
    }

    /// Whether all of the text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.written
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.written).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.written.cmp(&other.written)
    }
}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

/// A test of one attribute of a node, or of one label of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// The attribute or label; [`ZONE`](crate::nodes::ZONE) is the node's zone, [`NODE`](crate::nodes::NODE) its name.
    pub attribute: String,
    /// What is asked of its value.
    pub test: Test,
}

impl Requirement {
    /// There is such an attribute, with one of these values if any are listed.
    pub fn one_of(attribute: impl Into<String>, values: impl IntoIterator<Item = String>) -> Self {
        Self { attribute: attribute.into(), test: Test::one_of(values) }
    }
}

/// `rack in [a, b]`, `ssd exists`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.attribute;
        match &self.test {
            Test::In(values) => write!(f, "{name} in [{}]", values.join(", ")),
            Test::NotIn(values) => write!(f, "{name} not in [{}]", values.join(", ")),
            Test::Exists => write!(f, "{name} exists"),
            Test::Absent => write!(f, "{name} does not exist"),
            Test::Above(bound) => write!(f, "{name} > {bound}"),
            Test::Below(bound) => write!(f, "{name} < {bound}"),
            Test::Matches(pattern) => write!(f, "{name} =~ {}", pattern.as_str()),
            Test::Misses(pattern) => write!(f, "{name} !~ {}", pattern.as_str()),
            Test::Ordered(order, bound) => write!(f, "{name} {} {bound}", order.sign()),
        }
    }
}

/// What a taint does to tasks that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// None is placed there.
    NoSchedule,
    /// Rather not. Soft.
    PreferNoSchedule,
    /// As [`Effect::NoSchedule`]; here nothing that runs is thrown out, since taints do not change.
    NoExecute,
}

impl Effect {
    /// Whether it binds every policy.
    pub fn is_hard(self) -> bool {
        self != Self::PreferNoSchedule
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

/// A mark on a node that keeps tasks away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// `key=value:Effect`.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "{}:{}", self.key, self.effect),
            value => write!(f, "{}={value}:{}", self.key, self.effect),
        }
    }
}

/// Taints that a task does not mind.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Toleration {
    /// Of this key; of every key if none.
    pub key: Option<String>,
    /// With this value; with any if none.
    pub value: Option<String>,
    /// Of this effect; of every effect if none.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Whether it tolerates the taint.
    pub fn covers(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|it| it == taint.effect)
            && self.key.as_ref().is_none_or(|it| *it == taint.key)
            && self.value.as_ref().is_none_or(|it| *it == taint.value)
    }
}

/// Which other tasks a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Who {
    /// Those of the task's own group; a task without a group is alone.
    Group,
    /// Those whose labels pass all of these.
    Labels {
        /// All of them; none selects every task.
        all: Vec<Requirement>,
        /// In these namespaces; in the task's own if none is listed.
        namespaces: Vec<String>,
    },
}

/// Whether tasks are to be together or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Where some of them are.
    Near,
    /// Where none of them is.
    Apart,
}

/// How much a rule binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Strength {
    /// Every policy keeps it.
    Hard,
    /// It adds this much, 1 to 100, where it is kept. For policies whose system has it.
    Soft(i32),
}

/// Affinity and anti-affinity: to be in the same domain as other tasks, or in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Affinity {
    /// Together or not.
    pub side: Side,
    /// How much it binds.
    pub strength: Strength,
    /// The attribute whose values are domains: [`NODE`](crate::nodes::NODE), [`ZONE`](crate::nodes::ZONE), `rack`, ….
    pub domain: String,
    /// Which tasks.
    pub who: Who,
}

/// Topology spread: the numbers of tasks per domain differ by no more than `skew_max`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spread {
    /// The attribute whose values are domains.
    pub domain: String,
    /// How far a domain may be above the emptiest one; at least 1.
    pub skew_max: u32,
    /// With fewer domains than this, the emptiest counts as having none.
    pub domains_min: u32,
    /// Whether it binds every policy; else it only scores.
    pub is_hard: bool,
    /// Which tasks are counted.
    pub who: Who,
}

/// At most so many tasks in one domain, the task itself included if it is one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// The attribute whose values are domains.
    pub domain: String,
    /// At least 1 where the task is counted itself. 0 keeps it away from others, and not others from it.
    pub max: u32,
    /// Which tasks are counted.
    pub who: Who,
}

/// A preference for nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Preference {
    /// What it adds on nodes that pass: 1 to 100.
    pub weight: i32,
    /// All of them must hold.
    pub all: Vec<Requirement>,
}

/// What a task asks of its place beyond amounts, ports and attributes of its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constraints {
    /// Taints that it does not mind.
    pub tolerations: Vec<Toleration>,
    /// Of these lists one must hold as a whole; none asks nothing.
    pub any_of: Vec<Vec<Requirement>>,
    /// Nodes it would rather be on. Soft.
    pub prefers: Vec<Preference>,
    /// Tasks it is to be near to or apart from.
    pub affinity: Vec<Affinity>,
    /// Domains it is to be spread over.
    pub spread: Vec<Spread>,
    /// Domains it is not to crowd.
    pub limits: Vec<Limit>,
}

impl Constraints {
    /// Whether a rule about other tasks binds every policy.
    pub fn has_hard_company(&self) -> bool {
        !self.limits.is_empty()
            || self.affinity.iter().any(|it| it.strength == Strength::Hard)
            || self.spread.iter().any(|it| it.is_hard)
    }
}

/// An image that is on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// All its names, tags and digests.
    pub names: Vec<String>,
    /// Its size.
    pub size: Bytes,
}

/// How many tasks may be away at a time by somebody's will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Unique; putting it again changes it.
    pub name: String,
    /// The namespace of its tasks.
    pub namespace: String,
    /// Which tasks: those whose labels pass all of these.
    pub select: Vec<Requirement>,
    /// The bound.
    pub bound: Bound,
}

/// What a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// At least so many stay.
    AvailableMin(u32),
    /// At most so many are away, of all that are wanted.
    UnavailableMax(u32),
}

/// The label that holds a task's group where constraints of ECS ask about groups (`task:group`).
pub const TASK_GROUP: &str = "task:group";

/// The value of a label.
pub fn label<'a>(labels: &'a [(String, String)], name: &str) -> Option<&'a str> {
    labels.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
}

/// Whether labels pass all tests.
pub fn all_hold(tests: &[Requirement], labels: &[(String, String)]) -> bool {
    tests.iter().all(|it| it.test.holds(label(labels, &it.attribute)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_values() {
        let list = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let pattern = Test::Matches(Pattern::read("t2\\..*").unwrap());
        let misses = Test::Misses(Pattern::read("t2\\..*").unwrap());
        for (test, value, want) in [
            (Test::In(list(&["a", "b"])), Some("b"), true),
            (Test::In(list(&["a", "b"])), Some("c"), false),
            (Test::In(list(&["a"])), None, false),
            (Test::NotIn(list(&["a"])), Some("a"), false),
            (Test::NotIn(list(&["a"])), Some("b"), true),
            (Test::NotIn(list(&["a"])), None, true),
            (Test::Exists, Some(""), true),
            (Test::Exists, None, false),
            (Test::Absent, None, true),
            (Test::Absent, Some(""), false),
            (Test::Above(4), Some("5"), true),
            (Test::Above(4), Some("4"), false),
            (Test::Above(4), Some("many"), false),
            (Test::Above(4), None, false),
            (Test::Below(4), Some("-5"), true),
            (Test::Below(4), Some("4"), false),
            (pattern.clone(), Some("t2.small"), true),
            (pattern.clone(), Some("at2.small"), false),
            (pattern, None, false),
            (misses.clone(), Some("m4.large"), true),
            (misses.clone(), Some("t2.small"), false),
            (misses, None, false),
            (Test::Ordered(Order::Greater, "9.5".into()), Some("10"), true),
            (Test::Ordered(Order::Greater, "9.5".into()), Some("9.50"), false),
            (Test::Ordered(Order::GreaterEqual, "9.5".into()), Some("9.50"), true),
            (Test::Ordered(Order::Less, "10".into()), Some("9a"), false),
            (Test::Ordered(Order::LessEqual, "b".into()), Some("a"), true),
            (Test::Ordered(Order::Less, "1".into()), None, false),
        ] {
            assert_eq!(test.holds(value), want, "{test:?} of {value:?}");
        }
    }

    #[test]
    fn what_a_toleration_covers() {
        let taint = Taint { key: "gpu".into(), value: "yes".into(), effect: Effect::NoSchedule };
        let it = |key: &str, value: &str, effect| Toleration {
            key: (key != "*").then(|| key.to_owned()),
            value: (value != "*").then(|| value.to_owned()),
            effect,
        };
        assert!(it("gpu", "yes", Some(Effect::NoSchedule)).covers(&taint));
        assert!(it("gpu", "*", None).covers(&taint));
        assert!(it("*", "*", None).covers(&taint));
        assert!(!it("gpu", "no", None).covers(&taint));
        assert!(!it("ssd", "*", None).covers(&taint));
        assert!(!it("gpu", "*", Some(Effect::NoExecute)).covers(&taint));
    }

    #[test]
    fn a_pattern_is_what_was_written() {
        let pattern = Pattern::read("a|b").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b") && !pattern.matches("ab"));
        let bytes = postcard::to_stdvec(&pattern).unwrap();
        assert_eq!(postcard::from_bytes::<Pattern>(&bytes).unwrap(), pattern);
        assert!(Pattern::read("a)|(b").is_err());
    }
}
