//! What is told of a window, and for which windows it is not.

use super::judge::judge;
use super::*;
use crate::agents::{Agent, Book};
use crate::receive::ReceiveFigures;
use crate::store::SetAside;
use crate::store::figures::AwayFolder;
use event::{Hop, Ledger, Report, SourceReport};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

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

fn shown(found: &Completeness) -> String {
    let reasons =
        found.reasons.iter().map(|one| format!("{:?} {}: {}\n", one.kind, one.subject, one.words));
    format!("{:?}\n{}", found.state, reasons.collect::<String>())
}

/// What is told when an agent is looked at for the first time.
fn told(window: Window, agent: Agent, figures: &Figures) -> String {
    let mut history = History::default();
    history.agent(&agent, window.now);
    let received = ReceiveFigures::default();
    shown(&judge(window, (&[agent], &received, figures), 0, &history, MAX_REASONS))
}

/// What is told of a window later, when all is well again.
fn later(history: &History, window: Window, agent: &Agent) -> String {
    let (agents, received, figures) =
        ([agent.clone()], ReceiveFigures::default(), Figures::default());
    shown(&judge(window, (&agents, &received, &figures), 0, history, MAX_REASONS))
}

#[test]
fn a_quiet_house_is_complete() {
    assert_eq!(told(window(60, 0), agent(), &Figures::default()), "Complete\n");
    let nobody = (&[][..], &ReceiveFigures::default(), &Figures::default());
    assert_eq!(judge(window(60, 0), nobody, 0, &History::default(), MAX_REASONS).reasons, []);
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
        Lost web1: web1 has lost 5 events for good between 2026-11-22T14:04:00.000000+0000 and 2026-11-22T15:05:00.000000+0000: spool full; 5 of them perhaps outside of this time
        Rejected web1: 2 events of web1 were refused between 2026-11-22T14:04:00.000000+0000 and 2026-11-22T15:05:00.000000+0000: refused by the collector; 2 of them perhaps outside of this time
    "#]]
    .assert_eq(&told(window(60, 0), lossy.clone(), &Figures::default()));
    assert_eq!(told(window(7_000, 3_700), lossy.clone(), &Figures::default()), "Complete\n");
    // What an earlier start lost was lost before this one.
    lossy.books = vec![book("1")];
    assert_eq!(told(window(60, 0), lossy.clone(), &Figures::default()), "Complete\n");
    assert!(
        told(window(7_000, 3_700), lossy.clone(), &Figures::default())
            .contains("has lost 5 events for good")
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
        Unseen web1: web1 did not look at 10 packets, lines or events between 2026-11-22T14:04:00.000000+0000 and 2026-11-22T15:05:00.000000+0000: capture: queue full; 10 of them perhaps outside of this time
        Unseen web1: web1 did not look at 40 packets, lines or events between 2026-11-22T14:04:00.000000+0000 and 2026-11-22T15:05:00.000000+0000: capture: dropped by the kernel; 40 of them perhaps outside of this time
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
        Lost store: 4 events were declared lost because too many gaps were open; of what time is not known, so this is told of every window
        Damaged store: 2 records of the log are damaged; of what time is not known, so this is told of every window
        Damaged store: 1 damaged part of the index was set aside; of what time is not known, so this is told of every window
        Late store: 9 stored events are not searchable yet
    "#]].assert_eq(&told(window(60, 0), agent(), &figures));
    let mut received = ReceiveFigures::default();
    received.ledger.dropped = 8;
    let mut history = History::default();
    history.inputs(&received, time(600), time(0));
    let present = (&[][..], &received, &Figures::default());
    expect![[r#"
        Incomplete
        Unseen collector: the collector did not take 8 messages between 2026-11-22T14:54:00.000000+0000 and 2026-11-22T15:05:00.000000+0000: inputs: dropped by the kernel; 8 of them perhaps outside of this time
    "#]].assert_eq(&shown(&judge(window(60, 0), present, 0, &history, MAX_REASONS)));
    let before = judge(window(900, 700), present, 0, &history, MAX_REASONS);
    assert_eq!(before.state, State::Complete, "{before:?}");
}

/// What the store lacks is told of the windows that may lack it, and of all when nobody knows.
#[test]
fn damage_of_the_store_is_told_of_the_time_it_is_of() {
    let part = |partition: &str, ago: Option<(i64, i64)>, count| SetAside {
        partition: partition.to_owned(),
        span: ago.map(|(from, to)| (time(from), time(to))),
        count,
    };
    let figures = Figures {
        log_records_lost: 2,
        log_lost_until: Some(time(5_000)),
        gaps_closed: 4,
        gaps_until: Some(time(2_000)),
        index_quarantined: 6,
        set_aside: vec![
            part("2026-11-22", Some((4_000, 3_000)), 2),
            part("past@2026-11-22", None, 3),
        ],
        ..Figures::default()
    };
    let check = |(from, to), expected: Expect| {
        expected.assert_eq(&told(window(from, to), agent(), &figures));
    };
    check(
        (60, 0),
        expect![[r#"
        Incomplete
        Damaged store: 3 damaged parts of partition past@2026-11-22 were set aside; of what time is not known, so this is told of every window
        Damaged store: 1 damaged part of the index was set aside; of what time is not known, so this is told of every window
    "#]],
    );
    check(
        (3_500, 2_500),
        expect![[r#"
        Incomplete
        Lost store: 4 events were declared lost because too many gaps were open; they came before 2026-11-22T14:30:45.000000+0000
        Damaged store: 3 damaged parts of partition past@2026-11-22 were set aside; of what time is not known, so this is told of every window
        Damaged store: 1 damaged part of the index was set aside; of what time is not known, so this is told of every window
        Damaged store: 2 damaged parts of partition 2026-11-22 were set aside
    "#]],
    );
    check(
        (7_000, 6_000),
        expect![[r#"
        Incomplete
        Lost store: 4 events were declared lost because too many gaps were open; they came before 2026-11-22T14:30:45.000000+0000
        Damaged store: 2 records of the log are damaged; they came before 2026-11-22T13:40:45.000000+0000
        Damaged store: 3 damaged parts of partition past@2026-11-22 were set aside; of what time is not known, so this is told of every window
        Damaged store: 1 damaged part of the index was set aside; of what time is not known, so this is told of every window
    "#]],
    );
    let known =
        Figures { set_aside: figures.set_aside[..1].to_vec(), index_quarantined: 2, ..figures };
    assert_eq!(told(window(1_000, 0), agent(), &known), "Complete\n");
}

#[test]
fn a_warm_folder_that_is_away_matters_to_its_days_alone() {
    let day = |ago: i64| (time(ago).micros(), time(ago - 99).micros());
    let mut figures = Figures::default();
    let days = vec![day(900), day(800), day(200)];
    figures.warm.away = Some(AwayFolder { folder: "/mnt/big".into(), days });
    expect![[r#"
        Incomplete
        WarmAway store: the warm folder /mnt/big is not there: 2 days are not searched
    "#]]
    .assert_eq(&told(window(1_000, 700), agent(), &figures));
    expect![[r#"
        Incomplete
        WarmAway store: the warm folder /mnt/big is not there: 1 day is not searched
    "#]]
    .assert_eq(&told(window(150, 0), agent(), &figures));
    assert_eq!(told(window(60, 0), agent(), &figures), "Complete\n");
}

#[test]
fn many_reasons_are_counted_not_listed() {
    let agents: Vec<Agent> =
        (0..30).map(|n| Agent { id: format!("a{n}"), seen: time(600), ..agent() }).collect();
    let present = (&agents[..], &ReceiveFigures::default(), &Figures::default());
    let found = judge(window(60, 0), present, 0, &History::default(), MAX_REASONS);
    assert_eq!((found.reasons.len(), found.more), (MAX_REASONS, 10));
}

/// The report of an agent at a time, with so many packets dropped since its start.
fn reports(agent: &Agent, seconds_ago: i64, dropped: u64) -> Agent {
    let mut report = agent.report.clone().unwrap();
    report.time = time(seconds_ago);
    let ledger = Ledger { seen: 1_000, processed: 1_000 - dropped, dropped, ..Ledger::default() };
    report.ledgers = BTreeMap::from([(Hop::Capture, ledger)]);
    Agent { seen: time(seconds_ago), report: Some(report), ..agent.clone() }
}

#[test]
fn a_window_of_the_past_is_told_what_happened_in_it() {
    let mut history = History::default();
    let quiet = agent();
    for (ago, dropped) in
        [(3_000, 0), (2_000, 0), (1_995, 7), (1_990, 7), (1_000, 7), (995, 9), (5, 9)]
    {
        let report = reports(&quiet, ago, dropped);
        history.agent(&report, time(ago));
        // Looked at again without a new report.
        history.agent(&report, time(ago - 2));
    }
    let now = reports(&quiet, 1, 9);
    let check = |from: i64, to: i64, expected: Expect| {
        expected.assert_eq(&later(&history, window(from, to), &now));
    };
    check(
        3_600,
        2_200,
        expect![[r#"
            Complete
        "#]],
    );
    check(
        2_100,
        1_900,
        expect![[r#"
            Incomplete
            Unseen web1: web1 did not look at 7 packets, lines or events between 2026-11-22T14:30:00.000000+0000 and 2026-11-22T14:31:00.000000+0000: capture: dropped by the kernel
        "#]],
    );
    check(
        1_700,
        1_200,
        expect![[r#"
        Complete
    "#]],
    );
    check(
        1_100,
        0,
        expect![[r#"
        Incomplete
        Unseen web1: web1 did not look at 2 packets, lines or events between 2026-11-22T14:47:00.000000+0000 and 2026-11-22T14:48:00.000000+0000: capture: dropped by the kernel
    "#]],
    );
    check(
        3_600,
        0,
        expect![[r#"
            Incomplete
            Unseen web1: web1 did not look at 9 packets, lines or events between 2026-11-22T14:30:00.000000+0000 and 2026-11-22T14:48:00.000000+0000: capture: dropped by the kernel
        "#]],
    );
}

#[test]
fn the_history_outlives_the_collector() {
    let folder = tempfile::tempdir().unwrap();
    let key = zeroize::Zeroizing::new([7; 32]);
    let open = || Database::open(&folder.path().join("state.db"), &key).unwrap();
    let state = open();
    let mut history = History::default();
    let agent = agent();
    history.agent(&reports(&agent, 3_000, 0), time(3_000));
    history.agent(&reports(&agent, 2_000, 5), time(2_000));
    history.keep(&state, time(2_000)).unwrap();
    drop((state, history));
    let state = open();
    let mut history = History::load(&state).unwrap();
    // Nobody looked for half an hour; what was dropped meanwhile happened some time in it.
    history.agent(&reports(&agent, 200, 11), time(200));
    expect![[r#"
        Incomplete
        Unseen web1: web1 did not look at 11 packets, lines or events between 2026-11-22T14:14:00.000000+0000 and 2026-11-22T15:01:00.000000+0000: capture: dropped by the kernel
    "#]].assert_eq(&later(&history, window(3_600, 0), &reports(&agent, 1, 11)));
    expect![[r#"
        Incomplete
        Unseen web1: web1 did not look at 6 packets, lines or events between 2026-11-22T14:30:00.000000+0000 and 2026-11-22T15:01:00.000000+0000: capture: dropped by the kernel; 6 of them perhaps outside of this time
    "#]].assert_eq(&later(&history, window(1_000, 900), &reports(&agent, 1, 11)));
    history.keep(&state, time(100)).unwrap();
    let again = History::load(&state).unwrap();
    let all = |history: &History| later(history, window(3_600, 0), &reports(&agent, 1, 11));
    assert_eq!(all(&again), all(&history));
}

#[test]
fn lost_events_happened_after_the_last_that_came() {
    let mut history = History::default();
    let mut lossy = reports(&agent(), 2_000, 0);
    history.agent(&lossy, time(2_000));
    // Told now, of events that were given up an hour after the last one that came.
    let book = Book {
        boot: format!("{:016x}", 7),
        skipped: BTreeMap::from([("spool full".to_owned(), 5)]),
        gaps: vec![(time(1_500), time(100))],
        ..Book::default()
    };
    lossy.books = vec![book];
    lossy.seen = time(100);
    history.agent(&lossy, time(100));
    expect![[r#"
        Incomplete
        Lost web1: web1 has lost 5 events for good between 2026-11-22T14:39:00.000000+0000 and 2026-11-22T15:03:00.000000+0000: spool full; 5 of them perhaps outside of this time
    "#]].assert_eq(&later(&history, window(1_000, 900), &reports(&lossy, 1, 0)));
    assert_eq!(later(&history, window(2_100, 1_700), &reports(&lossy, 1, 0)), "Complete\n");
}

#[test]
fn silences_are_over_and_still_told() {
    let check = |boot: u64, started: i64, expected: Expect| {
        let mut history = History::default();
        let agent = reports(&agent(), 2_000, 0);
        history.agent(&agent, time(2_000));
        history.agent(&agent, time(1_900));
        // Connected again, and its first report has not come.
        let back = Agent { seen: time(1_000), ..agent.clone() };
        history.agent(&back, time(1_000));
        let mut report = back.report.clone().unwrap();
        (report.boot, report.started, report.time) = (boot, time(started), time(995));
        let back = Agent { seen: time(995), report: Some(report), ..back };
        history.agent(&back, time(995));
        let now = Agent { seen: time(1), ..back };
        expected.assert_eq(&later(&history, window(3_600, 0), &now));
        assert_eq!(later(&history, window(900, 0), &now), "Complete\n");
    };
    // It ran all the time; it began anew while nobody heard of it; it began anew before that.
    check(
        7,
        3_600,
        expect![[r#"
        Complete
        Delayed web1: web1 was not connected from 2026-11-22T14:30:45.000000+0000 to 2026-11-22T14:47:30.000000+0000; what it saw then came later
    "#]],
    );
    check(
        8,
        1_200,
        expect![[r#"
        Incomplete
        AgentSilent web1: web1 did not run from 2026-11-22T14:30:45.000000+0000 to 2026-11-22T14:44:05.000000+0000; what happened then it has not seen
        Delayed web1: web1 was not connected from 2026-11-22T14:44:05.000000+0000 to 2026-11-22T14:47:30.000000+0000; what it saw then came later
    "#]],
    );
    check(
        8,
        1_000,
        expect![[r#"
        Incomplete
        AgentSilent web1: web1 did not run from 2026-11-22T14:30:45.000000+0000 to 2026-11-22T14:47:25.000000+0000; what happened then it has not seen
    "#]],
    );
    let mut history = History::default();
    let mut agent = reports(&agent(), 2_000, 0);
    let source = |silent: Option<i64>, last: i64| SourceReport {
        name: "files /var/log/x".into(),
        silent_since: silent.map(time),
        last_event: Some(time(last)),
        ..SourceReport::default()
    };
    for (at, silent, last) in
        [(2_000, Some(2_500), 2_500), (1_990, Some(2_500), 2_500), (1_000, None, 1_100)]
    {
        agent = reports(&agent, at, 0);
        agent.report.as_mut().unwrap().sources = vec![source(silent, last)];
        history.agent(&agent, time(at));
    }
    let now = reports(&agent, 1, 0);
    expect![[r#"
        Incomplete
        SourceSilent web1: web1 has read nothing of files /var/log/x from 2026-11-22T14:22:25.000000+0000 to 2026-11-22T14:45:45.000000+0000
    "#]].assert_eq(&later(&history, window(1_300, 1_200), &now));
    assert_eq!(later(&history, window(1_000, 0), &now), "Complete\n");
}

mod sums {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of a window's reasons.
    fn lost(history: &History, (low, high): (i64, i64), agent: &Agent) -> u64 {
        let window = Window { low, high, now: time(0) };
        let present = (&[agent.clone()][..], &ReceiveFigures::default(), &Figures::default());
        let found = judge(window, present, 0, history, MAX_ASKED);
        found
            .reasons
            .iter()
            .filter(|one| one.kind == Kind::Unseen)
            .filter_map(|one| one.count)
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// What happened in disjoint windows is what happened at all, when windows end where nothing did.
        #[test]
        fn windows_add_up_to_the_whole(
            drops in prop::collection::vec((0..40_i64, 0..5_u64), 1..60),
            gap in 1..50_usize,
        ) {
            let (mut history, mut total, mut at) = (History::default(), 0, 80_000_i64);
            let agent = agent();
            let agent = Agent {
                enrolled: time(90_000),
                report: Some(Report { started: time(80_001), ..agent.report.clone().unwrap() }),
                ..agent
            };
            history.agent(&reports(&agent, at, 0), time(at));
            let mut quiet = Vec::new();
            for (number, (wait, more)) in drops.into_iter().enumerate() {
                if number.is_multiple_of(gap) {
                    // Some minutes in which reports come and nothing is lost.
                    for _ in 0..5 {
                        at -= 60;
                        history.agent(&reports(&agent, at, total), time(at));
                    }
                    quiet.push(time(at + 120).micros());
                }
                at -= wait.max(1);
                total += more;
                history.agent(&reports(&agent, at, total), time(at));
            }
            let now = reports(&agent, 1, total);
            let (first, last) = (time(90_000).micros(), time(0).micros());
            prop_assert_eq!(lost(&history, (first, last), &now), total);
            let mut borders = vec![first];
            borders.extend(quiet);
            borders.push(last + 1);
            let sum: u64 =
                borders.windows(2).map(|pair| lost(&history, (pair[0], pair[1] - 1), &now)).sum();
            prop_assert_eq!(sum, total);
        }
    }
}
