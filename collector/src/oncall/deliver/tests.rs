//! What a page says: whole, on its lines, whatever an attacker wrote.

use super::*;
use crate::alert::{Alerts, Arrived};
use crate::testing::{START, alert_document, detection, state};
use event::Severity;
use proptest::prelude::*;
use service::Clock;

#[test]
fn hostile_text_stays_on_its_line() {
    for (text, expected) in [
        ("a\r\nBcc: x\u{1b}[31m<b>", "a  Bcc: x [31m<b>"),
        ("\u{202e}gpj.exe", " gpj.exe"),
        ("a\u{2028}b\u{2029}c\u{85}d", "a b c d"),
        ("\u{2066}x\u{2069}\u{200f}\u{61c}", " x   "),
        ("Zürich 東京 🙂", "Zürich 東京 🙂"),
        ("", ""),
    ] {
        assert_eq!(plain(text, 100), expected, "{text:?}");
    }
    assert_eq!(plain("xxx", 3), "xxx");
    assert_eq!(plain("xxxx", 3), "xxx…");
    assert_eq!(plain("éééé", 3), "ééé…");
}

fn alerts(count: u64, title: &str) -> Vec<Alert> {
    let (_folder, state) = state();
    let all = Alerts::load(state, Clock::manual(START)).unwrap();
    for n in 1..=count {
        let mut one = detection("r", &format!("10.0.0.{n}"), Severity::High);
        one.title = title.into();
        one.advice = "look at the host".into();
        let document = alert_document(n, one, START);
        let arrived = Arrived { agent: "a", boot: 7, last_seq: n, documents: vec![&document] };
        all.record(&arrived).unwrap();
    }
    all.list(|_| true, 100).0
}

#[test]
fn a_page_says_what_where_why_and_what_to_do() {
    let one = alerts(1, "Password guessing");
    let (subject, body) = compose(&one, "https://c/ack/t", "https://c");
    assert_eq!(subject, "[Pikett] HIGH: Password guessing - 10.0.0.1");
    expect_test::expect![[r#"
        HIGH: Password guessing
          about     src_ip = 10.0.0.1
          detections 1, first 2026-11-22T15:04:05.000000+0000, last 2026-11-22T15:04:05.000000+0000
          why       because
          do        look at the host
          console   https://c/#/alerts/ID

        I am on it: https://c/ack/t
    "#]]
    .assert_eq(&body.replace(&one[0].id, "ID"));
}

#[test]
fn many_alerts_are_counted_and_twenty_are_told() {
    assert_eq!(compose(&[], "l", "c"), (String::new(), String::new()));
    for (count, more) in [(20, None), (21, Some(1)), (40, Some(20))] {
        let (subject, body) = compose(&alerts(count, "t"), "l", "c");
        assert!(subject.ends_with(&format!("(and {} more)", count - 1)), "{subject}");
        assert_eq!(body.matches("why ").count(), 20, "{count}");
        let tail = more.map(|more| format!("... and {more} more in the console."));
        assert!(tail.is_none_or(|tail| body.contains(&tail)), "{body}");
        assert!(body.ends_with("I am on it: l\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_title_adds_a_line_or_a_header(title in "[a-z\\r\\n:\u{2028}\u{202e}\u{1b}é ]{0,200}") {
        let (subject, body) = compose(&alerts(1, &title), "l", "c");
        prop_assert!(!subject.contains(|c: char| c.is_control() || turns(c)));
        prop_assert!(subject.chars().count() < 200);
        prop_assert_eq!(body.lines().count(), 8);
    }
}
