//! Axes, legends and the sheet they stand on: what figures share.

use super::scene::{Anchor, Color, Look, Scene, Stroke, fitted, text_width};
use crate::comparison::Comparison;
use crate::verdict::seeds_text;

/// Width of every figure in points: fits a page.
pub(super) const WIDTH: f64 = 860.0;
const MARGIN: f64 = 14.0;
const TITLE_SIZE: f64 = 16.0;
/// Size of labels.
pub(super) const LABEL_SIZE: f64 = 12.0;
const NOTE_SIZE: f64 = 11.5;
const LEGEND_ROW: f64 = 19.0;

/// A figure's frame: heading above, legend and caption below, room for panels between.
pub(super) struct Sheet {
    /// What is drawn.
    pub(super) scene: Scene,
    /// Top of the room.
    pub(super) top: f64,
}

impl Sheet {
    /// A sheet with room of the given height between heading and foot. The legend, if `legend`, names
    /// every policy; `note` says what is averaged.
    pub(super) fn new(
        comparison: &Comparison,
        title: &str,
        height: f64,
        legend: bool,
        note: &str,
    ) -> Self {
        Self::named(comparison.policies(), title, height, legend, note)
    }

    /// As [`Sheet::new`], for these names.
    pub(super) fn named(
        policies: &[String],
        title: &str,
        height: f64,
        legend: bool,
        note: &str,
    ) -> Self {
        let top = 40.0;
        let rows = if legend { legend_rows(policies) } else { Vec::new() };
        let foot = rows.len() as f64 * LEGEND_ROW + 34.0;
        let mut scene = Scene::new(WIDTH, top + height + foot, format!("{title}. {note}"));
        scene.text((MARGIN, 20.0), title, TITLE_SIZE, Anchor::Start, Color::INK);
        let mut y = top + height + 12.0;
        for row in &rows {
            let mut x = MARGIN;
            for entry in row {
                let look = Look::of(entry.policy);
                scene.line(vec![(x, y), (x + 34.0, y)], look.stroke());
                scene.marks.push(look.marker(x + 17.0, y, 4.5));
                let place = (x + 40.0, y);
                scene.text(place, entry.name.clone(), LABEL_SIZE, Anchor::Start, Color::INK);
                x += entry.width;
            }
            y += LEGEND_ROW;
        }
        scene.text((MARGIN, y + 6.0), note, NOTE_SIZE, Anchor::Start, Color::GREY);
        Self { scene, top }
    }

    /// Says in place of a panel why there is nothing to see.
    pub(super) fn nothing(&mut self, why: &str) {
        let place = (WIDTH / 2.0, self.top + 30.0);
        self.scene.text(place, why, LABEL_SIZE + 1.0, Anchor::Middle, Color::GREY);
    }
}

struct LegendEntry {
    policy: usize,
    name: String,
    width: f64,
}

fn legend_rows(policies: &[String]) -> Vec<Vec<LegendEntry>> {
    let room = WIDTH - 2.0 * MARGIN;
    let mut rows: Vec<Vec<LegendEntry>> = Vec::new();
    let mut used = f64::INFINITY;
    for (policy, name) in policies.iter().enumerate() {
        let name = fitted(name, LABEL_SIZE, room - 60.0);
        let width = 40.0 + text_width(&name, LABEL_SIZE) + 18.0;
        if used + width > room + 18.0 {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += width;
        if let Some(row) = rows.last_mut() {
            row.push(LegendEntry { policy, name, width });
        }
    }
    rows
}

/// What is averaged, for a caption.
pub(super) fn averaged_over(comparison: &Comparison) -> String {
    match comparison.seeds() {
        [seed] => format!("One seed ({seed}): the spread is unknown."),
        _ if comparison.is_exact() => {
            "Input and policies do not depend on the seed: exact values.".to_owned()
        }
        seeds => format!("Mean of {}.", seeds_text(seeds.len())),
    }
}

/// An axis: which values, and which of them are marked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Value at the low end.
    pub(super) low: f64,
    /// Value at the high end.
    pub(super) high: f64,
    /// Whether equal steps are equal ratios.
    pub(super) is_log: bool,
    /// Values with their texts.
    pub(super) ticks: Vec<(f64, String)>,
    /// What it shows, with its unit.
    pub(super) title: String,
}

impl Axis {
    /// A linear axis over at least `low..=high` with about `count` marks at round numbers.
    pub(super) fn linear(low: f64, high: f64, count: usize, title: String) -> Self {
        let span = if high > low { high - low } else { low.abs().max(1.0) };
        let rough = span / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|it| it * power)
            .find(|&it| it >= rough * 0.999)
            .unwrap_or(power * 10.0);
        let (first, last) = ((low / step).floor(), ((low + span) / step - 1e-9).ceil());
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks = (0..=(last - first) as usize)
            .map(|it| {
                let value = (first + it as f64) * step;
                (value, format!("{value:.decimals$}"))
            })
            .collect();
        Self { low: first * step, high: last * step, is_log: false, ticks, title }
    }

    /// A linear axis that ends just where the values end; marks inside.
    pub(super) fn exact(low: f64, high: f64, count: usize, title: String) -> Self {
        let mut axis = Self::linear(low, high, count, title);
        let high = if high > low { high } else { axis.high };
        axis.ticks.retain(|it| it.0 >= low - 1e-9 && it.0 <= high * (1.0 + 1e-9));
        (axis.low, axis.high) = (low, high);
        axis
    }

    /// Shares from 0 to at least 100 %, in percent.
    pub(super) fn percent(highest: f64, title: String) -> Self {
        Self::linear(0.0, highest.max(100.0), 5, title)
    }

    /// Position of a value between 0 (low end) and 1 (high end); outside values stick to the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
}

