//! What the adapter decides, and that its mirror shows what is.

use super::mirror::Mirror;
use super::*;
use crate::check::{World, check, demand};
use crate::kubernetes::cycle::decide;
use crate::kubernetes::filters::Prepared;
use crate::kubernetes::profile::{Filter, Release, Score, Strategy};
use crate::kubernetes::resources::Amounts;
use crate::policy::Policy;
use ::cluster::company::Broken;
use ::cluster::constraint::{
    Affinity, Bound, Budget, Constraints, Effect, Image, Limit, Preference, Requirement, Side,
    Spread, Strength, Taint, Test, Toleration, Who,
};
use ::cluster::demand::{Container, Demand, Port, Protocol, Resource, TaskDefinition};
use ::cluster::event::{
    Action, Change, Event, NodeEvent, NodeReport, OnLoss, Report, StopReason, Submission, TaskKind,
};
use ::cluster::ids::{DefinitionId, GroupId};
use ::cluster::manager::Manager;
use ::cluster::nodes::{NODE, NodeCapacity, NodeSpec, ZONE};
use ::cluster::rules::{Rules, Unfit};
use ::cluster::units::{Bytes, Instant, Span};
use proptest::prelude::*;

#[test]
fn strategies() {
    check("kubernetes", "4/8 8/16 4/8", "1/2 2/4", "n1 n1");
    check("kubernetes:most-allocated", "4/8 8/16", "1/2 2/4 2/4", "n0 n0 n1");
    // More is left on the second node, but out of balance: 50 + 100 against 62 + 87.
    check("kubernetes", "4/8 4/16", "2/4 2/4", "n0 n1");
    check("gke:optimize-utilization", "8/16+2 4/8", "1/1 1/1+1 1/1", "n1 n0 n1");
}

#[test]
fn no_more_tasks_than_the_kubelet_takes() {
    check("kubernetes:max-pods=1", "4/8 4/8", "1/1 1/1 1/1 x0 9/9", "n1 n0 - -");
    check("kubernetes:max-pods=2", "4/8", "1/1 1/1 0/0 x1 1/1", "n0 n0 - -");
}

#[test]
fn shares_of_gpus_are_left_to_the_ledger() {
    check("kubernetes", "9/9+1 8/8+1", "1/1+0.5 1/1+0.5 1/1+1 1/1+0.75", "n0 n1 - -");
}

fn submission(task: u64, group: Option<u32>, kind: TaskKind) -> Submission {
    Submission {
        task: TaskId(task),
        definition: DefinitionId(task as u32),
        group: group.map(GroupId),
        kind,
        priority: 0,
        estimate: None,
        on_loss: OnLoss::Restart,
    }
}

#[test]
fn services_are_spread_and_jobs_are_not() {
    for (kind, want) in [(TaskKind::Service, [1, 0, 1]), (TaskKind::Job, [1, 1, 1])] {
        let policy: Policy = "kubernetes".parse().unwrap();
        let mut world = World::new(Rules::default(), policy.build(1));
        for (row, cores) in [20, 99].into_iter().enumerate() {
            let amounts = demand(&format!("{cores}/{cores}")).amounts;
            let capacity = NodeCapacity { amounts, gpus: Vec::new() };
            let name = row.to_string();
            world.join(NodeSpec { name, capacity, ..NodeSpec::default() });
        }
        let mut got = [0; 3];
        for task in 0..3 {
            let definition = DefinitionId(task);
            let spec = TaskDefinition::single("d", demand("1/1"));
            world.step(Event::DefinitionPut { definition, spec });
            world.step(Event::TaskSubmitted(submission(task.into(), Some(7), kind)));
            got[task as usize] = world.node_of(TaskId(task.into())).unwrap().0;
        }
        assert_eq!(got, want, "{kind:?}");
    }
}

/// A decision: three nodes, of 4, 8 and 16 cores and as many GiB, the first two in zone `a`, the third in
/// `b`; what runs there; and one task of a core and a GiB that is called `web`.
struct Scene {
    nodes: Vec<NodeSpec>,
    there: Vec<(TaskDefinition, u32)>,
    task: TaskDefinition,
    /// Of the task; those that run have 0.
    priority: i32,
    /// Protects all that are called so.
    budget: Option<String>,
}

fn called(app: &str) -> TaskDefinition {
    TaskDefinition {
        labels: vec![("app".to_owned(), app.to_owned())],
        ..TaskDefinition::single(app, demand("1/1"))
    }
}

