//! What this machine has: programs, control groups, networks, mounts.

use super::error::{Lack, TestbedError};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Programs that a testbed runs, and the Debian packages that have them.
const PROGRAMS: &[(&[&str], &str)] = &[
    (&["dockerd"], "docker.io"),
    (&["containerd"], "containerd"),
    (&["runc"], "runc"),
    (&["docker-init", "tini"], "tini"),
    (&["ip"], "iproute2"),
    (&["iptables"], "iptables"),
    (&["busybox"], "busybox-static"),
    (&["unshare"], "util-linux"),
    (&["nsenter"], "util-linux"),
    (&["setsid"], "util-linux"),
    (&["mount"], "mount"),
    (&["umount"], "mount"),
    (&["hostname"], "hostname"),
    (&["sleep"], "coreutils"),
    (&["sh"], "dash"),
];

/// Where the programs are, by the first of their names.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    programs: BTreeMap<&'static str, PathBuf>,
}

impl Machine {
    pub(super) fn program(&self, name: &'static str) -> &Path {
        &self.programs[name]
    }

    /// Looks for all that a testbed needs.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Unfit`] with everything that is missing.
    pub(super) fn look() -> Result<Self, TestbedError> {
        let mut lacks = Vec::new();
        let mut lack = |what: &str, package| lacks.push(Lack { what: what.to_owned(), package });
        if !rustix::process::geteuid().is_root() {
            lack("root", None);
        }
        if cgroup_mounts().is_empty() {
            lack("control groups", None);
        }
        let mut programs = BTreeMap::new();
        for (names, package) in PROGRAMS {
            match names.iter().find_map(|it| find_program(it)) {
                Some(path) => {
                    programs.insert(names[0], path);
                }
                None => lack(names[0], Some(package)),
            }
        }
        if programs.get("busybox").is_some_and(|it| !is_static(it)) {
            lack("a static busybox", Some("busybox-static"));
        }
        if lacks.is_empty() { Ok(Self { programs }) } else { Err(TestbedError::Unfit { lacks }) }
    }
}

/// PATH, with the system's own directories in it even where the user's has none.
pub(super) fn search_path() -> String {
    let mut path = std::env::var("PATH").unwrap_or_default();
    for it in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !path.split(':').any(|known| known == it) {
            if !path.is_empty() {
                path.push(':');
            }
            path.push_str(it);
        }
    }
    path
}

fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = search_path();
    let candidates =
        path.split(':').filter(|it| it.starts_with('/')).map(|it| Path::new(it).join(name));
    candidates.into_iter().find(|it| {
        fs::metadata(it).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    })
}

/// Whether an ELF file names no loader: none of its program headers is PT_INTERP (ELF-64, little endian).
fn is_static(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let number = |at: usize, size: usize| {
        let field = bytes.get(at..at + size)?;
        Some(field.iter().rev().fold(0_usize, |sum, &it| sum << 8 | usize::from(it)))
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((start, size, count)) = headers() else { return false };
    bytes.starts_with(b"\x7fELF") && (0..count).all(|it| number(start + it * size, 4) != Some(3))
}

/// One line of `/proc/self/mounts`.
fn parse_mount(line: &str) -> Option<(PathBuf, &str)> {
    let mut words = line.split(' ');
    let target = words.nth(1)?;
    let kind = words.next()?;
    let plain = target.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
    Some((plain.into(), kind))
}

fn mounts() -> Vec<(PathBuf, String)> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines().filter_map(parse_mount).map(|(path, kind)| (path, kind.to_owned())).collect()
}

/// Where control groups are mounted, version 1 and 2.
pub(super) fn cgroup_mounts() -> Vec<PathBuf> {
    let is_cgroup = |kind: &str| kind == "cgroup" || kind == "cgroup2";
    let mut found: Vec<PathBuf> =
        mounts().into_iter().filter(|it| is_cgroup(&it.1)).map(|it| it.0).collect();
    found.sort();
    found.dedup();
    found
}

/// Mounts at or below `dir`, deepest first.
pub(super) fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        mounts().into_iter().map(|it| it.0).filter(|it| it.starts_with(dir)).collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.components().count()));
    found
}

/// Removes a control group and those within it, innermost first. True if it is gone.
pub(super) fn remove_cgroup(path: &Path) -> bool {
    let within = fs::read_dir(path).into_iter().flatten().flatten();
    for it in within.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())) {
        remove_cgroup(&it.path());
    }
    let _ = fs::remove_dir(path);
    !path.exists()
}

/// Names this start-up of the machine: process numbers and start times mean nothing in another.
pub(super) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Cores that this process may use, and bytes of memory.
pub(super) fn size() -> (u64, u64) {
    let cores = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|it| it.strip_prefix("MemTotal:"));
    let kib = total.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    (cores, kib.unwrap_or(0) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_lines_are_read_with_blanks_in_them() {
        let line = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0";
        assert_eq!(parse_mount(line), Some(("/sys/fs/cgroup/cpu".into(), "cgroup")));
        let line = "tmpfs /a\\040b tmpfs rw 0 0";
        assert_eq!(parse_mount(line), Some(("/a b".into(), "tmpfs")));
    }

    #[test]
    fn this_test_has_a_loader_and_a_text_is_no_program() {
        assert!(!is_static(&std::env::current_exe().unwrap()));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "#!/bin/sh\n").unwrap();
        assert!(!is_static(file.path()));
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let lacks = vec![
            Lack { what: "root".into(), package: None },
            Lack { what: "ip".into(), package: Some("iproute2") },
            Lack { what: "dockerd".into(), package: Some("docker.io") },
        ];
        let error = TestbedError::Unfit { lacks };
        assert_eq!(error.to_string(), "this machine lacks root, ip, dockerd");
        assert_eq!(
            error.help(),
            "apt-get install -y docker.io iproute2; a testbed needs Linux, root and mounted control groups"
        );
    }
}
