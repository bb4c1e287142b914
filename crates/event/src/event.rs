//! One normalised event and the document it is stored as.
//!
//! Network records keep EVE names and shapes, host fields ECS names. The envelope (id, times,
//! origin) is kept beside the fields and merged in once, when the document is made.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AgentId, EventId, Object, Timestamp};

/// The stored form of an event: fields and envelope in one JSON object.
pub type Document = Object;

/// What an event tells of; its text is EVE's `event_type`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A flow that ended or timed out.
    Flow,
    /// A DNS message.
    Dns,
    /// An HTTP transaction.
    Http,
    /// A TLS handshake.
    Tls,
    /// A file seen in transit.
    File,
    /// A log record of a host or application.
    Log,
    /// A detection by any engine.
    Alert,
    /// A malformed packet, stream or protocol message.
    Anomaly,
    /// Counters of a sensor.
    Stats,
    /// The product's own state: starts, losses, rejected rules, quiet sources.
    Health,
    /// Who did what in the product.
    Audit,
    /// Any other EVE event type, by its name.
    Other(Box<str>),
}

impl Kind {
    /// EVE's name of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::File => "fileinfo",
            Self::Log => "log",
            Self::Alert => "alert",
            Self::Anomaly => "anomaly",
            Self::Stats => "stats",
            Self::Health => "health",
            Self::Audit => "audit",
            Self::Other(name) => name,
        }
    }

    /// The kind of an EVE `event_type`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "flow" => Self::Flow,
            "dns" => Self::Dns,
            "http" => Self::Http,
            "tls" => Self::Tls,
            "fileinfo" => Self::File,
            "log" => Self::Log,
            "alert" => Self::Alert,
            "anomaly" => Self::Anomaly,
            "stats" => Self::Stats,
            "health" => Self::Health,
            "audit" => Self::Audit,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Ok(Self::from_name(&text))
    }
}

/// Where a batch of events comes from; the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Identity of the agent or ingest token.
    pub agent: AgentId,
    /// Host name as the agent knows it.
    pub host: String,
    /// Version of the agent.
    #[serde(default)]
    pub version: String,
    /// Network zone it stands in, as configured; empty when not.
    #[serde(default)]
    pub zone: String,
    /// Region or site, as configured; empty when not.
    #[serde(default)]
    pub region: String,
}

/// One thing that happened, normalised, owned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position within the agent's run; with the agent and boot of the batch it is the identity.
    pub seq: u64,
    /// When it happened, by packet or record.
    pub time: Timestamp,
    /// When the agent saw it, by the agent's clock.
    pub seen: Timestamp,
    /// What it tells of.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// EVE and ECS fields, nested, without the envelope.
    pub fields: Object,
}

/// Names below objects that only the envelope sets.
const ENVELOPE: [&str; 4] = ["event.id", "event.created", "agent.id", "agent.version"];

/// Why a document is no event.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A field of the envelope is absent or of the wrong type.
    #[error("document lacks a usable {field}")]
    Field {
        /// Its dotted name.
        field: &'static str,
    },
}

impl Event {
    /// The identity of this event within `agent` and `boot`.
    #[must_use]
    pub fn id(&self, agent: &AgentId, boot: u64) -> EventId {
        EventId { agent: agent.clone(), boot, seq: self.seq }
    }

    /// The stored form: envelope first, then the fields.
    ///
    /// `timestamp`, `event_type`, `event.{id,created}`, `agent.{id,version}`, `host.name`, `zone`
    /// and `region` are set by the envelope, except that a `host` of the record itself stays.
    #[must_use]
    pub fn into_document(self, origin: &Origin, boot: u64) -> Document {
        let mut out = Document::new();
        let id = self.id(&origin.agent, boot);
        out.insert("timestamp".into(), Value::String(self.time.to_string()));
        out.insert("event_type".into(), Value::String(self.kind.as_str().to_owned()));
        for (name, value) in self.fields {
            // A dotted key would be found before the nested one that the envelope sets.
            let forged = ENVELOPE.contains(&name.as_str());
            let name = if forged { format!("original.{name}") } else { name };
            out.entry(name).or_insert(value);
        }
        let event = child(&mut out, "event");
        event.insert("id".into(), Value::String(id.to_string()));
        event.insert("created".into(), Value::String(self.seen.to_string()));
        let agent = child(&mut out, "agent");
        agent.insert("id".into(), Value::String(origin.agent.to_string()));
        agent.insert("version".into(), Value::String(origin.version.clone()));
        let host = child(&mut out, "host");
        host.entry("name").or_insert_with(|| Value::String(origin.host.clone()));
        for (name, value) in [("zone", &origin.zone), ("region", &origin.region)] {
            if !value.is_empty() {
                out.insert(name.into(), Value::String(value.clone()));
            }
        }
        out
    }
}

