use super::json::Rule;
use super::*;
use crate::program::{Condition, Dependency, HealthProbe, NetworkMode, VolumeSource};
use cluster::constraint::{Affinity, Constraints, Limit, Side, Strength, TASK_GROUP, Who};
use cluster::demand::{Port, Protocol, Requirement};
use cluster::nodes::NODE;

const NONE: ReadMemberOf<'static> = &words;

/// A small language in place of the real one: `attribute:NAME == VALUE`, `attribute:NAME in [A, B]`, `near GROUP`,
/// `apart GROUP`.
fn words(texts: &[&str], _group: &str) -> Result<Constraints, QueryProblem> {
    let mut found = Constraints { any_of: vec![vec![]], ..Constraints::default() };
    let group = |name: &str| Who::Labels {
        all: vec![Requirement::one_of(TASK_GROUP, [name.to_owned()])],
        namespaces: vec![],
    };
    for (row, text) in texts.iter().enumerate() {
        let text = text.replace("task:group", "near");
        let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let rest =
            rest.trim_start_matches("== ").trim_start_matches("in ").trim_matches(['[', ']']);
        let name = first.trim_start_matches("attribute:").replace("ecs.availability-zone", "zone");
        match first {
            "near" => found.affinity.push(Affinity {
                side: Side::Near,
                strength: Strength::Hard,
                domain: NODE.into(),
                who: group(rest),
            }),
            "apart" => {
                found.limits.push(Limit { domain: NODE.into(), max: 0, who: group(rest) });
            }
            _ if first.starts_with("attribute:") => {
                let values = rest.split(", ").map(str::to_owned);
                found.any_of[0].push(Requirement::one_of(name, values));
            }
            _ => {
                let column = text.chars().count() - rest.chars().count() + 1;
                let (why, help) = ("what is that".to_owned(), "say it better".to_owned());
                return Err(QueryProblem { expression: row, column, why, help });
            }
        }
    }
    Ok(found)
}

const SHOP: &str = r#"{
  "taskDefinitions": [
    {
      "family": "shop",
      "networkMode": "bridge",
      "taskRoleArn": "arn:aws:iam::111122223333:role/shop",
      "volumes": [
        {"name": "scratch", "host": {}},
        {"name": "config", "host": {"sourcePath": "/etc/shop"}},
        {"name": "data", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": true}}
      ],
      "placementConstraints": [
        {"type": "memberOf", "expression": "attribute:disk == ssd"},
        {"type": "memberOf", "expression": "attribute:ecs.availability-zone in [zone-b, zone-a]"}
      ],
      "containerDefinitions": [
        {
          "name": "migrate", "image": "shop/migrate:1", "essential": false,
          "cpu": 100, "memory": 64, "command": ["up"], "startTimeout": 60
        },
        {
          "name": "web", "image": "shop/web:1", "cpu": 300, "memory": 300, "memoryReservation": 128,
          "portMappings": [
            {"containerPort": 80, "hostPort": 8080},
            {"containerPort": 53, "hostPort": 53, "protocol": "udp"},
            {"containerPort": 9000}, {"containerPort": 9001, "hostPort": 0}
          ],
          "mountPoints": [
            {"sourceVolume": "config", "containerPath": "/config", "readOnly": true},
            {"sourceVolume": "data", "containerPath": "/data"}
          ],
          "environment": [{"name": "MODE", "value": "a"}, {"name": "EMPTY", "value": ""}],
          "healthCheck": {"command": ["CMD-SHELL", "wget -q localhost"], "retries": 5},
          "dependsOn": [{"containerName": "migrate", "condition": "SUCCESS"}],
          "linuxParameters": {"initProcessEnabled": true, "capabilities": {"add": [], "drop": []}},
          "logConfiguration": {"logDriver": "awslogs"},
          "privileged": false, "links": [], "restartPolicy": {"enabled": false}
        },
        {
          "name": "proxy", "image": "proxy:2", "memory": 32, "stopTimeout": 5,
          "dependsOn": [{"containerName": "web", "condition": "HEALTHY"}]
        }
      ]
    },
    {
      "family": "batch", "cpu": ".5 vCPU", "memory": "1GB",
      "containerDefinitions": [
        {"name": "side", "image": "side", "cpu": 128, "memory": 100, "essential": false},
        {"name": "work", "image": "work", "cpu": 256, "memory": 256}
      ]
    }
  ],
  "services": [
    {"serviceName": "shop", "taskDefinition": "shop", "desiredCount": 2,
     "loadBalancers": [{"targetGroupArn": "x"}]}
  ],
  "tasks": [
    {"taskDefinition": "batch:1", "count": 2, "group": "nightly", "overrides": {"containerOverrides": [
      {"name": "work", "command": ["all"], "environment": [{"name": "DAY", "value": "1"}]}
    ]}}
  ],
  "images": [{"image": "work", "archive": "work.tar"}],
  "lifetimes": {"batch": "1.5m"},
  "script": [
    {"at": "60s", "drain": {"node": "n1"}},
    {"at": "30s", "updateService": {"service": "shop", "desiredCount": 5}},
    {"at": "30s", "runTask": {"taskDefinition": "batch"}},
    {"at": "2m", "updateService": {"service": "shop", "taskDefinition": "batch"}},
    {"at": "2m", "activate": {"node": "n1"}},
    {"at": "1h", "deleteService": {"service": "arn:aws:ecs:eu-west-1:111122223333:service/c/shop"}}
  ]
}"#;

