//! What is told of a window, and for which windows it is not.

use super::*;
use event::Hop;
use expect_test::expect;

const NOW: i64 = 1_795_359_845;

fn time(seconds_ago: i64) -> Timestamp {
    Timestamp::from_seconds(NOW - seconds_ago)
}

/// A window in seconds before now.
fn window(from: i64, to: i64) -> Window {
    Window { low: time(from).micros(), high: time(to).micros(), now: time(0) }
}

/// An agent enrolled two hours ago and started one hour ago.
fn agent() -> Agent {
    let report = Report { boot: 7, started: time(3_600), ..Report::default() };
    let agent = serde_json::json!({
        "id": "web1", "host": "web1", "version": "0.1.0", "zone": "", "region": "",
        "enrolled": time(7_200), "expires": time(0), "seen": time(1), "address": "", "revoked": false,
        "report": report, "books": [],
    });
    serde_json::from_value(agent).unwrap()
}

fn told(window: Window, agent: Agent, figures: &Figures) -> String {
    let found = judge(window, &[agent], &ReceiveFigures::default(), figures);
    let reasons =
        found.reasons.iter().map(|one| format!("{:?} {}: {}\n", one.kind, one.subject, one.words));
    format!("{:?}\n{}", found.state, reasons.collect::<String>())
}

#[test]
fn a_quiet_house_is_complete() {
    assert_eq!(told(window(60, 0), agent(), &Figures::default()), "Complete\n");
    assert_eq!(
        judge(window(60, 0), &[], &ReceiveFigures::default(), &Figures::default()).reasons,
        []
    );
    let revoked = Agent { seen: time(600), revoked: true, ..agent() };
    assert_eq!(told(window(60, 0), revoked, &Figures::default()), "Complete\n");
}

#[test]
fn silence_matters_to_windows_that_reach_into_it() {
    let silent = Agent { seen: time(600), ..agent() };
    expect![[r#"
        Incomplete
        AgentSilent web1: web1 was last heard of at 2026-11-22T14:54:05.000000+0000; what it saw since is missing
    "#]].assert_eq(&told(window(60, 0), silent.clone(), &Figures::default()));
    assert_eq!(told(window(900, 700), silent, &Figures::default()), "Complete\n");
}

#[test]
fn losses_of_this_start_and_of_earlier_ones() {
    let mut lossy = agent();
    let skipped = BTreeMap::from([("spool full".to_owned(), 5)]);
    let book = |boot: &str| Book {
        boot: boot.into(),
        skipped: skipped.clone(),
        rejected: 2,
        ..Book::default()
    };
    lossy.books = vec![book(&format!("{:016x}", 7))];
    expect![[r#"
        Incomplete
        Lost web1: web1 has lost 5 events for good: 5 (spool full)
        Rejected web1: 2 events of web1 were refused by the collector
    "#]]
    .assert_eq(&told(window(60, 0), lossy.clone(), &Figures::default()));
    assert_eq!(told(window(7_000, 3_700), lossy.clone(), &Figures::default()), "Complete\n");
    // What an earlier start lost was lost before this one.
    lossy.books = vec![book("1")];
    assert_eq!(told(window(60, 0), lossy.clone(), &Figures::default()), "Complete\n");
    assert!(
        told(window(7_000, 3_700), lossy.clone(), &Figures::default()).contains("5 (spool full)")
    );
    assert_eq!(told(window(9_000, 8_000), lossy, &Figures::default()), "Complete\n");
}

#[test]
fn what_is_not_seen_silent_or_late() {
    let mut busy = agent();
    let report = busy.report.as_mut().unwrap();
    let mut ledger = Ledger { seen: 100, processed: 50, dropped: 40, ..Ledger::default() };
    ledger.shed("queue full", 10);
    report.ledgers.insert(Hop::Capture, ledger);
    report.pending = 3;
    report.sources.push(SourceReport {
        name: "files /var/log/x".into(),
        silent_since: Some(time(300)),
        ..SourceReport::default()
    });
    expect![[r#"
        Incomplete
        Unseen web1: web1 did not look at 50 at Capture: 40 (dropped by the kernel), 10 (queue full)
        SourceSilent web1: web1 has read nothing of files /var/log/x since 2026-11-22T14:59:05.000000+0000
        Late web1: 3 events of web1 are on their way
    "#]].assert_eq(&told(window(60, 0), busy.clone(), &Figures::default()));
    let late = Agent { report: Some(Report { pending: 3, ..Report::default() }), ..agent() };
    assert!(told(window(60, 0), late, &Figures::default()).starts_with("Arriving"));
}

#[test]
fn the_store_and_the_inputs_have_their_say() {
    let mut figures =
        Figures { log_records_lost: 2, index_quarantined: 1, gaps_closed: 4, ..Figures::default() };
    figures.index.pending = 9;
    figures.intake.shed("duplicate", 6);
    expect![[r#"
        Incomplete
        Lost store: 4 events were declared lost because too many gaps were open
        Damaged store: 2 records of the log are damaged
        Damaged store: 1 damaged parts of the index were set aside
        Late store: 9 stored events are not searchable yet
    "#]]
    .assert_eq(&told(window(60, 0), agent(), &figures));
    let mut received = ReceiveFigures::default();
    received.ledger.dropped = 8;
    let found = judge(window(60, 0), &[], &received, &Figures::default());
    assert_eq!(
        found.reasons[0].words,
        "the collector's inputs did not take 8 messages: 8 (dropped by the kernel)"
    );
}

#[test]
fn many_reasons_are_counted_not_listed() {
    let agents: Vec<Agent> =
        (0..30).map(|n| Agent { id: format!("a{n}"), seen: time(600), ..agent() }).collect();
    let found = judge(window(60, 0), &agents, &ReceiveFigures::default(), &Figures::default());
    assert_eq!((found.reasons.len(), found.more), (MAX_REASONS, 10));
}
