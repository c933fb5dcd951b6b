//! What a figure consists of: lines, areas and texts in points, origin at the top left.

use plotters::style::{FontDesc, FontFamily, FontStyle};
use std::sync::OnceLock;

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// Width in points.
    pub width: f64,
    /// Height in points.
    pub height: f64,
    /// What it shows, in a sentence or two, for those who cannot see it.
    pub description: String,
    /// In drawing order.
    pub marks: Vec<Mark>,
}

/// One thing in a drawing.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// An open line.
    Line {
        /// At least two.
        points: Vec<(f64, f64)>,
        /// How it is drawn.
        stroke: Stroke,
    },
    /// A closed area.
    Area {
        /// Corners.
        points: Vec<(f64, f64)>,
        /// Inside.
        fill: Color,
        /// Outline.
        outline: Option<Stroke>,
    },
    /// A line of text.
    Text(Text),
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Its color.
    pub color: Color,
    /// In points.
    pub width: f64,
    /// Lengths of dash and gap in turn; empty is solid.
    pub dash: &'static [f64],
}

impl Stroke {
    /// A solid line.
    pub const fn solid(color: Color, width: f64) -> Self {
        Self { color, width, dash: &[] }
    }
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Where its anchor is.
    pub x: f64,
    /// Its middle line.
    pub y: f64,
    /// What it says.
    pub text: String,
    /// Height of the font in points.
    pub size: f64,
    /// Which end of it is at `x`.
    pub anchor: Anchor,
    /// Its color.
    pub color: Color,
}

/// Which end of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It starts there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// Text and axes.
    pub const INK: Self = Self(0x22, 0x22, 0x22);
    /// Less important text.
    pub const GREY: Self = Self(0x59, 0x59, 0x59);
    /// Grid lines.
    pub const GRID: Self = Self(0xDD, 0xDD, 0xDD);
    /// Paper.
    pub const WHITE: Self = Self(0xFF, 0xFF, 0xFF);

    /// Between this (at 0) and another (at 1).
    pub fn mix(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| {
            (f64::from(a) + (f64::from(b) - f64::from(a)) * share.clamp(0.0, 1.0)).round() as u8
        };
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

/// The look of the n-th policy: the same in every figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its color.
    pub color: Color,
    /// Its dash pattern.
    pub dash: &'static [f64],
    /// Number of its marker's shape.
    shape: usize,
}

/// Okabe and Ito's palette, which people with any common color vision can tell apart (M. Okabe and
/// K. Ito, Color Universal Design, 2008). Yellow, weak on paper, comes last.
const PALETTE: [Color; 8] = [
    Color(0x00, 0x72, 0xB2),
    Color(0xD5, 0x5E, 0x00),
    Color(0x00, 0x9E, 0x73),
    Color(0xCC, 0x79, 0xA7),
    Color(0xE6, 0x9F, 0x00),
    Color(0x56, 0xB4, 0xE9),
    Color(0x00, 0x00, 0x00),
    Color(0xF0, 0xE4, 0x42),
];

const DASHES: [&[f64]; 5] =
    [&[], &[8.0, 3.0], &[2.5, 2.5], &[9.0, 3.0, 2.5, 3.0], &[5.0, 2.0, 5.0, 2.0, 1.5, 2.0]];

impl Look {
    /// Of the n-th policy.
    pub fn of(policy: usize) -> Self {
        Self {
            color: PALETTE[policy % PALETTE.len()],
            dash: DASHES[policy % DASHES.len()],
            shape: policy % 7,
        }
    }

    /// Its line.
    pub fn stroke(&self) -> Stroke {
        Stroke { color: self.color, width: 1.8, dash: self.dash }
    }

