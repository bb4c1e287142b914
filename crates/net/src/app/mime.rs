//! MIME (RFC 2045, 2046, 2231): mail messages and form data as they stream by.
//!
//! [`Parser`] reads a message of any nesting in any pieces: it keeps the header of the outermost message,
//! undoes base64 and quoted-printable as bytes come, makes a [`super::file::File`] of each attachment and
//! picks links out of text. [`Splitter`] cuts a flat multipart body (HTTP forms, RFC 7578) into its parts.
//! Neither knows the protocol around it. Limits: lines, header values, nesting, links and attachments are
//! bounded; what is beyond is left out and told by an event.

mod decode;
mod feed;
mod header;
mod message;
mod multipart;
mod url;

#[cfg(test)]
mod tests;

pub use header::{Header, PartHeader};
pub use message::{Mail, Out, Parser, Status};
pub use multipart::{Piece, Splitter};
pub use url::Schemes;

/// Settings of message parsing.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Schemes of the links that are picked out of text; none: no links.
    pub schemes: Schemes,
    /// Links are kept with their scheme.
    pub keep_scheme: bool,
    /// MD5 over the body as it was sent.
    pub body_md5: bool,
    /// Bytes of a header value that are kept; longer ones are an event.
    pub header_value: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { schemes: Schemes::HTTP, keep_scheme: false, body_md5: false, header_value: 2000 }
    }
}

/// Bytes of a line that are held until its end is seen; a longer one is taken in pieces.
const MAX_LINE: usize = 8192;
/// Length of a line above which it is an event (RFC 5322 section 2.1.1).
const LONG_LINE: usize = 998;
/// The same for encoded lines (RFC 2045 section 6.8).
const LONG_ENCODED_LINE: usize = 76;
/// The same for names of header fields.
const LONG_HEADER_NAME: usize = 75;
/// Length of a boundary above which it is an event; RFC 2046 section 5.1.1 allows 70.
const LONG_BOUNDARY: usize = 254;
/// Bytes kept of the name of an attachment.
const MAX_FILE_NAME: usize = 255;
/// Header fields kept of the outermost message.
const MAX_HEADERS: usize = 512;
/// Multiparts within multiparts.
const MAX_DEPTH: usize = 16;
/// Links kept of a message.
const MAX_URLS: usize = 1024;
/// Names of attachments kept of a message.
const MAX_ATTACHMENTS: usize = 256;

/// Events go here; the same one need not be told twice.
type Events = Vec<&'static str>;

fn note(events: &mut Events, name: &'static str) {
    if !events.contains(&name) {
        events.push(name);
    }
}
