//! One agent for each Docker host: turns orders into Engine API calls, and what happens there into news.
//!
//! An agent keeps nothing that matters. Whatever it does follows from the jobs that are wanted and from
//! what stands on the host, looked at again each time, so that one that is killed at any moment and
//! spawned again ends in the same place. Containers carry labels that say whose they are; those that no
//! wanted job owns are removed at each contact, and the volumes of their tasks with them.
//!
//! Each task has a runner of its own, so that a slow container delays no other task.

mod ceilings;
mod image;
mod ports;
mod runner;
mod shape;
mod stale;
mod steps;

use crate::engine::{
    Container, Engine, EngineError, Events, Happening, HostInfo, Listed, Published,
};
use crate::hosts::Host;
use crate::program::Program;
use cluster::demand::Port;
use cluster::event::Report;
use cluster::ids::TaskId;
use futures_util::future::join_all;
use runner::{Command, Runner, Shared};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// The label that names the task, as [`TaskId`] displays it.
pub const TASK_LABEL: &str = "bayplan.task";
/// The label that counts the starts of the task.
pub const ATTEMPT_LABEL: &str = "bayplan.attempt";
/// The label that names the container within its task.
pub const CONTAINER_LABEL: &str = "bayplan.container";
/// The label that names the definition.
pub const DEFINITION_LABEL: &str = "bayplan.definition";

/// One start of a task.
type Key = (TaskId, u32);

/// What an agent may do at once, and how long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a dependency may take where the container says nothing.
    pub start_timeout: Duration,
    /// Containers created and started at the same time on this host.
    pub starts: usize,
    /// How long pulling an image may take.
    pub pull_timeout: Duration,
    /// How long it may go without progress.
    pub pull_silence: Duration,
    /// How long a host port that was taken is kept from tasks; doubles with each failure.
    pub port_hold: Duration,
    /// At most this long.
    pub port_hold_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            start_timeout: secs(300),
            starts: 8,
            pull_timeout: secs(2 * 3600),
            pull_silence: secs(300),
            port_hold: secs(60),
            port_hold_max: secs(900),
        }
    }
}

/// How contact is watched and sought again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Between two pings.
    pub ping: Duration,
    /// Before the first try to get contact back; doubles.
    pub retry: Duration,
    /// At most this long.
    pub retry_max: Duration,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(5),
            retry: Duration::from_millis(500),
            retry_max: Duration::from_secs(10),
        }
    }
}

/// What an agent must know.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Its host.
    pub host: Host,
    /// Whose containers these are; no other's are touched.
    pub owner: String,
    /// Limits.
    pub limits: Limits,
    /// Contact.
    pub contact: Contact,
}

/// One start of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which task.
    pub task: TaskId,
    /// Counts its starts from 1.
    pub attempt: u32,
    /// What it runs.
    pub program: Arc<Program>,
    /// The definition's name, for the label.
    pub definition: String,
    /// The manager knows that it runs: it is not started again if nothing of it is found.
    pub began: bool,
}

/// What an agent is told.
#[derive(Debug)]
pub enum Order {
    /// Start it. One that is known already goes on.
    Start(Job),
    /// Stop it and remove its containers.
    Stop {
        /// Which task.
        task: TaskId,
        /// Which start of it.
        attempt: u32,
    },
    /// The host counts as lost: nothing ordered before is wanted. Where there is contact, it is made
    /// afresh; what is ordered after this begins only when all that stood on the host is gone.
    Forget {
        /// Comes back in [`News::Contact`].
        epoch: u64,
    },
    /// Its end is on disk: its containers may be removed.
    Acknowledge {
        /// Which task.
        task: TaskId,
        /// Which start of it.
        attempt: u32,
    },
    /// Read what a container wrote last.
    Logs {
        /// Which task.
        task: TaskId,
        /// Which start of it.
        attempt: u32,
        /// Which container; `None` is the first by name.
        container: Option<String>,
        /// How many lines.
        lines: u32,
        /// `None` if there is no such container.
        reply: oneshot::Sender<Result<Option<Vec<u8>>, EngineError>>,
    },
    /// Nothing is wanted any longer; remove every container of this owner, and the volumes of tasks.
    RemoveAll {
        /// How many containers were removed.
        reply: oneshot::Sender<Result<usize, EngineError>>,
    },
    /// End, and leave containers as they are.
    Shutdown,
}

