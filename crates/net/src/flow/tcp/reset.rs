//! Resets: which of them the receiver obeys, and what it means when it goes on.

use super::{
    Anomalies, DecoderEvent, Direction, OsPolicy, Seg, TcpState, TcpTrack, Verdict, known,
    seq_until, tcp_flags,
};

impl TcpTrack {
    /// A segment with RST.
    pub(super) fn reset(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if !self.obeyed(seg) {
            wrong.add(DecoderEvent::StreamRstInvalidAck);
            return Verdict::Ignore;
        }
        self.before_reset = Some((self.state, seg.dir));
        self.state = TcpState::Closed;
        Verdict::Accept
    }

    /// Whether the receiver takes the reset for one of its connection (RFC 9293 section 3.10.7).
    fn obeyed(&self, seg: &Seg<'_>) -> bool {
        let (seq, next) = (seg.tcp.seq, self.next(seg.dir));
        if self.state == TcpState::SynSent {
            // The answer to a SYN has no numbers of its own yet.
            let answers = seg.has(tcp_flags::ACK) && seg.tcp.ack == self.next(Direction::ToServer);
            return match seg.dir {
                Direction::ToClient => answers || !seg.has(tcp_flags::ACK) || self.is_fast(seg),
                Direction::ToServer => seq == next || seq.wrapping_add(1) == next,
            };
        }
        if self.knows(known::ONE_SIDED) || self.knows(known::MIDSTREAM) {
            return self.in_reach(seg);
        }
        let acked = self.acked(seg.dir.reverse());
        let window = self.sender(seg.dir).window;
        match seg.rules.receiver {
            OsPolicy::Hpux11 => seq_until(next, seq),
            OsPolicy::OldLinux | OsPolicy::Linux | OsPolicy::Solaris => {
                seq_until(acked, seg.end()) && seq_until(seq, acked.wrapping_add(window))
            }
            // Exactly what is expected, or what is acknowledged: we may have seen more than arrived.
            _ => seq == next || seq == acked || seg.end() == next,
        }
    }

    fn is_fast(&self, seg: &Seg<'_>) -> bool {
        self.knows(known::FAST_OPEN) && seq_until(self.next(Direction::ToServer), seg.tcp.ack)
    }

    /// A segment after the connection was reset: on its way already, or the reset was not obeyed.
    pub(super) fn after_reset(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        let Some((state, by)) = self.before_reset else { return self.connected(seg, wrong) };
        if seg.has(tcp_flags::RST) {
            return Verdict::Accept;
        }
        self.state = state;
        self.before_reset = None;
        let verdict = match state {
            TcpState::SynSent => self.syn_sent(seg, wrong),
            TcpState::SynRecv => self.syn_recv(seg, wrong),
            _ => self.connected(seg, wrong),
        };
        if seg.dir == by && verdict == Verdict::Accept {
            // Whoever resets does not go on: somebody else did in its name.
            wrong.add(DecoderEvent::StreamSuspectedRstInject);
        } else {
            self.before_reset = Some((self.state, by));
            self.state = TcpState::Closed;
        }
        verdict
    }
}
