//! The largest amounts that are taken. Sums of time and of amounts are made in 64 bits, here and in the
//! simulator; beyond these limits they could reach the end of the range, where they stop in silence.

/// The most that a field may hold, in its smallest unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) most: u64,
    /// In words, for errors.
    pub(crate) wanted: &'static str,
}

/// A moment or a length, in microseconds: three thousand years.
pub(crate) const TIME: Limit =
    Limit { most: 100_000_000_000_000_000, wanted: "a time of at most 10^17 microseconds" };

/// Thousandths of a core of one task or node. A million of these are below 2^63.
pub(crate) const CPU: Limit = Limit { most: 1_000_000_000_000, wanted: "at most 10^9 cores" };

/// Bytes of one task or node. The sum over a cluster is limited by [`SUM_MAX`]; sums over tasks are
/// made in 128 bits.
pub(crate) const BYTES: Limit = Limit { most: 1 << 53, wanted: "at most 2^53 bytes (8388608 GiB)" };

/// Of any resource of all nodes together.
pub(crate) const SUM_MAX: u128 = 1 << 63;
