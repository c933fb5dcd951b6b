//! What a task meets on its host: networks, ports that others have, health checks, images.

use super::{Desk, container, images, job, long, names, on_port};
use crate::room::{Room, block_on, eventually, sleeper, unfit};
use cluster::demand::{Port, Protocol};
use cluster::event::{Report, StartFailure};
use cluster::ids::TaskId;
use cluster::units::Span;
use runtime::agent::{Limits, News, Order};
use runtime::engine::{ContainerSpec, Created, Force, HostPort, Publish, Status};
use runtime::program::{
    Condition, ContainerProgram, Dependency, HealthProbe, NetworkMode, PortMapping,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

#[test]
fn a_task_meets_what_there_is_on_its_host() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(1);
    let began = Instant::now();
    block_on(async {
        let stranger = room.engine("n1", "you");
        let Created::New(decoy) = stranger.create(&sleeper("decoy")).await.unwrap() else {
            panic!("the decoy is new");
        };
        stranger.start(&decoy).await.unwrap();
        let port_hold = Duration::from_secs(1);
        let limits = Limits {
            port_hold,
            port_hold_max: port_hold,
            pull_silence: Duration::from_secs(3),
            ..Limits::default()
        };
        let mut desk = Desk::with(&room, Vec::new(), limits);
        desk.contact(0).await;

        what_it_wrote(&mut desk).await;
        a_port_of_a_stranger(&room, &mut desk).await;
        a_network_that_is_shared(&room, &mut desk).await;
        its_health(&mut desk).await;
        images::from_an_archive(&room, &mut desk).await;
        images::from_a_registry(&room, &mut desk).await;
        all_is_removed(&room, &mut desk).await;

        let alive = stranger.inspect(&decoy).await.unwrap().unwrap();
        assert_eq!(alive.status, Status::Running, "the decoy is untouched by all of it");
        desk.order(Order::Shutdown);
    });
    println!("the agent's second test took {:.2?}", began.elapsed());
    room.lower();
}

async fn what_it_wrote(desk: &mut Desk) {
    let side = ContainerProgram { essential: false, ..container("aside", "echo aside") };
    let depends_on = vec![Dependency { container: "aside".into(), condition: Condition::Complete }];
    let main = container("main", "echo one; echo two; echo three");
    let main = ContainerProgram { depends_on, ..main };
    desk.order(Order::Start(job(1, vec![main, side])));
    desk.expect(1, Report::Started).await;
    desk.expect(1, Report::Exited { code: 0 }).await;
    for (name, lines, want) in [
        (Some("main"), 2, Some("two\nthree\n")),
        (Some("main"), 9, Some("one\ntwo\nthree\n")),
        (None, 9, Some("aside\n")),
        (Some("nobody"), 9, None),
    ] {
        let (reply, answer) = oneshot::channel();
        let container = name.map(str::to_owned);
        desk.order(Order::Logs { task: TaskId(1), attempt: 1, container, lines, reply });
        let text = answer.await.unwrap().unwrap().map(|it| String::from_utf8(it).unwrap());
        assert_eq!(text.as_deref(), want, "{name:?}");
    }
    desk.order(Order::Acknowledge { task: TaskId(1), attempt: 1 });
}

async fn a_port_of_a_stranger(room: &Room, desk: &mut Desk) {
    let stranger = room.engine("n1", "you");
    let host = HostPort::Fixed(18050);
    let ports = vec![Publish { container: 80, protocol: Protocol::Tcp, host }];
    let spec = ContainerSpec { ports, ..sleeper("holder") };
    let Created::New(holder) = stranger.create(&spec).await.unwrap() else {
        panic!("the holder is new");
    };
    stranger.start(&holder).await.unwrap();

    let two = |task| {
        let mut job = on_port(task, 18049);
        let program = Arc::make_mut(&mut job.program);
        let port = PortMapping { container: 81, protocol: Protocol::Tcp, host: Some(18050) };
        program.containers[0].ports.push(port);
        job
    };
    desk.order(Order::Start(two(2)));
    let mut told = [desk.next().await, desk.next().await];
    told.sort_by_key(|it| matches!(it, News::PortsTaken(_)));
    let taken = vec![Port { protocol: Protocol::Tcp, number: 18050 }];
    match told {
        [
            News::Task {
                task: TaskId(2), report: Report::Failed { why: StartFailure::Port }, ..
            },
            News::PortsTaken(ports),
        ] => assert_eq!(ports, taken, "the other one is free"),
        told => panic!("{told:?}"),
    }
    stranger.remove(&holder, Force::Yes).await.unwrap();
    assert_eq!(desk.next().await, News::PortsTaken(Vec::new()), "after a while");
    desk.order(Order::Start(two(3)));
    desk.expect(3, Report::Started).await;
    desk.stop(3).await;
}

