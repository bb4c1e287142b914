//! The order in which a packet goes through this crate, and the interface to whoever wants results.
//!
//! decode, defragment, find the flow, put the stream in order, parse; then the [`Sink`] sees the
//! packet together with what it made known. Packets inside tunnels follow their outer packet.

mod burst;
mod clock;
mod config;
mod deliver;

#[cfg(test)]
mod ack_tests;
#[cfg(test)]
mod tcp_tests;
#[cfg(test)]
mod tests;

pub use burst::Arrival;
pub use config::{Config, EventCounts, Stats};

use crate::app::expect::Expectations;
use crate::app::{Spare, TxList};
use crate::decode::{Ip, LinkType, MAX_TUNNEL_DEPTH, Packet, Transport};
use crate::defrag::Defrag;
use crate::flow::{ColdParts, Direction, EndReason, Flow, FlowKey, FlowTable};
use crate::stream::{Budget, Chunk};

/// Packets between two looks at the timers, as long as no second passes: what ends flows is done for several at a time,
/// while its code is in the processor's cache. A packet whose flow has timed out meanwhile is noticed all the same.
const TIMER_ROUND: u32 = 32;
/// Timers looked at in a round: bounds the work that one packet can cause.
const TIMERS_PER_ROUND: u32 = 16 * TIMER_ROUND;

/// Where and when a frame was seen.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Microseconds since the epoch.
    pub ts: i64,
    /// Number of the frame within the run, from 1.
    pub number: u64,
    /// Index of the interface or capture file.
    pub interface: u32,
    /// Length on the wire; the captured bytes may be fewer.
    pub wire_len: u32,
    /// Link type of the frame.
    pub link: LinkType,
}

/// A packet's place in its flow.
#[derive(Debug)]
pub struct InFlow<'a> {
    /// The flow, already counting this packet.
    pub flow: &'a mut Flow,
    /// Which way the packet goes.
    pub dir: Direction,
    /// The flow's open transactions; [`TxList::changed`] are those with news from this packet.
    pub transactions: &'a mut TxList,
    /// True when the packet's payload was used for the stream.
    pub in_stream: bool,
    /// Only news of the packet's own direction is to be inspected with it
    /// ([`TxList::to_inspect`]); the other direction's is kept for its next packet.
    pub one_way: bool,
}

/// Takes what the engine finds. Called by one engine only.
pub trait Sink {
    /// Stream bytes in order, before the packet that made them known.
    fn chunk(&mut self, flow: &Flow, chunk: &Chunk<'_>);
    /// A packet, after everything it carries was parsed.
    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>);
    /// A packet of the flow in that slot may be about to come: a sink that keeps something of flows can have
    /// it fetched, see [`Engine::burst`].
    fn upcoming(&mut self, _slot: usize) {}
    /// A flow has ended; its transactions are complete as they are.
    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason);
}

/// Everything between bytes and a sink, for one worker.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    defrag: Defrag,
    flows: FlowTable,
    clock: clock::Clock,
    budget: Budget,
    expected: Expectations,
    stats: Stats,
    none: TxList,
    spare: Spare,
    cold_parts: ColdParts,
    /// Packets until the timers are looked at.
    until_round: u32,
    /// When they were looked at last, microseconds since the epoch.
    last_round: i64,
}

impl Engine {
    /// An engine without state. `first_flow_id` keeps the flow ids of several engines apart.
    #[must_use]
    pub fn new(config: Config, first_flow_id: u64) -> Self {
        Self {
            defrag: Defrag::new(config.defrag, config.hosts.clone()),
            flows: FlowTable::new(config.max_flows, config.timeouts, first_flow_id),
            clock: clock::Clock::default(),
            budget: Budget { used: 0, cap: config.stream_memory },
            expected: Expectations::default(),
            stats: Stats::default(),
            none: TxList::default(),
            spare: Spare::default(),
            cold_parts: ColdParts::default(),
            until_round: 0,
            last_round: 0,
            config,
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.defrag = self.defrag.stats();
        stats.flows_active = u64::try_from(self.flows.len()).unwrap_or(u64::MAX);
        stats
    }

    /// Settings of detection and parsers, for flows and transactions that begin from now on.
    pub fn app(&mut self) -> &mut crate::app::AppConfig {
        &mut self.config.app
    }

    /// Ends flows that have been silent for too long at `ts`, without a packet.
    pub fn tick<S: Sink>(&mut self, ts: i64, sink: &mut S) {
        let mut budget = u32::MAX;
        self.clock.set(ts);
        while let Some(slot) = self.flows.expired(ts, &mut budget) {
            self.end_flow(slot, EndReason::Timeout, sink);
        }
    }

    /// Ends every flow.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) {
        while let Some(slot) = self.flows.last() {
            self.end_flow(slot, EndReason::Shutdown, sink);
        }
    }

