//! `alert` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::Packet;
use net::decode::{Source, Transport, chunk_name};
use serde_json::{Value, json};
use signature::RuleInfo;

use super::Object;
use crate::sensor::settings::RecordOptions;

/// The `alert` object of a rule that matched.
pub(crate) fn rule(rule: &RuleInfo<'_>) -> Object {
    let mut alert = Object::new();
    alert.insert("action".into(), "allowed".into());
    alert.insert("gid".into(), rule.gid.into());
    alert.insert("signature_id".into(), rule.sid.into());
    alert.insert("rev".into(), rule.rev.into());
    alert.insert("signature".into(), rule.msg.into());
    alert.insert("category".into(), rule.category.into());
    alert.insert("severity".into(), rule.priority.into());
    let mut metadata = Object::new();
    for (key, value) in rule.metadata {
        let list = metadata.entry(key.as_ref()).or_insert_with(|| Value::Array(Vec::new()));
        if let Some(list) = list.as_array_mut() {
            list.push(value.as_ref().into());
        }
    }
    if !metadata.is_empty() {
        alert.insert("metadata".into(), metadata.into());
    }
    let references: Vec<Value> =
        rule.references.iter().map(|(system, id)| json!(format!("{system},{id}"))).collect();
    if !references.is_empty() {
        alert.insert("references".into(), references.into());
    }
    alert
}

/// Where the packet of an alert was found.
pub(crate) fn source(packet: &Packet<'_>) -> &'static str {
    match packet.source {
        Source::Wire | Source::Ethernet => "wire/pcap",
        Source::Defrag => "defrag",
        Source::Ipv4 => "ipv4 tunnel",
        Source::Ipv6 => "ipv6 tunnel",
        Source::Gre => "gre tunnel",
        Source::Teredo => "teredo tunnel",
        Source::Vxlan => "vxlan encapsulation",
        Source::Geneve => "geneve encapsulation",
    }
}

/// What headers of the packet say beside addresses and ports.
fn headers(record: &mut Object, packet: &Packet<'_>, options: &RecordOptions) {
    if packet.ip_version() != 0 {
        record.insert("ip_v".into(), packet.ip_version().into());
    }
    if let Some(outer) = packet.outer {
        let mut tunnel = Object::new();
        tunnel.insert("src_ip".into(), super::address(outer.src.0, options.compress_ipv6));
        tunnel.insert("dest_ip".into(), super::address(outer.dst.0, options.compress_ipv6));
        if matches!(outer.proto, 6 | 17 | 132) {
            tunnel.insert("src_port".into(), outer.src.1.into());
            tunnel.insert("dest_port".into(), outer.dst.1.into());
        }
        tunnel.insert("proto".into(), super::proto_name(outer.proto));
        tunnel.insert("depth".into(), outer.depth.into());
        record.insert("tunnel".into(), tunnel.into());
    }
    match &packet.transport {
        Transport::Icmp(icmp) => {
            record.insert("icmp_type".into(), icmp.kind.into());
            record.insert("icmp_code".into(), icmp.code.into());
        }
        Transport::Igmp(igmp) => {
            // Types that IGMP does not have are those of RGMP (RFC 3488 section 5).
            let (name, object) = match igmp.version {
                Some(version) => ("igmp", json!({"version": version, "type": igmp.kind})),
                None => ("rgmp", json!({"type": igmp.kind})),
            };
            record.insert(name.into(), object);
        }
        Transport::Sctp(sctp) => {
            let names = |kind: &u8| match chunk_name(*kind) {
                Some(name) => Value::from(name),
                None => Value::from(format!("unknown_{kind}")),
            };
            let kinds: Vec<Value> = sctp.kinds().iter().map(names).collect();
            let object = json!({
                "vtag": sctp.vtag, "chunk_cnt": sctp.chunks, "chunk_types": kinds,
                "has_init": sctp.has(1), "has_init_ack": sctp.has(2), "has_data": sctp.has(0),
                "has_abort": sctp.has(6),
            });
            record.insert("sctp".into(), object);
        }
        _ => {}
    }
}

/// The link type of a record that shows a packet.
pub(crate) fn packet_info(packet: &Packet<'_>) -> Value {
    // What is inside a tunnel begins with an IP header.
    let link = if packet.outer.is_some() { net::LinkType::Raw } else { packet.meta.link };
    let (number, name) = link.number();
    match name {
        Some(name) => json!({"linktype": number, "linktype_name": name}),
        None => json!({"linktype": number}),
    }
}

/// What an alert shows of the packet that raised it, as far as it is wanted.
pub(crate) fn evidence(record: &mut Object, packet: &Packet<'_>, options: &RecordOptions) {
    headers(record, packet, options);
    if options.alert_payload {
        record.insert("payload".into(), STANDARD.encode(packet.payload).into());
    }
    if options.alert_payload_printable {
        record.insert("payload_printable".into(), printable(packet.payload).into());
    }
    if options.alert_payload || options.alert_payload_printable {
        // Shown is always the packet's own payload, never the stream around it.
        record.insert("stream".into(), 0.into());
    }
    if options.alert_packet {
        record.insert("packet".into(), STANDARD.encode(packet.bytes).into());
    }
    record.insert("packet_info".into(), packet_info(packet));
    if let Some(mac) = packet.mac.filter(|_| options.ethernet) {
        super::ethernet(record, mac);
    }
}

/// Payload with everything but printable ASCII as a dot.
fn printable(payload: &[u8]) -> String {
    payload
        .iter()
        .map(|b| {
            if (b' '..=b'~').contains(b) || matches!(b, b'\n' | b'\r' | b'\t') {
                char::from(*b)
            } else {
                '.'
            }
        })
        .collect()
}
