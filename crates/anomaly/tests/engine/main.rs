//! The engine from outside: rules in, events in, findings out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod blocks;
mod clocks;
mod filters;
mod limits;
mod office;
mod resume;

use anomaly::{Engine, EventView, Finding, Options, RuleSet, Source};
use event::{Object, Timestamp};
use serde_json::{Value, json};

/// A rule from what is special about it.
fn load(body: &str) -> RuleSet {
    let text = format!("title: T\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: low\n{body}");
    let source = Source { name: "r.yml".into(), text };
    let (rules, errors) = RuleSet::load(&[source], &Options::default());
    assert!(errors.is_empty(), "{errors:?}");
    rules
}

fn engine(body: &str) -> Engine {
    Engine::new(&load(body))
}

fn object(value: Value) -> Object {
    let Value::Object(fields) = value else { panic!("an object") };
    fields
}

/// One event at a second.
fn see(engine: &mut Engine, second: f64, fields: Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let fields = object(fields);
    let time = Timestamp::from_micros((second * 1e6) as i64);
    let id = format!("e{second}");
    engine.observe(&EventView { time, kind: "log", id: Some(&id), fields: &fields }, &mut found);
    found
}

/// What findings say, in short.
fn brief(found: &[Finding]) -> String {
    let line = |f: &Finding| {
        format!(
            "{} {} {} [{}..{}]",
            f.entity().value,
            f.value,
            f.unit,
            f.first.seconds(),
            f.last.seconds()
        )
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Events of user `u` from source `s` at these seconds.
fn at(engine: &mut Engine, seconds: impl IntoIterator<Item = f64>) -> Vec<Finding> {
    let event = json!({"s": "a", "u": "x", "n": 10, "ok": false});
    seconds.into_iter().flat_map(|second| see(engine, second, event.clone())).collect()
}
