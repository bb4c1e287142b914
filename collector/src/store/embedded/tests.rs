//! The store as a whole: ack means findable after any crash, answers equal the in-memory matcher,
//! damage is reported and contained, retention counts.

use super::*;
use crate::search::aggregate::TermBucket;
use crate::search::{Aggregated, Aggregation};
use crate::testing::vault;
use event::{AgentId, Document, EventId, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

mod aggregates;
mod contract;
mod damage;
mod figures;
mod held;
mod merge;
mod newest;
mod parsed;
mod parts;
mod pruning;
mod queries;
mod ready;
mod redact;
mod stages;
mod times;
mod unreadable;
mod warm;

const NOW: &str = "2026-11-22T15:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn config(directory: &Path) -> Config {
    Config {
        segment_bytes: 64 << 10,
        writer_bytes: 15_000_000,
        commit_every: Duration::from_millis(20),
        keep_log_bytes: 1 << 30,
        ..Config::new(directory.to_owned(), vault(directory), Arc::new(now))
    }
}

fn open(directory: &Path) -> Embedded {
    Embedded::open(config(directory)).unwrap()
}

fn source(agent: &str) -> SourceKey {
    SourceKey { agent: AgentId::new(agent).unwrap(), boot: 1 }
}

/// A document of `source` with these fields and the envelope.
fn document(source: &SourceKey, seq: u64, time: &str, fields: Value) -> Document {
    let Value::Object(mut fields) = fields else { panic!("an object") };
    let id = EventId { agent: source.agent.clone(), boot: source.boot, seq };
    let time = time.parse::<Timestamp>().unwrap();
    fields.insert("timestamp".into(), json!(time.to_string()));
    event::set(&mut fields, "event.id", json!(id.to_string()));
    fields
}

fn append(store: &Embedded, source: &SourceKey, documents: Vec<Document>) -> AppendOutcome {
    let seq = |d: &Document| d["event"]["id"].as_str().unwrap().parse::<EventId>().unwrap().seq;
    let (first_seq, last_seq) = (seq(&documents[0]), seq(documents.last().unwrap()));
    let source = source.clone();
    store
        .append_blocking(&Append { source, first_seq, last_seq, documents: Arc::new(documents) })
        .unwrap()
}

fn batch(source: &SourceKey, range: RangeInclusive<u64>) -> Vec<Document> {
    range
        .map(|seq| {
            let time = now().plus_seconds(-i64::try_from(seq).unwrap()).to_string();
            document(source, seq, &time, json!({"n": seq, "message": format!("event number{seq}")}))
        })
        .collect()
}

fn find(store: &Embedded, query: &str) -> SearchResponse {
    let request = SearchRequest { query: query.into(), limit: 1000, ..SearchRequest::default() };
    store.search(&request, &Cancel::new()).unwrap()
}

fn ids(store: &Embedded, query: &str) -> Vec<String> {
    store.flush().unwrap();
    find(store, query).hits.into_iter().map(|hit| hit.id).collect()
}

fn set(store: &Embedded, query: &str) -> BTreeSet<String> {
    let found = ids(store, query);
    let set: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(set.len(), found.len(), "a document twice");
    set
}

