//! `bayplan replay` and `bayplan fidelity` of live state folders.

use crate::binary::{bayplan, column, succeed};
use crate::live_state::{Trouble, Ways, make};
use cluster::event::Action;
use cluster::journal::{Input, Record};
use cluster::units::Span;
use runtime::store::{Batch, Entry, Store, StoreReader};

const ECS: Ways = Ways {
    seed: 3,
    policy: "ecs",
    batching: Span(40_000),
    jitter: Span::ZERO,
    trouble: Trouble::Little,
};

#[test]
fn a_live_journal_is_verified_and_asked_what_if() {
    let dir = tempfile::tempdir().unwrap();
    make(&dir.path().join("state"), ECS);
    let answer = succeed(dir.path(), &["replay", "state"]);
    insta::assert_snapshot!(answer.out, @"verified: 561 records, 217 of them decisions, over 2.99 min: every action of ecs as recorded, fingerprint 6e01216dcbbaa075118d16beb56a5395");
    let json = succeed(dir.path(), &["replay", "state", "--format", "json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["equal"], &json["policy"]), (&true.into(), &"ecs".into()));

    let args = ["replay", "state", "-p", "ecs:binpack(memory)", "--out", "w"];
    let answer = succeed(dir.path(), &args);
    assert!(
        answer.out.contains("Start-up times that the journal does not know are lognormal:"),
        "{}",
        answer.out
    );
    let rows = column(&dir.path().join("w/summary.csv"), "policy");
    assert_eq!(rows, ["recorded: ecs", "ecs:binpack(memory)"]);
    let submitted = column(&dir.path().join("w/summary.csv"), "tasks_adopted");
    assert_eq!(submitted[0], submitted[1]);
    let manifest = std::fs::read_to_string(dir.path().join("w/manifest.json")).unwrap();
    assert!(manifest.contains("state (its journal)"), "{manifest}");
    assert!(manifest.contains("the live cluster shop"), "{manifest}");
}

#[test]
fn a_live_journal_that_tells_lies_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    make(&state, ECS);
    let (header, mut entries) = {
        let reader = StoreReader::open(&state).unwrap();
        let entries: Vec<Entry> = reader.records(1).unwrap().map(|it| it.unwrap().entry).collect();
        (reader.header().clone(), entries)
    };
    // Another node than the policy chose.
    let liar = entries
        .iter_mut()
        .find_map(|entry| {
            let mut record = Record::from_bytes(&entry.record).unwrap();
            let is_decision = record.input == Input::Decide;
            let start = record.actions.iter_mut().find_map(|it| match it {
                Action::Start { node, .. } if is_decision => Some(node),
                _ => None,
            })?;
            start.0 ^= 1;
            entry.record = record.to_bytes();
            Some(record.to_string())
        })
        .unwrap();
    let mut store = Store::create(&dir.path().join("forged"), header).unwrap();
    store.append(&Batch { entries, ..Batch::default() }).unwrap();

    let answer = bayplan(dir.path(), &["replay", "forged"]);
    assert_eq!(answer.code, 2, "{}", answer.err);
    assert!(answer.err.contains("a controller is running on this state folder"), "{}", answer.err);
    assert!(answer.err.contains("end that controller first"), "{}", answer.err);
    drop(store);
    assert_eq!(bayplan(dir.path(), &["fidelity", "forged"]).code, 1);
    let answer = bayplan(dir.path(), &["replay", "forged"]);
    assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
    let text = answer.err.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    assert!(text.contains("answered otherwise now"), "{}", answer.err);
    assert!(
        text.contains(&liar.split_whitespace().collect::<Vec<_>>().join(" ")),
        "{liar}\n{}",
        answer.err
    );
}

/// What `bayplan fidelity state` finds, as JSON.
fn fidelity(dir: &std::path::Path, more: &[&str]) -> serde_json::Value {
    let args = [&["fidelity", "state", "--format", "json"], more].concat();
    serde_json::from_str(&succeed(dir, &args).out).unwrap()
}

#[test]
fn with_the_recorded_start_ups_the_model_is_exact() {
    for seed in 0..6 {
        let policy = ["ecs", "ecs:binpack(memory)", "power-of-d"][seed as usize % 3];
        let batching = Span(if seed < 3 { 0 } else { 40_000 });
        let trouble = if seed % 2 == 0 { Trouble::Little } else { Trouble::Lost };
        let jitter = Span(if seed < 5 { 0 } else { 300_000 });
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("state"), Ways { seed, policy, batching, jitter, trouble });
        let found = fidelity(dir.path(), &["--startup", "journal"]);
        assert_eq!(found["divergence"], serde_json::Value::Null, "seed {seed}: {found:#}");
        let differ: Vec<&serde_json::Value> = found["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["live"] != it["model"])
            .collect();
        assert!(differ.is_empty(), "seed {seed}: {differ:#?}");
        assert_eq!((&found["exact"], &found["nodes"]["share"]), (&true.into(), &1.0.into()));
        if jitter == Span::ZERO {
            assert_eq!(found["decide_after_us"], batching.0);
        }
    }
}

#[test]
fn what_follows_from_placements_is_left_out_and_said() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("state"), Ways { seed, trouble: Trouble::All, ..ECS });
        let found = fidelity(dir.path(), &["--startup", "journal"]);
        let notes = found["notes"].to_string();
        for want in ["failed starts", "of health", "of taken host ports"] {
            assert!(notes.contains(want), "seed {seed}: {notes}");
        }
        assert_eq!(found["exact"], false);
        assert!(found["divergence"]["what"].is_string(), "seed {seed}: {found:#}");
        succeed(dir.path(), &["replay", "state", "-p", "worst-fit", "--out", "w"]);
    }
}

