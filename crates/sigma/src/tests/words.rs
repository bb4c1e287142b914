//! A match in words, for every kind of test a rule can make.

use expect_test::expect;
use serde_json::{Value, json};

use super::{object, sound};
use crate::{Record, Scratch};

fn explained(detection: &str, event: Value) -> String {
    let set = sound(&super::rule(detection));
    let event = object(event);
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let rule = *set.evaluate_all(&record, &mut scratch).first().expect(detection);
    let found = set.describe(rule, &record, &mut scratch).unwrap();
    format!("{} {:?}\n", found.explanation, found.fields)
}

#[test]
fn every_modifier_says_which_field_and_value_it_found() {
    let mut all = String::new();
    for (detection, event) in [
        ("f: [x, abc]", json!({"f": "ABC"})),
        ("f: 'a*c'", json!({"f": "ABC"})),
        ("f|contains|all: [a, c]", json!({"f": "abc"})),
        ("f|startswith: a", json!({"f": "abc"})),
        ("f|endswith: c", json!({"f": ["x", "abc"]})),
        ("f|cased: Abc", json!({"f": "Abc"})),
        ("f|windash|contains: ' -e '", json!({"f": "x /e y"})),
        ("f|base64offset|contains: abc", json!({"f": "xYWJj"})),
        ("f|wide|base64: ab", json!({"f": "YQBiAA=="})),
        ("f|re|i|s: 'A.c'", json!({"f": "abc"})),
        ("f|cidr: 10.0.0.0/8", json!({"f": "10.1.2.3"})),
        ("f|gt: 5", json!({"f": 6})),
        ("f|lte: 5", json!({"f": "5"})),
        ("f|neq: a", json!({"f": "b"})),
        ("f: 5", json!({"f": 5})),
        ("f: true", json!({"f": true})),
        ("f: null", json!({"g": 1})),
        ("f: ''", json!({"f": ""})),
        ("f|exists: true", json!({"f": 1})),
        ("f|exists: false", json!({"g": 1})),
        ("f|fieldref: g", json!({"f": "a", "g": "A"})),
        ("f|fieldref|endswith: g", json!({"f": "xa", "g": "a"})),
        ("f|hour: 3", json!({"f": "2026-01-01T03:00:00Z"})),
        ("f|year|gte: 2026", json!({"f": "2026-01-01T03:00:00Z"})),
        ("'|all': [one, two]", json!({"f": "two", "g": "x one"})),
    ] {
        all.push_str(&explained(detection, event));
    }
    expect![[r#"
        f is "abc" (condition: s) [("f", "ABC")]
        f fits "a*c" (condition: s) [("f", "ABC")]
        f contains "a"; f contains "c" (condition: s) [("f", "abc")]
        f starts with "a" (condition: s) [("f", "abc")]
        f ends with "c" (condition: s) [("f", "abc")]
        f is "Abc" (case counts) (condition: s) [("f", "Abc")]
        f fits "* -e *" (condition: s) [("f", "x /e y")]
        f contains "ywjj" (condition: s) [("f", "xYWJj")]
        f is "yqbiaa==" (condition: s) [("f", "YQBiAA==")]
        f fits the expression "A.c" (without letter case, over lines) (condition: s) [("f", "abc")]
        f is in 10.0.0.0/8 (condition: s) [("f", "10.1.2.3")]
        f > 5 (condition: s) [("f", "6")]
        f <= 5 (condition: s) [("f", "5")]
        f has any value (condition: s) [("f", "b")]
        f is 5 (condition: s) [("f", "5")]
        f is "true" (condition: s) [("f", "true")]
        f is absent (condition: s) []
        f is "" (condition: s) [("f", "")]
        f is present (condition: s) [("f", "1")]
        f is not present (condition: s) []
        f equals the field g (condition: s) [("f", "a")]
        f ends with the field g (condition: s) [("f", "xa")]
        f has a hour that is 3 (condition: s) [("f", "2026-01-01T03:00:00Z")]
        f has a year that >= 2026 (condition: s) [("f", "2026-01-01T03:00:00Z")]
        g contains "one"; f contains "two" (condition: s) [("g", "x one"), ("f", "two")]
    "#]]
    .assert_eq(&all);
}

#[test]
fn what_matches_by_absence_and_what_matches_by_much_is_told() {
    let text = "title: t\nid: t\ndetection:\n  s:\n    f: 1\n  condition: not s\n";
    let set = sound(text);
    let event = object(json!({"g": 1}));
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let rule = set.evaluate_all(&record, &mut scratch)[0];
    let found = set.describe(rule, &record, &mut scratch).unwrap();
    assert_eq!(found.explanation, "nothing of what the rule excludes is there (condition: not s)");
    let values: Vec<String> = (0..40).map(|at| format!("v{at:02}")).collect();
    let event = json!({"f": values.join(" ")});
    let many = explained(&format!("f|contains: [{}]", values.join(", ")), event);
    assert!(many.contains("; and 16 more (condition: s)"), "{many}");
}
