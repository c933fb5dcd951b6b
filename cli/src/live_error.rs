//! Errors of the live world, as the user sees them.

use crate::error::Failure;
use runtime::store::StoreError;

/// A state folder that cannot do what was asked.
pub fn store(error: StoreError) -> Failure {
    Failure::new(error.to_string()).help(error.help())
}
