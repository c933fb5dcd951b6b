//! Two floors and every strategy over one workload, in one run: ns per task and the ratio to floor B.
//!
//! ```text
//! cargo bench -p bayplan-benches --bench speed -- --nodes 1000,12500 --tasks 1000000 --policies first-fit,ecs
//! ```
//!
//! **Floor A** is the least that any simulator must do: a stream of arrivals, departures from a radix heap, two
//! updates of a node a task, counters. Nothing is chosen: the nodes take turns.
//!
//! **Floor B** is all that the manager does (events, reports, journal fingerprint, counts per group) and all
//! metrics, under a scheduler that was told a node for every task. What a strategy costs beyond that is its own.
//!
//! The workload is the generator's likeness of Google 2011, or another (`--workload 'openb:DIR?nodes=gpu&pods=multigpu20'`,
//! `--workload builtin:default`), held in memory beforehand, without faults. Times are
//! processor time of the one thread, the best of `--rounds`, in which floors and strategies take turns, so that a busy
//! machine is unkind to all alike.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table")]

use cluster::arrival::{Arrival, ArrivalStream, StreamError, What};
use cluster::event::{Action, NodeEvent};
use cluster::id_map::IdMap;
use cluster::ids::{NodeId, TaskId};
use cluster::journal::Record;
use cluster::nodes::DeviceSet;
use cluster::observer::Observer;
use cluster::scheduler::{Desk, Scheduler};
use cluster::units::Instant;
use cpu_time::ThreadTime;
use reports::collector::{Collector, CollectorConfig};
use schedulers::policy::Policy;
use sim::agenda::{Agenda, Rank};
use sim::world::{Config, Hooks, Outcome, run};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use traces::source::{ReadOptions, Source, read};

/// What a run is asked for.
struct Options {
    nodes: Vec<u32>,
    tasks: u64,
    load: String,
    /// Instead of the likeness, with its own nodes and tasks.
    workload: Option<Source>,
    rounds: usize,
    policies: Vec<Policy>,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut this = Self {
            nodes: vec![1_000, 12_500],
            tasks: 1_000_000,
            load: "0.8".to_owned(),
            workload: None,
            rounds: 3,
            policies: Policy::all().collect(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |it: &str| it.parse::<u64>().map_err(|why| format!("{it}: {why}"));
            match word.as_str() {
                // What cargo says to every bench.
                "--bench" => {}
                // As ./test does: whether it runs at all.
                "--test" => {
                    (this.nodes, this.tasks, this.rounds) = (vec![200], 2_000, 1);
                }
                "--nodes" => {
                    let list: Result<Vec<u64>, String> = value()?.split(',').map(number).collect();
                    this.nodes = list?.into_iter().map(|it| it as u32).collect();
                }
                "--tasks" => this.tasks = number(&value()?)?,
                "--rounds" => this.rounds = number(&value()?)?.max(1) as usize,
                "--load" => this.load = value()?,
                "--workload" => {
                    this.workload = Some(Source::parse(&value()?).map_err(|why| why.to_string())?);
                }
                "--policies" => {
                    let texts = value()?;
                    let list: Result<Vec<Policy>, String> = texts
                        .split(';')
                        .map(|it| it.parse().map_err(|why| format!("{why}")))
                        .collect();
                    this.policies = list?;
                }
                other => {
                    return Err(format!(
                        "{other} is no option; there are --nodes, --tasks, --load, --workload, --rounds and \
                         --policies (split by semicolons)"
                    ));
                }
            }
        }
        Ok(this)
    }
}

/// Arrivals in memory, told again and again.
struct Again<'a>(std::slice::Iter<'a, Arrival>);

impl ArrivalStream for Again<'_> {
    fn next(&mut self) -> Result<Option<Arrival>, StreamError> {
        Ok(self.0.next().cloned())
    }
}

