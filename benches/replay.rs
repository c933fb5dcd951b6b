//! Whole replays of a generated workload, in time per task: the manager's full path with journal
//! fingerprint, no metrics, per strategy, at 1,000 and 12,500 nodes.
//!
//! `BAYPLAN_BENCH_TASKS=1000000` sets the number of arriving tasks per replay (20,000 if left out, so that
//! the whole table takes minutes). Residents come on top and are counted.

use bayplan_benches::sizes;
use cluster::scheduler::Scheduler;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use schedulers::policy::Policy;
use sim::world::{Config, run};
use std::time::Duration;
use traces::Workload;
use traces::source::{ReadOptions, Source, read};

fn workload(name: &str) -> Workload {
    let source = Source::parse(name).expect("the built-in workloads are there");
    read(&source, &ReadOptions { seed: 1, ..ReadOptions::default() }).expect("they can be made")
}

fn replay(workload: &Workload, scheduler: Box<dyn Scheduler>) -> u128 {
    let config = Config { until: workload.horizon(), ..Config::default() };
    let mut stream = workload.stream();
    let (outcome, _) = run(&config, &mut stream, scheduler, &mut (), &mut ())
        .expect("a generated workload has no faults in it");
    outcome.fingerprint.0
}

fn replays(criterion: &mut Criterion) {
    let is_trial = std::env::args().any(|it| it == "--test");
    let usual = if is_trial { 2_000 } else { 20_000 };
    let tasks: u64 =
        std::env::var("BAYPLAN_BENCH_TASKS").ok().and_then(|it| it.parse().ok()).unwrap_or(usual);
    for nodes in sizes(&[1_000, 12_500]) {
        let workload = workload(&format!("builtin:default?nodes={nodes}&tasks={tasks}"));
        let mut group = criterion.benchmark_group(format!("replay/{nodes}"));
        group.sample_size(10).measurement_time(Duration::from_secs(2));
        group.warm_up_time(Duration::from_millis(1));
        group.throughput(Throughput::Elements(workload.task_count() as u64));
        for policy in Policy::all() {
            group.bench_function(BenchmarkId::from_parameter(&policy), |bencher| {
                bencher.iter(|| replay(&workload, policy.build(1)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, replays);
criterion_main!(benches);
