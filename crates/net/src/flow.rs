//! Flows: the packets of one conversation, its state and its counters.
//!
//! A flow is found by a symmetric key, lives in a slab slot of the one worker that owns it and ends
//! by timeout on packet time, by reuse of its ports or at shutdown. What only flows with payload
//! need (reassembly, protocol parser) is [`Cold`] and allocated on the first payload byte.

mod community;
mod index;
mod key;
mod name;
mod slab;
mod table;
pub mod tcp;
mod wheel;

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

pub use key::FlowKey;
pub use name::FlowName;
pub use table::{FlowTable, Shed, Timeouts};

use std::net::IpAddr;

use crate::app::{AppLayer, Protocol};
use crate::stream::Half;
use tcp::{TcpState, TcpTrack};

/// Which way a packet goes: the first packet's sender is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// 0 for to-server, 1 for to-client.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }

    /// The opposite way.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// A pair of values, one per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDirection<T> {
    /// To-server half.
    pub to_server: T,
    /// To-client half.
    pub to_client: T,
}

impl<T> PerDirection<T> {
    /// The half of a direction.
    #[must_use]
    pub fn get(&self, dir: Direction) -> &T {
        match dir {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// The half of a direction.
    pub fn get_mut(&mut self, dir: Direction) -> &mut T {
        match dir {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Exchanges the halves.
    pub fn swap(&mut self) {
        std::mem::swap(&mut self.to_server, &mut self.to_client);
    }
}

/// Number of a flow, unique within a run of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// One side only, or a TCP handshake that is not complete.
    New,
    /// Both sides seen; TCP handshake complete.
    Established,
    /// TCP closed.
    Closed,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Silence for as long as its state allows.
    Timeout,
    /// Its ports are used by a new TCP flow.
    TcpReuse,
    /// Evicted to make room.
    Forced,
    /// The engine was stopped.
    Shutdown,
}

/// State of flows that carry payload, in two lines of memory.
#[derive(Debug, Default)]
pub struct Cold {
    /// Reassembly per direction, for TCP.
    halves: Option<Box<PerDirection<Half>>>,
    /// Protocol detection and parser.
    pub app: AppLayer,
}

impl Cold {
    /// Reassembly per direction, and what is made of the stream.
    pub(crate) fn parts(&mut self) -> (&mut PerDirection<Half>, &mut AppLayer) {
        (self.halves.get_or_insert_default(), &mut self.app)
    }

    /// Reassembly of a direction.
    pub(crate) fn half(&mut self, dir: Direction) -> &mut Half {
        self.halves.get_or_insert_default().get_mut(dir)
    }

    /// True when there is a stream to be put in order.
    pub(crate) fn has_stream(&self) -> bool {
        self.halves.is_some()
    }
}

const _: () = assert!(size_of::<Cold>() <= 128);

/// Most cold parts kept for new flows.
const SPARE: usize = 1024;

/// Cold parts of flows that have ended, for new ones: the last that came is the first to go, while it is
/// still in the processor's cache.
#[derive(Debug, Default)]
pub(crate) struct ColdParts {
    #[expect(clippy::vec_box, reason = "they come and go as boxes")]
    spare: Vec<Box<Cold>>,
}

impl ColdParts {
    /// An empty one.
    pub(crate) fn take(&mut self) -> Box<Cold> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back one whose flow has ended.
    pub(crate) fn give_back(&mut self, mut cold: Box<Cold>) {
        if self.spare.len() < SPARE {
            *cold = Cold::default();
            self.spare.push(cold);
        }
    }
}

/// Flag bits of a flow.
mod flag {
    pub(super) const CLIENT_IS_LOW: u8 = 1;
    pub(super) const MIDSTREAM: u8 = 2;
    pub(super) const BOTH_SEEN: u8 = 4;
    pub(super) const ALERTED: u8 = 8;
    pub(super) const SWAPPED: u8 = 16;
}

/// One flow: the part every packet touches, in two lines of memory.
#[derive(Debug)]
#[repr(align(64))]
pub struct Flow {
    key: key::Packed,
    flags: u8,
    /// Protocol found in the payload.
    pub(crate) protocol: Protocol,
    /// TCP flags seen, per direction.
    pub(crate) tcp_flags: PerDirection<u8>,
    pub(crate) tcp: TcpTrack,
    id: FlowId,
    /// Time of the first packet in microseconds since the epoch.
    start: i64,
    /// Time of the newest packet in microseconds since the epoch.
    last: i64,
    packets: PerDirection<u32>,
    bytes: PerDirection<u64>,
    pub(crate) cold: Option<Box<Cold>>,
    slot: u32,
    /// Where it is in the index.
    hash: u32,
}

const _: () = assert!(size_of::<Option<Flow>>() == 128);

impl Flow {
    fn new(key: FlowKey, client_is_low: bool, id: FlowId, ts: i64) -> Self {
        Self {
            key: key::Packed::new(&key),
            flags: if client_is_low { flag::CLIENT_IS_LOW } else { 0 },
            protocol: Protocol::Unknown,
            tcp_flags: PerDirection::default(),
            tcp: TcpTrack::default(),
            id,
            start: ts,
            last: ts,
            packets: PerDirection::default(),
            bytes: PerDirection::default(),
            cold: None,
            slot: 0,
            hash: 0,
        }
    }

    /// Unique number of the flow.
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// Index of its slab slot: small, reused after the flow's end. For side tables of a sink.
    #[must_use]
    pub fn slot(&self) -> usize {
        usize::try_from(self.slot).unwrap_or(usize::MAX)
    }

    /// What tells it from those that had its slot before.
    fn generation(&self) -> u32 {
        u32::try_from(self.id.0 & 0xffff_ffff).unwrap_or(0)
    }

    /// Its symmetric key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> FlowKey {
        self.key.key()
    }

    /// IP protocol number.
    #[must_use]
    pub fn proto(&self) -> u8 {
        self.key().proto()
    }

    /// Address and port of the client; ICMP type for ICMP.
    #[must_use]
    pub fn client(&self) -> (IpAddr, u16) {
        if self.has(flag::CLIENT_IS_LOW) { self.key().low() } else { self.key().high() }
    }

    /// Address and port of the server.
    #[must_use]
    pub fn server(&self) -> (IpAddr, u16) {
        if self.has(flag::CLIENT_IS_LOW) { self.key().high() } else { self.key().low() }
    }

    /// Ports of client and server.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let (low, high) = self.key().ports();
        if self.has(flag::CLIENT_IS_LOW) { (low, high) } else { (high, low) }
    }

    /// Sender and receiver for a direction.
    #[must_use]
    pub fn endpoints(&self, dir: Direction) -> ((IpAddr, u16), (IpAddr, u16)) {
        self.name().endpoints(dir)
    }

    /// What it is called, see [`FlowName`].
    #[must_use]
    #[inline]
    pub fn name(&self) -> FlowName {
        FlowName { id: self.id, key: self.key(), client_is_low: self.has(flag::CLIENT_IS_LOW) }
    }

    /// First packet, microseconds since the epoch.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Newest packet, microseconds since the epoch.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Packets per direction.
    #[must_use]
    pub fn packets(&self) -> PerDirection<u32> {
        self.packets
    }

    /// Bytes on the wire per direction.
    #[must_use]
    pub fn bytes(&self) -> PerDirection<u64> {
        self.bytes
    }

    /// TCP flags seen per direction.
    #[must_use]
    pub fn tcp_flags(&self) -> PerDirection<u8> {
        self.tcp_flags
    }

    /// State of the TCP connection.
    #[must_use]
    pub fn tcp_state(&self) -> TcpState {
        self.tcp.state
    }

    /// Sequence numbers that a side of the TCP connection has used, its SYN and FIN included; 0 before
    /// its first one is known.
    #[must_use]
    pub fn tcp_sent(&self, dir: Direction) -> u32 {
        self.tcp.sent(dir)
    }

    /// True when both sides of a TCP connection have closed it: nothing that counts comes any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.key().proto() == 6 && self.tcp.is_over()
    }

