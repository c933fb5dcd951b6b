//! Fragmentation over time.

use super::chart::{Sheet, averaged_over};
use super::scene::Scene;
use super::{Entry, over_time};
use crate::comparison::Comparison;

pub(super) const ENTRY: Entry =
    Entry { name: "fragmentation", title: "Fragmentation over time", draw };

/// Height of one panel.
const PANEL: f64 = 250.0;

fn draw(comparison: &Comparison) -> Scene {
    let shown: Vec<&str> = ["cpu", "gpu", "memory", "disk"]
        .into_iter()
        .filter(|it| over_time::has_values(comparison, &format!("{it}_fragmented_share")))
        .take(2)
        .collect();
    let note = format!(
        "Share of free capacity that the usual mix of tasks cannot use; no line where nothing is \
         free. {}",
        averaged_over(comparison)
    );
    let height = if shown.is_empty() { 60.0 } else { PANEL * shown.len() as f64 };
    let has_any = !shown.is_empty();
    let mut sheet = Sheet::new(comparison, ENTRY.title, height, has_any, &note);
    if !has_any {
        sheet.nothing(
            "No run has a value: nothing was free, nothing was submitted, or no run finished.",
        );
    }
    for (it, resource) in shown.iter().enumerate() {
        let place = (sheet.top + PANEL * it as f64, PANEL);
        let column = format!("{resource}_fragmented_share");
        let title = format!("free {resource} that cannot be used [%]");
        over_time::percent_panel(&mut sheet.scene, comparison, &column, &title, place);
    }
    sheet.scene
}
