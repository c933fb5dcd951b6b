//! Expressions in the words of the common vocabulary, which every policy keeps: see [`cluster::constraint`].
//!
//! `not` is moved to the single tests, and what is asked of nodes is then written as lists of which one must hold
//! as a whole. Differs from nothing that [`Expression::selects`](super::Expression::selects) says of an instance that
//! is as our nodes are; but not all of it can be said:
//!
//! | subject | here |
//! |---|---|
//! | `attribute:ecs.availability-zone` | the node's zone |
//! | `ec2InstanceId` | the node's name |
//! | `agentConnected` | true: tasks are placed on no other node |
//! | `task:group` | the label [`TASK_GROUP`] of tasks: one group to be near to, any number to keep away from |
//! | `runningTasksCount` | an upper bound only |
//! | `agentVersion`, `registeredAt` | refused |
//!
//! Tests of other tasks are rules beside the lists, so that they cannot stand in an `or` with anything else. As
//! everywhere in the vocabulary, the first task that wants to be near to its own group may go anywhere, where ECS
//! would never place it.

use super::Expression;
use super::is_text;
use super::parse::QueryError;
use super::syntax::{Node, Order, Subject, Test, TextTest};
use crate::ecs::instance;
use cluster::constraint::{
    self, Affinity, Constraints, Limit, Pattern, Requirement, Side, Strength, TASK_GROUP, Who,
    all_hold,
};
use cluster::nodes::{NODE, ZONE};
use thiserror::Error;

/// The most lists of which one must hold; ours, so that no text can fill the memory.
pub const LISTS_MAX: usize = 256;

/// Why expressions cannot be constraints of a task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct Problem {
    /// Which of them.
    pub expression: usize,
    /// In characters, the first being 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with an expression as a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is no expression.
    #[error("{0}")]
    Unreadable(super::parse::Fault),
    /// Nothing is known of that.
    #[error("nothing is known of {0}")]
    Unknown(Subject),
    /// Numbers of tasks that are not bounded from above.
    #[error("runningTasksCount can only be bounded from above")]
    NotABound,
    /// Other tasks under an `or`, or a part of what is asked of them under a `not`.
    #[error("{0} cannot stand in an `or`, nor in a `not` around an `and`")]
    Mixed(Subject),
    /// Two groups to be near to.
    #[error("a node can be asked for tasks of one group only, not of two")]
    TwoGroups,
    /// More than [`LISTS_MAX`].
    #[error("it comes to more than {LISTS_MAX} lists of tests of which one must hold")]
    TooMany,
    /// The vocabulary's engine does not take the pattern.
    #[error("{found:?} is not a pattern: {why}")]
    Pattern {
        /// As written.
        found: String,
        /// What its reader says.
        why: String,
    },
}

impl Fault {
    /// What to do next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => {
                "see the cluster query language of Amazon ECS: attribute:NAME == VALUE, in [A, B], exists, =~ \
                 PATTERN, joined with and, or, not"
            }
            Self::Unknown(_) => {
                "leave it out: no agent of ECS runs here; give the hosts an attribute and ask for that"
            }
            Self::NotABound => {
                "write runningTasksCount < N or <= N; to be where others are, ask for their task:group"
            }
            Self::Mixed(_) => {
                "write it beside the rest with `and`, or as a constraint of its own: task:group == NAME, \
                 not(task:group == NAME), runningTasksCount < N"
            }
            Self::TwoGroups => "keep one of the two, or run their tasks in one group",
            Self::TooMany => "write fewer `or` inside `and`, or `in [A, B]` in place of `or`",
            Self::Pattern { .. } => "write a shorter pattern, or `in [A, B]`",
        }
    }
}

