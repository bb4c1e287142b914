//! SSH (RFC 4253) as far as it is readable: banners and the offers of the key exchange, with HASSH.
//!
//! One transaction per flow. Each side sends its banner, then binary packets up to NEWKEYS; what follows
//! is encrypted and ignored. HASSH is MD5 over the algorithms a side offers, in their order.

mod kex;
mod parser;

#[cfg(test)]
mod tests;

pub use kex::Hassh;
pub use parser::Parser;

use crate::flow::{Direction, PerDirection};

/// Progress numbers of a direction.
pub mod progress {
    /// The banner was read.
    pub const BANNER: u8 = 1;
    /// The offer was read.
    pub const KEX: u8 = 2;
    /// NEWKEYS was sent: everything that follows is encrypted.
    pub const DONE: u8 = 3;
}

/// One side of a connection.
#[derive(Debug, Default)]
pub struct Side {
    /// Protocol version of the banner, as `2.0`.
    pub protocol: Vec<u8>,
    /// Software of the banner, as `OpenSSH_9.6`, without comments.
    pub software: Vec<u8>,
    /// Fingerprint of its offer.
    pub hassh: Option<Hassh>,
}

/// The beginning of a connection.
#[derive(Debug, Default)]
pub struct Ssh {
    /// What each side said; `to_server` is the client's.
    pub sides: PerDirection<Side>,
    /// Both sides have changed to encryption.
    pub encrypted: bool,
}

impl Ssh {
    /// What the sender in that direction said.
    #[must_use]
    pub fn side(&self, dir: Direction) -> &Side {
        self.sides.get(dir)
    }
}

/// Bytes of a banner (RFC 4253 section 4.2 allows 255); a longer one is an event.
const MAX_BANNER: usize = 255;
/// Lines that a server may send before its banner.
const MAX_PRELUDE: u32 = 64;
/// Bytes of an offer that are put together; a longer one is an event.
const MAX_KEX: u32 = 1 << 16;
