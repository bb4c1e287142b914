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
        self::packet(record, packet);
    }
    if let Some(mac) = packet.mac.filter(|_| options.ethernet) {
        super::ethernet(record, mac);
    }
}

/// The bytes of a packet.
pub(crate) fn packet<F: Fields>(record: &mut F, packet: &Packet<'_>) {
    record.text("packet", &STANDARD.encode(packet.bytes));
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