/// Where the task goes. All are jobs of group 7.
#[track_caller]
fn decides(change: impl FnOnce(&mut Scene), want: &str) {
    let node = |row: usize| NodeSpec {
        name: format!("n{row}"),
        zone: ["a", "a", "b"][row].to_owned(),
        capacity: NodeCapacity {
            amounts: demand(["4/4", "8/8", "16/16"][row]).amounts,
            gpus: vec![],
        },
        ..NodeSpec::default()
    };
    let nodes = (0..3).map(node).collect();
    let mut scene = Scene { nodes, there: vec![], task: called("web"), priority: 0, budget: None };
    change(&mut scene);
    let scheduler = Kubernetes::new(&CARD, Profile::default(), true, 110, 1);
    let mut world = World::new(Rules::default(), Box::new(scheduler));
    let all = scene.there.into_iter().map(|(spec, node)| (spec, Some(NodeId(node))));
    scene.nodes.into_iter().for_each(|it| world.join(it));
    if let Some(app) = scene.budget {
        let (name, namespace, select) = (app.clone(), String::new(), vec![is("app", &app)]);
        let bound = Bound::AvailableMin(9);
        world.step(Event::BudgetPut(Budget { name, namespace, select, bound }));
    }
    for (at, (spec, node)) in all.chain([(scene.task, None)]).enumerate() {
        world.step(Event::DefinitionPut { definition: DefinitionId(at as u32), spec });
        let submission = submission(at as u64, Some(7), TaskKind::Job);
        let priority = if node.is_some() { 0 } else { scene.priority };
        let submission = Submission { priority, ..submission };
        world.step(match node {
            Some(node) => Event::TaskAdopted { submission, node },
            None => Event::TaskSubmitted(submission),
        });
        if node.is_none() {
            let got = world.node_of(TaskId(at as u64)).map_or("-".to_owned(), |it| it.to_string());
            assert_eq!(got, want);
        }
    }
}

fn app(name: &str) -> Who {
    let all = vec![Requirement::one_of("app", [name.to_owned()])];
    Who::Labels { all, namespaces: vec![] }
}

fn is(attribute: &str, value: &str) -> Requirement {
    Requirement::one_of(attribute, [value.to_owned()])
}

const HARD: Strength = Strength::Hard;
const SOFT: Strength = Strength::Soft(50);

fn affinity(side: Side, strength: Strength, domain: &str, who: Who) -> Constraints {
    let it = Affinity { side, strength, domain: domain.to_owned(), who };
    Constraints { affinity: vec![it], ..Constraints::default() }
}

fn spread(domain: &str, domains_min: u32, is_hard: bool) -> Constraints {
    let domain = domain.to_owned();
    let it = Spread { domain, skew_max: 1, domains_min, is_hard, who: app("web") };
    Constraints { spread: vec![it], ..Constraints::default() }
}

#[test]
fn nodes_say_whom_they_want() {
    decides(|_| (), "n2");
    let taint = |effect| Taint { key: "k".to_owned(), value: "v".to_owned(), effect };
    for effect in [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute] {
        let tainted = |it: &mut Scene| it.nodes[2].taints.push(taint(effect));
        decides(tainted, "n1");
        for (key, value, of, want) in [
            (None, None, None, "n2"),
            (Some("k"), Some("v"), Some(effect), "n2"),
            (Some("k"), Some("w"), None, "n1"),
            (Some("l"), None, None, "n1"),
        ] {
            let [key, value] = [key, value].map(|it| it.map(str::to_owned));
            let by = Toleration { key, value, effect: of };
            let tolerates = |it: &mut Scene| {
                tainted(it);
                it.task.constraints.tolerations.push(by);
            };
            decides(tolerates, want);
        }
    }
}

#[test]
fn tasks_say_where_they_want_to_be() {
    let with = |change: &dyn Fn(&mut Constraints), want: &str| {
        decides(|it| change(&mut it.task.constraints), want);
    };
    with(&|it| it.any_of = vec![vec![is(NODE, "n0")], vec![is(ZONE, "a"), is(NODE, "n1")]], "n1");
    with(&|it| it.any_of = vec![vec![is(NODE, "n0"), is(ZONE, "b")], vec![is(NODE, "n0")]], "n0");
    // A list that asks nothing is met everywhere.
    with(&|it| it.any_of = vec![vec![is(NODE, "n0")], vec![]], "n2");
    let both = |it: &mut Scene| {
        it.task.containers[0].demand.requires.push(is(ZONE, "a"));
        it.task.constraints.any_of = vec![vec![is(NODE, "n0")], vec![is(NODE, "n2")]];
    };
    decides(both, "n0");
    let prefers = |weight, name: &str| Preference { weight, all: vec![is(NODE, name)] };
    with(&|it| it.prefers = vec![prefers(1, "n0")], "n0");
    with(&|it| it.prefers = vec![prefers(10, "n0"), prefers(11, "n1")], "n1");
    with(&|it| it.prefers = vec![Preference { weight: 9, all: vec![] }], "n2");
}

#[test]
fn tasks_say_whom_they_want_to_be_with() {
    let db = |it: &mut Scene, node| it.there.push((called("db"), node));
    for strength in [HARD, SOFT] {
        let rule = |side, domain, who, node, want| {
            let change = |it: &mut Scene| {
                db(it, node);
                *it.task.constraints = affinity(side, strength, domain, who);
            };
            decides(change, want);
        };
        rule(Side::Near, NODE, app("db"), 0, "n0");
        rule(Side::Near, ZONE, app("db"), 0, "n1");
        rule(Side::Near, ZONE, Who::Group, 0, "n1");
        rule(Side::Apart, ZONE, app("db"), 2, "n1");
        rule(Side::Apart, NODE, app("db"), 0, "n2");
        rule(Side::Apart, NODE, Who::Group, 2, "n1");
    }
    // In which namespaces.
    for (namespaces, want) in [(vec![], "n2"), (vec!["x".to_owned()], "n0")] {
        let change = |it: &mut Scene| {
            it.there.push((TaskDefinition { namespace: "x".to_owned(), ..called("db") }, 0));
            let all = vec![is("app", "db")];
            *it.task.constraints =
                affinity(Side::Near, SOFT, NODE, Who::Labels { all, namespaces });
        };
        decides(change, want);
    }
    // Those who are there are heard as well.
    for (side, strength, node, want) in [
        (Side::Apart, HARD, 2, "n1"),
        (Side::Apart, SOFT, 2, "n1"),
        (Side::Near, HARD, 0, "n0"),
        (Side::Near, SOFT, 0, "n0"),
    ] {
        let change = |it: &mut Scene| {
            let constraints = affinity(side, strength, NODE, app("web"));
            let constraints = Box::new(constraints);
            it.there.push((TaskDefinition { constraints, ..called("db") }, node));
        };
        decides(change, want);
    }
}

