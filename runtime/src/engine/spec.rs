//! What a container shall be, and how that is said to Docker.

use super::{Container, EngineError};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, Mount, MountType, MountVolumeOptions,
    PortBinding,
};
use cluster::demand::Protocol;
use cluster::units::{Bytes, MilliCpu};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

/// A container to be created. The owner's label is added by the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// At least two characters of letters, digits, `_`, `.`, `-`.
    pub name: String,
    /// As `docker images` on the host shows it. Nothing is pulled.
    pub image: String,
    /// Replaces the image's entry point.
    pub entry_point: Option<Vec<String>>,
    /// Replaces the image's command; empty keeps it.
    pub command: Vec<String>,
    /// Names and values.
    pub env: Vec<(String, String)>,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// User, as `name` or `uid:gid`.
    pub user: Option<String>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// Weight against other containers when cpu is short; Docker's default is 1024.
    pub cpu_shares: Option<u32>,
    /// Ceiling on cpu.
    pub cpu_limit: Option<MilliCpu>,
    /// Ceiling on memory: beyond it the container is killed.
    pub memory_limit: Option<Bytes>,
    /// What the kernel tries to leave it when memory is short; at most the limit.
    pub memory_reservation: Option<Bytes>,
    /// Ports of the container that the host publishes.
    pub ports: Vec<Publish>,
    /// Directories and volumes.
    pub mounts: Vec<Volume>,
    /// Whose network it uses.
    pub network: Network,
    /// How its health is found.
    pub health: Option<HealthCheck>,
    /// Put a small init before the command, that passes on signals and reaps children.
    pub init: bool,
    /// The signal that asks it to end; TERM unless the image says otherwise.
    pub stop_signal: Option<String>,
    /// How long it has between that signal and being killed, unless who stops it says otherwise; whole
    /// seconds, Docker's default is 10.
    pub stop_timeout: Option<Duration>,
}

/// A port of the container, published on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port outside.
    pub host: HostPort,
}

/// Which port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPort {
    /// This one; starting fails if it is taken.
    Fixed(u16),
    /// Any that is free; inspecting tells which.
    Dynamic,
}

/// A directory or volume in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// A directory of the host.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Absolute path in the container.
        target: String,
        /// No writing.
        read_only: bool,
        /// What if the host has no such directory.
        missing: MissingSource,
    },
    /// A volume kept by Docker, made when first used.
    Named {
        /// Its name.
        name: String,
        /// Absolute path in the container.
        target: String,
        /// No writing.
        read_only: bool,
    },
    /// As [`Volume::Named`], and once made it carries the owner's label and these: it can be listed and
    /// removed. One of that name that is there already is used as it is, and stays.
    Own {
        /// Its name.
        name: String,
        /// Further labels.
        labels: BTreeMap<String, String>,
        /// Absolute path in the container.
        target: String,
        /// No writing.
        read_only: bool,
    },
}

/// What to do about a bind source that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSource {
    /// Refuse to create the container.
    Refuse,
    /// Make an empty directory on the host, as `docker run -v` and ECS do.
    Create,
}

/// Whose network a container uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// Its own, on Docker's default bridge.
    #[default]
    Bridge,
    /// Its own, with nothing in it.
    None,
    /// The host's.
    Host,
    /// That of another container, which must run when this one starts and publishes the ports of both.
    Of(Container),
    /// Its own, on a network of that name.
    Named(String),
}

/// A command in the container whose exit status tells its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Program and arguments; to use the container's shell: `["/bin/sh", "-c", "…"]`.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval: Duration,
    /// After which a check has failed.
    pub timeout: Duration,
    /// Failures in a row that make the container unhealthy.
    pub retries: u16,
    /// Failures this long after the start do not count.
    pub start_period: Duration,
}

