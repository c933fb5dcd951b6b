//! Raises, shows or lowers a testbed by hand, until the binary has the command:
//! `cargo run -p bayplan-runtime --example testbed -- up 3`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use runtime::testbed::{self, DEFAULT_DIR, Plan, Testbed, TestbedError};
    use std::path::PathBuf;
    use std::time::Instant;

    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut dir = PathBuf::from(DEFAULT_DIR);
    if let Some(at) = words.iter().position(|it| it == "--dir")
        && at + 1 < words.len()
    {
        dir = words.remove(at + 1).into();
        words.remove(at);
    }
    let began = Instant::now();
    let work = || -> Result<bool, TestbedError> {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["up", count] if count.parse::<usize>().is_ok() => {
                let testbed = testbed::up(&dir, &Plan::new(count.parse().unwrap_or(0)))?;
                println!("{count} hosts in {:.1?}", began.elapsed());
                println!("{}", testbed.hosts_file().display());
            }
            ["down"] => {
                let lowered = testbed::down(&dir)?;
                println!("{} hosts down in {:.1?}", lowered.hosts, began.elapsed());
                for it in &lowered.left {
                    eprintln!("left over: {it}");
                }
                return Ok(lowered.left.is_empty());
            }
            ["status"] => {
                for (name, zone, state) in Testbed::open(&dir)?.status()? {
                    println!("{name}  {zone}  {state}");
                }
            }
            _ => {
                eprintln!("usage: testbed up N | down | status  [--dir DIR]");
                return Ok(false);
            }
        }
        Ok(true)
    };
    match work() {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}\nhelp: {}", error.help());
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("a testbed needs Linux");
    println!();
}
