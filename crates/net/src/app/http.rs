//! HTTP/1: requests, responses, bodies, as lenient as real servers and clients are.
//!
//! [`Parser`] turns the bytes of both directions into [`Http`] transactions; requests may be
//! pipelined. What it keeps is bounded: line and header sizes, number of headers, body bytes after
//! decoding. A deviation from RFC 9112 is an event of the transaction, not a reason to stop.

mod body;
mod events;
mod files;
mod framing;
mod headers;
mod line;
mod parser;
mod upgrade;
mod uri;

#[cfg(test)]
mod evasion_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use headers::Headers;
pub use parser::Parser;
pub use uri::normalise as normalise_uri;

/// Progress numbers of a direction.
pub mod progress {
    /// The first line is being read.
    pub const LINE: u8 = 1;
    /// Headers are being read.
    pub const HEADERS: u8 = 2;
    /// The body is being read.
    pub const BODY: u8 = 3;
    /// Trailers are being read.
    pub const TRAILER: u8 = 4;
    /// Everything was seen.
    pub const COMPLETE: u8 = 5;
}

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// The first line without its line end.
    pub line: Vec<u8>,
    /// Method as sent.
    pub method: Vec<u8>,
    /// Target as sent.
    pub uri_raw: Vec<u8>,
    /// Path and query, decoded and without dot segments; see [`normalise_uri`].
    pub uri: Vec<u8>,
    /// Protocol as sent, for example `HTTP/1.1`; empty for HTTP/0.9.
    pub protocol: Vec<u8>,
    /// Headers.
    pub headers: Headers,
    /// Body after decoding.
    pub body: Body,
    /// Host in lower case and without port, from the target or the Host header.
    pub host: Vec<u8>,
    /// Host as sent.
    pub host_raw: Vec<u8>,
    /// Port in the Host header or target.
    pub port: Option<u16>,
}

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    /// The first line without its line end.
    pub line: Vec<u8>,
    /// Protocol as sent.
    pub protocol: Vec<u8>,
    /// Status code as sent.
    pub status: Vec<u8>,
    /// Reason phrase.
    pub message: Vec<u8>,
    /// Headers.
    pub headers: Headers,
    /// Body after decoding.
    pub body: Body,
}

impl Response {
    /// The status code as a number.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        std::str::from_utf8(&self.status).ok()?.trim().parse().ok()
    }
}

/// An HTTP transaction.
#[derive(Debug, Default)]
pub struct Http {
    /// What the client sent.
    pub request: Request,
    /// What the server sent.
    pub response: Response,
    /// The request was never seen: the response came first.
    pub request_missing: bool,
}

impl Http {
    /// `Cookie` of the request.
    #[must_use]
    pub fn request_cookie(&self) -> Option<&[u8]> {
        self.request.headers.get("cookie")
    }

    /// `Set-Cookie` of the response.
    #[must_use]
    pub fn response_cookie(&self) -> Option<&[u8]> {
        self.response.headers.get("set-cookie")
    }
}
