//! The task that looks: what it raises, how often, and what it drops.

use std::sync::atomic::Ordering;

use event::{Report, Timestamp};

use crate::agents::Booking;
use crate::config::RetentionConfig;
use crate::correlate::Memory;
use crate::room::Room;
use crate::state::StateError;
use crate::testing::{Site, origin};
use crate::watch::{RESIDUE_LOOKS, Watch};

fn watch(site: &Site) -> Watch {
    let folder = site.folder.path();
    let memory = Memory::new(folder.to_owned(), crate::store::Key::new([7; 32]));
    let retention = RetentionConfig::default();
    Watch::new(site.app.clone(), Room::new(folder, Some(1)), memory, retention)
}

fn enrol(site: &Site, host: &str) {
    site.app.agents.enrol(host, |_| Ok::<_, StateError>(Timestamp::EPOCH)).unwrap();
}

fn report(site: &Site, agent: &str, last_seq: u64, pending: u64) {
    let report = Report { boot: 1, last_seq, pending, ..Report::default() };
    site.app.agents.report(agent, &serde_json::to_vec(&report).unwrap());
}

/// `rule entity count` of all alerts.
fn alerts(site: &Site) -> Vec<String> {
    let mut all: Vec<String> = site
        .app
        .alerts
        .list(|_| true, 100)
        .0
        .into_iter()
        .map(|alert| format!("{} {} {}", alert.rule_id, alert.entity.value, alert.count))
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_is_told_once_and_that_it_speaks_again() {
    let site = Site::new();
    let mut watch = watch(&site);
    enrol(&site, "web1");
    let tell = |since: Option<i64>| {
        let source = event::SourceReport {
            name: "journald".into(),
            quiet_after_seconds: Some(900),
            silent_since: since.map(Timestamp::from_seconds),
            ..event::SourceReport::default()
        };
        let report = Report { boot: 1, sources: vec![source], ..Report::default() };
        site.app.agents.report("web1", &serde_json::to_vec(&report).unwrap());
    };
    tell(None);
    watch.look().await;
    assert!(alerts(&site).is_empty());
    tell(Some(1_795_359_845));
    for _ in 0..3 {
        watch.look().await;
    }
    assert_eq!(alerts(&site), ["pikett-source-silent web1: journald 1"]);
    tell(None);
    for _ in 0..3 {
        watch.look().await;
    }
    let both = ["pikett-source-again web1: journald 1", "pikett-source-silent web1: journald 1"];
    assert_eq!(alerts(&site), both);
    tell(Some(1_795_369_845));
    watch.look().await;
    assert_eq!(alerts(&site)[1], "pikett-source-silent web1: journald 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_falls_silent_is_told_once_until_it_speaks_again() {
    let site = Site::new();
    let mut watch = watch(&site);
    enrol(&site, "never-seen");
    enrol(&site, "web1");
    report(&site, "web1", 0, 0);
    watch.look().await;
    assert!(alerts(&site).is_empty(), "new and online agents are well");
    site.app.clock.advance(31_000_000);
    for _ in 0..3 {
        watch.look().await;
    }
    assert_eq!(alerts(&site), ["pikett-agent-silent web1 1"]);
    let alert = site.app.alerts.list(|_| true, 1).0.remove(0);
    assert_eq!(alert.explanation, "agent web1 was last heard of 31 s ago");
    report(&site, "web1", 0, 0);
    watch.look().await;
    site.app.clock.advance(31_000_000);
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-agent-silent web1 2"], "silent again");
    site.app.agents.set_revoked("web1", true).unwrap();
    site.app.clock.advance(31_000_000);
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-agent-silent web1 2"], "a revoked agent may be silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_residue_is_an_alarm_when_it_stays_for_half_a_minute() {
    let site = Site::new();
    let mut watch = watch(&site);
    enrol(&site, "web1");
    let batch = |last_seq, stored| Booking::Batch {
        last_seq,
        reached: Timestamp::EPOCH,
        stored,
        duplicates: 0,
    };
    site.app.agents.book("web1", 1, batch(10, 10));
    report(&site, "web1", 13, 0);
    for _ in 1..RESIDUE_LOOKS {
        watch.look().await;
    }
    assert!(alerts(&site).is_empty(), "batches in flight pass");
    site.app.agents.book("web1", 1, batch(13, 3));
    watch.look().await;
    report(&site, "web1", 20, 2);
    for _ in 1..RESIDUE_LOOKS {
        watch.look().await;
    }
    assert!(alerts(&site).is_empty(), "a balance in between begins the count anew");
    watch.look().await;
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-residue web1 1"]);
    let alert = site.app.alerts.list(|_| true, 1).0.remove(0);
    assert_eq!(alert.explanation, "5 events are unaccounted for");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_that_cannot_be_stored_does_not_stop_the_watch() {
    let site = Site::new();
    let mut watch = watch(&site);
    enrol(&site, "web1");
    report(&site, "web1", 0, 0);
    site.app.clock.advance(31_000_000);
    site.store.full.store(true, Ordering::SeqCst);
    watch.look().await;
    assert!(alerts(&site).is_empty());
    site.store.full.store(false, Ordering::SeqCst);
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-agent-silent web1 1"], "it is raised as soon as it can be");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_too_old_are_dropped_by_the_clock() {
    let site = Site::new();
    let day = |days: i64, seq| {
        let mut event = Site::message(seq);
        event.time = event.time.plus_seconds(-days * 86_400);
        event
    };
    let events = vec![day(0, 1), day(2, 2), day(9, 3)];
    site.app.pipeline.take(&origin("a"), 1, events).await.unwrap();
    assert_eq!(site.find("*").await.len(), 3);
    let mut watch = watch(&site);
    for (days, left) in [(90, 3), (5, 2)] {
        watch.retention.days = days;
        watch.retain().await;
        assert_eq!(site.find("*").await.len(), left, "{days} days");
    }
    site.app.clock.advance(10 * 86_400_000_000);
    watch.retain().await;
    assert_eq!(site.find("*").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_refuses_events_and_tells_until_there_is_some() {
    let site = Site::new();
    let mut watch = watch(&site);
    watch.room = Room::new(site.folder.path(), Some(u64::MAX));
    watch.measure();
    watch.look().await;
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-disk-full collector 1"]);
    let refused = site.app.pipeline.take(&origin("a"), 1, vec![Site::message(1)]).await;
    assert!(refused.unwrap_err().to_string().contains("disk is full"));
    watch.room = Room::new(site.folder.path(), Some(1));
    watch.measure();
    site.app.pipeline.take(&origin("a"), 1, vec![Site::message(1)]).await.unwrap();
    watch.look().await;
    assert_eq!(alerts(&site), ["pikett-disk-full collector 1"], "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_that_come_to_their_end_are_alerts_once() {
    let site = Site::new();
    let mut watch = watch(&site);
    let new = crate::exceptions::New {
        title: "Scanner".into(),
        engine: event::Engine::Signature,
        rule_id: "2000001".into(),
        conditions: vec![sigma::Condition {
            field: "src_ip".into(),
            how: sigma::How::Is,
            values: vec!["192.0.2.7".into()],
        }],
        reason: "it scans".into(),
        author: "alice".into(),
        days: 8,
        alert: None,
        overridden: Vec::new(),
    };
    let id = site.app.exceptions.add(new).unwrap().id;
    for (days, expected) in
        [(5, vec![]), (1, vec!["ending"]), (1, vec!["ending"]), (2, vec!["ending", "expired"])]
    {
        site.app.clock.advance(days * 86_400_000_000);
        site.store.full.store(true, Ordering::SeqCst);
        watch.look().await;
        site.store.full.store(false, Ordering::SeqCst);
        watch.look().await;
        let expected: Vec<String> =
            expected.iter().map(|one| format!("pikett-exception-{one} {id} 1")).collect();
        assert_eq!(alerts(&site), expected);
    }
}
