//! What becomes an alert about the product, and in which words.

mod task;

use std::fmt::Write;

use event::Hop;
use expect_test::expect;

use super::*;
use crate::agents::Book;
use crate::store::Problem;
use crate::store::figures::AwayFolder;

const NOW: i64 = 1_795_359_845;

fn agent() -> Agent {
    let seen = Timestamp::from_seconds(NOW - 5);
    let agent = serde_json::json!({
        "id": "web1", "host": "web1", "version": "0.1.0", "zone": "", "region": "",
        "enrolled": seen, "expires": seen, "seen": seen, "address": "", "revoked": false,
        "report": Report::default(), "books": [],
    });
    serde_json::from_value(agent).unwrap()
}

fn told(agents: &[Agent], figures: &Figures, room: (Level, u64)) -> String {
    let received = &ReceiveFigures::default();
    listed(&View { now: Timestamp::from_seconds(NOW), agents, figures, received, room })
}

fn listed(view: &View<'_>) -> String {
    let mut text = String::new();
    for trouble in troubles(view) {
        let Trouble { rule, severity, about, words, amount, .. } = trouble;
        writeln!(text, "{rule} {severity:?} {about:?} x{amount}: {words}").unwrap();
    }
    text
}

fn about(agent: Agent) -> String {
    told(&[agent], &Figures::default(), (Level::Enough, 1 << 40))
}

#[test]
fn nothing_is_wrong_with_a_quiet_house() {
    assert_eq!(about(agent()), "");
    assert_eq!(told(&[], &Figures::default(), (Level::Enough, 0)), "");
}

