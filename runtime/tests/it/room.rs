//! A live room: a testbed of its own for one test, one at a time on the whole machine, and the proof that
//! it left nothing.

use runtime::engine::{ContainerSpec, Engine, Patience, Timeouts};
use runtime::testbed::{self, IMAGE, Plan, Testbed};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Why live tests do not run here; printed by whoever skips. They raise real daemons and take a minute, so
/// they want to be asked for: `BAYPLAN_LIVE=1`, which `./test` sets where they can run. With
/// `BAYPLAN_REQUIRE_LIVE=1` a skip is a failure.
pub fn unfit() -> Option<String> {
    let why = if std::env::var_os("BAYPLAN_LIVE").is_none_or(|it| it == "0") {
        "live tests run with BAYPLAN_LIVE=1, as in `./test`".to_owned()
    } else {
        let error = testbed::check_machine().err()?;
        format!("{error} ({})", error.help())
    };
    let required = std::env::var_os("BAYPLAN_REQUIRE_LIVE").is_some_and(|it| it == "1");
    assert!(!required, "live tests are required (BAYPLAN_REQUIRE_LIVE=1), but: {why}");
    println!("skipped: {why}");
    Some(why)
}

/// One live test at a time, whichever process runs it.
pub struct Turn {
    _file: fs::File,
}

impl Turn {
    pub fn take() -> Self {
        let path = std::env::temp_dir().join("bayplan-live-tests.lock");
        let file = fs::File::create(path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        Self { _file: file }
    }
}

/// What testbeds make on a machine, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl Traces {
    pub fn look() -> Self {
        let mut found = BTreeSet::new();
        for it in fs::read_dir("/sys/class/net").unwrap().flatten() {
            let name = it.file_name().to_string_lossy().into_owned();
            if name.starts_with("bpb") || name.starts_with("bpv") {
                found.insert(format!("link {name}"));
            }
        }
        for mount in fs::read_to_string("/proc/self/mounts").unwrap().lines() {
            let mut words = mount.split(' ').skip(1);
            let (path, kind) = (words.next().unwrap(), words.next().unwrap());
            if kind.starts_with("cgroup") {
                for it in fs::read_dir(path).into_iter().flatten().flatten() {
                    if it.file_name().to_string_lossy().starts_with("bayplan-") {
                        found.insert(format!("cgroup {}", it.path().display()));
                    }
                }
            } else if path.contains("/hosts/n") {
                found.insert(format!("mount {path}"));
            }
        }
        for it in fs::read_dir("/proc").unwrap().flatten() {
            let environment = fs::read(it.path().join("environ")).unwrap_or_default();
            let mut words = environment.split(|it| *it == 0);
            if words.any(|it| it.starts_with(b"BAYPLAN_TESTBED=")) {
                found.insert(format!("process {}", it.path().display()));
            }
        }
        let rules = Command::new("iptables-save").output().unwrap();
        let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
        found.extend(rules.lines().filter(|it| it.contains("bayplan-testbed")).map(str::to_owned));
        Self(found)
    }

    fn new_since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }

    /// Fails unless everything that is there was there before. What is killed is seen for a moment longer
    /// than it lives, so it is looked at again for a while.
    #[track_caller]
    pub fn assert_nothing_new(&self) {
        let mut new = Self::look().new_since(self);
        for _ in 0..50 {
            if new.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
            new = Self::look().new_since(self);
        }
        panic!("left behind: {new:#?}");
    }
}

/// A testbed for one test. Taken down at the end, also by a panic.
pub struct Room {
    pub testbed: Testbed,
    pub raised_in: Duration,
    before: Traces,
    dir: PathBuf,
    _folder: tempfile::TempDir,
    _turn: Turn,
}

impl Room {
    pub fn raise(hosts: usize) -> Self {
        let turn = Turn::take();
        let before = Traces::look();
        let folder = tempfile::tempdir().unwrap();
        // Not there yet: making it is the testbed's business, and so is removing it.
        let dir = folder.path().join("bed");
        let began = Instant::now();
        let testbed = testbed::up(&dir, &Plan::new(hosts))
            .unwrap_or_else(|it| panic!("{it}\nhelp: {}", it.help()));
        let raised_in = began.elapsed();
        // The eye that is to find nothing at the end must see something now.
        let seen = Traces::look().new_since(&before);
        for kind in ["link bpb", "link bpv", "process ", "-A FORWARD"] {
            assert!(seen.iter().any(|it| it.starts_with(kind)), "{kind} in {seen:#?}");
        }
        Self { testbed, raised_in, before, dir, _folder: folder, _turn: turn }
    }

    /// A client with little patience, so that tests of silence are short.
    pub fn engine(&self, host: &str, owner: &str) -> Engine {
        let timeouts = Timeouts {
            ping: Duration::from_secs(1),
            events_silence: Duration::from_secs(1),
            ..Timeouts::default()
        };
        let patience = Patience { connect: Duration::from_secs(1), ..Patience::default() };
        Engine::with(&self.testbed.address(host).unwrap(), owner, timeouts, patience).unwrap()
    }

    /// A client that never pings by itself: only the kernel can tell it that a stream is dead.
    pub fn trusting_engine(&self, host: &str) -> Engine {
        let timeouts = Timeouts { events_silence: Duration::from_secs(120), ..Timeouts::default() };
        let address = self.testbed.address(host).unwrap();
        Engine::with(&address, "me", timeouts, Patience::default()).unwrap()
    }

    /// Takes it down and fails if anything is left; gives the time it took.
    #[track_caller]
    pub fn lower(self) -> Duration {
        let began = Instant::now();
        let lowered = self.testbed.down().unwrap();
        let took = began.elapsed();
        assert_eq!(lowered.left, [], "its own account");
        self.before.assert_nothing_new();
        assert!(!self.dir.exists(), "the folder it made is gone");
        assert_eq!(self.testbed.down().unwrap().hosts, 0, "a second time does nothing");
        took
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = testbed::down(&self.dir);
    }
}

/// A container that runs until it is told to end, and then ends at once.
pub fn sleeper(name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: IMAGE.into(),
        command: vec!["sleep".into(), "1000".into()],
        init: true,
        ..ContainerSpec::default()
    }
}

/// A container that runs a line of shell.
pub fn shell(name: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        command: vec!["sh".into(), "-c".into(), line.into()],
        init: false,
        ..sleeper(name)
    }
}

/// Waits until `look` gives true.
pub async fn eventually(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> bool,
) -> Duration {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// Runs a future to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A folder for a testbed that a test raises in another process.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir: &Path = folder.path();
    let dir = dir.join("bed");
    (folder, dir)
}
