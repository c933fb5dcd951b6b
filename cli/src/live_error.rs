//! Errors of the live world, as the user sees them.

use crate::error::Failure;
use runtime::app::AppError;
use runtime::hosts::HostsError;
use runtime::store::StoreError;

/// A state folder that cannot do what was asked.
pub fn store(error: StoreError) -> Failure {
    Failure::new(error.to_string()).help(error.help())
}

/// An app file that cannot be used, with a mark at the place. `files` are texts and paths.
pub fn app(error: &AppError, files: &[(&str, &str)]) -> Failure {
    let failure = Failure::new(error.to_string()).help(error.help());
    let Some(place) = error.place() else { return failure };
    match files.iter().find(|it| it.1 == place.path) {
        Some((text, path)) => failure.mark(path, text, place.span.clone(), "here"),
        None => failure,
    }
}

/// A `hosts.toml` that cannot be used, with a mark at the place.
pub fn hosts(error: &HostsError, text: &str) -> Failure {
    let failure = Failure::new(error.to_string()).help(error.help());
    match error.place() {
        Some(place) => failure.mark(&place.path, text, place.span.clone(), "here"),
        None => failure,
    }
}
