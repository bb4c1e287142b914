//! Lines that are JSON objects: taken as they are, with the usual names of time and text found.

use event::{Object, Timestamp, set};
use serde_json::Value;

use super::Entry;

/// Names under which programs write the time, in order.
const TIMES: [&str; 6] = ["@timestamp", "timestamp", "time", "ts", "date", "datetime"];
/// Names under which programs write the text.
const TEXTS: [&str; 3] = ["message", "msg", "log"];

/// Where the agent writes fields of its own into a log event.
const OURS: [&str; 2] = ["event", "log"];
/// Names with more dots are left as they are: none of ours has so many.
const MAX_DOTS: usize = 8;

pub(super) fn read(line: &str, entry: &mut Entry) -> bool {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else { return false };
    if let Some(time) = TIMES.iter().find_map(|name| time(object.get(*name)?)) {
        entry.time = time;
    }
    let text = TEXTS.iter().find_map(|name| Some(object.get(*name)?.as_str()?.to_owned()));
    entry.fields = object;
    keep_envelope_free(&mut entry.fields);
    if let Some(text) = text {
        entry.text("message", &text);
    }
    entry.text("event.module", "json");
    true
}

/// A time as text, or as seconds, milliseconds, microseconds since the epoch by its size.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => {
            let seconds = number.as_f64()?;
            let scale = match seconds.abs() {
                size if size < 1e11 => 1e6,
                size if size < 1e14 => 1e3,
                _ => 1.0,
            };
            #[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
            let micros = (seconds * scale) as i64;
            Some(Timestamp::from_micros(micros))
        }
        _ => None,
    }
}

/// Names of the envelope that a line may carry itself move to `labels`-like names, so that they
/// are kept and cannot be taken for ours. Dotted names below [`OURS`] become nested ones: a flat name
/// would hide what is written there afterwards, such as `event.original` or `log.source.address`.
fn keep_envelope_free(object: &mut Object) {
    for name in ["event_type", "timestamp", "@timestamp"] {
        if let Some(value) = object.shift_remove(name) {
            object.insert(format!("original_{}", name.trim_start_matches('@')), value);
        }
    }
    for own in OURS {
        let below = |name: &&String| {
            let rest = name.strip_prefix(own).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.matches('.').count() < MAX_DOTS)
        };
        let flat: Vec<String> = object.keys().filter(below).cloned().collect();
        for name in flat {
            if let Some(value) = object.shift_remove(&name) {
                set(object, &name, value);
            }
        }
        if let Some(Value::Object(inner)) = object.get_mut(own) {
            *inner = nested(std::mem::take(inner));
        }
    }
}

/// The object with its dotted names as nested ones.
fn nested(object: Object) -> Object {
    let mut out = Object::new();
    for (name, value) in object {
        let value = match value {
            Value::Object(inner) => Value::Object(nested(inner)),
            other => other,
        };
        if name.matches('.').count() < MAX_DOTS {
            set(&mut out, &name, value);
        } else {
            out.insert(name, value);
        }
    }
    out
}
