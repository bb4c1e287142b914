//! Frames: the units that a protocol sends, as bytes: messages, their headers, their content.
//!
//! Beside the parsers, which say what is meant, framers only find where units begin and end. They run
//! when somebody looks at frames ([`AppConfig::frames`](super::AppConfig)), and cost nothing else.

mod http;
mod lines;
mod units;

#[cfg(test)]
mod tests;

use super::Protocol;
use super::detect::Transport;
use crate::flow::{Direction, PerDirection};

/// Bytes kept of one frame; what is beyond is counted in its length alone.
const MAX_BYTES: usize = 64 << 10;
/// Frames of a flow that wait to be looked at; of more, the oldest are lost.
const MAX_WAITING: usize = 512;

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Number within the flow, from 0.
    pub id: u64,
    /// What it is, as the `frame` keyword names it, without the protocol.
    pub kind: &'static str,
    /// Who sent it.
    pub dir: Direction,
    /// Place of its first byte in the stream of its direction.
    pub offset: u64,
    /// Its length; of one that was cut off, what there is.
    pub length: u64,
    /// Its bytes, as far as they were kept.
    pub bytes: Vec<u8>,
    /// It came to its end.
    pub complete: bool,
}

/// The frames of a flow.
#[derive(Debug)]
pub(super) struct Frames {
    framer: Box<dyn Framer>,
    at: PerDirection<u64>,
}

/// Finds units in the bytes of a flow.
pub(super) trait Framer: std::fmt::Debug + Send {
    /// Bytes in order (TCP) or one datagram.
    fn data(&mut self, dir: Direction, bytes: &[u8], out: &mut Out<'_>);
    /// Nothing more comes in that direction, or what comes next is not known: what has begun ends as it is.
    fn cut(&mut self, dir: Direction, out: &mut Out<'_>);
}

/// Frames that were found and not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Found {
    list: Vec<Frame>,
    next_id: u64,
    lost: u64,
}

impl Found {
    pub(super) fn list(&self) -> &[Frame] {
        &self.list
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Those of a direction, or all of them, were looked at.
    pub(super) fn settle(&mut self, inspected: Option<Direction>) {
        match inspected {
            None => self.list.clear(),
            Some(dir) => self.list.retain(|frame| frame.dir != dir),
        }
    }
}

/// Where framers put what they find.
pub(super) struct Out<'a> {
    pub(super) found: &'a mut Found,
    pub(super) dir: Direction,
}

impl Out<'_> {
    pub(super) fn frame(
        &mut self,
        kind: &'static str,
        (offset, length): (u64, u64),
        bytes: &[u8],
        complete: bool,
    ) {
        if self.found.list.len() >= MAX_WAITING {
            self.found.list.remove(0);
            self.found.lost = self.found.lost.saturating_add(1);
        }
        let id = self.found.next_id;
        self.found.next_id = id.saturating_add(1);
        let bytes = bytes.get(..MAX_BYTES).unwrap_or(bytes).to_vec();
        self.found.list.push(Frame { id, kind, dir: self.dir, offset, length, bytes, complete });
    }
}

/// Length of a slice as the stream counts.
fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Frames {
    /// For a flow that speaks `protocol` from `at` on; `None` when its units are not known.
    pub(super) fn new(
        protocol: Protocol,
        transport: Transport,
        at: PerDirection<u64>,
    ) -> Option<Self> {
        let framer: Box<dyn Framer> = match (protocol, transport) {
            (Protocol::Http, _) => Box::new(http::Http::new(at)),
            (Protocol::Smtp, _) => Box::new(lines::Smtp::new(at)),
            (Protocol::Dns | Protocol::Mdns | Protocol::Llmnr, Transport::Udp) => {
                Box::new(lines::Datagrams::default())
            }
            (Protocol::Sip, Transport::Udp) => Box::new(http::Sip::datagrams()),
            (Protocol::Sip, Transport::Tcp) => Box::new(http::Sip::stream(at)),
            (_, Transport::Udp) => return None,
            _ => Box::new(units::Units::new(protocol, at)?),
        };
        Some(Self { framer, at })
    }

    pub(super) fn data(&mut self, dir: Direction, bytes: &[u8], found: &mut Found) {
        self.framer.data(dir, bytes, &mut Out { found, dir });
        let at = self.at.get_mut(dir);
        *at = at.saturating_add(count(bytes));
    }

    pub(super) fn cut(&mut self, dir: Direction, found: &mut Found) {
        self.framer.cut(dir, &mut Out { found, dir });
    }

    /// Those bytes belong to what comes after this protocol.
    pub(super) fn give_back(&mut self, rest: &PerDirection<Vec<u8>>) {
        for dir in [Direction::ToServer, Direction::ToClient] {
            let at = self.at.get_mut(dir);
            *at = at.saturating_sub(count(rest.get(dir)));
        }
    }

    /// Where the streams are.
    pub(super) fn position(&self) -> PerDirection<u64> {
        self.at
    }
}
