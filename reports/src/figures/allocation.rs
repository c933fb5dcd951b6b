//! Allocation over time.

use super::chart::{Sheet, averaged_over};
use super::scene::Scene;
use super::{Entry, over_time};
use crate::comparison::Comparison;

pub(super) const ENTRY: Entry = Entry { name: "allocation", title: "Allocation over time", draw };

/// Height of one panel.
const PANEL: f64 = 250.0;

fn draw(comparison: &Comparison) -> Scene {
    // The two resources that say most: processors, and devices where there are any.
    let resources = ["cpu", "gpu", "memory", "disk"];
    let shown: Vec<&str> = resources
        .into_iter()
        .filter(|it| over_time::has_values(comparison, &format!("{it}_allocated_share")))
        .take(2)
        .collect();
    let note = format!(
        "Share of physical capacity that placed tasks ask for, sampled. {}",
        averaged_over(comparison)
    );
    let height = if shown.is_empty() { 60.0 } else { PANEL * shown.len() as f64 };
    let has_any = !shown.is_empty();
    let mut sheet = Sheet::new(comparison, ENTRY.title, height, has_any, &note);
    if !has_any {
        sheet.nothing("No run has a value: the cluster has no capacity, or no run finished.");
    }
    for (it, resource) in shown.iter().enumerate() {
        let place = (sheet.top + PANEL * it as f64, PANEL);
        let column = format!("{resource}_allocated_share");
        let title = format!("{resource} allocated [%]");
        over_time::percent_panel(&mut sheet.scene, comparison, &column, &title, place);
    }
    sheet.scene
}
