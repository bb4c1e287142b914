//! From packets of a flow to its stream and its application layer.

use super::{Config, Sink, Stats};
use crate::app::detect::Transport;
use crate::app::expect::Expectations;
use crate::app::{AppContext, AppLayer, Protocol, Spare};
use crate::decode::{Packet, Tcp, tcp_flags};
use crate::flow::tcp::{Rules, TcpState, Verdict};
use crate::flow::{Cold, ColdParts, Direction, Flow};
use crate::policy::OsPolicy;
use crate::stream::{Budget, Chunk, Content, Env, Outcome, Segment};

/// What delivery works with.
pub(super) struct Work<'a> {
    pub(super) config: &'a Config,
    pub(super) budget: &'a mut Budget,
    pub(super) expected: &'a mut Expectations,
    pub(super) stats: &'a mut Stats,
    pub(super) spare: &'a mut Spare,
    pub(super) cold_parts: &'a mut ColdParts,
}

/// A flow and its cold part, taken out of it.
struct Parts<'a> {
    flow: &'a Flow,
    cold: &'a mut Cold,
    dir: Direction,
}

impl Work<'_> {
    /// Takes in a TCP segment. Returns its direction, which midstream pickup may have turned, and
    /// whether its payload became part of the stream.
    pub(super) fn tcp<S: Sink>(
        &mut self,
        flow: &mut Flow,
        dir: Direction,
        packet: &mut Packet<'_>,
        tcp: &Tcp<'_>,
        sink: &mut S,
    ) -> (Direction, bool) {
        let payload = packet.payload;
        let length = u32::try_from(payload.len()).unwrap_or(0);
        let mut dir = dir;
        // Data in a SYN (TCP fast open) begins after it.
        let seq = tcp.seq.wrapping_add(u32::from(tcp.has(tcp_flags::SYN)));
        let is_syn = tcp.has(tcp_flags::SYN);
        let mut start = if is_syn { seq } else { flow.tcp.next(dir) };
        let seen = flow.tcp_flags.get_mut(dir);
        *seen |= tcp.flags;
        let before = flow.tcp.state;
        let wrong = &mut packet.anomalies;
        let rules = Rules {
            midstream: self.config.midstream,
            one_sided: self.config.one_sided,
            receiver: self.config.hosts.of(packet.dst),
            seconds: packet.meta.ts.div_euclid(1_000_000),
        };
        match flow.tcp.segment((tcp, dir), length, rules, wrong) {
            Verdict::Ignore => {
                self.stats.tcp_ignored = self.stats.tcp_ignored.saturating_add(1);
                return (dir, false);
            }
            Verdict::Midstream { swap } => {
                flow.set_midstream();
                if swap {
                    // Sequence numbers are right already, the rest is not.
                    let track = std::mem::take(&mut flow.tcp);
                    flow.swap();
                    flow.tcp = track;
                    dir = dir.reverse();
                }
                start = seq;
            }
            Verdict::Accept => {}
        }
        if flow.cold.is_none() {
            if payload.is_empty() {
                return (dir, false);
            }
            let mut cold = self.cold_parts.take();
            self.look_up(flow, &mut cold.app);
            cold.half(dir).start(start);
            // Before its SYN was seen the other side's first number is not known.
            if flow.tcp.state != TcpState::SynSent {
                cold.half(dir.reverse()).start(flow.tcp.next(dir.reverse()));
            }
            flow.cold = Some(cold);
        }
        let Some(mut cold) = flow.cold.take() else { return (dir, false) };
        cold.app.lend(self.spare);
        if is_syn {
            cold.half(dir).start(seq);
        }
        // What comes with a reset is no data of the connection (RFC 9293 section 3.10.7.4).
        // What comes after it is parsed only where parsing is not delayed.
        let state = flow.tcp.state;
        let late = before == TcpState::Closed && state == before && waits(self.config, flow);
        let data = if late || tcp.has(tcp_flags::RST) { &[] } else { payload };
        let segment = Segment { dir, seq, data };
        let mut parts = Parts { flow, cold: &mut cold, dir };
        self.stream(&mut parts, segment, packet, sink);
        self.closing(&mut parts, before, packet, sink);
        let reversed = cold.app.take_reversed();
        flow.protocol = cold.app.protocol();
        if let Some(expected) = cold.app.take_expected() {
            self.expected.add((flow.client().0, flow.server().0), expected, flow.last());
        }
        flow.cold = Some(cold);
        if reversed {
            flow.swap();
            dir = dir.reverse();
        }
        // What came with a reset is nothing that a rule on streams should see elsewhere.
        (dir, !data.is_empty() || tcp.has(tcp_flags::RST))
    }

    /// Whether another flow has announced this one, which is about to see its first bytes.
    fn look_up(&mut self, flow: &Flow, app: &mut AppLayer) {
        if self.expected.is_empty() {
            return;
        }
        let (client, server) = (flow.client(), flow.server());
        if let Some(what) = self.expected.take((client.0, server.0), server.1, flow.last()) {
            app.announced(what, &self.config.app);
        }
    }

    fn stream<S: Sink>(
        &mut self,
        parts: &mut Parts<'_>,
        segment: Segment<'_>,
        packet: &mut Packet<'_>,
        sink: &mut S,
    ) {
        let Some(tcp) = packet.tcp().copied() else { return };
        let (flow, dir) = (parts.flow, parts.dir);
        let cx = context(self.config, flow, Transport::Tcp);
        let (halves, app) = parts.cold.parts();
        let policy = self.config.hosts.of(packet.dst);
        let mut env = Env {
            limits: self.config.stream,
            budget: &mut *self.budget,
            wrong: &mut packet.anomalies,
            policy,
            hold: holds(self.config, policy, flow),
        };
        let mut out = |chunk: Chunk<'_>| {
            give(app, &chunk, &cx);
            sink.chunk(flow, &chunk);
        };
        let mut outcome = Outcome::default();
        if tcp.has(tcp_flags::ACK) {
            let other = dir.reverse();
            let acked = flow.tcp.acked(dir);
            // What is acknowledged went to this packet's sender.
            let receiver = self.config.hosts.of(packet.src);
            let (policy, hold) = (env.policy, env.hold);
            (env.policy, env.hold) = (receiver, holds(self.config, receiver, flow));
            outcome = halves.get_mut(other).acknowledge(other, acked, &mut env, &mut out);
            (env.policy, env.hold) = (policy, hold);
        }
        let more = halves.get_mut(dir).segment(segment, &mut env, &mut out);
        // A hole is only given up with a packet of the receiver that comes after it: captures are
        // often out of order by a few packets.
        for outcome in [outcome, more] {
            self.note(outcome);
        }
    }

    fn note(&mut self, outcome: Outcome) {
        let stats = &mut *self.stats;
        stats.stream_gaps = stats.stream_gaps.saturating_add(u64::from(outcome.gaps));
        let depth = u64::from(outcome.depth_reached);
        stats.stream_depth_reached = stats.stream_depth_reached.saturating_add(depth);
        stats.stream_shed = stats.stream_shed.saturating_add(u64::from(outcome.shed));
    }

    /// Tells the parser when a side has sent its last byte.
    fn closing<S: Sink>(
        &mut self,
        parts: &mut Parts<'_>,
        before: TcpState,
        packet: &mut Packet<'_>,
        sink: &mut S,
    ) {
        let Parts { flow, cold, dir } = parts;
        let (flow, dir) = (*flow, *dir);
        let state = flow.tcp.state;
        if state == before {
            return;
        }
        if state == TcpState::Closed && waits(self.config, flow) {
            // What was never acknowledged may have come too late: it is for the end of the flow.
            for side in [Direction::ToServer, Direction::ToClient] {
                if cold.half(side).waiting_bytes() == 0 {
                    cold.app.end(side);
                }
            }
        } else if state == TcpState::Closed {
            self.flush(flow, cold, packet, sink);
            cold.app.end(Direction::ToServer);
            cold.app.end(Direction::ToClient);
        } else if cold.half(dir).waiting_bytes() == 0
            && packet.tcp().is_some_and(|tcp| tcp.has(tcp_flags::FIN))
        {
            cold.app.end(dir);
        }
    }

    fn flush<S: Sink>(
        &mut self,
        flow: &Flow,
        cold: &mut Cold,
        packet: &mut Packet<'_>,
        sink: &mut S,
    ) {
        let outcome = flush(self.config, self.budget, flow, cold, &mut packet.anomalies, sink);
        self.note(outcome);
    }

    /// Takes in a datagram. Returns its direction, which detection may have turned.
    pub(super) fn udp(
        &mut self,
        flow: &mut Flow,
        dir: Direction,
        packet: &Packet<'_>,
    ) -> Direction {
        if packet.payload.is_empty() {
            return dir;
        }
        let cx = context(self.config, flow, Transport::Udp);
        let cold = flow.cold.get_or_insert_with(|| self.cold_parts.take());
        cold.app.lend(self.spare);
        cold.app.data(dir, packet.payload, &cx);
        let reversed = cold.app.take_reversed();
        flow.protocol = cold.app.protocol();
        if !reversed {
            return dir;
        }
        flow.swap();
        dir.reverse()
    }

    /// The flow has ended: what waits is given out, transactions are completed.
    pub(super) fn end<S: Sink>(&mut self, flow: &mut Flow, sink: &mut S) {
        let Some(mut cold) = flow.cold.take() else { return };
        if cold.has_stream() {
            let mut wrong = crate::decode::Anomalies::default();
            let outcome = flush(self.config, self.budget, flow, &mut cold, &mut wrong, sink);
            self.note(outcome);
        }
        cold.app.finish();
        if flow.protocol == Protocol::Unknown {
            flow.protocol = cold.app.protocol();
        }
        flow.cold = Some(cold);
    }
}

