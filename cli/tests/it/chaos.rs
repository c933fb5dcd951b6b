//! A live cluster on real daemons, broken in every way that hosts, containers and controllers break. After
//! each: what is desired runs again, nothing runs twice, nothing is lost, and the user's own container is
//! untouched. Recovery times are printed.
#![expect(clippy::print_stdout, reason = "recovery times are for people")]

use crate::binary::succeed;
use crate::room::{Room, block_on, sleeper, unfit};
use runtime::agent::{ATTEMPT_LABEL, TASK_LABEL};
use runtime::control::{Answer, Client, NodeState, Request, ServiceView, TaskState, TaskView};
use runtime::engine::{Container, Created, Force, HostPort, HostTime, Publish, Status};
use runtime::testbed::Death;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nodes count as lost after this.
const LOST_AFTER: Duration = Duration::from_secs(4);
const HOSTS: [&str; 3] = ["n1", "n2", "n3"];

/// These apps have none.
const NO_CONSTRAINTS: runtime::app::ReadMemberOf<'static> =
    &|_, _| Ok(cluster::constraint::Constraints::default());

/// Two services and a job family. `proof` is a folder in which each job leaves two lines.
fn app(proof: &Path) -> String {
    let container = |name: &str, line: &str, more: &str| {
        format!(
            r#""containerDefinitions": [{{"name": "{name}", "image": "busybox:latest", "memory": 16, "cpu": 32,
               "command": ["sh", "-c", "{line}"], "stopTimeout": 2{more}}}]"#
        )
    };
    let web = container("web", "trap 'exit 0' TERM; while true; do sleep 0.2; done", "");
    let deaf = container("deaf", "trap '' TERM; while true; do sleep 0.2; done", "");
    let api = container(
        "api",
        "trap 'exit 0' TERM; while true; do sleep 0.2; done",
        r#", "portMappings": [{"containerPort": 80, "hostPort": 18081}]"#,
    );
    let lost = r#""containerDefinitions": [{"name": "x", "image": "nowhere:1", "memory": 16}]"#;
    let job = container(
        "job",
        "echo begin >> /proof/$JOB; sleep 1; echo end >> /proof/$JOB",
        r#", "mountPoints": [{"sourceVolume": "proof", "containerPath": "/proof"}]"#,
    );
    format!(
        r#"{{"taskDefinitions": [
            {{"family": "web", {web}}}, {{"family": "deaf", {deaf}}}, {{"family": "api", {api}}},
            {{"family": "nowhere", {lost}}},
            {{"family": "job", {job}, "volumes": [{{"name": "proof", "host": {{"sourcePath": "{}"}}}}]}}
        ], "services": [{{"serviceName": "web", "taskDefinition": "web", "desiredCount": 6}}]}}"#,
        proof.display()
    )
}

/// A cluster under fire.
struct Stage {
    room: Option<Room>,
    folder: tempfile::TempDir,
    controller: Option<Child>,
    owner: String,
    decoys: Vec<(&'static str, Container, Option<HostTime>)>,
}

impl Stage {
    fn set() -> Self {
        let room = Room::raise(HOSTS.len());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("proof")).unwrap();
        let text = app(&folder.path().join("proof"));
        fs::write(folder.path().join("app.json"), text).unwrap();
        let decoys = block_on(async {
            let mut decoys = Vec::new();
            for host in HOSTS {
                let engine = room.engine(host, "somebody-else");
                let Created::New(it) = engine.create(&sleeper("decoy")).await.unwrap() else {
                    panic!("the decoy is new");
                };
                engine.start(&it).await.unwrap();
                let started = engine.inspect(&it).await.unwrap().unwrap().started;
                decoys.push((host, it, started));
            }
            decoys
        });
        let owner = String::new();
        let room = Some(room);
        let mut stage = Self { room, folder, controller: None, owner, decoys };
        stage.up();
        let Answer::Status(status) = stage.ask(&Request::Status) else { panic!("a status") };
        stage.owner = status.owner;
        stage
    }