/// What a task of `group` asks for with all these expressions: lists of which one must hold in `any_of`, rules
/// about other tasks in `affinity` and `limits`. Lists that nobody can pass stand for what is never true.
///
/// # Errors
///
/// The first thing that cannot be read or said, with its place.
pub fn constraints(expressions: &[&str], group: &str) -> Result<Constraints, Problem> {
    let mut found = Constraints::default();
    let mut lists: Lists = vec![Vec::new()];
    let mut near: Option<Vec<Requirement>> = None;
    for (row, text) in expressions.iter().enumerate() {
        let problem = |column, fault| Problem { expression: row, column, fault };
        let read = Expression::read(text)
            .map_err(|QueryError { column, fault }| problem(column, Fault::Unreadable(fault)))?;
        // Where the subject that is to blame stands; the whole expression if none is.
        let placed = |fault: Fault| {
            let subject = match &fault {
                Fault::Unknown(subject) | Fault::Mixed(subject) => subject.to_string(),
                Fault::NotABound => Subject::RunningTasksCount.to_string(),
                Fault::TwoGroups => Subject::TaskGroup.to_string(),
                Fault::Pattern { found, .. } => found.clone(),
                _ => String::new(),
            };
            let at = text.find(&subject).unwrap_or(0);
            problem(text[..at].chars().count() + 1, fault)
        };
        let mut parts = Vec::new();
        flatten(formula(read.root(), true).map_err(placed)?, &mut parts);
        for part in parts {
            match part {
                Formula::Rule(Rule::Near(labels)) => {
                    if near.as_ref().is_some_and(|it| *it != labels) {
                        return Err(placed(Fault::TwoGroups));
                    }
                    near = Some(labels);
                }
                Formula::Rule(Rule::Apart(labels)) => {
                    let own = [(TASK_GROUP.to_owned(), group.to_owned())];
                    let max = u32::from(all_hold(&labels, &own));
                    let who = Who::Labels { all: labels, namespaces: Vec::new() };
                    push(&mut found.limits, Limit { domain: NODE.to_owned(), max, who });
                }
                Formula::Rule(Rule::Fewer(count)) => {
                    let max = u32::try_from(count).unwrap_or(u32::MAX);
                    let who = Who::Labels { all: Vec::new(), namespaces: Vec::new() };
                    push(&mut found.limits, Limit { domain: NODE.to_owned(), max, who });
                }
                part => {
                    let both = product(&lists, &dnf(&part).map_err(placed)?).map_err(placed)?;
                    lists = both;
                }
            }
        }
    }
    if let Some(all) = near {
        found.affinity.push(Affinity {
            side: Side::Near,
            strength: Strength::Hard,
            domain: NODE.to_owned(),
            who: Who::Labels { all, namespaces: Vec::new() },
        });
    }
    if lists.is_empty() {
        // Every node has a name.
        let test = constraint::Test::Absent;
        lists.push(vec![Requirement { attribute: NODE.to_owned(), test }]);
    }
    if lists.iter().all(|it| !it.is_empty()) {
        found.any_of = lists;
    }
    Ok(found)
}

fn push<T: PartialEq>(list: &mut Vec<T>, it: T) {
    if !list.contains(&it) {
        list.push(it);
    }
}

/// Of which one must hold as a whole.
type Lists = Vec<Vec<Requirement>>;

/// An expression without `not`. All of none is true, any of none is false.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Test(Requirement),
    Rule(Rule),
}

/// What is asked of the tasks on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// Some have these labels.
    Near(Vec<Requirement>),
    /// None has these labels.
    Apart(Vec<Requirement>),
    /// They are fewer than this.
    Fewer(u64),
}

impl Formula {
    const TRUE: Self = Self::All(Vec::new());
    const FALSE: Self = Self::Any(Vec::new());

    fn constant(it: bool) -> Self {
        if it { Self::TRUE } else { Self::FALSE }
    }

    fn test(attribute: &str, test: constraint::Test) -> Self {
        Self::Test(Requirement { attribute: attribute.to_owned(), test })
    }

