//! UNIQUE: no two instances with the same value. Takes no value.

use super::Reason;

pub(in crate::marathon) fn unique<'a, 'v>(
    value: &'v str,
    mut placed: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), Reason<'v>> {
    if placed.any(|it| it == Some(value)) {
        return Err(Reason::Taken { found: value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::marathon::constraint::check::check;

    #[test]
    fn a_value_is_used_once() {
        check("hostname UNIQUE", 3, "", "h1", "fine");
        check("hostname UNIQUE", 3, "h1; h2", "h3", "fine");
        check("hostname UNIQUE", 3, "h1; h2", "h2", "an instance has \"h2\"");
        check("rack UNIQUE", 3, "h1; h2 rack=a", "h1 rack=b", "fine");
        check("jdk UNIQUE", 3, "h1 jdk=7.0", "h2 jdk=7", "an instance has \"7\"");
        check("@zone UNIQUE", 3, "h1 @zone=a", "h1 @zone=b", "fine");
    }
}
