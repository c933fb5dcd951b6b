//! Reports from made-up runs: every file of a folder, and what must hold of them.

mod fake;

use fake::{Look, POLICIES, USUAL, comparison, manifest, run};
use reports::comparison::{Comparison, RunKey};
use reports::exports;
use reports::table::{TableStyle, table};
use reports::write::{ReportError, write_all};
use std::collections::BTreeMap;
use std::path::Path;

/// The usual comparison and the odd ones.
fn gallery() -> Vec<(&'static str, Comparison)> {
    let quiet = Look { noise: 0.0, ..USUAL };
    let equal = Look { noise: 0.0, contrast: 0.0, ..USUAL };
    let close = Look { contrast: 0.01, noise: 0.1, ..USUAL };
    let plain = Look { zones: false, gpus: false, ..USUAL };
    vec![
        ("usual", comparison(&POLICIES, &[1, 2, 3], USUAL)),
        ("one-policy", comparison(&POLICIES[1..2], &[1, 2, 3], USUAL)),
        ("one-seed", comparison(&POLICIES[..4], &[7], USUAL)),
        ("one-run", comparison(&POLICIES[..1], &[7], USUAL)),
        ("exact", comparison(&POLICIES[..3], &[1, 2], quiet)),
        ("equal", comparison(&POLICIES[..3], &[1, 2], equal)),
        ("close", comparison(&POLICIES[..4], &[1, 2, 3], close)),
        ("no-zones-no-gpus", comparison(&POLICIES[..3], &[1, 2, 3], plain)),
        ("nothing", comparison(&[], &[], USUAL)),
    ]
}

/// Writes every comparison below the target folder, for the eye: each file must come out whole.
#[test]
fn everything_can_be_written() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gallery");
    for (name, comparison) in gallery() {
        let written = write_all(&root.join(name), &comparison).unwrap();
        for file in &written.files {
            assert!(std::fs::metadata(file).unwrap().len() > 0, "{} is empty", file.display());
        }
        let text = table(&comparison, TableStyle::default());
        let verdict = comparison.verdict();
        let said = format!("{text}\n{}\n\n- {}\n", verdict.sentence, verdict.support.join("\n- "));
        std::fs::write(root.join(name).join("terminal.txt"), said).unwrap();
    }
}

/// Every file below a folder with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in [dir.to_owned(), dir.join("figures")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                all.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_order_in_which_runs_finish_does_not_matter() {
    let (policies, seeds) = (&POLICIES[..3], [1, 2]);
    let mut runs = Vec::new();
    for (row, policy) in policies.iter().enumerate() {
        for seed in seeds {
            runs.push((RunKey { policy: (*policy).to_owned(), seed }, run(row, seed, USUAL)));
        }
    }
    let mut mixed = runs.clone();
    mixed.reverse();
    mixed.swap(1, 4);
    let one = tempfile::tempdir().unwrap();
    let two = tempfile::tempdir().unwrap();
    write_all(one.path(), &Comparison::new(manifest(policies, &seeds), runs)).unwrap();
    write_all(two.path(), &Comparison::new(manifest(policies, &seeds), mixed)).unwrap();
    assert_eq!(files(one.path()), files(two.path()));
}

#[test]
fn a_folder_can_be_rebuilt_from_its_report_json() {
    let one = tempfile::tempdir().unwrap();
    let two = tempfile::tempdir().unwrap();
    let made = comparison(&POLICIES[..3], &[1, 2, 3], USUAL);
    write_all(one.path(), &made).unwrap();
    let loaded = Comparison::load(one.path()).unwrap();
    assert_eq!(loaded, made);
    write_all(two.path(), &loaded).unwrap();
    let (one, two) = (files(one.path()), files(two.path()));
    assert_eq!(one, two);
    let names: Vec<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "figures/allocation.png",
            "figures/allocation.svg",
            "figures/fragmentation.png",
            "figures/fragmentation.svg",
            "figures/overview.png",
            "figures/overview.svg",
            "figures/wait.png",
            "figures/wait.svg",
            "figures/zones.png",
            "figures/zones.svg",
            "report.html",
            "report.json",
            "samples.csv",
            "summary.csv",
            "summary.json",
            "table.md",
        ]
    );
}

