//! What happens to containers on a host, as it happens.

use super::answers::{Container, Health};
use super::timestamp::HostTime;
use super::{Engine, EngineError};
use bollard::models::EventMessage;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;

/// The actions asked for. Health probes' `exec_*` are not: they are three for every probe, and carry
/// the command in their name.
pub(super) const ACTIONS: &[&str] = &[
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "pause",
    "unpause",
    "destroy",
    "health_status",
];

/// Something that happened to one of our containers.
///
/// Neighbouring events may arrive in the wrong order: sort by time where it matters. After a break,
/// list and inspect: a daemon remembers only its last 256 events, whoever's they were, and none after
/// a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEvent {
    /// By the host's clock.
    pub at: HostTime,
    /// To which container.
    pub container: Container,
    /// What.
    pub what: Happening,
    /// The container's labels, together with its `image` and `name` and whatever else Docker adds.
    pub attributes: BTreeMap<String, String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// It was created.
    Created,
    /// Its main process runs.
    Started,
    /// Its main process ended.
    Died {
        /// Exit status.
        code: i32,
    },
    /// The kernel ended a process of it for lack of memory; not always the main one.
    OutOfMemory,
    /// A signal was sent by request.
    Signalled {
        /// Which.
        signal: i32,
    },
    /// It was stopped by request.
    Stopped,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Unpaused,
    /// It was removed.
    Removed,
    /// Its health changed.
    Health(Health),
}

impl Happening {
    /// Reads Docker's action; `None` for those not asked for.
    fn read(action: &str, attributes: &BTreeMap<String, String>) -> Option<Self> {
        let number = |key: &str| attributes.get(key).and_then(|it| it.parse().ok());
        Some(match action {
            "create" => Self::Created,
            "start" => Self::Started,
            "die" => Self::Died { code: number("exitCode")? },
            "oom" => Self::OutOfMemory,
            "kill" => Self::Signalled { signal: number("signal")? },
            "stop" => Self::Stopped,
            "pause" => Self::Paused,
            "unpause" => Self::Unpaused,
            "destroy" => Self::Removed,
            _ => Self::Health(Health::parse(action.strip_prefix("health_status:")?.trim())?),
        })
    }
}

/// `None` for what was not asked for or cannot be read.
fn read(message: EventMessage) -> Option<HostEvent> {
    let actor = message.actor?;
    let attributes: BTreeMap<String, String> =
        actor.attributes.unwrap_or_default().into_iter().collect();
    let what = Happening::read(&message.action?, &attributes)?;
    let name = attributes.get("name").map(String::as_str).unwrap_or_default();
    Some(HostEvent {
        at: HostTime(message.time_nano?),
        container: Container::new(actor.id?, name),
        what,
        attributes,
    })
}

/// A host's events, without end.
///
/// Silence is watched: when nothing came for the time-out of [`Call::Events`](super::Call::Events), the
/// host is pinged, and a host that does not answer ends the stream.
pub struct Events {
    pub(super) engine: Engine,
    pub(super) stream: BoxStream<'static, Result<EventMessage, EngineError>>,
    /// What came while the stream was being opened.
    pub(super) first: Option<EventMessage>,
}

impl Events {
    /// The next event. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// When the stream broke, ended, or the host fell silent; it gives nothing more after that.
    /// Reconnect, then list what there is.
    pub async fn next(&mut self) -> Result<HostEvent, EngineError> {
        if let Some(event) = self.first.take().and_then(read) {
            return Ok(event);
        }
        let silence = self.engine.timeouts().events_silence;
        loop {
            match tokio::time::timeout(silence, self.stream.next()).await {
                Ok(Some(Ok(message))) => {
                    if let Some(event) = read(message) {
                        return Ok(event);
                    }
                }
                Ok(Some(Err(error))) => return Err(error),
                Ok(None) => return Err(self.engine.ended()),
                Err(_) => self.engine.ping().await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(action: &str, attributes: serde_json::Value, want: Option<Happening>) {
        let message = json!({
            "Type": "container", "Action": action, "timeNano": 17,
            "Actor": {"ID": "abc", "Attributes": attributes}
        });
        let got = read(serde_json::from_value(message).unwrap());
        assert_eq!(got.as_ref().map(|it| it.what), want, "{action}");
        assert!(got.is_none_or(|it| it.at == HostTime(17) && it.container.id() == "abc"));
    }

    #[test]
    fn actions_become_types() {
        check("start", json!({"name": "web"}), Some(Happening::Started));
        check("die", json!({"exitCode": "137"}), Some(Happening::Died { code: 137 }));
        check("die", json!({}), None);
        check("kill", json!({"signal": "15"}), Some(Happening::Signalled { signal: 15 }));
        check("health_status: unhealthy", json!({}), Some(Happening::Health(Health::Unhealthy)));
        check("exec_start: /bin/true", json!({}), None);
        check("rename", json!({}), None);
    }
}
