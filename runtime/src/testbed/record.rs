//! The record of what a testbed consists of, on disk before any of it is made.
//!
//! All names are chosen up front and hold a random id, so the plan itself is the record of what there may
//! be to remove. Processes have no name to choose; they carry the testbed's mark in their environment,
//! and all they start inherits it. Numbers of processes and namespaces are added as they become known.

use super::TestbedError;
use super::process::ProcessId;
use super::subnet::Subnet;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Version of the record's layout.
const LAYOUT: u32 = 1;

/// What one testbed may have made on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this layout.
    pub layout: u32,
    /// Random; part of every name.
    pub id: String,
    /// Start of the mark that all its processes carry in their environment.
    pub mark: String,
    /// Which start-up of the machine it belongs to.
    pub boot: String,
    /// Directories that were not there before, outermost first.
    pub made_dirs: Vec<PathBuf>,
    /// Its network.
    pub subnet: Subnet,
    /// The bridge that joins its hosts.
    pub bridge: String,
    /// The words of the one firewall rule, after `-I FORWARD`.
    pub rule: Vec<String>,
    /// Its hosts.
    pub hosts: Vec<HostRecord>,
}

/// What one host of a testbed may have made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRecord {
    /// Its name, also the host name it sees.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its address in the testbed's network.
    pub ip: Ipv4Addr,
    /// Our end of its cable.
    pub link: String,
    /// Parent of its containers' control groups, from the root of each hierarchy.
    pub cgroup: String,
    /// Where images, containers and logs are kept.
    pub dir: PathBuf,
    /// Whether its containers outlive its daemon.
    pub live_restore: bool,
    /// The process outside that holds the namespaces' first process; they end together.
    pub holder: Option<ProcessId>,
    /// The first process inside.
    pub init: Option<ProcessId>,
    /// Number of its process namespace.
    pub pid_namespace: Option<u64>,
    /// Number of its network namespace.
    pub net_namespace: Option<u64>,
}

impl HostRecord {
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("dockerd.log")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("testbed.json")
}

/// The record while it is being written.
pub(super) fn draft_path(dir: &Path) -> PathBuf {
    dir.join("testbed.json.new")
}

impl Record {
    /// An empty one with names of its own.
    pub(super) fn new(id: &str, boot: String, subnet: Subnet) -> Self {
        let bridge = format!("bpb{id}");
        let comment = format!("bayplan-testbed-{id}");
        let words =
            ["-i", &bridge, "-o", &bridge, "-m", "comment", "--comment", &comment, "-j", "ACCEPT"];
        let rule = words.map(str::to_owned).to_vec();
        Self {
            layout: LAYOUT,
            id: id.to_owned(),
            mark: format!("{id}/"),
            boot,
            made_dirs: Vec::new(),
            subnet,
            rule,
            bridge,
            hosts: Vec::new(),
        }
    }

    /// Reads the record of the testbed in `dir`; `None` if there is none.
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, TestbedError> {
        let path = path(dir);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(super::io("reading", &path)(error)),
        };
        let wrong = |reason: String| TestbedError::Record { path: path.clone(), reason };
        let record: Self = serde_json::from_str(&text).map_err(|it| wrong(it.to_string()))?;
        record.check(dir).map_err(|it| wrong(it.to_owned()))?;
        Ok(Some(record))
    }

    /// Refuses a record that would have anything removed which a testbed cannot have made.
    fn check(&self, dir: &Path) -> Result<(), &'static str> {
        if self.layout != LAYOUT {
            return Err("another version wrote it");
        }
        let id_fits = self.id.len() == 8 && self.id.bytes().all(|it| it.is_ascii_hexdigit());
        if !id_fits || self.mark != format!("{}/", self.id) {
            return Err("its id is not one of ours");
        }
        let named_ours = |it: &str| it.contains(&self.id) && !it.contains("..");
        if !named_ours(&self.bridge) || !self.rule.iter().any(|it| named_ours(it)) {
            return Err("a name in it is not ours");
        }
        for host in &self.hosts {
            if !named_ours(&host.link) || !named_ours(&host.cgroup) {
                return Err("a host's name in it is not ours");
            }
            if host.dir.parent() != Some(&dir.join("hosts")) || host.dir.ends_with("..") {
                return Err("a host's folder in it is not ours");
            }
        }
        Ok(())
    }

    /// Writes it so that a crash leaves the old one or the new one, never half of one.
    pub(super) fn save(&self, dir: &Path) -> Result<(), TestbedError> {
        let (path, draft) = (path(dir), draft_path(dir));
        let text = serde_json::to_vec_pretty(self).expect("a record is plain data");
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(super::io("writing", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(dir: &Path) -> Record {
        let subnet = Subnet { base: Ipv4Addr::new(10, 213, 0, 0) };
        let mut record = Record::new("0123abcd", "boot".into(), subnet);
        record.hosts.push(HostRecord {
            name: "n1".into(),
            zone: "zone-a".into(),
            ip: subnet.address(11),
            link: "bp0123abcd-1".into(),
            cgroup: "bayplan-0123abcd-n1".into(),
            dir: dir.join("hosts").join("n1"),
            live_restore: true,
            holder: Some(ProcessId { pid: 7, started: 8 }),
            init: None,
            pid_namespace: None,
            net_namespace: None,
        });
        record
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::load(dir.path()).unwrap(), None);
        let record = record(dir.path());
        record.save(dir.path()).unwrap();
        assert_eq!(Record::load(dir.path()).unwrap(), Some(record));
    }

    #[test]
    fn a_record_that_names_what_is_not_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let check = |change: fn(&mut Record), want: &str| {
            let mut record = record(dir.path());
            change(&mut record);
            record.save(dir.path()).unwrap();
            let error = Record::load(dir.path()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        check(|it| it.layout = 2, "another version");
        check(|it| it.mark = String::new(), "id is not one of ours");
        check(|it| it.bridge = "docker0".into(), "a name in it");
        check(|it| it.hosts[0].link = "eth0".into(), "a host's name");
        check(|it| it.hosts[0].cgroup = "0123abcd/../system".into(), "a host's name");
        check(|it| it.hosts[0].dir = "/home".into(), "a host's folder");
    }

    #[test]
    fn names_fit_the_kernel() {
        let record = record(Path::new("/x"));
        assert!(record.bridge.len() <= 15 && record.hosts[0].link.len() <= 15);
    }
}
