//! GROUP_BY: instances spread evenly over values, of which there are to be so many.
//!
//! Since October 2020 every group has a quota: `per` = target div groups instances, and the remainder of
//! that division may be used up by groups that take one more. Up to 1.10 a new value was always welcome, and
//! one that is in use only if there are enough groups and its own is among the smallest.
//!
//! Instances on agents without the field form a group of their own, as one more value.
//!
//! Differs: without a number of groups the newer rule divides by zero in the real system, and the match
//! fails with an exception. Ours then takes the older rule, with as few groups as there happen to be.

use super::Reason;
use std::collections::BTreeMap;

/// Which rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Generation {
    /// Quotas, of the versions since October 2020.
    #[default]
    Quota,
    /// The smallest group first, up to 1.10.
    Smallest,
}

/// The operator with its number of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// How many values are wanted; 0 if that is not said.
    pub count: u32,
    /// How they are filled.
    pub rule: Generation,
}

impl Groups {
    /// Reads the number of groups. `inf` is as many as there can be; anything that is no number, and what is
    /// below zero, counts as not said.
    pub fn read(text: &str) -> Self {
        let count = match text {
            "inf" => i32::MAX.unsigned_abs(),
            _ => text.parse::<i32>().ok().and_then(|it| it.try_into().ok()).unwrap_or(0),
        };
        Self { count, rule: Generation::Quota }
    }

    pub(in crate::marathon) fn check<'a, 'v>(
        self,
        value: &'v str,
        placed: impl Iterator<Item = Option<&'a str>>,
        target: u32,
    ) -> Result<(), Reason<'v>> {
        let mut groups = BTreeMap::<Option<&str>, u32>::new();
        for it in placed {
            *groups.entry(it).or_default() += 1;
        }
        let own = groups.get(&Some(value)).copied();
        let of_groups = u32::try_from(groups.len()).expect("fewer than 2^32 groups");
        let full = |count| Reason::Full { found: value, count };
        let is_fine = match (self.rule, own) {
            (Generation::Quota, Some(count)) if self.count > 0 => {
                let (per, rest) = (target / self.count, target % self.count);
                let used: u32 = groups.values().map(|it| it.saturating_sub(per)).sum();
                count < per || (count == per && rest > used)
            }
            (Generation::Quota, None) if self.count > 0 => of_groups < self.count,
            (_, Some(count)) => of_groups >= self.count && groups.values().all(|it| *it >= count),
            (_, None) => true,
        };
        match own {
            _ if is_fine => Ok(()),
            Some(count) => Err(full(count)),
            None => Err(Reason::TooManyGroups { groups: of_groups }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::constraint::check::check;

    #[test]
    fn groups_fill_up_to_their_quota() {
        // Five in two groups: 2 and 3.
        let by = "rack GROUP_BY 2";
        let (a2, a3) = ("h rack=a; h rack=a", "h rack=a; h rack=a; h rack=a");
        check(by, 5, "", "h rack=a", "fine");
        check(by, 5, a2, "h rack=a", "fine");
        check(by, 5, a3, "h rack=a", "3 instances have \"a\"");
        check(by, 5, a3, "h rack=b", "fine");
        check(by, 5, &format!("{a3}; h rack=b; h rack=b"), "h rack=b", "2 instances have \"b\"");
        check(by, 5, "h rack=a; h rack=b", "h rack=c", "there are 2 groups");
        check(by, 6, &format!("{a3}; h rack=b; h rack=b"), "h rack=b", "fine");
    }

    #[test]
    fn more_groups_than_instances_take_one_each() {
        check("rack GROUP_BY 4", 2, "h rack=a", "h rack=a", "1 instances have \"a\"");
        check("rack GROUP_BY 4", 2, "h rack=a", "h rack=b", "fine");
        check("rack GROUP_BY inf", 2, "h rack=a", "h rack=b", "fine");
    }

    #[test]
    fn agents_without_the_field_are_a_group() {
        check("rack GROUP_BY 2", 5, "h; h rack=a", "h rack=b", "there are 2 groups");
    }

    #[test]
    fn the_older_rule_asks_for_the_smallest_group() {
        for (count, placed, value, want) in [
            (2, &["a"][..], "b", true),
            (2, &["a"], "a", false),
            (2, &["a", "b"], "a", true),
            (2, &["a", "a", "b"], "a", false),
            (2, &["a", "a", "b"], "b", true),
            (2, &["a", "b"], "c", true),
            (0, &["a"], "a", true),
        ] {
            let rule = Groups { count, rule: Generation::Smallest };
            let got = rule.check(value, placed.iter().map(|it| Some(*it)), 9);
            assert_eq!(got.is_ok(), want, "{count} {placed:?} {value}");
        }
    }

    #[test]
    fn without_a_number_the_older_rule_is_taken() {
        check("rack GROUP_BY", 5, "h rack=a; h rack=b", "h rack=c", "fine");
        check(
            "rack GROUP_BY some",
            5,
            "h rack=a; h rack=a; h rack=b",
            "h rack=a",
            "2 instances have \"a\"",
        );
        check("rack GROUP_BY -1", 5, "h rack=a; h rack=b", "h rack=b", "fine");
    }
}
