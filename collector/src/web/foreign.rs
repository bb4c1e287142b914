//! Events of senders that are no agents of ours: what every way in does with them.
//!
//! A sender says what it likes; it cannot make detections, health or audit records of ours, and
//! not the envelope. Each event is an event of the token it came with.

use event::{AgentId, Event, Kind, Object, Timestamp, set};
use serde_json::Value;

use super::access::Caller;
use super::{App, Failure};

/// An event of fields that came from outside: its own time and kind when it has them.
pub(super) fn event(mut fields: Object, now: Timestamp) -> Event {
    let mut time = None;
    for name in ["@timestamp", "timestamp"] {
        let Some(value) = fields.shift_remove(name) else { continue };
        let read = self::time(&value);
        if read.is_none() {
            set(&mut fields, "original.timestamp", value);
        }
        time = time.or(read);
    }
    let kind = match fields.shift_remove("event_type") {
        Some(Value::String(name)) if name.len() <= 64 => Kind::from_name(&name),
        _ => Kind::Log,
    };
    let kind = match kind {
        Kind::Health | Kind::Audit => Kind::Log,
        other => other,
    };
    fields.shift_remove("detection");
    Event { seq: 0, time: time.unwrap_or(now), seen: now, kind, fields }
}

/// A time as text or as a number of seconds since the epoch with a fraction; of milliseconds,
/// microseconds or nanoseconds when it is that large.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.parse() {
            Ok(time) => return Some(time),
            Err(_) => text.trim().parse::<f64>().ok()?,
        },
        _ => return None,
    };
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        size if size < 1e19 => number / 1e3,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "its size was looked at")]
    let micros = micros.round() as i64;
    Some(Timestamp::from_micros(micros))
}

/// Counts what is not in the events that were stored, by the way it came and the reason.
pub(super) fn left_out(app: &App, way: &str, reason: &str, count: u64) {
    if count > 0 {
        let labels = [("way", way), ("reason", reason)];
        let help = "parts of events of other senders that were left out or cut";
        app.telemetry.count("pikett_ingest_left_out", help, &labels, count);
    }
}

/// Who the events of a caller are from.
///
/// # Errors
/// When its name is no identity, which no token's is.
pub(super) fn sender(caller: &Caller) -> Result<AgentId, Failure> {
    AgentId::new(caller.name()).map_err(|error| Failure::internal(&error))
}

/// Stores events; answered only when they are durable. A client that goes away does not stop it.
///
/// # Errors
/// When the store does not take them; then none may be acknowledged.
pub(super) async fn store(app: &App, sender: AgentId, events: Vec<Event>) -> Result<(), Failure> {
    let pipeline = std::sync::Arc::clone(&app.pipeline);
    let stored = tokio::spawn(async move { pipeline.ingest(&sender, events).await });
    stored.await.map_err(|error| Failure::internal(&error))??;
    Ok(())
}
