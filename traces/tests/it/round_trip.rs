//! What is written in our own format reads back to the same arrivals.

use crate::story::{here, read, story};
use cluster::arrival::{Arrival, TaskArrival, What};
use cluster::constraint::{
    Affinity, Bound, Budget, Constraints, Effect, Image, Limit, Pattern, Preference, Side, Spread,
    Strength, Taint, Test, Toleration, Who,
};
use cluster::demand::{
    Amounts, Container, Demand, GpuAsk, Port, Protocol, Requirement, Resource, TaskDefinition,
};
use cluster::event::{Event, NodeEvent, OnLoss, Submission, TaskKind};
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::units::{Bytes, GpuMilli, Instant, MilliCpu, Span};
use proptest::prelude::*;
use traces::Workload;
use traces::bayplan;
use traces::card::Card;

/// Writes, reads, and gives both as arrivals, definitions by what they ask for.
fn through_files(workload: &Workload, gzip: bool) -> Workload {
    let folder = tempfile::tempdir().unwrap();
    bayplan::write(workload, folder.path(), gzip).unwrap();
    read(&folder.path().display().to_string()).unwrap()
}

fn arrivals(workload: &Workload) -> Vec<Arrival> {
    let named = |arrival: Arrival| match arrival.what {
        What::Definition { definition, spec } => {
            let zero = spec.containers[0].zero.clone();
            let mut plain = TaskDefinition::single("", spec.demand());
            plain.containers[0].zero = zero;
            let mut nameless = spec.clone();
            nameless.name.clear();
            nameless.containers[0].name.clear();
            let spec = if nameless == plain { plain } else { spec };
            Arrival { what: What::Definition { definition, spec }, ..arrival }
        }
        _ => arrival,
    };
    workload.stream().map(named).collect()
}

#[test]
fn every_fixture_and_a_generated_workload_come_back() {
    let orlib = format!("orlib:{}?instance=a_00", here("fixtures/orlib/two.txt"));
    let builtin = "builtin:small?tasks=800&seed=5".to_owned();
    let folders = ["bayplan", "openb", "swf", "scenario"].map(|it| here(&format!("fixtures/{it}")));
    for (source, gzip) in
        folders.into_iter().chain([orlib, builtin]).zip([false, true].into_iter().cycle())
    {
        let before = read(&source).unwrap();
        let after = through_files(&before, gzip);
        assert_eq!(arrivals(&after), arrivals(&before), "{source}");
        // Names too, but where the card's units, the recipe or the file name plain definitions in their own way.
        let has_own_names = source.starts_with("orlib") || source.ends_with("scenario");
        if source.contains("fixtures") && !has_own_names {
            assert_eq!(story(&after), story(&before), "{source}");
        }
    }
}

prop_compose! {
    fn demands()(
        cpu in 0..100_000u64,
        memory in any::<u32>(),
        disk in prop_oneof![Just(0), any::<u64>().prop_map(|it| it >> 11)],
        count in 0..4u16,
        milli in 0..=1000u32,
        models in prop::collection::btree_set("[A-Z][0-9a-z -]{0,3}[a-z]", 0..3),
        ports in prop::collection::btree_set((any::<bool>(), 1..=u16::MAX), 0..3),
        requires in prop::collection::btree_map("[a-z]{1,4}", prop::collection::btree_set("[a-z, ]{0,3}[a-z]", 0..3), 0..3),
    ) -> Demand {
        let gpus = match count {
            0 => GpuAsk::default(),
            count => GpuAsk { count, milli: GpuMilli(milli), models: models.into_iter().collect() },
        };
        let mut ports: Vec<Port> = ports
            .into_iter()
            .map(|(tcp, number)| Port { protocol: if tcp { Protocol::Tcp } else { Protocol::Udp }, number })
            .collect();
        ports.sort();
        let requires = requires
            .into_iter()
            .map(|(attribute, values)| Requirement::one_of(attribute, values))
            .collect();
        let amounts = Amounts { cpu: MilliCpu(cpu), memory: Bytes(memory.into()), disk: Bytes(disk) };
        Demand { amounts, gpus, ports, requires, ..Demand::default() }
    }
}

#[derive(Debug, Clone)]
struct TaskDraw {
    gap: u64,
    definition: usize,
    group: Option<u32>,
    kind: TaskKind,
    priority: i32,
    lifetime: Option<u64>,
    estimate: Option<u64>,
    patience: Option<u64>,
    resident: Option<u32>,
    on_loss: OnLoss,
}

