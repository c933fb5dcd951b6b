//! Several real Docker daemons on one Linux machine, as if each had a machine of its own.
//!
//! A host of a testbed is a set of namespaces (processes, mounts, network, host name, IPC) with a small
//! init as its first process, a cable to a bridge of ours, a control group and a folder. `dockerd` runs
//! inside and listens on plain TCP at an address that only this machine can reach: anybody on it who can
//! open a TCP connection owns the daemon, and so the machine. Nothing is routed beyond the bridge.
//!
//! Killing the first process is a machine that dies: daemon, containers, mounts and network go at once.
//! `/run` inside is private, so sockets, locks and pid files of several daemons never meet, and vanish
//! with the host.
//!
//! Everything is recorded before it is made ([`Record`]), so [`down`] removes it whatever became of the
//! process that raised it.

mod command;
mod error;
mod image;
mod machine;
mod process;
mod record;
mod subnet;

pub use error::{Lack, TestbedError};
pub use image::IMAGE;
pub use process::ProcessId;
pub use record::{HostRecord, Record};
pub use subnet::Subnet;

use crate::engine::{Engine, EngineError, Patience, Timeouts};
use crate::hosts::{self, Address, Capacity, Host, Reserve};
use cluster::units::{Bytes, MilliCpu};
use command::{STEP, run, wait_for};
use machine::Machine;
use rustix::fs::FlockOperation;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A testbed has at most this many hosts.
pub const HOSTS_MAX: usize = 32;

/// Where a testbed is kept unless another folder is named.
pub const DEFAULT_DIR: &str = "/var/lib/bayplan-testbed";

/// The port that the daemons listen on.
const PORT: u16 = 2375;
/// How long a daemon may take until it answers.
const DAEMON_READY: Duration = Duration::from_secs(45);
/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(15);

/// What to raise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Number of hosts, named `n1`, `n2`, ….
    pub hosts: usize,
    /// Number of zones, `zone-a`, `zone-b`, …, given to the hosts in turn.
    pub zones: usize,
    /// What each host declares; by default an equal share of this machine.
    pub capacity: Option<Capacity>,
    /// Whether containers outlive their daemon.
    pub live_restore: bool,
}

impl Plan {
    /// `hosts` hosts in up to three zones whose containers outlive their daemon.
    pub fn new(hosts: usize) -> Self {
        Self { hosts, zones: hosts.clamp(1, 3), capacity: None, live_restore: true }
    }
}

/// Something of a testbed that is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leftover {
    /// A process, by number and name.
    Process(i32, String),
    /// A network link.
    Link(String),
    /// A firewall rule.
    Rule(String),
    /// A control group.
    ControlGroup(PathBuf),
    /// A mount.
    Mount(PathBuf),
    /// A file or folder.
    File(PathBuf),
    /// A network namespace that process `0` still uses.
    Namespace(i32),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid, name) => write!(f, "process {pid} ({name})"),
            Self::Link(name) => write!(f, "link {name}"),
            Self::Rule(rule) => write!(f, "firewall rule {rule}"),
            Self::ControlGroup(path) => write!(f, "control group {}", path.display()),
            Self::Mount(path) => write!(f, "mount {}", path.display()),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Namespace(pid) => write!(f, "namespace of process {pid}"),
        }
    }
}

/// What lowering came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lowered {
    /// Hosts that the record named.
    pub hosts: usize,
    /// What could not be removed. Empty unless something went wrong; then the record is kept.
    pub left: Vec<Leftover>,
}

/// How a machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its kernel lives just long enough to close its connections.
    Crash,
    /// Nobody hears anything from it again.
    PowerCut,
}

/// How a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostState {
    /// It does not run.
    Down,
    /// It runs, but its daemon does not.
    NoDaemon,
    /// Its daemon is frozen.
    Frozen,
    /// Its cable is out.
    Cut,
    /// Its daemon runs and can be reached.
    Up,
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::NoDaemon => "no daemon",
            Self::Frozen => "frozen",
            Self::Cut => "cut off",
            Self::Up => "up",
        })
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TestbedError {
    let path = path.to_owned();
    move |error| TestbedError::Io { action, path, reason: error.to_string() }
}

/// Held while a testbed is raised or lowered, so that two processes never do so at once.
///
/// A child that was forked but has not yet become its program shares the lock. So whoever gets the lock
/// after a crash sees all children under their own names, and marked.
struct Lock {
    _file: fs::File,
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("testbed.lock")
}

