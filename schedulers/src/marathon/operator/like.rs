//! LIKE and UNLIKE: the whole value matches a pattern, or does not.
//!
//! Patterns are Java's. Ours are those of the `regex` crate with classes such as `\d` and `\w` in ASCII, as
//! Java has them. Differs: what that crate cannot do (look-around, back references, possessive
//! quantifiers) is refused when a constraint is read, and outside ASCII a `.` stands for one byte.

use super::Reason;
use crate::marathon::constraint::ConstraintError;
use regex::bytes::{Regex, RegexBuilder};

/// What a value is matched with.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    /// None without a pattern: such a constraint is never met.
    regex: Option<Regex>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(text: &str) -> Result<Self, ConstraintError> {
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern).unicode(false).build().map_err(|why| {
                ConstraintError::Pattern { pattern: text.to_owned(), why: why.to_string() }
            })
        };
        if text.is_empty() {
            return Ok(Self { text: String::new(), regex: None });
        }
        // Alone first, so that brackets of one's own cannot pair with ours.
        compile(text)?;
        // The line break ends a comment of the pattern's last line.
        let whole = if text.contains("(?x") {
            format!("\\A(?:{text}\n)\\z")
        } else {
            format!("\\A(?:{text})\\z")
        };
        Ok(Self { text: text.to_owned(), regex: Some(compile(&whole)?) })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(in crate::marathon) fn like<'v>(&self, value: &'v str) -> Result<(), Reason<'v>> {
        self.expect(value, true)
    }

    pub(in crate::marathon) fn unlike<'v>(&self, value: &'v str) -> Result<(), Reason<'v>> {
        self.expect(value, false)
    }

    fn expect<'v>(&self, value: &'v str, want: bool) -> Result<(), Reason<'v>> {
        match &self.regex {
            None => Err(Reason::NoPattern),
            Some(regex) if regex.is_match(value.as_bytes()) == want => Ok(()),
            Some(_) => Err(Reason::Wrong { found: value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::marathon::constraint::check::check;

    #[test]
    fn the_whole_value_must_match() {
        for (pattern, value, is_like) in [
            ("rack-[1-3]", "rack-2", true),
            ("rack-[1-3]", "rack-22", false),
            ("rack", "rack-2", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            (r"\d+", "42", true),
            (r"\w.\w", "a-b", true),
            ("(?i)RACK", "rack", true),
            ("(?x) r a c k # as one", "rack", true),
            ("caf.*", "café", true),
        ] {
            let (yes, no) = ("fine", &*format!("the agent has {value:?}"));
            let (like, unlike) = if is_like { (yes, no) } else { (no, yes) };
            check(&format!("rack LIKE {pattern}"), 3, "", &format!("h1 rack={value}"), like);
            check(&format!("rack UNLIKE {pattern}"), 3, "", &format!("h1 rack={value}"), unlike);
        }
    }

    #[test]
    fn other_types_match_by_their_text() {
        check("jdk LIKE 7", 3, "", "h1 jdk=7.0", "fine");
        check("hostname UNLIKE h[12]", 3, "", "h3", "fine");
        check("@region LIKE eu-.*", 3, "", "h1 @region=eu-west", "fine");
    }

    #[test]
    fn without_a_pattern_nothing_is_met() {
        check("rack LIKE", 3, "", "h1 rack=a", "there is no pattern");
        check("rack UNLIKE", 3, "", "h1 rack=a", "there is no pattern");
        check("rack UNLIKE", 3, "", "h1", "fine");
    }
}
