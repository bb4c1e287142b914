//! What parsers write is found under the name they write it: from lines to documents, searches and Sigma rules.

use super::*;
use crate::search::Matcher;
use event::{Event, FieldType, Origin};
use logs::parse::{Library, fixture};

/// The documents of all lines of the fixtures of parsers, as an agent in a zone and a region sends them.
fn documents() -> Vec<(String, Document)> {
    let library = Library::built_in();
    let origin = Origin {
        agent: AgentId::new("a").unwrap(),
        host: "sensor.example".into(),
        version: "1".into(),
        zone: "zone of the agent".into(),
        region: "region of the agent".into(),
    };
    let mut out = Vec::new();
    for (name, text) in fixture::built_in() {
        for outcome in fixture::run(&library, &name, &text).unwrap() {
            let seq = out.len() as u64 + 1;
            let document = Event { seq, time: now(), ..outcome.event }.into_document(&origin, 1);
            out.push((format!("{name}: {}", outcome.case.line), document));
        }
    }
    assert!(out.len() > 300, "{}", out.len());
    out
}

/// A query for a value of a field; none where a value cannot be asked for as one term.
fn query(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    let words = event::by_name(name).is_some_and(|field| field.kind == FieldType::Text);
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    let fits = text.len() < 200 && text.chars().all(plain) && !text.is_empty();
    // Names of senders' own JSON may hold what a query would have to quote.
    let named = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
    let asked = !words || text.contains(|c: char| c.is_ascii_alphanumeric());
    (fits && named && asked)
        .then(|| format!("{name}:\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Every field of every record is found under its own name, fits the type that the dictionary says, and none
/// shares a name with another that means something else.
#[test]
fn every_field_that_a_parser_writes_is_found_under_its_name() {
    let mut wrong = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for (line, document) in documents() {
        let mut values: Vec<(String, Value)> = Vec::new();
        event::flatten(&document, &mut |name, value| values.push((name.into(), value.clone())));
        for (name, value) in &values {
            let stored = event::canonical(name);
            let others = values.iter().filter(|(other, _)| other == stored && other != name);
            for (_, other) in others.filter(|(_, other)| other != value) {
                wrong.insert(format!(
                    "{name} = {value} and {stored} = {other} are one field: {line}"
                ));
            }
            let kind = event::by_name(name).map(|field| field.kind);
            let typed = crate::search::value::typed(kind, value);
            let fits = |kind| typed.as_ref().is_none_or(|v| crate::search::value::fits(kind, v));
            if !kind.is_none_or(fits) {
                wrong.insert(format!("{name} = {value} is no {kind:?}: {line}"));
            }
            let Some(query) = query(name, value) else { continue };
            if asked.insert(query.clone())
                && !Matcher::new(&query, now()).unwrap().matches(&document)
            {
                wrong.insert(format!("{query} does not find {line}"));
            }
        }
    }
    assert!(asked.len() > 2000, "{}", asked.len());
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_dataset_of_a_line_is_searched_and_matched_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = source("a");
    let documents: Vec<Document> = documents().into_iter().map(|(_, document)| document).collect();
    append(&store, &key, documents.clone());
    store.flush().unwrap();
    let total = |query: &str| find(&store, query).total;
    for dataset in ["panw.panos", "aws.cloudtrail", "cisco_asa.log"] {
        let has = |d: &&Document| d["event"].get("dataset") == Some(&json!(dataset));
        let expected = documents.iter().filter(has).count() as u64;
        assert_eq!(total(&format!("event.dataset:{dataset}")), expected, "{dataset}");
        assert!(expected > 0, "{dataset}");
        assert_eq!(total(&format!("event_type:{dataset}")), 0, "{dataset}");
        let rule = format!(
            "title: x\nid: 8c1a3f0e-2b51-4d5c-9a52-0d7f6e3c1b2a\nlogsource: {{product: any}}\nlevel: low\n\
             detection:\n  s:\n    event.dataset: {dataset}\n  condition: s\n"
        );
        let (rules, report) =
            sigma::RuleSet::load(std::iter::once(("x.yml", rule)), &sigma::Options::default());
        assert_eq!(report.rejected.len(), 0);
        let mut scratch = sigma::Scratch::default();
        let matched = documents.iter().filter(|document| {
            let record = sigma::Record::new(document);
            !rules.evaluate_all(&record, &mut scratch).is_empty()
        });
        assert_eq!(matched.count() as u64, expected, "{dataset}");
    }
    assert_eq!(total("event.dataset:log"), 0, "the kind of a record is no dataset");
    assert_eq!(total("region:\"region of the agent\""), documents.len() as u64);
    assert_eq!(total("cloud.region:\"region of the agent\""), 0);
}
