//! Journals fed back: the same policy answers the same; counterfactuals keep what any policy would see.

use crate::parts::{FirstFit, cores, definition, node, random_workload, task};
use cluster::arrival::{Arrival, StreamError, What};
use cluster::demand::Demand;
use cluster::event::{Event, NodeEvent, NodeReport, Report, StartFailure};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::journal::{Input, Record};
use cluster::manager::Manager;
use cluster::nodes::DeviceSet;
use cluster::observer::Observer;
use cluster::scheduler::{Desk, Scheduler};
use cluster::service::{Backoff, ServiceSpec};
use cluster::units::{Instant, Span};
use sim::replay::{Collecting, Counterfactual, LeftOut, Verifier};
use sim::startup::Startup;
use sim::world::{Config, Hooks, Outcome, run};

struct Keep(Vec<Record>);

impl Hooks for Keep {
    fn record(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.push(Record::from_bytes(bytes)?);
        Ok(())
    }
}

fn recorded(seed: u64, config: &Config) -> (Outcome, Vec<Record>) {
    let mut keep = Keep(Vec::new());
    let mut stream = random_workload(seed).into_iter();
    let (outcome, _) = run(config, &mut stream, Box::new(FirstFit), &mut (), &mut keep).unwrap();
    (outcome, keep.0)
}

/// As first fit, but from the other end.
struct LastFit;

impl Scheduler for LastFit {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            let found = nodes.ids().filter(|&it| nodes.fits(shape, it)).last();
            let devices = found.and_then(|it| nodes.best_fit_devices(shape, it));
            match found {
                Some(node) => desk.place(task, node, devices.unwrap_or(DeviceSet::NONE)),
                None => desk.unfit(task),
            }
        }
    }
}

#[test]
fn the_same_policy_answers_the_same() {
    for seed in 0..20 {
        let config = Config { seed, ..Config::default() };
        let (outcome, records) = recorded(seed, &config);
        let manager = Manager::new(config.rules, Box::new(FirstFit));
        let mut verifier = Verifier::new(manager, ());
        for record in records {
            verifier.feed(record).unwrap_or_else(|it| panic!("seed {seed}: {it:?}"));
        }
        assert_eq!(verifier.manager().fingerprint(), outcome.fingerprint);
    }
}

#[test]
fn another_policy_is_found_out() {
    let config = Config::default();
    let (_, records) = recorded(3, &config);
    let mut verifier = Verifier::new(Manager::new(config.rules, Box::new(LastFit)), ());
    let difference = records.into_iter().find_map(|it| verifier.feed(it).err()).unwrap();
    assert_ne!(difference.recorded.actions, difference.replayed);
    assert_eq!(difference.number, verifier.records());
}

fn collected(records: Vec<Record>) -> Counterfactual {
    let manager = Manager::new(Default::default(), Box::new(FirstFit));
    let mut verifier = Verifier::new(manager, Collecting::default());
    for record in records {
        verifier.observer().input(record.at, &record.input);
        verifier.feed(record).unwrap_or_else(|it| panic!("{it:?}"));
    }
    verifier.finish().0.finish()
}

#[test]
fn a_counterfactual_under_the_same_policy_is_the_run_itself() {
    for seed in 0..20 {
        let startup = Startup::LogNormal { median: cluster::units::Span(700_000), sigma: 1.0 };
        let config = Config { seed, startup, ..Config::default() };
        let (outcome, records) = recorded(seed, &config);
        let what_if = collected(records);
        let mut config = config;
        what_if.inform(&mut config);
        let mut keep = Keep(Vec::new());
        let mut stream = what_if.arrivals.into_iter();
        let (again, _) = run(&config, &mut stream, Box::new(FirstFit), &mut (), &mut keep).unwrap();
        if what_if.modelled == 0 {
            assert_eq!(again.fingerprint, outcome.fingerprint, "seed {seed}");
        }
        assert_eq!(again.progress.tasks, outcome.progress.tasks);
    }
}

/// A workload with a service that is scaled, a replica that is taken back, a node that drains twice.
fn living() -> Vec<Arrival> {
    let spec = |desired| ServiceSpec {
        name: "web".into(),
        definition: DefinitionId(0),
        desired,
        priority: 0,
        backoff: Backoff::default(),
    };
    let service = GroupId(7);
    let at = |secs, event| Arrival { at: Instant::from_secs(secs), what: What::Told(event) };
    let drains = |secs| Arrival {
        at: Instant::from_secs(secs),
        what: What::Node { node: NodeId(0), event: NodeEvent::Draining },
    };
    let report = |secs, node, report| at(secs, Event::NodeReported { node: NodeId(node), report });
    vec![
        node(0, "a", cores(3), 0),
        node(1, "b", cores(3), 0),
        definition(0, Demand { amounts: cores(1), ..Demand::default() }),
        at(1, Event::ServicePut { service, spec: spec(3) }),
        task(0, Instant::from_secs(2), 0, Some(Span::from_secs(3))),
        drains(3),
        report(9, 0, NodeReport::Activated),
        at(10, Event::TaskCancelled { task: TaskId::replica(2) }),
        at(12, Event::ServicePut { service, spec: spec(4) }),
        drains(14),
        report(20, 1, NodeReport::Unreachable),
        report(25, 1, NodeReport::Reachable),
        report(30, 0, NodeReport::Activated),
        at(40, Event::ServiceDeleted { service }),
    ]
}

