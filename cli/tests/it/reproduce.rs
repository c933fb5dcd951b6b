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

#[test]
fn what_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["reproduce", "fgd", "--data", "nowhere", "--traces", "nowhere"];
    let answer = bayplan(dir.path(), &args);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("nowhere"), "{}", answer.err);
}
