//! What a number of the report is: its name, its unit, and which direction is good.

use serde::{Deserialize, Serialize};

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It describes the run; no policy is better for it.
    Neither,
}

/// In what a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Microseconds.
    Us,
    /// A share of one: 0.5 is half.
    Share,
    /// Whole tasks, or their average.
    Tasks,
    /// Whole nodes, or their average.
    Nodes,
    /// How often something happened.
    Times,
    /// A ratio that may be above one.
    Ratio,
}

/// One number per run, or one per sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Unique; carries its unit: `wait_us_mean`.
    pub name: String,
    /// In what it counts.
    pub unit: Unit,
    /// Which direction is good.
    pub better: Better,
    /// A few words, fit for a table's head: `mean wait`.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// Whether it belongs to the few that the terminal table and the verdict look at.
    pub headline: bool,
}

impl Column {
    /// A column that is not a headline.
    pub fn new(
        name: impl Into<String>,
        unit: Unit,
        better: Better,
        title: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        let (name, title, summary) = (name.into(), title.into(), summary.into());
        Self { name, unit, better, title, summary, headline: false }
    }

    /// The same column among the headlines.
    pub fn headline(mut self) -> Self {
        self.headline = true;
        self
    }
}

/// What a metric is: shown with every report, so that nobody has to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Unique, lower case with hyphens.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// How it is computed, in full sentences.
    pub definition: &'static str,
    /// Where the definition comes from, and how ours differs.
    pub source: &'static str,
}
