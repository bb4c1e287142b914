//! Every correlation type against a model that keeps all events and looks at each window anew, with events
//! out of order and restarts between them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::tests::{feed, rules};
use super::{Correlator, Limits};
use crate::tests::sound;

const SPAN: i64 = 10;
const LATENESS: i64 = 7;

/// Type, condition, and whether a window of (kind, number) holds it.
type Case = (&'static str, &'static str, fn(&[(char, i64)]) -> bool);

fn numbers(window: &[(char, i64)]) -> Vec<f64> {
    let mut all: Vec<f64> = window.iter().map(|(_, number)| *number as f64).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Linear interpolation between ranks, as `numpy.percentile` does by default.
fn rank(window: &[(char, i64)], percent: usize) -> f64 {
    let all = numbers(window);
    let place = (all.len() - 1) * percent;
    let (low, high) = (all[place / 100], all[place.div_ceil(100)]);
    low + (high - low) * (place % 100) as f64 / 100.0
}

const CASES: &[Case] = &[
    ("event_count", "gte: 3", |window| window.len() >= 3),
    ("event_count", "gt: 1\n  lt: 4", |window| (2..4).contains(&window.len())),
    ("value_count", "gte: 3\n  field: n", |window| {
        window.iter().map(|(_, n)| n).collect::<std::collections::BTreeSet<_>>().len() >= 3
    }),
    ("value_sum", "gt: 9\n  field: n", |window| numbers(window).iter().sum::<f64>() > 9.0),
    ("value_avg", "gte: 4\n  field: n", |window| {
        numbers(window).iter().sum::<f64>() / window.len() as f64 >= 4.0
    }),
    ("value_median", "gte: 4\n  field: n", |window| rank(window, 50) >= 4.0),
    ("value_percentile", "gte: 4\n  field: n\n  percentile: 90", |window| rank(window, 90) >= 4.0),
    ("temporal", "", |window| ['a', 'b'].iter().all(|kind| window.iter().any(|(k, _)| k == kind))),
    ("temporal_ordered", "", |window| {
        let first = window.iter().position(|(kind, _)| *kind == 'a');
        first.is_some_and(|at| window[at..].iter().any(|(kind, _)| *kind == 'b'))
    }),
];

/// An event of the model: second, order of arrival, kind, number.
type Seen = (i64, usize, char, i64);

/// Keeps everything of one group; says whether the event that came last makes the rule fire.
#[derive(Default)]
struct Model {
    seen: Vec<Seen>,
    fired: Option<i64>,
}

impl Model {
    fn observe(
        &mut self,
        holds: fn(&[(char, i64)]) -> bool,
        (second, kind, number): (i64, char, i64),
    ) -> bool {
        self.seen.push((second, self.seen.len(), kind, number));
        self.seen.sort_unstable();
        let ends: Vec<i64> = self.seen.iter().map(|one| one.0).collect();
        for end in ends.into_iter().filter(|end| (second..second + SPAN).contains(end)) {
            let window: Vec<(char, i64)> = self
                .seen
                .iter()
                .filter(|one| one.0 > end - SPAN && one.0 <= end)
                .map(|one| (one.2, one.3))
                .collect();
            let quiet = self.fired.is_some_and(|at| (end - at).abs() < SPAN);
            if !quiet && holds(&window) {
                self.fired = Some(end);
                return true;
            }
        }
        false
    }
}

/// An event: seconds after the one before, seconds late, kind, number, group, and a restart before it.
fn step() -> impl Strategy<Value = (i64, i64, char, i64, char, bool)> {
    let kind = prop::sample::select(vec!['a', 'b']);
    let group = prop_oneof![3 => Just('x'), 1 => Just('y')];
    (0..4_i64, 0..10_i64, kind, 0..8_i64, group, prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(crate::tests::cases(150))]

    #[test]
    fn every_type_agrees_with_a_model_that_keeps_everything(
        case in 0..CASES.len(), events in prop::collection::vec(step(), 1..50),
    ) {
        let (kind, condition, holds) = CASES[case];
        let condition = if condition.is_empty() { String::new() } else { format!("\ncondition:\n  {condition}") };
        let set = sound(&rules(&format!(
            "type: {kind}\nrules: [a, b]\ngroup-by: [u]\ntimespan: {SPAN}s{condition}")));
        let limits = Limits { lateness: u32::try_from(LATENESS).unwrap(), ..Limits::default() };
        let mut correlator = Correlator::with_limits(&set, limits);
        let mut models = BTreeMap::<char, Model>::new();
        let (mut now, mut newest, mut late) = (0, 0, 0);
        for (step, behind, name, number, group, restart) in events {
            now += step;
            let second = (now - behind).max(0);
            if restart {
                let kept = correlator.snapshot().unwrap();
                correlator = Correlator::with_limits(&set, limits);
                prop_assert!(correlator.restore(&kept).unwrap().dropped.is_empty());
            }
            let event = json!({"kind": name.to_string(), "n": number, "u": group.to_string()});
            let found = !feed(&set, &mut correlator, second, event).is_empty();
            newest = newest.max(second);
            // How late an event is counts over all groups, also after a restart.
            let expected = if second < newest - LATENESS {
                late += 1;
                false
            } else {
                models.entry(group).or_default().observe(holds, (second, name, number))
            };
            prop_assert_eq!(found, expected, "{} at {} ({})", kind, second, now);
            prop_assert_eq!(correlator.counters().late, late, "late ones are counted, over restarts");
        }
    }
}
