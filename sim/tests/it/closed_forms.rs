//! Closed forms of queueing and loss theory, as `closed_forms.csv` of the published results states them.
//!
//! Each row is simulated by the real manager in the real world, long enough that four standard errors
//! (from batch means) are at most 2 % of the value, and must agree within four standard errors. The rows
//! come from outside the project: `BAYPLAN_SHARED` or `../shared`; without them the tests say so and
//! pass. A short pilot run of each system tells how many tasks its rows need; systems that need more than
//! [`EVERYDAY_TASKS`] are left to `BAYPLAN_CLOSED_FORMS=all`.

use crate::parts::{FirstFit, Made, definition, node, task};
use cluster::arrival::{Arrival, What};
use cluster::chance::{Chance, Purpose};
use cluster::demand::{Amounts, Demand};
use cluster::event::{Change, Ending};
use cluster::ids::DefinitionId;
use cluster::observer::Observer;
use cluster::rules::{Rules, Unfit};
use cluster::state::State;
use cluster::units::{Bytes, Instant, MilliCpu, Span};
use rand_distr::{Distribution, Exp1, LogNormal};
use sim::world::{Config, run};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Systems that need more tasks than this run only when asked for.
const EVERYDAY_TASKS: u64 = 35_000_000;
/// Length of the pilot run that tells how many tasks a system needs.
const PILOT_TASKS: u64 = 1_000_000;
/// A batch is long against the time the system takes to forget.
const BATCHES: usize = 100;

/// Seconds of the model per mean service time; large, so that rounding to microseconds is nothing.
const SERVICE_S: f64 = 1000.0;

#[derive(Debug, Clone, Copy)]
enum Law {
    Exponential,
    Constant,
    Lognormal,
}

impl Law {
    /// A service time with mean [`SERVICE_S`].
    fn draw(self, chance: &mut Chance) -> Span {
        let unit = match self {
            Self::Exponential => Exp1.sample(chance.rng()),
            Self::Constant => 1.0,
            // Mean exp(mu + sigma^2 / 2) = 1.
            Self::Lognormal => LogNormal::new(-0.5, 1.0).unwrap().sample(chance.rng()),
        };
        Span::from_secs_f64(unit * SERVICE_S)
    }
}

/// One class of a loss system: offered load in erlangs, and what each task asks for.
#[derive(Debug, Clone, Copy)]
struct Class {
    erlangs: f64,
    cpu: u64,
    memory: u64,
}

/// One node, Poisson arrivals of several classes.
#[derive(Debug, Clone)]
struct System {
    cpu: u64,
    memory: u64,
    classes: Vec<Class>,
    unfit: Unfit,
    law: Law,
    seed: u64,
}

/// Sums of one batch.
#[derive(Clone, Default)]
struct Batch {
    tasks: f64,
    waited: f64,
    wait_s: f64,
    arrived: Vec<f64>,
    blocked: Vec<f64>,
    held: [f64; 2],
    time: f64,
}

struct Watch {
    batches: Vec<Batch>,
    per_batch: u64,
    seen: u64,
    classes: usize,
    now: Instant,
}

impl Watch {
    /// The batch of the task that came last; nothing is counted in the first, which warms up.
    fn batch(&mut self) -> &mut Batch {
        let at = (self.seen / self.per_batch) as usize;
        let classes = self.classes;
        if self.batches.len() <= at {
            let (arrived, blocked) = (vec![0.0; classes], vec![0.0; classes]);
            self.batches.resize(at + 1, Batch { arrived, blocked, ..Batch::default() });
        }
        &mut self.batches[at]
    }
}

impl Observer for Watch {
    fn advance(&mut self, to: Instant, state: &State) {
        let time = to.since(self.now).as_secs_f64();
        self.now = to;
        let held = state.nodes().totals().held;
        let batch = self.batch();
        batch.time += time;
        batch.held[0] += held[0] as f64 * time;
        batch.held[1] += held[1] as f64 * time;
    }