    /// A rule somewhere in it.
    fn rule(&self) -> Option<&Rule> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().find_map(Self::rule),
            Self::Test(_) => None,
            Self::Rule(rule) => Some(rule),
        }
    }

    /// All of them, without what says nothing.
    fn all(parts: Vec<Self>) -> Self {
        if parts.contains(&Self::FALSE) {
            return Self::FALSE;
        }
        let mut parts: Vec<Self> = parts.into_iter().filter(|it| *it != Self::TRUE).collect();
        if parts.len() == 1 { parts.swap_remove(0) } else { Self::All(parts) }
    }

    /// Any of them, without what says nothing. Groups to be near to become one rule.
    fn any(parts: Vec<Self>) -> Result<Self, Fault> {
        if parts.contains(&Self::TRUE) {
            return Ok(Self::TRUE);
        }
        let mut parts: Vec<Self> = parts.into_iter().filter(|it| *it != Self::FALSE).collect();
        if parts.len() < 2 {
            return Ok(parts.pop().unwrap_or(Self::FALSE));
        }
        let names = |it: &Self| match it {
            Self::Rule(Rule::Near(labels)) => match &labels[..] {
                [Requirement { test: constraint::Test::In(names), .. }] => Some(names.clone()),
                _ => None,
            },
            _ => None,
        };
        if let Some(lists) = parts.iter().map(names).collect::<Option<Vec<_>>>() {
            let one = Requirement::one_of(TASK_GROUP, lists.concat());
            return Ok(Self::Rule(Rule::Near(vec![one])));
        }
        match parts.iter().find_map(Self::rule) {
            Some(Rule::Fewer(_)) => Err(Fault::Mixed(Subject::RunningTasksCount)),
            Some(_) => Err(Fault::Mixed(Subject::TaskGroup)),
            None => Ok(Self::Any(parts)),
        }
    }
}

/// The parts of which all must hold.
fn flatten(it: Formula, parts: &mut Vec<Formula>) {
    match it {
        Formula::All(inner) => inner.into_iter().for_each(|it| flatten(it, parts)),
        it => parts.push(it),
    }
}

/// The formula of an expression, or of its opposite.
fn formula(node: &Node, is: bool) -> Result<Formula, Fault> {
    let each = |nodes: &[Node]| nodes.iter().map(|it| formula(it, is)).collect::<Result<_, _>>();
    match node {
        Node::Not(node) => formula(node, !is),
        Node::And(nodes) if is => Ok(Formula::all(each(nodes)?)),
        Node::Or(nodes) if !is => Ok(Formula::all(each(nodes)?)),
        Node::And(nodes) | Node::Or(nodes) => Formula::any(each(nodes)?),
        Node::Test(Test::Version(..)) => Err(Fault::Unknown(Subject::AgentVersion)),
        Node::Test(Test::Moment(..)) => Err(Fault::Unknown(Subject::RegisteredAt)),
        Node::Test(Test::Count(order, count)) => bound(*order, *count, is),
        Node::Test(Test::Text { subject, want }) => match subject {
            Subject::AgentConnected => {
                Ok(Formula::constant(is_text(std::iter::once("true"), want) == is))
            }
            Subject::TaskGroup => group(want, is),
            Subject::Attribute(name) if name == instance::ZONE => value(ZONE, want, is),
            Subject::Attribute(name) => value(name, want, is),
            _ => value(NODE, want, is),
        },
    }
}

/// A bound of the number of tasks.
fn bound(order: Order, count: u64, is: bool) -> Result<Formula, Fault> {
    let fewer = match (order, is) {
        (Order::Less, true) | (Order::GreaterEqual, false) => count,
        (Order::LessEqual, true) | (Order::Greater, false) => count.saturating_add(1),
        (Order::Equal, true) | (Order::NotEqual, false) if count == 0 => 1,
        (Order::GreaterEqual, true) | (Order::Less, false) if count == 0 => {
            return Ok(Formula::TRUE);
        }
        _ => return Err(Fault::NotABound),
    };
    Ok(if fewer == 0 { Formula::FALSE } else { Formula::Rule(Rule::Fewer(fewer)) })
}

