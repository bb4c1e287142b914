//! SMTP (RFC 5321) with pipelining (RFC 2920), chunking (RFC 3030) and STARTTLS (RFC 3207).
//!
//! One transaction per mail: from the first command after the last mail to the server's answer to the
//! mail's end, to a RSET that was granted, or to a new greeting. Commands wait for their replies in a
//! queue, each with the transaction it belongs to. What is between DATA (or in BDAT chunks) goes to
//! [`super::mime`]. After a granted STARTTLS the flow is looked at anew.

mod parser;
mod reply;

#[cfg(test)]
mod tests;

use super::mime::Mail;
pub use parser::Parser;

/// Progress numbers of a direction.
pub mod progress {
    /// Commands, replies.
    pub const OPEN: u8 = 0;
    /// The mail was sent, was answered.
    pub const DONE: u8 = 1;
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Read the mails, not only the envelopes.
    pub decode_mime: bool,
    /// How mails are read.
    pub mime: super::mime::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { decode_mime: true, mime: super::mime::Config::default() }
    }
}

/// A mail and its envelope.
#[derive(Debug, Default)]
pub struct Smtp {
    /// Argument of HELO or EHLO, as last known in the session.
    pub helo: Vec<u8>,
    /// Argument of MAIL FROM without parameters, as sent.
    pub mail_from: Vec<u8>,
    /// Arguments of RCPT TO without parameters, as sent.
    pub rcpt_to: Vec<Vec<u8>>,
    /// The mail, when one was begun and mails are read.
    pub mail: Option<Box<Mail>>,
}

/// Bytes of a command or reply; longer ones are cut and an event (RFC 5321 section 4.5.3.1 has 512).
const MAX_LINE: usize = 4096;
/// Recipients kept of a mail.
const MAX_RECIPIENTS: usize = 1000;
/// Commands that wait for their replies; more are not matched.
const MAX_WAITING: usize = 4096;
