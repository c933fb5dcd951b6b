//! Input that is wrong: every case is a clear error with its place and a way out, and never a panic.

use crate::story::read;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use traces::cluster_source::ClusterSource;
use traces::error::TraceError;

/// Reads a file of this text; `want` must be in the error's text, its place `line:column` if given.
#[track_caller]
fn check(prefix: &str, name: &str, bytes: &[u8], line: u64, want: &str) -> TraceError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let error = read(&format!("{prefix}{}", path.display())).unwrap_err();
    let text = format!("{error}; {}", error.help());
    assert!(text.contains(want), "{want:?} is not in {text:?}");
    assert!(!error.help().is_empty());
    let got = error.span().map_or(0, |it| it.line);
    assert_eq!(got, line, "{text}");
    if let Some(place) = error.span()
        && place.column > 0
    {
        assert!(place.column - 1 + place.length <= place.text.len().max(1), "{place:?}");
    }
    error
}

fn tasks(text: &str, line: u64, want: &str) {
    check("", "tasks.csv", text.as_bytes(), line, want);
}

#[test]
fn bayplan_tasks() {
    tasks("id,arrival_s,cpu_cores\na,0,two\n", 2, "cpu is \"two\", which is not a number");
    tasks("id,arrival_s,cpu_cores\na,0,-1\n", 2, "at least 0");
    tasks("id,arrival_s,cpu_cores\na,0,0.0001\n", 2, "more digits");
    tasks("id,arrival_s,cpu_cores\na,0,99999999999999999999\n", 2, "10^9 cores");
    tasks("id,arrival_s\na,100000000000.000001\n", 2, "at most 10^17 microseconds");
    tasks("id,arrival_s,duration_us\na,0,100000000000000001\n", 2, "at most 10^17 microseconds");
    tasks("id,arrival_s\na,1.0000001\n", 2, "more digits");
    tasks("id,arrival_s,cpu_milli\na,0,1000000000001\n", 2, "at most 10^9 cores");
    tasks("id,arrival_s,mem_bytes\na,0,9007199254740993\n", 2, "at most 2^53 bytes");
    tasks("id,arrival_s,cpu_cores\na,0\n", 2, "the row has 2 fields, the header names 3");
    tasks("id,arrival_s,cpu_cores\na,0,1,2\n", 2, "the row has 4 fields");
    tasks("id,arrival_s,cpu_cors\na,0,1\n", 1, "did you mean cpu_cores?");
    tasks("id,arrival_s,cpu_cores,cpu_milli\n", 1, "is there already");
    tasks("id,arrival_s,arrival_ms\n", 1, "is there already");
    tasks("id,arrival_s,kind\na,0,cron\n", 2, "`job` or `service`");
    tasks("id,arrival_s,ports\na,0,99999\n", 2, "80/tcp|53/udp");
    tasks("id,arrival_s,ports\na,0,80/sctp\n", 2, "80/tcp|53/udp");
    tasks("id,arrival_s,gpus\na,0,65\n", 2, "0 to 64");
    tasks("id,arrival_s,gpus,gpu_milli\na,0,1,1001\n", 2, "0 to 1000");
    tasks("id,arrival_s,requires\na,0,=x\n", 2, "rack=a|b;ssd");
    tasks("id,arrival_s,priority\na,0,3000000000\n", 2, "2147483647");
    tasks("id,arrival_s,count\na,0,0\n", 2, "from 1 to");
    tasks("id,arrival_s,withdrawn_s\na,5,4\n", 2, "after the arrival");
    tasks("id,arrival_s\na,\n", 2, "which is not a time");
    tasks("id,arrival_s\n", 0, "holds no tasks");
    tasks("id,arrival_s,labels\na,0,app\n", 2, "labels such as app=web");
    tasks("id,arrival_s,labels\na,0,a=1;a=2\n", 2, "each once");
    tasks("id,arrival_s,tolerations\na,0,gpu:Never\n", 2, "gpu=yes:NoSchedule;spot");
    tasks("id,arrival_s,cpu_cores,cpu_limit_cores\na,0,2,1\n", 2, "at least the cpu asked for");
    tasks("id,arrival_s,mem_mib,mem_limit_gib\na,0,2048,1\n", 2, "at least the memory");
    tasks("id,arrival_s,definition\na,0,web\n", 0, "definitions.json");
}

