//! Established and closing connections: what fits them, and who has closed.

use super::{
    Anomalies, DecoderEvent, Direction, Seg, TcpState, TcpTrack, Verdict, known, seq_after,
    seq_until, tcp_flags,
};

/// Names of what is wrong with a segment, which depend on the state it meets.
struct Names {
    fin: DecoderEvent,
    ack_seq: DecoderEvent,
    invalid_ack: DecoderEvent,
}

fn names(state: TcpState) -> Names {
    let (fin, ack_seq, invalid_ack) = match state {
        TcpState::FinWait1 => (
            DecoderEvent::StreamFin1FinWrongSeq,
            DecoderEvent::StreamFin1AckWrongSeq,
            DecoderEvent::StreamFin1InvalidAck,
        ),
        TcpState::FinWait2 => (
            DecoderEvent::StreamFin2FinWrongSeq,
            DecoderEvent::StreamFin2AckWrongSeq,
            DecoderEvent::StreamFin2InvalidAck,
        ),
        TcpState::CloseWait => (
            DecoderEvent::StreamClosewaitFinOutOfWindow,
            DecoderEvent::StreamClosewaitAckOutOfWindow,
            DecoderEvent::StreamClosewaitInvalidAck,
        ),
        TcpState::Closing => (
            DecoderEvent::StreamFinOutOfWindow,
            DecoderEvent::StreamClosingAckWrongSeq,
            DecoderEvent::StreamClosingInvalidAck,
        ),
        TcpState::LastAck => (
            DecoderEvent::StreamFinOutOfWindow,
            DecoderEvent::StreamLastackAckWrongSeq,
            DecoderEvent::StreamLastackInvalidAck,
        ),
        TcpState::TimeWait => (
            DecoderEvent::StreamFinOutOfWindow,
            DecoderEvent::StreamTimewaitAckWrongSeq,
            DecoderEvent::StreamTimewaitInvalidAck,
        ),
        _ => (
            DecoderEvent::StreamFinOutOfWindow,
            DecoderEvent::StreamEstPacketOutOfWindow,
            DecoderEvent::StreamEstInvalidAck,
        ),
    };
    Names { fin, ack_seq, invalid_ack }
}

impl TcpTrack {
    pub(super) fn connected(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if seg.has(tcp_flags::RST) {
            return self.reset(seg, wrong);
        }
        if seg.has(tcp_flags::SYN) {
            return self.syn_within(seg, wrong);
        }
        let names = names(self.state);
        let is_fin = seg.has(tcp_flags::FIN);
        if !self.ack_is_valid(seg, wrong) {
            wrong.add(names.invalid_ack);
            if is_fin {
                wrong.add(DecoderEvent::StreamFinInvalidAck);
            }
            return Verdict::Ignore;
        }
        if !self.in_reach(seg) || !self.fits(seg) {
            wrong.add(if is_fin { names.fin } else { names.ack_seq });
            return Verdict::Ignore;
        }
        if seg.payload > 0 && self.is_acknowledged(seg) {
            // Sent again although the receiver has it: nothing new can be in it.
            match self.state {
                TcpState::Established => wrong.add(DecoderEvent::StreamEstPktBeforeLastAck),
                TcpState::CloseWait => wrong.add(DecoderEvent::StreamClosewaitPktBeforeLastAck),
                _ => {}
            }
            wrong.add(DecoderEvent::StreamPktSpuriousRetransmission);
        }
        if is_fin {
            self.fin(seg);
        } else if seg.has(tcp_flags::ACK) {
            self.ack_of_fin(seg);
        }
        Verdict::Accept
    }

    /// All of the segment lies before what its receiver has acknowledged.
    fn is_acknowledged(&self, seg: &Seg<'_>) -> bool {
        let acked = self.acked(seg.dir.reverse());
        acked != 0 && !self.knows(known::ONE_SIDED) && seq_after(acked, seg.end())
    }

    /// A SYN within the connection: repeated, or of another one.
    fn syn_within(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if self.state != TcpState::Established {
            wrong.add(DecoderEvent::StreamShutdownSynResend);
            return Verdict::Ignore;
        }
        let same = seg.tcp.seq == self.sender(seg.dir).first;
        let event = match (seg.has(tcp_flags::ACK), seg.dir) {
            (true, Direction::ToServer) => DecoderEvent::StreamEstSynackToserver,
            (false, Direction::ToClient) => DecoderEvent::StreamEstSynToclient,
            (true, Direction::ToClient)
                if seq_after(seg.tcp.ack, self.next(Direction::ToServer)) =>
            {
                DecoderEvent::StreamEstSynackResendWithDiffAck
            }
            (true, Direction::ToClient) if !same => DecoderEvent::StreamEstSynackResendWithDiffSeq,
            (true, Direction::ToClient) => DecoderEvent::StreamEstSynackResend,
            (false, Direction::ToServer) if !same => DecoderEvent::StreamEstSynResendDiffSeq,
            (false, Direction::ToServer) => DecoderEvent::StreamEstSynResend,
        };
        wrong.add(event);
        Verdict::Ignore
    }

    fn fin(&mut self, seg: &Seg<'_>) {
        let acknowledges = seg.has(tcp_flags::ACK) && seg.tcp.ack == self.next(seg.dir.reverse());
        self.state = match (self.state, seg.dir) {
            (TcpState::Established, Direction::ToServer) => TcpState::CloseWait,
            (TcpState::Established, Direction::ToClient) => TcpState::FinWait1,
            (TcpState::CloseWait, Direction::ToClient) => TcpState::LastAck,
            (TcpState::FinWait1, Direction::ToServer) if acknowledges => TcpState::TimeWait,
            (TcpState::FinWait1, Direction::ToServer) => TcpState::Closing,
            (TcpState::FinWait2, Direction::ToServer) => TcpState::TimeWait,
            (state, _) => state,
        };
    }

    fn ack_of_fin(&mut self, seg: &Seg<'_>) {
        let everything = seq_until(self.next(seg.dir.reverse()), seg.tcp.ack);
        self.state = match (self.state, seg.dir) {
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
}
