//! Every policy in every headline metric, relative to the best.

use super::Entry;
use super::chart::{LABEL_SIZE, Sheet, WIDTH};
use super::scene::{Anchor, Color, Scene, Stroke, fitted, text_width};
use crate::column::{Better, Unit};
use crate::comparison::{Comparison, LEVEL, MetricRow, Standing, is_level};
use crate::number::Scale;

pub(super) const ENTRY: Entry =
    Entry { name: "overview", title: "Headline metrics, relative to the best", draw };

const ROW: f64 = 36.0;
const HEAD: f64 = 50.0;

/// Darkest cell; light enough for dark text.
const SHADE: Color = Color(0xE6, 0x9F, 0x00);

/// How far a cell goes towards it.
const DARKEST: f64 = 0.85;

/// Difference of shares from which a cell is darkest; of other values, twice the best.
const FULL_SHARE: f64 = 0.2;

fn draw(comparison: &Comparison) -> Scene {
    let rows: Vec<&MetricRow> =
        comparison.headlines().filter(|it| it.column.better != Better::Neither).collect();
    let any_ranked = rows.iter().any(|it| it.best.is_some());
    let note = if !any_ranked {
        "Nothing is ranked: there is one policy, or all have the same values."
    } else {
        "Darker is further from the best mean, up to twice as bad or 20 points. * best, = not told \
         apart from it."
    };
    let policies = comparison.policies();
    let height = HEAD + ROW * policies.len() as f64 + 8.0;
    if rows.is_empty() || policies.is_empty() {
        let mut sheet = Sheet::new(comparison, ENTRY.title, 60.0, false, "");
        sheet.nothing("No headline metric has a value.");
        return sheet.scene;
    }
    let mut sheet = Sheet::new(comparison, ENTRY.title, height, false, note);
    let (top, scene) = (sheet.top + HEAD, &mut sheet.scene);
    let names: Vec<String> = policies.iter().map(|it| fitted(it, LABEL_SIZE, 230.0)).collect();
    let name_width = names.iter().map(|it| text_width(it, LABEL_SIZE)).fold(0.0, f64::max);
    let left = 14.0 + name_width + 12.0;
    let width = ((WIDTH - left - 14.0) / rows.len() as f64).min(150.0);
    for (it, name) in names.iter().enumerate() {
        let y = top + ROW * (it as f64 + 0.5);
        scene.text((left - 10.0, y), name.clone(), LABEL_SIZE, Anchor::End, Color::INK);
    }
    for (at, row) in rows.iter().enumerate() {
        let x = left + width * at as f64;
        head(scene, row, x + width / 2.0, top, width);
        column(scene, row, (x, top, width));
    }
    sheet.scene
}

fn head(scene: &mut Scene, row: &MetricRow, middle: f64, top: f64, width: f64) {
    let mut lines: Vec<String> = vec![String::new()];
    for word in Scale::of_row(row).titled(&row.column).split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if text_width(&format!("{last} {word}"), LABEL_SIZE) <= width - 6.0 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let count = lines.len() as f64;
    for (it, line) in lines.into_iter().enumerate() {
        let y = top - 12.0 - 14.5 * (count - 1.0 - it as f64);
        scene.text((middle, y), line, LABEL_SIZE, Anchor::Middle, Color::INK);
    }
}

fn column(scene: &mut Scene, row: &MetricRow, (x, top, width): (f64, f64, f64)) {
    let scale = Scale::of_row(row);
    let best = row.best.and_then(|it| row.cells[it].mean);
    for (it, cell) in row.cells.iter().enumerate() {
        let y = top + ROW * it as f64;
        let middle = x + width / 2.0;
        let Some(mean) = cell.mean else {
            scene.text((middle, y + ROW / 2.0), "–", LABEL_SIZE, Anchor::Middle, Color::GREY);
            continue;
        };
        let share = best.map_or(0.0, |best| darkness(row, best, mean, scale));
        let fill = Color::WHITE.mix(SHADE, DARKEST * share);
        scene.rect(x + 1.0, y + 1.0, width - 2.0, ROW - 2.0, fill);
        let corners = [(1.0, 1.0), (width - 1.0, 1.0), (width - 1.0, ROW - 1.0), (1.0, ROW - 1.0)];
        let edge: Vec<(f64, f64)> =
            corners.iter().chain(&corners[..1]).map(|it| (x + it.0, y + it.1)).collect();
        scene.line(edge, Stroke::solid(Color::GRID, 0.8));
        let sign = match cell.standing {
            Standing::Best => " *",
            Standing::Tied => " =",
            _ => "",
        };
        let apart = best.map_or_else(String::new, |best| relative(row, best, mean, scale));
        let text = format!("{}{sign}", scale.bare(mean));
        let high = if apart.is_empty() { ROW / 2.0 } else { 13.0 };
        scene.text((middle, y + high), text, LABEL_SIZE + 0.5, Anchor::Middle, Color::INK);
        scene.text((middle, y + 27.0), apart, LABEL_SIZE - 2.0, Anchor::Middle, Color::INK);
    }
}

