//! One task on one host: looks at its containers, does what comes next, looks again.

use super::{
    AgentConfig, ContainerDetail, Job, Key, Limits, News, Note, TaskDetail,
    image::{self, Images},
    ports::{self, Claims},
    shape, stale, steps,
};
use crate::engine::{
    Container, Created, Details, Engine, EngineError, Force, StartFailure as EngineFailure,
    Started, Status,
};
use crate::program::{PullPolicy, VolumeSource};
use cluster::demand::Port;
use cluster::event::{Report, StartFailure};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use steps::{Step, View};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

/// Looked at again after this long even if no event came.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After a call that failed.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) enum Command {
    /// Something happened to one of its containers.
    Nudge,
    /// Answer after having looked and told.
    Look(oneshot::Sender<()>),
    Stop,
    Acknowledge,
}

/// What the runners of one host share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    owner: String,
    host: String,
    pub(super) limits: Limits,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    news: mpsc::UnboundedSender<(String, News)>,
    starts: Semaphore,
    pub(super) images: Images,
    /// With those that have a runner: one that is being aborted must not claim once more.
    claims: Mutex<(Claims, BTreeSet<Key>)>,
    released: Notify,
}

impl Shared {
    pub(super) fn new(
        config: &AgentConfig,
        engine: Engine,
        notes: mpsc::UnboundedSender<Note>,
        news: mpsc::UnboundedSender<(String, News)>,
    ) -> Self {
        Self {
            engine,
            owner: config.owner.clone(),
            host: config.host.name.clone(),
            limits: config.limits,
            notes,
            news,
            starts: Semaphore::new(config.limits.starts.max(1)),
            images: Images::default(),
            claims: Mutex::default(),
            released: Notify::new(),
        }
    }

    pub(super) fn tell(&self, news: News) {
        // Nobody left to tell is no fault: the agent is about to end.
        let _ = self.news.send((self.host.clone(), news));
    }

    fn lock(&self) -> MutexGuard<'_, (Claims, BTreeSet<Key>)> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, ports: &[Port], key: Key) -> bool {
        let mut lock = self.lock();
        lock.1.contains(&key) && lock.0.take(ports, key)
    }

    fn release(&self, key: Key) {
        self.lock().0.release(key);
        self.released.notify_waiters();
    }

    pub(super) fn enlist(&self, key: Key) {
        self.lock().1.insert(key);
    }

    /// Its runner is gone.
    pub(super) fn bury(&self, key: Key) {
        self.lock().1.remove(&key);
        self.release(key);
    }
}

/// What the task is to become.
enum Mode {
    Live,
    /// Told, and waiting for word that it is on disk.
    Ended,
    Stopping,
    Acknowledged,
    Failing(StartFailure, String),
}

enum Next {
    Again,
    Wait(Duration),
    Done,
}

pub(super) struct Runner {
    job: Job,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    gate: watch::Receiver<bool>,
    mode: Mode,
    looks: Vec<oneshot::Sender<()>>,
    /// When each was first seen running.
    ran: Vec<Option<Instant>>,
    healthy: Option<bool>,
    /// As last seen, kept over the removal.
    detail: TaskDetail,
    created: Instant,
}

impl Runner {
    pub(super) fn new(
        job: Job,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        gate: watch::Receiver<bool>,
    ) -> Self {
        if job.began {
            shared.claim(&shape::fixed_ports(&job.program), (job.task, job.attempt));
        }
        let ran = vec![None; job.program.containers.len()];
        Self {
            job,
            shared,
            commands,
            gate,
            mode: Mode::Live,
            looks: Vec::new(),
            ran,
            healthy: None,
            detail: TaskDetail::default(),
            created: Instant::now(),
        }
    }

    fn key(&self) -> Key {
        (self.job.task, self.job.attempt)
    }

