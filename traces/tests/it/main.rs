//! Whole reads: fixtures, malformed input, the trip through our own format, and the counts of real
//! traces where they are at hand.

mod columns;
mod fixtures;
mod generated;
mod malformed;
mod round_trip;
mod shared;
mod story;