impl Lock {
    fn take(dir: &Path) -> Result<Self, TestbedError> {
        let path = lock_path(dir);
        let file = fs::File::create(&path).map_err(io("opening", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(TestbedError::Busy { dir: dir.to_owned() }),
            Err(error) => Err(io("locking", &path)(error.into())),
        }
    }

    /// As [`Lock::take`], but gives others time to finish.
    fn wait(dir: &Path, limit: Duration) -> Result<Self, TestbedError> {
        let began = Instant::now();
        loop {
            match Self::take(dir) {
                Err(TestbedError::Busy { .. }) if began.elapsed() < limit => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => return other,
            }
        }
    }
}

/// Looks whether this machine can hold a testbed.
///
/// # Errors
///
/// [`TestbedError::Unfit`] with everything that is missing, and the packages that have it.
pub fn check_machine() -> Result<(), TestbedError> {
    Machine::look().map(|_| ())
}

/// A testbed that stands. All that is known of it is on disk; several processes may hold one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testbed {
    dir: PathBuf,
}

/// Raises a testbed in `dir` and writes its `hosts.toml` there.
///
/// # Errors
///
/// If this machine is not fit, the folder is taken, or a step fails; then what was made is taken down.
pub fn up(dir: &Path, plan: &Plan) -> Result<Testbed, TestbedError> {
    let machine = Machine::look()?;
    if plan.hosts == 0 || plan.hosts > HOSTS_MAX {
        return Err(TestbedError::HostCount { asked: plan.hosts, max: HOSTS_MAX });
    }
    let made_dirs = make_dir(dir)?;
    let dir = fs::canonicalize(dir).map_err(io("resolving", dir))?;
    if dir.starts_with("/run") || dir.starts_with("/proc") || dir.starts_with("/sys") {
        remove_dirs(&made_dirs);
        return Err(TestbedError::Folder {
            dir,
            reason: "is hidden from the hosts, which have their own",
        });
    }
    let lock = Lock::take(&dir)?;
    if Record::load(&dir)?.is_some() {
        return Err(TestbedError::AlreadyUp { dir });
    }
    if dir.join("hosts").exists() || dir.join("hosts.toml").exists() {
        drop(lock);
        let _ = fs::remove_file(lock_path(&dir));
        let reason = "holds hosts or hosts.toml already, which no testbed made";
        return Err(TestbedError::Folder { dir, reason });
    }
    let mut record = draw_up(&dir, plan)?;
    record.made_dirs = made_dirs;
    record.save(&dir)?;
    let record = Mutex::new(record);
    match raise_all(&machine, &dir, &record, plan) {
        Ok(()) => {
            drop(lock);
            Ok(Testbed { dir })
        }
        Err(cause) => {
            let left = lower(&dir, &snapshot(&record)).left;
            Err(TestbedError::NotRaised { cause: Box::new(cause), left })
        }
    }
}

/// Takes down whatever the record in `dir` names, standing or not, and checks that it is gone. Without a
/// record there is nothing to do.
///
/// # Errors
///
/// If another process is at work on it, or the record cannot be read. What cannot be removed is not an
/// error but listed.
pub fn down(dir: &Path) -> Result<Lowered, TestbedError> {
    let Ok(dir) = fs::canonicalize(dir) else { return Ok(Lowered::default()) };
    if Record::load(&dir)?.is_none() && !lock_path(&dir).exists() {
        return Ok(Lowered::default());
    }
    // One second: children of a process that was killed may still hold it.
    let _lock = Lock::wait(&dir, Duration::from_secs(1))?;
    match Record::load(&dir)? {
        Some(record) => Ok(lower(&dir, &record)),
        None => {
            // Raising was interrupted before it had recorded, let alone made, anything.
            let _ = fs::remove_file(record::draft_path(&dir));
            let _ = fs::remove_file(lock_path(&dir));
            Ok(Lowered::default())
        }
    }
}

/// Makes `dir`; gives those of its ancestors and itself that were not there, outermost first.
fn make_dir(dir: &Path) -> Result<Vec<PathBuf>, TestbedError> {
    let dir = std::path::absolute(dir).map_err(io("resolving", dir))?;
    let mut missing: Vec<PathBuf> =
        dir.ancestors().take_while(|it| !it.exists()).map(Path::to_owned).collect();
    missing.reverse();
    for it in &missing {
        fs::create_dir(it).map_err(io("making", it))?;
    }
    Ok(missing)
}

/// Removes directories that are empty, innermost first.
fn remove_dirs(dirs: &[PathBuf]) {
    for it in dirs.iter().rev() {
        let _ = fs::remove_dir(it);
    }
}

