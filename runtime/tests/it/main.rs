//! Tests against real Docker daemons, raised for the purpose. They need Linux, root and Docker, and say so
//! where they skip.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "figures and skips are told to whoever runs the tests")]

mod agent;
mod chaos;
mod engine;
mod lowering;
mod room;
