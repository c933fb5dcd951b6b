//! Scenes as SVG: text in the reader's own sans-serif, no script, nothing fetched.
//!
//! Written by hand and not through plotters, whose SVG has neither dashes (it would cut every line into
//! hundreds) nor titles.

use super::scene::{Anchor, Color, Mark, Scene, Stroke, Text};
use std::fmt::Write as _;

/// A whole SVG file.
pub fn render(scene: &Scene) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
         height=\"{h}\" role=\"img\" aria-label=\"{label}\" font-family=\"sans-serif\">\n\
         <title>{label}</title>\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n",
        w = short(scene.width),
        h = short(scene.height),
        label = escaped(&scene.description),
    );
    for mark in &scene.marks {
        match mark {
            Mark::Line { points, stroke } => {
                let _ = writeln!(
                    out,
                    "<polyline points=\"{}\" fill=\"none\"{} stroke-linejoin=\"round\"/>",
                    listed(points),
                    stroked(*stroke)
                );
            }
            Mark::Area { points, fill, outline } => {
                let _ = writeln!(
                    out,
                    "<polygon points=\"{}\" fill=\"{}\"{}/>",
                    listed(points),
                    hex(*fill),
                    outline.map(stroked).unwrap_or_default()
                );
            }
            Mark::Text(Text { x, y, text, size, anchor, color }) => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                // A third of the size from middle line to base line; viewers disagree about
                // dominant-baseline.
                let _ = writeln!(
                    out,
                    "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\" \
                     fill=\"{}\">{}</text>",
                    short(*x),
                    short(y + size * 0.34),
                    short(*size),
                    hex(*color),
                    escaped(text)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn stroked(stroke: Stroke) -> String {
    let mut out =
        format!(" stroke=\"{}\" stroke-width=\"{}\"", hex(stroke.color), short(stroke.width));
    if !stroke.dash.is_empty() {
        let dash: Vec<String> = stroke.dash.iter().map(|&it| short(it)).collect();
        let _ = write!(out, " stroke-dasharray=\"{}\"", dash.join(" "));
    }
    out
}

fn listed(points: &[(f64, f64)]) -> String {
    let pairs: Vec<String> =
        points.iter().map(|&(x, y)| format!("{},{}", short(x), short(y))).collect();
    pairs.join(" ")
}

/// A tenth of a point is as exact as anyone can see.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text as it may stand in XML; what XML cannot hold becomes the replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            it if it.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        let mut scene = Scene::new(10.0, 10.0, "a \"b\" <c>".to_owned());
        scene.text((1.0, 2.0), "</text><script>&'\u{1}", 10.0, Anchor::Start, Color::INK);
        let svg = render(&scene);
        assert!(svg.contains("aria-label=\"a &quot;b&quot; &lt;c&gt;\""), "{svg}");
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt;&amp;&#39;\u{fffd}</text>"), "{svg}");
    }
}