    fn room(&self) -> &Room {
        self.room.as_ref().expect("it stands until the end")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts a controller, anew or again.
    fn up(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("controller.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bayplan"))
            .current_dir(self.folder.path())
            .args(["live", "up", "--app", "app.json", "--policy", "ecs", "--lost-after"])
            .arg(format!("{}s", LOST_AFTER.as_secs()))
            .arg("--state")
            .arg(self.state())
            .arg("--hosts")
            .arg(self.room().testbed.hosts_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.controller = Some(child);
        self.until("a controller listens", Duration::from_secs(20), |it| {
            Client::connect(&it.state()).is_ok()
        });
    }

    /// `kill -9`.
    fn kill_controller(&mut self) {
        let mut child = self.controller.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("controller.log")).unwrap_or_default()
    }

    #[track_caller]
    fn ask(&self, request: &Request) -> Answer {
        let asked = Client::connect(&self.state()).and_then(|mut it| it.ask(request));
        match asked {
            Ok(Answer::Refused { what, help }) => panic!("{request:?}: {what} ({help})"),
            Ok(answer) => answer,
            Err(error) => panic!("{request:?}: {error}\n{}", self.log()),
        }
    }

    fn tasks(&self, ended: bool) -> Vec<TaskView> {
        let Answer::Tasks(tasks) = self.ask(&Request::Tasks { ended }) else { panic!("tasks") };
        tasks
    }

    fn service(&self, name: &str) -> Option<ServiceView> {
        let Answer::Services(all) = self.ask(&Request::Services) else { panic!("services") };
        all.into_iter().find(|it| it.service == name)
    }

    fn node_state(&self, name: &str) -> NodeState {
        let Answer::Nodes(all) = self.ask(&Request::Nodes) else { panic!("nodes") };
        all.into_iter().find(|it| it.node == name).map_or(NodeState::Unknown, |it| it.state)
    }

    fn scale(&self, service: &str, desired: u32) {
        self.ask(&Request::Scale { service: service.into(), desired });
    }

    /// Changes what a service runs, or makes one.
    fn put_service(&self, name: &str, family: &str, desired: u32) {
        let text = fs::read_to_string(self.folder.path().join("app.json")).unwrap();
        let mut plan = runtime::plan::Plan::from(
            &runtime::app::App::read(&text, "app.json", NO_CONSTRAINTS).unwrap(),
        );
        let row = plan.definitions.iter().position(|it| it.program.family == family).unwrap();
        let definition = cluster::ids::DefinitionId(row as u32);
        plan.steps = vec![runtime::plan::PlanStep {
            at: cluster::units::Span::ZERO,
            wish: runtime::plan::Wish::PutService {
                name: name.into(),
                definition,
                desired,
                priority: 0,
            },
        }];
        self.ask(&Request::Apply { plan, once: None });
    }

    /// Waits until something is so; gives the time it took.
    #[track_caller]
    fn until(&self, what: &str, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < limit, "{what}: not within {limit:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        began.elapsed()
    }

