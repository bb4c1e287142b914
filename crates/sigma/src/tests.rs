//! Tests of the whole crate: rules as YAML, events as JSON.

mod corpus;
mod edges;
mod hostile;
mod loading;
mod modifiers;
mod naive;
mod oracle;
mod records;
mod words;

use event::Object;
use proptest::prelude::ProptestConfig;
use serde_json::Value;

use crate::{Options, Record, Report, RuleSet, Scratch};

pub(crate) fn object(value: Value) -> Object {
    let Value::Object(map) = value else { panic!("an object, not {value}") };
    map
}

pub(crate) fn load(text: &str) -> (RuleSet, Report) {
    RuleSet::load(std::iter::once(("test.yml", text)), &Options::default())
}

/// How often a property is tried; `PIKETT_SIGMA_CASES` for longer runs.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let wanted = std::env::var("PIKETT_SIGMA_CASES").ok().and_then(|text| text.parse().ok());
    let cases: u32 = wanted.unwrap_or(usual);
    // Two rules of three are left out of the comparison with the other engine.
    let max_global_rejects = cases.saturating_mul(10).max(1_024);
    ProptestConfig { cases, max_global_rejects, ..ProptestConfig::default() }
}

/// A set that must load whole.
pub(crate) fn sound(text: &str) -> RuleSet {
    let (set, report) = load(text);
    assert_eq!((report.rejected.as_slice(), report.inert.as_slice()), (&[][..], &[][..]), "{text}");
    set
}

/// A rule of one selection with these lines.
pub(crate) fn rule(lines: &str) -> String {
    let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("title: t\nid: t\ndetection:\n  s:\n{body}  condition: s\n")
}

/// Identities of the rules an event matches, log sources aside; the index must agree with no index.
pub(crate) fn matched(set: &RuleSet, event: Value) -> Vec<String> {
    let event = object(event);
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let found = set.evaluate_all(&record, &mut scratch).to_vec();
    assert_eq!(
        found,
        set.evaluate_naively(&record),
        "index and plain evaluation differ: {event:?}"
    );
    let again = set.evaluate_all(&record, &mut scratch).to_vec();
    assert_eq!(found, again, "the scratch remembers");
    found.iter().map(|&rule| set.meta(rule).unwrap().id.clone()).collect()
}

/// As [`matched`], with the rules of the event's log sources only.
pub(crate) fn routed(set: &RuleSet, event: Value) -> Vec<String> {
    let event = object(event);
    let mut scratch = Scratch::new();
    let found = set.evaluate(&Record::new(&event), &mut scratch);
    found.iter().map(|&rule| set.meta(rule).unwrap().id.clone()).collect()
}