    #[inline]
    fn expire<S: Sink>(&mut self, ts: i64, sink: &mut S) {
        // Where room is short there is no time for doubts.
        let full = self.flows.is_full();
        let now = if full { self.clock.set(ts) } else { self.clock.packet(ts) };
        self.until_round = self.until_round.saturating_sub(1);
        if full || self.until_round == 0 || now.abs_diff(self.last_round) >= 1_000_000 {
            (self.until_round, self.last_round) = (TIMER_ROUND, now);
            self.round(now, sink);
        }
    }

    #[inline(never)]
    fn round<S: Sink>(&mut self, ts: i64, sink: &mut S) {
        let mut budget = TIMERS_PER_ROUND;
        while let Some(slot) = self.flows.expired(ts, &mut budget) {
            self.look_at_timers(sink);
            self.end_flow(slot, EndReason::Timeout, sink);
        }
    }

    /// A packet, with where it belongs when that is known already.
    fn decoded<S: Sink>(
        &mut self,
        packet: &mut Packet<'_>,
        belonging: Option<burst::Belonging>,
        sink: &mut S,
    ) {
        self.count(packet);
        if packet.invalid {
            return self.show(packet, sink);
        }
        if packet.reassembled && packet.fragment.is_some() {
            // A fragment header inside what was fragmented (RFC 8200 section 4.1 has it once): each
            // level would be joined inside the joining of the one around it.
            packet.note(crate::decode::DecoderEvent::Ipv6ExthdrDuplFh);
            return self.show(packet, sink);
        }
        if packet.fragment.is_some() {
            let datagram = self.defrag.push(packet);
            self.show(packet, sink);
            if let Some(datagram) = datagram {
                let mut whole = packet.decode_reassembled(&datagram, self.config.decode);
                self.decoded(&mut whole, None, sink);
            }
            return;
        }
        let inner = packet.inner;
        if inner.is_some() && packet.depth >= MAX_TUNNEL_DEPTH {
            packet.note(crate::decode::DecoderEvent::TooManyLayers);
        }
        self.in_flow(packet, belonging, sink);
        if let Some(inner) = inner.filter(|_| packet.depth < MAX_TUNNEL_DEPTH) {
            let mut next = packet.decode_inner(inner, self.config.decode);
            self.decoded(&mut next, None, sink);
        }
    }

    /// A packet that belongs to no flow.
    fn show<S: Sink>(&mut self, packet: &Packet<'_>, sink: &mut S) {
        self.stats.events.add(packet.anomalies);
        sink.packet(packet, None);
    }

    fn count(&mut self, packet: &Packet<'_>) {
        let stats = &mut self.stats;
        let slot = match (&packet.ip, &packet.transport) {
            (_, Transport::Tcp(_)) => &mut stats.tcp,
            (_, Transport::Udp { .. }) => &mut stats.udp,
            (_, Transport::Icmp(_)) => &mut stats.icmp,
            (_, Transport::Sctp(_)) => &mut stats.sctp,
            (_, Transport::Igmp(_)) => &mut stats.igmp,
            (_, Transport::Arp(_)) => &mut stats.arp,
            (Ip::None, _) => &mut stats.no_ip,
            _ => &mut stats.other_ip,
        };
        *slot = slot.saturating_add(1);
        if packet.invalid {
            stats.invalid = stats.invalid.saturating_add(1);
        }
        let version = match packet.ip {
            Ip::V4(_) => &mut stats.ipv4,
            Ip::V6(_) => &mut stats.ipv6,
            Ip::None => return,
        };
        *version = version.saturating_add(1);
        if !packet.checksum_ok {
            stats.bad_checksum = stats.bad_checksum.saturating_add(1);
        }
    }

    /// Finds or makes the flow, then hands over to the transport.
    fn in_flow<S: Sink>(
        &mut self,
        packet: &mut Packet<'_>,
        belonging: Option<burst::Belonging>,
        sink: &mut S,
    ) {
        let Some((slot, source_is_low)) = self.flow_of(packet, belonging, sink) else {
            return self.show(packet, sink);
        };
        let Some(flow) = self.flows.get_mut(slot) else { return self.show(packet, sink) };
        let dir = flow.direction(source_is_low);
        let length = packet_len(packet);
        flow.count(dir, length, packet.meta.ts);
        let mut work = deliver::Work {
            config: &self.config,
            budget: &mut self.budget,
            expected: &mut self.expected,
            stats: &mut self.stats,
            spare: &mut self.spare,
            cold_parts: &mut self.cold_parts,
        };
        let (dir, in_stream) = match packet.transport {
            Transport::Tcp(tcp) if packet.checksum_ok => work.tcp(flow, dir, packet, &tcp, sink),
            // Datagrams stand alone: one with a wrong checksum harms no stream, and capture on the sending
            // host sees them before the card has filled them in.
            Transport::Udp { .. } => (work.udp(flow, dir, packet), false),
            _ => (dir, false),
        };
        // The cold part is taken out so that the sink can have the flow and its transactions.
        let mut cold = flow.cold.take();
        let transactions = cold.as_mut().map_or(&mut self.none, |cold| cold.app.open_mut());
        self.stats.events.add(packet.anomalies);
        let one_way = deliver::waits(&self.config, flow);
        sink.packet(packet, Some(InFlow { flow, dir, transactions, in_stream, one_way }));
        if let Some(cold) = &mut cold {
            cold.app.settle(one_way.then_some(dir));
            if !one_way && flow.is_over() {
                cold.app.retire();
            }
            cold.app.give_back(&mut self.spare);
        }
        flow.cold = cold;
    }

