//! Counts of real traces, where they are at hand: `../shared` seen from the workspace root.

use crate::story::read;
use std::path::PathBuf;
use traces::Workload;
use traces::cluster_source::ClusterSource;

/// The path of a shared input, or `None` with a notice.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn shared(path: &str) -> Option<String> {
    let full: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared", path].iter().collect();
    if full.exists() {
        return Some(full.display().to_string());
    }
    eprintln!("skipped: no {path} in ../shared");
    None
}

#[track_caller]
fn counted(workload: &Workload, want: &[(&str, u64)]) {
    for (what, count) in want {
        assert_eq!(workload.card.counted(what), *count, "{what}");
    }
}

#[test]
fn google_2011() {
    let Some(path) = shared("traces/google-2011") else { return };
    let workload = read(&path).unwrap();
    counted(
        &workload,
        &[
            ("rows of task_events", 450_146),
            ("rows of task_events at time 0", 277_321),
            ("task_events at time 0: SUBMIT", 144_339),
            ("task_events at time 0: SCHEDULE", 132_982),
            ("tasks submitted but not placed at time 0", 11_357),
            ("SUBMITs with blank requests", 291),
            ("SUBMITs for no cpu", 706),
            ("task_events EVICT", 4_338),
            ("task_events FAIL", 581),
            ("task_events KILL", 10_505),
            ("task_events FINISH", 43_237),
            ("resubmissions after EVICT (merged)", 4_338),
            ("resubmissions after FAIL (merged)", 568),
            ("resubmissions after KILL (merged)", 5_523),
            ("resubmissions after FINISH (merged)", 136),
            // Three machines are in no table, ten more join only later.
            ("residents of nodes that are not there (submitted instead)", 13),
            ("rows of machine_events", 37_780),
            ("machine_events ADD", 21_443),
            ("machine_events REMOVE", 8_957),
            ("machine_events UPDATE", 7_380),
            ("machines", 12_583),
            ("machines at time 0", 12_477),
            ("ADDs without capacity", 32),
            ("UPDATEs that fill in such an ADD", 32),
            ("UPDATEs that change capacity otherwise", 7),
        ],
    );
    assert_eq!(workload.card.refusals.count(), 0);
    assert_eq!(workload.horizon().unwrap().0, 5_611_086_346);
    assert_eq!(workload.card.suggested_overcommit, Some([1600, 2000, 1000]));
    let measured = &workload.card.measured;
    assert_eq!((measured.tasks, measured.residents), (190_926, 132_982 - 13));
    assert_eq!(measured.node_shapes.len(), 10);
    // Two machines of the most frequent shape join between time 0 and the end of the part.
    assert_eq!(measured.node_shapes[0].count, 6_674);
}

#[test]
fn google_2011_holds_its_own_residents_under_the_suggested_overcommit() {
    let Some(path) = shared("traces/google-2011") else { return };
    let workload = read(&path).unwrap();
    let overcommit = workload.card.overcommit();
    let mut free: Vec<[u64; 3]> = workload
        .nodes()
        .map(|(_, it)| {
            let has = it.capacity.amounts.array();
            std::array::from_fn(|row| has[row] * u64::from(overcommit.0[row]) / 1000)
        })
        .collect();
    for id in 0..workload.task_count() as u64 {
        let task = workload.task(cluster::ids::TaskId(id));
        let Some(node) = task.resident else { continue };
        let ask = workload.definitions()[task.submission.definition.row()].demand().amounts.array();
        for (left, ask) in free[node.row()].iter_mut().zip(ask) {
            *left = left.checked_sub(ask).unwrap_or_else(|| panic!("{task:?} does not fit"));
        }
    }
}

#[test]
fn openb() {
    let Some(path) = shared("traces/alibaba-gpu-2023-openb") else { return };
    let workload = read(&path).unwrap();
    counted(
        &workload,
        &[
            ("pods of phase Running", 5_193),
            ("pods of phase Failed", 1_870),
            ("pods of phase Pending", 897),
            ("pods of phase Succeeded", 192),
            ("pods never scheduled (withdrawn at their deletion)", 897),
            ("pods that ask for no memory", 1),
        ],
    );
    assert_eq!((workload.task_count(), workload.node_count()), (8_152, 1_213));
    let devices: usize = workload.nodes().map(|(_, it)| it.capacity.gpus.len()).sum();
    assert_eq!(devices, 6_212);
    let all = read(&format!("openb:{path}?pods=default&nodes=all&fill=static")).unwrap();
    assert_eq!(all.node_count(), 1_523);
    let gpu = all.card.measured.load.last().unwrap();
    assert_eq!((gpu.peak, gpu.capacity), (6_086_800, 6_212_000));
    let names: Vec<String> =
        (0..8_152).map(|it| all.name(cluster::ids::TaskId(it)).into_owned()).collect();
    assert!(names.is_sorted(), "a static fill keeps the order of the file");
    let multi = read(&format!("{path}?pods=multigpu50")).unwrap();
    assert_eq!(multi.task_count(), 9_061);
    let sets = read(&format!("{path}?pods=gpuspec33")).unwrap();
    assert!(sets.card.counted("gpu_spec sets written with repeats") > 0);
    let cluster = ClusterSource::parse(&format!("openb:{path}?nodes=all")).unwrap();
    assert_eq!(traces::read_cluster(&cluster).unwrap().len(), 1_523);
}

#[test]
fn swf() {
    let Some(path) = shared("traces/swf") else { return };
    let lcg = read(&format!("{path}/LCG.swf.gz")).unwrap();
    assert_eq!((lcg.task_count(), lcg.node_count()), (188_041, 24_515));
    let nasa = read(&format!("swf:{path}/NASA-iPSC-1993-3.1-cln.swf.gz?as=task")).unwrap();
    assert_eq!((nasa.task_count(), nasa.node_count()), (18_239, 1));
    let hpc2n = read(&format!("{path}/hpc2n-head-slice.swf")).unwrap();
    assert_eq!(hpc2n.card.rows_read, 3_170);
    assert_eq!(hpc2n.card.refusals.by_reason["run time unknown"], 25);
    counted(&hpc2n, &[("jobs that ran longer than they had asked for", 320)]);
    let error = read(&format!("{path}/wagap-2013-extended-not-18col.swf.gz")).unwrap_err();
    assert!(error.to_string().ends_with("21 columns where swf has 18"), "{error}");
}

#[test]
fn random_workload_keeps_the_order_of_the_file() {
    let Some(path) = shared("traces/random-workload/rw_1000_100k_seed42.csv.gz") else { return };
    let workload = read(&path).unwrap();
    assert_eq!(workload.task_count(), 100_000);
    assert!((0..100_000).all(|it| workload.name(cluster::ids::TaskId(it)) == it.to_string()));
    assert_eq!(workload.definitions().len(), 16);
}

#[test]
fn orlib() {
    let Some(path) = shared("published/orlib/binpack1.txt") else { return };
    let workload = read(&format!("{path}?instance=u120_08")).unwrap();
    assert_eq!((workload.task_count(), workload.node_count()), (120, 120));
    assert_eq!(workload.card.counted("best known number of bins"), 51);
}

#[test]
fn other_folders_are_told_to_be_no_traces() {
    for folder in ["alibaba-2017", "azure-2019", "philly", "opendc", "topology-vm-2025", "simkube"]
    {
        let Some(path) = shared(&format!("traces/{folder}")) else { return };
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("not a trace of a known format"), "{folder}: {error}");
    }
}
