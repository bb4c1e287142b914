//! What any store must do, through the trait alone. An engine implements [`Engine`] and runs
//! [`contract!`]; the embedded store is the first.

use std::collections::BTreeSet;
use std::sync::Arc;

use event::{AgentId, Document, EventId, Timestamp};
use serde_json::{Value, json};

use super::{Append, AppendOutcome, RetentionPolicy, SourceKey, Store, StoreError};
use crate::search::{
    Aggregated, Cancel, HitOrder, Matcher, SearchError, SearchRequest, SearchResponse,
};

/// Present time of the stores under test.
pub(crate) const NOW: &str = "2026-11-22T15:00:00Z";

/// A store under test.
pub(crate) trait Engine {
    /// The store, empty at first, whose present time is [`NOW`].
    fn store(&self) -> &dyn Store;
    /// Ends it without warning and opens it again.
    fn crash(&mut self);
}

/// Runs every part of the contract as a test of its own; `$make` makes an engine.
macro_rules! contract {
    ($make:expr) => {
        contract!(
            $make,
            acknowledged_events_are_found_once_after_a_crash,
            what_is_sent_again_is_known,
            what_is_no_batch_of_its_source_is_refused_whole,
            answers_agree_with_the_matcher,
            pages_are_newest_first_and_whole,
            pages_are_oldest_first_and_whole,
            ranges_of_time_are_half_open,
            groupings_count_every_hit,
            fields_and_values_are_there_to_be_suggested,
            what_cannot_be_asked_is_said,
            retention_drops_and_tells,
            the_books_balance
        );
    };
    ($make:expr, $($part:ident),*) => {
        $(#[test]
        fn $part() {
            crate::store::contract::$part(&mut $make);
        })*
    };
}
pub(crate) use contract;

fn source(agent: &str) -> SourceKey {
    SourceKey { agent: AgentId::new(agent).unwrap(), boot: 1 }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An event so many seconds before now.
fn document(source: &SourceKey, seq: u64, age: i64, fields: Value) -> Document {
    let Value::Object(mut fields) = fields else { panic!("an object") };
    let id = EventId { agent: source.agent.clone(), boot: source.boot, seq };
    fields.insert("timestamp".into(), json!(now().plus_seconds(-age).to_string()));
    event::set(&mut fields, "event.id", json!(id.to_string()));
    fields
}

fn append(
    store: &dyn Store,
    source: &SourceKey,
    (first_seq, last_seq): (u64, u64),
    documents: Vec<Document>,
) -> Result<AppendOutcome, StoreError> {
    let (source, documents) = (source.clone(), Arc::new(documents));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.append(Append { source, first_seq, last_seq, documents }))
}

/// Events `first..=last` of a source, one a second.
fn plain(store: &dyn Store, source: &SourceKey, (first, last): (u64, u64)) -> AppendOutcome {
    let one = |seq: u64| {
        let age = i64::try_from(seq).unwrap();
        document(source, seq, age, json!({"n": seq, "message": format!("event {seq}")}))
    };
    append(store, source, (first, last), (first..=last).map(one).collect()).unwrap()
}

fn ask(store: &dyn Store, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
    store.flush().unwrap();
    store.search(request, &Cancel::new())
}

fn find(store: &dyn Store, query: &str) -> SearchResponse {
    let request = SearchRequest { query: query.into(), limit: 1000, ..SearchRequest::default() };
    ask(store, &request).unwrap()
}

fn ids(response: &SearchResponse) -> Vec<String> {
    response.hits.iter().map(|hit| hit.id.clone()).collect()
}

/// An answer means that the events are there, whatever happens next.
pub(crate) fn acknowledged_events_are_found_once_after_a_crash(engine: &mut dyn Engine) {
    let source = source("a");
    for round in 0..4_u64 {
        plain(engine.store(), &source, (round * 10 + 1, round * 10 + 10));
        engine.crash();
        let found = ids(&find(engine.store(), ""));
        let distinct: BTreeSet<&String> = found.iter().collect();
        let expected = usize::try_from(round * 10 + 10).unwrap();
        assert_eq!((found.len(), distinct.len()), (expected, expected));
    }
}

