//! One story a test: the journal in text is the whole of it.

use crate::parts::{Checker, FirstFit, cores, definition, node, task};
use cluster::arrival::{Arrival, StreamError, What};
use cluster::demand::Demand;
use cluster::event::Event;
use cluster::ids::{DefinitionId, GroupId};
use cluster::journal::Record;
use cluster::rules::{QueueOrder, Rules, Unfit};
use cluster::service::{Backoff, ServiceSpec};
use cluster::units::{Instant, Span};
use sim::faults::{FaultPlan, Scripted};
use sim::startup::Startup;
use sim::world::{Config, Hooks, run};

struct Text(Vec<String>);

impl Hooks for Text {
    fn record(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let record = Record::from_bytes(bytes)?;
        assert_eq!(record.to_bytes(), bytes, "one record, one encoding");
        self.0.push(record.to_string());
        Ok(())
    }
}

fn story(config: &Config, arrivals: Vec<Arrival>) -> String {
    let mut text = Text(Vec::new());
    let mut checker = Checker::default();
    run(config, &mut arrivals.into_iter(), Box::new(FirstFit), &mut checker, &mut text).unwrap();
    text.0.join("\n")
}

fn s(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

fn big_and_small() -> Vec<Arrival> {
    let demand = |count| Demand { amounts: cores(count), ..Demand::default() };
    vec![
        node(0, "a", cores(4), 0),
        definition(0, demand(1)),
        definition(1, demand(3)),
        task(0, s(1), 1, Some(Span::from_secs(10))),
        task(1, s(2), 1, Some(Span::from_secs(10))),
        task(2, s(3), 0, Some(Span::from_secs(1))),
    ]
}

fn scripted(text: &str) -> FaultPlan {
    let scripted = text.split_whitespace().map(|it| it.parse::<Scripted>().unwrap()).collect();
    FaultPlan { scripted, random: None }
}

#[test]
fn small_tasks_pass_a_big_one_that_waits() {
    insta::assert_snapshot!(story(&Config::default(), big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        2s t1 submitted
        2s decide   hold t1 (short of cpu)
        3s t2 submitted
        3s decide   start t2 on n0
        3s t2 started
        4s t2 exits 0
        11s t0 exits 0
        11s decide   start t1 on n0
        11s t1 started
        21s t1 exits 0
    ");
}

#[test]
fn everybody_waits_behind_the_head_of_the_line() {
    let rules = Rules { unfit: Unfit::WaitAtHead, ..Rules::default() };
    let config = Config { rules, ..Config::default() };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        2s t1 submitted
        2s decide   hold t1 (short of cpu)
        3s t2 submitted
        3s decide   hold t2 (behind the head of the line)
        11s t0 exits 0
        11s decide   start t1 on n0, start t2 on n0
        11s t1 started
        11s t2 started
        12s t2 exits 0
        21s t1 exits 0
    ");
}

#[test]
fn a_task_that_does_not_fit_is_dropped_after_one_try() {
    let rules = Rules { unfit: Unfit::Drop, ..Rules::default() };
    let config = Config { rules, ..Config::default() };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        2s t1 submitted
        2s decide   drop t1 (short of cpu)
        3s t2 submitted
        3s decide   start t2 on n0
        3s t2 started
        4s t2 exits 0
        11s t0 exits 0
    ");
}

#[test]
fn back_off_tries_again_and_gives_up() {
    let unfit = Unfit::Retry {
        first: Span::from_secs(1),
        max: Span::from_secs(60),
        factor_permille: 2000,
        tries: 3,
    };
    let rules = Rules { unfit, ..Rules::default() };
    let config = Config { rules, ..Config::default() };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        2s t1 submitted
        2s decide   hold t1 (short of cpu), wake at 3s
        3s t2 submitted
        3s timer
        3s decide   start t2 on n0, wake at 5s
        3s t2 started
        4s t2 exits 0
        5s timer
        5s decide   drop t1 (short of cpu)
        11s t0 exits 0
    ");
}

#[test]
fn a_lost_zone_sends_its_tasks_back_to_the_queue_and_returns() {
    let config = Config {
        faults: scripted("zone-outage:a@4s+3s"),
        startup: Startup::Fixed(Span::from_secs(1)),
        ..Config::default()
    };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        2s t1 submitted
        2s t0 started
        2s decide   hold t1 (short of cpu)
        3s t2 submitted
        3s decide   start t2 on n0
        4s n0 lost
        4s decide   hold t0 (no node is ready), hold t2 (no node is ready)
        7s n0 returns
        7s decide   start t0 on n0 #2, start t2 on n0 #2
        8s t0 #2 started
        8s t2 #2 started
        9s t2 #2 exits 0
        18s t0 #2 exits 0
        18s decide   start t1 on n0
        19s t1 started
        29s t1 exits 0
    ");
}

#[test]
fn a_drained_node_keeps_what_it_runs() {
    let config = Config { faults: scripted("drain:n0@1500ms+20s"), ..Config::default() };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        1.5s n0 drains
        2s t1 submitted
        2s decide   hold t1 (no node is ready)
        3s t2 submitted
        3s decide   hold t2 (no node is ready)
        11s t0 exits 0
        21.5s n0 returns
        21.5s decide   start t1 on n0, start t2 on n0
        21.5s t1 started
        21.5s t2 started
        22.5s t2 exits 0
        31.5s t1 exits 0
    ");
}

#[test]
fn services_that_never_end_are_hit_by_faults_all_the_same() {
    let forever = |config: &Config| {
        let mut arrivals = big_and_small();
        arrivals.truncate(4);
        if let What::Task(task) = &mut arrivals[3].what {
            task.lifetime = None;
        }
        story(config, arrivals)
    };
    let config =
        Config { faults: scripted("node-loss:n0@5s+2s drain:n0@0s+3s"), ..Config::default() };
    insta::assert_snapshot!(forever(&config), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        0s n0 drains
        1s t0 submitted
        1s decide   hold t0 (no node is ready)
        3s n0 returns
        3s decide   start t0 on n0
        3s t0 started
        5s n0 lost
        5s decide   hold t0 (no node is ready)
        7s n0 returns
        7s decide   start t0 on n0 #2
        7s t0 #2 started
    ");
    let random = Some(sim::faults::RandomFaults {
        node_losses_per_day: 2000.0,
        node_repair_median: Span::from_secs(5),
        node_repair_sigma: 0.5,
        ..sim::faults::RandomFaults::default()
    });
    let faults = FaultPlan { scripted: vec![], random };
    let config = Config { faults, until: Some(s(86_400)), ..Config::default() };
    assert!(forever(&config).matches("n0 lost").count() > 1000, "faults go on to the end");
}

#[test]
fn a_drain_outlives_the_loss_of_its_node() {
    let config = Config {
        faults: scripted("drain:n0@1500ms+20s node-loss:n0@5s+5s drain:n0@12s+1s"),
        ..Config::default()
    };
    insta::assert_snapshot!(story(&config, big_and_small()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        1.5s n0 drains
        2s t1 submitted
        2s decide   hold t1 (no node is ready)
        3s t2 submitted
        3s decide   hold t2 (no node is ready)
        5s n0 lost
        5s decide   hold t0 (no node is ready)
        10s n0 returns
        10s n0 drains
        10s decide
        21.5s n0 returns
        21.5s decide   start t0 on n0 #2, start t2 on n0
        21.5s t0 #2 started
        21.5s t2 started
        22.5s t2 exits 0
        31.5s t0 #2 exits 0
        31.5s decide   start t1 on n0
        31.5s t1 started
        41.5s t1 exits 0
    ");
}

#[test]
fn a_withdrawn_task_leaves_wherever_it_is() {
    let mut arrivals = big_and_small();
    for (at, when) in [(3, 5), (4, 4)] {
        if let What::Task(task) = &mut arrivals[at].what {
            task.withdrawn = Some(s(when));
        }
    }
    insta::assert_snapshot!(story(&Config::default(), arrivals), @r"
        0s n0 joins: n0
        0s d0 put: d0
        0s d1 put: d1
        1s t0 submitted
        1s decide   start t0 on n0
        1s t0 started
        2s t1 submitted
        2s decide   hold t1 (short of cpu)
        3s t2 submitted
        3s decide   start t2 on n0
        3s t2 started
        4s t2 exits 0
        4s t1 cancelled
        5s t0 cancelled   stop t0 on n0 (cancelled)
    ");
}

#[test]
fn queues_order_what_came_before_the_decision() {
    let demand = |count| Demand { amounts: cores(count), ..Demand::default() };
    let arrivals = || {
        let mut all = vec![node(0, "a", cores(3), 0)];
        all.extend((0..3).map(|it| definition(it, demand(u64::from(it) + 1))));
        for (id, shape, priority, estimate) in [(0, 1, 0, 9), (1, 0, 5, 7), (2, 2, 1, 8)] {
            let mut arrival = task(id, s(0), shape, Some(Span::from_secs(1)));
            if let What::Task(task) = &mut arrival.what {
                task.submission.priority = priority;
                task.submission.estimate = Some(Span(estimate));
            }
            all.push(arrival);
        }
        all
    };
    let cpu = cluster::demand::Resource::Cpu;
    for (order, want) in [
        (QueueOrder::Fifo, "0 1 2"),
        (QueueOrder::Priority, "1 2 0"),
        (QueueOrder::ShortestFirst, "1 2 0"),
        (QueueOrder::LargestFirst(cpu), "2 0 1"),
        (QueueOrder::SmallestFirst(cpu), "1 0 2"),
    ] {
        let rules = Rules { order, unfit: Unfit::WaitAtHead, ..Rules::default() };
        let text = story(&Config { rules, ..Config::default() }, arrivals());
        let started: Vec<&str> =
            text.split("start t").skip(1).map(|it| it.split(' ').next().unwrap()).collect();
        assert_eq!(started.join(" "), want, "{order:?}\n{text}");
    }
}

#[test]
fn faults_that_name_nothing_say_what_there_is() {
    let config = Config { faults: scripted("zone-outage:b@1s"), ..Config::default() };
    let mut stream = big_and_small().into_iter();
    let error = run(&config, &mut stream, Box::new(FirstFit), &mut (), &mut ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fault zone-outage:b@1s: there is no zone of that name; there are a"
    );
}

#[test]
fn events_are_gathered_for_a_decision() {
    let arrivals = || {
        vec![
            node(0, "a", cores(2), 0),
            definition(0, Demand { amounts: cores(1), ..Demand::default() }),
            task(0, s(1), 0, Some(Span::from_secs(3))),
            task(1, Instant(1_500_000), 0, Some(Span::from_secs(3))),
        ]
    };
    let config = Config { decide_after: Span::from_secs(1), ..Config::default() };
    insta::assert_snapshot!(story(&config, arrivals()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        1s t0 submitted
        1.5s t1 submitted
        2s decide   start t0 on n0, start t1 on n0
        2s t0 started
        2s t1 started
        5s t0 exits 0
        5s t1 exits 0
    ");
    let config = Config { known_decisions: vec![Instant(1_250_000), s(4)], ..Config::default() };
    insta::assert_snapshot!(story(&config, arrivals()), @r"
        0s n0 joins: n0
        0s d0 put: d0
        1s t0 submitted
        1.25s decide   start t0 on n0
        1.25s t0 started
        1.5s t1 submitted
        4s decide   start t1 on n0
        4s t1 started
        4.25s t0 exits 0
        7s t1 exits 0
    ");
}

#[test]
fn services_are_kept_alive_in_the_simulated_world_too() {
    let spec = ServiceSpec {
        name: "web".into(),
        definition: DefinitionId(0),
        desired: 2,
        priority: 0,
        backoff: Backoff::default(),
    };
    let service = GroupId(0);
    let told = |at, event| Arrival { at, what: What::Told(event) };
    let arrivals = vec![
        node(0, "a", cores(2), 0),
        node(1, "b", cores(2), 0),
        definition(0, Demand { amounts: cores(1), ..Demand::default() }),
        told(s(1), Event::ServicePut { service, spec: spec.clone() }),
        told(s(8), Event::ServicePut { service, spec: ServiceSpec { desired: 1, ..spec } }),
        told(s(9), Event::ServiceDeleted { service }),
    ];
    let config = Config {
        service_lifetimes: [(service, Span::from_secs(5))].into(),
        faults: scripted("node-loss:n0@2s+10s drain:n1@4s"),
        ..Config::default()
    };
    insta::assert_snapshot!(story(&config, arrivals), @r"
        0s n0 joins: n0
        0s n1 joins: n1
        0s d0 put: d0
        1s g0 put: web × 2 of d0
        1s decide   start r0 on n0, start r1 on n0
        1s r0 started
        1s r1 started
        2s n0 lost
        2s decide   start r0 on n1 #2, start r1 on n1 #2
        2s r0 #2 started
        2s r1 #2 started
        4s n1 drains
        4s decide   hold r2 (no node is ready), hold r3 (no node is ready)
        7s r0 #2 exits 0
        7s r1 #2 exits 0
        7s decide
        8s g0 put: web × 1 of d0
        8s decide   drop r3 (no more use for it)
        9s g0 deleted   drop r2 (no more use for it)
    ");
}
