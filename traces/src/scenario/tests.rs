use super::*;
use cluster::constraint::{Bound, Effect, Requirement, Side, Strength, Test, Toleration, Who};
use cluster::demand::{Protocol, Resource};
use cluster::units::{Bytes, GpuMilli};
use serde_json::Value;

const SHOP: &str = include_str!("../../fixtures/scenario/shop.json");

/// The error of a text: its line, the part that it marks, what it says and what helps.
fn error_of(text: &str) -> (u64, String, String) {
    let error = Scenario::parse("s.json", text).unwrap_err();
    let place = error.span().unwrap_or_else(|| panic!("no place: {error}"));
    let marked = &place.text[place.column - 1..][..place.length];
    (place.line, marked.to_owned(), format!("{error}; {}", error.help()))
}

/// A scenario with these parts, each on a line of its own from the second on.
fn with(parts: &[&str]) -> String {
    format!("{{\n{}\n}}", parts.join(",\n"))
}

const NODE: &str = r#""nodes": [{"name": "a", "cpu_cores": 1}]"#;
const WEB: &str = r#""definitions": {"web": {"containers": [{"cpu_milli": 1}]}}"#;

#[track_caller]
fn check(parts: &[&str], line: u64, marked: &str, wanted: &[&str]) {
    let (at, marks, says) = error_of(&with(parts));
    assert_eq!((at, marks.as_str()), (line, marked), "{says}");
    for wanted in wanted {
        assert!(says.contains(wanted), "{wanted:?} is not in {says:?}");
    }
}

#[test]
fn a_scenario_is_read_in_full() {
    let it = Scenario::parse("shop.json", SHOP).unwrap();
    let names: Vec<&str> = it.nodes.iter().map(|it| it.spec.name.as_str()).collect();
    assert_eq!(names, ["a-0", "a-1", "b", "g", "old", "gone"]);
    let [a, .., gone] = &it.nodes[..] else { panic!() };
    assert_eq!(a.spec.capacity.amounts.array(), [4000, 16 << 30, 0]);
    assert_eq!(a.spec.images[0].size, Bytes::from_mib(180));
    assert_eq!(a.spec.reserved_ports.iter().map(|it| it.number).collect::<Vec<_>>(), [22, 53]);
    assert_eq!(a.spec.reserved_ports[1].protocol, Protocol::Udp);
    assert_eq!(gone.status, NodeStatus::Lost);
    assert_eq!(it.nodes[3].spec.taints[0].to_string(), "gpu=yes:NoSchedule");
    assert_eq!(it.nodes[3].spec.taints[1].effect, Effect::PreferNoSchedule);

    let web = it.definitions.iter().find(|it| it.name == "web").unwrap();
    let [nginx, log] = &web.containers[..] else { panic!() };
    assert_eq!(nginx.demand.amounts.array(), [500, 256 << 20, 0], "what is asked, not the limit");
    assert_eq!(log.demand.amounts.array(), [100, 1_000_000, 0], "the limit where nothing is asked");
    assert_eq!((nginx.image.as_str(), nginx.zero.is_empty()), ("nginx:1.27", true));
    assert_eq!(web.labels, [("app".into(), "web".into()), ("tier".into(), "front".into())]);
    assert_eq!(web.demand().requires.len(), 2);
    let rules = &web.constraints;
    assert_eq!(rules.any_of[0], [Requirement { attribute: "cores".into(), test: Test::Above(4) }]);
    assert_eq!((rules.prefers[0].weight, rules.prefers[0].all.len()), (50, 1));
    let [apart, near] = &rules.affinity[..] else { panic!() };
    assert_eq!((apart.side, apart.strength), (Side::Apart, Strength::Hard));
    assert_eq!((near.side, near.strength), (Side::Near, Strength::Soft(10)));
    assert!(matches!(&near.who, Who::Labels { namespaces, .. } if *namespaces == ["data"]));
    let spread = &rules.spread[0];
    assert_eq!((spread.skew_max, spread.domains_min, spread.is_hard), (1, 1, true));
    assert_eq!((rules.limits[0].max, &rules.limits[0].who), (3, &Who::Group));

    let train = it.definitions.iter().find(|it| it.name == "train").unwrap();
    assert_eq!(train.containers[0].name, "train", "the only container is called as its definition");
    assert_eq!(train.demand().gpus.milli, GpuMilli(500));
    let spot = Toleration { key: Some("gpu".into()), ..Toleration::default() };
    assert_eq!(train.constraints.tolerations[0], spot);
    let cache = it.definitions.iter().find(|it| it.name == "cache").unwrap();
    assert_eq!(cache.containers[0].zero, [Resource::Cpu], "0 is said, disk and gpu are not");

    let told: Vec<(&str, u64, Option<NodeId>, bool)> = it
        .tasks
        .iter()
        .map(|it| (&*it.name, it.at.0, it.arrival.resident, it.is_to_place))
        .collect();
    assert_eq!(
        told,
        [
            ("cache", 0, Some(NodeId(2)), false),
            ("web", 0, Some(NodeId(0)), false),
            ("tasks[2]/0", 0, None, false),
            ("tasks[2]/1", 0, None, false),
            ("late", 2_500_000, None, false),
            ("web-4", 2_500_000, None, true),
        ]
    );
    assert_eq!(it.tasks[4].arrival.withdrawn, Some(Instant::from_secs(3600)));
    assert_eq!(it.tasks[4].place.line, 37);
    assert_eq!(it.groups.iter().collect::<Vec<_>>(), ["front"]);
    assert_eq!(it.budgets[0].bound, Bound::AvailableMin(1));
    assert_eq!(it.budgets[1].bound, Bound::UnavailableMax(2));
}

