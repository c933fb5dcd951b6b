//! The controller: one process that owns the manager and its journal, and drives all hosts.
//!
//! One loop takes what agents tell and what users ask, hands it to the manager, and lets it decide once a
//! short window has passed; then everything is written to disk, and only then do orders go to the agents and
//! answers to the users. It holds no placement logic.

mod brain;
mod clock;
mod requests;
#[cfg(test)]
mod tests;
mod views;

use crate::agent::{self, AgentConfig, Contact, Limits, News, Order};
use crate::control::{Answer, EventView, Removed, Request, server};
use crate::hosts::{self, Host, HostsError};
use crate::store::{Header, Store, StoreError, StoreReader, VERSION};
use brain::{Brain, Outbox};
use clock::Clock;
use cluster::journal::BadRecord;
use cluster::rules::Rules;
use cluster::scheduler::Scheduler;
use cluster::snapshot::RestoreError;
use futures_util::future::join_all;
use requests::{Reading, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// From the first thing that happens to the decision: what comes meanwhile is decided together.
const WINDOW: Duration = Duration::from_millis(20);
/// At a start, how long to wait for the first word from every host before anything is placed: otherwise the
/// host that answers first would get it all.
const MUSTER: Duration = Duration::from_secs(5);
/// How often it is asked whether to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long a host may take to remove everything.
const REMOVAL: Duration = Duration::from_secs(90);
/// How often a host is looked at until nothing is left there.
const REMOVALS: u32 = 5;
/// How long the last answers may take to be read, and agents to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// The text of a `hosts.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsFile {
    /// What it says.
    pub text: String,
    /// Its path, for messages.
    pub path: String,
}

/// What a cluster is made with. All of it stays as it is for the life of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Founding {
    /// Its name.
    pub cluster: String,
    /// The policy, as the command line takes it.
    pub policy: String,
    /// Seed of all chance.
    pub seed: u64,
    /// The manager's rules.
    pub rules: Rules,
}

/// What a controller is set up with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The state folder.
    pub dir: PathBuf,
    /// The hosts; `None` if they are as the last controller had them.
    pub hosts: Option<HostsFile>,
    /// Used if the folder holds no state yet.
    pub founding: Founding,
    /// How agents watch their hosts.
    pub contact: Contact,
    /// What agents may do at once.
    pub limits: Limits,
}

/// What a controller says while it runs.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The state is open.
    Opened {
        /// What it is the state of.
        header: Header,
        /// Records in its journal.
        records: u64,
        /// It was made just now.
        is_new: bool,
    },
    /// The first requests were carried out, and others are listened to.
    Listening,
    /// Something was recorded.
    Recorded(EventView),
    /// Something that somebody should know.
    Warning(String),
    /// The answer to one of the first requests, in their order; or what a removal removed, whoever asked for
    /// it.
    Answered(Answer),
}

/// Why a controller cannot start, or ended early. What runs on the hosts runs on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hosts.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// Neither given nor known from before.
    #[error("{}: no hosts are known for this cluster", dir.display())]
    NoHosts {
        /// The state folder.
        dir: PathBuf,
    },
    /// The journal does not fit the program.
    #[error("the journal cannot be applied: {0}")]
    Restore(#[from] RestoreError),
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Record(#[from] BadRecord),
    /// The cluster's policy.
    #[error("the cluster's policy cannot be used: {0}")]
    Policy(String),
    /// The socket, or the runtime.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl ControllerError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Store(it) => it.help().to_owned(),
            Self::Hosts(it) => it.help(),
            Self::NoHosts { .. } => "name them with --hosts hosts.toml".to_owned(),
            Self::Restore(_) | Self::Record(_) | Self::Policy(_) => {
                "go on with the version of bayplan that wrote it; tasks run on meanwhile".to_owned()
            }
            Self::Io { .. } => "check that you may write to the state folder".to_owned(),
        }
    }
}

/// Makes the scheduler of a cluster's policy and seed. `Err` says why it cannot.
pub type MakeScheduler<'a> = dyn Fn(&Header) -> Result<Box<dyn Scheduler>, String> + 'a;