/// Files of a kind below a directory of the store.
fn files(directory: &Path, part: &str, suffix: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![directory.join(part)];
    while let Some(next) = todo.pop() {
        for item in std::fs::read_dir(next).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

#[test]
fn what_was_acknowledged_is_found_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let source = source("a");
    let mut expected = BTreeSet::new();
    for round in 0..6_u64 {
        // Dropped without close each time: nothing is committed on purpose.
        let store = open(directory.path());
        let first = round * 40 + 1;
        let documents = batch(&source, first..=first + 39);
        expected.extend(documents.iter().map(|d| d["event"]["id"].as_str().unwrap().to_owned()));
        assert_eq!(append(&store, &source, documents), AppendOutcome::Stored { events: 40 });
        if round % 2 == 0 {
            store.flush().unwrap();
        }
    }
    let store = open(directory.path());
    assert_eq!(set(&store, ""), expected);
    assert_eq!(store.figures().problems, []);
    store.close();
    let store = open(directory.path());
    assert_eq!(set(&store, ""), expected);
}

#[test]
fn appending_again_stores_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let source = source("a");
    let store = open(directory.path());
    append(&store, &source, batch(&source, 1..=10));
    assert_eq!(
        append(&store, &source, batch(&source, 3..=7)),
        AppendOutcome::Duplicate { range: 3..=7 }
    );
    assert_eq!(
        append(&store, &source, batch(&source, 8..=14)),
        AppendOutcome::Partly { events: 4, duplicates: vec![8..=10] }
    );
    append(&store, &source, batch(&source, 20..=22));
    drop(store);
    let store = open(directory.path());
    assert_eq!(
        append(&store, &source, batch(&source, 12..=25)),
        AppendOutcome::Partly { events: 8, duplicates: vec![12..=14, 20..=22] }
    );
    assert_eq!(set(&store, "").len(), 25);
    let intake = store.figures().intake;
    assert_eq!((intake.seen, intake.processed, intake.residue()), (14, 8, 0));
}

#[test]
fn refusals_name_the_document() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (mine, other) = (source("a"), source("b"));
    let check = |documents: Vec<Document>, first_seq, last_seq, expected: &str| {
        let documents = Arc::new(documents);
        let append = Append { source: mine.clone(), first_seq, last_seq, documents };
        assert_eq!(store.append_blocking(&append).unwrap_err().to_string(), expected);
    };
    check(vec![], 0, 3, "batch 0..=3 is no range of sequences from 1 on");
    check(vec![], 3, 2, "batch 3..=2 is no range of sequences from 1 on");
    check(vec![Document::new()], 1, 1, "document 0 of the batch has no event.id");
    check(batch(&other, 1..=1), 1, 1, "document 0 of the batch belongs to another source");
    check(batch(&mine, 1..=3), 1, 2, "document 2 of the batch is out of sequence");
    assert!(matches!(Embedded::open(config(directory.path())), Err(StoreError::InUse { .. })));
    drop(store);
}

#[test]
fn shed_sequences_count_as_stored() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    let range = |first_seq, last_seq| Append {
        source: source.clone(),
        first_seq,
        last_seq,
        documents: Arc::default(),
    };
    assert_eq!(store.append_blocking(&range(1, 5)).unwrap(), AppendOutcome::Stored { events: 0 });
    assert_eq!(
        store.append_blocking(&range(1, 5)).unwrap(),
        AppendOutcome::Duplicate { range: 1..=5 }
    );
}

#[test]
fn nothing_lies_readable_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("agentname");
    append(&store, &source, batch(&source, 1..=50));
    store.flush().unwrap();
    store.close();
    for path in files(directory.path(), "", "") {
        let bytes = std::fs::read(&path).unwrap();
        for secret in ["number7", "agentname", "message", "segment_id"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", path.display());
        }
    }
}

#[test]
fn paging_is_stable_while_events_arrive() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (a, b) = (source("a"), source("b"));
    // Many events of the same microsecond, over two days.
    for (n, source) in [&a, &b].into_iter().enumerate() {
        let documents = (1..=60_u64)
            .map(|seq| {
                let time = if seq % 3 == 0 { "2026-11-21T10:00:00Z" } else { NOW };
                document(source, seq, time, json!({"n": n}))
            })
            .collect();
        append(&store, source, documents);
    }
    let all = ids(&store, "*");
    assert_eq!(all.len(), 120);
    let mut paged = Vec::new();
    let mut request = SearchRequest { limit: 7, ..SearchRequest::default() };
    let mut seq = 1000;
    loop {
        let page = store.search(&request, &Cancel::new()).unwrap();
        assert!(page.total >= 120);
        paged.extend(page.hits.into_iter().map(|hit| hit.id));
        seq += 1;
        append(&store, &a, vec![document(&a, seq, "2026-11-22T15:00:01Z", json!({}))]);
        store.flush().unwrap();
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
        assert!(paged.len() < 500);
    }
    assert_eq!(paged, all);
}

