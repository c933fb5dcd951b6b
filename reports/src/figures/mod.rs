//! Figures: one file each, and one list. A figure is drawn once as a [`scene::Scene`] and rendered as
//! SVG and as PNG.
//!
//! To add one: write `figures/x.rs` with an `ENTRY`, and add the two lines `mod x;` and `x::ENTRY`.

mod allocation;
mod chart;
mod fragmentation;
pub mod over_load;
mod over_time;
mod overview;
pub mod png;
pub mod scene;
pub mod svg;
mod wait;
mod zones;

use crate::comparison::Comparison;
use scene::Scene;

/// All figures, in the order of the page.
pub const ALL: &[Entry] =
    &[overview::ENTRY, wait::ENTRY, allocation::ENTRY, fragmentation::ENTRY, zones::ENTRY];

/// A figure in the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// File name without ending.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Draws it.
    pub draw: fn(&Comparison) -> Scene,
}
