use crate::swarmkit::explain::{Explanation, Share, equally_good, survey};
use crate::swarmkit::group::{Placed, confirm, schedule};
use crate::swarmkit::model::{Node, Resources, Service, Spec, Spread, State};
use cluster::chance::{Chance, Purpose};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The service whose tasks [`nodes`] have.
pub(super) fn service() -> Spec {
    Spec { service: Service(1), ..Spec::default() }
}

/// Nodes with spaces between: an id, then `=` and how many tasks of [`service`] it has, then labels; ids
/// that begin with `!` are down; `mem` is no label but bytes.
pub(super) fn nodes(text: &str) -> Vec<Node> {
    text.split_whitespace()
        .map(|word| {
            let mut fields = word.split(',');
            let (id, tasks) = {
                let head = fields.next().unwrap();
                head.split_once('=').unwrap_or((head, "0"))
            };
            let mut node = Node { id: id.to_owned(), ..Node::default() };
            if id.starts_with('!') {
                node.state = State::Down;
            }
            for (key, value) in fields.map(|it| it.split_once('=').unwrap()) {
                if key == "mem" {
                    node.available.memory_bytes = value.parse().unwrap();
                } else {
                    node.labels.insert(key.to_owned(), value.to_owned());
                }
            }
            (0..tasks.parse().unwrap()).for_each(|_| node.add(&service(), true));
            node
        })
        .collect()
}

fn over(labels: &[&str]) -> Vec<Spread> {
    labels.iter().map(|it| Spread::NodeLabel((*it).to_owned())).collect()
}

fn in_order(_: &mut [usize]) {}

/// How many of `tasks` each node gets when maps are walked in order, and what the others are told.
#[track_caller]
fn check(nodes_as: &str, spec: &Spec, tasks: usize, want: &str) {
    let mut nodes = nodes(nodes_as);
    let Placed { nodes: placed, refusal } =
        schedule(&mut nodes, spec, tasks, 0, &mut in_order, &mut ());
    let count = |row| placed.iter().filter(|&&it| it == row).count();
    let mut got: Vec<String> = (0..nodes.len()).map(|row| count(row).to_string()).collect();
    got.extend(refusal.map(|it| it.to_string()));
    assert_eq!(got.join(" "), want);
}

#[test]
fn the_first_sweep_never_goes_back() {
    check("a=0 b=1 c=2", &service(), 4, "2 2 0");
    check("a=0 b=1 c=5", &service(), 4, "2 2 0");
    // Among equal nodes the heap puts the second first.
    check("a=0 b=0 c=0", &service(), 7, "2 3 2");
}

#[test]
fn full_nodes_are_passed_over() {
    let spec =
        Spec { reservations: Resources { memory_bytes: 100, ..Resources::default() }, ..service() };
    // The second to fill up is the last one looked at; before, it passed.
    let why = "no suitable node (insufficient resources on 1 node)";
    check("a,mem=250 b,mem=1000", &spec, 5, "2 3");
    check("a,mem=250 b,mem=150", &spec, 5, &format!("2 1 {why}"));
    check(
        "!a b,mem=50",
        &spec,
        1,
        "0 0 no suitable node (1 node not available for new tasks; \
        insufficient resources on 1 node)",
    );
    check("", &spec, 1, "no suitable node");
    check("", &spec, 0, "");
}

#[test]
fn branches_are_made_even_and_then_nodes() {
    let spec = Spec { spread: over(&["az"]), ..service() };
    check("a,az=1 b,az=2 c,az=2 d,az=2 e,az=2", &spec, 8, "4 1 1 1 1");
    check("a=4,az=1 b,az=2", &spec, 4, "0 4");
    // What is short by much is asked for more than there is, and takes all.
    check("a=9,az=1 b,az=2 c,az=3", &spec, 2, "0 2 0");
}

#[test]
fn a_branch_without_room_leaves_its_share_to_the_others() {
    let spec = Spec {
        spread: over(&["r"]),
        reservations: Resources { memory_bytes: 100, ..Resources::default() },
        ..service()
    };
    check("a,r=1,mem=250 b,r=2,mem=1000 c,r=3,mem=150", &spec, 9, "2 6 1");
}