#[test]
fn histogram_and_terms() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    let documents = (1..=90_u64)
        .map(|seq| {
            let time = format!("2026-11-2{}T10:00:{:02}Z", 1 + seq % 2, seq % 30);
            document(
                &source,
                seq,
                &time,
                json!({
                    "src_ip": format!("10.0.0.{}", seq % 3), "dest_port": 440 + seq % 4,
                    "alert": {"signature": format!("Rule {}", seq % 2)}, "own": {"tag": ["x", "y"]},
                }),
            )
        })
        .collect();
    append(&store, &source, documents);
    store.flush().unwrap();
    let terms = Aggregation::terms;
    let request = SearchRequest {
        query: "dest_port:>440".into(),
        limit: 0,
        aggregations: vec![
            Aggregation::Histogram { interval_seconds: Some(86_400) },
            terms("source.ip", 10),
            terms("destination.port", 2),
            terms("rule.name", 10),
            terms("own.tag", 10),
            terms("no.such", 10),
        ],
        ..SearchRequest::default()
    };
    let response = store.search(&request, &Cancel::new()).unwrap();
    assert_eq!((response.total, response.hits.len(), response.failures.len()), (68, 0, 0));
    let buckets = |n: usize| match &response.aggregations[n] {
        Aggregated::Terms { buckets, .. } => buckets
            .iter()
            .map(|TermBucket { value, count, .. }| format!("{value}={count}"))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join(" "),
        Aggregated::Histogram { interval_seconds, buckets } => format!(
            "{interval_seconds}: {}",
            buckets.iter().map(|b| format!("{} {} ", b.start.day(), b.count)).collect::<String>()
        ),
        other => panic!("{other:?}"),
    };
    expect_test::expect![[r#"
        86400: 2026-11-21 23 2026-11-22 45 
        10.0.0.0=23 10.0.0.1=22 10.0.0.2=23
        441=23 442=23
        Rule 0=23 Rule 1=45
        x=68 y=68

    "#]]
    .assert_eq(&(0..6).map(|n| buckets(n) + "\n").collect::<String>());
    let bad = SearchRequest { aggregations: vec![terms("message", 5)], ..SearchRequest::default() };
    let error = store.search(&bad, &Cancel::new()).unwrap_err();
    assert!(error.to_string().starts_with("cannot group by message"), "{error}");
}

#[test]
fn partitions_are_pruned_and_retention_drops_whole_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    for day in 1..=9_u64 {
        let documents = (1..=5)
            .map(|n| {
                let time = format!("2026-11-{:02}T00:00:0{n}Z", 13 + day);
                document(&source, day * 10 + n, &time, json!({"day": day}))
            })
            .collect();
        append(&store, &source, documents);
    }
    append(&store, &source, vec![document(&source, 500, "1999-01-01T00:00:00Z", json!({}))]);
    store.flush().unwrap();
    let request = SearchRequest {
        from: Some("2026-11-20".into()),
        to: Some("2026-11-21T00:00:03Z".into()),
        ..SearchRequest::default()
    };
    let response = store.search(&request, &Cancel::new()).unwrap();
    assert_eq!((response.total, response.partitions), (7, 3));
    let old = SearchRequest { to: Some("2000-01-01".into()), ..SearchRequest::default() };
    assert_eq!(store.search(&old, &Cancel::new()).unwrap().total, 1);

    let policy = RetentionPolicy {
        older_than: Some("2026-11-17T00:00:00Z".parse().unwrap()),
        ..RetentionPolicy::default()
    };
    let dropped = store.retain(&policy).unwrap().dropped;
    let names: Vec<_> = dropped.iter().map(|d| (d.partition.as_str(), d.documents)).collect();
    assert_eq!(names, [("2026-11-14", 5), ("2026-11-15", 5), ("2026-11-16", 5)]);
    let policy = RetentionPolicy { max_bytes: Some(1), ..RetentionPolicy::default() };
    assert_eq!(store.retain(&policy).unwrap().dropped.len(), 6);
    let figures = store.figures();
    assert_eq!((figures.partitions, figures.retention_dropped), (1, 15 + 26));
    // Dropped partitions do not come back from the log.
    store.close();
    assert_eq!(open(directory.path()).figures().partitions, 1);
}

