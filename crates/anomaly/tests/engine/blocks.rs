//! Each block of the rule format by a table.

use expect_test::{Expect, expect};

use super::*;

/// Events `(second, source, value)` under a rule; the findings in short.
fn check(body: &str, events: &[(f64, &str, Value)], expected: &Expect) {
    let mut engine = engine(&format!("select: {{}}\ngroup-by: [s]\n{body}"));
    let mut found = Vec::new();
    for (second, source, value) in events {
        found.extend(see(&mut engine, *second, json!({"s": source, "v": value})));
    }
    expected.assert_eq(&brief(&found));
}

fn numbered(count: u32, every: f64) -> Vec<(f64, &'static str, Value)> {
    (0..count).map(|n| (f64::from(n) * every, "a", json!(n))).collect()
}

#[test]
fn count() {
    let rule = "timespan: 60s\nthreshold: {count: events, gte: 5}\n";
    check(rule, &numbered(4, 1.0), &expect![""]);
    check(rule, &numbered(5, 1.0), &expect!["a 5 events [0..4]"]);
    check(rule, &numbered(5, 15.0), &expect![""]);
    check(rule, &numbered(9, 1.0), &expect!["a 5 events [0..4]"]);
}

#[test]
fn distinct() {
    let rule = "timespan: 60s\nthreshold: {distinct: v, gte: 4}\n";
    check(rule, &numbered(4, 1.0), &expect!["a 4 distinct v [0..3]"]);
    let same: Vec<_> = (0..90).map(|n| (f64::from(n) / 10.0, "a", json!(n % 3))).collect();
    check(rule, &same, &expect![""]);
    let lists = [(0.0, "a", json!(["p", "q", "Q"])), (1.0, "a", json!(["r", "s"]))];
    check(rule, &lists, &expect!["a 4 distinct v [0..1]"]);
}

#[test]
fn sum() {
    let rule = "timespan: 60s\nthreshold: {sum: v, gte: 100}\n";
    let events = [(0.0, "a", json!(60)), (1.0, "b", json!(60)), (2.0, "a", json!("50"))];
    check(rule, &events, &expect!["a 110 sum of v [0..2]"]);
    let odd = [(0.0, "a", json!(60)), (1.0, "a", json!("many")), (2.0, "a", json!(null))];
    check(rule, &odd, &expect![""]);
    let huge = [(0.0, "a", json!(1e300)), (1.0, "a", json!(1e300))];
    check(rule, &huge, &expect!["a 1000000000000000 sum of v [0..0]"]);
}

#[test]
fn bits() {
    let rule = "timespan: 60s\nthreshold: {bits: v, gte: 20}\n";
    let names =
        ["abcd.x.example.com", "abcd.x.example.com", "efgh.example.com", "ijkl.example.com"];
    let events: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (n as f64, "a", json!(name))).collect();
    // abcdx: 11.6 bits once, efgh: 8, ijkl: 8.
    check(rule, &events, &expect!["a 27.60964047443681 bits in v [0..3]"]);
}

#[test]
fn rate() {
    let rule = "timespan: 12s\nrate: {count: events, per: 1s, gte: 2}\n";
    check(rule, &numbered(23, 0.2), &expect![""]);
    check(rule, &numbered(24, 0.2), &expect!["a 2 events per 1 s [0..4]"]);
    check(rule, &numbered(200, 1.0), &expect![""]);
}

#[test]
fn ratio() {
    let rule = "timespan: 60s\nratio: {of: {v|gte: 400}, to: {v|exists: true}, gte: 0.5, min: 4}\n";
    let codes = |list: &[u32]| -> Vec<(f64, &'static str, Value)> {
        list.iter().enumerate().map(|(n, code)| (n as f64, "a", json!(code))).collect()
    };
    check(rule, &codes(&[404, 404, 404]), &expect![""]);
    check(rule, &codes(&[200, 404, 200, 404]), &expect!["a 0.5 share of events [0..3]"]);
    check(rule, &codes(&[200, 200, 200, 404, 200, 200]), &expect![""]);
}

#[test]
fn conditions_hold_together() {
    let rule = "timespan: 60s\nthreshold: [{count: events, gte: 5}, {distinct: v, gte: 3}]\n";
    let few: Vec<_> = (0..9).map(|n| (f64::from(n), "a", json!(n % 2))).collect();
    check(rule, &few, &expect![""]);
    let enough: Vec<_> = (0..9).map(|n| (f64::from(n), "a", json!(n % 3))).collect();
    check(rule, &enough, &expect!["a 5 events [0..4]"]);
}

#[test]
fn sequence() {
    let rule = "timespan: 60s\nsequence: [{where: {v: f}, count: 3}, {where: {v: s}}]\n";
    let play = |text: &str, every: f64| -> Vec<(f64, &'static str, Value)> {
        text.chars().enumerate().map(|(n, c)| (n as f64 * every, "a", json!(c))).collect()
    };
    for (text, every, fires) in [
        ("fffs", 1.0, true),
        ("ffs", 1.0, false),
        ("sfff", 1.0, false),
        ("fffxxxs", 1.0, true),
        ("fffffffs", 1.0, true),
        ("fffs", 40.0, false),
        ("fff....s", 20.0, false),
    ] {
        let expected = if fires { format!("{}", text.matches('f').count()) } else { String::new() };
        let mut engine = engine(&format!("select: {{}}\ngroup-by: [s]\n{rule}"));
        let mut found = Vec::new();
        for (second, _, value) in play(text, every) {
            found.extend(see(&mut engine, second, json!({"s": "a", "v": value})));
        }
        let values: Vec<String> = found.iter().map(|f| f.value.to_string()).collect();
        assert_eq!(values.join(","), expected, "{text}");
    }
}

