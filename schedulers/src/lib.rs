//! schedulers.
