//! Detection over events in the agent: Sigma rules, thresholds, baselines.
//!
//! Each engine becomes a [`Detector`] of the outbox. What is refused at loading is told by name and
//! counted; correlations over several hosts are the collector's.

use std::sync::Arc;

use anyhow::Result;
use event::{Event, EventId, Timestamp};
use serde_json::Value;
use sigma::{Record, RuleSet, Scratch};

use crate::config::RulesConfig;
use crate::outbox::Detector;

/// Rules in force and refused, of one engine.
pub type Loaded = (u64, u64);

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The Sigma engine, when rules are configured.
///
/// # Errors
/// When a file cannot be read.
pub fn sigma(config: &RulesConfig, host: &str) -> Result<Option<(Box<dyn Detector>, Loaded)>> {
    if config.sigma.is_empty() {
        return Ok(None);
    }
    let files = service::files::find(&config.sigma, &["yml", "yaml"])?;
    let texts = service::files::read(&files)?;
    let (rules, report) = RuleSet::load(texts.into_iter(), &sigma::Options::default());
    for rejected in &report.rejected {
        let (file, id, reason) = (&rejected.file, &rejected.id, &rejected.reason);
        tracing::error!(file, id, reason, "Sigma rule refused");
    }
    for inert in &report.inert {
        tracing::warn!(id = inert.id, reason = inert.reason, "Sigma rule cannot fire");
    }
    let loaded = (count(report.accepted), count(report.rejected.len()));
    tracing::info!(loaded = loaded.0, refused = loaded.1, "Sigma rules");
    let detector =
        SigmaDetector { rules: Arc::new(rules), scratch: Scratch::new(), host: host.to_owned() };
    Ok(Some((Box::new(detector), loaded)))
}

/// The threshold and baseline engine, when rules are configured.
///
/// # Errors
/// When a file cannot be read.
pub fn anomaly(config: &RulesConfig) -> Result<Option<(Box<dyn Detector>, Loaded)>> {
    if config.anomaly.is_empty() {
        return Ok(None);
    }
    let files = service::files::find(&config.anomaly, &["yml", "yaml"])?;
    let sources = service::files::read(&files)?;
    let sources: Vec<anomaly::Source> =
        sources.into_iter().map(|(name, text)| anomaly::Source { name, text }).collect();
    let (rules, errors) = anomaly::RuleSet::load(&sources, &anomaly::Options::default());
    for error in &errors {
        tracing::error!(%error, "threshold rule refused");
    }
    let loaded = (count(rules.rules().len()), count(errors.len()));
    tracing::info!(loaded = loaded.0, refused = loaded.1, "threshold rules");
    let detector =
        AnomalyDetector { engine: anomaly::Engine::with_seed(&rules, seed()), found: Vec::new() };
    Ok(Some((Box::new(detector), loaded)))
}

/// A random seed, so that nobody can aim at the sketches; fixed when the system gives none.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random numbers; sketches use a fixed seed");
    }
    u64::from_le_bytes(bytes)
}

struct SigmaDetector {
    rules: Arc<RuleSet>,
    scratch: Scratch,
    host: String,
}

impl Detector for SigmaDetector {
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>) {
        // Rules see the event as it will be stored: with its type, and its host.
        if event::get(&event.fields, "host.name").is_none() {
            event::set(&mut event.fields, "host.name", Value::String(self.host.clone()));
        }
        let kind = Value::String(event.kind.as_str().to_owned());
        let before = event.fields.insert("event_type".to_owned(), kind);
        let matches = self.matches(event, id);
        match before {
            Some(value) => {
                event.fields.insert("event_type".to_owned(), value);
            }
            None => {
                event.fields.shift_remove("event_type");
            }
        }
        found.extend(matches);
    }
}

