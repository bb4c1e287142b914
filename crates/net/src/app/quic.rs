//! QUIC as far as it is readable: the hellos in Initial packets of versions 1, 2 and late drafts
//! (RFC 9000, RFC 9001, RFC 9369), and those of Google's own versions before it.
//!
//! Initial packets are protected with keys that anybody can derive. A transaction is one hello; what
//! comes after both is encrypted and not looked at.

mod google;
mod keys;
mod packet;
mod parser;
mod reassembly;

#[cfg(test)]
mod tests;

pub use packet::looks_like;
pub use parser::Parser;

use super::tls::{ClientHello, ServerHello};

/// Version 1 (RFC 9000).
pub const VERSION_1: u32 = 1;
/// Version 2 (RFC 9369).
pub const VERSION_2: u32 = 0x6b33_43cf;

/// A hello.
#[derive(Clone, Debug, Default)]
pub struct Quic {
    /// Version on the wire.
    pub version: u32,
    /// The client's hello.
    pub client: Option<ClientHello>,
    /// The server's hello.
    pub server: Option<ServerHello>,
    /// What Google's versions say in its place.
    pub google: Option<Google>,
}

/// The hello of a client of Google's versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Google {
    /// Server name.
    pub sni: Option<Vec<u8>>,
    /// What the client says it is.
    pub user_agent: Option<Vec<u8>>,
    /// Version and names of the tags, as CYU has them.
    pub cyu: String,
    /// MD5 of that, in hexadecimal.
    pub cyu_hash: String,
}

impl Quic {
    /// The server name the client asked for.
    #[must_use]
    pub fn sni(&self) -> Option<&[u8]> {
        match (&self.client, &self.google) {
            (Some(client), _) => client.sni.as_deref(),
            (None, Some(google)) => google.sni.as_deref(),
            (None, None) => None,
        }
    }

    /// JA4 of the client's hello.
    #[must_use]
    pub fn ja4(&self) -> Option<String> {
        // The first letter is the transport.
        Some(format!("q{}", self.client.as_ref()?.ja4.get(1..)?))
    }
}

/// Name of a version as records write it.
#[must_use]
pub fn version_name(version: u32) -> String {
    let bytes = version.to_be_bytes();
    match bytes {
        [b'Q', ..] if bytes.iter().all(u8::is_ascii_alphanumeric) => {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => format!("{version:x}"),
    }
}