/// The word Docker uses for a protocol.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn bytes(amount: Bytes) -> i64 {
    i64::try_from(amount.0).unwrap_or(i64::MAX)
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl ContainerSpec {
    /// What Docker would accept at creation and fail at the start, or silently ignore.
    fn check(&self) -> Result<(), EngineError> {
        let invalid = |reason| Err(EngineError::Invalid { name: self.name.clone(), reason });
        let shares_network = matches!(self.network, Network::Of(_));
        if shares_network && !self.ports.is_empty() {
            return invalid(
                "publishes ports but uses another container's network: publish them there",
            );
        }
        if matches!(self.network, Network::Host | Network::None) && !self.ports.is_empty() {
            return invalid(
                "publishes ports but has no network of its own that could be published",
            );
        }
        if let (Some(limit), Some(reserved)) = (self.memory_limit, self.memory_reservation)
            && reserved > limit
        {
            return invalid("reserves more memory than its limit");
        }
        if self.memory_limit.is_some_and(|it| it < Bytes::from_mib(6)) {
            return invalid("memory limit below 6 MiB, the least that Docker takes");
        }
        if self.cpu_limit.is_some_and(|it| it < MilliCpu(10)) {
            return invalid("cpu limit below 0.01 cores, the least that the kernel takes");
        }
        if self.cpu_shares.is_some_and(|it| it < 2) {
            return invalid("cpu shares below 2, the least that the kernel takes");
        }
        if self.ports.iter().any(|it| it.container == 0 || it.host == HostPort::Fixed(0)) {
            return invalid("port 0: ask for a dynamic port instead");
        }
        Ok(())
    }

    /// The request body. `owner` is the label that marks the container as ours.
    pub(super) fn body(&self, owner: (&str, &str)) -> Result<ContainerCreateBody, EngineError> {
        self.check()?;
        let owned = |labels: &BTreeMap<String, String>| {
            let mut labels: HashMap<String, String> =
                labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            labels.insert(owner.0.to_owned(), owner.1.to_owned());
            labels
        };

        // Bindings of ports that are not also exposed are silently ignored.
        let mut exposed = Vec::new();
        let mut bindings = bollard::models::PortMap::new();
        for port in &self.ports {
            let key = format!("{}/{}", port.container, protocol_name(port.protocol));
            let host_port = match port.host {
                HostPort::Fixed(number) => number.to_string(),
                HostPort::Dynamic => "0".to_owned(),
            };
            let binding = PortBinding { host_ip: None, host_port: Some(host_port) };
            bindings.entry(key.clone()).or_default().get_or_insert_default().push(binding);
            if !exposed.contains(&key) {
                exposed.push(key);
            }
        }

        let mut binds = Vec::new();
        let mut mounts = Vec::new();
        for it in &self.mounts {
            match it {
                Volume::Bind { source, target, read_only, missing: MissingSource::Create } => {
                    let mode = if *read_only { ":ro" } else { "" };
                    binds.push(format!("{}:{target}{mode}", source.display()));
                }
                Volume::Bind { source, target, read_only, missing: MissingSource::Refuse } => {
                    mounts.push(Mount {
                        typ: Some(MountType::BIND),
                        source: Some(source.display().to_string()),
                        target: Some(target.clone()),
                        read_only: Some(*read_only),
                        ..Mount::default()
                    });
                }
                Volume::Named { name, target, read_only } => mounts.push(Mount {
                    typ: Some(MountType::VOLUME),
                    source: Some(name.clone()),
                    target: Some(target.clone()),
                    read_only: Some(*read_only),
                    ..Mount::default()
                }),
                Volume::Own { name, labels, target, read_only } => mounts.push(Mount {
                    typ: Some(MountType::VOLUME),
                    source: Some(name.clone()),
                    target: Some(target.clone()),
                    read_only: Some(*read_only),
                    volume_options: Some(MountVolumeOptions {
                        labels: Some(owned(labels)),
                        ..MountVolumeOptions::default()
                    }),
                    ..Mount::default()
                }),
            }
        }

        let host_config = HostConfig {
            cpu_shares: self.cpu_shares.map(i64::from),
            nano_cpus: self
                .cpu_limit
                .map(|it| i64::try_from(it.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX)),
            memory: self.memory_limit.map(bytes),
            memory_reservation: self.memory_reservation.map(bytes),
            init: Some(self.init),
            binds: (!binds.is_empty()).then_some(binds),
            mounts: (!mounts.is_empty()).then_some(mounts),
            port_bindings: (!bindings.is_empty()).then_some(bindings),
            network_mode: Some(match &self.network {
                Network::Bridge => "bridge".to_owned(),
                Network::None => "none".to_owned(),
                Network::Host => "host".to_owned(),
                Network::Of(other) => format!("container:{}", other.id()),
                Network::Named(name) => name.clone(),
            }),
            ..HostConfig::default()
        };
        let healthcheck = self.health.as_ref().map(|it| HealthConfig {
            test: Some(std::iter::once("CMD".to_owned()).chain(it.command.clone()).collect()),
            interval: Some(nanos(it.interval)),
            timeout: Some(nanos(it.timeout)),
            retries: Some(i64::from(it.retries)),
            start_period: Some(nanos(it.start_period)),
            start_interval: None,
        });
        Ok(ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: (!self.command.is_empty()).then(|| self.command.clone()),
            entrypoint: self.entry_point.clone(),
            env: (!self.env.is_empty())
                .then(|| self.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(owned(&self.labels)),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            stop_signal: self.stop_signal.clone(),
            stop_timeout: self
                .stop_timeout
                .map(|it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX)),
            exposed_ports: (!exposed.is_empty()).then_some(exposed),
            healthcheck,
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn web() -> ContainerSpec {
        ContainerSpec { name: "web".into(), image: "busybox".into(), ..ContainerSpec::default() }
    }

    #[track_caller]
    fn check_body(spec: &ContainerSpec, pointer: &str, want: Value) {
        let body = serde_json::to_value(spec.body(("owner", "me")).unwrap()).unwrap();
        assert_eq!(body.pointer(pointer).cloned().unwrap_or(Value::Null), want, "{pointer}");
    }

    #[track_caller]
    fn check_refused(spec: ContainerSpec, want: &str) {
        let error = spec.body(("owner", "me")).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }

    #[test]
    fn every_field_arrives_where_docker_looks_for_it() {
        check_body(&web(), "/Labels", json!({"owner": "me"}));
        check_body(&web(), "/Cmd", Value::Null);
        check_body(&web(), "/HostConfig/NetworkMode", json!("bridge"));
        let spec = ContainerSpec {
            command: vec!["sleep".into(), "9".into()],
            env: vec![("A".into(), "b=c".into())],
            cpu_shares: Some(256),
            cpu_limit: Some(MilliCpu(500)),
            memory_limit: Some(Bytes::from_mib(64)),
            memory_reservation: Some(Bytes::from_mib(32)),
            init: true,
            stop_timeout: Some(Duration::from_secs(7)),
            mounts: vec![Volume::Own {
                name: "shelf".into(),
                labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                target: "/shelf".into(),
                read_only: true,
            }],
            ..web()
        };
        check_body(&spec, "/Cmd", json!(["sleep", "9"]));
        check_body(&spec, "/Env", json!(["A=b=c"]));
        check_body(&spec, "/HostConfig/CpuShares", json!(256));
        check_body(&spec, "/HostConfig/NanoCpus", json!(500_000_000));
        check_body(&spec, "/HostConfig/Memory", json!(67_108_864));
        check_body(&spec, "/HostConfig/MemoryReservation", json!(33_554_432));
        check_body(&spec, "/HostConfig/Init", json!(true));
        check_body(&spec, "/StopTimeout", json!(7));
        let labels = json!({"owner": "me", "a": "b"});
        check_body(&spec, "/HostConfig/Mounts/0/VolumeOptions/Labels", labels);
    }

    #[test]
    fn published_ports_are_exposed_too() {
        let port = |container, host| Publish { container, protocol: Protocol::Tcp, host };
        let ports = vec![port(80, HostPort::Fixed(8080)), port(80, HostPort::Dynamic)];
        let spec = ContainerSpec { ports, ..web() };
        check_body(&spec, "/HostConfig/PortBindings/80~1tcp/0/HostPort", json!("8080"));
        check_body(&spec, "/HostConfig/PortBindings/80~1tcp/1/HostPort", json!("0"));
        check_body(&spec, "/ExposedPorts", json!({"80/tcp": {}}));
    }

    #[test]
    fn a_missing_bind_source_is_refused_unless_it_may_be_made() {
        let bind = |missing| Volume::Bind {
            source: "/srv/a".into(),
            target: "/a".into(),
            read_only: true,
            missing,
        };
        let spec = ContainerSpec { mounts: vec![bind(MissingSource::Create)], ..web() };
        check_body(&spec, "/HostConfig/Binds", json!(["/srv/a:/a:ro"]));
        let spec = ContainerSpec { mounts: vec![bind(MissingSource::Refuse)], ..web() };
        check_body(&spec, "/HostConfig/Binds", Value::Null);
        check_body(&spec, "/HostConfig/Mounts/0/Type", json!("bind"));
    }

    #[test]
    fn contradictions_are_refused_before_anything_is_sent() {
        let ports =
            vec![Publish { container: 80, protocol: Protocol::Tcp, host: HostPort::Dynamic }];
        let of = Network::Of(Container::for_tests("abc", "pause"));
        check_refused(ContainerSpec { network: of, ports, ..web() }, "another container's network");
        let memory_limit = Some(Bytes::from_mib(8));
        let memory_reservation = Some(Bytes::from_mib(9));
        check_refused(
            ContainerSpec { memory_limit, memory_reservation, ..web() },
            "reserves more memory",
        );
        let memory_limit = Some(Bytes::from_mib(5));
        check_refused(ContainerSpec { memory_limit, ..web() }, "below 6 MiB");
        check_refused(ContainerSpec { cpu_limit: Some(MilliCpu(5)), ..web() }, "0.01 cores");
    }

    #[test]
    fn the_owner_label_cannot_be_overridden() {
        let labels = BTreeMap::from([("owner".to_owned(), "you".to_owned())]);
        check_body(&ContainerSpec { labels, ..web() }, "/Labels", json!({"owner": "me"}));
    }
}