#[test]
fn an_explanation_says_how_a_group_was_split() {
    let spec = Spec { spread: over(&["az"]), ..service() };
    let mut nodes = nodes("a=1,az=1 b,az=2 !c,az=3");
    let mut explanation = Explanation::default();
    let placed = schedule(&mut nodes, &spec, 3, 0, &mut in_order, &mut explanation);
    assert_eq!(placed.nodes, [0, 1, 1]);
    let share = |first_node, had, asked, got| Share { depth: 1, first_node, had, asked, got };
    assert_eq!(
        explanation.shares,
        [share(0, 1, 1, 1), share(1, 0, 1, 1), share(2, 0, 1, 0), share(1, 0, 1, 1)]
    );
    assert_eq!(explanation.visits, [vec![0], vec![1], vec![], vec![1]]);
}

#[test]
fn a_task_of_a_global_service_stays_with_its_node() {
    let mut nodes = nodes("a !b");
    assert_eq!(confirm(&mut nodes[0], &service()), Ok(()));
    assert_eq!(nodes[0].active_tasks, 1);
    let refused = confirm(&mut nodes[1], &service()).unwrap_err();
    assert_eq!(refused.explanation(), "1 node not available for new tasks");
}

fn clusters() -> impl Strategy<Value = Vec<(u32, u8, u8, i64)>> {
    prop::collection::vec((0..4u32, 0..3u8, 0..2u8, 0..4i64), 1..8)
}

fn build(cluster: &[(u32, u8, u8, i64)]) -> Vec<Node> {
    let word = |(at, &(tasks, az, rack, free)): (usize, &(u32, u8, u8, i64))| {
        format!("n{at}={tasks},az={az},rack={rack},mem={free} ")
    };
    nodes(&cluster.iter().enumerate().map(word).collect::<String>())
}

proptest! {
    /// Nothing is placed where it does not fit, nothing is refused while it fits somewhere, and the nodes
    /// count what they were given.
    #[test]
    fn groups_fill_what_there_is(cluster in clusters(), tasks in 0..20usize, labels in 0..3usize, seed: u64) {
        let spec = Spec {
            spread: over(&["az", "rack"][..labels]),
            reservations: Resources { memory_bytes: 1, ..Resources::default() },
            ..service()
        };
        let mut nodes = build(&cluster);
        let mut chance = Chance::new(seed, Purpose::Scheduler, 0);
        let mut order = |it: &mut [usize]| chance.shuffle(it);
        let placed = schedule(&mut nodes, &spec, tasks, 0, &mut order, &mut ());
        for (row, &(before, _, _, free)) in cluster.iter().enumerate() {
            let got = placed.nodes.iter().filter(|&&it| it == row).count();
            prop_assert_eq!(nodes[row].active_tasks as usize, before as usize + got);
            prop_assert_eq!(nodes[row].available.memory_bytes, free - got as i64);
            prop_assert!(nodes[row].available.memory_bytes >= 0);
        }
        prop_assert_eq!(placed.refusal.is_some(), placed.nodes.len() < tasks);
        if labels == 0 {
            let room: i64 = cluster.iter().map(|it| it.3).sum();
            prop_assert_eq!(placed.nodes.len() as i64, room.min(tasks as i64));
        }
    }

    /// Over all orders a single task gets exactly the nodes that are called equally good.
    #[test]
    fn a_single_task_gets_one_of_the_equally_good(cluster in clusters(), labels in 0..3usize) {
        let spec = Spec {
            spread: over(&["az", "rack"][..labels]),
            reservations: Resources { memory_bytes: 1, ..Resources::default() },
            ..service()
        };
        let nodes = build(&cluster);
        let mut chance = Chance::new(1, Purpose::Scheduler, 0);
        let mut seen = BTreeSet::new();
        for _ in 0..400 {
            let mut order = |it: &mut [usize]| chance.shuffle(it);
            seen.extend(schedule(&mut nodes.clone(), &spec, 1, 0, &mut order, &mut ()).nodes);
        }
        let want = equally_good(&survey(&nodes, &spec, 0), labels);
        prop_assert_eq!(seen.into_iter().collect::<Vec<_>>(), want);
    }
}
