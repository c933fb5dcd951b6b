//! Runs the binary, as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `bayplan` in a folder.
pub(crate) fn bayplan(dir: &Path, args: &[&str]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_bayplan"))
        .current_dir(dir)
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary was built with the tests");
    answer(&output)
}

pub(crate) fn answer(output: &Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `bayplan` and insists that it is content.
#[track_caller]
pub(crate) fn succeed(dir: &Path, args: &[&str]) -> Answer {
    let answer = bayplan(dir, args);
    assert_eq!(answer.code, 0, "{args:?}\n{}\n{}", answer.out, answer.err);
    answer
}

/// The folder of data that does not belong to the project, if it is there.
#[expect(clippy::print_stdout, reason = "a test says what it skips")]
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let dir = std::env::var_os("BAYPLAN_SHARED").map_or(beside, PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no ../shared and no BAYPLAN_SHARED");
    None
}

/// A column of a CSV file, by name.
pub(crate) fn column(path: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let at = reader.headers().unwrap().iter().position(|it| it == name);
    let at = at.unwrap_or_else(|| panic!("{} has no column {name}", path.display()));
    reader.records().map(|it| it.unwrap()[at].to_owned()).collect()
}

/// Writes a file into a folder and returns its name.
pub(crate) fn put(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    std::fs::write(dir.join(name), text).unwrap();
    name.to_owned()
}