async fn a_network_that_is_shared(room: &Room, desk: &mut Desk) {
    let port = |container, host| PortMapping { container, protocol: Protocol::Tcp, host };
    let web = ContainerProgram {
        ports: vec![port(80, Some(18060))],
        init: true,
        ..container("web", "while true; do echo hello | nc -l -p 80; done")
    };
    let line = "until nc 127.0.0.1 80 </dev/null | grep -q hello; do sleep 0.1; done; \
                while true; do echo hello too | nc -l -p 81; done";
    let other = ContainerProgram {
        ports: vec![port(81, Some(18061))],
        init: true,
        ..container("other", line)
    };
    let mut both = job(4, vec![web, other]);
    Arc::make_mut(&mut both.program).network = NetworkMode::Shared;
    desk.order(Order::Start(both));
    let detail = desk.detail(4, Report::Started).await;
    let published: Vec<Vec<u16>> =
        detail.containers.iter().map(|it| it.ports.iter().map(|it| it.host).collect()).collect();
    assert_eq!(published, [vec![18060, 18061], vec![]], "the owner publishes for all");
    let address = room.testbed.address("n1").unwrap().to_string();
    let host = address.trim_start_matches("tcp://").split(':').next().unwrap();
    // The second speaks only after it has heard the first on localhost.
    eventually("the second is heard", Duration::from_secs(20), async || {
        let Ok(mut stream) = TcpStream::connect((host, 18061)).await else { return false };
        let mut text = [0; 9];
        let reading = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut text));
        matches!(reading.await, Ok(Ok(_))) && &text == b"hello too"
    })
    .await;
    desk.stop(4).await;
}

async fn its_health(desk: &mut Desk) {
    let probe = HealthProbe {
        command: vec!["CMD-SHELL".into(), "test -e /tmp/well".into()],
        interval: Span(200_000),
        timeout: Span::from_secs(5),
        retries: 2,
        start_period: Span::ZERO,
    };
    let line = "touch /tmp/well; sleep 3; rm /tmp/well; sleep 1000";
    let patient = container("main", line);
    let patient = ContainerProgram { health: Some(probe), init: true, ..patient };
    desk.order(Order::Start(job(5, vec![patient])));
    for want in [Report::Started, Report::Healthy, Report::Unhealthy] {
        desk.expect(5, want).await;
    }
    desk.stop(5).await;
}

async fn all_is_removed(room: &Room, desk: &mut Desk) {
    let two =
        ["main", "more"].map(|it| ContainerProgram { init: true, ..container(it, "sleep 99") });
    for job in [long(8), job(9, two.to_vec())] {
        desk.order(Order::Start(job));
    }
    let started = [desk.next().await, desk.next().await];
    let is_start = |it: &News| matches!(it, News::Task { report: Report::Started, .. });
    assert!(started.iter().all(is_start), "{started:?}");
    let (reply, removed) = oneshot::channel();
    desk.order(Order::RemoveAll { reply });
    assert_eq!(removed.await.unwrap(), Ok(3));
    assert_eq!(names(room).await, [""; 0]);
    // The tasks are forgotten: that their containers are gone is no news.
    desk.run(job(10, vec![container("main", "exit 0")]), 0).await;
}