/// How far a cell's colour goes, from 0 to 1: by what the distance means, not by the other policies.
fn darkness(row: &MetricRow, best: f64, mean: f64, scale: Scale) -> f64 {
    let is_worse = if row.column.better == Better::Higher { mean < best } else { mean > best };
    let is_share = row.column.unit == Unit::Share;
    let is_unseen = match is_share {
        true => (mean - best).abs() < LEVEL,
        false => is_level(mean, best),
    };
    if !is_worse || is_unseen || scale.bare(mean) == scale.bare(best) {
        return 0.0;
    }
    if is_share {
        return ((mean - best).abs() / FULL_SHARE).min(1.0);
    }
    let (small, large) = (mean.min(best), mean.max(best));
    // Beside a zero every value is many times as much; of durations one second is nothing to speak of.
    let small = if small == 0.0 && row.column.unit == Unit::Us { 1e6 } else { small };
    if small <= 0.0 { 1.0 } else { (large / small - 1.0).clamp(0.0, 1.0) }
}

/// How far from the best: percentage points for shares, else a factor or a difference.
fn relative(row: &MetricRow, best: f64, mean: f64, scale: Scale) -> String {
    let signed = |text: String| {
        let looks_zero = text.bytes().all(|it| matches!(it, b'0' | b'.'));
        match () {
            _ if looks_zero => String::new(),
            _ if text.starts_with('-') => text.replacen('-', "−", 1),
            _ => format!("+{text}"),
        }
    };
    if mean == best {
        return String::new();
    }
    if row.column.unit == Unit::Share {
        let text = signed(scale.bare(mean - best));
        return if text.is_empty() { text } else { format!("{text} pp") };
    }
    if best == 0.0 {
        return signed(scale.bare(mean - best));
    }
    let ratio = mean / best;
    match ratio {
        it if it >= 2.0 => format!("×{it:.1}"),
        it => {
            let text = signed(format!("{:.1}", (it - 1.0) * 100.0));
            if text.is_empty() { text } else { format!("{text} %") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Column;
    use crate::comparison::{Cell, Outcome};

    #[test]
    fn shade_is_by_what_a_distance_means() {
        let shade = |unit, better, best: f64, mean: f64| {
            let cell =
                |mean, standing| Cell { n: 1, mean: Some(mean), standing, ..Cell::default() };
            let row = MetricRow {
                column: Column::new("x", unit, better, "x", "x"),
                cells: vec![cell(best, Standing::Best), cell(mean, Standing::Tied)],
                best: Some(0),
                outcome: Outcome::NoDifference,
            };
            let share = darkness(&row, best, mean, Scale::of_row(&row));
            // Ties are shaded like all others.
            let mut scene = Scene::default();
            column(&mut scene, &row, (0.0, 0.0, 100.0));
            let fill = Color::WHITE.mix(SHADE, DARKEST * share);
            let drawn = format!("{:?}", scene.marks);
            assert!(drawn.contains(&format!("{fill:?}")), "{share}: {drawn}");
            (share * 1000.0).round() / 1000.0
        };
        let (lower, higher) = (Better::Lower, Better::Higher);
        assert_eq!(shade(Unit::Us, lower, 10e6, 1689e6), 1.0);
        assert_eq!(shade(Unit::Us, lower, 10e6, 15e6), 0.5);
        assert_eq!(shade(Unit::Us, lower, 10e6, 10.004e6), 0.0);
        assert_eq!(shade(Unit::Us, lower, 0.0, 1.0), 0.0);
        assert_eq!(shade(Unit::Tasks, lower, 0.0, 3.0), 1.0);
        assert_eq!(shade(Unit::Share, lower, 0.10, 0.15), 0.25);
        assert_eq!(shade(Unit::Share, higher, 0.80, 0.50), 1.0);
        assert_eq!(shade(Unit::Share, higher, 0.5, 0.499_7), 0.0);
        // Better than the best mean: it has fewer seeds.
        assert_eq!(shade(Unit::Share, higher, 0.5, 0.6), 0.0);
    }
}