/// A definition of one container, with more fields for the task and for the container.
fn one(task: &str, container: &str) -> String {
    format!(
        "{{\"family\": \"f\",\n{task}\n\"containerDefinitions\": [{{\"name\": \"c\", \"image\": \"i\", \
         \"memory\": 64,\n{container}\n\"cpu\": 1}}]}}"
    )
}

/// `text` is refused with `want`, and the help contains `help`.
#[track_caller]
fn check(text: &str, want: &str, help: &str) {
    let error = App::read(text, "a.json", NONE).unwrap_err();
    assert_eq!(error.to_string(), want);
    assert!(error.help().contains(help), "{}", error.help());
}

/// The message with its line only; that it points at what it speaks of is checked here.
#[track_caller]
fn on_line(text: &str, error: &AppError) -> String {
    let place = error.place().unwrap();
    let there = &text[place.span.clone()];
    match error {
        AppError::Value { found, .. } if !found.starts_with('a') => assert_eq!(there, found),
        AppError::UnknownName { name, .. } if !error.to_string().contains("lifetimes") => {
            assert_eq!(there, format!("{name:?}"));
        }
        AppError::Twice { name, .. } => assert_eq!(there, name),
        _ => {}
    }
    error.to_string().replace(&format!("{place}"), &format!("line {}", place.line))
}

fn amounts(definition: &AppDefinition) -> Vec<(&str, u64, u64)> {
    let containers = definition.spec.containers.iter();
    containers
        .map(|it| (&*it.name, it.demand.amounts.cpu.0, it.demand.amounts.memory.0 >> 20))
        .collect()
}

#[test]
fn what_runs_is_read() {
    let app = App::read(SHOP, "dir/a.json", NONE).unwrap();
    let shop = &app.definitions[0];
    assert_eq!(shop.spec.name, "shop:1");
    let [migrate, web, proxy] = &shop.program.containers[..] else { panic!("three") };
    assert!(!migrate.essential && web.essential && proxy.essential);
    assert_eq!(migrate.start_timeout, Some(Span::from_secs(60)));
    assert_eq!((web.stop_timeout, proxy.stop_timeout), {
        (Some(Span::from_secs(30)), Some(Span::from_secs(5)))
    });
    assert_eq!((web.cpu_shares, proxy.cpu_shares), (Some(300), Some(2)));
    assert!(web.init);
    assert_eq!(web.env, [("MODE".into(), "a".into()), ("EMPTY".into(), String::new())]);
    let wait = |container: &str, condition| Dependency { container: container.into(), condition };
    assert_eq!(web.depends_on, [wait("migrate", Condition::Success)]);
    assert_eq!(proxy.depends_on, [wait("web", Condition::Healthy)]);
    let health = HealthProbe {
        command: vec!["CMD-SHELL".into(), "wget -q localhost".into()],
        interval: Span::from_secs(30),
        timeout: Span::from_secs(5),
        retries: 5,
        start_period: Span::ZERO,
    };
    assert_eq!(web.health, Some(health));
    let hosts: Vec<Option<u16>> = web.ports.iter().map(|it| it.host).collect();
    assert_eq!(hosts, [Some(8080), Some(53), None, None]);
    assert_eq!(shop.program.volumes["scratch"], VolumeSource::Task);
    assert_eq!(shop.program.volumes["config"], VolumeSource::HostPath("/etc/shop".into()));
    assert_eq!(shop.program.volumes["data"], VolumeSource::Named("data".into()));
    let batch = &app.definitions[1];
    assert_eq!(batch.lifetime, Some(Span::from_secs(90)));
    let archives: Vec<_> = batch.program.containers.iter().map(|it| it.archive.clone()).collect();
    assert_eq!(archives, [None, Some("dir/work.tar".into())]);
}

