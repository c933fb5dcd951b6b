//! One decision per strategy at 100, 1,000, 12,500 and 100,000 nodes: the time inside
//! [`Manager::decide`](cluster::manager::Manager::decide) for one pending task on a partly full cluster,
//! booking and journalling included. The task ends before the next one comes.

use bayplan_benches::{FLAVOURS, busy_cluster, sizes, submission};
use cluster::event::{Action, Event, Report};
use cluster::units::Instant;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use schedulers::policy::Policy;
use std::time::Duration;

fn decisions(criterion: &mut Criterion) {
    for nodes in sizes(&[100, 1_000, 12_500, 100_000]) {
        let mut group = criterion.benchmark_group(format!("decision/{nodes}"));
        group.sample_size(20).measurement_time(Duration::from_secs(1));
        group.warm_up_time(Duration::from_millis(300));
        for policy in Policy::all() {
            let (mut manager, mut task) = busy_cluster(nodes, policy.build(1));
            let mut actions = Vec::new();
            let mut now = Instant::ZERO;
            let mut one = || {
                now.0 += 1;
                let submission =
                    submission(task, (task % FLAVOURS.len() as u64) as u32, (task % 50) as u32);
                manager.handle(now, Event::TaskSubmitted(submission), &mut actions);
                let begin = std::time::Instant::now();
                manager.decide(now, &mut actions);
                let spent = begin.elapsed();
                if let Some(&Action::Start { task, attempt, .. }) = actions.first() {
                    let report = Report::Exited { code: 0 };
                    manager.handle(
                        now,
                        Event::TaskReported { task, attempt, report },
                        &mut actions,
                    );
                }
                actions.clear();
                task += 1;
                spent
            };
            group.bench_function(BenchmarkId::from_parameter(&policy), |bencher| {
                bencher.iter_custom(|times| (0..times).map(|_| one()).sum());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
