//! The comparison in words.

use crate::comparison::Comparison;
use serde::Serialize;

/// What can honestly be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// One sentence.
    pub sentence: String,
    /// What it rests on.
    pub support: Vec<String>,
}

impl Comparison {
    /// The comparison in words.
    pub fn verdict(&self) -> Verdict {
        Verdict::default()
    }
}
