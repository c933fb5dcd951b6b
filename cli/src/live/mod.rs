//! `bayplan live`: a cluster of real Docker hosts.
//!
//! [`up`] runs a controller, [`ask`] asks a running one, [`replay`] drives a trace against either.
//! [`trace_plan`] turns a trace into what a controller takes, [`show`] prints what it answers.

pub mod args;
#[cfg(unix)]
mod ask;
#[cfg(unix)]
mod inputs;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod replay;
#[cfg(unix)]
mod show;
#[cfg(unix)]
mod trace_plan;
#[cfg(unix)]
mod up;

use crate::args::Global;
use crate::error::Failure;
use args::Live;

/// Does what is asked of a live cluster.
///
/// # Errors
///
/// Whatever is wrong with the input; what a controller refuses; and, with exit code 1, what is left over.
#[cfg(unix)]
pub fn live(args: &Live, global: &Global) -> Result<(), Failure> {
    use args::LiveCommand as Do;
    let place = place::Place::of(args.state.as_deref());
    match &args.command {
        Do::Up(args) => up::up(args, &place, global),
        Do::Down => up::down(&place, global),
        Do::Replay(args) => replay::replay(args, &place, global),
        command => ask::ask(command, &place, global),
    }
}

/// There is no live cluster here.
///
/// # Errors
///
/// Always: it needs a Unix.
#[cfg(not(unix))]
pub fn live(_args: &Live, _global: &Global) -> Result<(), Failure> {
    Err(Failure::new("a live cluster is controlled from a Unix system")
        .help("use a machine with Linux or macOS, from which the Docker hosts can be reached"))
}
