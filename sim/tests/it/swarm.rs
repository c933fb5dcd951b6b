//! Seeds × rules × faults × checkers, each seed twice. `BAYPLAN_SWARM=5000` runs more seeds.

use crate::parts::{Checker, FirstFit, Whimsical, random_workload};
use cluster::chance::{Chance, Purpose};
use cluster::demand::Resource;
use cluster::nodes::Overcommit;
use cluster::rules::{QueueOrder, Rules, Unfit};
use cluster::scheduler::Scheduler;
use cluster::units::{Instant, Span};
use sim::faults::{Fault, FaultPlan, RandomFaults, Scripted};
use sim::startup::Startup;
use sim::world::{Config, Outcome, run};

fn config(seed: u64) -> Config {
    let mut chance = Chance::new(seed, Purpose::Shuffle, 0);
    let order = match chance.below(6) {
        0 => QueueOrder::Priority,
        1 => QueueOrder::ShortestFirst,
        2 => QueueOrder::LargestFirst(Resource::Cpu),
        3 => QueueOrder::SmallestFirst(Resource::Gpu),
        _ => QueueOrder::Fifo,
    };
    let unfit = match chance.below(5) {
        0 => Unfit::WaitAtHead,
        1 => Unfit::Drop,
        2 => Unfit::Retry {
            first: Span(chance.below(2_000_000)),
            max: Span(8_000_000),
            factor_permille: 2000,
            tries: chance.below(5) as u32,
        },
        _ => Unfit::WaitAndLetPass,
    };
    let overcommit = Overcommit([1000 + chance.below(800) as u32, 1000, 1000]);
    let startup = match chance.below(3) {
        0 => Startup::Fixed(Span(chance.below(3_000_000))),
        1 => Startup::LogNormal { median: Span(500_000), sigma: 1.0 },
        _ => Startup::None,
    };
    let mut scripted = Vec::new();
    for _ in 0..chance.below(4) {
        let fault = match chance.below(3) {
            0 => Fault::NodeLoss { node: "n1".into() },
            1 => Fault::ZoneOutage { zone: "a".into() },
            _ => Fault::Drain { node: "n2".into() },
        };
        let lasts = (chance.below(3) > 0).then(|| Span(chance.below(40_000_000)));
        scripted.push(Scripted { at: Instant(chance.below(60_000_000)), lasts, fault });
    }
    let random = (chance.below(2) == 0).then(|| RandomFaults {
        node_losses_per_day: 2000.0,
        node_repair_median: Span(5_000_000),
        zone_outages_per_day: 300.0,
        zone_repair_median: Span(3_000_000),
        ..RandomFaults::default()
    });
    Config {
        rules: Rules { order, unfit, overcommit, ..Rules::default() },
        seed,
        startup,
        faults: FaultPlan { scripted, random },
        until: (chance.below(3) == 0).then(|| Instant(chance.below(200_000_000))),
        ..Config::default()
    }
}

fn one(seed: u64, whimsical: bool) -> (Outcome, Checker) {
    let mut checker = Checker::default();
    let scheduler: Box<dyn Scheduler> = if whimsical {
        Box::new(Whimsical(Chance::new(seed, Purpose::Scheduler, 0)))
    } else {
        Box::new(FirstFit)
    };
    let mut stream = random_workload(seed).into_iter();
    let outcome = run(&config(seed), &mut stream, scheduler, &mut checker, &mut ())
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
        .0;
    (outcome, checker)
}

#[test]
fn nothing_is_lost_or_made_up_whatever_happens() {
    let seeds: u64 =
        std::env::var("BAYPLAN_SWARM").ok().and_then(|it| it.parse().ok()).unwrap_or(150);
    let mut total = Checker::default();
    for seed in 0..seeds {
        for whimsical in [false, true] {
            // Printed by the harness if the seed fails.
            println!("seed {seed}, whimsical {whimsical}");
            let (outcome, checker) = one(seed, whimsical);
            let (again, _) = one(seed, whimsical);
            assert_eq!(outcome, again, "seed {seed}: two runs, two outcomes");
            let progress = outcome.progress;
            assert_eq!(progress.tasks, progress.ended + outcome.unfinished, "seed {seed}");
            assert_eq!(progress.ended, checker.ended, "seed {seed}");
            assert_eq!(progress.placed, checker.placed, "seed {seed}");
            // Whoever is placed was queued before; whoever is interrupted was placed or adopted.
            assert!(checker.placed <= checker.queued, "seed {seed}");
            assert!(checker.interrupted <= checker.placed + checker.adopted, "seed {seed}");
            total.steps += checker.steps;
            total.placed += checker.placed;
            total.interrupted += checker.interrupted;
            total.adopted += checker.adopted;
        }
    }
    // The swarm must really exercise what it claims to.
    assert!(total.placed > 20 * seeds && total.interrupted > seeds && total.adopted > seeds);
}
