//! `bayplan place` and `simulate --explain`: decisions explained, and why not elsewhere.

use crate::binary::{bayplan, put, succeed};
use serde_json::Value;
use std::path::Path;

/// Six nodes in three zones, and one more web server.
const SHOP: &str = include_str!("../../../docs/shop.json");

fn place(scenario: &str, args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "s.json", scenario);
    let mut all = vec!["place", "s.json"];
    all.extend(args);
    succeed(dir.path(), &all).out
}

fn json(scenario: &str, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    serde_json::from_str(&place(scenario, &args)).unwrap()
}

#[test]
fn ecs_says_its_chain() {
    insta::assert_snapshot!(place(SHOP, &["--policy", "ecs"]), @r"
    web-3 goes to n2 (ecs, seed 1)

     node          spread(attribute:ecs.availability-zone)  spread(instanceId)
     n2    chosen  1 task                                   0 tasks
     n1            1 task                                   1 task
     n3            1 task                                   1 task

    3 nodes rejected:
     rejected  by      because
     n4        memory  1 GiB short: wants 2 GiB, 1 GiB free
     n6        status  draining
     n5        taint   batch:NoSchedule is not tolerated
    ");
}

#[test]
fn kubernetes_says_who_has_to_leave() {
    let scenario = r#"{
        "nodes": [{"name": "n1", "cpu_cores": 4}, {"name": "n2", "cpu_cores": 4}],
        "definitions": {
            "batch": {"containers": [{"cpu_cores": 2}]}, "web": {"containers": [{"cpu_cores": 3}]}
        },
        "tasks": [
            {"name": "b1", "definition": "batch", "on": "n1"},
            {"name": "b2", "definition": "batch", "on": "n1"},
            {"name": "w1", "definition": "web", "on": "n2"}
        ],
        "place": {"name": "w2", "definition": "web", "priority": 5}
    }"#;
    // One leaves from n2, two would have to from n1.
    insta::assert_snapshot!(place(scenario, &["--policy", "kubernetes"]), @r"
    w2 goes to n2, where others leave for it (kubernetes, seed 1)

    2 nodes rejected:
     rejected  by                because
     n1        NodeResourcesFit  Insufficient cpu; 3 cpu short: wants 3 cpu, 0 cpu free
     n2        NodeResourcesFit  Insufficient cpu; 2 cpu short: wants 3 cpu, 1 cpu free

    Note: w1 goes back to the queue, so that there is room on n2.
    ");
    assert_eq!(json(scenario, &["--policy", "gke"])["decisions"][0]["outcome"], "makes_room");
    let off = place(scenario, &["--policy", "kubernetes:preemption=off"]);
    assert!(off.starts_with("w2 is not placed: it fits nowhere"), "{off}");
}

#[test]
fn mesos_says_whose_turn_it_is() {
    insta::assert_snapshot!(place(SHOP, &["--policy", "mesos-drf"]), @r"
    web-3 goes to n1 (mesos-drf, seed 1)
    3 nodes are equally good: n1, n2, n3; decides: a draw by the seed

     node
     n1    chosen
     n2    tied
     n3    tied

    3 nodes rejected:
     rejected  by      because
     n4        memory  1 GiB short: wants 2 GiB, 1 GiB free
     n6        status  draining
     n5        taint   batch:NoSchedule is not tolerated

    Note: frameworks of role * with tasks that wait, the one furthest behind first: group-0000000000@* 2.7 % of memory.

    Note: agents are looked at in random order, and the first offer with room is used.
    ");
}

#[test]
fn marathon_says_which_constraint_an_offer_fails() {
    let policy = "marathon:constraint(@zone,UNIQUE)";
    insta::assert_snapshot!(place(SHOP, &["--policy", policy]), @r#"
    web-3 is not placed: it fits somewhere, but the policy takes no such node (marathon:constraint(@zone,UNIQUE), seed 1)

    6 nodes rejected:
     rejected  by            because
     n1        @zone:UNIQUE  an instance has "a"
     n2        @zone:UNIQUE  an instance has "a"
     n3        @zone:UNIQUE  an instance has "b"
     n4        memory        1 GiB short: wants 2 GiB, 1 GiB free
     n6        status        draining
     n5        taint         batch:NoSchedule is not tolerated

    Note: frameworks of role * with tasks that wait, the one furthest behind first: all@* 18.8 % of cpus.
    "#);
}

#[test]
fn kubernetes_says_its_filters_and_plugins() {
    insta::assert_snapshot!(place(SHOP, &["--policy", "kubernetes"]), @r"
    web-3 goes to n2 (kubernetes, seed 1)

     node          total  NodeResourcesFit  PodTopologySpread  NodeResourcesBalancedAllocation
     n2    chosen  387    87 → 87 × 1 = 87  7 → 100 × 2 = 200  100 → 100 × 1 = 100
     n1            329    75 → 75 × 1 = 75  9 → 77 × 2 = 154   100 → 100 × 1 = 100
     n3            316    62 → 62 × 1 = 62  9 → 77 × 2 = 154   100 → 100 × 1 = 100

    3 nodes rejected:
     rejected  by                 because
     n4        NodeResourcesFit   Insufficient memory; 1 GiB short: wants 2 GiB, 1 GiB free
     n6        NodeUnschedulable  node(s) were unschedulable
     n5        TaintToleration    node(s) had untolerated taint(s)
    ");
}

#[test]
fn swarm_says_its_weights() {
    insta::assert_snapshot!(place(SHOP, &["--policy", "swarm-binpack"]), @r"
    web-3 goes to n3 (swarm-binpack, seed 1)

     node          weight  cpu percent  memory percent  health           containers
     n3    chosen  1072    37           35              100 × 10 = 1000  2
     n1            1048    25           23              100 × 10 = 1000  1
     n2            1023    12           11              100 × 10 = 1000  0

    3 nodes rejected:
     rejected  by      because
     n4        memory  1 GiB short: wants 2 GiB, 1 GiB free
     n6        status  draining
     n5        taint   batch:NoSchedule is not tolerated
    ");
}

#[test]
fn best_fit_says_what_is_left() {
    insta::assert_snapshot!(place(SHOP, &["--policy", "best-fit:memory", "--why-not", "n3"]), @r"
    web-3 goes to n1 (best-fit:memory, seed 1)

     node          memory left
     n1    chosen  12 GiB
     n2            14 GiB
     n3            20 GiB

    3 nodes rejected:
     rejected  by      because
     n4        memory  1 GiB short: wants 2 GiB, 1 GiB free
     n6        status  draining
     n5        taint   batch:NoSchedule is not tolerated

    Why not n3? It would do, but n1 is better.
    It would go there with
      8193 MiB less free memory on n3
    ");
}

/// The changes that bring the task to a node, and how the node stands.
#[track_caller]
fn why_not(scenario: &str, policy: &str, node: &str, standing: &str, wants: &[&str]) {
    let document = json(scenario, &["--policy", policy, "--why-not", node]);
    let said = &document["decisions"][0]["why_not"];
    assert_eq!(said["standing"], standing, "{said}");
    let changes = said["changes"].as_array().unwrap();
    let text = |it: &Value| {
        let only = match it["brings"].as_str().unwrap() {
            "chosen" => String::new(),
            it => format!(" ({it})"),
        };
        format!("{}{only}", it["text"].as_str().unwrap())
    };
    let got: Vec<String> = changes.iter().map(text).collect();
    assert_eq!(got, wants, "{policy}: why not {node}?");
}

/// Nodes as `name: fields`, one task of a core and 4 GiB to place.
fn small(nodes: &[&str], rest: &str) -> String {
    let nodes: Vec<String> = nodes.iter().map(|it| format!("{{{it}}}")).collect();
    format!(
        r#"{{"nodes": [{}], "definitions": {{"web": {{"containers":
            [{{"cpu_cores": 1, "memory_gib": 4}}]}}}}, {rest}
            "place": {{"name": "w", "definition": "web"}}}}"#,
        nodes.join(", ")
    )
}

