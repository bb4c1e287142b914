//! FTP (RFC 959, 2428, 4217): commands and replies, and what goes over the data channels they open.
//!
//! One transaction per command. Replies belong to the oldest command that is not answered; preliminary
//! ones (1yz) leave it open. PORT, EPRT, PASV and EPSV tell where the next data channel will be: with
//! RETR or STOR the engine is asked to expect it ([`super::AppParser::expect`]), and the flow that comes
//! there is read by [`DataParser`] as one file.

mod address;
mod command;
mod data;
mod parser;

#[cfg(test)]
mod tests;

pub use command::Command;
pub use data::{DataParser, Transfer};
pub use parser::Parser;

use std::net::IpAddr;

/// Progress numbers of a direction.
pub mod progress {
    /// The command was sent, was answered.
    pub const DONE: u8 = 1;
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of a command or reply; longer ones are cut, which is an event.
    pub max_line: usize,
    /// Commands of a flow that may wait for an answer; one more is an event and the end of parsing.
    pub max_transactions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_line: 4096, max_transactions: 500 }
    }
}

/// One line of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its three digits; empty when it has none (the middle of a long reply).
    pub code: Vec<u8>,
    /// Its text.
    pub text: Vec<u8>,
    /// It was longer than the limit.
    pub cut: bool,
}

/// A command and its replies.
#[derive(Debug, Default)]
pub struct Ftp {
    /// Which command; `None` for replies nobody asked for, as the greeting.
    pub command: Option<Command>,
    /// Its argument.
    pub argument: Vec<u8>,
    /// The command was longer than the limit.
    pub cut: bool,
    /// The lines of its replies.
    pub replies: Vec<Reply>,
    /// Port of the data channel that it asked for, or was told.
    pub port: Option<u16>,
    /// Address of the data channel in PORT or EPRT.
    pub address: Option<IpAddr>,
    /// The server will open the data channel.
    pub active: bool,
    /// The final reply was seen.
    pub answered: bool,
}

/// Lines kept of the replies to one command.
const MAX_REPLIES: usize = 256;
