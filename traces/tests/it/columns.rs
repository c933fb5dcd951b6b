//! A column file brings what the trace that it was made of brings, however often the making was interrupted.

use crate::story::{here, read, story};
use cluster::ids::TaskId;
use cluster::nodes::Overcommit;
use proptest::prelude::*;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use traces::Workload;
use traces::cluster_source::ClusterSource;
use traces::columns::{self, Converted, Step, Watch, part_folder};
use traces::error::TraceError;
use traces::source::{ReadOptions, Source};

fn convert(source: &str, options: &ReadOptions, out: &Path) -> Result<Converted, TraceError> {
    let watch = Watch { is_stopped: &|| false, says: &|_| {} };
    columns::convert(&Source::parse(source)?, options, out, &watch)
}

fn with(source: &str, options: &ReadOptions) -> Workload {
    traces::read(&Source::parse(source).unwrap(), options).unwrap()
}

/// All that is to be the same: arrivals, names, places, and the card but for where it is from.
fn everything(workload: &Workload) -> Vec<String> {
    let of_task = |id| {
        let task = workload.task(id);
        let group = task.submission.group.map(|it| workload.group_name(it).into_owned());
        // What stands in no file stands in the column file.
        let place = Some(workload.place(id)).filter(|it| it.line > 0).map(|it| it.to_string());
        format!("{} {place:?} {group:?} {task:?}", workload.name(id))
    };
    let tasks: Vec<String> =
        (0..workload.task_count() as u64).map(|it| of_task(TaskId(it))).collect();
    let mut card = workload.card.clone();
    card.source.clear();
    card.format.clear();
    card.counts.retain(|it| it.count > 0);
    card.counts.sort_by(|a, b| a.what.cmp(&b.what));
    card.assumptions.retain(|it| !it.starts_with("read from a column file"));
    let card = format!("{card:#?} {:?}", workload.horizon());
    story(workload).into_iter().chain(tasks).chain(card.lines().map(str::to_owned)).collect()
}

/// Fails with the first line that differs.
#[track_caller]
fn same(after: &Workload, before: &Workload, what: &str) {
    let (after, before) = (everything(after), everything(before));
    let differs = after.iter().zip(&before).find(|(one, other)| one != other);
    assert_eq!(differs, None, "{what}");
    assert_eq!(after.len(), before.len(), "{what}");
}

const SOURCES: [&str; 6] = ["bayplan", "openb", "google-2011", "swf", "scenario", "small"];

fn source(name: &str) -> String {
    match name {
        "small" => "builtin:small?tasks=500&seed=5".to_owned(),
        _ => here(&format!("fixtures/{name}")),
    }
}

#[test]
fn a_column_file_brings_what_its_trace_brings() {
    let folder = tempfile::tempdir().unwrap();
    for name in SOURCES {
        let options = ReadOptions::default();
        let out = folder.path().join(format!("{name}.bpc"));
        let converted = convert(&source(name), &options, &out).unwrap();
        let (before, after) = (read(&source(name)).unwrap(), read(out.to_str().unwrap()).unwrap());
        same(&after, &before, name);
        assert_eq!(after.card.format, "columns");
        assert_eq!(converted.bytes, fs::metadata(&out).unwrap().len());
        assert_eq!(converted.tasks, before.task_count() as u64);
        assert!(!part_folder(&out).exists(), "nothing is left over");
        // A second one is the same, and so is one that was made of the first but for what it was made of.
        let again = folder.path().join("again.bpc");
        convert(&source(name), &options, &again).unwrap();
        assert_eq!(fs::read(&again).unwrap(), fs::read(&out).unwrap());
        fs::remove_file(&again).unwrap();
        convert(out.to_str().unwrap(), &options, &again).unwrap();
        same(&read(again.to_str().unwrap()).unwrap(), &before, "");
        fs::remove_file(&again).unwrap();
    }
}

#[test]
fn options_change_a_column_file_as_they_change_its_trace() {
    let folder = tempfile::tempdir().unwrap();
    for name in SOURCES {
        let out = folder.path().join(format!("{name}.bpc"));
        convert(&source(name), &ReadOptions::default(), &out).unwrap();
        let file = out.to_str().unwrap();
        for change in ["limit=3", "until=6d", "scale=1/3", "fill=static", "shuffle=4", "zones=2"] {
            if (name, change) == ("small", "zones=2") {
                // Its recipe has an option of that name.
                continue;
            }
            let sign = if name == "small" { '&' } else { '?' };
            let before = read(&format!("{}{sign}{change}", source(name))).unwrap();
            let after = read(&format!("columns:{file}?{change}")).unwrap();
            same(&after, &before, &format!("{name} {change}"));
        }
    }
}

