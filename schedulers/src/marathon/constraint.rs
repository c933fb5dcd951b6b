//! A constraint: a field, an operator, and mostly a value.
//!
//! Source: Marathon 90619da7, `Constraints.scala`.

use super::operator::{GroupBy, Operator, Reason};
use super::site::{Field, Site};
use std::fmt;
use thiserror::Error;

/// A constraint, read and checked.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// What it is about.
    pub field: Field,
    /// What it demands.
    pub operator: Operator,
}

/// Why a constraint is refused. Marathon refuses the app.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// None of the operators.
    #[error(
        "{found:?} is no operator: UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER and IS are"
    )]
    Operator {
        /// As written.
        found: String,
    },
    /// LIKE or UNLIKE with something that cannot be read, or that we do not support.
    #[error("{pattern:?} is no pattern: {why}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What the engine says.
        why: String,
    },
    /// MAX_PER with something else than a whole number.
    #[error("MAX_PER needs a whole number, not {found:?}")]
    Number {
        /// As written.
        found: String,
    },
}

impl Constraint {
    /// Reads a constraint by its three parts, `value` being empty if there is none.
    ///
    /// # Errors
    ///
    /// If the operator is unknown, or cannot take that value.
    pub fn read(field: &str, operator: &str, value: &str) -> Result<Self, ConstraintError> {
        Ok(Self { field: Field::read(field), operator: Operator::read(operator, value)? })
    }

    /// Reads a constraint, with the GROUP_BY rule of an older Marathon if that is asked for.
    ///
    /// # Errors
    ///
    /// As [`Constraint::read`].
    pub fn read_as_of(
        rule: GroupBy,
        field: &str,
        operator: &str,
        value: &str,
    ) -> Result<Self, ConstraintError> {
        let mut it = Self::read(field, operator, value)?;
        if let Operator::GroupBy(group_by) = &mut it.operator {
            group_by.rule = rule;
        }
        Ok(it)
    }

    /// Whether an instance may go to `offered`.
    ///
    /// `target` is how many instances the app is to have; `placed` are the instances it has, of the current
    /// version of its configuration, in Marathon's order of instances (CLUSTER looks at the first one).
    ///
    /// # Errors
    ///
    /// If it may not, with the reason.
    pub fn check<'a, 'v>(
        &self,
        offered: &'v Site,
        placed: impl Iterator<Item = &'a Site> + Clone,
        target: u32,
    ) -> Result<(), Reason<'v>> {
        let Some(value) = self.field.of(offered) else {
            let is_fine = matches!(self.operator, Operator::Unlike(_));
            return if is_fine { Ok(()) } else { Err(Reason::Missing) };
        };
        let placed = placed.map(|it| self.field.of(it));
        match &self.operator {
            Operator::Unique => super::operator::unique(value, placed),
            Operator::Cluster(wanted) => super::operator::cluster(wanted.as_deref(), value, placed),
            Operator::GroupBy(it) => it.check(value, placed, target),
            Operator::Like(pattern) => pattern.like(value),
            Operator::Unlike(pattern) => pattern.unlike(value),
            Operator::MaxPer(most) => super::operator::max_per(*most, value, placed),
            Operator::Is(wanted) => wanted.check(value, self.field.is_scalar(offered)),
        }
    }
}

/// As Marathon's users write it: `rack:GROUP_BY:3`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.field.name(), self.operator)
    }
}

#[cfg(test)]
pub(super) mod check {
    use super::Constraint;
    use crate::marathon::site::check::site;

    /// `constraint` is `FIELD OPERATOR` or `FIELD OPERATOR VALUE`, the offer a [`site`], the placed
    /// instances sites separated by `; `.
    #[track_caller]
    pub fn check(constraint: &str, target: u32, placed: &str, offered: &str, want: &str) {
        let mut words = constraint.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default();
        let it = Constraint::read(next(), next(), next()).unwrap();
        let placed: Vec<_> = placed.split("; ").filter(|it| !it.is_empty()).map(site).collect();
        let offered_site = site(offered);
        let got = it.check(&offered_site, placed.iter(), target);
        let got = got.map_or_else(|it| it.to_string(), |()| "fine".to_owned());
        assert_eq!(got, want, "{constraint} on {offered}");
    }
}

#[cfg(test)]
mod tests {
    use super::check::check;
    use super::*;

    #[test]
    fn only_unlike_takes_a_missing_value() {
        for operator in
            ["UNIQUE", "CLUSTER", "CLUSTER a", "GROUP_BY 2", "LIKE .*", "MAX_PER 2", "IS a"]
        {
            check(&format!("rack {operator}"), 3, "", "h", "the agent lacks it");
        }
        check("rack UNLIKE .*", 3, "", "h", "fine");
        check("@zone UNLIKE z", 3, "", "h", "fine");
        check("@zone UNLIKE z", 3, "", "h @zone=z", "the agent has \"z\"");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (operator, value, want) in [
            (
                "LIKES",
                "",
                "\"LIKES\" is no operator: UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER and IS are",
            ),
            ("MAX_PER", "two", "MAX_PER needs a whole number, not \"two\""),
            ("MAX_PER", "", "MAX_PER needs a whole number, not \"\""),
        ] {
            let got = Constraint::read("rack", operator, value).unwrap_err();
            assert_eq!(got.to_string(), want);
        }
        let unclosed = Constraint::read("rack", "LIKE", "(a");
        assert!(matches!(unclosed, Err(ConstraintError::Pattern { .. })), "{unclosed:?}");
        let unbalanced = Constraint::read("rack", "LIKE", "a)(b");
        assert!(matches!(unbalanced, Err(ConstraintError::Pattern { .. })), "{unbalanced:?}");
    }

    #[test]
    fn constraints_are_shown_as_written() {
        for (field, operator, value, want) in [
            ("hostname", "UNIQUE", "", "@hostname:UNIQUE"),
            ("rack", "CLUSTER", "", "rack:CLUSTER"),
            ("rack", "CLUSTER", "a", "rack:CLUSTER:a"),
            ("rack", "GROUP_BY", "3", "rack:GROUP_BY:3"),
            ("@zone", "UNLIKE", "z[12]", "@zone:UNLIKE:z[12]"),
            ("jdk", "IS", "7.0", "jdk:IS:7.0"),
            ("@region", "MAX_PER", "2", "@region:MAX_PER:2"),
        ] {
            assert_eq!(Constraint::read(field, operator, value).unwrap().to_string(), want);
        }
    }
}
