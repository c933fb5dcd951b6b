//! `bayplan live`: bad words, no controller, and where live tests are asked for, a cluster of real daemons
//! run from the command line.

use crate::binary::{Answer, bayplan, put, succeed};
use std::path::Path;

const HOSTS: &str = "[[host]]\nname = \"n1\"\naddress = \"unix:///nowhere.sock\"\n";

/// Bad input: exit code 2, nothing on standard output, an error that holds all of `wants`, and no panic.
#[track_caller]
fn refuses(dir: &Path, args: &[&str], wants: &[&str]) {
    let answer = bayplan(dir, args);
    assert_eq!(answer.code, 2, "{args:?} exits {}\n{}{}", answer.code, answer.out, answer.err);
    assert_eq!(answer.out, "", "{args:?} prints results in spite of an error");
    says(&answer, wants);
}

/// Whether an error says all of this, however its lines are broken.
#[track_caller]
fn says(answer: &Answer, wants: &[&str]) {
    let text = answer.err.replace('│', " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for want in wants {
        assert!(text.contains(want), "should say {want:?}:\n{}", answer.err);
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn bad_words_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "h.toml", HOSTS);
    put(dir.path(), "bad.toml", "[[host]]\nname = \"n1\"\nadress = \"x\"\n");
    put(dir.path(), "bad.json", "{\"services\": [{\"serviceName\": \"web\"}]}");
    put(dir.path(), "latin.json", b"{\n\"\xe9\": 1}");
    let up = ["live", "up", "--state", "s", "--hosts", "h.toml"];
    let with = |more: &[&'static str]| -> Vec<&str> { up.iter().chain(more).copied().collect() };
    for (args, wants) in [
        (with(&["--policy", "best-fitt"]), &["best-fit", "bayplan policies"][..]),
        (with(&["--queue", "fito"]), &["--queue", "did you mean fifo?"]),
        (with(&["--unfit", "dorp"]), &["--unfit", "did you mean drop?"]),
        (with(&["--lost-after", "soon"]), &["--lost-after is \"soon\"", "90m"]),
        (with(&["--overcommit", "cpus=2"]), &["did you mean cpu?"]),
        (with(&["--cluster", "a b"]), &["--cluster is \"a b\"", "letters"]),
        (with(&["--cluster", ".a"]), &["--cluster is \".a\""]),
        (with(&["--app", "none.json"]), &["cannot read the app file none.json"]),
        (with(&["--app", "bad.json"]), &["bad.json:1:15: services[0].taskDefinition is missing"]),
        (with(&["--app", "latin.json"]), &["latin.json:2: not UTF-8"]),
        (with(&["--format", "csv"]), &["no CSV form"]),
        (
            vec!["live", "up", "--state", "s"],
            &["s holds no cluster yet", "--hosts", "testbed up 3"],
        ),
        (
            vec!["live", "up", "--state", "s", "--hosts", "none"],
            &["cannot read the hosts file none"],
        ),
        (
            vec!["live", "up", "--state", "s", "--hosts", "bad.toml"],
            &["bad.toml:3:1", "adress", "did you mean \"address\"?"],
        ),
        (vec!["live"], &["Usage"]),
        (vec!["live", "pss"], &["unrecognized subcommand", "ps"]),
        (vec!["live", "run"], &["<DEFINITION>"]),
        (vec!["live", "run", "a", "--app", "b"], &["cannot be used with"]),
        (vec!["live", "run", "a", "--count", "0"], &["0 is not in 1..=10000"]),
        (vec!["live", "run", "a", "--env", "A", "--state", "s"], &["--env is \"A\"", "NAME=VALUE"]),
        (vec!["live", "run", "--app", "none.json"], &["cannot read the app file none.json"]),
        (vec!["live", "scale", "web", "-1"], &["-1"]),
        (vec!["live", "scale", "web", "many"], &["invalid digit"]),
        (vec!["live", "stop"], &["<TASK|SERVICE>"]),
        (vec!["live", "status", "--format", "csv"], &["no CSV form"]),
    ] {
        refuses(dir.path(), &args, wants);
    }
    assert!(!dir.path().join("s").exists(), "a refusal makes no state");
}

#[test]
fn without_a_controller_one_is_told_how_to_start_it() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["run", "web"][..],
        &["scale", "web", "3"],
        &["stop", "t1", "web"],
        &["drain", "n1"],
        &["ps"],
        &["nodes"],
        &["services"],
        &["status"],
        &["events"],
        &["logs", "t1"],
        &["explain", "t1"],
        &["end"],
    ] {
        let args: Vec<&str> = ["live", "--state", "s 1"].iter().chain(args).copied().collect();
        let wants = ["no controller is running on s 1", "bayplan live up", "--state 's 1'"];
        refuses(dir.path(), &args, &wants);
    }
    let wants = ["s: holds no cluster's state", "live up --hosts hosts.toml --state s"];
    refuses(dir.path(), &["live", "down", "--state", "s"], &wants);
    assert!(dir.path().read_dir().unwrap().next().is_none(), "asking makes no files");
}