/// A place to draw in: axes around it.
pub(super) struct Panel {
    /// Left edge of the data.
    pub(super) left: f64,
    /// Top edge.
    pub(super) top: f64,
    /// Width of the data.
    pub(super) width: f64,
    /// Height of the data.
    pub(super) height: f64,
    /// Horizontal.
    pub(super) x: Axis,
    /// Vertical; high end up.
    pub(super) y: Axis,
}

impl Panel {
    /// Room above the data for the title of the vertical axis.
    pub(super) const ABOVE: f64 = 22.0;
    /// Room below the data for the horizontal axis.
    pub(super) const BELOW: f64 = 44.0;

    /// A panel over the whole width of a sheet, everything included in `height`.
    pub(super) fn wide(top: f64, height: f64, x: Axis, y: Axis) -> Self {
        let labels = y.ticks.iter().map(|it| text_width(&it.1, LABEL_SIZE)).fold(0.0, f64::max);
        let left = MARGIN + labels + 8.0;
        Self {
            left,
            top: top + Self::ABOVE,
            width: WIDTH - left - MARGIN - 10.0,
            height: height - Self::ABOVE - Self::BELOW,
            x,
            y,
        }
    }

    /// Where a value pair is.
    pub(super) fn point(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + self.width * self.x.at(x), self.top + self.height * (1.0 - self.y.at(y)))
    }

    /// Draws grid, axes, marks and titles.
    pub(super) fn frame(&self, scene: &mut Scene) {
        let (right, low) = (self.left + self.width, self.top + self.height);
        let grid = Stroke::solid(Color::GRID, 0.7);
        for (value, text) in &self.y.ticks {
            let y = self.point(self.x.low, *value).1;
            scene.line(vec![(self.left, y), (right, y)], grid);
            let place = (self.left - 6.0, y);
            scene.text(place, text.clone(), LABEL_SIZE, Anchor::End, Color::INK);
        }
        let mut free_from = f64::NEG_INFINITY;
        for (value, text) in &self.x.ticks {
            let x = self.point(*value, self.y.low).0;
            scene.line(vec![(x, self.top), (x, low)], grid);
            let half = text_width(text, LABEL_SIZE) / 2.0;
            if x - half >= free_from {
                scene.text((x, low + 13.0), text.clone(), LABEL_SIZE, Anchor::Middle, Color::INK);
                free_from = x + half + 6.0;
            }
        }
        let ink = Stroke::solid(Color::INK, 1.0);
        scene.line(vec![(self.left, self.top), (self.left, low), (right, low)], ink);
        let above = (self.left, self.top - 12.0);
        scene.text(above, self.y.title.clone(), LABEL_SIZE, Anchor::Start, Color::INK);
        let below = (self.left + self.width / 2.0, low + 30.0);
        scene.text(below, self.x.title.clone(), LABEL_SIZE, Anchor::Middle, Color::INK);
    }

    /// Draws the line of the n-th of `count` policies, with a few markers at places of its own.
    pub(super) fn series(
        &self,
        scene: &mut Scene,
        policy: usize,
        count: usize,
        values: &[(f64, Option<f64>)],
    ) {
        let look = Look::of(policy);
        let mut run: Vec<(f64, f64)> = Vec::new();
        let mut runs = Vec::new();
        for &(x, y) in values {
            match y {
                Some(y) => run.push(self.point(x, y)),
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        runs.push(run);
        for run in &runs {
            scene.line(thinned(run), look.stroke());
        }
        const MARKERS: usize = 6;
        let all: Vec<(f64, f64)> = runs.into_iter().flatten().collect();
        for it in 0..MARKERS {
            let share = (it as f64 + (policy as f64 + 0.5) / count as f64) / MARKERS as f64;
            let x = self.left + self.width * share;
            if let Some(pair) = all.windows(2).find(|pair| pair[0].0 <= x && x <= pair[1].0) {
                let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
                let y = if x1 > x0 { y0 + (y1 - y0) * (x - x0) / (x1 - x0) } else { y0 };
                scene.marks.push(look.marker(x, y, 4.0));
            }
        }
    }
}

/// The line without the points that lie on it anyhow.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for &(x, y) in points {
        if let [.., a, b] = out[..]
            && (a.1 - b.1).abs() < 0.01
            && (b.1 - y).abs() < 0.01
        {
            out.pop();
        }
        out.push((x, y));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let axis = Axis::linear(0.0, 87.0, 5, String::new());
        let texts: Vec<&str> = axis.ticks.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(texts, ["0", "20", "40", "60", "80", "100"]);
        let axis = Axis::linear(0.0, 0.043, 4, String::new());
        let texts: Vec<&str> = axis.ticks.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(texts, ["0.00", "0.02", "0.04", "0.06"]);
        assert!(Axis::linear(0.0, 0.0, 5, String::new()).high > 0.0);
    }

    #[test]
    fn values_outside_stay_at_the_edge() {
        let axis = Axis::linear(0.0, 10.0, 5, String::new());
        assert_eq!((axis.at(-5.0), axis.at(5.0), axis.at(50.0)), (0.0, 0.5, 1.0));
        let axis =
            Axis { low: 1.0, high: 100.0, is_log: true, ticks: vec![], title: String::new() };
        assert!((axis.at(10.0) - 0.5).abs() < 1e-12);
        assert_eq!(axis.at(0.0), 0.0);
    }
}