#[test]
fn a_manager_takes_what_a_scenario_tells_it() {
    use cluster::manager::Manager;
    use cluster::rules::Rules;
    use cluster::scheduler::{Desk, Scheduler};
    struct Idle;
    impl Scheduler for Idle {
        fn decide(&mut self, desk: &mut Desk<'_>) {
            while let Some(task) = desk.head() {
                desk.unfit(task);
            }
        }
    }
    let it = Scenario::parse("shop.json", SHOP).unwrap();
    let mut manager = Manager::new(Rules::default(), Box::new(Idle));
    let mut actions = Vec::new();
    for event in it.setup() {
        manager.handle(Instant::ZERO, event, &mut actions);
    }
    let nodes = manager.state().nodes();
    assert_eq!(nodes.task_counts(), [1, 0, 1, 0, 0, 0]);
    assert_eq!(nodes.status(NodeId(4)), NodeStatus::Draining);
    assert_eq!(nodes.status(NodeId(5)), NodeStatus::Lost);
    assert_eq!(manager.state().definition_count(), it.definitions.len());
    assert_eq!((it.running().count(), it.pending().count(), it.to_place().count()), (2, 3, 1));
}

#[test]
fn as_a_trace_it_brings_the_same() {
    let it = Scenario::parse("shop.json", SHOP).unwrap();
    let workload = it.to_workload();
    let same = |what: &What| !matches!(what, What::Definition { .. } | What::Task(_));
    let before: Vec<Arrival> = it.arrivals().into_iter().filter(|it| same(&it.what)).collect();
    let after: Vec<Arrival> = workload.stream().filter(|it| same(&it.what)).collect();
    assert_eq!(after, before, "nodes and budgets");
    for (id, task) in (0..).map(TaskId).zip(&it.tasks) {
        let mut arrival = workload.task(id);
        assert_eq!((workload.name(id), workload.arrives(id)), (task.name.as_str().into(), task.at));
        let (one, other) = (arrival.submission.definition, task.arrival.submission.definition);
        assert_eq!(workload.definitions()[one.row()], it.definitions[other.row()]);
        arrival.submission.definition = other;
        assert_eq!(arrival, task.arrival);
    }
    assert_eq!(workload.budgets().count(), 2);
    let again = Workload::from_stream(Card::default(), &mut it.arrivals().into_iter()).unwrap();
    assert_eq!(again.budgets().count(), 2);
}

