//! Lines that are JSON objects: taken as they are, with the usual names of time and text found.

use event::{Object, Timestamp};
use serde_json::Value;

use super::Entry;

/// Names under which programs write the time, in order.
const TIMES: [&str; 6] = ["@timestamp", "timestamp", "time", "ts", "date", "datetime"];
/// Names under which programs write the text.
const TEXTS: [&str; 3] = ["message", "msg", "log"];

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
/// are kept and cannot be taken for ours.
fn keep_envelope_free(object: &mut Object) {
    for name in ["event_type", "timestamp", "@timestamp"] {
        if let Some(value) = object.shift_remove(name) {
            object.insert(format!("original_{}", name.trim_start_matches('@')), value);
        }
    }
}
