//! Journals fed back: the same policy answers the same; counterfactuals keep what any policy would see.

use crate::parts::{FirstFit, random_workload};
use cluster::arrival::StreamError;
use cluster::journal::Record;
use cluster::manager::Manager;
use cluster::nodes::DeviceSet;
use cluster::scheduler::{Desk, Scheduler};
use sim::replay::{Counterfactual, Verifier};
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
        let mut unit = ();
        let mut verifier = Verifier::new(manager, &mut unit);
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
    let mut unit = ();
    let mut verifier = Verifier::new(Manager::new(config.rules, Box::new(LastFit)), &mut unit);
    let difference = records.into_iter().find_map(|it| verifier.feed(it).err()).unwrap();
    assert_ne!(difference.recorded.actions, difference.replayed);
    assert_eq!(difference.number, verifier.records());
}

#[test]
fn a_counterfactual_under_the_same_policy_is_the_run_itself() {
    for seed in 0..20 {
        let startup = Startup::LogNormal { median: cluster::units::Span(700_000), sigma: 1.0 };
        let config = Config { seed, startup, ..Config::default() };
        let (outcome, records) = recorded(seed, &config);
        let what_if =
            Counterfactual::collect(records.iter().cloned().map(Ok::<_, std::convert::Infallible>))
                .unwrap();
        let config = Config { known_startups: what_if.startups.clone(), ..config };
        let mut keep = Keep(Vec::new());
        let mut stream = what_if.arrivals.into_iter();
        let (again, _) = run(&config, &mut stream, Box::new(FirstFit), &mut (), &mut keep).unwrap();
        if what_if.modelled == 0 {
            assert_eq!(again.fingerprint, outcome.fingerprint, "seed {seed}");
        }
        assert_eq!(again.progress.tasks, outcome.progress.tasks);
    }
}
