//! Windows at their edges, bounds of the state, restarts: each against a plain model or a plain count.

use event::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::tests::{feed, rules};
use super::{Correlator, Limits};
use crate::tests::{load, sound};

const COUNT: &str =
    "type: event_count\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  gte: 3";

/// Seconds at which a correlation over these events fires.
fn fired(body: &str, limits: Limits, events: &[(i64, &str)]) -> Vec<i64> {
    let set = sound(&rules(body));
    let mut correlator = Correlator::with_limits(&set, limits);
    let one = |(second, kind): &(i64, &str)| {
        let event = json!({"kind": kind, "user": "u", "n": 1});
        (!feed(&set, &mut correlator, *second, event).is_empty()).then_some(*second)
    };
    events.iter().filter_map(one).collect()
}

#[test]
fn the_window_excludes_its_start_and_includes_its_end() {
    for (seconds, expected) in [
        ([0, 5, 9], &[9_i64][..]),
        ([0, 5, 10], &[]),
        ([1, 1, 1], &[1]),
        ([-15, -10, -6], &[-6]),
        ([i64::MAX / 2_000_000, 0, 0], &[]),
    ] {
        let events = seconds.map(|second| (second, "a"));
        assert_eq!(fired(COUNT, Limits::default(), &events), expected, "{seconds:?}");
    }
}

#[test]
fn quiet_for_one_time_span_after_firing_and_no_longer() {
    let events: Vec<(i64, &str)> = (0..25).map(|second| (second, "a")).collect();
    assert_eq!(fired(COUNT, Limits::default(), &events), [2, 12, 22]);
    // A late event does not make it fire again for a window that touches the one it fired for.
    let events = [(0, "a"), (1, "a"), (2, "a"), (11, "a"), (5, "a"), (4, "a"), (30, "a")];
    assert_eq!(fired(COUNT, Limits::default(), &events), [2]);
}

#[test]
fn lateness_at_its_bound() {
    let limits = Limits { lateness: 5, ..Limits::default() };
    let set = sound(&rules(COUNT));
    for (late, counted) in [(95, 0), (94, 1)] {
        let mut correlator = Correlator::with_limits(&set, limits);
        for second in [100, late] {
            feed(&set, &mut correlator, second, json!({"kind": "a", "user": "u"}));
        }
        assert_eq!(correlator.counters().late, counted, "{late}");
    }
}

#[test]
fn ordered_rules_need_their_order_and_may_repeat() {
    let body = "type: temporal_ordered\nrules: [a, b, c]\ntimespan: 10s";
    for (kinds, expected) in
        [("abc", 1), ("aabbc", 1), ("cbabc", 1), ("acb", 0), ("bca", 0), ("ab", 0)]
    {
        let kinds: Vec<String> = kinds.chars().map(String::from).collect();
        let events: Vec<(i64, &str)> = (0..).zip(kinds.iter().map(String::as_str)).collect();
        assert_eq!(fired(body, Limits::default(), &events).len(), expected, "{kinds:?}");
    }
    // The first of them has left the window when the last comes.
    assert!(fired(body, Limits::default(), &[(0, "a"), (5, "b"), (10, "c")]).is_empty());
    assert_eq!(fired(body, Limits::default(), &[(0, "a"), (5, "b"), (9, "c")]), [9]);
}

#[test]
fn conditions_over_rules_with_quantifiers_and_negation() {
    for (condition, kinds, expected) in [
        ("1 of them", "b", 1),
        ("2 of them", "b", 0),
        ("2 of them", "bc", 1),
        ("all of them", "ab", 0),
        ("all of them", "cab", 1),
        ("a and not b", "ac", 1),
        ("a and not b", "ba", 0),
        ("(a or b) and c", "ab", 0),
    ] {
        let body =
            format!("type: temporal\nrules: [a, b, c]\ntimespan: 10s\ncondition: {condition}");
        let kinds: Vec<String> = kinds.chars().map(String::from).collect();
        let events: Vec<(i64, &str)> = (0..).zip(kinds.iter().map(String::as_str)).collect();
        assert_eq!(
            fired(&body, Limits::default(), &events).len(),
            expected,
            "{condition}: {kinds:?}"
        );
    }
}

#[test]
fn what_is_left_out_is_counted_by_cause() {
    let set = sound(&rules(
        "type: value_sum\nrules: [a]\ngroup-by: [user]\ntimespan: 10s\ncondition:\n  field: n\n  gte: 3",
    ));
    let mut correlator = Correlator::new(&set);
    for (second, event) in (0..).zip([
        json!({"kind": "a", "n": 1}),
        json!({"kind": "a", "user": null, "n": 1}),
        json!({"kind": "a", "user": "u"}),
        json!({"kind": "a", "user": "u", "n": "many"}),
        json!({"kind": "a", "user": "u", "n": "2"}),
        json!({"kind": "b", "user": "u", "n": 100}),
    ]) {
        assert_eq!(feed(&set, &mut correlator, second, event), []);
    }
    let counters = correlator.counters();
    assert_eq!((counters.ungrouped, counters.valueless, counters.late), (2, 2, 0));
    assert_eq!(
        feed(&set, &mut correlator, 9, json!({"kind": "a", "user": "u", "n": 1}))[0].value,
        3.0
    );
}

