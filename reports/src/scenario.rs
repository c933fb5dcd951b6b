//! Small hand-written runs for tests: a real manager, a tiny scheduler, one line per event.
//!
//! ```text
//! rules drop                 before everything else; tasks that do not fit are dropped
//! rules autostart            placed tasks run at once
//! 0 node a z1 4/8            4 cores, 8 GiB, zone z1; 4/8/2 has two GPUs
//! 0 submit 1 2/4 g0 service @a
//! 0 adopt 2 1/1 a g0
//! 3 start 1                  5 exit 1 0 · 6 cancel 1 · 7 lose a · 8 back a · 8 drain a · 9 update a 2/4 · 9 end
//! ```
//!
//! Seconds come first. `@a` pins a task to a node; others go to the first that has room.

use crate::collector::{Collector, CollectorConfig};
use crate::run_report::RunReport;
use cluster::demand::{Amounts, Demand, GpuAsk, TaskDefinition};
use cluster::event::{Action, Event, NodeEvent, OnLoss, Report, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::observer::Observer;
use cluster::rules::{Rules, Unfit};
use cluster::scheduler::{Desk, Scheduler};
use cluster::state::State;
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Pins = Arc<Mutex<BTreeMap<TaskId, String>>>;

struct Pinned(Pins);

impl Scheduler for Pinned {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        while let Some(task) = desk.head() {
            let pins = self.0.lock().unwrap();
            let (nodes, shape) = (desk.state().nodes(), desk.ask(task).shape);
            let found = match pins.get(&task) {
                Some(name) => nodes.by_name(name).filter(|&it| nodes.fits(shape, it)),
                None => nodes.ids().find(|&it| nodes.fits(shape, it)),
            };
            let is_unfit = !nodes.ids().any(|it| nodes.fits(shape, it));
            match found.map(|it| (it, nodes.best_fit_devices(shape, it).unwrap())) {
                Some((node, devices)) => desk.place(task, node, devices),
                None if is_unfit => desk.unfit(task),
                None => desk.hold_back(task),
            }
        }
    }
}

/// Runs a script with the usual options.
pub(crate) fn run(script: &str) -> RunReport {
    run_with(script, CollectorConfig::default())
}

/// Runs a script and compares columns; `-` is an empty cell.
#[track_caller]
pub(crate) fn check(script: &str, want: &[(&str, &str)]) {
    let report = run(script);
    for (column, want) in want {
        assert!(report.columns.iter().any(|it| it.name == *column), "no column {column}");
        let got = report.value(column).map_or("-".to_owned(), |it| it.to_string());
        assert_eq!(&got, want, "{column}");
    }
}

fn demand(text: &str) -> Demand {
    let parts: Vec<f64> = text.split('/').map(|it| it.parse().unwrap()).collect();
    let amounts = Amounts {
        cpu: MilliCpu((parts[0] * 1000.0) as u64),
        memory: Bytes::from_gib(parts[1] as u64),
        disk: Bytes(0),
    };
    // 0.5 is half a device, 2 are two whole ones.
    let gpus = match parts.get(2) {
        Some(&it) if it < 1.0 => {
            GpuAsk { count: 1, milli: GpuMilli((it * 1000.0) as u32), models: vec![] }
        }
        Some(&it) => GpuAsk { count: it as u16, milli: GpuMilli::DEVICE, models: vec![] },
        None => GpuAsk::default(),
    };
    Demand { amounts, gpus, ..Demand::default() }
}

/// Runs a script.
pub(crate) fn run_with(script: &str, config: CollectorConfig) -> RunReport {
    let mut collector = Collector::new(config);
    let (end, state) = drive(script, &mut collector);
    collector.finish(end, &state)
}