fn likeness(nodes: u32, tasks: u64, load: &str) -> Source {
    let name = format!("builtin:google-2011-like?nodes={nodes}&tasks={tasks}&load={load}");
    Source::parse(&name).expect("the built-in workloads are there")
}

fn arrivals(source: &Source) -> (Vec<Arrival>, Option<Instant>) {
    let options = ReadOptions { seed: 1, ..ReadOptions::default() };
    let workload = read(source, &options).unwrap_or_else(|why| panic!("{source}: {why}"));
    let is_fault = |it: &Arrival| matches!(&it.what, What::Node { event, .. } if !matches!(event, NodeEvent::Joined(_)));
    let all = workload.stream().filter(|it| !is_fault(it)).collect();
    (all, workload.horizon())
}

/// What a departure gives back.
#[derive(Clone, Copy)]
struct Leaves {
    node: u32,
    definition: u32,
}

/// Free cpu and memory per node are counted down and up; the sum over all counters is returned so that nothing is
/// left out by the compiler.
fn floor_a(arrivals: &[Arrival]) -> u64 {
    let (mut free, mut asks) = (Vec::<[u64; 2]>::new(), Vec::<[u64; 2]>::new());
    let mut agenda = Agenda::<Leaves>::default();
    let (mut turn, mut running, mut started, mut ended) = (0usize, 0u64, 0u64, 0u64);
    for arrival in arrivals {
        while let Some((at, _)) = agenda.peek()
            && at <= arrival.at
        {
            let (_, _, leaves) = agenda.pop().expect("it was peeked at");
            let (node, ask) = (&mut free[leaves.node as usize], asks[leaves.definition as usize]);
            node[0] = node[0].wrapping_add(ask[0]);
            node[1] = node[1].wrapping_add(ask[1]);
            running -= 1;
            ended += 1;
        }
        match &arrival.what {
            What::Node { event: NodeEvent::Joined(spec), .. } => {
                let amounts = spec.capacity.amounts;
                free.push([amounts.cpu.0, amounts.memory.0]);
            }
            What::Definition { spec, .. } => {
                let amounts = spec.demand().amounts;
                asks.push([amounts.cpu.0, amounts.memory.0]);
            }
            What::Task(task) => {
                turn = if turn + 1 < free.len() { turn + 1 } else { 0 };
                let definition = task.submission.definition.0;
                let (node, ask) = (&mut free[turn], asks[definition as usize]);
                node[0] = node[0].wrapping_sub(ask[0]);
                node[1] = node[1].wrapping_sub(ask[1]);
                running += 1;
                started += 1;
                if let Some(lifetime) = task.lifetime {
                    let leaves = Leaves { node: turn as u32, definition };
                    agenda.push(arrival.at + lifetime, Rank::Exit, leaves);
                }
            }
            What::Node { .. } | What::Told(_) => {}
        }
    }
    black_box(free.iter().map(|it| it[0] ^ it[1]).fold(running ^ started ^ ended, |a, b| a ^ b))
}

/// Where each task went in a run that was watched, in pages of neighbouring tasks, so that a look costs next to nothing.
#[derive(Default)]
struct Script(IdMap<u64, Vec<Option<NodeId>>>);

impl Script {
    const PAGE: u64 = 1 << 12;

    fn put(&mut self, task: TaskId, node: NodeId) {
        let page = self.0.get_or_insert_with(task.0 / Self::PAGE, Vec::new);
        page.resize(Self::PAGE as usize, None);
        page[(task.0 % Self::PAGE) as usize] = Some(node);
    }

    fn node(&self, task: TaskId) -> Option<NodeId> {
        self.0.get(&(task.0 / Self::PAGE))?[(task.0 % Self::PAGE) as usize]
    }
}

impl Hooks for Script {
    fn record(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        for action in Record::from_bytes(bytes)?.actions {
            if let Action::Start { task, node, .. } = action {
                self.put(task, node);
            }
        }
        Ok(())
    }
}

/// Puts every task where it was told, at the moment at which it went there. Until then it fitted nowhere.
struct Told(Arc<Script>);