#[test]
fn what_was_asked_for_when_it_was_made_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.bpc");
    let zones = Some(traces::zones::Zones::parse("2").unwrap());
    let options = ReadOptions { zones, limit: Some(4), ..ReadOptions::default() };
    convert(&source("bayplan"), &options, &out).unwrap();
    let mut before = with(&source("bayplan"), &options);
    let mut after = with(out.to_str().unwrap(), &ReadOptions::default());
    same(&after, &before, "");
    // Zones are made on other nodes, too, and residents look for theirs by name.
    let nodes = |text: &str| traces::read_cluster(&ClusterSource::parse(text).unwrap()).unwrap();
    let other = nodes("uniform:5,cpu=64,mem=256GiB");
    before.set_cluster(other.clone()).unwrap();
    after.set_cluster(other).unwrap();
    same(&after, &before, "");
    // The nodes of a column file are a cluster.
    let before = nodes(&source("openb"));
    let out = folder.path().join("openb.bpc");
    convert(&source("openb"), &ReadOptions::default(), &out).unwrap();
    assert_eq!(nodes(out.to_str().unwrap()), before);
}

#[test]
fn residents_and_oversized_tasks_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.bpc");
    convert(&source("google-2011"), &ReadOptions::default(), &out).unwrap();
    let (mut before, mut after) =
        (read(&source("google-2011")).unwrap(), read(out.to_str().unwrap()).unwrap());
    let cpu = Overcommit([1, 1000, 1000]);
    assert!(!before.check_fits(cpu).is_empty());
    assert_eq!(after.check_fits(cpu), before.check_fits(cpu));
    for it in [&mut before, &mut after] {
        it.set_cluster(vec![]).unwrap();
    }
    assert!(before.card.counted("residents of nodes that are not there (submitted instead)") > 0);
    same(&after, &before, "");
}

/// A trace of Google's form in three parts.
fn three_parts(folder: &Path) -> String {
    let folder = folder.join("trace");
    fs::create_dir_all(&folder).unwrap();
    let machines: String = (1..=5).map(|it| format!("0,{it},0,p,0.5,0.25\n")).collect();
    fs::write(folder.join("machine_events-part-00000-of-00001.csv"), machines).unwrap();
    let mut at = 600_000_000;
    for part in 0..3 {
        let mut text = String::new();
        for task in 0..400 {
            let job = 6_000 + task % 7;
            let index = 1000 * part + task;
            at += 1_000;
            let row = |code, machine| {
                format!("{at},,{job},{index},{machine},{code},u,0,{},0.0125,0.5,,0\n", task % 11)
            };
            text += &row(0, "");
            text += &row(1, "3");
            text += &if task % 3 == 0 { row(4, "3") } else { String::new() };
        }
        // Of a task that was never submitted: it is refused, with its line.
        text += &format!("{at},,1,{part},,4,u,0,0,,,,\n");
        let name = format!("task_events-part-0000{part}-of-00003.csv");
        fs::write(folder.join(name), text).unwrap();
    }
    folder.display().to_string()
}

#[test]
fn an_interrupted_conversion_goes_on_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let trace = three_parts(folder.path());
    let options = ReadOptions::default();
    let whole = folder.path().join("whole.bpc");
    convert(&trace, &options, &whole).unwrap();
    same(&read(whole.to_str().unwrap()).unwrap(), &read(&trace).unwrap(), "");
    assert_eq!(read(&trace).unwrap().card.refusals.count(), 3);
    // Stopped after each of its steps in turn: three parts, one block.
    for steps in 0..=4 {
        let out = folder.path().join(format!("{steps}.bpc"));
        let seen = Cell::new(0);
        let watch = Watch {
            is_stopped: &|| seen.get() >= steps,
            says: &|_: Step| seen.set(seen.get() + 1),
        };
        let error = columns::convert(&Source::parse(&trace).unwrap(), &options, &out, &watch);
        let error = error.unwrap_err();
        let parts = steps.clamp(1, 3);
        assert!(
            matches!(&error, TraceError::Interrupted { parts: it, .. } if *it == parts),
            "{error}"
        );
        assert!(error.help().contains("goes on"), "{}", error.help());
        assert!(!out.exists() && part_folder(&out).exists());
        let converted = convert(&trace, &options, &out).unwrap();
        assert_eq!(converted.parts_kept, parts);
        assert_eq!(fs::read(&out).unwrap(), fs::read(&whole).unwrap(), "after {steps} steps");
        assert!(!part_folder(&out).exists());
    }
}