#[test]
fn new_values() {
    let rule = "timespan: 1h\nnew: {field: v, warmup: 1d, max: 3}\n";
    let day = 86_400.0;
    let events = [
        (0.0, "a", json!(80)),
        (10.0, "a", json!(443)),
        (day + 1.0, "a", json!(80)),
        (day + 2.0, "a", json!(22)),
        (day + 3.0, "a", json!(22)),
        // Three values are remembered: a further one is not told of.
        (day + 4.0, "a", json!(23)),
        (day + 5.0, "b", json!(1)),
    ];
    check(rule, &events, &expect!["a 1 new v [86401..86402]"]);
}

#[test]
fn baseline_of_a_count() {
    let rule = "timespan: 60s\nbaseline: {model: ewma, count: events, warmup: 30m, min-scale: 2}\n";
    let mut events = Vec::new();
    for minute in 0..60 {
        let many = if minute == 50 { 100 } else { 5 };
        events.extend(
            (0..many).map(|n| (f64::from(minute * 60) + f64::from(n) / 2.0, "a", json!(n))),
        );
    }
    check(rule, &events, &expect!["a 100 events [3000..3060]"]);
}

#[test]
fn baseline_by_quantile_and_both_directions() {
    let rule = "timespan: 60s\nbaseline: {model: quantile, sum: v, warmup: 30m, likelihood: 0.95, direction: both}\n";
    let mut events: Vec<_> =
        (0..100).map(|n| (f64::from(n) * 60.0, "a", json!(50 + n % 10))).collect();
    events[60].2 = json!(500);
    events[80].2 = json!(1);
    check(
        rule,
        &events,
        &expect![[r#"
        a 500 sum of v [3600..3660]
        a 1 sum of v [4800..4860]"#]],
    );
}

#[test]
fn a_finding_tells_everything() {
    let mut engine = engine(
        "description: D\nadvice: Do something.\ntags: [attack.t1110]\nselect: {}\ngroup-by: [src_ip, dest_port]\n\
         entity: src_ip\ntimespan: 60s\nthreshold: {count: events, gte: 3}\ncontributors: u\n",
    );
    let mut found = Vec::new();
    for (second, user) in [(0.0, "root"), (1.0, "bob"), (2.0, "root")] {
        let event = json!({"src_ip": "192.0.2.7", "dest_port": 22, "u": user});
        found.extend(see(&mut engine, second, event));
    }
    let detection = found[0].to_detection();
    expect!["src_ip 192.0.2.7, dest_port 22: 3 events within 1 min (limit 3); from 1970-01-01T00:00:00.000000+0000 to 1970-01-01T00:00:02.000000+0000; most: root (2), bob (1)"]
        .assert_eq(&detection.explanation);
    assert_eq!(detection.evidence, ["e0", "e1", "e2"]);
    assert_eq!(
        (detection.advice.as_str(), detection.attack[0].0.as_str()),
        ("Do something.", "T1110")
    );
    assert_eq!(found[0].expected, (0.0, 3.0));
    assert!(detection.rule_text.contains("threshold"));
    let event = found[0].to_event(Timestamp::EPOCH);
    assert_eq!(event.time, Timestamp::from_seconds(2));
    assert_eq!(event.fields["src_ip"], "192.0.2.7");
    assert_eq!(event.fields["dest_port"], 22);
    assert_eq!(event.fields["detection"]["engine"], "anomaly");
}

#[test]
fn groups_by_network_and_domain() {
    let mut engine = engine(
        "select: {}\ngroup-by: ['src_ip|net', 'q|registered-domain']\ntimespan: 60s\nthreshold: {count: events, gte: 2}\n",
    );
    let mut found = Vec::new();
    for (ip, name) in [
        ("192.0.2.1", "a.example.co.uk"),
        ("192.0.2.200", "b.EXAMPLE.co.uk."),
        ("192.0.3.1", "b.example.co.uk"),
        ("2001:db8::1", "x.example.com"),
        ("2001:0db8:0000:0000:ffff:0000:0000:0001", "y.example.com"),
        ("::ffff:192.0.2.9", "b.example.co.uk"),
        ("no address", "b.example.co.uk"),
    ] {
        found.extend(see(&mut engine, 0.0, json!({"src_ip": ip, "q": name})));
    }
    let groups: Vec<_> = found
        .iter()
        .map(|f| f.group.iter().map(|g| g.1.clone()).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(groups, ["192.0.2.0/24 example.co.uk", "2001:db8::/64 example.com"]);
    assert_eq!(engine.counters().ungrouped, 1);
}

#[test]
fn without_groups_all_events_count_together() {
    let mut engine = engine("select: {}\ntimespan: 60s\nthreshold: {count: events, gte: 2}\n");
    let found = at(&mut engine, [0.0, 1.0]);
    assert_eq!(found[0].entity().field, "network");
    assert!(found[0].explanation.starts_with("2 events within"), "{}", found[0].explanation);
}
