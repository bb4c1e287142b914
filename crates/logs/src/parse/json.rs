//! Lines that are JSON objects: taken as they are, with the usual names of time and text found.

use event::{Object, Timestamp, set};
use serde_json::Value;

use super::{Entry, times, work};

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
    if let Some(time) = first(&object, &TIMES, time) {
        entry.time = time;
    }
    let text = first(&object, &TEXTS, |value| Some(value.as_str()?.to_owned()));
    entry.fields = object;
    keep_envelope_free(&mut entry.fields);
    if let Some(text) = text.and_then(super::entry::owned) {
        entry.fields.insert("message".to_owned(), text);
    }
    entry.text("event.module", "json");
    true
}

/// What the first of these names gives that gives anything. Objects have few names: one look at them costs less
/// than a search for each.
fn first<T>(object: &Object, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let mut found: Option<(usize, T)> = None;
    for (name, value) in object {
        let mut better = names.iter().take(found.as_ref().map_or(names.len(), |(place, _)| *place));
        let place = better.position(|known| known == name);
        if let Some((place, value)) = place.and_then(|place| Some((place, read(value)?))) {
            found = Some((place, value));
        }
    }
    found.map(|(_, value)| value)
}

/// A time as text, or as seconds, milliseconds, microseconds since the epoch by its size.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => Some(times::epoch(number.as_f64()?)),
        _ => None,
    }
}

/// Names of the envelope that a line may carry itself move to `labels`-like names, so that they
/// are kept and cannot be taken for ours. Dotted names below [`OURS`] become nested ones: a flat name
/// would hide what is written there afterwards, such as `event.original` or `log.source.address`.
fn keep_envelope_free(object: &mut Object) {
    let moves = |name: &String| {
        let own = OURS.iter().any(|own| name.starts_with(own));
        own || matches!(name.as_str(), "event_type" | "timestamp" | "@timestamp")
    };
    if !object.keys().any(moves) {
        return;
    }
    // One pass: taking names out of an ordered object one by one costs its length each time.
    let mut behind = Vec::new();
    for (name, value) in std::mem::take(object) {
        work::spend(1);
        let below = OURS.iter().find_map(|own| name.strip_prefix(own)?.strip_prefix('.'));
        if matches!(name.as_str(), "event_type" | "timestamp" | "@timestamp") {
            let name = format!("original_{}", name.trim_start_matches('@'));
            behind.push((name, value, false));
        } else if below.is_some_and(|rest| rest.matches('.').count() < MAX_DOTS) {
            behind.push((name, value, true));
        } else {
            object.insert(name, value);
        }
    }
    for (name, value, dotted) in behind {
        if dotted {
            set(object, &name, value);
        } else {
            object.insert(name, value);
        }
    }
    for own in OURS {
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
