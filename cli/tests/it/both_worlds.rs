//! One app file, one policy, two worlds: what a simulation places where, real hosts are given too. And a trace on
//! real hosts, whose journal is replayed to the byte and measured against the simulator.
#![expect(clippy::print_stdout, reason = "what was measured is for people")]

use crate::binary::{column, put, succeed};
use crate::room::{Room, unfit};
use runtime::control::{Answer, Client, Request, TaskState};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const APP: &str = r#"{
  "taskDefinitions": [
    {"family": "web", "containerDefinitions": [{"name": "web", "image": "busybox:latest", "cpu": 64,
      "memory": 32, "command": ["sleep", "1000"], "stopTimeout": 1}]},
    {"family": "api", "containerDefinitions": [{"name": "api", "image": "busybox:latest", "cpu": 96,
      "memory": 24, "command": ["sleep", "1000"], "stopTimeout": 1,
      "portMappings": [{"containerPort": 80, "hostPort": 18082}]}]},
    {"family": "job", "containerDefinitions": [{"name": "job", "image": "busybox:latest", "cpu": 32,
      "memory": 48, "command": ["sleep", "1000"], "stopTimeout": 1}]}
  ],
  "services": [{"serviceName": "web", "taskDefinition": "web", "desiredCount": 4},
               {"serviceName": "api", "taskDefinition": "api", "desiredCount": 2}],
  "tasks": [{"taskDefinition": "job", "count": 3}]
}"#;

#[test]
fn real_hosts_are_given_what_the_simulation_gives() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(3);
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "app.json", APP);
    for policy in ["ecs", "random", "best-fit:memory", "round-robin"] {
        let simulated = simulated(folder.path(), &room, policy);
        assert_eq!(simulated.len(), 9, "{policy}: {simulated:?}");
        assert_eq!(live(folder.path(), &room, policy), simulated, "{policy}");
    }
    room.lower();
}

/// Task by node.
fn simulated(dir: &Path, room: &Room, policy: &str) -> BTreeMap<String, String> {
    let hosts = room.testbed.hosts_file();
    succeed(
        dir,
        &[
            "simulate",
            "--app",
            "app.json",
            "--cluster",
            hosts.to_str().unwrap(),
            "--policy",
            policy,
            "--until",
            "60s",
            "--tasks",
            "--no-figures",
            "--force",
            "--out",
            "sim",
        ],
    );
    let tasks = dir.join("sim/tasks.csv");
    column(&tasks, "name").into_iter().zip(column(&tasks, "node_name")).collect()
}

/// Task by node.
fn live(dir: &Path, room: &Room, policy: &str) -> BTreeMap<String, String> {
    let state = dir.join(policy.replace(':', "-"));
    let mut controller = Command::new(env!("CARGO_BIN_EXE_bayplan"))
        .current_dir(dir)
        .args(["live", "up", "--quiet", "--app", "app.json", "--policy", policy, "--state"])
        .arg(&state)
        .arg("--hosts")
        .arg(room.testbed.hosts_file())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let placed = loop {
        assert!(began.elapsed() < Duration::from_secs(60), "{policy}: not all tasks run in time");
        std::thread::sleep(Duration::from_millis(100));
        let Ok(mut client) = Client::connect(&state) else { continue };
        let Ok(Answer::Tasks(tasks)) = client.ask(&Request::Tasks { ended: true }) else {
            continue;
        };
        if tasks.len() == 9 && tasks.iter().all(|it| it.state == TaskState::Running) {
            break tasks.into_iter().map(|it| (it.task, it.node.unwrap())).collect();
        }
    };
    succeed(dir, &["live", "down", "--state", state.to_str().unwrap()]);
    controller.wait().unwrap();
    placed
}

/// 40 tasks, or as many as `BAYPLAN_REPLAY_TASKS` says; a container starts every quarter of a second.
#[test]
fn a_trace_runs_on_real_hosts() {
    if unfit().is_some() {
        return;
    }
    let count: u64 =
        std::env::var("BAYPLAN_REPLAY_TASKS").ok().and_then(|it| it.parse().ok()).unwrap_or(40);
    let mut trace = "id,arrival_s,cpu_cores,mem_gib,duration_s\n".to_owned();
    for it in 0..count {
        // Small primes instead of chance: sizes and lengths differ, and the hosts are never full for long.
        let (arrival, cpu) = (it * 5, [2, 3, 5, 7][it as usize % 4]);
        let (memory, lasts) = (1 + it % 3, 20 + it * 37 % 41);
        trace += &format!("j{it},{arrival},0.0{cpu},0.0{memory},{lasts}\n");
    }
    let room = Room::raise(3);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    put(dir, "tasks.csv", trace);
    let hosts = room.testbed.hosts_file();
    let hosts = hosts.to_str().unwrap();
    let began = Instant::now();
    let told = succeed(
        dir,
        &["live", "replay", "tasks.csv", "--speed", "20", "--hosts", hosts, "--state", "s"],
    );
    println!("{}(in {:.1} s)", told.out, began.elapsed().as_secs_f64());
    assert!(told.out.contains(&format!("{count} tasks ended: {count} finished")), "{}", told.out);
    println!("{}", succeed(dir, &["replay", "s"]).out);
    println!("{}", succeed(dir, &["fidelity", "s"]).out);
    succeed(dir, &["live", "down", "--state", "s"]);
    room.lower();
}
