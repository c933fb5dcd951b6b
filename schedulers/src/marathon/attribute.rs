//! Attributes of agents, and the text that constraints see of them.
//!
//! Source: Mesos' `Attribute`; Marathon 90619da7, `Constraints.scala`, how a value becomes text. Constraints
//! compare texts only, so the text is worked out once, when an agent is described.

use std::fmt::Write;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    text: String,
    is_scalar: bool,
}

impl Attribute {
    /// A text, as it is.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_scalar: false }
    }

    /// A number: at most three decimals, rounded half to even on the exact binary value, without trailing
    /// zeros or separators (`7`, `0.5`).
    pub fn scalar(value: f64) -> Self {
        Self { text: three_decimals(value), is_scalar: true }
    }

    /// Ranges, both ends included: `[1-3,7-9]`, sorted by their first number.
    pub fn ranges(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_by_key(|it| it.0);
        let mut text = String::from("[");
        for (at, (first, last)) in ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(text, "{comma}{first}-{last}").expect("writing to a string cannot fail");
        }
        text.push(']');
        Self::text(text)
    }

    /// A set: `{a,b}`, sorted.
    pub fn set(mut items: Vec<String>) -> Self {
        items.sort();
        Self::text(format!("{{{}}}", items.join(",")))
    }

    /// What constraints see.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a number.
    pub fn is_scalar(&self) -> bool {
        self.is_scalar
    }
}

/// The form in which numbers are compared.
pub fn three_decimals(value: f64) -> String {
    let mut text = format!("{value:.3}");
    if text.contains('.') {
        let end = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_text() {
        for (attribute, want) in [
            (Attribute::text("rack-1"), "rack-1"),
            (Attribute::scalar(7.0), "7"),
            (Attribute::scalar(1200.0), "1200"),
            (Attribute::scalar(0.125), "0.125"),
            (Attribute::scalar(-2.5), "-2.5"),
            (Attribute::ranges(vec![(7, 9), (1, 3)]), "[1-3,7-9]"),
            (Attribute::ranges(vec![]), "[]"),
            (Attribute::set(vec!["b".into(), "a".into()]), "{a,b}"),
        ] {
            assert_eq!(attribute.as_str(), want);
        }
    }

    #[test]
    fn halves_go_to_the_even_digit() {
        for (value, want) in [
            (0.0625, "0.062"),
            (0.1875, "0.188"),
            (1.0005, "1"),
            (1.000_51, "1.001"),
            (2.9999, "3"),
            (0.0004, "0"),
        ] {
            assert_eq!(three_decimals(value), want, "{value}");
        }
    }
}
