//! The product as a whole: the house's rules, the command line, golden runs, real data.

mod app;
mod binary;
#[cfg(target_os = "linux")]
mod both_worlds;
#[cfg(target_os = "linux")]
mod chaos;
mod columns;
mod golden;
mod house;
mod live;
mod live_replay;
mod live_state;
mod manners;
mod place;
mod real_data;
mod reproduce;
mod testbed;

/// The same room in which the hosts themselves are tested.
#[cfg(target_os = "linux")]
#[path = "../../../runtime/tests/it/room.rs"]
#[expect(
    dead_code,
    clippy::print_stdout,
    reason = "tests of hosts need more of it; it says what is skipped"
)]
mod room;
