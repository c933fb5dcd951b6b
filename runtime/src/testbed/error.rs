//! What can go wrong with a testbed.

use super::Leftover;
use crate::engine::EngineError;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Something this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// What.
    pub what: String,
    /// The Debian package that has it, if it is one.
    pub package: Option<&'static str>,
}

/// Why a testbed cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TestbedError {
    /// This machine cannot hold a testbed.
    #[error("this machine lacks {}", lacks.iter().map(|it| it.what.as_str()).collect::<Vec<_>>().join(", "))]
    Unfit {
        /// All that is missing.
        lacks: Vec<Lack>,
    },
    /// A testbed stands there already, or the remains of one.
    #[error("{}: holds a testbed already", dir.display())]
    AlreadyUp {
        /// Its folder.
        dir: PathBuf,
    },
    /// No testbed there.
    #[error("{}: holds no testbed", dir.display())]
    NotUp {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process raises or lowers it right now.
    #[error("{}: another process is at work on this testbed", dir.display())]
    Busy {
        /// Its folder.
        dir: PathBuf,
    },
    /// The folder cannot be used.
    #[error("{}: {reason}", dir.display())]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// More hosts than a testbed can have, or none.
    #[error("{asked} hosts: a testbed has 1 to {max}")]
    HostCount {
        /// How many were asked for.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// Every network it could use is taken.
    #[error("no free network among {tried}")]
    NoSubnet {
        /// What was looked at.
        tried: &'static str,
    },
    /// No host of that name.
    #[error("no host {name:?} in this testbed")]
    UnknownHost {
        /// The name.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// The host is not in a state in which this can be done.
    #[error("{host}: {state}")]
    WrongState {
        /// Which host.
        host: String,
        /// What it is in instead.
        state: &'static str,
    },
    /// A program said no.
    #[error("{step}: {command}: {reason}")]
    Command {
        /// What was being done.
        step: String,
        /// The command line.
        command: String,
        /// Its words, or its exit status if it had none.
        reason: String,
    },
    /// A step took too long.
    #[error("{step}: not done after {} s", after.as_secs())]
    TimedOut {
        /// What was being done.
        step: String,
        /// How long was waited.
        after: Duration,
    },
    /// A Docker daemon ended instead of coming up.
    #[error("{host}: dockerd ended while starting: {log}")]
    DaemonDied {
        /// On which host.
        host: String,
        /// The last lines of its log.
        log: String,
    },
    /// The operating system refused.
    #[error("{action} {}: {reason}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The record of what was made cannot be read.
    #[error("{}: not a testbed's record: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A Docker daemon did not do as asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Raising failed; what had been made was taken down again, except for `left`.
    #[error("{cause}")]
    NotRaised {
        /// Why it failed.
        cause: Box<TestbedError>,
        /// What could not be removed.
        left: Vec<Leftover>,
    },
}

impl TestbedError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Unfit { lacks } => {
                let mut packages: Vec<&str> = lacks.iter().filter_map(|it| it.package).collect();
                packages.sort_unstable();
                packages.dedup();
                let rest = lacks.iter().any(|it| it.package.is_none());
                let mut text = String::new();
                if !packages.is_empty() {
                    text = format!("apt-get install -y {}", packages.join(" "));
                }
                if rest {
                    text.push_str(if text.is_empty() { "" } else { "; " });
                    text.push_str("a testbed needs Linux, root and mounted control groups");
                }
                text
            }
            Self::AlreadyUp { .. } => "take it down first, or name another folder".to_owned(),
            Self::NotUp { .. } => "raise one first, or name the folder it is in".to_owned(),
            Self::Busy { .. } => "wait for it, or end it and then take the testbed down".to_owned(),
            Self::Folder { .. } => "name another folder, such as /var/lib/bayplan-testbed".to_owned(),
            Self::HostCount { max, .. } => format!("ask for 1 to {max}"),
            Self::NoSubnet { .. } => "take down testbeds that are no longer needed".to_owned(),
            Self::UnknownHost { name, known } => {
                match known.iter().min_by_key(|it| strsim::osa_distance(it, name)) {
                    Some(it) if strsim::osa_distance(it, name) <= 2 => format!("did you mean {it:?}?"),
                    _ => format!("there are {}", known.join(", ")),
                }
            }
            Self::WrongState { .. } => "see the testbed's status".to_owned(),
            Self::Command { .. } | Self::TimedOut { .. } | Self::Io { .. } => {
                "take the testbed down, which is safe at any point, and raise it again".to_owned()
            }
            Self::DaemonDied { .. } => "the log says why; it goes when the testbed is taken down".to_owned(),
            Self::Record { .. } => {
                "it was changed by hand or by another version; what it names must be removed by hand"
                    .to_owned()
            }
            Self::Engine(error) => error.help().to_owned(),
            Self::NotRaised { cause, left } if left.is_empty() => cause.help(),
            Self::NotRaised { left, .. } => format!(
                "take the testbed down again; left over: {}",
                left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}
