//! `anomaly` objects.

use net::DecoderEvent;
use net::app::Transaction;
use serde_json::{Value, json};

/// An anomaly found by the decoder or by stream tracking.
pub(crate) fn packet(event: DecoderEvent) -> Value {
    let kind = if event.is_stream() { "stream" } else { "decode" };
    json!({"type": kind, "event": event.name()})
}

/// An anomaly in what a flow speaks.
pub(crate) fn of_flow(protocol: net::Protocol, event: &str) -> Value {
    json!({
        "app_proto": protocol.name(),
        "type": "applayer",
        "event": event.to_ascii_uppercase(),
        "layer": "proto_detect",
    })
}

/// An anomaly in a transaction.
pub(crate) fn transaction(tx: &Transaction, event: &net::app::Event) -> Value {
    // Those of the oldest protocols are written in capitals.
    let name = match tx.protocol() {
        net::Protocol::Smtp | net::Protocol::Http | net::Protocol::Tls => {
            event.name.to_ascii_uppercase()
        }
        _ => event.name.to_owned(),
    };
    json!({
        "app_proto": tx.protocol().name(),
        "type": "applayer",
        "event": name,
        "layer": "proto_parser",
    })
}
