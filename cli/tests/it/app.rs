//! ECS app files in the simulator.

use crate::binary::{bayplan, column, put, succeed};
use std::path::Path;

const SHOP: &str = r#"{
  "taskDefinitions": [
    {"family": "web", "containerDefinitions": [
      {"name": "web", "image": "shop/web:1", "cpu": 512, "memory": 512,
       "logConfiguration": {"logDriver": "awslogs"}}]},
    {"family": "batch", "containerDefinitions": [
      {"name": "work", "image": "shop/batch:1", "cpu": 1024, "memory": 1024}]}
  ],
  "services": [{"serviceName": "web", "taskDefinition": "web", "desiredCount": 2}],
  "tasks": [{"taskDefinition": "batch", "count": 3}],
  "lifetimes": {"batch": "25s"},
  "script": [
    {"at": "10s", "updateService": {"service": "web", "desiredCount": 4}},
    {"at": "20s", "drain": {"node": "n1"}},
    {"at": "30s", "runTask": {"taskDefinition": "batch"}},
    {"at": "40s", "activate": {"node": "n1"}}
  ]
}"#;

const NODES: &str = "name,zone,cpu_cores,mem_gib\nn1,a,2,4\nn2,b,2,4\nn3,c,2,4\n";

const HOSTS: &str = r#"
[[host]]
name = "n1"
address = "tcp://192.0.2.1:2375"
zone = "a"
capacity = { cpu = 2, memory = "4GiB" }

[[host]]
name = "n2"
address = "tcp://192.0.2.2:2375"
zone = "b"
capacity = { cpu = 2, memory = "4GiB" }
"#;

fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "shop.json", SHOP);
    put(dir.path(), "nodes.csv", NODES);
    put(dir.path(), "hosts.toml", HOSTS);
    dir
}

/// Bad input: exit code 2 and an error that holds all of `wants`.
#[track_caller]
fn refuses(dir: &Path, args: &[&str], wants: &[&str]) {
    let answer = bayplan(dir, args);
    assert_eq!(answer.code, 2, "{args:?}\n{}{}", answer.out, answer.err);
    let text = answer.err.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    for want in wants {
        assert!(text.contains(want), "{args:?} should say {want:?}:\n{}", answer.err);
    }
}

