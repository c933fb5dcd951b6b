//! The command line as clap reads it. Texts become types in [`plan`](crate::plan).

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Measure where containers should run before you let them.
///
/// Without a command, compares nine placement strategies on the built-in workload (three zones, one of
/// which goes out) and writes a report.
#[derive(Debug, Parser)]
#[command(
    name = "bayplan",
    version,
    after_help = "Exit codes: 0 fine, 1 a run found a fault or a difference, 2 bad input, 130 interrupted."
)]
pub struct Cli {
    /// What to do; `compare` on the built-in workload if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags that may stand anywhere.
    #[command(flatten)]
    pub global: Global,
}

/// Flags that may stand anywhere.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// First seed; several seeds count up from it
    #[arg(long, global = true, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Runs at the same time; results do not depend on it [default: one per core]
    #[arg(long, short, global = true, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print results only: no progress, no notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For machines.
    Json,
    /// For spreadsheets.
    Csv,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run several policies on the same workload, seeds and faults, and write a report
    Compare(Compare),
    /// Run one policy once: summary, samples, and if asked for the tasks and the journal
    Simulate(Simulate),
    /// Explain one decision: every node's verdict, the equally good ones, the choice, and why not another
    ///
    /// A scenario is one JSON document: nodes, what runs on them, what waits, and the task to place. The tasks that
    /// come before it in the queue are placed first. Exit code 0 also if the task is not placed: that is an
    /// answer, too; 1 if the decision is not the one that was explained; 2 for bad input.
    ///
    /// --why-not tries single changes of the node (more or less free cpu, memory, disk or GPUs, state, reserved ports,
    /// attributes, taints, a task on it gone) and of the task (a smaller request, a taint tolerated), by deciding
    /// again: to the thousandth of a core, the MiB, and the GPU device or the thousandth of a share.
    Place(Place),
    /// Feed a journal back: verify it, or ask what other policies would have done
    Replay(Replay),
    /// How near the simulator comes to what a live cluster did: numbers, placements, the first difference
    Fidelity(Fidelity),
    /// Check the published results of other simulators, number by number, and redraw their figures
    Reproduce(Reproduce),
    /// List the policies, or describe one with its parameters and source
    Policies(Policies),
    /// Look at, convert and make workload traces
    Trace(Trace),
    /// Build the report of a run again from its files
    Report(Report),
    /// Raise several real Docker daemons on this machine, show them, take them down (Linux, as root)
    Testbed(Testbed),
    /// Run containers on real Docker hosts under any policy; replay traces against them
    Live(crate::live::args::Live),
}

/// What every simulated run takes.
#[derive(Debug, Clone, Args)]
pub struct World {
    /// Workload: a path, FORMAT:PATH?key=value, or builtin:NAME
    #[arg(long, default_value = "builtin:default", value_name = "T")]
    pub trace: String,
    /// ECS app file to run instead of a trace, as `live up --app` takes it; repeatable
    #[arg(
        long = "app",
        value_name = "FILE",
        conflicts_with_all = ["trace", "zones", "time_scale", "static_fill", "shuffle", "limit"]
    )]
    pub apps: Vec<PathBuf>,
    /// Cluster: a nodes file, uniform:1000,cpu=64,mem=256GiB,zones=3, or a hosts.toml whose hosts declare
    /// their capacity [default: the trace's own]
    #[arg(long, value_name = "C")]
    pub cluster: Option<String>,
    /// Make K synthetic zones: K, K:by=hash or K:by=LABEL
    #[arg(long, value_name = "K[:by=..]")]
    pub zones: Option<String>,
    /// Multiply all moments of the trace, such as 0.01 or 1/100
    #[arg(long, value_name = "X")]
    pub time_scale: Option<String>,
    /// Arrivals only: nothing ever leaves
    #[arg(long)]
    pub static_fill: bool,
    /// Permute the tasks over the arrival times, by the run's seed
    #[arg(long)]
    pub shuffle: bool,
    /// Stop the run at this time, such as 6h
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Read the first N tasks only
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Tasks that no node could hold even when empty: error, drop or keep
    #[arg(long, default_value = "error", value_name = "WHAT")]
    pub oversized: String,
    /// Offer more than nodes have: cpu=1.6,memory=1.2 [default: what the trace's card suggests]
    #[arg(long, value_name = "FACTORS")]
    pub overcommit: Option<String>,
    /// Who is tried first: fifo, priority, shortest-first, largest-first or smallest-first (by cpu, or
    /// :memory, :disk, :gpu)
    #[arg(long, default_value = "fifo", value_name = "ORDER")]
    pub queue: String,
    /// A task that fits nowhere: wait (others pass), head (everybody behind it waits), drop, or retry,
    /// as in retry:first=1s,max=5m,factor=2,tries=0
    #[arg(long, default_value = "wait", value_name = "WHAT")]
    pub unfit: String,
    /// Time from placed to running: 0, 2s, or lognormal:median=2s,sigma=0.5
    #[arg(long, default_value = "0", value_name = "MODEL")]
    pub startup: String,
    /// Scripted fault, repeatable: zone-outage:ZONE@6h+30m, node-loss:NODE@1h+10m, drain:NODE@2h;
    /// `none` takes the built-in workload's own outage away
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// Random faults: `default` (Google 2011's rates), or node=0.0247,repair=1422s,sigma=2.21,
    /// zone=0.1,zone-repair=1h,zone-sigma=0.5 (losses per node-day, outages per zone-day)
    #[arg(long, value_name = "RATES")]
    pub random_faults: Option<String>,
    /// Count the ledger again after every step and stop at the first difference (slow)
    #[arg(long)]
    pub check: bool,
    /// Write the journal of every run
    #[arg(long)]
    pub record_journal: bool,
    /// Write tasks.csv: every task in arrival order with its node and times
    #[arg(long)]
    pub tasks: bool,
    /// Draw no figures and write no page
    #[arg(long)]
    pub no_figures: bool,
    /// Folder for the results
    #[arg(long, default_value = "bayplan-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into a folder that holds other things
    #[arg(long)]
    pub force: bool,
}

