//! An agent against a real daemon: what it starts, what it stops, and what it leaves alone.

mod images;
mod surroundings;

use crate::room::{Room, block_on, eventually, shell, sleeper, unfit};
use cluster::demand::Protocol;
use cluster::event::{Report, StartFailure};
use cluster::ids::TaskId;
use cluster::units::Span;
use runtime::agent::{self, AgentConfig, Contact, Job, Limits, News, Order, TaskDetail};
use runtime::engine::{ContainerSpec, Created, Force, Happening, Status, Volume};
use runtime::hosts;
use runtime::program::{
    Condition, ContainerProgram, Dependency, Mount, PortMapping, Program, PullPolicy, VolumeSource,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// An agent with somebody who listens.
struct Desk {
    orders: mpsc::UnboundedSender<Order>,
    news: mpsc::UnboundedReceiver<(String, News)>,
}

impl Desk {
    fn open(room: &Room, wanted: Vec<Job>) -> Self {
        Self::with(room, wanted, Limits::default())
    }

    fn with(room: &Room, wanted: Vec<Job>, limits: Limits) -> Self {
        let text = std::fs::read_to_string(room.testbed.hosts_file()).unwrap();
        let host = hosts::read(&text, "hosts.toml").unwrap().remove(0);
        let contact = Contact { ping: Duration::from_millis(500), ..Contact::default() };
        let config = AgentConfig { host, owner: "me".into(), limits, contact };
        let (orders, inbox) = mpsc::unbounded_channel();
        let (outbox, news) = mpsc::unbounded_channel();
        agent::spawn(config, wanted, inbox, outbox);
        Self { orders, news }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    async fn next(&mut self) -> News {
        let next = tokio::time::timeout(Duration::from_secs(40), self.news.recv());
        next.await.expect("there are news in time").expect("the agent lives").1
    }

    async fn contact(&mut self, of: u64) {
        let news = self.next().await;
        assert!(matches!(news, News::Contact { epoch, .. } if epoch == of), "{news:?}");
    }

    /// The detail of the report that comes next.
    async fn detail(&mut self, of: u64, want: Report) -> TaskDetail {
        match self.next().await {
            News::Task { task, report, detail, .. } if task == TaskId(of) && report == want => {
                detail
            }
            other => panic!("t{of} {want:?} was to come, but: {other:?}"),
        }
    }

    async fn expect(&mut self, of: u64, want: Report) {
        self.detail(of, want).await;
    }

    /// Starts a task that ends by itself, and acknowledges that.
    async fn run(&mut self, job: Job, code: i32) {
        let (task, attempt) = (job.task, job.attempt);
        self.order(Order::Start(job));
        self.expect(task.0, Report::Started).await;
        self.expect(task.0, Report::Exited { code }).await;
        self.order(Order::Acknowledge { task, attempt });
    }

    async fn stop(&mut self, of: u64) -> TaskDetail {
        self.order(Order::Stop { task: TaskId(of), attempt: 1 });
        match self.next().await {
            News::Stopped { task, detail, .. } if task == TaskId(of) => detail,
            other => panic!("t{of} was to be stopped, but: {other:?}"),
        }
    }
}

fn container(name: &str, line: &str) -> ContainerProgram {
    ContainerProgram {
        name: name.into(),
        image: runtime::testbed::IMAGE.into(),
        command: Some(["sh", "-c", line].map(str::to_owned).to_vec()),
        stop_timeout: Some(Span::from_secs(1)),
        ..ContainerProgram::default()
    }
}

fn job(task: u64, containers: Vec<ContainerProgram>) -> Job {
    let program = Program { containers, ..Program::default() };
    let definition = "test:1".to_owned();
    Job { task: TaskId(task), attempt: 1, program: Arc::new(program), definition, began: false }
}

fn long(task: u64) -> Job {
    job(task, vec![ContainerProgram { init: true, ..container("main", "sleep 1000") }])
}

async fn names(room: &Room) -> Vec<String> {
    let listed = room.engine("n1", "me").list().await.unwrap();
    listed.iter().map(|it| it.container.name().to_owned()).collect()
}

#[test]
fn an_agent_runs_tasks_on_a_host() {
    if unfit().is_some() {
        return;
    }
    let room = Room::raise(1);
    let began = Instant::now();
    block_on(async {
        let stranger = room.engine("n1", "you");
        let decoy = ContainerSpec { mounts: vec![own_volume("their-shelf")], ..sleeper("decoy") };
        let Created::New(decoy) = stranger.create(&decoy).await.unwrap() else {
            panic!("the decoy is new");
        };
        stranger.start(&decoy).await.unwrap();
        let mine = room.engine("n1", "me");
        let deaf = ContainerSpec {
            mounts: vec![own_volume("stale-shelf")],
            stop_timeout: Some(Duration::from_secs(1)),
            ..shell("stale", "trap '' TERM; while true; do sleep 0.1; done")
        };
        let Created::New(stale) = mine.create(&deaf).await.unwrap() else {
            panic!("the stale one is new");
        };
        mine.start(&stale).await.unwrap();
        assert_eq!(mine.volumes().await.unwrap().len(), 1);

        let began = Instant::now();
        let mut desk = Desk::open(&room, Vec::new());
        desk.contact(0).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "it had its own grace, not Docker's: {took:?}");
        assert_eq!(names(&room).await, [""; 0], "what nobody wants is gone");
        assert_eq!(mine.volumes().await.unwrap(), [], "and its volume with it");

        a_life(&room, &mut desk).await;
        an_order_of_starts(&mut desk).await;
        a_missing_image(&room, &mut desk).await;
        a_volume_of_the_task(&room, &mut desk).await;
        a_host_given_up_that_answers(&room, &mut desk).await;
        desk = a_killed_daemon_and_a_killed_agent(&room, desk).await;
        by_hand(&room, &mut desk).await;

        let alive = stranger.inspect(&decoy).await.unwrap().unwrap();
        assert_eq!(alive.status, Status::Running, "the decoy is untouched by all of it");
        assert_eq!(stranger.volumes().await.unwrap().len(), 1, "and so is its volume");
        desk.order(Order::Shutdown);
    });
    println!("the agent's first test took {:.2?}", began.elapsed());
    room.lower();
}

async fn a_life(room: &Room, desk: &mut Desk) {
    desk.order(Order::Start(job(1, vec![container("main", "exit 5")])));
    desk.expect(1, Report::Started).await;
    desk.expect(1, Report::Exited { code: 5 }).await;
    assert_eq!(names(room).await, ["bayplan-me-t1-1-main"], "kept until it is acknowledged");
    desk.order(Order::Acknowledge { task: TaskId(1), attempt: 1 });

    let deaf = container("main", "trap '' TERM; while true; do sleep 0.1; done");
    desk.order(Order::Start(job(2, vec![deaf])));
    desk.expect(2, Report::Started).await;
    desk.stop(2).await;
    assert_eq!(names(room).await, [""; 0]);
    desk.stop(99).await;
}

async fn an_order_of_starts(desk: &mut Desk) {
    let first = ContainerProgram { essential: false, ..container("first", "sleep 1") };
    let depends_on = vec![Dependency { container: "first".into(), condition: Condition::Success }];
    let second = ContainerProgram { depends_on, ..container("second", "exit 3") };
    desk.order(Order::Start(job(3, vec![first, second.clone()])));
    desk.expect(3, Report::Started).await;
    desk.expect(3, Report::Exited { code: 3 }).await;
    desk.order(Order::Acknowledge { task: TaskId(3), attempt: 1 });

    let first = ContainerProgram { essential: false, ..container("first", "exit 1") };
    desk.order(Order::Start(job(4, vec![first, second])));
    desk.expect(4, Report::Failed { why: StartFailure::Dependency }).await;
}

async fn a_missing_image(room: &Room, desk: &mut Desk) {
    let of = |image: &str, pull| ContainerProgram {
        image: image.into(),
        pull,
        ..container("main", "exit 0")
    };
    for (task, image, pull, why) in [
        (5, "nope:1", PullPolicy::Never, "never pulled"),
        (10, "127.0.0.1:1/nope:1", PullPolicy::IfMissing, "connection refused"),
        (11, "127.0.0.1:1/nope", PullPolicy::Always, "connection refused"),
    ] {
        let began = Instant::now();
        desk.order(Order::Start(job(task, vec![of(image, pull)])));
        let why_failed = Report::Failed { why: StartFailure::Image };
        let reason = desk.detail(task, why_failed).await.reason;
        assert!(reason.contains(why), "{image}: {reason}");
        assert!(began.elapsed() < Duration::from_secs(10), "{image}: {:?}", began.elapsed());
    }
    assert_eq!(names(room).await, [""; 0]);
}

/// A volume that carries its owner's label, but no task's.
fn own_volume(name: &str) -> Volume {
    let (name, target) = (name.to_owned(), "/shelf".to_owned());
    Volume::Own { name, labels: BTreeMap::new(), target, read_only: false }
}

async fn a_volume_of_the_task(room: &Room, desk: &mut Desk) {
    let engine = room.engine("n1", "me");
    let mounts = ["own", "kept"].map(|it| {
        let (volume, path) = (it.to_owned(), format!("/{it}"));
        Mount { volume, path, read_only: false }
    });
    let with_volumes = |task, line: &str| {
        let main = ContainerProgram { mounts: mounts.to_vec(), ..container("main", line) };
        let mut job = job(task, vec![main]);
        let program = Arc::make_mut(&mut job.program);
        program.volumes.insert("own".into(), VolumeSource::Task);
        program.volumes.insert("kept".into(), VolumeSource::Named("kept".into()));
        job
    };
    desk.order(Order::Start(with_volumes(30, "touch /own/a /kept/a; exit 4")));
    desk.expect(30, Report::Started).await;
    desk.expect(30, Report::Exited { code: 4 }).await;
    let volumes = engine.volumes().await.unwrap();
    let found: Vec<_> = volumes.iter().map(|it| it.name()).collect();
    assert_eq!(found, ["bayplan-me-t30-1-own"], "it lives as long as the container");
    desk.order(Order::Acknowledge { task: TaskId(30), attempt: 1 });
    desk.order(Order::Start(with_volumes(31, "sleep 1000")));
    desk.expect(31, Report::Started).await;
    desk.stop(31).await;
    eventually("both volumes of tasks are gone", Duration::from_secs(5), async || {
        engine.volumes().await.unwrap().is_empty()
    })
    .await;
    desk.run(with_volumes(32, "test -e /kept/a && ! test -e /own/a"), 0).await;
    eventually("it is acknowledged", Duration::from_secs(5), async || names(room).await.is_empty())
        .await;
}

fn on_port(task: u64, host: u16) -> Job {
    let port = PortMapping { container: 80, protocol: Protocol::Tcp, host: Some(host) };
    let main = container("main", "sleep 1000");
    job(task, vec![ContainerProgram { init: true, ports: vec![port], ..main }])
}

async fn a_host_given_up_that_answers(room: &Room, desk: &mut Desk) {
    desk.order(Order::Start(on_port(20, 18020)));
    desk.expect(20, Report::Started).await;
    let mut events = room.engine("n1", "me").events(None).await.unwrap();
    desk.order(Order::Forget { epoch: 1 });
    desk.order(Order::Start(on_port(21, 18020)));
    // It is looked at before contact is told, but need not have begun by then.
    let mut told = [desk.next().await, desk.next().await];
    told.sort_by_key(|it| matches!(it, News::Contact { .. }));
    assert!(
        matches!(
            told,
            [
                News::Task { task: TaskId(21), report: Report::Started, .. },
                News::Contact { epoch: 1, .. },
            ]
        ),
        "{told:?}"
    );
    let mut seen = Vec::new();
    while seen.last() != Some(&("t21".to_owned(), Happening::Started)) {
        let event = events.next().await.unwrap();
        seen.push((event.attributes[agent::TASK_LABEL].clone(), event.what));
    }
    let gone = seen.iter().position(|it| *it == ("t20".to_owned(), Happening::Removed));
    let new = seen.iter().position(|it| *it == ("t21".to_owned(), Happening::Created));
    assert!(gone.is_some() && gone < new, "{seen:?}");

    desk.order(Order::Forget { epoch: 2 });
    desk.order(Order::Forget { epoch: 3 });
    loop {
        match desk.next().await {
            News::Contact { epoch: 3, .. } => break,
            News::Contact { epoch: 2, .. } => {}
            other => panic!("only contacts were to come, but: {other:?}"),
        }
    }
    assert_eq!(names(room).await, [""; 0]);
}

async fn a_killed_daemon_and_a_killed_agent(room: &Room, mut desk: Desk) -> Desk {
    desk.order(Order::Start(long(6)));
    desk.expect(6, Report::Started).await;
    room.testbed.kill_daemon("n1").unwrap();
    let news = desk.next().await;
    assert!(matches!(news, News::NoContact { .. }), "{news:?}");
    desk.order(Order::Start(long(7)));
    room.testbed.start_daemon("n1").unwrap();
    // What is ordered meanwhile is done as soon as there is contact, and may be told before or after it.
    let mut told = [desk.next().await, desk.next().await];
    told.sort_by_key(|it| matches!(it, News::Contact { .. }));
    assert!(
        matches!(
            told,
            [News::Task { task: TaskId(7), report: Report::Started, .. }, News::Contact { .. }]
        ),
        "{told:?}"
    );
    desk.order(Order::Shutdown);
    while desk.news.recv().await.is_some() {}

    // Of 6 it is known that it runs, of 7 not, 8 is not there but is said to run.
    let began = |it: Job| Job { began: true, ..it };
    let mut desk = Desk::open(room, vec![began(long(6)), long(7), began(long(8))]);
    let mut told = [desk.next().await, desk.next().await];
    told.sort_by_key(|it| matches!(it, News::Task { task: TaskId(8), .. }));
    assert!(
        matches!(
            &told,
            [
                News::Task { task: TaskId(7), report: Report::Started, .. },
                News::Task { task: TaskId(8), report: Report::Exited { code: 137 }, detail, .. },
            ] if detail.reason == "container vanished"
        ),
        "{told:?}"
    );
    desk.contact(0).await;
    assert_eq!(names(room).await, ["bayplan-me-t6-1-main", "bayplan-me-t7-1-main"]);
    desk
}

async fn by_hand(room: &Room, desk: &mut Desk) {
    let engine = room.engine("n1", "me");
    let found = engine.find("bayplan-me-t6-1-main").await.unwrap().unwrap();
    engine.remove(&found.container, Force::Yes).await.unwrap();
    desk.expect(6, Report::Exited { code: 137 }).await;
    let (reply, removed) = tokio::sync::oneshot::channel();
    desk.order(Order::RemoveAll { reply });
    assert_eq!(removed.await.unwrap(), Ok(1));
    assert_eq!(names(room).await, [""; 0]);
}