fn texts() -> impl Strategy<Value = String> {
    "[a-z|;=:!<>~@,\"\\\\ ]{0,3}[a-z]"
}

fn test() -> impl Strategy<Value = Requirement> {
    let list = || prop::collection::btree_set(texts(), 1..3).prop_map(Vec::from_iter);
    let test = prop_oneof![
        list().prop_map(Test::In),
        list().prop_map(Test::NotIn),
        Just(Test::Exists),
        Just(Test::Absent),
        any::<i64>().prop_map(Test::Above),
        any::<i64>().prop_map(Test::Below),
        Just(Test::Matches(Pattern::read("a|\"[b;]\\\\.c").unwrap())),
    ];
    (texts(), test).prop_map(|(attribute, test)| Requirement { attribute, test })
}

fn tests(least: usize) -> impl Strategy<Value = Vec<Requirement>> {
    prop::collection::vec(test(), least..3)
}

fn who() -> impl Strategy<Value = Who> {
    let labels = (tests(0), prop::collection::vec(texts(), 0..2));
    prop_oneof![
        Just(Who::Group),
        labels.prop_map(|(all, namespaces)| Who::Labels { all, namespaces })
    ]
}

fn effect() -> impl Strategy<Value = Effect> {
    prop::sample::select(vec![Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute])
}

prop_compose! {
    fn constraints()(
        tolerations in prop::collection::vec((prop::option::of(texts()), prop::option::of(texts()), prop::option::of(effect())), 0..3),
        any_of in prop::collection::vec(tests(1), 0..3),
        prefers in prop::collection::vec((1..=100, tests(1)), 0..2),
        affinity in prop::collection::vec((any::<bool>(), prop::option::of(1..=100), texts(), who()), 0..3),
        spread in prop::collection::vec((texts(), 1..9u32, 0..4u32, any::<bool>(), who()), 0..2),
        limits in prop::collection::vec((texts(), 1..9u32, who()), 0..2),
    ) -> Constraints {
        Constraints {
            tolerations: tolerations.into_iter().map(|(key, value, effect)| Toleration { key, value, effect }).collect(),
            any_of,
            prefers: prefers.into_iter().map(|(weight, all)| Preference { weight, all }).collect(),
            affinity: affinity.into_iter().map(|(near, weight, domain, who)| Affinity {
                side: if near { Side::Near } else { Side::Apart },
                strength: weight.map_or(Strength::Hard, Strength::Soft),
                domain,
                who,
            }).collect(),
            spread: spread.into_iter().map(|(domain, skew_max, domains_min, is_hard, who)| {
                Spread { domain, skew_max, domains_min, is_hard, who }
            }).collect(),
            limits: limits.into_iter().map(|(domain, max, who)| Limit { domain, max, who }).collect(),
        }
    }
}

prop_compose! {
    /// A definition that says more than columns can.
    fn rich()(
        name in texts(),
        mut demand in demands(),
        second in any::<bool>(),
        requires in tests(0),
        zero in prop::sample::subsequence(Resource::ALL.to_vec(), 0..4),
        namespace in "[a-z]{0,2}",
        labels in prop::collection::btree_map(texts(), "[a-z\"]{0,2}", 0..3),
        constraints in constraints(),
    ) -> TaskDefinition {
        demand.requires = requires;
        demand.requires.sort_unstable();
        demand.requires.dedup();
        let asked = demand.amounts.array();
        let is_none = |it: &Resource| match it {
            Resource::Gpu => demand.gpus.count == 0,
            it => asked[it.row()] == 0,
        };
        let zero = zero.into_iter().filter(is_none).collect();
        let container = |name: &str, demand| Container { name: name.into(), image: "i:1".into(), demand, ..Container::default() };
        let mut containers = vec![Container { zero, ..container("one", demand) }];
        if second {
            containers.push(container("two", Demand::default()));
        }
        TaskDefinition { name, containers, namespace, labels: labels.into_iter().collect(), constraints: Box::new(constraints) }
    }
}