/// What an agent tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is contact, for the first time or again. Containers that nobody wanted are gone by now, and
    /// what became of the others has been told.
    Contact {
        /// What the host says of itself.
        info: Box<HostInfo>,
        /// That of the last [`Order::Forget`] this follows; 0 before the first. One that is still on its
        /// way is not in it, so that a contact with an older epoch is none.
        epoch: u64,
    },
    /// Contact is lost, or was never had. Said once until there is contact.
    NoContact {
        /// Why.
        why: String,
    },
    /// Something became of a task.
    Task {
        /// Which task.
        task: TaskId,
        /// Which start of it.
        attempt: u32,
        /// What.
        report: Report,
        /// More about it.
        detail: TaskDetail,
    },
    /// It was stopped as ordered; nothing of it is left.
    Stopped {
        /// Which task.
        task: TaskId,
        /// Which start of it.
        attempt: u32,
        /// How it ended.
        detail: TaskDetail,
    },
    /// Of the host's ports, others hold these, sorted. Replaces what was said before.
    PortsTaken(Vec<Port>),
    /// Something that somebody should know.
    Warning(String),
}

/// More about a task, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskDetail {
    /// One line; empty if there is nothing to say.
    pub reason: String,
    /// Those of its containers that exist or existed, in the program's order.
    pub containers: Vec<ContainerDetail>,
}

/// More about a container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerDetail {
    /// Its name within the task.
    pub name: String,
    /// Docker's id.
    pub id: String,
    /// `None` while it runs or if it never did.
    pub exit_code: Option<i32>,
    /// The kernel ended it for lack of memory.
    pub out_of_memory: bool,
    /// Ports that it publishes.
    pub ports: Vec<Published>,
    /// Docker's words, where its start failed.
    pub error: Option<String>,
}

/// What runners and pings tell the agent.
#[derive(Debug)]
enum Note {
    /// The runner with this serial number has nothing left to do.
    Done(Key, u64),
    PortsTaken(Vec<Port>),
    Dead {
        contact: u64,
        why: String,
    },
}

/// Starts an agent; it ends with [`Order::Shutdown`], or when nobody can order anything any longer.
/// Must be called within a tokio runtime. News carry the host's name.
pub fn spawn(
    config: AgentConfig,
    wanted: Vec<Job>,
    orders: mpsc::UnboundedReceiver<Order>,
    news: mpsc::UnboundedSender<(String, News)>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        match Engine::new(&config.host.address, config.owner.clone()) {
            Ok(engine) => Agent::new(config, engine, news).run(wanted, orders).await,
            Err(error) => {
                let why = error.to_string();
                // Nobody left to tell is no fault.
                let _ = news.send((config.host.name, News::NoContact { why }));
            }
        }
    })
}

struct Agent {
    config: AgentConfig,
    engine: Engine,
    shared: Arc<Shared>,
    runners: BTreeMap<Key, (u64, mpsc::UnboundedSender<Command>, AbortHandle)>,
    /// Aborted with the agent; removals and log readers too.
    work: JoinSet<()>,
    serial: u64,
    gate: watch::Sender<bool>,
    notes: mpsc::UnboundedReceiver<Note>,
    held: ports::Held,
    /// Counts contacts.
    contact: u64,
    /// Of the last order to forget.
    epoch: u64,
    told_no_contact: bool,
}

enum Flow {
    On,
    /// What stands on the host is wanted no longer.
    Afresh,
    End,
}

impl Agent {
    fn new(
        config: AgentConfig,
        engine: Engine,
        news: mpsc::UnboundedSender<(String, News)>,
    ) -> Self {
        let (sender, notes) = mpsc::unbounded_channel();
        let shared = Shared::new(&config, engine.clone(), sender, news);
        Self {
            config,
            engine,
            shared: Arc::new(shared),
            runners: BTreeMap::new(),
            work: JoinSet::new(),
            serial: 0,
            gate: watch::Sender::new(false),
            notes,
            held: ports::Held::default(),
            contact: 0,
            epoch: 0,
            told_no_contact: false,
        }
    }