#[test]
fn tasks_say_how_they_want_to_be_spread() {
    for is_hard in [true, false] {
        let change = |it: &mut Scene| {
            it.there.push((called("web"), 2));
            *it.task.constraints = spread(ZONE, 0, is_hard);
        };
        decides(change, "n1");
    }
    let change = |it: &mut Scene| {
        it.there.extend([(called("web"), 2), (called("web"), 1)]);
        *it.task.constraints = spread(NODE, 0, true);
    };
    decides(change, "n0");
    // With three zones the emptiest is taken as empty.
    let change = |it: &mut Scene| {
        it.there.extend([(called("web"), 2), (called("web"), 1)]);
        *it.task.constraints = spread(ZONE, 3, true);
    };
    decides(change, "-");
}

#[test]
fn images_and_ports_on_nodes() {
    let there = |it: &mut Scene, size| {
        it.task.containers[0].image = "registry:5000/web".to_owned();
        let names = vec!["web@sha256:0".to_owned(), "registry:5000/web:latest".to_owned()];
        it.nodes[0].images.push(Image { names, size });
    };
    decides(|it| there(it, Bytes::from_gib(1)), "n0");
    decides(|it| there(it, Bytes(50 << 20)), "n2");
    for (protocol, want) in [(Protocol::Tcp, "n1"), (Protocol::Udp, "n2")] {
        let change = |it: &mut Scene| {
            it.there.push((called("db"), 2));
            let asks = |protocol| vec![Port { protocol, number: 80 }];
            let ports = asks(Protocol::Tcp);
            it.there[0].0.containers[0].demand = Demand { ports, ..Demand::default() };
            it.task.containers[0].demand.ports = asks(protocol);
        };
        decides(change, want);
    }
}

#[test]
fn nothing_said_is_not_nothing_asked() {
    let counted = |containers: Vec<Container>| {
        let mut world =
            World::new(Rules::default(), "kubernetes".parse::<Policy>().unwrap().build(1));
        let (definition, spec) = (DefinitionId(0), TaskDefinition { containers, ..called("web") });
        world.step(Event::DefinitionPut { definition, spec });
        world.step(Event::TaskSubmitted(submission(0, None, TaskKind::Job)));
        let state = world.manager.state();
        let task = state.task(TaskId(0)).unwrap();
        let counted = Mirror::new(1).pod(TaskId(0), task, state).shape.counted.clone();
        (counted.cpu_milli, counted.memory_bytes >> 20)
    };
    let of = |text: &str, zero: &[Resource]| Container {
        demand: demand(text),
        zero: zero.to_vec(),
        ..Container::default()
    };
    assert_eq!(counted(vec![of("0/0", &[])]), (100, 200));
    assert_eq!(counted(vec![of("0/0", &[Resource::Cpu])]), (0, 200));
    assert_eq!(counted(vec![of("0/0", &[Resource::Memory, Resource::Cpu])]), (0, 0));
    assert_eq!(counted(vec![of("2/0", &[Resource::Cpu]), of("0/1", &[])]), (2100, 1224));
}

#[test]
fn options() {
    check("kubernetes:requested-to-capacity-ratio", "4/8 8/16", "1/2 2/4 2/4", "n0 n0 n1");
    let falling = "kubernetes:requested-to-capacity-ratio,shape=0-10|100-0";
    check(falling, "4/8 8/16 4/8", "1/2 2/4", "n1 n1");
    check("kubernetes:weights=NodeResourcesBalancedAllocation-0", "4/8 4/16", "2/4", "n1");
    let nodes = "1/1 ".repeat(199) + "9/9";
    check("kubernetes:sampling=100", &nodes, "1/1", "n199");
    // 50 + 100 against 62 + 87.
    check("kubernetes", "4/8 8/8", "2/4", "n0");
    check("kubernetes:weights=NodeResourcesFit-2", "4/8 8/8", "2/4", "n1");
    for (text, want) in [
        ("requested-to-capacity-ratio,shape=00-0|100-10", "requested-to-capacity-ratio"),
        (
            "shape=0-5|100-10,strategy=requested-to-capacity-ratio",
            "requested-to-capacity-ratio,shape=0-5|100-10",
        ),
        ("weights=ImageLocality-3|TaintToleration-03", "weights=ImageLocality-3"),
        ("weights=ImageLocality-0|NodeAffinity-5", "weights=NodeAffinity-5|ImageLocality-0"),
        ("sampling=30,release=1.23", "release=1.23,sampling=30"),
        (
            "shape=0-5",
            "column 18: shape of kubernetes is \"0-5\", which is not of use without requested-to-capacity-ratio",
        ),
        (
            "weights=ImageLocalty-3",
            "column 20: weights of kubernetes is \"ImageLocalty-3\", which is not SCORE-WEIGHT joined by bars, each weight from 0 to 1000000; did you mean ImageLocality?",
        ),
        (
            "weights=NodeAffinity-1|NodeAffinity-2",
            "column 20: weights of kubernetes is \"NodeAffinity-1|NodeAffinity-2\", which is not SCORE-WEIGHT joined by bars, each weight from 0 to 1000000",
        ),
        (
            "most",
            "column 12: strategy of kubernetes is \"most\", which is not least-allocated or most-allocated or requested-to-capacity-ratio; did you mean most-allocated?",
        ),
    ] {
        let got = match format!("kubernetes:{text}").parse::<Policy>() {
            Ok(policy) => policy.to_string().replace("kubernetes:", ""),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want, "{text}");
    }
    for shape in ["5-1|5-2", "0-11", "101-1", "0", "", "0-0|", "-1-0"] {
        let text = format!("kubernetes:requested-to-capacity-ratio,shape={shape}");
        assert!(text.parse::<Policy>().is_err(), "{text}");
    }
}

