//! Summaries skip partitions and never a hit; those that are outdated, damaged or missing are not used.

use super::*;
use crate::search::Skipped;
use crate::store::index::summary;

/// An event of one of the last days.
fn event(seq: u64, day: i64, fields: Value) -> Document {
    let time = now().plus_seconds(-day * 86_400 - i64::try_from(seq).unwrap());
    document(&source("a"), seq, &time.to_string(), fields)
}

fn summarise(store: &Embedded) {
    store.index.partitions.all().iter().for_each(|one| summary::make(one).unwrap());
}

fn skipped(store: &Embedded, query: &str) -> (u64, Skipped, usize) {
    let found = find(store, query);
    (found.total, found.skipped, found.partitions)
}

fn by_terms(by_terms: u64) -> Skipped {
    Skipped { by_terms, ..Skipped::default() }
}

/// Three days, each with an address, a host and a number of its own.
fn three_days(directory: &Path) -> Embedded {
    let store = open(directory);
    let documents = (1..).zip(0..3).map(|(seq, day)| {
        let fields = json!({
            "src_ip": format!("192.0.2.{day}"), "dest_ip": "198.51.100.1",
            "host": {"name": format!("web-{day}")},
            "alert": {"signature_id": 2_000_000 + day, "signature": format!("ET number{day} seen")},
            "own": {"code": 100 + day, "flag": day == 1},
        });
        event(seq, day, fields)
    });
    append(&store, &source("a"), documents.collect());
    store.flush().unwrap();
    store
}

#[test]
fn partitions_without_the_term_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let store = three_days(directory.path());
    assert_eq!(skipped(&store, "host.name:web-1"), (1, Skipped::default(), 3), "no summaries yet");
    assert_eq!((store.figures().summaries.outdated, store.figures().summaries.current), (3, 0));
    summarise(&store);
    for (query, total, gone) in [
        ("host.name:web-1", 1, 2),
        ("src_ip:192.0.2.2", 1, 2),
        ("source.ip:192.0.2.2", 1, 2),
        ("192.0.2.2", 1, 2),
        ("alert.signature_id:2000001", 1, 2),
        ("own.code:101", 1, 2),
        ("own.flag:true", 1, 2),
        ("alert.signature:\"ET number2\"", 1, 2),
        ("host.name:web-7", 0, 3),
        ("host.name:web-1 AND src_ip:192.0.2.1", 1, 2),
        ("host.name:web-1 AND src_ip:192.0.2.2", 0, 3),
        ("host.name:web-1 OR src_ip:192.0.2.2", 2, 1),
        ("dest_ip:198.51.100.1 AND (host.name:web-1 OR host.name:web-9)", 1, 2),
        ("host.name:web-1 AND NOT own.code:5", 1, 2),
        // What may match anywhere is looked for everywhere.
        ("*", 3, 0),
        ("NOT host.name:web-1", 2, 0),
        ("host.name:web*", 3, 0),
        ("own.code > 100", 2, 0),
        ("src_ip:192.0.2.0/24", 3, 0),
        ("host.name:web-1 OR own.code >= 0", 3, 0),
        ("nosuch.field:*", 0, 0),
    ] {
        let partitions = usize::try_from(3 - gone).unwrap();
        assert_eq!(skipped(&store, query), (total, by_terms(gone), partitions), "{query}");
    }
    let figures = store.figures().summaries;
    assert_eq!((figures.current, figures.outdated, figures.damaged), (3, 0, 0));
    assert!(figures.skipped_by_terms > 20);
}

#[test]
fn times_outside_of_what_is_there_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let store = three_days(directory.path());
    // Partitions of wrong clocks have no bounds by their name.
    append(
        &store,
        &source("a"),
        vec![document(&source("a"), 9, "1999-01-01T00:00:00Z", json!({}))],
    );
    store.flush().unwrap();
    summarise(&store);
    for (from, to, total, by_time) in [
        ("2026-11-22T00:00:00Z", "2026-11-22T14:00:00Z", 0, 2),
        ("2026-11-22T00:00:00Z", "2026-11-22T16:00:00Z", 1, 1),
        ("1998-01-01", "2000-01-01", 1, 0),
        ("1998-01-01", "1998-12-01", 0, 1),
    ] {
        let request = SearchRequest {
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            aggregations: vec![Aggregation::Histogram { interval_seconds: None }],
            ..SearchRequest::default()
        };
        let found = store.search(&request, &Cancel::new()).unwrap();
        assert_eq!((found.total, found.skipped.by_time), (total, by_time), "{from} {to}");
        assert_eq!(found.aggregations.len(), 1);
    }
    assert_eq!(store.figures().summaries.skipped_by_time, 4);
}

