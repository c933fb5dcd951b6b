//! `bayplan testbed`: several real Docker daemons on this machine.

use crate::args::{Global, Testbed};
use crate::error::Failure;
#[cfg(target_os = "linux")]
pub use linux::testbed;

/// There is no testbed here.
///
/// # Errors
///
/// Always: it needs Linux.
#[cfg(not(target_os = "linux"))]
pub fn testbed(_args: &Testbed, _global: &Global) -> Result<(), Failure> {
    Err(Failure::new("a testbed needs Linux: it is made of namespaces and control groups")
        .help("use a Linux machine as root, or name Docker hosts of your own in a hosts.toml"))
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Failure, Global, Testbed};
    use crate::args::{Format, TestbedCommand};
    use crate::{print, runner, state_dir};
    use runtime::testbed::{self, DEFAULT_DIR, Plan, TestbedError};
    use serde::Serialize;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::Ordering;

    #[derive(Serialize)]
    struct Host {
        name: String,
        zone: String,
        address: String,
        state: String,
    }

    #[derive(Serialize)]
    struct Standing<'a> {
        dir: &'a Path,
        hosts_file: PathBuf,
        hosts: Vec<Host>,
    }

    #[derive(Serialize)]
    struct Gone<'a> {
        dir: &'a Path,
        hosts: usize,
        left: Vec<String>,
    }

    /// Raises, lowers or shows a testbed.
    ///
    /// # Errors
    ///
    /// If this machine is not fit, the folder is taken or empty, or a step fails; and, with exit code 1,
    /// if lowering left something behind.
    pub fn testbed(args: &Testbed, global: &Global) -> Result<(), Failure> {
        let dir = args.dir.clone().unwrap_or_else(|| {
            state_dir::usual("bayplan-testbed").unwrap_or_else(|| DEFAULT_DIR.into())
        });
        let known = args.dir.is_some();
        match args.command {
            TestbedCommand::Up { hosts } => up(&dir, hosts.into(), known, global),
            TestbedCommand::Down => down(&dir, global),
            TestbedCommand::Status => show(&testbed::Testbed::open(&dir).map_err(told)?, global),
        }
    }

    /// An error of a testbed, with the command that helps.
    fn told(error: TestbedError) -> Failure {
        let help = match &error {
            TestbedError::AlreadyUp { .. } => {
                "`bayplan testbed status` shows it, `bayplan testbed down` takes it down; or name \
                 another folder with --dir"
                    .to_owned()
            }
            TestbedError::NotUp { .. } => {
                "`bayplan testbed up 3` raises one; --dir names the folder of another".to_owned()
            }
            TestbedError::Busy { .. } => {
                "wait for it, or end it and run `bayplan testbed down`".to_owned()
            }
            other => other.help(),
        };
        Failure::new(error.to_string()).help(help)
    }

    fn up(dir: &Path, hosts: usize, known: bool, global: &Global) -> Result<(), Failure> {
        let testbed = testbed::up(dir, &Plan::new(hosts)).map_err(told)?;
        if runner::STOP.load(Ordering::Relaxed) {
            let left = testbed.down().map_err(told)?.left;
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            let what = "interrupted; the testbed was taken down again";
            return Err(if left.is_empty() {
                Failure::new(what)
            } else {
                Failure::new(format!("interrupted; left over: {}", left.join(", ")))
                    .help("run `bayplan testbed down` again")
            }
            .interrupted());
        }
        show(&testbed, global)?;
        if global.format == Format::Table && !global.quiet {
            let flag =
                if known { format!(" --dir {}", testbed.dir().display()) } else { String::new() };
            let address = testbed.address("n1").map_err(told)?;
            print::line(&format!(
                "\nEach host is a Docker daemon: docker -H {address} info\n\
                 When done: bayplan testbed down{flag}"
            ))?;
        }
        Ok(())
    }

    fn show(testbed: &testbed::Testbed, global: &Global) -> Result<(), Failure> {
        let mut hosts = Vec::new();
        for (name, zone, state) in testbed.status().map_err(told)? {
            let address = testbed.address(&name).map_err(told)?.to_string();
            hosts.push(Host { name, zone, address, state: state.to_string() });
        }
        let standing = Standing { dir: testbed.dir(), hosts_file: testbed.hosts_file(), hosts };
        match global.format {
            Format::Json => print::json(&standing),
            Format::Csv => {
                let mut out = csv::Writer::from_writer(Vec::new());
                let written = standing.hosts.iter().try_for_each(|it| out.serialize(it));
                written.map_err(|it| Failure::new(format!("cannot make CSV: {it}")))?;
                let bytes = out.into_inner().map_err(|it| Failure::new(it.to_string()))?;
                print::text(&String::from_utf8_lossy(&bytes))
            }
            Format::Table => {
                let mut table = print::columns(&["host", "zone", "address", "state"]);
                for it in &standing.hosts {
                    table.add_row([&it.name, &it.zone, &it.address, &it.state]);
                }
                print::line(&table.to_string())?;
                print::line(&format!("\nhosts file: {}", standing.hosts_file.display()))
            }
        }
    }

    fn down(dir: &Path, global: &Global) -> Result<(), Failure> {
        print::no_csv(global)?;
        let lowered = testbed::down(dir).map_err(told)?;
        let left: Vec<String> = lowered.left.iter().map(ToString::to_string).collect();
        let gone = Gone { dir, hosts: lowered.hosts, left };
        if global.format == Format::Json {
            print::json(&gone)?;
        } else if gone.hosts == 0 {
            print::line(&format!("{}: no testbed, nothing to take down", dir.display()))?;
        } else if gone.left.is_empty() {
            let hosts = if gone.hosts == 1 {
                "1 host is".into()
            } else {
                format!("{} hosts are", gone.hosts)
            };
            print::line(&format!("{hosts} down, nothing is left"))?;
        }
        if gone.left.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("{}: left over: {}", dir.display(), gone.left.join(", ")))
            .help("run it again: its record is kept until all of it is gone")
            .found())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use clap::CommandFactory;

        #[test]
        fn the_command_line_takes_as_many_hosts_as_a_testbed() {
            for (count, fits) in
                [(0, false), (1, true), (testbed::HOSTS_MAX, true), (testbed::HOSTS_MAX + 1, false)]
            {
                let words = ["bayplan", "testbed", "up", &count.to_string()];
                let read = crate::args::Cli::command().try_get_matches_from(words);
                assert_eq!(read.is_ok(), fits, "{count} hosts");
            }
        }
    }
}