fn random_id() -> Result<String, TestbedError> {
    use std::io::Read;
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 4];
    let mut file = fs::File::open(path).map_err(io("opening", path))?;
    file.read_exact(&mut bytes).map_err(io("reading", path))?;
    Ok(format!("{:08x}", u32::from_ne_bytes(bytes)))
}

/// Chooses all names. Nothing is made yet.
fn draw_up(dir: &Path, plan: &Plan) -> Result<Record, TestbedError> {
    let id = random_id()?;
    let mut taken = Vec::new();
    for words in [&["ip", "-4", "-o", "addr"][..], &["ip", "-4", "route", "show", "table", "all"]] {
        let text = run("looking for a free network", "-", words, None)?;
        taken.extend(subnet::parse_networks(&text));
    }
    let start = u8::from_str_radix(&id[..2], 16).unwrap_or(0);
    let subnet = Subnet::choose(&taken, start)
        .ok_or(TestbedError::NoSubnet { tried: subnet::CANDIDATES })?;
    let mut record = Record::new(&id, machine::boot_id(), subnet);
    let zones = plan.zones.clamp(1, 26);
    for index in 0..plan.hosts {
        let name = format!("n{}", index + 1);
        let last = u8::try_from(11 + index).expect("at most HOSTS_MAX hosts");
        record.hosts.push(HostRecord {
            zone: format!("zone-{}", char::from(b'a' + (index % zones) as u8)),
            ip: subnet.address(last),
            link: format!("bpv{id}{}", index + 1),
            cgroup: format!("bayplan-{id}-{name}"),
            dir: dir.join("hosts").join(&name),
            name,
            live_restore: plan.live_restore,
            holder: None,
            init: None,
            pid_namespace: None,
            net_namespace: None,
        });
    }
    Ok(record)
}

fn snapshot(record: &Mutex<Record>) -> Record {
    record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

fn raise_all(
    machine: &Machine,
    dir: &Path,
    record: &Mutex<Record>,
    plan: &Plan,
) -> Result<(), TestbedError> {
    let planned = snapshot(record);
    let step = "joining the hosts";
    let here = format!("{}-", planned.mark);
    let go = |words: &[&str]| run(step, &here, words, None);
    let gateway = format!("{}/24", planned.subnet.address(1));
    go(&["ip", "link", "add", &planned.bridge, "type", "bridge"])?;
    go(&["ip", "addr", "add", &gateway, "dev", &planned.bridge])?;
    go(&["ip", "link", "set", &planned.bridge, "up"])?;
    firewall(&planned, "-I", step)?;

    let image = image::archive(machine.program("busybox"))?;
    let raised = std::thread::scope(|scope| {
        let image = &image;
        let threads: Vec<_> = (0..planned.hosts.len())
            .map(|index| {
                scope.spawn(move || {
                    raise_host(machine, dir, record, index)?;
                    let address = address(&snapshot(record).hosts[index]);
                    blocking(async move {
                        let engine = Engine::new(&address, "bayplan-testbed")?;
                        engine.load_image(image.clone()).await
                    })
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().expect("raising does not panic")).collect::<Vec<_>>()
    });
    raised.into_iter().collect::<Result<(), _>>()?;

    let path = dir.join("hosts.toml");
    fs::write(&path, hosts::write(&declared(&planned, plan))).map_err(io("writing", &path))
}

/// The hosts as `hosts.toml` declares them.
fn declared(record: &Record, plan: &Plan) -> Vec<Host> {
    let share = plan.capacity.clone().unwrap_or_else(|| {
        let (cores, memory) = machine::size();
        let hosts = plan.hosts as u64;
        // In round numbers, so that the file reads well.
        let cpu = (cores * 1000 / hosts / 50 * 50).max(50);
        let memory = memory / hosts / Bytes::from_mib(64).0 * Bytes::from_mib(64).0;
        Capacity { cpu: Some(MilliCpu(cpu)), memory: Some(Bytes(memory)), ..Capacity::default() }
    });
    let host = |it: &HostRecord| Host {
        name: it.name.clone(),
        address: address(it),
        zone: Some(it.zone.clone()),
        attributes: BTreeMap::from([("testbed".to_owned(), record.id.clone())]),
        capacity: share.clone(),
        reserve: Reserve::default(),
        reserved_ports: Vec::new(),
        taints: Vec::new(),
        images: BTreeMap::new(),
    };
    record.hosts.iter().map(host).collect()
}

fn address(host: &HostRecord) -> Address {
    Address::Tcp { host: host.ip.to_string(), port: PORT }
}

/// Inserts (`-I`), checks (`-C`) or deletes (`-D`) the one rule.
fn firewall(record: &Record, verb: &str, step: &str) -> Result<(), TestbedError> {
    let mut words = vec!["iptables", "-w", "10", verb, "FORWARD"];
    words.extend(record.rule.iter().map(String::as_str));
    run(step, &format!("{}-", record.mark), &words, None).map(|_| ())
}

/// Runs a future to its end from code that may itself run within a runtime.
fn blocking<T: Send>(
    work: impl Future<Output = Result<T, EngineError>> + Send,
) -> Result<T, TestbedError> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime of one thread needs no more than a few files").block_on(work)
        });
        Ok(thread.join().expect("engine calls do not panic")?)
    })
}

