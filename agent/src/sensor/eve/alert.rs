//! `alert` objects.

use serde_json::{Value, json};
use signature::RuleInfo;

use super::Object;

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

/// Payload with everything but printable ASCII as a dot.
pub(crate) fn printable(payload: &[u8]) -> String {
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
