//! What a figure consists of.

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {}
