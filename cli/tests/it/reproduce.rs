//! Published results of other simulators. The whole of it takes minutes: `bayplan reproduce`.

use crate::binary::{bayplan, put, shared, succeed};
use std::path::Path;

/// Where the published values are, and the arguments that name them, if both are there.
#[expect(clippy::print_stdout, reason = "a test says what it skips")]
fn fgd() -> Option<[String; 4]> {
    let shared = shared()?;
    let (data, traces) = (shared.join("published"), shared.join("traces/alibaba-gpu-2023-openb"));
    if !data.join("fgd_orders").is_dir() || !traces.is_dir() {
        println!("skipped: no published/fgd_orders or no openb trace in {}", shared.display());
        return None;
    }
    let text = |it: &Path| it.display().to_string();
    Some(["--data".into(), text(&data), "--traces".into(), text(&traces)])
}

/// One trace with model constraints and one seed; all of it is `bayplan reproduce fgd`.
#[test]
fn fgd_comes_out_as_published() {
    let Some(inputs) = fgd() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec!["reproduce", "fgd", "--quiet", "--format", "json", "--out", "o"];
    args.extend(inputs.iter().map(String::as_str));
    args.extend(["--trace", "gpuspec10", "--seeds", "1"]);
    let answer = succeed(dir.path(), &args);
    let found: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let results = found["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    for it in results {
        let (policy, values) = (&it["policy"], it["values"].as_u64().unwrap());
        assert_eq!(it["agrees"], true, "{it}");
        if policy == "01-Random" {
            continue;
        }
        assert_eq!(values, 15, "{policy}: seven loads, two values each, and the dropped pods");
        assert_eq!(it["dropped_off_max"], 0, "{policy}");
    }
    for file in ["manifest.json", "reproduce.json", "curves.csv", "figures/fgd-gpuspec10.svg"] {
        assert!(dir.path().join("o").join(file).is_file(), "{file}");
    }
}

#[test]
fn a_missed_number_is_named() {
    let Some(inputs) = fgd() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(&inputs[1]);
    std::fs::create_dir(dir.path().join("fgd_orders")).unwrap();
    for end in ["arrivals", "noderank"] {
        let name = format!("fgd_orders/default.42.{end}.txt.gz");
        std::fs::copy(data.join(&name), dir.path().join(&name)).unwrap();
    }
    let wrong = "trace,policy,seed,alloc_100,fragratio_100\ndefault,05-BestFit,42,10.5,98\n";
    put(dir.path(), "fgd_per_seed.csv", wrong);
    for name in ["fgd.csv", "fgd_dropped_pods.csv"] {
        let text = std::fs::read_to_string(data.join(name)).unwrap();
        put(dir.path(), name, text);
    }
    let args = ["reproduce", "fgd", "--quiet", "--data", ".", "--traces", &inputs[3]];
    let answer = bayplan(dir.path(), &args);
    assert_eq!(answer.code, 1, "{}", answer.out);
    let said = answer.err.replace(['\n', '│'], " ");
    let said: Vec<&str> = said.split_whitespace().collect();
    let said = said.join(" ");
    assert!(said.contains("default, 05-BestFit, seed 42: at 100 %"), "{said}");
    assert!(answer.out.contains("MISSED"), "{}", answer.out);
}

/// The traces of the paper.
const TRACES: [&str; 17] = [
    "default",
    "cpu050",
    "cpu100",
    "cpu200",
    "cpu250",
    "gpushare40",
    "gpushare60",
    "gpushare80",
    "gpushare100",
    "gpuspec10",
    "gpuspec20",
    "gpuspec25",
    "gpuspec33",
    "multigpu20",
    "multigpu30",
    "multigpu40",
    "multigpu50",
];

