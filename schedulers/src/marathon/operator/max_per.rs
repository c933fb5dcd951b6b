//! MAX_PER: at most so many instances with the same value.

use super::Reason;

pub(in crate::marathon) fn max_per<'a, 'v>(
    most: i32,
    value: &'v str,
    placed: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), Reason<'v>> {
    let count = placed.filter(|it| *it == Some(value)).count();
    // A value without instances is taken whatever the number, 0 and less included.
    if count == 0 || i64::try_from(count).is_ok_and(|it| it < i64::from(most)) {
        return Ok(());
    }
    let count = u32::try_from(count).expect("fewer than 2^32 instances");
    Err(Reason::Full { found: value, count })
}

#[cfg(test)]
mod tests {
    use crate::marathon::constraint::check::check;

    #[test]
    fn counts_per_value() {
        check("hostname MAX_PER 2", 3, "h1", "h1", "fine");
        check("hostname MAX_PER 2", 3, "h1; h1", "h1", "2 instances have \"h1\"");
        check("hostname MAX_PER 2", 3, "h1; h1", "h2", "fine");
        check("rack MAX_PER 1", 3, "h1 rack=a; h2", "h2 rack=b", "fine");
        check("rack MAX_PER 1", 3, "h1 rack=a; h2", "h2 rack=a", "1 instances have \"a\"");
        check("rack MAX_PER 0", 3, "", "h2 rack=a", "fine");
        check("rack MAX_PER 0", 3, "h1 rack=a", "h2 rack=a", "1 instances have \"a\"");
    }
}
