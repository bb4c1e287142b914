//! `alert` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::Packet;
use net::decode::{Source, Transport, chunk_name};
use serde_json::{Value, json};
use signature::RuleInfo;

use super::Object;
use super::fields::Fields;
use crate::sensor::settings::RecordOptions;

/// The `alert` object of a rule that matched.
pub(crate) fn rule(rule: &RuleInfo<'_>, options: &RecordOptions) -> Object {
    let mut alert = Object::new();
    // Packets are looked at, not held: only what is answered with a reset counts as stopped.
    let blocked = rule.action == signature::Action::Reject;
    alert.insert("action".into(), if blocked { "blocked" } else { "allowed" }.into());
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
    if !metadata.is_empty() && options.alert_metadata {
        alert.insert("metadata".into(), metadata.into());
    }
    let references: Vec<Value> =
        rule.references.iter().map(|(system, id)| reference(system, id).into()).collect();
    if !references.is_empty() && options.alert_references {
        alert.insert("references".into(), references.into());
    }
    alert
}

/// Where a reference of a rule leads: a URL when its system is one of those that rules name.
fn reference(system: &str, id: &str) -> String {
    let begin = match system.to_ascii_lowercase().as_str() {
        "url" if id.contains("://") => "",
        "url" | "telus" => "https://",
        "cve" => "https://cve.mitre.org/cgi-bin/cvename.cgi?name=",
        "bugtraq" | "bid" => "http://www.securityfocus.com/bid/",
        "et" => "http://doc.emergingthreats.net/",
        "etpro" => "http://doc.emergingthreatspro.com/",
        "exploitdb" => "https://www.exploit-db.com/exploits/",
        "md5" | "threatexpert" => "http://www.threatexpert.com/report.aspx?md5=",
        "msft" => "http://technet.microsoft.com/security/bulletin/",
        "nessus" => "https://www.tenable.com/plugins/nessus/",
        "osvdb" => "http://osvdb.org/show/osvdb/",
        "secunia" => "http://www.secunia.com/advisories/",
        "securitytracker" => "http://securitytracker.com/id?",
        "arachnids" => "http://www.whitehats.com/info/IDS",
        "mcafee" => "http://vil.nai.com/vil/content/v_",
        "xforce" => "http://xforce.iss.net/xforce/xfdb/",
        "openpacket" => "https://www.openpacket.org/capture/grab/",
        _ => return format!("{system},{id}"),
    };
    format!("{begin}{id}")
}

/// What the rule found beside its match: contexts of data sets, entropy.
pub(crate) fn notes(record: &mut Object, hit: &signature::Match, rules: &signature::RuleSet) {
    for note in hit.notes.iter().flatten() {
        if let signature::Note::Entropy { buffer, bits } = note {
            let name = match buffer {
                signature::Buffer::Payload => "content".to_owned(),
                other => other.name().replace('.', "_"),
            };
            let place = object(record, "metadata").and_then(|data| object(data, "entropy"));
            if let Some(place) = place {
                place.insert(name, f64::from_bits(*bits).into());
            }
        } else if let Some((name, text)) = rules.context(*note).filter(|(name, _)| !name.is_empty())
            && let Ok(context) = serde_json::from_str::<Value>(text)
            && let Some(place) = object(record, "alert").and_then(|alert| object(alert, "context"))
        {
            place.insert(name.to_owned(), context);
        }
    }
}

/// The object of that name, made when it is not there.
fn object<'r>(record: &'r mut Object, name: &str) -> Option<&'r mut Object> {
    record.entry(name).or_insert_with(|| Value::Object(Object::new())).as_object_mut()
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
fn headers<F: Fields>(record: &mut F, packet: &Packet<'_>, options: &RecordOptions) {
    if let Some(outer) = packet.outer {
        record.object("tunnel", |tunnel| {
            tunnel.address("src_ip", outer.src.0, options.compress_ipv6);
            tunnel.address("dest_ip", outer.dst.0, options.compress_ipv6);
            if matches!(outer.proto, 6 | 17 | 132) {
                tunnel.number("src_port", outer.src.1.into());
                tunnel.number("dest_port", outer.dst.1.into());
            }
            super::proto(tunnel, outer.proto);
            tunnel.number("depth", outer.depth.into());
        });
    }
    match &packet.transport {
        Transport::Icmp(icmp) => {
            record.number("icmp_type", icmp.kind.into());
            record.number("icmp_code", icmp.code.into());
        }
        Transport::Igmp(igmp) => {
            // Types that IGMP does not have are those of RGMP (RFC 3488 section 5).
            let (name, object) = match igmp.version {
                Some(version) => ("igmp", json!({"version": version, "type": igmp.kind})),
                None => ("rgmp", json!({"type": igmp.kind})),
            };
            record.value(name, object);
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
            record.value("sctp", object);
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

/// The payload of an alert, as far as it is wanted: that of its packet, or what is new of the stream.
pub(crate) fn payload<F: Fields>(
    record: &mut F,
    (bytes, is_stream): (&[u8], bool),
    options: &RecordOptions,
) {
    if !wants_payload(options) {
        return;
    }
    if options.alert_payload {
        record.text("payload", &STANDARD.encode(bytes));
    }
    if options.alert_payload_printable {
        record.text("payload_printable", &printable(bytes));
    }
    if options.alert_payload_length {
        record.number("payload_length", u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
    record.number("stream", is_stream.into());
}

/// Whether alerts show anything of payloads.
pub(crate) fn wants_payload(options: &RecordOptions) -> bool {
    options.alert_payload || options.alert_payload_printable || options.alert_payload_length
}

/// What an alert shows of the packet that raised it, as far as it is wanted.
pub(crate) fn evidence<F: Fields>(record: &mut F, packet: &Packet<'_>, options: &RecordOptions) {
    headers(record, packet, options);
    if options.alert_packet {
        self::packet(record, packet);
    }
    record.value("packet_info", packet_info(packet));
    super::ethernet(record, packet, options);
}

/// The bytes of a packet.
pub(crate) fn packet<F: Fields>(record: &mut F, packet: &Packet<'_>) {
    record.text("packet", &STANDARD.encode(packet.bytes));
}

/// Payload with everything but printable ASCII as a dot.
pub(super) fn printable(payload: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_somewhere() {
        for (system, id, expected) in [
            ("url", "example.org/a", "https://example.org/a"),
            ("url", "gopher://example.org", "gopher://example.org"),
            ("CVE", "2014-0160", "https://cve.mitre.org/cgi-bin/cvename.cgi?name=2014-0160"),
            ("own", "17", "own,17"),
        ] {
            assert_eq!(reference(system, id), expected);
        }
    }
}