#[test]
fn what_is_kept_is_not_taken_for_another_part() {
    let folder = tempfile::tempdir().unwrap();
    let trace = three_parts(folder.path());
    let out = folder.path().join("t.bpc");
    let seen = Cell::new(0);
    let watch =
        Watch { is_stopped: &|| seen.get() >= 2, says: &|_: Step| seen.set(seen.get() + 1) };
    columns::convert(&Source::parse(&trace).unwrap(), &ReadOptions::default(), &out, &watch)
        .unwrap_err();
    // The first part changes; what was kept of the second is damaged.
    let first = Path::new(&trace).join("task_events-part-00000-of-00003.csv");
    let text = fs::read_to_string(&first).unwrap().replace(",0.0125,", ",0.25,");
    fs::write(&first, text).unwrap();
    for entry in fs::read_dir(part_folder(&out)).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(convert(&trace, &ReadOptions::default(), &out).unwrap().parts_kept, 0);
    same(&read(out.to_str().unwrap()).unwrap(), &read(&trace).unwrap(), "");
    // Parts in the wrong order are an error with a place, though all of them were kept in the right one.
    let out = folder.path().join("u.bpc");
    seen.set(0);
    let watch =
        Watch { is_stopped: &|| seen.get() >= 3, says: &|_: Step| seen.set(seen.get() + 1) };
    columns::convert(&Source::parse(&trace).unwrap(), &ReadOptions::default(), &out, &watch)
        .unwrap_err();
    let other = Path::new(&trace).join("task_events-part-00009-of-00003.csv");
    fs::rename(&first, other).unwrap();
    for _ in 0..2 {
        let error = convert(&trace, &ReadOptions::default(), &out).unwrap_err();
        assert!(
            matches!(&error, TraceError::Backwards { place, .. } if place.line == 1),
            "{error}"
        );
    }
}

#[test]
fn blocks_are_filled_and_the_last_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.bpc");
    let source = "builtin:small?tasks=140000&nodes=50";
    convert(source, &ReadOptions::default(), &out).unwrap();
    let (before, after) = (read(source).unwrap(), read(out.to_str().unwrap()).unwrap());
    assert!(before.task_count() > 131_073);
    assert!(after.stream().eq(before.stream()));
    assert_eq!(after.card.measured, before.card.measured);
    for id in [0, 65_535, 65_536, 131_071, 131_072, after.task_count() as u64 - 1].map(TaskId) {
        assert_eq!(after.name(id), id.to_string());
        assert_eq!(after.task(id).submission.task, id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_task_list_comes_back(
        rows in prop::collection::vec(
            (0..50u32, prop::option::of(0..50u32), prop::option::of(0..9u32), prop::option::of(0..9u32), -3..3i32, any::<bool>(), "[a-zä]{0,3}", 0..4u32),
            1..40,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "id,arrival_us,duration_us,withdrawn_us,estimate_us,priority,kind,group,cpu_milli\n".to_owned();
        let some = |it: Option<u32>| it.map_or(String::new(), |it| it.to_string());
        for (row, (at, life, patience, estimate, priority, service, group, cpu)) in rows.iter().enumerate() {
            let withdrawn = patience.map(|it| at + it);
            let kind = if *service { "service" } else { "job" };
            text += &format!(
                "{group}-{row},{at},{},{},{},{priority},{kind},{group},{cpu}\n",
                some(*life), some(withdrawn), some(*estimate)
            );
        }
        let trace = folder.path().join("tasks.csv");
        fs::write(&trace, text).unwrap();
        let out = folder.path().join("t.bpc");
        convert(trace.to_str().unwrap(), &ReadOptions::default(), &out).unwrap();
        let (before, after) = (read(trace.to_str().unwrap()).unwrap(), read(out.to_str().unwrap()).unwrap());
        same(&after, &before, "");
    }
}