#[test]
fn the_smallest_change_is_named_and_works() {
    let node = |name: &str, more: &str| format!(r#""name": "{name}", "cpu_cores": 4, {more}"#);
    let short = small(&[&node("a", r#""memory_gib": 8"#), &node("b", r#""memory_gib": 3.5"#)], "");
    why_not(&short, "worst-fit:memory", "a", "chosen", &[]);
    why_not(
        &short,
        "best-fit:memory",
        "b",
        "rejected",
        &["0.5 GiB more free memory on b", "0.5 GiB less memory asked for by the task"],
    );
    // A policy that spreads wants more left than on the other.
    why_not(&short, "worst-fit:memory", "b", "rejected", &["4609 MiB more free memory on b"]);
    let wants = [
        "0.5 GiB more free memory on b (tied)",
        "0.5 GiB less memory asked for by the task (tied)",
    ];
    why_not(&short, "mesos-drf", "b", "rejected", &wants);
    let drained = small(
        &[&node("a", r#""memory_gib": 8"#), &node("b", r#""memory_gib": 6, "status": "draining""#)],
        "",
    );
    why_not(&drained, "best-fit:memory", "b", "rejected", &["b taking tasks again"]);
    let tainted = small(
        &[
            &node("a", r#""memory_gib": 8"#),
            &node("b", r#""memory_gib": 6, "taints": ["x:NoSchedule"]"#),
        ],
        "",
    );
    why_not(
        &tainted,
        "best-fit:memory",
        "b",
        "rejected",
        &["taint x:NoSchedule gone from b", "taint x:NoSchedule tolerated by the task"],
    );
    let full = small(
        &[&node("a", r#""memory_gib": 8"#), &node("b", r#""memory_gib": 6"#)],
        r#""tasks": [{"name": "old", "definition": "web", "on": "b"}],"#,
    );
    why_not(
        &full,
        "best-fit:memory",
        "b",
        "rejected",
        &[
            "old gone from b",
            "2 GiB more free memory on b",
            "2 GiB less memory asked for by the task",
        ],
    );
}

#[test]
fn the_draw_is_said_and_what_cannot_be_is_said_too() {
    let alike = [
        r#""name": "a", "cpu_cores": 4, "memory_gib": 8"#,
        r#""name": "b", "cpu_cores": 4, "memory_gib": 8"#,
    ];
    let scenario = small(&alike, "");
    let chosen = json(&scenario, &["--policy", "random"])["decisions"][0]["node"].clone();
    let other = if chosen == "a" { "b" } else { "a" };
    why_not(&scenario, "random", other, "tied", &[]);
    let text = place(&scenario, &["--policy", "random", "--why-not", other]);
    assert!(text.contains("what decided is a draw by the seed"), "{text}");
    assert!(text.contains("No single change would bring the task there for certain"), "{text}");
    why_not(&scenario, "first-fit", "b", "not_looked_at", &[]);
    // What fits on the node still goes elsewhere, for the sake of zones.
    let fits = [
        "cache-1 gone from n4 (allowed)",
        "1 GiB more free memory on n4 (allowed)",
        "1 GiB less memory asked for by the task (allowed)",
    ];
    why_not(SHOP, "kubernetes", "n4", "rejected", &fits);
    why_not(SHOP, "kubernetes", "n1", "beaten", &["web-1 gone from n1 (tied)"]);
}

#[test]
fn machines_get_every_node_once_and_the_real_terms() {
    let document = json(SHOP, &["--policy", "kubernetes"]);
    assert_eq!(document["form"], "bayplan-place/1");
    let decision = &document["decisions"][0];
    let nodes = decision["nodes"].as_array().unwrap();
    let names: Vec<&str> = nodes.iter().map(|it| it["node"].as_str().unwrap()).collect();
    assert_eq!(names, ["n1", "n2", "n3", "n4", "n5", "n6"]);
    assert_eq!(nodes[3]["verdict"], "rejected");
    assert_eq!(nodes[3]["by"][0]["filter"], "NodeResourcesFit");
    let short = &nodes[3]["by"][0]["short"][0];
    assert_eq!((&short["resource"], &short["short"]), (&"memory".into(), &(1u64 << 30).into()));
    let total: i64 = nodes[0]["terms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["weighted"].as_i64().unwrap())
        .sum();
    assert_eq!(nodes[0]["key"][0], total);
    assert!(decision["tied"].as_array().unwrap().contains(&decision["node"]));
    let csv = place(SHOP, &["--policy", "kubernetes", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 7, "{csv}");
}

#[test]
fn a_task_that_fits_nowhere_is_an_answer() {
    let scenario = small(&[r#""name": "a", "cpu_cores": 4, "memory_gib": 2"#], "");
    let text = place(&scenario, &["--policy", "best-fit"]);
    assert!(text.starts_with("w is not placed: it fits nowhere (best-fit, seed 1)"), "{text}");
    assert!(text.contains("2 GiB short: wants 4 GiB, 2 GiB free"), "{text}");
    assert_eq!(json(&scenario, &[])["decisions"][0]["outcome"], "fits_nowhere");
}

#[test]
fn every_policy_answers() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "s.json", SHOP);
    for entry in schedulers::ALL {
        let args = ["place", "s.json", "--policy", entry.card.name, "--why-not", "n6", "--json"];
        let document: Value = serde_json::from_str(&succeed(dir.path(), &args).out).unwrap();
        let decision = &document["decisions"][0];
        assert_eq!(decision["nodes"].as_array().unwrap().len(), 6, "{}", entry.card.name);
        assert_eq!(decision["why_not"]["standing"], "rejected", "{}", entry.card.name);
    }
}

#[test]
fn tasks_before_it_in_the_queue_are_placed_first() {
    let node = |name: &str| format!(r#""name": "{name}", "cpu_cores": 4, "memory_gib": 4"#);
    let waits = r#""tasks": [{"name": "first", "definition": "web"}],"#;
    let scenario = small(&[&node("a"), &node("b")], waits);
    let of = |task: &[&str]| {
        let args: Vec<&str> = ["--policy", "first-fit"].iter().chain(task).copied().collect();
        json(&scenario, &args)["decisions"][0]["node"].clone()
    };
    assert_eq!(of(&[]), "b");
    assert_eq!(of(&["--task", "first"]), "a");
}

#[track_caller]
fn refuses(dir: &Path, args: &[&str], wants: &[&str]) {
    let answer = bayplan(dir, args);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{args:?}: {}", answer.err);
    let text = answer.err.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    for want in wants {
        assert!(text.contains(want), "{args:?} should say {want:?}:\n{}", answer.err);
    }
}

#[test]
fn bad_input_has_a_place_and_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "s.json", SHOP);
    put(dir.path(), "bad.json", SHOP.replace("\"memory_gib\": 4}", "\"memory_gb\": 4}"));
    put(dir.path(), "none.json", r#"{"nodes": [{"name": "a", "cpu_cores": 1}]}"#);
    refuses(dir.path(), &["place", "bad.json"], &["bad.json:7:", "memory_gb", "memory_gib"]);
    refuses(dir.path(), &["place", "none.json"], &["no task to place", "\"place\""]);
    refuses(dir.path(), &["place", "missing.json"], &["missing.json"]);
    refuses(
        dir.path(),
        &["place", "s.json", "--policy", "kubernets"],
        &["did you mean kubernetes"],
    );
    refuses(
        dir.path(),
        &["place", "s.json", "--why-not", "n66"],
        &["no node \"n66\"", "did you mean n6"],
    );
    refuses(dir.path(), &["place", "s.json", "--task", "web-4"], &["no task \"web-4\"", "web-3"]);
    refuses(dir.path(), &["place", "s.json", "--task", "web-1"], &["web-1 runs already"]);
    refuses(dir.path(), &["place"], &["SCENARIO.json"]);
    let schema: Value =
        serde_json::from_str(&succeed(dir.path(), &["place", "--schema"]).out).unwrap();
    assert_eq!(schema["title"], "Bayplan scenario");
}

#[test]
fn a_task_of_a_run_is_explained_where_its_decision_falls() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("t")).unwrap();
    put(dir.path(), "t/nodes.csv", "name,zone,cpu_cores,mem_gib\nn1,a,4,16\nn2,b,4,16\n");
    put(
        dir.path(),
        "t/tasks.csv",
        "id,arrival_s,cpu_cores,mem_gib,duration_s\none,0,2,4,60\ntwo,1,2,4,60\nthree,1,3,4,60\n",
    );
    let args = ["simulate", "--trace", "t", "--policy", "best-fit", "--out", "o", "--no-figures"];
    let plain = succeed(dir.path(), &args);
    let mut explained = args.to_vec();
    explained.extend(["--explain", "three", "--explain", "t0"]);
    let answer = succeed(dir.path(), &explained);
    assert!(answer.out.contains("three goes to n2 (best-fit, seed 1)"), "{}", answer.out);
    assert!(answer.out.contains("3 cpu, 0 cpu free"), "{}", answer.out);
    assert!(plain.out.lines().next() == answer.out.lines().next());
    let text = std::fs::read_to_string(dir.path().join("o/explain.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["decisions"][0]["at_us"], 1_000_000);
    assert_eq!(document["decisions"][0]["nodes"][0]["by"][0]["filter"], "cpu");
    assert_eq!(document["decisions"][1]["task"], "t0");
    let mut unknown = args.to_vec();
    unknown.extend(["--explain", "thre"]);
    refuses(dir.path(), &unknown, &["no task \"thre\"", "did you mean three"]);
}
