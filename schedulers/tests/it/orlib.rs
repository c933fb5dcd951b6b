//! OR-Library's bin packing instances (E. Falkenauer's uniform class): the numbers of bins that six
//! heuristics use are known and must come out exactly.
//!
//! The instances are not part of the repository. The test looks for `published/orlib` under the folder in
//! `BAYPLAN_SHARED`, or beside the repository, and says so if there is none.

use crate::packing::bins_used;
use cluster::demand::Resource;
use cluster::rules::QueueOrder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LARGEST: QueueOrder = QueueOrder::LargestFirst(Resource::Cpu);

/// Column of the table, policy, and order of the queue.
const HEURISTICS: &[(&str, &str, QueueOrder)] = &[
    ("NF", "next-fit", QueueOrder::Fifo),
    ("FF", "first-fit", QueueOrder::Fifo),
    ("BF", "best-fit:cpu", QueueOrder::Fifo),
    ("BF", "best-fit:l1", QueueOrder::Fifo),
    ("BF", "ecs:binpack(cpu)", QueueOrder::Fifo),
    ("WF", "worst-fit:cpu,open=first", QueueOrder::Fifo),
    ("FFD", "first-fit", LARGEST),
    ("BFD", "best-fit:cpu", LARGEST),
];

#[test]
fn heuristics_use_exactly_the_published_numbers_of_bins() {
    let shared = shared();
    let table = shared.join("published/orlib_binpack.csv");
    let Ok(table) = std::fs::read_to_string(&table) else {
        notice(&format!("skipped: no {}", table.display()));
        return;
    };
    let instances = instances(&shared.join("published/orlib"));
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut checked = 0;
    for line in lines.filter(|it| !it.trim().is_empty()) {
        let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split(',')).collect();
        let name = row["instance"];
        let Some((capacity, items)) = instances.get(name) else { continue };
        assert_eq!(items.len(), row["n"].parse::<usize>().unwrap(), "{name}");
        for &(column, policy, order) in HEURISTICS {
            let want: u32 = row[column].parse().unwrap();
            assert_eq!(
                bins_used(policy, order, *capacity, items),
                want,
                "{name} {column} {policy}"
            );
            checked += 1;
        }
    }
    notice(&format!("{checked} numbers of bins over {} instances", instances.len()));
    assert!(checked >= instances.len() * HEURISTICS.len(), "instances without a row in the table");
}

fn shared() -> PathBuf {
    match std::env::var_os("BAYPLAN_SHARED") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    }
}

#[allow(clippy::print_stderr, reason = "what was skipped must be seen")]
fn notice(text: &str) {
    eprintln!("orlib: {text}");
}

/// All instances of all files, by name: capacity and items in thousandths of the unit of the file.
///
/// A file is a count, then per instance its name, a line of capacity, number of items and best known
/// number of bins, and one item a line. Numbers may have decimals.
fn instances(folder: &Path) -> BTreeMap<String, (u64, Vec<u64>)> {
    let mut all = BTreeMap::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|it| it.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("binpack") || !name.ends_with(".txt") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let mut words = text.split_whitespace();
        let mut next = || words.next().unwrap_or_else(|| panic!("{name} ends too early"));
        let count: usize = next().parse().unwrap();
        for _ in 0..count {
            let instance = next().to_owned();
            let capacity = thousandths(next());
            let items: usize = next().parse().unwrap();
            let _best_known = next();
            let items = (0..items).map(|_| thousandths(next())).collect();
            assert!(all.insert(instance, (capacity, items)).is_none(), "{name}: a name twice");
        }
        assert_eq!(words.next(), None, "{name} goes on");
    }
    all
}

fn thousandths(text: &str) -> u64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 3, "{text}: more than three decimals");
    format!("{whole}{fraction:0<3}").parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
