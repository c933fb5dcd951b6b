//! Workload traces: readers, transformations, generators, and the card that says what was found.
//!
//! A tour. A [`source::Source`] is a parsed `FORMAT:PATH?key=value` or `builtin:NAME`;
//! [`source::read`] turns it into a [`workload::Workload`], which streams what happens to a cluster
//! as [`cluster::arrival::Arrival`]s. Its [`card::Card`] tells what was read, refused, counted and
//! assumed. [`cluster_source::read_cluster`] reads nodes alone. Every format is one file with a
//! [`format::Format`] in it, listed in [`FORMATS`]; a generated workload is a [`generate::Recipe`].
//!
//! Nothing here prints, knows a clock or a strategy. What is wrong with an input is an
//! [`error::TraceError`] that says where and what to do; no input makes the crate panic.
//!
//! ```
//! use traces::source::{ReadOptions, Source, read};
//! let source = Source::parse("builtin:small?tasks=500")?;
//! let workload = read(&source, &ReadOptions { seed: 7, ..ReadOptions::default() })?;
//! assert!(workload.task_count() > 500, "residents come on top");
//! assert_eq!(workload.node_count(), 100);
//! # Ok::<(), traces::error::TraceError>(())
//! ```

mod ahead;
pub mod bayplan;
mod blocks;
pub mod card;
pub mod cluster_source;
pub mod columns;
mod decimal;
mod ends;
pub mod error;
pub mod format;
pub mod generate;
pub mod google_2011;
mod json;
mod limits;
pub mod load;
pub mod openb;
pub mod orlib;
mod quantiles;
pub mod requirement;
pub mod scenario;
pub mod source;
mod stats;
pub mod swf;
mod tasks;
mod text;
pub mod transform;
pub mod workload;
pub mod zones;

pub use cluster_source::read_cluster;
pub use source::read;
pub use workload::Workload;

/// All formats, in the order in which their marks are looked for.
pub const FORMATS: &[format::Format] = &[
    scenario::FORMAT,
    openb::FORMAT,
    google_2011::FORMAT,
    orlib::FORMAT,
    swf::FORMAT,
    bayplan::FORMAT,
    columns::FORMAT,
];
