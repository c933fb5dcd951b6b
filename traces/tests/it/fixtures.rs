//! Every format on a small file made by hand.

use crate::story::{check, here, read, story};
use cluster::demand::Protocol;
use cluster::nodes::Overcommit;
use cluster::units::Instant;
use traces::cluster_source::ClusterSource;
use traces::error::TraceError;
use traces::source::{ReadOptions, Source};
use traces::transform::TimeScale;
use traces::workload::Oversized;
use traces::zones::Zones;

#[test]
fn bayplan_reads_tasks_and_nodes() {
    let workload = read(&here("fixtures/bayplan")).unwrap();
    check(
        &workload,
        "
        0s n0 n-0 joins zone-a 4000/8589934592/ rack=r1 ssd=yes not:22
        0s n1 n-1 joins zone-a 4000/8589934592/ rack=r1 ssd=yes not:22
        0s n2 big joins zone-b 16500/68719476736/T4+T4 rack=r2
        0s d0 cpu 2 cores, memory 4 GiB, port 5432, rack=r1|r2, ssd
        0s t0 db d0 on=n0 group=core priority=9 kind=service on_loss=end
        0s d1 cpu 0.5 cores, memory 512 MiB, port 80, port 443
        0s t1 web/0 d1 group=front priority=5 kind=service
        0s t2 web/1 d1 group=front priority=5 kind=service
        1.5s d2 cpu 4 cores, memory 1 GiB, 1 x 500/1000 gpu of T4|V100
        1.5s t3 train d2 life=3600s estimate=7200s group=ml priority=-1
        2s d3 cpu 0.25 cores, memory 128 MiB
        2s t4 early d3 life=60s
        3s t5 late d3 life=60000001us until=90s
        10s n0 draining
        20s n1 lost
        30.25s n1 returned
        40s n2 updated 16500/34359738368/T4+T4
        ",
    );
    assert_eq!(workload.card.counted("tasks earlier than the one before (sorted)"), 1);
    let ports = &workload.definitions()[0].demand().ports;
    assert_eq!((ports[0].protocol, ports[0].number), (Protocol::Tcp, 5432));
    let place = workload.place(cluster::ids::TaskId(4));
    assert_eq!(place.line, 6, "the early one stands in line 6");
}

#[test]
fn the_card_counts_what_was_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.csv");
    let rows = "id,arrival_s,cpu_cores,mem_gib\na,3,,1\nb,2,,\na,1,1,1\na,4,1,1\n";
    std::fs::write(&path, rows).unwrap();
    let card = read(&path.display().to_string()).unwrap().card;
    for (what, want) in [
        ("tasks of a name that an earlier task has (kept)", 2),
        ("tasks earlier than the one before (sorted)", 2),
        ("blank cpu cells of tasks (read as 0)", 2),
        ("blank memory cells of tasks (read as 0)", 1),
    ] {
        assert_eq!(card.counted(what), want, "{what}");
    }
}

#[test]
fn residents_find_their_node_in_a_cluster_given_separately() {
    let mut workload = read(&here("fixtures/bayplan/tasks.csv")).unwrap();
    assert!(!workload.has_nodes());
    let cluster = ClusterSource::parse(&here("fixtures/bayplan/nodes.csv")).unwrap();
    workload.set_cluster(traces::read_cluster(&cluster).unwrap()).unwrap();
    assert_eq!(workload.card.measured.residents, 1);
    let other = ClusterSource::parse("uniform:3,cpu=64,mem=64GiB,gpus=1,gpu_model=T4").unwrap();
    workload.set_cluster(traces::read_cluster(&other).unwrap()).unwrap();
    assert_eq!(workload.card.measured.residents, 0);
    assert_eq!(
        workload.card.counted("residents of nodes that are not there (submitted instead)"),
        1
    );
}