/// Sequences of a source are stored once; what was there already is named; gaps may be filled.
pub(crate) fn what_is_sent_again_is_known(engine: &mut dyn Engine) {
    let source = source("a");
    assert_eq!(plain(engine.store(), &source, (1, 10)), AppendOutcome::Stored { events: 10 });
    assert_eq!(plain(engine.store(), &source, (3, 7)), AppendOutcome::Duplicate { range: 3..=7 });
    engine.crash();
    assert_eq!(plain(engine.store(), &source, (1, 10)), AppendOutcome::Duplicate { range: 1..=10 });
    let partly = AppendOutcome::Partly { events: 5, duplicates: vec![8..=10] };
    assert_eq!(plain(engine.store(), &source, (8, 15)), partly);
    assert_eq!(plain(engine.store(), &source, (21, 25)), AppendOutcome::Stored { events: 5 });
    assert_eq!(plain(engine.store(), &source, (16, 20)), AppendOutcome::Stored { events: 5 });
    // Sequences without an event were shed on purpose.
    let shed = append(engine.store(), &source, (26, 30), Vec::new()).unwrap();
    assert_eq!(shed, AppendOutcome::Stored { events: 0 });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let covered = |last| runtime.block_on(engine.store().covered(source.clone(), last)).unwrap();
    assert_eq!((covered(30), covered(40), covered(5)), (30, 30, 5));
    // Another run of the same agent, and another agent, count for themselves.
    let other = SourceKey { boot: 2, ..source.clone() };
    assert_eq!(plain(engine.store(), &other, (1, 2)), AppendOutcome::Stored { events: 2 });
    assert_eq!(find(engine.store(), "").total, 27);
}

/// A batch that is not its source's is refused, and nothing of it is stored.
pub(crate) fn what_is_no_batch_of_its_source_is_refused_whole(engine: &mut dyn Engine) {
    let (own, other) = (source("a"), source("b"));
    let good = |seq| document(&own, seq, 1, json!({"n": seq}));
    let mut nameless = good(2);
    nameless.remove("event");
    for (range, documents) in [
        ((1, 2), vec![good(1), document(&other, 2, 1, json!({}))]),
        ((1, 2), vec![good(1), nameless]),
        ((1, 2), vec![good(2), good(1)]),
        ((1, 2), vec![good(1), good(3)]),
        ((2, 1), vec![]),
        ((0, 1), vec![]),
    ] {
        append(engine.store(), &own, range, documents).unwrap_err();
    }
    assert_eq!(find(engine.store(), "").total, 0);
    assert_eq!(plain(engine.store(), &own, (1, 2)), AppendOutcome::Stored { events: 2 });
}

/// Whatever is asked, the store finds what the matcher says of each event.
pub(crate) fn answers_agree_with_the_matcher(engine: &mut dyn Engine) {
    let source = source("a");
    let fields = [
        json!({"message": "Failed password for root", "process": {"name": "sshd"}, "n": 1}),
        json!({"message": "session opened", "process": {"name": "sudo"}, "n": 2.5, "flag": true}),
        json!({"src_ip": "10.1.2.3", "dest_port": 443, "event_type": "flow", "n": -7}),
        json!({"src_ip": "2001:db8::1", "dest_port": 53, "event_type": "dns", "tags": ["a", "b"]}),
        json!({"user": {"name": "Zoë"}, "odd name": {"x": [1, "one"]}, "n": 18_446_744_073_709_551_615_u64}),
    ];
    let documents: Vec<Document> =
        (1..).zip(fields).map(|(seq, fields)| document(&source, seq, 60, fields)).collect();
    let last = u64::try_from(documents.len()).unwrap();
    append(engine.store(), &source, (1, last), documents.clone()).unwrap();
    for query in [
        "",
        "*",
        "password",
        "\"failed password\"",
        "pass*",
        "process.name:sshd",
        "process.name:s*",
        "NOT process.name:*",
        "src_ip:10.0.0.0/8",
        "source.ip:2001:db8::/32",
        "dest_port:>=53",
        "destination.port:[100 TO 1000]",
        "n:2.5",
        "n:<0",
        "n:>5",
        "flag:true",
        "tags:b",
        "tags:c",
        "user.name:Zoë",
        "event_type:(flow OR dns)",
        "event_type:flow AND NOT src_ip:10.1.2.3",
        "nowhere:*",
        "10.1.2.3",
    ] {
        let matcher = Matcher::new(query, now()).unwrap();
        let expected: BTreeSet<String> = documents
            .iter()
            .filter(|document| matcher.matches(document))
            .map(|document| document["event"]["id"].as_str().unwrap().to_owned())
            .collect();
        let response = find(engine.store(), query);
        assert_eq!(ids(&response).into_iter().collect::<BTreeSet<_>>(), expected, "{query}");
        assert_eq!(response.total, expected.len() as u64, "{query}");
        for hit in response.hits {
            assert!(documents.contains(&hit.document), "as it was stored: {query}");
        }
    }
}

