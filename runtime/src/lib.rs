//! The real world: drives the same [`Manager`](cluster::manager::Manager) against Docker hosts.
//!
//! Nothing is here yet. The crate stands in the workspace so that the arrows of the house are drawn and
//! tested from the first day: it depends on `cluster` alone, never on `schedulers` or `sim`, and holds no
//! placement logic. What it will do is turn every [`Action`](cluster::event::Action) into Engine API calls
//! and everything that a host reports into an [`Event`](cluster::event::Event).
