//! The TCP connection as an observer sees it: states, expected sequence numbers.
//!
//! Decides which segments belong to the connection; putting their bytes in order is
//! [`crate::stream`]'s work.

use super::{Direction, FlowState, PerDirection};
use crate::decode::{Anomalies, DecoderEvent, Tcp, tcp_flags};

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

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpTrack {
    /// State.
    pub state: TcpState,
    /// Sequence number expected next from the sender of a direction.
    pub next: PerDirection<u32>,
    /// Highest acknowledgement sent in a direction.
    pub acked: PerDirection<u32>,
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

/// `a` is after `b` in sequence space (RFC 9293 section 3.4).
#[must_use]
pub fn seq_after(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 0x8000_0000
}

impl TcpTrack {
    pub(super) fn swap(&mut self) {
        self.next.swap();
        self.acked.swap();
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
            _ => dir == Direction::ToServer && seq_after(tcp.seq, *self.next.get(dir)),
        }
    }

    /// Takes a segment into account.
    pub fn segment(
        &mut self,
        tcp: &Tcp<'_>,
        dir: Direction,
        payload: u32,
        midstream: bool,
        wrong: &mut Anomalies,
    ) -> Verdict {
        let verdict = match self.state {
            TcpState::None => self.first(tcp, dir, midstream, wrong),
            TcpState::SynSent => self.syn_sent(tcp, dir, wrong),
            TcpState::SynRecv => self.syn_recv(tcp, dir, wrong),
            _ => self.connected(tcp, dir, wrong),
        };
        let dir = match verdict {
            Verdict::Ignore => return verdict,
            Verdict::Accept => dir,
            Verdict::Midstream { swap } => {
                if swap {
                    dir.reverse()
                } else {
                    dir
                }
            }
        };
        self.advance(tcp, dir, payload);
        verdict
    }

    fn first(
        &mut self,
        tcp: &Tcp<'_>,
        dir: Direction,
        midstream: bool,
        wrong: &mut Anomalies,
    ) -> Verdict {
        if tcp.has(tcp_flags::RST) {
            wrong.add(DecoderEvent::StreamRstButNoSession);
            return Verdict::Ignore;
        }
        let syn = tcp.has(tcp_flags::SYN);
        if syn && !tcp.has(tcp_flags::ACK) {
            self.state = TcpState::SynSent;
            *self.next.get_mut(dir) = tcp.seq.wrapping_add(1);
            return Verdict::Accept;
        }
        if tcp.has(tcp_flags::FIN) && !midstream {
            wrong.add(DecoderEvent::StreamFinButNoSession);
        }
        // Within a connection every segment acknowledges (RFC 9293 section 3.10.7.4).
        if !midstream || !tcp.has(tcp_flags::ACK) {
            return Verdict::Ignore;
        }
        // A SYN/ACK comes from the server, so its sender is not the client we took it for.
        let sender = if syn { dir.reverse() } else { dir };
        *self.next.get_mut(sender) = tcp.seq.wrapping_add(u32::from(syn));
        *self.next.get_mut(sender.reverse()) = tcp.ack;
        self.state = if syn { TcpState::SynRecv } else { TcpState::Established };
        Verdict::Midstream { swap: syn }
    }

    fn syn_sent(&mut self, tcp: &Tcp<'_>, dir: Direction, wrong: &mut Anomalies) -> Verdict {
        let (syn, ack) = (tcp.has(tcp_flags::SYN), tcp.has(tcp_flags::ACK));
        if tcp.has(tcp_flags::RST) {
            self.state = TcpState::Closed;
            return Verdict::Accept;
        }
        match (syn, ack, dir) {
            (true, true, Direction::ToClient) => {
                if tcp.ack != self.next.to_server && !seq_after(tcp.ack, self.next.to_server) {
                    wrong.add(DecoderEvent::StreamHandshakeSynackWithWrongAck);
                    return Verdict::Ignore;
                }
                self.next.to_client = tcp.seq.wrapping_add(1);
                self.state = TcpState::SynRecv;
                Verdict::Accept
            }
            (true, true, Direction::ToServer) => {
                wrong.add(DecoderEvent::StreamHandshakeSynackInWrongDirection);
                Verdict::Ignore
            }
            (true, false, _) => {
                // Sent again, or both sides open at once.
                *self.next.get_mut(dir) = tcp.seq.wrapping_add(1);
                if dir == Direction::ToClient {
                    self.state = TcpState::SynRecv;
                }
                Verdict::Accept
            }
            (false, ..) => Verdict::Ignore,
        }
    }

    fn syn_recv(&mut self, tcp: &Tcp<'_>, dir: Direction, wrong: &mut Anomalies) -> Verdict {
        if tcp.has(tcp_flags::RST) {
            self.state = TcpState::Closed;
            return Verdict::Accept;
        }
        if tcp.has(tcp_flags::SYN) {
            if dir == Direction::ToClient && tcp.seq.wrapping_add(1) != self.next.to_client {
                wrong.add(DecoderEvent::StreamHandshakeSynackResendWithDiffSeq);
                return Verdict::Ignore;
            }
            return Verdict::Accept;
        }
        if !tcp.has(tcp_flags::ACK) {
            return Verdict::Ignore;
        }
        let (here, there) = (*self.next.get(dir), *self.next.get(dir.reverse()));
        if dir == Direction::ToServer
            && (seq_after(here, tcp.seq) || (tcp.ack != there && !seq_after(tcp.ack, there)))
        {
            wrong.add(DecoderEvent::StreamHandshakeWrongSeqWrongAck);
            return Verdict::Ignore;
        }
        self.state = TcpState::Established;
        self.connected(tcp, dir, wrong)
    }

    fn connected(&mut self, tcp: &Tcp<'_>, dir: Direction, wrong: &mut Anomalies) -> Verdict {
        if tcp.has(tcp_flags::RST) {
            if self.in_reach(tcp.seq, dir) {
                self.state = TcpState::Closed;
                return Verdict::Accept;
            }
            wrong.add(DecoderEvent::StreamRstInvalidAck);
            return Verdict::Ignore;
        }
        if tcp.has(tcp_flags::SYN) {
            wrong.add(match (tcp.has(tcp_flags::ACK), dir) {
                (true, Direction::ToClient) => DecoderEvent::StreamEstSynackResend,
                (true, Direction::ToServer) => DecoderEvent::StreamEstSynackToserver,
                (false, Direction::ToServer) => DecoderEvent::StreamEstSynResend,
                (false, Direction::ToClient) => DecoderEvent::StreamEstSynToclient,
            });
            return Verdict::Ignore;
        }
        if !self.in_reach(tcp.seq, dir) {
            wrong.add(DecoderEvent::StreamEstPacketOutOfWindow);
            return Verdict::Ignore;
        }
        if tcp.has(tcp_flags::FIN) {
            self.fin(tcp, dir);
        } else if tcp.has(tcp_flags::ACK) {
            self.ack_of_fin(tcp, dir);
        }
        Verdict::Accept
    }

    fn fin(&mut self, tcp: &Tcp<'_>, dir: Direction) {
        let acknowledges = tcp.has(tcp_flags::ACK) && tcp.ack == *self.next.get(dir.reverse());
        self.state = match (self.state, dir) {
            (TcpState::Established, Direction::ToServer) => TcpState::CloseWait,
            (TcpState::Established, Direction::ToClient) => TcpState::FinWait1,
            (TcpState::CloseWait, Direction::ToClient) => TcpState::LastAck,
            (TcpState::FinWait1, Direction::ToServer) if acknowledges => TcpState::TimeWait,
            (TcpState::FinWait1, Direction::ToServer) => TcpState::Closing,
            (TcpState::FinWait2, Direction::ToServer) => TcpState::TimeWait,
            (state, _) => state,
        };
    }

    fn ack_of_fin(&mut self, tcp: &Tcp<'_>, dir: Direction) {
        let everything = tcp.ack == *self.next.get(dir.reverse());
        self.state = match (self.state, dir) {
            (TcpState::FinWait1, Direction::ToServer) if everything => TcpState::FinWait2,
            (TcpState::Closing, Direction::ToClient) if everything => TcpState::TimeWait,
            (TcpState::LastAck, Direction::ToServer)
            | (TcpState::TimeWait, Direction::ToClient)
                if everything =>
            {
                TcpState::Closed
            }
            (state, _) => state,
        };
    }

    /// A segment may come early or again, but not from another world.
    fn in_reach(&self, seq: u32, dir: Direction) -> bool {
        let distance = seq.wrapping_sub(*self.next.get(dir));
        !(0x0400_0000..=0xfc00_0000).contains(&distance)
    }

    fn advance(&mut self, tcp: &Tcp<'_>, dir: Direction, payload: u32) {
        let control = u32::from(tcp.has(tcp_flags::FIN)) | u32::from(tcp.has(tcp_flags::SYN));
        // Whether data in a SYN counts is for the answer to say (RFC 7413 section 4.2).
        let offered = tcp.has(tcp_flags::SYN) && !tcp.has(tcp_flags::ACK);
        let payload = if offered { 0 } else { payload };
        let end = tcp.seq.wrapping_add(payload).wrapping_add(control);
        let next = self.next.get_mut(dir);
        if seq_after(end, *next) {
            *next = end;
        }
        if tcp.has(tcp_flags::ACK) {
            let acked = self.acked.get_mut(dir);
            if *acked == 0 || seq_after(tcp.ack, *acked) {
                *acked = tcp.ack;
            }
        }
    }
}
