//! Column files through the binary: the same run as from the trace, and a conversion that is killed.

use crate::binary::{bayplan, put, succeed};
use std::path::Path;

const NODES: &str = "name,zone,cpu_cores,mem_gib\na,z1,4,8\nb,z2,4,8\nc,z3,8,16\n";
const TASKS: &str = "id,arrival_s,duration_s,cpu_cores,mem_gib,group\n\
    w1,0,100,1,1,web\nw2,0,100,1,1,web\nw3,1,50,2,2,\nw4,5,20,8,8,db\nw5,6,,1,1,db\n";

fn fingerprint(dir: &Path, trace: &str) -> String {
    let args = ["simulate", "--trace", trace, "-p", "best-fit", "--no-figures", "--out", "o"];
    succeed(dir, &args);
    let text = std::fs::read_to_string(dir.join("o/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    std::fs::remove_dir_all(dir.join("o")).unwrap();
    manifest["fingerprints"][0]["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_from_a_column_file_is_the_run_from_its_trace() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::create_dir(d.join("t")).unwrap();
    put(d, "t/nodes.csv", NODES);
    put(d, "t/tasks.csv", TASKS);
    let google = format!("{}/../traces/fixtures/google-2011", env!("CARGO_MANIFEST_DIR"));
    for trace in ["t", "builtin:small?tasks=2000", &google] {
        let said = succeed(d, &["trace", "convert", trace, "--out", "t.bpc"]).out;
        assert!(said.starts_with("wrote t.bpc: "), "{said}");
        assert_eq!(fingerprint(d, "t.bpc"), fingerprint(d, trace), "{trace}");
        let card = succeed(d, &["trace", "inspect", "t.bpc"]).out;
        assert!(card.contains("columns") && card.contains("made of"), "{card}");
        let again = bayplan(d, &["trace", "convert", trace, "--out", "t.bpc"]);
        assert_eq!(again.code, 2);
        assert!(again.err.contains("t.bpc exists"), "{}", again.err);
        std::fs::remove_file(d.join("t.bpc")).unwrap();
    }
    // The name does not matter where it is said what to write.
    succeed(d, &["trace", "convert", "t", "--out", "t.cache", "--to", "columns"]);
    assert_eq!(fingerprint(d, "t.cache"), fingerprint(d, "t"));
    succeed(d, &["trace", "convert", "t.cache", "--out", "back"]);
    assert_eq!(fingerprint(d, "back"), fingerprint(d, "t"));
    let gzip = bayplan(d, &["trace", "convert", "t", "--out", "x.bpc", "--gzip"]);
    assert!(gzip.code == 2 && gzip.err.contains("--gzip"), "{}", gzip.err);
    let bytes = std::fs::read(d.join("t.cache")).unwrap();
    put(d, "cut.bpc", &bytes[..bytes.len() - 9]);
    let cut = bayplan(d, &["simulate", "--trace", "cut.bpc"]);
    assert_eq!((cut.code, cut.out.as_str()), (2, ""));
    assert!(cut.err.contains("is cut") && cut.err.contains("bayplan trace convert"), "{}", cut.err);
}

/// A trace of Google's form in many parts, which take a while to read.
#[cfg(unix)]
fn many_parts(dir: &Path) {
    let dir = dir.join("g");
    std::fs::create_dir(&dir).unwrap();
    put(&dir, "machine_events-part-00000-of-00001.csv", "0,1,0,p,0.5,0.25\n");
    let mut at = 600_000_000u64;
    for part in 0..30 {
        let mut text = String::new();
        for task in 0..4_000 {
            at += 1_000;
            text += &format!("{at},,6000,{},,0,u,0,2,0.0125,0.0159,,0\n", 10_000 * part + task);
        }
        put(&dir, &format!("task_events-part-{part:05}-of-00030.csv"), text);
    }
}

#[cfg(unix)]
#[test]
fn a_conversion_that_is_interrupted_or_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    many_parts(d);
    succeed(d, &["trace", "convert", "g", "--out", "whole.bpc"]);
    let whole = std::fs::read(d.join("whole.bpc")).unwrap();
    for signal in ["-INT", "-KILL"] {
        let _ = std::fs::remove_file(d.join("t.bpc"));
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_bayplan"))
            .current_dir(d)
            .args(["trace", "convert", "g", "--out", "t.bpc"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // As soon as the first part is kept.
        let is_kept = || {
            let mut entries = std::fs::read_dir(d.join("t.bpc.part")).into_iter().flatten();
            entries.any(|it| it.unwrap().file_name().to_string_lossy().starts_with("rows-"))
        };
        while !is_kept() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // By id, and only the one we started.
        let id = child.id().to_string();
        std::process::Command::new("kill").args([signal, &id]).status().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            // It was quicker than we; there is nothing to go on with.
            continue;
        }
        assert!(!d.join("t.bpc").exists(), "half a file has the name of a whole one");
        if signal == "-INT" {
            assert_eq!(status.code(), Some(130));
        }
        let said = succeed(d, &["trace", "convert", "g", "--out", "t.bpc"]).out;
        assert!(said.contains("had been read by an interrupted call"), "{said}");
        assert_eq!(std::fs::read(d.join("t.bpc")).unwrap(), whole, "{signal}");
        assert!(!d.join("t.bpc.part").exists());
    }
}
