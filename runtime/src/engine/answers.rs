//! What a host says about itself and about containers, as types.

use super::timestamp::HostTime;
use super::transport::ApiVersion;
use bollard::models as m;
use cluster::demand::Protocol;
use cluster::units::{Bytes, MilliCpu};
use std::collections::BTreeMap;
use std::time::Duration;

/// A container that carries this owner's label. Only the engine makes these, after having seen the
/// label, and only these can be acted on: a stranger's container cannot be touched by mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Container {
    id: String,
    name: String,
}

impl Container {
    pub(super) fn new(id: String, name: &str) -> Self {
        Self { id, name: name.trim_start_matches('/').to_owned() }
    }

    #[cfg(test)]
    pub(super) fn for_tests(id: &str, name: &str) -> Self {
        Self::new(id.to_owned(), name)
    }

    /// 64 hexadecimal digits, never used again by this host.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Unique on its host at any one time.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A volume that carries this owner's label. As with [`Container`], only the engine makes these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVolume {
    pub(super) name: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
}

impl OwnVolume {
    /// Unique on its host.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What a host reports of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostInfo {
    /// Its host name.
    pub name: String,
    /// Of the whole machine, as far as the daemon may use it.
    pub cpu: MilliCpu,
    /// Of the whole machine.
    pub memory: Bytes,
    /// The daemon's labels; those without `=` have an empty value.
    pub labels: BTreeMap<String, String>,
    /// Docker's version.
    pub version: String,
    /// Storage driver.
    pub storage_driver: String,
    /// Containers survive the daemon.
    pub live_restore: bool,
    /// Containers of anybody that run now.
    pub running: u64,
    /// What the daemon itself warns of.
    pub warnings: Vec<String>,
}

impl From<m::SystemInfo> for HostInfo {
    fn from(it: m::SystemInfo) -> Self {
        let count = |it: Option<i64>| u64::try_from(it.unwrap_or(0)).unwrap_or(0);
        let labels = it.labels.unwrap_or_default();
        Self {
            name: it.name.unwrap_or_default(),
            cpu: MilliCpu::from_cores(count(it.ncpu)),
            memory: Bytes(count(it.mem_total)),
            labels: labels
                .iter()
                .map(|it| it.split_once('=').unwrap_or((it, "")))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            version: it.server_version.unwrap_or_default(),
            storage_driver: it.driver.unwrap_or_default(),
            live_restore: it.live_restore_enabled.unwrap_or(false),
            running: count(it.containers_running),
            warnings: it.warnings.unwrap_or_default(),
        }
    }
}

/// The versions a host speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVersion {
    /// Docker's version.
    pub docker: String,
    /// The newest API version it speaks.
    pub newest: ApiVersion,
    /// The oldest.
    pub oldest: ApiVersion,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Never started, or a start of it failed.
    Created,
    /// Its main process runs.
    Running,
    /// Frozen.
    Paused,
    /// Docker is about to start it again.
    Restarting,
    /// Docker is removing it.
    Removing,
    /// Its main process ended.
    Exited,
    /// Docker could not remove it.
    Dead,
}

impl Status {
    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            _ => return None,
        })
    }

    /// Whether it has processes now.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// As many checks in a row failed as its retries.
    Unhealthy,
}

impl Health {
    /// The health of that name; `None` also where there is no check.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "starting" => Self::Starting,
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            _ => return None,
        })
    }
}

/// How a container ended, or how its start failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Exit status; 128 + the signal's number if one ended it. 125 to 128 also stand for starts that failed.
    pub code: i32,
    /// The kernel ended it for lack of memory.
    pub out_of_memory: bool,
    /// Docker's words, where a start failed.
    pub error: Option<String>,
}

/// A port that is really published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Published {
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port of the host.
    pub host: u16,
}

/// All that inspecting a container tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Which.
    pub container: Container,
    /// The image's name, as it was asked for.
    pub image: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub status: Status,
    /// `None` if it has no health check.
    pub health: Option<Health>,
    /// `None` while it runs or was never started.
    pub exit: Option<Exit>,
    /// When it last started.
    pub started: Option<HostTime>,
    /// When it last ended.
    pub finished: Option<HostTime>,
    /// Ports, sorted and without repeats: IPv4 and IPv6 count once. Empty unless it runs.
    pub ports: Vec<Published>,
    /// Its grace where who stops it names none; `None` is Docker's default of 10 s.
    pub stop_timeout: Option<Duration>,
    /// Its address on its first network. `None` unless it runs with a network of its own.
    pub ip: Option<String>,
}

/// One line of the list of our containers. It has no exit status: Docker's list does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub container: Container,
    /// The image's name.
    pub image: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub status: Status,
}