/// `bayplan compare`.
#[derive(Debug, Clone, Args)]
pub struct Compare {
    /// The world.
    #[command(flatten)]
    pub world: World,
    /// Policy, repeatable [default: nine of them; see `bayplan policies`]
    #[arg(long = "policy", short, value_name = "P")]
    pub policies: Vec<String>,
    /// Number of seeds
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
}

/// `bayplan simulate`.
#[derive(Debug, Clone, Args)]
pub struct Simulate {
    /// The world.
    #[command(flatten)]
    pub world: World,
    /// Policy
    #[arg(long, short, default_value = "ecs", value_name = "P")]
    pub policy: String,
    /// Explain the first decision on this task (its name in the trace, or its id such as t7), repeatable;
    /// printed after the run and written to explain.json
    #[arg(long = "explain", value_name = "TASK")]
    pub explain: Vec<String>,
}

/// `bayplan place`.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The scenario file; `bayplan trace formats scenario` describes it
    #[arg(value_name = "SCENARIO.json", required_unless_present = "schema")]
    pub scenario: Option<PathBuf>,
    /// Policy
    #[arg(long, short, default_value = "ecs", value_name = "P")]
    pub policy: String,
    /// Explain this task [default: those under "place", or the first that waits]
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Say what would have to be otherwise for the task to go to this node: the smallest single change of each
    /// kind, found by deciding again
    #[arg(long, value_name = "NODE")]
    pub why_not: Option<String>,
    /// Print JSON of the form bayplan-place/1, as --format json does
    #[arg(long)]
    pub json: bool,
    /// Print the JSON Schema of scenario files
    #[arg(long)]
    pub schema: bool,
    /// Who is tried first, as in `simulate`
    #[arg(long, default_value = "fifo", value_name = "ORDER")]
    pub queue: String,
    /// Offer more than nodes have: cpu=1.6,memory=1.2
    #[arg(long, value_name = "FACTORS")]
    pub overcommit: Option<String>,
}

/// `bayplan replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The journal that `--record-journal` wrote, or the state folder of a live cluster
    #[arg(value_name = "JOURNAL|STATE_DIR")]
    pub journal: PathBuf,
    /// Ask what this policy would have done, repeatable
    #[arg(long = "policy", short, value_name = "P")]
    pub policies: Vec<String>,
    /// Folder for the report of `--policy`
    #[arg(long, default_value = "bayplan-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Write into a folder that holds other things
    #[arg(long)]
    pub force: bool,
}

/// `bayplan fidelity`.
#[derive(Debug, Clone, Args)]
pub struct Fidelity {
    /// The state folder of a live cluster, or a journal that `--record-journal` wrote
    #[arg(value_name = "STATE_DIR|JOURNAL")]
    pub state: PathBuf,
    /// Start-up times: 0, 2s, lognormal:median=2s,sigma=0.5, or `journal` for those that were recorded, with
    /// their decisions' moments [default: a lognormal fitted to those]
    #[arg(long, value_name = "MODEL")]
    pub startup: Option<String>,
    /// Folder for fidelity.json and fidelity.csv
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write into a folder that holds other things
    #[arg(long)]
    pub force: bool,
}

/// `bayplan reproduce`.
#[derive(Debug, Clone, Args)]
pub struct Reproduce {
    /// What to reproduce.
    #[command(subcommand)]
    pub what: ReproduceCommand,
}

/// What can be reproduced.
#[derive(Debug, Clone, Subcommand)]
pub enum ReproduceCommand {
    /// FGD (Weng et al., USENIX ATC 2023): six policies that fill a cluster of shared GPUs
    Fgd(ReproduceFgd),
}

