//! From the first segment to the established connection: three-way, split and simultaneous
//! handshakes, repeated and contradicting SYNs, fast open (RFC 7413), connections taken up late.

use super::{
    Anomalies, DecoderEvent, Direction, Seg, TcpState, TcpTrack, Verdict, known, seq_after,
    seq_until, tcp_flags,
};

/// Different SYNs of one connection that are remembered.
const MAX_SYNS: usize = 10;
/// Different SYN/ACKs of one connection that are remembered.
const MAX_ANSWERS: usize = 5;
/// The largest scale there is (RFC 7323 section 2.3), for connections whose beginning was missed.
const LARGEST_SCALE: u8 = 14;

/// First sequence numbers that were offered beside the current ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    syns: Vec<u32>,
    answers: Vec<u32>,
}

impl Offers {
    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.syns.len().saturating_add(self.answers.len())
    }
}

fn remember(list: &mut Vec<u32>, seq: u32, most: usize) -> bool {
    if list.contains(&seq) {
        return true;
    }
    if list.len() >= most {
        return false;
    }
    list.push(seq);
    true
}

impl TcpTrack {
    pub(super) fn first(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if seg.has(tcp_flags::RST) {
            wrong.add(DecoderEvent::StreamRstButNoSession);
            return Verdict::Ignore;
        }
        let (syn, ack) = (seg.has(tcp_flags::SYN), seg.has(tcp_flags::ACK));
        if syn && !ack {
            if seg.has(tcp_flags::FIN) {
                wrong.add(DecoderEvent::StreamFinSyn);
            }
            self.state = TcpState::SynSent;
            self.opened(seg);
            return Verdict::Accept;
        }
        if seg.has(tcp_flags::FIN) {
            wrong.add(DecoderEvent::StreamFinButNoSession);
        }
        // Within a connection every segment acknowledges (RFC 9293 section 3.10.7.4).
        let wanted = seg.rules.midstream || (syn && seg.rules.one_sided);
        if !wanted || !ack {
            return Verdict::Ignore;
        }
        self.midstream(seg, syn)
    }

    fn midstream(&mut self, seg: &Seg<'_>, syn: bool) -> Verdict {
        // A SYN/ACK comes from the server, so its sender is not the client we took it for.
        let sender = if syn { seg.dir.reverse() } else { seg.dir };
        *self.next_mut(sender) = seg.tcp.seq.wrapping_add(u32::from(syn));
        *self.next_mut(sender.reverse()) = seg.tcp.ack;
        *self.acked_mut(sender.reverse()) = seg.tcp.seq.wrapping_add(u32::from(syn));
        *self.acked_mut(sender) = seg.tcp.ack;
        self.learn(known::MIDSTREAM);
        if seg.rules.one_sided && !syn {
            self.learn(known::ONE_SIDED);
        }
        for dir in [sender, sender.reverse()] {
            let first = self.next(dir).wrapping_sub(1);
            let side = self.sender_mut(dir);
            side.first = first;
            side.scale = LARGEST_SCALE;
        }
        self.state = if syn { TcpState::SynRecv } else { TcpState::Established };
        Verdict::Midstream { swap: syn }
    }

    /// The numbers of a SYN, with or without ACK, become those of its sender.
    fn opened(&mut self, seg: &Seg<'_>) {
        *self.next_mut(seg.dir) = seg.tcp.seq.wrapping_add(1);
        *self.acked_mut(seg.dir.reverse()) = seg.tcp.seq.wrapping_add(1);
        let scale =
            seg.tcp.option(3).and_then(|v| v.first().copied()).map(|s| s.min(LARGEST_SCALE));
        if !seg.has(tcp_flags::ACK) && seg.dir == Direction::ToServer {
            self.known &= !(known::SCALED | known::FAST_OPEN | known::EARLY_DATA);
            if scale.is_some() {
                self.learn(known::SCALED);
            }
            if seg.tcp.option(34).is_some() {
                self.learn(known::FAST_OPEN);
            }
            if seg.payload > 0 {
                self.learn(known::EARLY_DATA);
            }
        }
        let agreed = seg.dir == Direction::ToServer || self.knows(known::SCALED);
        // A window is scaled as its own sender said; it limits the other one.
        let other = self.sender_mut(seg.dir.reverse());
        other.scale = scale.filter(|_| agreed).unwrap_or(0);
        other.window = u32::from(seg.tcp.window);
        other.limit = 0;
        let side = self.sender_mut(seg.dir);
        side.first = seg.tcp.seq;
        side.stamp = 0;
        if scale.is_none() {
            // Scaling needs both (RFC 7323 section 2.2).
            side.scale = 0;
        }
    }

