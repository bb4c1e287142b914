//! Client and server hello (RFC 8446 section 4.1, RFC 5246 section 7.4.1).

use super::fingerprint;
use crate::cursor::Cursor;

/// A client hello.
#[derive(Clone, Debug, Default)]
pub struct ClientHello {
    /// Version field, before the supported-versions extension.
    pub version: u16,
    /// Random.
    pub random: [u8; 32],
    /// Cipher suites offered.
    pub ciphers: Vec<u16>,
    /// Extensions in order.
    pub extensions: Vec<u16>,
    /// Supported groups.
    pub groups: Vec<u16>,
    /// Point formats.
    pub point_formats: Vec<u8>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// Versions offered by extension.
    pub versions: Vec<u16>,
    /// Application protocols offered.
    pub alpn: Vec<Vec<u8>>,
    /// Server name.
    pub sni: Option<Vec<u8>>,
    /// A session is to be resumed.
    pub session_id: Vec<u8>,
    /// JA3 string.
    pub ja3: String,
    /// MD5 of the JA3 string, in hexadecimal.
    pub ja3_hash: String,
    /// JA4.
    pub ja4: String,
}

/// A server hello.
#[derive(Clone, Debug, Default)]
pub struct ServerHello {
    /// Version field, before the supported-versions extension.
    pub version: u16,
    /// Random.
    pub random: [u8; 32],
    /// The version chosen by extension (TLS 1.3).
    pub selected_version: Option<u16>,
    /// Cipher suite chosen.
    pub cipher: u16,
    /// Extensions in order.
    pub extensions: Vec<u16>,
    /// Application protocol chosen.
    pub alpn: Option<Vec<u8>>,
    /// Session identifier.
    pub session_id: Vec<u8>,
    /// JA3S string.
    pub ja3s: String,
    /// MD5 of the JA3S string, in hexadecimal.
    pub ja3s_hash: String,
}

fn words(bytes: &[u8]) -> Vec<u16> {
    let mut c = Cursor::new(bytes);
    std::iter::from_fn(|| c.u16()).collect()
}

pub(in crate::app) fn client(body: &[u8]) -> Option<ClientHello> {
    let mut c = Cursor::new(body);
    let mut hello = ClientHello { version: c.u16()?, ..ClientHello::default() };
    hello.random = c.array()?;
    hello.session_id = c.vec8()?.to_vec();
    hello.ciphers = words(c.vec16()?);
    c.vec8()?;
    let mut extensions = Cursor::new(c.vec16().unwrap_or_default());
    while let (Some(kind), Some(data)) = (extensions.u16(), extensions.vec16()) {
        hello.extensions.push(kind);
        client_extension(&mut hello, kind, data);
    }
    fingerprint::client(&mut hello);
    Some(hello)
}

fn client_extension(hello: &mut ClientHello, kind: u16, data: &[u8]) {
    let mut c = Cursor::new(data);
    match kind {
        0 => {
            let mut names = Cursor::new(c.vec16().unwrap_or_default());
            while let (Some(kind), Some(name)) = (names.u8(), names.vec16()) {
                if kind == 0 && hello.sni.is_none() {
                    hello.sni = Some(name.to_vec());
                }
            }
        }
        10 => hello.groups = words(c.vec16().unwrap_or_default()),
        11 => hello.point_formats = c.vec8().unwrap_or_default().to_vec(),
        13 => hello.signature_algorithms = words(c.vec16().unwrap_or_default()),
        16 => {
            let mut names = Cursor::new(c.vec16().unwrap_or_default());
            while let Some(name) = names.vec8() {
                hello.alpn.push(name.to_vec());
            }
        }
        43 => hello.versions = words(c.vec8().unwrap_or_default()),
        _ => {}
    }
}

pub(in crate::app) fn server(body: &[u8]) -> Option<ServerHello> {
    let mut c = Cursor::new(body);
    let mut hello = ServerHello { version: c.u16()?, ..ServerHello::default() };
    hello.random = c.array()?;
    // Drafts of TLS 1.3 up to 21 have neither session identifier nor compression method.
    let draft = matches!(hello.version, 0x7f00..=0x7f15);
    if !draft {
        hello.session_id = c.vec8()?.to_vec();
    }
    hello.cipher = c.u16()?;
    if !draft {
        c.u8()?;
    }
    let mut extensions = Cursor::new(c.vec16().unwrap_or_default());
    while let (Some(kind), Some(data)) = (extensions.u16(), extensions.vec16()) {
        hello.extensions.push(kind);
        let mut c = Cursor::new(data);
        match kind {
            43 => hello.selected_version = c.u16(),
            16 => {
                let mut names = Cursor::new(c.vec16().unwrap_or_default());
                hello.alpn = names.vec8().map(<[u8]>::to_vec);
            }
            _ => {}
        }
    }
    fingerprint::server(&mut hello);
    Some(hello)
}
