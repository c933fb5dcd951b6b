//! Every operation of the engine against a real daemon, with the answers that are not failures.

use crate::room::{Room, block_on, eventually, shell, sleeper, unfit};
use bytes::Bytes as Blob;
use cluster::demand::Protocol;
use cluster::units::{Bytes, MilliCpu};
use runtime::engine::{
    ApiVersion, Container, ContainerSpec, Created, Engine, EngineError, Force, Happening, Health,
    HealthCheck, HostPort, MissingSource, Network, Publish, Removed, StartFailure, Started, Status,
    Stopped, Volume, VolumeRemoved,
};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

async fn create(engine: &Engine, spec: &ContainerSpec) -> Container {
    match engine.create(spec).await.unwrap() {
        Created::New(container) => container,
        other => panic!("{}: {other:?}", spec.name),
    }
}

async fn start(engine: &Engine, spec: &ContainerSpec) -> Container {
    let container = create(engine, spec).await;
    assert_eq!(engine.start(&container).await.unwrap(), Started::Now, "{}", spec.name);
    container
}

#[test]
fn every_operation_has_its_typed_answers() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(1);
    println!("1 host raised in {:.2?}", room.raised_in);
    block_on(async {
        let engine = room.engine("n1", "me");
        the_host_describes_itself(&engine).await;
        a_life_from_create_to_removal(&engine, &room.engine("n1", "you")).await;
        ends_are_told_apart(&engine).await;
        starts_fail_for_a_reason(&engine).await;
        health_is_followed(&engine).await;
        containers_share_a_network_and_publish_ports(&engine).await;
        volumes_are_mounted(&engine).await;
        own_volumes_are_removed(&engine, &room.engine("n1", "you")).await;
    });
    println!("1 host lowered in {:.2?}", room.lower());
}

async fn the_host_describes_itself(engine: &Engine) {
    let version = engine.settle_version().await.unwrap();
    assert!(version.newest >= ApiVersion::BASE, "{version:?}");
    assert_eq!(engine.api_version(), ApiVersion::BASE.max(version.oldest));
    let info = engine.info().await.unwrap();
    assert_eq!(info.name, "n1", "its host name is its own");
    assert_eq!(info.labels["zone"], "zone-a");
    assert!(info.cpu >= MilliCpu(1000) && info.memory >= Bytes::from_mib(256), "{info:?}");
    assert!(info.live_restore);
    assert!(engine.has_image(runtime::testbed::IMAGE).await.unwrap());
    assert!(!engine.has_image("nope:1").await.unwrap());
    let refused = engine.pull_image("127.0.0.1:1/nope", SOON).await;
    assert!(matches!(refused, Err(EngineError::Refused { .. })), "{refused:?}");
    let damaged = engine.load_image(Blob::from_static(b"not an image")).await;
    assert!(matches!(damaged, Err(EngineError::Refused { .. })), "{damaged:?}");
}

async fn a_life_from_create_to_removal(engine: &Engine, stranger: &Engine) {
    let mut events = engine.events(None).await.unwrap();
    let missing = ContainerSpec { image: "nope:1".into(), ..sleeper("web") };
    assert_eq!(engine.create(&missing).await.unwrap(), Created::NoImage);

    let spec = ContainerSpec {
        labels: [("task".to_owned(), "7".to_owned())].into(),
        cpu_shares: Some(128),
        cpu_limit: Some(MilliCpu(500)),
        memory_limit: Some(Bytes::from_mib(32)),
        memory_reservation: Some(Bytes::from_mib(16)),
        ..sleeper("web")
    };
    let web = create(engine, &spec).await;
    match engine.create(&spec).await.unwrap() {
        Created::AlreadyThere(it) => {
            assert_eq!((&it.container, it.status), (&web, Status::Created))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stranger.create(&sleeper("web")).await.unwrap(), Created::NameTaken);
    let theirs = start(stranger, &sleeper("theirs")).await;
    assert!(matches!(engine.find("theirs").await, Err(EngineError::NotOurs { .. })));
    assert!(matches!(engine.remove(&theirs, Force::No).await.unwrap(), Removed::StillRunning));

    assert_eq!(engine.start(&web).await.unwrap(), Started::Now);
    assert_eq!(engine.start(&web).await.unwrap(), Started::AlreadyRunning);
    let details = engine.inspect(&web).await.unwrap().unwrap();
    assert_eq!(
        (details.status, details.exit.clone(), details.health),
        (Status::Running, None, None)
    );
    assert!(details.started.is_some() && details.finished.is_none(), "{details:?}");
    assert_eq!(details.labels["task"], "7");
    let listed = engine.list().await.unwrap();
    assert_eq!(listed.iter().map(|it| it.container.name()).collect::<Vec<_>>(), ["web"]);
    assert_eq!(listed[0].status, Status::Running);

    assert_eq!(engine.remove(&web, Force::No).await.unwrap(), Removed::StillRunning);
    assert_eq!(engine.stop(&web, SOON).await.unwrap(), Stopped::Now);
    assert_eq!(engine.stop(&web, SOON).await.unwrap(), Stopped::NotRunning);
    assert_eq!(engine.kill(&web, "KILL").await.unwrap(), Stopped::NotRunning);
    let exit = engine.inspect(&web).await.unwrap().unwrap().exit.unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (143, false));
    assert_eq!(engine.remove(&web, Force::No).await.unwrap(), Removed::Now);
    assert_eq!(engine.remove(&web, Force::Yes).await.unwrap(), Removed::AlreadyGone);
    assert_eq!(engine.start(&web).await.unwrap(), Started::Gone);
    assert_eq!(engine.stop(&web, SOON).await.unwrap(), Stopped::Gone);
    assert_eq!(engine.kill(&web, "KILL").await.unwrap(), Stopped::Gone);
    assert_eq!(engine.inspect(&web).await.unwrap(), None);
    assert_eq!(engine.logs(&web, 5).await.unwrap(), None);

    let mut seen = Vec::new();
    while seen.last() != Some(&Happening::Removed) {
        let event = events.next().await.unwrap();
        assert_eq!(event.container, web, "a stranger's events are not seen");
        assert_eq!(event.attributes["task"], "7");
        seen.push(event.what);
    }
    let died = Happening::Died { code: 143 };
    for what in [Happening::Created, Happening::Started, died, Happening::Stopped] {
        assert!(seen.contains(&what), "{what:?} in {seen:?}");
    }
    let alive = stranger.inspect(&theirs).await.unwrap().unwrap();
    assert_eq!(alive.status, Status::Running, "the stranger's container is untouched");
    assert_eq!(stranger.remove(&theirs, Force::Yes).await.unwrap(), Removed::Now);
}