    pub(super) async fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.take(command);
            }
            if !*self.gate.borrow_and_update() {
                tokio::select! {
                    Ok(()) = self.gate.changed() => {}
                    Some(command) = self.commands.recv() => self.take(command),
                    else => return,
                }
                continue;
            }
            let shared = self.shared.clone();
            // Made before looking, so that no release is missed.
            let released = shared.released.notified();
            let pause = match self.pass().await {
                Ok(Next::Again) => continue,
                Ok(Next::Wait(pause)) => pause,
                Ok(Next::Done) => return,
                Err(_) => {
                    // Whoever asked need not wait: there is nothing to be seen now.
                    self.looks.clear();
                    RETRY
                }
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.take(command),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
                () = released => {}
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Nudge => {}
            Command::Look(reply) => self.looks.push(reply),
            Command::Stop => {
                if !matches!(self.mode, Mode::Acknowledged) {
                    self.mode = Mode::Stopping;
                }
            }
            Command::Acknowledge => {
                if matches!(self.mode, Mode::Ended) {
                    self.mode = Mode::Acknowledged;
                }
            }
        }
    }

    fn looked(&mut self) {
        for reply in self.looks.drain(..) {
            let _ = reply.send(());
        }
    }

    fn report(&self, report: Report, reason: &str) {
        let detail = TaskDetail { reason: reason.to_owned(), ..self.detail.clone() };
        let (task, attempt) = self.key();
        self.shared.tell(News::Task { task, attempt, report, detail });
    }

    /// Looks at all containers.
    async fn observe(&mut self) -> Result<Vec<Option<Details>>, EngineError> {
        let (engine, owner, job) = (&self.shared.engine, &self.shared.owner, &self.job);
        let finds = job.program.containers.iter().map(|it| {
            let name = shape::name(owner, job, &it.name);
            async move { engine.find(&name).await }
        });
        let found: Vec<Option<Details>> =
            join_all(finds).await.into_iter().collect::<Result<_, _>>()?;
        let rows = job.program.containers.iter().zip(&found);
        let seen: Vec<ContainerDetail> = rows
            .filter_map(|(it, details)| {
                let details = details.as_ref()?;
                let exit = details.exit.as_ref();
                Some(ContainerDetail {
                    name: it.name.clone(),
                    id: details.container.id().to_owned(),
                    exit_code: exit.map(|it| it.code),
                    out_of_memory: exit.is_some_and(|it| it.out_of_memory),
                    ports: details.ports.clone(),
                    error: exit.and_then(|it| it.error.clone()),
                })
            })
            .collect();
        // What has been removed since is still worth telling.
        if seen.len() >= self.detail.containers.len() {
            self.detail.containers = seen;
        }
        Ok(found)
    }

    fn views(&mut self, found: &[Option<Details>]) -> Vec<View> {
        let rows = found.iter().zip(&mut self.ran);
        rows.map(|(details, ran)| {
            let gone = View::Ended { code: 137, at: None };
            match details {
                None if self.job.began || ran.is_some() => gone,
                None => View::Waiting,
                Some(it) => match it.status {
                    Status::Created => View::Waiting,
                    Status::Running | Status::Paused | Status::Restarting => View::Running {
                        health: it.health,
                        age: ran.get_or_insert_with(Instant::now).elapsed(),
                    },
                    Status::Removing => gone,
                    Status::Exited | Status::Dead => View::Ended {
                        code: it.exit.as_ref().map_or(137, |it| it.code),
                        at: it.finished,
                    },
                },
            }
        })
        .collect()
    }

    async fn pass(&mut self) -> Result<Next, EngineError> {
        if let Mode::Ended = self.mode {
            self.looked();
            return Ok(Next::Wait(Duration::from_secs(3600)));
        }
        let found = self.observe().await?;
        match &self.mode {
            Mode::Stopping => self.stop(&found).await,
            Mode::Acknowledged => {
                self.remove(&found).await?;
                Ok(Next::Done)
            }
            Mode::Failing(why, reason) => {
                let (why, reason) = (*why, reason.clone());
                self.remove(&found).await?;
                self.shared.release(self.key());
                if why == StartFailure::Port {
                    let ports = ports::taken(&reason, &shape::fixed_ports(&self.job.program));
                    // The agent outlives its runners.
                    let _ = self.shared.notes.send(Note::PortsTaken(ports));
                }
                self.report(Report::Failed { why }, &reason);
                Ok(Next::Done)
            }
            Mode::Live | Mode::Ended => self.live(&found).await,
        }
    }

    async fn live(&mut self, found: &[Option<Details>]) -> Result<Next, EngineError> {
        let views = self.views(found);
        let program = self.job.program.clone();
        if views.iter().any(|it| matches!(it, View::Running { .. })) {
            // Of a task that was found running; of any other it is its own already.
            self.shared.claim(&shape::fixed_ports(&program), self.key());
        }
        let step = steps::next(&program, &views, self.shared.limits.start_timeout);
        if steps::has_begun(&views) && !self.job.began {
            self.job.began = true;
            self.report(Report::Started, "");
        }
        let healthy = steps::health(&program, &views);
        if let Some(verdict) = healthy
            && healthy != self.healthy
            && self.job.began
            && matches!(step, Step::Wait)
        {
            self.healthy = healthy;
            self.report(if verdict { Report::Healthy } else { Report::Unhealthy }, "");
        }
        match step {
            Step::Wait => {
                self.looked();
                let pause = if self.job.began { LOOK_AGAIN } else { Duration::from_secs(1) };
                Ok(Next::Wait(pause))
            }
            Step::Launch(rows) => {
                self.looked();
                let ports = shape::fixed_ports(&program);
                if !self.shared.claim(&ports, self.key()) {
                    if self.created.elapsed() >= self.shared.limits.start_timeout {
                        let reason = "another task of this host did not give back its port";
                        self.mode = Mode::Failing(StartFailure::Port, reason.to_owned());
                        return Ok(Next::Again);
                    }
                    return Ok(Next::Wait(LOOK_AGAIN));
                }
                let owner = steps::namespace_owner(&program);
                let namespace =
                    owner.and_then(|it| found[it].as_ref()).map(|it| it.container.clone());
                for row in rows {
                    let is_new = found[row].is_none();
                    if let Err((why, reason)) = self.launch(row, is_new, namespace.clone()).await? {
                        let name = &program.containers[row].name;
                        self.mode = Mode::Failing(why, format!("container {name}: {reason}"));
                        break;
                    }
                    // Perhaps an order to stop, or one was taken while fetching.
                    if !self.commands.is_empty() || !matches!(self.mode, Mode::Live) {
                        break;
                    }
                }
                Ok(Next::Again)
            }
            Step::Stop(rows) => {
                self.stop_rows(&rows, found).await?;
                Ok(Next::Again)
            }
            Step::Exit(code) => {
                let vanished = View::Ended { code: 137, at: None };
                let reason = match views.iter().position(|it| *it == vanished) {
                    Some(_) if code == 137 => "container vanished",
                    _ => "",
                };
                self.shared.release(self.key());
                self.report(Report::Exited { code }, reason);
                self.mode = Mode::Ended;
                self.looked();
                Ok(Next::Again)
            }
            Step::Fail(why, reason) => {
                self.mode = Mode::Failing(why, reason);
                Ok(Next::Again)
            }
        }
    }

    async fn stop(&mut self, found: &[Option<Details>]) -> Result<Next, EngineError> {
        self.looked();
        let alive: Vec<bool> =
            found.iter().map(|it| it.as_ref().is_some_and(|it| it.status.is_alive())).collect();
        let rows = steps::stop_now(&self.job.program, &alive);
        if !rows.is_empty() {
            self.stop_rows(&rows, found).await?;
            return Ok(Next::Again);
        }
        self.remove(found).await?;
        self.shared.release(self.key());
        let (task, attempt) = self.key();
        self.shared.tell(News::Stopped { task, attempt, detail: self.detail.clone() });
        Ok(Next::Done)
    }

    async fn stop_rows(
        &self,
        rows: &[usize],
        found: &[Option<Details>],
    ) -> Result<(), EngineError> {
        let stops = rows.iter().filter_map(|&row| {
            let container = &found[row].as_ref()?.container;
            let grace = shape::stop_timeout(&self.job.program.containers[row]);
            Some(self.shared.engine.stop(container, grace))
        });
        join_all(stops).await.into_iter().try_for_each(|it| it.map(drop))
    }

    async fn remove(&self, found: &[Option<Details>]) -> Result<(), EngineError> {
        let all = found.iter().flatten();
        let removals = all.map(|it| self.shared.engine.remove(&it.container, Force::Yes));
        join_all(removals).await.into_iter().try_for_each(|it| it.map(drop))?;
        let mut sources = self.job.program.volumes.values();
        if sources.any(|it| *it == VolumeSource::Task) {
            let of_task = |it: Option<Key>| it == Some(self.key());
            stale::remove_volumes(&self.shared, of_task).await?;
        }
        Ok(())
    }

    /// Gets an image onto the host; `Ok(Ok(false))` if an order came in between that makes it needless.
    async fn fetch(&mut self, row: usize) -> Result<Result<bool, String>, EngineError> {
        let (shared, program) = (self.shared.clone(), self.job.program.clone());
        let mut fetching = pin!(image::fetch(&shared, &program.containers[row]));
        loop {
            tokio::select! {
                fetched = &mut fetching => return fetched.map(|it| it.map(|()| true)),
                Some(command) = self.commands.recv() => {
                    self.take(command);
                    // There is nothing to be seen before it is there.
                    self.looked();
                    if !matches!(self.mode, Mode::Live) {
                        return Ok(Ok(false));
                    }
                }
            }
        }
    }

    /// Creates and starts one container, or goes on where that was broken off. The outer error is one of
    /// contact: look again. The inner is the host's refusal.
    async fn launch(
        &mut self,
        row: usize,
        is_new: bool,
        namespace: Option<Container>,
    ) -> Result<Result<(), (StartFailure, String)>, EngineError> {
        let shared = self.shared.clone();
        let engine = &shared.engine;
        let spec = shape::spec(&shared.owner, &self.job, row, namespace);
        let mut is_needed = is_new && self.job.program.containers[row].pull == PullPolicy::Always;
        let mut is_fetched = false;
        let (container, _permit) = loop {
            if is_needed && !is_fetched {
                match self.fetch(row).await? {
                    Ok(true) => is_fetched = true,
                    Ok(false) => return Ok(Ok(())),
                    Err(reason) => return Ok(Err((StartFailure::Image, reason))),
                }
            }
            // Not while fetching, which may take long.
            let permit = shared.starts.acquire().await;
            match engine.create(&spec).await {
                Ok(Created::New(it)) => break (it, permit),
                Ok(Created::AlreadyThere(it)) => break (it.container, permit),
                Ok(Created::NameTaken) => {
                    let reason = format!("somebody else's container is named {}", spec.name);
                    return Ok(Err((StartFailure::Other, reason)));
                }
                Ok(Created::NoImage) if is_fetched => {
                    let reason = format!("what was fetched does not hold {}", spec.image);
                    return Ok(Err((StartFailure::Image, reason)));
                }
                Ok(Created::NoImage) => is_needed = true,
                Err(error) => return refused(error),
            }
        };
        match engine.start(&container).await {
            Ok(Started::Now | Started::AlreadyRunning) => {
                self.ran[row].get_or_insert_with(Instant::now);
                Ok(Ok(()))
            }
            // Removed in between: the next look creates it again.
            Ok(Started::Gone) => Ok(Ok(())),
            Ok(Started::Failed { why, message }) => {
                let why = match why {
                    EngineFailure::PortTaken => StartFailure::Port,
                    EngineFailure::Command => StartFailure::Command,
                    EngineFailure::Network => StartFailure::Dependency,
                    EngineFailure::Other => StartFailure::Other,
                };
                Ok(Err((why, message)))
            }
            Err(error) => refused(error),
        }
    }
}

/// Tells a refusal from a loss of contact.
fn refused<T>(error: EngineError) -> Result<Result<T, (StartFailure, String)>, EngineError> {
    match &error {
        EngineError::Refused { status: 400, message, .. }
            if message.contains("mount") || message.contains("volume") =>
        {
            Ok(Err((StartFailure::Volume, message.clone())))
        }
        // The name is just being freed.
        EngineError::Refused { status: 409, .. } => Err(error),
        EngineError::Refused { message, .. } => Ok(Err((StartFailure::Other, message.clone()))),
        EngineError::Invalid { .. } => Ok(Err((StartFailure::Other, error.to_string()))),
        _ => Err(error),
    }
}
