//! The `stats` object.

use net::Stats;
use serde_json::{Value, json};

/// Counters of a worker since it began.
pub(crate) fn counters(stats: &Stats) -> Value {
    let average = stats.bytes.checked_div(stats.packets).unwrap_or(0);
    json!({
        "decoder": {
            "pkts": stats.packets, "bytes": stats.bytes, "ipv4": stats.ipv4, "ipv6": stats.ipv6,
            "tcp": stats.tcp, "udp": stats.udp, "icmp": stats.icmp, "sctp": stats.sctp,
            "other_ip": stats.other_ip, "no_ip": stats.no_ip,
            "bad_checksum": stats.bad_checksum, "avg_pkt_size": average,
        },
        "defrag": {
            "fragments": stats.defrag.fragments, "reassembled": stats.defrag.reassembled,
            "timeouts": stats.defrag.timeouts, "shed": stats.defrag.shed,
            "overlaps": stats.defrag.overlaps,
        },
        "flow": {
            "total": stats.flows, "active": stats.flows_active, "shed_packets": stats.flows_shed,
        },
        "tcp": {
            "ignored": stats.tcp_ignored, "reassembly_gap": stats.stream_gaps,
            "stream_depth_reached": stats.stream_depth_reached,
            "segment_memcap_drop": stats.stream_shed,
        },
    })
}