#[test]
fn a_trace_that_cannot_be_replayed_is_refused_first() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "h.toml", HOSTS);
    put(dir.path(), "tasks.csv", "id,arrival_s,cpu_cores,mem_gib,duration_s\n1,0,1,x,5\n");
    let replay = ["live", "replay", "--state", "s", "--hosts", "h.toml"];
    for (more, wants) in [
        (&["builtin:small", "--speed", "0"][..], &["--speed is \"0\"", "above 0"][..]),
        (&["builtin:small", "--speed", "fast"], &["--speed"]),
        (&["builtin:small", "--scale-demand", "1e3"], &["--scale-demand is \"1e3\""]),
        (&["builtin:small", "--for", "0"], &["--for is no time at all"]),
        (&["builtin:small", "--for", "long"], &["--for is \"long\""]),
        (&["builtin:smal"], &["small"]),
        (&["tasks.csv"], &["tasks.csv:2", "memory is"]),
        (&["none"], &["none"]),
        (&["builtin:default"], &["too many for real hosts", "--limit N"]),
        (&[], &["<TRACE>"]),
    ] {
        let args: Vec<&str> = replay.iter().chain(more).copied().collect();
        refuses(dir.path(), &args, wants);
    }
    let wants = ["s holds no cluster yet", "--hosts"];
    refuses(dir.path(), &["live", "replay", "builtin:small", "--state", "s"], &wants);
    assert!(!dir.path().join("s").exists(), "a refusal makes no state");
}