/// Brings up namespaces, cable and daemon of one host, and waits until the daemon answers.
fn raise_host(
    machine: &Machine,
    dir: &Path,
    record: &Mutex<Record>,
    index: usize,
) -> Result<(), TestbedError> {
    let all = snapshot(record);
    let mut host = all.hosts[index].clone();
    let name = host.name.clone();
    for it in [&dir.join("hosts"), &host.dir, &host.data()] {
        fs::create_dir_all(it).map_err(io("making", it))?;
    }
    let mark = format!("{}{name}", all.mark);
    let holder = hold_namespaces(machine, &mark, &host)?;
    // From here on the mark alone finds it, should this process end before the record is written.
    let step = format!("{name}: starting its first process");
    let wanted = machine.program("docker-init").file_name().unwrap_or_default().to_string_lossy();
    let init = wait_for(&step, STEP, || {
        if !holder.is_alive() {
            let log = last_lines(&host.dir.join("init.log"));
            return Err(TestbedError::Command {
                step: step.clone(),
                command: "unshare".into(),
                reason: log,
            });
        }
        Ok(holder.child().filter(|it| wanted.starts_with(&it.name()) && !it.name().is_empty()))
    })?;
    host.holder = Some(holder);
    host.init = Some(init);
    host.pid_namespace = init.namespace("pid");
    host.net_namespace = init.namespace("net");
    {
        let mut record = record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        record.hosts[index] = host.clone();
        record.save(dir)?;
    }

    let step = format!("{name}: connecting its cable");
    let pid = init.pid.to_string();
    let go = |words: &[&str]| run(&step, &mark, words, None);
    let card = card_address(&all.id, index);
    let cable = ["ip", "link", "add", &host.link, "type", "veth"];
    let inner = ["peer", "name", "eth0", "address", &card, "netns", &pid];
    go(&[&cable[..], &inner[..]].concat())?;
    go(&["ip", "link", "set", &host.link, "master", &all.bridge, "up"])?;
    let inside = format!("link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n", host.ip);
    run(&step, &mark, &["nsenter", "-t", &pid, "-n", "ip", "-batch", "-"], Some(&inside))?;
    launch_daemon(&all, &host)?;
    await_daemon(&all, &host)
}

/// A host's hardware address, the same whenever it is raised: with a new one, neighbours that remember the
/// old one do not find it for up to half a minute.
fn card_address(id: &str, index: usize) -> String {
    // The first byte says "locally administered".
    let mut text = String::from("02");
    for at in (0..id.len()).step_by(2) {
        text.push(':');
        text.push_str(&id[at..at + 2]);
    }
    format!("{text}:{:02x}", index + 1)
}

