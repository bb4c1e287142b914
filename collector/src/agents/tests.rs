//! Identities, health over time, and the arithmetic of the books.

use super::*;
use zeroize::Zeroizing;

fn fixture() -> (tempfile::TempDir, Clock, Agents) {
    let folder = tempfile::tempdir().unwrap();
    let key = Zeroizing::new([1; 32]);
    let state = Arc::new(State::open(&folder.path().join("state.db"), &key).unwrap());
    let clock = Clock::manual(1_795_359_845_000_000);
    let agents = Agents::load(state, clock.clone()).unwrap();
    (folder, clock, agents)
}

fn report(agents: &Agents, boot: u64, last_seq: u64, pending: u64) {
    let report = Report { boot, last_seq, pending, ..Report::default() };
    agents.report("web1", &serde_json::to_vec(&report).unwrap());
}

#[test]
fn the_books_balance_or_show_what_is_missing() {
    let (_folder, _clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.book("web1", 1, Booking::Batch { last_seq: 10, stored: 10, duplicates: 3 });
    let skipped = Booking::Skipped { first_seq: 11, last_seq: 15, reason: "spool_full".into() };
    agents.book("web1", 1, skipped);
    report(&agents, 1, 20, 5);
    assert_eq!(agents.list()[0].residue(), 0);
    report(&agents, 1, 22, 5);
    assert_eq!(agents.list()[0].residue(), 2);
    report(&agents, 2, 0, 0);
    assert_eq!(agents.list()[0].residue(), 0, "a new boot has a book of its own");
}

#[test]
fn health_over_time() {
    let (_folder, clock, agents) = fixture();
    enrol(&agents, "web1");
    let health = |agents: &Agents| {
        let now = Timestamp::from_micros(clock.now_micros());
        agents.list()[0].health(now)
    };
    assert_eq!(health(&agents), Health::New);
    report(&agents, 1, 0, 0);
    assert_eq!(health(&agents), Health::Online);
    clock.advance((SILENT_AFTER + 1) * 1_000_000);
    assert_eq!(health(&agents), Health::Silent);
    agents.set_revoked("web1", true).unwrap();
    assert_eq!(health(&agents), Health::Revoked);
    assert!(!agents.may_connect("web1") && !agents.may_connect("unknown"));
}

#[test]
fn identities_are_clean_and_free() {
    let (_folder, _clock, agents) = fixture();
    assert_eq!(agents.free_id("web 1.example"), "web-1-example");
    assert_eq!(agents.free_id("<>"), "agent");
    enrol(&agents, "web1");
    assert_eq!(agents.free_id("web1"), "web1-2");
}

#[test]
fn garbage_reports_and_many_boots_are_bounded() {
    let (_folder, _clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.report("web1", b"{garbage");
    agents.report("web1", &vec![b' '; MAX_REPORT + 1]);
    for boot in 0..100 {
        agents.book("web1", boot, Booking::Batch { last_seq: 1, stored: 1, duplicates: 0 });
    }
    assert_eq!(agents.list()[0].books.len(), MAX_BOOTS);
    assert!(agents.list()[0].report.is_none());
}
