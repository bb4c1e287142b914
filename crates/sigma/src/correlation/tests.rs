//! Correlation by tables: a rule, a line of events with their seconds, and what is found when.

use event::Timestamp;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Correlated, Correlator, Limits, RestoreError};
use crate::{
    Record, RuleSet, Scratch,
    tests::{load, object, sound},
};

/// Rules `a`, `b` and `c` fire on events with that `kind`.
pub(super) fn rules(correlation: &str) -> String {
    let mut out = String::new();
    for name in ["a", "b", "c"] {
        out.push_str(&format!(
            "title: Rule {name}\nid: {name}\ndetection:\n  s:\n    kind: {name}\n  condition: s\n---\n"
        ));
    }
    let body: String = correlation.lines().map(|line| format!("  {line}\n")).collect();
    format!("{out}title: Many\nid: many\nlevel: high\ncorrelation:\n{body}")
}

pub(super) fn feed(
    set: &RuleSet,
    correlator: &mut Correlator,
    second: i64,
    mut event: Value,
) -> Vec<Correlated> {
    event["event"] = json!({ "id": format!("e{second}") });
    let event = object(event);
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let matched = set.evaluate_all(&record, &mut scratch).to_vec();
    correlator.observe_at(Timestamp::from_seconds(second), &record, &matched)
}

/// Each event is (second, kind, user, number).
type Row<'a> = (i64, &'a str, &'a str, f64);