    pub(super) fn syn_sent(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        let (syn, ack) = (seg.has(tcp_flags::SYN), seg.has(tcp_flags::ACK));
        if seg.dir == Direction::ToClient && !self.echo_is_plausible(seg) {
            wrong.add(DecoderEvent::StreamPktInvalidTimestamp);
            return Verdict::Ignore;
        }
        if seg.has(tcp_flags::RST) {
            return self.reset(seg, wrong);
        }
        match (syn, ack, seg.dir) {
            (true, true, Direction::ToClient) => self.answered(seg, wrong),
            (true, true, Direction::ToServer) => self.split_answered(seg, wrong),
            (true, false, Direction::ToServer) => self.syn_again(seg, wrong),
            (true, false, Direction::ToClient) => {
                // Both sides open: at once, or as a split handshake.
                self.learn(known::FOUR_WAY);
                self.opened(seg);
                Verdict::Accept
            }
            (false, true, Direction::ToServer) if seg.rules.one_sided => {
                if seg.tcp.seq != self.next(Direction::ToServer) {
                    wrong.add(DecoderEvent::StreamHandshakeAsyncWrongSeq);
                    return Verdict::Ignore;
                }
                self.learn(known::ONE_SIDED);
                *self.next_mut(Direction::ToClient) = seg.tcp.ack;
                self.state = TcpState::Established;
                Verdict::Accept
            }
            (false, ..) => Verdict::Ignore,
        }
    }

    /// A SYN sent again: the newest one counts, answers to earlier ones are still understood.
    fn syn_again(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        let first = self.sender(Direction::ToServer).first;
        if seg.tcp.seq != first {
            let offers = &mut self.detail.get_or_insert_default().offers;
            if !remember(&mut offers.syns, first, MAX_SYNS) {
                wrong.add(DecoderEvent::StreamHandshakeSynFlood);
                // The newest may be the true one: the oldest makes room.
                offers.syns.rotate_left(1);
                offers.syns.pop();
                offers.syns.push(first);
            }
        }
        self.opened(seg);
        Verdict::Accept
    }

    fn answered(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        let ack = seg.tcp.ack;
        let expected = self.next(Direction::ToServer);
        // Data in the SYN may be acknowledged as well.
        let early = self.knows(known::FAST_OPEN) || self.knows(known::EARLY_DATA);
        let fast = early && seq_after(ack, expected);
        let earlier = ack.wrapping_sub(1);
        if ack != expected && !fast {
            let offered = self.detail.as_ref().is_some_and(|d| d.offers.syns.contains(&earlier));
            if !offered {
                wrong.add(DecoderEvent::StreamHandshakeSynackWithWrongAck);
                return Verdict::Ignore;
            }
            *self.next_mut(Direction::ToServer) = ack;
            self.sender_mut(Direction::ToServer).first = earlier;
        }
        // The server supports fast open and did not take the data.
        if self.knows(known::EARLY_DATA) && ack == expected && seg.tcp.option(34).is_some() {
            wrong.add(DecoderEvent::StreamHandshakeSynackTfoDataIgnored);
        }
        self.opened(seg);
        *self.acked_mut(Direction::ToClient) = ack;
        self.state = TcpState::SynRecv;
        Verdict::Accept
    }

    /// The client's SYN/ACK in a split handshake.
    fn split_answered(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if !self.knows(known::FOUR_WAY) {
            wrong.add(DecoderEvent::StreamHandshakeSynackInWrongDirection);
            return Verdict::Ignore;
        }
        if seg.tcp.ack != self.next(Direction::ToClient) {
            wrong.add(DecoderEvent::StreamSplitHandshakeSynackWithWrongAck);
            return Verdict::Ignore;
        }
        if seg.tcp.seq != self.sender(Direction::ToServer).first {
            wrong.add(DecoderEvent::StreamSplitHandshakeSynackWithWrongSyn);
            return Verdict::Ignore;
        }
        self.state = TcpState::SynRecv;
        Verdict::Accept
    }

    pub(super) fn syn_recv(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if seg.has(tcp_flags::RST) {
            return self.reset(seg, wrong);
        }
        if seg.has(tcp_flags::SYN) {
            return match (seg.has(tcp_flags::ACK), seg.dir) {
                (true, _) => self.answered_again(seg, wrong),
                (false, Direction::ToClient) => {
                    wrong.add(DecoderEvent::StreamHandshakeSynToclientOnSynRecv);
                    Verdict::Ignore
                }
                (false, Direction::ToServer) => {
                    if seg.tcp.seq != self.sender(Direction::ToServer).first {
                        wrong.add(DecoderEvent::StreamHandshakeSynResendDiffSeqOnSynRecv);
                        return Verdict::Ignore;
                    }
                    Verdict::Accept
                }
            };
        }
        if !seg.has(tcp_flags::ACK) {
            return Verdict::Ignore;
        }
        match seg.dir {
            Direction::ToClient => self.early_answer(seg, wrong),
            Direction::ToServer => self.confirmed(seg, wrong),
        }
    }

