//! What an expression consists of.
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language". A subject has a type, which says what may be
//! asked of it; arguments are read to that type once, so that asking costs no parsing.

use super::moment::Moment;
use super::pattern::Pattern;
use super::version::Version;
use std::fmt;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Whether the agent is connected: `true` or `false`.
    AgentConnected,
    /// The version of the agent.
    AgentVersion,
    /// The value of an attribute; empty if it has none.
    Attribute(String),
    /// The name of the machine.
    Ec2InstanceId,
    /// When the instance was registered.
    RegisteredAt,
    /// How many tasks on it are meant to run.
    RunningTasksCount,
    /// The groups of the tasks on it: one value a task.
    TaskGroup,
}

impl Subject {
    /// Whether the guide lists this operator for the subject. For attributes and groups it has no list; all
    /// operators are taken for attributes, all but the order for groups.
    pub fn allows(&self, operator: Operator) -> bool {
        use Operator as It;
        let is_order =
            matches!(operator, It::Greater | It::GreaterEqual | It::Less | It::LessEqual);
        let is_equality = matches!(operator, It::Equals | It::NotEquals);
        match self {
            Self::AgentConnected | Self::Ec2InstanceId => {
                !is_order && !matches!(operator, It::Exists | It::NotExists)
            }
            Self::AgentVersion | Self::RegisteredAt | Self::RunningTasksCount => {
                is_order || is_equality
            }
            Self::Attribute(_) => true,
            Self::TaskGroup => !is_order,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AgentConnected => "agentConnected",
            Self::AgentVersion => "agentVersion",
            Self::Attribute(name) => return write!(f, "attribute:{name}"),
            Self::Ec2InstanceId => "ec2InstanceId",
            Self::RegisteredAt => "registeredAt",
            Self::RunningTasksCount => "runningTasksCount",
            Self::TaskGroup => "task:group",
        })
    }
}

/// How a subject is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equals,
    /// `!=`
    NotEquals,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `exists`
    Exists,
    /// `!exists`
    NotExists,
    /// `in`
    In,
    /// `!in`
    NotIn,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl Operator {
    /// Both spellings of each: signs and words. A longer spelling stands before its beginning.
    pub const SPELLINGS: &[(&str, &str, Self)] = &[
        ("==", "equals", Self::Equals),
        ("=~", "matches", Self::Matches),
        ("!=", "not_equals", Self::NotEquals),
        ("!~", "not_matches", Self::NotMatches),
        ("!exists", "not_exists", Self::NotExists),
        ("!in", "not_in", Self::NotIn),
        (">=", "greater_than_equal", Self::GreaterEqual),
        (">", "greater_than", Self::Greater),
        ("<=", "less_than_equal", Self::LessEqual),
        ("<", "less_than", Self::Less),
        ("exists", "exists", Self::Exists),
        ("in", "in", Self::In),
    ];
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelling = Self::SPELLINGS.iter().find(|it| it.2 == *self);
        f.write_str(spelling.expect("every operator has its spellings").0)
    }
}

/// An expression, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Any of them holds; at least two.
    Or(Vec<Node>),
    /// All of them hold; at least two.
    And(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// One comparison.
    Test(Test),
}

/// One comparison, its argument read to the subject's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Of a subject that is a text: an attribute, a group, a name, `true` or `false`.
    Text {
        /// Which.
        subject: Subject,
        /// What its value must be.
        want: TextTest,
    },
    /// Of the agent's version.
    Version(Order, Version),
    /// Of the moment of registration.
    Moment(Order, Moment),
    /// Of the number of tasks.
    Count(Order, u64),
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// There must be one, or none.
    Exists(bool),
    /// One of these, or (`false`) a text that is none of these. `==` is a list of one.
    OneOf(bool, Vec<String>),
    /// A text that the pattern matches, or does not.
    Matches(bool, Pattern),
    /// In that order with the argument.
    Ordered(Order, String),
}

/// A comparison of ordered values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
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
    /// The comparison that this operator asks for, if it is one.
    pub fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Equals => Self::Equal,
            Operator::NotEquals => Self::NotEqual,
            Operator::Greater => Self::Greater,
            Operator::GreaterEqual => Self::GreaterEqual,
            Operator::Less => Self::Less,
            Operator::LessEqual => Self::LessEqual,
            _ => return None,
        })
    }

    /// Whether values that compare like this satisfy it.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
        }
    }
}
