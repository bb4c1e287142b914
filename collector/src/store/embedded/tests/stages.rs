//! Stages mean the same whether the index answers them or events are looked at one by one.

use super::*;
use crate::search::pipe::cell::Cell;
use crate::search::pipe::run::{Row, Run};
use crate::search::pipe::{compile, push};
use crate::search::{Answer, Cursor, Hit, Matcher, answer};

/// Events over some days in several segments: values of every kind, several of one field, some that do
/// not fit their field.
fn events(count: u64) -> Vec<Value> {
    let event = |n: u64| {
        let kind = ["dns", "tls", "flow"][usize::try_from(n % 3).unwrap()];
        let mut event = json!({
            "src_ip": format!("10.0.0.{}", n % 7), "event_type": kind,
            "flow": {"age": n % 5, "alerted": n.is_multiple_of(2)},
            "own": {"n": n % 11, "t": format!("t{}", n % 4)},
        });
        let (fields, text) = (event.as_object_mut().unwrap(), format!("u{}", n % 6));
        match n % 6 {
            0 => fields.insert("user".into(), json!({ "name": text })),
            1 => fields.insert("user".into(), json!({ "name": ["root", text] })),
            2 => fields.insert("source".into(), json!({"ip": "not an address"})),
            3 => fields.insert("tags".into(), json!(["a", "b", "a"])),
            4 => fields.insert("own".into(), json!({"n": "none", "t": true})),
            _ => fields.insert("dest_port".into(), json!("http")),
        };
        event
    };
    (0..count).map(event).collect()
}

fn store(directory: &Path) -> (Embedded, Vec<Document>) {
    let (store, source) = (open(directory), source("a"));
    let documents: Vec<Document> = events(90)
        .into_iter()
        .zip(1..)
        .map(|(fields, seq)| {
            let time = now().plus_seconds(-2_000 * i64::try_from(seq).unwrap());
            document(&source, seq, &time.to_string(), fields)
        })
        .collect();
    for part in documents.chunks(40) {
        append(&store, &source, part.to_vec());
        store.flush().unwrap();
    }
    (store, documents)
}

/// What the stages give when they look at every event, newest first.
fn plainly(text: &str, documents: &[Document]) -> Vec<Vec<Value>> {
    let pipeline = compile(text, now()).unwrap();
    let matcher = Matcher::new(&pipeline.query, now()).unwrap();
    let mut run = Run::new(&pipeline, 0, 3_600, 10_000);
    for document in documents.iter().filter(|document| matcher.matches(document)) {
        let time: Timestamp = document["timestamp"].as_str().unwrap().parse().unwrap();
        let cursor = Cursor { time: time.micros(), tie: 0 };
        run.push(Row::Event(Box::new(Hit {
            id: String::new(),
            cursor,
            document: document.clone(),
        })));
    }
    let row = |row| match row {
        Row::Cells(cells) => cells.iter().map(Cell::json).collect(),
        Row::Event(_) => panic!("an event"),
    };
    run.finish().0.into_iter().map(row).collect()
}

fn asked(store: &Embedded, text: &str) -> Answer {
    let request = SearchRequest { query: text.into(), ..SearchRequest::default() };
    answer(store, &request, &Cancel::new(), now()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_index_answers_stages_as_looking_at_every_event_does() {
    let directory = tempfile::tempdir().unwrap();
    let (store, documents) = store(directory.path());
    let queries = ["*", "event_type:dns", "NOT user.name:*", "own.n:>4", "no.such:1"];
    let stages = [
        "stats count()",
        "stats count(own.n), sum(own.n), avg(own.n), min(flow.age), max(flow.age), dc(event_type)",
        "stats count() by event_type",
        "stats count(), sum(flow.age), p50(flow.age) by source.ip",
        "stats count() by user.name",
        "stats count() by tags",
        "stats count() by own.n",
        "stats count() by own.t, event_type",
        "stats count(), max(own.n) by flow.alerted, user.name",
        "stats count() by dest_port",
        "timechart span=6h count(), avg(flow.age)",
        "timechart span=1d count() by event_type",
        "top 3 src_ip",
        "rare 2 user.name",
        "top 5 event_type, flow.alerted",
        "stats count() by event_type | sort -count | head 1",
        "stats count() by message",
        "stats min(user.name), max(timestamp)",
        "stats count() by timestamp | stats count()",
        "sort own.n | head 5 | stats sum(own.n)",
        "dedup src_ip | stats count() by src_ip",
    ];
    let mut pushed = 0;
    for query in queries {
        for stage in stages {
            let text = format!("{query} | {stage}");
            let found = asked(&store, &text);
            assert_eq!(found.missing, [], "{text}");
            assert_eq!(found.table.unwrap().rows, plainly(&text, &documents), "{text}");
            let pipeline = compile(&text, now()).unwrap();
            pushed += usize::from(push::push(&pipeline.stages[0], 60).is_some());
        }
    }
    // Otherwise nothing but looking at every event would have been compared with itself.
    assert_eq!(pushed, queries.len() * 17);
}

#[test]
fn a_chart_without_a_span_has_about_sixty() {
    let directory = tempfile::tempdir().unwrap();
    let (store, documents) = store(directory.path());
    let table = asked(&store, "* | timechart count()").table.unwrap();
    assert!((30..=120).contains(&table.rows.len()), "{}", table.rows.len());
    let all: u64 = table.rows.iter().map(|row| row[1].as_u64().unwrap()).sum();
    assert_eq!(all, documents.len() as u64);
}

#[test]
fn fields_and_values_of_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = store(directory.path());
    let fields = store.fields().unwrap();
    let events =
        |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.events);
    assert_eq!(
        (events("event_type"), events("own.n"), events("user.name")),
        (Some(90), Some(90), Some(30))
    );
    assert_eq!((events("no.such"), events("_source"), events("_tie")), (None, None, None));
    let kinds = &fields.iter().find(|field| field.name == "own.n").unwrap().kinds;
    assert_eq!(kinds, &["number", "text"]);
    let values = |field: &str, prefix: &str| -> Vec<String> {
        let found = store.values(field, prefix, 3).unwrap();
        found.into_iter().map(|one| format!("{}={}", one.value, one.events)).collect()
    };
    assert_eq!(values("event_type", ""), ["dns=30", "flow=30", "tls=30"]);
    assert_eq!(values("user.name", "r"), ["root=15"]);
    assert_eq!(values("own.t", "t1"), ["t1=23"]);
    assert_eq!(values("source.ip", "10.0.0.1"), ["10.0.0.1=13"]);
    assert_eq!(values("src_ip", "10.0."), ["10.0.0.0=13", "10.0.0.1=13", "10.0.0.2=13"]);
    assert_eq!(values("no.such", ""), [""; 0]);
    // What is merged away is forgotten, what is new is found.
    append(
        &store,
        &source("b"),
        vec![document(&source("b"), 1, &now().to_string(), json!({"fresh": 1}))],
    );
    store.flush().unwrap();
    assert!(store.fields().unwrap().iter().any(|field| field.name == "fresh"));
}
