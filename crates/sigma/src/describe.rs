//! A match in words: which fields and values, why, and what it is about.
//!
//! Made only for rules that matched; turned into a `Detection` at the border to alerts.

use event::{Detection, Engine, Entity, Severity, Technique};
use serde::Serialize;

use crate::{
    evaluate::{RuleIndex, Scratch},
    expression::{Expression, PredicateId},
    load::RuleSet,
    record::{Record, Scalar},
};

/// Most fields named in one match.
const MAX_FIELDS: usize = 24;
/// Most characters shown of one value.
const MAX_SHOWN: usize = 240;

/// One rule that fits one event, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// Identity of the rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Severity,
    /// Its author; the licence of the rules wants it shown.
    pub author: String,
    /// Its description.
    pub description: String,
    /// ATT&CK.
    pub attack: Vec<Technique>,
    /// Fields and values that made it fit, values cut at 240 characters.
    pub fields: Vec<(String, String)>,
    /// Why, in words.
    pub explanation: String,
    /// What it is about.
    pub entity: Entity,
    /// Log source of the rule, `product/category/service`.
    pub category: String,
    /// Date of the rule's last change.
    pub revision: String,
    /// What else it can be, in the author's words.
    pub false_positives: Vec<String>,
    /// Identity of the event, when it carries one.
    pub event_id: Option<String>,
    /// The rule as it was written, cut at 16 KiB.
    pub rule_text: String,
}

impl RuleSet {
    /// Explains a rule that `evaluate` has just found: `record` and `scratch` must be those of it.
    #[must_use]
    pub fn describe(
        &self,
        rule: RuleIndex,
        record: &Record<'_>,
        scratch: &mut Scratch,
    ) -> Option<Match> {
        let rule = self.rules.get(rule.0 as usize)?;
        let mut proofs = Vec::new();
        self.collect(&rule.expression, record, scratch, &mut proofs);
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut reasons = Vec::new();
        let beyond = proofs.len().saturating_sub(MAX_FIELDS);
        for id in proofs.into_iter().take(MAX_FIELDS) {
            let Some(predicate) = self.predicates.get(id as usize) else { continue };
            let words = predicate.test.words();
            let Some((name, value)) = self.proof(id, record, scratch) else {
                let names = self.fields.get(predicate.field as usize);
                let name = names.and_then(|names| names.first()).map_or("an event", String::as_str);
                reasons.push(format!("{name} {words}"));
                continue;
            };
            let shown: String = value.text().unwrap_or_default().chars().take(MAX_SHOWN).collect();
            reasons.push(format!("{name} {words}"));
            if !fields.iter().any(|(known, text)| known == name && *text == shown) {
                fields.push((name.to_owned(), shown));
            }
        }
        if reasons.is_empty() {
            reasons.push("nothing of what the rule excludes is there".to_owned());
        }
        if beyond > 0 {
            reasons.push(format!("and {beyond} more"));
        }
        let conditions = rule.conditions.join("; ");
        let explanation = format!("{} (condition: {conditions})", reasons.join("; "));
        let meta = rule.meta.clone();
        let rule_text = meta.told();
        Some(Match {
            rule_id: meta.id,
            title: meta.title,
            level: meta.level,
            author: meta.author,
            description: meta.description,
            attack: meta.attack,
            fields,
            explanation,
            entity: entity(record),
            category: meta.category,
            revision: meta.revision,
            false_positives: meta.false_positives,
            event_id: record.id(),
            rule_text,
        })
    }

    /// Predicates that are true and carry the truth of the expression.
    fn collect(
        &self,
        expression: &Expression,
        record: &Record<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<PredicateId>,
    ) {
        match expression {
            Expression::Is(id) => {
                if !out.contains(id) {
                    out.push(*id);
                }
            }
            Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
                for part in parts {
                    if part.value(&mut |id| self.is_true(id, record, scratch)) {
                        self.collect(part, record, scratch, out);
                    }
                }
            }
            Expression::Not(_) => {}
        }
    }
}

/// What an event is about: the source address, else the user, else the host.
#[must_use]
pub(crate) fn entity(record: &Record<'_>) -> Entity {
    const NAMES: [(&str, &[&str]); 3] = [
        ("src_ip", &["src_ip", "SourceIp", "IpAddress", "c-ip", "id.orig_h"]),
        ("user.name", &["user.name", "TargetUserName", "SubjectUserName", "User"]),
        ("host.name", &["host.name", "Computer", "host"]),
    ];
    for (field, names) in NAMES {
        for name in names {
            let value = record.find(name).filter(|value| value.is_value()).and_then(Scalar::text);
            if let Some(value) = value.filter(|value| !matches!(value.as_ref(), "" | "-" | "::1")) {
                return Entity { field: field.to_owned(), value: value.into_owned() };
            }
        }
    }
    Entity { field: "host.name".to_owned(), value: "unknown".to_owned() }
}

impl Match {
    /// The match as a detection, for alerts.
    #[must_use]
    pub fn into_detection(self) -> Detection {
        let advice = match self.false_positives.as_slice() {
            [] => String::new(),
            known => format!("Known false positives: {}", known.join("; ")),
        };
        let explanation = if self.description.is_empty() {
            self.explanation
        } else {
            format!("{} Matched: {}", self.description.trim(), self.explanation)
        };
        Detection {
            engine: Engine::Sigma,
            rule_id: self.rule_id,
            rule_rev: self.revision,
            title: self.title,
            severity: self.level,
            category: self.category,
            entity: self.entity,
            explanation,
            advice,
            evidence: self.event_id.into_iter().collect(),
            attack: self.attack,
            rule_text: self.rule_text,
        }
    }
}