/// The object at `name`, made when absent; a scalar in its place moves to `name.original`.
fn child<'a>(out: &'a mut Object, name: &str) -> &'a mut Object {
    let slot = out.entry(name).or_insert_with(|| Value::Object(Object::new()));
    if !slot.is_object() {
        let mut moved = Object::new();
        moved.insert("original".into(), slot.take());
        *slot = Value::Object(moved);
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("made an object just above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn origin() -> Origin {
        Origin {
            agent: AgentId::new("web-1").unwrap(),
            host: "web1.example".into(),
            version: "0.1.0".into(),
            zone: "dmz".into(),
            region: String::new(),
        }
    }

    fn event(fields: Value) -> Event {
        let Value::Object(fields) = fields else { panic!("an object") };
        Event {
            seq: 7,
            time: Timestamp::from_seconds(10),
            seen: Timestamp::from_seconds(11),
            kind: Kind::Dns,
            fields,
        }
    }

    #[test]
    fn document_has_envelope_and_fields() {
        let document = event(json!({"src_ip": "10.0.0.1", "dns": {"rrname": "a.example"}}))
            .into_document(&origin(), 1);
        expect_test::expect![[r#"{"timestamp":"1970-01-01T00:00:10.000000+0000","event_type":"dns","src_ip":"10.0.0.1","dns":{"rrname":"a.example"},"event":{"id":"web-1/0000000000000001/7","created":"1970-01-01T00:00:11.000000+0000"},"agent":{"id":"web-1","version":"0.1.0"},"host":{"name":"web1.example"},"zone":"dmz"}"#]]
        .assert_eq(&serde_json::to_string(&document).unwrap());
    }

    #[test]
    fn hostile_fields_cannot_forge_the_envelope() {
        let document = event(json!({
            "timestamp": "2000-01-01T00:00:00Z", "event_type": "audit", "agent": "evil",
            "event": {"id": "other/0/1"}, "host": {"name": "inner"}
        }))
        .into_document(&origin(), 1);
        assert_eq!(document["event_type"], "dns");
        assert_eq!(document["timestamp"], "1970-01-01T00:00:10.000000+0000");
        assert_eq!(document["event"]["id"], "web-1/0000000000000001/7");
        assert_eq!(document["agent"]["id"], "web-1");
        assert_eq!(document["agent"]["original"], "evil");
        assert_eq!(document["host"]["name"], "inner");
    }

    #[test]
    fn dotted_names_cannot_forge_it_either() {
        let fields = json!({"event.id": "other/0/1", "agent.id": "evil", "event.created": "x", "host.name": "own"});
        let document = event(fields).into_document(&origin(), 1);
        for (name, expected) in [
            ("event.id", "web-1/0000000000000001/7"),
            ("event.created", "1970-01-01T00:00:11.000000+0000"),
            ("agent.id", "web-1"),
            ("original.agent.id", "evil"),
            ("host.name", "own"),
        ] {
            assert_eq!(crate::get(&document, name), Some(&json!(expected)), "{name}");
        }
    }

    #[test]
    fn kinds_keep_eve_names() {
        for name in ["flow", "dns", "http", "tls", "fileinfo", "log", "alert", "smtp"] {
            assert_eq!(Kind::from_name(name).as_str(), name);
        }
        assert_eq!(Kind::from_name("flow"), Kind::Flow);
    }
}
