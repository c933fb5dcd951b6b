//! CLUSTER: all instances with one value, the one named, or else that of the first instance.
//!
//! A named value is not compared with what the instances have, and of the instances only the first one is
//! looked at: should they differ, because an attribute was changed, that goes unnoticed.

use super::Reason;

pub(in crate::marathon) fn cluster<'a, 'v>(
    wanted: Option<&str>,
    value: &'v str,
    mut placed: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), Reason<'v>> {
    let is_fine = match wanted {
        Some(wanted) => wanted == value,
        None => placed.next().is_none_or(|first| first == Some(value)),
    };
    if is_fine { Ok(()) } else { Err(Reason::Wrong { found: value }) }
}

#[cfg(test)]
mod tests {
    use crate::marathon::constraint::check::check;

    #[test]
    fn a_named_value_is_compared() {
        check("hostname CLUSTER h1", 3, "", "h1", "fine");
        check("hostname CLUSTER h1", 3, "", "h2", "the agent has \"h2\"");
        check("hostname CLUSTER h1", 3, "h2", "h1", "fine");
        check("jdk CLUSTER 7", 3, "", "h1 jdk=7.0", "fine");
        check("jdk CLUSTER 7.0", 3, "", "h1 jdk=7.0", "the agent has \"7\"");
    }

    #[test]
    fn without_one_the_first_instance_says() {
        check("rack CLUSTER", 3, "", "h1 rack=a", "fine");
        check("rack CLUSTER", 3, "h1 rack=a; h2 rack=b", "h3 rack=a", "fine");
        check("rack CLUSTER", 3, "h1 rack=a; h2 rack=b", "h3 rack=b", "the agent has \"b\"");
        check("rack CLUSTER", 3, "h1; h2 rack=b", "h3 rack=b", "the agent has \"b\"");
    }
}