#[test]
fn what_cannot_be_written_is_an_error_with_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "in the way").unwrap();
    let made = comparison(&POLICIES[..1], &[1], USUAL);
    let error = write_all(&blocked.join("out"), &made).unwrap_err();
    assert!(matches!(error, ReportError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
    assert!(error.help().contains("--out"));
    // A folder stands where a file should go: the temporary file is gone again.
    let out = dir.path().join("out");
    std::fs::create_dir_all(out.join("summary.csv")).unwrap();
    let error = write_all(&out, &made).unwrap_err();
    assert!(matches!(&error, ReportError::Write { path, .. } if path.ends_with("summary.csv")));
    let left: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|it| it.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_foreign_or_missing_file_is_an_error_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let error = Comparison::load(dir.path()).unwrap_err();
    assert!(matches!(error, ReportError::Read { .. }), "{error}");
    assert!(error.help().contains("report.json"));
    std::fs::write(dir.path().join("report.json"), "{\"format\": 1}").unwrap();
    let error = Comparison::load(dir.path()).unwrap_err();
    assert!(matches!(error, ReportError::Foreign { .. }), "{error}");
}

#[test]
fn user_text_cannot_become_markup_and_nothing_is_fetched() {
    let policies = ["<script>alert(1)</script>", "a\"b'c&d|e"];
    let mut made_by = manifest(&policies, &[1]);
    made_by.command = "bayplan --out '</pre><img src=http://example.org/x>'".to_owned();
    made_by.trace.card = "<iframe>".to_owned();
    made_by.warnings = vec!["<b>bold</b>".to_owned()];
    let runs = policies.iter().enumerate().map(|(row, policy)| {
        (RunKey { policy: (*policy).to_owned(), seed: 1 }, run(row, 1, USUAL))
    });
    let made = Comparison::new(made_by, runs.collect());
    let page = (exports::find("report-html").unwrap().render)(&made).unwrap();
    let page = String::from_utf8(page).unwrap();
    for bad in
        ["<script", "<iframe", "<img", "<b>bold", "<link", "@import", "url(", "src=\"", "src='"]
    {
        assert!(!page.contains(bad), "{bad}");
    }
    for (at, _) in page.match_indices("http") {
        let there = &page[at..(at + 30).min(page.len())];
        let is_known = there.starts_with("http://www.w3.org/2000/svg")
            || there.starts_with("http-equiv")
            || there.starts_with("http:&#x2f;&#x2f;example.org");
        assert!(is_known, "{there}");
    }
    let sheet = (exports::find("summary-csv").unwrap().render)(&made).unwrap();
    let mut rows = csv::Reader::from_reader(sheet.as_slice());
    let names: Vec<String> = rows.records().map(|it| it.unwrap()[0].to_owned()).collect();
    assert_eq!(names, policies);
}

#[test]
fn tables_fit_the_terminal() {
    for (name, comparison) in gallery() {
        for line in table(&comparison, TableStyle::default()).lines() {
            let is_text = line.starts_with('!');
            assert!(is_text || line.chars().count() <= 100, "{name}: {line}");
            assert!(!line.contains('\u{1b}'), "{name}: {line:?}");
        }
    }
    let bold =
        table(&comparison(&POLICIES[..2], &[1], USUAL), TableStyle { bold: true, width: 80 });
    assert!(bold.contains("\u{1b}[1m"));
}

#[test]
fn missing_values_are_empty_cells() {
    let plain = Look { zones: false, gpus: false, ..USUAL };
    let sheet =
        (exports::find("summary-csv").unwrap().render)(&comparison(&POLICIES[..1], &[1], plain));
    let sheet = sheet.unwrap();
    let mut rows = csv::Reader::from_reader(sheet.as_slice());
    let head = rows.headers().unwrap().clone();
    let row = rows.records().next().unwrap().unwrap();
    let at = |name: &str| &row[head.iter().position(|it| it == name).unwrap()];
    assert_eq!(at("gpu_allocated_share"), "");
    assert_eq!(at("zone_skew_tasks_mean"), "");
    assert_eq!(at("wait_open_tasks"), "0");
    assert_ne!(at("cpu_allocated_share"), "");
}

#[test]
fn verdicts_claim_no_more_than_seeds_allow() {
    let said: Vec<String> =
        gallery().iter().map(|(name, it)| format!("{name}: {}", it.verdict().sentence)).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    usual: Beyond the spread of 3 seeds, ecs is best or level with the best in all 8 headline metrics that differ.
    one-policy: ecs:spread(attribute:ecs.availability-zone),binpack(memory) ran alone (3 seeds): there is nothing to compare it with.
    one-seed: On this one input (seed 7), ecs leads in all 8 headline metrics that differ; with one seed nothing is claimed beyond it.
    one-run: ecs ran alone (1 seed): there is nothing to compare it with.
    exact: Exactly, whatever the seed, ecs leads in all 7 headline metrics that differ.
    equal: No difference: all 3 policies give the same value in every headline metric.
    close: No difference: no headline metric tells the 4 policies apart beyond the spread of 3 seeds.
    no-zones-no-gpus: Beyond the spread of 3 seeds, ecs leads in all 5 headline metrics that differ.
    nothing: No run finished: there is nothing to compare.
    ");
}