#[test]
fn help_lists_what_can_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let answer = succeed(dir.path(), &["live", "--help"]);
    for word in ["up", "run", "scale", "stop", "drain", "ps", "nodes", "services", "status"]
        .iter()
        .chain(&["events", "logs", "explain", "replay", "down", "end", "~/.local/state"])
    {
        assert!(answer.out.contains(word), "{word}: {}", answer.out);
    }
    let answer = succeed(dir.path(), &["live", "up", "--help"]);
    assert!(answer.out.contains("[default: ecs, or"), "{}", answer.out);
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::{bayplan, put, refuses, says, succeed};
    use crate::room::{Room, block_on, sleeper, unfit};
    use runtime::engine::{Created, Status};
    use serde_json::Value;
    use std::fs::File;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    const APP: &str = r#"{
        "taskDefinitions": [
            {"family": "web", "containerDefinitions": [{"name": "web", "image": "busybox:latest",
             "cpu": 32, "memory": 16, "command": ["sh", "-c", "echo serving; exec sleep 1000"],
             "linuxParameters": {"initProcessEnabled": true},
             "portMappings": [{"containerPort": 8080}]}]},
            {"family": "job", "containerDefinitions": [{"name": "main", "image": "busybox:latest",
             "cpu": 32, "memory": 16, "command": ["sh", "-c", "test \"$WORD\" != wrong"]}]}
        ],
        "services": [{"serviceName": "web", "taskDefinition": "web", "desiredCount": 3}],
        "tasks": [{"taskDefinition": "job"}]
    }"#;
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A cluster run from the command line, in a folder.
    struct Cluster<'a> {
        dir: &'a Path,
        hosts: String,
    }

    impl Cluster<'_> {
        /// Starts a controller and waits until it listens.
        fn up(&self) -> Controller {
            let log = self.dir.join("up.log");
            let child = Command::new(env!("CARGO_BIN_EXE_bayplan"))
                .current_dir(self.dir)
                .args(["live", "up", "--state", "s", "--app", "app.json", "--cluster", "demo"])
                .args(["--format", "json", "--hosts", &self.hosts])
                .stdin(Stdio::null())
                .stdout(File::create(&log).unwrap())
                .stderr(File::create(self.dir.join("up.err")).unwrap())
                .spawn()
                .unwrap();
            let controller = Controller(child);
            self.until("it listens", |_| {
                std::fs::read_to_string(&log).unwrap().contains("\"listening\"")
            });
            controller
        }

        /// What a command says, as JSON.
        #[track_caller]
        fn ask(&self, words: &[&str]) -> Value {
            let all: Vec<&str> =
                ["live", "--state", "s", "--format", "json"].iter().chain(words).copied().collect();
            let answer = succeed(self.dir, &all);
            serde_json::from_str(&answer.out).unwrap_or_else(|it| panic!("{it}: {}", answer.out))
        }

        #[track_caller]
        fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
            let began = Instant::now();
            while !is_so(self) {
                let log = std::fs::read_to_string(self.dir.join("up.log")).unwrap_or_default();
                let err = std::fs::read_to_string(self.dir.join("up.err")).unwrap_or_default();
                assert!(began.elapsed() < PATIENCE, "{what}: not so yet\n{log}\n{err}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }

        /// The tasks of the service that run: name and node.
        #[track_caller]
        fn running(&self) -> Vec<(String, String)> {
            let tasks = self.ask(&["ps"]);
            let of = |it: &Value, key: &str| it[key].as_str().unwrap_or("").to_owned();
            tasks
                .as_array()
                .unwrap()
                .iter()
                .filter(|it| it["state"] == "running" && it["service"] == "web")
                .map(|it| (of(it, "task"), of(it, "node")))
                .collect()
        }

        /// A task, whether it ended or not.
        #[track_caller]
        fn task(&self, name: &str) -> Value {
            let tasks = self.ask(&["ps", "--all"]);
            let found = tasks.as_array().unwrap().iter().find(|it| it["task"] == name);
            found.cloned().unwrap_or(Value::Null)
        }
    }

    /// A controller, killed with the test.
    struct Controller(Child);

    impl Controller {
        fn signal(&mut self, signal: &str) -> Option<i32> {
            let kill = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
            assert!(kill.unwrap().success());
            self.0.wait().unwrap().code()
        }
    }

    impl Drop for Controller {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_cluster_is_run_from_the_command_line_live() {
        if unfit().is_some() {
            return;
        }
        let room = Room::raise(3);
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        put(dir, "app.json", APP);
        let stranger = room.engine("n1", "somebody-else");
        let (decoy, decoy_started) = block_on(async {
            let Created::New(it) = stranger.create(&sleeper("decoy")).await.unwrap() else {
                panic!("the decoy is new");
            };
            stranger.start(&it).await.unwrap();
            let started = stranger.inspect(&it).await.unwrap().unwrap().started;
            (it, started)
        });
        let it = Cluster { dir, hosts: room.testbed.hosts_file().display().to_string() };
        let mut controller = it.up();

        // What an app file says comes up, and can be looked at.
        it.until("three run", |it| it.running().len() == 3);
        let mut nodes: Vec<String> = it.running().into_iter().map(|it| it.1).collect();
        nodes.sort();
        assert_eq!(nodes, ["n1", "n2", "n3"], "one in each zone");
        it.until("the job is over", |it| it.task("t0")["state"] == "ended");
        assert_eq!(it.task("t0")["exit_codes"]["main"], 0);
        let seen = it.ask(&["nodes"]);
        assert!(seen.as_array().unwrap().iter().all(|it| it["state"] == "ready"), "{seen}");
        let seen = it.ask(&["services"]);
        assert_eq!((&seen[0]["service"], &seen[0]["running"]), (&"web".into(), &3.into()));
        let seen = it.ask(&["status"]);
        let owner = seen["owner"].as_str().unwrap().to_owned();
        assert!(owner.starts_with("demo-") && seen["tasks"]["running"] == 3, "{seen}");
        let seen = it.ask(&["explain", "r0"]);
        assert!(seen["why"].as_str().unwrap().contains("ecs"), "{seen}");
        assert!(seen["history"].as_array().unwrap().len() >= 2, "{seen}");
        assert_eq!(it.ask(&["logs", "r0"]), "serving\n");
        assert_eq!(it.ask(&["logs", "r0", "--tail", "0"]), "");
        let events = it.ask(&["events", "--last", "1000"]);
        let events = events.as_array().unwrap();
        assert_eq!(events[0]["number"], 1);
        assert!(events.iter().any(|it| it["what"].as_str().unwrap().starts_with("n3 joins")));
        assert_eq!(it.ask(&["events", "--last", "2"]).as_array().unwrap().len(), 2);
        let table = succeed(dir, &["live", "ps", "--state", "s"]).out;
        assert!(table.trim_start().starts_with("task") && table.contains("->8080/tcp"), "{table}");
        let csv = succeed(dir, &["live", "nodes", "--state", "s", "--format", "csv"]).out;
        assert!(csv.starts_with("node,zone,state,address,tasks,cpu_milli,"), "{csv}");

        // It can be told to change.
        it.ask(&["scale", "web", "5"]);
        it.until("five run", |it| it.running().len() == 5);
        it.ask(&["stop", "r1"]);
        it.until("another runs in its place", |it| {
            let running = it.running();
            running.len() == 5 && running.iter().all(|it| it.0 != "r1")
        });
        it.ask(&["drain", "n2"]);
        it.until("n2 is empty", |it| {
            let running = it.running();
            running.len() == 5 && running.iter().all(|it| it.1 != "n2")
        });
        it.ask(&["drain", "n2", "--undo"]);
        let seen = it.ask(&["run", "job", "--count", "2", "-e", "WORD=wrong"]);
        assert_eq!((&seen[0]["task"], &seen[1]["task"]), (&"t1".into(), &"t2".into()));
        it.ask(&["run", "job:1", "--", "sh", "-c", "exit 3"]);
        for (task, code) in [("t1", 1), ("t2", 1), ("t3", 3)] {
            it.until("it is over", |it| it.task(task)["state"] == "ended");
            assert_eq!(it.task(task)["exit_codes"]["main"], code, "{task}");
        }
        for (words, wants) in [
            (&["run", "jop"][..], &["there is no definition \"jop\""][..]),
            (&["run", "job", "-e", "man:A=1"], &["did you mean main?"]),
            (&["scale", "wep", "1"], &["did you mean web?"]),
            (&["stop", "wep"], &["did you mean web?"]),
            (&["drain", "n4"], &["there is no node \"n4\""]),
            (&["logs", "t0"], &["t0 is over"]),
            (&["explain", "t99"], &["there never was a task t99"]),
            (&["up"], &["a controller is running", "live end --state s"]),
        ] {
            let all: Vec<&str> = ["live", "--state", "s"].iter().chain(words).copied().collect();
            refuses(dir, &all, wants);
        }

        // A controller that is killed is gone on with, and nobody's task is touched.
        let before: Vec<_> = it.running();
        controller.signal("-KILL");
        refuses(dir, &["live", "ps", "--state", "s"], &["`bayplan live up --state s`"]);
        let other = ["live", "up", "--state", "s", "--policy", "best-fit"];
        refuses(dir, &other, &["is run by ecs, not by best-fit", "leave --policy out"]);
        let mut controller = it.up();
        it.until("all are there", |it| it.running().len() == 5);
        assert_eq!(it.running(), before);
        let all = it.ask(&["ps", "--all"]);
        let jobs = all.as_array().unwrap().iter().filter(|it| it["definition"] == "job:1");
        assert_eq!(jobs.count(), 4, "what the app asks for is done once: {all}");

        // Ctrl-C leaves the tasks running; removing everything leaves nothing but what others own.
        assert_eq!(controller.signal("-INT"), Some(130));
        let ours = |host: &str| block_on(room.engine(host, &owner).list()).unwrap();
        let count = || -> usize { ["n1", "n2", "n3"].iter().map(|it| ours(it).len()).sum() };
        assert_eq!(count(), 5);
        let verified = succeed(dir, &["replay", "s"]);
        assert!(verified.out.contains("every action of ecs as recorded"), "{}", verified.out);
        let removed = it.ask(&["down"]);
        let removed = removed.as_array().unwrap();
        assert!(removed.iter().all(|it| it["left"].is_null()), "{removed:?}");
        assert_eq!(removed.iter().map(|it| it["containers"].as_u64().unwrap()).sum::<u64>(), 5);
        assert_eq!(count(), 0);
        let found = block_on(stranger.inspect(&decoy)).unwrap().unwrap();
        assert_eq!((found.status, found.started), (Status::Running, decoy_started));
        room.lower();
    }

    #[test]
    fn a_trace_is_replayed_against_hosts_live() {
        if unfit().is_some() {
            return;
        }
        let room = Room::raise(2);
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        put(
            dir,
            "tasks.csv",
            "id,arrival_s,cpu_cores,mem_gib,duration_s\n\
             a,0,0.1,0.01,20\nb,10,64,0.001,10\nc,20,0.1,0.02,30\nd,20,0.1,0.02,\n",
        );
        let hosts = room.testbed.hosts_file().display().to_string();
        let args = ["live", "replay", "tasks.csv", "--speed", "20", "--for", "6s", "--state", "s"];
        let with =
            |more: &[&'static str]| -> Vec<&str> { args.iter().chain(more).copied().collect() };
        let first: Vec<&str> =
            with(&["--policy", "best-fit", "--hosts"]).into_iter().chain([&*hosts]).collect();
        let answer = succeed(dir, &first);
        for want in [
            "1 clipped to ",
            "1 raised to 6MiB",
            "4 tasks over 1.00 s, on 2 hosts",
            "4 tasks ended: 3 finished, 1 cancelled",
            "mean wait ",
            "mean start-up ",
            "makespan ",
        ] {
            assert!(answer.out.contains(want), "{want}: {}", answer.out);
        }
        let again = succeed(dir, &with(&["--format", "json"]));
        let again: Value = serde_json::from_str(&again.out).unwrap();
        assert_eq!(again["outcome"]["ended"]["finished"], 3, "what is done is not done again");
        assert_eq!(again["outcome"]["never_placed"], 0, "{again}");
        assert!(again["outcome"]["mean_startup_us"].as_u64().unwrap() > 10_000, "{again}");
        let verified = succeed(dir, &["replay", "s"]);
        assert!(verified.out.contains("every action of best-fit"), "{}", verified.out);

        // Against a controller that runs, beside which there can be no other.
        let it = Cluster { dir, hosts };
        put(dir, "app.json", APP);
        std::fs::rename(dir.join("s"), dir.join("old")).unwrap();
        let controller = it.up();
        refuses(dir, &with(&["--policy", "ecs"]), &["a controller is running on s"]);
        it.ask(&["stop", "web"]);
        it.until("the hosts are empty", |it| it.ask(&["ps"]).as_array().unwrap().is_empty());
        let answer = succeed(dir, &args);
        assert!(answer.out.contains("4 tasks ended: 3 finished, 1 cancelled"), "{}", answer.out);
        let answer = bayplan(dir, &["live", "down", "--state", "s"]);
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
        says(&answer, &[]);
        drop(controller);
        succeed(dir, &["live", "down", "--state", "old"]);
        room.lower();
    }
}
