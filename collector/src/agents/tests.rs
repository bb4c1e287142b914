//! Identities, health over time, and the arithmetic of the books.

use super::*;
use crate::testing::{START, state};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn fixture() -> (tempfile::TempDir, Arc<State>, Clock, Agents) {
    let (folder, state) = state();
    let clock = Clock::manual(START);
    let agents = Agents::load(Arc::clone(&state), clock.clone()).unwrap();
    (folder, state, clock, agents)
}

fn enrol(agents: &Agents, host: &str) -> String {
    agents.enrol(host, |_| Ok::<_, StateError>(Timestamp::EPOCH)).unwrap()
}

fn report(agents: &Agents, boot: u64, last_seq: u64, pending: u64) {
    let report = Report { boot, last_seq, pending, ..Report::default() };
    agents.report("web1", &serde_json::to_vec(&report).unwrap());
}

fn batch(last_seq: u64, stored: u64) -> Booking {
    Booking::Batch { last_seq, reached: Timestamp::EPOCH, stored, duplicates: 0 }
}

fn skip(first_seq: u64, last_seq: u64) -> Booking {
    Booking::Skipped { first_seq, last_seq, reason: "spool_full".into() }
}

fn residue(agents: &Agents) -> i64 {
    agents.list()[0].residue()
}

#[test]
fn the_books_balance_or_show_what_is_missing() {
    let (_folder, _state, _clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.book(
        "web1",
        1,
        Booking::Batch { last_seq: 10, reached: Timestamp::EPOCH, stored: 10, duplicates: 3 },
    );
    agents.book("web1", 1, skip(11, 15));
    report(&agents, 1, 20, 5);
    assert_eq!(residue(&agents), 0);
    report(&agents, 1, 22, 5);
    assert_eq!(residue(&agents), 2);
    report(&agents, 2, 0, 0);
    assert_eq!(residue(&agents), 0, "a new boot has a book of its own");
    report(&agents, 3, 7, 0);
    assert_eq!(residue(&agents), 7, "a boot of which nothing arrived is missed too");
}

#[test]
fn what_the_agent_says_was_refused_for_good_is_accounted_for() {
    let (_folder, _state, _clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.book("web1", 1, batch(10, 10));
    let report = Report { boot: 1, last_seq: 14, rejected: 4, ..Report::default() };
    for _ in 0..3 {
        agents.report("web1", &serde_json::to_vec(&report).unwrap());
        assert_eq!(residue(&agents), 0);
    }
}

#[test]
fn an_announcement_sent_again_counts_once() {
    let (_folder, _state, _clock, agents) = fixture();
    enrol(&agents, "web1");
    for _ in 0..3 {
        agents.book("web1", 1, skip(1, 5));
    }
    agents.book("web1", 1, skip(4, 8));
    report(&agents, 1, 10, 0);
    assert_eq!(agents.list()[0].books[0].skipped["spool_full"], 8);
    assert_eq!(residue(&agents), 2, "the repetition does not hide what is missing");
}

#[test]
fn books_survive_a_restart_and_are_corrected_by_the_store() {
    let (_folder, state, clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.book("web1", 1, batch(10, 10));
    report(&agents, 1, 10, 0);
    // These are acknowledged, but the collector crashes before the next report.
    agents.book("web1", 1, batch(30, 20));
    let agents = Agents::load(state, clock).unwrap();
    report(&agents, 1, 32, 1);
    assert_eq!(residue(&agents), 21);
    assert_eq!(agents.unbalanced("web1"), Some((1, 32)));
    agents.reconcile("web1", 1, 30);
    assert_eq!(residue(&agents), 1, "what the store does not have stays missing");
    agents.reconcile("web1", 1, 5);
    assert_eq!(residue(&agents), 1, "a smaller figure takes nothing back");
    agents.reconcile("nobody", 1, 5);
    assert_eq!(agents.unbalanced("nobody"), None);
}

#[test]
fn health_over_time_and_when_the_clock_jumps() {
    let (_folder, _state, clock, agents) = fixture();
    enrol(&agents, "web1");
    let health = || agents.list()[0].health(Timestamp::from_micros(clock.now_micros()));
    assert_eq!(health(), Health::New);
    report(&agents, 1, 0, 0);
    assert_eq!(health(), Health::Online);
    clock.advance(SILENT_AFTER * 1_000_000);
    assert_eq!(health(), Health::Online, "exactly at the limit");
    clock.advance(1);
    assert_eq!(health(), Health::Silent);
    report(&agents, 1, 0, 0);
    assert_eq!(health(), Health::Online, "a sign of life ends it");
    clock.advance(-3_600_000_000);
    assert_eq!(health(), Health::Online, "a clock set back makes nobody silent");
    clock.advance(7_200_000_000);
    assert_eq!(health(), Health::Silent, "a clock set forward does until the next report");
    report(&agents, 1, 0, 0);
    assert_eq!(health(), Health::Online);
    agents.set_revoked("web1", true).unwrap();
    assert_eq!(health(), Health::Revoked);
}

#[test]
fn only_enrolled_agents_that_are_not_revoked_connect() {
    let (_folder, state, clock, agents) = fixture();
    enrol(&agents, "web1");
    assert!(agents.may_connect("web1") && !agents.may_connect("web2") && !agents.may_connect(""));
    assert!(agents.set_revoked("web1", true).unwrap());
    assert!(!agents.set_revoked("web2", true).unwrap());
    let agents = Agents::load(state, clock).unwrap();
    assert!(!agents.may_connect("web1"), "also after a restart");
    agents.set_revoked("web1", false).unwrap();
    assert!(agents.may_connect("web1"));
}

#[test]
fn identities_are_clean_and_free() {
    let (_folder, _state, _clock, agents) = fixture();
    for (host, expected) in [
        ("web 1.example", "web-1-example"),
        ("<>", "agent"),
        ("", "agent-2"),
        ("web1", "web1"),
        ("web1", "web1-2"),
        ("web1", "web1-3"),
        ("../../etc/passwd", "etc-passwd"),
        ("zürich", "z-rich"),
        (&"x".repeat(300), &"x".repeat(48)),
    ] {
        let id = enrol(&agents, host);
        assert_eq!(id, expected, "{host:?}");
        assert!(event::AgentId::new(&id).is_ok(), "{id}");
    }
}

#[test]
fn a_certificate_that_cannot_be_made_leaves_no_agent_behind() {
    let (_folder, state, clock, agents) = fixture();
    let refused = agents.enrol("web1", |_| Err(StateError::Crypto));
    assert!(refused.is_err() && agents.list().is_empty());
    assert_eq!(enrol(&agents, "web1"), "web1", "the name stays free");
    assert_eq!(Agents::load(state, clock).unwrap().list().len(), 1);
}

#[test]
fn hosts_of_one_name_enrolling_together_get_different_identities() {
    let (_folder, _state, _clock, agents) = fixture();
    let ids = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| ids.lock().unwrap().insert(enrol(&agents, "web1")));
        }
    });
    let ids = ids.into_inner().unwrap();
    assert_eq!(ids.len(), 8, "{ids:?}");
}

