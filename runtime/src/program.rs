//! What a task definition really runs: images, commands, ports, volumes, and the order of its containers.
//!
//! The manager needs none of it: it places a [`TaskDefinition`](cluster::demand::TaskDefinition), whose
//! containers stand in the same order under the same names. An agent needs all of it. A program is kept
//! with the journal, by definition id.

use cluster::demand::Protocol;
use cluster::units::{Bytes, MilliCpu, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the tasks of one definition run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// ECS's family.
    pub family: String,
    /// ECS's revision; counts from 1.
    pub revision: u32,
    /// Whose network the containers use.
    pub network: NetworkMode,
    /// At least one; at least one of them is essential.
    pub containers: Vec<ContainerProgram>,
    /// Volumes that containers mount, by name.
    pub volumes: BTreeMap<String, VolumeSource>,
    /// Ceiling on the cpu of the whole task; its containers share it by their weights.
    pub cpu_limit: Option<MilliCpu>,
    /// Ceiling on the memory of the task. Docker can hold each container to it, not their sum.
    pub memory_limit: Option<Bytes>,
}

/// Whose network the containers of a task use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// Each its own, on Docker's default bridge.
    #[default]
    Bridge,
    /// One namespace that all containers of the task share: they reach each other on localhost, and
    /// cannot use the same port twice. ECS's `awsvpc` without an interface of its own.
    Shared,
    /// The host's.
    Host,
    /// Each its own, with nothing in it.
    None,
}

/// One container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerProgram {
    /// Unique within its task.
    pub name: String,
    /// As `docker images` shows it.
    pub image: String,
    /// Where the image comes from.
    pub pull: PullPolicy,
    /// An archive made by `docker save` that holds the image, for hosts without a registry.
    pub archive: Option<PathBuf>,
    /// Replaces the image's entry point.
    pub entry_point: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Names and values.
    pub env: Vec<(String, String)>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// User, as `name` or `uid:gid`.
    pub user: Option<String>,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// When it stops, the whole task does.
    pub essential: bool,
    /// What must be so before it starts.
    pub depends_on: Vec<Dependency>,
    /// How long others wait for it to become what they depend on, from its own start.
    pub start_timeout: Option<Span>,
    /// How long it has between being asked to stop and being killed; 30 s where it says nothing.
    pub stop_timeout: Option<Span>,
    /// The signal that asks it to stop; TERM where neither this nor the image says otherwise.
    pub stop_signal: Option<String>,
    /// Weight against other containers when cpu is short.
    pub cpu_shares: Option<u32>,
    /// Ceiling on cpu.
    pub cpu_limit: Option<MilliCpu>,
    /// Ceiling on memory: beyond it the container is killed.
    pub memory_limit: Option<Bytes>,
    /// What the kernel tries to leave it when memory is short.
    pub memory_reservation: Option<Bytes>,
    /// Ports that the host publishes.
    pub ports: Vec<PortMapping>,
    /// Volumes and where they are mounted.
    pub mounts: Vec<Mount>,
    /// How its health is found.
    pub health: Option<HealthProbe>,
    /// Put a small init before the command, that passes on signals and reaps children.
    pub init: bool,
}

impl Default for ContainerProgram {
    fn default() -> Self {
        Self {
            name: String::new(),
            image: String::new(),
            pull: PullPolicy::default(),
            archive: None,
            entry_point: None,
            command: None,
            env: Vec::new(),
            working_dir: None,
            user: None,
            labels: BTreeMap::new(),
            essential: true,
            depends_on: Vec::new(),
            start_timeout: None,
            stop_timeout: None,
            stop_signal: None,
            cpu_shares: None,
            cpu_limit: None,
            memory_limit: None,
            memory_reservation: None,
            ports: Vec::new(),
            mounts: Vec::new(),
            health: None,
            init: false,
        }
    }
}

/// Where an image comes from when a container is to be created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    /// From the registry each time; if that fails, what the host has (the ECS agent's default), else the
    /// archive.
    Always,
    /// What the host has, else its archive, else from the registry.
    #[default]
    IfMissing,
    /// What the host has, else its archive; never from a registry.
    Never,
}

/// Something that must be so before a container starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Name of the other container of the task.
    pub container: String,
    /// What it must have become.
    pub condition: Condition,
}

/// What another container must have become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// It runs, or ran.
    Start,
    /// It ended, with any exit status.
    Complete,
    /// It ended with exit status 0.
    Success,
    /// Its health checks pass; looked at only at start-up.
    Healthy,
}

/// A port that the host publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port of the host; `None` lets the host choose one.
    pub host: Option<u16>,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// A directory of the host; made if it is missing, as ECS does.
    HostPath(PathBuf),
    /// Lives and dies with the task.
    Task,
    /// Kept by Docker under this name on each host, and never removed.
    Named(String),
}

/// A volume in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Name of a volume of the task.
    pub volume: String,
    /// Absolute path in the container.
    pub path: String,
    /// No writing.
    pub read_only: bool,
}

/// A command run in the container now and then; it is healthy while the command exits with 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthProbe {
    /// `CMD` and words, or `CMD-SHELL` and one line.
    pub command: Vec<String>,
    /// Between checks.
    pub interval: Span,
    /// A check that takes longer fails.
    pub timeout: Span,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Failures this soon after the start do not count.
    pub start_period: Span,
}

/// What one task changes of its definition's program (`overrides` of ECS RunTask).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Replaces commands, by container.
    pub commands: BTreeMap<String, Vec<String>>,
    /// Adds or replaces environment, by container.
    pub env: BTreeMap<String, Vec<(String, String)>>,
}

impl Program {
    /// The program with a task's changes.
    pub fn with(&self, overrides: &Overrides) -> Self {
        let mut program = self.clone();
        for container in &mut program.containers {
            if let Some(command) = overrides.commands.get(&container.name) {
                container.command = Some(command.clone());
            }
            for (name, value) in overrides.env.get(&container.name).into_iter().flatten() {
                container.env.retain(|it| it.0 != *name);
                container.env.push((name.clone(), value.clone()));
            }
        }
        program
    }
}
