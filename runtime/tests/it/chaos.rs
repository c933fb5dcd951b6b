//! The ways in which hosts break, each with what a client sees and how long recovery takes.

use crate::room::{Room, block_on, eventually, sleeper, unfit};
use runtime::engine::{Container, Created, Details, Engine, EngineError, Started, Status};
use runtime::testbed::{Death, HostState, Testbed, TestbedError};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

async fn start(engine: &Engine, name: &str) -> Container {
    let Created::New(container) = engine.create(&sleeper(name)).await.unwrap() else {
        panic!("{name} is new");
    };
    assert_eq!(engine.start(&container).await.unwrap(), Started::Now);
    container
}

async fn look(engine: &Engine, container: &Container) -> Details {
    engine.inspect(container).await.unwrap().expect("the container is there")
}

#[track_caller]
fn assert_state(testbed: &Testbed, host: &str, want: HostState) {
    let status = testbed.status().unwrap();
    let got = status.iter().find(|it| it.0 == host).map(|it| it.2);
    assert_eq!(got, Some(want), "{host}");
}

#[test]
fn hosts_break_and_come_back() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(3);
    println!("3 hosts raised in {:.2?}", room.raised_in);
    block_on(async {
        let decoy = start(&room.engine("n1", "you"), "decoy").await;
        let web = start(&room.engine("n1", "me"), "web").await;
        a_killed_daemon(&room, &web).await;
        a_frozen_daemon(&room, &web).await;
        a_cut_cable(&room, &web).await;
        for death in [Death::Crash, Death::PowerCut] {
            a_dead_machine(&room, death).await;
        }
        let alive = look(&room.engine("n1", "you"), &decoy).await;
        assert_eq!(alive.status, Status::Running, "the decoy is untouched by all of it");
    });
    println!("3 hosts lowered in {:.2?}, containers running", room.lower());
}

async fn a_killed_daemon(room: &Room, web: &Container) {
    let (testbed, engine) = (&room.testbed, room.engine("n1", "me"));
    let before = look(&engine, web).await;
    let mut events = engine.events(None).await.unwrap();
    testbed.kill_daemon("n1").unwrap();
    assert_state(testbed, "n1", HostState::NoDaemon);
    assert!(events.next().await.is_err(), "the stream breaks");
    let ping = engine.ping().await;
    assert!(matches!(ping, Err(EngineError::Unreachable { .. })), "{ping:?}");
    assert!(matches!(testbed.kill_daemon("n1"), Err(TestbedError::WrongState { .. })));

    let began = Instant::now();
    testbed.start_daemon("n1").unwrap();
    let after = look(&engine, web).await;
    println!("daemon killed: answers again {:.2?} after its start", began.elapsed());
    assert_eq!((after.status, after.started), (Status::Running, before.started));
    assert!(matches!(testbed.start_daemon("n1"), Err(TestbedError::WrongState { .. })));
}

async fn a_frozen_daemon(room: &Room, web: &Container) {
    let (testbed, engine) = (&room.testbed, room.engine("n1", "me"));
    let mut events = engine.events(None).await.unwrap();
    testbed.freeze_daemon("n1").unwrap();
    assert_state(testbed, "n1", HostState::Frozen);
    let ping = engine.ping().await;
    assert!(matches!(ping, Err(EngineError::Unknown { .. })), "{ping:?}");
    let began = Instant::now();
    let silence = events.next().await;
    assert!(matches!(silence, Err(EngineError::Unknown { .. })), "{silence:?}");
    println!("daemon frozen: the event stream noticed after {:.2?}", began.elapsed());

    testbed.thaw_daemon("n1").unwrap();
    let took =
        eventually("the thawed daemon answers", SOON, async || engine.ping().await.is_ok()).await;
    println!("daemon thawed: answers again after {took:.2?}");
    assert_state(testbed, "n1", HostState::Up);
    assert_eq!(look(&engine, web).await.status, Status::Running);
}

async fn a_cut_cable(room: &Room, web: &Container) {
    let (testbed, engine) = (&room.testbed, room.engine("n1", "me"));
    let mut events = engine.events(None).await.unwrap();
    let mut unwatched = room.trusting_engine("n1").events(None).await.unwrap();
    testbed.cut_network("n1").unwrap();
    assert_state(testbed, "n1", HostState::Cut);
    let began = Instant::now();
    let ping = engine.ping().await;
    assert!(ping.is_err(), "{ping:?}");
    assert!(events.next().await.is_err(), "the stream ends");
    println!("cable cut: ping and event stream noticed after {:.2?}", began.elapsed());
    assert!(room.engine("n2", "me").ping().await.is_ok(), "the others are not concerned");
    let ended = tokio::time::timeout(SOON, unwatched.next()).await.expect("keepalive ends it");
    assert!(matches!(ended, Err(EngineError::Unknown { .. })), "{ended:?}");
    println!("cable cut: an unwatched stream ended after {:.2?}", began.elapsed());

    testbed.heal_network("n1").unwrap();
    let took =
        eventually("the healed host answers", SOON, async || engine.ping().await.is_ok()).await;
    println!("cable healed: answers again after {took:.2?}");
    assert_eq!(look(&engine, web).await.status, Status::Running);
}

async fn a_dead_machine(room: &Room, death: Death) {
    let (testbed, engine) = (&room.testbed, room.engine("n2", "me"));
    let doomed = start(&engine, &format!("doomed-{death:?}")).await;
    let mut events = engine.events(None).await.unwrap();
    testbed.kill_host("n2", death).unwrap();
    assert_state(testbed, "n2", HostState::Down);
    let began = Instant::now();
    assert!(events.next().await.is_err(), "the stream ends");
    println!("{death:?}: the event stream noticed after {:.2?}", began.elapsed());
    assert!(engine.ping().await.is_err());
    assert!(matches!(testbed.start_daemon("n2"), Err(TestbedError::WrongState { .. })));

    let began = Instant::now();
    testbed.raise_host("n2").unwrap();
    println!("{death:?}: the host answers {:.2?} after being raised again", began.elapsed());
    assert_state(testbed, "n2", HostState::Up);
    let after = look(&engine, &doomed).await;
    assert_eq!(after.status, Status::Exited, "it is still there, and does not run");
    assert!(engine.has_image(runtime::testbed::IMAGE).await.unwrap());
    assert_eq!(engine.start(&doomed).await.unwrap(), Started::Now);
}
