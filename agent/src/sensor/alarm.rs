//! An alert record as a detection: who is it about, why did it fire, what does the rule say.

use std::collections::HashMap;
use std::sync::Arc;

use event::{Detection, Engine, Entity, Severity, Technique};
use serde_json::Value;
use signature::{RuleId, RuleInfo, RuleSet};

use super::eve::Object;

/// Longest rule text kept, bytes.
const MAX_RULE: usize = 4096;

fn text<'a>(record: &'a Object, name: &str) -> Option<&'a str> {
    event::get(record, name).and_then(Value::as_str)
}

fn number(record: &Object, name: &str) -> u64 {
    event::get(record, name).and_then(Value::as_u64).unwrap_or(0)
}

/// The rules in force by what alerts say of them: one look instead of one over all rules per alert.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    rules: Option<Arc<RuleSet>>,
    ids: HashMap<(u64, u64), RuleId>,
}

impl Texts {
    pub(crate) fn new(rules: &Arc<RuleSet>) -> Self {
        let ids = rules.ids().filter_map(|id| {
            let rule = rules.rule(id)?;
            Some(((u64::from(rule.gid), u64::from(rule.sid)), id))
        });
        Self { ids: ids.collect(), rules: Some(Arc::clone(rules)) }
    }

    fn rule(&self, gid: u64, sid: u64) -> Option<RuleInfo<'_>> {
        self.rules.as_ref()?.rule(*self.ids.get(&(gid, sid))?)
    }
}

/// The detection of an `alert` record. The entity is the side that began the flow: the attacker of
/// a server, or the host behind an outgoing connection.
pub(crate) fn detection(record: &Object, texts: &Texts) -> Detection {
    let (gid, sid) = (number(record, "alert.gid"), number(record, "alert.signature_id"));
    let rule = texts.rule(gid, sid);
    let entity = ["flow.src_ip", "src_ip"].iter().find_map(|name| text(record, name));
    let title = text(record, "alert.signature").unwrap_or_default();
    let (from, to) =
        (text(record, "src_ip").unwrap_or("?"), text(record, "dest_ip").unwrap_or("?"));
    let protocol = text(record, "app_proto").or_else(|| text(record, "proto")).unwrap_or("?");
    let port = number(record, "dest_port");
    let rule_text = rule.as_ref().map(|rule| {
        let shown = rule.text.get(..rule.text.len().min(MAX_RULE)).unwrap_or_default();
        String::from_utf8_lossy(shown).into_owned()
    });
    Detection {
        engine: Engine::Signature,
        rule_id: sid.to_string(),
        rule_rev: number(record, "alert.rev").to_string(),
        title: title.to_owned(),
        severity: Severity::from_priority(
            u8::try_from(number(record, "alert.severity")).unwrap_or(u8::MAX),
        ),
        category: text(record, "alert.category").unwrap_or_default().to_owned(),
        entity: Entity { field: "src_ip".into(), value: entity.unwrap_or("unknown").to_owned() },
        explanation: format!(
            "signature {gid}:{sid} matched {protocol} from {from} to {to} port {port}"
        ),
        advice: String::new(),
        evidence: Vec::new(),
        attack: rule
            .map(|rule| rule.attack_ids().map(|id| Technique(id.to_owned())).collect())
            .unwrap_or_default(),
        rule_text: rule_text.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use signature::{LoadOptions, Source};

    #[test]
    fn the_entity_is_who_began_the_flow() {
        let rule = "alert tcp any any -> any any (msg:\"evil\"; content:\"x\"; sid:7; rev:2; metadata:mitre_technique_id T1190;)";
        let source = Source { name: "a.rules".into(), text: rule.into() };
        let (rules, _) = RuleSet::load(vec![source], &LoadOptions::default());
        let Value::Object(record) = json!({
            "src_ip": "10.0.0.9", "dest_ip": "192.0.2.1", "dest_port": 4444, "proto": "TCP",
            "flow": {"src_ip": "192.0.2.1"},
            "alert": {"gid": 1, "signature_id": 7, "rev": 2, "signature": "evil", "severity": 1},
        }) else {
            panic!("an object")
        };
        let detection = detection(&record, &Texts::new(&Arc::new(rules)));
        assert_eq!(detection.entity.value, "192.0.2.1");
        assert_eq!(detection.attack, [Technique("T1190".into())]);
        assert_eq!((detection.severity, detection.rule_id.as_str()), (Severity::High, "7"));
        assert_eq!(detection.rule_text, rule);
        assert!(detection.explanation.contains("signature 1:7 matched TCP"));
    }
}
