//! `bayplan testbed`, without hosts and, where live tests are asked for, with real ones.

use crate::binary::{bayplan, succeed};

#[test]
fn bad_words_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for (args, want) in [
        (&["testbed", "up", "0"][..], "0 is not in 1..=32"),
        (&["testbed", "up", "33"], "33 is not in 1..=32"),
        (&["testbed", "up", "three"], "invalid digit"),
        (&["testbed", "up"], "<N>"),
        (&["testbed", "lower"], "unrecognized subcommand"),
    ] {
        let answer = bayplan(dir.path(), args);
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.err);
        assert!(answer.err.contains(want), "{args:?} should say {want:?}: {}", answer.err);
    }
    assert!(dir.path().read_dir().unwrap().next().is_none(), "a refusal makes no files");
}

#[test]
fn help_says_where_a_testbed_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let answer = succeed(dir.path(), &["testbed", "up", "--help"]);
    assert!(answer.out.contains("~/.local/state"), "{}", answer.out);
}

#[cfg(not(target_os = "linux"))]
#[test]
fn other_systems_are_told_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let answer = bayplan(dir.path(), &["testbed", "status"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("a testbed needs Linux"), "{}", answer.err);
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::{bayplan, succeed};
    use crate::room::{Turn, unfit};
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn where_none_stands_status_helps_and_down_is_content() {
        let dir = tempfile::tempdir().unwrap();
        let status = bayplan(dir.path(), &["testbed", "status", "--dir", "none"]);
        assert_eq!((status.code, status.out.as_str()), (2, ""));
        assert!(status.err.contains("none: holds no testbed"), "{}", status.err);
        assert!(status.err.contains("bayplan testbed up 3"), "{}", status.err);
        let down = succeed(dir.path(), &["testbed", "--dir", "none", "down"]);
        assert_eq!(down.out, "none: no testbed, nothing to take down\n");
        let down = succeed(dir.path(), &["testbed", "down", "--dir", "none", "--format", "json"]);
        assert!(down.out.contains("\"hosts\": 0"), "{}", down.out);
        assert!(dir.path().read_dir().unwrap().next().is_none(), "asking makes no files");
    }

    #[test]
    fn the_usual_folder_follows_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let status = |state: &str, home: &Path| {
            let output = Command::new(env!("CARGO_BIN_EXE_bayplan"))
                .args(["testbed", "down"])
                .env("XDG_STATE_HOME", state)
                .env("HOME", home)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let (state, home) = (dir.path().join("s"), dir.path().join("h"));
        let said = status(&state.to_string_lossy(), &home);
        assert!(said.starts_with(&format!("{}/bayplan-testbed: ", state.display())), "{said}");
        for not_absolute in ["", "relative"] {
            let said = status(not_absolute, &home);
            let want = format!("{}/.local/state/bayplan-testbed: ", home.display());
            assert!(said.starts_with(&want), "{said}");
        }
    }

    #[test]
    fn a_machine_that_cannot_hold_one_is_told_what_it_lacks() {
        let Err(error) = runtime::testbed::check_machine() else { return };
        let dir = tempfile::tempdir().unwrap();
        let answer = bayplan(dir.path(), &["testbed", "up", "1", "--dir", "t"]);
        assert_eq!(answer.code, 2);
        assert!(answer.err.contains("this machine lacks"), "{error}: {}", answer.err);
        assert!(!dir.path().join("t").exists(), "a refusal makes no files");
    }

    /// Takes a testbed down whatever became of the test.
    struct Lowered<'a>(&'a Path);

    impl Drop for Lowered<'_> {
        fn drop(&mut self) {
            let _ = bayplan(self.0, &["testbed", "down", "--dir", "t"]);
        }
    }

    #[test]
    fn one_comes_up_is_shown_and_goes_away_live() {
        if unfit().is_some() {
            return;
        }
        let _turn = Turn::take();
        let dir = tempfile::tempdir().unwrap();
        let _guard = Lowered(dir.path());
        let up = succeed(dir.path(), &["testbed", "up", "2", "--dir", "t"]);
        let hosts_file = dir.path().join("t/hosts.toml");
        assert!(hosts_file.exists());
        assert!(up.out.contains(&*hosts_file.to_string_lossy()), "{}", up.out);
        assert!(up.out.contains("bayplan testbed down --dir "), "{}", up.out);

        let again = bayplan(dir.path(), &["testbed", "up", "2", "--dir", "t"]);
        assert_eq!((again.code, again.out.as_str()), (2, ""));
        assert!(again.err.contains("holds a testbed already"), "{}", again.err);

        let status = succeed(dir.path(), &["testbed", "status", "--dir", "t", "--format", "json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        let hosts: Vec<_> = status["hosts"].as_array().unwrap().iter().collect();
        let names: Vec<_> =
            hosts.iter().map(|it| (it["name"].as_str(), it["state"].as_str())).collect();
        assert_eq!(names, [(Some("n1"), Some("up")), (Some("n2"), Some("up"))]);
        assert_ne!(hosts[0]["address"], hosts[1]["address"]);
        assert_ne!(hosts[0]["zone"], hosts[1]["zone"]);

        let down = succeed(dir.path(), &["testbed", "down", "--dir", "t"]);
        assert_eq!(down.out, "2 hosts are down, nothing is left\n");
        assert!(!dir.path().join("t").exists(), "the folder that it made goes with it");
    }
}
