//! Reading traces, in processor time per row or task.
//!
//! `google-2011`: a part of `task_events` through the csv crate (a `StringRecord` per row, the standard library's parsers, gzip by
//! flate2) and through Bayplan, from a plain file and from gzip; and the whole trace as a workload.
//!
//! `columns`: a column file of 5 M generated tasks, opened, and gone through as the simulator does; and the same tasks drawn anew.
//!
//! The part is made here, in the form of the real one. `BAYPLAN_BENCH_GOOGLE=FOLDER` takes the first part of a real
//! trace instead.

use cluster::chance::{Chance, Purpose};
use cpu_time::ThreadTime;
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use traces::Workload;
use traces::columns::{Watch, convert};
use traces::google_2011::Part;
use traces::source::{ReadOptions, Source, read};

/// Measures processor time: what else the machine does matters less to it than to a clock on the wall.
fn cpu<T>(bencher: &mut Bencher<'_>, mut work: impl FnMut() -> T) {
    bencher.iter_custom(|rounds| {
        let start = ThreadTime::now();
        for _ in 0..rounds {
            black_box(work());
        }
        start.elapsed()
    });
}

fn is_trial() -> bool {
    std::env::args().any(|it| it == "--test")
}

/// A text in the form of `task_events`: tasks that are submitted, placed, and end.
fn task_events(tasks: u64) -> String {
    const REQUESTS: [(&str, &str, &str); 4] = [
        ("0.125", "0.07446", "0.0004244"),
        ("0.0625", "0.0159", "3.815e-05"),
        ("0.02499", "0.01553", "0.0001869"),
        ("0.006248", "0.01749", "9.537e-05"),
    ];
    let mut chance = Chance::new(1, Purpose::Tasks, 0);
    let mut text = String::new();
    let mut running: Vec<(u64, u64)> = Vec::new();
    let (mut at, mut job) = (600_000_000u64, 6_251_974_185u64);
    let mut row = |at: u64, job: u64, index: u64, machine: Option<u64>, code: u8| {
        let (cpu, memory, disk) = REQUESTS[(job % 4) as usize];
        let machine = machine.map_or(String::new(), |it| it.to_string());
        let priority = [0, 2, 4, 9][(job / 4 % 4) as usize];
        let user = job.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(
            text,
            "{at},,{job},{index},{machine},{code},{user:022x}{user:021x}=,1,{priority},{cpu},{memory},{disk},0"
        );
    };
    for _ in 0..tasks {
        at += chance.below(20_000);
        job += u64::from(chance.below(10) == 0) * (1 + chance.below(90));
        let index = at % 4_000;
        row(at, job, index, None, 0);
        row(at + 1, job, index, Some(3_000_000 + chance.below(4_000_000_000)), 1);
        running.push((job, index));
        at += 2;
        if running.len() > 100 {
            let (job, index) = running.swap_remove(chance.below(100) as usize);
            row(at, job, index, Some(3_000_000 + chance.below(4_000_000_000)), 4);
        }
    }
    text
}

/// A folder with one part of `task_events` as gzip, and the same part plain beside the folder.
struct Files {
    trace: PathBuf,
    packed: PathBuf,
    plain: PathBuf,
    rows: u64,
    /// Takes the files away.
    _folder: tempfile::TempDir,
}

fn files() -> Files {
    let folder = tempfile::tempdir().expect("room for temporary files");
    let plain = folder.path().join("plain.csv");
    let (trace, packed, text) = match std::env::var_os("BAYPLAN_BENCH_GOOGLE") {
        Some(trace) => {
            let trace = PathBuf::from(trace);
            let entries = fs::read_dir(&trace).expect("the folder can be read");
            let paths = entries.map(|it| it.expect("the folder can be read").path());
            let parts = paths.filter(|it| it.display().to_string().contains("task_events"));
            let packed = parts.min().expect("the folder has a part of task_events");
            let mut text = String::new();
            unpacked(&packed).read_to_string(&mut text).expect("the part is gzip");
            (trace, packed, text)
        }
        None => {
            let trace = folder.path().join("trace");
            fs::create_dir(&trace).expect("room for temporary files");
            let packed = trace.join("task_events-part-00000-of-00001.csv.gz");
            let text = task_events(if is_trial() { 1_000 } else { 150_000 });
            let file = File::create(&packed).expect("room for temporary files");
            let mut encoder = GzEncoder::new(file, Compression::default());
            encoder.write_all(text.as_bytes()).expect("room for temporary files");
            encoder.finish().expect("room for temporary files");
            (trace, packed, text)
        }
    };
    fs::write(&plain, &text).expect("room for temporary files");
    let rows = text.lines().count() as u64;
    Files { trace, packed, plain, rows, _folder: folder }
}