async fn ended(engine: &Engine, spec: &ContainerSpec) -> (Container, i32, bool) {
    let container = start(engine, spec).await;
    eventually(&spec.name, SOON, async || {
        !engine.inspect(&container).await.unwrap().unwrap().status.is_alive()
    })
    .await;
    let details = engine.inspect(&container).await.unwrap().unwrap();
    // Docker notes the end of a short life up to some milliseconds before its start.
    assert!(details.started.is_some() && details.finished.is_some(), "{details:?}");
    let exit = details.exit.unwrap();
    (container, exit.code, exit.out_of_memory)
}

async fn ends_are_told_apart(engine: &Engine) {
    let (five, code, _) = ended(engine, &shell("five", "echo one; echo two >&2; exit 5")).await;
    assert_eq!(code, 5);
    let logs = String::from_utf8(engine.logs(&five, 10).await.unwrap().unwrap()).unwrap();
    assert!(logs.contains("one\n") && logs.contains("two\n"), "{logs:?}");
    let last = String::from_utf8(engine.logs(&five, 1).await.unwrap().unwrap()).unwrap();
    assert_eq!(last.lines().count(), 1, "{last:?}");

    let hungry = ContainerSpec {
        memory_limit: Some(Bytes::from_mib(8)),
        ..shell("hungry", "x=a; while true; do x=$x$x; done")
    };
    let (hungry, code, out_of_memory) = ended(engine, &hungry).await;
    assert_eq!((code, out_of_memory), (137, true));

    let deaf = start(engine, &shell("deaf", "trap '' TERM; while true; do sleep 0.1; done")).await;
    let began = Instant::now();
    assert_eq!(engine.stop(&deaf, Duration::from_secs(1)).await.unwrap(), Stopped::Now);
    assert!(began.elapsed() >= Duration::from_secs(1), "it had its grace");
    assert_eq!(engine.inspect(&deaf).await.unwrap().unwrap().exit.unwrap().code, 137);
    for it in [&five, &hungry, &deaf] {
        assert_eq!(engine.remove(it, Force::No).await.unwrap(), Removed::Now);
    }
}

#[track_caller]
fn assert_failed(started: Started, want: StartFailure) {
    match started {
        Started::Failed { why, .. } if why == want => {}
        other => panic!("{want:?} was to stand in the way, but: {other:?}"),
    }
}

async fn starts_fail_for_a_reason(engine: &Engine) {
    let fixed = Publish { container: 80, protocol: Protocol::Tcp, host: HostPort::Fixed(18080) };
    let first = start(engine, &ContainerSpec { ports: vec![fixed], ..sleeper("first") }).await;
    let second = create(engine, &ContainerSpec { ports: vec![fixed], ..sleeper("second") }).await;
    assert_failed(engine.start(&second).await.unwrap(), StartFailure::PortTaken);
    engine.remove(&first, Force::Yes).await.unwrap();
    assert_eq!(engine.start(&second).await.unwrap(), Started::Now, "trying again works");
    engine.remove(&second, Force::Yes).await.unwrap();

    let nothing =
        ContainerSpec { command: vec!["/no/such".into()], init: false, ..sleeper("nothing") };
    let nothing = create(engine, &nothing).await;
    assert_failed(engine.start(&nothing).await.unwrap(), StartFailure::Command);
    let details = engine.inspect(&nothing).await.unwrap().unwrap();
    assert_eq!((details.status, details.exit.map(|it| it.code)), (Status::Created, Some(127)));

    let lonely = ContainerSpec { network: Network::Of(nothing.clone()), ..sleeper("lonely") };
    let lonely = create(engine, &lonely).await;
    assert_failed(engine.start(&lonely).await.unwrap(), StartFailure::Network);
    for it in [&nothing, &lonely] {
        engine.remove(it, Force::Yes).await.unwrap();
    }
}