/// Starts the holder of one host's namespaces.
fn hold_namespaces(
    machine: &Machine,
    mark: &str,
    host: &HostRecord,
) -> Result<ProcessId, TestbedError> {
    // Private /run: sockets, locks and pid files of several daemons never meet, and go with the host.
    // Private /etc/docker: the daemon's key, else shared by all. Private /opt: containerd makes a folder.
    let script = "set -e\n\
        mount -t tmpfs -o mode=755 tmpfs /run\n\
        mkdir -p /run/lock /run/containerd\n\
        for it in /etc/docker /opt; do if [ -d $it ]; then mount -t tmpfs -o mode=755 tmpfs $it; fi; done\n\
        hostname \"$1\"\n\
        exec \"$2\" -- sleep infinity\n";
    let log = host.dir.join("init.log");
    let out = fs::File::create(&log).map_err(io("making", &log))?;
    let err = out.try_clone().map_err(io("making", &log))?;
    let flags = ["--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "--mount-proc"];
    // In a session of its own, so that no terminal's signals reach it.
    let child = Command::new(machine.program("setsid"))
        .arg(machine.program("unshare"))
        .args(flags)
        .args(["--kill-child=SIGKILL", "sh", "-c", script, "sh", &host.name])
        .arg(machine.program("docker-init"))
        .env(command::MARK, mark)
        .env("PATH", machine::search_path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn();
    start_detached(child, &host.name, "unshare")
}

/// Leaves a child to itself, and takes note of its end if this process is still there by then.
fn start_detached(
    child: std::io::Result<std::process::Child>,
    host: &str,
    command: &str,
) -> Result<ProcessId, TestbedError> {
    let failed = |reason: String| TestbedError::Command {
        step: format!("{host}: starting"),
        command: command.to_owned(),
        reason,
    };
    let mut child = child.map_err(|it| failed(it.to_string()))?;
    let id = i32::try_from(child.id()).ok().and_then(ProcessId::of);
    std::thread::spawn(move || child.wait());
    id.ok_or_else(|| failed("ended at once".to_owned()))
}

/// Starts `dockerd` inside. A shell starts it in the background and ends, so that it is the host's init
/// that becomes its parent: an `nsenter` that waited for it would freeze with it and never thaw.
fn launch_daemon(record: &Record, host: &HostRecord) -> Result<(), TestbedError> {
    let step = format!("{}: starting dockerd", host.name);
    let mark = format!("{}{}", record.mark, host.name);
    let pid = host.init.ok_or_else(|| down_error(host))?.pid.to_string();
    // The daemon refuses to start over the pid file of one that was killed; containerd's is kept, so
    // that a containerd that still runs is used again.
    let script = "rm -f /run/dockerd.pid\nlog=$1\nshift\n\
        exec setsid \"$@\" </dev/null >>\"$log\" 2>&1 &\n";
    let log = host.log().display().to_string();
    let data = host.data().display().to_string();
    let listen = format!("tcp://{}:{PORT}", host.ip);
    let zone = format!("zone={}", host.zone);
    let name = format!("bayplan.host={}", host.name);
    let cgroup = format!("/{}", host.cgroup);
    let mut words = vec![
        "nsenter",
        "-t",
        &pid,
        "-p",
        "-m",
        "-n",
        "-u",
        "-i",
        "sh",
        "-c",
        script,
        "sh",
        &log,
        "dockerd",
        "--data-root",
        &data,
        "--exec-root",
        "/run/docker",
        "--pidfile",
        "/run/dockerd.pid",
        "-H",
        &listen,
        "-H",
        "unix:///run/docker.sock",
        // Said aloud, or the daemon sleeps before it serves plain TCP.
        "--tls=false",
        "--label",
        &zone,
        "--label",
        &name,
        "--cgroup-parent",
        &cgroup,
        "--exec-opt",
        "native.cgroupdriver=cgroupfs",
        "--log-level",
        "warn",
    ];
    if host.live_restore {
        words.push("--live-restore");
    }
    run(&step, &mark, &words, None).map(|_| ())
}

/// The daemon of a host, if it runs.
fn daemon(record: &Record, host: &HostRecord) -> Option<ProcessId> {
    let marked = process::marked(&format!("{}{}", record.mark, host.name));
    marked
        .into_iter()
        .find(|it| it.name() == "dockerd" && it.namespace("pid") == host.pid_namespace)
}

fn await_daemon(record: &Record, host: &HostRecord) -> Result<(), TestbedError> {
    let step = format!("{}: waiting for dockerd", host.name);
    let timeouts = Timeouts { ping: Duration::from_secs(2), ..Timeouts::default() };
    let patience = Patience { connect: Duration::from_secs(1), ..Patience::default() };
    let engine = Engine::with(&address(host), "bayplan-testbed", timeouts, patience)?;
    let began = Instant::now();
    wait_for(&step, DAEMON_READY, || {
        if blocking(engine.ping()).is_ok() {
            return Ok(Some(()));
        }
        // Between the shell and dockerd there is a moment without either.
        if began.elapsed() > Duration::from_secs(1) && daemon(record, host).is_none() {
            let log = last_lines(&host.log());
            return Err(TestbedError::DaemonDied { host: host.name.clone(), log });
        }
        std::thread::sleep(Duration::from_millis(20));
        Ok(None)
    })
}

fn last_lines(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn down_error(host: &HostRecord) -> TestbedError {
    TestbedError::WrongState { host: host.name.clone(), state: "does not run" }
}

impl Testbed {
    /// The testbed in `dir`.
    ///
    /// # Errors
    ///
    /// [`TestbedError::NotUp`] if there is none.
    pub fn open(dir: &Path) -> Result<Self, TestbedError> {
        let not_up = || TestbedError::NotUp { dir: dir.to_owned() };
        let dir = fs::canonicalize(dir).map_err(|_| not_up())?;
        Record::load(&dir)?.ok_or_else(not_up)?;
        Ok(Self { dir })
    }

    /// Its folder, with links resolved.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its `hosts.toml`.
    pub fn hosts_file(&self) -> PathBuf {
        self.dir.join("hosts.toml")
    }

    /// What it consists of.
    ///
    /// # Errors
    ///
    /// If it was taken down meanwhile.
    pub fn record(&self) -> Result<Record, TestbedError> {
        Record::load(&self.dir)?.ok_or_else(|| TestbedError::NotUp { dir: self.dir.clone() })
    }

    fn host(&self, name: &str) -> Result<(Record, HostRecord), TestbedError> {
        let record = self.record()?;
        match record.hosts.iter().find(|it| it.name == name) {
            Some(host) => {
                let host = host.clone();
                Ok((record, host))
            }
            None => Err(TestbedError::UnknownHost {
                name: name.to_owned(),
                known: record.hosts.into_iter().map(|it| it.name).collect(),
            }),
        }
    }

    /// Where the host's daemon listens.
    ///
    /// # Errors
    ///
    /// If there is no such host.
    pub fn address(&self, name: &str) -> Result<Address, TestbedError> {
        Ok(address(&self.host(name)?.1))
    }

    /// Every host's name, zone and state.
    ///
    /// # Errors
    ///
    /// If the testbed was taken down meanwhile.
    pub fn status(&self) -> Result<Vec<(String, String, HostState)>, TestbedError> {
        let record = self.record()?;
        let state = |host: &HostRecord| match (host.init, daemon(&record, host)) {
            (Some(init), _) if !init.is_alive() => HostState::Down,
            (None, _) => HostState::Down,
            (_, None) => HostState::NoDaemon,
            (_, Some(it)) if it.is_frozen() => HostState::Frozen,
            _ if !link_is_up(&host.link) => HostState::Cut,
            _ => HostState::Up,
        };
        let states = record.hosts.iter().map(|it| (it.name.clone(), it.zone.clone(), state(it)));
        Ok(states.collect())
    }

    fn running_daemon(&self, name: &str) -> Result<ProcessId, TestbedError> {
        let (record, host) = self.host(name)?;
        daemon(&record, &host)
            .ok_or(TestbedError::WrongState { host: host.name, state: "its daemon does not run" })
    }

    /// Kills the host's daemon at once (`kill -9`) and waits until it is gone. Containers go on, if they
    /// outlive their daemon.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn kill_daemon(&self, name: &str) -> Result<(), TestbedError> {
        let daemon = self.running_daemon(name)?;
        daemon.signal(Signal::KILL);
        process::wait_gone(&format!("{name}: killing dockerd"), GONE, &[daemon])
    }

    /// Starts the host's daemon again and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, the host does not, or it does not come up.
    pub fn start_daemon(&self, name: &str) -> Result<(), TestbedError> {
        let _lock = Lock::wait(&self.dir, 2 * DAEMON_READY)?;
        let (record, host) = self.host(name)?;
        if daemon(&record, &host).is_some() {
            return Err(TestbedError::WrongState {
                host: host.name,
                state: "its daemon runs already",
            });
        }
        if !host.init.is_some_and(ProcessId::is_alive) {
            return Err(down_error(&host));
        }
        launch_daemon(&record, &host)?;
        await_daemon(&record, &host)
    }

    /// Stops the daemon in its tracks: its sockets still accept, but nobody answers.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn freeze_daemon(&self, name: &str) -> Result<(), TestbedError> {
        let daemon = self.running_daemon(name)?;
        daemon.signal(Signal::STOP);
        wait_for(&format!("{name}: freezing"), STEP, || Ok(daemon.is_frozen().then_some(())))
    }

    /// Lets a frozen daemon go on. One that is not frozen is left as it is.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn thaw_daemon(&self, name: &str) -> Result<(), TestbedError> {
        let daemon = self.running_daemon(name)?;
        daemon.signal(Signal::CONT);
        wait_for(&format!("{name}: thawing"), STEP, || Ok((!daemon.is_frozen()).then_some(())))
    }

    /// Pulls the host's cable. Its own processes go on; open connections fall silent.
    ///
    /// # Errors
    ///
    /// If the host does not run.
    pub fn cut_network(&self, name: &str) -> Result<(), TestbedError> {
        self.set_link(name, "down")
    }

    /// Plugs the host's cable in again.
    ///
    /// # Errors
    ///
    /// If the host does not run.
    pub fn heal_network(&self, name: &str) -> Result<(), TestbedError> {
        self.set_link(name, "up")
    }

    fn set_link(&self, name: &str, state: &str) -> Result<(), TestbedError> {
        let (record, host) = self.host(name)?;
        let step = format!("{name}: setting its cable {state}");
        let mark = format!("{}-", record.mark);
        run(&step, &mark, &["ip", "link", "set", &host.link, state], None).map(|_| ())
    }

    /// Ends the whole host: daemon, containers, network. What it had on disk stays.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn kill_host(&self, name: &str, death: Death) -> Result<(), TestbedError> {
        let (record, host) = self.host(name)?;
        let Some(init) = host.init.filter(|it| it.is_alive()) else {
            return Err(down_error(&host));
        };
        if death == Death::PowerCut {
            // First, or the dying kernel's farewells still get out.
            self.cut_network(name)?;
        }
        let mut doomed = process::marked(&format!("{}{name}", record.mark));
        doomed.retain(|it| it.namespace("pid") == host.pid_namespace);
        doomed.push(init);
        doomed.extend(host.holder);
        init.signal(Signal::KILL);
        process::wait_gone(&format!("{name}: killing the host"), GONE, &doomed)
    }

    /// Raises a host that was killed, with what it has on disk: containers are there, none of them runs.
    ///
    /// # Errors
    ///
    /// If it runs, or does not come up.
    pub fn raise_host(&self, name: &str) -> Result<(), TestbedError> {
        let _lock = Lock::wait(&self.dir, 2 * DAEMON_READY)?;
        let machine = Machine::look()?;
        let (record, host) = self.host(name)?;
        if host.init.is_some_and(ProcessId::is_alive) {
            return Err(TestbedError::WrongState { host: host.name, state: "runs already" });
        }
        // The kernel takes a dead host's cable away, but in its own time.
        remove_link(&record, &host.link);
        let index = record.hosts.iter().position(|it| it.name == name);
        let index = index.expect("the host was just found");
        raise_host(&machine, &self.dir, &Mutex::new(record), index)
    }

    /// Takes the testbed down.
    ///
    /// # Errors
    ///
    /// As [`down`].
    pub fn down(&self) -> Result<Lowered, TestbedError> {
        down(&self.dir)
    }
}