fn unpacked(path: &Path) -> impl Read {
    let file = File::open(path).expect("it is there");
    MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))
}

/// The columns that Bayplan uses, the way one writes it first.
fn by_csv_crate(input: impl Read) -> f64 {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(input);
    let mut sum = 0.0;
    for record in reader.records() {
        let record = record.expect("the part is well formed");
        let whole = |at: usize| record[at].parse::<u64>().expect("a number");
        let share = |at: usize| match &record[at] {
            "" => 0.0,
            text => text.parse::<f64>().expect("a number"),
        };
        let numbers = whole(0) ^ whole(2) ^ whole(3) ^ whole(5) ^ whole(8);
        sum += numbers as f64 + share(9) + share(10);
        black_box((&record[4], &record[12] == "1"));
    }
    sum
}

fn by_bayplan(part: &mut Part, path: &Path) -> u64 {
    let mut sum = 0;
    let mut add = |_: &str, it: &traces::google_2011::TaskEvent<'_>| {
        let numbers = it.at.0 ^ it.job ^ u64::from(it.index) ^ u64::from(it.code);
        sum += (numbers ^ u64::from(it.priority)) + it.request.map_or(0, |it| it[0] + it[1]);
        black_box((it.machine, it.apart));
    };
    part.restart();
    part.read(path, &mut add).expect("the part is well formed");
    sum
}

fn google_2011(criterion: &mut Criterion) {
    let files = files();
    let mut group = criterion.benchmark_group("google-2011");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(files.rows));
    // Parts of a trace are read one after the other, in the same room.
    let mut part = Part::default();
    let plain = || File::open(&files.plain).expect("it is there");
    group.bench_function("csv crate, plain", |it| cpu(it, || by_csv_crate(plain())));
    group.bench_function("bayplan, plain", |it| cpu(it, || by_bayplan(&mut part, &files.plain)));
    group.bench_function("csv crate, gzip", |it| cpu(it, || by_csv_crate(unpacked(&files.packed))));
    group.bench_function("bayplan, gzip", |it| cpu(it, || by_bayplan(&mut part, &files.packed)));
    let source = format!("google-2011:{}", files.trace.display());
    let source = Source::parse(&source).expect("the folder is there");
    group.bench_function("whole workload", |it| {
        cpu(it, || read(&source, &ReadOptions::default()).expect("the trace is well formed"));
    });
    group.finish();
}

/// A month of a cluster of 12,500 nodes, cut to so many tasks.
fn columns(criterion: &mut Criterion) {
    let tasks = if is_trial() { 2_000 } else { 5_000_000 };
    let folder = tempfile::tempdir().expect("room for temporary files");
    let out = folder.path().join("t.bpc");
    let options = ReadOptions::default();
    let parse = |it: &str| Source::parse(it).expect("the built-in workloads are there");
    let generated = parse(&format!("builtin:google-2011-like?tasks={tasks}"));
    let watch = Watch { is_stopped: &|| false, says: &|_| {} };
    let converted = convert(&generated, &options, &out, &watch).expect("room for temporary files");
    let columns = parse(out.to_str().expect("folders for temporary files have plain names"));
    let open = |source| read(source, &options).expect("it was just written");
    let mut group = criterion.benchmark_group("columns");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(converted.tasks));
    let arrivals = |workload: &Workload| workload.stream().fold(0, |sum, it| sum ^ it.at.0);
    let workload = open(&generated);
    group.bench_function("drawn anew", |it| cpu(it, || arrivals(&workload)));
    group.bench_function("open and check", |it| cpu(it, || open(&columns)));
    let workload = open(&columns);
    group.bench_function("stream", |it| cpu(it, || arrivals(&workload)));
    group.bench_function("open and stream", |it| cpu(it, || arrivals(&open(&columns))));
    group.finish();
}

criterion_group!(benches, google_2011, columns);
criterion_main!(benches);