/// Runs a script before an observer: when it ended, and how things stood then.
pub(crate) fn drive(script: &str, observer: &mut dyn Observer) -> (Instant, State) {
    let mut rules = Rules::default();
    let mut autostart = false;
    let pins = Pins::default();
    let mut lines: Vec<Vec<&str>> = Vec::new();
    for line in script.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["rules", "drop"] => rules.unfit = Unfit::Drop,
            ["rules", "autostart"] => autostart = true,
            _ => lines.push(words),
        }
    }
    let mut manager = Manager::new(rules, Box::new(Pinned(Arc::clone(&pins))));
    let mut now = Instant::ZERO;
    let mut definitions = 0;
    for words in lines {
        let at = Instant((words[0].parse::<f64>().unwrap() * 1e6) as u64);
        if at > now || words[1] == "end" {
            decide(&mut manager, observer, now, autostart);
            observer.advance(at, manager.state());
            now = at;
        }
        if words[1] == "end" {
            manager.state().audit().unwrap();
            return (at, manager.into_state());
        }
        let node = |name: &str| manager.state().nodes().by_name(name).unwrap();
        let task = |text: &str| TaskId(text.parse().unwrap());
        let attempt = |id: TaskId| manager.state().task(id).map_or(0, |it| it.attempts);
        let mut events = Vec::new();
        match words[1..] {
            ["node", name, zone, size] => {
                let demand = demand(size);
                let gpus = vec!["gpu".to_owned(); usize::from(demand.gpus.count)];
                let spec = NodeSpec {
                    name: name.to_owned(),
                    zone: zone.to_owned(),
                    capacity: NodeCapacity { amounts: demand.amounts, gpus },
                    ..NodeSpec::default()
                };
                let id = NodeId(manager.state().nodes().len() as u32);
                events.push(Event::Node { node: id, event: NodeEvent::Joined(Box::new(spec)) });
            }
            ["submit" | "adopt", id, size, ref rest @ ..] => {
                let definition = DefinitionId(definitions);
                definitions += 1;
                let spec = TaskDefinition::single(format!("d{definitions}"), demand(size));
                events.push(Event::DefinitionPut { definition, spec });
                let mut submission = Submission {
                    task: task(id),
                    definition,
                    group: None,
                    kind: TaskKind::Job,
                    priority: 0,
                    estimate: None,
                    on_loss: OnLoss::Restart,
                };
                let mut adopted_on = None;
                for word in rest {
                    match word.split_at(1) {
                        _ if *word == "service" => submission.kind = TaskKind::Service,
                        _ if *word == "end-on-loss" => submission.on_loss = OnLoss::End,
                        ("@", name) => {
                            pins.lock().unwrap().insert(task(id), name.to_owned());
                        }
                        ("g", number) if number.parse::<u32>().is_ok() => {
                            submission.group = Some(GroupId(number.parse().unwrap()));
                        }
                        _ => adopted_on = Some(node(word)),
                    }
                }
                events.push(match adopted_on {
                    Some(node) => Event::TaskAdopted { submission, node },
                    None => Event::TaskSubmitted(submission),
                });
            }
            ["start", id] => {
                let (task, report) = (task(id), Report::Started);
                events.push(Event::TaskReported { task, attempt: attempt(task), report });
            }
            ["exit", id, code] => {
                let task = task(id);
                let report = Report::Exited { code: code.parse().unwrap() };
                events.push(Event::TaskReported { task, attempt: attempt(task), report });
            }
            ["cancel", id] => events.push(Event::TaskCancelled { task: task(id) }),
            ["update", name, size] => {
                let demand = demand(size);
                let gpus = vec!["gpu".to_owned(); usize::from(demand.gpus.count)];
                let capacity = NodeCapacity { amounts: demand.amounts, gpus };
                events.push(Event::Node { node: node(name), event: NodeEvent::Updated(capacity) });
            }
            ["lose", name] => {
                events.push(Event::Node { node: node(name), event: NodeEvent::Lost });
            }
            ["back", name] => {
                events.push(Event::Node { node: node(name), event: NodeEvent::Returned });
            }
            ["drain", name] => {
                events.push(Event::Node { node: node(name), event: NodeEvent::Draining });
            }
            _ => panic!("not a line of a script: {words:?}"),
        }
        for event in events {
            manager.handle(now, event, &mut Vec::new());
            observer.observe(now, manager.changes(), manager.state());
        }
    }
    panic!("the script has no end");
}

fn decide(manager: &mut Manager, observer: &mut dyn Observer, now: Instant, autostart: bool) {
    let mut actions = Vec::new();
    manager.decide(now, &mut actions);
    observer.observe(now, manager.changes(), manager.state());
    for action in actions {
        if let Action::Start { task, attempt, .. } = action
            && autostart
        {
            let event = Event::TaskReported { task, attempt, report: Report::Started };
            manager.handle(now, event, &mut Vec::new());
            observer.observe(now, manager.changes(), manager.state());
        }
    }
}