/// Runs a controller until it is told to end ([`Request::End`], [`Request::Down`]) or `should_end` says so,
/// which is asked ten times a second. Blocks. However it ends, tasks run on, but for [`Request::Down`].
///
/// `scheduler` makes the scheduler of the cluster's policy. The `first` requests are carried out before
/// others are listened to.
///
/// # Errors
///
/// If it cannot start, or the state can no longer be written.
pub fn run(
    setup: Setup,
    scheduler: &MakeScheduler<'_>,
    first: Vec<Request>,
    should_end: &dyn Fn() -> bool,
    notices: &mut dyn FnMut(Notice),
) -> Result<(), ControllerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ControllerError::Io { what: "starting the runtime", source })?;
    let ended = runtime.block_on(async {
        let controller = Controller::open(setup, scheduler, notices)?;
        controller.run(first, should_end).await
    });
    // A file being read for an agent must not hold up the end.
    runtime.shutdown_background();
    ended
}

struct Controller<'a> {
    brain: Brain,
    clock: Clock,
    agents: BTreeMap<String, (mpsc::UnboundedSender<Order>, JoinHandle<()>)>,
    news: mpsc::UnboundedReceiver<(String, News)>,
    asked: mpsc::UnboundedReceiver<server::Asked>,
    /// Closed once every conversation is over.
    conversations: mpsc::Receiver<()>,
    server: JoinHandle<()>,
    notices: &'a mut dyn FnMut(Notice),
    /// Hosts that have not said a word yet.
    unheard: BTreeSet<String>,
    /// Until when they are waited for.
    muster_until: tokio::time::Instant,
    /// New hosts that have been heard meanwhile: they join together, in the order of `hosts.toml`, so that
    /// equal clusters decide alike.
    recruits: BTreeMap<usize, Vec<News>>,
    order: Vec<String>,
    /// Said once all is on disk.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// Who asked to end, and to remove everything first.
    end: Option<(Option<oneshot::Sender<Answer>>, Farewell)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Leave,
    Remove,
}

impl<'a> Controller<'a> {
    fn open(
        setup: Setup,
        scheduler: &MakeScheduler<'_>,
        notices: &'a mut dyn FnMut(Notice),
    ) -> Result<Self, ControllerError> {
        let dir = setup.dir.clone();
        // Before anything is made: a typing error must not leave a half cluster behind.
        let given = match &setup.hosts {
            Some(it) => Some(hosts::read(&it.text, &it.path)?),
            None => None,
        };
        let (store, is_new) = match Store::open(&dir) {
            Ok(store) => (store, false),
            Err(StoreError::Missing { .. }) => {
                if given.is_none() {
                    return Err(ControllerError::NoHosts { dir });
                }
                let header = header(&setup.founding);
                scheduler(&header).map_err(ControllerError::Policy)?;
                (Store::create(&dir, header)?, true)
            }
            Err(error) => return Err(error.into()),
        };
        let hosts: Vec<Host> = match given {
            Some(hosts) => hosts,
            None => {
                let known = store.notes()?.hosts;
                if known.is_empty() {
                    return Err(ControllerError::NoHosts { dir });
                }
                hosts::read(&known, "the hosts of the state folder")?
            }
        };
        let header = store.header().clone();
        let scheduler = scheduler(&header).map_err(ControllerError::Policy)?;
        let text = setup.hosts.as_ref().map(|it| it.text.clone());
        let mut brain = Brain::open(store, scheduler, hosts.clone(), text)?;
        notices(Notice::Opened { header: header.clone(), records: brain.records(), is_new });
        let clock = Clock::new(header.epoch_unix_us, brain.manager.now());

        let socket = |source| ControllerError::Io { what: "listening in the state folder", source };
        let listener = server::listen(&dir).map_err(socket)?;
        let (asker, asked) = mpsc::unbounded_channel();
        let (talking, conversations) = mpsc::channel(1);
        let server = tokio::spawn(server::serve(listener, asker, talking));

        // On disk before any agent says something else.
        brain.begin(clock.now());
        brain.settle(clock.now(), false)?;
        let (outbox, news) = mpsc::unbounded_channel();
        let order: Vec<String> = hosts.iter().map(|it| it.name.clone()).collect();
        let mut agents = BTreeMap::new();
        for host in hosts {
            let name = host.name.clone();
            let wanted = brain.wanted(&name);
            let config = AgentConfig {
                host,
                owner: header.owner.clone(),
                limits: setup.limits,
                contact: setup.contact,
            };
            let (orders, inbox) = mpsc::unbounded_channel();
            let handle = agent::spawn(config, wanted, inbox, outbox.clone());
            agents.insert(name, (orders, handle));
        }
        Ok(Self {
            brain,
            clock,
            news,
            asked,
            conversations,
            server,
            notices,
            unheard: agents.keys().cloned().collect(),
            muster_until: tokio::time::Instant::now() + MUSTER,
            recruits: BTreeMap::new(),
            order,
            agents,
            answers: Vec::new(),
            end: None,
        })
    }