/// Tasks with priorities come one after the other, `x2` ends the third; then where all of them are.
#[track_caller]
fn room(preempts: bool, unfit: Unfit, nodes: &str, tasks: &[(&str, i32)], want: &str) {
    let scheduler = Kubernetes::new(&CARD, Profile::default(), preempts, 110, 1);
    room_with(scheduler, unfit, nodes, tasks, want);
}

#[track_caller]
fn room_with(scheduler: Kubernetes, unfit: Unfit, nodes: &str, tasks: &[(&str, i32)], want: &str) {
    let mut world = World::new(Rules { unfit, ..Rules::default() }, Box::new(scheduler));
    let gpus = |it: &str| it.split_once('+').map_or(0, |it| it.1.parse().unwrap());
    for (row, text) in nodes.split_whitespace().enumerate() {
        let amounts = demand(text.split('+').next().unwrap()).amounts;
        let capacity = NodeCapacity { amounts, gpus: vec!["t4".to_owned(); gpus(text)] };
        world.join(NodeSpec { name: format!("n{row}"), capacity, ..NodeSpec::default() });
    }
    let mut count = 0;
    for &(text, priority) in tasks {
        if let Some(task) = text.strip_prefix('x') {
            world.exit(TaskId(task.parse().unwrap()));
            continue;
        }
        let (definition, spec) =
            (DefinitionId(count as u32), TaskDefinition::single("d", demand(text)));
        world.step(Event::DefinitionPut { definition, spec });
        let submission = submission(count, None, TaskKind::Job);
        world.step(Event::TaskSubmitted(Submission { priority, ..submission }));
        count += 1;
    }
    let place = |it| world.node_of(TaskId(it)).map_or("-".to_owned(), |it| it.to_string());
    let got: Vec<String> = (0..count).map(place).collect();
    assert_eq!(got.join(" "), want, "{unfit:?} {nodes} {tasks:?}");
}

#[test]
fn higher_priority_makes_room() {
    let rule = Unfit::default();
    let on = |nodes, tasks: &[(&str, i32)], want| room(true, rule, nodes, tasks, want);
    on("4/4", &[("4/4", 0), ("4/4", 1)], "- n0");
    on("4/4", &[("4/4", 1), ("4/4", 1)], "n0 -");
    room(false, rule, "4/4", &[("4/4", 0), ("4/4", 1)], "n0 -");
    // Not more than must, the least important, and the youngest of those.
    on("4/4", &[("1/1", 0), ("3/3", 1), ("1/1", 2)], "- n0 n0");
    on("4/4", &[("2/2", 0), ("2/2", 0), ("2/2", 1)], "n0 - n0");
    on("4/4 5/5", &[("4/4", 1), ("4/4", 0), ("4/4", 2)], "n1 - n0");
    on("4/4 5/5", &[("4/4", 0), ("4/4", 1), ("4/4", 2)], "- n0 n1");
    // Who has to go is placed elsewhere, and may make room itself.
    on("4/4 2/2", &[("1/1", 0), ("4/4", 1)], "n1 n0");
    on("4/4 3/3", &[("2/2", 1), ("2/2", 0), ("4/4", 2)], "n1 - n0");
    // Shares of devices.
    on("9/9+1", &[("1/1+0.5", 0), ("1/1+0.5", 0), ("1/1+0.5", 1)], "n0 - n0");
    on("9/9+1", &[("1/1+0.5", 0), ("1/1+0.5", 0), ("1/1+1", 1)], "- - n0");
    on("9/9+1", &[("1/1+0.5", 0), ("1/1+0.5", 2), ("1/1+1", 1)], "n0 n0 -");
}

#[test]
fn who_waits_gets_its_chance() {
    let retry = Unfit::Retry { first: Span(9), max: Span(9), factor_permille: 2000, tries: 0 };
    for rule in [Unfit::WaitAndLetPass, Unfit::WaitAtHead, Unfit::Drop, retry] {
        // Its shape is known to fit nowhere.
        room(true, rule, "4/4", &[("4/4", 5), ("4/4", 0), ("4/4", 6)], "- - n0");
    }
    for rule in [Unfit::WaitAndLetPass, Unfit::WaitAtHead] {
        // What is freed is not enough by itself.
        let tasks = [("2/2", 9), ("2/2", 0), ("4/4", 5), ("x0", 0)];
        room(true, rule, "4/4", &tasks, "- - n0");
    }
}

