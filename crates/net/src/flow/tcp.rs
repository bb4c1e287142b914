//! The TCP connection as an observer sees it: states, expected sequence numbers.
//!
//! Decides which segments belong to the connection and says what is odd about them; putting their
//! bytes in order is [`crate::stream`]'s work. Checks come in the order: timestamps (RFC 7323), the
//! handshake or the state's own rules, then the numbers move on.

mod closing;
mod handshake;
mod reset;
mod time;

#[cfg(test)]
mod tests;

use super::{Direction, FlowState, PerDirection};
use crate::decode::{Anomalies, DecoderEvent, Tcp, tcp_flags};
use crate::policy::OsPolicy;
use handshake::Offers;

/// Connection states (RFC 9293 section 3.3.2), seen from the server side of a first closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the states are those of the RFC")]
pub enum TcpState {
    #[default]
    None,
    SynSent,
    SynRecv,
    Established,
    FinWait1,
    FinWait2,
    TimeWait,
    LastAck,
    CloseWait,
    Closing,
    Closed,
}

impl TcpState {
    /// The name records use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    /// The coarse state for timeouts.
    #[must_use]
    pub fn flow_state(self) -> FlowState {
        match self {
            Self::None | Self::SynSent | Self::SynRecv => FlowState::New,
            Self::TimeWait | Self::LastAck | Self::Closed => FlowState::Closed,
            _ => FlowState::Established,
        }
    }
}

/// Bits of what is known of a connection.
mod known {
    /// Both sides agreed on timestamps.
    pub(super) const TIMESTAMPS: u8 = 1;
    /// The other side opened as well (split handshake, simultaneous opening).
    pub(super) const FOUR_WAY: u8 = 2;
    /// Only one side is seen.
    pub(super) const ONE_SIDED: u8 = 4;
    /// The beginning was not seen.
    pub(super) const MIDSTREAM: u8 = 8;
    /// The SYN asked for fast open.
    pub(super) const FAST_OPEN: u8 = 16;
    /// The client's SYN had a window scale.
    pub(super) const SCALED: u8 = 32;
    /// The SYN had data with it.
    pub(super) const EARLY_DATA: u8 = 64;
}

/// What is remembered of one sender.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    /// First sequence number.
    first: u32,
    /// Up to which sequence number it may send.
    limit: u32,
    /// Bytes it may have on the way.
    window: u32,
    /// Newest timestamp.
    stamp: u32,
    /// Second of the newest timestamp, packet time.
    stamp_at: i32,
    /// Scale of the window it is told.
    scale: u8,
}

/// What is remembered of a connection.
#[derive(Clone, Debug, Default)]
pub struct TcpTrack {
    /// State.
    pub state: TcpState,
    /// State before a reset, and who sent it.
    before_reset: Option<(TcpState, Direction)>,
    known: u8,
    /// Allocated with the first segment, so that flows of other protocols stay small.
    detail: Option<Box<Detail>>,
}

/// What only TCP needs.
#[derive(Clone, Debug, Default)]
struct Detail {
    /// Sequence number expected next from the sender of a direction.
    next: PerDirection<u32>,
    /// Highest acknowledgement sent in a direction.
    acked: PerDirection<u32>,
    sender: PerDirection<Sender>,
    offers: Offers,
}

/// What a segment means for the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Belongs to the connection: its payload may be used.
    Accept,
    /// Does not belong to the connection as it stands.
    Ignore,
    /// First segment of a connection taken up in its middle.
    Midstream {
        /// Client and server have to be exchanged.
        swap: bool,
    },
}

/// How connections are followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Take up connections whose beginning was not seen.
    pub midstream: bool,
    /// Follow connections of which one side is seen only.
    pub one_sided: bool,
    /// System of the host that receives the segment.
    pub receiver: OsPolicy,
    /// Time of the packet in seconds.
    pub seconds: i64,
}

/// A segment in its connection.
#[derive(Clone, Copy, Debug)]
struct Seg<'a> {
    tcp: &'a Tcp<'a>,
    dir: Direction,
    payload: u32,
    rules: Rules,
}

impl Seg<'_> {
    fn end(&self) -> u32 {
        self.tcp.seq.wrapping_add(self.payload)
    }

    fn has(&self, flags: u8) -> bool {
        self.tcp.has(flags)
    }
}

/// `a` is after `b` in sequence space (RFC 9293 section 3.4).
#[must_use]
pub fn seq_after(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 0x8000_0000
}

