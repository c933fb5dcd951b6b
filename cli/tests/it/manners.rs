//! The command line's manners: what is printed, what it exits with, and what bad input is told.

use crate::binary::{bayplan, column, put, succeed};
use std::path::Path;

const NODES: &str = "name,zone,cpu_cores,mem_gib\nn1,a,4,16\nn2,b,4,16\nn3,c,8,32\n";
const TASKS: &str =
    "id,arrival_s,cpu_cores,mem_gib,duration_s\n1,0,2,4,60\n2,1,2,4,60\n3,2,4,8,30\n";

/// A small trace in its own folder.
fn small() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("t")).unwrap();
    put(dir.path(), "t/nodes.csv", NODES);
    put(dir.path(), "t/tasks.csv", TASKS);
    dir
}

/// Bad input: exit code 2, nothing on standard output, and an error that holds all of `wants`.
#[track_caller]
fn refuses(dir: &Path, args: &[&str], wants: &[&str]) {
    let answer = bayplan(dir, args);
    assert_eq!(answer.code, 2, "{args:?} exits {}\n{}{}", answer.code, answer.out, answer.err);
    assert_eq!(answer.out, "", "{args:?} prints results in spite of an error");
    let text = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace("│ ", "");
    for want in wants {
        assert!(text.contains(want), "{args:?} should say {want:?}:\n{}", answer.err);
    }
    assert!(!answer.err.contains("panicked"), "{}", answer.err);
}

#[test]
fn a_run_writes_its_folder() {
    let dir = small();
    let args = ["simulate", "--trace", "t", "--policy", "first-fit", "--out", "o", "--tasks"];
    let answer = succeed(dir.path(), &args);
    assert!(answer.out.contains("wrote o/report.html"), "{}", answer.out);
    let files = [
        "manifest.json",
        "timings.json",
        "summary.csv",
        "summary.json",
        "samples.csv",
        "report.html",
    ];
    for file in files {
        assert!(dir.path().join("o").join(file).metadata().unwrap().len() > 0, "{file} is empty");
    }
    assert_eq!(column(&dir.path().join("o/tasks.csv"), "node"), ["0", "0", "1"]);
    assert_eq!(column(&dir.path().join("o/tasks.csv"), "wait_us"), ["0", "0", "0"]);
    assert_eq!(column(&dir.path().join("o/tasks.csv"), "outcome"), ["finished"; 3]);
}

#[test]
fn results_do_not_depend_on_jobs_and_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let run = |out: &str, jobs: &str| {
        let args = [
            "compare",
            "--trace",
            "builtin:small",
            "--seeds",
            "2",
            "--policy",
            "ecs",
            "--policy",
            "power-of-d",
            "--random-faults",
            "node=2",
            "--no-figures",
            "--out",
            out,
            "-j",
            jobs,
        ];
        succeed(dir.path(), &args);
        let read = |file: &str| std::fs::read_to_string(dir.path().join(out).join(file)).unwrap();
        let manifest = read("manifest.json").replace(&format!("--out {out} -j {jobs}"), "");
        (read("summary.csv"), read("samples.csv"), manifest)
    };
    let one = run("one", "1");
    assert_eq!(one, run("two", "2"));
    assert_eq!(one, run("three", "2"));
    assert!(one.2.contains("fingerprint"));
}

#[test]
fn every_policy_runs_checked() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = schedulers::ALL.iter().map(|it| it.card.name.to_owned()).collect();
    let mut args: Vec<&str> = vec![
        "compare",
        "--trace",
        "builtin:small?tasks=400",
        "--seeds",
        "1",
        "--check",
        "--no-figures",
        "--fault",
        "zone-outage:zone-a@1h+1h",
        "--random-faults",
        "node=5",
        "--quiet",
    ];
    for name in &names {
        args.extend(["--policy", name]);
    }
    succeed(dir.path(), &args);
    let rows = column(&dir.path().join("bayplan-out/summary.csv"), "policy");
    assert_eq!(rows, names);
}