    fn observe(&mut self, now: Instant, changes: &[Change], _: &State) {
        for change in changes {
            match change {
                Change::Queued { task } => {
                    self.seen += 1;
                    let class = task.definition.row();
                    self.batch().arrived[class] += 1.0;
                }
                Change::Placed { task, .. } => {
                    let wait = now.since(task.queued).as_secs_f64();
                    let batch = self.batch();
                    batch.tasks += 1.0;
                    batch.waited += f64::from(u8::from(wait > 0.0));
                    batch.wait_s += wait;
                }
                Change::Ended { task, how: Ending::Dropped(_), .. } => {
                    let class = task.definition.row();
                    self.batch().blocked[class] += 1.0;
                }
                _ => {}
            }
        }
    }
}

fn simulate(system: &System, tasks: u64) -> Vec<Batch> {
    let mut chance = Chance::new(system.seed, Purpose::Arrivals, 0);
    let capacity =
        Amounts { cpu: MilliCpu(system.cpu), memory: Bytes(system.memory), ..Amounts::default() };
    let mut first = vec![node(0, "a", capacity, 0)];
    for (number, class) in system.classes.iter().enumerate() {
        let amounts =
            Amounts { cpu: MilliCpu(class.cpu), memory: Bytes(class.memory), ..Amounts::default() };
        first.push(definition(number as u32, Demand { amounts, ..Demand::default() }));
    }
    first.reverse();
    let total: f64 = system.classes.iter().map(|it| it.erlangs).sum();
    let (mut id, mut at_s) = (0, 0.0);
    let mut stream = Made(|| -> Option<Arrival> {
        if let Some(arrival) = first.pop() {
            return Some(arrival);
        }
        if id == tasks {
            return None;
        }
        let gap: f64 = Exp1.sample(chance.rng());
        at_s += gap * SERVICE_S / total;
        let mut left = chance.unit() * total;
        let class = system.classes.iter().position(|it| {
            left -= it.erlangs;
            left < 0.0
        });
        let class = class.unwrap_or(system.classes.len() - 1) as u32;
        let at = Instant((at_s * 1e6) as u64);
        let mut arrival = task(id, at, class, Some(system.law.draw(&mut chance)));
        if let What::Task(task) = &mut arrival.what {
            task.submission.definition = DefinitionId(class);
        }
        id += 1;
        Some(arrival)
    });
    let rules = Rules { unfit: system.unfit, ..Rules::default() };
    let config = Config { rules, ..Config::default() };
    let mut watch = Watch {
        batches: Vec::new(),
        per_batch: (tasks / (BATCHES as u64 + 1)).max(1),
        seen: 0,
        classes: system.classes.len(),
        now: Instant::ZERO,
    };
    run(&config, &mut stream, Box::new(FirstFit), &mut watch, &mut ()).unwrap();
    // The first batch warms up; what is left over at the end is no whole batch.
    watch.batches.into_iter().skip(1).take(BATCHES).collect()
}

/// Mean and standard error of a ratio of sums over batches.
fn ratio(batches: &[Batch], part: impl Fn(&Batch) -> (f64, f64)) -> (f64, f64) {
    let values: Vec<f64> = batches.iter().map(|it| part(it).0 / part(it).1).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// What a row of the file asks to be measured.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Waited,
    Wait,
    Blocked(usize),
    Held { resource: usize, capacity: u64 },
}

/// A row of the file: what is measured on a system, and what it should be.
struct Row {
    name: String,
    expected: f64,
    measure: Measure,
}

/// A system with all the rows that speak of it.
struct Study {
    system: System,
    rows: Vec<Row>,
}

/// The numbers in a text, in order: `c=16 rho=0.9` gives 16 and 0.9.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|it: char| !it.is_ascii_digit() && it != '.')
        .filter_map(|it| it.trim_matches('.').parse().ok())
        .collect()
}