#[test]
fn what_is_asked_for_is_what_ecs_subtracts() {
    let app = App::read(SHOP, "a.json", NONE).unwrap();
    let shop = &app.definitions[0];
    // 400 units are 390.625 thousandths; reservations come before limits.
    assert_eq!(amounts(shop), [("migrate", 97, 64), ("web", 293, 128), ("proxy", 0, 32)]);
    let demand = shop.spec.demand();
    let port = |protocol, number| Port { protocol, number };
    assert_eq!(demand.ports, [port(Protocol::Tcp, 8080), port(Protocol::Udp, 53)]);
    let require = |attribute: &str, values: &[&str]| {
        Requirement::one_of(attribute, values.iter().map(|it| (*it).to_owned()))
    };
    assert_eq!(
        demand.requires,
        [require("disk", &["ssd"]), require("zone", &["zone-a", "zone-b"])]
    );
    // The task's own amounts win; the first essential container carries what the others leave.
    let batch = &app.definitions[1];
    assert_eq!(amounts(batch), [("side", 125, 100), ("work", 375, 924)]);
    assert_eq!(batch.program.cpu_limit.map(|it| it.0), Some(500));
}

#[test]
fn amounts_of_a_task_are_read_as_ecs_converts_them() {
    for (cpu, want) in [
        ("\"1024\"", Some(1000)),
        ("1024", Some(1000)),
        ("\"1 vCPU\"", Some(1000)),
        ("\"2vcpu\"", Some(2000)),
        ("\".5 vcpu\"", Some(500)),
        ("\"129\"", Some(125)),
        ("\"127\"", None),
        ("\".3 vCPU\"", None),
        ("\"vCPU\"", None),
        ("\"-1024\"", None),
    ] {
        let app = App::read(&one(&format!("\"cpu\": {cpu},"), ""), "a.json", NONE);
        let got = app.ok().map(|it| it.definitions[0].spec.demand().amounts.cpu.0);
        assert_eq!(got, want, "{cpu}");
    }
    for (memory, want) in [
        ("\"512\"", Some(512)),
        ("\"1GB\"", Some(1024)),
        ("\"0.5 GB\"", Some(512)),
        ("\"1M\"", None),
    ] {
        let app = App::read(&one(&format!("\"memory\": {memory},"), ""), "a.json", NONE);
        let got = app.ok().map(|it| it.definitions[0].spec.demand().amounts.memory.0 >> 20);
        assert_eq!(got, want, "{memory}");
    }
}

#[test]
fn tasks_that_fill_an_ecs_instance_fit_on_a_host_of_as_many_cores() {
    let ask = |units: u32| {
        let text = one(&format!("\"cpu\": {units},"), "");
        App::read(&text, "a.json", NONE).unwrap().definitions[0].spec.demand().amounts.cpu.0
    };
    for first in 128..=512 {
        assert!(ask(first) + ask(1024 - first) <= 1000, "{first}");
    }
}

#[test]
fn network_modes_differ_in_what_they_hold_of_the_host() {
    let ports = "\"portMappings\": [{\"containerPort\": 80, \"hostPort\": 80}],";
    for (mode, network, held, published) in [
        ("bridge", NetworkMode::Bridge, vec![80], vec![Some(80)]),
        ("host", NetworkMode::Host, vec![80], vec![]),
        ("awsvpc", NetworkMode::Shared, vec![], vec![None]),
    ] {
        let app =
            App::read(&one(&format!("\"networkMode\": \"{mode}\","), ports), "a", NONE).unwrap();
        let definition = &app.definitions[0];
        assert_eq!(definition.program.network, network);
        let demand = definition.spec.demand();
        assert_eq!(demand.ports.iter().map(|it| it.number).collect::<Vec<_>>(), held, "{mode}");
        let got = definition.program.containers[0].ports.iter().map(|it| it.host);
        assert_eq!(got.collect::<Vec<_>>(), published, "{mode}");
        assert_eq!(app.warnings.len(), usize::from(mode == "awsvpc"));
    }
}

#[test]
fn steps_carry_forward_what_an_update_does_not_name() {
    let app = App::read(SHOP, "a.json", NONE).unwrap();
    let put = |definition, desired| StepKind::PutService {
        name: "shop".into(),
        definition,
        desired,
        priority: 0,
    };
    let got: Vec<_> = app.steps.iter().map(|it| (it.at.0 / 1_000_000, it.what.clone())).collect();
    assert_eq!(got[0], (0, put(0, 2)));
    assert!(
        matches!(&got[1], (0, StepKind::RunTasks { count: 2, group: Some(it), .. }) if it == "nightly")
    );
    assert_eq!(got[2], (30, put(0, 5)));
    assert!(
        matches!(&got[3], (30, StepKind::RunTasks { group: Some(it), .. }) if it == "family:batch")
    );
    assert_eq!(got[4], (60, StepKind::Drain { node: "n1".into() }));
    assert_eq!(got[5], (120, put(1, 5)));
    assert_eq!(got[6], (120, StepKind::Activate { node: "n1".into() }));
    assert_eq!(got[7], (3600, StepKind::DeleteService { name: "shop".into() }));
}

