//! `anomaly` objects.

use net::DecoderEvent;
use net::app::Transaction;
use serde_json::{Value, json};

/// An anomaly found by the decoder or by stream tracking.
pub(crate) fn packet(event: DecoderEvent) -> Value {
    let kind = if event.is_stream() { "stream" } else { "decode" };
    json!({"type": kind, "event": event.name()})
}

/// An anomaly in a transaction.
pub(crate) fn transaction(tx: &Transaction, event: &net::app::Event) -> Value {
    json!({
        "app_proto": tx.protocol().name(),
        "type": "applayer",
        "event": event.name,
        "layer": "proto_parser",
    })
}
