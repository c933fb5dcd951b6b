//! The parts of a key by name, for explanations.

use cluster::demand::Resource;
use cluster::explain::{Criterion, Number, Term, Wins, in_words};

/// One part of a key. Keys compare their parts in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it measures.
    pub name: String,
    /// As in the key.
    pub value: Number,
    /// Which end is good.
    pub wins: Wins,
    /// The same in words.
    pub text: Option<String>,
}

impl Part {
    /// A part of which the lowest is good.
    pub fn lowest(name: impl Into<String>, value: impl Into<Number>) -> Self {
        Self { name: name.into(), value: value.into(), wins: Wins::Lowest, text: None }
    }

    /// A part of which the highest is good.
    pub fn highest(name: impl Into<String>, value: impl Into<Number>) -> Self {
        Self { wins: Wins::Highest, ..Self::lowest(name, value) }
    }

    /// Says it in words, too.
    #[must_use]
    pub fn said(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// Says it as a fraction, to five digits.
    #[must_use]
    pub fn over(self, one: f64) -> Self {
        let value = match self.value {
            Number::Whole(it) => it as f64,
            Number::Real(it) => it,
        };
        let text = fraction(value / one);
        self.said(text)
    }

    /// Says it as an amount.
    #[must_use]
    pub fn amount(self, resource: Resource) -> Self {
        let amount = match self.value {
            Number::Whole(it) => u64::try_from(it).ok(),
            Number::Real(_) => None,
        };
        match amount {
            Some(amount) => self.said(in_words(resource, amount)),
            None => self,
        }
    }

    pub(crate) fn criterion(&self) -> Criterion {
        Criterion { name: self.name.clone(), wins: self.wins }
    }

    pub(crate) fn term(self) -> Term {
        Term { text: self.text, ..Term::new(self.name, self.value) }
    }
}

fn fraction(value: f64) -> String {
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_short() {
        for (value, want) in
            [(0.0, "0"), (1.0, "1"), (0.375, "0.375"), (-1e-9, "0"), (2.0 / 3.0, "0.66667")]
        {
            assert_eq!(fraction(value), want);
        }
    }
}
