//! The recipe of the crate's first page, followed to the letter: a new strategy is one new file and two
//! lines, and then is a policy, stands in the list and is under the contract tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The new file.
const LAST_FIT: &str = r#"//! Last fit: the last node, in the order in which nodes joined, on which the task fits.
//!
//! Source: the test of the recipe for newcomers.

use crate::card::{Card, Parameter};
use crate::parts::Part;
use crate::policy::{Arguments, Plan, PolicyError};
use crate::rank::{Locality, Rank};
use cluster::ids::NodeId;
use cluster::scheduler::Ask;
use cluster::state::State;
use std::cmp::Reverse;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "last-fit",
    summary: "the last node on which the task fits",
    source: "the test of the recipe for newcomers",
    differs: "in nothing",
    cost: "one pass over the nodes",
    parameters: &[Parameter::OPEN],
    example: "last-fit:open=first",
};

/// Reads the arguments of a policy.
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    arguments.per_task(LastFit)
}

/// Highest row first.
#[derive(Debug, Clone, Copy)]
pub struct LastFit;

impl Rank for LastFit {
    type Key = Reverse<NodeId>;
    type Memory = ();

    fn card(&self) -> &'static Card {
        &CARD
    }

    fn locality(&self, _ask: Ask<'_>) -> Locality {
        Locality::NodeLocal
    }

    fn keys<'a>(&'a self, _: Ask<'a>, _: &'a State) -> impl Fn(NodeId) -> Reverse<NodeId> {
        Reverse
    }

    fn parts(&self, Reverse(node): Self::Key) -> Vec<Part> {
        vec![Part::highest("row", node.0)]
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;

    #[test]
    fn takes_the_last_with_room() {
        check("last-fit", "4/8 4/8 1/8", "2/4 2/4 2/4", "n1 n1 n0");
    }
}
"#;

/// The two lines: each new one, and the line after which it is put.
const LINES: [(&str, &str); 2] = [
    ("pub mod last_fit;", "pub mod first_fit;"),
    (
        "    Entry { card: &last_fit::CARD, plan: last_fit::plan },",
        "    Entry { card: &first_fit::CARD, plan: first_fit::plan },",
    ),
];

#[test]
fn a_strategy_is_one_new_file_and_two_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path();
    for part in ["Cargo.lock", "rust-toolchain.toml", "cluster", "schedulers"] {
        copy_tree(&root.join(part), &copy.join(part));
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    fs::write(copy.join("Cargo.toml"), two_members(&manifest)).unwrap();

    fs::write(copy.join("schedulers/src/last_fit.rs"), LAST_FIT).unwrap();
    let list = copy.join("schedulers/src/lib.rs");
    let mut text = fs::read_to_string(&list).unwrap();
    for (new, after) in LINES {
        let at = text.find(&format!("{after}\n")).unwrap_or_else(|| panic!("no line {after:?}"));
        text.insert_str(at + after.len() + 1, &format!("{new}\n"));
    }
    fs::write(&list, text).unwrap();

    let tests = [
        "last_fit::",
        "tests::every_strategy_keeps_the_contract",
        "tests::memory_is_all_that_counts",
        "tests::cards_are_complete_and_their_examples_work",
        "policy::tests::what_is_printed_reads_as_the_same",
    ];
    let said = cargo(copy, &["test", "--lib", "--"], &tests);
    assert!(said.contains("test result: ok. 5 passed"), "its own test and four for all: {said}");

    let listed = cargo(copy, &["run", "--example", "policies", "--"], &["last-fit:open=first"]);
    let row = "last-fit the last node on which the task fits";
    let is_row = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ") == row;
    assert!(listed.lines().any(is_row), "{listed}");
    assert!(listed.ends_with("last-fit:open=first is a policy\n"), "{listed}");
}

/// The root manifest with no other members.
fn two_members(manifest: &str) -> String {
    let is_list = |it: &&str| it.starts_with("members") || it.starts_with("default-members");
    let kept: Vec<&str> = manifest.lines().filter(|it| !is_list(it)).collect();
    kept.join("\n").replacen(
        "[workspace]",
        "[workspace]\nmembers = [\"cluster\", \"schedulers\"]",
        1,
    ) + "\n"
}

fn copy_tree(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy_tree(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Runs cargo offline in the copy and returns its output. What it builds is kept from run to run beside
/// this test's own files, so that only the first run is slow.
fn cargo(copy: &Path, command: &[&str], rest: &[&str]) -> String {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("newcomer");
    let (verb, options) = command.split_first().unwrap();
    let output = Command::new(env!("CARGO"))
        .current_dir(copy)
        .args([verb, "--quiet", "--offline", "-p", "bayplan-schedulers"])
        .args(options)
        .args(rest)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_TERM_COLOR", "never")
        .env("PROPTEST_CASES", "16")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {verb} failed\n{out}\n{err}");
    out
}
