//! Entry points for fuzzing: hostile rules and hostile events. Both must end, without panic.

use event::Object;

use crate::{Options, Record, RuleSet, Scratch};

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