#[test]
fn bayplan_nodes() {
    #[track_caller]
    fn nodes(text: &str, line: u64, want: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tasks.csv"), "id,arrival_s\na,0\n").unwrap();
        fs::write(folder.path().join("nodes.csv"), text).unwrap();
        let error = read(&folder.path().display().to_string()).unwrap_err();
        let text = format!("{error}; {}", error.help());
        assert!(text.contains(want), "{want:?} is not in {text:?}");
        assert_eq!(error.span().unwrap().line, line);
        assert!(error.span().unwrap().path.ends_with("nodes.csv"));
    }
    nodes("name,cpu_cores\na,1\na,1\n", 3, "node \"a\" is there already");
    nodes("name,cpu_cores\n,1\n", 2, "a node's name");
    nodes("name,cpu_cores,at_s\na,1,5\nb,1,4\n", 3, "time goes back from 5s to 4s");
    nodes("name,cpu_cores,event\na,1,lost\n", 2, "has not joined");
    nodes("name,cpu_cores,event\na,1,\na,,lost\na,,draining\n", 4, "drains, but is lost");
    nodes("name,cpu_cores,event\na,1,\na,,returned\n", 3, "never away");
    nodes("name,cpu_cores,event\na,1,explodes\n", 2, "`draining`");
    nodes("name,cpu_cores,zon\na,1,x\n", 1, "did you mean zone?");
    nodes("name,cpu_cores,taints\na,1,gpu\n", 2, "gpu=yes:NoSchedule;spot:NoExecute");
    nodes("name,cpu_cores,images\na,1,nginx\n", 2, "nginx:1.27@180MiB|redis@40MiB");
    nodes("name,cpu_cores,images\na,1,nginx@4MB\n", 2, "nginx:1.27@180MiB|redis@40MiB");
    nodes("name,cpu_cores,gpus,gpu_model\na,1,3,A|B\n", 2, "one for each device");
}

