//! Settings and counters of an engine.

use crate::app::AppConfig;
use crate::decode::{Anomalies, DecodeOptions, DecoderEvent};
use crate::flow::Timeouts;
use crate::policy::HostPolicies;
use crate::{defrag, stream};

/// Settings of an engine; the defaults are Suricata's.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decoder.
    pub decode: DecodeOptions,
    /// Defragmentation.
    pub defrag: defrag::Limits,
    /// Systems of the hosts, for what overlaps mean to them.
    pub hosts: HostPolicies,
    /// Packets of one flow have the same VLAN tags.
    pub vlan_tracking: bool,
    /// Packets of one flow are equally deep in tunnels.
    pub depth_tracking: bool,
    /// Flow timeouts.
    pub timeouts: Timeouts,
    /// Flows kept at once.
    pub max_flows: usize,
    /// Take up TCP connections whose beginning was not seen.
    pub midstream: bool,
    /// Follow TCP connections of which one side is seen only.
    pub one_sided: bool,
    /// Give segments to inspection as they come, without waiting for their acknowledgement.
    pub inline: bool,
    /// Give segments out only once their receiver has acknowledged them, and have news inspected with
    /// packets of their own direction: later than need be, but at the packets where Suricata does it.
    pub wait_for_ack: bool,
    /// Limits of stream reassembly.
    pub stream: stream::Limits,
    /// Bytes of waiting segments of all streams.
    pub stream_memory: usize,
    /// Detection and parsers.
    pub app: AppConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            decode: DecodeOptions::default(),
            defrag: defrag::Limits::default(),
            hosts: HostPolicies::default(),
            vlan_tracking: true,
            depth_tracking: true,
            timeouts: Timeouts::default(),
            max_flows: 1 << 20,
            midstream: false,
            one_sided: false,
            inline: false,
            wait_for_ack: false,
            stream: stream::Limits::default(),
            stream_memory: 256 << 20,
            app: AppConfig::default(),
        }
    }
}

/// What an engine has counted since it was made. Nothing is dropped without a number here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Frames.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// IPv4 packets, those in tunnels and from fragments included.
    pub ipv4: u64,
    /// IPv6 packets.
    pub ipv6: u64,
    /// TCP packets.
    pub tcp: u64,
    /// UDP packets.
    pub udp: u64,
    /// ICMP packets of both versions.
    pub icmp: u64,
    /// SCTP packets.
    pub sctp: u64,
    /// IGMP packets.
    pub igmp: u64,
    /// ARP packets.
    pub arp: u64,
    /// Packets of which a header could not be read.
    pub invalid: u64,
    /// Bytes of the longest frame.
    pub longest: u32,
    /// How often each anomaly was found.
    pub events: EventCounts,
    /// IP packets with another transport.
    pub other_ip: u64,
    /// Packets without IP.
    pub no_ip: u64,
    /// Packets with a wrong checksum, when checksums are verified: counted, not reassembled.
    pub bad_checksum: u64,
    /// Flows begun.
    pub flows: u64,
    /// Flows there are.
    pub flows_active: u64,
    /// Packets without a flow because the table was full.
    pub flows_shed: u64,
    /// Flows ended early to make room for newer ones: the table was full.
    pub flows_evicted: u64,
    /// TCP segments that belong to no connection.
    pub tcp_ignored: u64,
    /// Gaps in streams.
    pub stream_gaps: u64,
    /// Streams that reached their depth.
    pub stream_depth_reached: u64,
    /// Segments not kept because of the memory cap.
    pub stream_shed: u64,
    /// Defragmentation.
    pub defrag: defrag::Stats,
}

impl Stats {
    /// Adds another worker's counters.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.packets, other.packets),
            (&mut self.bytes, other.bytes),
            (&mut self.ipv4, other.ipv4),
            (&mut self.ipv6, other.ipv6),
            (&mut self.tcp, other.tcp),
            (&mut self.udp, other.udp),
            (&mut self.icmp, other.icmp),
            (&mut self.sctp, other.sctp),
            (&mut self.igmp, other.igmp),
            (&mut self.arp, other.arp),
            (&mut self.invalid, other.invalid),
            (&mut self.other_ip, other.other_ip),
            (&mut self.no_ip, other.no_ip),
            (&mut self.bad_checksum, other.bad_checksum),
            (&mut self.flows, other.flows),
            (&mut self.flows_active, other.flows_active),
            (&mut self.flows_shed, other.flows_shed),
            (&mut self.flows_evicted, other.flows_evicted),
            (&mut self.tcp_ignored, other.tcp_ignored),
            (&mut self.stream_gaps, other.stream_gaps),
            (&mut self.stream_depth_reached, other.stream_depth_reached),
            (&mut self.stream_shed, other.stream_shed),
            (&mut self.defrag.fragments, other.defrag.fragments),
            (&mut self.defrag.reassembled, other.defrag.reassembled),
            (&mut self.defrag.timeouts, other.defrag.timeouts),
            (&mut self.defrag.shed, other.defrag.shed),
            (&mut self.defrag.overlaps, other.defrag.overlaps),
        ];
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
        self.longest = self.longest.max(other.longest);
        self.events.join(&other.events);
    }
}

/// A counter for each [`DecoderEvent`].
#[derive(Clone, Copy, Debug)]
pub struct EventCounts([u64; 256]);

impl Default for EventCounts {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl EventCounts {
    /// Counts the events of one packet.
    pub fn add(&mut self, anomalies: Anomalies) {
        // Most packets have none.
        if anomalies.is_empty() {
            return;
        }
        for event in anomalies.iter() {
            if let Some(count) = self.0.get_mut(usize::from(event as u8)) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// How often an event was found.
    #[must_use]
    pub fn of(&self, event: DecoderEvent) -> u64 {
        self.0.get(usize::from(event as u8)).copied().unwrap_or(0)
    }

    fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }
}