#[expect(clippy::print_stdout, reason = "a test says what it skips")]
fn studies() -> Option<Vec<Study>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("BAYPLAN_SHARED").map_or(root, Into::into);
    let Ok(text) = read(&root.join("published/closed_forms.csv")) else {
        println!("skipped: no closed_forms.csv under BAYPLAN_SHARED or ../shared");
        return None;
    };
    let mut studies: BTreeMap<(String, String), Study> = BTreeMap::new();
    let mut last = String::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let fields = split(line);
        let [model, parameters, metric, expected, ..] = &fields[..] else { continue };
        // `same` is said of the parameters of the row before.
        if parameters != "same" {
            last.clone_from(parameters);
        }
        let p = numbers(&last);
        let values = numbers(expected);
        let Some((cpu, memory, classes, unfit)) = system_of(model, &p) else { continue };
        let law = match unfit {
            Unfit::Drop => [Law::Exponential, Law::Constant, Law::Lognormal][number % 3],
            _ => Law::Exponential,
        };
        let system = System { cpu, memory, classes, unfit, law, seed: number as u64 };
        let named = numbers(metric).first().map(|it| *it as usize);
        let size_of = |it: &Class| it.cpu as usize;
        let measures: Vec<Measure> = match (model.as_str(), metric.as_str(), named) {
            (_, "mean wait", _) => vec![Measure::Wait],
            (_, "P(wait>0)", _) => vec![Measure::Waited],
            (_, "blocking", _) => vec![Measure::Blocked(0)],
            ("Kaufman-Roberts multi-class loss", _, Some(size)) => {
                let class = system.classes.iter().position(|it| size_of(it) == size);
                vec![Measure::Blocked(class.unwrap())]
            }
            (_, _, Some(class)) => vec![Measure::Blocked(class)],
            (_, _, None) => (0..values.len())
                .map(|resource| Measure::Held { resource, capacity: [cpu, memory][resource] })
                .collect(),
        };
        let key = (model.clone(), last.clone());
        let study = studies.entry(key).or_insert_with(|| Study { system, rows: Vec::new() });
        for (measure, expected) in measures.into_iter().zip(values) {
            let name = format!("line {}: {model} {last} {metric}", number + 1);
            study.rows.push(Row { name, expected, measure });
        }
    }
    Some(studies.into_values().collect())
}

/// Cpu, memory, classes and what happens to the unfit, of the models that are one node with Poisson
/// arrivals. Other models belong to other parts of the product.
fn system_of(model: &str, p: &[f64]) -> Option<(u64, u64, Vec<Class>, Unfit)> {
    let class = |erlangs, cpu, memory| Class { erlangs, cpu, memory };
    Some(match model {
        "M/M/c (Erlang C)" => {
            (p[0] as u64, 0, vec![class(p[0] * p[1], 1, 0)], Unfit::WaitAndLetPass)
        }
        "M/M/c/c (Erlang B)" => (p[0] as u64, 0, vec![class(p[1], 1, 0)], Unfit::Drop),
        "Kaufman-Roberts multi-class loss" => {
            let classes = p[1..].chunks(2).map(|it| class(it[0], it[1] as u64, 0)).collect();
            (p[0] as u64, 0, classes, Unfit::Drop)
        }
        "two-resource product-form loss" => {
            let classes =
                p[2..].chunks(3).map(|it| class(it[0], it[1] as u64, it[2] as u64)).collect();
            (p[0] as u64, p[1] as u64, classes, Unfit::Drop)
        }
        _ => return None,
    })
}

/// Fields of one CSV line, quotes honoured.
fn split(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for it in line.chars() {
        match it {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => {
                if let Some(last) = fields.last_mut() {
                    last.push(it);
                }
            }
        }
    }
    fields
}