    async fn run(
        mut self,
        first: Vec<Request>,
        should_end: &dyn Fn() -> bool,
    ) -> Result<(), ControllerError> {
        let mut waiting = Vec::new();
        for request in first {
            let (reply, answer) = oneshot::channel();
            self.ask(request, reply);
            waiting.push(answer);
        }
        self.settle()?;
        for mut answer in waiting {
            // Those that take longer (a removal) are told when they come.
            match answer.try_recv() {
                Ok(answer) => (self.notices)(Notice::Answered(answer)),
                Err(_) => drop(answer),
            }
        }
        (self.notices)(Notice::Listening);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.end.is_none() {
            let next = self.brain.next_due();
            let due = next.map_or(Duration::from_secs(3600), |it| self.clock.until(it));
            let muster = self.muster_until;
            tokio::select! {
                Some((host, news)) = self.news.recv() => self.hear(&host, news),
                () = tokio::time::sleep_until(muster), if !self.unheard.is_empty() => self.mustered(),
                Some((request, reply)) = self.asked.recv() => self.ask(request, reply),
                () = tokio::time::sleep(due), if self.unheard.is_empty() => self.brain.due(self.clock.now()),
                _ = look.tick() => {
                    if should_end() {
                        self.end = Some((None, Farewell::Leave));
                    }
                    continue;
                }
            }
            self.gather().await;
            self.settle()?;
        }
        self.leave().await
    }

