//! `bayplan`: replay workloads against placement policies, compare them, and read why.
//!
//! The only crate that prints, exits and knows terminals. [`args`] is the command line as clap reads it,
//! [`plan`] turns it into types, one module a command does the rest.

mod app_input;
mod args;
mod compare;
mod error;
mod explaining;
mod fidelity;
mod journal_file;
mod live;
mod live_error;
mod output;
mod place;
mod plan;
mod policies;
mod print;
mod progress;
mod recording;
mod replay;
mod report;
mod reproduce;
mod runner;
mod state_dir;
mod task_log;
mod testbed;
mod trace;
mod workloads;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use error::Failure;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

fn main() -> ExitCode {
    let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let matches = match Cli::command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return clap_error(&error),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return clap_error(&error),
    };
    if cli.command.is_none() {
        // Without a command: `compare` with all its defaults, and the flags that may stand anywhere.
        arguments.push("compare".into());
        match <Cli as clap::Parser>::try_parse_from(&arguments) {
            Ok(with_command) => cli = with_command,
            Err(error) => return clap_error(&error),
        }
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show(&failure);
            failure.code()
        }
    }
}

fn clap_error(error: &clap::Error) -> ExitCode {
    // That help cannot be printed leaves nothing to be done about it.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let Some(command) = &cli.command else { return Ok(()) };
    if let Some(0) = cli.global.jobs {
        return Err(Failure::new("--jobs is 0").help("give at least one, or leave it out"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(cli.global.jobs.unwrap_or(0))
        .build_global()
        .map_err(|it| Failure::new(format!("cannot start the workers: {it}")))?;
    // A second Ctrl-C ends at once; the first lets runs stop in good order.
    ctrlc::set_handler(|| {
        if runner::STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|it| Failure::new(format!("cannot listen for Ctrl-C: {it}")))?;
    let global = &cli.global;
    match command {
        Command::Compare(args) => compare::compare(args, global),
        Command::Simulate(args) => compare::simulate(args, global),
        Command::Place(args) => place::place(args, global),
        Command::Replay(args) => replay::replay(args, global),
        Command::Fidelity(args) => fidelity::fidelity(args, global),
        Command::Reproduce(args) => match &args.what {
            args::ReproduceCommand::Fgd(args) => reproduce::fgd(args, global),
        },
        Command::Policies(args) => policies::policies(args, global),
        Command::Trace(args) => trace::trace(args, global),
        Command::Report(args) => report::report(args, global),
        Command::Testbed(args) => testbed::testbed(args, global),
        Command::Live(args) => live::live(args, global),
    }
}

#[expect(clippy::print_stderr, reason = "the one place that prints errors")]
fn show(failure: &Failure) {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colours {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    let handler =
        miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    match handler.render_report(&mut text, failure) {
        Ok(()) => eprint!("{text}"),
        Err(_) => eprintln!("{failure}"),
    }
}