#[test]
fn definitions_beside_a_task_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let text = |error: TraceError| format!("{error}; {}", error.help());
    put("definitions.json", r#"{"web": {"containers": [{"cpu_milli": 5, "image": "i"}]}}"#);
    put("tasks.csv", "id,arrival_s,cpu_cores,definition\na,0,,web\nb,0,1,\n");
    put("budgets.json", r#"[{"name": "b", "available_min": 1}]"#);
    let workload = read(&path).unwrap();
    assert_eq!((workload.definitions().len(), workload.budgets().count()), (2, 1));
    assert_eq!(
        (&*workload.definitions()[0].name, workload.card.counted("disruption budgets")),
        ("web", 1)
    );
    let source = traces::source::Source::parse(&path).unwrap();
    assert_eq!(source.files().unwrap().len(), 3, "all of them are digested");
    put("tasks.csv", "id,arrival_s,cpu_cores,definition\na,0,1,web\n");
    let error = text(read(&path).unwrap_err());
    assert!(error.contains(":2:5: ") && error.contains("the definition says it"), "{error}");
    put("tasks.csv", "id,arrival_s,definition\na,0,webb\n");
    let error = text(read(&path).unwrap_err());
    assert!(error.contains(":2:5: ") && error.contains("did you mean web?"), "{error}");
    put("definitions.json", r#"{"web": {"containers": [{"cpu_mili": 5}]}}"#);
    let error = text(read(&path).unwrap_err());
    assert!(error.contains("definitions.json:1:26: ") && error.contains("cpu_milli"), "{error}");
    put("budgets.json", r#"[{"name": "b"}]"#);
    put("tasks.csv", "id,arrival_s\na,0\n");
    let error = text(read(&path).unwrap_err());
    assert!(error.contains("budgets.json:1:2: ") && error.contains("bounds nothing"), "{error}");
}

#[test]
fn a_scenario_of_one_long_line_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.json");
    let node = |it: u32| format!(r#"{{"name": "é{it}", "cpu_cores": 1}}"#);
    let nodes: Vec<String> = (0..50_000).map(node).collect();
    let task = r#"{"definition": {"containers": [{}]}}"#;
    fs::write(&path, format!(r#"{{"nodes": [{}], "tasks": [{task}]}}"#, nodes.join(","))).unwrap();
    let workload = read(&path.display().to_string()).unwrap();
    assert_eq!((workload.node_count(), workload.task_count()), (50_000, 1));
}

#[test]
fn what_is_just_within_the_limits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.csv");
    let row = "a,100000000000,1000000000,9007199254740992";
    fs::write(&path, format!("id,arrival_s,cpu_cores,mem_bytes\n{row}\n")).unwrap();
    assert_eq!(read(&path.display().to_string()).unwrap().task_count(), 1);
}

#[test]
fn a_cluster_that_no_sum_can_hold_is_refused() {
    let mut workload = read("builtin:small?tasks=50").unwrap();
    let mut set = |text: &str| workload.set_cluster_from(&ClusterSource::parse(text)?);
    set("uniform:1024,cpu=1,mem=8388608GiB").unwrap();
    let error = set("uniform:1025,cpu=1,mem=8388608GiB").unwrap_err();
    let text = format!("{error}; {}", error.help());
    assert!(text.contains("9232379236109516800 of memory"), "{text}");
    let error = set("uniform:1,cpu=1,mem=8388609GiB").unwrap_err();
    assert!(error.to_string().contains("at most 2^53 bytes"), "{error}");
}

#[test]
fn openb_lists() {
    let head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n";
    let pods = |rest: &str, line, want: &str| {
        check("", "openb_pod_list_default.csv", format!("{head}{rest}").as_bytes(), line, want)
    };
    pods("p,x,1,0,0,,LS,Running,0,1,0\n", 2, "cpu_milli is \"x\"");
    pods("p,1,1,0,0,,LS,Running,0,1\n", 2, "10 columns where openb has 11");
    pods("p,1,1,99,0,,LS,Running,0,1,0\n", 2, "0 to 64");
    pods("p,1,1,1,2000,,LS,Running,0,1,0\n", 2, "0 to 1000");
    pods("p,1,1,1,100,,LS,Running,,1,0\n", 2, "a time in seconds");
    pods("p,1,99999999999999999,1,100,,LS,Running,0,1,0\n", 2, "2^53");
    pods("", 0, "holds no tasks");
}

#[test]
fn google_tables() {
    #[track_caller]
    fn table(text: &str, line: u64, want: &str) {
        check("google-2011:", "task_events-part-00000.csv", text.as_bytes(), line, want);
    }
    table("0,,1,0,,0,u,0,0,0.1,0.1\n", 1, "11 columns where google-2011 task_events has 13");
    table("5,,1,0,,0,u,0,0,0.1,0.1,0,0\n4,,2,0,,0,u,0,0,0.1,0.1,0,0\n", 2, "time goes back");
    table("0,,1,0,,9,u,0,0,0.1,0.1,0,0\n", 1, "an event from 0 to 8");
    table("0,,1,0,,0,u,0,0,1.5,0.1,0,0\n", 1, "a share from 0 to 1");
    table("0,,1,0,,0,u,0,0,nan,0.1,0,0\n", 1, "a share from 0 to 1");
    table("0,,1,99999999999,,0,u,0,0,1,0.1,0,0\n", 1, "below 2^32");
    table("99999999999999999999999,,1,0,,0,u,0,0,1,0.1,0,0\n", 1, "below 2^64");
}

#[test]
fn swf_logs() {
    let columns_21 = "0 1 0 5 4 1 1 4 8 6 1 6 1 1 -1 1 1 1 {1,2} q 1:ppn=64\n";
    check("", "x.swf", columns_21.as_bytes(), 1, "21 columns where swf has 18");
    check("", "x.swf", b"; Version: 2\n1 2 3\n", 2, "3 columns");
    let text = b"; Version: 2\n1 two 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n";
    check("", "x.swf", text, 2, "\"two\", which is not a number");
    let text = b"1 2 3 4 99999999999 6 7 8 9 10 11 12 13 14 15 16 17 18\n";
    check("", "x.swf", text, 1, "at most a million");
    check("", "x.swf", b"; MaxNodes: 5\n", 0, "holds no tasks");
}

#[test]
fn orlib_files() {
    check("", "b.txt", b"1\n u \n 10 2 1\n5\n", 0, "items of the last instance");
    check("", "b.txt", b"1\n u \n 10 1 1\n5\n6\n", 5, "the end of the file");
    check("", "b.txt", b"1\n u \n 10 1 1\n0.0005\n", 4, "more digits");
    check("orlib:", "b.txt", b"1\n u \n 10 1\n", 3, "2 columns");
}

#[test]
fn files_that_are_no_traces() {
    check("", "x", b"", 0, "holds no lines");
    check("", "x", b"\n\n  \n", 0, "holds no lines");
    check("", "x", b"hello world\n", 0, "not a trace of a known format");
    check("", "x", b"\x89PNG\r\n\x1a\n\0\0", 1, "not text");
    check("", "x", b"id,arrival_s\na,0\nb\xff,1\n", 3, "not text");
    check("opneb:", "x", b"", 0, "did you mean openb?");
}

#[test]
fn a_truncated_gzip_says_how_far_it_could_be_read() {
    let text: String = std::iter::once("id,arrival_s\n".into())
        .chain((0..50_000).map(|it| format!("t{it},{it}\n")))
        .collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let error = check("", "tasks.csv.gz", &whole[..whole.len() / 2], 0, "gzip data is damaged");
    assert!(matches!(error, TraceError::Damaged { line: 1_000.., .. }), "{error:?}");
}

#[test]
fn folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    assert!(matches!(read(&path).unwrap_err(), TraceError::Empty { .. }));
    fs::write(folder.path().join("readme.md"), "# nothing\n").unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.help().contains("1 files (readme.md)"), "{}", error.help());
    fs::write(folder.path().join("a.csv"), "id,arrival_s\na,0\n").unwrap();
    assert_eq!(read(&path).unwrap().task_count(), 1, "other files are not in the way");
    fs::write(folder.path().join("b.csv"), "id,arrival_s\na,0\n").unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.help().contains("b.csv"), "{}", error.help());
    fs::write(folder.path().join("c.swf"), "; Version: 2.2\n").unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.help().contains(&format!("swf:{path}")), "{}", error.help());
    assert!(read("no/such/path").is_err());
    fs::write(folder.path().join("d.csv.gz"), [0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
    assert!(
        matches!(read(&path).unwrap_err(), TraceError::Damaged { .. }),
        "not left out in silence"
    );
}

#[test]
fn cut_anywhere_and_flipped_anywhere_nothing_panics() {
    // Whatever a reader makes of damaged fixtures, it returns.
    let root = crate::story::here("fixtures");
    for format in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(format.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join(path.file_name().unwrap());
            for at in 0..bytes.len() {
                fs::write(&copy, &bytes[..at]).unwrap();
                let _ = read(&copy.display().to_string());
                let mut flipped = bytes.clone();
                flipped[at] = b"9,-;\n. e\"\xff"[at % 10];
                fs::write(&copy, &flipped).unwrap();
                let _ = read(&copy.display().to_string());
            }
        }
    }
}