#[test]
fn a_damaged_segment_is_set_aside_and_indexed_again_from_the_log() {
    for suffix in [".store", ".idx", ".fast", ".term", "meta.json"] {
        let directory = tempfile::tempdir().unwrap();
        let source = source("a");
        let store = open(directory.path());
        append(&store, &source, batch(&source, 1..=30));
        store.flush().unwrap();
        append(&store, &source, batch(&source, 31..=60));
        let expected = set(&store, "*");
        store.close();
        let target = files(directory.path(), "index", suffix).pop().unwrap();
        let mut bytes = std::fs::read(&target).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&target, bytes).unwrap();
        let store = open(directory.path());
        assert_eq!(set(&store, "*"), expected, "{suffix}");
        let figures = store.figures();
        assert!(figures.index_quarantined > 0 && figures.repaired > 0, "{suffix}: {figures:?}");
        assert!(figures.problems[0].path.contains("quarantine"));
        assert!(!files(directory.path(), "quarantine", "").is_empty());
    }
}

#[test]
fn damage_met_by_a_search_is_reported_then_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let source = source("a");
    let store = open(directory.path());
    let noise = |seq: u64| {
        let random = |n: u64| (seq * 1000 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        let text: String = (0..60).map(|n| format!("{:016x} ", random(n))).collect();
        document(&source, seq, NOW, json!({ "message": text }))
    };
    append(&store, &source, (1..=300).map(noise).collect());
    let expected = set(&store, "*");
    store.close();
    // A page in the middle: opening the file does not see it.
    let size = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    let stores = files(directory.path(), "index", ".store");
    let store_file = stores.into_iter().max_by_key(size).unwrap();
    let mut bytes = std::fs::read(&store_file).unwrap();
    assert!(bytes.len() > 60_000, "{}", bytes.len());
    bytes[20_000] ^= 1;
    bytes[40_000] ^= 1;
    std::fs::write(&store_file, bytes).unwrap();
    let store = open(directory.path());
    assert_eq!(find(&store, "no_such_word").failures, []);
    let broken = find(&store, "*");
    assert_eq!(broken.failures.len(), 1);
    assert!(broken.hits.len() < 300);
    assert_eq!(set(&store, "*"), expected);
    assert_eq!(store.figures().index_quarantined, 1, "{:?}", store.figures().problems);
}

#[test]
fn a_cancelled_search_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    append(&store, &source, batch(&source, 1..=5));
    store.flush().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let result = store.search(&SearchRequest::default(), &cancel);
    assert!(matches!(result, Err(SearchError::Cancelled)));
    let request = SearchRequest { budget_ms: 0, ..SearchRequest::default() };
    assert!(store.search(&request, &Cancel::new()).unwrap().partial);
    let too_many = SearchRequest { limit: 10_001, ..SearchRequest::default() };
    assert!(matches!(store.search(&too_many, &Cancel::new()), Err(SearchError::Limit { .. })));
}

#[tokio::test]
async fn appends_can_be_awaited_together() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()));
    let appends = (0..20_u64).map(|n| {
        let store = Arc::clone(&store);
        let source = source(&format!("agent{}", n % 4));
        let first_seq = (n / 4) * 10 + 1;
        let documents = Arc::new(batch(&source, first_seq..=first_seq + 9));
        tokio::spawn(async move {
            let append = Append { source, first_seq, last_seq: first_seq + 9, documents };
            Store::append(&*store, append).await.unwrap().events()
        })
    });
    let mut stored = 0;
    // All are started before the first is waited for.
    let started: Vec<_> = appends.collect();
    for append in started {
        stored += append.await.unwrap();
    }
    assert_eq!(stored, 200);
    let found = tokio::task::spawn_blocking(move || set(&store, "").len()).await.unwrap();
    assert_eq!(found, 200);
}
