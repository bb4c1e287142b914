//! `alert` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::Packet;
use serde_json::{Value, json};
use signature::RuleInfo;

use super::Object;
use super::fields::Fields;
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

/// What an alert shows of the packet that raised it, as far as it is wanted.
pub(crate) fn evidence<F: Fields>(record: &mut F, packet: &Packet<'_>, options: &RecordOptions) {
    if options.alert_payload {
        record.text("payload", &STANDARD.encode(packet.payload));
    }
    if options.alert_payload_printable {
        record.text("payload_printable", &printable(packet.payload));
    }
    if options.alert_payload || options.alert_payload_printable {
        // Shown is always the packet's own payload, never the stream around it.
        record.number("stream", 0);
    }
    if options.alert_packet {
        record.text("packet", &STANDARD.encode(packet.bytes));
    }
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