/// Reads an inspection; the label has been checked by the caller. `Err` says what is missing.
pub(super) fn details(it: m::ContainerInspectResponse) -> Result<Details, &'static str> {
    let id = it.id.ok_or("no id")?;
    let config = it.config.unwrap_or_default();
    let state = it.state.ok_or("no state")?;
    let status = state.status.map(|it| it.to_string()).unwrap_or_default();
    let status = Status::parse(&status).ok_or("a status of no known name")?;
    let started = state.started_at.as_deref().and_then(HostTime::parse);
    let error = state.error.filter(|it| !it.is_empty());
    let ended = match status {
        Status::Exited | Status::Dead => true,
        // A start that failed leaves it "created", with an exit status and an error.
        Status::Created => error.is_some(),
        Status::Running | Status::Paused | Status::Restarting | Status::Removing => false,
    };
    let exit = ended.then(|| Exit {
        code: i32::try_from(state.exit_code.unwrap_or(0)).unwrap_or(i32::MAX),
        out_of_memory: state.oom_killed.unwrap_or(false),
        error,
    });
    let network = it.network_settings.unwrap_or_default();
    let mut ports: Vec<Published> = Vec::new();
    for (inside, bindings) in network.ports.unwrap_or_default() {
        let Some((container, protocol)) = parse_port(&inside) else { continue };
        for binding in bindings.unwrap_or_default() {
            let host = binding.host_port.and_then(|it| it.parse().ok());
            ports.extend(host.map(|host| Published { container, protocol, host }));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    let mut addresses: Vec<(String, String)> = network
        .networks
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, it)| Some((name, it.ip_address.filter(|it| !it.is_empty())?)))
        .collect();
    addresses.sort();
    Ok(Details {
        container: Container::new(id, &it.name.unwrap_or_default()),
        image: config.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        status,
        health: state.health.and_then(|it| it.status).and_then(|it| Health::parse(it.as_ref())),
        exit,
        started,
        finished: state.finished_at.as_deref().and_then(HostTime::parse),
        ports,
        stop_timeout: config
            .stop_timeout
            .map(|it| Duration::from_secs(u64::try_from(it).unwrap_or(0))),
        ip: addresses.into_iter().next().map(|it| it.1),
    })
}

/// Reads one line of a list.
pub(super) fn listed(it: m::ContainerSummary) -> Result<Listed, &'static str> {
    let name = it.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    let status = it.state.map(|it| it.to_string()).unwrap_or_default();
    Ok(Listed {
        container: Container::new(it.id.ok_or("no id")?, &name),
        image: it.image.unwrap_or_default(),
        labels: it.labels.unwrap_or_default().into_iter().collect(),
        status: Status::parse(&status).ok_or("a status of no known name")?,
    })
}

/// Reads `80/tcp`.
fn parse_port(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/')?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some((number.parse().ok()?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(state: serde_json::Value) -> Details {
        let answer = json!({
            "Id": "abc", "Name": "/web", "State": state,
            "Config": {"Image": "busybox", "Labels": {"a": "b"}},
            "NetworkSettings": {
                "Ports": {
                    "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
                    "53/udp": null
                },
                "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}
            }
        });
        details(serde_json::from_value(answer).unwrap()).unwrap()
    }

    #[test]
    fn a_running_container_has_ports_and_no_exit() {
        let got = read(json!({
            "Status": "running", "ExitCode": 0, "StartedAt": "2026-11-23T08:04:07.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z", "Health": {"Status": "starting"}
        }));
        assert_eq!(
            (got.status, got.health, got.exit),
            (Status::Running, Some(Health::Starting), None)
        );
        assert_eq!(got.started, Some(HostTime(1_795_421_047_500_000_000)));
        assert_eq!(got.finished, None);
        let web = Published { container: 80, protocol: Protocol::Tcp, host: 32768 };
        assert_eq!(got.ports, [web], "the IPv6 twin counts once, unpublished ports not at all");
        assert_eq!(got.ip.as_deref(), Some("172.17.0.2"));
        assert_eq!(got.container.name(), "web");
    }

    #[test]
    fn an_end_and_a_failed_start_both_have_an_exit() {
        for (state, want) in [
            (json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true}), Some((137, true))),
            (
                json!({"Status": "created", "ExitCode": 127, "Error": "no such file"}),
                Some((127, false)),
            ),
            (json!({"Status": "created", "ExitCode": 0, "Error": ""}), None),
            (json!({"Status": "paused", "ExitCode": 0}), None),
        ] {
            let got = read(state.clone()).exit.map(|it| (it.code, it.out_of_memory));
            assert_eq!(got, want, "{state}");
        }
    }

    #[test]
    fn names_of_states_round_trip() {
        for name in ["created", "running", "paused", "restarting", "removing", "exited", "dead"] {
            assert!(Status::parse(name).is_some(), "{name}");
        }
        assert_eq!(Status::parse("Running"), None);
        assert_eq!(Health::parse("none"), None);
    }

    #[test]
    fn a_host_reports_capacity_and_labels() {
        let answer =
            json!({"NCPU": 2, "MemTotal": 1024, "Name": "n1", "Labels": ["zone=a", "ssd"]});
        let got = HostInfo::from(serde_json::from_value::<m::SystemInfo>(answer).unwrap());
        assert_eq!((got.cpu, got.memory), (MilliCpu(2000), Bytes(1024)));
        let labels: Vec<_> = got.labels.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(labels, [("ssd", ""), ("zone", "a")]);
    }
}