#[test]
fn numbers_are_given_in_the_order_of_the_steps() {
    let out = App::read(SHOP, "a.json", NONE).unwrap().arrivals();
    assert_eq!(out.groups, ["service:shop", "nightly", "family:batch"]);
    assert!(out.arrivals.windows(2).all(|it| it[0].at <= it[1].at));
    let tasks: Vec<_> = out
        .arrivals
        .iter()
        .filter_map(|it| match &it.what {
            What::Task(it) => {
                Some((it.submission.task.0, it.submission.group, it.submission.definition.0))
            }
            _ => None,
        })
        .collect();
    let (nightly, family) = (Some(GroupId(1)), Some(GroupId(2)));
    assert_eq!(tasks, [(0, nightly, 1), (1, nightly, 1), (2, family, 1)]);
    assert_eq!(out.overrides.keys().map(|it| it.0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(out.overrides[&TaskId(0)].commands["work"], ["all"]);
    assert!(
        matches!(&out.arrivals[0].what, What::Definition { spec, .. } if spec.name == "shop:1")
    );
    let n1 = || "n1".to_owned();
    assert_eq!(
        out.wishes,
        [
            (Span::from_secs(60), NodeWish::Drain(n1())),
            (Span::from_secs(120), NodeWish::Activate(n1())),
        ]
    );
}

#[test]
fn what_is_left_out_is_said_with_its_place() {
    let app = App::read(SHOP, "a.json", NONE).unwrap();
    let got: Vec<String> = app.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        got,
        [
            "a.json:6:7: taskDefinitions[0].taskRoleArn: IAM roles mean nothing here; containers get \
             no credentials",
            "a.json:36:11: taskDefinitions[0].containerDefinitions[1].logConfiguration: logs go where \
             each daemon's own log driver puts them",
            "a.json:55:6: services[0].loadBalancers: nothing is registered with a load balancer",
        ]
    );
}

#[test]
fn what_aws_prints_is_taken() {
    let definition = format!(
        "{{\"taskDefinition\": {}, \"tags\": []}}",
        one(
            "\"revision\": 7, \"status\": \"ACTIVE\", \"requiresAttributes\": [{\"name\": \"x\"}],",
            ""
        )
    );
    let services = r#"{"services": [{"serviceArn": "arn:x", "serviceName": "s", "status": "ACTIVE",
        "desiredCount": 3, "runningCount": 1, "pendingCount": 2, "launchType": "EC2", "events": [{"id": "e"}],
        "deployments": [{"id": "d"}], "loadBalancers": [], "propagateTags": "NONE",
        "taskDefinition": "arn:aws:ecs:eu-west-1:111122223333:task-definition/f:7"},
        {"serviceName": "gone", "status": "INACTIVE", "taskDefinition": "f:3"}], "failures": []}"#;
    let app = App::read_all(&[(services, "s.json"), (&definition, "d.json")], NONE).unwrap();
    let want = StepKind::PutService { name: "s".into(), definition: 0, desired: 3, priority: 0 };
    assert_eq!(app.steps, [Step { at: Span::ZERO, what: want }]);
    let left: Vec<LeftOut> = app.warnings.iter().map(|it| it.what).collect();
    assert_eq!(left, [LeftOut::Tags, LeftOut::Inactive]);
}

#[test]
fn a_family_means_its_latest_revision() {
    let text = format!(
        "{{\"taskDefinitions\": [{0}, {0}], \"tasks\": [{{\"taskDefinition\": \"f\"}}]}}",
        one("", "")
    );
    let app = App::read(&text, "a.json", NONE).unwrap();
    assert_eq!(app.definitions[1].spec.name, "f:2");
    assert!(matches!(app.steps[0].what, StepKind::RunTasks { definition: 1, count: 1, .. }));
    let merged = App::merge(vec![app.clone(), app]);
    assert!(matches!(merged.steps[1].what, StepKind::RunTasks { definition: 3, .. }));
}

