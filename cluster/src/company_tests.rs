//! Rules about other tasks and taints, one table each.

use crate::company::Company;
use crate::constraint::{
    Affinity, Constraints, Effect, Limit, Requirement, Side, Spread, Strength, Taint, Test,
    Toleration, Who,
};
use crate::demand::{Amounts, Demand, TaskDefinition};
use crate::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use crate::ids::{DefinitionId, GroupId, NodeId, TaskId};
use crate::manager::Manager;
use crate::nodes::{NODE, NodeCapacity, NodeSpec, ZONE};
use crate::rules::Rules;
use crate::scheduler::{Desk, Scheduler};
use crate::units::{Bytes, Instant, MilliCpu};

struct Idle;

impl Scheduler for Idle {
    fn decide(&mut self, _: &mut Desk<'_>) {}
}

/// Five nodes: `n0` and `n1` in zone a, `n2` and `n3` in b, `n4` in c without the label `rack` that the others have
/// (0, 1, 0, 1), and with a taint.
struct Rig(Manager, u64);

impl Rig {
    fn new() -> Self {
        let mut rig = Self(Manager::new(Rules::default(), Box::new(Idle)), 0);
        for (row, zone) in ["a", "a", "b", "b", "c"].into_iter().enumerate() {
            let amounts =
                Amounts { cpu: MilliCpu(4000), memory: Bytes::from_gib(4), disk: Bytes(0) };
            let taint =
                Taint { key: "gpu".into(), value: String::new(), effect: Effect::NoSchedule };
            let spec = NodeSpec {
                name: format!("n{row}"),
                zone: zone.into(),
                capacity: NodeCapacity { amounts, gpus: vec![] },
                attributes: match row {
                    4 => vec![],
                    _ => vec![("rack".into(), (row % 2).to_string())],
                },
                taints: if row == 4 { vec![taint] } else { vec![] },
                ..NodeSpec::default()
            };
            let event = NodeEvent::Joined(Box::new(spec));
            rig.tell(Event::Node { node: NodeId(row as u32), event });
        }
        rig
    }

    fn tell(&mut self, event: Event) {
        self.0.handle(Instant(0), event, &mut Vec::new());
        self.0.state().audit().unwrap();
    }

    /// `app`, then `@group`; on a node, or waiting.
    fn task(&mut self, text: &str, constraints: Constraints, node: Option<u32>) -> TaskId {
        let (app, group) = text.split_once('@').map_or((text, None), |it| (it.0, Some(it.1)));
        let definition = DefinitionId(self.0.state().definition_count() as u32);
        let spec = TaskDefinition {
            labels: vec![("app".into(), app.into())],
            constraints: Box::new(constraints),
            ..TaskDefinition::single(app, Demand::default())
        };
        self.tell(Event::DefinitionPut { definition, spec });
        let submission = Submission {
            task: TaskId(self.1),
            definition,
            group: group.map(|it| GroupId(it.parse().unwrap())),
            kind: TaskKind::Service,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        };
        self.1 += 1;
        let task = submission.task;
        self.tell(match node {
            Some(node) => Event::TaskAdopted { submission, node: NodeId(node) },
            None => Event::TaskSubmitted(submission),
        });
        task
    }

