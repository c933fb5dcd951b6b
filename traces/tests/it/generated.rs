//! Generated workloads: their load, their order, and that they stay what they are.

use crate::story::{read, story};
use cluster::arrival::{ArrivalStream, What};
use cluster::demand::Resource;
use cluster::event::TaskKind;
use cluster::ids::TaskId;
use cluster::units::Instant;
use traces::Workload;
use traces::card::Card;
use traces::error::TraceError;
use traces::generate::{BUILTINS, Generated, Recipe};

fn recipe(name: &str) -> Recipe {
    (BUILTINS.iter().find(|it| it.name == name).unwrap().recipe)()
}

/// Peak of cpu and memory in percent of the nodes.
fn peaks(source: &str) -> [f64; 2] {
    let workload = read(source).unwrap();
    [Resource::Cpu, Resource::Memory].map(|resource| {
        let load = workload.card.measured.load.iter().find(|it| it.resource == resource).unwrap();
        load.peak_percent.unwrap()
    })
}

#[test]
fn the_tightest_resource_peaks_where_the_recipe_says_for_every_seed() {
    for name in ["default", "small"] {
        for seed in 1..=5 {
            let [cpu, memory] = peaks(&format!("builtin:{name}?seed={seed}"));
            assert!((85.0..=95.0).contains(&cpu.max(memory)), "{name} {seed}: {cpu} {memory}");
            assert!((cpu - memory).abs() < 10.0, "{name} {seed}: {cpu} {memory}");
        }
    }
    let [cpu, memory] = peaks("builtin:small?load=0.6");
    assert!((55.0..=60.0).contains(&cpu.max(memory)), "{cpu} {memory}");
}

#[test]
fn lives_are_shortened_where_batches_alone_ask_for_too_much() {
    let busy = Recipe { tasks: 60_000, ..recipe("small") };
    let stream = Generated::new(busy.clone(), 1).unwrap();
    assert!(stream.life_scale() < 1.0, "{}", stream.life_scale());
    let workload = traces::generate::workload(&busy, 1).unwrap();
    assert!(workload.card.assumptions.iter().any(|it| it.contains("shortened")));
}

#[test]
fn the_default_is_large_enough_to_mean_something() {
    let workload = read("builtin:default").unwrap();
    let measured = &workload.card.measured;
    assert!(measured.nodes >= 1_000 && measured.tasks >= 100_000, "{measured:?}");
    assert_eq!(measured.zone_nodes.len(), 3);
    assert_eq!(measured.priorities.len(), 3);
    assert!(workload.card.zones.is_none(), "its zones are the recipe's own");
    let lives = measured.lifetime_us.unwrap();
    assert!((600..3_600).contains(&(lives.p50 / 1_000_000)), "{lives:?}");
    assert_eq!(measured.definitions, 14);
    assert!(workload.check_fits(Default::default()).is_empty());
    for (_, task) in workload.arrivals() {
        match (task.submission.kind, task.lifetime, task.submission.estimate) {
            (TaskKind::Service, None, None) => {}
            (TaskKind::Job, Some(life), Some(estimate)) => assert!(estimate >= life, "{task:?}"),
            _ => panic!("{task:?}"),
        }
    }
}

#[test]
fn a_stream_is_in_order_and_dense() {
    let mut small = recipe("small");
    small.outages = recipe("google-2011-like").outages;
    small.outages.as_mut().unwrap().per_node_day = 5.0;
    let mut stream = Generated::new(small, 9).unwrap();
    let (mut last, mut tasks, mut definitions, mut lost) = (Instant::ZERO, 0, 0, vec![false; 100]);
    let mut outages = 0;
    while let Some(arrival) = ArrivalStream::next(&mut stream).unwrap() {
        assert!(arrival.at >= last, "{arrival:?} comes after {last}");
        last = arrival.at;
        match arrival.what {
            What::Task(task) => {
                assert_eq!(task.submission.task.0, tasks);
                assert!(task.submission.definition.0 < definitions, "{task:?}");
                tasks += 1;
            }
            What::Definition { definition, .. } => {
                assert_eq!(definition.0, definitions);
                definitions += 1;
            }
            What::Told(event) => panic!("a trace says {event}"),
            What::Node { node, event } => {
                use cluster::event::NodeEvent::{Joined, Lost, Returned};
                match event {
                    Joined(_) => {}
                    Lost => assert!(!std::mem::replace(&mut lost[node.row()], true), "{node}"),
                    Returned => assert!(std::mem::replace(&mut lost[node.row()], false), "{node}"),
                    other => panic!("{other:?}"),
                }
                outages += u64::from(!matches!(last, Instant::ZERO));
            }
        }
    }
    assert!(last <= Instant::from_secs(86_400));
    assert!(tasks > 5_000 && outages > 200, "{tasks} tasks, {outages} outages");
}

