//! Tests from outside: published packing results, and the recipe for newcomers.

#![allow(clippy::disallowed_methods, reason = "tests read files and variables")]

mod conformance;
mod newcomer;
mod orlib;
mod packing;
