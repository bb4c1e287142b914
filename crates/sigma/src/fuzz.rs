//! Entry points for fuzzing: hostile rules, events, exceptions and states. All must end, without panic.

use event::{Object, Timestamp};

use crate::{
    Condition, Conditions, Correlator, Exceptions, Options, Record, RuleSet, Scratch, Tape,
};

/// Loads `data` as a file of rules and runs what is accepted over a small event.
pub fn fuzz_rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (set, _) = RuleSet::load(std::iter::once(("fuzz", text)), &Options::default());
    let event = Object::from_iter([("a".to_owned(), "b".into()), ("EventID".to_owned(), 1.into())]);
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let matched = set.evaluate_all(&record, &mut scratch).to_vec();
    for rule in matched {
        let _match = set.describe(rule, &record, &mut scratch);
    }
}

/// Reads `data` as an event and evaluates a rule with every kind of test.
pub fn fuzz_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Object>(data) else { return };
    let rule = "title: t\ndetection:\n  a:\n    x|contains: b\n  b:\n    x|re: 'a+b'\n  c:\n    \
                x|cidr: 10.0.0.0/8\n  d:\n    x|gt: 5\n  e:\n    x|fieldref: y\n  f:\n    \
                x|hour: 3\n  g: [kw]\n  h:\n    x: null\n  condition: 1 of them\n";
    let (set, _) = RuleSet::load(std::iter::once(("fuzz", rule)), &Options::default());
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let matched = set.evaluate(&record, &mut scratch).to_vec();
    for rule in matched {
        let _match = set.describe(rule, &record, &mut scratch);
    }
}

/// Reads `data` as rules, a zero byte, and an event: what the index finds must be what every rule looked
/// at finds, and the event read as text must be the event read as a map.
///
/// # Panics
/// When they differ.
pub fn fuzz_differential(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(rules), Some(event)) = (parts.next(), parts.next()) else { return };
    let Ok(event) = serde_json::from_slice::<Object>(event) else { return };
    let text = String::from_utf8_lossy(rules);
    let (set, _) = RuleSet::load(std::iter::once(("fuzz", text)), &Options::default());
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let found = set.evaluate_all(&record, &mut scratch).to_vec();
    assert_eq!(found, set.evaluate_naively(&record), "the index leaves out what matches");
    let mut tape = Tape::new();
    if let Ok(text) = serde_json::to_vec(&event)
        && tape.read(&text).is_ok()
    {
        assert_eq!(Record::of(&tape), record, "an event as text is another one than as a map");
    }
    let _query = set.query();
}

/// Takes `data` as the kept state of correlations.
pub fn fuzz_snapshot(data: &[u8]) {
    let text = "title: a\nid: a\ndetection:\n  s:\n    x: 1\n  condition: s\n---\ntitle: c\nid: c\n\
                correlation:\n  type: value_sum\n  rules: [a]\n  group-by: [g]\n  timespan: 1m\n  \
                condition:\n    gte: 3\n    field: n\n";
    let (set, _) = RuleSet::load(std::iter::once(("fuzz", text)), &Options::default());
    let mut correlator = Correlator::new(&set);
    if correlator.restore(data).is_err() {
        return;
    }
    let event = [("x", 1.into()), ("g", "h".into()), ("n", 2.into())];
    let event: Object = event.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let matched = set.evaluate_all(&record, &mut scratch).to_vec();
    for second in [0, 1, i64::MAX / 1_000_000, i64::MIN / 1_000_000] {
        let _found = correlator.observe_at(Timestamp::from_seconds(second), &record, &matched);
    }
    let _kept = correlator.snapshot();
}

/// Takes `data` as JSON conditions of an exception, a zero byte, and an event.
pub fn fuzz_conditions(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(list), Some(event)) = (parts.next(), parts.next()) else { return };
    let Ok(list) = serde_json::from_slice::<Vec<Condition>>(list) else { return };
    let Ok(event) = serde_json::from_slice::<Object>(event) else { return };
    let named = std::iter::once(("fuzz", list.as_slice()));
    let Ok(mut conditions) = Conditions::new(named) else { return };
    let _holding = conditions.holding(&Record::new(&event));
}

/// Loads `data` as exceptions.
pub fn fuzz_exceptions(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let sources = std::iter::once(("fuzz", text));
    let (_, _) = Exceptions::load(sources, &RuleSet::default(), &Options::default());
}