fn link_path(link: &str) -> PathBuf {
    Path::new("/sys/class/net").join(link)
}

/// Whether the link is switched on (IFF_UP), whatever hangs at its other end.
fn link_is_up(link: &str) -> bool {
    let text = fs::read_to_string(link_path(link).join("flags")).unwrap_or_default();
    let flags = text.trim().strip_prefix("0x").and_then(|it| u32::from_str_radix(it, 16).ok());
    flags.is_some_and(|it| it & 1 == 1)
}

fn remove_link(record: &Record, link: &str) {
    if link_path(link).exists() {
        let mark = format!("{}-", record.mark);
        let _ = run("removing a link", &mark, &["ip", "link", "del", link], None);
    }
}

/// Removes everything that the record names, then looks for what is left of it.
fn lower(dir: &Path, record: &Record) -> Lowered {
    kill_all(record);
    for host in &record.hosts {
        remove_link(record, &host.link);
    }
    remove_link(record, &record.bridge);
    while firewall(record, "-C", "looking for the firewall rule").is_ok() {
        if firewall(record, "-D", "removing the firewall rule").is_err() {
            break;
        }
    }
    let groups: Vec<PathBuf> = machine::cgroup_mounts()
        .iter()
        .flat_map(|mount| record.hosts.iter().map(move |it| mount.join(&it.cgroup)))
        .collect();
    // A group is busy until the kernel has buried the last of its processes.
    let emptied = || Ok(groups.iter().all(|it| machine::remove_cgroup(it)).then_some(()));
    let _ = wait_for("removing control groups", GONE, emptied);
    let hosts = dir.join("hosts");
    for it in machine::mounts_below(&hosts) {
        let mark = format!("{}-", record.mark);
        let _ = run("unmounting", &mark, &["umount", "-l", &it.to_string_lossy()], None);
    }
    if machine::mounts_below(&hosts).is_empty() {
        // Files may still be written by what was killed a moment ago: once more is enough.
        let _ = fs::remove_dir_all(&hosts).or_else(|_| fs::remove_dir_all(&hosts));
    }
    let left = leftovers(dir, record);
    if left.is_empty() {
        for it in
            [dir.join("hosts.toml"), record::draft_path(dir), record::path(dir), lock_path(dir)]
        {
            let _ = fs::remove_file(it);
        }
        remove_dirs(&record.made_dirs);
    }
    Lowered { hosts: record.hosts.len(), left }
}

