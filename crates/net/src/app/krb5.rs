//! Kerberos 5 (RFC 4120) over UDP and TCP: what is asked of a key distribution centre and what it answers.
//!
//! Each message is a transaction of its own. Tickets stay sealed: of them only the cipher is kept, and of
//! principals and realms the names. Messages between client and service (AP-REQ, AP-REP) only matter
//! for the error that may follow them.

mod message;
mod names;
mod parser;
#[cfg(test)]
mod tests;

pub use message::{Message, Principal, kind, parse};
pub use names::{encryption_name, error_name, is_weak, kind_name};
pub use parser::{MAX_RECORD, Parser};