#[test]
fn a_warm_folder_that_is_away_has_an_alarm_of_its_own() {
    let mut figures = Figures::default();
    let away = AwayFolder { folder: "/mnt/big".into(), days: vec![(0, 1), (2, 3)] };
    figures.warm.away = Some(away);
    expect![[r#"
        warm-away High ("file.path", "/mnt/big") x0: the warm folder /mnt/big is not there: 2 days are not searched, and nothing is moved
    "#]]
    .assert_eq(&told(&[], &figures, (Level::Enough, 1 << 40)));
}

#[test]
fn silence_is_told_and_a_new_or_revoked_agent_is_not_silent() {
    let long_ago = Timestamp::from_seconds(NOW - 31);
    let silent = Agent { seen: long_ago, ..agent() };
    expect![[r#"
        agent-silent High ("agent.id", "web1") x0: agent web1 was last heard of 31 s ago
    "#]]
    .assert_eq(&about(silent.clone()));
    assert_eq!(about(Agent { revoked: true, ..silent.clone() }), "");
    assert_eq!(about(Agent { report: None, ..silent }), "");
}

#[test]
fn silent_log_sources_are_told() {
    let source = SourceReport {
        name: "files /var/log/auth.log".into(),
        quiet_after_seconds: Some(900),
        silent_since: Some(Timestamp::from_seconds(NOW - 1_000)),
        ..SourceReport::default()
    };
    let learned = SourceReport { name: "journald".into(), quiet_learned: true, ..source.clone() };
    let speaks = SourceReport { silent_since: None, ..source.clone() };
    let report = Report { sources: vec![source, learned, speaks], ..Report::default() };
    expect![[r#"
        source-silent High ("log.source.name", "web1: files /var/log/auth.log") x0: web1 has read nothing of files /var/log/auth.log since 2026-11-22T14:47:25.000000+0000; by its quiet_after it should speak every 900 s
        source-silent Medium ("log.source.name", "web1: journald") x0: web1 has read nothing of journald since 2026-11-22T14:47:25.000000+0000; by what it did before it should speak every 900 s
    "#]].assert_eq(&about(Agent { report: Some(report), ..agent() }));
}

#[test]
fn messages_that_the_collectors_own_inputs_lose_are_told() {
    let mut ledger = Ledger { seen: 90, processed: 60, dropped: 20, ..Ledger::default() };
    ledger.shed("queue_full", 10);
    let silent = SourceReport {
        name: "syslog tls [::]:6514".into(),
        quiet_after_seconds: Some(900),
        silent_since: Some(Timestamp::from_seconds(NOW - 1_000)),
        ..SourceReport::default()
    };
    let received = ReceiveFigures { ledger, sources: vec![silent] };
    let figures = &Figures::default();
    let (now, room) = (Timestamp::from_seconds(NOW), (Level::Enough, 1 << 40));
    let view = View { now, agents: &[], figures, received: &received, room };
    expect![[r#"
        source-silent High ("log.source.name", "collector: syslog tls [::]:6514") x0: collector has read nothing of syslog tls [::]:6514 since 2026-11-22T14:47:25.000000+0000; by its quiet_after it should speak every 900 s
        input-lost Medium ("host.name", "collector") x4: the collector's inputs did not take everything: 20 (dropped by the kernel), 10 (queue_full)
    "#]]
    .assert_eq(&listed(&view));
}

#[test]
fn events_given_up_count_over_all_boots() {
    let book = |reason: &str, count| Book {
        skipped: BTreeMap::from([(reason.to_owned(), count)]),
        ..Book::default()
    };
    let books = vec![book("spool_full", 5), book("spool_full", 7), book("spool_corrupt", 1)];
    expect![[r#"
        events-lost High ("agent.id", "web1") x13: agent web1 has lost events for good: 1 (spool_corrupt), 12 (spool_full)
    "#]]
    .assert_eq(&about(Agent { books, ..agent() }));
}

#[test]
fn what_a_sensor_does_not_see_is_told_again_when_it_has_doubled() {
    let with = |dropped| {
        let mut ledger = Ledger { seen: 100, dropped, ..Ledger::default() };
        ledger.shed("flow_table_full", 2);
        let report =
            Report { ledgers: BTreeMap::from([(Hop::Capture, ledger)]), ..Report::default() };
        about(Agent { report: Some(report), ..agent() })
    };
    expect![[r#"
        input-lost Medium ("agent.id", "web1") x3: agent web1 did not look at everything: 7 (Capture: dropped by the kernel), 2 (Capture: flow_table_full)
    "#]]
    .assert_eq(&with(7));
    let amount =
        |text: String| text.split_once(" x").unwrap().1.split_once(':').unwrap().0.to_owned();
    assert_eq!(amount(with(13)), "3");
    assert_eq!(amount(with(14)), "4");
}

#[test]
fn each_problem_of_an_agent_is_told() {
    let problems =
        vec!["4 signature rules refused; see the agent's log".to_owned(), "b".to_owned()];
    let report = Report { problems, ..Report::default() };
    expect![[r#"
        agent-problem Medium ("agent.id", "web1") x0: 4 signature rules refused; see the agent's log
        agent-problem Medium ("agent.id", "web1") x0: b
    "#]]
    .assert_eq(&about(Agent { report: Some(report), ..agent() }));
}

#[test]
fn the_disk_and_the_store() {
    let problem = Problem {
        path: "/x/00000001.log".to_owned(),
        offset: 4096,
        what: "a record is damaged".to_owned(),
        advice: "it was skipped".to_owned(),
    };
    let figures = Figures { problems: vec![problem], ..Figures::default() };
    expect![[r#"
        disk-full Critical ("host.name", "collector") x0: 7 MiB are left on the collector's disk; no new events are taken, agents keep theirs in their spools
        store-problem High ("file.path", "/x/00000001.log") x0: a record is damaged at byte 4096: it was skipped
    "#]]
    .assert_eq(&told(&[], &figures, (Level::Short, 7 << 20)));
    expect![[r#"
        disk-low High ("host.name", "collector") x0: 900 MiB are left on the collector's disk
    "#]]
    .assert_eq(&told(&[], &Figures::default(), (Level::Low, 900 << 20)));
}