/// Kills all that is ours, first processes first: they take the rest of their hosts with them.
fn kill_all(record: &Record) {
    let same_boot = record.boot == machine::boot_id();
    let began = Instant::now();
    loop {
        let mut doomed = Vec::new();
        if same_boot {
            for host in &record.hosts {
                doomed.extend(host.init.into_iter().chain(host.holder).filter(|it| it.is_alive()));
            }
        }
        doomed.extend(process::marked(&record.mark));
        if began.elapsed() > GONE {
            return;
        }
        if doomed.is_empty() {
            if !process::any_undecided() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for it in &doomed {
            it.signal(Signal::KILL);
        }
        let _ = process::wait_gone("ending processes", Duration::from_secs(1), &doomed);
    }
}

/// All that is still there.
fn leftovers(dir: &Path, record: &Record) -> Vec<Leftover> {
    let mut left = Vec::new();
    let marked = process::marked(&record.mark);
    left.extend(marked.iter().map(|it| Leftover::Process(it.pid, it.name())));
    let known = |kind: fn(&HostRecord) -> Option<u64>| -> Vec<u64> {
        record.hosts.iter().filter_map(kind).collect()
    };
    let (pids, nets) = (known(|it| it.pid_namespace), known(|it| it.net_namespace));
    if record.boot == machine::boot_id() {
        for it in process::all().into_iter().filter(|it| it.is_alive()) {
            let within =
                |kind, known: &[u64]| it.namespace(kind).is_some_and(|it| known.contains(&it));
            if within("pid", &pids) || within("net", &nets) {
                left.push(Leftover::Namespace(it.pid));
            }
        }
    }
    let links = record.hosts.iter().map(|it| &it.link).chain([&record.bridge]);
    left.extend(links.filter(|it| link_path(it).exists()).cloned().map(Leftover::Link));
    if firewall(record, "-C", "looking for the firewall rule").is_ok() {
        left.push(Leftover::Rule(record.rule.join(" ")));
    }
    for mount in machine::cgroup_mounts() {
        let groups = record.hosts.iter().map(|it| mount.join(&it.cgroup));
        left.extend(groups.filter(|it| it.exists()).map(Leftover::ControlGroup));
    }
    left.extend(machine::mounts_below(&dir.join("hosts")).into_iter().map(Leftover::Mount));
    left.extend(Some(dir.join("hosts")).filter(|it| it.exists()).map(Leftover::File));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_share_the_machine_and_the_zones_go_round() {
        let dir = Path::new("/x");
        let subnet = Subnet { base: std::net::Ipv4Addr::new(10, 213, 4, 0) };
        let mut record = Record::new("0123abcd", String::new(), subnet);
        let plan = Plan {
            capacity: Some(Capacity { cpu: Some(MilliCpu(500)), ..Capacity::default() }),
            ..Plan::new(4)
        };
        record.hosts = match draw_up(dir, &plan) {
            Ok(it) => it.hosts,
            // No `ip` here: nothing to look at.
            Err(_) => return,
        };
        let hosts = declared(&record, &plan);
        let zones: Vec<&str> = hosts.iter().filter_map(|it| it.zone.as_deref()).collect();
        assert_eq!(zones, ["zone-a", "zone-b", "zone-c", "zone-a"]);
        let text = hosts::write(&hosts);
        assert_eq!(hosts::read(&text, "hosts.toml").unwrap(), hosts);
    }

    #[test]
    fn hardware_addresses_are_whole_and_differ() {
        assert_eq!(card_address("0123abcd", 0), "02:01:23:ab:cd:01");
        assert_eq!(card_address("0123abcd", 31), "02:01:23:ab:cd:20");
    }

    #[test]
    fn a_folder_that_was_not_there_is_remembered_with_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        let made = make_dir(&deep).unwrap();
        assert_eq!(made, [dir.path().join("a"), deep.clone()]);
        assert_eq!(make_dir(&deep).unwrap(), Vec::<PathBuf>::new());
        remove_dirs(&made);
        assert!(dir.path().exists() && !dir.path().join("a").exists());
    }

    #[test]
    fn without_a_record_there_is_nothing_to_take_down() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(down(dir.path()).unwrap(), Lowered::default());
        assert_eq!(down(&dir.path().join("none")).unwrap(), Lowered::default());
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "not even a lock file");
        let error = Testbed::open(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds no testbed"), "{error}");
    }
}
