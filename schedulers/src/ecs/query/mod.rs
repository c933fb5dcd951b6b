//! The cluster query language: which instances an expression selects.
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language" and "Task placement constraints". Read once,
//! asked of every instance without reading anything again. Differs where the guide is silent:
//!
//! * What an instance does not have satisfies nothing but `!exists`: `attribute:stack != prod` selects
//!   instances with another value, `not(attribute:stack == prod)` also those without any. (The guide's own
//!   examples need this for attributes; here it holds for every subject.)
//! * A `task:group` has a value for every task of the instance. A test holds if it holds for one of them, so
//!   `task:group != a` asks for a task of another group; an instance without tasks of `a` is
//!   `not(task:group == a)`.
//! * Values of attributes are ordered as numbers if both are numbers, else as texts.

pub mod moment;
pub mod parse;
pub mod pattern;
pub mod syntax;
pub mod version;
pub mod vocabulary;

use crate::ecs::instance::Instance;
use cluster::constraint::compare;
use parse::QueryError;
use std::fmt;
use syntax::{Node, Subject, Test, TextTest};

/// An expression, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    text: String,
    root: Node,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// If it does not follow the grammar, is longer than [`parse::LENGTH_MAX`], compares a subject with an operator
    /// that it does not have, or has an argument that is not of the subject's type.
    pub fn read(text: &str) -> Result<Self, QueryError> {
        Ok(Self { text: text.to_owned(), root: parse::parse(text)? })
    }

    /// Its structure.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether the instance is one of those that it selects.
    pub fn selects(&self, instance: &Instance) -> bool {
        holds(&self.root, instance)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn holds(node: &Node, instance: &Instance) -> bool {
    match node {
        Node::Or(nodes) => nodes.iter().any(|it| holds(it, instance)),
        Node::And(nodes) => nodes.iter().all(|it| holds(it, instance)),
        Node::Not(node) => !holds(node, instance),
        Node::Test(Test::Version(order, want)) => {
            instance.agent_version.as_ref().is_some_and(|it| order.holds(it.cmp(want)))
        }
        Node::Test(Test::Moment(order, want)) => {
            instance.registered_at.is_some_and(|it| order.holds(it.cmp(want)))
        }
        Node::Test(Test::Count(order, want)) => order.holds(instance.task_count().cmp(want)),
        Node::Test(Test::Text { subject, want }) => match subject {
            Subject::Attribute(name) => is_text(instance.attribute(name).into_iter(), want),
            Subject::TaskGroup => is_text(instance.groups.keys().map(String::as_str), want),
            Subject::Ec2InstanceId => is_text(instance.ec2_id.as_deref().into_iter(), want),
            Subject::AgentConnected => {
                let word = if instance.is_connected { "true" } else { "false" };
                is_text(std::iter::once(word), want)
            }
            Subject::AgentVersion | Subject::RegisteredAt | Subject::RunningTasksCount => {
                unreachable!("read to a type of their own")
            }
        },
    }
}

/// Whether one of the values is as it must be.
fn is_text<'v>(mut values: impl Iterator<Item = &'v str>, want: &TextTest) -> bool {
    match want {
        TextTest::Exists(is) => values.next().is_some() == *is,
        TextTest::OneOf(is, items) => values.any(|it| items.iter().any(|item| item == it) == *is),
        TextTest::Matches(is, pattern) => values.any(|it| pattern.matches(it) == *is),
        TextTest::Ordered(order, want) => values.any(|it| order.holds(compare(it, want))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moment::Moment;
    use std::cmp::Ordering;
    use version::Version;

    /// Four instances: `a` with all there is, `b` without a value, `c` disconnected and bare, `d` busy.
    fn fleet() -> [Instance; 4] {
        let new = |id: &str| Instance { id: id.to_owned(), ..Instance::default() };
        let mut fleet = ["a", "b", "c", "d"].map(new);
        let [a, b, c, d] = &mut fleet;
        for (name, value) in [("stack", "prod"), ("slots", "10"), ("ecs.instance-type", "t2.small")]
        {
            a.attributes.insert(name.to_owned(), value.to_owned());
        }
        a.ec2_id = Some("i-abcd".to_owned());
        a.agent_version = Version::read("1.14.10");
        a.registered_at = Moment::read("2018-02-13");
        a.groups.insert("service:web".to_owned(), 2);
        b.attributes.insert("stack".to_owned(), String::new());
        b.attributes.insert("slots".to_owned(), "9.5".to_owned());
        b.agent_version = Version::read("1.9.0");
        c.is_connected = false;
        d.groups.insert("service:web".to_owned(), 1);
        d.groups.insert("db".to_owned(), 3);
        fleet
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        let expression = Expression::read(text).unwrap();
        let got: String =
            fleet().iter().filter(|it| expression.selects(it)).map(|it| &*it.id).collect();
        assert_eq!(got, want, "{expression}");
    }

    #[test]
    fn attributes_must_be_there() {
        check("attribute:stack exists", "ab");
        check("attribute:stack !exists", "cd");
        check("attribute:stack == ''", "b");
        check("attribute:stack != prod", "b");
        check("not(attribute:stack == prod)", "bcd");
        check("attribute:stack in [prod, test]", "a");
        check("attribute:stack not_in [prod, test]", "b");
        check("attribute:stack !~ p.*", "b");
        check("attribute:stack =~ pro", "");
        check("attribute:ecs.instance-type =~ t2.*", "a");
        check("attribute:stack == Prod", "");
    }

    #[test]
    fn attributes_are_ordered_as_numbers_if_they_are() {
        check("attribute:slots > 9.5", "a");
        check("attribute:slots <= 10.0", "ab");
        check("attribute:stack >= prod", "a");
        check("attribute:stack < prod", "b");
        assert_eq!(compare("-2", "-10"), Ordering::Greater);
        assert_eq!(compare("10", "9a"), Ordering::Less);
    }

    #[test]
    fn groups_hold_if_one_task_does() {
        check("task:group == service:web", "ad");
        check("task:group != service:web", "d");
        check("not(task:group == service:web)", "bc");
        check("task:group in [db, x]", "d");
        check("task:group =~ service:.*", "ad");
        check("task:group not_matches service:.*", "d");
        check("task:group exists", "ad");
        check("task:group not_exists", "bc");
    }

    #[test]
    fn other_subjects_have_their_types() {
        check("agentConnected == true", "abd");
        check("agentConnected != true", "c");
        check("agentConnected =~ f.*", "c");
        check("agentConnected in [true, false]", "abcd");
        check("agentVersion < 1.14.5", "b");
        check("agentVersion != 1.9", "a");
        check("registeredAt < 2018-02-13", "");
        check("registeredAt == 2018-02-13T01:00:00+01:00", "a");
        check("runningTasksCount >= 2", "ad");
        check("runningTasksCount == 0", "bc");
        check("ec2InstanceId == i-abcd", "a");
        check("ec2InstanceId != i-1", "a");
        check("ec2InstanceId !in [i-1]", "a");
    }

    #[test]
    fn tests_are_joined() {
        check(
            "runningTasksCount > 0 and agentVersion exists or attribute:stack exists"
                .replace("agentVersion exists", "attribute:slots exists")
                .as_str(),
            "ab",
        );
        check("runningTasksCount > 0 and (attribute:slots exists or task:group == db)", "ad");
        check("!(agentConnected == true) || attribute:stack == prod", "ac");
    }
}