impl Scheduler for Told {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            match self.0.node(task) {
                Some(node) if desk.state().nodes().fits(desk.ask(task).shape, node) => {
                    let (shape, nodes) = (desk.ask(task).shape, desk.state().nodes());
                    let devices = match shape.gpu_count {
                        0 => DeviceSet::NONE,
                        _ => {
                            nodes.best_fit_devices(shape, node).expect("a node that fits has them")
                        }
                    };
                    desk.place(task, node, devices);
                }
                _ => desk.unfit(task),
            }
        }
    }
}

struct Workload {
    arrivals: Vec<Arrival>,
    until: Option<Instant>,
    tasks: u64,
}

impl Workload {
    fn run(
        &self,
        scheduler: Box<dyn Scheduler>,
        observer: &mut dyn Observer,
        hooks: &mut dyn Hooks,
    ) -> Outcome {
        let config = Config { until: self.until, ..Config::default() };
        let mut stream = Again(self.arrivals.iter());
        let (outcome, _) = run(&config, &mut stream, scheduler, observer, hooks)
            .expect("a generated workload has no faults in it");
        outcome
    }

    /// With all metrics, as `bayplan simulate` does.
    fn measured(&self, scheduler: Box<dyn Scheduler>) -> Outcome {
        let horizon = self.until;
        let mut collector =
            Collector::new(CollectorConfig { horizon, ..CollectorConfig::default() });
        let outcome = self.run(scheduler, &mut collector, &mut ());
        black_box(&collector);
        outcome
    }
}

fn timed<T>(best: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begin = ThreadTime::now();
    let out = work();
    *best = (*best).min(begin.elapsed());
    out
}

fn table(options: &Options, source: &Source) {
    let (arrivals, until) = arrivals(source);
    let is_join =
        |it: &&Arrival| matches!(&it.what, What::Node { event: NodeEvent::Joined(_), .. });
    let nodes = arrivals.iter().filter(is_join).count();
    let tasks = arrivals.iter().filter(|it| matches!(it.what, What::Task(_))).count() as u64;
    let workload = Workload { arrivals, until, tasks };
    let mut script = Script::default();
    let first_fit: Policy = "first-fit".parse().expect("it is there");
    let seen = workload.run(first_fit.build(1), &mut (), &mut script);
    let script = Arc::new(script);

    let (mut a, mut b) = (Duration::MAX, Duration::MAX);
    let mut best = vec![(Duration::MAX, 0u64); options.policies.len()];
    let mut placed = 0;
    for _ in 0..options.rounds {
        timed(&mut a, || floor_a(&workload.arrivals));
        let told = || workload.measured(Box::new(Told(Arc::clone(&script))));
        placed = timed(&mut b, told).progress.placed;
        for (policy, (best, placed)) in options.policies.iter().zip(&mut best) {
            *placed = timed(best, || workload.measured(policy.build(1))).progress.placed;
        }
    }
    let ns = |it: Duration| it.as_nanos() as f64 / workload.tasks as f64;
    println!(
        "\n{source}: {nodes} nodes, {} tasks ({} placed by first-fit)\n",
        workload.tasks, seen.progress.placed
    );
    println!("| what | ns per task | ratio to B | placed |\n|---|---|---|---|");
    println!("| floor A | {:.0} | {:.3} | |", ns(a), ns(a) / ns(b));
    println!("| floor B | {:.0} | 1 | {placed} |", ns(b));
    for (policy, (best, placed)) in options.policies.iter().zip(best) {
        println!("| {policy} | {:.0} | {:.2} | {placed} |", ns(best), ns(best) / ns(b));
    }
}

fn main() {
    let options = Options::read().unwrap_or_else(|why| {
        eprintln!("{why}");
        std::process::exit(2);
    });
    if let Some(source) = &options.workload {
        return table(&options, source);
    }
    for &nodes in &options.nodes {
        table(&options, &likeness(nodes, options.tasks, &options.load));
    }
}