#[test]
fn mistakes_of_a_definition_are_named_with_their_place() {
    let c = "containerDefinitions[0]";
    check("{\n \"family\": ", "a.json:2:12: Expected value after colon in object property", "JSON");
    check("{}", "a.json: holds nothing to run", "taskDefinitions");
    check(&one("", "/* no */"), "a.json:4:1: Comments are not allowed", "no comments");
    check(
        &one("", "\"é\": 1, \"memroy\": 4,"),
        "a.json:4:1: unknown field containerDefinitions[0].é",
        "known fields: name, image",
    );
    check(
        &one("", "\"user\": \"é\", \"comand\": [],"),
        &format!("a.json:4:14: unknown field {c}.comand"),
        "did you mean \"command\"?",
    );
    check(
        &one("", "\"memory\": 7,"),
        &format!("a.json:4:1: {c}.memory \"memory\" stands on line 3 already"),
        "keep one",
    );
    check(
        "{\"family\": \"f\", \"containerDefinitions\": [{\"name\": \"c\", \"memory\": 9}]}",
        &format!("a.json:1:42: {c}.image is missing"),
        "add containerDefinitions[0].image",
    );
    for (field, path, remedy) in [
        ("privileged\": true", "privileged", "no container rules"),
        ("links\": [\"db\"]", "links", "awsvpc"),
        ("ulimits\": [{\"name\": \"nofile\"}]", "ulimits", "--default-ulimit"),
        ("restartPolicy\": {\"enabled\": true}", "restartPolicy", "service"),
        ("readonlyRootFilesystem\": true", "readonlyRootFilesystem", "later"),
    ] {
        check(
            &one("", &format!("\"{field},")),
            &format!("a.json:4:1: {c}.{path} is not supported"),
            remedy,
        );
    }
    check(
        &one("", "\"linuxParameters\": {\"capabilities\": {\"add\": [\"NET_ADMIN\"]}},"),
        &format!("a.json:4:21: {c}.linuxParameters.capabilities is not supported"),
        "Docker's own",
    );
    for (field, want) in [
        ("\"stopTimeout\": -1,", "line 4: C.stopTimeout is -1, not a whole number from 0 to 86400"),
        ("\"essential\": \"no\",", "line 4: C.essential is \"no\", not true or false"),
        ("\"essential\": false,", "line 3: no container is essential"),
        (
            "\"memoryReservation\": 5,",
            "line 4: C.memoryReservation is 5, not a whole number from 6 to 1073741824",
        ),
        ("\"memoryReservation\": 64,", "line 3: C.memory is 64, not more than memoryReservation"),
        (
            "\"healthCheck\": {\"command\": [\"CMD\", \"x\"], \"interval\": 4},",
            "line 4: C.healthCheck.interval is 4, not a whole number from 5 to 300",
        ),
        (
            "\"healthCheck\": {\"command\": [\"x\"]},",
            "line 4: C.healthCheck.command is a list of 1, not [\"CMD\", \"program\", …] or \
             [\"CMD-SHELL\", \"line\"]",
        ),
        (
            "\"portMappings\": [{\"containerPort\": 1, \"hostPort\": 5}, {\"containerPort\": 2, \"hostPort\": 5}],",
            "line 4: C.portMappings[1].hostPort \"5\" stands on line 4 already",
        ),
        (
            "\"mountPoints\": [{\"sourceVolume\": \"v\", \"containerPath\": \"/v\"}],",
            "line 4: C.mountPoints[0].sourceVolume names \"v\", but there is no such volume",
        ),
        (
            "\"resourceRequirements\": [{\"type\": \"GPU\", \"value\": \"x\"}],",
            "line 4: C.resourceRequirements[0].value is \"x\", not a number of devices from \"1\" to \"64\"",
        ),
    ] {
        let error = App::read(&one("", field), "a.json", NONE).unwrap_err();
        let error = on_line(&one("", field), &error);
        assert_eq!(error, want.replace("C.", &format!("{c}.")));
    }
    check(
        &one("\"memory\": \"32\",", ""),
        &format!("a.json:3:64: {c}.memory is 64, not at most the memory of the task"),
        "at most",
    );
}

#[test]
fn containers_cannot_wait_for_what_never_comes() {
    let read = |a: &str, b: &str| {
        let text = format!(
            "{{\"family\": \"f\", \"containerDefinitions\": [\n\
             {{\"name\": \"a\", \"image\": \"i\", \"memory\": 9, \"dependsOn\": [{a}]}},\n\
             {{\"name\": \"bb\", \"image\": \"i\", \"memory\": 9, \"dependsOn\": [{b}]}}]}}"
        );
        App::read(&text, "a.json", NONE).map_err(|it| on_line(&text, &it))
    };
    let on = |name: &str, condition: &str| {
        format!("{{\"containerName\": \"{name}\", \"condition\": \"{condition}\"}}")
    };
    assert!(read(&on("bb", "START"), "").is_ok());
    for (a, b, want) in [
        (on("bb", "START"), on("a", "START"), "line 2: a, bb wait for each other"),
        (on("a", "START"), String::new(), "line 2: a wait for each other"),
        (
            on("b", "START"),
            String::new(),
            "line 2: containerDefinitions[0].dependsOn[0].containerName names \"b\", but there is \
             no such container",
        ),
        (
            on("bb", "COMPLETE"),
            String::new(),
            "line 2: containerDefinitions[0].dependsOn[0].condition is \"COMPLETE\", not START or \
             HEALTHY: the other is essential, and the task ends when it does",
        ),
        (
            on("bb", "HEALTHY"),
            String::new(),
            "line 2: containerDefinitions[0].dependsOn[0].condition is \"HEALTHY\", not START: the \
             other has no healthCheck",
        ),
    ] {
        assert_eq!(read(&a, &b).unwrap_err(), want);
    }
}