#[test]
fn what_comes_later_outdates_a_summary_and_restarts_keep_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = three_days(directory.path());
    summarise(&store);
    append(&store, &source("a"), vec![event(10, 2, json!({"host": {"name": "web-7"}}))]);
    store.flush().unwrap();
    assert_eq!(skipped(&store, "host.name:web-7"), (1, by_terms(2), 1));
    assert_eq!(store.figures().summaries.outdated, 1);
    drop(store);
    let store = open(directory.path());
    assert_eq!(skipped(&store, "host.name:web-7"), (1, by_terms(2), 1));
    summarise(&store);
    assert_eq!(skipped(&store, "host.name:web-1"), (1, by_terms(2), 1));
    store.close();
}

#[test]
fn damaged_and_exchanged_summaries_are_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let store = three_days(directory.path());
    summarise(&store);
    store.close();
    let all = files(directory.path(), "index", "summary");
    let contents: Vec<Vec<u8>> = all.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut flipped = contents[0].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&all[0], flipped).unwrap();
    std::fs::write(&all[1], &contents[2]).unwrap();
    std::fs::write(&all[2], &contents[2][..contents[2].len() - 1]).unwrap();
    let store = open(directory.path());
    for day in 0..3 {
        let query = format!("host.name:web-{day}");
        assert_eq!(skipped(&store, &query), (1, Skipped::default(), 3));
    }
    assert_eq!(store.figures().summaries.damaged, 3);
    summarise(&store);
    assert_eq!(skipped(&store, "host.name:web-1"), (1, by_terms(2), 1));
    assert_eq!(store.figures().summaries.damaged, 0);
}

/// A query over few names and values, so that hits, misses and every combination come about.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..4_u8, 0..6_u8).prop_map(|(field, value)| match field {
            0 => format!("host.name:h{value}"),
            1 => format!("src_ip:192.0.2.{value}"),
            2 => format!("own.n:{value}"),
            _ => format!("message:word{value}"),
        }),
        (0..6_u8).prop_map(|value| format!("word{value}")),
        (0..6_u8, 0..6_u8).prop_map(|(a, b)| format!("message:\"word{a} word{b}\"")),
        (0..6_u8).prop_map(|value| format!("own.n > {value}")),
        (0..6_u8).prop_map(|value| format!("host.name:*{value}")),
        (0..6_u8).prop_map(|value| format!("own.text:v{value}")),
        Just("src_ip:*".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("(NOT {a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// With summaries every answer is what it was without.
    #[test]
    fn skipping_loses_nothing(
        rows in proptest::collection::vec((0..4_i64, 0..6_u8, 0..6_u8, 0..6_u8), 1..40),
        late in proptest::collection::vec((0..4_i64, 0..6_u8, 0..6_u8, 0..6_u8), 0..4),
        queries in proptest::collection::vec(query(), 40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let make = |first: u64, rows: &[(i64, u8, u8, u8)]| -> Vec<Document> {
            (first..).zip(rows).map(|(seq, (day, a, b, c))| event(seq, *day, json!({
                "host": {"name": format!("h{a}")}, "src_ip": format!("192.0.2.{b}"),
                "own": {"n": c, "text": format!("v{a}")}, "message": format!("word{b} word{c}"),
            }))).collect()
        };
        for (number, half) in rows.chunks(rows.len().div_ceil(2)).enumerate() {
            append(&store, &source("a"), make(number as u64 * 100 + 1, half));
            store.flush().unwrap();
        }
        let ask = |query: &String| {
            let request = SearchRequest {
                query: query.clone(), limit: 5,
                aggregations: vec![Aggregation::Histogram { interval_seconds: None }],
                ..SearchRequest::default()
            };
            let found = store.search(&request, &Cancel::new()).unwrap();
            (found.total, found.hits, found.next, found.aggregations)
        };
        let before: Vec<_> = queries.iter().map(ask).collect();
        summarise(&store);
        let after: Vec<_> = queries.iter().map(ask).collect();
        prop_assert_eq!(before, after);
        if !late.is_empty() {
            append(&store, &source("a"), make(1_000, &late));
            store.flush().unwrap();
            let outdated: Vec<_> = queries.iter().map(ask).collect();
            summarise(&store);
            let again: Vec<_> = queries.iter().map(ask).collect();
            prop_assert_eq!(outdated, again);
        }
    }
}