/// Whether news of a flow waits for acknowledgements and for packets of its own direction.
pub(super) fn waits(config: &Config, flow: &Flow) -> bool {
    flow.proto() == 6 && config.wait_for_ack && !config.inline && !flow.tcp.is_one_sided()
}

/// Whether data waits for its acknowledgement.
fn holds(config: &Config, policy: OsPolicy, flow: &Flow) -> bool {
    (config.wait_for_ack || policy.prefers_copies()) && !config.inline && !flow.tcp.is_one_sided()
}

fn flush<S: Sink>(
    config: &Config,
    budget: &mut Budget,
    flow: &Flow,
    cold: &mut Cold,
    wrong: &mut crate::decode::Anomalies,
    sink: &mut S,
) -> Outcome {
    let cx = context(config, flow, Transport::Tcp);
    let (halves, app) = cold.parts();
    let policy = OsPolicy::default();
    let mut env = Env { limits: config.stream, budget, wrong, policy, hold: false };
    let mut total = Outcome::default();
    for dir in [Direction::ToServer, Direction::ToClient] {
        let outcome = halves.get_mut(dir).finish(dir, &mut env, &mut |chunk: Chunk<'_>| {
            give(app, &chunk, &cx);
            sink.chunk(flow, &chunk);
        });
        // What was neither seen nor acknowledged need not have been sent.
        if !waits(config, flow) {
            total.gaps = total.gaps.saturating_add(outcome.gaps);
        }
        total.depth_reached |= outcome.depth_reached;
    }
    total
}

fn give(app: &mut AppLayer, chunk: &Chunk<'_>, cx: &AppContext<'_>) {
    match chunk.content {
        Content::Data(bytes) => app.data(chunk.dir, bytes, cx),
        Content::Gap(missing) => app.gap(chunk.dir, missing),
    }
}

fn context<'a>(config: &'a Config, flow: &Flow, transport: Transport) -> AppContext<'a> {
    AppContext { config: &config.app, transport, ports: flow.ports() }
}
