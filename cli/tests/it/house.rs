//! The house's rules: who may depend on whom, and what may stand where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The arrows of ARCHITECTURE.md. Development dependencies count.
const ARROWS: &[(&str, &[&str])] = &[
    ("cluster", &[]),
    ("schedulers", &["cluster"]),
    ("traces", &["cluster"]),
    ("sim", &["cluster"]),
    ("runtime", &["cluster"]),
    ("reports", &["cluster"]),
    ("cli", &["cluster", "schedulers", "traces", "sim", "runtime", "reports"]),
    ("benches", &["cluster", "schedulers", "traces", "sim", "reports"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of ours that a manifest names, in any of its dependency tables.
fn named_in(manifest: &str) -> BTreeSet<String> {
    let mut in_dependencies = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            in_dependencies = table.contains("dependencies");
            // [dependencies.sim]
            if let Some((_, name)) = table.trim_end_matches(']').split_once("dependencies.") {
                found.insert(name.trim_start_matches("bayplan-").to_owned());
            }
        } else if in_dependencies && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            found.insert(name.trim_start_matches("bayplan-").to_owned());
        }
    }
    found.retain(|it| ARROWS.iter().any(|arrow| arrow.0 == it));
    found
}

#[test]
fn no_arrow_is_drawn_that_the_design_does_not_have() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find_map(|it| it.strip_prefix("members = ")).unwrap();
    let members: BTreeSet<&str> = members
        .split('"')
        .filter(|it| it.chars().all(char::is_alphabetic) && !it.is_empty())
        .collect();
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    assert_eq!(
        members,
        drawn.keys().copied().collect(),
        "every crate has its place in the drawing"
    );
    for (name, allowed) in drawn {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"bayplan-{name}\"")), "{name}: package name");
        for other in named_in(&manifest) {
            assert!(
                allowed.contains(&other.as_str()),
                "{name} depends on {other}: the arrow is not in the design. Let the two meet in a \
                 plain type of cluster, and join them in cli"
            );
        }
    }
}

#[test]
fn the_arrow_test_sees_every_way_of_writing_a_dependency() {
    let manifest = "[package]\nname = \"sim\"\n[dependencies]\ncluster.workspace = true\n\
                    [dev-dependencies]\nbayplan-traces = { path = \"../traces\" }\n\
                    [target.'cfg(unix)'.dependencies.reports]\npath = \"../reports\"\n";
    let found: Vec<String> = named_in(manifest).into_iter().collect();
    assert_eq!(found, ["cluster", "reports", "traces"]);
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn strategies_are_known_by_name_in_their_own_crate_only() {
    let names: Vec<String> =
        schedulers::ALL.iter().map(|it| it.card.name.replace('-', "_")).collect();
    for folder in ["cluster", "sim", "traces", "runtime", "reports"] {
        let mut files = Vec::new();
        sources(&root().join(folder).join("src"), &mut files);
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            for name in &names {
                let used =
                    text.contains(&format!("{name}::")) || text.contains(&format!("::{name}"));
                assert!(!used || name == "random", "{} knows {name} by name", path.display());
            }
        }
    }
}

#[test]
fn crates_without_io_say_so_to_clippy() {
    for name in ["cluster", "schedulers", "sim"] {
        let text = std::fs::read_to_string(root().join(name).join("clippy.toml")).unwrap();
        for banned in ["SystemTime::now", "time::Instant::now", "collections::HashMap", "fs::File"]
        {
            assert!(text.contains(banned), "{name}/clippy.toml does not ban {banned}");
        }
    }
}

#[test]
fn no_file_is_named_for_nothing() {
    let mut files = Vec::new();
    for (folder, _) in ARROWS {
        sources(&root().join(folder), &mut files);
    }
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let says_nothing = ["utils", "util", "common", "helpers", "misc", "prelude"];
        assert!(!says_nothing.contains(&name.as_str()), "{}: name the idea", path.display());
    }
}
