//! Processes, told apart by number and start time: numbers are used again, the pair is not.

use super::TestbedError;
use super::command::{MARK, wait_for};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::time::Duration;

/// One process of this machine, ever since it was started up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, as seen from outside its namespaces.
    pub pid: i32,
    /// Clock ticks from the machine's start to its own.
    pub started: u64,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

/// The parts of `/proc/PID/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    started: u64,
}

/// Reads a stat line. The name in parentheses may hold anything, parentheses included.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of the line, the state being field 3.
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, started })
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

impl ProcessId {
    /// The process that has the number now.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.started })
    }

    fn state(self) -> Option<char> {
        stat(self.pid).filter(|it| it.started == self.started).map(|it| it.state)
    }

    /// Whether it runs. One that ended and waits for its parent does not.
    pub(super) fn is_alive(self) -> bool {
        self.state().is_some_and(|it| !matches!(it, 'Z' | 'X'))
    }

    /// Whether it was stopped by a signal.
    pub(super) fn is_frozen(self) -> bool {
        self.state() == Some('T')
    }

    /// Its name, as cut short by the kernel.
    pub(super) fn name(self) -> String {
        fs::read_to_string(format!("/proc/{}/comm", self.pid))
            .map(|it| it.trim_end().to_owned())
            .unwrap_or_default()
    }

    fn environment(self) -> Vec<u8> {
        fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default()
    }

    /// Number of its namespace of that kind.
    pub(super) fn namespace(self, kind: &str) -> Option<u64> {
        let link = fs::read_link(format!("/proc/{}/ns/{kind}", self.pid)).ok()?;
        let text = link.to_str()?;
        text.split_once('[')?.1.strip_suffix(']')?.parse().ok()
    }

    /// Sends a signal to this very process, or to none: through a handle that a new process of the same
    /// number does not share.
    pub(super) fn signal(self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        self.is_alive() && rustix::process::pidfd_send_signal(handle, signal).is_ok()
    }

    /// Its first child.
    pub(super) fn child(self) -> Option<Self> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let text = fs::read_to_string(path).ok()?;
        Self::of(text.split_ascii_whitespace().next()?.parse().ok()?)
    }
}

/// All processes now.
pub(super) fn all() -> Vec<ProcessId> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    pids.filter_map(ProcessId::of).collect()
}

/// All living processes whose mark begins with `mark`.
pub(super) fn marked(mark: &str) -> Vec<ProcessId> {
    let wanted = format!("{MARK}={mark}");
    let is_marked = |it: &ProcessId| {
        it.environment().split(|it| *it == 0).any(|it| it.starts_with(wanted.as_bytes()))
    };
    all().into_iter().filter(|it| it.is_alive() && is_marked(it)).collect()
}

/// Whether some process is just becoming another program: for that moment it shows no environment, and
/// so no mark. Processes that were started without any look the same, but do not stay young.
pub(super) fn any_undecided() -> bool {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split('.').next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    // The kernel tells start times in hundredths of a second, whatever its own clock.
    let young = seconds.saturating_sub(1) * 100;
    all().into_iter().any(|it| {
        it.started >= young
            && it.is_alive()
            && it.environment().is_empty()
            // Threads of the kernel have no program.
            && fs::read_link(format!("/proc/{}/exe", it.pid)).is_ok()
    })
}

/// Waits until none of them lives.
pub(super) fn wait_gone(
    step: &str,
    limit: Duration,
    processes: &[ProcessId],
) -> Result<(), TestbedError> {
    wait_for(step, limit, || Ok(processes.iter().all(|it| !it.is_alive()).then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        for name in ["sleep", "a b", "a) R 9 (b"] {
            let got = parse_stat(&format!("12 ({name}) {tail}"));
            assert_eq!(got, Some(Stat { state: 'S', started: 4711 }), "{name}");
        }
        assert_eq!(parse_stat("12 (sleep) S 1"), None);
    }

    #[test]
    fn only_the_very_process_is_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let it = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(it.is_alive());
        let namesake = ProcessId { started: it.started + 1, ..it };
        assert!(!namesake.is_alive() && !namesake.signal(Signal::KILL));
        assert!(it.is_alive() && it.signal(Signal::KILL));
        wait_gone("sleep ends", Duration::from_secs(5), &[it]).unwrap();
        child.wait().unwrap();
        assert!(!it.signal(Signal::KILL));
    }

    #[test]
    fn marks_are_inherited() {
        let mark = format!("unit-{}/", std::process::id());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env(MARK, format!("{mark}n1"))
            .spawn()
            .unwrap();
        let limit = Duration::from_secs(5);
        wait_for("the mark shows", limit, || Ok((marked(&mark).len() == 1).then_some(()))).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(marked(&mark).is_empty());
    }
}