#[test]
fn garbage_reports_and_many_boots_are_bounded() {
    let (_folder, _state, _clock, agents) = fixture();
    enrol(&agents, "web1");
    agents.report("web1", b"{garbage");
    agents.report("web1", &vec![b' '; MAX_REPORT + 1]);
    agents.report("stranger", b"{}");
    for boot in 0..100 {
        agents.book("web1", boot, batch(1, 1));
    }
    agents.book("stranger", 1, batch(1, 1));
    assert_eq!(agents.list().len(), 1);
    let agent = agents.list().remove(0);
    assert!(agent.report.is_none());
    assert_eq!(agent.books.len(), MAX_BOOTS);
    assert_eq!(agent.books.last().unwrap().boot, format!("{:016x}", 99));
}

#[test]
fn counters_at_their_end_stay_there() {
    let (_folder, _state, _clock, agents) = fixture();
    enrol(&agents, "web1");
    for _ in 0..2 {
        agents.book("web1", 1, batch(u64::MAX, u64::MAX));
    }
    report(&agents, 1, u64::MAX, u64::MAX);
    assert_eq!(residue(&agents), 0);
    report(&agents, 2, u64::MAX, 0);
    assert_eq!(residue(&agents), i64::MAX, "more than can be shown is the most that can");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is repeated or reported in pieces: the residue is what is neither stored, nor
    /// announced, nor waiting.
    #[test]
    fn the_residue_is_what_nobody_accounts_for(
        fates in proptest::collection::vec(0..4_u8, 1..60),
        repeat in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let (_folder, _state, _clock, agents) = fixture();
        enrol(&agents, "web1");
        let (mut pending, mut lost) = (0, 0);
        for (seq, (fate, again)) in (1_u64..).zip(fates.iter().zip(repeat)) {
            match fate {
                0 => agents.book("web1", 1, batch(seq, 1)),
                1 => (0..=u8::from(again)).for_each(|_| agents.book("web1", 1, skip(seq, seq))),
                2 => pending += 1,
                _ => lost += 1,
            }
        }
        report(&agents, 1, fates.len() as u64, pending);
        prop_assert_eq!(residue(&agents), lost);
    }
}