impl SigmaDetector {
    fn matches(&mut self, event: &Event, id: &EventId) -> Vec<Event> {
        let record = Record::new(&event.fields);
        let matched = self.rules.evaluate(&record, &mut self.scratch).to_vec();
        let mut out = Vec::new();
        for rule in matched.into_iter().filter(|rule| self.rules.speaks(*rule)) {
            let Some(found) = self.rules.describe(rule, &record, &mut self.scratch) else {
                continue;
            };
            let mut detection = found.into_detection();
            detection.evidence.insert(0, id.to_string());
            let mut context = event.fields.clone();
            context.shift_remove("event_type");
            context.shift_remove("alert");
            out.push(detection.into_event(event.time, event.seen, context));
        }
        out
    }
}

struct AnomalyDetector {
    engine: anomaly::Engine,
    found: Vec<anomaly::Finding>,
}

impl Detector for AnomalyDetector {
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>) {
        let id = id.to_string();
        let view = anomaly::EventView { id: Some(&id), ..anomaly::EventView::of(event) };
        self.engine.observe(&view, &mut self.found);
        let seen: Timestamp = event.seen;
        found.extend(self.found.drain(..).map(|finding| finding.to_event(seen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{AgentId, Detection, Kind};

    fn event(message: &str) -> Event {
        let parser =
            crate::parse::Parser::new(crate::config::Format::Auto, crate::parse::Zone::utc());
        parser.event(message.as_bytes(), Timestamp::from_seconds(1_795_359_845)).0
    }

    fn id(seq: u64) -> EventId {
        EventId { agent: AgentId::new("a").unwrap(), boot: 1, seq }
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> RulesConfig {
        std::fs::write(folder.path().join(name), text).unwrap();
        RulesConfig::default()
    }

    #[test]
    fn a_sigma_rule_fires_with_its_evidence_and_context() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "title: Root login\nid: 0f06a3a5-6a09-413f-8743-e6cf35561297\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  sel:\n    user.name: root\n    event.outcome: success\n  condition: sel\nlevel: high\n";
        let mut config = write(&folder, "a.yml", rule);
        config.sigma = vec![folder.path().to_owned()];
        std::fs::write(folder.path().join("b.yml"), "title: broken\n").unwrap();
        let (mut detector, loaded) = sigma(&config, "web1").unwrap().unwrap();
        assert_eq!(loaded, (1, 1));
        let line =
            "Nov 22 15:04:05 web1 sshd[8]: Accepted password for root from 192.0.2.7 port 5 ssh2";
        let mut login = event(line);
        let mut found = Vec::new();
        detector.event(&mut login, &id(7), &mut found);
        assert_eq!(
            (login.kind.clone(), login.fields.contains_key("event_type")),
            (Kind::Log, false)
        );
        let detection = Detection::from_document(&found[0].fields).unwrap();
        assert_eq!(detection.evidence[0], "a/0000000000000001/7");
        assert_eq!(detection.entity.value, "192.0.2.7");
        assert_eq!(found[0].fields["user"]["name"], "root");
        detector.event(&mut event("nothing of interest"), &id(8), &mut found);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_threshold_fires_over_several_events() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "title: Many failures\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: high\nselect: { event.outcome: failure }\ngroup-by: [src_ip]\ntimespan: 60s\nthreshold: { count: events, gte: 3 }\n";
        let mut config = write(&folder, "a.yml", rule);
        config.anomaly = vec![folder.path().to_owned()];
        let (mut detector, loaded) = anomaly(&config).unwrap().unwrap();
        assert_eq!(loaded, (1, 0));
        let mut found = Vec::new();
        for seq in 1..=3 {
            let line =
                "Nov 22 15:04:05 web1 sshd[8]: Failed password for root from 192.0.2.7 port 5 ssh2";
            detector.event(&mut event(line), &id(seq), &mut found);
        }
        let detection = Detection::from_document(&found[0].fields).unwrap();
        assert_eq!(detection.entity.value, "192.0.2.7");
        assert!(!detection.evidence.is_empty());
    }

    #[test]
    fn nothing_configured_is_nothing_loaded() {
        let config = RulesConfig::default();
        assert!(sigma(&config, "h").unwrap().is_none() && anomaly(&config).unwrap().is_none());
        let missing = RulesConfig { sigma: vec!["/no/such".into()], ..config };
        assert!(sigma(&missing, "h").is_err());
    }
}
