//! HTTP/2 (RFC 9113): frames, streams as transactions, header compression, bodies.
//!
//! Each stream is a transaction whose [`super::http::Http`] holds request and response as HTTP/1
//! would, so that rules on HTTP see both alike. Each frame of the connection itself (stream 0) is a
//! transaction of its own. DNS in a body (RFC 8484) is read and makes the flow `doh2`. Server push
//! is followed only as far as its headers keep the compression state right.

mod frame;
pub mod hpack;
mod huffman;
mod parser;
mod stream;

#[cfg(test)]
mod tests;

pub use frame::{Frame, Kind};
pub use hpack::Field;
pub use parser::Parser;

use super::dns;
use super::http::Http;
use crate::flow::{Direction, PerDirection};

/// What one direction of a stream sent besides its content.
#[derive(Debug, Default)]
pub struct Side {
    /// Frames in order, without their content; DATA frames are not listed.
    pub frames: Vec<Frame>,
    /// Header fields as sent, in order, with repeats and pseudo headers.
    pub fields: Vec<Field>,
    /// The DNS message in the body (RFC 8484).
    pub dns: Option<Box<dns::Message>>,
    /// Index of its file in the transaction.
    file: Option<usize>,
    /// Bytes of a DNS message so far.
    message: Vec<u8>,
}

/// A stream, or one frame of the connection.
#[derive(Debug, Default)]
pub struct Http2 {
    /// Stream identifier; 0 for frames of the connection.
    pub stream: u32,
    /// Request and response.
    pub http: Http,
    /// What each side sent.
    pub sides: PerDirection<Side>,
}

impl Http2 {
    /// True when a DNS message was found in either body.
    #[must_use]
    pub fn has_dns(&self) -> bool {
        self.sides.to_server.dns.is_some() || self.sides.to_client.dns.is_some()
    }

    /// The frames of a direction.
    #[must_use]
    pub fn frames(&self, dir: Direction) -> &[Frame] {
        &self.sides.get(dir).frames
    }
}
