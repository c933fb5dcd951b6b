//! Where a cluster is kept, and a conversation with its controller.

use crate::error::Failure;
use crate::runner::STOP;
use crate::state_dir;
use runtime::control::{Answer, Client, ClientError, Request};
use runtime::store::{Header, StoreError, StoreReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Where it is kept if this machine does not say where its users keep such things.
const SYSTEM_DIR: &str = "/var/lib/bayplan-live";

/// How often Ctrl-C is looked at while a controller is waited for.
const GLANCE: Duration = Duration::from_millis(50);

/// A cluster's folder.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where.
    pub dir: PathBuf,
    /// What further commands must say to mean the same cluster: nothing, or ` --state DIR`.
    pub flag: String,
}

impl Place {
    /// The folder that was named, or the usual one.
    pub fn of(state: Option<&Path>) -> Self {
        match state {
            Some(dir) => {
                let flag = format!(" --state {}", crate::output::quoted(&dir.to_string_lossy()));
                Self { dir: dir.to_owned(), flag }
            }
            None => {
                let dir = state_dir::usual("bayplan-live");
                Self { dir: dir.unwrap_or_else(|| SYSTEM_DIR.into()), flag: String::new() }
            }
        }
    }

    /// What the folder is the state of; `None` if it holds none yet.
    ///
    /// # Errors
    ///
    /// If a controller runs on it, or it cannot be read.
    pub fn header(&self) -> Result<Option<Header>, Failure> {
        match StoreReader::open(&self.dir) {
            Ok(reader) => Ok(Some(reader.header().clone())),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(self.store_failure(&error)),
        }
    }

    /// An error of the folder, with the command that helps.
    pub fn store_failure(&self, error: &StoreError) -> Failure {
        let flag = &self.flag;
        let help = match error {
            StoreError::InUse { .. } => format!(
                "`bayplan live status{flag}` asks it, `bayplan live end{flag}` ends it and leaves its \
                 tasks running; --state names the folder of another cluster"
            ),
            StoreError::Missing { .. } => self.none_here(),
            other => other.help().to_owned(),
        };
        Failure::new(error.to_string()).help(help)
    }

    /// What to do where there is no cluster.
    pub fn none_here(&self) -> String {
        format!(
            "check --state, or make a cluster there: `bayplan live up --hosts hosts.toml{}`; `bayplan \
             testbed up 3` raises three hosts to try it on",
            self.flag
        )
    }

    /// Why nobody listens, and what to do about it.
    fn nobody_listens(&self) -> Failure {
        let what = format!("no controller is running on {}", self.dir.display());
        let flag = &self.flag;
        let help = match StoreReader::open(&self.dir) {
            Ok(_) => {
                format!("start it where it left off, in another terminal: `bayplan live up{flag}`")
            }
            Err(StoreError::InUse { .. }) => {
                "one is beginning or ending just now: try again in a moment".to_owned()
            }
            Err(StoreError::Missing { .. }) => self.none_here(),
            Err(error) => return self.store_failure(&error),
        };
        Failure::new(what).help(help)
    }

    /// Waits until nobody holds the folder any longer, so that the next command may.
    pub fn wait_until_free(&self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) && !STOP.load(Ordering::Relaxed) {
            let in_use = matches!(StoreReader::open(&self.dir), Err(StoreError::InUse { .. }));
            if !in_use && Client::connect(&self.dir).is_err() {
                return;
            }
            std::thread::sleep(GLANCE);
        }
    }
}

/// A conversation with a running controller.
pub struct Talk {
    place: Place,
    client: Option<Client>,
}

impl Talk {
    /// Begins one; `None` if no controller listens.
    pub fn try_open(place: &Place) -> Option<Self> {
        let client = Client::connect(&place.dir).ok()?;
        Some(Self { place: place.clone(), client: Some(client) })
    }

    /// Begins one.
    ///
    /// # Errors
    ///
    /// If no controller listens, with the command that starts one.
    pub fn open(place: &Place) -> Result<Self, Failure> {
        Self::try_open(place).ok_or_else(|| place.nobody_listens())
    }

    /// Asks one thing. Ctrl-C ends the waiting, not what was asked.
    ///
    /// # Errors
    ///
    /// What the controller refuses, with its help; or if it goes away.
    pub fn ask(&mut self, request: Request) -> Result<Answer, Failure> {
        let Some(mut client) = self.client.take() else {
            return Err(Failure::new("the controller does not answer any longer").found());
        };
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let answer = client.ask(&request);
            // If nobody waits any longer, nobody wants to know.
            let _ = tell.send((client, answer));
        });
        let answer = loop {
            match told.recv_timeout(GLANCE) {
                Ok((client, answer)) => {
                    self.client = Some(client);
                    break answer;
                }
                Err(RecvTimeoutError::Timeout) if STOP.load(Ordering::Relaxed) => {
                    return Err(Failure::new("interrupted while the controller was waited for")
                        .help("what it was asked, it may still do")
                        .interrupted());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("the controller's answer was lost").found());
                }
            }
        };
        match answer {
            Ok(Answer::Refused { what, help }) => Err(Failure::new(what).help(help)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.client_failure(&error)),
        }
    }

    fn client_failure(&self, error: &ClientError) -> Failure {
        let failure = Failure::new(error.to_string());
        let flag = &self.place.flag;
        match error {
            ClientError::Strange { .. } => {
                failure.help("use the same version of bayplan as the controller")
            }
            _ => failure
                .help(format!(
                    "if it ended, `bayplan live up{flag}` goes on where it left off; what it had \
                     acknowledged is kept"
                ))
                .found(),
        }
    }
}

/// An answer to something else than what was asked.
pub fn strange(answer: &Answer) -> Failure {
    let says = serde_json::to_string(answer).unwrap_or_default();
    let says: String = says.chars().take(80).collect();
    Failure::new(format!("the controller answers something else: {says}"))
        .help("use the same version of bayplan as the controller")
}
