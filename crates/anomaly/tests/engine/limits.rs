//! Memory stays within its limits whatever comes.

use super::*;

#[test]
fn a_million_random_sources_hold_the_cap() {
    let rule = "select: {}\ngroup-by: [s]\ntimespan: 60s\nthreshold: {count: events, gte: 5}\nmax-entities: 2000\n";
    let mut engine = engine(rule);
    let mut found = Vec::new();
    let mut state = 1_u64;
    for n in 0..1_000_000_u32 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Every hundredth event is of the one source that matters: it must not drown.
        let source = if n % 100 == 0 { "real".to_owned() } else { format!("{state:x}") };
        let fields = object(json!({"s": source}));
        let time = Timestamp::from_micros(i64::from(n) * 100);
        engine.observe(&EventView { time, kind: "log", id: None, fields: &fields }, &mut found);
    }
    let (_, counters, groups, bytes) = engine.rules().next().unwrap();
    assert!(groups <= 2_000 && bytes < 2_000 * 1_000, "{groups} groups, {bytes} bytes");
    assert_eq!(counters.selected, 1_000_000);
    assert_eq!(counters.evicted, 990_001 - groups as u64);
    assert!(found.iter().all(|f| f.entity().value == "real") && !found.is_empty());
}

#[test]
fn the_limit_in_bytes_holds_for_large_groups() {
    let rule = "select: {}\ngroup-by: [s]\ntimespan: 1h\nthreshold: {distinct: v, gte: 100000}\nmemory-bytes: 200000\n";
    let mut engine = engine(rule);
    for n in 0..60_000_u32 {
        see(&mut engine, f64::from(n) / 1_000.0, json!({"s": n % 200, "v": format!("value {n}")}));
        let (_, _, groups, bytes) = engine.rules().next().unwrap();
        assert!(bytes <= 200_000 || groups == 1, "{bytes}");
    }
    assert!(engine.counters().evicted > 0);
}

#[test]
fn the_least_recently_seen_goes_first() {
    let rule = "select: {}\ngroup-by: [s]\ntimespan: 60s\nthreshold: {count: events, gte: 3}\nmax-entities: 2\n";
    let mut engine = engine(rule);
    let mut found = Vec::new();
    for (second, source) in ["a", "b", "a", "c", "a", "b", "b"].iter().enumerate() {
        found.extend(see(&mut engine, second as f64, json!({"s": source})));
    }
    // "b" was evicted by "c" and had to begin anew.
    assert_eq!(brief(&found), "a 3 events [0..4]");
    assert_eq!(engine.counters().evicted, 2);
}

#[test]
fn hostile_values_are_cut_and_bounded() {
    let rule = "select: {}\ngroup-by: [s]\ntimespan: 60s\nthreshold: {distinct: v, gte: 3}\n";
    let mut engine = engine(rule);
    let long = "\u{1f600}".repeat(100_000);
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let found = see(&mut engine, 0.0, json!({"s": long, "v": many}));
    assert_eq!(found.len(), 1);
    assert!(found[0].explanation.len() < 2_000);
    assert!(found[0].entity().value.len() <= 256);
    // At most 64 values of one event count.
    assert_eq!(found[0].value, 64.0);
    let (_, _, _, bytes) = engine.rules().next().unwrap();
    assert!(bytes < 20_000, "{bytes}");
}

#[test]
fn keys_with_separators_do_not_run_together() {
    let rule = "select: {}\ngroup-by: [s, v]\ntimespan: 60s\nthreshold: {count: events, gte: 2}\n";
    let mut engine = engine(rule);
    for (a, b) in [("a", "bc"), ("ab", "c"), ("1:a", "bc"), ("a2:bc", "")] {
        assert!(see(&mut engine, 0.0, json!({"s": a, "v": b})).is_empty());
    }
}