/// `a` is not after `b`.
fn seq_until(a: u32, b: u32) -> bool {
    !seq_after(a, b)
}

impl TcpTrack {
    pub(super) fn swap(&mut self) {
        if let Some(detail) = &mut self.detail {
            detail.next.swap();
            detail.acked.swap();
            detail.sender.swap();
        }
    }

    /// True when a SYN begins a new connection on the same ports.
    #[must_use]
    pub fn is_reuse(&self, tcp: &Tcp<'_>, dir: Direction) -> bool {
        let syn = tcp.flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN;
        if !syn {
            return false;
        }
        match self.state {
            TcpState::None | TcpState::SynSent | TcpState::SynRecv | TcpState::Established => false,
            TcpState::Closed | TcpState::TimeWait | TcpState::LastAck => true,
            // While closing: only with a sequence number that the old connection does not explain.
            _ => dir == Direction::ToServer && seq_after(tcp.seq, self.next(dir)),
        }
    }

    /// True when both sides have closed it: nothing that counts comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.state == TcpState::Closed && self.before_reset.is_none()
    }

    /// True when only one side of the connection is seen.
    #[must_use]
    pub fn is_one_sided(&self) -> bool {
        self.knows(known::ONE_SIDED)
    }

    /// Sequence numbers used by a sender so far; 0 when its first one is not known.
    pub(super) fn sent(&self, dir: Direction) -> u32 {
        match self.sender(dir).first {
            0 => 0,
            first => self.next(dir).wrapping_sub(first),
        }
    }

    /// Sequence number expected next from the sender of a direction.
    #[must_use]
    pub fn next(&self, dir: Direction) -> u32 {
        self.detail.as_ref().map_or(0, |detail| *detail.next.get(dir))
    }

    /// Highest acknowledgement sent in a direction.
    #[must_use]
    pub fn acked(&self, dir: Direction) -> u32 {
        self.detail.as_ref().map_or(0, |detail| *detail.acked.get(dir))
    }

    fn next_mut(&mut self, dir: Direction) -> &mut u32 {
        self.detail.get_or_insert_default().next.get_mut(dir)
    }

    fn acked_mut(&mut self, dir: Direction) -> &mut u32 {
        self.detail.get_or_insert_default().acked.get_mut(dir)
    }

    fn sender(&self, dir: Direction) -> Sender {
        self.detail.as_ref().map_or_else(Sender::default, |detail| *detail.sender.get(dir))
    }

    fn sender_mut(&mut self, dir: Direction) -> &mut Sender {
        self.detail.get_or_insert_default().sender.get_mut(dir)
    }

    fn knows(&self, bit: u8) -> bool {
        self.known & bit != 0
    }

    fn learn(&mut self, bit: u8) {
        self.known |= bit;
    }

    /// Takes a segment into account.
    pub fn segment(
        &mut self,
        (tcp, dir): (&Tcp<'_>, Direction),
        payload: u32,
        rules: Rules,
        wrong: &mut Anomalies,
    ) -> Verdict {
        let seg = Seg { tcp, dir, payload, rules };
        if !tcp.has(tcp_flags::ACK) && tcp.ack != 0 {
            wrong.add(DecoderEvent::StreamPktBrokenAck);
        }
        let verdict = self.judge(&seg, wrong);
        let dir = match verdict {
            Verdict::Ignore => return verdict,
            Verdict::Midstream { swap: true } => dir.reverse(),
            Verdict::Midstream { swap: false } | Verdict::Accept => dir,
        };
        self.advance(tcp, dir, payload);
        self.note_stamp(&Seg { dir, ..seg });
        verdict
    }

    fn judge(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if self.state == TcpState::None {
            return self.first(seg, wrong);
        }
        if self.is_keep_alive(seg) {
            return Verdict::Ignore;
        }
        if self.is_bad_window_update(seg) {
            wrong.add(DecoderEvent::StreamPktBadWindowUpdate);
            return Verdict::Ignore;
        }
        // Resets are exempt (RFC 7323 section 5.2).
        if !seg.has(tcp_flags::RST) && !self.stamp_is_plausible(seg) {
            wrong.add(DecoderEvent::StreamPktInvalidTimestamp);
            return Verdict::Ignore;
        }
        match self.state {
            TcpState::None => Verdict::Ignore,
            TcpState::SynSent => self.syn_sent(seg, wrong),
            TcpState::SynRecv => self.syn_recv(seg, wrong),
            TcpState::Closed => self.after_reset(seg, wrong),
            _ => self.connected(seg, wrong),
        }
    }

    /// A probe of one byte or none before what is expected (RFC 9293 section 3.8.4).
    fn is_keep_alive(&self, seg: &Seg<'_>) -> bool {
        let control = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;
        seg.payload <= 1
            && seg.tcp.flags & control == 0
            && self.state >= TcpState::Established
            && seg.tcp.seq.wrapping_add(1) == self.next(seg.dir)
            && seg.tcp.ack == self.next(seg.dir.reverse())
    }

    /// A shrunk window together with numbers that are ahead of both sides.
    fn is_bad_window_update(&self, seg: &Seg<'_>) -> bool {
        let control = tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST;
        let told = self.sender(seg.dir.reverse());
        let window = u32::from(seg.tcp.window).checked_shl(u32::from(told.scale)).unwrap_or(0);
        seg.tcp.flags & control == 0
            && seg.tcp.window != 0
            && self.state >= TcpState::Established
            && told.window.checked_sub(window).is_some_and(|less| less > seg.payload)
            && seq_after(seg.tcp.ack, self.next(seg.dir.reverse()))
            && seq_after(seg.tcp.seq, self.next(seg.dir))
    }

    /// Whether an acknowledgement is of something that was sent (RFC 5961 section 5).
    fn ack_is_valid(&self, seg: &Seg<'_>, wrong: &mut Anomalies) -> bool {
        if !seg.has(tcp_flags::ACK) || self.knows(known::ONE_SIDED) {
            return true;
        }
        let other = seg.dir.reverse();
        let sender = self.sender(other);
        let (ack, acked) = (seg.tcp.ack, self.acked(seg.dir));
        // What we missed may be acknowledged, as far as the sender may have gone.
        let ahead = seq_until(ack, self.next(other)) || seq_until(ack, sender.limit);
        let behind =
            seq_after(ack, acked.wrapping_sub(sender.window.max(65_535))) || seq_until(acked, ack);
        let valid = ahead && behind;
        if !valid {
            wrong.add(DecoderEvent::StreamPktInvalidAck);
        }
        valid
    }

    /// Whether a segment lies within what its sender may send.
    fn fits(&self, seg: &Seg<'_>) -> bool {
        let sender = self.sender(seg.dir);
        self.knows(known::ONE_SIDED)
            || self.knows(known::MIDSTREAM)
            || seq_until(seg.end(), sender.limit)
            // A window probe (RFC 9293 section 3.8.6.1) asks with one byte whether there is room.
            || (seg.payload == 1 && seg.tcp.seq == sender.limit)
    }

    /// A segment may come early or again, but not from another world.
    fn in_reach(&self, seg: &Seg<'_>) -> bool {
        let distance = seg.tcp.seq.wrapping_sub(self.next(seg.dir));
        !(0x0400_0000..=0xfc00_0000).contains(&distance)
    }

    fn advance(&mut self, tcp: &Tcp<'_>, dir: Direction, payload: u32) {
        let control = u32::from(tcp.has(tcp_flags::FIN)) | u32::from(tcp.has(tcp_flags::SYN));
        // Whether data in a SYN counts is for the answer to say (RFC 7413 section 4.2).
        let offered = tcp.has(tcp_flags::SYN) && !tcp.has(tcp_flags::ACK);
        let payload = if offered { 0 } else { payload };
        let end = tcp.seq.wrapping_add(payload).wrapping_add(control);
        let next = self.next_mut(dir);
        if seq_after(end, *next) {
            *next = end;
        }
        if !tcp.has(tcp_flags::ACK) {
            return;
        }
        let acked = self.acked_mut(dir);
        if *acked == 0 || seq_after(tcp.ack, *acked) {
            *acked = tcp.ack;
        }
        let newest = *acked;
        // What the sender of the other direction has been told.
        let other = self.sender_mut(dir.reverse());
        let scale = if tcp.has(tcp_flags::SYN) { 0 } else { u32::from(other.scale) };
        other.window = u32::from(tcp.window).checked_shl(scale).unwrap_or(u32::MAX >> 1);
        let limit = newest.wrapping_add(other.window);
        if other.limit == 0 || seq_after(limit, other.limit) {
            other.limit = limit;
        }
    }
}
