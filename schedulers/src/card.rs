//! What a strategy says about itself. Help, lists, reports and tests are made from it.

/// A strategy's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// The word in policies: lower case, words joined by `-`.
    pub name: &'static str,
    /// One sentence, without the name.
    pub summary: &'static str,
    /// Paper, section or product it is taken from.
    pub source: &'static str,
    /// How ours differs from the source.
    pub differs: &'static str,
    /// What one decision costs.
    pub cost: &'static str,
    /// Its parameters, those that all strategies share last.
    pub parameters: &'static [Parameter],
    /// A policy that uses it.
    pub example: &'static str,
}

impl Card {
    /// The parameter to which a value without a key belongs: the first, unless that is a shared one.
    pub fn main_parameter(&self) -> Option<&'static Parameter> {
        let shared = [Parameter::TIE.name, Parameter::OPEN.name];
        self.parameters.first().filter(|it| !shared.contains(&it.name))
    }
}

/// A parameter of a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// The key in policies.
    pub name: &'static str,
    /// What may be written, as people read it: `cpu|memory`, `1 to 64`.
    pub values: &'static str,
    /// The value it has when it is left out.
    pub default: &'static str,
    /// One sentence.
    pub summary: &'static str,
}

impl Parameter {
    /// `tie`: what decides between equally good nodes, the lowest index unless said otherwise.
    pub const TIE: Self = Self {
        name: "tie",
        values: "index|rank|random",
        default: "index",
        summary: "what decides between equally good nodes: index is the one that joined first, rank \
                  the one with the lowest rank in the nodes file, random a uniform draw",
    };

    /// `open`: whether nodes that run something come before empty ones.
    pub const OPEN: Self = Self {
        name: "open",
        values: "any|first",
        default: "any",
        summary: "`first` takes an empty node only when no node that already runs a task fits",
    };
}
