//! What is stored, detected, published and told, also while the disk is full.

use super::*;
use crate::alert::Status;
use crate::testing::{START, Site, detection, origin};
use event::Severity;
use serde_json::{Value, json};
use std::sync::Mutex as StdMutex;

fn agent() -> Origin {
    origin("a")
}

fn text(document: &Document, name: &str) -> String {
    event::get(document, name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Finds something in every document whose message has `bad` in it; notes what it was shown.
struct Finder {
    shown: Arc<StdMutex<Vec<(String, Sent)>>>,
    passes: u32,
}

impl Detector for Finder {
    fn name(&self) -> &'static str {
        "finder"
    }

    fn document(&mut self, document: &Document, by: Sent, found: &mut Vec<Event>) {
        self.shown.lock().unwrap().push((text(document, "event.id"), by));
        if text(document, "message").contains("bad") {
            let now = Timestamp::from_micros(START);
            let one = detection("finder", &text(document, "event.id"), Severity::High);
            found.push(one.into_event(now, now, Object::new()));
        }
    }

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Event>) {
        self.passes += 1;
        if self.passes == 2 {
            found.push(detection("passed", "time", Severity::Low).into_event(
                now,
                now,
                Object::new(),
            ));
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(self.passes.to_string().into_bytes())
    }
}

type Shown = Arc<StdMutex<Vec<(String, Sent)>>>;

fn site() -> (Site, Shown) {
    let shown = Shown::default();
    let finder = Finder { shown: Arc::clone(&shown), passes: 0 };
    (Site::with(vec![Box::new(finder)]), shown)
}

fn events(range: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    range.map(Site::message).collect()
}

fn full(site: &Site, full: bool) {
    site.store.full.store(full, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_is_counted_and_neither_stored_nor_looked_at_again() {
    let (site, shown) = site();
    let pipeline = &site.app.pipeline;
    let take = async |range| pipeline.take(&agent(), 1, events(range)).await.unwrap();
    assert_eq!(take(1..=5).await, Taken { stored: 5, duplicates: 0 });
    assert_eq!(take(1..=5).await, Taken { stored: 0, duplicates: 5 });
    assert_eq!(take(4..=7).await, Taken { stored: 2, duplicates: 2 });
    let other = pipeline.take(&agent(), 2, events(1..=5)).await.unwrap();
    assert_eq!(other.stored, 5, "another boot counts from one again");
    assert_eq!(pipeline.take(&agent(), 1, Vec::new()).await.unwrap().stored, 0);
    assert_eq!(site.find("*").await.len(), 12);
    let first = "a/0000000000000001/1".to_owned();
    let looks = shown.lock().unwrap().iter().filter(|(id, _)| *id == first).count();
    assert_eq!(looks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_batch_and_the_next_attempt_is_complete() {
    let (site, shown) = site();
    full(&site, true);
    let error = site.app.pipeline.take(&agent(), 1, events(1..=3)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no space left for /events: free some or lower the retention, then retry"
    );
    assert!(shown.lock().unwrap().is_empty(), "what is not stored is not looked at");
    full(&site, false);
    assert_eq!(site.app.pipeline.take(&agent(), 1, events(1..=3)).await.unwrap().stored, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_that_cannot_be_stored_are_kept_until_they_can() {
    let (site, _) = site();
    let pipeline = &site.app.pipeline;
    let bad = |seq| Site::log(seq, json!({ "message": "bad" }));
    // The batch is stored, then the disk fills up before its finding is.
    let documents = Arc::new(documents(vec![bad(1)], &agent(), 1));
    full(&site, true);
    pipeline.detect(&documents, Sent::Agent).await;
    assert_eq!(site.app.alerts.list(|_| true, 10).1, 0);
    pipeline.pass().await;
    assert_eq!(site.app.alerts.list(|_| true, 10).1, 0, "still full");
    full(&site, false);
    pipeline.pass().await;
    let found = site.app.alerts.list(|alert| alert.rule_id == "finder", 10).0;
    assert_eq!((found.len(), found[0].count, found[0].status), (1, 1, Status::Open));
    assert_eq!(site.find("detection.rule_id:finder").await.len(), 1);
    pipeline.pass().await;
    assert_eq!(site.find("detection.rule_id:finder").await.len(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_wait_in_bounds_and_what_is_lost_is_counted() {
    let (site, _) = site();
    full(&site, true);
    let now = Timestamp::from_micros(START);
    let one = || detection("x", "e", Severity::Low).into_event(now, now, Object::new());
    site.app.pipeline.store_found((0..MAX_UNSTORED + 7).map(|_| one()).collect()).await;
    assert_eq!(site.app.pipeline.unstored.lock().await.len(), MAX_UNSTORED);
    let metrics = site.app.telemetry.render();
    assert!(metrics.contains("pikett_findings_lost_total{} 7"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_passes_for_detectors_and_their_memory_is_asked_for() {
    let (site, _) = site();
    for expected in [0, 1, 1] {
        site.app.pipeline.pass().await;
        assert_eq!(site.app.alerts.list(|alert| alert.rule_id == "passed", 10).1, expected);
    }
    assert_eq!(site.app.pipeline.memories().await, [("finder", b"3".to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_know_who_brought_a_document_and_never_see_their_own_findings() {
    let (site, shown) = site();
    let bad = |seq| Site::log(seq, json!({ "message": "bad" }));
    site.app.pipeline.take(&agent(), 1, vec![bad(1)]).await.unwrap();
    site.app.pipeline.ingest(&AgentId::new("rsyslog").unwrap(), vec![bad(0)]).await.unwrap();
    let shown = shown.lock().unwrap().clone();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!((shown[0].1, shown[1].1), (Sent::Agent, Sent::Other));
    assert!(shown[1].0.starts_with("rsyslog/"));
    assert_eq!(site.app.alerts.list(|_| true, 10).1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_store_and_alert_is_made_good_by_the_repetition() {
    let site = Site::new();
    let now = Timestamp::from_micros(START);
    let mut event = detection("r", "e", Severity::High).into_event(now, now, Object::new());
    event.seq = 1;
    let documents = Arc::new(documents(vec![event.clone()], &agent(), 1));
    let source = SourceKey { agent: AgentId::new("a").unwrap(), boot: 1 };
    // As a crash leaves it: durable, but neither recorded nor acknowledged.
    let append = Append { source, first_seq: 1, last_seq: 1, documents };
    site.store.append(append).await.unwrap();
    assert_eq!(site.app.alerts.list(|_| true, 10).1, 0);
    let taken = site.app.pipeline.take(&agent(), 1, vec![event.clone()]).await.unwrap();
    assert_eq!(taken, Taken { stored: 0, duplicates: 1 });
    site.app.pipeline.take(&agent(), 1, vec![event]).await.unwrap();
    let alerts = site.app.alerts.list(|_| true, 10).0;
    assert_eq!((alerts.len(), alerts[0].count), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_a_sequence_get_ascending_ones_also_after_a_failure() {
    let site = Site::new();
    let sender = AgentId::new("rsyslog").unwrap();
    let ingest = async |count: u64| site.app.pipeline.ingest(&sender, events(1..=count)).await;
    ingest(2).await.unwrap();
    full(&site, true);
    assert!(ingest(3).await.is_err());
    full(&site, false);
    ingest(1).await.unwrap();
    let mut ids: Vec<String> =
        site.find("*").await.iter().map(|document| text(document, "event.id")).collect();
    ids.sort();
    let ends: Vec<&str> = ids.iter().map(|id| id.rsplit('/').next().unwrap()).collect();
    assert_eq!(ends, ["1", "2", "6"], "a failed sequence is never given out again");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_views_see_each_document_once_and_learn_what_they_missed() {
    let site = Site::new();
    let mut live = site.app.pipeline.live();
    for _ in 0..2 {
        site.app.pipeline.take(&agent(), 1, events(1..=3)).await.unwrap();
    }
    for seq in 1..=3 {
        let document = live.recv().await.unwrap();
        assert_eq!(text(&document, "message"), format!("event number{seq}"));
    }
    assert!(live.try_recv().is_err(), "duplicates are not shown again");
    let most = u64::try_from(LIVE).unwrap();
    site.app.pipeline.take(&agent(), 1, events(4..=most + 20)).await.unwrap();
    let lagged = live.recv().await.unwrap_err();
    assert!(matches!(lagged, broadcast::error::RecvError::Lagged(17)), "{lagged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flat_keys_cannot_stand_for_the_envelope() {
    let site = Site::new();
    let fields = json!({
        "event.id": 5, "agent.id": {"deep": true}, "agent.version": null, "host.name": "own",
    });
    site.app.pipeline.take(&agent(), 1, vec![Site::log(1, fields)]).await.unwrap();
    let document = site.find("*").await.remove(0);
    assert_eq!(text(&document, "event.id"), "a/0000000000000001/1");
    assert_eq!(text(&document, "agent.id"), "a");
    assert_eq!(event::get(&document, "original.event.id"), Some(&json!(5)));
    assert_eq!(
        text(&document, "host.name"),
        "own",
        "a host name of its own is the sender's to say"
    );
}
