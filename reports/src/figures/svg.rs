//! Scenes as SVG.

use super::scene::Scene;

/// SVG text.
pub fn render(_scene: &Scene) -> String {
    String::new()
}