    /// Slot of the packet's flow, and whether the packet comes from the low end of its key.
    fn flow_of<S: Sink>(
        &mut self,
        packet: &Packet<'_>,
        belonging: Option<burst::Belonging>,
        sink: &mut S,
    ) -> Option<(u32, bool)> {
        if let Some(found) = self.quoted_flow(packet) {
            return Some(found);
        }
        let belonging = match belonging {
            Some(belonging) => belonging,
            None => self.belonging(packet)?,
        };
        let burst::Belonging { key, source_is_low, hash } = belonging;
        if let Some(slot) = self.flows.find_hashed(&key, hash) {
            let reason = self.flows.get(slot).and_then(|flow| {
                if self.flows.is_timed_out(flow, packet.meta.ts) {
                    return Some(EndReason::Timeout);
                }
                let dir = flow.direction(source_is_low);
                packet.tcp().filter(|tcp| flow.tcp.is_reuse(tcp, dir)).map(|_| EndReason::TcpReuse)
            });
            let Some(reason) = reason else { return Some((slot, source_is_low)) };
            self.end_flow(slot, reason, sink);
        }
        let mut inserted = self.flows.insert_hashed((key, hash), source_is_low, packet.meta.ts);
        if inserted.is_err()
            && let Some(slot) = self.flows.least_useful(packet.meta.ts)
        {
            self.stats.flows_evicted = self.stats.flows_evicted.saturating_add(1);
            self.end_flow(slot, EndReason::Forced, sink);
            inserted = self.flows.insert_hashed((key, hash), source_is_low, packet.meta.ts);
        }
        let counter = match inserted {
            Ok(_) => &mut self.stats.flows,
            Err(_) => &mut self.stats.flows_shed,
        };
        *counter = counter.saturating_add(1);
        Some((inserted.ok()?, source_is_low))
    }

    fn tracked(&self, key: FlowKey, packet: &Packet<'_>) -> FlowKey {
        let depth = self.config.depth_tracking.then_some(packet.depth);
        key.tracking(depth, self.config.vlan_tracking)
    }

    /// The flow that an ICMP error message is about.
    fn quoted_flow(&self, packet: &Packet<'_>) -> Option<(u32, bool)> {
        let quoted = packet.icmp()?.quoted?;
        let key = self.tracked(FlowKey::quoted(packet, quoted)?, packet);
        let slot = self.flows.find(&key)?;
        let flow = self.flows.get(slot)?;
        // It goes to who sent what it quotes; it may come from any router on the way.
        Some((slot, flow.key().low().0 != packet.dst))
    }

    fn end_flow<S: Sink>(&mut self, slot: u32, reason: EndReason, sink: &mut S) {
        if let Some(flow) = self.flows.get_mut(slot) {
            let mut work = deliver::Work {
                config: &self.config,
                budget: &mut self.budget,
                expected: &mut self.expected,
                stats: &mut self.stats,
                spare: &mut self.spare,
                cold_parts: &mut self.cold_parts,
            };
            work.end(flow, sink);
            let cold = flow.cold.take();
            let transactions = cold.as_ref().map_or(&self.none, |cold| cold.app.open());
            sink.flow_end(flow, transactions, reason);
            if let Some(cold) = cold {
                self.cold_parts.give_back(cold);
            }
        }
        self.flows.remove(slot);
    }
}

/// Bytes a packet counts for: those on the wire for the outermost, its own for an inner one.
fn packet_len(packet: &Packet<'_>) -> u32 {
    if packet.depth == 0 && !packet.reassembled {
        return packet.meta.wire_len;
    }
    u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX)
}

/// Which of `count` workers a frame belongs to: both directions of a flow, and all fragments of a
/// datagram, to the same one.
#[must_use]
pub fn share_of(meta: Meta, bytes: &[u8], count: u64) -> u64 {
    let options = crate::decode::DecodeOptions { checksums: false, offloaded: true };
    let packet = Packet::decode(meta, bytes, options);
    let fold = |address: std::net::IpAddr| {
        let octets = match address {
            std::net::IpAddr::V4(v4) => u128::from(v4.to_bits()),
            std::net::IpAddr::V6(v6) => v6.to_bits(),
        };
        octets.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 64
    };
    let mixed = (fold(packet.src) ^ fold(packet.dst)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let high = u64::try_from(mixed >> 32 & 0xffff_ffff).unwrap_or(0);
    high.checked_rem(count).unwrap_or(0)
}