    /// A SYN/ACK after one that was accepted.
    fn answered_again(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if seg.dir == Direction::ToServer {
            if self.knows(known::FOUR_WAY) {
                return Verdict::Accept;
            }
            wrong.add(DecoderEvent::StreamHandshakeSynackToserverOnSynRecv);
            return Verdict::Ignore;
        }
        // In a split handshake of five messages the server answers the client's SYN/ACK.
        if self.knows(known::FOUR_WAY) && seg.tcp.ack == self.next(Direction::ToServer) {
            self.opened(seg);
            return Verdict::Accept;
        }
        if seg.tcp.ack != self.acked(Direction::ToClient) && !self.knows(known::MIDSTREAM) {
            wrong.add(DecoderEvent::StreamHandshakeSynackResendWithDiffAck);
            return Verdict::Ignore;
        }
        let first = self.sender(Direction::ToClient).first;
        if seg.tcp.seq != first {
            wrong.add(DecoderEvent::StreamHandshakeSynackResendWithDiffSeq);
            let offers = &mut self.detail.get_or_insert_default().offers;
            if !remember(&mut offers.answers, seg.tcp.seq, MAX_ANSWERS) {
                wrong.add(DecoderEvent::StreamHandshakeSynackFlood);
            }
            return Verdict::Ignore;
        }
        Verdict::Accept
    }

    /// The server sends before the client has confirmed: its acknowledgement was lost to us, or the
    /// handshake is a split one.
    fn early_answer(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if self.knows(known::FOUR_WAY) {
            return self.split_confirmed(seg, wrong);
        }
        let fits = seg.tcp.seq == self.next(Direction::ToClient)
            && seq_until(seg.tcp.ack, self.next(Direction::ToServer));
        if fits && seg.payload > 0 {
            return Verdict::Accept;
        }
        // It acknowledges data of the client: so the handshake was completed unseen.
        if seg.tcp.seq == self.next(Direction::ToClient)
            && seq_after(seg.tcp.ack, self.next(Direction::ToServer))
        {
            self.state = TcpState::Established;
            return self.connected(seg, wrong);
        }
        if fits && seg.has(tcp_flags::FIN) {
            self.state = TcpState::Established;
            return self.connected(seg, wrong);
        }
        wrong.add(DecoderEvent::StreamHandshakeAckInWrongDir);
        Verdict::Ignore
    }

    /// The server's acknowledgement that ends a split handshake.
    fn split_confirmed(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        if seg.tcp.seq != self.next(Direction::ToClient) {
            wrong.add(DecoderEvent::StreamSplitHandshakeWrongSeq);
            return Verdict::Ignore;
        }
        if seg.tcp.ack != self.next(Direction::ToServer) {
            wrong.add(DecoderEvent::StreamSplitHandshakeInvalidAck);
            return Verdict::Ignore;
        }
        self.state = TcpState::Established;
        self.connected(seg, wrong)
    }

    /// The client's acknowledgement of the SYN/ACK, or its first data when that was lost.
    fn confirmed(&mut self, seg: &Seg<'_>, wrong: &mut Anomalies) -> Verdict {
        self.settle_offers(seg);
        let (seq, ack) = (seg.tcp.seq, seg.tcp.ack);
        let ack_fits = seq_until(self.next(Direction::ToClient), ack) && self.in_reach_of(ack);
        let seq_fits =
            seq_until(self.next(Direction::ToServer), seq) || self.knows(known::MIDSTREAM);
        let resent = seg.payload > 0 && seq_after(seg.end(), self.next(Direction::ToServer));
        match (seq_fits || resent, ack_fits) {
            (true, true) => {
                if let Some(detail) = &mut self.detail {
                    detail.offers = Offers::default();
                }
                self.state = TcpState::Established;
                self.connected(seg, wrong)
            }
            (true, false) if seq == self.next(Direction::ToServer) => {
                wrong.add(DecoderEvent::StreamHandshakeRightSeqWrongAckEvasion);
                Verdict::Ignore
            }
            _ => {
                wrong.add(DecoderEvent::StreamHandshakeWrongSeqWrongAck);
                Verdict::Ignore
            }
        }
    }

    /// The acknowledgement says which of several SYN/ACKs was taken.
    fn settle_offers(&mut self, seg: &Seg<'_>) {
        let first = seg.tcp.ack.wrapping_sub(1);
        let offered = self.detail.as_ref().is_some_and(|d| d.offers.answers.contains(&first));
        if offered && seg.tcp.ack != self.next(Direction::ToClient) {
            *self.next_mut(Direction::ToClient) = seg.tcp.ack;
            self.sender_mut(Direction::ToClient).first = first;
        }
    }

    /// An acknowledgement may be of server data we missed, but not of another connection.
    fn in_reach_of(&self, ack: u32) -> bool {
        ack.wrapping_sub(self.next(Direction::ToClient)) < 0x0400_0000
    }
}
