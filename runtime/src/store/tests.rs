use super::*;
use proptest::prelude::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn header() -> Header {
    Header {
        version: VERSION,
        cluster: "c".into(),
        owner: "c-0123abcd".into(),
        policy: "ecs".into(),
        seed: 7,
        rules: Rules::default(),
        epoch_unix_us: 1_700_000_000_000_000,
    }
}

fn all(store: &StoreReader) -> Vec<Entry> {
    let read: Vec<Numbered> = store.records(1).unwrap().map(Result::unwrap).collect();
    assert!(read.iter().map(|it| it.number).eq(1..=read.len() as u64), "numbered from 1, no gaps");
    read.into_iter().map(|it| it.entry).collect()
}

fn plain(record: &[u8]) -> Batch {
    let entry = Entry { record: record.to_vec(), memory: None };
    Batch { entries: vec![entry], ..Batch::default() }
}

fn end(task: u64) -> End {
    End {
        task: TaskId(task),
        attempt: 2,
        definition: DefinitionId(4),
        group: None,
        at: Instant(99),
        node: "n1".into(),
        how: "failed".into(),
        exit_codes: BTreeMap::from([("web".into(), Some(137)), ("side".into(), None)]),
        reason: "out of memory".into(),
    }
}

#[test]
fn everything_of_a_batch_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("a/b");
    let program = Program { family: "web".into(), revision: 3, ..Program::default() };
    let overrides = Overrides {
        commands: BTreeMap::from([("web".into(), vec!["x".into()])]),
        ..Overrides::default()
    };
    let batch = Batch {
        entries: vec![
            Entry { record: vec![], memory: Some(vec![1]) },
            Entry { record: vec![2, 3], memory: None },
        ],
        snapshot: Some(Snapshot { number: 2, bytes: vec![9; 100_000] }),
        programs: vec![(DefinitionId(4), program.clone())],
        overrides: vec![(TaskId(5), Some(overrides.clone())), (TaskId(6), Some(overrides.clone()))],
        ends: vec![(2, end(8)), (1, end(9))],
        groups: vec![(GroupId(0), "service:web".into())],
        agenda: vec![
            ((Instant(5), 2), Some(Wish::Drain { node: "n1".into() })),
            ((Instant(5), 1), Some(Wish::Activate { node: "n1".into() })),
            ((Instant(9), 0), Some(Wish::Cancel { task: TaskId(3) })),
        ],
        notes: Some(Notes { next_task: 77, ..Notes::default() }),
    };
    let mut store = Store::create(&dir, header()).unwrap();
    assert_eq!((store.snapshot().unwrap(), store.notes().unwrap()), (None, Notes::default()));
    assert_eq!(store.append(&batch).unwrap(), 2);
    let done = Batch {
        overrides: vec![(TaskId(6), None)],
        agenda: vec![((Instant(5), 1), None)],
        ..plain(b"third")
    };
    assert_eq!(store.append(&done).unwrap(), 3);
    drop(store);
    let reader = StoreReader::open(&dir).unwrap();
    assert_eq!(reader.header(), &header());
    assert_eq!(all(&reader)[..2], batch.entries);
    assert_eq!(reader.records(3).unwrap().count(), 1);
    assert_eq!(reader.records(4).unwrap().count(), 0);
    assert_eq!(reader.snapshot().unwrap(), batch.snapshot);
    assert_eq!(reader.programs().unwrap(), BTreeMap::from([(DefinitionId(4), program)]));
    assert_eq!(reader.overrides().unwrap(), BTreeMap::from([(TaskId(5), overrides)]));
    assert_eq!(reader.ends().unwrap(), [(1, end(9)), (2, end(8))]);
    assert_eq!(reader.groups().unwrap(), ["service:web"]);
    let due: Vec<Due> = reader.agenda().unwrap().into_keys().collect();
    assert_eq!(due, [(Instant(5), 2), (Instant(9), 0)], "what was done is gone");
    assert_eq!(reader.notes().unwrap().next_task, 77);
}

