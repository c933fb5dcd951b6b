//! Placement constraints: what an instance must satisfy, come what may.
//!
//! Source: Amazon ECS Developer Guide, "Task placement constraints"; API model, `PlacementConstraint`. Those of
//! the definition and of the request hold together, and count together.

use super::query::Expression;
use super::query::parse::QueryError;
use thiserror::Error;

/// The most constraints a task may have, from definition and request together.
pub const COUNT_MAX: usize = 10;

/// Where constraints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the task definition.
    Definition,
    /// In the request: RunTask, CreateService, UpdateService.
    Request,
}

/// A constraint, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// No two tasks of the group share an instance.
    DistinctInstance,
    /// The instance is one of those that the expression selects.
    MemberOf(Expression),
}

/// Why a constraint is refused; an invalid parameter to ECS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// Neither `distinctInstance` nor `memberOf`.
    #[error("{found:?} is no constraint: distinctInstance and memberOf are")]
    Kind {
        /// As written.
        found: String,
    },
    /// `distinctInstance` in a definition.
    #[error("distinctInstance is not allowed in a task definition")]
    DistinctInDefinition,
    /// `distinctInstance` with an expression.
    #[error("distinctInstance carries no expression")]
    DistinctWithExpression,
    /// `memberOf` without one.
    #[error("memberOf needs an expression")]
    NoExpression,
    /// `memberOf` with one that cannot be read.
    #[error("expression {text:?}: {why}")]
    Expression {
        /// As written.
        text: String,
        /// What is wrong, and where.
        why: QueryError,
    },
    /// More than [`COUNT_MAX`].
    #[error(
        "{count} constraints, but at most {COUNT_MAX} are allowed, definition and request together"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl Constraint {
    /// Reads a constraint by its type's name and its expression, if there is one.
    ///
    /// # Errors
    ///
    /// If the type is unknown, or not allowed there; if an expression is missing, wrong or too many.
    pub fn read(
        kind: &str,
        expression: Option<&str>,
        origin: Origin,
    ) -> Result<Self, ConstraintError> {
        match (kind, expression) {
            ("distinctInstance", Some(_)) => Err(ConstraintError::DistinctWithExpression),
            ("distinctInstance", None) if origin == Origin::Definition => {
                Err(ConstraintError::DistinctInDefinition)
            }
            ("distinctInstance", None) => Ok(Self::DistinctInstance),
            ("memberOf", None) => Err(ConstraintError::NoExpression),
            ("memberOf", Some(text)) => match Expression::read(text) {
                Ok(expression) => Ok(Self::MemberOf(expression)),
                Err(why) => Err(ConstraintError::Expression { text: text.to_owned(), why }),
            },
            _ => Err(ConstraintError::Kind { found: kind.to_owned() }),
        }
    }
}

/// All constraints of a task.
///
/// # Errors
///
/// If there are more than [`COUNT_MAX`].
pub fn together(
    definition: Vec<Constraint>,
    request: Vec<Constraint>,
) -> Result<Vec<Constraint>, ConstraintError> {
    let mut all = definition;
    all.extend(request);
    match all.len() {
        count if count > COUNT_MAX => Err(ConstraintError::TooMany { count }),
        _ => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, expression: Option<&str>, origin: Origin, want: &str) {
        let got = Constraint::read(kind, expression, origin);
        assert_eq!(got.map_or_else(|it| it.to_string(), |_| "fine".to_owned()), want);
    }

    #[test]
    fn each_type_has_its_rules() {
        let (definition, request) = (Origin::Definition, Origin::Request);
        let exists = Some("attribute:a exists");
        check("distinctInstance", None, request, "fine");
        check("distinctInstance", exists, request, "distinctInstance carries no expression");
        let in_definition = "distinctInstance is not allowed in a task definition";
        check("distinctInstance", None, definition, in_definition);
        check("memberOf", exists, request, "fine");
        check("memberOf", exists, definition, "fine");
        check("memberOf", None, request, "memberOf needs an expression");
        let wrong = "expression \"a\": column 1: \"a\" is not a subject: agentConnected, agentVersion, \
                     attribute:NAME, ec2InstanceId, registeredAt, runningTasksCount or task:group";
        check("memberOf", Some("a"), request, wrong);
        let unknown = "\"notMemberOf\" is no constraint: distinctInstance and memberOf are";
        check("notMemberOf", exists, request, unknown);
    }

    #[test]
    fn ten_are_enough() {
        let some = |count| vec![Constraint::DistinctInstance; count];
        assert_eq!(together(some(4), some(6)).map(|it| it.len()), Ok(10));
        assert_eq!(together(some(4), some(7)), Err(ConstraintError::TooMany { count: 11 }));
    }
}
