//! TLS handshakes as far as they are readable: hellos and, up to TLS 1.2, certificates.
//!
//! One transaction per flow. Records are read until the handshake is over (change cipher spec, or
//! application data); what follows is encrypted and ignored.

mod certificate;
mod fingerprint;
mod hello;
mod parser;

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub(in crate::app) use fingerprint::hex;
pub use fingerprint::is_grease;
pub use hello::{ClientHello, ServerHello};
pub(in crate::app) use hello::{client as client_hello, server as server_hello};
pub use parser::Parser;

/// Progress numbers of a direction.
pub mod progress {
    use crate::flow::Direction;

    /// The hello of this side was read.
    pub const HELLO: u8 = 1;
    /// The certificate of this side was read.
    pub const CERTIFICATE: u8 = 2;
    /// The handshake is over.
    pub const DONE: u8 = 3;
    /// The flow has ended.
    pub const FINISHED: u8 = 4;

    /// Progress at which a direction is complete.
    #[must_use]
    pub fn complete(_dir: Direction) -> u8 {
        FINISHED
    }
}

/// A TLS session.
#[derive(Debug, Default)]
pub struct Tls {
    /// Client hello.
    pub client: Option<ClientHello>,
    /// Server hello.
    pub server: Option<ServerHello>,
    /// The server's certificates, its own first, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The first certificate, read.
    pub certificate: Option<Certificate>,
    /// The client's certificates, DER.
    pub client_certificates: Vec<Vec<u8>>,
    /// The client's first certificate, read.
    pub client_certificate: Option<Certificate>,
    /// Version in the newest record header; what counts when no hello was seen.
    pub record_version: u16,
    /// The server went on to encryption without sending a certificate.
    pub resumed: bool,
    /// The server wants a certificate of the client.
    pub client_certificate_wanted: bool,
    /// All that is readable of the handshake was seen: the server's part, and the client's certificate if
    /// it is wanted.
    pub told: bool,
    /// The handshake is over.
    pub encrypted: bool,
}

impl Tls {
    /// The version in force: what the server chose, or the best known so far.
    #[must_use]
    pub fn version(&self) -> u16 {
        if let Some(server) = &self.server {
            return server.selected_version.unwrap_or(server.version);
        }
        self.client.as_ref().map_or(self.record_version, |client| client.version)
    }

    /// The server name the client asked for.
    #[must_use]
    pub fn sni(&self) -> Option<&[u8]> {
        self.client.as_ref()?.sni.as_deref()
    }

    /// The application protocol the server chose.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.server.as_ref()?.alpn.as_deref()
    }
}

/// The name of a version as records write it.
#[must_use]
pub fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSLv2".to_owned(),
        0x0300 => "SSLv3".to_owned(),
        0x0301 => "TLSv1".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        0x7f00..=0x7fff => format!("TLS 1.3 draft-{:02}", version & 0xff),
        0xfb1a => "TLS 1.3 draft-fb".to_owned(),
        0 => "UNDETERMINED".to_owned(),
        other => format!("0x{other:04x}"),
    }
}