#[test]
fn mistakes_of_services_tasks_and_scripts_are_named_with_their_place() {
    let with = |rest: &str| {
        format!(
            "{{\"taskDefinitions\": [{}],\n\"services\": [{{\"serviceName\": \"web\", \
                 \"taskDefinition\": \"f\", \"desiredCount\": 1}}],\n{rest}}}",
            one("", "")
        )
    };
    for (rest, want) in [
        (
            "\"tasks\": [{\"taskDefinition\": \"g\"}]",
            "line 7: tasks[0].taskDefinition names \"g\", but there is no such task definition",
        ),
        (
            "\"tasks\": [{\"taskDefinition\": \"f\", \"count\": 11}]",
            "line 7: tasks[0].count is 11, not a whole number from 1 to 10",
        ),
        (
            "\"script\": [{\"at\": \"1s\", \"drain\": {\"node\": \"a\"}, \"activate\": {\"node\": \"a\"}}]",
            "line 7: script[0] is an object, not one thing at one time: at, with one of updateService, createService, deleteService, runTask, drain, activate",
        ),
        (
            "\"script\": [{\"at\": \"1\", \"drain\": {\"node\": \"a\"}}]",
            "line 7: script[0].at is \"1\", not a time with its unit, such as \"30s\" or \"5m\"",
        ),
        (
            "\"script\": [{\"at\": \"1s\", \"deleteService\": {\"service\": \"wbe\"}}]",
            "line 7: script[0].deleteService.service names \"wbe\", but there is no such service",
        ),
        (
            "\"lifetimes\": {\"g\": \"1s\"}",
            "line 7: lifetimes.g names \"g\", but there is no such task definition",
        ),
    ] {
        let error = App::read(&with(rest), "a.json", NONE).unwrap_err();
        let error = on_line(&with(rest), &error);
        assert_eq!(error, want);
    }
    check(
        "{\"services\": [{\"serviceName\": \"d\", \"schedulingStrategy\": \"DAEMON\"}]}",
        "a.json:1:36: services[0].schedulingStrategy is not supported",
        "REPLICA",
    );
}

/// A definition `f` with a constraint of its own, and what `rest` says.
fn placed(rest: &str) -> String {
    let own =
        r#""placementConstraints": [{"type": "memberOf", "expression": "attribute:disk == ssd"}],"#;
    format!("{{\"taskDefinitions\": [{}],\n{rest}}}", one(own, ""))
}

