//! What a detection engine found, in one shape for all engines.
//!
//! Signature, Sigma, anomaly and threat-intelligence matches are turned into a [`Detection`] at
//! the border of their engine. It becomes an event of kind `alert`: EVE's `alert` object, so that
//! existing tools read it, and beside it `detection` with what EVE has no room for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Event, Kind, Object, Timestamp};

/// The engine that made a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Suricata-language rules over packets and streams.
    Signature,
    /// Sigma rules over single events.
    Sigma,
    /// Sigma correlation over many events.
    Correlation,
    /// Thresholds, rates and learned baselines.
    Anomaly,
    /// Threat intelligence.
    Intel,
    /// The product about itself: loss, silence, failed pages.
    Health,
}

impl Engine {
    /// Its name in documents and queries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Sigma => "sigma",
            Self::Correlation => "correlation",
            Self::Anomaly => "anomaly",
            Self::Intel => "intel",
            Self::Health => "health",
        }
    }
}

/// How bad it is, with Sigma's level names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Context only; never pages.
    Informational,
    /// Worth a look when there is time.
    Low,
    /// To be looked at within the day.
    Medium,
    /// To be looked at now.
    High,
    /// Somebody is called.
    Critical,
}

impl Severity {
    /// All, from least to worst.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// From a name; `info` is accepted too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "info" => Some(Self::Informational),
            _ => Self::ALL.into_iter().find(|level| level.as_str() == name),
        }
    }

    /// EVE's `alert.severity`: 1 worst, 3 and above least.
    #[must_use]
    pub const fn eve(self) -> u8 {
        match self {
            Self::Critical | Self::High => 1,
            Self::Medium => 2,
            Self::Low => 3,
            Self::Informational => 4,
        }
    }

    /// From a signature's priority, 1 worst.
    #[must_use]
    pub const fn from_priority(priority: u8) -> Self {
        match priority {
            0 | 1 => Self::High,
            2 => Self::Medium,
            3 => Self::Low,
            _ => Self::Informational,
        }
    }
}

/// An ATT&CK technique or tactic: `T1110.001`, `TA0006` or a tactic's short name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Technique(pub String);

/// What a detection is about; alerts are grouped by rule and entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entity {
    /// Field it was taken from, such as `src_ip`, `host.name`, `user.name`.
    pub field: String,
    /// Its value as text.
    pub value: String,
}

/// One finding of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Who found it.
    pub engine: Engine,
    /// Identity of the rule: a sid for signatures, a UUID for Sigma.
    pub rule_id: String,
    /// Revision of the rule; empty when it has none.
    #[serde(default)]
    pub rule_rev: String,
    /// Title or message of the rule.
    pub title: String,
    /// Severity.
    pub severity: Severity,
    /// Category as the rule has it (`Attempted Information Leak`, a Sigma logsource ...).
    #[serde(default)]
    pub category: String,
    /// What it is about.
    pub entity: Entity,
    /// Why it fired, in words: value, expected band, contributors, the fields that matched.
    pub explanation: String,
    /// What to do now, when the rule says so.
    #[serde(default)]
    pub advice: String,
    /// Identities of the events it rests on, at most 32.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// ATT&CK.
    #[serde(default)]
    pub attack: Vec<Technique>,
    /// The rule's own text, so that the finding can be understood when the rule has changed.
    #[serde(default)]
    pub rule_text: String,
}

/// Most identities of evidence kept in a detection.
const MAX_EVIDENCE: usize = 32;

impl Detection {
    /// The event of kind `alert` that tells of this detection. `context` are the fields of the
    /// packet, flow or record it was found in (addresses, protocol object ...); they stay as they are.
    #[must_use]
    pub fn into_event(mut self, time: Timestamp, seen: Timestamp, context: Object) -> Event {
        self.evidence.truncate(MAX_EVIDENCE);
        let mut fields = context;
        let alert = fields.entry("alert").or_insert_with(|| Value::Object(Object::new()));
        if let Value::Object(alert) = alert {
            alert.entry("action").or_insert_with(|| json!("allowed"));
            alert.entry("signature").or_insert_with(|| json!(self.title));
            alert.entry("category").or_insert_with(|| json!(self.category));
            alert.entry("severity").or_insert_with(|| json!(self.severity.eve()));
        }
        if let Ok(value) = serde_json::to_value(&self) {
            fields.insert("detection".into(), value);
        }
        Event { seq: 0, time, seen, kind: Kind::Alert, fields }
    }

