//! Late events, jumping clocks, silence between alarms.

use super::*;

const COUNT: &str =
    "select: {}\ngroup-by: [s]\ntimespan: 60s\nthreshold: {count: events, gte: 5}\n";

#[test]
fn order_within_the_window_does_not_matter() {
    let orders: [[f64; 5]; 4] = [
        [100.0, 101.0, 102.0, 103.0, 104.0],
        [104.0, 103.0, 102.0, 101.0, 100.0],
        [102.0, 100.0, 104.0, 101.0, 103.0],
        [104.0, 100.0, 101.0, 102.0, 103.0],
    ];
    for order in orders {
        let mut engine = engine(COUNT);
        let found = at(&mut engine, order);
        assert_eq!(brief(&found), "a 5 events [100..104]", "{order:?}");
    }
}

#[test]
fn what_is_older_than_the_window_is_counted_as_late() {
    let mut engine = engine(COUNT);
    assert!(at(&mut engine, [1_000.0, 1_001.0, 1_002.0, 1_003.0, 10.0, 20.0]).is_empty());
    assert_eq!(engine.counters().late, 2);
    assert_eq!(at(&mut engine, [1_004.0]).len(), 1);
}

#[test]
fn a_clock_that_jumped_forward_and_back_is_believed_again() {
    let mut engine = engine(COUNT);
    // One event far in the future must not blind the group for ever.
    at(&mut engine, [4e9]);
    let found = at(&mut engine, (0..40).map(f64::from));
    assert_eq!(found.len(), 1, "{}", brief(&found));
    assert_eq!(engine.counters().rewound, 1);
    assert_eq!(engine.counters().late, 15);
}

#[test]
fn one_wrong_clock_disturbs_only_its_own_group() {
    let mut engine = engine(COUNT);
    let mut found = Vec::new();
    for n in 0..5 {
        see(&mut engine, 4e9, json!({"s": "wrong"}));
        found.extend(see(&mut engine, f64::from(n), json!({"s": "right"})));
    }
    assert_eq!(brief(&found), "right 5 events [0..4]");
    assert_eq!(engine.counters().late, 0);
}

#[test]
fn extreme_times_are_survived() {
    for body in [
        COUNT,
        "select: {}\ntimespan: 1h\nbaseline: {model: ewma, count: events}\n",
        "select: {}\ntimespan: 1h\nsequence: [{where: {}}, {where: {}}]\n",
        "select: {}\ngroup-by: [s]\ntimespan: 1h\nthreshold: {distinct: n, gte: 900}\n",
    ] {
        let mut engine = engine(body);
        let fields = object(json!({"s": "a", "n": 1}));
        let mut found = Vec::new();
        for micros in [i64::MIN, i64::MAX, 0, i64::MIN, -1, i64::MAX] {
            for _ in 0..70 {
                let time = Timestamp::from_micros(micros);
                engine.observe(
                    &EventView { time, kind: "log", id: None, fields: &fields },
                    &mut found,
                );
            }
            engine.advance(Timestamp::from_micros(micros), &mut found);
        }
    }
}

#[test]
fn one_alarm_per_period_but_a_rise_by_a_decade_speaks() {
    let mut engine = engine(&format!("{COUNT}refractory: 10m\n"));
    // 5 at once, 50, 500: three alarms; more of the same: none.
    let found = at(&mut engine, (0..600).map(|n| f64::from(n) / 100.0));
    let values: Vec<f64> = found.iter().map(|f| f.value).collect();
    assert_eq!(values, [5.0, 50.0, 500.0]);
    // Within the period, less than before: silence. After it: again.
    assert!(at(&mut engine, (0..8).map(|n| 300.0 + f64::from(n))).is_empty());
    assert_eq!(at(&mut engine, (0..8).map(|n| 700.0 + f64::from(n))).len(), 1);
}

const BASELINE: &str = "select: {}\ngroup-by: [s]\ntimespan: 60s\nbaseline: {model: ewma, count: events, warmup: 30m, min-scale: 2, direction: both}\n";

fn minutes(engine: &mut Engine, minutes: std::ops::Range<u32>, per: u32) -> Vec<Finding> {
    let step = 60.0 / f64::from(per);
    at(
        engine,
        minutes.flat_map(|m| (0..per).map(move |n| f64::from(m) * 60.0 + f64::from(n) * step)),
    )
}

#[test]
fn silence_is_a_value_once_time_passes() {
    let mut engine = engine(BASELINE);
    assert!(minutes(&mut engine, 0..60, 20).is_empty());
    let mut found = Vec::new();
    engine.advance(Timestamp::from_seconds(63 * 60), &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].value, found[0].expected.0 > 5.0), (0.0, true));
}

#[test]
fn a_long_gap_is_blindness_and_teaches_nothing() {
    let mut engine = engine(BASELINE);
    minutes(&mut engine, 0..60, 20);
    let mut found = Vec::new();
    engine.advance(Timestamp::from_seconds(600 * 60), &mut found);
    assert!(found.is_empty());
    assert!(minutes(&mut engine, 600..640, 20).is_empty());
}

#[test]
fn a_single_wrong_time_does_not_end_the_buckets_of_all() {
    let mut engine = engine(BASELINE);
    for minute in 0..60 {
        assert!(minutes(&mut engine, minute..minute + 1, 20).is_empty());
        assert!(at(&mut engine, [1e9]).is_empty());
    }
    assert_eq!(engine.counters().untimely, 60);
    // All clocks go back together: believed after a while, and learning goes on.
    let mut engine = self::engine(BASELINE);
    at(&mut engine, (0..10).map(|n| 1e9 + f64::from(n)));
    assert!(minutes(&mut engine, 0..60, 20).is_empty());
    assert_eq!((engine.counters().untimely, engine.counters().rewound), (63, 1));
    assert_eq!(minutes(&mut engine, 60..62, 400).len(), 1);
}