#[test]
fn a_counterfactual_of_services_is_the_run_itself() {
    for seed in 0..20 {
        let startup = Startup::LogNormal { median: Span(700_000), sigma: 1.0 };
        let config = Config {
            seed,
            startup,
            service_lifetimes: [(GroupId(7), Span::from_secs(6))].into(),
            exit_codes: [(TaskId(0), 3), (TaskId::replica(4), 1)].into(),
            until: Some(Instant::from_secs(60)),
            ..Config::default()
        };
        let go = |config: &Config, arrivals: Vec<Arrival>| {
            let mut keep = Keep(Vec::new());
            let mut stream = arrivals.into_iter();
            let done = run(config, &mut stream, Box::new(FirstFit), &mut (), &mut keep).unwrap();
            (done.0, keep.0)
        };
        let (outcome, records) = go(&config, living());
        let text = records.iter().map(|it| format!("{it}\n")).collect::<String>();
        assert_eq!(text.matches("n0 drains").count(), 4, "twice, and twice no longer:\n{text}");
        assert!(text.contains("t0 exits 3"), "{text}");
        let what_if = collected(records);
        let mut config = Config { service_lifetimes: Default::default(), ..config };
        what_if.inform(&mut config);
        assert_eq!(go(&config, what_if.arrivals).0.fingerprint, outcome.fingerprint, "seed {seed}");
    }
}

/// A journal made by hand: what happens at which second, with a decision after each.
fn by_hand(events: Vec<(u64, Event)>) -> Vec<Record> {
    let mut manager = Manager::new(Default::default(), Box::new(FirstFit));
    let mut records = Vec::new();
    for (secs, event) in events {
        let now = Instant::from_secs(secs);
        manager.handle(now, event, &mut Vec::new());
        records.push(Record::from_bytes(manager.last_record()).unwrap());
        if manager.wants_decision(now) {
            manager.decide(now, &mut Vec::new());
            records.push(Record::from_bytes(manager.last_record()).unwrap());
        }
    }
    records
}

#[test]
fn an_attempt_that_lost_its_node_was_longer_than_the_one_after_it() {
    let event = |arrival: Arrival| match arrival.what {
        What::Definition { definition, spec } => Event::DefinitionPut { definition, spec },
        What::Node { node, event } => Event::Node { node, event },
        What::Task(task) => Event::TaskSubmitted(task.submission),
        What::Told(event) => event,
    };
    let report = |attempt, report| Event::TaskReported { task: TaskId(0), attempt, report };
    let lost = |node, event| Event::Node { node: NodeId(node), event };
    let records = by_hand(vec![
        (0, event(node(0, "a", cores(3), 0))),
        (0, event(node(1, "b", cores(3), 0))),
        (0, event(definition(0, Demand { amounts: cores(1), ..Demand::default() }))),
        (1, event(task(0, Instant::ZERO, 0, None))),
        (2, report(1, Report::Started)),
        (12, lost(0, NodeEvent::Lost)),
        (14, report(2, Report::Started)),
        (17, report(2, Report::Exited { code: 0 })),
    ]);
    let text = |records: &[Record]| records.iter().map(|it| format!("{it}\n")).collect::<String>();
    let recorded = text(&records);
    assert!(recorded.contains("12s decide   start t0 on n1 #2"), "{recorded}");
    let what_if = collected(records);
    let mut config = Config { until: Some(what_if.end), ..Config::default() };
    what_if.inform(&mut config);
    let mut keep = Keep(Vec::new());
    let mut stream = what_if.arrivals.into_iter();
    run(&config, &mut stream, Box::new(FirstFit), &mut (), &mut keep).unwrap();
    assert_eq!(text(&keep.0), recorded);
}

#[test]
fn what_follows_from_placements_is_left_out_and_counted() {
    let arrivals = [
        node(0, "a", cores(3), 0),
        definition(0, Demand { amounts: cores(1), ..Demand::default() }),
        task(0, Instant::ZERO, 0, None),
    ];
    let mut manager = Manager::new(Default::default(), Box::new(FirstFit));
    let mut collecting = Collecting::default();
    let mut feed = |secs, input: Input| {
        let now = Instant::from_secs(secs);
        collecting.input(now, &input);
        match input {
            Input::Event(event) => manager.handle(now, event, &mut Vec::new()),
            Input::Decide => manager.decide(now, &mut Vec::new()),
        }
        collecting.observe(now, manager.changes(), manager.state());
    };
    for arrival in arrivals {
        feed(
            0,
            Input::Event(match arrival.what {
                What::Definition { definition, spec } => Event::DefinitionPut { definition, spec },
                What::Node { node, event } => Event::Node { node, event },
                What::Task(task) => Event::TaskSubmitted(task.submission),
                What::Told(event) => event,
            }),
        );
    }
    feed(0, Input::Decide);
    let report = |report| Input::Event(Event::TaskReported { task: TaskId(0), attempt: 1, report });
    feed(2, report(Report::Started));
    feed(2, report(Report::Healthy));
    // Stale: it must change nothing.
    feed(3, report(Report::Started));
    feed(3, report(Report::Failed { why: StartFailure::Port }));
    feed(
        4,
        Input::Event(Event::NodeReported {
            node: NodeId(0),
            report: NodeReport::PortsTaken(Vec::new()),
        }),
    );
    feed(7, report(Report::Exited { code: 9 }));
    let what_if = collecting.finish();
    assert_eq!(what_if.left_out, LeftOut { failed_starts: 1, health: 1, taken_ports: 1 });
    assert_eq!(what_if.startups, [((TaskId(0), 1), Span::from_secs(2))].into());
    assert_eq!(what_if.exit_codes, [(TaskId(0), 9)].into());
    assert_eq!((what_if.arrivals.len(), what_if.end), (3, Instant::from_secs(7)));
    let What::Task(task) = &what_if.arrivals[2].what else { panic!("the task comes last") };
    assert_eq!(task.lifetime, Some(Span::from_secs(5)));
}