/// A small world for these traces: two nodes with two GPUs each; four pods that want one of them, and one that wants
/// none, so that a fifth of what is free is a fragment. One pod comes twice. Whatever the policy, the first four that
/// want a GPU allocate a quarter each, and the fifth is dropped.
fn small(dir: &Path, traces: &[&str]) {
    for folder in ["t", "d", "d/fgd_orders"] {
        std::fs::create_dir(dir.join(folder)).unwrap();
    }
    let nodes = "sn,cpu_milli,memory_mib,gpu,model\nn-1,8000,8192,2,T4\nn-2,8000,8192,2,P100\n";
    put(dir, "t/openb_node_list_gpu_node.csv", nodes);
    let mut per_seed =
        "trace,policy,seed,alloc_25,alloc_100,alloc_125,fragratio_25,fragratio_100,fragratio_125\n"
            .to_owned();
    let mut means =
        "trace,policy,arrived_pct,n_seeds,alloc_pct_mean,alloc_pct_sd,fragratio_pct_mean,\
                     fragratio_pct_sd\n"
            .to_owned();
    let mut dropped = "trace,policy,seed,failed\n".to_owned();
    for trace in traces {
        // The lists of multigpu have five columns.
        let is_short = trace.starts_with("multigpu");
        let (names, rest) = if is_short {
            ("", "")
        } else {
            (
                ",gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time",
                ",,LS,Running,1,2,1",
            )
        };
        let mut pods = format!("name,cpu_milli,memory_mib,num_gpu,gpu_milli{names}\n");
        for pod in 0..4 {
            pods += &format!("pod-{pod},1000,1024,1,1000{rest}\n");
        }
        pods += &format!("pod-9,500,512,0,0{rest}\n");
        put(dir, &format!("t/openb_pod_list_{trace}.csv"), pods);
        put(dir, &format!("d/fgd_orders/{trace}.7.arrivals.txt"), "3 0\n4 2 1 0\n");
        put(dir, &format!("d/fgd_orders/{trace}.7.noderank.txt"), "1 0\n");
        for policy in ["02-DotProd", "03-GpuClustering", "04-GpuPacking", "05-BestFit", "06-FGD"] {
            per_seed += &format!("{trace},{policy},7,25,100,100,20,0,0\n");
            means += &format!("{trace},{policy},75,1,75,0,20,0\n");
            dropped += &format!("{trace},{policy},7,1\n");
        }
    }
    put(dir, "d/fgd_per_seed.csv", per_seed);
    put(dir, "d/fgd.csv", means);
    put(dir, "d/fgd_dropped_pods.csv", dropped);
}

const SMALL: [&str; 7] = ["reproduce", "fgd", "--quiet", "--data", "d", "--traces", "t"];

#[test]
fn every_trace_is_checked_when_its_files_are_there() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path(), &TRACES);
    let answer = succeed(dir.path(), &[&SMALL[..], &["--format", "json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(found["agrees"], true);
    for trace in TRACES {
        let of_trace = |it: &&serde_json::Value| it["trace"] == trace;
        let results: Vec<_> =
            found["results"].as_array().unwrap().iter().filter(of_trace).collect();
        assert_eq!(results.len(), 6, "{trace}");
        for it in results {
            match it["policy"].as_str() {
                Some("01-Random") => assert!(it["agrees"].is_null() && it["values"] == 0, "{it}"),
                _ => assert!(it["agrees"] == true && it["values"] == 9, "{it}"),
            }
        }
    }
}

/// What is changed, and what must be said.
#[test]
fn what_is_missing_or_damaged_is_said() {
    let remove = |file: &'static str| {
        Box::new(move |dir: &Path| std::fs::remove_file(dir.join(file)).unwrap())
    };
    let write = |file: &'static str, text: &'static str| {
        Box::new(move |dir: &Path| {
            put(dir, file, text);
        })
    };
    type Change = Box<dyn Fn(&Path)>;
    let cases: [(Change, &str); 11] = [
        (remove("t/openb_pod_list_multigpu50.csv"), "t has no openb_pod_list_multigpu50.csv"),
        (remove("t/openb_node_list_gpu_node.csv"), "t has no openb_node_list_gpu_node.csv"),
        (remove("d/fgd.csv"), "cannot read d/fgd.csv"),
        (remove("d/fgd_orders/multigpu50.7.noderank.txt"), "lacks multigpu50.7.noderank.txt"),
        (
            write("d/fgd_orders/multigpu50.7.noderank.txt", "0"),
            "ranks 1 nodes, but the trace has 2",
        ),
        (write("d/fgd_orders/multigpu50.7.arrivals.txt", "0 5"), "\"5\" is no number below 5"),
        (write("d/fgd_orders/multigpu50.7.arrivals.txt.gz", "0 1"), "is there twice"),
        (
            write("d/fgd_orders/multigpu50.8.arrivals.txt.gz", "0 1"),
            "lacks multigpu50.8.noderank.txt",
        ),
        (write("d/fgd.csv", "trace,policy\na\n"), "fgd.csv:2: 1 cells, the header has 2"),
        (
            write("d/fgd_dropped_pods.csv", "trace,policy,seed,failed\na,b,1,x\n"),
            "fgd_dropped_pods.csv:2: failed is \"x\", which is no whole number",
        ),
        (
            write(
                "t/openb_pod_list_multigpu50.csv",
                "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,x,1,1,1\n",
            ),
            "openb_pod_list_multigpu50.csv:2",
        ),
    ];
    for (change, want) in cases {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path(), &["multigpu50"]);
        change(dir.path());
        let answer = bayplan(dir.path(), &SMALL);
        let said: Vec<&str> = answer
            .err
            .split(|it: char| it.is_whitespace() || it == '│')
            .filter(|it| !it.is_empty())
            .collect();
        let said = said.join(" ");
        assert_eq!(answer.code, 2, "{want}: {said}");
        assert!(said.contains(want), "{said}, not {want}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["reproduce", "fgd", "--data", "nowhere", "--traces", "nowhere"];
    let answer = bayplan(dir.path(), &args);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("nowhere"), "{}", answer.err);
}
