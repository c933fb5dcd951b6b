//! Patterns of `=~` and `!~`: regular expressions as Java writes them, matched against the whole text.
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language", operator `matches`, which refers to Java's
//! syntax. That the whole text must match is inferred: every published pattern ends in `.*`.
//!
//! The engine is the crate `regex`, on bytes, which treats `\d`, `\w`, `\s`, `\b` and `(?i)` as ASCII, as Java
//! does unless told otherwise. What the two write differently is rewritten: `\Q…\E`, `\p{Lower}` and its
//! relatives, and what `regex` alone would read as an operator inside a class. Differs in refusing what it
//! cannot do in linear time (looking around, back references, possessive and atomic groups) and some rare
//! escapes (`\h`, `\R`, `\Z`, octal and control characters); and in counting bytes, where a text is not ASCII.

use regex::bytes::{Regex, RegexBuilder};

/// A pattern ready to be matched.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    whole: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// If it is no regular expression, or one that is not supported; says why in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        let translated = translate(text)?;
        // On its own first: a pattern such as `a)|(b` must not be mended by the group around it.
        build(&translated)?;
        let whole = build(&format!("\\A(?:{translated})\\z"))?;
        Ok(Self { written: text.to_owned(), whole })
    }

    /// Whether the pattern matches the whole of that text.
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text.as_bytes())
    }

    /// The same as the crate `regex` writes it, to be matched against the whole of a text; alike on ASCII.
    ///
    /// # Panics
    ///
    /// Never: it was read once already.
    pub fn translated(&self) -> String {
        translate(&self.written).expect("it was read")
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

fn build(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).unicode(false).build().map_err(|error| {
        // The last line says what is wrong; those before it draw the pattern.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// Java's classes of ASCII characters, and their names here.
const CLASSES: &[(&str, &str)] = &[
    ("Lower", "lower"),
    ("Upper", "upper"),
    ("ASCII", "ascii"),
    ("Alpha", "alpha"),
    ("Digit", "digit"),
    ("Alnum", "alnum"),
    ("Punct", "punct"),
    ("Graph", "graph"),
    ("Print", "print"),
    ("Blank", "blank"),
    ("Cntrl", "cntrl"),
    ("XDigit", "xdigit"),
    ("Space", "space"),
];

/// The same pattern as the crate `regex` writes it.
fn translate(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    // How many classes are open here.
    let mut classes = 0_u32;
    // Whether the last thing was a quantifier, so that a `+` after it means something else in Java.
    let mut after_quantifier = false;
    while let Some(next) = rest.chars().next() {
        let was_after_quantifier = std::mem::take(&mut after_quantifier);
        let mut taken = next.len_utf8();
        match next {
            '\\' if rest.starts_with("\\Q") => {
                let quoted = &rest[2..];
                let end = quoted.find("\\E").unwrap_or(quoted.len());
                out.push_str(&regex::escape(&quoted[..end]));
                taken = (2 + end + 2).min(rest.len());
            }
            '\\' if rest.starts_with("\\p{") || rest.starts_with("\\P{") => {
                let close = rest.find('}').ok_or("a class without its end")?;
                let name = &rest[3..close];
                let class = CLASSES.iter().find(|it| it.0 == name);
                let class = class.ok_or("this class of characters is not supported")?.1;
                let not = if rest.starts_with("\\P") { "^" } else { "" };
                out.push_str(&format!("[[:{not}{class}:]]"));
                taken = close + 1;
            }
            '\\' => {
                taken += rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..taken]);
            }
            '[' => {
                classes += 1;
                out.push(next);
            }
            ']' if classes > 0 => {
                classes -= 1;
                out.push(next);
            }
            '-' | '~' if classes > 0 && rest[1..].starts_with(next) => {
                out.push(next);
                out.push('\\');
                out.push(next);
                taken = 2;
            }
            '+' if was_after_quantifier => {
                return Err("possessive quantifiers are not supported".to_owned());
            }
            '*' | '+' | '?' | '}' if classes == 0 => {
                // `a*?` is over; `a*` may go on.
                after_quantifier = next != '?' || !was_after_quantifier;
                // The `?` of `(?:` is no quantifier.
                after_quantifier &= !(next == '?' && out.ends_with('('));
                out.push(next);
            }
            _ => out.push(next),
        }
        rest = &rest[taken..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern = Pattern::read(pattern).unwrap();
        for text in matching {
            assert!(pattern.matches(text), "{} on {text:?}", pattern.as_str());
        }
        for text in others {
            assert!(!pattern.matches(text), "{} on {text:?}", pattern.as_str());
        }
    }

    #[test]
    fn the_whole_text_must_match() {
        check("t2.*", &["t2.small", "t2"], &["xt2.small", "T2.small"]);
        check("t2", &["t2"], &["t2.small", "at2"]);
        check("a|ab", &["a", "ab"], &["b", "abc"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn what_java_writes_differently_is_rewritten() {
        check("\\Qt2.(*\\E.+", &["t2.(*x"], &["t2a(*x"]);
        check("\\Qa.b", &["a.b"], &["axb"]);
        check("\\p{Lower}+[\\p{Digit}.]*\\P{Upper}", &["ab1.2x"], &["ab1.2X", "Ab"]);
        check("[+--]", &["+", ",", "-"], &["."]);
        check("[a-z&&[^m]]x", &["ax"], &["mx"]);
        check("(?i)T2\\.\\w+", &["t2.small"], &["t2-small"]);
        check("\\d{2,3}", &["12", "123"], &["1", "٣٣"]);
        check("a+?b??(?:c)?", &["a", "aab", "abc"], &["b"]);
        check("[*+]+", &["*+"], &["a"]);
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for pattern in [
            "a*+", "a++b", "a?+", "a{2}+", "(?=a)b", "(?<!a)b", "(a)\\1", "(?>a)", "\\p{L}", "(",
            "a)|(b", "[a", "*",
        ] {
            assert!(Pattern::read(pattern).is_err(), "{pattern}");
        }
    }
}