#[test]
fn a_cluster_file_brings_what_happens_to_its_nodes() {
    let mut workload = read("builtin:small?tasks=50").unwrap();
    let cluster = ClusterSource::parse(&here("fixtures/bayplan/nodes.csv")).unwrap();
    workload.set_cluster_from(&cluster).unwrap();
    let events = &workload.card.measured.node_events;
    assert_eq!((events["joined"], events["lost"], events["updated"]), (3, 1, 1));
    workload.set_cluster(traces::read_cluster(&cluster).unwrap()).unwrap();
    assert_eq!(workload.card.measured.node_events.len(), 1, "a list of nodes has no story");
    let google = ClusterSource::parse(&here("fixtures/google-2011")).unwrap();
    assert_eq!(traces::read_cluster(&google).unwrap().len(), 2, "the third joins later");
}

#[test]
fn only_files_that_are_read_are_named() {
    let names = |source: &str| -> Vec<String> {
        let files = Source::parse(source).unwrap().files().unwrap();
        files.iter().map(|it| it.file_name().unwrap().display().to_string()).collect()
    };
    let openb = here("fixtures/openb");
    assert_eq!(names(&openb), ["openb_node_list_gpu_node.csv", "openb_pod_list_default.csv"]);
    assert_eq!(names(&format!("{openb}?pods=multi&nodes=none")), ["openb_pod_list_multi.csv"]);
    assert_eq!(names(&here("fixtures/google-2011")).len(), 3);
    assert!(names("builtin:small").is_empty());
}

#[test]
fn openb_takes_the_default_list_and_says_so() {
    let workload = read(&here("fixtures/openb")).unwrap();
    check(
        &workload,
        "
        0s n0 node-a joins  64000/274877906944/P100+P100
        0s n1 node-b joins  96000/412316860416/G2+G2+G2+G2+G2+G2+G2+G2
        0s d0 cpu 12 cores, memory 16 GiB, 1 x 1000/1000 gpu
        0s t0 pod-1 d0 life=96s
        20s d1 cpu 8 cores, memory 8 GiB
        20s t1 pod-3 d1 until=50s
        30s d2 cpu 3 cores, memory 4 GiB, 1 x 460/1000 gpu of G2|P100
        30s t2 pod-2 d2 life=50s
        40s d3 cpu 16 cores, memory 32 GiB, 8 x 1000/1000 gpu
        40s t3 pod-4 d3 life=1s
        ",
    );
    assert!(workload.card.assumptions.iter().any(|it| it.contains("pods=default")));
    assert_eq!(workload.card.counted("gpu_spec sets written with repeats"), 1);
}

#[test]
fn openb_options_choose_lists() {
    let folder = here("fixtures/openb");
    let all = read(&format!("openb:{folder}?pods=multi&nodes=all")).unwrap();
    assert_eq!((all.task_count(), all.node_count()), (2, 3));
    assert_eq!(story(&all).last().unwrap(), "1s t1 pod-2 d1");
    let none = read(&format!("{folder}?nodes=none")).unwrap();
    assert!(!none.has_nodes());
    let beside = read(&format!("{folder}/openb_pod_list_multi.csv?nodes=gpu")).unwrap();
    assert_eq!(beside.node_count(), 2);
    let error = read(&format!("{folder}?pods=defalt")).unwrap_err();
    assert!(error.help().contains("did you mean default?"), "{}", error.help());
}

