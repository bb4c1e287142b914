//! The whole system with the real binaries: collector and agent as processes, over loopback or in
//! network namespaces made here. What acknowledged means, what is lost and what people are told is
//! looked at from outside, as an operator would.
//!
//! `PIKETT_E2E_ROUNDS` sets the rounds of the kill matrix (3 unless said otherwise),
//! `PIKETT_E2E_BINARIES` a folder with other binaries, such as `target/release`.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod access;
mod canary;
mod clock;
mod disk;
mod faults;
mod hostile;
mod kill;
mod live;
mod proxy;
mod refused;
mod rotation;
mod sink;
mod spool;
mod system;
