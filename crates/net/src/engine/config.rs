//! Settings and counters of an engine.

use crate::app::AppConfig;
use crate::decode::DecodeOptions;
use crate::flow::Timeouts;
use crate::{defrag, stream};

/// Settings of an engine; the defaults are Suricata's.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Decoder.
    pub decode: DecodeOptions,
    /// Defragmentation.
    pub defrag: defrag::Limits,
    /// Flow timeouts.
    pub timeouts: Timeouts,
    /// Flows kept at once.
    pub max_flows: usize,
    /// Take up TCP connections whose beginning was not seen.
    pub midstream: bool,
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
            decode: DecodeOptions { checksums: true },
            defrag: defrag::Limits::default(),
            timeouts: Timeouts::default(),
            max_flows: 1 << 20,
            midstream: false,
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
            (&mut self.other_ip, other.other_ip),
            (&mut self.no_ip, other.no_ip),
            (&mut self.bad_checksum, other.bad_checksum),
            (&mut self.flows, other.flows),
            (&mut self.flows_active, other.flows_active),
            (&mut self.flows_shed, other.flows_shed),
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
    }
}