/// Pages go on where the one before ended, also while new events come.
pub(crate) fn pages_are_newest_first_and_whole(engine: &mut dyn Engine) {
    pages_are_whole(engine.store(), HitOrder::Newest);
}

/// The other order is the same turned round, and what comes meanwhile comes last.
pub(crate) fn pages_are_oldest_first_and_whole(engine: &mut dyn Engine) {
    pages_are_whole(engine.store(), HitOrder::Oldest);
}

fn pages_are_whole(store: &dyn Store, order: HitOrder) {
    let source = source("a");
    // Three of each second.
    let one = |seq: u64| document(&source, seq, i64::try_from(seq / 3).unwrap() + 10, json!({}));
    append(store, &source, (1, 50), (1..=50).map(one).collect()).unwrap();
    let mut whole = ids(&find(store, ""));
    assert_eq!(whole.len(), 50);
    if order == HitOrder::Oldest {
        whole.reverse();
    }
    let mut newer = None;
    for limit in [7, 1, 50] {
        let mut request = SearchRequest { limit, order, ..SearchRequest::default() };
        let mut found = Vec::new();
        loop {
            let response = ask(store, &request).unwrap();
            let sorted = response.hits.is_sorted_by(|a, b| match order {
                HitOrder::Newest => a.cursor > b.cursor,
                HitOrder::Oldest => a.cursor < b.cursor,
            });
            assert!(sorted, "limit {limit}");
            found.extend(ids(&response));
            let Some(next) = response.next else { break };
            request.after = Some(next);
            if found.len() == 14 && newer.is_none() {
                let one = document(&source, 51, 0, json!({}));
                append(store, &source, (51, 51), vec![one]).unwrap();
                newer = ids(&find(store, "")).into_iter().next();
            }
        }
        // It came before all pages of that search that were still to come, or is the last of all.
        let mut expected = whole.clone();
        match order {
            HitOrder::Newest if limit != 7 => expected.insert(0, newer.clone().unwrap()),
            HitOrder::Newest => {}
            HitOrder::Oldest => expected.push(newer.clone().unwrap()),
        }
        assert_eq!(found, expected, "limit {limit}");
        // A page wholly outside of the range of time is none.
        let (from, to) = (now().plus_seconds(1), now().plus_seconds(-89));
        match order {
            HitOrder::Newest => request.from = Some(from.to_string()),
            HitOrder::Oldest => request.to = Some(to.to_string()),
        }
        assert_eq!(ask(store, &request).unwrap().hits, [], "limit {limit}");
    }
}

/// From inclusive, to exclusive.
pub(crate) fn ranges_of_time_are_half_open(engine: &mut dyn Engine) {
    let source = source("a");
    plain(engine.store(), &source, (1, 30));
    let time = |age: i64| Some(now().plus_seconds(-age).to_string());
    for (from, to, expected) in [
        (time(10), time(5), 5),
        (time(10), None, 10),
        (None, time(10), 20),
        (time(5), time(5), 0),
        (time(5), time(10), 0),
        (Some("now-10s".to_owned()), Some("now".to_owned()), 10),
    ] {
        let request = SearchRequest { from, to, ..SearchRequest::default() };
        let found = ask(engine.store(), &request).unwrap();
        assert_eq!((found.total, found.hits.len() as u64), (expected, expected), "{request:?}");
    }
}

/// Groupings are over all hits, whatever the limit.
pub(crate) fn groupings_count_every_hit(engine: &mut dyn Engine) {
    let source = source("a");
    let one = |seq: u64| {
        let name = if seq.is_multiple_of(4) { "cron" } else { "sshd" };
        document(&source, seq, i64::try_from(seq * 60).unwrap(), json!({"process": {"name": name}}))
    };
    append(engine.store(), &source, (1, 40), (1..=40).map(one).collect()).unwrap();
    let request = json!({
        "query": "process.name:*", "limit": 0,
        "aggregations": [
            {"type": "terms", "field": "process.name", "size": 5},
            {"type": "histogram", "interval_seconds": 600},
        ],
    });
    let response = ask(engine.store(), &serde_json::from_value(request).unwrap()).unwrap();
    assert_eq!((response.total, response.hits.len()), (40, 0));
    let shown = serde_json::to_value(&response.aggregations[0]).unwrap();
    let bucket =
        |at: usize| (shown["buckets"][at]["value"].clone(), shown["buckets"][at]["count"].clone());
    assert_eq!([bucket(0), bucket(1)], [(json!("sshd"), json!(30)), (json!("cron"), json!(10))]);
    let Aggregated::Histogram { interval_seconds, buckets } = &response.aggregations[1] else {
        panic!("{:?}", response.aggregations)
    };
    let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.count).collect();
    assert_eq!((*interval_seconds, counts), (600, vec![10, 10, 10, 10]));
}

