//! Entry points for fuzzing: whatever bytes come, nothing panics, hangs or grows.

use event::Timestamp;

use crate::{Engine, EventView, Options, RuleSet, Source};

/// Rules that use every block, for events made of bytes.
const RULES: &str = "
title: Window
id: 00000000-0000-0000-0000-000000000001
level: low
select: { not: { a: x } }
group-by: [a]
timespan: 10s
threshold: [{ distinct: b, gte: 2 }, { bits: b, gte: 1 }]
ratio: { of: { b|exists: true }, gte: 0.1 }
max-entities: 8
---
title: Steps
id: 00000000-0000-0000-0000-000000000002
level: low
select: {}
group-by: ['b|registered-domain']
timespan: 10s
sequence: [{ where: { a|contains: a } }, { where: {} }]
memory-bytes: 10000
---
title: Learned
id: 00000000-0000-0000-0000-000000000003
level: low
select: {}
timespan: 1s
baseline: { model: seasonal, season: hour-of-week, sum: b, warmup: 8s, direction: both }
---
title: New
id: 00000000-0000-0000-0000-000000000004
level: low
select: {}
group-by: ['a|net']
timespan: 1s
new: { field: b, warmup: 1s, max: 4 }
";

/// Reads the bytes as a rule file.
pub fn fuzz_rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = Source { name: "fuzz".to_owned(), text };
    let (rules, _) = RuleSet::load(&[source], &Options::default());
    feed(&mut Engine::new(&rules), b"{\"a\":\"10.0.0.1\",\"b\":7}");
}

/// Reads the bytes as events: eight bytes of time and a line of JSON each.
pub fn fuzz_events(data: &[u8]) {
    let source = Source { name: "fuzz".to_owned(), text: RULES.to_owned() };
    let (rules, _) = RuleSet::load(&[source], &Options::default());
    let mut engine = Engine::new(&rules);
    feed(&mut engine, data);
    if let Ok(bytes) = engine.snapshot() {
        let restored = engine.restore(&bytes);
        debug_assert!(restored.is_ok(), "an own snapshot is read back: {restored:?}");
    }
}

/// Reads the bytes as a snapshot.
pub fn fuzz_snapshot(data: &[u8]) {
    let source = Source { name: "fuzz".to_owned(), text: RULES.to_owned() };
    let (rules, _) = RuleSet::load(&[source], &Options::default());
    let mut engine = Engine::new(&rules);
    if engine.restore(data).is_ok() {
        feed(&mut engine, b"{\"a\":\"10.0.0.1\",\"b\":7}");
    }
}

fn feed(engine: &mut Engine, data: &[u8]) {
    let mut found = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let (time, text) = line.split_first_chunk::<8>().unwrap_or((&[0; 8], line));
        let value = serde_json::from_slice(text).or_else(|_| serde_json::from_slice(line));
        let Ok(serde_json::Value::Object(fields)) = value else { continue };
        let time = Timestamp::from_micros(i64::from_le_bytes(*time));
        engine.observe(&EventView { time, kind: "log", id: None, fields: &fields }, &mut found);
        engine.advance(time, &mut found);
        found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rules_are_rules() {
        let source = Source { name: "fuzz".into(), text: RULES.into() };
        let (rules, errors) = RuleSet::load(&[source], &Options::default());
        assert_eq!((rules.rules().len(), errors.len()), (4, 0), "{errors:?}");
    }

    #[test]
    fn a_small_corpus() {
        fuzz_rules(RULES.as_bytes());
        for cut in 0..RULES.len() {
            fuzz_rules(&RULES.as_bytes()[..cut]);
        }
        let mut events = Vec::new();
        for n in 0..300_i64 {
            events.extend((n * 1_000_003).to_le_bytes());
            let host = n % 20;
            events.extend(format!("{{\"a\":\"10.0.{host}.1\",\"b\":{n}}}\n").bytes());
        }
        fuzz_events(&events);
        let source = Source { name: "fuzz".into(), text: RULES.into() };
        let (rules, _) = RuleSet::load(&[source], &Options::default());
        let mut engine = Engine::new(&rules);
        feed(&mut engine, &events);
        let mut snapshot = engine.snapshot().unwrap();
        fuzz_snapshot(&snapshot);
        for at in (0..snapshot.len()).step_by(97) {
            snapshot[at] = b'9';
            fuzz_snapshot(&snapshot);
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_rules(&bytes);
            fuzz_events(&bytes);
            fuzz_snapshot(&bytes);
        }

        #[test]
        fn any_times(times in prop::collection::vec(any::<i64>(), 0..200)) {
            let mut data = Vec::new();
            for time in times {
                data.extend(time.to_le_bytes().map(|b| if b == b'\n' { 0 } else { b }));
                data.extend(b"{\"a\":\"10.0.0.1\",\"b\":7}\n");
            }
            fuzz_events(&data);
        }
    }
}