#[test]
fn drawn_or_in_memory_a_workload_is_the_same() {
    let mut drawn_recipe = recipe("small");
    drawn_recipe.outages = recipe("google-2011-like").outages;
    drawn_recipe.outages.as_mut().unwrap().per_node_day = 5.0;
    let drawn = traces::generate::workload(&drawn_recipe, 9).unwrap();
    let mut stream = Generated::new(drawn_recipe, 9).unwrap();
    let kept = Workload::from_stream(Card::default(), &mut stream).unwrap();
    assert_eq!(story(&drawn), story(&kept));
    let mut want = kept.card.measured.clone();
    // Only a recipe knows how long it lasts.
    (want.horizon_us, want.load) =
        (drawn.card.measured.horizon_us, drawn.card.measured.load.clone());
    assert_eq!(drawn.card.measured, want);
    for id in [0, 1, 2_000, drawn.task_count() as u64 - 1].map(TaskId) {
        assert_eq!(drawn.task(id), kept.task(id));
        assert_eq!((drawn.arrives(id), drawn.name(id)), (kept.arrives(id), kept.name(id)));
    }
    // What changes tasks has them in memory, and all of them are left here.
    let all = read("builtin:small?seed=5&limit=1000000").unwrap();
    let whole = read("builtin:small?seed=5").unwrap();
    assert_eq!(story(&all), story(&whole));
    assert_eq!(all.card.measured, whole.card.measured);
}

#[test]
fn a_seed_stays_what_it_is() {
    // A change here changes the results of every run on a built-in workload.
    let workload = read("builtin:small?seed=42").unwrap();
    let tasks: Vec<String> =
        story(&workload).into_iter().filter(|it| it.contains(" life=")).take(6).collect();
    assert_eq!(tasks.join("\n"), GOLDEN);
    assert_eq!(story(&workload), story(&read("builtin:small?seed=42").unwrap()));
    assert_ne!(story(&workload), story(&read("builtin:small?seed=43").unwrap()));
}

const GOLDEN: &str = "\
1156967us t1659 t1659 d3 life=196545725us estimate=600s group=g574 priority=4
1156967us t1660 t1660 d3 life=190340232us estimate=600s group=g574 priority=4
1156967us t1661 t1661 d3 life=163534666us estimate=900s group=g574 priority=4
7355083us t1662 t1662 d7 life=152986334us estimate=600s group=g575
7483269us t1663 t1663 d5 life=43864571us estimate=300s group=g576
32639147us t1668 t1668 d2 life=16077107656us estimate=86400s group=g578 priority=4";

#[test]
fn options_change_size_and_keep_the_rate() {
    let workload = read("builtin:small?nodes=50&zones=2").unwrap();
    assert_eq!((workload.node_count(), workload.card.measured.zone_nodes.len()), (50, 2));
    assert_eq!(workload.horizon(), Some(Instant::from_secs(86_400)));
    let short = read("builtin:small?tasks=2500").unwrap();
    assert_eq!(short.horizon(), Some(Instant::from_secs(43_200)));
    let error = read("builtin:small?nodes=0").unwrap_err();
    assert!(matches!(error, TraceError::Recipe { .. }), "{error}");
}

#[test]
fn recipes_read_and_print_alike_and_refuse_nonsense() {
    for it in BUILTINS {
        let recipe = (it.recipe)();
        assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe, "{}", it.name);
    }
    let json = recipe("small").to_json();
    for (from, to) in [
        ("\"nodes\": 100", "\"nodes\": 0"),
        ("\"nodes\": 100", "\"node\": 100"),
        ("\"tasks\": 5000", "\"tasks\": -1"),
        ("\"weibull_shape\": 0.6", "\"weibull_shape\": 0.0"),
        ("\"within_batch_sigma\": 0.5", "\"within_batch_sigma\": 50"),
        ("\"cpu_milli\": 250", "\"cpu_milli\": 250000"),
    ] {
        assert!(json.contains(from), "{from}");
        let error = Recipe::from_json(&json.replace(from, to)).unwrap_err();
        assert!(matches!(error, TraceError::Recipe { .. }), "{to}: {error}");
    }
}

#[test]
fn google_like_has_its_shapes() {
    let workload = read("builtin:google-2011-like?nodes=2000&tasks=30000").unwrap();
    let measured = &workload.card.measured;
    assert!(measured.shapes > 1_000, "{}", measured.shapes);
    assert!(measured.node_shapes.len() >= 6, "{:?}", measured.node_shapes);
    assert!(measured.burst_max > 100, "{}", measured.burst_max);
    assert!(measured.node_events["lost"] > 1, "{:?}", measured.node_events);
}