#[expect(clippy::disallowed_methods, reason = "a test reads its expectations from a file")]
fn read(path: &std::path::Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// The measured value and its standard error.
fn measure(row: &Row, batches: &[Batch]) -> (f64, f64) {
    ratio(batches, |it| match row.measure {
        Measure::Waited => (it.waited, it.tasks),
        Measure::Wait => (it.wait_s / SERVICE_S, it.tasks),
        Measure::Blocked(class) => (it.blocked[class], it.arrived[class]),
        Measure::Held { resource, capacity } => (it.held[resource], it.time * capacity as f64),
    })
}

impl Study {
    /// Tasks needed so that four standard errors are safely below 2 % of every row's value, judged by a
    /// pilot run whose outcome is thrown away.
    fn tasks_needed(&self) -> u64 {
        let pilot =
            simulate(&System { seed: self.system.seed + 1000, ..self.system.clone() }, PILOT_TASKS);
        let worst =
            self.rows.iter().map(|row| 4.0 * measure(row, &pilot).1 / (0.02 * row.expected));
        // A pilot much shorter than the system's memory sees too small an error: twice as many.
        let factor = 2.0 * worst.fold(0.0, f64::max).powi(2);
        (PILOT_TASKS as f64 * factor.max(0.3)) as u64
    }

    fn check(&self, mut tasks: u64) -> Vec<Result<String, String>> {
        let mut batches = simulate(&self.system, tasks);
        // The pilot may have been lucky. Only the length is judged here, never the agreement.
        let is_short = |batches: &[Batch]| {
            self.rows.iter().any(|it| 4.0 * measure(it, batches).1 > 0.02 * it.expected)
        };
        while is_short(&batches) && tasks < 2_000_000_000 {
            tasks *= 2;
            batches = simulate(&self.system, tasks);
        }
        let judge = |row: &Row| {
            let (mean, error) = measure(row, &batches);
            let text = format!(
                "{}: {mean:.6} ± {error:.6}, expected {:.6}, {tasks} tasks",
                row.name, row.expected
            );
            if (mean - row.expected).abs() > 4.0 * error.max(1e-6) {
                return Err(format!("{text}: off by more than four standard errors"));
            }
            if 4.0 * error > 0.02 * row.expected {
                return Err(format!("{text}: four standard errors are more than 2 % of the value"));
            }
            Ok(text)
        };
        self.rows.iter().map(judge).collect()
    }
}

/// Does `work` for all items on all cores; results in the order in which they were done.
fn spread<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let job = || {
            let mut done = Vec::new();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(work(item));
            }
            done
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(job)).collect();
        handles.into_iter().flat_map(|it| it.join().unwrap()).collect()
    })
}

#[test]
fn simulated_queues_agree_with_theory() {
    if cfg!(debug_assertions) {
        println!("skipped: too many tasks for a debug build; `./test` runs it in release");
        return;
    }
    let Some(studies) = studies() else { return };
    let rows: usize = studies.iter().map(|it| it.rows.len()).sum();
    assert!(rows >= 30, "only {rows} rows are understood");
    let all = std::env::var("BAYPLAN_CLOSED_FORMS").is_ok_and(|it| it == "all");
    let mut needed = spread(&studies, |it| (it.tasks_needed(), it));
    // Longest first, so that the workers end together.
    needed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.rows[0].name.cmp(&b.1.rows[0].name)));
    let (run, rest): (Vec<_>, Vec<_>) =
        needed.into_iter().partition(|it| all || it.0 <= EVERYDAY_TASKS);
    for (tasks, study) in &rest {
        println!("left to BAYPLAN_CLOSED_FORMS=all ({tasks} tasks): {}", study.rows[0].name);
    }
    let mut failures = Vec::new();
    for result in spread(&run, |(tasks, study)| study.check(*tasks)).into_iter().flatten() {
        match result {
            Ok(text) => println!("{text}"),
            Err(text) => failures.push(text),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