#[test]
fn an_app_is_simulated_and_its_journal_verified() {
    let dir = shop();
    let args = [
        "simulate",
        "--app",
        "shop.json",
        "--cluster",
        "nodes.csv",
        "--until",
        "2m",
        "--startup",
        "2s",
        "--tasks",
        "--record-journal",
        "--check",
        "--no-figures",
        "--out",
        "o",
    ];
    let answer = succeed(dir.path(), &args);
    let warning =
        "warning: shop.json:5:8: taskDefinitions[0].containerDefinitions[0].logConfiguration";
    assert!(answer.err.contains(warning), "{}", answer.err);
    let table: String =
        answer.out.lines().filter(|it| !it.contains("wrote")).map(|it| format!("{it}\n")).collect();
    insta::assert_snapshot!(table, @r"
    policy  unfinished          cpu           cpu    mean zone
                          allocated    fragmented     exposure
                                [%]           [%]          [%]
    ecs              4         47.2          6.47         49.7

    placements of ecs, seed 1: sha256 da8b00a9a970ba35b25692efe55c46afa50317d66cacda0e9b7c32814e713beb
    ");

    let tasks = dir.path().join("o/tasks.csv");
    let rows: Vec<String> = column(&tasks, "name")
        .into_iter()
        .zip(column(&tasks, "group"))
        .zip(column(&tasks, "node_name"))
        .zip(column(&tasks, "outcome"))
        .map(|(((name, group), node), outcome)| format!("{name} {group} {node} {outcome}"))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    t0 family:batch n1 finished
    t1 family:batch n2 finished
    t2 family:batch n3 finished
    t3 family:batch n2 finished
    r0 service:web n1 stopped
    r1 service:web n2 running
    r2 service:web n3 running
    r3 service:web n1 stopped
    r4 service:web n2 running
    r5 service:web n3 running
    ");

    let answer = succeed(dir.path(), &["replay", "o/journal"]);
    insta::assert_snapshot!(answer.out.split(", fingerprint").next().unwrap(), @"verified: 32 records, 5 of them decisions, over 2.00 min: every action of ecs as recorded");
    let manifest = std::fs::read_to_string(dir.path().join("o/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["trace"]["name"], "shop.json");
    assert_eq!(manifest["inputs"][0]["path"], "shop.json");
    assert_eq!(manifest["inputs"][0]["bytes"], SHOP.len());

    // The same policy, asked what it would have done, does the same.
    let args = ["replay", "o/journal", "-p", "ecs", "--out", "w", "--format", "csv"];
    let csv = succeed(dir.path(), &args).out;
    let rows: Vec<&str> = csv.lines().skip(1).map(|it| it.split_once(",").unwrap().1).collect();
    assert_eq!(rows[0], rows[1]);
}

/// Definition `web` with one container, services and tasks under the constraints in braces.
fn constrained(web: &str, service: &str, task: &str) -> String {
    let constraints = |list: &str| {
        let one = |it: &str| match it {
            "distinctInstance" => "{\"type\": \"distinctInstance\"}".to_owned(),
            it => format!("{{\"type\": \"memberOf\",\n\"expression\": \"{it}\"}}"),
        };
        let list: Vec<String> = list.split(';').filter(|it| !it.is_empty()).map(one).collect();
        format!("\"placementConstraints\": [{}]", list.join(", "))
    };
    format!(
        "{{\"taskDefinitions\": [{{\"family\": \"web\", {}, \"containerDefinitions\": [\
         {{\"name\": \"web\", \"image\": \"web:1\", \"cpu\": 128, \"memory\": 128}}]}}],\
         \"services\": [{{\"serviceName\": \"front\", \"taskDefinition\": \"web\", \"desiredCount\": 3, {}}}],\
         \"tasks\": [{{\"taskDefinition\": \"web\", \"count\": 2, {}}}]}}",
        constraints(web),
        constraints(service),
        constraints(task)
    )
}

/// Four nodes of two zones and three racks, one without.
const RACKS: &str = "name,zone,cpu_cores,mem_gib,label:rack,label:slots\nn1,a,2,4,r1,4\nn2,a,2,4,r2,9.5\n\
                     n3,b,2,4,r10,10\nn4,b,2,4,,\n";

#[test]
fn constraints_of_apps_bind_every_policy() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "nodes.csv", RACKS);
    for (web, service, task, want) in [
        // Both at once, and one a node.
        (
            "attribute:rack exists",
            "distinctInstance",
            "attribute:ecs.availability-zone == b",
            "n1 n2 n3 | n3 n3",
        ),
        // Only two nodes are left for three.
        ("not(attribute:rack == r2)", "attribute:rack exists;distinctInstance", "", "- n1 n3 | *"),
        (
            "attribute:slots > 9.5 or ec2InstanceId == n4",
            "attribute:slots exists",
            "",
            "n3 n3 n3 | *",
        ),
        ("attribute:rack =~ r[0-9]", "attribute:rack !~ r1", "", "n2 n2 n2 | *"),
        // Near to the service, which is apart from the task's group in turn.
        ("", "attribute:rack in [r1, r10]", "task:group == service:front", "n1 n1 n3 | ?"),
        (
            "",
            "attribute:rack == r1",
            "not(task:group == service:front);ec2InstanceId in [n1, n2]",
            "n1 n1 n1 | n2 n2",
        ),
        ("ec2InstanceId == n1", "runningTasksCount < 2", "", "- n1 n1 | n1 n1"),
    ] {
        put(dir.path(), "app.json", constrained(web, service, task));
        for policy in ["ecs", "kubernetes", "swarm-random", "best-fit"] {
            let args = [
                "simulate",
                "--app",
                "app.json",
                "--cluster",
                "nodes.csv",
                "--until",
                "1m",
                "--policy",
                policy,
                "--tasks",
                "--check",
                "--no-figures",
                "--quiet",
                "--out",
                "o",
            ];
            succeed(dir.path(), &args);
            let tasks = dir.path().join("o/tasks.csv");
            let (groups, nodes) = (column(&tasks, "group"), column(&tasks, "node_name"));
            let of = |group: &str| {
                let mut found: Vec<&str> = groups
                    .iter()
                    .zip(&nodes)
                    .filter(|it| it.0 == group)
                    .map(|it| if it.1.is_empty() { "-" } else { it.1.as_str() })
                    .collect();
                found.sort_unstable();
                found
            };
            let (front, alone) = (of("service:front"), of("family:web"));
            let (want_front, want_alone) = want.split_once(" | ").unwrap();
            let is_front = match want_front {
                "n1 n1 n3" => front.iter().all(|it| ["n1", "n3"].contains(it)),
                exactly => front.join(" ") == exactly,
            };
            let is_alone = match want_alone {
                "*" => true,
                "?" => alone.iter().all(|it| front.contains(it)),
                exactly => alone.join(" ") == exactly,
            };
            assert!(is_front && is_alone, "{policy}, {web:?}: {front:?} and {alone:?}, not {want}");
        }
    }
}

#[test]
fn bad_constraints_are_told_where_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "nodes.csv", RACKS);
    for (expression, wants) in [
        (
            "attribute:rack = r1",
            [
                "app.json:2:31",
                "at character 16 of the expression: \"=\" is not an operator",
                "attribute:NAME == VALUE",
            ],
        ),
        (
            "attribute:rack exists and agentVersion > 1.2",
            ["app.json:2:42", "nothing is known of agentVersion", "leave it out"],
        ),
        (
            "attribute:rack exists or task:group == web",
            ["app.json:2:41", "task:group cannot stand in an `or`", "as a constraint of its own"],
        ),
    ] {
        put(dir.path(), "app.json", constrained("", expression, ""));
        let args = ["simulate", "--app", "app.json", "--cluster", "nodes.csv", "--until", "1m"];
        refuses(dir.path(), &args, &wants);
    }
}