    /// Reads the detection back from an alert's document.
    #[must_use]
    pub fn from_document(document: &Object) -> Option<Self> {
        serde_json::from_value(document.get("detection")?.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection() -> Detection {
        Detection {
            engine: Engine::Sigma,
            rule_id: "0f06a3a5-6a09-413f-8743-e6cf35561297".into(),
            rule_rev: String::new(),
            title: "Password guessing".into(),
            severity: Severity::High,
            category: "linux/sshd".into(),
            entity: Entity { field: "source.ip".into(), value: "192.0.2.7".into() },
            explanation: "12 failures in 60 s, threshold 5".into(),
            advice: "Block the source.".into(),
            evidence: (0..100).map(|n| format!("a/0/{n}")).collect(),
            attack: vec![Technique("T1110".into())],
            rule_text: String::new(),
        }
    }

    #[test]
    fn event_and_back() {
        let event = detection().into_event(Timestamp::EPOCH, Timestamp::EPOCH, Object::new());
        assert_eq!(event.kind, Kind::Alert);
        assert_eq!(event.fields["alert"]["severity"], 1);
        assert_eq!(event.fields["alert"]["signature"], "Password guessing");
        let back = Detection::from_document(&event.fields).unwrap();
        assert_eq!(back.evidence.len(), MAX_EVIDENCE);
        assert_eq!(back.entity, detection().entity);
    }

    #[test]
    fn every_part_survives_the_document() {
        let mut full = detection();
        full.evidence.truncate(MAX_EVIDENCE);
        full.rule_text = "title: x\n".into();
        full.rule_rev = "2026-01-02".into();
        for engine in [
            Engine::Signature,
            Engine::Sigma,
            Engine::Correlation,
            Engine::Anomaly,
            Engine::Intel,
            Engine::Health,
        ] {
            for severity in Severity::ALL {
                let one = Detection { engine, severity, ..full.clone() };
                let event =
                    one.clone().into_event(Timestamp::EPOCH, Timestamp::EPOCH, Object::new());
                assert_eq!(event.fields["detection"]["engine"], engine.as_str());
                assert_eq!(event.fields["detection"]["severity"], severity.as_str());
                assert_eq!(event.fields["alert"]["severity"], severity.eve());
                assert_eq!(Detection::from_document(&event.fields), Some(one));
            }
        }
    }

    #[test]
    fn what_is_no_detection_is_none() {
        let event = detection().into_event(Timestamp::EPOCH, Timestamp::EPOCH, Object::new());
        assert_eq!(Detection::from_document(&Object::new()), None);
        for name in ["engine", "rule_id", "title", "severity", "entity", "explanation"] {
            let mut fields = event.fields.clone();
            fields["detection"].as_object_mut().unwrap().remove(name);
            assert_eq!(Detection::from_document(&fields), None, "without {name}");
        }
        // Of an older agent: without what came later.
        let mut fields = event.fields;
        for name in ["rule_rev", "category", "advice", "evidence", "attack", "rule_text"] {
            fields["detection"].as_object_mut().unwrap().remove(name);
        }
        assert_eq!(Detection::from_document(&fields).unwrap().title, "Password guessing");
        fields["detection"]["severity"] = "apocalyptic".into();
        assert_eq!(Detection::from_document(&fields), None);
    }

    #[test]
    fn priorities_of_signatures() {
        for (priority, expected) in [
            (0, "high"),
            (1, "high"),
            (2, "medium"),
            (3, "low"),
            (4, "informational"),
            (255, "informational"),
        ] {
            assert_eq!(Severity::from_priority(priority).as_str(), expected, "{priority}");
        }
    }

    #[test]
    fn context_is_kept() {
        let Value::Object(context) =
            json!({"alert": {"action": "blocked", "gid": 1}, "src_ip": "10.0.0.1"})
        else {
            panic!("an object")
        };
        let event = detection().into_event(Timestamp::EPOCH, Timestamp::EPOCH, context);
        assert_eq!(event.fields["alert"]["action"], "blocked");
        assert_eq!(event.fields["src_ip"], "10.0.0.1");
    }

    #[test]
    fn severities() {
        for level in Severity::ALL {
            assert_eq!(Severity::from_name(level.as_str()), Some(level));
        }
        assert_eq!(Severity::from_name("info"), Some(Severity::Informational));
        assert_eq!(Severity::from_name("HIGH"), None);
        assert!(Severity::Critical > Severity::Low);
    }
}
