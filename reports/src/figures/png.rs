//! Scenes as PNG, by plotters and an embedded font: no system library, the same bytes everywhere.

use super::scene::{Anchor, Color, Mark, Scene, Stroke, Text, font};
use crate::write::ReportError;
use plotters::backend::BitMapBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{PathElement, Polygon};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{RGBColor, ShapeStyle, TextStyle};

/// Pixels per point of the file: sharp on paper and on dense screens.
const SCALE: usize = 2;

/// Drawn this much larger and then averaged, so that slanted lines are smooth.
const FINER: usize = 2;

/// A whole PNG file.
///
/// # Errors
///
/// If the drawing library or the encoder refuses: a fault of ours.
pub fn render(scene: &Scene) -> Result<Vec<u8>, ReportError> {
    let failed = |why: String| ReportError::Make { name: "a PNG figure".to_owned(), why };
    let width = (scene.width.ceil() as usize).max(1) * SCALE;
    let height = (scene.height.ceil() as usize).max(1) * SCALE;
    let (fine_width, fine_height) = (width * FINER, height * FINER);
    let mut fine = vec![255u8; fine_width * fine_height * 3];
    {
        let size = (fine_width as u32, fine_height as u32);
        let area = BitMapBackend::with_buffer(&mut fine, size).into_drawing_area();
        for mark in &scene.marks {
            draw(&area, mark).map_err(&failed)?;
        }
        area.present().map_err(|it| failed(it.to_string()))?;
    }
    let pixels = averaged(&fine, width, height);
    let mut bytes = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|it| failed(it.to_string()))?;
        writer.write_image_data(&pixels).map_err(|it| failed(it.to_string()))?;
        writer.finish().map_err(|it| failed(it.to_string()))?;
    }
    Ok(bytes)
}

/// Every pixel is the mean of the finer ones in its place.
fn averaged(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0u32;
                for dy in 0..FINER {
                    let row = (y * FINER + dy) * width * FINER;
                    for dx in 0..FINER {
                        sum += u32::from(fine[(row + x * FINER + dx) * 3 + channel]);
                    }
                }
                out.push((sum / (FINER * FINER) as u32) as u8);
            }
        }
    }
    out
}

fn draw(area: &DrawingArea<BitMapBackend<'_>, Shift>, mark: &Mark) -> Result<(), String> {
    let failed = |it: &dyn std::fmt::Display| it.to_string();
    match mark {
        Mark::Line { points, stroke } => {
            for piece in dashed(points, stroke.dash) {
                let path = PathElement::new(pixels(&piece), style(*stroke));
                area.draw(&path).map_err(|it| failed(&it))?;
            }
        }
        Mark::Area { points, fill, outline } => {
            let filled = ShapeStyle { color: rgb(*fill).into(), filled: true, stroke_width: 0 };
            area.draw(&Polygon::new(pixels(points), filled)).map_err(|it| failed(&it))?;
            if let Some(stroke) = outline {
                let mut closed = points.clone();
                closed.extend(points.first());
                let path = PathElement::new(pixels(&closed), style(*stroke));
                area.draw(&path).map_err(|it| failed(&it))?;
            }
        }
        Mark::Text(Text { x, y, text, size, anchor, color }) => {
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let ink = rgb(*color);
            let style = TextStyle::from(font(size * (SCALE * FINER) as f64))
                .color(&ink)
                .pos(Pos::new(horizontal, VPos::Center));
            // plotters centres the line with its gap; a reader centres the letters.
            area.draw_text(text, &style, pixel((*x, y + size * 0.13))).map_err(|it| failed(&it))?;
        }
    }
    Ok(())
}

/// The visible pieces of a dashed line.
fn dashed(points: &[(f64, f64)], dash: &[f64]) -> Vec<Vec<(f64, f64)>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }
    let mut pieces = Vec::new();
    let (mut part, mut left) = (0, dash[0]);
    let mut piece: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if part % 2 == 0 {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            part = (part + 1) % dash.len();
            left = dash[part];
        }
        left -= length - done;
        if part % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    pieces.push(piece);
    pieces.retain(|it| it.len() >= 2);
    pieces
}

fn style(stroke: Stroke) -> ShapeStyle {
    let width = (stroke.width * (SCALE * FINER) as f64).round().max(1.0) as u32;
    ShapeStyle { color: rgb(stroke.color).into(), filled: false, stroke_width: width }
}

fn rgb(Color(red, green, blue): Color) -> RGBColor {
    RGBColor(red, green, blue)
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    let scale = (SCALE * FINER) as f64;
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

fn pixels(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let mut out: Vec<(i32, i32)> = points.iter().map(|&it| pixel(it)).collect();
    // A step of no length has no direction to draw.
    out.dedup();
    if out.len() == 1 {
        out.push(out[0]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_run_on_around_corners() {
        let line = [(0.0, 0.0), (3.0, 0.0), (3.0, 10.0)];
        let pieces = dashed(&line, &[4.0, 2.0]);
        assert_eq!(pieces[0], [(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)]);
        assert_eq!(pieces[1], [(3.0, 3.0), (3.0, 7.0)]);
        assert_eq!(pieces[2], [(3.0, 9.0), (3.0, 10.0)]);
    }

    #[test]
    fn the_same_scene_gives_the_same_file() {
        let mut scene = Scene::new(40.0, 20.0, "x".to_owned());
        scene.text((20.0, 10.0), "ä±µ…", 10.0, Anchor::Middle, Color::INK);
        scene.line(vec![(0.0, 0.0), (40.0, 20.0)], Stroke::solid(Color::GREY, 1.0));
        let file = render(&scene).unwrap();
        assert_eq!(&file[1..4], b"PNG");
        assert_eq!(file, render(&scene).unwrap());
    }
}
