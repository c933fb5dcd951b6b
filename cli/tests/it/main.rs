//! The product as a whole: the house's rules, the command line, golden runs, real data.

mod binary;
mod golden;
mod house;
mod manners;
mod real_data;
mod testbed;