#[test]
fn a_folder_has_one_controller_and_no_reader_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let missing = StoreError::Missing { dir: dir.to_owned() };
    assert_eq!(Store::open(dir).err(), Some(missing.clone()));
    assert_eq!(StoreReader::open(dir).err(), Some(missing));
    let store = Store::create(dir, header()).unwrap();
    let in_use = StoreError::InUse { dir: dir.to_owned() };
    assert!(in_use.to_string().contains(&dir.display().to_string()) && !in_use.help().is_empty());
    assert_eq!(Store::open(dir).err().as_ref(), Some(&in_use));
    assert_eq!(Store::create(dir, header()).err().as_ref(), Some(&in_use));
    assert_eq!(StoreReader::open(dir).err().as_ref(), Some(&in_use));
    drop(store);
    assert_eq!(
        Store::create(dir, header()).err(),
        Some(StoreError::Exists { dir: dir.to_owned() })
    );
    let readers = (StoreReader::open(dir).unwrap(), StoreReader::open(dir).unwrap());
    assert_eq!(Store::open(dir).err(), Some(in_use));
    drop(readers);
    Store::open(dir).unwrap();
}

#[test]
fn another_layout_and_half_a_making_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    drop(Database::create(dir.join(FILE)).unwrap());
    assert_eq!(Store::open(dir).err(), Some(StoreError::Missing { dir: dir.to_owned() }));
    drop(Store::create(dir, header()).unwrap());
    let database = Database::open(dir.join(FILE)).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(HEADER).unwrap().insert((), br#"{"version":9,"x":1}"#.as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let want = StoreError::Version { dir: dir.to_owned(), found: 9 };
    assert_eq!(Store::open(dir).err(), Some(want));
}

fn batches() -> impl Strategy<Value = Vec<(Vec<Entry>, bool)>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let entry = (bytes(), proptest::option::of(bytes()))
        .prop_map(|(record, memory)| Entry { record, memory });
    proptest::collection::vec((proptest::collection::vec(entry, 0..6), any::<bool>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a process leaves that ends without closing is the file as it is at that moment: a copy of it.
    #[test]
    fn any_batches_read_back_whole_after_any_end(batches in batches()) {
        let dirs = tempfile::tempdir().unwrap();
        let mut dir = dirs.path().join("0");
        let mut store = Store::create(&dir, header()).unwrap();
        let mut want = Vec::new();
        for (step, (entries, crash)) in batches.into_iter().enumerate() {
            want.extend(entries.clone());
            let number = store.append(&Batch { entries, ..Batch::default() }).unwrap();
            prop_assert_eq!(number, want.len() as u64);
            if crash {
                let next = dirs.path().join((step + 1).to_string());
                fs::create_dir(&next).unwrap();
                fs::copy(dir.join(FILE), next.join(FILE)).unwrap();
                drop(store);
                dir = next;
                // A reader repairs what a killed controller left.
                prop_assert_eq!(&all(&StoreReader::open(&dir).unwrap()), &want);
                store = Store::open(&dir).unwrap();
            }
            prop_assert_eq!(store.count().unwrap(), want.len() as u64);
            prop_assert_eq!(&all(&store), &want);
        }
    }
}

const CHILD: &str = "BAYPLAN_STORE_TEST_DIR";

/// Not a test of its own: the child that the next one kills.
#[test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn child_appends_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let mut store = Store::create(Path::new(&dir), header()).unwrap();
    for round in 1_u64.. {
        let record = |it: u64| Entry { record: it.to_le_bytes().repeat(50), memory: None };
        let entries = vec![record(2 * round - 1), record(2 * round)];
        let number = store.append(&Batch {
            entries,
            notes: Some(Notes { next_task: round, ..Notes::default() }),
            ..Batch::default()
        });
        println!("\nacknowledged {}", number.unwrap());
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    for rounds in [1, 7, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child_appends_until_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged = 0;
        let mut seen = 0;
        for line in lines {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                // The last line may be cut short by the kill.
                acknowledged = number.parse::<u64>().unwrap_or(0).max(acknowledged);
                seen += 1;
            }
            if seen == rounds {
                // `kill -9`; what it printed before is still read.
                let _ = child.kill();
            }
        }
        child.wait().unwrap();
        assert!(seen >= rounds, "the child ended by itself after {seen} rounds");
        let store = Store::open(dir.path()).unwrap();
        let entries = all(&store);
        let count = entries.len() as u64;
        assert!(count >= acknowledged, "{count} of {acknowledged} are there");
        assert_eq!(count % 2, 0, "batches are whole");
        assert_eq!(store.notes().unwrap().next_task, count / 2, "and so are their other parts");
        for (number, it) in (1_u64..).zip(&entries) {
            assert_eq!(it.record, number.to_le_bytes().repeat(50));
        }
    }
}