/// `bayplan reproduce fgd`.
#[derive(Debug, Clone, Args)]
pub struct ReproduceFgd {
    /// Folder with fgd.csv, fgd_per_seed.csv, fgd_dropped_pods.csv and fgd_orders/; every trace with
    /// orders is run
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder with the openb node and pod lists
    #[arg(long, value_name = "DIR")]
    pub traces: PathBuf,
    /// Only this trace, such as default or gpuspec10; repeatable
    #[arg(long = "trace", value_name = "NAME")]
    pub only: Vec<String>,
    /// Only the first N recorded seeds of each trace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// Folder for all values and the figures
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write into a folder that holds other things
    #[arg(long)]
    pub force: bool,
}

/// `bayplan policies`.
#[derive(Debug, Clone, Args)]
pub struct Policies {
    /// Describe this one
    pub name: Option<String>,
}

/// `bayplan report`.
#[derive(Debug, Clone, Args)]
pub struct Report {
    /// Folder of a run
    pub dir: PathBuf,
}

/// `bayplan testbed`.
#[derive(Debug, Clone, Args)]
pub struct Testbed {
    /// What to do.
    #[command(subcommand)]
    pub command: TestbedCommand,
    /// Its folder, on a real disk and not under /run [default: bayplan-testbed in $XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What can be done with a testbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum TestbedCommand {
    /// Raise N hosts, n1, n2, …, in up to three zones, and write their hosts.toml
    Up {
        /// Number of hosts
        #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
        hosts: u16,
    },
    /// Take all of it down, also after a crash; exit code 1 if something is left
    Down,
    /// Show name, zone, address and state of every host
    Status,
}

/// `bayplan trace`.
#[derive(Debug, Clone, Args)]
pub struct Trace {
    /// What to do.
    #[command(subcommand)]
    pub command: TraceCommand,
}

const CONVERT_HELP: &str = "\
A column file holds the trace with what the options made of it, and may be named wherever a trace may: it is
mapped into memory, brings tens of millions of tasks a second, and takes no memory that grows with them.
It is made in FILE.bpc.part and renamed when it is whole. After Ctrl-C the same command goes on: parts of
task_events (google-2011) that were read are not read again; other formats begin anew.

  bayplan trace convert google-2011/ --out google.bpc
  bayplan simulate --trace google.bpc --policy best-fit";

/// What `trace convert` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// nodes.csv and tasks.csv in a folder
    Csv,
    /// One column file
    Columns,
}

/// What can be done with traces.
#[derive(Debug, Clone, Subcommand)]
pub enum TraceCommand {
    /// Print a trace's card: what is in it, what was refused, what had to be assumed
    Inspect(TraceInput),
    /// Write a trace as one column file that opens at once (FILE.bpc), or as nodes.csv and tasks.csv (DIR)
    #[command(after_help = CONVERT_HELP)]
    Convert {
        /// The trace.
        #[command(flatten)]
        input: TraceInput,
        /// A file that ends in .bpc, or a folder for nodes.csv and tasks.csv
        #[arg(long, value_name = "FILE.bpc|DIR")]
        out: PathBuf,
        /// What to write, whatever --out ends in
        #[arg(long, value_enum, value_name = "FORM")]
        to: Option<Form>,
        /// Compress nodes.csv and tasks.csv
        #[arg(long)]
        gzip: bool,
    },
    /// Make a workload from a recipe and write it as nodes.csv and tasks.csv
    Generate {
        /// A recipe file (JSON), or the name of a built-in one
        #[arg(long, default_value = "default", value_name = "FILE|NAME")]
        recipe: String,
        /// Print the recipe as JSON instead, to start one of your own
        #[arg(long)]
        print_recipe: bool,
        /// Folder for nodes.csv and tasks.csv
        #[arg(long, value_name = "DIR", required_unless_present = "print_recipe")]
        out: Option<PathBuf>,
        /// Compress both files
        #[arg(long)]
        gzip: bool,
    },
    /// List the formats, or describe one
    Formats {
        /// Describe this one
        name: Option<String>,
    },
}

/// A trace and how to read it.
#[derive(Debug, Clone, Args)]
pub struct TraceInput {
    /// Workload: a path, FORMAT:PATH?key=value, or builtin:NAME
    pub trace: String,
    /// Make K synthetic zones: K, K:by=hash or K:by=LABEL
    #[arg(long, value_name = "K[:by=..]")]
    pub zones: Option<String>,
    /// Multiply all moments of the trace, such as 0.01 or 1/100
    #[arg(long, value_name = "X")]
    pub time_scale: Option<String>,
    /// Arrivals only: nothing ever leaves
    #[arg(long)]
    pub static_fill: bool,
    /// Leave out what arrives later than this
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Read the first N tasks only
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}
