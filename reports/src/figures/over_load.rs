//! Values over load: two panels over one axis, with published values beside ours.

use super::chart::{Axis, Panel, Sheet};
use super::scene::{Color, Scene, Stroke};

/// Height of one panel.
const PANEL: f64 = 300.0;
/// Half the size of a published value's cross.
const ARM: f64 = 3.5;

/// Pairs of load and value.
pub type Points = Vec<(f64, f64)>;

/// A figure over load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OverLoad {
    /// Heading.
    pub title: String,
    /// What load is, with its unit.
    pub load: String,
    /// What the panels show, with units.
    pub panels: [String; 2],
    /// Caption.
    pub note: String,
    /// One a policy.
    pub lines: Vec<Line>,
}

/// A policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// Per panel our values and the published ones.
    pub panels: [(Points, Points); 2],
}

/// Draws it. The axis of load goes from the first to the last published value, or over all of ours
/// where there is none.
pub fn draw(figure: &OverLoad) -> Scene {
    let names: Vec<String> = figure.lines.iter().map(|it| it.name.clone()).collect();
    let mut sheet = Sheet::named(&names, &figure.title, 2.0 * PANEL, true, &figure.note);
    for (at, title) in figure.panels.iter().enumerate() {
        let known = figure.lines.iter().flat_map(|it| &it.panels[at].1);
        let ours = figure.lines.iter().flat_map(|it| &it.panels[at].0);
        let (low, high) = range(known.map(|it| it.0))
            .or_else(|| range(ours.clone().map(|it| it.0)))
            .unwrap_or((0.0, 1.0));
        let shown = |it: &&(f64, f64)| it.0 >= low && it.0 <= high;
        let (least, most) = range(ours.filter(shown).map(|it| it.1)).unwrap_or((0.0, 1.0));
        let x = Axis::exact(low, high, 9, figure.load.clone());
        let y = Axis::linear(least, most, 6, title.clone());
        let panel = Panel::wide(sheet.top + PANEL * at as f64, PANEL, x, y);
        panel.frame(&mut sheet.scene);
        for (policy, line) in figure.lines.iter().enumerate() {
            let (ours, known) = &line.panels[at];
            let points: Vec<(f64, Option<f64>)> =
                ours.iter().filter(shown).map(|it| (it.0, Some(it.1))).collect();
            panel.series(&mut sheet.scene, policy, figure.lines.len(), &points);
            for &(load, value) in known {
                let (x, y) = panel.point(load, value);
                let ink = Stroke::solid(Color::INK, 1.1);
                sheet.scene.line(vec![(x - ARM, y), (x + ARM, y)], ink);
                sheet.scene.line(vec![(x, y - ARM), (x, y + ARM)], ink);
            }
        }
    }
    sheet.scene
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, it| {
        let (low, high) = range.unwrap_or((it, it));
        Some((low.min(it), high.max(it)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::scene::Mark;

    #[test]
    fn published_values_are_crosses_on_their_lines() {
        let points = vec![(40.0, 40.0), (90.0, 89.0), (130.0, 95.0)];
        let line = Line {
            name: "fgd".to_owned(),
            panels: [(points.clone(), vec![(90.0, 89.0)]), (points, vec![])],
        };
        let titles = ["a".to_owned(), "b".to_owned()];
        let figure = OverLoad { panels: titles, lines: vec![line], ..OverLoad::default() };
        let scene = draw(&figure);
        let crosses = scene.marks.iter().filter(|it| {
            matches!(it, Mark::Line { points, stroke } if stroke.width == 1.1 && points.len() == 2)
        });
        assert_eq!(crosses.count(), 2);
        assert!(!draw(&OverLoad::default()).marks.is_empty());
    }
}
