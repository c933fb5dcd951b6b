//! Zone balance and exposure per policy.

use super::Entry;
use super::chart::{Axis, LABEL_SIZE, Sheet, WIDTH};
use super::scene::{Anchor, Color, Look, Scene, Stroke, fitted, text_width};
use crate::comparison::{Comparison, MetricRow, Standing};
use crate::number::Scale;
use crate::run_report::Grouping;
use crate::verdict::seeds_text;

pub(super) const ENTRY: Entry = Entry { name: "zones", title: "Spread over zones", draw };

const ROW: f64 = 24.0;
const BELOW: f64 = 46.0;
const ABOVE: f64 = 24.0;
const GAP: f64 = 46.0;

fn draw(comparison: &Comparison) -> Scene {
    let columns =
        ["zone_exposure_share_mean", "zone_skew_tasks_mean", "zone_outage_lost_share_max"];
    let shown: Vec<&MetricRow> = columns
        .into_iter()
        .filter_map(|it| comparison.metric(it))
        .filter(|row| row.cells.iter().any(|it| it.mean.is_some()))
        .collect();
    let of = match comparison.runs().first().map(|it| it.report.grouping) {
        Some(Grouping::Groups) => "groups (the run has no service)",
        _ => "services",
    };
    let made_up = match comparison.manifest().synthetic_zones {
        Some(_) => " Zones are synthetic.",
        None => "",
    };
    let spread = match comparison.seeds().len() {
        1 => "one seed, spread unknown".to_owned(),
        _ if comparison.is_exact() => "exact values".to_owned(),
        n => format!("bars: 95 % interval over {}", seeds_text(n)),
    };
    let note = format!(
        "Of {of} with two or more placed tasks; left is better; {spread}; ringed: best, or not told \
         apart from it.{made_up}"
    );
    if shown.is_empty() {
        let mut sheet = Sheet::new(comparison, ENTRY.title, 60.0, false, "");
        sheet.nothing(
            "One zone only, or no service or group with two placed tasks: no spread to show.",
        );
        return sheet.scene;
    }
    let count = comparison.policies().len();
    let height = ABOVE + BELOW + ROW * count as f64;
    let mut sheet = Sheet::new(comparison, ENTRY.title, height, false, &note);
    let (top, scene) = (sheet.top + ABOVE, &mut sheet.scene);

    let names: Vec<String> =
        comparison.policies().iter().map(|it| fitted(it, LABEL_SIZE, 230.0)).collect();
    let name_width = names.iter().map(|it| text_width(it, LABEL_SIZE)).fold(0.0, f64::max);
    let first = 14.0 + name_width + 14.0;
    let low = top + ROW * count as f64;
    for (row, name) in names.iter().enumerate() {
        let y = top + ROW * (row as f64 + 0.5);
        scene.text((first - 12.0, y), name.clone(), LABEL_SIZE, Anchor::End, Color::INK);
    }
    let panels = shown.len() as f64;
    let width = ((WIDTH - first - 24.0 - GAP * (panels - 1.0)) / panels).min(330.0);
    for (it, metric) in shown.iter().enumerate() {
        panel(scene, metric, (first + (width + GAP) * it as f64, top, width, low));
    }
    sheet.scene
}

fn panel(scene: &mut Scene, metric: &MetricRow, (left, top, width, low): (f64, f64, f64, f64)) {
    let scale = Scale::of_row(metric);
    let ends = metric.cells.iter().filter_map(|it| Some(it.mean? + it.ci95_half.unwrap_or(0.0)));
    let highest = ends.map(|it| scale.scaled(it)).fold(0.0, f64::max);
    let highest = if scale.label() == "%" { highest.min(100.0) } else { highest };
    let axis = Axis::linear(0.0, highest, 4, scale.titled(&metric.column));
    let at = |value: f64| left + width * axis.at(value);
    for (value, text) in &axis.ticks {
        scene.line(vec![(at(*value), top), (at(*value), low)], Stroke::solid(Color::GRID, 0.7));
        let place = (at(*value), low + 13.0);
        scene.text(place, text.clone(), LABEL_SIZE, Anchor::Middle, Color::INK);
    }
    scene.line(vec![(left, top), (left, low), (left + width, low)], Stroke::solid(Color::INK, 1.0));
    scene.text((left, top - 12.0), axis.title.clone(), LABEL_SIZE, Anchor::Start, Color::INK);
    for (row, cell) in metric.cells.iter().enumerate() {
        let y = top + ROW * (row as f64 + 0.5);
        let Some(mean) = cell.mean else {
            scene.text((left + 6.0, y), "no value", LABEL_SIZE - 1.0, Anchor::Start, Color::GREY);
            continue;
        };
        let x = at(scale.scaled(mean));
        let look = Look::of(row);
        scene.line(vec![(left, y), (x, y)], Stroke::solid(Color::GRID, 1.2));
        if let Some(half) = cell.ci95_half.filter(|&it| it > 0.0) {
            let ends = [scale.scaled(mean - half), scale.scaled(mean + half)].map(at);
            let bar = Stroke::solid(Color::INK, 1.2);
            scene.line(vec![(ends[0], y), (ends[1], y)], bar);
            for end in ends {
                scene.line(vec![(end, y - 4.0), (end, y + 4.0)], bar);
            }
        }
        if matches!(cell.standing, Standing::Best | Standing::Tied) {
            let ring = (0..=32).map(|it| {
                let angle = std::f64::consts::TAU * f64::from(it) / 32.0;
                (x + 8.5 * angle.sin(), y + 8.5 * angle.cos())
            });
            scene.line(ring.collect(), Stroke::solid(Color::INK, 1.0));
        }
        scene.marks.push(look.marker(x, y, 5.0));
    }
}
