//! The `stats` object.

use net::{DecoderEvent, EventCounts};
use serde_json::{Map, Value, json};

use crate::sensor::figures::{AppFigures, Figures};

/// Counters of workers since they began.
pub(crate) fn counters(figures: &Figures) -> Value {
    // Of files their records tell.
    let Figures { net: stats, scan, apps, files_refused: _ } = figures;
    let (decoder_events, stream_events) = events(&stats.events);
    let average = stats.bytes.checked_div(stats.packets).unwrap_or(0);
    json!({
        "decoder": {
            "pkts": stats.packets, "bytes": stats.bytes, "ipv4": stats.ipv4, "ipv6": stats.ipv6,
            "tcp": stats.tcp, "udp": stats.udp, "icmp": stats.icmp, "sctp": stats.sctp,
            "other_ip": stats.other_ip, "no_ip": stats.no_ip,
            "bad_checksum": stats.bad_checksum, "avg_pkt_size": average,
            "max_pkt_size": stats.longest, "invalid": stats.invalid,
            "igmp": stats.igmp, "arp": stats.arp, "event": decoder_events,
        },
        "defrag": {
            "fragments": stats.defrag.fragments, "reassembled": stats.defrag.reassembled,
            "timeouts": stats.defrag.timeouts, "shed": stats.defrag.shed,
            "overlaps": stats.defrag.overlaps,
        },
        "flow": {
            "total": stats.flows, "active": stats.flows_active, "shed_packets": stats.flows_shed,
            "evicted": stats.flows_evicted,
        },
        "stream": stream_events,
        "tcp": {
            "ignored": stats.tcp_ignored, "reassembly_gap": stats.stream_gaps,
            "stream_depth_reached": stats.stream_depth_reached,
            "segment_memcap_drop": stats.stream_shed,
        },
        "app_layer": app_layer(apps),
        "detect": {
            "alert": scan.alerts, "alert_queue_overflow": scan.scan.beyond_limit,
            "inspections": scan.scan.inspections, "prefilter_fallbacks": scan.fallbacks,
            "inspection_budget": scan.budget_hits, "pcre_limit": scan.pcre_limits,
            "half_matched": scan.scan.partials_lost,
            "instances_beyond": scan.scan.instances_beyond,
            "flow_state_full": scan.scan.flow_state_full,
            "frames_lost": scan.frames_lost,
        },
    })
}

/// Protocols that go over both transports are counted for each.
fn app_layer(figures: &AppFigures) -> Value {
    let (mut flows, mut txs) = (Map::new(), Map::new());
    for protocol in net::Protocol::ALL.iter().copied() {
        use net::Protocol as P;
        let [tcp, other] = figures.of(protocol);
        let name = protocol.name().replace('-', "_");
        let both = matches!(protocol, P::Dns | P::Krb5 | P::Dcerpc | P::Sip | P::Nfs | P::Ldap);
        let counts = if both {
            vec![(format!("{name}_tcp"), tcp), (format!("{name}_udp"), other)]
        } else {
            let sum = (tcp.0.saturating_add(other.0), tcp.1.saturating_add(other.1));
            vec![(name, sum)]
        };
        for (name, (flow, tx)) in counts {
            flows.insert(name.clone(), flow.into());
            txs.insert(name, tx.into());
        }
    }
    json!({"flow": flows, "tx": txs})
}

/// Counters of anomalies: those of the decoder by layer and name, those of streams by name.
fn events(counts: &EventCounts) -> (Value, Value) {
    let (mut decoder, mut stream) = (json!({}), Map::new());
    for event in DecoderEvent::ALL.iter().copied() {
        let count = counts.of(event);
        let mut parts = event.name().splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("decoder"), Some(layer), Some(name)) => decoder[layer][name] = count.into(),
            (Some("decoder"), Some(name), None) => decoder[name] = count.into(),
            (Some("stream"), Some(name), None) => {
                stream.insert(name.into(), count.into());
            }
            _ => {}
        }
    }
    (decoder, stream.into())
}
