//! What is hard binds every policy: one small cluster a kind of rule, all policies on each. And what is soft, for
//! the policies whose system has it.
//!
//! A task that a rule keeps out of every node waits, and is placed as soon as the rule lets it, though nothing
//! else changed. Without the rule it would have been placed at once, which each run shows first.

use crate::check::demand;
use crate::policy::Policy;
use cluster::constraint::{
    Affinity, Constraints, Effect, Image, Limit, Preference, Requirement, Side, Spread, Strength,
    Taint, Test, Toleration, Who,
};
use cluster::demand::TaskDefinition;
use cluster::event::{Action, Event, NodeEvent, OnLoss, Report, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::manager::Manager;
use cluster::nodes::{NODE, NodeCapacity, NodeSpec, ZONE};
use cluster::rules::Rules;
use cluster::units::{Bytes, Instant, Span};

/// A manager that is told things in words, with seconds between them.
struct Rig {
    manager: Manager,
    now: Instant,
    definitions: u32,
    tasks: u64,
}

impl Rig {
    /// Two nodes of another zone each stand by for policies that keep room; nobody tolerates their taint.
    fn new(policy: &Policy) -> Self {
        let manager = Manager::new(Rules::default(), policy.build(1));
        let mut rig = Self { manager, now: Instant::ZERO, definitions: 0, tasks: 0 };
        rig.join("spare-1 100/100 y", Some("spare"));
        rig.join("spare-2 100/100 z", Some("spare"));
        rig
    }

    /// Tells it, and lets it decide, then and some seconds later: some policies make offers at moments of their own.
    fn tell(&mut self, event: Event) {
        let mut actions: Vec<Action> = Vec::new();
        self.manager.handle(self.now, event, &mut actions);
        for _ in 0..12 {
            self.manager.decide(self.now, &mut actions);
            self.now = self.now + Span::from_secs(1);
        }
        // Whatever starts has started.
        for action in std::mem::take(&mut actions) {
            if let Action::Start { task, attempt, .. } = action {
                let report = Report::Started;
                self.manager.handle(
                    self.now,
                    Event::TaskReported { task, attempt, report },
                    &mut actions,
                );
            }
        }
        for _ in 0..12 {
            self.manager.decide(self.now, &mut actions);
            self.now = self.now + Span::from_secs(1);
        }
        if let Err(difference) = self.manager.state().audit() {
            panic!("{difference}");
        }
    }

    /// `name cores/GiB zone`, and `rack=…` if it has one.
    fn join(&mut self, text: &str, taint: Option<&str>) {
        self.join_with(text, taint, vec![]);
    }

    fn join_with(&mut self, text: &str, taint: Option<&str>, images: Vec<Image>) {
        let words: Vec<&str> = text.split(' ').collect();
        let spec = NodeSpec {
            name: words[0].into(),
            capacity: NodeCapacity { amounts: demand(words[1]).amounts, gpus: vec![] },
            zone: words[2].into(),
            attributes: words[3..]
                .iter()
                .map(|it| it.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            taints: taint
                .map(|it| Taint {
                    key: it.into(),
                    value: String::new(),
                    effect: Effect::NoSchedule,
                })
                .into_iter()
                .collect(),
            images,
            ..NodeSpec::default()
        };
        let node = NodeId(self.manager.state().nodes().len() as u32);
        self.tell(Event::Node { node, event: NodeEvent::Joined(Box::new(spec)) });
    }

    /// A task of one core and an app, all of which are of group 1.
    fn task(&mut self, app: &str, constraints: Constraints, node: Option<&str>) -> TaskId {
        let definition = DefinitionId(self.definitions);
        self.definitions += 1;
        let mut spec = TaskDefinition {
            labels: vec![("app".into(), app.into())],
            constraints: Box::new(constraints),
            ..TaskDefinition::single(app, demand("1/1"))
        };
        spec.containers[0].image = app.into();
        self.tell(Event::DefinitionPut { definition, spec });
        let task = TaskId(self.tasks);
        self.tasks += 1;
        let submission = Self::submission(task, definition);
        self.tell(match node {
            Some(name) => {
                let node = self.manager.state().nodes().by_name(name).unwrap();
                Event::TaskAdopted { submission, node }
            }
            None => Event::TaskSubmitted(submission),
        });
        task
    }

    fn submission(task: TaskId, definition: DefinitionId) -> Submission {
        Submission {
            task,
            definition,
            group: Some(GroupId(1)),
            kind: TaskKind::Job,
            priority: 0,
            estimate: Some(Span::from_secs(3600)),
            on_loss: OnLoss::Restart,
        }
    }

    fn exit(&mut self, task: TaskId) {
        let attempt = self.manager.state().task(task).unwrap().attempts;
        let report = Report::Exited { code: 0 };
        self.tell(Event::TaskReported { task, attempt, report });
    }

    /// The name of its node; `-` while it waits.
    fn at(&self, task: TaskId) -> &str {
        let placement = self.manager.state().task(task).unwrap().placement();
        placement.map_or("-", |it| self.manager.state().nodes().name(it.node))
    }
}

fn app(name: &str) -> Who {
    Who::Labels { all: vec![Requirement::one_of("app", [name.to_owned()])], namespaces: vec![] }
}

fn affinity(side: Side, domain: &str, who: Who) -> Constraints {
    let it = Affinity { side, strength: Strength::Hard, domain: domain.into(), who };
    Constraints { affinity: vec![it], ..Constraints::default() }
}

/// A story told to every policy, with the rule and without it: where the task in question is before the
/// rule lets it anywhere, and after.
#[track_caller]
fn check(rule: Constraints, story: impl Fn(&mut Rig, Constraints) -> [String; 2], want: &str) {
    for policy in Policy::all() {
        let [free, _] = story(&mut Rig::new(&policy), Constraints::default());
        assert_eq!(free, want, "{policy} without the rule");
        let bound = story(&mut Rig::new(&policy), rule.clone());
        assert_eq!(bound, ["-", want], "{policy}");
    }
}

#[test]
fn apart_from_those_that_are_there() {
    let rule = affinity(Side::Apart, ZONE, app("db"));
    let story = |rig: &mut Rig, rule| {
        rig.join("n0 8/8 a", None);
        let db = rig.task("db", Constraints::default(), Some("n0"));
        let web = rig.task("web", rule, None);
        let before = rig.at(web).to_owned();
        rig.exit(db);
        [before, rig.at(web).to_owned()]
    };
    check(rule, story, "n0");
}

#[test]
fn apart_because_they_want_it() {
    let rule = affinity(Side::Apart, NODE, app("web"));
    let story = |rig: &mut Rig, rule| {
        rig.join("n0 8/8 a", None);
        let db = rig.task("db", rule, Some("n0"));
        let web = rig.task("web", Constraints::default(), None);
        let before = rig.at(web).to_owned();
        rig.exit(db);
        [before, rig.at(web).to_owned()]
    };
    check(rule, story, "n0");
}

#[test]
fn near_to_one_that_comes_later_on_an_unchanged_cluster() {
    let rule = affinity(Side::Near, NODE, app("db"));
    let story = |rig: &mut Rig, rule| {
        rig.join("n0 8/8 a", None);
        let web = rig.task("web", rule, None);
        let before = rig.at(web).to_owned();
        rig.task("db", Constraints::default(), None);
        [before, rig.at(web).to_owned()]
    };
    check(rule, story, "n0");
}

#[test]
fn spread_over_zones_of_which_one_is_full() {
    let spread =
        Spread { domain: ZONE.into(), skew_max: 1, domains_min: 0, is_hard: true, who: app("web") };
    // Of the zones that it may be in at all.
    let rule = Constraints {
        spread: vec![spread],
        any_of: vec![vec![Requirement { attribute: "rack".into(), test: Test::Exists }]],
        ..Constraints::default()
    };
    let story = |rig: &mut Rig, rule: Constraints| {
        rig.join("n0 8/8 a rack=1", None);
        rig.join("n1 1/1 b rack=1", None);
        let filler = rig.task("filler", Constraints::default(), Some("n1"));
        rig.task("web", Constraints::default(), Some("n0"));
        let web = rig.task("web", rule.clone(), None);
        let before = rig.at(web).to_owned();
        rig.exit(filler);
        let after = rig.at(web).to_owned();
        [before, if after == "n1" { "n0".to_owned() } else { after }]
    };
    check(rule, story, "n0");
}

#[test]
fn no_more_than_a_limit() {
    let limit = Limit { domain: NODE.into(), max: 1, who: Who::Group };
    let rule = Constraints { limits: vec![limit], ..Constraints::default() };
    let story = |rig: &mut Rig, rule| {
        rig.join("n0 8/8 a", None);
        let first = rig.task("web", Constraints::default(), Some("n0"));
        let second = rig.task("web", rule, None);
        let before = rig.at(second).to_owned();
        rig.exit(first);
        [before, rig.at(second).to_owned()]
    };
    check(rule, story, "n0");
}

#[test]
fn one_of_lists_of_attributes() {
    let test = |attribute: &str, test| Requirement { attribute: attribute.into(), test };
    let rule = Constraints {
        any_of: vec![
            vec![test("rack", Test::In(vec!["1".into()])), test("ssd", Test::Absent)],
            vec![test("rack", Test::Above(7))],
        ],
        ..Constraints::default()
    };
    let story = |rig: &mut Rig, rule| {
        rig.join("n0 8/8 a rack=1 ssd=yes", None);
        let web = rig.task("web", rule, None);
        let before = rig.at(web).to_owned();
        rig.join("n1 8/8 b rack=8", None);
        let after = rig.at(web).to_owned();
        [before, if after == "n1" { "n0".to_owned() } else { after }]
    };
    check(rule, story, "n0");
}

#[test]
fn taints_keep_away_those_that_do_not_tolerate_them() {
    let tolerant = Constraints {
        tolerations: vec![Toleration { key: Some("gpu".into()), value: None, effect: None }],
        ..Constraints::default()
    };
    for policy in Policy::all() {
        let mut rig = Rig::new(&policy);
        rig.join("n0 8/8 a", Some("gpu"));
        let strict = rig.task("web", Constraints::default(), None);
        let lenient = rig.task("web", tolerant.clone(), None);
        assert_eq!((rig.at(strict), rig.at(lenient)), ("-", "n0"), "{policy}");
        rig.join("n1 8/8 b", None);
        assert_eq!(rig.at(strict), "n1", "{policy}");
        // Emptier than n1, and forbidden.
        for _ in 0..3 {
            let more = rig.task("web", Constraints::default(), None);
            assert_eq!(rig.at(more), "n1", "{policy}");
        }
    }
}

/// Where tasks of app `web` go, one after another, under each policy.
#[track_caller]
fn go(policies: &[&str], setup: impl Fn(&mut Rig), wish: &Constraints, want: &str) {
    for policy in policies {
        let mut rig = Rig::new(&policy.parse().unwrap());
        setup(&mut rig);
        let tasks: Vec<TaskId> =
            want.split(' ').map(|_| rig.task("web", wish.clone(), None)).collect();
        let got: Vec<&str> = tasks.iter().map(|it| rig.at(*it)).collect();
        assert_eq!(got.join(" "), want, "{policy} with {wish:?}");
    }
}

const SWARM: [&str; 3] = ["swarm-spread", "swarm-binpack", "swarm-random"];

#[test]
fn soft_expressions_of_swarm_bind_while_a_node_has_room() {
    let rack = Requirement::one_of("rack", ["1".to_owned()]);
    let preference = Preference { weight: 1, all: vec![rack] };
    let wish = Constraints { prefers: vec![preference], ..Constraints::default() };
    let setup = |rig: &mut Rig| {
        rig.join("n0 8/8 a", None);
        rig.join("n1 2/2 a rack=1", None);
    };
    go(&SWARM, setup, &wish, "n1 n1 n0");
    // Emptier, and fuller, than the other.
    go(&["swarm-spread"], setup, &Constraints::default(), "n0 n0 n0");
    let with_db = |rig: &mut Rig| {
        setup(rig);
        rig.task("db", Constraints::default(), Some("n0"));
    };
    let soft = |side, domain: &str| {
        let strength = Strength::Soft(1);
        let it = Affinity { side, strength, domain: domain.into(), who: app("db") };
        Constraints { affinity: vec![it], ..Constraints::default() }
    };
    go(&SWARM, with_db, &soft(Side::Near, NODE), "n0 n0 n0 n0 n0 n0 n0 n1");
    go(&SWARM, with_db, &soft(Side::Apart, NODE), "n1 n1 n0");
    // Both, or none: that one cannot be had frees the task from the other.
    let both = Constraints { prefers: wish.prefers.clone(), ..soft(Side::Near, NODE) };
    go(&["swarm-spread"], with_db, &both, "n0");
    // Zones are nothing to Swarm.
    go(&["swarm-binpack"], setup, &soft(Side::Near, ZONE), "n1");
}

#[test]
fn images_are_looked_for_if_asked() {
    let setup = |rig: &mut Rig| {
        rig.join("n0 8/8 a", None);
        let image = Image { names: vec!["web".into()], size: Bytes(1) };
        rig.join_with("n1 2/2 a", None, vec![image]);
    };
    let any = Constraints::default();
    go(&["swarm-spread:images=soft", "swarm-random:images=soft"], setup, &any, "n1 n1 n0");
    go(&["swarm-spread"], setup, &any, "n0 n0 n0");
}

#[test]
fn a_soft_spread_is_a_preference_of_swarmkit() {
    let soft = |domain: &str, who| Spread {
        domain: domain.into(),
        skew_max: 1,
        domains_min: 0,
        is_hard: false,
        who,
    };
    let zones = |wish: Vec<Spread>| {
        let wish = Constraints { spread: wish, ..Constraints::default() };
        let mut rig = Rig::new(&"swarmkit".parse().unwrap());
        for node in ["n0 8/8 a", "n1 8/8 a", "n2 8/8 a", "n3 8/8 b rack=1"] {
            rig.join(node, None);
        }
        let tasks: Vec<TaskId> = (0..8).map(|_| rig.task("web", wish.clone(), None)).collect();
        tasks.iter().filter(|it| rig.at(**it) == "n3").count()
    };
    assert_eq!(zones(vec![]), 2, "as many a node");
    assert_eq!(zones(vec![soft(ZONE, Who::Group)]), 4, "as many a zone");
    // Spare nodes have no rack either.
    assert_eq!(zones(vec![soft("rack", Who::Group)]), 4, "nodes without it are one branch");
    assert_eq!(zones(vec![soft(ZONE, app("web"))]), 2, "labels are not its service");
}

#[test]
fn a_limit_of_the_group_is_the_most_replicas_of_swarmkit() {
    let limit = Limit { domain: NODE.into(), max: 2, who: Who::Group };
    let rule = Constraints { limits: vec![limit], ..Constraints::default() };
    let mut rig = Rig::new(&"swarmkit".parse().unwrap());
    rig.join("n0 8/8 a", None);
    rig.join("n1 8/8 b", None);
    let first = rig.task("web", rule, None);
    let definition = rig.manager.state().task(first).unwrap().definition;
    // All at once, so that they are one group to it.
    let tasks: Vec<TaskId> = (10..14).map(TaskId).collect();
    for &task in &tasks {
        let submission = Rig::submission(task, definition);
        let event = Event::TaskSubmitted(submission);
        rig.manager.handle(rig.now, event, &mut Vec::new());
    }
    rig.manager.decide(rig.now, &mut Vec::new());
    let mut at: Vec<&str> = tasks.iter().chain([&first]).map(|it| rig.at(*it)).collect();
    at.sort_unstable();
    assert_eq!(at, ["-", "n0", "n0", "n1", "n1"]);
}
