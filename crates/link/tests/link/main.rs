//! The link between two real ends, and with hostile ones.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod hostile;
mod loopback;
mod testing;
