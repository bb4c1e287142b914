//! Spans of time where clocks are set, and zones as they are written.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn micros(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().micros()
}

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

#[test]
fn zones_as_they_are_written() {
    let summer = micros("2026-07-01T00:00:00Z");
    for (name, seconds) in [
        ("UTC", 0),
        ("z", 0),
        ("+02:00", 7200),
        ("-0530", -19_800),
        ("+2", 7200),
        ("+14:00", 50_400),
        ("Europe/Zurich", 7200),
        ("America/New_York", -14_400),
        ("Etc/UTC", 0),
    ] {
        assert_eq!(zone(name).ahead(summer), seconds, "{name}");
    }
    let long = "x".repeat(10_000);
    for name in [
        "",
        "+",
        "+25:00",
        "+2:99",
        "+02:0x",
        "+-2",
        "+12345",
        "Mars/Olympus",
        "../etc/passwd",
        &long,
    ] {
        let error = Zone::named(name).unwrap_err().to_string();
        assert!(error.starts_with("not a time zone") && error.len() < 200, "{error}");
    }
}

/// The borders of the spans that hold some times, in the zone's own time.
fn check(step: Step, name: &str, (from, to): (&str, &str), expected: &Expect) {
    let zone = zone(name);
    let found = borders(step, &zone, (micros(from), micros(to)), (0, 100)).unwrap();
    let shown = |border: &i64| {
        let (local, ahead) = written(&zone, Timestamp::from_micros(*border));
        format!("{} {:+}\n", local.to_string().get(..16).unwrap(), ahead / 3600)
    };
    expected.assert_eq(&found.iter().map(shown).collect::<String>());
}

#[test]
fn spans_where_clocks_are_set() {
    let (day, hours) = (Step::Unit(Unit::Day), |hours: i64| Step::Width(hours * 3_600 * SECOND));
    let (from, to) = ("2026-10-24T12:00:00Z", "2026-10-26T00:00:00Z");
    check(
        day,
        "Europe/Zurich",
        (from, to),
        &expect![[r#"
        2026-10-24T00:00 +2
        2026-10-25T00:00 +2
        2026-10-26T00:00 +1
        2026-10-27T00:00 +1
    "#]],
    );
    // The third hour comes twice.
    check(
        hours(1),
        "Europe/Zurich",
        ("2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z"),
        &expect![[r#"
        2026-10-25T01:00 +2
        2026-10-25T02:00 +2
        2026-10-25T02:00 +1
        2026-10-25T03:00 +1
    "#]],
    );
    check(
        hours(6),
        "Europe/Zurich",
        ("2026-03-28T22:00:00Z", "2026-03-29T12:00:00Z"),
        &expect![[r#"
        2026-03-28T18:00 +1
        2026-03-29T00:00 +1
        2026-03-29T06:00 +2
        2026-03-29T12:00 +2
        2026-03-29T18:00 +2
    "#]],
    );
}

#[test]
fn spans_of_other_lengths() {
    check(
        Step::Unit(Unit::Week),
        "+05:30",
        ("2026-11-22T15:00:00Z", "2026-11-22T20:00:00Z"),
        &expect![[r#"
        2026-11-16T00:00 +5
        2026-11-23T00:00 +5
        2026-11-30T00:00 +5
    "#]],
    );
    check(
        Step::Unit(Unit::Quarter),
        "UTC",
        ("2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        &expect![[r#"
        2026-01-01T00:00 +0
        2026-04-01T00:00 +0
        2026-07-01T00:00 +0
        2026-10-01T00:00 +0
    "#]],
    );
    // Where clocks go from 23:59 to 01:00 a day begins at one.
    check(
        Step::Unit(Unit::Day),
        "Africa/Cairo",
        ("2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z"),
        &expect![[r#"
        2026-04-23T00:00 +2
        2026-04-24T01:00 +3
        2026-04-25T00:00 +3
    "#]],
    );
}

#[test]
fn too_many_spans_end_early() {
    let all = super::super::value::TIME_BOUNDS;
    let second = Step::Width(SECOND);
    assert_eq!(borders(second, &zone("Europe/Zurich"), all, (0, 1000)), Err(1002));
    assert_eq!(borders(Step::Width(0), &zone("UTC"), all, (0, 10)), Err(12));
    let years = borders(Step::Unit(Unit::Year), &zone("Asia/Tokyo"), all, (0, 1000)).unwrap();
    assert!(years.is_sorted() && years.len() > 500, "{}", years.len());
}

proptest! {
    #[test]
    fn every_time_lies_in_one_span_and_spans_join(
        name in prop::sample::select(vec![
            "UTC", "Europe/Zurich", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "+05:45", "America/Sao_Paulo",
        ]),
        step in prop_oneof![
            prop::sample::select(vec![Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year]).prop_map(Step::Unit),
            prop::sample::select(vec![900_i64, 3_600, 7_200, 43_200, 100_000]).prop_map(|s| Step::Width(s * SECOND)),
        ],
        low in 1_000_000_000..1_900_000_000_i64,
        more in 0..8_000_000_i64,
        shift in -7_200..7_200_i64,
    ) {
        let zone = zone(name);
        let (low, high) = (low * SECOND, (low + more) * SECOND);
        let found = borders(step, &zone, (low, high), (shift * SECOND, 100_000)).unwrap();
        prop_assert!(found.is_sorted_by(|a, b| a < b));
        prop_assert!(found[0] <= low && *found.last().unwrap() > high);
        prop_assert!(found.len() < 3 || found[found.len() - 2] <= high);
        // A part of the range has the same borders.
        let part = borders(step, &zone, (low + (high - low) / 2, high), (shift * SECOND, 100_000)).unwrap();
        prop_assert!(found.ends_with(&part), "{part:?} {found:?}");
    }
}
