//! How a container of a program is said to Docker.

use super::{ATTEMPT_LABEL, CONTAINER_LABEL, DEFINITION_LABEL, Job, TASK_LABEL, ceilings, steps};
use crate::engine::{
    Container, ContainerSpec, HealthCheck, HostPort, MissingSource, Network, Publish, Volume,
};
use crate::program::{ContainerProgram, NetworkMode, PortMapping, Program, VolumeSource};
use cluster::demand::Port;
use cluster::units::Span;
use std::collections::BTreeMap;
use std::time::Duration;

/// Grace of containers that say nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

fn span(it: Span) -> Duration {
    Duration::from_micros(it.0)
}

/// Unique on the host: owner, task, attempt, container.
pub(super) fn name(owner: &str, job: &Job, what: &str) -> String {
    format!("bayplan-{owner}-{}-{}-{what}", job.task, job.attempt)
}

/// What all that belongs to one start of a task carries.
fn task_labels(job: &Job) -> BTreeMap<String, String> {
    [
        (TASK_LABEL, job.task.to_string()),
        (ATTEMPT_LABEL, job.attempt.to_string()),
        (DEFINITION_LABEL, job.definition.clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Its grace, from being asked to end until it is killed.
pub(super) fn stop_timeout(it: &ContainerProgram) -> Duration {
    it.stop_timeout.map_or(STOP_TIMEOUT, span)
}

/// The fixed ports of the host that the task publishes.
pub(super) fn fixed_ports(program: &Program) -> Vec<Port> {
    let all = program.containers.iter().flat_map(|it| &it.ports);
    let mut ports: Vec<Port> =
        all.filter_map(|it| Some(Port { protocol: it.protocol, number: it.host? })).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn publish(it: &PortMapping) -> Publish {
    let host = it.host.map_or(HostPort::Dynamic, HostPort::Fixed);
    Publish { container: it.container, protocol: it.protocol, host }
}

/// `namespace` is the container whose network it joins, where it joins one.
pub(super) fn spec(
    owner: &str,
    job: &Job,
    row: usize,
    namespace: Option<Container>,
) -> ContainerSpec {
    let (program, it) = (&*job.program, &job.program.containers[row]);
    let ports = match program.network {
        NetworkMode::Bridge => it.ports.iter().map(publish).collect(),
        NetworkMode::Shared if steps::namespace_owner(program) == Some(row) => {
            program.containers.iter().flat_map(|it| &it.ports).map(publish).collect()
        }
        // The host's own network needs no publishing; the owner of a shared one does it for all.
        NetworkMode::Shared | NetworkMode::Host | NetworkMode::None => Vec::new(),
    };
    let mounts = it.mounts.iter().filter_map(|mount| {
        let (target, read_only) = (mount.path.clone(), mount.read_only);
        Some(match program.volumes.get(&mount.volume)? {
            VolumeSource::HostPath(source) => Volume::Bind {
                source: source.clone(),
                target,
                read_only,
                missing: MissingSource::Create,
            },
            VolumeSource::Task => Volume::Own {
                name: name(owner, job, &mount.volume),
                labels: task_labels(job),
                target,
                read_only,
            },
            VolumeSource::Named(name) => Volume::Named { name: name.clone(), target, read_only },
        })
    });
    let mut labels = it.labels.clone();
    labels.extend(task_labels(job));
    labels.insert(CONTAINER_LABEL.to_owned(), it.name.clone());
    let health = it.health.as_ref().and_then(|probe| {
        let (kind, words) = probe.command.split_first()?;
        let command = match kind.as_str() {
            "NONE" => return None,
            "CMD" => words.to_vec(),
            "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), words.join(" ")],
            _ => probe.command.clone(),
        };
        Some(HealthCheck {
            command,
            interval: span(probe.interval),
            timeout: span(probe.timeout),
            retries: u16::try_from(probe.retries).unwrap_or(u16::MAX),
            start_period: span(probe.start_period),
        })
    });
    ContainerSpec {
        name: name(owner, job, &it.name),
        image: it.image.clone(),
        entry_point: it.entry_point.clone(),
        command: it.command.clone().unwrap_or_default(),
        env: it.env.clone(),
        labels,
        user: it.user.clone(),
        working_dir: it.working_dir.clone(),
        cpu_shares: it.cpu_shares.map(|it| it.max(2)),
        cpu_limit: ceilings::cpu(program, row),
        memory_limit: ceilings::memory(program, row),
        memory_reservation: it.memory_reservation,
        ports,
        mounts: mounts.collect(),
        network: match (program.network, namespace) {
            (NetworkMode::Shared, Some(owner)) => Network::Of(owner),
            (NetworkMode::Bridge | NetworkMode::Shared, _) => Network::Bridge,
            (NetworkMode::Host, _) => Network::Host,
            (NetworkMode::None, _) => Network::None,
        },
        health,
        init: it.init,
        stop_signal: it.stop_signal.clone(),
        // Should nobody know the program any longer when it is stopped.
        stop_timeout: Some(stop_timeout(it)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::HealthProbe;
    use cluster::demand::Protocol;
    use cluster::ids::TaskId;
    use cluster::units::MilliCpu;
    use std::sync::Arc;

    fn job(network: NetworkMode) -> Job {
        let port = |container, host| PortMapping { container, protocol: Protocol::Tcp, host };
        let container = |name: &str, ports| ContainerProgram {
            name: name.into(),
            ports,
            health: Some(HealthProbe {
                command: vec!["CMD-SHELL".into(), "test -e /x".into()],
                interval: Span::from_secs(1),
                timeout: Span::from_secs(2),
                retries: 3,
                start_period: Span::ZERO,
            }),
            cpu_limit: Some(MilliCpu(700)),
            ..ContainerProgram::default()
        };
        let containers = vec![
            container("a", vec![port(80, Some(8080))]),
            container("b", vec![port(81, None), port(82, Some(7070))]),
        ];
        let cpu_limit = Some(MilliCpu(500));
        let program = Program { network, containers, cpu_limit, ..Program::default() };
        Job {
            task: TaskId::replica(3),
            attempt: 2,
            program: Arc::new(program),
            definition: "web:1".into(),
            began: false,
        }
    }

    #[test]
    fn ports_are_published_where_the_network_is() {
        for (network, want) in [
            (NetworkMode::Bridge, [1, 2]),
            (NetworkMode::Shared, [3, 0]),
            (NetworkMode::Host, [0, 0]),
            (NetworkMode::None, [0, 0]),
        ] {
            let job = job(network);
            let got = [0, 1].map(|row| spec("me", &job, row, None).ports.len());
            assert_eq!(got, want, "{network:?}");
        }
        let numbers = fixed_ports(&job(NetworkMode::Bridge).program);
        assert_eq!(numbers.iter().map(|it| it.number).collect::<Vec<_>>(), [7070, 8080]);
    }

    #[test]
    fn a_container_is_named_and_labelled_for_its_attempt() {
        let got = spec("me", &job(NetworkMode::Bridge), 1, None);
        assert_eq!(got.name, "bayplan-me-r3-2-b");
        let labels: Vec<_> = got.labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["2", "b", "web:1", "r3"]);
        assert_eq!(got.cpu_limit, Some(MilliCpu(250)), "half of the task's");
        assert_eq!(got.health.unwrap().command, ["/bin/sh", "-c", "test -e /x"]);
    }
}
