//! What can go wrong between here and a Docker host, told apart by what it means for the caller.

use super::transport::NotConnected;
use std::time::Duration;
use thiserror::Error;

/// A call to the Engine API, as the table of time-outs knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the call of its name")]
pub enum Call {
    Ping,
    Version,
    Info,
    Create,
    Start,
    Stop,
    Kill,
    Remove,
    Inspect,
    List,
    Logs,
    Events,
    InspectImage,
    LoadImage,
    PullImage,
    ListVolumes,
    RemoveVolume,
}

impl Call {
    /// The word used in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Version => "version",
            Self::Info => "info",
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Remove => "remove",
            Self::Inspect => "inspect",
            Self::List => "list",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::InspectImage => "inspect image",
            Self::LoadImage => "load image",
            Self::PullImage => "pull image",
            Self::ListVolumes => "list volumes",
            Self::RemoveVolume => "remove volume",
        }
    }
}

/// Why a call gave no answer that the caller can go on with.
///
/// The distinction that matters: after [`Unreachable`](Self::Unreachable), [`Refused`](Self::Refused)
/// and [`Invalid`](Self::Invalid) nothing was done; after [`Unknown`](Self::Unknown) it may have been,
/// or still be under way. Ask the host (inspect, list) before doing it again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No connection: nothing was sent.
    #[error("{host}: {call}: not reachable: {reason}", call = call.name())]
    Unreachable {
        /// The host's address.
        host: String,
        /// What was to be done.
        call: Call,
        /// The system's words.
        reason: String,
    },
    /// Sent, but no answer came: done, not done, or under way.
    #[error("{host}: {call}: outcome unknown after {} ms: {reason}", waited.as_millis(), call = call.name())]
    Unknown {
        /// The host's address.
        host: String,
        /// What was to be done.
        call: Call,
        /// How long the caller waited.
        waited: Duration,
        /// What ended the wait.
        reason: String,
    },
    /// The host said no.
    #[error("{host}: {call}: refused with {status}: {message}", call = call.name())]
    Refused {
        /// The host's address.
        host: String,
        /// What was to be done.
        call: Call,
        /// HTTP status.
        status: u16,
        /// The host's words.
        message: String,
    },
    /// The host answered something that this layer cannot read.
    #[error("{host}: {call}: answer not understood: {reason}", call = call.name())]
    Garbled {
        /// The host's address.
        host: String,
        /// What was to be done.
        call: Call,
        /// What was wrong with it.
        reason: String,
    },
    /// The container exists, but does not carry this owner's label: it is not touched.
    #[error("{host}: container {name:?} is not ours")]
    NotOurs {
        /// The host's address.
        host: String,
        /// Its name or id, as asked for.
        name: String,
    },
    /// The container asked for contradicts itself; nothing was sent.
    #[error("container {name:?}: {reason}")]
    Invalid {
        /// The container's name.
        name: String,
        /// What contradicts what.
        reason: &'static str,
    },
    /// The host speaks only versions older than this layer.
    #[error("{host}: speaks Engine API {speaks}, at least {wanted} is needed")]
    TooOld {
        /// The host's address.
        host: String,
        /// The newest version it knows.
        speaks: String,
        /// What is needed.
        wanted: String,
    },
}

impl EngineError {
    /// What to do next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "check that dockerd runs there and listens at this address",
            Self::Unknown { .. } => {
                "the host may still be at work: inspect before trying again; a host that stays silent \
                 is frozen, overloaded or cut off"
            }
            Self::Refused { status: 404, .. } => "the host has no such container or image",
            Self::Refused { .. } => "the host's own words say what it did not like",
            Self::Garbled { .. } => "is this a Docker Engine API, and of a version this can read?",
            Self::NotOurs { .. } => {
                "only containers with this cluster's label are touched; rename or remove it by hand"
            }
            Self::Invalid { .. } => "correct the task definition",
            Self::TooOld { .. } => "use Docker 20.10 or later",
        }
    }

    /// Whether the call may have had an effect that nobody has seen yet.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Garbled { .. })
    }

    /// Sorts a bollard error by what it means; `waited` is how long the call took until then.
    pub(super) fn from_bollard(
        host: &str,
        call: Call,
        waited: Duration,
        error: bollard::errors::Error,
    ) -> Self {
        use bollard::errors::Error as B;
        let host = host.to_owned();
        match error {
            B::DockerResponseServerError { status_code, message } => Self::Refused {
                host,
                call,
                status: status_code,
                message: message.trim().to_owned(),
            },
            // Errors inside a stream come after status 200, so there is no other status to give.
            B::DockerStreamError { error } => {
                Self::Refused { host, call, status: 200, message: error }
            }
            B::IOError { err } if is_not_connected(&err) => {
                Self::Unreachable { host, call, reason: err.to_string() }
            }
            B::SocketNotFoundError(path) => {
                Self::Unreachable { host, call, reason: format!("no socket at {path}") }
            }
            B::IOError { .. } | B::HyperResponseError { .. } | B::RequestTimeoutError => {
                Self::Unknown { host, call, waited, reason: with_causes(&error) }
            }
            other => Self::Garbled { host, call, reason: with_causes(&other) },
        }
    }
}

fn is_not_connected(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|it| it.is::<NotConnected>())
}

/// The error with what lies beneath it; hyper's own words alone say little.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let more = it.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = it.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::errors::Error as B;
    use std::io;

    fn sorted(error: B) -> EngineError {
        EngineError::from_bollard("tcp://h:1", Call::Start, Duration::from_millis(7), error)
    }

    #[test]
    fn errors_are_sorted_by_what_they_mean_for_the_caller() {
        let refused = io::Error::new(
            io::ErrorKind::ConnectionRefused,
            NotConnected("connection refused".into()),
        );
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "reset");
        for (error, want) in [
            (
                B::DockerResponseServerError { status_code: 409, message: "in use\n".into() },
                "tcp://h:1: start: refused with 409: in use",
            ),
            (B::IOError { err: refused }, "tcp://h:1: start: not reachable: connection refused"),
            (B::IOError { err: broken }, "tcp://h:1: start: outcome unknown after 7 ms: reset"),
            (B::RequestTimeoutError, "tcp://h:1: start: outcome unknown after 7 ms: Timeout error"),
            (
                B::DockerStreamError { error: "unexpected EOF".into() },
                "tcp://h:1: start: refused with 200: unexpected EOF",
            ),
        ] {
            assert_eq!(sorted(error).to_string(), want);
        }
    }

    #[test]
    fn only_the_unknown_needs_a_second_look() {
        assert!(sorted(B::RequestTimeoutError).is_unknown());
        let missing = B::DockerResponseServerError { status_code: 404, message: String::new() };
        assert!(!sorted(missing).is_unknown());
    }
}