#[test]
fn a_chance_is_kept_until_it_can_be_taken() {
    // When the first ends nobody is there who could make room for the last, and it may have its turn itself.
    // Before it has, those of no importance come, and one of its shape finds no node.
    let tasks = [("5/5", 1), ("1/1", 0), ("1/2", 0), ("3/3", 1), ("2/2", 0), ("2/2", 1)];
    let tasks = [&tasks[..], &[("x1", 0), ("x0", 0)]].concat();
    room(true, Unfit::WaitAndLetPass, "6/6", &tasks, "- - - n0 - n0");
}

#[test]
fn who_was_held_back_is_tried_again_when_others_leave() {
    // Two tasks a node: the third has room but no place, until the fourth sends both away.
    let tasks = [("2/2", 1), ("2/2", 1), ("1/1", 1), ("8/8", 2)];
    let scheduler = Kubernetes::new(&CARD, Profile::default(), true, 2, 1);
    room_with(scheduler, Unfit::WaitAndLetPass, "9/9", &tasks, "- - n0 n0");
}

#[test]
fn rules_about_others_and_budgets_when_room_is_made() {
    let there = |it: &mut Scene| {
        it.there.extend([(called("db"), 0), (called("db"), 1), (called("web"), 2)])
    };
    let room = |rules: Constraints, budget: Option<&str>, want: &str| {
        let change = |it: &mut Scene| {
            there(it);
            it.nodes.iter_mut().for_each(|it| it.capacity.amounts = demand("1/1").amounts);
            *it.task.constraints = rules;
            it.priority = 1;
            it.budget = budget.map(str::to_owned);
        };
        decides(change, want);
    };
    let apart = |strength| affinity(Side::Apart, strength, ZONE, app("web"));
    // Those of zone a are not near; where it goes it is the first of its kind.
    room(affinity(Side::Near, HARD, ZONE, app("web")), None, "n2");
    room(Constraints::default(), Some("db"), "n2");
    let only_b = vec![vec![is(ZONE, "b")]];
    room(Constraints { any_of: only_b, ..Constraints::default() }, Some("web"), "n2");
    // The one that it must be apart from goes.
    let only_b = vec![vec![is(ZONE, "b")]];
    room(Constraints { any_of: only_b, ..apart(HARD) }, None, "n2");
    let limit = Limit { domain: NODE.to_owned(), max: 1, who: app("web") };
    let only_b = vec![vec![is(ZONE, "b")]];
    room(Constraints { any_of: only_b, limits: vec![limit], ..Constraints::default() }, None, "-");
}

#[test]
fn memory_says_where_the_walk_goes_on() {
    let scheduler = |seed| Kubernetes::new(&CARD, Profile::default(), true, 110, seed);
    let (mut one, mut two) = (scheduler(1), scheduler(2));
    one.next_start = 7;
    two.recall(&one.memory()).unwrap();
    assert_eq!((two.next_start, two.chance.below(1000)), (7, one.chance.below(1000)));
    let gke = Kubernetes::new(&GKE_CARD, Profile::default(), true, 110, 1);
    assert!(two.recall(&gke.memory()).is_err());
}

/// The scheduler, and after every decision what it believes against what is.
struct Watched(Kubernetes);

impl Scheduler for Watched {
    fn observe(&mut self, changes: &[Change], state: &State) {
        self.0.observe(changes, state);
    }

    fn wants_every_instant(&self) -> bool {
        self.0.wants_every_instant()
    }

    fn makes_room(&self) -> bool {
        self.0.makes_room()
    }

    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.0.catch_up(desk.state());
        assert_mirrors(&self.0.mirror, desk.state());
        for task in desk.pending() {
            self.assert_all_else_is_silent(task, desk);
            self.0.assert_sheets_agree(task, desk);
            self.assert_company_agrees(task, desk.state());
        }
        self.0.decide(desk);
        assert_mirrors(&self.0.mirror, desk.state());
        for task in desk.pending() {
            let ask = desk.ask(task);
            if preempt::has_rules(ask.task.definition, desk.state()) {
                continue;
            }
            let room = self.0.room(ask, desk.state());
            assert!(room.is_none(), "{task} waits, though {:?} has room", room.map(|it| it.node));
        }
    }
}

impl Kubernetes {
    /// What is remembered leads to the same choice as filters and scores of every node.
    fn assert_sheets_agree(&mut self, id: TaskId, desk: &Desk<'_>) {
        let (ask, state) = (desk.ask(id), desk.state());
        // Not of all, so that some sheets miss much.
        if id.0.is_multiple_of(3) {
            return;
        }
        let Some(quick) = self.by_sheets(ask, state) else { return };
        let plain = self.by_the_book(ask, state);
        assert_eq!((&quick.best, quick.next_start), (&plain.best, plain.next_start), "{id}");
        if plain.best.is_empty() {
            let fits = state.nodes().ids().any(|it| state.nodes().fits(ask.shape, it));
            assert_eq!(quick.fits_somewhere, Some(fits), "{id}");
        }
    }
}