/// A test of the groups of a node's tasks, each of which has one.
fn group(want: &TextTest, is: bool) -> Result<Formula, Fault> {
    let named = |test| Requirement { attribute: TASK_GROUP.to_owned(), test };
    let exists = || named(constraint::Test::Exists);
    // The groups of which there must be a task, or (`!exists`) must be none.
    let (labels, is) = match want {
        TextTest::Exists(there) => (vec![exists()], *there == is),
        TextTest::OneOf(true, names) => {
            (vec![Requirement::one_of(TASK_GROUP, names.iter().cloned())], is)
        }
        TextTest::OneOf(false, names) => {
            (vec![exists(), named(constraint::Test::NotIn(sorted(names)))], is)
        }
        TextTest::Matches(true, it) => (vec![named(constraint::Test::Matches(pattern(it)?))], is),
        TextTest::Matches(false, it) => (vec![named(constraint::Test::Misses(pattern(it)?))], is),
        TextTest::Ordered(..) => unreachable!("groups have no order"),
    };
    Ok(Formula::Rule(if is { Rule::Near(labels) } else { Rule::Apart(labels) }))
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

fn pattern(it: &super::pattern::Pattern) -> Result<Pattern, Fault> {
    let found = it.as_str().to_owned();
    Pattern::read(&it.translated()).map_err(|why| Fault::Pattern { found, why })
}

/// A test of a node's attribute, or its opposite, which is also true of a node without it.
fn value(attribute: &str, want: &TextTest, is: bool) -> Result<Formula, Fault> {
    use constraint::Test as It;
    let order = |it: Order| match it {
        Order::Greater => constraint::Order::Greater,
        Order::GreaterEqual => constraint::Order::GreaterEqual,
        Order::Less => constraint::Order::Less,
        Order::LessEqual => constraint::Order::LessEqual,
        Order::Equal | Order::NotEqual => unreachable!("texts have `OneOf` for it"),
    };
    let opposite = |it: Order| match it {
        Order::Greater => Order::LessEqual,
        Order::GreaterEqual => Order::Less,
        Order::Less => Order::GreaterEqual,
        Order::LessEqual => Order::Greater,
        Order::Equal => Order::NotEqual,
        Order::NotEqual => Order::Equal,
    };
    let test = |it| Formula::test(attribute, it);
    let or_absent = |it| Formula::any(vec![test(It::Absent), test(it)]);
    Ok(match (want, is) {
        (TextTest::Exists(there), _) if *there == is => test(It::Exists),
        (TextTest::Exists(_), _) => test(It::Absent),
        (TextTest::OneOf(true, values), true) => test(It::In(sorted(values))),
        (TextTest::OneOf(true, values), false) => test(It::NotIn(sorted(values))),
        (TextTest::OneOf(false, values), true) => {
            Formula::all(vec![test(It::Exists), test(It::NotIn(sorted(values)))])
        }
        (TextTest::OneOf(false, values), false) => or_absent(It::In(sorted(values)))?,
        (TextTest::Matches(true, it), true) => test(It::Matches(pattern(it)?)),
        (TextTest::Matches(false, it), true) => test(It::Misses(pattern(it)?)),
        (TextTest::Matches(true, it), false) => or_absent(It::Misses(pattern(it)?))?,
        (TextTest::Matches(false, it), false) => or_absent(It::Matches(pattern(it)?))?,
        (TextTest::Ordered(it, bound), true) => test(It::Ordered(order(*it), bound.clone())),
        (TextTest::Ordered(it, bound), false) => {
            or_absent(It::Ordered(order(opposite(*it)), bound.clone()))?
        }
    })
}

/// A formula without rules as lists.
fn dnf(it: &Formula) -> Result<Lists, Fault> {
    match it {
        Formula::Test(test) => Ok(vec![vec![test.clone()]]),
        Formula::Rule(_) => {
            unreachable!("`any` takes no rules, and `flatten` takes those of `all` out")
        }
        Formula::All(parts) => {
            let mut lists = vec![Vec::new()];
            for part in parts {
                lists = product(&lists, &dnf(part)?)?;
            }
            Ok(lists)
        }
        Formula::Any(parts) => {
            let mut lists = Vec::new();
            for part in parts {
                dnf(part)?.into_iter().for_each(|it| push(&mut lists, it));
                if lists.len() > LISTS_MAX {
                    return Err(Fault::TooMany);
                }
            }
            Ok(lists)
        }
    }
}

/// Lists of which one holds where one of each does.
fn product(a: &Lists, b: &Lists) -> Result<Lists, Fault> {
    if a.len() * b.len() > LISTS_MAX {
        return Err(Fault::TooMany);
    }
    let mut lists = Vec::new();
    for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
        let mut both: Vec<Requirement> = a.iter().chain(b).cloned().collect();
        both.sort_unstable();
        both.dedup();
        push(&mut lists, both);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::instance::Instance;
    use cluster::company::Company;
    use cluster::demand::{Demand, TaskDefinition};
    use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
    use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
    use cluster::manager::Manager;
    use cluster::nodes::NodeSpec;
    use cluster::rules::Rules;
    use cluster::scheduler::{Desk, Scheduler};
    use cluster::units::Instant;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Idle;

    impl Scheduler for Idle {
        fn decide(&mut self, _: &mut Desk<'_>) {}
    }

    const GROUPS: [&str; 3] = ["service:web", "db", "own"];

    /// Whether a task of the group may be given a node that is as the instance is. Tasks of all groups stand on
    /// another node, so that nobody is the first of its kind.
    fn may(constraints: &Constraints, instance: &Instance, group: &str) -> bool {
        let mut manager = Manager::new(Rules::default(), Box::new(Idle));
        let mut tell = |event| manager.handle(Instant(0), event, &mut Vec::new());
        let attributes = instance.attributes.iter().filter(|it| it.0 != instance::ZONE);
        let node = NodeSpec {
            name: instance.ec2_id.clone().unwrap(),
            zone: instance.zone().unwrap().to_owned(),
            attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            ..NodeSpec::default()
        };
        let other = NodeSpec { name: "other".into(), zone: "other".into(), ..NodeSpec::default() };
        for (row, spec) in [node, other].into_iter().enumerate() {
            let event = NodeEvent::Joined(Box::new(spec));
            tell(Event::Node { node: NodeId(row as u32), event });
        }
        let mut put = |definition: u32, group: &str, constraints: Constraints| {
            let spec = TaskDefinition {
                labels: vec![(TASK_GROUP.to_owned(), group.to_owned())],
                constraints: Box::new(constraints),
                ..TaskDefinition::single(group, Demand::default())
            };
            tell(Event::DefinitionPut { definition: DefinitionId(definition), spec });
        };
        for (row, group) in GROUPS.iter().enumerate() {
            put(row as u32, group, Constraints::default());
        }
        put(3, group, constraints.clone());
        let mut tasks = 0;
        let mut submission = |definition: u32, group: u32| {
            tasks += 1;
            Submission {
                task: TaskId(tasks),
                definition: DefinitionId(definition),
                group: Some(GroupId(group)),
                kind: TaskKind::Job,
                priority: 0,
                estimate: None,
                on_loss: OnLoss::Restart,
            }
        };
        for (row, name) in GROUPS.iter().enumerate() {
            for (node, count) in [(0, instance.of_group(name)), (1, 1)] {
                for _ in 0..count {
                    let submission = submission(row as u32, row as u32);
                    tell(Event::TaskAdopted { submission, node: NodeId(node) });
                }
            }
        }
        let asked = submission(3, GROUPS.iter().position(|it| *it == group).unwrap() as u32);
        tell(Event::TaskSubmitted(asked.clone()));
        let state = manager.state();
        let task = state.task(asked.task).unwrap();
        let company = Company::of(state, task);
        state.nodes().fits(state.shape(task.shape), NodeId(0))
            && company.is_none_or(|it| it.allows(NodeId(0)).is_ok())
    }

    const VALUES: [&str; 8] = ["", "1", "9.5", "10", "9.50", "prod", "Prod", "t2.small"];

    fn instance() -> impl Strategy<Value = Instance> {
        let value = || prop::option::of(prop::sample::select(VALUES.to_vec()));
        let count = || 0..3_u32;
        (value(), value(), 0..2_usize, 0..2_usize, count(), count(), count()).prop_map(
            |(a, b, zone, name, web, db, own)| {
                let mut attributes = BTreeMap::new();
                let zone = ["zone-a", "zone-b"][zone].to_owned();
                attributes.insert(instance::ZONE.to_owned(), zone);
                for (name, value) in [("a", a), ("b.c", b)] {
                    attributes.extend(value.map(|it| (name.to_owned(), it.to_owned())));
                }
                let groups = GROUPS.iter().zip([web, db, own]).filter(|it| it.1 > 0);
                Instance {
                    ec2_id: Some(["i-1", "i-2"][name].to_owned()),
                    attributes,
                    groups: groups.map(|(name, count)| ((*name).to_owned(), count)).collect(),
                    ..Instance::default()
                }
            },
        )
    }

    /// Tests of all subjects that can be said, and some that cannot.
    fn test() -> impl Strategy<Value = String> {
        let value = || prop::sample::select(VALUES.to_vec());
        let order = prop::sample::select(vec!["==", "!=", ">", ">=", "<", "<="]);
        let name = || prop::sample::select(vec!["a", "b.c"]);
        let pattern = || {
            prop::sample::select(vec!["t2.*", "(?i)prod", "[0-9.]+", "", "(service:)?\\p{Lower}+"])
        };
        let matches = || prop::sample::select(vec!["=~", "!~"]);
        let is_in = || prop::sample::select(vec!["in", "!in"]);
        let equals = || prop::sample::select(vec!["==", "!="]);
        let exists = || prop::sample::select(vec!["exists", "!exists"]);
        let group = || prop::sample::select(GROUPS.to_vec());
        let bounds = prop::sample::select(vec!["==", "!=", ">", ">=", "<", "<="]);
        prop_oneof![
            4 => (name(), order, value()).prop_map(|(name, it, value)| {
                format!("attribute:{name} {it} '{value}'")
            }),
            2 => (name(), matches(), pattern()).prop_map(|(name, it, pattern)| {
                format!("attribute:{name} {it} '{pattern}'")
            }),
            2 => (name(), is_in(), value(), value()).prop_map(|(name, it, a, b)| {
                format!("attribute:{name} {it} ['{a}', '{b}']")
            }),
            2 => (name(), exists()).prop_map(|(name, it)| format!("attribute:{name} {it}")),
            1 => (equals(), 0..3).prop_map(|(it, zone)| {
                format!("attribute:ecs.availability-zone {it} zone-{}", ["a", "b", "c"][zone as usize])
            }),
            1 => (is_in(), 0..3).prop_map(|(it, row)| format!("ec2InstanceId {it} [i-{row}]")),
            1 => prop::sample::select(vec!["true", "false"]).prop_map(|it| {
                format!("agentConnected == {it}")
            }),
            2 => (equals(), group()).prop_map(|(it, group)| format!("task:group {it} {group}")),
            1 => (is_in(), group(), group()).prop_map(|(it, a, b)| {
                format!("task:group {it} [{a}, {b}]")
            }),
            1 => (matches(), pattern()).prop_map(|(it, pattern)| {
                format!("task:group {it} '{pattern}'")
            }),
            1 => exists().prop_map(|it| format!("task:group {it}")),
            1 => (bounds, 0..4).prop_map(|(it, count)| format!("runningTasksCount {it} {count}")),
        ]
    }

    fn expression() -> impl Strategy<Value = String> {
        test().prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                1 => inner.clone().prop_map(|it| format!("not({it})")),
                2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|it| {
                    format!("({})", it.join(" and "))
                }),
                1 => prop::collection::vec(inner, 2..4).prop_map(|it| {
                    format!("({})", it.join(" or "))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

        /// What can be said means the same.
        #[test]
        fn nodes_are_selected_as_instances_are(
            texts in prop::collection::vec(expression(), 1..3),
            instance in instance(),
            group in prop::sample::select(GROUPS.to_vec()),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            match constraints(&texts, group) {
                Ok(found) => {
                    let is_selected = |it: &&str| Expression::read(it).unwrap().selects(&instance);
                    let want = texts.iter().all(is_selected);
                    prop_assert_eq!(may(&found, &instance, group), want, "{:?}\n{:?}", texts, found);
                }
                Err(Problem { expression, column, fault }) => {
                    let length = texts[expression].chars().count();
                    prop_assert!((1..=length + 1).contains(&column), "{:?}: {}", texts, fault);
                }
            }
        }
    }

    fn shown(it: &Constraints) -> String {
        let and = |all: &Vec<Requirement>| {
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" & ")
        };
        let who = |it: &Who| match it {
            Who::Group => "group".to_owned(),
            Who::Labels { all, .. } => format!("[{}]", and(all)),
        };
        let mut parts: Vec<String> = it.any_of.iter().map(and).collect();
        parts.extend(it.affinity.iter().map(|it| format!("{:?} {}", it.side, who(&it.who))));
        parts.extend(it.limits.iter().map(|it| format!("at most {} {}", it.max, who(&it.who))));
        parts.join(" | ")
    }

    #[track_caller]
    fn check(texts: &[&str], want: &str) {
        let got = constraints(texts, "own");
        let got = got.map_or_else(
            |it| format!("{}:{}: {}", it.expression, it.column, it.fault),
            |it| shown(&it),
        );
        assert_eq!(got, want, "{texts:?}");
    }

    #[test]
    fn what_is_asked_of_nodes() {
        check(&["attribute:a == x"], "a in [x]");
        check(&["attribute:a != x"], "a not in [x] & a exists");
        check(&["not(attribute:a != x)"], "a does not exist | a in [x]");
        check(&["attribute:a > 9.5"], "a > 9.5");
        check(&["not(attribute:a > 9.5)"], "a does not exist | a <= 9.5");
        check(&["attribute:a !~ t2.*"], "a !~ t2.*");
        check(&["attribute:a == x", "attribute:b exists"], "a in [x] & b exists");
        check(
            &["(attribute:a exists or attribute:b exists) and attribute:c exists"],
            "a exists & c exists | b exists & c exists",
        );
        check(&["attribute:ecs.availability-zone in [b, a]"], "zone in [a, b]");
        check(&["ec2InstanceId == i-1"], "node in [i-1]");
        check(&["agentConnected == true"], "");
        check(&["agentConnected != true or attribute:a exists"], "a exists");
        check(&["agentConnected == false"], "node does not exist");
    }

    #[test]
    fn what_is_asked_of_other_tasks() {
        check(&["task:group == db"], "Near [task:group in [db]]");
        check(&["task:group == db or task:group == web"], "Near [task:group in [db, web]]");
        check(&["not(task:group == db)"], "at most 0 [task:group in [db]]");
        check(&["not(task:group == own)"], "at most 1 [task:group in [own]]");
        check(&["task:group != db"], "Near [task:group exists & task:group not in [db]]");
        check(
            &["attribute:a exists and not(task:group == a or task:group == b)"],
            "a exists | at most 0 [task:group in [a]] | at most 0 [task:group in [b]]",
        );
        check(&["runningTasksCount < 3"], "at most 3 []");
        check(&["not(runningTasksCount >= 3)"], "at most 3 []");
        check(&["runningTasksCount == 0"], "at most 1 []");
    }

    #[test]
    fn what_cannot_be_said_is_refused_where_it_stands() {
        check(
            &["attribute:a exists and agentVersion >= 1.2"],
            "0:24: nothing is known of agentVersion",
        );
        check(&["registeredAt > 2018-01-01"], "0:1: nothing is known of registeredAt");
        let mixed = "task:group cannot stand in an `or`, nor in a `not` around an `and`";
        check(&["attribute:a exists or task:group == db"], &format!("0:23: {mixed}"));
        check(&["not(task:group == a and task:group == b)"], &format!("0:5: {mixed}"));
        check(
            &["task:group == a", "task:group == b"],
            "1:1: a node can be asked for tasks of one group only, not of two",
        );
        check(
            &["attribute:a exists", "runningTasksCount > 3"],
            "1:1: runningTasksCount can only be bounded from above",
        );
        check(&["attribute:a = b"], "0:13: \"=\" is not an operator");
        let or = |row: u32| format!("(attribute:a{row} == x or attribute:b{row} == x)");
        let long: Vec<String> = (0..9).map(or).collect();
        check(
            &[&long.join(" and ")],
            "0:1: it comes to more than 256 lists of tests of which one must hold",
        );
        assert_eq!(constraints(&[&long[..8].join(" and ")], "").unwrap().any_of.len(), 256);
    }
}
