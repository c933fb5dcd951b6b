//! Reports from made-up runs: every file of a folder, and what must hold of them.

mod fake;

use fake::{Look, POLICIES, USUAL, comparison};
use reports::comparison::Comparison;
use reports::table::{TableStyle, table};
use reports::write::write_all;
use std::path::Path;

/// The usual comparison and the odd ones.
fn gallery() -> Vec<(&'static str, Comparison)> {
    let quiet = Look { noise: 0.0, ..USUAL };
    let equal = Look { noise: 0.0, contrast: 0.0, ..USUAL };
    let close = Look { contrast: 0.01, noise: 0.1, ..USUAL };
    let plain = Look { zones: false, gpus: false, ..USUAL };
    vec![
        ("usual", comparison(&POLICIES, &[1, 2, 3], USUAL)),
        ("one-policy", comparison(&POLICIES[1..2], &[1, 2, 3], USUAL)),
        ("one-seed", comparison(&POLICIES[..4], &[7], USUAL)),
        ("one-run", comparison(&POLICIES[..1], &[7], USUAL)),
        ("exact", comparison(&POLICIES[..3], &[1, 2], quiet)),
        ("equal", comparison(&POLICIES[..3], &[1, 2], equal)),
        ("close", comparison(&POLICIES[..4], &[1, 2, 3], close)),
        ("no-zones-no-gpus", comparison(&POLICIES[..3], &[1, 2, 3], plain)),
        ("nothing", comparison(&[], &[], USUAL)),
    ]
}

/// Writes every comparison below the target folder, for the eye: each file must come out whole.
#[test]
fn everything_can_be_written() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gallery");
    for (name, comparison) in gallery() {
        let written = write_all(&root.join(name), &comparison).unwrap();
        for file in &written.files {
            assert!(std::fs::metadata(file).unwrap().len() > 0, "{} is empty", file.display());
        }
        let text = table(&comparison, TableStyle::default());
        let verdict = comparison.verdict();
        let said = format!("{text}\n{}\n\n- {}\n", verdict.sentence, verdict.support.join("\n- "));
        std::fs::write(root.join(name).join("terminal.txt"), said).unwrap();
    }
}