impl Watched {
    /// The whole profile takes the same nodes.
    fn assert_all_else_is_silent(&mut self, id: TaskId, desk: &Desk<'_>) {
        let (ask, state) = (desk.ask(id), desk.state());
        let mirror = &mut self.0.mirror;
        let pod = mirror.pod(id, ask.task, state);
        mirror.serve(ask.task, state);
        let [some, all] = [&self.0.profile, &self.0.whole].map(|profile| {
            let found = decide(profile, &mirror.cluster, &pod, Start::default(), &mut ());
            let found = found.unwrap();
            (found.best, found.taken, found.passed, found.next_start)
        });
        assert_eq!(some, all, "{id}");
    }

    /// Whatever the profile allows, the rules about other tasks allow, but for limits. The other way round, too,
    /// unless a node is lost, which counts as a place for Kubernetes.
    fn assert_company_agrees(&mut self, id: TaskId, state: &State) {
        let task = state.task(id).unwrap();
        let pod = self.0.mirror.pod(id, task, state);
        let filters = vec![Filter::PodTopologySpread, Filter::InterPodAffinity];
        let profile = Profile { filters, ..Profile::default() };
        let cluster = &self.0.mirror.cluster;
        let prepared = Prepared::new(&profile, cluster, &pod).unwrap();
        let nodes = state.nodes();
        let is_lost = |it| nodes.status(it) == ::cluster::nodes::NodeStatus::Lost;
        let some_lost = nodes.ids().any(is_lost);
        let company = Company::of(state, task);
        for node in nodes.ids().filter(|it| nodes.fits(state.shape(task.shape), *it)) {
            let theirs = cluster.node(node.row());
            let verdict = prepared.check(theirs, theirs.used());
            let broken: Vec<Broken> =
                company.iter().flat_map(|it| it.broken(node)).filter(|it| !is_limit(it)).collect();
            if verdict.is_ok() || !some_lost {
                let rules = &state.definition(task.definition).constraints;
                assert_eq!(
                    verdict.is_ok(),
                    broken.is_empty(),
                    "{id} {node} {verdict:?} {broken:?} {rules:#?}"
                );
            }
        }
    }
}

/// Whether it is about a limit, a domain that only a limit is about included.
fn is_limit(broken: &Broken) -> bool {
    match broken {
        Broken::Limit { .. } => true,
        Broken::NoDomain { domain } => domain == LIMITED,
        _ => false,
    }
}

/// The attribute that only limits are about.
const LIMITED: &str = "power";

#[track_caller]
fn assert_mirrors(mirror: &Mirror, state: &State) {
    let mut anew = mirror.anew();
    anew.catch_up(state);
    assert_eq!(mirror.cluster.walk(), anew.cluster.walk());
    for row in 0..state.nodes().len() {
        let [mut ours, mut fresh] = [mirror, &anew].map(|it| it.cluster.node(row).clone());
        let used = [&ours, &fresh].map(|it| {
            let used = it.used();
            // An amount that fell to 0 is none.
            let extended: Vec<_> =
                used.requested.extended.clone().into_iter().filter(|it| it.1 != 0).collect();
            let requested = Amounts { extended: Default::default(), ..used.requested.clone() };
            (used.pods, requested, used.counted.cpu_milli, used.counted.memory_bytes, extended)
        });
        assert_eq!(used[0], used[1], "row {row}");
        let pods = [&mut ours, &mut fresh].map(|it| {
            let mut pods = it.pods().to_vec();
            pods.sort_by_key(|it| it.id);
            pods.iter().for_each(|pod| assert!(it.remove_pod(pod.id).is_some()));
            pods
        });
        assert_eq!(pods[0], pods[1], "row {row}");
        let facts = [ours, fresh].map(|it| {
            (
                it.name,
                it.labels,
                it.unschedulable,
                it.allocatable,
                it.pods_max,
                it.taints,
                it.images,
            )
        });
        assert_eq!(facts[0], facts[1], "row {row}");
    }
}

/// What happens, with what it happens to modulo what there is, and an amount.
type Step = (u8, usize, u64);

fn capacity(amount: u64) -> NodeCapacity {
    let gpus = vec!["t4".to_owned(); (amount % 3) as usize];
    NodeCapacity { amounts: demand(&format!("{}/{}", amount % 9, amount % 11)).amounts, gpus }
}

fn wants(at: u64) -> Demand {
    let gpus = ["", "", "", "+1", "+0.5", "+2"][(at % 6) as usize];
    let mut wants = demand(&format!("{}/{}{gpus}", at % 4, at % 3));
    if at.is_multiple_of(7) {
        wants.ports.push(Port { protocol: Protocol::Tcp, number: 80 });
    }
    let values = match at % 5 {
        0 => vec!["1".to_owned()],
        1 => vec!["no label!".to_owned()],
        2 => Vec::new(),
        _ => return wants,
    };
    wants.requires.push(Requirement::one_of("rack", values));
    wants
}

