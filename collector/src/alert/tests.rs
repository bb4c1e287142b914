//! Grouping, state and history of alerts.

use super::*;
use crate::testing::{START, alert_document, detection, state};

mod machine;

fn fixture() -> (tempfile::TempDir, Arc<State>, Clock, Alerts) {
    let (folder, state) = state();
    let clock = Clock::manual(START);
    let alerts = Alerts::load(Arc::clone(&state), clock.clone()).unwrap();
    (folder, state, clock, alerts)
}

fn document(seq: u64, rule: &str, entity: &str, severity: Severity, micros: i64) -> Document {
    let mut detection = detection(rule, entity, severity);
    detection.explanation = format!("because {seq}");
    detection.evidence = vec![format!("a/0/{seq}")];
    alert_document(seq, detection, micros)
}

fn record(alerts: &Alerts, documents: &[Document]) -> usize {
    let last = text(documents.last().unwrap(), "event.id").unwrap();
    let last_seq = last.parse::<EventId>().unwrap().seq;
    let documents = documents.iter().collect();
    alerts.record(&Arrived { agent: "a", boot: 7, last_seq, documents }).unwrap()
}

fn all(alerts: &Alerts) -> Vec<Alert> {
    alerts.list(|_| true, 100).0
}

#[test]
fn detections_group_by_rule_and_entity() {
    let (_folder, _state, _clock, alerts) = fixture();
    let many: Vec<_> = (1..=100)
        .map(|seq| document(seq, "r", "10.0.0.1", Severity::Medium, START + seq as i64))
        .collect();
    assert_eq!(record(&alerts, &many), 100);
    record(&alerts, &[document(101, "r", "10.0.0.2", Severity::Medium, START)]);
    record(&alerts, &[document(102, "other", "10.0.0.1", Severity::Medium, START)]);
    let found = all(&alerts);
    assert_eq!(found.len(), 3);
    let first = found.iter().find(|one| one.count == 100).unwrap();
    assert_eq!(first.evidence.len(), MAX_EVIDENCE);
    assert_eq!(first.last.micros() - first.first.micros(), 99);
    assert_eq!(first.hosts, ["web1"]);
    assert_eq!(first.explanation, "because 100");
}

#[test]
fn a_batch_sent_again_counts_once_also_after_a_restart() {
    let (_folder, state, clock, alerts) = fixture();
    let batch = [1, 2, 3].map(|seq| document(seq, "r", "10.0.0.1", Severity::Low, START));
    assert_eq!(record(&alerts, &batch), 3);
    assert_eq!(record(&alerts, &batch), 0);
    let alerts = Alerts::load(state, clock).unwrap();
    let longer = [2, 3, 4].map(|seq| document(seq, "r", "10.0.0.1", Severity::Low, START));
    assert_eq!(record(&alerts, &longer), 1);
    assert_eq!(all(&alerts)[0].count, 4);
}

#[test]
fn what_comes_after_closing_or_a_day_is_a_new_alert() {
    let (_folder, _state, _clock, alerts) = fixture();
    record(&alerts, &[document(1, "r", "e", Severity::Low, START)]);
    let id = all(&alerts)[0].id.clone();
    alerts.act(&id, Action::Close(Verdict::Benign), "alice", "scanner of ours").unwrap();
    record(&alerts, &[document(2, "r", "e", Severity::Low, START + 1)]);
    assert_eq!(all(&alerts).len(), 2);
    record(&alerts, &[document(3, "r", "e", Severity::Low, START + 2)]);
    assert_eq!(all(&alerts).len(), 2);
    let later = START + (WINDOW + 1) * 1_000_000;
    record(&alerts, &[document(4, "r", "e", Severity::Low, later)]);
    assert_eq!(all(&alerts).len(), 3);
    let closed = alerts.get(&id).unwrap();
    assert_eq!(closed.timeline.last().unwrap().what, "closed as benign: scanner of ours");
}

#[test]
fn severity_rises_and_is_noted() {
    let (_folder, _state, _clock, alerts) = fixture();
    record(&alerts, &[document(1, "r", "e", Severity::Low, START)]);
    record(&alerts, &[document(2, "r", "e", Severity::Critical, START)]);
    record(&alerts, &[document(3, "r", "e", Severity::Low, START)]);
    let alert = &all(&alerts)[0];
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(alert.timeline.len(), 2);
}

#[test]
fn actions_fit_the_state() {
    let (_folder, _state, _clock, alerts) = fixture();
    record(&alerts, &[document(1, "r", "e", Severity::Low, START)]);
    let id = all(&alerts)[0].id.clone();
    let act = |action| alerts.act(&id, action, "alice", "").map_err(|error| error.to_string());
    assert_eq!(act(Action::Reopen).unwrap_err(), "the alert is open already");
    assert_eq!(act(Action::Acknowledge).unwrap().owner.as_deref(), Some("alice"));
    assert_eq!(act(Action::Acknowledge).unwrap_err(), "the alert is acknowledged already");
    act(Action::Close(Verdict::TruePositive)).unwrap();
    assert_eq!(act(Action::Acknowledge).unwrap_err(), "the alert is closed already");
    assert_eq!(act(Action::Reopen).unwrap().status, Status::Open);
    assert!(matches!(
        alerts.act("nope", Action::Reopen, "alice", ""),
        Err(AlertError::Unknown { .. })
    ));
}

#[test]
fn an_alert_event_without_detection_is_no_crash() {
    let (_folder, _state, _clock, alerts) = fixture();
    let mut broken = document(1, "r", "e", Severity::Low, START);
    broken.insert("detection".into(), "garbage".into());
    record(&alerts, &[broken]);
    assert!(all(&alerts).is_empty());
}
