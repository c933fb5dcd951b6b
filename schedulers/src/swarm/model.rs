//! What a decision looks at: engines, the containers on them, and what a new container asks for.
//!
//! Source: classicswarm 3cc018dc, `scheduler/node/node.go` (`NewNode`), `cluster/config.go`,
//! `cluster/container.go`.
//! Differs in having only what filters and strategies read. A node keeps the sums of its containers'
//! requests, where the real one adds them up for every decision.

use crate::swarm::expression::Expressions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of an engine or a container.
pub type Labels = BTreeMap<String, String>;

/// The label that holds a container's Swarm id, which survives a rescheduling.
pub const SWARM_ID: &str = "com.docker.swarm.id";

/// One engine.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels, the built-in ones included: see [`engine`](crate::swarm::engine).
    pub labels: Labels,
    /// Bytes, over-commit included: see [`engine::with_overcommit`](crate::swarm::engine::with_overcommit).
    pub total_memory_bytes: i64,
    /// Whole CPUs, over-commit included.
    pub total_cpus: i64,
    /// 0 to 100, see [`engine::health`](crate::swarm::engine::health); 0 is unhealthy.
    pub health: i64,
    /// The images it holds.
    pub images: Vec<Image>,
    /// The containers on it, and what they ask for together.
    pub held: Held,
}

/// Containers, with the sums of what they ask for; changed through [`Node::add`] and the like.
#[derive(Debug, Clone, Default)]
pub struct Held {
    containers: Vec<Container>,
    memory_bytes: i64,
    cpus: i64,
}

/// What a strategy looks at of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// As [`Node::total_memory_bytes`].
    pub total_memory_bytes: i64,
    /// As [`Node::total_cpus`].
    pub total_cpus: i64,
    /// As [`Node::used_memory_bytes`].
    pub used_memory_bytes: i64,
    /// As [`Node::used_cpus`].
    pub used_cpus: i64,
    /// As [`Node::health`].
    pub health: i64,
    /// How many containers are there.
    pub containers: usize,
}

/// Has a [`Load`].
pub trait Loaded {
    /// What it is.
    fn load(&self) -> Load;
}

impl Loaded for Load {
    fn load(&self) -> Load {
        *self
    }
}

impl Loaded for Node {
    fn load(&self) -> Load {
        Load {
            total_memory_bytes: self.total_memory_bytes,
            total_cpus: self.total_cpus,
            used_memory_bytes: self.held.memory_bytes,
            used_cpus: self.held.cpus,
            health: self.health,
            containers: self.held.containers.len(),
        }
    }
}

impl Node {
    /// All containers on the engine: stopped ones, those being created, and those that were not started
    /// through Swarm are among them.
    pub fn containers(&self) -> &[Container] {
        &self.held.containers
    }

    /// Bytes requested by all of them.
    pub fn used_memory_bytes(&self) -> i64 {
        self.held.memory_bytes
    }

    /// Whole CPUs requested by all of them.
    pub fn used_cpus(&self) -> i64 {
        self.held.cpus
    }

    /// A container appears: when its creation begins.
    pub fn add(&mut self, container: Container) {
        self.held.memory_bytes += container.request.memory_bytes;
        self.held.cpus += container.request.cpus;
        self.held.containers.push(container);
    }

    /// The container with exactly this id disappears; `None` if there is none.
    pub fn remove(&mut self, id: &str) -> Option<Container> {
        let at = self.held.containers.iter().position(|it| it.id == id)?;
        let container = self.held.containers.remove(at);
        self.held.memory_bytes -= container.request.memory_bytes;
        self.held.cpus -= container.request.cpus;
        Some(container)
    }

    /// All containers disappear.
    pub fn clear(&mut self) {
        self.held = Held::default();
    }
}

/// An image on an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// `repository:tag`.
    pub repo_tags: Vec<String>,
}

/// A container on an engine.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// As Docker gives them, with a slash in front; the first is the name, others come from links.
    pub names: Vec<String>,
    /// What it asked for; containers of one definition share it.
    pub request: Arc<Request>,
    /// What its ports are mapped to now; nothing while it is stopped.
    pub runtime_ports: Vec<Binding>,
}

impl Container {
    /// Its Swarm id; empty if it was not created through Swarm.
    pub fn swarm_id(&self) -> &str {
        self.request.labels.get(SWARM_ID).map_or("", String::as_str)
    }
}

/// What a container asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Bytes reserved (`-m`); 0 if not said.
    pub memory_bytes: i64,
    /// Whole CPUs (`-c`); 0 if not said.
    pub cpus: i64,
    /// The container's labels.
    pub labels: Labels,
    /// `constraint:` expressions.
    pub constraints: Expressions,
    /// `affinity:` expressions.
    pub affinities: Expressions,
    /// `whitelist:` expressions.
    pub whitelists: Expressions,
    /// Published ports (`-p`).
    pub ports: Vec<Binding>,
    /// `--net`.
    pub network: Network,
    /// Exposed ports, `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `--volumes-from`, with the mode that may follow a colon.
    pub volumes_from: Vec<String>,
    /// `--link`, with the alias that may follow a colon.
    pub links: Vec<String>,
}

impl Request {
    /// Whether any of its expressions is soft.
    pub fn has_soft(&self) -> bool {
        [&self.constraints, &self.affinities, &self.whitelists].iter().any(|it| it.has_soft())
    }
}

/// The network mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// The bridge, or any network that has no rule of its own here.
    #[default]
    Bridge,
    /// The host's own.
    Host,
    /// That of another container, named as in [`Request::links`].
    Container(String),
}

impl Network {
    /// Reads the value of `--net`.
    pub fn read(mode: &str) -> Self {
        match mode.strip_prefix("container:") {
            Some(other) => Self::Container(other.to_owned()),
            None if mode == "host" => Self::Host,
            None => Self::Bridge,
        }
    }
}

/// Where a port of a container is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// The container's side, `80/tcp`. No rule looks at it, not even at the protocol.
    pub port: String,
    /// Empty for all interfaces.
    pub host_ip: String,
    /// Empty if Docker is to choose.
    pub host_port: String,
}
