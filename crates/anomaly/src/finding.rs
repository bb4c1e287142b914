//! What a rule found, with everything an analyst needs to believe it, and its form as detection.

use std::sync::Arc;

use event::{Detection, Engine, Entity, Event, Object, Timestamp};
use serde_json::Value;

use crate::Rule;

/// One finding of one rule about one group.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The measured value.
    pub value: f64,
    /// What was expected: the band from low to high. For a threshold, 0 up to the limit.
    pub expected: (f64, f64),
    /// Unit of the value: `events`, `distinct dest_port`, `bits` ...
    pub unit: String,
    /// Field and value of what the events were grouped by.
    pub group: Vec<(String, String)>,
    /// Values that contributed most and how many events each.
    pub contributors: Vec<(String, u64)>,
    /// First event of the window.
    pub first: Timestamp,
    /// Last event of the window: the time of the finding.
    pub last: Timestamp,
    /// Identities of sample events: the first and the latest.
    pub events: Vec<String>,
    /// Why, in words.
    pub explanation: String,
}

impl Finding {
    /// What the finding is about: the rule's `entity`.
    #[must_use]
    pub fn entity(&self) -> Entity {
        let at = self.group.get(self.rule.entity).or_else(|| self.group.first());
        let (field, value) = at.cloned().unwrap_or_else(|| ("network".into(), "all".into()));
        Entity { field, value }
    }

    /// The finding in the shape of all engines.
    #[must_use]
    pub fn to_detection(&self) -> Detection {
        Detection {
            engine: Engine::Anomaly,
            rule_id: self.rule.id.clone(),
            rule_rev: self.rule.modified.clone(),
            title: self.rule.title.clone(),
            severity: self.rule.level,
            category: self.rule.check.name().to_owned(),
            entity: self.entity(),
            explanation: self.explanation.clone(),
            advice: self.rule.advice.clone(),
            evidence: self.events.clone(),
            attack: self.rule.attack.clone(),
            rule_text: self.rule.text.clone(),
        }
    }

    /// The finding as an event of kind `alert`, with the fields of the group as context.
    #[must_use]
    pub fn to_event(&self, seen: Timestamp) -> Event {
        let mut context = Object::new();
        for (field, value) in &self.group {
            if !field.contains('|') {
                let number = value.parse::<i64>().ok().filter(|_| is_number(field));
                event::set(
                    &mut context,
                    field,
                    number.map_or_else(|| value.clone().into(), Value::from),
                );
            }
        }
        self.to_detection().into_event(self.last, seen, context)
    }
}

fn is_number(field: &str) -> bool {
    event::by_name(field).is_some_and(|field| field.kind == event::FieldType::Number)
}

/// A number for people: whole when it is, else one digit after the point.
pub(crate) fn show(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A period for people.
pub(crate) fn period(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        if seconds >= length && seconds % length == 0 {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}
