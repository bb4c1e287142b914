//! DCERPC (C706, MS-RPCE): connection-oriented over TCP, connectionless over UDP, and what SMB carries of
//! it in named pipes.
//!
//! A [`Call`] is one request and its response, put together from their fragments; an exchange that
//! binds interfaces is a call too. Who carries the PDUs (streams, datagrams, pipes) is the business of
//! the parsers; [`Session`] is what they share.

mod datagram;
mod names;
mod pdu;
mod session;
mod stream;

#[cfg(test)]
mod tests;

pub use names::{kind_name, procedure, service};
pub use pdu::{Header, header};
pub use session::Session;

use super::detect::Transport;
use super::{AppParser, TxList};
use crate::flow::{Direction, PerDirection};

/// Kinds of PDU (C706 section 12.1).
pub mod kind {
    /// A request.
    pub const REQUEST: u8 = 0;
    /// A response.
    pub const RESPONSE: u8 = 2;
    /// A response that says what went wrong.
    pub const FAULT: u8 = 3;
    /// The server will not do it.
    pub const REJECT: u8 = 6;
    /// Binds interfaces.
    pub const BIND: u8 = 11;
    /// Answer to [`BIND`].
    pub const BIND_ACK: u8 = 12;
    /// Refusal of [`BIND`].
    pub const BIND_NAK: u8 = 13;
    /// Binds more interfaces.
    pub const ALTER_CONTEXT: u8 = 14;
    /// Answer to [`ALTER_CONTEXT`].
    pub const ALTER_CONTEXT_RESPONSE: u8 = 15;
    /// Third leg of authentication; has no answer.
    pub const AUTH3: u8 = 16;
    /// The highest there is.
    pub const LAST: u8 = 20;
}

/// Bytes of arguments kept of each direction of a call.
pub const MAX_STUB: usize = 1 << 20;
/// Interfaces kept of a connection.
const MAX_INTERFACES: usize = 256;

/// An interface that a client wants to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its UUID, in the order in which it is written.
    pub uuid: [u8; 16],
    /// Major and minor version.
    pub version: (u16, u16),
    /// Number by which requests name it.
    pub context: u16,
    /// Result and reason, once the server has answered; result 0 is acceptance.
    pub answer: Option<(u16, u16)>,
    /// It came in the first fragment of its PDU.
    pub first: bool,
}

/// Arguments of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// Kind of its PDUs; `None` while none was seen.
    pub kind: Option<u8>,
    /// Arguments (stub data), up to [`MAX_STUB`].
    pub stub: Vec<u8>,
    /// Bytes of arguments, with those not kept.
    pub size: u64,
    /// Fragments.
    pub fragments: u32,
    /// Numbers are little endian.
    pub little: bool,
}

impl Half {
    fn add(&mut self, stub: &[u8]) -> bool {
        self.size = self.size.saturating_add(u64::try_from(stub.len()).unwrap_or(u64::MAX));
        let room = MAX_STUB.saturating_sub(self.stub.len()).min(stub.len());
        self.stub.extend_from_slice(stub.get(..room).unwrap_or_default());
        self.fragments = self.fragments.saturating_add(1);
        room == stub.len()
    }
}

/// A call, or the binding of interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Major and minor version of the protocol.
    pub version: (u8, u8),
    /// Number of the call.
    pub call_id: u32,
    /// Number of the procedure in its interface; of requests.
    pub opnum: Option<u16>,
    /// Request and response.
    pub halves: PerDirection<Half>,
    /// The interfaces it binds, or the one it calls.
    pub interfaces: Vec<Interface>,
    /// Activity UUID and sequence number of a connectionless call.
    pub activity: Option<([u8; 16], u32)>,
}

impl Call {
    /// What was asked and what was answered.
    #[must_use]
    pub fn half(&self, dir: Direction) -> &Half {
        self.halves.get(dir)
    }

    /// Whether it is a call of a procedure, not a binding.
    #[must_use]
    pub fn is_request(&self) -> bool {
        let asked = self.half(Direction::ToServer).kind;
        let answered = self.half(Direction::ToClient).kind;
        asked == Some(kind::REQUEST) || asked.is_none() && answered == Some(kind::RESPONSE)
    }
}

/// Parser of one flow.
#[derive(Debug)]
pub struct Parser(Carrier);

/// What carries the PDUs.
#[derive(Debug)]
enum Carrier {
    Stream(Box<stream::Stream>),
    Datagram(Box<datagram::Datagrams>),
}

impl Parser {
    /// For the transport below.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self(Carrier::Stream(Box::default())),
            Transport::Udp => Self(Carrier::Datagram(Box::default())),
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        match &mut self.0 {
            Carrier::Stream(stream) => stream.data(dir, bytes, txs),
            Carrier::Datagram(datagrams) => datagrams.data(dir, bytes, txs),
        }
    }

    fn gap(&mut self, dir: Direction, missing: u64, _txs: &mut TxList) {
        if let Carrier::Stream(stream) = &mut self.0 {
            stream.gap(dir, missing);
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}

/// Whether bytes begin a PDU of either kind.
pub(super) fn looks_like(bytes: &[u8], transport: Transport) -> bool {
    match transport {
        // Up to the length of the fragment: the number of the call may be in the next segment.
        Transport::Tcp => match bytes {
            [5, 0 | 1, kind, _, integers, floats, _, _, a, b, ..] => {
                let length = if integers & 0x10 != 0 { [*b, *a] } else { [*a, *b] };
                *kind <= kind::LAST
                    && integers & 0xee == 0
                    && *floats <= 3
                    && u16::from_be_bytes(length) >= 16
            }
            _ => false,
        },
        Transport::Udp => datagram::looks_like(bytes),
    }
}
