//! A restart, and where batches end, change nothing.

use proptest::prelude::*;

use super::*;

const RULES: &str = "select: {}
group-by: [s]
timespan: 20s
threshold: {count: events, gte: 6}
refractory: 30s
---
title: D
id: 6f3c0b8e-6f5b-4d0a-9d0e-000000000002
level: low
select: {}
group-by: [s]
timespan: 30s
threshold: {distinct: v, gte: 5}
refractory: 30s
max-entities: 3
---
title: S
id: 6f3c0b8e-6f5b-4d0a-9d0e-000000000003
level: low
select: {}
group-by: [s]
timespan: 30s
sequence: [{where: {v|lt: 10}, count: 2}, {where: {v|gte: 18}}]
refractory: 1s
---
title: B
id: 6f3c0b8e-6f5b-4d0a-9d0e-000000000004
level: low
select: {}
group-by: [s]
timespan: 10s
baseline: {model: seasonal, season: hour-of-day, sum: v, warmup: 80s, likelihood: 0.9, direction: both}
refractory: 1s
---
title: Q
id: 6f3c0b8e-6f5b-4d0a-9d0e-000000000005
level: low
select: {}
timespan: 10s
baseline: {model: quantile, distinct: v, warmup: 80s, likelihood: 0.9, direction: both}
refractory: 1s
---
title: N
id: 6f3c0b8e-6f5b-4d0a-9d0e-000000000006
level: low
select: {}
group-by: [s]
timespan: 10s
new: {field: v, warmup: 60s}
";

/// (gap in tenths of a second, may be negative; source; value)
type Steps = Vec<(i32, u8, u8)>;

fn steps() -> impl Strategy<Value = Steps> {
    prop::collection::vec((-5_i32..40, 0_u8..5, 0_u8..20), 1..150)
}

fn times(steps: &Steps) -> Vec<(f64, Value)> {
    let mut now = 1_000_i64;
    steps
        .iter()
        .map(|(gap, source, value)| {
            now += i64::from(*gap);
            (now as f64 / 10.0, json!({"s": format!("s{source}"), "v": value}))
        })
        .collect()
}

fn full(found: &[Finding]) -> Vec<String> {
    found.iter().map(|f| format!("{} {} {:?}", f.rule.title, f.explanation, f.events)).collect()
}

fn uninterrupted(events: &[(f64, Value)]) -> Vec<String> {
    let mut engine = engine(RULES);
    let found: Vec<Finding> = events
        .iter()
        .flat_map(|(second, fields)| see(&mut engine, *second, fields.clone()))
        .collect();
    full(&found)
}

#[test]
fn the_rules_of_these_tests_do_fire() {
    let steps: Steps = (0..300).map(|n| (7, n as u8 % 2, (n * 7 % 20) as u8)).collect();
    let found = uninterrupted(&times(&steps));
    for title in ["T ", "D ", "S "] {
        assert!(found.iter().any(|line| line.starts_with(title)), "{title}");
    }
    let mut burst = times(&steps);
    burst.extend((0..400).map(|n| (320.0 + f64::from(n) / 40.0, json!({"s": "s0", "v": n % 50}))));
    burst.push((400.0, json!({"s": "s0", "v": 1})));
    let found = uninterrupted(&burst);
    for title in ["B ", "Q ", "N "] {
        assert!(found.iter().any(|line| line.starts_with(title)), "{title}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn findings_do_not_depend_on_where_batches_end(steps in steps(), batch in 1_usize..30) {
        let events = times(&steps);
        let mut engine = engine(RULES);
        let mut found = Vec::new();
        let mut latest = f64::MIN;
        for chunk in events.chunks(batch) {
            for (second, fields) in chunk {
                latest = latest.max(*second);
                found.extend(see(&mut engine, *second, fields.clone()));
            }
            engine.advance(Timestamp::from_micros((latest * 1e6) as i64), &mut found);
        }
        prop_assert_eq!(full(&found), uninterrupted(&events));
    }

    #[test]
    fn a_restart_forgets_nothing(steps in steps(), cut in 0_usize..150) {
        let events = times(&steps);
        let cut = cut.min(events.len());
        let mut engine = engine(RULES);
        let mut found = Vec::new();
        for (second, fields) in &events[..cut] {
            found.extend(see(&mut engine, *second, fields.clone()));
        }
        let bytes = engine.snapshot().unwrap();
        let mut engine = Engine::with_seed(&load(RULES), 99);
        let restored = engine.restore(&bytes).unwrap();
        prop_assert!(restored.dropped.is_empty());
        prop_assert_eq!(engine.snapshot().unwrap(), bytes);
        for (second, fields) in &events[cut..] {
            found.extend(see(&mut engine, *second, fields.clone()));
        }
        prop_assert_eq!(full(&found), uninterrupted(&events));
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(engine(RULES).restore(&bytes).is_err());
    }
}

#[test]
fn a_changed_rule_begins_anew() {
    let mut before = engine(RULES);
    at(&mut before, (0..5).map(f64::from));
    let bytes = before.snapshot().unwrap();
    let mut after = engine(&RULES.replace("gte: 6", "gte: 5"));
    let restored = after.restore(&bytes).unwrap();
    assert_eq!(restored.dropped, ["6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e"]);
    assert!(restored.groups >= 4, "{restored:?}");
    let mut fewer = engine("select: {}\ntimespan: 60s\nnew: {field: x}\n");
    assert_eq!(fewer.restore(&bytes).unwrap().dropped.len(), 6);
}

#[test]
fn another_form_is_refused_and_changes_nothing() {
    let mut engine = engine(RULES);
    at(&mut engine, (0..3).map(f64::from));
    let bytes = engine.snapshot().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for other in [
        text.replacen("\"version\":1", "\"version\":2", 1),
        text.replacen("\"probe\":", "\"probe\":1", 1),
    ] {
        assert!(engine.restore(other.as_bytes()).is_err());
        assert_eq!(engine.snapshot().unwrap(), bytes);
    }
}