    /// Takes what comes until the window closes.
    async fn gather(&mut self) {
        let close = tokio::time::Instant::now() + WINDOW;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(close) => return,
                Some((host, news)) = self.news.recv() => self.hear(&host, news),
                Some((request, reply)) = self.asked.recv() => self.ask(request, reply),
            }
        }
    }

    fn hear(&mut self, host: &str, news: News) {
        if self.unheard.is_empty() {
            return self.brain.news(self.clock.now(), host, news);
        }
        let is_first_word = matches!(news, News::Contact { .. } | News::NoContact { .. });
        let is_new = self.brain.state().nodes().by_name(host).is_none();
        match self.order.iter().position(|it| it == host) {
            Some(row) if is_new => self.recruits.entry(row).or_default().push(news),
            _ => self.brain.news(self.clock.now(), host, news),
        }
        if is_first_word && self.unheard.remove(host) && self.unheard.is_empty() {
            self.mustered();
        }
    }

    /// Every host was heard, or had its time.
    fn mustered(&mut self) {
        self.unheard.clear();
        for (row, news) in std::mem::take(&mut self.recruits) {
            for it in news {
                self.brain.news(self.clock.now(), &self.order[row], it);
            }
        }
    }

    /// Decides, writes, and only then lets things leave.
    fn settle(&mut self) -> Result<(), ControllerError> {
        let now = self.clock.now();
        let Outbox { orders, recorded, warnings } =
            self.brain.settle(now, self.unheard.is_empty())?;
        for (host, order) in orders {
            // A host that hosts.toml no longer names has no agent, and one that ended gets no orders.
            if let Some((orders, _)) = self.agents.get(&host) {
                let _ = orders.send(order);
            }
        }
        for it in warnings {
            (self.notices)(Notice::Warning(it));
        }
        for it in recorded {
            (self.notices)(Notice::Recorded(it));
        }
        for (reply, answer) in self.answers.drain(..) {
            // Who no longer listens needs no answer.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn ask(&mut self, request: Request, reply: oneshot::Sender<Answer>) {
        match self.brain.ask(self.clock.now(), request) {
            Response::Say(answer) => self.answers.push((reply, answer)),
            Response::Reading(reading) => {
                tokio::spawn(async move {
                    let _ = reply.send(read(reading).await);
                });
            }
            Response::Down => self.end = Some((Some(reply), Farewell::Remove)),
            Response::End => self.end = Some((Some(reply), Farewell::Leave)),
        }
    }

    /// Ends in good order.
    async fn leave(mut self) -> Result<(), ControllerError> {
        let (reply, farewell) = self.end.take().unwrap_or((None, Farewell::Leave));
        let answer = match farewell {
            Farewell::Leave => Answer::Done { notes: vec!["the controller ends".to_owned()] },
            Farewell::Remove => Answer::Down(self.remove_all().await),
        };
        // What agents told meanwhile belongs into the journal.
        while let Ok((host, news)) = self.news.try_recv() {
            self.hear(&host, news);
        }
        self.settle()?;
        if let Some(reply) = reply {
            if let Answer::Down(_) = answer {
                (self.notices)(Notice::Answered(answer.clone()));
            }
            let _ = reply.send(answer);
        }
        for (orders, _) in self.agents.values() {
            let _ = orders.send(Order::Shutdown);
        }
        let agents = join_all(self.agents.into_values().map(|it| it.1));
        // Whether they end in time or not, they end with the process.
        let _ = tokio::time::timeout(FAREWELL, agents).await;
        drop(self.asked);
        self.server.abort();
        let mut conversations = self.conversations;
        let _ = tokio::time::timeout(FAREWELL, conversations.recv()).await;
        Ok(())
    }

    /// Removes everything from all hosts, and looks again whether anything is left.
    async fn remove_all(&self) -> Vec<Removed> {
        let removals = self.agents.iter().map(|(host, (orders, _))| async move {
            let removed = async {
                // What was being created when it was told to stop may come up behind the first look.
                let (mut count, mut last) = (0, 0);
                for _ in 0..REMOVALS {
                    last = remove(orders).await?;
                    count += last;
                    if last == 0 {
                        return Ok((count, None));
                    }
                }
                Ok((count, Some(format!("{last} more came up at the last of {REMOVALS} looks"))))
            };
            let (containers, left) = match tokio::time::timeout(REMOVAL, removed).await {
                Ok(Ok(it)) => it,
                Ok(Err(why)) => (0, Some(why)),
                Err(_) => (0, Some(format!("no word from it within {} s", REMOVAL.as_secs()))),
            };
            Removed { host: host.clone(), containers: containers as u64, left }
        });
        let mut all = join_all(removals).await;
        let nodes = self.brain.state().nodes();
        let gone = nodes.ids().map(|it| nodes.name(it)).filter(|it| !self.agents.contains_key(*it));
        all.extend(gone.map(|it| Removed {
            host: it.to_owned(),
            containers: 0,
            left: Some("not looked at: hosts.toml names it no longer".to_owned()),
        }));
        all
    }
}

async fn remove(orders: &mpsc::UnboundedSender<Order>) -> Result<usize, String> {
    let (reply, removed) = oneshot::channel();
    let ended = |_| "its agent has ended".to_owned();
    orders.send(Order::RemoveAll { reply }).map_err(|_| "its agent has ended".to_owned())?;
    removed.await.map_err(ended)?.map_err(|it| it.to_string())
}

async fn read(reading: Reading) -> Answer {
    let refused = match reading.await {
        Ok(Ok(Some(bytes))) => return Answer::Logs(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(Ok(None)) => requests::refused(
            "its containers are not there (yet)".to_owned(),
            "try again in a moment, or see `explain`",
        ),
        Ok(Err(error)) => requests::refused(error.to_string(), "see `bayplan live nodes`"),
        Err(_) => requests::refused("its agent has ended".to_owned(), "see `bayplan live nodes`"),
    };
    refused.into()
}

fn header(founding: &Founding) -> Header {
    let mut digits = [0; 4];
    // Not a secret: it tells clusters of one name apart.
    let _ = rustix::rand::getrandom(&mut digits, rustix::rand::GetRandomFlags::empty());
    Header {
        version: VERSION,
        cluster: founding.cluster.clone(),
        owner: format!("{}-{:08x}", founding.cluster, u32::from_le_bytes(digits)),
        policy: founding.policy.clone(),
        seed: founding.seed,
        rules: founding.rules,
        epoch_unix_us: clock::wall_us(),
    }
}

/// What a state folder is the state of, while no controller runs on it.
///
/// # Errors
///
/// As [`StoreReader::open`].
pub fn header_of(dir: &std::path::Path) -> Result<Header, StoreError> {
    Ok(StoreReader::open(dir)?.header().clone())
}