/// Constraints in JSON: expressions, or `distinctInstance`.
fn constraints(texts: &[&str]) -> String {
    let one = |it: &&str| match *it {
        "distinctInstance" => r#"{"type": "distinctInstance"}"#.to_owned(),
        it => format!(r#"{{"type": "memberOf", "expression": "{it}"}}"#),
    };
    let list: Vec<String> = texts.iter().map(one).collect();
    format!("\"placementConstraints\": [{}]", list.join(", "))
}

#[test]
fn constraints_of_requests_hold_with_those_of_the_definition() {
    let racks = constraints(&["attribute:rack == a", "distinctInstance"]);
    let service = |name: &str, more: &str| {
        format!(
            "{{\"serviceName\": \"{name}\", \"taskDefinition\": \"f\", \"desiredCount\": 1{more}}}"
        )
    };
    let text = placed(&format!(
        "\"services\": [{}, {}, {}],\n\"tasks\": [{{\"taskDefinition\": \"f\", {}}}],\n\"script\": [{}, {}]",
        service("plain", ""),
        service("racked", &format!(", {racks}")),
        service("too", &format!(", {racks}")),
        constraints(&["distinctInstance"]),
        r#"{"at": "1s", "updateService": {"service": "racked", "desiredCount": 3}}"#,
        r#"{"at": "2s", "updateService": {"service": "racked", "placementConstraints": []}}"#,
    ));
    let app = App::read(&text, "a.json", NONE).unwrap();
    let shown: Vec<String> = app
        .definitions
        .iter()
        .map(|it| {
            let requires: Vec<String> =
                it.spec.demand().requires.iter().map(ToString::to_string).collect();
            let limits = it.spec.constraints.limits.iter();
            let limits =
                limits.map(|it| format!("at most {} {:?} a {}", it.max, it.who, it.domain));
            let all: Vec<String> = requires.into_iter().chain(limits).collect();
            assert_eq!(it.spec.name, format!("f:{}", it.program.revision));
            assert!(it.spec.labels.is_empty(), "nobody asks for groups");
            format!("{} {}", it.spec.name, all.join(", "))
        })
        .collect();
    let each = "at most 1 Group a node";
    assert_eq!(
        shown,
        [
            "f:1 disk in [ssd]".to_owned(),
            format!("f:2 disk in [ssd], rack in [a], {each}"),
            format!("f:3 disk in [ssd], {each}"),
        ]
    );
    let used: Vec<usize> = app
        .steps
        .iter()
        .map(|it| match it.what {
            StepKind::PutService { definition, .. } | StepKind::RunTasks { definition, .. } => {
                definition
            }
            _ => unreachable!("only these"),
        })
        .collect();
    assert_eq!(used, [0, 1, 1, 2, 1, 0], "an update keeps what it does not name, and may clear it");
    assert!(app.warnings.is_empty(), "{:?}", app.warnings);
}

#[test]
fn tasks_are_labelled_where_somebody_asks_for_groups() {
    let tasks = |group: &str, constraint: &str| {
        let group = format!("\"taskDefinition\": \"f\", \"group\": \"{group}\"");
        format!("{{{group}, {}}}", constraints(&[constraint]))
    };
    let text = placed(&format!(
        "\"tasks\": [{}, {}, {}]",
        tasks("db", "attribute:disk == ssd"),
        tasks("web", "task:group db"),
        tasks("own", "task:group own"),
    ));
    let app = App::read(&text, "a.json", NONE).unwrap();
    let labels: Vec<&str> = app.definitions.iter().map(|it| it.spec.labels[0].1.as_str()).collect();
    assert_eq!(labels, ["db", "web", "own"]);
    assert_eq!(app.definitions[1].spec.constraints.affinity.len(), 1);
    let left: Vec<LeftOut> = app.warnings.iter().map(|it| it.what).collect();
    assert_eq!(left, [LeftOut::OwnGroup]);

    let other = placed(&format!("\"tasks\": [{}]", tasks("web", "task:group database")));
    let app = App::read(&other, "a.json", NONE).unwrap();
    let warning = app.warnings[0].to_string();
    assert!(warning.contains("tasks[0].placementConstraints[0].expression: it names"), "{warning}");
}

#[test]
fn mistakes_of_constraints_are_named_with_their_place() {
    let on = |text: &str| {
        placed(&format!("\"tasks\": [{{\"taskDefinition\": \"f\",\n{}}}]", constraints(&[text])))
    };
    let path = "tasks[0].placementConstraints[0]";
    check(
        &on("whatever is this"),
        &format!("a.json:7:71: {path}.expression, at character 10 of the expression: what is that"),
        "say it better",
    );
    // What is written with escapes is marked as a whole.
    check(
        &on("what\\u0065ver is this"),
        &format!("a.json:7:61: {path}.expression, at character 10 of the expression: what is that"),
        "",
    );
    check(
        &one(&format!("{},", constraints(&["distinctInstance"])), ""),
        "a.json:2:27: placementConstraints[0].type is not supported",
        "put distinctInstance into the service or the task",
    );
    let both = on("distinctInstance").replace("tance\"}", "tance\", \"expression\": \"x\"}");
    check(
        &both,
        &format!("a.json:7:69: {path}.expression is \"x\", not left out, with distinctInstance"),
        "",
    );
    let eleven = placed(&format!(
        "\"tasks\": [{{\"taskDefinition\": \"f\", {}}}]",
        constraints(&["attribute:a == b"; 10])
    ));
    let error = App::read(&eleven, "a.json", NONE).unwrap_err().to_string();
    assert!(
        error.ends_with("not one of at most 10 constraints, the definition's included"),
        "{error}"
    );
    check(
        &on("near").replace("memberOf", "memberof"),
        "a.json:2:35: taskDefinitions[0].placementConstraints[0].type is \"memberof\", not one of memberOf, distinctInstance",
        "",
    );
}

/// An app in which `more` stands in the object of this kind.
fn with(kind: &str, more: &str) -> String {
    let holes = [
        ("definition", "\"family\": \"f\","),
        ("container", "\"name\": \"c\", \"image\": \"i\", \"memory\": 64,"),
        ("port", "\"containerPort\": 80,"),
        ("linux", ""),
        ("volume", "\"name\": \"v\","),
        ("docker volume", "\"scope\": \"task\","),
        ("service", "\"serviceName\": \"s\", \"taskDefinition\": \"f\", \"desiredCount\": 1,"),
        ("task", "\"taskDefinition\": \"f\","),
        ("overrides", ""),
        ("override", "\"name\": \"c\","),
        ("update", "\"service\": \"s\","),
        ("delete", "\"service\": \"s\","),
    ];
    let hole = |name: &str| {
        let (_, text) = holes.iter().find(|it| it.0 == name).unwrap();
        if name == kind && !more.is_empty() {
            format!("{text}{more}")
        } else {
            text.trim_end_matches(',').to_owned()
        }
    };
    let comma = |name: &str| {
        let text = hole(name);
        if text.is_empty() { text } else { text + "," }
    };
    format!(
        "{{\"taskDefinitions\": [{{{}\"containerDefinitions\": [{{{}\"portMappings\": [{{{}}}],\
         \"linuxParameters\": {{{}}}}}],\"volumes\": [{{{}\"dockerVolumeConfiguration\": {{{}}}}}]}}],\
         \"services\": [{{{}}}],\"tasks\": [{{{}\"overrides\": {{{}\"containerOverrides\": [{{{}}}]}}}}],\
         \"script\": [{{\"at\": \"1s\", \"updateService\": {{{}}}}},\
         {{\"at\": \"2s\", \"deleteService\": {{{}}}}}]}}",
        comma("definition"),
        comma("container"),
        hole("port"),
        hole("linux"),
        comma("volume"),
        hole("docker volume"),
        hole("service"),
        comma("task"),
        comma("overrides"),
        hole("override"),
        hole("update"),
        hole("delete")
    )
}

/// No field that ECS knows is passed over in silence: each is honoured, warned of or refused, where it stands.
#[test]
fn every_field_of_ecs_has_its_fate() {
    let kinds = [
        ("definition", fields::DEFINITION),
        ("container", fields::CONTAINER),
        ("port", fields::PORT),
        ("linux", fields::LINUX),
        ("volume", fields::VOLUME),
        ("docker volume", fields::DOCKER_VOLUME),
        ("service", fields::SERVICE),
        ("task", fields::TASK),
        ("overrides", fields::OVERRIDES),
        ("override", fields::OVERRIDE),
        ("update", fields::UPDATE),
        ("delete", fields::DELETE),
    ];
    let (mut warned, mut refused) = (0, 0);
    for (kind, fields) in kinds {
        let plain = with(kind, "");
        let plain = plain.replace(",}", "}");
        let before =
            App::read(&plain, "a.json", NONE).unwrap_or_else(|it| panic!("{kind}: {it}\n{plain}"));
        for &(name, rule) in fields {
            let text = with(kind, &format!("\"{name}\": [\"said\"]"));
            let told = App::read(&text, "a.json", NONE);
            match rule {
                Rule::Warn(what) => {
                    let app = told.unwrap_or_else(|it| panic!("{kind}.{name}: {it}"));
                    let found = app.warnings.iter().find(|it| it.what == what);
                    let found = found.unwrap_or_else(|| panic!("{kind}.{name}: no warning"));
                    assert!(text[found.place.span.clone()].contains(name), "{kind}.{name}");
                    assert_eq!(app.warnings.len(), before.warnings.len() + 1, "{kind}.{name}");
                    warned += 1;
                }
                Rule::Refuse(remedy) => {
                    let error = told.expect_err(name);
                    assert!(error.help().contains(remedy), "{kind}.{name}: {error}");
                    let place = error.place().unwrap();
                    assert!(text[place.span.clone()].contains(name), "{kind}.{name}");
                    refused += 1;
                }
                Rule::Skip => {
                    let app = told.unwrap_or_else(|it| panic!("{kind}.{name}: {it}"));
                    assert_eq!(app.warnings, before.warnings, "{kind}.{name}");
                }
                // What it means is tested with what it does; a list of one text is wrong for nearly all.
                Rule::Read => {}
            }
            let nothing = with(kind, &format!("\"{name}\": null"));
            if !matches!(rule, Rule::Read) {
                let app = App::read(&nothing, "a.json", NONE).unwrap_or_else(|it| panic!("{it}"));
                assert_eq!(app.warnings.len(), before.warnings.len(), "{kind}.{name} says nothing");
            }
        }
    }
    assert!(warned > 50 && refused > 35, "{warned} warned of, {refused} refused");
}