#[test]
fn a_journal_is_verified_and_asked_what_if() {
    let dir = small();
    let args =
        ["simulate", "--trace", "t", "--policy", "best-fit", "--out", "o", "--record-journal"];
    succeed(dir.path(), &args);
    let answer = succeed(dir.path(), &["replay", "o/journal"]);
    assert!(answer.out.contains("every action of best-fit as recorded"), "{}", answer.out);
    let args = ["replay", "o/journal", "--policy", "worst-fit", "--out", "w"];
    let answer = succeed(dir.path(), &args);
    assert!(answer.out.contains("wrote w/report.html"), "{}", answer.out);
    let rows = column(&dir.path().join("w/summary.csv"), "policy");
    assert_eq!(rows, ["recorded: best-fit", "worst-fit"]);

    let bytes = std::fs::read(dir.path().join("o/journal")).unwrap();
    put(dir.path(), "cut", &bytes[..bytes.len() - 40]);
    refuses(dir.path(), &["replay", "cut"], &["cut ends within record", "record it again"]);
    put(dir.path(), "cut", &bytes[..bytes.len() - 10]);
    refuses(dir.path(), &["replay", "cut"], &["cut ends within"]);
    put(dir.path(), "none", "hello");
    refuses(dir.path(), &["replay", "none"], &["none is no journal", "--record-journal"]);
    refuses(dir.path(), &["replay", "o"], &["is a folder", "name the file in it: o/journal"]);
    refuses(dir.path(), &["replay", "t"], &["t: holds no cluster's state", "check the path"]);
    refuses(dir.path(), &["replay", "absent"], &["cannot read absent"]);
}

#[test]
fn a_journal_that_tells_lies_is_found_out() {
    let dir = small();
    let args =
        ["simulate", "--trace", "t", "--policy", "best-fit", "--out", "o", "--record-journal"];
    succeed(dir.path(), &args);
    let path = dir.path().join("o/journal");
    // The header says which policy decided: let it name another.
    let bytes = std::fs::read(&path).unwrap();
    let (from, to) = (b"\"policy\":\"best-fit\"", b"\"policy\":\"random  \"");
    let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
    let mut forged = bytes.clone();
    forged[at..at + from.len()].copy_from_slice(to);
    std::fs::write(&path, forged).unwrap();
    let answer = bayplan(dir.path(), &["replay", "o/journal"]);
    assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
    assert!(answer.err.contains("answered otherwise now"), "{}", answer.err);
}

#[test]
fn a_report_is_rebuilt_from_its_files() {
    let dir = small();
    succeed(dir.path(), &["simulate", "--trace", "t", "--out", "o"]);
    let page = dir.path().join("o/report.html");
    let before = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    succeed(dir.path(), &["report", "o"]);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), before);
    refuses(dir.path(), &["report", "t"], &["t/report.json"]);
}

#[test]
fn bad_words_are_told_what_was_meant() {
    let dir = small();
    let d = dir.path();
    refuses(d, &["simulate", "--trace", "t", "--policy", "bset-fit"], &["bset-fit", "best-fit"]);
    refuses(d, &["simulate", "--trace", "t", "--policy", "best-fit:norn=l2"], &["norn", "norm"]);
    refuses(d, &["simulate", "--trace", "builtin:defualt"], &["defualt", "did you mean default?"]);
    refuses(d, &["simulate", "--trace", "opnb:t"], &["opnb", "openb"]);
    refuses(d, &["simulate", "--trace", "t?filll=static"], &["filll", "fill"]);
    refuses(d, &["simulate", "--trace", "t", "--queue", "lifo"], &["lifo", "orders are"]);
    refuses(d, &["simulate", "--trace", "t", "--unfit", "dorp"], &["did you mean drop?"]);
    refuses(d, &["simulate", "--trace", "t", "--unfit", "retry:first=0s"], &["at least 1ms"]);
    refuses(
        d,
        &["simulate", "--trace", "t", "--random-faults", "node=1e300"],
        &["at most a million"],
    );
    refuses(d, &["trace", "formats", "--format", "csv"], &["no CSV form"]);
    refuses(d, &["simulate", "--trace", "t", "--zones", "x"], &["zones"]);
    refuses(
        d,
        &["simulate", "--trace", "t", "--fault", "zone-outage:z@1h"],
        &["no zone \"z\"", "a, b, c"],
    );
    refuses(
        d,
        &["simulate", "--trace", "t", "--fault", "zon-outage:a@1h"],
        &["did you mean zone-outage?"],
    );
    refuses(d, &["compare", "--trace", "t", "-p", "ecs", "-p", "ecs"], &["named twice"]);
    refuses(d, &["simulate", "--trace", "t", "--jobs", "0"], &["--jobs is 0"]);
    refuses(d, &["policies", "bestfit"], &["did you mean best-fit?"]);
    refuses(d, &["trace", "formats", "swff"], &["did you mean swf?"]);
    refuses(d, &["comapre"], &["compare"]);
    refuses(d, &["simulate", "--sed", "3"], &["--seed"]);
}

