//! The agenda under the hold model (take the next entry out, put one in), by number of entries.

use cluster::chance::{Chance, Purpose};
use cluster::units::Instant;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sim::agenda::{Agenda, Rank};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

fn hold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("agenda");
    group.sample_size(20);
    for entries in [1_000u64, 100_000, 1_000_000] {
        let mut chance = Chance::new(1, Purpose::Tasks, entries);
        let mut agenda = Agenda::default();
        let mut heap = BinaryHeap::new();
        for number in 0..entries {
            let at = chance.below(1_000_000_000);
            agenda.push(Instant(at), Rank::Exit, number);
            heap.push(Reverse((at, number)));
        }
        group.bench_function(BenchmarkId::new("radix", entries), |bencher| {
            bencher.iter(|| {
                if let Some((at, rank, what)) = agenda.pop() {
                    agenda.push(Instant(at.0 + chance.below(1_000_000_000)), rank, what);
                }
            });
        });
        group.bench_function(BenchmarkId::new("std_binary_heap", entries), |bencher| {
            bencher.iter(|| {
                if let Some(Reverse((at, number))) = heap.pop() {
                    heap.push(Reverse((at + chance.below(1_000_000_000), number)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hold);
criterion_main!(benches);
