//! Rules and events that want to break us.

use std::fmt::Write as _;

use serde_json::json;

use super::{load, matched, object, sound};
use crate::{Record, fuzz};

#[test]
fn deep_large_and_bombing_yaml_is_refused_by_name() {
    let deep = format!("title: t\ndetection:\n  s: {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    let mut bomb = "title: t\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 9].join(",");
        writeln!(bomb, "a{level}: &a{level} [{before}]").unwrap();
    }
    bomb.push_str("detection:\n  s: *a11\n  condition: s\n");
    let large = format!("title: {}\n", "x".repeat(5 << 20));
    let parens = format!(
        "title: t\ndetection:\n  s: [x]\n  condition: {}s{}\n",
        "(".repeat(3000),
        ")".repeat(3000)
    );
    let nots = format!("title: t\ndetection:\n  s: [x]\n  condition: {}s\n", "not ".repeat(20_000));
    for text in [deep, bomb, large, parens, nots] {
        let (set, report) = load(&text);
        assert_eq!((set.len(), report.accepted), (0, 0), "{}", text.get(..80).unwrap());
        assert_eq!(report.rejected.len(), 1);
        assert!(report.rejected[0].reason.len() < 100_000);
    }
}

#[test]
fn a_placeholder_bomb_is_refused() {
    let mut options = crate::Options::default();
    options.placeholders.insert("p".into(), (0..50).map(|n| n.to_string()).collect());
    let text = super::rule("f|expand: '%p%%p%%p%%p%'");
    let (_, report) = crate::RuleSet::load(std::iter::once(("t", text)), &options);
    assert!(report.rejected[0].reason.contains("10,000"), "{report:?}");
}

#[test]
fn a_rule_of_many_values_is_evaluated_whole() {
    let values: Vec<String> = (0..20_000).map(|n| format!("'v{n}x'")).collect();
    let set = sound(&super::rule(&format!("f|contains: [{}]", values.join(", "))));
    assert_eq!(matched(&set, json!({"f": "-v19999x-"})).len(), 1);
    assert_eq!(matched(&set, json!({"f": "-v20000x-"})).len(), 0);
}

#[test]
fn expressions_that_explode_are_refused_or_linear() {
    let (_, report) = load(&super::rule("f|re: '((a{1000}){1000}){1000}'"));
    assert!(report.rejected[0].reason.contains("regular expression"), "{report:?}");
    let set = sound(&super::rule("f|re: '(a*)*b$'"));
    assert_eq!(matched(&set, json!({"f": "a".repeat(20_000)})).len(), 0);
}

#[test]
fn patterns_of_many_wildcards_end() {
    let set = sound(&super::rule(&format!("f: '{}b'", "a*".repeat(300))));
    assert_eq!(matched(&set, json!({"f": "a".repeat(20_000)})).len(), 0);
    let set = sound(&super::rule(&format!("f: '*{}b*'", "?".repeat(200))));
    assert_eq!(matched(&set, json!({"f": "a".repeat(5_000)})).len(), 0);
}

#[test]
fn large_and_deep_events_are_bounded_and_counted() {
    let many: serde_json::Map<_, _> = (0..20_000).map(|n| (n.to_string(), json!(n))).collect();
    let record = Record::new(&many);
    assert_eq!((record.entries().len(), record.beyond()), (8192, 20_000 - 8192));
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "n": deep });
    }
    let event = object(json!({ "deep": deep }));
    assert_eq!(Record::new(&event).beyond(), 1);
    let event = object(json!({ "System": {}, "EventData": event["deep"] }));
    assert_eq!(Record::new(&event).beyond(), 1);
}

#[test]
fn strange_windows_records_do_not_break() {
    for event in [
        json!({"Event": {"System": {}}}),
        json!({"Event": {"System": {"EventID": {"#text": {}}, "Provider": 3, "TimeCreated": 4}}}),
        json!({"Event": {"System": {"Channel": 3}, "EventData": [1, 2], "UserData": "x"}}),
        json!({"System": {"EventID": "x", "Channel": null}, "EventData": {"": {"": {"": 1}}}}),
        json!({"winlog": {"event_id": [], "event_data": 3}}),
    ] {
        matched(&sound(&super::rule("EventID: 1")), event.clone());
        super::routed(&sound(&super::rule("EventID: 1")), event);
    }
}

fn every_entry(bytes: &[u8]) {
    fuzz::fuzz_rules(bytes);
    fuzz::fuzz_event(bytes);
    fuzz::fuzz_differential(bytes);
    fuzz::fuzz_snapshot(bytes);
    fuzz::fuzz_exceptions(bytes);
    fuzz::fuzz_conditions(bytes);
}

#[test]
fn fuzz_entry_points_take_anything() {
    let seeds: [&[u8]; 10] = [
        b"[{\"field\": \"a\", \"how\": \"contains\", \"values\": [\"*?\\\\b\"]}]\0{\"a\": \"x*?\\\\b\"}",
        b"title: t\ndetection:\n  s:\n    a|contains: bcde\n  condition: s\0{\"a\": [\"xbcdex\", {\"b\": null}], \"c\": {}}",
        b"{\"kind\":\"sigma correlations\",\"version\":1,\"newest\":null,\"counters\":{\"untimed\":0,\"late\":0,\"ungrouped\":0,\"valueless\":0,\"evicted_groups\":0,\"evicted_events\":0},\"rules\":{}}",
        b"title: e\nid: e\nrules: any\nreason: r\nauthor: a\nexpires: 2027-01-01\ndetection:\n  s:\n    a: b\n  condition: s\n",
        b"title: t\ndetection:\n  s:\n    a|re: '['\n  condition: s",
        b"---\n---\n--- x\naction: repeat\n",
        b"\xff\xfe\x00",
        b"title: t\ncorrelation:\n  type: event_count\n  rules: a\n  timespan: 1s\n",
        b"{\"x\": [1, {\"y\": \"\\u0000\"}], \"x.y\": 1e999}",
        b"{\"x\": \"2026-01-01T00:00:00Z\", \"y\": [[[]]]}",
    ];
    let mut state = 0x2545_f491_u32;
    for seed in seeds {
        every_entry(seed);
        for _ in 0..200 {
            let mut bytes = seed.to_vec();
            for _ in 0..3 {
                // Xorshift: the same bytes in every run.
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let at = state as usize % bytes.len();
                bytes[at] = (state >> 8).to_le_bytes()[0];
            }
            every_entry(&bytes);
        }
    }
}