    async fn run(mut self, wanted: Vec<Job>, mut orders: mpsc::UnboundedReceiver<Order>) {
        for job in wanted {
            self.start(job);
        }
        let mut pause = self.config.contact.retry;
        loop {
            let mut trying = Box::pin(reach(self.engine.clone()));
            let reached = loop {
                tokio::select! {
                    it = &mut trying => break it,
                    order = orders.recv() => if let Flow::End = self.order(order) { return },
                    Some(note) = self.notes.recv() => self.note(note),
                }
            };
            let settled = match reached {
                Ok((events, listed, info)) => self.settle(listed, info).await.map(|()| events),
                Err(error) => Err(error),
            };
            let ended = match settled {
                Ok(events) => {
                    pause = self.config.contact.retry;
                    match self.follow(events, &mut orders).await {
                        Ok(Flow::End) => return,
                        Ok(Flow::On | Flow::Afresh) => continue,
                        Err(why) => why,
                    }
                }
                Err(error) => error.to_string(),
            };
            self.gate.send_replace(false);
            if !self.told_no_contact {
                self.told_no_contact = true;
                self.shared.tell(News::NoContact { why: ended });
            }
            let until = tokio::time::Instant::now() + pause;
            pause = (pause * 2).min(self.config.contact.retry_max);
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    order = orders.recv() => if let Flow::End = self.order(order) { return },
                    Some(note) = self.notes.recv() => self.note(note),
                }
            }
        }
    }

    /// What is to be done between the first answer and telling of contact.
    async fn settle(&mut self, mut listed: Vec<Listed>, info: HostInfo) -> Result<(), EngineError> {
        // A create that was under way when its job was forgotten may end after the list.
        let mut stays = false;
        for _ in 0..3 {
            let stale = listed.iter().filter(|it| !self.is_wanted(&it.labels));
            let stale: Vec<_> = stale.map(|it| stale::clear(&self.engine, &it.container)).collect();
            if stale.is_empty() || stays {
                break;
            }
            for cleared in join_all(stale).await {
                match cleared {
                    // Trying again would not help, and the host has to go on.
                    Err(error @ EngineError::Refused { .. }) => {
                        self.shared.tell(News::Warning(format!("stale container stays: {error}")));
                        stays = true;
                    }
                    cleared => cleared?,
                }
            }
            listed = self.engine.list().await?;
        }
        let is_stale = |it: Option<Key>| it.is_none_or(|it| !self.runners.contains_key(&it));
        stale::remove_volumes(&self.shared, is_stale).await?;
        self.gate.send_replace(true);
        let mut looks = Vec::new();
        for (_, commands, _) in self.runners.values() {
            let (sender, receiver) = oneshot::channel();
            // A runner that has ended has nothing to tell.
            let _ = commands.send(Command::Look(sender));
            looks.push(receiver);
        }
        // A task that is being stopped must not hold up the others.
        let _ = tokio::time::timeout(Duration::from_secs(15), join_all(looks)).await;
        self.told_no_contact = false;
        if !self.held.is_empty() {
            // Some may have been given back while there was no contact.
            self.shared.tell(News::PortsTaken(self.held.at(Instant::now())));
        }
        self.shared.tell(News::Contact { info: Box::new(info), epoch: self.epoch });
        Ok(())
    }

    /// Follows the host until contact is lost, which is the error, or until an order ends that.
    async fn follow(
        &mut self,
        mut events: Events,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<Flow, String> {
        self.contact += 1;
        let (engine, every, contact) =
            (self.engine.clone(), self.config.contact.ping, self.contact);
        let notes = self.shared.notes.clone();
        let pings = self.work.spawn(async move {
            let why = loop {
                tokio::time::sleep(every).await;
                if let Err(error) = engine.ping().await {
                    break error.to_string();
                }
            };
            let _ = notes.send(Note::Dead { contact, why });
        });
        let ended = loop {
            let now = Instant::now();
            let release = self.held.next(now);
            let until = release.unwrap_or(now + Duration::from_secs(3600));
            tokio::select! {
                event = events.next() => match event {
                    Ok(event) => self.event(&event.container, event.what, &event.attributes),
                    Err(error) => break Err(error.to_string()),
                },
                order = orders.recv() => match self.order(order) {
                    Flow::On => {}
                    flow @ (Flow::Afresh | Flow::End) => break Ok(flow),
                },
                Some(note) = self.notes.recv() => match note {
                    Note::Dead { contact: of, why } if of == contact => break Err(why),
                    note => self.note(note),
                },
                () = tokio::time::sleep_until(until.into()) => if release.is_some() {
                    self.shared.tell(News::PortsTaken(self.held.at(Instant::now())));
                },
                Some(_) = self.work.join_next() => {}
            }
        };
        pings.abort();
        ended
    }

    fn is_wanted(&self, labels: &BTreeMap<String, String>) -> bool {
        key(labels).is_some_and(|it| self.runners.contains_key(&it))
    }

    fn event(
        &mut self,
        container: &Container,
        what: Happening,
        attributes: &BTreeMap<String, String>,
    ) {
        let key = key(attributes);
        match key.and_then(|it| self.runners.get(&it)) {
            Some((_, commands, _)) => drop(commands.send(Command::Nudge)),
            // A create that was under way when its job was forgotten.
            None if matches!(what, Happening::Created | Happening::Started) => {
                let (shared, container) = (self.shared.clone(), container.clone());
                self.work.spawn(async move {
                    let cleared = match stale::clear(&shared.engine, &container).await {
                        Ok(()) => stale::remove_volumes(&shared, |it| it == key).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = cleared {
                        shared.tell(News::Warning(format!("stale container stays: {error}")));
                    }
                });
            }
            None => {}
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Done(key, serial) => {
                if self.runners.get(&key).is_some_and(|it| it.0 == serial) {
                    self.runners.remove(&key);
                    self.shared.bury(key);
                }
            }
            Note::PortsTaken(ports) => {
                let (now, limits) = (Instant::now(), self.config.limits);
                self.held.hold(&ports, now, limits.port_hold, limits.port_hold_max);
                self.shared.tell(News::PortsTaken(self.held.at(now)));
            }
            Note::Dead { .. } => {}
        }
    }

    fn start(&mut self, job: Job) {
        let key = (job.task, job.attempt);
        if self.runners.contains_key(&key) {
            return;
        }
        self.serial += 1;
        self.shared.enlist(key);
        let (sender, commands) = mpsc::unbounded_channel();
        let gate = self.gate.subscribe();
        let runner = Runner::new(job, self.shared.clone(), commands, gate);
        let (notes, serial) = (self.shared.notes.clone(), self.serial);
        let handle = self.work.spawn(async move {
            runner.run().await;
            let _ = notes.send(Note::Done(key, serial));
        });
        self.runners.insert(key, (serial, sender, handle));
    }

    fn forget(&mut self) {
        for (key, (_, _, handle)) in std::mem::take(&mut self.runners) {
            handle.abort();
            self.shared.bury(key);
        }
    }

    /// Removes what carries these labels, or all of ours, trying until the host has answered.
    fn sweep(&mut self, which: Option<Key>, then: impl FnOnce(usize) + Send + 'static) {
        let (shared, mut gate) = (self.shared.clone(), self.gate.subscribe());
        let pause = self.config.contact.retry;
        self.work.spawn(async move {
            loop {
                if gate.wait_for(|it| *it).await.is_err() {
                    return;
                }
                match stale::remove(&shared, which).await {
                    Ok(count) => return then(count),
                    Err(_) => tokio::time::sleep(pause).await,
                }
            }
        });
    }

    fn order(&mut self, order: Option<Order>) -> Flow {
        match order {
            None | Some(Order::Shutdown) => return Flow::End,
            Some(Order::Start(job)) => self.start(job),
            Some(Order::Stop { task, attempt }) => match self.runners.get(&(task, attempt)) {
                Some((_, commands, _)) if commands.send(Command::Stop).is_ok() => {}
                _ => {
                    let shared = self.shared.clone();
                    self.sweep(Some((task, attempt)), move |_| {
                        let detail = TaskDetail::default();
                        shared.tell(News::Stopped { task, attempt, detail });
                    });
                }
            },
            Some(Order::Acknowledge { task, attempt }) => {
                match self.runners.get(&(task, attempt)) {
                    Some((_, commands, _)) if commands.send(Command::Acknowledge).is_ok() => {}
                    _ => self.sweep(Some((task, attempt)), |_| ()),
                }
            }
            Some(Order::Forget { epoch }) => {
                self.epoch = epoch;
                self.gate.send_replace(false);
                self.forget();
                return Flow::Afresh;
            }
            Some(Order::RemoveAll { reply }) => {
                self.forget();
                let shared = self.shared.clone();
                self.work.spawn(async move {
                    let _ = reply.send(stale::remove(&shared, None).await);
                });
            }
            Some(Order::Logs { task, attempt, container, lines, reply }) => {
                let engine = self.engine.clone();
                self.work.spawn(async move {
                    let _ = reply.send(logs(&engine, (task, attempt), container, lines).await);
                });
            }
        }
        Flow::On
    }
}

/// Which start of which task a container is of.
fn key(labels: &BTreeMap<String, String>) -> Option<Key> {
    Some((labels.get(TASK_LABEL)?.parse().ok()?, labels.get(ATTEMPT_LABEL)?.parse().ok()?))
}

/// Events first, then the list: what happens in between is in the stream.
async fn reach(engine: Engine) -> Result<(Events, Vec<Listed>, HostInfo), EngineError> {
    engine.settle_version().await?;
    let events = engine.events(None).await?;
    let listed = engine.list().await?;
    let info = engine.info().await?;
    Ok((events, listed, info))
}

async fn logs(
    engine: &Engine,
    which: Key,
    name: Option<String>,
    lines: u32,
) -> Result<Option<Vec<u8>>, EngineError> {
    let listed = engine.list().await?;
    let found = listed.iter().find(|it| {
        key(&it.labels) == Some(which)
            && name.as_ref().is_none_or(|name| it.labels.get(CONTAINER_LABEL) == Some(name))
    });
    match found {
        Some(it) => engine.logs(&it.container, lines).await,
        None => Ok(None),
    }
}
