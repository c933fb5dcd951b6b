//! Patterns as Go's `regexp` reads them.
//!
//! Source: the package documentation of Go's `regexp/syntax`. What the two engines read differently is
//! rewritten for ours: Perl classes are ASCII, `\Q…\E`, octal codes, brackets and double signs inside
//! classes, flags; a repetition of a repetition is an error.
//! Differs in knowing no named groups and no counted repetition: `<`, `{` and `,` cannot stand in an
//! expression, the only place that patterns come from.

use regex::bytes::Regex;
use std::iter::Peekable;
use std::str::Chars;

const NAMED_CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// A compiled one.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// `None` if Go would not compile it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut rewriter = Rewriter { rest: text.chars().peekable(), out: String::new() };
        rewriter.all()?;
        Regex::new(&rewriter.out).ok().map(Self)
    }

    /// Whether some part of the text matches.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}

struct Rewriter<'t> {
    rest: Peekable<Chars<'t>>,
    out: String,
}

/// What follows a backslash.
enum Escape {
    /// One character.
    Character(char),
    /// A class, written so that it may stand alone or in a class.
    Class(String),
}

impl Rewriter<'_> {
    fn all(&mut self) -> Option<()> {
        let mut is_repeated = false;
        while let Some(it) = self.rest.next() {
            let was_repeated = std::mem::take(&mut is_repeated);
            match it {
                '*' | '+' | '?' => {
                    if was_repeated {
                        return None;
                    }
                    is_repeated = true;
                    self.out.push(it);
                    if self.rest.next_if_eq(&'?').is_some() {
                        self.out.push('?');
                    }
                }
                '(' if self.rest.next_if_eq(&'?').is_some() => self.flags()?,
                '[' => self.class()?,
                '\\' => self.escape_alone()?,
                '(' | ')' | '|' | '^' | '$' | '.' => self.out.push(it),
                it => self.literal(it),
            }
        }
        Some(())
    }

    fn literal(&mut self, it: char) {
        self.out.push_str(&format!(r"\x{{{:X}}}", it as u32));
    }

    /// After `(?`: flags for the rest of the group, or for a group of its own.
    fn flags(&mut self) -> Option<()> {
        let (mut on, mut off) = (String::new(), String::new());
        let mut is_negative = false;
        loop {
            match self.rest.next()? {
                it @ ('i' | 'm' | 's' | 'U') => {
                    let (to, other) =
                        if is_negative { (&mut off, &mut on) } else { (&mut on, &mut off) };
                    other.retain(|flag| flag != it);
                    if !to.contains(it) {
                        to.push(it);
                    }
                }
                '-' if !is_negative => is_negative = true,
                end @ (':' | ')') => {
                    if is_negative && off.is_empty() {
                        return None;
                    }
                    let minus = if off.is_empty() { "" } else { "-" };
                    if end == ':' || !on.is_empty() || is_negative {
                        self.out.push_str(&format!("(?{on}{minus}{off}{end}"));
                    }
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn escape_alone(&mut self) -> Option<()> {
        match self.rest.peek()? {
            'A' | 'z' => {
                self.out.push('\\');
                self.out.extend(self.rest.next());
            }
            'b' | 'B' => {
                let it = self.rest.next()?;
                self.out.push_str(&format!(r"(?-u:\{it})"));
            }
            'Q' => {
                self.rest.next();
                while let Some(it) = self.rest.next() {
                    if it == '\\' && self.rest.next_if_eq(&'E').is_some() {
                        break;
                    }
                    self.literal(it);
                }
            }
            // The end of a quotation that was not begun is an error, as any unknown letter.
            _ => match self.escape()? {
                Escape::Character(it) => self.literal(it),
                Escape::Class(it) => self.out.push_str(&it),
            },
        }
        Some(())
    }

    /// After a backslash, where a character or a class is meant.
    fn escape(&mut self) -> Option<Escape> {
        let class = |it: &str| Some(Escape::Class(it.to_owned()));
        let it = self.rest.next()?;
        let code = match it {
            'd' => return class("[0-9]"),
            'D' => return class("[^0-9]"),
            's' => return class(r"[\t\n\f\r ]"),
            'S' => return class(r"[^\t\n\f\r ]"),
            'w' => return class("[0-9A-Za-z_]"),
            'W' => return class("[^0-9A-Za-z_]"),
            'p' | 'P' => {
                let category = self.rest.next().filter(char::is_ascii_alphabetic)?;
                return Some(Escape::Class(format!(r"\{it}{category}")));
            }
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => {
                let high = self.rest.next()?.to_digit(16)?;
                high * 16 + self.rest.next()?.to_digit(16)?
            }
            '0'..='7' => {
                let mut code = it.to_digit(8)?;
                let mut digits = 1;
                while digits < 3
                    && let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(8))
                {
                    self.rest.next();
                    code = code * 8 + digit;
                    digits += 1;
                }
                // One digit alone would be a reference back.
                if digits == 1 && it != '0' {
                    return None;
                }
                code
            }
            it if it.is_ascii() && !it.is_ascii_alphanumeric() => it as u32,
            _ => return None,
        };
        char::from_u32(code).map(Escape::Character)
    }

    /// After `[`.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let it = self.rest.next()?;
            if it == ']' && !is_first {
                self.out.push(']');
                return Some(());
            }
            is_first = false;
            if it == '[' && self.named_class()? {
                continue;
            }
            let low = match self.member(it)? {
                Escape::Character(it) => it,
                Escape::Class(it) => {
                    self.out.push_str(&it);
                    continue;
                }
            };
            self.literal(low);
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|it| it != ']') {
                self.rest.next();
                let it = self.rest.next()?;
                let Escape::Character(high) = self.member(it)? else { return None };
                self.out.push('-');
                self.literal(high);
            }
        }
    }

    fn member(&mut self, it: char) -> Option<Escape> {
        if it == '\\' { self.escape() } else { Some(Escape::Character(it)) }
    }

    /// After `[` in a class: `:alpha:]`, if that is what follows.
    fn named_class(&mut self) -> Option<bool> {
        let rest: String = self.rest.clone().collect();
        let Some((name, _)) = rest.strip_prefix(':').and_then(|it| it.split_once(":]")) else {
            return Some(false);
        };
        if !NAMED_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return None;
        }
        self.out.push_str(&format!("[:{name}:]"));
        for _ in 0..name.chars().count() + 3 {
            self.rest.next();
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, texts: &[(&str, bool)]) {
        let pattern = Pattern::read(pattern).unwrap_or_else(|| panic!("{pattern} is refused"));
        for &(text, want) in texts {
            assert_eq!(pattern.is_in(text), want, "{text:?}");
        }
    }

    #[test]
    fn classes_are_those_of_ascii() {
        check(r"^\d$", &[("5", true), ("٥", false)]);
        check(r"^\w+$", &[("a_9", true), ("é", false)]);
        check(r"^[^\d]$", &[("é", true), ("5", false)]);
        check(r"^[\S]$", &[("x", true), (" ", false), ("\u{B}", true)]);
        check(r"\bé", &[("aé", true), ("é", false)]);
        check("^[[:alpha:]-]+$", &[("a-b", true), ("a1", false)]);
    }

    #[test]
    fn any_character_is_one_of_text_and_no_new_line() {
        check("^.$", &[("é", true), ("\n", false)]);
        check("(?s)^.$", &[("\n", true)]);
    }

    #[test]
    fn flags_hold_for_the_rest_of_the_group() {
        check("^a(?i)b$", &[("aB", true), ("Ab", false)]);
        check("^(?i:a)b$", &[("Ab", true), ("AB", false)]);
        check("(?ii-i)a", &[("A", false), ("a", true)]);
        check("(?)a", &[("a", true)]);
    }

    #[test]
    fn brackets_and_signs_in_a_class_are_themselves() {
        check("^[[a]$", &[("[", true), ("a", true)]);
        check("^[]a]$", &[("]", true)]);
        check("^[+--]$", &[(",", true), ("-", true), (".", false)]);
        check("^[a-]$", &[("-", true)]);
    }

    #[test]
    fn codes_and_quotations() {
        check(r"^\101\x42\0$", &[("AB\0", true)]);
        check(r"^\Qa.b\E.$", &[("a.bc", true), ("axbc", false)]);
        check(r"^\.\_$", &[("._", true)]);
    }

    #[test]
    fn go_refuses_what_it_does_not_know() {
        for pattern in [
            "a**", "a+*", "a???", "*a", "(*)", "(", ")", "[a", "[b-a]", r"\", r"\1", r"\8", r"\e",
            r"\E", r"\u0041", r"\Z", "(?x)a", "(?-)a", "(?i-)a", "(?", r"[a-\d]", r"[\b]",
            "[[:x:]]",
        ] {
            assert!(Pattern::read(pattern).is_none(), "{pattern}");
        }
        for pattern in ["a*?", "a??", "^*", "()", "(|a)*", "a|", ""] {
            assert!(Pattern::read(pattern).is_some(), "{pattern}");
        }
    }
}
