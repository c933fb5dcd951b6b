//! The command line of `bayplan live` as clap reads it.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bayplan live`.
#[derive(Debug, Clone, Args)]
pub struct Live {
    /// What to do.
    #[command(subcommand)]
    pub command: LiveCommand,
    /// The cluster's folder: its journal, and the socket of its controller [default: bayplan-live in
    /// $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// What can be done with a live cluster.
#[derive(Debug, Clone, Subcommand)]
pub enum LiveCommand {
    /// Run a controller in the foreground, on a new cluster or where the last one left off; Ctrl-C ends
    /// it and leaves the tasks running
    Up(Up),
    /// Run tasks once, or what app files say
    Run(Run),
    /// Change how many tasks a service shall have
    Scale {
        /// Which service
        service: String,
        /// How many tasks
        #[arg(value_name = "N")]
        desired: u32,
    },
    /// Stop tasks (t12, r3) and delete services (any other name)
    Stop {
        /// Tasks and services; a service runs another task in the place of one that is stopped
        #[arg(required = true, value_name = "TASK|SERVICE")]
        names: Vec<String>,
    },
    /// Give a node no new tasks, and move its services' tasks elsewhere
    Drain {
        /// Which node
        node: String,
        /// Let it take tasks again
        #[arg(long)]
        undo: bool,
    },
    /// List the tasks
    Ps {
        /// Those that ended, too
        #[arg(long, short)]
        all: bool,
    },
    /// List the nodes with what they have and what is free
    Nodes,
    /// List the services
    Services,
    /// Tell how things stand
    Status,
    /// Tell what was recorded last
    Events {
        /// How many records
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        last: u32,
        /// Go on with what is recorded from now on, until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// Print what a container of a task wrote last
    Logs {
        /// Which task
        task: String,
        /// Which of its containers [default: the first by name]
        #[arg(long, short, value_name = "NAME")]
        container: Option<String>,
        /// How many lines
        #[arg(long, default_value_t = 100, value_name = "N")]
        tail: u32,
    },
    /// Tell why a task is where it is, and all that was recorded of it
    Explain {
        /// Which task
        task: String,
    },
    /// Drive the arrivals of a trace, as containers that sleep, against the cluster's hosts
    Replay(Replay),
    /// Remove everything of this cluster from its hosts, and look whether it is gone; exit code 1 if
    /// something is left
    Down,
    /// End the controller and leave the tasks running
    End,
}

/// What a controller is started with.
#[derive(Debug, Clone, Args)]
pub struct Founding {
    /// The Docker hosts [default: those of the controller before]
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
    /// Policy [default: ecs, or that of the controller before]
    #[arg(long, short, value_name = "P")]
    pub policy: Option<String>,
    /// Name of a new cluster [default: bayplan]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Who is tried first: fifo, priority, shortest-first, largest-first or smallest-first (by cpu, or
    /// :memory, :disk, :gpu) [default: fifo]
    #[arg(long, value_name = "ORDER")]
    pub queue: Option<String>,
    /// A task that fits nowhere: wait (others pass), head (everybody behind it waits), drop, or retry,
    /// as in retry:first=1s,max=5m,factor=2,tries=0 [default: wait]
    #[arg(long, value_name = "WHAT")]
    pub unfit: Option<String>,
    /// Offer more than nodes have: cpu=1.6,memory=1.2
    #[arg(long, value_name = "FACTORS")]
    pub overcommit: Option<String>,
    /// How long a node is out of reach before its tasks are run elsewhere [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub lost_after: Option<String>,
}

/// `bayplan live up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// What it is started with.
    #[command(flatten)]
    pub founding: Founding,
    /// What shall run: task definitions, services, tasks in the words of ECS, repeatable. Applied once,
    /// so that the same command goes on where it left off
    #[arg(long = "app", value_name = "FILE")]
    pub apps: Vec<PathBuf>,
}

/// `bayplan live run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// A task definition: family:revision, or family for its last revision
    #[arg(required_unless_present = "apps", conflicts_with = "apps")]
    pub definition: Option<String>,
    /// How many tasks
    #[arg(long, short = 'n', default_value_t = 1, value_name = "N", conflicts_with = "apps",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
    /// What they are counted with, for spreading
    #[arg(long, value_name = "G", conflicts_with = "apps")]
    pub group: Option<String>,
    /// Add or replace a variable, repeatable: NAME=VALUE in the only container, or
    /// CONTAINER:NAME=VALUE
    #[arg(long, short, value_name = "[CONTAINER:]NAME=VALUE", conflicts_with = "apps")]
    pub env: Vec<String>,
    /// Which container takes the command [default: the only one]
    #[arg(long, value_name = "NAME", requires = "words")]
    pub container: Option<String>,
    /// Apply this app file, repeatable; each time anew
    #[arg(long = "app", value_name = "FILE")]
    pub apps: Vec<PathBuf>,
    /// Replace the command
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "apps")]
    pub words: Vec<String>,
}

/// `bayplan live replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// Workload: a path, FORMAT:PATH?key=value, or builtin:NAME. Its nodes are passed over: the hosts
    /// are the cluster
    pub trace: String,
    /// How many times as fast as the trace: divides arrivals, lifetimes and withdrawals
    #[arg(long, default_value = "1", value_name = "N")]
    pub speed: String,
    /// The first N tasks only
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Replay for this long, then withdraw what still waits or runs
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Multiply the cpu and memory that tasks ask for, where the trace's machines are of another size
    #[arg(long, default_value = "1", value_name = "X")]
    pub scale_demand: String,
    /// Keep the cpu busy instead of sleeping
    #[arg(long)]
    pub busy: bool,
    /// Image of the containers, with a shell and `sleep`
    #[arg(long, default_value = "busybox:latest", value_name = "IMAGE")]
    pub image: String,
    /// What a controller is started with, if none runs.
    #[command(flatten)]
    pub founding: Founding,
}

impl Founding {
    /// Whether anything of it was given.
    pub fn is_any(&self) -> bool {
        let Self { hosts, policy, cluster, queue, unfit, overcommit, lost_after } = self;
        let texts = [policy, cluster, queue, unfit, overcommit, lost_after];
        hosts.is_some() || texts.into_iter().any(Option::is_some)
    }
}