#[test]
fn google_merges_runs_and_loads_residents() {
    let workload = read(&here("fixtures/google-2011")).unwrap();
    check(
        &workload,
        "
        0s n0 5 joins  500000/249300/ platform=plat=
        0s n1 6 joins  1000000/1000000/ platform=plat=
        0s d0 cpu 0.125, memory 0.07446
        0s t0 10/0 d0 on=n0 group=10 priority=9 kind=service
        0s d1 cpu 0.0313, memory 0.050001
        0s t1 10/1 d1 life=800s on=n0 group=10 priority=9 kind=service
        0s d2 cpu 0.5, memory 0.5
        0s t2 11/0 d2 until=700s group=11
        0s d3 cpu 0, memory 0.1
        0s t3 12/0 d3 group=12
        0s d4 cpu 0.25, memory 0.1
        0s t4 15/0 d4 group=15 priority=1
        600s t5 13/0 d4 life=400us group=13 priority=2
        600000100us n2 7 joins  500000/499500/ platform=plat=
        700s n0 lost
        700000900us n0 returned
        700.001s n1 updated 1000000/500000/
        ",
    );
    let card = &workload.card;
    for (what, want) in [
        ("rows of machine_events", 9),
        ("machines", 3),
        ("machines at time 0", 2),
        ("ADDs without capacity", 1),
        ("UPDATEs that fill in such an ADD", 1),
        ("UPDATEs that change capacity otherwise", 1),
        ("node events after the horizon (left out)", 1),
        ("rows of task_events", 18),
        ("SUBMITs with blank requests", 1),
        ("SUBMITs for no cpu", 1),
        ("SUBMITs that ask for different machines (not honoured)", 1),
        ("resubmissions after EVICT (merged)", 1),
        ("residents of nodes that are not there (submitted instead)", 2),
        ("residents placed with another request than submitted (taken)", 1),
        ("events of tasks never submitted", 1),
        ("tasks submitted but not placed at time 0", 1),
    ] {
        assert_eq!(card.counted(what), want, "{what}");
    }
    assert_eq!(card.refusals.count(), 1);
    assert_eq!(workload.horizon(), Some(Instant::from_secs(800)));
    assert_eq!(card.suggested_overcommit, Some([1000, 1000, 1000]));
}

#[test]
fn swf_makes_tasks_of_jobs() {
    let workload = read(&here("fixtures/swf/tiny.swf")).unwrap();
    check(
        &workload,
        "
        0s n0 node-0000 joins  3000/3145728/
        0s n1 node-0001 joins  3000/3145728/
        0s n2 node-0002 joins  2000/2097152/
        0s d0 cpu 1 cores, memory 1 MiB
        0s t0 1/0 d0 life=100.5s estimate=200s group=1
        0s t1 1/1 d0 life=100.5s estimate=200s group=1
        7.25s d1 cpu 1 cores
        7.25s t2 2/0 d1 life=0s group=2
        7.25s t3 2/1 d1 life=0s group=2
        7.25s t4 2/2 d1 life=0s group=2
        8s t5 5/0 d1 life=90s estimate=60s group=5
        ",
    );
    assert_eq!(workload.card.refusals.by_reason["run time unknown"], 1);
    assert_eq!(workload.card.refusals.by_reason["number of processors unknown"], 1);
    assert_eq!(workload.card.counted("jobs that ran longer than they had asked for"), 1);
    let whole = read(&format!("swf:{}?as=task", here("fixtures/swf/tiny.swf"))).unwrap();
    assert_eq!((whole.task_count(), whole.node_count()), (3, 1));
    assert_eq!(whole.definitions()[1].demand().amounts.cpu.0, 3000);
}

#[test]
fn orlib_needs_an_instance_where_there_are_several() {
    let file = here("fixtures/orlib/two.txt");
    let error = read(&file).unwrap_err();
    assert!(error.help().contains("instance=a_01"), "{}", error.help());
    let workload = read(&format!("orlib:{file}?instance=a_00")).unwrap();
    check(
        &workload,
        "
        0s n0 bin-0000 joins  100000/0/
        0s n1 bin-0001 joins  100000/0/
        0s n2 bin-0002 joins  100000/0/
        0s d0 cpu 50
        0s t0 a_00/0 d0
        0s d1 cpu 49.5
        0s t1 a_00/1 d1
        0s d2 cpu 70
        0s t2 a_00/2 d2
        ",
    );
}

fn transformed(path: &str, options: ReadOptions) -> Vec<String> {
    story(&traces::read(&Source::parse(&here(path)).unwrap(), &options).unwrap())
}

