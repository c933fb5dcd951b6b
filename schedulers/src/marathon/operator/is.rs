//! IS: exactly this value. Numbers are compared in the form with at most three decimals.

use super::Reason;
use crate::marathon::attribute::three_decimals;

/// The value asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    text: String,
    /// In the form in which numbers are compared, if it is one.
    number: Option<String>,
}

impl Wanted {
    /// Reads a value.
    pub fn read(text: &str) -> Self {
        // Rust also reads words such as `inf`, which Java does not.
        let looks_right = |it: &&str| it.chars().all(|it| "+-.0123456789eE".contains(it));
        let number = Some(text.trim()).filter(looks_right).and_then(|it| it.parse().ok());
        Self { text: text.to_owned(), number: number.map(three_decimals) }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(in crate::marathon) fn check<'v>(
        &self,
        value: &'v str,
        is_scalar: bool,
    ) -> Result<(), Reason<'v>> {
        let wanted = if is_scalar { self.number.as_deref() } else { Some(self.text.as_str()) };
        if wanted == Some(value) { Ok(()) } else { Err(Reason::Wrong { found: value }) }
    }
}

#[cfg(test)]
mod tests {
    use crate::marathon::constraint::check::check;

    #[test]
    fn texts_are_compared_as_they_are() {
        check("hostname IS h1", 3, "h2", "h1", "fine");
        check("hostname IS h1", 3, "", "h10", "the agent has \"h10\"");
        check("@region IS r1", 3, "", "h1 @region=r1", "fine");
        check("rack IS a.*", 3, "", "h1 rack=ab", "the agent has \"ab\"");
        check("rack IS", 3, "", "h1 rack=ab", "the agent has \"ab\"");
    }

    #[test]
    fn numbers_are_compared_to_three_decimals() {
        check("n IS 1.0", 3, "", "h1 n=1", "fine");
        check("n IS 10e-1", 3, "", "h1 n=1", "fine");
        check("n IS 1.0625", 3, "", "h1 n=1.062", "fine");
        check("n IS 1.0626", 3, "", "h1 n=1.062", "the agent has \"1.062\"");
        check("n IS one", 3, "", "h1 n=1", "the agent has \"1\"");
        check("n IS inf", 3, "", "h1 n=1", "the agent has \"1\"");
    }
}