    /// Where each of the cluster's containers runs: `(task, attempt)` by host, on hosts that answer.
    fn running(&self, hosts: &[&'static str]) -> BTreeSet<(String, u32, &'static str)> {
        block_on(async {
            let mut found = BTreeSet::new();
            for &host in hosts {
                for it in self.room().engine(host, &self.owner).list().await.unwrap() {
                    if it.status == Status::Running {
                        let attempt = it.labels[ATTEMPT_LABEL].parse().unwrap();
                        found.insert((it.labels[TASK_LABEL].clone(), attempt, host));
                    }
                }
            }
            found
        })
    }

    /// Whether the services have what they should, and the hosts run that and nothing else.
    fn is_well(&self, hosts: &[&'static str]) -> bool {
        let Answer::Services(services) = self.ask(&Request::Services) else { panic!("services") };
        let content = |it: &ServiceView| {
            it.running == it.desired && it.starting + it.pending + it.leaving == 0
        };
        if !services.iter().all(content) {
            return false;
        }
        let known: BTreeSet<(String, u32, String)> = self
            .tasks(false)
            .into_iter()
            .filter(|it| it.state == TaskState::Running)
            .map(|it| (it.task, it.attempt, it.node.unwrap()))
            .collect();
        let there = self.running(hosts);
        known == there.into_iter().map(|it| (it.0, it.1, it.2.to_owned())).collect()
    }

    /// Waits until all is as it should be on all hosts.
    #[track_caller]
    fn recover(&self, what: &str) -> Duration {
        let took = self.until(what, Duration::from_secs(60), |it| {
            HOSTS.iter().all(|host| it.node_state(host) == NodeState::Ready) && it.is_well(&HOSTS)
        });
        self.assert_no_doubles();
        self.assert_decoys();
        took
    }

    fn assert_no_doubles(&self) {
        let mut seen = BTreeMap::new();
        for (task, attempt, host) in self.running(&HOSTS) {
            let before = seen.insert(task.clone(), (attempt, host));
            assert_eq!(before, None, "{task} runs twice, on {host} as start {attempt}");
        }
    }

    fn assert_decoys(&self) {
        block_on(async {
            for (host, decoy, started) in &self.decoys {
                let found = self.room().engine(host, "somebody-else").inspect(decoy).await.unwrap();
                let found = found.unwrap_or_else(|| panic!("the decoy on {host} is gone"));
                assert_eq!(found.status, Status::Running, "the decoy on {host}");
                assert_eq!(found.started, *started, "the decoy on {host} was started again");
            }
        });
    }

    fn attempts(&self) -> BTreeMap<String, u32> {
        self.tasks(false).into_iter().map(|it| (it.task, it.attempt)).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut child) = self.controller.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn tell(case: &str, took: Duration) {
    println!("chaos: {case}: all is well again after {:.1} s", took.as_secs_f64());
}

/// The log of the controllers is shown when a case fails, and with `BAYPLAN_CHAOS_LOG=1`.
#[test]
fn a_live_cluster_survives_everything() {
    if unfit().is_some() {
        return;
    }
    let mut stage = Stage::set();
    tell("3 hosts, a new cluster, a service of 6", stage.recover("a new cluster"));
    short_silence(&stage);
    long_silence(&stage);
    killed_daemon(&stage);
    missing_image(&stage);
    taken_port(&stage);
    deaf_container(&stage);
    removed_by_hand(&stage);
    drained(&stage);
    killed_controller(&mut stage);
    dead_host(&mut stage);
    proof(&mut stage);
    if std::env::var_os("BAYPLAN_CHAOS_LOG").is_some() {
        println!("{}", stage.log());
    }
    stage.room.take().expect("it stands").lower();
}

/// A host that is silent for less than the delay keeps its tasks.
fn short_silence(stage: &Stage) {
    let before = stage.attempts();
    let began = Instant::now();
    stage.room().testbed.freeze_daemon("n2").unwrap();
    stage.until("n2 is missed", Duration::from_secs(20), |it| {
        it.node_state("n2") == NodeState::Unreachable
    });
    stage.room().testbed.thaw_daemon("n2").unwrap();
    stage.recover("a moment of silence");
    tell("daemon frozen for a moment and thawed", began.elapsed());
    assert_eq!(stage.attempts(), before, "nothing was started again");
}

/// One that is silent for longer is lost; when it is back, what it ran is stopped before it gets new tasks.
fn long_silence(stage: &Stage) {
    type Act = fn(&runtime::testbed::Testbed) -> Result<(), runtime::testbed::TestbedError>;
    let cases: [(&str, Act, Act); 2] = [
        ("network cut and healed", |it| it.cut_network("n2"), |it| it.heal_network("n2")),
        ("daemon frozen and thawed", |it| it.freeze_daemon("n2"), |it| it.thaw_daemon("n2")),
    ];
    for (name, breaks, mends) in cases {
        let began = Instant::now();
        breaks(&stage.room().testbed).unwrap();
        stage.until("n2 is lost", Duration::from_secs(30), |it| {
            it.node_state("n2") == NodeState::Lost
        });
        let noticed = began.elapsed();
        stage.until("others take over", Duration::from_secs(30), |it| it.is_well(&["n1", "n3"]));
        println!(
            "chaos: {name}: lost after {:.1} s, its tasks run elsewhere after {:.1} s",
            noticed.as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
        mends(&stage.room().testbed).unwrap();
        tell(&format!("{name}, from mending"), stage.recover(name));
        // So that the next case finds tasks there.
        rebalance(stage);
    }
}

/// Moves tasks to the host that has none: as many more as there are, then as many as before.
fn rebalance(stage: &Stage) {
    stage.scale("web", 9);
    stage.recover("more tasks");
    stage.scale("web", 6);
    stage.recover("fewer tasks");
    let on_n2 = stage.running(&["n2"]).len();
    assert!(on_n2 > 0, "n2 runs something again");
}

fn killed_daemon(stage: &Stage) {
    let began = Instant::now();
    stage.room().testbed.kill_daemon("n1").unwrap();
    stage.until("n1 is missed", Duration::from_secs(20), |it| {
        it.node_state("n1") != NodeState::Ready
    });
    stage.room().testbed.start_daemon("n1").unwrap();
    stage.recover("a killed daemon");
    tell("daemon killed -9 and started again", began.elapsed());
}

/// A whole machine dies, and comes up again empty.
fn dead_host(stage: &mut Stage) {
    // The user's container there dies with it.
    stage.decoys.retain(|it| it.0 != "n3");
    let began = Instant::now();
    stage.room().testbed.kill_host("n3", Death::PowerCut).unwrap();
    stage.until("others take over", Duration::from_secs(40), |it| {
        it.node_state("n3") == NodeState::Lost && it.is_well(&["n1", "n2"])
    });
    println!(
        "chaos: power cut: its tasks run elsewhere after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    stage.room().testbed.raise_host("n3").unwrap();
    tell("power cut, from being raised again", stage.recover("a power cut"));
}

fn missing_image(stage: &Stage) {
    let began = Instant::now();
    stage.put_service("broken", "nowhere", 1);
    stage.until("it fails", Duration::from_secs(30), |it| {
        it.service("broken").is_some_and(|it| it.failures > 0)
    });
    let failed = began.elapsed();
    stage.put_service("broken", "web", 1);
    let took = stage.recover("a right image");
    println!("chaos: image missing: known after {:.1} s", failed.as_secs_f64());
    tell("image missing, then another definition", took);
    stage.ask(&Request::DeleteServices { services: vec!["broken".into()] });
    stage.recover("a deleted service");
}

fn taken_port(stage: &Stage) {
    let thief = block_on(async {
        let engine = stage.room().engine("n1", "somebody-else");
        let spec = runtime::engine::ContainerSpec {
            ports: vec![Publish {
                container: 80,
                protocol: cluster::demand::Protocol::Tcp,
                host: HostPort::Fixed(18081),
            }],
            ..sleeper("thief")
        };
        let Created::New(it) = engine.create(&spec).await.unwrap() else { panic!("new") };
        engine.start(&it).await.unwrap();
        it
    });
    stage.put_service("api", "api", 2);
    tell("host port taken by a stranger", stage.recover("a taken port"));
    let on: BTreeSet<&str> = stage
        .running(&HOSTS)
        .iter()
        .filter(|it| is_of(stage, &it.0, "api"))
        .map(|it| it.2)
        .collect();
    assert_eq!(on, BTreeSet::from(["n2", "n3"]));
    block_on(async {
        let engine = stage.room().engine("n1", "somebody-else");
        engine.remove(&thief, Force::Yes).await.unwrap();
    });
    stage.ask(&Request::DeleteServices { services: vec!["api".into()] });
    stage.recover("a deleted service");
}

fn is_of(stage: &Stage, task: &str, service: &str) -> bool {
    stage.tasks(false).iter().any(|it| it.task == task && it.service.as_deref() == Some(service))
}

fn deaf_container(stage: &Stage) {
    stage.put_service("deaf", "deaf", 2);
    stage.recover("deaf ones run");
    let began = Instant::now();
    stage.ask(&Request::DeleteServices { services: vec!["deaf".into()] });
    stage.recover("deaf ones are gone");
    tell("containers that ignore SIGTERM", began.elapsed());
}

fn removed_by_hand(stage: &Stage) {
    let (task, attempt, host) = stage.running(&HOSTS).pop_first().unwrap();
    block_on(async {
        let engine = stage.room().engine(host, &stage.owner);
        let listed = engine.list().await.unwrap();
        let it = listed.iter().find(|it| it.labels[TASK_LABEL] == task).unwrap();
        engine.remove(&it.container, Force::Yes).await.unwrap();
    });
    tell("container removed by hand", stage.recover("a removed container"));
    let still = stage.running(&HOSTS).into_iter().any(|it| (it.0, it.1) == (task.clone(), attempt));
    assert!(!still, "{task} was replaced, not started again");
}

fn drained(stage: &Stage) {
    let began = Instant::now();
    stage.ask(&Request::Drain { node: "n3".into(), undo: false });
    stage.until("n3 is empty", Duration::from_secs(40), |it| {
        it.running(&["n3"]).is_empty() && it.is_well(&HOSTS)
    });
    tell("node drained", began.elapsed());
    stage.ask(&Request::Drain { node: "n3".into(), undo: true });
    stage.recover("a node that takes tasks again");
}

/// Controllers killed at random points while jobs come and go: 3 times, or as often as
/// `BAYPLAN_CHAOS_KILLS` says.
fn killed_controller(stage: &mut Stage) {
    let kills: u32 =
        std::env::var("BAYPLAN_CHAOS_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(3);
    let jobs = 8 + 6 * kills;
    let text = fs::read_to_string(stage.folder.path().join("app.json")).unwrap();
    let mut plan = runtime::plan::Plan::from(
        &runtime::app::App::read(&text, "app.json", NO_CONSTRAINTS).unwrap(),
    );
    let row = plan.definitions.iter().position(|it| it.program.family == "job").unwrap();
    plan.steps = (0..jobs)
        .map(|it| {
            let env = BTreeMap::from([("job".into(), vec![("JOB".into(), format!("j{it}"))])]);
            let overrides = runtime::program::Overrides { env, ..Default::default() };
            runtime::plan::PlanStep {
                at: cluster::units::Span::from_secs_f64(f64::from(it) * 0.4),
                wish: runtime::plan::Wish::Submit {
                    task: cluster::ids::TaskId(it.into()),
                    definition: cluster::ids::DefinitionId(row as u32),
                    group: Some("jobs".into()),
                    kind: cluster::event::TaskKind::Job,
                    priority: 0,
                    estimate: None,
                    overrides: Some(overrides),
                },
            }
        })
        .collect();
    let Answer::Applied(applied) = stage.ask(&Request::Apply { plan, once: None }) else {
        panic!("applied")
    };
    assert_eq!(applied.tasks.len(), jobs as usize);
    let mut longest = Duration::ZERO;
    for kill in 0..kills {
        // Spread over the phases of a batch: the golden ratio visits them evenly.
        let phase = (f64::from(kill) * 0.618_034).fract();
        std::thread::sleep(Duration::from_secs_f64(0.3 + 2.0 * phase));
        stage.kill_controller();
        let began = Instant::now();
        stage.up();
        stage.until("nodes are found again", Duration::from_secs(20), |it| {
            HOSTS.iter().all(|host| it.node_state(host) == NodeState::Ready)
        });
        longest = longest.max(began.elapsed());
    }
    println!(
        "chaos: controller killed {kills} times: in contact with all hosts again after at most {:.1} s",
        longest.as_secs_f64()
    );
    let began = Instant::now();
    stage.until("all jobs end", Duration::from_secs(120), |it| {
        let Answer::Status(status) = it.ask(&Request::Status) else { panic!("a status") };
        let open = it.tasks(false).iter().any(|it| it.group.as_deref() == Some("jobs"));
        status.agenda == 0 && !open
    });
    stage.recover("after all kills");
    tell("controller killed, all jobs ended", began.elapsed());
    let ended: BTreeMap<String, TaskView> = stage
        .tasks(true)
        .into_iter()
        .filter(|it| it.group.as_deref() == Some("jobs"))
        .map(|it| (it.task.clone(), it))
        .collect();
    assert_eq!(ended.len(), jobs as usize, "none is lost");
    for it in ended.values() {
        assert_eq!((it.attempt, it.exit_codes.get("job")), (1, Some(&0)), "{it:?}");
    }
    for job in 0..jobs {
        let path = stage.folder.path().join(format!("proof/j{job}"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|it| panic!("j{job} left no proof: {it}"));
        assert_eq!(text, "begin\nend\n", "j{job} ran exactly once");
    }
}

/// The journal of all this, replayed; then everything is removed.
fn proof(stage: &mut Stage) {
    let state = stage.state();
    let state = state.to_str().unwrap();
    let down = succeed(stage.folder.path(), &["live", "down", "--state", state]);
    assert!(stage.running(&HOSTS).is_empty(), "{}", down.out);
    stage.controller.take().unwrap().wait().unwrap();
    stage.assert_decoys();
    let replayed = succeed(stage.folder.path(), &["replay", state]);
    println!("{}", replayed.out);
    println!("{}", succeed(stage.folder.path(), &["fidelity", state]).out);
    succeed(stage.folder.path(), &["fidelity", state, "--startup", "journal"]);
}