#[test]
fn a_static_fill_keeps_the_order_of_the_file_alone() {
    let got =
        transformed("fixtures/openb", ReadOptions { static_fill: true, ..Default::default() });
    let tasks: Vec<&String> = got.iter().filter(|it| it.contains("pod-")).collect();
    assert_eq!(tasks, ["0s t0 pod-1 d0", "1s t1 pod-2 d1", "2s t2 pod-3 d2", "3s t3 pod-4 d3"]);
    let by_option = story(&read(&format!("{}?fill=static", here("fixtures/openb"))).unwrap());
    assert_eq!(got, by_option);
    let google = transformed("fixtures/google-2011?fill=static", ReadOptions::default());
    assert!(
        google
            .iter()
            .all(|it| !it.contains("life=") && !it.contains("on=") && !it.contains("lost"))
    );
    assert_eq!(google.iter().filter(|it| it.contains("joins")).count(), 3);
}

#[test]
fn scaling_changes_moments_and_keeps_lengths() {
    let scale = Some(TimeScale::parse("1/10").unwrap());
    let got =
        transformed("fixtures/openb", ReadOptions { time_scale: scale, ..Default::default() });
    let tasks: Vec<&String> = got.iter().filter(|it| it.contains("pod-")).collect();
    assert_eq!(
        tasks,
        [
            "0s t0 pod-1 d0 life=96s",
            "2s t1 pod-3 d1 until=32s",
            "3s t2 pod-2 d2 life=50s",
            "4s t3 pod-4 d3 life=1s"
        ]
    );
}

#[test]
fn a_shuffle_permutes_tasks_over_the_same_times() {
    let plain = transformed("fixtures/swf/tiny.swf", ReadOptions::default());
    let options = |seed| ReadOptions { shuffle: Some(seed), ..Default::default() };
    let shuffled = transformed("fixtures/swf/tiny.swf", options(1));
    assert_eq!(shuffled, transformed("fixtures/swf/tiny.swf", options(1)));
    assert_ne!(shuffled, transformed("fixtures/swf/tiny.swf", options(2)));
    assert_ne!(shuffled, plain);
    let tasks = |story: &[String], part: usize| -> Vec<String> {
        let lines = story.iter().filter(|it| it.contains("life="));
        lines.map(|it| it.split(' ').nth(part).unwrap().to_owned()).collect()
    };
    assert_eq!(tasks(&shuffled, 0), tasks(&plain, 0), "arrival times stay");
    let (mut one, mut other) = (tasks(&shuffled, 2), tasks(&plain, 2));
    one.sort();
    other.sort();
    assert_eq!(one, other, "every task is there once");
}

#[test]
fn until_and_limit_cut_the_workload() {
    let cut = read(&format!("{}?until=2", here("fixtures/bayplan"))).unwrap();
    assert_eq!(cut.task_count(), 5);
    assert_eq!(cut.horizon(), Some(Instant::from_secs(2)));
    assert_eq!(cut.card.counted("node events after the horizon (left out)"), 4);
    let limited = read(&format!("{}?limit=2", here("fixtures/bayplan"))).unwrap();
    assert_eq!(limited.task_count(), 2);
}

#[test]
fn synthetic_zones_are_marked_and_follow_the_cluster() {
    let zones = Some(Zones::parse("2:by=rack").unwrap());
    let options = ReadOptions { zones, ..Default::default() };
    let source = Source::parse(&here("fixtures/bayplan")).unwrap();
    let mut workload = traces::read(&source, &options).unwrap();
    assert_eq!(workload.card.zones.as_deref(), Some("2 by rack"));
    let zones: Vec<&str> = workload.nodes().map(|(_, it)| it.zone.as_str()).collect();
    assert_eq!(zones, ["zone-a", "zone-a", "zone-b"]);
    assert!(workload.card.to_string().contains("synthetic, 2 by rack"));
    let plain = ClusterSource::parse("uniform:3,cpu=64,mem=64GiB").unwrap();
    let error = workload.set_cluster(traces::read_cluster(&plain).unwrap()).unwrap_err();
    assert!(matches!(error, TraceError::NoLabel { .. }), "{error}");
}