#[test]
fn an_app_is_compared_on_declared_hosts() {
    let dir = shop();
    let args = [
        "compare",
        "--app",
        "shop.json",
        "--cluster",
        "hosts.toml",
        "--until",
        "1m",
        "-p",
        "ecs",
        "-p",
        "ecs:binpack(memory)",
        "--seeds",
        "2",
        "--no-figures",
        "--quiet",
    ];
    let answer = succeed(dir.path(), &args);
    assert_eq!(answer.err, "", "quiet");
    let summary = dir.path().join("bayplan-out/summary.csv");
    assert_eq!(
        column(&summary, "policy"),
        ["ecs", "ecs", "ecs:binpack(memory)", "ecs:binpack(memory)"]
    );
    assert!(dir.path().join("bayplan-out/manifest.json").exists());
}

#[test]
fn bad_apps_are_told_where_and_what_to_do() {
    let dir = shop();
    let d = dir.path();
    let base = ["simulate", "--app", "shop.json", "--cluster"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    refuses(
        d,
        &with(&["nodes.csv"]),
        &["service web never ends", "[shop.json:9:32]", "--until 10m"],
    );
    refuses(d, &base[..3], &["no nodes of its own", "--cluster uniform:3"]);
    refuses(
        d,
        &with(&["uniform:3,cpu=0.5,mem=4GiB", "--until", "1m"]),
        &["batch:1 fits no node", "cpu of 1 cores", "--oversized keep"],
    );
    refuses(
        d,
        &with(&["uniform:3,cpu=4,mem=4GiB", "--until", "1m"]),
        &["names node \"n1\"", "[shop.json:14:37]", "there are"],
    );
    refuses(d, &with(&["nodes.csv", "--trace", "x"]), &["--trace", "cannot be used with"]);
    refuses(d, &with(&["nodes.csv", "--oversized", "drop"]), &["for traces", "--oversized keep"]);

    put(d, "hosts.toml", HOSTS.replace("cpu = 2, ", ""));
    refuses(d, &with(&["hosts.toml", "--until", "1m"]), &["host n1 declares no cpu", "capacity ="]);
    put(d, "hosts.toml", HOSTS.replace("zone", "zoen"));
    refuses(
        d,
        &with(&["hosts.toml", "--until", "1m"]),
        &["hosts.toml:5:1", "did you mean \"zone\"?"],
    );

    put(d, "shop.json", SHOP.replace("\"desiredCount\": 2", "\"desiredCuont\": 2"));
    let wants =
        ["[shop.json:9:64]", "unknown field", "desiredCuont", "did you mean \"desiredCount\"?"];
    refuses(d, &with(&["nodes.csv", "--until", "1m"]), &wants);
    put(d, "shop.json", SHOP.replace("\"lifetimes\": {\"batch\": \"25s\"},", ""));
    refuses(
        d,
        &with(&["nodes.csv"]),
        &["tasks of batch:1 never end", "\"lifetimes\": {\"batch\": \"30s\"}"],
    );
    refuses(
        d,
        &["simulate", "--app", "none.json", "--cluster", "nodes.csv"],
        &["cannot read none.json"],
    );
}
