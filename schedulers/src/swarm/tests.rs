use super::*;
use crate::swarm::explain::{Explanation, Verdict};
use crate::swarm::expression::Expressions;
use crate::swarm::model::Container;
use crate::swarm::strategy::NoRoom;
use std::sync::Arc;

/// `cpus/bytes`, then `!health`, then `:` and the containers on it, each `cpus/bytes`, with commas.
pub(super) fn node(text: &str) -> Node {
    let (engine, containers) = text.split_once(':').unwrap_or((text, ""));
    let (size, health) = engine.split_once('!').unwrap_or((engine, "100"));
    let amounts = |text: &str| -> (i64, i64) {
        let (cpus, bytes) = text.split_once('/').unwrap();
        (cpus.parse().unwrap(), bytes.parse().unwrap())
    };
    let (total_cpus, total_memory_bytes) = amounts(size);
    let health = health.parse().unwrap();
    let mut node = Node { total_cpus, total_memory_bytes, health, ..Node::default() };
    for container in containers.split_terminator(',') {
        let (cpus, memory_bytes) = amounts(container);
        let request = Request { cpus, memory_bytes, ..Request::default() };
        node.add(Container { request: Arc::new(request), ..Container::default() });
    }
    node
}

fn labelled(text: &str, group: &str) -> Node {
    Node { labels: [("group".to_owned(), group.to_owned())].into(), ..node(text) }
}

fn constrained(cpus: i64, constraints: &[&str]) -> Request {
    Request { cpus, constraints: Expressions::read(constraints), ..Request::default() }
}

fn decide(request: &Request, nodes: &[Node]) -> Result<Vec<usize>, String> {
    let scheduler = Scheduler::default();
    let mut best = Vec::new();
    match scheduler.decide(request, nodes, &mut best, &mut ()) {
        Ok(()) => Ok(best),
        Err(why) => Err(scheduler.text(why, request)),
    }
}

#[test]
fn soft_expressions_are_given_up_when_the_strategy_finds_no_room() {
    let nodes = [labelled("1/9", "1"), labelled("2/9", "2")];
    assert_eq!(decide(&constrained(1, &["group==~1"]), &nodes), Ok(vec![0]));
    assert_eq!(decide(&constrained(2, &["group==~1"]), &nodes), Ok(vec![1]));
    let why = "no resources available to schedule container";
    assert_eq!(decide(&constrained(2, &["group==1"]), &nodes), Err(why.to_owned()));
}

#[test]
fn all_soft_expressions_are_given_up_together() {
    let nodes = [labelled("9/9", "1"), labelled("9/9", "2")];
    assert_eq!(decide(&constrained(0, &["group==~2", "node==~x"]), &nodes), Ok(vec![0, 1]));
}

#[test]
fn a_failure_lists_all_conditions_so_far() {
    let request = Request {
        affinities: Expressions::read(["container==~web", "tier!=back"]),
        constraints: Expressions::read(["group==3", "node!=~a"]),
        whitelists: Expressions::read(["node==z"]),
        links: vec!["db:data".to_owned()],
        ..Request::default()
    };
    let mut there = labelled("9/9", "1");
    there.add(Container { id: "db".to_owned(), ..Container::default() });
    let text = "Unable to find a node that satisfies the following conditions ";
    assert_eq!(
        decide(&request, &[there]),
        Err(format!(
            "{text}\n[free slots]\n[--link=db:data]\n\
             [container==web (soft=true) tier!=back (soft=false)]\n[group==3 node!=a]"
        ))
    );
    // A list that cannot be read is not shown.
    let nodes = [node("9/9")];
    assert_eq!(decide(&constrained(0, &["x"]), &nodes), Err(format!("{text}\n[free slots]")));
}

#[test]
fn an_empty_cluster_fails_at_the_first_filter_that_minds() {
    assert_eq!(
        decide(&Request::default(), &[]),
        Err("No healthy node available in the cluster".to_owned())
    );
    for (filters, constraints, want) in [
        (vec![], vec![], Failure::NoNodes),
        (vec![Filter::Dependency, Filter::Constraint], vec![], Failure::NoNodes),
        (vec![Filter::Port, Filter::Constraint], vec!["aa==b"], Failure::Filtered { at: 1 }),
        (vec![Filter::Constraint], vec!["aa==~b"], Failure::NoNodes),
        (vec![Filter::ContainerSlots], vec![], Failure::Filtered { at: 0 }),
    ] {
        let scheduler = Scheduler { filters, ..Scheduler::default() };
        let request = constrained(0, &constraints);
        let got = scheduler.decide(&request, &[], &mut Vec::new(), &mut ());
        assert_eq!(got, Err(want), "{scheduler:?}");
    }
}

#[test]
fn an_explanation_says_what_became_of_each_node() {
    let nodes = [node("9/9!0"), labelled("2/9", "1"), labelled("2/9:1/0", "2"), node("1/9")];
    let request = constrained(2, &["group==~1*", "group!=1"]);
    let mut explanation = Explanation::default();
    let failed = Scheduler::default().decide(&request, &nodes, &mut Vec::new(), &mut explanation);
    assert_eq!(failed, Err(Failure::NoResources));
    let rejected = |filter, why: &str| Verdict::Rejected { filter, why: why.to_owned() };
    let [first, second] = &explanation.passes[..] else { panic!("two passes") };
    assert_eq!((first.soft, second.soft), (Soft::Kept, Soft::Dropped));
    assert_eq!(first.failure, Some(Failure::Filtered { at: 5 }));
    assert_eq!(second.failure, failed.err());
    assert_eq!(
        second.nodes,
        [
            rejected(Filter::Health, "the engine is not healthy"),
            rejected(Filter::Constraint, "group!=1 is not met"),
            Verdict::NoRoom(NoRoom::Full { cpu_percent: 150, memory_percent: 100 }),
            Verdict::NoRoom(NoRoom::TooSmall),
        ]
    );
    assert_eq!(first.nodes[2], rejected(Filter::Constraint, "group==1* is not met"));
}

#[test]
fn sums_follow_what_comes_and_goes() {
    let mut node = node("9/9:1/2,3/4");
    let request = Arc::new(Request { cpus: 5, memory_bytes: 6, ..Request::default() });
    node.add(Container { id: "x".to_owned(), request, ..Container::default() });
    assert_eq!((node.used_cpus(), node.used_memory_bytes()), (9, 12));
    assert!(node.remove("y").is_none());
    assert_eq!(node.remove("x").map(|it| it.id), Some("x".to_owned()));
    assert_eq!((node.used_cpus(), node.used_memory_bytes()), (4, 6));
    node.clear();
    assert_eq!((node.used_cpus(), node.containers().len()), (0, 0));
}
