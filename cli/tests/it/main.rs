//! The product as a whole: the house's rules, the command line, golden runs, real data.

mod app;
mod binary;
mod golden;
mod house;
mod live_replay;
mod live_state;
mod manners;
mod real_data;
mod testbed;
