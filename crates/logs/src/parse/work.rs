//! Counts what parsers look at, in tests alone: their cost is linear in the length of a line.

/// Counts bytes that were looked at.
#[cfg(not(test))]
#[inline]
pub(crate) const fn spend(_: usize) {}

#[cfg(test)]
pub(crate) use counted::{spend, take};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static SPENT: Cell<u64> = const { Cell::new(0) };
    }

    /// Counts bytes that were looked at.
    pub(crate) fn spend(bytes: usize) {
        SPENT.with(|spent| spent.set(spent.get() + bytes as u64));
    }

    /// What was counted since the last time.
    pub(crate) fn take() -> u64 {
        SPENT.with(|spent| spent.replace(0))
    }
}
