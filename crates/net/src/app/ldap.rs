//! LDAP 3 (RFC 4511) over TCP, and connectionless over UDP: requests with the responses to them.
//!
//! A transaction is a request and what answers it, told apart by the message identifier. After a
//! successful StartTLS the flow is TLS.

mod message;
mod names;
mod parser;

#[cfg(test)]
mod tests;

pub use message::{Attribute, Body, Change, Message, Outcome, looks_like, parse};
pub use names::{change_name, operation_name, result_name};
pub use parser::Parser;

/// A request with its responses; a notice of the server's own has no request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ldap {
    /// What the client wants.
    pub request: Option<Message>,
    /// What it was answered, in order.
    pub responses: Vec<Message>,
    /// Responses beyond those that are kept.
    pub responses_beyond: u64,
}

/// Numbers of operations: the tags of their choices in RFC 4511 section 4.2 on.
pub mod operation {
    /// Unbind.
    pub const UNBIND: u8 = 2;
    /// An entry that a search found.
    pub const ENTRY: u8 = 4;
    /// Abandon.
    pub const ABANDON: u8 = 16;
    /// A referral of a search.
    pub const REFERENCE: u8 = 19;
    /// Extended request.
    pub const EXTENDED: u8 = 23;
    /// Extended response.
    pub const EXTENDED_RESPONSE: u8 = 24;
    /// Intermediate response.
    pub const INTERMEDIATE: u8 = 25;
}