/// Errors name what is wrong; a cancelled search says so.
pub(crate) fn what_cannot_be_asked_is_said(engine: &mut dyn Engine) {
    plain(engine.store(), &source("a"), (1, 3));
    let with = |text: Value| ask(engine.store(), &serde_json::from_value(text).unwrap());
    for (request, expected) in [
        (json!({"query": "a AND"}), "column"),
        (json!({"query": "", "limit": 1_000_000}), "at most"),
        (json!({"query": "", "from": "yesterday-ish"}), "from"),
        (
            json!({"query": "", "aggregations": [{"type": "terms", "field": "message", "size": 3}]}),
            "message",
        ),
    ] {
        let error = with(request.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{request}: {error}");
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = engine.store().search(&SearchRequest::default(), &cancel);
    assert!(matches!(cancelled, Err(SearchError::Cancelled)), "{cancelled:?}");
}

/// What is too old goes, is gone, and is counted; the rest stays.
pub(crate) fn retention_drops_and_tells(engine: &mut dyn Engine) {
    let source = source("a");
    let day = |seq: u64| i64::try_from(seq).unwrap() * 86_400;
    let one = |seq: u64| document(&source, seq, day(seq), json!({}));
    append(engine.store(), &source, (1, 10), (1..=10).map(one).collect()).unwrap();
    engine.store().flush().unwrap();
    let older_than = Some(now().plus_seconds(-5 * 86_400));
    let report = engine
        .store()
        .retain(&RetentionPolicy { older_than, ..RetentionPolicy::default() })
        .unwrap();
    let dropped: u64 = report.dropped.iter().map(|dropped| dropped.documents).sum();
    let left = find(engine.store(), "").total;
    assert_eq!(dropped + left, 10);
    assert!((5..=6).contains(&left), "{report:?}");
    assert_eq!(engine.store().figures().retention_dropped, dropped);
    engine.crash();
    assert_eq!(find(engine.store(), "").total, left, "gone for good");
    // What was dropped is not taken in again.
    let again = append(engine.store(), &source, (1, 10), (1..=10).map(one).collect()).unwrap();
    assert_eq!(again, AppendOutcome::Duplicate { range: 1..=10 });
}

/// Seen is stored, shed or pending, and what is indexed is what was stored.
pub(crate) fn the_books_balance(engine: &mut dyn Engine) {
    let source = source("a");
    plain(engine.store(), &source, (1, 20));
    plain(engine.store(), &source, (11, 30));
    engine.store().flush().unwrap();
    let figures = engine.store().figures();
    assert_eq!((figures.intake.seen, figures.intake.processed), (40, 30));
    assert_eq!(figures.intake.residue(), 0, "{:?}", figures.intake);
    assert_eq!((figures.index.processed, figures.index.pending), (30, 0));
    assert_eq!(figures.documents, 30);
    assert!(figures.problems.is_empty(), "{:?}", figures.problems);
}

/// The names of fields and their values by prefix come from the events.
pub(crate) fn fields_and_values_are_there_to_be_suggested(engine: &mut dyn Engine) {
    assert_eq!(engine.store().fields().unwrap(), []);
    let source = source("a");
    let named = |seq| document(&source, seq, 1, json!({"own": {"name": format!("n{}", seq % 2)}}));
    append(engine.store(), &source, (1, 3), (1..=3).map(named).collect()).unwrap();
    engine.store().flush().unwrap();
    engine.crash();
    let fields = engine.store().fields().unwrap();
    let own = fields.iter().find(|field| field.name == "own.name").unwrap();
    assert_eq!((own.events, own.kinds.as_slice()), (3, &["text".to_owned()][..]));
    let values = |prefix: &str| {
        let found = engine.store().values("own.name", prefix, 5).unwrap();
        found.into_iter().map(|one| (one.value, one.events)).collect::<Vec<_>>()
    };
    assert_eq!(values("n"), [("n1".to_owned(), 2), ("n0".to_owned(), 1)]);
    assert_eq!(values("n0"), [("n0".to_owned(), 1)]);
    assert_eq!(values("x"), []);
}