#[test]
fn text_that_is_no_json() {
    for (text, line) in [("{\n  \"nodes\": [,]\n}", 2), ("{} x", 1), ("{\"nodes\": [", 1)] {
        let (at, _, says) = error_of(text);
        assert_eq!(at, line, "{says}");
    }
    assert!(matches!(Scenario::parse("s", ""), Err(TraceError::Empty { .. })));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(Scenario::parse("s", &deep), Err(TraceError::Json { .. })));
    check(&["// comment"], 2, "// comment", &["no comments"]);
    check(&[NODE, NODE], 3, r#""nodes""#, &["field \"nodes\" is there already"]);
    for text in ["[1]", "3", "\"x\""] {
        assert!(error_of(text).2.contains("an object in braces"), "{text}");
    }
}

#[test]
fn fields_and_words_that_are_not_known() {
    check(&[r#""node": []"#], 2, r#""node""#, &["unknown field \"node\"", "did you mean nodes?"]);
    let typo = r#""nodes": [{"name": "a", "cpu_core": 1}]"#;
    check(
        &[typo],
        2,
        r#""cpu_core""#,
        &["nodes[0]: unknown field \"cpu_core\"", "did you mean cpu_cores?"],
    );
    let typo = r#""definitions": {"web": {"containers": [{"memory_mb": 1}]}}"#;
    check(
        &[typo],
        2,
        r#""memory_mb""#,
        &["definitions.web.containers[0]", "did you mean memory_mib?"],
    );
    let word = r#""nodes": [{"name": "a", "status": "redy"}]"#;
    check(
        &[word],
        2,
        r#""redy""#,
        &["nodes[0].status: unknown word \"redy\"", "ready, draining, lost"],
    );
    let word = r#""nodes": [{"name": "a", "taints": [{"key": "k", "effect": "NoSchedul"}]}]"#;
    check(&[word], 2, r#""NoSchedul""#, &["did you mean NoSchedule?"]);
    check(
        &[WEB, r#""tasks": [{"definition": "weeb"}]"#],
        3,
        r#""weeb""#,
        &["unknown definition \"weeb\"", "did you mean web?"],
    );
    check(
        &[r#""tasks": [{"definition": "web"}]"#],
        2,
        r#""web""#,
        &["there is no definition at all"],
    );
    let on = r#""tasks": [{"definition": "web", "on": "aa"}]"#;
    check(&[NODE, WEB, on], 4, r#""aa""#, &["tasks[0].on: unknown node \"aa\"", "did you mean a?"]);
    check(&[r#""tasks": [{"name": "t"}]"#], 2, r#"{"#, &["tasks[0] has no \"definition\"", "add"]);
    check(&[r#""nodes": [{"cpu_cores": 1}]"#], 2, r#"{"#, &["nodes[0] has no \"name\""]);
}

#[test]
fn values_of_nodes_that_make_no_sense() {
    let node = |rest: &str| format!(r#""nodes": [{{"name": "a", {rest}}}]"#);
    for (rest, marked, wanted) in [
        (r#""cpu_cores": -1"#, r#"-1"#, "nodes[0].cpu_cores is -1; write a number of at least 0"),
        (r#""cpu_cores": "4""#, r#""4""#, "is \"4\"; write a number of at least 0, without quotes"),
        (r#""cpu_cores": 0.0001"#, r#"0.0001"#, "no more digits"),
        (r#""cpu_cores": 1e99"#, r#"1e99"#, "at most 10^9 cores"),
        (r#""cpu_cores": null, "cpu_milli": true"#, r#"true"#, "is true; write a number"),
        (r#""cpu_cores": 1, "cpu_milli": 1000"#, r#"1"#, "says again what cpu_milli says"),
        (r#""memory_gib": 99999999"#, r#"99999999"#, "at most 2^53 bytes"),
        (r#""zone": 3"#, r#"3"#, "is 3; write a text in quotes"),
        (r#""gpus": "T4""#, r#""T4""#, "a list in square brackets"),
        (r#""labels": {"zone": "x"}"#, r#""x""#, "an attribute that every node has"),
        (r#""labels": {"rack": 1}"#, r#"1"#, "nodes[0].labels.rack is 1"),
        (r#""taints": ["gpu"]"#, r#""gpu""#, "KEY=VALUE:EFFECT"),
        (r#""taints": ["gpu:Never"]"#, r#""gpu:Never""#, "NoExecute"),
        (r#""taints": [{"key": "", "effect": "NoExecute"}]"#, r#""""#, "a key"),
        (r#""images": [{"names": []}]"#, r#"[]"#, "at least one name"),
        (r#""reserved_ports": [0]"#, r#"0"#, "a port such as 80"),
        (r#""reserved_ports": [70000]"#, r#"70000"#, "is 70000"),
        (r#""reserved_ports": ["53/sctp"]"#, r#""53/sctp""#, "53/udp"),
        (r#""reserved_ports": [22, "22/tcp"]"#, r#""22/tcp""#, "stands there twice"),
        (r#""rank": -1"#, r#"-1"#, "a whole number from 0 to 4294967295"),
        (r#""count": 0"#, r#"0"#, "from 1 to 1000000"),
        (r#""count": 1.5"#, r#"1.5"#, "is 1.5; write a whole number"),
    ] {
        check(&[&node(rest)], 2, marked, &[wanted]);
    }
    let twice = r#""nodes": [{"name": "a-1"}, {"name": "a", "count": 2}]"#;
    check(&[twice], 2, r#""a""#, &["node \"a-1\" is there already", "a name of its own"]);
    check(&[r#""nodes": [{"name": ""}]"#], 2, r#""""#, &["a node's name"]);
    let list = format!("[{}\"T\"]", "\"T\",".repeat(64));
    let many = format!(r#""nodes": [{{"name": "a", "gpus": {list}}}]"#);
    check(&[&many], 2, &list, &["at most 64 devices"]);
}

#[test]
fn values_of_definitions_that_make_no_sense() {
    let one = |container: &str, rest: &str| {
        let web = format!(r#"{{"containers": [{{{container}}}]{rest}}}"#);
        error_of(&with(&[&format!("\"definitions\": {{\"web\":\n{web}\n}}")]))
    };
    for (container, rest, wanted) in [
        (r#""cpu_milli": 2, "cpu_limit_milli": 1"#, "", "asks for more cpu than its limit"),
        (r#""memory_mib": 2, "memory_limit_mib": 1"#, "", "more memory than its limit"),
        (r#""name": """#, "", "a container's name"),
        (r#""gpus": 65"#, "", "from 0 to 64"),
        (r#""gpus": 1, "gpu_milli": 1001"#, "", "0 to 1000 thousandths"),
        (r#""gpu_milli": 500"#, "", "is of no device"),
        (r#""ports": [80, 80]"#, "", "stands there twice"),
        (r#""name": "a"}, {"name": "a""#, "", "container \"a\" is there already"),
        (r#""name": "a"}, {"image": "x""#, "", "definitions.web.containers[1] has no \"name\""),
        (
            r#""name": "a", "ports": [80]}, {"name": "b", "ports": [80]"#,
            "",
            "another container has",
        ),
        (
            r#""name": "a", "gpus": 1}, {"name": "b", "gpus": 1, "gpu_milli": 5"#,
            "",
            "other devices",
        ),
        (r#""name": "a", "gpus": 40}, {"name": "b", "gpus": 40"#, "", "more than 64 gpus"),
        (
            r#""name": "a", "memory_gib": 8388608}, {"name": "b", "memory_gib": 1"#,
            "",
            "too much memory together",
        ),
        ("", r#", "requires": ["=a"]"#, "a test such as"),
        ("", r#", "requires": ["type~("]"#, "a test such as"),
        ("", r#", "requires": [{"attribute": "x"}]"#, "tests nothing"),
        (
            "",
            r#", "requires": [{"attribute": "x", "exists": true, "above": 1}]"#,
            "is a second test",
        ),
        ("", r#", "requires": [{"attribute": "x", "exists": false}]"#, "the opposite test"),
        ("", r#", "requires": [{"attribute": "x", "in": []}]"#, "at least one value"),
        ("", r#", "requires": [{"attribute": "", "exists": true}]"#, "an attribute's name"),
        ("", r#", "requires": [{"attribute": "x", "matches": "("}]"#, "regular expression"),
        ("", r#", "any_of": [[]]"#, "at least one test in each list"),
        ("", r#", "tolerations": ["a:b"]"#, "KEY, KEY=VALUE or *"),
        ("", r#", "tolerations": [{"key": ""}]"#, "none for every key"),
        ("", r#", "prefers": [{"weight": 0, "all": ["x"]}]"#, "from 1 to 100"),
        ("", r#", "prefers": [{"weight": 1, "all": []}]"#, "at least one test"),
        (
            "",
            r#", "affinity": [{"side": "near", "domain": "zone", "who": "grop"}]"#,
            "\"group\", a list",
        ),
        (
            "",
            r#", "affinity": [{"side": "near", "domain": "zone", "who": [], "weight": 101}]"#,
            "from 1 to 100",
        ),
        (
            "",
            r#", "affinity": [{"side": "near", "domain": "", "who": []}]"#,
            "an attribute such as",
        ),
        ("", r#", "affinity": [{"side": "far", "domain": "zone", "who": []}]"#, "near, apart"),
        ("", r#", "affinity": [{"side": "near", "domain": "zone"}]"#, "has no \"who\""),
        ("", r#", "spread": [{"domain": "zone", "who": [], "skew_max": 0}]"#, "at least 1"),
        ("", r#", "spread": [{"domain": "zone", "who": {"label": []}}]"#, "did you mean labels?"),
        ("", r#", "limits": [{"domain": "zone", "who": "group", "max": 0}]"#, "at least 1"),
    ] {
        let (line, _, says) = one(container, rest);
        assert_eq!(line, 3, "{says}");
        assert!(says.contains(wanted), "{wanted:?} is not in {says:?}");
    }
    check(&[r#""definitions": {"web": {"containers": []}}"#], 2, "[]", &["at least one container"]);
    check(&[r#""definitions": {"": {"containers": [{}]}}"#], 2, "{", &["is nameless"]);
    let twice = r#""definitions": {"a": {"containers": [{}]}, "a": {"containers": [{}]}}"#;
    check(&[twice], 2, r#""a""#, &["field \"a\" is there already"]);
}

#[test]
fn values_of_tasks_and_budgets_that_make_no_sense() {
    let gone = r#""nodes": [{"name": "a"}, {"name": "b", "status": "lost"}]"#;
    let task = |rest: &str| format!(r#""tasks": [{{"definition": "web", {rest}}}]"#);
    for (rest, wanted) in [
        (r#""on": "b""#, "is lost and runs nothing"),
        (r#""on": "a", "arrival_s": 0"#, "runs from the beginning"),
        (r#""arrival_s": -1"#, "at least 0"),
        (r#""arrival_s": 1.0000001"#, "no more digits"),
        (r#""arrival_s": 5, "withdrawn_s": 4"#, "after the arrival"),
        (r#""count": 0"#, "from 1 to 10000000"),
        (r#""priority": 3000000000"#, "2147483647"),
        (r#""kind": "cron""#, "job, service"),
        (r#""name": """#, "a task's name"),
        (r#""on_loss": "stop""#, "restart, end"),
    ] {
        let (line, _, says) = error_of(&with(&[gone, WEB, &task(rest)]));
        assert_eq!(line, 4, "{says}");
        assert!(says.contains(wanted), "{wanted:?} is not in {says:?}");
    }
    let twice = r#""tasks": [{"definition": "web", "name": "x"}], "place": {"definition": "web", "name": "x"}"#;
    check(&[WEB, twice], 3, r#""x""#, &["task \"x\" is there already"]);
    let on = r#""place": {"definition": "web", "on": "a"}"#;
    check(&[gone, WEB, on], 4, r#""a""#, &["is to be placed"]);
    let under = r#""nodes": [{"name": "a", "tasks": [{"definition": "web", "on": "a"}]}]"#;
    check(&[WEB, under], 3, r#""a""#, &["stands under its node"]);
    let budget = |rest: &str| format!(r#""budgets": [{{"name": "b"{rest}}}]"#);
    check(&[&budget("")], 2, "{", &["bounds nothing"]);
    check(&[&budget(r#", "available_min": 1, "unavailable_max": 1"#)], 2, "1", &["second bound"]);
    check(&[&budget(r#", "available_min": -1"#)], 2, "-1", &["0 to 4294967295"]);
    let twice =
        r#""budgets": [{"name": "b", "available_min": 1}, {"name": "b", "available_min": 1}]"#;
    check(&[twice], 2, r#""b""#, &["budget \"b\" is there already"]);
}

#[test]
fn many_alike_have_names_of_their_own() {
    let nodes = r#""nodes": [{"name": "a", "count": 2, "tasks": [{"name": "t", "definition": "web", "count": 2}]}]"#;
    let it =
        Scenario::parse("s", &with(&[WEB, nodes, r#""place": [{"definition": "web"}]"#])).unwrap();
    let names: Vec<&str> = it.tasks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["t@a-0/0", "t@a-0/1", "t@a-1/0", "t@a-1/1", "place[0]"]);
}

/// What of a value a schema does not allow; knows the words that our schema uses.
fn violation(schema: &Value, root: &Value, it: &Value) -> Option<String> {
    let words = schema.as_object()?;
    for (word, says) in words {
        let list = || says.as_array().unwrap().iter();
        let bad = match word.as_str() {
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "default"
            | "format"
            | "required"
            | "additionalProperties" => None,
            "$ref" => {
                let name = says.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                violation(&root["$defs"][name], root, it)
            }
            "type" => {
                let kind = match it {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let is_whole = it.is_u64() || it.is_i64();
                let fits = |word: &Value| word == kind || word == "integer" && is_whole;
                let is_right = if says.is_array() { list().any(fits) } else { fits(says) };
                (!is_right).then(|| format!("{it} is no {says}"))
            }
            "minimum" => (it.as_f64() < says.as_f64()).then(|| format!("{it} is below {says}")),
            "maximum" => (it.as_f64() > says.as_f64()).then(|| format!("{it} is above {says}")),
            "const" => (it != says).then(|| format!("{it} is not {says}")),
            "enum" => list().all(|one| one != it).then(|| format!("{it} is not in {says}")),
            "anyOf" | "oneOf" => {
                let bad: Vec<String> = list().filter_map(|one| violation(one, root, it)).collect();
                (bad.len() == list().len()).then(|| bad.join("; "))
            }
            "items" => {
                let mut all = it.as_array().into_iter().flatten();
                all.find_map(|it| violation(says, root, it))
            }
            "properties" => {
                let mut all = it.as_object().into_iter().flatten();
                all.find_map(|(name, it)| violation(says.get(name)?, root, it))
            }
            other => panic!("the schema says {other:?}"),
        };
        if bad.is_some() {
            return bad;
        }
    }
    let all = it.as_object()?;
    let needed = words.get("required").and_then(Value::as_array).into_iter().flatten();
    if let Some(name) = needed.map(|it| it.as_str().unwrap()).find(|it| !all.contains_key(*it)) {
        return Some(format!("no {name}"));
    }
    let known = |name: &str| words.get("properties").is_some_and(|it| it.get(name).is_some());
    all.iter().filter(|it| !known(it.0)).find_map(|(name, it)| {
        match words.get("additionalProperties") {
            Some(Value::Bool(false)) => Some(format!("unknown {name}")),
            Some(more) => violation(more, root, it),
            None => None,
        }
    })
}

#[test]
fn the_schema_says_what_is_read() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let judge = |text: &str| violation(&schema, &schema, &serde_json::from_str(text).unwrap());
    assert_eq!(judge(SHOP), None);
    for (part, wanted) in [
        (r#""node": []"#, "unknown node"),
        (r#""nodes": [{"zone": "z"}]"#, "no name"),
        (r#""nodes": [{"name": "a", "cpu_cores": -1}]"#, "below 0"),
        (r#""nodes": [{"name": "a", "status": "redy"}]"#, "is not"),
        (r#""definitions": {"web": {"containers": 1}}"#, "is no"),
        (r#""definitions": {"web": {"containers": [{"cpu": 1}]}}"#, "unknown cpu"),
        (r#""place": {"definition": 1}"#, "is no"),
    ] {
        let text = with(&[part]);
        let bad = judge(&text).unwrap_or_else(|| panic!("{text} passes"));
        assert!(bad.contains(wanted), "{bad}");
        assert!(Scenario::parse("s", &text).is_err());
    }
    // Every field is described.
    for (name, it) in schema["$defs"].as_object().unwrap() {
        for (field, it) in it["properties"].as_object().into_iter().flatten() {
            assert!(it.get("description").is_some(), "{name}.{field}");
        }
    }
}
