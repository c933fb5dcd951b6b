//! Placement constraints of definitions, services and tasks.
//!
//! Constraints of a task definition and of the request that uses it hold together, at most ten. `memberOf` speaks the
//! cluster query language, which whoever reads an app brings along ([`ReadMemberOf`]): this crate knows no language
//! of any scheduler. `distinctInstance` is at most one task of the service or task group on a node.
//!
//! What a task asks of its place is part of its definition here. So a definition that is used with constraints of a
//! request, or by several groups where an expression asks about `task:group`, becomes several: the first use keeps
//! the revision, each other one is the next revision of its family.

use super::error::AppError;
use super::fields;
use super::json::{Field, Members};
use cluster::constraint::{Constraints, Limit, TASK_GROUP, Test, Who, all_hold};
use cluster::demand::{Requirement, TaskDefinition};
use cluster::nodes::NODE;

/// As ECS.
const COUNT_MAX: usize = 10;

/// Reads expressions of `memberOf`, which hold together for a task of that group.
pub type ReadMemberOf<'a> = &'a dyn Fn(&[&str], &str) -> Result<Constraints, QueryProblem>;

/// Why expressions cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryProblem {
    /// Which of them.
    pub expression: usize,
    /// Where in it, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
    /// What to do next.
    pub help: String,
}

/// Where constraints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Definition,
    Request,
}

/// The constraints of a definition or of a request.
#[derive(Clone, Default)]
pub(super) struct Asked<'v> {
    expressions: Vec<Field<'v>>,
    /// Where `distinctInstance` stands.
    distinct: Option<Field<'v>>,
}

impl<'v> Asked<'v> {
    /// Of `placementConstraints`; none if nothing is written.
    pub fn read(owner: &Members<'v>, origin: Origin) -> Result<Self, AppError> {
        let mut asked = Self::default();
        for field in owner.list("placementConstraints")? {
            let constraint = field.object(fields::CONSTRAINT)?;
            let kind = constraint.need("type")?;
            if kind.word(&["memberOf", "distinctInstance"])? == 0 {
                let expression = constraint.need("expression")?;
                expression.text()?;
                asked.expressions.push(expression.clone());
                continue;
            }
            if origin == Origin::Definition {
                return Err(kind.unsupported("put distinctInstance into the service or the task"));
            }
            if let Some(it) = constraint.get("expression")
                && !it.any_text()?.is_empty()
            {
                return Err(it.wrong("left out, with distinctInstance"));
            }
            asked.distinct = Some(field);
        }
        Ok(asked)
    }

    /// With those of a request.
    pub fn with(&self, request: &Self) -> Result<Self, AppError> {
        let mut all = self.clone();
        all.expressions.extend(request.expressions.iter().cloned());
        all.distinct = request.distinct.clone().or(all.distinct);
        let count = all.expressions.len() + usize::from(all.distinct.is_some());
        let last = all.expressions.last().filter(|_| count > COUNT_MAX);
        match last {
            Some(it) => Err(it.wrong("one of at most 10 constraints, the definition's included")),
            None => Ok(all),
        }
    }

    /// What they ask of a task of that group.
    pub fn resolve(
        &self,
        group: &str,
        member_of: ReadMemberOf<'_>,
    ) -> Result<Constraints, AppError> {
        let mut texts = Vec::new();
        for it in &self.expressions {
            texts.push(it.text()?);
        }
        let mut found = match texts.is_empty() {
            true => Constraints::default(),
            false => member_of(&texts, group).map_err(|it| {
                let field = &self.expressions[it.expression];
                AppError::Expression {
                    place: field.place_in_text(it.column),
                    field: field.path.clone(),
                    column: it.column,
                    why: it.why,
                    help: it.help,
                }
            })?,
        };
        if self.distinct.is_some() {
            found.limits.push(Limit { domain: NODE.to_owned(), max: 1, who: Who::Group });
        }
        Ok(found)
    }

    /// Its expressions that name a group.
    pub fn naming<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Field<'v>> {
        self.expressions.iter().filter(move |it| it.text().is_ok_and(|it| it.contains(group)))
    }
}

/// Gives a definition its constraints. One list of tests is asked for plainly, with its head container.
pub(super) fn give(spec: &mut TaskDefinition, head: usize, mut found: Constraints) {
    let only = if found.any_of.len() == 1 { found.any_of.pop() } else { None };
    let mut requires = only.unwrap_or_default();
    requires.sort_unstable();
    requires.dedup();
    spec.containers[head].demand.requires = requires;
    *spec.constraints = found;
}

/// The groups that rules name one by one.
pub(super) fn groups_named(found: &Constraints) -> impl Iterator<Item = &str> {
    let who = found.affinity.iter().map(|it| &it.who);
    let who = who.chain(found.limits.iter().map(|it| &it.who));
    who.flat_map(labels)
        .flat_map(|it| match &it.test {
            Test::In(names) if it.attribute == TASK_GROUP => &names[..],
            _ => &[],
        })
        .map(String::as_str)
}

/// Whether a task of the group is to be near to tasks of its own.
pub(super) fn is_near_its_own(found: &Constraints, group: &str) -> bool {
    let own = [(TASK_GROUP.to_owned(), group.to_owned())];
    found.affinity.iter().any(|it| all_hold(labels(&it.who), &own))
}

fn labels(who: &Who) -> &[Requirement] {
    match who {
        Who::Labels { all, .. } => all,
        Who::Group => &[],
    }
}
