//! Detection over events: loading, findings, the clock, the way over a restart.

use super::*;
use event::{AgentId, Detection, Kind};

fn event(message: &str) -> Event {
    let parser = crate::parse::Parser::new(crate::config::Format::Auto, crate::parse::Zone::utc());
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
    assert_eq!((login.kind.clone(), login.fields.contains_key("event_type")), (Kind::Log, false));
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
    let (mut detector, loaded) = anomaly(&config, None).unwrap().unwrap();
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
    assert!(sigma(&config, "h").unwrap().is_none() && anomaly(&config, None).unwrap().is_none());
    let missing = RulesConfig { sigma: vec!["/no/such".into()], ..config };
    assert!(sigma(&missing, "h").is_err());
}