#[test]
fn bad_files_are_named_with_line_reason_and_remedy() {
    let dir = small();
    let d = dir.path();
    put(d, "t/tasks.csv", "id,arrival_s,cpu_cores,mem_gib,duration_s\n1,0,2,4,60\n2,1,two,4,60\n");
    refuses(d, &["simulate", "--trace", "t"], &["tasks.csv:3:5", "two", "not a number", "help:"]);
    put(d, "t/tasks.csv", "id,arrival_s,cpu_cores,mem_gib,duration_s\n1,0,2,4,60\n2,1,9,4,60\n");
    refuses(d, &["simulate", "--trace", "t"], &["tasks.csv:3", "cpu", "--oversized"]);
    put(d, "t/tasks.csv", "id,arrival_s,cpu_cors,mem_gib\n1,0,2,4\n");
    refuses(d, &["simulate", "--trace", "t"], &["tasks.csv:1", "cpu_cors", "cpu_cores"]);
    put(d, "t/tasks.csv", "");
    refuses(d, &["simulate", "--trace", "t"], &["tasks.csv"]);
    std::fs::create_dir(d.join("photos")).unwrap();
    put(d, "photos/a.jpg", [0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3]);
    refuses(d, &["simulate", "--trace", "photos"], &["photos"]);
    refuses(d, &["simulate", "--trace", "nowhere"], &["nowhere"]);
    refuses(d, &["simulate", "--trace", "t/nodes.csv"], &["nodes.csv"]);
    refuses(d, &["trace", "inspect", "photos"], &["photos"]);
}

#[test]
fn a_truncated_gzip_is_told_from_its_end() {
    use std::io::Write;
    let dir = small();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writeln!(gzip, "id,arrival_s,cpu_cores,mem_gib,duration_s").unwrap();
    for id in 0..20_000 {
        writeln!(gzip, "{id},{},1,1,{}", id / 3, id % 977).unwrap();
    }
    let bytes = gzip.finish().unwrap();
    put(dir.path(), "tasks.csv.gz", &bytes[..bytes.len() / 2]);
    let args = ["simulate", "--trace", "tasks.csv.gz", "--cluster", "uniform:9,cpu=64,mem=256GiB"];
    refuses(dir.path(), &args, &["tasks.csv.gz", "gzip", "damaged after line", "help:"]);
}

#[test]
fn folders_of_others_are_left_alone() {
    let dir = small();
    let args = ["simulate", "--trace", "t", "--out", "t"];
    refuses(dir.path(), &args, &["did not write", "--force"]);
    assert_eq!(std::fs::read_to_string(dir.path().join("t/nodes.csv")).unwrap(), NODES);
    put(dir.path(), "file", "x");
    refuses(dir.path(), &["simulate", "--trace", "t", "--out", "file"], &["file"]);
    refuses(dir.path(), &["simulate", "--trace", "t", "--out", "file/below"], &["file/below"]);
}

#[test]
fn a_folder_tells_of_one_run() {
    let dir = small();
    let run = |args: &[&str]| {
        let mut all = vec!["simulate", "--trace", "t", "--out", "o"];
        all.extend(args);
        succeed(dir.path(), &all);
        let exists = |file: &str| dir.path().join("o").join(file).exists();
        [exists("report.html"), exists("figures/wait.svg"), exists("tasks.csv"), exists("journal")]
    };
    assert_eq!(run(&["--tasks", "--record-journal"]), [true; 4]);
    put(dir.path(), "o/notes.txt", "mine");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(run(&["--no-figures"]), [false; 4]);
    assert!(dir.path().join("o/notes.txt").exists(), "what others put there stays");
}

#[test]
fn a_counterfactual_of_the_same_policy_is_the_run_itself() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "simulate",
        "--trace",
        "builtin:small?tasks=1500",
        "--policy",
        "power-of-d",
        "--seed",
        "5",
        "--startup",
        "lognormal:median=20s,sigma=1",
        "--fault",
        "zone-outage:zone-a@2h+30m",
        "--random-faults",
        "node=3",
        "--record-journal",
        "--no-figures",
    ];
    succeed(dir.path(), &args);
    let args = ["replay", "bayplan-out/journal", "-p", "power-of-d", "--out", "w"];
    succeed(dir.path(), &args);
    let manifest = std::fs::read_to_string(dir.path().join("w/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let print = |at: usize| manifest["fingerprints"][at]["fingerprint"].clone();
    assert_eq!(print(0), print(1), "the same decisions");
    let rows = |file: &str| -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(dir.path().join(file)).unwrap();
        reader.records().map(|it| it.unwrap().iter().skip(2).map(str::to_owned).collect()).collect()
    };
    let replayed = rows("w/summary.csv");
    assert_eq!(replayed[0], replayed[1], "the same numbers");
    assert_eq!(replayed[0], rows("bayplan-out/summary.csv")[0], "those of the run itself");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_not_a_loss() {
    let dir = small();
    // A journal into a device that is always full.
    std::fs::create_dir(dir.path().join("o")).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("o/journal.part")).unwrap();
    let args = [
        "simulate",
        "--trace",
        "builtin:small?tasks=2000",
        "--out",
        "o",
        "--record-journal",
        "--force",
    ];
    refuses(dir.path(), &args, &["cannot write", "No space left", "make room"]);
}