/// A small generator (Knuth's MMIX constants), so that a number says all.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn word(&mut self, words: &[&str]) -> String {
        words[self.below(words.len() as u64) as usize].to_owned()
    }

    fn some<T>(&mut self, bound: u64, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(bound)).map(|_| make(self)).collect()
    }

    fn test(&mut self) -> Requirement {
        let attribute = self.word(&["rack", "disk", NODE]);
        let values = vec![self.word(&["1", "2", "no label!", "node-1"])];
        let test = match self.below(7) {
            0..2 => Test::In(values),
            2..4 => Test::NotIn(values),
            4 => Test::Above(1),
            5 => Test::Matches(::cluster::constraint::Pattern::read("[12]|node-.*").unwrap()),
            _ => Test::Exists,
        };
        Requirement { attribute, test }
    }

    fn who(&mut self) -> Who {
        if self.one_in(3) {
            return Who::Group;
        }
        let app =
            |it: &mut Self| Requirement::one_of("app", [it.word(&["a", "b", "not a label!"])]);
        let namespaces = self.some(2, |it| it.word(&["", "x", "y"]));
        Who::Labels { all: self.some(2, app), namespaces }
    }

    fn domain(&mut self) -> String {
        self.word(&["rack", ZONE, NODE])
    }

    fn constraints(&mut self) -> Constraints {
        let effects = [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute];
        Constraints {
            tolerations: self.some(2, |it| Toleration {
                key: (!it.one_in(3)).then(|| it.word(&["k", "l"])),
                value: it.one_in(2).then(|| it.word(&["", "v"])),
                effect: it.one_in(2).then(|| effects[it.below(3) as usize]),
            }),
            any_of: self.some(3, |it| it.some(3, Self::test)),
            prefers: self.some(3, |it| Preference {
                weight: 1 + it.below(100) as i32,
                all: it.some(2, Self::test),
            }),
            affinity: self.some(3, |it| Affinity {
                side: [Side::Near, Side::Apart][it.below(2) as usize],
                strength: match it.below(2) {
                    0 => Strength::Hard,
                    _ => Strength::Soft(1 + it.below(100) as i32),
                },
                domain: it.domain(),
                who: it.who(),
            }),
            spread: self.some(3, |it| Spread {
                domain: it.domain(),
                skew_max: 1 + it.below(2) as u32,
                domains_min: it.below(4) as u32,
                is_hard: it.one_in(2),
                who: it.who(),
            }),
            limits: self.some(2, |it| Limit { domain: LIMITED.to_owned(), max: 2, who: it.who() }),
        }
    }

    fn definition(&mut self) -> TaskDefinition {
        TaskDefinition {
            namespace: self.word(&["", "x"]),
            labels: vec![("app".to_owned(), self.word(&["a", "b", "not a label!"]))],
            constraints: Box::new(self.constraints()),
            ..TaskDefinition::single("d", wants(self.below(1 << 30)))
        }
    }

    fn taint(&mut self) -> Taint {
        let effects = [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute];
        let effect = effects[self.below(3) as usize];
        Taint { key: self.word(&["k", "l"]), value: self.word(&["", "v"]), effect }
    }

    fn image(&mut self) -> Image {
        Image { names: vec![self.word(&["i", "j:1"])], size: Bytes::from_gib(self.below(3)) }
    }
}

fn live(
    steps: &[Step],
    scheduler: Box<dyn Scheduler>,
    unfit: Unfit,
    says_much: bool,
    priorities: usize,
) -> Manager {
    let mut manager = Manager::new(Rules { unfit, ..Rules::default() }, scheduler);
    let (mut actions, mut tasks) = (Vec::new(), 0);
    for (at, &(what, which, amount)) in steps.iter().enumerate() {
        let now = Instant(1 + at as u64);
        let joined = manager.state().nodes().len();
        let task = TaskId(which as u64 % u64::max(tasks, 1));
        let attempt = manager.state().task(task).map_or(0, |it| it.attempts);
        let mut handle = |event| manager.handle(now, event, &mut actions);
        let node = NodeId((which % joined.max(1)) as u32);
        match what {
            0..2 => {
                let rack = ["1", "2", "no label!"].get(which % 4).map(|it| it.to_string());
                let mut draw = Draw(amount);
                let rare = if says_much && draw.one_in(3) { 2 } else { 1 };
                let spec = NodeSpec {
                    name: format!("node-{joined}"),
                    zone: ["a", "b", ""][which % 3].to_owned(),
                    capacity: capacity(amount),
                    attributes: rack.map(|it| ("rack".to_owned(), it)).into_iter().collect(),
                    taints: draw.some(rare, Draw::taint),
                    images: draw.some(rare, Draw::image),
                    ..NodeSpec::default()
                };
                let event = NodeEvent::Joined(Box::new(spec));
                handle(Event::Node { node: NodeId(joined as u32), event });
            }
            2..9 => {
                let definition = DefinitionId(tasks as u32);
                let spec = match says_much && tasks > 2 {
                    true => Draw(amount).definition(),
                    false => TaskDefinition::single("d", wants(amount)),
                };
                handle(Event::DefinitionPut { definition, spec });
                let kind = [TaskKind::Job, TaskKind::Service][which % 2];
                let priority = (which % priorities) as i32;
                let submission = submission(tasks, Some((which % 3) as u32), kind);
                let submission = Submission { priority, ..submission };
                tasks += 1;
                handle(match what {
                    8 if joined > 0 => Event::TaskAdopted { submission, node },
                    _ => Event::TaskSubmitted(submission),
                });
            }
            9..11 => {
                let report = Report::Exited { code: 0 };
                handle(Event::TaskReported { task, attempt, report });
            }
            11 => handle(Event::TaskCancelled { task }),
            _ if joined == 0 => {}
            12 => handle(Event::Node { node, event: NodeEvent::Lost }),
            13 => handle(Event::Node { node, event: NodeEvent::Returned }),
            14 => handle(Event::Node { node, event: NodeEvent::Draining }),
            15 => handle(Event::Node { node, event: NodeEvent::Updated(capacity(amount)) }),
            16 => handle(Event::NodeReported { node, report: NodeReport::Unreachable }),
            _ => handle(Event::NodeReported { node, report: NodeReport::Reachable }),
        }
        if amount % 4 > 0 {
            let before = actions.len();
            manager.decide(now, &mut actions);
            manager.state().audit().unwrap();
            if matches!(unfit, Unfit::WaitAndLetPass | Unfit::WaitAtHead) {
                assert_evictions(manager.state(), &actions[before..]);
            }
        }
    }
    manager
}