fn run(set: &RuleSet, correlator: &mut Correlator, events: &[Row<'_>]) -> String {
    let mut out = String::new();
    for (second, kind, user, number) in events {
        let event = json!({"kind": kind, "user": user, "n": number});
        for found in feed(set, correlator, *second, event) {
            let group: Vec<&str> = found.group.iter().map(|(_, value)| value.as_str()).collect();
            out.push_str(&format!(
                "{second}: {} [{}] {} ({}) {}..{} {:?} {}\n",
                found.rule_id,
                group.join(","),
                found.value,
                found.threshold,
                found.first.seconds(),
                found.last.seconds(),
                found.contributors.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
                found.evidence.join(" "),
            ));
        }
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "as the macro gives it")]
fn check(correlation: &str, events: &[Row<'_>], expected: Expect) {
    let set = sound(&rules(correlation));
    let mut correlator = Correlator::new(&set);
    expected.assert_eq(&run(&set, &mut correlator, events));
}

#[test]
fn event_count_by_group() {
    check(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  gte: 3",
        &[
            (0, "a", "u", 0.),
            (1, "a", "v", 0.),
            (2, "a", "u", 0.),
            (3, "b", "u", 0.),
            (10, "a", "u", 0.),
            (11, "a", "u", 0.),
            (12, "a", "u", 0.),
            (13, "a", "u", 0.),
            (23, "a", "u", 0.),
        ],
        expect![[r#"
            11: many [u] 3 (>= 3) 2..11 [3] e2 e10 e11
        "#]],
    );
}

#[test]
fn ranges_and_equality() {
    check(
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gt: 1\n  lt: 3",
        &[(0, "a", "u", 0.), (1, "a", "v", 0.), (2, "a", "u", 0.)],
        expect![[r#"
            1: many [] 2 (< 3 and > 1) 0..1 [2] e0 e1
        "#]],
    );
    check(
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  eq: 2",
        &[(0, "a", "u", 0.), (5, "a", "v", 0.)],
        expect![[r#"
            5: many [] 2 (= 2) 0..5 [2] e0 e5
        "#]],
    );
}

#[test]
fn value_count_counts_different_values() {
    check(
        "type: value_count\nrules: [a]\ngroup-by: [kind]\ntimespan: 10s\ncondition:\n  gte: 3\n  field: user",
        &[(0, "a", "u", 0.), (1, "a", "u", 0.), (2, "a", "v", 0.), (3, "a", "w", 0.)],
        expect![[r#"
            3: many [a] 3 (>= 3) 0..3 [4] e0 e1 e2 e3
        "#]],
    );
}

#[test]
fn temporal_in_any_order_and_in_order() {
    let events = [
        (0, "b", "u", 0.),
        (1, "a", "u", 0.),
        (2, "b", "v", 0.),
        (20, "a", "w", 0.),
        (21, "b", "w", 0.),
        (50, "a", "x", 0.),
        (61, "b", "x", 0.),
    ];
    check(
        "type: temporal\nrules: [a, b]\ngroup-by: [user]\ntimespan: 10s",
        &events,
        expect![[r#"
            1: many [u] 2 (all 2 rules) 0..1 [1, 1] e0 e1
            21: many [w] 2 (all 2 rules) 20..21 [1, 1] e20 e21
        "#]],
    );
    check(
        "type: temporal_ordered\nrules: [a, b]\ngroup-by: [user]\ntimespan: 10s",
        &events,
        expect![[r#"
            21: many [w] 2 (all 2 rules) 20..21 [1, 1] e20 e21
        "#]],
    );
}

#[test]
fn temporal_with_a_condition_over_rules() {
    check(
        "type: temporal\nrules: [a, b, c]\ntimespan: 10s\ncondition: a and (b or c)",
        &[(0, "b", "u", 0.), (1, "c", "u", 0.), (2, "a", "u", 0.)],
        expect![[r#"
            2: many [] 3 ((a and (b or c))) 0..2 [1, 1, 1] e0 e1 e2
        "#]],
    );
}

#[test]
fn sums_averages_medians_percentiles() {
    let events = [(0, "a", "u", 10.), (1, "a", "u", 20.), (2, "a", "u", 90.), (3, "a", "u", 4.)];
    for (kind, more, expected) in [
        (
            "value_sum",
            "gt: 29",
            expect![[r#"
            1: many [] 30 (> 29) 0..1 [2] e0 e1
        "#]],
        ),
        (
            "value_avg",
            "gte: 40",
            expect![[r#"
            2: many [] 40 (>= 40) 0..2 [3] e0 e1 e2
        "#]],
        ),
        ("value_avg", "lt: 1", expect![[r#""#]]),
        (
            "value_median",
            "gte: 20",
            expect![[r#"
            2: many [] 20 (>= 20) 0..2 [3] e0 e1 e2
        "#]],
        ),
        ("value_percentile", "gte: 80\n  percentile: 90", expect![[r#""#]]),
        (
            "value_percentile",
            "lte: 5\n  percentile: 0",
            expect![[r#"
            3: many [] 4 (<= 5) 0..3 [4] e0 e1 e2 e3
        "#]],
        ),
    ] {
        check(
            &format!("type: {kind}\nrules: [a]\ntimespan: 10s\ncondition:\n  field: n\n  {more}"),
            &events,
            expected,
        );
    }
}

#[test]
fn aliases_name_the_group_in_each_rule() {
    let text = rules(
        "type: temporal\nrules: [a, b]\ngroup-by: [who]\ntimespan: 10s\naliases:\n  who:\n    a: user\n    b: account",
    );
    let set = sound(&text);
    let mut correlator = Correlator::new(&set);
    assert_eq!(feed(&set, &mut correlator, 0, json!({"kind": "a", "user": "x"})), []);
    let found = feed(&set, &mut correlator, 1, json!({"kind": "b", "account": "x"}));
    assert_eq!(found[0].group, [("who".to_owned(), "x".to_owned())]);
    assert_eq!(feed(&set, &mut correlator, 2, json!({"kind": "b", "user": "x"})), []);
    assert_eq!(correlator.counters().ungrouped, 1);
}

#[test]
fn correlations_of_correlations() {
    let text = format!(
        "{}---\ntitle: Chain\nid: chain\ncorrelation:\n  type: temporal_ordered\n  rules: [many, b]\n  \
         group-by: [user]\n  timespan: 1m\n",
        rules(
            "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  gte: 2"
        )
    );
    let set = sound(&text);
    let mut correlator = Correlator::new(&set);
    let events = [(0, "b", "u", 0.), (1, "a", "u", 0.), (2, "a", "u", 0.), (3, "b", "u", 0.)];
    expect![[r#"
        3: chain [u] 2 (all 2 rules) 0..3 [1, 2] e0 e2 e3
    "#]]
    .assert_eq(&run(&set, &mut correlator, &events));
}

#[test]
fn late_events_count_where_they_belong_up_to_the_bound() {
    let set = sound(&rules(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  gte: 3",
    ));
    let limits = Limits { lateness: 60, ..Limits::default() };
    let mut correlator = Correlator::with_limits(&set, limits);
    let events = [
        (100, "a", "u", 0.),
        (109, "a", "u", 0.),
        (150, "b", "u", 0.),
        (105, "a", "u", 0.),
        (89, "a", "u", 0.),
    ];
    expect![[r#"
        105: many [u] 3 (>= 3) 100..109 [3] e100 e105 e109
    "#]]
    .assert_eq(&run(&set, &mut correlator, &events));
    assert_eq!(correlator.counters().late, 1);
}

#[test]
fn groups_are_bounded_and_evictions_counted() {
    let set = sound(&rules(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 1h\ncondition:\n  gte: 2",
    ));
    let limits = Limits { groups: 100, ..Limits::default() };
    let mut correlator = Correlator::with_limits(&set, limits);
    for second in 0..1000 {
        let user = format!("u{second}");
        assert_eq!(run(&set, &mut correlator, &[(second, "a", &user, 0.)]), "");
        assert!(correlator.groups() <= 100);
    }
    assert!(correlator.counters().evicted_groups >= 900);
    // The youngest groups are still there.
    assert!(!run(&set, &mut correlator, &[(1000, "a", "u999", 0.)]).is_empty());
    let limits = Limits { bytes: 10_000, ..Limits::default() };
    let mut correlator = Correlator::with_limits(&set, limits);
    for second in 0..1000 {
        run(&set, &mut correlator, &[(second, "a", &format!("u{second}"), 0.)]);
    }
    assert!(correlator.groups() < 200, "{}", correlator.groups());
    assert!(correlator.counters().evicted_groups > 0);
}

#[test]
fn events_of_one_group_are_bounded() {
    let set =
        sound(&rules("type: event_count\nrules: [a]\ntimespan: 365d\ncondition:\n  gte: 16000"));
    let mut correlator = Correlator::new(&set);
    let event = object(json!({"kind": "a"}));
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let matched = set.evaluate_all(&record, &mut scratch).to_vec();
    // Judging is the dear part; a window that is full is enough.
    let items: Vec<Value> =
        (0..17_000).map(|n| json!({"time": n, "target": 0, "value": "One", "id": null})).collect();
    let mut snapshot: Value = serde_json::from_slice(&correlator.snapshot().unwrap()).unwrap();
    snapshot["rules"]["many"]["groups"] =
        json!([[[], {"items": items, "fired": null, "bytes": 0}]]);
    let restored = correlator.restore(snapshot.to_string().as_bytes()).unwrap();
    assert_eq!((restored.groups, restored.dropped.len()), (1, 0));
    let found = correlator.observe_at(Timestamp::from_seconds(1), &record, &matched);
    assert_eq!(found[0].value, 16384.0);
    assert_eq!(correlator.counters().evicted_events, 17_001 - 16_384);
}

#[test]
fn state_survives_a_restart() {
    let text = rules(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  gte: 2",
    );
    let set = sound(&text);
    let mut before = Correlator::new(&set);
    run(&set, &mut before, &[(0, "a", "u", 0.)]);
    let stored = String::from_utf8(before.snapshot().unwrap()).unwrap();
    let restore = |set: &RuleSet, stored: &str| {
        let mut after = Correlator::new(set);
        let restored = after.restore(stored.as_bytes()).unwrap();
        (after, restored)
    };
    let (mut after, restored) = restore(&set, &stored);
    assert_eq!((restored.groups, restored.dropped.len()), (1, 0));
    assert!(!run(&set, &mut after, &[(1, "a", "u", 0.)]).is_empty());
    // It does not fire again for what it has fired for.
    let stored_again = String::from_utf8(after.snapshot().unwrap()).unwrap();
    let (mut again, _) = restore(&set, &stored_again);
    assert_eq!(run(&set, &mut again, &[(2, "a", "u", 0.), (3, "a", "u", 0.)]), "");
    // A rule that is gone or changed, or whose state names what it does not have, is told.
    for (text, stored) in [
        (text.replace("id: many", "id: few"), stored.clone()),
        (text.replace("gte: 2", "gte: 3"), stored.clone()),
        (text.clone(), stored.replace("\"target\":0", "\"target\":9")),
    ] {
        let (after, restored) = restore(&sound(&text), &stored);
        assert_eq!((after.groups(), restored.dropped.as_slice()), (0, &["many".to_owned()][..]));
    }
}

#[test]
fn foreign_and_damaged_snapshots_are_refused_and_change_nothing() {
    let set = sound(&rules("type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 9"));
    let mut correlator = Correlator::new(&set);
    run(&set, &mut correlator, &[(0, "a", "u", 0.)]);
    let stored = String::from_utf8(correlator.snapshot().unwrap()).unwrap();
    let refused = |text: &str| Correlator::new(&set).restore(text.as_bytes()).unwrap_err();
    assert!(matches!(refused(stored.strip_suffix('}').unwrap()), RestoreError::Format(_)));
    assert!(matches!(refused("{\"version\":1}"), RestoreError::Format(_)));
    let other = stored.replace("\"version\":1", "\"version\":2");
    assert!(matches!(refused(&other), RestoreError::Version { version: 2 }));
    let other = stored.replace("sigma correlations", "anomaly");
    assert!(matches!(refused(&other), RestoreError::Kind { .. }));
    assert!(correlator.restore(b"").is_err());
    assert_eq!(correlator.snapshot().unwrap(), stored.as_bytes());
}

#[test]
fn restored_state_is_brought_within_the_bounds() {
    let set = sound(&rules(
        "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 1h\ncondition:\n  gte: 9",
    ));
    let mut before = Correlator::new(&set);
    for second in 0..200 {
        run(&set, &mut before, &[(second, "a", &format!("u{second}"), 0.)]);
    }
    let limits = Limits { groups: 50, ..Limits::default() };
    let mut after = Correlator::with_limits(&set, limits);
    let restored = after.restore(&before.snapshot().unwrap()).unwrap();
    assert!(restored.groups <= 50 && after.groups() == restored.groups, "{restored:?}");
    assert_eq!(after.counters().evicted_groups, 200 - u64::try_from(restored.groups).unwrap());
}

#[test]
fn rules_of_a_correlation_are_silent_unless_it_says_generate() {
    let body = "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 2";
    for (text, speaks) in [(rules(body), false), (format!("{}generate: true\n", rules(body)), true)]
    {
        let set = sound(&text);
        let event = object(json!({"kind": "a"}));
        let mut scratch = Scratch::new();
        let rule = set.evaluate_all(&Record::new(&event), &mut scratch)[0];
        assert_eq!(set.speaks(rule), speaks, "{text}");
    }
}

#[test]
fn an_event_without_a_time_is_counted() {
    let set = sound(&rules("type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1"));
    let mut correlator = Correlator::new(&set);
    let mut scratch = Scratch::new();
    for (event, found) in
        [(json!({"kind": "a"}), 0), (json!({"kind": "a", "timestamp": "2026-01-01T00:00:00Z"}), 1)]
    {
        let event = object(event);
        let record = Record::new(&event);
        let matched = set.evaluate_all(&record, &mut scratch).to_vec();
        assert_eq!(correlator.observe(&record, &matched).len(), found);
    }
    assert_eq!(correlator.counters().untimed, 1);
}

#[test]
fn a_finding_explains_itself() {
    let set = sound(&rules(
        "type: event_count\nrules: [a, b]\ngroup-by: [src_ip]\ntimespan: 10s\ncondition:\n  gte: 2",
    ));
    let mut correlator = Correlator::new(&set);
    feed(&set, &mut correlator, 0, json!({"kind": "a", "source": {"ip": "10.0.0.1"}}));
    let found = feed(&set, &mut correlator, 1, json!({"kind": "b", "src_ip": "10.0.0.1"}));
    let detection = found[0].clone().into_detection();
    expect![[r#"
        {
          "engine": "correlation",
          "rule_id": "many",
          "rule_rev": "",
          "title": "Many",
          "severity": "high",
          "category": "event_count",
          "entity": {
            "field": "src_ip",
            "value": "10.0.0.1"
          },
          "explanation": "event_count is 2, wanted >= 2, for src_ip=10.0.0.1, from 1970-01-01T00:00:00.000000+0000 to 1970-01-01T00:00:01.000000+0000 (time span 10 s), from: Rule a (1), Rule b (1)",
          "advice": "",
          "evidence": [
            "e0",
            "e1"
          ],
          "attack": [],
          "rule_text": "title: Many\nid: many\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [a, b]\n  group-by: [src_ip]\n  timespan: 10s\n  condition:\n    gte: 2"
        }"#]].assert_eq(&serde_json::to_string_pretty(&detection).unwrap());
}

#[test]
fn what_has_no_meaning_is_refused() {
    let mut all = String::new();
    for body in [
        "type: event_count\nrules: [a]\ntimespan: 10s",
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  lt: 5",
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 99999",
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: -1",
        "type: event_count\nrules: [a]\ntimespan: 0s\ncondition:\n  gte: 1",
        "type: event_count\nrules: [a]\ntimespan: ten\ncondition:\n  gte: 1",
        "type: event_count\nrules: [a]\ncondition:\n  gte: 1",
        "type: event_count\nrules: [gone]\ntimespan: 10s\ncondition:\n  gte: 1",
        "type: event_count\nrules: []\ntimespan: 10s\ncondition:\n  gte: 1",
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1\n  field: x",
        "type: event_count\nrules: [a]\ntimespan: 10s\nwindow: tumbling\ncondition:\n  gte: 1",
        "type: event_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1\n  sum: x",
        "type: event_count\nrules: [many]\ntimespan: 10s\ncondition:\n  gte: 1",
        "type: value_count\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1",
        "type: value_sum\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1\n  field: [x, y]",
        "type: value_percentile\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1\n  field: x\n  percentile: 101",
        "type: value_avg\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 1\n  field: x\n  percentile: 5",
        "type: temporal\nrules: [a]\ntimespan: 10s\ncondition:\n  gte: 2",
        "type: temporal\nrules: [a]\ntimespan: 10s\ncondition: a and b",
        "type: temporal_ordered\nrules: [a, b]\ntimespan: 10s\ncondition: a and b",
        "type: temporal\nrules: [a]\ntimespan: 10s\naliases:\n  x:\n    a: y",
        "type: temporal\nrules: [a]\ngroup-by: [x]\ntimespan: 10s\naliases:\n  x:\n    b: y",
        "type: nonsense\nrules: [a]\ntimespan: 10s",
    ] {
        let (_, report) = load(&rules(body));
        assert_eq!((report.accepted, report.rejected.len()), (3, 1), "{body}");
        all.push_str(&format!("{}: {}\n", report.rejected[0].id, report.rejected[0].reason));
    }
    expect![[r#"
        many: Invalid correlation rule: Non-temporal correlation rule requires a condition
        many: correlation: an upper bound alone can only be judged when the time span is over, which is not done
        many: correlation: a threshold of 16384 or more
        many: gte that is no natural number would be ignored
        many: correlation: a time span of nothing, or too long
        many: Invalid timespan 'ten'
        many: Invalid correlation rule: Missing timeframe
        many: refers to the rule "gone", which is not loaded
        many: correlation: no rules
        many: correlation: a field has no meaning for this type
        many: correlation.window would be ignored
        many: correlation.condition.sum would be ignored
        many: refers to the rule "many", which is not loaded
        many: correlation: this type needs a field
        many: correlation: this type needs one field
        many: correlation: a percentile above 100
        many: correlation: a percentile has no meaning for this type
        many: correlation: the types temporal and temporal_ordered take no number
        many: condition: nothing is called "b"
        many: correlation: a condition over rules belongs to the type temporal
        many: the alias "x" would be ignored
        many: the alias for rule "b" would be ignored
        many: Invalid correlation rule: Unknown correlation type: nonsense
    "#]].assert_eq(&all);
}