    /// Protocol found in the payload.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// True when both sides have sent.
    #[must_use]
    pub fn both_seen(&self) -> bool {
        self.has(flag::BOTH_SEEN)
    }

    /// True when the flow was taken up without its handshake.
    #[must_use]
    pub fn is_midstream(&self) -> bool {
        self.has(flag::MIDSTREAM)
    }

    /// True when a rule has alerted on it.
    #[must_use]
    pub fn alerted(&self) -> bool {
        self.has(flag::ALERTED)
    }

    /// State as timeouts and the `flow` keyword see it.
    #[must_use]
    pub fn state(&self) -> FlowState {
        if self.key().proto() == 6 {
            return self.tcp.state.flow_state();
        }
        if self.both_seen() { FlowState::Established } else { FlowState::New }
    }

    /// Number of transactions so far.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.cold.as_ref().map_or(0, |cold| cold.app.transactions())
    }

    /// Remembers that a rule alerted on this flow.
    pub fn set_alerted(&mut self) {
        self.flags |= flag::ALERTED;
    }

    pub(crate) fn set_midstream(&mut self) {
        self.flags |= flag::MIDSTREAM;
    }

    /// Client and server were mistaken for each other: exchange everything.
    pub(crate) fn swap(&mut self) {
        self.flags ^= flag::CLIENT_IS_LOW | flag::SWAPPED;
        self.tcp_flags.swap();
        self.packets.swap();
        self.bytes.swap();
        self.tcp.swap();
        if let Some(cold) = &mut self.cold
            && let Some(halves) = &mut cold.halves
        {
            halves.to_server.swap_with(&mut halves.to_client);
        }
    }

    /// Direction of a packet whose source is (`true`) the low end of the key.
    pub(crate) fn direction(&self, source_is_low: bool) -> Direction {
        if self.has(flag::CLIENT_IS_LOW) == source_is_low {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    pub(crate) fn count(&mut self, dir: Direction, wire_len: u32, ts: i64) {
        let packets = self.packets.get_mut(dir);
        *packets = packets.saturating_add(1);
        let bytes = self.bytes.get_mut(dir);
        *bytes = bytes.saturating_add(u64::from(wire_len));
        if self.packets.to_server > 0 && self.packets.to_client > 0 {
            self.flags |= flag::BOTH_SEEN;
        }
        self.last = self.last.max(ts);
    }

    fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }
}