async fn health_is_followed(engine: &Engine) {
    let mut events = engine.events(None).await.unwrap();
    let health = HealthCheck {
        command: ["test", "-e", "/tmp/well"].map(str::to_owned).to_vec(),
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(5),
        retries: 2,
        start_period: Duration::ZERO,
    };
    let line = "touch /tmp/well; sleep 2; rm /tmp/well; sleep 1000";
    let patient = ContainerSpec { health: Some(health), init: true, ..shell("patient", line) };
    let patient = start(engine, &patient).await;
    for want in [Health::Healthy, Health::Unhealthy] {
        while events.next().await.unwrap().what != Happening::Health(want) {}
        assert_eq!(engine.inspect(&patient).await.unwrap().unwrap().health, Some(want));
    }
    engine.remove(&patient, Force::Yes).await.unwrap();
}

async fn containers_share_a_network_and_publish_ports(engine: &Engine) {
    let ports = vec![
        Publish { container: 80, protocol: Protocol::Tcp, host: HostPort::Dynamic },
        Publish { container: 81, protocol: Protocol::Tcp, host: HostPort::Fixed(18081) },
    ];
    let pause = start(engine, &ContainerSpec { ports, ..sleeper("pause") }).await;
    let serve = ContainerSpec {
        network: Network::Of(pause.clone()),
        ..shell("member", "while true; do echo hello | nc -l -p 80; done")
    };
    let member = start(engine, &serve).await;
    let published = engine.inspect(&pause).await.unwrap().unwrap().ports;
    let host_port = |inside| published.iter().find(|it| it.container == inside).map(|it| it.host);
    assert_eq!(host_port(81), Some(18081));
    let port = host_port(80).unwrap();
    assert!(port >= 1024, "{published:?}");
    let host = engine.host().trim_start_matches("tcp://").split(':').next().unwrap().to_owned();
    eventually("the member answers through the pause", SOON, async || {
        use tokio::io::AsyncReadExt;
        let Ok(mut stream) = tokio::net::TcpStream::connect((host.as_str(), port)).await else {
            return false;
        };
        let mut text = [0; 5];
        let reading = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut text));
        matches!(reading.await, Ok(Ok(_))) && &text == b"hello"
    })
    .await;
    for it in [&member, &pause] {
        engine.remove(it, Force::Yes).await.unwrap();
    }
}

async fn volumes_are_mounted(engine: &Engine) {
    let named =
        |read_only| Volume::Named { name: "shelf".into(), target: "/shelf".into(), read_only };
    let write =
        ContainerSpec { mounts: vec![named(false)], ..shell("writer", "echo kept > /shelf/it") };
    let (writer, code, _) = ended(engine, &write).await;
    assert_eq!(code, 0);
    let read = ContainerSpec {
        mounts: vec![named(true)],
        env: vec![("WORD".into(), "kept".into())],
        ..shell("reader", "grep -q $WORD /shelf/it && ! touch /shelf/other")
    };
    let (reader, code, _) = ended(engine, &read).await;
    assert_eq!(code, 0, "what was written is there, and cannot be changed");
    for it in [&writer, &reader] {
        engine.remove(it, Force::Yes).await.unwrap();
    }
    let bind = Volume::Bind {
        source: "/no/such/folder".into(),
        target: "/x".into(),
        read_only: true,
        missing: MissingSource::Refuse,
    };
    let refused = engine.create(&ContainerSpec { mounts: vec![bind], ..sleeper("bound") }).await;
    assert!(matches!(refused, Err(EngineError::Refused { status: 400, .. })), "{refused:?}");
}

async fn own_volumes_are_removed(engine: &Engine, stranger: &Engine) {
    let own = Volume::Own {
        name: "own".into(),
        labels: [("task".to_owned(), "7".to_owned())].into(),
        target: "/own".into(),
        read_only: false,
    };
    let stop_timeout = Some(Duration::from_secs(7));
    let user = ContainerSpec { mounts: vec![own], stop_timeout, ..sleeper("user") };
    let user = create(engine, &user).await;
    assert_eq!(engine.inspect(&user).await.unwrap().unwrap().stop_timeout, stop_timeout);
    let volumes = engine.volumes().await.unwrap();
    assert_eq!(volumes.iter().map(|it| it.name()).collect::<Vec<_>>(), ["own"], "no stranger's");
    assert_eq!(volumes[0].labels["task"], "7");
    assert_eq!(stranger.volumes().await.unwrap(), []);
    assert_eq!(engine.remove_volume(&volumes[0]).await.unwrap(), VolumeRemoved::InUse);
    engine.remove(&user, Force::Yes).await.unwrap();
    assert_eq!(engine.remove_volume(&volumes[0]).await.unwrap(), VolumeRemoved::Now);
    assert_eq!(engine.remove_volume(&volumes[0]).await.unwrap(), VolumeRemoved::AlreadyGone);
}