/// Who is evicted made room for somebody more important, and waits or runs elsewhere.
#[track_caller]
fn assert_evictions(state: &State, actions: &[Action]) {
    let priority = |task| state.task(task).map(|it| it.priority);
    for action in actions {
        let Action::Stop { task, node, reason: StopReason::Evicted, .. } = action else { continue };
        assert!(priority(*task).is_some(), "{task} is gone");
        let came = |it: &Action| match it {
            Action::Start { task: other, node: there, .. } => {
                there == node && priority(*other) > priority(*task)
            }
            _ => false,
        };
        assert!(actions.iter().any(came), "{task} left {node} for nobody");
    }
}

/// The scheduler, whose sheets are held against the book whenever somebody waits.
struct Compared(Kubernetes);

impl Scheduler for Compared {
    fn observe(&mut self, changes: &[Change], state: &State) {
        self.0.observe(changes, state);
    }

    fn wants_every_instant(&self) -> bool {
        self.0.wants_every_instant()
    }

    fn makes_room(&self) -> bool {
        self.0.makes_room()
    }

    fn decide(&mut self, desk: &mut Desk<'_>) {
        for _ in 0..2 {
            self.0.catch_up(desk.state());
            for task in desk.pending() {
                self.0.assert_sheets_agree(task, desk);
            }
            self.0.decide(desk);
        }
    }
}

/// A scheduler that is replaced by its own memory before every decision and whenever it was told something.
struct Forgetful(Kubernetes);

impl Forgetful {
    fn forget(&mut self) {
        let mut anew = Kubernetes::new(&CARD, Profile::default(), true, 4, 9);
        anew.recall(&self.0.memory()).unwrap();
        self.0 = anew;
    }
}

impl Scheduler for Forgetful {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        self.forget();
        self.0.decide(desk);
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.0.observe(changes, state);
        self.forget();
    }

    fn wants_every_instant(&self) -> bool {
        self.0.wants_every_instant()
    }

    fn makes_room(&self) -> bool {
        self.0.makes_room()
    }

    fn memory(&self) -> Vec<u8> {
        self.0.memory()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_mirror_shows_what_is(
        steps in prop::collection::vec((0..18u8, any::<usize>(), any::<u64>()), 1..80),
        packs in any::<bool>(),
        pods_max in 1..9i64,
        says_much in any::<bool>(),
        priorities in 1..5usize,
    ) {
        let strategy = if packs { Strategy::MostAllocated } else { Strategy::LeastAllocated };
        let profile = Profile { strategy, ..Profile::default() };
        let scheduler = Watched(Kubernetes::new(&CARD, profile, true, pods_max, 1));
        live(&steps, Box::new(scheduler), Unfit::default(), says_much, priorities);
    }

    /// On many nodes, of which not all are looked at.
    #[test]
    fn sheets_choose_by_the_book(
        nodes in prop::collection::vec((0..2u8, any::<usize>(), any::<u64>()), 0..220),
        steps in prop::collection::vec((2..16u8, any::<usize>(), any::<u64>()), 1..80),
        profile in 0..5usize,
        percentage_of_nodes_to_score in prop::sample::select(vec![0, 0, 5, 60, 100]),
        pods_max in 1..5i64,
        preempts in any::<bool>(),
    ) {
        let profile = match profile {
            0 => Profile::default(),
            1 => Profile { strategy: Strategy::MostAllocated, ..Profile::default() },
            2 => Profile { release: Release::V1_23, ..Profile::default() },
            3 => Profile::gke_optimize_utilization(),
            _ => Profile::default().without(Score::PodTopologySpread),
        };
        let profile = Profile { percentage_of_nodes_to_score, ..profile };
        let steps = [nodes, steps].concat();
        let scheduler = Compared(Kubernetes::new(&CARD, profile, preempts, pods_max, 1));
        live(&steps, Box::new(scheduler), Unfit::default(), false, 3);
    }

    #[test]
    fn who_makes_room_follows_from_the_memory(
        steps in prop::collection::vec((0..18u8, any::<usize>(), any::<u64>()), 1..80),
        rule in 0..4usize,
        says_much in any::<bool>(),
    ) {
        let retry = Unfit::Retry { first: Span(2), max: Span(8), factor_permille: 2000, tries: 4 };
        let rule = [Unfit::WaitAndLetPass, Unfit::WaitAtHead, Unfit::Drop, retry][rule];
        let [kept, inner] =
            [1, 1].map(|seed| Kubernetes::new(&CARD, Profile::default(), true, 4, seed));
        let forgetful = Forgetful(inner);
        let kept = live(&steps, Box::new(kept), rule, says_much, 4);
        let forgot = live(&steps, Box::new(forgetful), rule, says_much, 4);
        prop_assert_eq!(kept.fingerprint(), forgot.fingerprint());
        prop_assert_eq!(kept.snapshot(), forgot.snapshot());
    }
}