    /// Its marker, centred, with a thin dark edge so that pale colors are seen on paper.
    pub fn marker(&self, x: f64, y: f64, radius: f64) -> Mark {
        let r = radius;
        let ring = |n: usize, turn: f64, inner: f64| -> Vec<(f64, f64)> {
            (0..n)
                .map(|it| {
                    let angle = std::f64::consts::TAU * (it as f64 + turn) / n as f64;
                    let r = if it % 2 == 1 { r * inner } else { r };
                    (x + r * angle.sin(), y - r * angle.cos())
                })
                .collect()
        };
        let points = match self.shape {
            0 => ring(20, 0.0, 1.0),
            1 => ring(4, 0.5, 1.0),
            2 => ring(3, 0.0, 1.0),
            3 => ring(4, 0.0, 1.0),
            4 => ring(3, 0.5, 1.0),
            5 => ring(10, 0.0, 0.45),
            _ => ring(8, 0.0, 0.35),
        };
        Mark::Area { points, fill: self.color, outline: Some(Stroke::solid(Color::INK, 0.6)) }
    }
}

impl Scene {
    /// An empty sheet.
    pub fn new(width: f64, height: f64, description: String) -> Self {
        Self { width, height, description, marks: Vec::new() }
    }

    /// Adds a line; nothing for fewer than two points.
    pub fn line(&mut self, points: Vec<(f64, f64)>, stroke: Stroke) {
        if points.len() >= 2 {
            self.marks.push(Mark::Line { points, stroke });
        }
    }

    /// Adds a rectangle without outline.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Color) {
        let (right, low) = (x + width, y + height);
        let points = vec![(x, y), (right, y), (right, low), (x, low)];
        self.marks.push(Mark::Area { points, fill, outline: None });
    }

    /// Adds a text.
    pub fn text(
        &mut self,
        (x, y): (f64, f64),
        text: impl Into<String>,
        size: f64,
        anchor: Anchor,
        color: Color,
    ) {
        let text = text.into();
        if !text.is_empty() {
            self.marks.push(Mark::Text(Text { x, y, text, size, anchor, color }));
        }
    }
}

/// Name under which the font of PNG figures is registered.
const FONT: &str = "bayplan";

/// Makes the embedded font known to plotters, once.
fn register_font() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        let bytes = epaint_default_fonts::UBUNTU_LIGHT;
        plotters::style::register_font(FONT, FontStyle::Normal, bytes).is_ok()
    })
}

/// The font of figures at a size in pixels.
pub(super) fn font(pixels: f64) -> FontDesc<'static> {
    register_font();
    FontDesc::new(FontFamily::Name(FONT), pixels, FontStyle::Normal)
}

/// How wide a text will be in points, a little more than in the embedded font: SVG is shown in
/// whatever sans-serif the reader has.
pub fn text_width(text: &str, size: f64) -> f64 {
    // Measured large, because the measure is in whole pixels.
    match font(100.0).box_size(text) {
        Ok((width, _)) => f64::from(width) * size / 100.0 * 1.1,
        Err(_) => text.chars().count() as f64 * size * 0.6,
    }
}

/// The text, cut in its middle to fit a width: the ends of policy names tell them apart.
pub fn fitted(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let mut keep = letters.len() - 1;
    loop {
        let (front, back) = (keep.div_ceil(2), keep / 2);
        let cut: String =
            letters[..front].iter().chain(&['…']).chain(&letters[letters.len() - back..]).collect();
        if keep <= 2 || text_width(&cut, size) <= width {
            return cut;
        }
        keep -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_font_is_there() {
        assert!(register_font());
        assert!(text_width("mmmm", 10.0) > text_width("iiii", 10.0));
    }

    #[test]
    fn long_names_keep_both_ends() {
        let name = "ecs:spread(attribute:ecs.availability-zone),binpack(memory)";
        let cut = fitted(name, 12.0, 150.0);
        assert!(text_width(&cut, 12.0) <= 150.0);
        assert!(cut.starts_with("ecs:spread(") && cut.ends_with("(memory)"), "{cut}");
        assert_eq!(fitted("ecs", 12.0, 150.0), "ecs");
    }

    #[test]
    fn policies_look_different() {
        for a in 0..24 {
            for b in 0..a {
                assert_ne!(Look::of(a), Look::of(b), "{a} {b}");
            }
        }
    }
}