#[test]
fn a_wrong_model_is_measured_and_the_first_difference_found() {
    let dir = tempfile::tempdir().unwrap();
    make(&dir.path().join("state"), ECS);
    let args = ["fidelity", "state", "--startup", "100ms", "--out", "f"];
    insta::assert_snapshot!(succeed(dir.path(), &args).out, @r"
    the live cluster shop, under ecs: 561 records verified, over 2.99 min
    start-up model: 0.1s, seed 1; there are 103 recorded starts
    decisions come 40.00 ms after what asks for them, as half of the recorded ones did

                                         live     model    difference  relative
     mean wait                        43.42 s   26.35 s      -17.07 s   -39.3 %
     median wait                      44.24 s   21.07 s      -23.17 s   -52.4 %
     p99 wait                        1.39 min  1.21 min      -10.81 s   -12.9 %
     mean start latency               40.29 s   21.14 s      -19.15 s   -47.5 %
     p99 start latency               1.38 min  1.16 min      -13.17 s   -15.9 %
     makespan                        2.99 min  2.89 min       -5.67 s    -3.2 %
     placed                               106       116           +10    +9.4 %
     never placed                          25        15           -10   -40.0 %
     unfinished                            37        27           -10   -27.0 %
     cpu allocated                     90.4 %    88.8 %   -1.6 points    -1.8 %
     cpu utilised                      66.6 %    88.3 %  +21.7 points   +32.5 %
     memory utilised                   38.4 %    50.6 %  +12.3 points   +32.0 %
     cpu fragmented                    90.6 %    88.6 %   -2.0 points    -2.2 %
     mean nodes used                     3.97      3.93         -0.04    -1.0 %
     mean zone exposure                56.3 %    57.7 %   +1.4 points    +2.5 %
     mean start-up                    4926 ms    100 ms       -4.83 s   -98.0 %
     median start-up                  2503 ms    100 ms       -2.40 s   -96.0 %
     p99 start-up                    25395 ms    100 ms      -25.30 s   -99.6 %
     placements                           106       116           +10    +9.4 %
     … on n1                               24        26            +2    +8.3 %
     … on n2                               28        35            +7   +25.0 %
     … on n3                               24        20            -4   -16.7 %
     … on n4                               30        35            +5   +16.7 %
     … in zone-a                           52        61            +9   +17.3 %
     … in zone-b                           54        55            +1    +1.9 %
     tasks cancelled                        5         5             0     0.0 %
     tasks exited with 0                   68        78           +10   +14.7 %
     tasks exited with another code        23        23             0     0.0 %
     tasks stopped: surplus                 3         3             0     0.0 %

    39 of 73 numbers differ; all of them with --format json or --out DIR
    41 of 106 tasks that were placed in both went to the same node (38.7 %); 0 were placed live only, 10 in the model only
    the first 14 placements are the same; then t11 went to n3 live (at 20.5 s) and to n1 in the model (at 18.2 s)
      t2 had ended live (at 20.5 s, 1.96 s later than in the model) and was still on n3 in the model: its start took 2.06 s instead of 0.10 s
      t1 had ended in the model (at 18.1 s, 2.41 s sooner than live) and was still on n1 live: its start took 0.10 s instead of 2.51 s

    28 tasks never ran in the journal; they are given the mean run time of their definition.

    wrote f/fidelity.json
    ");
    let found = std::fs::read_to_string(dir.path().join("f/fidelity.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["exact"], false);
    assert_ne!(found["divergence"]["live"], found["divergence"]["model"]);
    let csv = dir.path().join("f/fidelity.csv");
    let rows = column(&csv, "metric");
    let at = rows.iter().position(|it| it == "startup_us_p50").unwrap();
    assert_eq!(column(&csv, "model")[at], "100000");
    assert!(rows.contains(&"placements_on:n4".to_owned()), "{rows:?}");
    // A second time into the same folder.
    succeed(dir.path(), &args);
}

#[test]
fn a_journal_file_is_measured_too() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "simulate",
        "--trace",
        "builtin:small?tasks=800",
        "--startup",
        "lognormal:median=20s,sigma=1",
        "--seed",
        "4",
        "--fault",
        "zone-outage:zone-a@2h+30m",
        "--record-journal",
        "--no-figures",
        "--out",
        "state",
    ];
    succeed(dir.path(), &args);
    let run = |more: &[&str]| {
        let args = [&["fidelity", "state/journal", "--format", "json"], more].concat();
        serde_json::from_str::<serde_json::Value>(&succeed(dir.path(), &args).out).unwrap()
    };
    assert_eq!(run(&["--startup", "journal"])["exact"], true);
    // The model that made it, with the seed that made it.
    let same = ["--startup", "lognormal:median=20s,sigma=1", "--seed", "4"];
    assert_eq!(run(&same)["exact"], true);
    let fitted = run(&[]);
    assert_eq!((&fitted["exact"], &fitted["decide_after_us"]), (&false.into(), &0.into()));
}

#[test]
fn the_fitted_model_can_be_given_again() {
    let dir = tempfile::tempdir().unwrap();
    make(&dir.path().join("state"), ECS);
    let fitted = fidelity(dir.path(), &[]);
    let model = fitted["startup"]["model"].as_str().unwrap();
    let table = succeed(dir.path(), &["fidelity", "state"]).out;
    assert!(table.contains(&format!("simulate --startup {model} starts")), "{table}");
    assert!(model.starts_with("lognormal:median="), "{model}");
    let given = fidelity(dir.path(), &["--startup", model]);
    assert_eq!(given["metrics"], fitted["metrics"]);
    assert_eq!(
        (&fitted["startup"]["origin"], &given["startup"]["origin"]),
        (&"fitted".into(), &"given".into())
    );
    let other = fidelity(dir.path(), &["--seed", "2"]);
    assert_ne!(other["metrics"], fitted["metrics"]);
    let answer = bayplan(dir.path(), &["fidelity", "state", "--startup", "quick"]);
    assert_eq!(answer.code, 2, "{}", answer.err);
}
