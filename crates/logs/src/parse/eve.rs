//! Records of a Suricata beside us: EVE, which is what our own network records are. Their types, times
//! and fields stay; an alert becomes a detection as our own signatures' do, so that it is raised,
//! grouped and paged.
//!
//! For files that are configured as EVE: whoever writes them decides what is an alert.

use event::{Detection, Engine, Entity, Kind, Object, Severity, Technique, set};
use serde_json::Value;

use super::Entry;

/// Longest name of a type.
const MAX_TYPE: usize = 64;

/// Reads one record; false when it is no EVE.
pub(super) fn read(line: &str, entry: &mut Entry) -> bool {
    let Ok(Value::Object(mut record)) = serde_json::from_str::<Value>(line) else { return false };
    let kind = match record.shift_remove("event_type") {
        Some(Value::String(kind)) if !kind.is_empty() && kind.len() <= MAX_TYPE => kind,
        _ => return false,
    };
    if let Some(time) = record.shift_remove("timestamp") {
        match time.as_str().and_then(|text| text.parse().ok()) {
            Some(time) => entry.time = time,
            None => set(&mut record, "original.timestamp", time),
        }
    }
    // Its own name for the host that it ran on.
    if let Some(Value::String(host)) = record.get("host") {
        let mut named = Object::new();
        named.insert("name".to_owned(), Value::String(host.clone()));
        record.insert("host".to_owned(), Value::Object(named));
    }
    // Ours alone: what is in a file is not yet a detection of ours.
    record.shift_remove("detection");
    entry.kind = match Kind::from_name(&kind) {
        // The state of a sensor that is not ours, and what it looked up, say nothing about us.
        Kind::Health | Kind::Audit => Kind::Other("suricata".into()),
        other => other,
    };
    entry.fields = record;
    if entry.kind == Kind::Alert {
        let detection = detection(&entry.fields);
        entry.fields =
            detection.into_event(entry.time, entry.time, std::mem::take(&mut entry.fields)).fields;
    }
    entry.text("event.module", "suricata");
    true
}

fn text<'a>(record: &'a Object, name: &str) -> &'a str {
    event::get(record, name).and_then(Value::as_str).unwrap_or_default()
}

fn number(record: &Object, name: &str) -> u64 {
    event::get(record, name).and_then(Value::as_u64).unwrap_or(0)
}

/// The detection of an alert. Its entity is the side that began the flow, as for our own signatures.
fn detection(record: &Object) -> Detection {
    let (gid, sid) = (number(record, "alert.gid"), number(record, "alert.signature_id"));
    let known = ["flow.src_ip", "src_ip"].map(|name| text(record, name));
    let entity = known.into_iter().find(|text| !text.is_empty()).unwrap_or("unknown");
    let (from, to) = (text(record, "src_ip"), text(record, "dest_ip"));
    let techniques = event::get(record, "alert.metadata.mitre_technique_id");
    let techniques = techniques.and_then(Value::as_array).into_iter().flatten();
    Detection {
        engine: Engine::Signature,
        rule_id: sid.to_string(),
        rule_rev: number(record, "alert.rev").to_string(),
        title: text(record, "alert.signature").to_owned(),
        severity: Severity::from_priority(
            u8::try_from(number(record, "alert.severity")).unwrap_or(u8::MAX),
        ),
        category: text(record, "alert.category").to_owned(),
        entity: Entity { field: "src_ip".to_owned(), value: entity.to_owned() },
        explanation: format!(
            "signature {gid}:{sid} of Suricata matched {} from {from} to {to} port {}",
            text(record, "proto"),
            number(record, "dest_port"),
        ),
        advice: String::new(),
        evidence: Vec::new(),
        attack: techniques.filter_map(|one| Some(Technique(one.as_str()?.to_owned()))).collect(),
        rule_text: text(record, "alert.rule").to_owned(),
    }
}