prop_compose! {
    fn tasks()(
        gap in prop_oneof![Just(0), 0..10_000_000_000u64],
        definition in 0..6usize,
        group in prop::option::of(0..3u32),
        service in any::<bool>(),
        priority in any::<i32>(),
        lifetime in prop::option::of(0..=100_000_000_000_000_000u64),
        estimate in prop::option::of(0..1_000_000_000u64),
        patience in prop::option::of(0..1_000_000_000u64),
        resident in prop::option::of(0..2u32),
        end in any::<bool>(),
    ) -> TaskDraw {
        TaskDraw {
            gap, definition, group, priority, lifetime, estimate, patience, resident,
            kind: if service { TaskKind::Service } else { TaskKind::Job },
            on_loss: if end { OnLoss::End } else { OnLoss::Restart },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_workload_comes_back(
        demands in prop::collection::btree_set(demands(), 4),
        tasks in prop::collection::vec(tasks(), 1..40),
        gpus in prop::collection::vec(prop::sample::select(vec!["T4", "V100"]), 0..4),
        rich in prop::collection::btree_map("[a-z|;=:,@ ]{0,3}[a-z]", rich(), 2),
        budgets in prop::collection::btree_map(texts(), (texts(), tests(0), any::<bool>(), any::<u32>()), 0..3),
        taints in prop::collection::vec(("[a-z/.]{1,4}", "[a-z=]{0,2}", effect()), 0..3),
        images in prop::collection::vec((prop::collection::vec("[a-z:@]{0,3}[a-z]", 1..3), 0..1u64 << 53), 0..3),
        label in "[a-z, ]{0,2}[a-z]?",
        gzip in any::<bool>(),
    ) {
        let mut stream = Vec::new();
        for row in 0..2u32 {
            let capacity = NodeCapacity {
                amounts: Amounts { cpu: MilliCpu(1500), memory: Bytes(7), disk: Bytes(9) },
                gpus: gpus.iter().map(|it| (*it).to_owned()).collect(),
            };
            let node = NodeSpec {
                name: format!("n{row}"),
                zone: "z".into(),
                capacity,
                attributes: vec![("empty".into(), label.trim().into()), ("rack".into(), format!("r{row}, left"))],
                rank: Some(9 - row),
                reserved_ports: vec![],
                taints: taints.iter().take(row as usize * 3).cloned().map(|(key, value, effect)| Taint { key, value, effect }).collect(),
                images: images.iter().cloned().map(|(names, size)| Image { names, size: Bytes(size) }).collect(),
            };
            let event = NodeEvent::Joined(Box::new(node));
            stream.push(Arrival { at: Instant(0), what: What::Node { node: NodeId(row), event } });
        }
        let told = |it| Arrival { at: Instant(0), what: What::Told(Event::BudgetPut(it)) };
        stream.extend(budgets.into_iter().map(|(name, (namespace, select, at_least, count))| told(Budget {
            name,
            namespace,
            select,
            bound: if at_least { Bound::AvailableMin(count) } else { Bound::UnavailableMax(count) },
        })));
        let plain = demands.into_iter().map(|it| TaskDefinition::single("", it));
        let rich = rich.into_iter().map(|(name, it)| TaskDefinition { name, ..it });
        for (definition, spec) in (0..).map(DefinitionId).zip(plain.chain(rich)) {
            stream.push(Arrival { at: Instant(0), what: What::Definition { definition, spec } });
        }
        let mut at = Instant(0);
        for (id, it) in (0..).zip(&tasks) {
            at = at + Span(it.gap);
            let submission = Submission {
                task: TaskId(id),
                definition: DefinitionId(it.definition as u32),
                group: it.group.map(GroupId),
                kind: it.kind,
                priority: it.priority,
                estimate: it.estimate.map(Span),
                on_loss: it.on_loss,
            };
            let task = TaskArrival {
                submission,
                lifetime: it.lifetime.map(Span),
                withdrawn: it.patience.map(|it| at + Span(it)),
                resident: it.resident.map(NodeId),
            };
            stream.push(Arrival { at, what: What::Task(task) });
        }
        let before = Workload::from_stream(Card::new("drawn", "test"), &mut stream.into_iter()).unwrap();
        prop_assert_eq!(before.task_count(), tasks.len());
        let after = through_files(&before, gzip);
        prop_assert_eq!(arrivals(&after), arrivals(&before));
    }
}

#[test]
fn what_a_copy_loses_is_told() {
    let until = format!("{}?until=5610.5s", crate::story::here("fixtures/bayplan"));
    let mut workload = crate::story::read(&until).unwrap();
    workload.card.suggested_overcommit = Some([1600, 2000, 1000]);
    assert_eq!(
        workload.lost_in_csv(),
        [
            "the horizon of 93.5 min: replay with --until 5610.5s",
            "the suggested over-commit: replay with --overcommit cpu=1.6,memory=2",
        ]
    );
    let plain = crate::story::here("fixtures/bayplan");
    assert!(crate::story::read(&plain).unwrap().lost_in_csv().is_empty());
}