/// One group, ever new long values: the state stays within its bytes, and what is given up is counted.
#[test]
fn one_group_cannot_outgrow_the_bytes_of_its_rule() {
    let set = sound(&rules(
        "type: value_count\nrules: [a]\ngroup-by: [user]\ntimespan: 1h\ncondition:\n  field: n\n  gte: 1000",
    ));
    let limits = Limits { bytes: 100_000, ..Limits::default() };
    let mut correlator = Correlator::with_limits(&set, limits);
    for second in 0..500 {
        let long = format!("{second:01000}");
        feed(&set, &mut correlator, second, json!({"kind": "a", "user": "u", "n": long}));
    }
    let kept = correlator.snapshot().unwrap().len();
    assert!(kept < 2 * limits.bytes, "{kept} bytes");
    let evicted = correlator.counters().evicted_events;
    assert!((400..500).contains(&evicted), "{evicted}");
    assert_eq!(correlator.groups(), 1);
    // Long names of groups weigh too.
    let mut correlator = Correlator::with_limits(&set, limits);
    for second in 0..500 {
        let long = format!("{second:01000}");
        feed(&set, &mut correlator, second, json!({"kind": "a", "user": long, "n": 1}));
        assert!(correlator.groups() <= 100, "{}", correlator.groups());
    }
    assert!(correlator.counters().evicted_groups >= 400);
}

#[test]
fn identity_of_a_correlation_is_its_own() {
    let (_, report) =
        load(&format!("{}---\n{}", rules(COUNT), rules(COUNT).rsplit("---\n").next().unwrap()));
    assert_eq!(
        report.rejected.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>(),
        ["another rule has the identity \"many\""]
    );
}

#[test]
fn a_finding_carries_its_rule() {
    let set = sound(&rules(COUNT));
    let mut correlator = Correlator::new(&set);
    let found = (0..3)
        .flat_map(|second| feed(&set, &mut correlator, second, json!({"kind": "a", "user": "u"})));
    let text = found.last().unwrap().into_detection().rule_text;
    assert!(text.starts_with("title: Many\n") && text.ends_with("gte: 3"), "{text}");
}

fn load_of_events() -> impl Strategy<Value = Vec<(i64, char)>> {
    prop::collection::vec((0..6_i64, prop::sample::select(vec!['u', 'v'])), 1..60)
}

proptest! {
    #![proptest_config(crate::tests::cases(100))]

    /// In order, it fires exactly when a plain count over the last ten seconds says so.
    #[test]
    fn counting_agrees_with_a_plain_model(steps in load_of_events(), threshold in 1..6_usize) {
        let set = sound(&rules(&COUNT.replace("gte: 3", &format!("gte: {threshold}"))));
        let mut correlator = Correlator::new(&set);
        let (mut second, mut seen, mut last) = (0, Vec::new(), std::collections::BTreeMap::new());
        for (step, user) in steps {
            second += step;
            seen.push((second, user));
            let count = seen.iter().filter(|(at, who)| *who == user && *at > second - 10).count();
            let quiet = last.get(&user).is_some_and(|at| second < at + 10);
            let expected = count >= threshold && !quiet;
            if expected {
                last.insert(user, second);
            }
            let found = feed(&set, &mut correlator, second, json!({"kind": "a", "user": user.to_string()}));
            prop_assert_eq!(found.len(), usize::from(expected), "at {} for {}", second, user);
            if let Some(found) = found.first() {
                prop_assert_eq!(found.value, count as f64);
                prop_assert_eq!(found.last, Timestamp::from_seconds(second));
            }
        }
    }

    /// A restart at any place changes nothing.
    #[test]
    fn a_restart_goes_unnoticed(steps in load_of_events(), at in any::<prop::sample::Index>()) {
        let text = rules(COUNT);
        let set = sound(&text);
        let (mut straight, mut restarted) = (Correlator::new(&set), Correlator::new(&set));
        let (at, mut second) = (at.index(steps.len()), 0);
        for (number, (step, user)) in steps.into_iter().enumerate() {
            second += step;
            let event = json!({"kind": "a", "user": user.to_string()});
            if number == at {
                let kept = restarted.snapshot().unwrap();
                restarted = Correlator::new(&set);
                prop_assert!(restarted.restore(&kept).unwrap().dropped.is_empty());
            }
            let expected = feed(&set, &mut straight, second, event.clone());
            prop_assert_eq!(feed(&set, &mut restarted, second, event), expected);
        }
        prop_assert_eq!(straight.groups(), restarted.groups());
    }

    /// Late by any order within the bound, the events of a window make it fire all the same.
    #[test]
    fn any_order_within_the_lateness_fires_once(order in Just((0..9_i64).collect::<Vec<_>>()).prop_shuffle()) {
        let events: Vec<(i64, &str)> = order.iter().map(|second| (*second, "a")).collect();
        let body = COUNT.replace("gte: 3", "gte: 9");
        let found = fired(&body, Limits::default(), &events);
        prop_assert_eq!(found, [*order.last().unwrap()]);
    }
}