#[test]
fn oversized_tasks_are_refused_dropped_or_kept() {
    let read = |oversized| {
        let source = Source::parse(&here("fixtures/openb")).unwrap();
        let options = ReadOptions { oversized, ..Default::default() };
        let mut workload = traces::read(&source, &options).unwrap();
        let small = ClusterSource::parse("uniform:2,cpu=12,mem=64GiB,gpus=2,gpu_model=T4").unwrap();
        workload.set_cluster(traces::read_cluster(&small).unwrap()).unwrap();
        workload
    };
    let mut refused = read(Oversized::Error);
    match refused.enforce_fits(Overcommit::default()).unwrap_err() {
        TraceError::Oversized { place, task, wants, count } => {
            assert_eq!((place.line, task.as_str(), count), (3, "pod-2", 2));
            assert_eq!(wants, "1 gpu devices of G2|P100, no node has more than 0");
        }
        other => panic!("{other}"),
    }
    let mut dropped = read(Oversized::Drop);
    dropped.enforce_fits(Overcommit::default()).unwrap();
    assert_eq!((dropped.task_count(), dropped.card.refusals.count()), (2, 2));
    assert_eq!(story(&dropped).last().unwrap(), "20s t1 pod-3 d1 until=50s");
    let mut kept = read(Oversized::Keep);
    kept.enforce_fits(Overcommit::default()).unwrap();
    assert_eq!(kept.task_count(), 4);
    // 16 cores fit twice 12, but eight devices never fit two.
    let shorts: Vec<String> =
        kept.check_fits(Overcommit([2000; 3])).into_iter().map(|it| it.wants).collect();
    assert!(shorts.iter().all(|it| it.contains("gpu devices")), "{shorts:?}");
    assert_eq!(shorts.len(), 2);
}

#[test]
fn a_card_says_what_was_found() {
    let workload = read(&here("fixtures/bayplan")).unwrap();
    let measured = &workload.card.measured;
    assert_eq!((measured.tasks, measured.service_tasks, measured.groups), (6, 3, 3));
    assert_eq!(
        (measured.endless_tasks, measured.withdrawn_tasks, measured.estimated_tasks),
        (3, 1, 1)
    );
    assert_eq!(measured.burst_max, 2, "the resident is no arrival");
    let cpu = &measured.load[0];
    assert_eq!((cpu.peak, cpu.peak_us, cpu.capacity), (7500, 3_000_000, 24_500));
    let json = serde_json::to_value(&workload.card).unwrap();
    assert_eq!(json["measured"]["node_events"]["joined"], 3);
    let text = workload.card.to_string();
    for want in
        ["format         bayplan", "zone-a: 2, zone-b: 1", "cpu: at most 7.5 cores of 24.5 cores"]
    {
        assert!(text.contains(want), "{want:?} is not in\n{text}");
    }
}

#[test]
fn a_scenario_is_a_trace_and_a_cluster() {
    let path = here("fixtures/scenario/shop.json");
    let workload = read(&path).unwrap();
    assert_eq!(workload.card.format, "scenario");
    check(
        &workload,
        "
        0s n0 a-0 joins z1 4000/17179869184/ rack=r1 not:22 not:53
        0s n1 a-1 joins z1 4000/17179869184/ rack=r1 not:22 not:53
        0s n2 b joins z2 8000/34359738368/ cores=8 rack=r2
        0s n3 g joins z2 16000/68719476736/T4+V100 rack=r2
        0s n4 old joins z1 2000/4294967296/
        0s n4 draining
        0s n5 gone joins z1 2000/4294967296/
        0s n5 lost
        0s budget web put
        0s budget rest put
        0s d0 cache
        0s t0 cache d0 on=n2
        0s d1 web
        0s t1 web d1 on=n0 group=front kind=service
        0s d2 train
        0s t2 tasks[2]/0 d2 on_loss=end
        0s t3 tasks[2]/1 d2 on_loss=end
        2.5s t4 late d2 life=60s until=3600s estimate=90s priority=-1
        2.5s t5 web-4 d1 group=front kind=service
        ",
    );
    assert_eq!(story(&read(&format!("scenario:{path}")).unwrap()), story(&workload));
    let cluster = ClusterSource::parse(&path).unwrap();
    assert_eq!(traces::read_cluster(&cluster).unwrap().len(), 6);
}
