//! Texts to dense numbers, in the order of first sight.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Gives each text the next free number. Looked up both ways; iterated in number order only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Names {
    texts: Vec<String>,
    rows: FxHashMap<String, u32>,
}

impl From<Vec<String>> for Names {
    fn from(texts: Vec<String>) -> Self {
        let mut names = Self::default();
        for text in texts {
            names.intern(&text);
        }
        names
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        names.texts
    }
}

impl Names {
    /// The number of `text`, a new one if it was never seen.
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(&row) = self.rows.get(text) {
            return row;
        }
        let row = u32::try_from(self.texts.len()).expect("fewer than 2^32 names");
        self.texts.push(text.to_owned());
        self.rows.insert(text.to_owned(), row);
        row
    }

    /// The number of `text` if it was seen.
    pub fn get(&self, text: &str) -> Option<u32> {
        self.rows.get(text).copied()
    }

    /// The text of a number.
    pub fn text(&self, row: u32) -> &str {
        &self.texts[row as usize]
    }

    /// How many texts were seen.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether none was seen.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// All texts in number order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}
