//! traces.
