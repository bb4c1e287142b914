//! RFB, the protocol of VNC (RFC 6143): versions, authentication, what the desktop is called.
//!
//! One transaction per flow, complete when the server has described its screen; what follows is not read.

mod parser;

#[cfg(test)]
mod tests;

pub use parser::Parser;

/// Progress numbers of a direction.
pub mod progress {
    /// The handshake is over.
    pub const DONE: u8 = 1;
}

/// Kinds of authentication (RFC 6143 section 7.1.2).
pub mod security {
    /// It failed.
    pub const INVALID: u32 = 0;
    /// None.
    pub const NONE: u32 = 1;
    /// Challenge and response with DES.
    pub const VNC: u32 = 2;
}

/// Major and minor version as sent: three digits each.
pub type Version = ([u8; 3], [u8; 3]);

/// How pixels are sent (RFC 6143 section 7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelFormat {
    /// Bits of a pixel.
    pub bits_per_pixel: u8,
    /// Bits that matter.
    pub depth: u8,
    /// Byte order.
    pub big_endian: bool,
    /// Colours rather than places in a map.
    pub true_color: bool,
    /// Largest red, green, blue.
    pub max: [u16; 3],
    /// How far red, green, blue are shifted.
    pub shift: [u8; 3],
}

/// The server's screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// How they are sent.
    pub format: PixelFormat,
    /// Name of the desktop.
    pub name: Vec<u8>,
}

/// The handshake of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rfb {
    /// Version of the server.
    pub server_version: Option<Version>,
    /// Version of the client.
    pub client_version: Option<Version>,
    /// Kind of authentication chosen.
    pub security_type: Option<u32>,
    /// Challenge of VNC authentication.
    pub challenge: Option<[u8; 16]>,
    /// The answer to it.
    pub response: Option<[u8; 16]>,
    /// 0 when the client is let in, 1 when not, 2 after too many attempts.
    pub security_result: Option<u32>,
    /// Why not.
    pub failure_reason: Vec<u8>,
    /// Others may be connected at the same time.
    pub shared: Option<bool>,
    /// The screen.
    pub screen: Option<Screen>,
}
