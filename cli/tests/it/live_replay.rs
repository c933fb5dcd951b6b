//! `bayplan replay` and `bayplan fidelity` of live state folders.

use crate::binary::{bayplan, column, succeed};
use crate::live_state::{Ways, make};
use cluster::event::Action;
use cluster::journal::{Input, Record};
use cluster::units::Span;
use runtime::store::{Batch, Entry, Store, StoreReader};

const ECS: Ways = Ways { seed: 3, policy: "ecs", batching: Span(40_000) };

#[test]
fn a_live_journal_is_verified_and_asked_what_if() {
    let dir = tempfile::tempdir().unwrap();
    make(&dir.path().join("state"), ECS);
    let answer = succeed(dir.path(), &["replay", "state"]);
    insta::assert_snapshot!(answer.out, @"verified: 561 records, 217 of them decisions, over 2.99 min: every action of ecs as recorded, fingerprint 3a16fe1fbd01fbbea8e9db8b5d100c98");
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