    /// Which nodes a task may be given, by their numbers.
    fn may(&self, task: TaskId) -> String {
        let state = self.0.state();
        let task = state.task(task).unwrap();
        let company = Company::of(state, task);
        let may = |it: &NodeId| {
            state.nodes().fits(state.shape(task.shape), *it)
                && company.as_ref().is_none_or(|company| company.allows(*it).is_ok())
        };
        state.nodes().ids().filter(may).map(|it| it.0.to_string()).collect()
    }
}

fn app(name: &str) -> Who {
    Who::Labels { all: vec![Requirement::one_of("app", [name.to_owned()])], namespaces: vec![] }
}

fn hard(side: Side, domain: &str, who: Who) -> Constraints {
    let it = Affinity { side, strength: Strength::Hard, domain: domain.into(), who };
    Constraints { affinity: vec![it], ..Constraints::default() }
}

fn spread(domain: &str, skew_max: u32, domains_min: u32, who: Who) -> Constraints {
    let it = Spread { domain: domain.into(), skew_max, domains_min, is_hard: true, who };
    Constraints { spread: vec![it], ..Constraints::default() }
}

fn limit(domain: &str, max: u32, who: Who) -> Constraints {
    let it = Limit { domain: domain.into(), max, who };
    Constraints { limits: vec![it], ..Constraints::default() }
}

/// Where a task of app `web` and group 7 may go when others stand: `db on n0`, `web on n1`, `web of group 7 on n2`.
#[track_caller]
fn may(constraints: Constraints, want: &str) {
    let mut rig = Rig::new();
    for (text, node) in [("db", 0), ("web", 1), ("web@7", 2)] {
        rig.task(text, Constraints::default(), Some(node));
    }
    let task = rig.task("web@7", constraints.clone(), None);
    assert_eq!(rig.may(task), want, "{constraints:?}");
}

#[test]
fn taints_keep_tasks_away() {
    may(Constraints::default(), "0123");
    let tolerations = vec![Toleration { key: Some("gpu".into()), ..Toleration::default() }];
    may(Constraints { tolerations, ..Constraints::default() }, "01234");
}

#[test]
fn one_of_several_lists_must_hold() {
    let is = |name: &str, value: &str| Requirement::one_of(name, [value.to_owned()]);
    let any_of = vec![vec![is(ZONE, "a"), is("rack", "1")], vec![is(NODE, "n2")]];
    may(Constraints { any_of, ..Constraints::default() }, "12");
}

#[test]
fn near_and_apart() {
    may(hard(Side::Near, NODE, app("db")), "0");
    may(hard(Side::Near, ZONE, app("db")), "01");
    may(hard(Side::Near, "rack", app("db")), "02");
    may(hard(Side::Near, ZONE, Who::Group), "23");
    // Nobody is there, and it is not one of them itself.
    may(hard(Side::Near, ZONE, app("cache")), "");
    may(hard(Side::Apart, NODE, app("web")), "03");
    may(hard(Side::Apart, ZONE, app("db")), "23");
    may(hard(Side::Apart, ZONE, Who::Group), "01");
    // Where there is no domain nobody is near, and nobody in the way.
    let tolerations = vec![Toleration::default()];
    let far = Constraints { tolerations, ..hard(Side::Apart, "rack", app("web")) };
    may(far.clone(), "4");
}

#[test]
fn the_first_of_its_kind_may_go_anywhere() {
    let mut rig = Rig::new();
    let near = || hard(Side::Near, "rack", app("web"));
    let task = rig.task("web", near(), None);
    assert_eq!(rig.may(task), "0123");
    rig.task("web", Constraints::default(), Some(3));
    assert_eq!(rig.may(task), "13");
}

#[test]
fn who_is_there_first_may_want_to_be_alone() {
    let mut rig = Rig::new();
    rig.task("db", hard(Side::Apart, ZONE, app("web")), Some(0));
    rig.task("x@7", hard(Side::Apart, NODE, Who::Group), Some(2));
    let web = rig.task("web@7", Constraints::default(), None);
    assert_eq!(rig.may(web), "3");
    let other = rig.task("other", Constraints::default(), None);
    assert_eq!(rig.may(other), "0123");
}

#[test]
fn spread_is_bound_by_the_emptiest() {
    // Web: one in a, one in b; c is out of bounds by its taint, but still a domain.
    may(spread(ZONE, 1, 0, app("web")), "");
    may(spread(ZONE, 2, 0, app("web")), "0123");
    let not_c = vec![vec![Requirement::one_of(ZONE, ["a".to_owned(), "b".to_owned()])]];
    let within = |it| Constraints { any_of: not_c.clone(), ..it };
    may(within(spread(ZONE, 1, 0, app("web"))), "0123");
    may(within(spread(ZONE, 1, 3, app("web"))), "");
    may(within(spread(NODE, 1, 0, app("web"))), "03");
    may(within(spread(ZONE, 1, 0, Who::Group)), "01");
    // It counts itself only if it is one of them.
    may(within(spread(NODE, 1, 0, app("db"))), "0123");
}

#[test]
fn limits_count_the_task_itself() {
    may(limit(NODE, 1, Who::Group), "013");
    may(limit(ZONE, 1, app("web")), "");
    may(limit(ZONE, 2, app("web")), "0123");
    may(limit("rack", 1, Who::Group), "13");
}

#[test]
fn placements_after_the_first_rule_are_counted_too() {
    let mut rig = Rig::new();
    let first = rig.task("web@7", Constraints::default(), Some(0));
    let one = rig.task("web@7", limit(NODE, 1, app("web")), None);
    assert_eq!(rig.may(one), "123");
    rig.task("web@8", Constraints::default(), Some(1));
    assert_eq!(rig.may(one), "23");
    rig.tell(Event::TaskCancelled { task: first });
    assert_eq!(rig.may(one), "023");
}

/// A rig with a sixth node that has no zone and no rack.
fn with_a_node_nowhere() -> Rig {
    let mut rig = Rig::new();
    let amounts = Amounts { cpu: MilliCpu(4000), memory: Bytes::from_gib(4), disk: Bytes(0) };
    let capacity = NodeCapacity { amounts, gpus: vec![] };
    let spec = NodeSpec { name: "n5".into(), capacity, ..NodeSpec::default() };
    rig.tell(Event::Node { node: NodeId(5), event: NodeEvent::Joined(Box::new(spec)) });
    rig
}

#[test]
fn a_node_without_a_zone_is_in_none() {
    for (constraints, want) in [
        (hard(Side::Near, ZONE, app("web")), "0123"),
        (hard(Side::Apart, ZONE, app("web")), "01235"),
        (limit(ZONE, 1, app("web")), "0123"),
        (spread(ZONE, 1, 0, app("web")), "0123"),
    ] {
        let mut rig = with_a_node_nowhere();
        rig.task("web", Constraints::default(), Some(5));
        let task = rig.task("web", constraints.clone(), None);
        assert_eq!(rig.may(task), want, "{constraints:?}");
    }
}

#[test]
fn spread_counts_where_the_task_may_be() {
    // Two in a, but one of them on a node that the task's own tests rule out.
    let not_1 = vec![vec![Requirement::one_of(NODE, ["n0", "n2", "n3"].map(str::to_owned))]];
    for (any_of, want) in [(vec![], "23"), (not_1, "023")] {
        let mut rig = Rig::new();
        for node in [0, 1, 2] {
            rig.task("web", Constraints::default(), Some(node));
        }
        let within = Requirement { attribute: "rack".into(), test: Test::Exists };
        let any_of = if any_of.is_empty() { vec![vec![within]] } else { any_of };
        let task = rig.task("web", Constraints { any_of, ..spread(ZONE, 1, 0, app("web")) }, None);
        assert_eq!(rig.may(task), want);
    }
    // A rule about everybody counts nobody.
    let mut rig = Rig::new();
    rig.task("web", Constraints::default(), Some(0));
    let all = Who::Labels { all: vec![], namespaces: vec![] };
    let task = rig.task("web", spread(NODE, 1, 0, all), None);
    assert_eq!(rig.may(task), "0123");
}