#[test]
fn results_come_as_json_and_csv() {
    let dir = small();
    let args = ["compare", "--trace", "t", "-p", "ecs", "-p", "random", "--no-figures"];
    let with = |format: &str| {
        let mut args = args.to_vec();
        args.extend(["--format", format]);
        succeed(dir.path(), &args).out
    };
    let json: serde_json::Value = serde_json::from_str(&with("json")).unwrap();
    assert!(json.is_object());
    let csv = with("csv");
    assert_eq!(csv.lines().count(), 1 + 2 * 5, "a header, and a row for each policy and seed");
    let json = succeed(dir.path(), &["policies", "--format", "json"]).out;
    assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_array());
    let json = succeed(dir.path(), &["trace", "inspect", "t", "--format", "json"]).out;
    assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap().is_object());
}

#[test]
fn global_flags_stand_anywhere() {
    let dir = small();
    let run = |args: &[&str]| {
        succeed(dir.path(), args);
        std::fs::read_to_string(dir.path().join("bayplan-out/summary.csv")).unwrap()
    };
    let before = run(&["--seed", "7", "--quiet", "simulate", "--trace", "t", "-p", "random"]);
    let after = run(&["simulate", "--trace", "t", "-p", "random", "--quiet", "--seed", "7"]);
    assert_eq!(before, after);
}

#[test]
fn traces_convert_generate_and_read_back() {
    let dir = small();
    let d = dir.path();
    succeed(d, &["trace", "convert", "t", "--out", "c", "--gzip"]);
    let runs = |trace: &str, out: &str| {
        let args = ["simulate", "--trace", trace, "--tasks", "--no-figures", "--out", out];
        succeed(d, &args);
        column(&d.join(out).join("tasks.csv"), "node")
    };
    assert_eq!(runs("t", "o1"), runs("c", "o2"));
    succeed(d, &["trace", "generate", "--recipe", "small", "--seed", "3", "--out", "g"]);
    assert_eq!(runs("g", "o3").len(), runs("builtin:small?seed=3", "o4").len());
    let recipe = succeed(d, &["trace", "generate", "--recipe", "small", "--print-recipe"]).out;
    put(d, "recipe.json", &recipe);
    succeed(d, &["trace", "generate", "--recipe", "recipe.json", "--seed", "3", "--out", "h"]);
    let read = |dir: &str| std::fs::read_to_string(d.join(dir).join("tasks.csv")).unwrap();
    assert_eq!(read("g"), read("h"));
}

/// Starts `bayplan`, presses Ctrl-C after a while, and returns the answer.
#[cfg(unix)]
fn interrupted(dir: &Path, args: &[&str]) -> crate::binary::Answer {
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_bayplan"))
        .current_dir(dir)
        .args(args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    // By id, and only the one we started.
    let id = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
    crate::binary::answer(&child.wait_with_output().unwrap())
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_is_finished_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["compare", "--seeds", "500", "--no-figures", "--trace", "builtin:small"];
    let answer = interrupted(dir.path(), &args);
    assert_eq!(answer.code, 130, "{}{}", answer.out, answer.err);
    assert!(answer.err.contains("had finished and are written"), "{}", answer.err);
    let manifest = std::fs::read_to_string(dir.path().join("bayplan-out/manifest.json")).unwrap();
    assert!(manifest.contains("\"interrupted\": true"), "{manifest}");
    assert!(!column(&dir.path().join("bayplan-out/summary.csv"), "policy").is_empty());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_a_single_run_had_come_to() {
    let dir = tempfile::tempdir().unwrap();
    // The audit of every step makes this take far longer than the test waits.
    let args =
        ["simulate", "--check", "--record-journal", "--tasks", "--no-figures", "-p", "random"];
    let answer = interrupted(dir.path(), &args);
    assert_eq!(answer.code, 130, "{}{}", answer.out, answer.err);
    assert!(answer.err.contains("what the run had come to is written"), "{}", answer.err);
    let out = dir.path().join("bayplan-out");
    let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    assert!(manifest.contains("Interrupted at"), "{manifest}");
    assert!(!column(&out.join("tasks.csv"), "node").is_empty());
    succeed(dir.path(), &["replay", "bayplan-out/journal"]);
}
